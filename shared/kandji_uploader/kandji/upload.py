"""The upload form: a file sent as multipart/form-data without ever holding it in memory.

S3 wants a form POST with a known Content-Length, every field of the policy first and `file` last. `requests`' own
`files=` reads the whole file into memory (twice), and requests-toolbelt cannot rewind for a retry. So there is this
small stream: it knows its length, can be rewound, and hashes what it sends, so that the file is read once. Another
thread does the hashing: hashing and sending both release Python's lock, so neither waits for the other.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from io import FileIO
from pathlib import Path
from queue import SimpleQueue

from kandji_uploader._util.files import FileIdentity, identity
from kandji_uploader._util.prehash import PartialDigest
from kandji_uploader.errors import InstallerChangedError, InstallerError
from kandji_uploader.http import BLOCK

_BUFFERS = 4
"""Blocks of a form in memory: what the hashing may be behind the sending."""

Progress = Callable[[int, int], None]
"""Called with the bytes sent so far and the bytes in all."""


class UploadForm:
    """A file and its form fields as one readable stream of known length.

    Used as a context manager, which opens and closes the file. After it was read to its end, `sha256` is the hex
    digest of the file's bytes as they were sent.

    Args:
        path: the file.
        fields: of the form; they come before the file.
        progress: told the bytes sent.
        begun: a digest of the file's first bytes, which need not be digested again, and which file that was: no other
            is sent.

    Raises (on entering and while being read):
        InstallerError: the file cannot be read, is not the one that `begun` is of, or became shorter.
    """

    def __init__(
        self,
        path: Path,
        fields: Mapping[str, str],
        progress: Progress | None = None,
        begun: PartialDigest | None = None,
    ) -> None:
        self._path = path
        self._progress = progress
        self._boundary = os.urandom(16).hex()
        self._head = self._field_parts(fields) + self._file_header()
        self._tail = f"\r\n--{self._boundary}--\r\n".encode()
        self._file: FileIO | None = None
        self._size = 0
        self._identity: FileIdentity | None = begun.identity if begun is not None else None
        self._position = 0
        self._begun = begun
        self._digest = _Digest(None)

    def __enter__(self) -> UploadForm:  # noqa: PYI034 - `Self` came with Python 3.11
        try:
            self._file = self._path.open("rb", buffering=0)
            self._identity = self._identity or identity(self._file.fileno())
            self.check_unchanged()
        except OSError as problem:
            raise self._unreadable(problem) from None
        except InstallerError:
            self.__exit__()
            raise
        self._digest = _Digest(self._begun)
        self._size = self._identity.size
        return self

    def __exit__(self, *_: object) -> None:
        self._digest.end()
        if self._file is not None:
            self._file.close()

    @property
    def content_type(self) -> str:
        """The Content-Type header that belongs to this form."""
        return f"multipart/form-data; boundary={self._boundary}"

    @property
    def sha256(self) -> str:
        """Hex digest of the file bytes sent since the last rewind."""
        return self._digest.end()

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return self._size

    def check_unchanged(self) -> None:
        """Raise InstallerError unless the open file, and the one on disk, are what the file was at first."""
        try:
            same = identity(self._opened().fileno()) == identity(self._path) == self._identity
        except OSError:
            same = False
        if not same:
            raise InstallerChangedError(self._path)

    def __len__(self) -> int:
        return len(self._head) + self._size + len(self._tail)

    def __iter__(self) -> Iterator[bytes]:
        while block := self.read(BLOCK):
            yield bytes(block)

    def tell(self) -> int:
        """The position in the stream, in bytes."""
        return self._position

    def seek(self, position: int, whence: int = os.SEEK_SET) -> int:
        """Rewind for another try; only the start can be sought, since the digest starts again with it."""
        if (position, whence) != (0, os.SEEK_SET):
            raise ValueError("an upload form can only be rewound to its start")
        self._position = 0
        self._digest.end()
        self._digest = _Digest(self._begun)
        self._opened().seek(0)
        return 0

    def read(self, limit: int = -1) -> bytes | memoryview:
        """Up to `limit` bytes from where the stream stands; empty at its end. They hold until the next call."""
        limit = BLOCK if limit is None or limit < 0 else min(limit, BLOCK)
        block = self._next(limit)
        self._position += len(block)
        return block

    def _next(self, limit: int) -> bytes | memoryview:
        start, end = len(self._head), len(self._head) + self._size
        if self._position < start:
            return self._head[self._position : self._position + limit]
        if self._position < end:
            return self._file_block(min(limit, end - self._position))
        return self._tail[self._position - end : self._position - end + limit]

    def _file_block(self, limit: int) -> memoryview:
        buffer = self._digest.buffer()
        try:
            block = buffer[: self._opened().readinto(buffer[:limit])]
        except OSError as problem:
            raise self._unreadable(problem) from None
        if not block:
            raise InstallerChangedError(self._path)
        self._digest.take(block, buffer)
        if self._progress is not None:
            self._progress(self._position + len(block) - len(self._head), self._size)
        return block

    def _opened(self) -> FileIO:
        if self._file is None:
            raise ValueError("the upload form is used outside of its `with` block")
        return self._file

    def _unreadable(self, problem: OSError) -> InstallerError:
        return InstallerError(self._path, f"it cannot be read ({problem.strerror}); nothing was published")

    def _field_parts(self, fields: Mapping[str, str]) -> bytes:
        parts = []
        for name, value in fields.items():
            parts.append(
                f'--{self._boundary}\r\nContent-Disposition: form-data; name="{_quoted(name)}"\r\n\r\n{value}\r\n'
            )
        return "".join(parts).encode()

    def _file_header(self) -> bytes:
        return (
            f'--{self._boundary}\r\nContent-Disposition: form-data; name="file"; filename="{_quoted(self._path.name)}"'
            "\r\nContent-Type: application/octet-stream\r\n\r\n"
        ).encode()


class _Digest:
    """A sha256 that is worked out in a thread of its own, over buffers that it hands out and takes back.

    Args:
        begun: the digest of the first bytes; those are only passed by.
    """

    def __init__(self, begun: PartialDigest | None) -> None:
        self._sha256 = begun.digest.copy() if begun is not None else hashlib.sha256()
        self._known = begun.size if begun is not None else 0
        self._made = 0
        self._free: SimpleQueue[memoryview] = SimpleQueue()
        self._filled: SimpleQueue[tuple[memoryview, memoryview] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None

    def buffer(self) -> memoryview:
        """A buffer that is not being hashed; waits for one if all are."""
        if self._made < _BUFFERS and self._free.empty():
            self._made += 1
            return memoryview(bytearray(BLOCK))
        return self._free.get()

    def take(self, block: memoryview, buffer: memoryview) -> None:
        """Hash a block, the filled part of a buffer, and free the buffer afterwards."""
        known = min(self._known, len(block))
        self._known -= known
        block = block[known:]
        if not block:
            self._free.put(buffer)
            return
        if self._thread is None:
            thread = threading.Thread(target=self._work, name="sha256 of an upload", daemon=True)
            thread.start()
            self._thread = thread  # not before: a signal may end `start`, and what was not started cannot be joined
        self._filled.put((block, buffer))

    def end(self) -> str:
        """Hex digest of all that was taken; nothing more can be."""
        if self._thread is not None:
            self._filled.put(None)
            self._thread.join()
            self._thread = None
        return self._sha256.hexdigest()

    def _work(self) -> None:
        while (taken := self._filled.get()) is not None:
            block, buffer = taken
            self._sha256.update(block)
            self._free.put(buffer)


def _quoted(name: str) -> str:
    """A name as browsers write it into a form header (HTML living standard, multipart/form-data)."""
    return name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
