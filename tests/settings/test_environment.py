"""Environment variables, and the folder they or the platform name."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from kandji_uploader import settings
from tests.settings.conftest import URL

LIBRARY = Path(settings.__file__).parents[2]
WEBHOOK = "https://hooks.slack.com/services/T/B/x"


def test_webhook_in_the_environment_turns_slack_on(house):
    house.write("config.json", {"slack": {"enabled": False}})
    settled = house.settle(environ={**URL, "SLACK_TOKEN": WEBHOOK})
    assert (settled.slack_enabled, settled.origins["slack.enabled"]) == (True, "environment (SLACK_TOKEN)")
    assert WEBHOOK not in repr(settled)
    assert not house.settle(environ={**URL, "SLACK_TOKEN": " "}).slack_enabled
    assert not house.settle({"slack.enabled": False}, environ={**URL, "SLACK_TOKEN": WEBHOOK}).slack_enabled


def test_webhook_under_another_name_turns_slack_on(house):
    house.write("config.json", {"slack": {"webhook_name": "my_hook"}})
    assert house.settle(environ={**URL, "MY_HOOK": WEBHOOK}).slack_enabled
    assert not house.settle(environ={**URL, "SLACK_TOKEN": WEBHOOK}).slack_enabled


def test_webhook_does_not_turn_slack_on_where_the_environment_is_not_looked_up(house):
    house.write("config.json", {"token_keystore": {"environment": False}})
    assert not house.settle(environ={**URL, "SLACK_TOKEN": WEBHOOK}).slack_enabled
    assert house.settle(environ={**URL, "SLACK_TOKEN": WEBHOOK, "ENV_KEYSTORE": "1"}).slack_enabled


def test_env_keystore_puts_the_environment_first(house):
    house.write("config.json", {"token_keystore": {"environment": False, "keychain": True}})
    for word in ("1", "true", "YES"):
        settled = house.settle(environ={**URL, "ENV_KEYSTORE": word})
        assert (settled.environment_first, settled.keystore_environment, settled.keystore_keychain) == (
            True,
            True,
            True,
        )
        assert settled.origins["token_keystore.environment"] == "environment (ENV_KEYSTORE)"
    for word in ("0", "false", "", " "):
        settled = house.settle(environ={**URL, "ENV_KEYSTORE": word})
        assert (settled.environment_first, settled.keystore_environment) == (False, False)
    assert "ENV_KEYSTORE is 'perhaps'" in house.problem(environ={**URL, "ENV_KEYSTORE": "perhaps"})


@pytest.mark.parametrize("variable", ["KANDJI_TOKEN_NAME", "IRUPKG_TOKEN_NAME"])
def test_token_name_from_the_environment(house, variable):
    house.write("config.json", {"kandji": {"token_name": "OTHER"}})
    settled = house.settle(environ={**URL, variable: "MINE"})
    assert (settled.token_name, settled.origins["kandji.token_name"]) == ("MINE", f"environment ({variable})")


@pytest.mark.parametrize(
    "variable",
    ["KANDJI_UPLOADER_DIR", "KPKG_LOCAL_DIR", "KPKG_CONFIG_DIR", "IRUPKG_LOCAL_DIR", "IRUPKG_CONFIG_DIR"],
)
def test_folder_is_named_by_a_variable(tmp_path, variable):
    assert settings.config_folder({variable: str(tmp_path), "HOME": "/home/x"}) == tmp_path


def test_our_own_variable_for_the_folder_wins(tmp_path):
    environ = {"KPKG_LOCAL_DIR": "/elsewhere", "KANDJI_UPLOADER_DIR": str(tmp_path)}
    assert settings.config_folder(environ) == tmp_path
    assert settings.config_folder({"KANDJI_UPLOADER_DIR": "relative"}) == Path.cwd() / "relative"
    assert settings.config_folder({"KANDJI_UPLOADER_DIR": "~/x"}) == Path.home() / "x"


@pytest.mark.parametrize(
    ("platform", "environ", "folder"),
    [
        ("darwin", {}, "/Users/x/Library/Application Support/KandjiUploader"),
        ("darwin", {"XDG_CONFIG_HOME": "/xdg"}, "/Users/x/Library/Application Support/KandjiUploader"),
        ("linux", {}, "/Users/x/.config/KandjiUploader"),
        ("linux", {"XDG_CONFIG_HOME": "/xdg"}, "/xdg/KandjiUploader"),
        ("linux", {"KANDJI_UPLOADER_DIR": " "}, "/Users/x/.config/KandjiUploader"),
    ],
)
def test_folder_is_the_platform_s_otherwise(platform, environ, folder):
    assert settings.config_folder({"HOME": "/Users/x", **environ}, platform) == Path(folder)


def test_config_of_the_named_folder_is_read(house):
    house.write("config.json", {"zz_defaults": {"dry_run": True}})
    environ = {**URL, "KANDJI_UPLOADER_DIR": str(house.folder)}
    settled = settings.load({}, given_origin="python", caller="python", environ=environ).settle()
    assert (settled.dry_run, settled.config_folder) == (True, house.folder)


def test_without_config_file_and_folder_the_environment_is_enough(tmp_path):
    environ = {**URL, "KANDJI_UPLOADER_DIR": str(tmp_path / "not" / "there")}
    settings.load({}, given_origin="python", caller="python", environ=environ).settle()
    assert not (tmp_path / "not").exists()


def bare_python(code, **environ):
    """Run code under a Python without any installed package."""
    command = [sys.executable, "-S", "-c", f"import sys; sys.path.insert(0, {str(LIBRARY)!r})\n{code}"]
    return subprocess.run(command, env=environ, capture_output=True, text=True, check=False, timeout=60)


def test_nothing_but_the_standard_library_is_needed_without_yaml_files(house):
    house.write("config.json", {"zz_defaults": {"dry_run": True}})
    code = "from kandji_uploader import settings; from kandji_uploader.settings import credentials\n"
    code += "settled = settings.load({}, given_origin='x', caller='python').settle(); print(settled.dry_run)\n"
    code += "print(credentials.api_token(settled).origin)"
    ran = bare_python(code, **URL, KANDJI_UPLOADER_DIR=str(house.folder), KANDJI_TOKEN="t")
    assert (ran.stdout, ran.stderr) == ("True\nenvironment (KANDJI_TOKEN)\n", "")


def test_missing_pyyaml_says_how_to_install_it(house):
    house.write("config.yaml", "slack: {}\n")
    code = "from kandji_uploader import settings\nsettings.load({}, given_origin='x', caller='python')"
    ran = bare_python(code, **URL, KANDJI_UPLOADER_DIR=str(house.folder))
    assert f"{house.folder}/config.yaml: reading YAML needs PyYAML: `python3 -m pip install pyyaml`" in ran.stderr


def test_importing_settings_and_credentials_imports_nothing_heavy():
    code = "from kandji_uploader import settings; from kandji_uploader.settings import credentials\n"
    code += "print(sorted({'yaml', 'keyring', 'requests', 'platformdirs'} & set(sys.modules)))"
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(LIBRARY)!r})\n{code}"]
    ran = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert ran.stdout == "[]\n"
