"""Dask for real: a scheduler and workers as processes of their own, two of which are killed while they publish."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest
from distributed import LocalCluster

from kandji_uploader import api
from kandji_uploader.errors import WorkerError
from kandji_uploader.flows.workers import scheduler
from tests.tenants.conftest import NAMES
from tests.tenants.test_publish import EACH_ONCE, published, widgets

PARENT = """
import json, os, sys
from dask.__main__ import main
from distributed.cli import dask_scheduler, dask_worker
for line in sys.stdin:
    words, environ = json.loads(line)
    child = os.fork()
    if not child:
        os.environ.update(environ)
        sys.argv = ["dask", *words]
        main()
        os._exit(1)
    print(child, flush=True)
"""
"""Reads what Dask needs once, and has a child for each line: what it is started with, and its further environment."""


class Wire:
    """A port in front of another one, which notes all that passes."""

    def __init__(self, port: int) -> None:
        self._to, self.heard = port, bytearray()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            near, _ = self._listener.accept()
            far = socket.create_connection(("127.0.0.1", self._to))
            for here, there in ((near, far), (far, near)):
                threading.Thread(target=self._pass, args=(here, there), daemon=True).start()

    def _pass(self, here: socket.socket, there: socket.socket) -> None:
        try:
            while block := here.recv(65536):
                self.heard += block
                there.sendall(block)
            there.shutdown(socket.SHUT_WR)
        except OSError:  # one of them is gone; whoever is left is told so
            with contextlib.suppress(OSError):
                there.shutdown(socket.SHUT_RDWR)


class Cluster:
    """A scheduler, and workers that have the tokens in their environment; who asks has none."""

    def __init__(self, folder: Path, environ: dict[str, str]) -> None:
        self.log = (folder / "dask.log").open("wb")
        self.environ = {
            **{name: value for name, value in os.environ.items() if not name.endswith("_TOKEN")},
            "DASK_DISTRIBUTED__COMM__COMPRESSION": "False",
            "KANDJI_UPLOADER_STATE_DIR": str(folder / "state of workers"),
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
            "HOME": environ["HOME"],
        }
        self.words: list[list[str]] = []
        self.killed: set[int] = set()
        self._parent = subprocess.Popen(
            [sys.executable, "-c", PARENT],
            env=self.environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
            cwd=self.environ["HOME"],
        )
        tokens = {name: value for name, value in environ.items() if name.endswith("_TOKEN")}
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        self.scheduler = self._dask("scheduler", "--host", "127.0.0.1", "--port", str(port), "--no-dashboard")
        self._wait(port)
        self.wire = Wire(port)
        self.address = f"tcp://127.0.0.1:{self.wire.port}"
        alone = ("--nthreads", "1", "--no-nanny", "--no-dashboard", "--host", "127.0.0.1")
        self.workers = [self._dask("worker", self.address, *alone, **tokens) for _ in range(3)]

    def _dask(self, *words: str, **environ: str) -> int:
        self.words.append([*words])
        print(json.dumps([words, environ]), file=self._parent.stdin, flush=True)
        return int(self._parent.stdout.readline())

    def _wait(self, port: int) -> None:
        until = time.monotonic() + 60
        while socket.socket().connect_ex(("127.0.0.1", port)):
            assert time.monotonic() < until
            time.sleep(0.05)

    def kill_whoever_talks_to(self, url: str) -> None:
        port = int(url.rpartition(":")[2])
        for worker in self.workers:
            if worker not in self.killed and any(
                each.raddr and each.raddr.port == port for each in psutil.Process(worker).net_connections()
            ):
                os.kill(worker, signal.SIGKILL)
                self.killed.add(worker)
                return

    def said(self) -> bytes:
        """The logs, the arguments of all processes, and what passed between them."""
        return Path(self.log.name).read_bytes() + str(self.words).encode() + bytes(self.wire.heard)

    def close(self) -> None:
        for process in {*self.workers, self.scheduler} - self.killed:
            os.kill(process, signal.SIGKILL)
        self._parent.kill()
        self._parent.communicate()
        self.log.close()


@pytest.fixture
def cluster(provider, tmp_path):
    cluster = Cluster(tmp_path, provider.environ)
    yield cluster
    cluster.close()


def test_the_work_of_workers_that_are_killed_is_done_once_and_no_token_goes_over_the_wire(provider, cluster):
    """One dies right before Kandji makes its app, one right after."""
    acme, globex, killed = provider.tenants["acme"], provider.tenants["globex"], []

    def kill(tenant, *, after):
        if tenant not in killed and (tenant.apps() or not after):
            killed.append(tenant)
            cluster.kill_whoever_talks_to(tenant.url)

    acme.faults.add("POST", "library/custom-apps", kind="call", do=lambda: kill(acme, after=False), nth="every")
    globex.faults.add("GET", "library/custom-apps", kind="call", do=lambda: kill(globex, after=True), nth="every")
    host = provider.host()
    del provider.environ["ACME_TOKEN"]  # whoever asks need not have the tokens
    with scheduler(cluster.address) as workers:
        found = list(api.publish(widgets(provider), "all", workers, host=host))
    assert len(killed) == len(cluster.killed) == 2
    assert [(name, file) for name, file, _ in published(found)] == [(name, file) for name, file, _ in EACH_ONCE]
    assert {result.action for result in found} <= {"succeeded", "skipped"}, [result.error for result in found]
    assert provider.apps() == {name: ["W0", "W1"] for name in NAMES}
    heard = cluster.said()
    assert b"INITECH_TOKEN" in heard, "the token's name goes with the work"
    assert not any(tenant.token.encode() in heard for tenant in provider.tenants.values())


def test_a_scheduler_that_is_not_there_is_told_with_its_address():
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with (
        pytest.raises(WorkerError, match=f"no Dask scheduler answers at tcp://127.0.0.1:{port}"),
        scheduler(f"tcp://127.0.0.1:{port}", patience=0.5),
    ):
        pass


def test_a_scheduler_without_workers_is_told_with_what_to_start():
    with LocalCluster(n_workers=0, processes=False, dashboard_address=None, protocol="tcp", host="127.0.0.1") as alone:
        address = alone.scheduler_address
        with pytest.raises(WorkerError, match=f"has no workers; start some: `dask worker {address}`"):
            scheduler(address, patience=0.5).__enter__()


def test_without_dask_the_error_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(WorkerError, match=r"python3 -m pip install '\.\[dask\]'"), scheduler("tcp://127.0.0.1:1"):
        pass
