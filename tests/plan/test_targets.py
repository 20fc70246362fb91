"""Which Custom Apps a run is about, and what an audit script looks for: from settings, recipe and installer."""

from __future__ import annotations

from dataclasses import asdict, replace
from datetime import datetime, timezone

import pytest

from kandji_uploader.errors import AuditScriptError
from kandji_uploader.models import (
    AppFacts,
    AppRecord,
    Enforcement,
    InstallType,
    PackageRecord,
    Settings,
    Stage,
    StageSettings,
    Target,
)
from kandji_uploader.publish.plan import EnforcedIdentity
from kandji_uploader.publish.targets import (
    RecipeFacts,
    custom_app_name,
    decide_targets,
    identifiers,
    identify,
    script_problem,
)

SETTINGS = Settings("https://acme.api.kandji.io")
DEADLINE = datetime(2031, 5, 6, tzinfo=timezone.utc)
FULL = StageSettings(
    name="Widget",
    default_category="Tools",
    delay_days=9,
    preinstall_script="/pre",
    postinstall_script="/post",
    restart=True,
    blueprints=("Macs",),
    enforcement_deadline=DEADLINE,
    fields={"active": False},
)
FACTS = AppFacts(
    InstallType.PACKAGE,
    1,
    app_name="Widget.app",
    bundle_id="com.example.Widget",
    version="2.0",
    version_key="CFBundleVersion",
    package_id="com.example.pkg",
    package_version="2",
    apps=(AppRecord("Applications/Widget.app", "com.example.Widget"), AppRecord("Applications/Helper.app")),
    packages=(PackageRecord("com.example.pkg", "2"), PackageRecord("com.example.other")),
)
NO_APP = replace(FACTS, app_name=None, bundle_id=None, version=None, version_key=None, apps=())


def settings(prod=None, test=None, **others):
    return replace(SETTINGS, prod=prod or StageSettings(), test=test or StageSettings(), **others)


def only(asked: Settings, *, given: RecipeFacts | None = None) -> Target:
    (target,) = decide_targets(asked, "Widget", {"/pre": "echo 1", "/post": "echo 2"}, given)
    return target


# Targets


def test_with_both_names_the_test_app_comes_first():
    found = decide_targets(settings(StageSettings(name="A"), StageSettings(name="B")), "Widget", {})
    assert [(target.stage, target.name) for target in found] == [(Stage.TEST, "B"), (Stage.PROD, "A")]


@pytest.mark.parametrize(("stage", "which"), [("prod", Stage.PROD), ("test", Stage.TEST)])
def test_one_name_makes_one_target_with_all_that_is_set_for_its_stage(stage, which):
    assert only(settings(**{stage: FULL})) == Target(
        stage=which,
        name="Widget",
        enforcement=Enforcement.AUDIT_ENFORCE,
        default_category="Tools",
        delay_days=9,
        preinstall_script="echo 1",
        postinstall_script="echo 2",
        restart=True,
        blueprints=("Macs",),
        enforcement_deadline=DEADLINE,
        fields={"active": False},
    )


def test_without_a_name_one_prod_app_is_named_by_the_pattern():
    found = only(settings(new_app_naming="APPNAME at work"))
    assert (found.stage, found.name) == (Stage.PROD, "Widget at work")


def test_a_category_of_the_stage_makes_a_new_app_a_self_service_app_whatever_else_is_said():
    asked = settings(StageSettings(name="A", category="Apps"), enforcement_type=Enforcement.INSTALL_ONCE)
    found = only(asked, given=RecipeFacts(category="Browsers"))
    assert (found.enforcement, found.category, found.enforcement_given) == (Enforcement.SELF_SERVICE, "Apps", False)


@pytest.mark.parametrize(
    ("others", "enforcement", "category", "given"),
    [
        ({}, Enforcement.AUDIT_ENFORCE, None, False),
        ({"default_enforcement": Enforcement.SELF_SERVICE}, Enforcement.SELF_SERVICE, "Browsers", False),
        ({"enforcement_type": Enforcement.SELF_SERVICE}, Enforcement.SELF_SERVICE, "Browsers", True),
        ({"enforcement_type": Enforcement.UPDATE_ONLY}, Enforcement.UPDATE_ONLY, None, True),
    ],
)
def test_the_category_of_a_recipe_is_for_apps_that_are_in_self_service_anyway(others, enforcement, category, given):
    found = only(settings(StageSettings(name="A"), **others), given=RecipeFacts(category="Browsers"))
    assert (found.enforcement, found.category, found.enforcement_given) == (enforcement, category, given)


