"""The rules of promotion, over values."""

from __future__ import annotations

import time
import tracemalloc
from dataclasses import replace
from datetime import datetime, timezone
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kandji_uploader.models import InstallType, Promotion
from kandji_uploader.promotion.promote import reported
from kandji_uploader.promotion.rules import DAY, Kind, Standing, decide, judge, weigh
from kandji_uploader.publish import releases
from kandji_uploader.publish.releases import Contents, Health, Ledger, Release
from kandji_uploader.status.models import StatusRecord
from tests.promotion.world import stamp
from tests.support.examples import examples

NOW = 1_770_000_000.0
RULES = Promotion(after_days=5, min_pass=3, max_error_percent=5, require_status=True)
AT_ONCE = replace(RULES, after_days=0)
HEALTHY = Health(passed=9, errors=0, pending=1, at=NOW)
IN_PROD = Standing(exists=True, version="1.0", sha256="a" * 64)


def release(version: str = "1.1", *, days: float = 6, **further) -> Release:
    fields = {"sha256": f"bytes of {version}", "file_key": f"key of {version}", "health": HEALTHY, **further}
    return Release(version=version, at=NOW - days * DAY, **fields)


def verdict(live: Release | None, *former: Release, standing: Standing = IN_PROD, rules: Promotion = RULES, **further):
    return decide(live, former, rules, standing, NOW, **{"clock_ahead": 0.0, **further})


def record(status: str, at: float | None, log: str = "", **further) -> StatusRecord:
    reported = "" if at is None else stamp(datetime.fromtimestamp(at, timezone.utc))
    return StatusRecord("Mac", "id", "Fleet", status, reported_at=reported, last_audit_log=log, **further)


# Deciding


def test_a_healthy_release_that_has_soaked_is_promoted() -> None:
    found = verdict(release())
    assert (found.kind, found.release) == (Kind.PROMOTE, release())


def test_what_prod_has_already_is_not_promoted_again() -> None:
    same = release("1.0", sha256=IN_PROD.sha256)
    assert verdict(same).kind is Kind.CURRENT


def test_prod_never_goes_backwards() -> None:
    found = verdict(release("0.9"), release("0.8"))
    assert (found.kind, found.release) == (Kind.CURRENT, None)


def test_a_version_is_held_until_it_has_soaked_for_the_whole_time() -> None:
    assert verdict(release(days=5)).kind is Kind.PROMOTE
    assert verdict(release(days=4.2)).reason == "1.1 has been in the test app for 4.2 of 5 days"
    assert verdict(release(days=4.957)).reason == "1.1 has been in the test app for 4.9 of 5 days"


@pytest.mark.parametrize(("soak", "tolerance"), [(5, 1), (1, 1), (0.5, 0.5), (1 / 24, 1 / 24)], ids=str)
def test_a_run_up_to_an_hour_early_does_not_wait_for_another_day(soak: float, tolerance: float) -> None:
    """The tolerance is in hours; that of a soak of less than a day is a twenty-fourth of it."""
    rules = replace(RULES, after_days=soak)
    minute = 1 / 1440
    assert verdict(release(days=soak - tolerance / 24 + minute / 10), rules=rules).kind is Kind.PROMOTE
    assert verdict(release(days=soak - tolerance / 24 - minute / 10), rules=rules).kind is Kind.SOAKING


def test_now_skips_the_soak_but_not_the_health() -> None:
    assert verdict(release(days=0), rules=AT_ONCE).kind is Kind.PROMOTE
    assert verdict(release(days=0, health=Health(1, 0, 9)), rules=AT_ONCE).kind is Kind.FEW


@pytest.mark.parametrize(
    ("health", "kind", "reason"),
    [
        (Health(7, 2, 3), Kind.ERRORS, "1.1: 2 of 9 Macs in ERROR (22 %), limit 5 %"),
        (Health(999, 53, 0), Kind.ERRORS, "1.1: 53 of 1052 Macs in ERROR (5.04 %), limit 5 %"),
        (Health(95, 5, 0), Kind.PROMOTE, "1.1 has been in test for 6.0 days, 95 of 100 Macs PASS, 5 in ERROR"),
        (Health(2, 0, 7), Kind.FEW, "1.1: 2 of 9 Macs PASS, 3 are needed"),
        (Health(0, 0, 9), Kind.STATUS, "1.1: no Mac has reported on it yet"),
        (None, Kind.STATUS, "1.1: the status of its Macs is not known"),
    ],
)
def test_the_health_that_is_needed(health: Health | None, kind: Kind, reason: str) -> None:
    found = verdict(release(health=health))
    assert (found.kind, found.reason) == (kind, reason)


@pytest.mark.parametrize("rule", [{"max_error_percent": 5}, {"min_pass": 1}, {"require_status": True}], ids=str)
def test_any_rule_about_the_macs_holds_what_is_not_known_of_them(rule: dict[str, float]) -> None:
    rules = Promotion(after_days=5, **rule)
    assert verdict(release(health=None), rules=rules).kind is Kind.STATUS
    assert verdict(release(health=Health(0, 0, 9)), rules=rules).kind is Kind.STATUS
    assert verdict(release(health=Health(9, 0, 0)), rules=rules).kind is Kind.PROMOTE


def test_with_no_rule_about_the_macs_time_alone_decides() -> None:
    assert verdict(release(health=None), rules=Promotion(after_days=5)).kind is Kind.PROMOTE


def test_a_release_that_a_newer_one_replaced_in_test_is_promoted_when_its_time_has_come() -> None:
    former = release("1.1", days=5)
    found = verdict(release("1.2", days=1), former)
    assert found.release == replace(former, until=NOW - DAY)
    assert found.reason.startswith("1.1 was live in test for 4.0 days, from ")


def test_the_newest_of_several_that_may_is_promoted() -> None:
    sick = release("1.3", days=6, health=Health(1, 8, 0))
    found = verdict(release("1.4", days=1), release("1.1", days=9), release("1.2", days=7), sick)
    assert found.release is not None
    assert found.release.version == "1.2"


def test_the_reasons_of_the_newest_ones_are_told() -> None:
    found = verdict(release("1.2", days=1), release("1.1", days=6, health=Health(7, 2, 0)))
    assert found.kind is Kind.SOAKING
    assert found.reason == (
        "1.2 has been in the test app for 1.0 of 5 days; 1.1: 2 of 9 Macs in ERROR (22 %), limit 5 %"
    )


def test_of_many_that_are_held_the_newest_three_are_told() -> None:
    found = verdict(*(release(f"1.{minor}", days=1) for minor in (5, 4, 3, 2)))
    assert [reason.split()[0] for reason in found.reason.split("; ")] == ["1.5", "1.4", "1.3"]


def test_what_test_had_is_promoted_also_where_test_has_nothing_now() -> None:
    assert verdict(None, release("1.1", days=6)).release == release("1.1", days=6)


def test_nothing_newer_is_said_with_the_version_of_prod_where_it_is_known() -> None:
    assert verdict(release("1.0", sha256=IN_PROD.sha256)).reason == "the test app has nothing newer than 1.0"
    unknown = replace(IN_PROD, version="")
    assert verdict(None, standing=unknown).reason == "the test app has nothing newer than the prod app"


def test_a_former_release_tells_when_it_was_there_and_what_its_macs_said_then(monkeypatch: pytest.MonkeyPatch) -> None:
    """The times are UTC, wherever the machine is."""
    monkeypatch.setenv("TZ", "America/Los_Angeles")
    time.tzset()
    quiet = replace(RULES, min_pass=None, max_error_percent=None, require_status=None)
    live = release("1.2", days=1)
    try:
        soaking = verdict(live, release("1.1", days=3, until=NOW - 2 * DAY)).reason.split("; ")[1]
        hours = verdict(live, release("1.1", days=6, until=NOW - 5.5 * DAY)).reason
        days = verdict(live, release("1.1", days=6, until=NOW - 5 * DAY, health=None), rules=quiet).reason
    finally:
        monkeypatch.undo()
        time.tzset()
    assert soaking == "1.1 came into the test app 3.0 of 5 days ago (and was there until 2026-01-31 02:40 UTC)"
    assert hours == (
        "1.1 was live in test for 12.0 hours, from 2026-01-27 02:40 UTC to 2026-01-27 14:40 UTC; "
        "its Macs when it was replaced: 9 of 10 Macs PASS, 0 in ERROR"
    )
    assert days == "1.1 was live in test for 1.0 days, from 2026-01-27 02:40 UTC to 2026-01-28 02:40 UTC"


def test_of_macs_that_were_not_asked_nothing_is_said() -> None:
    found = verdict(release(health=None), rules=Promotion(after_days=5))
    assert found.reason == "1.1 has been in test for 6.0 days"


def test_without_a_limit_of_errors_they_do_not_hold_and_just_enough_macs_are_enough() -> None:
    assert verdict(release(health=Health(3, 6, 0)), rules=Promotion(after_days=5, min_pass=3)).kind is Kind.PROMOTE


def test_a_soak_is_over_at_the_very_second() -> None:
    rules = Promotion(after_days=1)
    assert verdict(release(days=23 / 24, health=None), rules=rules).kind is Kind.PROMOTE


@pytest.mark.parametrize(
    ("ahead", "said"),
    [
        (0, ""),
        (900, ""),
        (-900, ""),
        (901, "this machine's clock is 15 minutes ahead of Kandji's"),
        (-3599, "this machine's clock is 60 minutes behind Kandji's"),
        (-3600, "this machine's clock is 1.0 hours behind Kandji's"),
        (9000, "this machine's clock is 2.5 hours ahead of Kandji's"),
        (DAY, "this machine's clock is 1.0 days ahead of Kandji's"),
        (None, "Kandji's answers do not tell the time (there is no Date header)"),
    ],
)
def test_a_clock_that_is_wrong_holds_and_is_told_with_by_how_much(ahead: float | None, said: str) -> None:
    found = verdict(release(), clock_ahead=ahead)
    if said:
        assert (found.kind, found.reason) == (Kind.CLOCK, f"{said}; nothing is promoted until it is right")
    else:
        assert found.kind is Kind.PROMOTE


def test_one_release_is_judged_with_its_soak_unless_it_is_wanted_at_once() -> None:
    assert judge(release(days=1), RULES, IN_PROD, NOW).kind is Kind.SOAKING
    assert judge(release(days=1), AT_ONCE, IN_PROD, NOW).kind is Kind.PROMOTE


def test_above_the_pin_nothing_is_promoted() -> None:
    assert verdict(release("1.1"), standing=replace(IN_PROD, pin="1.0.5")).kind is Kind.PINNED
    assert verdict(release("1.1"), standing=replace(IN_PROD, pin="1.1")).kind is Kind.PROMOTE
    assert verdict(release(""), standing=Standing(pin="1.1")).kind is Kind.PINNED


def test_what_was_rolled_back_stays_away_until_a_newer_one_comes() -> None:
    standing = replace(IN_PROD, rolled_back=release("1.2"))
    assert verdict(release("1.2"), standing=standing).kind is Kind.ROLLED_BACK
    assert verdict(release("1.1"), standing=standing).kind is Kind.ROLLED_BACK
    assert verdict(release("1.2.1"), standing=standing).kind is Kind.PROMOTE


def test_what_was_rolled_back_in_test_is_not_promoted_but_an_older_one_may_be() -> None:
    standing = replace(IN_PROD, withdrawn=release("1.2"))
    found = verdict(release("1.1"), release("1.2"), standing=standing)
    assert found.release == release("1.1")
    alone = verdict(release("1.2"), standing=standing)
    assert (alone.kind, alone.reason) == (Kind.ROLLED_BACK, "1.2 was rolled back in the test app")


def test_a_file_that_was_rolled_back_stays_away_also_where_no_version_is_known() -> None:
    standing = replace(IN_PROD, rolled_back=release("", sha256="c" * 64))
    assert verdict(release("1.1", sha256="c" * 64), standing=standing).kind is Kind.ROLLED_BACK


