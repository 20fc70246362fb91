"""The Python API: publish a file or a Homebrew cask, and get a value back.

    from kandji_uploader import api

    result = api.process_pkg("/path/to/App.pkg", name="My App", sscategory="Productivity")
    if result.action == "failed":
        raise RuntimeError(result.error)

The settings are those of the command line (config file, maps, environment). Nothing here raises for a failure that is
expected to happen, prints, configures logging or ends the process.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from kandji_uploader.errors import InterruptedRunError, KandjiUploaderError
from kandji_uploader.flows import publish as pipeline
from kandji_uploader.flows.publish import Host, Request
from kandji_uploader.models import RunResult
from kandji_uploader.publish import claims
from kandji_uploader.publish.claims import Item, file_item
from kandji_uploader.publish.queue import Batch
from kandji_uploader.report import text as report

if TYPE_CHECKING:
    from kandji_uploader.flows.casks import Order

Progress = Callable[[int, int], None]

Action = Literal["succeeded", "skipped", "failed", "dry_run"]


@dataclass(frozen=True)
class Published:
    """One Custom App of a result: its stage, name, id, link in the console, and what was done (`created`, ...)."""

    stage: str
    name: str
    id: str
    link: str
    action: str


@dataclass(frozen=True)
class Result:
    """What became of one installer or cask.

    Attributes:
        source: the path or the cask's name, as it was given.
        app_name: what the software is called; "" where that did not become known.
        action: `succeeded` (something was published), `skipped` (everything was as it should be), `failed`, `dry_run`.
        error: what went wrong and what to do; "" where nothing did.
        custom_apps: one per target.
        run: the whole result of the pipeline; None where it ended before there was one.
    """

    source: str
    app_name: str
    action: Action
    error: str = ""
    custom_apps: tuple[Published, ...] = ()
    run: RunResult | None = None


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
    parent_dir: str | Path | None = None,
    keys: Mapping[str, object] | None = None,
    keys_from: str = "the call",
    host: Host | None = None,
) -> Result:
    """Publish a .pkg, .dmg or .zip.

    Args:
        path: the installer.
        name: the Custom App to create or update.
        testname: the one for testing.
        sscategory: Self Service category that goes with `name`.
        zzcategory: Self Service category that goes with `testname`.
        dry: tell what would be done, change nothing.
        create: create even where an app of that name exists.
        unzip_location: where a .zip is unpacked on the Mac.
        parent_dir: the config folder, instead of the usual one.
        keys: any other settings, by recipe key or config key path.
        keys_from: what error texts call the origin of all these.
        host: who is told what is being done.

    Raises:
        InterruptedRunError: SIGINT or SIGTERM; its text says what was and was not done.
    """
    given = flags(name, testname, sscategory, zzcategory, unzip_location, dry=dry, create=create)
    request = Request(Path(path), keys={**given, **(keys or {})}, keys_from=keys_from, caller="python")
    return _tried(request, str(path), _host(host, parent_dir), lambda host: pipeline.run(request, host))


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
    parent_dir: str | Path | None = None,
    keys: Mapping[str, object] | None = None,
    keys_from: str = "the call",
    host: Host | None = None,
    progress: Progress | None = None,
) -> Result:
    """Publish what a Homebrew cask downloads; arguments as for `process_pkg`.

    Args:
        cask: its name, such as `google-chrome`.
        arch: `arm64` (the default) or `x86_64`.
        use_brew: ask and download with `brew` instead of by ourselves.
        allow_no_checksum: accept a cask that has no sha256.
        progress: told the bytes downloaded and the bytes in all (0 where that is not known).

    Raises:
        InterruptedRunError: SIGINT or SIGTERM; its text says what was and was not done.
    """
    from kandji_uploader.flows import casks

    given = flags(name, testname, sscategory, zzcategory, unzip_location, dry=dry, create=create)
    if arch is not None:
        given["arch"] = arch
    order = casks.Order(
        cask,
        keys={**given, **(keys or {})},
        keys_from=keys_from,
        use_brew=use_brew,
        allow_no_checksum=allow_no_checksum,
    )
    return _tried(order, cask, _host(host, parent_dir), lambda host: casks.run(order, host, progress))


def _doubles(batch: Batch, keys: Mapping[str, object], keys_from: str, host: Host) -> dict[str, str]:
    """Of the items of a batch, those that mean the same Custom App, and why they must not be published.

    Nothing is sent to the tenant. What only the download of a cask would tell (by a package map), or only the tenant
    (by dynamic lookup), shows when it is published: then the later one fails.
    """
    from kandji_uploader.flows import casks

    meant: dict[Item, Sequence[str]] = {}
    for path in batch.paths:
        request = Request(Path(path), keys=keys, keys_from=keys_from)
        meant[file_item(Path(path))] = _names(partial(pipeline.names, request, host))
    for cask in batch.casks:
        order = casks.Order(cask, keys, keys_from, batch.use_brew, batch.allow_no_checksum)
        meant[Item(cask)] = _names(partial(casks.names, order, host))
    return claims.doubles(meant)


def _names(ask: Callable[[], tuple[str, ...]]) -> tuple[str, ...]:
    """The names of the Custom Apps of an item; what is wrong with it is told when it is published."""
    try:
        return ask()
    except InterruptedRunError:
        raise
    except KandjiUploaderError:
        return ()


def _tried(asked: Request | Order, source: str, host: Host, run: Callable[[Host], RunResult]) -> Result:
    """The result of a run; expected failures become a `failed` one."""
    batch = host.batch
    try:
        why = batch.refused(lambda: _doubles(batch, asked.keys, asked.keys_from, host)).get(source) if batch else None
        if why:
            return Result(source, "", "failed", why)
        return of_run(run(host), source)
    except InterruptedRunError:
        raise
    except KandjiUploaderError as problem:
        return Result(source, "", "failed", str(problem))


def of_run(run: RunResult, source: str) -> Result:
    """The result of a run in the words of this API."""
    action: Action = "failed" if run.failed else "dry_run" if run.dry_run else "succeeded" if run.changed else "skipped"
    apps = tuple(
        Published(item.stage.value, item.name, item.app_id, item.link, report.word(item, dry_run=run.dry_run))
        for item in run.outcomes
    )
    read = run.facts.app_name if run.facts else None
    return Result(
        source,
        (read or run.app_name).removesuffix(".app"),
        action,
        report.failure(run) if run.failed else "",
        apps,
        run,
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


def _host(host: Host | None, folder: str | Path | None) -> Host:
    """The host of one call, with another config folder where one is named; a call that is in no batch is one."""
    host = host or Host()
    host = host if host.batch else replace(host, batch=Batch())
    if folder is None:
        return host
    return replace(host, environ={**host.environ, "KANDJI_UPLOADER_DIR": str(folder)})
