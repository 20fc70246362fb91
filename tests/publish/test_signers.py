"""Who signed what is published, with real installers over real HTTP: remembered, told, and refused where it changes."""

import json
import os
import shutil
import sys
import zipfile
from pathlib import Path

import pytest

from kandji_uploader.audit import script as audit
from kandji_uploader.errors import SettingsError, ToolMissingError
from kandji_uploader.flows import status
from kandji_uploader.installer import signature as reader
from kandji_uploader.kandji.tenant import forget_all
from kandji_uploader.models import Action
from kandji_uploader.publish import refresh, releases
from kandji_uploader.publish.request import Host
from kandji_uploader.publish.targets import RecipeFacts
from tests.support.formats import component, package_info, payload, xar

CORPUS = Path(__file__).parent.parent / "fixtures" / "corpus"
RICH = CORPUS / "rtrouton-disable-gatekeeper.pkg"
FUMIHIKO = CORPUS / "karabiner-vhid-1.6.0.pkg"
MAYUR = CORPUS / "sparkle-DevSignedApp.zip"
PROD = {"custom_app.prod_name": "Widget", "allow_downgrade": True}
SHELF = {**PROD, "custom_app.ss_category": "Productivity"}
RICH_NOTE, FUMIHIKO_NOTE = "XF95CST45F Rich Trouton [package]", "G43BCU2T37 Fumihiko Takayama [package]"


@pytest.fixture(autouse=True)
def _without_zsh(monkeypatch):
    """That each audit script is tried under zsh is held where that is tested."""
    monkeypatch.setenv("PATH", "/nowhere")


def noted(house, name="Widget"):
    """Who signed it and instead of whom, as the audit script in Kandji has it."""
    ledger = releases.from_notes(audit.read(house.tenant.app(name)["audit_script"]).notes)
    return ledger.signer, ledger.instead_of


def only(result):
    (outcome,) = result.outcomes
    return outcome


def forget(house):
    """Another machine, or one that forgets everything after a run."""
    shutil.rmtree(house.folder / "state", ignore_errors=True)


def broken(house):
    path = house.folder / "Broken.pkg"
    data = bytearray(FUMIHIKO.read_bytes())
    data[-500_000] ^= 0xFF
    path.write_bytes(data)
    return path


def test_the_first_signer_is_told_and_remembered_in_the_audit_script(house):
    outcome = only(house.publish(RICH, PROD))

    assert outcome.signer == "signed by Rich Trouton (XF95CST45F), who is remembered from now on"
    assert f"Widget: create (no Custom App has that name), {outcome.signer}" in house.said
    assert noted(house) == (RICH_NOTE, "")


@pytest.mark.parametrize("keys", [PROD, SHELF, {**PROD, "enforcement_type": "install_once"}])
@pytest.mark.parametrize("machine", ["the same", "another"])
def test_a_version_of_another_team_is_refused_with_both_names_and_nothing_is_sent(house, keys, machine):
    house.publish(RICH, keys)
    before = house.tenant.snapshot()
    if machine == "another":
        forget(house)
    outcome = only(house.publish(FUMIHIKO, keys))

    assert outcome.action is Action.REFUSED
    assert outcome.error == (
        "it is signed by Fumihiko Takayama (G43BCU2T37), while the version before it was signed by Rich Trouton "
        "(XF95CST45F). If that is right, set allow_signer_change to G43BCU2T37"
    )
    assert house.writes() == []
    assert house.tenant.snapshot() == before


def test_that_team_is_accepted_once_it_is_named_and_stays_so(house):
    house.publish(RICH, PROD)
    outcome = only(house.publish(FUMIHIKO, {**PROD, "allow_signer_change": "G43BCU2T37"}))

    assert outcome.signer == "signed by Fumihiko Takayama (G43BCU2T37), before by Rich Trouton (XF95CST45F)"
    assert noted(house) == (FUMIHIKO_NOTE, RICH_NOTE)
    assert only(house.publish(FUMIHIKO, PROD)).action is Action.UNCHANGED
    assert "signed by Rich Trouton" in only(house.publish(RICH, PROD)).error
    assert only(house.publish(RICH, {**PROD, "allow_signer_change": "ZZZZZ99999"})).action is Action.REFUSED


def test_unsigned_after_signed_is_refused_until_that_is_named(house):
    house.publish(RICH, PROD)
    assert "it is unsigned, while" in only(house.publish(house.pkg("9.0"), PROD)).error

    outcome = only(house.publish(house.pkg("9.0"), {**PROD, "allow_signer_change": "unsigned"}))
    assert outcome.signer == "not signed, before by Rich Trouton (XF95CST45F)"
    assert noted(house) == ("unsigned", RICH_NOTE)


