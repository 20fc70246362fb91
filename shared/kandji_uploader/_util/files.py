"""Small files of our own: written whole or not at all, readable by their owner only.

Every file that this software keeps (config, journal, caches) goes through here, so that none is ever half
written after a power cut or a kill, and none can be read by other accounts of the machine.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

_DRAFT = ".kandji-draft"
_PATIENCE = 10.0
"""Seconds to wait for another process that writes to the same folder, which takes it milliseconds."""


def identity(path: Path) -> tuple[int, ...]:
    """What tells a file from another one of its name, or from itself rewritten.

    Raises:
        OSError: it is not there.
    """
    status = path.stat()
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


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
    private_folder(path.parent)
    with _our_turn(path.parent):
        text = change()
        if text is not None:
            _replace(path, text)


def tidy(folder: Path) -> None:
    """Remove the drafts that killed processes have left in a folder: while it is our turn, nobody writes one."""
    with contextlib.suppress(OSError):
        drafts = [place for place in folder.iterdir() if place.name.endswith(_DRAFT)]
        if drafts:
            with _our_turn(folder) as ours:
                for draft in drafts if ours else ():
                    draft.unlink(missing_ok=True)


def _replace(path: Path, text: str) -> None:
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=_DRAFT, dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
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
        held = lock(handle)
        while held is False and time.monotonic() < until:
            time.sleep(0.005)
            held = lock(handle)
        yield held is True
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
