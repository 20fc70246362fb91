"""promote, rollback and status as commands, in a process of their own."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone

import pytest

from kandji_uploader.cli.failures import Exit
from kandji_uploader.errors import SettingsError, TargetError
from kandji_uploader.flows import promote
from kandji_uploader.flows.promote import Rules
from kandji_uploader.models import Action, Promotion
from tests.promotion.world import PROD, TEST, World, failing, passing

RECIPE_MAP = """
Firefox.pkg:
  prod_name: Firefox
  test_name: Firefox (Test)
  promotion: {after_days: 5, min_pass: 3, max_error_percent: 5}
Slack.pkg:
  prod_name: Slack
"""


@pytest.fixture
def past(world: World) -> Iterator[World]:
    """Six real days ago: what is published now has soaked when a command looks at its own clock."""
    world.tenant.clock.set(datetime.now(timezone.utc) - timedelta(days=6))
    return world


def maps(world: World, text: str = RECIPE_MAP) -> None:
    folder = world.folder / "config"
    folder.mkdir(exist_ok=True)
    (folder / "config.yaml").write_text("use_recipe_map: true\nli_enforcement: {delays: {prod: 5, test: 0}}\n")
    (folder / "recipe_map.yaml").write_text(text)


def healthy(world: World, errors: int = 0) -> None:
    now = datetime.now(timezone.utc) - timedelta(minutes=1)
    rows = [passing(world.enforced(TEST) or "", now)] * 7 + [failing(now)] * errors
    world.tenant.clock.run()
    world.tenant.set_statuses(world.tenant.app(TEST)["id"], rows)


def command(world: World, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "kandji_uploader", *words],
        env={**world.environ, "HOME": str(world.folder), "PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_promote_moves_the_pairs_of_the_maps(past: World) -> None:
    maps(past)
    past.publish("1.0")
    healthy(past)
    dry = command(past, "promote", "--all", "-y")
    assert dry.returncode == 0, dry.stderr
    assert "would promote" in dry.stdout
    assert not [app for app in past.tenant.apps() if app["name"] == PROD]
    done = command(past, "promote", "Firefox")
    assert done.returncode == 0, done.stderr
    assert "promoted" in done.stdout
    assert "7 of 7 Macs PASS, 0 in ERROR" in done.stdout
    assert past.enforced(PROD) == "1.0"
    again = command(past, "promote", "Firefox.pkg", "--json")
    (result,) = json.loads(again.stdout)
    assert result["custom_apps"][0]["action"] == "unchanged"


def test_what_is_held_is_no_failure_and_says_why(past: World) -> None:
    maps(past)
    past.publish("1.0")
    healthy(past, errors=2)
    done = command(past, "promote", "--all")
    assert done.returncode == 0
    assert "1.0: 2 of 9 Macs in ERROR (22 %), limit 5 %" in done.stdout


def test_rules_of_one_call_stand_in_for_those_of_the_map(past: World) -> None:
    maps(past)
    past.publish("1.0")
    healthy(past, errors=2)
    assert "6.0 of 9 days" in command(past, "promote", "--all", "--after-days", "9").stdout
    done = command(past, "promote", "--all", "--max-error-percent", "30")
    assert "promoted" in done.stdout


def test_now_does_not_wait(world: World) -> None:
    maps(world)
    world.tenant.clock.set(datetime.now(timezone.utc) - timedelta(hours=3))
    world.publish("1.0")
    healthy(world)
    assert "0.1 of 5 days" in command(world, "promote", "--all", "-y").stdout
    assert "promoted" in command(world, "promote", "--all", "--now").stdout


def test_a_pair_can_be_named_without_a_map(past: World) -> None:
    past.publish("1.0")
    healthy(past)
    done = command(past, "promote", "--test", TEST, "--prod", PROD)
    assert done.returncode == 0, done.stderr
    assert past.enforced(PROD) == "1.0"


def test_a_prod_app_edited_by_hand_is_refused_unless_forced(past: World) -> None:
    maps(past)
    past.publish("1.0")
    healthy(past)
    command(past, "promote", "--all")
    other = past.tenant.seed("elsewhere", content=b"by hand", file_name="Firefox-0.9.pkg")
    past.tenant.edit(past.tenant.app(PROD)["id"], file_key=other["file_key"], audit_script="")
    past.tenant.clock.set(datetime.now(timezone.utc) - timedelta(days=6))
    past.publish("1.1")
    healthy(past)
    refused = command(past, "promote", "--all")
    assert refused.returncode == Exit.REFUSED
    assert "which this tool did not put there" in refused.stderr
    forced = command(past, "promote", "--all", "--force")
    assert forced.returncode == 0, forced.stderr
    assert past.enforced(PROD) == "1.1"


@pytest.mark.parametrize(
    "words",
    [[], ["Firefox", "--all"], ["--test", "a"], ["--all", "--prod", "a", "--test", "b"], ["--min-pass", "0", "x"]],
)
def test_words_that_do_not_go_together_are_usage_errors(world: World, words: list[str]) -> None:
    done = command(world, "promote", *words)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_a_name_that_no_map_knows_is_told_with_those_that_are(world: World) -> None:
    maps(world)
    done = command(world, "promote", "Firefix")
    assert done.returncode == Exit.SETTINGS
    assert "did you mean 'Firefox'?" in done.stderr
    text = "no entry of recipe_map or package_map holds `promotion`"
    with pytest.raises(TargetError, match=f"^Firefix, Nope: {text}"):
        promote.chosen((), ("Firefix", "Nope"))
    with pytest.raises(TargetError, match=f"^{text}"):
        promote.chosen((), ())


def test_a_missing_test_app_fails(world: World) -> None:
    maps(world)
    done = command(world, "promote", "Firefox")
    assert done.returncode == Exit.SETTINGS
    assert "there is no test app to promote from" in done.stderr


def test_a_map_entry_with_promotion_but_one_name_is_an_error(world: World) -> None:
    maps(world, "Firefox.pkg: {prod_name: Firefox, promotion: {after_days: 5}}\n")
    with pytest.raises(SettingsError, match="moves a version from the test app to the prod app"):
        promote.pairs(world.host)


def test_the_pairs_of_both_maps_are_found_quickly_and_each_once(world: World) -> None:
    entry = "{prod_name: App %d, test_name: App %d (Test), promotion: {after_days: 5}}"
    maps(world, "".join(f"App{number}.pkg: {entry % (number, number)}\n" for number in range(300)))
    (world.folder / "config" / "config.yaml").write_text("use_recipe_map: true\nuse_package_map: true\n")
    (world.folder / "config" / "package_map.yaml").write_text(
        f"com.example.app1: {entry % (1, 1)}\ncom.example.other: {entry % (999, 999)}\n"
    )
    start = time.process_time()
    found = promote.pairs(world.host)
    assert time.process_time() - start < 8
    assert len(found) == 301
    assert found[-1].names == ("com.example.other", "com.example.other", "App 999", "App 999 (Test)")


def test_one_pair_that_fails_does_not_keep_the_others(past: World) -> None:
    maps(past, "Gone.pkg: {prod_name: Gone, test_name: Gone (Test), promotion: {after_days: 1}}\n" + RECIPE_MAP)
    past.publish("1.0")
    healthy(past)
    results = promote.promote(promote.pairs(past.host), past.host)
    assert [result.outcomes[0].action for result in results] == [Action.FAILED, Action.PROMOTE]


@pytest.mark.parametrize("rules", [Rules(min_pass=3), Rules(max_error_percent=5)])
def test_a_rule_of_one_call_about_the_macs_asks_for_their_status(rules: Rules) -> None:
    assert not Promotion(after_days=5).asks_macs
    assert rules.over(Promotion(after_days=5)).asks_macs
    assert Rules(after_days=0).over(Promotion(5, 3, 2)) == Promotion(0, 3, 2)


# rollback


def test_rollback_as_a_command(past: World) -> None:
    past.keys.clear()
    past.publish("1.0")
    past.publish("1.1")
    done = command(past, "rollback", PROD, "-y")
    assert "would roll back" in done.stdout
    assert past.enforced(PROD) == "1.1"
    done = command(past, "rollback", PROD)
    assert done.returncode == 0, done.stderr
    assert "rolled back" in done.stdout
    assert "from 1.1 back to 1.0" in done.stdout
    assert past.enforced(PROD) == "1.0"
    assert command(past, "rollback", "Nothing").returncode == Exit.SETTINGS


# status


def test_status_shows_both_stages_with_versions_and_reasons(past: World) -> None:
    maps(past)
    past.publish("1.0")
    healthy(past, errors=2)
    command(past, "promote", "Firefox", "--max-error-percent", "50")
    done = command(past, "status", "Firefox.pkg")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["Custom", "App", "Stage", "Version", "Macs", "ERROR", "PASS", "Last", "report"]
    assert lines[2].split() == ["Firefox", "(Test)", "test", "1.0", "9", "2", "7", "0", "hours", "ago"]
    assert lines[3].split() == ["Firefox", "prod", "1.0", "0", "0", "0", "never"]
    assert "         7 1.0" in lines
    assert "         2 failed" in lines


def test_status_tells_each_candidate_and_what_holds_it(past: World) -> None:
    maps(past)
    past.publish("1.0")
    healthy(past, errors=2)
    past.publish("1.1")
    page = past.folder / "fleet.html"
    done = command(past, "status", TEST, "--json", "--html", str(page))
    assert done.returncode == 0, done.stderr
    (test,) = json.loads(done.stdout)
    assert [(each["version"], each["held"]) for each in test["candidates"]] == [
        ("1.1", "has been in the test app for 0.0 of 5 days"),
        ("1.0", "2 of 9 Macs in ERROR (22 %), limit 5 %"),
    ]
    assert "2 of 9 Macs in ERROR (22 %), limit 5 %" in page.read_text("utf-8")
    told = command(past, "status", TEST).stdout
    assert "  candidates for production\n    1.1: has been in the test app for 0.0 of 5 days\n" in told


def test_status_as_json_and_as_a_page(past: World) -> None:
    past.publish("1.0")
    healthy(past, errors=2)
    page = past.folder / "fleet.html"
    done = command(past, "status", TEST, "--json", "--html", str(page))
    assert done.returncode == 0, done.stderr
    (app,) = json.loads(done.stdout)
    assert (app["name"], app["version"], app["figures"]["statuses"]) == (TEST, "1.0", {"PASS": 7, "ERROR": 2})
    assert page.read_text("utf-8").startswith("<!DOCTYPE html>")
    assert command(past, "status", TEST, "--html", str(page / "below.html")).returncode == Exit.SETTINGS


def test_status_of_an_unknown_app_is_told(past: World) -> None:
    past.publish("1.0")
    done = command(past, "status", "Firefox (test)")
    assert done.returncode == Exit.SETTINGS
    assert "did you mean 'Firefox (Test)'?" in done.stderr


def test_a_token_that_may_not_read_the_status_is_told(past: World) -> None:
    past.publish("1.0")
    past.tenant.permissions.revoke("Get Library Item Statuses")
    done = command(past, "status", TEST)
    assert done.returncode == Exit.TOKEN
    assert "permission" in done.stderr
