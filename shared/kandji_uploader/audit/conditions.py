"""What must hold on a Mac before an update goes ahead: which macOS it has, and that certain apps do not run.

A blocking application is named as in Munki: `Firefox.app` or `Firefox` for an app in any folder, or the absolute path
of an app or of its executable. What a name may hold is decided here, once for recipes, pkginfos and audit scripts.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable

LONGEST_NAME = 1024
"""Characters of a blocking application; as many as a path of a Mac can have bytes."""

_MACOS = re.compile(r"[0-9]{1,4}(\.[0-9]{1,4}){0,4}")
# Controls, lone surrogates, line and paragraph separators.
_UNPRINTABLE = ("Cc", "Cs", "Zl", "Zp")


def app_problem(name: object) -> str:
    """Why a value cannot name a blocking application; "" where it can."""
    if not isinstance(name, str):
        return "is no text"
    name = name.strip(" ")
    if not name.strip("/"):
        return "names no app"
    if any(unicodedata.category(letter) in _UNPRINTABLE for letter in name):
        return "holds a line break or another control character"
    if ":" in name:
        return "holds a colon, which separates the names in the audit script"
    if "/" in name.rstrip("/") and not name.startswith("/"):
        return "is neither a name nor an absolute path; begin a path with /"
    return f"has {len(name)} characters; at most {LONGEST_NAME} are accepted" if len(name) > LONGEST_NAME else ""


def app_names(names: Iterable[str]) -> tuple[str, ...]:
    """Names as they are compared: without blanks around them or slashes behind them, each once."""
    return distinct(name.strip(" ").rstrip("/") for name in names)


def distinct(names: Iterable[str]) -> tuple[str, ...]:
    """Names, each once. Composed and decomposed letters (`Ü`) make the same name on a Mac; the first one is kept."""
    first: dict[str, str] = {}
    for name in names:
        first.setdefault(unicodedata.normalize("NFC", name), name)
    return tuple(first.values())


def usable_apps(
    listed: list[object], problem: Callable[[object], str] = app_problem
) -> tuple[tuple[str, ...] | None, dict[str, str]]:
    """The names of a pkginfo's list that can be used, and the error in each of the others.

    A list of which nothing can be used says nothing (None), and not that nothing blocks.
    """
    found = [(name, problem(name)) for name in listed]
    names = app_names(str(name) for name, said in found if not said)
    return names if names or not listed else None, {str(name): said for name, said in found if said}


def macos_problem(text: str) -> str:
    """Why a text is no version of macOS; "" where it is one."""
    return "" if _MACOS.fullmatch(text) else "is no version of macOS, such as 13 or 13.6.1"
