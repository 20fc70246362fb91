"""Blocking applications: whose user is asked to quit them, by what name, and who is never asked."""

from __future__ import annotations

import unicodedata
from typing import Any

import pytest

from kandji_uploader.audit import conditions
from kandji_uploader.audit import script as audit
from tests.audit.test_in_use import HOSTILE, NOW, dialogs, offers_delay
from tests.support.mac import Audit, Mac, needs_zsh, script_for

pytestmark = needs_zsh

NAME = "Google Drive.app"
APP = f"/Applications/{NAME}"
WORD, EXCEL = "/Applications/Microsoft Word.app", "/Applications/Microsoft Excel.app"
UPGRADE = "Upgrading 'Google Drive.app' to version '90.0'..."
NOBODY = f"No blocking application of '{NAME}' is in the foreground"


@pytest.fixture
def older(mac: Mac) -> Mac:
    """A Mac whose app is due for an upgrade, with two others that may be in the way."""
    mac.app(APP, "com.google.drivefs", "89.0")
    mac.app(WORD)
    mac.app(EXCEL)
    mac.now = NOW
    return mac


def blocked_by(*names: str, **more: Any) -> str:
    return script_for(blocking_applications=names, **more)


def asked(done: Audit) -> list[str]:
    """The text of each dialog; what follows it is title, time and button."""
    return [dialog[-4] for dialog in dialogs(done)]


def quitting(done: Audit) -> list[str]:
    return [call[-1] for call in done.called("osascript") if any("to quit" in word for word in call)]


def test_one_app_that_runs_is_asked_about(older: Mac):
    older.run_app(WORD)
    older.dialogs = ["quit"]

    done = older.audit(blocked_by("Microsoft Word.app", "Microsoft Excel.app"))

    assert (done.code, done.error) == (1, "")
    assert done.lines[-4:] == (
        "Detected blocking process: 'Microsoft Word'",
        "No enforcement delay found for Google Drive.app",
        "User clicked Quit",
        UPGRADE,
    )
    (text,) = asked(done)
    assert text == (
        "Quit 'Microsoft Word' to update 'Google Drive' to version 90.0. Save your work first. "
        "You can delay this once, for an hour."
    )
    assert dialogs(done)[0][-3] == "Update of Google Drive"
    assert quitting(done) == [WORD]


def test_one_dialog_names_all_that_run(older: Mac):
    for path in (WORD, EXCEL, APP):
        older.run_app(path)
    older.dialogs = ["quit"]

    done = older.audit(blocked_by("Microsoft Excel.app", "Microsoft Word.app", NAME, "Not There.app"))

    assert done.code == 1
    assert [line for line in done.lines if line.startswith("Detected")] == [
        "Detected blocking process: 'Microsoft Word'",
        "Detected blocking process: 'Microsoft Excel'",
        "Detected blocking process: 'Google Drive'",
    ]
    (text,) = asked(done)
    assert text.startswith("Quit 'Microsoft Word', 'Microsoft Excel' and 'Google Drive' to update 'Google Drive' to ")
    assert quitting(done) == [WORD, EXCEL, APP]
    assert not done.called("sleep")
    assert len([call for call in done.called("lsappinfo") if call == ("list",)]) == 1


@pytest.mark.parametrize("mode", [0o1777, 0o777])
def test_an_app_where_everyone_could_have_put_it_is_never_asked_by_root(older: Mac, mode: int):
    theirs = "/Library/Caches/Microsoft Word.app"
    older.app(theirs)
    (older.root / "Library/Caches").chmod(mode)
    older.run_app(theirs)

    done = older.audit(blocked_by("Microsoft Word.app"))

    assert (done.code, done.error) == (1, "")
    assert NOBODY in done.lines
    assert not done.called("osascript")


def test_an_app_in_a_folder_of_the_admins_is_asked(older: Mac):
    theirs = "/Applications/Office/Microsoft Word.app"
    older.app(theirs)
    (older.root / "Applications/Office").chmod(0o775)
    older.run_app(theirs)
    older.dialogs = ["quit"]
    assert quitting(older.audit(blocked_by("Microsoft Word.app"))) == [theirs]


def test_the_app_itself_is_not_asked_by_root_where_everyone_could_have_put_it(mac: Mac):
    theirs = f"/Library/Caches/{NAME}"
    mac.app(theirs, "com.google.drivefs", "89.0")
    (mac.root / "Library/Caches").chmod(0o1777)
    mac.now = NOW
    mac.run_app(theirs)
    mac.dialogs = ["quit"]

    done = mac.audit(script_for())

    assert (done.code, done.error) == (1, "")
    assert quitting(done) == []


