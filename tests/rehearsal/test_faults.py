"""Each scripted fault happens to the request and at the turn it was meant for, and has the effect it says."""

import hashlib
import json
import socket
import struct
import threading
import time
from urllib.parse import urlsplit

import pytest
import requests

from kandji_uploader.errors import SettingsError
from kandji_uploader.rehearsal import KINDS, RehearsalTenant, server
from kandji_uploader.rehearsal.faults import Course
from kandji_uploader.rehearsal.server import Body
from tests.rehearsal.conftest import APPS

WHOLE_APP = {"install_type": "package", "install_enforcement": "install_once"}


def create_with(api, tenant, kind, **params):
    """What a create meets that a fault befalls: its answer, or the exception."""
    key = api.uploaded()
    fault = tenant.faults.add("POST", APPS, kind=kind, **params)
    try:
        return api.post(APPS, data={"name": "Fox", "file_key": key, **WHOLE_APP}, timeout=1)
    except requests.RequestException as problem:
        return problem
    finally:
        assert tenant.faults.hits(fault) == 1


def names(tenant):
    return [app["name"] for app in tenant.apps()]


@pytest.mark.parametrize(
    ("kind", "params", "acted"),
    [
        ("reset_before_reading", {}, False),
        ("reset_mid_body", {}, False),
        ("reset_mid_body", {"after": 10_000}, False),
        ("stall", {}, False),
        ("stall", {"after": 20, "seconds": 5}, False),
        ("effect_then_reset", {}, True),
        ("effect_then_timeout", {}, True),
        ("reset_mid_answer", {}, True),
        ("truncated", {}, True),
        ("stall_mid_answer", {}, True),
    ],
)
def test_a_broken_connection_gives_no_answer_and_acts_or_does_not(api, tenant, kind, params, acted):
    problem = create_with(api, tenant, kind, **params)
    assert isinstance(problem, requests.RequestException)
    assert names(tenant) == (["Fox"] if acted else [])
    timed_out = isinstance(problem, requests.Timeout) or "timed out" in str(problem)
    assert timed_out == ("stall" in kind or "timeout" in kind)
    assert create_again(api).status_code == 201, "only one turn was meant"


def create_again(api):
    return api.create("Wolf")


@pytest.mark.parametrize(
    ("kind", "params", "status", "acted"),
    [
        ("status", {}, 500, False),
        ("status", {"code": 503, "body": "busy"}, 503, False),
        ("effect_then_status", {"code": 502}, 502, True),
        ("html", {}, 502, False),
        ("effect_then_html", {}, 502, True),
        ("rate_limit", {"retry_after": 7}, 429, False),
        ("redirect", {"code": 307}, 307, False),
        ("malformed_json", {}, 201, True),
        ("effect_then_malformed_json", {}, 201, True),
        ("missing_field", {"field": "id"}, 201, True),
        ("wrong_type", {"field": "name", "value": 7}, 201, True),
        ("wrong_sha256", {}, 201, True),
        ("slow", {"delay": 0.1}, 201, True),
    ],
)
def test_a_wrong_answer_is_sent_and_acts_or_does_not(api, tenant, kind, params, status, acted):
    answer = create_with(api, tenant, kind, **params)
    assert answer.status_code == status
    assert names(tenant) == (["Fox"] if acted else [])
    assert [record.fault for record in tenant.requests if record.fault] == [kind]
    assert create_again(api).status_code == 201


def test_a_status_carries_the_given_body_and_headers(api, tenant):
    answer = create_with(api, tenant, "status", code=400, body={"name": ["No."]}, headers={"X-Request-Id": "abc"})
    assert (answer.json(), answer.headers["X-Request-Id"]) == ({"name": ["No."]}, "abc")


def test_rate_limits_say_how_long(api, tenant):
    assert create_with(api, tenant, "rate_limit", retry_after=7).headers["Retry-After"] == "7"


def test_html_is_html(api, tenant):
    answer = create_with(api, tenant, "html", code=503, body="<h1>Wartung</h1>")
    assert (answer.text, answer.headers["Content-Type"]) == ("<h1>Wartung</h1>", "text/html; charset=utf-8")


def test_a_redirect_leads_to_the_other_host_by_default(api, tenant):
    assert create_with(api, tenant, "redirect").headers["Location"] == f"{tenant.outside_url}/api/v1/{APPS}"
    elsewhere = create_with(api, tenant, "redirect", location="{api}/x")
    assert elsewhere.headers["Location"] == f"{tenant.url}/x"


