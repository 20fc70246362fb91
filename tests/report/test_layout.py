"""Texts for a terminal: aligned, or in blocks where it is narrow; nothing that it would obey."""

import pytest

from kandji_uploader.report.layout import table, width, wrapped

HEADS = ["Custom App", "Action", "Version", "Why", "Link"]
ROW = [
    "Firefox",
    "held",
    "1.1",
    "1.2 has been in the test app for 3.0 of 7 days",
    "https://example.com/a/very/long/path",
]


def test_wide_letters_keep_the_columns_aligned():
    lines = table(["A", "B"], [["日本語", "x"], ["e\u0301", "x"], ["abc", "x"]]).splitlines()
    assert {width(line[: line.index("x")]) for line in lines[2:]} == {8}


def test_control_characters_of_a_tenant_are_shown_and_not_obeyed():
    shown = table(["A"], [["W\x1b[2J\x07\u202e"]])
    assert "\x1b" not in shown
    assert "\\x1b[2J\\x07\\u202e" in shown


def test_a_row_is_a_line_where_it_fits_and_a_block_where_it_does_not():
    assert [line.split("  ")[0].strip() for line in table(HEADS, [ROW], 120).splitlines()] == [
        "Custom App",
        "----------",
        "Firefox",
    ]
    block = """\
Firefox  held  1.1
  Why: 1.2 has been in the test app for
    3.0 of 7 days
  https://example.com/a/very/long/path"""
    assert table(HEADS, [ROW, ROW], 40) == f"{block}\n\n{block}"


def test_a_file_gets_whole_rows_however_long_they_are():
    assert len(table(HEADS, [ROW]).splitlines()) == 3


def test_short_cells_share_the_lines_of_a_block():
    counts = [["Firefox", "prod", "1.1", "412", "38", "317", "2 hours ago"]]
    heads = ["Custom App", "Stage", "Version", "Macs", "ERROR", "PASS", "Last report"]
    assert table(heads, counts, 40).splitlines() == [
        "Firefox  prod  1.1",
        "  Macs: 412  ERROR: 38  PASS: 317",
        "  Last report: 2 hours ago",
    ]


def test_what_a_cell_is_painted_with_takes_no_room():
    def painted(head, cell):
        return f"\x1b[1;31m{cell}\x1b[0m" if head == "Action" else cell

    plain, coloured = (table(HEADS[:3], [ROW[:3]], 30, *paint) for paint in ((), (painted,)))
    assert coloured.replace("\x1b[1;31m", "").replace("\x1b[0m", "") == plain


@pytest.mark.parametrize("room", [20, 33, 60])
def test_no_word_is_broken_and_what_is_to_be_copied_stays_in_one_piece(room):
    lines = wrapped("the clock is wrong: run `sudo sntp -sS time.apple.com` and look again", room, "    ")
    assert any("`sudo sntp -sS time.apple.com`" in line for line in lines)
    assert " ".join(line.strip() for line in lines).startswith("the clock is wrong: run `sudo")
    assert all(width(line) <= room or "`" in line for line in lines)


def test_a_backtick_without_another_is_a_letter():
    assert wrapped("a ` b c d e f", 6, "") == ["a ` b", "c d e", "f"]
