"""A page of a list, row by row: the same rows as its JSON has, however it comes in, and little of it in memory."""

from __future__ import annotations

import itertools
import json
import tracemalloc

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks import pages
from kandji_uploader.kandji.page import Page
from tests.support.examples import examples

ROWS = st.lists(
    st.dictionaries(
        st.sampled_from(["id", 'a"b', "results", "}"]),
        st.recursive(
            st.one_of(st.text(), st.integers(), st.booleans(), st.none()), lambda each: st.lists(each, max_size=3)
        ),
    ),
    max_size=5,
)


def taken(data: bytes, cuts=()):
    """The texts of the rows, the rows, and what is left of the page."""
    rows, places = [], [0, *sorted(cuts), len(data)]
    page = Page(lambda text, row: rows.append((text, row)))
    for start, end in itertools.pairwise(places):
        page.feed(data[start:end])
    return rows, page.end()


@settings(max_examples=examples(40), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(ROWS, st.data(), st.booleans(), st.sampled_from([None, 1]))
def test_the_rows_are_those_of_the_json_wherever_it_is_cut(rows, data, ascii_only, indent):
    page = {"count": 7, "next": 'x"results": [', "results": rows, "more": [1]}
    body = json.dumps(page, ensure_ascii=ascii_only, indent=indent).encode("utf-8", "surrogatepass")
    body = body.decode("utf-8", "replace").encode()
    cuts = data.draw(st.lists(st.integers(0, len(body)), max_size=6))
    found, rest = taken(body, cuts)

    whole = json.loads(body)
    assert [row for _, row in found] == whole["results"] == [json.loads(text) for text, _ in found]
    assert json.loads(rest) == {**whole, "results": [0] * len(rows)}


@pytest.mark.parametrize(
    "body",
    [
        '{"results": [{"a": 1}, {"a": 2}',
        '{"results": [{"a": 1},, {"a": 2}]}',
        '{"results": [{"a": 1} {"a": 2}]}',
        '{"results": [{"a": 1},]}',
        '{"results": [{"a": 1}}',
        '{"results": [' + '{"a": [' * 100_000,
        "<html>",
        "",
    ],
)
def test_what_is_no_json_is_none_without_its_rows(body):
    for cuts in ((), range(0, min(len(body), 60), 7)):
        with pytest.raises((ValueError, RecursionError), match=r"Expecting|delimiter|Extra data|depth"):
            json.loads(taken(body.encode(), cuts)[1])


def test_a_row_that_comes_in_many_blocks_is_not_tried_with_each_of_them():
    body = json.dumps({"results": [{"script": "x" * 2_000_000}]}).encode()
    (found, _), most = _peak(lambda: taken(body, range(0, len(body), 1000)))

    assert len(found[0][0]) > 2_000_000
    assert most < 12_000_000


def test_of_a_page_with_audit_scripts_little_is_in_memory_at_a_time():
    body = json.dumps({"results": list(pages.apps(300, scripts=True))}).encode()
    assert len(body) > 9_000_000

    def read():
        page, names = Page(lambda text, row: names.append(row["name"])), []
        for at in range(0, len(body), 1 << 19):
            page.feed(body[at : at + (1 << 19)])
        page.end()
        return names

    names, most = _peak(read)
    assert len(names) == 300
    assert most < 4 << 20, "2.3 MiB were measured"


def _peak(do):
    tracemalloc.start()
    try:
        return do(), tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
