"""Rollback: the former file, the former version, and nothing that brings the one that was given up back."""

from __future__ import annotations

import pytest

from kandji_uploader.audit import script as audit
from kandji_uploader.errors import TargetError
from kandji_uploader.flows import promote
from kandji_uploader.models import Action, Outcome
from tests.promotion.world import PROD, TEST, World


def both_at_once(world: World, *versions: str) -> None:
    """Without promotion: each version goes to test and prod, a day apart."""
    world.keys.pop("promotion", None)
    for version in versions:
        world.publish(version)
        world.wait(1)


def promoted(world: World, *versions: str) -> None:
    """With promotion: each version has soaked and is in production."""
    for version in versions:
        world.publish(version)
        world.wait(5)
        world.macs(passed=4)
        world.publish(version)
        assert world.enforced(PROD) == version


def in_prod(world: World) -> str:
    """The file that the prod app has, as it was called."""
    return world.tenant.app(PROD)["file_key"].rpartition("/")[2].rpartition("_")[0]


def back(world: World, name: str = PROD, to: str | None = None, **keys: object) -> Outcome:
    (outcome,) = promote.rollback(name, world.host, to=to, keys=keys).outcomes
    return outcome


def test_a_rollback_brings_back_the_former_file_and_the_version_enforced(world: World) -> None:
    both_at_once(world, "1.0")
    before = world.tenant.app(PROD)
    both_at_once(world, "1.1")
    world.writes()
    outcome = back(world)
    after = world.tenant.app(PROD)
    assert (outcome.action, outcome.reason, outcome.version) == (Action.ROLL_BACK, "from 1.1 back to 1.0", "1.0")
    assert world.writes() == [f"PATCH library/custom-apps/{after['id']}"]
    assert (after["file_key"], after["sha256"]) == (before["file_key"], before["sha256"])
    reading = audit.read(after["audit_script"])
    assert (reading.version, reading.bundle_id, reading.days) == ("1.0", "org.mozilla.firefox", 5)
    assert reading.created_at == int(world.now.timestamp())
    assert world.enforced(TEST) == "1.1"


@pytest.mark.parametrize("forgetful", [False, True], ids=["keeps its state", "forgets everything"])
def test_what_was_rolled_back_is_not_published_again_until_a_newer_one_comes(world: World, forgetful: bool) -> None:
    both_at_once(world, "1.0", "1.1")
    back(world)
    world.forgetful = forgetful
    world.writes()
    for _ in range(2):
        held = world.prod(world.publish("1.1"))
        assert (held.action, held.reason) == (
            Action.HELD,
            "version 1.1 was rolled back; 1.1 is not published, a newer one will be",
        )
    assert world.prod(world.publish("1.0.9", allow_downgrade=True)).action is Action.HELD
    assert world.enforced(PROD) == "1.0"
    assert world.prod(world.publish("1.2")).action is Action.UPDATE
    assert world.enforced(PROD) == "1.2"
    assert "rolled_back" not in audit.read(world.tenant.app(PROD)["audit_script"]).notes


@pytest.mark.parametrize("forgetful", [False, True], ids=["keeps its state", "forgets everything"])
def test_what_was_rolled_back_is_not_promoted_again_until_a_newer_one_has_soaked(world: World, forgetful: bool) -> None:
    world.forgetful = forgetful
    promoted(world, "1.0", "1.1")
    back(world)
    assert world.enforced(PROD) == "1.0"
    world.wait(5)
    world.macs(passed=4)
    held = world.prod(world.publish("1.1"))
    assert (held.action, held.reason) == (
        Action.HELD,
        "1.1: version 1.1 was rolled back, and nothing newer has come",
    )
    promoted(world, "1.2")


UNENFORCED = [
    {"enforcement_type": "install_once"},
    {"custom_app": {"ss_category": "Productivity", "test_category": "Productivity"}},
]


