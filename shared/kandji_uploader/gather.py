"""What a plan is made from, gathered no further than the plan needs it.

The installer is read only for an audit script or the package map, hashed only where its size does not already prove
a change, and categories and Blueprints are fetched only when one is named.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import field, replace
from pathlib import Path
from typing import Protocol

from kandji_uploader import audit, installer, plan, targets
from kandji_uploader.ahead import WORTHWHILE, Ahead, Begun
from kandji_uploader.errors import InstallerError, ToolMissingError
from kandji_uploader.kandji.tenant import TenantView
from kandji_uploader.models import AppFacts, CustomApp, InstallType, Settings, Target
from kandji_uploader.plan import Identity, Installer, Question, Tenant
from kandji_uploader.records import dataclass
from kandji_uploader.state import DigestCache, Store
from kandji_uploader.targets import Given


class Source(Protocol):
    """Where an installer is: on disk, or in Kandji already (see `casks`)."""

    @property
    def path(self) -> Path:
        """The file, or what it would be called."""

    @property
    def size(self) -> int:
        """Bytes."""

    def kind(self) -> InstallType:
        """Package, image or zip."""

    def facts(self) -> AppFacts | None:
        """What the installer is."""

    def facts_if_read(self) -> AppFacts | None:
        """What the installer is, if anything had to ask."""

    def digest(self, cache: DigestCache) -> str:
        """Its sha256."""

    def reading_ahead(self, cache: DigestCache, /) -> AbstractContextManager[None]:
        """While it lasts, its sha256 may be worked out before anybody asks for it."""

    def begun(self) -> Begun | None:
        """What has been worked out of it so far, for an upload to go on with."""


class NotReadAhead:
    """A source of which nothing is worked out ahead, such as one that is in Kandji's store already."""

    def reading_ahead(self, _: DigestCache) -> AbstractContextManager[None]:
        """See `Source`."""
        return contextlib.nullcontext()

    def begun(self) -> None:
        """See `Source`."""


@dataclass
class OnDisk:
    """The installer on disk: each thing that can be asked of it is found out once, when first asked for.

    Args:
        path: the file.
        given: what the caller knows of it.
        warn: told what is odd about it.
    """

    path: Path
    given: Given
    warn: Callable[[str], None]
    _facts: list[AppFacts | None] = field(default_factory=list)
    _ahead: Ahead | None = None
    _before: Mapping[str, object] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Bytes.

        Raises:
            InstallerError: it has gone.
        """
        try:
            return self.path.stat().st_size
        except OSError as problem:
            raise InstallerError(self.path, f"it cannot be read ({problem.strerror}). Run again") from None

    def kind(self) -> InstallType:
        """Package, image or zip, by content.

        Raises:
            InstallerError: it is missing, empty, unreadable, a folder or something else.
        """
        return installer.identify(self.path)

    def facts(self) -> AppFacts | None:
        """What the installer is; None where a tool to read it is missing but the caller's facts suffice.

        Raises:
            InstallerError: it cannot be read.
        """
        if not self._facts:
            self._facts.append(self._read())
        return self._facts[0]

    def facts_if_read(self) -> AppFacts | None:
        """What the installer is, if anything had to ask."""
        return self._facts[0] if self._facts else None

    def digest(self, cache: DigestCache) -> str:
        """The file's sha256, out of the cache where the file has not changed since."""
        known = cache.get(self.path)
        if known is None:
            before = self._before or cache.identity(self.path)
            known = (self._ahead.finish() if self._ahead else None) or installer.sha256(self.path)
            cache.put(self.path, known, before)
        return known

    @contextlib.contextmanager
    def reading_ahead(self, cache: DigestCache) -> Iterator[None]:
        """While it lasts, the digest of a large file that has changed is worked out beside everything else."""
        if self.size >= WORTHWHILE and cache.get(self.path) is None:
            self._before = cache.identity(self.path)
            with contextlib.suppress(OSError):  # which whoever needs the file will find, too
                self._ahead = Ahead(self.path)
        try:
            yield
        finally:
            self.begun()

    def begun(self) -> Begun | None:
        """What has been worked out of the digest so far; nothing more will be."""
        return self._ahead.stop() if self._ahead else None

    def _read(self) -> AppFacts | None:
        try:
            facts = installer.inspect(
                self.path, app_name=self.given.bundle_name, bundle_id=self.given.bundle_id, digest=False
            )
        except ToolMissingError as problem:
            if not self.given.complete:
                raise
            self.warn(f"{problem} Going on with what the recipe says of it")
            return None
        for warning in facts.warnings:
            self.warn(f"{self.path.name}: {warning}")
        return facts


