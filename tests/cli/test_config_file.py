"""`config set`, `config unset`, `config edit`: the config file changes, and is never left broken."""

from __future__ import annotations

import os
import stat
import sys

import pytest

from kandji_uploader.cli.failures import Exit
from kandji_uploader.settings import schema, showing

OURS = "# Ask Kim first.\nli_enforcement:\n  delays:\n    prod: 5   # days\n"


@pytest.fixture
def config(house):
    house.config.mkdir()
    path = house.config / "config.yaml"
    path.write_text(OURS)
    return path


@pytest.fixture
def editor(house):
    """An editor that does what a Python script says with the text of the file."""

    def make(*steps):
        script = house.folder / "editor.py"
        script.write_text(
            "import pathlib, sys\n"
            "path, count = pathlib.Path(sys.argv[-1]), pathlib.Path(__file__).with_name('times')\n"
            "times = int(count.read_text()) if count.exists() else 0\n"
            "count.write_text(str(times + 1))\n"
            f"steps = {steps!r}\n"
            "path.write_text(eval(steps[times], {'text': path.read_text()}))\n"
        )
        (house.folder / "times").unlink(missing_ok=True)
        return {"EDITOR": f"{sys.executable} {script}"}

    return make


def test_set_changes_one_value_and_keeps_the_comments(config, here):
    ran = here("config", "set", "li_enforcement.delays.prod", "7")
    assert (ran.returncode, ran.stdout) == (0, f"{config}: li_enforcement.delays.prod: 7\n"), ran.stderr
    assert config.read_text() == OURS.replace("5", "7")
    here("config", "set", "zz_defaults.dry_run", "yes")
    assert config.read_text() == OURS.replace("5", "7") + "zz_defaults:\n  dry_run: true\n"
    assert here("config", "unset", "zz_defaults.dry_run").returncode == 0
    assert "dry_run" not in config.read_text()


def test_set_makes_a_config_file_and_takes_any_spelling_and_lists(house, here):
    assert here("config", "set", "iru.token_name", "ACME").returncode == 0
    path = house.config / "config.yaml"
    assert path.read_text() == 'iru:\n  token_name: "ACME"\n'
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    ran = here("config", "set", "slack.enabled", "[no]")
    assert (ran.returncode, "must be true or false" in ran.stderr) == (Exit.SETTINGS, True)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["set", "li_enforcement.delays.prod", "soon"], "is 'soon': must be a whole number from 0 to 3650 (days)"),
        (["set", "slack.enable", "yes"], "is not a known key; did you mean enabled?"),
        (["set", "slack.webhook_name", "https://hooks.slack.com/services/T0/B0/xyzzy"], "slack.webhook_name"),
        (["set", "use_recipe_map", "true"], "holds no recipe_map.yaml; make one or turn it off"),
        (["unset", "nothing.here"], "is not a known key"),
    ],
)
def test_what_would_be_wrong_is_refused(config, here, words, told):
    ran = here("config", *words)
    assert ran.returncode == Exit.SETTINGS
    assert told in ran.stderr
    assert "xyzzy" not in ran.stdout + ran.stderr
    assert config.read_text() == OURS


def test_set_says_where_something_else_wins(config, here):
    ran = here("config", "set", "kandji.api_url", "acme.api.kandji.io")
    assert "(from: environment (KANDJI_API_URL))" in ran.stdout


def test_edit_keeps_what_is_right(config, here, editor):
    ran = here("config", "edit", **editor("text.replace('5 ', '9 ')"))
    assert (ran.returncode, ran.stdout) == (0, f"{config}: changed\n"), ran.stderr
    assert config.read_text() == OURS.replace("5 ", "9 ")
    assert here("config", "edit", **editor("text")).stdout == f"{config}: nothing was changed\n"


def test_edit_of_no_file_begins_with_the_commented_example(house, here, editor):
    assert here("config", "edit", **editor("text")).returncode == 0
    assert not house.config.exists()
    here("config", "edit", **editor("text.replace('TENANT.api', 'acme.api')"))
    assert (house.config / "config.yaml").read_text() == showing.example().replace("TENANT.api", "acme.api")


@pytest.mark.parametrize("wrong", ["text + 'slack: {enabled: maybe}'", "text + 'slack: ['", "'- no mapping'"])
def test_edit_refuses_what_is_wrong_and_keeps_what_was_written(config, here, editor, wrong):
    ran = here("config", "edit", **editor(wrong))
    assert ran.returncode == Exit.SETTINGS
    assert config.read_text() == OURS
    draft = config.with_name("config.yaml.draft")
    assert draft.read_text() == eval(wrong, {"text": OURS})
    assert str(draft) in ran.stdout
    assert here("config").returncode == 0, "the draft is no second config file"


def test_edit_offers_to_go_back(house, config, editor):
    environ = editor("text + 'slack: {enabled: maybe}'", "text.replace('maybe', 'yes')")
    with house.terminal("config", "edit", **environ) as terminal:
        terminal.answer("Go back to the editor")
        assert terminal.end() == 0, terminal.screen
    assert "must be true or false" in terminal.screen
    assert config.read_text() == f"{OURS}slack: {{enabled: yes}}"


def test_edit_does_not_write_over_what_somebody_else_has_changed(config, here, editor):
    script = f"(__import__('pathlib').Path({str(config)!r}).write_text('# theirs'), text.replace('5 ', '9 '))[1]"
    ran = here("config", "edit", **editor(script))
    assert "was changed by somebody else meanwhile" in ran.stderr
    assert config.read_text() == "# theirs"


@pytest.mark.parametrize("editor_name", ["/nowhere/vi", "false", "'unclosed"])
def test_an_editor_that_fails_changes_nothing(config, here, editor_name):
    ran = here("config", "edit", EDITOR=editor_name)
    assert ran.returncode == Exit.FAILED
    assert "VISUAL or EDITOR" in ran.stderr
    assert config.read_text() == OURS


def test_the_editor_gets_no_secret(house, config, here):
    script = house.folder / "editor.sh"
    script.write_text(f"#!/bin/sh\nenv > {house.folder}/seen\n")
    script.chmod(0o755)
    here("config", "edit", EDITOR=str(script))
    assert house.tenant.token not in (house.folder / "seen").read_text()
    assert f"HOME={os.environ['HOME']}" in (house.folder / "seen").read_text()


def test_on_a_machine_without_settings_all_of_them_are_shown(house, here):
    ran = here("config", KANDJI_API_URL="", KANDJI_TOKEN="")
    assert ran.returncode == 0
    assert f"Folder: {house.config}\n" in ran.stdout
    assert all(f"\n{key.path} " in ran.stdout for key in schema.ALL_KEYS)
    assert "warning: kandji.api_url is not set; set the environment variable KANDJI_API_URL" in ran.stderr
    assert not house.config.exists()
