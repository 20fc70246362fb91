"""A cycle tries every cask; the loop goes on whatever happens, until it is told to stop."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from functools import partial

import pytest

from kandji_uploader import schedule, settings
from kandji_uploader.errors import CaskError, InterruptedRunError
from kandji_uploader.schedule import Cron


@dataclass(frozen=True)
class Outcome:
    action: str
    error: str = ""


def publisher(**outcomes):
    """Publishes what it is told to; an exception is raised."""
    tried = []

    def publish(cask):
        tried.append(cask)
        outcome = outcomes.get(cask, Outcome("succeeded"))
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    publish.tried = tried
    return publish


def test_a_cask_that_fails_does_not_keep_the_others_from_being_tried(tmp_path):
    publish = publisher(
        a=Outcome("failed", "no token"), b=CaskError("no such cask"), c=ZeroDivisionError(), e=Outcome("skipped")
    )
    said = []
    cycle = schedule.run_cycle(Cron(tmp_path, tuple("abcde")), publish, said.append, tmp_path)
    assert publish.tried == list("abcde")
    assert cycle.actions == {"a": "failed", "b": "failed", "c": "failed", "d": "succeeded", "e": "skipped"}
    assert cycle.failed
    assert said[0] == "a: failed: no token"
    assert said[1] == "b: failed: no such cask"
    assert "unexpected ZeroDivisionError" in said[2]
    assert said[3:] == ["d: succeeded", "e: skipped"]


def test_what_became_of_the_last_cycle_is_remembered(tmp_path):
    assert schedule.last_cycle(tmp_path) is None
    times = iter((100.0, 160.0))
    cycle = schedule.run_cycle(Cron(tmp_path, ("a",)), publisher(), print, tmp_path, now=lambda: next(times))
    assert schedule.last_cycle(tmp_path) == cycle
    assert (cycle.started, cycle.ended, cycle.failed) == (100.0, 160.0, False)
    (tmp_path / "schedule.json").write_text("[]")
    assert schedule.last_cycle(tmp_path) is None


def test_a_state_folder_that_cannot_be_written_fails_no_cycle(tmp_path):
    (tmp_path / "file").write_text("")
    said = []
    cycle = schedule.run_cycle(Cron(tmp_path, ("a",)), publisher(), said.append, tmp_path / "file")
    assert not cycle.failed
    assert "could not be noted" in said[-1]


def test_an_interrupted_cask_ends_the_cycle(tmp_path):
    publish = publisher(a=InterruptedRunError("stopped in mid upload"))
    with pytest.raises(InterruptedRunError):
        schedule.run_cycle(Cron(tmp_path, ("a", "b")), publish, print, tmp_path)
    assert publish.tried == ["a"]


def test_an_interrupted_cycle_is_what_the_status_tells_of(tmp_path):
    publish = publisher(b=InterruptedRunError("stopped in mid upload"))
    with pytest.raises(InterruptedRunError):
        schedule.run_cycle(Cron(tmp_path, ("a", "b", "c")), publish, print, tmp_path)
    noted = schedule.last_cycle(tmp_path)
    assert {cask: noted.actions[cask] for cask in ("b", "c")} == {"b": "interrupted", "c": "not begun"}
    assert sorted(noted.actions) == ["a", "b", "c"]


class Hours(schedule.StopFlag):
    """Does not wait, but notes how long it was asked to; `then` is called after each wait."""

    def __init__(self, then):
        super().__init__()
        self.then = then
        self.waits = []

    def wait(self, seconds):
        self.waits.append(seconds)
        self.then(len(self.waits))
        if len(self.waits) == 3:
            self.ask()


def test_the_loop_reads_the_file_anew_and_looks_again_soon_at_a_broken_one(tmp_path):
    path = tmp_path / "brew_cron.json"
    path.write_text('{"brew_casks": ["a"], "every_n_hours": 2}')

    def edit(number):
        path.write_text('{"brew_casks": ["b"' if number == 1 else '{"brew_casks": ["b", "c"], "every_n_hours": 5}')

    publish, said, stop = publisher(a=ZeroDivisionError()), [], Hours(edit)
    schedule.loop(partial(schedule.read, tmp_path, settings), lambda: publish, said.append, tmp_path / "state", stop)
    assert publish.tried == ["a", "b", "c"]
    assert [round(wait / 60) for wait in stop.waits] == [120, 10, 300]
    assert "unexpected ZeroDivisionError" in said[0]
    assert [line.split(" at ")[0] for line in said if line.startswith("next")] == ["next cycle"] * 3
    assert "this cycle was left out" in said[2]
    assert "brew_cron.json, line 1" in said[2]
    assert said[-1] == "the schedule was stopped"


def test_a_cycle_that_took_longer_than_the_hours_is_followed_at_once(tmp_path, monkeypatch):
    (tmp_path / "brew_cron.json").write_text('{"brew_casks": ["a"], "every_n_hours": 1}')
    clock = iter(range(0, 10**6, 5000))
    monkeypatch.setattr("kandji_uploader.schedule.cycle.time.time", lambda: float(next(clock)))
    stop = Hours(lambda _: None)
    schedule.loop(partial(schedule.read, tmp_path, settings), publisher, lambda _: None, tmp_path / "state", stop)
    assert all(wait <= 0 for wait in stop.waits)


# The command line as it is, but for what publishes.
COMMAND = textwrap.dedent("""
    import sys, time, types
    from kandji_uploader.errors import InterruptedRunError

    def process_brew(cask, **options):
        if cask == "slow":
            try:
                print("publishing slow", flush=True)
                time.sleep(30)
            except KeyboardInterrupt:
                raise InterruptedRunError("stopped; slow was not published") from None
        failed = cask == "bad"
        return types.SimpleNamespace(action="failed" if failed else "succeeded", error="no such cask" if failed else "")

    api = types.ModuleType("kandji_uploader.api")
    api.process_brew = process_brew
    sys.modules["kandji_uploader.api"] = api
    import kandji_uploader
    kandji_uploader.api = api
    from kandji_uploader.cli import main
    sys.exit(main(sys.argv[1:]))
