"""SIGTERM as Ctrl-C: launchd, systemd and cancelled CI jobs end a run so, and it has the same things to say."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType


@contextlib.contextmanager
def sigterm_too() -> Iterator[None]:
    """While it lasts, SIGTERM raises KeyboardInterrupt: drafts are removed, and what was not done is told.

    Nothing is changed outside of the main thread, or where the caller handles SIGTERM or ignores it.
    """
    main = threading.current_thread() is threading.main_thread()
    if not main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
