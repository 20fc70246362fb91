"""Secrets: where they are looked for, what is said when they are not there, and that nobody sees them."""

from __future__ import annotations

import copy
import json
import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import keyring
import pytest
from keyring.core import init_backend

from kandji_uploader._util.secret import Secret
from kandji_uploader.errors import CredentialError
from kandji_uploader.models import Settings
from kandji_uploader.settings import credentials

TOKEN = "0f8fad5b-d9cb-469f-a165-70867728950e"  # made up
OTHER = "7c9e6679-7425-40de-944b-e07fc1f90ae7"  # made up
HOOK = "https://hooks.slack.com/services/T0/B0/xyzzy"
SETTINGS = Settings("https://acme.api.kandji.io")
KEYCHAIN = replace(SETTINGS, keystore_environment=False, keystore_keychain=True)
BOTH = replace(SETTINGS, keystore_keychain=True)
NONE = replace(SETTINGS, keystore_environment=False)


@pytest.fixture
def keychain(tmp_path, monkeypatch):
    """Choose a backend as keyring itself does, from PYTHON_KEYRING_BACKEND; returns the items' file."""
    before = keyring.get_keyring()

    def choose(backend="tests.support.keyrings.FileKeyring"):
        monkeypatch.setenv("TEST_KEYRING_FILE", str(tmp_path / "items.json"))
        monkeypatch.setenv("PYTHON_KEYRING_BACKEND", backend)
        init_backend()
        return tmp_path / "items.json"

    yield choose
    keyring.set_keyring(before)


def put(items, **accounts):
    items.write_text(json.dumps({f"KANDJI_TOKEN|{account}": value for account, value in accounts.items()}))


def failure(settled, environ=None, platform="darwin"):
    with pytest.raises(CredentialError) as caught:
        credentials.api_token(settled, environ or {}, platform)
    assert TOKEN not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("platform", ["darwin", "linux"])
def test_token_from_the_environment_by_exact_name_then_upper_case(platform):
    settled = replace(SETTINGS, token_name="my_token")
    environ = {"my_token": TOKEN, "MY_TOKEN": OTHER}
    found = credentials.api_token(settled, environ, platform)
    assert (found.reveal(), found.origin) == (TOKEN, "environment (my_token)")
    found = credentials.api_token(settled, {"MY_TOKEN": OTHER}, platform)
    assert (found.reveal(), found.origin) == (OTHER, "environment (MY_TOKEN)")


def test_token_under_irupkg_s_name_and_the_other_way_round():
    assert credentials.api_token(SETTINGS, {"IRUPKG_TOKEN": TOKEN}).origin == "environment (IRUPKG_TOKEN)"
    assert credentials.api_token(SETTINGS, {"IRUPKG_TOKEN": TOKEN, "KANDJI_TOKEN": OTHER}).reveal() == OTHER
    settled = replace(SETTINGS, token_name="IRUPKG_TOKEN")
    assert credentials.api_token(settled, {"KANDJI_TOKEN": TOKEN}).reveal() == TOKEN
    assert "ANOTHER was not found" in failure(replace(SETTINGS, token_name="ANOTHER"), {"KANDJI_TOKEN": TOKEN})


def test_blanks_around_a_token_are_taken_off_and_blank_is_none():
    assert credentials.api_token(SETTINGS, {"KANDJI_TOKEN": f" {TOKEN}\n"}).reveal() == TOKEN
    assert "was not found" in failure(SETTINGS, {"KANDJI_TOKEN": " \n"})


def test_environment_is_not_read_on_a_mac_where_it_is_off(keychain):
    keychain()
    assert "the keychain does not have it" in failure(KEYCHAIN, {"KANDJI_TOKEN": TOKEN}, "darwin")