def test_an_unsigned_app_stays_as_it_was_and_has_no_note(house):
    for version in ("1.0", "1.1"):
        outcome = only(house.publish(house.pkg(version), PROD))
        assert (outcome.action.writes, outcome.signer) == (True, "not signed")
        assert noted(house) == ("", "")
    (note,) = audit.read(house.tenant.app("Widget")["audit_script"]).notes.values()
    assert "n" not in json.loads(note)


def test_what_is_broken_is_refused_also_where_it_would_be_the_first(house):
    for keys in (PROD, {**PROD, "allow_signer_change": "unsigned"}):
        outcome = only(house.publish(broken(house), keys))
        assert outcome.action is Action.REFUSED
        assert "its signature is broken (file 'Payload': it was changed after signing" in outcome.error
    assert house.tenant.apps() == []


def test_a_file_of_the_very_size_of_the_one_before_is_looked_at_too(house):
    house.publish(FUMIHIKO, PROD)
    assert broken(house).stat().st_size == FUMIHIKO.stat().st_size
    assert "its signature is broken" in only(house.publish(broken(house), PROD)).error


def test_an_app_that_was_published_before_anybody_looked_gets_its_note_with_the_next_release(house):
    house.tenant.seed("Widget", file_name="Widget-0.1.pkg", install_enforcement="continuously_enforce")
    outcome = only(house.publish(RICH, {**PROD, "replace_audit_script": True}))

    assert (outcome.action, noted(house)) == (Action.UPDATE, (RICH_NOTE, ""))
    assert outcome.signer.endswith("who is remembered from now on")


def test_the_other_app_of_a_pair_is_held_against_the_same_signer(house):
    house.publish(RICH, PROD)
    both = {**PROD, "custom_app.test_name": "Widget (Test)"}
    result = house.publish(FUMIHIKO, both)

    assert [outcome.action for outcome in result.outcomes] == [Action.REFUSED, Action.REFUSED]
    assert [app["name"] for app in house.tenant.apps()] == ["Widget"]


def test_a_package_that_autopkg_made_around_a_signed_app_is_of_the_apps_signer(house):
    with zipfile.ZipFile(MAYUR) as archive:
        held = [(f"./{info.filename}", info.external_attr >> 16, archive.read(info)) for info in archive.infolist()]
    built = house.folder / "DevSignedApp-1.pkg"
    built.write_bytes(xar(component(info=package_info(location="/Applications"), payload=payload(held))))

    house.publish(MAYUR, PROD)
    outcome = only(house.publish(built, PROD))
    assert outcome.signer == "signed by Mayur Pawashe (ZCK58M894E)"


def test_a_file_that_goes_while_its_app_is_repaired_is_not_put_back_unseen(house, tmp_path):
    house.publish(RICH, {"custom_app.prod_name": "Other"})
    house.publish(house.pkg(), PROD)
    other, mine = house.tenant.app("Other"), house.tenant.app("Widget")
    house.tenant.edit(mine["id"], file_key=other["file_key"])
    script = tmp_path / "pre.sh"
    script.write_text("#!/bin/sh\ntrue\n")

    def put_back():
        house.tenant.edit(mine["id"], file_key=mine["file_key"])

    house.tenant.faults.add("GET", "library/custom-apps/*", kind="call", do=put_back)
    outcome = only(house.publish(RICH, {**PROD, "custom_app.preinstall_script": str(script)}))

    assert (outcome.action, outcome.error) == (
        Action.FAILED,
        "'Widget': somebody else has just put another file there; run again",
    )
    assert house.tenant.app("Widget")["file_key"] == mine["file_key"]


def test_create_new_does_not_lead_around_it(house):
    house.publish(RICH, PROD)
    outcome = only(house.publish(FUMIHIKO, {**PROD, "create_new": True}))
    assert "signed by Fumihiko Takayama" in outcome.error


def test_the_recipes_own_verifier_is_heeded(house):
    given = RecipeFacts(expected_teams=("43AQ936H96",))
    outcome = only(house.publish(RICH, PROD, given=given))
    assert "CodeSignatureVerifier look for the Team ID 43AQ936H96, and it is signed by Rich Trouton" in outcome.error
    assert only(house.publish(house.pkg(), PROD, given=given)).action is Action.CREATE


def test_a_file_that_cannot_be_read_is_signed_by_nobody(house):
    """A Self Service app is published without being read; after a signed one that is not enough."""
    odd = house.folder / "Odd.zip"
    with zipfile.ZipFile(odd, "w") as archive:
        archive.writestr("readme.txt", "no app")
    house.publish(RICH, SHELF)
    assert "it is not looked at: it holds no app, while" in only(house.publish(odd, SHELF)).error

    other = {**SHELF, "custom_app.prod_name": "Odd"}
    assert only(house.publish(odd, other)).action is Action.CREATE


