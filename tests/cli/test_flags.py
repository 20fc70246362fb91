from __future__ import annotations

import pytest

from kandji_uploader.cli import main
from kandji_uploader.cli.failures import Exit


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["promote", "x", "--after-days", "soon"], "'soon' is not a number from 0 to 3,650"),
        (["promote", "x", "--after-days", "nan"], "'nan' is not a number from 0 to 3,650"),
        (["promote", "x", "--min-pass", "0"], "'0' is not a number, 1 or more"),
        (["promote", "x", "--max-error-percent", "101"], "'101' is not a number from 0 to 100"),
        (["munki", "import", "--after-days", "week"], "'week' is not a number of days from 0 to 3,650"),
        (["matrix", "--shards", "1.5"], "'1.5' is not a number of shards, 1 or more"),
        (["rehearse", "--port", "65536"], "'65536' is not a number from 0 to 65,535"),
        (["rehearse", "--macs", "-1"], "'-1' is not a number of Macs from 0 to 10,000"),
        (["upload", "-p", "x", "--jobs", "33"], "'33' is not a number from 1 to 32"),
    ],
)
def test_a_number_that_a_flag_does_not_take_is_told_with_those_that_it_takes(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == Exit.USAGE
    assert said in capsys.readouterr().err
