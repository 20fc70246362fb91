"""A secret on its way from where it was found to the header of a request."""

from __future__ import annotations

import hmac
from typing import NoReturn


class Secret:
    """A token or webhook that shows itself to nobody who does not ask.

    It cannot be printed, formatted, copied or pickled by accident, and is compared in constant time.

    Attributes:
        origin: where it was found, fit to be shown.
    """

    __slots__ = ("_value", "origin")

    def __init__(self, value: str, origin: str = "") -> None:
        self._value = value
        self.origin = origin

    def reveal(self) -> str:
        """The secret itself, for a request header."""
        return self._value

    def hidden_in(self, text: str) -> str:
        """A text in which the secret is replaced by `(token)`: an answer or a script in Kandji can repeat it."""
        return text.replace(self._value, "(token)") if self._value else text

    def __repr__(self) -> str:
        return "Secret(not shown)"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._value.encode(), other._value.encode())

    def __hash__(self) -> int:
        return hash(Secret)

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a secret cannot be copied or pickled")
