"""Rendering and reading back: values are data, whatever they hold."""

from __future__ import annotations

import subprocess
from dataclasses import asdict, replace
from pathlib import Path
from unicodedata import normalize

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from kandji_uploader.audit import conditions
from kandji_uploader.audit import script as audit
from kandji_uploader.errors import AuditScriptError
from tests.support.examples import examples
from tests.support.mac import CREATED, ZSH, Mac, needs_zsh

VALUES = audit.AuditValues("Firefox.app", "org.mozilla.firefox", None, "125.0", CREATED, 5)
NASTY = (
    "It's \"Foo\" $(touch executed) `touch executed` $HOME ${(e)x} !! !$ %n \\ \\n \\' * ? [a] ~ # ; & | < > 🎉.app",
    "-n",
    "two\nlines\n",
    "'; touch executed; '",
    '"; touch executed; "',
    "$'\\x27; touch executed'",
    "\r\t\x1b[31m\x07\x7f\x85\u2028\u2029\u202e\ufeff",
    "\nAPP_NAME='other'\nPREFIX='/tmp'",
    '# kandji-uploader:body "x"',
    " ",
    "\\",
    "'",
    "''",
    "$'",
)
texts = st.text(st.characters(codec="utf-8", exclude_characters="\0")) | st.sampled_from(NASTY)
# Text that would leave a trace if any of it were run.
traps = st.lists(
    texts | st.sampled_from(["$(touch executed)", "`touch executed`", "'", '"', "\\", "\n", "$", ";", ")", "a[", "]"]),
    max_size=6,
).map("".join)
names = (traps | st.text(min_size=1, max_size=20)).filter(lambda name: not conditions.app_problem(name))
values_of_any_kind = st.builds(
    audit.AuditValues,
    app_name=traps,
    bundle_id=st.none() | traps,
    pkg_id=st.none() | traps,
    version=traps.filter(str.strip),
    created_at=st.integers(0, 2**40),
    days=st.integers(0, 36_500),
    version_key=st.sampled_from(audit.VERSION_KEYS),
    install_when_missing=st.booleans(),
    blocking_applications=st.none() | st.lists(names, max_size=4).map(conditions.distinct),
    unzip_location=st.none() | traps.map("/{}".format).filter(lambda place: ".." not in place),
    minimum_os_version=st.none() | st.from_regex(r"[0-9]{1,3}(\.[0-9]{1,3}){0,3}", fullmatch=True),
).map(lambda values: values if values.app_name.strip() else replace(values, app_name="x"))


@pytest.fixture(scope="module")
def template() -> str:
    return audit.load_template()


def held(reading: audit.AuditReading) -> dict[str, object]:
    """The values of a reading; what is blank reads as absent."""
    return {name: getattr(reading, name) for name in asdict(VALUES)}


def wanted(values: audit.AuditValues) -> dict[str, object]:
    return {name: None if value == "" else value for name, value in asdict(values).items()}


@given(values=values_of_any_kind)
@example(VALUES)
@settings(deadline=None)
def test_every_value_reads_back(template: str, values: audit.AuditValues):
    script = audit.render(values, template, {"note": values.version})

    reading = audit.read(script)

    assert held(reading) == wanted(values)
    assert (reading.writer, reading.edited, reading.notes) == ("ours", False, {"note": values.version})
    assert audit.read(script.replace("\n", "\r\n").rstrip()) == reading


@given(values=values_of_any_kind)
@settings(deadline=None)
def test_every_value_takes_one_line(template: str, values: audit.AuditValues):
    lines = audit.render(values, template, {"note": values.version}).splitlines()

    assert len(lines) == len(template.splitlines()) + 2
    assert sum(line.startswith("APP_NAME=") for line in lines) == 1


