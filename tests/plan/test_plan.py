"""What each Custom App should become: the rules of matching, enforcement, drift, clock and downgrade."""

import pytest

from kandji_uploader.audit import script as audit
from kandji_uploader.errors import TargetError
from kandji_uploader.models import Action, Blueprint, Enforcement, InstallType, Stage
from kandji_uploader.publish.plan import EnforcedIdentity, check_blueprints, matched, needs_categories, needs_digest
from tests.plan.world import NOW, live, plan, plan_input, plans, script, self_service, target


def test_the_same_installer_and_settings_are_unchanged():
    found = plan(live())
    assert (found.action, found.fields, found.needs_file) == (Action.UNCHANGED, {}, False)


def test_other_bytes_are_an_update_with_the_file():
    found = plan(live(sha256="old", audit_script=script("1.0")))
    assert found.action is Action.UPDATE
    assert found.changes == ("file_key", "audit_script")


def test_the_clock_restarts_when_the_version_changes():
    found = plan(live(sha256="old", audit_script=script("1.0", created=5)))
    assert audit.read(found.fields["audit_script"]).created_at == NOW


def test_the_clock_goes_on_when_only_the_bytes_change():
    found = plan(live(sha256="old"))
    assert "audit_script" not in found.fields


def test_the_clock_goes_on_when_only_the_delay_changes():
    found = plan(live(), of=target(delay_days=9))
    assert found.changes == ("audit_script",)
    reading = audit.read(found.fields["audit_script"])
    assert (reading.created_at, reading.days) == (NOW - 86_400, 9)


def test_a_deleted_audit_script_is_put_back_without_an_upload():
    assert plan(live(audit_script="")).changes == ("audit_script",)


def test_line_ends_and_trailing_space_of_the_service_are_no_drift():
    assert plan(live(audit_script=script().replace("\n", "\r\n") + "\n\n")).action is Action.UNCHANGED


def test_somebody_elses_audit_script_is_kept_with_a_warning():
    found = plan(live(sha256="old", audit_script="#!/bin/zsh\nexit 0\n"))
    assert found.changes == ("file_key",)
    assert "kept" in found.warnings[0]


def test_replace_audit_script_replaces_it():
    found = plan(live(audit_script="#!/bin/zsh\nexit 0\n"), replace_audit_script=True)
    assert found.changes == ("audit_script",)


@pytest.mark.parametrize("enforcement", ["install_once", "no_enforcement"])
def test_an_existing_app_keeps_its_enforcement(enforcement):
    found = plan(live(install_enforcement=enforcement, audit_script="", sha256="old"))
    assert found.changes == ("file_key",)


def test_a_new_app_gets_what_was_asked_for():
    found = plan()
    assert found.action is Action.CREATE
    assert found.fields["install_enforcement"] == "continuously_enforce"
    reading = audit.read(found.fields["audit_script"])
    assert (reading.version, reading.created_at, reading.days) == ("2.0", NOW, 5)


def test_a_new_self_service_app_is_in_its_category():
    found = plan(of=target(enforcement=Enforcement.SELF_SERVICE, category="Productivity"))
    assert found.fields["install_enforcement"] == "no_enforcement"
    assert found.fields["show_in_self_service"] is True
    assert found.fields["self_service_category_id"] == "c-prod"
    assert "audit_script" not in found.fields


def test_a_category_that_does_not_exist_gives_a_warning_and_the_default():
    found = plan(of=target(enforcement=Enforcement.SELF_SERVICE, category="Nope"))
    assert found.fields["self_service_category_id"] == "c-apps"
    assert "'Nope' does not exist" in found.warnings[0]


def test_without_the_default_category_too_the_error_lists_the_tenants():
    with pytest.raises(TargetError, match="Apps, Productivity, Utilities"):
        plan(of=target(enforcement=Enforcement.SELF_SERVICE, category="Nope", default_category="Neither"))


def test_a_category_given_is_applied_to_an_existing_self_service_app():
    asked = target(enforcement=Enforcement.SELF_SERVICE, category="Productivity")
    assert plan(self_service(), of=asked).fields == {"self_service_category_id": "c-prod"}
    assert plan(self_service(category="c-prod"), of=asked).action is Action.UNCHANGED


def test_a_category_given_does_not_touch_an_app_that_is_enforced():
    asked = target(enforcement=Enforcement.SELF_SERVICE, category="Productivity")
    assert plan(live(), of=asked).action is Action.UNCHANGED


def test_update_only_passes_on_a_mac_that_lacks_the_app():
    found = plan(of=target(enforcement=Enforcement.UPDATE_ONLY))
    assert found.fields["install_enforcement"] == "continuously_enforce"
    assert audit.read(found.fields["audit_script"]).install_when_missing is False


def test_an_existing_update_only_app_stays_so_unless_the_recipe_says_otherwise():
    app = live(audit_script=script(install_when_missing=False))
    assert plan(app).action is Action.UNCHANGED
    found = plan(app, of=target(enforcement_given=True))
    assert audit.read(found.fields["audit_script"]).install_when_missing is True


