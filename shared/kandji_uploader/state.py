"""What is remembered between runs, in the state folder; all of it is safe to delete.

- the journal: uploads that no Custom App names yet (`sha256 -> file_key`), so that the next run does not upload again,
  and assignments to Blueprints that are still owed to a created app
- the digest cache: sha256 of files that have not changed since, so that an unchanged installer is not read again
- notes: what a Custom App held, for promotion and rollback, where its audit script cannot tell
- locks: one run at a time for a Custom App of a tenant, on this machine

A broken or unreadable file counts as empty: at worst, work is done twice.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TextIO

from kandji_uploader.errors import LockedError
from kandji_uploader.files import private_folder, write_private

_DAY = 86_400.0
_KEEP_UPLOADS = 7 * _DAY
_KEEP_DIGESTS = 500
_KEEP_HISTORY = 30


@dataclass(frozen=True)
class JournalEntry:
    """An upload that is in the store.

    Attributes:
        sha256: hex digest of the bytes that were sent.
        file_key: what a Custom App names it by.
        size: bytes.
        at: epoch seconds of the upload.
    """

    sha256: str
    file_key: str
    size: int
    at: float


@dataclass(frozen=True)
class Published:
    """One publication of an installer to a Custom App.

    Attributes:
        app_id: the Custom App.
        name: its name then.
        version: what was enforced or published; "" where it was not known.
        sha256: hex digest of the installer.
        file_key: its key in the store.
        at: epoch seconds.
        recipe: who published it; "" where nobody said.
    """

    app_id: str
    name: str
    version: str
    sha256: str
    file_key: str
    at: float
    recipe: str = ""


class Store:
    """The state folder of one tenant.

    Args:
        folder: the state folder; made when something is written.
        tenant: the API URL; entries of other tenants are not seen.
    """

    def __init__(self, folder: Path, tenant: str) -> None:
        self._folder = folder
        self._tenant = tenant

    # the journal of uploads

    def uploads(self, now: float) -> tuple[JournalEntry, ...]:
        """The uploads that may still be in the store, no older than a week."""
        entries = []
        for row in self._rows("uploads.json"):
            with contextlib.suppress(TypeError, ValueError):
                entry = JournalEntry(**row)
                if 0 <= now - entry.at < _KEEP_UPLOADS:
                    entries.append(entry)
        return tuple(entries)

    def note_upload(self, entry: JournalEntry) -> None:
        """Remember an upload until its targets are done."""
        kept = [row for row in self._rows("uploads.json") if row.get("sha256") != entry.sha256]
        self._write("uploads.json", [*kept, asdict(entry)])

    def forget_upload(self, sha256: str) -> None:
        """The targets are done, or the store no longer has it."""
        rows = self._rows("uploads.json")
        kept = [row for row in rows if row.get("sha256") != sha256]
        if len(kept) != len(rows):
            self._write("uploads.json", kept)

    # assignments that are owed

    def owed_blueprints(self, name: str) -> tuple[str, ...]:
        """Blueprints that an app of that name was to be assigned to when its run was interrupted."""
        for row in self._rows("assignments.json"):
            if row.get("name") == name and isinstance(row.get("blueprints"), list):
                return tuple(str(blueprint) for blueprint in row["blueprints"])
        return ()

    def owe_blueprints(self, name: str, blueprints: tuple[str, ...]) -> None:
        """Remember (or, with none, forget) what a created app is still to be assigned to."""
        rows = self._rows("assignments.json")
        kept = [row for row in rows if row.get("name") != name]
        added = [{"name": name, "blueprints": list(blueprints)}] if blueprints else []
        if kept + added != rows:
            self._write("assignments.json", kept + added)

    # what was published

    def history(self, app_id: str) -> tuple[Published, ...]:
        """What was published to a Custom App from this machine, oldest first."""
        entries = []
        for row in self._rows("history.json"):
            with contextlib.suppress(TypeError):
                if row.get("app_id") == app_id:
                    entries.append(Published(**row))
        return tuple(entries)

    def note_published(self, entry: Published) -> None:
        """Remember a publication."""
        rows = self._rows("history.json")
        of_app = [row for row in rows if row.get("app_id") == entry.app_id]
        others = [row for row in rows if row.get("app_id") != entry.app_id]
        self._write("history.json", [*others, *of_app[-_KEEP_HISTORY:], asdict(entry)])

    # what else is remembered of an app: its releases, and why one was held

    def remembered(self) -> dict[str, dict[str, str]]:
        """Notes by the id of the Custom App; see `promotion`."""
        found = {}
        for row in self._rows("notes.json"):
            notes = row.get("notes")
            if isinstance(notes, dict):
                found[str(row.get("app_id"))] = {key: str(text) for key, text in notes.items()}
        return found

    def remember(self, app_id: str, notes: Mapping[str, str]) -> None:
        """Remember these notes of an app, and no others; nothing is written where it knows them already."""
        known = self.remembered()
        if known.get(app_id, {}) != dict(notes):
            known[app_id] = dict(notes)
            self._write("notes.json", [{"app_id": each, "notes": kept} for each, kept in known.items() if kept])

    # locks

    @contextlib.contextmanager
    def lock(self, names: tuple[str, ...], patience: float, waiting: Callable[[str], None]) -> Iterator[bool]:
        """Hold the Custom Apps of these names for the time of a run; yields whether it had to wait for it.

        Args:
            names: Custom App names of one tenant.
            patience: seconds to wait for another run.
            waiting: told once when there is something to wait for.

        Raises:
            LockedError: the other run is still at it.
        """
        with contextlib.ExitStack() as held:
            waited = False
            for name in sorted(set(names)):
                token = hashlib.sha256(f"{self._tenant}\n{name}".encode()).hexdigest()[:24]
                path = private_folder(self._folder / "locks") / f"{token}.lock"
                waited |= held.enter_context(_locked(path, name, patience, waiting))
            yield waited

    # how it is kept

    def _path(self, name: str) -> Path:
        tenant = hashlib.sha256(self._tenant.encode()).hexdigest()[:12]
        return self._folder / tenant / name

    def _rows(self, name: str) -> list[dict[str, Any]]:
        return _read_rows(self._path(name))

    def _write(self, name: str, rows: list[dict[str, Any]]) -> None:
        write_private(self._path(name), json.dumps(rows, indent=1))


class DigestCache:
    """sha256 of files by what identifies their state on disk (path, inode, size, mtime_ns, ctime_ns)."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "digests.json"

    def get(self, path: Path) -> str | None:
        """The digest of a file that has not changed since it was put; None where that is not known."""
        wanted = _identity(path)
        for row in _read_rows(self._path):
            if row.get("file") == wanted and isinstance(row.get("sha256"), str):
                return str(row["sha256"])
        return None

    def put(self, path: Path, sha256: str, identity: Mapping[str, Any] | None = None) -> None:
        """Remember a digest; a folder that cannot be written is no error, since this only saves time.

        Args:
            path: the file.
            sha256: its hex digest.
            identity: what `identity` said before it was read; if it differs now, nothing is remembered.
        """
        now = _identity(path)
        if identity is not None and dict(identity) != now:
            return
        kept = [row for row in _read_rows(self._path) if row.get("file", {}).get("path") != now["path"]]
        rows = [*kept[-_KEEP_DIGESTS:], {"file": now, "sha256": sha256}]
        with contextlib.suppress(OSError):
            write_private(self._path, json.dumps(rows))

    def identity(self, path: Path) -> Mapping[str, Any]:
        """What identifies the state of a file; ask before reading it."""
        return _identity(path)


