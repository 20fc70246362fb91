"""Certificates: from the one that signed up to a root, and what Apple says in them of whom it vouches for.

Only Apple's roots count. A chain that ends elsewhere, or nowhere, is told as such and never passes as Developer ID.
"""

from __future__ import annotations

import base64
import re
import struct
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.utils import CryptographyDeprecationWarning
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from kandji_uploader.installer.limits import CERTIFICATE_BYTES, CERTIFICATES, MalformedError
from kandji_uploader.installer.plists import plain

# The marks that Apple puts into certificates as extensions; they are named in Apple's own code requirements, such as
# `certificate 1[field.1.2.840.113635.100.6.2.6] and certificate leaf[field.1.2.840.113635.100.6.1.13]` (TN3127).
_DEVELOPER_ID_CA = "1.2.840.113635.100.6.2.6"
_DEVELOPER_ID = {
    "package": ("1.2.840.113635.100.6.1.14", "developer_id_installer"),
    "app": ("1.2.840.113635.100.6.1.13", "developer_id_application"),
}
_APP_STORE = {"package": "1.2.840.113635.100.6.1.10", "app": "1.2.840.113635.100.6.1.9"}
_APPLES_OWN = {
    "package": "Apple Software Update Certification Authority",
    "app": "Apple Code Signing Certification Authority",
}
_TEAM = re.compile(r"[A-Z0-9]{10}")
_KIND = re.compile(r"\A[^:]{1,60}: ")
_DEPTH = 8

# A certificate that is odd in a way that will be refused one day is not the user's affair.
warnings.filterwarnings("ignore", category=CryptographyDeprecationWarning, module=r"kandji_uploader\.installer\.")

_HASHES: dict[str, type[hashes.HashAlgorithm]] = {
    "sha1": hashes.SHA1,
    "sha256": hashes.SHA256,
    "sha384": hashes.SHA384,
    "sha512": hashes.SHA512,
}

# Neither library promises a closed list; these are what broken certificates and CMS make them raise.
_ERRORS = (
    InvalidSignature,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    ArithmeticError,
    MemoryError,
    struct.error,
    AssertionError,
    OSError,  # a time beyond what the system knows
    NotImplementedError,
    RecursionError,
)


@contextmanager
def reading(place: str) -> Iterator[None]:
    """What a library raises on broken input, as a `MalformedError` that names the place."""
    try:
        yield
    except InvalidSignature:
        raise MalformedError(place, "the signature does not fit what it signs") from None
    except _ERRORS as problem:
        raise MalformedError(place, f"it cannot be read ({type(problem).__name__})") from None


