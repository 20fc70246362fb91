"""The file that lists the casks to publish and says how often: `brew_cron.json`, or `.yaml`, as kpkg has it."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from kandji_uploader._util.files import told, write_private
from kandji_uploader.errors import Problem, ScheduleError, SettingsError

STEM = "brew_cron"
FEWEST_HOURS, MOST_HOURS = 1, 168
DEFAULT_HOURS = 24

_KEYS = ("brew_casks", "every_n_hours", "tenant")


@dataclass(frozen=True)
class Cron:
    """What the file says.

    Attributes:
        path: the file.
        casks: names of Homebrew casks, each once, in the order of the file.
        hours: hours between the starts of two cycles.
        tenant: which tenants of tenants.yaml are published to; empty for the one of the settings.
    """

    path: Path
    casks: tuple[str, ...] = ()
    hours: int = DEFAULT_HOURS
    tenant: tuple[str, ...] = ()


def rhythm(hours: int) -> str:
    """How often that is, in words."""
    return "every hour" if hours == 1 else f"every {hours} hours"


class MappingReader(Protocol):
    """Reads YAML and JSON files as all others of the config folder are read: `kandji_uploader.settings` is one."""

    def find_file(self, folder: Path, stem: str) -> Path | None:
        """The one file of that name with a known suffix."""

    def read_mapping_file(self, path: Path) -> dict[str, Any]:
        """What it holds."""


def find(folder: Path, reader: MappingReader) -> Path | None:
    """The file in a config folder; None where there is none.

    Raises:
        SettingsError: there is more than one.
    """
    return reader.find_file(folder, STEM)


def read(folder: Path, reader: MappingReader) -> Cron:
    """Read and check the file of a config folder.

    Raises:
        SettingsError: it is missing or wrong; with all problems.
    """
    path = find(folder, reader)
    if path is None:
        advice = "is not there; make one with `kandji-uploader schedule add CASK ... --every HOURS`"
        raise SettingsError([Problem(str(folder / f"{STEM}.json"), "", None, advice)])
    found = reader.read_mapping_file(path)
    problems = [_unknown(path, key) for key in found if key not in _KEYS]
    casks = _casks(path, found, problems)
    hours = _hours(path, found, problems)
    tenant = _tenant(path, found, problems)
    if problems:
        raise SettingsError(problems)
    return Cron(path, casks, hours, tenant)


def added(cron: Cron, casks: Iterable[str], hours: int | None = None) -> Cron:
    """The same with further casks, and other hours where they are given.

    Raises:
        ScheduleError: hours out of range.
    """
    if hours is not None and not FEWEST_HOURS <= hours <= MOST_HOURS:
        raise ScheduleError(f"every {hours} hours is not possible; give whole hours, {FEWEST_HOURS} to {MOST_HOURS}")
    return replace(
        cron, casks=tuple(dict.fromkeys((*cron.casks, *casks))), hours=cron.hours if hours is None else hours
    )


def removed(cron: Cron, casks: Iterable[str]) -> Cron:
    """The same without these casks.

    Raises:
        ScheduleError: one of them is not in it.
    """
    unwanted = tuple(casks)
    missing = [cask for cask in unwanted if cask not in cron.casks]
    if missing:
        listed = ", ".join(cron.casks) or "no cask"
        raise ScheduleError(f"{cron.path} does not hold {', '.join(missing)}; it holds {listed}")
    return replace(cron, casks=tuple(cask for cask in cron.casks if cask not in unwanted))


def write(cron: Cron) -> None:
    """Write the file, whole or not at all.

    Raises:
        ScheduleError: it cannot be written, or it is a YAML file with comments, which would be lost.
    """
    document: dict[str, object] = {"brew_casks": list(cron.casks), "every_n_hours": cron.hours}
    if cron.tenant:
        document["tenant"] = list(cron.tenant)
    try:
        if cron.path.suffix.lower() == ".json":
            write_private(cron.path, json.dumps(document, indent=2, ensure_ascii=False) + "\n")
        else:
            _refuse_comments(cron.path)
            write_private(cron.path, _as_yaml(cron))
    except OSError as problem:
        raise ScheduleError(
            f"{told(cron.path)} cannot be written ({problem.strerror}); correct its permissions"
        ) from None


def _as_yaml(cron: Cron) -> str:
    """A quoted JSON string is a YAML string too, so no name can be read as something else."""
    casks = "".join(f"\n  - {json.dumps(cask)}" for cask in cron.casks) or " []"
    tenant = f"tenant: {json.dumps(list(cron.tenant))}\n" if cron.tenant else ""
    return f"brew_casks:{casks}\nevery_n_hours: {cron.hours}\n{tenant}"


def _refuse_comments(path: Path) -> None:
    if path.exists() and "#" in path.read_text(encoding="utf-8", errors="replace"):
        raise ScheduleError(f"{path} has comments, which would be lost; edit it by hand")


def _casks(path: Path, found: Mapping[str, object], problems: list[Problem]) -> tuple[str, ...]:
    given = found.get("brew_casks")
    if not isinstance(given, list):
        problems.append(
            _problem(path, "brew_casks", given, "must be a list of Homebrew casks, such as [firefox, slack]")
        )
        return ()
    for index, cask in enumerate(given):
        if not isinstance(cask, str) or not cask.strip():
            problems.append(_problem(path, f"brew_casks[{index}]", cask, "must be the name of a Homebrew cask"))
    return tuple(dict.fromkeys(str(cask).strip() for cask in given))


def _hours(path: Path, found: Mapping[str, object], problems: list[Problem]) -> int:
    given = found.get("every_n_hours")
    text = str(given).strip()
    if isinstance(given, bool) or not text.isdecimal() or not FEWEST_HOURS <= int(text) <= MOST_HOURS:
        accepted = f"must be whole hours, {FEWEST_HOURS} to {MOST_HOURS}"
        problems.append(_problem(path, "every_n_hours", given, accepted))
        return DEFAULT_HOURS
    return int(text)


def _tenant(path: Path, found: Mapping[str, object], problems: list[Problem]) -> tuple[str, ...]:
    given = found.get("tenant")
    words = given.split(",") if isinstance(given, str) else given or []
    if isinstance(words, list) and all(isinstance(word, str) and word.strip() for word in words):
        return tuple(word.strip() for word in words)
    problems.append(_problem(path, "tenant", given, "must be names of tenants in tenants.yaml, @GROUP, or all"))
    return ()


def _problem(path: Path, key: str, value: object, accepted: str) -> Problem:
    return Problem(str(path), key, "missing" if value is None else repr(value)[:100], accepted)


def _unknown(path: Path, key: object) -> Problem:
    near = difflib.get_close_matches(str(key), _KEYS, n=1)
    meant = f"did you mean {near[0]}?" if near else f"only {' and '.join(_KEYS)} are"
    return Problem(str(path), str(key)[:100], None, f"is not known; {meant}")
