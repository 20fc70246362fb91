"""The archive format of flat packages: a header, a zlib-compressed XML table of contents (TOC), and a heap.

Only the files that a reader of packages asks for are kept; of all others the place in the heap is checked, so that a
download that broke off is found out even where its metadata is whole.
"""

from __future__ import annotations

import base64
import binascii
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

from kandji_uploader.installer.limits import BLOCK, FILES, NAME_BYTES, TOC_BYTES, Budget, MalformedError
from kandji_uploader.installer.streams import FileSlice, Stream, read_all, unbzip, unxz, unzip
from kandji_uploader.installer.xmlwalk import Handler, walk

MAGIC = b"xar!"
# xar_header_t of the xar project (include/xar.h.in), big-endian: magic @0, bytes of the header @4, version @6, bytes of
# the TOC compressed @8 and decoded @16, number of the algorithm of its checksum @24. Apple's tools use a fork of it.
_HEADER = struct.Struct(">4sHHQQI")
# 19 digits fill 63 bits, as many as an offset has; Python takes very long over a number of a million digits.
_NUMBER = re.compile(r"\s*([0-9]{1,19})\s*\Z")

# The media types that the xar project writes into <encoding style="...">; no style means stored as it is.
_ENCODINGS = {
    "": None,
    "application/octet-stream": None,
    "application/x-gzip": unzip,  # in spite of its name a zlib stream; unzip takes both
    "application/x-bzip2": unbzip,
    "application/x-lzma": unxz,
    "application/x-xz": unxz,
}


@dataclass
class Node:
    """One `<file>` of the TOC while it is read.

    Attributes:
        parent: the folder; None at the root.
        name: None until it was seen; the first counts, since Apple's newer tools repeat it.
        numbers: offset, length and size of its data; empty for a folder and a file without data.
        encoding: how the data is stored.
        kind: `file`, `directory`, or a link of some kind.
    """

    parent: Node | None
    name: str | None = None
    numbers: dict[str, int] = field(default_factory=dict)
    encoding: str = ""
    kind: str = "file"

    @property
    def path(self) -> str:
        """`/`-separated, from the root."""
        names: list[str] = []
        node: Node | None = self
        while node is not None:
            names.append(node.name or "?")
            node = node.parent
        return "/".join(reversed(names))


@dataclass(frozen=True)
class Entry:
    """One file in the heap.

    Attributes:
        path: `/`-separated, from the root.
        start: where its stored bytes begin in the archive.
        length: how many there are.
        encoding: how they are stored.
        kind: see `Node`.
    """

    path: str
    start: int
    length: int
    encoding: str
    kind: str = "file"

    @property
    def folder(self) -> str:
        """The folder it is in; "" at the root."""
        return self.path.rpartition("/")[0]

    @property
    def name(self) -> str:
        """The last part of its path."""
        return self.path.rpartition("/")[2]


@dataclass(frozen=True)
class Archive:
    """A xar archive that is open.

    Attributes:
        file: the archive.
        entries: the files that were asked for, in the order of the TOC.
        signed: whether the TOC names a signature.
    """

    file: BinaryIO
    entries: tuple[Entry, ...]
    signed: bool

    def stream(self, entry: Entry, budget: Budget | None = None, stored: Stream | None = None) -> Stream:
        """A file's bytes, decoded; `stored` are those in the heap, where somebody reads them already.

        Raises:
            MalformedError: it is stored in a way that is not known.
        """
        stored = stored or FileSlice(self.file, entry.start, entry.length)
        if entry.encoding not in _ENCODINGS:
            raise MalformedError(entry.path, f"it is stored as {entry.encoding[:80]!r}, which is not known")
        decode = _ENCODINGS[entry.encoding]
        return stored if decode is None else decode(stored, budget or Budget(entry.path, entry.length))

    def read(self, entry: Entry, cap: int) -> bytes:
        """A file's bytes, decoded.

        Raises:
            MalformedError: it is broken or larger than `cap` bytes.
        """
        return read_all(self.stream(entry), cap, entry.path)


def open_archive(file: BinaryIO, size: int, names: frozenset[str] | None) -> Archive:
    """Read the TOC.

    Args:
        file: the archive, open for reading.
        size: its bytes.
        names: the names of the files that are wanted, in any folder; None for all that is there, folders too.

    Raises:
        MalformedError: it is no xar archive, it is broken or beyond a cap.
    """
    header = read_header(file, size)
    handler = _Toc(names, header.heap, size)
    walk_toc(file, header, handler)
    if not handler.seen:
        raise MalformedError("TOC", "it is no table of contents")
    return Archive(file, tuple(handler.entries()), handler.signed)


@dataclass(frozen=True)
class Header:
    """Where the TOC of an archive is.

    Attributes:
        start: where the compressed TOC begins.
        stored: its bytes.
        declared: what it should decode to.
        algorithm: the number of the algorithm of its checksum: 1 SHA-1, 2 MD5, 3 SHA-256, 4 SHA-512.
    """

    start: int
    stored: int
    declared: int
    algorithm: int

    @property
    def heap(self) -> int:
        """Where the heap begins; all offsets in the TOC count from it."""
        return self.start + self.stored


