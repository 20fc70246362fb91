"""Info.plist files: what one says of its bundle, whatever shape it is in."""

from __future__ import annotations

import plistlib
import struct
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from xml.parsers import expat

from kandji_uploader.installer.limits import VALUE_CHARACTERS

SHORT_VERSION = "CFBundleShortVersionString"
BUNDLE_VERSION = "CFBundleVersion"

# plistlib promises no closed list; these are what broken XML and binary plists make it raise.
_PLIST_ERRORS = (
    expat.ExpatError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    ArithmeticError,
    RecursionError,
    MemoryError,
    struct.error,
)


@dataclass(frozen=True)
class BundleInfo:
    """What an Info.plist says of its bundle; None where it says nothing.

    Attributes:
        bundle_id: `CFBundleIdentifier`.
        short_version: `CFBundleShortVersionString`.
        bundle_version: `CFBundleVersion`.
        minimum_os_version: `LSMinimumSystemVersion`.
        install_location: where a bundle-style package is installed to.
        executable: `CFBundleExecutable`, the file name of its program.
    """

    bundle_id: str | None = None
    short_version: str | None = None
    bundle_version: str | None = None
    minimum_os_version: str | None = None
    install_location: str | None = None
    executable: str | None = None


def read_info(data: bytes) -> BundleInfo | None:
    """An Info.plist's facts; None where it is no plist with a dictionary in it."""
    try:
        plist = plistlib.loads(data)
    except _PLIST_ERRORS:
        return None
    if not isinstance(plist, dict):
        return None
    return BundleInfo(
        bundle_id=_text(plist, "CFBundleIdentifier"),
        short_version=_text(plist, SHORT_VERSION),
        bundle_version=_text(plist, BUNDLE_VERSION),
        minimum_os_version=_text(plist, "LSMinimumSystemVersion"),
        install_location=_text(plist, "IFPkgFlagDefaultLocation"),
        executable=_text(plist, "CFBundleExecutable"),
    )


def plain(value: str | None) -> str | None:
    """A value of metadata as we keep it: trimmed, composed (NFC); None for none, or for one beyond all measure."""
    if value is None or len(value) > VALUE_CHARACTERS:
        return None
    return composed(value).strip() or None


def composed(text: str) -> str:
    """A text in the one spelling that we compare (NFC; old volumes hold decomposed names), fit to be printed."""
    return unicodedata.normalize("NFC", text.encode("utf-8", "replace").decode("utf-8"))


def _text(plist: Mapping[Any, Any], key: str) -> str | None:
    """A value as macOS shows it; a number, which is wrong but occurs, as its digits."""
    value = plist.get(key)
    if isinstance(value, bool):
        return None
    if isinstance(value, (int, float)) and abs(value) < 1e15:  # noqa: PLR2004 - beyond that it is no version
        return str(value)
    return plain(value) if isinstance(value, str) else None
