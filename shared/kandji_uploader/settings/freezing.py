"""The freezes of the config file, as commands add and take them out; what maps and recipes say stays as it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from kandji_uploader._util.places import config_folder
from kandji_uploader.errors import Problem, SettingsError
from kandji_uploader.models import Freeze, Settings, Window
from kandji_uploader.promotion.calendar import Calendar
from kandji_uploader.settings import schema
from kandji_uploader.settings.coercion import UnfitError
from kandji_uploader.settings.parts import as_written
from kandji_uploader.settings.writing import change_values, config_values


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
    (new,) = _read([given], where)

    def added(zone: str, known: tuple[Freeze, ...]) -> tuple[Freeze, ...]:
        if Calendar(freezes=(new,), zone=zone).over(now):
            raise SettingsError([Problem(where, schema.FREEZE.path, None, f"ends {new.until}, which is over")])
        return (*(each for each in known if each != new), new)

    return _changed(environ, added)


def thaw(now: float, environ: Mapping[str, str], *, every: bool = False) -> Frozen:
    """Take the freezes out of the config file that hold now or are over; `every` takes those to come, too.

    Raises:
        SettingsError: the file cannot be read or changed.
    """

    def to_come(zone: str, known: tuple[Freeze, ...]) -> tuple[Freeze, ...]:
        alone = {each: Calendar(freezes=(each,), zone=zone) for each in known}
        return () if every else tuple(each for each in known if not (alone[each].frozen(now) or alone[each].over(now)))

    return _changed(environ, to_come)


def told(settings: Settings, now: float) -> tuple[str, ...]:
    """What people who look at their settings should know of freezes: one that holds, and those that are over."""
    calendar = Calendar.of(settings)
    frozen = calendar.frozen(now)
    holds = (
        (f"{frozen}; nothing is published or promoted until then (`kandji-uploader thaw` ends it)",) if frozen else ()
    )
    over = (f"the freeze {each} is over and has no effect; take it out (`thaw`)" for each in calendar.over(now))
    return (*holds, *over)


def _changed(environ: Mapping[str, str], change: Callable[[str, tuple[Freeze, ...]], tuple[Freeze, ...]]) -> Frozen:
    """The freezes of the config file changed, from the zone of its window and what it names now."""
    freezes: list[tuple[Freeze, ...]] = []

    def made(path: Path) -> Mapping[str, object]:
        values, problems = config_values(path) if path.exists() else ({}, ())
        wrong = [each for each in problems if each.key in (schema.FREEZE.path, schema.WINDOW.path)]
        if wrong:
            raise SettingsError(wrong)
        window, known = values.get(schema.WINDOW.path), values.get(schema.FREEZE.path, ())
        before = known if isinstance(known, tuple) else ()
        after = change(window.zone if isinstance(window, Window) else "", before)
        freezes[:] = [before, after]
        return {schema.FREEZE.path: as_written(after) or None} if after != before else {}

    path = change_values(config_folder(environ), made, environ)
    before, after = freezes
    return Frozen(path, after, tuple(each for each in before if each not in after))


def _read(given: object, where: str) -> tuple[Freeze, ...]:
    try:
        return schema.FREEZE.kind(given)  # type: ignore[return-value]
    except UnfitError as unfit:
        raise SettingsError([Problem(where, schema.FREEZE.path, None, unfit.accepted)]) from None
