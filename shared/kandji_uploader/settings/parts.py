"""Values that have parts: a window, freezes, versions, rings; each function reads one as `coercion` does."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from kandji_uploader.models import SEVERITIES, WEEKDAYS, FastLane, Freeze, Listener, Window
from kandji_uploader.promotion import calendar
from kandji_uploader.settings.coercion import (
    LONGEST_DELAY,
    Choice,
    Kind,
    Number,
    UnfitError,
    boolean,
    moment,
    shown,
    text,
)


def as_written(value: object) -> object:
    """A value as JSON can hold it, and as its key takes it again."""
    if isinstance(value, Window | Freeze | FastLane):
        return value.given()
    if isinstance(value, Listener):
        return {"url": value.url.reveal() if value.url else value.secret, "on": list(value.on)}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, dict):
        return {name: as_written(each) for name, each in value.items()}
    return [as_written(each) for each in value] if isinstance(value, tuple) else value


def window(value: object) -> Window:
    """The hours of the week in which releases move: `{days: mon-thu, hours: "09:00-15:00", zone: Europe/Vienna}`."""
    given = _parts(value, ("days", "hours", "zone"), "{days: mon-thu, hours: '09:00-15:00', zone: Europe/Vienna}")
    days = _weekdays(given["days"]) if "days" in given else WEEKDAYS
    hours = _hours(given.get("hours", "00:00-24:00"))
    if "zone" not in given:
        raise UnfitError("must name its zone, such as Europe/Vienna or UTC: machines that publish are in many")
    return Window(days, hours, _zone(given["zone"]))


def fast_lane(value: object) -> FastLane:
    """For which vulnerabilities a release moves faster: `{severity: critical, kev: true, after_days: 1}`."""
    known = ("severity", "kev", "after_days", "deadline_days")
    given = _parts(value, known, "{severity: critical, kev: true, after_days: 1, deadline_days: 1}")
    kinds: tuple[Kind, ...] = (Choice(SEVERITIES), boolean, _DAYS, _WHOLE_DAYS)
    read: dict[str, object] = {}
    for name, kind in zip(known, kinds, strict=True):
        try:
            read |= {name: kind(given[name])} if name in given else {}
        except UnfitError as unfit:
            raise UnfitError(f"holds {name} {shown(given[name])}, which {unfit.accepted}") from None
    found = FastLane(**read)  # type: ignore[arg-type]
    if found.severity is None and not found.kev:
        raise UnfitError("must say for which vulnerabilities: severity (such as critical), kev: true, or both")
    if found.after_days is None and found.deadline_days is None:
        raise UnfitError("must say what is shortened: after_days, deadline_days, or both")
    return found


_DAYS = Number(0, LONGEST_DELAY, "days")
_WHOLE_DAYS = Number(0, LONGEST_DELAY, "days", whole=True)


def freezes(value: object) -> tuple[Freeze, ...]:
    """When nothing is published: a list of `{from: 2026-12-20, until: 2027-01-07, why: Christmas}`."""
    found = _from_json(value)
    found = [found] if isinstance(found, Mapping) else found
    if not isinstance(found, list | tuple):
        raise UnfitError(f"must be a list of freezes, such as {_A_FREEZE}")
    return tuple(_freeze(each) for each in found)


_A_FREEZE = "{from: 2026-12-20, until: 2027-01-07, why: Christmas}"


def _freeze(value: object) -> Freeze:
    given = _parts(value, ("from", "until", "why", "zone"), _A_FREEZE)
    if "until" not in given:
        raise UnfitError(f"holds a freeze without `until`; write it as {_A_FREEZE}")
    zone = _zone(given["zone"]) if "zone" in given else ""
    since, begins = _point("from", given["from"]) if "from" in given else ("", None)
    until, ends = _point("until", given["until"], whole=True)
    if begins is not None and _absolute(begins, zone) >= _absolute(ends, zone):
        raise UnfitError(f"holds a freeze from {since} until {until}, which ends before it begins; correct one of them")
    return Freeze(begins, ends, until, since, text(given["why"]) if "why" in given else "", zone)


def _absolute(moment: datetime, zone: str) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=calendar.zone_of(zone))


def _point(key: str, value: object, *, whole: bool = False) -> tuple[str, datetime]:
    """A date or a moment, as it was given and as it counts; `whole` for the first moment after a date."""
    if isinstance(value, datetime):
        value = moment(value).isoformat()
    found = str(value).strip()
    try:
        # Python 3.11 reads more forms than 3.10.
        counts = datetime.fromisoformat(re.sub(r"[zZ]$", "+00:00", found) if _MOMENT.fullmatch(found) else "")
        if _DATE.fullmatch(found) and whole:
            counts += timedelta(days=1)
    except (ValueError, OverflowError):
        accepted = "2027-01-07, 2027-01-07T18:00 or 2027-01-07T18:00+01:00"
        raise UnfitError(f"holds {key} {shown(value)}, which is no date; write it as {accepted}") from None
    return found, counts


_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_MOMENT = re.compile(rf"{_DATE.pattern}([T ]\d{{2}}:\d{{2}}(:\d{{2}})?([zZ]|[+-]\d{{2}}:\d{{2}})?)?", re.ASCII)


def _weekdays(value: object) -> tuple[str, ...]:
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, list | tuple) or not parts:
        raise UnfitError("holds no days, so the window never opens; write them as mon-thu or [mon, wed]")
    found: set[str] = set()
    for part in parts:
        first, _, last = (word.strip().lower() for word in str(part).partition("-"))
        if first not in WEEKDAYS or (last or first) not in WEEKDAYS:
            raise UnfitError(f"holds the day {shown(part)}; days are {', '.join(WEEKDAYS)}, and mon-thu for several")
        begin, end = WEEKDAYS.index(first), WEEKDAYS.index(last or first)
        found.update(WEEKDAYS[(begin + more) % 7] for more in range((end - begin) % 7 + 1))
    return tuple(day for day in WEEKDAYS if day in found)


def _hours(value: object) -> str:
    found = re.sub(r"\s", "", str(value))
    if not _HOURS.fullmatch(found):
        raise UnfitError(f"holds hours {shown(value)}; write them as '09:00-15:00', in quotes")
    opens, _, closes = found.partition("-")
    if opens == closes:
        raise UnfitError(f"holds hours {shown(value)}, in which it never opens; the whole day is '00:00-24:00'")
    return found


_TIME = r"([01]\d|2[0-3]):[0-5]\d"
_HOURS = re.compile(rf"{_TIME}-({_TIME}|24:00)", re.ASCII)


def _zone(value: object) -> str:
    found = text(value)
    try:
        calendar.zone_of(found)
    except ValueError as problem:
        raise UnfitError(str(problem)) from None
    return found


def versions(value: object) -> tuple[str, ...]:
    """A list of versions; text is split at commas. One that ends in `.*` is all that begin so."""
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, list | tuple) or not parts:
        raise UnfitError("must be a list of versions, such as ['128.1', '129.*']")
    found = tuple(dict.fromkeys(text(part) for part in parts))
    wrong = next((each for each in found if "*" in each.removesuffix(".*") or not each.removesuffix(".*")), None)
    if wrong is not None:
        raise UnfitError(f"holds {shown(wrong)}; a `*` stands at the end only, behind a dot, such as '129.*'")
    return found


def _parts(value: object, known: tuple[str, ...], example: str) -> Mapping[str, object]:
    """The parts of a value that has several; those without a value count as not given."""
    found = _from_json(value)
    if not isinstance(found, Mapping):
        raise UnfitError(f"must be {example}")
    for part in found:
        if part not in known:
            import difflib

            near = difflib.get_close_matches(str(part), known, 1)
            meant = f"did you mean {near[0]}?" if near else f"known here are {', '.join(known)}"
            raise UnfitError(f"holds {shown(part)}, which is not known; {meant}")
    return {part: inner for part, inner in found.items() if inner is not None}


def _from_json(value: object) -> object:
    """A value that has parts; where only texts can be given, it is JSON."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value


