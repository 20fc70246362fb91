"""What stands in a rendered script to the letter, what is read from one, and what is refused in which words."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from kandji_uploader.audit import conditions
from kandji_uploader.audit import script as audit
from kandji_uploader.errors import AuditScriptError

CHECKOUT = Path(__file__).parents[2]
ALL = audit.AuditValues(
    app_name="Firefox.app",
    bundle_id="org.mozilla.firefox",
    pkg_id="org.mozilla.pkg",
    version="125.0",
    created_at=1_700_000_000,
    days=5,
    version_key="CFBundleVersion",
    install_when_missing=False,
    blocking_applications=("Firefox.app", "Thunderbird.app"),
    minimum_os_version="13.6",
    unzip_location="/opt/tools",
)
LEAST = audit.AuditValues("Firefox.app", None, None, "125.0", 0, 0)
NEEDED = ("APP_NAME", "BUNDLE_ID", "PKG_ID", "MINIMUM_ENFORCED_VERSION", "CREATION_TIMESTAMP", "DAYS_UNTIL_ENFORCEMENT")
TEMPLATE = "#!/bin/zsh -f\n" + "".join(f"{name}=''\n" for name in NEEDED) + "exit 0\n"
OF_KAPPA = """#!/bin/zsh
# Rendered by KAPPA
# for every Mac
APP_NAME="Firefox.app"
BUNDLE_ID=""
PKG_ID=""
MINIMUM_ENFORCED_VERSION="125.0"
CREATION_TIMESTAMP=1700000000
DAYS_UNTIL_ENFORCEMENT=5
"""


@pytest.fixture(scope="module")
def template() -> str:
    return audit.load_template()


def line(script: str, name: str) -> str:
    (found,) = [line for line in script.splitlines() if line.startswith(f"{name}=")]
    return found.removeprefix(f"{name}=")


def values_of(reading: audit.AuditReading) -> audit.AuditValues:
    return audit.AuditValues(**{name: getattr(reading, name) for name in audit.AuditValues.__dataclass_fields__})


@pytest.mark.parametrize("values", [ALL, LEAST], ids=["all", "least"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"], ids=["LF", "CR LF"])
def test_a_script_of_ours_reads_back_with_its_notes_also_with_the_line_ends_of_windows(template, values, line_end):
    script = audit.render(values, template, {"release": "a b\n", "former": "[1]"}).replace("\n", line_end)
    reading = audit.read(script)
    assert values_of(reading) == values
    assert (reading.writer, reading.edited) == ("ours", False)
    assert dict(reading.notes) == {"release": "a b\n", "former": "[1]"}


@pytest.mark.parametrize("line_end", ["\n", "\r\n"], ids=["LF", "CR LF"])
@pytest.mark.parametrize("before", [{}, {"release": "a b\n", "former": "[1]"}], ids=["no notes", "notes"])
@pytest.mark.parametrize("after", [{}, {"release": "c", "new": "d"}], ids=["to none", "to others"])
def test_other_notes_leave_every_other_byte_of_a_script_as_it_is(template, line_end, before, after):
    for made in (lambda notes: audit.render(ALL, template, notes), lambda notes: audit.memory({"x": "y", **notes})):
        script = made(before).replace("\n", line_end).rstrip() + "\n# edited by hand"
        changed = audit.with_notes(script, after)
        assert dict(audit.read(changed).notes) == after
        bare = [line for line in script.splitlines(keepends=True) if not line.startswith("# kandji-uploader:")]
        assert [line for line in changed.splitlines(keepends=True) if not line.startswith("# kandji-uploader:")] == bare
        assert audit.with_notes(changed, audit.read(script).notes) == script


@pytest.mark.parametrize("script", ["", OF_KAPPA, "#!/bin/zsh\nexit 0\n"])
def test_nothing_is_noted_in_a_script_of_somebody_else(script):
    with pytest.raises(AuditScriptError, match="did not write the audit script"):
        audit.with_notes(script, {"a": "b"})


def test_what_no_value_was_given_for_stands_there_empty_or_as_the_default(template):
    script = audit.render(LEAST, template)
    names = [*NEEDED, *("VERSION_KEY", "INSTALL_WHEN_MISSING", "BLOCKING_APPLICATIONS", "MINIMUM_OS_VERSION")]
    assert [line(script, name) for name in [*names, "UNZIP_LOCATION"]] == [
        *("'Firefox.app'", "''", "''", "'125.0'", "'0'", "'0'"),
        *("'CFBundleShortVersionString'", "'true'", "''", "''", "''"),
    ]


@pytest.mark.parametrize(
    ("value", "literal"),
    [
        ("it's", "'it'\\''s'"),
        ("two\nlines of $X's \\", "$'two\\x0alines of $X\\'s \\\\'"),
        ("\x1b", "$'\\x1b'"),
        ("a\u2028b\u2029c\u202e", "$'a\\xe2\\x80\\xa8b\\xe2\\x80\\xa9c\\xe2\\x80\\xae'"),
        ("Ü", "'Ü'"),
    ],
)
def test_a_value_is_one_literal_that_reads_back(template, value, literal):
    script = audit.render(replace(LEAST, version=value), template)
    assert line(script, "MINIMUM_ENFORCED_VERSION") == literal
    assert audit.read(script).version == value


@pytest.mark.parametrize(
    ("names", "literal"),
    [
        (None, "''"),
        ((), "':'"),
        (("Zoom.app",), "'Zoom.app:'"),
        (("Über.app", "Zoom.app"), "'Über.app:U\u0308ber.app:Zoom.app:'"),
        (("U\u0308bér.app",), "'U\u0308bér.app:Übér.app:U\u0308be\u0301r.app:'"),
    ],
)
def test_each_blocking_app_has_a_colon_behind_it_and_an_accent_both_spellings(template, names, literal):
    script = audit.render(replace(LEAST, blocking_applications=names), template)
    assert line(script, "BLOCKING_APPLICATIONS") == literal
    assert audit.read(script).blocking_applications == (names and (names[0], *names[1:]))


def test_a_script_without_the_newer_variables_reads_as_their_defaults():
    reading = audit.read(audit.render(LEAST, TEMPLATE))
    assert values_of(reading) == LEAST
    assert reading.known


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ('""', None),
        ('"Firefox.app"', "Firefox.app"),
        ("Firefox.app", "Firefox.app"),
        ("$'it\\'s'", "it's"),
        ("$'\\xff'", "\ufffd"),
        ("$'\ud800\\x41'", "?A"),
        ('"$HOME"', None),
        ("'open", None),
    ],
)
def test_a_value_that_was_typed_into_a_script_of_ours_is_what_zsh_reads(template, typed, read):
    script = audit.render(LEAST, template).replace("APP_NAME='Firefox.app'", f"APP_NAME={typed}")
    assert audit.read(script).app_name == read


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ('"Firefox.app"', "Firefox.app"),
        ("'Firefox.app'", "Firefox.app"),
        ("XpertX", "XpertX"),
        ("Firefox", "Firefox"),
        ('"Firefox', '"Firefox'),
        ('"', '"'),
        ("", None),
    ],
)
def test_a_value_in_a_script_of_kappa_loses_only_quotes_that_are_a_pair(typed, read):
    reading = audit.read(OF_KAPPA.replace('"Firefox.app"', typed))
    assert (reading.writer, reading.app_name) == ("kappa", read)


@pytest.mark.parametrize("typed", ["soon", "12345678901234", "-1"])
def test_a_number_that_the_script_cannot_mean_is_not_read(typed):
    reading = audit.read(OF_KAPPA.replace("1700000000", typed))
    assert (reading.version, reading.created_at, reading.days) == ("125.0", None, 5)


@pytest.mark.parametrize(
    ("former", "now"),
    [("exit 0", "exit 1"), ("VERSION_KEY='CFBundleShortVersionString'", ""), ("exit 0", "exit 0 # \ud800")],
    ids=["a command", "a variable less", "half a character"],
)
def test_a_script_of_ours_that_was_changed_below_its_values_is_told(template, former, now):
    script = audit.render(LEAST, template)
    assert not audit.read(script).edited
    assert audit.read(script.replace(former, now)).edited


def test_a_note_that_is_broken_does_not_hide_the_others(template):
    script = audit.render(LEAST, template, {"first": "1", "second": "2"})
    assert dict(audit.read(script.replace('first "1"', "first 1")).notes) == {"second": "2"}
    assert dict(audit.read(script.replace('first "1"', 'first "1')).notes) == {"second": "2"}


@pytest.mark.parametrize(
    "values",
    [
        replace(LEAST, created_at=0, days=0),
        replace(LEAST, created_at=2**40, days=36_500),
        replace(LEAST, app_name=None, pkg_id="org.mozilla.pkg"),
    ],
    ids=["lowest", "highest", "a package id only"],
)
def test_what_is_just_within_the_limits_is_rendered(template, values):
    assert values_of(audit.read(audit.render(values, template))) == values


NOTHING_KNOWN = (
    "nothing identifies the app: no app name, bundle id or package id is known, and an audit script without one would "
    "say nothing. Give `app_name` or `bundleid` in the recipe, or use another enforcement_type"
)
UNHOLDABLE = "which holds characters that no file name or plist can hold"
NO_FOLDER = "is no absolute path of a folder. Correct `unzip_location`"
REFUSED = [
    ({"app_name": " "}, NOTHING_KNOWN),
    ({"version": "\t"}, "there is no version to enforce. Give `version` in the recipe"),
    ({"created_at": -1}, "-1 is no time in seconds since 1970. Check the clock of this machine"),
    ({"created_at": 2**40 + 1}, f"{2**40 + 1} is no time in seconds since 1970. Check the clock of this machine"),
    ({"days": -1}, "a delay of -1 days is not accepted: 0 to 36500 days are"),
    ({"days": 36_501}, "a delay of 36501 days is not accepted: 0 to 36500 days are"),
    ({"version_key": "Name"}, "the version key 'Name' is not one of CFBundleShortVersionString, CFBundleVersion"),
    ({"bundle_id": "a\0"}, f"BUNDLE_ID is 'a\\x00', {UNHOLDABLE}"),
    ({"version": "\ud800"}, f"MINIMUM_ENFORCED_VERSION is '\\ud800', {UNHOLDABLE}"),
    ({"version": "\udfff"}, f"MINIMUM_ENFORCED_VERSION is '\\udfff', {UNHOLDABLE}"),
    (
        {"minimum_os_version": "Sonoma"},
        f"'Sonoma' {conditions.macos_problem('Sonoma')}. Correct `minimum_os_version`",
    ),
    (
        {"blocking_applications": ("Firefox", "a:b")},
        f"the blocking application 'a:b' {conditions.app_problem('a:b')}. Correct `blocking_applications`",
    ),
    ({"unzip_location": "opt"}, f"'opt' {NO_FOLDER}"),
    ({"unzip_location": "/opt/../x"}, f"'/opt/../x' {NO_FOLDER}"),
]


@pytest.mark.parametrize(("changed", "said"), REFUSED, ids=[next(iter(changed)) for changed, _ in REFUSED])
def test_a_value_that_cannot_be_enforced_is_refused_with_what_is_accepted(template, changed, said):
    with pytest.raises(AuditScriptError) as refused:
        audit.render(replace(LEAST, **changed), template)
    assert str(refused.value) == said


def test_a_template_that_lacks_variables_or_sets_them_twice_is_refused_with_their_names():
    with pytest.raises(AuditScriptError) as refused:
        audit.render(LEAST, TEMPLATE.replace("PKG_ID=''\n", "").replace("APP_NAME=''\n", ""))
    assert str(refused.value) == (
        "the audit template in use lacks APP_NAME, PKG_ID; it needs a line `NAME=''` for each of APP_NAME, BUNDLE_ID, "
        "PKG_ID, MINIMUM_ENFORCED_VERSION, CREATION_TIMESTAMP, DAYS_UNTIL_ENFORCEMENT"
    )
    with pytest.raises(AuditScriptError) as refused:
        audit.render(LEAST, f"{TEMPLATE}PKG_ID=''\nAPP_NAME=''\n")
    assert str(refused.value) == "the audit template in use sets APP_NAME, PKG_ID more than once; keep one line each"


def test_a_template_of_other_letters_is_read_as_utf_8(tmp_path):
    path = tmp_path / "template.zsh"
    path.write_bytes(f"# Prüfung\n{TEMPLATE}".encode())
    assert audit.load_template(path).startswith("# Prüfung\n")
