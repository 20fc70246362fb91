"""CMS: what a signature says, with its certificates and its secure timestamp (RFC 5652, RFC 3161)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from asn1crypto import cms, core, tsp
from cryptography import x509

from kandji_uploader.installer.limits import CERTIFICATES, CMS_ATTRIBUTES, CMS_BYTES, MalformedError
from kandji_uploader.installer.signature_trust import Chain, chain, digest, load, reading, verify

_CONTENT_TYPE = "1.2.840.113549.1.9.3"
_MESSAGE_DIGEST = "1.2.840.113549.1.9.4"
_TIMESTAMP = "1.2.840.113549.1.9.16.2.14"
_PLACE = "signature"
_STAMP_PLACE = "timestamp"


@dataclass(frozen=True)
class Signed:
    """A signature that fits.

    Attributes:
        chain: who signed.
        timestamp: of the secure timestamp; None where there is none that counts.
        attributes: what was signed beside the content: values in DER, by the attribute's OID.
        not_verified: what had to be passed over.
    """

    chain: Chain
    timestamp: datetime | None = None
    attributes: dict[str, list[bytes]] = field(default_factory=dict)
    not_verified: tuple[str, ...] = ()

    def check_validity(self) -> None:
        """Whether the certificates were valid at the secure timestamp, without one today.

        Raises:
            MalformedError: they were not.
        """
        when = self.timestamp or datetime.now(timezone.utc)
        self.chain.check_validity(when, stamped=self.timestamp is not None)


def read_cms(data: bytes, content: bytes, roots: frozenset[str]) -> Signed:
    """Verify a detached signature.

    Args:
        data: the CMS in BER; zeros may follow.
        content: what it signs.
        roots: SHA-256 fingerprints of the roots that count.

    Raises:
        MalformedError: it does not fit, is broken, or beyond a cap. Whether the certificates were valid is not asked.
    """
    if len(data) > CMS_BYTES:
        raise MalformedError(_PLACE, f"it is larger than {CMS_BYTES >> 10} KiB")
    message = _load(data, _PLACE)
    attributes = _verify(message, content, _PLACE)
    way = chain(message.leaf, message.certificates, roots, _PLACE)
    stamp, notes = _timestamp(message, roots)
    return Signed(way, stamp, attributes, notes)


@dataclass(frozen=True)
class _SignedMessage:
    """One CMS, taken apart.

    Attributes:
        signer: its SignerInfo.
        leaf: the signer's certificate.
        certificates: all that it brings.
        content: what it carries itself; None where it is detached.
        content_type: what that is.
    """

    signer: Any
    leaf: x509.Certificate
    certificates: Sequence[x509.Certificate]
    content: bytes | None
    content_type: str


def _load(data: bytes, place: str) -> _SignedMessage:
    with reading(place):
        info = cms.ContentInfo.load(data)
        if info["content_type"].native != "signed_data":
            raise ValueError("no signed data")
        body = info["content"]
        signers = body["signer_infos"]
        if len(signers) != 1:
            raise ValueError("not one signer")
        if len(body["certificates"]) > CERTIFICATES:
            raise MalformedError(place, f"it brings more than {CERTIFICATES} certificates")
        ders = [one.chosen.dump() for one in body["certificates"] if one.name == "certificate"]
        inner = body["encap_content_info"]
        carried = inner["content"]
        content = bytes(carried) if carried is not None and carried.native is not None else None
        content_type = str(inner["content_type"].dotted)
    certificates = load(ders, place)
    with reading(place):
        leaf = _signers(signers[0], certificates)
    if leaf is None:
        raise MalformedError(place, "the signer's certificate is not in it")
    return _SignedMessage(signers[0], leaf, certificates, content, content_type)


def _signers(signer: Any, certificates: Sequence[x509.Certificate]) -> x509.Certificate | None:
    """The certificate that a SignerInfo names."""
    named = signer["sid"]
    for one in certificates:
        if named.name == "issuer_and_serial_number":
            same = one.serial_number == named.chosen["serial_number"].native
            if same and one.issuer.public_bytes() == named.chosen["issuer"].dump():
                return one
        elif _key_id(one) == named.chosen.native:
            return one
    return None


def _key_id(certificate: x509.Certificate) -> bytes | None:
    try:
        return certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    except x509.ExtensionNotFound:
        return None


def _verify(message: _SignedMessage, content: bytes, place: str) -> dict[str, list[bytes]]:
    """Hold a signer's signature against the content, or against the attributes that hold its hash."""
    with reading(place):
        used = str(message.signer["digest_algorithm"]["algorithm"].native)
        kind = str(message.signer["signature_algorithm"]["algorithm"].native)
        signature = bytes(message.signer["signature"].native)
        attributes = _attributes(message.signer["signed_attrs"])
        signed = message.signer["signed_attrs"].untag().dump() if attributes else content
    if not kind.endswith(("rsa", "rsassa_pkcs1v15", "ecdsa")):
        raise MalformedError(place, f"its kind, {kind[:40]!r}, is not known")
    if attributes:
        with reading(place):
            (wanted,) = attributes[_MESSAGE_DIGEST]
            (said,) = attributes[_CONTENT_TYPE]
            told = bytes(core.OctetString.load(wanted).native)
            if str(cms.ContentType.load(said).dotted) != message.content_type:
                raise ValueError("content type")
        if told != digest(used, content, place):
            raise MalformedError(place, "what it signs was changed afterwards")
    verify(message.leaf, signature, signed, used, place)
    return attributes


def _attributes(table: Any) -> dict[str, list[bytes]]:
    """Attributes by their OID; one that is there twice is an error."""
    if len(table) > CMS_ATTRIBUTES:
        raise ValueError("too many attributes")
    found: dict[str, list[bytes]] = {}
    for one in table:
        oid = str(one["type"].dotted)
        if oid in found:
            raise ValueError(f"{oid} twice")
        found[oid] = [value.dump() for value in one["values"]]
    return found


def _timestamp(message: _SignedMessage, roots: frozenset[str]) -> tuple[datetime | None, tuple[str, ...]]:
    """The secure timestamp over a signature: signature, certificates and imprint are verified."""
    with reading(_STAMP_PLACE):
        values = _attributes(message.signer["unsigned_attrs"]).get(_TIMESTAMP)
        signature = bytes(message.signer["signature"].native)
    if not values:
        return None, ("when it was signed: it has no secure timestamp",)
    token = _load(values[0], _STAMP_PLACE)
    if token.content is None:
        raise MalformedError(_STAMP_PLACE, "it says nothing")
    _verify(token, token.content, _STAMP_PLACE)
    with reading(_STAMP_PLACE):
        told = tsp.TSTInfo.load(token.content)
        used = str(told["message_imprint"]["hash_algorithm"]["algorithm"].native)
        imprint = bytes(told["message_imprint"]["hashed_message"].native)
        when = told["gen_time"].native.astimezone(timezone.utc)
    if imprint != digest(used, signature, _STAMP_PLACE):
        raise MalformedError(_STAMP_PLACE, "it belongs to another signature")
    way = chain(token.leaf, token.certificates, roots, _STAMP_PLACE)
    with reading(_STAMP_PLACE):
        counts = way.stamps()
    if not counts:
        return None, (f"the timestamp: it comes from {way.root}, or from a signer that may not give any",)
    way.check_validity(when, stamped=True)
    return when, ()
