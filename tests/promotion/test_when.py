"""Runs in a freeze, outside of a window, with a hold, with versions that are excluded, and with an approval."""

from __future__ import annotations

from typing import Any

import pytest

from kandji_uploader.errors import SettingsError
from kandji_uploader.models import Action
from tests.promotion.world import PROD, TEST, World

FREEZE = {"from": "2026-01-12", "until": "2026-01-20", "why": "audit"}
"""The world begins on Monday, 2026-01-05, at 06:00 UTC."""
WEEKDAYS = {"days": "mon-thu", "hours": "06:00-09:00", "zone": "UTC"}
ALONE: dict[str, Any] = {"promotion": None, "test_name": None}


def actions(result: Any) -> list[tuple[str, str]]:
    return [(outcome.action.value, outcome.reason) for outcome in result.outcomes]


def on(world: World, day: int, hour: int = 6) -> None:
    """Go to an hour of a day of January."""
    world.tenant.clock.set(world.now.replace(day=day, hour=hour))


@pytest.mark.parametrize("custom_app", [ALONE, {"promotion": None}, {}], ids=["prod only", "both", "promotion"])
def test_in_a_freeze_nothing_is_published_or_promoted_and_not_a_byte_is_sent(world: World, custom_app: Any) -> None:
    world.publish("1.0", custom_app=custom_app)
    on(world, 12)
    world.tenant.reset_requests()
    result = world.publish("2.0", custom_app={**custom_app, "freeze": [FREEZE]})
    assert set(actions(result)) <= {("waiting", "frozen until 2026-01-20: audit"), ("held", actions(result)[-1][1])}
    assert actions(result)[0] == ("waiting", "frozen until 2026-01-20: audit")
    assert not result.failed
    assert world.writes() == []
    on(world, 21)
    assert world.publish("2.0", custom_app={**custom_app, "freeze": [FREEZE]}).changed


def test_in_a_freeze_no_app_is_made(world: World) -> None:
    on(world, 12)
    result = world.publish("1.0", custom_app={**ALONE, "freeze": [FREEZE]})
    assert actions(result) == [("waiting", "frozen until 2026-01-20: audit")]
    assert world.writes() == []


def test_in_a_freeze_a_release_that_has_soaked_waits_and_moves_when_it_is_over(world: World) -> None:
    world.publish("1.0", custom_app={"freeze": [FREEZE]})
    on(world, 13)
    world.macs(passed=4)
    waits = world.prod(world.publish("1.0", custom_app={"freeze": [FREEZE]}))
    assert (waits.action, waits.reason) == (Action.WAITING, "1.0: frozen until 2026-01-20: audit")
    on(world, 21)
    assert world.prod(world.publish("1.0", custom_app={"freeze": [FREEZE]})).action is Action.PROMOTE


@pytest.mark.parametrize("custom_app", [ALONE, {"promotion": {"after_days": 9}}], ids=["prod only", "promotion"])
def test_a_script_that_is_changed_in_a_freeze_waits_and_an_audit_script_that_was_edited_is_repaired(
    world: World, custom_app: Any
) -> None:
    script = world.folder / "quit.zsh"
    script.write_text("#!/bin/zsh\nexit 0\n")
    given = {**custom_app, "postinstall_script": str(script), "freeze": [FREEZE]}
    world.publish("1.0", custom_app=given)
    on(world, 12)
    script.write_text("#!/bin/zsh\n# another\nexit 0\n")
    world.writes()
    assert actions(world.publish("1.0", custom_app=given))[0] == ("waiting", "frozen until 2026-01-20: audit")
    assert world.writes() == []
    script.write_text("#!/bin/zsh\nexit 0\n")
    (app,) = world.tenant.apps()
    world.tenant.edit(app["id"], audit_script=app["audit_script"].replace("FIND=", "FIND= "))
    assert world.publish("1.0", custom_app=given).outcomes[0].changes == ("audit_script",)


def test_an_edited_script_is_repaired_in_a_freeze_where_a_digest_tells_what_was_published(world: World) -> None:
    script = world.folder / "quit.zsh"
    script.write_text("#!/bin/zsh\nexit 0\n")
    given = {"postinstall_script": str(script), "freeze": [FREEZE]}
    world.publish("1.0", custom_app=given)
    on(world, 12)
    world.tenant.edit(world.tenant.app(TEST)["id"], postinstall_script="#!/bin/zsh\n# by hand\n")
    assert world.publish("1.0", custom_app=given).outcomes[0].changes == ("postinstall_script",)


def test_what_is_urgent_goes_through_a_freeze_and_a_window(world: World) -> None:
    on(world, 16, 23)
    keys = {"freeze": [FREEZE], "window": WEEKDAYS}
    result = world.publish("1.0", custom_app=keys, urgent="CVE-2026-1234")
    assert [outcome.action for outcome in result.outcomes] == [Action.CREATE, Action.CREATE]
    world.publish("2.0", custom_app={**keys, "freeze": []})
    result = world.publish("2.0", custom_app=keys, urgent="CVE-2026-1235")
    assert world.enforced(PROD) == "2.0"


