"""Put the former installer back into a Custom App, and with it the version that is enforced.

The version that is given up is not published or promoted again until a newer one comes. An audit script enforces a
lowest version: a Mac that has the newer one keeps it until it is removed there.

Examples:
  kandji-uploader rollback Firefox -y
  kandji-uploader rollback Firefox --to 128.0
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping

from kandji_uploader.cli import flags, tenants
from kandji_uploader.flows import promote
from kandji_uploader.models import RunResult
from kandji_uploader.publish.request import Host


def configure(parser: argparse.ArgumentParser) -> None:
    """Which app, and to what."""
    add = parser.add_argument
    add("name", metavar="NAME", help="the Custom App")
    add("--to", metavar="VERSION", help="the version to go back to (default: the one before)")
    flags.of_apps(parser)


def run(arguments: argparse.Namespace) -> int:
    """Roll back; 1 if that failed."""

    def at(there: Host, keys: Mapping[str, object]) -> list[RunResult]:
        return [promote.rollback(arguments.name, there, to=arguments.to, keys=keys)]

    return tenants.run_each(arguments, at)
