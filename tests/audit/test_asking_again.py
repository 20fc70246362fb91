"""The loop breaker: an installer that does not do what it says costs three installs, then one a week."""

from __future__ import annotations

import os
import plistlib
import re
from typing import Any

import pytest

from kandji_uploader.status import summary
from kandji_uploader.status.models import StatusRecord
from tests.audit.test_in_use import dialogs
from tests.support.mac import CREATED, Audit, Mac, needs_zsh, script_for

pytestmark = needs_zsh

NAME = "Google Drive.app"
APP = f"/Applications/{NAME}"
ID = "com.google.drivefs"
CHECK_IN, DAY, WEEK = 900, 86_400, 604_800
LINE = b"\t<key>90.0</key><dict><key>asked</key><integer>%s</integer><key>last</key><integer>%s</integer></dict>\n"
COUNTS = "Library/Preferences/com.github.kandjiuploader.asked.Google Drive.app.plist"
WAITING = re.compile(
    r"Waiting until \d{4}-\d\d-\d\d \d\d:\d\d:\d\d P[SD]T: version '90\.0' was asked for (\d+) times, "
    r"and 'Google Drive\.app' still lacks it"
)


def counted(mac: Mac) -> Any:
    place = mac.root / COUNTS
    return plistlib.loads(place.read_bytes()) if place.exists() else None


def audits(mac: Mac, times: list[int], script: str) -> list[int]:
    """The moments of those audits that ask for an install."""
    asked = []
    for moment in times:
        mac.now = CREATED + moment
        done = mac.audit(script)
        assert done.error == ""
        if done.code == 1:
            asked.append(moment)
        else:
            assert WAITING.fullmatch(done.lines[-1])
    return asked


@pytest.mark.parametrize("installed", [None, "89.0"])
def test_a_loop_over_weeks_asks_three_times_then_after_a_day_then_every_week(mac: Mac, installed: str | None):
    if installed is not None:
        mac.app(APP, ID, installed)
    third = 2 * CHECK_IN
    edges = [third + DAY, third + DAY + WEEK, third + DAY + 2 * WEEK]
    times = [*range(0, 6 * CHECK_IN, CHECK_IN), 40_000, *(edge + near for edge in edges for near in (-1, 0, CHECK_IN))]

    assert audits(mac, times, script_for()) == [0, CHECK_IN, third, *edges]
    assert counted(mac) == {"90.0": {"asked": 6, "last": CREATED + edges[-1]}}


def test_the_last_line_says_how_often_and_until_when(mac: Mac):
    audits(mac, [0, 1, 2], script_for())
    mac.now = CREATED + 3

    done = mac.audit(script_for())

    assert done.lines == (
        "Checking for 'Google Drive.app' install...",
        "'Google Drive.app' not found",
        f"Waiting until 2024-04-16 11:49:32 PDT: version '90.0' was asked for 3 times, and '{NAME}' still lacks it",
    )


def test_the_count_ends_once_the_mac_has_the_version(mac: Mac):
    for _ in range(3):
        audits(mac, [0, 1], script_for())
        mac.app(APP, ID, "90.0")
        mac.now = CREATED + 2
        assert mac.audit(script_for()).code == 0
        assert counted(mac) is None
        for place in sorted((mac.root / APP.lstrip("/")).rglob("*"), reverse=True):
            place.unlink() if place.is_file() else place.rmdir()
        (mac.root / APP.lstrip("/")).rmdir()
        assert mac.spotlight is not None
        mac.spotlight.clear()


def test_the_count_ends_before_the_deadline_too(mac: Mac):
    script = script_for(days=30)
    assert mac.audit(script).code == 1
    mac.app(APP, ID, "91.0")

    assert mac.audit(script).code == 0
    assert counted(mac) is None


def test_an_older_version_that_came_meanwhile_ends_no_count(mac: Mac):
    assert mac.audit(script_for(days=30)).code == 1
    mac.app(APP, ID, "89.0")

    assert mac.audit(script_for(days=30)).code == 0
    assert counted(mac) == {"90.0": {"asked": 1, "last": CREATED}}


def test_another_version_is_counted_by_itself(mac: Mac):
    """A new version is asked for at once; and the test and the production app may both be on one Mac."""
    audits(mac, [0, 1, 2], script_for())
    mac.now = CREATED + 3

    assert mac.audit(script_for(version="91.0")).code == 1
    assert mac.audit(script_for()).code == 0
    assert counted(mac) == {"90.0": {"asked": 3, "last": CREATED + 2}, "91.0": {"asked": 1, "last": CREATED + 3}}

    mac.app(APP, ID, "91.0")
    assert mac.audit(script_for(version="91.0")).code == 0
    assert mac.audit(script_for()).code == 0
    assert counted(mac) is None


def test_versions_of_long_ago_are_forgotten(mac: Mac):
    audits(mac, [0], script_for())
    mac.now = CREATED + 100 * DAY

    assert mac.audit(script_for(version="91.0")).code == 1
    assert list(counted(mac)) == ["91.0"]


