"""What a Custom App may be called, and how names are told in a sentence."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

LONGEST_NAME = 255
"""Characters that the name of a Custom App or of a Self Service category may have."""

_TOLD = 8


def listed(names: Sequence[str]) -> str:
    """Names as a person lists them, of many the first few."""
    shown = ", ".join(names[:_TOLD])
    return f"{shown} and {len(names) - _TOLD:,} more" if len(names) > _TOLD else shown


def hidden_character(name: str) -> str:
    """The first character that nobody can see, such as `U+00AD (SOFT HYPHEN)`; "" where there is none.

    These are the format characters of Unicode (`Cf`): direction marks, zero-width characters and the like. Two names
    that differ in one of them only look alike, in Kandji, in Slack and in a log.
    """
    hidden = next((character for character in name if unicodedata.category(character) == "Cf"), "")
    return f"U+{ord(hidden):04X} ({unicodedata.name(hidden, 'a format character')})" if hidden else ""
