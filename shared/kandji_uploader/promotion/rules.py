"""When a version moves from the test app to the prod app: pure rules over values.

What was in the test app, and since when, is what `releases` remembers.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from enum import Enum

from kandji_uploader._util import version
from kandji_uploader.models import Promotion
from kandji_uploader.publish.releases import Health, Release, above_pin, compare_known, order, taken_back
from kandji_uploader.status import summary as fleet
from kandji_uploader.status.models import StatusRecord

DAY = 86_400.0
CLOCK_TOLERANCE = 900.0
"""Seconds that the clocks of this machine, of the service and of the Macs may disagree by."""

_NOBODY_LOOKED = ("Will verify", "so there is nothing to do")


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
    order = compare_known(release.version, standing.version)
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
    ahead.sort(key=functools.cmp_to_key(order), reverse=True)
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
