"""When a version moves from the test app to the prod app: pure rules over values.

A release is one installer as a Custom App holds it, or once did. What an app held is remembered in the state folder and
in comment lines (notes) of its audit script, so that a machine that forgets everything after a run knows it, too:

- `current`: what this tool put there, and when; the file key of what is there is the app's own
- `former`: what was there before. Of the test app these are candidates: a release that a newer one has replaced there
  still counts, with the health that its Macs reported last
- `rolled_back`: what an admin took back; neither it nor anything older is published again

The notes are written only together with a new installer, so that a nightly run without news writes nothing.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from enum import Enum
from typing import Any

from kandji_uploader import fleet, version
from kandji_uploader.models import InstallType, Promotion, StatusRecord

DAY = 86_400.0
KEPT_CANDIDATES = 20
KEPT_FORMER = 5
CLOCK_TOLERANCE = 900.0
"""Seconds that the clocks of this machine, of the service and of the Macs may disagree by."""

_NOBODY_LOOKED = ("Will verify", "so there is nothing to do")
_LATEST = 1e11


@dataclass(frozen=True)
class Health:
    """What the Macs of the test app said of one release.

    Attributes:
        passed: Macs that have it (or a later version) and said so after it came.
        errors: Macs that failed since.
        pending: Macs that have said nothing since, or nothing that tells.
        at: when they were asked, epoch seconds.
    """

    passed: int = 0
    errors: int = 0
    pending: int = 0
    at: float = 0.0

    @property
    def reported(self) -> int:
        """Macs whose report tells something."""
        return self.passed + self.errors

    def __str__(self) -> str:
        return f"{self.passed} of {self.reported + self.pending} Macs PASS, {self.errors} in ERROR"


@dataclass(frozen=True)
class Release:
    """One installer as a Custom App holds it, or once did.

    Attributes:
        version: what is enforced or published; "" where it is not known.
        sha256: hex digest of the installer; "" where it is not known.
        at: since when the app has (or had) it, epoch seconds.
        file_key: its key in the store; "" where it is not known.
        install_type: what kind of file it is.
        app_name: what its audit script looks for, and so the following; None where there is no such thing.
        bundle_id: see `AppFacts`.
        package_id: see `AppFacts`.
        version_key: see `AppFacts`.
        health: what the Macs said of it; None where they were not asked.
    """

    version: str
    sha256: str
    at: float
    file_key: str = ""
    install_type: InstallType = InstallType.PACKAGE
    app_name: str | None = None
    bundle_id: str | None = None
    package_id: str | None = None
    version_key: str | None = None
    health: Health | None = None

    @property
    def mark(self) -> str:
        """What tells it from others: its bytes, else its place in the store."""
        return self.sha256 or self.file_key

    def held_by(self, sha256: str | None, file_key: str) -> bool:
        """Whether an app with that installer still has this release; what neither side tells is taken on trust.

        (The answer to every update is held against the sha256 that was meant, so that trust can do no harm.)
        """
        if sha256 and self.sha256:
            return sha256 == self.sha256
        return not self.file_key or file_key == self.file_key

    @property
    def identified(self) -> bool:
        """Whether an audit script could look for it."""
        return bool(self.app_name or self.bundle_id or self.package_id)

    def __str__(self) -> str:
        return self.version or "of unknown version"


@dataclass(frozen=True)
class Ledger:
    """What is remembered of the releases of one Custom App.

    Attributes:
        current: what this tool put there last; None where it does not know.
        former: what was there before, the oldest first.
        rolled_back: what was taken back; None where nothing was since a newer release came.
    """

    current: Release | None = None
    former: tuple[Release, ...] = ()
    rolled_back: Release | None = None


class Kind(str, Enum):
    """What became of the question whether a release moves on."""

    NO_TEST = "no test app"
    PROMOTE = "promote"
    CURRENT = "current"
    PINNED = "pinned"
    ROLLED_BACK = "rolled back"
    UNKNOWN = "unknown"
    CLOCK = "clock"
    SOAKING = "soaking"
    STATUS = "status"
    FEW = "few"
    ERRORS = "errors"


@dataclass(frozen=True)
class Decision:
    """Whether a release moves to the prod app.

    Attributes:
        kind: PROMOTE, CURRENT (there is nothing newer), or why the newest one is held.
        reason: for people, with the figures.
        release: the one to promote; None where it is none.
    """

    kind: Kind
    reason: str
    release: Release | None = None


@dataclass(frozen=True)
class Standing:
    """Where the prod app stands.

    Attributes:
        exists: whether there is one.
        version: what it has; "" where that is not known.
        sha256: of its installer; "" where that is not known.
        former: sha256 of what it had before.
        rolled_back: what was taken back from it.
        withdrawn: what was taken back from the test app; it does not move on, older ones may.
        pin: `pin_version`.
    """

    exists: bool = False
    version: str = ""
    sha256: str = ""
    former: frozenset[str] = frozenset()
    rolled_back: Release | None = None
    withdrawn: Release | None = None
    pin: str | None = None


# What the Macs say


def weigh(records: Iterable[StatusRecord], release: str, since: float, now: float) -> Health:
    """What the Macs say of a release, in one pass and constant memory.

    Only what was said after the release came counts, and not what was said in the future: a Mac whose clock is wrong
    would stand for every version. An audit that says that its deadline is not due yet, or that the Mac's macOS is too
    old, is no PASS: nobody looked.

    Args:
        records: the status of the test app's Library Item on each Mac.
        release: its version; "" where it is not known.
        since: when it came, epoch seconds.
        now: epoch seconds.
    """
    passed = errors = pending = 0
    for record in records:
        said = _evidence(record, release, since, now)
        passed += said > 0
        errors += said < 0
        pending += said == 0
    return Health(passed, errors, pending, now)


def _evidence(record: StatusRecord, release: str, since: float, now: float) -> int:
    """1 for a PASS that counts, -1 for an ERROR that counts, 0 for anything else."""
    mac = fleet.read(record)
    if mac.reported_at is None or not since < mac.reported_at.timestamp() <= now + CLOCK_TOLERANCE:
        return 0
    if mac.status in fleet.FAILING:
        return -1
    if mac.status not in fleet.PASSING or any(said in record.last_audit_log for said in _NOBODY_LOOKED):
        return 0
    if mac.version == fleet.NOT_INSTALLED:
        return 0
    return 0 if mac.version and release and version.compare(mac.version, release) < 0 else 1


# Deciding


def asks_macs(rules: Promotion) -> bool:
    """Whether the rules look at the status of the Macs at all."""
    return rules.require_status or rules.min_pass is not None or rules.max_error_percent is not None


def newer(release: Release, standing: Standing, *, live: bool) -> bool:
    """Whether a release would move the prod app forward.

    One of the same version does if it is what the test app has now (a package that was built anew); one that the prod
    app had before does not, or the two would take turns.
    """
    if not standing.exists:
        return True
    if release.sha256 and release.sha256 == standing.sha256:
        return False
    order = _compare(release.version, standing.version)
    return order > 0 or (order == 0 and live and release.sha256 not in standing.former)


def soaked(release: Release, rules: Promotion, now: float) -> bool:
    """Whether a release has been around for long enough (a former one: since it came, not until it was replaced)."""
    return now - release.at >= rules.after_days * DAY


def decide(
    live: Release | None,
    former: Sequence[Release],
    rules: Promotion,
    standing: Standing,
    now: float,
    *,
    at_once: bool = False,
) -> Decision:
    """The newest release that may move to the prod app, or why none does.

    Args:
        live: what the test app has, with its health as of now; None where there is nothing to promote there.
        former: what it had, each with the health from right before it was replaced.
        rules: when a release may move.
        standing: where the prod app stands.
        now: epoch seconds.
        at_once: do not wait for `after_days`.
    """
    ahead = [item for item in former if newer(item, standing, live=False)]
    ahead += [live] if live is not None and newer(live, standing, live=True) else []
    ahead.sort(key=functools.cmp_to_key(_order), reverse=True)
    if not ahead:
        return Decision(Kind.CURRENT, f"the test app has nothing newer than {standing.version or 'the prod app'}")
    held: list[Decision] = []
    for release in ahead:
        decision = _judge(release, rules, standing, now, at_once=at_once)
        if decision.kind is Kind.PROMOTE:
            return decision
        held.append(decision)
    return replace(held[0], reason="; ".join(item.reason for item in held[:3]))


def _judge(release: Release, rules: Promotion, standing: Standing, now: float, *, at_once: bool) -> Decision:
    pinned = _pinned(release, standing)
    if pinned is not None:
        return pinned
    if not release.sha256 or not release.file_key:
        return Decision(Kind.UNKNOWN, f"{release}: Kandji does not tell which file the test app has")
    days = (now - release.at) / DAY
    if release.at > now + CLOCK_TOLERANCE:
        when = datetime.fromtimestamp(release.at, timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
        return Decision(Kind.CLOCK, f"{release} came at {when}, in the future by this machine's clock; correct it")
    if not at_once and not soaked(release, rules, now):
        return Decision(Kind.SOAKING, f"{release} has been in the test app for {days:.1f} of {rules.after_days:g} days")
    unfit = _unfit(release, rules)
    if unfit is not None:
        return unfit
    figures = f", {release.health}" if release.health is not None else ""
    return Decision(Kind.PROMOTE, f"{release} has been in test for {max(days, 0):.1f} days{figures}", release)


def _pinned(release: Release, standing: Standing) -> Decision | None:
    if standing.pin is not None and not release.version:
        return Decision(Kind.PINNED, f"pin_version is {standing.pin}, and the version in the test app is not known")
    if above_pin(release.version, standing.pin):
        return Decision(Kind.PINNED, f"{release} is above pin_version {standing.pin}")
    if taken_back(release.version, release.sha256, standing.rolled_back):
        text = f"{release}: version {standing.rolled_back} was rolled back, and nothing newer has come"
        return Decision(Kind.ROLLED_BACK, text)
    if standing.withdrawn is not None and standing.withdrawn.mark == release.mark:
        return Decision(Kind.ROLLED_BACK, f"{release} was rolled back in the test app")
    return None


def _unfit(release: Release, rules: Promotion) -> Decision | None:
    """Why the Macs' status does not let a release pass; None where it does."""
    health = release.health
    if health is None or (rules.require_status and not health.reported):
        if not rules.require_status:
            return None
        why = "the status of its Macs is not known" if health is None else "no Mac has reported on it yet"
        return Decision(Kind.STATUS, f"{release}: {why}")
    if rules.max_error_percent is not None and health.errors:
        percent = 100 * health.errors / health.reported
        if percent > rules.max_error_percent:
            limit = rules.max_error_percent
            shown = f"{percent:.0f}" if round(percent) > limit else f"{percent:.2f}"
            text = f"{health.errors} of {health.reported} Macs in ERROR ({shown} %), limit {limit:g} %"
            return Decision(Kind.ERRORS, f"{release}: {text}")
    if rules.min_pass is not None and health.passed < rules.min_pass:
        macs = health.reported + health.pending
        return Decision(Kind.FEW, f"{release}: {health.passed} of {macs} Macs PASS, {rules.min_pass} are needed")
    return None


