"""What counts as soaked, sample by sample: the days on which the rules about the Macs held."""

from __future__ import annotations

import itertools
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kandji_uploader.audit import script as audit
from kandji_uploader.models import Action, Outcome, Promotion
from kandji_uploader.promotion import rules
from kandji_uploader.promotion.rules import DAY
from kandji_uploader.publish import releases
from kandji_uploader.publish.releases import Health, Ledger, Release, Soak, Verdict
from kandji_uploader.rehearsal import RehearsalTenant
from kandji_uploader.status.models import StatusRecord
from tests.promotion.test_rings import ALL, EARLY, IT
from tests.promotion.world import World, passing

RULES = Promotion(after_days=5, min_pass=3, max_error_percent=10, on_unhealthy="restart")
CAME = Release("1.0", "a" * 64, 0.0, "key")
GOOD, FEW, BAD = (9, 0), (1, 0), (5, 4)


def sampled(*figures: tuple[float, tuple[int, int]], wanted: Promotion = RULES) -> Release:
    """A release after these samples: days after it came, Macs that pass and that fail."""
    release = CAME
    for day, (passed, errors) in figures:
        release = rules.sampled(release, Health(passed, errors, 3, day * DAY), wanted)
    return release


def days(release: Release, now: float = 0.0, wanted: Promotion = RULES) -> float:
    return rules.soaked_for(release, wanted, now * DAY) / DAY


@pytest.mark.parametrize(
    ("samples", "soaked"),
    [
        ([(1, GOOD)], 1),
        ([(1, GOOD), (2, GOOD), (3, GOOD)], 3),
        ([(1, GOOD), (4, GOOD)], 4),  # Days without a run are no days against it.
        ([(1, FEW), (2, GOOD), (3, GOOD)], 1),
        ([(1, GOOD), (2, FEW), (3, GOOD), (4, GOOD)], 2),
        ([(1, GOOD), (2, BAD), (3, GOOD), (4, GOOD)], 1),
        ([(1, GOOD), (2, BAD)], 0),
        ([(1, BAD)], 0),
    ],
)
def test_the_time_between_two_samples_counts_where_the_rules_held_at_both(
    samples: list[tuple[float, tuple[int, int]]], soaked: float
) -> None:
    assert days(sampled(*samples)) == soaked


def test_an_unhealthy_sample_can_stop_the_count_in_place_of_beginning_anew() -> None:
    wanted = replace(RULES, on_unhealthy="pause")
    found = sampled((1, GOOD), (2, BAD), (3, GOOD), (4, GOOD), wanted=wanted)
    assert days(found, wanted=wanted) == 2


def test_a_release_that_was_replaced_goes_on_to_soak_only_if_the_rules_held_right_before() -> None:
    good, bad = sampled((1, GOOD), (2, GOOD)), sampled((1, GOOD), (2, FEW))
    assert days(replace(good, until=2 * DAY), now=6) == 6
    assert days(replace(bad, until=2 * DAY), now=6) == 1


def test_a_release_that_an_older_version_has_noted_soaks_as_it_did() -> None:
    former = replace(CAME, until=DAY, health=Health(9, 0, 0, DAY))
    assert days(former, now=5) == 5
    assert days(rules.sampled(CAME, Health(9, 0, 0, 4 * DAY), RULES)) == 4


def test_without_rules_about_the_macs_all_days_count() -> None:
    assert days(CAME, now=5, wanted=Promotion(after_days=5, on_unhealthy="restart")) == 5


@given(st.lists(st.tuples(st.floats(0.1, 3), st.sampled_from([GOOD, FEW, BAD])), max_size=40))
def test_no_more_days_count_than_have_passed_and_none_since_it_was_unhealthy(
    steps: list[tuple[float, tuple[int, int]]],
) -> None:
    release, now, ill = CAME, 0.0, 0.0
    for step, figures in steps:
        now += step
        release = rules.sampled(release, Health(*figures, 1, now * DAY), RULES)
        ill = now if figures is BAD else ill
        assert 0 <= days(release) <= now - ill + 1e-6
        assert release.soak is not None
        assert len(release.soak.samples) <= 30


def test_the_samples_are_one_a_day_and_reach_back_to_the_first() -> None:
    found = sampled(*((number / 4, GOOD) for number in range(4, 400)))
    assert found.soak is not None
    at = [each.at / DAY for each in found.soak.samples]
    assert len(at) == 30
    assert (at[0], at[-1]) == (1.75, 99.75)
    assert all(1 <= later - earlier < 9 for earlier, later in itertools.pairwise(at))


@pytest.mark.parametrize(("macs", "held"), [((6, 0, 4), True), ((7, 0, 3), False), ((0, 0, 9), True)])
def test_so_many_of_the_macs_in_scope_must_have_reported(macs: tuple[int, int, int], held: bool) -> None:
    wanted = Promotion(min_percent=70)
    release = replace(CAME, health=Health(*macs, 1.0))
    decision = rules.judge(release, wanted, rules.Standing(), DAY)
    assert (decision.release is None) is held
    if macs[0] == 6:
        assert decision.reason == "1.0: 6 of 10 Macs have reported (60 %), 70 % are needed"


