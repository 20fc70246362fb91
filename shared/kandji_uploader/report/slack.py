"""The message as Slack takes it, posted to an incoming webhook."""

from __future__ import annotations

from collections.abc import Mapping

from kandji_uploader.errors import NetworkError
from kandji_uploader.http.addresses import safe_address, split
from kandji_uploader.http.session import Session, hidden_paths
from kandji_uploader.http.tries import Policy, RetryableError, retry_after, with_tries
from kandji_uploader.models import Action
from kandji_uploader.report.message import Markup, Message

_PATIENCE = Policy(connect_timeout=10.0, idle_timeout=20.0, tries=3, retry_after_cap=30.0, answer_time=20.0)
"""A run does not wait long for Slack."""
_MARKS = {
    Action.CREATE.value: ":new: created",
    Action.UPDATE.value: ":white_check_mark: updated",
    Action.PROMOTE.value: ":rocket: promoted",
    Action.ROLL_BACK.value: ":rewind: rolled back",
    Action.HELD.value: ":hourglass: held",
    Action.WAITING.value: ":hourglass: waiting",
    Action.HALTED.value: ":octagonal_sign: halted",
    Action.PINNED.value: ":pushpin: pinned",
    Action.CONFLICT.value: ":warning: conflict",
    Action.REFUSED.value: ":warning: refused",
    Action.FAILED.value: ":x: failed",
    "pending": ":arrows_counterclockwise: pending",
}
_LONGEST = 2900
"""A section of Slack's blocks holds 3,000 characters."""


def payload(message: Message) -> Mapping[str, object]:
    """A message as Slack's blocks."""
    head = _escaped(message.head)
    sections = [f"*{head}*", *_MARKUP.paragraphs(message)]
    blocks = [{"type": "section", "text": {"type": "mrkdwn", "text": text[:_LONGEST]}} for text in sections]
    return {"text": head, "blocks": blocks}


def post(webhook: str, payload: Mapping[str, object]) -> None:
    """Send a message.

    Raises:
        NetworkError: it was not taken (`LostAnswerError` where it may have been); the text does not hold the webhook,
            which is a secret.
    """
    host = split(webhook).hostname
    if not safe_address(webhook):
        raise NetworkError("the webhook is not an https address; set it to one from Slack's incoming webhooks")
    with hidden_paths(), Session(_PATIENCE, "the webhook") as session:

        def attempt() -> tuple[int, str]:
            answer = session.open("the message", "POST", webhook, json=dict(payload))
            said = session.whole("the message", answer).decode("utf-8", "replace")
            if answer.status_code == 429:  # noqa: PLR2004
                raise RetryableError(f"{host} answered HTTP 429 ({said[:80]!r})", retry_after(answer.headers))
            return answer.status_code, said

        status, said = with_tries(_PATIENCE, attempt, repeat=False)  # a message is not to come twice
    if status != 200:  # noqa: PLR2004
        raise NetworkError(f"{host} answered HTTP {status} ({said[:80]!r}). Make a new one if it was deleted")


def _escaped(text: str) -> str:
    """Slack's three control characters as text (api.slack.com, 'Formatting text for app surfaces')."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


_MARKUP = Markup(_escaped, "<{link}|{name}>", "\n", lambda action: _MARKS.get(action, action))
