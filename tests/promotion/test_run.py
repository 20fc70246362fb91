"""Promotion inside an ordinary run, against the embedded tenant with a moving clock."""

from __future__ import annotations

import json
import os
import re
import signal
import tracemalloc
from dataclasses import replace
from datetime import timedelta

import pytest

from kandji_uploader.audit import script as audit
from kandji_uploader.errors import InterruptedRunError, SettingsError, TargetError
from kandji_uploader.flows import promote
from kandji_uploader.flows import publish as flow
from kandji_uploader.kandji.client import Client
from kandji_uploader.models import Action, InstallType, Outcome
from kandji_uploader.publish import releases
from kandji_uploader.publish.request import Request
from kandji_uploader.report import text as report
from kandji_uploader.state import StateStore
from tests.promotion.conftest import SOAK
from tests.promotion.world import PROD, TEST, World, failing, firefox, passing, stamp


def soaked(world: World, version: str = "1.0") -> None:
    """Test has had a version for five days, and its Macs are fine."""
    world.publish(version)
    world.wait(5)
    world.macs(passed=4)


def in_production(world: World, version: str = "1.0") -> None:
    soaked(world, version)
    world.publish(version)
    assert world.enforced(PROD) == version


def test_with_promotion_a_run_publishes_to_the_test_app_only(world: World) -> None:
    result = world.publish("1.0")
    assert [(item.name, item.action) for item in result.outcomes] == [(TEST, Action.CREATE), (PROD, Action.HELD)]
    assert [app["name"] for app in world.tenant.apps()] == [TEST]
    assert not result.failed


def test_a_healthy_release_is_promoted_after_its_soak_without_an_upload(world: World) -> None:
    soaked(world)
    world.writes()
    result = world.publish("1.0")
    assert world.prod(result).action is Action.PROMOTE
    assert world.writes() == ["POST library/custom-apps"]
    test, prod = world.tenant.app(TEST), world.tenant.app(PROD)
    assert (prod["sha256"], prod["file_key"]) == (test["sha256"], test["file_key"])
    assert world.prod(result).reason == "1.0 has been in test for 5.0 days, 4 of 4 Macs PASS, 0 in ERROR"


def test_a_run_that_is_stopped_while_it_promotes_tells_what_it_had_published_before(world: World) -> None:
    soaked(world)
    stop = {"kind": "call", "do": lambda: os.kill(os.getpid(), signal.SIGINT)}
    world.tenant.faults.add("POST", "library/custom-apps", **stop)
    with pytest.raises(InterruptedRunError) as stopped:
        world.publish("2.0")
    assert world.enforced(TEST) == "2.0"
    text = str(stopped.value)
    assert text.startswith(f"Before the promotion: {TEST}: update. The promotion was interrupted. Done: nothing.")
    assert f"Not done: '{PROD}'" in text


def test_the_promoted_app_gets_an_audit_script_whose_clock_starts_now(world: World) -> None:
    soaked(world)
    world.publish("1.0")
    prod, test = (audit.read(world.tenant.app(name)["audit_script"]) for name in (PROD, TEST))
    assert (prod.version, prod.bundle_id, prod.app_name) == ("1.0", "org.mozilla.firefox", "Firefox.app")
    assert (prod.created_at, prod.days) == (int(world.now.timestamp()), 5)
    assert (test.created_at, test.days) == (int((world.now - timedelta(days=5)).timestamp()), 0)


def test_an_existing_prod_app_is_patched_with_the_files_key_and_script_only(world: World) -> None:
    in_production(world)
    world.publish("1.1")
    world.wait(5)
    world.macs(passed=4)
    world.tenant.reset_requests()
    world.publish("1.1")
    (sent,) = [record for record in world.tenant.requests if record.method != "GET"]
    assert sent.method == "PATCH"
    assert set(sent.fields) == {"file_key", "audit_script"}
    assert sent.fields["file_key"] == world.tenant.app(TEST)["file_key"]


def test_a_daily_run_without_news_writes_nothing_while_health_moves(world: World) -> None:
    world.publish("1.0")
    world.writes()
    for day in range(4):
        world.wait(1)
        world.macs(passed=day, pending=4 - day)
        assert not world.publish("1.0").changed
    assert world.writes() == []


def test_the_macs_are_not_asked_before_the_soak_is_over(world: World) -> None:
    world.publish("1.0")
    world.wait(1)
    world.tenant.reset_requests()
    world.publish("1.0")
    assert not [record for record in world.tenant.requests if record.path.endswith("/status")]


def test_errors_hold_a_release_with_the_figures(world: World) -> None:
    world.publish("1.0")
    world.wait(6)
    world.macs(passed=7, errors=2, pending=3)
    result = world.publish("1.0")
    held = world.prod(result)
    assert (held.action, held.reason) == (Action.HELD, "1.0: 2 of 9 Macs in ERROR (22 %), limit 5 %")
    assert not result.failed
    assert not result.changed
    assert report.lines(result)[-1] == "Firefox: held: 1.0: 2 of 9 Macs in ERROR (22 %), limit 5 %"
    assert report.summaries(result) == {}


def test_what_the_macs_said_of_the_version_before_says_nothing_of_this_one(world: World) -> None:
    """Without an audit log nothing but the time tells that these reports are about the version before."""
    world.keys["promotion"] = {"after_days": 0, "min_pass": 3}
    world.publish("1.0", enforcement_type="install_once")
    world.wait(1)
    world.macs(passed=4, last_audit_log=None)
    assert world.prod(world.publish("1.0")).action is Action.PROMOTE
    world.wait(1)
    held = world.prod(world.publish("1.1"))
    assert (held.action, held.reason) == (Action.HELD, "1.1: no Mac has reported on it yet")


def test_the_summary_row_says_promoted(world: World) -> None:
    soaked(world)
    rows = report.summaries(world.publish("1.0"))
    data = rows["kandji_uploader_summary_result"]["data"]
    assert (data["custom_app"], data["action"], data["version"]) == (PROD, "promoted", "1.0")
    assert all(isinstance(value, str) for value in data.values())


def test_a_dry_run_tells_what_would_be_promoted_and_only_reads(world: World) -> None:
    soaked(world)
    world.writes()
    result = world.publish("1.0", dry_run=True)
    assert world.writes() == []
    assert report.lines(result)[-1].startswith("Firefox: would promote: 1.0 has been in test for 5.0 days, ")
    assert not (world.folder / "state" / "notes.json").exists()


def test_a_candidate_that_was_replaced_in_test_is_promoted_with_its_own_bytes(world: World) -> None:
    world.publish("1.0")
    first = world.tenant.app(TEST)["file_key"]
    world.wait(2)
    world.macs(passed=4)
    world.publish("1.1")
    world.wait(3)
    result = world.publish("1.1")
    assert world.prod(result).action is Action.PROMOTE
    assert world.tenant.app(PROD)["file_key"] == first
    assert world.enforced(PROD) == "1.0"
    assert world.enforced(TEST) == "1.1"


def test_a_release_that_was_replaced_is_promoted_with_what_is_true_of_its_time_in_test(world: World) -> None:
    """It was live for one hour; that is not five days, and its figures are from then."""
    world.publish("1.0")
    world.wait(1 / 24)
    world.macs(passed=5)
    world.publish("1.1")
    world.wait(5)
    world.macs(passed=1, errors=9)
    assert world.prod(world.publish("1.1")).reason == (
        "1.0 was live in test for 1.0 hours, from 2026-01-05 06:00 UTC to 2026-01-05 07:00 UTC; "
        "its Macs when it was replaced: 5 of 5 Macs PASS, 0 in ERROR"
    )


def test_a_candidate_keeps_its_own_identity_in_the_audit_script(world: World) -> None:
    """The app was renamed with the version after it."""
    installer = firefox(world.folder, "1.0")
    world.run(replace(installer, about=replace(installer.about, app_name="Old.app", bundle_id="org.old")))
    world.wait(2)
    world.macs(passed=4)
    world.publish("1.1")
    world.wait(3)
    world.publish("1.1")
    reading = audit.read(world.tenant.app(PROD)["audit_script"])
    assert (reading.version, reading.app_name, reading.bundle_id) == ("1.0", "Old.app", "org.old")


@pytest.mark.parametrize("forgetful", [False, True], ids=["keeps its state", "forgets everything"])
def test_a_sick_candidate_that_was_replaced_is_never_promoted(world: World, forgetful: bool) -> None:
    world.forgetful = forgetful
    world.publish("1.0")
    world.wait(2)
    world.macs(passed=4, errors=4)
    world.publish("1.1")
    world.wait(3.5)
    world.macs(passed=9)
    result = world.publish("1.1")
    assert world.prod(result).reason == (
        "1.1 has been in the test app for 3.5 of 5 days; 1.0: 4 of 8 Macs in ERROR (50 %), limit 5 %"
    )
    world.wait(1.5)
    assert world.prod(world.publish("1.1")).action is Action.PROMOTE
    assert world.enforced(PROD) == "1.1"


def test_the_candidates_are_in_the_test_apps_audit_script(world: World) -> None:
    world.publish("1.0")
    world.wait(1)
    world.macs(passed=4, errors=0, pending=2)
    world.publish("1.1")
    notes = audit.read(world.tenant.app(TEST)["audit_script"]).notes
    (former,) = json.loads(notes["former"])
    assert (former["v"], former["h"][:3]) == ("1.0", [4, 0, 2])
    assert json.loads(notes["current"])["v"] == "1.1"


# Scripts and settings


def scripts(world: World, **texts: str) -> dict[str, str]:
    """Scripts on disk, as the keys that name them."""
    for key, text in texts.items():
        (world.folder / key).write_text(f"#!/bin/zsh\n{text}\n")
    return {key: str(world.folder / key) for key in texts}


def script_of(world: World, name: str) -> str:
    return world.tenant.app(name)["postinstall_script"].strip().rpartition("\n")[2]


@pytest.mark.parametrize(
    ("field", "before", "after", "forgetful"),
    [
        ("postinstall_script", "echo 1", "echo 2", True),
        ("preinstall_script", "echo 1", "echo 2", False),
        ("restart", False, True, True),
        ("minimum_os_version", "13.0", "14.0", False),
        ("blocking_applications", ["Firefox.app"], ["Firefox.app", "Thunderbird.app"], True),
    ],
)
def test_what_changes_beside_the_installer_is_a_new_release_that_soaks_anew_and_is_not_uploaded(
    world: World, field: str, before: object, after: object, forgetful: bool
) -> None:
    world.forgetful = forgetful

    def night(value: object) -> Outcome:
        given = scripts(world, **{field: str(value)}) if field.endswith("script") else {field: value}
        return world.prod(world.publish("1.0", custom_app=given))

    def conditions(name: str) -> object:
        reading = audit.read(world.tenant.app(name)["audit_script"])
        return [world.tenant.app(name)[key] for key in ("preinstall_script", "postinstall_script", "restart")] + [
            reading.minimum_os_version,
            reading.blocking_applications,
        ]

    night(before)
    world.wait(5)
    world.macs(passed=4)
    assert night(before).action is Action.PROMOTE
    in_prod = conditions(PROD)
    world.writes()
    held = night(after)
    assert (held.action, held.reason) == (Action.HELD, "1.0 has been in the test app for 0.0 of 5 days")
    assert world.writes() == [f"PATCH library/custom-apps/{world.tenant.app(TEST)['id']}"]
    world.wait(4)
    world.macs(passed=4)
    assert night(after).action is Action.HELD
    assert (world.writes(), conditions(PROD)) == ([], in_prod)
    world.wait(1)
    world.macs(passed=4)
    assert night(after).action is Action.PROMOTE
    assert world.writes() == [f"PATCH library/custom-apps/{world.tenant.app(PROD)['id']}"]
    assert conditions(PROD) == conditions(TEST) != in_prod
    assert night(after).action is Action.UNCHANGED