def test_what_the_settings_say_of_conditions_wins_over_the_recipe_even_where_nothing_blocks():
    given = RecipeFacts(blocking_applications=("B.app",), minimum_os_version="12")
    found = only(settings(StageSettings(name="A"), blocking_applications=(), minimum_os_version="13"), given=given)
    assert (found.blocking_applications, found.minimum_os_version) == ((), "13")
    found = only(settings(StageSettings(name="A")), given=given)
    assert (found.blocking_applications, found.minimum_os_version) == (("B.app",), "12")


def test_where_a_zip_goes_is_part_of_a_target_only_where_somebody_said_so():
    assert only(settings(StageSettings(name="A"), unzip_location="/opt")).unzip_location is None
    said = settings(StageSettings(name="A"), unzip_location="/opt", unzip_location_given=True)
    assert only(said).unzip_location == "/opt"


# What the recipe knows


def test_the_facts_of_a_recipe_come_back_from_json():
    given = RecipeFacts("Widget", "2.0", "com.example.Widget", "Widget", "Apps", ("A.app",), "13", ("a note",))
    plain = {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(given).items()}
    assert RecipeFacts.of(plain) == given


@pytest.mark.parametrize(
    ("given", "bundle_name", "complete"),
    [
        (RecipeFacts(), None, False),
        (RecipeFacts(version="1"), None, False),
        (RecipeFacts(version="1", bundle_id="a.b"), None, True),
        (RecipeFacts(version="1", app_name="Widget"), "Widget.app", True),
        (RecipeFacts(app_name="Widget.app"), "Widget.app", False),
    ],
)
def test_an_audit_script_needs_a_version_and_what_to_look_for(given, bundle_name, complete):
    assert (given.bundle_name, given.complete) == (bundle_name, complete)


# What the audit script looks for


def test_what_was_not_read_is_what_the_recipe_says():
    given = RecipeFacts(version="1.0", bundle_id="a.b", app_name="Widget")
    assert identify(given, None) == (EnforcedIdentity("Widget.app", "a.b", None, "1.0"), ())


def test_what_was_read_is_enforced_with_its_version_key():
    read = EnforcedIdentity("Widget.app", "com.example.Widget", "com.example.pkg", "2.0", "CFBundleVersion")
    assert identify(RecipeFacts(), FACTS) == (read, ())
    assert identify(RecipeFacts(version="2"), FACTS) == (read, ())
    short = replace(read, version_key="CFBundleShortVersionString")
    assert identify(RecipeFacts(), replace(FACTS, version_key=None)) == (short, ())


def test_a_given_name_and_id_win_where_the_installer_has_them():
    helper = replace(FACTS, apps=(*FACTS.apps, AppRecord("Other.app", "com.example.Other")))
    found, notes = identify(RecipeFacts(bundle_id="com.example.Other", app_name="Helper"), helper)
    assert (found.app_name, found.bundle_id, notes) == ("Helper.app", "com.example.Other", ())


def test_the_version_of_the_app_wins_over_the_recipe_s_which_is_told():
    found, notes = identify(RecipeFacts(version="2.1"), FACTS)
    assert found.version == "2.0"
    (note,) = notes
    assert note == (
        "the recipe says version 2.1, the app's CFBundleVersion says 2.0; the audit script enforces 2.0, which is what "
        "a Mac will report"
    )


def test_without_an_app_in_it_the_receipt_counts_unless_the_recipe_names_an_app():
    assert identify(RecipeFacts(version="9"), NO_APP)[0] == EnforcedIdentity(package_id="com.example.pkg", version="2")
    assert identify(RecipeFacts(version="9"), replace(NO_APP, package_version=None))[0].version == "9"
    named = EnforcedIdentity("Widget.app", None, "com.example.pkg", "9")
    assert identify(RecipeFacts(version="9", app_name="Widget"), NO_APP)[0] == named
    by_id = EnforcedIdentity(None, "a.b", "com.example.pkg", "2")
    assert identify(RecipeFacts(bundle_id="a.b"), NO_APP)[0] == by_id


