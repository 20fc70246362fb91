"""Publish what recipes have built elsewhere: the installers and lines that `publish_to` has put into a folder.

Each line and each file is held against its digest before the first request. What has not changed is not sent. Each
line is tried, also after another one has failed, and so is each tenant.

Examples:
  kandji-uploader publish built/manifest.jsonl
  kandji-uploader publish built/manifest.jsonl --shard 2/5
  kandji-uploader publish mac1/manifest.jsonl mac2/manifest.jsonl --tenant @europe -y
  kandji-uploader publish /shared/built --tenant all --scheduler tcp://10.0.0.5:8786
"""

from __future__ import annotations

import argparse
import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from kandji_uploader import api, settings
from kandji_uploader.cli import flags
from kandji_uploader.cli.console import Console
from kandji_uploader.cli.upload import exit_code, tell
from kandji_uploader.errors import ManifestError
from kandji_uploader.manifest.lines import Shard
from kandji_uploader.publish import manifests
from kandji_uploader.publish.request import Host, Request
from kandji_uploader.state import DigestCache


def configure(parser: argparse.ArgumentParser) -> None:
    """The arguments."""
    add = parser.add_argument
    add("manifests", metavar="MANIFEST", nargs="+", type=Path, help="a manifest.jsonl, or the folder that it is in")
    add("--shard", metavar="N/COUNT", type=_shard, help="a part of it only; an app is always in the same part")
    flags.tenant(parser)
    flags.jobs(parser, "tenants published to at a time", default=4)
    add("--scheduler", metavar="ADDRESS", help="let the workers of this Dask scheduler do it; they need the same paths")
    flags.dry(parser)
    add("-d", "--debug", action="store_true", help="tell more: each request")
    add("--json", action="store_true", help="the outcome as JSON on standard output")
    flags.timings(parser)


def run(arguments: argparse.Namespace) -> int:
    """Publish each line; 1 if any failed."""
    console = Console(quiet=arguments.json, debug=arguments.debug)
    early = settings.early(os.environ)
    cache = DigestCache(early.state_folder, writes=not (arguments.dry or early.dry_run))
    asked = manifests.chosen(arguments.manifests, arguments.shard, cache)
    if not asked:
        part = f"shard {arguments.shard} of " if arguments.shard else ""
        console.say(f"nothing to publish: no app is in {part}{', '.join(map(str, arguments.manifests))}")
    code = ManifestError.code
    results = [api.Result(str(request.path), "", "failed", why, code=code) for request, why in asked if why]
    try:
        with console.working():
            for result in _published([request for request, why in asked if not why], arguments, console):
                results.append(result)  # noqa: PERF402 - those that are done are told, whatever ends the others
    finally:
        tell(results, arguments, console, several=len(asked) > 1)
    return exit_code(results)


def _published(requests: list[Request], arguments: argparse.Namespace, console: Console) -> Iterator[api.Result]:
    with contextlib.ExitStack() as stack:
        executor = None
        if arguments.scheduler:
            from kandji_uploader.flows import workers

            executor = stack.enter_context(workers.scheduler(arguments.scheduler))
        # With several uploads at a time, their bars would be drawn over each other.
        progress = console.progress if arguments.jobs == 1 or not arguments.tenant else None
        host = Host(console.say, console.warn, progress)
        if requests:
            tenants = arguments.tenant or ()
            done = api.publish(requests, tenants, executor, dry=arguments.dry, workers=arguments.jobs, host=host)
            yield from done


def _shard(text: str) -> Shard:
    try:
        return Shard.parse(text)
    except ValueError as problem:
        raise argparse.ArgumentTypeError(str(problem)) from None
