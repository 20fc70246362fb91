"""What people are told of a run, whatever it is sent with: which lines, in which order, and how many of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from kandji_uploader.models import Action, Outcome, RunResult

GROUPS = ("changed", "failed", "held", "halted", "pending")
"""In this order people read them."""
_WITH_REASON = (Action.PROMOTE, Action.ROLL_BACK, Action.HELD, Action.WAITING, Action.PINNED)
"""Whose reason people want to read."""
_PROMOTED = (Action.PROMOTE.value, Action.ROLL_BACK.value)
_LINES = 20
"""Custom Apps that the message of an AutoPkg run lists: with their links and reasons that fills a screen."""
_MOST = 40
"""Custom Apps that the message of one installer lists; Slack takes 50 blocks (api.slack.com, 'Blocks')."""
_FEW = 3
"""So few that each is told with all that is known of it."""
_LONGEST = 160
"""Characters of a reason or error where there are more of them; the output of the run has the rest."""


_NAMED = 12
"""Digits of a release's digest, which tell it from any other that somebody has; `--json` has all of them."""


@dataclass(frozen=True)
class Item:
    """What became of one Custom App.

    Attributes:
        action: the value of an `Action`, or `pending`.
        name: the Custom App; the installer where the run ended before one was known.
        at: epoch seconds.
        version: "" where it is not known.
        link: its address in the console; "" where there is none.
        tenant: "" for the one of the settings.
        about: installer, enforcement, signer, and the beginning of the release's digest.
        why: the reason or the error.
        urgent: why it went to every stage at once; "" where it was not urgent.
    """

    action: str
    name: str
    at: float = 0.0
    version: str = ""
    link: str = ""
    tenant: str = ""
    about: str = ""
    why: str = ""
    urgent: str = ""

    @property
    def group(self) -> str:
        """One of `GROUPS`."""
        if self.action in ("pending", Action.HALTED.value):
            return self.action
        action = Action(self.action)
        return "changed" if action.writes else "failed" if action.bad else "held"

    def is_for(self, on: Sequence[str]) -> bool:
        """Whether somebody who hears of `all`, `failed` or `promoted` hears of this."""
        bad = self.group in ("failed", "halted", "pending")
        return "all" in on or (bad and "failed" in on) or (self.action in _PROMOTED and "promoted" in on)


@dataclass(frozen=True)
class Message:
    """A message, not yet in the form of any service.

    Attributes:
        head: one line.
        notes: what holds for all of it, a line each.
        items: what is listed, in order.
        more: what is not, in words; "" where all is.
        brief: whether each item is one line.
    """

    head: str
    notes: tuple[str, ...]
    items: tuple[Item, ...]
    more: str = ""
    brief: bool = False


def items(result: RunResult, at: float) -> tuple[Item, ...]:
    """What a run has to tell of each Custom App that it did not leave as it was."""
    told = [outcome for outcome in result.outcomes if outcome.action is not Action.UNCHANGED]
    return tuple(_item(outcome, at, result.urgent) for outcome in told)


def _item(outcome: Outcome, at: float, urgent: str) -> Item:
    release = f"release {outcome.digest[:_NAMED]}" if outcome.digest and outcome.action.writes else ""
    about = " - ".join(filter(None, (outcome.installer, outcome.enforcement, outcome.signer, release)))
    reason = outcome.reason if outcome.action in _WITH_REASON else ""
    why = "\n".join(filter(None, (reason, outcome.error)))
    return Item(
        outcome.action.value, outcome.name, at, outcome.version, outcome.link, outcome.tenant, about, why, urgent
    )


def of_one(result: RunResult, told: Sequence[Item]) -> Message:
    """The message of one installer, or of one call for several.

    Args:
        result: what became of it.
        told: those of its `items` that somebody hears of.
    """
    head = "KandjiUploader failed" if result.failed else "KandjiUploader published"
    if not (result.failed or result.changed):
        head = "KandjiUploader holds back"
    if {item.action for item in result.outcomes if item.action.bad} == {Action.HALTED}:
        head = "KandjiUploader halted"
    notes = (_urgent(result.urgent),) if result.urgent else ()
    more = f"and {len(told) - _MOST} more" if len(told) > _MOST else ""
    return Message(f"{head}: {result.app_name or result.source}", notes, tuple(told[:_MOST]), more)


def of_many(told: Iterable[Item], host: str, notes: Sequence[str] = ()) -> Message:
    """The message of an AutoPkg run.

    Args:
        told: what somebody hears of; what was told twice, since it came twice, is one line.
        host: the name of this machine.
        notes: what holds for all of it.
    """
    by_age = sorted(told, key=lambda item: item.at)
    once = {(item.tenant, item.name, item.action, item.version): item for item in by_age}
    groups = {group: [item for item in once.values() if item.group == group] for group in GROUPS}
    counts = ", ".join(f"{len(found)} {group}" for group, found in groups.items() if found)
    shares = _shares({group: len(found) for group, found in groups.items()})
    listed = [item for group, found in groups.items() for item in found[: shares[group]]]
    left = Counter({group: len(found) - shares[group] for group, found in groups.items()})
    more = ", ".join(f"{left[group]} {group}" for group in GROUPS if left[group])
    urgent = dict.fromkeys(_urgent(item.urgent) for item in listed if item.urgent)
    return Message(
        f"AutoPkg run on {host}: {counts}",
        (*notes, *urgent),
        tuple(listed),
        f"and {left.total()} more: {more}" if more else "",
        brief=len(listed) > _FEW,
    )


def _shares(counts: dict[str, int]) -> dict[str, int]:
    """How many of each group are listed: each gets its fifth at least, and what one does not need another one gets."""
    shares = {group: min(count, _LINES // len(GROUPS)) for group, count in counts.items()}
    for group in ("failed", "halted", "changed", "held", "pending"):
        shares[group] += min(counts[group] - shares[group], _LINES - sum(shares.values()))
    return shares


@dataclass(frozen=True)
class Markup:
    """How a service writes.

    Attributes:
        escaped: a text of which nothing means anything there.
        linked: a name with its address, as a format.
        ended: what ends a line within a paragraph.
        done: what became of an app, by the action of an `Item`.
    """

    escaped: Callable[[str], str]
    linked: str
    ended: str
    done: Callable[[str], str]

    def paragraphs(self, message: Message) -> list[str]:
        """A message without its head."""
        told = [self._line(item) if message.brief else self._whole(item) for item in message.items]
        return [*map(self.escaped, message.notes), *told, *([message.more] if message.more else [])]

    def _whole(self, item: Item) -> str:
        rest = [self.escaped(line) for line in f"{item.about}\n{item.why}".splitlines() if line]
        return self.ended.join([self._what(item), *rest])

    def _line(self, item: Item) -> str:
        """An item as one line of a message that has many."""
        why = " ".join(item.why.split())
        why = why if len(why) <= _LONGEST else f"{why[:_LONGEST]}..."
        return " - ".join(filter(None, [self._what(item), self.escaped(why)]))

    def _what(self, item: Item) -> str:
        name = self.escaped(item.name)
        linked = self.linked.format(name=name, link=item.link) if item.link else name
        version = f" {self.escaped(item.version)}" if item.version else ""
        tenant = f"{self.escaped(item.tenant)}: " if item.tenant else ""
        return f"{tenant}{linked}{version}: {self.done(item.action)}"


def _urgent(why: str) -> str:
    return f"urgent, without a soak: {why}"