def _identity(path: Path) -> dict[str, Any]:
    status = path.stat()
    return {
        "path": str(path.absolute()),
        "inode": status.st_ino,
        "size": status.st_size,
        "mtime_ns": status.st_mtime_ns,
        "ctime_ns": status.st_ctime_ns,
    }


def _read_rows(path: Path) -> list[dict[str, Any]]:
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


@contextlib.contextmanager
def _locked(path: Path, name: str, patience: float, waiting: Callable[[str], None]) -> Iterator[bool]:
    import fcntl

    with path.open("a+", encoding="utf-8") as file:
        until, waited = time.monotonic() + patience, False
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError:
                if time.monotonic() >= until:
                    raise LockedError(
                        f"another run (process {_holder(file)}) is publishing the Custom App {name!r} and was not done "
                        f"after {patience:.0f} seconds. Nothing was changed; run again when it has ended"
                    ) from None
                if not waited:
                    waiting(f"waiting for another run (process {_holder(file)}) that is publishing {name!r}")
                waited = True
                time.sleep(0.1)
        path.chmod(0o600)
        file.seek(0)
        file.truncate()
        file.write(str(os.getpid()))
        file.flush()
        try:
            yield waited
        finally:
            fcntl.flock(file, fcntl.LOCK_UN)


def _holder(file: TextIO) -> str:
    file.seek(0)
    return file.read(20).strip() or "unknown"
