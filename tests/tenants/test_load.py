"""Exactly once under load: processes that are killed at random, tenants behind a stale cache, many items."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import Executor, Future
from pathlib import Path

import pytest

from kandji_uploader import api
from tests.support.installers import app_pkg
from tests.tenants.conftest import NAMES

WORKERS = int(os.environ.get("KANDJI_TEST_LOAD_WORKERS", "4"))
ITEMS = int(os.environ.get("KANDJI_TEST_LOAD_ITEMS", "6"))
KILLS = int(os.environ.get("KANDJI_TEST_LOAD_KILLS", "3"))
STALE = 0.3
"""Seconds by which lists may be out of date."""
SEED = 20261121


class KilledError(RuntimeError):
    """The worker has died."""


WORKER = """
import os, pickle, sys
import requests
from kandji_uploader.flows import casks, publish, workers
while True:
    size = int.from_bytes(sys.stdin.buffer.read(8), "big")
    if not size:
        break
    call, args, kwargs = pickle.loads(sys.stdin.buffer.read(size))
    child = os.fork()
    if not child:
        done = pickle.dumps(call(*args, **kwargs))
        sys.stdout.buffer.write(len(done).to_bytes(8, "big") + done)
        sys.stdout.buffer.flush()
        os._exit(0)
    sys.stderr.write(f"{child}\\n"); sys.stderr.flush()
    if os.waitpid(child, 0)[1]:
        sys.stdout.buffer.write(bytes(8)); sys.stdout.buffer.flush()
"""


class Workers(Executor):
    """Processes that each do one call at a time, in a child of its own, which may be killed."""

    def __init__(self, count: int, environ: dict[str, str]) -> None:
        environ = {**environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        self._idle: list[subprocess.Popen[bytes]] = []
        self._free = threading.Semaphore(count)
        self.busy: dict[int, Future] = {}
        self._lock = threading.Lock()
        for _ in range(count):
            self._idle.append(
                subprocess.Popen(
                    [sys.executable, "-c", WORKER],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    env=environ,
                )
            )
        self._all = list(self._idle)

    def submit(self, call, /, *args, **kwargs):
        import pickle

        future: Future = Future()
        threading.Thread(target=self._do, args=(future, pickle.dumps((call, args, kwargs))), daemon=True).start()
        return future

    def _do(self, future: Future, packed: bytes) -> None:
        import pickle

        with self._free:
            if not future.set_running_or_notify_cancel():
                return
            with self._lock:
                worker = self._idle.pop()
            worker.stdin.write(len(packed).to_bytes(8, "big") + packed)
            worker.stdin.flush()
            child = int(worker.stderr.readline())
            self.busy[child] = future
            size = int.from_bytes(worker.stdout.read(8), "big")
            done = worker.stdout.read(size) if size else b""
            self.busy.pop(child)
            with self._lock:
                self._idle.append(worker)
        if size:
            future.set_result(pickle.loads(done))
        else:
            future.set_exception(KilledError())

    def shutdown(self, wait=True, *, cancel_futures=False):
        for worker in self._all:
            worker.kill()
            worker.communicate()


@pytest.fixture
def pool(provider):
    pool = Workers(WORKERS, provider.environ)
    yield pool
    pool.shutdown()


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_whatever_dies_there_is_one_app_of_each_item_in_each_tenant(provider, pool):
    """Several who ask at once, each for all items; so that several workers are at one tenant, too."""
    provider.write(network={"first_wait": 0.01, "tries": 3, "settle_time": 2 * STALE})
    folder = provider.folder / "items"
    folder.mkdir()
    items = [
        api.Item(app_pkg(folder / f"W{n}.pkg", name=f"W{n}", bundle_id=f"com.example.w{n}"), name=f"W{n}")
        for n in range(ITEMS)
    ]
    for tenant in provider.tenants.values():
        tenant.faults.add("GET", "library/custom-apps", kind="stale", nth="every", seconds=STALE, heeds=False)
    dice, results = random.Random(SEED), []

    def ask() -> None:
        results.extend(api.publish(items, "all", pool, host=provider.host()))

    askers = [threading.Thread(target=ask) for _ in range(max(1, WORKERS // 3))]
    for asker in askers:
        asker.start()
    killed = 0
    while any(asker.is_alive() for asker in askers):
        time.sleep(dice.uniform(0.05, 0.4))
        busy = list(pool.busy)
        if busy and killed < KILLS:
            with contextlib.suppress(ProcessLookupError):  # it has just ended
                os.kill(dice.choice(busy), signal.SIGKILL)
                killed += 1
    # An installer that was given up after three dead workers is done by the next run, as it is after any other failure.
    last = list(api.publish(items, "all", pool, host=provider.host()))
    assert killed > KILLS // 2
    assert len(results) == len(askers) * len(NAMES) * ITEMS
    actions = Counter(result.action for result in results)
    print(f"{killed} killed; {actions}; then {Counter(result.action for result in last)}")
    assert [result.error for result in last if result.action == "failed"] == []
    assert provider.apps() == {name: sorted(f"W{n}" for n in range(ITEMS)) for name in NAMES}
    for name, tenant in provider.tenants.items():
        for app in tenant.apps():
            assert Path(app["file_key"]).name.startswith(f"{app['name']}_"), "the bytes are those of its item"
        others = [other.token for key, other in provider.tenants.items() if key != name]
        heard = str([dict(request.headers) for request in tenant.requests])
        assert not any(token in heard for token in others)