@needs_zsh
@given(values=values_of_any_kind, locale=st.sampled_from(["C", "C.UTF-8"]))
@settings(deadline=None, max_examples=examples(30), suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_zsh_reads_exactly_the_value(template: str, tmp_path: Path, values: audit.AuditValues, locale: str):
    script = audit.render(values, template)
    top = script[: script.index("\nPREFIX=")]
    assert ZSH is not None

    done = subprocess.run(
        [ZSH, "-f"],
        input=(
            top + '\nprint -rNn -- "$APP_NAME" "$BUNDLE_ID" "$PKG_ID" "$MINIMUM_ENFORCED_VERSION" \\\n'
            '"$BLOCKING_APPLICATIONS" "$MINIMUM_OS_VERSION" "$UNZIP_LOCATION"\n'
        ).encode(),
        env={"LC_ALL": locale},
        cwd=tmp_path,
        capture_output=True,
        timeout=60,
        check=True,
    )

    found = done.stdout.decode().split("\0")
    assert found[:4] == [values.app_name, values.bundle_id or "", values.pkg_id or "", values.version]
    joined = "".join(
        f"{form}:"
        for name in values.blocking_applications or ()
        for form in dict.fromkeys((name, normalize("NFC", name), normalize("NFD", name)))
    )
    assert found[6] == (values.unzip_location or "")
    assert found[4:6] == [
        joined or ("" if values.blocking_applications is None else ":"),
        values.minimum_os_version or "",
    ]
    assert done.stderr == b""
    assert not list(tmp_path.iterdir())


@needs_zsh
@pytest.mark.slow
@given(values=values_of_any_kind, installed=traps, name=traps, answer=st.sampled_from(["delay", "quit", "no session"]))
@settings(deadline=None, max_examples=examples(15))
def test_no_rendered_script_executes_a_value(
    tmp_path_factory: pytest.TempPathFactory,
    template: str,
    values: audit.AuditValues,
    installed: str,
    name: str,
    answer: str,
):
    mac = Mac(tmp_path_factory.mktemp("any") / "mac", dialogs=[answer])
    mac.now = values.created_at + values.days * 86_400 + 1
    printable = "".join(letter if letter >= " " else "?" for letter in installed)
    mac.app("/Applications/Foo.app", "com.foo.App", printable)
    mac.run_app("/Applications/Foo.app", name)
    for script in (audit.render(values, template), audit.render(replace(values, bundle_id="com.foo.App"), template)):
        done = mac.audit(script)
        assert done.code in (0, 1)
        assert done.error == ""
        assert not list(mac.root.rglob("executed"))


def test_unusual_characters_are_disguised_by_nothing(template: str):
    script = audit.render(replace(VALUES, app_name="a\u202eb\nc'd\\e.app"), template)

    assert "APP_NAME=$'a\\xe2\\x80\\xaeb\\x0ac\\'d\\\\e.app'\n" in script


def test_a_plain_value_is_plain(template: str):
    lines = audit.render(replace(VALUES, app_name="It's.app"), template).splitlines()

    assert "APP_NAME='It'\\''s.app'" in lines
    assert "MINIMUM_ENFORCED_VERSION='125.0'" in lines
    assert "CREATION_TIMESTAMP='1713206970'" in lines
    assert "DAYS_UNTIL_ENFORCEMENT='5'" in lines
    assert lines[0] == "#!/bin/zsh -f"


@pytest.mark.parametrize("blank", [None, "", "  ", "\n\t"])
def test_a_blank_identity_is_never_rendered(template: str, blank: str | None):
    with pytest.raises(AuditScriptError, match="nothing identifies the app"):
        audit.render(replace(VALUES, app_name=blank, bundle_id=blank, pkg_id=blank), template)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"version": ""}, "no version to enforce"),
        ({"version": " "}, "no version to enforce"),
        ({"days": -1}, "-1 days"),
        ({"days": 10**6}, "1000000 days"),
        ({"created_at": -1}, "-1 is no time"),
        ({"created_at": 10**15}, "is no time"),
        ({"version_key": "LSMinimumSystemVersion"}, "LSMinimumSystemVersion"),
        ({"app_name": "a\0b.app"}, "APP_NAME"),
        ({"bundle_id": "\ud800"}, "BUNDLE_ID"),
    ],
)
def test_values_that_no_script_can_hold_are_refused(template: str, change: dict[str, object], said: str):
    with pytest.raises(AuditScriptError, match=said):
        audit.render(replace(VALUES, **change), template)  # type: ignore[arg-type]


def test_the_bundled_template_is_one_that_zsh_can_read(template: str):
    assert template.startswith("#!/bin/zsh -f\n")
    assert max(map(len, template.splitlines())) <= 120


def test_a_template_of_ones_own_is_used(tmp_path: Path, template: str):
    own = tmp_path / "own.zsh"
    own.write_text(template.replace("emulate -R zsh\n", "emulate -R zsh\nprint mine\n"))

    script = audit.render(VALUES, audit.load_template(own))

    assert "\nprint mine\n" in script
    reading = audit.read(script)
    assert (reading.writer, reading.edited) == ("ours", False)


def test_all_variables_that_a_template_lacks_are_named_at_once(tmp_path: Path):
    own = tmp_path / "own.zsh"
    own.write_text("#!/bin/zsh -f\nAPP_NAME=''\nBUNDLE_ID=''\n  PKG_ID=''\nMINIMUM_ENFORCED_VERSION=''\n")

    with pytest.raises(AuditScriptError, match="lacks PKG_ID, CREATION_TIMESTAMP, DAYS_UNTIL_ENFORCEMENT;") as refused:
        audit.load_template(own)
    assert str(own) in str(refused.value)