def test_a_version_that_has_soaked_moves_on_with_the_script_that_soaked_with_it(world: World) -> None:
    """The night on which its time has come, the recipe comes with another script."""
    old = scripts(world, postinstall_script="echo 1")
    world.publish("1.0", custom_app=old)
    world.wait(5)
    world.macs(passed=4)
    world.publish("1.0", custom_app=old)
    world.publish("1.1", custom_app=old)
    world.wait(5)
    world.macs(passed=4)
    result = world.publish("1.1", custom_app=scripts(world, postinstall_script="echo 2"))
    assert world.prod(result).action is Action.PROMOTE
    assert (world.enforced(PROD), script_of(world, PROD), script_of(world, TEST)) == ("1.1", "echo 1", "echo 2")


def test_a_script_that_nobody_has_any_more_is_not_promoted_in_the_guise_of_another(world: World) -> None:
    """Of the first release the script is neither in the settings nor in an app any more: the one after it soaks."""
    world.publish("1.0", custom_app=scripts(world, postinstall_script="echo 1"))
    world.wait(1)
    world.macs(passed=4)
    new = scripts(world, postinstall_script="echo 2")
    world.publish("1.0", custom_app=new)
    world.wait(4)
    world.macs(passed=4)
    assert world.prod(world.publish("1.0", custom_app=new)).action is Action.HELD
    world.wait(1)
    world.macs(passed=4)
    assert world.prod(world.publish("1.0", custom_app=new)).action is Action.PROMOTE
    assert script_of(world, PROD) == "echo 2"


def test_a_script_of_the_prod_app_alone_soaks_with_the_release_too(world: World) -> None:
    def given(text: str) -> dict[str, str]:
        return scripts(world, prod_postinstall_script=text)

    world.publish("1.0", custom_app=given("echo 1"))
    world.wait(5)
    world.macs(passed=4)
    world.publish("1.0", custom_app=given("echo 1"))
    assert (script_of(world, PROD), script_of(world, TEST)) == ("echo 1", "")
    assert world.prod(world.publish("1.0", custom_app=given("echo 2"))).action is Action.HELD
    assert script_of(world, PROD) == "echo 1"
    world.wait(5)
    world.macs(passed=4)
    assert world.prod(world.publish("1.0", custom_app=given("echo 2"))).action is Action.PROMOTE
    assert script_of(world, PROD) == "echo 2"


def test_the_command_moves_the_scripts_that_a_recipe_gave_and_no_map_names(world: World) -> None:
    world.publish("1.0", custom_app=scripts(world, postinstall_script="echo 1"))
    world.wait(5)
    world.macs(passed=4)
    rules = {f"custom_app.promotion.{key}": value for key, value in SOAK["promotion"].items()}
    (done,) = promote.promote([promote.named_pair(PROD, TEST, world.host, rules)], world.host)
    assert done.outcomes[0].action is Action.PROMOTE
    assert script_of(world, PROD) == "echo 1"


@pytest.mark.parametrize("forgetful", [False, True], ids=["keeps its state", "forgets everything"])
def test_what_an_older_version_noted_is_read_and_neither_soaks_anew_nor_is_written_again(
    world: World, monkeypatch: pytest.MonkeyPatch, forgetful: bool
) -> None:
    world.forgetful = forgetful
    given = scripts(world, postinstall_script="echo 1")
    with monkeypatch.context() as older:
        older.setattr(releases, "digest_of", lambda *_: "")
        world.publish("1.0", custom_app=given)
    assert "d" not in json.loads(audit.read(world.tenant.app(TEST)["audit_script"]).notes["current"])
    world.wait(5)
    world.macs(passed=4)
    world.writes()
    assert world.prod(world.publish("1.0", custom_app=given)).action is Action.PROMOTE
    assert world.writes() == ["POST library/custom-apps"]
    assert script_of(world, PROD) == "echo 1"
    held = world.publish("1.0", custom_app=scripts(world, postinstall_script="echo 2"))
    assert world.prod(held).action is Action.HELD
    assert script_of(world, PROD) == "echo 1"


# Urgent


