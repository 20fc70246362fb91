"""The manual page is what the parsers say, in macros that every `man` knows."""

import re
import subprocess
import sys

from tests.support.commands import parsers
from tools import man


def test_the_page_is_that_of_the_parsers():
    assert man.PAGE.read_text(encoding="utf-8") == man.page(), "make examples writes it"


def test_every_flag_is_in_it():
    text = man.page().replace("\\-", "-")
    for parser in parsers().values():
        for action in parser._actions:
            assert all(flag in text for flag in action.option_strings if flag not in ("-h", "--help"))


def test_a_page_holds_macros_and_texts_only():
    known = {".TH", ".SH", ".SS", ".TP", ".B", ".PP", ".br", ".nf", ".fi", ".RS", ".RE"}
    lines = man.page().splitlines()
    assert {line.split()[0] for line in lines if line.startswith(".")} <= known
    assert not any(line.startswith("'") or re.search(r"(?<!\\)-", line) for line in lines)


def test_the_width_of_the_terminal_changes_nothing():
    script = "import sys; sys.path[:0] = ['shared', 'tools']; import man; sys.exit(man.page() != man.PAGE.read_text())"
    environ = {"COLUMNS": "40", "PATH": "/usr/bin:/bin"}
    assert subprocess.run([sys.executable, "-c", script], cwd=man.ROOT, env=environ, check=False).returncode == 0
