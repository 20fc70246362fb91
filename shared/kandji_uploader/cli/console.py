"""What a person sees: messages on standard error, so that standard output holds only the outcome; all of it logged."""

from __future__ import annotations

import errno
import io
import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass
from functools import partial

from kandji_uploader.cli import log, screen
from kandji_uploader.cli.progress import Progress
from kandji_uploader.report.layout import visible

Told = Callable[[int, int], None]


@dataclass
class _Screen:
    """What several consoles share: the one bar that may be open on it."""

    bar: Progress | None = None

    def write(self, text: str) -> None:
        """Write whole lines, below the bar if there is one."""
        self.end_bar()
        with _outlasting_a_full_disk():
            sys.stderr.write(text)
            sys.stderr.flush()

    def draw(self, bar: Progress, done: int, total: int) -> None:
        """Show how far a transfer is."""
        self.bar = bar
        with _outlasting_a_full_disk():
            bar(done, total)
        if done == total:
            self.end_bar()

    def end_bar(self) -> None:
        """End the bar's line."""
        bar, self.bar = self.bar, None
        if bar is not None:
            with _outlasting_a_full_disk():
                bar.close()


@contextmanager
def _outlasting_a_full_disk() -> Iterator[None]:
    """A full disk behind `2>FILE` does not stop a publish in the middle; the rest is for the log only."""
    try:
        yield
    except OSError as problem:
        if problem.errno != errno.ENOSPC:
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())


class Console:
    """Messages of one command; several threads may use it.

    Args:
        quiet: say nothing but warnings and failures (for `--json`), as with `--quiet`.
        debug: say more: each request.
    """

    def __init__(self, *, quiet: bool = False, debug: bool = False) -> None:
        self._quiet = quiet or screen.CHOICE.quiet
        self._debug = debug
        self._prefix = ""
        self._bars = True
        self._screen = _Screen()
        self._upload: Told | None = None

    def about(self, item: str, *, bars: bool) -> Console:
        """The console for one of several items, whose lines begin with it.

        Args:
            item: what the lines begin with.
            bars: whether there may be a bar; not where several transfers go on at the same time.
        """
        other = copy(self)
        other._prefix, other._bars = f"{item}: ", bars  # noqa: SLF001 - one of us
        return other

    def say(self, text: str) -> None:
        """A message about progress."""
        self._write(logging.INFO, text, shown=not self._quiet)

    def warn(self, text: str) -> None:
        """A warning."""
        self._write(logging.WARNING, text, "warning: ")

    def fail(self, text: str) -> None:
        """What went wrong."""
        self._write(logging.ERROR, text, "error: ")

    def debug(self, text: str) -> None:
        """What only somebody who looks for an error wants to know."""
        self._write(logging.DEBUG, text, shown=self._debug)

    def progress(self, done: int, total: int) -> None:
        """How far the upload is, in bytes."""
        if self._upload is None:
            self._upload = self.transfer("upload")
        self._upload(done, total)

    def transfer(self, what: str) -> Told:
        """A function to be told how far a transfer is, in bytes."""
        nowhere = io.StringIO() if self._quiet or not screen.CHOICE.progress else None
        bar = Progress(visible(what), nowhere, plain=not self._bars)

        return partial(self._screen.draw, bar)

    @contextmanager
    def working(self) -> Iterator[None]:
        """While it lasts, HTTP requests are logged, and shown where more is to be said; at its end no bar is open."""
        requests, handler = logging.getLogger("urllib3.connectionpool"), log.Requests(self.debug)
        level, propagates = requests.level, requests.propagate
        requests.addHandler(handler)
        requests.setLevel(logging.DEBUG)
        requests.propagate = False
        try:
            yield
        finally:
            self._screen.end_bar()
            requests.removeHandler(handler)
            requests.setLevel(level)
            requests.propagate = propagates

    def _write(self, level: int, text: str, label: str = "", *, shown: bool = True) -> None:
        log.note(level, "\n".join(f"{self._prefix}{line}" for line in text.splitlines()))
        if shown and text:
            shape = screen.of(sys.stderr)
            first = f"{visible(self._prefix)}{label}"
            lines = f"{first}{text}".splitlines()
            told = "\n".join(shape.wrapped(visible(line), "  ") for line in lines)
            self._screen.write(f"{told.replace(label, shape.paint(label.removesuffix(': '), label), 1)}\n")
