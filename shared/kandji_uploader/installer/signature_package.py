"""The signature of a flat package: over its table of contents, which has the checksum of each file in it."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import BinaryIO

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import padding, rsa, utils

from kandji_uploader.installer import xar
from kandji_uploader.installer.content import PackageContent
from kandji_uploader.installer.limits import BLOCK, CERTIFICATES, CMS_BYTES, SIGNED_FILES, MalformedError
from kandji_uploader.installer.signature_cms import Signed, read_cms
from kandji_uploader.installer.signature_ticket import check_ticket, stapled_to
from kandji_uploader.installer.signature_trust import algorithm, chain, load, reading, verify
from kandji_uploader.installer.streams import FileSlice, Hashed
from kandji_uploader.models import Signature

_STYLES = {"sha1": "sha1", "sha256": "sha256", "sha512": "sha512"}
# By Apple's xar. The xar project itself means "other, named in the header" by 3, which no package was seen to have.
_NUMBERS = {1: "sha1", 3: "sha256", 4: "sha512"}
"""The algorithms of the header; 2 is MD5, which proves nothing."""
_RSA, _CMS, _SUM = "signature", "x-signature", "checksum"
_PLACE = "signature"


def read_package_signature(
    file: BinaryIO, size: int, roots: frozenset[str], content: PackageContent | None = None
) -> Signature:
    """Who signed a flat package.

    Args:
        file: the package; must be able to seek.
        size: its bytes.
        roots: SHA-256 fingerprints of the roots that count.
        content: is read in the same pass.

    Returns:
        `signed` or `unsigned`.

    Raises:
        MalformedError: the signature is broken; the reason says how.
    """
    header = xar.read_header(file, size)
    toc = _SealedToc()
    xar.walk_toc(file, header, toc)
    if not toc.signatures:
        return Signature("unsigned", of="package")
    checksum, used = _checksum(file, size, header, toc)
    signed = _signer(file, size, header, toc, checksum, used, roots)
    signed.check_validity()
    checked = _check_files(file, size, header.heap, toc, content)
    verified = _verified(toc, signed, used, checked)
    notarized, odd = _ticket(file, size, checksum)
    if notarized:
        verified.append("the notarization ticket")
    return Signature(
        status="signed",
        name=signed.chain.name,
        team_id=signed.chain.team_id,
        authority=signed.chain.authority("package"),
        timestamp=signed.timestamp.isoformat() if signed.timestamp else None,
        notarized=notarized,
        of="package",
        verified=tuple(verified),
        not_verified=(*signed.not_verified, *odd, "revocation, which cannot be asked offline"),
    )


def _verified(toc: _SealedToc, signed: Signed, used: str, checked: int) -> list[str]:
    ways = " and ".join({_RSA: "RSA", _CMS: "CMS"}[kind] for kind in toc.signatures)
    verified = [
        f"the signature over the table of contents ({ways})",
        f"the certificates up to {signed.chain.root}",
        f"the {used} checksum of the table of contents, and of all {checked} files",
    ]
    return [*verified, "the secure timestamp"] if signed.timestamp else verified


@dataclass
class _Place:
    """What an element says of bytes in the heap: a checksum, a signature, or a file's data."""

    style: str = ""
    name: str = "?"
    numbers: dict[str, int] = field(default_factory=dict)
    checksum: tuple[str, str] | None = None
    certificates: list[str] = field(default_factory=list)

    def within(self, heap: int, size: int, length: str) -> tuple[int, int]:
        """Where it begins in the file, and its bytes.

        Raises:
            MalformedError: it has no place, or one that is not in the file.
        """
        offset, stored = self.numbers.get("offset"), self.numbers.get(length)
        if offset is None or stored is None or heap + offset + stored > size:
            raise MalformedError(f"TOC, {self.name[:80]!r}", "its bytes are outside the file")
        return heap + offset, stored


@dataclass
class _OpenFile:
    """A `<file>` that is being read; its name comes last."""

    name: str = "?"
    places: list[_Place] = field(default_factory=list)

    def close(self) -> None:
        """It is complete."""
        for one in self.places:
            one.name = self.name


class _SealedToc:
    """Collects from the TOC what a signature is about."""

    def __init__(self) -> None:
        self.sealed: dict[str, _Place] = {}
        self.files: list[_Place] = []
        self._open: list[_OpenFile] = []
        self._at: _Place | None = None

    def start(self, parents: list[str], tag: str, attributes: dict[str, str]) -> None:
        """Something with a place in the heap begins."""
        within = parents[-1] if parents else ""
        if within == "toc" and tag in (_RSA, _CMS, _SUM):
            if tag in self.sealed:
                raise MalformedError("TOC", f"it has several elements <{tag}>")
            self.sealed[tag] = self._at = _Place(attributes.get("style", ""), tag)
        elif within == "file" and tag in ("data", "ea"):
            self._at = self._data()
        elif tag == "file":
            self._open.append(_OpenFile())

    def end(self, parents: list[str], tag: str, attributes: dict[str, str], text: str) -> None:
        """One of its values is complete."""
        within = parents[-1] if parents else ""
        if tag == "file" and self._open:
            self._open.pop().close()
        elif tag == "name" and within == "file" and self._open:
            self._open[-1].name = text
        elif self._at is not None:
            self._value(self._at, within, tag, attributes, text)

    @property
    def signatures(self) -> dict[str, _Place]:
        """The plain signature and the CMS, as far as there are any."""
        return {tag: place for tag, place in self.sealed.items() if tag != _SUM}

    def _data(self) -> _Place:
        if len(self.files) >= SIGNED_FILES:
            raise MalformedError("TOC", f"it lists more than {SIGNED_FILES:,} files")
        place = _Place()
        self.files.append(place)
        if self._open:
            self._open[-1].places.append(place)
        return place

    @staticmethod
    def _value(place: _Place, within: str, tag: str, attributes: dict[str, str], text: str) -> None:
        if tag in ("offset", "length", "size") and within in (_RSA, _CMS, _SUM, "data", "ea"):
            place.numbers.setdefault(tag, xar.number(text, tag))
        elif tag == "archived-checksum" and within in ("data", "ea"):
            place.checksum = (attributes.get("style", "").strip().lower(), text.strip().lower())
        elif tag == "X509Certificate" and len(place.certificates) <= CERTIFICATES:
            place.certificates.append(text)