def test_two_apps_are_joined_by_and(older: Mac):
    older.run_app(WORD)
    older.run_app(EXCEL)

    (text,) = asked(older.audit(blocked_by("Microsoft Excel", "Microsoft Word")))

    assert text.startswith("Quit 'Microsoft Word' and 'Microsoft Excel' to update 'Google Drive' to version 90.0.")


def test_the_names_stand_in_place_of_the_app_itself(older: Mac):
    older.run_app(APP)

    done = older.audit(blocked_by("Microsoft Word.app"))

    assert (done.code, done.lines[-2:]) == (1, (NOBODY, UPGRADE))
    assert not done.called("osascript")


def test_the_app_itself_named_is_asked_about_in_the_same_words_as_ever(older: Mac):
    older.run_app(APP, "Google Drive")

    named, unnamed = older.audit(blocked_by("Google Drive")), older.audit(script_for())

    assert named.lines == unnamed.lines
    assert dialogs(named) == dialogs(unnamed)
    assert asked(named)[0].startswith("Quit 'Google Drive' to update it to version 90.0. Save your work first.")


def test_an_empty_list_asks_nobody(older: Mac):
    older.run_app(APP)
    older.run_app(WORD)

    done = older.audit(blocked_by())

    assert (done.code, done.lines[-1]) == (1, UPGRADE)
    assert not done.called("osascript")
    assert not done.called("lsappinfo")


@pytest.mark.parametrize("kind", ["UIElement", "BackgroundOnly", None])
def test_an_app_in_the_background_does_not_block(older: Mac, kind: str | None):
    older.running.append({"path": WORD, "LSDisplayName": None, "ApplicationType": kind})

    done = older.audit(blocked_by("Microsoft Word.app"))

    assert (done.code, done.lines[-2:]) == (1, (NOBODY, UPGRADE))


def test_several_copies_are_asked_about_once(older: Mac):
    older.run_app(WORD, kind="UIElement")
    older.run_app(WORD)
    older.run_app(WORD)

    done = older.audit(blocked_by("Microsoft Word.app", "Microsoft Word", WORD))

    assert done.lines.count("Detected blocking process: 'Microsoft Word'") == 1


DEEP = "/Applications/Xcode.app/Contents/Developer/Applications/Simulator.app"


@pytest.mark.parametrize(
    ("name", "path", "executable", "blocks"),
    [
        ("Firefox.app", "/Applications/Firefox.app", "firefox", True),
        ("Firefox", "/Applications/Firefox.app", "firefox", True),
        ("firefox.APP", "/Applications/Firefox.app", "firefox-bin", True),
        ("FIREFOX", "/Applications/Firefox.app", "firefox-bin", True),
        ("Firefox.app", "/Applications/Utilities/Firefox.app", "firefox", True),
        ("firefox-bin", "/Applications/Firefox.app", "firefox-bin", True),
        ("Firefox-Bin", "/Applications/Firefox.app", "firefox-bin", True),
        ("firefox-bin.app", "/Applications/Firefox.app", "firefox-bin", False),
        ("/Applications/Firefox.app", "/Applications/Firefox.app", "firefox", True),
        ("/applications/firefox.app", "/Applications/Firefox.app", "firefox", True),
        ("/Applications/Firefox.app", "/Applications/Utilities/Firefox.app", "firefox", False),
        ("/Applications/Firefox.app/Contents/MacOS/firefox", "/Applications/Firefox.app", "firefox", True),
        ("/Applications/Firefox.app/Contents/MacOS/other", "/Applications/Firefox.app", "firefox", False),
        ("/Applications", "/Applications/Firefox.app", "firefox", False),
        ("Fire", "/Applications/Firefox.app", "firefox", False),
        ("Firefox.ap", "/Applications/Firefox.app", "firefox", False),
        ("fox.app", "/Applications/Firefox.app", "firefox", False),
        ("Simulator", DEEP, "Simulator", True),
        ("Xcode", DEEP, "Simulator", False),
        ("Safari.app", "/System/Volumes/Preboot/Cryptexes/App/System/Applications/Safari.app", "Safari", True),
        ("TextEdit", "/System/Applications/TextEdit.app", "TextEdit", True),
        ("Größe.app", "/Applications/Größe.app", "g", True),
    ],
)
def test_what_a_name_means(older: Mac, name: str, path: str, executable: str, blocks: bool):
    older.app(path)
    older.run_app(path, executable=f"{path}/Contents/MacOS/{executable}")

    done = older.audit(blocked_by(name))

    assert (done.code, done.error, len(dialogs(done))) == ((0, "", 1) if blocks else (1, "", 0))


