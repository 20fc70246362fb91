"""A sealed copy of this checkout: what people work on is not sealed until `make seal`, and what users run always is."""

import atexit
import functools
import os
import shutil
import tempfile
from pathlib import Path

from tools.seal import seal

CHECKOUT = Path(__file__).parents[2]


def copy(folder):
    """A sealed copy of what a user's checkout holds of KandjiUploader, in a folder that is not there yet."""
    folder.mkdir()
    for name in ("KandjiUploader.py", "KandjiUploader.recipe.yaml"):
        shutil.copy(CHECKOUT / name, folder)
    for name in ("shared", "audit", "requirements"):
        shutil.copytree(CHECKOUT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "examples").symlink_to(CHECKOUT / "examples")
    seal(folder)
    return folder


@functools.cache
def checkout():
    """One sealed copy for all tests of this process, which only read it."""
    return copy(_folder() / "checkout")


@functools.cache
def caches():
    """One folder for compiled code, so that a test with a new home does not compile the library anew."""
    folder = _folder() / "caches"
    folder.mkdir()
    return folder


@functools.cache
def _folder():
    folder, owner = tempfile.mkdtemp(prefix="sealed-"), os.getpid()
    atexit.register(lambda: os.getpid() == owner and shutil.rmtree(folder, ignore_errors=True))
    return Path(folder).resolve()