def test_several_apps_of_one_name_are_a_conflict_that_changes_nothing():
    found = plan(live(), live(id="other"))
    assert (found.action, found.app, found.fields) == (Action.CONFLICT, None, {})
    assert len(found.candidates) == 2


def test_the_one_in_the_wanted_category_is_meant():
    asked = target(enforcement=Enforcement.SELF_SERVICE, category="Productivity")
    found = plan(self_service(), self_service(id="fits", category="c-prod"), of=asked)
    assert found.app.id == "fits"


def test_without_auto_create_a_missing_app_is_refused():
    found = plan(auto_create_app=False)
    assert found.action is Action.REFUSED
    assert "auto_create_app is off" in found.reason


def test_create_new_creates_beside_an_app_of_that_name():
    assert plan(live(), create_new=True).action is Action.CREATE


@pytest.mark.parametrize(
    "app",
    [
        live(sha256="old", audit_script=script("2.1")),
        live(sha256="old", install_enforcement="install_once", audit_script="", file_key="x/Widget-2.0.1_01234567.pkg"),
    ],
    ids=["by the audit script", "by the file name"],
)
def test_a_lower_version_is_refused_unless_allowed(app):
    found = plan(app)
    assert found.action is Action.REFUSED
    assert "allow_downgrade" in found.reason
    assert plan(app, allow_downgrade=True).action is Action.UPDATE


def test_a_version_that_differs_only_in_zeros_is_no_downgrade():
    assert plan(live(sha256="old", audit_script=script("2.0.0"))).action is Action.UPDATE


@pytest.mark.parametrize(
    ("given", "changes"),
    [
        ({"preinstall_script": "echo 1"}, ("preinstall_script",)),
        ({"postinstall_script": "echo 1"}, ("postinstall_script",)),
        ({"restart": True}, ("restart",)),
        ({"fields": {"active": False}}, ("active",)),
        ({"fields": {"active": True}, "restart": False}, ()),
    ],
)
def test_an_extra_is_repaired_where_it_differs(given, changes):
    assert plan(live(), of=target(**given)).changes == changes


def test_what_the_service_does_not_tell_is_sent_only_along_with_another_change():
    asked = target(fields={"self_service_recommended": True})
    assert plan(live(), of=asked).action is Action.UNCHANGED
    assert "self_service_recommended" in plan(live(sha256="old"), of=asked).changes


def test_a_field_that_no_code_knows_is_sent_where_it_differs_and_put_where_a_new_app_is_made():
    asked = target(fields={"motto": "one\ntwo"})
    assert plan(live(further={"motto": "one\r\ntwo\n"}), of=asked).action is Action.UNCHANGED
    assert plan(live(further={"motto": "three"}), of=asked).changes == ("motto",)
    assert plan(of=asked).fields["motto"] == "one\ntwo"


def test_a_zip_needs_a_place_to_unpack():
    assert plan(kind=InstallType.ZIP).fields["unzip_location"] == "/Applications"
    zipped = live(install_type="zip", unzip_location="/Custom", audit_script=script(unzip_location="/Custom"))
    assert plan(zipped, kind=InstallType.ZIP).action is Action.UNCHANGED
    moved = plan(zipped, kind=InstallType.ZIP, of=target(unzip_location="/Opt"))
    assert moved.changes == ("unzip_location", "audit_script")
    assert (moved.fields["unzip_location"], moved.fields["audit_script"]) == ("/Opt", script(unzip_location="/Opt"))


@pytest.mark.parametrize("location", ["/Applications", "/Applications/", "/"])
def test_the_audit_script_names_no_place_where_apps_are_looked_for_in_any_case(location):
    zipped = live(install_type="zip", unzip_location=location, audit_script=script())
    assert "audit_script" not in plan(zipped, kind=InstallType.ZIP).changes
    assert "audit_script" not in plan(live(unzip_location="/Custom")).changes


def test_another_kind_of_installer_changes_the_install_type():
    found = plan(live(sha256="old"), kind=InstallType.IMAGE)
    assert found.fields["install_type"] == "image"


def test_without_a_version_an_audited_app_is_not_published():
    with pytest.raises(TargetError, match=r"version of 'Widget-2\.0\.pkg' is not known"):
        plan(identity=EnforcedIdentity("Widget.app"))


def test_dynamic_lookup_takes_the_highest_version_then_the_one_modified_longest_ago():
    apps = [
        live("A", file_key="x/Widget-1.9_01234567.pkg", updated_at="2020"),
        live("B", file_key="x/Widget-1.10_01234567.pkg", updated_at="2022"),
        live("C", file_key="x/Widget-1.10_89abcdef.pkg", updated_at="2021"),
        live("D", file_key="x/Gadget-9_89abcdef.pkg", updated_at="2019"),
    ]
    found = plan(*apps, dynamic_lookup=True)
    assert found.app.name == "C"
    assert "dynamic lookup" in found.reason


