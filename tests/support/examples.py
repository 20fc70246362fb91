"""How many random examples a rule is tried with."""

from __future__ import annotations

import os

from hypothesis import settings

_TIMES = int(os.environ.get("KANDJI_EXAMPLES", "1"))


def examples(count: int) -> int:
    """So many, or `KANDJI_EXAMPLES` times as many."""
    return count * _TIMES


def load_profile() -> None:
    """Have examples be the same ones in each run: only who asks for more of them looks for what nobody has seen yet.

    A run that fails by chance tells nothing about the change that it is to judge.
    """
    settings.register_profile(
        "kandji-uploader", max_examples=examples(30), deadline=None, derandomize=_TIMES == 1, database=None
    )
    settings.load_profile("kandji-uploader")
