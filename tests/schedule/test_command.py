"""`kandji-uploader schedule` as an admin types it."""

from __future__ import annotations

import json
import time

import pytest

from kandji_uploader.cli import main
from kandji_uploader.cli.failures import Exit
from kandji_uploader.schedule.running import noted
from tests.support import stranger
from tests.support.cask_server import cask_server


@pytest.fixture
def folder(tmp_path, programs, monkeypatch):
    """The config folder; PATH holds the stand-ins only, and this is a Linux machine."""
    folder = tmp_path / "config"
    for name, value in {**programs.environ, "KANDJI_UPLOADER_DIR": str(folder)}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("KANDJI_UPLOADER_STATE_DIR", str(folder / "state"))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    return folder


def held(folder):
    return json.loads((folder / "brew_cron.json").read_text())


def test_casks_are_added_and_removed(folder, capsys):
    assert main(["schedule", "add", "firefox", "slack", "--every", "4", "--unchecked"]) == 0
    assert held(folder) == {"brew_casks": ["firefox", "slack"], "every_n_hours": 4}
    assert main(["schedule", "add", "zoom", "--unchecked"]) == 0
    assert main(["schedule", "remove", "slack"]) == 0
    assert held(folder) == {"brew_casks": ["firefox", "zoom"], "every_n_hours": 4}
    assert capsys.readouterr().out.splitlines()[-1].endswith("brew_cron.json: every 4 hours: firefox, zoom")
    assert main(["schedule", "remove", "slack"]) == 1
    assert "does not hold slack; it holds firefox, zoom" in capsys.readouterr().err


def test_homebrew_is_asked_whether_there_is_such_a_cask(folder, capsys, monkeypatch):
    with cask_server() as server:
        for name, value in server.environ.items():
            monkeypatch.setenv(name, value)
        server.add("firefox")
        server.add("old", deprecated=True)
        assert main(["schedule", "add", "firefox", "old"]) == 0
        assert "warning: the cask 'old' is deprecated" in capsys.readouterr().err
        assert main(["schedule", "add", "firefoxx"]) == 1
        assert "did you mean firefox" in capsys.readouterr().err
    assert held(folder)["brew_casks"] == ["firefox", "old"]


def test_install_status_and_uninstall(folder, programs, capsys):
    main(["schedule", "add", "firefox", "--every", "4", "--unchecked"])
    assert main(["schedule", "install"]) == 0
    assert "a cycle now and every 4 hours" in capsys.readouterr().out
    assert main(["schedule", "status"]) == 0
    said = capsys.readouterr().out
    assert "every 4 hours: firefox" in said
    assert ".timer is active" in said
    assert "no cycle was run yet" in said
    assert main(["schedule", "uninstall"]) == 0
    assert (folder / "brew_cron.json").exists()
    assert ["systemctl", "--user", "disable", "--now", "kandji-uploader-schedule.timer"] in programs.calls()


def test_other_hours_than_the_installed_ones_are_told(folder, capsys):
    main(["schedule", "add", "firefox", "--every", "4", "--unchecked"])
    main(["schedule", "install"])
    capsys.readouterr()
    main(["schedule", "add", "slack", "--every", "6", "--unchecked"])
    assert "runs every 4 hours, not every 6 hours; `kandji-uploader schedule install`" in capsys.readouterr().err
    assert main(["schedule", "install", "--every", "8"]) == 0
    assert held(folder)["every_n_hours"] == 8
    capsys.readouterr()
    main(["schedule", "status"])
    assert capsys.readouterr().err == ""


