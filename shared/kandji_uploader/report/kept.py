"""What a process has still to tell, kept on disk: where it is killed, the next one tells it.

A file of lines for each process, in the folder `messages` of the state folder. The process holds a lock on its file for
as long as it lives; a file whose lock is free belongs to nobody any more. The first line says who is to hear of it.
Each further one is an item, or how far the telling to one of them has come:

- `begun`: it was being sent. Where nothing follows, nobody knows whether it came
- `failed`: it was surely not taken, and is sent again
- `done`
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from kandji_uploader._util import files
from kandji_uploader.report.message import Item

_SUFFIX = ".lines"
_KEEP = 7 * 86_400.0
"""Seconds after which nobody wants to hear of it any more."""


class Kept:
    """One such file, locked; without a handle it is kept in memory only.

    Attributes:
        items: what is to be told.
    """

    def __init__(self, path: Path, handle: int | None, lines: Sequence[dict[str, Any]]) -> None:
        self._path = path
        self._handle = handle
        self._to: list[str] = [name for line in lines[:1] for name in line.get("to", ())]
        self._state: dict[str, str] = {}
        self.items: list[Item] = []
        for line in lines[1:]:
            with contextlib.suppress(TypeError, KeyError, ValueError):
                if "item" in line:
                    found = Item(**line["item"])
                    self.items += [found] if found.group else []
                else:
                    self._state[line["name"]] = line["state"]

    def waits_for(self, name: str) -> bool:
        """Whether it has to be told to one of this name."""
        return name in self._to and self._state.get(name) != "done"

    def may_have_come(self, name: str) -> bool:
        """Whether a process ended while it was being sent, or its answer was lost."""
        return self._state.get(name) == "begun"

    def add(self, items: Sequence[Item]) -> None:
        """Keep items. Raises OSError where the disk does not take them; they are told all the same."""
        self.items += items
        self.write([{"item": asdict(item)} for item in items])

    def note(self, name: str, state: str) -> None:
        """Keep how far the telling has come. Raises OSError as `add`."""
        self._state[name] = state
        self.write([{"name": name, "state": state}])

    def close(self) -> None:
        """Let go of it, and remove it where everybody has heard of it."""
        if self._handle is None:
            return
        if not any(map(self.waits_for, self._to)):
            self._path.unlink(missing_ok=True)
        os.close(self._handle)

    def write(self, rows: Sequence[dict[str, Any]]) -> None:
        """Put lines at its end. Raises OSError as `add`."""
        if self._handle is None:
            return
        text = "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows)
        os.write(self._handle, text.encode("utf-8", "backslashreplace"))
        os.fsync(self._handle)


def in_memory(to: Sequence[str]) -> Kept:
    """What is told as long as this process lives, where the disk does not take it."""
    return Kept(Path(), None, [{"to": list(to)}])


def begin(folder: Path, to: Sequence[str]) -> Kept:
    """A file of this process.

    Args:
        folder: the state folder.
        to: the names of those who are to hear of it.

    Raises:
        OSError: the folder cannot be written.
    """
    path = files.private_folder(folder / "messages") / f"{secrets.token_hex(8)}{_SUFFIX}"
    handle = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o600)
    while files.lock(handle) is False:  # another process looks whether something was left; it is empty still
        time.sleep(0.005)
    kept = Kept(path, handle, [{"to": list(to)}])
    kept.write([{"to": list(to), "at": time.time()}])
    return kept


def left(folder: Path, names: Sequence[str]) -> Iterator[Kept]:
    """The files of processes that have ended and had something to tell to one of these names; locked, until closed.

    What is older than a week is removed.
    """
    for path in sorted((folder / "messages").glob(f"*{_SUFFIX}")):
        with contextlib.suppress(OSError):
            handle = os.open(path, os.O_RDWR | os.O_APPEND)
            kept = _taken(path, handle) if files.lock(handle) else None
            if kept is not None and any(map(kept.waits_for, names)):
                yield kept
            else:
                os.close(handle)


def _taken(path: Path, handle: int) -> Kept | None:
    """What is in a file that this process has locked; None where another one was quicker, or it is out of date."""
    status = os.fstat(handle)
    if not status.st_nlink:
        return None
    lines = []
    for row in path.read_text(encoding="utf-8", errors="replace").splitlines():
        with contextlib.suppress(ValueError):  # the last one, where the power went
            lines.append(json.loads(row))
    lines = [line for line in lines if isinstance(line, dict)]
    begun = lines[0].get("at") if lines else None
    if (begun if isinstance(begun, float) else status.st_mtime) < time.time() - _KEEP:
        path.unlink(missing_ok=True)
        return None
    return Kept(path, handle, lines)
