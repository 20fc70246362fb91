"""From a Homebrew cask to Custom Apps, over the same steps; nothing is sent that Kandji already holds."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from types import MappingProxyType

from kandji_uploader import homebrew
from kandji_uploader._util import signals
from kandji_uploader._util.dependencies import missing_for_signing
from kandji_uploader.audit import script as audit
from kandji_uploader.errors import AuditScriptError, InstallerError, InterruptedRunError
from kandji_uploader.flows.announce import announce
from kandji_uploader.flows.publish import run as publish
from kandji_uploader.flows.tenants import at_each
from kandji_uploader.http.tries import tell_to
from kandji_uploader.models import Action, AppFacts, CustomApp, InstallType, RunResult, Settings
from kandji_uploader.publish import signers
from kandji_uploader.publish.claims import Item
from kandji_uploader.publish.context import open_context, open_tenant
from kandji_uploader.publish.history import as_enforced, noted
from kandji_uploader.publish.plan import ledger
from kandji_uploader.publish.refresh import with_digest
from kandji_uploader.publish.request import Host, Request
from kandji_uploader.publish.resolve import resolve_early, resolve_tenants_early
from kandji_uploader.publish.signers import Looked
from kandji_uploader.publish.sources import NotReadAhead, OnDisk
from kandji_uploader.publish.targets import RecipeFacts
from kandji_uploader.settings import new_app_name
from kandji_uploader.state import DigestCache

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Order:
    """A cask to be published.

    Attributes:
        token: its name, such as `google-chrome`.
        keys: flags, as for `Request.keys`.
        keys_from: what error texts call their origin.
        use_brew: ask and download with an installed `brew`, which knows third-party taps.
        allow_no_checksum: accept a cask that has no sha256.
        defaults: as for `Request.defaults`.
    """

    token: str
    keys: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))
    keys_from: str = "python"
    use_brew: bool = False
    allow_no_checksum: bool = False
    defaults: Mapping[str, object] = field(default_factory=dict)


@dataclass
class InKandji(NotReadAhead):
    """An installer that a Custom App of the tenant holds already. That app's audit script says what it is.

    Args:
        app: the Custom App.
        path: where the installer would be on this machine, if it were downloaded.
        sha256: its hex digest, as the cask says it and Kandji has it.
        signer: who signed it, as the app remembers; "" where it does not, or not all that the settings ask for.
        download: gets it onto this machine, where that has to be looked at.
    """

    app: CustomApp
    path: Path
    sha256: str
    signer: str
    download: Callable[[], OnDisk]
    _asked: bool = field(default=False)

    @property
    def size(self) -> int:
        """Bytes."""
        return self.app.file_size or 0

    @property
    def file_key(self) -> str:
        """Its key in Kandji's store: several apps may have the same."""
        return self.app.file_key

    def kind(self) -> InstallType:
        """Package, image or zip."""
        return InstallType(self.app.install_type)

    def facts(self) -> AppFacts:
        """What the audit script of the app looks for.

        Raises:
            InstallerError: it has none that we can read; the installer itself must be looked at.
        """
        self._asked = True
        return self._read()

    def facts_if_read(self) -> AppFacts | None:
        """What the installer is, if anything had to ask."""
        return self._read() if self._asked else None

    def looked(self, cache: DigestCache) -> Looked:
        """Who signed it, as the app that has it remembers; else as the installer itself tells. Raises as `OnDisk`."""
        if self.signer or missing_for_signing():
            return Looked(self.signer)
        return self.download().looked(cache)

    def digest(self, cache: DigestCache) -> str:  # noqa: ARG002 - a file would be looked up there
        """Its sha256."""
        return self.sha256

    def _read(self) -> AppFacts:
        reading = audit.read(self.app.audit_script)
        facts = as_enforced(self.app, reading).facts(self.size)
        if facts is None or reading.writer is None or reading.version is None:
            raise InstallerError(self.path, "Kandji does not tell what it is")
        return facts


def run(order: Order, host: Host, progress: Progress | None = None) -> RunResult:
    """Publish what a cask downloads.

    Args:
        order: the cask, and how.
        host: where messages go.
        progress: called with the bytes downloaded and the bytes in all (0 where that is not known).

    Raises:
        KandjiUploaderError: nothing was changed in the tenant.
        InterruptedRunError: SIGINT or SIGTERM.
    """
    try:
        with signals.sigterm_as_ctrl_c():
            return _run(order, host, progress)
    except KeyboardInterrupt:
        raise InterruptedRunError(
            f"interrupted before anything was changed for the cask {order.token!r}; the next run continues with what "
            "was downloaded of it"
        ) from None


def names(order: Order, host: Host) -> tuple[str, ...]:
    """The names of the Custom Apps that a cask would be published to, as far as they are known without its download.

    Raises:
        KandjiUploaderError: the settings are wrong, or there is no such cask.
    """
    quiet = replace(host, say=lambda _: None, warn=lambda _: None)
    tenants = resolve_tenants_early(as_request(order), quiet)
    quiet = replace(quiet, tenant=tenants[0]) if tenants else quiet
    settings = resolve_early(as_request(order), quiet)
    if settings.use_package_map:
        return ()  # what the installer's ids are, only the installer tells
    return settings.app_names or (new_app_name(settings, _find(order, settings, quiet).name),)