@dataclass(frozen=True)
class Chain:
    """The certificates from the one that signed upwards.

    Attributes:
        certificates: the signer's first.
        apple: whether they end at a root that counts.
    """

    certificates: tuple[x509.Certificate, ...]
    apple: bool

    @property
    def leaf(self) -> x509.Certificate:
        """The signer's."""
        return self.certificates[0]

    @property
    def name(self) -> str | None:
        """The signer's name, without what kind of certificate it is, and without the Team ID."""
        name = plain(_subject(self.leaf, NameOID.COMMON_NAME)) or plain(_subject(self.leaf, NameOID.ORGANIZATION_NAME))
        return _KIND.sub("", name or "").removesuffix(f" ({self.team_id})") or None

    @property
    def team_id(self) -> str | None:
        """The Team ID, if Apple vouches for it."""
        unit = _subject(self.leaf, NameOID.ORGANIZATIONAL_UNIT_NAME) if self.apple else None
        return as_team(unit)

    @property
    def root(self) -> str:
        """What the chain ends at, in words."""
        name = plain(_subject(self.certificates[-1], NameOID.COMMON_NAME)) or "a certificate without a name"
        return name if self.apple else f"{name}, which is not Apple's"

    def check_validity(self, when: datetime, *, stamped: bool) -> None:
        """Whether all certificates were valid.

        Args:
            when: the time that counts.
            stamped: whether a secure timestamp says so, else it is now.

        Raises:
            MalformedError: one was not.
        """
        for one in self.certificates:
            begin, end = one.not_valid_before_utc, one.not_valid_after_utc
            if not begin <= when <= end:
                name = plain(_subject(one, NameOID.COMMON_NAME)) or "of the signer"
                word = f"expired on {end:%Y-%m-%d}" if when > end else f"is valid only from {begin:%Y-%m-%d}"
                told = f"the secure timestamp is of {when:%Y-%m-%d}" if stamped else "there is no secure timestamp"
                raise MalformedError("certificates", f"the certificate {name!r} {word}, and {told}")

    def authority(self, of: str) -> str:
        """What the signer may sign, in the words of `Signature.authority`.

        Args:
            of: `package` or `app`; Developer ID Application is none for a package.
        """
        if not self.apple or len(self.certificates) < 3:  # noqa: PLR2004 - signer, authority, root
            return "other"
        leaf, issuer = _marks(self.leaf), _marks(self.certificates[1])
        mark, word = _DEVELOPER_ID[of]
        if mark in leaf and _DEVELOPER_ID_CA in issuer:
            return word
        if _APP_STORE[of] in leaf:
            return "mac_app_store"
        own = _subject(self.certificates[1], NameOID.COMMON_NAME) == _APPLES_OWN[of]
        return "apple" if own else "other"

    def stamps(self) -> bool:
        """Whether the signer is one of Apple's timestamp authorities."""
        if not self.apple:
            return False
        try:
            usage = self.leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        except x509.ExtensionNotFound:
            return False
        return list(usage) == [ExtendedKeyUsageOID.TIME_STAMPING]


def as_team(text: str | None) -> str | None:
    """A Team ID; None for any other text."""
    return text if text and _TEAM.fullmatch(text) else None


def load(ders: Sequence[bytes], place: str) -> list[x509.Certificate]:
    """Certificates out of their DER.

    Raises:
        MalformedError: they are broken, or beyond a cap.
    """
    if len(ders) > CERTIFICATES:
        raise MalformedError(place, f"it brings more than {CERTIFICATES} certificates")
    if any(len(der) > CERTIFICATE_BYTES for der in ders):
        raise MalformedError(place, f"a certificate in it is larger than {CERTIFICATE_BYTES >> 10} KiB")
    with reading(place):
        return [x509.load_der_x509_certificate(der) for der in ders]


def chain(leaf: x509.Certificate, others: Sequence[x509.Certificate], roots: frozenset[str], place: str) -> Chain:
    """The way from a signer's certificate to a root; each step's signature is verified.

    Args:
        leaf: the signer's certificate.
        others: what else the signature brings.
        roots: SHA-256 fingerprints of the roots that count.
        place: named in errors.

    Raises:
        MalformedError: a certificate is broken.
    """
    with reading(place):
        way = [leaf]
        while not is_root(way[-1], roots) and len(way) < _DEPTH:
            # A chain is followed by the signatures, not by the order in which the certificates come, which nobody
            # promises.
            above = [one for one in others if one not in way and _issued(way[-1], one, len(way) - 1)]
            if not above:
                break
            way.append(next((one for one in above if is_root(one, roots)), above[0]))
        return Chain(tuple(way), is_root(way[-1], roots))


def is_root(certificate: x509.Certificate, roots: frozenset[str]) -> bool:
    """Whether it is one of these roots, by its fingerprint."""
    return certificate.fingerprint(hashes.SHA256()).hex() in roots


def algorithm(name: str, place: str) -> hashes.HashAlgorithm:
    """A hash by its name.

    Raises:
        MalformedError: it is not known, or so weak that it proves nothing.
    """
    if name not in _HASHES:
        raise MalformedError(place, f"the hash {name[:40]!r} is not known, or too weak to prove anything")
    return _HASHES[name]()


def digest(name: str, data: bytes, place: str) -> bytes:
    """A hash of bytes; errors as `algorithm`."""
    made = hashes.Hash(algorithm(name, place))
    made.update(data)
    return made.finalize()


