"""An installer that was only packaged again is not published again: it is known by what it brings to a Mac."""

import json
import re
import shutil
import sys
import zipfile
from datetime import datetime, timezone

import pytest

from kandji_uploader import cli
from kandji_uploader.audit import script as audit
from kandji_uploader.cli import documents
from kandji_uploader.kandji.tenant import forget_all
from kandji_uploader.models import Action
from kandji_uploader.publish import refresh, releases
from kandji_uploader.publish.targets import RecipeFacts
from tests.publish.conftest import NAMES

PROD = {"custom_app.prod_name": "Widget", "enforcement_type": "install_once"}
AUDITED = {"custom_app.prod_name": "Widget"}
PROMOTED = {**NAMES, "enforcement_type": "install_once", "custom_app.promotion.after_days": 2}


def only(result):
    (outcome,) = result.outcomes
    return outcome


def current(app):
    """The release that an app's audit script remembers."""
    return releases.from_notes(audit.read(app["audit_script"]).notes).current


def night(house, number, keys=PROD, **fields):
    """The package that is built in a night, published by a machine that remembers nothing."""
    shutil.rmtree(house.folder / "state", ignore_errors=True)
    house.tenant.clock.set(datetime.fromtimestamp(house.now, timezone.utc))
    return house.publish(house.pkg(night=number, **fields), keys)


@pytest.mark.parametrize(
    "keys", [AUDITED, PROD, {**PROD, "enforcement_type": "self_service"}], ids=["audit", "once", "self_service"]
)
def test_a_package_that_is_built_each_night_is_published_once(house, keys):
    house.tenant.set_categories(["Apps", "Utilities"])
    result = night(house, 0, keys)
    assert only(result).action is Action.CREATE
    (first,) = house.tenant.apps()
    digests = {result.sha256}
    for number in (1, 2, 3):
        result = night(house, number, keys)
        digests.add(result.sha256)
        assert (only(result).action, only(result).reason) == (Action.UNCHANGED, "only repackaged")
        assert "Widget: unchanged (only repackaged)" in house.said
        assert house.writes() == []
    assert len(digests - {""}) >= 3, "each night has its own bytes"
    assert house.tenant.apps() == [first]


CHANGES = {
    "a byte": {"content": b"true \n"},
    "a mode": {"mode": 0o100700},
    "an owner": {"owner": 501},
    "a script": {"script": b"#!/bin/sh\nexit 1\n"},
    "no script": {"script": b""},
    "a package id": {"package_id": "com.example.Else"},
}


def test_each_change_of_what_reaches_a_mac_is_news(house):
    known = {"script": b"#!/bin/sh\nexit 0\n"}
    night(house, 0, **known)
    for number, (name, change) in enumerate(CHANGES.items(), start=1):
        known = {**known, **change}
        changed = only(night(house, 2 * number, **known))
        assert (changed.action, "file_key" in changed.changes) == (Action.UPDATE, True), name
        assert only(night(house, 2 * number + 1, **known)).reason == "only repackaged", name


def test_another_version_of_the_same_content_is_news(house):
    """The recipe may know better what the version is than the package does."""
    keys = PROD
    house.publish(house.pkg(), keys, given=RecipeFacts(version="1.0"))
    again = house.pkg(night=1)
    assert only(house.publish(again, keys, given=RecipeFacts(version="1.0"))).action is Action.UNCHANGED
    assert only(house.publish(again, keys, given=RecipeFacts(version="1.1"))).changes[0] == "file_key"


def test_identity_file_goes_by_the_bytes(house):
    night(house, 0)
    outcome = only(night(house, 1, {**PROD, "identity": "file"}))
    assert (outcome.action, outcome.changes[0]) == (Action.UPDATE, "file_key")


def test_a_setting_that_differs_is_repaired_without_an_upload(house):
    night(house, 0)
    keys = {**PROD, "custom_app.restart": True}
    outcome = only(night(house, 1, keys))
    assert (outcome.action, outcome.changes) == (Action.UPDATE, ("restart",))
    assert outcome.reason == "only repackaged; only restart differs"
    assert [line.split("/")[0] for line in house.writes()] == ["PATCH library"]
    assert only(night(house, 2, keys)).action is Action.UNCHANGED


