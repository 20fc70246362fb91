"""The programs of this machine but zsh, for tests of what is not about audit scripts.

Where there is a zsh, each audit script is tried before anything is sent: seven starts, a fifth of a second of processor
time. What that trial finds is in `tests/audit`; tests of whole ways (the documents, the demo, a recipe) have zsh, too.
"""

import atexit
import contextlib
import functools
import os
import shutil
import tempfile


@functools.cache
def without_zsh():
    """A PATH with all programs that are on PATH here, but for zsh; one folder for all tests of this process."""
    programs: dict[str, str] = {}
    folder, owner = tempfile.mkdtemp(prefix="programs-"), os.getpid()
    atexit.register(lambda: os.getpid() == owner and shutil.rmtree(folder, ignore_errors=True))
    for place in reversed(os.get_exec_path()):
        with contextlib.suppress(OSError), os.scandir(place) as found:
            programs.update((program.name, program.path) for program in found if not program.name.startswith("zsh"))
    for name, program in programs.items():
        os.symlink(program, f"{folder}/{name}")  # noqa: PTH211 - many, quickly
    return folder
