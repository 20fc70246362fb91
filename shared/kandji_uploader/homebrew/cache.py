"""Installers that were downloaded before: `FOLDER/SHA256/FILE NAME`.

The file keeps its own name, since Kandji stores it under that and dynamic lookup compares it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from kandji_uploader._util import files
from kandji_uploader.homebrew.cask import Cask

DAY = 24 * 3600.0
MOST_BYTES = 20_000_000_000
MOST_DAYS = 30.0


def cached(cask: Cask, folder: Path) -> Path | None:
    """The installer of a cask, where it was downloaded before and still has the cask's sha256.

    A file that has changed since is removed.
    """
    if cask.sha256 is None:
        return None
    for path in sorted(_files(folder / cask.sha256)):
        if files.sha256(path) == cask.sha256:
            os.utime(path.parent)  # not the file: it may just be published by another run, which would find it changed
            return path
        path.unlink()
    return None


def keep(arrived: Path, folder: Path, sha256: str, name: str) -> Path:
    """Move a checked download to its place."""
    place = folder / sha256
    place.mkdir(mode=0o700, exist_ok=True)
    return arrived.replace(place / name)


def prune(
    folder: Path,
    *,
    most_bytes: int = MOST_BYTES,
    most_days: float = MOST_DAYS,
    spare: Path | None = None,
    now: float | None = None,
) -> tuple[Path, ...]:
    """Remove what was not used for long, and then the longest unused until the rest fits; returns what was removed.

    Args:
        folder: the cache.
        most_bytes: what may stay.
        most_days: how long something may stay unused, partial downloads too.
        spare: a file that stays, whatever its age and size.
        now: epoch seconds.
    """
    now = time.time() if now is None else now
    removed: list[Path] = []
    total = 0
    for path, size, used in sorted(_with_size_and_use(folder), key=lambda each: each[2], reverse=True):
        total += size
        too_old = now - used > most_days * DAY
        if path != spare and (too_old or total > most_bytes):
            path.unlink(missing_ok=True)
            total -= size
            removed.append(path)
    for place in {path.parent for path in removed} - {folder}:
        if not any(place.iterdir()):
            shutil.rmtree(place, ignore_errors=True)
    return tuple(removed)


def _with_size_and_use(folder: Path) -> Iterator[tuple[Path, int, float]]:
    """Each file with its bytes and when it was last used: an installer tells that by the time of its own folder."""
    for place in (folder, *(each for each in _entries(folder) if each.is_dir())):
        for path in _files(place):
            with contextlib.suppress(FileNotFoundError):
                yield path, path.stat().st_size, (path if place == folder else place).stat().st_mtime


def _files(place: Path) -> Iterable[Path]:
    return (path for path in _entries(place) if path.is_file())


def _entries(place: Path) -> list[Path]:
    try:
        return list(place.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []
