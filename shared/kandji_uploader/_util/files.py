"""Small files of our own: written whole or not at all, readable by their owner only.

Every file that this software keeps (config, journal, caches) goes through here, so that none is ever half
written after a power cut or a kill, and none can be read by other accounts of the machine.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, cast

if TYPE_CHECKING:
    from importlib.abc import SourceLoader

BLOCK = 4 << 20
"""Bytes that are read at a time."""
_DRAFT = ".kandji-draft"
_PATIENCE = 10.0
"""Seconds to wait for another process that writes to the same folder, which takes it milliseconds."""


class FileIdentity(NamedTuple):
    """What tells a file from another one of its name, or from itself rewritten.

    Reading a file leaves it as it is. The time of the last change of anything (`ctime_ns`) is the system's: unlike the
    time of the last writing (`mtime_ns`) nobody can put it back. It moves when a file is renamed, too, or gets another
    hard link, mode or extended attribute; such a file counts as another one.
    """

    device: int
    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int


def identity(file: Path | int) -> FileIdentity:
    """What a file is now, by its path or by the number of an open one.

    Raises:
        OSError: it is not there.
    """
    status = os.stat(file)  # noqa: PTH116 - a Path cannot be made of a number
    return FileIdentity(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def bundled(path: Path) -> str:
    """The text of a file that belongs to this library.

    What has loaded the library is asked for it: KandjiUploader.py gives what it has held against its seal, whatever
    lies on the disk by now.

    Raises:
        OSError: it is not there.
    """
    loader = cast("SourceLoader", __spec__.loader if __spec__ else None)
    return loader.get_data(str(path)).decode()


def shipped(name: str, within: str) -> Path:
    """Where what comes with the code is: in the installed package, or in a checkout in the folder `within`."""
    installed = Path(__file__).parents[1] / "data" / name
    return installed if installed.exists() else Path(__file__).resolve().parents[3] / within / name


def sha256(path: Path) -> str:
    """Hex digest of a file. Raises OSError."""
    import hashlib

    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()


def private_folder(folder: Path) -> Path:
    """Make a folder (and its parents) that only its owner can enter, mode 0700; an existing one is left as it is."""
    missing = [place for place in (folder, *folder.parents) if not place.exists()]
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for place in missing:
        place.chmod(0o700)
    return folder


def write_private(path: Path, text: str) -> None:
    """Write a file of mode 0600 in a private folder, atomically: a reader sees the old text or the new one.

    Raises:
        OSError: the folder cannot be written; no partial file is left.
    """
    change_private(path, lambda: text)
    tidy(path.parent)


def change_private(path: Path, change: Callable[[], str | None]) -> None:
    """Write what `change` makes of the file as it is; None leaves it so. Processes take turns.

    Raises:
        OSError: as `write_private`.
    """
    place = behind_link(path)
    private_folder(place.parent)
    with _our_turn(place.parent):
        text = change()
        if text is not None:
            _replace(place, text, mode=_mode(place) if place != path else None)


def behind_link(path: Path) -> Path:
    """The file that a link leads to, which is written in the link's stead: somebody has put the link there on purpose.

    Raises:
        OSError: it leads nowhere.
    """
    if not path.is_symlink():
        return path
    place = Path(os.path.realpath(path))
    if not place.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(place))
    return place


def told(path: Path) -> str:
    """A file as an error text calls it when it cannot be written: with the file behind a link, and where to edit it."""
    if not path.is_symlink():
        return str(path)
    return f"{path} is a link to {os.path.realpath(path)}, which is to be edited where it comes from: it"


def _mode(path: Path) -> int | None:
    """The permissions that somebody else has given a file; None for one that is not there."""
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except OSError:
        return None


def move_into(old: Path, new: Path) -> None:
    """Move the files of a folder into another one, but for those that it has already; processes take turns.

    What cannot be moved (another file system, a folder that may not be written) is copied. A folder that cannot be
    read counts as empty.

    Raises:
        OSError: the new folder cannot be written.
    """
    try:
        names = sorted(os.listdir(old))  # noqa: PTH208 - of the same length, and one call
    except OSError:
        return
    if not names or old == new or old in new.parents:
        return
    private_folder(new)
    with _our_turn(new):
        for name in names:
            _move(old / name, new / name)
    with contextlib.suppress(OSError):
        old.rmdir()


def tidy(folder: Path) -> None:
    """Remove the drafts that killed processes have left in a folder: while it is our turn, nobody writes one."""
    with contextlib.suppress(OSError):
        drafts = [place for place in folder.iterdir() if place.name.endswith(_DRAFT)]
        if drafts:
            with _our_turn(folder) as ours:
                for draft in drafts if ours else ():
                    draft.unlink(missing_ok=True)


def _move(old: Path, new: Path) -> None:
    if new.exists():
        return
    try:
        old.rename(new)
    except FileNotFoundError:  # another process was quicker
        return
    except OSError:
        draft = new.with_name(f".{new.name}{_DRAFT}")
        shutil.rmtree(draft, ignore_errors=True)
        if old.is_dir():
            shutil.copytree(old, draft)
        else:
            shutil.copy2(old, draft)
        draft.rename(new)
        remove = shutil.rmtree if old.is_dir() else os.unlink
        with contextlib.suppress(OSError):
            remove(old)


def _replace(path: Path, text: str, mode: int | None = None) -> None:
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=_DRAFT, dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
            if mode is not None:
                os.fchmod(file.fileno(), mode)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def _our_turn(folder: Path) -> Iterator[bool]:
    """Hold a folder; yields False where that cannot be had (some network volumes have no locks) or takes too long."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        until = time.monotonic() + _PATIENCE
        locked = lock(handle)
        while locked is False and time.monotonic() < until:
            time.sleep(0.005)
            locked = lock(handle)
        yield locked is True
    finally:
        os.close(handle)  # which ends the lock, too


def lock(handle: int) -> bool | None:
    """Lock an open file or folder for as long as it is open; False where another process has it, None for no locks."""
    import fcntl

    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True
