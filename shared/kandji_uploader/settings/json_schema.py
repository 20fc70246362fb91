"""The config file and the maps as JSON Schemas, from the table of keys, so that editors complete and check them.

They are a little stricter than the reader (`yes` for true and numbers in quotes are understood, too), and cannot
tell everything: that two names differ, for example. The reader takes every single value that they accept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any

from kandji_uploader._util.names import LONGEST_NAME
from kandji_uploader.models import SEVERITIES, WEEKDAYS
from kandji_uploader.settings import coercion, hosts, parts, schema, tenants
from kandji_uploader.settings.coercion import Choice, Kind, Number
from kandji_uploader.settings.schema import Key, Table

Document = dict[str, Any]

_DIALECT = "http://json-schema.org/draft-07/schema#"  # the newest that all common editors know
_ENTRY = {
    "config": "Settings of KandjiUploader.",
    "recipe_map": "Which Custom Apps a recipe is published to, by its whole name or identifier.",
    "package_map": "Which Custom Apps an installer is published to, by package id or bundle id.",
    "tenants": "The tenants that are published to, and what differs there.",
}
NAMES = tuple(_ENTRY)
"""The files that there is a JSON Schema for."""

_ONE_LINE = r"[^\u0000-\u001f\u007f]"
_TEXT: Document = {"type": "string", "pattern": rf"^{_ONE_LINE}*[^\s\u0000-\u001f\u007f]{_ONE_LINE}*$"}
_NAME: Document = {**_TEXT, "maxLength": LONGEST_NAME}
_APP: Document = {**_TEXT, "not": {"type": "string", "pattern": r":|^[^/]+/[^/]|^/+$"}}


_WORDS: Document = {"type": "string", "enum": list(coercion.HEARD)}
_HEARD: Document = {"anyOf": [{"type": "array", "items": _WORDS, "minItems": 1}, _WORDS]}


def _team(*words: str, more: bool = False) -> Document:
    one = rf"\s*([A-Za-z0-9]{{10}}|{'|'.join(words)})\s*"
    return {"type": "string", "pattern": f"^{one}(,{one})*$" if more else f"^{one}$"}


_CLOCK = r"([01][0-9]|2[0-3]):[0-5][0-9]"
_TIME = rf"[T ]{_CLOCK}(:[0-9]{{2}})?([Zz]|[+-]{_CLOCK})?"
_POINT: Document = {"type": "string", "pattern": rf"^\s*[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}({_TIME})?\s*$"}
_DAY = f"({'|'.join(WEEKDAYS)})"
_DAYS: Document = {"type": "string", "pattern": rf"^\s*{_DAY}(-{_DAY})?(\s*,\s*{_DAY}(-{_DAY})?)*\s*$"}
_VERSION: Document = {"type": "string", "pattern": r"^\s*[^\s*,]+(\.\*)?\s*$"}


def _number(most: int, *, whole: bool = False) -> Document:
    return {"type": "integer" if whole else "number", "minimum": 0, "maximum": most}


def _object(needed: str, **properties: Document) -> Document:
    return {"type": "object", "properties": properties, "required": [needed], "additionalProperties": False}


_OF_KIND: Mapping[Kind, Document] = {
    parts.window: _object(
        "zone",
        days={"anyOf": [_DAYS, {"type": "array", "items": _DAYS, "minItems": 1}]},
        hours={
            "type": "string",
            "pattern": r"^\s*([01][0-9]|2[0-3]):[0-5][0-9]\s*-\s*(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)\s*$",
        },
        zone=_TEXT,
    ),
    parts.fast_lane: {
        "type": "object",
        "properties": {
            "severity": {"enum": list(SEVERITIES)},
            "kev": {"type": "boolean"},
            "after_days": _number(coercion.LONGEST_DELAY),
            "deadline_days": _number(coercion.LONGEST_DELAY, whole=True),
        },
        "additionalProperties": False,
        "allOf": [
            {"anyOf": [{"required": ["severity"]}, {"properties": {"kev": {"const": True}}, "required": ["kev"]}]},
            {"anyOf": [{"required": ["after_days"]}, {"required": ["deadline_days"]}]},
        ],
    },
    parts.freezes: {
        "type": "array",
        "items": _object("until", **{"from": _POINT, "until": _POINT, "why": _TEXT, "zone": _TEXT}),
    },
    parts.versions: {"anyOf": [{"type": "array", "items": _VERSION, "minItems": 1}, _VERSION]},
    coercion.boolean: {"type": "boolean"},
    coercion.text: _TEXT,
    coercion.name: _NAME,
    coercion.app_name: _NAME,
    coercion.naming: {**_NAME, "pattern": "APPNAME"},
    coercion.secret_name: {**_NAME, "not": {"type": "string", "pattern": r"=|://|hooks\.slack\.com"}},
    coercion.heard: _HEARD,
    coercion.listeners: {
        "type": "array",
        "items": {
            "type": "object",
            "required": ["url"],
            "properties": {"url": {**_TEXT, "pattern": r"^[A-Za-z_][A-Za-z0-9_.-]*(://[^\s/?#]\S*)?$"}, "on": _HEARD},
            "additionalProperties": False,
        },
    },
    coercion.enforcement: {"enum": list(coercion.ENFORCEMENTS)},
    coercion.names: {"anyOf": [{"type": "array", "items": _NAME, "minItems": 1}, _TEXT]},
    coercion.tenants: {"anyOf": [{"type": "array", "items": _NAME, "minItems": 1}, _TEXT]},
    coercion.app_names: {"anyOf": [{"type": "array", "items": _APP}, _APP]},
    coercion.team_ids: {
        "anyOf": [{"type": "array", "items": _team("apple"), "minItems": 1}, _team("apple", more=True)]
    },
    coercion.new_signer: _team("apple", "unsigned"),
    coercion.macos_version: {"type": "string", "pattern": r"^\s*[0-9]{1,4}(\.[0-9]{1,4}){0,4}\s*$"},
    coercion.mac_folder: {**_TEXT, "pattern": rf"^\s*/{_ONE_LINE}*$"},
    coercion.folder: {**_TEXT, "pattern": rf"^\s*[/~]{_ONE_LINE}*$"},
    coercion.moment: {
        "type": "string",
        "pattern": r"^\s*\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d{3}(\d{3})?)?)?([Zz]|[+-]\d{2}:\d{2})\s*$",
    },
    hosts.api_url: {
        "type": "string",
        "pattern": r"^\s*((https://)?[A-Za-z0-9][A-Za-z0-9-]*\.api(\.eu)?\.(kandji\.io|iru\.com)"
        r"|(https?://)?(localhost|127\.[0-9.]+|\[::1\])(:[0-9]+)?)/?\s*$",
    },
}


def document(name: str) -> Document:
    """The JSON Schema of a file.

    Args:
        name: one of `NAMES`.
    """
    if name == "config":
        content = _section(schema.IN_CONFIG, defaults=True)
    elif name == "tenants":
        content = _tenants()
    else:
        content = {"type": ["object", "null"], "additionalProperties": _section(schema.IN_MAP, defaults=False)}
    return {"$schema": _DIALECT, "title": f"{name}.yaml of KandjiUploader", "description": _ENTRY[name], **content}


def _tenants() -> Document:
    """tenants.yaml: tenants by name, and groups of them."""
    words = {"anyOf": [{"type": "array", "items": _NAME}, _TEXT]}
    one = _section(schema.IN_TENANT, defaults=False)
    apps = {"type": ["object", "null"], "additionalProperties": _section(schema.IN_TENANT_APP, defaults=False)}
    one["properties"] |= {"groups": _or_nothing(words), "apps": apps}
    for key in ("api_url", "token_name"):
        one["properties"][key] = {
            "description": schema.IN_TENANT[key][0].purpose,
            **_value(schema.IN_TENANT[key][0].kind),
        }
    one |= {"type": "object", "required": ["api_url", "token_name"]}
    names = {"propertyNames": {"pattern": tenants.NAME.pattern}}
    return {
        "type": "object",
        "required": ["tenants"],
        "properties": {
            "tenants": {"type": "object", "minProperties": 1, **names, "additionalProperties": one},
            "groups": {"type": ["object", "null"], **names, "additionalProperties": words},
        },
        "additionalProperties": False,
    }


def _section(table: Table, *, defaults: bool) -> Document:
    """The keys of a table, or of one section of it, as an object that has no others."""
    properties: Document = {}
    for path, keys in table.items():
        name, _, rest = path.partition(".")
        if not rest:
            properties[name] = _leaf(keys, defaults=defaults)
        elif name not in properties:
            above = f"{name}."
            properties[name] = _section(
                {known.removeprefix(above): keys for known, keys in table.items() if known.startswith(above)},
                defaults=defaults,
            )
    return {"type": ["object", "null"], "properties": properties, "additionalProperties": False}


def _leaf(keys: tuple[Key, ...], *, defaults: bool) -> Document:
    """One key. A key without a value counts as not given."""
    key = keys[0]
    purpose = key.purpose if len(keys) == 1 else key.purpose.replace("(prod app)", "(both apps)")
    told: Document = {"description": purpose}
    if defaults and key.default is not None:
        told["default"] = key.default.value if isinstance(key.default, Enum) else key.default
    return {**told, **_or_nothing(_value(key.kind))}


def _value(kind: Kind) -> Document:
    if isinstance(kind, Number):
        return {"type": "integer" if kind.whole else "number", "minimum": kind.low, "maximum": kind.high}
    if isinstance(kind, Choice):
        return {"enum": list(kind.words)}
    if isinstance(kind, parts.Rings):
        return {"type": "array", "minItems": 1, "items": _ring()}
    return _OF_KIND[kind]


def _or_nothing(value: Document) -> Document:
    for word, more in _NOTHING.items():
        if word in value:
            return {**value, word: more(value[word])}
    raise AssertionError(value)


def _ring() -> Document:
    """One ring; the name is all that it needs."""
    keys = {name: _leaf((key,), defaults=False) for name, key in schema.RING.items()}
    told = {name: {**key, "description": key["description"].replace(" (prod app)", "")} for name, key in keys.items()}
    return {"type": "object", "required": ["name"], "properties": told, "additionalProperties": False}


_NOTHING: Mapping[str, Callable[[Any], Any]] = {
    "type": lambda kind: [kind, "null"],
    "enum": lambda words: [*words, None],
    "anyOf": lambda choices: [*choices, {"type": "null"}],
}
