"""What an installer brings to a Mac, as one digest, whatever else differs between two files.

Packages are not reproducible: `pkgbuild` writes other dates, sizes and orders each time. Two installers with one digest
bring the same files, with the same modes, owners and links, run the same scripts by the same rules, and are signed by
the same one. Who signed an app is in the app's files; only a package's own signature has to be told.

It is gathered in the pass in which who signed it is looked at, where there is one. Whatever cannot be read, or would
depend on an order (a file that is there twice, a file below a link, hard links), has no digest, and says why.
"""

from __future__ import annotations

import hashlib
import json
import posixpath
import stat
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import BinaryIO

from kandji_uploader.installer import xar
from kandji_uploader.installer.contents import ArchiveEntry, Container
from kandji_uploader.installer.cpio import Cpio, Member
from kandji_uploader.installer.limits import FILES, METADATA_BYTES, SIGNED_FILES, Budget, MalformedError
from kandji_uploader.installer.payload import decode
from kandji_uploader.installer.signature_files import folded, folders
from kandji_uploader.installer.streams import Stream, blocks, read_all
from kandji_uploader.installer.xmlwalk import canonical
from kandji_uploader.models import Content, InstallType, Signature

_SCHEME = "kandji-uploader content 1"
"""What the digests mean. Where that changes, this does, and each installer is news once."""
_SHOWN = 32
_KEY = 16
_FOLDER, _FILE, _LINK = b"d", b"f", b"l"
_INFO, _DISTRIBUTION, _BOM = "PackageInfo", "Distribution", "Bom"
_ARCHIVES = ("Payload", "Scripts")
# What pkgbuild and productbuild write of how they have packed it: sizes, and which version of them it was.
_SIZES = frozenset({"installKBytes", "updateKBytes", "archiveKBytes", "numberOfFiles"})
_PACKED: Mapping[str, frozenset[str]] = MappingProxyType(
    {"pkg-info": frozenset({"generator-version"}), "payload": _SIZES, "pkg-ref": _SIZES}
)
# Of a volume and not of what is on it: events, trash and index of macOS; the journal and the hard links of HFS+, as
# 7-Zip names them. They hold dates and identifiers that differ in each image.
_OF_A_VOLUME = (
    *(".fseventsd", ".trashes", ".spotlight-v100", ".journal", ".journal_info_block"),
    *("[hfs+ private data]", ".hfs+ private directory data", ".hfs+ private directory data\r"),
)


