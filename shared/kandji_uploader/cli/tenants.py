"""The flag `--tenant`: what is about one tenant at a time is done at each that is named, and told of all of them."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from kandji_uploader.cli import documents, failures, screen
from kandji_uploader.cli.console import Console
from kandji_uploader.errors import InterruptedRunError, KandjiUploaderError
from kandji_uploader.models import RunResult
from kandji_uploader.publish.request import Host
from kandji_uploader.report import text as report
from kandji_uploader.settings import config_folder
from kandji_uploader.settings.tenants import read_tenants

Found = TypeVar("Found")


def hosts(words: Sequence[str] | None, host: Host) -> tuple[Host, ...]:
    """The host for each tenant that is named; where none is, the host as it is.

    Raises:
        SettingsError: there is no such tenant.
    """
    if words is None:
        return (host,)
    known = read_tenants(config_folder(host.environ))
    return tuple(replace(host, tenant=tenant) for tenant in known.chosen(words, "command line"))


def each(
    words: Sequence[str] | None, host: Host, console: Console, do: Callable[[Host], Iterable[Found]]
) -> tuple[list[Found], list[documents.Failure]]:
    """What came of it at each tenant, and which failed as a whole, which does not keep the others from theirs.

    Raises:
        KandjiUploaderError: where no tenant is named, as `do`.
        InterruptedRunError: as `do`.
    """
    found: list[Found] = []
    failed: list[documents.Failure] = []
    for there in hosts(words, host):
        try:
            found += do(there)
        except InterruptedRunError:
            raise
        except KandjiUploaderError as problem:
            if there.tenant is None:
                raise
            console.fail(f"{there.tenant.name}: {problem}")
            failed.append(documents.failure(problem.code, str(problem), tenant=there.tenant.name))
    return found, failed


def run_each(arguments: argparse.Namespace, do: Callable[[Host, Mapping[str, object]], Iterable[RunResult]]) -> int:
    """Run a command with the flags of `flags.of_apps` at each tenant, and tell what became of the apps.

    Args:
        arguments: the flags.
        do: the command at the tenant of a host; it gets the settings that the flags say.

    Returns:
        The exit code.
    """
    console = Console(quiet=arguments.json)
    host = Host(say=console.say, warn=console.warn, environ=os.environ)
    keys = {"dry_run": True} if arguments.dry else {}
    results, failed = each(arguments.tenant, host, console, lambda there: do(there, keys))
    tell(results, console, failed, as_json=arguments.json)
    return exit_code(results, failed)


def exit_code(results: Sequence[RunResult], failed: Sequence[documents.Failure]) -> int:
    """The exit code after all apps and tenants."""
    codes = [code for result in results for code in result.codes]
    return failures.exit_code([*codes, *(each["error"]["code"] for each in failed)])


def tell(
    results: Sequence[RunResult], console: Console, failed: Sequence[documents.Failure] = (), *, as_json: bool
) -> None:
    """What became of each app, and why; in JSON with what failed as a whole."""
    if as_json:
        documents.show_list([*map(documents.run, results), *failed])
        return
    rows = []
    for result in results:
        for outcome in result.outcomes:
            done = report.word(outcome, dry_run=result.dry_run)
            rows.append(
                [outcome.title, done, outcome.version, outcome.reason if not outcome.error else "", outcome.link]
            )
    if len(rows) > 1 or not all(result.failed for result in results):
        print(screen.of().table(["Custom App", "Action", "Version", "Why", "Link"], rows))
    for result in results:
        if result.failed:
            console.fail(report.failure(result))
