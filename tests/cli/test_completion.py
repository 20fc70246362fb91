"""The completion scripts, in the real shells at a terminal: TAB is pressed, and what is shown is looked at."""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess

import pytest

from tests.support.commands import parsers
from tests.support.terminal import Terminal
from tools import completion

SHELLS = {
    "zsh": ["zsh", "-f", "-i"],
    "bash": ["bash", "--norc", "--noprofile", "-i"],
}
START = {
    "zsh": "PS1='> '; autoload -U compinit; compinit -u -D; setopt no_beep; eval \"$(<{script})\"; print re''ady",
    "bash": "PS1='> '; bind 'set show-all-if-ambiguous on'; bind 'set bell-style none'; source {script}; echo re''ady",
}


LINES = [
    ("doc", "kandji-uploader doctor"),
    ("re", "rehearse"),
    ("upload --js", "upload --json"),
    ("-p x.pkg --allow-d", "-p x.pkg --allow-downgrade"),
    ("upload --enforcement upd", "--enforcement update_only"),
    ("-p inst", "-p installer.pkg"),
    ("schedule inst", "schedule install"),
    ("schedule add --ev", "schedule add --every"),
    ("completion z", "completion zsh"),
    ("promote Goo", r"promote Google\ Drive"),
    ("-p x.pkg -t Goo", r"-p x.pkg -t Google\ Drive"),
]
"""What is typed after the program's name, and what TAB makes of it."""


@pytest.mark.parametrize("name", SHELLS)
def test_what_tab_completes(here, tmp_path, name):
    if shutil.which(name) is None:
        pytest.skip(f"there is no {name}")
    script = tmp_path / "script"
    script.write_text(here("completion", name).stdout)
    (tmp_path / "installer.pkg").touch()
    names = tmp_path / "state" / "custom-apps"
    names.parent.mkdir()
    names.write_text("Google Drive\nHello Kandji\nHello World $(id)\n")
    environ = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "LC_ALL": "C.UTF-8"}
    environ["KANDJI_UPLOADER_STATE_DIR"] = str(names.parent)
    with Terminal(SHELLS[name], environ, cwd=tmp_path) as terminal:
        terminal.line(START[name].format(script=script))
        for line, expected in LINES:
            terminal.expect("ready\n")
            terminal.type(f"kandji-uploader {line}\t\t")
            # A shell that completes in the middle of what it shows moves about and draws the line in parts.
            shown = r"(?:\x1b\[[0-9;]*[A-Za-z])*".join(map(re.escape, expected))
            terminal.expect(rf"{shown}(?![\w-])")
            terminal.type("\x15")  # the line is taken back, whatever stands in it
            terminal.line("echo re''ady")


@pytest.mark.skipif(not shutil.which("fish"), reason="there is no fish")
@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("doc", ["doctor"]),
        ("upload --js", ["--json"]),
        ("schedule inst", ["install"]),
        ("promote Goo", ["Google Drive"]),
        ("upload --name Hel", ["Hello Kandji", "Hello World $(id)"]),
    ],
)
def test_what_fish_completes(here, tmp_path, line, expected):
    (tmp_path / "custom-apps").write_text("Google Drive\nHello Kandji\nHello World $(id)\n")
    script = tmp_path / "script"
    script.write_text(here("completion", "fish").stdout)
    words = ["fish", "--no-config", "-c", f"source {script}; complete -C 'kandji-uploader {line}'"]
    environ = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "KANDJI_UPLOADER_STATE_DIR": str(tmp_path)}
    done = subprocess.run(words, env=environ, capture_output=True, text=True, check=True)
    assert sorted(each.split("\t")[0] for each in done.stdout.splitlines()) == expected


def test_names_are_those_of_the_list_that_was_read_last(house, here):
    house.tenant.seed("Firefox")
    here("-p", house.widget(), "-n", "Widget", "-y")
    assert not (house.state / "custom-apps").exists(), "a dry run writes nothing"
    here("-p", house.widget(), "-n", "Widget", "--enforcement", "install_once")
    assert (house.state / "custom-apps").read_text() == "Firefox\nWidget\n"
    house.tenant.seed("Slack\x1b[2J")
    here("status", "Firefox")
    assert (house.state / "custom-apps").read_text() == "Firefox\nWidget\n", "what a terminal would obey is left out"


@pytest.mark.parametrize("name", SHELLS)
def test_one_command_installs_it(house, here, name):
    if shutil.which(name) is None:
        pytest.skip(f"there is no {name}")
    start = house.folder / f".{name}rc"
    start.write_text("PS1='> '")
    for _ in range(2):
        done = here("completion", "--install", SHELL=f"/bin/{name}")
        assert done.returncode == 0, done.stderr
    assert len(start.read_text().splitlines()) == 2, "one line more, once"
    assert (house.folder / ".local/share/man/man1/kandji-uploader.1").read_text().startswith(".TH")
    environ = {"PATH": "/usr/bin:/bin", "HOME": str(house.folder), "LC_ALL": "C.UTF-8"}
    with Terminal([name, "-i"], environ, cwd=house.folder) as terminal:
        terminal.line("echo re''ady")
        terminal.expect(r"\bready")
        terminal.type("kandji-uploader doc\t")
        terminal.expect("kandji-uploader doctor")


def test_fish_finds_it_without_a_line_anywhere(house, here):
    done = here("completion", "fish", "--install")
    assert (house.folder / ".config/fish/completions/kandji-uploader.fish").is_file(), done.stderr
    assert sorted(path.name for path in house.folder.iterdir() if path.name.endswith("rc")) == []


def test_the_scripts_are_those_of_the_parsers():
    shipped = {shell: path.read_text(encoding="utf-8") for shell, path in completion.SCRIPTS.items()}
    assert shipped == {shell: completion.script(shell) for shell in shipped}, "make examples writes them"


@pytest.mark.parametrize("name", completion.SCRIPTS)
def test_names_are_read_from_the_state_folder_that_the_settings_name(house, here, name):
    house.config.mkdir(exist_ok=True)
    (house.config / "config.yaml").write_text(f"state_folder: {house.folder}/else where\n")
    assert f"{house.folder}/else where" in here("completion", name).stdout
    (house.config / "config.yaml").unlink()
    assert f"{house.folder}/.local/state/KandjiUploader" in here("completion", name).stdout


def test_a_shell_that_is_not_known_is_told(here):
    done = here("completion", SHELL="/bin/tcsh")
    assert done.returncode == 1
    assert "no completion for the shell 'tcsh'; name zsh, bash, fish" in done.stderr


@pytest.mark.parametrize("name", ["zsh", "bash"])
def test_the_scripts_are_sound(here, tmp_path, name):
    shell = shutil.which(name)
    if shell is None:
        pytest.skip(f"there is no {name}")
    script = tmp_path / "script"
    script.write_text(here("completion", name).stdout)
    done = subprocess.run([shell, "-n", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_every_flag_of_every_command_is_in_the_scripts(here):
    scripts = [here("completion", name).stdout for name in ("zsh", "bash", "fish")]
    for parser in parsers().values():
        for action in parser._actions:
            for flag in action.option_strings if action.help != argparse.SUPPRESS else ():
                assert all(flag in script for script in scripts[:2])
                assert re.search(rf" -[ls] {re.escape(flag.lstrip('-'))}(?![\w-])", scripts[2])
