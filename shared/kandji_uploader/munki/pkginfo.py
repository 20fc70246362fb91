"""What of a pkginfo the recipe map can carry, and the words for what it cannot."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from functools import cmp_to_key
from typing import Any

from kandji_uploader._util import version
from kandji_uploader._util.names import LONGEST_NAME, hidden_character
from kandji_uploader.audit import conditions
from kandji_uploader.models import Stage
from kandji_uploader.munki.values import Gap, ImportOptions, PkgInfo

SCRIPTS = ("preinstall_script", "postinstall_script")
SCRIPT_FOLDER = "munki_scripts"

_UNSUPPORTED = {
    "nopkg": "it has no installer, only scripts; make it a Custom Script in Kandji",
    "profile": "it is a configuration profile; upload it as a Custom Profile",
    "apple_update_metadata": "it only steers Apple's own updates; use Kandji's Managed OS",
    "startosinstall": "it is a macOS installer; use Kandji's Managed OS",
    "stage_os_installer": "it is a macOS installer; use Kandji's Managed OS",
}

# Keys that Munki acts on and a Custom App has no counterpart for.
_NO_COUNTERPART = {
    "maximum_os_version": "the map has no key for it; set a rule for macOS in the Blueprint's Assignment Map",
    "supported_architectures": "the map has no key for it; set a rule for the chip in the Blueprint's Assignment Map",
    "installable_condition": "Kandji does not evaluate Munki's conditions; set a rule in an Assignment Map",
    "installcheck_script": "the audit script decides by app and version; write an audit script of your own",
    "uninstallcheck_script": "Custom Apps are not removed by Kandji",
    "version_script": "the audit script reads the version of the app or of the package receipt",
    "uninstall_script": "Custom Apps are not removed by Kandji; make it a Custom Script",
    "preuninstall_script": "Custom Apps are not removed by Kandji",
    "postuninstall_script": "Custom Apps are not removed by Kandji",
    "installer_choices_xml": "Kandji installs a package with its default choices; repackage it",
    "installer_environment": "Kandji gives a package no environment variables; use a preinstall script",
    "autoremove": "Kandji does not remove an app that is out of scope",
    "OnDemand": "a Self Service app counts as installed once it is; make it a Custom Script in Self Service",
    "licensed_seat_info_available": "Kandji does not count licences",
    "preinstall_alert": "Kandji shows no text of yours before an install",
    "preupgrade_alert": "Kandji shows no text of yours before an install",
    "unused_software_removal_info": "Custom Apps are not removed by Kandji",
}

# Keys that only an audit script can heed, and what to say of them where there is none.
_AUDITED_ONLY = {
    "blocking_applications": "an app in Self Service has no audit script that would ask a user to quit them",
    "minimum_os_version": "an app in Self Service has no audit script; set a rule in the Blueprint's Assignment Map",
}


@dataclass
class Carried:
    """What was taken from the pkginfos of one item.

    Attributes:
        values: keys of the map.
        scripts: texts of scripts by their path relative to the map.
        how: what was taken, one sentence each.
        gaps: what could not be.
    """

    values: dict[str, Any] = field(default_factory=dict)
    scripts: dict[str, str] = field(default_factory=dict)
    how: list[str] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)


def unsupported(package: PkgInfo) -> str:
    """Why an item can be no Custom App; "" where it can."""
    kind = package.text("installer_type")
    if kind.startswith("Adobe"):
        return "it is one of the old Adobe installers that only Munki can drive"
    return _UNSUPPORTED.get(kind, "")


def bad_name(name: str) -> str:
    """Why a text cannot be the name of a category, or a version; "" where it can."""
    if len(name) > LONGEST_NAME:
        return f"has {len(name)} characters; a name has at most {LONGEST_NAME}"
    if any(unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") for character in name):
        return "holds a line break or control character"
    return ""


def bad_app_name(name: str) -> str:
    """Why a text cannot be the name of a Custom App; "" where it can."""
    hidden = hidden_character(name)
    return f"holds {hidden}, which cannot be seen" if hidden else bad_name(name)


def carry(packages: Mapping[Stage, PkgInfo], options: ImportOptions, *, audited: bool) -> Carried:
    """What the map can say of an item besides names and enforcement.

    Args:
        packages: the version of each stage.
        options: of the import.
        audited: whether the app is enforced by an audit script, so that a deadline means something, and likewise what
            must hold on a Mac before an upgrade.
    """
    carried = Carried()
    for key in SCRIPTS:
        _by_stage(carried, key, {stage: _script(carried, package, key) for stage, package in packages.items()})
    if audited:
        _by_stage(
            carried,
            "enforcement_deadline",
            {stage: _deadline(carried, package, options) for stage, package in packages.items()},
        )
        _blocking(carried, packages)
        _minimum(carried, packages)
    elif any(package.fields.get("force_install_after_date") for package in packages.values()):
        said = "an app in Self Service has no deadline"
        carried.gaps.append(Gap("force_install_after_date", said))
    restarts = {stage: _restart(carried, package) for stage, package in packages.items()}
    _by_stage(carried, "restart", restarts)
    _name_the_rest(carried, packages, _NO_COUNTERPART if audited else {**_NO_COUNTERPART, **_AUDITED_ONLY})
    return carried


def _by_stage(carried: Carried, key: str, found: Mapping[Stage, Any]) -> None:
    """Write a key once where it holds for all stages, else with `prod_` or `test_` before it."""
    given = {stage: value for stage, value in found.items() if value is not None}
    values = list(given.values())
    if values and len(given) == len(found) and all(value == values[0] for value in values):
        carried.values[key] = values[0]
        return
    for stage, value in given.items():
        carried.values[f"{stage.value}_{key}"] = value


def _script(carried: Carried, package: PkgInfo, key: str) -> str | None:
    """The path of a script, which the caller writes; None where there is none."""
    text = package.fields.get(key)
    if not isinstance(text, str) or not text.strip():
        return None
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    safe = re.sub(r"[^A-Za-z0-9._-]", "_", package.name).lstrip(".")[:80] or "item"
    path = f"{SCRIPT_FOLDER}/{safe}-{key.removesuffix('_script')}-{digest}"
    carried.scripts[path] = text
    _once(carried.how, f"{key} of {package.version} -> {path}")
    if "munki" in text.lower():
        _once(carried.gaps, Gap(f"{key} of {package.version}", "it mentions Munki; read it before you use it"))
    if not text.startswith("#!"):
        said = "its first line names no interpreter (`#!/bin/zsh`); add one"
        _once(carried.gaps, Gap(f"{key} of {package.version}", said))
    return path


def _deadline(carried: Carried, package: PkgInfo, options: ImportOptions) -> str | None:
    """The date with a time zone; None where there is none or it is past."""
    raw = package.fields.get("force_install_after_date")
    if raw is None:
        return None
    moment = _moment(raw, options.zone)
    what = f"force_install_after_date of {package.version}"
    if moment is None:
        _once(carried.gaps, Gap(what, f"{str(raw)[:60]!r} is not a date"))
        return None
    if moment <= options.now:
        said = f"{moment.isoformat()} is past; with it every later version would be enforced at once"
        _once(carried.gaps, Gap(what, said))
        return None
    _once(carried.how, f"{what} -> enforcement_deadline {moment.isoformat()}; take it out once it is past")
    return moment.isoformat()


def _moment(raw: object, zone: tzinfo | None) -> datetime | None:
    """Munki reads the date as the Mac's own time, whatever zone is written after it."""
    if isinstance(raw, str):
        try:
            raw = datetime.fromisoformat(re.sub(r"[zZ]$", "", raw.strip()))
        except ValueError:
            return None
    if not isinstance(raw, datetime):
        return None
    try:
        local = raw.replace(tzinfo=None)
        return local.replace(tzinfo=zone) if zone else local.astimezone()
    except (OverflowError, ValueError):
        return None


