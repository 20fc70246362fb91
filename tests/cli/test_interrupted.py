"""Ctrl-C among several items: one account of what is done, under way and not begun, and it is true."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import textwrap
import threading
import time

import pytest

from tests.cli.conftest import COMMAND

NAMES = ("One", "Two", "Three", "Four", "Five")


def slow_store(house, *, after):
    """Uploads after so many take their time."""
    house.tenant.faults.add("POST", "/store", kind="slow", nth=after + 1, bytes_per_second=400_000)


NETWORK = "network: {first_wait: 0.2, settle_time: 0.1}\n"
"""How often is looked, and for what, stays as it is; but not for how long is waited in between."""


@pytest.fixture
def widgets(house):
    house.config.mkdir()
    (house.config / "config.yaml").write_text(NETWORK)
    return [house.widget(name=name, bundle_id=f"com.example.{name}", content=os.urandom(1_000_000)) for name in NAMES]


def told(text, widgets):
    """The account of a run: what it says of each item, each of which is named once."""
    account = text[text.index("interrupted; run again") :]
    found = {}
    for widget, name in zip(widgets, NAMES, strict=True):
        lines = [line for line in account.splitlines() if str(widget) in line]
        assert len(lines) == 1, f"{name} is named {len(lines)} times in\n{account}"
        found[name] = lines[0].partition(":")[0]
    return found


def wait_for_upload(house, number):
    """Until the bytes of so many installers are being sent, or will be in a moment."""
    until = time.monotonic() + 60
    while house.writes().count("POST library/custom-apps/upload") < number:
        assert time.monotonic() < until
        time.sleep(0.01)
    time.sleep(0.3)


def words(widgets, jobs):
    return [*(word for widget in widgets for word in ("-p", widget)), "-j", jobs]


def test_ctrl_c_at_a_terminal_gives_one_account_which_is_true(house, widgets):
    slow_store(house, after=1)
    with house.terminal(*words(widgets, 1), columns=500) as terminal:
        wait_for_upload(house, 2)
        terminal.ctrl_c()
        assert terminal.end() == 130
    account = told(terminal.screen, widgets)
    # One is sent while another is looked at; which of five those are is the threads' own affair.
    ended = {word: [name for name in NAMES if account[name] == word] for word in ("done", "under way", "not begun")}
    assert [len(ended["done"]), 1 <= len(ended["under way"]) <= 2] == [1, True]
    assert len(ended["done"] + ended["under way"] + ended["not begun"]) == len(NAMES)
    assert house.names() == [f"{name} (kandji-uploader)" for name in ended["done"]]
    assert terminal.screen.count("interrupted; run again") == 1
    assert re.search(r"done: \S+-1.0.pkg \(succeeded\)\n", terminal.screen)
    said = r"interrupted\. Done: nothing\. Not done: ."
    assert re.search(rf"under way: \S+-1.0.pkg: {said}", terminal.screen)
    assert "Traceback" not in terminal.screen


def test_several_jobs_and_sigterm_give_one_account_which_is_true(house, widgets):
    slow_store(house, after=0)
    slow_store(house, after=1)
    process = house.start(*words(widgets, 2))
    wait_for_upload(house, 2)
    process.send_signal(signal.SIGTERM)
    stdout, stderr = process.communicate(timeout=30)
    assert process.returncode == 143
    account = told(stderr, widgets)
    assert [account[name] for name in NAMES] == ["under way"] * 3 + ["not begun"] * 2
    assert "done: nothing\n" in stderr
    assert (stdout, house.names()) == ("", [])


# The command as it is, but that the threads have less time for their last words.
HASTY = textwrap.dedent("""
    import sys
    from kandji_uploader.cli import main, upload
    upload._LAST_WORDS = 0.2
    sys.exit(main(sys.argv[1:]))
