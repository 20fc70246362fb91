"""The embedded tenant in a process of its own, so that what it costs is not counted as ours.

Run as a module it serves until its standard input ends; each line of input is a command in JSON, answered by a line.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

_ROOM = 4 << 30
ROOT = Path(__file__).resolve().parent.parent


class Tenant:
    """A tenant to publish to, as a context manager.

    Args:
        python: the interpreter that it runs under.
        options: of the tenant, such as `page_size=300`.

    Attributes:
        url: of its API.
        token: what it accepts.
    """

    def __init__(self, python: str = sys.executable, **options: Any) -> None:
        self._python = python
        self._options = options

    def __enter__(self) -> Tenant:  # noqa: PYI034 - Self needs Python 3.11
        self._process = subprocess.Popen(
            [self._python, "-m", "benchmarks.tenant", json.dumps(self._options)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        first = self._answer()
        self.url, self.token = str(first["url"]), str(first["token"])
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(30)

    def seed(self, apps: Sequence[Mapping[str, object]]) -> None:
        """Add Custom Apps; see `RehearsalTenant.seed`."""
        self._ask(do="seed", apps=apps)

    def slow(self, bytes_per_second: float) -> None:
        """Limit each connection to the upload store from now on."""
        self._ask(do="slow", bytes_per_second=bytes_per_second)

    def clear(self) -> None:
        """Hold nothing."""
        self._ask(do="clear")

    def requests(self) -> list[str]:
        """The requests since the last call, as `METHOD path status`."""
        requests: list[str] = self._ask(do="requests")["requests"]
        return requests

    def apps(self) -> list[dict[str, Any]]:
        """Name, sha256 and size of each Custom App."""
        apps: list[dict[str, Any]] = self._ask(do="apps")["apps"]
        return apps

    def ticket(self, name: str) -> dict[str, Any]:
        """Leave to upload a file, as the API gives it; for measuring what a bare upload costs."""
        import urllib.parse
        import urllib.request

        asked = urllib.request.Request(
            f"{self.url}/api/v1/library/custom-apps/upload",
            data=urllib.parse.urlencode({"name": name}).encode(),
            headers={"Authorization": f"Bearer {self.token}"},
        )
        with urllib.request.urlopen(asked) as answer:
            ticket: dict[str, Any] = json.load(answer)
        return ticket

    def _ask(self, **command: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the tenant's process has ended")
        answer: dict[str, Any] = json.loads(line)
        return answer


def _serve(options: dict[str, Any]) -> None:
    from kandji_uploader.rehearsal import RehearsalTenant

    with tempfile.TemporaryDirectory(dir=_in_memory()) as folder, RehearsalTenant(folder, **options) as tenant:
        print(json.dumps({"url": tenant.url, "token": tenant.token}), flush=True)
        for line in sys.stdin:
            print(json.dumps(_act(tenant, json.loads(line))), flush=True)


def _in_memory() -> Path | None:
    """A file system in memory with room for what is uploaded: when a disk writes is chance, and would be measured."""
    place = Path("/dev/shm")
    return place if place.is_dir() and shutil.disk_usage(place).free > _ROOM else None


def _act(tenant: Any, command: dict[str, Any]) -> dict[str, Any]:
    does = command.pop("do")
    if does == "seed":
        for app in command["apps"]:
            tenant.seed(**app)
    elif does == "slow":
        tenant.faults.add("POST", "/store", kind="slow", nth="every", bytes_per_second=command["bytes_per_second"])
    elif does == "clear":
        tenant.clear()
    elif does == "apps":
        return {"apps": [{key: app[key] for key in ("name", "sha256", "file_size")} for app in tenant.apps()]}
    elif does == "requests":
        answered = [f"{record.method} {record.path} {record.status}" for record in tenant.requests]
        tenant.reset_requests()
        return {"requests": answered}
    return {}


if __name__ == "__main__":
    _serve(json.loads(sys.argv[1]))
