"""After a `.munki` recipe its pkginfo serves the Kandji side, unless the recipe says otherwise."""

from __future__ import annotations

from typing import Any

import pytest

from kandji_uploader import autopkg
from kandji_uploader.models import Enforcement, Settings, Stage, StageSettings
from kandji_uploader.publish.targets import RecipeFacts, decide_targets

PKGINFO = {"name": "Firefox", "display_name": "Mozilla Firefox", "category": "Browsers"}
IMPORTED = {"munki_info": {**PKGINFO, "version": "1.0"}, "pkginfo": PKGINFO}
KNOWN_ALREADY = {"munki_info": {}, "pkginfo": PKGINFO}


def given(**env: Any):
    return autopkg.given({"NAME": "Firefox", **env})


@pytest.mark.parametrize("env", [IMPORTED, KNOWN_ALREADY], ids=["imported", "was in the repo already"])
def test_display_name_and_category_of_the_pkginfo_are_used(env: dict[str, Any]) -> None:
    found = given(**env)
    assert (found.name, found.category) == ("Mozilla Firefox", "Browsers")


def test_what_makepkginfo_guesses_names_no_app() -> None:
    """It is there at the first run only; with the second run there would be another app."""
    found = given(munki_info=PKGINFO, pkginfo={"name": "Firefox"})
    assert (found.name, found.category) == ("Firefox", None)


def test_a_pkginfo_that_no_munki_step_has_used_says_nothing() -> None:
    assert given(pkginfo=PKGINFO).name == "Firefox"


@pytest.mark.parametrize(
    "broken", [None, "text", {"display_name": None, "category": "%CATEGORY%"}, {"display_name": " "}]
)
def test_a_pkginfo_that_is_none_is_passed_over(broken: Any) -> None:
    found = given(munki_info={}, pkginfo=broken)
    assert (found.name, found.category) == ("Firefox", None)


def targets(settings: Settings):
    return decide_targets(settings, "Mozilla Firefox", {}, RecipeFacts(category="Browsers"))


def test_the_category_makes_no_app_a_self_service_app() -> None:
    (target,) = targets(Settings("https://t", new_app_naming="APPNAME"))
    assert (target.name, target.enforcement, target.category) == ("Mozilla Firefox", Enforcement.AUDIT_ENFORCE, None)


def test_a_self_service_app_that_was_given_no_category_gets_it() -> None:
    (target,) = targets(Settings("https://t", enforcement_type=Enforcement.SELF_SERVICE))
    assert target.category == "Browsers"


def test_what_the_recipe_says_wins() -> None:
    prod = StageSettings(name="Firefox", category="Apps")
    (target,) = targets(Settings("https://t", prod=prod))
    assert (target.stage, target.name, target.category) == (Stage.PROD, "Firefox", "Apps")


APPS = {"blocking_applications": ["Firefox.app", "Thunderbird"], "minimum_os_version": "13.0"}


@pytest.mark.parametrize("first", [True, False], ids=["imported", "was in the repo already"])
def test_blocking_applications_and_the_lowest_macos_of_the_pkginfo_are_used(first: bool) -> None:
    own = {**PKGINFO, **APPS}
    found = given(munki_info={**own, "version": "1.0"} if first else {}, pkginfo=own)
    assert (found.blocking_applications, found.minimum_os_version) == (("Firefox.app", "Thunderbird"), "13.0")
    (target,) = decide_targets(Settings("https://t"), "Firefox", {}, found)
    assert (target.blocking_applications, target.minimum_os_version) == (("Firefox.app", "Thunderbird"), "13.0")


def test_what_makepkginfo_guesses_is_in_no_audit_script() -> None:
    """It is there at the first run only; the script would be another one from the second run on."""
    first = given(munki_info={**PKGINFO, **APPS}, pkginfo=PKGINFO)
    later = given(munki_info={}, pkginfo=PKGINFO)
    assert (first.blocking_applications, first.minimum_os_version) == (None, None)
    assert (later.blocking_applications, later.minimum_os_version) == (None, None)


@pytest.mark.parametrize(
    ("settings", "names", "macos"),
    [
        ({"blocking_applications": ()}, (), "13.0"),
        ({"blocking_applications": ("Other.app",)}, ("Other.app",), "13.0"),
        ({"minimum_os_version": "12"}, ("Firefox.app", "Thunderbird"), "12"),
    ],
)
def test_what_the_recipe_says_of_them_wins(settings: dict[str, Any], names: tuple[str, ...], macos: str) -> None:
    found = given(munki_info={}, pkginfo={**PKGINFO, **APPS})
    (target,) = decide_targets(Settings("https://t", **settings), "Firefox", {}, found)
    assert (target.blocking_applications, target.minimum_os_version) == (names, macos)


@pytest.mark.parametrize(
    ("listed", "names", "notes"),
    [
        ([], (), 0),
        (["A.app", "a:b", "x/y.app", 5, " ", "%NAME%.app", "two\nlines"], ("A.app",), 6),
        (["a:b"], None, 1),
        ("A.app", None, 0),
        (None, None, 0),
        ({"A.app": 1}, None, 0),
    ],
)
def test_names_that_cannot_be_used_are_told_and_left_out(listed: Any, names: Any, notes: int) -> None:
    """A list of which nothing is left says nothing; it does not say that nothing blocks."""
    found = given(munki_info={}, pkginfo={**PKGINFO, "blocking_applications": listed})
    assert (found.blocking_applications, len(found.notes)) == (names, notes)
    assert all("custom_app.blocking_applications" in note for note in found.notes)


@pytest.mark.parametrize(
    ("macos", "used", "notes"),
    [("12", "12", 0), (13.5, "13.5", 0), ("%MACOS%", None, 0), ("latest", None, 1), ("", None, 0), ({}, None, 1)],
)
def test_a_macos_that_is_none_is_told_and_left_out(macos: Any, used: str | None, notes: int) -> None:
    found = given(munki_info={}, pkginfo={**PKGINFO, "minimum_os_version": macos})
    assert (found.minimum_os_version, len(found.notes)) == (used, notes)
