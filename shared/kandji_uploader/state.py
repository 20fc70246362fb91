"""The memory between runs, in the state folder; all of it is safe to delete.

- the journal: uploads that no Custom App names yet (`sha256 -> file_key`), so that the next run does not upload again,
  and the ids of Custom Apps that were created, so that a list that lags behind does not have one made twice
- the digest cache: sha256 of files that have not changed since, so that an unchanged installer is not read again
- pending publishes: what a failed or interrupted run left to do, see `publish.pending`
- notes: the releases of a Custom App, for promotion and rollback, where its audit script cannot tell
- locks: one run at a time for a Custom App of a tenant, on this machine

A broken or unreadable file counts as empty: at worst, work is done twice. What must be remembered before something is
done in the tenant raises where it cannot be written; a note afterwards does not, since the work is done.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from kandji_uploader import __version__
from kandji_uploader._util import files, signals, version
from kandji_uploader.errors import LockedError, StateError
from kandji_uploader.models import Settings, Signature

Rows = list[dict[str, Any]]

_DAY = 86_400.0
_KEEP_UPLOADS = 7 * _DAY
_KEEP_DIGESTS = 5000
_KEEP_HISTORY = 30
_PENDING = "pending.json"
_KEEP_CREATED = 300


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
class PendingPublish:
    """A publish that a failed or interrupted run left to do.

    Attributes:
        names: the Custom Apps, test first.
        path: the installer on this machine.
        size: its bytes.
        mtime_ns: when it was last written.
        sha256: its hex digest; "" where nobody had worked it out.
        version: what it would enforce; "" where that was not known.
        recipe: who asked; "" where it was no recipe.
        at: epoch seconds.
        reason: what went wrong.
        request: what else is needed to ask for it again: keys, facts, folders. No secret: none is ever a key.
    """

    names: tuple[str, ...]
    path: str
    size: int
    mtime_ns: int
    at: float
    sha256: str = ""
    version: str = ""
    recipe: str = ""
    reason: str = ""
    request: Mapping[str, Any] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """The apps and the version."""
        return f"{' and '.join(self.names)}{f' {self.version}' if self.version else ''}"

    def is_called(self, name: str) -> bool:
        """Whether a name means this one: that of a Custom App, the recipe or the installer."""
        return name in (*self.names, self.recipe, self.path, Path(self.path).name)

    def replaces(self, other: PendingPublish, *, anew: bool) -> bool:
        """Whether the other one need not be done once this one is.

        Args:
            other: for the same Custom Apps, or some of them.
            anew: whether this one has changed them, which somebody wanted, whatever the versions are.
        """
        if anew or (self.sha256 and self.sha256 == other.sha256):
            return True
        if (self.path, self.size, self.mtime_ns) == (other.path, other.size, other.mtime_ns):
            return True
        return bool(self.version and other.version) and version.compare(self.version, other.version) >= 0


@dataclass(frozen=True)
class Created:
    """A Custom App that this machine has created.

    Attributes:
        name: its name then.
        app_id: the Custom App; "" while no answer has told whether there is one.
        file_key: of its installer then.
        at: epoch seconds.
        settled: whether the run came to know that it is the only one of its name; see `publish.one_app`.
    """

    name: str
    app_id: str
    file_key: str
    at: float
    settled: bool = False


@dataclass(frozen=True)
class Publication:
    """One publication of an installer to a Custom App.

    Attributes:
        app_id: the Custom App.
        name: its name then.
        version: what was enforced or published; "" where it was not known.
        sha256: hex digest of the installer.
        file_key: its key in the store.
        at: epoch seconds.
        recipe: who published it; "" where nobody said.
        signer: who signed it, see `signers`; "" where nobody looked.
        digest: of the release, see `releases`; "" where it was not known.
    """

    app_id: str
    name: str
    version: str
    sha256: str
    file_key: str
    at: float
    recipe: str = ""
    signer: str = ""
    digest: str = ""


def store_of(settings: Settings) -> StateStore:
    """The state folder of these settings and their tenant; a dry run only reads it.

    Raises:
        StateError: it cannot be written, in a run that is not dry.
    """
    return StateStore(_folder_of(settings), settings.api_url, writes=not settings.dry_run)


def digests_of(settings: Settings) -> DigestCache:
    """The digest cache of these settings; a dry run only reads it.

    Raises:
        StateError: as `store_of`.
    """
    return DigestCache(_folder_of(settings), writes=not settings.dry_run)


def adopt(config_folder: Path, state_folder: Path) -> None:
    """Move over the state and the downloads that former versions kept inside the settings folder.

    Safe with several processes, of which one may be killed: each thing is moved whole, or stays where it is.

    Raises:
        StateError: there is something to move, and the state folder cannot be written.
    """
    try:
        files.move_into(config_folder / "state", state_folder)
        downloads = state_folder / "downloads"
        if _is_folder(config_folder / "downloads") and not downloads.exists():
            files.private_folder(state_folder)
            with contextlib.suppress(OSError):  # another file system, or another process: they are a cache
                (config_folder / "downloads").rename(downloads)
    except OSError as problem:
        raise StateError(state_folder, problem.strerror or str(problem)) from None


def _folder_of(settings: Settings) -> Path:
    former = settings.config_folder / "state"
    if not settings.dry_run:
        _adopt_once(settings.config_folder, settings.state_folder)
    elif _is_folder(former) and not _is_folder(settings.state_folder):
        return former
    return settings.state_folder


_adopt_once = functools.cache(adopt)


def _is_folder(path: Path) -> bool:
    """Whether there is such a folder, as far as we may look; `is_dir` of a Path may raise where we may not."""
    return os.path.isdir(path)  # noqa: PTH112


class StateStore:
    """The state folder of one tenant.

    Args:
        folder: the state folder; made when something is written.
        tenant: the API URL; entries of other tenants are not seen.
        writes: whether anything is written; a dry run takes no lock and leaves no trace.
    """

    def __init__(self, folder: Path, tenant: str, *, writes: bool = True) -> None:
        self._folder = folder
        self._tenant = tenant
        self._writes = writes

    # the journal of uploads

    def uploads(self, now: float) -> tuple[JournalEntry, ...]:
        """The uploads that may still be in the store, no older than a week."""
        entries = (_journal_entry(row) for row in self._rows("uploads.json"))
        return tuple(entry for entry in entries if entry is not None and 0 <= now - entry.at < _KEEP_UPLOADS)

    def note_upload(self, entry: JournalEntry) -> None:
        """Remember an upload until its targets are done.

        Raises:
            StateError: the folder cannot be written.
        """
        self._change("uploads.json", lambda rows: [*_without(rows, "sha256", entry.sha256), asdict(entry)])

    def forget_upload(self, sha256: str) -> None:
        """The targets are done, or the store no longer has it."""
        with contextlib.suppress(StateError):
            self._change("uploads.json", lambda rows: _without(rows, "sha256", sha256))

    # what was created

    def created(self, name: str) -> tuple[Created, ...]:
        """The Custom Apps of that name that this machine has created, latest first; some may have been deleted."""
        found = []
        for row in reversed(self._rows("created.json")):
            with contextlib.suppress(TypeError):
                if row.get("name") == name:
                    found.append(Created(**row))
        return tuple(found)

    def note_created(self, entry: Created) -> None:
        """Remember a Custom App that was created; or, where it is known, whether it is known to be the only one.

        Before its create is sent it is noted without an id, which the answer brings.
        """

        def changed(rows: Rows) -> Rows:
            others = _without(rows, "app_id", entry.app_id) if entry.app_id else rows
            kept = [row for row in others if not _is_sent(row, entry.name)]
            return [*kept[-_KEEP_CREATED:], asdict(entry)]

        with contextlib.suppress(StateError):
            self._change("created.json", changed)

    def forget_sent(self, name: str) -> None:
        """A create that was sent has been refused."""
        with contextlib.suppress(StateError):
            self._change("created.json", lambda rows: [row for row in rows if not _is_sent(row, name)])

    def forget_created(self, app_id: str) -> None:
        """It was deleted again."""
        with contextlib.suppress(StateError):
            self._change("created.json", lambda rows: _without(rows, "app_id", app_id))

    # pending publishes

    def pending(self) -> tuple[PendingPublish, ...]:
        """The publishes that are pending, oldest first."""
        entries = (_pending(row) for row in self._rows(_PENDING))
        return tuple(entry for entry in entries if entry is not None)

    def add_pending(self, entry: PendingPublish) -> None:
        """Remember a publish until it is done; one of a newer version for the same apps stays in its place.

        Raises:
            StateError: the folder cannot be written.
        """

        def changed(rows: Rows) -> Rows:
            same = [other for row in rows if (other := _pending(row)) and set(other.names) == set(entry.names)]
            if any(other.version and not entry.replaces(other, anew=not entry.version) for other in same):
                return rows
            return [*_without_pending(rows, same), json.loads(json.dumps(asdict(entry), default=_as_text))]

        self._change(_PENDING, changed)

    def complete_pending(self, entry: PendingPublish, *, anew: bool) -> None:
        """A publish is done; so is what it replaces (see `PendingPublish.replaces`)."""
        done = [
            other
            for other in self.pending()
            if set(other.names) <= set(entry.names) and entry.replaces(other, anew=anew)
        ]
        for other in done:
            self.forget_pending(other)

    def forget_pending(self, entry: PendingPublish) -> None:
        """A publish is no longer pending."""
        with contextlib.suppress(StateError):
            self._change(_PENDING, lambda rows: _without_pending(rows, [entry]))

    # what was published

    def history(self, app_id: str) -> tuple[Publication, ...]:
        """What was published to a Custom App from this machine, oldest first."""
        entries = []
        for row in self._rows(_history(app_id)):
            with contextlib.suppress(TypeError):
                if row.get("app_id") == app_id:
                    entries.append(Publication(**row))
        return tuple(entries)

    def note_published(self, entry: Publication) -> None:
        """Remember a publication."""
        with contextlib.suppress(StateError):
            self._change(_history(entry.app_id), lambda rows: [*rows[-_KEEP_HISTORY:], asdict(entry)])

    # the releases of an app, and why the promotion of one was held

    def remembered(self) -> dict[str, dict[str, str]]:
        """Notes by the id of the Custom App; see `releases`."""
        found = {}
        for row in self._rows("notes.json"):
            notes = row.get("notes")
            if isinstance(notes, dict):
                found[str(row.get("app_id"))] = {key: str(text) for key, text in notes.items()}
        return found

    def remember(self, app_id: str, notes: Mapping[str, str]) -> None:
        """Remember these notes of an app, and no others; nothing is written where it knows them already."""

        def changed(rows: Rows) -> Rows:
            mine = [{"app_id": app_id, "notes": dict(notes)}] if notes else []
            return rows if mine and mine[0] in rows else [*_without(rows, "app_id", app_id), *mine]

        with contextlib.suppress(StateError):
            self._change("notes.json", changed)

    # locks

    @contextlib.contextmanager
    def lock(self, names: tuple[str, ...], patience: float, waiting: Callable[[str], None]) -> Iterator[float]:
        """Hold the Custom Apps of these names for the time of a run.

        Yields when another process may last have changed one of them, in epoch seconds, 0.0 for never: a list of the
        tenant that was fetched before that is out of date.

        Args:
            names: Custom App names of one tenant.
            patience: seconds to wait for another run.
            waiting: told once when there is something to wait for.

        Raises:
            LockedError: the other run is still at it.
            StateError: the folder cannot be written.
        """
        places = {name: self._folder / "locks" / f"{_token(f'{self._tenant}{chr(10)}{name}')}.lock" for name in names}
        if not self._writes:
            yield max(map(_last_change_of, places.values()), default=0.0)
            return
        _tidy(self._folder)
        with contextlib.ExitStack() as locks:
            changed = 0.0
            for name, path in sorted(places.items()):
                changed = max(changed, locks.enter_context(_locked(path, name, patience, waiting)))
            yield changed

    # how it is kept

    def _path(self, name: str) -> Path:
        tenant = hashlib.sha256(self._tenant.encode()).hexdigest()[:12]
        return self._folder / tenant / name

    def _rows(self, name: str) -> Rows:
        return _read_rows(self._path(name))

    def _change(self, name: str, change: Callable[[Rows], Rows]) -> None:
        if self._writes:
            _change_rows(self._path(name), change)


class DigestCache:
    """The sha256 of files, and who signed them, by what identifies their state on disk.

    That is path, device, inode, size, mtime_ns and ctime_ns. Each has a small file of its own, so that looking one up
    costs the same however many there are.

    Args:
        folder: the state folder.
        writes: whether anything is remembered.
    """

    def __init__(self, folder: Path, *, writes: bool = True) -> None:
        self._folder = folder / "digests"
        self._writes = writes

    def get(self, path: Path) -> str | None:
        """The digest of a file that has not changed since it was put; None where that is not known."""
        known = self._row(path).get("sha256")
        return known if isinstance(known, str) else None

    def put(self, path: Path, sha256: str, identity: files.FileIdentity | None = None) -> None:
        """Remember a digest; a folder that cannot be written is no error, since this only saves time.

        Args:
            path: the file.
            sha256: its hex digest.
            identity: what `files.identity` said before it was read; if it differs now, nothing is remembered.
        """
        self._put(path, identity, {"sha256": sha256})

    def signature(self, path: Path, meant: tuple[str | None, ...]) -> Signature | None:
        """Who signed a file that has not changed since that was put; None where that is not known.

        Args:
            path: the file.
            meant: what else the answer depends on, such as the app that is meant.
        """
        row = self._row(path).get("signature")
        try:
            if isinstance(row, dict) and row.pop("meant") == [__version__, *meant]:
                lists = {name: tuple(map(str, row[name])) for name in ("verified", "not_verified")}
                return Signature(**{**row, **lists})
        except (KeyError, TypeError):
            pass
        return None

    def content(self, path: Path) -> str:
        """What a file that has not changed since brings to a Mac; "" where that is not known."""
        row = self._row(path).get("content")
        return str(row[1]) if isinstance(row, list) and len(row) == 2 and row[0] == __version__ else ""  # noqa: PLR2004

    def put_content(self, path: Path, digest: str, identity: files.FileIdentity | None) -> None:
        """Remember what a file brings to a Mac; see `put`."""
        self._put(path, identity, {"content": [__version__, digest]})

    def put_signature(
        self, path: Path, meant: tuple[str | None, ...], found: Signature, identity: files.FileIdentity | None
    ) -> None:
        """Remember who signed a file; see `signature` and `put`.

        A signature without a secure timestamp is good only until its certificate expires, and is looked at each time.
        """
        if found.status != "signed" or found.timestamp:
            self._put(path, identity, {"signature": {**asdict(found), "meant": [__version__, *meant]}})

    def _put(self, path: Path, identity: files.FileIdentity | None, values: dict[str, Any]) -> None:
        if not self._writes:
            return
        with contextlib.suppress(OSError, StateError):
            now = files.identity(path)
            if identity in (None, now):
                place, known = self._place(path), self._row(path)
                if not place.exists():
                    self._make_room()
                _change_rows(place, lambda _: [{**known, "file": _state_of(path, now), **values}])

    def _row(self, path: Path) -> dict[str, Any]:
        """What is remembered of a file that has not changed since."""
        try:
            wanted = _state_of(path, files.identity(path))
        except OSError:
            return {}
        return next((row for row in _read_rows(self._place(path)) if row.get("file") == wanted), {})

    def _place(self, path: Path) -> Path:
        return self._folder / f"{_token(str(path.absolute()))}.json"

    def _make_room(self) -> None:
        """Forget those that were put longest ago, a tenth of them at a time, so that this is seldom done."""
        # Asked with every new file: counting names is a tenth of making paths of them.
        if self._folder.exists() and len(os.listdir(self._folder)) >= _KEEP_DIGESTS:  # noqa: PTH208
            known = list(self._folder.glob("*.json"))
            known.sort(key=lambda place: place.stat().st_mtime)
            for place in known[: _KEEP_DIGESTS // 10]:
                place.unlink(missing_ok=True)


def _state_of(path: Path, identity: files.FileIdentity) -> dict[str, Any]:
    return {"path": str(path.absolute()), **identity._asdict()}


def _history(app_id: str) -> str:
    """The file of an app's history; whatever an id holds, this is a name of one file."""
    return f"history/{_token(app_id)}.json"