# Kept


def test_a_sample_reads_back_from_a_note_and_what_is_no_sample_is_no_note() -> None:
    release = replace(sampled((1, GOOD), (2, BAD)), until=0.0)
    notes = releases.to_notes(Ledger(current=release))
    assert releases.from_notes(notes).current == release
    for wrong in ('"e":[1]', '"e":[-1,"h"]', '"e":["a","h"]', '"e":[1,"x"]', '"e":7'):
        broken = {"current": notes["current"].replace('"e":[0,"e"]', wrong)}
        assert broken != notes
        assert releases.from_notes(broken).current is None


def test_the_later_sample_of_a_release_counts_whoever_has_kept_it() -> None:
    early, late = sampled((1, GOOD)), sampled((1, GOOD), (2, GOOD))
    for script, state in ((early, late), (late, early)):
        found = releases.merge(Ledger(current=script), Ledger(current=state))
        assert found.current is not None
        assert days(found.current) == 2


def test_a_sample_from_before_a_release_came_is_none_of_it() -> None:
    resumed, stale = replace(CAME, at=5 * DAY), sampled((1, GOOD), (2, BAD))
    found = releases.merge(Ledger(current=resumed), Ledger(current=stale))
    assert found.current == resumed


def test_the_notes_of_five_rings_with_twenty_candidates_each_stay_small() -> None:
    """docs/state.md has the figures."""
    soak = Soak(4.5 * DAY, Verdict.HOLDS, tuple(Health(41_234, 123, 8_643, 1.8e9 + day * DAY) for day in range(30)))
    one = Release(
        "128.0.1",
        "a" * 64,
        1.8e9,
        "companies/companies/28344fcc-579a-4d42-bcf7-cdbf97585066/library/custom_apps/Firefox-128.0.1_0f04055b.pkg",
        app_name="Firefox.app",
        bundle_id="org.mozilla.firefox",
        package_id="org.mozilla.firefox.pkg",
        version_key="CFBundleShortVersionString",
        health=Health(41_234, 123, 8_643, 1.8e9),
        until=1.8e9,
        digest="b" * 32,
        content="c" * 64,
        given="abcdef",
        signer="Developer ID Installer: Mozilla Corporation (43AQ936H96)",
        soak=replace(soak, samples=()),
    )
    former = tuple(replace(one, sha256=f"{number:064}", digest=f"{number:032}") for number in range(20))
    script = audit.memory(releases.to_notes(Ledger(replace(one, soak=soak), former)))
    assert 12_000 < len(script.encode()) < 16_000


# Runs


@pytest.fixture
def rings(tmp_path: Path) -> World:
    asks = {"min_pass": 3, "max_error_percent": 10}
    given = [{"name": IT}, {"name": EARLY, "after_days": 2, **asks}, {"name": ALL, "after_days": 3, **asks}]
    with RehearsalTenant(tmp_path / "tenant") as tenant:
        yield World(tenant, tmp_path, keys={"rings": given}, names={})


def night(world: World, version: str, passed: int = 9, errors: int = 0, app: str = IT) -> Outcome:
    """A nightly run, a day after the one before; what the Macs of a ring say; and what becomes of the one after it."""
    world.wait(1)
    world.macs(passed=passed, errors=errors, app=app)
    return next(each for each in world.publish(version).outcomes if each.name == (EARLY if app == IT else ALL))


@pytest.mark.parametrize("forgetful", [False, True], ids=["one machine", "throw-away machines"])
def test_only_the_days_count_on_which_the_macs_were_healthy(rings: World, forgetful: bool) -> None:
    rings.forgetful = forgetful
    rings.publish("1.0")
    assert night(rings, "1.0").reason == f"1.0 was healthy in {IT!r} for 1.0 of 2 days"
    ill = night(rings, "1.0", 9, 3)
    assert ill.reason == (f"1.0: 3 of 12 Macs in ERROR (25 %), limit 10 %; was healthy in {IT!r} for 0.0 of 2 days")
    assert night(rings, "1.0").action is Action.HELD
    assert night(rings, "1.0").reason == f"1.0 was healthy in {IT!r} for 1.0 of 2 days"
    assert night(rings, "1.0").action is Action.PROMOTE
    assert rings.enforced(EARLY) == "1.0"


def test_a_note_alone_leaves_every_other_byte_of_the_audit_script_as_it_is(rings: World) -> None:
    rings.publish("1.0")
    before = rings.tenant.app(IT)["audit_script"]
    rings.writes()
    night(rings, "1.0")
    after = rings.tenant.app(IT)["audit_script"]
    assert rings.writes() == [f"PATCH library/custom-apps/{rings.tenant.app(IT)['id']}"]
    notes = "# kandji-uploader:"
    assert after != before
    assert [line for line in after.splitlines() if not line.startswith(notes)] == [
        line for line in before.splitlines() if not line.startswith(notes)
    ]


