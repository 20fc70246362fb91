"""A config file with one value changed, and every other character as it was: comments and order are the user's.

PyYAML tells where each key and value stands, and JSON is read as the YAML that it is, too. The changed text is read
again: what else than the one value has changed is refused.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

from kandji_uploader.errors import Problem, SettingsError
from kandji_uploader.settings.reading import loader, read_mapping

if TYPE_CHECKING:
    import yaml

_ASK_THE_EDITOR = "cannot be changed without touching what stands beside it; use `kandji-uploader config edit`"


def with_value(content: str, path: Path, spellings: Sequence[str], value: object) -> str:
    """The text of a config file with another value.

    Args:
        content: the text as it is.
        path: the file, whose name tells JSON from YAML.
        spellings: the key paths that mean the key, the usual one first; the one that is there is kept.
        value: what is to stand there; None takes the key out.

    Raises:
        SettingsError: the file is broken, or this cannot be said in it without changing more.
    """
    before = _leaves(read_mapping(content, path))
    key = next((each for each in spellings if each in before), spellings[0])
    if value is None and key not in before:
        return content
    text = None if value is None else json.dumps(value.value if isinstance(value, Enum) else value, ensure_ascii=False)
    changed = _Text(content, strict=path.suffix.lower() == ".json").changed(key.split("."), text)
    wanted = {each: found for each, found in before.items() if each not in spellings}
    if text is not None:
        wanted |= _leaves(read_mapping(f'{{"{key}": {text}}}', path))
    try:
        if _leaves(read_mapping(changed, path)) == wanted:
            return changed
    except SettingsError:
        pass
    raise SettingsError([Problem(str(path), key, None, _ASK_THE_EDITOR)])


def _leaves(tree: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """The values by their key paths; a key without a value counts as not there."""
    found: dict[str, Any] = {}
    for part, value in tree.items():
        if isinstance(value, Mapping):
            found |= _leaves(value, f"{above}{part}.")
        elif value is not None:
            found[f"{above}{part}"] = value
    return found


class _Text:
    """The text of a config file that is to be changed in one place.

    Args:
        content: the text.
        strict: whether it is JSON.
    """

    def __init__(self, content: str, *, strict: bool) -> None:
        import yaml

        self._content = content
        self._strict = strict
        self._break = "\r\n" if "\r\n" in content else "\n"
        # A tab between two words is a blank in JSON and an error in YAML.
        self._root = yaml.compose(content.replace("\t", " ") if strict else content, Loader=loader())

    def changed(self, parts: Sequence[str], text: str | None) -> str:
        """With the value at a path replaced, put in or (None) taken out."""
        header: yaml.Node | None = None
        section = self._root
        way: list[tuple[yaml.Node, yaml.Node, bool]] = []
        while parts and _is_mapping(section):
            found = _longest(section, parts)
            if found is None:
                break
            alone = len(section.value) == 1
            size, header, section = found
            way.append((header, section, alone))
            parts = parts[size:]
        if not parts and text is None:
            return self._without(way)
        if not parts and header is not None and section is not None:
            return self._replaced(header, section, text)
        if self._strict or (_is_mapping(section) and section.flow_style):
            return self._in_braces(section, parts, text)
        return self._below(header, section, parts, text)

    def _without(self, way: Sequence[tuple[yaml.Node, yaml.Node, bool]]) -> str:
        """Without a key, and without the sections that it was alone in: one that is there and empty means something."""
        top = next((at for at in range(len(way) - 1, 0, -1) if not way[at][2]), 0)
        keys, value = [key for key, _, _ in way[top:]], way[-1][1]
        content, lines = self._content, [self._line(key) for key in keys]
        beside = [content[line : key.start_mark.index].strip() for key, line in zip(keys, lines, strict=True)]
        if self._strict or any(beside):
            return self._replaced(*way[top][:2], None)
        ends = [*(self._line_end(key.end_mark.index) for key in keys[:-1]), self._line_end(self._end(value))]
        for line, end in zip(reversed(lines), reversed(ends), strict=True):
            content = content[:line] + content[end:]
        return content

    def _line(self, key: yaml.Node) -> int:
        """Where the line of a key begins."""
        return self._content.rfind("\n", 0, key.start_mark.index) + 1

    def _replaced(self, key: yaml.Node, value: yaml.Node, text: str | None) -> str:
        start, end = value.start_mark.index, self._end(value)
        between = self._content[key.end_mark.index : start]
        if between.strip() == ":":  # an empty value begins at the colon, a list on a line of its own
            start = key.end_mark.index + between.index(":") + 1
            text = f" {text or 'null'}"
        return self._content[:start] + (text or "null") + self._content[end:]

    def _in_braces(self, section: yaml.Node | None, parts: Sequence[str], text: str | None) -> str:
        """As the first of a section in braces; of a section without a value, or of an empty file, as all of it."""
        first, *below = parts
        inside = f"{{{_nested(below, text)}}}" if below else str(text)
        item = f"{json.dumps(first)}: {inside}"
        if section is None:
            return f"{{{item}}}{self._break}"
        at = section.start_mark.index
        if not _is_mapping(section):
            return f"{self._content[:at]}{{{item}}}{self._content[self._end(section) :]}"
        if not section.value:
            return f"{self._content[: at + 1]}{item}{self._content[at + 1 :]}"
        gap = self._content[at + 1 : section.value[0][0].start_mark.index]
        return f"{self._content[: at + 1]}{gap}{item},{self._content[at + 1 :]}"

    def _below(
        self, header: yaml.Node | None, section: yaml.Node | None, parts: Sequence[str], text: str | None
    ) -> str:
        """On lines of their own: below the comment that has the key, else at the top of its section or the end."""
        content = self._content
        if header is not None and section is not None and not _is_mapping(section):  # `section: ~`
            content = content[: section.start_mark.index] + content[self._end(section) :]
        column = 0 if header is None else header.start_mark.column + 2
        if _is_mapping(section) and section.value:
            column = section.value[0][0].start_mark.column
        begin = 0 if header is None else self._line_end(header.end_mark.index)
        comment = re.compile(rf"^ {{{column}}}# ?{re.escape(parts[0])}:.*(\r?\n|\Z)", re.MULTILINE)
        there = comment.search(content, begin, self._section_end(begin, column))
        at = there.end() if there else begin if header is not None else len(content)
        lines = [f"{' ' * (column + 2 * depth)}{part}:" for depth, part in enumerate(parts)]
        lines[-1] += f" {text}"
        above = self._break if at and not content[:at].endswith("\n") else ""
        return f"{content[:at]}{above}{self._break.join(lines)}{self._break}{content[at:]}"

    def _end(self, node: yaml.Node) -> int:
        """Where a value ends; one on several lines ends, for PyYAML, where the next key begins."""
        import yaml

        if isinstance(node, yaml.SequenceNode) and not node.flow_style:
            return self._end(node.value[-1])
        start = int(node.start_mark.index)
        return start + len(self._content[start : node.end_mark.index].rstrip())

    def _line_end(self, index: int) -> int:
        """Where the line after that of a character begins."""
        found = self._content.find("\n", index - (index > 0 and self._content[index - 1] == "\n"))
        return len(self._content) if found < 0 else found + 1

    def _section_end(self, begin: int, column: int) -> int:
        """Where the first line stands that is no comment and begins further to the left."""
        further = re.compile(rf"^ {{0,{column - 1}}}[^\s#]", re.MULTILINE) if column else None
        found = further.search(self._content, begin) if further else None
        return found.start() if found else len(self._content)


def _is_mapping(node: yaml.Node | None) -> TypeGuard[yaml.MappingNode]:
    import yaml

    return isinstance(node, yaml.MappingNode)


def _longest(section: yaml.MappingNode, parts: Sequence[str]) -> tuple[int, yaml.Node, yaml.Node] | None:
    """How many parts of a path the key has that is there (`zz_defaults.dry_run` in one has two), and its nodes."""
    for size in range(len(parts), 0, -1):
        for key, value in section.value:
            if key.value == ".".join(parts[:size]):
                return size, key, value
    return None


def _nested(parts: Sequence[str], text: str | None) -> str:
    first, *below = parts
    return f"{json.dumps(first)}: {f'{{{_nested(below, text)}}}' if below else text}"
