"""Where the settings are, and where the state is: a folder of settings may be read-only, that of the state may not."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

STATE_VARIABLE = "KANDJI_UPLOADER_STATE_DIR"
_VARIABLES = ("KANDJI_UPLOADER_DIR", "IRUPKG_LOCAL_DIR", "KPKG_LOCAL_DIR", "IRUPKG_CONFIG_DIR", "KPKG_CONFIG_DIR")


def config_folder(environ: Mapping[str, str] | None = None, platform: str = sys.platform) -> Path:
    """Where the config file and the maps are; it need not exist.

    `KANDJI_UPLOADER_DIR` (or one of its aliases) names it; else it is the platform's folder for a user's configuration.
    That is worked out here and not by platformdirs, whose releases differ in it for macOS: AutoPkg's Python and the
    command line must agree on one folder.
    """
    environ = os.environ if environ is None else environ
    named = next((environ[name].strip() for name in _VARIABLES if environ.get(name, "").strip()), None)
    if named:
        return Path(named).expanduser().absolute()
    home = Path(environ["HOME"]) if environ.get("HOME") else Path.home()
    if platform == "darwin":
        return home / "Library" / "Application Support" / "KandjiUploader"
    return Path(environ.get("XDG_CONFIG_HOME") or home / ".config") / "KandjiUploader"


def state_folder(environ: Mapping[str, str] | None = None, platform: str = sys.platform) -> Path:
    """Where the state is while neither `state_folder` nor KANDJI_UPLOADER_STATE_DIR names a place; it need not exist.

    One for all settings folders of a user: two of them may publish to one tenant, and must then wait for each other.
    On macOS it is where the platform keeps it, elsewhere what the XDG Base Directory Specification says, by which a
    relative XDG_STATE_HOME does not count.
    """
    environ = os.environ if environ is None else environ
    home = Path(environ["HOME"]) if environ.get("HOME") else Path.home()
    if platform == "darwin":
        return home / "Library" / "Application Support" / "KandjiUploader" / "state"
    named = Path(environ.get("XDG_STATE_HOME") or "")
    return (named if named.is_absolute() else home / ".local" / "state") / "KandjiUploader"
