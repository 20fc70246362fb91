"""Where an installer is, and what can be asked of it: each thing is found out once, when it is first asked for."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from kandji_uploader import installer
from kandji_uploader._util import timings
from kandji_uploader._util.dependencies import missing_for_signing, pip_line
from kandji_uploader._util.files import FileIdentity, identity
from kandji_uploader._util.prehash import WORTHWHILE, BackgroundDigest, PartialDigest
from kandji_uploader.errors import InstallerChangedError, InstallerError, ToolMissingError
from kandji_uploader.models import AppFacts, Content, InstallType, Signature
from kandji_uploader.publish.signers import Looked
from kandji_uploader.publish.targets import RecipeFacts
from kandji_uploader.state import DigestCache

_READINGS = 3
"""Readings of the facts. On macOS `hdiutil` itself leaves extended attributes on an image the first time it opens it,
which moves the time of its last change."""


class Source(Protocol):
    """Where an installer is: on disk, or in Kandji already (see `casks`)."""

    @property
    def file_key(self) -> str | None:
        """Its key in Kandji's store; None if it is not known to be there."""

    @property
    def promised(self) -> str | None:
        """What its sha256 is to be; None where nobody has said."""

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

    def looked(self, cache: DigestCache) -> Looked:
        """Who signed it."""

    def content(self, cache: DigestCache) -> Content:
        """What it brings to a Mac."""

    def reading_ahead(self, cache: DigestCache, /) -> AbstractContextManager[None]:
        """While it lasts, its sha256 may be worked out before anybody asks for it."""

    def begun(self) -> PartialDigest | None:
        """What has been worked out of it so far, for an upload to go on with."""

    def check_unchanged(self) -> None:
        """Raise InstallerError if it is no longer what it was when it was first looked at."""


class NotReadAhead:
    """A source of which nothing is worked out ahead, such as one that is in Kandji's store already."""

    promised: str | None = None

    @property
    def file_key(self) -> str | None:
        """See `Source`."""
        return None

    def reading_ahead(self, _: DigestCache) -> AbstractContextManager[None]:
        """See `Source`."""
        return contextlib.nullcontext()

    def content(self, _: DigestCache) -> Content:
        """See `Source`: it is not here to be read, and the app that has it may remember it."""
        return Content()

    def begun(self) -> None:
        """See `Source`."""

    def check_unchanged(self) -> None:
        """See `Source`: what has a key in the store never changes."""


