"""Publish and promote nothing until a day, or from one day to another: a freeze in the config file of this machine.

A date is a whole day. What is urgent (--urgent) goes through, and so do rollbacks and repairs. Other machines that
publish have a config file of their own.

Examples:
  kandji-uploader freeze --until 2027-01-07 --why Christmas
  kandji-uploader freeze --from 2027-03-01T18:00 --until 2027-03-04 --why "the move" --zone Europe/Vienna
"""

from __future__ import annotations

import argparse
import os
import time

from kandji_uploader.cli import DONE
from kandji_uploader.settings import freezing


def configure(parser: argparse.ArgumentParser) -> None:
    """From when to when, and why."""
    add = parser.add_argument
    add("--until", metavar="DATE", required=True, help="the last day, or a moment such as 2027-01-07T18:00")
    add("--from", metavar="DATE", dest="since", help="the first day, or a moment (default: now)")
    add("--why", metavar="TEXT", required=True, help="what is told with it")
    add("--zone", metavar="ZONE", help="by whose clock (default: that of `window`, else UTC)")


def run(arguments: argparse.Namespace) -> int:
    """Write it down."""
    words = {"from": arguments.since, "until": arguments.until, "why": arguments.why, "zone": arguments.zone}
    given = {key: word for key, word in words.items() if word is not None}
    done = freezing.freeze(given, time.time(), os.environ)
    print(f"{done.path}: frozen {done.freezes[-1]}")
    return DONE
