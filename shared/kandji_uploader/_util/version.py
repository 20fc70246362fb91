"""Which of two versions is higher: the one definition, in the library and in the audit script.

The zsh function `compare_versions` of the audit template follows the same rules step by step; a property test
holds the two together over real zsh.

- A version is read as runs of digits and runs of ASCII letters; everything else only separates them. Case is ignored.
- Digits compare as numbers of any length, and missing numbers are zeros: 1.10 > 1.9, 90.0 = 90, 2024.1 < 2024.1.1.
- Words for a pre-release come before the release they lead to: 1.0d1 < 1.0a1 < 1.0-beta3 = 1.0b3 < 1.0-pre1 < 1.0rc1
  < 1.0. Words that only decorate (`v`, `version`, `release`, `final`, `ga`, `stable`, `esr`) are passed over.
- Any other word comes after the release and before its next number: 1.1.1 < 1.1.1w < 1.1.1.1.
- What follows `(`, `+` or the word `build` is the build. It counts only where the rest is equal and both versions have
  one: 1.2.3 (456) < 1.2.3 (457), but 1.2.3 is neither older nor newer than 1.2.3 (456). The vendor shows the build in
  one place and not in another, and a Mac must not reinstall for that. Hence "equal" here is not transitive.
"""

from __future__ import annotations

import re
from itertools import zip_longest

_TOKEN = re.compile(r"[0-9]+|[A-Za-z]+|[(+]")
_BUILD_MARKS = frozenset({"(", "+", "build"})
_DECORATION = frozenset({"v", "version", "release", "final", "ga", "stable", "esr"})
_PRE_RELEASE = {
    **dict.fromkeys(("d", "dev", "nightly", "snapshot"), 1),
    **dict.fromkeys(("a", "alpha"), 2),
    **dict.fromkeys(("b", "beta"), 3),
    **dict.fromkeys(("pre", "preview"), 4),
    **dict.fromkeys(("rc", "fc"), 5),
}
_END, _WORD, _NUMBER = 6, 7, 8

_Key = tuple[int, int, str]


def compare(a: str, b: str) -> int:
    """-1 where `a` is the older version, 1 where it is the newer one, 0 where neither is. Any text is accepted."""
    release_a, build_a = _split(a)
    release_b, build_b = _split(b)
    order = _compare_parts(release_a, release_b)
    if order == 0 and build_a and build_b:
        return _compare_parts(build_a, build_b)
    return order


def _split(version: str) -> tuple[list[str], list[str]]:
    """The tokens of the release and of the build."""
    parts: tuple[list[str], list[str]] = ([], [])
    in_build = 0
    for found in _TOKEN.finditer(version):
        token = found[0].lower()
        if token in _BUILD_MARKS:
            in_build = 1
        elif token not in _DECORATION:
            parts[in_build].append(token.lstrip("0") or "0" if token[0].isdigit() else token)
    return parts


def _compare_parts(a: list[str], b: list[str]) -> int:
    for key_a, key_b in zip_longest(_keys(a), _keys(b), fillvalue=_key("")):
        if key_a != key_b:
            return -1 if key_a < key_b else 1
    return 0


def _keys(tokens: list[str]) -> list[_Key]:
    """What the tokens compare by; zeros that stand before a word or at the end say nothing (1.0b2 = 1.0.0b2)."""
    kept: list[str] = []
    for token in tokens:
        if not token.isdigit():
            while kept and kept[-1] == "0":
                kept.pop()
        kept.append(token)
    return [_key(token) for token in kept]


def _key(token: str) -> _Key:
    """Rank, then length (of numbers), then text; the end of a version counts as a zero."""
    if token in {"", "0"}:
        return _END, 0, ""
    if token.isdigit():
        return _NUMBER, len(token), token
    rank = _PRE_RELEASE.get(token)
    return (_WORD, 0, token) if rank is None else (rank, 0, "")
