"""A .zip: its central directory, walked without a list in memory, and single members of it.

Not `zipfile`, which keeps an object for each member (300,000 of them cost more memory than we may take) before it
lets anybody count them.
"""

from __future__ import annotations

import bisect
import re
import stat
import struct
import zlib
from array import array
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import BinaryIO

from kandji_uploader.installer.contents import ArchiveEntry, within
from kandji_uploader.installer.limits import BLOCK, FILES, Budget, MalformedError
from kandji_uploader.installer.signature_files import folded, folders
from kandji_uploader.installer.streams import FileSlice, Stream, blocks, inflate, read_all, spooled

# The layouts are those of PKWARE's APPNOTE.TXT, little-endian, by its sections: the end of the central directory
# (4.3.16), the same for zip64 (4.3.14) with its locator (4.3.15), a header in the directory (4.3.12), a header before
# data (4.3.7).
_END = struct.Struct("<4s4H2IH")
_END64_LOCATOR_BYTES = 20
_END64 = struct.Struct("<4sQ2H2I4Q")
_MEMBER = struct.Struct("<4s6H3I5H2I")
_LOCAL = struct.Struct("<4s5H3I2H")
# The length of the last comment has 16 bits (4.4.12), so the end record begins within the last 65,557 bytes.
_COMMENT_BYTES = 65535
# In a field of 32 bits: the number stands in the extra field 1 (4.5.3).
_UNKNOWN = 0xFFFFFFFF
_ZIP64_EXTRA = 1
# Bits 0 and 3 of the flags (4.4.4). The two methods that macOS writes (4.4.5) follow.
_ENCRYPTED = 1
_SIZES_FOLLOW = 8
_STORED, _DEFLATED = 0, 8
_UNIX = (3, 19)
_NAME_EXTRA = 0x7075
"""Another name, in UTF-8 (4.6.9), behind a version and the checksum of the first one."""
# Only a member that can belong to a bundle, or whose name could lead out of the folder, becomes an object: a .zip of
# 300,000 small files costs no memory.
_MATTERS = re.compile(rb"\.(app|m?pkg)|\.\.|\A[/\\]", re.IGNORECASE)
_DIRECTORY = "central directory"
_CUT = "it ends in the middle of a member: the file is truncated or broken"
# A header with the longest name, extra field and comment that their 16 bits allow (4.3.12).
_LONGEST_MEMBER = _MEMBER.size + 3 * 65535


