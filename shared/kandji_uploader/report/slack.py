"""The Slack message: one for each run that changed something or failed, posted to an incoming webhook."""

from __future__ import annotations

from collections.abc import Mapping

from kandji_uploader.errors import NetworkError
from kandji_uploader.http.addresses import safe_address, split
from kandji_uploader.http.session import Session
from kandji_uploader.http.tries import Policy, RetryableError, retry_after, with_tries
from kandji_uploader.models import Action, Outcome, RunResult

_PATIENCE = Policy(connect_timeout=10.0, idle_timeout=20.0, tries=3, retry_after_cap=30.0, answer_time=20.0)
"""A run does not wait long for Slack."""
_MARKS = {
    Action.CREATE: ":new: created",
    Action.UPDATE: ":white_check_mark: updated",
    Action.UNCHANGED: "unchanged",
    Action.PROMOTE: ":rocket: promoted",
    Action.ROLL_BACK: ":rewind: rolled back",
    Action.HELD: ":hourglass: held",
    Action.WAITING: ":hourglass: waiting",
    Action.HALTED: ":octagonal_sign: halted",
    Action.PINNED: ":pushpin: pinned",
    Action.CONFLICT: ":warning: conflict",
    Action.REFUSED: ":warning: refused",
    Action.FAILED: ":x: failed",
}
_TELLING = (Action.PROMOTE, Action.ROLL_BACK, Action.HELD, Action.WAITING, Action.PINNED)
"""Whose reason people want to read."""
_MOST = 40
"""Custom Apps that a message lists; Slack takes 50 blocks (api.slack.com, 'Blocks')."""
_LONGEST = 2900
"""A section of Slack's blocks holds 3,000 characters."""


def message(result: RunResult) -> Mapping[str, object]:
    """What to tell of a run that changed something or in which a target failed."""
    head = "KandjiUploader failed" if result.failed else "KandjiUploader published"
    if not (result.failed or result.changed):
        head = "KandjiUploader holds back"
    if {item.action for item in result.outcomes if item.action.bad} == {Action.HALTED}:
        head = "KandjiUploader halted"
    why = [f"urgent, without a soak: {_escaped(result.urgent)}"] if result.urgent else []
    told = [item for item in result.outcomes if not item.tenant or item.action is not Action.UNCHANGED]
    more = [f"and {len(told) - _MOST} more"] if len(told) > _MOST else []
    sections = [*why, *(_of(item) for item in told[:_MOST]), *more]
    return _blocks(f"{head}: {_escaped(result.app_name or result.source)}", sections)


def failure(installer: str, text: str) -> Mapping[str, object]:
    """What to tell of a run that ended before anything was changed."""
    return _blocks(f"KandjiUploader failed: {_escaped(installer)}", [_escaped(text)])


def post(webhook: str, payload: Mapping[str, object]) -> None:
    """Send a message.

    Raises:
        NetworkError: it was not taken; the text does not hold the webhook, which is a secret.
    """
    host = split(webhook).hostname
    if not safe_address(webhook):
        raise NetworkError("the webhook is not an https address; set it to one from Slack's incoming webhooks")
    with Session(_PATIENCE, "the webhook") as session:

        def attempt() -> tuple[int, str]:
            answer = session.open("the message", "POST", webhook, json=dict(payload))
            said = session.whole("the message", answer).decode("utf-8", "replace")
            if answer.status_code == 429:  # noqa: PLR2004
                raise RetryableError(f"{host} answered HTTP 429 ({said[:80]!r})", retry_after(answer.headers))
            return answer.status_code, said

        status, said = with_tries(_PATIENCE, attempt, repeat=False)  # a message is not to come twice
    if status != 200:  # noqa: PLR2004
        raise NetworkError(f"{host} answered HTTP {status} ({said[:80]!r}). Make a new one if it was deleted")


def _of(outcome: Outcome) -> str:
    name = _escaped(outcome.name)
    linked = f"<{outcome.link}|{name}>" if outcome.link else name
    version = f" {_escaped(outcome.version)}" if outcome.version else ""
    tenant = f"{_escaped(outcome.tenant)}: " if outcome.tenant else ""
    what = f"{tenant}{linked}{version}: {_MARKS[outcome.action]}"
    details = [_escaped(text) for text in (outcome.installer, outcome.enforcement, outcome.signer) if text]
    reason = _escaped(outcome.reason) if outcome.action in _TELLING else ""
    return "\n".join(filter(None, [what, " - ".join(details), reason, _escaped(outcome.error)]))


def _blocks(head: str, sections: list[str]) -> Mapping[str, object]:
    texts = [section[:_LONGEST] for section in sections]
    blocks = [{"type": "section", "text": {"type": "mrkdwn", "text": text}} for text in [f"*{head}*", *texts]]
    return {"text": head, "blocks": blocks}


def _escaped(text: str) -> str:
    """Slack's three control characters as text (api.slack.com, 'Formatting text for app surfaces')."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
