"""One app, always: machines that publish the same at once, people who make it by hand, lists that lag behind.

`KANDJI_RACES=200 pytest tests/faults/test_one_app.py -k races` runs as many races as docs/reliability.md speaks of.
"""

from __future__ import annotations

import os
import random
import signal
import threading
import time

import pytest

from kandji_uploader._util.secret import Secret
from kandji_uploader.kandji.client import Client
from kandji_uploader.models import Action
from tests.faults.publisher import Publisher
from tests.faults.scene import BLUEPRINT, PROD, TEST, Scene, digest, make_installer, opened, prepare

APPS, APP = "library/custom-apps", "library/custom-apps/*"
RACES = int(os.environ.get("KANDJI_RACES", "6"))
BOTH = {"custom_app": {"prod_name": PROD, "test_name": "Wid (New)", "prod_blueprints": [BLUEPRINT]}}
ALONE = {"custom_app": {"prod_name": PROD, "prod_blueprints": [BLUEPRINT]}}
SAME = {"install_enforcement": "install_once"}
"""What another machine that publishes the same makes: the test app and the prod app of `ALONE` are installed once."""
PAGES = 2
"""Of the list, with the apps that are there before a run."""
FIRST_LIST, LIST_BEFORE, LIST_AFTER = 1, 1 + PAGES, 1 + 2 * PAGES


@pytest.fixture
def scene(tmp_path):
    with opened(tmp_path) as scene:
        prepare(scene)
        yield scene


@pytest.fixture(scope="module")
def machines():
    """Two processes."""
    pair = Publisher(), Publisher()
    yield pair
    for each in pair:
        each.close()


def elsewhere(scene: Scene, name: str, version: str = "2.0") -> Scene:
    """The same tenant from another machine."""
    folder = scene.folder / name
    folder.mkdir()
    return Scene(scene.tenant, folder, make_installer(folder / f"Wid-{version}.zip", version), version)


def prod(scene, result):
    (outcome,) = [outcome for outcome in result.outcomes if outcome.name == PROD]
    return outcome


def the_only(scene, name=PROD):
    (app,) = scene.apps()[name]
    return app


def writes(scene):
    return [str(record) for record in scene.tenant.requests if record.method != "GET" and "upload" not in str(record)]


# Somebody else makes it meanwhile


def test_a_colleagues_app_that_is_made_during_the_upload_gets_no_twin(scene):
    scene.tenant.faults.add("POST", "/store", kind="call", do=lambda: scene.tenant.seed(PROD, active=False))
    scene.tenant.seed("Wid (Old)")
    result = scene.run(custom_app={"prod_name": PROD, "test_name": "Wid (New)", "ss_category": "Apps"})
    assert prod(scene, result).action is Action.REFUSED
    assert (
        "was created in Kandji by someone else meanwhile, with another install_enforcement" in prod(scene, result).error
    )
    assert the_only(scene)["active"] is False
    assert [outcome.action for outcome in result.outcomes if outcome.name != PROD] == [Action.CREATE]


@pytest.mark.parametrize("content", [None, b"an older installer"], ids=["same bytes", "other bytes"])
def test_an_app_that_another_run_makes_during_the_upload_is_gone_on_with(scene, content):
    content = content or scene.installer.read_bytes()
    made = {"file_name": "Wid-2.0.zip" if content == scene.installer.read_bytes() else "Wid-1.0.zip", **SAME}
    zipped = {"install_type": "zip", "unzip_location": "/Applications"}
    scene.tenant.faults.add(
        "POST", "/store", kind="call", do=lambda: scene.tenant.seed(PROD, content=content, **made, **zipped)
    )
    result = scene.run(**ALONE)
    same = content == scene.installer.read_bytes()
    assert prod(scene, result).action is (Action.UNCHANGED if same else Action.UPDATE), prod(scene, result).error
    assert the_only(scene)["sha256"] == digest(scene.installer)
    assert scene.on_blueprint() == [PROD]