def test_a_template_that_sets_a_variable_twice_is_refused(tmp_path: Path, template: str):
    own = tmp_path / "own.zsh"
    own.write_text(template + "\nAPP_NAME=x\n")

    with pytest.raises(AuditScriptError, match="APP_NAME more than once"):
        audit.load_template(own)


@pytest.mark.parametrize("kind", ["missing", "folder", "binary"])
def test_a_template_that_cannot_be_read_is_named(tmp_path: Path, kind: str):
    own = tmp_path / "own.zsh"
    if kind == "folder":
        own.mkdir()
    elif kind == "binary":
        own.write_bytes(b"\xff\xfe")

    with pytest.raises(AuditScriptError, match=r"own\.zsh.*audit_template"):
        audit.load_template(own)


def test_a_template_of_old_does_for_all_that_it_can_say(template: str):
    old = "".join(
        line
        for line in template.splitlines(keepends=True)
        if not line.startswith(("VERSION_KEY=", "INSTALL_WHEN", "BLOCKING_", "MINIMUM_OS", "UNZIP_"))
    )

    assert audit.read(audit.render(VALUES, old)).version == "125.0"
    with pytest.raises(AuditScriptError, match="INSTALL_WHEN_MISSING"):
        audit.render(replace(VALUES, install_when_missing=False), old)
    with pytest.raises(AuditScriptError, match="VERSION_KEY"):
        audit.render(replace(VALUES, version_key="CFBundleVersion"), old)
    with pytest.raises(AuditScriptError, match=r"Add a line `BLOCKING_APPLICATIONS=''` at its top"):
        audit.render(replace(VALUES, blocking_applications=()), old)
    with pytest.raises(AuditScriptError, match=r"needed for UNZIP_LOCATION=/opt"):
        audit.render(replace(VALUES, unzip_location="/opt"), old)
    with pytest.raises(AuditScriptError, match=r"needed for MINIMUM_OS_VERSION=13\.0"):
        audit.render(replace(VALUES, minimum_os_version="13.0"), old)


@pytest.mark.parametrize("name", ["", " ", "/", "a:b.app", "Folder/A.app", "two\nlines", "tab\t", "\u2028", "x" * 1025])
def test_what_names_no_blocking_application_is_refused(template: str, name: str):
    with pytest.raises(AuditScriptError, match="Correct `blocking_applications`"):
        audit.render(replace(VALUES, blocking_applications=("Good.app", name)), template)


@pytest.mark.parametrize("text", ["13.", "v13", "13 ", "13.0b1", ".5", "latest", "1" * 40, "13\n"])
def test_what_is_no_version_of_macos_is_refused(template: str, text: str):
    with pytest.raises(AuditScriptError, match="Correct `minimum_os_version`"):
        audit.render(replace(VALUES, minimum_os_version=text), template)


@pytest.mark.parametrize(
    ("literal", "names"),
    [
        ("''", None),
        ("':'", ()),
        ("'A.app:B.app:'", ("A.app", "B.app")),
        ("'A.app:B.app'", ("A.app", "B.app")),
        ("'A.app::x/y:'", ("A.app",)),
        ("$'A\\x0a.app:B.app:'", ("B.app",)),
        ("A.app", ("A.app",)),
    ],
)
def test_names_typed_by_hand_are_understood(template: str, literal: str, names: tuple[str, ...] | None):
    script = audit.render(VALUES, template).replace("BLOCKING_APPLICATIONS=''", f"BLOCKING_APPLICATIONS={literal}")

    assert audit.read(script).blocking_applications == names
    assert not audit.read(script).edited


def test_a_script_from_before_these_variables_says_nothing_of_them(template: str):
    old = "".join(
        line for line in template.splitlines(keepends=True) if not line.startswith(("BLOCKING_", "MINIMUM_OS"))
    )

    reading = audit.read(audit.render(VALUES, old))

    assert (reading.writer, reading.blocking_applications, reading.minimum_os_version) == ("ours", None, None)


def test_a_script_that_was_edited_is_told_from_one_with_other_values(template: str):
    script = audit.render(VALUES, template)

    assert not audit.read(script.replace("'125.0'", "'126.0'")).edited
    assert audit.read(script.replace("\nif begin; then\n", "\nif false; then\n")).edited


@pytest.mark.parametrize("literal", ["7", '"7"', "'7'"])
def test_a_value_typed_by_hand_is_understood(template: str, literal: str):
    script = audit.render(VALUES, template).replace("DAYS_UNTIL_ENFORCEMENT='5'", f"DAYS_UNTIL_ENFORCEMENT={literal}")

    assert audit.read(script).days == 7


