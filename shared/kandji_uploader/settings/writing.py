"""Writing the config file, and taking over what another tool's config file says."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kandji_uploader._util import files
from kandji_uploader.errors import Problem, SettingsError
from kandji_uploader.models import Tenant
from kandji_uploader.settings import coercion, editing, hosts, schema
from kandji_uploader.settings.coercion import UnfitError
from kandji_uploader.settings.ladder import DELAY_WITHOUT_VALUE
from kandji_uploader.settings.loading import load
from kandji_uploader.settings.parts import as_written
from kandji_uploader.settings.reading import find_file, read_mapping, read_mapping_file, read_yaml
from kandji_uploader.settings.showing import config_file
from kandji_uploader.settings.sources import Complaints, KeySource, prepared_config, read

_HEAD = """\
# Settings of KandjiUploader, written by `kandji-uploader setup`. `kandji-uploader config` shows what holds.
# Every key may be left out. Secrets never go into this file: only the names under which the environment or the
# keychain keeps them.
"""
FORMER, DRAFT = ".former", ".draft"


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

    with _writing(path):
        if there:
            former = there.read_text(encoding="utf-8", errors="surrogateescape")
            if former == text:
                return path
            files.write_private(there.with_name(there.name + FORMER), former)
        files.write_private(path, text)
    return path


def set_values(folder: Path, changes: Mapping[str, object], environ: Mapping[str, str] | None = None) -> Path:
    """Change keys of a folder's config file and leave every other character of it as it is; returns its path.

    Where there is no config file, config.yaml is made. Processes take turns.

    Args:
        folder: the config folder.
        changes: by key path of the config file, in any of its spellings; None takes a key out.
        environ: the environment variables; the process's own by default.

    Raises:
        SettingsError: there is no such key, it does not take the value, the file cannot be written, or it would have
            an error that it has not now. Nothing was changed then.
    """
    complaints = Complaints()
    read(KeySource("command line", "command line", schema.IN_CONFIG, [folder]), changes, complaints)
    if complaints.problems:
        raise SettingsError(complaints.problems)
    return change_values(folder, lambda _: changes, environ)


def change_values(
    folder: Path, made: Callable[[Path], Mapping[str, object]], environ: Mapping[str, str] | None = None
) -> Path:
    """As `set_values`, with changes that depend on what the file holds.

    Args:
        folder: the config folder.
        made: makes fit changes from the config file, while no other process changes it.
        environ: the environment variables; the process's own by default.

    Raises: as `set_values`, and as `made`.
    """
    path = find_file(folder, "config") or folder / "config.yaml"

    def change() -> str | None:
        before = text_of(path)
        text = before
        for key, value in made(path).items():
            known = schema.IN_CONFIG[key][0]
            text = editing.with_value(text, path, (key, known.path, *known.spellings), value)
        text = _with_delays(before, text, path)
        refuse_new_problems(folder, before, text, environ)
        return None if text == before else text

    with _writing(path):
        files.change_private(path, change)
    return path


def _with_delays(before: str, text: str, path: Path) -> str:
    """A section `li_enforcement` that is new must not change the delays, which are others where it is and says none."""
    if isinstance(read_mapping(before, path).get("li_enforcement"), Mapping):
        return text
    now = read_mapping(text, path).get("li_enforcement")
    if not isinstance(now, Mapping):
        return text
    for key in (schema.PROD_DELAY, schema.TEST_DELAY):
        if key.path.rpartition(".")[2] not in (now.get("delays") or {}):
            text = editing.with_value(text, path, (key.path,), key.default)
    return text


def text_of(path: Path) -> str:
    """The text of a config file, with its line ends; "" where there is none.

    Raises:
        SettingsError: it cannot be read.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return file.read()
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeError):
        read_mapping_file(path)  # which says why
        raise


def typed(key: str, text: str) -> object:
    """What is to stand in the file for a value that was typed on a command line; a list or a mapping in brackets.

    Raises:
        SettingsError: there is no such key, or it does not take the value.
    """
    raw = read_yaml(text, "command line") if text[:1] in ("[", "{") else text
    complaints = Complaints()
    found = read(KeySource("command line", "command line", schema.IN_CONFIG, [Path.cwd()]), {key: raw}, complaints)
    if complaints.problems:
        raise SettingsError(complaints.problems)
    value = next(iter(found.values())).value if found else raw
    return value if isinstance(value, bool | int | float) else raw


def replace_text(folder: Path, path: Path, before: str, after: str) -> None:
    """Put a text into the config file of a folder.

    Args:
        folder: the config folder.
        path: the config file.
        before: what it is thought to hold.
        after: what it is to hold.

    Raises:
        SettingsError: the text is broken or has an error that is not there now, somebody else has changed the file
            meanwhile, or it cannot be written. It is as it was then.
    """
    read_mapping(after, path)

    def change() -> str:
        if text_of(path) != before:
            text = "was changed by somebody else meanwhile, and was left so; begin again with what it holds now"
            raise SettingsError([Problem(str(path), "", None, text)])
        refuse_new_problems(folder, before, after)
        return after

    with _writing(path):
        files.change_private(path, change)


def keep_draft(path: Path, text: str) -> Path:
    """Keep a text that was refused beside the config file; returns where.

    Raises:
        SettingsError: the folder cannot be written.
    """
    draft = path.with_name(path.name + DRAFT)
    with _writing(draft):
        files.write_private(draft, text)
    return draft


def refuse_new_problems(folder: Path, before: str, after: str, environ: Mapping[str, str] | None = None) -> None:
    """Refuse a text of the config file with an error that it has not now; one that it has may be mended later.

    Raises:
        SettingsError: with the new ones.
    """
    known = {(problem.key, problem.accepted) for problem in problems_with(folder, before, environ)}
    new = [each for each in problems_with(folder, after, environ) if (each.key, each.accepted) not in known]
    if new:
        raise SettingsError(new)


def problems_with(
    folder: Path, text: str | None, environ: Mapping[str, str] | None = None, tenant: Tenant | None = None
) -> tuple[Problem, ...]:
    """What is wrong in the settings and the maps of a folder.

    Args:
        folder: the config folder.
        text: what the config file is to hold; None for what it holds.
        environ: the environment variables; the process's own by default.
        tenant: the tenant that is meant, which then brings its address.
    """
    try:
        load(
            {},
            given_origin="command line",
            caller="autopkg",
            environ=environ,
            folder=folder,
            draft=text,
            tenant=tenant,
        )
    except SettingsError as error:
        return error.problems
    return ()


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """While it lasts, what keeps the file from being written is raised as an error of the settings."""
    try:
        yield
    except (OSError, UnicodeError) as problem:
        reason = getattr(problem, "strerror", None) or type(problem).__name__
        advice = f"cannot be written ({reason}); correct its permissions, or name another folder as KANDJI_UPLOADER_DIR"
        raise SettingsError([Problem(files.told(path), "", None, advice)]) from None


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
        place[leaf] = as_written(value)
    return json.dumps(tree, indent=2, ensure_ascii=False) + "\n"
