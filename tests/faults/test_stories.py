"""What a night may bring beside broken requests: people who edit, files that change, uploads that take their time."""

from __future__ import annotations

import json
import os
import time

import pytest

from kandji_uploader._util.secret import Secret
from kandji_uploader.flows.publish import run
from kandji_uploader.http.tries import Policy
from kandji_uploader.kandji.client import Client
from kandji_uploader.models import Action
from kandji_uploader.publish.request import Host
from tests.faults.publisher import Publisher
from tests.faults.scene import OTHERS, PROD, TEST, digest, make_installer, opened, prepare

APPS, APP = "library/custom-apps", "library/custom-apps/*"


@pytest.fixture
def scene(tmp_path):
    with opened(tmp_path) as scene:
        scene.before = prepare(scene)
        yield scene


def outcomes(result):
    return {outcome.name: outcome for outcome in result.outcomes}


def uploads(scene):
    return [record for record in scene.tenant.requests if record.path == "/store"]


def writes(scene):
    return [str(record) for record in scene.tenant.requests if record.method != "GET"]


def journal(scene):
    return [entry for path in scene.folder.rglob("uploads.json") for entry in json.loads(path.read_text())]


# Hand edits


def edit(scene, **fields):
    scene.tenant.edit(scene.tenant.app(TEST)["id"], **fields)


def test_an_app_that_was_edited_after_the_list_was_read_is_planned_again_once(scene):
    scene.tenant.faults.add("GET", APP, kind="call", do=lambda: edit(scene, restart=True))
    result = scene.run()
    assert outcomes(result)[TEST].action is Action.UPDATE
    app = scene.tenant.app(TEST)
    assert (app["sha256"], app["restart"]) == (digest(scene.installer), True)
    assert f"{TEST!r} was edited in Kandji meanwhile; planning it again" in scene.said


def test_an_app_that_is_edited_again_and_again_is_left_as_it_is(scene):
    scene.tenant.faults.add(
        "GET", APP, kind="call", nth="every", do=lambda: edit(scene, preinstall_script=os.urandom(4).hex())
    )
    result = scene.run()
    assert "is being edited in Kandji by someone else; it was left as it is" in outcomes(result)[TEST].error
    assert scene.tenant.app(TEST)["sha256"] == scene.before[TEST]["sha256"]
    assert outcomes(result)[PROD].action is Action.CREATE


def test_an_app_that_was_deleted_meanwhile_is_told_and_made_by_the_next_run_of_the_same_process(scene):
    scene.tenant.faults.add("GET", APP, kind="call", do=lambda: scene.tenant.remove(scene.before[TEST]["id"]))
    result = scene.run()
    assert "was deleted in Kandji meanwhile" in outcomes(result)[TEST].error
    assert outcomes(scene.run(anew=False))[TEST].action is Action.CREATE


def test_an_app_that_was_renamed_meanwhile_is_left_alone(scene):
    scene.tenant.faults.add("GET", APP, kind="call", do=lambda: edit(scene, name="Mine now"))
    result = scene.run()
    assert outcomes(result)[TEST].action is Action.FAILED
    assert scene.tenant.app("Mine now")["sha256"] == scene.before[TEST]["sha256"]
    assert not [line for line in writes(scene) if line.startswith("PATCH")]


def test_an_app_that_somebody_else_has_made_since_the_list_is_not_made_twice(scene):
    scene.tenant.faults.add("POST", "/store", kind="call", do=lambda: scene.tenant.seed(PROD))
    result = scene.run()
    assert "was created in Kandji by someone else meanwhile" in outcomes(result)[PROD].error
    assert len(scene.apps()[PROD]) == 1


def test_what_another_process_has_done_since_our_list_is_seen(scene):
    assert outcomes(scene.run(custom_app={"prod_name": TEST}))[TEST].action is Action.UPDATE  # we have a list now
    other = Publisher()
    assert other.run(scene)[0] == 0
    other.close()
    result = scene.run(anew=False)
    assert outcomes(result)[PROD].action is Action.UNCHANGED
    assert {name: len(apps) for name, apps in scene.apps().items()} == dict.fromkeys((*OTHERS, TEST, PROD), 1)


def test_a_create_whose_effect_comes_late_leaves_one_app(scene):
    def late():
        key = scene.tenant.uploads()[-1]["file_key"]
        scene.tenant.seed(PROD, file_key=key)

    scene.tenant.faults.add("POST", APPS, kind="html", code=504)
    scene.tenant.faults.add("POST", APPS, kind="call", nth=2, do=late)
    result = scene.run()
    assert outcomes(result)[PROD].action is Action.CREATE
    assert [app["id"] for app in scene.apps()[PROD]] == [outcomes(result)[PROD].app_id]
    assert scene.on_blueprint() == [PROD]


