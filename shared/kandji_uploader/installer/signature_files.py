"""The files of an app, each read once, as they come: a digest of each, and the parts that are read again.

Memory grows by a few hundred bytes a file, not with their sizes. Programs, Info.plist files and lists of seals go into
a temporary file; nothing is written under a file's name.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from kandji_uploader.installer.limits import SEALED_FILES, MalformedError
from kandji_uploader.installer.plists import composed
from kandji_uploader.installer.streams import FileSlice, read_all

_PROGRAMS = (b"\xcf\xfa\xed\xfe", b"\xce\xfa\xed\xfe", b"\xfe\xed\xfa", b"\xca\xfe\xba\xbe", b"\xca\xfe\xba\xbf")
_KEPT = ("info.plist", "coderesources")
_SHA1_BYTES = 20


@dataclass(frozen=True)
class File:
    """One file of an app, or a link.

    Attributes:
        name: its path in the app.
        size: bytes.
        digests: SHA-1 and SHA-256, one after the other; empty for a link, and for what could not be read.
        target: where a link leads; None for a file.
        at: where its bytes are in the temporary file; None where they were not kept.
    """

    name: str
    size: int = 0
    digests: bytes = b""
    target: str | None = None
    at: int | None = None

    @property
    def sha1(self) -> bytes:
        """Its SHA-1."""
        return self.digests[:_SHA1_BYTES]

    @property
    def sha256(self) -> bytes:
        """Its SHA-256."""
        return self.digests[_SHA1_BYTES:]


def folded(path: str) -> str:
    """By what a file is known: the file systems of Macs know no case, so that two spellings are one file there."""
    return composed(path).casefold()


def folders(key: str) -> Iterator[str]:
    """The folders that a path is in, the nearest first; the last one is the app itself."""
    while key:
        key = key.rpartition("/")[0]
        yield key


class Files:
    """The files of one app.

    Args:
        path: where the app is.
        spool: takes the parts that are read again.

    Attributes:
        path: likewise.
        too_many: whether there are more files than are kept count of.
    """

    def __init__(self, path: str, spool: BinaryIO) -> None:
        self.path = path
        self.too_many = False
        self._spool = spool
        self._files: dict[str, File] = {}

    def __iter__(self) -> Iterator[tuple[str, File]]:
        return iter(self._files.items())

    def get(self, path: str) -> File | None:
        """A file by its path in the app, in any case; None where there is none."""
        return self._files.get(folded(path))

    def take(self, name: str, content: Iterable[bytes], *, link: bool = False, shared: bool = False) -> bytes:
        """Read a file; returns the SHA-256 of what was read.

        Args:
            name: its path in the app.
            content: its bytes; of a link, where it leads.
            link: whether it is one.
            shared: whether its bytes may be with another name of it, so that none does not mean an empty file.

        Raises:
            MalformedError: it is there twice, so that what a Mac gets in the end cannot be said.
        """
        key = folded(name)
        if key in self._files:
            raise MalformedError("app", f"it has two files called {name[:80]!r}: which one a Mac gets cannot be said")
        blocks = _from_head(content)
        if link:
            target = b"".join(blocks)
            self._files[key] = File(name, target=target.rstrip(b"\0").decode("utf-8", "replace"))
            return hashlib.sha256(target).digest()
        sha1, sha256, size, at = hashlib.sha1(usedforsecurity=False), hashlib.sha256(), 0, None
        for block in blocks:
            if not size and (block.startswith(_PROGRAMS) or key.rpartition("/")[2] in _KEPT):
                at = self._spool.seek(0, 2)
            if at is not None:
                self._spool.write(block)
            sha1.update(block)
            sha256.update(block)
            size += len(block)
        if at is None and len(self._files) >= SEALED_FILES:
            self.too_many = True
            return sha256.digest()
        digests = b"" if shared and not size else sha1.digest() + sha256.digest()
        self._files[key] = File(name, size, digests, at=at)
        return sha256.digest()

    def check_folders(self) -> None:
        """Raise MalformedError where a file lies below a link: on a Mac it would come to where the link leads."""
        for key, found in self._files.items():
            above = next((self._files[folder] for folder in folders(key) if folder in self._files), None)
            if above is not None:
                raise MalformedError(
                    "app", f"{found.name[:80]!r} lies below a link or file: {above.name[:80] or self.path}"
                )

    def read(self, path: str, cap: int) -> bytes | None:
        """An Info.plist, or a list of seals; None where it is not there; `MalformedError` beyond `cap` bytes."""
        found = self.get(path)
        if found is None or found.target is not None:
            return None
        return read_all(FileSlice(self._spool, found.at or 0, found.size), cap, path) if found.size else b""

    def program(self, path: str) -> tuple[BinaryIO, int, int] | None:
        """A program: in which open file it is, where it begins, and its bytes; None for anything else."""
        found = self.get(path)
        return None if found is None or found.at is None else (self._spool, found.at, found.size)


def _from_head(content: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes; the first block has four, if there are so many, by which a program is known."""
    head = b""
    for block in content:
        head += block
        if len(head) >= 4:  # noqa: PLR2004 - a magic number
            yield head
            head = b""
    if head:
        yield head
