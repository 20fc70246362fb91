"""What a terminal is taken to know: colours, links, its width."""

from __future__ import annotations

import io

import pytest

from kandji_uploader import cli
from kandji_uploader.cli import screen
from kandji_uploader.cli.screen import Screen

HEADS = ["Custom App", "Action", "Link"]


class Tty(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(
    ("environ", "knows"),
    [
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "iTerm.app"}, True),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "vscode"}, True),
        ({"TERM": "xterm-256color", "VTE_VERSION": "7600"}, True),
        ({"TERM": "xterm-kitty"}, True),
        ({"TERM": "xterm-256color", "VTE_VERSION": "4600"}, False),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "Apple_Terminal"}, False),
        ({"TERM": "dumb", "TERM_PROGRAM": "iTerm.app"}, False),
        ({}, False),
    ],
)
def test_a_link_is_shown_where_the_terminal_is_known_to_know_them(environ, knows):
    assert screen.of(Tty(), environ).links is knows
    assert screen.of(io.StringIO(), environ).links is False, "a file gets the address"


def test_a_terminal_that_does_not_tell_its_width_has_80_columns_and_columns_wins():
    assert screen.of(Tty(), {"TERM": "xterm"}).room == 80
    assert screen.of(Tty(), {"TERM": "xterm", "COLUMNS": "132"}).room == 132
    assert screen.of(Tty(), {"TERM": "xterm", "COLUMNS": "3"}).room == 20, "narrower would be one letter a line"
    assert screen.of(io.StringIO(), {"COLUMNS": "40"}).room is None


def test_an_address_that_a_terminal_would_obey_is_no_link():
    shown = Screen(links=True).table(HEADS, [["Fox", "created", "https://acme.kandji.io/\x1b]0;owned\x07"]])
    assert "\x1b" not in shown
    assert "Fox" in shown


@pytest.mark.parametrize("words", [["add", "x", "--quiet"], ["--quiet", "add", "x"]])
def test_what_every_command_takes_may_stand_before_and_after_its_word(words):
    assert cli.parser_of("schedule").parse_args(words).quiet is True


def test_only_what_the_program_says_is_coloured_and_not_a_name():
    shown = Screen(colours=True).table(HEADS, [["failed", "failed", ""]])
    assert shown.count("\x1b[1;31mfailed") == 1
