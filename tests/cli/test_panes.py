"""What each command shows at 40, 80 and 200 columns, without and with colours and links, as it was approved.

`UPDATE_PANES=1 pytest tests/cli/test_panes.py` writes what is shown now into `panes/`, to be read before it is kept.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import pytest

from kandji_uploader.cli import COMMANDS
from tests.support.panes import BEGIN, END, PANES
from tests.support.terminal import Terminal

ROOT = Path(__file__).parents[2]
APPROVED = Path(__file__).parent / "panes"
VARIES = (
    (re.compile(r"(?<=127\.0\.0\.1:)[0-9]{5}"), "PORT5"),
    (re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"), "4e44ed2d-5be8-4647-b63b-92d52d3d8864"),
    (re.compile(r"(?<=/tmp/panes-)[a-z0-9_]{8}"), "FOLDER12"),
    (re.compile(r"20[0-9]{2}-[0-9]{2}-[0-9]{2}([T ])[0-9]{2}:[0-9]{2}(:[0-9]{2})?"), r"2026-01-02\g<1>03:04"),
    (re.compile(r"rehearsal-[0-9a-f]{32}"), "rehearsal-0123456789abcdef0123456789abcdef"),
)
LINK = re.compile(r"\x1b\]8;;(.*?)\x1b\\")
_SETTINGS = 9
COLOUR = re.compile(r"\x1b\[[0-9;]*m")


@pytest.fixture(scope="module")
def shown():
    """The panes by their names, from one process at a real terminal."""
    environ = {"PATH": "/usr/bin:/bin", "HOME": "/tmp", "LC_ALL": "C.UTF-8"}
    with Terminal([sys.executable, "-m", "tests.support.panes"], environ, cwd=ROOT) as terminal:
        assert terminal.end() == 0, terminal.screen
    text = terminal.screen
    for pattern, instead in VARIES:
        text = pattern.sub(instead, text)
    panes = {name: text.split(f"{BEGIN}{name}\n")[1].split(f"{END}{name}\n")[0] for name in PANES}
    if os.environ.get("UPDATE_PANES"):
        for name, pane in panes.items():
            (APPROVED / f"{name}.txt").write_text(_readable(pane), encoding="utf-8")
    return panes


@pytest.mark.parametrize("name", PANES)
def test_what_is_shown_is_what_was_approved(shown, name):
    assert _readable(shown[name]) == (APPROVED / f"{name}.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", PANES)
def test_no_table_is_wider_than_the_terminal_and_no_word_of_one_is_broken(shown, name):
    columns, _ = PANES[name]
    for line in _tables(COLOUR.sub("", LINK.sub("", shown[name]))):
        assert len(line) <= columns or not re.search(r"\S\s+\S", line.strip().removeprefix("Link: ")), line


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_colours_and_links_add_nothing_that_must_be_read(shown, columns):
    plain, coloured = shown[f"{columns}-dumb"], shown[f"{columns}-colour"]
    assert COLOUR.search(coloured)
    assert not COLOUR.search(plain)
    words = set(re.findall(r"[a-z]{3,}", plain)) - {"http", "library", "custom", "ink"}
    assert words <= set(re.findall(r"[a-z]{3,}", COLOUR.sub("", coloured)))


def test_links_are_links_where_the_terminal_knows_them_and_addresses_elsewhere(shown):
    outcomes = shown["200-colour"].split("$ kandji-uploader setup")[0]
    assert "127.0.0.1" not in LINK.sub("", outcomes)
    assert "http://127.0.0.1:PORT5/library/custom-apps/" in _without_settings(shown["200-dumb"])
    assert ("http://127.0.0.1:PORT5/library/custom-apps/4e44ed2d-5be8-4647-b63b-92d52d3d8864") in LINK.findall(
        shown["40-colour"]
    )


def test_a_single_failure_prints_no_table(shown):
    (told,) = re.findall(r"^\$ kandji-uploader -p Broken\.pkg\n(.*?)\n\n", shown["80-dumb"], re.DOTALL | re.MULTILINE)
    assert told.startswith("error: Broken.pkg")
    assert "Custom App" not in told


def test_quiet_leaves_the_outcome(shown):
    (told,) = re.findall(r"--quiet\n(.*?)\n\n", shown["200-dumb"], re.DOTALL)
    assert told.splitlines()[0].startswith("Custom App")
    assert len(told.splitlines()) == 3


def _readable(pane):
    """The codes of a terminal as a person can read them in a file."""
    return _without_settings(pane).replace("\x1b", "\u241b")


def _without_settings(pane):
    """All but the list of settings, which grows with each key: of it the first ones."""
    before, settings = pane.split("$ kandji-uploader config\n")
    return f"{before}$ kandji-uploader config\n{''.join(settings.splitlines(keepends=True)[:_SETTINGS])}"


def _tables(text):
    """The lines of standard output that are rows, by the shape of a table or a block."""
    for block in text.split("\n\n"):
        lines = block.splitlines()
        for number, line in enumerate(lines):
            if re.fullmatch(r"-+(  -+)+", line):
                yield from lines[number - 1 :]
            elif re.match(r"  [A-Z][a-zA-Z ]+: ", line):
                yield line


def test_every_command_is_shown(shown):
    named = set(re.findall(r"^\$ kandji-uploader ([a-z-]+)", shown["80-dumb"], re.MULTILINE))
    # What these print is for programs, or tried as a whole in tests of their own.
    assert {"upload", "audit-script", "schema", "demo"} | named >= set(COMMANDS)