def test_environment_is_the_last_resort_elsewhere(keychain):
    items = keychain()
    assert credentials.api_token(KEYCHAIN, {"KANDJI_TOKEN": TOKEN}, "linux").reveal() == TOKEN
    assert credentials.api_token(NONE, {"KANDJI_TOKEN": TOKEN}, "linux").reveal() == TOKEN
    put(items, KandjiUploader=OTHER)
    assert credentials.api_token(KEYCHAIN, {"KANDJI_TOKEN": TOKEN}, "linux").reveal() == OTHER


@pytest.mark.parametrize("backend", ["LockedKeyring", "BrokenKeyring"])
def test_environment_stands_in_for_a_keychain_that_fails_elsewhere(keychain, backend):
    keychain(f"tests.support.keyrings.{backend}")
    assert credentials.api_token(KEYCHAIN, {"KANDJI_TOKEN": TOKEN}, "linux").reveal() == TOKEN


@pytest.mark.parametrize("platform", ["darwin", "linux"])
def test_env_keystore_puts_the_environment_first(keychain, platform):
    put(keychain(), KandjiUploader=OTHER)
    settled = replace(KEYCHAIN, environment_first=True)
    assert credentials.api_token(settled, {"KANDJI_TOKEN": TOKEN}, platform).reveal() == TOKEN
    assert credentials.api_token(settled, {}, platform).reveal() == OTHER


def test_environment_comes_before_the_keychain_where_both_are_on(keychain):
    put(keychain(), KandjiUploader=OTHER)
    assert credentials.api_token(BOTH, {"KANDJI_TOKEN": TOKEN}).reveal() == TOKEN
    assert credentials.api_token(BOTH, {}).reveal() == OTHER


def test_keychain_is_asked_for_our_account_then_those_of_the_former_tools(keychain):
    items = keychain()
    accounts = ("irupkg", "kpkg", "KAPPA", "KandjiUploader")
    settled: dict[str, str] = {}
    for account in accounts:
        settled[account] = f"token-of-{account}"
        put(items, **settled)
        found = credentials.api_token(KEYCHAIN, {}, "darwin")
        assert (found.reveal(), found.origin) == (settled[account], f"keychain (account {account})")


def test_nothing_is_looked_up_on_a_mac_with_both_keystores_off():
    text = failure(NONE, {"KANDJI_TOKEN": TOKEN}, "darwin")
    assert "are both off" in text
    assert "ENV_KEYSTORE=1" in text


def test_token_that_is_nowhere_says_where_it_was_looked_for_and_what_to_do(keychain):
    keychain()
    text = failure(BOTH)
    assert text.startswith(
        "KANDJI_TOKEN was not found: the environment does not have it; the keychain does not have it. "
    )
    assert "Set the environment variable KANDJI_TOKEN" in text
    assert "kandji-uploader setup" in text


def test_locked_keychain_says_to_unlock_it(keychain):
    keychain("tests.support.keyrings.LockedKeyring")
    text = failure(KEYCHAIN)
    assert "the keychain is locked; unlock it (on a Mac with `security unlock-keychain`)" in text
    assert "do not repeat me" not in text


@pytest.mark.parametrize("backend", ["keyring.backends.fail.Keyring", "no.such.Backend"])
def test_machine_without_a_keychain_is_told(keychain, backend, monkeypatch):
    if backend.startswith("no."):
        keychain()
        command = "from kandji_uploader import models; from kandji_uploader.settings import credentials\n"
        command += "settings = models.Settings('x', keystore_environment=False, keystore_keychain=True)\n"
        command += "credentials.api_token(settings, {}, 'darwin')"
        monkeypatch.setenv("PYTHON_KEYRING_BACKEND", backend)
        ran = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=False, timeout=60)
        assert "the keychain cannot be read (ModuleNotFoundError)" in ran.stderr
        return
    keychain(backend)
    assert "no keychain that keyring can use; turn token_keystore.keychain off" in failure(KEYCHAIN)


