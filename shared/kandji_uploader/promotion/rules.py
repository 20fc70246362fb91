"""When a version moves from the test app to the prod app: pure rules over values.

What was in the test app, and since when, is what `releases` remembers.
"""

from __future__ import annotations

import functools
import hashlib
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from enum import Enum

from kandji_uploader._util import version
from kandji_uploader.models import Promotion
from kandji_uploader.promotion import fast_lane
from kandji_uploader.promotion.fast_lane import Exposure
from kandji_uploader.publish.releases import (
    Health,
    Release,
    Soak,
    Verdict,
    above_pin,
    compare_known,
    ended,
    excluded,
    order,
    taken_back,
)
from kandji_uploader.status import summary
from kandji_uploader.status.models import StatusRecord

DAY = 86_400.0
HOUR = 3_600.0
# The agent checks in every 15 minutes, so when a Mac said something is not known more exactly than that.
CLOCK_TOLERANCE = 900.0
"""Seconds that the clocks of this machine, of the service and of the Macs may disagree by."""
SOAK_TOLERANCE = HOUR
"""Seconds that a run may come before a soak of a day or more is over."""

# Lines of audit scripts that pass without a look at the version: ours and KAPPA's while the deadline is not due, ours
# on a macOS that is too old or where only updates are wanted. The service says PASS of such a Mac.
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
    HOLD = "hold"
    EXCLUDED = "excluded"
    APPROVAL = "approval"
    WAITING = "waiting"
    HALTED = "halted"
    STOPPED = "stopped"


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
        digest: of the release that it has; "" where that is not known.
        content: what its installer brings to a Mac, see `Release.content`; "" where that is not known.
        former: what identifies the installers that it had before: their sha256, and what they bring to a Mac.
        rolled_back: what was taken back from it.
        withdrawn: what was taken back from the test app; it does not move on, older ones may.
        halted: what is halted there; only a newer version moves it forward.
        stopped: what is halted in the app that releases come from; it does not move on, older ones may.
        pin: `pin_version`.
        hold: `hold`.
        exclude: `exclude_versions`.
        waits: why nothing may move now, and until when; "" where it may. See `calendar`.
        exposures: the vulnerabilities of the app for which the fast lane opens, the worst first.
        source: the app that releases come from, as texts call it.
        name: the app that takes them, likewise.
    """

    exists: bool = False
    version: str = ""
    sha256: str = ""
    digest: str = ""
    content: str = ""
    former: frozenset[str] = frozenset()
    rolled_back: Release | None = None
    withdrawn: Release | None = None
    halted: Release | None = None
    stopped: Release | None = None
    pin: str | None = None
    hold: bool = False
    exclude: tuple[str, ...] = ()
    waits: str = ""
    exposures: tuple[Exposure, ...] = ()
    source: str = "the test app"
    name: str = "the prod app"


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
    said = Counter(_evidence(record, release, since, now) for record in records)
    return Health(said[1], said[-1], said[0], now)


def each_mac(records: Iterable[StatusRecord]) -> Iterator[StatusRecord]:
    """The records without a second one of the same Mac, so that no Mac speaks for two.

    The memory is the same for any fleet (a Bloom filter): each Mac sets three of 8,388,608 bits, and of 50,000 Macs one
    is taken for another about once in 15 times.
    """
    seen = bytearray(1 << 20)
    for record in records:
        digest = hashlib.blake2b(record.mac_id.encode(), digest_size=9).digest()
        bits = [int.from_bytes(digest[at : at + 3], "big") & 0x7FFFFF for at in (0, 3, 6)]
        if not record.mac_id or not all(seen[bit >> 3] & 1 << (bit & 7) for bit in bits):
            for bit in bits:
                seen[bit >> 3] |= 1 << (bit & 7)
            yield record


def _evidence(record: StatusRecord, release: str, since: float, now: float) -> int:
    """1 for a PASS that counts, -1 for an ERROR that counts, 0 for anything else.

    A Mac that has asked for the version without effect, and waits (`summary.WAITING`), is in error here; the service
    says PASS of it.
    """
    mac = summary.read(record)
    if mac.reported_at is None or not since < mac.reported_at.timestamp() <= now + CLOCK_TOLERANCE:
        return 0
    # An ERROR counts whatever version it is about: a Mac that cannot install an update has none to tell.
    if mac.status in summary.FAILING or mac.status == summary.WAITING:
        return -1
    if mac.status not in summary.PASSING or any(said in record.last_audit_log for said in _NOBODY_LOOKED):
        return 0
    # A script that only updates passes on a Mac without the app, which says nothing of the release.
    if mac.version == summary.NOT_INSTALLED:
        return 0
    # A log without a version (an install that went well, for example): the service's word counts.
    return 0 if mac.version and release and version.compare(mac.version, release) < 0 else 1


# Deciding


def clock_problem(ahead: float | None) -> str:
    """What is wrong with this machine's clock beside the service's, if that is more than `CLOCK_TOLERANCE`.

    Args:
        ahead: seconds that it is ahead (negative: behind); None where the service does not tell its time.
    """
    if ahead is None:
        return "Kandji's answers do not tell the time (there is no Date header)"
    if abs(ahead) <= CLOCK_TOLERANCE:
        return ""
    far = abs(ahead)
    amount = (
        f"{far / DAY:.1f} days"
        if far >= DAY
        else f"{far / HOUR:.1f} hours"
        if far >= HOUR
        else f"{far / 60:.0f} minutes"
    )
    return f"this machine's clock is {amount} {'ahead of' if ahead > 0 else 'behind'} Kandji's"


def newer(release: Release, standing: Standing, *, live: bool) -> bool:
    """Whether a release would move the prod app forward.

    A release of the same version does if the test app has it now (a package that was built again, or a script that was
    changed), unless it was only packaged again. A release that the prod app had before does not, or the two would take
    turns.
    """
    # The first promotion creates the prod app: there is nothing that it could go back behind.
    if not standing.exists:
        return True
    order = compare_known(release.version, standing.version)
    packaged_again = bool(release.content) and release.content == standing.content and order == 0
    if (release.sha256 and release.sha256 == standing.sha256) or packaged_again:
        return live and bool(release.digest and standing.digest) and release.digest != standing.digest
    # A version that is not known counts as lower than any that is.
    return order > 0 or (order == 0 and live and standing.former.isdisjoint({release.sha256, release.content} - {""}))


def soaked(release: Release, rules: Promotion, now: float) -> bool:
    """Whether a release has been around for long enough (a former one: since it came, not until it was replaced).

    A nightly run does not start at the same second every night: one that is up to an hour early does not wait for
    another day. (A soak of less than a day has a twenty-fourth of it as its tolerance.)
    """
    return _over(soaked_for(release, rules, now), rules)


def _over(seconds: float, rules: Promotion) -> bool:
    soak = rules.after_days * DAY
    return not soak or seconds >= soak - min(SOAK_TOLERANCE, soak / 24)


def soaked_for(release: Release, rules: Promotion, now: float) -> float:
    """Seconds that count as soaked: since it came, or those in which the rules about its Macs held.

    A release that another one has replaced goes on if they held then: its Macs were asked right before.
    """
    soak, health = release.soak, release.health
    if not rules.sampled or (soak is None and release.until):
        return now - release.at
    if soak is None or health is None:
        return 0.0
    goes_on = bool(release.until) and soak.verdict is Verdict.HOLDS
    return soak.healthy + (now - health.at if goes_on else 0.0)


def sampled(release: Release, health: Health, rules: Promotion) -> Release:
    """A release with what its Macs say now, and with the time that counts as soaked until now.

    The time between two samples counts if the rules held at both; that the release came counts as one that held. So a
    day without a run is no day against it, and too few reports are none for it. A sample that is unhealthy begins
    anew, or stops it until they hold again (`on_unhealthy`).

    Args:
        release: with its former sample.
        health: of now.
        rules: those of the app that is to take it.
    """
    soak = release.soak or Soak()
    since = release.health.at if release.soak and release.health else release.at
    if health.at <= since:
        return release
    unfit = _unfit(replace(release, health=health), rules)
    errs = unfit is not None and unfit.kind is Kind.ERRORS
    verdict = Verdict.UNHEALTHY if errs else Verdict.UNKNOWN if unfit else Verdict.HOLDS
    healthy = soak.healthy
    if verdict is soak.verdict is Verdict.HOLDS:
        healthy += health.at - since
    elif verdict is Verdict.UNHEALTHY and rules.on_unhealthy == "restart":
        healthy = 0.0
    return replace(release, health=health, soak=Soak(healthy, verdict, _daily(soak.samples, health)))


def _daily(samples: tuple[Health, ...], health: Health) -> tuple[Health, ...]:
    """The samples with one more. Each day's last one stays; of more than fit, those closest together go."""
    last = samples[-1:]
    kept = samples[:-1] if last and health.at // DAY == last[0].at // DAY else samples
    found = [*kept, health]
    if len(found) > _KEPT_SAMPLES:
        places = range(1, len(found) - 1)
        del found[min(places, key=lambda place: found[place + 1].at - found[place - 1].at)]
    return tuple(found)