def test_a_window_holds_the_way_to_production_and_not_the_test_app(world: World) -> None:
    keys = {"window": WEEKDAYS}
    on(world, 9, 23)  # a Friday
    assert world.publish("1.0", custom_app=keys).outcomes[0].action is Action.CREATE
    on(world, 15, 9)  # a Thursday, when it has just closed
    world.macs(passed=4)
    waits = world.prod(world.publish("1.0", custom_app=keys))
    assert (waits.action, waits.reason) == (Action.WAITING, "1.0: waiting for mon 06:00 (UTC)")
    on(world, 19)
    assert world.prod(world.publish("1.0", custom_app=keys)).action is Action.PROMOTE


def test_only_a_release_that_is_due_waits_for_the_window(world: World) -> None:
    keys = {"window": WEEKDAYS}
    on(world, 9, 23)
    world.publish("1.0", custom_app=keys)
    assert "has been in the test app for 0.0 of 5 days" in world.prod(world.publish("1.0", custom_app=keys)).reason
    on(world, 16, 23)
    world.macs(passed=1)
    assert world.prod(world.publish("1.0", custom_app=keys)).reason == "1.0: 1 of 1 Macs PASS, 3 are needed"


def test_the_window_of_the_promotion_stands_in_place_of_that_of_all(world: World) -> None:
    rules = {"after_days": 0, "window": {"days": "fri", "zone": "UTC"}}
    on(world, 9, 23)
    assert (
        world.prod(world.publish("1.0", custom_app={"window": WEEKDAYS, "promotion": rules})).action is Action.PROMOTE
    )


def test_freezes_of_the_config_file_and_of_the_recipe_count_together(world: World) -> None:
    config = world.folder / "config" / "config.yaml"
    config.parent.mkdir()
    config.write_text("freeze: [{from: 2026-01-12, until: 2026-01-14, why: of all}]\n")
    freeze = [{"from": "2026-01-15", "until": "2026-01-16", "why": "of this one"}]
    told = []
    for day in (12, 15, 17):
        on(world, day)
        told += actions(world.publish("1.0", custom_app={**ALONE, "freeze": freeze}))
    assert told[:2] == [
        ("waiting", "frozen until 2026-01-14: of all"),
        ("waiting", "frozen until 2026-01-16: of this one"),
    ]
    assert told[2][0] == "create"


def test_a_rollback_is_possible_in_a_freeze(world: World) -> None:
    from kandji_uploader.flows import promote

    for version in ("1.0", "2.0"):
        world.publish(version, custom_app=ALONE)
        world.wait(1)
    config = world.folder / "config" / "config.yaml"
    config.parent.mkdir()
    config.write_text("freeze: [{until: 2026-02-01}]\n")
    assert promote.rollback(PROD, world.host).outcomes[0].action is Action.ROLL_BACK
    assert world.enforced(PROD) == "1.0"


@pytest.mark.parametrize("at", ["publish", "promotion"])
def test_with_a_hold_nothing_is_published_or_promoted(world: World, at: str) -> None:
    world.publish("1.0")
    world.wait(6)
    world.macs(passed=4)
    world.writes()
    result = world.publish("2.0" if at == "publish" else "1.0", custom_app={"hold": True})
    assert world.writes() == []
    assert actions(result)[-1] == ("held", "1.0: hold is set")
    if at == "publish":
        assert actions(result)[0] == ("held", "hold is set; nothing is published until it is taken out")
    assert world.prod(world.publish("1.0")).action is Action.PROMOTE


@pytest.mark.parametrize(
    ("patterns", "version", "pattern"),
    [
        (["128.1", "129.*"], "128.1", "128.1"),
        ("128.1,129.*", "128.1.0", "128.1"),
        (["129.*"], "129.0.1", "129.*"),
        (["129.*"], "129", "129.*"),
        (["129.*", "128.1"], "1290.1", ""),
        (["129.*", "128.1"], "128.10", ""),
    ],
)
def test_a_version_that_is_excluded_is_not_published(world: World, patterns: Any, version: str, pattern: str) -> None:
    result = world.publish(version, custom_app={**ALONE, "exclude_versions": patterns})
    if pattern:
        said = f"version {version} is excluded (exclude_versions: {pattern})"
        assert actions(result) == [("held", said)]
        assert world.writes() == []
    else:
        assert result.changed


def test_a_version_that_is_excluded_later_does_not_move_on_and_an_older_one_does(world: World) -> None:
    world.publish("1.0")
    world.wait(1)
    world.macs(passed=4)
    world.publish("1.1")
    world.wait(6)
    world.macs(passed=4)
    result = world.publish("1.1", custom_app={"exclude_versions": ["1.1"]})
    assert world.enforced(PROD) == "1.0"
    assert world.prod(result).version == "1.0"
    result = world.publish("1.1", custom_app={"exclude_versions": ["1.1"]})
    assert actions(result)[-1] == ("held", "1.1 is excluded (exclude_versions: 1.1)")


