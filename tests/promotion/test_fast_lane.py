"""A release that closes a vulnerability which Macs have soaks less long, and its deadline is sooner."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kandji_uploader.audit import script as audit
from kandji_uploader.models import Action, FastLane, Outcome, Promotion
from kandji_uploader.promotion import fast_lane
from kandji_uploader.promotion.fast_lane import Exposure
from kandji_uploader.rehearsal import RehearsalTenant
from kandji_uploader.settings import parts
from kandji_uploader.settings.coercion import UnfitError
from kandji_uploader.status.models import AffectedSoftware, Vulnerability
from tests.promotion.world import PROD, World

LANE = {"severity": "critical", "kev": True, "after_days": 1, "deadline_days": 1}
SAID = "fast lane: it closes CVE-2026-1 (critical, 9.8, known to be exploited) on 37 Macs"


def firefox(**versions: int) -> dict[str, Any]:
    return {"name": "Firefox", "bundle_id": "org.mozilla.firefox", "versions": {k[1:]: n for k, n in versions.items()}}


def cve(number: int = 1, *affected: dict[str, Any], **fields: Any) -> dict[str, Any]:
    given = {"severity": "Critical", "cvss_score": 9.8, "kev_score": 1, **fields}
    return {"cve_id": f"CVE-2026-{number}", **given, "affected": affected or (firefox(v1=30, v0=7),)}


def listed(tenant: RehearsalTenant, which: str = "") -> list[str]:
    return [str(each) for each in tenant.requests if "vulnerability-management" in each.path and which in each.path]


@pytest.fixture
def exposed(world: World) -> World:
    """Version 1 is in production and 2 comes into the test app; 5 days of soak, or 1 in the fast lane."""
    world.keys = {"promotion": {"after_days": 5, "fast_lane": LANE}}
    world.publish("1")
    world.wait(5)
    world.publish("1")
    world.publish("2")
    world.tenant.set_vulnerabilities([cve()])
    world.tenant.reset_requests()
    return world


def after_a_day(world: World, days: float = 1.0) -> Outcome:
    world.wait(days)
    return world.prod(world.publish("2"))


def test_a_release_that_closes_a_vulnerability_moves_after_the_short_soak_and_says_which(exposed: World) -> None:
    soaks = after_a_day(exposed, 0.5)
    assert soaks.reason == f"2 has been in the test app for 0.5 of 1 days; {SAID}"
    moved = after_a_day(exposed, 0.5)
    assert (moved.action, moved.reason) == (Action.PROMOTE, f"2 has been in test for 1.0 days; {SAID}")
    reading = audit.read(exposed.tenant.app(PROD)["audit_script"])
    assert (reading.version, reading.days, reading.created_at) == ("2", 1, int(exposed.now.timestamp()))
    assert exposed.prod(exposed.publish("2")).action is Action.UNCHANGED


@pytest.mark.parametrize(("days", "stays"), [(30, False), (1.5, True)])
def test_a_later_deadline_gives_way_and_a_sooner_one_stays(exposed: World, days: float, stays: bool) -> None:
    deadline = exposed.now + timedelta(days=days)
    exposed.keys["enforcement_deadline"] = deadline.isoformat()
    exposed.publish("2")
    assert after_a_day(exposed).action is Action.PROMOTE
    reading = audit.read(exposed.tenant.app(PROD)["audit_script"])
    expected = (int(deadline.timestamp()), 0) if stays else (int(exposed.now.timestamp()), 1)
    assert (reading.created_at, reading.days) == expected


OPENS_NO_LANE = {
    "not so severe": cve(kev_score=0, severity="High"),
    "closed": cve(status="Remediated"),
    "not closed by the candidate": cve(1, firefox(v2=1, v1=30)),
    "not live": cve(1, firefox(v0=3)),
    "of another app of that name": cve(
        1, {"name": "Firefox", "bundle_id": "org.mozilla.nightly", "versions": {"1": 4}}
    ),
    "of another app": cve(1, {"name": "Other", "bundle_id": "com.example.other", "versions": {"1": 4}}),
}


def test_what_the_candidate_does_not_close_in_production_opens_no_lane(exposed: World) -> None:
    told = {}
    exposed.wait(1)
    for why, found in OPENS_NO_LANE.items():
        exposed.tenant.set_vulnerabilities([found])
        told[why] = exposed.prod(exposed.publish("2")).reason
    assert told == dict.fromkeys(OPENS_NO_LANE, "2 has been in the test app for 1.0 of 5 days")


def test_one_that_is_exploited_opens_the_lane_whatever_its_severity_and_the_worst_is_told(exposed: World) -> None:
    exposed.tenant.set_vulnerabilities(
        [
            cve(7, severity="Low", cvss_score=3.2),
            cve(8, firefox(v2=1)),
            cve(9, {"name": "Firefox", "bundle_id": None, "versions": {"1": 1}}, severity="Medium", cvss_score=6),
        ]
    )
    assert "it closes CVE-2026-9 (medium, 6, known to be exploited) on 1 Mac" in after_a_day(exposed).reason


def test_the_list_is_read_in_pages_and_once_for_all_apps_and_runs_of_a_process(exposed: World) -> None:
    other = {"name": "Other", "bundle_id": "com.example.other", "versions": {"1": 1}}
    exposed.tenant.set_vulnerabilities([*(cve(number, other) for number in range(100, 220)), cve()])
    # As in the documentation's example, a row of the list of software may be none.
    odd = {"cve_id": "CVE-2018-25032", "severity": "High", "software": ["macOS 12 Monterey"], "status": "Active"}
    exposed.tenant._state.vulnerabilities()[-1]["affected"].insert(0, odd)
    assert SAID in after_a_day(exposed).reason
    assert len(listed(exposed.tenant)) == 4
    assert listed(exposed.tenant, "software") == ["GET vulnerability-management/vulnerabilities/CVE-2026-1/software"]


def test_nobody_asks_for_vulnerabilities_without_a_lane_or_a_candidate(exposed: World) -> None:
    exposed.keys = {"promotion": {"after_days": 5}}
    after_a_day(exposed)
    exposed.keys = {"promotion": {"after_days": 5, "fast_lane": LANE}}
    exposed.publish("3", urgent="CVE-2026-1")
    exposed.publish("3")
    assert listed(exposed.tenant) == []


@pytest.mark.parametrize("permission", ["List Vulnerabilities", "List Affected Software"])
def test_without_the_permission_one_line_says_so_and_releases_move_as_always(exposed: World, permission: str) -> None:
    exposed.tenant.permissions.revoke(permission)
    held = after_a_day(exposed)
    assert (held.action, held.reason) == (Action.HELD, "2 has been in the test app for 1.0 of 5 days")
    (said,) = [line for line in exposed.warnings if "fast lane" in line]
    assert "so no fast lane is open" in said
    assert f"the API token lacks the permission '{permission}'" in said
    assert after_a_day(exposed, 4).action is Action.PROMOTE


def test_a_fault_of_the_list_opens_no_lane_and_fails_nothing(exposed: World) -> None:
    exposed.tenant.faults.add("GET", "vulnerability-management/**", kind="wrong_type", field="results", nth="every")
    assert after_a_day(exposed).action is Action.HELD
    assert any("no fast lane is open" in line for line in exposed.warnings)


def test_the_macs_are_asked_as_soon_as_the_short_soak_is_over(exposed: World) -> None:
    exposed.keys = {"promotion": {"after_days": 5, "min_pass": 3, "fast_lane": LANE}}
    exposed.wait(1)
    exposed.macs(passed=2)
    assert exposed.prod(exposed.publish("2")).reason == f"2: 2 of 2 Macs PASS, 3 are needed; {SAID}"
    exposed.macs(passed=4)
    assert exposed.prod(exposed.publish("2")).action is Action.PROMOTE


@pytest.mark.parametrize(
    ("lane", "opens"),
    [
        (FastLane("critical"), ["critical"]),
        (FastLane("high"), ["high", "critical"]),
        (FastLane("low"), ["high", "critical", "exploited", "low"]),
        (FastLane(kev=True), ["exploited"]),
        (FastLane("critical", kev=True), ["critical", "exploited"]),
    ],
    ids=str,
)
def test_a_lane_opens_for_what_is_severe_enough_or_exploited_first_for_what_bears_the_name(
    lane: FastLane, opens: list[str]
) -> None:
    found = [
        Vulnerability("low", "low", 1.0),
        Vulnerability("critical", "critical", 9.9, software=("Other",)),
        Vulnerability("high", "high", 7.0, software=("Other", "Mozilla Firefox")),
        Vulnerability("exploited", "low", 3.0, exploited=True),
        Vulnerability("nobody knows", ""),
        Vulnerability("closed", "critical", 10.0, exploited=True, active=False),
    ]
    assert [each.cve for each in fast_lane.opening(found, lane, "Firefox.app")] == opens


versions = st.sampled_from(["", "0.9", "1", "1.5", "2", "2.1", "3"])


@example("", "3", ["1"], 5.0, 1.0)
@given(versions, versions, st.lists(versions.filter(bool), min_size=1), st.floats(0, 9), st.floats(0, 9))
def test_a_soak_is_shortened_only_by_what_is_open_in_production_and_closed_by_the_release(
    live: str, release: str, affected: list[str], usual: float, short: float
) -> None:
    rules = Promotion(after_days=usual, fast_lane=FastLane(kev=True, after_days=short))
    software = AffectedSoftware("Firefox", "org.mozilla.firefox", tuple(affected), 3)
    found = fast_lane.exposure(Vulnerability("CVE-1"), [software], "Firefox.app", "org.mozilla.firefox")
    assert isinstance(found, Exposure)
    after, closed = fast_lane.shortened(rules, [found], release, live)
    assert after.after_days <= usual
    assert (after == rules) or closed is found
    assert (closed is found) == bool(live and release and all(live <= found.highest < release for _ in affected))
    assert found.highest == max(affected)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"after_days": 1}, "must say for which vulnerabilities: severity"),
        ({"kev": False, "after_days": 1}, "must say for which vulnerabilities"),
        ({"severity": "critical"}, "must say what is shortened: after_days"),
        (
            {"severity": "grave", "after_days": 1},
            "holds severity 'grave', which must be low or medium or high or critical",
        ),
        ({"kev": True, "after_days": -1}, "holds after_days -1, which must be a number from 0 to 3650"),
        ({"kev": True, "deadline_day": 1}, "holds 'deadline_day', which is not known; did you mean deadline_days?"),
        (True, "must be {severity: critical, kev: true"),
    ],
)
def test_a_lane_that_makes_no_sense_is_refused_with_the_fix(value: Any, said: str) -> None:
    with pytest.raises(UnfitError) as refused:
        parts.fast_lane(value)
    assert said in refused.value.accepted