def test_the_status_tells_the_last_cycle(folder, capsys):
    main(["schedule", "add", "firefox", "slack", "--unchecked"])
    state = {
        "started": 0.0,
        "ended": 60.0,
        "actions": {"firefox": "skipped", "slack": "failed"},
        "errors": {"slack": "no"},
    }
    (folder / "state").mkdir(exist_ok=True)
    capsys.readouterr()
    (folder / "state" / "schedule.json").write_text(json.dumps(state))
    assert main(["schedule", "status"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[2].startswith("last cycle: 19")
    assert lines[3:] == ["  firefox: skipped", "  slack: failed: no"]


def test_a_loop_whose_cycle_does_not_begin_is_told_to_be_late(folder, capsys):
    main(["schedule", "add", "firefox", "--unchecked"])
    for seconds, code in ((500, 0), (700, 1)):
        with noted(folder / "state") as note:
            note(time.time() - seconds, "")
            assert main(["schedule", "status", "--loop"]) == code
        assert ("it is late: look at its messages" in capsys.readouterr().out) is bool(code)


def test_where_nothing_could_start_the_cycles_that_is_said(folder, capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    main(["schedule", "status"])
    assert "there is no systemd; `kandji-uploader schedule run --loop` does" in capsys.readouterr().out


@pytest.mark.parametrize("word", ["install", "run", "status"])
def test_without_a_file_the_advice_is_to_add_a_cask(folder, capsys, word):
    assert main(["schedule", word]) == Exit.SETTINGS
    told = capsys.readouterr()
    assert "is not there; make one with `kandji-uploader schedule add CASK" in told.out + told.err


def test_a_wrong_word_is_a_usage_error(folder, capsys):
    assert main(["schedule", "start"]) == Exit.USAGE
    assert "add|remove|install|uninstall|status|run" in capsys.readouterr().err


def test_the_real_python_api_is_called_for_each_cask(folder, capsys):
    """Without a tenant it fails, but as one sentence per cask and not at the import or the call."""
    main(["schedule", "add", "firefox", "slack", "--unchecked"])
    capsys.readouterr()
    assert main(["schedule", "run"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines if line.startswith(("firefox", "slack"))] == ["firefox", "slack"]
    assert all("kandji.api_url" in line or "KANDJI_API_URL" in line for line in lines), lines


def test_what_is_written_goes_through_a_link(folder, tmp_path):
    mounted = tmp_path / "mounted"
    mounted.mkdir()
    real = mounted / "brew_cron.json"
    real.write_text('{"brew_casks": ["firefox"], "every_n_hours": 4}')
    real.chmod(0o644)
    folder.mkdir()
    (folder / "brew_cron.json").symlink_to(real)
    assert main(["schedule", "add", "slack", "--unchecked"]) == 0
    assert main(["schedule", "remove", "firefox"]) == 0
    assert (folder / "brew_cron.json").readlink() == real
    assert json.loads(real.read_text()) == {"brew_casks": ["slack"], "every_n_hours": 4}
    assert real.stat().st_mode & 0o777 == 0o644, "others may have to read what they mount"
    assert [path.name for path in mounted.iterdir()] == ["brew_cron.json"]


def test_a_link_to_what_cannot_be_written_is_refused_with_the_file_to_edit(folder, tmp_path):
    mounted = tmp_path / "mounted"
    mounted.mkdir()
    (mounted / "brew_cron.json").write_text('{"brew_casks": ["firefox"], "every_n_hours": 4}')
    folder.mkdir()
    (folder / "brew_cron.json").symlink_to(mounted / "brew_cron.json")
    mounted.chmod(0o555)
    environ = {"HOME": str(tmp_path), "KANDJI_UPLOADER_DIR": str(folder)}
    ran = stranger.run("schedule", "remove", "firefox", **environ)
    mounted.chmod(0o755)
    assert ran.returncode == 1
    assert (
        f"brew_cron.json is a link to {mounted / 'brew_cron.json'}, which is to be edited where it comes from"
        in ran.stderr
    )
    assert (folder / "brew_cron.json").is_symlink()
    assert "firefox" in (mounted / "brew_cron.json").read_text()


def test_a_link_that_leads_nowhere_is_refused(folder, tmp_path, capsys):
    folder.mkdir()
    (folder / "brew_cron.json").symlink_to(tmp_path / "unmounted" / "brew_cron.json")
    assert main(["schedule", "add", "firefox", "--unchecked"]) == 1
    assert "which is to be edited where it comes from" in capsys.readouterr().err
    assert not (tmp_path / "unmounted").exists()
