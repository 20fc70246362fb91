"""`kandji-uploader setup`, at a terminal and without one."""

from __future__ import annotations

import csv
import json
import re
import stat
import subprocess

import pytest
import yaml

from kandji_uploader.cli.failures import Exit

MADE_UP = "0f8fad5b-d9cb-469f-a165-70867728950e"


@pytest.fixture
def bare(house):
    """A machine that knows nothing yet."""
    del house.environ["KANDJI_API_URL"], house.environ["KANDJI_TOKEN"]
    return house


@pytest.fixture
def keychain(house):
    """A keychain, as a file of items."""
    path = house.folder / "items.json"
    house.environ["PYTHON_KEYRING_BACKEND"] = "tests.support.keyrings.FileKeyring"
    house.environ["TEST_KEYRING_FILE"] = str(path)
    return path


def config_of(house):
    return yaml.safe_load((house.config / "config.yaml").read_text())


def changed(house):
    """The requests that were not refused, but for reading."""
    return [str(each) for each in house.tenant.requests if each.method != "GET" and each.status < 400]


# At a terminal


def test_the_whole_conversation(bare):
    with bare.terminal("setup") as terminal:
        terminal.answer(r"API URL of your tenant \(such as", bare.tenant.url)
        terminal.expect(r"API URL: http://127\.0\.0\.1:\d+ answers")
        terminal.answer(r"environment or keychain \[environment\]", "")
        terminal.answer(r"API token \(not shown\)", bare.tenant.token)
        for name in ("List Custom Apps", "Create Custom App", "Get Library Item Statuses"):
            terminal.expect(rf"{name} +granted")
        terminal.answer(r"Post to Slack .* \(y/N\)", "y")
        terminal.answer(r"Slack webhook \(not shown\)", bare.tenant.webhook_url)
        terminal.answer(r"Send a test message\? \(Y/n\)", "")
        terminal.expect("the test message was taken")
        terminal.expect("Written: .*config.yaml")
        assert terminal.end() == 0
    last = terminal.screen.splitlines()[-2:]
    assert last == ["export KANDJI_TOKEN='the API token'", "export SLACK_TOKEN='the Slack webhook'"]
    assert bare.tenant.token not in terminal.screen
    assert bare.tenant.webhook_url not in terminal.screen
    assert "test message" in bare.tenant.slack_messages()[0]["text"]
    path = bare.config / "config.yaml"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert bare.tenant.token not in path.read_text()
    held = config_of(bare)
    assert held["kandji"]["api_url"] == bare.tenant.url
    assert held["token_keystore"] == {"environment": True, "keychain": False, "allow_plaintext": False}
    assert held["slack"]["enabled"] is True
    assert held["li_enforcement"]["delays"] == {"prod": 5, "test": 0}
    assert [each for each in changed(bare) if "services" not in each] == [], "nothing was changed in the tenant"
    assert bare.names() == []
    assert bare.tenant.uploads() == []


def test_wrong_answers_are_told_and_asked_for_again(bare):
    with bare.terminal("setup") as terminal:
        terminal.answer("API URL of your tenant", "acme.example.com")
        terminal.expect(r"must be TENANT\.api\.kandji\.io")
        terminal.answer("API URL of your tenant", "http://127.0.0.1:9")
        terminal.expect("was not reached")
        terminal.answer("API URL of your tenant", bare.tenant.url)
        terminal.answer("environment or keychain", "pocket")
        terminal.expect("please answer environment or keychain")
        terminal.answer("environment or keychain", "environment")
        terminal.answer("API token", "")
        terminal.expect("nothing was typed")
        terminal.answer("API token", "Bearer of news")
        terminal.expect("copy it again, without `Bearer`")
        terminal.answer("API token", MADE_UP)
        terminal.expect("was not accepted")
        terminal.answer("API token", bare.tenant.token)
        terminal.answer("Post to Slack", "perhaps")
        terminal.expect("please answer y or n")
        terminal.answer("Post to Slack", "n")
        assert terminal.end() == 0
    assert MADE_UP not in terminal.screen