def test_the_other_host_shows_whether_the_token_came_along(api, tenant):
    tenant.faults.add("GET", APPS, kind="redirect")
    api.get(APPS, allow_redirects=True)
    assert [bool(record.authorization) for record in tenant.requests] == [True, False]


def test_malformed_json_is_json_up_to_a_point(api, tenant):
    answer = create_with(api, tenant, "malformed_json")
    with pytest.raises(ValueError, match=r"Unterminated|Expecting"):
        json.loads(answer.text)
    assert '"name": "Fox"' in answer.text


def test_a_wrong_digest_is_answered_only(api, tenant):
    assert create_with(api, tenant, "wrong_sha256").json()["sha256"] == "0" * 64
    assert tenant.app("Fox")["sha256"] == hashlib.sha256(b"installer").hexdigest()


def test_a_field_is_missing_or_wrong_in_each_row_of_a_list(api, tenant):
    for number in range(3):
        tenant.seed(f"App {number}")
    tenant.faults.add("GET", APPS, kind="missing_field", field="name", nth=1)
    tenant.faults.add("GET", APPS, kind="wrong_type", field="active", value="yes", nth=2)
    tenant.faults.add("GET", APPS, kind="missing_field", field="results", nth=3)
    assert all("name" not in row for row in api.get(APPS).json()["results"])
    assert [row["active"] for row in api.get(APPS).json()["results"]] == ["yes"] * 3
    assert "results" not in api.get(APPS).json()


@pytest.mark.parametrize("count", [1, 5])
def test_next_can_name_another_host(api, tenant, count):
    tenant.configure(page_size=2)
    for number in range(count):
        tenant.seed(f"App {number}")
    tenant.faults.add("GET", APPS, kind="wrong_next")
    tenant.faults.add("GET", APPS, kind="wrong_next", nth=2, host="https://evil.example")
    assert api.get(APPS).json()["next"] == f"{tenant.outside_url}/api/v1/{APPS}?page=2"
    assert api.get(APPS).json()["next"].startswith("https://evil.example/api/v1/")


@pytest.mark.parametrize(
    ("code", "status"), [("SlowDown", 503), ("InternalError", 500), ("ExpiredPolicy", 403), ("RequestTimeout", 400)]
)
def test_the_store_can_fail_as_s3_does(api, tenant, code, status):
    tenant.faults.add("POST", "/store", kind="s3_error", code=code)
    ticket = api.ticket()
    answer = api.put(ticket)
    assert (answer.status_code, answer.headers["Content-Type"]) == (status, "application/xml")
    assert tenant.uploads() == []
    assert api.put(ticket).status_code == 204


def test_a_ticket_can_be_expired_from_the_start(api, tenant):
    tenant.faults.add("POST", f"{APPS}/upload", kind="expired_policy")
    assert "Policy expired" in api.put(api.ticket()).text
    assert api.put(api.ticket()).status_code == 204


def test_the_store_can_keep_something_else_than_was_sent(api, tenant):
    tenant.faults.add("POST", "/store", kind="wrong_sha256")
    app = api.create().json()
    assert app["sha256"] != hashlib.sha256(b"installer").hexdigest()
    assert tenant.app("Fox")["sha256"] == app["sha256"]


@pytest.mark.parametrize("kind", ["reset_before_reading", "reset_mid_body", "stall"])
def test_an_upload_that_breaks_stores_nothing(api, tenant, kind):
    tenant.faults.add("POST", "/store", kind=kind)
    ticket = api.ticket()
    with pytest.raises(requests.RequestException):
        requests.post(ticket["post_url"], data=ticket["post_data"], files={"file": b"x" * 20_000_000}, timeout=(5, 0.5))
    assert tenant.uploads() == []
    wait_for(lambda: not list((tenant.folder / "files").iterdir()))
    assert api.put(ticket, b"x" * 20_000_000).status_code == 204


def wait_for(condition):
    until = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.01)


def test_an_upload_is_cut_after_so_many_bytes(api, tenant):
    tenant.faults.add("POST", "/store", kind="reset_mid_body", after=3_000_000)
    with pytest.raises(requests.ConnectionError):
        api.put(api.ticket(), b"x" * 20_000_000)
    assert tenant.requests[-1].received == 3_000_000
    assert tenant.requests[-1].status == 0


