"""The commented config file that `kandji-uploader config --example` prints: every key with its default."""

from __future__ import annotations

from enum import Enum

from kandji_uploader.settings import hosts, schema
from kandji_uploader.settings.schema import Key

_HEAD = """\
# Settings of KandjiUploader. Save this as config.yaml in the folder that `kandji-uploader config` names.
# Every key may be left out; what stands here is the default. Secrets never go into this file: only the
# names under which the environment or the keychain keeps them.
"""


def example() -> str:
    """A config file with every key, its purpose and its default; those without one default are commented out."""
    lines = _HEAD.splitlines()
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
        lines += [f"{indent}# {key.purpose}", f"{indent}{_setting(key, leaf)}"]
    return "\n".join(lines) + "\n"


def _setting(key: Key, leaf: str) -> str:
    if key is schema.API_URL:
        return f"{leaf}: {hosts.PLACEHOLDER}.api.kandji.io"
    if key is schema.NAMING:
        return f"# {leaf}: APPNAME (AutoPkg)"
    return f"# {leaf}:" if key.default is None else f"{leaf}: {_yaml(key.default)}"


def _yaml(held: object) -> str:
    if isinstance(held, bool):
        return str(held).lower()
    if isinstance(held, Enum):
        return str(held.value)
    return f"{held:g}" if isinstance(held, float) else str(held)
