"""Several installers in one process: how many are published at a time, and in which order.

While one is being uploaded, the next is made ready (read, hashed, planned) in another thread, and then waits for its
turn; so the digest of the next is worked out while the wire is busy with the present one.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

from kandji_uploader._util import signals
from kandji_uploader.publish.claims import Claims

_IN_A_ROW = 3
"""Failures in a row after which a tenant is left alone."""
_LOOK = 0.1
"""Seconds between two looks at whether the work is to stop."""


class Failures:
    """How often in a row each tenant has failed."""

    def __init__(self) -> None:
        self._last: dict[str, list[str]] = {}

    def note(self, url: str, error: str) -> None:
        """Note how a run at a tenant ended; "" for well."""
        self._last[url] = [*self._last.get(url, []), error] if error else []

    def left_alone(self, url: str) -> str:
        """Why a tenant is not tried again; "" where it is."""
        errors = self._last.get(url, [])
        if len(errors) < _IN_A_ROW:
            return ""
        return f"left alone, since it has failed {_IN_A_ROW} times in a row; the next run tries it again. {errors[-1]}"


class Batch:
    """Installers that are published together: the tenant is read once for all of them, when the first one asks.

    What a batch reads was read after it began, so that an app which was deleted in Kandji before shows, and so does a
    token that was revoked.

    Args:
        paths: all its installers, where they are known and have the same settings; then those that mean the same Custom
            App are all refused, before anything is sent. Of items that are not named here, the later one is.
        casks: all its casks, likewise.
        use_brew: whether the casks are asked about with an installed `brew`.
        allow_no_checksum: whether casks without a sha256 are accepted.

    Attributes:
        began: when, by `time.monotonic`.
        claims: which of its items means which Custom App.
        failures: which tenants have failed.
    """

    def __init__(
        self,
        paths: Sequence[str] = (),
        casks: Sequence[str] = (),
        *,
        use_brew: bool = False,
        allow_no_checksum: bool = False,
    ) -> None:
        self.paths, self.casks = tuple(paths), tuple(casks)
        self.use_brew, self.allow_no_checksum = use_brew, allow_no_checksum
        self.began = time.monotonic()
        self.claims = Claims()
        self.failures = Failures()
        self._refused: Mapping[str, str] | None = None if len(self.paths) + len(self.casks) > 1 else {}
        self._asking = threading.Lock()

    def refused(self, find: Callable[[], Mapping[str, str]]) -> Mapping[str, str]:
        """Why some of its items must not be published. The first caller has it found out."""
        with self._asking:
            if self._refused is None:
                self._refused = find()
            return self._refused


class Turn:
    """When one item may do what. This one is for a single item and never waits."""

    @contextlib.contextmanager
    def entering(self) -> Iterator[None]:
        """Around the moment in which an item locks its Custom Apps."""
        yield

    @contextlib.contextmanager
    def changing(self) -> Iterator[None]:
        """Around all that changes the tenant."""
        yield

    @contextlib.contextmanager
    def ending(self) -> Iterator[None]:
        """Around all of an item. When it ends, however it does, the item after it no longer waits."""
        yield


class Queue:
    """The turns of several items.

    They lock their Custom Apps one after the other, in the order in which they were named. Two items that mean the same
    app are refused before that (see `claims`). If it shows only when they are read, the later one is refused.

    Args:
        count: how many items there are.
        at_once: how many of them may change the tenant at a time.
    """

    def __init__(self, count: int, at_once: int) -> None:
        self.workers = min(count, at_once + 1)
        """Threads that are of use: one more than may change the tenant, which makes the next item ready."""
        self._changing = threading.Semaphore(at_once)
        self._entered = [threading.Event() for _ in range(count)]
        self._ordered = at_once == 1

    def of(self, number: int) -> Turn:
        """The turn of an item, counted from 0; it can be used by one thread."""
        before = self._entered[number - 1] if self._ordered and number else None
        return _OneOfSeveral(before, self._entered[number], self._changing)


class _OneOfSeveral(Turn):
    def __init__(self, before: threading.Event | None, entered: threading.Event, changing: threading.Semaphore) -> None:
        self._before = before
        self._entered = entered
        self._changing = changing

    @contextlib.contextmanager
    def entering(self) -> Iterator[None]:
        while self._before is not None and not self._before.wait(_LOOK):
            signals.check()
        yield
        self._entered.set()

    @contextlib.contextmanager
    def changing(self) -> Iterator[None]:
        while not self._changing.acquire(timeout=_LOOK):
            signals.check()
        try:
            yield
        finally:
            self._changing.release()

    @contextlib.contextmanager
    def ending(self) -> Iterator[None]:
        try:
            yield
        finally:
            self._entered.set()