@pytest.mark.parametrize("forgetful", [False, True], ids=["keeps its state", "forgets everything"])
def test_what_is_urgent_goes_to_test_and_prod_at_once_and_is_not_held_afterwards(told: World, forgetful: bool) -> None:
    told.forgetful = forgetful
    in_production(told)
    told.writes()
    result = told.publish("1.1", urgent="CVE-2026-1234")
    assert [(item.name, item.action) for item in result.outcomes] == [(TEST, Action.UPDATE), (PROD, Action.UPDATE)]
    assert (told.enforced(TEST), told.enforced(PROD)) == ("1.1", "1.1")
    assert len([line for line in told.writes() if line.endswith("custom-apps/upload")]) == 1
    assert all(item.reason.startswith("urgent: CVE-2026-1234; ") for item in result.outcomes)
    assert "urgent, without a soak: CVE-2026-1234" in slack(told)[-1]
    for name in (TEST, PROD):
        assert json.loads(audit.read(told.tenant.app(name)["audit_script"]).notes["current"])["w"] == "CVE-2026-1234"
    told.writes()
    for _ in range(3):
        told.macs(errors=4)
        assert told.prod(told.publish("1.1")).action is Action.UNCHANGED
        told.wait(1)
    assert told.writes() == []
    told.publish("1.2")
    assert (told.enforced(TEST), told.enforced(PROD)) == ("1.2", "1.1")


def test_what_is_urgent_and_in_test_already_is_not_uploaded_again(world: World) -> None:
    in_production(world)
    world.publish("1.1")
    world.macs(errors=4)
    world.writes()
    assert world.prod(world.publish("1.1", urgent="CVE-2026-1234")).action is Action.UPDATE
    assert world.writes() == [f"PATCH library/custom-apps/{world.tenant.app(PROD)['id']}"]
    history = StateStore(world.folder / "state", world.tenant.url).history(world.tenant.app(PROD)["id"])
    assert history[-1].recipe == "Firefox.pkg, urgent: CVE-2026-1234"


def test_the_command_promotes_what_is_urgent_whatever_the_macs_and_the_clock_say(told: World) -> None:
    in_production(told)
    told.publish("1.1")
    told.macs(errors=4)
    told.ahead = 3 * 86_400.0
    keys = {"urgent": "CVE-2026-1234", "custom_app.promotion.after_days": 5, "custom_app.promotion.min_pass": 3}
    (done,) = promote.promote([promote.named_pair(PROD, TEST, told.host, keys)], told.host)
    (outcome,) = done.outcomes
    assert (outcome.action, outcome.reason.split(";")[0]) == (Action.PROMOTE, "urgent: CVE-2026-1234")
    assert told.enforced(PROD) == "1.1"
    assert "urgent, without a soak: CVE-2026-1234" in slack(told)[-1]


def test_what_is_urgent_and_held_is_not_noted_as_a_release_that_the_prod_app_had(world: World) -> None:
    in_production(world)
    world.publish("1.1", urgent="CVE-2026-1234", custom_app={"pin_version": "1.0"})
    in_production(world, "1.2")
    with pytest.raises(TargetError, match=r"version 1\.1 of 'Firefox' is not known here"):
        promote.rollback(PROD, world.host, to="1.1")


def test_what_is_urgent_does_not_go_above_a_pin_nor_bring_back_what_was_rolled_back(world: World) -> None:
    in_production(world)
    pinned = world.publish("1.1", urgent="CVE-2026-1234", custom_app={"pin_version": "1.0"})
    assert [item.action for item in pinned.outcomes] == [Action.PINNED, Action.PINNED]
    world.publish("1.1", urgent="CVE-2026-1234")
    promote.rollback(PROD, world.host)
    assert world.prod(world.publish("1.1", urgent="CVE-2026-1234")).action is Action.HELD


# Where the status cannot be read


def test_a_status_that_cannot_be_read_holds_where_it_is_required(world: World) -> None:
    soaked(world)
    world.tenant.permissions.revoke("Get Library Item Statuses")
    result = world.publish("1.0")
    assert (world.prod(result).action, world.prod(result).reason) == (
        Action.HELD,
        "1.0: the status of its Macs is not known",
    )
    assert "the status of the Macs could not be read" in world.warnings[-1]


@pytest.mark.parametrize("refused", [True, False], ids=["403", "500"])
@pytest.mark.parametrize("rule", [{"max_error_percent": 5}, {"min_pass": 1}, {"require_status": True}], ids=str)
def test_any_rule_about_macs_holds_where_their_status_cannot_be_read(
    world: World, rule: dict[str, float], refused: bool
) -> None:
    world.keys["promotion"] = {"after_days": 5, **rule}
    soaked(world)
    if refused:
        world.tenant.permissions.revoke("Get Library Item Statuses")
    else:
        world.tenant.faults.add("GET", "library/library-items/*/status", kind="status", code=500, nth="every")
    held = world.prod(world.publish("1.0", **{"network.tries": 1}))
    assert (held.action, held.reason) == (Action.HELD, "1.0: the status of its Macs is not known")


def test_a_nightly_run_that_starts_early_promotes_when_the_soak_is_all_but_over(world: World) -> None:
    world.publish("1.0")
    world.wait(5 - 40 / 86_400)
    world.macs(passed=4)
    assert world.prod(world.publish("1.0")).action is Action.PROMOTE


def test_with_no_rule_about_macs_nobody_asks_them(world: World) -> None:
    world.keys["promotion"] = {"after_days": 5}
    soaked(world)
    world.tenant.reset_requests()
    assert world.prod(world.publish("1.0")).action is Action.PROMOTE
    assert not [record for record in world.tenant.requests if record.path.endswith("/status")]


