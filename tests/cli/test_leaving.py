"""Which files are kept where, and how to leave: `where`, `logout`, `uninstall`."""

from __future__ import annotations

import json
import re

import keyring
import keyring.backends.fail
import pytest

from kandji_uploader.cli.failures import Exit
from tests.support.keyrings import FileKeyring, LockedKeyring


@pytest.fixture
def home(house, here, monkeypatch):
    """A house in which somebody has worked, with a keychain."""
    former = keyring.get_keyring()
    keyring.set_keyring(FileKeyring())
    monkeypatch.setenv("TEST_KEYRING_FILE", str(house.folder / "keyring.json"))
    items = {"KANDJI_TOKEN|KandjiUploader": "a-token", "ACME|KandjiUploader": "b-token", "Other|somebody": "theirs"}
    (house.folder / "keyring.json").write_text(json.dumps(items))
    house.config.mkdir()
    (house.config / "config.yaml").write_text("token_keystore: {keychain: true}\n")
    (house.config / "notes.txt").write_text("mine\n")
    entry = "{api_url: acme.api.kandji.io, token_name: ACME}"
    (house.config / "tenants.yaml").write_text(f"tenants: {{acme: {entry}}}\n")
    house.environ |= {"XDG_CACHE_HOME": str(house.folder / "caches"), "XDG_STATE_HOME": ""}
    monkeypatch.setenv("HOME", str(house.folder))
    assert here("-p", house.widget(), "-n", "Widget").returncode == 0
    yield house
    keyring.set_keyring(former)


def items(house):
    return sorted(json.loads((house.folder / "keyring.json").read_text()))


def test_where_tells_what_lies_where_how_large_it_is_and_what_losing_it_costs(home, here):
    ran = here("where", "--json")
    found = {row["what"]: row for row in json.loads(ran.stdout)}
    assert {name for name, row in found.items() if row["size"]} == {"settings", "state", "digests", "log"}
    wanted = [home.config / "config.yaml", home.config / "tenants.yaml"]
    assert found["settings"]["files"] == [*map(str, wanted)]
    assert found["settings"]["size"] == sum(path.stat().st_size for path in wanted)
    assert found["log"]["size"] == (home.state / "kandji-uploader.log").stat().st_size
    assert all(row["cost"] for row in found.values())
    shown = here("where").stdout
    assert re.search(rf"^log +{re.escape(str(home.state))} +[\d.]+ (bytes|kB) +the record", shown, re.MULTILINE), shown
    assert "a-token" not in ran.stdout + shown


def test_logout_takes_our_secrets_out_of_the_keychain_and_names_what_the_environment_holds(home, here):
    ran = here("logout")
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines() == [
        "KANDJI_TOKEN: removed from the keychain",
        "SLACK_TOKEN: was not in the keychain",
        "KANDJI_TOKEN: the environment holds it still; unset it there",
    ]
    assert items(home) == ["ACME|KandjiUploader", "Other|somebody"]
    assert here("logout", "--tenant", "all").stdout == "ACME: removed from the keychain\n"
    assert items(home) == ["Other|somebody"]


def test_logout_with_a_locked_keychain_says_what_to_do(home, here):
    keyring.set_keyring(LockedKeyring())
    ran = here("logout")
    assert ran.returncode == Exit.TOKEN
    assert "keychain" in ran.stderr


def test_logout_where_there_is_no_keychain_has_nothing_to_take_out(home, here):
    keyring.set_keyring(keyring.backends.fail.Keyring())
    ran = here("logout")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.startswith("KANDJI_TOKEN: was not in the keychain\n")


def test_uninstall_asks_and_without_an_answer_removes_nothing(home, here):
    ran = home.run("uninstall")
    assert ran.returncode == 1
    assert "there is no terminal to ask on; give --yes" in ran.stderr
    with home.terminal("uninstall") as terminal:
        terminal.answer("Remove all of this", "n")
        terminal.expect("nothing was removed")
    assert (home.config / "config.yaml").exists()
    assert len(items(home)) == 3


def test_uninstall_removes_what_is_ours_and_nothing_else(home, here):
    kept = len(home.tenant.apps())
    ran = here("uninstall", "--yes")
    assert ran.returncode == 0, ran.stderr
    assert str(home.config / "tenants.yaml") in ran.stdout
    assert not home.state.exists()
    assert [path.name for path in home.config.iterdir()] == ["notes.txt"]
    assert items(home) == ["Other|somebody"]
    assert len(home.tenant.apps()) == kept
    again = {row["what"]: row["size"] for row in json.loads(here("where", "--json").stdout)}
    assert not any(again.values())


def test_uninstall_may_leave_the_settings(home, here):
    keyring.set_keyring(keyring.backends.fail.Keyring())
    ran = here("uninstall", "--yes", "--keep-settings")
    assert ran.returncode == 0, "a machine without a keychain has no secrets in it"
    assert (home.config / "config.yaml").exists()
    assert not home.state.exists()
