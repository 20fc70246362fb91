"""Which app of an installer is meant, and which of its packages stands for it: pure rules over what was found.

In this order, each narrowing the field where it leaves anything: what the caller names; no uninstaller; under
/Applications; the outermost; the one that bears the package's own id. Whatever is then still equal is not guessed.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from kandji_uploader.installer.plists import BundleInfo
from kandji_uploader.models import AppRecord, PackageRecord

APP = ".app"
_BUNDLES = (
    *(APP, ".appex", ".framework", ".bundle", ".plugin", ".xpc", ".kext", ".dext", ".systemextension"),
    *(".prefpane", ".component", ".qlgenerator", ".mdimporter", ".saver", ".service", ".driver", ".vst", ".vst3"),
    *(".mailbundle", ".osax", ".action", ".workflow", ".wdgt", ".pkg", ".mpkg", ".xcarchive", ".dsym"),
)
# A part of a path that ends like a bundle and is more than that ending. One search, since archives hold 100,000 paths.
_BUNDLE = re.compile(rf"(?:\A|/)(?!\._)[^/]+(?:{'|'.join(map(re.escape, _BUNDLES))})(?=/|\Z)", re.IGNORECASE | re.ASCII)


@dataclass(frozen=True)
class Wish:
    """What the caller knows of the app that is meant.

    Attributes:
        app_name: its bundle name, with or without `.app`.
        bundle_id: its bundle id.
    """

    app_name: str | None = None
    bundle_id: str | None = None

    def names(self, record: AppRecord) -> bool:
        """Whether the caller's app name is this app's; macOS file names know no case."""
        return bool(self.app_name) and _folded(self.app_name) == _folded(record.name)

    def identifies(self, record: AppRecord) -> bool:
        """Whether the caller's bundle id is this app's."""
        return self.bundle_id is not None and self.bundle_id == record.bundle_id

    def fits(self, record: AppRecord) -> bool:
        """Whether anything the caller said names this app."""
        return self.identifies(record) or self.names(record)


@dataclass(frozen=True)
class AppCandidate:
    """One app that was found.

    Attributes:
        record: the app.
        package: the component that brings it; None for an app that is not in a package.
        read: whether its Info.plist was read (or found wanting), so that no more can be learned.
        signed: whether a signature of the bundle itself was seen.
        unsealed: whether the package's own list of its files has none.
    """

    record: AppRecord
    package: PackageRecord | None = None
    read: bool = False
    signed: bool = False
    unsealed: bool = False

    @property
    def complete(self) -> bool:
        """Whether all that an audit compares is known."""
        return bool(self.record.bundle_id and self.record.short_version)

    @property
    def place(self) -> str:
        """Where it is on a Mac, else where it is in the installer."""
        return self.record.install_path or self.record.path

    @property
    def in_applications(self) -> bool:
        """Whether it is installed under /Applications."""
        return (self.record.install_path or "").startswith("/Applications/")

    def with_info(self, info: BundleInfo | None) -> AppCandidate:
        """The known facts, completed by its Info.plist; None where that could not be read."""
        if info is None:
            return replace(self, read=True)
        record = replace(
            self.record,
            bundle_id=info.bundle_id or self.record.bundle_id,
            short_version=info.short_version,
            bundle_version=info.bundle_version,
            minimum_os_version=info.minimum_os_version,
        )
        return replace(self, record=record, read=True)


def narrow(candidates: Sequence[AppCandidate], wish: Wish) -> list[AppCandidate]:
    """The apps with the best claim: one, or several that are equal, or none."""
    left = list(candidates)
    rules: tuple[Callable[[AppCandidate], bool], ...] = (
        lambda one: wish.identifies(one.record),
        lambda one: wish.names(one.record),
        lambda one: "uninstall" not in one.record.name.lower(),
        lambda one: one.in_applications,
    )
    for rule in rules:
        left = [one for one in left if rule(one)] or left
    outermost = min((_depth(one) for one in left), default=0)
    left = [one for one in left if _depth(one) == outermost]
    return [one for one in left if bears_package_id(one)] or left


def claim(path: str, wish: Wish) -> tuple[bool, bool, int, str]:
    """How good an app's claim is by its path alone, the best one lowest: in the order of `narrow`, then by the path."""
    named = bool(wish.app_name) and wish.names(AppRecord(path))
    return not named, "uninstall" in path.rsplit("/", 1)[-1].lower(), path.count("/"), path


def bears_package_id(one: AppCandidate) -> bool:
    """Whether the package that brings an app under /Applications is called after that very app."""
    if one.package is None or not one.record.bundle_id or not one.in_applications:
        return False
    return one.package.id.removesuffix(".pkg") == one.record.bundle_id


def main_package(packages: Sequence[PackageRecord], product_version: str | None) -> PackageRecord | None:
    """The component that stands for an installer without an app: of the product's version, else the largest."""
    fitting = [one for one in packages if product_version and one.version == product_version] or list(packages)
    fitting = [one for one in fitting if "uninstall" not in one.path.lower()] or fitting
    return max(fitting, key=lambda one: one.size, default=None)


def outer_bundle(path: str) -> tuple[str, str] | None:
    """The outermost bundle (app, framework, package folder, ...) that a path belongs to, and the rest of the path.

    None for a path that is in no bundle, and for the `._` files in which archives keep a Mac's extended attributes.
    """
    found = _BUNDLE.search(path)
    return None if found is None else (path[: found.end()], path[found.end() + 1 :])


def outer_app(path: str) -> tuple[str, str] | None:
    """The app that a path belongs to, and the rest of the path; None for a path that is not in an app.

    Apps inside other bundles (helpers, extensions, what frameworks bring) are none.
    """
    place = outer_bundle(path)
    return place if place is not None and place[0].lower().endswith(APP) else None


def _depth(one: AppCandidate) -> int:
    return one.place.strip("/").count("/")


def _folded(name: str | None) -> str:
    return unicodedata.normalize("NFC", name or "").casefold().removesuffix(APP)
