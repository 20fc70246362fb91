"""SIGKILL at any moment: the next run ends as if nothing had happened. SIGTERM and SIGINT: it says what was done.

`KANDJI_KILLS` sets how many kills at random moments; docs/reliability.md speaks of 120.
"""

from __future__ import annotations

import os
import random
import signal
import stat
import time

import pytest

from tests.faults.publisher import INTERRUPTED, Publisher
from tests.faults.scene import OTHERS, PROD, TEST, opened, prepare
from tests.faults.test_matrix import REQUESTS

RANDOM_KILLS = int(os.environ.get("KANDJI_KILLS", "30"))
SEED = 20260101


@pytest.fixture(scope="module")
def publisher():
    publisher = Publisher()
    yield publisher
    publisher.close()


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    with opened(tmp_path_factory.mktemp("kills")) as scene:
        yield scene


@pytest.fixture(scope="module")
def undisturbed(scene, publisher):
    """The tenant after a run that nobody disturbed, and how many seconds it took."""
    prepare(scene)
    publisher.run(scene)  # the first one compiles and caches
    before = prepare(scene)
    started = time.monotonic()
    assert publisher.run(scene)[0] == 0
    assert scene.state_of(PROD, before) == scene.state_of(TEST, before) == "planned"
    return scene.tenant.snapshot(), time.monotonic() - started


def settle(scene, publisher, undisturbed):
    """The next run, which nobody disturbs, ends where an undisturbed one does, and leaves nothing behind."""
    scene.tenant.faults.clear()
    assert publisher.run(scene)[0] == 0
    assert scene.tenant.snapshot() == undisturbed[0]
    assert scene.on_blueprint() == [PROD]
    assert not list(scene.folder.rglob("*.kandji-draft"))


def wait_for_the_fault(scene):
    until = time.monotonic() + 10
    while not [record for record in scene.tenant.requests if record.fault]:
        assert time.monotonic() < until, "the fault did not happen"
        time.sleep(0.002)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_run_killed_at_a_random_moment_costs_nothing(scene, publisher, undisturbed):
    dice, span = random.Random(SEED), undisturbed[1]
    killed = runs = 0
    while killed < RANDOM_KILLS:
        runs += 1
        assert runs < 3 * RANDOM_KILLS, f"only {killed} of {runs} runs were killed before they ended"
        prepare(scene)
        scene.tenant.configure(processing_polls=dice.choice((0, 0, 2)))
        for _ in range(dice.choice((1, 1, 2))):
            publisher.start(scene)
            moment = dice.uniform(0, span)
            time.sleep(moment)
            publisher.kill(signal.SIGKILL)
            hit = publisher.end()[0] == -signal.SIGKILL
            killed += hit
            span = (
                span * 1.1 if hit else moment
            )  # a run takes longer, or less long, when the machine is busy, or no more
        for name in OTHERS:
            assert len(scene.apps()[name]) == 1
        settle(scene, publisher, undisturbed)


@pytest.mark.parametrize("request_name", REQUESTS)
def test_a_run_killed_before_a_request_is_acted_upon_costs_nothing(scene, publisher, undisturbed, request_name):
    prepare(scene)
    method, path, nth = REQUESTS[request_name]
    scene.tenant.faults.add(method, path, kind="call", nth=nth, do=lambda: publisher.kill(signal.SIGKILL))
    assert publisher.run(scene)[0] == -signal.SIGKILL
    settle(scene, publisher, undisturbed)


@pytest.mark.parametrize("request_name", REQUESTS)
def test_a_run_killed_when_a_request_was_acted_upon_costs_nothing(scene, publisher, undisturbed, request_name):
    prepare(scene)
    method, path, nth = REQUESTS[request_name]
    scene.tenant.faults.add(method, path, kind="effect_then_timeout", nth=nth, seconds=0.05)
    publisher.start(scene)
    wait_for_the_fault(scene)
    publisher.kill(signal.SIGKILL)
    assert publisher.end()[0] == -signal.SIGKILL
    settle(scene, publisher, undisturbed)


