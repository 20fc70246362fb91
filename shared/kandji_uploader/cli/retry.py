"""Do the pending publishes: those that a failed or interrupted run left to do.

Each is done as it was meant, with its recipe's keys and the settings of today, from the installer that is still where
the recipe left it. An installer that is missing, or that was replaced by another one, is told; nothing is guessed.

Examples:
  kandji-uploader retry -y
  kandji-uploader retry
  kandji-uploader retry Firefox
  kandji-uploader retry --forget Firefox
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from kandji_uploader.cli import documents, flags, tenants
from kandji_uploader.cli.console import Console
from kandji_uploader.cli.tenants import exit_code, tell
from kandji_uploader.errors import InterruptedRunError, KandjiUploaderError
from kandji_uploader.flows import retry
from kandji_uploader.models import RunResult
from kandji_uploader.publish.request import Host
from kandji_uploader.publish.resolve import settings_of
from kandji_uploader.state import PendingPublish, store_of


def configure(parser: argparse.ArgumentParser) -> None:
    """Which, and whether to give it up instead."""
    add = parser.add_argument
    add(
        "names",
        metavar="NAME",
        nargs="*",
        help="a Custom App, a recipe or an installer (default: all that are pending)",
    )
    add("--forget", metavar="NAME", action="append", default=[], help="give this one up; nothing is published for it")
    flags.of_apps(parser)


def run(arguments: argparse.Namespace) -> int:
    """Do it; 1 where something is still pending."""
    console = Console(quiet=arguments.json)
    host = Host(say=console.say, warn=console.warn, progress=console.progress, environ=os.environ)
    done: list[RunResult] = []
    failed: list[documents.Failure] = []
    try:
        failed += tenants.each(
            arguments.tenant, host, console, lambda there: _at(there, arguments, console, done, failed)
        )[1]
    finally:
        if done or arguments.json:
            tell(done, console, failed, as_json=arguments.json)
    return exit_code(done, failed)


def _at(
    host: Host,
    arguments: argparse.Namespace,
    console: Console,
    done: list[RunResult],
    failed: list[documents.Failure],
) -> tuple[()]:
    """Do it at one tenant, and note what was done and what could not be tried."""
    store = store_of(settings_of(host, {"dry_run": True} if arguments.dry else {}))
    if arguments.forget:
        for entry in retry.chosen(store.pending(), arguments.forget):
            store.forget_pending(entry)
            console.say(f"{'would be given up' if arguments.dry else 'given up'}: {entry.title}")
        return ()
    pending = retry.chosen(store.pending(), arguments.names)
    if not pending:
        console.say("nothing is pending")
    before = len(done)
    left = list(pending)
    try:
        while left:
            console.say(f"once more: {left[0].title}")
            with _noted(left[0], host, console, failed):
                done.append(retry.run(left[0], store, host, dry=arguments.dry))
            left.pop(0)
    except InterruptedRunError as stopped:
        if len(pending) == 1:
            raise
        raise _account(pending, left, done[before:], str(stopped)) from None
    return ()


@contextmanager
def _noted(entry: PendingPublish, host: Host, console: Console, failed: list[documents.Failure]) -> Iterator[None]:
    """What keeps one from being tried does not keep the others from it."""
    try:
        yield
    except InterruptedRunError:
        raise
    except KandjiUploaderError as problem:
        console.fail(str(problem))
        tenant = host.tenant.name if host.tenant else ""
        failed.append(documents.failure(problem.code, str(problem), tenant=tenant, source=entry.path))


def _account(
    pending: Sequence[PendingPublish], left: Sequence[PendingPublish], done: Sequence[RunResult], said: str
) -> InterruptedRunError:
    """The publishes that were done, under way (the first of `left`) or not begun when the command was interrupted."""
    actions = {result.source: result.outcomes[0].action.value for result in done if result.outcomes}
    ended = {entry.title: actions.get(entry.path, "failed") for entry in pending[: len(pending) - len(left)]}
    return InterruptedRunError.among(ended, {left[0].title: said}, [entry.title for entry in left[1:]])
