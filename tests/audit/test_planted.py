"""What users can plant on a Mac: root reads it, and must neither believe it, nor hang, nor install again and again."""

from __future__ import annotations

import os
import plistlib
import stat
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.audit.test_finding import FOO, ID
from tests.support.mac import CREATED, Audit, Mac, needs_zsh, script_for

pytestmark = needs_zsh

SCRIPT = script_for("Foo.app", ID)
STAFF = 20
NOT_FOUND = "'Foo.app' not found. Triggering install..."


@pytest.fixture(params=["spotlight", "no spotlight"])
def any_mac(mac: Mac, request: pytest.FixtureRequest) -> Mac:
    mac.now = CREATED + 1
    if request.param == "no spotlight":
        mac.spotlight = None
    return mac


def opened(mac: Mac, folder: str, mode: int = 0o1777) -> None:
    place = mac.root / folder.lstrip("/")
    place.mkdir(parents=True, exist_ok=True)
    place.chmod(mode)


def passed_over(done: Audit) -> list[str]:
    return [line for line in done.lines if line.startswith("Passed over")]


@pytest.mark.parametrize(
    ("planted", "open_folder"),
    [
        ("/Library/Caches/Foo.app", "/Library/Caches"),
        ("/Library/Caches/a/b/Foo.app", "/Library/Caches"),
        ("/Library/Application Support/Vendor/x/Foo.app", "/Library/Application Support/Vendor"),
        ("/Applications/Vendor/Foo.app", "/Applications/Vendor"),
        ("/Applications/Foo.app", "/Applications"),
        ("/Users/Shared/Applications/Foo.app", "/Users/Shared"),
        ("/Users/anna/Applications/Foo.app", "/Users/anna/Applications"),
    ],
)
def test_nothing_counts_below_a_folder_that_everybody_can_write_to(any_mac: Mac, planted: str, open_folder: str):
    opened(any_mac, open_folder)
    any_mac.app(planted, ID, "999")

    for script in (SCRIPT, script_for("Foo.app", None)):
        done = any_mac.audit(script)
        assert (done.code, done.lines[-1], done.error) == (1, NOT_FOUND, "")


@pytest.mark.parametrize("mode", [0o777, 0o757, 0o702])
def test_it_does_not_matter_that_nobody_can_delete_what_others_put_there(mac: Mac, mode: int):
    mac.spotlight = None
    opened(mac, "/Library/Caches", mode)
    mac.app("/Library/Caches/Foo.app", ID, "999")

    assert mac.audit(SCRIPT).lines[-1] == NOT_FOUND


def test_the_real_app_counts_whatever_was_planted(any_mac: Mac):
    opened(any_mac, "/Library/Caches")
    any_mac.app("/Library/Caches/a.app", ID, "999")
    any_mac.app("/Users/anna/Applications/a.app", ID, "999")
    any_mac.app("/Applications/A Longer Path/Foo.app", ID, "1.0")

    done = any_mac.audit(SCRIPT)

    assert (done.code, done.error) == (1, "")
    assert "'Foo.app' installed at '/Applications/A Longer Path/Foo.app'" in done.lines
    assert "Installed version '1.0' less than required version '90.0'" in done.lines


def test_what_is_passed_over_is_named_with_the_folder_to_mend(any_mac: Mac):
    opened(any_mac, "/Applications/Vendor", 0o777)
    any_mac.app("/Applications/Vendor/Foo.app", ID, "999")

    done = any_mac.audit(SCRIPT)

    assert passed_over(done) == [
        "Passed over '/Applications/Vendor/Foo.app', as everybody can write to '/Applications/Vendor'"
    ]
    assert done.lines[-1] == NOT_FOUND


@pytest.mark.parametrize(("group", "mode"), [(0, 0o775), (80, 0o775), (80, 0o2770), (STAFF, 0o755)])
def test_the_admins_may_write_where_apps_are(mac: Mac, group: int, mode: int):
    path = "/Applications/Vendor/Foo.app"
    mac.app(path, ID, "1.0")
    for folder in ("Applications", "Applications/Vendor"):
        os.chown(mac.root / folder, -1, group)
        (mac.root / folder).chmod(mode)

    done = mac.audit(SCRIPT)

    assert done.lines[1] == f"'Foo.app' installed at '{path}'"


def test_the_app_of_the_user_who_dragged_it_there_counts(any_mac: Mac):
    any_mac.app(FOO, ID, "90.0")
    bundle = any_mac.root / FOO.lstrip("/")
    for place in (bundle, *bundle.rglob("*")):
        os.chown(place, 501, STAFF)

    assert any_mac.audit(SCRIPT).code == 0


