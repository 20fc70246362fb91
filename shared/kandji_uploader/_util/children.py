"""Programs that we start, each without our secrets: the one place that starts any.

Our own environment holds the API token under whatever name, perhaps the webhook, perhaps a proxy with a password; and
7-Zip and hdiutil read what strangers have made. So a program gets the few variables that every one needs, and beyond
them only what its caller names.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from kandji_uploader.errors import KandjiUploaderError

Child = subprocess.Popen
"""A program that runs."""

Done = subprocess.CompletedProcess[str]
"""A program that was run to its end."""

_KEPT = ("PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "TMPDIR", "TZ", "TERM")
_KEPT_STARTS = ("LC_",)


class ProgramTooSlowError(KandjiUploaderError):
    """A program did not end in its time, and was ended."""


def surroundings(environ: Mapping[str, str] | None = None, keep: Sequence[str] = ()) -> dict[str, str]:
    """The variables for a program.

    Args:
        environ: where they are taken from; the process's own by default.
        keep: names of further ones that this program needs; one that ends in `*` stands for all that begin so.
    """
    names = {*_KEPT, *keep}
    starts = (*_KEPT_STARTS, *(name[:-1] for name in keep if name.endswith("*")))
    given = os.environ if environ is None else environ
    return {name: value for name, value in given.items() if name in names or name.startswith(starts)}


def run(
    words: Sequence[str], environ: Mapping[str, str], *, seconds: float | None = None, folder: Path | None = None
) -> Done:
    """A program that was run to its end, and what it printed (UTF-8); it reads nothing.

    Args:
        words: the program and its arguments; no shell reads them.
        environ: its variables, from `surroundings`.
        seconds: how long it may take; None for any time.
        folder: where it runs; here by default.

    Raises:
        OSError: it cannot be started.
        ProgramTooSlowError: it did not end in time.
        KeyboardInterrupt: Ctrl-C has ended it.
    """
    try:
        done = subprocess.run(
            list(words),
            env=dict(environ),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ProgramTooSlowError(f"{words[0]} did not end within {seconds:.0f} seconds") from None
    check_interrupted(done.returncode)
    return done


def check_interrupted(returncode: int) -> None:
    """Raise KeyboardInterrupt if Ctrl-C has ended a program: it reaches all of a terminal's processes at once.

    What such a program has not said is no verdict. The signal that reaches us may come later, and in another thread.
    """
    if returncode == -signal.SIGINT:
        raise KeyboardInterrupt


def attend(words: Sequence[str], environ: Mapping[str, str]) -> int:
    """Let a person work with a program in this terminal; returns its exit code.

    Args:
        words: the program and its arguments; no shell reads them.
        environ: its variables, from `surroundings`.

    Raises:
        OSError: it cannot be started.
    """
    return subprocess.run(list(words), env=dict(environ), check=False).returncode


def start(
    words: Sequence[str], environ: Mapping[str, str], *, says: IO[bytes] | None = None, listens: bool = False
) -> Child[bytes]:
    """A program that runs while its output is read.

    Args:
        words: the program and its arguments; no shell reads them.
        environ: its variables, from `surroundings`.
        says: takes its standard error; it is thrown away by default.
        listens: whether its input is a pipe; then Ctrl-C in a terminal, which reaches all processes of its group, does
            not reach this one, which has work left when we end.
    """
    return subprocess.Popen(
        list(words),
        env=dict(environ),
        stdin=subprocess.PIPE if listens else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=says or subprocess.DEVNULL,
        start_new_session=listens,
    )


def ended(child: Child[bytes], seconds: float) -> bool:
    """Whether a program has ended, after waiting so long at the most."""
    try:
        child.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True
