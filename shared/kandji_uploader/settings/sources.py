"""From what a file, a recipe or the environment holds to checked values with origins; problems are gathered."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from kandji_uploader._util.places import STATE_VARIABLE
from kandji_uploader.errors import Problem
from kandji_uploader.settings import hosts, misplaced, schema
from kandji_uploader.settings.coercion import UnfitError, boolean, shown
from kandji_uploader.settings.schema import Key, Table

# AutoPkg's own pattern of a key reference; one that it could not fill in stays in the text.
_KEY_REFERENCE = re.compile(r"%([a-zA-Z_][a-zA-Z_0-9]*)%")
# What people write for another key that does not look alike.
_MEANT = {
    "name": "prod_name",
    "prod_category": "ss_category",
    "category": "ss_category",
    "self_service_category": "ss_category",
    "test_ss_category": "test_category",
    "production": "prod",
}


@dataclass(frozen=True)
class FoundValue:
    """A value that holds on one rung of the ladder, and where it came from."""

    value: object
    origin: str


Rung = Mapping[str, FoundValue]
"""What one source gives, by `Key.path`."""


@dataclass
class Complaints:
    """The errors and warnings of all sources, so that all can be told at once."""

    problems: list[Problem] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def add(self, where: str, key: str, accepted: str, value: str | None = None) -> None:
        """Note a problem."""
        self.problems.append(Problem(where, key, value, accepted))


@dataclass(frozen=True)
class KeySource:
    """A mapping to be read, and what to say of it.

    Attributes:
        where: how error texts call it.
        origin: how origins call it.
        table: the key paths it may hold.
        folders: where a file that is named by a relative path may be; the first that has it counts.
        entry: the map entry that is read; "" elsewhere.
        unexpanded: what to do about a `%KEY%` in it; "" where `%` means nothing.
    """

    where: str
    origin: str
    table: Table
    folders: Sequence[Path]
    entry: str = ""
    unexpanded: str = ""

    def place(self, path: str) -> str:
        """A key path as error texts show it."""
        whole = f"{self.entry}: {path}" if self.entry else path
        return whole if whole.isprintable() else repr(whole)


def read(source: KeySource, mapping: Mapping[str, object], complaints: Complaints) -> Rung:
    """The checked values of a mapping; None means not given. What does not fit is noted and left out."""
    found: dict[str, FoundValue] = {}
    written: dict[str, str] = {}
    leaves = _leaves(source, mapping, "", complaints)
    # A key for both stages first, so that one with `prod_` or `test_` in front wins over it.
    for path, raw in sorted(leaves.items(), key=lambda leaf: -len(source.table[leaf[0]])):
        keys = source.table[path]
        twin = written.setdefault(keys[0].path, path) if len(keys) == 1 else path
        if twin != path:
            complaints.add(source.where, source.place(path), f"is another spelling of {twin}; keep one of them")
            continue
        try:
            value = _value(source, keys[0], raw)
        except UnfitError as unfit:
            complaints.add(source.where, source.place(path), unfit.accepted, None if unfit.secret else shown(raw))
            continue
        found.update({key.path: FoundValue(value, source.origin) for key in keys})
    return found


def _leaves(source: KeySource, mapping: Mapping[str, object], prefix: str, complaints: Complaints) -> dict[str, object]:
    """The values by their whole key path. A flat dotted key wins over the same key in a dictionary."""
    found: dict[str, object] = {}
    for part, value in sorted(mapping.items(), key=lambda item: str(item[0]).count(".")):
        path = f"{prefix}{part}"
        if not isinstance(part, str):
            complaints.add(source.where, source.place(path), "is not text; put the key in quotes")
        elif path in source.table:
            if value is not None:
                found[path] = value
        elif not any(known.startswith(f"{path}.") for known in source.table):
            complaints.add(source.where, source.place(path), _unknown(source.table, path))
        elif isinstance(value, Mapping):
            found.update(_leaves(source, value, f"{path}.", complaints))
        elif value is not None:
            inside = next(known for known in source.table if known.startswith(f"{path}."))
            accepted = f"must hold keys of its own, such as {inside}"
            complaints.add(source.where, source.place(path), accepted, shown(value))
    return found


def _unknown(table: Table, path: str) -> str:
    """What to say of a key that no table knows. Its value is never shown: it may be a secret in the wrong place."""
    import difflib

    above, _, last = path.rpartition(".")
    inside = f"{above}." if above else ""
    beside = sorted({known.removeprefix(inside).split(".")[0] for known in table if known.startswith(inside)})
    if _MEANT.get(last) in beside:
        return f"is not a known key; did you mean {_MEANT[last]}?"
    elsewhere = misplaced.belongs(table, path)
    if elsewhere:
        return elsewhere
    near = [misplaced.meant(path)] if not above and table is schema.IN_GIVEN else []
    near += difflib.get_close_matches(last.lower(), beside)
    if any(near):
        return f"is not a known key; did you mean {next(filter(None, near))}?"
    return f"is not a known key; known here are {', '.join(beside)}"


def _value(source: KeySource, key: Key, raw: object) -> object:
    if source.unexpanded:
        for part in _texts_in(raw):
            if reference := _KEY_REFERENCE.search(part):
                raise UnfitError(f"holds {reference[0]}, for which there is no value; {source.unexpanded}")
    value = key.kind(raw)
    return _existing_file(source.folders, str(value)) if key.is_file else value


def _texts_in(raw: object) -> Iterator[str]:
    """The texts of a value, at whatever depth."""
    if isinstance(raw, Mapping):
        raw = list(raw.values())
    if isinstance(raw, list | tuple):
        for part in raw:
            yield from _texts_in(part)
    elif isinstance(raw, str):
        yield raw


def _existing_file(folders: Sequence[Path], path: str) -> str:
    """The whole path of a file, checked to be there and readable; a relative one starts from one of the folders.

    `%RECIPE_DIR%/...` in a recipe becomes a path below the override's folder once an override runs it, since AutoPkg
    fills it in; so a file that is missing below the first folder is looked for below the others, too.
    """
    refused = []
    for whole in _places(folders, path):
        reason = _unreadable(whole)
        if not reason:
            return str(whole)
        refused.append(f"at {whole} ({reason})")
    raise UnfitError(f"cannot be read {', nor '.join(refused)}; correct the path or put the file there")


def _places(folders: Sequence[Path], path: str) -> list[Path]:
    """Where a file may be, in order."""
    try:
        asked = Path(path).expanduser()
    except RuntimeError:  # `~name` of nobody
        asked = Path(path)
    if asked.is_absolute() and asked.is_relative_to(folders[0]):
        asked = asked.relative_to(folders[0])
    return list(dict.fromkeys(folder / asked for folder in folders))


def _unreadable(path: Path) -> str:
    """Why a file cannot be read; "" where it can."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            return "it is not a file"
    except OSError as error:
        return str(error.strerror)
    return "" if os.access(path, os.R_OK) else "permission denied"


