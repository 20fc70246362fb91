"""launchd and systemd run the cycles; their files are theirs to read, and hold no secret."""

from __future__ import annotations

import plistlib
import shutil
import subprocess
import sys
from dataclasses import replace

import pytest

from kandji_uploader import schedule
from kandji_uploader.errors import ScheduleError

LABEL = "com.github.kandjiuploader.schedule"
UNIT = "kandji-uploader-schedule"


@pytest.fixture
def folder(programs):
    return programs.home / 'config "folder"'


@pytest.fixture
def agent(programs, folder):
    """A LaunchAgent of user 501 that does not really wait."""
    waited = []
    made = schedule.for_platform(folder, programs.environ, "darwin")
    assert isinstance(made, schedule.LaunchAgent)
    made = replace(made, uid=501, wait=waited.append)
    object.__setattr__(made, "waited", waited)
    return made


@pytest.fixture
def timer(programs, folder):
    made = schedule.for_platform(folder, programs.environ, "linux")
    assert isinstance(made, schedule.SystemdTimer)
    return made


class TestLaunchAgent:
    def test_the_plist_says_what_when_and_where(self, agent, folder, programs):
        said = agent.install(4)
        plist = plistlib.loads((programs.home / "Library/LaunchAgents" / f"{LABEL}.plist").read_bytes())
        assert plist["Label"] == LABEL
        assert plist["ProgramArguments"] == [sys.executable, "-m", "kandji_uploader", "schedule", "run"]
        assert plist["StartInterval"] == 4 * 3600
        assert plist["RunAtLoad"] is True
        assert plist["EnvironmentVariables"]["KANDJI_UPLOADER_DIR"] == str(folder)
        assert plist["StandardErrorPath"] == str(agent.log)
        assert agent.log.parent.is_dir()
        assert "a cycle now and every 4 hours" in said
        assert "keychain" in said

    def test_it_is_loaded_for_the_user_and_an_older_one_first_unloaded(self, agent, programs):
        agent.install(4)
        assert programs.calls() == [
            ["launchctl", "bootout", f"gui/501/{LABEL}"],
            ["launchctl", "bootstrap", "gui/501", str(agent.path)],
        ]

    def test_no_secret_is_in_the_plist(self, agent):
        agent.install(4)
        assert b"t0p-secret" not in agent.path.read_bytes()

    def test_others_cannot_write_the_plist(self, agent):
        agent.install(4)
        assert agent.path.stat().st_mode & 0o777 == 0o644

    def test_an_agent_that_is_still_going_away_is_waited_for(self, agent, programs):
        for _ in range(2):
            programs.answer("launchctl", 5, "bootstrap", "Bootstrap failed: 5: Input/output error", once=True)
        agent.install(4)
        assert agent.waited == [1.0, 2.0]
        assert [call[1] for call in programs.calls()] == ["bootout", "bootstrap", "bootstrap", "bootstrap"]

    @pytest.mark.parametrize(("code", "tries"), [(5, 4), (125, 1)])
    def test_what_launchctl_says_is_told(self, agent, programs, code, tries):
        programs.answer("launchctl", code, "bootstrap", "Domain does not support specified action")
        with pytest.raises(ScheduleError, match=r"bootstrap gui/501 .* failed: Domain does not support"):
            agent.install(4)
        assert len([call for call in programs.calls() if call[1] == "bootstrap"]) == tries
        assert not agent.path.exists(), "launchd would load it when somebody logs in"

    def test_root_is_told_to_leave_out_sudo(self, agent, programs):
        with pytest.raises(ScheduleError, match="without sudo"):
            replace(agent, uid=0).install(4)
        assert programs.calls() == []

    def test_the_status_tells_installed_active_and_hours(self, agent, programs):
        assert agent.status() == "the LaunchAgent is not installed; `kandji-uploader schedule install` does it"
        assert agent.hours() is None
        agent.install(6)
        assert agent.status() == f"the LaunchAgent {agent.path} is active"
        assert agent.hours() == 6
        programs.answer("launchctl", 113, "print")
        assert "not active; install it again" in agent.status()

    def test_uninstalling_unloads_and_removes(self, agent, programs):
        agent.install(4)
        assert agent.uninstall() == f"removed {agent.path}"
        assert not agent.path.exists()
        assert programs.calls()[-1] == ["launchctl", "bootout", f"gui/501/{LABEL}"]
        assert agent.uninstall() == "it was not installed"

    def test_a_plist_that_is_broken_counts_as_none(self, agent):
        agent.install(4)
        agent.path.write_text("<plist")
        assert agent.hours() is None