def test_a_missing_permission_is_named(bare):
    bare.tenant.permissions.revoke("Update Custom App", "List Blueprints")
    with bare.terminal("setup", "--slack", "off", KANDJI_API_URL=bare.tenant.url) as terminal:
        terminal.answer("environment or keychain", "environment")
        terminal.answer("API token", bare.tenant.token)
        terminal.expect(r"Create Custom App +granted")
        terminal.expect(r"Update Custom App +\x1b\[1;31mMISSING\x1b\[0m")
        terminal.expect(r"List Blueprints +\S*MISSING\S* +only for the `blueprints` key")
        terminal.expect("Nothing can be published yet")
        assert terminal.end() == 1


@pytest.mark.parametrize("how", ["ctrl-c", "ctrl-d"])
def test_stopping_half_way_writes_nothing(bare, how):
    with bare.terminal("setup") as terminal:
        terminal.answer("API URL of your tenant", bare.tenant.url)
        terminal.expect("environment or keychain")
        terminal.ctrl_c() if how == "ctrl-c" else terminal.type("\x04")
        terminal.expect("stopped")
        assert terminal.end() == 130
    assert not bare.config.exists()


def test_the_keychain_keeps_the_token(bare, keychain):
    with bare.terminal("setup", "--slack", "off") as terminal:
        terminal.answer("API URL of your tenant", bare.tenant.url)
        terminal.answer("environment or keychain", "keychain")
        terminal.answer("API token", bare.tenant.token)
        terminal.expect(r"Kept in the keychain: KANDJI_TOKEN \(account KandjiUploader\)")
        assert terminal.end() == 0
    assert json.loads(keychain.read_text()) == {"KANDJI_TOKEN|KandjiUploader": bare.tenant.token}
    assert config_of(bare)["token_keystore"] == {"environment": False, "keychain": True, "allow_plaintext": False}


def test_what_is_known_is_not_asked_again_but_for_a_reset(house):
    assert house.run("setup", "--slack", "off").returncode == 0
    with house.terminal("setup") as terminal:
        terminal.expect("API token: found in the environment")
        terminal.expect("Written")
        assert terminal.end() == 0
    assert "[" not in terminal.screen.partition("Permission")[0], "no question"
    del house.environ["KANDJI_API_URL"]
    with house.terminal("setup", "--reset") as terminal:
        terminal.answer(r"API URL of your tenant .* \[http://127", "")
        terminal.answer("environment or keychain", "")
        terminal.answer("API token", house.tenant.token)
        terminal.answer("Post to Slack", "")
        assert terminal.end() == 0


def test_the_flag_of_kpkg_starts_it(bare):
    for words in (["-S"], ["--setup"], ["upload", "-S"]):
        with bare.terminal(*words) as terminal:
            terminal.expect("API URL of your tenant")
            terminal.ctrl_c()
            assert terminal.end() == 130


# It ends in a working state


def in_shell(lines, secrets):
    """The variables that a shell has after the lines were pasted, with the secrets between the quotes."""
    script = "\n".join(lines)
    for words, secret in secrets.items():
        script = script.replace(words, secret)
    ran = subprocess.run(["sh", "-c", f"{script}\nenv"], capture_output=True, text=True, check=True, env={})
    return dict(line.split("=", 1) for line in ran.stdout.splitlines())


def test_its_last_lines_are_what_a_run_needs(bare):
    with bare.terminal("setup") as terminal:
        terminal.answer("API URL of your tenant", bare.tenant.url)
        terminal.answer("environment or keychain", "")
        terminal.answer("API token", bare.tenant.token)
        terminal.answer("Post to Slack", "")
        assert terminal.end() == 0
    lines = terminal.screen.splitlines()
    command = next(line for line in lines if line.startswith("Next: ")).split()[1:5]
    assert command == ["kandji-uploader", "-p", "FILE", "-y,"]
    pasted = in_shell(lines[-1:], {"the API token": bare.tenant.token})
    assert bare.run("-p", bare.widget(), "-y").returncode == Exit.TOKEN, "as it was told"
    assert bare.run("-p", bare.widget(), "-y", KANDJI_TOKEN=pasted["KANDJI_TOKEN"]).returncode == 0


