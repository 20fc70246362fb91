"""What a plan makes of who signed the installer: refused, told and noted, as whole values."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kandji_uploader.audit import script as audit
from kandji_uploader.models import Action, Enforcement, Stage, StageSettings
from kandji_uploader.publish import releases, signers
from kandji_uploader.publish.plan import TargetPlan, coming, matched, needs_signer, signed_by
from kandji_uploader.publish.releases import Ledger
from kandji_uploader.publish.signers import Looked
from tests.plan.test_signers import BY_EVE, BY_JANE, EVE, JANE
from tests.plan.world import live, plan_input, plans, target

ONCE = target(enforcement=Enforcement.INSTALL_ONCE)
OTHER = live(sha256="old")
OTHER_ONCE = live(sha256="old", install_enforcement="install_once", audit_script="")
SOAKED_EVE = Looked(EVE)
TESTED = live("Widget (Test)")
PAIR = {"test": StageSettings(name="Widget (Test)")}
JANE_DOE, EVES = "Jane Doe (ABCDE12345)", "Eve (ZZZZZ99999)"


def noted(app, ledger):
    return {app.id: releases.to_notes(ledger)}


def asked(*apps, looked=None, remembered=None, **settings):
    return replace(plan_input(*apps, **settings), looked=looked, remembered=remembered or {})


@pytest.mark.parametrize(
    ("apps", "surely", "by_digest"),
    [
        ([], True, True),
        ([live()], False, False),
        ([OTHER], False, True),
        ([live(sha256=None)], False, True),
        ([live(sha256="old", file_size=99)], True, True),
        ([live(file_size=None)], False, False),
        ([live(), replace(live(), id="id-2")], False, False),
    ],
    ids=["new app", "same", "other bytes", "no digest", "other size", "no size", "conflict"],
)
def test_the_signer_matters_where_an_app_gets_another_installer(apps, surely, by_digest):
    known = matched([target()], plan_input(*apps))
    assert needs_signer([target()], known, surely=True) is surely
    assert needs_signer([target()], known, surely=False) is by_digest


def test_two_digests_that_nobody_knows_are_not_the_same():
    known = matched([target()], plan_input(live(sha256=None), sha256=None))
    assert needs_signer([target()], known, surely=False)


@pytest.mark.parametrize(
    ("before", "looked", "after"),
    [
        (Ledger(), None, Ledger()),
        (Ledger(), BY_JANE, Ledger(signer=JANE)),
        (Ledger(signer=JANE), None, Ledger(signer=JANE)),
        (Ledger(signer=JANE), BY_EVE, Ledger(signer=EVE, instead_of=JANE)),
        (Ledger(signer=JANE), SOAKED_EVE, Ledger(signer=EVE, instead_of=JANE)),
        (Ledger(signer=EVE, instead_of=JANE), BY_EVE, Ledger(signer=EVE, instead_of=JANE)),
    ],
)
def test_of_an_app_is_remembered_who_signs_it_and_instead_of_whom(before, looked, after):
    assert signed_by(target(), OTHER, asked(OTHER, looked=looked, remembered=noted(OTHER, before))) == after


def test_of_an_app_that_is_new_is_remembered_who_signs_it():
    assert signed_by(target(), None, asked(looked=BY_JANE)) == Ledger(signer=JANE)
    assert signed_by(target(), None, asked()) == Ledger()


@pytest.mark.parametrize(
    ("of", "others"),
    [
        (target(), TESTED),
        (target("Widget (Test)", stage=Stage.TEST), live()),
        (target("Widget 2"), live("Widget 2")),
    ],
    ids=["prod after test", "test after prod", "by its own name"],
)
def test_where_nobody_noted_who_signed_an_app_the_other_app_of_its_pair_tells_it(of, others):
    known = {"remembered": noted(others, Ledger(signer=JANE)), **PAIR}
    found = asked(live("Else"), others, looked=BY_EVE, **known)
    assert signed_by(of, None, found) == Ledger(signer=EVE, instead_of=JANE)
    # What soaked was judged when it came into the test app.
    assert signed_by(of, None, replace(found, looked=SOAKED_EVE)) == Ledger(signer=EVE)
    assert signed_by(of, None, replace(found, looked=None)) == Ledger()


def test_the_first_of_a_pair_that_has_a_note_counts_and_what_an_app_itself_has_before_it():
    both = {**noted(TESTED, Ledger(signer=JANE)), **noted(OTHER, Ledger(signer="YYYYY88888 Yves"))}
    found = asked(TESTED, OTHER, looked=BY_EVE, remembered=both, **PAIR)
    assert signed_by(target("Widget (Test)"), None, found).instead_of == JANE
    assert signed_by(target("Widget (Test)"), OTHER, found).instead_of == "YYYYY88888 Yves"
    assert signed_by(target("Else"), None, found).instead_of == "YYYYY88888 Yves"


@pytest.mark.parametrize("looked", [BY_EVE, SOAKED_EVE])
def test_an_update_by_another_signer_is_refused_whole(looked):
    found = asked(OTHER, looked=looked, remembered=noted(OTHER, Ledger(signer=JANE)))
    reason = signers.problem(looked, JANE, found.settings)
    assert plans([target()], found) == (
        TargetPlan(target(), Action.REFUSED, reason, app=OTHER, enforcement="audit_enforce", distrusted=True),
    )
    allowed = replace(found, settings=replace(found.settings, allow_signer_change="ZZZZZ99999"))
    assert plans([target()], allowed)[0].action is Action.UPDATE


def test_a_new_app_by_another_signer_than_its_pair_is_refused_whole():
    found = asked(TESTED, looked=BY_EVE, remembered=noted(TESTED, Ledger(signer=JANE)), **PAIR)
    reason = signers.problem(BY_EVE, JANE, found.settings)
    assert plans([target()], found) == (TargetPlan(target(), Action.REFUSED, reason, distrusted=True),)


def test_the_teams_of_the_recipe_hold_for_what_is_created_and_for_what_is_updated():
    for apps in ([], [OTHER]):
        found = replace(asked(*apps, looked=BY_EVE), expected_teams=("ABCDE12345",))
        (refused,) = plans([target()], found)
        assert (refused.distrusted, refused.reason) == (
            True,
            signers.problem(BY_EVE, "", found.settings, ("ABCDE12345",)),
        )


def test_what_is_live_already_is_not_held_against_its_signer_and_no_signer_is_told():
    found = asked(live(), looked=BY_EVE, remembered=noted(live(), Ledger(signer=JANE)))
    assert plans([target()], found)[0].action is Action.UNCHANGED
    (repaired,) = plans([target(restart=True)], asked(live(restart=False), looked=BY_JANE))
    assert (repaired.action, repaired.signer) == (Action.UPDATE, "")


@pytest.mark.parametrize(
    ("apps", "looked", "before", "told"),
    [
        ([], BY_JANE, "", f"signed by {JANE_DOE}, who is remembered from now on"),
        ([TESTED], BY_JANE, JANE, f"signed by {JANE_DOE}"),
        ([OTHER], BY_JANE, "", f"signed by {JANE_DOE}, who is remembered from now on"),
        ([OTHER], BY_JANE, JANE, f"signed by {JANE_DOE}"),
        ([OTHER], Looked(EVE, instead_of=JANE), JANE, f"signed by {EVES}, before by {JANE_DOE}"),
        ([OTHER], None, JANE, ""),
    ],
)
def test_the_plan_tells_who_signed_what_an_app_gets(apps, looked, before, told):
    remembered = {app.id: releases.to_notes(Ledger(signer=before)) for app in apps}
    (found,) = plans([target()], asked(*apps, looked=looked, remembered=remembered, **PAIR))
    assert (found.signer, found.action.writes) == (told, True)


@pytest.mark.parametrize(("of", "app"), [(target(), OTHER), (ONCE, OTHER_ONCE)], ids=["audited", "not audited"])
def test_the_script_notes_who_signed_another_installer(of, app):
    moved = Looked(EVE, instead_of=JANE)
    cases = [
        (asked(looked=BY_JANE), Ledger(signer=JANE)),
        (asked(app, looked=BY_JANE), Ledger(signer=JANE)),
        (asked(app, looked=moved, remembered=noted(app, Ledger(signer=JANE))), Ledger(signer=EVE, instead_of=JANE)),
    ]
    for known, after in cases:
        (made,) = plans([of], known)
        assert audit.read(made.fields["audit_script"]).notes == releases.to_notes(after)


def test_the_coming_release_has_its_signer():
    assert coming(asked(looked=BY_JANE), "aa", 1.0).signer == JANE
    assert coming(asked(), "aa", 1.0).signer == ""