# The upload


def test_processing_is_waited_for(scene):
    scene.tenant.configure(processing_polls=3)
    result = scene.run()
    assert not result.failed
    assert any("still processing" in line for line in scene.said)
    assert len(scene.apps()[PROD]) == 1


def test_what_is_processed_for_too_long_is_finished_by_the_next_run_without_uploading_again(scene):
    scene.tenant.configure(processing_seconds=3600)
    started = time.monotonic()
    result = scene.run()
    assert time.monotonic() - started < 30, "it would have taken an hour"
    for outcome in result.outcomes:
        assert outcome.action is Action.FAILED
        assert "What was uploaded is kept: the next run goes on from there without uploading again" in outcome.error
    assert {name: scene.state_of(name, scene.before) for name in (PROD, TEST)} == {PROD: "before", TEST: "before"}
    scene.tenant.configure(processing_seconds=0)
    scene.tenant.reset_requests()
    assert not scene.run().failed
    assert uploads(scene) == []
    assert [entry["file_key"] for entry in journal(scene)] == []


def test_an_upload_that_the_store_has_lost_is_made_again(scene):
    scene.tenant.configure(processing_seconds=3600)
    scene.run()
    (entry,) = journal(scene)
    scene.tenant.remove_upload(entry["file_key"])
    scene.tenant.configure(processing_seconds=0)
    scene.tenant.reset_requests()
    assert not scene.run().failed
    assert len(uploads(scene)) == 1
    assert scene.state_of(PROD, {}) == scene.state_of(TEST, {}) == "planned"


def test_a_leave_to_upload_that_expires_between_two_tries_is_replaced(scene):
    scene.tenant.configure(policy_seconds=60)
    scene.tenant.faults.add("POST", "/store", kind="reset_mid_body")
    scene.tenant.faults.add("POST", "/store", kind="call", nth=2, do=lambda: scene.tenant.clock.advance(hours=1))
    result = scene.run()
    assert not result.failed
    assert writes(scene).count("POST library/custom-apps/upload") == 2


@pytest.mark.parametrize("same_size", [True, False])
def test_a_file_that_changes_while_it_is_uploaded_is_noticed_and_not_published(scene, same_size):
    def change(sent, total):
        if sent == total:
            data = bytearray(scene.installer.read_bytes())
            data[5000] ^= 1
            scene.installer.write_bytes(bytes(data) if same_size else bytes(data) + b"more")

    result = run(scene.request(), Host(environ=scene.environ(), progress=change))
    for outcome in result.outcomes:
        assert "it was replaced or changed after it was first read, so it was not published" in outcome.error
    assert scene.apps() == {name: [app] for name, app in scene.before.items()}
    assert journal(scene) == []


def test_a_file_that_was_replaced_after_it_was_planned_for_is_noticed(scene):
    def replace():
        make_installer(scene.installer, "3.0", size=100_000)

    scene.tenant.faults.add("GET", "blueprints", kind="call", do=replace)
    result = scene.run()
    for error in [outcome.error for outcome in result.outcomes] if result else [scene.error]:
        assert "it was replaced or changed after it was first read, so it was not published" in error
    assert scene.apps() == {name: [app] for name, app in scene.before.items()}


def test_a_file_that_goes_away_meanwhile_is_an_error_that_names_it(scene):
    scene.tenant.faults.add("POST", f"{APPS}/upload", kind="call", do=scene.installer.unlink)
    result = scene.run()
    assert [outcome.action for outcome in result.outcomes] == [Action.FAILED, Action.FAILED]
    assert str(scene.installer) in result.outcomes[0].error


# What cannot be settled is said


def test_an_update_of_which_nothing_more_is_heard_is_told_as_unknown_and_finished_later(scene):
    scene.tenant.faults.add("PATCH", APP, kind="effect_then_reset", nth="every")
    scene.tenant.faults.add("GET", APP, kind="reset_before_reading", nth=2, times=None)
    result = scene.run()
    assert f"whether {TEST!r} was changed is not known" in outcomes(result)[TEST].error
    scene.tenant.faults.clear()
    result = scene.run(anew=False)
    assert outcomes(result)[TEST].action is Action.UNCHANGED


