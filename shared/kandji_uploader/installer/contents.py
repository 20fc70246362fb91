"""What archives and disk images hold: apps, or installer packages, flat or of the old bundle style."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, BinaryIO, Generic, NamedTuple, Protocol, TypeVar

from kandji_uploader.installer.choice import APP, AppCandidate, Wish, claim, outer_bundle
from kandji_uploader.installer.found import Found
from kandji_uploader.installer.limits import INNER_APPS, INNER_PACKAGES, LISTED, PLIST_BYTES, Budget, MalformedError
from kandji_uploader.installer.package import installed_at, read_package
from kandji_uploader.installer.payload import CODE_RESOURCES, INFO, scan
from kandji_uploader.installer.plists import BundleInfo, composed, read_info
from kandji_uploader.installer.streams import FileSlice
from kandji_uploader.models import AppRecord, PackageRecord

_PACKAGE = (".pkg", ".mpkg")
_NOT_LOOKED_AT = frozenset({"__MACOSX", ".Trashes", ".fseventsd"})
_ARCHIVE = "Contents/Archive.pax.gz"
_SUB_PACKAGES = "Contents/Packages/"
_NAMED = 10


class ArchiveEntry(NamedTuple):
    """One member of a container.

    Attributes:
        path: `/`-separated, without a leading `./`.
        size: bytes, as the container says.
        folder: whether it is a folder.
        link: whether it is a link; links are not followed.
        start: where it is; what this means is the container's affair, as is all that follows.
        stored: bytes as stored.
        method: how it is compressed.
        checksum: of its content.
        encrypted: whether it is encrypted.
        name: the container's own name for it.
        mode: its rights, as far as the container has them.
    """

    path: str
    size: int = 0
    folder: bool = False
    link: bool = False
    start: int = 0
    stored: int = 0
    method: int = 0
    checksum: int = 0
    encrypted: bool = False
    name: str = ""
    mode: int = 0


class Container(Protocol):
    """An archive or a disk image that is open."""

    def items(self) -> Iterable[ArchiveEntry]:
        """Its members."""

    def read(self, item: ArchiveEntry, cap: int) -> bytes:
        """A member's content; `MalformedError` where it is larger than `cap` bytes."""

    def opened(self, item: ArchiveEntry) -> AbstractContextManager[BinaryIO]:
        """A member as a file that can seek."""

    def inside(self, folder: str) -> Iterator[tuple[ArchiveEntry, Iterator[bytes]]]:
        """Each file and link in a folder, in any case, with its content, which is read before the next; once."""

    def everything(self) -> Iterator[tuple[ArchiveEntry, Iterator[bytes]]]:
        """As `inside`, of all that is there, and each folder, too."""


@dataclass
class _AppEntry:
    path: str
    info: ArchiveEntry | None = None
    signed: bool = False


@dataclass
class _Package:
    """A package in the container: a flat one has `file`, one of the bundle style has the other two."""

    path: str
    file: ArchiveEntry | None = None
    info: ArchiveEntry | None = None
    archive: ArchiveEntry | None = None

    @property
    def size(self) -> int:
        """Bytes of the package, or of its payload."""
        payload = self.file or self.archive
        return payload.size if payload else 0


Entry = TypeVar("Entry")


