"""Two items of one run that mean the same Custom App: both are refused before anything is sent, and both are named."""

from __future__ import annotations

import json
import threading

import pytest

from kandji_uploader import api, settings
from kandji_uploader.cli.failures import Exit
from kandji_uploader.flows.publish import run
from kandji_uploader.publish.queue import Batch
from kandji_uploader.publish.request import Host, Request
from kandji_uploader.state import store_of


def results(ran):
    return {result["source"]: result for result in json.loads(ran.stdout)}


@pytest.mark.parametrize("jobs", ["1", "3"])
def test_installers_that_mean_the_same_app_are_refused_and_the_others_published(house, here, jobs):
    first, second = house.widget("1.0"), house.widget("1.1")
    other = house.widget(name="Other")
    ran = here("-p", first, "-p", other, "-p", second, "--jobs", jobs, "--json")
    told = results(ran)
    assert ran.returncode == Exit.PARTLY
    said = f"{first} and {second} mean the same Custom App 'Widget (kandji-uploader)': each would overwrite the other"
    assert said in told[str(first)]["error"]["message"]
    assert told[str(second)]["error"]["message"] == told[str(first)]["error"]["message"]
    assert told[str(other)]["action"] == "succeeded"
    assert house.names() == ["Other (kandji-uploader)"]


def test_a_dry_run_refuses_them_in_the_same_words(house, here):
    words = ("-p", house.widget("1.0"), "-p", house.widget("1.1"), "--json")
    dry, real = here(*words, "-y"), here(*words)
    assert [each["error"] for each in results(dry).values()] == [each["error"] for each in results(real).values()]
    assert dry.returncode == Exit.REFUSED
    assert house.writes() == []


def told(ran):
    """What is said of each Custom App before anything is done: its name, what is to be done, and why."""
    return [line for line in (ran.stdout + ran.stderr).splitlines() if ": create (" in line or ": update (" in line]


def test_a_dry_run_says_why_in_the_words_of_the_real_one(house, here):
    for version in ("1.0", "1.1"):
        words = ("-p", house.widget(version), "-n", "Widget")
        dry = told(here(*words, "-y"))
        assert dry == told(here(*words))
        assert dry[0].startswith("Widget: ")


def test_a_dry_run_of_the_schedule_says_why_too(house, here, offer):
    offer("widget")
    here("schedule", "add", "widget", "--every", "4", "--unchecked")
    dry = here("schedule", "run", "--dry")
    assert "widget: dry_run" in dry.stdout
    assert told(dry) == told(here("schedule", "run"))
    assert told(dry)[0].startswith("Widget (kandji-uploader): create (")


def test_one_installer_that_is_named_twice_is_one(house, here):
    path = house.widget()
    ran = here("-p", path, "-p", f"{path.parent}/../{path.parent.name}/{path.name}", "-p", path, "--json")
    assert [result["action"] for result in json.loads(ran.stdout)] == ["succeeded", "skipped", "skipped"]
    assert len(house.tenant.uploads()) == 1


def test_a_package_map_that_sends_two_to_one_app_is_seen_before_too(house, here):
    house.config.mkdir(exist_ok=True)
    (house.config / "config.yaml").write_text("use_package_map: true\n")
    both = {"com.example.Widget": {"prod_name": "Same"}, "com.example.Other": {"test_name": "Same"}}
    (house.config / "package_map.yaml").write_text(json.dumps(both))
    paths = [house.widget(bundle_id="com.example.Widget"), house.widget(name="Other", bundle_id="com.example.Other")]
    ran = here("-p", paths[0], "-p", paths[1], "--json")
    assert "mean the same Custom App 'Same'" in results(ran)[str(paths[1])]["error"]["message"]
    assert house.writes() == []


@pytest.fixture
def zooms(casks, offer):
    """Two casks of one name, as in Homebrew's catalogue: `zoom` and `zoom-for-it-admins`."""
    offer("zoom", name="Zoom")
    offer("zoom-for-it-admins", name="Zoom")
    offer("widget")
    return casks


def test_casks_of_one_name_are_refused(house, here, zooms):
    ran = here("-b", "zoom", "-b", "widget", "-b", "zoom-for-it-admins", "--json")
    told = results(ran)
    assert (
        "zoom and zoom-for-it-admins mean the same Custom App 'Zoom (kandji-uploader)'"
        in told["zoom"]["error"]["message"]
    )
    assert told["widget"]["action"] == "succeeded"
    assert house.names() == ["Widget (kandji-uploader)"]
    assert not [path for path in zooms.paths() if path.startswith("/files/zoom")]


@pytest.mark.parametrize("dry", [["--dry"], []])
def test_casks_of_one_name_are_refused_by_the_schedule(house, here, zooms, dry):
    here("schedule", "add", "zoom", "zoom-for-it-admins", "--every", "4", "--unchecked")
    ran = here("schedule", "run", *dry)
    assert ran.returncode == 1
    for cask in ("zoom", "zoom-for-it-admins"):
        assert f"{cask}: failed: zoom and zoom-for-it-admins mean the same Custom App" in ran.stdout
    assert house.writes() == []


def test_of_the_calls_of_one_batch_the_later_one_is_refused_and_names_the_first(house):
    first, second = house.widget("1.0"), house.widget("1.1")
    host = Host(environ=house.environ, batch=Batch())
    assert api.process_pkg(first, name="Widget", host=host).action == "succeeded"
    refused = api.process_pkg(second, name="Widget", host=host)
    assert f"{second} means the Custom App 'Widget', and so did {first} before it in this run" in refused.error
    assert len(house.tenant.uploads()) == 1
    assert api.process_pkg(second, name="Widget", host=Host(environ=house.environ)).action == "succeeded"


def test_two_that_dynamic_lookup_sends_to_one_app_are_not_both_published(house):
    keys = {"zz_defaults.dynamic_lookup": True}
    house.tenant.seed("Kept", file_key="companies/x/Widget-0.9_00000000.pkg", install_enforcement="install_once")
    host = Host(environ=house.environ, batch=Batch())
    first, second = house.widget("1.0"), house.widget("1.1")
    assert api.process_pkg(first, name="One", keys=keys, host=host).action == "succeeded"
    refused = api.process_pkg(second, name="Two", keys=keys, host=host)
    assert f"means the Custom App 'Kept', and so did {first}" in refused.error
    assert len(house.tenant.uploads()) == 1


def test_a_process_is_never_told_that_it_waits_for_itself(house):
    keys = {"custom_app.prod_name": "Widget"}
    ladder = settings.load(keys, given_origin="test", caller="python", environ=house.environ)
    store, said, ended = store_of(ladder.settle()), [], threading.Event()
    request = Request(house.widget(), keys=keys)

    def publish():
        run(request, Host(environ=house.environ, say=said.append))
        ended.set()

    with store.lock(("Widget",), 1.0, said.append):
        thread = threading.Thread(target=publish, daemon=True)
        thread.start()
        while not said:
            assert thread.is_alive()
            ended.wait(0.05)
    assert ended.wait(20)
    assert said[0] == "waiting for another installer of this run that is published to 'Widget'"
