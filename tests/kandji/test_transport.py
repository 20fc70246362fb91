"""The wire: where the token goes, what is verified, how long silence may last, what is sent again."""

import contextlib
import itertools
import socket
import threading
import time
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime

import pytest

from kandji_uploader._util.secret import Secret
from kandji_uploader.errors import ApiError, KandjiUploaderError, NetworkError
from kandji_uploader.http.addresses import safe_address
from kandji_uploader.http.tries import LostAnswerError, Policy
from kandji_uploader.kandji.answers import UploadTicket
from kandji_uploader.kandji.client import Client
from kandji_uploader.kandji.transport import Transport
from kandji_uploader.rehearsal import RehearsalTenant
from tests.support.recorder import Recorder, an_authority, recording

TOKEN = "a-token-that-nobody-may-see"
QUICK = Policy(connect_timeout=2, idle_timeout=0.3, tries=3, first_wait=0.01, processing_budget=1)
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch):
    for name in (*PROXIES, *BUNDLES):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def tenant(tmp_path):
    with RehearsalTenant(tmp_path / "tenant", token=TOKEN) as tenant:
        yield tenant


def strings_in(thing, seen):
    """Every text that an object of ours holds, however deep, but not what a `Secret` keeps."""
    if isinstance(thing, str):
        yield thing
    if id(thing) in seen or isinstance(thing, (str, bytes, type, Secret)):
        return
    seen.add(id(thing))
    parts = [*thing.items()] if isinstance(thing, dict) else [*thing] if isinstance(thing, (list, tuple, set)) else []
    for part in (*parts, *getattr(thing, "__dict__", {}).values()):
        yield from strings_in(part, seen)


def test_the_token_stays_a_secret_until_the_header_is_made(tenant):
    client = Client(tenant.url, Secret(TOKEN), QUICK)
    client.list_custom_apps()
    answer = client._transport.request("GET", "library/custom-apps")
    assert tenant.requests[0].authorization
    texts = [*strings_in(client, set()), *strings_in(answer, set())]
    assert tenant.url in texts
    assert [text for text in texts if TOKEN in text] == []


# The service's clock


@pytest.mark.parametrize("hours", [0, -3, 2])
def test_the_difference_between_the_clocks_is_known_after_an_answer(tenant, hours):
    client = Client(tenant.url, Secret(TOKEN), QUICK)
    assert client.clock_skew is None
    tenant.clock.set(datetime.now(timezone.utc) + timedelta(hours=hours))
    client.list_custom_apps()
    assert client.clock_skew == pytest.approx(hours * 3600, abs=5)


def test_an_answer_out_of_a_cache_tells_the_time_with_its_age(tenant):
    client = Client(tenant.url, Secret(TOKEN), QUICK)
    made = datetime.now(timezone.utc) - timedelta(seconds=600)
    headers = {"Date": format_datetime(made, usegmt=True), "Age": "600"}
    body = '{"count": 0, "next": null, "results": []}'
    tenant.faults.add("GET", "**", kind="status", code=200, body=body, headers=headers)
    client.list_custom_apps()
    assert client.clock_skew == pytest.approx(0, abs=5)


def test_an_answer_without_a_time_leaves_the_difference_as_it_was_known(tenant):
    client = Client(tenant.url, Secret(TOKEN), QUICK)
    tenant.clock.set(datetime.now(timezone.utc) + timedelta(hours=1))
    client.list_custom_apps()
    body = '{"count": 0, "next": null, "results": []}'
    tenant.faults.add("GET", "**", kind="status", code=200, headers={"Date": "yesterday"}, body=body)
    client.list_custom_apps()
    assert client.clock_skew == pytest.approx(3600, abs=5)


# Where the token goes


@pytest.mark.parametrize(
    "url", ["http://example.com", "http://127.example.com", "ftp://127.0.0.1", "http://", "https://[broken", "x"]
)
def test_the_token_goes_to_https_or_this_machine_only(url):
    assert not safe_address(url)
    with pytest.raises(KandjiUploaderError, match="not an https address") as raised:
        Transport(url, Secret(TOKEN))
    assert TOKEN not in str(raised.value)


