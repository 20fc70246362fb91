from __future__ import annotations

import pytest

from kandji_uploader.cli import main, screen
from kandji_uploader.cli.failures import Exit
from tests.support.commands import parsers


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


def test_a_dry_run_is_asked_for_in_any_of_its_words_and_told_once() -> None:
    known = {name: each for name, parser in parsers().items() for each in screen._with_words(parser)}
    known |= {f"schedule {word.prog.split()[-1]}": word for word in screen._with_words(parsers()["schedule"])}
    dry = {name: parser for name, parser in known.items() if "--dry" in parser._option_string_actions}
    assert set(dry) >= {"upload", "publish", "promote", "approve", "rollback", "retry", "schedule run"}
    for parser in dry.values():
        for word in ("-y", "--dry", "--dry-run", "--dry_run"):
            assert parser._option_string_actions[word].dest == "dry"
        assert parser.format_help().count("tell what would be done") == 1
        assert "--dry_run" not in parser.format_help()


def test_a_dry_run_by_another_word_changes_nothing(house, here) -> None:
    for word in ("--dry-run", "--dry_run"):
        assert "would create" in here("-p", house.widget(), word).stdout
    assert house.writes() == []
