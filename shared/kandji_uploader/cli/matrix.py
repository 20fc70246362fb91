"""Print the jobs of a CI run as JSON: one per tenant or recipe, or in so many groups.

GitHub Actions takes it as a job's `matrix`, Buildkite as a step's. A group goes by the names alone: a recipe stays
with the machine that has its downloads in the cache, whatever is added to the list.

Examples:
  kandji-uploader matrix --by tenant
  kandji-uploader matrix --by tenant --tenant @europe --shards 10
  kandji-uploader matrix --by recipe --recipes recipe_list.txt --shards 4
  kandji-uploader matrix --shards 5 --for buildkite
"""

from __future__ import annotations

import argparse
import os
import plistlib
from collections.abc import Sequence
from pathlib import Path
from xml.parsers.expat import ExpatError

from kandji_uploader import settings
from kandji_uploader.cli import DONE, documents, flags
from kandji_uploader.cli.failures import UsageError
from kandji_uploader.errors import Problem, SettingsError
from kandji_uploader.manifest.lines import Shard
from kandji_uploader.settings.tenants import EVERY, read_tenants

MOST = {"github": 256, "buildkite": 25}
"""Jobs of one matrix: https://docs.github.com/actions (a matrix generates 256 jobs at the most per workflow run),
https://buildkite.com/docs/pipelines/build-matrix (25 elements in each dimension)."""
_CALLED = {"github": "GitHub Actions", "buildkite": "Buildkite"}
_BETWEEN = {"tenant": ",", "recipe": "\n"}
"""Between the names of a group: as `--tenant` takes them, and as a recipe list holds them."""


def configure(parser: argparse.ArgumentParser) -> None:
    """The arguments."""
    add = parser.add_argument
    add("--by", choices=tuple(_BETWEEN), help="a job for each tenant of tenants.yaml, or for each recipe")
    add("--tenant", metavar="NAMES", help="these tenants only: names and @groups, with commas between")
    add("--recipes", metavar="FILE", type=Path, help="AutoPkg's recipe list (default: the recipes of the recipe map)")
    groups = flags.number(int, 1, of=" of shards")
    add("--shards", metavar="N", type=groups, help="in so many groups at the most; without --by: N parts of a manifest")
    add("--for", dest="service", choices=tuple(MOST), default="github", help="who reads it (default: github)")
    add("--json", action="store_true", help="also where it fails: then the error as JSON, which is no matrix")


def run(arguments: argparse.Namespace) -> int:
    """Print it on one line.

    Raises:
        UsageError: neither --by nor --shards is given.
        SettingsError: there is nothing to make jobs of, or too much for one matrix.
    """
    service = arguments.service
    if not (arguments.by or arguments.shards):
        raise UsageError("kandji-uploader matrix: give --by tenant, --by recipe or --shards")
    jobs = _jobs(arguments)
    if len(jobs) > MOST[service]:
        text = f"{_CALLED[service]} takes {MOST[service]} at the most; group them with --shards {MOST[service]}"
        raise SettingsError([Problem("command line", "--shards", f"a matrix of {len(jobs)} jobs", text)])
    # Buildkite's short form is a list of texts; `{{matrix}}` is the text then.
    shown: object = {"include": jobs} if service == "github" else [job[arguments.by or "shard"] for job in jobs]
    documents.show(shown, on_one_line=True)
    return DONE


def _jobs(arguments: argparse.Namespace) -> list[dict[str, str]]:
    shards = [Shard(number, arguments.shards) for number in range(1, (arguments.shards or 0) + 1)]
    if not arguments.by:
        return [{"shard": str(shard)} for shard in shards]
    jobs = _tenants(arguments.tenant) if arguments.by == "tenant" else _recipes(arguments.recipes)
    if not shards:
        return jobs
    names = [job[arguments.by] for job in jobs]
    groups = [(shard, [name for name in names if shard.has(name)]) for shard in shards]
    return [{"shard": str(shard), arguments.by: _BETWEEN[arguments.by].join(group)} for shard, group in groups if group]


def _tenants(words: str | None) -> list[dict[str, str]]:
    """A job for each tenant; with the name of its token, so that a job can be given this one and no other."""
    folder = settings.config_folder(os.environ)
    asked = [word.strip() for word in (words or EVERY).split(",")]
    tenants = read_tenants(folder).chosen(asked, "command line")
    return [{"tenant": tenant.name, "token_name": tenant.token_name or ""} for tenant in tenants]


def _recipes(path: Path | None) -> list[dict[str, str]]:
    """A job for each recipe of a list, each once; of the recipe map where there is no list."""
    folder = settings.config_folder(os.environ)
    found = path or settings.find_file(folder, "recipe_map")
    if found is None:
        text = f"is missing, and {folder} holds no recipe_map.yaml; name AutoPkg's recipe list"
        raise SettingsError([Problem("command line", "--recipes", None, text)])
    names = _recipe_list(path) if path else list(settings.read_mapping_file(found))
    if not names:
        raise SettingsError([Problem(str(found), "", None, "holds no recipe; write some into it")])
    return [{"recipe": name} for name in dict.fromkeys(names)]


def _recipe_list(path: Path) -> Sequence[str]:
    """A recipe list as AutoPkg reads it: a plist with `recipes`, or a name on each line that does not begin with #."""
    try:
        content = path.read_bytes()
    except OSError as problem:
        text = f"cannot be read ({problem.strerror or problem}); correct the path"
        raise SettingsError([Problem("command line", "--recipes", repr(str(path)), text)]) from None
    try:
        listed = plistlib.loads(content)["recipes"]
    except (ValueError, KeyError, TypeError, ExpatError):
        lines = content.decode("utf-8", "replace").splitlines()
        return [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    return [str(name) for name in listed] if isinstance(listed, list) else []
