"""The freezes of the config file, as commands add and take them out; what maps and recipes say stays as it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from kandji_uploader.errors import Problem, SettingsError
from kandji_uploader.models import Freeze, Settings, Window
from kandji_uploader.promotion.calendar import Calendar
from kandji_uploader.settings import schema
from kandji_uploader.settings.coercion import UnfitError
from kandji_uploader.settings.parts import as_written
from kandji_uploader.settings.places import config_folder
from kandji_uploader.settings.reading import find_file
from kandji_uploader.settings.writing import config_values, set_values


@dataclass(frozen=True)
class Frozen:
    """What became of the freezes of a config file.

    Attributes:
        path: the config file.
        freezes: those that it names now.
        gone: those that were taken out.
    """

    path: Path
    freezes: tuple[Freeze, ...]
    gone: tuple[Freeze, ...] = ()


def freeze(given: Mapping[str, str], now: float, environ: Mapping[str, str], where: str = "command line") -> Frozen:
    """Add a freeze to the config file, which is made where there is none.

    Args:
        given: `from`, `until`, `why` and `zone`, as in the file.
        now: epoch seconds.
        environ: names the config folder.
        where: how error texts call what was given.

    Raises:
        SettingsError: it ends before it begins or is over, or the file cannot be changed; it is as it was then.
    """
    path, zone, known = _there(environ)
    (new,) = _read([given], where)
    if Calendar(freezes=(new,), zone=zone).over(now):
        raise SettingsError([Problem(where, schema.FREEZE.path, None, f"ends {new.until}, which is over")])
    kept = (*(each for each in known if each != new), new)
    return Frozen(_write(path, kept, environ), kept)


def thaw(now: float, environ: Mapping[str, str], *, every: bool = False) -> Frozen:
    """Take the freezes out of the config file that hold now or are over; `every` takes those to come, too.

    Raises:
        SettingsError: the file cannot be read or changed.
    """
    path, zone, known = _there(environ)

    def goes(each: Freeze) -> bool:
        alone = Calendar(freezes=(each,), zone=zone)
        return every or bool(alone.frozen(now) or alone.over(now))

    kept, gone = (tuple(each for each in known if goes(each) is which) for which in (False, True))
    return Frozen(_write(path, kept, environ) if gone else path, kept, gone)


def told(settings: Settings, now: float) -> tuple[str, ...]:
    """What people who look at their settings should know of freezes: one that holds, and those that are over."""
    calendar = Calendar.of(settings)
    frozen = calendar.frozen(now)
    holds = (
        (f"{frozen}; nothing is published or promoted until then (`kandji-uploader thaw` ends it)",) if frozen else ()
    )
    over = (f"the freeze {each} is over and has no effect; take it out (`thaw`)" for each in calendar.over(now))
    return (*holds, *over)


def _there(environ: Mapping[str, str]) -> tuple[Path, str, tuple[Freeze, ...]]:
    """The config file, the zone of its window, and its freezes."""
    folder = config_folder(environ)
    path = find_file(folder, "config") or folder / "config.yaml"
    values, problems = config_values(path) if path.exists() else ({}, ())
    wrong = [each for each in problems if each.key in (schema.FREEZE.path, schema.WINDOW.path)]
    if wrong:
        raise SettingsError(wrong)
    window, freezes = values.get(schema.WINDOW.path), values.get(schema.FREEZE.path, ())
    return path, window.zone if isinstance(window, Window) else "", freezes if isinstance(freezes, tuple) else ()


def _read(given: object, where: str) -> tuple[Freeze, ...]:
    try:
        return schema.FREEZE.kind(given)  # type: ignore[return-value]
    except UnfitError as unfit:
        raise SettingsError([Problem(where, schema.FREEZE.path, None, unfit.accepted)]) from None


def _write(path: Path, freezes: tuple[Freeze, ...], environ: Mapping[str, str]) -> Path:
    return set_values(path.parent, {schema.FREEZE.path: as_written(freezes) if freezes else None}, environ)
