"""When anything may reach a Mac: windows, freezes, zones, and the clock that is turned."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kandji_uploader.models import WEEKDAYS, Freeze, Promotion, Settings, Window
from kandji_uploader.promotion.calendar import Calendar
from kandji_uploader.settings import parts
from kandji_uploader.settings.coercion import UnfitError

VIENNA = "Europe/Vienna"
MANY = int(os.environ.get("KANDJI_CALENDAR_EXAMPLES", "20"))
ZONES = ("UTC", VIENNA, "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "America/Santiago")
HOURS = tuple(f"{hour:02}:{minute:02}" for hour in range(24) for minute in (0, 1, 30, 59))


def at(text: str, zone: str = VIENNA, fold: int = 0) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold).timestamp()


def wall(moment: float, zone: str = VIENNA) -> str:
    return datetime.fromtimestamp(moment, ZoneInfo(zone)).strftime("%a %Y-%m-%d %H:%M %Z").lower()


def window(days: object = "mon-thu", hours: str = "09:00-15:00", zone: str = VIENNA) -> Window:
    return parts.window({"days": days, "hours": hours, "zone": zone})


def frozen(**words: str) -> tuple[Freeze, ...]:
    return parts.freezes([words])


@pytest.mark.parametrize(
    ("hours", "now", "said"),
    [
        ("09:00-15:00", "2026-11-20T12:00", "waiting for mon 09:00 (Europe/Vienna)"),  # a Friday
        ("09:00-15:00", "2026-11-19T08:59", "waiting for thu 09:00 (Europe/Vienna)"),
        ("09:00-15:00", "2026-11-19T09:00", ""),
        ("09:00-15:00", "2026-11-19T14:59", ""),
        ("09:00-15:00", "2026-11-19T15:00", "waiting for mon 09:00 (Europe/Vienna)"),
        ("22:00-04:00", "2026-11-20T03:59", ""),  # the night of Thursday
        ("22:00-04:00", "2026-11-20T04:00", "waiting for mon 22:00 (Europe/Vienna)"),
        ("22:00-04:00", "2026-11-23T01:00", "waiting for mon 22:00 (Europe/Vienna)"),  # the night of Sunday
        ("00:00-24:00", "2026-11-22T23:59", "waiting for mon 00:00 (Europe/Vienna)"),
    ],
)
def test_a_window_is_open_in_its_hours_and_says_when_it_opens_next(hours, now, said):
    assert Calendar(window(hours=hours)).waits(at(now)) == said


def test_an_opening_that_is_a_week_or_more_away_is_told_with_its_date():
    calendar = Calendar(window("mon"))
    assert calendar.waits(at("2026-11-23T15:00")) == "waiting for mon 2026-11-30 09:00 (Europe/Vienna)"
    calendar = Calendar(window("sun", "02:15-02:45"))
    assert calendar.waits(at("2026-03-22T02:45")) == "waiting for sun 2026-04-05 02:15 (Europe/Vienna)"


@pytest.mark.parametrize(
    ("hours", "now", "opens"),
    [
        # On 2026-03-29 the clock goes from 02:00 to 03:00, on 2026-10-25 from 03:00 back to 02:00.
        ("02:30-04:00", "2026-03-29T00:00", "sun 2026-03-29 03:00 cest"),
        ("02:15-02:45", "2026-03-29T00:00", "sun 2026-04-05 02:15 cest"),
        ("02:15-02:45", "2026-10-25T00:00", "sun 2026-10-25 02:15 cest"),
        ("02:15-02:45", "2026-10-25T02:50", "sun 2026-10-25 02:15 cet"),
    ],
)
def test_hours_that_the_clock_skips_are_not_there_and_those_that_it_shows_twice_are_open_twice(hours, now, opens):
    calendar = Calendar(window("sun", hours))
    assert wall(calendar.next_opening(at(now))) == opens


@pytest.mark.parametrize(
    ("words", "first", "last"),
    [
        ({"from": "2026-12-20", "until": "2027-01-07"}, "2026-12-20T00:00", "2027-01-07T23:59"),
        ({"from": "2026-12-20T18:00", "until": "2026-12-20 19:00"}, "2026-12-20T18:00", "2026-12-20T18:59"),
        ({"from": "2026-12-20T17:00Z", "until": "2026-12-21T09:00+01:00"}, "2026-12-20T18:00", "2026-12-21T08:59"),
        ({"from": "2026-03-29", "until": "2026-03-29"}, "2026-03-29T00:00", "2026-03-29T23:59"),
    ],
)
def test_a_freeze_holds_from_its_first_minute_to_its_last_and_a_date_is_a_whole_day(words, first, last):
    calendar = Calendar(freezes=frozen(why="Christmas", zone=VIENNA, **words))
    said = f"frozen until {words['until']}: Christmas"
    assert [calendar.frozen(at(first) - 60), calendar.frozen(at(first))] == ["", said]
    assert [calendar.frozen(at(last)), calendar.frozen(at(last) + 60)] == [said, ""]


def test_a_freeze_without_a_zone_goes_by_that_of_the_window_of_all_rings_else_by_utc():
    midnight, own = at("2026-12-25T00:30"), Promotion(window=window(zone="Asia/Kathmandu"))
    alone = Settings("", freezes=frozen(until="2026-12-24"), promotion=own)
    assert Calendar.of(alone).frozen(midnight) == "frozen until 2026-12-24"
    assert Calendar.of(replace(alone, window=window())).frozen(midnight) == ""
    assert Calendar.of(replace(alone, window=window())).window == own.window


def test_of_several_freezes_the_one_that_ends_last_is_told_and_those_that_are_over_have_no_effect():
    freezes = (
        *frozen(until="2026-01-07", why="old"),
        *frozen(until="2026-12-01"),
        *frozen(until="2026-12-24", why="x"),
    )
    calendar = Calendar(window(), freezes)
    assert calendar.waits(at("2026-11-20T12:00")) == "frozen until 2026-12-24: x"
    assert [each.why for each in calendar.over(at("2026-11-20T12:00"))] == ["old"]


def test_a_freeze_that_begins_or_ends_in_an_hour_that_comes_twice_lasts_longer_and_no_less():
    ends = Calendar(freezes=frozen(until="2026-10-25T02:30", zone=VIENNA))
    assert ends.frozen(at("2026-10-25T02:29", fold=1))
    assert not ends.frozen(at("2026-10-25T02:30", fold=1))
    assert [len(ends.over(at(f"2026-10-25T02:{minute}", fold=1))) for minute in (29, 30)] == [0, 1]
    begins = Calendar(freezes=frozen(**{"from": "2026-10-25T02:30", "until": "2026-10-26"}, zone=VIENNA))
    assert begins.frozen(at("2026-10-25T02:30", fold=0))


def test_after_a_freeze_the_window_counts_again():
    calendar = Calendar(window(), frozen(**{"from": "2026-11-22", "until": "2026-11-24"}))
    assert wall(calendar.next_opening(at("2026-11-21T12:00"))) == "wed 2026-11-25 09:00 cet"
    assert calendar.waits(at("2026-11-21T12:00")) == "waiting for wed 09:00 (Europe/Vienna)"


windows = st.builds(
    lambda days, ends, zone: Window(tuple(day for day in WEEKDAYS if day in days), "-".join(ends), zone),
    st.sets(st.sampled_from(WEEKDAYS), min_size=1),
    st.lists(st.sampled_from(HOURS), min_size=2, max_size=2, unique=True),
    st.sampled_from(ZONES),
)
# Around the days on which one of these zones turns its clock, and others.
moments = st.builds(
    lambda day, minute: at(day, "UTC") + 60 * minute,
    st.sampled_from(["2026-03-28", "2026-10-24", "2026-03-07", "2026-10-31", "2026-04-04", "2026-09-05"]),
    st.integers(0, 4 * 1440),
)


def freeze(begin: float, hours: int) -> Freeze:
    begins = datetime.fromtimestamp(begin, timezone.utc)
    ends = begins + timedelta(hours=hours)
    return Freeze(begins, ends, ends.isoformat())


def is_open(calendar: Calendar, moment: float) -> bool:
    """By the plain meaning of the words, minute by minute."""
    if any(each.begins.timestamp() <= moment < each.ends.timestamp() for each in calendar.freezes):
        return False
    local = datetime.fromtimestamp(moment, ZoneInfo(calendar.window.zone))
    opens, closes = calendar.window.hours.split("-")
    now, day = local.strftime("%H:%M"), local.strftime("%a").lower()
    before = (local.date() - timedelta(days=1)).strftime("%a").lower()
    if opens < closes:
        return opens <= now < closes and day in calendar.window.days
    return (now >= opens and day in calendar.window.days) or (now < closes and before in calendar.window.days)


@settings(max_examples=MANY, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(windows, moments, st.lists(st.builds(freeze, moments, st.integers(1, 60)), max_size=3))
def test_nothing_moves_outside_of_a_window_or_in_a_freeze_and_the_next_opening_is_the_first_minute(hours, now, freezes):
    calendar = Calendar(hours, tuple(freezes))
    assert (calendar.waits(now) == "") == is_open(calendar, now)
    opening = calendar.next_opening(now)
    assert is_open(calendar, opening)
    assert calendar.waits(opening) == ""
    for minutes in range(min(int(opening - now) // 60, 3 * 1440)):
        assert not is_open(calendar, now + 60 * minutes)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"hours": "09:00-09:00", "zone": VIENNA}, "'09:00-09:00', in which it never opens"),
        ({"days": [], "zone": VIENNA}, "holds no days, so the window never opens"),
        ({"days": "mon-funday", "zone": VIENNA}, "holds the day 'mon-funday'; days are mon, tue"),
        ({"hours": "9-15", "zone": VIENNA}, "holds hours '9-15'; write them as '09:00-15:00'"),
        ({"hours": "09:00-24:30", "zone": VIENNA}, "holds hours '09:00-24:30'"),
        ({"days": "mon"}, "must name its zone"),
        ({"zone": "Europe/Wien"}, "names the zone 'Europe/Wien', which does not exist; did you mean Europe/"),
        ({"zone": "../etc/passwd"}, "names the zone '../etc/passwd', which does not exist"),
        ({"zone": "Europe"}, "names the zone 'Europe', which does not exist"),
        ({"zoen": VIENNA}, "holds 'zoen', which is not known; did you mean zone?"),
        ("mon-thu", "must be {days: mon-thu, hours:"),
    ],
)
def test_a_window_that_never_opens_or_cannot_be_read_is_refused_with_the_fix(value, said):
    with pytest.raises(UnfitError) as refused:
        parts.window(value)
    assert said in refused.value.accepted


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (
            [{"from": "2027-01-08", "until": "2027-01-07"}],
            "from 2027-01-08 until 2027-01-07, which ends before",
        ),
        ([{"from": "2027-01-07T12:00", "until": "2027-01-07T12:00"}], "which ends before it begins"),
        ([{"from": "2027-01-07T12:00", "until": "2027-01-07T12:00+02:00"}], "which ends before it begins"),
        ([{"from": "2027-01-07"}], "holds a freeze without `until`"),
        ([{"until": "7.1.2027"}], "holds until '7.1.2027', which is no date; write it as 2027-01-07"),
        ([{"until": "20270107"}], "holds until '20270107', which is no date"),
        ([{"until": "2027-W01-4"}], "holds until '2027-W01-4', which is no date"),
        ([{"until": "9999-12-31"}], "holds until '9999-12-31', which is no date"),
        ([{"untill": "2027-01-07"}], "did you mean until?"),
        ("Christmas", "must be a list of freezes"),
    ],
)
def test_a_freeze_that_ends_before_it_begins_or_cannot_be_read_is_refused_with_the_fix(value, said):
    with pytest.raises(UnfitError) as refused:
        parts.freezes(value)
    assert said in refused.value.accepted


@pytest.mark.parametrize(
    ("value", "read"),
    [
        (["128.1", "129.*", "128.1"], ("128.1", "129.*")),
        (" 128.1 , 129.* ", ("128.1", "129.*")),
        ("*", "holds '*'; a `*` stands at the end only, behind a dot"),
        (["12*"], "holds '12*'; a `*` stands at the end only"),
        (["*.1"], "holds '*.1'; a `*` stands"),
        ([".*"], "holds '.*'; a `*` stands"),
        ([], "must be a list of versions, such as ['128.1', '129.*']"),
        ({"a": 1}, "must be a list of versions"),
        ([128.1], "was read as a number"),
    ],
)
def test_versions_are_whole_or_end_in_a_dot_and_a_star(value, read):
    if isinstance(read, tuple):
        assert parts.versions(value) == read
        return
    with pytest.raises(UnfitError, match=re.escape(read)):
        parts.versions(value)


@pytest.mark.parametrize(
    ("days", "read"),
    [
        ("fri-mon", ("mon", "fri", "sat", "sun")),
        (["Wed", "mon-tue"], ("mon", "tue", "wed")),
        ("sat, wed", ("wed", "sat")),
        ("sun-sun", ("sun",)),
    ],
)
def test_days_are_single_ones_or_from_one_to_another_in_any_order(days, read):
    assert window(days).days == read


def test_where_a_machine_knows_no_zones_the_error_says_what_to_install():
    code = "from kandji_uploader.settings import parts; parts.window({'zone': 'Europe/Vienna'})"
    # A slim container: no time zones of the system, and no package tzdata.
    start = f"import sys; sys.modules['tzdata'] = None; {code}"
    environ = {**os.environ, "PYTHONTZPATH": "", "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", start], capture_output=True, text=True, check=False, env=environ)
    assert "has no time zones: install the package tzdata" in done.stderr
