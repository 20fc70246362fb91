"""The log file of the command line: what was said, with the time, kept over a few rotations; never a secret.

The logger is nobody's child: what the library says reaches it through the console only, and importing or running us
leaves the caller's `logging` as it was.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from kandji_uploader.report.layout import visible

FILE_NAME = "kandji-uploader.log"
_FIELDS_OF_A_REQUEST = 8

LOG = logging.Logger("kandji-uploader")  # noqa: LOG001 - not one of the process's loggers, on purpose
"""Where commands log; to nowhere until `to_folder` says where."""
LOG.addHandler(logging.NullHandler())


def to_folder(folder: Path) -> Path:
    """Log to a file in that folder, which is made when there is something to log; returns the file's path."""
    close()
    path = folder / FILE_NAME
    from kandji_uploader.cli.log_file import LogFile  # what it needs is a fifth of a start

    handler = LogFile(path)
    handler.setFormatter(logging.Formatter("%(asctime)s %(process)d %(levelname)s %(message)s"))
    LOG.addHandler(handler)
    return path


def note(level: int, text: str) -> None:
    """Log a text, line by line; control characters are shown, so that nothing can pass for a line of ours."""
    for line in text.splitlines():
        LOG.log(level, "%s", visible(line))


def close() -> None:
    """Log to nowhere."""
    for handler in [each for each in LOG.handlers if not isinstance(each, logging.NullHandler)]:
        LOG.removeHandler(handler)
        handler.close()


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
