"""Where the seconds of a run go."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

PARTS = ("list", "read", "digest", "upload", "waiting", "settle", "other")
"""The tenant's lists, what the installer is, its sha256, its upload, pauses that the service or another run asks for,
creating and updating and looking whether that holds, and all else. A second counts for the innermost of them."""


class _Clock(threading.local):
    """That of a thread: what it is at, since when, and what it has spent; None while nothing is counted."""

    spent: dict[str, float] | None = None
    part = "other"
    since = 0.0


_clock = _Clock()


@contextmanager
def counted() -> Iterator[dict[str, float]]:
    """Seconds by part of what this thread does while it lasts; whole when it is over. An outer one lacks them."""
    outer = (_clock.spent, _clock.part, _clock.since)
    spent = dict.fromkeys(PARTS, 0.0)
    _clock.spent, _clock.part, _clock.since = spent, "other", time.perf_counter()
    try:
        yield spent
    finally:
        _turn_to("other")
        _clock.spent, _clock.part, _clock.since = outer


@contextmanager
def at(part: str) -> Iterator[None]:
    """Count what is done while it lasts for a part; of a method, too (`@at("read")`)."""
    before = _clock.part
    _turn_to(part)
    try:
        yield
    finally:
        _turn_to(before)


def _turn_to(part: str) -> None:
    now = time.perf_counter()
    if _clock.spent is not None:
        _clock.spent[_clock.part] += now - _clock.since
    _clock.part, _clock.since = part, now
