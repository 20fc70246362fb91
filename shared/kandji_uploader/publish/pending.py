"""A publish that failed or was interrupted is pending: it can be done later, although no recipe asks for it again.

A recipe with `StopProcessingIf` and `download_changed == FALSE` asks only once: the download is new in the run that
fails, and no longer new in the next one. So each run writes down what it is to publish before it sends anything, and
also if it fails before that. The entry is removed when the tenant has that version or a newer one.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from kandji_uploader.errors import KandjiUploaderError, StateError
from kandji_uploader.models import Action, Outcome
from kandji_uploader.state import PendingPublish, StateStore

_AGAIN = 3600.0
"""Seconds until one process repeats the same warning: AutoPkg runs many recipes in one process."""
_RETRIED = (Action.FAILED, Action.CONFLICT)
"""Outcomes that a later try may turn into a publish. What was refused would be refused again."""
_KILLED = "the run was ended in the middle of it"

_told: dict[str, float] = {}


class Intent:
    """What one run means to publish, written down as pending until it is done.

    Args:
        store: the state folder.
        meant: what is to be published, and how; None if it could not be repeated.
    """

    def __init__(self, store: StateStore, meant: PendingPublish | None) -> None:
        self._store = store
        self._meant = meant
        self._open = True

    @contextlib.contextmanager
    def kept(self) -> Iterator[None]:
        """If the block ends with an error or by Ctrl-C, the publish is pending."""
        try:
            yield
        except (KandjiUploaderError, KeyboardInterrupt) as problem:
            if self._open:
                self._add_pending(str(problem) or "the run was interrupted")
            raise

    def before_sending(self, sha256: str | None, version: str | None) -> None:
        """Write down what is to be published. Nothing is sent if this cannot be written.

        Args:
            sha256: the installer's, where it is known by now.
            version: likewise.

        Raises:
            StateError: the state folder cannot be written.
        """
        meant = self._learn(sha256, version)
        if meant is not None:
            self._store.add_pending(replace(meant, reason=_KILLED))

    def ended(self, outcomes: Sequence[Outcome], sha256: str) -> None:
        """What became of it: it stays pending, or it is done."""
        self._open = False
        meant = self._learn(sha256, next((outcome.version for outcome in outcomes if outcome.version), None))
        failed = [outcome for outcome in outcomes if outcome.action in _RETRIED]
        if failed:
            self._add_pending("; ".join(f"{outcome.name}: {outcome.error}" for outcome in failed))
        elif meant is not None:
            self._store.complete_pending(meant, anew=any(outcome.action.writes for outcome in outcomes))

    def _learn(self, sha256: str | None, version: str | None) -> PendingPublish | None:
        meant = self._meant
        if meant is not None:
            self._meant = replace(meant, sha256=sha256 or meant.sha256, version=version or meant.version)
        return self._meant

    def _add_pending(self, reason: str) -> None:
        if self._meant is not None:
            with contextlib.suppress(StateError):  # what was meant is there already, or the error tells of the folder
                self._store.add_pending(replace(self._meant, reason=reason))


def sentence(pending: Sequence[PendingPublish], tenant: str = "") -> str:
    """What is pending, at the tenant of that name or at the one of the settings, in one line; "" for nothing."""
    if not pending:
        return ""
    count = "1 publish is pending" if len(pending) == 1 else f"{len(pending)} publishes are pending"
    doing = "it" if len(pending) == 1 else "them"
    listed = ", ".join(entry.title for entry in pending)
    if tenant:
        return f"{tenant}: {count}: {listed}. `kandji-uploader retry --tenant {tenant}` does {doing}"
    return f"{count}: {listed}. `kandji-uploader doctor` tells why, `kandji-uploader retry` does {doing}"


def tell(store: StateStore, names: Sequence[str], warn: Callable[[str], None], tenant: str = "") -> None:
    """Say once what is pending for other Custom Apps than those of these names."""
    text = sentence([entry for entry in store.pending() if not set(entry.names) & set(names)], tenant)
    now = time.monotonic()
    if text and now - _told.get(text, -_AGAIN) >= _AGAIN:
        _told[text] = now
        warn(text)
