"""A night of a service provider: many tenants in one process, and one that publishes to all of them.

    python -m benchmarks.nightly serve '{"folder": ..., "tenants": 150, "apps": 400, "changed": 4}'
    python -m benchmarks.nightly publish FOLDER threads 4 all
    python -m benchmarks.nightly publish FOLDER tcp://127.0.0.1:8786 4 all

`serve` makes installers and tenants.yaml in the folder, prints the tokens by their variables, and serves until its
input ends; a line of it is answered with the requests since the last one, and the processor time. `publish` prints what
became of all, as JSON.
"""

from __future__ import annotations

import hashlib
import json
import os
import resource
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks.installers import app_zip
from benchmarks.measure import Run, process
from benchmarks.tenant import ROOT, _in_memory


class Night:
    """A provider in a process of its own, as a context manager.

    `cpu` is the processor time (s) that the tenants had taken when `publish` ended last.

    Args:
        folder: for the installers, tenants.yaml and the state.
        given: see the module: `tenants`, `apps`, `changed`, `size`, `wire` (bytes per second of each upload).
    """

    def __init__(self, folder: Path, **given: float) -> None:
        self.folder = folder
        self._given = {**given, "folder": str(folder)}

    def __enter__(self) -> Night:  # noqa: PYI034 - Self needs Python 3.11
        self.folder.mkdir(parents=True)
        self._served = self._start("serve", json.dumps(self._given))
        self._tokens = json.loads(self._line())
        self._rounds, self.cpu = 0, 0.0
        return self

    def __exit__(self, *_: object) -> None:
        self._served.communicate()

    def publish(self, kind: str, workers: int, to: str = "all") -> tuple[Run, dict[str, Any], int]:
        """Publish to all tenants once more: what was measured, what came of it, and the requests."""
        words = [sys.executable, "-m", "benchmarks.nightly", "publish", str(self.folder), kind, str(workers), to]
        run = process(words, self._environ(), ROOT)
        assert self._served.stdin is not None
        self._served.stdin.write("\n")
        self._served.stdin.flush()
        told = json.loads(self._line())
        self.cpu = told["cpu"]
        return run, json.loads(run.output), told["requests"]

    def dask(self, workers: int) -> Dask:
        """A scheduler with so many workers."""
        return Dask(workers, self._environ())

    def change(self, count: int) -> None:
        """Let so many installers be new ones."""
        self._rounds += 1
        size = int(self._given.get("size", 20_000)) + self._rounds
        for number in range(count):
            app_zip(self.folder / f"App {number}-1.0.zip", f"App {number}", "1.0", size)

    def _environ(self) -> dict[str, str]:
        folders = {"DIR": self.folder / "config", "STATE_DIR": self.folder / "state"}
        given = {f"KANDJI_UPLOADER_{name}": str(place) for name, place in folders.items()}
        path = f"{ROOT / 'shared'}{os.pathsep}{ROOT}"
        return {"PATH": "/usr/bin:/bin", "HOME": str(self.folder), "PYTHONPATH": path, **given, **self._tokens}

    def _start(self, *words: str) -> subprocess.Popen[str]:
        environ = {**os.environ, "PYTHONPATH": f"{ROOT / 'shared'}{os.pathsep}{ROOT}"}
        words = (sys.executable, "-m", "benchmarks.nightly", *words)
        return subprocess.Popen(words, cwd=ROOT, env=environ, stdin=-1, stdout=-1, text=True)

    def _line(self) -> str:
        assert self._served.stdout is not None
        return self._served.stdout.readline()


class Dask:
    """A scheduler and workers, each a process, as a context manager; `address` is the scheduler's."""

    def __init__(self, workers: int, environ: dict[str, str]) -> None:
        self._workers, self._environ = workers, environ

    def __enter__(self) -> Dask:  # noqa: PYI034 - Self needs Python 3.11
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        self.address = f"tcp://127.0.0.1:{port}"
        alone = ("--nthreads", "1", "--no-nanny", "--no-dashboard", "--host", "127.0.0.1")
        self._all = [self._dask("scheduler", "--host", "127.0.0.1", "--port", str(port), "--no-dashboard")]
        self._all += [self._dask("worker", self.address, *alone) for _ in range(self._workers)]
        from distributed import Client

        with Client(self.address, timeout=120) as client:
            client.wait_for_workers(self._workers, timeout=120)
        return self

    def _dask(self, *words: str) -> subprocess.Popen[bytes]:
        code = "from dask.__main__ import main; main()"
        return subprocess.Popen([sys.executable, "-c", code, *words], env=self._environ, stdout=-3, stderr=-3)

    def __exit__(self, *_: object) -> None:
        for each in reversed(self._all):
            each.kill()
            each.wait()


