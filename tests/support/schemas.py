"""The public schemas of what other programs read, as `check-jsonschema` and `kubernetes-validate` bring them."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# It would take a second of processor time, for a grammar of IRIs that no schema here asks for.
sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]

import jsonschema  # noqa: E402
import kubernetes_validate  # noqa: E402
import regress  # noqa: E402
import ruamel.yaml  # noqa: E402


def load(path: Path) -> Any:
    """What is in a YAML or JSON file, read as editors and `check-jsonschema` read it: `on` is a word there."""
    return ruamel.yaml.YAML(typ="safe").load(path.read_text(encoding="utf-8"))


def public(name: str) -> dict[str, Any]:
    """A schema that `check-jsonschema` brings, such as `vendor/github-workflows` (those are of SchemaStore)."""
    # Its package would be imported with its command line, which takes another second.
    package = Path(importlib.util.find_spec("check_jsonschema").origin).parent
    return json.loads((package / "builtin_schemas" / f"{name}.json").read_text(encoding="utf-8"))


def _pattern(_: Any, pattern: str, value: Any, __: Any) -> Iterator[jsonschema.ValidationError]:
    """JSON Schema's patterns are those of ECMAScript; a pattern that only Python understands is an error."""
    if isinstance(value, str) and not regress.Regex(pattern, flags="u").find(value):
        yield jsonschema.ValidationError(f"{value!r} does not match {pattern!r}")


def validator(schema: dict[str, Any]) -> Any:
    """What says whether a document fits a schema, which has to be a right one itself."""
    kind = jsonschema.validators.validator_for(schema)
    kind.check_schema(schema)
    return jsonschema.validators.extend(kind, {"pattern": _pattern})(schema)


def problems(name: str, content: Any) -> list[str]:
    """What of a document does not fit a public schema."""
    return [
        f"{'/'.join(map(str, error.path))}: {error.message}" for error in validator(public(name)).iter_errors(content)
    ]


def check_kubernetes(content: Any) -> None:
    """Raise an error where a document is no resource of Kubernetes."""
    kubernetes_validate.validate(content, "1.31", strict=True)
