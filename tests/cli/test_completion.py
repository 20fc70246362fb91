"""The completion scripts, in the real shells at a terminal: TAB is pressed, and what is shown is looked at."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest

from tests.support.commands import parsers
from tests.support.terminal import Terminal

SHELLS = {
    "zsh": ["zsh", "-f", "-i"],
    "bash": ["bash", "--norc", "--noprofile", "-i"],
}
START = {
    "zsh": "PS1='> '; autoload -U compinit; compinit -u -D; setopt no_beep; eval \"$(<{script})\"; print re''ady",
    "bash": "PS1='> '; bind 'set show-all-if-ambiguous on'; bind 'set bell-style none'; source {script}; echo re''ady",
}


@pytest.fixture(params=SHELLS)
def shell(request, tmp_path, here):
    """A function that types a line and TAB, and returns what is on the screen then."""
    if shutil.which(request.param) is None:
        pytest.skip(f"there is no {request.param}")
    script = tmp_path / "script"
    script.write_text(here("completion", request.param).stdout)
    (tmp_path / "installer.pkg").touch()
    environ = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "LC_ALL": "C.UTF-8"}

    def press_tab(line, expected):
        with Terminal(SHELLS[request.param], environ, cwd=tmp_path) as terminal:
            terminal.line(START[request.param].format(script=script))
            terminal.expect(r"\bready")
            terminal.type(f"kandji-uploader {line}\t\t")
            terminal.expect(expected)
            return terminal.screen

    return press_tab


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("doc", "kandji-uploader doctor"),
        ("re", "rehearse"),
        ("upload --js", "upload --json"),
        ("-p x.pkg --allow-d", "-p x.pkg --allow-downgrade"),
        ("upload --enforcement upd", "--enforcement update_only"),
        ("-p inst", "-p installer.pkg"),
        ("schedule inst", "schedule install"),
        ("schedule add --ev", "schedule add --every"),
        ("completion z", "completion zsh"),
    ],
)
def test_what_tab_completes(shell, line, expected):
    # A shell that completes in the middle of what it shows moves about and draws the line in parts.
    shown = r"(?:\x1b\[[0-9;]*[A-Za-z])*".join(map(re.escape, expected))
    shell(line, rf"{shown}(?![\w-])")


@pytest.mark.parametrize(("name", "check"), [("zsh", ["zsh", "-n"]), ("bash", ["bash", "-n"])])
def test_the_scripts_are_sound(here, tmp_path, name, check):
    if shutil.which(check[0]) is None:
        pytest.skip(f"there is no {name}")
    script = tmp_path / "script"
    script.write_text(here("completion", name).stdout)
    done = subprocess.run([*check, script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_every_flag_of_every_command_is_in_the_scripts(here):
    scripts = [here("completion", name).stdout for name in ("zsh", "bash")]
    for parser in parsers().values():
        for action in parser._actions:
            assert all(flag in script for flag in action.option_strings for script in scripts)
