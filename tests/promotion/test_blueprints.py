"""Blueprints of a stage: an app is added to those that are named for it, and removed from none."""

from __future__ import annotations

from typing import Any

import pytest

from kandji_uploader.errors import TargetError
from kandji_uploader.models import Action, RunResult
from tests.promotion.world import PROD, TEST, World


@pytest.fixture
def both(world: World) -> World:
    """Without promotion: both apps are published at once."""
    world.keys.clear()
    return world


def publish(world: World, **blueprints: list[str]) -> RunResult:
    return world.publish("1.0", custom_app=dict(blueprints))


def items(world: World) -> dict[str, list[tuple[str, Any]]]:
    """Per Blueprint the names of its apps, each with its node."""
    names = {app["id"]: app["name"] for app in world.tenant.apps()}
    return {
        blueprint["name"]: [(names[item["id"]], item["node"]) for item in blueprint["items"]]
        for blueprint in world.tenant.blueprints
    }


def test_each_stage_has_blueprints_of_its_own(both: World) -> None:
    for name in ("Fleet", "Testers"):
        both.tenant.add_blueprint(name)
    publish(both, prod_blueprints=["Fleet"], test_blueprints=["Testers"])
    assert items(both) == {"Fleet": [(PROD, None)], "Testers": [(TEST, None)]}


def test_unprefixed_ones_hold_for_both_stages_and_ids_will_do(both: World) -> None:
    fleet = both.tenant.add_blueprint("Fleet")
    publish(both, blueprints=[fleet["id"]])
    assert sorted(items(both)["Fleet"]) == [(PROD, None), (TEST, None)]


def test_a_node_of_an_assignment_map_is_named_with_a_colon(both: World) -> None:
    both.tenant.add_blueprint("Map", "map", nodes=["n1", "n2"])
    publish(both, prod_blueprints=["Map:n2"])
    assert items(both) == {"Map": [(PROD, "n2")]}


def test_an_existing_app_is_added_to_the_blueprints_that_are_named_and_removed_from_none(both: World) -> None:
    for name in ("Fleet", "By hand"):
        both.tenant.add_blueprint(name)
    publish(both, blueprints=["By hand"])
    result = both.publish("1.0", custom_app={"blueprints": ["Fleet"]})
    assert [(outcome.action, outcome.changes) for outcome in result.outcomes] == [(Action.UPDATE, ("blueprints",))] * 2
    assert items(both) == {"Fleet": [(TEST, None), (PROD, None)], "By hand": [(TEST, None), (PROD, None)]}
    both.tenant.reset_requests()
    result = both.publish("1.0", custom_app={"blueprints": ["Fleet"]})
    assert [outcome.action for outcome in result.outcomes] == [Action.UNCHANGED] * 2
    assert both.writes() == []


def test_a_dry_run_tells_of_a_blueprint_that_lacks_the_app(both: World) -> None:
    both.tenant.add_blueprint("Fleet")
    publish(both)
    both.tenant.reset_requests()
    result = both.publish("1.0", custom_app={"prod_blueprints": ["Fleet"]}, dry_run=True)
    assert (both.prod(result).action, both.prod(result).changes) == (Action.UPDATE, ("blueprints",))
    assert both.writes() == []


def test_what_a_machine_that_is_gone_did_not_assign_is_assigned_once_the_node_is_named(both: World) -> None:
    both.tenant.add_blueprint("Map", "map", nodes=["n1"])
    failed = both.prod(publish(both, prod_blueprints=["Map"]))
    assert "name the node as `name:node-id`" in failed.error
    both.forgetful = True
    assert not publish(both, prod_blueprints=["Map:n1"]).failed
    assert items(both) == {"Map": [(PROD, "n1")]}


def test_a_node_that_says_it_has_such_an_item_already_has_it(both: World) -> None:
    both.tenant.add_blueprint("Map", "map", nodes=["n1"])
    both.tenant.faults.add(
        "POST",
        "blueprints/*/assign-library-item",
        kind="status",
        code=400,
        body=["Assignment node can only have one of this Library Item type"],
    )
    assert not publish(both, prod_blueprints=["Map:n1"]).failed


def test_a_token_that_may_not_look_at_blueprints_is_told_and_publishes_all_the_same(both: World) -> None:
    both.tenant.add_blueprint("Fleet")
    publish(both)
    both.tenant.permissions.revoke("List Library Items")
    result = both.publish("1.1", custom_app={"prod_blueprints": ["Fleet"]})
    assert not result.failed
    assert any("was not compared" in line and "List Library Items" in line for line in both.warnings)


def test_with_promotion_a_missing_prod_blueprint_is_an_error_before_anything_is_uploaded(world: World) -> None:
    world.tenant.add_blueprint("Fleet")
    with pytest.raises(TargetError, match="there is no Blueprint 'Flet'"):
        publish(world, prod_blueprints=["Flet"])
    assert world.writes() == []


def test_a_prod_app_that_waits_is_added_to_its_blueprints_all_the_same(world: World) -> None:
    fleet = world.tenant.add_blueprint("Fleet")
    world.tenant.seed(PROD, file_name="Firefox-0.9.pkg")
    publish(world, prod_blueprints=["Fleet"])
    assert [name for name, _ in items(world)[fleet["name"]]] == [PROD]


def test_being_assigned_already_is_fine(both: World) -> None:
    """The answer to the first assignment is lost, so it is sent again."""
    both.tenant.add_blueprint("Fleet")
    both.tenant.faults.add("POST", "blueprints/*/assign-library-item", kind="effect_then_reset")
    result = publish(both, prod_blueprints=["Fleet"])
    assert not result.failed
    assert items(both) == {"Fleet": [(PROD, None)]}


def test_a_missing_blueprint_is_an_error_before_anything_is_uploaded(both: World) -> None:
    both.tenant.add_blueprint("Fleet")
    with pytest.raises(TargetError, match=r"there is no Blueprint 'Flet'\. The tenant has: Fleet"):
        publish(both, prod_blueprints=["Flet"])
    assert both.writes() == []


@pytest.mark.parametrize(
    ("kind", "nodes", "wanted", "advice"),
    [
        ("map", ["n1"], "Place", "name the node as `name:node-id`"),
        ("map", ["n1"], "Place:n9", "Assignment Node does not exist"),
        ("classic", [], "Place:n1", "it is a Classic Blueprint, which has no nodes; drop the `:node-id`"),
    ],
)
def test_what_a_blueprint_does_not_take_is_explained(
    both: World, kind: str, nodes: list[str], wanted: str, advice: str
) -> None:
    both.tenant.add_blueprint("Place", kind, nodes=nodes)
    result = publish(both, prod_blueprints=[wanted])
    failed = both.prod(result)
    assert failed.action is Action.FAILED
    assert advice in failed.error
    assert failed.error.startswith("'Firefox' is in Kandji, but ")
    assert result.outcomes[0].action is Action.CREATE
