"""Fleets made up for the tests: audit logs as the script writes them, names as users choose them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone

from kandji_uploader.models import Stage
from kandji_uploader.status.models import AppStatus, StatusRecord
from kandji_uploader.status.summary import summarise

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=timezone.utc)

HOSTILE = (
    "<script>document.title='owned'</script>",
    '"><img src=x onerror="document.title=\'owned\'">',
    "</td></tr></table><h1>injected</h1>",
    "{{7*7}} ${7*7} `id` $(id)",
    "\u202egnp.live",
    "tab\there\x00\x07",
    "' onmouseover='document.title=1",
    "&lt;b&gt; &amp;",
    "日本語の Mac 👩🏽‍💻",
    "מחשב של דנה",
    "x" * 300,
    "",
)


def audit(installed: str | None, enforced: str, app: str = "Google Drive.app") -> str:
    """What the audit script writes, in the words of the transcripts."""
    head = f"Checking for '{app}' install...\n"
    if installed is None:
        return f"{head}'{app}' not found. Triggering install...\n"
    older = "less than required" if installed != enforced else "greater than or equal to enforced"
    return (
        f"{head}'{app}' installed at '/Applications/{app}'\nChecking version enforcement...\n"
        f"Enforcement was due at 2024-04-15 11:49:30 PDT\nConfirming '{app}' version...\n"
        f"Installed version '{installed}' {older} version '{enforced}'\n"
    )


def record(number: int, status: str = "PASS", **further: str) -> StatusRecord:
    hours = number % 200
    fields = {
        "mac_name": f"Mac {number:05}",
        "mac_id": f"id-{number}",
        "blueprint": ("Staff", "Lab", "Executives")[number % 3],
        "reported_at": (NOW - timedelta(hours=hours)).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "last_audit_log": audit("90.0", "90.0"),
        **further,
    }
    return StatusRecord(status=status, **fields)


FAILURES = (
    "Executing install...\ninstaller: Error - the package path specified was invalid: '/var/folders/q1/T/a.pkg'.\n",
    "2026-03-01 10:11:12 +0000 Download failed: The network connection was lost. (request 12345678)\n",
    "Script exited with non-zero status.\nScript results:\nNot enough disk space: 3 GB free\n",
)


def mixed(macs: int, error_every: int = 11) -> Iterator[StatusRecord]:
    """A fleet with most outcomes."""
    for number in range(macs):
        if number % error_every == 3:
            yield record(
                number, "ERROR", log=FAILURES[number % 3], last_audit_log=audit(("88.1", None)[number % 2], "90.0")
            )
        elif number % 9 == 4:
            yield record(number, "PENDING", reported_at="", last_audit_log="")
        elif number % 23 == 5:
            yield record(number, "INCOMPATIBLE", last_audit_log="")
        elif number % 5 == 1:
            yield record(number, last_audit_log=audit("89.0", "90.0"))
        else:
            yield record(number)


def apps() -> list[AppStatus]:
    """What a page of a few apps shows."""
    link = "https://accuhive.kandji.io/library/custom-apps/4e44ed2d-5be8-4647-b63b-92d52d3d8864"
    healthy = (record(number) for number in range(48))
    return [
        AppStatus("Google Drive", summarise(mixed(412), NOW), Stage.PROD, "90.0", link),
        AppStatus("Google Drive (Test)", summarise(mixed(9, 4), NOW), Stage.TEST, "91.0", link),
        AppStatus("Firefox", summarise(healthy, NOW), Stage.PROD, "148.0", link),
        AppStatus("Zoom Workplace", summarise((), NOW), Stage.PROD, "6.4.1"),
    ]


def hostile() -> list[AppStatus]:
    """Everything that others choose, chosen badly."""
    records = [
        record(
            number,
            ("ERROR", name or "ERROR")[number % 2],
            mac_name=name,
            blueprint=name,
            log=f"failed: {name}",
            last_audit_log=audit(name.replace("'", "")[:80] or "1", "2"),
        )
        for number, name in enumerate(HOSTILE)
    ]
    return [AppStatus(name, summarise(records, NOW), Stage.TEST, name, f"javascript:{name}") for name in HOSTILE[:2]]