@pytest.mark.parametrize("older", [True, False])
def test_an_app_that_another_run_makes_right_before_or_after_ours_is_the_one_that_stays(scene, older):
    """The younger one stays only since nobody deletes it: whoever made it has not seen ours."""
    data = scene.installer.read_bytes()

    def make():
        times = {"created_at": "2020-01-01T00:00:00Z"} if older else {}
        scene.tenant.seed(
            PROD, content=data, install_type="zip", unzip_location="/Applications", restart=True, **SAME, **times
        )

    scene.tenant.faults.add("GET", APPS, kind="call", nth=LIST_AFTER, do=make)
    result = scene.run(**ALONE)
    assert not result.failed, prod(scene, result).error
    assert the_only(scene)["restart"] is True
    assert prod(scene, result).app_id == the_only(scene)["id"]
    assert scene.on_blueprint() == [PROD]
    assert len([line for line in writes(scene) if line.startswith("DELETE")]) == 1


def test_an_app_that_a_person_makes_right_after_ours_is_left_as_it_is_and_told(scene):
    scene.tenant.faults.add(
        "GET", APPS, kind="call", nth=LIST_AFTER, do=lambda: scene.tenant.seed(PROD, category="Apps")
    )
    result = scene.run(**ALONE)
    assert prod(scene, result).action is Action.REFUSED
    assert "by someone else meanwhile" in prod(scene, result).error
    assert the_only(scene)["self_service_category_id"]
    assert scene.on_blueprint() == []


def test_the_other_app_that_goes_away_is_waited_for(scene):
    made = []
    scene.tenant.faults.add(
        "GET", APPS, kind="call", nth=LIST_AFTER, do=lambda: made.append(scene.tenant.seed(PROD, **SAME))
    )
    scene.tenant.faults.add("GET", APPS, kind="call", nth=LIST_AFTER + 6, do=lambda: scene.tenant.remove(made[0]["id"]))
    result = scene.run(**ALONE)
    assert prod(scene, result).action is Action.CREATE
    assert the_only(scene)["id"] == prod(scene, result).app_id
    assert not [line for line in writes(scene) if line.startswith("DELETE")]


def test_two_that_give_way_to_each_other_leave_one_app_and_not_none(scene):
    """A machine that was held up between its look and its delete must not delete the last one."""
    older = []

    def come():
        older.append(scene.tenant.seed(PROD, created_at="2020-01-01T00:00:00Z", **SAME))

    def give_way():
        if older:
            scene.tenant.remove(older.pop()["id"])

    scene.tenant.faults.add("GET", APPS, kind="call", nth=LIST_AFTER, do=come)
    scene.tenant.faults.add("GET", APP, kind="call", times=99, do=give_way)
    scene.tenant.faults.add("DELETE", APP, kind="call", times=99, do=give_way)
    result = scene.run(**ALONE)
    assert prod(scene, result).action is Action.CREATE
    assert the_only(scene)["id"] == prod(scene, result).app_id
    assert not older  # its owner deleted it while we deleted ours


def test_a_twin_of_ours_that_may_not_be_deleted_is_told_with_its_id(scene):
    scene.tenant.permissions.revoke("Delete Custom App")
    scene.tenant.faults.add(
        "GET",
        APPS,
        kind="call",
        nth=LIST_AFTER,
        do=lambda: scene.tenant.seed(PROD, created_at="2020-01-01T00:00:00Z", **SAME),
    )
    failed = prod(scene, scene.run(**ALONE))
    assert "was created twice at the same moment" in failed.error
    assert max(scene.apps()[PROD], key=lambda app: app["created_at"])["id"] in failed.error
    assert "Delete Custom App" in failed.error


def test_create_new_makes_one_beside_all_others_and_deletes_none(scene):
    # It looks at no list right before it creates, so the one after it is the second.
    scene.tenant.faults.add("GET", APPS, kind="call", nth=LIST_BEFORE, do=lambda: scene.tenant.seed(PROD, **SAME))
    result = scene.run(create_new=True, **ALONE)
    assert prod(scene, result).action is Action.CREATE
    assert len(scene.apps()[PROD]) == 2


def test_a_conflict_is_looked_at_twice_since_one_of_the_two_may_be_about_to_be_deleted(scene):
    twins = [scene.tenant.seed(PROD, **SAME) for _ in range(2)]
    scene.tenant.faults.add(
        "GET", APPS, kind="call", nth=FIRST_LIST + 3, do=lambda: scene.tenant.remove(twins[1]["id"])
    )
    result = scene.run(**ALONE)
    assert prod(scene, result).action is Action.UPDATE
    assert the_only(scene)["id"] == twins[0]["id"]


# Two machines


