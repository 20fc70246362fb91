"""The tenant's clock: real time, unless a test or a rehearsal sets it to walk through simulated weeks."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta, timezone


class Clock:
    """What the tenant takes for now; always with a time zone.

    A clock that was never set runs with real time. Once set, it stands still and moves by `advance` only.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._set: datetime | None = None
        self._last: datetime | None = None

    def now(self) -> datetime:
        """The time now, in UTC."""
        with self._lock:
            return self._now()

    def tick(self) -> datetime:
        """The time now for a change: always later than the one before, so that each change moves `updated_at`."""
        with self._lock:
            now = self._now()
            if self._last is not None and now <= self._last:
                now = self._last + timedelta(microseconds=1)
            self._last = now
            return now

    def set(self, now: datetime) -> None:
        """Stand still at `now`, which may be earlier than before.

        Raises:
            ValueError: `now` has no time zone.
        """
        if now.tzinfo is None:
            raise ValueError("the tenant's clock needs a time with a time zone")
        with self._lock:
            self._set = now.astimezone(timezone.utc)
            self._last = None

    def advance(self, *, days: float = 0, hours: float = 0, seconds: float = 0) -> datetime:
        """Move on by so much and stand still there; returns the new time."""
        self.set(self.now() + timedelta(days=days, hours=hours, seconds=seconds))
        return self.now()

    def run(self) -> None:
        """Go with real time again."""
        with self._lock:
            self._set = self._last = None

    def _now(self) -> datetime:
        return self._set or datetime.now(timezone.utc)


def stamp(moment: datetime) -> str:
    """A time as the API writes it, to the microsecond."""
    return moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