class Tree:
    """A digest of files by their paths; the order in which they come does not matter.

    The memory is about 100 bytes a file. The first thing that keeps the files from having a digest is kept in mind, and
    the rest is not read for it.

    Args:
        place: named in errors.
        budget: what may be read.
        volume: whether it is a volume, whose own files do not count.
    """

    def __init__(self, place: str, budget: Budget, *, volume: bool = False) -> None:
        self._place = place
        self._budget = budget
        self._volume = volume
        self._records: set[bytes] = set()
        self._folders: set[bytes] = set()
        self._shared: set[int] = set()
        self._why: MalformedError | None = None

    def refuse(self, reason: str) -> None:
        """The files have no digest."""
        self._why = self._why or MalformedError(self._place, reason)

    def member(self, member: Member, content: Iterable[bytes], sha256: bytes | None = None) -> None:
        """Add a member of a payload; its content is read unless its SHA-256 is known.

        Raises:
            MalformedError: the content cannot be read.
        """
        # Apple's tools give the `._` file of a folder the folder's count of links, so only the inode tells.
        if member.regular and member.shared:
            if member.inode in self._shared:
                self.refuse("it holds hard links")
            self._shared.add(member.inode)
        name = member.name.decode("utf-8", "surrogateescape")
        self._add(name, member.mode, (member.owner, member.group), content, sha256)

    def end(self, members: Cpio) -> None:
        """All members of a payload have come."""
        try:
            members.finish()
        except MalformedError as problem:
            self.refuse(problem.reason)

    def entry(self, item: ArchiveEntry, content: Iterable[bytes], sha256: bytes | None = None) -> None:
        """Add a member of an archive or a disk image. Raises as `member`."""
        if self._volume and item.path.partition("/")[0].casefold() in _OF_A_VOLUME:
            return
        kind = stat.S_IFDIR if item.folder else stat.S_IFLNK if item.link else stat.S_IFREG
        self._add(item.path, kind | stat.S_IMODE(item.mode), (), content, sha256)

    def digest(self) -> bytes:
        """Of all of them.

        Raises:
            MalformedError: they have none; the reason says why.
        """
        made, before = hashlib.sha256(), b""
        for record in sorted(self._records):
            if record.startswith(before) and before:
                self.refuse("a file is there twice, and which one a Mac gets cannot be said")
            before = record[:_KEY]
            if before in self._folders and not record.startswith(_FOLDER, _KEY):
                self.refuse("a file lies below a link or a file")
            made.update(record)
        if self._why is not None:
            raise self._why
        return made.digest()

    def _add(
        self, name: str, mode: int, owners: tuple[int, ...], content: Iterable[bytes], sha256: bytes | None
    ) -> None:
        kind = {stat.S_IFDIR: _FOLDER, stat.S_IFREG: _FILE, stat.S_IFLNK: _LINK}.get(stat.S_IFMT(mode))
        if kind is None:
            self.refuse(f"{name[:80]!r} is neither a file nor a folder nor a link")
        if len(self._records) >= FILES:
            self.refuse(f"it holds more than {FILES:,} files")
        if self._why is not None or kind is None:
            return
        known = b"" if kind == _FOLDER else sha256 or self.read(content)
        said = json.dumps([name, stat.S_IMODE(mode), owners, known.hex()])
        key = folded(name)
        self._records.add(_key(key) + kind + hashlib.sha256(said.encode()).digest())
        for folder in folders(key):
            seen = _key(folder)
            if seen in self._folders:
                break
            self._folders.add(seen)

    def read(self, content: Iterable[bytes]) -> bytes:
        """The SHA-256 of what a file has. Raises as `member`."""
        made = hashlib.sha256()
        for block in content:
            self._budget.decoded(len(block))
            made.update(block)
        return made.digest()


def _key(path: str) -> bytes:
    """By what a path is known."""
    return hashlib.sha256(path.encode("utf-8", "surrogateescape")).digest()[:_KEY]


