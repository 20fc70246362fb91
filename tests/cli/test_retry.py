"""What was begun and not done is pending: noted before anything is sent, told by any later run, done by `retry`."""

from __future__ import annotations

import contextlib
import json
import os
import re
import resource
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest

from kandji_uploader.cli.console import Console
from kandji_uploader.cli.failures import Exit
from kandji_uploader.flows import publish
from kandji_uploader.kandji import tenant as views
from kandji_uploader.publish.request import Host, Request
from kandji_uploader.publish.targets import RecipeFacts
from tests.cli.conftest import COMMAND

PENDING = r"1 publish is pending: Widget( 1\.0)?\. `kandji-uploader doctor` tells why, `kandji-uploader retry` does it"


@pytest.fixture
def failed(house, here):
    """A recipe's publish that failed, because the token was not allowed to create; returns the request."""
    house.tenant.permissions.revoke("Create Custom App")

    def publish_it(version="1.0", **keys):
        views.forget_all()
        given = RecipeFacts(name="Widget", version=version, bundle_id="com.example.Widget", app_name="Widget")
        keys = {"custom_app": {"prod_name": "Widget", "prod_restart": True}, "enforcement_delays": {"prod": 2}, **keys}
        request = Request(
            house.widget(version),
            keys=keys,
            keys_from="recipe",
            caller="autopkg",
            given=given,
            recipe="Widget.pkg.recipe",
        )
        return publish.run(request, Host(environ=house.environ))

    assert publish_it().failed
    publish_it.again = lambda: house.tenant.permissions.grant("Create Custom App")
    return publish_it


def pending(house):
    return [row for path in house.state.glob("*/pending.json") for row in json.loads(path.read_text())]


def test_a_publish_that_failed_is_told_by_later_runs_listed_by_the_doctor_and_done_by_retry(house, here, failed):
    house.tenant.seed("Other", sha256="0" * 64)
    later = house.run("-p", house.widget(name="Other", bundle_id="com.example.Other"), "-n", "Other")
    assert re.search(PENDING, later.stderr), later.stderr
    assert len(re.findall(PENDING, later.stderr)) == 1
    told = here("doctor").stdout
    assert re.search(r"warning +pending +1 publish is pending: Widget 1\.0 \(20.*lacks the permission", told), told
    failed.again()
    assert "would create" in here("retry", "-y").stdout
    assert len(pending(house)) == 1, "a dry run does nothing"
    ran = here("retry")
    assert ran.returncode == 0, ran.stderr
    (app,) = [app for app in house.tenant.apps() if app["name"] == "Widget"]
    assert app["restart"] is True, "with the recipe's keys"
    assert pending(house) == []
    assert "nothing is pending" in here("retry").stderr
    assert re.search(r"ok +pending +nothing", here("doctor").stdout)


def test_what_fails_before_the_tenant_is_read_is_pending_too(house, here):
    path = house.widget()
    assert here("-p", path, "-n", "Widget", KANDJI_TOKEN="wrong").returncode == Exit.TOKEN
    assert [row["names"] for row in pending(house)] == [["Widget"]]
    assert here("retry").returncode == 0
    assert house.names() == ["Widget"]
    assert pending(house) == []


def test_a_run_that_is_killed_in_the_middle_is_pending(house, here):
    path = house.widget()
    arrived, killed = threading.Event(), threading.Event()
    house.tenant.faults.add("POST", "/store", kind="call", do=lambda: (arrived.set(), killed.wait(20)))
    running = house.start("-p", path, "-n", "Widget")
    assert arrived.wait(20)
    running.send_signal(signal.SIGKILL)
    running.communicate()
    killed.set()
    assert [row["reason"] for row in pending(house)] == ["the run was ended in the middle of it"]
    ran = here("retry")
    assert ran.returncode == 0, ran.stderr
    assert house.names() == ["Widget"]
    assert pending(house) == []