def test_a_release_from_the_future_is_held_with_a_word_on_the_clock() -> None:
    found = verdict(release(days=-2), rules=AT_ONCE)
    assert found.kind is Kind.CLOCK
    assert found.reason == (
        "1.1 came at 2026-02-04 02:40 UTC, in the future by Kandji's clock: that of the machine which published it was "
        "wrong"
    )
    assert verdict(release(days=-900 / DAY), rules=AT_ONCE).kind is Kind.PROMOTE


def test_a_release_whose_bytes_are_not_known_is_not_promoted() -> None:
    assert verdict(release(sha256="")).kind is Kind.UNKNOWN
    assert verdict(release(file_key="")).kind is Kind.UNKNOWN


def test_the_same_version_built_again_is_promoted_once_and_never_back() -> None:
    anew = release("1.0", sha256="b" * 64)
    assert verdict(anew).release == anew
    after = Standing(exists=True, version="1.0", sha256="b" * 64, former=frozenset({IN_PROD.sha256}))
    assert verdict(release("1.0", sha256=IN_PROD.sha256), standing=after).kind is Kind.CURRENT


CONTENTS = st.builds(
    Contents,
    preinstall_script=st.none() | st.sampled_from(["", "a", "b"]),
    postinstall_script=st.none() | st.sampled_from(["", "a", "b"]),
    restart=st.none() | st.booleans(),
    unzip_location=st.none() | st.sampled_from(["/a", "/b"]),
    blocking_applications=st.none() | st.sampled_from([(), ("a",), ("a", "b")]),
    minimum_os_version=st.none() | st.sampled_from(["13", "14"]),
)


@settings(max_examples=examples(20))
@given(*[st.sampled_from("ab"), CONTENTS, CONTENTS] * 2)
def test_two_releases_have_one_digest_only_if_all_that_reaches_a_mac_is_the_same(sha, test, prod, sha2, test2, prod2):
    same = releases.digest_of(sha, test, prod) == releases.digest_of(sha2, test2, prod2)
    assert same == ((sha, test, prod) == (sha2, test2, prod2))


def test_the_digest_does_not_hang_on_how_the_service_writes_line_ends() -> None:
    ours, theirs = (Contents(postinstall_script=text) for text in ("#!/bin/zsh\necho\n", "#!/bin/zsh\r\necho"))
    assert releases.digest_of("a", ours, ours) == releases.digest_of("a", theirs, theirs)
    assert releases.digest_of("", ours, ours) == ""


def test_a_release_that_was_only_packaged_again_is_not_ahead_of_prod() -> None:
    standing = replace(IN_PROD, content="c1", digest="d1")
    again = release(IN_PROD.version, sha256="e" * 64, content="c1", digest="d1")
    assert verdict(again, standing=standing).kind is Kind.CURRENT
    assert verdict(replace(again, content="c2", digest="d2"), standing=standing).kind is Kind.PROMOTE
    assert verdict(replace(again, digest="d2"), standing=standing).kind is Kind.PROMOTE, "with another script"
    assert verdict(replace(again, version="9"), standing=standing).kind is Kind.PROMOTE
    before = replace(IN_PROD, former=frozenset({"c1"}))
    assert verdict(again, standing=before).kind is Kind.CURRENT, "prod had it before"


def test_two_releases_of_which_the_content_is_not_known_are_not_the_same_by_that() -> None:
    again = release(IN_PROD.version, sha256="e" * 64, content="", digest="d1")
    before = replace(IN_PROD, former=frozenset({"", "c" * 64}))  # as an older version of this tool noted it
    assert verdict(again, standing=before).kind is Kind.PROMOTE


def test_a_digest_from_before_the_content_was_read_stays_what_it_was() -> None:
    old = release(sha256="e" * 64, digest=releases.digest_of("e" * 64, Contents(), Contents()))
    assert old.digest == "be20eba620f5789e0c84023e1f6833cc"
    assert old.installer == "e" * 64
    now = replace(old, content="c1", digest=releases.digest_of("c1", Contents(), Contents()))
    assert now.digest != old.digest
    assert now.is_also(old), "the same file"
    assert not replace(now, sha256="f" * 64).is_also(old)
    assert replace(now, sha256="f" * 64).is_also(now), "only packaged again"