def verify(signer: x509.Certificate, signature: bytes, data: bytes, name: str, place: str) -> None:
    """Hold a signature against what it signs.

    Args:
        signer: whose key.
        signature: the signature.
        data: what it signs.
        name: of the hash.
        place: named in errors.

    Raises:
        MalformedError: it does not fit, or its kind is not known.
    """
    used = algorithm(name, place)
    with reading(place):
        key = signer.public_key()
        if isinstance(key, rsa.RSAPublicKey):
            key.verify(signature, data, padding.PKCS1v15(), used)
        elif isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(signature, data, ec.ECDSA(used))
        else:
            raise UnsupportedAlgorithm(type(key).__name__)


def apple_root_g3() -> x509.Certificate:
    """Apple Root CA - G3, which notarization tickets do not bring; `signature.APPLE_ROOTS` has its fingerprint."""
    return x509.load_der_x509_certificate(base64.b64decode(_G3))


def _issued(child: x509.Certificate, parent: x509.Certificate, below: int) -> bool:
    """Whether `parent` may issue certificates and issued this one; `below` are the authorities under it."""
    if child.issuer != parent.subject:
        return False
    try:
        basic = parent.extensions.get_extension_for_class(x509.BasicConstraints).value
    except x509.ExtensionNotFound:
        return False
    if not basic.ca or (basic.path_length is not None and basic.path_length < below):
        return False
    used = child.signature_hash_algorithm
    try:
        verify(parent, child.signature, child.tbs_certificate_bytes, used.name if used else "", "certificates")
    except MalformedError:
        return False
    return True


def _subject(certificate: x509.Certificate, part: x509.ObjectIdentifier) -> str | None:
    with reading("certificates"):
        found = certificate.subject.get_attributes_for_oid(part)
        return str(found[0].value) if found else None


def _marks(certificate: x509.Certificate) -> set[str]:
    with reading("certificates"):
        return {one.oid.dotted_string for one in certificate.extensions}


# A public certificate, in DER and base64, from https://www.apple.com/certificateauthority/AppleRootCA-G3.cer
_G3 = (
    "MIICQzCCAcmgAwIBAgIILcX8iNLFS5UwCgYIKoZIzj0EAwMwZzEbMBkGA1UEAwwSQXBwbGUgUm9vdCBDQSAtIEczMSYwJAYDVQQLDB1BcHBsZSBD"
    "ZXJ0aWZpY2F0aW9uIEF1dGhvcml0eTETMBEGA1UECgwKQXBwbGUgSW5jLjELMAkGA1UEBhMCVVMwHhcNMTQwNDMwMTgxOTA2WhcNMzkwNDMwMTgx"
    "OTA2WjBnMRswGQYDVQQDDBJBcHBsZSBSb290IENBIC0gRzMxJjAkBgNVBAsMHUFwcGxlIENlcnRpZmljYXRpb24gQXV0aG9yaXR5MRMwEQYDVQQK"
    "DApBcHBsZSBJbmMuMQswCQYDVQQGEwJVUzB2MBAGByqGSM49AgEGBSuBBAAiA2IABJjpLz1AcqTtkyJygRMc3RCV8cWjTnHcFBbZDuWmBSp3ZHtf"
    "TjjTuxxEtX/1H7YyYl3J6YRbTzBPEVoA/VhYDKX1DyxNB0cTddqXl5dvMVztK517IDvYuVTZXpmkOlEKMaNCMEAwHQYDVR0OBBYEFLuw3qFYM4ia"
    "pIqZ3r6966/ayySrMA8GA1UdEwEB/wQFMAMBAf8wDgYDVR0PAQH/BAQDAgEGMAoGCCqGSM49BAMDA2gAMGUCMQCD6cHEFl4aXTQY2e3v9GwOAEZL"
    "uN+yRhHFD/3meoyhpmvOwgPUnPWTxnS4at+qIxUCMG1mihDK1A3UT82NQz60imOlM27jbdoXt2QfyFMm+YhidDkLF1vLUagM6BgD56KyKA=="
)