@pytest.mark.parametrize("named", ["NFC", "NFD"])
@pytest.mark.parametrize("on_disk", ["NFC", "NFD"])
@pytest.mark.parametrize("name", ["Übersicht.app", "Übersicht", "/Applications/Übersicht.app"])
def test_an_accent_is_the_same_composed_and_decomposed(older: Mac, name: str, on_disk: str, named: str):
    path = unicodedata.normalize(on_disk, "/Applications/Übersicht.app")
    older.app(path)
    older.run_app(path)

    done = older.audit(blocked_by(unicodedata.normalize(named, name)), "C.UTF-8")

    assert (done.code, done.error, len(dialogs(done))) == (0, "", 1)


def test_a_name_is_listed_once_whichever_way_its_accents_are_written():
    forms = tuple(unicodedata.normalize(form, "Übersicht.app") for form in ("NFD", "NFC"))

    assert conditions.app_names(forms) == forms[:1]
    assert audit.read(blocked_by(forms[0])).blocking_applications == forms[:1]
    assert audit.read(blocked_by(forms[1])).blocking_applications == forms[1:]


@pytest.mark.parametrize(
    "name",
    [
        *("*", "*.app", "?irefox.app", "[F]irefox.app", "(#i)firefox.app", "(|x)Firefox", "F#irefox", "~Firefox.app"),
        *("$(touch executed)", "`touch executed`", "${(e)x[$(touch executed)]}", "'; touch executed; '", "Firefox|x"),
        *("-n", "\\F", "%n", "/Applications/*", "/*", "Firefox.app^x", "Firefox<->"),
    ],
)
def test_a_name_is_no_pattern_and_never_run(older: Mac, name: str):
    older.app("/Applications/Firefox.app")
    older.run_app("/Applications/Firefox.app")

    done = older.audit(blocked_by(name))

    assert (done.code, done.error) == (1, "")
    assert not done.called("osascript")
    assert not list(older.root.rglob("executed"))


@pytest.mark.parametrize(
    "name", ["It's.app", 'A "b".app', "$HOME `x`.app", "100% [a]*?.app", " two  spaces.app", "a\\b.app"]
)
def test_an_odd_name_means_exactly_the_app_of_that_name(older: Mac, name: str):
    older.app(f"/Applications/{name}")
    older.run_app(f"/Applications/{name}")
    older.dialogs = ["quit"]

    done = older.audit(blocked_by(name))

    assert (done.code, done.error) == (1, "")
    assert quitting(done) == [f"/Applications/{name}"]


@pytest.mark.parametrize(
    "path",
    [
        "/Users/ada/Applications/Microsoft Word.app",
        "/private/tmp/Microsoft Word.app",
        "/Volumes/USB/Microsoft Word.app",
        "/System/Volumes/Data/Users/ada/Microsoft Word.app",
        "/Applications/../Users/ada/Microsoft Word.app",
        "/Applications/x/../../Users/ada/Microsoft Word.app",
        "/Applicationsx/Microsoft Word.app",
        "Microsoft Word.app",
    ],
)
def test_an_app_that_anyone_could_have_put_there_is_never_asked_to_quit(older: Mac, path: str):
    (older.root / "Applications/x").mkdir()
    if path.startswith("/"):
        older.app(path)
    older.run_app(path)
    older.dialogs = ["quit"]

    done = older.audit(blocked_by("Microsoft Word.app", "Microsoft Word", path))

    assert (done.code, done.lines[-2]) == (1, NOBODY)
    assert not done.called("osascript")


def test_an_app_that_is_not_there_is_never_asked_to_quit(older: Mac):
    older.run_app("/Applications/Gone.app")

    assert older.audit(blocked_by("Gone")).code == 1


@pytest.mark.parametrize(
    "lines",
    [
        '\n    bundle path="{0}"\n    executable path="{0}/Contents/MacOS/Microsoft Excel"\n',
        ' ASN:0x0-0x9: \n    bundle path="{0}"\n    pid = 1 type="Foreground" flavor=3 \n',
        '"\n    bundle path="{0}"\n 9) "x',
    ],
)
def test_lines_in_a_display_name_make_no_app_run(older: Mac, lines: str):
    """What an app calls itself is its user's choice, and root acts on the list."""
    older.app("/Applications/Liar.app")
    older.run_app("/Applications/Liar.app", f"Liar{lines.format(EXCEL)}")

    done = older.audit(blocked_by("Microsoft Excel"))

    assert (done.code, done.error, done.lines[-2]) == (1, "", NOBODY)
    assert not done.called("osascript")


def test_lines_in_a_display_name_hide_no_app(older: Mac):
    older.run_app(WORD, 'Word\n    bundle path="/x"\n    executable path="/y"\n 7) "')

    assert len(dialogs(older.audit(blocked_by("Microsoft Word")))) == 1


