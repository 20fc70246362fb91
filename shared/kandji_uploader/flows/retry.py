"""Do what is pending: publish again, with the same settings, what an earlier run left to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kandji_uploader import installer
from kandji_uploader.errors import TargetError
from kandji_uploader.flows.publish import run as publish
from kandji_uploader.models import RunResult
from kandji_uploader.publish.request import Host, Request
from kandji_uploader.publish.targets import RecipeFacts
from kandji_uploader.state import PendingPublish, StateStore


def chosen(pending: Sequence[PendingPublish], names: Sequence[str]) -> tuple[PendingPublish, ...]:
    """What is meant by names of Custom Apps, recipes or installers; all where no name is given.

    Raises:
        TargetError: nothing of that name is pending.
    """
    for name in names:
        if not any(entry.is_called(name) for entry in pending):
            known = ", ".join(entry.title for entry in pending) or "nothing"
            raise TargetError(f"nothing pending is called {name!r}; pending: {known}")
    return tuple(entry for entry in pending if not names or any(entry.is_called(name) for name in names))


def run(entry: PendingPublish, store: StateStore, host: Host, *, dry: bool = False) -> RunResult:
    """Publish once more; what was done, or is refused for good, is no longer pending.

    Args:
        entry: what is pending.
        store: where that is noted.
        host: where messages go.
        dry: tell what would be done, change nothing.

    Raises:
        TargetError: the installer was deleted, or another file has its path.
        KandjiUploaderError: as `publish.run`; it stays pending.
    """
    _check_installer(entry)
    result = publish(_request(entry, dry=dry), host)
    if not dry and not any(outcome.action.value in ("failed", "conflict") for outcome in result.outcomes):
        store.forget_pending(entry)
    return result


def _check_installer(entry: PendingPublish) -> None:
    path = Path(entry.path)
    again = f"run {entry.recipe} again" if entry.recipe else "publish it again"
    advice = f"{again}, or give it up with `kandji-uploader retry --forget {entry.names[0]!r}`"
    try:
        status = path.stat()
    except OSError as problem:
        raise TargetError(
            f"{entry.title} is pending, but its installer {path} is gone ({problem.strerror}); {advice}"
        ) from None
    same = (status.st_size, status.st_mtime_ns) == (entry.size, entry.mtime_ns)
    if not same and (status.st_size != entry.size or not entry.sha256 or installer.sha256(path) != entry.sha256):
        raise TargetError(f"{entry.title} is pending, but another file is now at {path}; {advice}")


def _request(entry: PendingPublish, *, dry: bool) -> Request:
    asked: Mapping[str, Any] = entry.request
    return Request(
        Path(entry.path),
        keys={**asked["keys"], **({"dry_run": True} if dry else {})},
        keys_from=asked["keys_from"],
        caller=asked["caller"],
        given=RecipeFacts.of(asked["given"]),
        recipe=entry.recipe or None,
        recipe_identifier=asked["recipe_identifier"],
        base=Path(asked["base"]) if asked["base"] else None,
        parents=tuple(Path(each) for each in asked["parents"]),
        defaults=asked.get("defaults", {}),
    )
