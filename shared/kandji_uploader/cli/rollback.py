"""Put the former installer back into a Custom App, and with it the version that is enforced.

The version that is given up is not published or promoted again until a newer one comes. An audit script enforces a
lowest version: a Mac that has the newer one keeps it until it is removed there.

Examples:
  kandji-uploader rollback Firefox -y
  kandji-uploader rollback Firefox --to 128.0
"""

from __future__ import annotations

import argparse
import os

from kandji_uploader.cli import flags, tenants
from kandji_uploader.cli.console import Console
from kandji_uploader.cli.promote import exit_code, tell
from kandji_uploader.flows import promote
from kandji_uploader.models import RunResult
from kandji_uploader.publish.request import Host


def configure(parser: argparse.ArgumentParser) -> None:
    """Which app, and to what."""
    add = parser.add_argument
    add("name", metavar="NAME", help="the Custom App")
    add("--to", metavar="VERSION", help="the version to go back to (default: the one before)")
    flags.tenant(parser)
    flags.dry(parser)
    add("--json", action="store_true", help="the outcome as JSON on standard output")


def run(arguments: argparse.Namespace) -> int:
    """Roll back; 1 if that failed."""
    console = Console(quiet=arguments.json)
    host = Host(say=console.say, warn=console.warn, environ=os.environ)
    keys = {"dry_run": True} if arguments.dry else {}

    def at(there: Host) -> list[RunResult]:
        return [promote.rollback(arguments.name, there, to=arguments.to, keys=keys)]

    results, failed = tenants.each(arguments.tenant, host, console, at)
    tell(results, console, failed, as_json=arguments.json)
    return exit_code(results, failed)