""")


def command(folder, *words):
    """The command line in a process of its own."""
    places = {"KANDJI_UPLOADER_DIR": str(folder), "KANDJI_UPLOADER_STATE_DIR": str(folder / "state")}
    env = {**os.environ, **places, "PYTHONPATH": "shared", "PYTHONUNBUFFERED": "1"}
    return subprocess.Popen(
        [sys.executable, "-c", COMMAND, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env
    )


def cron(folder, *casks):
    (folder / "brew_cron.json").write_text(json.dumps({"brew_casks": casks, "every_n_hours": 2}))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_a_waiting_loop_promptly_and_cleanly(tmp_path, number):
    cron(tmp_path, "good", "bad")
    process = command(tmp_path, "schedule", "run", "--loop")
    lines = [process.stdout.readline() for _ in range(3)]
    assert lines[:2] == ["good: succeeded\n", "bad: failed: no such cask\n"]
    assert lines[2].startswith("next cycle at 20")
    process.send_signal(number)
    said, errors = process.communicate(timeout=20)
    assert (process.returncode, said, errors) == (0, "the schedule was stopped\n", "")


def status(folder, *flags):
    process = command(folder, "schedule", "status", *flags)
    return process.communicate(timeout=20)[0].splitlines(), process.returncode


def test_the_status_tells_of_a_loop_that_runs_and_of_no_other(tmp_path):
    loop = command(tmp_path, "schedule", "run", "--loop")
    assert "this cycle was left out" in loop.stdout.readline()
    assert loop.stdout.readline().startswith("next cycle at")
    cron(tmp_path, "good")
    lines, code = status(tmp_path, "--loop")
    assert re.search(
        r"^`schedule run --loop` runs since 20.*: next cycle at 20.*; the last one was left out: ", lines[1]
    )
    assert code == 1, "it does not publish what is written there"
    loop.kill()
    loop.communicate(timeout=20)
    cron(tmp_path, "slow")
    loop = command(tmp_path, "schedule", "run", "--loop")
    assert loop.stdout.readline() == "publishing slow\n"
    lines, code = status(tmp_path, "--loop")
    assert (lines[1].rpartition(": ")[2], code) == ("a cycle is under way", 0)
    loop.kill()
    loop.communicate(timeout=20)
    lines, code = status(tmp_path, "--loop")
    assert "runs since" not in lines[1]
    assert code == 1
    assert status(tmp_path)[1] == 0, "without --loop it may be a timer that starts the cycles"


def test_a_signal_in_mid_publication_says_what_was_not_done(tmp_path):
    cron(tmp_path, "first", "slow", "good")
    process = command(tmp_path, "schedule", "run", "--loop")
    assert process.stdout.readline() == "first: succeeded\n"
    assert process.stdout.readline() == "publishing slow\n"
    process.send_signal(signal.SIGTERM)
    said, errors = process.communicate(timeout=20)
    assert (process.returncode, errors) == (0, "")
    assert said.splitlines() == [
        "interrupted; run again, which does nothing twice",
        "done: first (succeeded)",
        "under way: slow: stopped; slow was not published",
        "not begun: good",
        "the schedule was stopped",
    ]


def test_one_cycle_tells_by_its_exit_code_whether_a_cask_failed(tmp_path):
    cron(tmp_path, "good")
    process = command(tmp_path, "schedule", "run")
    assert process.communicate(timeout=60)[0] == "good: succeeded\n"
    assert process.returncode == 0
    cron(tmp_path, "bad", "good")
    process = command(tmp_path, "schedule", "run")
    assert process.communicate(timeout=60)[0] == "bad: failed: no such cask\ngood: succeeded\n"
    assert process.returncode == 1
