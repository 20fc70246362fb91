"""What the hot paths take is counted in instructions, which are the same whatever else the machine does."""

import json
import shutil

import pytest

from benchmarks import instructions

pytestmark = pytest.mark.slow


@pytest.mark.skipif(shutil.which("valgrind") is None, reason="instructions are counted by valgrind (Debian, Ubuntu)")
def test_no_path_takes_more_instructions_than_it_did():
    kept = json.loads(instructions.KEPT.read_text("utf-8"))

    counted = instructions.count()

    assert not instructions.worse(counted, kept), "`make instructions` keeps what is meant to be so"
    assert all(counted.values())


def test_more_than_the_margin_and_a_path_that_nobody_counted_are_told():
    kept = json.loads(instructions.KEPT.read_text("utf-8"))
    for_this = kept.get(instructions._version()) or kept["3.10"]
    counted = dict(for_this["counted"])
    assert not instructions.worse(counted, kept)

    name = next(iter(counted))
    assert name in instructions.worse({**counted, name: int(counted[name] * 1.3)}, kept)[0]
    assert instructions.worse({**counted, "else": 1}, kept) == ["else: not in both"]
