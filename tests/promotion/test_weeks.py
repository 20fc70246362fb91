"""Simulated weeks over the whole: recipe runs, Macs that report, and what then is in production.

What must hold is written down here once more, in the simplest words, from what the test alone knows (`Truth`):
prod never runs a release that was not healthy for its soak, never goes backwards, is never starved, and converges;
and a run without news writes nothing. `KANDJI_WEEKS` sets how many weeks; each run of the tests takes others.
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kandji_uploader.models import Action
from kandji_uploader.rehearsal import RehearsalTenant
from tests.promotion.world import PROD, TEST, World

MIN_PASS, MAX_ERRORS = 2, 20
WEEKS = int(os.environ.get("KANDJI_WEEKS", "4"))


@dataclass(frozen=True)
class Day:
    """What happens in a day: Macs report on what is in test, then the recipe runs (perhaps with a new version)."""

    passed: int
    errors: int
    pending: int
    publish: bool

    @property
    def healthy(self) -> bool:
        reported = self.passed + self.errors
        return self.passed >= MIN_PASS and 100 * self.errors <= MAX_ERRORS * reported


@dataclass
class Truth:
    """What the test knows: when each version came into test, and how it was on the last day that it was there."""

    soak: int
    entered: dict[int, int] = field(default_factory=dict)
    health: dict[int, bool] = field(default_factory=dict)
    prod: int = 0

    def fit(self, version: int, day: int) -> bool:
        return day - self.entered[version] >= self.soak and self.health.get(version, False)

    def best(self, day: int) -> int:
        """What should be in production today."""
        return max([self.prod, *(version for version in self.entered if self.fit(version, day))])


DAYS = st.lists(
    st.builds(Day, st.integers(0, 4), st.sampled_from([0, 0, 0, 1, 3]), st.integers(0, 2), st.booleans()),
    min_size=4,
    max_size=16,
)


def live_through(days: list[Day], soak: int, *, forgetful: bool, audited: bool) -> None:
    truth = Truth(soak)
    rules = {"after_days": soak, "min_pass": MIN_PASS, "max_error_percent": MAX_ERRORS}
    with tempfile.TemporaryDirectory() as name, RehearsalTenant(Path(name) / "tenant", page_size=3) as tenant:
        world = World(tenant, Path(name), forgetful=forgetful, keys={"promotion": rules})
        further = {} if audited else {"enforcement_type": "install_once"}
        newest = 1
        world.publish("1.0", **further)
        truth.entered[1] = 0
        for day, today in enumerate(days, start=1):
            world.wait(1)
            _macs(world, today, newest, audited=audited)
            truth.health[newest] = today.healthy
            if today.publish:
                newest += 1
                truth.entered[newest] = day
            result = world.publish(f"{newest}.0", **further)
            _check(world, truth, day, world.prod(result).action)
            _writes_nothing_twice(world, newest, further)
        _converges(world, truth, newest, len(days), audited=audited, further=further)


def _macs(world: World, today: Day, newest: int, *, audited: bool) -> None:
    log = {} if audited else {"last_audit_log": None, "last_audit_run": None}
    if audited:
        world.macs(today.passed, today.errors, today.pending)
    else:
        world.macs(today.passed, today.errors, today.pending, **log)


def _in_prod(world: World) -> int:
    """The version whose bytes are in production; 0 where there is no prod app."""
    found = [app for app in world.tenant.apps() if app["name"] == PROD]
    content = world.tenant.content(found[0]["file_key"]).decode().split()[1] if found else "0"
    return int(content.split(".")[0])


def _check(world: World, truth: Truth, day: int, action: Action) -> None:
    before, after = truth.prod, _in_prod(world)
    assert after >= before, "prod went backwards"
    if after != before:
        assert truth.fit(after, day), "prod runs what was not healthy for its soak"
    assert (action is Action.PROMOTE) == (after != before)
    assert after == truth.best(day), "prod is starved"
    truth.prod = after


def _writes_nothing_twice(world: World, newest: int, further: dict[str, str]) -> None:
    world.writes()
    again = world.publish(f"{newest}.0", **further)
    assert world.writes() == []
    assert not again.changed


def _converges(world: World, truth: Truth, newest: int, day: int, *, audited: bool, further: dict[str, str]) -> None:
    """With no new versions and healthy Macs, prod has what test has once it has soaked."""
    world.wait(truth.soak + 1)
    _macs(world, Day(3, 0, 0, publish=False), newest, audited=audited)
    world.publish(f"{newest}.0", **further)
    assert _in_prod(world) == newest
    assert world.tenant.app(PROD)["sha256"] == world.tenant.app(TEST)["sha256"]


@pytest.mark.slow
@pytest.mark.timeout(300)
@settings(max_examples=WEEKS, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(days=DAYS, soak=st.integers(0, 4), forgetful=st.booleans())
def test_weeks_of_nightly_runs(days: list[Day], soak: int, forgetful: bool) -> None:
    live_through(days, soak, forgetful=forgetful, audited=True)


@pytest.mark.slow
@settings(max_examples=WEEKS // 2, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(days=DAYS, soak=st.integers(0, 4), forgetful=st.booleans())
def test_weeks_of_apps_that_are_not_enforced(days: list[Day], soak: int, forgetful: bool) -> None:
    live_through(days, soak, forgetful=forgetful, audited=False)


def test_a_new_version_every_day_does_not_starve_prod(world: World) -> None:
    """Every release is replaced in test long before it has soaked; on a machine that forgets everything."""
    world.forgetful = True
    world.publish("1.0")
    versions = []
    for day in range(1, 15):
        world.wait(1)
        world.macs(passed=4)
        world.publish(f"1.{day}")
        versions.append(world.enforced(PROD))
    assert versions[:4] == [None] * 4
    assert versions[4:] == [f"1.{number}" for number in range(10)]


@dataclass(frozen=True)
class Night:
    """What a nightly run comes with, and by which clock."""

    new_version: bool
    new_script: bool
    healthy: bool
    ahead: float


NIGHTS = st.lists(
    st.builds(
        Night,
        st.sampled_from([False, False, True]),
        st.sampled_from([False, False, True]),
        st.sampled_from([True, True, False]),
        st.sampled_from([0.0, 0.0, 0.0, 600.0, 3 * 86_400.0, -2 * 86_400.0]),
    ),
    min_size=4,
    max_size=12,
)


@settings(max_examples=WEEKS // 2, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(nights=NIGHTS, soak=st.integers(1, 3), forgetful=st.booleans())
def test_weeks_in_which_scripts_change_and_clocks_are_wrong(nights: list[Night], soak: int, forgetful: bool) -> None:
    """A release is a version with its script; prod never has one that was not in test, and healthy, for its soak."""
    with tempfile.TemporaryDirectory() as name, RehearsalTenant(Path(name) / "tenant") as tenant:
        rules = {"after_days": soak, "min_pass": 2, "max_error_percent": 20}
        path = Path(name) / "script"
        keys = {"promotion": rules, "postinstall_script": str(path)}
        world = World(tenant, Path(name) / "world", forgetful=forgetful, keys=keys)
        release = (1, 1)
        entered, fit, prod = {}, {}, (0, 0)
        for day, night in enumerate([Night(False, False, True, 0.0), *nights]):
            world.wait(1)
            if release in entered:
                world.macs(**({"passed": 3} if night.healthy else {"errors": 3}))
                fit[release] = night.healthy
            release = (release[0] + night.new_version, release[1] + night.new_script)
            entered.setdefault(release, day)
            path.write_text(f"#!/bin/zsh\necho {release[1]}\n")
            world.ahead = night.ahead
            world.publish(f"{release[0]}.0")
            before, prod = prod, _release_in_prod(world)
            assert prod[0] >= before[0], "prod went backwards"
            if prod != before:
                assert abs(night.ahead) <= 900, "promoted by a wrong clock"
                assert day - entered[prod] >= soak, "prod runs what had not soaked"
                assert fit[prod], "prod runs what was not healthy"
            world.writes()
            world.publish(f"{release[0]}.0")
            assert world.writes() == []
        world.ahead = 0.0
        world.wait(soak)
        world.macs(passed=3)
        world.publish(f"{release[0]}.0")
        assert _release_in_prod(world) == release, "prod is starved"


def _release_in_prod(world: World) -> tuple[int, int]:
    found = [app for app in world.tenant.apps() if app["name"] == PROD]
    return (_in_prod(world), int(found[0]["postinstall_script"].split()[-1])) if found else (0, 0)