def test_nothing_is_to_be_pasted_where_a_run_finds_its_secrets(house, here):
    ran = here("setup", "--slack", "off")
    assert ran.stdout.splitlines()[-1].startswith("Next: kandji-uploader -p FILE -y")
    assert "export" not in ran.stdout


def test_a_keychain_is_tried_when_it_is_chosen(bare, keychain):
    bare.environ["PYTHON_KEYRING_BACKEND"] = "tests.support.keyrings.LockedKeyring"
    with bare.terminal("setup", "--slack", "off") as terminal:
        terminal.answer("API URL of your tenant", bare.tenant.url)
        terminal.answer("environment or keychain", "keychain")
        terminal.expect("the keychain is locked; unlock it")
        terminal.answer("environment or keychain", "environment")
        terminal.answer("API token", bare.tenant.token)
        assert terminal.end() == 0
    assert config_of(bare)["token_keystore"]["keychain"] is False


@pytest.mark.parametrize("backend", ["tests.support.keyrings.LockedKeyring", "tests.support.keyrings.PlaintextKeyring"])
def test_without_a_terminal_a_keychain_that_cannot_be_used_is_an_error_before_anything_is_written(
    house, keychain, backend
):
    ran = house.run("setup", "--keystore", "keychain", "--slack", "off", PYTHON_KEYRING_BACKEND=backend)
    assert ran.returncode == Exit.TOKEN
    assert "locked" in ran.stderr or "plain text" in ran.stderr
    assert not house.config.exists()


def test_enter_skips_slack(bare):
    with bare.terminal("setup", "--keystore", "environment", "--slack", "on") as terminal:
        terminal.answer("API URL of your tenant", bare.tenant.url)
        terminal.answer("API token", bare.tenant.token)
        terminal.answer(r"Press Enter for no Slack\.\nSlack webhook \(not shown\)", "")
        terminal.expect("Slack: off")
        assert terminal.end() == 0
    assert config_of(bare)["slack"]["enabled"] is False
    assert "SLACK_TOKEN" not in terminal.screen


@pytest.fixture
def kappa(house):
    """The settings of KAPPA, with Slack on and a keychain, as it ships them."""
    folder = house.folder / "Library/AutoPkg/RecipeRepos/com.github.kandji-inc.KAPPA"
    folder.mkdir(parents=True)
    keystore = {"environment": False, "keychain": True}
    config = kpkg_config(
        slack={"enabled": True, "webhook_name": "SLACK_TOKEN"}, token_keystore=keystore, use_package_map=False
    )
    (folder / "config.json").write_text(config)
    return house


def test_a_kappa_user_without_a_webhook_can_finish(kappa, keychain):
    with kappa.terminal("setup") as terminal:
        terminal.answer("Take over the settings of KAPPA", "")
        terminal.answer("Slack webhook", "")
        assert terminal.end() == 0
    assert config_of(kappa)["slack"]["enabled"] is False


def test_without_a_terminal_a_kappa_user_without_a_webhook_can_finish_too(kappa, keychain):
    ran = kappa.run("setup")
    assert ran.returncode == 0, ran.stderr
    assert "Slack: off, until `slack.enabled: true` is in the config file" in ran.stdout
    assert config_of(kappa)["slack"]["enabled"] is False
    assert kappa.run("setup", "--slack", "on").returncode == Exit.TOKEN


