"""Print the completion script for zsh or bash: commands, flags, the choices of a flag, and files where a file goes.

Examples:
  kandji-uploader completion zsh > "${fpath[1]}/_kandji-uploader"
  echo 'eval "$(kandji-uploader completion zsh)"' >> ~/.zshrc
  echo 'eval "$(kandji-uploader completion bash)"' >> ~/.bash_profile
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from kandji_uploader.cli import DONE, whole_parser
from kandji_uploader.errors import KandjiUploaderError

_FOLDERS, _FILES = ("FOLDER",), ("FILE", "FILE|FOLDER", "PATH", "REPO")


def configure(parser: argparse.ArgumentParser) -> None:
    """Which shell."""
    parser.add_argument("shell", choices=("zsh", "bash"))


def run(arguments: argparse.Namespace) -> int:
    """Print the script."""
    try:
        import shtab
    except ImportError:
        raise KandjiUploaderError(
            "completion needs the package shtab: install it with `python3 -m pip install shtab`"
        ) from None
    parser = whole_parser()
    for action in _actions(parser):
        if action.metavar in _FILES:
            action.complete = shtab.FILE  # type: ignore[attr-defined]
        elif action.metavar in _FOLDERS:
            action.complete = shtab.DIRECTORY  # type: ignore[attr-defined]
    print(shtab.complete(parser, arguments.shell))
    return DONE


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Every argument of a parser and of the commands below it."""
    for action in parser._actions:  # noqa: SLF001 - argparse has no public way to look into a parser
        yield action
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            for below in action.choices.values():
                yield from _actions(below)
