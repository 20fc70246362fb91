"""The upload store takes a form as S3 does, and believes only the bytes that really arrived."""

import hashlib
import http.client
import re
import resource
import socket
from urllib.parse import urlsplit

import pytest
import requests

from kandji_uploader._util.secret import Secret
from kandji_uploader.kandji.client import Client, UploadExpiredError
from kandji_uploader.rehearsal import RehearsalTenant
from tests.rehearsal.conftest import APPS


def form(fields, content, *, boundary="B0undary", last=True):
    parts = [(f'name="{name}"', value.encode()) for name, value in fields.items()]
    file = ('name="file"; filename="a.pkg"', content)
    ordered = [*parts, file] if last else [file, *parts]
    text = b"".join(
        f"--{boundary}\r\nContent-Disposition: form-data; {about}\r\n\r\n".encode() + value + b"\r\n"
        for about, value in ordered
    )
    return text + f"--{boundary}--\r\n".encode()


def post(url, body, **headers):
    kind = {"Content-Type": "multipart/form-data; boundary=B0undary"}
    return requests.post(url, data=body, headers={**kind, **headers}, timeout=10)


def test_a_ticket_is_as_documented(api):
    ticket = api.ticket("Company Portal 5.pkg")
    assert sorted(ticket) == ["expires", "file_key", "name", "post_data", "post_url"]
    assert list(ticket["post_data"]) == [
        "key",
        "x-amz-algorithm",
        "x-amz-credential",
        "x-amz-date",
        "x-amz-security-token",
        "policy",
        "x-amz-signature",
    ]
    assert ticket["post_data"]["key"] == ticket["file_key"]
    pattern = r"companies/companies/[0-9a-f-]{36}/library/custom_apps/Company Portal 5_[0-9a-f]{8}\.pkg"
    assert re.fullmatch(pattern, ticket["file_key"])


@pytest.mark.parametrize(
    ("name", "last"),
    [
        ("../../etc/passwd", r"passwd_[0-9a-f]{8}"),
        ("a\\b.pkg", r"b_[0-9a-f]{8}\.pkg"),
        ("noSuffix", r"noSuffix_[0-9a-f]{8}"),
        ("Größe.zip", r"Größe_[0-9a-f]{8}\.zip"),
        ("..", r"file_[0-9a-f]{8}"),
        ("x" * 400 + ".dmg", r"x{150}_[0-9a-f]{8}\.dmg"),
    ],
)
def test_no_name_leads_out_of_the_folder(api, tenant, name, last):
    key = api.uploaded(b"abc", name)
    assert re.fullmatch(last, key.rsplit("/", 1)[-1])
    assert key.count("/") == 5
    assert tenant.content(key) == b"abc"
    assert [path.parent for path in tenant.folder.rglob("*") if path.is_file() and path.read_bytes() == b"abc"] == [
        tenant.folder / "files"
    ]


def test_a_ticket_needs_a_name(api):
    assert list(api.post(f"{APPS}/upload", json={}).json()) == ["name"]


def test_the_store_is_another_host_than_the_api(api, tenant):
    assert urlsplit(api.ticket()["post_url"]).netloc != urlsplit(tenant.url).netloc


@pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, 65_537, 1_048_576, 3_000_001])
def test_what_arrived_is_what_was_sent(api, tenant, size):
    content = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    key = api.uploaded(content)
    [upload] = tenant.uploads()
    assert (upload["file_key"], upload["size"], upload["used_by"]) == (key, size, [])
    assert upload["sha256"] == hashlib.sha256(content).hexdigest()
    assert tenant.content(key) == content


@pytest.mark.parametrize("content", [b"\r\n--B0undar", b"--B0undary\r\n", b"\r\n\r\n", b'name="file"\r\n\r\n' * 9000])
def test_content_that_looks_like_a_form_is_content(api, tenant, content):
    ticket = api.ticket()
    assert post(ticket["post_url"], form(ticket["post_data"], content)).status_code == 204
    assert tenant.content(ticket["file_key"]) == content


