"""The chapter on Munki shows what the program really says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from kandji_uploader.cli import main
from tests.munki import builder

DOCUMENT = (Path(__file__).parents[2] / "docs" / "munki.md").read_text(encoding="utf-8")
BLUEPRINTS = "site_default: Staff\ntesters: Early Adopters\nlab: Lab\nkiosk: Lab\n"


@pytest.fixture
def shown(tmp_path, monkeypatch, capsys):
    """The command of the document, run: what it said and wrote, by kind of block."""
    builder.build(tmp_path / "munki_repo")
    (tmp_path / "blueprints.yaml").write_text(BLUEPRINTS, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    (line,) = re.findall(r"^kandji-uploader (munki import .*)$", DOCUMENT, re.MULTILINE)
    assert main([*line.split(), "--time-zone", "Europe/Berlin"]) == 0
    told = capsys.readouterr()
    said = told.err + told.out
    return (
        said,
        Path("recipe_map.yaml").read_text(encoding="utf-8"),
        Path("munki_import.md").read_text(encoding="utf-8"),
    )


def test_examples_are_real_output(shown):
    output, entry, told = re.findall(r"```(?:text|yaml)\n(.*?)```", DOCUMENT, re.DOTALL)[:3]
    assert (output in shown[0], entry in shown[1], told in shown[2]) == (True, True, True)


def test_every_flag_that_the_document_names_exists(capsys):
    with pytest.raises(SystemExit):
        main(["munki", "import", "--help"])
    flag = re.compile(r"(?<!-)--[a-z][a-z-]+")
    assert set(flag.findall(DOCUMENT)) <= set(flag.findall(capsys.readouterr().out))