def test_what_a_note_holds_of_the_content_is_39_bytes_a_release() -> None:
    ledger = Ledger(release(), former=(release(),) * releases.KEPT_CANDIDATES)
    known = replace(ledger, current=release(content="0" * 32), former=(release(content="0" * 32),) * 20)
    sizes = [sum(map(len, releases.to_notes(each).values())) for each in (ledger, known)]
    assert sizes[1] - sizes[0] == 21 * 39


@given(CONTENTS)
def test_contents_know_which_of_them_were_given(contents: Contents) -> None:
    assert contents.only(contents.given) == contents
    assert contents.only("") == Contents()


def test_the_same_installer_with_another_script_is_ahead_of_prod_only_while_test_has_it() -> None:
    standing = replace(IN_PROD, digest="one")
    changed = release("1.0", sha256=IN_PROD.sha256, digest="two")
    assert verdict(changed, standing=standing).release == changed
    assert verdict(replace(changed, digest="one"), standing=standing).kind is Kind.CURRENT
    assert verdict(replace(changed, digest=""), standing=standing).kind is Kind.CURRENT
    assert verdict(changed, standing=IN_PROD).kind is Kind.CURRENT
    assert verdict(release("0.9"), changed, standing=standing).kind is Kind.CURRENT


# What the Macs say


def counted(*records: StatusRecord, version: str = "1.1", since: float = NOW - DAY) -> tuple[int, int, int]:
    health = weigh(records, version, since, NOW)
    return health.passed, health.errors, health.pending


@pytest.mark.parametrize(
    "at", [None, NOW - 2 * DAY, NOW - DAY, NOW + DAY], ids=["never", "before", "as it came", "future"]
)
@pytest.mark.parametrize("status", ["PASS", "ERROR"])
def test_only_what_was_said_since_the_release_came_is_evidence(status: str, at: float | None) -> None:
    assert counted(record(status, at)) == (0, 0, 1)
    assert counted(record(status, NOW - 60)) == ((1, 0, 0) if status == "PASS" else (0, 1, 0))


def test_clocks_that_differ_by_minutes_are_taken_as_they_are() -> None:
    assert counted(record("PASS", NOW + 900)) == (1, 0, 0)
    assert counted(record("PASS", NOW + 901)) == (0, 0, 1)


def test_the_macs_are_counted_and_it_is_known_when_they_were_asked() -> None:
    records = [record(status, NOW - 60) for status in ("PASS", "ERROR", "PASS", "ERROR", "PASS", "PENDING")]
    assert weigh(records, "1.1", NOW - DAY, NOW) == Health(3, 2, 1, NOW)


def test_a_mac_that_has_asked_for_the_version_without_effect_is_in_error() -> None:
    """Its audit passes, since it waits before it asks again."""
    log = (
        "Installed version '1.0' less than required version '1.1'\n"
        "Waiting until 2026-01-02 00:00:00 UTC: version '1.1' was asked for 3 times, and 'Firefox' still lacks it"
    )
    assert counted(record("PASS", NOW - 60, log)) == (0, 1, 0)
    assert counted(record("PASS", NOW - 2 * DAY, log)) == (0, 0, 1)


def test_an_audit_whose_deadline_is_not_due_is_no_pass() -> None:
    log = (
        "\u2022 Update is due at 2026-02-20\n\u2022 Will verify 'Firefox.app' running at least version '1.1' in 4 days"
    )
    assert counted(record("PASS", NOW - 60, log)) == (0, 0, 1)


def test_a_mac_with_an_older_version_does_not_pass_a_newer_one() -> None:
    older = "\u2022 Installed version '1.0' less than required version '1.1'\n\u2022 User clicked Delay"
    newer = "\u2022 Installed version '1.2' greater than or equal to enforced version '1.1'"
    same = newer.replace("'1.2'", "'1.1'")
    assert counted(*(record("PASS", NOW - 60, log) for log in (older, newer, same))) == (2, 0, 1)