def test_a_program_without_a_bundle_is_not_taken_for_the_app_before_it(older: Mac):
    older.run_app(EXCEL)
    older.run_app("", "helper", executable="/usr/local/bin/helper")

    done = older.audit(blocked_by("helper", "/usr/local/bin/helper"))

    assert (done.code, done.lines[-2]) == (1, NOBODY)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_display_name_goes_to_applescript_as_data(older: Mac, name: str):
    older.run_app(WORD, name)
    older.run_app(EXCEL)

    done = older.audit(blocked_by("Microsoft Word", "Microsoft Excel"))

    assert (done.code, done.error) == (0, "")
    assert f"Detected blocking process: '{name}'" in done.lines
    (text,) = asked(done)
    assert text.startswith(f"Quit '{name}' and 'Microsoft Excel' to update 'Google Drive' to version 90.0.")
    assert not list(older.root.rglob("executed"))


def test_the_one_delay_is_the_apps_whatever_blocks_it(older: Mac):
    older.run_app(WORD)
    older.dialogs = ["delay"]
    script = blocked_by("Microsoft Word", "Microsoft Excel")
    assert (older.audit(script).code, older.delays) == (0, {NAME: {"90.0": NOW + 3600}})

    older.running.clear()
    older.run_app(EXCEL)
    done = older.audit(script)
    assert (done.code, asked(done)) == (0, [])

    older.now, older.dialogs = NOW + 3600, ["quit"]
    done = older.audit(script)
    assert (done.code, quitting(done)) == (1, [EXCEL])
    assert not offers_delay(dialogs(done)[0])


def test_an_app_that_stays_is_waited_for_a_while_and_no_longer(older: Mac):
    older.run_app(WORD)
    older.run_app(EXCEL)
    older.dialogs, older.quits = ["quit"], [WORD]

    done = older.audit(blocked_by("Microsoft Word", "Microsoft Excel"))

    assert (done.code, done.lines[-1]) == (1, UPGRADE)
    assert quitting(done) == [WORD, EXCEL]
    assert done.called("sleep") == [("1",)] * 15


@pytest.mark.parametrize("answer", ["nobody", "no session", "killed"])
def test_nobody_there_passes_without_a_delay(older: Mac, answer: str):
    older.run_app(WORD)
    older.dialogs = [answer]

    done = older.audit(blocked_by("Microsoft Word"))

    assert (done.code, older.delays, quitting(done)) == (0, None, [])


def test_quitting_starts_no_app_that_has_gone(older: Mac):
    older.run_app(WORD)
    older.dialogs = ["quit"]

    (call,) = [call for call in older.audit(blocked_by("Microsoft Word")).called("osascript") if "-e" in call][1:]

    program = [call[at + 1] for at, word in enumerate(call[:-1]) if word == "-e"]
    assert program.index("if application (item 1 of argv) is running then") < program.index(
        "tell application (item 1 of argv) to quit"
    )


def receipt(mac: Mac, **more: Any) -> Audit:
    mac.receipts = {"com.example.plugin": "1.0"}
    mac.now = NOW
    return mac.audit(script_for(None, None, "com.example.plugin", version="2.0", **more))


def test_a_package_without_an_app_can_be_blocked(older: Mac):
    older.run_app(WORD)
    older.dialogs = ["quit"]

    done = receipt(older, blocking_applications=("Microsoft Word.app",))

    assert (done.code, quitting(done)) == (1, [WORD])
    assert asked(done)[0].startswith("Quit 'Microsoft Word' to update 'com.example.plugin' to version 2.0.")


def test_a_package_without_an_app_that_nothing_blocks_is_upgraded_as_ever(older: Mac):
    older.run_app(WORD)

    done = receipt(older)

    assert (done.code, done.called("lsappinfo"), done.called("osascript")) == (1, [], [])


def test_a_first_install_asks_nobody(mac: Mac):
    mac.app(WORD)
    mac.run_app(WORD)

    done = mac.audit(blocked_by("Microsoft Word"))

    assert (done.code, done.lines[-1]) == (1, "'Google Drive.app' not found. Triggering install...")
    assert not done.called("lsappinfo")


def test_with_updates_only_a_blocking_app_is_asked_about_as_well(older: Mac):
    older.run_app(WORD)
    older.dialogs = ["quit"]

    done = older.audit(blocked_by("Microsoft Word", install_when_missing=False))

    assert (done.code, quitting(done)) == (1, [WORD])


def test_what_lsappinfo_cannot_tell_blocks_nothing(older: Mac):
    (older.root / "usr/bin/lsappinfo").unlink()

    done = older.audit(blocked_by("Microsoft Word"))

    assert (done.code, done.error, done.lines[-1]) == (1, "", UPGRADE)
