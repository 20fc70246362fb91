"""The demo shows what it says it shows, through AutoPkg where there is one, else through the library."""

import os
import re
import shutil
import subprocess
import sys

import pytest
import requests

from tests.support import sealed
from tests.support.terminal import Terminal


def demo(*flags):
    command = [sys.executable, "-m", "kandji_uploader", "demo", *flags]
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("KANDJI_", "SLACK_", "KPKG_"))}
    environ["PYTHONPATH"] = str(sealed.checkout() / "shared")
    return subprocess.run(command, capture_output=True, text=True, timeout=100, check=False, env=environ)


def test_the_demo_stays_until_ctrl_c():
    words = [sys.executable, "-m", "kandji_uploader", "demo", "--stay", "--without-autopkg"]
    with Terminal(words, {**os.environ}) as terminal:
        address = terminal.expect(r"The tenant stays at (\S+) until Ctrl-C")[1]
        page = requests.get(address, timeout=10).text
        assert page.count("HelloKandji-1.1.pkg") == 1
        assert "Create Custom App" in page, "the requests of the first step are there, too"
        terminal.ctrl_c()
        assert terminal.end() == 0
        assert "The tenant has stopped." in terminal.screen
        assert terminal.screen.count("^C") == 1


def steps(text):
    return re.split(r"^== \d\. ", text, flags=re.MULTILINE)[1:]


@pytest.mark.parametrize(
    "flags",
    [
        pytest.param((), marks=pytest.mark.skipif(not shutil.which("autopkg"), reason="there is no autopkg on PATH")),
        ("--without-autopkg",),
    ],
    ids=["autopkg", "library"],
)
def test_the_demo_creates_then_changes_nothing_then_updates(flags):
    done = demo(*flags)
    assert done.returncode == 0, done.stdout + done.stderr
    first, second, third = steps(done.stdout)
    assert first.count("POST library/custom-apps\n") == 2
    assert "1 request(s):\n     GET library/custom-apps\n" in second
    assert "unchanged" in second
    assert third.count("PATCH") == 2
    assert first.count("POST /store") == third.count("POST /store") == 1
    assert "HelloKandji-1.1" in third.split("What the tenant holds now:")[1]
    assert ("autopkg run" in done.stdout) is (flags == ())