@pytest.mark.parametrize("keys", UNENFORCED, ids=["install_once", "self_service"])
@pytest.mark.parametrize("promotes", [True, False])
def test_what_was_rolled_back_of_an_app_that_is_not_enforced_does_not_come_back_from_another_runner(
    world: World, keys: dict[str, object], promotes: bool
) -> None:
    """Each run is on a machine that knows nothing; the two runners of a CI service share no folder."""
    world.keys["promotion"] = {"after_days": 0}
    if not promotes:
        world.keys.pop("promotion")
    for version in ("1.0", "1.1"):
        world.publish(version, **keys)
        world.wait(1)
    back(world)
    world.forgetful = True
    world.writes()
    for _ in range(2):
        assert world.prod(world.publish("1.1", **keys)).action is Action.HELD
    assert in_prod(world) == "Firefox-1.0"
    assert world.prod(world.publish("1.2", **keys)).action.writes
    assert in_prod(world) == "Firefox-1.2"


@pytest.mark.parametrize("keys", UNENFORCED, ids=["install_once", "self_service"])
def test_a_machine_that_knows_nothing_rolls_back_what_was_promoted_and_is_not_enforced(
    world: World, keys: dict[str, object]
) -> None:
    world.forgetful = True
    world.keys["promotion"] = {"after_days": 5}
    for version in ("1.0", "1.1"):
        world.publish(version, **keys)
        world.wait(5)
        world.publish(version, **keys)
    assert in_prod(world) == "Firefox-1.1"
    assert back(world).action is Action.ROLL_BACK
    assert in_prod(world) == "Firefox-1.0"


def test_the_memory_of_an_app_that_is_not_enforced_gives_way_when_it_is(world: World) -> None:
    world.keys["promotion"] = {"after_days": 0}
    world.publish("1.0", enforcement_type="install_once")
    prod = world.tenant.app(PROD)
    assert audit.read(prod["audit_script"]).is_memory
    world.tenant.edit(prod["id"], install_enforcement="continuously_enforce")
    world.publish("1.1", enforcement_type="install_once")
    assert world.enforced(PROD) == "1.1"


def test_a_tenant_that_takes_no_memory_is_published_to_all_the_same_and_that_is_told(world: World) -> None:
    world.keys["promotion"] = {"after_days": 0}
    world.publish("1.0", enforcement_type="install_once")
    body = {"audit_script": ["Only for continuously_enforce."]}
    world.tenant.faults.add("PATCH", "library/custom-apps/*", kind="status", code=400, body=body)
    world.writes()
    result = world.publish("1.1", enforcement_type="install_once")
    assert [item.action for item in result.outcomes] == [Action.UPDATE, Action.PROMOTE]
    assert [line.split("/")[-1] for line in world.writes()].count("upload") == 1
    assert f"{TEST}: Kandji did not keep what the app had before" in "\n".join(world.warnings)
    back(world)
    assert world.prod(world.publish("1.1", enforcement_type="install_once")).action is Action.HELD


def test_a_tenant_that_takes_no_memory_gets_a_new_app_all_the_same(world: World) -> None:
    body = {"audit_script": ["Only for continuously_enforce."]}
    world.tenant.faults.add("POST", "library/custom-apps", kind="status", code=400, body=body)
    result = world.publish("1.0", enforcement_type="install_once")
    assert result.outcomes[0].action is Action.CREATE
    assert [line.split("/")[-1] for line in world.writes()].count("upload") == 1
    assert world.tenant.app(TEST)["audit_script"] == ""


def test_an_answer_that_only_has_the_fields_name_in_it_is_no_refusal_of_the_memory(world: World) -> None:
    """A target that failed is not tried again without its notes, whatever its app looked like when it was read."""
    world.publish("1.0", enforcement_type="install_once")
    before = world.tenant.app(TEST)
    path = f"library/custom-apps/{before['id']}"
    world.tenant.faults.add("GET", path, kind="status", code=409, body={"audit_script": before["audit_script"]})
    result = world.publish("1.1", enforcement_type="install_once")
    (failed,) = [outcome for outcome in result.outcomes if outcome.action is Action.FAILED]
    assert (failed.name, "audit_script" in failed.error) == (TEST, True)
    assert world.tenant.app(TEST) == before


