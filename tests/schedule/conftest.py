from __future__ import annotations

import json
import sys

import pytest

STAND_IN = """\
#!{python}
import json, os, sys
from pathlib import Path
here = Path(__file__).parent
name = Path(__file__).name
with (here / "calls").open("a") as calls:
    calls.write(json.dumps([name, *sys.argv[1:]]) + "\\n")
answers = here / (name + ".answers")
for line in answers.read_text().splitlines() if answers.exists() else []:
    code, word, said = line.split("|")
    if word in sys.argv:
        if code.startswith("once"):
            code = code.removeprefix("once")
            answers.write_text(answers.read_text().replace(line + "\\n", "", 1))
        print(said, file=sys.stderr)
        sys.exit(int(code))
"""


class Programs:
    """Stand-ins for `launchctl` and `systemctl`, alone on PATH."""

    def __init__(self, folder, home):
        self.folder, self.home = folder, home
        folder.mkdir()
        for name in ("launchctl", "systemctl"):
            path = folder / name
            path.write_text(STAND_IN.format(python=sys.executable))
            path.chmod(0o755)
        self.environ = {
            "PATH": str(folder),
            "HOME": str(home),
            "KANDJI_TOKEN": "t0p-secret",
            "SLACK_TOKEN": "t0p-secret",
        }

    def answer(self, program, code, word, said="", *, once=False):
        """Let a program fail with that code when `word` is among its arguments."""
        with (self.folder / f"{program}.answers").open("a") as answers:
            answers.write(f"{'once' if once else ''}{code}|{word}|{said}\n")

    def calls(self):
        """How they were called, in order."""
        path = self.folder / "calls"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@pytest.fixture
def programs(tmp_path):
    home = tmp_path / "home of $USER 100%"
    home.mkdir()
    return Programs(tmp_path / "bin", home)
