"""What holds for a run and which Custom Apps it is about: from a request to settings and targets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from kandji_uploader._util.dependencies import missing_for_signing, pip_line
from kandji_uploader.errors import Problem, SettingsError
from kandji_uploader.models import AppFacts, Settings, Target, Tenant
from kandji_uploader.publish import signers
from kandji_uploader.publish.request import Host, Request
from kandji_uploader.publish.sources import OnDisk, Source
from kandji_uploader.publish.targets import Hop, custom_app_name, decide_targets, hops, identifiers, script_problem
from kandji_uploader.settings import Ladder
from kandji_uploader.settings import load as load_settings


def resolve_settings(ladder: Ladder, request: Request, source: Source, host: Host) -> Settings:
    """The settings of a run; the installer is read only if a package map is to be asked about it.

    Args:
        ladder: what `ladder_of` says of this request and host.
        request: who asked, and for what.
        source: the installer.
        host: who hears the warnings.

    Raises:
        SettingsError: all problems of all sources together.
    """
    settings = ladder.settle(_identifiers(ladder, request, source))
    for warning in settings.warnings:
        host.warn(warning)
    if settings.promotion is not None and settings.create_new:
        text = "makes another app with each run, and promotion moves versions between two; drop one of them"
        raise SettingsError([Problem(request.keys_from, "create_new", "true", text)])
    asked = signers.asks(settings)
    packages = missing_for_signing() if asked else ()
    if packages:
        text = f"cannot be heeded without {' and '.join(packages)}; install with: {pip_line(packages)}"
        raise SettingsError([Problem(settings.origins.get(key, ""), key, None, text) for key in asked])
    return settings


def resolve_tenants(ladder: Ladder, request: Request, source: Source) -> tuple[Tenant, ...]:
    """The tenants that are named; none for the one of the settings, or of the host. Arguments as `resolve_settings`.

    Raises:
        SettingsError: one that is named is not in tenants.yaml.
    """
    return ladder.tenants(_identifiers(ladder, request, source))


def resolve_early(request: Request, host: Host) -> Settings:
    """The settings before there is an installer, so without the package map. Raises as `resolve_settings`."""
    return ladder_of(request, host).settle()


def resolve_tenants_early(request: Request, host: Host) -> tuple[Tenant, ...]:
    """As `resolve_tenants`, before there is an installer."""
    return ladder_of(request, host).tenants()


def _identifiers(ladder: Ladder, request: Request, source: Source) -> tuple[str, ...]:
    """The ids that the package map knows the installer by, which is read only if that map is to be asked."""
    return identifiers(request.given, source.facts()) if ladder.use_package_map else ()


def ladder_of(request: Request, host: Host) -> Ladder:
    """All that was said about a run, by whom; only which entry of the package map is meant is left open.

    Raises:
        SettingsError: all problems of all sources together.
    """
    return load_settings(
        request.keys,
        given_origin=request.keys_from,
        caller=request.caller,
        recipe=request.recipe,
        recipe_identifier=request.recipe_identifier,
        environ=host.environ,
        base=request.base,
        parents=request.parents,
        defaults=request.defaults,
        tenant=host.tenant,
    )


def _facts_for_a_name(request: Request, settings: Settings, source: Source) -> AppFacts | None:
    """The facts, read if only the installer can say what the software is called."""
    named = settings.app_names or request.given.name or request.given.app_name
    return source.facts_if_read() if named else source.facts()


def scripts(settings: Settings) -> Mapping[str, str]:
    """The texts of the pre- and postinstall scripts, by path.

    Raises:
        SettingsError: one cannot be read.
    """
    texts: dict[str, str] = {}
    for stage in (settings.prod, settings.test):
        for path in filter(None, (stage.preinstall_script, stage.postinstall_script)):
            try:
                texts[path] = Path(path).read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError) as problem:
                raise script_problem(path, type(problem).__name__) from None
    return texts


def settings_of(host: Host, keys: Mapping[str, object] | None = None) -> Settings:
    """The settings of a call that is about no recipe and no installer.

    Args:
        host: who asks, and at which tenant.
        keys: settings of the call, such as `dry_run`.

    Raises:
        SettingsError: all problems of all sources together.
    """
    return load_settings(
        keys or {}, given_origin=host.keys_from, caller="command line", environ=host.environ, tenant=host.tenant
    ).settle()


def chain_of(settings: Settings) -> tuple[tuple[Target, ...], tuple[Hop, ...]]:
    """The Custom Apps that settings name, and the ways between them. Raises as `scripts`."""
    targets = decide_targets(settings, "", scripts(settings))
    return targets, hops(settings, targets)


def resolve_targets(request: Request, settings: Settings, source: Source, host: Host) -> tuple[str, tuple[Target, ...]]:
    """What the software is called, and the Custom Apps that the run is about, test first.

    Raises:
        SettingsError: the text of a pre- or postinstall script cannot be read.
    """
    name = custom_app_name(request.given, _facts_for_a_name(request, settings, source), source.path.name)
    for note in request.given.notes:
        host.warn(note)
    return name, decide_targets(settings, name, scripts(settings), request.given)


def app_names(request: Request, host: Host) -> tuple[str, ...]:
    """The names of the Custom Apps that a run would be about; nothing is sent. Raises as `resolve_settings`.

    Of several tenants they are those of the first one.
    """
    quiet = replace(host, say=lambda _: None, warn=lambda _: None)
    source = OnDisk(request.path, request.given, quiet.warn)
    ladder = ladder_of(request, quiet)
    tenants = resolve_tenants(ladder, request, source)
    if tenants:
        ladder = ladder.at(tenants[0])
    settings = resolve_settings(ladder, request, source, quiet)
    name = custom_app_name(request.given, _facts_for_a_name(request, settings, source), source.path.name)
    return tuple(target.name for target in decide_targets(settings, name, {}, request.given))
