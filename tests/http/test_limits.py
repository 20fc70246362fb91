"""No answer is waited for, or held in memory, without an end."""

import contextlib
import gzip
import itertools
import json
import socket
import subprocess
import sys
import threading
import time

import pytest

from kandji_uploader import homebrew
from kandji_uploader._util.secret import Secret
from kandji_uploader.errors import ApiError, KandjiUploaderError, NetworkError
from kandji_uploader.http.session import Session
from kandji_uploader.http.tries import EndlessAnswerError, LostAnswerError, Policy, RetryableError, with_tries
from kandji_uploader.kandji.client import Client
from kandji_uploader.rehearsal import RehearsalTenant
from kandji_uploader.report import slack

BRIEF = Policy(connect_timeout=2, idle_timeout=0.5, tries=3, first_wait=0.01, answer_time=1, answer_size=1 << 20)


@contextlib.contextmanager
def a_server(talk):
    """A server that reads the head of a request and then does what `talk` does with the connection."""

    def serve():
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                asked.append(connection)
                threading.Thread(target=answer, args=(connection,), daemon=True).start()

    def answer(connection):
        with contextlib.suppress(OSError), connection:
            head = b""
            while b"\r\n\r\n" not in head:
                head += connection.recv(4096)
            talk(connection)

    asked = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", asked
        listener.shutdown(socket.SHUT_RDWR)


def endlessly(part, first=b"", pause=0.05):
    """What a server says that sends `first` and then `part` for ever."""

    def talk(connection):
        connection.sendall(first)
        while True:
            connection.sendall(part)
            time.sleep(pause)

    return talk


an_endless_body = endlessly(b" ", b"HTTP/1.1 200 OK\r\n\r\n[")
an_endless_head = endlessly(b"x", b"HTTP/1.1 200 OK\r\nX: ")
endlessly_continuing = endlessly(b"HTTP/1.1 100 Continue\r\n\r\n")
endless_chunks = endlessly(b"1\r\n \r\n", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
a_flood = endlessly(b" " * 65536, b"HTTP/1.1 200 OK\r\n\r\n", pause=0)


def the_tenant(url):
    Client(url, Secret("token"), BRIEF).list_custom_apps()


def the_cask_api(url):
    homebrew.find("app", environ={"HOMEBREW_API_DOMAIN": url}, policy=BRIEF)


def slack_itself(url):
    slack.post(f"{url}/services/x", {"text": "hello"})


@pytest.mark.parametrize("talk", [an_endless_body, an_endless_head, endlessly_continuing, endless_chunks, a_flood])
def test_an_answer_that_never_ends_is_given_up_and_not_asked_for_again(talk):
    started = time.monotonic()
    with a_server(talk) as (url, asked):
        with pytest.raises(EndlessAnswerError, match=r"had not ended after 1 seconds|larger than 1 MiB"):
            the_tenant(url)
        assert time.monotonic() - started < 20, "it would never have ended"
        assert len(asked) == 1


@pytest.mark.parametrize("ask", [the_cask_api, slack_itself])
def test_the_limits_are_everybodys(monkeypatch, ask):
    monkeypatch.setattr(slack, "_PATIENCE", BRIEF)
    with a_server(an_endless_body) as (url, _), pytest.raises(EndlessAnswerError, match="had not ended after 1 sec"):
        ask(url)
    with a_server(a_flood) as (url, _), pytest.raises(EndlessAnswerError, match="larger than 1 MiB"):
        ask(url)


def test_a_create_whose_answer_never_ends_is_a_lost_answer():
    with a_server(an_endless_body) as (url, asked):
        with pytest.raises(LostAnswerError):
            Client(url, Secret("token"), BRIEF).create_custom_app({"name": "App"})
        assert len(asked) == 1


def test_an_answer_that_stops_is_silence_and_is_asked_for_again():
    def stops(connection):
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{")
        time.sleep(2)

    with a_server(stops) as (url, asked):
        with pytest.raises(LostAnswerError, match="no answer in time") as raised:
            the_tenant(url)
        assert not isinstance(raised.value, EndlessAnswerError)
        assert len(asked) == BRIEF.tries


def test_an_installer_that_drips_has_no_time_in_all():
    def drips(connection):
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 30\r\n\r\n")
        for _ in range(30):
            connection.sendall(b"x")
            time.sleep(0.05)

    with a_server(drips) as (url, _), Session(BRIEF, "the network", body_timed=False) as session:
        answer = session.open("a download", "GET", url)
        assert b"".join(session.blocks("a download", answer, decoded=False)) == b"x" * 30


MEMORY = """
import re, resource, sys
from kandji_uploader._util.secret import Secret
from kandji_uploader.http.tries import EndlessAnswerError, Policy
from kandji_uploader.kandji.client import Client
client = Client(sys.argv[1], Secret("token"), Policy(tries=1))
try:
    client.list_custom_apps()
except EndlessAnswerError as problem:
    print(problem)
try:  # what getrusage tells on Linux may be that of the process that started this one
    peak = int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) * 1024
except OSError:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(peak)
"""


def test_a_small_answer_that_unpacks_to_gigabytes_is_given_up_in_little_memory():
    block = gzip.compress(b" " * (64 << 20), 9)  # 65 KB each; members follow each other
    body = block * 16

    def bomb(connection):
        head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(body)}\r\n\r\n"
        connection.sendall(head.encode() + body)

    with a_server(bomb) as (url, _):
        done = subprocess.run([sys.executable, "-c", MEMORY, url], capture_output=True, text=True, check=True)
    told, peak = done.stdout.splitlines()
    assert "larger than 64 MiB" in told
    assert int(peak) < 200 << 20


# Lists


@pytest.fixture
def tenant(tmp_path):
    with RehearsalTenant(tmp_path / "tenant", token="token") as tenant:
        yield tenant


def pages(page):
    """A server that answers each request for a list with `page(number)`."""
    numbers = itertools.count(1)

    def serve(connection):
        body = json.dumps(page(next(numbers))).encode()
        connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))

    return a_server(serve)


