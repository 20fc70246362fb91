"""One definition of versions: in the library, and in the script by real zsh."""

from __future__ import annotations

import functools
import subprocess
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kandji_uploader._util import version
from kandji_uploader.audit import script as audit
from tests.support.examples import examples
from tests.support.mac import ZSH, needs_zsh

# Each line from the oldest to the newest.
LADDERS = (
    "1.8 1.9 1.10 1.11 2.0 10.0",
    "2024.1 2024.1.1 2024.2 2025",
    "1.0d1 1.0a1 1.0a2 1.0b1 1.0b2 1.0b10 1.0-pre1 1.0rc1 1.0rc2 1.0 1.0.1",
    "1.0-alpha.1 1.0-beta.2 1.0-beta.11 1.0-rc.1 1.0",
    "0.9 1.0b1 1.0 1.0.0.1 1.0.1b1 1.0.1",
    "1.1.1a 1.1.1 1.1.1w 1.1.1x 1.1.1.1",
    "2021.1.0a5 2021.1.0b5 2021.1.0f1 2021.1.0f2 2021.1.0p1 2021.1.1",
    "99999999999999999999998 99999999999999999999999 100000000000000000000000",
    "5.16.5(30000) 5.16.6(24663) 5.16.6(24664) 5.17.0(1)",
    "1.2.3+4 1.2.3+5 1.2.4+1",
)
EQUALS = (
    ("90", "90.0", "90.0.0", "v90.0", "Version 90"),
    ("1.0b2", "1.0-beta2", "1.0 Beta 2", "1.0.0b2", "1b2"),
    ("1.0rc1", "1.0-RC.1", "1.0fc1"),
    ("1.2.3 (456)", "1.2.3(456)", "1.2.3 build 456", "1.2.3+456"),
    ("1.01", "1.1", "1.0001"),
    ("", "0", "0.0", "...", "é"),
    ("115.0esr", "115.0", "115.0 final"),
)

pieces = st.sampled_from(
    [
        "0",
        "1",
        "2",
        "9",
        "10",
        "00",
        "007",
        "99999999999999999999",
        ".",
        ".",
        "-",
        " ",
        "_",
        "b",
        "beta",
        "RC",
        "a",
        "d",
        "w",
        "sp",
        "v",
        "final",
        "(",
        ")",
        "+",
        "build",
        "é",
        "*",
        "\\",
        "'",
        "[",
        "]",
        "%",
        "$(x)",
        "\n",
    ]
)
versions = st.lists(pieces, max_size=8).map("".join) | st.text(st.characters(codec="utf-8", exclude_characters="\0"))


def test_versions_rise_as_their_makers_meant():
    for ladder in LADDERS:
        rungs = ladder.split()
        for at, lower in enumerate(rungs):
            for higher in rungs[at + 1 :]:
                assert (version.compare(lower, higher), version.compare(higher, lower)) == (-1, 1), (lower, higher)


def test_spellings_of_one_version_are_equal():
    for spellings in EQUALS:
        for one in spellings:
            assert all(version.compare(one, other) == 0 for other in spellings), (one, spellings)


@pytest.mark.parametrize(("shown", "hidden"), [("1.2.3 (456)", "1.2.3"), ("1.2.3+456", "1.2.3"), ("1 (b)", "1")])
def test_a_build_that_only_one_shows_does_not_count(shown: str, hidden: str):
    assert version.compare(shown, hidden) == version.compare(hidden, shown) == 0


@given(versions, versions)
def test_two_versions_are_seen_alike_from_both_sides(a: str, b: str):
    assert version.compare(a, b) == -version.compare(b, a)
    assert version.compare(a, a) == 0


@given(
    st.lists(versions.map(lambda text: text.split("(")[0].replace("+", "").lower().replace("build", "")), max_size=6)
)
def test_versions_without_builds_are_in_order(found: list[str]):
    ranked = sorted(found, key=functools.cmp_to_key(version.compare))

    assert all(version.compare(a, b) <= 0 for at, a in enumerate(ranked) for b in ranked[at:])


def in_zsh(pairs: Sequence[tuple[str, str]], body: str, locale: str = "C.UTF-8") -> list[int]:
    """What zsh says of each pair, all of them in one process."""
    assert ZSH is not None
    both = "IFS= read -r -d $'\\0' a && IFS= read -r -d $'\\0' b"
    loop = f'while {both}; do compare_versions "$a" "$b"; print $REPLY; done'
    done = subprocess.run(
        [ZSH, "-fc", f"{body}\n{loop}"],
        input="".join(f"{a}\0{b}\0" for a, b in pairs).encode(),
        env={"LC_ALL": locale},
        capture_output=True,
        timeout=60,
        check=True,
    )
    assert done.stderr == b""
    return [int(line) for line in done.stdout.split()]


def template_functions() -> str:
    """The template up to the line where an audit begins."""
    before, line, _ = audit.load_template().partition("\nif begin; then\n")
    assert line
    return before


@needs_zsh
@settings(max_examples=examples(8), deadline=None)
@given(st.lists(st.tuples(versions, versions), min_size=40, max_size=80))
def test_the_script_compares_versions_as_the_library_does(pairs: list[tuple[str, str]]):
    assert in_zsh(pairs, template_functions()) == [version.compare(a, b) for a, b in pairs]


@needs_zsh
@pytest.mark.parametrize("locale", ["C", "C.UTF-8"])
def test_the_script_knows_the_same_ladders(locale: str):
    known = [rung for ladder in LADDERS for rung in ladder.split()] + [name for same in EQUALS for name in same]
    pairs = [(a, b) for a in known for b in known]

    assert in_zsh(pairs, template_functions(), locale) == [version.compare(a, b) for a, b in pairs]


IS_AT_LEAST = """
autoload -U is-at-least
compare_versions() {
    is-at-least "$2" "$1"; local low=$?
    is-at-least "$1" "$2"; local high=$?
    (( REPLY = high - low ))
}
"""


@needs_zsh
def test_plain_versions_compare_as_with_zsh_of_old():
    plain = [
        "1.10",
        "1.9",
        "90.0",
        "90",
        "2024.1",
        "2024.1.1",
        "10.15.7",
        "11.0",
        "3.0.1",
        "3.0",
        "0.9.9",
        "124.0.6367.91",
    ]
    pairs = [(a, b) for a in plain for b in plain]

    assert in_zsh(pairs, IS_AT_LEAST) == [version.compare(a, b) for a, b in pairs]