def test_slack_stays_on_in_our_own_config_file_where_this_shell_has_no_webhook(house, here):
    house.config.mkdir()
    (house.config / "config.yaml").write_text("slack:\n  enabled: true\n")
    ran = here("setup")
    assert ran.returncode == 0
    assert config_of(house)["slack"]["enabled"] is True
    assert ran.stdout.splitlines()[-1] == "export SLACK_TOKEN='the Slack webhook'"


def test_a_keychain_of_former_settings_that_cannot_be_used_is_asked_about(kappa, keychain):
    kappa.environ["PYTHON_KEYRING_BACKEND"] = "keyring.backends.fail.Keyring"
    with kappa.terminal("setup", "--slack", "off") as terminal:
        terminal.answer("Take over the settings of KAPPA", "")
        terminal.expect("this machine has no keychain")
        terminal.answer(r"environment or keychain \[environment\]", "")
        assert terminal.end() == 0
    assert config_of(kappa)["token_keystore"]["keychain"] is False


@pytest.mark.parametrize(
    ("typed", "url"),
    [
        ("acme", "https://acme.api.kandji.io"),
        ("ACME ", "https://acme.api.kandji.io"),
        ("https://acme.kandji.io/library/custom-apps", "https://acme.api.kandji.io"),
        ("acme.eu.kandji.io", "https://acme.api.eu.kandji.io"),
        ("https://acme.iru.com/?x=1#top", "https://acme.api.iru.com"),
    ],
)
def test_a_tenants_name_and_an_address_of_its_console_are_completed(bare, typed, url):
    with bare.terminal("setup", "-c", "--offline", "--keystore", "environment") as terminal:
        terminal.answer("API URL of your tenant", typed)
        terminal.expect(f"API URL: {re.escape(url)}")
        assert terminal.end() == 0
    assert config_of(bare)["kandji"]["api_url"] == url


def test_which_of_several_hosts_is_meant_a_request_tells():
    from kandji_uploader.errors import NetworkError, SetupError
    from kandji_uploader.setup import wizard

    def answering(*urls):
        def check(url):
            if url not in urls:
                raise NetworkError(url)

        return check

    eu, us = "https://acme.api.eu.iru.com", "https://acme.api.iru.com"
    assert wizard.find_address("acme", answering(eu)) == eu
    assert wizard.find_address("https://acme.iru.com/devices", answering(eu)) == eu
    with pytest.raises(SetupError, match=r"more than one of these answers: https://acme\.api\.iru\.com, "):
        wizard.find_address("acme", answering(eu, us))
    with pytest.raises(SetupError, match="none of these answers"):
        wizard.find_address("acme", answering())
    with pytest.raises(NetworkError):
        wizard.find_address("acme.kandji.io", answering())


# Without a terminal


def test_flags_and_environment_say_it_all(bare, here):
    ran = here("setup", "--api-url", bare.tenant.url, "--slack", "off", KANDJI_TOKEN=bare.tenant.token)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert config_of(bare)["kandji"]["api_url"] == bare.tenant.url
    assert bare.tenant.token not in ran.stdout


@pytest.mark.parametrize(
    ("environ", "told", "code"),
    [
        ({}, "give --api-url or set KANDJI_API_URL", Exit.FAILED),
        ({"KANDJI_API_URL": "http://127.0.0.1:9"}, "was not reached", Exit.SERVICE),
        ({"KANDJI_API_URL": "http://acme.api.kandji.io"}, "would send the token unencrypted", Exit.SETTINGS),
        ({"KANDJI_API_URL": "yes"}, "Set the environment variable KANDJI_TOKEN", Exit.TOKEN),
        ({"KANDJI_API_URL": "yes", "KANDJI_TOKEN": MADE_UP}, "was not accepted", Exit.TOKEN),
    ],
)
def test_what_is_missing_or_wrong_is_told_and_nothing_is_written(bare, environ, told, code, here):
    if environ.get("KANDJI_API_URL") == "yes":
        environ = {**environ, "KANDJI_API_URL": bare.tenant.url}
    ran = here("setup", **environ)
    assert ran.returncode == code
    assert told in ran.stderr
    assert not bare.config.exists()
    assert MADE_UP not in ran.stdout + ran.stderr


