"""Simulated months of rings: two machines that may forget everything, Macs that sleep and fail, a service with faults.

What must hold is written down here once more, from what the test alone knows (`Truth`): no ring gets what did not soak
healthy in the ring before it; none starves while there is such a release; nothing moves in a freeze or outside of the
window but what is urgent; a halted release reaches no further ring and asks no further Mac; nothing goes backwards.
`KANDJI_MONTHS` sets how many months; each run of the tests takes others.
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kandji_uploader.audit import script as audit
from kandji_uploader.errors import KandjiUploaderError
from kandji_uploader.models import Action
from kandji_uploader.rehearsal import RehearsalTenant
from tests.promotion.world import START, World

MONTHS = int(os.environ.get("KANDJI_MONTHS", "2"))
MIN_PASS, MAX_ERRORS, HALT_PERCENT, HALT_MIN = 2, 20, 40, 3
DAY, HOUR = 86_400.0, 3_600.0
FIRST = START.timestamp()


@dataclass(frozen=True)
class Said:
    """What the Macs of a ring say: some pass, some fail, some sleep."""

    passed: int
    errors: int
    pending: int

    @property
    def verdict(self) -> str:
        reported = self.passed + self.errors
        if reported and 100 * self.errors > MAX_ERRORS * reported:
            return "unhealthy"
        return "holds" if self.passed >= MIN_PASS else "unknown"

    @property
    def halts(self) -> bool:
        return self.errors >= HALT_MIN and 100 * self.errors > HALT_PERCENT * (self.passed + self.errors)


@dataclass(frozen=True)
class Run:
    """A run of the recipe on one of the machines, some days after the one before."""

    days: float
    machine: int
    new_version: bool
    urgent: bool
    fault: str
    said: tuple[Said, ...]


@dataclass
class Stay:
    """A version in a ring: since when, what its Macs said, and since when it is another's turn."""

    entered: float
    samples: list[tuple[float, str, bool]] = field(default_factory=list)
    replaced: bool = False
    halted: bool = False

    def soaked(self, now: float, *, at_most: bool) -> float:
        """Days on which the rules held. Of runs with a fault it is not known what they saw: all of it `at_most`."""
        healthy, since, before = 0.0, self.entered, "holds"
        for at, verdict, faulty in self.samples:
            if faulty and at_most and verdict != "holds":
                continue
            if verdict == before == "holds":
                healthy += at - since
            elif verdict == "unhealthy":
                healthy = 0.0
            since, before = at, verdict
        if self.replaced and before == "holds":
            healthy += now - since
        return healthy / DAY

    def healthy(self, *, at_most: bool) -> bool:
        told = [verdict for _, verdict, faulty in self.samples if not (faulty and at_most and verdict != "holds")]
        return bool(told) and told[-1] == "holds"


@dataclass
class Truth:
    """What the test knows of each ring: which version it has, and how each version that it had fared there."""

    soaks: list[float]
    stays: list[dict[int, Stay]] = field(default_factory=list)
    live: list[int] = field(default_factory=list)
    halted_anywhere: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.stays = [{} for _ in self.soaks]
        self.live = [0 for _ in self.soaks]

    def fit(self, ring: int, version: int, now: float, *, at_most: bool) -> bool:
        """Whether a ring may take a version from the ring before it."""
        stay, soak = self.stays[ring - 1].get(version), self.soaks[ring]
        if stay is None or not stay.healthy(at_most=at_most) or (stay.halted and not at_most):
            return False
        # A run may come an hour early.
        return stay.soaked(now, at_most=at_most) >= soak - min(HOUR / DAY, soak / 24) - 1e-6

    def best(self, ring: int, now: float) -> int:
        """The newest version that a ring should have."""
        known = [version for version in self.stays[ring - 1] if self.fit(ring, version, now, at_most=False)]
        return max([self.live[ring], *known])


