"""The signature of an app: its main executable, and with it all that it seals: Info.plist, files, nested code."""

from __future__ import annotations

import posixpath
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from kandji_uploader.installer.choice import APP, outer_app
from kandji_uploader.installer.content import Tree
from kandji_uploader.installer.contents import Container
from kandji_uploader.installer.cpio import Cpio
from kandji_uploader.installer.limits import CODE_SIGNATURE_BYTES, PLIST_BYTES, TICKET_BYTES, Budget, MalformedError
from kandji_uploader.installer.payload import CODE_RESOURCES, INFO, decode
from kandji_uploader.installer.plists import composed, read_info
from kandji_uploader.installer.signature_code import (
    INFO_SLOT,
    RESOURCES_SLOT,
    NotCodeError,
    SignedCode,
    read_code,
)
from kandji_uploader.installer.signature_files import Files, folded
from kandji_uploader.installer.signature_seals import Seals
from kandji_uploader.installer.streams import Stream
from kandji_uploader.models import Signature

_CONTENTS = "Contents"
_UNSEALED = ("contents/info.plist", "contents/macos/")
_TICKET = "Contents/CodeResources"
"""Where a notarization ticket is stapled to an app."""
_REVOCATION = "revocation, which cannot be asked offline"


def read_app_signature(files: Files, roots: frozenset[str]) -> Signature:
    """Who signed an app.

    Args:
        files: the app.
        roots: SHA-256 fingerprints of the roots that count.

    Returns:
        `signed`, `adhoc`, `unsigned`, or `not_looked_at` where its program is a script.

    Raises:
        MalformedError: the signature is broken; the reason says how.
    """
    files.check_folders()
    info, resources = files.read(INFO, PLIST_BYTES), files.read(CODE_RESOURCES, CODE_SIGNATURE_BYTES)
    facts = read_info(info) if info else None
    name = (facts and facts.executable) or posixpath.basename(files.path).removesuffix(APP)
    path = f"{_CONTENTS}/MacOS/{name}"
    there, program = files.get(path), files.program(path)
    if (there is None or there.target is not None) and resources is not None:
        raise MalformedError("app", f"its main executable {name[:80]!r} is missing")
    if program is None:
        return _no_code(resources)
    try:
        found = read_code(*program, {INFO_SLOT: info, RESOURCES_SLOT: resources}, roots)
    except NotCodeError:
        return _no_code(resources)
    codes = [one for one in found if one is not None]
    if not any(one.signed for one in codes):
        return _unnamed(codes)
    teams = {one.signed.chain.team_id for one in codes if one.signed}
    seals = Seals(files, roots, frozenset(team for team in teams if team))
    seals.check(_CONTENTS, path, resources)
    return _outcome(files, found, seals)


def _no_code(resources: bytes | None) -> Signature:
    if resources is None:
        return Signature("unsigned", of="app")
    return Signature("not_looked_at", of="app", why="its main executable is a script, whose signature is beside it")


def _unnamed(codes: list[SignedCode]) -> Signature:
    """Nobody is named: there is no signature, or ad hoc ones."""
    if not codes:
        return Signature("unsigned", of="app")
    loose = [f"{name}: it is not sealed" for one in codes for name in one.loose]
    return Signature("adhoc", of="app", not_verified=("who signed it: an ad hoc seal names nobody", *loose))


def _outcome(files: Files, found: list[SignedCode | None], seals: Seals) -> Signature:
    """One word for all architectures."""
    from kandji_uploader.installer.signature_trust import as_team

    codes = [one for one in found if one is not None]
    signed = [one.signed for one in codes if one.signed is not None]
    first = signed[0].chain
    # In the Mac App Store Apple signs for all teams, so that the certificate alone does not tell one from another.
    if len(signed) < len(found) or len({(one.signed.chain.leaf, one.team) for one in codes if one.signed}) > 1:
        raise MalformedError("code signature", "not all of its architectures are signed by the same one")
    stamps = [one.timestamp for one in signed]
    oldest = min((one for one in stamps if one), default=None) if all(stamps) else None
    notarized, odd = _ticket(files, codes)
    authority = first.authority("app")
    added = seals.look_for_more()
    verified = [
        *("its main executable, Info.plist and CodeResources", *seals.told()),
        f"the certificates up to {first.root}",
    ]
    verified += ["the secure timestamp"] if oldest else []
    verified += ["the notarization ticket"] if notarized else []
    signature = Signature(
        status="signed",
        name=first.name,
        # In the Mac App Store Apple signs, and the code directory, which is sealed, has the developer's team.
        team_id=as_team(codes[0].team) if authority == "mac_app_store" else first.team_id,
        authority=authority,
        timestamp=oldest.isoformat() if oldest else None,
        notarized=notarized,
        of="app",
        verified=tuple(verified),
        not_verified=(*signed[0].not_verified, *odd, *seals.odd, _REVOCATION),
    )
    if added:
        return Signature("unsigned", of="app", why=f"it is {signature}, but for {added}")
    return signature


def _ticket(files: Files, codes: list[SignedCode]) -> tuple[bool, tuple[str, ...]]:
    ticket = files.read(_TICKET, TICKET_BYTES)
    if ticket is None:
        return False, ()
    from kandji_uploader.installer.signature_ticket import check_ticket

    try:
        check_ticket(ticket, [one.code_hash for one in codes])
    except MalformedError as problem:
        return False, (f"the stapled notarization ticket: {problem.reason}",)
    return True, ()


@contextmanager
def contained(path: str, container: Container, *, sealed: bool = True, tree: Tree | None = None) -> Iterator[Files]:
    """An app in an archive or a disk image, all of which is read; with constant memory.

    Args:
        path: where it is.
        container: what holds it.
        sealed: whether it has a list of seals; where there is none, only its programs and Info.plist are read.
        tree: takes all that is in the container, in the same pass.

    Raises:
        MalformedError: the container is broken or hostile.
    """
    with tempfile.TemporaryFile() as spool:
        files = Files(path, spool)
        depth, start = path.count("/") + 1, f"{folded(path)}/"
        for item, content in container.inside(path) if tree is None else container.everything():
            name, sha256 = composed(item.path).split("/", depth)[-1], None
            there = tree is None or (not item.folder and folded(item.path).startswith(start))
            if there and (sealed or folded(name).startswith(_UNSEALED)):
                sha256 = files.take(name, content, link=item.link)
            if tree is not None:
                tree.entry(item, content, sha256)
        yield files


@contextmanager
def unpacked(stream: Stream, budget: Budget, path: str, prefix: str, tree: Tree | None = None) -> Iterator[Files]:
    """An app in a payload; the payload is read to its end, with constant memory.

    Args:
        stream: the payload as stored.
        budget: what may be decoded.
        path: where the app is.
        prefix: what comes before each path, where the payload is the inside of a bundle.
        tree: takes all that is in the payload, in the same pass.

    Raises:
        MalformedError: the payload is broken, hostile or truncated.
    """
    with tempfile.TemporaryFile() as spool:
        files = Files(path, spool)
        members = Cpio(decode(stream, budget), budget)
        for member in members:
            place = outer_app(prefix + composed(member.name.decode("utf-8", "replace")).rstrip("/"))
            sha256 = None
            if place is not None and place[0].casefold() == path.casefold() and not stat.S_ISDIR(member.mode):
                sha256 = files.take(place[1], members.content(), link=member.link, shared=member.shared)
            if tree is not None:
                tree.member(member, members.content(), sha256)
        if tree is not None:
            tree.end(members)
        yield files