def test_an_app_whose_own_installer_leaves_it_open_counts_in_a_folder_of_the_admins(any_mac: Mac):
    """It can be there only if an admin put it there; not to believe it would install it again and again."""
    any_mac.app(FOO, ID, "90.0")
    for place in ("Applications/Foo.app", "Applications/Foo.app/Contents"):
        (any_mac.root / place).chmod(0o777)

    assert any_mac.audit(SCRIPT).code == 0


LAST_RESORT = "'{}', where others than admins can write; it counts as there is none in the places meant for apps"


@pytest.mark.parametrize("script", [SCRIPT, script_for("Foo.app", None), script_for(None, ID)])
def test_a_copy_in_a_home_counts_only_where_there_is_no_other(any_mac: Mac, script: str):
    theirs = "/Users/anna/Applications/Foo.app"
    any_mac.app(theirs, ID, "999")
    done = any_mac.audit(script)
    assert done.code == 0
    assert LAST_RESORT.format(theirs) in done.lines[1]

    any_mac.app("/Applications/Utilities/Foo.app", ID, "1.0")
    done = any_mac.audit(script)
    assert (done.code, theirs in str(done.lines)) == (1, False)


def test_an_older_copy_in_a_home_brings_the_app_and_asks_nobody_to_quit(any_mac: Mac):
    theirs = any_mac.app("/Users/anna/Applications/Foo.app", ID, "1.0")
    any_mac.run_app(theirs)

    done = any_mac.audit(SCRIPT)

    assert (done.code, done.called("osascript")) == (1, [])


def test_a_folder_that_a_group_of_users_can_write_to_is_a_last_resort(any_mac: Mac):
    """Many an installer leaves such a folder; who plants an app there gains nothing over their own home."""
    theirs = "/Applications/Vendor/Foo.app"
    any_mac.app(theirs, ID, "90.0")
    folder = any_mac.root / "Applications/Vendor"
    os.chown(folder, -1, STAFF)
    folder.chmod(0o775)
    done = any_mac.audit(SCRIPT)
    assert (done.code, done.lines[1]) == (0, "'Foo.app' installed at " + LAST_RESORT.format(theirs))

    any_mac.app("/Applications/Utilities/Sub/Foo.app", ID, "1.0")
    assert any_mac.audit(SCRIPT).code == 1


@pytest.mark.parametrize("target", ["/Library/Caches/Foo.app", "/Users/Shared/Foo.app"])
def test_a_link_to_where_everybody_can_write_does_not_count(any_mac: Mac, target: str):
    opened(any_mac, target.rpartition("/")[0])
    any_mac.app(target, ID, "999")
    (any_mac.root / FOO.lstrip("/")).symlink_to(any_mac.root / target.lstrip("/"))
    if any_mac.spotlight is not None:
        any_mac.index(FOO, ID)

    done = any_mac.audit(SCRIPT)

    assert (done.code, done.lines[-1]) == (1, NOT_FOUND)
    assert passed_over(done)


def test_a_link_to_a_home_is_a_last_resort(mac: Mac):
    mac.now, mac.spotlight = CREATED + 1, None
    mac.app("/Users/anna/Build/Foo.app", ID, "90.0")
    (mac.root / FOO.lstrip("/")).symlink_to(mac.root / "Users/anna/Build/Foo.app")

    done = mac.audit(SCRIPT)

    assert (done.code, done.lines[1]) == (0, "'Foo.app' installed at " + LAST_RESORT.format(FOO))


def sparse(place: Path) -> None:
    place.unlink()
    with place.open("wb") as file:
        file.truncate(2**30)


def fifo(place: Path) -> None:
    place.unlink()
    os.mkfifo(place)


def outwards(place: Path) -> None:
    place.unlink()
    place.symlink_to("/dev/zero")


def to_another(place: Path) -> None:
    other = place.parents[2] / "other.plist"
    place.rename(other)
    place.symlink_to(other)


def folder(place: Path) -> None:
    place.unlink()
    place.mkdir()


def device(place: Path) -> None:
    place.unlink()
    os.mknod(place, stat.S_IFCHR | 0o666, os.makedev(1, 5))


@pytest.mark.parametrize("spoil", [sparse, fifo, outwards, to_another, folder, device])
@pytest.mark.parametrize("where", [FOO, "/Users/anna/Applications/Foo.app"])
def test_an_odd_info_plist_is_named_and_holds_up_nothing(mac: Mac, spoil: Callable[[Path], None], where: str):
    mac.now, mac.spotlight = CREATED + 1, None
    if spoil is device and os.geteuid() != 0:
        spoil = folder  # Only root can make a device.
    mac.app(where, ID, "90.0")
    spoil(mac.root / where.lstrip("/") / "Contents/Info.plist")

    begun = time.monotonic()
    done = mac.audit(f"ulimit -v 400000\n{SCRIPT}")

    assert time.monotonic() - begun < 20
    assert (done.code, done.error) == (1, "")
    assert passed_over(done) == [f"Passed over the Info.plist of '{where}', which is no file of at most 1 MiB in it"]
    assert not done.called("PlistBuddy")


