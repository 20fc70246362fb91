"""A device manifest with all that it includes, flattened in the order in which Munki works it off.

Included manifests come first, then conditional items, then the manifest's own lines. A manifest without catalogs
searches those of the manifest that includes it.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from kandji_uploader.munki import names
from kandji_uploader.munki.repo import Repo
from kandji_uploader.munki.values import ManifestLine

LISTS = (
    "managed_installs",
    "managed_uninstalls",
    "managed_updates",
    "optional_installs",
    "featured_items",
    "default_installs",
)
"""The lists of items that a manifest may hold."""

_STRUCTURE = ("catalogs", "included_manifests", "conditional_items")
_DEEPEST = 100


@dataclass(frozen=True)
class _WalkState:
    """Where the walk is.

    Attributes:
        manifest: the manifest being read.
        catalogs: those that hold here.
        conditions: those above, outermost first.
        chain: the manifests above and this one.
        depth: nested conditions and manifests above.
    """

    manifest: str
    catalogs: tuple[str, ...] = ()
    conditions: tuple[str, ...] = ()
    chain: tuple[str, ...] = ()
    depth: int = 0


def device_manifests(repo: Repo) -> tuple[str, ...]:
    """The manifests that Macs use: those with catalogs. The others are noted."""
    every = repo.manifest_names()
    included = {found for name in every for found in included_by(repo, name)}
    devices = tuple(name for name in every if texts(repo, name, repo.manifest(name) or {}, "catalogs"))
    for name in every:
        if name in devices and name in included:
            said = "has catalogs and is included by other manifests too; Munki's wiki advises against this double duty"
            repo.note("double duty", name, said)
        elif name not in devices and name not in included and repo.manifest(name) is not None:
            said = "has no catalogs and no manifest includes it, so no Mac can use it; not imported"
            repo.note("unused manifest", name, said)
    return devices


def included_by(repo: Repo, name: str) -> tuple[str, ...]:
    """The manifests that a manifest includes itself, in conditions too, as they are on disk."""
    return tuple(_included(repo, name, repo.manifest(name) or {}, 0))


def _included(repo: Repo, name: str, content: Mapping[str, Any], depth: int) -> Iterator[str]:
    if depth > _DEEPEST:
        return
    for written in texts(repo, name, content, "included_manifests"):
        found = repo.resolve(written)
        if found:
            yield found
    for inner in _conditional(content):
        yield from _included(repo, name, inner, depth + 1)


def flatten(repo: Repo, device: str) -> tuple[ManifestLine, ...]:
    """Every line that holds for the Macs of a device manifest, in Munki's order; the first of several counts."""
    return tuple(_manifest(repo, _WalkState(device), set()))


_Seen = set[tuple[str, tuple[str, ...], tuple[str, ...]]]


def _manifest(repo: Repo, place: _WalkState, seen: _Seen) -> Iterator[ManifestLine]:
    content = repo.manifest(place.manifest)
    # A manifest that is reached twice in the same way says nothing new (and could multiply without end).
    key = (place.manifest, place.catalogs, place.conditions)
    if content is not None and key not in seen:
        seen.add(key)
        yield from _part(repo, content, replace(place, chain=(*place.chain, place.manifest)), seen)


def _part(repo: Repo, content: Mapping[str, Any], place: _WalkState, seen: _Seen) -> Iterator[ManifestLine]:
    """The lines of a manifest, or of one of its conditional items, which may hold the same keys."""
    if place.depth > _DEEPEST:
        repo.note("nested too deeply", place.chain[0], f"more than {_DEEPEST} levels; everything below is passed over")
        return
    _warn_unknown_keys(repo, place.manifest, content)
    own = texts(repo, place.manifest, content, "catalogs")
    here = replace(place, catalogs=own or place.catalogs, depth=place.depth + 1)
    for written in texts(repo, place.manifest, content, "included_manifests"):
        inner = _follow(repo, written, here)
        if inner:
            yield from _manifest(repo, replace(here, manifest=inner), seen)
    for item in _conditional(content):
        condition = str(item.get("condition") or "(no condition)")
        yield from _part(repo, item, replace(here, conditions=(*here.conditions, condition)), seen)
    for key in LISTS:
        for written in texts(repo, place.manifest, content, key):
            yield ManifestLine(*names.split(written), key, here.manifest, here.catalogs, here.conditions)


def _follow(repo: Repo, written: str, place: _WalkState) -> str | None:
    """The included manifest as it is on disk; None, and noted, where it is missing or would close a circle."""
    found = repo.resolve(written)
    if found is None:
        close = difflib.get_close_matches(written, repo.manifest_names(), 1)
        meant = f"; did you mean {close[0]}?" if close else ""
        said = f"includes {written!r}, which is not in the repo's manifests{meant}; passed over"
        repo.note("unknown manifest", place.manifest, said)
    elif found in place.chain:
        circle = " -> ".join((*place.chain[place.chain.index(found) :], found))
        repo.note("include cycle", place.manifest, f"{circle}; the last step was left out")
        return None
    return found


def texts(repo: Repo, manifest: str, content: Mapping[str, Any], key: str) -> tuple[str, ...]:
    """A list of names; other values are noted and left out."""
    found = content.get(key)
    if found is None:
        return ()
    if not isinstance(found, list):
        repo.note("broken manifest", manifest, f"{key} is not a list; passed over")
        return ()
    # In YAML, an item called 1234 is read as a number.
    kept = [str(each) if isinstance(each, int) and not isinstance(each, bool) else each for each in found]
    good = tuple(each.strip() for each in kept if isinstance(each, str) and each.strip())
    if len(good) < len(found):
        repo.note("broken manifest", manifest, f"{key} holds {len(found) - len(good)} that are no names; passed over")
    return good


def _conditional(content: Mapping[str, Any]) -> tuple[Mapping[str, Any], ...]:
    found = content.get("conditional_items")
    return tuple(each for each in found if isinstance(each, Mapping)) if isinstance(found, list) else ()


def _warn_unknown_keys(repo: Repo, manifest: str, content: Mapping[str, Any]) -> None:
    """Name keys that are almost one that Munki knows; others are notes of other tools."""
    known = (*LISTS, *_STRUCTURE)
    for key in map(str, content):
        close = difflib.get_close_matches(key, known, 1, 0.85) if key not in known else []
        if close:
            repo.note("unknown key", manifest, f"{key} means nothing to Munki; did you mean {close[0]}?")
