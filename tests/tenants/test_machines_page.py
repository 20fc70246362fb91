"""The blocks of the page on many machines are run: Dask's against an executor, Celery's with a worker of its own.

Prefect's and Airflow's are run where those are installed: `make orchestrators`.
"""

from __future__ import annotations

import importlib.util
import os
import re
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext, suppress
from functools import partial
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


def run(around, *args, **environ):
    """A program of this environment, in the folder of the blocks; what it has started ends with it."""
    environ = {**around.environ, "PYTHONPATH": str(around.folder), "DO_NOT_TRACK": "1", **environ}
    with subprocess.Popen(
        [sys.executable, *args],
        cwd=around.folder,
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as program:
        try:
            said, _ = program.communicate(timeout=150)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(program.pid, signal.SIGKILL)
    return program.returncode, said


PUBLISHED = {"acme": ["App (kandji-uploader)"], "globex": ["App (kandji-uploader)"], "initech": []}


def publishes_the_others_and_raises(around, engine):
    """With globex's token wrong its function is called three times; a second run, with the right one, does the rest."""
    code, said = engine(GLOBEX_TOKEN="00000000-0000-0000-0000-000000000000")
    assert around.apps() == {**PUBLISHED, "globex": []}, said
    asked = around.requests()
    assert len(asked["globex"]) == 3, said
    assert code != 0, said
    assert "the API token was not accepted" in said
    code, said = engine()
    assert around.apps() == PUBLISHED, said
    assert [each for each in around.requests()["acme"][len(asked["acme"]) :] if not each.startswith("GET ")] == []
    assert code == 0, said
    return said


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
        assert around.apps() == PUBLISHED


if importlib.util.find_spec("prefect"):

    @pytest.mark.timeout(500)
    def test_the_block_on_prefect_publishes_to_the_others_and_raises_what_failed(around, publish_one, tmp_path):
        waits = "retry_delay_seconds=60"
        text = block("from prefect import")
        assert waits in text
        (around.folder / "publish_prefect.py").write_text(text.replace(waits, "retry_delay_seconds=0"))

        def engine(**environ):
            return run(
                around,
                "publish_prefect.py",
                PREFECT_HOME=str(tmp_path / "prefect"),
                PREFECT_SERVER_ANALYTICS_ENABLED="false",
                PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS="120",
                **environ,
            )

        said = publishes_the_others_and_raises(around, engine)
        path = str(around.folder / "App.pkg")
        assert f"[{{{path!r}: 'skipped'}}, {{{path!r}: 'succeeded'}}]" in said


if importlib.util.find_spec("airflow"):

    @pytest.mark.timeout(500)
    def test_the_block_on_airflow_publishes_to_the_others_and_raises_what_failed(around, publish_one, tmp_path):
        waits = "task(retries=2)"  # five minutes
        text = block("from airflow.sdk import")
        assert waits in text
        (around.folder / "publish_airflow.py").write_text(text.replace(waits, "task(retries=2, retry_delay=0.01)"))

        def airflow(*args, **environ):
            return run(
                around,
                "-m",
                "airflow",
                *args,
                AIRFLOW_HOME=str(tmp_path / "airflow"),
                AIRFLOW__CORE__DAGS_FOLDER=str(around.folder),
                AIRFLOW__CORE__LOAD_EXAMPLES="False",
                AIRFLOW__USAGE_DATA_COLLECTION__ENABLED="False",
                **environ,
            )

        code, said = airflow("db", "migrate")
        assert code == 0, said
        publishes_the_others_and_raises(around, partial(airflow, "dags", "test", "publish"))
