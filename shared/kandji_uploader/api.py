"""The Python API: publish, promote, roll back and look at the fleet, and get values back.

    from kandji_uploader import process_pkg

    result = process_pkg("/path/to/App.pkg", name="My App", sscategory="Productivity")
    if result.action == "failed":
        raise RuntimeError(result.error)

The settings are those of the command line (config file, maps, environment), unless a call says otherwise. Publishing
raises nothing for a failure that is expected to happen; `promote` and `status` raise KandjiUploaderError where the
settings are wrong or there is no such pair or app. Nothing here prints, configures logging or ends the process.
Progress goes to the logger `kandji_uploader` as INFO, and warnings as WARNING.

Each call reads the tenant again. Calls in one `Batch` share what was read. A call that SIGINT or SIGTERM ends raises
InterruptedRunError; its text says what was done and what was not. All calls take:

    tenant: the tenant, instead of the one in the settings: a value, or a name in tenants.yaml. What publishes takes
        several: `@GROUP`, `all` or a list of names; what became of each is in `custom_apps`.
    api_url: the tenant's API address, such as `acme.api.kandji.io`, where no `tenant` is given.
    token: its API token, where no `tenant` is given.
    parent_dir: the config folder, instead of the usual one.
    keys: any other settings, by recipe key or config key path.
    keys_from: what error texts call the origin of all these.
    batch: what the call is part of; the tenant is read once for all of it.
    host: where messages and progress go; by default the logger `kandji_uploader`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

from kandji_uploader.errors import InterruptedRunError, KandjiUploaderError, Problem, SameAppError, SettingsError
from kandji_uploader.flows.publish import run as publish_file
from kandji_uploader.models import RunResult, Tenant
from kandji_uploader.publish import claims
from kandji_uploader.publish.claims import Item as Claimed
from kandji_uploader.publish.claims import file_item
from kandji_uploader.publish.queue import Batch
from kandji_uploader.publish.request import Host, Request
from kandji_uploader.publish.resolve import app_names
from kandji_uploader.report import text as report
from kandji_uploader.settings import config_folder
from kandji_uploader.settings.tenants import read_tenants

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from kandji_uploader.flows.approve import Approval
    from kandji_uploader.flows.casks import Order
    from kandji_uploader.flows.promote import Rules
    from kandji_uploader.settings.freezing import Frozen
    from kandji_uploader.status.models import AppStatus

__all__ = [
    "Action",
    "Batch",
    "Host",
    "InterruptedRunError",
    "Item",
    "KandjiUploaderError",
    "Progress",
    "Published",
    "Result",
    "Tenant",
    "approve",
    "freeze",
    "process_brew",
    "process_pkg",
    "promote",
    "publish",
    "resume",
    "rollback",
    "status",
    "thaw",
    "watch",
]

Progress = Callable[[int, int], None]

Action = Literal["succeeded", "skipped", "failed", "dry_run"]

_Asked = TypeVar("_Asked", "Request", "Order")
_MOST_DAYS = 3650
_CALL = "the call"


@dataclass(frozen=True)
class Published:
    """One Custom App of a result: its stage, name, id, link in the console, what was done (`created`, ...), and why.

    And the name of its tenant; "" for the tenant of the settings.
    """

    stage: str
    name: str
    id: str
    link: str
    action: str
    reason: str = ""
    tenant: str = ""


@dataclass(frozen=True)
class Result:
    """What became of one installer or cask, or of one app that was to be promoted or rolled back.

    Attributes:
        source: the path or the cask's name, as it was given; the entry of the map, or the app's name.
        app_name: what the software is called; "" where that did not become known.
        action: `succeeded` (something was changed), `skipped` (nothing was to be done, or a promotion is held: see
            `reason` of its app), `failed`, `dry_run`.
        error: what went wrong and what to do; "" where nothing did.
        custom_apps: one per target.
        run: the whole result of the run; None where it ended before there was one.
        tenant: the tenant's name, where the result is about one that has a name.
        code: what machines know the failure by (see docs/json.md); "" where nothing failed, `failed` where several
            things failed in different ways.
    """

    source: str
    app_name: str
    action: Action
    error: str = ""
    custom_apps: tuple[Published, ...] = ()
    run: RunResult | None = None
    tenant: str = ""
    code: str = ""


def process_pkg(
    path: str | Path,
    *,
    name: str | None = None,
    testname: str | None = None,
    sscategory: str | None = None,
    zzcategory: str | None = None,
    dry: bool = False,
    create: bool = False,
    unzip_location: str | None = None,
    urgent: str | None = None,
    allow_signer_change: str | None = None,
    tenant: Tenant | str | Sequence[str] | None = None,
    api_url: str | None = None,
    token: str | None = None,
    parent_dir: str | Path | None = None,
    keys: Mapping[str, object] | None = None,
    keys_from: str = _CALL,
    batch: Batch | None = None,
    host: Host | None = None,
) -> Result:
    """Publish a .pkg, .dmg or .zip. The arguments that all calls take: see the module.

    Args:
        path: the installer.
        name: the Custom App to create or update.
        testname: the one for testing.
        sscategory: Self Service category that goes with `name`.
        zzcategory: Self Service category that goes with `testname`.
        dry: tell what would be done, change nothing.
        create: create even where an app of that name exists.
        unzip_location: where a .zip is unpacked on the Mac.
        urgent: to the test and the prod app at once, without a soak, and why.
        allow_signer_change: the Team ID that may sign an app which another one has signed before, or `unsigned`.
    """
    given = flags(name, testname, sscategory, zzcategory, unzip_location, dry=dry, create=create)
    call = _Call(tenant, api_url, token, parent_dir, keys, keys_from, batch, host)

    def asked() -> tuple[Request, Host]:
        every, there = call.made({**given, "urgent": urgent, "allow_signer_change": allow_signer_change}, several=True)
        return Request(Path(path), keys=every, keys_from=keys_from, caller="python"), there

    return _tried(str(path), lambda: _run(str(path), asked, publish_file))


def process_brew(
    cask: str,
    *,
    name: str | None = None,
    testname: str | None = None,
    sscategory: str | None = None,
    zzcategory: str | None = None,
    dry: bool = False,
    create: bool = False,
    unzip_location: str | None = None,
    arch: str | None = None,
    use_brew: bool = False,
    allow_no_checksum: bool = False,
    progress: Progress | None = None,
    urgent: str | None = None,
    allow_signer_change: str | None = None,
    tenant: Tenant | str | Sequence[str] | None = None,
    api_url: str | None = None,
    token: str | None = None,
    parent_dir: str | Path | None = None,
    keys: Mapping[str, object] | None = None,
    keys_from: str = _CALL,
    batch: Batch | None = None,
    host: Host | None = None,
) -> Result:
    """Publish what a Homebrew cask downloads; arguments as for `process_pkg`.

    Args:
        cask: its name, such as `google-chrome`.
        arch: `arm64` (the default) or `x86_64`.
        use_brew: ask and download with `brew` instead of by ourselves.
        allow_no_checksum: accept a cask that has no sha256.
        progress: called with the bytes downloaded and the bytes in all (0 where that is not known).
    """
    from kandji_uploader.flows import casks

    given = flags(name, testname, sscategory, zzcategory, unzip_location, dry=dry, create=create)
    call = _Call(tenant, api_url, token, parent_dir, keys, keys_from, batch, host)

    def asked() -> tuple[Order, Host]:
        own = {**given, "arch": arch, "urgent": urgent, "allow_signer_change": allow_signer_change}
        every, there = call.made(own, several=True)
        return casks.Order(cask, every, keys_from, use_brew, allow_no_checksum), there

    return _tried(cask, lambda: _run(cask, asked, lambda order, there: casks.run(order, there, progress)))


@dataclass(frozen=True)
class Item:
    """One installer or cask of many, for `publish`.

    Attributes:
        path: the installer; workers on other machines need it at the same path.
        cask: the name of a Homebrew cask, instead of a path.
        name: the Custom App to create or update.
        testname: the one for testing.
        keys: any other settings, by recipe key or config key path.
    """

    path: str | Path = ""
    cask: str = ""
    name: str | None = None
    testname: str | None = None
    keys: Mapping[str, object] = field(default_factory=dict)


def publish(
    items: Iterable[Item | Request | str | Path],
    tenants: Iterable[Tenant | str] | str = (),
    executor: Executor | None = None,
    *,
    dry: bool = False,
    workers: int = 4,
    parent_dir: str | Path | None = None,
    host: Host | None = None,
) -> Iterator[Result]:
    """Publish many installers to many tenants; one result for each installer and tenant, as they end.

    Each tenant is one worker's at a time; one in another process answers for all that it has done within a minute. A
    tenant or an installer that fails keeps no other from being tried, and of a worker that dies the work is given out
    again: nothing is done twice. To end early, close the iterator (leaving a `for` loop does not; `contextlib.closing`
    does): what is under way is finished, and nothing more is begun.

    Args:
        items: installers and casks; a text is a path.
        tenants: which; names of tenants.yaml, `@GROUP` or `all` among them. Without any, those that the key `tenant` of
            an item or of a map says, or else the one of the settings.
        executor: who does it, any `concurrent.futures.Executor`; by default threads. Other processes and machines need
            this version of KandjiUploader, and find each tenant's token in their own environment or keychain.
        dry: tell what would be done, change nothing.
        workers: how many threads, where there is no executor.
        parent_dir: the config folder, instead of the usual one.
        host: who is told, of what is done in this process.

    Raises:
        SettingsError: a tenant is unknown, two have one address, or one has its token with it for work elsewhere.
        WorkerError: the executor is shut down.
        InterruptedRunError: while iterating: SIGINT or SIGTERM; its text says which tenants are done.
    """
    from kandji_uploader.flows import many

    _, there = _Call(None, None, None, parent_dir, None, _CALL, None, host).made({})
    tasks = [_task(item, dry=dry) for item in items]
    return _results(many.course(tasks, tenants, executor, there, workers))


def _results(runs: Generator[RunResult, None, None]) -> Iterator[Result]:
    """The results of runs, which end when this does."""
    with contextlib.closing(runs):
        for run in runs:
            yield of_run(run, run.source)


def _task(item: Item | Request | str | Path, *, dry: bool) -> Request | Order:
    """An item as the flows take it.

    Raises:
        SettingsError: it has neither a path nor a cask, or both.
    """
    from kandji_uploader.flows import casks

    if isinstance(item, Request):
        return replace(item, keys={**item.keys, **_dry(dry=dry)})
    if not isinstance(item, Item):
        item = Item(item)
    if bool(str(item.path)) == bool(item.cask):
        text = "must have either a path or a cask"
        raise SettingsError([Problem(_CALL, "Item", repr(item)[:100], text)])
    names = {"custom_app.prod_name": item.name, "custom_app.test_name": item.testname}
    keys = {**{key: name for key, name in names.items() if name is not None}, **item.keys, **_dry(dry=dry)}
    if item.cask:
        return casks.Order(item.cask, keys, _CALL)
    return Request(Path(item.path), keys=keys, keys_from=_CALL, caller="python")


def _dry(*, dry: bool) -> dict[str, object]:
    return {"dry_run": True} if dry else {}


def promote(
    *names: str,
    every_pair: bool = False,
    test: str | None = None,
    prod: str | None = None,
    after_days: float | None = None,
    min_pass: int | None = None,
    max_error_percent: float | None = None,
    now: bool = False,
    force: bool = False,
    urgent: str | None = None,
    dry: bool = False,
    tenant: Tenant | str | None = None,
    api_url: str | None = None,
    token: str | None = None,
    parent_dir: str | Path | None = None,
    keys: Mapping[str, object] | None = None,
    keys_from: str = _CALL,
    batch: Batch | None = None,
    host: Host | None = None,
) -> tuple[Result, ...]:
    """Move what has soaked in a test app to its prod app; as `kandji-uploader promote`. One result per pair.

    Args:
        names: prod apps, test apps or entries of a map.
        every_pair: every pair of the maps (`--all`).
        test: a test app that is in no map.
        prod: its prod app.
        after_days: days in the test app (0 to 3650), instead of the map's rule.
        min_pass: Macs that must report PASS (1 or more), likewise.
        max_error_percent: Macs that may be in ERROR, per cent of those that report; 0 to 100.
        now: do not wait for the days; the Macs' health counts all the same.
        force: also over a file that somebody else has put into the prod app.
        urgent: do not wait, whatever the Macs say, and why; it is noted and told to Slack.
        dry: tell what would be done, change nothing.
    """
    from kandji_uploader.flows import promote as flow

    rules = _rules(after_days, min_pass, max_error_percent, keys_from)
    rules = replace(rules, after_days=0.0) if now else rules
    call = _Call(tenant, api_url, token, parent_dir, keys, keys_from, batch, host)
    given, there = call.made({"dry_run": dry or None, "urgent": urgent})
    pairs = flow.asked_for(names, there, given, every_pair=every_pair, test=test, prod=prod)
    return tuple(of_run(run, run.source) for run in flow.promote(pairs, there, rules=rules, force=force))


def rollback(
    name: str,
    *,
    to: str | None = None,
    dry: bool = False,
    tenant: Tenant | str | None = None,
    api_url: str | None = None,
    token: str | None = None,
    parent_dir: str | Path | None = None,
    keys: Mapping[str, object] | None = None,
    keys_from: str = _CALL,
    batch: Batch | None = None,
    host: Host | None = None,
) -> Result:
    """Put a former installer back into a Custom App; as `kandji-uploader rollback`.

    Args:
        name: the Custom App.
        to: the version to go back to; the one before the present one by default.
        dry: tell what would be done, change nothing.
    """
    from kandji_uploader.flows import promote as flow

    call = _Call(tenant, api_url, token, parent_dir, keys, keys_from, batch, host)

    def run() -> RunResult:
        given, there = call.made({"dry_run": dry or None})
        return flow.rollback(name, there, to=to, keys=given)

    return _tried(name, run)


def watch(
    *names: str,
    every_pair: bool = False,
    dry: bool = False,
    tenant: Tenant | str | None = None,
    api_url: str | None = None,
    token: str | None = None,
    parent_dir: str | Path | None = None,
    keys: Mapping[str, object] | None = None,
    keys_from: str = _CALL,
    batch: Batch | None = None,
    host: Host | None = None,
) -> tuple[Result, ...]:
    """Halt what fails on too many Macs; as `kandji-uploader watch`. One result per pair, or per app with its rings.

    Args:
        names: Custom Apps or entries of a map.
        every_pair: every entry of the maps with `promotion` or `rings` (`--all`).
        dry: tell what would be done, change nothing.
    """
    from kandji_uploader.flows import promote
    from kandji_uploader.flows import watch as flow

    call = _Call(tenant, api_url, token, parent_dir, keys, keys_from, batch, host)
    given, there = call.made({"dry_run": dry or None})
    pairs = promote.asked_for(names, there, given, every_pair=every_pair)
    return tuple(of_run(run, run.source) for run in flow.watch(pairs, there))


def resume(
    name: str,
    *,
    ring: str | None = None,
    dry: bool = False,
    tenant: Tenant | str | None = None,
    api_url: str | None = None,
    token: str | None = None,
    parent_dir: str | Path | None = None,
    keys: Mapping[str, object] | None = None,
    keys_from: str = _CALL,
    batch: Batch | None = None,
    host: Host | None = None,
) -> Result:
    """Let a release go on that was halted; as `kandji-uploader resume`.

    Args:
        name: the Custom App, or an entry of a map with its rings.
        ring: the Custom App in which it is halted, where that is not clear.
        dry: tell what would be done, change nothing.
    """
    from kandji_uploader.flows import watch as flow

    call = _Call(tenant, api_url, token, parent_dir, keys, keys_from, batch, host)

    def run() -> RunResult:
        given, there = call.made({"dry_run": dry or None})
        return flow.resume(name, there, ring=ring, keys=given)

    return _tried(name, run)


def approve(
    *names: str,
    ring: str | None = None,
    version: str | None = None,
    test: str | None = None,
    prod: str | None = None,
    dry: bool = False,
    tenant: Tenant | str | None = None,
    api_url: str | None = None,
    token: str | None = None,
    parent_dir: str | Path | None = None,
    keys: Mapping[str, object] | None = None,
    keys_from: str = _CALL,
    batch: Batch | None = None,
    host: Host | None = None,
) -> Approval:
    """Approve of a release that waits for it (`approve: true`); as `kandji-uploader approve`.

    Args:
        names: one name: a prod app, a test app or an entry of a map.
        ring: the Custom App that may take it, where several wait for approval.
        version: which version; by default the one that waits for nothing else.
        test: a test app that is in no map.
        prod: its prod app.
        dry: tell what would be approved, change nothing.

    Raises:
        KandjiUploaderError: it is not clear which release is meant, there is none, or it could not be noted.
    """
    from kandji_uploader.flows import approve as flow

    call = _Call(tenant, api_url, token, parent_dir, keys, keys_from, batch, host)
    given, there = call.made({"dry_run": dry or None})
    return flow.approve(names, there, ring=ring, version=version, test=test, prod=prod, keys=given)


def freeze(
    until: str,
    *,
    why: str,
    since: str | None = None,
    zone: str | None = None,
    parent_dir: str | Path | None = None,
    host: Host | None = None,
) -> Frozen:
    """Publish and promote nothing for a time: a freeze in the config file; as `kandji-uploader freeze`.

    Args:
        until: the last day, or a moment such as `2027-01-07T18:00`.
        why: what is told with it.
        since: the first day, or a moment; None for now.
        zone: by whose clock, such as `Europe/Vienna`; None for that of `window`, else UTC.

    Raises:
        SettingsError: it ends before it begins or is over, or the file cannot be changed.
    """
    from kandji_uploader.settings import freezing

    _, there = _Call(None, None, None, parent_dir, None, _CALL, None, host).made({})
    words = {"from": since, "until": until, "why": why, "zone": zone}
    given = {key: word for key, word in words.items() if word is not None}
    return freezing.freeze(given, there.now(), there.environ, _CALL)


def thaw(*, every: bool = False, parent_dir: str | Path | None = None, host: Host | None = None) -> Frozen:
    """Take the freezes out of the config file that hold now or are over; as `kandji-uploader thaw`.

    Args:
        every: also those to come.

    Raises:
        SettingsError: the file cannot be read or changed.
    """
    from kandji_uploader.settings import freezing

    _, there = _Call(None, None, None, parent_dir, None, _CALL, None, host).made({})
    return freezing.thaw(there.now(), there.environ, every=every)


def status(
    *names: str,
    every_pair: bool = False,
    tenant: Tenant | str | None = None,
    api_url: str | None = None,
    token: str | None = None,
    parent_dir: str | Path | None = None,
    keys: Mapping[str, object] | None = None,
    keys_from: str = _CALL,
    batch: Batch | None = None,
    host: Host | None = None,
) -> tuple[AppStatus, ...]:
    """What the Macs say of Custom Apps, with figures; as `kandji-uploader status`. Arguments as for `process_pkg`.

    Args:
        names: Custom Apps; or entries of a map with `promotion` or `rings`, which stand for those of their apps that
            there are.
        every_pair: every entry of the maps with `promotion` or `rings` (`--all`).

    Raises:
        KandjiUploaderError: there is no such app, or the tenant could not be read.
    """
    from kandji_uploader.flows.status import statuses

    given, there = _Call(tenant, api_url, token, parent_dir, keys, keys_from, batch, host).made({})
    return statuses(names, there, given, every_pair=every_pair)


def _doubles(batch: Batch, keys: Mapping[str, object], keys_from: str, host: Host) -> dict[str, str]:
    """Of the items of a batch, those that mean the same Custom App, and why they must not be published.

    Nothing is sent to the tenant. What only the download of a cask would tell (by a package map), or only the tenant
    (by dynamic lookup), shows when it is published: then the later one fails.
    """
    from kandji_uploader.flows import casks

    meant: dict[Claimed, Sequence[str]] = {}
    for path in batch.paths:
        request = Request(Path(path), keys=keys, keys_from=keys_from)
        meant[file_item(Path(path))] = _names(partial(app_names, request, host))
    for cask in batch.casks:
        order = casks.Order(cask, keys, keys_from, batch.use_brew, batch.allow_no_checksum)
        meant[Claimed(cask)] = _names(partial(casks.names, order, host))
    return claims.doubles(meant)


def _names(ask: Callable[[], tuple[str, ...]]) -> tuple[str, ...]:
    """The names of the Custom Apps of an item. Its errors show when it is published."""
    try:
        return ask()
    except InterruptedRunError:
        raise
    except KandjiUploaderError:
        return ()


def _run(source: str, asked: Callable[[], tuple[_Asked, Host]], run: Callable[[_Asked, Host], RunResult]) -> RunResult:
    """Publish one item, unless it and another one of its batch mean the same Custom App.

    Raises:
        KandjiUploaderError: another item means the same app, the settings are wrong, or as `flows.publish.run`.
    """
    item, host = asked()
    batch = host.batch
    why = batch.refused(lambda: _doubles(batch, item.keys, item.keys_from, host)).get(source) if batch else None
    if why:
        raise SameAppError(why)
    return run(item, host)


def _tried(source: str, run: Callable[[], RunResult]) -> Result:
    """The result of a run; expected failures become a `failed` one."""
    try:
        return of_run(run(), source)
    except InterruptedRunError:
        raise
    except KandjiUploaderError as problem:
        return Result(source, "", "failed", str(problem), code=problem.code)


def of_run(run: RunResult, source: str) -> Result:
    """The result of a run in the words of this API."""
    action: Action = "failed" if run.failed else "dry_run" if run.dry_run else "succeeded" if run.changed else "skipped"
    apps = tuple(
        Published(
            item.stage.value,
            item.name,
            item.app_id,
            item.link,
            report.word(item, dry_run=run.dry_run),
            item.reason or item.error,
            item.tenant,
        )
        for item in run.outcomes
    )
    read = run.facts.app_name if run.facts else None
    tenants = {item.tenant for item in run.outcomes}
    return Result(
        source,
        (read or run.app_name).removesuffix(".app"),
        action,
        report.failure(run) if run.failed else "",
        apps,
        run,
        tenants.pop() if len(tenants) == 1 else "",
        run.code,
    )


def flags(
    name: str | None,
    testname: str | None,
    sscategory: str | None,
    zzcategory: str | None,
    unzip_location: str | None,
    *,
    dry: bool,
    create: bool,
) -> dict[str, object]:
    """The standalone tool's words as recipe keys; what was not given is left to the settings."""
    given: dict[str, object] = {
        "custom_app.prod_name": name,
        "custom_app.test_name": testname,
        "custom_app.ss_category": sscategory,
        "custom_app.test_category": zzcategory,
        "unzip_location": unzip_location,
        "dry_run": True if dry else None,
        "create_new": True if create else None,
    }
    return {key: value for key, value in given.items() if value is not None}


