"""What goes where: colours, pipes that are closed, Ctrl-C at a terminal, waits, and how little a start costs."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from tests.cli.conftest import COMMAND
from tests.support.commands import parsers

RED = "\x1b[1;31merror: \x1b[0m"


@pytest.mark.parametrize(
    ("words", "environ", "coloured"),
    [
        ((), {}, False),
        ((), {"FORCE_COLOR": "1"}, True),
        ((), {"FORCE_COLOR": "0"}, False),
        ((), {"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
        (("--color", "always"), {"NO_COLOR": "1"}, True),
        (("--color", "never"), {"FORCE_COLOR": "1"}, False),
    ],
)
def test_a_pipe_gets_colours_where_they_are_asked_for(here, words, environ, coloured):
    done = here("-p", "none.pkg", *words, **environ)
    assert (RED in done.stderr) is coloured
    assert "error: none.pkg" in done.stderr.replace("\x1b[1;31m", "").replace("\x1b[0m", "")


@pytest.mark.parametrize("words", ["-h", "config"])
def test_a_reader_that_stops_early_hears_nothing_more(house, words):
    script = f"{' '.join(COMMAND)} {words} | head -c 1"
    done = subprocess.run(
        ["sh", "-c", script], env=house.environ, capture_output=True, text=True, check=False, timeout=60
    )
    assert (len(done.stdout), done.stderr) == (1, "")


def test_after_ctrl_c_both_the_message_and_the_prompt_have_a_line_of_their_own(house):
    with house.terminal("setup", "--reset", "--offline") as terminal:
        terminal.expect(r"environment or keychain.*: ")
        terminal.ctrl_c()
        assert terminal.end() == 130
        assert "^C\nkandji-uploader: stopped" in terminal.screen
        assert terminal.screen.endswith("\n")


@pytest.mark.parametrize(
    ("words", "progress", "plan"),
    [((), True, True), (("--no-progress",), False, True), (("--quiet",), False, False), (("--json",), False, False)],
)
def test_quiet_and_no_progress_leave_out_what_they_say(house, here, words, progress, plan):
    large = house.widget(content=os.urandom(3_000_000))
    told = here("-p", large, "-n", "Widget", "--enforcement", "install_once", *words)
    assert (" % of 3.0 MB" in told.stderr) is progress
    assert ("Widget: create (no Custom App has that name)" in told.stderr) is plan
    assert "Widget" in told.stdout


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_help_is_as_wide_as_the_terminal(here, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    told = [here(*words, "-h").stdout for words in ([], *([name] for name in parsers()))]
    for line in (line for text in told for line in text.splitlines()):
        to_be_copied = line.startswith("  ") and ("kandji-uploader " in line or "|" in line or line.count("  ") < 2)
        assert len(line) <= columns or to_be_copied or line.split()[0].startswith(("usage", "[", "-", "{"))


def test_the_overview_shows_the_commands_and_the_flags_of_kpkg(here):
    told = here("-h").stdout
    assert all(f"\n  {name} " in told for name in parsers())
    assert all(f"  {flag}" in told for flag in ("-p PATH", "-b CASK", "-n NAME", "-y, --dry", "-S, --setup"))


@pytest.mark.parametrize("words", ["-h", "--version", "completion zsh"])
def test_a_start_that_only_tells_loads_nothing_that_publishes_or_is_slow_to_load(words, tmp_path):
    heavy = ("requests", "yaml", "keyring", "shtab", "dataclasses", "inspect", "json", "http", "ssl", "subprocess")
    ours = ("kandji_uploader.models", "kandji_uploader.settings", "kandji_uploader.api")
    script = (
        "import sys\nfrom kandji_uploader.cli import main\ntry: main(sys.argv[1].split())\nexcept SystemExit: pass\n"
        f"print([name for name in {(*heavy, *ours)} if name in sys.modules], file=sys.stderr)"
    )
    (tmp_path / "config.yaml").write_text("api_url: acme.api.kandji.io\n")
    environ = {**os.environ, "KANDJI_UPLOADER_DIR": str(tmp_path)}
    run = [sys.executable, "-c", script, words]
    done = subprocess.run(run, env=environ, capture_output=True, text=True, check=True)
    assert done.stderr == "[]\n"


def test_a_run_that_finds_nothing_to_do_loads_nothing_that_it_does_not_use(house, here):
    words = ("-p", house.widget(), "-n", "Widget", "--enforcement", "install_once")
    here(*words)
    environ = {**os.environ, **house.environ, "PYTHONPROFILEIMPORTTIME": "1"}
    run = [sys.executable, "-m", "kandji_uploader", *words]
    done = subprocess.run(run, env=environ, capture_output=True, text=True, check=True)
    loaded = set(re.findall(r"\| +(\S+)$", done.stderr, re.MULTILINE))
    assert {"requests", "kandji_uploader.publish.plan"} <= loaded, done.stderr
    of_others = {"difflib", "plistlib", "platform", "shtab", "subprocess", "cryptography"}
    ours = {
        f"kandji_uploader.{name}" for name in ("status.summary", "audit.simulate", "installer.zips", "promotion.rules")
    }
    assert loaded & (of_others | ours) == set()


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ({"kind": "rate_limit", "retry_after": 1}, "HTTP 429; trying again in 1 s (try 2 of 5)"),
        ({"kind": "reset_before_reading"}, "the connection broke; trying again in a moment (try 2 of 5)"),
        ({"kind": "status", "code": 502}, "HTTP 502; trying again in a moment (try 2 of 5)"),
    ],
)
def test_each_wait_for_kandji_is_told(house, here, fault, told):
    house.tenant.faults.add("GET", "library/custom-apps", **fault)
    done = here("-p", house.widget(), "-n", "Widget", "-y")
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("trying again") == 1
    assert told in done.stderr


def test_a_tenant_that_cannot_be_reached_is_waited_for_aloud(house, here):
    house.config.mkdir(exist_ok=True)
    (house.config / "config.yaml").write_text("network: {first_wait: 0.05}\n")
    done = here("-p", house.widget(), "-y", KANDJI_API_URL="http://127.0.0.1:9")
    assert done.stderr.count("was not reached; trying again in") == 4


def test_waiting_for_an_upload_to_be_processed_is_told(house, here):
    house.tenant.configure(processing_polls=2)
    done = here("-p", house.widget(), "-n", "Widget", "--enforcement", "install_once")
    assert done.returncode == 0, done.stderr
    assert "Kandji is still processing; asking again in" in done.stderr


def test_waiting_for_homebrew_is_told(casks, offer, here):
    offer("widget")
    casks.offers["/files/Widget-1.0.pkg"].faults = ["status 503"]
    ran = here("-b", "widget", "-y")
    assert "HTTP 503; trying again in" in ran.stderr
