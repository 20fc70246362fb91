"""From the status of a Library Item on each Mac to figures: outcomes, versions, reasons, ages.

The records are read once, one at a time, and memory does not grow with the fleet: counts (of a bounded number of
different words), and a bounded number of single Macs.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta, timezone
from functools import lru_cache

from kandji_uploader.status.models import MacState, StatusFigures, StatusRecord

AGES = {
    "within a day": timedelta(days=1),
    "within a week": timedelta(days=7),
    "within 30 days": timedelta(days=30),
    "more than 30 days ago": timedelta.max,
    "never": None,
}
"""How long ago a Mac last reported, each with its upper limit."""
_AGES, _LIMITS = tuple(AGES), [limit for limit in AGES.values() if limit is not None]

LISTED = 1000
"""Single Macs that are kept, by default."""

NOT_INSTALLED = "not installed"
OTHERS = "(others)"
NO_REASON = "(the log gives no reason)"
FAILING = frozenset({"ERROR", "FAIL", "FAILED", "FAILURE"})
PASSING = frozenset({"PASS", "PASSED", "REMEDIATED", "SUCCESS"})
WAITING = "WAITING"
"""The status of a Mac whose audit passes only because it asked for the version without effect and waits now.

The agent knows but two answers of an audit script, install or pass, so the service says PASS of it.
"""

_WORDS = 500  # Different versions, reasons or Blueprints that are told apart; a log can hold anything.
_LOGS = 64  # Different logs that are remembered; one may be 20 KB and more.
_LONGEST_LOG = 20_000
_LONGEST_LINE = 400
_LONGEST_WORD = 160

_ISO = re.compile(r"(\.\d{1,6})\d*|[zZ]$")

# The lines of the audit script (docs/audit-script.md), ours and the one of KAPPA and kpkg.
_VERSION = re.compile(r"Installed version '([^'\n]{1,100})' (?:less than|greater than or equal to)")
_WAITS = re.compile(r"Waiting until .+: version '.*' was asked for [0-9]+ times, and '.*' still lacks it")
_ABSENT = re.compile(r"' not found\b")
_TELLING = re.compile(
    r"error|fail|denied|not found|no such|cannot|can't|could not|couldn't|unable|invalid|timed? ?out|refused|"
    r"not enough|exit code:? [1-9]|exited with non-zero",
    re.IGNORECASE,
)
_GENERIC = re.compile(r"exited with non-zero|exit code|triggering install", re.IGNORECASE)
# What differs from Mac to Mac in one and the same message.
_PARTICULAR = (
    (re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?(\.\d+)?( ?(Z|[+-]\d\d:?\d\d|[A-Z]{2,5})\b)?"), "(time)"),
    (re.compile(r"\d\d/\d\d/\d{4}(,? (at )?\d{1,2}:\d\d(:\d\d)?( [AP]M)?)?"), "(time)"),
    (re.compile(r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", re.IGNORECASE), "(id)"),
    (re.compile(r"\b(?=[0-9a-f]*\d)[0-9a-f]{12,}\b", re.IGNORECASE), "(id)"),
    (re.compile(r"/Users/[^/\s]+"), "/Users/(user)"),
    (re.compile(r"/var/folders/\S+"), "/var/folders/(temporary)"),
    (re.compile(r"\b\d{5,}\b"), "(number)"),
)


def summarise(statuses: Iterable[StatusRecord], now: datetime, listed: int = LISTED) -> StatusFigures:
    """Figures of one Library Item, in one pass and bounded memory.

    Args:
        statuses: one record per Mac.
        now: the present, with a time zone; a report from the future (clocks disagree) counts as fresh.
        listed: how many single Macs are kept; failing ones come first, passing ones last.
    """
    tally = _Tally(listed)
    for record in statuses:
        tally.add(read(record), now)
    return tally.figures()


class _Tally:
    """The counts while the records pass by."""

    def __init__(self, listed: int) -> None:
        self._listed = listed
        self._macs = 0
        self._statuses: Counter[str] = Counter()
        self._versions: Counter[str] = Counter()
        self._blueprints: Counter[str] = Counter()
        self._reasons: Counter[str] = Counter()
        self._ages: Counter[str] = Counter()
        self._newest: datetime | None = None
        self._oldest: datetime | None = None
        self._kept: tuple[list[MacState], ...] = ([], [], [])

    def add(self, mac: MacState, now: datetime) -> None:
        self._macs += 1
        _count(self._statuses, mac.status)
        _count(self._versions, mac.version)
        _count(self._blueprints, mac.blueprint)
        _count(self._reasons, mac.reason)
        reported = mac.reported_at
        self._ages[_age(reported, now)] += 1
        if reported is not None:
            if self._newest is None or reported > self._newest:
                self._newest = reported
            if self._oldest is None or reported < self._oldest:
                self._oldest = reported
        place = self._kept[0 if mac.status in FAILING else 2 if mac.status in PASSING else 1]
        if len(place) < self._listed:
            place.append(mac)

    def figures(self) -> StatusFigures:
        shown = tuple(mac for place in self._kept for mac in place)[: self._listed]
        return StatusFigures(
            macs=self._macs,
            statuses=_ordered(self._statuses),
            versions=_ordered(self._versions),
            blueprints=_ordered(self._blueprints),
            reasons=_ordered(self._reasons),
            ages={age: self._ages[age] for age in AGES},
            newest_report=self._newest,
            oldest_report=self._oldest,
            listed=shown,
            unlisted=self._macs - len(shown),
        )


def _count(counter: Counter[str], word: str) -> None:
    if word:
        counter[word if word in counter or len(counter) < _WORDS else OTHERS] += 1


def _ordered(counter: Counter[str]) -> Mapping[str, int]:
    """The highest count first, equal ones by name, so that two runs read the same."""
    return dict(sorted(counter.items(), key=lambda item: (-item[1], item[0])))


def _age(reported: datetime | None, now: datetime) -> str:
    if reported is None:
        return "never"
    return _AGES[bisect_left(_LIMITS, now - reported)]


def read(record: StatusRecord) -> MacState:
    """What one record says: its status in capitals, the version that its log tells, when it last reported, and why."""
    status = _status(record.status)
    waits = status in PASSING and _waits(record.last_audit_log)
    return MacState(
        name=record.mac_name,
        mac_id=record.mac_id,
        blueprint=record.blueprint[:_LONGEST_WORD],
        status=WAITING if waits else status,
        version=_installed(record.last_audit_log) or _installed(record.log),
        reported_at=_last_heard(record.reported_at, record.last_audit_run),
        reason=_particular(waits) if waits else _reason(record) if status in FAILING else "",
    )


@lru_cache(_WORDS)
def _status(word: str) -> str:
    return " ".join(word.upper().split())[:_LONGEST_WORD] or "(no status)"


def _last_heard(reported: str, audited: str) -> datetime | None:
    """The later one of two times, which for most Macs are the same."""
    one = moment(reported)
    other = one if audited == reported else moment(audited)
    return one if other is None or (one is not None and one >= other) else other


# Most Macs of an app write the very same log, so it is read once.
@lru_cache(_LOGS)
def _waits(log: str) -> str:
    """The last line of an audit's log if it says that the script asked without effect and waits; "" otherwise."""
    last = _lines(log)[-1:]
    return last[0] if last and _WAITS.search(last[0]) else ""


