"""Look at what the Macs say of the apps whose rules ask about them; what fails on too many of them is halted.

Each run of a recipe does that, too; between two of them this may run every hour. Nothing is published or promoted.

Examples:
  kandji-uploader watch --all
  kandji-uploader watch Firefox -y
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping

from kandji_uploader.cli import flags, tenants
from kandji_uploader.cli.failures import UsageError
from kandji_uploader.flows import promote, watch
from kandji_uploader.models import RunResult
from kandji_uploader.publish.request import Host


def configure(parser: argparse.ArgumentParser) -> None:
    """Which apps."""
    add = parser.add_argument
    add("names", nargs="*", metavar="NAME", help="a Custom App or an entry of a map")
    add("--all", action="store_true", help="every entry of the maps with `promotion` or `rings`")
    flags.of_apps(parser)


def run(arguments: argparse.Namespace) -> int:
    """Watch; 1 if something is halted, else as what kept it from looking; see `failures.exit_code`."""
    if bool(arguments.names) == arguments.all:
        raise UsageError("kandji-uploader watch: name the apps, or give --all")

    def at(there: Host, keys: Mapping[str, object]) -> list[RunResult]:
        return watch.watch(promote.asked_for(arguments.names, there, keys, every_pair=arguments.all), there)

    return tenants.run_each(arguments, at)
