"""Blueprints of a stage: a created app is assigned, an existing one is left where it is."""

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


def test_an_existing_app_is_not_assigned_and_nothing_is_removed(both: World) -> None:
    for name in ("Fleet", "By hand"):
        both.tenant.add_blueprint(name)
    publish(both, blueprints=["By hand"])
    both.tenant.reset_requests()
    both.publish("1.1", custom_app={"blueprints": ["Fleet"]})
    assert items(both) == {"Fleet": [], "By hand": [(TEST, None), (PROD, None)]}
    assert not [record for record in both.tenant.requests if "library-item" in record.path]


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
