"""Small files of our own: written whole or not at all, readable by their owner only.

Every file that this software keeps (config, journal, caches) goes through here, so that none is ever half
written after a power cut or a kill, and none can be read by other accounts of the machine.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


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
    private_folder(path.parent)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
