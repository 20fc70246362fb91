"""Two items of one run that mean the same Custom App are refused: each would overwrite the other, run after run.

Names are compared as the tenant compares them, exactly; what dynamic lookup picks, by its id.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from kandji_uploader.errors import SameAppError

_ADVICE = "each would overwrite the other. Publish one of them only, or give each a Custom App of its own"


@dataclass(frozen=True)
class Item:
    """What is published: one installer, cask or recipe of a run.

    Attributes:
        name: how texts call it.
        identity: what makes two of them the same item; by default the name.
        owner: whose item it is, for `Claims.release`.
    """

    name: str
    identity: Hashable = None
    owner: str = ""

    @property
    def key(self) -> Hashable:
        """What it is compared by."""
        return self.name if self.identity is None else self.identity


def file_item(path: Path) -> Item:
    """An installer: one that is named twice, however it is spelt, is one item."""
    return Item(str(path), os.path.realpath(path))


class Claims:
    """Which item of a run means which Custom App; of items that come one after the other, the second one is refused."""

    def __init__(self) -> None:
        self._items: dict[tuple[str, str], Item] = {}
        self._lock = threading.Lock()

    def take(self, tenant: str, item: Item, apps: Mapping[str, str]) -> None:
        """Note that an item means these Custom Apps.

        Args:
            tenant: the API URL.
            item: the item.
            apps: the names of the Custom Apps, by name or id.

        Raises:
            SameAppError: another item of this run means one of them; nothing of this item is noted.
        """
        with self._lock:
            for app, name in apps.items():
                other = self._items.get((tenant, app))
                if other is not None and other.key != item.key:
                    raise SameAppError(
                        f"{item.name} means the Custom App {name!r}, and so did {other.name} before it in this run: "
                        f"{_ADVICE}"
                    )
            self._items.update({(tenant, app): item for app in apps})

    def release(self, owner: str) -> None:
        """Forget what the items of an owner mean, since they start again."""
        with self._lock:
            self._items = {app: item for app, item in self._items.items() if item.owner != owner}


def doubles(meant: Mapping[Item, Iterable[str]]) -> dict[str, str]:
    """Of items that are known before anything is sent: why those that mean the same Custom App are all refused.

    Args:
        meant: the names of the Custom Apps of each item.

    Returns:
        By the item's name.
    """
    by_name: dict[str, list[Item]] = {}
    for item, names in meant.items():
        for name in dict.fromkeys(names):
            others = by_name.setdefault(name, [])
            if all(other.key != item.key for other in others):
                others.append(item)
    return {item.name: _refusal(name, items) for name, items in by_name.items() if len(items) > 1 for item in items}


def _refusal(app: str, items: Iterable[Item]) -> str:
    named = " and ".join(item.name for item in items)
    return f"{named} mean the same Custom App {app!r}: {_ADVICE}. Nothing was sent for them"
