"""The folder of a manifest: installers and scripts, each in a folder that is called by its sha256, and the lines.

    FOLDER/manifest.jsonl
    FOLDER/3f79bb7b435b05321651daefd374cdc681dc06faa65e374e38337b88ca046dea/Firefox-130.0.pkg

Files are copied, not linked: a step of a recipe may write into its own file again, and what is here must stay what
its name says.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from kandji_uploader._util.files import BLOCK
from kandji_uploader.errors import InstallerChangedError, ManifestError
from kandji_uploader.manifest.lines import Line, LineError, digest_in, from_text, to_text

Intact = Callable[[Path, str], bool]
"""Whether the file at a path is there and has this sha256."""

NAME = "manifest.jsonl"
_DRAFT = ".draft"
_MOST_TOLD = 10
"""Problems that one error lists."""


def add(folder: Path, line: Line, files: Mapping[str, Path], intact: Intact) -> bool:
    """Put files and then their line into a folder. Processes take turns; one that is killed leaves no half of it.

    Args:
        folder: it is made where it is not there.
        line: the line.
        files: by their place in the folder, where they are now.
        intact: see `Intact`.

    Returns:
        Whether the line is new; False where the last one about the same apps by the same recipe is the same.

    Raises:
        ManifestError: the folder cannot be written.
        InstallerError: a file changed while it was copied.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _our_turn(folder / NAME) as handle:
            for place, path in files.items():
                if not intact(folder / place, digest_in(place)):
                    _copy(path, folder / place)
            return _append(folder / NAME, handle, line)
    except OSError as problem:
        raise ManifestError(
            f"{problem.filename or folder} cannot be written ({problem.strerror or problem}); make room or give "
            "access to it, or name another folder as `publish_to`"
        ) from None


def read(manifest: Path) -> tuple[Line, ...]:
    """The lines of a manifest, each held against its digest. Of lines that replace each other, the last one stays.

    Args:
        manifest: the file, or the folder that it is in.

    Raises:
        ManifestError: it is not there, or a line is cut off, changed or of a newer format; all such lines are told.
    """
    path = manifest / NAME if manifest.is_dir() else manifest
    try:
        with path.open("rb") as file:
            with contextlib.suppress(OSError):  # some network volumes have no locks
                fcntl.flock(file, fcntl.LOCK_SH)
            content = file.read()
    except OSError as problem:
        raise ManifestError(f"{path} cannot be read ({problem.strerror or problem}); check the path") from None
    found: dict[object, Line] = {}
    problems: list[str] = []
    for number, text in enumerate(content.decode("utf-8", "replace").split("\n"), 1):
        if not text:
            continue
        try:
            line = from_text(text)
            found[line.replaces] = line
        except LineError as problem:
            problems.append(f"{path}: line {number} {problem}")
    refuse(problems)
    return tuple(found.values())


def wrong_files(folder: Path, line: Line, intact: Intact) -> list[str]:
    """What is wrong with the files of a line, one sentence each: a file is missing, or is not what its line says."""
    problems = []
    for place in (line.file, *line.files):
        path = folder / place
        try:
            size = path.stat().st_size
            if (place == line.file and size != line.size) or not intact(path, digest_in(place)):
                problems.append(f"{path} is not the file that was put there: its sha256 differs; build it again")
        except FileNotFoundError:
            problems.append(f"{path} is missing; fetch the whole folder of the manifest, or build it again")
        except OSError as problem:
            problems.append(f"{path} cannot be read ({problem.strerror or problem}); correct its permissions")
    return problems


def refuse(problems: Sequence[str]) -> None:
    """Raise ManifestError if there are any problems."""
    if problems:
        more = len(problems) - _MOST_TOLD
        listed = [*problems[:_MOST_TOLD], *([f"and {more} more"] if more > 0 else [])]
        raise ManifestError("\n".join([*listed, "Nothing was sent"]))


@contextlib.contextmanager
def _our_turn(path: Path) -> Iterator[int]:
    """Hold a manifest that others write to as well, open to be read and appended to."""
    handle = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        with contextlib.suppress(OSError):  # some network volumes have no locks
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield handle
    finally:
        os.close(handle)  # which ends the lock, too


def _copy(path: Path, place: Path) -> None:
    """Copy a file to where its sha256 belongs, whole or not at all.

    Raises:
        InstallerChangedError: it is another one by now.
    """
    place.parent.mkdir(exist_ok=True)
    # One at a time: what a killed process has left of such a file is written over by the next one.
    draft = place.parent.with_suffix(_DRAFT)
    digest = hashlib.sha256()
    try:
        with path.open("rb") as source, draft.open("wb") as copy:
            while block := source.read(BLOCK):
                digest.update(block)
                copy.write(block)
            copy.flush()
            os.fsync(copy.fileno())
        if digest.hexdigest() != place.parent.name:
            raise InstallerChangedError(path)
        draft.replace(place)
    finally:
        draft.unlink(missing_ok=True)


def _append(path: Path, handle: int, line: Line) -> bool:
    """Append a line by one write. What a process that was killed in the middle of one has left is cut off first."""
    content = path.read_bytes()
    *whole, rest = content.split(b"\n")
    known = [found for text in (*whole, rest) if (found := _line(text)) is not None]
    text = to_text(line)
    former = [to_text(each) for each in known if each.replaces == line.replaces]
    if former[-1:] == [text]:
        return False
    end = len(content)
    if rest and _line(rest) is None:
        end -= len(rest)
        os.ftruncate(handle, end)
        rest = b""
    try:
        _write(handle, f"{chr(10) if rest else ''}{text}".encode())
    except OSError:
        os.ftruncate(handle, end)
        raise
    return True


def _write(handle: int, text: bytes) -> None:
    if os.write(handle, text) < len(text):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    os.fsync(handle)


def _line(text: bytes) -> Line | None:
    try:
        return from_text(text.decode("utf-8", "replace"))
    except LineError:
        return None