def test_a_file_that_somebody_else_has_put_there_is_not_taken_for_ours(house):
    night(house, 0)
    (app,) = house.tenant.apps()
    house.tenant.edit(app["id"], file_key="companies/x/Theirs.pkg", sha256="f" * 64)
    assert only(night(house, 1)).changes[0] == "file_key"
    assert only(night(house, 2)).action is Action.UNCHANGED


def test_the_note_of_a_version_that_knew_no_content_is_good_until_the_next_change(house):
    """The first run after an upgrade finds each app as it was; what is packaged again comes once more, and is noted."""
    night(house, 0, {**PROD, "identity": "file"})
    (app,) = house.tenant.apps()
    assert current(app) is None, "as the version before left it"
    unchanged = only(night(house, 0))
    assert (unchanged.action, unchanged.reason) == (Action.UNCHANGED, "found by name")
    assert house.writes() == []
    assert only(night(house, 1)).changes[0] == "file_key"
    assert only(night(house, 2)).reason == "only repackaged"


def test_the_content_that_is_noted_is_the_one_that_inspect_shows(house, capsys):
    night(house, 0)
    (app,) = house.tenant.apps()
    noted = current(app)
    assert cli.main(["inspect", "--json", str(house.pkg(night=5))]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["content"] == noted.content
    assert told["sha256"] != noted.sha256 == app["sha256"]
    assert cli.main(["inspect", str(house.pkg(night=6))]) == 0
    assert re.search(rf"Content +{noted.content}\n", capsys.readouterr().out)


def test_what_has_no_content_goes_by_its_bytes_and_says_so_once(house, monkeypatch):
    monkeypatch.setattr(refresh, "_TOLD", set())

    def odd(number):
        path = house.folder / "Widget-1.0.zip"
        with zipfile.ZipFile(house.zip(), "a") as archive:
            for name in ("Readme", "readme"):
                archive.writestr(zipfile.ZipInfo(name, (2020 + number, 1, 1, 0, 0, 0)), "x")
        return path

    for number in range(3):
        assert only(house.publish(odd(number), PROD)).action.writes
    (said,) = [text for text in house.warned if "packaged again" in text]
    assert said == (
        "Widget-1.0.zip: whether it was only packaged again cannot be told: a file is there twice, and which one a Mac "
        "gets cannot be said"
    )


def test_it_needs_none_of_the_packages_that_verify_signatures(house, monkeypatch):
    monkeypatch.setitem(sys.modules, "cryptography", None)
    night(house, 0)
    assert only(night(house, 1)).reason == "only repackaged"


def test_the_content_is_read_only_where_an_app_may_get_another_file(house, monkeypatch):
    from kandji_uploader.installer import reading

    asked = []
    real = reading.PackageContent
    monkeypatch.setattr(reading, "PackageContent", lambda *of: asked.append(1) or real(*of))
    night(house, 0)
    night(house, 0)
    assert len(asked) == 1, "the same bytes are not read"
    night(house, 1)
    assert len(asked) == 2
    house.publish(house.folder / "Widget-1.0.pkg", PROD)
    assert len(asked) == 2, "the same file is not read again"
    night(house, 2, {**PROD, "identity": "file"})
    assert len(asked) == 2


# Promotion


def test_a_package_that_is_built_each_night_soaks_once_and_is_promoted_once(house):
    first = night(house, 0, {**PROMOTED})
    assert [outcome.action for outcome in first.outcomes] == [Action.CREATE, Action.HELD]
    before = house.tenant.app("Widget (Test)")
    for number in (1, 2, 3, 4):
        house.now += 86_400
        result = night(house, number, PROMOTED)
        assert result.outcomes[0].reason == "only repackaged"
        actions = [outcome.action for outcome in result.outcomes]
        assert actions[1] is {1: Action.HELD, 2: Action.PROMOTE}.get(number, Action.UNCHANGED)
    assert house.tenant.app("Widget (Test)") == before
    assert house.tenant.app("Widget")["file_key"] == before["file_key"]
    ledger = releases.from_notes(audit.read(before["audit_script"]).notes)
    assert ledger.former == ()


def test_a_script_that_changes_with_a_repackaged_installer_is_a_release_of_the_file_that_is_there(house):
    night(house, 0, PROMOTED)
    before = house.tenant.app("Widget (Test)")
    script = house.folder / "post.zsh"
    script.write_text("#!/bin/zsh\necho 2\n")
    keys = {**PROMOTED, "custom_app.postinstall_script": str(script)}
    house.now += 3_600
    result = night(house, 1, keys)
    assert set(result.outcomes[0].changes) == {"postinstall_script", "audit_script"}
    after = house.tenant.app("Widget (Test)")
    assert (after["file_key"], current(after).sha256) == (before["file_key"], after["sha256"])
    house.now += 3 * 86_400
    assert night(house, 2, keys).outcomes[1].action is Action.PROMOTE
    assert night(house, 3, keys).outcomes[1].action is Action.UNCHANGED


def test_an_upgrade_makes_no_release_look_changed(house):
    """With notes as the version before wrote them: a digest of the bytes, and no content."""
    with_file = {**PROMOTED, "identity": "file"}
    night(house, 0, with_file)
    house.now += 3 * 86_400
    assert night(house, 0, with_file).outcomes[1].action is Action.PROMOTE
    apps = house.tenant.apps()
    assert all(current(app).digest and not current(app).content for app in apps)
    house.now += 86_400
    result = night(house, 0, PROMOTED)
    assert [outcome.action for outcome in result.outcomes] == [Action.UNCHANGED, Action.UNCHANGED]
    assert house.tenant.apps() == apps
    # The first that is packaged again comes once, as before; from then on the content is known.
    assert night(house, 1, PROMOTED).outcomes[0].changes[0] == "file_key"
    assert night(house, 2, PROMOTED).outcomes[0].reason == "only repackaged"
    house.now += 3 * 86_400
    assert [outcome.action for outcome in night(house, 3, PROMOTED).outcomes] == [Action.UNCHANGED, Action.PROMOTE]
    assert [outcome.action for outcome in night(house, 4, PROMOTED).outcomes] == [Action.UNCHANGED, Action.UNCHANGED]


def test_switching_back_to_the_bytes_makes_no_release_look_changed(house):
    night(house, 0, PROMOTED)
    apps = house.tenant.apps()
    assert night(house, 0, {**PROMOTED, "identity": "file"}).outcomes[0].action is Action.UNCHANGED
    assert house.tenant.apps() == apps


def test_the_command_line_tells_what_was_only_packaged_again(house, monkeypatch, capsys):
    for name, value in house.environ.items():
        monkeypatch.setenv(name, value)
    for number, action in ((0, "created"), (1, "unchanged"), (2, "unchanged"), (3, "unchanged")):
        forget_all()
        path = house.pkg(night=number)
        assert cli.main(["upload", "-p", str(path), "-n", "Widget", "--json"]) == 0
        (app,) = json.loads(capsys.readouterr().out)[0]["custom_apps"]
        assert (app["action"], app["reason"]) == (
            action,
            "only repackaged" if number else "no Custom App has that name",
        )


@pytest.mark.parametrize("keys", [PROD, PROMOTED], ids=["alone", "promoted"])
def test_one_digest_names_a_release_in_notes_history_messages_and_json(house, keys):
    house.environ["SLACK_TOKEN"] = house.tenant.webhook_url
    result = house.publish(house.pkg(), keys)
    first = result.outcomes[0]
    assert len(first.digest) == 32
    (app,) = house.tenant.apps()
    assert f"release {first.digest[:12]}" in str(house.tenant.slack_messages()[-1])
    assert first.digest in str([json.loads(path.read_text()) for path in house.folder.rglob("history/*.json")])
    assert documents.run(result)["custom_apps"][0]["digest"] == first.digest
    if keys is PROMOTED:
        assert current(app).digest == first.digest
    assert night(house, 1, keys).outcomes[0].digest == first.digest, "only repackaged"
    assert night(house, 2, {**keys, "custom_app.restart": True}).outcomes[0].digest != first.digest
    assert night(house, 3, keys, content=b"false").outcomes[0].digest != first.digest
