"""Who signed an installer: its own signature, or that of the app in it; a value, whatever is wrong with it.

The libraries that verify are an extra (`signing`). Without them nothing is looked at, and the value says so.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import BinaryIO

from kandji_uploader._util.dependencies import missing_for_signing, pip_line
from kandji_uploader.installer import xar
from kandji_uploader.installer.choice import AppCandidate, Wish
from kandji_uploader.installer.content import ContainerContent, PackageContent
from kandji_uploader.installer.contents import ArchiveEntry, Container
from kandji_uploader.installer.found import Found, meant
from kandji_uploader.installer.limits import Budget, MalformedError
from kandji_uploader.installer.package import payload_prefix, read_package
from kandji_uploader.installer.plists import composed
from kandji_uploader.installer.zips import Zip
from kandji_uploader.models import PACKAGE_AROUND, Signature

_NAMED = 10

APPLE_ROOTS = frozenset(
    {
        # SHA-256 of the certificates in DER, as https://www.apple.com/certificateauthority/ offers them for download
        # (AppleIncRootCertificate.cer, AppleRootCA-G2.cer, AppleRootCA-G3.cer) and many public projects pin them. The
        # first also comes in each signature that Apple's tools make; a test holds the pin against a real one.
        "b0b1730ecbc7ff4505142c49f1295e6eda6bcaed7e2c68c5be91b5a11001f024",  # Apple Root CA
        "c2b9b042dd57830e7d117dac55ac8ae19407d38e41d88f3215bc3a890444a050",  # Apple Root CA - G2
        "63343abfb89a6a03ebb57e9b3f5fa7be7c4f5c756f3017b3a8c488c3653e9179",  # Apple Root CA - G3
    }
)


def of_package(
    file: BinaryIO,
    size: int,
    found: Found | None = None,
    wish: Wish | None = None,
    roots: frozenset[str] = APPLE_ROOTS,
    content: PackageContent | None = None,
) -> Signature:
    """Who signed a flat package; for an unsigned one, who signed the app that it brings.

    Args:
        file: the package; must be able to seek.
        size: its bytes.
        found: what was found in it; None where only the package's own signature matters.
        wish: what the caller knows of the app that is meant.
        roots: SHA-256 fingerprints of the roots that count.
        content: what is read for it is read in the same pass.
    """

    def look() -> Signature:
        from kandji_uploader.installer.signature_package import read_package_signature

        return read_package_signature(file, size, roots, content)

    unsigned = found is not None and not found.signed
    own = Signature("unsigned", of="package") if unsigned else _looked_at("package", look)
    if own.status != "unsigned" or found is None:
        return own
    return _of_installed_app(file, size, found, wish or Wish(), roots, content) or own


def of_contents(
    container: Container,
    found: Found,
    wish: Wish,
    roots: frozenset[str] = APPLE_ROOTS,
    content: ContainerContent | None = None,
) -> Signature:
    """Who signed the app in an archive or a disk image, or the package where that is what it brings.

    Args:
        container: the archive or the disk image.
        found: what was found in it.
        wish: what the caller knows of the app that is meant.
        roots: SHA-256 fingerprints of the roots that count.
        content: what is read for it is read in the same pass.
    """
    signature = _of_contents(container, found, wish, roots, content)
    if signature.status == "signed" and isinstance(container, Zip):
        try:
            container.check_headers()
        except MalformedError as problem:
            return Signature("broken", of=signature.of, why=f"{problem.place}: {problem.reason}")
    return signature


def _of_contents(
    container: Container, found: Found, wish: Wish, roots: frozenset[str], content: ContainerContent | None
) -> Signature:
    apps = meant(found, wish)
    # An app that lies beside packages speaks for itself where it is the one that is meant.
    if found.packages and not any(one.package is None for one in apps):
        return _of_inner(container, found, wish, roots)
    if len(apps) != 1:
        return _no_app(apps)
    path, sealed = apps[0].record.path, apps[0].signed

    def look() -> Signature:
        from kandji_uploader.installer.signature_app import contained, read_app_signature

        # What is wrong with another file of the container is nothing to the app: then it is read once more by itself.
        tree = content.tree() if content is not None else None
        if content is not None and tree is not None:
            with suppress(MalformedError), contained(path, container, sealed=sealed, tree=tree) as app:
                content.keep(tree)
                return read_app_signature(app, roots)
        with contained(path, container, sealed=sealed) as app:
            return read_app_signature(app, roots)

    return _beside(_looked_at("app", look), "apps", [one.record.path for one in found.candidates if one is not apps[0]])


def _beside(signature: Signature, what: str, names: Sequence[str]) -> Signature:
    """The same signature; what else the installer brings was not looked at."""
    if not names:
        return signature
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    said = f"the other {what} in it: {', '.join(names[:_NAMED])}{more}"
    return replace(signature, not_verified=(*signature.not_verified, said))


def _no_app(apps: Sequence[AppCandidate]) -> Signature:
    return Signature("not_looked_at", why="several apps have an equal claim" if apps else "it holds no app")


def _of_inner(container: Container, found: Found, wish: Wish, roots: frozenset[str]) -> Signature:
    """Of the packages in a container the one that brings the app that is meant, else the first that could be read."""
    if not found.inner:
        return Signature(
            "unsigned", of="package", not_verified=("the app in it, which is in a package of the old kind",)
        )
    item = next((one for one in found.inner if _brings(one, meant(found, wish))), found.inner[0])
    others = [one for one in found.inner if one is not item]
    try:
        with container.opened(item) as file:
            signature = of_package(file, item.size, read_package(file, item.size, wish), wish, roots)
    except MalformedError as problem:
        return Signature("broken", of="package", why=f"{item.path}, {problem.place}: {problem.reason}")
    return _beside(signature, "packages", [one.path for one in others])


def _brings(item: ArchiveEntry, apps: Sequence[AppCandidate]) -> bool:
    package = apps[0].package if len(apps) == 1 else None
    return package is not None and f"{package.path}/".startswith(f"{composed(item.path)}/")


def _of_installed_app(
    file: BinaryIO, size: int, found: Found, wish: Wish, roots: frozenset[str], content: PackageContent | None
) -> Signature | None:
    """Who signed the app that an unsigned package brings; None where it brings none."""
    apps = meant(found, wish)
    package = apps[0].package if len(apps) == 1 else None
    if package is None or not package.size:
        return None
    if apps[0].unsealed:  # A list that hides a seal makes the app unsigned, and no more than that.
        return Signature("unsigned", of="app", not_verified=(PACKAGE_AROUND,))
    place = posixpath.join(package.path, "Payload")

    def look() -> Signature:
        from kandji_uploader.installer.signature_app import read_app_signature, unpacked

        archive = xar.open_archive(file, size, frozenset({"Payload"}))
        entry = next(one for one in archive.entries if one.path == place)
        budget = Budget(place, entry.length)
        stream = archive.stream(entry, budget)
        tree = content.tree(place) if content is not None else None
        with unpacked(stream, budget, apps[0].record.path, payload_prefix(package), tree) as app:
            if content is not None and tree is not None:
                content.keep(place, tree)
            return read_app_signature(app, roots)

    signature = _looked_at("app", look)
    return replace(signature, not_verified=(*signature.not_verified, PACKAGE_AROUND))


def _looked_at(of: str, look: Callable[[], Signature]) -> Signature:
    """What the look at a signature has found; a broken signature is a value, not an error."""
    packages = missing_for_signing()
    if packages:
        return Signature("not_looked_at", why=f"install {' and '.join(packages)}: {pip_line(packages)}")
    try:
        return look()
    except MalformedError as problem:
        return Signature("broken", of=of, why=f"{problem.place}: {problem.reason}".removeprefix(": "))
