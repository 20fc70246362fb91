"""Which app, or package, counts as the one that is meant."""

from __future__ import annotations

import time

import pytest

from tests.support.mac import CREATED, FIND, Mac, needs_zsh, script_for

pytestmark = needs_zsh

ID = "com.foo.App"
FOO = "/Applications/Foo.app"


def found_at(mac: Mac, script: str) -> str | None:
    """Where the script says that the app is; None where it says that it is missing."""
    mac.now = CREATED + 1
    done = mac.audit(script)
    assert done.error == ""
    if "' not found. Triggering install..." in done.lines[1]:
        assert done.code == 1
        return None
    path = done.lines[1].partition("' installed at '")[2]
    assert path.endswith("'")
    return path.removesuffix("'")


@pytest.fixture(params=["spotlight", "no spotlight"])
def any_mac(mac: Mac, request: pytest.FixtureRequest) -> Mac:
    if request.param == "no spotlight":
        mac.spotlight = None
    return mac


@pytest.mark.parametrize(
    "path",
    [
        "/Applications/Foo.app",
        "/Applications/Utilities/Foo.app",
        "/Applications/Some Vendor/Suite 2024/Foo.app",
        "/Applications/Foo.localized/Foo.app",
        "/System/Applications/Utilities/Foo.app",
        "/Library/Application Support/Vendor/Tools/bin/Foo.app",
        "/Applications/[x] *?.app",
        '/Applications/It\'s "Foo" $(touch x) `y` \\ %n !.app',
        "/Applications/-rf.app",
        "/Applications/Größe 🎉.app",
    ],
)
@pytest.mark.parametrize("by", ["bundle id", "name"])
def test_an_app_is_found_wherever_installers_put_it(any_mac: Mac, path: str, by: str):
    any_mac.app(path, ID, "1.0")
    name = path.rsplit("/", 1)[-1]

    script = script_for("Other.app", ID) if by == "bundle id" else script_for(name, None)

    assert found_at(any_mac, script) == path


@pytest.mark.parametrize(
    "other", ["eu.com.foo.App", "comXfoo.App", "com.foo.App2", "com.foo.Ap", "COM.FOO.APP", "com.foo.App.helper", ""]
)
def test_only_the_whole_bundle_id_counts(any_mac: Mac, other: str):
    any_mac.app(FOO, other, "1.0")

    assert found_at(any_mac, script_for("Bar.app", ID)) is None


@pytest.mark.parametrize(
    "bundle_id", ["com.foo.*", "com.foo.A?p", "com.foo.[A]pp", "' || kMDItemFSName == '*", "*", "com.*"]
)
def test_a_bundle_id_is_no_pattern_and_no_part_of_a_query(any_mac: Mac, bundle_id: str):
    any_mac.app(FOO, ID, "1.0")

    assert found_at(any_mac, script_for("Bar.app", bundle_id)) is None


@pytest.mark.parametrize(
    "bundle_id", ["com.foo.*", 'com foo\'s "App"', "-com.foo", "com.größe", "com.foo&bar", "a" * 300]
)
def test_a_bundle_id_of_any_kind_is_found_as_it_is(any_mac: Mac, bundle_id: str):
    any_mac.spotlight = None
    any_mac.app("/Applications/Afoo.app", "com.foo.Zapp", "1.0")
    any_mac.app(FOO, bundle_id, "1.0")

    assert found_at(any_mac, script_for("Bar.app", bundle_id)) == FOO


@pytest.mark.parametrize("name", ["F*.app", "Fo?.app", "[F]oo.app", "*", "Foo.app' || kMDItemFSName == '*", "", "."])
def test_a_name_is_no_pattern_and_no_part_of_a_query(any_mac: Mac, name: str):
    any_mac.app(FOO, ID, "1.0")

    assert found_at(any_mac, script_for(name, "com.none")) is None


def test_a_name_leads_out_of_no_folder(any_mac: Mac):
    any_mac.app(FOO, ID, "1.0")

    assert found_at(any_mac, script_for("../Applications/Foo.app", None)) is None


def test_a_name_without_its_suffix_is_completed(any_mac: Mac):
    any_mac.app(FOO, ID, "1.0")

    assert found_at(any_mac, script_for("Foo", None)) == FOO


def test_the_bundle_id_goes_before_the_name(any_mac: Mac):
    any_mac.app("/Applications/Foo.app", "com.other", "1.0")
    any_mac.app("/Applications/Foo 2024.app", ID, "1.0")

    assert found_at(any_mac, script_for("Foo.app", ID)) == "/Applications/Foo 2024.app"


def test_the_name_counts_where_no_app_has_the_bundle_id(any_mac: Mac):
    any_mac.app(FOO, "com.foo.pkg.App", "1.0")

    assert found_at(any_mac, script_for("Foo.app", ID)) == FOO


