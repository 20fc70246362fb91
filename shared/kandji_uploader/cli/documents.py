"""What `--json` prints: one document on standard output, also where a command fails.

The types here are what `schema output.NAME` is made from. Of a list, an element that holds nothing but `error` (and
`tenant`) tells what failed as a whole: a tenant, or the command itself.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import TYPE_CHECKING, Any, Literal, TypedDict

from kandji_uploader.cli import failures
from kandji_uploader.errors import InterruptedRunError, KandjiUploaderError

if TYPE_CHECKING:  # not loaded here: a start that only tells something needs none of it
    from kandji_uploader.models import Candidate as Waiting
    from kandji_uploader.models import Outcome, RunResult, Stage
    from kandji_uploader.settings.showing import Row
    from kandji_uploader.setup.doctor import Severity


NAMES = (
    "upload",
    "publish",
    "promote",
    "approve",
    "rollback",
    "watch",
    "resume",
    "retry",
    "status",
    "doctor",
    "where",
    "inspect",
    "config",
    "munki-import",
    "schedule-status",
    "matrix",
)
"""The commands that print JSON."""


class Error(TypedDict):
    """A failure."""

    code: str
    message: str
    fix: str


class Failure(TypedDict, total=False):
    """What failed as a whole: the command, a tenant, or an installer that could not be tried."""

    tenant: str
    source: str
    error: Error


class _Tenant(TypedDict, total=False):
    tenant: str


class _Timed(TypedDict, total=False):
    """Seconds by what they went into, where `--timings` asked."""

    timings: dict[str, float]


class Health(TypedDict):
    """What Macs said of a release: how many of them, and when they were asked (ISO 8601)."""

    passed: int
    errors: int
    pending: int
    at: str


class Candidate(TypedDict):
    """A release that may move into an app. Times are in ISO 8601; of one that is not replaced, `live_until` is null."""

    version: str
    digest: str
    entered: str
    live_until: str | None
    days_healthy: float
    health: Health | None
    waits_for: str


class App(_Tenant):
    """What became of one Custom App. `candidates` is there for one that takes releases from another app."""

    stage: Stage
    name: str
    action: str
    app_id: str
    link: str
    version: str
    enforcement: str
    installer: str
    changes: list[str]
    reason: str
    warnings: list[str]
    signer: str
    digest: str
    candidates: list[Candidate]
    error: Error | None


class Run(_Timed):
    """What became of one installer, or of one app that was to be promoted or rolled back."""

    source: str
    app_name: str
    sha256: str | None
    dry_run: bool
    changed: bool
    failed: bool
    custom_apps: list[App]
    error: Error | None


class Published(Run):
    """What became of one item of `upload` or `publish`."""

    action: Literal["succeeded", "skipped", "failed", "dry_run"]


class Finding(_Tenant):
    """One finding of `doctor`."""

    subject: str
    health: Severity
    text: str
    error: Error | None


class Secret(TypedDict):
    """Whether a secret is there; not what it is."""

    name: str
    state: str
    origin: str


class Entry(TypedDict):
    """Which entry of the recipe map holds, and why."""

    key: str | None
    why: str


class _Map(TypedDict, total=False):
    recipe_map: Entry


class Config(_Map):
    """The settings."""

    folder: str
    settings: list[Row]
    secrets: list[Secret]
    warnings: list[str]


class Cask(TypedDict):
    """What the last cycle did with a cask."""

    cask: str
    action: str
    error: Error | None


class Cycle(TypedDict):
    """The last cycle; times in epoch seconds."""

    started: float
    ended: float
    casks: list[Cask]


class Loop(TypedDict):
    """A `schedule run --loop` that runs; times in epoch seconds, null while a cycle is under way."""

    since: float
    next_cycle: float | None
    late: bool
    problem: str


class Schedule(TypedDict):
    """The schedule; what of it is not known is null."""

    file: str | None
    hours: int | None
    casks: list[str]
    starts: str
    loop: Loop | None
    last_cycle: Cycle | None
    error: Error | None


class _Shown:
    """Of the command that runs: whether it is to print a document, whether that is a list, and whether it has."""

    asked: bool = False
    listed: bool = False
    done: bool = False


_SHOWN = _Shown()


def expect(*, asked: bool = False, listed: bool = False) -> None:
    """Note what the command that runs is to print."""
    _SHOWN.asked, _SHOWN.listed, _SHOWN.done = asked, listed, False


def show(document: object, *, on_one_line: bool = False) -> None:
    """Print a document."""
    import json

    _SHOWN.done = True
    print(json.dumps(document, indent=None if on_one_line else 2, ensure_ascii=False))


def show_list(items: Iterable[Mapping[str, Any]]) -> None:
    """Print a list, one element after the other: 40 apps with 1,000 Macs each take 60 MiB at once.

    In a `finally`, what has ended the command is the last element.
    """
    import json

    _SHOWN.done = True
    begun = False
    for item in chain(items, _ended_by()):
        text = json.dumps([item], indent=2, ensure_ascii=False)
        print("," if begun else "[", text.removeprefix("[\n").removesuffix("\n]"), sep="\n", end="")
        begun = True
    print("\n]" if begun else "[]")


def show_failure(code: str, message: str) -> None:
    """Print the failure of the command as its document, where one was asked for and there is none yet."""
    if _SHOWN.asked and not _SHOWN.done:
        whole = failure(code, message)
        show([whole] if _SHOWN.listed else whole)


def failure(code: str, message: str, *, tenant: str = "", source: str = "") -> Failure:
    """What failed as a whole."""
    told: Failure = {"error": error(code, message)}
    if tenant:
        told["tenant"] = tenant
    if source:
        told["source"] = source
    return told


def run(result: RunResult) -> Run:
    """What became of one installer or app."""
    from kandji_uploader.report import text as report

    items, codes = result.outcomes, result.codes
    return {
        "source": result.source,
        "app_name": result.app_name,
        "sha256": result.sha256 or None,
        "dry_run": result.dry_run,
        "changed": result.changed,
        "failed": result.failed,
        "custom_apps": [
            _app(item, code, report.word(item, dry_run=result.dry_run)) for item, code in zip(items, codes, strict=True)
        ],
        "error": error(result.code, report.failure(result)) if result.failed else None,
    }


def _app(item: Outcome, code: str, action: str) -> App:
    tenant: _Tenant = {"tenant": item.tenant} if item.tenant else {}
    return {
        **tenant,
        "stage": item.stage,
        "name": item.name,
        "action": action,
        "app_id": item.app_id,
        "link": item.link,
        "version": item.version,
        "enforcement": item.enforcement,
        "installer": item.installer,
        "changes": list(item.changes),
        "reason": item.reason,
        "warnings": list(item.warnings),
        "signer": item.signer,
        "digest": item.digest,
        "candidates": [_candidate(each) for each in item.candidates],
        "error": error(code, item.error) if code else None,
    }


def _candidate(found: Waiting) -> Candidate:
    said = found.health
    told: Health | None = None
    if said is not None:
        told = {"passed": said.passed, "errors": said.errors, "pending": said.pending, "at": said.at.isoformat()}
    return {
        "version": found.version,
        "digest": found.digest,
        "entered": found.since.isoformat(),
        "live_until": found.until.isoformat() if found.until else None,
        "days_healthy": round(found.days, 2),
        "health": told,
        "waits_for": found.held,
    }


def error(code: str, message: str) -> Error:
    """A failure."""
    return {"code": code, "message": message, "fix": failures.fix(code)}


def _ended_by() -> Iterator[Failure]:
    problem = sys.exc_info()[1]
    if isinstance(problem, KandjiUploaderError):
        yield failure(problem.code, str(problem))
    elif isinstance(problem, KeyboardInterrupt):
        yield failure(InterruptedRunError.code, "stopped")
