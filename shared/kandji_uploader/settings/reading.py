"""Mappings out of YAML and JSON files, with every complaint naming the file and the line.

Numbers with a fraction stay text: YAML would read the version `1.10` as 1.1. Dates, octal numbers and `1:30` stay
text too, and so do `yes`, `no`, `on` and `off`; a key of another type reads its value from the text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kandji_uploader.errors import Problem, SettingsError

if TYPE_CHECKING:
    import yaml

SUFFIXES = (".yaml", ".yml", ".json")


def read_mapping_file(path: Path) -> dict[str, Any]:
    """The mapping that a .json file, or else a YAML file, holds; an empty file is an empty mapping.

    Raises:
        SettingsError: the file cannot be read, is broken, names a key twice, or holds something else than a mapping.
    """
    try:
        content = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise _broken(path, "is not UTF-8 text; save it as UTF-8") from None
    except OSError as error:
        raise _broken(path, f"cannot be read ({error.strerror or error}); correct its place or permissions") from None
    return read_mapping(content, path)


def read_mapping(content: str, path: Path) -> dict[str, Any]:
    """As `read_mapping_file`, of a text that is, or is to be, in that file."""
    try:
        found = _read_json(path, content) if path.suffix.lower() == ".json" else read_yaml(content, str(path))
    except RecursionError:
        raise _broken(path, "is nested too deeply") from None
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise _broken(path, "must hold keys with values, such as `kandji:` with `api_url: ...` below it")
    return found


def find_file(folder: Path, stem: str) -> Path | None:
    """The file `stem.yaml`, `stem.yml` or `stem.json` of a folder; None where there is none.

    Raises:
        SettingsError: there is more than one. Only one could be read, and a person who edits the other would wonder.
    """
    try:
        if folder.exists() and not folder.is_dir():
            raise _broken(folder, "is not a folder; correct the environment variable that names it")
        there = [path for suffix in SUFFIXES if (path := folder / f"{stem}{suffix}").exists()]
    except OSError as error:
        raise _broken(folder, f"cannot be read ({error.strerror or error}); correct its permissions") from None
    if len(there) > 1:
        others = " and ".join(path.name for path in there)
        raise SettingsError([Problem(str(folder), "", None, f"holds {others}; keep one of them")])
    return there[0] if there else None


def read_yaml(content: str, source: str) -> Any:
    """What a YAML text holds; `source` is its name in error texts.

    Raises:
        SettingsError: it is broken or names a key twice; the problem tells the line.
    """
    try:
        import yaml
    except ImportError:
        advice = "reading YAML needs PyYAML: `python3 -m pip install pyyaml`; or use a .json file"
        raise SettingsError([Problem(source, "", None, advice)]) from None
    try:
        return yaml.load(content, Loader=loader())  # noqa: S506 - a SafeLoader with fewer types
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{source}, line {mark.line + 1}" if mark else source
        raise SettingsError([Problem(where, "", None, f"{error.problem or error.context}; correct the YAML")]) from None
    except yaml.YAMLError as error:
        said = str(error).splitlines()[0]
        raise SettingsError([Problem(source, "", None, f"{said}; correct the YAML")]) from None


def loader() -> type[yaml.SafeLoader]:
    """A YAML loader that keeps digits and refuses a key that is named twice."""
    import yaml

    class Loader(yaml.SafeLoader):
        """PyYAML's safe types without floats, timestamps and lenient booleans."""

        # Emptied: SafeLoader's own table guesses floats, dates and octal numbers.
        yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - PyYAML's own shape

        def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
            """As the parent does; here, since merge keys (`<<`) have not yet added keys that may be overridden."""
            node = super().compose_mapping_node(anchor)
            seen: set[str] = set()
            for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
                if key.value in seen:
                    twice = f"the key {key.value!r} is there twice"
                    raise yaml.composer.ComposerError(None, None, twice, key.start_mark)
                seen.add(key.value)
            return node

    for tag, pattern, firsts in (
        ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
        ("int", r"-?(0|[1-9][0-9]{0,17})", "-0123456789"),
        ("merge", r"<<", "<"),
        ("null", r"~|null|Null|NULL|", "~nN"),
    ):
        first = [*firsts, ""] if tag == "null" else list(firsts)
        Loader.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(rf"^(?:{pattern})$"), first)
    return Loader


def _read_json(path: Path, content: str) -> Any:
    def unique(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            names = [key for key, _ in pairs]
            twice = next(key for key in names if names.count(key) > 1)
            raise _broken(path, f"the key {twice!r} is there twice; keep one")
        return found

    if not content.strip():
        return None
    try:
        return json.loads(content, object_pairs_hook=unique, parse_float=str, parse_int=_integer)
    except json.JSONDecodeError as error:
        place = Problem(f"{path}, line {error.lineno}", "", None, f"{error.msg}; correct the JSON")
        raise SettingsError([place]) from None


def _integer(digits: str) -> int | str:
    """A whole number; absurdly long ones stay text, which Python would refuse to convert."""
    return int(digits) if len(digits) <= 18 else digits  # noqa: PLR2004 - as in the YAML pattern


def _broken(path: Path, reason: str) -> SettingsError:
    return SettingsError([Problem(str(path), "", None, reason)])