def test_apps_with_an_equal_claim_are_refused_with_their_names():
    with pytest.raises(AuditScriptError) as refused:
        identify(RecipeFacts(), replace(FACTS, ambiguous=("A.app", "B.app")))
    assert str(refused.value) == (
        "the installer holds several apps with an equal claim: A.app, B.app. Say which is meant with `app_name` or "
        "`bundleid` in the recipe"
    )


def test_the_id_of_a_package_in_place_of_the_app_s_is_told_and_not_looked_for():
    found, notes = identify(RecipeFacts(bundle_id="com.example.other"), FACTS)
    assert found.bundle_id == "com.example.Widget"
    assert notes == (
        "`bundleid` 'com.example.other' is the package's id, not an app's; the audit goes by what was installed",
    )
    # An app may be called like its package.
    same = replace(FACTS, packages=(PackageRecord("com.example.Widget"),))
    assert identify(RecipeFacts(bundle_id="com.example.Widget"), same)[1] == ()


def test_an_id_that_no_app_in_it_has_is_refused_since_it_would_reinstall_forever():
    with pytest.raises(AuditScriptError) as refused:
        identify(RecipeFacts(bundle_id="a.b"), FACTS)
    assert str(refused.value) == (
        "`bundleid` 'a.b' is not in the installer (its apps: com.example.Widget); an audit for it would reinstall "
        "forever. Correct or drop `bundleid` in the recipe"
    )
    with pytest.raises(AuditScriptError, match=r"\(its apps: a\.c, com\.example\.Widget\)"):
        identify(RecipeFacts(bundle_id="a.b"), replace(FACTS, apps=(*FACTS.apps, AppRecord("X.app", "a.c"))))
    with pytest.raises(AuditScriptError, match=r"\(its apps: none\)"):
        identify(RecipeFacts(bundle_id="a.b"), replace(FACTS, apps=(AppRecord("X.app"),)))


def test_a_name_that_no_app_in_it_has_is_left_out_where_an_id_is_known_and_refused_where_none_is():
    found, notes = identify(RecipeFacts(app_name="Gadget"), FACTS)
    assert found.app_name == "Widget.app"
    assert notes == (
        "`app_name` 'Gadget.app' is not in the installer (its apps: Helper.app, Widget.app); it is not used",
    )
    with pytest.raises(AuditScriptError) as refused:
        identify(RecipeFacts(app_name="Gadget"), replace(FACTS, bundle_id=None))
    assert str(refused.value) == (
        "`app_name` 'Gadget.app' is not in the installer (its apps: Helper.app, Widget.app). Correct it"
    )


# Names


@pytest.mark.parametrize(
    ("given", "facts", "name"),
    [
        (RecipeFacts(name="Given", app_name="App"), FACTS, "Given"),
        (RecipeFacts(app_name="App.app"), FACTS, "App"),
        (RecipeFacts(), FACTS, "Widget"),
        (RecipeFacts(), NO_APP, "Widget-2.0"),
        (RecipeFacts(), None, "Widget-2.0"),
    ],
)
def test_software_that_nobody_named_is_called_by_its_app_and_then_by_its_file(given, facts, name):
    assert custom_app_name(given, facts, "Widget-2.0.pkg") == name


def test_the_package_map_is_asked_for_the_recipe_s_id_the_package_s_and_the_app_s_each_once():
    assert identifiers(RecipeFacts(bundle_id="a.b"), FACTS) == (
        *("a.b", "com.example.pkg", "com.example.other"),
        "com.example.Widget",
    )
    assert identifiers(RecipeFacts(), None) == ()
    assert identifiers(RecipeFacts(bundle_id="a.b"), None) == ("a.b",)


def test_a_script_that_cannot_be_read_is_told_with_its_path():
    told = "/x/pre.zsh: the script cannot be read (permission denied); correct the path"
    problem = script_problem("/x/pre.zsh", "permission denied")
    assert (str(problem), problem.problems[0].key) == (told, "")