def _token(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:24]


@functools.cache
def _tidy(folder: Path) -> None:
    """Remove what killed processes have left half written; once per process."""
    with contextlib.suppress(OSError):  # the next write there tells it
        for place in (folder, *(each for each in folder.glob("**/") if each != folder)):
            files.tidy(place)


def _journal_entry(row: Mapping[str, Any]) -> JournalEntry | None:
    texts = [row.get("sha256"), row.get("file_key")]
    numbers = [row.get("size"), row.get("at")]
    if all(isinstance(text, str) for text in texts) and all(isinstance(number, (int, float)) for number in numbers):
        return JournalEntry(row["sha256"], row["file_key"], row["size"], row["at"])
    return None


def _pending(row: Mapping[str, Any]) -> PendingPublish | None:
    try:
        entry = PendingPublish(**{**row, "names": tuple(map(str, row["names"]))})
    except (KeyError, TypeError):
        return None
    texts = (entry.path, entry.sha256, entry.version, entry.recipe, entry.reason)
    whole = isinstance(entry.request, dict) and all(isinstance(text, str) for text in texts) and entry.names
    return entry if whole else None


def _without_pending(rows: Rows, entries: list[PendingPublish]) -> Rows:
    return [row for row in rows if _pending(row) not in entries]


def _as_text(value: Any) -> str:
    """What JSON has no form for, such as the date of a plist (which is UTC), as the settings read it from a text."""
    return value.isoformat() + ("" if value.tzinfo else "Z") if isinstance(value, datetime) else str(value)


