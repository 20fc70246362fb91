"""The blocks of the page on many machines are run: Dask's against an executor, Celery's with a worker of its own."""

from __future__ import annotations

import importlib.util
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path

import pytest

from kandji_uploader.flows import workers
from tests.support.installers import app_pkg

PAGE = Path(__file__).parents[2] / "docs" / "many-machines.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def block(told: str) -> str:
    (found,) = [each for each in BLOCKS if told in each]
    return found


@pytest.fixture
def around(provider, monkeypatch):
    provider.entries = {name: provider.entries[name] for name in ("acme", "globex")}
    (provider.config / "tenants.json").unlink()
    (provider.config / "tenants.yaml").write_text(
        "tenants:\n" + "".join(f"  {name}: {entry}\n" for name, entry in provider.entries.items())
    )
    for name, value in provider.environ.items():
        monkeypatch.setenv(name, value)
    app_pkg(provider.folder / "App.pkg", name="App")
    return provider


@pytest.fixture
def publish_one(around, monkeypatch):
    text = block("# publish_one.py").replace("/srv/installers", str(around.folder))
    (around.folder / "publish_one.py").write_text(text)
    monkeypatch.syspath_prepend(str(around.folder))
    yield
    sys.modules.pop("publish_one", None)


def test_the_function_of_the_page_may_be_called_again_and_raises_what_failed(around, publish_one):
    from publish_one import publish_one as one

    path = str(around.folder / "App.pkg")
    assert [one("acme"), one("acme")] == [{path: "succeeded"}, {path: "skipped"}]
    around.tenants["globex"].faults.add("GET", "**", kind="status", code=401, nth="every")
    with pytest.raises(RuntimeError, match=rf"^globex: {path}: failed: .*the API token was not accepted"):
        one("globex")


def test_the_block_on_dask_publishes(around, monkeypatch, capsys):
    pool = ThreadPoolExecutor(2)
    monkeypatch.setattr(workers, "scheduler", lambda address: nullcontext(pool) if "8786" in address else None)
    exec(compile(block("tcp://HOST:8786").replace("/srv/installers", str(around.folder)), str(PAGE), "exec"), {})
    assert sorted(capsys.readouterr().out.split()) == ["acme", "globex", "succeeded", "succeeded"]


if importlib.util.find_spec("celery"):

    def test_the_block_on_celery_publishes_to_each_tenant(around, publish_one):
        from celery import group
        from celery.contrib.testing.worker import start_worker

        text = block("from celery import").replace("amqp://HOST", "memory://").replace("rpc://", "cache+memory://")
        known: dict[str, object] = {"__name__": "publish_celery"}
        exec(compile(text, str(PAGE), "exec"), known)
        with start_worker(known["app"], perform_ping_check=False):
            done = group(known["one"].s(name) for name in ("acme", "globex")).apply_async().get(timeout=60)
        path = str(around.folder / "App.pkg")
        assert done == [{path: "succeeded"}, {path: "succeeded"}]
        assert around.apps() == {"acme": ["App (kandji-uploader)"], "globex": ["App (kandji-uploader)"], "initech": []}