def test_a_script_that_somebody_left_in_an_app_that_is_not_enforced_is_kept(world: World) -> None:
    world.keys["promotion"] = {"after_days": 0}
    world.tenant.seed(PROD, install_enforcement="install_once", audit_script="#!/bin/zsh\nexit 1\n", content=b"old")
    world.publish("1.0", enforcement_type="install_once")
    assert world.tenant.app(PROD)["audit_script"] == "#!/bin/zsh\nexit 1\n"
    assert in_prod(world) == "Firefox-1.0"


def test_after_a_rollback_a_daily_run_writes_nothing(world: World) -> None:
    both_at_once(world, "1.0", "1.1")
    back(world)
    world.writes()
    world.wait(1)
    world.publish("1.1")
    assert world.writes() == []


def test_a_machine_that_has_forgotten_everything_can_roll_back_what_was_promoted(world: World) -> None:
    world.forgetful = True
    promoted(world, "1.0", "1.1", "1.2")
    assert back(world).version == "1.1"
    assert back(world).version == "1.0"


def test_a_rollback_to_a_named_version(world: World) -> None:
    both_at_once(world, "1.0", "1.1", "1.2", "1.3")
    assert back(world, to="1.0").version == "1.0"
    assert world.prod(world.publish("1.3")).action is Action.HELD


def test_going_forward_to_what_was_given_up_lifts_the_mark(world: World) -> None:
    both_at_once(world, "1.0", "1.1")
    back(world)
    assert back(world, to="1.1").version == "1.1"
    world.writes()
    assert world.prod(world.publish("1.1")).action is Action.UNCHANGED
    assert world.writes() == []


def test_what_was_there_before_this_tool_can_be_gone_back_to(world: World) -> None:
    world.tenant.seed(PROD, content=b"by another tool", file_name="Firefox-0.9.pkg", install_enforcement="install_once")
    both_at_once(world, "1.0")
    assert back(world).reason == "from 1.0 back to 0.9"


@pytest.mark.parametrize(("by_hand", "promotes"), [("1.0.5", True), ("0.5", False), ("7.0", True)])
def test_from_a_file_put_there_by_hand_the_way_back_is_to_what_was_there_when_it_came(
    world: World, by_hand: str, promotes: bool
) -> None:
    (promoted if promotes else both_at_once)(world, "1.0", "1.1")
    other = world.tenant.seed("elsewhere", content=b"by hand", file_name=f"Firefox-{by_hand}.pkg")
    world.tenant.edit(world.tenant.app(PROD)["id"], file_key=other["file_key"])
    world.wait(1)
    assert back(world, dry_run=True).reason == f"from {by_hand} back to 1.1"
    assert back(world).reason == f"from {by_hand} back to 1.1"
    assert world.enforced(PROD) == "1.1"


def by_hand_on_another_machine(world: World) -> None:
    """What was published with an upload, and then replaced by hand; all that is left is what Kandji holds."""
    for version in ("1.0", "1.1"):
        world.publish(version, urgent="a hole")
        world.wait(1)
    other = world.tenant.seed("elsewhere", content=b"by hand", file_name="Firefox-7.0.pkg")
    world.tenant.edit(world.tenant.app(PROD)["id"], file_key=other["file_key"])
    world.wait(1)
    world.forgetful = True


def test_on_another_machine_the_file_that_was_there_is_found_in_the_test_app(world: World) -> None:
    by_hand_on_another_machine(world)
    assert back(world).reason == "from 7.0 back to 1.1"
    assert world.tenant.app(PROD)["file_key"] == world.tenant.app(TEST)["file_key"]


def test_where_nobody_knows_the_file_that_was_there_no_older_one_is_taken_for_it(world: World) -> None:
    by_hand_on_another_machine(world)
    world.tenant.remove(world.tenant.app(TEST)["id"])
    with pytest.raises(TargetError, match=r"had 1\.1 before somebody else put 7\.0 there.* older version: 1\.0$"):
        back(world)
    assert back(world, to="1.0").reason == "from 7.0 back to 1.0"


def test_from_what_came_over_a_file_put_there_by_hand_the_way_back_is_to_that_file(world: World) -> None:
    both_at_once(world, "1.0", "1.1")
    other = world.tenant.seed("elsewhere", content=b"by hand", file_name="Firefox-1.1.5.pkg")
    world.tenant.edit(world.tenant.app(PROD)["id"], file_key=other["file_key"])
    both_at_once(world, "1.2")
    assert back(world).reason == "from 1.2 back to 1.1.5"
    assert world.tenant.app(PROD)["file_key"] == other["file_key"]


