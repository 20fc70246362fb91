"""The file that commands log to."""

from __future__ import annotations

import contextlib
import logging
import logging.handlers
import os
import sys
from io import TextIOWrapper
from pathlib import Path

from kandji_uploader._util import files

_SIZE = 1_000_000
"""Bytes of one file."""
_KEPT = 5


class LogFile(logging.handlers.RotatingFileHandler):
    """A rotating file of mode 0600 in a folder of mode 0700. A disk that is full or read-only does not stop a run."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, maxBytes=_SIZE, backupCount=_KEPT, encoding="utf-8", delay=True)
        self._broken = False

    def _open(self) -> TextIOWrapper:
        files.private_folder(Path(self.baseFilename).parent)
        return TextIOWrapper(
            os.fdopen(os.open(self.baseFilename, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "ab"),
            encoding=self.encoding,
        )

    def close(self) -> None:
        """End it. What a full disk has not taken is tried once more by the file, which is no reason to fail here."""
        with contextlib.suppress(OSError):
            super().close()

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: ARG002, N802 - its name in the standard library
        """Say once that there is no log."""
        if not self._broken:
            self._broken = True
            reason = getattr(sys.exc_info()[1], "strerror", None) or "it cannot be written"
            print(f"warning: no log is kept in {self.baseFilename}: {reason}", file=sys.stderr)
