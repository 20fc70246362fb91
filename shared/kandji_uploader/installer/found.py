"""What the readers hand over, and how it becomes the facts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kandji_uploader.installer.choice import AppCandidate, Wish, main_package, narrow
from kandji_uploader.installer.plists import BUNDLE_VERSION, SHORT_VERSION
from kandji_uploader.models import AppFacts, AppRecord, Content, InstallType, PackageRecord, Signature

if TYPE_CHECKING:
    from kandji_uploader.installer.contents import ArchiveEntry


@dataclass
class Found:
    """What was found in an installer.

    Attributes:
        candidates: the apps.
        packages: the component packages.
        signed: whether the installer itself is signed; None where its format has no signature of its own.
        product_id: the id of the product that a Distribution names.
        product_version: its version.
        minimum_os_version: the lowest macOS that the installer allows.
        warnings: what looks odd, one sentence each.
        signature: who signed it; None where that was not asked for.
        inner: the flat packages in an archive or a disk image that were read.
        content: what it brings to a Mac; None where that was not asked for.
    """

    candidates: list[AppCandidate] = field(default_factory=list)
    packages: list[PackageRecord] = field(default_factory=list)
    signed: bool | None = None
    product_id: str | None = None
    product_version: str | None = None
    minimum_os_version: str | None = None
    warnings: list[str] = field(default_factory=list)
    signature: Signature | None = None
    inner: list[ArchiveEntry] = field(default_factory=list)
    content: Content | None = None


def settle(found: Found, wish: Wish, kind: InstallType, size: int) -> AppFacts:
    """The facts: which app is meant and what is known of it."""
    tied = meant(found, wish)
    chosen = tied[0] if len(tied) == 1 else None
    package = _package(found, chosen)
    warnings = list(found.warnings)
    if chosen is not None:
        warnings += _odd(chosen.record)
    if len(tied) > 1:
        warnings.append("several apps have an equal claim; `app_name` or `bundleid` settles which is meant")
    app = chosen.record if chosen else None
    key = _version_key(app)
    return AppFacts(
        type=kind,
        size=size,
        app_name=app.name if app else None,
        bundle_id=app.bundle_id if app else None,
        version=(app.short_version or app.bundle_version) if app else None,
        version_key=key,
        package_id=package.id if package else found.product_id,
        package_version=package.version if package else found.product_version,
        minimum_os_version=(app.minimum_os_version if app else None) or found.minimum_os_version,
        signed=found.signed if found.signed is not None else bool(chosen and chosen.signed),
        apps=tuple(one.record for one in found.candidates),
        packages=tuple(found.packages),
        ambiguous=tuple(one.place for one in tied) if len(tied) > 1 else (),
        warnings=tuple(dict.fromkeys(warnings)),
        signature=found.signature,
        content=found.content.digest if found.content else "",
        content_unknown=found.content.why if found.content else "",
    )


def meant(found: Found, wish: Wish) -> list[AppCandidate]:
    """The apps with the best claim: one, or several that are equal, or none."""
    return narrow(_distinct(found.candidates), wish)


def _distinct(candidates: list[AppCandidate]) -> list[AppCandidate]:
    """One of each: components for two processors may bring the very same app to the very same place."""
    kept: dict[tuple[str, str | None, str | None], AppCandidate] = {}
    for one in candidates:
        kept.setdefault((one.place, one.record.bundle_id, one.record.short_version), one)
    return list(kept.values())


def _package(found: Found, chosen: AppCandidate | None) -> PackageRecord | None:
    if chosen is not None and chosen.package is not None:
        return chosen.package
    if chosen is not None:
        return None
    return main_package(found.packages, found.product_version)


def _version_key(app: AppRecord | None) -> str | None:
    if app is None:
        return None
    if app.short_version:
        return SHORT_VERSION
    return BUNDLE_VERSION if app.bundle_version else None


def _odd(app: AppRecord) -> list[str]:
    if not app.bundle_id and not (app.short_version or app.bundle_version):
        return [f"{app.name} has no Info.plist that can be read: neither bundle id nor version is known"]
    missing = []
    if not app.bundle_id:
        missing.append(f"{app.name} has no CFBundleIdentifier")
    if not app.short_version and not app.bundle_version:
        missing.append(f"{app.name} has neither {SHORT_VERSION} nor {BUNDLE_VERSION}: its version is not known")
    elif not app.short_version:
        missing.append(f"{app.name} has no {SHORT_VERSION}; its version is {BUNDLE_VERSION}")
    return missing
