"""Many installers to many tenants, by threads and by processes: each once, whatever becomes of the workers."""

from __future__ import annotations

import json
import multiprocessing
import os
import pickle
import signal
import threading
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from kandji_uploader import __version__, api
from kandji_uploader.errors import SettingsError, WorkerError
from kandji_uploader.flows import workers
from kandji_uploader.kandji import tenant as views
from tests.support.installers import app_pkg
from tests.tenants.conftest import NAMES, PROGRAMS


def widgets(provider, count=2):
    return [
        api.Item(app_pkg(provider.folder / f"W{n}.pkg", name=f"W{n}", bundle_id=f"com.example.w{n}"), name=f"W{n}")
        for n in range(count)
    ]


def published(results):
    return sorted((result.tenant, Path(result.source).name, result.action) for result in results)


EACH_ONCE = sorted((name, f"W{n}.pkg", "succeeded") for name in NAMES for n in range(2))


@pytest.fixture
def around(provider, monkeypatch):
    """The environment of this process, which processes that it starts have, too."""
    for name, value in provider.environ.items():
        monkeypatch.setenv(name, value)
    return provider


def spawned(count):
    return ProcessPoolExecutor(count, multiprocessing.get_context("spawn"))


@pytest.fixture(scope="module")
def processes(three, tmp_path_factory):
    """Two processes that have the tokens, and neither a config file nor tenants.yaml."""
    folder = tmp_path_factory.mktemp("workers")
    with pytest.MonkeyPatch.context() as patch, spawned(2) as pool:
        for name, tenant in three.items():
            patch.setenv(f"{name.upper()}_TOKEN", tenant.token)
        patch.setenv("PATH", "/nowhere")
        patch.setenv("KANDJI_UPLOADER_DIR", str(folder / "config"))
        patch.setenv("KANDJI_UPLOADER_STATE_DIR", str(folder / "state"))
        list(pool.map(abs, range(4)))
        yield pool


def test_threads_publish_each_item_to_each_tenant_and_let_go_of_what_they_read(provider):
    found = list(api.publish(widgets(provider), "all", host=provider.host()))
    assert published(found) == EACH_ONCE
    assert provider.apps() == {name: ["W0", "W1"] for name in NAMES}
    assert views._views == {}
    for tenant in provider.tenants.values():
        tenant.reset_requests()
    again = list(api.publish(widgets(provider), ["all"], ThreadPoolExecutor(2), host=provider.host()))
    assert {result.action for result in again} == {"skipped"}
    assert provider.requests() == {name: ["GET library/custom-apps"] for name in NAMES}


def test_processes_publish_each_item_to_each_tenant(around, processes):
    found = list(api.publish(widgets(around), ["acme", "@two", "initech"], processes))
    assert published(found) == EACH_ONCE
    assert found[0].run.outcomes[0].version == "1.0"


def test_the_settings_of_whoever_asks_hold_at_the_worker_which_needs_a_token_and_no_files(around, processes):
    around.entries["acme"]["apps"] = {"W0": {"prod_name": "Acme W0"}}
    around.write(li_enforcement={"delays": {"prod": 9}}, use_package_map=True)
    (around.config / "package_map.json").write_text(json.dumps({"com.example.w0": {"test_name": "W0 (Test)"}}))
    elsewhere = replace(around.host(), environ={"KANDJI_UPLOADER_DIR": str(around.config), "HOME": "/nowhere"})
    (result,) = api.publish(widgets(around, 1), "acme", processes, host=elsewhere)
    assert result.action == "succeeded", result.error
    assert around.apps()["acme"] == ["Acme W0", "W0 (Test)"]
    assert "DAYS_UNTIL_ENFORCEMENT='9'" in around.tenants["acme"].app("Acme W0")["audit_script"]


