"""JSON documents in a folder, one file each, so that a change of one never rewrites the others."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kandji_uploader.errors import KandjiUploaderError

Document = dict[str, Any]


class JsonStore:
    """The documents of one folder by their keys, in the order in which they were first put there.

    They are read once, when the store is opened. Writes are atomic (another process sees the old document or the new
    one) but not flushed to the disk: a rehearsal does not have to outlive a power cut.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = sorted((_read(path) for path in folder.glob("*.json")), key=lambda wrapped: int(wrapped["number"]))
        self._documents: dict[str, Document] = {wrapped["key"]: wrapped["document"] for wrapped in found}
        self._numbers = {wrapped["key"]: int(wrapped["number"]) for wrapped in found}
        self._next = max(self._numbers.values(), default=0) + 1

    def __len__(self) -> int:
        return len(self._documents)

    def __contains__(self, key: object) -> bool:
        return key in self._documents

    def __iter__(self) -> Iterator[Document]:
        return iter(self._documents.values())

    def get(self, key: str) -> Document | None:
        """The document itself, not a copy: `put` it back after a change."""
        return self._documents.get(key)

    def page(self, start: int, stop: int) -> list[Document]:
        """The documents from `start` to before `stop`; not copies."""
        return list(self._documents.values())[start:stop]

    def put(self, key: str, document: Document) -> None:
        """Write a document; a new one goes to the end. Keys must be fit to be file names."""
        if key not in self._numbers:
            self._numbers[key] = self._next
            self._next += 1
        self._documents[key] = document
        wrapped = {"key": key, "number": self._numbers[key], "document": document}
        draft = self._folder / f".{key}.draft"
        draft.write_text(json.dumps(wrapped, ensure_ascii=False), "utf-8")
        os.replace(draft, self._path(key))  # noqa: PTH105 - as Path.replace, but faster, and this is called often

    def drop(self, key: str) -> Document | None:
        """Remove a document and return it; None where there was none."""
        self._numbers.pop(key, None)
        self._path(key).unlink(missing_ok=True)
        return self._documents.pop(key, None)

    def clear(self) -> None:
        """Remove every document."""
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(mode=0o700, parents=True)
        self._documents.clear()
        self._numbers.clear()

    def _path(self, key: str) -> Path:
        return self._folder / f"{key}.json"


def _read(path: Path) -> Document:
    try:
        wrapped = json.loads(path.read_text("utf-8"))
    except ValueError:
        wrapped = None
    if not isinstance(wrapped, dict) or not {"key", "number", "document"} <= wrapped.keys():
        raise KandjiUploaderError(f"{path}: not written by a rehearsal. Name another folder, or delete the file")
    return wrapped
