"""Signed code: the program of an app, for each of its architectures, held against its code directories.

A code directory has a hash of each page of the program and of what belongs to it (Info.plist, requirements, the list of
resources, entitlements); a CMS signs the first directory, and names the others in an attribute. The layout is that of
Apple's published sources (Security's cscdefs.h and codedirectory.h, cctools' loader.h).
"""

from __future__ import annotations

import hashlib
import plistlib
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO
from xml.parsers import expat

from kandji_uploader.installer.limits import (
    BLOCK,
    CODE_SIGNATURE_BYTES,
    LOAD_COMMAND_BYTES,
    SLICES,
    MalformedError,
)
from kandji_uploader.installer.streams import FileSlice

if TYPE_CHECKING:
    from kandji_uploader.installer.signature_cms import Signed

INFO_SLOT, RESOURCES_SLOT = 1, 3
_NAMES = {
    INFO_SLOT: "Info.plist",
    2: "requirements",
    RESOURCES_SLOT: "CodeResources",
    5: "entitlements",
    7: "entitlements",
}
_SEALED = (1, 2, 3, 5, 7, 8, 9, 10, 11)
"""The slots that an app can have: those named above, and launch constraints; 4 and 6 belong to other things."""
_SEALED_INSIDE = tuple(slot for slot in _SEALED if slot not in (INFO_SLOT, RESOURCES_SLOT))
# <mach-o/fat.h>, always big-endian: CPU type and subtype, offset, size, alignment; with 64-bit offsets in the second
# form.
_FAT = {0xCAFEBABE: (struct.Struct(">5I"), 2), 0xCAFEBABF: (struct.Struct(">2I2Q2I"), 2)}
# <mach-o/loader.h>: by the magic number the byte order, and the bytes of the header; ncmds @16, sizeofcmds @20.
_MACHO = {
    b"\xcf\xfa\xed\xfe": ("<", 32),
    b"\xce\xfa\xed\xfe": ("<", 28),
    b"\xfe\xed\xfa\xcf": (">", 32),
    b"\xfe\xed\xfa\xce": (">", 28),
}
_LC_CODE_SIGNATURE = 0x1D
# The numbers and structures below are those of Apple's cs_blobs.h (xnu) and cscdefs.h (Security), big-endian.
_SUPER_BLOB, _DIRECTORY, _WRAPPER = 0xFADE0CC0, 0xFADE0C02, 0xFADE0B01
_CMS_SLOT, _FIRST_ALTERNATE, _LAST_ALTERNATE = 0x10000, 0x1000, 0x1004
_BLOBS = 64
_ADHOC = 0x2
# CS_CodeDirectory: magic, length, version, flags, offset of the hashes, of the identifier, special slots, pages, bytes
# covered; bytes of a hash, kind of hash, platform, page size as a power of 2; spare. Newer versions have more, see
# _SCATTER.
_HEAD = struct.Struct(">9I4BI")
_HASHES = {1: ("sha1", 20), 2: ("sha256", 32), 3: ("sha256", 20), 4: ("sha384", 48)}
# The versions since which there are: scattered pages (@44), the Team ID (@48), a limit of 64 bits (@56).
_SCATTER, _TEAM, _LIMIT_64 = 0x20100, 0x20200, 0x20300
_LARGEST_PAGE = 16
# Apple's attribute in the CMS: a plist with the hashes of all code directories, each cut to 20 bytes.
_CODE_HASHES = "1.2.840.113635.100.9.1"
_CODE_HASH_BYTES = 20
_PLACE = "code signature"


class NotCodeError(Exception):
    """The program of the app is a script, or something else that has no place for a signature."""


@dataclass(frozen=True)
class SignedCode:
    """The signature of one architecture, which fits.

    Attributes:
        signed: who signed; None where it is ad hoc.
        team: the Team ID that the code directory names; proves nothing by itself.
        code_hash: the hash of the strongest code directory, by which macOS and notarization tickets know the code.
        hashes: those of all of its code directories.
        loose: what of the app is there and not sealed; only an ad hoc signature may leave anything so.
    """

    signed: Signed | None
    team: str | None
    code_hash: bytes
    hashes: frozenset[bytes] = frozenset()
    loose: tuple[str, ...] = ()


