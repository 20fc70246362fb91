"""What a person sees: messages on standard error, so that standard output holds only the outcome."""

from __future__ import annotations

import sys

from kandji_uploader.report import visible


class Console:
    """Messages of one command.

    Args:
        quiet: say nothing but warnings and failures (for `--json`).
        debug: say more.
    """

    def __init__(self, *, quiet: bool = False, debug: bool = False) -> None:
        self._quiet = quiet
        self._debug = debug

    def say(self, text: str) -> None:
        """What is being done."""
        if not self._quiet:
            self._write(text)

    def warn(self, text: str) -> None:
        """What is odd."""
        self._write(f"warning: {text}")

    def fail(self, text: str) -> None:
        """What went wrong."""
        self._write(f"error: {text}")

    def progress(self, done: int, total: int) -> None:
        """How far a transfer is, in bytes."""

    def _write(self, text: str) -> None:
        print("\n".join(visible(line) for line in text.splitlines()), file=sys.stderr, flush=True)
