"""No program that is started learns a secret of ours."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import pytest

from kandji_uploader._util import children
from kandji_uploader.audit import simulate
from kandji_uploader.audit.script import AuditValues
from kandji_uploader.cli import demo
from kandji_uploader.errors import KandjiUploaderError
from kandji_uploader.homebrew.brew import find_with_brew
from kandji_uploader.installer import mounted, seven_zip
from kandji_uploader.installer.seven_zip import SevenZipImage
from kandji_uploader.schedule.agents import LaunchAgent, SystemdTimer
from kandji_uploader.setup import autopkg_tool, doctor

SECRETS = {
    "KANDJI_TOKEN": "the secret",
    "MY_OWN_NAME_OF_IT": "the secret",
    "SLACK_TOKEN": "https://hooks.slack.com/the secret",
    "HTTPS_PROXY": "http://me:the secret@proxy:3128",
    "all_proxy": "socks5://me:the secret@proxy:3128",
    "IRUPKG_TOKEN": "the secret",
    "AWS_SECRET_ACCESS_KEY": "the secret",
}


@pytest.fixture
def programs(tmp_path, monkeypatch):
    """Stand-ins that note what they know, in front of everything else on PATH."""
    folder, notes = tmp_path / "bin", tmp_path / "notes"
    folder.mkdir()
    notes.mkdir()
    for name in ("7zz", "hdiutil", "autopkg", "brew", "launchctl", "systemctl", "zsh"):
        program = folder / name
        program.write_text(f'#!/bin/sh\nenv >> "{notes}/{name}"\necho "7-Zip (z) 99.01 (x64)"\n')
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    return notes


def image(folder: Path) -> Path:
    path = folder / "App.dmg"
    path.write_bytes(b"no image" * 100)
    return path


def look_into_an_image(folder):
    list(seven_zip.SevenZipImage(seven_zip.find_program(image(folder)), image(folder)).items())


def attach_an_image(folder):
    with mounted.attached(image(folder)):
        pass


def try_an_audit_script(_):
    simulate.check("PREFIX=''\n", AuditValues("App.app", "org.app", None, "1", 0, 0))


def demonstrate(folder):
    demo._with_autopkg(folder, {"KANDJI_API_URL": "http://127.0.0.1:1"})("1.0")


CHILDREN = {
    "7zz": look_into_an_image,
    "hdiutil": attach_an_image,
    "zsh": try_an_audit_script,
    "autopkg": lambda _: autopkg_tool.recipes(os.environ),
    "autopkg of the demo": demonstrate,
    "autopkg of the doctor": lambda _: doctor._output(["autopkg", "version"]),
    "brew": lambda _: find_with_brew("app"),
    "launchctl": lambda folder: LaunchAgent(folder, folder, uid=501).uninstall(),
    "systemctl": lambda folder: SystemdTimer(folder, folder, os.environ).uninstall(),
}


@pytest.mark.parametrize("child", CHILDREN)
def test_a_program_learns_no_token_no_webhook_and_no_password(programs, tmp_path, child):
    work = tmp_path / "work"
    work.mkdir()
    with contextlib.suppress(KandjiUploaderError):  # a stand-in does nothing, which is not what is tried here
        CHILDREN[child](work)
    known = (programs / child.partition(" ")[0]).read_text()
    assert "secret" not in known
    assert "PATH=" in known


def test_a_program_gets_what_its_caller_names():
    given = {"PATH": "/bin", "LC_ALL": "C", "XDG_RUNTIME_DIR": "/run", "XDG_CONFIG_HOME": "/c", "OTHER": "x"}
    assert children.surroundings(given) == {"PATH": "/bin", "LC_ALL": "C"}
    assert children.surroundings(given, ("XDG_*",)).keys() == given.keys() - {"OTHER"}
    assert children.surroundings(given, ("OTHER",)).keys() == {"PATH", "LC_ALL", "OTHER"}


def test_a_program_that_does_not_end_is_ended():
    with pytest.raises(children.ProgramTooSlowError, match="sleep did not end within"):
        children.run(["sleep", "60"], children.surroundings(), seconds=0.1)


def test_what_ctrl_c_has_ended_is_no_verdict(tmp_path):
    """Ctrl-C reaches each program of a terminal; an audit script was called bad where zsh had just been ended by it."""
    program = tmp_path / "7zz"
    program.write_text("#!/bin/sh\nkill -INT $$\n")
    program.chmod(0o755)
    with pytest.raises(KeyboardInterrupt):
        children.run([str(program)], children.surroundings())
    with pytest.raises(KeyboardInterrupt):
        list(SevenZipImage(str(program), tmp_path / "Any.dmg").items())