class _Claimants(Generic[Entry]):
    """Apps, or packages, by their paths; of more than `LISTED` those with the best claim.

    An archive may hold 100,000 of them. Which ones are kept does not depend on the order in which they come.

    Args:
        make: from a path.
        claim: of a path, the best one lowest.
    """

    def __init__(self, make: Callable[[str], Entry], claim: Callable[[str], tuple[Any, ...]]) -> None:
        self._make = make
        self._claim = claim
        self._kept: dict[str, Entry] = {}
        self._last: tuple[Any, ...] | None = None

    def at(self, path: str) -> Entry | None:
        """What is known of a path; None where so many have a better claim that it is not kept."""
        known = self._kept.get(path)
        if known is None and (self._last is None or self._claim(path) <= self._last):
            if len(self._kept) >= 2 * LISTED:
                self._cut()
            known = self._kept[path] = self._make(path)
        return known

    def first(self) -> list[Entry]:
        """Those that are kept, in the order of their claims."""
        if len(self._kept) > LISTED:
            self._cut()
        return [self._kept[path] for path in sorted(self._kept, key=self._claim)]

    @property
    def cut(self) -> bool:
        """Whether there were more."""
        return self._last is not None

    def _cut(self) -> None:
        best = sorted(self._kept, key=self._claim)[:LISTED]
        self._kept = {path: self._kept[path] for path in best}
        self._last = self._claim(best[-1])


class _Index:
    def __init__(self, wish: Wish) -> None:
        self.apps = _Claimants(_AppEntry, partial(claim, wish=wish))
        self.packages = _Claimants(_Package, _package_claim)

    def add(self, item: ArchiveEntry) -> None:
        """Take note of a member, if it matters."""
        place = outer_bundle(item.path)
        if place is None or item.path.split("/", 1)[0] in _NOT_LOOKED_AT:
            return
        path, rest = place
        if path.lower().endswith(APP) and (rest or item.folder):
            self._add_app(path, rest, item)
        elif path.lower().endswith(_PACKAGE):
            self._add_package(path, rest, item)

    def installable(self) -> list[_Package]:
        """The packages; an .mpkg that only holds others is none itself."""
        packages = self.packages.first()
        nesting = {one.path.partition(f"/{_SUB_PACKAGES}")[0] for one in packages if _SUB_PACKAGES in one.path}
        return [one for one in packages if one.file or one.archive or (one.info and one.path not in nesting)]

    def warnings(self) -> Iterator[str]:
        """What was left out."""
        for what, found in (("apps", self.apps), ("packages", self.packages)):
            if found.cut:
                yield f"it holds more than {LISTED:,} {what}; only the first {LISTED:,} of them were looked at"

    def _add_app(self, path: str, rest: str, item: ArchiveEntry) -> None:
        app = self.apps.at(path)
        if app is None:
            return
        if rest == INFO and not item.link and not item.folder:
            app.info = item
        elif rest == CODE_RESOURCES:
            app.signed = True

    def _add_package(self, path: str, rest: str, item: ArchiveEntry) -> None:
        if rest.startswith(_SUB_PACKAGES):
            inner = outer_bundle(rest)
            if inner is None or not inner[0].lower().endswith(_PACKAGE):
                return
            path, rest = posixpath.join(path, inner[0]), inner[1]
        if item.link or (item.folder and not rest):
            return
        package = self.packages.at(path)
        if package is None:
            return
        if not rest:
            package.file = item
        elif rest == INFO:
            package.info = item
        elif rest == _ARCHIVE:
            package.archive = item


def within(items: Iterable[ArchiveEntry], folder: str) -> Iterator[ArchiveEntry]:
    """The files and links in a folder, in any case."""
    start = f"{composed(folder)}/".casefold()
    return (item for item in items if not item.folder and composed(item.path).casefold().startswith(start))


def read_contents(container: Container, wish: Wish) -> Found:
    """What a container holds: its apps; where there is none that could be meant, its packages.

    Raises:
        MalformedError: it is broken or hostile, or none of its packages can be read.
    """
    index = _Index(wish)
    for item in container.items():
        index.add(item)
    found = Found(candidates=list(_apps(container, index.apps.first())))
    packages = index.installable()
    found.warnings += index.warnings()
    if packages and _meant(found.candidates, wish):
        names = ", ".join(one.path for one in packages[:_NAMED])
        found.warnings.append(f"beside the app it holds packages, which were not looked into: {names}")
    elif packages:
        _read_packages(container, packages, wish, found)
    elif not found.candidates:
        found.warnings.append("it holds neither an app nor an installer package")
    return found


