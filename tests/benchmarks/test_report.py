"""What is promised makes the command fail; what is only aimed at is told."""

import pytest

from benchmarks import __main__ as command
from benchmarks import cases, report
from benchmarks.cases import Row, _compared

BOTH = _compared("both", "1.2 s", "curl, 1.0 s", 1.2, 1.3, 1.1)
BROKEN = _compared("broken", "1.4 s", "curl, 1.0 s", 1.4, 1.3, 1.1)
REACHED = _compared("reached", "1.0 s", "curl, 1.0 s", 1.0, 1.3, 1.1)
FIGURE = _compared("figure", "9 s", "curl, 1.0 s", 9.0, None, None)


def test_the_table_tells_a_promise_from_an_aim():
    _, _, *rows = report.table([BOTH, BROKEN, REACHED, FIGURE]).splitlines()
    assert [row.split(" | ")[-3:] for row in rows] == [
        ["<= 1.3 x", "yes", "<= 1.1 x: **no** |"],
        ["<= 1.3 x", "**no**", "<= 1.1 x: **no** |"],
        ["<= 1.3 x", "yes", "<= 1.1 x: yes |"],
        ["-", "-", "- |"],
    ]


@pytest.mark.parametrize(("row", "code"), [(BOTH, 0), (BROKEN, 1), (REACHED, 0), (FIGURE, 0)])
def test_the_command_fails_where_a_promise_is_not_kept(monkeypatch: pytest.MonkeyPatch, row: Row, code: int):
    monkeypatch.setitem(cases.CASES, "audit", lambda _: [row])
    monkeypatch.setattr("shutil.which", lambda name: name)  # curl and the others are not run here
    monkeypatch.setattr("sys.argv", ["benchmarks", "--small", "--only", "audit"])
    assert command.main() == code