@dataclass
class Months:
    """The rings, the machines and the truth."""

    tenant: RehearsalTenant
    machines: list[World]
    truth: Truth
    window: bool
    freeze: tuple[float, float] | None
    newest: int = 0

    @property
    def names(self) -> list[str]:
        return [f"Firefox {ring}" for ring in range(len(self.truth.soaks))]

    @property
    def now(self) -> float:
        return self.tenant.clock.now().timestamp()

    @property
    def frozen(self) -> bool:
        return self.freeze is not None and self.freeze[0] <= (self.now - FIRST) / DAY < self.freeze[1]

    @property
    def open(self) -> bool:
        """Whether the window is open: on working days."""
        return not self.window or self.tenant.clock.now().weekday() < 5

    def found(self) -> list[int]:
        """The version whose bytes each ring has; 0 where there is no such app."""
        apps = {app["name"]: app for app in self.tenant.apps()}
        texts = [self.tenant.content(apps[name]["file_key"]).decode() if name in apps else "x 0" for name in self.names]
        return [int(text.split()[1].split(".")[0]) for text in texts]

    def halted(self, ring: int) -> bool:
        """Whether the audit script of a ring asks no Mac."""
        found = [app for app in self.tenant.apps() if app["name"] == self.names[ring]]
        return bool(found) and bool(audit.read(found[0]["audit_script"]).halted)

    def publish(self, run: Run) -> list[Action] | None:
        """What became of each ring; None where the run as a whole failed."""
        world = self.machines[run.machine % len(self.machines)]
        keys: dict[str, Any] = {"custom_app": {}}
        if run.urgent:
            keys["urgent"] = "CVE-2026-1"
        if run.fault:
            method, path, more = FAULTS[run.fault]
            self.tenant.faults.add(method, path, **more)
        try:
            result = world.publish(f"{self.newest}.0", **keys)
        except KandjiUploaderError:
            assert run.fault, "a run failed without a reason"
            return None
        finally:
            self.tenant.faults.clear()
        return [outcome.action for outcome in result.outcomes]


FAULTS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "list": ("GET", "library/custom-apps", {"kind": "status", "code": 500, "nth": "every"}),
    "status": ("GET", "library/library-items/*/status", {"kind": "status", "code": 500, "nth": "every"}),
    "update": ("PATCH", "library/custom-apps/*", {"kind": "status", "code": 400}),
    "lost answer": ("PATCH", "library/custom-apps/*", {"kind": "effect_then_reset"}),
    "create": ("POST", "library/custom-apps", {"kind": "effect_then_reset"}),
}


def live_through(
    runs: list[Run], soaks: list[float], *, window: bool, freeze: tuple[float, float] | None, forgetful: bool
) -> None:
    rings = [{"name": f"Firefox {ring}", **_rules(soak if ring else None)} for ring, soak in enumerate(soaks)]
    keys: dict[str, Any] = {"rings": rings}
    if window:
        keys["window"] = {"days": "mon-fri", "zone": "UTC"}
    if freeze:
        keys["freeze"] = [{"from": _date(freeze[0]), "until": _date(freeze[1]), "why": "a freeze", "zone": "UTC"}]
    with tempfile.TemporaryDirectory() as name, RehearsalTenant(Path(name) / "tenant") as tenant:
        machines = [World(tenant, Path(name) / each, forgetful=forgetful, keys=keys, names={}) for each in "ab"]
        months = Months(tenant, machines, Truth(soaks), window, freeze)
        for run in runs:
            tenant.clock.advance(days=run.days)
            _night(months, run)
        _converge(months)


def _rules(soak: float | None) -> dict[str, Any]:
    watched = {"halt_percent": HALT_PERCENT, "halt_min": HALT_MIN}
    if soak is None:
        return watched
    return {"after_days": soak, "min_pass": MIN_PASS, "max_error_percent": MAX_ERRORS, **watched}


def _date(days: float) -> str:
    return START.fromtimestamp(FIRST + days * DAY, tz=START.tzinfo).isoformat()


def _night(months: Months, run: Run) -> None:
    truth, now = months.truth, months.now
    for ring, name in enumerate(months.names):
        if truth.live[ring]:
            said = run.said[ring]
            months.machines[0].macs(said.passed, said.errors, said.pending, app=name)
            stay = truth.stays[ring][truth.live[ring]]
            # Who got it in the same run has said nothing of it yet.
            if now > stay.entered:
                stay.samples.append((now, said.verdict, bool(run.fault)))
    months.newest += run.new_version or not months.newest
    actions = months.publish(run)
    after = months.found()
    _check_moves(months, run, after)
    _check_starving(months, run, after, actions)
    _check_halted(months, run, after)
    for ring, version in enumerate(after):
        if version != truth.live[ring]:
            if truth.live[ring]:
                truth.stays[ring][truth.live[ring]].replaced = True
            truth.stays[ring].setdefault(version, Stay(now))
            truth.live[ring] = version