def test_config_only_asks_for_no_token(bare, here):
    ran = here("setup", "-c", "--api-url", bare.tenant.url, "--token-name", "OUR_TOKEN")
    assert ran.returncode == 0
    assert config_of(bare)["kandji"]["token_name"] == "OUR_TOKEN"


def test_offline_sends_nothing(bare, here):
    ran = here("setup", "-c", "--offline", "--api-url", "acme.api.eu.iru.com")
    assert ran.returncode == 0
    assert config_of(bare)["kandji"]["api_url"] == "https://acme.api.eu.iru.com"
    assert bare.tenant.requests == []


def test_a_token_of_the_environment_moves_into_the_keychain_when_told(house, keychain):
    ran = house.run("setup", "--keystore", "keychain", "--slack", "off", ENV_KEYSTORE="1")
    assert ran.returncode == 0, ran.stderr
    assert json.loads(keychain.read_text()) == {"KANDJI_TOKEN|KandjiUploader": house.tenant.token}


def test_an_address_that_is_not_kandjis_is_refused(bare, casks, here):
    ran = here("setup", "-c", "--api-url", casks.url)
    assert ran.returncode == Exit.SERVICE
    assert "not how Kandji's API answers" in ran.stderr


def test_a_config_file_with_mistakes_keeps_what_is_right(house, here):
    house.config.mkdir()
    (house.config / "config.yaml").write_text("zz_defaults:\n  dry_run: perhaps\n  self_service_category: Tools\n")
    ran = here("setup", "--slack", "off")
    assert ran.returncode == 0
    assert "zz_defaults.dry_run is 'perhaps'" in ran.stdout
    assert config_of(house)["zz_defaults"]["self_service_category"] == "Tools"
    assert "perhaps" in (house.config / "config.yaml.former").read_text()


def test_a_config_file_that_is_a_link_is_written_behind_it(house, here):
    dotfiles = house.folder / "dotfiles"
    dotfiles.mkdir()
    (dotfiles / "kandji.yaml").write_text("zz_defaults:\n  self_service_category: Tools\n")
    house.config.mkdir()
    (house.config / "config.yaml").symlink_to(dotfiles / "kandji.yaml")
    assert here("setup", "-r", "--slack", "off").returncode == 0
    assert (house.config / "config.yaml").is_symlink()
    assert yaml.safe_load((dotfiles / "kandji.yaml").read_text())["kandji"]["api_url"] == house.tenant.url


# Other tools


def kpkg_config(**changes):
    held = {
        "kandji": {"api_url": "TENANT.api.kandji.io", "token_name": "KANDJI_TOKEN"},
        "li_enforcement": {"delays": {"prod": 9, "test": 1}, "type": "self_service"},
        "slack": {"enabled": False, "webhook_name": "SLACK_TOKEN"},
        "token_keystore": {"environment": True, "keychain": False},
        "use_package_map": True,
        "zz_defaults": {"auto_create_app": True, "new_app_naming": "APPNAME (kpkg)", "unzip_location": "/Applications"},
    }
    return json.dumps({**held, **changes})


@pytest.mark.parametrize(
    ("place", "tool"),
    [
        ("Library/KandjiPackages", "kpkg"),
        (".local/share/kpkg", "kpkg"),
        ("Library/IruPackages", "irupkg"),
        (".local/share/irupkg", "irupkg"),
    ],
)
def test_the_settings_of_kpkg_and_irupkg_are_taken_over(house, place, tool, here):
    folder = house.folder / place
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(kpkg_config())
    (folder / "package_map.json").write_text('{"com.example.Widget": {"prod_name": "Widget"}}')
    (folder / "brew_cron.json").write_text('{"brew_casks": ["firefox"], "every_n_hours": 2}')
    ran = here("setup")
    assert ran.returncode == 0, ran.stderr
    assert f"Taken over: the settings of {tool} in {folder}" in ran.stdout
    held = config_of(house)
    assert held["li_enforcement"] == {"type": "self_service", "delays": {"prod": 9, "test": 1}}
    assert held["zz_defaults"]["new_app_naming"] == "APPNAME (kpkg)"
    assert held["use_package_map"] is True
    assert json.loads((house.config / "package_map.json").read_text()) == {
        "com.example.Widget": {"prod_name": "Widget"}
    }
    assert (house.config / "brew_cron.json").exists()
    assert here("-p", house.widget()).returncode == 0
    assert house.names() == ["Widget"]


