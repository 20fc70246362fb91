"""Disk images through macOS's `hdiutil`: attached read-only, out of sight, and always detached.

A small shell process attaches, waits for the end of its standard input, and detaches. When this process dies, in
whatever way, that input ends too: so nothing stays attached even after a crash or a `kill -9`.
"""

from __future__ import annotations

import os
import select
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from kandji_uploader._util import children
from kandji_uploader.installer.contents import ArchiveEntry
from kandji_uploader.installer.limits import DEPTH, FILES, MalformedError
from kandji_uploader.installer.payload import CODE_RESOURCES, INFO
from kandji_uploader.installer.streams import Pipe, blocks, read_all

_SECONDS = 180.0
_DETACH_SECONDS = 60.0
_DEEPEST = 8
_ATTACHED = b"attached\n"
_SAID_BYTES = 4096

# $1 the image, $2 the folder in which its volumes are mounted. `Y` answers a licence agreement. The volumes of an
# image go together, so a place that is a plain folder by now is only removed. The last try is by force.
_KEEPER = r"""
said=$(printf 'Y\n' | hdiutil attach "$1" -readonly -nobrowse -noautoopen -mountrandom "$2" 2>&1 >/dev/null)
if [ $? -eq 0 ]; then printf 'attached\n'; else printf '%s\n' "$said"; fi
exec >/dev/null
cat
for volume in "$2"/*; do
    for force in "" "" "" "" -force; do
        if [ ! -d "$volume" ] || rmdir "$volume" 2>/dev/null; then break; fi
        hdiutil detach "$volume" -quiet $force 2>/dev/null || sleep 1
    done
done
rmdir "$2" 2>/dev/null
"""


@contextmanager
def attached(image: Path) -> Iterator[MountedImage]:
    """A disk image while it is attached.

    Raises:
        MalformedError: it cannot be attached.
    """
    root = Path(tempfile.mkdtemp(prefix="kandji-uploader-"))
    words = ["/bin/sh", "-c", _KEEPER, "sh", os.path.abspath(image), str(root)]  # noqa: PTH100 - a link stays a link
    keeper = children.start(words, children.surroundings(), listens=True)
    try:
        _wait_until_attached(keeper)
        yield MountedImage(sorted(place for place in root.iterdir() if place.is_dir()))
    finally:
        _detach(keeper)


class MountedImage:
    """The volumes of a disk image that is attached; a container as `contents` reads it.

    Args:
        volumes: the folders in which they are mounted.

    Raises (from all methods):
        MalformedError: they hold more than is sane.
    """

    def __init__(self, volumes: Sequence[Path]) -> None:
        self._volumes = volumes

    def items(self) -> Iterator[ArchiveEntry]:
        """The files and folders that matter: apps are not searched, only asked for what they are known by."""
        every = (item for volume in self._volumes for item in _walk(volume, "", 0))
        for count, item in enumerate(every):
            if count > FILES:
                raise MalformedError("", f"it holds more than {FILES:,} files")
            yield item

    def read(self, item: ArchiveEntry, cap: int) -> bytes:
        """A file's content, at most `cap` bytes."""
        with self.opened(item) as file:
            return read_all(Pipe(file), cap, item.path)

    def opened(self, item: ArchiveEntry) -> AbstractContextManager[BinaryIO]:
        """A file of the image."""
        return os.fdopen(os.open(item.name, os.O_RDONLY | os.O_NOFOLLOW), "rb")

    def inside(self, folder: str) -> Iterator[tuple[ArchiveEntry, Iterator[bytes]]]:
        """Each file and link in a folder, with its content."""
        for volume in self._volumes:
            if (volume / folder).is_dir():
                yield from self._inside(volume / folder, folder, 0)

    def everything(self) -> Iterator[tuple[ArchiveEntry, Iterator[bytes]]]:
        """Each file, link and folder, with its content."""
        for volume in self._volumes:
            yield from self._inside(volume, "", 0, folders=True)

    def _inside(
        self, place: Path, path: str, depth: int, *, folders: bool = False
    ) -> Iterator[tuple[ArchiveEntry, Iterator[bytes]]]:
        for entry in _entries(place):
            mode = entry.stat(follow_symlinks=False).st_mode
            name = f"{path}/{entry.name}".removeprefix("/")
            item = ArchiveEntry(name, name=entry.path, link=entry.is_symlink(), mode=mode)
            if item.link:
                yield item, iter([os.fsencode(Path(entry.path).readlink())])
            elif entry.is_dir() and depth < DEPTH:
                if folders:
                    yield item._replace(folder=True), iter(())
                yield from self._inside(Path(entry.path), item.path, depth + 1, folders=folders)
            elif entry.is_file():
                with self.opened(item) as file:
                    yield item, blocks(Pipe(file))


def _wait_until_attached(keeper: children.Child[bytes]) -> None:
    output = cast("BinaryIO", keeper.stdout)
    ready, _, _ = select.select([output], [], [], _SECONDS)
    if not ready:
        raise MalformedError("", f"hdiutil did not attach it within {_SECONDS:.0f} seconds")
    said = os.read(output.fileno(), _SAID_BYTES)
    if not said.endswith(_ATTACHED):
        text = " ".join(said.decode("utf-8", "replace").split())[:300]
        raise MalformedError("", f"hdiutil cannot attach it ({text or 'it does not say why'})")


def _detach(keeper: children.Child[bytes]) -> None:
    """Let the keeper go about its end, and wait for it; if that takes long, it is left to finish alone."""
    cast("BinaryIO", keeper.stdin).close()
    cast("BinaryIO", keeper.stdout).close()
    if not children.ended(keeper, _DETACH_SECONDS):
        keeper.returncode = 0


def _walk(folder: Path, prefix: str, depth: int) -> Iterator[ArchiveEntry]:
    """What is in a folder; no link is followed, since one may lead out of the image."""
    for entry in _entries(folder):
        path = f"{prefix}{entry.name}"
        is_folder = entry.is_dir(follow_symlinks=False)
        if is_folder or entry.is_file(follow_symlinks=False):
            yield ArchiveEntry(path, entry.stat(follow_symlinks=False).st_size, folder=is_folder, name=entry.path)
        if is_folder and entry.name.lower().endswith(".app"):
            yield from _known_parts(Path(entry.path), path)
        elif is_folder and depth < _DEEPEST:
            yield from _walk(Path(entry.path), f"{path}/", depth + 1)


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    """A folder's entries; of one that may not be read (a volume's trash) none."""
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda one: one.name)
    except (PermissionError, FileNotFoundError, NotADirectoryError):
        return []


def _known_parts(app: Path, path: str) -> Iterator[ArchiveEntry]:
    """An app's Info.plist, and the seal of its signature."""
    for part in (INFO, CODE_RESOURCES):
        place = app / part
        way = [place, *(folder for folder in place.parents if app in folder.parents)]
        if place.is_file() and not any(step.is_symlink() for step in way):
            yield ArchiveEntry(f"{path}/{part}", place.stat().st_size, name=str(place))
