"""Show what the Macs say of Custom Apps: outcomes, versions, reasons of failure, age of the reports.

Examples:
  kandji-uploader status Firefox "Firefox (Test)"
  kandji-uploader status Firefox --html firefox.html
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import chain
from pathlib import Path

from kandji_uploader._util import files
from kandji_uploader.cli import documents, failures, flags, screen, tenants
from kandji_uploader.cli.console import Console
from kandji_uploader.cli.failures import UsageError
from kandji_uploader.errors import TargetError
from kandji_uploader.flows import status as status_flow
from kandji_uploader.models import Reported
from kandji_uploader.publish.request import Host
from kandji_uploader.report.layout import visible
from kandji_uploader.status import html, summary
from kandji_uploader.status.models import AppStatus

_TOP = 5
_BARS = "\u2581\u2582\u2583\u2584\u2585\u2586\u2587\u2588"


def configure(parser: argparse.ArgumentParser) -> None:
    """Which apps, and how they are shown."""
    add = parser.add_argument
    add(
        "names",
        nargs="*",
        metavar="NAME",
        help="a Custom App, or an entry of a map with `promotion` or `rings` for all of its apps",
    )
    add("--all", action="store_true", help="every entry of the maps with `promotion` or `rings`")
    flags.tenant(parser)
    add("--json", action="store_true", help="the figures as JSON on standard output")
    add("--html", type=Path, metavar="FILE", help="write one self-contained page")


def run(arguments: argparse.Namespace) -> int:
    """Show it."""
    if bool(arguments.names) == arguments.all:
        raise UsageError("kandji-uploader status: name the apps, or give --all")
    console = Console(quiet=arguments.json)
    host = Host(say=console.say, warn=console.warn, environ=os.environ)

    def at(there: Host) -> list[tuple[str, AppStatus]]:
        tenant = there.tenant.name if there.tenant else ""
        return [(tenant, app) for app in status_flow.statuses(arguments.names, there, every_pair=arguments.all)]

    found, failed = tenants.each(arguments.tenant, host, console, at)
    apps = [replace(app, name=f"{tenant}: {app.name}") if tenant else app for tenant, app in found]
    now = status_flow.moment_of(host)
    if arguments.html:
        _write(arguments.html, html.render(apps, now))
        console.say(f"wrote {arguments.html}")
    if arguments.json:
        documents.show_list(chain((_as_json(tenant, app) for tenant, app in found), failed))
    else:
        print("\n".join([_table(apps, now), *(line for app in apps for line in _details(app))]))
    return failures.exit_code([*("" for _ in found), *(each["error"]["code"] for each in failed)])


def _as_json(tenant: str, app: AppStatus) -> dict[str, object]:
    return {**({"tenant": tenant} if tenant else {}), **status_flow.as_json(app)}


def _write(path: Path, page: str) -> None:
    try:
        files.write_private(path, page)
    except OSError as problem:
        raise TargetError(f"{path}: cannot be written ({problem.strerror}); choose another place") from None


def _table(apps: Sequence[AppStatus], now: datetime) -> str:
    words = sorted({word for app in apps for word in app.figures.statuses}, key=_first_failing)
    rows = [
        [
            app.name,
            app.stage.value if app.stage else "",
            app.version,
            str(app.figures.macs),
            *(str(app.figures.statuses.get(word, 0)) for word in words),
            _age(app.figures.newest_report, now),
        ]
        for app in apps
    ]
    return screen.of().table(["Custom App", "Stage", "Version", "Macs", *words, "Last report"], rows)


def _first_failing(word: str) -> tuple[int, str]:
    return (0 if word in summary.FAILING else 1 if word in summary.PASSING else 2), word


def _details(app: AppStatus) -> list[str]:
    """Versions, reasons and ages of one app, where there are any."""
    parts = (
        ("installed", app.figures.versions),
        ("reasons of failure", app.figures.reasons),
        ("last report", {age: macs for age, macs in app.figures.ages.items() if macs}),
    )
    found = [f"  {visible(said)}" for said in app.news_of_signers]
    found += [f"  halted: {visible(app.halted)}"] if app.halted else []
    held = [f"    {each.version}: {each.held or 'nothing holds it'}" for each in app.candidates]
    found += ["  candidates for production", *map(visible, held)] if held else []
    found += [f"  adoption    {_adoption(app.samples)}"] if len(app.samples) > 1 else []
    found += [line for title, counts in parts for line in _counts(title, counts)]
    wrapped = [screen.of().wrapped(line, " " * 11) for line in found]  # further lines stand below the text
    return ["", visible(app.name), *wrapped] if found else []


def _adoption(samples: Sequence[Reported]) -> str:
    """How the Macs came to a release, a sign for each sample: how many of those in scope have it."""
    shares = [each.passed / max(each.passed + each.errors + each.pending, 1) for each in samples]
    bars = "".join(_BARS[min(int(share * len(_BARS)), len(_BARS) - 1)] for share in shares)
    ends = ((shares[0], samples[0]), (shares[-1], samples[-1]))
    return f"{bars}  {', '.join(f'{share:.0%} on {each.at:%Y-%m-%d}' for share, each in ends)}"


def _counts(title: str, counts: Mapping[str, int]) -> list[str]:
    shown = [f"    {macs:6} {visible(word)}" for word, macs in list(counts.items())[:_TOP]]
    more = len(counts) - len(shown)
    return [f"  {title}", *shown, *([f"           and {more} more"] if more > 0 else [])] if shown else []


def _age(moment: datetime | None, now: datetime) -> str:
    if moment is None:
        return "never"
    hours = max((now - moment).total_seconds(), 0) / 3600
    return f"{hours / 24:.0f} days ago" if hours >= 48 else f"{hours:.0f} hours ago"  # noqa: PLR2004 - two days
