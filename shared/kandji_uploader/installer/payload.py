"""The payload of a package: finding apps in it and reading their Info.plist, no further than needed."""

from __future__ import annotations

import stat
from collections.abc import Callable
from dataclasses import dataclass, field

from kandji_uploader.installer import pbzx
from kandji_uploader.installer.choice import outer_app
from kandji_uploader.installer.cpio import Cpio, Member
from kandji_uploader.installer.limits import PLIST_BYTES, Budget, MalformedError
from kandji_uploader.installer.plists import BundleInfo, composed, read_info
from kandji_uploader.installer.streams import Prefixed, Stream, unbzip, unxz, unzip

_HEAD = 6
INFO = "Contents/Info.plist"
CODE_RESOURCES = "Contents/_CodeSignature/CodeResources"


@dataclass
class Apps:
    """The apps of one payload.

    Attributes:
        infos: what each app's Info.plist says, by the app's path; None where it has none that can be read.
        seen: the paths of those whose Info.plist was met.
        whole: whether the payload was read to its end, so that there are no others.
    """

    infos: dict[str, BundleInfo | None] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)
    whole: bool = False


def decode(stream: Stream, budget: Budget) -> Stream:
    """A payload without its compression, which its first bytes tell.

    Raises:
        MalformedError: the compression is not known.
    """
    head = b""
    while len(head) < _HEAD and (more := stream.read(_HEAD - len(head))):
        head += more
    whole = Prefixed(head, stream)
    # By the magic numbers of the formats: gzip (RFC 1952), pbzx, bzip2, xz (The .xz File Format, 2.1.1.1), cpio.
    if head.startswith(b"\x1f\x8b"):
        return unzip(whole, budget)
    if head.startswith(pbzx.MAGIC):
        return pbzx.Pbzx(whole, budget)
    if head.startswith(b"BZh"):
        return unbzip(whole, budget)
    if head.startswith(b"\xfd7zXZ"):
        return unxz(whole, budget)
    if head.startswith(b"0707"):
        return whole
    if head.startswith(b"pbz"):
        raise MalformedError(budget.place, f"it is compressed as {head[:4]!r}; of this kind only b'pbzx' is known")
    raise MalformedError(budget.place, "it is neither gzip, bzip2, xz, pbzx nor plain cpio: it is broken")


def scan(stream: Stream, budget: Budget, enough: Callable[[Apps, str], bool], prefix: str = "") -> Apps:
    """Read a payload for its apps.

    Args:
        stream: the payload as stored.
        budget: what may be decoded.
        prefix: what comes before each path, where the payload is the inside of a bundle (`Foo.app/`).
        enough: asked after each Info.plist, with what was found and the path of the app it belongs to; true ends it.

    Raises:
        MalformedError: the payload is broken, hostile or truncated before the end was reached.
    """
    found = Apps()
    members = Cpio(decode(stream, budget), budget)
    for member in members:
        if not prefix and b".app" not in member.name.lower():
            continue
        place = outer_app(prefix + composed(member.name.decode("utf-8", "replace")).rstrip("/"))
        if place is None:
            continue
        path, rest = place
        # A file or a link called `Foo.app` is no app: only a folder can hold an Info.plist.
        if not rest and not stat.S_ISDIR(member.mode):
            continue
        found.infos.setdefault(path, None)
        if rest == INFO:
            found.seen.add(path)
            found.infos[path] = read_info(members.read(PLIST_BYTES)) if _has_content(member) else None
            if enough(found, path):
                return found
    found.whole = True
    return found


def _has_content(member: Member) -> bool:
    """Whether an Info.plist is a file; a link is not followed."""
    return member.regular and member.size > 0