def test_a_lost_answer_of_the_store_leaves_the_file_there(api, tenant):
    tenant.faults.add("POST", "/store", kind="effect_then_reset")
    with pytest.raises(requests.ConnectionError):
        api.put(api.ticket())
    assert [upload["sha256"] for upload in tenant.uploads()] == [hashlib.sha256(b"installer").hexdigest()]


@pytest.mark.parametrize("kind", ["reset_mid_answer", "truncated", "stall_mid_answer"])
@pytest.mark.parametrize("turn", range(5))
def test_an_answer_without_a_body_is_cut_in_its_status_line(api, tenant, kind, turn):
    """Were it cut later, some would take it for whole, and whether it arrived would be a matter of luck."""
    tenant.faults.add("POST", "/store", kind=kind, **({"seconds": 0.2} if "stall" in kind else {}))
    with pytest.raises(requests.ConnectionError):
        api.put(api.ticket())
    assert len(tenant.uploads()) == 1


def test_slow_is_slow_in_both_directions(api, tenant):
    for number in range(10):
        tenant.seed(f"App {number}")
    tenant.faults.add("POST", "/store", kind="slow", bytes_per_second=1_000_000)
    tenant.faults.add("GET", APPS, kind="slow", bytes_per_second=20_000)
    ticket = api.ticket()
    started = time.monotonic()
    assert api.put(ticket, b"x" * 400_000).status_code == 204
    assert 0.3 < time.monotonic() - started < 3
    started = time.monotonic()
    size = len(api.get(APPS).content)
    assert size / 20_000 * 0.8 < time.monotonic() - started


def test_a_slow_connection_goes_on_bringing_while_the_store_is_busy(monkeypatch):
    """Else eight uploads at a time would each be slower than one, which no connections of their own are."""
    now = 100.0

    def pass_by(seconds):
        nonlocal now
        now += seconds

    class Busy:
        def readinto(self, buffer):
            pass_by(0.06)
            return len(buffer)

    monkeypatch.setattr(server.time, "monotonic", lambda: now)
    monkeypatch.setattr(server.time, "sleep", pass_by)
    Body(Busy(), 1_000_000, Course(pace=1_000_000)).drain()
    assert now == pytest.approx(101.06), "a second for the connection, and the last block's own time"

    body = Body(Busy(), 1_000_000, Course(pace=1_000_000))
    body.read_into(memoryview(bytearray(100_000)))
    pass_by(60)
    began = now
    body.drain()
    assert now - began == pytest.approx(0.76), "it brings no more meanwhile than there is room for"


