"""Disk images through 7-Zip, where there is no `hdiutil`: a listing, then single members, nothing unpacked.

Without `-sns-` 7-Zip appends extended attributes to a file's bytes; `-spd` takes names as they are, not as patterns;
all after `--` is a name, even where it begins with `-` or `@`.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, BinaryIO, cast

from kandji_uploader._util import children
from kandji_uploader.errors import ToolMissingError
from kandji_uploader.installer.contents import ArchiveEntry, within
from kandji_uploader.installer.limits import BLOCK, FILES, KIB, MIB, MalformedError
from kandji_uploader.installer.streams import Pipe, read_all, spooled

_PROGRAMS = ("7zz", "7z")
_OLDEST = (22, 0)
"""The first version that reads APFS."""
_VERSION = re.compile(r"7-Zip[^\r\n]*? (\d+)\.(\d+)")
_INSTALL = "install 7-Zip 22 or newer (Debian, Ubuntu: `apt-get install 7zip`; Homebrew: `brew install sevenzip`)"
_SECONDS = 120.0
_STREAM_SECONDS = 900.0
_LISTING_BYTES = 64 * MIB
_LINE_BYTES = 64 * KIB
_WARNED = 1


def find_program(image: Path) -> str:
    """7-Zip on PATH.

    Args:
        image: named in the error.

    Raises:
        ToolMissingError: there is none, or only an old one.
    """
    old = ""
    for name in _PROGRAMS:
        program = shutil.which(name)
        if program is None:
            continue
        version = _version(program)
        if version >= _OLDEST:
            return program
        old = f"; {program} is version {'.'.join(map(str, version)) or 'unknown'}, which is too old"
    raise ToolMissingError(image, f"to look into a disk image, 7-Zip is needed{old}: {_INSTALL}")


def _version(program: str) -> tuple[int, ...]:
    try:
        done = children.run([program], children.surroundings(), seconds=_SECONDS)
    except (OSError, children.ProgramTooSlowError):
        return ()
    found = _VERSION.search(done.stdout)
    return (int(found[1]), int(found[2])) if found else ()


class SevenZipImage:
    """A disk image as 7-Zip shows it; a container as `contents` reads it.

    Args:
        program: 7-Zip.
        image: the disk image.

    Raises (from all methods too):
        MalformedError: the image is broken, or beyond a cap, or 7-Zip does not know its format.
    """

    def __init__(self, program: str, image: Path) -> None:
        self._program = program
        self._image = Path(os.path.abspath(image))  # noqa: PTH100 - a link must stay a link

    def items(self) -> Iterator[ArchiveEntry]:
        """The files and folders; HFS+ volumes put their own name before each path, which is taken off."""
        with self._running("l", "-slt", seconds=_SECONDS) as output:
            lines = _lines(output)
            types = _header(lines)
            # Seen with 7-Zip 26: paths in HFS+ begin with the name of the volume, those in APFS do not.
            in_volume = types[-1:] == ["HFS"]
            for count, fields in enumerate(_blocks(lines)):
                if count > FILES:
                    raise MalformedError("", f"it lists more than {FILES:,} files")
                if types[-1:] == ["Dmg"]:
                    raise MalformedError("", "7-Zip does not find a volume in it that it can read; macOS may")
                if fields.get("Alternate Stream") != "+":
                    yield _item(fields, in_volume=in_volume)

    def read(self, item: ArchiveEntry, cap: int) -> bytes:
        """A file's content, at most `cap` bytes."""
        if item.size > cap:
            raise MalformedError(item.path, f"it is larger than {cap >> 20} MiB")
        with self._running("e", "-so", member=item.name, seconds=_SECONDS) as output:
            return read_all(Pipe(output), cap, item.path)

    @contextmanager
    def opened(self, item: ArchiveEntry) -> Iterator[BinaryIO]:
        """A file of the image as a temporary file that can seek."""
        with (
            self._running("e", "-so", member=item.name, seconds=_STREAM_SECONDS) as output,
            spooled(Pipe(output), item.size, item.path) as file,
        ):
            yield file

    def inside(self, folder: str) -> Iterator[tuple[ArchiveEntry, Iterator[bytes]]]:
        """Each file and link in a folder, with its content: 7-Zip gives all of them in one go, as they are listed."""
        listed = list(within(self.items(), folder))
        names = {"/".join(item.name.split("/")[: -item.path.count("/") + folder.count("/")]) for item in listed}
        if len(names) > 1:
            raise MalformedError(folder, "it is there twice, in another case: which one a Mac gets cannot be said")
        for name in names:
            yield from self._extracted(listed, name)

    def everything(self) -> Iterator[tuple[ArchiveEntry, Iterator[bytes]]]:
        """Each file, link and folder, with its content."""
        yield from self._extracted(list(self.items()), "")

    def _extracted(self, listed: list[ArchiveEntry], member: str) -> Iterator[tuple[ArchiveEntry, Iterator[bytes]]]:
        with self._running("e", "-so", member=member, seconds=_STREAM_SECONDS) as output:
            for item in listed:
                content = iter(()) if item.folder else _exactly(output, item)
                yield item, content
                deque(content, maxlen=0)  # what nobody has read comes before the next one
            if output.read(1):
                raise MalformedError(member, "7-Zip gives more of it than it lists")

    @contextmanager
    def _running(self, command: str, option: str, *, member: str = "", seconds: float) -> Iterator[BinaryIO]:
        """7-Zip while its output is read; never longer than `seconds`; it is ended afterwards in every case."""
        words = [self._program, command, option, "-spd", "-sns-", "--", str(self._image), *([member] if member else [])]
        environment = {**children.surroundings(), "LC_ALL": "C.UTF-8"}
        with (
            tempfile.TemporaryFile() as said,
            children.start(words, environment, says=said) as process,
        ):
            watch = _Watch(process, seconds)
            try:
                yield cast("BinaryIO", process.stdout)
                process.wait()
            finally:
                watch.stop()
                process.kill()
            children.check_interrupted(process.returncode)
            if process.returncode not in (0, _WARNED):
                raise MalformedError(member, watch.verdict or _said(said))