def test_the_settings_of_kappa_are_taken_over_with_its_old_spellings(house, here):
    folder = house.folder / "Library/AutoPkg/RecipeRepos/com.github.kandji-inc.KAPPA"
    folder.mkdir(parents=True)
    zz_defaults = {"auto_create_new_app": False, "dynamic_lookup_fallback": True, "new_app_naming": "APPNAME (AutoPkg)"}
    (folder / "config.json").write_text(
        kpkg_config(li_enforcement={"type": "install_once"}, use_package_map=False, zz_defaults=zz_defaults)
    )
    (folder / "recipe_map.json").write_text('{"Firefox.pkg": {"prod_name": "Firefox"}}')
    assert here("setup").returncode == 0
    held = config_of(house)
    assert held["zz_defaults"]["auto_create_app"] is False
    assert held["zz_defaults"]["dynamic_lookup"] is True
    assert held["li_enforcement"] == {"type": "install_once", "delays": {"prod": 3, "test": 3}}
    assert (house.config / "recipe_map.json").exists()


def test_at_a_terminal_taking_over_is_asked_for(house):
    folder = house.folder / "Library/KandjiPackages"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(kpkg_config())
    with house.terminal("setup", "--slack", "off", "--keystore", "environment") as terminal:
        terminal.answer(r"Take over the settings of kpkg in .*\? \(Y/n\)", "n")
        terminal.expect("Written")
        assert terminal.end() == 0
    assert config_of(house)["li_enforcement"]["delays"] == {"prod": 5, "test": 0}


def test_a_folder_can_be_named_or_none_taken(house, here):
    folder = house.folder / "elsewhere"
    folder.mkdir()
    (folder / "config.json").write_text(kpkg_config(use_package_map=False, unknown_key=1))
    ran = here("setup", "--import", folder)
    assert ran.returncode == 0
    assert "unknown_key" in ran.stdout
    assert config_of(house)["li_enforcement"]["delays"]["prod"] == 9
    assert here("setup", "--import", house.folder / "nowhere").returncode == 1


def test_a_token_of_another_tools_keychain_item_is_found_and_kept_as_ours(bare, keychain):
    keychain.write_text(json.dumps({"KANDJI_TOKEN|kpkg": bare.tenant.token}))
    ran = bare.run("setup", "--api-url", bare.tenant.url, "--keystore", "keychain", "--slack", "off")
    assert ran.returncode == 0, ran.stderr
    assert "API token: found in the keychain (account kpkg)" in ran.stdout
    assert json.loads(keychain.read_text())["KANDJI_TOKEN|KandjiUploader"] == bare.tenant.token


def test_a_config_json_in_our_folder_stays_one(house, here):
    house.config.mkdir()
    (house.config / "config.json").write_text(kpkg_config(use_package_map=False))
    assert here("setup").returncode == 0
    held = json.loads((house.config / "config.json").read_text())
    assert held["kandji"]["api_url"] == house.tenant.url
    assert held["li_enforcement"]["type"] == "self_service"
    assert not (house.config / "config.yaml").exists()
    assert stat.S_IMODE((house.config / "config.json").stat().st_mode) == 0o600


# Ids and values