def test_what_is_said_of_an_item_says_its_tenants_where_the_call_names_none(provider, monkeypatch):
    monkeypatch.setenv("PATH", PROGRAMS)  # so audit scripts are tried, too, by several threads at once
    first, second = widgets(provider)
    items = [replace(first, keys={"tenant": "globex"}), replace(second, keys={"tenant": "@two"})]
    assert published(api.publish(items, host=provider.host())) == [
        ("acme", "W1.pkg", "succeeded"),
        ("globex", "W0.pkg", "succeeded"),
        ("globex", "W1.pkg", "succeeded"),
    ]


def test_without_any_tenant_it_is_the_one_of_the_settings(provider):
    acme = provider.tenants["acme"]
    provider.environ |= {"KANDJI_API_URL": acme.url, "KANDJI_TOKEN": acme.token}
    (result,) = api.publish([widgets(provider)[0]], host=provider.host())
    assert (result.tenant, result.action, provider.apps()["acme"]) == ("", "succeeded", ["W0"])


def test_a_tenant_may_be_a_value_with_its_token_in_this_process(provider):
    tenants = [api.Tenant(name, tenant.url, token=tenant.token) for name, tenant in provider.tenants.items()]
    assert published(api.publish(widgets(provider), tenants, host=replace(provider.host(), environ={}))) == EACH_ONCE


def test_a_token_that_is_given_goes_to_no_other_process(provider):
    tenant = api.Tenant("acme", provider.tenants["acme"].url, token="secret-token")
    with pytest.raises(SettingsError, match="acme: has its token with it, which never leaves this process") as caught:
        api.publish(widgets(provider), [tenant], Recorder())
    assert "secret-token" not in str(caught.value)


class Recorder(Executor):
    """Does the work at once, as another process would: what it is given and gives back is pickled."""

    def __init__(self):
        self.pickled = b""

    def submit(self, do, /, *args, **kwargs):
        future = Future()
        self.pickled += pickle.dumps((do, args, kwargs))
        future.set_result(do(*args, **kwargs))
        self.pickled += pickle.dumps(future.result())
        return future


def test_no_pickle_log_or_result_holds_a_token(around, caplog):
    caplog.set_level("DEBUG")
    around.tenants["initech"].faults.add("GET", "**", kind="status", code=401, nth="every")
    recorder = Recorder()
    found = list(api.publish(widgets(around), "all", recorder))
    assert [result.action for result in found].count("failed") == 2
    assert b"ACME_TOKEN" in recorder.pickled, "the name of the token is what the job takes along"
    assert len(caplog.text) > 100
    for tenant in around.tenants.values():
        assert tenant.token.encode() not in recorder.pickled
        assert tenant.token not in caplog.text + repr(found)


def test_a_worker_of_another_version_is_refused_by_name(around, monkeypatch):
    class Other(Recorder):
        def submit(self, do, /, *args, **kwargs):
            return super().submit(do, "0.9", *args[1:]) if do is workers.work else super().submit(do)

    found = list(api.publish(widgets(around), "acme", Other()))
    assert [result.action for result in found] == ["failed", "failed"]
    assert f"(process {os.getpid()}) has KandjiUploader {__version__}, and this is 0.9" in found[0].error
    assert around.requests()["acme"] == []


def test_one_tenant_is_one_workers_at_a_time(provider):
    busy, worst, lock = {}, {}, threading.Lock()

    class Watched(ThreadPoolExecutor):
        def submit(self, do, /, *args, **kwargs):
            def watched(*given):
                if not given:
                    return do()
                name = given[0].tenant.name
                with lock:
                    busy[name] = busy.get(name, 0) + 1
                    worst[name] = max(worst.get(name, 0), busy[name])
                try:
                    return do(*given)
                finally:
                    with lock:
                        busy[name] -= 1

            return super().submit(watched, *args, **kwargs)

    with Watched(6) as pool:
        list(api.publish(widgets(provider, 3), "all", pool, host=provider.host()))
    assert worst == dict.fromkeys(NAMES, 1)


def test_a_worker_gives_back_what_it_has_done_and_the_rest_is_given_out_again(provider, monkeypatch):
    list(api.publish(widgets(provider, 3), "acme", host=provider.host()))
    provider.tenants["acme"].reset_requests()
    monkeypatch.setattr(workers, "SLICE", 0.0)
    found = list(api.publish(widgets(provider, 3), "acme", host=provider.host()))
    assert [(result.source[-6:], result.action) for result in found] == [(f"W{n}.pkg", "skipped") for n in range(3)]
    assert provider.requests()["acme"] == ["GET library/custom-apps"] * 3


