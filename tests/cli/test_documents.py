"""The documents name every flag there is, and no other."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.commands import parsers

DOCS = Path(__file__).parents[2] / "docs"
OF_ALL = {"--color", "--quiet", "--no-progress"}


@pytest.mark.parametrize("command", parsers())
def test_what_every_command_takes_is_told_once(command):
    text = (DOCS / "command-line.md").read_text(encoding="utf-8")
    assert all(text.count(f"| `{flag}") == 1 for flag in OF_ALL)
    assert {flag for action in parsers()[command]._actions for flag in action.option_strings} >= OF_ALL


@pytest.mark.parametrize(("chapter", "command"), [("Publish", "upload"), ("Set up", "setup")])
def test_the_tables_of_flags_are_complete(chapter, command):
    text = (DOCS / "command-line.md").read_text(encoding="utf-8")
    (part,) = [part for part in text.split("\n## ") if part.startswith(chapter)]
    table = "\n".join(line.split("|")[1] + line for line in part.splitlines() if line.startswith("| `"))
    told = set(re.findall(r"(?<![\w-])--?[a-z][\w-]*", table, re.IGNORECASE))
    known = {flag for action in parsers()[command]._actions for flag in action.option_strings} - {"-h", "--help"}
    known -= OF_ALL
    assert known - told == set()
    assert {flag for flag in told if flag.startswith("--")} - known == set()


def test_every_flag_of_kpkg_is_one_of_ours():
    known = {flag for action in parsers()["upload"]._actions for flag in action.option_strings}
    assert known >= {"-h", "-p", "-b", "-u", "-n", "-t", "-s", "-z", "-c", "-d", "-v", "-S", "-y"}
    known = {flag for action in parsers()["setup"]._actions for flag in action.option_strings}
    assert known >= {"-h", "-a", "-b", "-c", "-i", "-m", "-r", "-u"}