def _is_sent(row: Mapping[str, Any], name: str) -> bool:
    """Whether a row of what was created is about a create of that name whose answer never came."""
    return row.get("name") == name and row.get("app_id") == ""


def _without(rows: Rows, key: str, value: str) -> Rows:
    return [row for row in rows if row.get(key) != value]


def _read_rows(path: Path) -> Rows:
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return []
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


def _change_rows(path: Path, change: Callable[[Rows], Rows]) -> None:
    """Change the rows of a file while no other process does; nothing is written where nothing changes.

    Raises:
        StateError: the folder cannot be written.
    """

    def text() -> str | None:
        rows = _read_rows(path)
        changed = change(rows)
        return None if changed == rows else json.dumps(changed, indent=1)

    try:
        files.change_private(path, text)
    except OSError as problem:
        raise StateError(path, problem.strerror or str(problem)) from None


_HELD_HERE: set[Path] = set()
"""The locks that this process holds, in any thread."""


@contextlib.contextmanager
def _locked(path: Path, name: str, patience: float, waiting: Callable[[str], None]) -> Iterator[float]:
    try:
        files.private_folder(path.parent)
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as problem:
        raise StateError(path, problem.strerror or str(problem)) from None
    try:
        _wait_for(handle, path, name, patience, waiting)
        changed = _last_change(handle)
        _sign(handle, f"{os.getpid()}")
        _HELD_HERE.add(path)
        try:
            yield changed
        finally:
            _HELD_HERE.discard(path)
            _sign(handle, f"{os.getpid()} {time.time()}")
    finally:
        os.close(handle)  # which ends the lock, too


