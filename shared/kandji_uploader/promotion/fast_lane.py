"""The fast lane: a release that closes a vulnerability which Macs have soaks less long. Pure rules over values."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from kandji_uploader._util import version
from kandji_uploader.models import SEVERITIES, FastLane, Promotion
from kandji_uploader.status.models import AffectedSoftware, Vulnerability


@dataclass(frozen=True)
class Exposure:
    """A vulnerability of one app.

    Attributes:
        vulnerability: what the service says of it.
        highest: the highest version of the app that has it.
        macs: on how many Macs the app has it.
    """

    vulnerability: Vulnerability
    highest: str
    macs: int

    def __str__(self) -> str:
        found = self.vulnerability
        score = f"{found.score:g}" if found.score is not None else ""
        words = ", ".join(filter(None, (found.severity, score, "known to be exploited" if found.exploited else "")))
        return f"{found.cve} ({words}) on {self.macs} Mac{'' if self.macs == 1 else 's'}"

    def closed_by(self, release: str, live: str) -> bool:
        """Whether a version closes it that is open in the live one. A version that is not known does neither."""
        if not release or not live:
            return False
        return version.compare(live, self.highest) <= 0 < version.compare(release, self.highest)


def opening(found: Iterable[Vulnerability], lane: FastLane, app_name: str | None) -> list[Vulnerability]:
    """The vulnerabilities that open the lane: what seems to be about the app first, and then the worst."""
    enough = SEVERITIES.index(lane.severity) if lane.severity else len(SEVERITIES)
    wanted = [
        each for each in found if each.active and ((lane.kev and each.exploited) or _rank(each.severity) >= enough)
    ]
    return sorted(wanted, key=lambda each: (not names(each, app_name), -(each.score or 0), each.cve))


def names(found: Vulnerability, app_name: str | None) -> bool:
    """Whether a vulnerability names software that is called as an app is, or much alike."""
    own = _plain(app_name or "")
    return bool(own) and any(own in other or other in own for each in found.software if (other := _plain(each)))


def exposure(
    found: Vulnerability, affected: Iterable[AffectedSoftware], app_name: str | None, bundle_id: str | None
) -> Exposure | None:
    """What a vulnerability is to an app; None where the app does not have it.

    The bundle id tells which app is meant. The name counts only for software that has none.
    """
    mine = [each for each in affected if _is(each, app_name, bundle_id) and each.versions]
    versions = [known for each in mine for known in each.versions]
    if not versions:
        return None
    highest = max(versions, key=functools.cmp_to_key(version.compare))
    return Exposure(found, highest, sum(each.macs for each in mine))


def shortened(
    rules: Promotion, exposures: Sequence[Exposure], release: str, live: str
) -> tuple[Promotion, Exposure | None]:
    """The rules for a release, and the vulnerability that shortens its soak; None where none does.

    Args:
        rules: those of every release.
        exposures: what the app has; the worst first.
        release: the version that may move.
        live: the version that the app has that takes it.
    """
    lane = rules.fast_lane
    closed = next((each for each in exposures if each.closed_by(release, live)), None)
    if lane is None or closed is None:
        return rules, None
    days = rules.after_days if lane.after_days is None else min(rules.after_days, lane.after_days)
    return replace(rules, after_days=days), closed


def _rank(severity: str) -> int:
    return SEVERITIES.index(severity) if severity in SEVERITIES else -1


def _is(affected: AffectedSoftware, app_name: str | None, bundle_id: str | None) -> bool:
    if affected.bundle_id:
        return affected.bundle_id.lower() == (bundle_id or "").lower()
    return bool(app_name) and _plain(affected.name) == _plain(app_name or "")


def _plain(name: str) -> str:
    return name.lower().removesuffix(".app").strip()