def read_code(
    file: BinaryIO,
    start: int,
    size: int,
    parts: Mapping[int, bytes | None] | None,
    roots: frozenset[str],
    known: frozenset[bytes] = frozenset(),
) -> list[SignedCode | None]:
    """The signature of a program, for each architecture; None for one without.

    Args:
        file: what holds the program; must be able to seek.
        start: where the program begins in it.
        size: its bytes.
        parts: what belongs to it: Info.plist and CodeResources, by their slots; None where there is none, and for all
            of them where it is a program by itself, whose Info.plist is in it.
        roots: SHA-256 fingerprints of the roots that count.
        known: code hashes that somebody else has sealed; who signed such code is not asked.

    Raises:
        NotCodeError: it is no Mach-O program.
        MalformedError: a signature is broken.
    """
    places = _slices(file, start, size)
    return [_read_slice(_Slice(file, start + at, length), parts, roots, known) for at, length in places]


def _slices(file: BinaryIO, start: int, size: int) -> list[tuple[int, int]]:
    """Where the architectures are in a program, and their bytes."""
    head = FileSlice(file, start, min(size, 8)).read(8)
    fat = _FAT.get(int.from_bytes(head[:4], "big"))
    if fat is None or len(head) < 8:  # noqa: PLR2004 - magic and count
        return [(0, size)]
    layout, at = fat
    count = int.from_bytes(head[4:], "big")
    if not 0 < count <= SLICES:
        raise MalformedError(_PLACE, f"it says that it has {count:,} architectures; up to {SLICES} are sane")
    table = FileSlice(file, start + 8, min(count * layout.size, size)).read(count * layout.size)
    if len(table) < count * layout.size:
        raise MalformedError(_PLACE, "the list of architectures is cut off")
    places = sorted(entry[at : at + 2] for entry in layout.iter_unpack(table))
    end = 8 + len(table)
    for offset, length in places:
        if offset < end or offset + length > size:
            raise MalformedError(_PLACE, "its architectures overlap, or are outside the program")
        end = offset + length
    return places


@dataclass(frozen=True)
class _Slice:
    """One architecture of a program."""

    file: BinaryIO
    start: int
    size: int

    def read(self, at: int, size: int) -> bytes:
        """Exactly so many bytes.

        Raises:
            MalformedError: they are not there.
        """
        data = FileSlice(self.file, self.start + at, size).read(size) if at + size <= self.size else b""
        if len(data) < size:
            raise MalformedError(_PLACE, "it reaches beyond the end of the program")
        return data

    def signature(self) -> tuple[int, bytes] | None:
        """Where the signature begins, and the signature; None where there is none."""
        kind = _MACHO.get(self.read(0, 4)) if self.size >= 4 else None  # noqa: PLR2004 - the magic number
        if kind is None:
            raise NotCodeError
        order, head = kind
        count, length = struct.unpack(f"{order}2I", self.read(16, 8))
        if length > LOAD_COMMAND_BYTES:
            raise MalformedError(_PLACE, "its load commands are beyond all measure")
        places = list(_signature_places(self.read(head, length), count, order))
        if not places:
            return None
        if len(places) > 1:
            raise MalformedError(_PLACE, "it has several signatures")
        at, size = places[0]
        if at < head + length or size > CODE_SIGNATURE_BYTES:
            raise MalformedError(_PLACE, "it overlaps the code, or is beyond all measure")
        data = self.read(at, size)
        # codesign puts the signature last. Bytes behind it would be in the file of the Mac, and signed by nobody.
        if at + size != self.size:
            raise MalformedError(_PLACE, "bytes follow it which it does not cover")
        return at, data


def _signature_places(commands: bytes, count: int, order: str) -> Iterator[tuple[int, int]]:
    at = 0
    for _ in range(count):
        if at + 8 > len(commands):
            raise MalformedError(_PLACE, "the load commands are cut off")
        kind, length = struct.unpack_from(f"{order}2I", commands, at)
        if length < 8 or at + length > len(commands):  # noqa: PLR2004 - kind and length themselves
            raise MalformedError(_PLACE, "a load command reaches beyond the others")
        if kind == _LC_CODE_SIGNATURE:
            if length < 16:  # noqa: PLR2004 - with offset and size
                raise MalformedError(_PLACE, "the load command for it is too short")
            yield struct.unpack_from(f"{order}2I", commands, at + 8)
        at += length


