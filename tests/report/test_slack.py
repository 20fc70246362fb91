"""The Slack message: one per run that changed something or failed; its own failures never show the webhook."""

import json

import pytest

from kandji_uploader.errors import NetworkError
from kandji_uploader.models import Action, Outcome, RunResult, Stage
from kandji_uploader.rehearsal import RehearsalTenant
from kandji_uploader.report import message, slack


@pytest.fixture
def tenant(tmp_path):
    with RehearsalTenant(tmp_path / "tenant") as tenant:
        yield tenant


def result(**fields):
    given = {"stage": Stage.PROD, "name": "Widget", "action": Action.CREATE, "link": "https://t/1", "version": "1.0"}
    return RunResult("/W.pkg", (Outcome(**{**given, **fields}),), app_name="Widget")


def told(run):
    return slack.payload(message.of_one(run, message.items(run, 0.0)))


def test_a_message_names_the_app_its_link_and_its_version(tenant):
    slack.post(tenant.webhook_url, told(result()))
    (taken,) = tenant.slack_messages()
    assert "<https://t/1|Widget> 1.0" in json.dumps(taken)


def test_names_cannot_make_links_or_mentions(tenant):
    slack.post(tenant.webhook_url, told(result(name="<!channel> & <https://evil|x>", link="")))
    text = json.dumps(tenant.slack_messages()[0])
    assert "<!channel>" not in text
    assert "&lt;!channel&gt; &amp;" in text


def test_a_very_long_error_still_fits_into_a_message(tenant):
    payload = told(result(action=Action.FAILED, error="x" * 10_000))
    assert all(len(block["text"]["text"]) <= 3000 for block in payload["blocks"])


def test_a_message_tells_a_halt_from_a_failure():
    assert told(result(action=Action.HALTED, error="x"))["text"] == "KandjiUploader halted: Widget"
    waits = told(result(action=Action.WAITING, reason="waiting for mon 09:00"))
    assert "waiting for mon 09:00" in str(waits)


@pytest.mark.parametrize("kind", ["status", "reset_before_reading"])
def test_a_failing_webhook_is_told_without_the_webhook(tenant, kind):
    tenant.faults.add("POST", "/slack/**", kind=kind, nth="every", **({"code": 404} if kind == "status" else {}))
    with pytest.raises(NetworkError) as caught:
        slack.post(tenant.webhook_url, {"text": "broken"})
    assert tenant.webhook_url.rsplit("/", 1)[-1] not in str(caught.value)


def test_a_webhook_must_be_https():
    with pytest.raises(NetworkError, match="https"):
        slack.post("http://hooks.slack.com/services/T/B/x", {})