def test_a_create_of_which_nothing_more_is_heard_is_told_as_unknown_and_found_later(scene):
    scene.tenant.faults.add("POST", APPS, kind="effect_then_reset", nth="every")
    scene.tenant.faults.add("GET", APPS, kind="reset_before_reading", nth=5, times=None)
    result = scene.run()
    assert f"whether {PROD!r} was created is not known" in outcomes(result)[PROD].error
    scene.tenant.faults.clear()
    result = scene.run(anew=False)
    assert result is not None, scene.error
    assert outcomes(result)[PROD].action is Action.UPDATE
    assert len(scene.apps()[PROD]) == 1
    assert outcomes(result)[PROD].changes == ("blueprints",)
    assert scene.on_blueprint() == [PROD]


def test_a_lost_answer_to_an_update_is_settled_where_the_api_does_not_show_every_field(scene):
    scene.tenant.configure(list_sha256=False)
    self_service = {"prod_name": PROD, "ss_category": "Productivity"}
    assert not scene.run(custom_app=self_service).failed
    make_installer(scene.installer, "3.0", size=100_000)
    scene.tenant.faults.add("PATCH", APP, kind="effect_then_reset", nth="every")
    result = scene.run(custom_app={**self_service, "ss_category": "Utilities"})
    assert "self_service_category_id" in outcomes(result)[PROD].changes
    assert outcomes(result)[PROD].action is Action.UPDATE, outcomes(result)[PROD].error
    assert scene.state_of(PROD, {}) == "planned"


def test_wrong_bytes_that_cannot_be_taken_back_are_said_with_what_to_do(scene):
    scene.tenant.faults.add("POST", "/store", kind="wrong_sha256")
    scene.tenant.faults.add("PATCH", APP, kind="status", code=400, nth=2, times=None)
    scene.tenant.permissions.revoke("Delete Custom App")
    result = scene.run()
    assert "putting the former installer back failed, too" in outcomes(result)[TEST].error
    assert "do it in Kandji" in outcomes(result)[TEST].error
    assert PROD not in scene.apps(), "the upload is known to be bad by then, and given to no other app"


def test_an_app_created_with_wrong_bytes_that_may_not_be_deleted_is_said(scene):
    scene.tenant.faults.add("POST", "/store", kind="wrong_sha256")
    scene.tenant.permissions.revoke("Delete Custom App")
    targets = {"prod_name": PROD, "prod_blueprints": ["Macs"], "ss_category": "Productivity"}
    result = scene.run(custom_app=targets)
    assert "is assigned to no Blueprint, and could not be deleted again" in outcomes(result)[PROD].error
    assert scene.on_blueprint() == []
    scene.tenant.permissions.grant()
    assert not scene.run(custom_app=targets).failed
    assert scene.state_of(PROD, {}) == "planned"


def test_one_wrong_sha256_in_an_answer_undoes_nothing(scene):
    scene.tenant.faults.add("PATCH", APP, kind="wrong_sha256")
    result = scene.run()
    assert outcomes(result)[TEST].action is Action.UPDATE
    assert scene.state_of(TEST, scene.before) == "planned"


def test_a_state_folder_that_cannot_be_written_is_told_before_anything_is_done(scene):
    (scene.folder / "config").mkdir()
    (scene.folder / "state").write_text("a file in the way")
    assert scene.run() is None
    assert "KANDJI_UPLOADER_STATE_DIR" in scene.error
    assert scene.apps() == {name: [app] for name, app in scene.before.items()}


def test_a_run_costs_few_requests_for_each_app_and_one_when_nothing_changed(scene):
    scene.tenant.configure(page_size=300)
    plain = {"custom_app": {"prod_name": PROD, "test_name": TEST}}
    scene.run(**plain)
    upload, update, create = 2, 4, 3  # get and patch, get and activity; the list, create, the list
    assert len(scene.tenant.requests) == 1 + upload + update + create
    scene.tenant.reset_requests()
    scene.run(**plain)
    assert [str(record) for record in scene.tenant.requests] == ["GET library/custom-apps"]


def test_a_person_may_publish_by_the_same_client(scene, tmp_path):
    file = tmp_path / "theirs.pkg"
    file.write_bytes(b"bytes")
    client = Client(scene.tenant.url, Secret(scene.tenant.token), Policy(first_wait=0.01))
    ticket = client.request_upload(file.name)
    assert client.upload(ticket, file) == digest(file)
    app = client.update_custom_app(scene.before[TEST]["id"], {"file_key": ticket.file_key})
    assert app.sha256 == digest(file)
    client.delete_custom_app(app.id)
    assert TEST not in scene.apps()
