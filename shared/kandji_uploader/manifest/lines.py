"""One line of a manifest: JSON on one line, with a number for its format and a digest of everything else in it.

The digest tells a line that was cut off or changed on its way. It is no signature: who may write to the folder may
write another line. So all that a line says is checked as the words of a recipe are, and it can name no file outside of
its folder.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

FORMAT = 1
"""Any change of what a line may hold is a new format, so that no older version of ours can misread it."""

_PLACE = re.compile(r"[0-9a-f]{64}/(?!\.{1,2}$)[^/\0]+")


class LineError(ValueError):
    """A line cannot be used; its text says why, as the rest of a sentence that begins with the line."""


@dataclass(frozen=True)
class Line:
    """What one step of a recipe would have published.

    Attributes:
        apps: the names of the Custom Apps as the recipe's machine calls them, test first.
        file: where the installer is in the folder: `SHA256/NAME`.
        size: its bytes.
        facts: what the recipe knew of it; see `publish.targets.RecipeFacts`.
        found: what was read of it, for people: app, bundle id, version, package id, signature.
        keys: what the recipe, its override, `-k` and the maps say, by recipe key; a script by its place in the folder.
        defaults: what the config file there says, by its key path; for where the config file of the machine that
            publishes says nothing.
        files: where the scripts are in the folder that `keys` and `defaults` name.
        recipe: the recipe's file name.
        identifier: its identifier.
        version: the version of ours that wrote the line.
    """

    apps: tuple[str, ...]
    file: str
    size: int
    facts: Mapping[str, Any] = field(default_factory=dict)
    found: Mapping[str, Any] = field(default_factory=dict)
    keys: Mapping[str, Any] = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=dict)
    files: tuple[str, ...] = ()
    recipe: str = ""
    identifier: str = ""
    version: str = ""

    @property
    def sha256(self) -> str:
        """Hex digest of the installer."""
        return digest_in(self.file)

    @property
    def name(self) -> str:
        """What a shard goes by: the prod app's name, or that of the only app."""
        return self.apps[-1]

    @property
    def replaces(self) -> tuple[str, tuple[str, ...]]:
        """A later line with the same value is about the same apps, by the same recipe: a newer version of them."""
        return (self.identifier or self.recipe, self.apps)


def place(sha256: str, name: str) -> str:
    """Where a file is in the folder. The name is kept, since Kandji shows it and new apps may be named by it."""
    return f"{sha256}/{name}"


def digest_in(file_place: str) -> str:
    """The sha256 that a file at this place must have."""
    return file_place.partition("/")[0]


def to_text(line: Line) -> str:
    """A line as it is written, with its end. The same value is the same text."""
    return f"{_text({**_content(line), 'digest': _digest(_content(line))})}\n"


def from_text(text: str) -> Line:
    """A line as it was written, without its end.

    Raises:
        LineError: it was cut off or changed, is of a newer format, or nothing of ours.
    """
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict) or type(content.get("format")) is not int:
        raise LineError("is no line of a manifest, or was cut off or changed; build it again")
    if content["format"] > FORMAT:
        wrote = content.get("version")
        by = f" (KandjiUploader {wrote[:40]} wrote it)" if isinstance(wrote, str) and wrote.isprintable() else ""
        raise LineError(
            f"is of format {content['format']}{by}, and this version knows formats up to {FORMAT}; "
            "update kandji-uploader on this machine"
        )
    if content.pop("digest", None) != _digest(content):
        raise LineError("was cut off or changed after it was written: its digest differs; build it again")
    return _line(content)


def _content(line: Line) -> dict[str, Any]:
    return {"format": FORMAT, **asdict(line)}


def _text(content: Mapping[str, Any]) -> str:
    return json.dumps(content, separators=(",", ":"))


def _digest(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _line(content: Mapping[str, Any]) -> Line:
    fields = {name: value for name, value in content.items() if name != "format"}
    if set(fields) != set(_FITS):
        raise LineError(f"does not hold what a line of format {FORMAT} holds; build it again")
    wrong = sorted(name for name, fits in _FITS.items() if not fits(fields[name]))
    if wrong:
        raise LineError(f"holds something else than it may as {', '.join(wrong)}; build it again")
    return Line(**{**fields, "apps": tuple(fields["apps"]), "files": tuple(fields["files"])})


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_place(value: object) -> bool:
    return isinstance(value, str) and _PLACE.fullmatch(value) is not None


def _is_mapping(value: object) -> bool:
    return isinstance(value, dict)


_FITS: Mapping[str, Callable[[Any], bool]] = {
    "apps": lambda value: isinstance(value, list) and len(value) > 0 and all(map(_is_text, value)),
    "file": _is_place,
    "size": lambda value: type(value) is int and value >= 0,
    "facts": _is_mapping,
    "found": _is_mapping,
    "keys": _is_mapping,
    "defaults": _is_mapping,
    "files": lambda value: isinstance(value, list) and all(map(_is_place, value)),
    "recipe": _is_text,
    "identifier": _is_text,
    "version": _is_text,
}


@dataclass(frozen=True)
class Shard:
    """One of several parts of a manifest, of recipes or of tenants, each for a machine or a job of its own.

    Attributes:
        number: which one, from 1.
        count: of how many.
    """

    number: int
    count: int

    @classmethod
    def parse(cls, text: str) -> Shard:
        """`2/5` is the second of five.

        Raises:
            ValueError: it is no such text; the error's text says what is accepted.
        """
        number, slash, count = text.partition("/")
        whole = slash and all(part.isascii() and part.isdecimal() for part in (number, count))
        if not whole or not 1 <= int(number) <= int(count):
            raise ValueError(f"{text!r} is no shard; give its number and how many there are, such as 1/5, 2/5 ... 5/5")
        return cls(int(number), int(count))

    def has(self, name: str) -> bool:
        """Whether something is in this shard. It goes by the name alone, so it stays there whatever comes beside it."""
        drawn = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()
        return int(drawn, 16) % self.count == self.number - 1

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"