@pytest.mark.timeout(600)
@pytest.mark.parametrize("other", ["2.0", "3.0"], ids=["same version", "two versions"])
def test_races_of_two_machines_end_with_one_app(scene, machines, other):
    dice = random.Random(f"one app {other}")
    started = time.monotonic()
    for number in range(RACES // 2):
        prepare(scene)
        # A create that is acted upon, but answered late, is where the two are most likely to miss each other.
        scene.tenant.faults.clear()
        scene.tenant.faults.add("POST", APPS, kind="slow", nth="every", delay=dice.choice((0.0, 0.05)))
        one, two = elsewhere(scene, f"one-{other}-{number}"), elsewhere(scene, f"two-{other}-{number}", other)
        machines[0].start(one, **BOTH)
        time.sleep(dice.uniform(0, 0.3 if number else 0))
        machines[1].start(two, **BOTH)
        ends = [machine.end() for machine in machines]
        apps = {name: [app["sha256"] for app in apps] for name, apps in scene.apps().items()}
        assert apps[PROD] == apps["Wid (New)"] == [digest(two.installer)], ends
        assert ends[1][0] == 0, ends
        assert ends[0][0] == 0 or (other == "3.0" and "is higher than 2.0" in ends[0][1]), ends
        assert scene.on_blueprint() == [PROD]
        scene.tenant.reset_requests()
    print(f"{RACES // 2} races in {time.monotonic() - started:.0f} s")


@pytest.mark.timeout(600)
def test_races_of_two_promotions_end_with_one_prod_app(scene, machines):
    moved = {"custom_app": {"prod_name": PROD, "test_name": TEST, "promotion": {"after_days": 0}}}
    dice = random.Random("promotion")
    for number in range(max(1, RACES // 6)):
        prepare(scene)
        assert not scene.run(custom_app={"test_name": TEST}).failed
        one, two = elsewhere(scene, f"one-{number}"), elsewhere(scene, f"two-{number}")
        machines[0].start(one, **moved)
        time.sleep(dice.uniform(0, 0.1))
        machines[1].start(two, **moved)
        ends = [machine.end() for machine in machines]
        assert [status for status, _ in ends] == [0, 0], ends
        assert the_only(scene)["file_key"] == the_only(scene, TEST)["file_key"]


def test_of_two_updates_at_the_same_moment_the_higher_version_stays(scene, machines):
    """The lower one has read the app before the higher one wrote, and writes after it."""
    keys = {"custom_app": {"test_name": TEST}, "network.settle_time": 0.8, "network.idle_timeout": 20}
    lower, higher = elsewhere(scene, "lower", "2.0"), elsewhere(scene, "higher", "3.0")
    arrived = threading.Event()

    def wait_for_the_other():
        arrived.set()
        until = time.monotonic() + 15
        while not [record for record in scene.tenant.requests if record.method == "PATCH"]:
            assert time.monotonic() < until, "the other one did not write"
            time.sleep(0.005)

    scene.tenant.faults.add("PATCH", APP, kind="call", do=wait_for_the_other)
    machines[0].start(lower, **keys)
    assert arrived.wait(15)
    machines[1].start(higher, **keys)
    ends = [machine.end() for machine in machines]
    patches = [record for record in scene.tenant.requests if record.method == "PATCH"]
    assert len(patches) == 3, "higher, lower, and the higher one again"
    assert the_only(scene, TEST)["sha256"] == digest(higher.installer)
    assert ends[1][0] == 0, ends
    assert ends[0][0] == 1
    assert "version 3.0 in Kandji is higher than 2.0" in ends[0][1]


def test_a_run_that_may_not_read_the_activity_updates_all_the_same(scene):
    scene.tenant.permissions.revoke("Get Library Item Activity")
    result = scene.run(custom_app={"test_name": TEST})
    assert not result.failed
    assert any("Get Library Item Activity" in line for line in scene.said)


def test_a_run_that_was_killed_right_after_its_create_leaves_no_twin_for_ever(scene, machines):
    """Its own younger app is deleted by the next run of that machine."""
    machine = machines[0]
    older = {"created_at": "2020-01-01T00:00:00Z", "restart": True, **SAME}

    def beside():
        scene.tenant.seed(PROD, **older)
        machine.kill(signal.SIGKILL)

    scene.tenant.faults.add("GET", APPS, kind="call", nth=LIST_AFTER, do=beside)
    machine.start(scene, **ALONE)
    assert machine.end()[0] == -signal.SIGKILL
    assert len(scene.apps()[PROD]) == 2
    result = scene.run(**ALONE)
    assert prod(scene, result).action is Action.UPDATE, prod(scene, result).error
    assert the_only(scene)["restart"] is True


# A create that was sent more than once


def test_a_429_to_a_create_that_was_acted_upon_leaves_one_app(scene):
    scene.tenant.faults.add("POST", APPS, kind="effect_then_rate_limit", retry_after=0)
    result = scene.run(**ALONE)
    assert prod(scene, result).action is Action.CREATE
    assert the_only(scene)["id"] == prod(scene, result).app_id
    assert scene.on_blueprint() == [PROD]


def test_a_429_to_a_create_that_was_acted_upon_and_then_another_error_is_no_failure(scene):
    scene.tenant.faults.add("POST", APPS, kind="effect_then_rate_limit", retry_after=0)
    scene.tenant.faults.add("POST", APPS, kind="status", code=403, nth=2)
    result = scene.run(**ALONE)
    assert prod(scene, result).action is Action.CREATE, prod(scene, result).error
    assert the_only(scene)["id"] == prod(scene, result).app_id


# A cache in front


def cached(scene, seconds, **more):
    """A cache in front of the lists that has kept what they are now, and heeds nobody."""
    scene.tenant.faults.add("GET", APPS, kind="stale", seconds=seconds, nth="every", **more)
    Client(scene.tenant.url, Secret(scene.tenant.token)).list_custom_apps()


def test_caches_are_asked_not_to_answer(scene):
    scene.run(**ALONE)
    api = [record for record in scene.tenant.requests if record.side == "api"]
    assert {record.headers.get("cache-control") for record in api} == {"no-cache"}
    cached(scene, 30, heeds=True)
    scene.tenant.seed("Wid (Test 2)", content=scene.installer.read_bytes())
    assert scene.run(custom_app={"test_name": "Wid (Test 2)"}).outcomes[0].action is not Action.CREATE


def test_an_app_that_this_machine_has_made_is_known_although_the_list_is_older(scene):
    assert not scene.run(custom_app={"test_name": TEST}).failed  # so that the digest is known to nobody but the list
    cached(scene, 30)
    first = prod(scene, scene.run(**ALONE))
    assert "its list does not show it yet" in first.error
    assert scene.on_blueprint() == []
    second = scene.run(**ALONE)
    assert not second.failed, prod(scene, second).error
    assert prod(scene, second).app_id == the_only(scene)["id"] == first.app_id
    assert scene.on_blueprint() == [PROD]


def test_an_app_that_another_machine_has_made_is_found_when_the_cache_has_run_out(scene):
    cached(scene, 0.3)
    theirs = scene.tenant.seed(
        PROD, content=scene.installer.read_bytes(), install_type="zip", unzip_location="/Applications", **SAME
    )
    result = scene.run(**ALONE)
    assert prod(scene, result).action is Action.UNCHANGED, prod(scene, result).error
    assert the_only(scene)["id"] == theirs["id"]
    assert scene.on_blueprint() == [PROD]


def test_a_create_whose_answer_was_lost_is_not_sent_again_on_the_word_of_a_cache(scene):
    cached(scene, 30)
    scene.tenant.faults.add("POST", APPS, kind="effect_then_reset", nth="every")
    failed = prod(scene, scene.run(**ALONE))
    assert f"whether {PROD!r} was created is not known" in failed.error
    assert "come out of a cache" in failed.error
    assert writes(scene).count("POST library/custom-apps") == 1
    assert the_only(scene)["sha256"] == digest(scene.installer)


def test_a_create_whose_answer_was_lost_is_found_when_the_cache_has_run_out(scene):
    cached(scene, 0.1)
    scene.tenant.faults.add("POST", APPS, kind="effect_then_reset")
    result = scene.run(**ALONE)
    assert prod(scene, result).action is Action.CREATE, prod(scene, result).error
    assert the_only(scene)["id"] == prod(scene, result).app_id


def test_a_list_whose_last_page_goes_away_while_it_is_read_is_read_again(scene):
    twin = scene.tenant.seed(PROD)
    scene.tenant.faults.add("GET", APPS, kind="call", nth=3, do=lambda: scene.tenant.remove(twin["id"]))
    listed = Client(scene.tenant.url, Secret(scene.tenant.token)).list_custom_apps()
    assert [app.id for app in listed] == [app["id"] for app in scene.tenant.apps()]