def test_what_is_wrong_in_the_request_itself_is_not_pending(house, here):
    here("-p", house.folder / "none.pkg", "-n", "Widget")
    here("-p", house.widget(), "-n", "Widget", "-u", "relative")
    here("-p", house.widget(), "-n", "Widget", "-y", KANDJI_TOKEN="wrong")
    assert pending(house) == []


def test_a_downgrade_that_was_refused_is_not_pending(house, here):
    assert here("-p", house.widget("2.0"), "-n", "Widget").returncode == 0
    assert here("-p", house.widget("1.0"), "-n", "Widget").returncode == Exit.REFUSED
    assert pending(house) == []


def test_a_newer_version_that_was_published_meanwhile_clears_it(house, here, failed):
    failed.again()
    assert here("-p", house.widget("2.0"), "-n", "Widget").returncode == 0
    assert pending(house) == []


def test_an_older_version_that_is_still_there_does_not_clear_it(house, here, failed):
    failed.again()
    old = house.widget("0.9")
    assert here("-p", old, "-n", "Widget").returncode == 0  # somebody puts it there
    failed_again = house.tenant.permissions
    failed_again.revoke("Update Custom App")
    assert failed("1.0").failed
    assert here("-p", old, "-n", "Widget").returncode == 0
    assert [row["version"] for row in pending(house)] == ["1.0"]
    failed_again.grant("Update Custom App")
    assert here("retry").returncode == 0
    assert pending(house) == []


def test_an_installer_that_is_gone_or_another_one_is_told_and_not_guessed_at(house, here, failed):
    failed.again()
    path = house.folder / "Widget-1.0.pkg"
    kept = path.read_bytes()
    house.widget("3.0").replace(path)
    ran = here("retry")
    assert ran.returncode == Exit.SETTINGS
    assert f"another file is now at {path}; run Widget.pkg.recipe again" in ran.stderr
    path.unlink()
    ran = here("retry", "Widget")
    assert ran.returncode == Exit.SETTINGS
    assert f"its installer {path} is gone (No such file or directory)" in ran.stderr
    assert house.names() == []
    path.write_bytes(kept)
    again = here("retry")
    assert again.returncode == 0, "the very bytes, which its sha256 tells"
    assert house.names() == ["Widget"]


def test_it_can_be_given_up(house, here, failed):
    ran = here("retry", "--forget", "Gadget")
    assert ran.returncode == Exit.SETTINGS
    assert "nothing pending is called 'Gadget'; pending: Widget 1.0" in ran.stderr
    before = len(house.writes())
    assert here("retry", "--forget", "Widget.pkg.recipe").returncode == 0
    assert pending(house) == []
    assert len(house.writes()) == before


def test_what_always_makes_another_app_is_not_pending(house, here):
    house.tenant.permissions.revoke("Create Custom App")
    assert here("-p", house.widget(), "-n", "Widget", "-c").returncode == Exit.TOKEN
    assert pending(house) == [], "done once more, it would be there twice"


def test_a_cask_that_kandji_has_already_leaves_nothing_pending(house, offer, here):
    cask = offer("widget")
    with_file = house.widget("1.0", name="Widget", bundle_id="com.example.widget")
    house.tenant.seed("Elsewhere", file_name=with_file.name, content=with_file.read_bytes())
    ran = here("-b", "widget", "-n", "Widget")
    assert ran.returncode == 0, (ran.stderr, cask)
    assert pending(house) == []


def test_no_secret_is_in_what_is_noted(house, failed):
    (path,) = house.state.glob("*/pending.json")
    assert house.tenant.token not in path.read_text()
    assert path.stat().st_mode & 0o777 == 0o600


# A full disk