def above_pin(release: str, pin: str | None) -> bool:
    """Whether a version is above `pin_version`."""
    return bool(pin) and bool(release) and version.compare(release, pin or "") > 0


def taken_back(release: str, sha256: str, rolled_back: Release | None) -> bool:
    """Whether a release is one that was rolled back, or older than it; only a newer version lifts that."""
    if rolled_back is None:
        return False
    if sha256 and sha256 == rolled_back.sha256:
        return True
    return bool(release and rolled_back.version) and version.compare(release, rolled_back.version) <= 0


def _compare(one: str, other: str) -> int:
    """Compare two versions; one that is not known is lower than any that is."""
    if not one or not other:
        return bool(one) - bool(other)
    return version.compare(one, other)


def highest_version(versions: Iterable[str]) -> str:
    """The highest of the versions that are known; "" where none is."""
    return max(versions, key=functools.cmp_to_key(_compare), default="")


def _order(one: Release, other: Release) -> int:
    return _compare(one.version, other.version) or (one.at > other.at) - (one.at < other.at)


# What is remembered


def merge(script: Ledger, state: Ledger, *, stale: bool = False) -> Ledger:
    """One ledger from what the audit script says and what this machine remembers; the script is the newer of the two.

    Of a release that both know, the earlier time and the later health count. What this machine takes for the current
    one is a former one where the script names another, or where it is known to be `stale`.
    """
    known: dict[str, Release] = {}
    stray = (state.current,) if state.current is not None and (stale or script.current is not None) else ()
    for release in (*script.former, *state.former, *stray):
        other = known.get(release.mark)
        known[release.mark] = release if other is None else _both(other, release)
    current = script.current or (None if stale else state.current)
    if current is not None and current.mark in known:
        there = known.pop(current.mark)
        current = current if current.file_key else replace(current, file_key=there.file_key)
    former = sorted((item for item in known.values() if item.file_key), key=lambda item: item.at)
    return Ledger(current, tuple(former), _highest(script.rolled_back, state.rolled_back))


