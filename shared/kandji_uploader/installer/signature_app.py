"""The signature of an app: its main executable, with the Info.plist and the list of resources that it seals."""

from __future__ import annotations

import stat
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from kandji_uploader.installer.choice import APP, outer_app
from kandji_uploader.installer.contents import ArchiveEntry, Container
from kandji_uploader.installer.cpio import Cpio, Member
from kandji_uploader.installer.limits import CODE_SIGNATURE_BYTES, PLIST_BYTES, TICKET_BYTES, Budget, MalformedError
from kandji_uploader.installer.payload import CODE_RESOURCES, INFO, PROGRAMS, TICKET, decode, part_key
from kandji_uploader.installer.plists import composed, read_info
from kandji_uploader.installer.signature_code import (
    INFO_SLOT,
    RESOURCES_SLOT,
    NotCodeError,
    SignedCode,
    read_code,
)
from kandji_uploader.installer.signature_ticket import check_ticket
from kandji_uploader.installer.signature_trust import as_team
from kandji_uploader.installer.streams import Stream
from kandji_uploader.models import Signature

_CAPS = {
    INFO.casefold(): PLIST_BYTES,
    CODE_RESOURCES.casefold(): CODE_SIGNATURE_BYTES,
    TICKET.casefold(): TICKET_BYTES,
}
_NOT_LOOKED_AT = "the files that CodeResources lists, and code nested in the app: not held against their seals"
_REVOCATION = "revocation, which cannot be asked offline"


class Bundle(Protocol):
    """An app that can be looked into."""

    @property
    def path(self) -> str:
        """Where it is."""

    def read(self, part: str) -> bytes | None:
        """One of its files; None where it is not there."""

    def program(self, name: str) -> AbstractContextManager[Program | None]:
        """One of its programs, while it is open; None where it is not there."""


@dataclass(frozen=True)
class Program:
    """A program that can be read: where it is in a file that is open."""

    file: BinaryIO
    start: int
    size: int


def read_app_signature(bundle: Bundle, roots: frozenset[str]) -> Signature:
    """Who signed an app.

    Args:
        bundle: the app.
        roots: SHA-256 fingerprints of the roots that count.

    Returns:
        `signed`, `adhoc`, `unsigned`, or `not_looked_at` where its program is a script.

    Raises:
        MalformedError: the signature is broken; the reason says how.
    """
    info, resources = bundle.read(INFO), bundle.read(CODE_RESOURCES)
    facts = read_info(info) if info else None
    name = (facts and facts.executable) or bundle.path.rsplit("/", 1)[-1].removesuffix(APP)
    with bundle.program(name) as program:
        if program is None:
            if resources is None:
                return Signature("unsigned", of="app")
            raise MalformedError("app", f"its main executable {name[:80]!r} is missing")
        parts = {INFO_SLOT: info, RESOURCES_SLOT: resources}
        try:
            found = read_code(program.file, program.start, program.size, parts, roots)
        except NotCodeError:
            return _no_code(resources)
    return _outcome(bundle, found)


def _no_code(resources: bytes | None) -> Signature:
    if resources is None:
        return Signature("unsigned", of="app")
    return Signature("not_looked_at", of="app", why="its main executable is a script, whose signature lies beside it")


def _outcome(bundle: Bundle, found: list[SignedCode | None]) -> Signature:
    """One word for all architectures."""
    codes = [one for one in found if one is not None]
    signed = [one.signed for one in codes if one.signed is not None]
    if not signed:
        if not codes:
            return Signature("unsigned", of="app")
        loose = [f"{name}: it is not sealed" for one in codes for name in one.loose]
        return Signature("adhoc", of="app", not_verified=("who signed it: an ad hoc seal names nobody", *loose))
    first = signed[0].chain
    if len(signed) < len(found) or any(one.chain.leaf != first.leaf for one in signed):
        raise MalformedError("code signature", "not all of its architectures are signed by the same one")
    stamps = [one.timestamp for one in signed]
    oldest = min((one for one in stamps if one), default=None) if all(stamps) else None
    notarized, odd = _ticket(bundle, codes)
    authority = first.authority("app")
    verified = ["its main executable, Info.plist and CodeResources", f"the certificates up to {first.root}"]
    verified += ["the secure timestamp"] if oldest else []
    verified += ["the notarization ticket"] if notarized else []
    return Signature(
        status="signed",
        name=first.name,
        # In the Mac App Store Apple signs, and the code directory, which is sealed, has the developer's team.
        team_id=as_team(codes[0].team) if authority == "mac_app_store" else first.team_id,
        authority=authority,
        timestamp=oldest.isoformat() if oldest else None,
        notarized=notarized,
        of="app",
        verified=tuple(verified),
        not_verified=(*signed[0].not_verified, *odd, _NOT_LOOKED_AT, _REVOCATION),
    )


