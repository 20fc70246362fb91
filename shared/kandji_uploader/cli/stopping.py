"""SIGTERM stops a command as Ctrl-C does; the exit code tells which of the two it was."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from types import FrameType

INTERRUPTED, TERMINATED = 130, 143
"""128 and the number of the signal, as shells count."""


@dataclass
class Stop:
    """What has stopped a command.

    Attributes:
        code: the exit code for it.
    """

    code: int = INTERRUPTED

    def terminate(self, _number: int, _frame: FrameType | None) -> None:
        """A signal handler."""
        self.code = TERMINATED
        raise KeyboardInterrupt


@contextlib.contextmanager
def sigterm_as_ctrl_c() -> Iterator[Stop]:
    """While it lasts, SIGTERM raises KeyboardInterrupt, where nobody else handles it and this is the main thread."""
    stop = Stop()
    main = threading.current_thread() is threading.main_thread()
    if not main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield stop
        return
    signal.signal(signal.SIGTERM, stop.terminate)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