def _wait_for(handle: int, path: Path, name: str, patience: float, waiting: Callable[[str], None]) -> None:
    until, told = time.monotonic() + patience, False
    while files.lock(handle) is False:
        ours = path in _HELD_HERE
        if time.monotonic() >= until and not ours:  # another installer of this run ends, however long
            raise LockedError(
                f"another run{_holder(handle)} is publishing the Custom App {name!r} and was not done "
                f"after {patience:.0f} seconds. Nothing was changed; run again when it has ended"
            )
        if not told and ours:
            waiting(f"waiting for another installer of this run that is published to {name!r}")
        elif not told:
            waiting(f"waiting for another run{_holder(handle)} that is publishing {name!r}")
        told = True
        signals.pause(0.1)


def _holder(handle: int) -> str:
    """The process that holds a lock, by the number in it; it may still be our own number, of an earlier turn."""
    signed = _signed(handle)
    return "" if not signed or signed[0] == str(os.getpid()) else f" (process {signed[0]})"


def _last_change(handle: int) -> float:
    """When another process last held the lock; one that was killed while it did has left its number only."""
    signed = _signed(handle)
    if not signed or signed[0] == str(os.getpid()):
        return 0.0
    try:
        return float(signed[1])
    except (IndexError, ValueError):
        return time.time()


def _last_change_of(path: Path) -> float:
    """The same, asked without holding the lock."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except OSError:
        return 0.0
    try:
        return _last_change(handle)
    finally:
        os.close(handle)


def _signed(handle: int) -> list[str]:
    return os.pread(handle, _SIGNATURE, 0).decode("ascii", "replace").split()


def _sign(handle: int, text: str) -> None:
    """Write who holds the lock, or until when; a full disk is no reason to fail here."""
    with contextlib.suppress(OSError):
        # Always over all of it: a file that was made empty first is written to the disk at once by some file systems.
        os.pwrite(handle, text.encode().ljust(_SIGNATURE), 0)


_SIGNATURE = 60
"""Bytes of what is written into a lock's file."""
