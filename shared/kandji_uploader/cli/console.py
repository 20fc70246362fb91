"""What a person sees: messages on standard error, so that standard output holds only the outcome; all of it logged."""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from kandji_uploader.cli import log
from kandji_uploader.cli.progress import Progress
from kandji_uploader.report import visible

Told = Callable[[int, int], None]


class Console:
    """Messages of one command.

    Args:
        quiet: say nothing but warnings and failures (for `--json`).
        debug: say more: each request.
        prefix: what each line begins with, to tell items apart that are worked on at the same time; there is no bar
            then, since bars would be drawn over each other.
    """

    def __init__(self, *, quiet: bool = False, debug: bool = False, prefix: str = "") -> None:
        self._quiet = quiet
        self._debug = debug
        self._prefix = f"{prefix}: " if prefix else ""
        self._bar: Progress | None = None
        self._upload: Told | None = None

    def about(self, item: str) -> Console:
        """A console for one of several items that are worked on at the same time."""
        return Console(quiet=self._quiet, debug=self._debug, prefix=item)

    def say(self, text: str) -> None:
        """What is being done."""
        self._write(logging.INFO, text, shown=not self._quiet)

    def warn(self, text: str) -> None:
        """What is odd."""
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
        nowhere = io.StringIO() if self._quiet else None
        bar = Progress(f"{self._prefix}{visible(what)}", nowhere, plain=bool(self._prefix))

        def told(done: int, total: int) -> None:
            self._bar = bar
            bar(done, total)
            if done == total:
                self._end_bar()

        return told

    @contextmanager
    def working(self) -> Iterator[None]:
        """While it lasts, HTTP requests are logged, and shown where more is to be said; at its end no bar is open."""
        wire, handler = logging.getLogger("urllib3.connectionpool"), log.Requests(self.debug)
        level, propagates = wire.level, wire.propagate
        wire.addHandler(handler)
        wire.setLevel(logging.DEBUG)
        wire.propagate = False
        try:
            yield
        finally:
            self._end_bar()
            wire.removeHandler(handler)
            wire.setLevel(level)
            wire.propagate = propagates

    def _end_bar(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _write(self, level: int, text: str, label: str = "", *, shown: bool = True) -> None:
        log.note(level, "\n".join(f"{self._prefix}{line}" for line in text.splitlines()))
        if shown and text:
            self._end_bar()
            told = "\n".join(visible(line) for line in text.splitlines())
            sys.stderr.write(f"{self._prefix}{label}{told}\n")
            sys.stderr.flush()
