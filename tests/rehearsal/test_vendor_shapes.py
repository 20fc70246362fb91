"""What the vendor's own clients send and expect, raw; the embedded tenant takes it as the service does."""

import http.client
import json
from urllib.parse import urlencode, urlsplit

import pytest

BOUNDARY = "------------------------d74496d66958873e"


def multipart(**fields):
    """A form as curl's `-F` writes it; what is read from a file (`-F name=<path`) looks the same."""
    parts = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    ]
    return "".join([*parts, f"--{BOUNDARY}--\r\n"]).encode()


def ask(url, method, path, body=None, **headers):
    """One raw request; status, headers and body of the answer."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=10)
    connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
    answer = connection.getresponse()
    told = answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    connection.close()
    return told


@pytest.fixture
def form(tenant):
    def send(method, path, **fields):
        status, _, body = ask(
            tenant.url,
            method,
            f"/api/v1/{path}?source=a-client",
            multipart(**fields),
            Authorization=f"Bearer {tenant.token}",
            Content_Type=f"multipart/form-data; boundary={BOUNDARY}",
        )
        return status, json.loads(body)

    return send


def put(ticket, content):
    body = multipart(**ticket["post_data"]).removesuffix(f"--{BOUNDARY}--\r\n".encode())
    body += f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="Fox.pkg"\r\n'.encode()
    body += b"Content-Type: application/octet-stream\r\n\r\n" + content + f"\r\n--{BOUNDARY}--\r\n".encode()
    return ask(
        ticket["post_url"].rpartition("/")[0],
        "POST",
        urlsplit(ticket["post_url"]).path,
        body,
        Content_Type=f"multipart/form-data; boundary={BOUNDARY}",
    )[0]


def test_forms_of_parts_upload_create_and_change_an_app(tenant, form):
    status, ticket = form("POST", "library/custom-apps/upload", name="Fox-1.0.pkg")
    assert (status, put(ticket, b"an installer")) == (201, 204)
    script = '#!/bin/zsh\r\nVERSION="1.0"\n\nprint -- --x\r\n'
    fields = {"name": "Fox & Größe", "file_key": ticket["file_key"], "install_type": "package"}
    more = {"install_enforcement": "continuously_enforce", "audit_script": script}
    status, app = form("POST", "library/custom-apps", **fields, **more)
    assert (status, app["name"], app["audit_script"]) == (201, "Fox & Größe", script)
    status, app = form("PATCH", f"library/custom-apps/{app['id']}", audit_script="#!/bin/zsh\n", restart="true")
    assert (status, app["audit_script"], app["restart"]) == (200, "#!/bin/zsh\n", True)
    assert tenant.app("Fox & Größe")["file_key"] == ticket["file_key"]


def test_a_form_of_parts_that_is_wrong_is_refused_field_by_field(form):
    status, told = form("POST", "library/custom-apps", name="Fox", install_type="tarball")
    assert status == 400
    assert {"file_key", "install_type", "install_enforcement"} <= told.keys()


def test_another_kind_of_body_is_still_refused(tenant):
    headers = {"Authorization": f"Bearer {tenant.token}", "Content_Type": "text/plain"}
    assert ask(tenant.url, "POST", "/api/v1/library/custom-apps", b"name=Fox", **headers)[0] == 415


def test_the_address_of_an_apps_file_answers_its_bytes(tenant):
    content = bytes(range(256)) * 5000
    tenant.seed("Fox", content=content, file_name="Größe 1.0.pkg")
    status, _, body = ask(tenant.url, "GET", "/api/v1/library/custom-apps", Authorization=f"Bearer {tenant.token}")
    (app,) = json.loads(body)["results"]
    url = urlsplit(app["file_url"])
    base = f"{url.scheme}://{url.netloc}"
    status, headers, body = ask(base, "GET", f"{url.path}?{url.query}")
    assert (status, headers["content-length"], body) == (200, str(len(content)), content)
    assert ask(base, "GET", "/store/companies/none.pkg")[0] == 404


def test_the_address_of_a_file_takes_no_second_login(tenant):
    tenant.seed("Fox", content=b"bytes")
    url = f"/store/{tenant.app('Fox')['file_key']}"
    assert ask(tenant.outside_url, "GET", url)[0] == 200
    assert ask(tenant.outside_url, "GET", url, Authorization=f"Bearer {tenant.token}")[0] == 400


def test_a_client_may_ask_whether_there_is_a_tenant_without_a_token(tenant):
    assert ask(tenant.url, "GET", "/app/v1/ping?source=a-client")[0] == 200


ATTACHMENT = '{"attachments":[{"color":"00FF00", "title": "SUCCESS", "text": "*Name*: `Fox`\n*ID*: `1`"}]}'


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/json", json.dumps({"attachments": [{"text": "Fox"}]})),
        ("application/x-www-form-urlencoded", urlencode({"payload": ATTACHMENT})),
    ],
)
def test_slack_takes_messages_of_attachments_only(tenant, kind, body):
    path = urlsplit(tenant.webhook_url).path
    status, _, told = ask(tenant.outside_url, "POST", path, body.encode(), Content_Type=kind)
    assert (status, told) == (200, b"ok")
    (message,) = tenant.slack_messages()
    assert "Fox" in message["attachments"][0]["text"]


def test_slack_still_refuses_what_is_no_message(tenant):
    path = urlsplit(tenant.webhook_url).path
    assert ask(tenant.outside_url, "POST", path, b'{"color": "red"}', Content_Type="application/json")[0] == 400


def test_each_answer_of_the_api_tells_what_is_left_of_the_limits(tenant):
    token = {"Authorization": f"Bearer {tenant.token}"}
    first = ask(tenant.url, "GET", "/api/v1/library/custom-apps", **token)[1]
    second = ask(tenant.url, "GET", "/api/v1/blueprints", **token)[1]
    assert first["ratelimit-limit"] == "50"
    assert first["x-ratelimit-limit-hour"] == "10000"
    assert int(second["x-ratelimit-remaining-hour"]) == int(first["x-ratelimit-remaining-hour"]) - 1 == 9998
    assert 0 <= int(second["ratelimit-remaining"]) < 50
    assert second["ratelimit-reset"] == "1"