def _package_claim(path: str) -> tuple[bool, int, str]:
    return "uninstall" in path.lower(), path.count("/"), path


def _apps(container: Container, apps: Iterable[_AppEntry]) -> Iterator[AppCandidate]:
    """The apps, in their order; of very many only the first are read."""
    for at, app in enumerate(apps):
        one = AppCandidate(AppRecord(composed(app.path)), signed=app.signed)
        if app.info is not None and at < INNER_APPS:
            one = one.with_info(read_info(container.read(app.info, PLIST_BYTES)))
        yield one


def _meant(candidates: list[AppCandidate], wish: Wish) -> bool:
    """Whether one of the apps is what the installer is about; an uninstaller beside a package is not."""
    if wish.app_name or wish.bundle_id:
        return any(wish.fits(one.record) for one in candidates)
    return any("uninstall" not in one.record.name.lower() for one in candidates)


def _read_packages(container: Container, packages: list[_Package], wish: Wish, found: Found) -> None:
    """Add what the packages hold; one that cannot be read matters only if no other can."""
    problems: list[MalformedError] = []
    read: list[Found] = []
    for package in packages[:INNER_PACKAGES]:
        try:
            read.append(_read_package(container, package, wish))
            found.inner += [package.file] if package.file else []
        except MalformedError as problem:
            place = f"{package.path}, {problem.place}" if problem.place else package.path
            problems.append(MalformedError(place, problem.reason))
    if not read:
        raise problems[0]
    for inner in read:
        _merge(found, inner)
    found.signed = read[0].signed
    found.product_id, found.product_version = read[0].product_id, read[0].product_version
    found.minimum_os_version = read[0].minimum_os_version
    found.warnings += [f"{problem.place}: {problem.reason}" for problem in problems]
    if len(packages) > 1:
        found.warnings.append(f"it holds {len(packages)} packages: {', '.join(one.path for one in packages[:_NAMED])}")


def _merge(found: Found, inner: Found) -> None:
    found.candidates += inner.candidates
    found.packages += inner.packages
    found.warnings += inner.warnings


def _read_package(container: Container, package: _Package, wish: Wish) -> Found:
    if package.file is None:
        return _read_bundle_style(container, package)
    if not package.file.size:
        raise MalformedError("", "it is an empty file, not an installer package")
    with container.opened(package.file) as file:
        return _placed(read_package(file, package.file.size, wish), package.path)


def _placed(found: Found, path: str) -> Found:
    """The packages of an inner package, with their place in the container."""
    moved = {one: replace(one, path=posixpath.join(composed(path), one.path).rstrip("/")) for one in found.packages}
    found.packages = list(moved.values())
    found.candidates = [replace(one, package=moved[one.package] if one.package else None) for one in found.candidates]
    return found


def _read_bundle_style(container: Container, package: _Package) -> Found:
    """A package of the old style: a folder with an Info.plist of its own and its payload in an archive."""
    info = read_info(container.read(package.info, PLIST_BYTES)) if package.info else None
    if info is None or not info.bundle_id:
        raise MalformedError("", "it is a bundle-style package without an Info.plist that names it")
    record = PackageRecord(
        id=info.bundle_id,
        version=info.short_version or info.bundle_version,
        install_location=info.install_location,
        path=composed(package.path),
        size=package.size,
    )
    found = Found(packages=[record], signed=False)
    if package.archive is not None and package.archive.size:
        budget = Budget(_ARCHIVE, package.archive.size)
        with container.opened(package.archive) as file:
            apps = scan(FileSlice(file, 0, package.archive.size), budget, lambda _found, _path: False)
        found.candidates = [_installed(path, info, record) for path, info in apps.infos.items()]
    return found


def _installed(path: str, info: BundleInfo | None, package: PackageRecord) -> AppCandidate:
    record = AppRecord(path, install_path=installed_at(package.install_location, path))
    return AppCandidate(record, package).with_info(info)