@pytest.fixture
def full(house):
    """A disk that is full: of its own where we may mount one, else one on which no file may grow."""
    house.state.mkdir(parents=True)
    if os.geteuid() == 0 and Path("/proc/mounts").exists():
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", house.state], check=True)
        with (house.state / "ballast").open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(b"x" * 4096)
            except OSError:
                pass
        yield None
        subprocess.run(["umount", house.state], check=True)
    else:
        yield lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def test_a_full_disk_is_told_before_anything_is_sent_and_without_a_traceback(house, full):
    path = house.widget()
    for _ in range(2):
        ran = subprocess.run(
            [*COMMAND, "-p", path, "-n", "Widget"],
            env=house.environ,
            preexec_fn=full,
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 1
        assert re.search(r"pending\.json cannot be written: (No space left on device|File too large)", ran.stderr)
        assert "KANDJI_UPLOADER_STATE_DIR" in ran.stderr
        assert "Traceback" not in ran.stderr
        assert "a defect of ours" not in ran.stderr
        assert ran.stderr.count("no log is kept in") == 1
    assert house.writes() == []
    assert house.tenant.uploads() == []


def test_an_upload_that_cannot_be_remembered_is_used_and_not_sent_again(house, here):
    def in_the_way():
        (folder,) = house.state.glob("*/pending.json")
        (folder.parent / "uploads.json" / "x").mkdir(parents=True)

    house.tenant.faults.add("POST", "/store", kind="call", do=in_the_way)
    ran = here("-p", house.widget(), "-n", "Widget")
    assert ran.returncode == 0, ran.stderr
    assert "the upload cannot be remembered for the next run, and is used in this one" in ran.stderr
    assert (house.names(), len(house.tenant.uploads())) == (["Widget"], 1)


def test_output_that_cannot_be_written_is_no_traceback_and_stops_no_publish(house):
    with Path("/dev/full").open("w") as nowhere:
        ran = subprocess.run(
            [*COMMAND, "-p", house.widget(), "-n", "Widget"],
            env=house.environ,
            stdout=nowhere,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
        assert ran.returncode == 1
        assert "what it printed could not be written (No space left on device)" in ran.stderr
        assert "Traceback" not in ran.stderr
        assert "Exception ignored" not in ran.stderr
        other = house.widget(name="Other", bundle_id="com.example.Other")
        silent = subprocess.run([*COMMAND, "-p", other, "-n", "Other"], env=house.environ, stderr=nowhere, check=False)
        assert silent.returncode == 0
    assert house.names() == ["Other", "Widget"]


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("words", [["where"], ["doctor"], ["config", "--json"]], ids=" ".join)
def test_output_that_cannot_be_written_is_no_defect_of_ours(house, words, unbuffered):
    environ = {**house.environ, "PYTHONUNBUFFERED": unbuffered}
    with Path("/dev/full").open("w") as nowhere:
        ran = subprocess.run(
            [*COMMAND, *words], env=environ, stdout=nowhere, stderr=subprocess.PIPE, text=True, check=False
        )
    assert ran.returncode == 1
    assert "what it printed could not be written (No space left on device); make room there" in ran.stderr
    assert "defect" not in ran.stderr


def test_the_progress_of_an_upload_that_cannot_be_shown_stops_no_publish(house):
    """The lines of it alone: what is said before it has found the disk with room."""
    console = Console()
    with Path("/dev/full").open("w") as nowhere, contextlib.redirect_stderr(nowhere):
        told = console.transfer("upload of Widget.pkg")
        told(0, 100)
        told(50, 100)
        told(100, 100)


def test_ctrl_c_among_several_that_are_pending_gives_one_account(house, here, failed):
    names = ("Other", "Third")
    for name in names:
        house.tenant.faults.add("POST", "library/custom-apps", kind="status", code=403)
        here("-p", house.widget(name=name, bundle_id=f"com.example.{name}"), "-n", name)
    assert len(pending(house)) == 3
    failed.again()
    running = []

    def interrupt():
        running[0].send_signal(signal.SIGINT)
        time.sleep(0.5)

    house.tenant.faults.add("POST", "library/custom-apps", kind="call", nth=2, do=interrupt)
    running.append(house.start("retry"))
    _, stderr = running[0].communicate(timeout=60)
    assert running[0].returncode == 130
    account = stderr[stderr.index("interrupted; run again") :]
    assert "done: Widget 1.0 (create)\n" in account
    assert "under way: Other" in account
    assert "not begun: Third" in account
