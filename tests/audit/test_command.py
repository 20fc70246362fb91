"""`kandji-uploader audit-script`, as an admin calls it."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kandji_uploader.audit import script as audit
from tests.support.mac import CREATED, needs_zsh

GIVEN = {
    "app_name": 'Größe "x" $(y).app',
    "bundle_id": "com.foo",
    "pkg_id": None,
    "version": "1.10",
    "created_at_epoch": CREATED,
    "days": 5,
}


def call(given: object, *arguments: str, program: tuple[str, ...] = ("-m", "kandji_uploader", "audit-script")):
    text = given if isinstance(given, str) else json.dumps(given)
    return subprocess.run(
        [sys.executable, *program, *arguments],
        input=text.encode(),
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C", "PYTHONPATH": str(Path(audit.__file__).parents[2])},
        capture_output=True,
        timeout=60,
        check=False,
    )


def test_the_script_comes_out_as_it_is_uploaded():
    done = call(GIVEN)

    values = audit.AuditValues(GIVEN["app_name"], "com.foo", None, "1.10", CREATED, 5)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.decode() == audit.render(values, audit.load_template())


def test_the_small_command_of_a_checkout_does_the_same():
    small = Path(__file__).parents[2] / "audit/render.py"

    assert call(GIVEN, program=(str(small),)).stdout == call(GIVEN).stdout


def test_what_is_left_out_has_defaults():
    begun = int(time.time())

    reading = audit.read(call({"pkg_id": "com.foo", "version": "1"}).stdout.decode())

    assert begun <= (reading.created_at or 0) <= time.time()
    assert (reading.days, reading.install_when_missing) == (0, True)


def test_update_only_and_the_version_key_can_be_given():
    given = {**GIVEN, "install_when_missing": False, "version_key": "CFBundleVersion"}

    reading = audit.read(call(given).stdout.decode())

    assert (reading.install_when_missing, reading.version_key) == (False, "CFBundleVersion")


def test_a_slash_behind_a_path_means_nothing():
    reading = audit.read(call({**GIVEN, "blocking_applications": ["/Applications/Word.app/"]}).stdout.decode())

    assert reading.blocking_applications == ("/Applications/Word.app",)


@pytest.mark.parametrize("names", [None, [], ["Firefox.app", "/Applications/Word.app"]])
def test_blocking_applications_and_the_lowest_macos_can_be_given(names: list[str] | None):
    given = {**GIVEN, "blocking_applications": names, "minimum_os_version": "13.0"}

    reading = audit.read(call(given).stdout.decode())

    assert reading.blocking_applications == (None if names is None else tuple(names))
    assert reading.minimum_os_version == "13.0"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("", "no JSON object"),
        ("{", "no JSON object"),
        ("[1]", "no object"),
        ("[" * 100_000, "no JSON object"),
        ({**GIVEN, "version": 1.1}, "version is 1.1: give a string in quotes"),
        ({**GIVEN, "days": "5"}, 'days is "5": give a whole number'),
        ({**GIVEN, "days": True}, "days is true: give a whole number"),
        ({**GIVEN, "install_when_missing": "no"}, "give true or false"),
        ({**GIVEN, "blocking_applications": "A.app"}, 'blocking_applications is "A.app": give a list of strings'),
        ({**GIVEN, "blocking_applications": [1]}, "blocking_applications is [1]: give a list of strings"),
        ({**GIVEN, "blocking_applications": ["a:b"]}, "'a:b' holds a colon"),
        ({**GIVEN, "minimum_os_version": 13}, "minimum_os_version is 13: give a string in quotes"),
        ({**GIVEN, "name": "x"}, "'name' is not known; known are app_name"),
        ({"version": "1"}, "nothing identifies the app"),
        ({**GIVEN, "version": None}, "no version to enforce"),
    ],
)
def test_what_is_wrong_is_said_without_a_traceback(given: object, said: str):
    done = call(given)

    assert (done.returncode, done.stdout) == (6, b"")
    text = done.stderr.decode()
    assert said in text
    assert "Traceback" not in text


def test_a_template_that_lacks_variables_is_refused(tmp_path: Path):
    own = tmp_path / "own.zsh"
    own.write_text("APP_NAME=''\n")

    done = call(GIVEN, "--template", str(own))

    assert done.returncode == 6
    assert b"lacks BUNDLE_ID, PKG_ID, MINIMUM_ENFORCED_VERSION" in done.stderr


@needs_zsh
def test_the_script_is_tried_if_asked(tmp_path: Path):
    own = tmp_path / "own.zsh"
    own.write_text(audit.load_template().replace("\nif begin; then\n", "\nexit 1\nif begin; then\n"))

    assert call(GIVEN, "--check").returncode == 0
    assert b"again and again" in call(GIVEN, "--check", "--template", str(own)).stderr
