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
from collections.abc import Mapping

from kandji_uploader.cli import flags, tenants
from kandji_uploader.cli.failures import UsageError
from kandji_uploader.flows import promote
from kandji_uploader.models import RunResult
from kandji_uploader.publish.request import Host


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
    flags.of_apps(parser)


def run(arguments: argparse.Namespace) -> int:
    """Promote; 1 if a pair failed or was refused. A pair that is held or pinned is no failure."""
    problem = _misuse(arguments)
    if problem:
        raise UsageError(f"kandji-uploader promote: {problem}")
    urgent = {} if arguments.urgent is None else {"urgent": arguments.urgent}
    asked = {"every_pair": arguments.all, "test": arguments.test, "prod": arguments.prod}
    days = 0.0 if arguments.now else arguments.after_days
    rules = promote.Rules(days, arguments.min_pass, arguments.max_error_percent)

    def at(there: Host, keys: Mapping[str, object]) -> list[RunResult]:
        wanted = promote.asked_for(arguments.names, there, {**keys, **urgent}, **asked)
        return promote.promote(wanted, there, rules=rules, force=arguments.force)

    return tenants.run_each(arguments, at)


def _misuse(arguments: argparse.Namespace) -> str:
    if bool(arguments.test) != bool(arguments.prod):
        return "--test and --prod go together"
    ways = [bool(arguments.names), arguments.all, bool(arguments.prod)]
    return "" if sum(ways) == 1 else "name the apps, or give --all, or a pair with --test and --prod"