def row(number):
    return {"id": f"a{number}", "name": f"App {number}"}


@pytest.mark.parametrize(
    ("page", "told"),
    [
        (lambda number: {"next": f"?page={number}", "results": [row(1)]}, "does not grow"),
        (lambda number: {"next": f"?page={number}", "results": [] if number > 1 else [row(1)]}, "does not grow"),
        (
            lambda number: {
                "count": 9,
                "next": f"?page={number}",
                "results": [row(f"{number}-{n}") for n in range(300)],
            },
            "but counts 9 itself",
        ),
        (lambda number: {"next": f"?page={number}", "results": [row(number)]}, "had not ended after 1 seconds"),
    ],
)
def test_a_list_that_is_always_said_to_go_on_ends(page, told):
    policy = Policy(tries=1, list_time=1)
    with pages(page) as (url, asked):
        with pytest.raises(ApiError, match=told):
            Client(url, Secret("token"), policy).list_custom_apps()
        assert len(asked) < 3000


# Tries


def test_waiting_is_told_to_who_waits(tenant):
    told = []
    tenant.faults.add("GET", "**", kind="status", code=500, times=2)
    from kandji_uploader.http.tries import tell_to

    tell_to(told.append)
    Client(tenant.url, Secret("token"), BRIEF).list_custom_apps()
    assert told == [f"GET library/custom-apps: HTTP 500; trying again in a moment (try {n} of 3)" for n in (2, 3)]


def test_what_may_have_been_done_is_not_done_again():
    def attempt():
        tries.append(1)
        raise LostAnswerError("lost")

    tries = []
    with pytest.raises(LostAnswerError):
        with_tries(BRIEF, attempt, repeat=False)
    assert len(tries) == 1


def test_what_was_surely_not_done_is_tried_again():
    def attempt():
        tries.append(1)
        if len(tries) < 3:
            raise RetryableError("not reached")
        return "done"

    tries = []
    assert with_tries(BRIEF, attempt, repeat=False) == "done"


def test_a_message_to_slack_comes_once_and_waits_for_its_turn(tenant):
    tenant.faults.add("POST", "/slack/**", kind="rate_limit", retry_after=1)
    slack.post(tenant.webhook_url, {"text": "hello"})
    assert len(tenant.slack_messages()) == 1
    tenant.faults.add("POST", "/slack/**", kind="effect_then_reset")
    with pytest.raises(NetworkError):
        slack.post(tenant.webhook_url, {"text": "hello again"})
    assert len(tenant.slack_messages()) == 2


def test_a_redirect_to_what_is_no_address_is_no_traceback(tenant):
    tenant.faults.add("GET", "**", kind="redirect", location="http://[", nth="every")
    with pytest.raises(KandjiUploaderError, match="redirect"):
        Client(tenant.url, Secret("token"), BRIEF).list_custom_apps()
