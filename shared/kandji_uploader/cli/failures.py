"""Failures as scripts see them: a code, a message, a fix, and the class that the exit code tells. See docs/json.md."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from enum import IntEnum
from typing import NoReturn

from kandji_uploader.errors import KandjiUploaderError


class Exit(IntEnum):
    """How a command ended. Signals have their own, as in a shell: 130 for Ctrl-C, 143 for SIGTERM."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    SETTINGS = 3
    TOKEN = 4
    SERVICE = 5
    REFUSED = 6
    PARTLY = 7


MEANING = {
    Exit.DONE: "done",
    Exit.FAILED: "failed",
    Exit.USAGE: "wrong usage",
    Exit.SETTINGS: "the settings are wrong",
    Exit.TOKEN: "the token or a permission is missing",
    Exit.SERVICE: "the network or the service; run again later",
    Exit.REFUSED: "refused, and a person has to decide",
    Exit.PARTLY: "a part failed and the rest did not",
}
"""Each class in a few words."""

_LATER = "Run again later; nothing is done twice."
_INSTALLER = "Get the installer again from whoever makes it, and look at it with `kandji-uploader inspect`."

CODES: dict[str, tuple[Exit, str]] = {
    "failed": (Exit.FAILED, "Do what the message says."),
    "usage": (Exit.USAGE, "Correct the command; `--help` after it shows what it takes."),
    "defect": (Exit.FAILED, "Report it with the message; it is not yours to mend."),
    "settings": (
        Exit.SETTINGS,
        "Correct what the message names; `kandji-uploader config` shows where a value is from.",
    ),
    "setup": (Exit.FAILED, "Give what the message asks for as a flag, or run `kandji-uploader setup` in a terminal."),
    "target": (Exit.SETTINGS, "Correct the name in the recipe, the map or the command, or make it in Kandji."),
    "munki_repo": (Exit.FAILED, "Correct the flags of `munki import`."),
    "credential": (Exit.TOKEN, "Put the token where the message looked, or run `kandji-uploader setup`."),
    "plaintext_keyring": (
        Exit.TOKEN,
        "Use the environment, or accept the plain text with `token_keystore.allow_plaintext`.",
    ),
    "token_refused": (Exit.TOKEN, "Make a new API token in Kandji, and give it to `kandji-uploader setup`."),
    "permission": (Exit.TOKEN, "Give the token the permission in Kandji under Settings > Access."),
    "network": (Exit.SERVICE, f"Check the connection, the proxy and the address (`kandji-uploader doctor`). {_LATER}"),
    "api": (Exit.SERVICE, f"{_LATER} If it stays, ask Kandji's support with the request id."),
    "still_processing": (Exit.SERVICE, "Run again later; the upload is there and is used."),
    "left_alone": (Exit.SERVICE, "Mend what failed at this tenant before, and run again."),
    "locked": (Exit.SERVICE, "Wait for the other run, and run again."),
    "conflict": (Exit.REFUSED, "Keep one of the Custom Apps of this name, or rename the others."),
    "refused": (Exit.REFUSED, "Decide what the message asks; it names the key that allows it."),
    "halted": (Exit.FAILED, "Look at the Macs that fail, with `kandji-uploader status`."),
    "same_app": (Exit.REFUSED, "Give the items of one run different Custom Apps, or publish one of them."),
    "audit_script": (Exit.REFUSED, "Correct what the message names of the app's identity or of the script."),
    "manifest": (Exit.REFUSED, "Build the manifest and its files again, and copy them whole."),
    "installer": (Exit.FAILED, _INSTALLER),
    "installer_changed": (Exit.FAILED, "Run again when the file is complete."),
    "tool_missing": (Exit.FAILED, "Install the program that the message names."),
    "package_missing": (Exit.FAILED, "Run the line that the message gives."),
    "autopkg": (Exit.FAILED, "Install AutoPkg 2.3 or newer."),
    "clock": (Exit.FAILED, "Set this machine's clock."),
    "cask": (Exit.FAILED, "Correct the name of the cask, or publish its file with `-p`."),
    "schedule": (Exit.FAILED, "Do what the message says; `kandji-uploader schedule status` shows what is installed."),
    "pending": (Exit.FAILED, "Run `kandji-uploader retry`."),
    "state": (Exit.FAILED, "Make room or give access to the folder that the message names."),
    "worker": (Exit.FAILED, "Look after the executor, the scheduler or the worker, and run again."),
    "interrupted": (Exit.FAILED, "Run again; nothing is done twice."),
}
"""Of each code its class, and the first thing to do. A message ends in what is to be done in its own case."""


class UsageError(KandjiUploaderError):
    """The command line itself is wrong; the text begins with the command."""

    code = "usage"


class Parser(argparse.ArgumentParser):
    """Raises what is wrong in the command line, so that it is told as any other failure."""

    def error(self, message: str) -> NoReturn:
        """Raise UsageError, which names the help in place of showing a usage of ten lines."""
        raise UsageError(f"{self.prog}: {message}; `{self.prog} --help` shows what it takes")


def fix(code: str) -> str:
    """The first thing to do about a failure."""
    return _known(code)[1]


def exit_code(codes: Iterable[str]) -> int:
    """The exit code of a command: 1 wherever something is halted, so that a watch need not know of more.

    Args:
        codes: of each thing that was to be done the code of its failure; "" where it has not failed.
    """
    told = list(codes)
    classes = {_known(code)[0] for code in told if code}
    if not classes:
        return Exit.DONE
    if "halted" in told:
        return Exit.FAILED
    if "" in told:
        return Exit.PARTLY
    return classes.pop() if len(classes) == 1 else Exit.FAILED


def _known(code: str) -> tuple[Exit, str]:
    return CODES.get(code, CODES[KandjiUploaderError.code])
