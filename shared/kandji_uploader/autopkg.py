"""From AutoPkg's environment to a request, and from a result back to it: values in, values out.

AutoPkg itself is not imported here. Its environment is one dict that every step of a recipe writes to, and that leaks
from step to step; so what we read is named here, and what we write is cleared first.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

from kandji_uploader.audit import conditions
from kandji_uploader.errors import InstallerError, KandjiUploaderError
from kandji_uploader.flows import publish as flow
from kandji_uploader.flows.announce import announce_early_failure
from kandji_uploader.models import RunResult
from kandji_uploader.publish import signers
from kandji_uploader.publish.claims import Claims, Item
from kandji_uploader.publish.request import Host, Request
from kandji_uploader.publish.targets import RecipeFacts
from kandji_uploader.report import text as report
from kandji_uploader.settings import misplaced, schema

KEYS = (
    "custom_app",
    "enforcement_type",
    "enforcement_delays",
    "create_new",
    "dry_run",
    "unzip_location",
    "allow_downgrade",
    "urgent",
    "replace_audit_script",
    "require_signed",
    "require_notarized",
    "expected_team_id",
    "allow_signer_change",
    "identity",
    "tenant",
    "publish_to",
)
"""The recipe keys; `custom_app` and `enforcement_delays` also as flat dotted keys."""

_FLAT = ("custom_app.", "enforcement_delays.")
_CONFIG = ("kandji.", "iru.", "li_enforcement.", "network.", "slack.", "token_keystore.", "zz_defaults.")
"""The sections of the config file, for one run: `-k zz_defaults.auto_create_app=false`."""
# AutoPkg's own pattern of a variable in a text.
_VARIABLE = re.compile(r"%([a-zA-Z_][a-zA-Z_0-9]*)%")
_PATHS = ("pkg_path", "pathname", "dmg_path")
OUTPUTS = (*report.SUMMARY_KEYS.values(), report.BUILT_KEY, "kandji_custom_apps", "kandji_uploader_changed")


def request(env: Mapping[str, Any]) -> Request:
    """What a recipe asks for at this step.

    Raises:
        InstallerError: no step before this one has left an installer.
    """
    recipe = str(env.get("RECIPE_PATH") or "")
    cache = str(env.get("RECIPE_CACHE_DIR") or "")
    installer = _installer(env)
    owner = _recipe(env)
    called = f"the recipe {Path(recipe).name or owner} ({owner}, installer {installer.name})"
    folder = env.get("RECIPE_DIR") or (Path(recipe).parent if recipe else None)
    return Request(
        path=installer,
        keys={key: _filled(value, env) for key, value in env.items() if _ours(key) and value is not None},
        keys_from="recipe",
        caller="autopkg",
        given=given(env),
        recipe=Path(recipe).name or None,
        recipe_identifier=Path(cache).name or None,
        base=Path(str(folder)) if folder else None,
        parents=_parents(env),
        item=Item(called, (owner, str(installer)), owner),
    )


CLAIMS = Claims()
"""Which recipe of this AutoPkg run means which Custom App. AutoPkg runs all recipes of a run in one process."""


def publish(env: MutableMapping[str, Any], host: Host, *, for_kappa: bool = False) -> RunResult:
    """Publish what a recipe has left at this step, and write to its environment what came of it.

    Args:
        env: AutoPkg's environment.
        host: where the run is told.
        for_kappa: the recipe was written for KAPPA: what KAPPA passed over is passed over with a warning, and a key of
            the recipe map may be a part of the recipe's name.

    Raises:
        SameAppError: a recipe before this one in the run, or a step before this one in the recipe, means one of its
            Custom Apps with another installer; nothing was sent for this one.
        KandjiUploaderError: see `flows.publish.run`.
    """
    if not env.get("kandji_custom_apps"):
        # The first step of ours: the recipe runs, or runs again, and may have another installer now.
        CLAIMS.release(_recipe(env))
    for key in [*OUTPUTS, *summary_keys(env)]:
        env.pop(key, None)
    for key in filter(_ours, env):
        _undated(env[key])
    try:
        asked = _as_kappa_reads_it(request(env), host.warn) if for_kappa else request(env)
        result = flow.run(asked, replace(host, claims=CLAIMS, digests=True))
    except KandjiUploaderError as problem:
        announce_early_failure(_recipe(env), problem, host)
        raise
    env.update(outputs(result))
    return result


def _undated(value: object) -> None:
    """Make texts of the dates in a value, in its place.

    AutoPkg reads `2027-01-07` in YAML as a date, and then dies of it: its receipt is a property list, which has none
    without a time.
    """
    places: Any = value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    found: Any = value
    for place in places:
        if isinstance(found[place], date) and not isinstance(found[place], datetime):
            found[place] = found[place].isoformat()
        else:
            _undated(found[place])


def _recipe(env: Mapping[str, Any]) -> str:
    """What tells a recipe from others: its identifier, or else its file."""
    return Path(str(env.get("RECIPE_CACHE_DIR") or "")).name or str(env.get("RECIPE_PATH") or "")


def _as_kappa_reads_it(asked: Request, warn: Callable[[str], None]) -> Request:
    """The request without what nobody knows, so that no recipe that KAPPA took has to be edited on the first day.

    `caller` says it to the settings, whose recipe map then goes by a part of the name, too.
    """
    keys: dict[str, object] = {}
    for key, value in asked.keys.items():
        inside = value if isinstance(value, Mapping) else {}
        odd = [f"{key}.{inner}" for inner in inside if f"{key}.{inner}" not in schema.IN_RECIPE]
        odd += [key] if value and not inside and key not in schema.IN_GIVEN else []
        for path in odd:
            warn(f"{path} is not a known key; KAPPA passed over it, and so does this run. Correct it in the recipe")
        kept = {inner: found for inner, found in inside.items() if f"{key}.{inner}" not in odd}
        if key not in odd:
            keys[key] = kept if inside else value
    return replace(asked, keys=keys, caller="kappa")


def given(env: Mapping[str, Any]) -> RecipeFacts:
    """The facts that earlier steps have found: AutoPkg's own variables, then what MunkiImporter leaves.

    What people see (display name, category), blocking applications and the lowest macOS are taken from the recipe's own
    `pkginfo` only: what makepkginfo guesses is in `munki_info` at the first run and not at the next one, and from then
    on the app would be called otherwise, or its audit script be another one.
    """
    munki = _munki_info(env)
    shown = env.get("pkginfo") if "munki_info" in env else None
    shown = shown if isinstance(shown, Mapping) else {}
    app = _munki_app(munki)
    path = str(app.get("path") or "")
    names, minimum, notes = _conditions(shown)
    return RecipeFacts(
        name=_known(shown.get("display_name")) or _known(_filled(env.get("NAME"), env)),
        version=_known(env.get("version")) or _known(munki.get("version")),
        bundle_id=_known(env.get("bundleid")) or _known(app.get("CFBundleIdentifier")),
        app_name=_known(env.get("app_name")) or _known(Path(path).name if path.endswith(".app") else None),
        category=_known(shown.get("category")),
        blocking_applications=names,
        minimum_os_version=minimum,
        notes=notes,
        expected_teams=signers.of_verifier(env),
    )


def outputs(result: RunResult) -> dict[str, Any]:
    """What goes back into AutoPkg's environment: lists, dicts and texts only, since its receipts take nothing else."""
    return {
        **report.summaries(result),
        "kandji_custom_apps": report.custom_apps(result),
        "kandji_uploader_changed": result.changed,
    }


