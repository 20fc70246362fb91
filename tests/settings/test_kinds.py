"""Each kind of value: what it takes, what becomes of it, and in which words it refuses the rest."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from kandji_uploader.audit import conditions
from kandji_uploader.models import Enforcement
from kandji_uploader.settings import coercion
from kandji_uploader.settings.coercion import UnfitError, shown

UUID = "0F8fad5b-d9cb-469f-a165-70867728950e"
UTC_TIME = datetime(2026, 3, 31, 16, tzinfo=timezone.utc)
EAST = timezone(timedelta(hours=2))

TAKEN = [
    (coercion.boolean, " Yes ", True),
    (coercion.boolean, "1", True),
    (coercion.boolean, True, True),
    (coercion.boolean, 0, False),
    (coercion.boolean, "NO", False),
    (coercion.boolean, "False", False),
    (coercion.Number(1, 9.5, "seconds"), "1", 1.0),
    (coercion.Number(1, 9.5, "seconds"), " +9.5 ", 9.5),
    (coercion.Number(-1, 9, "days", whole=True), "9.0", 9),
    (coercion.Number(-1, 9, "days", whole=True), -1, -1),
    (coercion.text, " a ", "a"),
    (coercion.text, 7, "7"),
    (coercion.name, "x" * 255, "x" * 255),
    (coercion.app_name, "Über", "Über"),
    (coercion.naming, "APPNAME at work", "APPNAME at work"),
    (coercion.secret_name, " KANDJI_TOKEN ", "KANDJI_TOKEN"),
    (coercion.enforcement, " No_Enforcement ", Enforcement.SELF_SERVICE),
    (coercion.Choice(("arm64", "x86_64")), " ARM64 ", "arm64"),
    (coercion.names, "b, a ,b", ("b", "a")),
    (coercion.names, ("b", 7), ("b", "7")),
    (coercion.tenants, "acme, @europe", ("acme", "@europe")),
    (coercion.app_names, "A.app/, B", ("A.app", "B")),
    (coercion.app_names, " [] ", ()),
    (coercion.macos_version, " 13.6 ", "13.6"),
    (coercion.mac_folder, "/opt/X//", "/opt/X"),
    (coercion.mac_folder, "/", "/"),
    (coercion.folder, "/var/lib/x", "/var/lib/x"),
    (coercion.folder, "~", str(Path.home())),
    (coercion.moment, "2026-03-31T18:00:00+02:00", UTC_TIME),
    (coercion.moment, " 2026-03-31T16:00:00Z ", UTC_TIME),
    (coercion.moment, "2026-03-31T16:00:00z", UTC_TIME),
    (coercion.moment, datetime(2026, 3, 31, 16), UTC_TIME),  # noqa: DTZ001 - as plistlib returns a plist's date
    (coercion.moment, datetime(2026, 3, 31, 18, tzinfo=EAST), UTC_TIME),
]

BOOLEAN = "must be true or false (also yes or no, 1 or 0)"
EMPTY = "must not be empty; write a value or leave the key out"
ONE_LINE = "must be one line without control characters"
SECRET = (
    "holds the secret itself (not shown); write the name under which the environment or keychain keeps it, such as "
    "KANDJI_TOKEN, and revoke the secret if others could read this"
)
ENFORCEMENT = "must be one of audit_enforce, self_service, install_once, update_only"
NAMES = "must be a list of names, or text with commas between them"
TENANTS = "must be the name of a tenant in tenants.yaml, @GROUP, all, or a list of these"
APPS = "must be a list of apps, or text with commas between them; [] where nothing blocks"
NO_APP = "holds an empty name; write the apps' names, [] where nothing blocks, or leave the key out"
APP = "write an app as Firefox.app or Firefox, or the absolute path of an app or its executable"
MACOS = "must be a version of macOS in digits and dots, such as 13 or 13.6.1"
FOLDER = "must be an absolute path, such as /var/lib/kandji-uploader or ~/kandji-uploader"
MOMENT = "must be a date and time with its zone, such as 2026-03-31T18:00:00+02:00 or 2026-03-31T16:00:00Z"

REFUSED = [
    (coercion.boolean, Path("yes"), BOOLEAN),
    (coercion.boolean, "tru", BOOLEAN),
    (coercion.Number(1, 9.5, "seconds"), "soon", "must be a number from 1 to 9.5 (seconds)"),
    (coercion.Number(1, 9.5, "seconds"), 0.999, "must be a number from 1 to 9.5 (seconds)"),
    (coercion.Number(1, 9.5, "seconds"), 9.501, "must be a number from 1 to 9.5 (seconds)"),
    (coercion.Number(1, 9.5, "seconds"), float("nan"), "must be a number from 1 to 9.5 (seconds)"),
    (coercion.Number(1, 9.5, "seconds"), True, "must be a number from 1 to 9.5 (seconds)"),
    (coercion.Number(-1, 9, "days", whole=True), 1.5, "must be a whole number from -1 to 9 (days)"),
    (coercion.Number(-1, 9, "days", whole=True), 10**400, "must be a whole number from -1 to 9 (days)"),
    (coercion.text, 1.5, "was read as a number, which can lose digits; put it in quotes"),
    (coercion.text, True, "must be text; put it in quotes"),
    (coercion.text, None, "must be text; put it in quotes"),
    (coercion.text, " \t", EMPTY),
    (coercion.text, "a\n", ONE_LINE),
    (coercion.text, "a\u2028b", ONE_LINE),
    (coercion.text, "a\u2029b", ONE_LINE),
    (coercion.text, "\ud800", ONE_LINE),
    (coercion.name, "x" * 256, "has 256 characters; a name has at most 255"),
    (
        coercion.app_name,
        "What\u200es",
        "holds U+200E (LEFT-TO-RIGHT MARK), which cannot be seen; take it out, or give the app another name",
    ),
    (
        coercion.naming,
        "AutoPkg",
        "must contain APPNAME, or all apps would share one name; write it like 'APPNAME (AutoPkg)'",
    ),
    (coercion.enforcement, "audit", ENFORCEMENT),
    (coercion.enforcement, 1, ENFORCEMENT),
    (coercion.Choice(("arm64", "x86_64")), "arm", "must be arm64 or x86_64"),
    (coercion.Choice(("arm64", "5")), 5, "must be arm64 or 5"),
    (coercion.names, [], NAMES),
    (coercion.names, {"a": 1}, NAMES),
    (coercion.names, "a,,b", EMPTY),
    (coercion.tenants, 5, TENANTS),
    (coercion.app_names, 5, APPS),
    (coercion.app_names, "A.app, ", NO_APP),
    (coercion.app_names, [" "], NO_APP),
    (coercion.app_names, ["a:b"], f"holds 'a:b', which {conditions.app_problem('a:b')}; {APP}"),
    (coercion.macos_version, "Sonoma", MACOS),
    (coercion.mac_folder, "Applications", "must be an absolute path on the Mac, such as /Applications"),
    (coercion.folder, "lib", FOLDER),
    (coercion.folder, "~no-such-user-here/x", FOLDER),
    (coercion.moment, 5, MOMENT),
    (coercion.moment, "tomorrow", MOMENT),
    (coercion.moment, "2026-03-31T18:00:00", MOMENT),
]


@pytest.mark.parametrize(("kind", "value", "found"), TAKEN, ids=lambda value: getattr(value, "__name__", None))
def test_a_value_that_fits_becomes_what_holds(kind, value, found):
    assert (kind(value), type(kind(value))) == (found, type(found))


@pytest.mark.parametrize(("kind", "value", "accepted"), REFUSED, ids=lambda value: getattr(value, "__name__", None))
def test_a_value_that_does_not_fit_is_refused_with_what_is_accepted(kind, value, accepted):
    with pytest.raises(UnfitError) as unfit:
        kind(value)
    assert (unfit.value.accepted, str(unfit.value), unfit.value.secret) == (accepted, accepted, False)


@pytest.mark.parametrize(
    ("value", "accepted"),
    [
        (UUID, SECRET),
        ("https://example.com/x", SECRET),
        ("hooks.slack.com/services/T0", SECRET),
        ("KANDJI_TOKEN=x", "must be a name, without '='"),
    ],
)
def test_what_is_a_secret_and_not_its_name_may_not_be_shown(value, accepted):
    with pytest.raises(UnfitError) as unfit:
        coercion.secret_name(value)
    assert (unfit.value.accepted, unfit.value.secret) == (accepted, True)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"a": "secret"}, "a mapping"),
        (["secret"], "a list"),
        (("secret",), "a list"),
        ({"secret"}, "a list"),
        (b"secret", "binary data"),
        ("it's", '"it\'s"'),
        (7.5, "7.5"),
        (True, "True"),
        (UTC_TIME, "2026-03-31 16:00:00+00:00"),
        ("x" * 78, f"'{'x' * 78}'"),
        ("x" * 79, f"'{'x' * 79}... (79 characters)"),
        (10**80, f"1{'0' * 79}... (81 characters)"),
        (f"token {UUID.lower()}", "something that looks like a secret (not shown)"),
        ("http://hooks.slack.com/x", "something that looks like a secret (not shown)"),
    ],
)
def test_a_value_is_shown_on_one_line_cut_short_and_never_as_a_secret(value, text):
    assert shown(value) == text
