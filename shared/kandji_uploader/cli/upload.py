"""Publish installers or Homebrew casks as Custom Apps.

examples:
  kandji-uploader -p Firefox.pkg
  kandji-uploader -p Firefox.pkg -n "Firefox" -t "Firefox (Test)" -y
  kandji-uploader -b firefox -b google-chrome --json
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

from kandji_uploader import api, report
from kandji_uploader.cli import DONE, FAILED, USAGE
from kandji_uploader.cli.console import Console
from kandji_uploader.pipeline import Host, Request


def configure(parser: argparse.ArgumentParser) -> None:
    """The standalone tool's flags."""
    add = parser.add_argument
    add("-p", "--pkg", metavar="PATH", action="append", default=[], help="a .pkg, .dmg or .zip; may be repeated")
    add("-b", "--brew", metavar="CASK", action="append", default=[], help="a Homebrew cask; may be repeated")
    add("-n", "--name", help="the Custom App to create or update")
    add("-t", "--testname", help="the Custom App for testing")
    add("-s", "--sscategory", metavar="CATEGORY", help="Self Service category that goes with --name")
    add("-z", "--zzcategory", metavar="CATEGORY", help="Self Service category that goes with --testname")
    add("-u", "--unzip-location", metavar="FOLDER", help="where a .zip is unpacked on the Mac (default: /Applications)")
    add("-c", "--create", action="store_true", help="create a Custom App even where one of that name exists")
    add("-y", "--dry", action="store_true", help="tell what would be done, change nothing")
    add("-d", "--debug", action="store_true", help="tell more of what is done")
    add("--json", action="store_true", help="the outcome as JSON on standard output")


def run(arguments: argparse.Namespace) -> int:
    """Try each item; 1 if any failed."""
    items = len(arguments.pkg) + len(arguments.brew)
    if not items:
        print("kandji-uploader upload: name an installer with -p or a cask with -b", file=sys.stderr)
        return USAGE
    named = [flag for flag in ("name", "testname", "sscategory", "zzcategory") if getattr(arguments, flag) is not None]
    if items > 1 and named:
        flags = ", ".join(f"--{flag}" for flag in named)
        print(f"kandji-uploader upload: {flags} can go with a single item only, not with {items}", file=sys.stderr)
        return USAGE
    console = Console(quiet=arguments.json, debug=arguments.debug)
    host = Host(say=console.say, warn=console.warn, progress=console.progress, environ=os.environ)
    given = api.flags(
        arguments.name,
        arguments.testname,
        arguments.sscategory,
        arguments.zzcategory,
        arguments.unzip_location,
        dry=arguments.dry,
        create=arguments.create,
    )
    results = [_file(path, given, host) for path in arguments.pkg]
    results += [api.process_brew(cask, keys=given, host=host) for cask in arguments.brew]
    _tell(results, arguments, console)
    return FAILED if any(result.action == "failed" for result in results) else DONE


def _file(path: str, given: dict[str, object], host: Host) -> api.Result:
    request = Request(Path(path), keys=given, keys_from="command line", caller="command line")
    return api.publish(request, host, path)


def _tell(results: list[api.Result], arguments: argparse.Namespace, console: Console) -> None:
    if arguments.json:
        print(json.dumps([_as_json(result) for result in results], indent=2, ensure_ascii=False))
        return
    runs = [result.run for result in results if result.run is not None]
    if runs:
        print(report.table(runs))
    for result in results:
        if result.error:
            console.fail(f"{result.source}: {result.error}")


def _as_json(result: api.Result) -> dict[str, object]:
    run = report.as_json(result.run) if result.run is not None else {"custom_apps": []}
    return {**run, "source": result.source, "action": result.action, "error": result.error or None}
