"""Macs are asked to check in when the first app of a chain got a release, so that they report on it soon."""

from __future__ import annotations

from datetime import timedelta

import pytest

from kandji_uploader.rehearsal.state import name_id
from tests.promotion.world import TEST, World, stamp


@pytest.fixture
def fleet(world: World) -> World:
    """Ten Macs have the test app in scope; Mac 0 reported last."""
    world.publish("1.0")
    times = [stamp(world.now - timedelta(hours=number)) for number in range(10)]
    rows = [
        {"status": "PASS", "mac": f"Mac {number}", "last_audit_run": time, "reported_at": time}
        for number, time in enumerate(times)
    ]
    world.tenant.set_statuses(world.tenant.app(TEST)["id"], [*rows, rows[0], {"status": "PENDING", "mac": "Mac 99"}])
    world.keys["nudge"] = 4
    world.writes()
    return world


def asked(world: World) -> list[str]:
    """Who was asked to check in, since that was last counted."""
    names = {name_id("mac", f"Mac {number}"): f"Mac {number}" for number in [*range(10), 99]}
    return [names.get(write.split("/")[1], "?") for write in world.writes() if write.endswith("/action/dailycheckin")]


def test_the_macs_that_reported_last_are_asked_each_once_and_at_most_so_many(fleet: World) -> None:
    fleet.publish("2.0")
    assert asked(fleet) == ["Mac 0", "Mac 1", "Mac 2", "Mac 3"]
    assert f"{TEST}: 4 Macs were asked to check in" in fleet.said
    fleet.keys["nudge"] = 1000
    fleet.publish("3.0")
    assert len(asked(fleet)) == 11


def test_nobody_is_asked_without_another_release_in_a_dry_run_or_without_promotion(fleet: World) -> None:
    fleet.publish("1.0")
    fleet.publish("2.0", dry_run=True)
    fleet.publish("2.0", custom_app={"promotion": None})
    fleet.publish("1.0", custom_app={"active": False})
    assert asked(fleet) == []


def test_another_script_is_another_release(fleet: World) -> None:
    script = fleet.folder / "quit.zsh"
    script.write_text("#!/bin/zsh\nexit 0\n")
    fleet.publish("1.0", custom_app={"preinstall_script": str(script)})
    assert len(asked(fleet)) == 4


def test_a_new_app_has_no_macs_yet(fleet: World) -> None:
    fleet.tenant.remove(fleet.tenant.app(TEST)["id"])
    assert not fleet.publish("2.0").failed
    assert f"{TEST}: 0 Macs were asked to check in" in fleet.said


@pytest.mark.parametrize("permission", ["Perform Daily Check-in", "Get Library Item Statuses"])
def test_without_the_permission_one_line_says_so_and_the_run_is_well(fleet: World, permission: str) -> None:
    fleet.tenant.permissions.revoke(permission)
    fleet.keys["promotion"] = {"after_days": 5}
    assert not fleet.publish("2.0").failed
    (said,) = fleet.warnings
    assert "0 Macs were asked to check in" in said
    assert f"the API token lacks the permission '{permission}'" in said
    assert len(asked(fleet)) <= 1


def test_a_mac_that_is_gone_keeps_no_other_from_being_asked_and_three_of_them_do(fleet: World) -> None:
    fleet.tenant.faults.add("POST", "devices/**", kind="status", code=404, nth=1)
    assert not fleet.publish("2.0").failed
    assert len(asked(fleet)) == 4
    assert any("3 Macs were asked to check in; 1 could not be asked: " in line for line in fleet.said)
    fleet.keys["nudge"] = 9
    fleet.tenant.faults.add("POST", "devices/**", kind="status", code=404, nth="every")
    fleet.publish("3.0")
    assert len(asked(fleet)) == 3