class PackageContent:
    """The content of a flat package, part by part: each is read once, by whoever has to read it anyway.

    Args:
        file: the package; must be able to seek.
        size: its bytes.

    Raises:
        MalformedError: it is broken.
    """

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._archive = xar.open_archive(file, size, None)
        self._budget = Budget("", size)
        self._parts: dict[str, bytes] = {}
        self._entries: dict[str, xar.Entry] = {}
        self._starts: dict[int, xar.Entry] = {}
        self._why: MalformedError | None = None
        try:
            self._list(size)
        except MalformedError as problem:
            self._why = problem

    def tree(self, path: str) -> Tree:
        """Takes the files of a payload, for `keep`."""
        return Tree(path, self._budget)

    def keep(self, path: str, tree: Tree) -> None:
        """A payload has been read to its end."""
        try:
            self._parts[path] = tree.digest()
        except MalformedError as problem:
            self._why = self._why or problem

    def read_at(self, start: int, stored: Stream) -> None:
        """Read what begins there in the heap, from bytes that somebody else reads, too."""
        entry = self._starts.get(start)
        if entry is not None:
            self._take(entry, stored)

    def finish(self, signature: Signature | None) -> Content:
        """Read what nobody has read, and settle.

        Args:
            signature: who signed it, as far as somebody looked.
        """
        for entry in self._entries.values():
            self._take(entry)
        signer = _signer(signature, signed=self._archive.signed)
        if self._why is None and not signer:
            why = signature.why if signature is not None else "nobody looked"
            self._why = MalformedError("signature", f"who signed it is not known ({why})")
        if self._why is not None:
            return _none(self._why)
        parts = [[path, part.hex()] for path, part in sorted(self._parts.items())]
        return _content("package", [signer, parts])

    def _list(self, size: int) -> None:
        """What there is to be read: all but folders, and lists of the payload's files."""
        kept = [entry for entry in self._archive.entries if entry.kind != "directory"]
        odd = next((entry for entry in kept if entry.kind != "file"), None)
        if odd is not None:
            raise MalformedError(odd.path[:80], f"it is a {odd.kind[:20]}, not a file")
        self._entries = {entry.path: entry for entry in kept if entry.name != _BOM}
        self._starts = {entry.start: entry for entry in self._entries.values() if entry.length}
        if len({folded(entry.path) for entry in kept}) < len(kept) or len(kept) > SIGNED_FILES:
            raise MalformedError("TOC", "it lists a file twice, or too many")
        # Each byte is read once: a TOC that names the same large range 10,000 times costs no more.
        if sum(entry.length for entry in kept) > size:
            raise MalformedError("TOC", "its files overlap")

    def _take(self, entry: xar.Entry, stored: Stream | None = None) -> None:
        if self._why is not None or entry.path in self._parts:
            return
        self._budget.place = entry.path
        try:
            self._parts[entry.path] = self._read(entry, stored)
        except MalformedError as problem:
            self._why = problem

    def _read(self, entry: xar.Entry, stored: Stream | None) -> bytes:
        stream = self._archive.stream(entry, self._budget, stored)
        # The root's Distribution, and what lies beside a PackageInfo; elsewhere such names are those of any resource.
        component = posixpath.join(entry.folder, _INFO) in self._entries
        if entry.name in _ARCHIVES and component:
            return self._files(stream, entry) if entry.length else b""
        if entry.path == _DISTRIBUTION or entry.name == _INFO:
            document = read_all(stream, METADATA_BYTES, entry.path)
            return canonical(document, entry.path, _PACKED, ordered=entry.path == _DISTRIBUTION)
        return self.tree(entry.path).read(blocks(stream))

    def _files(self, stream: Stream, entry: xar.Entry) -> bytes:
        tree = self.tree(entry.path)
        members = Cpio(decode(stream, self._budget), self._budget)
        for member in members:
            tree.member(member, members.content())
        tree.end(members)
        return tree.digest()


def _signer(signature: Signature | None, *, signed: bool) -> str:
    """Who signed a package, for its digest; "" where that is not known.

    A package that the same team has signed again is the same; so is one by the same name, where Apple vouches for
    nobody. A stapled ticket is judged (`require_notarized`), so it counts. An app's signature is in the app.
    """
    if not signed:
        return "unsigned"
    if signature is None or signature.status != "signed" or signature.of != "package":
        return ""
    ticket = "notarized" if signature.notarized else "not notarized"
    return f"{signature.authority} {signature.team_id or signature.name or ''} {ticket}"


class ContainerContent:
    """The content of an archive or a disk image.

    Args:
        container: what is open.
        kind: package, image or zip.
        size: bytes of the file.
    """

    def __init__(self, container: Container, kind: InstallType, size: int) -> None:
        self._container = container
        self._kind = kind
        self._size = size
        self._found: Content | None = None

    def tree(self) -> Tree:
        """Takes all that is in it, for `keep`."""
        return Tree("", Budget("", self._size), volume=self._kind is InstallType.IMAGE)

    def keep(self, tree: Tree) -> None:
        """All of it has been read."""
        try:
            self._found = _content(self._kind.value, tree.digest().hex())
        except MalformedError as problem:
            self._found = _none(problem)

    def finish(self) -> Content:
        """Read it, if nobody has, and settle."""
        if self._found is None:
            tree = self.tree()
            try:
                for item, content in self._container.everything():
                    tree.entry(item, content)
            except MalformedError as problem:
                return _none(problem)
            self.keep(tree)
        return self._found or Content()


def _none(problem: MalformedError) -> Content:
    return Content(why=f"{problem.place}: {problem.reason}".removeprefix(": "))


def _content(kind: str, told: object) -> Content:
    return Content(hashlib.sha256(json.dumps([_SCHEME, kind, told]).encode()).hexdigest()[:_SHOWN])
