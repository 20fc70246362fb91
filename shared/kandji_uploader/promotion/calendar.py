"""When anything may reach a Mac: windows and freezes, as pure rules over values.

A window is told by the clock on the wall of its zone: what that clock skips in spring is not there, and what it shows
twice in autumn is open twice. A freeze of whole days begins and ends at midnight there.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone, tzinfo

from kandji_uploader.models import WEEKDAYS, Freeze, Settings, Window

_MINUTE = 60.0
_A_DAY, _A_WEEK = timedelta(days=1), timedelta(days=7)
_LONGEST_GAP = 16
"""Days between two openings at the most: the only day of a week may be one whose hours are skipped."""


def zone_of(name: str) -> tzinfo:
    """A time zone by its name in the tz database, such as `Europe/Vienna`.

    Raises:
        ValueError: there is none of that name, or this machine knows none; the text says what to do.
    """
    if name in ("", "UTC"):
        return timezone.utc
    from zoneinfo import ZoneInfo, available_timezones

    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # unknown, no name at all, or a folder of the database
        known = available_timezones()
    if not known:
        raise ValueError(
            f"names the zone {name!r}, and this machine has no time zones: install the package tzdata "
            "(apt-get, dnf or apk; for one Python: pip install tzdata)"
        )
    from difflib import get_close_matches

    near = get_close_matches(name, known, 1, 0.7)
    meant = f"did you mean {near[0]}?" if near else "write it as Europe/Vienna or UTC"
    raise ValueError(f"names the zone {name!r}, which does not exist; {meant}")


@dataclass(frozen=True)
class Calendar:
    """What holds for one app.

    Attributes:
        window: when releases move from ring to ring; None for at any time.
        freezes: when nothing is published.
        zone: by whose clock freezes are that name none, so that one freeze is the same for all rings; "" for UTC.
    """

    window: Window | None = None
    freezes: tuple[Freeze, ...] = ()
    zone: str = ""

    @staticmethod
    def of(settings: Settings) -> Calendar:
        """The calendar of an app. The window of a ring (of `promotion`) stands in place of that of all."""
        own = settings.promotion.window if settings.promotion else None
        return Calendar(own or settings.window, settings.freezes, settings.window.zone if settings.window else "")

    def frozen(self, now: float) -> str:
        """Why nothing may be published now, and until when; "" where it may."""
        ends = [(end, freeze) for freeze, begin, end in self._spans() if begin <= now < end]
        if not ends:
            return ""
        last = max(ends, key=lambda each: each[0])[1]
        why = f": {last.why}" if last.why else ""
        return f"frozen until {last.until}{why}"

    def waits(self, now: float) -> str:
        """Why nothing may move from ring to ring now, and until when; "" where it may."""
        frozen = self.frozen(now)
        if frozen or self.window is None or self._is_open(now):
            return frozen
        there, here = (self._local(each) for each in (self.next_opening(now), now))
        day = WEEKDAYS[there.weekday()]
        on = f"{there:%Y-%m-%d} " if there.date() - here.date() >= _A_WEEK else ""
        return f"waiting for {day} {on}{there:%H:%M} ({self.window.zone})"

    def next_opening(self, now: float) -> float:
        """The first minute from now on, in epoch seconds, in which a release may move; `now` itself where it may."""
        at = now
        while True:
            at = self._thawed(at)
            opening = self._first_open(at)
            if self._thawed(opening) == opening:
                return opening
            at = opening

    def over(self, now: float) -> tuple[Freeze, ...]:
        """The freezes that are over, and so without any effect."""
        return tuple(freeze for freeze, _, end in self._spans() if end <= now)

    # How it is done

    def _spans(self) -> Iterator[tuple[Freeze, float, float]]:
        """Each freeze with when it begins and ends, in epoch seconds."""
        for freeze in self.freezes:
            zone = zone_of(freeze.zone or self.zone)
            yield freeze, _instant(freeze.begins, zone, fold=0), _instant(freeze.ends, zone, fold=1)

    def _thawed(self, at: float) -> float:
        """The first moment from `at` on that is in no freeze."""
        for _, begin, end in sorted(self._spans(), key=lambda span: span[1]):
            if begin <= at < end:
                at = end
        return at

    def _local(self, at: float) -> datetime:
        return datetime.fromtimestamp(at, zone_of(self.window.zone if self.window else ""))

    def _is_open(self, at: float) -> bool:
        """Whether the window is open, whatever the freezes say."""
        if self.window is None:
            return True
        local = self._local(at)
        opens, closes = self.window.minutes
        minute = local.hour * 60 + local.minute
        if opens < closes:
            return opens <= minute < closes and self.window.has(local.date())
        # The hours of a night belong to the day on which they begin.
        return (
            self.window.has(local.date())
            if minute >= opens
            else (minute < closes and self.window.has(local.date() - _A_DAY))
        )

    def _first_open(self, at: float) -> float:
        """The first minute from `at` on in which the window is open, whatever the freezes say."""
        if self.window is None or self._is_open(at):
            return at
        today, zone = self._local(at).date(), zone_of(self.window.zone)
        for days in range(-1, _LONGEST_GAP):
            found = (
                moment
                for moment in _moments(today + timedelta(days=days), self.window.minutes[0], zone)
                if moment >= at and self._is_open(moment)
            )
            if (first := next(found, None)) is not None:
                return first
        raise AssertionError(self.window)  # a window that never opens is refused when it is read


def _moments(day: date, minute: int, zone: tzinfo) -> Iterator[float]:
    """When a window may open on a day: at its minute, and on a day that turns the clock at any minute."""
    midnight = datetime(day.year, day.month, day.day)  # noqa: DTZ001 - by the clock on the wall
    begin, end = (_instant(each, zone, fold=0) for each in (midnight, midnight + _A_DAY))
    if end - begin == _A_DAY.total_seconds():
        yield begin + minute * _MINUTE
        return
    at = begin
    while at < end:
        yield at
        at += _MINUTE


@functools.lru_cache(256)
def _instant(moment: datetime | None, zone: tzinfo, *, fold: int) -> float:
    """A moment in epoch seconds; one without a zone is by the clock on the wall, and None is ever since."""
    if moment is None:
        return float("-inf")
    if moment.tzinfo is not None:
        return moment.timestamp()
    return moment.replace(tzinfo=zone, fold=fold).timestamp()
