"""Promotion inside an ordinary run, against the embedded tenant with a moving clock."""

from __future__ import annotations

import pytest

from kandji_uploader.errors import SettingsError
from kandji_uploader.models import Action
from tests.promotion.world import PROD, TEST, World, hours, passing


def test_with_promotion_a_run_publishes_to_the_test_app_only(world: World) -> None:
    result = world.publish("1.0")
    assert [(item.name, item.action) for item in result.outcomes] == [(TEST, Action.CREATE), (PROD, Action.HELD)]
    assert [app["name"] for app in world.tenant.apps()] == [TEST]
    assert not result.failed


def test_a_healthy_release_is_promoted_after_its_soak_without_an_upload(world: World) -> None:
    world.publish("1.0")
    world.wait(5)
    world.macs(passed=4)
    world.writes()
    result = world.publish("1.0")
    assert world.prod(result).action is Action.PROMOTE
    assert world.writes() == ["POST library/custom-apps"]
    assert world.tenant.app(PROD)["sha256"] == world.tenant.app(TEST)["sha256"]
    assert world.tenant.app(PROD)["file_key"] == world.tenant.app(TEST)["file_key"]
    assert world.enforced(PROD) == "1.0"
    assert world.prod(result).reason == "1.0 has been in test for 5.0 days, 4 of 4 Macs PASS, 0 in ERROR"
