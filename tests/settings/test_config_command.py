"""`kandji-uploader config`, run as an admin runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from kandji_uploader import settings
from kandji_uploader.settings import schema, showing

ROOT = Path(__file__).parents[2]
TOKEN = "0f8fad5b-d9cb-469f-a165-70867728950e"  # made up
HOOK = "https://hooks.slack.com/services/T0/B0/xyzzy"


@pytest.fixture
def command(tmp_path):
    def run(*words, **environ):
        environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "KANDJI_UPLOADER_DIR": str(tmp_path),
            "PYTHONPATH": f"{ROOT / 'shared'}:{ROOT}",
            "PYTHONUTF8": "1",
            **environ,
        }
        words = [sys.executable, "-m", "kandji_uploader", "config", *words]
        return subprocess.run(words, env=environ, capture_output=True, encoding="utf-8", check=False, timeout=60)

    return run


def row(table, key):
    (line,) = [line for line in table.splitlines() if line.startswith(f"{key} ")]
    return line.removeprefix(key).split(maxsplit=1)


def test_table_tells_value_and_origin_and_no_secret(command, tmp_path):
    (tmp_path / "config.yaml").write_text("zz_defaults:\n  dry_run: yes\n")
    ran = command(KANDJI_API_URL="acme.api.iru.com", KANDJI_TOKEN=TOKEN, SLACK_TOKEN=HOOK)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert row(ran.stdout, "kandji.api_url") == ["https://acme.api.iru.com", "environment (KANDJI_API_URL)"]
    assert row(ran.stdout, "zz_defaults.dry_run") == ["true", str(tmp_path / "config.yaml")]
    assert row(ran.stdout, "API token KANDJI_TOKEN") == ["found", "environment (KANDJI_TOKEN)"]
    assert row(ran.stdout, "Slack webhook SLACK_TOKEN") == ["found", "environment (SLACK_TOKEN)"]
    assert TOKEN not in ran.stdout
    assert "xyzzy" not in ran.stdout


def test_json_tells_the_same(command):
    ran = command("--json", KANDJI_API_URL="acme.api.kandji.io")
    told = json.loads(ran.stdout)
    assert {"key": "arch", "value": "arm64", "origin": "default"} in told["settings"]
    states = {entry["name"]: entry["state"] for entry in told["secrets"]}
    assert states == {"API token KANDJI_TOKEN": "missing", "Slack webhook SLACK_TOKEN": "not needed"}
    assert len(told["settings"]) == len(schema.ALL_KEYS)


def test_token_in_the_keychain_is_found_and_not_shown(command, tmp_path):
    (tmp_path / "config.json").write_text('{"token_keystore": {"environment": false, "keychain": true}}')
    (tmp_path / "items.json").write_text(json.dumps({"KANDJI_TOKEN|KAPPA": TOKEN}))
    environ = {
        "KANDJI_API_URL": "acme.api.kandji.io",
        "PYTHON_KEYRING_BACKEND": "tests.support.keyrings.FileKeyring",
        "TEST_KEYRING_FILE": str(tmp_path / "items.json"),
    }
    ran = command(**environ)
    assert row(ran.stdout, "API token KANDJI_TOKEN") == ["found", "keychain (account KAPPA)"]
    assert TOKEN not in ran.stdout + ran.stderr


def test_recipe_and_identifier_show_what_holds_for_them(command, tmp_path):
    (tmp_path / "config.yaml").write_text("use_recipe_map: true\nuse_package_map: true\n")
    (tmp_path / "recipe_map.yaml").write_text("Firefox.pkg:\n  prod_name: Firefox 🦊\n")
    (tmp_path / "package_map.yaml").write_text("org.mozilla.firefox:\n  test_name: Firefox (Test)\n")
    words = ("--recipe", "Firefox.pkg", "--identifier", "org.mozilla.firefox")
    ran = command(*words, KANDJI_API_URL="acme.api.kandji.io")
    assert "Firefox 🦊" in ran.stdout
    assert row(ran.stdout, "custom_app.test_name")[-1].endswith("package_map.yaml (org.mozilla.firefox)")


def test_problems_are_all_told_and_the_command_fails(command, tmp_path):
    (tmp_path / "config.yaml").write_text("zz_defaults:\n  dry_run: perhaps\n  unzip_location: here\n")
    ran = command()
    assert (ran.returncode, ran.stdout) == (3, "")
    assert ran.stderr.count("config.yaml: ") == 2
    assert "Traceback" not in ran.stderr


def test_example_is_printed_and_loads_cleanly(command, tmp_path):
    ran = command("--example")
    assert ran.stdout == showing.example()
    (tmp_path / "config.yaml").write_text(ran.stdout)
    assert command(KANDJI_API_URL="acme.api.kandji.io").returncode == 0
    assert "placeholder TENANT" in command().stderr


def test_example_in_the_repository_is_the_one_that_is_printed():
    assert (ROOT / "examples" / "config.yaml").read_text(encoding="utf-8") == showing.example()


def test_maps_in_the_repository_load_cleanly(tmp_path):
    for name in ("recipe_map.yaml", "package_map.yaml"):
        (tmp_path / name).write_text((ROOT / "examples" / name).read_text(encoding="utf-8"), encoding="utf-8")
    (tmp_path / "config.yaml").write_text("use_recipe_map: true\nuse_package_map: true\n")
    ladder = settings.load(
        {},
        given_origin="recipe",
        caller="autopkg",
        recipe="Firefox.pkg.recipe",
        environ={"KANDJI_API_URL": "acme.api.kandji.io"},
        folder=tmp_path,
    )
    assert ladder.settle().prod.name == "Firefox"
    assert len(ladder.package_map) == len(yaml.safe_load((tmp_path / "package_map.yaml").read_text()))


@pytest.mark.parametrize(("chapter", "table"), [("Config file", schema.IN_CONFIG), ("Recipe keys", schema.IN_RECIPE)])
def test_documentation_lists_every_key_once(chapter, table):
    text = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    (part,) = [part for part in text.split("\n## ") if part.startswith(chapter)]
    cells = [line.split("|")[1] for line in part.splitlines() if line.startswith("| `")]
    assert sorted(word for cell in cells for word in cell.split("`")[1::2]) == sorted(table)
