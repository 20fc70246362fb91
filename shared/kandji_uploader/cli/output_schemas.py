"""JSON Schemas of what `--json` prints, from the types of `documents` and of the values that are printed whole."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from datetime import datetime
from enum import Enum, EnumMeta
from pathlib import Path
from typing import Any

from kandji_uploader.cli import documents
from kandji_uploader.cli.where import Place
from kandji_uploader.flows.approve import Approval
from kandji_uploader.models import AppFacts, Outcome, RunResult, Stage
from kandji_uploader.munki.report import ToldImport
from kandji_uploader.settings.showing import Row
from kandji_uploader.setup.doctor import Severity
from kandji_uploader.status.models import AppStatus

Document = dict[str, Any]

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_NAMES = {"Outcome": Outcome, "RunResult": RunResult, "Row": Row, "Severity": Severity, "Stage": Stage}
"""What `documents` does not load."""
_PLAIN = {str: "string", bool: "boolean", int: "integer", float: "number", types.NoneType: "null", Path: "string"}


class _Inspected(typing.TypedDict):
    file: str
    error: documents.Error | None


class _Unread(typing.TypedDict):
    file: str
    error: documents.Error


def document(name: str) -> Document:
    """The JSON Schema of what a command prints with `--json`.

    Args:
        name: one of `documents.NAMES`.
    """
    title = f"kandji-uploader {name.replace('-', ' ')} --json"
    return {"$schema": _DIALECT, "title": title, **_of_command()[name]}


def _of_command() -> dict[str, Document]:
    failure = _of(documents.Failure) | {"required": ["error"]}
    published = _list(_of(documents.Published), failure)
    moved = _list(_of(documents.Run), failure)
    tenant: Document = {"tenant": {"type": "string"}}
    status = _of(AppStatus)
    status["properties"] |= tenant
    facts, file = _of(AppFacts), _of(_Inspected)
    facts = _object(file["properties"] | facts["properties"])
    inspected = {"anyOf": [facts, _of(_Unread)]}
    texts = {"type": "object", "additionalProperties": {"type": "string"}}
    jobs = {"type": "object", "required": ["include"], "properties": {"include": {"type": "array", "items": texts}}}
    return {
        "upload": published,
        "publish": published,
        "promote": moved,
        "approve": _list(_of(Approval), failure),
        "rollback": moved,
        "watch": moved,
        "resume": moved,
        "retry": moved,
        "status": _list(status, failure),
        "doctor": _list(_of(documents.Finding), failure),
        "where": _list(_of(Place), failure),
        "inspect": {"anyOf": [inspected, {"type": "array", "items": inspected}, failure]},
        "config": {"anyOf": [_of(documents.Config), failure]},
        "munki-import": {"anyOf": [_of(ToldImport), failure]},
        "schedule-status": {"anyOf": [_of(documents.Schedule), failure]},
        "matrix": {"anyOf": [jobs, {"type": "array", "items": {"type": "string"}}, failure]},
    }


def _list(item: Document, failure: Document) -> Document:
    return {"type": "array", "items": {"anyOf": [item, failure]}}


def _of(kind: Any) -> Document:
    """The schema of a type: what JSON can hold of it."""
    if kind in _PLAIN:
        return {"type": _PLAIN[kind]}
    if kind is datetime:
        return {"type": "string", "format": "date-time"}
    if kind is Any:
        return {}
    if dataclasses.is_dataclass(kind) or typing.is_typeddict(kind):
        hints = typing.get_type_hints(kind, localns=_NAMES)
        return _object({name: _of(hint) for name, hint in hints.items()}, getattr(kind, "__required_keys__", hints))
    return (
        {"enum": [each.value for each in typing.cast("type[Enum]", kind)]}
        if isinstance(kind, EnumMeta)
        else _generic(kind)
    )


def _generic(kind: Any) -> Document:
    origin, inside = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Literal:
        return {"enum": list(inside)}
    if origin in (typing.Union, types.UnionType):
        return {"anyOf": [_of(each) for each in inside]}
    if issubclass(origin, Mapping):
        return {"type": "object", "additionalProperties": _of(inside[1])}
    return {"type": "array", "items": _of(inside[0])}


def _object(properties: Document, required: typing.Iterable[str] = ()) -> Document:
    wanted = [name for name in properties if name in required] if required else list(properties)
    return {"type": "object", "properties": properties, "required": wanted, "additionalProperties": False}
