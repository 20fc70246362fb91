"""Write docs/processor.md: every variable of the processor, from the table of keys and from KandjiUploader.py."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from kandji_uploader.settings import coercion, parts, schema
from kandji_uploader.settings.coercion import Choice, Kind, Number
from kandji_uploader.settings.schema import Key

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "processor.md"

TYPES: Mapping[Kind, tuple[str, str]] = {
    coercion.boolean: ("true or false", "true"),
    coercion.text: ("text", "CVE-2026-1234 is exploited"),
    coercion.name: ("text", "Productivity"),
    coercion.app_name: ("text", "Firefox"),
    coercion.names: ("list of texts", "[Staff, Lab]"),
    coercion.tenants: ("list of texts", '[acme, "@schools"]'),
    coercion.team_ids: ("list of texts", "[43AQ936H96, apple]"),
    coercion.new_signer: ("text", "43AQ936H96"),
    coercion.app_names: ("list of texts", "[Firefox.app, Thunderbird.app]"),
    coercion.macos_version: ("text", '"13.0"'),
    coercion.folder: ("absolute path", "/Users/Shared/built"),
    coercion.mac_folder: ("absolute path", "/Applications/Tools"),
    coercion.team_ids: ("list of texts", "[43AQ936H96, apple]"),
    coercion.new_signer: ("text", "43AQ936H96"),
    coercion.moment: ("date and time with a zone", "2026-12-01T09:00:00Z"),
    parts.window: ("dict", "{days: mon-thu, hours: '09:00-15:00', zone: Europe/Vienna}"),
    parts.freezes: ("list of dicts", "[{from: 2026-12-20, until: 2027-01-07, why: Christmas}]"),
    parts.fast_lane: ("dict", "{severity: critical, kev: true, after_days: 1, deadline_days: 1}"),
    parts.versions: ("list of texts", "['128.1', '129.*']"),
    schema.RINGS.kind: ("list of rings", "[{name: Firefox (IT)}, {name: Firefox, after_days: 5}]"),
    coercion.enforcement: ("one of " + ", ".join(coercion.ENFORCEMENTS), "update_only"),
}
"""What a kind takes, in words, with an example that it accepts."""

OWN = {"custom_app.pin_version": '"128.0"', "identity": "file"}
FACTS = {
    "pkg_path": "%RECIPE_CACHE_DIR%/Firefox-128.0.pkg",
    "pathname": "%RECIPE_CACHE_DIR%/downloads/Firefox.dmg",
    "dmg_path": "%RECIPE_CACHE_DIR%/Firefox.dmg",
    "version": "128.0",
    "bundleid": "org.mozilla.firefox",
    "app_name": "Firefox.app",
    "NAME": "Firefox",
    "munki_info": "(MunkiImporter's pkginfo)",
    "munki_repo_changed": "true",
    "pkginfo": "{display_name: Firefox}",
}
OUTPUTS = {
    "kandji_custom_apps": (
        "list of dicts of texts",
        "stage, custom_app, action, version, ..., id, changes, reason, error",
    ),
    "kandji_uploader_changed": ("true or false", "true"),
}
SUMMARY = ("dict", "a summary for AutoPkg's report")

HEAD = """\
# The processor

What `com.github.kandjiuploader/KandjiUploader` takes and gives back. This page is made from the table of keys
(`make examples`); `autopkg processor-info com.github.kandjiuploader/KandjiUploader` says the same in short.

All variables are optional. They go into a recipe's or an override's `Input`, into a step's `Arguments`, or behind `-k`.
Prefer `Input`: an override cannot change an Argument. `-k` gives texts only, so a key inside a dict is written with a
dot: `-k custom_app.prod_name=Firefox`. [Settings](settings.md) says who wins where several say something.

"""


def type_of(kind: Kind) -> str:
    """What a value is, in words."""
    if isinstance(kind, Number):
        return f"{'whole ' if kind.whole else ''}number, {kind.low:,.0f} to {kind.high:,.0f} ({kind.unit})"
    return f"one of {', '.join(kind.words)}" if isinstance(kind, Choice) else TYPES.get(kind, ("text", ""))[0]


def example_of(path: str, key: Key) -> str:
    """A value that the key takes."""
    if key.is_file:
        return "scripts/quit.zsh"
    if isinstance(key.kind, Number):
        return "5"
    if isinstance(key.kind, Choice):
        return key.kind.words[0]
    return OWN.get(path) or TYPES.get(key.kind, ("", "text"))[1]


def page() -> str:
    """The page."""
    declared = _declared()
    lines = [HEAD, "## Keys\n\n| Key | Type | Default | Example | Meaning |\n| --- | --- | --- | --- | --- |\n"]
    lines += _keys()
    lines.append(
        "\n## What other steps leave\n\nThe installer is `pkg_path`, else `pathname`, else `dmg_path`. "
        "What is missing is read from it.\n\n| Variable | Example | Meaning |\n| --- | --- | --- |\n"
    )
    known = {path.partition(".")[0] for path in schema.IN_RECIPE}
    for name, about in declared["input_variables"].items():
        if name not in known:
            lines.append(f"| `{name}` | `{FACTS.get(name, 'text')}` | {about['description']} |\n")
    lines.append("\n## What comes back\n\n| Variable | Type | Holds | Meaning |\n| --- | --- | --- | --- |\n")
    for name, about in declared["output_variables"].items():
        kind, holds = OUTPUTS.get(name, SUMMARY)
        lines.append(f"| `{name}` | {kind} | {holds} | {about['description']} |\n")
    lines.append("\nA summary is there only where something was changed, and never after a dry run.\n")
    return "".join(lines)


def _keys() -> Iterator[str]:
    for path, keys in schema.IN_RECIPE.items():
        key = keys[0]
        default = "" if key.default in (None, ()) else f"`{_shown(key.default)}`"
        meaning = key.purpose if len(keys) == 1 else re.sub(r" \(prod app\)", " (both apps)", key.purpose)
        yield f"| `{path}` | {type_of(key.kind)} | {default} | `{example_of(path, key)}` | {meaning} |\n"


def _shown(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(getattr(value, "value", value))


def _declared() -> dict[str, dict[str, dict[str, Any]]]:
    """The variables that the processor declares to AutoPkg; read, since only AutoPkg can load it."""
    tree = ast.parse((ROOT / "KandjiUploader.py").read_text(encoding="utf-8"))
    (processor,) = (node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "KandjiUploader")
    found = (node for node in processor.body if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name))
    return {node.targets[0].id: ast.literal_eval(node.value) for node in found if "variables" in node.targets[0].id}


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
