"""Move over from Munki: read a Munki repo and write a recipe map, with a report of what could not be expressed.

Examples:
  kandji-uploader munki import --repo /Users/Shared/munki_repo --out recipe_map.yaml
  kandji-uploader munki import --repo munki_repo --out recipe_map.yaml --manifest site_default --after-days 7
"""

from __future__ import annotations

import argparse
import difflib
import json
from collections.abc import Mapping
from datetime import tzinfo
from pathlib import Path

from kandji_uploader import settings
from kandji_uploader._util import files
from kandji_uploader.cli import DONE, documents, flags, screen
from kandji_uploader.cli.console import Console
from kandji_uploader.errors import MunkiRepoError, Problem, SettingsError
from kandji_uploader.munki import Imported, ImportOptions, Repo, import_repo, pkginfo, recipe_map, report
from kandji_uploader.settings import sources

_MAPS = ("recipe_map.yaml", "recipe_map.yml", "recipe_map.json")


def configure(parser: argparse.ArgumentParser) -> None:
    """Its one command, `import`, with flags."""
    commands = parser.add_subparsers(metavar="import", required=True, dest="command")
    importer = commands.add_parser(
        "import",
        help="write a recipe map from a Munki repo",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = importer.add_argument
    add("--repo", required=True, type=Path, metavar="DIR", help="the top folder of the Munki repo; only read")
    add("--out", required=True, type=Path, metavar="FILE", help="the recipe map to write, such as recipe_map.yaml")
    add("--manifest", action="append", default=[], metavar="NAME", help="import this one only; may be repeated")
    add("--testing", action="append", metavar="CATALOG", help="stands for the test app (default: testing)")
    add("--production", action="append", metavar="CATALOG", help="stands for the prod app (default: production)")
    add("--recipe-suffix", default="pkg", metavar="TEXT", help="keys are NAME.TEXT, your recipes' names (default: pkg)")
    add("--test-suffix", default=" (Test)", metavar="TEXT", help="what names of test apps end in (default: ' (Test)')")
    days = flags.number(float, 0, flags.MOST_DAYS, " of days")
    add("--after-days", type=days, metavar="N", help="promotion of items with a test and a prod app: days in testing")
    add("--blueprints", type=Path, metavar="FILE", help="YAML or JSON: per manifest a Blueprint, or a list of them")
    add("--time-zone", type=_zone, metavar="NAME", help="of force_install_after_date (default: this computer's)")
    add("--report", type=Path, metavar="FILE", help="the report, with FILE.json beside (default: munki_import.md)")
    add("--force", action="store_true", help="replace a map that is there")
    add("--json", action="store_true", help="the report as JSON on standard output too")


def run(arguments: argparse.Namespace) -> int:
    """Import; 1 where nothing could be mapped."""
    out = arguments.out
    written = arguments.report or out.with_name("munki_import.md")
    if out.suffix.lower() not in (".yaml", ".yml"):
        raise MunkiRepoError(f"{out}: the map is YAML; give --out a name that ends in .yaml")
    _check_places(arguments.repo, out, written, written.with_suffix(".json"), force=arguments.force)
    repo = Repo(arguments.repo, settings.read_yaml)
    found = import_repo(repo, _options(arguments))
    _check_places(arguments.repo, *(out.parent / path for path in found.scripts), force=True)
    told = report.as_json(found)
    try:
        files.write_private(written, report.as_markdown(found))
        files.write_private(written.with_suffix(".json"), json.dumps(told, indent=2, ensure_ascii=False) + "\n")
        if not found.entries:
            raise MunkiRepoError(f"{repo.folder}: no item could be mapped, no map was written; {written} tells why")
        _write_map(out, found)
    except OSError as error:
        raise MunkiRepoError(f"{error.filename}: cannot be written ({error.strerror}); choose another place") from None
    console = Console(quiet=arguments.json)
    _tell(console, found, out, written, as_json=arguments.json)
    if arguments.json:
        documents.show(told)
    return DONE


def _options(arguments: argparse.Namespace) -> ImportOptions:
    defaults = ImportOptions()
    return ImportOptions(
        testing=tuple(arguments.testing or defaults.testing),
        production=tuple(arguments.production or defaults.production),
        manifests=tuple(arguments.manifest),
        recipe_suffix=arguments.recipe_suffix.lstrip("."),
        test_suffix=_test_suffix(arguments.test_suffix),
        after_days=arguments.after_days,
        blueprints=_blueprints(arguments.blueprints) if arguments.blueprints else {},
        zone=arguments.time_zone,
    )


def _zone(name: str) -> tzinfo:
    import zoneinfo

    try:
        return zoneinfo.ZoneInfo(name)
    except (OSError, ValueError, zoneinfo.ZoneInfoNotFoundError):
        raise argparse.ArgumentTypeError(f"{name!r} is no time zone known here; write it like Europe/Berlin") from None


def _test_suffix(text: str) -> str:
    if not text.strip() or pkginfo.bad_app_name(text):
        accepted = "must be a few printable characters, such as ' (Test)', or both apps would have one name"
        raise SettingsError([Problem("command line", "--test-suffix", repr(text[:40]), accepted)])
    return text


def _blueprints(path: Path) -> dict[str, tuple[str, ...]]:
    """The mapping from manifests to Blueprints.

    Raises:
        SettingsError: it is broken, or holds something else than names.
    """
    found: dict[str, tuple[str, ...]] = {}
    problems = []
    for manifest, value in settings.read_mapping_file(path).items():
        names = [value] if isinstance(value, str) else value
        good = isinstance(names, list) and names and all(_is_name(name) for name in names)
        if good:
            found[str(manifest)] = tuple(dict.fromkeys(name.strip() for name in names))
        else:
            accepted = "must be the name of a Blueprint, or a list of names"
            problems.append(Problem(str(path), str(manifest), None, accepted))
    if problems:
        raise SettingsError(problems)
    return found


def _is_name(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip()) and not pkginfo.bad_name(value)


def _check_places(repo: Path, *targets: Path, force: bool) -> None:
    """Refuse to write into the Munki repo, or over a map that may have been edited by hand.

    Raises:
        MunkiRepoError: a target is inside the repo, or there already.
    """
    inside = repo.resolve()
    if len({target.resolve() for target in targets}) < len(targets):
        raise MunkiRepoError(f"{targets[0]}: map and report need names of their own; choose another --report")
    for target in targets:
        if target.resolve().is_relative_to(inside):
            raise MunkiRepoError(f"{target} is inside the Munki repo {repo}, which is only read; choose another place")
    if not force and targets[0].exists():
        raise MunkiRepoError(f"{targets[0]} is there already; choose another --out, or replace it with --force")


def _write_map(out: Path, found: Imported) -> None:
    """Write scripts and map; the map only once it has been read as a recipe map that is right in every entry."""
    for path, text in found.scripts.items():
        files.write_private(out.parent / path, text)
    text = recipe_map.as_yaml(found)
    complaints = sources.Complaints()
    sources.from_map(out, _mapping(text, out), complaints)
    if complaints.problems:
        raise SettingsError(complaints.problems)
    files.write_private(out, text)


def _mapping(text: str, out: Path) -> Mapping[str, object]:
    read = settings.read_yaml(text, str(out))
    return read if isinstance(read, Mapping) else {}


def _tell(console: Console, found: Imported, out: Path, written: Path, *, as_json: bool) -> None:
    """What could not be said is a warning; the outcome goes to standard output, unless the JSON is there."""
    for finding in found.findings:
        console.warn(f"{finding.where}: {finding.text}")
    entries, partly = len(found.entries), sum(item.mapped and bool(item.gaps) for item in found.items)
    say = console.say if as_json else screen.tell
    say(f"{out}: {entries} of {len(found.items)} items, {partly} of them not in every respect")
    say(f"{written}: what was mapped, how, and what could not be")
    if out.name not in _MAPS:
        close = difflib.get_close_matches(out.name, _MAPS, 1)
        say(f"AutoPkg runs read it once it is called {close[0] if close else _MAPS[0]}, in the config folder")
    others = [name for name in _MAPS if name != out.name and (out.parent / name).exists()]
    if out.name in _MAPS and others:
        console.warn(f"{out.parent} holds {' and '.join(others)} too; keep one of them")
    say("To use it: put it, with munki_scripts, into the config folder and set `use_recipe_map: true`")