def test_null_backend_just_has_nothing(keychain):
    keychain("keyring.backends.null.Keyring")
    assert "the keychain does not have it" in failure(KEYCHAIN)


def test_missing_keyring_package_says_how_to_install_it():
    library = Path(credentials.__file__).parents[2]
    code = f"import sys; sys.path.insert(0, {str(library)!r})\n"
    code += "from kandji_uploader import models; from kandji_uploader.settings import credentials\n"
    code += "settings = models.Settings('x', keystore_environment=False, keystore_keychain=True)\n"
    code += "credentials.api_token(settings, {}, 'darwin')"
    ran = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert "sudo -H /usr/local/autopkg/python -m pip install keyring" in ran.stderr


@pytest.mark.parametrize(
    ("token", "said"),
    [
        (f"{TOKEN[:18]} {TOKEN[18:]}", "holds a blank"),
        (f"{TOKEN[:18]}\n{TOKEN[18:]}", "holds a blank, a line break"),
        (f"Bearer {TOKEN}", "without `Bearer`"),
        (f"{TOKEN}\u20ac", "a character that no token has"),
        (f"{TOKEN}\u00e9", "a character that no token has"),
        (f"{TOKEN}\x07", "a character that no token has"),
        (f'"{TOKEN}"', "has quotes around it"),
        (f"'{TOKEN}", "has quotes around it"),
        (f"{TOKEN}'", "has quotes around it"),
    ],
)
def test_token_that_no_header_can_carry_is_refused_and_not_shown(token, said):
    text = failure(SETTINGS, {"KANDJI_TOKEN": token})
    assert text.startswith("the API token KANDJI_TOKEN in the environment (KANDJI_TOKEN) ")
    assert said in text
    assert TOKEN[:18] not in text
    assert TOKEN[19:] not in text


def test_webhook_is_none_where_slack_is_off():
    assert credentials.slack_webhook(SETTINGS, {"SLACK_TOKEN": HOOK}) is None


def test_webhook_is_found_like_the_token(keychain):
    items = keychain()
    items.write_text(json.dumps({"MY_HOOK|KAPPA": HOOK}))
    settled = replace(BOTH, slack_enabled=True, webhook_name="MY_HOOK")
    assert credentials.slack_webhook(settled, {"MY_HOOK": HOOK + "z"}).reveal() == HOOK + "z"
    assert credentials.slack_webhook(settled, {}).reveal() == HOOK


@pytest.mark.parametrize("hook", ["xoxb-secret-word", "ftp://secret-word/x", "https://", "https://[secret-word"])
def test_webhook_that_is_no_url_is_refused_and_not_shown(hook):
    settled = replace(SETTINGS, slack_enabled=True)
    with pytest.raises(CredentialError, match=r"is not a URL \(not shown\)") as caught:
        credentials.slack_webhook(settled, {"SLACK_TOKEN": hook})
    assert "secret-word" not in str(caught.value)
    with pytest.raises(CredentialError, match="SLACK_TOKEN was not found"):
        credentials.slack_webhook(settled, {})


def test_stored_secret_is_found_and_can_be_deleted(keychain):
    keychain()
    credentials.store("KANDJI_TOKEN", Secret(TOKEN))
    credentials.store("KANDJI_TOKEN", Secret(OTHER))
    assert credentials.api_token(KEYCHAIN, {}, "darwin").reveal() == OTHER
    assert credentials.delete("KANDJI_TOKEN")
    assert not credentials.delete("KANDJI_TOKEN")
    failure(KEYCHAIN)


def test_delete_leaves_the_former_tool_s_item(keychain):
    put(keychain(), kpkg=TOKEN)
    assert not credentials.delete("KANDJI_TOKEN")
    assert credentials.api_token(KEYCHAIN, {}, "darwin").reveal() == TOKEN