def _restart(carried: Carried, package: PkgInfo) -> bool | None:
    action = package.text("RestartAction")
    if action == "RequireRestart":
        _once(carried.how, f"RestartAction of {package.version} -> restart")
        return True
    if action and action != "None":
        said = "a Custom App restarts the Mac or does not; set `restart: true` if it should"
        _once(carried.gaps, Gap(f"RestartAction {action} of {package.version}", said))
    return None


def _blocking(carried: Carried, packages: Mapping[Stage, PkgInfo]) -> None:
    """The blocking applications; one list for both apps, in which an app of either is asked about.

    Without a list, Munki goes by the apps of `installs` and we by the app itself; so there is nothing to write.
    """
    found = [_blocking_of(carried, package) for package in packages.values()]
    names = list(dict.fromkeys(name for each in found for name in each or ()))
    differs = len(set(found)) > 1
    if differs:
        written = "names those of both" if names else "is left out, so that a user is asked to quit the app itself"
        said = f"the map has one list for the test app and the prod app, which {written}"
        carried.gaps.append(Gap("blocking_applications differ between the two versions", said))
    if names or (not differs and found[:1] == [()]):
        carried.values["blocking_applications"] = names
        carried.how.append(f"blocking_applications -> {', '.join(names) or 'nothing blocks'}")