def _highest(*marks: Release | None) -> Release | None:
    known = [mark for mark in marks if mark is not None]
    return max(known, key=functools.cmp_to_key(_order)) if known else None


def former_release(live: Release, ledger: Ledger, to: str | None) -> Release | None:
    """The release to go back to: that version, or by default what was there last and is not higher; None for none."""
    former = [item for item in ledger.former if item.mark != live.mark and item.file_key != live.file_key]
    if to is not None:
        fitting = [item for item in former if item.version and version.compare(item.version, to) == 0]
    else:
        given_up = ledger.rolled_back.mark if ledger.rolled_back else ""
        fitting = [item for item in former if item.mark != given_up and _compare(item.version, live.version) <= 0]
    return max(fitting, key=lambda item: item.at, default=None)


def taken(ledger: Ledger, live: Release, back_to: Release) -> Ledger:
    """The ledger once an admin has put `back_to` in the place of `live`: what was given up is marked.

    The other way round, forward to what was once given up, lifts the mark.
    """
    after = replaced(ledger, live, back_to, keep=KEPT_CANDIDATES)
    given_up = live if _compare(back_to.version, live.version) <= 0 else None
    before = ledger.rolled_back
    if before is not None and _compare(before.version, back_to.version) <= 0:
        before = None
    return replace(after, rolled_back=_highest(before, given_up))


