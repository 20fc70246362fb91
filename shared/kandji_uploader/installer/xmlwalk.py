"""XML of an installer (TOC, PackageInfo, Distribution), element by element, without a tree in memory.

Entities are refused outright rather than left to the XML library's own guard, which is missing before expat 2.4.1.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol
from xml.parsers import expat

from kandji_uploader.installer.limits import DEPTH, ELEMENTS, NAME_BYTES, TAG_BYTES, MalformedError

_PIECE = 64 << 10
_TEXT_CHARACTERS = 4 * NAME_BYTES


class Handler(Protocol):
    """Who is told of the elements. `parents` are the tags around the element, outermost first."""

    def start(self, parents: list[str], tag: str, attributes: dict[str, str]) -> None:
        """An element begins."""

    def end(self, parents: list[str], tag: str, attributes: dict[str, str], text: str) -> None:
        """It ends; `text` is what follows its last child."""


def walk(blocks: Iterable[bytes], handler: Handler, place: str) -> None:
    """Tell `handler` of each element of an XML document.

    Args:
        blocks: the document, in pieces.
        handler: is told of each element.
        place: named in errors.

    Raises:
        MalformedError: it is not XML, declares entities, or is nested or large beyond the caps.
    """
    _fed(_Walker(handler, place), blocks, place)


def _fed(walker: _Walker, blocks: Iterable[bytes], place: str) -> None:
    try:
        for block in blocks:
            for at in range(0, len(block), _PIECE):
                walker.feed(block[at : at + _PIECE])
        walker.close()
    except (expat.ExpatError, LookupError, UnicodeError, ValueError) as problem:
        raise MalformedError(place, f"it is not XML that can be read ({problem})") from None


def canonical(data: bytes, place: str, without: Mapping[str, frozenset[str]], *, ordered: bool) -> bytes:
    """A digest of what an XML document says, however it is laid out: no comments, no indentation.

    Args:
        data: the document.
        place: named in errors.
        without: by tag, the attributes that do not count.
        ordered: whether the order of elements counts.

    Raises:
        MalformedError: it cannot be read; also where it has a DOCTYPE, by which the same text may say something else.
    """
    walker = _Canonical(place, without, ordered=ordered)
    _fed(walker, [data], place)
    return walker.digest


class _Walker:
    def __init__(self, handler: Handler, place: str) -> None:
        self._handler = handler
        self._place = place
        self._open: list[str] = []
        self._attributes: list[dict[str, str]] = []
        self._text: list[str] = []
        self._length = 0
        self._elements = 0
        self._fed = 0
        self._parser = parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters
        parser.EntityDeclHandler = self._entity

    def feed(self, data: bytes) -> None:
        """Parse some more; a tag that does not end costs time and memory, so its length is watched."""
        self._fed += len(data)
        self._parser.Parse(data, False)
        if self._fed - max(self._parser.CurrentByteIndex, 0) > TAG_BYTES:
            self._refuse(f"a tag or comment in it is longer than {TAG_BYTES >> 20} MiB")

    def close(self) -> None:
        """That was all."""
        self._parser.Parse(b"", True)

    def _refuse(self, reason: str) -> None:
        raise MalformedError(self._place, reason)

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        self._elements += 1
        if self._elements > ELEMENTS:
            self._refuse(f"it has more than {ELEMENTS:,} elements")
        if len(self._open) >= DEPTH:
            self._refuse(f"its elements are nested deeper than {DEPTH}")
        self._handler.start(self._open, tag, attributes)
        self._open.append(tag)
        self._attributes.append(attributes)
        self._text.clear()
        self._length = 0

    def _end(self, tag: str) -> None:
        self._open.pop()
        self._handler.end(self._open, tag, self._attributes.pop(), "".join(self._text))
        self._text.clear()
        self._length = 0

    def _characters(self, text: str) -> None:
        self._length += len(text)
        if self._length <= _TEXT_CHARACTERS:
            self._text.append(text)

    def _entity(self, *_: object) -> None:
        self._refuse("it declares XML entities, which no installer needs")


@dataclass
class _Element:
    tag: str
    attributes: list[tuple[str, str]]
    parts: list[str] = field(default_factory=list)
    """Its texts, and the digests of its elements."""
    text: list[str] = field(default_factory=list)

    def settle(self) -> None:
        """The text so far is complete; one of white space only is how the document is laid out."""
        text, self.text = "".join(self.text), []
        if text.strip():
            self.parts.append(f"text {text}")


class _Nobody:
    def start(self, parents: list[str], tag: str, attributes: dict[str, str]) -> None:
        """Nobody asks."""

    def end(self, parents: list[str], tag: str, attributes: dict[str, str], text: str) -> None:
        """Nobody asks."""


class _Canonical(_Walker):
    def __init__(self, place: str, without: Mapping[str, frozenset[str]], *, ordered: bool) -> None:
        super().__init__(_Nobody(), place)
        self._without = without
        self._ordered = ordered
        self._elements_open = [_Element("", [])]
        self._parser.StartDoctypeDeclHandler = self._doctype
        self._parser.ProcessingInstructionHandler = self._instruction

    @property
    def digest(self) -> bytes:
        """Of the whole document."""
        return hashlib.sha256(json.dumps(self._elements_open[0].parts).encode()).digest()

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        super()._start(tag, attributes)
        left_out = self._without.get(tag, frozenset())
        self._elements_open[-1].settle()
        kept = sorted((name, value) for name, value in attributes.items() if name not in left_out)
        self._elements_open.append(_Element(tag, kept))

    def _end(self, tag: str) -> None:
        super()._end(tag)
        element = self._elements_open.pop()
        element.settle()
        parts = element.parts if self._ordered else sorted(element.parts)
        told = json.dumps([element.tag, element.attributes, parts]).encode()
        self._elements_open[-1].parts.append(f"element {hashlib.sha256(told).hexdigest()}")

    def _characters(self, text: str) -> None:
        self._elements_open[-1].text.append(text)

    def _instruction(self, target: str, data: str) -> None:
        self._elements_open[-1].settle()
        self._elements_open[-1].parts.append(f"instruction {target} {data}")

    def _doctype(self, *_: object) -> None:
        self._refuse("it has a DOCTYPE")
