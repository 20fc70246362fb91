"""A process that publishes what it is told, each time in a child of its own: a real process that can be killed.

Forking from a process that has everything imported makes a run start in milliseconds. It has one thread only.

    in:   one JSON object per line: environ, path, keys
    out:  {"pid": ...} when the child starts, {"pid": ..., "status": ..., "said": ...} when it has ended
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

INTERRUPTED = 130


def serve() -> None:
    import requests  # noqa: F401 - what a run imports is imported once, here

    from kandji_uploader.flows import publish as flow  # noqa: F401

    for line in sys.stdin:
        order = json.loads(line)
        inward, outward = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(inward)
            _publish(order, outward)
        os.close(outward)
        _tell({"pid": child})
        with os.fdopen(inward, encoding="utf-8") as pipe:
            said = pipe.read()
        _, status = os.waitpid(child, 0)
        _tell({"pid": child, "status": os.waitstatus_to_exitcode(status), "said": said})


def _publish(order: Mapping[str, Any], outward: int) -> None:
    """What the command line does: publish, tell how it ended, exit."""
    from kandji_uploader.cli import documents
    from kandji_uploader.errors import InterruptedRunError, KandjiUploaderError
    from kandji_uploader.flows import publish as flow
    from kandji_uploader.publish.request import Host, Request
    from kandji_uploader.publish.targets import RecipeFacts

    os.umask(0)
    request = Request(Path(order["path"]), keys=order["keys"], given=RecipeFacts(version=order["version"]))
    code, text = 0, ""
    try:
        result = flow.run(request, Host(environ=order["environ"]))
        code, text = int(result.failed), json.dumps(documents.run(result))
    except InterruptedRunError as stopped:
        code, text = INTERRUPTED, str(stopped)
    except KandjiUploaderError as problem:
        code, text = 1, str(problem)
    except BaseException:  # noqa: BLE001 - a bug: the test that reads this fails
        code, text = 70, traceback.format_exc()
    finally:
        os.write(outward, text.encode())
        os._exit(code)


def _tell(event: Mapping[str, Any]) -> None:
    print(json.dumps(event), flush=True)


class Publisher:
    """The process, as a test sees it."""

    def __init__(self) -> None:
        root = Path(__file__).parents[2]
        environ = {**os.environ, "PYTHONPATH": os.pathsep.join([str(root / "shared"), str(root)])}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.publisher"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=root,
            env=environ,
        )
        self._started = threading.Event()
        self._pid = 0

    def start(self, scene: Any, **more: Any) -> int:
        """Start a run; returns its process id."""
        request = scene.request(**more)
        order = {
            "environ": scene.environ(),
            "path": str(request.path),
            "keys": dict(request.keys),
            "version": request.given.version,
        }
        print(json.dumps(order), file=self._process.stdin, flush=True)
        self._pid = json.loads(self._process.stdout.readline())["pid"]
        self._started.set()
        return self._pid

    def kill(self, number: int) -> None:
        """Send a signal to the run that is under way, if it still is."""
        assert self._started.wait(10)
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._pid, number)

    def end(self) -> tuple[int, str]:
        """Wait for the run; returns its exit code (negative: the signal that killed it) and what it said."""
        event = json.loads(self._process.stdout.readline())
        self._started.clear()
        return event["status"], event["said"]

    def run(self, scene: Any, **more: Any) -> tuple[int, str]:
        """A run from start to end."""
        self.start(scene, **more)
        return self.end()

    def close(self) -> None:
        """End the process."""
        self._process.stdin.close()
        self._process.wait(10)
        self._process.stdout.close()


if __name__ == "__main__":
    serve()