_KEPT_SAMPLES = 30


def too_many_errors(health: Health, rules: Promotion) -> str:
    """Why a release is to be halted where it is, with the figures; "" where nothing asks for that."""
    if rules.halt_percent is None or health.errors < rules.halt_min:
        return ""
    return _over_limit(health, rules.halt_percent)


def _over_limit(health: Health, limit: float) -> str:
    """How many Macs are in ERROR, if those are more than a limit, per cent of those that reported; else ""."""
    percent = 100 * health.errors / health.reported if health.reported else 0.0
    if percent <= limit:
        return ""
    # 5.04 % is over a limit of 5 %, and must not be shown as "5 %, limit 5 %".
    shown = f"{percent:.0f}" if round(percent) > limit else f"{percent:.2f}"
    return f"{health.errors} of {health.reported} Macs in ERROR ({shown} %), limit {limit:g} %"


def decide(
    live: Release | None,
    former: Sequence[Release],
    rules: Promotion,
    standing: Standing,
    now: float,
    *,
    clock_ahead: float | None,
) -> Decision:
    """The newest release that may move to the prod app, or why none does.

    Args:
        live: what the test app has, with its health as of now; None where there is nothing to promote there.
        former: what it had, each with the health from right before it was replaced.
        rules: when a release may move.
        standing: where the prod app stands.
        now: epoch seconds, by the service's clock.
        clock_ahead: see `clock_problem`.
    """
    candidates = ahead(live, former, standing)
    if not candidates:
        return Decision(Kind.CURRENT, f"{standing.source} has nothing newer than {standing.version or standing.name}")
    # Asked only here: a clock that is wrong matters where there is something to promote.
    if said := clock_problem(clock_ahead):
        return Decision(Kind.CLOCK, f"{said}; nothing is promoted until it is right")
    # An older one does not wait for a newer one that is held.
    blocked: list[Decision] = []
    for release in candidates:
        decision = judge(release, rules, standing, now)
        if decision.kind is Kind.PROMOTE:
            return decision
        blocked.append(decision)
    return replace(blocked[0], reason="; ".join(item.reason for item in blocked[:3]))


