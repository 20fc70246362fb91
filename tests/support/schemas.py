"""The public schemas of what other programs read, as `check-jsonschema` and `kubernetes-validate` bring them."""

from __future__ import annotations

from typing import Any

import jsonschema
from check_jsonschema.builtin_schemas import get_builtin_schema


def problems(name: str, content: Any) -> list[str]:
    """What of a document does not fit a schema of SchemaStore, such as `vendor.github-workflows`."""
    schema = get_builtin_schema(name)
    found = jsonschema.validators.validator_for(schema)(schema).iter_errors(content)
    return [f"{'/'.join(map(str, error.path))}: {error.message}" for error in found]