def test_a_create_new_run_killed_after_the_create_makes_no_second_app(scene, publisher):
    prepare(scene)
    scene.tenant.faults.add("POST", "library/custom-apps", kind="effect_then_timeout", seconds=0.05)
    targets = {"custom_app": {"prod_name": PROD}, "create_new": True}
    publisher.start(scene, **targets)
    wait_for_the_fault(scene)
    publisher.kill(signal.SIGKILL)
    publisher.end()
    assert len(scene.apps()[PROD]) == 1
    assert publisher.run(scene, **targets)[0] == 0
    assert len(scene.apps()[PROD]) == 1
    assert publisher.run(scene, **targets)[0] == 0
    assert len(scene.apps()[PROD]) == 2, "it is finished; the next one makes another, as create_new says"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("request_name", REQUESTS)
def test_a_signal_ends_a_run_with_what_was_and_was_not_done(scene, publisher, undisturbed, request_name, number):
    before = prepare(scene)
    method, path, nth = REQUESTS[request_name]
    scene.tenant.faults.add(method, path, kind="call", nth=nth, do=lambda: publisher.kill(number))
    scene.tenant.faults.add(method, path, kind="slow", nth=nth, delay=0.2)  # which it does not wait for
    status, said = publisher.run(scene)
    assert status == INTERRUPTED, said
    if request_name in ("list", "list-page-2", "categories", "blueprints"):
        assert said.startswith("interrupted while nothing was being changed")
        assert scene.state_of(PROD, before) == scene.state_of(TEST, before) == "before"
    elif request_name in ("create", "assign"):
        assert f"Done: {TEST}: update. Not done: {PROD!r}; {PROD!r} may have been under way" in said
        assert scene.state_of(TEST, before) == "planned"
    else:
        assert f"Done: nothing. Not done: {TEST!r}, {PROD!r}; {TEST!r} may have been under way" in said
    assert not list(scene.folder.rglob("*.kandji-draft"))
    settle(scene, publisher, undisturbed)


def test_two_runs_at_once_make_one_app(tmp_path):
    first, second = Publisher(), Publisher()
    with opened(tmp_path) as scene:
        prepare(scene)
        scene.tenant.faults.add("POST", "library/custom-apps/upload", kind="slow", delay=0.1, nth="every")
        first.start(scene)
        second.start(scene)
        ends = [first.end(), second.end()]
        assert [status for status, _ in ends] == [0, 0]
        assert {name: len(apps) for name, apps in scene.apps().items()} == dict.fromkeys((*OTHERS, TEST, PROD), 1)
        uploads = [record for record in scene.tenant.requests if record.path == "/store"]
        assert len(uploads) == 1
    first.close()
    second.close()


def test_whatever_a_run_leaves_behind_is_private_whatever_the_umask(scene, publisher, undisturbed):
    prepare(scene)
    assert publisher.run(scene)[0] == 0  # it sets umask 0
    left = list((scene.folder / "state").rglob("*"))
    files = {stat.S_IMODE(path.stat().st_mode) for path in left if path.is_file()}
    folders = {stat.S_IMODE(path.stat().st_mode) for path in (*left, scene.folder / "state") if path.is_dir()}
    assert (files, folders) == ({0o600}, {0o700})
    text = b"".join(path.read_bytes() for path in left if path.is_file())
    assert text
    assert scene.tenant.token.encode() not in text


def test_an_interrupted_assignment_is_made_by_the_next_run_only_if_it_is_still_wanted(scene, publisher):
    prepare(scene)
    scene.tenant.faults.add("POST", "blueprints/**", kind="stall", seconds=0.05, nth="every")  # not acted upon
    publisher.start(scene)
    wait_for_the_fault(scene)
    publisher.kill(signal.SIGKILL)
    assert publisher.end()[0] == -signal.SIGKILL
    assert scene.on_blueprint() == []
    scene.tenant.faults.clear()
    unassigned = {"custom_app": {"prod_name": PROD, "test_name": TEST, "ss_category": "Productivity"}}
    assert publisher.run(scene, **unassigned)[0] == 0
    assert scene.on_blueprint() == []


def test_the_publisher_is_not_this_process(publisher, scene):
    prepare(scene)
    assert publisher.start(scene) != os.getpid()
    assert publisher.end()[0] == 0
