"""AutoPkg on this machine, asked through its own command: which recipes there are, and what its preferences say."""

from __future__ import annotations

import ast
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kandji_uploader._util import children

_PATIENCE = 60.0
"""Seconds for AutoPkg's answer; it may have to read thousands of recipes."""
_HEADS = {"Identifier": "identifier", "Recipe file path": "path", "Parent recipe(s)": "parents"}


@dataclass(frozen=True)
class Recipe:
    """A recipe as AutoPkg finds it.

    Attributes:
        path: its file.
        identifier: its identifier; "" where it has none.
        parents: the files of the recipes that it is made of, the nearest first.
    """

    path: Path
    identifier: str
    parents: tuple[Path, ...]


def recipes(environ: Mapping[str, str]) -> tuple[str, ...] | None:
    """The names of the recipes that AutoPkg knows; None where there is no AutoPkg on PATH, or it fails."""
    told = _asked(environ, "list-recipes")
    if told is None:
        return None
    lines = (line.strip() for line in told.splitlines())
    return tuple(dict.fromkeys(line for line in lines if line and not line.startswith("WARNING")))


def recipe(environ: Mapping[str, str], name: str) -> Recipe | None:
    """A recipe by its name, identifier or file; None where AutoPkg does not know it, or there is no AutoPkg."""
    told = _asked(environ, "info", "--quiet", name)
    found: dict[str, list[str]] = {}
    head = ""
    for line in (told or "").splitlines():
        before, colon, after = line.partition(":")
        if colon and not line.startswith(" "):
            head = _HEADS.get(before, "")
            line = after  # noqa: PLW2901 - what stands behind the head
        if head and line.strip():
            found.setdefault(head, []).append(line.strip())
    if "path" not in found:
        return None
    parents = tuple(Path(path) for path in found.get("parents", []))
    return Recipe(Path(found["path"][0]), "".join(found.get("identifier", [""])), parents)


def preferences(environ: Mapping[str, str], file: Path | None = None) -> Mapping[str, Any] | None:
    """AutoPkg's preferences; None where there is no AutoPkg on PATH, or it fails.

    Args:
        environ: the environment variables.
        file: a file of preferences, as for `autopkg --prefs`.
    """
    # `autopkg info` without a recipe prints them all, from where it keeps them (the preferences of macOS, a file).
    told = _asked(environ, "info", *(["--prefs", str(file)] if file else []))
    _, head, text = (told or "").partition("Current preferences:")
    try:
        found = ast.literal_eval(text.strip()) if head else None
    except (ValueError, SyntaxError):
        return None
    return found if isinstance(found, dict) else None


def _asked(environ: Mapping[str, str], *words: str) -> str | None:
    """What AutoPkg prints; it is told no token of ours."""
    program = shutil.which("autopkg", path=environ.get("PATH", os.defpath))
    if program is None:
        return None
    passed_on = children.surroundings(environ, ("AUTOPKG_*", "XDG_*"))
    try:
        done = children.run([program, *words], passed_on, seconds=_PATIENCE)
    except (OSError, children.ProgramTooSlowError):
        return None
    return None if done.returncode else done.stdout
