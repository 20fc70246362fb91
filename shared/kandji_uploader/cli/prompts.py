"""Questions to a person at a terminal; without one, the defaults, or an error that names the flag to give instead."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Callable
from typing import TypeVar

from kandji_uploader.errors import KandjiUploaderError, SetupError
from kandji_uploader.report.layout import visible

T = TypeVar("T")


class Prompts:
    """Asks.

    Attributes:
        interactive: whether there is a terminal to ask on.
    """

    def __init__(self) -> None:
        self.interactive = sys.stdin is not None and sys.stdin.isatty()

    def ask(self, question: str, read: Callable[[str], T], *, default: str = "", instead: str = "") -> T:
        """An answer, asked for until `read` accepts it.

        Args:
            question: without a colon at its end.
            read: makes a value of the text, or raises KandjiUploaderError.
            default: what a bare Enter means, and what holds where nobody can be asked; "" for nothing.
            instead: what to give where nobody can be asked, such as a flag.

        Raises:
            SetupError: nobody can be asked, and there is no default.
            KandjiUploaderError: nobody can be asked, and the default is not accepted.
        """
        shown = f"{question} [{default}]: " if default else f"{question}: "
        return self._until(read, lambda: self._line(shown) or default, default, instead)

    def secret(self, question: str, read: Callable[[str], T], *, instead: str) -> T:
        """As `ask`, but the typed text is hidden."""
        return self._until(read, lambda: getpass.getpass(f"{question} (not shown): ").strip(), "", instead)

    def confirm(self, question: str, *, default: bool) -> bool:
        """Yes or no; the default where nobody can be asked."""
        return self.ask(f"{question} ({'Y/n' if default else 'y/N'})", lambda text: _yes(text, default), instead=" ")

    def _until(self, read: Callable[[str], T], take: Callable[[], str], default: str, instead: str) -> T:
        if not self.interactive:
            if not default and instead.strip():
                raise SetupError(f"there is no terminal to ask on; {instead}")
            return read(default)
        while True:
            try:
                return read(take())
            except EOFError:
                raise KeyboardInterrupt from None
            except KandjiUploaderError as problem:
                tell(f"  {problem}")

    @staticmethod
    def _line(question: str) -> str:
        return input(question).strip()


def tell(text: str) -> None:
    """Print what may hold the words of others."""
    print("\n".join(visible(line) for line in text.splitlines()), flush=True)


def _yes(text: str, default: bool) -> bool:
    word = text.lower()
    if not word:
        return default
    if word in ("y", "yes"):
        return True
    if word in ("n", "no"):
        return False
    raise SetupError("please answer y or n")
