"""Which existing Custom App is meant: pure rules over the tenant's whole list.

Exact name first. Where that does not settle it, dynamic lookup (if it is on) goes by how alike the installers' file
names are; it is the standalone tool's rule, and a dry run shows what it would pick and why.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass

from kandji_uploader._util import version
from kandji_uploader.models import CustomApp

ALIKE = 0.85
"""How similar (difflib ratio) two installer file names must be for dynamic lookup."""

_ADDED_SUFFIX = re.compile(r"_[0-9a-f]{8}(?=(\.[^.]+)?$)")
_VERSION = re.compile(r"(?<![0-9A-Za-z])v?([0-9]+(?:\.[0-9]+)+(?:[a-z]+[0-9]*)?|[0-9]+)(?![0-9A-Za-z])", re.IGNORECASE)


@dataclass(frozen=True)
class Match:
    """What the list holds for one target.

    Attributes:
        app: the one that is meant; None where there is none, or no single one.
        why: how it was found, or why not, one phrase.
        candidates: the apps of that name, where there are several and none was chosen.
    """

    app: CustomApp | None
    why: str
    candidates: tuple[CustomApp, ...] = ()


def by_name(apps: tuple[CustomApp, ...], name: str) -> tuple[CustomApp, ...]:
    """The apps of exactly that name.

    An AutoPkg run asks this many times for each of its recipes, of the same list of thousands; so what it holds is
    noted for the list that was asked about last.
    """
    global _noted  # noqa: PLW0603 - one note; it is replaced whole, so that threads see the old one or the new one
    noted = _noted
    if noted[0] is not apps:
        names: dict[str, tuple[CustomApp, ...]] = {}
        for app in apps:
            names[app.name] = (*names.get(app.name, ()), app)
        _noted = noted = (apps, names)
    return noted[1].get(name, ())


_noted: tuple[tuple[CustomApp, ...], dict[str, tuple[CustomApp, ...]]] = ((), {})


def find(
    apps: tuple[CustomApp, ...], name: str, installer: str, *, category_id: str | None = None, dynamic: bool = False
) -> Match:
    """Find the app that a target means.

    Args:
        apps: the tenant's whole list.
        name: the target's name.
        installer: the file name of the installer.
        category_id: the Self Service category of a Self Service target; it settles which of several is meant.
        dynamic: whether dynamic lookup is on.
    """
    named = by_name(apps, name)
    if len(named) == 1:
        return Match(named[0], "found by name")
    fitting = [app for app in named if category_id and app.self_service_category_id == category_id]
    if len(fitting) == 1:
        return Match(fitting[0], f"the one of {len(named)} of that name in its Self Service category")
    if dynamic:
        found = _dynamic(apps, installer)
        if found is not None:
            return found
    if named:
        return Match(None, f"{len(named)} Custom Apps have that name", named)
    return Match(None, "no Custom App has that name")


def _dynamic(apps: Sequence[CustomApp], installer: str) -> Match | None:
    """Among alike installers the highest version; of several equal ones that modified longest ago; None without any."""
    wanted = stored_name(installer)
    alike = [app for app in apps if app.file_key and _ratio(wanted, stored_name(app.file_name)) >= ALIKE]
    if not alike:
        return None
    highest = max((version_in(app.file_name) or "0" for app in alike), key=functools.cmp_to_key(version.compare))
    best = [app for app in alike if version.compare(version_in(app.file_name) or "0", highest) == 0]
    chosen = min(best, key=lambda app: app.updated_at)
    ratio = _ratio(wanted, stored_name(chosen.file_name))
    return Match(chosen, f"dynamic lookup: its installer {chosen.file_name!r} is {ratio:.0%} similar")


def _ratio(one: str, other: str) -> float:
    import difflib

    return difflib.SequenceMatcher(None, one, other).ratio()


def stored_name(file_name: str) -> str:
    """An installer's file name without the 8-hex suffix that Kandji adds (`App-1.2_0f04055b.pkg` -> `App-1.2.pkg`)."""
    return _ADDED_SUFFIX.sub("", file_name)


def version_in(file_name: str) -> str | None:
    """The version that a file name carries (`CompanyPortal_5.2310.5-Installer_0f04055b.pkg` -> `5.2310.5`).

    Of several, the first dotted one, else the last number; None where there is none.
    """
    found = [match.group(1) for match in _VERSION.finditer(stored_name(file_name))]
    dotted = [text for text in found if "." in text]
    return dotted[0] if dotted else found[-1] if found else None