@pytest.mark.no_cover  # two tracers at once
def test_ten_thousand_macs_are_read_page_by_page_in_little_memory(world: World) -> None:
    world.publish("1.0")
    world.wait(5)
    log = "\u2022 Checking for 'Firefox.app' install...\n" * 20
    rows = [passing("1.0", world.now, log=log)] * 9_800 + [failing(world.now, log=log)] * 200
    world.tenant.set_statuses(world.tenant.app(TEST)["id"], rows)
    world.tenant.reset_requests()
    tracemalloc.start()
    result = world.publish("1.0")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert world.prod(result).reason == "1.0 has been in test for 5.0 days, 9800 of 10000 Macs PASS, 200 in ERROR"
    pages = [record for record in world.tenant.requests if record.path.endswith("/status")]
    assert len(pages) == 34
    # One page is about 0.5 MB as text; all 34 together would be 15 MB, and as objects more.
    assert peak < 12_000_000


# Clocks


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (3 * 86_400.0, "this machine's clock is 3.0 days ahead of Kandji's"),
        (-8 * 86_400.0, "this machine's clock is 8.0 days behind Kandji's"),
        (-2 * 3600.0, "this machine's clock is 2.0 hours behind Kandji's"),
        (16 * 60.0, "this machine's clock is 16 minutes ahead of Kandji's"),
    ],
)
def test_a_machine_whose_clock_is_wrong_is_told_and_does_not_promote(world: World, seconds: float, told: str) -> None:
    soaked(world)
    world.ahead = seconds
    held = world.prod(world.publish("1.0"))
    assert (held.action, held.reason) == (Action.HELD, f"{told}; nothing is promoted until it is right")
    assert any(text.startswith(told) for text in world.warnings)
    assert world.enforced(PROD) is None


def test_a_runner_that_is_days_ahead_does_not_promote_early_and_one_that_is_minutes_ahead_is_no_matter(
    world: World,
) -> None:
    world.publish("1.0")
    world.wait(2)
    world.macs(passed=4)
    world.ahead = 3 * 86_400.0
    assert world.prod(world.publish("1.0")).action is Action.HELD
    world.ahead = 600.0
    assert world.prod(world.publish("1.0")).reason == "1.0 has been in the test app for 2.0 of 5 days"
    world.wait(3)
    assert world.prod(world.publish("1.0")).action is Action.PROMOTE


def test_what_a_machine_with_a_wrong_clock_publishes_soaks_by_the_services_time(world: World) -> None:
    """What it notes is read by the other machines, and the deadline is counted on the Macs."""
    world.ahead = -3 * 86_400.0
    world.publish("1.0")
    world.ahead = 0.0
    created = audit.read(world.tenant.app(TEST)["audit_script"]).created_at
    assert created == pytest.approx(world.now.timestamp(), abs=60)
    world.wait(2.05)
    world.macs(passed=4)
    assert world.prod(world.publish("1.0")).reason == "1.0 has been in the test app for 2.0 of 5 days"


def test_a_service_that_tells_no_time_promotes_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    soaked(world)
    monkeypatch.setattr(Client, "clock_skew", None)
    held = world.prod(world.publish("1.0"))
    assert held.action is Action.HELD
    assert held.reason.startswith("Kandji's answers do not tell the time")


def test_reports_from_the_future_are_no_evidence(world: World) -> None:
    world.publish("1.0")
    world.wait(5)
    later = world.now + timedelta(days=400)
    world.tenant.set_statuses(world.tenant.app(TEST)["id"], [passing("1.0", later)] * 9)
    assert world.prod(world.publish("1.0")).reason == "1.0: no Mac has reported on it yet"


def test_reports_from_before_the_service_had_the_file_are_no_evidence_whatever_this_clock_says(world: World) -> None:
    """This machine's clock was two days behind when it published; the service knows better when the file came."""
    world.ahead = -2 * 86_400.0
    world.publish("1.0")
    world.ahead = 0.0
    early = world.now - timedelta(days=1)
    world.wait(5)
    rows = [passing("1.0", early, last_audit_log=None, last_audit_run=stamp(early))] * 9
    world.tenant.set_statuses(world.tenant.app(TEST)["id"], rows)
    assert world.prod(world.publish("1.0")).reason == "1.0: no Mac has reported on it yet"


# What a person does in the console


def test_a_prod_app_with_a_file_of_somebody_elses_is_refused(world: World) -> None:
    in_production(world)
    other = world.tenant.seed("elsewhere", content=b"by hand", file_name="Firefox-1.0.5.pkg")
    world.tenant.edit(world.tenant.app(PROD)["id"], file_key=other["file_key"])
    world.publish("1.1")
    world.wait(5)
    world.macs(passed=4)
    result = world.publish("1.1")
    refused = world.prod(result)
    assert refused.action is Action.REFUSED
    assert "which this tool did not put there" in refused.error
    assert "promote --force" in refused.error
    assert world.tenant.app(PROD)["file_key"] == other["file_key"]
    assert result.failed


def test_a_higher_version_put_into_prod_by_hand_is_left_alone(world: World) -> None:
    in_production(world)
    other = world.tenant.seed("elsewhere", content=b"by hand", file_name="Firefox-7.0.pkg")
    world.tenant.edit(world.tenant.app(PROD)["id"], file_key=other["file_key"])
    world.publish("1.1")
    world.wait(5)
    world.macs(passed=4)
    assert world.prod(world.publish("1.1")).action is Action.UNCHANGED


def enforcing(world: World, name: str, version: str) -> None:
    """Somebody edits what an audit script enforces, by hand in the console."""
    app = world.tenant.app(name)
    edited = re.sub(r"(?m)^(MINIMUM_ENFORCED_VERSION)=.*$", rf"\1='{version}'", app["audit_script"])
    assert audit.read(edited).version == version
    world.tenant.edit(app["id"], audit_script=edited)


