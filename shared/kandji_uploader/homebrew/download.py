"""Download the installer of a cask: into a `.part` file that a later run continues, and checked before it counts."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from typing import TYPE_CHECKING

from kandji_uploader._util import files
from kandji_uploader.errors import CaskError, NetworkError
from kandji_uploader.homebrew import web
from kandji_uploader.homebrew.cache import cached, keep, prune
from kandji_uploader.homebrew.cask import SUFFIXES, Cask, name_in, suffix_of, tidy
from kandji_uploader.http.tries import Policy, RetryableError, with_tries

if TYPE_CHECKING:
    from kandji_uploader.http.session import Response

Progress = Callable[[int, int], None]

_OK, _PARTIAL, _RANGE_NOT_THERE = 200, 206, 416


@dataclass(frozen=True)
class _Arrival:
    """A download that is complete: the names that came with it, and whether it went on from an earlier try."""

    names: tuple[str, ...]
    resumed: bool


@dataclass(frozen=True)
class _PartialFile:
    """The part of a download that has arrived, and beside it the address and the validator to resume it with."""

    path: Path

    @property
    def _notes(self) -> Path:
        return self.path.with_suffix(".json")

    def resumable(self, url: str) -> tuple[int, str]:
        """The bytes of an earlier try and the validator they came with; 0 where the download cannot be resumed."""
        try:
            notes = json.loads(self._notes.read_text(encoding="utf-8"))
            if notes["url"] == url and notes["validator"]:
                return self.path.stat().st_size, str(notes["validator"])
        except (OSError, ValueError, KeyError, TypeError):
            pass
        return 0, ""

    def note(self, url: str, validator: str) -> None:
        """Remember what the bytes are part of."""
        files.write_private(self._notes, json.dumps({"url": url, "validator": validator}))

    def remove(self) -> None:
        """Leave nothing behind."""
        self.path.unlink(missing_ok=True)
        self._notes.unlink(missing_ok=True)


def fetch(cask: Cask, folder: Path, on_progress: Progress | None = None, *, policy: Policy | None = None) -> Path:
    """The installer of a cask, from the cache or downloaded; its sha256 is the cask's.

    An interrupted download leaves a `.part` file, and the next call continues it. Memory use is constant.

    Args:
        cask: the cask.
        folder: the cache; the file ends up at `FOLDER/SHA256/FILE NAME`, and the cache is pruned.
        on_progress: told the bytes that are there and the bytes in all (0 where the server does not tell).
        policy: time-outs and tries.

    Raises:
        CaskError: the file has another sha256, is no installer, is not offered any more, or the disk is full.
        NetworkError: not reached, or broken off too often.
    """
    key = cask.sha256 or hashlib.sha256(cask.url.encode()).hexdigest()
    try:
        files.private_folder(folder)
        with _alone(folder / f"{key}.lock"):
            path = cached(cask, folder) or _download(
                cask, _PartialFile(folder / f"{key}.part"), on_progress or _silent, policy or Policy()
            )
    except OSError as problem:
        reason = problem.strerror or type(problem).__name__
        raise CaskError(
            f"the cask {cask.token!r} cannot be downloaded to {folder} ({reason}); nothing of it was left there. "
            "Make room, or correct the folder's permissions"
        ) from None
    with contextlib.suppress(OSError):
        prune(folder, spare=path)
    return path


def _download(cask: Cask, part: _PartialFile, on_progress: Progress, policy: Policy) -> Path:
    def pull() -> _Arrival:
        return _pull(cask, part, on_progress, policy)

    try:
        arrival = with_tries(policy, pull)
        sha256 = files.sha256(part.path)
        if cask.sha256 not in (None, sha256) and arrival.resumed:
            # The two halves may be of two files; a download in one piece tells.
            part.remove()
            arrival = with_tries(policy, pull)
            sha256 = files.sha256(part.path)
        name = _checked_name(cask, part.path, sha256, arrival.names)
        path = keep(part.path, part.path.parent, sha256, name)
    except (OSError, CaskError):
        part.remove()
        raise
    part.remove()
    return path


def _pull(cask: Cask, part: _PartialFile, on_progress: Progress, policy: Policy) -> _Arrival:
    """One try: ask for the missing bytes and write them as they arrive."""
    offset, validator = part.resumable(cask.url)
    headers = dict(cask.headers)
    if offset:
        headers |= {"Range": f"bytes={offset}-", "If-Range": validator}
    with web.get(cask.url, headers, policy, file=True) as arriving:
        response = arriving.response
        start = _start(cask, part, response, offset, validator)
        total = _total(response, start)
        if not start:
            part.path.unlink(missing_ok=True)
        part.note(cask.url, _validator(response.headers))
        done = start
        with part.path.open("ab") as file:
            for block in arriving.blocks():
                file.write(block)
                done += len(block)
                on_progress(done, total)
        if total and done != total:
            raise RetryableError(f"{cask.url}: {done} of {total} bytes came; the next run goes on from there")
        return _Arrival((_disposition_name(response.headers), name_in(response.url)), bool(start))


def _start(cask: Cask, part: _PartialFile, response: Response, offset: int, validator: str) -> int:
    """The byte that the answer's body begins at.

    Raises:
        PassingError: the server cannot go on from `offset`; the next try starts from the beginning.
        NetworkError: the file is not offered.
    """
    status = response.status_code
    if status == _OK:
        return 0
    goes_on = response.headers.get("Content-Range", "").startswith(f"bytes {offset}-")
    if status == _PARTIAL and goes_on and _validator(response.headers) in ("", validator):
        return offset
    if status in (_PARTIAL, _RANGE_NOT_THERE) and offset:
        part.remove()
        raise RetryableError(f"{cask.url}: the server could not go on from byte {offset}; try again")
    raise NetworkError(
        f"the download of the cask {cask.token!r} is not offered: HTTP {status} for {cask.url}. The vendor may have "
        "withdrawn this version before Homebrew has the next; try again later"
    )


def _total(response: Response, start: int) -> int:
    length = response.headers.get("Content-Length", "")
    return start + int(length) if length.isdigit() else 0


def _validator(headers: Mapping[str, str]) -> str:
    """What tells the file from a later one at the same address: a strong ETag, else the time of its last change."""
    etag = headers.get("ETag", "")
    return etag if etag.startswith('"') else headers.get("Last-Modified", "")


def _disposition_name(headers: Mapping[str, str]) -> str:
    message = Message()
    message["Content-Disposition"] = headers.get("Content-Disposition", "")
    return tidy(message.get_filename() or "")


def _checked_name(cask: Cask, path: Path, sha256: str, names: tuple[str, ...]) -> str:
    """The file name of a download that is what the cask promised.

    Raises:
        CaskError: it is not.
    """
    if cask.sha256 not in (None, sha256):
        raise CaskError(
            f"the download of the cask {cask.token!r} has the sha256 {sha256}, but Homebrew says {cask.sha256}. It was "
            "thrown away. The vendor may have replaced the file before Homebrew took note: try again later, and do not "
            f"publish {cask.url} before you know why"
        )
    named = next((name for name in (cask.file_name, *names) if suffix_of(name) in SUFFIXES), None)
    if named and cask.sha256:
        return named
    suffix = _suffix_by_content(path)
    if not suffix:
        raise CaskError(
            f"what {cask.url} answered for the cask {cask.token!r} is neither a .pkg nor a .dmg nor a .zip; "
            "it was thrown away. Download the installer yourself and publish the file"
        )
    return named or tidy(f"{cask.file_name}{suffix}")


def _suffix_by_content(path: Path) -> str:
    with path.open("rb") as file:
        start = file.read(4)
        file.seek(max(path.stat().st_size - 512, 0))
        end = file.read(4)
    if start == b"xar!":
        return ".pkg"
    if start == b"PK\x03\x04":
        return ".zip"
    return ".dmg" if end == b"koly" else ""


def _silent(done: int, total: int) -> None:
    """Nobody wants to know."""


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Wait for another process that downloads the same file; it is in the cache then."""
    import fcntl

    while True:
        with path.open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            # The process that had the lock before has removed the file: this lock is on no file of the folder then.
            if not _is_still(path, os.fstat(file.fileno())):
                continue
            try:
                yield
            finally:
                path.unlink(missing_ok=True)
            return


def _is_still(path: Path, status: os.stat_result) -> bool:
    try:
        return os.path.samestat(path.stat(), status)
    except FileNotFoundError:
        return False
