"""What comes back: AutoPkg's summary results, and lines for a log. Values in, text out."""

from __future__ import annotations

import itertools
from collections.abc import Collection

from kandji_uploader.models import NOT_SIGNED, Action, Outcome, RunResult, Stage

HEADS = ("Custom App", "Action", "Version", "Enforcement", "Installer", "Link")
"""Over a table for people."""

SUMMARY_KEYS = {
    Stage.PROD: "kandji_uploader_summary_result",
    Stage.TEST: "kandji_uploader_test_summary_result",
}

BUILT_KEY = "kandji_uploader_built_summary_result"

_TITLES = {
    Stage.PROD: "The following Custom Apps were published to Kandji:",
    Stage.TEST: "The following Custom Apps for testing were published to Kandji:",
}

DONE = {
    Action.CREATE: "created",
    Action.UPDATE: "updated",
    Action.UNCHANGED: "unchanged",
    Action.PROMOTE: "promoted",
    Action.ROLL_BACK: "rolled back",
    Action.HELD: "held",
    Action.WAITING: "waiting",
    Action.HALTED: "halted",
    Action.PINNED: "pinned",
    Action.BUILD: "built",
    Action.CONFLICT: "conflict",
    Action.REFUSED: "refused",
    Action.FAILED: "failed",
}
"""What was done, in a word or two."""

_WOULD = {action: f"would {action.value}" for action in Action if action.writes or action is Action.BUILD}
_TELLING = (Action.PROMOTE, Action.ROLL_BACK, Action.HELD, Action.WAITING, Action.PINNED, Action.BUILD)


def word(outcome: Outcome, *, dry_run: bool = False) -> str:
    """What was done, in one or two words; in a dry run, what would be."""
    return _WOULD.get(outcome.action, DONE[outcome.action]) if dry_run else DONE[outcome.action]


def row(outcome: Outcome, *, dry_run: bool = False) -> dict[str, str]:
    """The report fields of one target, the tenant first where one was named.

    Every value is a text, since AutoPkg crashes on anything else.
    """
    return {
        **({"tenant": outcome.tenant} if outcome.tenant else {}),
        "custom_app": outcome.name,
        "action": word(outcome, dry_run=dry_run),
        "version": outcome.version,
        "enforcement": outcome.enforcement,
        "installer": outcome.installer,
        "signer": outcome.signer,
        "link": outcome.link,
    }


def cells(outcome: Outcome, *, dry_run: bool = False) -> list[str]:
    """The row of a table: the report fields, of which the first one names the tenant, too.

    Who signed it has no place in it: that is told as it is done.
    """
    fields = {**row(outcome, dry_run=dry_run), "custom_app": outcome.title}
    return [value for name, value in fields.items() if name not in ("tenant", "signer")]


def summaries(result: RunResult) -> dict[str, dict[str, object]]:
    """AutoPkg's summary results, one for each stage that changed, or one for what was built; none for a dry run."""
    found: dict[str, dict[str, object]] = {}
    for outcome in result.outcomes:
        if outcome.action.writes and not result.dry_run:
            data = row(outcome)
            found[_summary_key(outcome, found)] = {
                "summary_text": _TITLES[outcome.stage].replace("Kandji:", f"Kandji{_of(outcome)}:"),
                "report_fields": list(data),
                "data": data,
            }
    built = [outcome for outcome in result.outcomes if outcome.action is Action.BUILD and not result.dry_run]
    if built:
        told = {"custom_app": ", ".join(outcome.name for outcome in built)}
        fields = {name: text for name, text in row(built[0]).items() if name in ("version", "installer")}
        found[BUILT_KEY] = {
            "summary_text": "The following Custom Apps were built, for `kandji-uploader publish` to publish:",
            "report_fields": [*told, *fields],
            "data": {**told, **fields},
        }
    return found


def _summary_key(outcome: Outcome, taken: Collection[str]) -> str:
    """AutoPkg has one row for each key and step, so each tenant has keys of its own, and each ring of several."""
    key = SUMMARY_KEYS[outcome.stage]
    key = key.replace("uploader", f"uploader_{outcome.tenant}") if outcome.tenant else key
    more = (key.replace("_summary", f"_{number}_summary") for number in itertools.count(2))
    return key if key not in taken else next(each for each in more if each not in taken)


def _of(outcome: Outcome) -> str:
    return f" (tenant {outcome.tenant})" if outcome.tenant else ""


def custom_apps(result: RunResult) -> list[dict[str, str]]:
    """One flat dict of texts per target, unchanged ones too, for AutoPkg's `kandji_custom_apps`."""
    return [
        {
            "stage": outcome.stage.value,
            **row(outcome, dry_run=result.dry_run),
            "id": outcome.app_id,
            "digest": outcome.digest,
            "changes": ", ".join(outcome.changes),
            "reason": outcome.reason,
            "error": outcome.error,
        }
        for outcome in result.outcomes
    ]


def failure(result: RunResult) -> str:
    """The text of a run in which a target failed: first what failed and why, then what succeeded."""
    bad = [
        f"{outcome.title}: {DONE[outcome.action]}: {outcome.error}" for outcome in result.outcomes if outcome.action.bad
    ]
    good = [f"{outcome.title} was {DONE[outcome.action]}" for outcome in result.outcomes if not outcome.action.bad]
    return "\n".join([*bad, f"The rest is done: {'; '.join(good)}" if good else "Nothing else was changed"])


def lines(result: RunResult) -> list[str]:
    """One line per target, for a log."""
    return [_line(outcome, dry_run=result.dry_run) for outcome in result.outcomes]


def _line(outcome: Outcome, *, dry_run: bool) -> str:
    told = f"{outcome.title}: {word(outcome, dry_run=dry_run)}"
    if outcome.reason and not outcome.action.bad:
        told += f": {outcome.reason}" if outcome.action in _TELLING else f" ({outcome.reason})"
    if outcome.changes and outcome.action is not Action.CREATE:
        told += f": {', '.join(outcome.changes)}"
    if outcome.signer not in ("", NOT_SIGNED):
        told += f", {outcome.signer}"
    return f"{told} {outcome.link}".rstrip()
