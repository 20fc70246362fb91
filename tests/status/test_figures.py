"""From status records to figures."""

from __future__ import annotations

import time
import tracemalloc
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kandji_uploader.status.models import StatusFigures, StatusRecord
from kandji_uploader.status.summary import AGES, NO_REASON, NOT_INSTALLED, OTHERS, moment, summarise
from tests.status.samples import FAILURES, NOW, audit, mixed, record


def figures(*records, **further):
    return summarise(records, NOW, **further)


def reason(log="", audit_log=""):
    (found,) = figures(record(1, "ERROR", log=log, last_audit_log=audit_log)).reasons
    return found


def test_no_macs():
    assert summarise((), NOW) == StatusFigures(ages=dict.fromkeys(AGES, 0))


def test_macs_are_counted_by_status_whatever_the_service_calls_it():
    found = figures(record(1), record(2), record(3, "pending"), record(4, "SOMETHING_NEW"), record(5, ""))
    assert found.macs == 5
    assert found.statuses == {"PASS": 2, "(no status)": 1, "PENDING": 1, "SOMETHING_NEW": 1}
    assert next(iter(found.statuses)) == "PASS"


def test_scope_is_counted_by_blueprint():
    assert figures(*(record(number) for number in range(7))).blueprints == {"Staff": 3, "Executives": 2, "Lab": 2}


@pytest.mark.parametrize(
    ("log", "version"),
    [
        (audit("89.0", "90.0"), "89.0"),
        (audit("90.0", "90.0"), "90.0"),
        (audit(None, "90.0"), NOT_INSTALLED),
        (audit("88.0", "90.0") + audit("90.0", "90.0"), "90.0"),
        (audit(None, "90.0") + audit("90.0", "90.0"), "90.0"),
        ("• Installed version '1.2.3 (456)' less than required version '2'", "1.2.3 (456)"),
        ("Will verify 'Google Drive.app' running at least version '90.0' in 4 days", ""),
        ("Installed version '' less than", ""),
        ("", ""),
    ],
)
def test_versions_are_read_from_the_audit_log_where_it_tells(log, version):
    found = figures(record(1, last_audit_log=log))
    assert found.versions == ({version: 1} if version else {})
    assert found.listed[0].version == version


def test_the_log_tells_the_version_where_there_is_no_audit_log():
    assert figures(record(1, last_audit_log="", log=audit("89.0", "90.0"))).versions == {"89.0": 1}


@pytest.mark.parametrize(
    ("log", "expected"),
    [
        (FAILURES[0], "installer: Error - the package path specified was invalid: '/var/folders/(temporary)"),
        (FAILURES[1], "Download failed: The network connection was lost. (request (number))"),
        (FAILURES[2], "Not enough disk space: 3 GB free"),
        ("Executing audit script...\n• Script exited with non-zero status.\n", "Script exited with non-zero status."),
        ("first\nlast\n\n", "last"),
        ("cannot open /Users/dana/x", "cannot open /Users/(user)/x"),
        ("Error 4e44ed2d-5be8-4647-b63b-92d52d3d8864", "Error (id)"),
        ("Error 4.5 in step 12", "Error 4.5 in step 12"),
        ("", NO_REASON),
    ],
)
def test_the_reason_of_a_failure_is_the_line_that_tells_most(log, expected):
    assert reason(log) == expected


def test_the_install_log_tells_more_than_the_audit():
    assert reason(FAILURES[2], audit(None, "90.0")) == "Not enough disk space: 3 GB free"
    assert reason("Executing install...", audit(None, "90.0")) == "'Google Drive.app' not found. Triggering install..."


def test_one_reason_on_many_macs_is_one_reason():
    logs = (f"2026-03-0{day} 10:00:0{day} Error: download of 12345{day} failed" for day in range(1, 8))
    found = figures(*(record(number, "ERROR", log=log) for number, log in enumerate(logs)))
    assert found.reasons == {"Error: download of (number) failed": 7}


def test_only_failing_macs_have_a_reason():
    assert figures(record(1, "PASS", log=FAILURES[0]), record(2, "PENDING", log=FAILURES[0])).reasons == {}


