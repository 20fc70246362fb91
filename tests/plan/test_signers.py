"""Whether a version may follow the one before it, and whether the settings let it through: by who signed it."""

from __future__ import annotations

import pytest

from kandji_uploader.models import Settings, Signature
from kandji_uploader.publish import releases, signers
from kandji_uploader.publish.releases import Ledger, Release
from kandji_uploader.publish.signers import Looked

JANE, EVE = "ABCDE12345 Jane Doe", "ZZZZZ99999 Eve"


def signature(team="ABCDE12345", name="Jane Doe", **parts):
    kept = {"status": "signed", "authority": "developer_id_application", "of": "app", **parts}
    return Signature(name=name, team_id=team, **kept)


BY_JANE = Looked.at(signature())
BY_EVE = Looked.at(signature("ZZZZZ99999", "Eve"))
BY_APPLE = Looked.at(signature(None, "Software Update", authority="apple"))
UNSIGNED = Looked.at(Signature("unsigned", of="package"))
ADHOC = Looked.at(Signature("adhoc", of="app"))
OWN_ROOT = Looked.at(signature(None, "Jane Doe", authority="other"))
UNREADABLE = Looked.at(Signature("not_looked_at", why="it holds no app"))
BROKEN = Looked.at(Signature("broken", of="package", why="TOC: it was changed"))
NOBODY_LOOKED = Looked()


def problem(looked, before="", by_recipe=(), **settings):
    return signers.problem(looked, before, Settings("https://x.api.kandji.io", **settings), by_recipe)


def test_what_is_remembered_of_a_signer_is_team_and_name():
    assert BY_JANE.signer == JANE
    assert BY_APPLE.signer == "apple"
    assert Looked.at(signature(of="package")).signer == f"{JANE} [package]"
    assert {one.signer for one in (UNSIGNED, ADHOC, OWN_ROOT, UNREADABLE)} == {"unsigned"}
    assert Looked.at(signature(name="N" * 500)).signer == f"ABCDE12345 {'N' * 80}"


GOES_ON = {
    "the same team": (BY_JANE, JANE),
    "the same team under another name": (Looked.at(signature(name="Jane Doe Ltd.")), JANE),
    "nothing is known": (BY_JANE, ""),
    "unsigned, as before": (UNSIGNED, "unsigned"),
    "unsigned, and nothing is known": (UNSIGNED, ""),
    "ad hoc after unsigned": (ADHOC, "unsigned"),
    "signed at last": (BY_JANE, "unsigned"),
    "Apple, as before": (BY_APPLE, "apple"),
    "nobody looked": (NOBODY_LOOKED, JANE),
}


@pytest.mark.parametrize(("looked", "before"), list(GOES_ON.values()), ids=list(GOES_ON))
def test_what_goes_on_as_before_is_published(looked, before):
    assert problem(looked, before) == ""


CHANGES = {
    "another team": (BY_EVE, "it is signed by Eve (ZZZZZ99999), while", "ZZZZZ99999"),
    "unsigned": (UNSIGNED, "it is unsigned, while", "unsigned"),
    "ad hoc": (ADHOC, "it is ad hoc, while", "unsigned"),
    "a root of one's own under the same name": (OWN_ROOT, "for whom Apple does not vouch, while", "unsigned"),
    "what cannot be read": (UNREADABLE, "it is not looked at: it holds no app, while", "unsigned"),
    "Apple": (BY_APPLE, "it is signed by Apple, while", "apple"),
}


@pytest.mark.parametrize(("looked", "who", "word"), list(CHANGES.values()), ids=list(CHANGES))
def test_a_change_of_signer_is_refused_with_both_names_until_that_very_one_is_allowed(looked, who, word):
    said = problem(looked, JANE)

    assert who in said
    assert "before it was signed by Jane Doe (ABCDE12345)" in said
    assert said.endswith(f"set allow_signer_change to {word}")
    assert problem(looked, JANE, allow_signer_change=word) == ""
    assert problem(looked, JANE, allow_signer_change="YYYYY88888") == said


@pytest.mark.parametrize("before", ["", JANE, "unsigned"])
@pytest.mark.parametrize("allowed", [None, "ABCDE12345", "unsigned"])
def test_what_is_broken_is_never_published(before, allowed):
    assert "its signature is broken (TOC: it was changed)" in problem(BROKEN, before, allow_signer_change=allowed)


