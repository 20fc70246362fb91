"""The file that says which casks are published and how often."""

from __future__ import annotations

import json

import pytest

from kandji_uploader import schedule, settings
from kandji_uploader.errors import ScheduleError, SettingsError
from kandji_uploader.schedule import Cron


def wrong(folder, content, name="brew_cron.json"):
    """What is said of a file with that content."""
    (folder / name).write_text(content)
    with pytest.raises(SettingsError) as caught:
        schedule.read(folder, settings)
    return str(caught.value)


def test_kpkgs_own_file_works_unchanged(tmp_path):
    (tmp_path / "brew_cron.json").write_text('{"brew_casks" : ["coteditor", "firefox"], "every_n_hours" : 2}')
    cron = schedule.read(tmp_path, settings)
    assert (cron.casks, cron.hours) == (("coteditor", "firefox"), 2)


def test_yaml_says_the_same(tmp_path):
    (tmp_path / "brew_cron.yaml").write_text("brew_casks:\n  - firefox # the browser\n  - slack\nevery_n_hours: 8\n")
    assert schedule.read(tmp_path, settings) == Cron(tmp_path / "brew_cron.yaml", ("firefox", "slack"), 8)


def test_a_cask_that_is_named_twice_is_published_once(tmp_path):
    (tmp_path / "brew_cron.json").write_text('{"brew_casks": ["a", "b", " a "], "every_n_hours": "3"}')
    cron = schedule.read(tmp_path, settings)
    assert (cron.casks, cron.hours) == (("a", "b"), 3)


def test_a_missing_file_tells_how_to_make_one(tmp_path):
    with pytest.raises(
        SettingsError, match=r"brew_cron\.json: is not there; make one with `kandji-uploader schedule add"
    ):
        schedule.read(tmp_path, settings)


def test_two_files_are_refused(tmp_path):
    (tmp_path / "brew_cron.json").write_text("{}")
    (tmp_path / "brew_cron.yaml").write_text("")
    with pytest.raises(SettingsError, match="keep one of them"):
        schedule.read(tmp_path, settings)


def test_all_problems_are_told_at_once(tmp_path):
    said = wrong(tmp_path, '{"brew_casks": ["firefox", 5, ""], "every_n_hour": 2}')
    assert "every_n_hour: is not known; did you mean every_n_hours?" in said
    assert "brew_casks[1] is 5: must be the name" in said
    assert "brew_casks[2] is '': must be the name" in said
    assert "every_n_hours is missing: must be whole hours, 1 to 168" in said


@pytest.mark.parametrize("hours", ["0", "169", "true", "1.5", '"two"', "-1", "null", "[2]"])
def test_hours_are_whole_and_at_most_a_week(tmp_path, hours):
    assert "every_n_hours is" in wrong(tmp_path, f'{{"brew_casks": [], "every_n_hours": {hours}}}')


@pytest.mark.parametrize("casks", ['"firefox"', "null", '{"firefox": 1}'])
def test_casks_are_a_list(tmp_path, casks):
    said = wrong(tmp_path, f'{{"brew_casks": {casks}, "every_n_hours": 2}}')
    assert "must be a list of Homebrew casks" in said


def test_broken_json_and_yaml_name_the_line(tmp_path):
    assert "line 2" in wrong(tmp_path, '{\n"brew_casks": [,]}')
    (tmp_path / "brew_cron.json").unlink()
    assert "line 2" in wrong(tmp_path, "brew_casks:\n  a: b: c\n", "brew_cron.yaml")


@pytest.mark.parametrize("name", ["brew_cron.json", "brew_cron.yaml"])
def test_what_is_written_reads_back(tmp_path, name):
    cron = Cron(tmp_path / "new" / name, ("firefox", "null", "1.10", "visual-studio-code@insiders"), 4)
    schedule.write(cron)
    assert schedule.read(tmp_path / "new", settings) == cron
    assert cron.path.stat().st_mode & 0o077 == 0
    schedule.write(schedule.removed(cron, cron.casks))
    assert schedule.read(tmp_path / "new", settings).casks == ()


def test_the_json_that_is_written_is_kpkgs(tmp_path):
    schedule.write(Cron(tmp_path / "brew_cron.json", ("firefox",), 2))
    assert json.loads((tmp_path / "brew_cron.json").read_text()) == {"brew_casks": ["firefox"], "every_n_hours": 2}


def test_comments_are_not_lost(tmp_path):
    path = tmp_path / "brew_cron.yaml"
    path.write_text("# mine\nbrew_casks: [firefox]\nevery_n_hours: 2\n")
    with pytest.raises(ScheduleError, match="has comments, which would be lost; edit it by hand"):
        schedule.write(schedule.added(schedule.read(tmp_path, settings), ["slack"]))
    assert settings.read_mapping_file(path)["brew_casks"] == ["firefox"]


def test_adding_keeps_the_order_and_the_hours(tmp_path):
    cron = Cron(tmp_path / "brew_cron.json", ("b",), 2)
    assert schedule.added(cron, ["a", "b"]).casks == ("b", "a")
    assert schedule.added(cron, ["a"]).hours == 2
    assert schedule.added(cron, ["a"], 6).hours == 6


@pytest.mark.parametrize("hours", [0, 169, -2])
def test_hours_out_of_range_are_refused(tmp_path, hours):
    with pytest.raises(ScheduleError, match="give whole hours, 1 to 168"):
        schedule.added(Cron(tmp_path / "brew_cron.json"), ["a"], hours)


def test_removing_what_is_not_there_is_an_error(tmp_path):
    cron = Cron(tmp_path / "brew_cron.json", ("firefox", "slack"))
    assert schedule.removed(cron, ["firefox"]).casks == ("slack",)
    with pytest.raises(ScheduleError, match=r"does not hold zoom; it holds firefox, slack"):
        schedule.removed(cron, ["zoom"])


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ScheduleError, match="cannot be written"):
        schedule.write(Cron(tmp_path / "file" / "brew_cron.json", ("a",)))


def test_a_rhythm_in_words():
    assert [schedule.rhythm(hours) for hours in (1, 2)] == ["every hour", "every 2 hours"]