def _exactly(output: BinaryIO, item: ArchiveEntry) -> Iterator[bytes]:
    left = item.size
    while left:
        data = output.read(min(left, BLOCK))
        if not data:
            raise MalformedError(item.path, f"it should have {item.size} bytes and does not: the image is broken")
        left -= len(data)
        yield data


class _Watch:
    """Ends a program that takes too long."""

    def __init__(self, process: children.Child[bytes], seconds: float) -> None:
        self._process = process
        self._seconds = seconds
        self.verdict = ""
        self._timer = threading.Timer(seconds, self._end)
        self._timer.daemon = True
        self._timer.start()

    def stop(self) -> None:
        """It is done."""
        self._timer.cancel()

    def _end(self) -> None:
        self.verdict = f"7-Zip was not done after {self._seconds:.0f} seconds"
        self._process.kill()


def _lines(output: BinaryIO) -> Iterator[str]:
    """The listing's lines; a line or a listing beyond all measure is refused."""
    left = _LISTING_BYTES
    while line := output.readline(_LINE_BYTES):
        left -= len(line)
        if left < 0 or len(line) == _LINE_BYTES:
            raise MalformedError("", "its list of files is too long to be read")
        yield line.decode("utf-8", "surrogateescape").rstrip("\n")


def _header(lines: Iterator[str]) -> list[str]:
    """The formats that 7-Zip has found, one inside the other."""
    types = []
    for line in lines:
        if line.startswith("----------"):
            break
        if line.startswith("Type = "):
            types.append(line.removeprefix("Type = "))
    return types


def _blocks(lines: Iterator[str]) -> Iterator[dict[str, str]]:
    """The fields of each file; a blank line ends a file."""
    fields: dict[str, str] = {}
    for line in lines:
        key, found, value = line.partition(" = ")
        if found:
            fields.setdefault(key, value)
        elif not line and fields:
            yield fields
            fields = {}
    if fields:
        yield fields


def _item(fields: dict[str, str], *, in_volume: bool) -> ArchiveEntry:
    name = fields.get("Path", "")
    mode = fields.get("Mode", "")
    size = fields.get("Size", "")
    return ArchiveEntry(
        path=name.partition("/")[2] if in_volume else name,
        size=int(size) if size.isdecimal() else 0,
        folder=fields.get("Folder") == "+" or mode.startswith("d") or fields.get("Attributes", "").startswith("D"),
        link=mode.startswith("l") or bool(fields.get("Symbolic Link")),
        name=name,
        mode=_mode(mode),
    )


def _mode(text: str) -> int:
    """The rights that a mode in letters (`-rwxr-xr-x`) tells; 0 where it is told otherwise, or not at all."""
    letters = text[1:10]
    if len(letters) < len(_RIGHTS):
        return 0
    mode = sum(right for letter, right in zip(letters, _RIGHTS, strict=True) if letter not in "-ST")
    # `s` or `t` in the place of an `x`: the user's, the group's, and the sticky bit.
    return mode + sum(bit for letter, bit in zip(letters[2::3], _SPECIAL, strict=True) if letter in "sStT")


_SPECIAL = (0o4000, 0o2000, 0o1000)
_RIGHTS = (0o400, 0o200, 0o100, 0o040, 0o020, 0o010, 0o004, 0o002, 0o001)


def _said(output: IO[bytes]) -> str:
    """7-Zip's own words on what went wrong, in one line."""
    output.seek(0)
    text = output.read(_LINE_BYTES).decode("utf-8", "replace")
    told = [line.strip() for line in text.splitlines() if line.strip() and line.strip() != "ERRORS:"]
    return f"7-Zip cannot read it ({'; '.join(told[:3])[:300] or 'it does not say why'})"