""")


def test_a_thread_that_has_no_time_for_last_words_is_told_as_such_and_does_nothing_more(house, widgets):
    house.tenant.faults.add("POST", "library/custom-apps", kind="slow", delay=1.5)
    process = subprocess.Popen(
        [COMMAND[0], "-c", HASTY, *map(str, words(widgets, 1))],
        env=house.environ,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )
    wait_for_upload(house, 1)
    while "POST /store" not in house.writes():
        time.sleep(0.01)
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=30)
    assert process.returncode == 130
    account = told(stderr, widgets)
    assert "pkg: it had no time to say how far it was; what it has sent last may still be acted upon\n" in stderr
    time.sleep(1.6)
    (made,) = house.names() or [""]
    assert not made or account[made.split()[0]] == "under way"


def test_what_was_interrupted_is_finished_by_the_next_run(house, widgets, here):
    slow_store(house, after=1)
    process = house.start(*words(widgets, 1))
    wait_for_upload(house, 2)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    ran = here(*words(widgets, 2))
    assert ran.returncode == 0
    assert house.names() == sorted(f"{name} (kandji-uploader)" for name in NAMES)


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT])
def test_a_create_that_an_interrupted_run_has_sent_gets_no_twin(house, widgets, end):
    """The service acts upon it when the next run has read three lists already, none of which shows it."""
    running = []
    acted_upon = threading.Event()

    def lists():
        return [str(request) for request in house.tenant.requests].count("GET library/custom-apps")

    def interrupt():
        running[0].send_signal(end)
        running[0].wait()
        until, seen = time.monotonic() + 30, lists()
        while lists() < seen + 3 and time.monotonic() < until:
            time.sleep(0.02)
        acted_upon.set()

    house.tenant.faults.add("POST", "library/custom-apps", kind="call", do=interrupt)
    running.append(house.start("-p", widgets[0], "-n", "One"))
    running[0].communicate(timeout=60)
    ran = house.run("-p", widgets[0], "-n", "One")
    assert ran.returncode == 0, ran.stderr
    assert acted_upon.wait(30)
    time.sleep(0.3)
    assert house.names() == ["One"]
    assert "a run before never learnt whether 'One' was created; looking" in ran.stderr
    assert house.writes().count("POST library/custom-apps") == 1


RULES = "{after_days: 0, require_status: false}"
MAP = "".join(
    f"{name}.pkg: {{prod_name: {name}, test_name: {name} (Test), promotion: {RULES}}}\n" for name in NAMES[:3]
)


def test_ctrl_c_among_several_promotions_gives_one_account_which_is_true(house, widgets, here):
    for name, widget in list(zip(NAMES, widgets, strict=True))[:3]:
        assert here("-p", widget, "-n", f"{name} (Test)").returncode == 0
    (house.config / "config.yaml").write_text(f"use_recipe_map: true\n{NETWORK}")
    (house.config / "recipe_map.yaml").write_text(MAP)
    running = []

    def interrupt():
        running[0].send_signal(signal.SIGINT)
        time.sleep(0.5)

    house.tenant.faults.add("POST", "library/custom-apps", kind="call", nth=2, do=interrupt)
    process = house.start("promote", "--all")
    running.append(process)
    _, stderr = process.communicate(timeout=30)
    assert process.returncode == 130
    account = stderr[stderr.index("interrupted; run again") :]
    assert "done: One (promote)\n" in account
    assert "under way: Two: interrupted. Done: nothing. Not done: 'Two'" in account
    assert "not begun: Three\n" in account
    assert here("promote", "--all").returncode == 0
    assert [name for name in house.names() if "Test" not in name] == sorted(NAMES[:3])


STOPPED_WHILE_READING = """
import os, signal, sys

class Impatient:
    def find_spec(self, name, *_):
        if name == "kandji_uploader.cli":
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Impatient())
from kandji_uploader.__main__ import main
sys.exit(main())
"""


def test_ctrl_c_while_the_modules_are_read_is_no_traceback():
    done = subprocess.run([sys.executable, "-c", STOPPED_WHILE_READING], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "\nkandji-uploader: stopped\n")
