"""Print the JSON Schema of config.yaml, tenants.yaml or a map, with which editors complete and check them.

Examples:
  kandji-uploader schema config > config.schema.json
  kandji-uploader schema recipe_map > recipe_map.schema.json
"""

from __future__ import annotations

import argparse
import json

from kandji_uploader.cli import DONE
from kandji_uploader.settings import json_schema


def configure(parser: argparse.ArgumentParser) -> None:
    """The arguments."""
    parser.add_argument("name", metavar="NAME", choices=json_schema.NAMES, help=f"{', '.join(json_schema.NAMES)}")


def run(arguments: argparse.Namespace) -> int:
    """Print it."""
    print(json.dumps(json_schema.document(arguments.name), indent=2, ensure_ascii=False))
    return DONE
