"""The log file of the command line: what was said, with the time, kept over a few rotations; never a secret.

The logger is nobody's child: what the library says reaches it through the console only, and importing or running us
leaves the caller's `logging` as it was.
"""

from __future__ import annotations

import contextlib
import logging
import logging.handlers
import os
import sys
from collections.abc import Callable
from io import TextIOWrapper
from pathlib import Path
from urllib.parse import urlsplit

from kandji_uploader._util import files
from kandji_uploader.report.layout import visible

FILE_NAME = "kandji-uploader.log"
_SIZE = 1_000_000
"""Bytes of one file."""
_KEPT = 5
_FIELDS_OF_A_REQUEST = 8

LOG = logging.Logger("kandji-uploader")  # noqa: LOG001 - not one of the process's loggers, on purpose
"""Where commands log; to nowhere until `to_folder` says where."""
LOG.addHandler(logging.NullHandler())


def to_folder(folder: Path) -> Path:
    """Log to a file in that folder, which is made when there is something to log; returns the file's path."""
    close()
    path = folder / FILE_NAME
    handler = _File(path)
    handler.setFormatter(logging.Formatter("%(asctime)s %(process)d %(levelname)s %(message)s"))
    LOG.addHandler(handler)
    return path


def note(level: int, text: str) -> None:
    """Log a text, line by line; control characters are shown, so that nothing can pass for a line of ours."""
    for line in text.splitlines():
        LOG.log(level, "%s", visible(line))


def close() -> None:
    """Log to nowhere."""
    for handler in [each for each in LOG.handlers if isinstance(each, _File)]:
        LOG.removeHandler(handler)
        handler.close()


class _File(logging.handlers.RotatingFileHandler):
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
        if not self._broken:
            self._broken = True
            reason = getattr(sys.exc_info()[1], "strerror", None) or "it cannot be written"
            print(f"warning: no log is kept in {self.baseFilename}: {reason}", file=sys.stderr)


class Requests(logging.Handler):
    """Passes on each HTTP request that urllib3 reports, cut down to what cannot hold a secret.

    Of the API that is method, path and status; of any other host (a webhook's path is a secret, and so is the query
    of a download) the host only. What does not look like such a report is dropped.

    Args:
        say: told one line per request.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        super().__init__(logging.DEBUG)
        self._say = say

    def emit(self, record: logging.LogRecord) -> None:
        """Take one report of urllib3: scheme, host, port, method, path, protocol, status and length."""
        args = record.args
        if not isinstance(args, tuple) or len(args) != _FIELDS_OF_A_REQUEST:
            return
        _, host, _, method, address, _, status, _ = args
        path = urlsplit(str(address)).path
        shown = path if path.startswith("/api/v1/") else "/(not shown)"
        self._say(f"{method} {host}{shown}: {status}")