@pytest.mark.parametrize(
    "missing",
    ["key", "x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-security-token", "policy", "x-amz-signature"],
)
def test_every_field_of_the_ticket_is_needed(api, tenant, missing):
    ticket = api.ticket()
    del ticket["post_data"][missing]
    answer = api.put(ticket)
    assert (answer.status_code, answer.headers["Content-Type"]) == (400, "application/xml")
    assert missing in answer.text
    assert tenant.uploads() == []


@pytest.mark.parametrize("field", ["key", "x-amz-date", "x-amz-credential", "policy", "x-amz-signature"])
def test_every_field_must_be_as_it_was_given(api, tenant, field):
    assert api.put(api.ticket(), **{field: "another"}).status_code == 403
    assert tenant.uploads() == []


def test_a_field_that_the_policy_does_not_know_is_refused(api):
    answer = api.put(api.ticket(), acl="public-read")
    assert answer.status_code == 403
    assert "Policy Condition failed" in answer.text


def test_the_file_must_be_the_last_field(api, tenant):
    ticket = api.ticket()
    answer = post(ticket["post_url"], form(ticket["post_data"], b"installer", last=False))
    assert answer.status_code == 400
    extra = {**ticket["post_data"]}
    body = form(extra, b"installer").removesuffix(b"--B0undary--\r\n")
    body += b'--B0undary\r\nContent-Disposition: form-data; name="acl"\r\n\r\nprivate\r\n--B0undary--\r\n'
    assert post(ticket["post_url"], body).status_code == 400
    assert tenant.uploads() == []


def test_a_form_without_a_file_or_an_end_is_refused(api, tenant):
    ticket = api.ticket()
    whole = form(ticket["post_data"], b"installer")
    assert "exactly one file" in post(ticket["post_url"], whole[: whole.index(b'name="file"')]).text
    assert post(ticket["post_url"], whole[:-20]).status_code == 400
    assert tenant.uploads() == []


def test_something_else_than_a_form_is_refused(api):
    url = api.ticket()["post_url"]
    assert requests.post(url, data=b"installer", timeout=10).status_code == 412
    assert requests.put(url, data=b"installer", timeout=10).status_code == 405


def test_the_token_is_not_welcome_in_the_store(api, tenant):
    ticket = api.ticket()
    body = form(ticket["post_data"], b"installer")
    answer = post(ticket["post_url"], body, Authorization=f"Bearer {tenant.token}")
    assert (answer.status_code, answer.headers["Content-Type"]) == (400, "application/xml")
    assert tenant.uploads() == []
    assert [bool(record.authorization) for record in tenant.requests if record.path == "/store"] == [True]


def test_a_chunked_upload_is_refused_and_the_client_comes_to_read_so(api, tenant):
    ticket = api.ticket()
    body = form(ticket["post_data"], b"x" * 5_000_000)
    answer = post(ticket["post_url"], iter([body]))
    assert answer.status_code == 411
    assert "<Code>MissingContentLength</Code>" in answer.text
    assert tenant.uploads() == []


def test_an_expired_policy_is_refused_by_the_tenants_clock(api, tenant):
    ticket = api.ticket()
    tenant.clock.advance(hours=2)
    answer = api.put(ticket)
    assert answer.status_code == 403
    assert "<Message>Invalid according to Policy: Policy expired.</Message>" in answer.text
    assert tenant.uploads() == []


def test_our_client_knows_an_expired_policy(tenant, tmp_path):
    path = tmp_path / "a.pkg"
    path.write_bytes(b"installer")
    client = Client(tenant.url, Secret(tenant.token))
    ticket = client.request_upload(path.name)
    tenant.clock.advance(hours=2)
    with pytest.raises(UploadExpiredError):
        client.upload(ticket, path)