@given(st.dictionaries(st.from_regex(r"[a-z][a-z0-9_-]{0,9}", fullmatch=True).filter(lambda key: key != "body"), texts))
def test_notes_are_carried_along_unharmed(template: str, notes: dict[str, str]):
    script = audit.render(VALUES, template, notes)

    reading = audit.read(script)

    assert dict(reading.notes) == notes
    assert (held(reading), reading.edited) == (wanted(VALUES), False)


def test_the_key_of_a_note_cannot_break_its_line(template: str):
    for key in ("", "A", "a b", "a\nb", "-a"):
        with pytest.raises(AuditScriptError, match="the note"):
            audit.render(VALUES, template, {key: "x"})


INCUMBENT = """#!/bin/zsh -f
#
# Made by {made_by}

DAYS_UNTIL_ENFORCEMENT={days}

APP_NAME="{name}"
BUNDLE_ID="com.google.drivefs"
PKG_ID=""
MINIMUM_ENFORCED_VERSION="90.0"
CREATION_TIMESTAMP="1713206970"

NOW_TIMESTAMP=$(date +%s)
    echo "Will verify version '${{MINIMUM_ENFORCED_VERSION}}'"
"""


@pytest.mark.parametrize(
    ("made_by", "writer"), [("KAPPA runtime", "kappa"), ("kpkg runtime", "kpkg"), ("irupkg.", "kpkg")]
)
@pytest.mark.parametrize("name", ["Google Drive.app", "Say $(x) \"hi\" 'there' \\.app"])
def test_the_scripts_of_the_incumbents_read_back(template: str, made_by: str, writer: str, name: str):
    reading = audit.read(INCUMBENT.format(made_by=made_by, days=3, name=name))

    assert held(reading) == wanted(audit.AuditValues(name, "com.google.drivefs", None, "90.0", CREATED, 3))
    assert (reading.writer, reading.known, reading.edited) == (writer, True, False)


def test_a_foreign_script_is_not_known():
    for script in ("", "#!/bin/zsh\nexit 0\n", INCUMBENT.format(made_by="me", days=3, name="x"), "APP_NAME='KAPPA'\n"):
        reading = audit.read(script)
        assert (reading.writer, reading.known, reading.version, reading.created_at) == (None, False, None, None)


@given(
    st.text()
    | st.lists(
        st.sampled_from(
            [
                *(
                    f"{name}="
                    for name in (
                        "APP_NAME",
                        "BUNDLE_ID",
                        "PKG_ID",
                        "MINIMUM_ENFORCED_VERSION",
                        "CREATION_TIMESTAMP",
                        "DAYS_UNTIL_ENFORCEMENT",
                        "INSTALL_WHEN_MISSING",
                        "VERSION_KEY",
                        "BLOCKING_APPLICATIONS",
                        "MINIMUM_OS_VERSION",
                        "UNZIP_LOCATION",
                    )
                ),
                "'",
                '"',
                "$'",
                "\\",
                "\\x4",
                "\\xff",
                "\n",
                "x",
                "9" * 5000,
                "# kandji-uploader:body ",
                "# KAPPA\n",
                "[" * 5000,
                "\ud800",
                "\r\n",
                "\0",
            ]
        ),
        max_size=60,
    ).map("".join)
)
@settings(deadline=None)
def test_any_text_can_be_read(script: str):
    audit.read(script)


@given(
    st.permutations(
        [
            *(
                f"{name}={{}}"
                for name in (
                    "APP_NAME",
                    "BUNDLE_ID",
                    "PKG_ID",
                    "MINIMUM_ENFORCED_VERSION",
                    "CREATION_TIMESTAMP",
                    "DAYS_UNTIL_ENFORCEMENT",
                )
            ),
            '# kandji-uploader:body "x"',
        ]
    ),
    st.text(st.sampled_from("'\"$\\x0aéf9 ")),
    st.sampled_from([10, 100_000]),
)
@settings(deadline=None, max_examples=examples(20))
def test_spoiled_literals_can_be_read(lines: list[str], literal: str, times: int):
    audit.read("\n".join(lines).replace("{}", literal * (times // max(1, len(literal)))))


@needs_zsh
@given(st.dictionaries(st.sampled_from(["current", "former"]), traps, min_size=1))
@example({"current": "'\n$(touch executed)\n"})
@settings(max_examples=examples(10), deadline=None)
def test_the_memory_of_an_app_that_is_not_enforced_holds_notes_and_always_passes(notes: dict[str, str]) -> None:
    script = audit.memory(notes)
    done = subprocess.run([ZSH, "-f", "-c", script], capture_output=True, check=False, timeout=20, cwd="/")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert [line for line in script.splitlines() if not line.startswith("#")] == ["exit 0"]
    reading = audit.read(script)
    assert (reading.writer, reading.is_memory, dict(reading.notes), reading.version) == ("ours", True, notes, None)
    assert audit.memory({}) == ""
