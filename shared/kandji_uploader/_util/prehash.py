"""The sha256 of a large file, begun in a thread of its own while the tenant's list is waited for.

A caller that needs the digest waits for the rest of it. An upload that needs none of it before it begins goes on from
where the thread has come to, and digests the rest while it is sent.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kandji_uploader._util import signals
from kandji_uploader._util.files import FileIdentity, identity

if TYPE_CHECKING:
    from hashlib import _Hash

WORTHWHILE = 16 << 20
"""Bytes from which on it is worth a thread; up to there the digest takes a hundredth of a second."""
_BLOCK = 1 << 20
_LOOK = 0.1
"""Seconds between two looks at whether the work is to stop."""


@dataclass(frozen=True)
class PartialDigest:
    """A sha256 of the first bytes of a file.

    Attributes:
        digest: it; a caller that adds to it takes a copy.
        size: of how many bytes.
        identity: of the file that it was read from, when it was opened; None where it was not.
    """

    digest: _Hash
    size: int
    identity: FileIdentity | None


class BackgroundDigest:
    """Digests a file from its beginning until it is told to stop or comes to the end."""

    def __init__(self, path: Path) -> None:
        import hashlib

        self._path = path
        self._identity: FileIdentity | None = None
        self._digest = hashlib.sha256()
        self._size = 0
        self._whole = False
        self._stopping = threading.Event()
        thread = threading.Thread(target=self._work, name="sha256 ahead", daemon=True)
        thread.start()
        self._thread: threading.Thread | None = thread  # not before: what was not started cannot be joined

    def finish(self, seen: FileIdentity) -> str | None:
        """Hex digest of the whole file; None where it could not be read to its end, or is not the one that was seen."""
        self._join()
        return self._digest.hexdigest() if self._whole and self._identity == seen else None

    def stop(self) -> PartialDigest:
        """Stop where it is."""
        self._stopping.set()
        self._join()
        return PartialDigest(self._digest, self._size, self._identity)

    def _join(self) -> None:
        while self._thread is not None:
            signals.check()
            self._thread.join(_LOOK)
            if not self._thread.is_alive():
                self._thread = None

    def _work(self) -> None:
        block = memoryview(bytearray(_BLOCK))
        try:
            with self._path.open("rb", buffering=0) as file:
                self._identity = identity(file.fileno())
                while not self._stopping.is_set():
                    count = file.readinto(block)
                    if not count:
                        self._whole = True
                        return
                    self._digest.update(block[:count])
                    self._size += count
        except OSError:  # the caller reads the file again, and tells the error
            return