def test_a_mac_without_the_app_does_not_pass() -> None:
    log = "\u2022 'Firefox.app' not found. Nothing to update"
    assert counted(record("PASS", NOW - 60, log)) == (0, 0, 1)


def test_an_audit_run_since_counts_although_the_report_is_older() -> None:
    late = stamp(datetime.fromtimestamp(NOW - 60, timezone.utc))
    assert counted(record("PASS", NOW - 9 * DAY, last_audit_run=late)) == (1, 0, 0)


def test_any_other_status_is_pending() -> None:
    words = ["PENDING", "AVAILABLE", "INSTALLING", "EXCLUDED", "", "pass?"]
    assert counted(*(record(word, NOW - 60) for word in words)) == (0, 0, len(words))


@pytest.mark.no_cover  # two tracers at once
def test_the_health_of_a_large_fleet_takes_no_more_memory_than_that_of_a_small_one() -> None:
    def fleet(macs: int):
        return (record("PASS" if number % 7 else "ERROR", NOW - 60, "x" * 2000) for number in range(macs))

    def peak(macs: int) -> int:
        tracemalloc.start()
        weigh(fleet(macs), "1.1", NOW - DAY, NOW)
        _, high = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return high

    peak(10)
    assert peak(4000) < peak(40) + 50_000


# What is remembered

TEXTS = st.text(max_size=8)
HEALTHS = st.none() | st.builds(Health, *[st.integers(0, 99)] * 3, st.integers(0, 10**9).map(float))
RELEASES = st.builds(
    Release,
    version=st.sampled_from(["", "1.0", "1.1", "2.0", "2.0.1"]),
    sha256=st.sampled_from(["", *"abcdef"]),
    at=st.integers(0, 2 * 10**9).map(float),
    file_key=st.sampled_from(["", "k1", "k2", "k3"]),
    install_type=st.sampled_from(InstallType),
    app_name=st.none() | TEXTS.filter(bool),
    bundle_id=st.none() | TEXTS.filter(bool),
    package_id=st.none() | TEXTS.filter(bool),
    version_key=st.none() | TEXTS.filter(bool),
    health=HEALTHS,
    until=st.integers(0, 2 * 10**9).map(float),
    digest=st.sampled_from(["", "d1", "d2"]),
    given=st.sampled_from(["", "a", "bc"]),
    content=st.sampled_from(["", "c1", "c2"]),
)
LEDGERS = st.builds(Ledger, st.none() | RELEASES, st.lists(RELEASES, max_size=4).map(tuple), st.none() | RELEASES)


@given(LEDGERS)
def test_notes_hold_a_ledger_and_give_it_back(ledger: Ledger) -> None:
    notes = releases.to_notes(ledger)
    assert releases.from_notes(notes) == ledger
    assert all("\n" not in text and text.isascii() for text in notes.values())


@given(
    st.dictionaries(
        st.sampled_from(["current", "former", "rolled_back"]),
        TEXTS
        | st.sampled_from(
            [
                '{"t":NaN}',
                '{"t":1e999}',
                '[{"t":true,"v":1}]',
                '{"t":5,"i":"exe"}',
                "[[1]]",
                '{"t":5,"h":[1,2]}',
                '{"t":5,"h":"x"}',
                '{"t":5,"h":[1,0,0,1000000000000000000]}',
                "[" * 9999,
            ]
        ),
    )
)
def test_notes_that_cannot_be_read_count_as_none(notes: dict[str, str]) -> None:
    found = releases.from_notes(notes)
    for item in (*found.former, *filter(None, [found.current, found.rolled_back])):
        assert item.at >= 0
        reported(item.health)  # what is told of it, with a time that a calendar has


def test_of_a_release_that_both_know_the_earlier_time_and_the_later_health_count() -> None:
    script = Ledger(former=(release("1.1", days=3, health=Health(1, 0, 0, at=1)),))
    state = Ledger(former=(release("1.1", days=4, health=Health(2, 0, 0, at=2)),))
    (found,) = releases.merge(script, state).former
    assert found == release("1.1", days=4, health=Health(2, 0, 0, at=2))
    assert releases.merge(state, script).former == (found,)


