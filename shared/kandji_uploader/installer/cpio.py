"""The archive format of payloads, in its two spellings: odc (octal, no padding) and newc (hexadecimal, padded to 4).

Members are only ever looked at; nothing is written under a member's name.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass

from kandji_uploader.installer.limits import BLOCK, NAME_BYTES, Budget, MalformedError
from kandji_uploader.installer.streams import Stream

# odc: POSIX pax, "cpio Interchange Format". 76 octal digits: magic, dev, ino, mode, uid, gid, nlink, rdev (6 each),
# mtime (11), bytes of the name (6), bytes of the file (11). All packages of Apple's tools that were seen have this one.
_OCTAL = re.compile(
    rb"070707(?P<inode>[0-7]{12})(?P<mode>[0-7]{6})(?P<owner>[0-7]{6})(?P<group>[0-7]{6})(?P<links>[0-7]{6})[0-7]{17}(?P<name>[0-7]{6})(?P<size>[0-7]{11})\Z"
)
# newc: cpio(5), "New ASCII Format". After the magic 13 fields of 8 hexadecimal digits: ino, mode, uid, gid, nlink,
# mtime, bytes of the file, two of the device, two of rdev, bytes of the name, checksum (only where 070702 is the
# magic).
_HEX = re.compile(
    rb"07070[12](?P<inode>[0-9A-Fa-f]{8})(?P<mode>[0-9A-Fa-f]{8})(?P<owner>[0-9A-Fa-f]{8})(?P<group>[0-9A-Fa-f]{8})"
    rb"(?P<links>[0-9A-Fa-f]{8})[0-9A-Fa-f]{8}(?P<size>[0-9A-Fa-f]{8})"
    rb"[0-9A-Fa-f]{32}(?P<name>[0-9A-Fa-f]{8})[0-9A-Fa-f]{8}\Z"
)
_SHORTEST, _LONGEST = 76, 110
_ALIGNMENT = 4
_TRAILER = b"TRAILER!!!"
# `a//b`, `a/./b` and `a/b/.` are `a/b` on a Mac: another spelling of a name must not hide that it is there twice.
_DETOUR = re.compile(rb"\A\.?/|//|/\./|/\.?\Z")


@dataclass(frozen=True)
class Member:
    """One file of the payload.

    Attributes:
        name: without a leading `./`.
        mode: as `stat` has it.
        size: bytes.
        shared: whether it has other names, too; then the bytes may be with one of those.
        owner: the number of its user.
        group: that of its group.
        inode: by which its other names know it.
    """

    name: bytes
    mode: int
    size: int
    shared: bool = False
    owner: int = 0
    group: int = 0
    inode: int = 0

    @property
    def regular(self) -> bool:
        """Whether it is a file; no folder, link or device."""
        return stat.S_ISREG(self.mode)

    @property
    def link(self) -> bool:
        """Whether it is a symbolic link."""
        return stat.S_ISLNK(self.mode)


class Cpio:
    """A payload, member by member.

    Args:
        stream: the decoded payload.
        budget: counts the members and names the place in errors.
    """

    def __init__(self, stream: Stream, budget: Budget) -> None:
        self._stream = stream
        self._budget = budget
        self._buffer = b""
        self._at = 0
        self._left = 0
        self._padding = 0

    def __iter__(self) -> Iterator[Member]:
        """The members in their order; what was not read of one is passed over before the next.

        Raises:
            MalformedError: the archive is broken, hostile, truncated or beyond a cap.
        """
        while True:
            self._pass(self._left + self._padding)
            member = self._next()
            if member is None:
                return
            yield member

    def read(self, cap: int) -> bytes:
        """The content of the member at hand, once.

        Raises:
            MalformedError: it is larger than `cap` bytes, or truncated.
        """
        if self._left > cap:
            raise MalformedError(self._budget.place, f"a file in it is larger than {cap >> 20} MiB: Info.plist")
        size, self._left = self._left, 0
        return self._take(size)

    def content(self) -> Iterator[bytes]:
        """The content of the member at hand, once, in blocks.

        Raises:
            MalformedError: it is truncated.
        """
        while self._left:
            size = min(self._left, BLOCK)
            self._left -= size
            yield self._take(size)

    def finish(self) -> None:
        """Read what follows the last member.

        Raises:
            MalformedError: it is more than padding, or broken.
        """
        rest = self._buffer[self._at :] or self._stream.read(BLOCK)
        while rest:
            if rest.strip(b"\0"):
                raise MalformedError(self._budget.place, "bytes follow the end of its archive")
            rest = self._stream.read(BLOCK)

    def _next(self) -> Member | None:
        header = self._take(_SHORTEST)
        octal = header.startswith(b"070707")
        if not octal:
            if not header.startswith((b"070701", b"070702")):
                raise MalformedError(self._budget.place, "a file's header in it is not a cpio header: it is broken")
            header += self._take(_LONGEST - _SHORTEST)
        fields = (_OCTAL if octal else _HEX).match(header)
        if fields is None:
            raise MalformedError(self._budget.place, "a number in a file's cpio header is not one: it is broken")
        base = 8 if octal else 16
        mode, size, name_size = int(fields["mode"], base), int(fields["size"], base), int(fields["name"], base)
        name = self._name(name_size)
        self._left = size
        if not octal:
            # newc pads to 4 bytes the header with its name, and then the content; odc pads nothing.
            self._pass(-(_LONGEST + name_size) % _ALIGNMENT)
            self._padding = -size % _ALIGNMENT
        self._budget.member()
        # A file may be called like the end of an archive: only the real one has no content.
        if name == _TRAILER and not size:
            return None
        links, *known = (int(fields[each], base) for each in ("links", "owner", "group", "inode"))
        return Member(_checked(name, self._budget.place), mode, size, links > 1, *known)

    def _name(self, size: int) -> bytes:
        if not 0 < size <= NAME_BYTES:
            raise MalformedError(self._budget.place, f"a file's name in it has {size} bytes; 1 to {NAME_BYTES} is sane")
        # The size of a name counts the NUL that ends it.
        return self._take(size).partition(b"\0")[0]

    def _take(self, size: int) -> bytes:
        end = self._at + size
        if end <= len(self._buffer):
            data, self._at = self._buffer[self._at : end], end
            return data
        parts = [self._buffer[self._at :]]
        missing = size - len(parts[0])
        while missing > 0:
            block = self._stream.read(BLOCK)
            if not block:
                raise MalformedError(self._budget.place, "it ends in the middle of a file: it is truncated")
            parts.append(block[:missing])
            self._buffer, self._at = block, min(missing, len(block))
            missing -= len(block)
        return b"".join(parts)

    def _pass(self, size: int) -> None:
        buffered = min(size, len(self._buffer) - self._at)
        self._at += buffered
        if size > buffered and self._stream.skip(size - buffered) < size - buffered:
            raise MalformedError(self._budget.place, "it ends in the middle of a file: it is truncated")


def _checked(name: bytes, place: str) -> bytes:
    """A name as a Mac will read it, without its `./`; one that would lead out of the destination is refused."""
    if name.startswith(b"/") or (b".." in name and b".." in name.split(b"/")):
        # We write nothing under a member's name, but the Mac will: such a package is not what its list of files says.
        raise MalformedError(place, f"a file in it is called {name[:80]!r}, which leads out of its folder")
    plain = name.removeprefix(b"./")
    if _DETOUR.search(plain) is None:
        return plain
    return b"/".join(part for part in plain.split(b"/") if part not in (b"", b"."))
