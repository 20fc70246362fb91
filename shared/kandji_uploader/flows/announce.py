"""Tell Slack of a run that is over, if Slack is on."""

from __future__ import annotations

from collections.abc import Mapping

from kandji_uploader.errors import KandjiUploaderError
from kandji_uploader.models import RunResult, Settings
from kandji_uploader.publish.request import Host
from kandji_uploader.report import slack
from kandji_uploader.settings import credentials


def announce(result: RunResult, settings: Settings, host: Host) -> None:
    """Tell Slack of a run that changed something, failed, or holds a version back for a new reason."""
    if not result.dry_run and (result.changed or result.failed or result.news):
        _tell_slack(settings, host, slack.message(result))


def announce_failure(name: str, problem: KandjiUploaderError, settings: Settings, host: Host) -> None:
    """Tell Slack of a run that failed before anything was changed."""
    _tell_slack(settings, host, slack.failure(name, str(problem)))


def _tell_slack(settings: Settings, host: Host, message: Mapping[str, object]) -> None:
    """Post to Slack, if it is on. An error of Slack does not fail the run."""
    if not (host.announces and settings.slack_enabled) or settings.dry_run:
        return
    try:
        webhook = credentials.slack_webhook(settings, host.environ)
        if webhook is not None:
            slack.post(webhook.reveal(), message)
    except KandjiUploaderError as problem:
        host.warn(f"Slack was not told: {problem}")
