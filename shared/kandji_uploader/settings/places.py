"""Where the config file, the maps and the state are."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

_VARIABLES = ("KANDJI_UPLOADER_DIR", "IRUPKG_LOCAL_DIR", "KPKG_LOCAL_DIR", "IRUPKG_CONFIG_DIR", "KPKG_CONFIG_DIR")


def config_folder(environ: Mapping[str, str] | None = None, platform: str = sys.platform) -> Path:
    """Where the config file, the maps and the state are; it need not exist.

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