@dataclass(frozen=True)
class _Call:
    """What all calls take; see the module."""

    tenant: Tenant | str | Sequence[str] | None
    api_url: str | None
    token: str | None
    parent_dir: str | Path | None
    keys: Mapping[str, object] | None
    keys_from: str
    batch: Batch | None
    host: Host | None

    def made(self, own: Mapping[str, object], *, several: bool = False) -> tuple[dict[str, object], Host]:
        """The settings of a call, with its `own` ones, and its host; a call that is in no batch is one.

        Args:
            own: keys.
            several: whether it may be about several tenants, which the key `tenant` then says.

        Raises:
            SettingsError: the tenant is named in two ways, or its address is empty, which must not mean the one in the
                settings; there is no such tenant.
            CredentialError: the token is none.
        """
        if self.tenant is not None and (self.api_url is not None or self.token is not None):
            text = "goes without api_url and token; put them into the Tenant"
            raise SettingsError([Problem(_CALL, "tenant", None, text)])
        there = self.tenant if isinstance(self.tenant, Tenant) else None
        url = there.url if there else self.api_url
        if url is not None and not url.strip():
            text = "is empty; give the API's address, such as acme.api.kandji.io"
            raise SettingsError([Problem(_CALL, "tenant.url" if there else "api_url", None, text)])
        words = self.tenant if several and there is None else None
        every = {"kandji.api_url": self.api_url, "tenant": words, **own, **(self.keys or {})}
        host = self._host(there.token if there else self.token)
        if there is None and self.tenant is not None and not several:
            there = self._one(config_folder(host.environ))
        return {key: value for key, value in every.items() if value is not None}, replace(
            host, tenant=there or host.tenant
        )

    def _one(self, folder: Path) -> Tenant:
        """The one tenant of tenants.yaml that is named."""
        words = [str(self.tenant)]
        chosen = read_tenants(folder).chosen(words, self.keys_from)
        if len(chosen) != 1:
            text = f"means {len(chosen)} tenants, and this is about one; name one of them"
            raise SettingsError([Problem(self.keys_from, "tenant", repr(self.tenant), text)])
        return chosen[0]

    def _host(self, token: str | None) -> Host:
        host = self.host or Host()
        if token is not None:
            from kandji_uploader.settings import credentials

            host = replace(host, token=credentials.given_token(token, self.keys_from))
        if self.parent_dir is not None:
            host = replace(host, environ={**host.environ, "KANDJI_UPLOADER_DIR": str(self.parent_dir)})
        return replace(host, batch=self.batch or host.batch or Batch(), keys_from=self.keys_from)


def _rules(after_days: float | None, min_pass: int | None, max_error_percent: float | None, where: str) -> Rules:
    """The rules of a call, in their bounds."""
    from kandji_uploader.flows.promote import Rules

    problems = [
        Problem(where, key, repr(value)[:100], accepted)
        for key, value, lowest, highest, accepted in (
            ("after_days", after_days, 0, _MOST_DAYS, f"must be a number of days, 0 to {_MOST_DAYS}"),
            ("min_pass", min_pass, 1, None, "must be a number of Macs, 1 or more"),
            ("max_error_percent", max_error_percent, 0, 100, "must be per cent, 0 to 100"),
        )
        if value is not None and not _between(value, lowest, highest)
    ]
    if problems:
        raise SettingsError(problems)
    return Rules(after_days, min_pass, max_error_percent)


def _between(value: object, lowest: int, highest: int | None) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and lowest <= value and (highest is None or value <= highest)  # type: ignore[operator]
