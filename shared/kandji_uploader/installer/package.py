"""Flat packages: a component (PackageInfo at the root) or a product (Distribution, and components in folders).

The metadata is read first; the payload only where a fact is missing, and no further than the Info.plist that has it.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import BinaryIO

from kandji_uploader.installer import bom, xar
from kandji_uploader.installer.choice import APP, AppCandidate, Wish, bears_package_id, narrow, outer_app
from kandji_uploader.installer.found import Found
from kandji_uploader.installer.limits import BOM_BYTES, METADATA_BYTES, Budget, MalformedError
from kandji_uploader.installer.metadata import (
    Distribution,
    ListedBundle,
    PackageInfo,
    read_distribution,
    read_package_info,
)
from kandji_uploader.installer.payload import Apps, scan
from kandji_uploader.models import AppRecord, PackageRecord

_NAMES = frozenset({"PackageInfo", "Distribution", "Payload", "Bom"})


def read_package(file: BinaryIO, size: int, wish: Wish) -> Found:
    """What a flat package holds.

    Args:
        file: the package, open for reading; must be able to seek.
        size: its bytes.
        wish: what the caller knows of the app that is meant.

    Raises:
        MalformedError: it is broken, hostile, truncated, or no installer package.
    """
    archive = xar.open_archive(file, size, _NAMES)
    entries: dict[str, xar.Entry] = {}
    for entry in archive.entries:
        entries.setdefault(entry.path, entry)
    distribution = _distribution(archive, entries.get("Distribution"))
    components = [
        _Component.read(archive, entries, path, distribution)
        for path, entry in entries.items()
        if entry.name == "PackageInfo"
    ]
    if distribution is None and not components:
        raise MalformedError("", "it is an archive without PackageInfo or Distribution, not an installer package")
    found = Found(signed=archive.signed)
    found.packages = [one.package for one in components]
    if distribution is not None:
        _describe(found, distribution)
    _Search(archive, components, wish).run()
    found.candidates = [replace(app, unsealed=one.unsealed) for one in components for app in one.apps.values()]
    return found


def _distribution(archive: xar.Archive, entry: xar.Entry | None) -> Distribution | None:
    if entry is None:
        return None
    found = read_distribution(archive.read(entry, METADATA_BYTES))
    if not found.seen:
        raise MalformedError("Distribution", "it is XML, but no installer script: the package is broken")
    return found


def _describe(found: Found, distribution: Distribution) -> None:
    """What the product says of itself; its own id and version count only where it brings no component."""
    found.product_version = distribution.product_version
    found.minimum_os_version = distribution.minimum_os_version
    if found.packages:
        return
    found.product_id = distribution.product_id
    if len(distribution.refs) == 1:
        (ref,) = distribution.refs.values()
        found.product_id, found.product_version = ref.id, ref.version or distribution.product_version
    listed = sorted({app.path for apps in distribution.bundles.values() for app in apps})
    mentioned = f" (its Distribution mentions {', '.join(listed)})" if listed else ""
    found.warnings.append(f"it holds no component package, so by itself it installs nothing{mentioned}")


@dataclass
class _Component:
    """One component package while it is looked at.

    Attributes:
        package: the component.
        place: its payload's place, for errors.
        payload: where its payload is; None for a payload-free one.
        bom: where its bill of materials is.
        apps: its apps, by their path in the payload.
        unsealed: whether its bill of materials has no list of seals, so that nobody signed its apps.
    """

    package: PackageRecord
    place: str
    payload: xar.Entry | None
    bom: xar.Entry | None
    apps: dict[str, AppCandidate]
    unsealed: bool = False

    @classmethod
    def read(
        cls, archive: xar.Archive, entries: dict[str, xar.Entry], path: str, distribution: Distribution | None
    ) -> _Component:
        """A component's metadata."""
        info = read_package_info(archive.read(entries[path], METADATA_BYTES), path)
        if not info.seen:
            raise MalformedError(path, "it is XML, but no PackageInfo: the package is broken")
        folder = entries[path].folder
        payload = entries.get(posixpath.join(folder, "Payload"))
        if payload is not None and not payload.length:
            payload = None
        package = PackageRecord(
            id=info.id,
            version=info.version,
            install_location=info.install_location,
            path=folder,
            size=payload.length if payload else 0,
        )
        component = cls(
            package=package,
            place=posixpath.join(folder, "Payload"),
            payload=payload,
            bom=entries.get(posixpath.join(folder, "Bom")),
            apps={},
        )
        for bundle in _listed(info, distribution):
            place = outer_app(component.prefix + bundle.path)
            if place is not None and not place[1]:
                component.add(replace(bundle, path=place[0]))
        return component

    @property
    def prefix(self) -> str:
        """What comes before each path of its payload."""
        return payload_prefix(self.package)

    def installed(self, path: str) -> str:
        """Where an app is on a Mac."""
        location = (self.package.install_location or "/").rstrip("/")
        return installed_at(posixpath.dirname(location) if self.prefix else location, path)

    def add(self, bundle: ListedBundle) -> None:
        """An app of this component, once."""
        record = AppRecord(
            path=bundle.path,
            bundle_id=bundle.bundle_id,
            short_version=bundle.short_version,
            bundle_version=bundle.bundle_version,
            install_path=self.installed(bundle.path),
        )
        self.apps.setdefault(bundle.path, AppCandidate(record, self.package, read=self.payload is None))

    def take(self, found: Apps) -> None:
        """What its payload says of the apps."""
        for path, info in found.infos.items():
            self.add(ListedBundle(path))
            if path in found.seen:
                self.apps[path] = self.apps[path].with_info(info)
        if found.whole:
            there = {path: one for path, one in self.apps.items() if path in found.infos or one.record.bundle_id}
            self.apps = {path: replace(one, read=True) for path, one in there.items()}


