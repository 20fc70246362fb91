"""The public schemas of what other programs read, as `check-jsonschema` and `kubernetes-validate` bring them."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

# It would take a second of processor time, for a grammar of IRIs that no schema here asks for.
sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]

import jsonschema  # noqa: E402
import kubernetes_validate  # noqa: E402


def problems(name: str, content: Any) -> list[str]:
    """What of a document does not fit a schema of SchemaStore, such as `github-workflows`."""
    # Its package would be imported with its command line, which takes another second.
    package = Path(importlib.util.find_spec("check_jsonschema").origin).parent
    schema = json.loads((package / "builtin_schemas" / "vendor" / f"{name}.json").read_text())
    found = jsonschema.validators.validator_for(schema)(schema).iter_errors(content)
    return [f"{'/'.join(map(str, error.path))}: {error.message}" for error in found]


def check_kubernetes(content: Any) -> None:
    """Raise an error where a document is no resource of Kubernetes."""
    kubernetes_validate.validate(content, "1.31", strict=True)
