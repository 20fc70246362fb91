"""Writers of the formats that installers are made of: small, and able to lie, so that readers can be tested.

Members of archives are `(name, mode, bytes)`; files of a xar are `Stored`.
"""

from __future__ import annotations

import base64
import bz2
import gzip
import hashlib
import lzma
import plistlib
import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

SEALS = b"<plist><dict/></plist>"
FOLDER, FILE, LINK = 0o040755, 0o100644, 0o120755

Member = tuple[str, int, bytes]


def info_plist(bundle_id="com.example.app", short="1.2.3", build="45", minimum="12.0", *, binary=False, **more):
    """An Info.plist; None leaves a key out."""
    held = {
        "CFBundleIdentifier": bundle_id,
        "CFBundleShortVersionString": short,
        "CFBundleVersion": build,
        "LSMinimumSystemVersion": minimum,
        **more,
    }
    held = {key: value for key, value in held.items() if value is not None}
    return plistlib.dumps(held, fmt=plistlib.FMT_BINARY if binary else plistlib.FMT_XML)


def app(name="Example.app", folder="./Applications", plist=None, *, before=(), after=(), signed=False) -> list[Member]:
    """The members of an app; `before` and `after` its Info.plist come further files of its Resources."""
    root = f"{folder}/{name}".removeprefix("./") if not folder else f"{folder}/{name}"
    members = [(folder or ".", FOLDER, b""), (root, FOLDER, b""), (f"{root}/Contents", FOLDER, b"")]
    members += [(f"{root}/Contents/Resources/{one}", FILE, data) for one, data in before]
    members.append((f"{root}/Contents/Info.plist", FILE, info_plist() if plist is None else plist))
    if signed:
        members.append((f"{root}/Contents/_CodeSignature/CodeResources", FILE, SEALS))
    members += [(f"{root}/Contents/Resources/{one}", FILE, data) for one, data in after]
    return members


def odc(members: Iterable[Member], *, trailer=True, first=1, owner=0, group=0, links=1, mtime=1_700_000_000) -> bytes:
    """A cpio archive in octal, without padding; `first` is the first inode."""
    out = bytearray()
    for number, (name, mode, data) in enumerate(_ended(members, trailer), start=first):
        raw = name.encode("utf-8", "surrogateescape") + b"\0"
        out += b"070707000000%06o%06o%06o%06o%06o000000%011o%06o%011o" % (
            *(number & 0o777777, mode, owner, group, links, mtime),
            *(len(raw), len(data)),
        )
        out += raw + data
    return bytes(out)


def newc(members: Iterable[Member], *, trailer=True, magic=b"070701") -> bytes:
    """A cpio archive in hexadecimal, padded to 4."""
    out = bytearray()
    for number, (name, mode, data) in enumerate(_ended(members, trailer), start=1):
        raw = name.encode("utf-8", "surrogateescape") + b"\0"
        fields = (number, mode, 0, 0, 1, 1_700_000_000, len(data), 0, 0, 0, 0, len(raw), 0)
        out += magic + b"".join(b"%08x" % one for one in fields) + raw
        out += b"\0" * (-len(out) % 4) + data
        out += b"\0" * (-len(out) % 4)
    return bytes(out)


def _ended(members: Iterable[Member], trailer: bool) -> list[Member]:
    return [*members, *([("TRAILER!!!", 0, b"")] if trailer else [])]


def pbzx(data: bytes, *, block=1 << 16, raw=(), preset=1) -> bytes:
    """Chunks of xz; those whose number is in `raw` are stored as they are, as are those that xz cannot shrink."""
    out = bytearray(b"pbzx" + struct.pack(">Q", block))
    for number, at in enumerate(range(0, len(data), block)):
        piece = data[at : at + block]
        stored = lzma.compress(piece, preset=preset, check=lzma.CHECK_CRC32)
        if number in raw or len(stored) >= len(piece):
            stored = piece
        out += struct.pack(">QQ", len(piece), len(stored)) + stored
    return bytes(out)


COMPRESSIONS = {
    "gzip": lambda data: gzip.compress(data, 6, mtime=0),
    "bzip2": bz2.compress,
    "xz": lambda data: lzma.compress(data, preset=1),
    "plain": bytes,
    "pbzx": pbzx,
}

_ENCODINGS = {
    "application/octet-stream": bytes,
    "application/x-gzip": lambda data: zlib.compress(data, 9),
    "application/x-bzip2": bz2.compress,
    "application/x-lzma": lambda data: lzma.compress(data, format=lzma.FORMAT_ALONE),
    "application/x-xz": lzma.compress,
}