def test_another_apps_odd_info_plist_keeps_nothing_from_being_found(any_mac: Mac):
    any_mac.app("/Applications/A.app", ID, "1")
    fifo(any_mac.root / "Applications/A.app/Contents/Info.plist")
    any_mac.app("/Applications/Foo.app", ID, "90.0")

    assert any_mac.audit(SCRIPT).code == 0


def test_an_info_plist_that_is_a_link_within_its_app_is_read(any_mac: Mac):
    any_mac.app(FOO, ID, "90.0")
    plist = any_mac.root / "Applications/Foo.app/Contents/Info.plist"
    plist.rename(plist.with_name("Real.plist"))
    plist.symlink_to("Real.plist")

    assert any_mac.audit(SCRIPT).code == 0


def test_the_largest_info_plist_that_is_read_is_of_one_mebibyte(mac: Mac):
    mac.app(FOO, ID, "90.0")
    plist = mac.root / "Applications/Foo.app/Contents/Info.plist"
    room = 2**20 - len(plistlib.dumps({"CFBundleIdentifier": ID, "CFBundleShortVersionString": "90.0", "x": ""}))
    for more, code in ((0, 0), (1, 1)):
        text = "x" * (room + more)
        plist.write_bytes(plistlib.dumps({"CFBundleIdentifier": ID, "CFBundleShortVersionString": "90.0", "x": text}))
        assert mac.audit(SCRIPT).code == code


@pytest.mark.parametrize(
    "tool", ["usr/bin/mdfind", "usr/bin/find", "usr/libexec/PlistBuddy", "usr/sbin/pkgutil", "usr/bin/lsappinfo"]
)
def test_a_tool_that_does_not_end_is_ended(any_mac: Mac, tool: str):
    any_mac.app(FOO, ID, "89.0" if tool.endswith("lsappinfo") else "90.0")
    any_mac.now = CREATED + 1
    place = any_mac.root / tool
    place.unlink()
    beat = any_mac.root / "beat"
    place.write_text(f"#!/bin/sh\nwhile :; do echo >> {beat}; sleep 0.05; done\n")
    place.chmod(0o755)
    script = SCRIPT.replace("_SECONDS=120", "_SECONDS=1").replace("TOOL_SECONDS=20", "TOOL_SECONDS=1")
    if tool.endswith("pkgutil"):
        script = script.replace("BUNDLE_ID='com.foo.App'", "BUNDLE_ID=''").replace("NAME='Foo.app'", "NAME=''")
        script = script.replace("PKG_ID=''", "PKG_ID='com.foo'")

    begun = time.monotonic()
    done = any_mac.audit(script)

    assert time.monotonic() - begun < 20
    assert done.error == ""
    if tool.endswith("/find") and any_mac.spotlight is None:
        text = "The search for 'Foo.app' took more than 1 seconds and was ended; the next audit tries again"
        assert (done.code, done.lines[-1]) == (0, text)
    beats = beat.stat().st_size if beat.exists() else 0
    time.sleep(0.2)
    assert not beats or beat.stat().st_size == beats


def test_folders_that_users_filled_up_are_passed_over(mac: Mac):
    mac.spotlight, mac.now = None, CREATED + 1
    for number in range(30):
        mac.app(f"/Users/anna/Applications/{'x' * 200}{number}.app", "com.other", "1")

    done = mac.audit(SCRIPT.replace("ANSWER_BYTES=4194304", "ANSWER_BYTES=4000"))

    assert passed_over(done) == ["Passed over the folders that users can write to, which took too long to search"]
    assert (done.code, done.lines[-1]) == (1, NOT_FOUND)


def test_a_fifo_in_place_of_the_delays_holds_up_nothing(mac: Mac):
    mac.now = CREATED + 1
    mac.app(FOO, ID, "1.0")
    mac.run_app(FOO)
    mac.dialogs = ["delay"]
    os.mkfifo(mac.root / "Library/Preferences/io.kandji.enforcement.delay.plist")

    done = mac.audit(SCRIPT)

    assert (done.code, done.lines[-2]) == (0, "User clicked Delay")
    assert mac.delays == {"Foo.app": {"90.0": mac.now + 3600}}
