"""The way from KAPPA: its processor's name is answered by KandjiUploader, so that recipes and overrides run unedited.

AutoPkg looks for `io.kandji.kappa/KAPPA` in the folder of the recipe that it runs, in the folder of the first recipe in
RECIPE_SEARCH_DIRS whose identifier is `io.kandji.kappa`, and in those of the parents; where several of them hold a
KAPPA.py, it takes any (AutoPkg 2.9 goes through a set). So it is not enough that ours is beside the overrides: it
must also come before the vendor's in RECIPE_SEARCH_DIRS, and then the vendor's folder is not looked at.
"""

from __future__ import annotations

import json
import os
import plistlib
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kandji_uploader._util import children, files
from kandji_uploader.errors import SetupError
from kandji_uploader.settings.recipes import identifier_of
from kandji_uploader.setup import autopkg_tool
from kandji_uploader.setup.wizard import write_private

_IDENTIFIER = "io.kandji.kappa"
_OURS = "com.github.kandjiuploader"
_FILES = ("io.kandji.kappa.recipe.yaml", "KAPPA.py")
_MARK = "KandjiUploader's stand-in for io.kandji.kappa"
_OVERRIDES = "~/Library/AutoPkg/RecipeOverrides"
_SEARCH = (".", "~/Library/AutoPkg/Recipes", "/Library/AutoPkg/Recipes")
"""AutoPkg's own defaults of RECIPE_OVERRIDE_DIRS and RECIPE_SEARCH_DIRS."""
_SUFFIXES = (".recipe", ".recipe.plist", ".recipe.yaml")


def install(environ: Mapping[str, str], preferences: Path | None = None) -> tuple[str, ...]:
    """Put the processor and its recipe into AutoPkg's first overrides folder, and that folder before the vendor's.

    Args:
        environ: the environment variables.
        preferences: AutoPkg's preferences where it is told them with `--prefs`.

    Returns:
        What was done, one sentence each.

    Raises:
        SetupError: there is no AutoPkg, it does not know KandjiUploader, or a file there is not ours; then nothing has
            been written.
    """
    known = autopkg_tool.preferences(environ, preferences)
    if known is None:
        raise SetupError("`autopkg info` does not answer; put AutoPkg on PATH")
    home = Path(environ.get("HOME") or Path.home())
    listed = _listed(known.get("RECIPE_SEARCH_DIRS")) or _SEARCH
    overrides = (_listed(known.get("RECIPE_OVERRIDE_DIRS")) or (_OVERRIDES,))[0]
    folder = _whole(overrides, home)
    if not any(_holds(_whole(place, home), _OURS) for place in listed):
        text = "AutoPkg does not find KandjiUploader among its recipe repos; run this first: "
        raise SetupError(f"{text}autopkg repo-add https://github.com/kandjiuploader/kandjiuploader")
    _refuse_others(folder)
    for name in _FILES:
        write_private(folder / name, (files.shipped("kappa", "examples") / name).read_text(encoding="utf-8"))
    done = [f"Written: {folder / name}" for name in _FILES]
    wanted = search_order(listed, overrides, home)
    if list(wanted) != list(listed):
        done += _reorder(wanted, environ, preferences)
    return tuple(done)


def search_order(listed: Sequence[str], overrides: str, home: Path) -> tuple[str, ...]:
    """RECIPE_SEARCH_DIRS with the overrides folder before each folder that holds another `io.kandji.kappa`.

    These folders come last, and the overrides right before them: so every other recipe is found where it was before.
    """
    ours = _whole(overrides, home)
    others = [place for place in listed if _whole(place, home) != ours]
    vendors = [place for place in others if _holds(_whole(place, home), _IDENTIFIER)]
    at = next((number for number, place in enumerate(listed) if _whole(place, home) == ours), len(listed))
    if at < len(listed) and not any(place in vendors for place in listed[:at]):
        return tuple(listed)
    return (*(place for place in others if place not in vendors), overrides, *vendors)


def _listed(value: object) -> tuple[str, ...]:
    """A preference that is a list of folders; AutoPkg takes a single one, too."""
    return (value,) if isinstance(value, str) else tuple(map(str, value)) if isinstance(value, list | tuple) else ()


def _whole(place: str, home: Path) -> Path:
    return Path(os.path.abspath(home / place[2:] if place.startswith("~/") else place))  # noqa: PTH100 - as AutoPkg


def _holds(folder: Path, identifier: str) -> bool:
    """Whether AutoPkg finds a recipe of that identifier there: in the folder, or one level below it."""
    for suffix in _SUFFIXES:
        for path in (*folder.glob(f"*{suffix}"), *folder.glob(f"*/*{suffix}")):
            try:
                named = identifier.encode() in path.read_bytes()
            except OSError:
                continue
            if named and identifier_of(path) == identifier:
                return True
    return False


def _refuse_others(folder: Path) -> None:
    """Refuse to write over a file that is not ours; a former version of ours is replaced."""
    for path in (folder / name for name in _FILES):
        try:
            ours = not path.exists() or _MARK in path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            ours = False
        if not ours:
            raise SetupError(f"{path} is there and is not ours; nothing was written. Move it away and run this again")


def _reorder(wanted: Sequence[str], environ: Mapping[str, str], preferences: Path | None) -> list[str]:
    """Write RECIPE_SEARCH_DIRS into AutoPkg's preferences, or say how that is done by hand."""
    why = "so that AutoPkg finds our KAPPA before another one"
    path = preferences or (None if sys.platform == "darwin" else _preferences_file(environ))
    if path is not None:
        _change(path, {"RECIPE_SEARCH_DIRS": list(wanted)})
        return [f"RECIPE_SEARCH_DIRS in {path}: {', '.join(wanted)} ({why})"]
    words = ["defaults", "write", "com.github.autopkg", "RECIPE_SEARCH_DIRS", "-array", *wanted]
    try:
        done = children.run(words, children.surroundings(environ)).returncode == 0
    except OSError:
        done = False
    return [f"{'Done' if done else 'Run this yourself'}, {why}: {shlex.join(words)}"]


def _preferences_file(environ: Mapping[str, str]) -> Path:
    """Where AutoPkg keeps its preferences when it does not run on a Mac."""
    home = Path(environ.get("HOME") or Path.home())
    folder = Path(environ.get("XDG_CONFIG_HOME") or home / ".config") / "Autopkg"
    plist = folder / "config.plist"
    return plist if plist.is_file() else folder / "config.json"


def _change(path: Path, values: Mapping[str, Any]) -> None:
    """Change a file of AutoPkg's preferences; it stays what it is, a property list or JSON."""
    content = path.read_bytes() if path.is_file() else b"{}"
    try:
        changed: dict[str, Any] = {**plistlib.loads(content), **values}
        text = plistlib.dumps(changed).decode()
    except (plistlib.InvalidFileException, ValueError):
        text = json.dumps({**json.loads(content), **values}, indent=2) + "\n"
    mode = path.stat().st_mode if path.is_file() else None
    write_private(path, text)
    if mode is not None:
        path.chmod(mode)