def from_environment(environ: Mapping[str, str], complaints: Complaints) -> Rung:
    """What environment variables say; one that is empty counts as not set."""
    found: dict[str, FoundValue] = {}
    for key, variables in (
        (schema.API_URL, ("KANDJI_API_URL", "IRU_API_URL")),
        (schema.TOKEN_NAME, ("KANDJI_TOKEN_NAME", "IRUPKG_TOKEN_NAME")),
        (schema.STATE_FOLDER, (STATE_VARIABLE,)),
    ):
        there = [variable for variable in variables if environ.get(variable, "").strip()]
        if len({environ[variable].strip() for variable in there}) > 1:
            complaints.warnings.append(f"{' and '.join(there)} are both set and differ; {there[0]} is used")
        if there:
            _one_variable(found, key, there[0], environ, key.kind, complaints)
    if environ.get("ENV_KEYSTORE", "").strip():
        first: dict[str, FoundValue] = {}
        _one_variable(first, schema.ENVIRONMENT, "ENV_KEYSTORE", environ, boolean, complaints)
        found.update({path: truth for path, truth in first.items() if truth.value})
    return found


def _one_variable(
    found: dict[str, FoundValue],
    key: Key,
    variable: str,
    environ: Mapping[str, str],
    kind: Callable[[object], object],
    complaints: Complaints,
) -> None:
    raw = environ[variable].strip()
    try:
        found[key.path] = FoundValue(kind(raw), f"environment ({variable})")
    except UnfitError as unfit:
        complaints.add("environment", variable, unfit.accepted, None if unfit.secret else shown(raw))


def prepared_config(
    where: str, config: Mapping[str, object], complaints: Complaints, *, url_known: bool
) -> dict[str, object]:
    """A config file as read, with the word that an empty type stands for.

    Where the API URL is known from a higher rung (`url_known`), one that was never filled in is left out: KAPPA, kpkg
    and irupkg ship config files like that, for use with the environment variable.
    """
    ready = dict(config)
    for section in ("kandji", "iru") if url_known else ():
        inside = ready.get(section)
        url = inside.get("api_url") if isinstance(inside, Mapping) else None
        if isinstance(inside, Mapping) and (_blank(url) or hosts.is_placeholder(url)):
            ready[section] = {part: value for part, value in inside.items() if part != "api_url"}
    enforcement = ready.get("li_enforcement")
    if isinstance(enforcement, Mapping) and "type" in enforcement and _blank(enforcement["type"]):
        complaints.warnings.append(f"{where}: li_enforcement.type is empty; new apps are enforced as install_once")
        ready["li_enforcement"] = {**enforcement, "type": "install_once"}
    return ready


def _blank(value: object) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def from_map(path: Path, content: Mapping[str, object], complaints: Complaints) -> dict[str, Rung]:
    """The entries of a map, all of them checked, also those that this run does not use."""
    found: dict[str, Rung] = {}
    for entry, values in content.items():
        if not isinstance(entry, str) or not isinstance(values, Mapping):
            complaints.add(str(path), str(entry), "must hold keys, such as prod_name: Firefox", shown(values))
            continue
        advice = "AutoPkg does not fill in keys in a map; write the value out"
        source = KeySource(str(path), f"{path} ({entry})", schema.IN_MAP, [path.parent], entry, advice)
        found[entry] = read(source, values, complaints)
        complaints.problems += same_names([found[entry]], str(path), f"{entry}: prod_name")
    return found


def same_names(rungs: Sequence[Rung], where: str, key: str) -> list[Problem]:
    """A problem where one Custom App would be both the production and the test app."""
    prod, test = (first(rungs, path) for path in ("custom_app.prod_name", "custom_app.test_name"))
    if prod is None or test is None or prod.value != test.value:
        return []
    return [Problem(where, key, shown(prod.value), "is the name of the test app too; give them different names")]


def first(rungs: Iterable[Rung], path: str) -> FoundValue | None:
    """The value on the highest rung that has one."""
    return next((rung[path] for rung in rungs if path in rung), None)


def environment_has(environ: Mapping[str, str], secret_name: str) -> bool:
    """Whether the environment holds a secret of that name, as written or in upper case."""
    return any(environ.get(name, "").strip() for name in (secret_name, secret_name.upper()))
