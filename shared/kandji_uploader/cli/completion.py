"""Print the completion script for zsh, bash or fish, or install it with the manual page: commands, flags, files, apps.

With --install the script is written where the shell finds it, the file that the shell reads first gets one line (not of
fish, which needs none), and the manual page is put beside. The shell is that of $SHELL where none is named. Names of
apps are those that the tenant had when a command last read its list.

Examples:
  kandji-uploader completion --install
  kandji-uploader completion --install fish
  kandji-uploader completion zsh > "${fpath[1]}/_kandji-uploader"
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from kandji_uploader._util import files
from kandji_uploader.cli import APP_NAMES, DONE, PROGRAM, whole_parser
from kandji_uploader.cli.prompts import tell
from kandji_uploader.errors import KandjiUploaderError

_SHELLS = ("zsh", "bash", "fish")
_FOLDERS, _FILES = ("FOLDER",), ("FILE", "FILE|FOLDER", "PATH", "REPO")
_APPS = (
    ("upload", ("name", "testname")),
    *((word, ("name", "names")) for word in ("promote", "rollback", "approve", "watch", "resume", "status")),
)
"""The arguments that are names of Custom Apps."""

_READ_FIRST = {"zsh": ".zshrc", "bash": ".bash_profile" if sys.platform == "darwin" else ".bashrc"}
"""Terminals of macOS start login shells, which read no .bashrc."""
_MANUAL = "kandji-uploader.1"
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


def configure(parser: argparse.ArgumentParser) -> None:
    """Which shell, and whether to install it."""
    parser.add_argument("shell", choices=_SHELLS, nargs="?", help="which shell (default: that of $SHELL)")
    parser.add_argument("--install", action="store_true", help="install the script and the manual page for this user")


def run(arguments: argparse.Namespace) -> int:
    """Print the script, or install it."""
    shell = arguments.shell or Path(os.environ.get("SHELL", "")).name
    if shell not in _SHELLS:
        raise KandjiUploaderError(f"there is no completion for the shell {shell!r}; name {', '.join(_SHELLS)}")
    text = script(shell)
    if not arguments.install:
        print(text)
        return DONE
    try:
        _install(shell, text, os.environ)
    except OSError as problem:
        raise KandjiUploaderError(
            f"{problem.filename}: cannot be written ({problem.strerror}); `{PROGRAM} completion {shell}` prints it"
        ) from None
    return DONE


def script(shell: str) -> str:
    """The completion script.

    Raises:
        KandjiUploaderError: shtab, which makes it, is not installed.
    """
    try:
        import shtab
    except ImportError:
        raise KandjiUploaderError(
            "completion needs the package shtab: install it with `python3 -m pip install shtab`"
        ) from None
    parser = whole_parser()
    names = _of_apps()
    for action in _actions(parser):
        if action.metavar in _FILES:
            action.complete = shtab.FILE  # type: ignore[attr-defined]
        elif action.metavar in _FOLDERS:
            action.complete = shtab.DIRECTORY  # type: ignore[attr-defined]
    for action in _that_name_apps(parser):
        action.complete = names  # type: ignore[attr-defined]
    text: str = shtab.complete(parser, shell)
    return text


def _of_apps() -> dict[str, object]:
    """How each shell completes the name of an app, as shtab takes it."""
    from kandji_uploader import settings

    folder = str(settings.early(os.environ | {"KANDJI_UPLOADER_STATE_DIR": ""}).state_folder)
    file = _FILE.format(folder=_quoted(folder), file=APP_NAMES)
    lists = {
        shell: text.format(name=_NAMES, file=file, folder=f"'{folder}'", names=APP_NAMES)
        for shell, text in _LIST.items()
    }
    return {"zsh": _NAMES, "bash": _NAMES, "fish": f"({_NAMES})", "preamble": lists}


def _quoted(folder: str) -> str:
    """A folder as it stands within double quotes."""
    return "".join(f"\\{char}" if char in '\\"$`}' else char for char in folder)


def _install(shell: str, text: str, environ: Mapping[str, str]) -> None:
    home = Path(environ.get("HOME") or Path.home())
    data = Path(environ.get("XDG_DATA_HOME") or home / ".local" / "share")
    if shell == "fish":
        target = Path(environ.get("XDG_CONFIG_HOME") or home / ".config") / "fish" / "completions" / f"{PROGRAM}.fish"
    else:
        target = data / PROGRAM / f"completion.{shell}"
    _write(target, text)
    tell(f"{target}: the completion for {shell}")
    line = _line(shell, target)
    if line:
        _append(home / _READ_FIRST[shell], line)
    manual = data / "man" / "man1" / _MANUAL
    _write(manual, files.shipped(_MANUAL, "docs").read_text(encoding="utf-8"))
    tell(f"{manual}: the manual page, for `man {PROGRAM}`")
    tell("New shells know it; in this one, `exec $SHELL` does")


def _line(shell: str, target: Path) -> str:
    """What the shell has to read when it starts; "" where it finds the script by itself."""
    if shell == "zsh":
        ready = "(( $+functions[compdef] )) || { autoload -Uz compinit && compinit }"
        return f'{ready}; eval "$(<"{_quoted(str(target))}")"  # {PROGRAM} completion'
    return f'source "{_quoted(str(target))}"  # {PROGRAM} completion' if shell == "bash" else ""


def _append(path: Path, line: str) -> None:
    """Add a line to a file of the user's, once."""
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    if line in text.splitlines():
        tell(f"{path}: has the line that reads it")
        return
    with path.open("a", encoding="utf-8") as file:
        file.write(f"{'' if not text or text.endswith(chr(10)) else chr(10)}{line}\n")
    tell(f"{path}: one line more, which reads it")


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


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
