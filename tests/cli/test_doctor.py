"""`kandji-uploader doctor`: one line each, which ends in what to do."""

from __future__ import annotations

import json
import os
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest


@pytest.fixture
def findings(here):
    def ask(**environ):
        # Without AutoPkg, whose version takes longer to ask for than all the rest: it has tests of its own.
        ran = here("doctor", "--json", **{"PATH": "/usr/bin:/bin", **environ})
        rows = json.loads(ran.stdout)
        assert ran.returncode == (1 if any(row["health"] == "problem" for row in rows) else 0)
        return {row["subject"]: (row["health"], row["text"]) for row in rows}

    return ask


def test_all_is_well(house, here):
    ran = here("doctor", PATH=os.environ["PATH"])
    lines = {line[9:27].strip(): line.split()[0] for line in ran.stdout.splitlines()}
    assert ran.returncode == 0
    for subject in ("settings", "keychain", "API URL", "token", "clock", "permissions", "Python", "zsh", "7-Zip"):
        assert lines[subject] == "ok", subject
    assert house.tenant.token not in ran.stdout
    assert [each for each in house.tenant.requests if each.method != "GET" and each.status < 400] == []


def test_nothing_is_set_up(house, findings):
    del house.environ["KANDJI_API_URL"], house.environ["KANDJI_TOKEN"]
    told = findings()
    assert told["settings"][0] == "problem"
    assert "kandji-uploader setup" in told["settings"][1]
    assert told["tenant"] == ("warning", "not looked at, for the settings must be corrected first")


def test_every_problem_of_the_settings_is_a_line(house, here):
    house.config.mkdir()
    (house.config / "config.yaml").write_text("use_package_map: true\nzz_defaults:\n  dry_run: perhaps\n")
    (house.config / "package_map.yaml").write_text("com.example.Widget:\n  prod_nam: Widget\n")
    lines = [line for line in here("doctor").stdout.splitlines() if line.startswith("problem")]
    assert len(lines) == 2
    assert "config.yaml: zz_defaults.dry_run is 'perhaps': must be true or false" in lines[0]
    assert "did you mean prod_name?" in lines[1]


def test_nobody_answers_at_the_address(findings):
    told = findings(KANDJI_API_URL="http://127.0.0.1:9")
    assert told["API URL"][0] == "problem"
    assert "Check the network and kandji.api_url" in told["API URL"][1]
    assert "token" not in told


def test_the_token_is_missing_or_wrong(house, findings):
    assert "was not accepted" in findings(KANDJI_TOKEN="wrong")["token"][1]
    del house.environ["KANDJI_TOKEN"]
    health, text = findings()["token"]
    assert health == "problem"
    assert "Set the environment variable KANDJI_TOKEN" in text


@pytest.mark.parametrize(("name", "health"), [("Upload Custom App", "problem"), ("List Blueprints", "warning")])
def test_a_missing_permission_is_named_and_grave_where_publishing_needs_it(house, findings, name, health):
    house.tenant.permissions.revoke(name)
    told = findings()["permissions"]
    assert told[0] == health
    assert f"missing: {name} (" in told[1]
    assert "Settings > Access" in told[1]


@pytest.mark.parametrize("hours", [-2, 2])
def test_a_clock_that_is_off(house, findings, hours):
    house.tenant.clock.set(datetime.now(timezone.utc) + timedelta(hours=hours))
    health, text = findings()["clock"]
    assert health == "problem"
    assert ("behind" if hours > 0 else "ahead of") in text


@pytest.fixture
def keychain(house, monkeypatch):
    """The keychain is on, and this is no root, who does not ask it."""
    import keyring

    before = keyring.get_keyring()
    house.config.mkdir()
    (house.config / "config.yaml").write_text("token_keystore:\n  keychain: true\n  environment: false\n")
    monkeypatch.setattr("os.geteuid", lambda: 501)
    monkeypatch.setattr("sys.platform", "darwin")

    def choose(backend, **items):
        path = house.folder / "items.json"
        path.write_text(json.dumps({f"{name}|KandjiUploader": value for name, value in items.items()}))
        monkeypatch.setenv("TEST_KEYRING_FILE", str(path))
        keyring.set_keyring(keyring.core.load_keyring(backend))

    yield choose
    keyring.set_keyring(before)


@pytest.mark.parametrize(
    ("backend", "keychain_told", "token_health"),
    [
        ("tests.support.keyrings.FileKeyring", ("ok", "FileKeyring"), "ok"),
        ("tests.support.keyrings.LockedKeyring", ("problem", "locked; unlock it"), "problem"),
        ("tests.support.keyrings.PlaintextKeyring", ("problem", "plain text"), "problem"),
        ("keyring.backends.fail.Keyring", ("problem", "no keychain"), "problem"),
    ],
)
def test_the_keychain_and_the_token_in_it_are_told_alike(
    house, findings, keychain, backend, keychain_told, token_health
):
    token = house.environ.pop("KANDJI_TOKEN")
    keychain(backend, KANDJI_TOKEN=token)
    told = findings()
    health, said = keychain_told
    assert told["keychain"][0] == health
    assert said in told["keychain"][1]
    assert told["token"][0] == token_health
    if health == "problem":
        assert said in told["token"][1]


