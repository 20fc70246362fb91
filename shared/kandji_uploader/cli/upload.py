"""Publish installers or Homebrew casks as Custom Apps.

One upload serves the production and the test app. What has not changed is not sent. Each item is tried, also after
another one has failed.

Examples:
  kandji-uploader -p Firefox.pkg
  kandji-uploader -p Firefox.pkg -n "Firefox" -t "Firefox (Test)" -y
  kandji-uploader -p Tool.zip -n "Tool" -s Productivity -u /Applications/Tools
  kandji-uploader -b firefox -b google-chrome --jobs 2
  kandji-uploader -b firefox --json | jq '.[].action'
"""

from __future__ import annotations

import argparse
import math
import os
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue

from kandji_uploader import api
from kandji_uploader._util import signals, timings
from kandji_uploader.cli import documents, failures, flags, main, screen
from kandji_uploader.cli.console import Console
from kandji_uploader.cli.failures import UsageError
from kandji_uploader.errors import InterruptedRunError
from kandji_uploader.models import Enforcement, RunResult
from kandji_uploader.publish import queue
from kandji_uploader.publish.queue import Queue, Turn
from kandji_uploader.publish.request import Host
from kandji_uploader.report import text as report

_LAST_WORDS = 5.0
"""Seconds that the other threads have to say what they did and did not do."""
_LOOK = 0.05
"""Seconds between two looks at threads that are waited for."""
_SILENT = "it had no time to say how far it was; what it has sent last may still be acted upon"
_SINGLE = ("name", "testname", "sscategory", "zzcategory")
"""The flags that can go with a single item only, as in kpkg."""


def configure(parser: argparse.ArgumentParser) -> None:
    """The standalone tool's flags, then ours."""
    flags.upload(parser, tuple(kind.value for kind in Enforcement))


def run(arguments: argparse.Namespace) -> int:
    """Try each item; 1 if any failed."""
    if arguments.setup:
        return main(["setup"])
    wrong = _misuse(arguments)
    if wrong:
        raise UsageError(f"kandji-uploader upload: {wrong}")
    console = Console(quiet=arguments.json, debug=arguments.debug)
    items = [*(UploadItem(path, is_cask=False) for path in arguments.pkg)]
    items += [UploadItem(cask, is_cask=True) for cask in arguments.brew]
    batch = UploadBatch(items, arguments, console)
    try:
        with console.working():
            batch.run(arguments.jobs)
    finally:
        tell(batch.results(), arguments, console, several=len(items) > 1)
    return exit_code(batch.results())


def _misuse(arguments: argparse.Namespace) -> str:
    items = len(arguments.pkg) + len(arguments.brew)
    if not items:
        return "name an installer with -p or a cask with -b"
    named = [f"--{key}" for key in _SINGLE if getattr(arguments, key) is not None]
    return f"{', '.join(named)} can go with a single item only, not with {items}" if items > 1 and named else ""


@dataclass(frozen=True)
class UploadItem:
    """One thing to publish: a path, or the name of a cask."""

    name: str
    is_cask: bool

    @property
    def short(self) -> str:
        """What lines about it begin with."""
        return self.name if self.is_cask else Path(self.name).name


class UploadBatch:
    """Items that are published one after the other, or several at a time.

    Args:
        items: what to publish.
        arguments: the flags, which hold for all of them.
        console: where the run is told.
    """

    def __init__(self, items: Sequence[UploadItem], arguments: argparse.Namespace, console: Console) -> None:
        self._items = items
        self._arguments = arguments
        self._console = console
        self._keys = _keys(arguments)
        self._batch = queue.Batch(
            [item.name for item in items if not item.is_cask],
            [item.name for item in items if item.is_cask],
            use_brew=arguments.use_brew,
            allow_no_checksum=arguments.allow_no_checksum,
        )
        self._lock = threading.Lock()
        self._closed = False
        self._begun: set[int] = set()
        self._results: dict[int, api.Result] = {}
        self._stopped: dict[int, str] = {}
        self._bugs: list[Exception] = []

    def results(self) -> list[api.Result]:
        """Of the items that were tried to their end, in the order in which they were named."""
        return [self._results[index] for index in sorted(self._results)]

    def run(self, jobs: int) -> None:
        """Try all of them.

        Raises:
            InterruptedRunError: SIGINT or SIGTERM; the text says which items are done, were under way, or not begun.
        """
        try:
            if len(self._items) == 1:
                self._one(0, self._console, Turn())
            else:
                # With several uploads at a time, their bars would be drawn over each other.
                self._side_by_side(Queue(len(self._items), jobs), bars=jobs == 1)
        except KeyboardInterrupt:
            raise self._account() from None
        if self._bugs:
            raise self._bugs[0]
        if self._stopped:
            raise self._account()

    def _side_by_side(self, turns: Queue, *, bars: bool) -> None:
        """Try them in threads. A signal reaches the main thread only, which tells the others to stop."""
        waiting: SimpleQueue[int] = SimpleQueue()
        for index in range(len(self._items)):
            waiting.put(index)
        # Daemons: one that is stuck in a dead connection does not keep the process from ending.
        work = partial(self._work, waiting, turns, bars=bars)
        threads = [threading.Thread(target=work, daemon=True) for _ in range(turns.workers)]
        with signals.stopping_others(threads) as stop:
            try:
                for thread in threads:
                    thread.start()
                _wait_for(threads)
            except KeyboardInterrupt:
                stop.set()
                _wait_for(threads, _LAST_WORDS)
                raise

    def _work(self, waiting: SimpleQueue[int], turns: Queue, *, bars: bool) -> None:
        """Take items until there are none; what ends a thread is told by the main one."""
        try:
            while True:
                signals.check()
                index = waiting.get_nowait()
                self._one(index, self._console.about(self._items[index].short, bars=bars), turns.of(index))
        except (Empty, KeyboardInterrupt):
            pass
        except Exception as bug:  # noqa: BLE001 - told by the main thread, whatever it is
            self._bugs.append(bug)

    def _one(self, index: int, console: Console, turn: Turn) -> None:
        """Try one item, and note how it ended; what ends after the account was given does not change it any more."""
        with self._lock:
            if self._closed:
                return
            self._begun.add(index)
        with turn.ending():
            try:
                result = self._tried(self._items[index], console, turn)
            except InterruptedRunError as stopped:
                self._stopped[index] = str(stopped)
                return
            except KeyboardInterrupt:  # in another thread it comes where the work looks whether it is to stop
                self._stopped[index] = "it was only being looked at; nothing was sent for it"
                raise
            with self._lock:
                if not self._closed:
                    self._results[index] = result

    def _tried(self, item: UploadItem, console: Console, turn: Turn) -> api.Result:
        told = console.transfer(f"upload of {item.short}")
        host = Host(console.say, console.warn, told, environ=os.environ, turn=turn, batch=self._batch)
        if item.is_cask:
            return api.process_brew(
                item.name,
                use_brew=self._arguments.use_brew,
                allow_no_checksum=self._arguments.allow_no_checksum,
                keys=self._keys,
                host=host,
                progress=console.transfer(f"download of {item.short}"),
                keys_from="command line",
            )
        return api.process_pkg(item.name, keys=self._keys, host=host, keys_from="command line")

    def _account(self) -> InterruptedRunError:
        """The items that are done, were under way, or not begun; from here on nothing is added."""
        with self._lock:
            self._closed = True
        names = [item.name for item in self._items]
        under_way = sorted(self._begun - set(self._results))
        if len(names) == 1 and under_way:
            return InterruptedRunError(self._stopped.get(0, f"interrupted; {_SILENT}"))
        return InterruptedRunError.among(
            {names[index]: result.action for index, result in sorted(self._results.items())},
            {names[index]: self._stopped.get(index, _SILENT) for index in under_way},
            [name for index, name in enumerate(names) if index not in self._begun],
        )


