"""Show which files are kept where on this machine, how large they are, and what losing them costs.

Examples:
  kandji-uploader where
  kandji-uploader where --json
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from kandji_uploader import schedule, settings
from kandji_uploader.cli import DONE, documents, screen
from kandji_uploader.cli.progress import size

_SETTINGS = ("config", "recipe_map", "package_map", "tenants", "brew_cron")
_LOG = "kandji-uploader.log*"
_APART = ("downloads", "digests")
"""Of the state folder, what is a cache; see docs/state.md."""


@dataclass(frozen=True)
class Place:
    """Something that this software keeps.

    Attributes:
        what: what it is.
        path: the folder or file.
        size: bytes; None where there is nothing.
        cost: what losing it costs.
        files: what of the folder is meant; all of it where none are named.
    """

    what: str
    path: Path
    size: int | None
    cost: str
    files: tuple[Path, ...] = ()


def configure(parser: argparse.ArgumentParser) -> None:
    """The arguments."""
    parser.add_argument("--json", action="store_true", help="as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Print it."""
    found = places(os.environ)
    if arguments.json:
        told = [{**asdict(place), "path": str(place.path), "files": [*map(str, place.files)]} for place in found]
        documents.show_list(told)
        return DONE
    rows = [
        [each.what, str(each.path), "nothing" if each.size is None else size(each.size), each.cost] for each in found
    ]
    heads = ["What", "Where", "Size", "If it is lost"]
    print(screen.of().table(heads, rows))
    return DONE


def places(environ: Mapping[str, str]) -> tuple[Place, ...]:
    """All of it, whether it is there or not. Secrets are in the environment or the keychain, which nobody lists."""
    early = settings.early(environ)
    folder, state = early.config_folder, early.state_folder
    ours = [folder / f"{stem}.{suffix}" for stem in _SETTINGS for suffix in ("yaml", "yml", "json")]
    ours += [path.with_name(f"{path.name}{end}") for path in ours for end in (".former", ".draft")]
    state_files = [path for path in _inside(state) if path.name not in _APART and not path.match(_LOG)]
    timer = schedule.for_platform(folder, environ).files
    return (
        _place("settings", folder, "`setup` asks again; maps and tenants are yours alone", ours),
        _place("state", state, "pending publishes and uploads are forgotten; `rollback` knows less", state_files),
        _place("downloads of casks", state / "downloads", "they are downloaded again"),
        _place("digests", state / "digests", "files are read again, once"),
        _place("log", state, "the record of what commands did", sorted(state.glob(_LOG))),
        _place("compiled code", _caches(environ) / "KandjiUploader" / "code", "it is compiled again"),
        _place("schedule", timer[0].parent, "`schedule install` makes it again", timer),
    )


def _place(what: str, path: Path, cost: str, files: Sequence[Path] | None = None) -> Place:
    if files is None:
        return Place(what, path, _size([path]) if path.exists() else None, cost)
    there = tuple(file for file in files if file.exists())
    return Place(what, path, _size(there) if there else None, cost, there)


def _inside(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def _caches(environ: Mapping[str, str]) -> Path:
    """As KandjiUploader.py has it."""
    import sys

    named = Path(environ.get("XDG_CACHE_HOME") or "")
    home = Path(environ.get("HOME") or Path.home())
    usual = home / ("Library/Caches" if sys.platform == "darwin" else ".cache")
    return named if named.is_absolute() else usual


def _size(paths: Sequence[Path]) -> int:
    return sum(size for path in paths for size in _sizes(path))


def _sizes(path: Path) -> Iterator[int]:
    """The bytes of a file, or of all files in a folder; no link is followed."""
    if path.is_symlink() or path.is_file():
        yield path.lstat().st_size
        return
    for above, _, names in os.walk(path):
        for name in names:
            yield (Path(above) / name).lstat().st_size