def _ticket(bundle: Bundle, codes: list[SignedCode]) -> tuple[bool, tuple[str, ...]]:
    ticket = bundle.read(TICKET)
    if ticket is None:
        return False, ()
    try:
        check_ticket(ticket, [one.code_hash for one in codes])
    except MalformedError as problem:
        return False, (f"the stapled notarization ticket: {problem.reason}",)
    return True, ()


@dataclass(frozen=True)
class Contained:
    """An app in an archive or a disk image.

    Attributes:
        path: where it is.
        container: what holds it.
        items: its parts, by `part_key`; None for what is there twice.
    """

    path: str
    container: Container
    items: Mapping[str, ArchiveEntry | None]

    def read(self, part: str) -> bytes | None:
        """One of its files; None where it is not there."""
        item = self._item(part)
        return self.container.read(item, _CAPS[part.casefold()]) if item is not None else None

    @contextmanager
    def program(self, name: str) -> Iterator[Program | None]:
        """One of its programs, while it is open; None where it is not there."""
        item = self._item(f"{PROGRAMS}/{name}")
        if item is None:
            yield None
            return
        with self.container.opened(item) as file:
            yield Program(file, 0, item.size)

    def _item(self, part: str) -> ArchiveEntry | None:
        """A part; a link counts for nothing."""
        key = part_key(part)
        item = self.items.get(key) if key is not None else None
        if item is None and key in self.items:
            raise _twice(part)
        return item if item is not None and not item.link else None


class Unpacked:
    """An app in a payload, which can only be read once: its parts, and its programs in a temporary file.

    Args:
        path: where it is in the payload.
        spool: takes the programs, one after the other.
    """

    def __init__(self, path: str, spool: BinaryIO) -> None:
        self.path = path
        self._spool = spool
        self._parts: dict[str, bytes | Program | None] = {}
        self._executable: str | None = None

    def read(self, part: str) -> bytes | None:
        """One of its files; None where it is not there."""
        found = self._parts.get(part.casefold())
        return found if isinstance(found, bytes) else None

    @contextmanager
    def program(self, name: str) -> Iterator[Program | None]:
        """One of its programs; None where it is not there."""
        found = self._parts.get(part_key(f"{PROGRAMS}/{name}") or "")
        yield found if isinstance(found, Program) else None

    def take(self, members: Cpio, member: Member, rest: str) -> None:
        """A file of the app, if it matters; once Info.plist has named the program, no other is kept.

        Raises:
            MalformedError: it is there twice, so that what is on the Mac in the end is not what was looked at.
        """
        key = part_key(rest)
        if key is None or stat.S_ISDIR(member.mode):
            return
        if key in self._parts:
            raise _twice(rest)
        self._parts[key] = None
        if not member.regular or not member.size:
            return
        if key in _CAPS:
            self._parts[key] = data = members.read(_CAPS[key])
            facts = read_info(data) if key == INFO.casefold() else None
            if facts is not None and facts.executable:
                self._executable = part_key(f"{PROGRAMS}/{facts.executable}")
        elif self._executable in (None, key):
            self._parts[key] = Program(self._spool, self._spool.tell(), member.size)
            members.copy(self._spool)


def _twice(part: str) -> MalformedError:
    return MalformedError("app", f"it has two files called {part[:80]!r}: which one a Mac gets cannot be said")


@contextmanager
def unpacked(stream: Stream, budget: Budget, path: str, prefix: str) -> Iterator[Unpacked]:
    """An app in a payload; the payload is read to its end, with constant memory.

    Args:
        stream: the payload as stored.
        budget: what may be decoded.
        path: where the app is.
        prefix: what comes before each path, where the payload is the inside of a bundle.

    Raises:
        MalformedError: the payload is broken, hostile or truncated.
    """
    with tempfile.TemporaryFile() as spool:
        app = Unpacked(path, spool)
        members = Cpio(decode(stream, budget), budget)
        for member in members:
            place = outer_app(prefix + composed(member.name.decode("utf-8", "replace")).rstrip("/"))
            if place is not None and place[0].casefold() == path.casefold():
                app.take(members, member, place[1])
        yield app
