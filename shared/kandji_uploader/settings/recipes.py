"""Which entry of the recipe map is a recipe's: by its exact name or identifier, never by a part of it.

An override has an identifier of its own (`local...`, which `autopkg make-override` writes), and often a name of its
own, too. So where the map does not know the recipe itself, the recipes that it is made of are asked, the nearest first.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kandji_uploader.settings.sources import Complaints, Rung

_SUFFIX = re.compile(r"\.recipe(\.yaml|\.plist)?$")


@dataclass(frozen=True)
class RecipeNames:
    """By what a recipe map may know a recipe.

    Attributes:
        name: its name or file name.
        identifier: its identifier.
        what: how texts call it.
        by_part: whether a key that is a part of its file name will do, as it did for KAPPA.
    """

    name: str | None
    identifier: str | None
    what: str = "this recipe"
    by_part: bool = False

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys that would match it, without `.recipe`."""
        return tuple(dict.fromkeys(key for key in (bare_name(self.name or ""), self.identifier) if key))


@dataclass(frozen=True)
class RecipeMatch:
    """What the recipe map says of a recipe.

    Attributes:
        key: the entry's key; "" where there is none.
        why: why this one, or what was looked for; "" where the map is not in use.
        values: what the entry holds.
    """

    key: str
    why: str
    values: Rung


def bare_name(recipe: str) -> str:
    """A recipe's name without folder and without `.recipe`, `.recipe.yaml` or `.recipe.plist`."""
    return _SUFFIX.sub("", recipe.rsplit("/", 1)[-1])


def find_entry(
    path: Path, entries: Mapping[str, Rung], own: RecipeNames, parents: Sequence[Path], complaints: Complaints
) -> RecipeMatch:
    """The entry that is a recipe's.

    Args:
        path: the map.
        entries: what it holds.
        own: the recipe.
        parents: the files of the recipes that it is made of, the nearest first (AutoPkg's PARENT_RECIPES).
        complaints: told of keys that mean the same recipe, and of one that almost matches.
    """
    by_name: dict[str, list[str]] = {}
    for entry in entries:
        by_name.setdefault(bare_name(entry), []).append(entry)
    _tell_doubles(path, by_name.values(), complaints)
    asked: list[str] = []
    for recipe in _with_parents(own, parents):
        asked += recipe.keys
        meant = by_name.get(bare_name(recipe.name), []) if recipe.name else []
        if recipe.identifier and recipe.identifier in entries and recipe.identifier not in meant:
            _tell_doubles(path, [[*meant, recipe.identifier]], complaints)
            return RecipeMatch(recipe.identifier, f"it is the identifier of {recipe.what}", entries[recipe.identifier])
        if meant:
            return RecipeMatch(meant[0], f"it is the name of {recipe.what}", entries[meant[0]])
        part = next((entry for entry in entries if entry and entry in (recipe.name or "")), "")
        if part and recipe.by_part:
            complaints.warnings.append(
                f"{path}: {part} is a part of the recipe's name {recipe.name}, and KAPPA took its entry, so this run "
                f"does, too. Write the whole name as the key: {bare_name(recipe.name or '')}"
            )
            return RecipeMatch(part, f"it is a part of the name of {recipe.what}, as KAPPA had it", entries[part])
    if own.name:
        _tell_near_miss(path, bare_name(own.name), entries, complaints)
    return RecipeMatch("", f"looked for {', '.join(dict.fromkeys(asked))}", {})


def _with_parents(own: RecipeNames, parents: Iterable[Path]) -> Iterator[RecipeNames]:
    """The recipe and what it is made of; a parent's file is read only when it is its turn."""
    yield own
    for parent in parents:
        yield RecipeNames(parent.name, identifier_of(parent), f"its parent recipe {parent}")


def identifier_of(path: Path) -> str | None:
    """The identifier that a recipe's file holds, where AutoPkg looks for it; None where it cannot be read."""
    import plistlib
    from xml.parsers.expat import ExpatError

    try:
        content = path.read_bytes()
        recipe = _from_yaml(content) if path.suffix.lower() in {".yaml", ".yml"} else plistlib.loads(content)
    except (OSError, ValueError, ExpatError):
        return None
    if not isinstance(recipe, dict):
        return None
    inputs = recipe.get("Input")
    found = recipe.get("Identifier") or (inputs.get("IDENTIFIER") if isinstance(inputs, dict) else None)
    return found if isinstance(found, str) else None


def _from_yaml(content: bytes) -> Any:
    """What a recipe in YAML holds. Unlike in a file of ours, a key may be there twice: AutoPkg takes it so."""
    import yaml

    try:
        return yaml.safe_load(content)
    except yaml.YAMLError:
        return None


def _tell_doubles(path: Path, meanings: Iterable[Sequence[str]], complaints: Complaints) -> None:
    for same in meanings:
        if len(same) > 1:
            complaints.add(str(path), " and ".join(same), "mean the same recipe; keep one of them")


def _tell_near_miss(path: Path, recipe: str, entries: Iterable[str], complaints: Complaints) -> None:
    """A warning for a key that KAPPA would have taken, since it was content with a part of the recipe's name."""
    import difflib

    parts = [entry for entry in entries if entry and entry in recipe]
    near = parts or difflib.get_close_matches(recipe, [bare_name(entry) for entry in entries], 1, 0.8)
    if near:
        complaints.warnings.append(
            f"{path}: no entry for {recipe}, but one for {near[0]}; a key must be the recipe's whole name or identifier"
        )
