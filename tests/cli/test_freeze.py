"""freeze and thaw: the config file gets or loses a freeze, and every other character of it stays."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone

import pytest

from kandji_uploader import api, cli
from kandji_uploader.cli.failures import Exit
from kandji_uploader.errors import SettingsError
from kandji_uploader.publish.request import Host
from kandji_uploader.settings import writing
from kandji_uploader.setup import doctor

NOW = datetime(2026, 12, 22, 12, tzinfo=timezone.utc).timestamp()
CONFIG = """\
# ours
kandji: {api_url: acme.api.kandji.io}   # the tenant
freeze:
  - {from: 2027-03-01, until: 2027-03-04, why: the move}
use_recipe_map: false
"""


@pytest.fixture
def config(tmp_path, monkeypatch):
    monkeypatch.setenv("KANDJI_UPLOADER_DIR", str(tmp_path))
    return tmp_path / "config.yaml"


def host(config, now=NOW):
    return Host(now=lambda: now, environ={"KANDJI_UPLOADER_DIR": str(config.parent)})


def test_a_freeze_is_added_and_taken_out_with_all_else_as_it_was(config):
    config.write_text(CONFIG)
    done = api.freeze("2027-01-07", why="Christmas", since="2026-12-20", host=host(config))
    assert [each.why for each in done.freezes] == ["the move", "Christmas"]
    text = config.read_text()
    assert [line for line in text.splitlines() if "freeze" not in line] == [
        line for line in CONFIG.splitlines() if "the move" not in line and "freeze" not in line
    ]
    again = api.freeze("2027-01-07", why="Christmas", since="2026-12-20", host=host(config))
    assert len(again.freezes) == 2, "the same one is not added twice"
    over = api.thaw(host=host(config))
    assert ([each.why for each in over.gone], [each.why for each in over.freezes]) == (["Christmas"], ["the move"])
    assert api.thaw(host=host(config)).gone == ()
    assert [each.why for each in api.thaw(every=True, host=host(config)).gone] == ["the move"]
    assert "freeze" not in config.read_text()


def test_of_freezes_that_are_added_at_the_same_moment_none_is_lost(config):
    with ThreadPoolExecutor(4) as several:
        list(several.map(lambda day: api.freeze(f"2027-01-0{day}", why="x", host=host(config)), range(1, 5)))
    values, _ = writing.config_values(config)
    assert sorted(each.until for each in values["freeze"]) == [f"2027-01-0{day}" for day in range(1, 5)]


def test_a_json_file_stays_one_and_a_missing_file_is_made(config):
    other = config.with_name("config.json")
    other.write_text('{"use_recipe_map": false}')
    api.freeze("2027-01-07", why="Christmas", zone="Europe/Vienna", host=host(config))
    told = json.loads(other.read_text())
    assert told == {
        "use_recipe_map": False,
        "freeze": [{"until": "2027-01-07", "why": "Christmas", "zone": "Europe/Vienna"}],
    }
    other.unlink()
    assert api.freeze("2027-01-07", why="Christmas", host=host(config)).path == config


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"until": "2026-12-21"}, "freeze: ends 2026-12-21, which is over"),
        ({"until": "2027-01-07", "since": "2027-01-08"}, "which ends before it begins"),
        ({"until": "7.1.2027"}, "holds until '7.1.2027', which is no date; write it as"),
        ({"until": "2027-01-07", "zone": "Wien"}, "names the zone 'Wien', which does not exist"),
    ],
)
def test_a_freeze_that_makes_no_sense_is_refused_and_the_file_is_as_it_was(config, words, said):
    config.write_text(CONFIG)
    with pytest.raises(SettingsError) as refused:
        api.freeze(why="x", host=host(config), **words)
    assert said in str(refused.value)
    assert config.read_text() == CONFIG


def test_a_file_with_a_broken_freeze_is_told_and_kept(config):
    config.write_text("freeze: [{from: 2027-01-07}]\n")
    with pytest.raises(SettingsError, match="holds a freeze without `until`"):
        api.thaw(host=host(config))
    assert config.read_text() == "freeze: [{from: 2027-01-07}]\n"


def test_the_commands_say_what_is_frozen(config, capsys):
    assert cli.main(["freeze", "--until", "2099-01-07", "--why", "the move"]) == 0
    assert cli.main(["freeze", "--from", "2098-01-01", "--until", "2099-02-07", "--why", "later"]) == 0
    assert cli.main(["thaw"]) == 0
    assert cli.main(["thaw", "--all"]) == 0
    assert cli.main(["thaw"]) == 0
    assert [line.removeprefix(f"{config}: ") for line in capsys.readouterr().out.splitlines()] == [
        "frozen until 2099-01-07: the move",
        "frozen from 2098-01-01 until 2099-02-07: later",
        "no longer frozen until 2099-01-07: the move",
        "stays frozen from 2098-01-01 until 2099-02-07: later",
        "no longer frozen from 2098-01-01 until 2099-02-07: later",
        "there is no freeze in it",
    ]
    assert cli.main(["freeze", "--until", "soon", "--why", "x"]) == Exit.SETTINGS


@pytest.mark.parametrize(
    ("freeze", "said"),
    [
        ("{until: 2020-01-07, why: old}", "the freeze until 2020-01-07: old is over and has no effect"),
        ("{until: 2099-01-07, why: the move}", "frozen until 2099-01-07: the move; nothing is published or promoted"),
    ],
)
def test_config_and_doctor_tell_of_a_freeze_that_holds_and_of_one_that_is_over(config, capsys, freeze, said):
    config.write_text(f"kandji: {{api_url: 'http://127.0.0.1:9'}}\nfreeze: [{freeze}]\n")
    assert cli.main(["config"]) == 0
    assert f"warning: {said}" in " ".join(capsys.readouterr().err.split())
    told = [check for check in doctor.examine({"KANDJI_UPLOADER_DIR": str(config.parent)}) if check.subject == "freeze"]
    assert [(check.severity.value, check.text.startswith(said)) for check in told] == [("warning", True)]


def test_a_config_file_that_is_written_again_keeps_its_window_and_its_freezes(config):
    text = "window: {days: mon-thu, hours: '22:00-04:00', zone: UTC}\nfreeze: [{from: 2027-03-01, until: 2027-03-04}]\n"
    config.write_text(text)
    before, problems = writing.config_values(config)
    assert problems == ()
    for name in ("config.yaml", "config.json"):
        folder = config.parent / f"with {name}"
        folder.mkdir()
        (folder / name).write_text("{}")
        after, _ = writing.config_values(writing.write_config(folder, before))
        assert [after[key] for key in ("window", "freeze")] == [before[key] for key in ("window", "freeze")]