def test_a_keychain_that_is_of_no_use_is_no_problem_where_the_token_is_in_the_environment(findings, keychain):
    keychain("keyring.backends.fail.Keyring")
    told = findings(ENV_KEYSTORE="1")
    assert told["token"][0] == "ok"
    health, text = told["keychain"]
    assert health == "warning"
    assert "the token is found in the environment (KANDJI_TOKEN)" in text


def test_a_keyring_that_keeps_plain_text_is_a_problem_wherever_the_token_is(findings, keychain):
    keychain("tests.support.keyrings.PlaintextKeyring")
    told = findings(ENV_KEYSTORE="1")
    assert (told["keychain"][0], told["token"][0]) == ("problem", "ok")


def test_as_root_the_keychain_is_not_asked_as_in_a_run(house, findings, keychain, monkeypatch):
    token = house.environ.pop("KANDJI_TOKEN")
    keychain("tests.support.keyrings.FileKeyring", KANDJI_TOKEN=token)
    monkeypatch.setattr("os.geteuid", lambda: 0)
    told = findings()
    assert "not asked as root" in told["keychain"][1]
    health, text = told["token"]
    assert health == "problem"
    assert "as root, the token is taken from the environment only" in text


def test_a_state_folder_that_can_be_written_is_no_problem_whatever_is_above_it(house):
    from tests.support import stranger

    home = house.folder / "locked"
    (home / "config").mkdir(parents=True)
    (home / "state").mkdir()
    places = {"KANDJI_UPLOADER_DIR": home / "config", "KANDJI_UPLOADER_STATE_DIR": home / "state"}
    environ = {**house.environ, **{name: str(place) for name, place in places.items()}, "PATH": "/usr/bin:/bin"}
    home.chmod(0o555)
    try:
        fine = stranger.run("doctor", "--json", **environ).stdout
        (home / "state").chmod(0o555)
        wrong = stranger.run("doctor", "--json", **environ).stdout
        none = stranger.run(
            "doctor", "--json", **{**environ, "KANDJI_UPLOADER_STATE_DIR": str(home / "s" / "t")}
        ).stdout
    finally:
        home.chmod(0o755)
    told = [{row["subject"]: row for row in json.loads(each)}["state"] for each in (fine, wrong, none)]
    assert [row["health"] for row in told] == ["ok", "problem", "problem"]
    assert f"{home / 'state'} cannot be written" in told[1]["text"]
    assert f"{home} cannot be written" in told[2]["text"]


def test_slack_is_looked_for_where_it_is_on(house, findings):
    house.config.mkdir()
    (house.config / "config.yaml").write_text("slack:\n  enabled: true\n")
    assert findings()["Slack"][0] == "problem"
    health, text = findings(SLACK_TOKEN=house.tenant.webhook_url)["Slack"]
    assert health == "ok"
    assert house.tenant.webhook_url not in text


def test_who_hears_of_runs_is_looked_for_and_nobody_is_told(house, findings):
    house.config.mkdir()
    path = house.config / "config.yaml"
    path.write_text("notify: [{url: 'json://h/s3cret'}, {url: HOOK, on: failed}, {url: NONE}, {url: BAD}]\n")
    path.chmod(0o644)
    told = findings(HOOK="json://h/s3cret", BAD="nonsense://s3cret")
    assert told["notify 1 (json)"][1] == f"others on this machine can read its address; run: chmod 600 {path}"
    assert told["HOOK"] == ("ok", "hears of failed; found in the environment (HOOK)")
    assert told["NONE"][1].startswith("NONE was not found")
    assert told["BAD"][1].startswith("it is no address that apprise knows")
    assert "s3cret" not in str(told)
    path.chmod(0o600)
    assert findings(NONE="json://h", BAD="json://h")["notify 1 (json)"] == (
        "ok",
        "hears of all; found in the config file",
    )


def test_programs_that_are_missing(findings, only_python):
    told = findings(PATH=only_python.path)
    assert told["zsh"][0] == "warning"
    assert "install it" in told["zsh"][1]
    assert told["AutoPkg"] == ("ok", "not on PATH; it is needed for recipes only")
    if sys.platform != "darwin":
        assert "install 7-Zip" in told["7-Zip"][1]


@pytest.mark.parametrize(("version", "health"), [("2.9.0", "ok"), ("2.2", "problem"), ("?", "warning")])
def test_autopkgs_version(findings, only_python, version, health):
    only_python("autopkg", f"#!{sys.executable}\nprint('WARNING: x')\nprint('{version}')\n")
    told = findings(PATH=only_python.path)
    assert told["AutoPkg"][0] == health
    assert told["AutoPkg's Python"] == ("ok", f"{sys.executable} has all packages")


def test_packages_that_autopkgs_python_lacks_are_told_with_the_line_to_run(findings, only_python):
    checkout = Path(__file__).parents[2]
    only_python("python-bare", f'#!/bin/sh\nexec {sys.executable} -S "$@"\n')
    only_python("sh")
    only_python("autopkg", f"#!{only_python.path}/python-bare\nprint('2.9.0')\n")
    health, text = findings(PATH=only_python.path)["AutoPkg's Python"]
    assert health == "problem"
    assert f"-m pip install --require-hashes -r {checkout}/requirements/autopkg.txt" in text
