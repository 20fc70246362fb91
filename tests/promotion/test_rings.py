"""Rings: any number of Custom Apps that take each release one after the other."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from kandji_uploader.cli import documents
from kandji_uploader.cli import status as cli_status
from kandji_uploader.errors import SettingsError
from kandji_uploader.flows import promote, status
from kandji_uploader.models import Action, RunResult
from kandji_uploader.rehearsal import RehearsalTenant
from kandji_uploader.report import text as report
from kandji_uploader.status import html
from tests.promotion.world import World, firefox
from tests.support.outputs import check

IT, EARLY, ALL = "Firefox (IT)", "Firefox (Early)", "Firefox"
RINGS = [
    {"name": IT},
    {"name": EARLY, "after_days": 2},
    {"name": ALL, "after_days": 5},
]


@pytest.fixture
def rings(tmp_path: Path) -> World:
    with RehearsalTenant(tmp_path / "tenant") as tenant:
        yield World(tenant, tmp_path, keys={"rings": RINGS}, names={})


def versions(world: World, *names: str) -> list[str | None]:
    return [world.enforced(name) for name in names or (IT, EARLY, ALL)]


def actions(result: RunResult) -> dict[str, Action]:
    return {item.name: item.action for item in result.outcomes}


def test_a_release_is_published_to_the_first_ring_and_each_other_one_takes_it_from_the_one_before(rings: World) -> None:
    result = rings.publish("1.0")
    assert actions(result) == {IT: Action.CREATE, EARLY: Action.HELD, ALL: Action.HELD}
    assert [item.stage.value for item in result.outcomes] == ["test", "test", "prod"]
    rings.wait(2)
    assert actions(rings.publish("1.0")) == {IT: Action.UNCHANGED, EARLY: Action.PROMOTE, ALL: Action.HELD}
    rings.wait(4.9)
    held = rings.publish("1.0").outcomes[-1]
    assert held.reason == f"1.0 has been in {EARLY!r} for 4.9 of 5 days"
    rings.wait(0.1)
    assert versions(rings) == ["1.0", "1.0", None]
    result = rings.publish("1.0")
    assert actions(result) == {IT: Action.UNCHANGED, EARLY: Action.UNCHANGED, ALL: Action.PROMOTE}
    assert len({rings.tenant.app(name)["sha256"] for name in (IT, EARLY, ALL)}) == 1
    assert sum("upload" in each for each in rings.writes()) == 1


@pytest.mark.parametrize("count", [1, 2, 5])
def test_any_number_of_rings_takes_a_release_after_each_soak(rings: World, count: int) -> None:
    names = [f"Ring {number}" for number in range(count)]
    rings.keys["rings"] = [{"name": names[0]}, *({"name": name, "after_days": 1} for name in names[1:])]
    for day in range(count):
        result = rings.publish("1.0")
        assert versions(rings, *names) == ["1.0"] * (day + 1) + [None] * (count - day - 1)
        rings.wait(1)
    assert [item.name for item in result.outcomes] == names
    assert [item.stage.value for item in result.outcomes] == ["test"] * (count - 1) + ["prod"]


@pytest.mark.parametrize("forgetful", [False, True], ids=["one machine", "throw-away machines"])
def test_the_third_ring_does_not_starve_with_versions_every_day_over_twelve_days(rings: World, forgetful: bool) -> None:
    rings.forgetful = forgetful
    got = []
    for day in range(1, 13):
        rings.publish(f"{day}.0")
        got.append(rings.enforced(ALL))
        rings.wait(1)
    # A version is two days in the first ring, and five in the second: day by day, seven days behind.
    assert got[:7] == [None] * 7
    assert got[7:] == ["1.0", "2.0", "3.0", "4.0", "5.0"]


def test_what_a_ring_is_given_is_its_own_and_the_rest_is_as_for_the_app(rings: World) -> None:
    for name in ("IT Macs", "All Macs"):
        rings.tenant.add_blueprint(name)
    rings.tenant.set_categories(["Apps", "Utilities"])
    first = {"name": IT, "blueprints": ["IT Macs"], "enforcement_delay": 1, "enforcement_type": "update_only"}
    last = {"name": ALL, "blueprints": "All Macs", "category": "Apps", "recommended": True, "active": False}
    rings.keys |= {"rings": [first, last | {"after_days": 0}], "restart": True}
    rings.publish("1.0")
    rings.publish("1.0")
    it, everybody = rings.tenant.app(IT), rings.tenant.app(ALL)
    assert (it["install_enforcement"], it["restart"], it["active"]) == ("continuously_enforce", True, True)
    assert "DAYS_UNTIL_ENFORCEMENT='1'" in it["audit_script"]
    assert "INSTALL_WHEN_MISSING='false'" in it["audit_script"]
    assert (everybody["install_enforcement"], everybody["show_in_self_service"]) == ("no_enforcement", True)
    assert (everybody["self_service_recommended"], everybody["active"], everybody["restart"]) == (True, False, True)
    blueprints = {each["name"]: [item["id"] for item in each["items"]] for each in rings.tenant.blueprints}
    assert blueprints == {"IT Macs": [it["id"]], "All Macs": [everybody["id"]]}


def test_what_is_urgent_goes_to_all_rings_at_once(rings: World) -> None:
    result = rings.publish("1.0", urgent="CVE-2026-1234")
    assert versions(rings) == ["1.0"] * 3
    assert [item.name for item in result.outcomes] == [IT, EARLY, ALL]
    assert rings.publish("1.0").changed is False


def test_a_release_that_is_rolled_back_in_the_middle_ring_moves_neither_on_nor_in_again(rings: World) -> None:
    rings.publish("1.0")
    rings.wait(2)
    rings.publish("1.1")
    rings.wait(2)
    rings.publish("1.1")
    assert versions(rings) == ["1.1", "1.1", None]
    (tmp := rings.folder / "config").mkdir(exist_ok=True)
    (tmp / "config.yaml").write_text("{}\n")
    rings.forgetful = True
    assert promote.rollback(EARLY, rings.host).outcomes[0].action is Action.ROLL_BACK
    for _ in range(8):
        rings.wait(1)
        result = rings.publish("1.1")
        assert rings.enforced(EARLY) == "1.0"
        assert rings.enforced(ALL) in (None, "1.0")
    assert "was rolled back" in result.outcomes[1].reason
    assert rings.enforced(ALL) == "1.0"
    rings.publish("1.2")
    rings.wait(2)
    rings.publish("1.2")
    assert rings.enforced(EARLY) == "1.2"


def test_every_machine_knows_what_a_ring_goes_back_to_also_where_the_last_ring_has_it_already(rings: World) -> None:
    rings.forgetful = True
    for version, days in (("1.0", 2), ("1.0", 5), ("1.1", 2), ("1.1", 1)):
        rings.publish(version)
        rings.wait(days)
    assert versions(rings) == ["1.1", "1.1", "1.0"]
    for ring in (IT, EARLY):
        assert promote.rollback(ring, rings.host).outcomes[0].reason == "from 1.1 back to 1.0"


def test_the_report_of_autopkg_has_a_row_for_each_ring_that_changed(rings: World) -> None:
    rings.publish("1.0")
    rings.wait(2)
    found = report.summaries(rings.publish("1.1"))
    assert sorted(each["data"]["custom_app"] for each in found.values()) == [EARLY, IT]
    assert all(name.endswith("_summary_result") for name in found)


# A rollout whose rings change


def test_a_ring_that_is_inserted_takes_from_the_one_before_it(rings: World) -> None:
    rings.publish("1.0")
    rings.wait(2)
    rings.publish("1.0")
    pilots = {"name": "Firefox (Pilots)", "after_days": 1}
    rings.keys["rings"] = [*RINGS[:2], pilots, RINGS[2]]
    rings.wait(5)
    assert actions(rings.publish("1.0"))["Firefox (Pilots)"] is Action.PROMOTE
    assert versions(rings, EARLY, "Firefox (Pilots)", ALL) == ["1.0", "1.0", None]
    rings.wait(5)
    rings.publish("1.0")
    assert rings.enforced(ALL) == "1.0"


def test_a_ring_that_is_removed_is_left_as_it_is_and_the_next_one_takes_from_the_one_before(rings: World) -> None:
    rings.publish("1.0")
    rings.wait(2)
    rings.publish("1.0")
    before = rings.tenant.app(EARLY)
    rings.keys["rings"] = [RINGS[0], RINGS[2]]
    rings.wait(3)
    assert actions(rings.publish("1.0")) == {IT: Action.UNCHANGED, ALL: Action.PROMOTE}
    rings.publish("1.0")
    assert rings.tenant.app(EARLY) == before
    told = [each for each in rings.warnings if "no ring any more" in each]
    left = f"{EARLY!r} is no ring any more; left in Kandji as it is, with its Blueprints."
    assert told == [f"{left} Delete it there if nobody needs it"]


def test_a_ring_that_is_renamed_is_another_app_that_takes_from_the_ring_before(rings: World) -> None:
    rings.publish("1.0")
    rings.wait(2)
    rings.publish("1.0")
    rings.keys["rings"] = [RINGS[0], RINGS[1] | {"name": "Firefox (Pilots)"}, RINGS[2]]
    assert actions(rings.publish("1.0"))["Firefox (Pilots)"] is Action.PROMOTE
    assert versions(rings, EARLY, "Firefox (Pilots)", ALL) == ["1.0", "1.0", None]


def test_two_machines_with_other_rings_lose_nothing_and_move_nothing_backwards(rings: World, tmp_path: Path) -> None:
    other = World(rings.tenant, tmp_path / "other", keys={"rings": [RINGS[0], RINGS[2]]}, names={})
    seen: list[list[str]] = []
    for day in range(1, 10):
        (rings if day % 2 else other).publish(f"{day}.0")
        seen.append([version or "" for version in versions(rings)])
        rings.wait(1)
    for each in zip(*seen, strict=True):
        assert list(each) == sorted(each)
    assert seen[-1][-1] >= "3.0"


# Settings

WRONG = {
    "no rings": ([], "must be a list of rings, such as [{name: "),
    "no list": ({"name": "A"}, "must be a list of rings"),
    "a text that is no JSON": ("Firefox", "must be a list of rings"),
    "no name": ([{"after_days": 1}], "ring 1 has no name; write the name of its Custom App"),
    "one name twice": ([{"name": "A"}, {"name": " A", "after_days": 1}], "'A' is the name of 2 rings"),
    "a first ring that takes": ([{"name": "A", "after_days": 1}], "ring 1 ('A') holds after_days, and there is no"),
    "a wrong key": ([{"name": "A", "blueprint": "X"}], "'blueprint' is not a known key of a ring; did you mean bluep"),
    "a wrong value": ([{"name": "A"}, {"name": "B", "min_pass": 0}], "ring 2 ('B'): min_pass is 0: must be a whole"),
    "blind rules": (
        [{"name": "A"}, {"name": "B", "min_pass": 1, "require_status": False}],
        "ring 2 ('B'): require_status is false: min_pass cannot hold where nobody knows the Macs' status",
    ),
}


@pytest.mark.parametrize(("given", "said"), WRONG.values(), ids=WRONG)
def test_rings_that_cannot_be_are_refused_by_name_before_a_request(rings: World, given: object, said: str) -> None:
    rings.keys["rings"] = given
    with pytest.raises(SettingsError) as caught:
        rings.publish("1.0")
    assert f"custom_app.rings: {said}" in str(caught.value) or said in str(caught.value)
    assert rings.tenant.requests == []


@pytest.mark.parametrize(
    ("beside", "named"),
    [
        ({"prod_name": "Firefox"}, "custom_app.prod_name"),
        ({"test_name": "Firefox"}, "custom_app.test_name"),
        ({"promotion": {"after_days": 1}}, "custom_app.promotion.after_days"),
        ({"prod_restart": True}, "custom_app.prod_restart"),
        ({"test_blueprints": "Labs"}, "custom_app.test_blueprints"),
    ],
)
def test_what_is_about_a_test_and_a_prod_app_does_not_go_with_rings(rings: World, beside: object, named: str) -> None:
    rings.keys |= beside
    with pytest.raises(SettingsError) as caught:
        rings.publish("1.0")
    assert str(caught.value) == (
        f"python: {named}: does not go with custom_app.rings (python); say it of the ring that is meant, "
        "or drop one of them"
    )


def test_an_app_that_is_made_anew_does_not_go_with_rings(rings: World) -> None:
    with pytest.raises(SettingsError, match="create_new is true: makes another app with each run"):
        rings.publish("1.0", create_new=True)


def test_all_rings_of_an_app_are_told_in_one_value_of_the_settings(rings: World) -> None:
    from kandji_uploader import settings

    given = {"custom_app": {"rings": RINGS}}
    found = settings.load(given, given_origin="x", caller="python", environ=rings.environ).settle()
    assert [str(ring) for ring in found.rings] == [IT, EARLY, ALL]
    assert [ring.stage.delay_days for ring in found.rings] == [0, 0, 5]
    assert [(hop.test.name, hop.prod.name, hop.promotion.after_days) for hop in found.hops] == [
        (IT, EARLY, 2),
        (EARLY, ALL, 5),
    ]
    assert found.app_names == (IT, EARLY, ALL)


# Maps and commands


def mapped(world: World, entry: str, rings: object = RINGS) -> None:
    """The rings are in a map, and not in the recipe."""
    folder = world.folder / "config"
    folder.mkdir()
    (folder / "config.yaml").write_text(f"use_{entry}: true\n")
    name = "Firefox.pkg" if entry == "recipe_map" else "org.mozilla.firefox"
    (folder / f"{entry}.yaml").write_text(yaml.safe_dump({name: {"rings": rings}}))
    world.keys.clear()


def test_promote_takes_the_rings_of_the_recipe_map_and_moves_each_of_them_by_its_rules(rings: World) -> None:
    rings.publish("1.0")
    mapped(rings, "recipe_map")
    for days, told in ((1, ["held", "held"]), (1, ["promote", "held"]), (5, ["unchanged", "promote"])):
        rings.wait(days)
        (result,) = promote.promote(promote.pairs(rings.host), rings.host)
        assert actions(result) == dict(zip((IT, EARLY, ALL), map(Action, ("unchanged", *told)), strict=True))
    assert versions(rings) == ["1.0"] * 3
    rings.run(firefox(rings.folder, "1.1"), custom_app={"rings": RINGS})
    urgent = promote.asked_for(["Firefox (IT)"], rings.host, {"urgent": "CVE-2026-1234"})
    promote.promote(urgent, rings.host)
    assert versions(rings) == ["1.1"] * 3


def test_status_tells_every_ring_of_an_entry_with_the_candidates_that_wait_in_it(rings: World) -> None:
    for version in ("1.0", "1.1", "1.2"):
        rings.publish(version)
        rings.wait(2)
    rings.publish("1.2")
    mapped(rings, "package_map")
    rings.wait(3)
    rings.run(firefox(rings.folder, "1.3"), custom_app={"rings": RINGS})
    apps = status.statuses(["org.mozilla.firefox"], rings.host)
    assert [(app.name, app.stage and app.stage.value, app.version) for app in apps] == [
        (IT, "test", "1.3"),
        (EARLY, "test", "1.2"),
        (ALL, "prod", "1.1"),
    ]
    waiting = [[(each.version, each.held) for each in app.candidates] for app in apps]
    assert waiting[0] == [("1.3", f"has been in {IT!r} for 0.0 of 2 days")]
    assert waiting[1:] == [[("1.2", f"has been in {EARLY!r} for 3.0 of 5 days")], []]


def test_the_json_of_promote_tells_of_each_ring_what_may_move_into_it_and_what_that_waits_for(rings: World) -> None:
    rings.keys["rings"] = [RINGS[0], RINGS[1] | {"min_pass": 3, "max_error_percent": 10}, RINGS[2]]
    rings.publish("1.0")
    rings.wait(1)
    rings.macs(passed=8, errors=0, pending=2, app=IT)
    rings.publish("1.1")
    rings.wait(1)
    mapped(rings, "recipe_map", rings.keys["rings"])
    (result,) = promote.promote(promote.pairs(rings.host), rings.host)
    first, early, everybody = documents.run(result)["custom_apps"]
    assert (first["name"], first["action"], first["version"], first["candidates"]) == (IT, "unchanged", "1.1", [])
    assert (early["name"], early["action"], early["version"]) == (EARLY, "promoted", "1.0")
    assert [(each["version"], each["waits_for"]) for each in early["candidates"]] == [
        ("1.1", f"was healthy in {IT!r} for 0.0 of 2 days"),
        ("1.0", ""),
    ]
    former = early["candidates"][1]
    assert (former["entered"], former["live_until"]) == ("2026-01-05T06:00:00+00:00", "2026-01-06T06:00:00+00:00")
    assert (former["days_healthy"], len(former["digest"])) == (2.0, 32)
    assert former["health"] == {"passed": 8, "errors": 0, "pending": 2, "at": "2026-01-06T06:00:00+00:00"}
    assert everybody["candidates"] == []
    check(["promote", "--json"], json.dumps([documents.run(result)]))


def test_status_shows_each_ring_with_what_is_halted_and_how_macs_came_to_it(rings: World) -> None:
    asks = {"max_error_percent": 10, "min_pass": 1}
    rings.keys["rings"] = [RINGS[0] | {"halt_percent": 20}, RINGS[1] | asks]
    for passed in (1, 5, 9):
        rings.publish("1.0")
        rings.wait(1)
        rings.macs(passed=passed, pending=9 - passed, app=IT)
    rings.publish("1.0")
    rings.wait(1)
    rings.macs(passed=2, errors=7, app=IT)
    rings.publish("1.0")
    mapped(rings, "recipe_map", [RINGS[0], RINGS[1]])
    apps = status.statuses((), rings.host, every_pair=True)
    assert [app.name for app in apps] == [IT, EARLY]
    assert [each.passed for each in apps[0].samples] == [1, 5, 9, 2]
    assert apps[0].halted == "1.0: 7 of 9 Macs in ERROR (78 %), limit 20 %"
    page = html.render(apps, rings.now)
    assert "halted: " in page
    assert "11% on 2026-01-06, 22% on 2026-01-09" in page
    lines = cli_status._details(apps[0])
    assert f"  halted: {apps[0].halted}" in lines
    assert any(line.startswith("  adoption    \u2581") and line.endswith("22% on 2026-01-09") for line in lines)
