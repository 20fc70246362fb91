"""How often a request is tried, and how long is waited in between: the one policy for every host."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TypeVar

from kandji_uploader._util import signals
from kandji_uploader.errors import NetworkError

Value = TypeVar("Value")
Say = Callable[[str], None]


@dataclass(frozen=True)
class Policy:
    """How patient a client is; times in seconds, sizes in bytes.

    Attributes:
        connect_timeout: to open a connection.
        idle_timeout: without a byte in either direction.
        tries: how often a request that is safe to repeat is sent at the most.
        first_wait: before the second try; it doubles with each further one, with jitter.
        longest_wait: the most that is waited between two tries.
        retry_after_cap: the most that a server's Retry-After is honoured for.
        processing_budget: for `still being processed` in all.
        answer_time: from the end of a request to the end of its answer. An installer that is downloaded has no limit
            but `idle_timeout`.
        answer_size: of an answer, decoded. A page of the tenant's list holds 300 apps with three scripts each, and
            Homebrew's whole list 15 MB.
        list_time: for all pages of a list.
        redirects: how many are followed, where any are (downloads).
    """

    connect_timeout: float = 15.0
    idle_timeout: float = 60.0
    tries: int = 5
    first_wait: float = 0.5
    longest_wait: float = 20.0
    retry_after_cap: float = 120.0
    processing_budget: float = 300.0
    answer_time: float = 300.0
    answer_size: int = 64 << 20
    list_time: float = 3600.0
    redirects: int = 10


class RetryableError(NetworkError):
    """A failure that may not occur at the next try. The request was surely not acted upon, unless a subclass says so.

    Attributes:
        wait: seconds that the server asked for; 0 where it did not.
    """

    def __init__(self, text: str, wait: float = 0.0) -> None:
        self.wait = wait
        super().__init__(text)


class LostAnswerError(RetryableError):
    """The request may have been acted upon, but its answer did not arrive whole."""


class EndlessAnswerError(LostAnswerError):
    """The answer is larger than any honest one, or takes longer; asking again would bring the same."""


_told: ContextVar[Say] = ContextVar("told", default=lambda _: None)


def tell_to(say: Say) -> None:
    """Have each wait told to the run that this thread works for, from now on, one line each.

    One client serves all the runs of a process, and several threads at a time: messages to the user belong to the run.
    """
    _told.set(say)


def tell(line: str) -> None:
    """Say a line to the run that this thread works for."""
    _told.get()(line)


def with_tries(policy: Policy, attempt: Callable[[], Value], say: Say = tell, *, repeat: bool = True) -> Value:
    """What `attempt` returns; called again after a passing error, within the policy.

    Args:
        policy: how often, and how long to wait.
        attempt: raises `RetryableError` where another try may help.
        say: told before each wait, one line; by default the run that this thread works for.
        repeat: whether it may be sent again when its answer was lost.

    Raises:
        PassingError: the last of them.
    """
    number = 1
    while True:
        try:
            return attempt()
        except RetryableError as problem:
            lost = isinstance(problem, LostAnswerError)
            if number >= policy.tries or isinstance(problem, EndlessAnswerError) or (lost and not repeat):
                raise
            seconds = max(min(problem.wait, policy.retry_after_cap), _pause(policy, number))
            why = str(problem).split(". ", maxsplit=1)[0]
        say(f"{why}; trying again in {spoken(seconds)} (try {number + 1} of {policy.tries})")
        signals.pause(seconds)
        number += 1


def spoken(seconds: float) -> str:
    """A time to wait, for people."""
    return f"{seconds:.0f} s" if seconds >= 1 else "a moment"


def retry_after(headers: Mapping[str, str]) -> float:
    """Seconds that a Retry-After header asks for, as a number or as a date; 0 where there is none."""
    from email.utils import parsedate_to_datetime

    said = headers.get("Retry-After", "").strip()
    try:
        seconds = float(said) if said.isdecimal() else parsedate_to_datetime(said).timestamp() - time.time()
    except (TypeError, ValueError, OverflowError):
        return 0.0
    return max(seconds, 0.0)


def _pause(policy: Policy, number: int) -> float:
    longest: float = min(policy.first_wait * 2 ** (number - 1), policy.longest_wait)
    return longest * random.uniform(0.5, 1)  # noqa: S311 - jitter, not a secret
