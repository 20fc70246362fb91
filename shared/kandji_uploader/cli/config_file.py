"""The config file, changed by hand: one value, or in an editor. It is never left with an error that is new."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from kandji_uploader import settings
from kandji_uploader._util import children
from kandji_uploader.cli import DONE
from kandji_uploader.cli.prompts import Prompts, tell
from kandji_uploader.errors import Problem, SettingsError, SetupError
from kandji_uploader.settings import schema, showing, writing

_KEPT = ("VISUAL", "EDITOR", "COLORTERM", "DISPLAY", "WAYLAND_DISPLAY", "DBUS_SESSION_BUS_ADDRESS", "XDG_*", "VIM*")
"""Variables that editors look at."""


def change(arguments: argparse.Namespace) -> int:
    """Set or take out one key, and tell what holds now."""
    folder = settings.config_folder()
    value = writing.typed(arguments.key, arguments.value) if arguments.word == "set" else None
    path = writing.set_values(folder, {arguments.key: value})
    problems = writing.problems_with(folder, None)
    if problems:
        tell(f"{path}: {arguments.key}: changed")
        _warn(problems)
        return DONE
    settled = settings.load({}, given_origin="command line", caller="command line", shown=True).settle()
    name = schema.IN_CONFIG[arguments.key][0].path
    (row,) = [row for row in showing.explain(settled) if row.key == name]
    tell(f"{path}: {name}: {row.value or '-'}{'' if row.origin == str(path) else f' (from: {row.origin})'}")
    return DONE


def edit() -> int:
    """Open a copy in the editor until it has no new error, or nobody wants to go on; then put it in its place.

    Raises:
        SettingsError: it has one; the text is kept beside the config file, which is as it was.
    """
    folder, prompts = settings.config_folder(), Prompts()
    path = settings.find_file(folder, "config") or folder / "config.yaml"
    before = writing.text_of(path)
    with tempfile.TemporaryDirectory(prefix="kandji-uploader-") as place:
        draft = Path(place) / path.name
        draft.write_bytes((before or showing.example()).encode())
        start = draft.read_bytes()
        while True:
            _open(draft)
            if draft.read_bytes() == start:
                tell(f"{path}: nothing was changed")
                return DONE
            after = draft.read_bytes().decode(errors="replace")
            try:
                writing.replace_text(folder, path, before, after)
            except SettingsError as refused:
                tell(str(refused))
                if not (prompts.interactive and prompts.confirm("Go back to the editor?", default=True)):
                    kept = writing.keep_draft(path, after)
                    tell(f"{path}: not changed; what you wrote is in {kept}")
                    raise
            else:
                tell(f"{path}: changed")
                _warn(writing.problems_with(folder, None))
                return DONE


def _open(draft: Path) -> None:
    """Let a person edit a file.

    Raises:
        SetupError: the editor cannot be started, or has failed.
    """
    asked = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    advice = "name another one as VISUAL or EDITOR. The config file was not changed"
    try:
        code = children.attend([*shlex.split(asked), str(draft)], children.surroundings(keep=_KEPT))
    except (OSError, ValueError) as problem:
        reason = getattr(problem, "strerror", None) or problem
        raise SetupError(f"the editor {asked!r} cannot be started ({reason}); {advice}") from None
    if code:
        raise SetupError(f"the editor {asked!r} ended with {code}; {advice}")


def _warn(problems: Sequence[Problem]) -> None:
    """What is wrong in the settings still."""
    for problem in problems:
        print(f"warning: {problem}", file=sys.stderr)