def test_the_way_back_is_to_what_was_there_last_and_not_to_what_came_last(world: World) -> None:
    """1.1 came after 1.0, but was taken back; what 1.2 replaced was 1.0."""
    both_at_once(world, "1.0", "1.1")
    back(world)
    world.wait(1)
    both_at_once(world, "1.2")
    assert back(world).reason == "from 1.2 back to 1.0"


def test_a_rollback_of_the_test_app_keeps_the_release_out_of_production(world: World) -> None:
    promoted(world, "1.0")
    world.publish("1.1")
    world.wait(2)
    world.macs(passed=4)
    back(world, TEST)
    assert world.enforced(TEST) == "1.0"
    world.wait(4)
    world.macs(passed=4)
    result = world.publish("1.1")
    assert result.outcomes[0].action is Action.HELD
    assert world.prod(result).action is Action.HELD
    assert world.enforced(PROD) == "1.0"


def test_what_was_withdrawn_from_test_is_not_promoted_by_time_alone(world: World) -> None:
    """No rule asks the Macs here, so nothing but the rollback holds it."""
    world.keys["promotion"] = {"after_days": 5}
    promoted(world, "1.0")
    world.publish("1.1")
    back(world, TEST)
    world.wait(6)
    held = world.prod(world.publish("1.1"))
    assert (held.action, held.reason) == (Action.HELD, "1.1 was rolled back in the test app")
    assert world.enforced(PROD) == "1.0"


def test_a_dry_rollback_only_reads(world: World) -> None:
    both_at_once(world, "1.0", "1.1")
    world.writes()
    outcome = back(world, dry_run=True)
    assert outcome.reason == "from 1.1 back to 1.0"
    assert world.writes() == []
    assert world.prod(world.publish("1.1")).action is Action.UNCHANGED


def test_a_file_that_is_gone_in_the_service_is_told_and_nothing_changes(world: World) -> None:
    both_at_once(world, "1.0")
    key = world.tenant.app(PROD)["file_key"]
    both_at_once(world, "1.1")
    world.tenant.remove_upload(key)
    before = world.tenant.app(PROD)
    outcome = back(world)
    assert outcome.action is Action.FAILED
    assert outcome.error.startswith("the file of version 1.0 is no longer in Kandji")
    assert world.tenant.app(PROD)["file_key"] == before["file_key"]


def test_with_nothing_known_from_before_a_rollback_says_so(world: World) -> None:
    both_at_once(world, "1.0")
    with pytest.raises(TargetError, match=r"nothing is known that 'Firefox' had before\. It has 1\.0"):
        back(world)
    both_at_once(world, "1.1")
    with pytest.raises(TargetError, match=r"version 0\.5 of 'Firefox' is not known here\. It has 1\.1; .* 1\.0"):
        back(world, to="0.5")


def test_an_unknown_or_ambiguous_app_is_told(world: World) -> None:
    both_at_once(world, "1.0")
    with pytest.raises(TargetError, match="no Custom App is called 'Firefoxx'; did you mean 'Firefox'"):
        back(world, "Firefoxx")
    world.tenant.seed(PROD)
    with pytest.raises(TargetError, match="2 Custom Apps are called 'Firefox'"):
        back(world)


def test_the_history_tells_what_who_and_when(world: World) -> None:
    from kandji_uploader.state import StateStore

    promoted(world, "1.0", "1.1")
    back(world)
    store = StateStore(world.folder / "state", world.tenant.url)
    entries = store.history(world.tenant.app(PROD)["id"])
    assert [(entry.version, entry.recipe) for entry in entries] == [
        ("1.0", "promoted from Firefox (Test)"),
        ("1.1", "promoted from Firefox (Test)"),
        ("1.0", "rollback"),
    ]
    assert entries[0].file_key == entries[2].file_key
    assert all(len(entry.sha256) == 64 and entry.at > 0 for entry in entries)