class Zip:
    """A .zip that is open; a container as `contents` reads it.

    Args:
        file: the archive; must be able to seek.
        size: its bytes.

    Raises (from all methods too):
        MalformedError: it is broken, truncated, hostile or beyond a cap.
    """

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file = file
        self._size = size
        self._start, self._length, self._shift = self._directory()

    def items(self) -> Iterator[ArchiveEntry]:
        """The members in or called like a bundle, in the order of the directory; a hostile name is refused."""
        for fields, name, extra in self._sane():
            if _MATTERS.search(name):
                yield self._item(fields, name, extra)

    def _sane(self) -> Iterator[tuple[tuple[int, ...], bytes, bytes]]:
        """The members, as `_members`."""
        links = frozenset(_known(name) for fields, name, _ in self._members() if _is_link(fields))
        folder = b""
        for fields, name, extra in self._members():
            # No file system has a file below a link. Unpacked, it would come to where the link leads.
            if links and folder != (folder := name.rstrip(b"/").rpartition(b"/")[0]) and _is_below(folder, links):
                raise MalformedError(_name(name)[:80], "it lies below a link: the .zip is hostile")
            yield fields, name, extra

    def _members(self) -> Iterator[tuple[tuple[int, ...], bytes, bytes]]:
        """The fields, the name and the extra field of each member, as they stand in the directory."""
        read, at, count, block = 0, 0, 0, b""
        while read - len(block) + at < self._length:
            count += 1
            if count > FILES:
                raise MalformedError(_DIRECTORY, f"it lists more than {FILES:,} files")
            if len(block) - at < _LONGEST_MEMBER and read < self._length:
                # The caller reads elsewhere in the file between two members, hence the seek.
                self._file.seek(self._start + read)
                block, at = block[at:] + self._exactly(min(BLOCK, self._length - read)), 0
                read += min(BLOCK, self._length - read)
            fields = _fields(_MEMBER, block, at, b"PK\1\2")
            name = at + _MEMBER.size
            extra = name + fields[10]
            at = extra + fields[11] + fields[12]
            if at > len(block):
                raise MalformedError(_DIRECTORY, _CUT)
            yield fields, block[name:extra], block[extra : extra + fields[11]]

    def read(self, item: ArchiveEntry, cap: int) -> bytes:
        """A member's content, at most `cap` bytes."""
        data = read_all(self._stream(item), cap, item.path)
        if zlib.crc32(data) != item.checksum:
            raise MalformedError(item.path, "its checksum is wrong: the file is broken")
        return data

    def _stream(self, item: ArchiveEntry) -> Stream:
        """A member's content in order."""
        if item.encrypted:
            raise MalformedError(item.path, "it is encrypted")
        stored = FileSlice(self._file, self._data_of(item), item.stored)
        if item.method == _STORED:
            return stored
        if item.method != _DEFLATED:
            raise MalformedError(item.path, f"it is compressed by method {item.method}, which macOS does not write")
        return inflate(stored, Budget(item.path, item.stored))

    def _data_of(self, item: ArchiveEntry) -> int:
        """Where a member's data begins."""
        if not 0 <= item.start < self._size:
            raise MalformedError(item.path, "its data is outside the file: the file is truncated or broken")
        self._file.seek(item.start)
        fields = _fields(_LOCAL, self._exactly(_LOCAL.size), 0, b"PK\3\4")
        # Name and extra field stand here once more, and the extra field often has another length than in the directory:
        # only this header tells where the data begins.
        self._check_header(item, fields, self._exactly(fields[9]), self._exactly(fields[10]))
        start = item.start + _LOCAL.size + fields[9] + fields[10]
        if start + item.stored > self._size:
            raise MalformedError(item.path, "its data reaches beyond the end: the file is truncated or broken")
        return start

    @staticmethod
    def _check_header(item: ArchiveEntry, fields: tuple[int, ...], name: bytes, extra: bytes) -> None:
        """Raise MalformedError where the header before the data says otherwise than the directory.

        Some programs go by the one and some by the other: such a .zip could be another on the Mac than it is here.
        """
        _check_name(item, extra)
        size, stored = _larger(extra, fields[8], fields[7])
        here, there = (fields[6], stored, size), (item.checksum, item.stored, item.size)
        # Who writes a .zip as a stream does not know them yet, and says 0 (4.4.4, bit 3).
        later = bool(fields[2] & _SIZES_FOLLOW)
        same = all(one == other or (later and not one) for one, other in zip(here, there, strict=True))
        if not same or fields[3] != item.method or _name(name) != item.path:
            raise MalformedError(item.path, "its header says otherwise than the directory of the .zip: it is hostile")

    def opened(self, item: ArchiveEntry) -> AbstractContextManager[BinaryIO]:
        """A member as a file that can seek."""
        return spooled(self._stream(item), item.size, item.path)

    def inside(self, folder: str) -> Iterator[tuple[ArchiveEntry, Iterator[bytes]]]:
        """Each file and link in a folder, with its content."""
        for item in within(self.items(), folder):
            yield item, blocks(self._stream(item))

    def everything(self) -> Iterator[tuple[ArchiveEntry, Iterator[bytes]]]:
        """Each member, with its content."""
        for member in self._sane():
            item = self._item(*member)
            yield item, iter(()) if item.folder else blocks(self._stream(item))

    def check_headers(self) -> None:
        """Raise MalformedError where another program may find other files in it.

        One that unpacks while it reads goes by the headers before the data, one after the other. Others look for the
        directory elsewhere, or for a name in another field.
        """
        self._check_end()
        starts = array("Q", sorted(max(self._item(*member).start, 0) for member in self._members()))
        starts.append(self._start)
        self._check_gap(0, starts[0])
        for member in self._members():
            item = self._item(*member)
            if "\\" in item.path and "/" not in item.path:
                raise MalformedError(item.path[:80], "Info-ZIP makes folders of such a name: the .zip is hostile")
            _check_name(item, member[2])
            end = self._data_of(item) + item.stored
            self._check_gap(end, starts[min(bisect.bisect_left(starts, end), len(starts) - 1)])

    def _check_end(self) -> None:
        """Where the directory is, has to be told once, and in the same way, by all of its end records."""
        self._file.seek(max(self._size - _END.size - _COMMENT_BYTES, 0))
        tail = self._file.read()
        at = tail.rfind(b"PK\5\6")
        length, offset, comment = _END.unpack_from(tail, at)[5:8]
        end = self._size - len(tail) + at
        larger = self._start + self._length + _END64.size + _END64_LOCATOR_BYTES == end
        locator = tail[max(at - _END64_LOCATOR_BYTES, 0) : at]
        told = [(length, self._length), (offset, self._start)]
        same = all(one == other or (larger and one == _UNKNOWN) for one, other in told)
        wanted = struct.pack("<4sIQ", b"PK\6\7", 0, self._start + self._length) if larger else b""
        located = locator.startswith(wanted) if larger else not locator.startswith(b"PK\6\7")
        if self._shift or not same or not located or at + _END.size + comment != len(tail):
            raise MalformedError(_DIRECTORY, "where it is, is told in several ways: the .zip is hostile")

    def _check_gap(self, start: int, end: int) -> None:
        if end - start < _LOCAL.size:  # there may be sizes that follow the data (4.3.9)
            return
        self._file.seek(start)
        if end - start > BLOCK or b"PK\3\4" in self._exactly(end - start):
            raise MalformedError(_DIRECTORY, "it leaves out a file that is between the others: the .zip is hostile")

    def _directory(self) -> tuple[int, int, int]:
        """Where the directory is, its length, and how far all offsets are off (something was put before the .zip)."""
        start = max(self._size - _END.size - _COMMENT_BYTES, 0)
        self._file.seek(start)
        tail = self._file.read(_END.size + _COMMENT_BYTES)
        at = tail.rfind(b"PK\5\6")
        if at < 0 or len(tail) - at < _END.size:
            raise MalformedError("", "the directory at the end of the .zip is missing: the download broke off")
        length, offset = _END.unpack_from(tail, at)[5:7]
        end = start + at
        if end >= _END64_LOCATOR_BYTES + _END64.size:
            self._file.seek(end - _END64_LOCATOR_BYTES - _END64.size)
            larger = self._file.read(_END64.size)
            if larger.startswith(b"PK\6\6"):
                end -= _END64_LOCATOR_BYTES + _END64.size
                length, offset = _END64.unpack(larger)[8:10]
        # Offsets count from where the .zip began when it was made. What was put before it later (a program that unpacks
        # it, for example) shows in how far the directory is from where the end record says.
        if length > end:
            raise MalformedError(_DIRECTORY, "it begins before the file does: the file is truncated or broken")
        return end - length, length, end - length - offset

    def _item(self, fields: tuple[int, ...], name: bytes, extra: bytes) -> ArchiveEntry:
        flags, method = fields[3], fields[4]
        checksum, stored, size = fields[7:10]
        attributes, start = fields[15], fields[16]
        size, stored, start = _larger(extra, size, stored, start)
        # The upper half is the mode of Unix (4.4.15), where a Unix or macOS made the .zip (4.4.2). 0 is a file.
        mode = attributes >> 16 if fields[1] >> 8 in _UNIX else 0
        return ArchiveEntry(
            path=_name(name),
            size=size,
            folder=name.endswith(b"/") or (stat.S_ISDIR(mode) and not size),
            link=stat.S_ISLNK(mode),
            start=start + self._shift,
            stored=stored,
            method=method,
            checksum=checksum,
            encrypted=bool(flags & _ENCRYPTED),
            mode=mode,
        )

    def _exactly(self, size: int) -> bytes:
        data = self._file.read(size)
        if len(data) < size:
            raise MalformedError(_DIRECTORY, _CUT)
        return data


