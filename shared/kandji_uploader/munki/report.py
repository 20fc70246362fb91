"""What was mapped, how, and what could not be: Markdown for people, JSON for machines. Values in, text out."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, TypedDict

from kandji_uploader.munki.values import Imported, ItemReport, Want

_KEYS = (
    "Each key of the map must be the name of the recipe that you run for the item; rename the keys where yours differ. "
    "An existing Custom App keeps the enforcement that it has in Kandji."
)
_NO_PROMOTION = (
    "Without `promotion`, a recipe run publishes to both at once; import with `--after-days N` to have each version "
    "wait in testing first."
)


class ToldGap(TypedDict):
    """What the repo says and the map does not."""

    what: str
    why: str


class ToldWant(TypedDict):
    """What a manifest wants of an item."""

    manifest: str
    list: str
    declared_in: str
    version: str | None
    catalog: str | None


class ToldItem(TypedDict):
    """What became of an item; `entry` is that of the map."""

    item: str
    mapped: bool
    recipe: str | None
    entry: dict[str, Any]
    wanted: Sequence[ToldWant]
    how: Sequence[str]
    not_expressed: Sequence[ToldGap]


class ToldFinding(TypedDict):
    """Something about the repo as a whole."""

    kind: str
    where: str
    text: str


class ToldImport(TypedDict):
    """What became of an import."""

    manifests: Sequence[str]
    mapped: int
    not_mapped: int
    items: Sequence[ToldItem]
    findings: Sequence[ToldFinding]
    in_no_manifest: Sequence[str]


def as_json(found: Imported) -> ToldImport:
    """Everything, for machines."""
    return {
        "manifests": list(found.manifests),
        "mapped": sum(item.mapped for item in found.items),
        "not_mapped": sum(not item.mapped for item in found.items),
        "items": [_item(item) for item in found.items],
        "findings": [
            {"kind": finding.kind, "where": finding.where, "text": finding.text} for finding in found.findings
        ],
        "in_no_manifest": list(found.unlisted),
    }


def _item(item: ItemReport) -> ToldItem:
    return {
        "item": item.name,
        "mapped": item.mapped,
        "recipe": item.recipe or None,
        "entry": dict(item.entry),
        "wanted": [_want(want) for want in item.wanted],
        "how": list(item.how),
        "not_expressed": [{"what": gap.what, "why": gap.why} for gap in item.gaps],
    }


def _want(want: Want) -> ToldWant:
    return {
        "manifest": want.manifest,
        "list": want.line.key,
        "declared_in": want.line.manifest,
        "version": want.package.version if want.package else None,
        "catalog": want.catalog or None,
    }


def as_markdown(found: Imported) -> str:
    """The report that an admin works through."""
    mapped = [item for item in found.items if item.mapped]
    rest = [item for item in found.items if not item.mapped]
    partly = sum(bool(item.gaps) for item in mapped)
    summary = (
        f"{len(mapped)} of {len(found.items)} items are in the map; {partly} of these have parts that the map cannot "
        f"express. {_count(len(found.manifests), 'device manifest')} read; {_count(len(found.findings), 'finding')}."
    )
    lines = ["# Import from Munki", "", summary, "", _KEYS, ""]
    both = [item for item in mapped if {"prod_name", "test_name"} <= item.entry.keys()]
    if any("promotion" not in item.entry for item in both):
        lines += [f"{_count(len(both), 'item')} with a test app and a prod app. {_NO_PROMOTION}", ""]
    lines += _findings(found)
    lines += _section("Mapped", mapped) + _section("Not mapped", rest)
    if found.unlisted:
        lines += ["## In no imported manifest", "", ", ".join(map(code, found.unlisted)), ""]
    return "\n".join(lines)


def _findings(found: Imported) -> list[str]:
    if not found.findings:
        return []
    rows = [f"| {plain(each.kind)} | {code(each.where)} | {plain(each.text)} |" for each in found.findings]
    return ["## About the repo", "", "| finding | where | what |", "|---|---|---|", *rows, ""]


def _section(title: str, items: Sequence[ItemReport]) -> list[str]:
    if not items:
        return []
    lines = [f"## {title}", ""]
    for item in items:
        lines += [f"### {plain(item.name)}" + (f" → {code(item.recipe)}" if item.mapped else ""), ""]
        lines += [f"- {plain(how)}" for how in item.how]
        lines += [f"- **not expressed:** {plain(gap.what)}: {plain(gap.why)}" for gap in item.gaps]
        lines.append("")
    return lines


# What Markdown would not show as it is: an underscore inside a word, for one, it does.
_SPECIAL = re.compile(r"[\\`*\[\]<|~&]|(?<![^\W_])_|_(?![^\W_])|^[>#+-]|(?<=^\d)[.)]")


def plain(text: str) -> str:
    """A text of others so that Markdown shows it as it is, on one line."""
    return _SPECIAL.sub(lambda found: f"\\{found[0]}", " ".join(text.split()))


def code(text: str) -> str:
    """A name in code type."""
    flat = " ".join(text.split()).replace("`", "'").replace("|", "\\|")
    return f"`{flat}`"


def _count(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"
