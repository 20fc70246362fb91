"""Who signed an installer: its own signature, or that of the app in it; a value, whatever is wrong with it.

The libraries that verify are an extra (`signing`). Without them nothing is looked at, and the value says so.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import BinaryIO

from kandji_uploader._util.dependencies import missing_for_signing, pip_line
from kandji_uploader.installer.limits import MalformedError
from kandji_uploader.models import Signature

APPLE_ROOTS = frozenset(
    {
        # SHA-256 of the certificates in DER, as https://www.apple.com/certificateauthority/ offers them for download
        # (AppleIncRootCertificate.cer, AppleRootCA-G2.cer, AppleRootCA-G3.cer) and many public projects pin them. The
        # first also comes in each signature that Apple's tools make; a test holds the pin against a real one.
        "b0b1730ecbc7ff4505142c49f1295e6eda6bcaed7e2c68c5be91b5a11001f024",  # Apple Root CA
        "c2b9b042dd57830e7d117dac55ac8ae19407d38e41d88f3215bc3a890444a050",  # Apple Root CA - G2
        "63343abfb89a6a03ebb57e9b3f5fa7be7c4f5c756f3017b3a8c488c3653e9179",  # Apple Root CA - G3
    }
)


def of_package(file: BinaryIO, size: int, roots: frozenset[str] = APPLE_ROOTS) -> Signature:
    """Who signed a flat package.

    Args:
        file: the package; must be able to seek.
        size: its bytes.
        roots: SHA-256 fingerprints of the roots that count.
    """

    def look() -> Signature:
        from kandji_uploader.installer.signature_package import read_package_signature

        return read_package_signature(file, size, roots)

    return _looked_at("package", look)


def _looked_at(of: str, look: Callable[[], Signature]) -> Signature:
    """What looking at a signature gives: what is broken is a value, not an error."""
    packages = missing_for_signing()
    if packages:
        return Signature("not_looked_at", why=f"install {' and '.join(packages)}: {pip_line(packages)}")
    try:
        return look()
    except MalformedError as problem:
        return Signature("broken", of=of, why=f"{problem.place}: {problem.reason}".removeprefix(": "))
