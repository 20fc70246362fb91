"""Blocking applications and the lowest macOS: they go along with a version, also where nobody says them again."""

from __future__ import annotations

import pytest

from kandji_uploader.audit import script as audit
from kandji_uploader.flows import promote
from kandji_uploader.models import Action
from tests.promotion.test_commands import RECIPE_MAP, maps
from tests.promotion.world import PROD, TEST, World

NAMES = ["Firefox.app", "Thunderbird.app"]
SAID = {"blocking_applications": NAMES, "minimum_os_version": "13.0"}
HELD = (tuple(NAMES), "13.0")


def conditions(world: World, name: str) -> tuple[tuple[str, ...] | None, str | None]:
    reading = audit.read(world.tenant.app(name)["audit_script"])
    return reading.blocking_applications, reading.minimum_os_version


def promoted_by_command(world: World) -> None:
    host = world.host
    (result,) = promote.promote(promote.chosen(promote.pairs(host), []), host)
    assert result.outcomes[0].action is Action.PROMOTE


def test_a_run_promotes_with_what_the_recipe_says(world: World) -> None:
    world.publish("1.0", custom_app=SAID)
    world.wait(5)
    world.macs(passed=4)
    world.publish("1.0", custom_app=SAID)
    assert conditions(world, PROD) == conditions(world, TEST) == HELD


@pytest.mark.parametrize("prod_exists", [False, True])
def test_the_command_keeps_what_a_recipe_has_said_and_no_map_says(world: World, *, prod_exists: bool) -> None:
    if prod_exists:
        world.publish("0.9")
        world.wait(5)
        world.macs(passed=4)
        world.publish("0.9")
    maps(world)
    world.publish("1.0", custom_app=SAID)
    world.wait(5)
    world.macs(passed=4)
    promoted_by_command(world)
    assert world.enforced(PROD) == "1.0"
    assert conditions(world, PROD) == HELD


def test_what_soaked_wins_over_what_a_map_says_of_prod_since(world: World) -> None:
    maps(
        world,
        RECIPE_MAP.replace("  promotion:", '  blocking_applications: []\n  minimum_os_version: "14"\n  promotion:'),
    )
    world.publish("1.0", custom_app=SAID)
    world.wait(5)
    world.macs(passed=4)
    promoted_by_command(world)
    assert conditions(world, PROD) == HELD


def test_a_rollback_keeps_them(world: World) -> None:
    world.keys.pop("promotion")
    world.publish("1.0")
    world.wait(1)
    world.publish("1.1", custom_app=SAID)
    promote.rollback(PROD, world.host)
    assert (world.enforced(PROD), conditions(world, PROD)) == ("1.0", HELD)


def test_a_daily_run_repairs_a_script_that_differs_in_them_only_and_the_clock_goes_on(world: World) -> None:
    world.keys.pop("promotion")
    world.publish("1.0")
    began = audit.read(world.tenant.app(PROD)["audit_script"]).created_at
    world.wait(2)
    world.writes()

    outcomes = world.publish("1.0", custom_app=SAID).outcomes

    assert {outcome.changes for outcome in outcomes} == {("audit_script",)}
    assert [line.split()[0] for line in world.writes()] == ["PATCH", "PATCH"]
    assert conditions(world, PROD) == HELD
    assert audit.read(world.tenant.app(PROD)["audit_script"]).created_at == began
    world.publish("1.0", custom_app=SAID)
    assert world.writes() == []


def test_a_mac_whose_macos_is_too_old_does_not_vouch_for_a_version(world: World) -> None:
    world.publish("1.0", custom_app=SAID)
    world.wait(5)
    log = "'Firefox.app' needs macOS 13.0 and this Mac has 12.7.6, so there is nothing to do"
    world.macs(passed=4, last_audit_log=log)
    assert world.prod(world.publish("1.0", custom_app=SAID)).action is Action.HELD
