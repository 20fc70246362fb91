"""Show every setting, its value and where it came from; secrets are looked for, but never shown.

Examples:
  kandji-uploader config
  kandji-uploader config --recipe GoogleChrome.pkg
  kandji-uploader config --identifier org.mozilla.firefox --json
  kandji-uploader config --example > config.yaml
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence

from kandji_uploader import settings
from kandji_uploader.cli import DONE
from kandji_uploader.errors import CredentialError
from kandji_uploader.models import Settings
from kandji_uploader.settings import credentials, showing
from kandji_uploader.settings.credentials import Secret
from kandji_uploader.settings.showing import Row


def configure(parser: argparse.ArgumentParser) -> None:
    """The arguments."""
    add = parser.add_argument
    add("--recipe", metavar="NAME", help="show what holds for this AutoPkg recipe (its name or identifier)")
    add("--identifier", metavar="ID", action="append", default=[], help="show what holds for this package or bundle id")
    add("--json", action="store_true", help="as JSON")
    add("--example", action="store_true", help="print a commented config file with the defaults, and do no more")


def run(arguments: argparse.Namespace) -> int:
    """Print the table, the JSON or the example."""
    if arguments.example:
        print(showing.example(), end="")
        return DONE
    held = settings.load(
        {},
        given_origin="command line",
        caller="autopkg" if arguments.recipe else "command line",
        recipe=arguments.recipe,
        recipe_identifier=arguments.recipe,
    ).settle(arguments.identifier)
    rows = showing.explain(held)
    secrets = _secrets(held)
    if arguments.json:
        print(json.dumps(_as_json(held, rows, secrets), indent=2, ensure_ascii=False))
    else:
        print(f"Folder: {held.config_folder}\n")
        print(_table([*rows, *secrets]))
        for warning in held.warnings:
            print(f"warning: {warning}", file=sys.stderr)
    return DONE


def _secrets(held: Settings) -> tuple[Row, Row]:
    return (
        _secret(f"API token {held.token_name}", lambda: credentials.api_token(held)),
        _secret(f"Slack webhook {held.webhook_name}", lambda: credentials.slack_webhook(held)),
    )


def _secret(name: str, find: Callable[[], Secret | None]) -> Row:
    """Whether a secret is there and where; not what it is."""
    try:
        found = find()
    except CredentialError as error:
        return Row(name, "missing", str(error))
    return Row(name, "found", found.origin) if found else Row(name, "not needed", "Slack is off")


def _as_json(held: Settings, rows: Sequence[Row], secrets: Sequence[Row]) -> dict[str, object]:
    return {
        "folder": str(held.config_folder),
        "settings": [{"key": row.key, "value": row.value, "origin": row.origin} for row in rows],
        "secrets": [{"name": row.key, "state": row.value, "origin": row.origin} for row in secrets],
        "warnings": list(held.warnings),
    }


def _table(rows: Sequence[Row]) -> str:
    lines = [("Setting", "Value", "From"), *((row.key, row.value or "-", row.origin) for row in rows)]
    key, value = (max(len(line[column]) for line in lines) for column in (0, 1))
    return "\n".join(f"{line[0]:{key}}  {line[1]:{value}}  {line[2]}" for line in lines)