def test_a_reset_is_a_real_one(api, tenant):
    tenant.faults.add("GET", APPS, kind="reset_before_reading")
    parts = urlsplit(tenant.url)
    with socket.create_connection((parts.hostname, parts.port)) as line:
        line.sendall(f"GET /api/v1/{APPS} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        with pytest.raises(ConnectionResetError):
            line.recv(1)


def test_a_truncated_answer_ends_in_good_order(api, tenant):
    tenant.faults.add("GET", APPS, kind="truncated")
    parts = urlsplit(tenant.url)
    with socket.create_connection((parts.hostname, parts.port)) as line:
        line.sendall(f"GET /api/v1/{APPS} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {tenant.token}\r\n\r\n".encode())
        said = b"".join(iter(lambda: line.recv(65_536), b""))
    head, _, body = said.partition(b"\r\n\r\n")
    promised = next(int(row.split(b":")[1]) for row in head.splitlines() if row.startswith(b"Content-Length"))
    assert 0 < len(body) < promised


def test_stop_lets_go_of_what_is_stalled(tmp_path):
    tenant = RehearsalTenant(tmp_path)
    tenant.start()
    tenant.faults.add("GET", "/", kind="stall")
    ended = []

    def ask():
        try:
            requests.get(tenant.url, timeout=30)
        except requests.ConnectionError:
            ended.append(time.monotonic())

    asking = threading.Thread(target=ask)
    asking.start()
    wait_for(lambda: tenant.requests)
    stopped = time.monotonic()
    tenant.stop()
    asking.join()
    assert ended[0] - stopped < 2


def test_turns_are_counted_for_each_fault(api, tenant):
    tenant.faults.add("GET", APPS, kind="status", code=500, nth=2)
    tenant.faults.add("GET", APPS, kind="status", code=502, nth=4, times=2)
    assert [api.get(APPS).status_code for _ in range(7)] == [200, 500, 200, 502, 502, 200, 200]


def test_every_turn_until_they_are_cleared(api, tenant):
    fault = tenant.faults.add("*", "library/**", kind="status", nth="every")
    assert [api.get(APPS).status_code for _ in range(3)] == [500, 500, 500]
    assert tenant.faults.hits(fault) == 3
    tenant.faults.clear()
    assert api.get(APPS).status_code == 200


@pytest.mark.parametrize(
    ("pattern", "path", "matches"),
    [
        (APPS, APPS, True),
        (APPS, f"{APPS}/x", False),
        (f"{APPS}/*", f"{APPS}/x", True),
        (f"{APPS}/*", APPS, False),
        ("library/*/x", "library/library-items/x", True),
        ("library/*", f"{APPS}/x", False),
        ("library/**", f"{APPS}/x", True),
        ("**", "self-service/categories", True),
        (f"/api/v1/{APPS}", APPS, True),
        ("library.custom-apps", APPS, False),
    ],
)
def test_a_path_is_a_pattern(api, tenant, pattern, path, matches):
    fault = tenant.faults.add("GET", pattern, kind="status")
    api.get(path)
    assert tenant.faults.hits(fault) == matches


def test_a_call_happens_before_the_request_is_served(api, tenant):
    app = tenant.seed("Fox")
    tenant.faults.add("GET", APPS, kind="call", do=lambda: tenant.edit(app["id"], name="Edited by hand"))
    assert api.get(APPS).json()["results"][0]["name"] == "Edited by hand"


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        ({"kind": "resett"}, "no fault is called 'resett'"),
        ({"kind": "status", "cod": 500}, "status takes code, body, headers, not cod"),
        ({"kind": "missing_field"}, "missing_field needs field"),
        ({"kind": "s3_error", "code": "Slow"}, "no S3 error is called 'Slow'"),
        ({"kind": "status", "nth": 0}, "count from 1"),
        ({"kind": "slow", "bytes_per_second": 0}, "above 0"),
        ({"kind": "call", "do": "rm"}, "do is a function"),
        ({"kind": 7}, "are texts"),
        ({"kind": "status", "nth": "second"}, "second"),
    ],
)
def test_a_mistake_in_a_fault_is_told_when_it_is_made(tenant, fault, why):
    with pytest.raises(ValueError, match=why):
        tenant.faults.add("GET", APPS, **fault)


def test_faults_come_from_a_file(tmp_path):
    script = tmp_path / "faults.json"
    rows = [
        {"method": "GET", "path": APPS, "kind": "status", "code": 502, "nth": "every"},
        {"method": "post", "path": "/slack/**", "kind": "html"},
    ]
    script.write_text(json.dumps(rows))
    with RehearsalTenant(tmp_path / "tenant", faults=script) as tenant:
        assert requests.get(f"{tenant.url}/api/v1/{APPS}", timeout=10).status_code == 502
        assert requests.post(tenant.webhook_url, json={"text": ""}, timeout=10).status_code == 502


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "is not JSON"),
        ("{}", "list of objects"),
        ('[{"method": "GET"}]', r"\[0\]"),
        ('[{"method": "GET", "path": "x", "kind": "stall"}, {"method": "GET", "path": "x", "kind": "?"}]', r"\[1\]"),
        ('[{"method": "GET", "path": "x", "kind": "call", "do": "rm"}]', r"\[0\]"),
    ],
)
def test_a_wrong_file_of_faults_adds_none(tmp_path, text, why):
    script = tmp_path / "faults.json"
    script.write_text(text)
    tenant = RehearsalTenant(tmp_path / "tenant")
    with pytest.raises(SettingsError, match=why):
        tenant.faults.load(script)
    assert tenant.faults.take("GET", "/api/v1/x") is None


def test_a_file_of_faults_that_is_not_there_is_named(tmp_path):
    with pytest.raises(SettingsError, match=r"none\.json: cannot be read"):
        RehearsalTenant(tmp_path / "tenant", faults=tmp_path / "none.json")


def test_every_kind_is_documented(request):
    text = (request.config.rootpath / "docs" / "rehearsal.md").read_text("utf-8")
    assert [kind for kind in KINDS if f"`{kind}`" not in text] == []


def test_a_client_that_resets_does_not_disturb_the_next(api, tenant):
    parts = urlsplit(tenant.outside_url)
    for _ in range(5):
        line = socket.create_connection((parts.hostname, parts.port))
        line.sendall(b"POST /store HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\nabc")
        line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        line.close()
    assert api.create().status_code == 201