def serve(given: dict[str, Any]) -> None:
    """Serve so many tenants, each of which has all installers but for some, in whose apps there is another one."""
    from kandji_uploader.audit import script as audit
    from kandji_uploader.rehearsal import RehearsalTenant

    folder = Path(given["folder"])
    template = audit.load_template()
    seeds = []
    for at, (name, size, sha256) in enumerate(_installers(folder, given["apps"], given.get("size", 20_000))):
        other = at < given["changed"]
        values = audit.AuditValues(f"{name}.app", f"com.example.{at}", None, "1.0", 1, 5)
        seeds.append(
            {
                "name": name,
                "sha256": "0" * 64 if other else sha256,
                "size": size + 1 if other else size,
                "file_name": f"{name}-1.0.zip",
                "install_type": "zip",
                "unzip_location": "/Applications",
                "audit_script": audit.render(values, template),
            }
        )
    with ExitStack() as running:
        entries, tenants, tokens = {}, [], {}
        for number in range(given["tenants"]):
            place = running.enter_context(tempfile.TemporaryDirectory(dir=_in_memory()))
            tenant = running.enter_context(RehearsalTenant(place, page_size=300, keep_files=False))
            for seed in seeds:
                tenant.seed(**seed)
            if given.get("wire"):
                tenant.faults.add("POST", "/store", kind="slow", nth="every", bytes_per_second=given["wire"])
            entries[f"t{number}"] = {"api_url": tenant.url, "token_name": f"TOKEN_{number}"}
            tokens[f"TOKEN_{number}"] = tenant.token
            tenants.append(tenant)
        (folder / "config").mkdir(exist_ok=True)
        (folder / "config" / "tenants.json").write_text(json.dumps({"tenants": entries}))
        print(json.dumps(tokens), flush=True)
        for _ in sys.stdin:
            counts: Counter[str] = Counter()
            for tenant in tenants:
                counts.update(f"{record.method} {record.path.split('/')[-1][:14]}" for record in tenant.requests)
                tenant.reset_requests()
            print(json.dumps({"requests": sum(counts.values()), "cpu": time.process_time()}), flush=True)


def _installers(folder: Path, count: int, size: int) -> list[tuple[str, int, str]]:
    found = []
    for number in range(count):
        path = app_zip(folder / f"App {number}-1.0.zip", f"App {number}", "1.0", size)
        found.append((f"App {number}", path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest()))
    return found


def publish(folder: Path, kind: str, workers: int, to: str) -> None:
    """Publish all installers to all tenants, or to one."""
    from kandji_uploader import api
    from kandji_uploader.flows.workers import scheduler

    keys = {"enforcement_type": "install_once"}
    paths = sorted(folder.glob("App *.zip"))
    items = [api.Item(path, name=path.name.removesuffix("-1.0.zip"), keys=keys) for path in paths]
    began, peaks, spent = time.perf_counter(), [], []
    with ExitStack() as stack:
        pool = None if kind == "threads" else stack.enter_context(scheduler(kind))
        actions = Counter(result.action for result in api.publish(items, to, pool, workers=workers))
        wall = time.perf_counter() - began
        if pool is not None:
            from distributed import get_client

            peaks = list(get_client().run(_peak).values())
            spent = list(get_client().run(time.process_time).values())
    print(json.dumps({"wall": wall, "actions": actions, "worker_peaks": peaks, "worker_cpu": spent}))


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT / "shared"))
    if sys.argv[1] == "serve":
        serve(json.loads(sys.argv[2]))
    else:
        publish(Path(sys.argv[2]), sys.argv[3], int(sys.argv[4]), sys.argv[5])