@pytest.mark.parametrize(
    "url", ["https://a.api.kandji.io", "http://127.0.0.1:8080", "http://localhost", "http://[::1]:1"]
)
def test_https_and_loopback_are_fit_for_the_token(url):
    assert safe_address(url)


@pytest.mark.parametrize(
    "address",
    [
        "http://127.0.0.2:1/api/v1/library/custom-apps?page=2",
        "//127.0.0.2/api/v1/library/custom-apps",
        "http://localhost/api/v1/x",
        "https://127.0.0.1/x",
        "http://127.0.0.1:99999/x",
        "http://[broken/x",
        "file:///etc/passwd",
    ],
)
def test_a_next_link_elsewhere_is_an_error_that_names_it_and_nothing_is_sent(tenant, address):
    transport = Transport(tenant.url, Secret(TOKEN), QUICK)
    with pytest.raises(ApiError, match="names another host") as raised:
        transport.request("GET", address)
    assert TOKEN not in str(raised.value)
    assert not tenant.requests


def test_a_relative_next_link_stays_on_the_host(tenant):
    transport = Transport(tenant.url, Secret(TOKEN), QUICK)
    assert transport.request("GET", "/api/v1/library/custom-apps?page=1").status == 200


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_no_redirect_is_followed(tenant, code):
    tenant.faults.add("GET", "**", kind="redirect", code=code)
    with pytest.raises(ApiError, match=f"HTTP {code}: a redirect, which is never followed"):
        Client(tenant.url, Secret(TOKEN), QUICK).list_custom_apps()
    assert len(tenant.requests) == 1


def test_a_netrc_entry_replaces_no_token_and_adds_none_at_the_store(tenant, tmp_path, monkeypatch):
    (tmp_path / ".netrc").write_text("default login someone password something\n")
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    client, file = Client(tenant.url, Secret(TOKEN), QUICK), tmp_path / "a.pkg"
    file.write_bytes(b"bytes")
    client.list_custom_apps()
    client.upload(client.request_upload("a.pkg"), file)
    api, store = (
        {record.authorization for record in tenant.requests if record.side == side} for side in ("api", "outside")
    )
    assert len(api) == 1
    assert "" not in api
    assert store == {""}


def test_a_proxy_of_the_environment_is_not_asked_for_this_machine(tenant, monkeypatch):
    with recording() as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.server_port}")
        Client(tenant.url, Secret(TOKEN), QUICK).list_custom_apps()
        assert proxy.seen == []


def test_a_proxy_gets_no_token_for_a_host_behind_it(monkeypatch):
    with recording() as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.server_port}")
        with pytest.raises(NetworkError):
            Client("https://tenant.api.kandji.io", Secret(TOKEN), QUICK).list_custom_apps()
        assert proxy.seen
        assert {path for path, _ in proxy.seen} == {"tenant.api.kandji.io:443"}
        assert not [headers for _, headers in proxy.seen if TOKEN in str(headers)]


def test_no_text_of_an_error_holds_the_token_even_if_the_answer_repeats_it(tenant):
    tenant.faults.add("GET", "**", kind="status", code=418, body=f"you sent Authorization: Bearer {TOKEN}")
    with pytest.raises(ApiError) as raised:
        Client(tenant.url, Secret(TOKEN), QUICK).list_custom_apps()
    assert "you sent Authorization" in str(raised.value)
    assert TOKEN not in str(raised.value)
    assert TOKEN not in repr(raised.value) + repr(vars(raised.value))


def test_no_repr_shows_the_token(tenant):
    client = Client(tenant.url, Secret(TOKEN), QUICK)
    assert TOKEN not in repr(client) + repr(client._transport) + repr(vars(client))


def test_what_the_store_repeats_of_the_signed_form_is_not_shown(tenant, tmp_path):
    file = tmp_path / "a.pkg"
    file.write_bytes(b"bytes")
    xml = (
        "<Error><Code>InvalidToken</Code><Message>The provided token is malformed.</Message>"
        "<Token-0>secret-of-the-store</Token-0></Error>"
    )
    tenant.faults.add("POST", "/store", kind="status", code=400, body=xml)
    client = Client(tenant.url, Secret(TOKEN), QUICK)
    with pytest.raises(ApiError, match="InvalidToken: The provided token is malformed") as raised:
        client.upload(client.request_upload("a.pkg"), file)
    assert "secret-of-the-store" not in str(raised.value)