@dataclass
class Stored:
    """One file of a xar.

    Attributes:
        path: `/`-separated; folders are made as needed.
        data: its content.
        encoding: how it is stored.
        offset: a lie about where it is; None for the truth.
        length: a lie about how long it is.
        says: a lie about how it is stored; None for the truth.
        extra: further XML in its `<file>`, before all else.
    """

    path: str
    data: bytes
    encoding: str = "application/octet-stream"
    offset: int | str | None = None
    length: int | str | None = None
    says: str | None = None
    extra: str = ""


@dataclass
class _Node:
    files: dict[str, Stored] = field(default_factory=dict)
    folders: dict[str, _Node] = field(default_factory=dict)


def xar(
    files: Iterable[Stored],
    *,
    names=1,
    encoded_names=False,
    checksum="sha1",
    header_size=28,
    signatures=(),
    name_last=False,
    reverse=False,
    toc: bytes | None = None,
    declared: int | None = None,
) -> bytes:
    """A xar archive.

    Args:
        files: what is in it.
        names: how often each `<name>` is said.
        encoded_names: say names in base64.
        checksum: sha1, sha256, sha512 or none, of the TOC.
        header_size: 28 or more; the rest is filled up.
        signatures: the tags of signatures to name in the TOC.
        name_last: put names after the data and after what is in a folder.
        reverse: lay the heap out in the reverse order.
        toc: a TOC to be used instead of the right one.
        declared: a lie about the TOC's length when decoded.
    """
    kept = list(files)
    size = {"none": 0, "sha1": 20, "sha256": 32, "sha512": 64}[checksum]
    heap, places = _heap(kept[::-1] if reverse else kept, size)
    writer = _TocWriter(places, names=names, encoded=encoded_names, name_last=name_last)
    text = f'<?xml version="1.0" encoding="UTF-8"?>\n<xar><toc><checksum style="{checksum}"><offset>0</offset>'
    text += f"<size>{size}</size></checksum>"
    for tag in signatures:
        text += f'<{tag} style="RSA"><offset>{len(heap)}</offset><size>256</size><KeyInfo/></{tag}>'
        heap += b"\7" * 256
    text += writer.tree(_tree(kept)) + "</toc></xar>"
    plain = text.encode() if toc is None else toc
    packed = zlib.compress(plain)
    if size:
        heap[:size] = hashlib.new(checksum, packed).digest()
    number = {"none": 0, "sha1": 1, "sha256": 3, "sha512": 4}[checksum]
    length = len(plain) if declared is None else declared
    head = struct.pack(">4sHHQQI", b"xar!", header_size, 1, len(packed), length, number)
    return head.ljust(header_size, b"\0") + packed + bytes(heap)


def _heap(files: list[Stored], begin: int) -> tuple[bytearray, dict[int, tuple[int, int]]]:
    """The heap, with room for the checksum at its begin, and where each file is in it."""
    heap, places = bytearray(begin), {}
    for one in files:
        stored = _ENCODINGS.get(one.encoding, bytes)(one.data)
        places[id(one)] = (len(heap), len(stored))
        heap += stored
    return heap, places


def _tree(files: list[Stored]) -> _Node:
    root = _Node()
    for one in files:
        node = root
        *folders, name = one.path.split("/")
        for folder in folders:
            node = node.folders.setdefault(folder, _Node())
        node.files[name] = one
    return root


@dataclass
class _TocWriter:
    places: dict[int, tuple[int, int]]
    names: int
    encoded: bool
    name_last: bool
    number: int = 0

    def tree(self, node: _Node) -> str:
        parts = [self._file(name, "directory", self.tree(inner)) for name, inner in node.folders.items()]
        parts += [self._file(name, "file", self._data(one)) for name, one in node.files.items()]
        return "".join(parts)

    def _file(self, name: str, kind: str, content: str) -> str:
        self.number += 1
        said = f"<name>{escape(name)}</name>"
        if self.encoded:
            said = f'<name enctype="base64">{base64.b64encode(name.encode()).decode()}</name>'
        said = said * self.names + f"<type>{kind}</type>"
        return f'<file id="{self.number}">' + (content + said if self.name_last else said + content) + "</file>"

    def _data(self, one: Stored) -> str:
        offset, length = self.places[id(one)]
        offset = offset if one.offset is None else one.offset
        length = length if one.length is None else one.length
        return (
            f'{one.extra}<data><encoding style="{one.says or one.encoding}"/><offset>{offset}</offset>'
            f"<size>{len(one.data)}</size><length>{length}</length></data>"
        )


