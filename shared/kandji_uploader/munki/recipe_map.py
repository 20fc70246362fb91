"""The recipe map as YAML text. Written by hand, since all texts come from others: each is quoted, always."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kandji_uploader.munki.values import Imported, ItemReport

_HEAD = """\
# Made from a Munki repo by `kandji-uploader munki import`. Keys are the names of recipes; see the report beside
# this file for how each entry came about and for what could not be expressed.
"""


def as_yaml(found: Imported) -> str:
    """The map with one comment per entry."""
    parts = [_HEAD, *(_entry(item) for item in found.items if item.mapped)]
    return "\n".join(parts)


def _entry(item: ItemReport) -> str:
    lines = [f"# {_one_line(item.how[0])}" if item.how else "", f"{quoted(item.recipe)}:", *_lines(item.entry, "  ")]
    return "\n".join(line for line in lines if line) + "\n"


def _lines(values: Mapping[str, Any], indent: str) -> list[str]:
    found: list[str] = []
    for key, value in values.items():
        if isinstance(value, Mapping):
            found += [f"{indent}{key}:", *_lines(value, f"{indent}  ")]
        elif isinstance(value, list | tuple) and not value:
            found.append(f"{indent}{key}: []")
        elif isinstance(value, list | tuple):
            found += [f"{indent}{key}:", *(f"{indent}  - {quoted(str(each))}" for each in value)]
        else:
            found.append(f"{indent}{key}: {_scalar(value)}")
    return found


def _scalar(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, int | float) else quoted(str(value))


def quoted(text: str) -> str:
    """A text as a double-quoted YAML scalar that reads back as exactly it."""
    return '"' + "".join(_escaped(character) for character in text) + '"'


def _escaped(character: str) -> str:
    if character in '"\\':
        return f"\\{character}"
    if character.isprintable():
        return character
    return f"\\U{ord(character):08x}" if ord(character) > 0xFFFF else f"\\u{ord(character):04x}"  # noqa: PLR2004


def _one_line(text: str) -> str:
    return "".join(character if character.isprintable() else " " for character in text)
