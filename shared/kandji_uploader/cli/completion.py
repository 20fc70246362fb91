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
import contextlib
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from kandji_uploader._util import files, places
from kandji_uploader.cli import DONE, PROGRAM
from kandji_uploader.cli.prompts import tell
from kandji_uploader.errors import KandjiUploaderError

_SHELLS = ("zsh", "bash", "fish")
FOLDER = "@STATE_FOLDER@"
"""Stands in the scripts of `tools/completion.py` for the folder that holds `APP_NAMES`, the cached names."""
_READ_FIRST = {"zsh": ".zshrc", "bash": ".bash_profile" if sys.platform == "darwin" else ".bashrc"}
"""Terminals of macOS start login shells, which read no .bashrc."""
_MANUAL = "kandji-uploader.1"


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
    """The completion script."""
    text = files.shipped(f"completion.{shell}", "docs").read_text(encoding="utf-8")
    folder = str(_state_folder(os.environ | {"KANDJI_UPLOADER_STATE_DIR": ""}))
    return text.replace(FOLDER, folder if shell == "fish" else _quoted(folder)).rstrip()


def _state_folder(environ: Mapping[str, str]) -> Path:
    """The state folder; the settings, which take a tenth of a second to load, are asked only if they name it."""
    for config in places.config_folder(environ).glob("config.*"):
        with contextlib.suppress(OSError):
            if b"state_folder" in config.read_bytes():
                from kandji_uploader import settings

                return settings.early(environ).state_folder
    return places.state_folder(environ)


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
