"""Print the JSON Schema of config.yaml, tenants.yaml or a map, with which editors complete and check them.

`output.` and a command is the JSON Schema of what that command prints with `--json`.

Examples:
  kandji-uploader schema config > config.schema.json
  kandji-uploader schema output.publish
  kandji-uploader schema recipe_map > recipe_map.schema.json
"""

from __future__ import annotations

import argparse
import json

from kandji_uploader.cli import DONE, documents
from kandji_uploader.settings import json_schema

_OUTPUT = "output."


def configure(parser: argparse.ArgumentParser) -> None:
    """The arguments."""
    outputs = [f"{_OUTPUT}{name}" for name in documents.NAMES]
    names = (*json_schema.NAMES, *outputs)
    parser.add_argument("name", metavar="NAME", choices=names, help=", ".join(names))


def run(arguments: argparse.Namespace) -> int:
    """Print it."""
    if arguments.name.startswith(_OUTPUT):
        from kandji_uploader.cli import output_schemas

        found = output_schemas.document(arguments.name.removeprefix(_OUTPUT))
    else:
        found = json_schema.document(arguments.name)
    print(json.dumps(found, indent=2, ensure_ascii=False))
    return DONE
