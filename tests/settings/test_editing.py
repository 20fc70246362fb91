"""One value of the config file changes, and every other character stays as it was."""

from __future__ import annotations

import json
import threading

import pytest

from kandji_uploader.errors import SettingsError
from kandji_uploader.settings import showing, writing
from tests.settings.conftest import URL


def change(house, changes, environ=URL):
    return writing.set_values(house.folder, changes, environ).read_bytes().decode()


@pytest.mark.parametrize(
    ("before", "changes", "after"),
    [
        pytest.param(*case[1:], id=case[0])
        for case in [
            ("plain", "slack:\n  enabled: no # yet\n", {"slack.enabled": True}, "slack:\n  enabled: true # yet\n"),
            ("quoted", "kandji: {token_name: 'A'}\n", {"kandji.token_name": "B"}, 'kandji: {token_name: "B"}\n'),
            ("no value", "slack:\n  enabled:  # c\n", {"slack.enabled": True}, "slack:\n  enabled: true  # c\n"),
            (
                "further key",
                "slack: # c\n  # d\n  enabled: yes\n",
                {"slack.webhook_name": "W"},
                'slack: # c\n  webhook_name: "W"\n  # d\n  enabled: yes\n',
            ),
            (
                "below its comment",
                "slack:\n    enabled: yes\n    # webhook_name: X\n\n# end\nuse_recipe_map: no\n",
                {"slack.webhook_name": "W"},
                'slack:\n    enabled: yes\n    # webhook_name: X\n    webhook_name: "W"\n\n# end\nuse_recipe_map: no\n',
            ),
            (
                "further section",
                "# a",
                {"li_enforcement.delays.prod": 3},
                "# a\nli_enforcement:\n  delays:\n    test: 0\n    prod: 3\n",
            ),
            (
                "section inside a section",
                "li_enforcement:\n  type: install_once\nslack:\n",
                {"li_enforcement.delays.prod": 3},
                "li_enforcement:\n  delays:\n    prod: 3\n  type: install_once\nslack:\n",
            ),
            ("empty section", "slack: # c\n\n# d\n", {"slack.enabled": True}, "slack: # c\n  enabled: true\n\n# d\n"),
            ("section of null", "slack: ~\n", {"slack.enabled": True}, "slack: \n  enabled: true\n"),
            ("other spelling", "iru:\n  token_name: A\n", {"kandji.token_name": "B"}, 'iru:\n  token_name: "B"\n'),
            ("flat key", "slack.enabled: no\n", {"slack.enabled": True}, "slack.enabled: true\n"),
            (
                "braces",
                "slack: {enabled: no}\n",
                {"slack.webhook_name": "W"},
                'slack: {"webhook_name": "W",enabled: no}\n',
            ),
            (
                "block text",
                "kandji:\n  token_name: >-\n    A\n# c\n",
                {"kandji.token_name": "B"},
                'kandji:\n  token_name: "B"\n# c\n',
            ),
            (
                "line ends",
                "slack:\r\n  enabled: no\r\n",
                {"slack.webhook_name": "W"},
                'slack:\r\n  webhook_name: "W"\r\n  enabled: no\r\n',
            ),
            (
                "taken out",
                "slack:\n  # c\n  enabled: no # d\n  webhook_name: W\n",
                {"slack.enabled": None},
                "slack:\n  # c\n  webhook_name: W\n",
            ),
            ("last taken out", "slack:\n  # c\n  enabled: no", {"slack.enabled": None}, "  # c\n"),
            (
                "last of a section in a section",
                "slack: {}\nli_enforcement:\n  delays:\n    prod: 7\n",
                {"li_enforcement.delays.prod": None},
                "slack: {}\n",
            ),
            (
                "last of braces",
                "li_enforcement: {delays: {prod: 7}}\n",
                {"li_enforcement.delays.prod": None},
                "li_enforcement: null\n",
            ),
            (
                "taken out of braces",
                "slack: {enabled: no, webhook_name: W}",
                {"slack.enabled": None},
                "slack: {enabled: null, webhook_name: W}",
            ),
            ("not there", "# c\n", {"slack.enabled": None}, "# c\n"),
            ("the same", "slack:\n  enabled: true\n", {"slack.enabled": True}, "slack:\n  enabled: true\n"),
            (
                "two",
                "slack:\n  enabled: no\n",
                {"slack.enabled": True, "use_recipe_map": False},
                "slack:\n  enabled: true\nuse_recipe_map: false\n",
            ),
        ]
    ],
)
def test_one_value_changes_and_every_other_character_stays(house, before, changes, after):
    house.folder.joinpath("config.yaml").write_bytes(before.encode())
    assert change(house, changes) == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", '{"slack": {"enabled": true}}\n'),
        ("{}", '{"slack": {"enabled": true}}'),
        ('{"slack":\tnull}', '{"slack":\t{"enabled": true}}'),
        (
            '{\n\t"slack": {\n\t\t"webhook_name": "W"\n\t}\n}',
            '{\n\t"slack": {\n\t\t"enabled": true,\n\t\t"webhook_name": "W"\n\t}\n}',
        ),
        ('{"slack": {"enabled": false}}', '{"slack": {"enabled": true}}'),
        (
            '{"slack.enabled": "no", "kandji": {"token_name": "é\\u00e9"}}',
            '{"slack.enabled": true, "kandji": {"token_name": "é\\u00e9"}}',
        ),
    ],
)
def test_json_stays_json_in_its_own_layout(house, before, after):
    house.write("config.json", before)
    assert change(house, {"slack.enabled": True}) == after
    assert json.loads(after)