@pytest.mark.parametrize(("edited", "forgetful"), [("9.9", True), ("0.5", False)])
def test_a_prod_script_that_disagrees_with_its_file_is_repaired_and_starves_nobody(
    world: World, edited: str, forgetful: bool
) -> None:
    world.forgetful = forgetful
    in_production(world)
    enforcing(world, PROD, edited)
    world.writes()
    result = world.publish("1.0")
    assert world.prod(result).action is Action.UPDATE
    assert world.prod(result).changes == ("audit_script",)
    assert f"its audit script enforced {edited}, and the file that it belongs to is 1.0" in world.warnings[-1]
    assert world.enforced(PROD) == "1.0"
    world.writes()
    assert not world.publish("1.0").changed
    enforcing(world, PROD, edited)
    world.publish("1.1")
    world.wait(5)
    world.macs(passed=4)
    assert world.prod(world.publish("1.1")).action is Action.PROMOTE
    assert world.enforced(PROD) == "1.1"


def test_a_test_script_that_was_edited_upward_does_not_keep_a_new_version_out(world: World) -> None:
    world.forgetful = True
    in_production(world)
    enforcing(world, TEST, "9.9")
    assert world.publish("1.1").outcomes[0].action is Action.UPDATE
    assert world.enforced(TEST) == "1.1"


def test_without_promotion_too_the_file_decides_what_a_version_is(world: World) -> None:
    world.keys.clear()
    world.publish("1.0")
    enforcing(world, PROD, "9.9")
    assert world.prod(world.publish("1.1")).action is Action.UPDATE
    enforcing(world, PROD, "9.9")
    world.forgetful = True
    refused = world.prod(world.publish("1.2"))
    assert refused.action is Action.REFUSED
    assert refused.error == (
        "version 9.9 in Kandji is higher than 1.2 (by its audit script; the file there is Firefox-1.1.pkg). "
        "Set allow_downgrade to publish it all the same"
    )


def test_a_prod_script_far_above_a_file_that_nobody_noted_is_refused_by_name_unless_forced(world: World) -> None:
    world.keys.clear()
    world.publish("1.0", custom_app={"test_name": None})
    enforcing(world, PROD, "9.9")
    world.keys["promotion"] = {"after_days": 0}
    world.forgetful = True
    refused = world.prod(world.publish("1.1"))
    assert refused.action is Action.REFUSED
    assert "the audit script of 'Firefox' enforces 9.9, but its file is called Firefox-1.0_" in refused.error
    (forced,) = promote.promote([promote.named_pair(PROD, TEST, world.host)], world.host, force=True)
    assert forced.outcomes[0].action is Action.PROMOTE
    assert world.enforced(PROD) == "1.1"


def test_a_prod_app_from_before_there_was_promotion_is_taken_over(world: World) -> None:
    world.tenant.seed(PROD, content=b"old", file_name="Firefox-0.9.pkg", install_enforcement="continuously_enforce")
    soaked(world)
    assert world.prod(world.publish("1.0")).action is Action.PROMOTE
    assert world.enforced(PROD) == "1.0"


@pytest.mark.parametrize("forgetful", [False, True], ids=["keeps its state", "forgets everything"])
def test_what_was_in_test_before_there_was_promotion_soaks_since_kandji_has_it(world: World, forgetful: bool) -> None:
    world.forgetful = forgetful
    rules = world.keys.pop("promotion")
    world.publish("1.0", custom_app={"prod_name": None})
    world.keys["promotion"] = rules
    world.wait(4)
    world.macs(passed=4)
    world.writes()
    assert world.prod(world.publish("1.0")).reason == "1.0 has been in the test app for 4.0 of 5 days"
    assert world.writes() == []
    world.wait(1)
    world.publish("1.1")
    assert (world.enforced(TEST), world.enforced(PROD)) == ("1.1", "1.0")


def test_a_file_put_into_test_by_hand_soaks_since_then_with_the_version_of_its_name(world: World) -> None:
    in_production(world)
    world.wait(1)
    other = world.tenant.seed("elsewhere", content=b"by hand", file_name="Firefox-1.1.pkg")
    world.tenant.edit(world.tenant.app(TEST)["id"], file_key=other["file_key"])
    world.wait(4)
    world.publish("1.2")
    world.wait(4)
    world.macs(passed=4)
    held = world.prod(world.publish("1.2"))
    assert held.reason == ("1.2 has been in the test app for 4.0 of 5 days; 1.1: no Mac has reported on it yet")


def test_an_edit_of_prod_between_deciding_and_writing_is_not_run_over(world: World) -> None:
    in_production(world)
    world.publish("1.1")
    world.wait(5)
    world.macs(passed=4)
    prod = world.tenant.app(PROD)
    other = world.tenant.seed("elsewhere", content=b"by hand", file_name="Firefox-1.0.5.pkg")
    host = world.host

    def say(text: str) -> None:
        if text.startswith("Firefox: update"):
            world.tenant.edit(prod["id"], file_key=other["file_key"])

    installer = firefox(world.folder, "1.1")
    keys = {"custom_app": {"prod_name": PROD, "test_name": TEST, **world.keys}}
    request = Request(installer.path, keys=keys)
    result = flow.run(request, replace(host, say=say), installer)
    assert world.prod(result).action is Action.REFUSED
    assert world.tenant.app(PROD)["file_key"] == other["file_key"]