def test_what_this_machine_takes_for_current_is_former_where_the_script_names_another() -> None:
    found = releases.merge(Ledger(current=release("1.2")), Ledger(current=release("1.1")))
    assert found.current == release("1.2")
    assert found.former == (release("1.1"),)


def test_the_current_release_is_not_among_the_former_ones() -> None:
    found = releases.merge(Ledger(current=release("1.1", file_key="")), Ledger(former=(release("1.1"),)))
    assert found.former == ()
    assert found.current == release("1.1")


def test_a_new_release_makes_the_live_one_a_former_one_with_its_health() -> None:
    after = releases.replaced(Ledger(), release("1.1"), release("1.2"), keep=20)
    assert (after.current, after.former) == (release("1.2"), (replace(release("1.1"), until=release("1.2").at),))


def test_releases_that_prod_has_passed_are_forgotten() -> None:
    ledger = Ledger(former=(release("1.0", days=9), release("1.1", days=8)))
    after = releases.replaced(ledger, release("1.2"), release("1.3"), keep=20, above="1.0")
    assert [item.version for item in after.former] == ["1.1", "1.2"]


def test_a_newer_release_lifts_the_mark_of_a_rollback_and_an_older_one_does_not() -> None:
    ledger = Ledger(rolled_back=release("1.2"))
    assert releases.replaced(ledger, None, release("1.3"), keep=5).rolled_back is None
    assert releases.replaced(ledger, None, release("1.1"), keep=5).rolled_back == release("1.2")


def test_going_back_marks_what_is_given_up_and_going_forward_lifts_it() -> None:
    back = releases.taken(Ledger(), release("1.2", days=1), release("1.1"))
    assert back.rolled_back == release("1.2", days=1)
    further = releases.taken(back, release("1.1"), release("1.0"))
    assert further.rolled_back == release("1.2", days=1)
    forward = releases.taken(further, release("1.0"), release("1.2"))
    assert forward.rolled_back is None


def test_the_release_before_is_the_one_to_go_back_to_and_never_what_was_given_up() -> None:
    ledger = Ledger(former=(release("1.0", days=9), release("1.1", days=5)))
    assert releases.former_release(release("1.2", days=1), ledger, None) == release("1.1", days=5, until=NOW - DAY)
    after = releases.taken(ledger, release("1.2", days=1), release("1.1", days=0))
    again = releases.former_release(release("1.1", days=0), after, None)
    assert again is not None
    assert again.version == "1.0"
    assert releases.former_release(release("1.0"), Ledger(former=(release("1.0"),)), None) is None


def test_a_second_rollback_does_not_return_to_a_build_of_the_same_version_that_was_given_up() -> None:
    first, anew = release("1.0", sha256="first", file_key="k1", days=9), release("1.0", sha256="anew", file_key="k2")
    older = release("0.9", days=20)
    after = releases.taken(Ledger(former=(older, first)), anew, first)
    found = releases.former_release(first, after, None)
    assert (found and found.version) == "0.9"


@given(st.lists(st.floats(0.01, 3), min_size=1, max_size=120), st.integers(3, 20))
def test_however_often_test_is_updated_one_release_is_always_about_to_have_soaked(gaps: list[float], keep: int) -> None:
    ledger, at, live = Ledger(), 0.0, None
    for number, gap in enumerate(gaps):
        at += gap * DAY
        coming = Release(f"1.{number}", f"s{number}", at, f"k{number}")
        ledger = releases.replaced(ledger, live, coming, keep=keep)
        live = coming
        former = [item.at for item in ledger.former]
        assert former == sorted(former)
        assert len(former) <= keep
        if number:
            assert (former[0], former[-1]) == (gaps[0] * DAY, pytest.approx(at - gap * DAY))
    # Evenly thinned: no gap is wider than what an even spread of half as many would have.
    stamps = [item.at for item in ledger.former]
    widest = max((after - before for before, after in pairwise(stamps)), default=0)
    assert widest <= max(3 * DAY, 4 * (stamps[-1] - stamps[0]) / keep + 3 * DAY if stamps else 0)
