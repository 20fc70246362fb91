"""Bytes in order, with constant memory: a part of a file, and what its compression hides.

A stream has `read(size)`, which returns up to that many bytes and `b""` only at the end, and `skip(size)`, which
returns how many bytes it has passed over. Where the stored bytes can be jumped over, `skip` decodes nothing.
"""

from __future__ import annotations

import bz2
import hashlib
import lzma
import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import BinaryIO, Protocol

from kandji_uploader.installer.limits import BLOCK, LZMA_MEMORY, STREAMS, Budget, MalformedError


class Stream(Protocol):
    """Bytes in order."""

    def read(self, size: int) -> bytes:
        """Up to `size` bytes; `b""` only at the end."""

    def skip(self, size: int) -> int:
        """Pass over up to `size` bytes; how many there were."""


class FileSlice:
    """A part of an open file; slices of one file do not disturb each other.

    Args:
        file: open for reading; must be able to seek.
        start: where the part begins.
        length: how long it is; the caller has checked that it is in the file.
    """

    def __init__(self, file: BinaryIO, start: int, length: int) -> None:
        self._file = file
        self._position = start
        self._end = start + length

    def read(self, size: int) -> bytes:
        """Up to `size` bytes."""
        self._file.seek(self._position)
        data = self._file.read(min(size, self._end - self._position))
        self._position += len(data)
        return data

    def skip(self, size: int) -> int:
        """Jump."""
        passed = min(size, self._end - self._position)
        self._position += passed
        return passed


class Hashed:
    """A stream whose bytes go into a digest as they are read, in their order; nothing of it is jumped over.

    Args:
        source: the bytes.
        made: the digest.
    """

    def __init__(self, source: Stream, made: hashlib._Hash) -> None:
        self._source = source
        self.made = made

    def read(self, size: int) -> bytes:
        """Up to `size` bytes."""
        data = self._source.read(size)
        self.made.update(data)
        return data

    def skip(self, size: int) -> int:
        """Read and forget."""
        return _read_over(self, size)


class Pipe:
    """A file that cannot seek: the output of a program, or a member of a .zip."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def read(self, size: int) -> bytes:
        """Up to `size` bytes."""
        return self._file.read(size)

    def skip(self, size: int) -> int:
        """Read and forget."""
        return _read_over(self, size)


class Prefixed:
    """A stream whose first bytes were read already, to see what it is."""

    def __init__(self, head: bytes, rest: Stream) -> None:
        if isinstance(rest, Prefixed):  # Of very many in a row, each would ask the one before it.
            head, rest = head + rest.head, rest.rest
        self.head: bytes = head
        self.rest: Stream = rest

    def read(self, size: int) -> bytes:
        """The first bytes, then the others."""
        if self.head:
            data, self.head = self.head[:size], self.head[size:]
            return data
        return self.rest.read(size)

    def skip(self, size: int) -> int:
        """Pass over."""
        buffered = min(size, len(self.head))
        self.head = self.head[buffered:]
        return buffered + (self.rest.skip(size - buffered) if size > buffered else 0)


class Decoder(Protocol):
    """What the standard library's bz2 and lzma decompressors have in common."""

    @property
    def eof(self) -> bool:
        """Whether the compressed stream has ended."""

    @property
    def needs_input(self) -> bool:
        """Whether there is nothing more to be had without more input."""

    @property
    def unused_data(self) -> bytes:
        """What was given beyond the end."""

    def decompress(self, data: bytes, max_length: int) -> bytes:
        """Decode, no more than `max_length` bytes."""


class Inflater:
    """zlib's decompressor with the face of the other two.

    Args:
        wbits: which kind of stream; the default takes zlib and gzip streams.
    """

    def __init__(self, wbits: int = 32 + zlib.MAX_WBITS) -> None:
        self._inflate = zlib.decompressobj(wbits)
        self._full = False

    @property
    def eof(self) -> bool:
        """Whether the compressed stream has ended."""
        return self._inflate.eof

    @property
    def needs_input(self) -> bool:
        """Whether there is nothing more to be had without more input."""
        return not self._full and not self._inflate.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        """What was given beyond the end."""
        return self._inflate.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        """Decode, no more than `max_length` bytes."""
        # zlib gives back what it had no room for, and wants it again before anything new.
        decoded = self._inflate.decompress(self._inflate.unconsumed_tail or data, max_length)
        self._full = len(decoded) == max_length
        return decoded


