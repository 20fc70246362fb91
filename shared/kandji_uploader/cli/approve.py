"""Approve of a release that waits for it, so that it may move on; the approval is kept in the tenant.

It stands for that release alone, also once a newer one has replaced it. Without --version it is the one that waits for
nothing else.

Examples:
  kandji-uploader approve Firefox
  kandji-uploader approve Firefox --version 128.1 -y
  kandji-uploader approve --test "Firefox (Test)" --prod Firefox
"""

from __future__ import annotations

import argparse
import os
from dataclasses import asdict

from kandji_uploader.cli import documents, failures, flags, tenants
from kandji_uploader.cli.console import Console
from kandji_uploader.cli.failures import UsageError
from kandji_uploader.flows import approve
from kandji_uploader.publish.request import Host


def configure(parser: argparse.ArgumentParser) -> None:
    """Which release of which app."""
    add = parser.add_argument
    add("name", nargs="?", metavar="NAME", help="a prod app, a test app or an entry of a map")
    add("--ring", metavar="APP", help="the app that it may move to, where several wait for approval")
    add("--version", metavar="VERSION", help="which release")
    add("--test", metavar="APP", help="a test app that is in no map")
    add("--prod", metavar="APP", help="its prod app")
    flags.of_apps(parser)


def run(arguments: argparse.Namespace) -> int:
    """Approve; 1 if that is not possible."""
    if bool(arguments.name) == bool(arguments.prod) or bool(arguments.test) != bool(arguments.prod):
        raise UsageError("kandji-uploader approve: name the app, or give a pair with --test and --prod")
    console = Console(quiet=arguments.json)
    host = Host(say=console.say, warn=console.warn, environ=os.environ)
    keys = {"dry_run": True} if arguments.dry else {}
    names = [arguments.name] if arguments.name else []
    asked = {"ring": arguments.ring, "version": arguments.version, "test": arguments.test, "prod": arguments.prod}

    def at(there: Host) -> list[approve.Approval]:
        return [approve.approve(names, there, keys=keys, **asked)]

    found, failed = tenants.each(arguments.tenant, host, console, at)
    if arguments.json:
        documents.show_list([*map(asdict, found), *failed])
    else:
        for each in found:
            print(f"{each}{' (dry run: nothing was noted)' if arguments.dry else ''}")
    return failures.exit_code([*("" for _ in found), *(each["error"]["code"] for each in failed)])