def _fields(layout: struct.Struct, data: bytes, at: int, mark: bytes) -> tuple[int, ...]:
    """A header's fields; the first one is its mark."""
    if len(data) - at < layout.size:
        raise MalformedError(_DIRECTORY, _CUT)
    if not data.startswith(mark, at):
        raise MalformedError(_DIRECTORY, "a member's header is not where it should be: the file is broken")
    return layout.unpack_from(data, at)


def _larger(extra: bytes, *values: int) -> list[int]:
    """Sizes and offset that did not fit into 32 bits, out of the extra field that has them in this order."""
    # 4.5.3: size, stored size, offset, in this order, but only those that are _UNKNOWN in the header.
    found = list(values)
    if _UNKNOWN not in values:
        return found
    for kind, data in _extras(extra):
        if kind == _ZIP64_EXTRA:
            numbers = iter(struct.unpack_from(f"<{len(data) // 8}Q", data))
            found = [next(numbers, value) if value == _UNKNOWN else value for value in found]
    return found


def _extras(extra: bytes) -> Iterator[tuple[int, bytes]]:
    """The parts of an extra field: kind and data."""
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, at)
        yield kind, extra[at + 4 : at + 4 + length]
        at += 4 + length


def _check_name(item: ArchiveEntry, extra: bytes) -> None:
    for kind, data in _extras(extra):
        if kind == _NAME_EXTRA and _name(data[5:]) != item.path:
            raise MalformedError(item.path[:80], "its extra field gives it another name: the .zip is hostile")


def _is_link(fields: tuple[int, ...]) -> bool:
    return stat.S_ISLNK(fields[15] >> 16)


def _known(name: bytes) -> int:
    """By what a link is known: a number, since an archive may hold 300,000 of them."""
    return hash(folded(_name(name)))


def _is_below(folder: bytes, links: frozenset[int]) -> bool:
    way = folded(_name(folder))
    return hash(way) in links or any(hash(above) in links for above in folders(way))


def _name(raw: bytes) -> str:
    """A member's path as a Mac will read it; macOS writes UTF-8 and does not say so."""
    raw = raw.partition(b"\0")[0]
    try:
        name = raw.decode("utf-8")
    except UnicodeDecodeError:
        # What the format says of a name without the flag for UTF-8 (appendix D).
        name = raw.decode("cp437")
    parts = name.split("/")
    if name.startswith(("/", "\\")) or ".." in parts:
        raise MalformedError(name[:80], "its path leads out of the folder it is unpacked in: the .zip is hostile")
    # `a//b` and `a/./b` are `a/b` on a Mac: another spelling of a name must not hide that it is there twice.
    return "/".join(part for part in parts if part not in ("", "."))
