"""`dataclass` as in the standard library, but made only when its first instance is.

The standard one writes and compiles up to six methods for each class, which takes half a millisecond and more. The
modules of a run define sixty classes and use a third of them, so that a run which finds nothing to do would spend a
tenth of its time on methods that nobody calls. What is made in the end is the standard library's dataclass.
"""

from __future__ import annotations

import dataclasses
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dataclasses import dataclass
else:

    def dataclass(cls: type | None = None, /, **options: bool) -> Any:
        """`dataclasses.dataclass`, with its options, for a class that inherits from no other."""
        return _postponed(cls, options) if cls is not None else lambda given: _postponed(given, options)


_LOCK = threading.RLock()
_OF_THE_CLASS_ITSELF = ("__dict__", "__weakref__")


def _postponed(cls: type, options: dict[str, bool]) -> type:
    if cls.__bases__ != (object,):
        raise TypeError(f"{cls.__name__} inherits from another class; use the standard library's dataclass for it")
    written = {name: value for name, value in vars(cls).items() if name not in _OF_THE_CLASS_ITSELF}
    finished = False

    def finish() -> None:
        # A signal may end this anywhere; it begins with what was written in the source, so it can begin again.
        nonlocal finished
        made: type = dataclasses.dataclass(**options)(type(cls.__name__, (), dict(written)))
        for name, value in vars(made).items():
            if name not in _OF_THE_CLASS_ITSELF:
                setattr(cls, name, value)
        finished = True

    def new(kind: type, *_: object, **__: object) -> object:
        if not finished:
            with _LOCK:
                if not finished:
                    finish()
        return object.__new__(kind)

    cls.__new__ = new  # type: ignore[method-assign, assignment]
    return cls


__all__ = ["dataclass"]
