"""SIGTERM as Ctrl-C: launchd, systemd and cancelled CI jobs end a run so, and it has the same things to say.

A signal reaches the main thread only. Work in other threads asks here, between blocks and while it waits, whether it
is to stop, and then ends as if the signal had reached it.
"""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from types import FrameType

from kandji_uploader._util import timings


class Stop:
    """The signal that ends a run.

    Attributes:
        signal: SIGTERM once it has come; otherwise SIGINT, which Python itself turns into KeyboardInterrupt.
    """

    signal: signal.Signals = signal.SIGINT

    @property
    def exit_code(self) -> int:
        """128 and the number of the signal, as shells count: 130 or 143."""
        return 128 + self.signal

    def terminate(self, _number: int, _frame: FrameType | None) -> None:
        """The handler of SIGTERM."""
        self.signal = signal.SIGTERM
        raise KeyboardInterrupt


@contextlib.contextmanager
def sigterm_as_ctrl_c() -> Iterator[Stop]:
    """While it lasts, SIGTERM raises KeyboardInterrupt: drafts are removed, and the run tells what was not done.

    Nothing is changed outside of the main thread, or where the caller handles SIGTERM or ignores it.
    """
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


_stopping = threading.Event()


@contextlib.contextmanager
def stopping_others(threads: Sequence[threading.Thread] = ()) -> Iterator[threading.Event]:
    """Yields what ends the work of all other threads once it is set; it is unset again in the end.

    Args:
        threads: it stays set while one of them lives, which must not go on where it was left to itself.
    """
    try:
        yield _stopping
    finally:
        if not any(thread.is_alive() for thread in threads):
            _stopping.clear()


def check() -> None:
    """Raise KeyboardInterrupt in a thread that is to stop."""
    if _stopping.is_set() and threading.current_thread() is not threading.main_thread():
        raise KeyboardInterrupt


@timings.at("waiting")
def pause(seconds: float) -> None:
    """Wait; raises KeyboardInterrupt as `check` does, however long the wait still was."""
    if threading.current_thread() is threading.main_thread():
        time.sleep(seconds)
    else:
        _stopping.wait(seconds)
        check()
