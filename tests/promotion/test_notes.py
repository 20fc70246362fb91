"""What is remembered of an app can change without anything else of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from kandji_uploader.audit import script as audit
from kandji_uploader.errors import TargetError
from kandji_uploader.publish import releases
from kandji_uploader.publish.context import RunContext, locked
from kandji_uploader.publish.history import note
from kandji_uploader.publish.releases import Ledger
from kandji_uploader.settings import load
from tests.promotion.world import PROD, TEST, World


@contextmanager
def here(world: World) -> Iterator[RunContext]:
    host = world.host
    settings = load({}, given_origin="test", caller="python", environ=host.environ).settle()
    with locked(settings, (TEST,), host) as context:
        yield context


def noted(world: World, name: str, change: Callable[[Ledger], Ledger]) -> None:
    with here(world) as context:
        (app,) = [app for app in context.tenant.apps() if app.name == name]
        note(app, change, context)


def urgent(ledger: Ledger) -> Ledger:
    assert ledger.current is not None
    return replace(ledger, current=replace(ledger.current, urgent="why"))


@pytest.mark.parametrize("enforcement", ["audit_enforce", "install_once"])
def test_a_note_changes_the_notes_of_the_script_only_and_all_machines_see_it(world: World, enforcement: str) -> None:
    world.publish("1.0", enforcement_type=enforcement)
    before = world.tenant.app(TEST)
    world.wait(2)
    world.writes()
    noted(world, TEST, urgent)
    assert world.writes() == [f"PATCH library/custom-apps/{before['id']}"]
    after, world.forgetful = world.tenant.app(TEST), True
    changed = {key for key in before if before[key] != after[key]} - {"updated_at"}
    assert changed == {"audit_script"}
    notes = audit.read(after["audit_script"]).notes
    assert audit.with_notes(after["audit_script"], audit.read(before["audit_script"]).notes) == before["audit_script"]
    assert releases.from_notes(notes).current.urgent == "why"
    noted(world, TEST, urgent)
    assert world.writes() == [], "what is noted already is not written again"


def test_a_note_takes_no_file_of_somebody_else_for_the_one_that_is_noted(world: World) -> None:
    world.publish("1.0")
    ours = world.tenant.app(TEST)["file_key"]
    other = world.tenant.seed("Other", file_name="Other-9.0.pkg", content=b"another")
    world.tenant.edit(world.tenant.app(TEST)["id"], file_key=other["file_key"], sha256=other["sha256"])
    noted(world, TEST, urgent)
    with here(world) as context:
        state = releases.from_notes(context.store.remembered()[world.tenant.app(TEST)["id"]])
    assert state.current is not None
    assert state.current.file_key in ("", ours)


def test_nothing_is_noted_in_the_script_of_somebody_else_or_of_another_file(world: World) -> None:
    world.publish("1.0", custom_app={"promotion": None})
    world.tenant.edit(world.tenant.app(PROD)["id"], audit_script="#!/bin/zsh\nexit 0\n")
    with pytest.raises(TargetError, match=r"'Firefox': this tool did not write the audit script"):
        noted(world, PROD, lambda ledger: ledger)
    with here(world) as context:
        app = next(app for app in context.tenant.apps() if app.name == TEST)
        with pytest.raises(TargetError, match="somebody else has just put another file there"):
            note(replace(app, file_key="companies/another.pkg"), urgent, context)
