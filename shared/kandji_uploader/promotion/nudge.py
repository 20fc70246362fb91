"""After the first app of a chain got a release, its Macs are asked to check in, so that they report on it soon.

Otherwise a Mac runs the audit script at its next check-in, which of one that sleeps is tomorrow.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable

from kandji_uploader.errors import ApiError, MissingPermissionError, NetworkError
from kandji_uploader.models import Outcome
from kandji_uploader.publish.context import RunContext

_FAILURES = 3
"""After so many the others are not asked: it is no single Mac that is gone."""


def nudge(outcome: Outcome, context: RunContext, say: Callable[[str], None]) -> None:
    """Ask Macs to check in, those first that reported last, since they are awake. What fails is told and no more.

    Args:
        outcome: of the app that got a release.
        context: where the run takes place; its settings say how many Macs are asked at the most.
        say: called with one line on how many were asked.
    """
    most = context.settings.nudge
    if not most or not outcome.app_id or context.settings.dry_run:
        return
    asked, failed, why = 0, 0, ""
    try:
        for mac in _awake(outcome.app_id, most, context):
            try:
                context.tenant.client.check_in(mac)
                asked += 1
            except MissingPermissionError:
                raise
            except ApiError as problem:
                failed, why = failed + 1, why or str(problem)
                if failed == _FAILURES:
                    break
    except (ApiError, NetworkError) as problem:
        context.warn(f"{outcome.name}: {asked} Macs were asked to check in: {problem}")
        return
    could_not = f"; {failed} could not be asked: {why}" if failed else ""
    say(f"{outcome.name}: {asked} Macs were asked to check in{could_not}")


def _awake(app_id: str, most: int, context: RunContext) -> list[str]:
    """The ids of at most so many Macs that have an app in scope; one that is listed twice is one."""
    records = context.tenant.client.library_item_statuses(app_id)
    last = ((max(record.last_audit_run, record.reported_at), record.mac_id) for record in records if record.mac_id)
    # In constant memory, whatever the fleet: twice as many, since rows may be doubled.
    return list(dict.fromkeys(mac for _, mac in heapq.nlargest(2 * most, last)))[:most]