def ahead(live: Release | None, former: Sequence[Release], standing: Standing) -> list[Release]:
    """The releases of the test app that would move the prod app forward, the newest first; see `decide`."""
    # What test had before counts, too: an app with a new version every day would otherwise never have soaked.
    found = [item for item in ended(former, live.at if live else 0.0) if newer(item, standing, live=False)]
    found += [live] if live is not None and newer(live, standing, live=True) else []
    return sorted(found, key=functools.cmp_to_key(order), reverse=True)


def judge(release: Release, rules: Promotion, standing: Standing, now: float) -> Decision:
    """Whether one release may move to the prod app, or why it may not yet; see `decide`."""
    rules, closed = fast_lane.shortened(rules, standing.exposures, release.version, standing.version)
    found = _judged(release, rules, standing, now)
    return replace(found, reason=f"{found.reason}; fast lane: it closes {closed}") if closed else found


def _judged(release: Release, rules: Promotion, standing: Standing, now: float) -> Decision:
    withheld = _pinned(release, standing) or _halted(release, standing) or _unwanted(release, standing)
    if withheld is not None:
        return withheld
    # Without the digest nobody could check afterwards that prod got what soaked; without the key no request can name
    # it.
    if not release.sha256 or not release.file_key:
        return Decision(Kind.UNKNOWN, f"{release}: Kandji does not tell which file {standing.source} has")
    # Not skipped where no day is asked for: this time decides which reports of the Macs are about the release.
    if release.at > now + CLOCK_TOLERANCE:
        text = "in the future by Kandji's clock: that of the machine which published it was wrong"
        return Decision(Kind.CLOCK, f"{release} came at {_utc(release.at)}, {text}")
    unfit = _unfit(release, rules)
    if not soaked(release, rules, now):
        text = _soaking(release, rules, standing, now)
        # While days are over in which a sample did not hold, it is told what keeps them from counting.
        told = unfit is not None and rules.sampled and (unfit.kind is Kind.ERRORS or _over(now - release.at, rules))
        return replace(unfit, reason=f"{unfit.reason}; {text}") if told and unfit else _still(release, text)
    unfit = unfit or _not_yet(release, rules, standing)
    return unfit or Decision(Kind.PROMOTE, f"{release} {_stay(release, standing, now)}", release)


def _still(release: Release, text: str) -> Decision:
    return Decision(Kind.SOAKING, f"{release} {text}")


def _not_yet(release: Release, rules: Promotion, standing: Standing) -> Decision | None:
    """Why a release that is due does not move now; None where it does."""
    if rules.approve and not release.approved:
        return Decision(Kind.APPROVAL, f"{release} waits for approval (kandji-uploader approve)")
    if standing.waits:
        return Decision(Kind.WAITING, f"{release}: {standing.waits}")
    return None


