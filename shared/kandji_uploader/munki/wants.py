"""What a device manifest wants of each item, once Munki's precedence is settled.

`managed_installs` over `managed_uninstalls` (Munki never removes what it is to install) over `managed_updates` (an item
that is to be removed is not updated) over `optional_installs`. Lines under a condition settle nothing here.
"""

from __future__ import annotations

from collections.abc import Iterator

from kandji_uploader.munki.catalogs import CatalogIndex
from kandji_uploader.munki.values import Gap, ImportOptions, ManifestLine, Mode, PkgInfo, Want

Lines = dict[str, list[ManifestLine]]
"""The unconditional lines for one item, by list."""

_MODES = {
    "managed_installs": Mode.INSTALL,
    "managed_uninstalls": Mode.REMOVE,
    "managed_updates": Mode.UPDATE,
    "optional_installs": Mode.OFFER,
    "default_installs": Mode.OFFER,
}
_OVERRULED = {
    ("managed_installs", "managed_uninstalls"): "Munki does not remove what it is to install",
    ("managed_installs", "managed_updates"): "managed_installs keeps it up to date already",
    ("managed_installs", "optional_installs"): "Munki does not offer what it installs anyway",
    ("managed_uninstalls", "managed_updates"): "an item that is to be removed is not updated",
    ("managed_uninstalls", "optional_installs"): "an item that is to be removed is not offered",
    ("managed_updates", "optional_installs"): "a Custom App is either kept up to date or offered in Self Service; "
    "give it a second app in Self Service if users should be able to get it",
}

_DEFAULT_INSTALL = (
    "Munki would install it once without asking; in Self Service it waits for the user "
    "(`enforcement_type: install_once` would install it on every Mac in scope)"
)


def settle(
    device: str, declared: tuple[ManifestLine, ...], index: CatalogIndex, options: ImportOptions
) -> dict[str, Want]:
    """What a device manifest wants, by item name; items that are only named under a condition are not among them."""
    by_name: dict[str, Lines] = {}
    for line in declared:
        if not line.conditions:
            by_name.setdefault(line.name, {}).setdefault(line.key, []).append(line)
    return {
        name: _want(device, lines, index, options)
        for name, lines in by_name.items()
        if any(key in _MODES for key in lines)
    }


def _want(device: str, lines: Lines, index: CatalogIndex, options: ImportOptions) -> Want:
    key = next(key for key in _MODES if key in lines)
    mode = _MODES[key]
    line, package, catalog = lines[key][0], None, ""
    if mode is not Mode.REMOVE:
        line, package, catalog = _found(lines[key], index)
    return Want(
        device,
        mode,
        line,
        package,
        catalog,
        options.stage_of(catalog),
        featured=mode is Mode.OFFER and "featured_items" in lines and "optional_installs" in lines,
        gaps=tuple(Gap(f"{what} ({device})", why) for what, why in _passed_over(key, lines, line)),
    )


def _found(declared: list[ManifestLine], index: CatalogIndex) -> tuple[ManifestLine, PkgInfo | None, str]:
    """The first line whose catalogs hold the item, with what they hold.

    Munki works a manifest off on each way that includes it, with the catalogs of that way; an item that it has not
    found on one way is not done with.
    """
    for line in declared:
        found = index.find(line.name, line.version, line.catalogs)
        if found:
            return line, *found
    return declared[0], None, ""


def _passed_over(key: str, lines: Lines, counts: ManifestLine) -> Iterator[tuple[str, str]]:
    """What else the manifests say of the item, and why it does not count."""
    for other in lines:
        why = _OVERRULED.get((key, other))
        if why:
            yield other, f"overruled by {key}: {why}"
    before = True
    for line in lines[key]:
        before = before and line is not counts
        if line.version != counts.version:
            why = "no catalog of it has that" if before else f"{counts.written} in {counts.manifest} comes first"
            yield f"{key} {line.written} in {line.manifest}", why
    if "featured_items" in lines and key != "optional_installs":
        yield "featured_items", "has an effect only on items that are offered in optional_installs"
    if key == "managed_updates" and counts.version:
        yield f"managed_updates {counts.written}", "Munki's wiki asks for the name without a version here"
    if _MODES[key] is Mode.OFFER:
        yield from _default_install(lines)


def _default_install(lines: Lines) -> Iterator[tuple[str, str]]:
    if "default_installs" in lines:
        yield "default_installs", _DEFAULT_INSTALL
        if "optional_installs" not in lines:
            yield "default_installs without optional_installs", "Munki expects it in both"
