"""Show every setting, its value and where it came from; secrets are looked for, but never shown.

`set`, `unset` and `edit` change the config file. What would be wrong is refused before it is written.

Examples:
  kandji-uploader config
  kandji-uploader config --recipe GoogleChrome.pkg
  kandji-uploader config --tenant acme
  kandji-uploader config --identifier org.mozilla.firefox --json
  kandji-uploader config --example > config.yaml
  kandji-uploader config set li_enforcement.delays.prod 7
  kandji-uploader config edit
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial

from kandji_uploader import settings
from kandji_uploader._util.secret import Secret
from kandji_uploader.cli import DONE, documents, flags, screen
from kandji_uploader.errors import CredentialError
from kandji_uploader.models import Settings
from kandji_uploader.settings import credentials, freezing, showing
from kandji_uploader.settings.ladder import missing_url
from kandji_uploader.settings.showing import Row


def configure(parser: argparse.ArgumentParser) -> None:
    """The arguments."""
    add = parser.add_argument
    add("--recipe", metavar="NAME", help="show what holds for this AutoPkg recipe (its name or identifier)")
    add("--identifier", metavar="ID", action="append", default=[], help="show what holds for this package or bundle id")
    flags.tenant(parser)
    add("--json", action="store_true", help="as JSON")
    add("--example", action="store_true", help="print a commented config file with the defaults, and do no more")
    words = parser.add_subparsers(dest="word", metavar="set|unset|edit")
    set_word = words.add_parser("set", help="write a value into the config file; all else in it stays as it is")
    unset_word = words.add_parser("unset", help="take a key out of the config file")
    for each in (set_word, unset_word):
        each.add_argument("key", metavar="KEY", help="its key path, such as li_enforcement.delays.prod")
    set_word.add_argument("value", metavar="VALUE", help="a value as in the file; a list as [a, b]")
    words.add_parser("edit", help="open the config file in $VISUAL or $EDITOR, and check it before it is kept")


def run(arguments: argparse.Namespace) -> int:
    """Print the table, the JSON or the example; or change the config file."""
    if arguments.word:
        from kandji_uploader.cli import config_file

        return config_file.edit() if arguments.word == "edit" else config_file.change(arguments)
    if arguments.example:
        print(showing.example(), end="")
        return DONE
    ladder, note = _ladder(arguments.recipe, {"tenant": arguments.tenant})
    settled = ladder.settle(arguments.identifier)
    rows = showing.explain(settled)
    secrets = _secrets(settled)
    if arguments.json:
        documents.show(_as_json(settled, rows, secrets) | _match_json(ladder))
    else:
        print(f"Folder: {settled.config_folder}{_match(arguments.recipe, ladder)}\nState:  {settled.state_folder}\n")
        cells = [[row.key, row.value or "-", row.origin] for row in (*rows, *secrets)]
        print(screen.of().table(["Setting", "Value", "From"], cells))
        frozen = freezing.told(settled, time.time())
        for warning in (*settled.warnings, *frozen, *note, *_missing(settled)):
            print(f"warning: {warning}", file=sys.stderr)
    return DONE


def _ladder(name: str | None, given: Mapping[str, object]) -> tuple[settings.Ladder, tuple[str, ...]]:
    """The settings for a recipe as AutoPkg finds it, with its parents, or for none; and warnings about it."""
    if not name:
        return settings.load(given, given_origin="command line", caller="command line", shown=True), ()
    from kandji_uploader.setup import autopkg_tool

    found = autopkg_tool.recipe(os.environ, name)
    ladder = settings.load(
        given,
        given_origin="command line",
        caller="autopkg",
        recipe=found.path.name if found else name,
        recipe_identifier=found.identifier if found else name,
        parents=found.parents if found else (),
        shown=True,
    )
    text = f"AutoPkg does not know the recipe {name}, or is not on PATH; what it is made of could not be looked for"
    return ladder, () if found or not ladder.recipe_why else (text,)


def _missing(settled: Settings) -> tuple[str, ...]:
    """What a run would fail of, and a machine without settings lacks."""
    return () if settled.api_url else (f"kandji.api_url {missing_url(settled.config_folder)}",)


def _match(recipe: str | None, ladder: settings.Ladder) -> str:
    """Which entry of the recipe map holds, and why."""
    if not recipe:
        return ""
    if not ladder.recipe_why:
        return f"\nRecipe map: not in use, so it says nothing of {recipe}"
    if not ladder.recipe_key:
        return f"\nRecipe map: no entry for {recipe}; {ladder.recipe_why}"
    return f"\nRecipe map: the entry {ladder.recipe_key} holds: {ladder.recipe_why}"


def _match_json(ladder: settings.Ladder) -> dict[str, object]:
    if not ladder.recipe_why:
        return {}
    return {"recipe_map": {"key": ladder.recipe_key or None, "why": ladder.recipe_why}}


def _secrets(settings: Settings) -> tuple[Row, ...]:
    return (
        _secret(f"API token {settings.token_name}", lambda: credentials.api_token(settings)),
        _secret(f"Slack webhook {settings.webhook_name}", lambda: credentials.slack_webhook(settings)),
        *(
            _secret(f"address {each.name}", partial(credentials.address_of, each, settings))
            for each in settings.notify or ()
        ),
    )


def _secret(name: str, find: Callable[[], Secret | None]) -> Row:
    """Whether a secret is there and where; not what it is."""
    try:
        found = find()
    except CredentialError as error:
        return Row(name, "missing", str(error))
    return Row(name, "found", found.origin) if found else Row(name, "not needed", "Slack is off")


def _as_json(settings: Settings, rows: Sequence[Row], secrets: Sequence[Row]) -> dict[str, object]:
    return {
        "folder": str(settings.config_folder),
        "settings": [asdict(row) for row in rows],
        "secrets": [{"name": row.key, "state": row.value, "origin": row.origin} for row in secrets],
        "warnings": list(settings.warnings),
    }
