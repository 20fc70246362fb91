"""Settings as an admin sees them: the rows of `kandji-uploader config`, and its commented example file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from kandji_uploader.models import Settings
from kandji_uploader.settings import hosts, schema
from kandji_uploader.settings.parts import as_written
from kandji_uploader.settings.schema import Key

_HEAD = """\
# Settings of KandjiUploader. Save this as config.yaml in the folder that `kandji-uploader config` names.
# Every key may be left out; what stands here is the default. Secrets never go into this file: only the
# names under which the environment or the keychain keeps them.
"""


@dataclass(frozen=True)
class Row:
    """One setting as `kandji-uploader config` shows it: key path, value as text, and where that came from."""

    key: str
    value: str
    origin: str


def explain(settings: Settings) -> tuple[Row, ...]:
    """Every setting, in the order of the documentation. Secrets are no settings and are not among them."""
    return tuple(
        Row(key.path, _as_text(_value_of(settings, key)), settings.origins.get(key.path, "default"))
        for key in schema.ALL_KEYS
    )


def _value_of(settings: Settings, key: Key) -> object:
    value: object = settings
    for part in key.field.split("."):
        value = value.get(part) if isinstance(value, Mapping) else getattr(value, part, None)
    return value


def _as_text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def example() -> str:
    """A config file with every key, its purpose and its default; those without one default are commented out."""
    return config_file({}, _HEAD)


def config_file(values: Mapping[str, object], head: str) -> str:
    """A commented config file as YAML.

    Args:
        values: what holds, by key path; where nothing is said, the default stands.
        head: the comment at its top.
    """
    lines = head.splitlines()
    above: list[str] = []
    for key in schema.CONFIG_KEYS:
        *sections, leaf = key.path.split(".")
        if sections[:1] != above[:1]:
            lines.append("")
        for depth, section in enumerate(sections):
            if above[: depth + 1] != sections[: depth + 1]:
                lines.append(f"{'  ' * depth}{section}:")
        above = sections
        indent = "  " * len(sections)
        setting = _given(values[key.path], leaf) if key.path in values else _setting(key, leaf)
        lines += [f"{indent}# {key.purpose}", f"{indent}{setting}"]
    return "\n".join(lines) + "\n"


def _given(value: object, leaf: str) -> str:
    """A value that reads back as itself: texts and what has parts as JSON, which YAML understands."""
    written = as_written(value)
    if isinstance(value, Enum) or not isinstance(written, str | list | dict):
        return f"{leaf}: {_as_text(value)}"
    return f"{leaf}: {json.dumps(written, ensure_ascii=False)}"


def _setting(key: Key, leaf: str) -> str:
    if key is schema.API_URL:
        return f"{leaf}: {hosts.PLACEHOLDER}.api.kandji.io"
    if key is schema.NAMING:
        return f"# {leaf}: APPNAME (AutoPkg)"
    return f"# {leaf}:" if key.default in (None, ()) else f"{leaf}: {_as_text(key.default)}"
