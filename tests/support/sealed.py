"""A sealed copy of this checkout: what people work on is not sealed until `make seal`, and what users run always is."""

import atexit
import functools
import os
import shutil
import tempfile
from pathlib import Path

from tools.seal import seal

CHECKOUT = Path(__file__).parents[2]


def copy(folder, *packages):
    """A sealed copy of what a user's checkout holds of KandjiUploader, in a folder that is not there yet.

    With names of packages it holds these alone of the library, beside the modules at the door.
    """

    def left_out(place, names):
        others = [name for name in names if packages and name not in packages and (Path(place) / name).is_dir()]
        return {"__pycache__", *(others if Path(place).name == "kandji_uploader" else ())}

    folder.mkdir()
    for name in ("KandjiUploader.py", "KandjiUploader.recipe.yaml"):
        shutil.copy(CHECKOUT / name, folder)
    for name in ("shared", "audit", "requirements"):
        shutil.copytree(CHECKOUT / name, folder / name, ignore=left_out)
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