@pytest.mark.parametrize(
    ("ago", "age"),
    [
        (timedelta(minutes=1), "within a day"),
        (timedelta(hours=25), "within a week"),
        (timedelta(days=8), "within 30 days"),
        (timedelta(days=31), "more than 30 days ago"),
        (timedelta(days=-2), "within a day"),
    ],
)
def test_age_of_the_last_report(ago, age):
    found = figures(record(1, reported_at=(NOW - ago).isoformat()))
    assert {word for word, count in found.ages.items() if count} == {age}
    assert found.newest_report == found.oldest_report == NOW - ago


def test_a_later_audit_is_a_report_too():
    found = figures(record(1, reported_at="2026-01-01T00:00:00Z", last_audit_run="2026-03-01T00:00:00Z"))
    assert found.newest_report == datetime(2026, 3, 1, tzinfo=timezone.utc)


def test_a_mac_that_never_reported():
    found = figures(record(1, reported_at=""), record(2, reported_at="soon"))
    assert found.ages["never"] == 2
    assert found.newest_report is None


@pytest.mark.parametrize(
    "text",
    ["2023-10-23T19:47:33Z", "2023-10-23T19:47:33.0Z", "2023-10-23T19:47:33.000000000Z", "2023-10-23 21:47:33+02:00"],
)
def test_times_in_all_spellings(text):
    assert moment(text) == datetime(2023, 10, 23, 19, 47, 33, tzinfo=timezone.utc)


def test_failing_macs_are_listed_first_and_passing_ones_last():
    found = summarise(mixed(412), NOW, listed=100)
    ranks = [("ERROR", "PENDING", "INCOMPATIBLE", "PASS").index(mac.status) for mac in found.listed]
    assert len(found.listed) == 100
    assert found.unlisted == 312
    assert ranks[:38] == [0] * 38
    assert sorted(1 if rank else 0 for rank in ranks) == [1 if rank else 0 for rank in ranks]
    assert all(rank < 3 for rank in ranks[:95])


def test_the_figures_add_up():
    found = summarise(mixed(10_000), NOW)
    assert found.macs == 10_000 == sum(found.statuses.values()) == sum(found.blueprints.values())
    assert sum(found.ages.values()) == 10_000
    assert sum(found.reasons.values()) == found.statuses["ERROR"]


def _peak(macs):
    """Bytes at most in use while a fleet passes by in which no two logs, versions or Blueprints are alike."""
    records = (
        record(
            number,
            ("ERROR", "PENDING", "PASS")[number % 3],
            blueprint=f"Blueprint {number}",
            log=f"Error: no {'abcdefghij'[number % 10]}{number} " * 50,
            last_audit_log=audit(f"{number}.0", "x"),
        )
        for number in range(macs)
    )
    tracemalloc.start()
    try:
        found = summarise(records, NOW, listed=50)
        return tracemalloc.get_traced_memory()[1], found
    finally:
        tracemalloc.stop()


@pytest.mark.no_cover  # two tracers at once
def test_memory_does_not_grow_with_the_fleet():
    few, _ = _peak(2_000)
    many, found = _peak(10_000)
    assert many < few * 1.2
    assert found.macs == 10_000
    assert found.blueprints[OTHERS] == 10_000 - 500
    assert sum(found.versions.values()) == 10_000


ANY = st.text(max_size=300)


@given(st.lists(st.builds(StatusRecord, ANY, ANY, ANY, ANY | st.just("error"), ANY, ANY, ANY, ANY), max_size=5))
def test_whatever_macs_report_is_counted(records):
    found = summarise(records, NOW)
    assert found.macs == len(records) == sum(found.statuses.values()) == sum(found.ages.values()) == len(found.listed)


def test_a_log_that_many_macs_write_is_read_once():
    log = "a line of a log that says much\n" * 600 + audit("1.2", "1.2")
    records = [record(number, last_audit_log=log) for number in range(2000)]
    began = time.process_time()
    summarise(records, NOW)
    alike = time.process_time() - began
    others = [record(number, last_audit_log=f"{log}{number}") for number in range(2000)]
    began = time.process_time()
    found = summarise(others, NOW)

    assert alike < (time.process_time() - began) / 4, "a thirtieth was measured"
    assert found.versions == {"1.2": 2000}