class TestSystemdTimer:
    def test_the_timer_is_enabled_and_started_anew(self, timer, programs):
        said = timer.install(4)
        assert programs.calls() == [
            ["systemctl", "--user", "daemon-reload"],
            ["systemctl", "--user", "enable", f"{UNIT}.timer"],
            ["systemctl", "--user", "restart", f"{UNIT}.timer"],
        ]
        assert "a cycle now and every 4 hours" in said
        assert "loginctl enable-linger" in said

    def test_the_units_are_the_users_own(self, timer, programs):
        timer.install(4)
        assert timer.timer == programs.home / ".config/systemd/user" / f"{UNIT}.timer"
        elsewhere = {**programs.environ, "XDG_CONFIG_HOME": str(programs.home / "xdg")}
        other = schedule.for_platform(timer.config_folder, elsewhere, "linux")
        assert other.units == programs.home / "xdg/systemd/user"

    def test_no_secret_is_in_the_units(self, timer):
        timer.install(4)
        assert "t0p-secret" not in timer.service.read_text() + timer.timer.read_text()

    def test_every_sign_in_a_path_is_taken_as_it_is(self, timer):
        timer.install(4)
        service = timer.service.read_text()
        assert "KANDJI_UPLOADER_DIR=" in service
        assert "100%%" in service
        assert 'config \\"folder\\"' in service

    @pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd here")
    def test_systemd_finds_nothing_wrong_with_the_units(self, timer):
        timer.install(4)
        done = subprocess.run(
            ["systemd-analyze", "verify", "--user", "--man=no", str(timer.service), str(timer.timer)],
            capture_output=True,
            text=True,
            check=False,
            env={"PATH": "/usr/bin:/bin", "HOME": str(timer.units), "XDG_RUNTIME_DIR": str(timer.units)},
        )
        ours = [line for line in (done.stdout + done.stderr).splitlines() if UNIT in line]
        assert ours == []

    @pytest.mark.parametrize("word", ["daemon-reload", "enable", "restart"])
    def test_what_systemctl_says_is_told_and_nothing_is_left_behind(self, timer, programs, word):
        programs.answer("systemctl", 1, word, "Failed to connect to bus: No medium found")
        with pytest.raises(ScheduleError, match=f"`systemctl --user {word}.*Failed to connect to bus") as told:
            timer.install(4)
        assert "over SSH or at the screen, not through su or sudo" in str(told.value)
        assert "\n" not in str(told.value)
        assert list(programs.home.iterdir()) == []

    def test_a_timer_that_was_there_stays_as_it_was(self, timer, programs):
        timer.install(4)
        programs.answer("systemctl", 1, "daemon-reload", "Failed to connect to bus: No medium found")
        with pytest.raises(ScheduleError):
            timer.install(6)
        assert timer.hours() == 4

    def test_the_status_tells_installed_active_and_hours(self, timer, programs):
        assert "not installed" in timer.status()
        assert timer.hours() is None
        timer.install(6)
        assert timer.status() == f"the systemd timer {timer.timer} is active"
        assert timer.hours() == 6
        programs.answer("systemctl", 3, "is-active")
        assert "not active; install it again" in timer.status()

    def test_uninstalling_stops_and_removes(self, timer, programs):
        timer.install(4)
        assert timer.uninstall() == f"removed {timer.timer} and {timer.service}"
        assert programs.calls()[-2:] == [
            ["systemctl", "--user", "disable", "--now", f"{UNIT}.timer"],
            ["systemctl", "--user", "daemon-reload"],
        ]
        assert timer.uninstall() == "it was not installed"


@pytest.mark.parametrize(("platform", "program"), [("darwin", "launchctl"), ("linux", "systemctl")])
def test_where_nothing_can_start_the_cycles_the_loop_is_the_advice(programs, folder, platform, program):
    (programs.folder / program).unlink()
    agent = schedule.for_platform(folder, programs.environ, platform)
    if platform == "darwin":
        agent = replace(agent, uid=501)
    with pytest.raises(ScheduleError, match=f"`{program}` is not on PATH.*schedule run --loop"):
        agent.install(4)


def test_a_folder_that_cannot_be_written_is_one_sentence(programs, folder):
    (programs.home / ".config").write_text("a file")
    with pytest.raises(ScheduleError, match="cannot be made"):
        schedule.for_platform(folder, programs.environ, "linux").install(4)
