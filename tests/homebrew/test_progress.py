"""A bar on a terminal (a real one: a pty), plain lines elsewhere."""

from __future__ import annotations

import fcntl
import io
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import textwrap

import pytest

from kandji_uploader.cli.progress import Progress, duration, size

MB = 1_000_000


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def on_a_terminal(script, columns=80, **environ):
    """What a script writes to a terminal of that width."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    env = {**os.environ, "PYTHONPATH": "shared", "TERM": "xterm", **environ}
    env.pop("COLUMNS", None)
    start = "import time\nfrom kandji_uploader.cli.progress import Progress\n"
    words = [sys.executable, "-c", start + textwrap.dedent(script)]
    process = subprocess.Popen(words, stdin=slave, stdout=slave, stderr=slave, env=env)
    os.close(slave)
    said = b""
    while True:
        try:
            block = os.read(master, 4096)
        except OSError:  # Linux: the other side is closed
            break
        if not block:
            break
        said += block
    os.close(master)
    assert process.wait(timeout=10) == 0
    return said.decode()


TRANSFER = """
    with Progress("upload of App.dmg") as told:
        for done in range(0, 101, 5):
            told(done * 1_000_000, 100_000_000)
            time.sleep(0.03)
"""


def test_on_a_terminal_one_line_is_drawn_over_and_over_with_speed_and_time_left():
    said = on_a_terminal(TRANSFER)
    assert said.count("\n") == 1, "one line, ended once"
    draws = [part for part in said.replace("\r\n", "").split("\r") if part]
    assert len(draws) > 3
    assert all(len(draw) < 80 for draw in draws)
    assert re.search(r"\[#+\.+\] +\d+ % of 100\.0 MB, \d+(\.\d)? MB/s, 0:0\d left", said)
    last = draws[-1].rstrip()
    assert re.fullmatch(r"upload of App\.dmg  \[#+\] 100 % of 100\.0 MB, [\d.]+ MB/s", last)


def test_a_narrow_terminal_gets_figures_without_a_bar_and_never_two_lines():
    said = on_a_terminal(TRANSFER, columns=40)
    assert "#" not in said
    assert all(len(draw.rstrip()) < 40 for draw in said.split("\r"))


def test_a_transfer_that_breaks_off_ends_the_line():
    said = on_a_terminal(
        """
        try:
            with Progress("download") as told:
                told(10, 100)
                raise KeyboardInterrupt
        except KeyboardInterrupt:
            print("stopped")
        """
    )
    assert said.endswith("\r\nstopped\r\n")


def test_an_unknown_size_is_shown_as_what_is_done():
    said = on_a_terminal(
        'with Progress("download") as told:\n    told(0, 0)\n    time.sleep(0.12)\n    told(2_500_000, 0)\n'
    )
    assert re.search(r"download  2\.5 MB, [\d.]+ MB/s", said)


def test_a_dumb_terminal_gets_plain_lines():
    said = on_a_terminal(TRANSFER, TERM="dumb")
    assert said.count("\n") == 10
    assert "[" not in said


def test_elsewhere_a_line_every_ten_per_cent(clock):
    stream = io.StringIO()
    told = Progress("download of App.dmg", stream, clock)
    for done in range(0, 201 * MB, MB):
        clock.now += 0.1
        told(done, 200 * MB)
    told.close()
    lines = stream.getvalue().splitlines()
    assert len(lines) == 10
    assert lines[0] == "download of App.dmg:  10 % of 200.0 MB, 10.0 MB/s, 0:18 left"
    assert lines[-1] == "download of App.dmg: 100 % of 200.0 MB, 10.0 MB/s"


def test_a_resumed_download_does_not_count_what_it_held_as_speed(clock):
    stream = io.StringIO()
    told = Progress("download", stream, clock)
    told(500 * MB, 1000 * MB)
    clock.now = 10.0
    told(600 * MB, 1000 * MB)
    assert stream.getvalue() == "download:  60 % of 1.00 GB, 10.0 MB/s, 0:40 left\n"


def test_a_transfer_that_begins_anew_is_shown_from_there(clock):
    stream = io.StringIO()
    told = Progress("upload", stream, clock)
    for done in (0, 50 * MB, 0, 50 * MB, 100 * MB):
        clock.now += 1.0
        told(done, 100 * MB)
    assert [line.split(" %")[0].split()[-1] for line in stream.getvalue().splitlines()] == ["50", "50", "100"]


def test_of_an_unknown_size_a_line_every_hundred_megabytes(clock):
    stream = io.StringIO()
    told = Progress("download", stream, clock)
    for done in range(0, 260 * MB, 10 * MB):
        clock.now += 1.0
        told(done, 0)
    assert [line.split(",")[0] for line in stream.getvalue().splitlines()] == [
        "download: 100.0 MB",
        "download: 200.0 MB",
    ]


def test_an_empty_transfer_shows_nothing_and_breaks_nothing(clock):
    stream = io.StringIO()
    with Progress("download", stream, clock) as told:
        told(0, 0)
        told(0, 0)
    assert stream.getvalue() == ""


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1000, "1 kB"),
        (999_600, "1.0 MB"),
        (1_550_000, "1.6 MB"),
        (2.5e9, "2.50 GB"),
    ],
)
def test_sizes_are_in_the_units_of_macos(count, text):
    assert size(count) == text


@pytest.mark.parametrize(("seconds", "text"), [(0.4, "0:00"), (59.6, "1:00"), (754, "12:34"), (3661, "1:01:01")])
def test_durations(seconds, text):
    assert duration(seconds) == text
