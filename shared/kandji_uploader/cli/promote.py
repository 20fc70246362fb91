"""Move what has soaked in a test app to its prod app, without uploading anything.

The pairs and their rules are the entries of recipe_map and package_map that hold `promotion`; or name a pair.

Examples:
  kandji-uploader promote --all -y
  kandji-uploader promote Firefox --now
  kandji-uploader promote Firefox --urgent "CVE-2026-1234 is exploited"
  kandji-uploader promote --test "Firefox (Test)" --prod Firefox --after-days 7 --max-error-percent 5
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence

from kandji_uploader.cli import documents, failures, flags, screen, tenants
from kandji_uploader.cli.console import Console
from kandji_uploader.cli.failures import UsageError
from kandji_uploader.flows import promote
from kandji_uploader.models import RunResult
from kandji_uploader.publish.request import Host
from kandji_uploader.report import text as report


def configure(parser: argparse.ArgumentParser) -> None:
    """Which pairs, by which rules, and what may stand in the way."""
    add = parser.add_argument
    add("names", nargs="*", metavar="NAME", help="a prod app, a test app or an entry of a map")
    add("--all", action="store_true", help="every pair of the maps")
    add("--test", metavar="APP", help="a test app that is in no map")
    add("--prod", metavar="APP", help="its prod app")
    days, macs, percent = flags.number(float, 0, flags.MOST_DAYS), flags.number(int, 1), flags.number(float, 0, 100)
    add("--after-days", type=days, metavar="N", help="days in the test app, instead of the map's rule")
    add("--min-pass", type=macs, metavar="N", help="Macs that must report PASS, instead of the map's rule")
    told = "Macs that may be in ERROR, per cent of those that report"
    add("--max-error-percent", type=percent, metavar="N", help=told)
    add("--now", action="store_true", help="do not wait for the days; the Macs' health counts all the same")
    add("--urgent", metavar="REASON", help="do not wait, whatever the Macs say, and why; it is noted and told to Slack")
    add("--force", action="store_true", help="also over a file that somebody else has put into the prod app")
    flags.tenant(parser)
    flags.dry(parser)
    add("--json", action="store_true", help="the outcome as JSON on standard output")


def run(arguments: argparse.Namespace) -> int:
    """Promote; 1 if a pair failed or was refused. A pair that is held or pinned is no failure."""
    problem = _misuse(arguments)
    if problem:
        raise UsageError(f"kandji-uploader promote: {problem}")
    console = Console(quiet=arguments.json)
    host = Host(say=console.say, warn=console.warn, environ=os.environ)
    given = {"dry_run": arguments.dry or None, "urgent": arguments.urgent}
    keys = {key: value for key, value in given.items() if value is not None}
    asked = {"every_pair": arguments.all, "test": arguments.test, "prod": arguments.prod}
    rules = promote.Rules(arguments.after_days, arguments.min_pass, arguments.max_error_percent)

    def at(there: Host) -> list[RunResult]:
        wanted = promote.asked_for(arguments.names, there, keys, **asked)
        return promote.promote(wanted, there, rules=rules, at_once=arguments.now, force=arguments.force)

    results, failed = tenants.each(arguments.tenant, host, console, at)
    tell(results, console, failed, as_json=arguments.json)
    return exit_code(results, failed)


def _misuse(arguments: argparse.Namespace) -> str:
    if bool(arguments.test) != bool(arguments.prod):
        return "--test and --prod go together"
    ways = [bool(arguments.names), arguments.all, bool(arguments.prod)]
    return "" if sum(ways) == 1 else "name the apps, or give --all, or a pair with --test and --prod"


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
