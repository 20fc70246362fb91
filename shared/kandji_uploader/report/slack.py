"""The Slack message: one for each run that changed something or failed, posted to an incoming webhook."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from kandji_uploader.errors import NetworkError
from kandji_uploader.models import Action, Outcome, RunResult

_TIMEOUT = (10.0, 20.0)
_MARKS = {
    Action.CREATE: ":new: created",
    Action.UPDATE: ":white_check_mark: updated",
    Action.UNCHANGED: "unchanged",
    Action.PROMOTE: ":rocket: promoted",
    Action.ROLL_BACK: ":rewind: rolled back",
    Action.HELD: ":hourglass: held",
    Action.PINNED: ":pushpin: pinned",
    Action.CONFLICT: ":warning: conflict",
    Action.REFUSED: ":warning: refused",
    Action.FAILED: ":x: failed",
}
_TELLING = (Action.PROMOTE, Action.ROLL_BACK, Action.HELD, Action.PINNED)
"""Whose reason people want to read."""
_LONGEST = 2900
"""A section of Slack's blocks holds 3,000 characters."""


def message(result: RunResult) -> Mapping[str, object]:
    """What to tell of a run that changed something or in which a target failed."""
    head = "KandjiUploader failed" if result.failed else "KandjiUploader published"
    if not (result.failed or result.changed):
        head = "KandjiUploader holds back"
    return _blocks(f"{head}: {_escaped(result.app_name or result.source)}", [_of(item) for item in result.outcomes])


def failure(installer: str, text: str) -> Mapping[str, object]:
    """What to tell of a run that ended before anything was changed."""
    return _blocks(f"KandjiUploader failed: {_escaped(installer)}", [_escaped(text)])


def post(webhook: str, payload: Mapping[str, object]) -> None:
    """Send a message.

    Raises:
        NetworkError: it was not taken; the text does not hold the webhook, which is a secret.
    """
    import requests

    parts = urlsplit(webhook)
    if parts.scheme != "https" and parts.hostname not in ("127.0.0.1", "localhost", "::1"):
        raise NetworkError("the webhook is not an https address; set it to one from Slack's incoming webhooks")
    try:
        answer = requests.post(webhook, json=dict(payload), timeout=_TIMEOUT, allow_redirects=False)
    except OSError as problem:  # requests' own errors are some, and that of a missing CA bundle is one
        raise NetworkError(f"{parts.hostname} was not reached ({type(problem).__name__}). Check the network") from None
    if answer.status_code != 200:  # noqa: PLR2004
        raise NetworkError(
            f"{parts.hostname} answered HTTP {answer.status_code} ({answer.text[:80]!r}). Make a new one if it is gone"
        )


def _of(outcome: Outcome) -> str:
    name = _escaped(outcome.name)
    linked = f"<{outcome.link}|{name}>" if outcome.link else name
    version = f" {_escaped(outcome.version)}" if outcome.version else ""
    what = f"{linked}{version}: {_MARKS[outcome.action]}"
    details = [_escaped(text) for text in (outcome.installer, outcome.enforcement) if text]
    reason = _escaped(outcome.reason) if outcome.action in _TELLING else ""
    return "\n".join(filter(None, [what, " - ".join(details), reason, _escaped(outcome.error)]))


def _blocks(head: str, sections: list[str]) -> Mapping[str, object]:
    texts = [section[:_LONGEST] for section in sections]
    blocks = [{"type": "section", "text": {"type": "mrkdwn", "text": text}} for text in [f"*{head}*", *texts]]
    return {"text": head, "blocks": blocks}


def _escaped(text: str) -> str:
    """Slack's three control characters as text (api.slack.com, 'Formatting text for app surfaces')."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
