"""What comes back: texts only for AutoPkg, aligned columns for people, nothing that a terminal would obey."""

import json

from kandji_uploader.cli import documents
from kandji_uploader.models import Action, Outcome, RunResult, Stage
from kandji_uploader.report import text as report

CREATED = Outcome(Stage.PROD, "Widget", Action.CREATE, "id", "https://link", "1.0", "audit_enforce", "W.pkg", ("name",))
FAILED = Outcome(Stage.TEST, "Widget (Test)", Action.FAILED, error="the token lacks a permission")


def result(*outcomes, **others):
    return RunResult("/W.pkg", outcomes, **others)


def test_a_summary_is_one_row_of_texts_per_stage_that_changed():
    found = report.summaries(result(CREATED, FAILED))
    assert list(found) == ["kandji_uploader_summary_result"]
    data = found["kandji_uploader_summary_result"]["data"]
    assert list(data) == found["kandji_uploader_summary_result"]["report_fields"]
    assert all(isinstance(value, str) for value in data.values())


def test_a_dry_run_and_an_unchanged_run_have_no_summary():
    unchanged = Outcome(Stage.PROD, "Widget", Action.UNCHANGED)
    assert report.summaries(result(CREATED, dry_run=True)) == {}
    assert report.summaries(result(unchanged)) == {}


def test_a_failure_says_what_failed_and_what_did_not():
    text = report.failure(result(FAILED, CREATED))
    assert text.splitlines() == [
        "Widget (Test): failed: the token lacks a permission",
        "The rest is done: Widget was created",
    ]


def test_what_waits_is_no_failure_and_what_is_halted_is_one():
    waits = Outcome(Stage.PROD, "Widget", Action.WAITING, reason="1.0: waiting for mon 09:00")
    halted = Outcome(Stage.PROD, "Widget", Action.HALTED, reason="1.0: too many", error="1.0: 5 of 9 Macs in ERROR")
    assert (result(waits).failed, result(waits).changed) == (False, False)
    assert report.lines(result(waits)) == ["Widget: waiting: 1.0: waiting for mon 09:00"]
    assert result(halted).failed
    assert "Widget: halted: 1.0: 5 of 9 Macs in ERROR" in report.failure(result(halted))


def test_the_json_of_a_result_is_plain_json():
    found = json.loads(json.dumps(documents.run(result(CREATED, FAILED))))
    assert [app["action"] for app in found["custom_apps"]] == ["created", "failed"]
    assert found["failed"] is True
