"""Macs that were made up: they install what a Custom App holds, one after the other, and report it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from kandji_uploader.rehearsal.clock import stamp
from kandji_uploader.rehearsal.rules import enforced_version

PACE = timedelta(seconds=2)
"""Between the installs of two Macs, by the tenant's clock."""


def reports(document: Mapping[str, Any], macs: int, now: datetime) -> Iterator[dict[str, Any]]:
    """What each Mac reports on a Custom App: PENDING until its turn has come since the app got its file, then PASS.

    Args:
        document: the app's, with `files`.
        macs: how many there are.
        now: by the tenant's clock.
    """
    stays = document.get("files") or [{"since": document["app"]["updated_at"]}]
    since = datetime.fromisoformat(stays[-1]["since"].replace("Z", "+00:00"))
    version = enforced_version(str(document["app"]["audit_script"]))
    log = f"Installed version '{version}' greater than or equal to enforced version '{version}'\n" if version else None
    for number in range(1, macs + 1):
        due = since + PACE * number
        if due > now:
            yield {"status": "PENDING"}
        else:
            yield {"status": "PASS", "reported_at": stamp(due), "last_audit_run": stamp(due), "last_audit_log": log}