class Decoded:
    """What a compressed stream holds; streams that follow each other are read as one.

    Args:
        source: the compressed bytes.
        decoder: makes a decompressor.
        budget: what may be decoded; also names the place in errors.

    Raises (from `read` and `skip`):
        MalformedError: the data is broken, ends early, or is beyond the budget.
    """

    def __init__(self, source: Stream, decoder: Callable[[], Decoder], budget: Budget) -> None:
        self._source = source
        self._make = decoder
        self._decoder = decoder()
        self._streams = 1
        self._budget = budget

    def read(self, size: int) -> bytes:
        """Up to `size` decoded bytes."""
        while True:
            if self._decoder.eof and not self._following():
                return b""
            decoded = self._step(size)
            if decoded:
                self._budget.decoded(len(decoded))
                return decoded

    def skip(self, size: int) -> int:
        """Decode and forget."""
        return _read_over(self, size)

    def _step(self, size: int) -> bytes:
        data = b""
        if self._decoder.needs_input:
            # A quarter of what is decoded at a time: zlib copies what it had no room for, each time.
            data = self._source.read(BLOCK // 4)
            if not data:
                raise MalformedError(self._budget.place, "the compressed data ends early: the file is truncated")
        try:
            return self._decoder.decompress(data, size)
        except (zlib.error, lzma.LZMAError, OSError, EOFError, ValueError) as problem:
            raise MalformedError(self._budget.place, f"the compressed data is broken ({problem})") from None

    def _following(self) -> bool:
        """Begin the next compressed stream, if there is one; zeros between streams are padding."""
        # gzip (RFC 1952, 2.2), bzip2 and xz files may be several streams in a row, and mean all of them; xz pads
        # between them with zeros. A reader that stops at the first end sees less than the Mac does.
        data = self._decoder.unused_data.lstrip(b"\0")
        while not data:
            data = self._source.read(BLOCK)
            if not data:
                return False
            data = data.lstrip(b"\0")
        self._streams += 1
        if self._streams > STREAMS:
            raise MalformedError(self._budget.place, f"it holds more than {STREAMS} compressed streams")
        self._source = Prefixed(data, self._source)
        self._decoder = self._make()
        return True


def unzip(source: Stream, budget: Budget) -> Decoded:
    """A zlib or gzip stream, decoded."""
    return Decoded(source, Inflater, budget)


def inflate(source: Stream, budget: Budget) -> Decoded:
    """A deflate stream without a header, as a .zip has it, decoded."""
    return Decoded(source, lambda: Inflater(-zlib.MAX_WBITS), budget)


def unbzip(source: Stream, budget: Budget) -> Decoded:
    """A bzip2 stream, decoded."""
    return Decoded(source, bz2.BZ2Decompressor, budget)


def unxz(source: Stream, budget: Budget) -> Decoded:
    """An xz or lzma stream, decoded."""
    return Decoded(source, lambda: lzma.LZMADecompressor(lzma.FORMAT_AUTO, memlimit=LZMA_MEMORY), budget)


def blocks(stream: Stream) -> Iterator[bytes]:
    """The whole of a stream, block by block."""
    return iter(lambda: stream.read(BLOCK), b"")


def read_all(stream: Stream, cap: int, place: str) -> bytes:
    """The whole of a stream.

    Raises:
        MalformedError: it is longer than `cap` bytes.
    """
    parts: list[bytes] = []
    left = cap
    while data := stream.read(min(left + 1, BLOCK)):
        left -= len(data)
        if left < 0:
            raise MalformedError(place, f"it is larger than {cap >> 20} MiB")
        parts.append(data)
    return b"".join(parts)


@contextmanager
def spooled(stream: Stream, size: int, place: str) -> Iterator[BinaryIO]:
    """A stream as a file that can seek: a temporary one without a name, which ends with this process at the latest.

    Args:
        stream: the bytes.
        size: how many there should be.
        place: named in errors.

    Raises:
        MalformedError: there are more or fewer.
    """
    with tempfile.TemporaryFile() as file:
        written = 0
        while data := stream.read(BLOCK):
            written += len(data)
            if written > size:
                break
            file.write(data)
        if written != size:
            raise MalformedError(place, f"it should have {size} bytes and does not: the file is truncated or broken")
        file.seek(0)
        yield file


def _read_over(stream: Stream, size: int) -> int:
    left = size
    while left > 0:
        data = stream.read(min(left, BLOCK))
        if not data:
            break
        left -= len(data)
    return size - left
