"""Plans as whole values: what is created and repaired, to the field, and what is said of it, to the letter."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone

import pytest

from kandji_uploader.audit import script as audit
from kandji_uploader.errors import TargetError
from kandji_uploader.models import Action, Blueprint, Enforcement, InstallType, Promotion, Stage
from kandji_uploader.publish import matching, releases
from kandji_uploader.publish.plan import (
    EnforcedIdentity,
    TargetPlan,
    coming,
    ledger,
    live_contents,
    make_plan,
    matched,
    needs_audit,
    needs_categories,
    needs_version,
    resolve_blueprint,
    same_value,
    with_missing_blueprints,
)
from kandji_uploader.publish.releases import Contents, Ledger, Release
from tests.plan.world import IDENTITY, NOW, live, plan, plan_input, plans, script, self_service, target

NOTES = {"current": "[1]"}
ONCE = target(enforcement=Enforcement.INSTALL_ONCE)
MACS, LABS = Blueprint("b-1", "Macs"), Blueprint("b-2", "Labs")


def with_notes(asked, stage=Stage.PROD, notes=NOTES):
    return replace(asked, notes={stage: notes})


def once(**fields):
    return live(install_enforcement="install_once", **{"audit_script": "", **fields})


# What is created


def test_a_new_app_has_its_name_its_type_its_enforcement_and_the_script_with_its_notes():
    asked = with_notes(plan_input())
    (made,) = plans([target(blueprints=("Macs",), fields={"active": True})], asked)
    expected = audit.AuditValues("Widget.app", "com.example.Widget", "com.example.pkg", "2.0", NOW, 5)
    assert made == TargetPlan(
        target(blueprints=("Macs",), fields={"active": True}),
        Action.CREATE,
        "no Custom App has that name",
        fields={
            "name": "Widget",
            "install_type": "package",
            "install_enforcement": "continuously_enforce",
            "audit_script": audit.render(expected, asked.template, NOTES),
            "active": True,
        },
        needs_file=True,
        enforcement="audit_enforce",
        assign=("Macs",),
    )
    assert made.changes == ("file_key", *made.fields)
    assert plans([target()], plan_input())[0].fields["audit_script"] == audit.render(expected, asked.template)


def test_a_new_self_service_app_of_a_zip_has_its_category_and_its_place():
    asked = target(enforcement=Enforcement.SELF_SERVICE, category="Productivity", unzip_location="/opt")
    made = plan(of=asked, kind=InstallType.ZIP)
    assert made.fields == {
        "name": "Widget",
        "install_type": "zip",
        "install_enforcement": "no_enforcement",
        "unzip_location": "/opt",
        "show_in_self_service": True,
        "self_service_category_id": "c-prod",
    }
    assert (made.enforcement, made.warnings) == ("self_service", ())


def test_a_new_app_without_an_audit_script_keeps_its_notes_in_one_that_checks_nothing():
    assert plans([ONCE], with_notes(plan_input()))[0].fields["audit_script"] == audit.memory(NOTES)
    for asked in (plan_input(), with_notes(plan_input(), Stage.TEST), with_notes(plan_input(), notes={})):
        assert "audit_script" not in plans([ONCE], asked)[0].fields


def test_a_deadline_that_is_over_before_the_app_is_there_is_warned_of():
    then = datetime.fromtimestamp(NOW, timezone.utc)
    warned = plan(of=target(enforcement_deadline=then)).warnings
    assert warned == (f"the enforcement_deadline of 'Widget' ({then.isoformat()}) is over; it is enforced at once",)
    later = datetime.fromtimestamp(NOW + 1, timezone.utc)
    assert plan(of=target(enforcement_deadline=later)).warnings == ()


@pytest.mark.parametrize(
    ("others", "version", "action", "reason"),
    [
        ({"pin_version": "1.9"}, "2.0", Action.PINNED, "version 2.0 is above pin_version 1.9"),
        (
            {"pin_version": "1.9"},
            None,
            Action.REFUSED,
            "pin_version is 1.9, and the version of 'Widget.pkg' is not known; let the recipe set it",
        ),
    ],
)
def test_an_app_that_may_not_be_created_is_told_with_how_it_would_be_enforced(others, version, action, reason):
    asked = plan_input(identity=replace(IDENTITY, version=version), **others)
    (made,) = plans([target()], replace(asked, installer=replace(asked.installer, name="Widget.pkg")))
    assert made == TargetPlan(target(), action, reason, enforcement="audit_enforce")


def test_what_is_neither_created_nor_known_for_sure_is_told_with_the_way_out():
    none = "no Custom App has that name, and auto_create_app is off. Create it in Kandji, or set "
    refused = TargetPlan(target(), Action.REFUSED, f"{none}zz_defaults.auto_create_app")
    assert plan(auto_create_app=False) == refused
    twins = (live(), live(id="id-2"))
    several = "2 Custom Apps have that name; dynamic lookup is off. Rename or delete all but one of them in Kandji"
    assert plan(*twins) == TargetPlan(target(), Action.CONFLICT, several, candidates=twins)


# create_new


def test_an_app_that_an_interrupted_run_made_of_this_upload_is_gone_on_with():
    app = live(file_key="key", sha256="old")
    asked = plan_input(live("Other", file_key="key"), live(file_key="other"), app, create_new=True)
    installer = replace(asked.installer, file_key="key", unfinished=True)
    (found,) = plans([target()], replace(asked, installer=installer))
    assert (found.action, found.app) == (Action.UPDATE, app)
    assert found.reason == "made by a run that was interrupted; the installer differs"
    for known in (replace(installer, unfinished=False), replace(installer, file_key=None)):
        (found,) = plans([target()], replace(asked, installer=known))
        assert (found.action, found.reason, found.app) == (Action.CREATE, "create_new is set", None)


# What an app that Kandji does not audit remembers


def test_an_app_that_is_not_audited_gets_its_notes_and_loses_old_ones_with_another_installer():
    memory = audit.memory({"current": "[0]"})
    assert plans([ONCE], with_notes(plan_input(once())))[0].fields == {"audit_script": audit.memory(NOTES)}
    assert plans([ONCE], with_notes(plan_input(once(audit_script=memory))))[0].changes == ("audit_script",)
    assert plans([ONCE], plan_input(once(audit_script=memory)))[0].action is Action.UNCHANGED
    new = plans([ONCE], plan_input(once(audit_script=memory, sha256="old")))[0]
    assert new.fields == {"audit_script": ""}
    assert plans([ONCE], with_notes(plan_input(once()), Stage.TEST))[0].action is Action.UNCHANGED


def test_a_script_of_somebody_else_in_an_app_that_is_not_audited_is_kept():
    kept = once(audit_script="#!/bin/zsh\nexit 0\n", sha256="old")
    assert "audit_script" not in plans([ONCE], with_notes(plan_input(kept)))[0].fields


# Two targets


def test_two_targets_for_which_dynamic_lookup_picks_one_app_are_a_conflict_for_the_second():
    app = live("Old Widget", sha256="old", file_key="x/Widget-1.9.pkg", audit_script=script("1.9"))
    asked = plan_input(app, dynamic_lookup=True)
    targets = [target("Widget (Test)", stage=Stage.TEST), target("Widget")]
    first, second = make_plan(targets, matched(targets, asked))
    assert first.action is Action.UPDATE
    text = (
        "dynamic lookup picked 'Old Widget' for both 'Widget (Test)' and 'Widget'; give each its own prod_name or "
        "test_name"
    )
    assert second == TargetPlan(targets[1], Action.CONFLICT, text, candidates=(app,))


def test_targets_that_get_apps_of_their_own_are_no_conflict_and_one_that_gets_none_hides_none():
    own = plans([target("A", stage=Stage.TEST), target("B")], plan_input(live("A", sha256="a"), live("B", sha256="b")))
    assert [found.action for found in own] == [Action.UPDATE, Action.UPDATE]
    app = live("Old Widget", sha256="old", file_key="x/Widget-1.9.pkg", audit_script=script("1.9"))
    held = plans([target("A"), target("B", stage=Stage.TEST)], plan_input(app, dynamic_lookup=True, pin_version="1.9"))
    assert {found.action for found in held} == {Action.PINNED}
    matches = {Stage.TEST: matching.Match(None, "none"), Stage.PROD: matching.Match(app, "one")}
    targets = [target("A", stage=Stage.TEST), target("B"), target("C")]
    found = make_plan(targets, replace(plan_input(app), matches=matches))
    assert [each.action for each in found] == [Action.CREATE, Action.UPDATE, Action.CONFLICT]


# What has to be asked


@pytest.mark.parametrize(
    ("of", "app", "asks"),
    [
        (target(), None, True),
        (ONCE, None, False),
        (ONCE, live(), True),
        (target(), self_service(), False),
        (target(enforcement=Enforcement.UPDATE_ONLY), None, True),
    ],
)
def test_the_installer_is_read_only_where_a_script_of_ours_is_to_be_written(of, app, asks):
    assert needs_audit([of], matched([of], plan_input(*([app] if app else [])))) is asks


def test_the_version_is_needed_for_a_pin_a_promotion_and_a_rollback():
    mark = releases.to_notes(Ledger(rolled_back=Release("1.9", "a", 1.0)))
    asked = matched([target()], plan_input(live()))
    assert not needs_version([target()], asked)
    assert needs_version([target()], matched([target()], plan_input(live(), pin_version="3")))
    assert needs_version([target()], matched([target()], plan_input(promotion=Promotion(after_days=1))))
    assert needs_version([target()], replace(asked, remembered={"id-Widget": mark}))
    assert not needs_version([target()], replace(asked, remembered={"id-Other": mark}))


def test_categories_are_needed_for_what_will_be_in_self_service():
    wants, given = target(enforcement=Enforcement.SELF_SERVICE), target(category="Apps")
    settings = plan_input().settings
    lookup, new = plan_input(dynamic_lookup=True).settings, plan_input(create_new=True).settings
    none, one = plan_input().tenant, plan_input(self_service()).tenant
    two = plan_input(self_service(), replace(self_service(), id="2")).tenant
    cases = [
        (wants, none, settings, True),
        (wants, one, settings, False),
        (wants, two, settings, True),
        (wants, one, new, True),
        (given, one, settings, True),
        (given, one, new, False),
        (given, none, settings, False),
        (given, none, lookup, True),
        (target(), none, lookup, False),
    ]
    assert [needs_categories([of], tenant, held) for of, tenant, held, _ in cases] == [asks for *_, asks in cases]


# What is missing in the tenant


@pytest.mark.parametrize(
    ("of", "told"),
    [
        ({"category": "Games", "default_category": "Fun"}, "neither 'Games' nor the default 'Fun' exists for 'Widget'"),
        ({"default_category": "Fun"}, "the default Self Service category 'Fun' does not exist for 'Widget'"),
    ],
)
def test_a_category_that_is_missing_is_told_with_those_that_are_there(of, told):
    asked = plan_input()
    wants = target(enforcement=Enforcement.SELF_SERVICE, **of)
    with pytest.raises(TargetError) as refused:
        plans([wants], asked)
    assert str(refused.value) == f"{told}. The tenant has: Apps, Productivity, Utilities"
    empty = replace(asked, tenant=replace(asked.tenant, categories=()))
    with pytest.raises(TargetError, match=r"\. The tenant has: none$"):
        plans([wants], empty)


def test_a_category_that_is_missing_gives_way_to_the_default_with_a_warning():
    made = plan(of=target(enforcement=Enforcement.SELF_SERVICE, category="Games"))
    assert made.fields["self_service_category_id"] == "c-apps"
    assert made.warnings == ("the Self Service category 'Games' does not exist; 'Apps' is used",)


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("Macs", (MACS, None)),
        ("b-2", (LABS, None)),
        ("Macs:node", (MACS, "node")),
        ("b-2:a:b", None),
    ],
)
def test_a_blueprint_is_found_by_name_or_id_with_its_node(wanted, found):
    if found:
        assert resolve_blueprint(wanted, [MACS, LABS]) == found
    else:
        with pytest.raises(TargetError) as refused:
            resolve_blueprint(wanted, [MACS, LABS])
        assert str(refused.value) == f"there is no Blueprint {wanted!r}. The tenant has: Labs, Macs"


def test_a_blueprint_that_is_not_the_only_one_or_not_there_is_told():
    twice = [MACS, replace(MACS, id="b-3")]
    for wanted in ("Macs", "Macs:node"):
        with pytest.raises(TargetError) as refused:
            resolve_blueprint(wanted, twice)
        assert str(refused.value) == f"several Blueprints are named {wanted!r}; give the id of the one that is meant"
    with pytest.raises(TargetError, match=r"there is no Blueprint ':x'\. The tenant has: none"):
        resolve_blueprint(":x", [])


def test_an_app_that_is_left_as_it_is_is_added_to_the_blueprints_that_lack_it():
    of = target(blueprints=("Macs", "Labs"))
    asked = plan_input(live(), blueprints=(MACS, LABS))
    (found,) = plans([of], asked)
    tenant = replace(asked.tenant, items={"b-1": frozenset({"id-Widget"}), "b-2": frozenset()})
    added = with_missing_blueprints(found, tenant)
    assert (found.action, added.action, added.assign) == (Action.UNCHANGED, Action.UPDATE, ("Labs",))
    assert added.reason == "only blueprints differ"
    held = with_missing_blueprints(replace(found, action=Action.HELD, reason="it soaks"), tenant)
    assert (held.action, held.reason, held.assign) == (Action.HELD, "it soaks", ("Labs",))
    for other in (
        replace(found, action=Action.CREATE),
        replace(found, action=Action.REFUSED),
        replace(found, app=None),
    ):
        assert with_missing_blueprints(other, tenant) is other
    assert with_missing_blueprints(found, asked.tenant).assign == ()


# Releases


def test_the_coming_release_is_the_installer_with_what_it_is_known_by():
    asked = plan_input(identity=EnforcedIdentity("A.app", "a.b", "a.pkg", "2.0", "CFBundleVersion"))
    assert coming(asked, "sha", 5.0) == Release(
        "2.0", "sha", 5.0, app_name="A.app", bundle_id="a.b", package_id="a.pkg", version_key="CFBundleVersion"
    )
    unknown = replace(asked, identity=EnforcedIdentity())
    assert coming(unknown, "sha", 5.0).version == "2.0"  # of the file's name
    nameless = replace(unknown, installer=replace(asked.installer, name="Widget.pkg", type=InstallType.ZIP))
    assert (coming(nameless, "sha", 5.0).version, coming(nameless, "sha", 5.0).install_type) == ("", InstallType.ZIP)


def test_the_contents_that_an_app_has_are_told_as_far_as_settings_gave_them():
    text = script(blocking_applications=("A.app",), minimum_os_version="13")
    app = live(audit_script=text, preinstall_script="1", postinstall_script="2", restart=True, unzip_location="/opt")
    whole = Contents("1", "2", True, "/opt", ("A.app",), "13")
    assert live_contents(app, "abcdef") == whole
    assert live_contents(app, "ce") == Contents(restart=True, blocking_applications=("A.app",))
    assert live_contents(app, "") == Contents()


def test_what_the_machine_remembers_of_an_app_counts_by_its_id():
    mark = releases.to_notes(Ledger(rolled_back=Release("1.9", "a", 1.0)))
    assert ledger(live(), {"id-Widget": mark}).rolled_back == Release("1.9", "a", 1.0)
    assert ledger(live(), {"id-Other": mark}).rolled_back is None


# What is repaired and updated


def test_an_app_as_it_should_be_is_left_with_its_enforcement_and_its_warnings():
    of = target(category="Games")
    asked = plan_input(self_service())
    assert plans([of], asked)[0] == TargetPlan(
        of,
        Action.UNCHANGED,
        "found by name",
        app=self_service(),
        enforcement="self_service",
        warnings=("the Self Service category 'Games' does not exist; 'Apps' is used",),
    )


def test_what_differs_beside_the_installer_is_repaired_without_it_and_told():
    of = target(restart=True, fields={"active": False}, blueprints=("Macs", "Labs"))
    asked = plan_input(live(), blueprints=(MACS, LABS))
    tenant = replace(asked.tenant, items={"b-1": frozenset({"id-Widget"}), "b-2": frozenset()})
    (found,) = plans([of], replace(asked, tenant=tenant))
    assert found == TargetPlan(
        of,
        Action.UPDATE,
        "found by name; only restart, active, blueprints differ",
        app=live(),
        fields={"restart": True, "active": False},
        enforcement="audit_enforce",
        assign=("Labs",),
    )
    assert found.changes == ("restart", "active", "blueprints")


def test_another_installer_is_sent_with_its_kind_and_its_script():
    app = live(sha256="old", install_type="image", audit_script=script("1.9"))
    asked = with_notes(plan_input(app))
    (found,) = plans([target()], asked)
    assert (found.reason, found.needs_file, found.enforcement) == (
        "found by name; the installer differs",
        True,
        "audit_enforce",
    )
    expected = audit.AuditValues("Widget.app", "com.example.Widget", "com.example.pkg", "2.0", NOW, 5)
    assert found.fields == {
        "install_type": "package",
        "audit_script": audit.render(expected, asked.template, NOTES),
    }
    same = plans([target()], plan_input(replace(app, sha256="new", audit_script=script())))[0]
    assert same.action is Action.UNCHANGED  # the type of the same bytes is the service's affair


def test_notes_of_a_script_stay_while_the_installer_stays():
    noted = audit.render(replace_values("2.0"), plan_input().template, NOTES)
    assert plans([target()], plan_input(live(audit_script=noted)))[0].action is Action.UNCHANGED
    (found,) = plans([target()], plan_input(live(audit_script=noted, sha256="old")))
    assert audit.read(found.fields["audit_script"]).notes == {}


def replace_values(version):
    return audit.AuditValues("Widget.app", "com.example.Widget", "com.example.pkg", version, NOW - 86_400, 5)


def test_a_deadline_is_a_clock_that_has_run_down_then_and_is_warned_of_with_a_new_version_only():
    then = datetime.fromtimestamp(NOW - 60, timezone.utc)
    of = target(enforcement_deadline=then)
    (found,) = plans([of], plan_input(live(sha256="old", audit_script=script("1.9"))))
    reading = audit.read(found.fields["audit_script"])
    assert (reading.created_at, reading.days) == (NOW - 60, 0)
    assert found.warnings == (
        f"the enforcement_deadline of 'Widget' ({then.isoformat()}) is over; it is enforced at once",
    )
    assert plans([of], plan_input(live()))[0].warnings == ()


def test_a_script_of_somebody_else_is_kept_with_the_way_to_replace_it():
    app = live(audit_script="#!/bin/zsh\nexit 0\n")
    (found,) = plans([target()], plan_input(app))
    kept = "the audit script of 'Widget' was written by someone else and is kept"
    assert (found.action, found.warnings) == (Action.UNCHANGED, (f"{kept}; set replace_audit_script to replace it",))
    assert plans([target()], plan_input(app, replace_audit_script=True))[0].changes == ("audit_script",)


@pytest.mark.parametrize(
    ("app", "word"),
    [
        (live(), "audit_enforce"),
        (live(audit_script=script(install_when_missing=False)), "update_only"),
        (self_service(), "self_service"),
        (once(), "install_once"),
    ],
)
def test_the_enforcement_that_holds_is_the_one_in_kandji(app, word):
    assert plans([target()], plan_input(app))[0].enforcement == word


# What is not published


def test_above_the_pin_nothing_is_published_but_what_is_live_is_repaired():
    old = live(sha256="old", audit_script=script("1.0"), file_key="x/Widget-1.0.pkg")
    asked = plan_input(old, pin_version="1.9")
    text = "version 2.0 is above pin_version 1.9"
    assert plans([target()], asked) == (
        TargetPlan(target(), Action.PINNED, text, app=old, enforcement="audit_enforce"),
    )
    assert plans([target()], plan_input(old, pin_version="2.0"))[0].action is Action.UPDATE
    assert plans([target()], replace(asked, by_hand=True))[0].action is Action.UPDATE
    assert plans([target(restart=True)], plan_input(live(), pin_version="1.9"))[0].changes == ("restart",)


@pytest.mark.parametrize(
    ("mark", "held"),
    [
        (Release("2.0", "other", 1.0), True),
        (Release("2.1", "other", 1.0), True),
        (Release("1.9", "other", 1.0), False),
        (Release("1.5", "new", 1.0), True),
        (Release("", "", 1.0), False),
    ],
)
def test_a_version_that_was_rolled_back_is_held_until_a_newer_one_comes(mark, held):
    app = live(sha256="old", audit_script=script("1.0"), file_key="x/Widget-1.0.pkg")
    asked = replace(plan_input(app), remembered={"id-Widget": releases.to_notes(Ledger(rolled_back=mark))})
    (found,) = plans([target()], asked)
    if held:
        text = f"version {mark.version} was rolled back; 2.0 is not published, a newer one will be"
        assert (found.action, found.reason, found.app) == (Action.HELD, text, app)
    else:
        assert found.action is Action.UPDATE


def test_a_downgrade_is_refused_by_script_file_or_memory_and_told_with_the_way_out():
    allow = "Set allow_downgrade to publish it all the same"
    by_script = live(sha256="old", audit_script=script("2.1"), file_key="x/Widget-1.0_01234567.pkg")
    asked = plan_input(by_script)
    assert plans([target()], asked)[0].reason == (
        "version 2.1 in Kandji is higher than 2.0 (by its audit script; the file there is Widget-1.0.pkg). " + allow
    )
    assert plans([target()], plan_input(replace(by_script, file_key="x/Widget-2.1.pkg")))[0].reason == (
        f"version 2.1 in Kandji is higher than 2.0. {allow}"
    )
    by_file = live(sha256="old", audit_script="", install_enforcement="install_once", file_key="x/Widget-3.0.pkg")
    assert plans([ONCE], plan_input(by_file))[0].reason == f"version 3.0 in Kandji is higher than 2.0. {allow}"
    assert plans([target()], plan_input(by_script, allow_downgrade=True))[0].action is Action.UPDATE
    # The file decides, where it is known which version it is, and not what somebody wrote into the script.
    noted = releases.to_notes(Ledger(current=Release("1.0", "old", 1.0)))
    assert plans([target()], replace(asked, remembered={"id-Widget": noted}))[0].action is Action.UPDATE
    elsewhere = releases.to_notes(Ledger(current=Release("1.0", "else", 1.0)))
    assert plans([target()], replace(asked, remembered={"id-Widget": elsewhere}))[0].action is Action.REFUSED
    above = live(sha256="old", audit_script="", install_enforcement="install_once", file_key="x/Widget-2.1.pkg")
    assert plans([ONCE], replace(plan_input(above), remembered={"id-Widget": elsewhere}))[0].action is Action.REFUSED
    moved = releases.to_notes(Ledger(current=Release("1.0", "old", 1.0, file_key="k")))
    assert plans([ONCE], replace(plan_input(above), remembered={"id-Widget": moved}))[0].action is Action.UPDATE
    higher = releases.to_notes(Ledger(current=Release("2.5", "old", 1.0)))
    lowered = replace(by_script, audit_script=script("1.0"))
    remembered = replace(plan_input(lowered), remembered={"id-Widget": higher})
    assert plans([target()], remembered)[0].reason == f"version 2.5 in Kandji is higher than 2.0. {allow}"
    by_key = releases.to_notes(Ledger(current=Release("1.0", "", 1.0, file_key="k")))
    for key, action in (("k", Action.UPDATE), ("x/Widget-2.1.pkg", Action.REFUSED)):
        untold = plan_input(replace(by_script, sha256=None, file_key=key), sha256=None)
        assert plans([target()], replace(untold, remembered={"id-Widget": by_key}))[0].action is action
    nameless = live(sha256="old", audit_script="", install_enforcement="install_once", file_key="x/Widget.pkg")
    assert plans([ONCE], plan_input(nameless))[0].action is Action.UPDATE
    unknown = plan_input(by_file, identity=EnforcedIdentity())
    unknown = replace(unknown, installer=replace(unknown.installer, name="Widget.pkg"))
    assert plans([ONCE], unknown)[0].action is Action.UPDATE


def test_what_this_machine_remembers_gives_way_to_a_script_that_another_run_has_written_since():
    state = releases.to_notes(Ledger(current=Release("1.0", "else", 1.0, file_key="k")))
    told = audit.render(replace_values("2.0"), plan_input().template, releases.to_notes(Ledger()))
    assert ledger(live(audit_script=told), {"id-Widget": state}).current is None
    current = releases.to_notes(Ledger(current=Release("1.0", "new", 1.0, file_key="k")))
    assert ledger(live(audit_script=told), {"id-Widget": current}).current == Release("1.0", "new", 1.0, file_key="k")
    unsigned = live(audit_script="", sha256="new")
    assert ledger(unsigned, {"id-Widget": state}).current == Release("1.0", "else", 1.0, file_key="k")


def test_texts_are_the_same_whatever_line_ends_the_service_and_the_recipe_have():
    for ours, theirs in (("a\nb", "a\r\nb\n"), ("a\r\nb\r\n", "a\nb"), ("", " ")):
        of = target(preinstall_script=ours)
        assert plans([of], plan_input(live(preinstall_script=theirs)))[0].action is Action.UNCHANGED


def test_a_switch_and_a_text_are_never_the_same():
    assert not same_value("true", True)
    assert not same_value(True, "true")
    assert same_value(True, True)


def test_a_default_category_that_is_missing_is_nothing_to_an_app_that_is_not_in_self_service():
    assert plan(of=target(default_category="Fun")).action is Action.CREATE
    assert plan(live(), of=target(default_category="Fun")).action is Action.UNCHANGED


def test_a_category_matters_only_where_it_was_given_and_the_app_is_in_self_service():
    assert plan(live(), of=target(category="Productivity")).action is Action.UNCHANGED
    assert plan(self_service(category="c-prod")).action is Action.UNCHANGED
    changed = plan(self_service(), of=target(category="Productivity"))
    told = "found by name; only self_service_category_id differs"
    assert (changed.fields, changed.reason) == ({"self_service_category_id": "c-prod"}, told)


def test_a_script_needs_a_version_and_says_which_key_holds_it_and_where_a_zip_goes():
    with pytest.raises(TargetError) as refused:
        plan(identity=replace(IDENTITY, version=None))
    assert str(refused.value) == (
        "the version of 'Widget-2.0.pkg' is not known, so 'Widget' cannot be enforced. Let the recipe set `version`, "
        "or use another enforcement_type"
    )
    build = replace(IDENTITY, version_key="CFBundleVersion")
    made = plan(of=target(unzip_location="/ApplicationsX/"), kind=InstallType.ZIP, identity=build)
    reading = audit.read(made.fields["audit_script"])
    assert (reading.version_key, reading.unzip_location) == ("CFBundleVersion", "/ApplicationsX/")


def test_notes_that_are_new_are_written_without_another_installer():
    (found,) = plans([target()], with_notes(plan_input(live())))
    assert (found.changes, audit.read(found.fields["audit_script"]).notes) == (("audit_script",), NOTES)
