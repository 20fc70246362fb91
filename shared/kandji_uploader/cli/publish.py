"""Publish what recipes have built elsewhere: the installers and lines that `publish_to` has put into a folder.

Each line and each file is held against its digest before the first request. What has not changed is not sent. Each
line is tried, also after another one has failed.

Examples:
  kandji-uploader publish built/manifest.jsonl
  kandji-uploader publish built/manifest.jsonl --shard 2/5
  kandji-uploader publish mac1/manifest.jsonl mac2/manifest.jsonl -y
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from kandji_uploader import api, settings
from kandji_uploader.cli import DONE, FAILED
from kandji_uploader.cli.console import Console
from kandji_uploader.cli.upload import tell
from kandji_uploader.errors import InterruptedRunError, KandjiUploaderError
from kandji_uploader.flows import publish as flow
from kandji_uploader.manifest.lines import Shard
from kandji_uploader.publish import manifests
from kandji_uploader.publish.queue import Batch
from kandji_uploader.publish.request import Host, Request
from kandji_uploader.state import DigestCache


def configure(parser: argparse.ArgumentParser) -> None:
    """The arguments."""
    add = parser.add_argument
    add("manifests", metavar="MANIFEST", nargs="+", type=Path, help="a manifest.jsonl, or the folder that it is in")
    add("--shard", metavar="N/COUNT", type=_shard, help="a part of it only; an app is always in the same part")
    add("-y", "--dry", action="store_true", help="tell what would be done, change nothing")
    add("-d", "--debug", action="store_true", help="tell more: each request")
    add("--json", action="store_true", help="the outcome as JSON on standard output")


def run(arguments: argparse.Namespace) -> int:
    """Publish each line; 1 if any failed."""
    console = Console(quiet=arguments.json, debug=arguments.debug)
    early = settings.early(os.environ)
    cache = DigestCache(early.state_folder, writes=not (arguments.dry or early.dry_run))
    asked = manifests.chosen(arguments.manifests, arguments.shard, cache)
    if not asked:
        console.say("nothing to publish: no line is meant")
    results: list[api.Result] = []
    try:
        with console.working():
            for result in _published(asked, console, dry=arguments.dry):
                results.append(result)  # noqa: PERF402 - those that are done are told, whatever ends the others
    finally:
        tell(results, arguments, console, several=len(asked) > 1)
    return FAILED if any(result.action == "failed" for result in results) else DONE


def _published(asked: Sequence[tuple[Request, str]], console: Console, *, dry: bool) -> Iterator[api.Result]:
    batch = Batch()
    for request, why in asked:
        source = str(request.path)
        host = Host(console.say, console.warn, console.transfer(f"upload of {request.path.name}"), batch=batch)
        further = {"dry_run": True} if dry else {}
        if why:
            yield api.Result(source, "", "failed", why)
            continue
        try:
            yield api.of_run(flow.run(replace(request, keys={**request.keys, **further}), host), source)
        except InterruptedRunError:
            raise
        except KandjiUploaderError as problem:
            yield api.Result(source, "", "failed", str(problem))


def _shard(text: str) -> Shard:
    try:
        return Shard.parse(text)
    except ValueError as problem:
        raise argparse.ArgumentTypeError(str(problem)) from None