def moment(text: str) -> datetime | None:
    """A time as the service writes it; None where it is none. One without a zone is UTC."""
    if not text:
        return None
    try:
        found = datetime.fromisoformat(_ISO.sub(_iso_part, text.strip()))
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=timezone.utc)


def _iso_part(found: re.Match[str]) -> str:
    # Python 3.10 reads fractions of 3 or 6 digits only, and no Z.
    return "+00:00" if found[1] is None else f"{found[1]:0<7}"


@lru_cache(_LOGS)
def _installed(log: str) -> str:
    """The version that an audit log tells; the last line that tells one counts."""
    tail = log[-_LONGEST_LOG:]
    found = _VERSION.findall(tail)
    if found:
        return str(found[-1])
    return NOT_INSTALLED if _ABSENT.search(tail) else ""


def _reason(record: StatusRecord) -> str:
    """The line that tells best why it failed, without the parts that differ from Mac to Mac.

    The install's log before the audit's, the last line before earlier ones, a message before an exit code.
    """
    logs = [_lines(log) for log in (record.log, record.last_audit_log)]
    telling = [line for lines in logs for line in reversed(lines) if _TELLING.search(line)]
    best = [line for line in telling if not _GENERIC.search(line)] or telling or [lines[-1] for lines in logs if lines]
    return _particular(best[0] if best else NO_REASON)


def _particular(reason: str) -> str:
    """A reason without the parts that differ from Mac to Mac, so that equal reasons can be counted."""
    for pattern, word in _PARTICULAR:
        reason = pattern.sub(word, reason)
    return reason.removeprefix("(time)").lstrip(" :-")[:_LONGEST_WORD] or NO_REASON


def _lines(log: str) -> list[str]:
    found = (" ".join(line[:_LONGEST_LINE].split()).lstrip("•*- ") for line in log[-_LONGEST_LOG:].splitlines())
    return [line for line in found if line]