def _both(one: Release, other: Release) -> Release:
    healths = [item.health for item in (one, other) if item.health is not None]
    health = max(healths, key=lambda item: item.at) if healths else None
    return replace(one, at=min(one.at, other.at), file_key=one.file_key or other.file_key, health=health)


def replaced(ledger: Ledger, live: Release | None, coming: Release, *, keep: int, above: str = "") -> Ledger:
    """The ledger once `coming` has taken the place of `live`; the new release lifts a mark that it is newer than.

    Args:
        ledger: what is remembered.
        live: what the app has now; None for an app that is created.
        coming: what it is to have.
        keep: how many former releases are kept.
        above: forget former ones that are not above this version ("" forgets none).
    """
    former = {item.mark: item for item in ledger.former}
    if live is not None and live.file_key:
        former[live.mark] = live
    former.pop(coming.mark, None)
    kept = [item for item in former.values() if not above or not item.version or _compare(item.version, above) > 0]
    mark = ledger.rolled_back if taken_back(coming.version, coming.sha256, ledger.rolled_back) else None
    return Ledger(coming, _thinned(kept, keep), mark)


def _thinned(releases: Iterable[Release], keep: int) -> tuple[Release, ...]:
    """At most `keep` of them, the oldest first.

    The oldest is the next to have soaked and the newest is the one that is wanted, so those between go, where they lie
    closest: however often the test app is updated, one of them is always about to have soaked.
    """
    left = sorted(releases, key=lambda item: item.at)
    while len(left) > max(keep, 2):
        gaps = [(left[place + 1].at - left[place - 1].at, place) for place in range(1, len(left) - 1)]
        del left[min(gaps)[1]]
    return tuple(left)


