"""The bill of materials of a component: the list of its files, which tells its apps without a look at the payload.

A small store of numbered blocks; the variable `Paths` names a tree whose leaves, chained, hold for each file its
number, its folder's number and its name. It only saves time: where it is missing or odd, the payload is read instead.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from kandji_uploader.installer.choice import APP, outer_app
from kandji_uploader.installer.limits import DEPTH, FILES, NAME_BYTES, MalformedError
from kandji_uploader.installer.plists import composed

# Apple documents nothing of this. The layout is what the bomutils project found (src/bom.h), big-endian. Header:
# "BOMStore", version, blocks in use, place and length of the table of blocks, place and length of the variables.
_HEADER = struct.Struct(">8s6I")
# "tree", version, block of the first node, size of a block. What follows is not needed.
_TREE = struct.Struct(">4s3I")
# Whether it is a leaf, how many pairs follow, the next leaf and the one before.
_NODE = struct.Struct(">2H2I")
# In the table of blocks: place and length. In a leaf: the block of the number of a file, and that of its name.
_PAIR = struct.Struct(">2I")
_NUMBER = struct.Struct(">I")
_APP_ENDS = APP.encode()


def app_paths(data: bytes, prefix: str = "") -> list[str]:
    """The paths of the apps in a bill of materials, those inside other bundles excepted.

    Args:
        data: the bill.
        prefix: what comes before each path, where the payload is the inside of a bundle.

    Raises:
        MalformedError: it cannot be read.
    """
    try:
        return _app_paths(_Store(data), prefix)
    except (struct.error, IndexError):
        raise MalformedError("Bom", "it is broken or truncated") from None


def lists(data: bytes, wanted: bytes) -> bool:
    """Whether a bill of materials has any file of that name, in any case. Raises as `app_paths`."""
    try:
        return any(name.lower() == wanted.lower() for _, _, name in _Store(data).files())
    except (struct.error, IndexError):
        raise MalformedError("Bom", "it is broken or truncated") from None


def _app_paths(store: _Store, prefix: str) -> list[str]:
    """Two passes, so that only folders are remembered and not each of some hundred thousand files."""
    folders = {parent for _, parent, _ in store.files()}
    known: dict[int, tuple[int, bytes]] = {}
    apps: list[int] = []
    for number, parent, name in store.files():
        is_app = name.lower().endswith(_APP_ENDS)
        if is_app or number in folders:
            known[number] = (parent, name)
        if is_app:
            apps.append(number)
    paths = (prefix + _path(number, known) for number in apps)
    outer = (outer_app(path) for path in paths)
    found = [place[0] for place in outer if place is not None]
    return list(dict.fromkeys([prefix.rstrip("/"), *found] if prefix else found))


def _path(number: int, known: dict[int, tuple[int, bytes]]) -> str:
    parts: list[bytes] = []
    while number in known:
        number, name = known[number]
        parts.append(name)
        if len(parts) > DEPTH:
            raise MalformedError("Bom", f"its folders are nested deeper than {DEPTH}, or in a circle")
    text = composed(b"/".join(reversed(parts)).decode("utf-8", "replace"))
    return text.removeprefix("./")


class _Store:
    def __init__(self, data: bytes) -> None:
        self._data = data
        magic, _, _, index, _, variables, _ = _HEADER.unpack_from(data)
        if magic != b"BOMStore":
            raise MalformedError("Bom", "it is no bill of materials")
        self._index = index
        self._first = self._leaf(self._variable(variables, b"Paths"))

    def files(self) -> Iterator[tuple[int, int, bytes]]:
        """Number, folder's number and name of each file."""
        at, leaves, left = self._first, set[int](), 2 * FILES
        while at:
            leaves.add(at)
            start, _ = self._block(at)
            _, count, at, _ = _NODE.unpack_from(self._data, start)
            left -= count
            if left < 0 or at in leaves:
                raise MalformedError("Bom", f"it lists more than {2 * FILES:,} files, or goes in a circle")
            for pair in range(count):
                info, file = _PAIR.unpack_from(self._data, start + _NODE.size + pair * _PAIR.size)
                yield self._file(info, file)

    def _file(self, info: int, file: int) -> tuple[int, int, bytes]:
        (number,) = _NUMBER.unpack_from(self._data, self._block(info)[0])
        start, length = self._block(file)
        (parent,) = _NUMBER.unpack_from(self._data, start)
        name = self._data[start + _NUMBER.size : start + min(length, NAME_BYTES)]
        return number, parent, name.split(b"\0", 1)[0]

    def _block(self, number: int) -> tuple[int, int]:
        # The table begins with how many blocks there are.
        start, length = _PAIR.unpack_from(self._data, self._index + _NUMBER.size + number * _PAIR.size)
        if start + length > len(self._data):
            raise MalformedError("Bom", "a block of it is beyond its end")
        return start, length

    def _variable(self, at: int, wanted: bytes) -> int:
        (count,) = _NUMBER.unpack_from(self._data, at)
        at += _NUMBER.size
        for _ in range(min(count, FILES)):
            (block,) = _NUMBER.unpack_from(self._data, at)
            # The number of its block (4 bytes), the length of its name (1 byte), the name.
            end = at + 5 + self._data[at + 4]
            if self._data[at + 5 : end] == wanted:
                return int(block)
            at = end
        raise MalformedError("Bom", "it lists no files")

    def _leaf(self, tree: int) -> int:
        """The first leaf of a tree."""
        magic, _, at, _ = _TREE.unpack_from(self._data, self._block(tree)[0])
        if magic != b"tree":
            raise MalformedError("Bom", "its list of files is no tree")
        for _ in range(DEPTH):
            start, _ = self._block(at)
            is_leaf, count, _, _ = _NODE.unpack_from(self._data, start)
            if is_leaf or not count:
                return int(at)
            # The first pair of a branch leads to the child with the smallest names; its leaves are chained from there.
            (at, _) = _PAIR.unpack_from(self._data, start + _NODE.size)
        raise MalformedError("Bom", "its tree of files has no leaves")