def test_a_version_that_is_not_known_is_refused_where_some_are_excluded(world: World) -> None:
    from dataclasses import replace

    from tests.promotion.world import firefox

    installer = firefox(world.folder, "1.0", name="Firefox.pkg")
    installer = replace(installer, about=replace(installer.about, version=None, app_name=None, bundle_id=None))
    result = world.run(installer, custom_app={**ALONE, "exclude_versions": ["1.0"]}, enforcement_type="install_once")
    assert result.failed
    assert "exclude_versions is set, and the version of 'Firefox.pkg' is not known" in result.outcomes[0].error


def test_waiting_is_told_once_by_slack_and_again_when_the_reason_changes(world: World) -> None:
    on(world, 9)
    world.publish("1.0")
    on(world, 16)
    world.macs(passed=4)
    news = [world.publish("1.0", custom_app={"window": WEEKDAYS}).news for _ in range(2)]
    on(world, 19, 12)
    news.append(world.publish("1.0", custom_app={"promotion": {"after_days": 5, "approve": True}}).news)
    assert news == [True, False, True]


def test_of_rings_each_has_its_window_and_a_freeze_holds_them_all(world: World) -> None:
    rings = [{"name": "IT"}, {"name": "Early", "after_days": 1}, {"name": "All", "after_days": 1, "window": WEEKDAYS}]
    world.names = {}
    world.keys = {"rings": rings, "freeze": [FREEZE]}
    for day in (5, 6):
        on(world, day)
        world.publish("1.0")
    on(world, 9, 23)
    assert [outcome.action for outcome in world.publish("2.0").outcomes] == [
        Action.UPDATE,
        Action.HELD,
        Action.WAITING,
    ]
    on(world, 13)
    world.writes()
    told = [reason for _, reason in actions(world.publish("3.0"))]
    assert [reason.removeprefix("2.0: ").removeprefix("1.0: ") for reason in told] == [
        "frozen until 2026-01-20: audit"
    ] * 3
    assert world.writes() == []
    on(world, 21)
    assert [outcome.version for outcome in world.publish("3.0").outcomes] == ["3.0", "2.0", "1.0"]


def test_in_a_freeze_a_prod_app_that_somebody_has_edited_enforces_its_own_version_again(world: World) -> None:
    world.publish("1.0")
    on(world, 11)
    world.macs(passed=4)
    world.publish("1.0")
    on(world, 12)
    app = world.tenant.app(PROD)
    world.tenant.edit(app["id"], audit_script=app["audit_script"].replace("'1.0'", "'0.1'"))
    assert world.prod(world.publish("1.0", custom_app={"freeze": [FREEZE]})).action is Action.UPDATE
    assert world.enforced(PROD) == "1.0"


@pytest.mark.parametrize(
    "rule", [{"approve": True}, {"window": WEEKDAYS}, {"fast_lane": {"kev": True, "after_days": 0}}]
)
def test_the_first_ring_waits_for_nothing_so_such_a_rule_there_is_refused(world: World, rule: Any) -> None:
    world.names, world.keys = {}, {"rings": [{"name": "IT", **rule}, {"name": "All"}]}
    with pytest.raises(SettingsError, match=next(iter(rule))):
        world.publish("1.0")
    assert world.writes() == []


@pytest.mark.parametrize("custom_app", [ALONE, {}], ids=["prod only", "promotion"])
def test_in_a_freeze_no_app_comes_to_a_further_blueprint(world: World, custom_app: Any) -> None:
    given = {**custom_app, "prod_blueprints": ["Fleet"], "freeze": [FREEZE]}
    world.tenant.add_blueprint("Fleet")
    world.publish("1.0", custom_app=custom_app)
    on(world, 11)
    world.macs(passed=4) if not custom_app else None
    world.publish("1.0", custom_app=custom_app)
    on(world, 12)
    world.writes()
    told = world.publish("1.0", custom_app=given)
    assert world.writes() == []
    assert custom_app == {} or actions(told) == [("waiting", "frozen until 2026-01-20: audit")]
    on(world, 21)
    world.publish("1.0", custom_app=given)
    assert [len(each["items"]) for each in world.tenant.blueprints] == [1]


def test_in_a_freeze_what_fails_is_halted_all_the_same(world: World) -> None:
    rules = {"after_days": 0, "halt_percent": 20}
    for _ in range(2):
        world.publish("1.0", custom_app={"promotion": rules})
    on(world, 12)
    world.macs(passed=5, errors=5, app=PROD)
    result = world.publish("1.0", custom_app={"promotion": rules, "freeze": [FREEZE]})
    assert world.prod(result).action is Action.HALTED
    assert "Halted" in world.tenant.app(PROD)["audit_script"]