@dataclass(frozen=True)
class Place:
    """Where a run takes place.

    Attributes:
        tenant: the tenant's view.
        store: the state folder.
        settings: what holds.
        now: epoch seconds.
        given: what the caller knows of the installer.
        warn: told what is odd.
    """

    tenant: TenantView
    store: Store
    settings: Settings
    now: float
    given: Given
    warn: Callable[[str], None]


def gather(wanted: Sequence[Target], source: Source, place: Place) -> Question:
    """All that the plan of these targets is made from.

    Raises:
        InstallerError: the installer must be read and cannot be.
        AuditScriptError: an audit script is needed and it is not clear for which app, or its template is bad.
        NetworkError, ApiError: the tenant could not be read.
    """
    settings, tenant = place.settings, place.tenant
    question = Question(
        installer=Installer(source.path.name, source.kind(), source.size),
        identity=Identity(version=place.given.version),
        tenant=Tenant(tenant.apps()),
        settings=settings,
        template="",
        now=int(place.now),
        remembered=place.store.remembered(),
    )
    if plan.needs_categories(wanted, question.tenant, settings):
        question = _with_tenant(question, categories=tenant.categories())
    if any(target.blueprints for target in wanted):
        question = _with_tenant(question, blueprints=tenant.blueprints())
    if plan.needs_audit(wanted, question) or plan.needs_version(wanted, question):
        question = _with_identity(question, source, place)
    question = _with_details(wanted, question, place)
    return _with_digest(wanted, question, source, place)


def _with_tenant(question: Question, **parts: tuple[object, ...]) -> Question:
    return replace(question, tenant=replace(question.tenant, **parts))  # type: ignore[arg-type]


def _with_identity(question: Question, source: Source, place: Place) -> Question:
    identity, notes = targets.identify(place.given, source.facts())
    for note in notes:
        place.warn(note)
    return replace(question, identity=identity, template=audit.load_template(place.settings.audit_template))


def _with_details(wanted: Sequence[Target], question: Question, place: Place) -> Question:
    """Fill in the sha256 of the apps that are meant where the list leaves it out."""
    for target in wanted:
        app = plan.find(target, question).app
        soaks = place.settings.promotion is not None
        if app is None or (app.file_size not in (None, question.installer.size) and not soaks):
            continue
        if app.sha256 is None:
            with_digest(app, place)
            question = _with_tenant(question, apps=place.tenant.apps())
    return question


def with_digest(app: CustomApp, place: Place) -> CustomApp:
    """An app with the sha256 of its installer, asked for where the list leaves it out; None where nobody tells."""
    if app.sha256 is not None:
        return app
    known = place.tenant.client.get_custom_app(app.id)
    if known.sha256 is None:
        known = replace(known, sha256=_published_digest(known, place.store))
    place.tenant.put(known)
    return known


def _published_digest(app: CustomApp, store: Store) -> str | None:
    """What we ourselves have put there, if the app still names that upload."""
    for entry in store.history(app.id):
        if entry.file_key == app.file_key:
            return entry.sha256
    return None


def _with_digest(wanted: Sequence[Target], question: Question, source: Source, place: Place) -> Question:
    """Add the sha256, and the key of an upload of the same bytes that is in the store already."""
    known_key: str | None = getattr(source, "file_key", None)
    if known_key:  # the installer is in Kandji, and not on this machine
        digest = source.digest(DigestCache(place.settings.state_folder))
        return replace(question, installer=replace(question.installer, sha256=digest, file_key=known_key))
    pending = {entry.sha256: entry.file_key for entry in place.store.uploads(place.now) if entry.size == source.size}
    if not pending and place.settings.promotion is None and not plan.needs_digest(wanted, question):
        return question
    digest = source.digest(DigestCache(place.settings.state_folder))
    found = replace(question.installer, sha256=digest)
    if digest in pending:
        found = replace(found, file_key=pending[digest], unfinished=True)
    else:
        held = [app for target in wanted if (app := plan.find(target, question).app) is not None]
        same = [app.file_key for app in held if app.sha256 == digest]
        found = replace(found, file_key=same[0] if same else None)
    return replace(question, installer=found)