def test_ids_of_installers_are_printed_and_written(house, here):
    house.widget()
    house.widget("2.0", name="Gadget", bundle_id="com.example.Gadget")
    (house.folder / "broken.pkg").write_bytes(b"xar!" + b"\0" * 100)
    ran = here("setup", "-i", house.folder)
    assert ran.returncode == 0
    assert "broken.pkg" in ran.stderr
    rows = list(csv.DictReader((house.config / "install_media_ids.csv").open()))
    assert [(row["Filename"], row["ID"], row["Version"]) for row in rows] == [
        ("Gadget-2.0.pkg", "com.example.Gadget.pkg", "2.0"),
        ("Widget-1.0.pkg", "com.example.Widget.pkg", "1.0"),
    ]
    assert rows[0]["Further IDs"] == "com.example.Gadget"
    assert "com.example.Widget.pkg" in ran.stdout
    assert house.tenant.requests == []


def test_a_path_dropped_on_the_terminal_is_understood(house):
    path = house.widget(name="My Widget")
    with house.terminal("setup", "-i") as terminal:
        terminal.answer("or a folder of them", str(path).replace(" ", "\\ "))
        terminal.expect(r"My Widget-1\.0\.pkg +com\.example\.Widget\.pkg")
        assert terminal.end() == 0


def test_values_for_the_maps_are_written(house, only_python, here):
    house.tenant.seed("Firefox, the browser")
    only_python("autopkg", "#!/bin/sh\necho WARNING: x\necho Firefox.pkg\necho GoogleChrome.pkg\n")
    assert here("setup", "-m", PATH=f"{only_python.path}:/bin:/usr/bin").returncode == 0
    rows = list(csv.DictReader((house.config / "package_map_values.csv").open()))
    assert rows[0] == {"Custom Apps": "Firefox, the browser", "Self Service Categories": "Apps"}
    recipes = list(csv.DictReader((house.config / "recipe_map_values.csv").open()))
    assert [row["AutoPkg Recipes"] for row in recipes][:3] == ["Firefox.pkg", "GoogleChrome.pkg", ""]


def test_without_autopkg_there_is_no_table_of_recipes(house, only_python, here):
    ran = here("setup", "-m", PATH=only_python.path)
    assert ran.returncode == 0
    assert "no working autopkg on PATH" in ran.stdout
    assert not (house.config / "recipe_map_values.csv").exists()


def test_words_of_the_schedule_go_with_brewcron(here):
    ran = here("setup", "-a")
    assert ran.returncode == 2
    assert "-a and -u go with -b" in ran.stderr


def test_the_schedule_is_set_up_in_kpkgs_words(house, offer, only_python):
    offer("widget")
    offer("gadget")
    for program in ("systemctl", "launchctl"):
        only_python(program, "#!/bin/sh\nexit 0\n")
    path = f"{only_python.path}:/usr/bin:/bin"
    with house.terminal("setup", "-b", PATH=path) as terminal:
        terminal.answer("Casks, with commas between them", "")
        terminal.expect("please name at least one cask")
        terminal.answer("Casks, with commas between them", "widget")
        terminal.answer(r"Every how many hours \(1 to 168\) \[8\]", "4")
        assert terminal.end() == 0, terminal.screen
    with house.terminal("setup", "-b", "-a", PATH=path) as terminal:
        terminal.answer("Casks, with commas between them", "gadget")
        assert terminal.end() == 0, terminal.screen
    (held,) = [yaml.safe_load(path.read_text()) for path in house.config.glob("brew_cron.*")]
    assert held == {"brew_casks": ["widget", "gadget"], "every_n_hours": 4}
    assert house.run("setup", "-b", "-u", PATH=path).returncode == 0
    assert list(house.config.glob("brew_cron.*"))


def test_without_a_terminal_the_schedule_tells_which_command_to_use(house, here):
    ran = here("setup", "-b")
    assert ran.returncode == 1
    assert "kandji-uploader schedule add CASK... --every HOURS" in ran.stderr
