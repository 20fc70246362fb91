"""When a version is enforced, and which version is high enough."""

from __future__ import annotations

import pytest

from tests.support.mac import CREATED, Mac, needs_zsh, script_for

pytestmark = needs_zsh

APP = "/Applications/Google Drive.app"
DAY = 86_400


@pytest.fixture
def older(mac: Mac) -> Mac:
    mac.app(APP, "com.google.drivefs", "89.0")
    return mac


@pytest.mark.parametrize(
    ("days", "seconds", "left"),
    [
        (1, 0, "1 days, 0 hours, 00 minutes, 00 seconds"),
        (1, 1, "0 days, 23 hours, 59 minutes, 59 seconds"),
        (1, DAY - 1, "0 days, 0 hours, 00 minutes, 01 seconds"),
        (5, 2 * DAY + 65, "2 days, 23 hours, 58 minutes, 55 seconds"),
        (400, 0, "400 days, 0 hours, 00 minutes, 00 seconds"),
        (0, -10, "0 days, 0 hours, 00 minutes, 10 seconds"),
        (3, -DAY, "4 days, 0 hours, 00 minutes, 00 seconds"),
    ],
)
def test_before_the_deadline_an_older_version_passes(older: Mac, days: int, seconds: int, left: str):
    older.now = CREATED + seconds

    done = older.audit(script_for(days=days))

    assert done.code == 0
    assert done.lines[-1] == f"Will verify 'Google Drive.app' running at least version '90.0' in {left}"


@pytest.mark.parametrize(("days", "seconds"), [(0, 0), (0, 1), (1, DAY), (5, 5 * DAY), (5, 500 * DAY)])
def test_from_the_deadline_on_an_older_version_is_upgraded(older: Mac, days: int, seconds: int):
    older.now = CREATED + seconds

    done = older.audit(script_for(days=days))

    assert (done.code, done.lines[-1]) == (1, "Upgrading 'Google Drive.app' to version '90.0'...")


@pytest.mark.parametrize(
    ("name", "literal"),
    [
        ("CREATION_TIMESTAMP", "''"),
        ("CREATION_TIMESTAMP", "'a[$(touch executed)]'"),
        ("CREATION_TIMESTAMP", "'99999999999999999999'"),
        ("DAYS_UNTIL_ENFORCEMENT", "'soon'"),
        ("DAYS_UNTIL_ENFORCEMENT", "'-1'"),
        ("MINIMUM_ENFORCED_VERSION", "''"),
    ],
)
def test_a_script_spoiled_by_hand_passes(older: Mac, name: str, literal: str):
    script = "\n".join(
        f"{name}={literal}" if line.startswith(f"{name}=") else line for line in script_for().splitlines()
    )

    done = older.audit(script)

    assert (done.code, done.error) == (0, "")
    assert not list(older.root.rglob("executed"))


@pytest.mark.parametrize(
    ("installed", "enforced", "enough"),
    [
        ("1.10", "1.9", True),
        ("1.9", "1.10", False),
        ("90", "90.0", True),
        ("90.0", "90", True),
        ("2024.1", "2024.1.1", False),
        ("1.0b2", "1.0", False),
        ("1.0", "1.0rc1", True),
        ("1.2.3 (456)", "1.2.3 (457)", False),
        ("1.2.3 (457)", "1.2.3 (456)", True),
        ("1.2.3", "1.2.3 (456)", True),
        ("1.2.3 (456)", "1.2.3", True),
        ("9$(touch executed)", "1.0", True),
        ("a[$(touch executed)]", "1.0", False),
    ],
)
def test_the_installed_version_is_compared(mac: Mac, installed: str, enforced: str, enough: bool):
    mac.app(APP, "com.google.drivefs", installed)

    done = mac.audit(script_for(version=enforced))

    word = "greater than or equal to enforced" if enough else "less than required"
    assert f"Installed version '{installed}' {word} version '{enforced}'" in done.lines
    assert done.code == (0 if enough else 1)
    assert not list(mac.root.rglob("executed"))


@pytest.mark.parametrize(
    ("version_key", "info", "code"),
    [
        ("CFBundleShortVersionString", {"CFBundleVersion": "90.0"}, 0),
        ("CFBundleShortVersionString", {"CFBundleVersion": "89.0"}, 1),
        ("CFBundleShortVersionString", {"CFBundleShortVersionString": "89.0", "CFBundleVersion": "9000"}, 1),
        ("CFBundleVersion", {"CFBundleShortVersionString": "1.0", "CFBundleVersion": "90.0"}, 0),
        ("CFBundleVersion", {"CFBundleShortVersionString": "91.0", "CFBundleVersion": "89.0"}, 1),
        ("CFBundleVersion", {"CFBundleShortVersionString": "90.0"}, 0),
        ("CFBundleShortVersionString", {}, 1),
    ],
)
def test_the_key_that_holds_the_version_is_a_variable(mac: Mac, version_key: str, info: dict[str, str], code: int):
    mac.app(APP, "com.google.drivefs", **info)

    assert mac.audit(script_for(version_key=version_key)).code == code