ABOUT_MACS = ("min_pass", "max_error_percent", "min_percent")
"""The rules that cannot hold where nobody knows the Macs' status."""


@dataclass(frozen=True, eq=False)
class Rings:
    """Reads the rings of an app: a list of mappings, or the same as JSON in a text, which is all that `-k` can give.

    Attributes:
        kinds: what each key of a ring takes.
        taking: the keys that say when a ring takes a release from the one before it.
    """

    kinds: Mapping[str, Kind]
    taking: frozenset[str]

    def __call__(self, value: object) -> tuple[dict[str, object], ...]:
        """The rings, each with the checked values of the keys that it gives. Raises UnfitError, with all problems."""
        rows = _from_json(value)
        if not isinstance(rows, list | tuple) or not rows or not all(isinstance(row, Mapping) for row in rows):
            accepted = "must be a list of rings, such as [{name: Firefox (IT)}, {name: Firefox, after_days: 5}]"
            raise UnfitError(accepted)
        problems: list[str] = []
        found = tuple(self._ring(number, row, problems) for number, row in enumerate(rows, 1))
        named = Counter(str(ring["name"]) for ring in found if "name" in ring)
        several = "rings; each is a Custom App of its own, with a name of its own"
        problems += [f"{shown(each)} is the name of {count} {several}" for each, count in named.items() if count > 1]
        if early := sorted(found[0].keys() & self.taking):
            text = f"holds {', '.join(early)}, and there is no ring before it to take a release from; drop that"
            problems.append(f"{_ring_title(1, rows[0])} {text}")
        if problems:
            raise UnfitError("; ".join(problems), secret=True)
        return found

    def _ring(self, number: int, row: Mapping[object, object], problems: list[str]) -> dict[str, object]:
        found, title = {}, _ring_title(number, row)
        if row.get("name") is None:
            problems.append(f"{title} has no name; write the name of its Custom App")
        for key, value in row.items():
            if not isinstance(key, str) or key not in self.kinds:
                import difflib

                near = difflib.get_close_matches(str(key).lower(), self.kinds, 1)
                meant = f"did you mean {near[0]}?" if near else f"known there are {', '.join(self.kinds)}"
                problems.append(f"{title}: {str(key)[:80]!r} is not a known key of a ring; {meant}")
            elif value is not None:
                try:
                    found[key] = self.kinds[key](value)
                except UnfitError as unfit:
                    told = "" if unfit.secret else f" is {shown(value)}"
                    problems.append(f"{title}: {key}{told}: {unfit.accepted}")
        rules = [each for each in ABOUT_MACS if each in found]
        if found.get("require_status") is False and rules:
            text = f"{' and '.join(rules)} cannot hold where nobody knows the Macs' status"
            problems.append(f"{title}: require_status is false: {text}; drop it")
        return found


def _ring_title(number: int, row: Mapping[object, object]) -> str:
    said = row.get("name")
    return f"ring {number} ({shown(said)})" if isinstance(said, str) else f"ring {number}"
