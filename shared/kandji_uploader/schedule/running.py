"""A `schedule run --loop` holds a file of the state folder as long as it runs, and says there what it does.

A process that is gone, however it ended, holds nothing; so what is told of a loop is true of one that runs.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from kandji_uploader._util import files

_FILE = "schedule_loop.json"
_GRACE = 600.0
"""Seconds after which a cycle that has not begun is late: a machine that sleeps or has much to do takes its time."""


@dataclass(frozen=True)
class Running:
    """A loop that runs.

    Attributes:
        since: when it began, epoch seconds.
        next_cycle: when the next cycle begins, epoch seconds; None while one is under way.
        problem: why the last cycle was left out; "" where it was not.
    """

    since: float
    next_cycle: float | None = None
    problem: str = ""

    def is_late(self) -> bool:
        """Whether the next cycle ought to have begun."""
        return self.next_cycle is not None and time.time() > self.next_cycle + _GRACE


@contextlib.contextmanager
def noted(state_folder: Path | None) -> Iterator[Callable[[float | None, str], None]]:
    """While a loop runs; yields what notes when the next cycle begins, and why the last one was left out.

    Args:
        state_folder: None, or one that cannot be written, notes nothing: that fails no loop.
    """
    since = time.time()
    with contextlib.ExitStack() as stack:
        handle: int | None = None
        with contextlib.suppress(OSError):
            if state_folder is not None:
                path = files.private_folder(state_folder) / _FILE
                handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
                stack.callback(os.close, handle)

        def note(next_cycle: float | None, problem: str) -> None:
            with contextlib.suppress(OSError):
                if handle is not None and files.lock(handle):  # else it is another loop's
                    text = json.dumps(asdict(Running(since, next_cycle, problem))).encode()
                    os.pwrite(handle, text, 0)
                    os.ftruncate(handle, len(text))

        yield note


def running(state_folder: Path) -> Running | None:
    """The loop that runs on this machine, or in this container; None where none does."""
    try:
        with (state_folder / _FILE).open("rb") as file:
            return Running(**json.loads(file.read())) if files.lock(file.fileno()) is False else None
    except (OSError, ValueError, TypeError):
        return None
