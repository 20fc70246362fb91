"""How far a transfer is: a bar with speed and time left on a terminal, a line every ten per cent elsewhere."""

from __future__ import annotations

import os
import sys
import time
from collections import deque
from collections.abc import Callable
from typing import TextIO

_COLUMNS = 80
"""The width of a terminal that does not tell."""
_REDRAWN_AFTER = 0.1
"""Seconds."""
_SPEED_OVER = 5.0
"""Seconds that the speed is the mean of."""
_STEP = 10
"""Per cent between two plain lines."""
_STEP_OF_UNKNOWN = 100 * 1000 * 1000
"""Bytes between two plain lines where the size is not known."""


class Progress:
    """The progress of one transfer; call it with the bytes that are done and the bytes in all (0: not known).

    It is a context manager, so that a bar is closed by a line end whatever happens.

    Args:
        what: the name of the transfer, such as `upload of Firefox.dmg`.
        stream: where it is shown; standard error by default.
        clock: seconds.
        plain: no bar, even on a terminal.
    """

    def __init__(
        self,
        what: str,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
        *,
        plain: bool = False,
    ) -> None:
        self._what = what
        self._stream = stream or sys.stderr
        self._clock = clock
        self._bar = self._stream.isatty() and os.environ.get("TERM") != "dumb" and not plain
        self._seen: deque[tuple[float, int]] = deque()
        self._shown_at = float("-inf")
        self._shown_step = 0
        self._width = 0
        self._last = (0, 0)

    def __enter__(self) -> Progress:  # noqa: PYI034 - typing.Self is newer than Python 3.10
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __call__(self, done: int, total: int) -> None:
        """Show that `done` of `total` bytes are there."""
        now = self._clock()
        if not self._seen or done < self._last[0]:
            # The first call, or a transfer that started again. The bytes of before a resume do not count as speed.
            self._seen.clear()
            self._shown_step = self._step(done, total) if not self._bar else 0
        self._seen.append((now, done))
        while len(self._seen) > 2 and now - self._seen[1][0] > _SPEED_OVER:  # noqa: PLR2004 - two make a speed
            self._seen.popleft()
        self._last = (done, total)
        if self._bar:
            if now - self._shown_at >= _REDRAWN_AFTER or done == total:
                self._draw(now)
        elif self._step(done, total) > self._shown_step:
            self._shown_step = self._step(done, total)
            self._stream.write(f"{self._what}: {self._figures()}\n")
            self._stream.flush()

    def close(self) -> None:
        """End the bar's line, with the last figures in it; more than once does no harm."""
        if self._bar and self._width:
            self._draw(self._clock())
            self._stream.write("\n")
            self._stream.flush()
            self._width = 0

    def _draw(self, now: float) -> None:
        """Write the bar over the one before, within the terminal's width."""
        self._shown_at = now
        columns = self._columns() - 1
        figures = self._figures()
        room = columns - len(self._what) - len(figures) - 5
        line = f"{self._what}  {figures}"
        done, total = self._last
        if total and room >= 10:  # noqa: PLR2004 - a shorter bar tells nothing
            length = min(room, 40)
            full = min(length * done // total, length)
            line = f"{self._what}  [{'#' * full}{'.' * (length - full)}] {figures}"
        line = line[:columns]
        self._stream.write(f"\r{line.ljust(min(self._width, columns))}")
        self._stream.flush()
        self._width = len(line)

    def _columns(self) -> int:
        """The width of the terminal that is written to; standard output may be another one, or a file."""
        try:
            return os.get_terminal_size(self._stream.fileno()).columns or _COLUMNS
        except OSError:
            return _COLUMNS

    def _figures(self) -> str:
        done, total = self._last
        speed = self._speed()
        rate = f", {size(speed)}/s" if speed else ""
        if not total:
            return f"{size(done)}{rate}"
        left = f", {duration((total - done) / speed)} left" if speed and done < total else ""
        return f"{done * 100 // total:3d} % of {size(total)}{rate}{left}"

    def _speed(self) -> float:
        """Bytes a second, of late; 0 where that is not known yet."""
        (began, before), (now, done) = self._seen[0], self._seen[-1]
        return (done - before) / (now - began) if now > began and done > before else 0.0

    @staticmethod
    def _step(done: int, total: int) -> int:
        return done * 100 // total // _STEP if total else done // _STEP_OF_UNKNOWN


def size(count: float) -> str:
    """Bytes as text, in the decimal units that macOS uses."""
    for unit in ("bytes", "kB", "MB"):
        if count < 999.5:  # noqa: PLR2004 - 1000 as shown
            return f"{count:.0f} {unit}" if unit != "MB" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.2f} GB"


def duration(seconds: float) -> str:
    """A time span as `M:SS`, or `H:MM:SS`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