def test_of_several_copies_the_shortest_path_counts(any_mac: Mac):
    for path in ("/Applications/Aa Old Versions/Foo.app", "/Applications/Foo 2.app", "/Applications/Foo.app"):
        any_mac.app(path, ID, "1.0")

    assert found_at(any_mac, script_for("Foo.app", ID)) == FOO
    assert found_at(any_mac, script_for("Foo.app", None)) == FOO


def test_a_copy_among_the_apps_counts_before_a_nearer_one_in_library(any_mac: Mac):
    for path in ("/Library/Foo.app", "/Applications/Some Vendor/Foo.app"):
        any_mac.app(path, ID, "1.0")

    assert found_at(any_mac, script_for("Foo.app", ID)) == "/Applications/Some Vendor/Foo.app"
    assert found_at(any_mac, script_for("Foo.app", None)) == "/Applications/Some Vendor/Foo.app"


def test_the_many_folders_of_library_are_searched_only_where_no_other_has_the_app(mac: Mac):
    mac.spotlight = None
    mac.app(FOO, ID, "90.0")
    find = mac.root / "usr/bin/find"
    find.unlink()
    find.write_text(f'#!/bin/sh\necho "$*" >> {mac.root}/searched\nexec {FIND} "$@"\n')
    find.chmod(0o755)
    searched = mac.root / "searched"

    assert mac.audit(script_for("Foo.app", ID)).code == 0
    assert mac.audit(script_for("Foo.app", None)).code == 0
    assert f"{mac.root}/Library " not in searched.read_text()

    assert mac.audit(script_for("Bar.app", "com.bar")).code == 1
    assert f"{mac.root}/Library " in searched.read_text()


def test_where_a_zip_is_unpacked_counts_like_a_folder_of_apps(any_mac: Mac):
    unpacked = "/Library/Application Support/Vendor/A [new] Suite"
    for path in ("/Library/Foo.app", f"{unpacked}/a/b/Foo.app"):
        any_mac.app(path, ID, "1.0")
    script = script_for("Foo.app", ID, unzip_location=unpacked)

    assert found_at(any_mac, script) == f"{unpacked}/a/b/Foo.app"


@pytest.mark.parametrize(
    "helper",
    [
        "/Applications/Suite.app/Contents/Foo.app",
        "/Applications/Suite.app/Contents/Library/Foo.app",
        "/Library/Frameworks/Suite.framework/Versions/Foo.app",
        "/Library/PreferencePanes/Suite.prefPane/Contents/Foo.app",
    ],
)
def test_a_helper_inside_another_bundle_is_not_the_app(any_mac: Mac, helper: str):
    any_mac.app(helper, ID, "1.0")

    assert found_at(any_mac, script_for("Foo.app", ID)) is None


@pytest.mark.parametrize(
    "path",
    ["/Users/anna/Downloads/Foo.app", "/Volumes/Foo/Foo.app", "/Users/anna/.Trash/Foo.app", "/private/tmp/Foo.app"],
)
def test_a_copy_outside_the_folders_for_apps_is_not_an_install(any_mac: Mac, path: str):
    any_mac.app(path, ID, "1.0")

    assert found_at(any_mac, script_for("Foo.app", ID)) is None


def test_a_stale_spotlight_entry_is_not_an_install(mac: Mac):
    mac.index("/Applications/Foo.app", ID)

    assert found_at(mac, script_for("Foo.app", ID)) is None


def test_a_spotlight_entry_for_an_app_that_was_replaced_does_not_count(mac: Mac):
    mac.app(FOO, "com.other", "1.0")
    assert mac.spotlight is not None
    mac.spotlight.clear()
    mac.index(FOO, ID)

    assert found_at(mac, script_for("Bar.app", ID)) is None


def test_what_a_stale_index_misses_is_found_on_disk(mac: Mac):
    mac.app("/Applications/Utilities/Foo.app", ID, "1.0")
    assert mac.spotlight is not None
    mac.spotlight.clear()
    mac.index("/Applications/Foo.app", ID)

    assert found_at(mac, script_for("Foo.app", ID)) == "/Applications/Utilities/Foo.app"


def test_the_data_volume_is_the_same_place(mac: Mac):
    mac.app(FOO, ID, "1.0")
    assert mac.spotlight is not None
    mac.spotlight[0]["path"] = "/System/Volumes/Data/Applications/Foo.app"

    assert found_at(mac, script_for("Foo.app", ID)) == FOO


def test_a_linked_app_counts_and_circles_of_links_end(mac: Mac):
    mac.spotlight = None
    mac.app("/opt/Foo.app", ID, "1.0")
    (mac.root / "Applications/Foo.app").symlink_to(mac.root / "opt/Foo.app")
    (mac.root / "Applications/Again").symlink_to(mac.root / "Applications")

    assert found_at(mac, script_for("Foo.app", ID)) == FOO