def test_an_unchanged_installer_is_not_read_for_it_and_costs_one_request(house, monkeypatch):
    house.publish(RICH, PROD)

    def never(*_):
        raise AssertionError("it was looked at")

    monkeypatch.setattr("kandji_uploader.installer.reading.of_package", never)
    assert only(house.publish(RICH, PROD)).action is Action.UNCHANGED
    assert house.sent() == ["GET library/custom-apps"]


def test_a_file_that_is_refused_every_night_is_looked_at_once(house, monkeypatch):
    house.publish(RICH, PROD)
    looks = []
    real = reader.of_package
    monkeypatch.setattr(
        "kandji_uploader.installer.reading.of_package", lambda *args, **more: looks.append(args) or real(*args, **more)
    )
    path = house.folder / "K.pkg"
    shutil.copy(FUMIHIKO, path)
    errors = {only(house.publish(path, PROD)).error for _ in range(3)}
    assert len(errors) == len(looks) == 1

    os.utime(path)
    house.publish(path, PROD)
    assert len(looks) == 2


def test_status_and_slack_name_a_change_that_was_refused_or_made(house):
    house.environ["SLACK_TOKEN"] = house.tenant.webhook_url
    house.publish(RICH, PROD)
    host = Host(say=house.said.append, warn=house.warned.append, now=lambda: house.now, environ=house.environ)
    (quiet,) = status.statuses(["Widget"], host)
    assert (quiet.signer, quiet.news_of_signers) == ("signed by Rich Trouton (XF95CST45F)", ())

    house.publish(FUMIHIKO, PROD)
    (refused,) = status.statuses(["Widget"], host)
    assert refused.news_of_signers[0].startswith("refused: it is signed by Fumihiko Takayama (G43BCU2T37), while")
    assert "signed by Fumihiko Takayama (G43BCU2T37), while" in str(house.tenant.slack_messages()[-1])

    house.publish(FUMIHIKO, {**PROD, "allow_signer_change": "G43BCU2T37"})
    forget_all()
    (changed,) = status.statuses(["Widget"], host)
    said = "signed by Fumihiko Takayama (G43BCU2T37), before by Rich Trouton (XF95CST45F)"
    assert changed.news_of_signers == (said,)
    assert said in str(house.tenant.slack_messages()[-1])


def test_without_the_packages_continuity_says_once_that_nobody_looked_and_keeps_the_note(house, monkeypatch):
    house.publish(RICH, PROD)
    monkeypatch.setitem(sys.modules, "asn1crypto", None)
    monkeypatch.setattr(refresh, "_TOLD", set())
    for path in (FUMIHIKO, house.pkg("9.0")):
        assert only(house.publish(path, PROD)).action is Action.UPDATE
    (said,) = [text for text in house.warned if "looked at" in text]
    assert said.startswith("who signed what is published is not looked at: install asn1crypto")
    assert "-m pip install" in said
    assert noted(house) == (RICH_NOTE, "")


def test_packages_that_cannot_be_loaded_are_told_with_the_pip_line(house, monkeypatch):
    monkeypatch.setitem(sys.modules, "kandji_uploader.installer.signature_package", None)
    monkeypatch.setattr(refresh, "_TOLD", set())
    assert only(house.publish(RICH, PROD)).action is Action.CREATE
    (said,) = [text for text in house.warned if "looked at" in text]
    assert "the packages that verify signatures cannot be loaded" in said
    with pytest.raises(ToolMissingError, match=r"install them again: .*-m pip install"):
        house.publish(FUMIHIKO, {**PROD, "require_signed": True})


@pytest.mark.parametrize(
    "keys", [{"require_signed": True}, {"require_notarized": True}, {"expected_team_id": "XF95CST45F"}], ids=list
)
def test_without_the_packages_a_setting_that_asks_is_an_error_with_the_pip_line(house, monkeypatch, keys):
    monkeypatch.setitem(sys.modules, "cryptography", None)
    with pytest.raises(SettingsError, match=r"recipe: \w+: cannot be heeded without cryptography.*-m pip install"):
        house.publish(RICH, {**PROD, **keys})
    assert house.sent() == []


def test_settings_that_a_real_signature_meets_let_it_through(house):
    keys = {**PROD, "require_signed": True, "require_notarized": True, "expected_team_id": "G43BCU2T37, XF95CST45F"}
    assert only(house.publish(FUMIHIKO, keys)).action is Action.CREATE
    assert "no notarization ticket" in only(house.publish(RICH, keys)).error


def test_a_wrong_team_id_is_an_error_of_the_settings(house):
    for key in ("expected_team_id", "allow_signer_change"):
        with pytest.raises(SettingsError, match=f"recipe: {key} is 'Mozilla': must be a Team ID"):
            house.publish(RICH, {**PROD, key: "Mozilla"})
