"""Write the completion scripts, `docs/completion.zsh`, `.bash` and `.fish`, from the parsers of the command line."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import shtab

ROOT = Path(__file__).parents[1]
SCRIPTS = {shell: ROOT / "docs" / f"completion.{shell}" for shell in ("zsh", "bash", "fish")}
_FOLDERS, _FILES = ("FOLDER",), ("FILE", "FILE|FOLDER", "PATH", "REPO")
_APPS = (
    ("upload", ("name", "testname")),
    *((word, ("name", "names")) for word in ("promote", "rollback", "approve", "watch", "resume", "status")),
)
"""The arguments that are names of Custom Apps."""

_NAMES = "_kandji_uploader_apps"
_FILE = '"${{KANDJI_UPLOADER_STATE_DIR:-{folder}}}/{file}"'
_LIST = {
    "zsh": '{name}() {{ local -a apps; apps=("${{(@f)$(cat {file} 2>/dev/null)}}"); compadd -a apps }}',
    "bash": (
        '{name}() {{ local app; while IFS= read -r app; do app=$(printf %q "$app"); '
        '[[ $app == "$1"* ]] && printf "%s\\n" "$app"; done 2>/dev/null < {file}; }}'
    ),
    "fish": (
        "function {name}\n  set -l folder {folder}\n"
        '  set -q KANDJI_UPLOADER_STATE_DIR; and set folder "$KANDJI_UPLOADER_STATE_DIR"\n'
        '  cat "$folder/{names}" 2>/dev/null\nend'
    ),
}
"""How each shell lists the cached names, quoted as it needs them; the program itself is not started for it."""


def script(shell: str) -> str:
    """The completion script; `completion.FOLDER` stands where the state folder of a user is to be put."""
    from kandji_uploader.cli import APP_NAMES, completion, whole_parser

    parser = whole_parser()
    file = _FILE.format(folder=completion.FOLDER, file=APP_NAMES)
    quoted = f"'{completion.FOLDER}'"
    lists = {each: text.format(name=_NAMES, file=file, folder=quoted, names=APP_NAMES) for each, text in _LIST.items()}
    names = {"zsh": _NAMES, "bash": _NAMES, "fish": f"({_NAMES})", "preamble": lists}
    for action in _actions(parser):
        if action.metavar in _FILES:
            action.complete = shtab.FILE  # type: ignore[attr-defined]
        elif action.metavar in _FOLDERS:
            action.complete = shtab.DIRECTORY  # type: ignore[attr-defined]
    for action in _that_name_apps(parser):
        action.complete = names  # type: ignore[attr-defined]
    text: str = shtab.complete(parser, shell)
    return f"{text.rstrip()}\n"


def _that_name_apps(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    (below,) = (each for each in parser._actions if isinstance(each, argparse._SubParsersAction))  # noqa: SLF001
    for command, arguments in _APPS:
        yield from (action for action in below.choices[command]._actions if action.dest in arguments)  # noqa: SLF001
    yield from (action for action in parser._actions if action.dest in ("name", "testname"))  # noqa: SLF001


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Every argument of a parser and of the commands below it."""
    for action in parser._actions:  # noqa: SLF001 - argparse has no public way to look into a parser
        yield action
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            for below in action.choices.values():
                yield from _actions(below)


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT / "shared"))
    for shell, path in SCRIPTS.items():
        path.write_text(script(shell), encoding="utf-8")