# TLS


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return an_authority(tmp_path_factory.mktemp("tls"))


def test_a_server_that_nobody_vouches_for_is_refused_and_gets_no_token(authority):
    with recording(authority[1]) as server:
        with pytest.raises(NetworkError, match=r"accepted \(unable to get local issuer certificate\)\. If") as raised:
            Client(f"https://127.0.0.1:{server.server_port}", Secret(TOKEN), QUICK).list_custom_apps()
        assert server.seen == []
    assert not isinstance(raised.value, LostAnswerError)
    assert "REQUESTS_CA_BUNDLE" in str(raised.value)


@pytest.mark.parametrize("variable", BUNDLES)
def test_a_custom_authority_is_named_by_the_usual_variables(authority, monkeypatch, variable):
    monkeypatch.setenv(variable, str(authority[0]))
    with recording(authority[1]) as server:
        assert Client(f"https://127.0.0.1:{server.server_port}", Secret(TOKEN), QUICK).list_custom_apps() == ()
        assert [headers["Authorization"] for _, headers in server.seen] == [f"Bearer {TOKEN}"]


def test_what_is_wrong_with_a_certificate_is_told(authority, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(authority[0]))
    with recording(authority[1]) as server:
        with pytest.raises(NetworkError, match=r"\(Hostname mismatch, .* not valid for 'localhost'\)\. If a proxy"):
            Client(f"https://localhost:{server.server_port}", Secret(TOKEN), QUICK).list_custom_apps()
        assert server.seen == []


def test_a_large_body_goes_over_tls_whole(authority, monkeypatch, tmp_path):
    monkeypatch.setenv("SSL_CERT_FILE", str(authority[0]))
    file, got = tmp_path / "a.pkg", []
    file.write_bytes(b"0123456789" * 500_000)

    class Taker(Recorder):
        def do_POST(self):  # noqa: N802 - named by http.server
            got.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(204)
            self.end_headers()

    with recording(authority[1]) as server:
        server.RequestHandlerClass = Taker
        url = f"https://127.0.0.1:{server.server_port}"
        Client(url, Secret(TOKEN), QUICK).upload(UploadTicket(f"{url}/store", {"key": "k"}, "k"), file)
    assert file.read_bytes() in got[0]


@pytest.mark.parametrize(
    "attempt",
    [
        {"CURL_CA_BUNDLE": ""},
        {"REQUESTS_CA_BUNDLE": "", "SSL_CERT_FILE": ""},
        {"PYTHONHTTPSVERIFY": "0"},
        {"SSL_CERT_DIR": "/"},
        {"REQUESTS_VERIFY": "false"},
    ],
)
def test_no_variable_turns_the_verification_off(authority, monkeypatch, attempt):
    for name, value in attempt.items():
        monkeypatch.setenv(name, value)
    with recording(authority[1]) as server:
        with pytest.raises(NetworkError, match="certificate was not accepted"):
            Client(f"https://127.0.0.1:{server.server_port}", Secret(TOKEN), QUICK).list_custom_apps()
        assert server.seen == []


@pytest.mark.parametrize("content", [None, "not a certificate"])
def test_a_bundle_that_is_none_is_an_error_that_names_the_variable(authority, monkeypatch, tmp_path, content):
    bundle = tmp_path / "ca.pem"
    if content is not None:
        bundle.write_text(content)
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    with recording(authority[1]) as server, pytest.raises(NetworkError, match=r"SSL_CERT_FILE names .*ca\.pem"):
        Client(f"https://127.0.0.1:{server.server_port}", Secret(TOKEN), QUICK).list_custom_apps()


# Silence and slowness


