"""One `inspect` in a process of its own, with what it cost."""

from __future__ import annotations

import functools
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

_SERVER = """
import json, os, resource, sys, time, traceback
from kandji_uploader import installer
from kandji_uploader.errors import InstallerError
import kandji_uploader.installer.reading, kandji_uploader.installer.zips

def measured(path):
    started = time.process_time()
    answer = {"app": None, "error": None, "place": None}
    try:
        facts = installer.inspect(path, digest=False)
        answer["app"] = [facts.app_name, facts.bundle_id, facts.version]
    except InstallerError as problem:
        answer.update(error=str(problem), place=problem.place)
    answer["seconds"] = time.process_time() - started
    if sys.platform == "darwin":
        answer["peak"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    else:  # ru_maxrss would begin with what the process that started us had at the most
        peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM:"))
        answer["peak"] = int(peak.split()[1]) * 1024
    return answer

for line in sys.stdin:
    child = os.fork()
    if child == 0:
        try:
            print(json.dumps(measured(json.loads(line))), flush=True)
        except BaseException:
            print(json.dumps({"failed": traceback.format_exc()}), flush=True)
        os._exit(0)
    if status := os.waitpid(child, 0)[1]:
        print(json.dumps({"failed": f"it ended with the status {status}"}), flush=True)
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


@functools.cache
def _server() -> subprocess.Popen[str]:
    """A process that has the library loaded and forks for each file; it ends when this one does."""
    return subprocess.Popen(
        [sys.executable, "-c", _SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8"
    )


def inspect(path: Path) -> Measured:
    """Inspect a file in a new process; anything but facts or an InstallerError fails here, with the traceback."""
    server = _server()
    assert server.stdin
    assert server.stdout
    server.stdin.write(f"{json.dumps(str(path))}\n")
    server.stdin.flush()
    answer = json.loads(server.stdout.readline())
    assert "failed" not in answer, answer["failed"]
    return Measured(**answer)
