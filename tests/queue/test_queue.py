"""Several installers at a time: who waits for whom, one rate limit for all, and how they are stopped."""

import threading
import time

import pytest

from kandji_uploader._util import signals
from kandji_uploader._util.secret import Secret
from kandji_uploader.cli import main
from kandji_uploader.http.tries import Policy
from kandji_uploader.kandji.client import Client
from kandji_uploader.publish.queue import Queue
from kandji_uploader.rehearsal import RehearsalTenant

PATIENT = Policy(first_wait=0.05)


@pytest.fixture
def tenant(tmp_path):
    with RehearsalTenant(tmp_path / "tenant") as tenant:
        yield tenant


@pytest.fixture
def settings(tmp_path, tenant, monkeypatch):
    monkeypatch.setenv("KANDJI_API_URL", tenant.url)
    monkeypatch.setenv("KANDJI_TOKEN", tenant.token)
    monkeypatch.setenv("KANDJI_UPLOADER_DIR", str(tmp_path / "config"))
    monkeypatch.setenv("KANDJI_UPLOADER_STATE_DIR", str(tmp_path / "state"))
    folder = tmp_path / "config"
    folder.mkdir()
    (folder / "config.yaml").write_text("li_enforcement: {type: install_once}\n")
    return folder


def in_threads(*functions):
    threads = [threading.Thread(target=function, daemon=True) for function in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert not any(thread.is_alive() for thread in threads)


def work(queue, number, log, *, ready_after=0.0):
    turn = queue.of(number)
    with turn.ending():
        time.sleep(ready_after)
        with turn.entering():
            log.append(("enters", number))
        with turn.changing():
            log.append(("begins", number))
            time.sleep(0.05)
            log.append(("ends", number))


def test_one_at_a_time_they_take_hold_in_the_order_in_which_they_were_named():
    queue, log = Queue(3, 1), []
    in_threads(*(lambda n=n: work(queue, n, log, ready_after=0.1 * (2 - n)) for n in range(3)))
    assert [number for what, number in log if what == "enters"] == [0, 1, 2]
    changes = [what for what, _ in log if what != "enters"]
    assert changes == ["begins", "ends"] * 3


def test_the_next_is_made_ready_while_the_present_one_changes_the_tenant():
    queue, log = Queue(2, 1), []
    in_threads(*(lambda n=n: work(queue, n, log) for n in range(2)))
    assert log.index(("enters", 1)) < log.index(("ends", 0))
    assert queue.workers == 2


def test_no_more_than_so_many_change_the_tenant_at_a_time():
    queue, log = Queue(6, 2), []
    in_threads(*(lambda n=n: work(queue, n, log) for n in range(6)))
    at_once, most = 0, 0
    for what, _ in log:
        at_once += {"begins": 1, "ends": -1}.get(what, 0)
        most = max(most, at_once)
    assert most == 2


def test_an_item_that_fails_early_holds_up_nobody():
    queue, log = Queue(2, 1), []

    def fail():
        with pytest.raises(OSError, match="gone"), queue.of(0).ending():
            raise OSError("gone")

    in_threads(fail, lambda: work(queue, 1, log))
    assert log[-1] == ("ends", 1)


def test_waiting_for_a_turn_ends_when_the_work_is_stopped():
    queue, ended = Queue(2, 1), []

    def wait():
        turn = queue.of(1)
        with pytest.raises(KeyboardInterrupt), turn.entering():
            pass
        ended.append(True)

    with signals.stopping_others() as stop:
        threading.Timer(0.1, stop.set).start()
        in_threads(wait)
    assert ended
    signals.check()  # unset again, and never meant for the main thread


def test_a_pause_in_another_thread_ends_when_the_work_is_stopped():
    took = []

    def wait():
        began = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            signals.pause(15)
        took.append(time.monotonic() - began)

    with signals.stopping_others() as stop:
        threading.Timer(0.1, stop.set).start()
        in_threads(wait)
    assert took[0] < 5


def test_where_one_thread_is_told_to_wait_no_other_sends_meanwhile(tenant):
    tenant.faults.add("GET", "blueprints", kind="rate_limit", retry_after=1)
    client = Client(tenant.url, Secret(tenant.token), PATIENT)

    def later():
        time.sleep(0.3)
        client.list_categories()

    in_threads(client.list_blueprints, later)
    refused, *others = tenant.requests
    assert refused.status == 429
    assert len(others) == 2
    assert all(record.status == 200 and record.at - refused.at >= 0.95 for record in others)


def test_an_upload_in_another_thread_is_stopped_between_two_blocks(tenant, tmp_path):
    tenant.faults.add("POST", "/store", kind="slow", bytes_per_second=1_000_000)
    installer = tmp_path / "a.pkg"
    installer.write_bytes(b"x" * 60_000_000)
    client = Client(tenant.url, Secret(tenant.token), PATIENT)
    ended = []

    def upload():
        ticket = client.request_upload("a.pkg")
        with pytest.raises(KeyboardInterrupt):
            client.upload(ticket, installer)
        ended.append(True)

    with signals.stopping_others() as stop:
        threading.Timer(0.5, stop.set).start()
        in_threads(upload)
    assert ended


def test_the_digest_of_the_next_item_is_there_before_the_upload_of_the_present_one_ends(
    tenant, settings, tmp_path, make_zip
):
    first, second = (make_zip(tmp_path / f"{name}-1.0.zip", "1.0", name=name) for name in ("One", "Two"))
    tenant.seed(
        "Two (kandji-uploader)", sha256="0" * 64, size=second.stat().st_size, install_type="zip", unzip_location="/x"
    )
    digests = tmp_path / "state" / "digests"
    known = []

    def look():
        time.sleep(1.0)
        told = [place.read_text() for place in digests.glob("*")]
        known.extend(text for text in told if '"sha256":' in text and second.name in text)

    tenant.faults.add("POST", "/store", kind="call", do=look)
    assert main(["upload", "-p", str(first), "-p", str(second), "--json"]) == 0
    assert len(known) == 1


def test_the_wait_for_a_processed_upload_of_one_target_is_that_of_the_other_too(tenant, settings, tmp_path, make_zip):
    tenant.configure(processing_seconds=1.0)
    installer = make_zip(tmp_path / "Widget-1.0.zip", "1.0")
    assert main(["upload", "-p", str(installer), "-n", "Widget", "-t", "Widget (Test)", "--json"]) == 0
    creates = [record for record in tenant.requests if str(record) == "POST library/custom-apps"]
    first, *last = (record.fields["name"] for record in creates if record.status == 201)
    waited = {record.fields["name"] for record in creates if record.status == 503}
    assert waited == {first}
    assert len(last) == 1


def test_what_is_said_of_a_retry_goes_to_the_run_that_waits(tenant, settings):
    """One client serves every run of a process; the line about an app's retry stood among those of another app."""
    from pathlib import Path

    from kandji_uploader.publish.context import open_tenant
    from kandji_uploader.publish.request import Host, Request
    from kandji_uploader.publish.resolve import resolve_early

    assert settings.is_dir()
    apps = {name: tenant.seed(name) for name in ("Fox", "Widget")}
    heard = {name: [] for name in apps}
    both_there = threading.Barrier(2)

    def run(name):
        host = Host(say=heard[name].append)
        view = open_tenant(resolve_early(Request(Path()), host), host)
        both_there.wait(5)
        for _ in range(2):
            view.client.get_custom_app(apps[name]["id"])

    for app in apps.values():
        tenant.faults.add("GET", f"library/custom-apps/{app['id']}", kind="status", code=503)
        tenant.faults.add("GET", f"library/custom-apps/{app['id']}", kind="status", code=500, nth=2)
    in_threads(lambda: run("Fox"), lambda: run("Widget"))
    for name, lines in heard.items():
        assert [apps[name]["id"] in line or "still processing" in line for line in lines] == [True, True]
