"""What a ring is given, and what does not go with rings."""

from __future__ import annotations

import pytest

RINGS = "custom_app.rings"


def test_what_a_ring_says_is_its_own_and_the_rest_is_as_for_the_test_app_and_last_for_the_prod_app(house):
    first = {"name": "IT", "active": False, "enforcement_type": "install_once"}
    rings = [
        first,
        {"name": "Early", "recommended": True, "max_error_percent": 4},
        {"name": "All", "max_error_percent": 60, "halt_percent": 7},
    ]
    found = house.settle({RINGS: rings, "custom_app.active": True}).rings
    assert [dict(ring.stage.fields) for ring in found] == [
        {"active": False},
        {"active": True, "self_service_recommended": True},
        {"active": True},
    ]
    assert [ring.stage.enforcement_type and ring.stage.enforcement_type.value for ring in found] == [
        "install_once",
        None,
        None,
    ]
    assert [(ring.rules.halt_percent, ring.rules.on_unhealthy) for ring in found] == [
        (None, "restart"),
        (8, "restart"),
        (7, "restart"),
    ]
    half = [{"name": "IT"}, {"name": "All", "max_error_percent": 51}]
    assert house.settle({RINGS: half}).rings[1].rules.halt_percent == 100


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"custom_app.prod_active": True}, ["prod_active"]),
        ({"custom_app.test_active": True}, ["test_active"]),
        ({"custom_app.prod_active": True, "custom_app.test_active": False}, ["prod_active", "test_active"]),
        ({"custom_app.prod_name": "A", "custom_app.test_name": "B"}, ["prod_name", "test_name"]),
        ({"custom_app.ss_category": "Apps", "custom_app.test_category": "Apps"}, ["ss_category", "test_category"]),
        ({"custom_app.active": True}, []),
        ({"custom_app.prod_active": True, "custom_app.test_active": True}, []),
    ],
)
def test_what_is_said_of_one_stage_does_not_go_with_rings_and_what_is_said_of_both_does(house, given, told):
    asked = {RINGS: [{"name": "IT"}, {"name": "All"}], **given}
    if not told:
        assert [ring.stage.fields["active"] for ring in house.settle(asked).rings] == [True, True]
        return
    problems = house.problems(asked)
    assert all("does not go with custom_app.rings" in problem for problem in problems)
    assert sorted(name for name in given for problem in problems if name in problem) == [
        f"custom_app.{it}" for it in told
    ]


@pytest.mark.parametrize(("count", "test_app", "soak"), [(1, None, None), (2, "1", 2), (3, "1", 3)])
def test_the_first_of_several_rings_is_the_test_app_and_the_last_one_the_prod_app(house, count, test_app, soak):
    rings = [{"name": str(ring), **({"after_days": ring} if ring > 1 else {})} for ring in range(1, count + 1)]
    settings = house.settle({RINGS: rings})
    assert (settings.prod.name, settings.test.name) == (str(count), test_app)
    assert (settings.promotion and settings.promotion.after_days) == soak


def test_rules_of_promotion_beside_rings_are_told_once_and_not_as_rules_without_two_apps(house):
    told = house.problem({RINGS: [{"name": "IT"}, {"name": "All"}], "custom_app.promotion": {"after_days": 2}})
    assert "does not go with custom_app.rings" in told


def test_what_does_not_go_with_rings_is_told_with_where_both_stand(house):
    rings = [{"name": "IT"}, {"name": "All"}]
    assert house.problem({RINGS: rings, "custom_app.prod_active": True}) == (
        "the caller: custom_app.prod_active: does not go with custom_app.rings (the caller); "
        "say it of the ring that is meant, or drop one of them"
    )
    assert house.problem({RINGS: rings, "create_new": True}) == (
        "the caller: create_new is true: makes another app with each run, and a version moves from ring to ring; "
        "drop one of them"
    )
    assert house.settle({RINGS: rings, "create_new": False}).create_new is False