def test_a_release_that_soaked_after_its_signer_was_allowed_needs_no_leave_again():
    moved = Looked("ZZZZZ99999 Eve", instead_of=JANE)
    assert problem(moved, JANE) == ""
    assert "signed by Eve" in problem(moved, "YYYYY88888 Yves")


POLICIES = {
    "unsigned": ({"require_signed": True}, UNSIGNED, "require_signed is set, and it is unsigned"),
    "ad hoc": ({"require_signed": True}, ADHOC, "require_signed is set, and it is ad hoc"),
    "a root of one's own": ({"require_signed": True}, OWN_ROOT, "for whom Apple does not vouch"),
    "unreadable": ({"require_signed": True}, UNREADABLE, "it holds no app"),
    "without a ticket": ({"require_notarized": True}, BY_JANE, "no notarization ticket"),
    "another team": (
        {"expected_team_id": ("YYYYY88888", "ZZZZZ99999")},
        BY_JANE,
        "is YYYYY88888, ZZZZZ99999, and it is",
    ),
    "no team": ({"expected_team_id": ("ABCDE12345",)}, UNSIGNED, "expected_team_id is ABCDE12345, and it is unsigned"),
}


@pytest.mark.parametrize(("settings", "looked", "said"), list(POLICIES.values()), ids=list(POLICIES))
def test_what_the_settings_do_not_let_through_is_refused(settings, looked, said):
    assert said in problem(looked, **settings)
    assert said in problem(looked, JANE, **settings)


def test_what_the_settings_ask_for_is_published():
    assert problem(BY_JANE, require_signed=True, expected_team_id=("ABCDE12345",)) == ""
    assert problem(Looked.at(signature(notarized=True)), require_notarized=True) == ""
    assert problem(BY_APPLE, require_notarized=True, require_signed=True, expected_team_id=("apple",)) == ""
    store = Looked.at(signature(authority="mac_app_store"))
    assert problem(store, require_notarized=True) == ""


NOTES = {
    "another team": (
        Looked(EVE),
        {"expected_team_id": ("ABCDE12345",)},
        "expected_team_id is ABCDE12345, and it is signed by Eve (ZZZZZ99999). Publish another file",
    ),
    "nobody": (Looked("unsigned"), {"require_signed": True}, "require_signed is set, and it is signed by nobody for"),
    "not known": (Looked(unseen=True), {"require_notarized": True}, "require_notarized is set, and it is not known"),
    "not known, for several": (
        Looked(),
        {"require_signed": True, "expected_team_id": ("ABCDE12345",)},
        "require_signed and expected_team_id are set, and it is not known who signed it",
    ),
}


@pytest.mark.parametrize(("looked", "settings", "said"), list(NOTES.values()), ids=list(NOTES))
def test_a_release_in_kandji_is_held_against_the_settings_by_its_note(looked, settings, said):
    assert said in problem(looked, **settings)
    assert problem(Looked(JANE), **settings) == ""


def test_without_such_settings_what_is_in_kandji_goes_on_though_nobody_knows_who_signed_it():
    assert problem(Looked(unseen=True)) == ""


def test_the_team_of_the_recipes_verifier_counts_where_anybody_signed():
    assert "CodeSignatureVerifier look for the Team ID ABCDE12345" in problem(BY_EVE, "", ("ABCDE12345",))
    assert problem(BY_JANE, "", ("ABCDE12345",)) == ""
    assert problem(UNSIGNED, "", ("ABCDE12345",)) == ""
    assert problem(BY_EVE, "", ("ABCDE12345",), expected_team_id=("ZZZZZ99999",)) == ""


REQUIREMENT = (
    'identifier "org.mozilla.firefox" and anchor apple generic and certificate 1[field.1.2.840.113635.100.6.2.6] '
    'and certificate leaf[subject.OU] = "43AQ936H96"'
)
NAMES = [
    "Developer ID Installer: Mozilla Corporation (43AQ936H96)",
    "Developer ID Certification Authority",
    "Apple Root CA",
]


