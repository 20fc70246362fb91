"""Item names with versions, and the order of versions, as Munki has them."""

from __future__ import annotations

import re
from functools import total_ordering
from itertools import zip_longest

from kandji_uploader.munki.repo import nfc

_PARTS = re.compile(r"\d+|[a-z]+", re.IGNORECASE)


def split(written: str) -> tuple[str, str]:
    """Name and version of a line: `Firefox-123.0`, `Firefox--125.0-RC`; the version is "" where there is none.

    Two dashes are tried before one, and a version starts with a digit, so `Foo-Bar` is a name.
    """
    written = nfc(written.strip())
    for dashes in ("--", "-"):
        name, found, version = written.rpartition(dashes)
        if found and name and version[:1].isdigit() and version[:1].isascii():
            return name, version
    return written, ""


def same_version(one: str, other: str) -> bool:
    """Whether two versions are the same to Munki, which does not mind trailing `.0`."""
    return trimmed(one) == trimmed(other)


def trimmed(version: str) -> str:
    """A version without trailing `.0`."""
    while version.endswith(".0"):
        version = version[:-2]
    return version


@total_ordering
class VersionOrder:
    """A version as a sorting key: numbers by value, missing parts as 0, letters before any number (1.0b1 < 1.0)."""

    def __init__(self, version: str) -> None:
        self._parts = [(1, int(part), "") if part.isdigit() else (0, 0, part.lower()) for part in _parts(version)]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, VersionOrder) and not self < other and not other < self

    def __lt__(self, other: VersionOrder) -> bool:
        zero = (1, 0, "")
        for mine, theirs in zip_longest(self._parts, other._parts, fillvalue=zero):
            if mine != theirs:
                return mine < theirs
        return False

    __hash__ = None  # type: ignore[assignment]


def _parts(version: str) -> list[str]:
    # Python refuses to convert numerals of more than 4300 digits; no version has a part of that length.
    return [part[:400] for part in _PARTS.findall(version) if part.isascii()]
