"""An app in use: who is asked, what the answers do, and the one delay."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from tests.support.mac import CREATED, DELAYS, Mac, needs_zsh, script_for

pytestmark = needs_zsh

NAME = "Google Drive.app"
APP = f"/Applications/{NAME}"
NOW = CREATED + 100
OTHERS = {"Other.app": {"1.0": 5}, 'It\'s: a "b".app': {"2": 1}}


@pytest.fixture
def in_use(mac: Mac) -> Mac:
    mac.app(APP, "com.google.drivefs", "89.0")
    mac.run_app(APP, "Google Drive")
    mac.now = NOW
    return mac


def dialogs(done: Any) -> list[tuple[str, ...]]:
    return [call for call in done.called("osascript") if any("display dialog" in word for word in call)]


def offers_delay(dialog: tuple[str, ...]) -> bool:
    return dialog[-1] == "Delay 1 Hour"


@pytest.mark.parametrize("kind", ["UIElement", "BackgroundOnly", None])
def test_an_app_in_the_background_does_not_hold_the_update(mac: Mac, kind: str | None):
    mac.app(APP, "com.google.drivefs", "89.0")
    mac.running.append({"path": APP, "LSDisplayName": "Google Drive", "ApplicationType": kind})

    done = mac.audit(script_for())

    assert done.code == 1
    assert not done.called("osascript")


def test_another_app_in_the_foreground_does_not_count(mac: Mac):
    mac.app(APP, "com.google.drivefs", "89.0")
    mac.run_app("/Applications/Other.app", "Google Drive")

    assert mac.audit(script_for()).code == 1


def test_one_copy_in_the_foreground_is_enough(mac: Mac):
    mac.app(APP, "com.google.drivefs", "89.0")
    mac.run_app(APP, "Google Drive", kind="UIElement")
    mac.run_app(APP, "Google Drive")
    mac.dialogs = ["nobody"]

    done = mac.audit(script_for())

    assert (done.code, len(dialogs(done))) == (0, 1)


def test_a_current_app_is_left_alone(mac: Mac):
    mac.app(APP, "com.google.drivefs", "90.0")
    mac.run_app(APP, "Google Drive")

    assert not mac.audit(script_for()).called("lsappinfo")


@pytest.mark.parametrize("answer", ["quit", "noise"])
def test_quit_quits_the_app_and_upgrades(in_use: Mac, answer: str):
    in_use.dialogs = [answer]

    done = in_use.audit(script_for())

    assert (done.code, done.lines[-2:]) == (
        1,
        ("User clicked Quit", "Upgrading 'Google Drive.app' to version '90.0'..."),
    )
    assert done.called("osascript")[-1][-1] == APP
    assert not done.called("sleep")


def test_an_app_that_does_not_quit_is_waited_for_a_while(in_use: Mac):
    in_use.dialogs, in_use.quits = ["quit"], False

    done = in_use.audit(script_for())

    assert done.code == 1
    assert done.called("sleep") == [("1",)] * 15


@pytest.mark.parametrize("answer", ["delay", "cancel"])
def test_a_delay_lasts_an_hour_and_is_given_once(in_use: Mac, answer: str):
    in_use.dialogs = [answer]
    done = in_use.audit(script_for())
    assert (done.code, done.lines[-2]) == (0, "User clicked Delay")
    assert offers_delay(dialogs(done)[0])
    assert in_use.delays == {NAME: {"90.0": NOW + 3600}}

    in_use.now = NOW + 3599
    done = in_use.audit(script_for())
    assert (done.code, dialogs(done)) == (0, [])
    assert done.lines[-1].endswith("in 0 hours, 00 minutes, 01 seconds")

    in_use.now, in_use.dialogs = NOW + 3600, ["delay", "cancel", "nobody"]
    done = in_use.audit(script_for())
    assert not any(offers_delay(dialog) for dialog in dialogs(done))
    assert "User clicked Delay" not in done.lines
    assert in_use.delays == {NAME: {"90.0": NOW + 3600}}


def test_the_hour_begins_when_the_user_clicks(in_use: Mac):
    in_use.dialogs, in_use.thinking = ["delay"], 240

    in_use.audit(script_for())

    assert in_use.delays == {NAME: {"90.0": NOW + 240 + 3600}}


def test_a_new_version_gets_a_delay_of_its_own(in_use: Mac):
    in_use.delays = {NAME: {"90.0": NOW - 1}}
    in_use.dialogs = ["delay"]

    done = in_use.audit(script_for(version="91.0"))

    assert done.code == 0
    assert in_use.delays == {NAME: {"90.0": NOW - 1, "91.0": NOW + 3600}}


def test_nobody_there_passes_and_is_asked_again(in_use: Mac):
    for _ in range(2):
        done = in_use.audit(script_for())
        assert (done.code, len(dialogs(done))) == (0, 1)
    assert in_use.delays is None


@pytest.mark.parametrize("failure", ["no session", "not allowed", "no such thing", "killed", "empty"])
def test_a_dialog_that_fails_is_neither_a_delay_nor_tried_for_ever(in_use: Mac, failure: str):
    in_use.dialogs = [failure]

    done = in_use.audit(script_for())

    assert (done.code, done.error, in_use.delays) == (0, "", None)
    assert len(dialogs(done)) == 3
    assert any(line.startswith("The dialog could not be shown") for line in done.lines)


def test_a_dialog_that_fails_once_is_shown_again(in_use: Mac):
    in_use.dialogs = ["no session", "quit"]

    assert in_use.audit(script_for()).lines[-2] == "User clicked Quit"


HOSTILE = [
    'two" lines',
    'Foo" & (do shell script "touch executed") & "',
    "$(touch executed)",
    "`touch executed`",
    "gave up:true",
    "button returned:Quit, gave up:false",
    "-e",
    "User canceled. (-128)",
    "a\\nb %s %n \\",
    'Say "hi"',
]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_display_name_goes_to_applescript_as_data(in_use: Mac, name: str):
    in_use.running[0]["LSDisplayName"] = name
    in_use.dialogs = ["nobody"]

    done = in_use.audit(script_for())

    assert (done.code, done.error) == (0, "")
    assert f"Detected blocking process: '{name}'" in done.lines
    (dialog,) = dialogs(done)
    program = [dialog[at + 1] for at, word in enumerate(dialog[:-1]) if word == "-e" and at % 2 == 0]
    data = dialog[2 * len(program) :]
    assert dialog[: 2 * len(program) : 2] == ("-e",) * len(program)
    assert not any(name in line for line in program if name != "-e")
    assert any(name in item for item in data)
    assert not any(item.startswith("-") for item in data)
    assert not list(in_use.root.rglob("executed"))


def test_an_app_without_a_display_name_is_called_by_its_file(in_use: Mac):
    in_use.running[0]["LSDisplayName"] = None

    assert "Detected blocking process: 'Google Drive'" in in_use.audit(script_for()).lines


@pytest.mark.parametrize(
    "entry",
    [
        "soon",
        "",
        -1,
        0,
        NOW - 1,
        NOW + 3601,
        NOW + 10**9,
        10**18,
        3.5,
        True,
        {},
        {"x": 1},
        [1],
        b"x",
        "$(touch executed)",
        "a[$(touch executed)]",
        dt.datetime(2100, 1, 1),  # noqa: DTZ001 - a plist holds no time zone
    ],
    ids=repr,
)
def test_an_entry_that_is_no_delay_gives_no_second_one(in_use: Mac, entry: Any):
    in_use.delays = {NAME: {"90.0": entry}, **OTHERS}
    in_use.dialogs = ["quit"]

    done = in_use.audit(script_for())

    assert (done.code, done.error) == (1, "")
    assert not offers_delay(dialogs(done)[0])
    assert not list(in_use.root.rglob("executed"))


@pytest.mark.parametrize("entry", ["soon", 5, [], [1], True, b"x"], ids=repr)
def test_what_is_no_dictionary_of_delays_is_replaced_and_other_apps_keep_theirs(in_use: Mac, entry: Any):
    in_use.delays = {NAME: entry, **OTHERS}
    in_use.dialogs = ["delay"]

    done = in_use.audit(script_for())

    assert (done.code, done.error) == (0, "")
    assert in_use.delays == {NAME: {"90.0": NOW + 3600}, **OTHERS}


@pytest.mark.parametrize(
    "broken", [b"", b"garbage", b"bplist00\xff\xff", b"<plist><dict>", ["a", "list"], "text"], ids=repr
)
def test_a_broken_plist_is_begun_anew(in_use: Mac, broken: Any):
    in_use.delays = broken
    in_use.dialogs = ["delay"]

    done = in_use.audit(script_for())

    assert (done.code, done.error) == (0, "")
    assert in_use.delays == {NAME: {"90.0": NOW + 3600}}


def test_a_delay_that_cannot_be_kept_is_not_given(in_use: Mac):
    (in_use.root / DELAYS).mkdir()
    in_use.dialogs = ["delay", "quit"]

    done = in_use.audit(script_for())

    assert (done.code, done.error) == (1, "")
    assert [offers_delay(dialog) for dialog in dialogs(done)] == [True, False]


@pytest.mark.parametrize(
    "name",
    [
        *OTHERS,
        "It's.app",
        "a:b.app",
        ":",
        "::",
        'Say "hi".app',
        "back\\slash.app",
        "\\",
        "a b  c.app",
        "-x.app",
        "'",
        "100% $HOME `x`.app",
        "Größe 🎉.app",
        "Größe: 🎉's.app",
        "{}[]().app",
    ],
)
def test_any_name_and_version_can_be_delayed_once(mac: Mac, name: str):
    version = "1.2.3 (4:5's)"
    mac.now, mac.dialogs = NOW, ["delay"]
    mac.app(APP, "com.google.drivefs", "1.0")
    mac.run_app(APP)
    held = {"Kept.app": {"1.0": 7}}
    mac.delays = held

    assert mac.audit(script_for(name, version=version)).lines[-2] == "User clicked Delay"
    assert mac.delays == {**held, name: {version: NOW + 3600}}

    done = mac.audit(script_for(name, version=version))
    assert (done.code, dialogs(done), done.error) == (0, [], "")
    assert done.lines[-2] == f"Enforcement delay present for {name}"


def test_each_app_has_a_delay_of_its_own(in_use: Mac):
    in_use.delays = {"Other.app": {"90.0": NOW + 100}}
    in_use.dialogs = ["delay"]

    assert in_use.audit(script_for()).lines[-2] == "User clicked Delay"
