"""Writing the config file, and taking over what another tool's config file says."""

from __future__ import annotations

import json
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Any

from kandji_uploader._util import files
from kandji_uploader.errors import Problem, SettingsError
from kandji_uploader.settings import coercion, hosts, schema
from kandji_uploader.settings.coercion import UnfitError
from kandji_uploader.settings.ladder import DELAY_WITHOUT_VALUE
from kandji_uploader.settings.reading import find_file, read_mapping_file
from kandji_uploader.settings.showing import config_file
from kandji_uploader.settings.sources import Complaints, KeySource, prepared_config, read

_HEAD = """\
# Settings of KandjiUploader, written by `kandji-uploader setup`. `kandji-uploader config` shows what holds.
# Every key may be left out. Secrets never go into this file: only the names under which the environment or the
# keychain keeps them.
"""
FORMER = ".former"


def config_values(path: Path) -> tuple[dict[str, object], tuple[Problem, ...]]:
    """What a config file of ours, of kpkg, irupkg or KAPPA says, by our key paths; and what in it is wrong.

    An API URL that was never filled in counts as not said.

    Raises:
        SettingsError: the file cannot be read at all.
    """
    raw = read_mapping_file(path)
    complaints = Complaints()
    source = KeySource(str(path), str(path), schema.IN_CONFIG, [path.parent])
    found = read(source, prepared_config(str(path), raw, complaints, url_known=_never_filled_in(raw)), complaints)
    values = {key: each.value for key, each in found.items()}
    if isinstance(raw.get("li_enforcement"), Mapping):
        for key in (schema.PROD_DELAY, schema.TEST_DELAY):
            values.setdefault(key.path, DELAY_WITHOUT_VALUE)
    return values, tuple(complaints.problems)


def write_config(folder: Path, values: Mapping[str, object]) -> Path:
    """Write the config file of a folder, mode 0600; returns its path.

    A config.json stays one, since another tool may read it, too. What was there before is kept beside it with
    `.former` at the end of its name.

    Args:
        folder: the config folder, made where missing.
        values: by key path; every other key gets its default.

    Raises:
        SettingsError: the folder cannot be written, or holds two config files.
    """
    there = find_file(folder, "config")
    path = there or folder / "config.yaml"
    text = _as_json(values) if path.suffix == ".json" else config_file(values, _HEAD)
    try:
        if there:
            former = there.read_text(encoding="utf-8", errors="surrogateescape")
            if former == text:
                return path
            files.write_private(there.with_name(there.name + FORMER), former)
        files.write_private(path, text)
    except (OSError, UnicodeError) as problem:
        reason = getattr(problem, "strerror", None) or type(problem).__name__
        advice = f"cannot be written ({reason}); correct its permissions, or name another folder as KANDJI_UPLOADER_DIR"
        raise SettingsError([Problem(files.told(path), "", None, advice)]) from None
    return path


def read_api_url(value: str, where: str) -> str:
    """The address of an API as it is kept.

    Raises:
        SettingsError: it is none.
    """
    try:
        return hosts.api_url(value)
    except UnfitError as unfit:
        shown = None if unfit.secret else coercion.shown(value)
        raise SettingsError([Problem(where, schema.API_URL.path, shown, unfit.accepted)]) from None


def _never_filled_in(raw: Mapping[str, Any]) -> bool:
    """Whether the file names no API URL but the placeholder that it was shipped with."""
    sections = [raw.get(name) for name in ("kandji", "iru")]
    urls = [section.get("api_url") for section in sections if isinstance(section, Mapping)]
    return all(url is None or not str(url).strip() or hosts.is_placeholder(url) for url in urls)


def _as_json(values: Mapping[str, object]) -> str:
    tree: dict[str, Any] = {}
    for path, value in values.items():
        *sections, leaf = path.split(".")
        place = tree
        for section in sections:
            place = place.setdefault(section, {})
        place[leaf] = value.value if isinstance(value, Enum) else value
    return json.dumps(tree, indent=2, ensure_ascii=False) + "\n"