@pytest.mark.parametrize("what", ["halted", "rolled_back"])
def test_what_another_machine_stops_while_this_one_promotes_it_does_not_move(world: World, what: str) -> None:
    """Between the list of this run and its write, which are a quarter of an hour apart in an AutoPkg run."""
    in_production(world)
    world.publish("1.1")
    world.wait(5)
    world.macs(passed=4)

    def say(text: str) -> None:
        if text.startswith(f"{PROD}: update"):
            app = world.tenant.app(TEST)
            ledger = releases.from_notes(audit.read(app["audit_script"]).notes)
            assert ledger.current is not None
            halt = releases.Halt(ledger.current, "9 of 10 Macs in ERROR", world.now.timestamp())
            stopped = {
                "halted": replace(ledger, halted=halt),
                "rolled_back": replace(ledger, rolled_back=ledger.current),
            }
            script = audit.with_notes(app["audit_script"], releases.to_notes(stopped[what]))
            world.tenant.edit(app["id"], audit_script=script)

    installer = firefox(world.folder, "1.1")
    keys = {"custom_app": {"prod_name": PROD, "test_name": TEST, **world.keys}}
    result = flow.run(Request(installer.path, keys=keys), replace(world.host, say=say), installer)
    assert "1.1 was halted or rolled back in 'Firefox (Test)' at this moment. Run again" in world.prod(result).error
    assert world.enforced(PROD) == "1.0"


# The service


def test_a_candidate_whose_file_is_gone_fails_with_what_to_do(world: World) -> None:
    soaked(world)
    world.tenant.remove_upload(world.tenant.app(TEST)["file_key"])
    result = world.publish("1.0")
    assert world.prod(result).action is Action.FAILED
    assert world.prod(result).error.startswith("the file of version 1.0 is no longer in Kandji")
    assert not [record for record in world.tenant.requests if record.path.endswith("upload")][1:]


def test_other_bytes_than_those_that_soaked_are_taken_back(world: World) -> None:
    in_production(world)
    before = world.tenant.app(PROD)
    world.publish("1.1")
    world.wait(5)
    world.macs(passed=4)
    world.tenant.faults.add("PATCH", "library/custom-apps/*", kind="wrong_sha256")
    world.tenant.faults.add("GET", "library/custom-apps/*", kind="wrong_sha256", nth="every")
    result = world.publish("1.1")
    assert world.prod(result).action is Action.FAILED
    assert "the former installer was put back" in world.prod(result).error
    after = world.tenant.app(PROD)
    assert (after["file_key"], after["audit_script"]) == (before["file_key"], before["audit_script"])
    world.tenant.faults.clear()
    assert world.prod(world.publish("1.1")).action is Action.PROMOTE


# Slack


def slack(world: World) -> list[str]:
    return [json.dumps(message) for message in world.tenant.slack_messages()]


