"""PackageInfo and Distribution: what a flat package says of itself without its payload."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass, field
from urllib.parse import unquote

from kandji_uploader.installer.plists import BUNDLE_VERSION, SHORT_VERSION, plain
from kandji_uploader.installer.xmlwalk import walk


@dataclass(frozen=True)
class ListedBundle:
    """A bundle that the metadata lists.

    Attributes:
        path: relative to the install location, without a leading `./`.
        bundle_id: its bundle id.
        short_version: `CFBundleShortVersionString`.
        bundle_version: `CFBundleVersion`.
    """

    path: str
    bundle_id: str | None = None
    short_version: str | None = None
    bundle_version: str | None = None


@dataclass
class PackageInfo:
    """A component's metadata.

    Attributes:
        id: its package id; "" where it has none.
        version: its version.
        install_location: as it says; None where it does not.
        bundles: the bundles it lists: apps, and all others.
    """

    id: str = ""
    version: str | None = None
    install_location: str | None = None
    bundles: list[ListedBundle] = field(default_factory=list)
    seen: bool = False

    def start(self, parents: list[str], tag: str, attributes: dict[str, str]) -> None:
        """The root, or a bundle; bundles anywhere but directly below the root are references only."""
        if tag == "pkg-info" and not parents:
            self.seen = True
            self.id = plain(attributes.get("identifier")) or ""
            self.version = plain(attributes.get("version"))
            self.install_location = plain(attributes.get("install-location"))
        elif tag == "bundle" and parents == ["pkg-info"]:
            # "Flat Package Format" of S. Sudre: the bundles directly below the root are what the payload installs;
            # those in <upgrade-bundle>, <bundle-version> and the like only refer to them.
            self.bundles.append(_bundle(attributes))

    def end(self, parents: list[str], tag: str, attributes: dict[str, str], text: str) -> None:
        """Nothing is in the texts."""


@dataclass(frozen=True)
class PackageRef:
    """A component as a Distribution names it.

    Attributes:
        id: its package id.
        version: its version.
        target: where it is: `#folder.pkg`, or a URL.
    """

    id: str
    version: str | None
    target: str


@dataclass
class Distribution:
    """A product's metadata.

    Attributes:
        product_id: of `<product>`; None where there is none. It can be stale.
        product_version: likewise.
        minimum_os_version: the lowest macOS that it allows.
        refs: the components it names, once each, by package id.
        bundles: the bundles it lists, by package id.
    """

    product_id: str | None = None
    product_version: str | None = None
    minimum_os_version: str | None = None
    refs: dict[str, PackageRef] = field(default_factory=dict)
    bundles: dict[str, list[ListedBundle]] = field(default_factory=dict)
    seen: bool = False
    _ref: str = ""

    def start(self, parents: list[str], tag: str, attributes: dict[str, str]) -> None:
        """The root, the product, a reference, a bundle of one."""
        if not parents:
            # Apple's "Distribution Definition": the newer and the older name of its root.
            self.seen = tag in ("installer-gui-script", "installer-script")
        elif tag == "product":
            self.product_id = self.product_id or plain(attributes.get("id"))
            self.product_version = self.product_version or plain(attributes.get("version"))
        elif tag == "pkg-ref":
            # The same id may come several times, once with the target, once with the bundles: they are put together.
            self._ref = plain(attributes.get("id")) or ""
        elif tag == "bundle" and parents[-2:] == ["pkg-ref", "bundle-version"]:
            self.bundles.setdefault(self._ref, []).append(_bundle(attributes))
        elif tag == "os-version" and parents[-1] == "allowed-os-versions":
            self.minimum_os_version = self.minimum_os_version or plain(attributes.get("min"))

    def end(self, parents: list[str], tag: str, attributes: dict[str, str], text: str) -> None:
        """A reference is complete; the same id may come several times, each telling a part."""
        name = plain(attributes.get("id")) if tag == "pkg-ref" else None
        if not name or "choice" in parents:
            return
        known = self.refs.get(name, PackageRef(name, None, ""))
        version = known.version or plain(attributes.get("version"))
        self.refs[name] = PackageRef(name, version, known.target or unquote(text.strip()))


def read_package_info(data: bytes, place: str) -> PackageInfo:
    """A component's metadata.

    Raises:
        MalformedError: it is not XML, or beyond a cap.
    """
    found = PackageInfo()
    walk([data], found, place)
    return found


def read_distribution(data: bytes, place: str = "Distribution") -> Distribution:
    """A product's metadata.

    Raises:
        MalformedError: it is not XML, or beyond a cap.
    """
    found = Distribution()
    walk([data], found, place)
    return found


def _bundle(attributes: dict[str, str]) -> ListedBundle:
    path = posixpath.normpath("/" + (plain(attributes.get("path")) or "")).lstrip("/")
    version, build = plain(attributes.get(SHORT_VERSION)), plain(attributes.get(BUNDLE_VERSION))
    return ListedBundle(path, plain(attributes.get("id")), version, build)