def _blocking_of(carried: Carried, package: PkgInfo) -> tuple[str, ...] | None:
    """The names of one version that the map can hold; None where it says nothing, or nothing that could be used."""
    raw = package.fields.get("blocking_applications")
    if raw is None:
        return None
    if not isinstance(raw, list):
        _once(carried.gaps, Gap(f"blocking_applications of {package.version}", "it is no list, so Munki ignores it"))
        return None
    names, bad = conditions.usable_apps(raw)
    for name, said in bad.items():
        _once(carried.gaps, Gap(f"blocking_applications: {name[:80]}", f"it {said}"))
    return names


def _minimum(carried: Carried, packages: Mapping[Stage, PkgInfo]) -> None:
    """The lowest macOS; where the versions differ the higher one, so that no Mac gets what does not run on it."""
    found = [(package.version, _minimum_of(carried, package)) for package in packages.values()]
    usable = [text for _, text in found if text]
    if not usable:
        return
    highest = max(usable, key=cmp_to_key(version.compare))
    carried.values["minimum_os_version"] = highest
    carried.how.append(f"minimum_os_version -> {highest}")
    if any(text != highest for _, text in found):
        each = ", ".join(f"{text or 'none'} of {release}" for release, text in found)
        said = f"the map has one for the test app and the prod app; {highest} is the higher one"
        carried.gaps.append(Gap(f"minimum_os_version: {each}", said))


def _minimum_of(carried: Carried, package: PkgInfo) -> str:
    """The lowest macOS of one version; "" where it says none that could be used."""
    raw = package.fields.get("minimum_os_version")
    text = package.text("minimum_os_version")
    if raw and not isinstance(raw, str):
        said = "it is a number, which may have lost digits, or no text at all; correct the pkginfo"
    elif text and conditions.macos_problem(text):
        said = f"it {conditions.macos_problem(text)}"
    else:
        return text
    _once(carried.gaps, Gap(f"minimum_os_version: {str(raw)[:80]}", said))
    return ""


def _name_the_rest(carried: Carried, packages: Mapping[Stage, PkgInfo], keys: Mapping[str, str]) -> None:
    """The keys that have no counterpart, with what they say."""
    for package in packages.values():
        for key, why in keys.items():
            value = package.fields.get(key)
            if value:
                _once(carried.gaps, Gap(f"{key}{_shown(value)}", why))
        for needed in _names(package.fields.get("requires")):
            _once(carried.gaps, Gap(f"requires {needed}", "Kandji has no order of installs; assign both"))
        for folder in sorted(set(_destinations(package))):
            said = "an app out of a .dmg goes to /Applications; repackage it or move it in a postinstall script"
            _once(carried.gaps, Gap(f"items_to_copy to {folder}", said))


def _destinations(package: PkgInfo) -> Iterator[str]:
    items = package.fields.get("items_to_copy")
    for item in items if isinstance(items, list) else ():
        folder = item.get("destination_path") if isinstance(item, Mapping) else None
        if isinstance(folder, str) and folder.rstrip("/") not in ("", "/Applications"):
            yield folder


def _names(value: object) -> tuple[str, ...]:
    found = [value] if isinstance(value, str) else value
    return tuple(each for each in found if isinstance(each, str)) if isinstance(found, list) else ()


def _shown(value: object) -> str:
    """A short value as part of a sentence; scripts and dictionaries stay unsaid."""
    if isinstance(value, list):
        texts = [each for each in value if isinstance(each, str)]
        return f": {', '.join(texts)}" if texts else ""
    text = str(value)
    return f": {text}" if isinstance(value, str | int) and value is not True and "\n" not in text else ""


def _once(found: list[Any], value: Any) -> None:
    if value not in found:
        found.append(value)