def _soaking(release: Release, rules: Promotion, standing: Standing, now: float) -> str:
    """How far the soak is; rounded down, so that nothing is held for 5.0 of 5 days."""
    # The small sum is for floats, in which 4.3 days may be 4.299999999.
    days = f"{math.floor(soaked_for(release, rules, now) / DAY * 10 + 1e-6) / 10:.1f} of {rules.after_days:g} days"
    if rules.sampled and not (release.until and release.soak is None):
        ended = f" (and was there until {_utc(release.until)})" if release.until else ""
        return f"was healthy in {standing.source} for {days}{ended}"
    if release.until:
        return f"came into {standing.source} {days} ago (and was there until {_utc(release.until)})"
    return f"has been in {standing.source} for {days}"


def _stay(release: Release, standing: Standing, now: float) -> str:
    """How long a release was in the test app, and what its Macs said last.

    One that another has replaced there was live until then only, and so its figures are from then.
    """
    said, where = release.health, "test" if standing.source == "the test app" else standing.source
    if not release.until:
        figures = f", {said}" if said is not None else ""
        return f"has been in {where} for {max(now - release.at, 0) / DAY:.1f} days{figures}"
    lasted = release.until - release.at
    long = f"{lasted / DAY:.1f} days" if lasted >= DAY else f"{lasted / HOUR:.1f} hours"
    figures = f"; its Macs when it was replaced: {said}" if said is not None else ""
    return f"was live in {where} for {long}, from {_utc(release.at)} to {_utc(release.until)}{figures}"


def _utc(moment: float) -> str:
    return datetime.fromtimestamp(moment, timezone.utc).strftime("%Y-%m-%d %H:%M UTC")


def _pinned(release: Release, standing: Standing) -> Decision | None:
    # A pin fails closed: a version that is not known may be above it.
    if standing.pin is not None and not release.version:
        text = f"pin_version is {standing.pin}, and the version in {standing.source} is not known"
        return Decision(Kind.PINNED, text)
    if above_pin(release.version, standing.pin):
        return Decision(Kind.PINNED, f"{release} is above pin_version {standing.pin}")
    if taken_back(release.version, release.sha256, standing.rolled_back):
        text = f"{release}: version {standing.rolled_back} was rolled back, and nothing newer has come"
        return Decision(Kind.ROLLED_BACK, text)
    if standing.withdrawn is not None and standing.withdrawn.is_also(release):
        return Decision(Kind.ROLLED_BACK, f"{release} was rolled back in {standing.source}")
    return None


def _unwanted(release: Release, standing: Standing) -> Decision | None:
    if standing.exclude and not release.version:
        return Decision(Kind.EXCLUDED, "exclude_versions is set, and the version in the test app is not known")
    if pattern := excluded(release.version, standing.exclude):
        return Decision(Kind.EXCLUDED, f"{release} is excluded (exclude_versions: {pattern})")
    return Decision(Kind.HOLD, f"{release}: hold is set") if standing.hold else None


def _halted(release: Release, standing: Standing) -> Decision | None:
    if standing.halted is not None and taken_back(release.version, release.sha256, standing.halted):
        return Decision(Kind.HALTED, f"{release}: version {standing.halted} is halted in {standing.name}")
    if standing.stopped is not None and standing.stopped.is_also(release):
        return Decision(Kind.STOPPED, f"{release} is halted in {standing.source}")
    if release.halted:
        return Decision(Kind.STOPPED, f"{release} was halted in {standing.source}, and a newer one came")
    return None


def _unfit(release: Release, rules: Promotion) -> Decision | None:
    """Why the Macs' status does not let a release pass; None where it does.

    It fails closed: a limit of errors says nothing of a release whose Macs could not be asked, or have not reported.
    """
    # As in progressive delivery (Argo Rollouts, Flagger), where missing metrics halt a rollout.
    if not rules.asks_macs:
        return None
    health = release.health
    if health is None or not health.reported:
        why = "the status of its Macs is not known" if health is None else "no Mac has reported on it yet"
        return Decision(Kind.STATUS, f"{release}: {why}")
    if rules.max_error_percent is not None and (text := _over_limit(health, rules.max_error_percent)):
        return Decision(Kind.ERRORS, f"{release}: {text}")
    macs = health.reported + health.pending
    if rules.min_percent is not None and 100 * health.reported / macs < rules.min_percent:
        shown = f"{health.reported} of {macs} Macs have reported ({math.floor(100 * health.reported / macs)} %)"
        return Decision(Kind.FEW, f"{release}: {shown}, {rules.min_percent:g} % are needed")
    if rules.min_pass is not None and health.passed < rules.min_pass:
        return Decision(Kind.FEW, f"{release}: {health.passed} of {macs} Macs PASS, {rules.min_pass} are needed")
    return None
