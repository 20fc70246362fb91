"""Let a release go on that was halted since too many of its Macs failed with it.

Its audit script asks for it again, with the days that were left, and it moves on as its rules say.

Examples:
  kandji-uploader resume Firefox
  kandji-uploader resume Firefox.pkg --ring "Firefox (Early)"
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping

from kandji_uploader.cli import flags, tenants
from kandji_uploader.flows import watch
from kandji_uploader.models import RunResult
from kandji_uploader.publish.request import Host


def configure(parser: argparse.ArgumentParser) -> None:
    """Where it is halted."""
    add = parser.add_argument
    add("name", metavar="NAME", help="the Custom App, or an entry of a map")
    add("--ring", metavar="APP", help="the Custom App in which it is halted, where that is not clear")
    flags.of_apps(parser)


def run(arguments: argparse.Namespace) -> int:
    """Resume; 1 if that failed."""

    def at(there: Host, keys: Mapping[str, object]) -> list[RunResult]:
        return [watch.resume(arguments.name, there, ring=arguments.ring, keys=keys)]

    return tenants.run_each(arguments, at)