def test_a_package_without_an_app_is_counted_too(mac: Mac):
    script = script_for(None, None, "com.foo.cli")
    mac.receipts = {"com.foo.cli": "1.0"}
    codes = [mac.audit(script).code for _ in range(4)]
    assert codes == [1, 1, 1, 0]

    mac.receipts = {"com.foo.cli": "90.0"}
    assert mac.audit(script).code == 0
    assert not list((mac.root / "Library/Preferences").iterdir())


def test_nobody_is_asked_to_quit_an_app_for_a_version_that_is_not_asked_for(mac: Mac):
    mac.app(APP, ID, "89.0")
    audits(mac, [0, 1, 2], script_for())
    mac.run_app(APP)
    mac.now = CREATED + 3

    done = mac.audit(script_for())

    assert (done.code, dialogs(done), done.called("lsappinfo")) == (0, [], [])


@pytest.mark.parametrize("answer", ["delay", "nobody", "no session"])
def test_only_what_is_asked_of_the_agent_is_counted(mac: Mac, answer: str):
    mac.app(APP, ID, "89.0")
    mac.run_app(APP)
    mac.dialogs = [answer]

    assert mac.audit(script_for()).code == 0
    assert counted(mac) is None


def test_where_only_updates_are_wanted_a_missing_app_is_not_counted(mac: Mac):
    assert mac.audit(script_for(install_when_missing=False)).code == 0
    assert counted(mac) is None


@pytest.mark.parametrize("moved", [-1, -DAY, -1000 * DAY])
def test_a_clock_that_was_wrong_makes_nobody_wait(mac: Mac, moved: int):
    audits(mac, [0, 1, 2], script_for(created_at=CREATED - 2000 * DAY))
    mac.now = CREATED + moved

    assert mac.audit(script_for(created_at=CREATED - 2000 * DAY)).code == 1


@pytest.mark.parametrize(
    "spoiled",
    [
        *(b"", b"garbage", b"bplist00\xff\xff", b"<plist>", b"\0" * 2_000_000),
        LINE % (b"3", b"a[$(touch executed)]"),
        LINE % (b"a[$(touch executed)]", b"1713206970"),
        LINE % (b"9" * 19, b"1713206970"),
        LINE % (b"3", b"9" * 19),
    ],
)
def test_counts_that_cannot_be_read_are_begun_anew(mac: Mac, spoiled: bytes):
    (mac.root / COUNTS).write_bytes(spoiled)

    done = mac.audit(script_for())

    assert (done.code, done.error) == (1, "")
    assert counted(mac) == {"90.0": {"asked": 1, "last": CREATED}}
    assert not list(mac.root.rglob("executed"))


def test_a_count_that_cannot_be_kept_is_said_and_keeps_nobody_from_installing(mac: Mac):
    (mac.root / COUNTS).mkdir()
    for _ in range(4):
        done = mac.audit(script_for())
        assert (done.code, done.error) == (1, "")
        assert done.lines[-2] == f"The request could not be counted in /{COUNTS}"


@pytest.mark.parametrize(
    ("name", "version"),
    [
        ('It\'s "F" $(x) [a]*? \\.app', "1.2.3 (4:5's)"),
        ("Größe 🎉.app", "ü"),
        ("<&>.app", "<b>&amp;</b>"),
        ("a:b\nc.app", "1\n2"),
        ("x" * 251 + ".app", "1"),
        ("-f.app", "-1"),
    ],
)
def test_any_name_and_version_can_be_counted(mac: Mac, name: str, version: str):
    script = script_for(name, None, version=version)
    codes = [mac.audit(script).code for _ in range(4)]

    (place,) = (mac.root / "Library/Preferences").iterdir()
    assert codes == [1, 1, 1, 0]
    assert plistlib.loads(place.read_bytes()) == {version.replace("\n", "_"): {"asked": 3, "last": mac.now}}
    assert len(os.fsencode(place.name)) <= 255


def reading(done: Audit) -> Any:
    record = StatusRecord(mac_name="A", mac_id="1", blueprint="", status="PASS", last_audit_log="\n".join(done.lines))
    return summary.read(record)


@pytest.mark.parametrize(("installed", "version"), [(None, summary.NOT_INSTALLED), ("89.0", "89.0")])
def test_status_shows_a_mac_that_waits_and_why(mac: Mac, installed: str | None, version: str):
    if installed is not None:
        mac.app(APP, ID, installed)
    audits(mac, [0, 1, 2], script_for())
    mac.now = CREATED + 3

    shown = reading(mac.audit(script_for()))

    assert (shown.status, shown.version) == (summary.WAITING, version)
    assert shown.reason == (
        "Waiting until (time): version '90.0' was asked for 3 times, and 'Google Drive.app' still lacks it"
    )


def test_status_shows_no_reason_once_the_mac_has_the_version(mac: Mac):
    mac.app(APP, ID, "90.0")

    shown = reading(mac.audit(script_for()))

    assert (shown.status, shown.reason) == ("PASS", "")