def read_header(file: BinaryIO, size: int) -> Header:
    """The header of an archive.

    Raises:
        MalformedError: it is no xar archive, or its TOC is outside the file or is beyond a cap.
    """
    file.seek(0)
    header = file.read(_HEADER.size)
    if len(header) < _HEADER.size or not header.startswith(MAGIC):
        raise MalformedError("header", "it is no xar archive, or it is truncated")
    # The TOC begins where the header says that it ends itself, not at 28: where the algorithm is "other", its name
    # follows within the header.
    _, header_size, _, stored, declared, algorithm = _HEADER.unpack(header)
    if header_size < _HEADER.size or header_size + stored > size:
        raise MalformedError("header", "the table of contents reaches beyond the end: the file is truncated or broken")
    if stored > TOC_BYTES:
        raise MalformedError("TOC", f"it is larger than {TOC_BYTES >> 20} MiB")
    return Header(header_size, stored, declared, algorithm)


def walk_toc(file: BinaryIO, header: Header, handler: Handler) -> None:
    """Tell `handler` of each element of the TOC.

    Raises:
        MalformedError: it is broken or beyond a cap.
    """
    source = FileSlice(file, header.start, header.stored)
    walk(_toc(source, header.stored, header.declared), handler, "TOC")


def _toc(source: Stream, stored: int, declared: int) -> Iterator[bytes]:
    """The decoded TOC in pieces; the header's word on its length is checked, not trusted."""
    decoded = unzip(source, Budget("TOC", stored))
    length = 0
    while data := decoded.read(BLOCK):
        length += len(data)
        if length > TOC_BYTES:
            raise MalformedError("TOC", f"it decodes to more than {TOC_BYTES >> 20} MiB")
        if length > declared:
            raise MalformedError("TOC", f"it decodes to more than the {declared} bytes that the header says")
        yield data
    if length != declared:
        raise MalformedError("TOC", f"it decodes to {length} bytes, the header says {declared}")


class _Toc:
    """Collects the wanted files while the TOC is walked."""

    def __init__(self, names: frozenset[str] | None, heap: int, size: int) -> None:
        self._names = names
        self._heap = heap
        self._room = size - heap
        self._stack: list[Node] = []
        self._kept: list[Node] = []
        self._files = 0
        self.seen = False
        self.signed = False

    def start(self, parents: list[str], tag: str, attributes: dict[str, str]) -> None:
        """A file begins, or its encoding is told."""
        within = parents[-1] if parents else ""
        if tag == "file" and within in ("toc", "file"):
            # Counted before a node is made: the cap is on the memory that a TOC of 16 MiB could cost.
            self._files += 1
            if self._files > FILES:
                raise MalformedError("TOC", f"it lists more than {FILES:,} files")
            self._stack.append(Node(self._stack[-1] if self._stack else None))
        elif tag == "encoding" and self._in_data(parents):
            self._stack[-1].encoding = attributes.get("style", "").strip().lower()
        elif within == "toc" and tag in ("signature", "x-signature"):
            self.signed = True
        elif tag == "toc" and parents == ["xar"]:
            self.seen = True

    def end(self, parents: list[str], tag: str, attributes: dict[str, str], text: str) -> None:
        """A file is complete, or one of its values is."""
        within = parents[-1] if parents else ""
        if tag == "file" and within in ("toc", "file"):
            self._finish(self._stack.pop())
        elif tag == "name" and within == "file" and self._stack and self._stack[-1].name is None:
            self._stack[-1].name = _file_name(text, attributes.get("enctype", ""))
        elif tag == "type" and within == "file" and self._stack:
            self._stack[-1].kind = text.strip()[:NAME_BYTES]
        elif tag in ("offset", "length", "size") and self._in_data(parents):
            self._stack[-1].numbers.setdefault(tag, number(text, tag))

    def entries(self) -> Iterator[Entry]:
        """The wanted files, now that all folders have their names."""
        for node in self._kept:
            numbers = node.numbers
            yield Entry(node.path, self._heap + numbers["offset"], numbers["length"], node.encoding, node.kind)

    def _in_data(self, parents: list[str]) -> bool:
        # <ea> (an extended attribute) has an offset and a length, too: only those in <data> are about the file.
        return bool(self._stack) and parents[-2:] == ["file", "data"]

    def _finish(self, node: Node) -> None:
        numbers = node.numbers
        # A folder has no <data>, and an empty file may have none, or one without a meaning.
        if not numbers.get("length"):
            numbers = node.numbers = {"offset": 0, "length": 0}
        if "offset" not in numbers or numbers["offset"] + numbers["length"] > self._room:
            raise MalformedError(
                f"TOC, file {(node.name or '?')[:80]!r}",
                "its data reaches beyond the end: the file is truncated or broken",
            )
        if self._names is None or node.name in self._names:
            self._kept.append(node)


def _file_name(text: str, encoding: str) -> str:
    # The xar project writes a name so that is not UTF-8 (enctype="base64").
    if encoding == "base64":
        try:
            text = base64.b64decode(text, validate=False).decode("utf-8", "replace")
        except (binascii.Error, ValueError):
            text = "?"
    return text.strip("\n")[:NAME_BYTES]


def number(text: str, tag: str) -> int:
    """A number of bytes out of the TOC.

    Raises:
        MalformedError: it is none.
    """
    match = _NUMBER.match(text)
    if match is None:
        raise MalformedError("TOC", f"<{tag}> is {text[:40]!r}, not a number of bytes")
    return int(match[1])
