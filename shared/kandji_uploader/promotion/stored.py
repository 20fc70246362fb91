"""A former release as a source of a publish."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from kandji_uploader.models import AppFacts, InstallType
from kandji_uploader.publish import matching
from kandji_uploader.publish.releases import Release
from kandji_uploader.publish.signers import Looked
from kandji_uploader.publish.sources import NotReadAhead
from kandji_uploader.state import DigestCache


@dataclass(frozen=True)
class StoredRelease(NotReadAhead):
    """A release as an installer that is in Kandji's store only, and not on this machine.

    Attributes:
        release: what was noted of it.
        fallback: what the app that gets it has, where the release itself does not say what it is.
    """

    release: Release
    fallback: Release

    @property
    def path(self) -> Path:
        """What the file was called when it was uploaded."""
        return Path(matching.stored_name(self.release.file_key.rsplit("/", 1)[-1]))

    @property
    def size(self) -> int:
        """Not known, and not needed: its sha256 is."""
        return 0

    @property
    def file_key(self) -> str:
        """What a Custom App names it by."""
        return self.release.file_key

    def kind(self) -> InstallType:
        """Package, image or zip."""
        return self.release.install_type

    def facts(self) -> AppFacts | None:
        """What it is, as the audit script of the app that had it says; None where nothing identifies it."""
        one = self.release if self.release.identified else self.fallback
        return replace(one, version=self.release.version, install_type=self.release.install_type).facts()

    def facts_if_read(self) -> AppFacts | None:
        """As `facts`; there is nothing to read."""
        return self.facts()

    def looked(self, cache: DigestCache) -> Looked:  # noqa: ARG002 - a file would be looked up there
        """Who signed it, as was noted when it came into the app that had it."""
        signer = self.release.signer
        return Looked(signer, instead_of=self.release.instead_of, unseen=not signer)

    def digest(self, cache: DigestCache) -> str:  # noqa: ARG002 - a file would be looked up there
        """Its sha256."""
        return self.release.sha256