def test_each_result_is_there_as_soon_as_its_installer_has_ended_where_threads_do_it(provider):
    first_is_here = threading.Event()
    acme = provider.tenants["acme"]
    acme.faults.add("POST", "/store", kind="call", do=lambda: first_is_here.wait(30) or acme.clear(), nth=2)
    results = api.publish(widgets(provider), "acme", host=provider.host())
    assert next(results).action == "succeeded"
    first_is_here.set()
    assert [result.action for result in results] == ["succeeded"]


class Deadly(Recorder):
    """Workers that die over some installers, and have done nothing by then."""

    def __init__(self, deadly):
        super().__init__()
        self.deadly, self.given = deadly, []

    def submit(self, do, /, *args, **kwargs):
        if do is workers.work:
            self.given.append([Path(task.path).stem for task in pickle.loads(args[1]).tasks])
            if self.deadly & {*self.given[-1]}:
                future = Future()
                future.set_exception(OSError("the worker is gone"))
                return future
        return super().submit(do, *args, **kwargs)


def test_an_installer_that_kills_its_workers_is_soon_alone_and_keeps_no_other_from_its_app(around):
    pool = Deadly({"W5"})
    found = {Path(result.source).stem: result for result in api.publish(widgets(around, 12), "acme", pool)}

    assert [name for name, result in found.items() if result.action == "failed"] == ["W5"]
    assert "3 workers have failed over it (OSError)" in found["W5"].error
    assert around.apps()["acme"] == sorted(f"W{n}" for n in range(12) if n != 5)
    assert pool.given.count(["W5"]) == 3
    assert len(pool.given) <= 14


def test_workers_that_die_over_one_installer_after_the_other_get_no_more_of_that_tenant(around):
    pool = Deadly({f"W{n}" for n in range(12)})
    found = list(api.publish(widgets(around, 12), "acme", pool))

    assert [result.action for result in found] == ["failed"] * 12
    assert "not begun, since 3 others before it were given up: 3 workers have failed over it" in found[-1].error
    assert [share for share in pool.given if len(share) == 1] == [["W0"]] * 3 + [["W1"]] * 3 + [["W2"]] * 3


def test_closing_the_iterator_ends_what_is_under_way_and_begins_nothing_more(provider, monkeypatch):
    monkeypatch.setattr(workers, "SLICE", 0.0)
    with closing(api.publish(widgets(provider, 4), "acme", host=provider.host(), workers=1)) as results:
        assert next(results).action == "succeeded"
    begun = len(provider.requests()["acme"])
    assert provider.apps()["acme"] in (["W0"], ["W0", "W1"])
    assert threading.active_count() < 20
    assert len(provider.requests()["acme"]) == begun


@pytest.fixture
def pressed():
    """Set once Ctrl-C has reached the main thread."""
    reached = threading.Event()

    def handle(number, frame):
        reached.set()
        signal.default_int_handler(number, frame)

    before = signal.signal(signal.SIGINT, handle)
    yield reached
    signal.signal(signal.SIGINT, before)


def test_ctrl_c_tells_which_tenants_are_done(provider, pressed):
    def press(line):
        if line.startswith("globex: ") and not pressed.is_set():
            os.kill(os.getpid(), signal.SIGINT)
            assert pressed.wait(30)

    found = []
    results = api.publish(widgets(provider), "all", host=replace(provider.host(), say=press), workers=1)
    with pytest.raises(api.InterruptedRunError) as caught:
        found.extend(results)
    assert [result.tenant for result in found] == ["acme", "acme"]
    assert "done: acme (2 of 2)" in str(caught.value)
    assert "initech" in str(caught.value).partition("not begun: ")[2]
    assert provider.requests()["initech"] == []