def summary_keys(env: Mapping[str, Any]) -> list[str]:
    """Our summaries in AutoPkg's environment; each tenant that is named has some of its own, which must be declared."""
    return [key for key in env if key.startswith("kandji_uploader_") and key.endswith("_summary_result")]


def _ours(key: str) -> bool:
    """Whether a variable is one of our keys, or so near to one that it is meant to be."""
    return key in KEYS or key.startswith((*_FLAT, *_CONFIG)) or bool(misplaced.meant(key))


def _parents(env: Mapping[str, Any]) -> tuple[Path, ...]:
    """The recipes that an override (or any child) is made of, the nearest first."""
    listed = env.get("PARENT_RECIPES")
    return tuple(Path(str(path)) for path in listed) if isinstance(listed, list | tuple) else ()


def _filled(value: Any, env: Mapping[str, Any]) -> Any:
    """A value with its variables filled in, as far as they are known by now.

    AutoPkg fills in a recipe's Input before the first step, and leaves a text as it is if any of its variables is not
    known yet: `%NAME% %version%` in Input still has both when we are called. What remains is known to nobody.
    """
    if isinstance(value, str):
        return _VARIABLE.sub(lambda found: _variable(found, env), value)
    if isinstance(value, Mapping):
        return {key: _filled(inner, env) for key, inner in value.items()}
    return [_filled(inner, env) for inner in value] if isinstance(value, list | tuple) else value