def _wait_for(threads: Sequence[threading.Thread], seconds: float = math.inf) -> None:
    """Wait until threads have ended.

    They are looked at again and again, and not joined. A signal that comes right before a join blocks is not acted upon
    before the next one. One that ends a join makes Python 3.10 and 3.11 take the thread for ended while it still works.
    """
    until = time.monotonic() + seconds
    while any(thread.is_alive() for thread in threads) and time.monotonic() < until:
        time.sleep(_LOOK)


def _keys(arguments: argparse.Namespace) -> dict[str, object]:
    """The flags as recipe keys; what was not given is left to the settings."""
    given = api.flags(
        arguments.name,
        arguments.testname,
        arguments.sscategory,
        arguments.zzcategory,
        arguments.unzip_location,
        dry=arguments.dry,
        create=arguments.create,
    )
    further = {
        "kandji.api_url": arguments.api_url,
        "tenant": arguments.tenant,
        "arch": arguments.arch,
        "enforcement_type": arguments.enforcement,
        "allow_downgrade": arguments.allow_downgrade or None,
        "urgent": arguments.urgent,
        "allow_signer_change": arguments.allow_signer_change,
        "replace_audit_script": arguments.replace_audit_script or None,
    }
    return {**given, **{key: value for key, value in further.items() if value is not None}}


def tell(
    results: Sequence[api.Result], arguments: argparse.Namespace, console: Console, *, several: bool = True
) -> None:
    """The outcome: JSON, or a table and after it what went wrong; no table of a single item that failed."""
    if arguments.json:
        documents.show_list(_as_json(result, timed=arguments.timings) for result in results)
        return
    if (several and results) or any(result.run is not None and result.run.outcomes for result in results):
        rows = [row for result in results for row in _rows(result)]
        print(screen.of().table(list(report.HEADS), rows))
    for result in results:
        if result.error:
            named = result.error.startswith(result.source)
            console.fail(result.error if named else f"{result.source}: {result.error}")
    if arguments.timings:
        print(_timings([result.run.timings for result in results if result.run]))


def _timings(runs: Sequence[Mapping[str, float]]) -> str:
    """The seconds of all items together, by what they went into."""
    sums = {part: sum(run.get(part, 0.0) for run in runs) for part in timings.PARTS}
    told = ", ".join(f"{part} {seconds:.2f}" for part, seconds in sums.items())
    return f"seconds: {told}; {sum(sums.values()):.2f} in all"


def exit_code(results: Sequence[api.Result]) -> int:
    """The exit code after all items."""
    return failures.exit_code(
        code for result in results for code in (result.run.codes if result.run else (result.code,))
    )


def _rows(result: api.Result) -> list[list[str]]:
    """One row per Custom App; an item that failed before there was one has a row, too."""
    if result.run is None or not result.run.outcomes:
        return [[result.app_name or "-", result.action, "", "", Path(result.source).name, ""]]
    return [report.cells(outcome, dry_run=result.run.dry_run) for outcome in result.run.outcomes]


def _as_json(result: api.Result, *, timed: bool = False) -> documents.Published:
    run = documents.run(result.run or RunResult(result.source, ()))
    error = documents.error(result.code, result.error) if result.code else None
    told: documents.Published = {
        **run,
        "source": result.source,
        "failed": bool(error),
        "action": result.action,
        "error": error,
    }
    if timed and result.run:
        told["timings"] = {part: round(seconds, 3) for part, seconds in result.run.timings.items()}
    return told
