"""A release waits until somebody approves of it; the approval is in the tenant, and stands for that release alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from kandji_uploader import api
from kandji_uploader.audit import script as audit
from kandji_uploader.errors import TargetError
from kandji_uploader.flows import publish as flow
from kandji_uploader.flows.approve import Approval, approve
from kandji_uploader.models import Action, Outcome
from kandji_uploader.publish import releases
from kandji_uploader.publish.releases import Health, Ledger, Release
from kandji_uploader.publish.request import Request
from tests.promotion.test_commands import command, maps
from tests.promotion.world import PROD, TEST, World, firefox

RULES = {"promotion": {"after_days": 5, "approve": True}}
MAP = """
Firefox.pkg:
  prod_name: Firefox
  test_name: Firefox (Test)
  promotion: {after_days: 5, approve: true}
Slack.pkg:
  prod_name: Slack
  test_name: Slack (Test)
  promotion: {after_days: 5}
"""


@pytest.fixture
def asking(world: World) -> World:
    """A world in which production waits for 5 days, and for somebody."""
    maps(world, MAP)
    world.keys = dict(RULES)
    return world


def night(world: World, version: str, days: float = 6) -> Outcome:
    world.publish(version)
    world.wait(days)
    return world.prod(world.publish(version))


def yes(world: World, **asked: Any) -> Approval:
    return approve(["Firefox"], world.host, **asked)


def test_a_release_waits_for_approval_and_moves_with_the_next_run_also_of_a_machine_that_forgets(asking: World) -> None:
    held = night(asking, "1.0")
    assert (held.action, held.reason) == (Action.HELD, "1.0 waits for approval (kandji-uploader approve)")
    asking.writes()
    before = audit.read(asking.tenant.app(TEST)["audit_script"])
    done = yes(asking)
    assert (done.name, done.source, done.version, done.news) == (PROD, TEST, "1.0", True)
    assert len(done.digest) == 32
    after = audit.read(asking.tenant.app(TEST)["audit_script"])
    assert (before.created_at, before.days, before.version) == (after.created_at, after.days, after.version)
    assert asking.writes() == [f"PATCH library/custom-apps/{asking.tenant.app(TEST)['id']}"]
    assert not yes(asking).news
    assert asking.writes() == []
    asking.forgetful = True
    assert asking.prod(asking.publish("1.0")).action is Action.PROMOTE


def test_an_approval_stands_for_one_release_also_when_a_newer_one_has_replaced_it(asking: World) -> None:
    asking.publish("1.0")
    asking.wait(1)
    yes(asking)
    asking.publish("2.0")
    asking.wait(5)
    assert asking.prod(asking.publish("2.0")).action is Action.PROMOTE
    assert asking.enforced(PROD) == "1.0"
    asking.wait(1)
    assert asking.prod(asking.publish("2.0")).reason == "2.0 waits for approval (kandji-uploader approve)"


@pytest.mark.parametrize("what", ["approved", "halted"])
def test_what_another_machine_notes_of_a_release_while_a_newer_one_takes_its_place_is_kept(
    asking: World, what: str
) -> None:
    """The test app got its notes between the list of this run and its write."""
    asking.publish("1.0")
    asking.wait(5)
    if what == "halted":
        asking.keys["promotion"] = {"after_days": 5}

    def say(text: str) -> None:
        if text.startswith(f"{TEST}: update"):
            app = asking.tenant.app(TEST)
            ledger = releases.from_notes(audit.read(app["audit_script"]).notes)
            assert ledger.current is not None
            now = asking.now.timestamp()
            halt = releases.Halt(ledger.current, "9 of 10 Macs in ERROR", now)
            noted = {
                "approved": replace(ledger, current=replace(ledger.current, approved=now)),
                "halted": replace(ledger, halted=halt),
            }[what]
            asking.tenant.edit(app["id"], audit_script=audit.with_notes(app["audit_script"], releases.to_notes(noted)))

    installer = firefox(asking.folder, "2.0")
    keys = {"custom_app": {"prod_name": PROD, "test_name": TEST, **asking.keys}}
    found = asking.prod(flow.run(Request(installer.path, keys=keys), replace(asking.host, say=say), installer))
    moved = {"approved": (Action.PROMOTE, "1.0"), "halted": (Action.HELD, None)}
    assert (found.action, asking.enforced(PROD), asking.enforced(TEST)) == (*moved[what], "2.0")


def test_what_is_approved_has_to_soak_all_the_same(asking: World) -> None:
    asking.publish("1.0")
    yes(asking)
    assert "of 5 days" in asking.prod(asking.publish("1.0")).reason


def test_an_approval_does_not_go_on_with_the_release_to_the_next_app(asking: World) -> None:
    night(asking, "1.0")
    yes(asking)
    asking.publish("1.0")
    assert '\\"q\\"' in asking.tenant.app(TEST)["audit_script"]
    assert '\\"q\\"' not in asking.tenant.app(PROD)["audit_script"]


def test_another_script_of_the_same_version_is_another_release_and_waits_again(asking: World) -> None:
    script = asking.folder / "quit.zsh"
    script.write_text("#!/bin/zsh\nexit 0\n")
    night(asking, "1.0")
    yes(asking)
    asking.keys["preinstall_script"] = str(script)
    assert asking.prod(asking.publish("1.0")).version == "1.0"
    night(asking, "1.0")
    (release, *_) = [line for line in asking.said[::-1] if "waits for approval" in line]
    assert "1.0 waits for approval" in release


def test_of_several_releases_one_is_named_and_the_one_that_waits_for_nothing_else_is_meant(asking: World) -> None:
    for version in ("1.0", "2.0"):
        asking.publish(version)
        asking.wait(1)
    with pytest.raises(TargetError, match=r"several releases that may move on; name one with --version: 2.0, 1.0"):
        yes(asking)
    asking.wait(3)
    assert yes(asking, keys={"dry_run": True}).version == "1.0"
    assert yes(asking, version="2.0").version == "2.0"
    assert yes(asking).version == "1.0"
    with pytest.raises(TargetError, match=r"'Firefox \(Test\)' has no version 3.0 that may move on to 'Firefox'"):
        yes(asking, version="3.0")


def test_a_dry_run_notes_nothing(asking: World) -> None:
    night(asking, "1.0")
    asking.writes()
    assert yes(asking, keys={"dry_run": True}).news
    assert asking.writes() == []
    assert night(asking, "1.0", 0).action is Action.HELD


@pytest.mark.parametrize(
    ("names", "asked", "said"),
    [
        (["Slack"], {}, "the rules of 'Slack' ask for no approval; add `approve: true`"),
        (
            ["Firefox"],
            {"ring": "Firefox (IT)"},
            r"no 'Firefox \(IT\)' waits for approval; name one with --ring: 'Firefox'",
        ),
        (["Chrome"], {}, "no entry with `promotion` is called 'Chrome'"),
        (["Firefox"], {}, r"'Firefox \(Test\)' has nothing newer than 'Firefox', so there is nothing to approve"),
    ],
)
def test_what_cannot_be_approved_is_told_and_nothing_is_changed(
    asking: World, names: Any, asked: Any, said: str
) -> None:
    with pytest.raises(TargetError, match=said):
        approve(names, asking.host, **asked)
    assert asking.writes() == []


def test_a_file_that_somebody_else_put_there_cannot_be_approved(asking: World) -> None:
    asking.tenant.seed(TEST, file_name="Firefox-9.0.pkg")
    with pytest.raises(TargetError, match=r"this tool did not put 9\.0 into"):
        yes(asking, version="9.0")


def test_the_command_approves_and_tells_it_and_the_api_does_the_same(asking: World) -> None:
    night(asking, "1.0")
    told = command(asking, "approve", "Firefox", "-y")
    assert told.stdout == "Firefox: 1.0 of Firefox (Test) is approved (dry run: nothing was noted)\n", told.stderr
    assert api.approve("Firefox", host=asking.host).news
    told = command(asking, "approve", "--test", TEST, "--prod", PROD, "--json")
    assert '"news": false' in told.stdout


@pytest.mark.parametrize("first", ["script", "state"])
def test_an_approval_is_kept_whoever_has_noted_it_and_by_a_sample_that_comes_after_it(first: str) -> None:
    plain = Release("1.0", "a" * 64, 10.0, "key", digest="d")
    given = replace(plain, approved=20.0)
    one, other = (given, plain) if first == "script" else (plain, given)
    merged = releases.merge(Ledger(former=(one,)), Ledger(former=(other,)))
    assert [row.approved for row in merged.former] == [20.0]
    sampled = replace(plain, health=Health(3, 0, 0, 30.0))
    after = releases.with_sample(Ledger(given), sampled).current
    assert after is not None
    assert (after.approved, after.health) == (20.0, sampled.health)
    newer = Ledger(replace(given, digest="e"))
    assert releases.with_sample(newer, sampled) == newer


RINGS = """
Firefox.pkg:
  rings:
    - {name: IT}
    - {name: Early, after_days: 1, approve: true}
    - {name: All, after_days: 1, approve: true}
"""


def test_each_ring_waits_for_an_approval_of_its_own(asking: World) -> None:
    maps(asking, RINGS)
    asking.keys, asking.names = (
        {
            "rings": [
                {"name": "IT"},
                {"name": "Early", "after_days": 1, "approve": True},
                {"name": "All", "after_days": 1, "approve": True},
            ]
        },
        {},
    )
    asking.publish("1.0")
    asking.wait(2)
    with pytest.raises(TargetError, match="several wait for approval; name one with --ring: 'Early', 'All'"):
        approve(["Firefox.pkg"], asking.host)
    assert approve(["Firefox.pkg"], asking.host, ring="Early").source == "IT"
    asking.publish("1.0")
    asking.wait(2)
    assert asking.publish("1.0").outcomes[-1].reason == "1.0 waits for approval (kandji-uploader approve)"
    assert asking.enforced("Early") == "1.0"
    done = approve(["All"], asking.host)
    assert (done.source, done.name) == ("Early", "All")
    asking.publish("1.0")
    assert asking.enforced("All") == "1.0"