def test_dynamic_lookup_never_gives_one_app_to_two_targets():
    app = live("Other", sha256="old", audit_script=script("1.0"), file_key="x/Widget-1.0_01234567.pkg")
    both = [target("One", stage=Stage.TEST), target("Two")]
    found = plans(both, plan_input(app, dynamic_lookup=True))
    assert [each.action for each in found] == [Action.UPDATE, Action.CONFLICT]


def test_a_missing_blueprint_is_an_error_before_anything_is_sent():
    with pytest.raises(TargetError, match=r"no Blueprint 'Nope'.*Macs"):
        check_blueprints(target(blueprints=("Nope",)), [Blueprint("b", "Macs")])


def test_a_blueprint_may_be_named_by_id_or_with_a_node():
    blueprints = [Blueprint("b-1", "Macs"), Blueprint("b-2", "Map: all", "map")]
    asked = target(blueprints=("b-1", "Map: all:node-7"))
    check_blueprints(asked, blueprints)
    assert plan(of=asked, blueprints=blueprints).assign == asked.blueprints


def test_a_size_that_no_target_has_proves_a_change_without_the_digest():
    for app, needed in ((live(file_size=99), False), (live(file_size=100), True), (live(file_size=None), True)):
        assert needs_digest([target()], matched([target()], plan_input(app))) is needed
    assert not needs_digest([target()], matched([target()], plan_input()))


def test_categories_are_needed_only_where_one_decides():
    asked = target(enforcement=Enforcement.SELF_SERVICE, category="Productivity")
    settled = plan_input().settings
    assert not needs_categories([target()], plan_input().tenant, settled)
    assert needs_categories([asked], plan_input().tenant, settled)
    assert needs_categories([asked], plan_input(self_service()).tenant, settled)
    assert not needs_categories([asked], plan_input(live()).tenant, settled)


def test_a_plan_is_a_pure_function():
    asked = plan_input(live(sha256="old"))
    assert plans([target()], asked) == plans([target()], asked)


NAMES = ("Firefox.app", "Thunderbird.app")


def conditions(found):
    reading = audit.read(found.fields["audit_script"])
    return reading.blocking_applications, reading.minimum_os_version


@pytest.mark.parametrize("names", [None, (), NAMES])
def test_a_new_script_has_the_blocking_applications_and_the_lowest_macos(names):
    found = plan(of=target(blocking_applications=names, minimum_os_version="13.0"))
    assert conditions(found) == (names, "13.0")


@pytest.mark.parametrize(
    ("had", "wants"),
    [
        ({}, {"blocking_applications": NAMES}),
        ({}, {"blocking_applications": ()}),
        ({"blocking_applications": NAMES}, {}),
        ({"blocking_applications": ()}, {}),
        ({"blocking_applications": NAMES}, {"blocking_applications": NAMES[:1]}),
        ({}, {"minimum_os_version": "13.0"}),
        ({"minimum_os_version": "12.0"}, {"minimum_os_version": "13.0"}),
        ({"minimum_os_version": "13.0"}, {}),
    ],
)
def test_a_script_that_differs_in_these_only_is_repaired_and_the_clock_goes_on(had, wants):
    found = plan(live(audit_script=script(**had)), of=target(**wants))
    reading = audit.read(found.fields["audit_script"])
    assert (found.action, found.changes) == (Action.UPDATE, ("audit_script",))
    assert reading.created_at == NOW - 86_400
    assert conditions(found) == (wants.get("blocking_applications"), wants.get("minimum_os_version"))


def test_a_script_that_has_them_is_left_alone():
    settled = {"blocking_applications": NAMES, "minimum_os_version": "13.0"}
    assert plan(live(audit_script=script(**settled)), of=target(**settled)).action is Action.UNCHANGED


def test_a_script_from_before_these_variables_is_repaired_and_the_clock_goes_on():
    old = "\n".join(line for line in script().splitlines() if not line.startswith(("BLOCKING_", "MINIMUM_OS")))
    found = plan(live(audit_script=old))
    assert (found.action, found.changes) == (Action.UPDATE, ("audit_script",))
    assert audit.read(found.fields["audit_script"]).created_at == NOW - 86_400


@pytest.mark.parametrize("enforcement", [Enforcement.SELF_SERVICE, Enforcement.INSTALL_ONCE])
def test_a_new_app_without_an_audit_script_cannot_heed_them_and_says_so(enforcement):
    found = plan(of=target(enforcement=enforcement), blocking_applications=(), minimum_os_version="13.0")
    assert found.warnings == (
        "'Widget' has no audit script, so blocking_applications and minimum_os_version have no effect",
    )


def test_an_app_without_an_audit_script_cannot_heed_them_and_says_so():
    found = plan(self_service(), blocking_applications=NAMES)
    assert (found.action, len(found.warnings)) == (Action.UNCHANGED, 1)
    assert found.warnings[0] == "'Widget' has no audit script, so blocking_applications has no effect"


def test_what_a_pkginfo_says_is_no_reason_to_warn():
    wants = target(enforcement=Enforcement.SELF_SERVICE, blocking_applications=NAMES, minimum_os_version="13.0")
    assert plan(self_service(), of=wants).warnings == ()
    assert plan(of=wants).warnings == ()