class SlowReader:
    """A store that reads a body at a given speed, with small buffers, and then answers 204."""

    def __init__(self, pace, silent_after=None):
        self._pace, self._silent_after = pace, silent_after
        self._listener = socket.socket()
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen()
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.received = 0
        self._stop = threading.Event()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection):
        with contextlib.suppress(OSError), connection:
            data = b""
            while b"\r\n\r\n" not in data:
                data += connection.recv(4096)
            head, _, rest = data.partition(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
            self.received = len(rest)
            while self.received < length:
                if self._silent_after is not None and self.received >= self._silent_after:
                    self._stop.wait(30)
                    return
                block = connection.recv(max(1, int(self._pace / 20)))
                self.received += len(block)
                time.sleep(len(block) / self._pace)
            connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")

    def close(self):
        self._stop.set()
        self._listener.close()


def test_a_slow_upload_that_moves_has_no_time_limit(tmp_path):
    store, file = SlowReader(pace=1_000_000), tmp_path / "a.pkg"
    file.write_bytes(b"x" * 3_000_000)
    policy = Policy(connect_timeout=0.6, idle_timeout=0.6, tries=1)
    started = time.monotonic()
    Client(store.url, Secret(TOKEN), policy).upload(UploadTicket(f"{store.url}/store", {"key": "k"}, "k"), file)
    assert time.monotonic() - started > 4 * 0.6
    store.close()


def test_an_upload_that_stands_still_is_given_up(tmp_path):
    store, file = SlowReader(pace=50_000_000, silent_after=2_000_000), tmp_path / "a.pkg"
    file.write_bytes(b"x" * 30_000_000)
    policy = Policy(connect_timeout=5, idle_timeout=0.3, tries=2, first_wait=0.01)
    started = time.monotonic()
    with pytest.raises(NetworkError, match="no answer in time"):
        Client(store.url, Secret(TOKEN), policy).upload(UploadTicket(f"{store.url}/store", {"key": "k"}, "k"), file)
    assert time.monotonic() - started < 5
    assert store.received < 30_000_000
    store.close()


def test_an_answer_that_drips_is_waited_for_within_its_time(tenant):
    for number in range(20):
        tenant.seed(f"App {number}")
    size = 20 * 600
    tenant.faults.add("GET", "**", kind="slow", bytes_per_second=size)
    started = time.monotonic()
    assert len(Client(tenant.url, Secret(TOKEN), QUICK).list_custom_apps()) == 20
    assert time.monotonic() - started > QUICK.idle_timeout * 2


def test_a_host_that_takes_no_connection_is_given_up():
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        for each in waiting:  # fill the queue of a listener that never accepts
            each.setblocking(False)
            each.connect_ex(full.getsockname())
        policy = Policy(connect_timeout=0.3, idle_timeout=0.3, tries=2, first_wait=0.01)
        started = time.monotonic()
        with pytest.raises(NetworkError):
            Client(f"http://127.0.0.1:{full.getsockname()[1]}", Secret(TOKEN), policy).list_custom_apps()
        assert time.monotonic() - started < 5
        for each in waiting:
            each.close()


def test_a_port_that_nobody_serves_is_not_a_lost_answer():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(NetworkError, match="was not reached") as raised:
        Client(url, Secret(TOKEN), QUICK).create_custom_app({"name": "App"})
    assert not isinstance(raised.value, LostAnswerError)


# What is sent again


def test_retry_after_is_honoured(tenant):
    tenant.faults.add("GET", "**", kind="rate_limit", retry_after=1)
    started = time.monotonic()
    Client(tenant.url, Secret(TOKEN), QUICK).list_custom_apps()
    assert 1 <= time.monotonic() - started < 2
    assert [record.status for record in tenant.requests] == [429, 200]


@pytest.mark.parametrize("said", ["86400", "Thu, 01 Jan 2099 00:00:00 GMT", "99999999999999999999"])
def test_retry_after_is_honoured_up_to_a_cap_only(tenant, said):
    tenant.faults.add("GET", "**", kind="rate_limit", retry_after=said)
    started = time.monotonic()
    Client(tenant.url, Secret(TOKEN), Policy(tries=2, first_wait=0.01, retry_after_cap=1)).list_custom_apps()
    assert time.monotonic() - started < 3


def test_a_rate_limit_that_does_not_end_is_told_as_one(tenant):
    tenant.faults.add("*", "**", kind="rate_limit", retry_after=0, nth="every")
    with pytest.raises(ApiError, match="HTTP 429: too many requests"):
        Client(tenant.url, Secret(TOKEN), QUICK).create_custom_app({"name": "App"})
    assert len(tenant.requests) == QUICK.tries


def test_a_request_that_is_safe_to_repeat_is_sent_as_often_as_the_policy_says(tenant):
    tenant.faults.add("GET", "**", kind="status", code=500, nth="every")
    with pytest.raises(LostAnswerError):
        Client(tenant.url, Secret(TOKEN), QUICK).list_custom_apps()
    assert len(tenant.requests) == QUICK.tries


@pytest.mark.parametrize("kind", ["effect_then_reset", "truncated", "malformed_json", "effect_then_html"])
def test_a_create_is_sent_once(tenant, tmp_path, kind):
    client, file = Client(tenant.url, Secret(TOKEN), QUICK), tmp_path / "a.pkg"
    file.write_bytes(b"bytes")
    ticket = client.request_upload("a.pkg")
    client.upload(ticket, file)
    tenant.faults.add("POST", "library/custom-apps", kind=kind, nth="every")
    fields = {"name": "App", "file_key": ticket.file_key, "install_type": "package"}
    with pytest.raises(LostAnswerError):
        client.create_custom_app({**fields, "install_enforcement": "install_once"})
    assert len(tenant.apps()) == 1


def test_waits_grow_with_jitter_from_the_first_try_on(tenant):
    tenant.faults.add("GET", "**", kind="status", code=500, nth="every")
    with pytest.raises(LostAnswerError):
        Client(tenant.url, Secret(TOKEN), Policy(tries=4, first_wait=0.1)).list_custom_apps()
    times = [record.at for record in tenant.requests]
    waits = [later - earlier for earlier, later in itertools.pairwise(times)]
    for wait, longest in zip(waits, (0.1, 0.2, 0.4), strict=True):
        assert longest / 2 <= wait < longest + 0.15


def test_an_app_that_moves_between_two_pages_is_not_missed(tenant):
    apps = [tenant.seed(f"App {number}") for number in range(6)]
    tenant.configure(page_size=2)
    # Page 1 was read; then one of its apps goes, and App 2 moves from page 2 to page 1.
    tenant.faults.add("GET", "library/custom-apps", kind="call", do=lambda: tenant.remove(apps[0]["id"]), nth=2)
    found = Client(tenant.url, Secret(TOKEN), QUICK).list_custom_apps()
    assert sorted(app.name for app in found) == [f"App {number}" for number in range(1, 6)]


def test_pages_that_go_round_in_a_circle_end(tenant):
    body = {"count": 2, "results": [], "next": f"{tenant.url}/api/v1/library/custom-apps?page=2"}
    tenant.faults.add("GET", "**", kind="status", code=200, body=body, nth="every")
    with pytest.raises(ApiError, match="round in a circle"):
        Client(tenant.url, Secret(TOKEN), QUICK).list_custom_apps()
    assert len(tenant.requests) <= 3


@pytest.mark.parametrize(
    "body",
    [
        "[" * 100_000,
        '{"results": ' + "9" * 5000 + "}",
        "null",
        "[]",
        '{"results": {}}',
        '{"results": [7]}',
        '{"results": [], "next": 7}',
        '{"results": [], "count": "many"}',
        "\x00\x01",
        "",
    ],
)
def test_whatever_a_list_answers_is_an_error_with_request_status_and_body(tenant, body):
    tenant.faults.add("GET", "**", kind="status", code=200, body=body, nth="every")
    with pytest.raises(ApiError, match="GET library/custom-apps: HTTP 200") as raised:
        Client(tenant.url, Secret(TOKEN), QUICK).list_custom_apps()
    assert len(raised.value.body) <= 300


def test_half_a_character_in_an_answer_breaks_nothing(tenant):
    tenant.seed("App")
    row = r'{"id": "a1", "name": "A \ud83d pp", "preinstall_script": "\udc00"}'
    tenant.faults.add("GET", "**", kind="status", code=200, body='{"next": null, "results": [' + row + "]}")
    (app,) = Client(tenant.url, Secret(TOKEN), QUICK).list_custom_apps()
    assert app.name.encode()
    assert app.preinstall_script.encode()


def test_two_runs_with_other_patience_share_one_list(tenant):
    from kandji_uploader.kandji.tenant import forget_all, view

    forget_all()
    first = view(tenant.url, Secret(TOKEN), QUICK)
    assert first.apps() == ()
    other = view(tenant.url, Secret(TOKEN), Policy(tries=2))
    assert other is first
    assert other.client.policy.tries == 2
    assert other.apps() == ()
    assert len(tenant.requests) == 1
    forget_all()
