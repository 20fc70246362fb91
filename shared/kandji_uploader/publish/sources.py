"""Where an installer is, and what can be asked of it: each thing is found out once, when it is first asked for."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import field
from pathlib import Path
from typing import Protocol

from kandji_uploader import installer
from kandji_uploader._util.lazydataclass import dataclass
from kandji_uploader._util.prehash import WORTHWHILE, Ahead, Begun
from kandji_uploader.errors import InstallerError, ToolMissingError
from kandji_uploader.models import AppFacts, InstallType
from kandji_uploader.publish.targets import Given
from kandji_uploader.state import DigestCache


class Source(Protocol):
    """Where an installer is: on disk, or in Kandji already (see `casks`)."""

    @property
    def path(self) -> Path:
        """The file, or what it would be called."""

    @property
    def size(self) -> int:
        """Bytes."""

    def kind(self) -> InstallType:
        """Package, image or zip."""

    def facts(self) -> AppFacts | None:
        """What the installer is."""

    def facts_if_read(self) -> AppFacts | None:
        """What the installer is, if anything had to ask."""

    def digest(self, cache: DigestCache) -> str:
        """Its sha256."""

    def reading_ahead(self, cache: DigestCache, /) -> AbstractContextManager[None]:
        """While it lasts, its sha256 may be worked out before anybody asks for it."""

    def begun(self) -> Begun | None:
        """What has been worked out of it so far, for an upload to go on with."""


class NotReadAhead:
    """A source of which nothing is worked out ahead, such as one that is in Kandji's store already."""

    def reading_ahead(self, _: DigestCache) -> AbstractContextManager[None]:
        """See `Source`."""
        return contextlib.nullcontext()

    def begun(self) -> None:
        """See `Source`."""


@dataclass
class OnDisk:
    """The installer on disk: each thing that can be asked of it is found out once, when first asked for.

    Args:
        path: the file.
        given: what the caller knows of it.
        warn: told what is odd about it.
    """

    path: Path
    given: Given
    warn: Callable[[str], None]
    _facts: list[AppFacts | None] = field(default_factory=list)
    _ahead: Ahead | None = None
    _before: Mapping[str, object] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Bytes.

        Raises:
            InstallerError: it has gone.
        """
        try:
            return self.path.stat().st_size
        except OSError as problem:
            raise InstallerError(self.path, f"it cannot be read ({problem.strerror}). Run again") from None

    def kind(self) -> InstallType:
        """Package, image or zip, by content.

        Raises:
            InstallerError: it is missing, empty, unreadable, a folder or something else.
        """
        return installer.identify(self.path)

    def facts(self) -> AppFacts | None:
        """What the installer is; None where a tool to read it is missing but the caller's facts suffice.

        Raises:
            InstallerError: it cannot be read.
        """
        if not self._facts:
            self._facts.append(self._read())
        return self._facts[0]

    def facts_if_read(self) -> AppFacts | None:
        """What the installer is, if anything had to ask."""
        return self._facts[0] if self._facts else None

    def digest(self, cache: DigestCache) -> str:
        """The file's sha256, out of the cache where the file has not changed since."""
        known = cache.get(self.path)
        if known is None:
            before = self._before or cache.identity(self.path)
            known = (self._ahead.finish() if self._ahead else None) or installer.sha256(self.path)
            cache.put(self.path, known, before)
        return known

    @contextlib.contextmanager
    def reading_ahead(self, cache: DigestCache) -> Iterator[None]:
        """While it lasts, the digest of a large file that has changed is worked out beside everything else."""
        if self.size >= WORTHWHILE and cache.get(self.path) is None:
            self._before = cache.identity(self.path)
            with contextlib.suppress(OSError):  # which whoever needs the file will find, too
                self._ahead = Ahead(self.path)
        try:
            yield
        finally:
            self.begun()

    def begun(self) -> Begun | None:
        """What has been worked out of the digest so far; nothing more will be."""
        return self._ahead.stop() if self._ahead else None

    def _read(self) -> AppFacts | None:
        try:
            facts = installer.inspect(
                self.path, app_name=self.given.bundle_name, bundle_id=self.given.bundle_id, digest=False
            )
        except ToolMissingError as problem:
            if not self.given.complete:
                raise
            self.warn(f"{problem} Going on with what the recipe says of it")
            return None
        for warning in facts.warnings:
            self.warn(f"{self.path.name}: {warning}")
        return facts
