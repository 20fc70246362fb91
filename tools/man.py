"""Write the manual page, `docs/kandji-uploader.1`, from the parsers of the command line."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
COMMON = {"--help", "--color", "--quiet", "--no-progress"}
PAGE = ROOT / "docs" / "kandji-uploader.1"


def page() -> str:
    """The page, in the macros of man(7); it holds no date and no version, so that only changes change it."""
    from kandji_uploader import cli

    parsers = {name: cli.parser_of(name) for name in cli.COMMANDS}
    lines = [
        '.TH "KANDJI\\-UPLOADER" "1" "" "KandjiUploader" "User Commands"',
        ".SH NAME",
        f"kandji\\-uploader \\- {_text(cli.PURPOSE[:1].lower() + cli.PURPOSE[1:].rstrip('.'))}",
        ".SH SYNOPSIS",
        ".B kandji\\-uploader",
        "COMMAND ...",
        ".br",
        ".B kandji\\-uploader",
        "\\-p FILE | \\-b CASK ...",
        ".SH DESCRIPTION",
        *_prose(cli.FURTHER),
        ".SH COMMANDS",
    ]
    for name, (_, purpose) in cli.COMMANDS.items():
        lines += [f".SS {_text(name)}", *_prose(parsers[name].description or purpose), *_flags(parsers[name])]
        lines += _examples(parsers[name].epilog or "")
    lines.append(".SH OUTPUT")
    for flags, meaning in cli.screen.FLAGS.items():
        lines += [".TP", f".B {_text(flags)}", _text(meaning)]
    lines.append(".SH ENVIRONMENT")
    for name, meaning in cli.ENVIRONMENT.items():
        lines += [".TP", f".B {_text(name)}", _text(meaning)]
    lines += [".SH EXIT STATUS", *_prose(cli.CODES)]
    return "\n".join(lines) + "\n"


def _flags(parser: argparse.ArgumentParser, word: str = "") -> Iterator[str]:
    """Each argument, and those of the words below a command."""
    for action in parser._actions:  # noqa: SLF001 - argparse has no public way to look into a parser
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            for below in action._choices_actions:  # noqa: SLF001
                yield from (".TP", f".B {_text(below.dest)}", _text(below.help or ""))
                yield from _flags(action.choices[below.dest], below.dest)
        elif not COMMON.intersection(action.option_strings):
            value = action.metavar or "|".join(map(str, action.choices or ())) or action.dest.upper()
            takes = action.nargs != 0 and bool(action.option_strings)
            named = ", ".join(f"\\fB{_text(flag)}\\fR" for flag in action.option_strings) or f"\\fI{_text(value)}\\fR"
            shown = f"{named} \\fI{_text(value)}\\fR" if takes else named
            yield from (".TP", f"{word} {shown}".strip(), _text(action.help or ""))


def _prose(text: str) -> Iterator[str]:
    for number, block in enumerate(text.split("\n\n")):
        if number:
            yield ".PP"
        yield _text(" ".join(block.split()))


def _examples(epilog: str) -> list[str]:
    lines = [line.strip() for line in epilog.splitlines()[1:] if line.strip()]
    return [".PP", ".nf", ".RS", *map(_text, lines), ".RE", ".fi"] if lines else []


def _text(text: str) -> str:
    """A text as it is to be read: no letter of it is a command of the formatter."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("%%", "%")
    return re.sub(r"^(?=[.'])", r"\\&", text)


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT / "shared"))
    PAGE.write_text(page(), encoding="utf-8")
