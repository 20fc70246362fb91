"""What `--json` prints, held against the JSON Schemas that are published."""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from typing import Any

from kandji_uploader.cli import command_of, output_schemas
from tests.support.schemas import validator


@functools.cache
def _schema(name: str) -> Any:
    return validator(output_schemas.document(name))


def name_of(words: Sequence[str]) -> str:
    """The name of the schema of a command."""
    name, rest = command_of(list(words))
    return f"{name}-{rest[0]}" if name in ("munki", "schedule") else name


def check(words: Sequence[str], printed: str) -> None:
    """Raise an error where a command with `--json` has printed something else than its schema says."""
    if "--json" not in words or "--help" in words:
        return
    name = name_of(words)
    problems = [
        f"{'/'.join(map(str, each.path))}: {each.message}" for each in _schema(name).iter_errors(json.loads(printed))
    ]
    assert not problems, (name, problems[:5], printed[:2000])