def _read_slice(
    code: _Slice, parts: Mapping[int, bytes | None] | None, roots: frozenset[str], known: frozenset[bytes]
) -> SignedCode | None:
    found = code.signature()
    if found is None:
        return None
    at, data = found
    blobs = _blobs(data)
    alternates = range(_FIRST_ALTERNATE, _LAST_ALTERNATE + 1)
    directories = [_Directory.read(blobs[slot]) for slot in (0, *alternates) if slot in blobs]
    if 0 not in blobs:
        raise MalformedError(_PLACE, "it has no code directory")
    inner = {slot: blob for slot, blob in blobs.items() if 0 < slot < _FIRST_ALTERNATE}
    cms = blobs.get(_CMS_SLOT, b"")[8:]
    # codesign writes an empty wrapper where nobody signs (`codesign -s -`).
    adhoc = bool(directories[0].flags & _ADHOC) or not cms
    loose: list[str] = []
    for one in directories:
        loose += one.check_parts({**(parts or {}), **inner}, _SEALED if parts is not None else _SEALED_INSIDE)
        one.check_pages(code, at)
    if loose and not adhoc:
        raise MalformedError(_PLACE, f"it does not cover {loose[0]}")
    hashes = frozenset(one.code_hash for one in directories)
    signed = None if adhoc or hashes & known else _signed(cms, directories, roots)
    strongest = max(directories, key=lambda one: one.strength)
    return SignedCode(signed, directories[0].team, strongest.code_hash, hashes, tuple(dict.fromkeys(loose)))


def _signed(cms: bytes, directories: Sequence[_Directory], roots: frozenset[str]) -> Signed:
    """Who signed the first directory, and with it the others, which an attribute names."""
    from kandji_uploader.installer.signature_cms import read_cms  # which takes 50 ms; most installers have nobody's

    first, *others = directories
    signed = read_cms(cms, first.data, roots)
    signed.check_validity()
    named = _code_hashes(signed.attributes.get(_CODE_HASHES, [])) if others else set()
    # The CMS signs the first directory only. Without this, a second one with a stronger hash, which macOS prefers,
    # could be put in by anybody.
    if not {one.code_hash for one in others} <= named:
        raise MalformedError(_PLACE, "one of its code directories is not signed")
    team = signed.chain.team_id
    if team and first.team and first.team != team:
        raise MalformedError(_PLACE, f"it names the team {first.team[:20]!r}, its certificate {team}")
    return signed


def _code_hashes(values: Sequence[bytes]) -> set[bytes]:
    from asn1crypto import core

    from kandji_uploader.installer.signature_trust import reading

    with reading(_PLACE):
        (value,) = values
        try:
            plist = plistlib.loads(bytes(core.OctetString.load(value).native))
        except expat.ExpatError as problem:
            raise ValueError from problem
        return {bytes(one)[:_CODE_HASH_BYTES] for one in plist["cdhashes"]}


def _blobs(data: bytes) -> dict[int, bytes]:
    """The parts of a signature, by their slots."""
    if len(data) < 12:  # noqa: PLR2004 - magic, length, count
        raise MalformedError(_PLACE, "it is cut off")
    magic, length, count = struct.unpack_from(">3I", data)
    if magic != _SUPER_BLOB or length > len(data) or count > _BLOBS or 12 + 8 * count > length:
        raise MalformedError(_PLACE, "it is none, or it is cut off")
    found: dict[int, bytes] = {}
    for slot, at in struct.iter_unpack(">2I", data[12 : 12 + 8 * count]):
        size = struct.unpack_from(">I", data, at + 4)[0] if at + 8 <= length else 0
        if size < 8 or at + size > length or slot in found:  # noqa: PLR2004 - magic and length
            raise MalformedError(_PLACE, "a part of it is outside, or is there twice")
        found[slot] = data[at : at + size]
    return found


