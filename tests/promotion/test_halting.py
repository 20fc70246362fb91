"""What fails on too many Macs is halted where it is: nobody is asked for it, and it goes nowhere from there."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from kandji_uploader.audit import script as audit
from kandji_uploader.errors import TargetError
from kandji_uploader.flows import promote
from kandji_uploader.flows import watch as flow
from kandji_uploader.models import Action, Outcome, Promotion, RunResult
from kandji_uploader.promotion.rules import Kind, Standing, judge
from kandji_uploader.publish import plan, releases
from kandji_uploader.rehearsal import RehearsalTenant
from tests.promotion.test_commands import command
from tests.promotion.test_rings import ALL, EARLY, IT, mapped
from tests.promotion.world import PROD, START, TEST, World

RULES = {"min_pass": 3, "max_error_percent": 10}
RINGS = [
    {"name": IT, "halt_percent": 20},
    {"name": EARLY, "after_days": 1, **RULES},
    {"name": ALL, "after_days": 1, **RULES},
]


@pytest.fixture
def rings(tmp_path: Path) -> World:
    with RehearsalTenant(tmp_path / "tenant") as tenant:
        yield World(tenant, tmp_path, keys={"rings": RINGS}, names={})


def of(result: RunResult, name: str) -> Outcome:
    (found,) = [item for item in result.outcomes if item.name == name]
    return found


def healthy(world: World, *names: str) -> None:
    for name in names:
        world.macs(passed=9, app=name)


def everywhere(world: World, version: str = "1.0") -> None:
    """A version is in all three rings."""
    for _ in range(3):
        world.publish(version)
        world.wait(1)
        healthy(world, *(name for name in (IT, EARLY, ALL) if world.enforced(name) == version))
    assert [world.enforced(name) for name in (IT, EARLY, ALL)] == [version] * 3


def halted(world: World, name: str) -> releases.Halt | None:
    return releases.from_notes(audit.read(world.tenant.app(name)["audit_script"]).notes).halted


@pytest.mark.parametrize("forgetful", [False, True], ids=["one machine", "throw-away machines"])
@pytest.mark.parametrize("name", [IT, EARLY, ALL])
def test_a_release_that_fails_on_too_many_macs_is_halted_in_its_ring(rings: World, name: str, forgetful: bool) -> None:
    rings.forgetful = forgetful
    everywhere(rings)
    rings.wait(1)
    rings.macs(passed=7, errors=3, app=name)
    before = audit.read(rings.tenant.app(name)["audit_script"])
    result = rings.publish("1.0")
    assert result.failed
    assert of(result, name).action is Action.HALTED
    assert "1.0 is halted: 3 of 10 Macs in ERROR (30 %), limit 20 %" in of(result, name).error
    after = audit.read(rings.tenant.app(name)["audit_script"])
    assert after.halted == "3 of 10 Macs in ERROR (30 %), limit 20 %"
    assert (after.version, after.created_at, after.days) == (before.version, before.created_at, before.days)
    # It stays halted whatever its Macs say then, by whatever recipe it comes, and nothing is written.
    rings.wait(1)
    healthy(rings, name)
    rings.writes()
    again = rings.publish("1.0")
    assert of(again, name).action is Action.HALTED
    assert rings.writes() == []


@pytest.mark.parametrize(("macs", "what"), [((8, 2), "too few"), ((80, 20), "just the limit"), ((0, 0), "nobody")])
def test_fewer_errors_halt_nothing(rings: World, macs: tuple[int, int], what: str) -> None:
    everywhere(rings)
    rings.macs(passed=macs[0], errors=macs[1], app=ALL)
    assert not rings.publish("1.0").failed, what


def test_what_is_halted_in_a_ring_goes_to_no_further_one_and_a_newer_release_lifts_it(rings: World) -> None:
    rings.publish("1.0")
    rings.wait(1)
    healthy(rings, IT)
    rings.publish("1.0")
    rings.wait(1)
    rings.macs(passed=1, errors=9, app=EARLY)
    assert of(rings.publish("1.0"), EARLY).action is Action.HALTED
    for _ in range(4):
        rings.wait(1)
        healthy(rings, IT, EARLY)
        result = rings.publish("1.0")
        assert (rings.enforced(ALL), of(result, ALL).reason) == (None, f"1.0 is halted in {EARLY!r}")
    rings.publish("1.1")
    rings.wait(1)
    healthy(rings, IT)
    assert of(rings.publish("1.1"), EARLY).action is Action.PROMOTE
    assert (audit.read(rings.tenant.app(EARLY)["audit_script"]).halted, halted(rings, EARLY)) == (None, None)
    rings.wait(1)
    healthy(rings, EARLY)
    assert of(rings.publish("1.1"), ALL).action is Action.PROMOTE


def test_a_version_that_was_halted_moves_on_from_there_never_more(rings: World, tmp_path: Path) -> None:
    """Also when its Macs are well again, and a newer one has lifted the halt of the ring."""
    other = World(rings.tenant, tmp_path / "another machine", keys=rings.keys, names={})
    everywhere(rings)
    other.publish("2.0")
    rings.wait(0.5)
    rings.macs(passed=2, errors=5, app=IT)
    assert of(rings.publish("2.0"), IT).action is Action.HALTED
    rings.wait(0.5)
    healthy(rings, IT)
    rings.publish("3.0")
    for world in (rings, other):
        rings.wait(2)
        rings.macs(errors=9, app=IT)
        result = of(world.publish("3.0"), EARLY)
        assert rings.enforced(EARLY) == "1.0"
        assert f"2.0 was halted in {IT!r}, and a newer one came" in result.reason
    back = promote.rollback(IT, rings.host)
    assert back.outcomes[0].version == "1.0", "what was halted is nothing to go back to"


def test_neither_the_halted_version_nor_an_older_one_is_published_into_the_ring_by_another_recipe(rings: World) -> None:
    everywhere(rings, "2.0")
    rings.macs(passed=1, errors=9, app=ALL)
    assert rings.publish("2.0").failed
    rings.keys, rings.names = {}, {"prod_name": ALL}
    rings.writes()
    for version, build in (("2.0", ""), ("2.0", "again"), ("1.9", "")):
        result = rings.publish(version, build, allow_downgrade=True)
        assert of(result, ALL).action is Action.HALTED
        assert "2.0 is halted: 9 of 10 Macs in ERROR" in result.outcomes[0].error
    assert rings.writes() == []
    result = rings.publish("2.1")
    assert of(result, ALL).action is Action.UPDATE
    assert audit.read(rings.tenant.app(ALL)["audit_script"]).halted is None


def test_a_halt_can_put_the_release_before_it_back(rings: World) -> None:
    rings.keys["rings"] = [*RINGS[:2], RINGS[2] | {"on_halt": "rollback"}]
    everywhere(rings, "1.0")
    everywhere(rings, "1.1")
    rings.macs(passed=5, errors=5, app=ALL)
    result = rings.publish("1.1")
    assert of(result, ALL).action is Action.HALTED
    assert of(result, ALL).error == ("1.1 is halted: 5 of 10 Macs in ERROR (50 %), limit 20 %; from 1.1 back to 1.0")
    assert rings.enforced(ALL) == "1.0"
    rings.wait(2)
    healthy(rings, IT, EARLY, ALL)
    again = rings.publish("1.1")
    assert not again.failed
    assert of(again, ALL).reason == "1.1: version 1.1 was rolled back, and nothing newer has come"


def test_a_first_release_that_cannot_be_rolled_back_is_halted_all_the_same(rings: World) -> None:
    rings.keys["rings"] = [RINGS[0] | {"on_halt": "rollback"}, *RINGS[1:]]
    rings.publish("1.0")
    rings.wait(1)
    rings.macs(errors=5, app=IT)
    assert "could not be rolled back: nothing is known that" in of(rings.publish("1.0"), IT).error
    assert audit.read(rings.tenant.app(IT)["audit_script"]).halted


@pytest.mark.parametrize("enforcement", ["self_service", "install_once"])
def test_an_app_without_an_audit_script_becomes_inactive_and_active_again(rings: World, enforcement: str) -> None:
    rings.tenant.set_categories(["Apps", "Utilities"])
    rings.keys["rings"] = [*RINGS[:2], RINGS[2] | {"enforcement_type": enforcement}]
    for _ in range(3):
        rings.publish("1.0")
        rings.wait(1)
        healthy(rings, *(name for name in (IT, EARLY) if rings.enforced(name)))
    rings.tenant.set_statuses(rings.tenant.app(ALL)["id"], {"ERROR": 5})
    rows = [{"status": "ERROR", "reported_at": rings.now.isoformat(), "last_audit_run": rings.now.isoformat()}] * 5
    rings.tenant.set_statuses(rings.tenant.app(ALL)["id"], rows)
    assert of(rings.publish("1.0"), ALL).action is Action.HALTED
    assert rings.tenant.app(ALL)["active"] is False
    flow.resume(ALL, rings.host)
    assert rings.tenant.app(ALL)["active"] is True


def test_an_app_that_was_made_inactive_is_active_again_with_a_newer_release(rings: World) -> None:
    rings.keys["rings"] = [{"name": ALL, "halt_percent": 20, "enforcement_type": "install_once"}]
    rings.publish("1.0")
    rings.wait(1)
    rows = [{"status": "ERROR", "reported_at": rings.now.isoformat(), "last_audit_run": rings.now.isoformat()}] * 5
    rings.tenant.set_statuses(rings.tenant.app(ALL)["id"], rows)
    assert of(rings.publish("1.0"), ALL).action is Action.HALTED
    assert rings.tenant.app(ALL)["active"] is False
    assert of(rings.publish("1.1"), ALL).action is Action.UPDATE
    assert rings.tenant.app(ALL)["active"] is True


def test_a_halted_script_that_somebody_has_edited_is_repaired_and_stays_halted(rings: World) -> None:
    everywhere(rings)
    rings.macs(errors=9, app=ALL)
    rings.publish("1.0")
    app = rings.tenant.app(ALL)
    edited = app["audit_script"].replace("MINIMUM_ENFORCED_VERSION='1.0'", "MINIMUM_ENFORCED_VERSION='0.1'")
    rings.tenant.edit(app["id"], audit_script=edited)
    rings.publish("1.0")
    assert rings.enforced(ALL) == "1.0"
    assert audit.read(rings.tenant.app(ALL)["audit_script"]).halted


def test_an_app_that_was_inactive_before_stays_inactive(rings: World) -> None:
    everywhere(rings)
    app = rings.tenant.app(ALL)
    rings.tenant.edit(app["id"], active=False, audit_script="#!/bin/zsh\nexit 0\n")
    rings.macs(errors=9, app=IT)
    context_app = rings.tenant.app(ALL)
    rows = [{"status": "ERROR", "reported_at": rings.now.isoformat(), "last_audit_run": rings.now.isoformat()}] * 5
    rings.tenant.set_statuses(context_app["id"], rows)
    rings.publish("1.0")
    flow.resume(ALL, rings.host)
    assert rings.tenant.app(ALL)["active"] is False


@pytest.mark.parametrize(("version", "kind"), [("2.0", Kind.HALTED), ("1.9", Kind.HALTED), ("2.1", Kind.PROMOTE)])
def test_a_halted_ring_takes_only_a_newer_version(version: str, kind: Kind) -> None:
    standing = Standing(exists=True, version="1.0", halted=releases.Release("2.0", "a" * 64, 1.0, "k"))
    decision = judge(releases.Release(version, "b" * 64, 1.0, "l"), Promotion(), standing, 9e5)
    assert decision.kind is kind


def test_a_machine_without_the_rules_tells_of_a_halt_too(rings: World, tmp_path: Path) -> None:
    everywhere(rings)
    rings.macs(errors=9, app=ALL)
    assert rings.publish("1.0").failed
    bare = [{"name": IT}, {"name": EARLY, "after_days": 1}, {"name": ALL, "after_days": 1}]
    other = World(rings.tenant, tmp_path / "other", keys={"rings": bare}, names={})
    other.tenant.clock.set(START + timedelta(days=9))
    result = other.publish("1.0")
    assert (of(result, ALL).action, of(result, EARLY).action) == (Action.HALTED, Action.UNCHANGED)


# By hand


def test_watch_halts_and_tells_the_figures_of_each_ring_and_promotes_nothing(rings: World) -> None:
    everywhere(rings)
    rings.publish("1.1")
    mapped(rings, "recipe_map", RINGS)
    rings.wait(2)
    healthy(rings, IT, EARLY)
    rings.macs(passed=5, errors=5, app=ALL)
    dry = flow.watch(promote.asked_for(["Firefox.pkg"], rings.host, {"dry_run": True}), rings.host)
    assert dry[0].failed
    assert halted(rings, ALL) is None
    (result,) = flow.watch(promote.asked_for((), rings.host, every_pair=True), rings.host)
    assert [(item.name, item.action) for item in result.outcomes] == [
        (IT, Action.UNCHANGED),
        (EARLY, Action.UNCHANGED),
        (ALL, Action.HALTED),
    ]
    assert result.outcomes[0].reason == "1.1: 9 of 9 Macs PASS, 0 in ERROR"
    assert rings.enforced(EARLY) == "1.0"


def test_a_watch_that_no_rule_asks_for_is_known_by_its_code(rings: World) -> None:
    mapped(rings, "recipe_map", [{"name": IT}, {"name": EARLY, "after_days": 1}])
    (result,) = flow.watch(promote.asked_for((), rings.host, every_pair=True), rings.host)
    assert (result.failed, result.code) == (True, "target")


def test_what_keeps_a_watch_from_halting_is_known_by_its_code(rings: World) -> None:
    rings.publish("1.0")
    rings.wait(1)
    rings.macs(errors=9, app=IT)
    mapped(rings, "recipe_map", RINGS)
    rings.tenant.faults.add("GET", "library/custom-apps/*", kind="status", code=404)
    (result,) = flow.watch(promote.asked_for((), rings.host, every_pair=True), rings.host)
    assert (of(result, IT).action, result.code) == (Action.FAILED, "api")


def test_resume_leaves_the_days_that_were_left_and_lets_the_release_move_on(rings: World) -> None:
    rings.keys["rings"] = [RINGS[0], RINGS[1] | {"enforcement_delay": 9}, RINGS[2]]
    rings.publish("1.0")
    rings.wait(1)
    healthy(rings, IT)
    rings.publish("1.0")
    rings.wait(1)
    rings.macs(passed=1, errors=9, app=EARLY)
    rings.publish("1.0")
    before = audit.read(rings.tenant.app(EARLY)["audit_script"])
    mapped(rings, "recipe_map", rings.keys["rings"])
    rings.wait(3)
    with pytest.raises(TargetError, match="nothing is halted in 'Firefox"):
        flow.resume(ALL, rings.host, ring=IT)
    result = flow.resume("Firefox.pkg", rings.host)
    assert (result.changed, result.outcomes[0].name) == (True, EARLY)
    after = audit.read(rings.tenant.app(EARLY)["audit_script"])
    assert (after.halted, halted(rings, EARLY), after.days) == (None, None, 9)
    assert after.created_at == (before.created_at or 0) + 3 * 86_400
    rings.keys = {"rings": RINGS}
    healthy(rings, IT, EARLY)
    rings.publish("1.0")
    rings.wait(1)
    healthy(rings, IT, EARLY)
    assert of(rings.publish("1.0"), ALL).action is Action.PROMOTE


def test_what_the_macs_said_before_it_was_resumed_does_not_halt_it_again(rings: World, tmp_path: Path) -> None:
    other = World(rings.tenant, tmp_path / "other", keys={"rings": RINGS}, names={})
    other.tenant.clock.set(START)
    everywhere(rings)
    rings.macs(errors=9, app=ALL)
    assert rings.publish("1.0").failed
    assert other.publish("1.0").failed
    rings.wait(1)
    flow.resume(ALL, rings.host)
    for world in (rings, other):
        assert not world.publish("1.0").failed
    rings.wait(1)
    rings.macs(errors=9, app=ALL)
    assert of(other.publish("1.0"), ALL).action is Action.HALTED


def test_a_halt_that_one_machine_lifted_stays_lifted_for_another(rings: World, tmp_path: Path) -> None:
    other = World(rings.tenant, tmp_path / "other", keys={"rings": RINGS}, names={})
    everywhere(rings)
    rings.macs(errors=9, app=ALL)
    assert rings.publish("1.0").failed
    healthy(rings, IT, EARLY, ALL)
    flow.resume(ALL, other.host)
    assert not rings.publish("1.0").failed


def test_a_prod_app_is_watched_only_where_halt_percent_is_given(world: World) -> None:
    world.publish("1.0")
    world.wait(5)
    world.macs(passed=4)
    world.publish("1.0")
    world.wait(1)
    world.macs(errors=9, app=PROD)
    world.tenant.reset_requests()
    assert not world.publish("1.0").failed
    assert not [each for each in world.tenant.requests if each.path.endswith("/status")]
    world.keys["promotion"] = {"after_days": 5, "halt_percent": 50}
    result = world.publish("1.0")
    assert (world.prod(result).action, world.prod(result).name) == (Action.HALTED, PROD)
    assert world.enforced(TEST) == "1.0"


def test_slack_is_told_of_a_halt_once_by_watch(rings: World) -> None:
    everywhere(rings)
    rings.macs(errors=9, app=ALL)
    mapped(rings, "recipe_map", RINGS)
    with (rings.folder / "config" / "config.yaml").open("a") as config:
        config.write("slack: {enabled: true, webhook_name: HOOK}\n")
    host = replace(rings.host, environ={**rings.environ, "HOOK": rings.tenant.webhook_url})
    flow.watch(promote.pairs(host), host)
    again = flow.watch(promote.pairs(host), host)
    assert again[0].failed
    (message,) = rings.tenant.slack_messages()
    assert "halted: Firefox" in str(message)
    assert "9 of 9 Macs in ERROR (100 %), limit 20 %" in str(message)


def test_a_halt_that_cannot_be_read_is_none(rings: World) -> None:
    for wrong in ("", "[]", "7", '[{"v":"1"},"w",1,0]', '[{"v":"1","t":1},7,1,0]', '[{"v":"1","t":1},"w",-1,0]'):
        assert releases.from_notes({"halted": wrong}).halted is None
    halt: Any = releases.Halt(releases.Release("1.0", "a", 1.0, "k"), "why", 2.0, inactive=True)
    assert releases.from_notes(releases.to_notes(releases.Ledger(halted=halt))).halted == halt
    assert "kandji-uploader resume 'X'" in plan.halt_told("X", halt)


def test_the_commands_watch_resume_and_promote_take_rings_from_a_map(rings: World) -> None:
    """As they are called in a shell, with the time of this machine."""
    rings.tenant.clock.set(datetime.now(timezone.utc) - timedelta(hours=30))
    given = [RINGS[0], {"name": ALL, "after_days": 1, "halt_percent": 20}]
    rings.keys["rings"] = given
    rings.publish("1.0")
    rings.tenant.clock.run()
    rings.macs(errors=9, app=IT)
    rings.tenant.clock.set(datetime.now(timezone.utc))
    rings.macs(errors=9, app=IT)
    rings.tenant.clock.run()
    mapped(rings, "recipe_map", given)
    done = command(rings, "watch", "--all")
    assert (done.returncode, "9 of 9 Macs in ERROR" in done.stderr) == (1, True), done.stderr
    held = command(rings, "promote", "--all", "--json")
    assert [app["action"] for app in json.loads(held.stdout)[0]["custom_apps"]] == ["halted", "held"]
    done = command(rings, "resume", "Firefox.pkg")
    assert (done.returncode, "it was halted: 9 of 9" in done.stdout) == (0, True), done.stderr
    assert command(rings, "resume", "Firefox.pkg").returncode == 3
    assert command(rings, "watch").returncode == 2
