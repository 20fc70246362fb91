"""The payload compression of Apple's newer tools: independent chunks, each an .xz stream or stored as it is.

A chunk that is wholly in a skipped part is jumped over, not decoded.
"""

from __future__ import annotations

import lzma
import struct

from kandji_uploader.installer.limits import CHUNK_BYTES, CHUNKS, LZMA_MEMORY, Budget, MalformedError
from kandji_uploader.installer.streams import Decoded, Stream

MAGIC = b"pbzx"
# Apple documents nothing of this; the layout is that of real payloads, as the pbzx project of N. Rosenstein reads it,
# big-endian: magic and the usual size of a chunk, then for each chunk its size decoded, its size stored, and its bytes.
_START = struct.Struct(">4sQ")
_CHUNK = struct.Struct(">QQ")
_SLACK = 1 << 20  # stored data can be a little larger than what it decodes to


class Pbzx:
    """What a pbzx payload holds.

    Args:
        source: the payload as stored.
        budget: what may be decoded; also names the place in errors.

    Raises (from `read` and `skip` too):
        MalformedError: it is broken, truncated or beyond a cap.
    """

    def __init__(self, source: Stream, budget: Budget) -> None:
        self._source = source
        self._budget = budget
        self._chunks = 0
        self._part = _BoundedStream(source, 0)
        self._content: Stream = self._part
        self._left = 0
        if len(self._exactly(_START.size)) < _START.size:
            raise MalformedError(budget.place, "it ends within the header of its pbzx compression: it is truncated")

    def read(self, size: int) -> bytes:
        """Up to `size` decoded bytes."""
        if not self._left and not self._next():
            return b""
        data = self._content.read(min(size, self._left))
        if not data:
            raise self._broken("a chunk decodes to less than it says")
        self._left -= len(data)
        if not self._left and self._content is not self._part and self._content.read(1):
            raise self._broken("a chunk decodes to more than it says")
        return data

    def skip(self, size: int) -> int:
        """Pass over; only the last chunk is decoded, as far as needed."""
        left = size
        while left > 0 and (self._left or self._next()):
            if self._left <= left:
                left -= self._left
                self._left = 0
            else:
                left -= len(self.read(left))
        return size - left

    def _next(self) -> bool:
        """Go to the next chunk, whatever was left of this one."""
        if self._part.skip(self._part.left) < 0:
            raise self._broken("it ends within a chunk: it is truncated")
        header = self._exactly(_CHUNK.size)
        if not header:
            return False
        if len(header) < _CHUNK.size:
            raise self._broken("it ends within the header of a chunk: it is truncated")
        decoded, stored = _CHUNK.unpack(header)
        self._chunks += 1
        if not 0 < decoded <= CHUNK_BYTES or not 0 < stored <= CHUNK_BYTES + _SLACK or self._chunks > CHUNKS:
            raise self._broken(f"a chunk says it has {decoded} bytes, stored in {stored}: that is not sane")
        self._left = decoded
        self._part = _BoundedStream(self._source, stored)
        # A chunk that xz could not make smaller is stored as it is, which only the equal sizes tell.
        self._content = self._part if decoded == stored else Decoded(self._part, _xz, self._budget)
        return True

    def _exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size and (more := self._source.read(size - len(data))):
            data += more
        return data

    def _broken(self, reason: str) -> MalformedError:
        return MalformedError(self._budget.place, reason)


class _BoundedStream:
    """The next so many bytes of a stream."""

    def __init__(self, source: Stream, size: int) -> None:
        self._source = source
        self.left = size

    def read(self, size: int) -> bytes:
        """Up to `size` bytes."""
        data = self._source.read(min(size, self.left)) if self.left else b""
        self.left -= len(data)
        return data

    def skip(self, size: int) -> int:
        """Pass over; -1 where the stream ends before the part does."""
        passed = self._source.skip(size)
        self.left -= passed
        return passed if passed == size else -1


def _xz() -> lzma.LZMADecompressor:
    return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=LZMA_MEMORY)
