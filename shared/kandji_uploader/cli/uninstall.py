"""Remove what was kept on this machine: the schedule, the state, compiled code, secrets in the keychain, the settings.

It shows all of it and asks first. Nothing is changed in Kandji. Other files in the settings folder stay.

Examples:
  kandji-uploader uninstall
  kandji-uploader uninstall --keep-settings --yes
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import sys
from pathlib import Path

from kandji_uploader import schedule, settings
from kandji_uploader.cli import DONE, FAILED, screen
from kandji_uploader.cli.logout import logged_out
from kandji_uploader.cli.prompts import Prompts
from kandji_uploader.cli.where import Place, places
from kandji_uploader.errors import CredentialError, ScheduleError, SetupError


def configure(parser: argparse.ArgumentParser) -> None:
    """The arguments."""
    add = parser.add_argument
    add("--keep-settings", action="store_true", help="leave the settings folder as it is")
    add("--yes", action="store_true", help="do not ask")


def run(arguments: argparse.Namespace) -> int:
    """Show it, ask, and remove it; 1 where something could not be removed.

    Raises:
        SetupError: there is nobody to ask.
    """
    found = [place for place in places(os.environ) if place.size is not None]
    found = [place for place in found if not (arguments.keep_settings and place.what == "settings")]
    rows = [[place.what, str(file)] for place in found for file in place.files or (place.path,)]
    print(screen.of().table(["What", "Is removed"], [*rows, ["secrets", "from the keychain, if they are there"]]))
    prompts = Prompts()
    if not (arguments.yes or prompts.interactive):
        raise SetupError("there is no terminal to ask on; give --yes")
    if not (arguments.yes or prompts.confirm("Remove all of this?", default=False)):
        print("nothing was removed")
        return DONE
    left = [*_logged_out(), *(problem for place in found if (problem := _removed(place)))]
    for line in left:
        print(f"not removed: {line}", file=sys.stderr)
    print(
        "Custom Apps in Kandji stay as they are. To remove the program: `uv tool uninstall kandji-uploader`, or `pip`"
    )
    return FAILED if left else DONE


def _logged_out() -> list[str]:
    """Take all secrets out of the keychain; returns what is wrong with it."""
    folder = settings.config_folder(os.environ)
    known = bool(settings.find_file(folder, "tenants"))
    try:
        for tenants in (None, *((("all",),) if known else ())):
            for line in logged_out(os.environ, tenants):
                print(line)
    except CredentialError as problem:
        return [str(problem)]
    return []


def _removed(place: Place) -> str:
    """Remove what is in a place; returns what is wrong, "" for nothing."""
    try:
        if place.what == "schedule":
            print(schedule.for_platform(settings.config_folder(os.environ)).uninstall())
            return ""
        for file in place.files or (place.path,):
            _remove(file)
        with contextlib.suppress(OSError):  # it is gone, or holds what is not ours
            place.path.rmdir()
    except ScheduleError as problem:
        return str(problem)
    except OSError as problem:
        return f"{problem.filename} ({problem.strerror})"
    return ""


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
