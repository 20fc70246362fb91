"""What the output is shown on: how wide it is, and whether it knows colours and links."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, TextIO

from kandji_uploader.report import layout

_RED, _YELLOW, _PLAIN = "\x1b[1;31m", "\x1b[1;33m", "\x1b[0m"
_COLOURS = {
    **dict.fromkeys(("failed", "refused", "halted", "conflict", "problem", "missing", "error"), _RED),
    **dict.fromkeys(("held", "waiting", "pinned", "warning"), _YELLOW),
}
"""What matters; every word of it is read as well without its colour."""
_TOLD = ("Action", "State", "Severity")
"""The columns whose words are coloured: what others chose is not in them."""
_KNOW_LINKS = frozenset({"iTerm.app", "WezTerm", "vscode", "ghostty", "Hyper", "Tabby", "rio", "WarpTerminal"})
_SINCE_VTE = 5000
_NARROWEST = 20


class Screen(NamedTuple):
    """Where something is shown.

    Attributes:
        room: columns; None where there is no end, as in a file or a pipe.
        colours: whether it shows colours.
        links: whether it shows a text as a link (OSC 8).
    """

    room: int | None = None
    colours: bool = False
    links: bool = False

    def table(self, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
        """Rows as columns or blocks; the last column, if it is one of links, becomes the link of the first."""
        if self.links and heads[-1] == layout.LINK:
            addresses = {row[0]: row[-1] for row in rows}
            heads, rows = heads[:-1], [row[:-1] for row in rows]
            return layout.table(heads, rows, self.room, lambda head, cell: self._shown(head, cell, heads[0], addresses))
        return layout.table(heads, rows, self.room, self._painted)

    def wrapped(self, text: str, indent: str) -> str:
        """A text in lines of whole words; those after the first begin with the indent."""
        return "\n".join(layout.wrapped(text, self.room, indent))

    def paint(self, word: str, text: str | None = None) -> str:
        """A word that matters in its colour, or another text in the colour of that word."""
        colour = _COLOURS.get(word.strip().casefold()) if self.colours else None
        return f"{colour}{text or word}{_PLAIN}" if colour else text or word

    def _painted(self, head: str, cell: str) -> str:
        return self.paint(cell) if head in _TOLD else cell

    def _shown(self, head: str, cell: str, named: str, addresses: Mapping[str, str]) -> str:
        address = addresses.get(cell, "") if head == named else ""
        return f"\x1b]8;;{address}\x1b\\{cell}\x1b]8;;\x1b\\" if _is_plain(address) else self._painted(head, cell)


class _Choice:
    """What the flags of this call say of the output."""

    color: str = "auto"
    quiet: bool = False
    progress: bool = True


CHOICE = _Choice()
"""That of the command that runs; a process runs one at a time."""


FLAGS = {
    "--color": "colours (default: auto)",
    "--quiet": "only the outcome, warnings and errors",
    "--no-progress": "do not tell how far a transfer is",
}


def configure(parser: argparse.ArgumentParser) -> None:
    """The flags that every command takes, and each word of one."""
    for each in _with_words(parser):
        group = each.add_argument_group("output")
        add = group.add_argument
        add("--color", choices=("auto", "always", "never"), default=argparse.SUPPRESS, help=FLAGS["--color"])
        add("--quiet", action="store_true", default=argparse.SUPPRESS, help=FLAGS["--quiet"])
        add("--no-progress", action="store_true", default=argparse.SUPPRESS, help=FLAGS["--no-progress"])


def _with_words(parser: argparse.ArgumentParser) -> list[argparse.ArgumentParser]:
    """A parser, and those of the words below it."""
    below = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]  # noqa: SLF001 - there is no public way
    return [parser, *(each for action in below for each in action.choices.values())]


def choose(arguments: argparse.Namespace) -> None:
    """Take the flags of a call."""
    CHOICE.color = getattr(arguments, "color", "auto")
    CHOICE.quiet = getattr(arguments, "quiet", False)
    CHOICE.progress = not getattr(arguments, "no_progress", False)


def prose(text: str) -> str:
    """Paragraphs as wide as the terminal (80 columns where there is none); indented lines are left as they are."""
    import shutil

    room = max(shutil.get_terminal_size().columns - 2, _NARROWEST)
    parts = []
    for block in text.strip("\n").split("\n\n"):
        if any(line.startswith(" ") for line in block.splitlines()):
            parts.append(block)
        else:
            parts.append("\n".join(layout.wrapped(" ".join(block.split()), room)))
    return "\n\n".join(parts)


def listing(rows: Iterable[tuple[str, str]], size: int) -> str:
    """Words with what they mean beside them, or below them where it is narrow."""
    import shutil

    room = max(shutil.get_terminal_size().columns - 2, _NARROWEST)
    indent = " " * (size + 3 if room > size * 3 else 6)
    lines = []
    for word, meaning in rows:
        beside = f"  {word:{size}} {meaning}" if room > size * 3 else f"  {word}\n{indent}{meaning}"
        *above, last = beside.split("\n")
        lines += [*above, *layout.wrapped(last, room, indent)]
    return "\n".join(lines)


def tell(text: str) -> None:
    """Print sentences that may hold the words of others, in lines of whole words."""
    print("\n".join(of().wrapped(layout.visible(line), "  ") for line in text.splitlines()), flush=True)


def of(stream: TextIO | None = None, environ: Mapping[str, str] | None = None) -> Screen:
    """What a stream is shown on; standard output by default."""
    stream = sys.stdout if stream is None else stream
    environ = os.environ if environ is None else environ
    terminal, smart = stream.isatty(), environ.get("TERM", "dumb") != "dumb"
    return Screen(
        _room(stream, environ) if terminal else None,
        _has_colours(environ, terminal=terminal and smart),
        terminal and smart and _has_links(environ),
    )


def _room(stream: TextIO, environ: Mapping[str, str]) -> int:
    given = environ.get("COLUMNS", "")
    try:
        columns = int(given) if given.isdecimal() and int(given) else os.get_terminal_size(stream.fileno()).columns
    except OSError:
        columns = 0
    return max(columns or 80, _NARROWEST)


def _has_colours(environ: Mapping[str, str], *, terminal: bool) -> bool:
    """The flag, then NO_COLOR, then FORCE_COLOR, as Python itself and https://no-color.org have it."""
    if CHOICE.color != "auto":
        return CHOICE.color == "always"
    if environ.get("NO_COLOR"):
        return False
    return terminal or environ.get("FORCE_COLOR", "0") not in ("", "0")


def _has_links(environ: Mapping[str, str]) -> bool:
    """Whether the terminal is one of those that know links; others (Terminal of macOS, too) would show the codes."""
    vte = environ.get("VTE_VERSION", "")
    return (
        environ.get("TERM_PROGRAM") in _KNOW_LINKS
        or environ.get("TERM", "").startswith(("xterm-kitty", "xterm-ghostty", "foot", "alacritty"))
        or (vte.isdecimal() and int(vte) >= _SINCE_VTE)
        or any(name in environ for name in ("KONSOLE_VERSION", "WT_SESSION"))
    )


def _is_plain(address: str) -> bool:
    """Whether an address can stand in an escape sequence: what a tenant says could hold one."""
    return address.startswith(("https://", "http://")) and address.isascii() and address.isprintable()