def test_a_truncated_body_stores_nothing(api, tenant):
    ticket = api.ticket()
    body = form(ticket["post_data"], b"x" * 2_000_000)
    parts = urlsplit(ticket["post_url"])
    with socket.create_connection((parts.hostname, parts.port)) as line:
        kind = "Content-Type: multipart/form-data; boundary=B0undary"
        head = f"POST /store HTTP/1.1\r\nHost: x\r\n{kind}\r\nContent-Length: {len(body)}\r\n\r\n"
        line.sendall(head.encode() + body[:1_500_000])
        line.shutdown(socket.SHUT_WR)
        assert line.recv(100) == b""
    assert tenant.uploads() == []
    assert list((tenant.folder / "files").iterdir()) == []


def test_the_same_ticket_may_be_used_again(api, tenant):
    ticket = api.ticket()
    assert api.put(ticket, b"first").status_code == 204
    assert api.put(ticket, b"second").status_code == 204
    assert [upload["sha256"] for upload in tenant.uploads()] == [hashlib.sha256(b"second").hexdigest()]


def test_an_upload_is_busy_for_so_many_tries(api, tenant):
    tenant.configure(processing_polls=2)
    key = api.uploaded()
    answers = [api.create(file_key=key) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [503, 503, 201]
    assert answers[0].json()["detail"] == "The upload is still being processed."
    assert len(tenant.apps()) == 1


def test_an_upload_is_busy_for_so_long_by_the_tenants_clock(api, tenant):
    tenant.configure(processing_seconds=30)
    app = tenant.seed("Fox")
    key = api.uploaded()
    assert api.patch(f"{APPS}/{app['id']}", data={"file_key": key}).status_code == 503
    assert api.patch(f"{APPS}/{app['id']}", data={"restart": "true"}).status_code == 200
    tenant.clock.advance(seconds=31)
    assert api.patch(f"{APPS}/{app['id']}", data={"file_key": key}).status_code == 200


def test_one_upload_serves_two_apps(api, tenant):
    key = api.uploaded()
    assert {api.create(name, file_key=key).status_code for name in ("Fox", "Fox (Test)")} == {201}
    assert tenant.uploads()[0]["used_by"] == ["Fox", "Fox (Test)"]


def test_a_file_that_is_gone_cannot_be_published_again(api, tenant):
    app = api.create().json()
    newer = api.uploaded(b"newer")
    tenant.remove_upload(app["file_key"])
    assert api.patch(f"{APPS}/{app['id']}", data={"file_key": newer}).status_code == 200
    answer = api.patch(f"{APPS}/{app['id']}", data={"file_key": app["file_key"]})
    assert list(answer.json()) == ["file_key"]


def test_bytes_need_not_be_kept(tmp_path):
    path = tmp_path / "a.pkg"
    path.write_bytes(b"installer" * 100_000)
    with RehearsalTenant(tmp_path / "tenant", keep_files=False) as tenant:
        client = Client(tenant.url, Secret(tenant.token))
        digest = client.upload(client.request_upload(path.name), path)
        assert tenant.uploads()[0]["sha256"] == digest
        assert list((tenant.folder / "files").iterdir()) == []


def test_a_connection_is_used_for_many_uploads_also_after_a_refusal(api, tenant):
    ticket = api.ticket()
    parts = urlsplit(ticket["post_url"])
    line = http.client.HTTPConnection(parts.hostname, parts.port, timeout=10)
    headers = {"Content-Type": "multipart/form-data; boundary=B0undary"}
    statuses = []
    for fields in (ticket["post_data"], {}, ticket["post_data"]):
        line.request("POST", "/store", form(fields, b"x" * 3_000_000), headers)
        held = line.sock
        answer = line.getresponse()
        answer.read()
        statuses.append(answer.status)
        assert line.sock is held
    line.close()
    assert statuses == [204, 400, 204]


@pytest.mark.slow
def test_a_large_upload_is_never_held_in_memory(tmp_path):
    path = tmp_path / "large.pkg"
    with path.open("wb") as file:
        file.truncate(400 << 20)
    with RehearsalTenant(tmp_path / "tenant", keep_files=False) as tenant:
        client = Client(tenant.url, Secret(tenant.token))
        ticket = client.request_upload(path.name)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        client.upload(ticket, path)
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        assert tenant.uploads()[0]["size"] == 400 << 20
    assert grown < 64 << 10, f"grew by {grown} KiB"