@dataclass(frozen=True)
class _Directory:
    """A code directory.

    Attributes:
        data: all of it.
        flags: of the code; 2 is ad hoc.
        hashes: where the hashes of the pages begin; those of the special slots are before, in reverse.
        special: how many special slots there are.
        pages: how many pages.
        limit: bytes of the program that they cover.
        algorithm: the hash.
        hash_size: bytes kept of a hash.
        page: bytes of a page; 0 where all is one.
        team: the Team ID that it names.
    """

    data: bytes
    flags: int
    hashes: int
    special: int
    pages: int
    limit: int
    algorithm: str
    hash_size: int
    page: int
    team: str | None

    @classmethod
    def read(cls, data: bytes) -> _Directory:
        """A code directory out of its bytes.

        Raises:
            MalformedError: it is broken.
        """
        if len(data) < _HEAD.size:
            raise MalformedError(_PLACE, "a code directory is cut off")
        fields = _HEAD.unpack_from(data)
        magic, _, version, flags, hashes, _, special, pages, limit, size, kind, _, page, _ = fields
        if magic != _DIRECTORY or _HASHES.get(kind, ("", 0))[1] != size:
            raise MalformedError(_PLACE, "a code directory is none, or its hash is not known")
        if hashes < _HEAD.size + special * size or hashes + pages * size > len(data):
            raise MalformedError(_PLACE, "a code directory says that it has more pages than there is room for")
        if page > _LARGEST_PAGE or (version >= _SCATTER and _number(data, 44, ">I")):
            raise MalformedError(_PLACE, "a code directory is of a kind that is not known")
        team = _text(data, _number(data, 48, ">I")) if version >= _TEAM else None
        limit = (version >= _LIMIT_64 and _number(data, 56, ">Q")) or limit
        name = _HASHES[kind][0]
        return cls(data, flags, hashes, special, pages, limit, name, size, 1 << page if page else 0, team)

    @property
    def strength(self) -> int:
        """Which one macOS prefers: the longer hash."""
        return hashlib.new(self.algorithm).digest_size

    @property
    def code_hash(self) -> bytes:
        """By which the code is known."""
        return hashlib.new(self.algorithm, self.data).digest()[:_CODE_HASH_BYTES]

    def check_parts(self, parts: Mapping[int, bytes | None], slots: Sequence[int]) -> Iterator[str]:
        """Compare the parts that belong to the code with its slots; a part that is there and not sealed is yielded.

        Raises:
            MalformedError: something was changed, or is missing.
        """
        for slot in sorted({*parts, *slots}):
            data = parts.get(slot)
            name = _NAMES.get(slot, f"part {slot}")
            at = self.hashes - slot * self.hash_size
            wanted = self.data[at : at + self.hash_size] if slot <= self.special else b""
            if not wanted.strip(b"\0"):
                if data is not None:
                    yield name
            elif data is None:
                raise MalformedError(_PLACE, f"{name} is missing")
            elif hashlib.new(self.algorithm, data).digest()[: self.hash_size] != wanted:
                raise MalformedError(_PLACE, f"{name} was changed after signing")

    def check_pages(self, code: _Slice, end: int) -> None:
        """Hold the program against the hashes of its pages.

        Args:
            code: the program.
            end: where its signature begins; it has to be covered up to there.

        Raises:
            MalformedError: it was changed, or is not covered.
        """
        # codesign aligns the signature to 16 bytes, so up to 15 bytes before it are no code.
        if not end - 16 < self.limit <= end:
            raise MalformedError(_PLACE, "it does not cover the program up to where it begins itself, or overlaps it")
        page = self.page or self.limit
        if self.pages != -(-self.limit // page):
            raise MalformedError(_PLACE, "its number of pages is not that of the program")
        self._compare(code, page)

    def _compare(self, code: _Slice, page: int) -> None:
        source = FileSlice(code.file, code.start, self.limit)
        made, left, number = hashlib.new(self.algorithm), page, 0
        while data := source.read(BLOCK):
            view = memoryview(data)
            while view:
                piece, view = view[:left], view[left:]
                made.update(piece)
                left -= len(piece)
                if not left:
                    self._check(made.digest(), number)
                    made, left, number = hashlib.new(self.algorithm), page, number + 1
        if number < self.pages:
            self._check(made.digest(), number)

    def _check(self, made: bytes, number: int) -> None:
        at = self.hashes + number * self.hash_size
        if made[: self.hash_size] != self.data[at : at + self.hash_size]:
            raise MalformedError(_PLACE, f"the program was changed after signing (page {number:,})")


def _number(data: bytes, at: int, layout: str) -> int:
    if at + struct.calcsize(layout) > len(data):
        raise MalformedError(_PLACE, "a code directory is cut off")
    return int(struct.unpack_from(layout, data, at)[0])


def _text(data: bytes, at: int) -> str | None:
    if not at:
        return None
    return data[at : at + 100].split(b"\0", 1)[0].decode("ascii", "replace") or None