def test_every_key_of_the_commented_example_can_be_set_and_taken_out_again(house):
    example = showing.example().replace("TENANT.api", "acme.api")
    house.write("config.yaml", example)
    with_key = change(house, {"zz_defaults.new_app_naming": "APPNAME!"})
    assert '# new_app_naming: APPNAME (AutoPkg)\n  new_app_naming: "APPNAME!"\n' in with_key
    assert change(house, {"zz_defaults.new_app_naming": None}) == example


@pytest.mark.parametrize(
    ("text", "changes", "told"),
    [
        ("", {"slack.enabledd": True}, "command line: slack.enabledd: is not a known key; did you mean enabled?"),
        ("", {"slack.enabled": "maybe"}, "command line: slack.enabled is 'maybe': must be true or false"),
        ("", {"slack": "yes"}, "command line: slack is 'yes': must hold keys of its own"),
        ("", {"use_recipe_map": True}, "use_recipe_map: is on, but"),
        ("slack: {enabled: no, enabled: yes}\n", {"slack.enabled": True}, "the key 'enabled' is there twice"),
        ("x: *y\n", {"slack.enabled": True}, "correct the YAML"),
    ],
)
def test_what_would_be_wrong_is_refused_and_nothing_is_written(house, text, changes, told):
    path = house.write("config.yaml", text)
    with pytest.raises(SettingsError) as caught:
        change(house, changes)
    assert told in str(caught.value)
    assert path.read_text() == text


def test_what_cannot_be_changed_alone_is_left_to_the_editor(house):
    text = "slack: &s\n  enabled: &e no\nuse_recipe_map: *e\n"
    path = house.write("config.yaml", text)
    with pytest.raises(SettingsError, match=r"use_recipe_map: cannot be changed .* `kandji-uploader config edit`"):
        change(house, {"use_recipe_map": True})
    assert path.read_text() == text


def test_a_broken_value_can_be_mended_while_another_one_is_broken(house):
    house.write("config.yaml", "slack:\n  enabled: maybe\nuse_package_map: perhaps\n")
    assert change(house, {"slack.enabled": False}) == "slack:\n  enabled: false\nuse_package_map: perhaps\n"


def test_where_there_is_no_config_file_one_is_made_that_only_its_owner_reads(house):
    folder = house.folder / "new"
    path = writing.set_values(folder, {"kandji.api_url": "acme.api.kandji.io"}, {})
    assert path.read_text() == 'kandji:\n  api_url: "acme.api.kandji.io"\n'
    assert (path.stat().st_mode & 0o777, folder.stat().st_mode & 0o777) == (0o600, 0o700)


def test_two_at_a_time_lose_nothing(house):
    house.write("config.yaml", "# ours\n")
    keys = ["slack.enabled", "zz_defaults.dry_run", "zz_defaults.dynamic_lookup", "token_keystore.keychain"]
    threads = [threading.Thread(target=change, args=(house, {key: True})) for key in keys]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    text = (house.folder / "config.yaml").read_text()
    assert text.count("true") == len(keys)
    assert not [name for name in house.folder.iterdir() if name.name != "config.yaml"]


def test_a_new_section_of_enforcement_leaves_the_delays_as_they_are(house):
    house.write("config.yaml", "")
    before = house.settle()
    for changes in ({"li_enforcement.type": "install_once"}, {"li_enforcement.type": None}):
        change(house, changes)
        after = house.settle()
        assert (after.prod.delay_days, after.test.delay_days) == (before.prod.delay_days, before.test.delay_days)
    change(house, {"li_enforcement.delays.prod": None, "li_enforcement.delays.test": None})
    assert (house.folder / "config.yaml").read_text() == ""
    assert house.settle().prod.delay_days == before.prod.delay_days == 5
