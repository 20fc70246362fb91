"""After a `.munki` recipe its pkginfo serves the Kandji side, unless the recipe says otherwise."""

from __future__ import annotations

from typing import Any

import pytest

from kandji_uploader import autopkg
from kandji_uploader.models import Enforcement, Settings, Stage, StageSettings
from kandji_uploader.targets import Given, decide_targets

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
    return decide_targets(settings, "Mozilla Firefox", {}, Given(category="Browsers"))


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
