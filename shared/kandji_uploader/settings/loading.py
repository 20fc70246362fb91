"""All sources are read here and handed to the ladder."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

from kandji_uploader._util.places import config_folder, state_folder
from kandji_uploader.errors import Problem, SettingsError
from kandji_uploader.models import Settings, Tenant
from kandji_uploader.settings import coercion, schema
from kandji_uploader.settings.coercion import UnfitError
from kandji_uploader.settings.ladder import Ladder, Rungs, caller_defaults, value
from kandji_uploader.settings.reading import find_file, read_mapping, read_mapping_file
from kandji_uploader.settings.recipes import RecipeMatch, RecipeNames, find_entry
from kandji_uploader.settings.sources import (
    Complaints,
    FoundValue,
    KeySource,
    Rung,
    environment_has,
    from_environment,
    from_map,
    prepared_config,
    read,
)
from kandji_uploader.settings.tenants import TenantRungs, Tenants, read_tenants, rungs_of

_NOTHING: Mapping[str, object] = MappingProxyType({})
_UNKNOWN_VARIABLE = (
    "define it in the recipe's Input, let a step before this one find it (values found during a run belong in the "
    "Arguments of a later step), or write the value out"
)


def load(
    given: Mapping[str, object],
    *,
    given_origin: str,
    caller: str,
    recipe: str | None = None,
    recipe_identifier: str | None = None,
    environ: Mapping[str, str] | None = None,
    folder: Path | None = None,
    base: Path | None = None,
    parents: Sequence[Path] = (),
    tenant: Tenant | None = None,
    defaults: Mapping[str, object] = _NOTHING,
    draft: str | None = None,
    shown: bool = False,
) -> Ladder:
    """Read and check all sources.

    Args:
        given: what the caller gave: recipe keys or key paths of the config file, nested or flat; None is not given.
        given_origin: how error texts and origins call it, such as `recipe` or `command line`.
        caller: `autopkg` (a `%KEY%` left over is a problem, and the recipe map counts), `kappa` (likewise, and a key of
            the recipe map may be a part of the recipe's name), `command line` or `python`.
        recipe: the recipe's name or file name, for the recipe map.
        recipe_identifier: its identifier, for the recipe map.
        environ: the environment variables; the process's own by default.
        folder: where the config file and the maps are; `places.config_folder()` by default.
        base: the folder that relative paths in `given` start from (the recipe's); the working directory by default.
        parents: the recipes that it is made of, the nearest first: for the recipe map, and their folders for `base`.
        tenant: the tenant, in place of what the key `tenant` says.
        defaults: keys of the config file that hold where the one of this machine says nothing.
        draft: what the config file is to hold, in place of what it holds.
        shown: whether the settings are shown only, so that no tenant need be known.

    Raises:
        SettingsError: with the problems of all sources.
    """
    environ = os.environ if environ is None else environ
    complaints, place = Complaints(), folder or config_folder(environ)
    by_autopkg = caller in ("autopkg", "kappa")
    source = _given_by(given_origin, base, parents, by_autopkg=by_autopkg)
    asked = read(source, given, complaints)
    rungs = _rungs(asked, environ, caller, place, complaints, url_known=tenant is not None, draft=draft)
    further = read(replace(source, table=schema.IN_CONFIG), defaults, complaints)
    rungs = replace(rungs, defaults={**rungs.defaults, **further})
    own = RecipeNames(recipe, recipe_identifier, by_part=caller == "kappa")
    match = _recipe_entry(rungs, own, parents, complaints) if by_autopkg else RecipeMatch("", "", {})
    return _ladder(rungs, match, tenant, given_origin, complaints, by_autopkg=by_autopkg, shown=shown)


def _given_by(origin: str, base: Path | None, parents: Sequence[Path], *, by_autopkg: bool) -> KeySource:
    """What the caller gives, and where relative paths in it start from."""
    folders = [base or Path.cwd(), *(parent.parent for parent in parents)]
    unexpanded = _UNKNOWN_VARIABLE if by_autopkg else ""
    return KeySource(origin, origin, schema.IN_GIVEN, folders, unexpanded=unexpanded)


def _ladder(
    rungs: Rungs,
    match: RecipeMatch,
    tenant: Tenant | None,
    given_origin: str,
    complaints: Complaints,
    *,
    by_autopkg: bool,
    shown: bool,
) -> Ladder:
    """The ladder of what was read, with the package map and the tenants that it may need. Raises as `load`."""
    builds = by_autopkg and bool(value(rungs.fixed, schema.PUBLISH_TO).value)
    _, package_map = _map(rungs, schema.USE_PACKAGE_MAP, complaints)
    said = () if builds else (rungs.given, match.values, *package_map.values())
    there, known = _tenants(tenant, said, given_origin, rungs.folder, complaints)
    ladder = Ladder(
        rungs,
        match.values,
        package_map,
        given_origin=given_origin,
        problems=tuple(complaints.problems),
        warnings=tuple(complaints.warnings),
        use_package_map=bool(value(rungs.fixed, schema.USE_PACKAGE_MAP).value),
        recipe_key=match.key,
        recipe_why=match.why,
        known=known,
        tenant=there,
        builds=builds or shown,
    )
    ladder.complain()
    return ladder


def _tenants(
    tenant: Tenant | None, asked: Sequence[Rung], where: str, place: Path, complaints: Complaints
) -> tuple[TenantRungs | None, Tenants | None]:
    """The one tenant that the caller has as a value; else tenants.yaml, which is read where a tenant is named."""
    if tenant is not None:
        return rungs_of(tenant, where, place, complaints), None
    if not any(schema.TENANT.path in rung for rung in asked):
        return None, None
    if schema.API_URL.path in asked[0]:
        text = "is named, and so is an address (kandji.api_url, --api-url); keep one of them"
        complaints.add(where, schema.TENANT.path, text)
    try:
        return None, read_tenants(place)
    except SettingsError as error:
        complaints.problems += error.problems
        return None, None


@dataclass(frozen=True)
class Early:
    """What must be known before the settings are read, or where they are wrong.

    Attributes:
        config_folder: where the config file and the maps are.
        state_folder: where the state is.
        dry_run: whether the environment or the config file asks for dry runs.
    """

    config_folder: Path
    state_folder: Path
    dry_run: bool


def early(environ: Mapping[str, str] | None = None) -> Early:
    """What the environment and the config file say of the state folder; `load` tells the errors in them."""
    environ = os.environ if environ is None else environ
    folder = config_folder(environ)
    rungs = _rungs({}, environ, "command line", folder, Complaints()).fixed
    state = Path(str(value(rungs, schema.STATE_FOLDER).value))
    return Early(folder, state, bool(value(rungs, schema.DRY_RUN).value))


def _rungs(
    asked: Rung,
    environ: Mapping[str, str],
    caller: str,
    place: Path,
    complaints: Complaints,
    *,
    url_known: bool = False,
    draft: str | None = None,
) -> Rungs:
    """All rungs that do not depend on the recipe or the installer."""
    environment = from_environment(environ, complaints)
    named = any(path in rung for path in (schema.API_URL.path, schema.TENANT.path) for rung in (asked, environment))
    path, raw, config = _config(place, complaints, draft, url_known=url_known or named)
    rungs = (asked, environment, config)
    if value(rungs, schema.ENVIRONMENT).value:
        webhook = str(value(rungs, schema.WEBHOOK_NAME).value)
        if environment_has(environ, webhook):
            environment = {**environment, schema.SLACK.path: FoundValue(True, f"environment ({webhook})")}
    below = {
        **caller_defaults(caller, raw),
        schema.STATE_FOLDER.path: FoundValue(str(state_folder(environ)), "default"),
    }
    return Rungs(asked, environment, config, below, place, path)


def _config(
    place: Path, complaints: Complaints, draft: str | None, *, url_known: bool
) -> tuple[Path | None, Mapping[str, object], Rung]:
    """The config file, as it is and as checked; both empty where there is none, and no path where it is broken."""
    try:
        path = find_file(place, "config")
        if draft is not None:
            path = path or place / "config.yaml"
            raw = read_mapping(draft, path)
        else:
            raw = read_mapping_file(path) if path else {}
    except SettingsError as error:
        complaints.problems += error.problems
        return None, {}, {}
    found: Rung = {}
    if path:
        advice = "nothing fills in keys here; write the value out"
        source = KeySource(str(path), str(path), schema.IN_CONFIG, [place], unexpanded=advice)
        found = read(source, prepared_config(str(path), raw, complaints, url_known=url_known), complaints)
    return path or place, raw, found


def _map(rungs: Rungs, switch: schema.Key, complaints: Complaints) -> tuple[Path, Mapping[str, Rung]]:
    """The map that a switch (`use_recipe_map`, ...) is for, all entries checked; empty where it is off."""
    place, stem = rungs.folder, switch.path.removeprefix("use_")
    on = value(rungs.fixed, switch)
    try:
        path = find_file(place, stem)
        if path is None and on.value:
            complaints.add(on.origin, switch.path, f"is on, but {place} holds no {stem}.yaml; make one or turn it off")
        if path and on.value:
            return path, from_map(path, read_mapping_file(path), complaints)
    except SettingsError as error:
        complaints.problems += error.problems if on.value else ()
        return place, {}
    if path and on.origin == "default":
        complaints.warnings.append(f"{path} is not used; write `{switch.path}: true` into the config file to use it")
    return place, {}


def _recipe_entry(rungs: Rungs, own: RecipeNames, parents: Sequence[Path], complaints: Complaints) -> RecipeMatch:
    path, entries = _map(rungs, schema.USE_RECIPE_MAP, complaints)
    return find_entry(path, entries, own, parents, complaints) if entries else RecipeMatch("", "", {})


def new_app_name(settings: Settings, app_name: str) -> str:
    """The name of a new Custom App that nobody named: `new_app_naming` with `APPNAME` replaced.

    Raises:
        SettingsError: the name that comes out cannot be one, for example because it is too long.
    """
    found = settings.new_app_naming.replace("APPNAME", app_name)
    try:
        return coercion.app_name(found)
    except UnfitError as unfit:
        where = settings.origins.get(schema.NAMING.path, "default")
        raise SettingsError([Problem(where, schema.NAMING.path, coercion.shown(found), unfit.accepted)]) from None
