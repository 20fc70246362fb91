"""A process that lives long reads the tenant again: what people did in Kandji shows, and so does a revoked token."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap

import pytest

from kandji_uploader import api
from kandji_uploader.kandji import tenant as views
from kandji_uploader.publish.queue import Batch
from kandji_uploader.publish.request import Host

LIST = "GET library/custom-apps"


@pytest.fixture
def host(house):
    views.forget_all()
    return Host(environ=house.environ)


def lists(house):
    return [str(request) for request in house.tenant.requests].count(LIST)


def test_a_call_sees_an_app_that_was_deleted_since_the_one_before(house, host):
    path = house.widget()
    assert api.process_pkg(path, name="Widget", host=host).action == "succeeded"
    house.tenant.remove(house.tenant.app("Widget")["id"])
    again = api.process_pkg(path, name="Widget", host=host)
    assert [app.action for app in again.custom_apps] == ["created"]
    assert house.names() == ["Widget"]


def test_a_call_sees_that_the_token_was_revoked_since_the_one_before(house, host):
    path = house.widget()
    api.process_pkg(path, name="Widget", host=host)
    house.tenant.faults.add("GET", "library/custom-apps", kind="status", code=401, nth="every")
    refused = api.process_pkg(path, name="Widget", host=host)
    assert refused.action == "failed"
    assert "HTTP 401" in refused.error


def test_a_batch_reads_the_list_once_and_anew(house, host):
    path = house.widget()
    api.process_pkg(path, name="Widget", host=host)
    house.tenant.edit(house.tenant.app("Widget")["id"], active=False)
    house.tenant.reset_requests()
    batch = Batch()
    repaired = api.process_pkg(path, name="Widget", keys={"custom_app.active": True}, batch=batch, host=host)
    assert [app.action for app in repaired.custom_apps] == ["updated"]
    for _ in range(3):
        assert api.process_pkg(path, name="Widget", batch=batch, host=host).action == "skipped"
    assert lists(house) == 1


def test_a_cask_that_is_one_call_reads_the_list_once(house, offer):
    offer("widget")
    views.forget_all()
    host = Host(environ=house.environ)
    api.process_brew("widget", host=host)
    house.tenant.reset_requests()
    assert api.process_brew("widget", host=host).action == "skipped"
    assert lists(house) == 1


# The command as it is, but that it waits for a line on standard input instead of hours.
LOOP = textwrap.dedent("""
    import sys
    from kandji_uploader import schedule
    from kandji_uploader.cli import main

    def wait(stop, _seconds):
        if not sys.stdin.readline():
            stop.ask()

    schedule.StopFlag.wait = wait
    sys.exit(main(["schedule", "run", "--loop"]))
""")


def test_each_cycle_of_the_loop_sees_what_was_deleted_and_costs_one_list(house, offer):
    offer("widget")
    offer("gadget")
    house.config.mkdir()
    (house.config / "brew_cron.json").write_text(json.dumps({"brew_casks": ["widget", "gadget"], "every_n_hours": 1}))
    environ = {**house.environ, "PYTHONUNBUFFERED": "1"}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen([sys.executable, "-c", LOOP], env=environ, text=True, **pipes) as process:

        def cycle():
            return [process.stdout.readline().strip() for _ in range(3)][:2]

        def next_cycle():
            house.tenant.reset_requests()
            print(file=process.stdin, flush=True)
            return cycle()

        assert cycle() == ["widget: succeeded", "gadget: succeeded"]
        assert next_cycle() == ["widget: skipped", "gadget: skipped"]
        assert lists(house) == 1
        house.tenant.remove(house.tenant.app("Widget (kandji-uploader)")["id"])
        assert next_cycle() == ["widget: succeeded", "gadget: skipped"]
        assert house.names() == ["Gadget (kandji-uploader)", "Widget (kandji-uploader)"]
        house.tenant.faults.add("GET", "library/custom-apps", kind="status", code=401, times=2)
        refused = next_cycle()
        assert [line.partition(": GET")[0] for line in refused] == ["widget: failed", "gadget: failed"]
        assert all("HTTP 401" in line for line in refused)
        assert next_cycle() == ["widget: skipped", "gadget: skipped"]
        process.stdin.close()
        assert process.wait(20) == 0