def payload_prefix(package: PackageRecord) -> str:
    """`Foo.app/` where the payload is the inside of an app, because the install location is the app itself."""
    last = posixpath.basename((package.install_location or "").rstrip("/"))
    return f"{last}/" if last.lower().endswith(APP) else ""


def installed_at(location: str | None, path: str) -> str:
    """Where a file of a payload is on a Mac; no install location means the root of the disk."""
    return posixpath.normpath(posixpath.join("/", location or "/", path))


def _listed(info: PackageInfo, distribution: Distribution | None) -> list[ListedBundle]:
    """The bundles of a component's metadata; what PackageInfo leaves out, the Distribution may have."""
    listed = {bundle.path: bundle for bundle in reversed(info.bundles)}
    for bundle in distribution.bundles.get(info.id, []) if distribution else []:
        known = listed.get(bundle.path, bundle)
        listed[bundle.path] = replace(
            known,
            bundle_id=known.bundle_id or bundle.bundle_id,
            short_version=known.short_version or bundle.short_version,
            bundle_version=known.bundle_version or bundle.bundle_version,
        )
    return list(listed.values())


@dataclass
class _Search:
    """How far the payloads are read, for the facts that the metadata leaves open."""

    archive: xar.Archive
    components: list[_Component]
    wish: Wish

    def run(self) -> None:
        """Find the app that is meant and complete it.

        PackageInfo does not list each app; a bill of materials does. Where there is none, the payload is searched,
        unless the metadata names an app that nothing in the payload could outdo.
        """
        unknown = [one for one in self.components if one.payload is not None and not self._billed(one)]
        if unknown and not self._trusted(self._wanted()):
            for component in unknown:
                self._scan(component, partial(self._is_it, component))
        self._complete()

    def _candidates(self) -> list[AppCandidate]:
        return [app for one in self.components for app in one.apps.values()]

    def _wanted(self) -> list[AppCandidate]:
        """The apps with the best claim so far; any whose id is not known yet may be the one the caller means."""
        known = self._candidates()
        if self.wish.bundle_id and not any(self.wish.identifies(one.record) for one in known):
            unknown = [one for one in known if not one.record.bundle_id and not one.read]
            return unknown or narrow(known, self.wish)
        return narrow(known, self.wish)

    def _trusted(self, wanted: list[AppCandidate]) -> bool:
        """Whether no app that the metadata leaves out could have a better claim."""
        if self.wish.app_name or self.wish.bundle_id:
            return bool(wanted) and all(self.wish.fits(one.record) for one in wanted)
        return bool(wanted) and all(one.in_applications for one in wanted)

    def _billed(self, component: _Component) -> bool:
        """Whether the component's bill of materials could tell its apps."""
        if component.bom is None:
            return False
        try:
            bill = self.archive.read(component.bom, BOM_BYTES)
            paths = bom.app_paths(bill, component.prefix)
            component.unsealed = not bom.lists(bill, b"CodeResources")
        except MalformedError:
            return False
        for path in paths:
            component.add(ListedBundle(path))
        return True

    def _is_it(self, component: _Component, found: Apps, path: str) -> bool:
        """Whether the app just read settles it: under /Applications, and the caller's or the package's own."""
        record = AppRecord(path, install_path=component.installed(path))
        one = AppCandidate(record, component.package).with_info(found.infos[path])
        if not one.in_applications:
            return False
        if self.wish.bundle_id:
            return self.wish.identifies(one.record)
        return self.wish.names(one.record) or (not self.wish.app_name and bears_package_id(one))

    def _complete(self) -> None:
        """Read the Info.plist of the app that is meant (or of each that has an equal claim) where facts are missing."""
        wanted = [one for one in self._wanted() if not one.complete and not one.read]
        for component in self.components:
            paths = {path for path, one in component.apps.items() if one in wanted}
            if paths:
                self._scan(component, partial(_all_seen, paths))

    def _scan(self, component: _Component, enough: Callable[[Apps, str], bool]) -> None:
        if component.payload is None:
            return
        budget = Budget(component.place, component.payload.length)
        stream = self.archive.stream(component.payload, budget)
        component.take(scan(stream, budget, enough, component.prefix))


def _all_seen(paths: set[str], found: Apps, _path: str) -> bool:
    return paths <= found.seen
