"""Take the freeze that holds now out of the config file of this machine, and those that are over.

Freezes in maps and recipes stay.

Examples:
  kandji-uploader thaw
  kandji-uploader thaw --all
"""

from __future__ import annotations

import argparse
import os
import time

from kandji_uploader.cli import DONE
from kandji_uploader.settings import freezing


def configure(parser: argparse.ArgumentParser) -> None:
    """Which."""
    parser.add_argument("--all", action="store_true", help="also those to come")


def run(arguments: argparse.Namespace) -> int:
    """Take them out; also where there is none, the exit code is 0."""
    done = freezing.thaw(time.time(), os.environ, every=arguments.all)
    for freeze in done.gone:
        print(f"{done.path}: no longer frozen {freeze}")
    for freeze in done.freezes:
        print(f"{done.path}: stays frozen {freeze}")
    if not (done.gone or done.freezes):
        print(f"{done.path}: there is no freeze in it")
    return DONE