@pytest.mark.parametrize("moment", ["before", "after"])
def test_the_work_of_a_worker_that_is_killed_is_done_once(around, moment):
    """SIGKILL right before Kandji makes the app, and right after: the pool is broken then, and this process goes on."""
    acme, killed, pool = around.tenants["acme"], [], spawned(1)

    def kill():
        if not killed and (moment == "before" or acme.apps()):
            killed.append(True)
            for pid in list(pool._processes):
                os.kill(pid, signal.SIGKILL)

    request = {"before": "POST", "after": "GET"}[moment]
    acme.faults.add(request, "library/custom-apps", kind="call", do=kill, nth="every")
    found = list(api.publish(widgets(around), "all", pool, host=around.host()))
    assert killed
    assert {result.action for result in found} <= {"succeeded", "skipped"}
    assert len(found) == 6
    assert around.apps() == {name: ["W0", "W1"] for name in NAMES}
    assert any("a worker has died" in line for line in around.said)


def test_an_executor_that_is_shut_down_is_told_before_anything_is_begun(provider):
    pool = ThreadPoolExecutor(1)
    pool.shutdown()
    with pytest.raises(WorkerError, match="the executor is shut down or broken"):
        api.publish(widgets(provider), "all", pool, host=provider.host())


def test_an_executor_that_is_shut_down_in_the_middle_fails_what_is_left(provider, monkeypatch):
    monkeypatch.setattr(workers, "SLICE", 0.0)
    pool = ThreadPoolExecutor(1)
    results = api.publish(widgets(provider), "acme", pool, host=provider.host())
    assert next(results).action == "succeeded"
    pool.shutdown()
    (left,) = results
    assert "shut down before this was begun" in left.error


@pytest.mark.parametrize(
    ("tenants", "told"),
    [
        (["acme", "nobody"], "'nobody': is not in"),
        (
            [api.Tenant("a", "acme.api.kandji.io", "A"), api.Tenant("b", "https://acme.api.kandji.io", "B")],
            "address of",
        ),
        ([api.Tenant("a", "a.api.kandji.io", "A"), api.Tenant("b", "b.api.kandji.io", "A")], "token of 'a', too"),
        ([api.Tenant("a", "a.api.kandji.io", "A"), api.Tenant("b", "b.api.kandji.io")], "b: token_name: is missing"),
        ([api.Tenant("a", "nowhere", "A")], "must be TENANT"),
    ],
)
def test_tenants_that_cannot_be_told_apart_are_refused_before_anything_is_begun(provider, tenants, told):
    with pytest.raises(SettingsError, match=told):
        api.publish(widgets(provider), tenants, host=provider.host())


@pytest.mark.parametrize("item", [api.Item(), api.Item("x.pkg", cask="firefox")])
def test_an_item_is_a_path_or_a_cask(item):
    with pytest.raises(SettingsError, match="must have either a path or a cask"):
        api.publish([item])


def test_items_that_mean_the_same_app_are_refused_and_the_others_published(provider):
    one, two = widgets(provider)
    third = api.Item(app_pkg(provider.folder / "W3.pkg", name="W3"), name="W0")
    found = list(api.publish([one, two, third], "acme", host=provider.host()))
    assert sorted((Path(result.source).name, result.action) for result in found) == [
        ("W0.pkg", "failed"),
        ("W1.pkg", "succeeded"),
        ("W3.pkg", "failed"),
    ]


def test_slack_is_told_once_of_all(provider):
    acme = provider.tenants["acme"]
    provider.environ["SLACK_TOKEN"] = acme.webhook_url
    list(api.publish(widgets(provider), "all", host=provider.host()))
    (message,) = acme.slack_messages()
    assert "2 installers, 3 tenants" in json.dumps(message)
    list(api.publish(widgets(provider), "all", host=provider.host()))
    assert len(acme.slack_messages()) == 1, "nothing was changed"


def test_a_dry_run_changes_nothing_in_any_process(around, processes):
    found = list(api.publish(widgets(around), "all", processes, dry=True))
    assert {result.action for result in found} == {"dry_run"}
    assert around.apps() == {name: [] for name in NAMES}