def test_a_file_that_is_called_like_an_app_is_none(any_mac: Mac):
    (any_mac.root / "Applications/Foo.app").write_text("")
    if any_mac.spotlight is not None:
        any_mac.index(FOO, ID)

    assert found_at(any_mac, script_for("Foo.app", ID)) is None


def test_a_missing_app_installs_at_once_whatever_the_delay(mac: Mac):
    done = mac.audit(script_for(days=30))

    assert (done.code, done.lines[-1]) == (1, "'Google Drive.app' not found. Triggering install...")


def test_a_missing_app_passes_where_only_updates_are_wanted(mac: Mac):
    done = mac.audit(script_for(install_when_missing=False))

    assert done.code == 0
    assert done.lines[-1].startswith("'Google Drive.app' not found.")
    assert "install..." not in done.lines[-1]


def test_update_only_upgrades_what_is_there(mac: Mac):
    mac.app("/Applications/Google Drive.app", "com.google.drivefs", "89.0")

    assert mac.audit(script_for(install_when_missing=False)).code == 1


def test_a_receipt_counts_where_there_is_neither_bundle_id_nor_name(mac: Mac):
    mac.receipts = {"com.foo.cli": "2.1"}
    script = script_for(None, None, "com.foo.cli", version="2.1")

    done = mac.audit(script)
    assert done.code == 0
    assert done.lines[-1] == "Installed version '2.1' greater than or equal to enforced version '2.1'"

    mac.receipts = {"com.foo.cli": "2.0"}
    done = mac.audit(script)
    assert (done.code, done.lines[-1]) == (1, "Upgrading 'com.foo.cli' to version '2.1'...")
    assert not done.called("lsappinfo")

    mac.receipts = {"com.foo.cli2": "2.1"}
    done = mac.audit(script)
    assert (done.code, done.lines[-1]) == (1, "'com.foo.cli' not found. Triggering install...")


@pytest.mark.parametrize("more", [{"bundle_id": ID}, {"app_name": "Foo.app"}])
def test_a_receipt_is_not_asked_where_an_app_is_meant(mac: Mac, more: dict[str, str]):
    mac.receipts = {"com.foo.pkg": "9.0"}
    identity = {"app_name": None, "bundle_id": None, **more}

    done = mac.audit(script_for(pkg_id="com.foo.pkg", **identity))

    assert done.code == 1
    assert not done.called("pkgutil")


def test_a_receipt_without_a_version_is_installed_again(mac: Mac):
    mac.receipts = {"com.foo.cli": None}

    done = mac.audit(script_for(None, None, "com.foo.cli"))

    assert (done.code, done.lines[-1]) == (1, "Upgrading 'com.foo.cli' to version '90.0'...")


def test_a_broken_info_plist_is_repaired_by_an_upgrade(any_mac: Mac):
    any_mac.app(FOO, ID, "1.0")
    (any_mac.root / "Applications/Foo.app/Contents/Info.plist").write_bytes(b"bplist00\0\1\2")

    done = any_mac.audit(script_for("Foo.app", ID))

    assert done.lines[1] == f"'Foo.app' installed at '{FOO}'"
    assert (done.code, done.lines[-1]) == (1, "Upgrading 'Foo.app' to version '90.0'...")


def test_a_script_that_names_nothing_passes(mac: Mac):
    done = mac.audit(script_for().replace("'Google Drive.app'", "''").replace("'com.google.drivefs'", "''"))

    assert done.code == 0
    assert len(done.lines) == 1
    assert not done.calls


def test_a_pass_starts_a_handful_of_processes_and_no_search(mac: Mac):
    mac.app(FOO, ID, "90.0")
    for number in range(20):
        mac.app(f"/Applications/Other {number}.app", f"com.other{number}", "1.0")

    done = mac.audit(script_for("Foo.app", ID))

    assert done.code == 0
    assert [call[0] for call in done.calls] == ["mdfind", "PlistBuddy"]


def test_the_search_of_a_full_disk_starts_one_process_per_app_that_may_be_meant(mac: Mac):
    mac.spotlight = None
    for number in range(300):
        mac.app(f"/Applications/Folder {number % 7}/Other {number}.app", f"com.other{number}", "1.0")
    mac.app("/Applications/Folder 3/Foo.app", ID, "90.0")
    for number in range(2000):
        (mac.root / f"Library/{number % 10}/{number % 100}/{number}").mkdir(parents=True)

    begun = time.monotonic()
    done = mac.audit(script_for("Foo.app", ID))

    assert done.code == 0
    assert len(done.called("PlistBuddy")) == 1
    assert time.monotonic() - begun < 5
