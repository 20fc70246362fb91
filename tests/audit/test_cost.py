"""What an audit costs a Mac, which has one of each app every 15 minutes: processes and memory, never time."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.audits import ALONE, SCENES, Mac
from benchmarks.measure import MIB
from tests.support.mac import needs_zsh

STARTED = {
    "compliant, by Spotlight": 2,  # mdfind, PlistBuddy
    "compliant, by a search of the disk": 3,  # find, too
    "not installed": 4,  # mdfind for the id and for the name, find for the apps and for /Library
    "in use": 6,  # lsappinfo to find it, for its type and its name; osascript
    "two blocking applications": 10,  # the list, then three of each
    "deadline not due": 2,
}


@pytest.fixture(scope="module")
def mac(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mac]:
    root = tmp_path_factory.mktemp("cost") / "mac"
    yield Mac(root, folders=200)
    shutil.rmtree(root)


@needs_zsh
@pytest.mark.skipif(
    shutil.which("unshare") is None or subprocess.run([*ALONE, "true"], check=False).returncode != 0,
    reason="processes are counted in a name space of their own, which takes Linux and the right to make one",
)
@pytest.mark.parametrize("what", SCENES)
def test_an_audit_starts_no_process_more_than_it_has_questions_for_macos(mac: Mac, what: str):
    assert mac.count(mac.prepare(SCENES[what])) == (SCENES[what].code, STARTED[what])


@needs_zsh
@pytest.mark.parametrize(
    ("what", "unread"),
    [
        ("compliant, by Spotlight", "Where Spotlight does not find it"),
        ("deadline not due", "Where Spotlight does not find it"),
        ("compliant, by a search of the disk", "The one delay per app and version"),
        ("not installed", "The one delay per app and version"),
    ],
)
def test_zsh_reads_no_further_than_an_audit_needs(mac: Mac, what: str, unread: str):
    *words, script = mac.prepare(SCENES[what])
    whole = mac.measure([*words, script]).output
    text = Path(script).read_text("utf-8")
    mac.prepare(SCENES[what])
    Path(script).write_text(text[: text.index(f"\n########## {unread}")] + "\nexit 3\n", "utf-8")

    run = mac.measure([*words, script])

    assert run.output == whole != ""


@needs_zsh
def test_an_audit_needs_little_memory_however_many_apps_there_are(tmp_path: Path):
    mac = Mac(tmp_path / "mac", folders=200)
    words = mac.prepare(SCENES["compliant, by a search of the disk"])
    mac.crowd(12_000)

    peak = mac.measure(words).peak

    assert peak <= 14 * MIB, f"{peak}: zsh keeps what one expansion makes"