def package_info(identifier="com.example.pkg", version="1.2.3", location="/", bundles=(), more="") -> bytes:
    """A PackageInfo; a bundle is a dict of attributes."""
    place = f" install-location={quoteattr(location)}" if location is not None else ""
    said = f" version={quoteattr(version)}" if version is not None else ""
    listed = "".join(f"<bundle {_attributes(one)}/>" for one in bundles)
    text = f'<?xml version="1.0" encoding="utf-8"?><pkg-info format-version="2" identifier={quoteattr(identifier)}'
    return f'{text}{said}{place} auth="root">{listed}{more}</pkg-info>'.encode()


def _attributes(held: dict[str, str]) -> str:
    return " ".join(f"{key}={quoteattr(value)}" for key, value in held.items())


def bundle(path="./Applications/Example.app", identifier="com.example.app", short="1.2.3", build="45"):
    """The attributes of a `<bundle>`; None leaves one out."""
    held = {"path": path, "id": identifier, "CFBundleShortVersionString": short, "CFBundleVersion": build}
    return {key: value for key, value in held.items() if value is not None}


def distribution(refs=(), product=None, more="") -> bytes:
    """A Distribution; refs are (id, version, target), product is (id, version)."""
    said = f"<product id={quoteattr(product[0])} version={quoteattr(product[1])}/>" if product else ""
    named = "".join(
        f"<pkg-ref id={quoteattr(one)} version={quoteattr(v)}>{escape(to)}</pkg-ref>" for one, v, to in refs
    )
    return f'<installer-gui-script minSpecVersion="1">{said}{named}{more}</installer-gui-script>'.encode()


def component(folder="", info=None, payload=None, listing=None) -> list[Stored]:
    """The files of a component: PackageInfo, Payload and Bom."""
    prefix = f"{folder}/" if folder else ""
    files = [Stored(f"{prefix}PackageInfo", package_info() if info is None else info, "application/x-gzip")]
    if payload is not None:
        files.append(Stored(f"{prefix}Payload", payload))
    if listing is not None:
        files.append(Stored(f"{prefix}Bom", listing, "application/x-gzip"))
    return files


def payload(members: Iterable[Member], compression="gzip", spelling=odc) -> bytes:
    """A payload as it is in a package."""
    return COMPRESSIONS[compression](spelling(members))


def write(path: Path, data: bytes) -> Path:
    """Write a file; returns its path."""
    path.write_bytes(data)
    return path


def bom(paths: Iterable[str], *, leaf=64) -> bytes:
    """A bill of materials that lists these paths and the folders they are in; leaves of so many files each."""
    every: dict[str, int] = {".": 1}
    for path in paths:
        parts = path.removeprefix("./").split("/")
        for depth in range(1, len(parts) + 1):
            every.setdefault("./" + "/".join(parts[:depth]), len(every) + 1)
    store = _BomStore()
    pairs = []
    for path, number in every.items():
        above, _, name = path.rpartition("/")
        details = store.add(struct.pack(">BBHHIII", 1, 0, 15, 0o644, 0, 0, 0))
        info = store.add(struct.pack(">II", number, details))
        file = store.add(struct.pack(">I", every.get(above, 0)) + name.encode() + b"\0")
        pairs.append((info, file))
    groups = [pairs[at : at + leaf] for at in range(0, len(pairs), leaf)]
    first = store.count + 1
    for at, group in enumerate(groups):
        following = first + at + 1 if at + 1 < len(groups) else 0
        head = struct.pack(">HHII", 1, len(group), following, first + at - 1 if at else 0)
        store.add(head + b"".join(struct.pack(">II", *pair) for pair in group))
    root = first
    if len(groups) > 1:
        children = b"".join(struct.pack(">II", first + at, group[-1][1]) for at, group in enumerate(groups))
        root = store.add(struct.pack(">HHII", 0, len(groups), 0, 0) + children)
    tree = store.add(b"tree" + struct.pack(">IIIIB", 1, root, 4096, len(pairs), 0))
    return store.bytes([("BomInfo", 0), ("Paths", tree)])


@dataclass
class _BomStore:
    blocks: list[bytes] = field(default_factory=list)

    @property
    def count(self) -> int:
        return len(self.blocks)

    def add(self, block: bytes) -> int:
        self.blocks.append(block)
        return len(self.blocks)

    def bytes(self, variables) -> bytes:
        body, table = bytearray(512), [(0, 0)]
        for block in self.blocks:
            table.append((len(body), len(block)))
            body += block
        listing = struct.pack(">I", len(variables))
        listing += b"".join(struct.pack(">IB", block, len(name)) + name.encode() for name, block in variables)
        index = struct.pack(">I", len(table)) + b"".join(struct.pack(">II", *one) for one in table)
        places = (len(body), len(listing), len(body) + len(listing), len(index))
        head = struct.pack(">8s6I", b"BOMStore", 1, len(table), places[2], places[3], places[0], places[1])
        body[: len(head)] = head
        return bytes(body) + listing + index
