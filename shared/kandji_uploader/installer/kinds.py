"""The type of an installer by its content, and a clear word for other files."""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path

from kandji_uploader.errors import InstallerError
from kandji_uploader.models import InstallType

_TRAILER_BYTES = 512
_END_RECORD_BYTES = 22
_COMMENT_BYTES = 65535
# HFS+: the volume header in sector 2 (Apple's TN1150). APFS: `nx_magic` of the container (Apple File System Reference).
# GPT and Apple's partition map: sector 1. ISO 9660: the first volume descriptor, sector 16 of 2,048 bytes.
_VOLUME_MARKS = ((1024, b"H+"), (1024, b"HX"), (32, b"NXSB"), (512, b"EFI PART"), (512, b"PM\0\0"), (32769, b"CD001"))
"""Where a disk image without compression shows what it is: HFS+, APFS, its partition map, or ISO 9660."""

_NOT_INSTALLERS = (
    (b"\x1f\x8b", "a gzip file"),
    (b"BZh", "a bzip2 file"),
    (b"\xfd7zXZ", "an xz file"),
    (b"7z\xbc\xaf", "a 7z archive"),
    (b"Rar!", "a RAR archive"),
    (b"MZ", "a Windows program"),
    (b"\xcf\xfa\xed\xfe", "a Mach-O program"),
    (b"\xca\xfe\xba\xbe", "a Mach-O program"),
    (b"0707", "a cpio archive"),
    (b"%PDF", "a PDF file"),
)
_ACCEPTED = "give a .pkg, .dmg or .zip"


def identify(path: str | os.PathLike[str]) -> InstallType:
    """Package, image or zip, by content; reads a few kilobytes.

    Raises:
        InstallerError: it is missing, empty, a folder, unreadable, or none of the three.
    """
    place = Path(path)
    with opened(place) as file:
        return kind_of(place, file)


@contextmanager
def opened(path: Path) -> Iterator[FileIO]:
    """A file that is there and has something in it, open for reading without a buffer.

    Raises:
        InstallerError: it is missing, empty, a folder or unreadable; also where reading it fails later.
    """
    try:
        _check(path)
        with FileIO(path) as file:
            yield file
    except FileNotFoundError:
        raise InstallerError(path, "there is no such file; check the path") from None
    except PermissionError:
        raise InstallerError(path, "it cannot be read: no permission") from None
    except OSError as problem:
        raise InstallerError(path, f"it cannot be read ({problem.strerror or problem})") from None


def kind_of(path: Path, file: FileIO) -> InstallType:
    """The type of a file that is open.

    Raises:
        InstallerError: it is no installer.
    """
    size = os.fstat(file.fileno()).st_size
    head = os.pread(file.fileno(), 40_000, 0)
    if head.startswith(b"xar!"):
        return InstallType.PACKAGE
    if is_encrypted(file, size) or is_udif(file, size):
        return InstallType.IMAGE
    # A .zip may begin with a program that unpacks it, so its end counts, too; an empty one has nothing but its end.
    if head.startswith((b"PK\3\4", b"PK\5\6")) or (size >= _END_RECORD_BYTES and _ends_as_zip(file, size)):
        return InstallType.ZIP
    if any(head[at:].startswith(mark) for at, mark in _VOLUME_MARKS):
        return InstallType.IMAGE
    if path.suffix.lower() == ".dmg" and not _known(head):
        raise InstallerError(path, "it lacks the trailer of a disk image: the download broke off; download it again")
    raise InstallerError(path, f"it is no installer but {_known(head) or 'something else'}; {_ACCEPTED}")


def is_udif(file: FileIO, size: int) -> bool:
    """Whether it has the trailer of a .dmg."""
    trailer = os.pread(file.fileno(), _TRAILER_BYTES, max(size - _TRAILER_BYTES, 0))
    # Apple does not document the trailer. Its own size, 512, at 8 keeps four letters in other data from passing as one.
    return trailer.startswith(b"koly") and trailer[8:12] == struct.pack(">I", _TRAILER_BYTES)


def is_encrypted(file: FileIO, size: int) -> bool:
    """Whether it is an encrypted .dmg, of the present or of the old kind."""
    # The marks of hdiutil's encrypted images: version 2 has its header at the start, version 1 at the end.
    end = os.pread(file.fileno(), 8, max(size - 8, 0))
    return os.pread(file.fileno(), 8, 0) == b"encrcdsa" or end == b"cdsaencr"


def _check(path: Path) -> None:
    found = path.stat()
    if stat.S_ISDIR(found.st_mode):
        raise InstallerError(path, _folder_word(path))
    if not stat.S_ISREG(found.st_mode):
        raise InstallerError(path, f"it is no regular file; {_ACCEPTED}")
    if not found.st_size:
        raise InstallerError(path, "it is empty; download it again")


def _folder_word(path: Path) -> str:
    suffix = path.suffix.lower()
    if suffix == ".app":
        return "it is an app, which is a folder; put it in a .zip, .dmg or .pkg first"
    if suffix in (".pkg", ".mpkg"):
        return "it is a bundle-style package, which is a folder; put it in a .zip or .dmg first"
    return f"it is a folder; {_ACCEPTED}"


def _ends_as_zip(file: FileIO, size: int) -> bool:
    start = max(size - _END_RECORD_BYTES - _COMMENT_BYTES, 0)
    tail = os.pread(file.fileno(), size - start, start)
    at = tail.rfind(b"PK\5\6")
    return 0 <= at <= len(tail) - _END_RECORD_BYTES


def _known(head: bytes) -> str | None:
    """What a file is that is no installer, in words; None where its first bytes do not tell."""
    for mark, word in _NOT_INSTALLERS:
        if head.startswith(mark):
            return word
    start = head[:512].lstrip().lower()
    if start.startswith((b"<!doctype html", b"<html")):
        return "a web page (the download answered with a page instead of the file)"
    return "text" if start.isascii() and b"\0" not in start else None