def _check_moves(months: Months, run: Run, after: list[int]) -> None:
    truth, now = months.truth, months.now
    for ring, version in enumerate(after):
        before = truth.live[ring]
        assert version >= before, f"ring {ring} went backwards"
        if version == before or run.urgent:
            continue
        assert not months.frozen, f"ring {ring} moved in a freeze"
        if ring:
            assert months.open, f"ring {ring} moved outside of the window"
            assert truth.fit(ring, version, now, at_most=True), (
                f"ring {ring} got {version}, which had not soaked healthy"
            )
            assert version not in truth.halted_anywhere, f"ring {ring} got {version}, which was halted"


def _check_starving(months: Months, run: Run, after: list[int], actions: list[Action] | None) -> None:
    truth = months.truth
    disturbed = run.fault or run.urgent or months.frozen or actions is None
    if disturbed or any(faulty for stays in truth.stays for stay in stays.values() for _, _, faulty in stay.samples):
        return
    assert after[0] == months.newest
    for ring in range(1, len(after)):
        if months.open and not truth.halted_anywhere:
            assert after[ring] == truth.best(ring, months.now), f"ring {ring} is starved"


def _check_halted(months: Months, run: Run, after: list[int]) -> None:
    truth = months.truth
    for ring, version in enumerate(after):
        stay = truth.stays[ring].get(version)
        if stay is None or version != truth.live[ring] or months.now <= stay.entered:
            continue
        if run.said[ring].halts and not run.fault and not run.urgent:
            stay.halted = True
            truth.halted_anywhere.add(version)
        if stay.halted:
            assert months.halted(ring), f"ring {ring} still asks its Macs for {version}, which is halted"


def _converge(months: Months) -> None:
    """With a good version, healthy Macs and no faults, every ring gets it within its soaks, weekends and the freeze."""
    well = tuple(Said(5, 0, 1) for _ in months.names)
    if months.freeze:
        left = months.freeze[1] - (months.now - FIRST) / DAY
        months.tenant.clock.advance(days=max(left, 0.0) + 0.1)
    longest = int(sum(months.truth.soaks)) + 3 * len(months.names) + 2
    for night in range(longest):
        months.tenant.clock.advance(days=1)
        _night(months, Run(1, night, night == 0, urgent=False, fault="", said=well))
    assert months.truth.live == [months.newest] * len(months.names), "the rings do not come to the newest version"


def _said() -> st.SearchStrategy[Said]:
    return st.builds(Said, st.integers(0, 6), st.sampled_from([0, 0, 0, 0, 1, 3, 5]), st.integers(0, 2))


def _runs(rings: int) -> st.SearchStrategy[list[Run]]:
    run = st.builds(
        Run,
        days=st.sampled_from([0.2, 0.5, 1.0, 1.0, 1.0, 3.0]),
        machine=st.integers(0, 1),
        new_version=st.booleans(),
        urgent=st.sampled_from([False] * 19 + [True]),
        fault=st.sampled_from(["", "", "", "", "", "", *FAULTS]),
        said=st.tuples(*[_said()] * rings),
    )
    return st.lists(run, min_size=4, max_size=24)


@st.composite
def _months(draw: st.DrawFn) -> dict[str, Any]:
    soaks = draw(st.lists(st.sampled_from([0.5, 1.0, 2.0, 4.0]), min_size=1, max_size=5))
    freeze = draw(st.none() | st.tuples(st.integers(2, 6), st.integers(7, 12)))
    calm = draw(st.booleans())
    runs = draw(_runs(len(soaks)))
    return {
        "runs": [Run(**{**vars(run), "fault": "", "urgent": False}) for run in runs] if calm else runs,
        "soaks": soaks,
        "window": draw(st.booleans()),
        "freeze": freeze,
        "forgetful": draw(st.booleans()),
    }


@pytest.mark.slow
@pytest.mark.timeout(600)
@settings(max_examples=MONTHS, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(month=_months())
def test_months_of_rings(month: dict[str, Any]) -> None:
    live_through(**month)