# As notes: one line of JSON each

_SHORT = {
    "v": "version",
    "s": "sha256",
    "t": "at",
    "k": "file_key",
    "i": "install_type",
    "a": "app_name",
    "b": "bundle_id",
    "p": "package_id",
    "y": "version_key",
}


def to_notes(ledger: Ledger) -> dict[str, str]:
    """A ledger as the notes of an audit script, or of the state folder."""
    notes = {}
    if ledger.current is not None:
        notes["current"] = _json(_row(ledger.current))
    if ledger.former:
        notes["former"] = _json([_row(item) for item in ledger.former])
    if ledger.rolled_back is not None:
        notes["rolled_back"] = _json(_row(ledger.rolled_back))
    return notes


def with_key(notes: Mapping[str, str], file_key: str) -> dict[str, str]:
    """The notes for the state folder: the key of the current release is known once it is there."""
    known = from_notes(notes)
    return to_notes(replace(known, current=known.current and replace(known.current, file_key=file_key)))


def from_notes(notes: Mapping[str, str]) -> Ledger:
    """What the notes say; what cannot be read is passed over, as if nobody had written it."""
    former = _parsed(notes.get("former", ""))
    rows = [_release(row) for row in former] if isinstance(former, list) else []
    return Ledger(
        current=_release(_parsed(notes.get("current", ""))),
        former=tuple(item for item in rows if item is not None),
        rolled_back=_release(_parsed(notes.get("rolled_back", ""))),
    )


def _row(release: Release) -> dict[str, Any]:
    row: dict[str, Any] = {short: getattr(release, name) for short, name in _SHORT.items()}
    row["t"] = int(release.at)
    row["i"] = release.install_type.value
    if release.health is not None:
        health = release.health
        row["h"] = [health.passed, health.errors, health.pending, int(health.at)]
    return {short: value for short, value in row.items() if value not in (None, "")}


def _release(row: object) -> Release | None:
    if not isinstance(row, dict):
        return None
    fields = {name: row[short] for short, name in _SHORT.items() if short in row and short not in "ti"}
    if not all(isinstance(value, str) for value in fields.values()):
        return None
    try:
        kind = InstallType(row.get("i", InstallType.PACKAGE))
        health = _health(row.get("h"))
        if not 0 <= row["t"] <= _LATEST:
            return None
        fields["at"] = float(row["t"])
        return Release(**{"version": "", "sha256": "", **fields}, install_type=kind, health=health)
    except (KeyError, TypeError, ValueError, OverflowError):
        return None


def _health(figures: object) -> Health | None:
    if figures is None:
        return None
    if not isinstance(figures, list) or not all(isinstance(item, int) and item >= 0 for item in figures):
        raise TypeError("a list of counts was expected")
    return Health(*figures)


def _parsed(text: str) -> object:
    try:
        return json.loads(text) if text else None
    except (ValueError, RecursionError):
        return None


def _json(data: object) -> str:
    return json.dumps(data, separators=(",", ":"))