def _variable(found: re.Match[str], env: Mapping[str, Any]) -> str:
    known = env.get(found[1])
    return str(known) if isinstance(known, str | int | float) and not isinstance(known, bool) else found[0]


def _installer(env: Mapping[str, Any]) -> Path:
    for key in _PATHS:
        value = env.get(key)
        if value:
            return _existing(key, str(value), env)
    raise InstallerError(
        "pkg_path",
        "no step before KandjiUploader has left an installer: pkg_path, pathname and dmg_path are all empty. "
        "Put KandjiUploader after the step that downloads or builds it, or name the file as pkg_path",
    )


def _existing(key: str, value: str, env: Mapping[str, Any]) -> Path:
    value = _filled(value, env)
    unknown = _VARIABLE.search(value)
    if unknown:
        raise InstallerError(value, f"{key} holds a variable that no step has set, {unknown[0]}; correct the recipe")
    path = Path(value)
    return path if path.is_absolute() or path.exists() else Path(str(env.get("RECIPE_CACHE_DIR") or "")) / path


def _known(value: Any) -> str | None:
    """A text that a step has set; AutoPkg leaves a variable that it does not know as `%NAME%`."""
    text = "" if value is None else str(value).strip()
    return None if not text or re.fullmatch(r".*%\w+%.*", text) else text


def _conditions(pkginfo: Mapping[str, Any]) -> tuple[tuple[str, ...] | None, str | None, tuple[str, ...]]:
    """What a pkginfo says of blocking applications and of the lowest macOS, and what of it cannot be used."""
    listed = pkginfo.get("blocking_applications")
    names, bad = conditions.usable_apps(list(listed), _name_problem) if isinstance(listed, list | tuple) else (None, {})
    minimum = _known(pkginfo.get("minimum_os_version"))
    wrong = conditions.macos_problem(minimum) if minimum else ""
    notes = [
        f"the pkginfo's blocking application {name[:80]!r} {said}, so it is left out; "
        "correct it, or give custom_app.blocking_applications"
        for name, said in bad.items()
    ]
    if wrong:
        notes.append(
            f"the pkginfo's minimum_os_version {str(minimum)[:80]!r} {wrong}, so it is left out; "
            "correct it, or give custom_app.minimum_os_version"
        )
    return names, (None if wrong else minimum), tuple(notes)


def _name_problem(name: object) -> str:
    if isinstance(name, str) and not _known(name):
        return "is empty or holds a variable that no step has set"
    return conditions.app_problem(name)


def _munki_info(env: Mapping[str, Any]) -> Mapping[str, Any]:
    """The pkginfo: MunkiImporter's `munki_info`, or the recipe's `pkginfo` where the item was in the repo already."""
    for key in ("munki_info", "pkginfo"):
        value = env.get(key)
        if isinstance(value, Mapping) and value:
            return value
    return {}


def _munki_app(munki: Mapping[str, Any]) -> Mapping[str, Any]:
    """The one application among a pkginfo's installs items; where there are several, it is not for us to guess."""
    items = munki.get("installs")
    apps = [
        item
        for item in (items if isinstance(items, list) else [])
        if isinstance(item, Mapping)
        and item.get("CFBundleIdentifier")
        and item.get("type", "application") == "application"
    ]
    return apps[0] if len(apps) == 1 else {}
