"""Texts for a terminal: made safe, in aligned columns, or in blocks where it is narrow. Values in, text out."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator, Sequence

Painted = Callable[[str, str], str]
"""A cell as it is to be shown, given its head; it adds no width."""

LINK = "Link"
"""The head of a column of addresses, which are never broken and need no word."""
_GAP = "  "
_LEAD = 3
"""The first columns of a row say which app, what became of it and in which version: the first line of a block."""


def table(
    heads: Sequence[str],
    rows: Sequence[Sequence[str]],
    room: int | None = None,
    painted: Painted = lambda _, cell: cell,
) -> str:
    """Rows in columns where these have room, one block per row elsewhere.

    Args:
        heads: of the columns.
        rows: their cells; control characters are shown, not obeyed.
        room: columns of the terminal; None where it has no end, as in a file.
        painted: what a cell gets beside its text.
    """
    cells = [[visible(cell) for cell in each] for each in rows]
    widths = [max(width(line[at]) for line in [list(heads), *cells]) for at in range(len(heads))]
    if room is None or sum(widths) + len(_GAP) * (len(widths) - 1) <= room:
        return "\n".join(_aligned(heads, cells, widths, painted))
    blocks = ["\n".join(_block(heads, each, room, painted)) for each in cells]
    return ("\n\n" if any("\n" in block for block in blocks) else "\n").join(blocks)


def _aligned(
    heads: Sequence[str], cells: Sequence[Sequence[str]], widths: Sequence[int], painted: Painted
) -> Iterator[str]:
    for line in (heads, ["-" * size for size in widths]):
        yield _GAP.join(text + " " * (size - width(text)) for text, size in zip(line, widths, strict=True)).rstrip()
    for each in cells:
        padded = (
            painted(head, cell) + " " * (size - width(cell) if at < len(widths) - 1 else 0)
            for at, (head, cell, size) in enumerate(zip(heads, each, widths, strict=True))
        )
        yield _GAP.join(padded).rstrip()


def _block(heads: Sequence[str], cells: Sequence[str], room: int, painted: Painted) -> Iterator[str]:
    """One row: its first cells in a line, the others below, each with its head and as a whole where it fits."""
    pairs = [(head, cell) for head, cell in zip(heads, cells, strict=True) if cell]
    lead = [(painted(head, cell), width(cell)) for head, cell in pairs if head in heads[:_LEAD]]
    rest = [(head, cell) for head, cell in pairs[len(lead) :] if head != LINK]
    yield from _filled(lead, room, "")
    yield from _filled([(f"{head}: {painted(head, cell)}", width(head + cell) + 2) for head, cell in rest], room, _GAP)
    yield from (f"{_GAP}{cell}" for head, cell in pairs if head == LINK)


def _filled(parts: Sequence[tuple[str, int]], room: int, indent: str) -> Iterator[str]:
    """Parts in as few lines as hold them; one that is longer than a line goes on in the next, at a space."""
    line, used = "", 0
    for text, size in parts:
        if line and used + len(_GAP) + size > room:
            yield line
            line = ""
        if line:
            line, used = f"{line}{_GAP}{text}", used + len(_GAP) + size
        else:
            line, used = f"{indent}{text}", len(indent) + size
        if used > room:
            *full, line = wrapped(line, room, indent * 2 or _GAP)
            yield from full
            used = room
    if line:
        yield line


def wrapped(text: str, room: int | None, indent: str = "") -> list[str]:
    """A text in lines that hold whole words; a quote in backticks stays in one piece, to be copied.

    Args:
        text: one line.
        room: columns; None for any number.
        indent: what the second line and those after it begin with.
    """
    if room is None or width(text) <= room:
        return [text]
    lines, line = [], text[: len(text) - len(text.lstrip())]
    used = len(line)
    for word in _words(text.strip()):
        gap = " " if line.strip() else ""
        if gap and used + 1 + width(word) > room:
            lines.append(line.rstrip())
            line, used, gap = indent, len(indent), ""
        line, used = f"{line}{gap}{word}", used + len(gap) + width(word)
    return [*lines, line]


def _words(text: str) -> Iterator[str]:
    word = ""
    for part in text.split(" "):
        word = f"{word} {part}" if word else part
        if word.count("`") % 2 == 0:
            yield word
            word = ""
    if word:
        yield from word.split(" ")


def visible(text: str) -> str:
    """A text from an installer or a tenant made safe for a terminal."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def width(text: str) -> int:
    """How many columns a terminal uses for a text: East Asian letters and emoji take two, combining marks none."""
    return sum(0 if unicodedata.combining(char) else 1 + (unicodedata.east_asian_width(char) in "WF") for char in text)