@dataclass
class OnDisk:
    """The installer on disk: each thing that can be asked of it is found out once, when first asked for.

    All answers are about one and the same file: the one at the first question. If it was replaced or changed since,
    that is an error.

    Args:
        path: the file.
        given: what the caller knows of it.
        warn: called with each warning about it.
        promised: what its sha256 is to be, where somebody has said it, such as a Homebrew cask.
    """

    path: Path
    given: RecipeFacts
    warn: Callable[[str], None]
    promised: str | None = None
    file_key: None = field(default=None, init=False)
    _facts: list[AppFacts | None] = field(default_factory=list)
    _ahead: BackgroundDigest | None = None
    _seen: FileIdentity | None = None
    _signature: Signature | None = None
    _content: Content | None = None

    @property
    def size(self) -> int:
        """Bytes.

        Raises:
            InstallerError: it is missing or unreadable.
        """
        return self._look().size

    def kind(self) -> InstallType:
        """Package, image or zip, by content.

        Raises:
            InstallerError: it is missing, empty, unreadable, a folder or something else.
        """
        self._look()
        found = installer.identify(self.path)
        self.check_unchanged()
        return found

    def facts(self) -> AppFacts | None:
        """What the installer is; None where a tool to read it is missing but the caller's facts suffice.

        Raises:
            InstallerError: it cannot be read.
        """
        if not self._facts:
            self._read_surely()
        return self._facts[0]

    def facts_if_read(self) -> AppFacts | None:
        """What the installer is, if anything had to ask."""
        return self._facts[0] if self._facts else None

    def looked(self, cache: DigestCache) -> Looked:
        """Who signed it, out of the cache where the file has not changed since; the facts come out of the same reading.

        What cannot be read is signed by nobody, as far as anybody can tell.

        Raises:
            ToolMissingError: what looks at signatures, or opens disk images, is not on this machine.
            InstallerChangedError: it is not what it was.
        """
        packages = missing_for_signing()
        if packages:
            raise ToolMissingError(self.path, f"install {' and '.join(packages)}: {pip_line(packages)}")
        meant = (self.given.bundle_name, self.given.bundle_id)
        known = cache.signature(self.path, meant)
        if known is None:
            known = self._signature or self._signed()
            cache.put_signature(self.path, meant, known, self._look())
        if known.status == "broken" and self.promised:
            self.digest(cache)  # A file that is not the one that was promised is told as that.
        return Looked.at(known)

    def _signed(self) -> Signature:
        try:
            facts = self._read_surely(signature=True)
        except (InstallerChangedError, ToolMissingError):
            raise
        except InstallerError as problem:
            return Signature("not_looked_at", why=problem.reason)
        return (facts.signature if facts else None) or Signature("not_looked_at")

    def content(self, cache: DigestCache) -> Content:
        """What it brings to a Mac, out of the cache where the file has not changed since.

        Who signed it is looked at in the same reading, for `looked`. What cannot be read has none, which says why; of a
        tool that is missing, `looked` tells.

        Raises:
            InstallerChangedError: it is not what it was.
        """
        if self._content is None:
            self._content = Content(cache.content(self.path)) if cache.content(self.path) else self._gathered()
            if self._content.digest:
                cache.put_content(self.path, self._content.digest, self._look())
        return self._content

    def _gathered(self) -> Content:
        looks = not missing_for_signing()
        try:
            facts = self._read_surely(signature=looks, content=True)
        except InstallerChangedError:
            raise
        except ToolMissingError:
            return Content()
        except InstallerError as problem:
            return Content(why=problem.reason)
        if facts is None or (not looks and facts.content_unknown.startswith("signature")):
            return Content()
        self._signature = facts.signature
        return Content(facts.content, facts.content_unknown)

    @timings.at("digest")
    def digest(self, cache: DigestCache) -> str:
        """The file's sha256, out of the cache where the file has not changed since.

        Raises:
            InstallerError: it cannot be read, or is not what it was or is to be.
        """
        seen = self._look()
        known = cache.get(self.path)
        if known is None:
            known = (self._ahead.finish(seen) if self._ahead else None) or installer.sha256(self.path)
            cache.put(self.path, known, seen)
        self.check_unchanged()
        if self.promised not in (None, known):
            raise InstallerChangedError(self.path)
        return known

    @contextlib.contextmanager
    def reading_ahead(self, cache: DigestCache) -> Iterator[None]:
        """While it lasts, the digest of a large file that has changed is worked out beside everything else."""
        if self.size >= WORTHWHILE and cache.get(self.path) is None:
            self._ahead = BackgroundDigest(self.path)
        try:
            yield
        finally:
            self.begun()

    def begun(self) -> PartialDigest:
        """What has been worked out of the digest so far, and of which file; nothing more will be."""
        import hashlib

        begun = self._ahead.stop() if self._ahead else None
        return (
            begun
            if begun is not None and begun.identity == self._seen
            else PartialDigest(hashlib.sha256(), 0, self._seen)
        )

    def check_unchanged(self) -> None:
        """Raise InstallerError unless the file is what it was when it was first looked at."""
        if self._now() != self._look():
            raise InstallerChangedError(self.path)

    def _look(self) -> FileIdentity:
        """What the file was when it was first looked at."""
        if self._seen is None:
            self._seen = self._now()
        if self._seen is None:
            installer.identify(self.path)  # tells what is wrong with it
            raise InstallerChangedError(self.path)
        return self._seen

    def _now(self) -> FileIdentity | None:
        try:
            return identity(self.path)
        except OSError:
            return None

    def _read_surely(self, *, signature: bool = False, content: bool = False) -> AppFacts | None:
        """The facts of one and the same file; read again if only the time of its last change has moved meanwhile."""
        self.check_unchanged()
        for _ in range(_READINGS):
            seen, facts, now = self._look(), self._read(signature=signature, content=content), self._now()
            if now == seen:
                for warning in facts.warnings if facts and not self._facts else ():
                    self.warn(f"{self.path.name}: {warning}")
                self._facts = self._facts or [facts]
                return facts
            if now is None or now._replace(ctime_ns=seen.ctime_ns) != seen:
                break
            self._seen = now
        raise InstallerChangedError(self.path)

    @timings.at("read")
    def _read(self, *, signature: bool, content: bool) -> AppFacts | None:
        name, bundle_id = self.given.bundle_name, self.given.bundle_id
        asked = {"digest": False, "signature": signature, "content": content}
        try:
            return installer.inspect(self.path, app_name=name, bundle_id=bundle_id, **asked)
        except ToolMissingError as problem:
            if signature or content or not self.given.complete:
                raise
            self.warn(f"{problem} Going on with what the recipe says of it")
            return None
