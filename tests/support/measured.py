"""One `inspect` in a process of its own, with what it cost."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

_SCRIPT = """
import json, resource, sys, time
from kandji_uploader import installer
from kandji_uploader.errors import InstallerError
import kandji_uploader.installer.reading, kandji_uploader.installer.zips
started = time.process_time()
answer = {"app": None, "error": None, "place": None}
try:
    facts = installer.inspect(sys.argv[1], digest=False)
    answer["app"] = [facts.app_name, facts.bundle_id, facts.version]
except InstallerError as problem:
    answer.update(error=str(problem), place=problem.place)
answer["seconds"] = time.process_time() - started
if sys.platform == "darwin":
    answer["peak"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
else:  # ru_maxrss would begin with what the process that started us had at the most
    peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM:"))
    answer["peak"] = int(peak.split()[1]) * 1024
print(json.dumps(answer))
"""


@dataclass(frozen=True)
class Measured:
    """What `inspect` said and cost.

    Attributes:
        app: name, bundle id and version, or None.
        error: the error's text, or None.
        place: the error's place.
        seconds: of processor time for the call alone, so that a busy machine makes no difference.
        peak: bytes resident at the most, Python itself included.
    """

    app: list[str] | None
    error: str | None
    place: str | None
    seconds: float
    peak: int


def inspect(path: Path) -> Measured:
    """Inspect a file in a new process; anything but facts or an InstallerError fails here, with the traceback."""
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT, str(path)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return Measured(**json.loads(done.stdout))
