"""A command as a user whom permissions stop: root, whom nothing stops, gives up its capabilities for it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
_WITHOUT_POWERS = (shutil.which("setpriv"), "--bounding-set=-all", "--inh-caps=-all") if os.geteuid() == 0 else ()


def run(*words: object, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run the command line; a folder without permissions is closed to it as one of another user is."""
    env = {"PATH": "/nowhere", "PYTHONPATH": f"{ROOT / 'shared'}:{ROOT}", "PYTHONUTF8": "1", **environ}
    return subprocess.run(
        [*_WITHOUT_POWERS, sys.executable, "-m", "kandji_uploader", *map(str, words)],
        env=env,
        capture_output=True,
        encoding="utf-8",
        stdin=subprocess.DEVNULL,
        check=False,
        timeout=60,
    )