@pytest.mark.parametrize("backend", ["LockedKeyring", "BrokenKeyring"])
def test_secret_that_cannot_be_stored_is_not_repeated(keychain, backend):
    keychain(f"tests.support.keyrings.{backend}")
    for act in (lambda: credentials.store("KANDJI_TOKEN", Secret(TOKEN)), lambda: credentials.delete("KANDJI_TOKEN")):
        with pytest.raises(CredentialError, match="unlock it") as caught:
            act()
        assert TOKEN not in str(caught.value)
        assert caught.value.__cause__ is None
        assert caught.value.__suppress_context__


def test_secret_shows_itself_to_nobody():
    secret = Secret(TOKEN, "somewhere")
    for text in (repr(secret), str(secret), f"{secret}", f"{secret!r:>40}", f"{[secret]}", f"{(secret,)!a}"):
        assert TOKEN not in text
        assert "not shown" in text
    assert not hasattr(secret, "__dict__")


@pytest.mark.parametrize("way", [pickle.dumps, copy.copy, copy.deepcopy, json.dumps])
def test_secret_cannot_be_copied_pickled_or_written(way):
    with pytest.raises(TypeError) as caught:
        way(Secret(TOKEN))
    assert TOKEN not in str(caught.value)


def test_secrets_are_compared_by_value():
    assert Secret(TOKEN, "here") == Secret(TOKEN, "there")
    assert Secret(TOKEN) != Secret(OTHER)
    assert Secret(TOKEN) != TOKEN
    assert len({Secret(TOKEN), Secret(TOKEN)}) == 1


# A keyring that keeps plain text


def test_a_keyring_that_keeps_plain_text_is_refused_with_the_fix_unless_it_is_accepted(keychain):
    items = keychain("tests.support.keyrings.PlaintextKeyring")
    put(items, KandjiUploader=TOKEN)
    text = failure(KEYCHAIN)
    assert "keeps secrets as plain text" in text
    assert "pip uninstall keyrings.alt" in text
    assert "token_keystore.allow_plaintext: true" in text
    for act in (
        lambda: credentials.store("OTHER", Secret(OTHER)),
        lambda: credentials.delete("KANDJI_TOKEN"),
        lambda: credentials.keychain_name(KEYCHAIN),
        lambda: credentials.try_keychain(KEYCHAIN),
    ):
        with pytest.raises(CredentialError, match="plain text"):
            act()
    assert OTHER not in items.read_text()
    accepted = replace(KEYCHAIN, keystore_plaintext=True)
    assert credentials.api_token(accepted, {}, "darwin").reveal() == TOKEN
    credentials.store("OTHER", Secret(OTHER), plaintext=True)
    assert OTHER in items.read_text()


def test_of_a_chain_of_keyrings_the_plain_one_is_passed_over(keychain):
    from keyring.backends.chainer import ChainerBackend

    from tests.support.keyrings import FileKeyring, PlaintextKeyring

    class Chain(ChainerBackend):
        backends = (PlaintextKeyring(), FileKeyring())

    items = keychain()
    keyring.set_keyring(Chain())
    credentials.store("KANDJI_TOKEN", Secret(TOKEN))
    assert credentials.api_token(KEYCHAIN, {}, "darwin").reveal() == TOKEN
    assert credentials.keychain_name(KEYCHAIN) == FileKeyring().name
    Chain.backends = (PlaintextKeyring(),)
    assert "plain text" in failure(KEYCHAIN)
    assert TOKEN in items.read_text()


def test_the_trial_of_a_keychain_leaves_nothing_in_it_and_tells_one_that_keeps_nothing(keychain):
    items = keychain()
    credentials.try_keychain(KEYCHAIN)
    assert json.loads(items.read_text()) == {}
    for backend, said in (
        ("keyring.backends.null.Keyring", "no keychain|does not keep"),
        ("keyring.backends.fail.Keyring", "no keychain"),
    ):
        keychain(backend)
        with pytest.raises(CredentialError, match=said):
            credentials.try_keychain(KEYCHAIN)