def _checksum(file: BinaryIO, size: int, header: xar.Header, toc: _SealedToc) -> tuple[bytes, str]:
    """The checksum of the TOC, held against the TOC, and its algorithm."""
    used, told = _NUMBERS.get(header.algorithm), toc.sealed.get(_SUM)
    # Header and TOC both name the algorithm. Where they differ, two readers would check two different seals.
    if used is None or told is None or _STYLES.get(told.style.strip().lower()) != used:
        raise MalformedError("TOC", "its checksum is of a kind that proves nothing, or the header says another")
    start, length = told.within(header.heap, size, "size")
    made = hashlib.new(used)
    source = FileSlice(file, header.start, header.stored)
    while data := source.read(BLOCK):
        made.update(data)
    if length != made.digest_size or FileSlice(file, start, length).read(length) != made.digest():
        raise MalformedError("TOC", "the table of contents was changed after signing: its checksum is another")
    return made.digest(), used


def _signer(
    file: BinaryIO, size: int, header: xar.Header, toc: _SealedToc, checksum: bytes, used: str, roots: frozenset[str]
) -> Signed:
    """Who signed the checksum; where a package has both signatures, both have to fit, and be of the same one."""
    stored = {kind: _bytes(file, size, header.heap, place) for kind, place in toc.signatures.items()}
    plain = _verify_rsa(toc.signatures[_RSA], stored[_RSA], checksum, used) if _RSA in stored else []
    if _CMS not in stored:
        notes = ("when it was signed: it has no secure timestamp",)
        return Signed(chain(plain[0], plain[1:], roots, _PLACE), not_verified=notes)
    signed = read_cms(stored[_CMS], checksum, roots)
    if plain and plain[0] != signed.chain.leaf:
        raise MalformedError(_PLACE, "its two signatures are of two signers")
    return signed


def _bytes(file: BinaryIO, size: int, heap: int, place: _Place) -> bytes:
    start, length = place.within(heap, size, "size")
    if not 0 < length <= CMS_BYTES:
        raise MalformedError(_PLACE, f"it has {length:,} bytes; up to {CMS_BYTES >> 10} KiB are sane")
    return FileSlice(file, start, length).read(length)


def _verify_rsa(place: _Place, signature: bytes, checksum: bytes, used: str) -> list[x509.Certificate]:
    """Hold the plain signature against the checksum; the certificates, the signer's first.

    Apple's tools sign the checksum as it is; those of 2012 to 2020 signed its hash, as the CMS does.
    """
    try:
        ders = [base64.b64decode("".join(text.split()), validate=True) for text in place.certificates]
    except (binascii.Error, ValueError):
        raise MalformedError(_PLACE, "a certificate in the table of contents is broken") from None
    certificates = load(ders, _PLACE)
    if not certificates:
        raise MalformedError(_PLACE, "it brings no certificate")
    with reading(_PLACE):
        key = certificates[0].public_key()
    if isinstance(key, rsa.RSAPublicKey):
        with suppress(MalformedError), reading(_PLACE):
            key.verify(signature, checksum, padding.PKCS1v15(), utils.Prehashed(algorithm(used, _PLACE)))
            return certificates
    verify(certificates[0], signature, checksum, used, _PLACE)
    return certificates


def _check_files(file: BinaryIO, size: int, heap: int, toc: _SealedToc, content: PackageContent | None) -> int:
    """Hold each file in the heap against its checksum; how many there are."""
    places = _places(size, heap, toc)
    for (start, length, style, wanted), name in sorted(places.items()):
        source = Hashed(FileSlice(file, start, length), hashlib.new(_STYLES[style]))
        if content is not None:
            content.read_at(start, source)
        source.skip(length)
        if source.made.hexdigest() != wanted:
            raise MalformedError(f"file {name[:80]!r}", "it was changed after signing: its checksum is another")
    return len(places)


def _places(size: int, heap: int, toc: _SealedToc) -> dict[tuple[int, int, str, str], str]:
    """Where the files are: begin, bytes, and the checksum with its algorithm; by these the name of one of them."""
    places: dict[tuple[int, int, str, str], str] = {}
    for one in toc.files:
        if not one.numbers.get("length"):
            continue
        start, length = one.within(heap, size, "length")
        if one.checksum is None or one.checksum[0] not in _STYLES:
            raise MalformedError(f"TOC, file {one.name[:80]!r}", "it has no checksum that proves anything")
        places.setdefault((start, length, *one.checksum), one.name)
    # Each byte of the file is hashed once: a TOC that names the same large range 10,000 times costs no more.
    if sum(place[1] for place in places) > size:
        raise MalformedError("TOC", "its files overlap")
    return places


def _ticket(file: BinaryIO, size: int, checksum: bytes) -> tuple[bool, Sequence[str]]:
    ticket = stapled_to(file, size)
    if ticket is None:
        return False, ()
    try:
        check_ticket(ticket, [checksum])
    except MalformedError as problem:
        return False, (f"the stapled notarization ticket: {problem.reason}",)
    return True, ()
