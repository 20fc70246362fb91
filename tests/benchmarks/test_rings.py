"""What docs/rings.md says of a release that breaks Macs is what the runs come to."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmarks import rings

PAGE = Path(__file__).resolve().parents[2] / "docs" / "rings.md"


@pytest.mark.slow
def test_the_page_says_how_many_macs_get_a_release_that_breaks_some_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")  # that each audit script is tried under zsh is held where that is tested
    text = PAGE.read_text("utf-8")
    watched = rings.macs_that_got_it(rings.STRATEGIES["rings with health"])
    assert re.search(rf"^\| these rings \| {watched[-1]} \|$", text, re.MULTILINE)
    by_night = rings.macs_that_got_it(rings.STRATEGIES["rings with health"], only_last_ring=True)
    assert f"only Macs of the last ring break | {by_night[-1]} with a run each night" in text
    drawn = rings.plot({"no rings": [1000] * rings.DAYS, "rings by date only": [1000] * rings.DAYS, "these": watched})
    line = re.findall(r'points="[^"]*"', drawn)[-1]
    assert line in (PAGE.parent / "rings.svg").read_text("utf-8")