def _run(order: Order, host: Host, progress: Progress | None) -> RunResult:
    """Publish a cask, looked up and downloaded once, at each tenant that is named, or at that of the settings."""
    tell_to(host.say)
    tenants = resolve_tenants_early(as_request(order), host)
    there = replace(host, tenant=tenants[0]) if tenants else host
    settings = resolve_early(as_request(order), there)
    cask = _find(order, settings, host)
    for note in cask.notes:
        host.warn(note)
    with contextlib.ExitStack() as meanwhile:
        fetched: list[OnDisk] = []

        def download() -> OnDisk:
            if not fetched:
                host.say(f"downloading {cask.token} {cask.version}")
                path = _fetch(order, cask, _downloads(cask, settings, meanwhile), settings, host, _checked(progress))
                fetched.append(OnDisk(path, as_request(order, path, cask).given, host.warn, cask.sha256))
            return fetched[0]

        if not tenants:
            return _at(order, cask, host, download)
        result = at_each(tenants, lambda there: _at(order, cask, there, download), cask.token, host)
    announce(result, settings, host)
    return result


def _at(order: Order, cask: homebrew.Cask, host: Host, download: Callable[[], OnDisk]) -> RunResult:
    """Publish a cask at one tenant, without its upload where an app there holds it already."""
    settings = resolve_early(as_request(order), host)
    if cask.sha256 and not settings.create_new:
        request = as_request(order, settings.state_folder / "downloads" / cask.sha256 / cask.file_name, cask)
        done = _without_upload(request, cask, settings, host, download)
        if done is not None:
            return done
    source = download()
    return publish(as_request(order, source.path, cask), host, source)


def as_request(order: Order, path: Path | None = None, cask: homebrew.Cask | None = None) -> Request:
    """The request that an order becomes."""
    given = RecipeFacts(name=cask.name) if cask else RecipeFacts()
    item = Item(order.token)
    return Request(
        path or Path(order.token),
        keys=order.keys,
        keys_from=order.keys_from,
        caller="command line",
        given=given,
        defaults=order.defaults,
        item=item,
    )


def _find(order: Order, settings: Settings, host: Host) -> homebrew.Cask:
    find = homebrew.find_with_brew if order.use_brew else partial(homebrew.find, policy=_policy(settings))
    return find(order.token, arch=settings.arch, allow_no_checksum=order.allow_no_checksum, environ=host.environ)


def _downloads(cask: homebrew.Cask, settings: Settings, meanwhile: contextlib.ExitStack) -> Path:
    """Where the download goes; a dry run leaves nothing behind, unless it is there already."""
    folder = settings.state_folder / "downloads"
    there = folder / (cask.sha256 or "none") / cask.file_name
    if not settings.dry_run or os.path.exists(there):  # noqa: PTH110 - a folder that may not be read is no error
        return folder
    return Path(meanwhile.enter_context(tempfile.TemporaryDirectory(prefix="kandji-uploader-")))


def _fetch(order: Order, cask: homebrew.Cask, folder: Path, settings: Settings, host: Host, progress: Progress) -> Path:
    if order.use_brew:
        return homebrew.fetch_with_brew(cask, folder, progress, environ=host.environ)
    return homebrew.fetch(cask, folder, progress, policy=_policy(settings))


def _policy(settings: Settings) -> homebrew.Policy:
    return homebrew.Policy(
        connect_timeout=settings.connect_timeout,
        idle_timeout=settings.idle_timeout,
        tries=settings.tries,
        first_wait=settings.first_wait,
    )


def _checked(progress: Progress | None) -> Progress:
    """A download in a thread stops between two blocks."""

    def told(done: int, total: int) -> None:
        signals.check()
        if progress:
            progress(done, total)

    return told


def _without_upload(
    request: Request, cask: homebrew.Cask, settings: Settings, host: Host, download: Callable[[], OnDisk]
) -> RunResult | None:
    """Publish the file that Kandji holds already; None if that cannot be.

    It cannot if no app holds the file, or if an audit script must be written and none in Kandji says what it is. It is
    downloaded only to see who signed it, where that matters and no app remembers it.
    """
    for app, signer in _holders(cask, settings, host):
        try:
            result = publish(request, host, InKandji(app, request.path, str(cask.sha256), signer, download))
        except (InstallerError, AuditScriptError):
            continue
        lost = any(item.action is Action.FAILED for item in result.outcomes) and not os.path.exists(request.path)  # noqa: PTH110
        return None if lost else result
    return None


def _holders(cask: homebrew.Cask, settings: Settings, host: Host) -> Sequence[tuple[CustomApp, str]]:
    """The apps that hold the cask's installer, those with an audit script first, and who signed it as they remember.

    What they remember does not tell all that some settings ask for, and nothing of a file that somebody else put there.
    If the list lacks the sha256, it is asked for only of the apps that this run is about.
    """
    tenant = open_tenant(settings, host)
    context = open_context(tenant, settings, host)
    meant = set(settings.app_names) or {new_app_name(settings, cask.name)}
    apps = [with_digest(app, context) if app.name in meant else app for app in tenant.apps()]
    holding = [app for app in apps if app.sha256 == cask.sha256 and app.file_key]
    holding.sort(key=lambda app: audit.read(app.audit_script).version is None)
    remembered, asked = context.store.remembered(), bool(signers.asks(settings))

    def signer(app: CustomApp) -> str:
        known = ledger(app, remembered)
        return known.signer if noted(app, known) and not asked else ""

    return [(app, signer(app)) for app in holding]