def test_a_ring_is_noted_once_in_a_night_and_not_at_all_where_nothing_soaks(rings: World) -> None:
    rings.publish("1.0")
    night(rings, "1.0")
    rings.writes()
    for _ in range(3):
        rings.wait(1 / 24)
        rings.macs(passed=9, app=IT)
        rings.publish("1.0")
    assert rings.writes() == []
    for _ in range(12):
        night(rings, "1.0")
        rings.macs(passed=9, app=EARLY)
    assert rings.enforced(ALL) == "1.0"
    rings.writes()
    for _ in range(3):
        assert night(rings, "1.0").action is Action.UNCHANGED
    assert rings.writes() == []


def test_a_verdict_that_turns_is_noted_at_once(rings: World) -> None:
    rings.publish("1.0")
    night(rings, "1.0")
    rings.writes()
    rings.wait(1 / 24)
    rings.macs(passed=1, errors=9, app=IT)
    rings.publish("1.0")
    assert len(rings.writes()) == 1


def test_a_status_that_cannot_be_read_moves_nothing_and_counts_for_nothing(rings: World) -> None:
    rings.publish("1.0")
    night(rings, "1.0")
    rings.tenant.faults.add("GET", "library/library-items/*/status", kind="status", code=403, nth="every")
    held = night(rings, "1.0")
    assert held.action is Action.HELD
    assert "the status of its Macs is not known" in held.reason
    rings.tenant.faults.clear()
    assert night(rings, "1.0").action is Action.PROMOTE


def test_a_release_whose_macs_cannot_be_asked_right_before_it_is_replaced_goes_no_further(rings: World) -> None:
    rings.publish("1.0")
    night(rings, "1.0")
    night(rings, "1.1")
    assert rings.enforced(EARLY) == "1.0"
    rings.wait(1)
    for app in (IT, EARLY):
        rings.macs(passed=9, app=app)
    rings.publish("1.1")
    early = rings.tenant.app(EARLY)["id"]
    rings.tenant.faults.add("GET", f"library/library-items/{early}/status", kind="status", code=403, nth="every")
    night(rings, "1.1")
    assert rings.enforced(EARLY) == "1.1"
    rings.tenant.faults.clear()
    rings.wait(5)
    rings.publish("1.1")
    assert rings.enforced(ALL) != "1.0"


@pytest.mark.parametrize("rows", [[], [{"status": "PENDING"}] * 9], ids=["empty", "nobody has reported"])
def test_a_status_list_that_says_nothing_promotes_nothing(rings: World, rows: list[dict[str, str]]) -> None:
    rings.publish("1.0")
    rings.wait(3)
    rings.tenant.set_statuses(rings.tenant.app(IT)["id"], rows)
    assert rings.publish("1.0").outcomes[1].action is Action.HELD


def test_a_mac_that_is_listed_twice_is_one_mac() -> None:
    def row(mac: str) -> StatusRecord:
        return StatusRecord(mac, mac, "b", "PASS", reported_at="2026-01-01T00:00:00Z")

    rows = [row("1"), row("2"), row("1"), row("1"), row(""), row("")]
    found = rules.weigh(rules.each_mac(rows), "1.0", 0.0, 1.8e9)
    assert (found.passed, found.pending) == (4, 0)


@pytest.mark.parametrize("forgetful", [False, True], ids=["one machine", "throw-away machines"])
def test_with_a_version_every_day_that_is_healthy_no_ring_starves(rings: World, forgetful: bool) -> None:
    rings.forgetful = forgetful
    rings.publish("1.0")
    got = []
    for day in range(2, 13):
        rings.wait(1)
        for app in (IT, EARLY, ALL):
            if rings.enforced(app):
                rings.macs(passed=9, app=app)
        rings.publish(f"{day}.0")
        got.append(rings.enforced(ALL))
    assert got[:4] == [None] * 4
    assert got[-1] == "7.0", got


def test_a_list_that_comes_twice_does_not_make_enough_macs_of_too_few(rings: World) -> None:
    rings.publish("1.0")
    rings.wait(2)
    rows = [{**passing("1.0", rings.now), "computer": {"id": f"mac-{number % 2}", "name": "x"}} for number in range(6)]
    rings.tenant.set_statuses(rings.tenant.app(IT)["id"], rows)
    held = rings.publish("1.0").outcomes[1]
    assert "2 of 2 Macs PASS, 3 are needed" in held.reason


def test_fifty_thousand_macs_are_weighed_in_constant_memory() -> None:
    def rows() -> Iterator[StatusRecord]:
        for number in range(50_000):
            status = "ERROR" if number % 100 == 0 else "PASS"
            yield StatusRecord("mac", f"{number:032x}", "b", status, reported_at="2026-01-01T00:00:00Z")

    tracemalloc.start()
    found = rules.weigh(rules.each_mac(rows()), "1.0", 0.0, 1.8e9)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (found.passed, found.errors, found.pending) == (49_500, 500, 0)
    assert peak < 1_500_000


def test_no_mac_is_asked_about_a_release_that_came_in_this_run(rings: World) -> None:
    rings.publish("1.0")
    assert not [each for each in rings.tenant.requests if each.path.endswith("/status")]
