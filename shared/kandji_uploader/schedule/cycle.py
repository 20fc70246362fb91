"""Run the schedule: one cycle over all casks, or cycle after cycle until told to stop."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

from kandji_uploader._util.files import write_private
from kandji_uploader.errors import InterruptedRunError, KandjiUploaderError, SettingsError
from kandji_uploader.schedule.cron import Cron
from kandji_uploader.schedule.running import noted

_STATE = "schedule.json"
_HOUR = 3600.0
_LOOK_AGAIN = 600.0
"""Seconds until a schedule that was wrong or missing is read again."""


class CaskResult(Protocol):
    """What publishing one cask comes to, as the Python API says it."""

    @property
    def action(self) -> str:
        """`succeeded`, `skipped`, `failed` or `dry_run`."""

    @property
    def error(self) -> str:
        """What went wrong; "" where nothing did."""


Publish = Callable[[str], CaskResult]
Say = Callable[[str], None]


@dataclass(frozen=True)
class Cycle:
    """What became of one cycle.

    Attributes:
        started: epoch seconds.
        ended: epoch seconds.
        actions: per cask, what was done.
        errors: per cask that failed, why.
    """

    started: float
    ended: float
    actions: dict[str, str]
    errors: dict[str, str]

    @property
    def failed(self) -> bool:
        """Whether any cask failed."""
        return bool(self.errors)


class StopFlag:
    """Tells a loop to end. A plain flag: the locks of `threading` can deadlock in a signal handler.

    Attributes:
        asked: whether it was asked.
    """

    def __init__(self) -> None:
        self.asked = False

    def ask(self, *_: object) -> None:
        """A signal handler: the running publish is interrupted as by Ctrl-C, and tells itself what was not done."""
        if not self.asked:
            self.asked = True
            raise KeyboardInterrupt

    def wait(self, seconds: float) -> None:
        """Wait so long; the handler's exception ends it."""
        if not self.asked:
            time.sleep(max(seconds, 0.0))


def run_cycle(
    cron: Cron, publish: Publish, say: Say, state_folder: Path | None, now: Callable[[], float] = time.time
) -> Cycle:
    """Publish each cask of the schedule; one that fails does not keep the others from being tried.

    Args:
        cron: the schedule.
        publish: publishes one cask.
        say: told one line per cask.
        state_folder: where what became of the cycle is noted for `last_cycle`; None in a dry run, which writes nothing.
        now: epoch seconds.

    Raises:
        InterruptedRunError: SIGINT or SIGTERM; the text says which casks are done, were under way, or not begun.
    """
    started = now()
    actions: dict[str, str] = {}
    errors: dict[str, str] = {}
    for number, cask in enumerate(cron.casks):
        try:
            action, error = _one(cask, publish)
        except InterruptedRunError as stopped:
            left = cron.casks[number + 1 :]
            if state_folder is not None:
                unfinished = {cask: "interrupted", **dict.fromkeys(left, "not begun")}
                _note(Cycle(started, now(), {**actions, **unfinished}, errors), state_folder, say)
            raise InterruptedRunError.among(actions, {cask: str(stopped)}, left) from None
        actions[cask] = action
        if action == "failed":
            errors[cask] = error
        say(f"{cask}: {action}{f': {error}' if error else ''}")
    cycle = Cycle(started, now(), actions, errors)
    if state_folder is not None:
        _note(cycle, state_folder, say)
    return cycle


def _one(cask: str, publish: Publish) -> tuple[str, str]:
    try:
        outcome = publish(cask)
    except InterruptedRunError:
        raise
    except KandjiUploaderError as problem:
        return "failed", str(problem)
    except Exception as problem:  # noqa: BLE001 - a bug that one cask brings out must not stop the others
        return "failed", f"unexpected {type(problem).__name__}; run `kandji-uploader -b {cask} -d` and report it"
    return outcome.action, outcome.error


def loop(
    read: Callable[[], Cron], begin: Callable[[], Publish], say: Say, state_folder: Path | None, stop: StopFlag
) -> None:
    """Run cycle after cycle until stopped; whatever goes wrong in one, the next one is tried.

    The file is read again before each cycle, so edits count from the next one on, and so do people's changes in Kandji.

    Args:
        read: reads the schedule, or raises `SettingsError`.
        begin: called when a cycle begins; returns what publishes one cask of it.
        say: called with each message.
        state_folder: where each cycle is noted; None for nowhere.
        stop: asked by a signal.
    """
    try:
        with noted(state_folder) as note:
            while not stop.asked:
                note(None, "")
                next_start, problem = _begin_one(read, begin, say, state_folder)
                note(next_start, problem)
                say(f"next cycle at {clock(next_start)}")
                stop.wait(next_start - time.time())
    except InterruptedRunError as stopped:
        say(str(stopped))
    except KeyboardInterrupt:
        pass
    say("the schedule was stopped")


def _begin_one(
    read: Callable[[], Cron], begin: Callable[[], Publish], say: Say, state_folder: Path | None
) -> tuple[float, str]:
    """One cycle of a loop: when the next one begins, and why this one was left out, if it was."""
    began, left_out = time.time(), ""
    try:
        cron = read()
        pause = cron.hours * _HOUR
        run_cycle(cron, begin(), say, state_folder)
    except SettingsError as problem:
        pause, left_out = _LOOK_AGAIN, str(problem)
        say(f"this cycle was left out: {left_out}")
    return max(began + pause, time.time()), left_out


def last_cycle(state_folder: Path) -> Cycle | None:
    """What became of the last cycle on this machine; None where there was none."""
    try:
        return Cycle(**json.loads((state_folder / _STATE).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _note(cycle: Cycle, state_folder: Path, say: Say) -> None:
    try:
        write_private(state_folder / _STATE, json.dumps(asdict(cycle)))
    except OSError as problem:
        say(f"what became of this cycle could not be noted in {state_folder} ({problem.strerror})")


def clock(epoch: float) -> str:
    """A time as an admin reads it, in the machine's time zone."""
    return time.strftime("%Y-%m-%d %H:%M:%S %Z", time.localtime(epoch))
