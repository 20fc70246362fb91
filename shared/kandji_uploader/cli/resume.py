"""Let a release go on that was halted since too many of its Macs failed with it.

Its audit script asks for it again, with the days that were left, and it moves on as its rules say.

Examples:
  kandji-uploader resume Firefox
  kandji-uploader resume Firefox.pkg --ring "Firefox (Early)"
"""

from __future__ import annotations

import argparse
import os

from kandji_uploader.cli import flags, tenants
from kandji_uploader.cli.console import Console
from kandji_uploader.cli.promote import exit_code, tell
from kandji_uploader.flows import watch
from kandji_uploader.models import RunResult
from kandji_uploader.publish.request import Host


def configure(parser: argparse.ArgumentParser) -> None:
    """Where it is halted."""
    add = parser.add_argument
    add("name", metavar="NAME", help="the Custom App, or an entry of a map")
    add("--ring", metavar="APP", help="the Custom App in which it is halted, where that is not clear")
    flags.tenant(parser)
    flags.dry(parser)
    add("--json", action="store_true", help="the outcome as JSON on standard output")


def run(arguments: argparse.Namespace) -> int:
    """Resume; 1 if that failed."""
    console = Console(quiet=arguments.json)
    host = Host(say=console.say, warn=console.warn, environ=os.environ)
    keys = {"dry_run": True} if arguments.dry else {}

    def at(there: Host) -> list[RunResult]:
        return [watch.resume(arguments.name, there, ring=arguments.ring, keys=keys)]

    results, failed = tenants.each(arguments.tenant, host, console, at)
    tell(results, console, failed, as_json=arguments.json)
    return exit_code(results, failed)