@pytest.mark.parametrize(
    ("env", "teams"),
    [
        ({"requirement": REQUIREMENT}, ("43AQ936H96",)),
        ({"requirement": REQUIREMENT.replace('"43AQ936H96"', "43AQ936H96")}, ("43AQ936H96",)),
        (
            {"requirement": f"({REQUIREMENT}) or certificate leaf[subject.OU] = ABCDE12345"},
            ("43AQ936H96", "ABCDE12345"),
        ),
        ({"expected_authority_names": NAMES}, ("43AQ936H96",)),
        ({"expected_authority_names": ["Software Signing", *NAMES[1:]]}, ()),
        ({"requirement": "anchor apple"}, ()),
        ({"requirement": ["x"], "expected_authority_names": "Developer ID Installer: X (43AQ936H96)"}, ()),
        ({"requirement": None, "expected_authority_names": [None]}, ()),
        ({}, ()),
    ],
)
def test_the_team_is_read_from_the_verifiers_arguments(env, teams):
    assert signers.of_verifier(env) == teams


def test_a_verifier_that_was_switched_off_counts_only_where_it_cannot_look_itself():
    env = {"requirement": REQUIREMENT, "DISABLE_CODE_SIGNATURE_VERIFICATION": "1"}
    assert signers.of_verifier(env, "darwin") == ()
    assert signers.of_verifier(env, "linux") == ("43AQ936H96",)


def test_the_run_tells_a_signer_that_is_new_and_one_that_is_another():
    assert signers.told(BY_JANE, "") == "signed by Jane Doe (ABCDE12345), who is remembered from now on"
    assert signers.told(BY_JANE, JANE) == "signed by Jane Doe (ABCDE12345)"
    assert signers.told(BY_EVE, JANE) == "signed by Eve (ZZZZZ99999), before by Jane Doe (ABCDE12345)"
    assert signers.told(UNSIGNED, JANE) == "not signed, before by Jane Doe (ABCDE12345)"
    assert signers.told(UNSIGNED, "") == "not signed"
    assert signers.told(NOBODY_LOOKED, JANE) == ""


def release(version, signer="", **parts):
    return Release(version, version * 64, float(len(version)), file_key=f"{version}.pkg", signer=signer, **parts)


def test_a_ledger_keeps_who_signed_and_instead_of_whom():
    first = releases.replaced(Ledger(), None, release("1", JANE), keep=5)
    second = releases.replaced(first, release("1", JANE), release("2", EVE), keep=5)
    third = releases.replaced(second, second.current, release("3"), keep=5)

    assert (first.signer, first.instead_of) == (JANE, "")
    assert (second.signer, second.instead_of, second.current.instead_of) == (EVE, JANE, JANE)
    assert (third.signer, third.current.signer) == (EVE, EVE), "nobody looked, so it stays as it was"
    for ledger in (first, second, third):
        assert releases.from_notes(releases.to_notes(ledger)) == ledger


def test_going_back_brings_back_who_signed_then():
    first = releases.replaced(Ledger(), None, release("1", JANE), keep=5)
    second = releases.replaced(first, release("1", JANE), release("2", EVE), keep=5)
    back = releases.taken(second, second.current, second.former[0])

    assert (back.signer, back.instead_of) == (JANE, EVE)


def test_that_nobody_signs_is_noted_only_of_what_somebody_signed_before():
    assert Ledger().signed("unsigned") == Ledger()
    assert Ledger(signer=JANE).signed("unsigned") == Ledger(signer="unsigned", instead_of=JANE)


def test_the_note_stands_alone_where_no_release_is_noted():
    notes = releases.to_notes(Ledger(signer=JANE, instead_of=EVE))
    assert list(notes) == ["signer"]
    assert releases.from_notes(notes) == Ledger(signer=JANE, instead_of=EVE)


@pytest.mark.parametrize("text", ["", "x", "[]", '["a"]', "[1,2]", '{"a":1}', '["a","b","c"]', "[" * 5000])
def test_a_note_that_cannot_be_read_is_none(text):
    assert releases.from_notes({"signer": text}) == Ledger()


def test_the_script_knows_better_than_this_machine():
    script, state = Ledger(signer=EVE, instead_of=JANE), Ledger(signer=JANE)
    assert releases.merge(script, state).signer == EVE
    assert releases.merge(Ledger(), state).signer == JANE


def test_somebody_elses_file_does_not_make_a_signer_forgotten():
    ledger = releases.replaced(Ledger(), None, release("1", JANE), keep=5)
    live = Release("9", "9" * 64, 9.0, file_key="other.pkg")
    assert releases.displaced(ledger, live).signer == JANE