@pytest.fixture
def told(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr(
        World, "environ", property(lambda self: {**_environ(self), "SLACK_TOKEN": self.tenant.webhook_url})
    )
    return world


_environ = World.environ.fget


def test_slack_is_told_the_figures_that_allowed_it(told: World) -> None:
    soaked(told)
    told.publish("1.0")
    assert "promoted" in slack(told)[-1]
    assert "4 of 4 Macs PASS, 0 in ERROR" in slack(told)[-1]


def test_slack_is_told_once_why_a_release_is_held_and_not_every_night(told: World) -> None:
    told.publish("1.0")
    assert len(slack(told)) == 1
    for _ in range(5):
        told.wait(1)
        told.macs(passed=4, errors=4)
        told.publish("1.0")
    assert len(slack(told)) == 2
    assert "holds back" in slack(told)[-1]
    assert "4 of 8 Macs in ERROR (50 %), limit 5 %" in slack(told)[-1]
    told.wait(1)
    told.macs(passed=1)
    told.publish("1.0")
    told.publish("1.0")
    assert len(slack(told)) == 3
    assert "1 of 1 Macs PASS, 3 are needed" in slack(told)[-1]


def test_waiting_for_the_soak_is_no_news(told: World) -> None:
    told.publish("1.0")
    told.wait(1)
    told.publish("1.0")
    assert len(slack(told)) == 1


# Pins, deadlines, other enforcement


def test_a_version_above_the_pin_is_pinned_and_the_run_does_not_fail(world: World) -> None:
    world.publish("1.0")
    world.writes()
    result = world.publish("1.1", custom_app={"pin_version": "1.0"})
    assert result.outcomes[0].action is Action.PINNED
    assert result.outcomes[0].reason == "version 1.1 is above pin_version 1.0"
    assert not result.failed
    assert world.writes() == []
    assert world.enforced(TEST) == "1.0"


def test_a_pinned_version_is_not_created_either(world: World) -> None:
    world.keys.pop("promotion")
    result = world.publish("1.1", custom_app={"pin_version": "1.0"})
    assert [item.action for item in result.outcomes] == [Action.PINNED, Action.PINNED]
    assert world.tenant.apps() == []


def test_a_pin_set_later_holds_what_is_in_test(world: World) -> None:
    in_production(world)
    world.publish("1.1")
    world.wait(5)
    world.macs(passed=4)
    result = world.publish("1.1", custom_app={"pin_version": "1.0"})
    assert world.prod(result).action is Action.PINNED


def test_a_pin_without_a_version_to_compare_is_refused(world: World) -> None:
    installer = firefox(world.folder, "1.0", name="Firefox.pkg")
    unknown = replace(installer.about, version=None, version_key=None, package_id=None, app_name=None, bundle_id=None)
    keys = {"enforcement_type": "install_once", "custom_app": {"pin_version": "1.0"}}
    result = world.run(replace(installer, about=unknown), **keys)
    assert result.outcomes[0].action is Action.REFUSED
    assert "the version of 'Firefox.pkg' is not known" in result.outcomes[0].error


def test_a_deadline_stands_in_for_the_delay(world: World) -> None:
    world.keys.pop("promotion")
    result = world.publish("1.0", custom_app={"prod_enforcement_deadline": "2026-01-20T18:00:00+01:00"})
    reading = audit.read(world.tenant.app(PROD)["audit_script"])
    assert (reading.created_at, reading.days) == (1_768_928_400, 0)
    assert not world.prod(result).warnings
    world.writes()
    assert not world.publish("1.0", custom_app={"prod_enforcement_deadline": "2026-01-20T17:00:00Z"}).changed
    assert world.writes() == []


def test_without_its_deadline_the_delay_counts_from_now_and_not_from_the_deadline(world: World) -> None:
    world.keys.pop("promotion")
    world.publish("1.0", custom_app={"prod_enforcement_deadline": "2026-03-20T18:00:00+01:00"})
    world.publish("1.0")
    reading = audit.read(world.tenant.app(PROD)["audit_script"])
    assert (reading.created_at, reading.days) == (int(world.now.timestamp()), 5)
    world.wait(1)
    world.writes()
    world.publish("1.0")
    assert world.writes() == []


def test_a_deadline_that_is_over_is_told_with_a_new_version_only(world: World) -> None:
    world.keys.pop("promotion")
    keys = {"prod_enforcement_deadline": "2025-12-24T18:00:00+01:00"}
    world.publish("1.0", custom_app=keys)
    assert "is over; it is enforced at once" in world.warnings[-1]
    world.warnings.clear()
    world.publish("1.0", custom_app=keys)
    assert not [text for text in world.warnings if "deadline" in text]


def test_update_only_is_rendered_on_new_apps_and_kept_on_existing_ones(world: World) -> None:
    world.keys.pop("promotion")
    world.publish("1.0", enforcement_type="update_only")
    for version in ("1.0", "1.1"):
        result = world.publish(version)
        app = world.tenant.app(PROD)
        assert app["install_enforcement"] == "continuously_enforce"
        assert audit.read(app["audit_script"]).install_when_missing is False
        assert world.prod(result).enforcement == "update_only"


def test_update_only_is_given_to_the_promoted_app_too(world: World) -> None:
    world.publish("1.0", enforcement_type="update_only")
    world.wait(5)
    world.macs(passed=4)
    world.publish("1.0", enforcement_type="update_only")
    assert audit.read(world.tenant.app(PROD)["audit_script"]).install_when_missing is False


def test_a_promoted_app_that_is_created_gets_its_category_and_blueprints(world: World) -> None:
    world.tenant.add_blueprint("Everybody")
    world.tenant.add_blueprint("Testers")
    keys = {"ss_category": "Productivity", "prod_blueprints": ["Everybody"], "test_blueprints": ["Testers"]}
    world.publish("1.0", custom_app=keys)
    world.wait(5)
    world.macs(passed=4)
    result = world.publish("1.0", custom_app=keys)
    assert world.prod(result).action is Action.PROMOTE
    prod = world.tenant.app(PROD)
    assert prod["show_in_self_service"]
    found = {blueprint["name"]: [item["id"] for item in blueprint["items"]] for blueprint in world.tenant.blueprints}
    assert found == {"Everybody": [prod["id"]], "Testers": [world.tenant.app(TEST)["id"]]}


def test_without_leave_to_create_the_prod_app_is_refused(world: World) -> None:
    soaked(world)
    result = world.publish("1.0", **{"zz_defaults.auto_create_app": False})
    assert world.prod(result).action is Action.REFUSED
    assert "auto_create_app is off" in world.prod(result).error


def test_a_prod_app_with_a_namesake_is_a_conflict(world: World) -> None:
    soaked(world)
    for _ in range(2):
        world.tenant.seed(PROD, content=b"x")
    assert world.prod(world.publish("1.0")).action is Action.CONFLICT


def test_a_namesake_of_the_prod_app_that_is_about_to_be_deleted_is_no_conflict(world: World) -> None:
    """Another machine may have made it at the same moment; it deletes that."""
    soaked(world)
    twins = [world.tenant.seed(PROD, content=b"x") for _ in range(2)]
    gone = {"kind": "call", "do": lambda: world.tenant.remove(twins[1]["id"])}
    world.tenant.faults.add("GET", "library/custom-apps", nth=2, **gone)
    assert world.prod(world.publish("1.0")).action is not Action.CONFLICT


# Settings


@pytest.mark.parametrize("missing", ["prod_name", "test_name"])
def test_promotion_without_both_names_is_an_error_before_anything(world: World, missing: str) -> None:
    with pytest.raises(SettingsError, match="moves a version from the test app to the prod app"):
        world.publish("1.0", custom_app={missing: None})
    assert world.tenant.requests == []


def test_promotion_and_create_new_contradict_each_other(world: World) -> None:
    with pytest.raises(SettingsError, match="makes another app with each run"):
        world.publish("1.0", create_new=True)
    assert world.tenant.requests == []


def test_the_type_of_the_installer_goes_along(world: World) -> None:
    installer = firefox(world.folder, "1.0", name="Firefox-1.0.zip")
    zipped = replace(installer, about=replace(installer.about, type=InstallType.ZIP))
    world.run(zipped)
    world.wait(5)
    world.macs(passed=4)
    world.run(zipped)
    assert (world.tenant.app(PROD)["install_type"], world.tenant.app(PROD)["unzip_location"]) == (
        "zip",
        "/Applications",
    )
