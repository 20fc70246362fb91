"""Promotion and rollback as commands of their own.

Which test app belongs to which prod app, and the rules, are in the entries of the recipe map and the package map that
hold `promotion`; or the caller names the pair. A recipe that holds `promotion` in its own Input promotes when it runs.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace

from kandji_uploader.audit import script as audit
from kandji_uploader.errors import InterruptedRunError, KandjiUploaderError, Problem, SettingsError, TargetError
from kandji_uploader.flows.announce import announce
from kandji_uploader.kandji.tenant import TenantView
from kandji_uploader.models import (
    Action,
    CustomApp,
    Outcome,
    Promotion,
    RunResult,
    Settings,
    Stage,
    Target,
)
from kandji_uploader.promotion.promote import Step
from kandji_uploader.promotion.promote import promote as promote_pair
from kandji_uploader.promotion.rollback import as_live, go_back
from kandji_uploader.promotion.rules import Kind
from kandji_uploader.promotion.watch import first_of, move_on, rings_of
from kandji_uploader.publish import matching, pending
from kandji_uploader.publish.context import RunContext, locked
from kandji_uploader.publish.request import Host
from kandji_uploader.publish.resolve import chain_of, settings_of
from kandji_uploader.publish.targets import Hop
from kandji_uploader.settings import Ladder, find_file, read_mapping_file, recipes, sources
from kandji_uploader.settings import load as load_settings
from kandji_uploader.settings.schema import RINGS, TENANT
from kandji_uploader.settings.sources import Rung
from kandji_uploader.settings.tenants import read_tenants
from kandji_uploader.state import store_of

_PROMOTION = "custom_app.promotion."
_HOLDS = (_PROMOTION, RINGS.path)


@dataclass(frozen=True)
class Pair:
    """A test app and its prod app, or rings.

    Attributes:
        entry: the entry of a map that holds the rules; "" for a pair that the caller named.
        settings: what holds for them.
    """

    entry: str
    settings: Settings

    @property
    def names(self) -> tuple[str, ...]:
        """All names that a person may use for it."""
        named = (self.entry, recipes.bare_name(self.entry), *reversed(self.settings.app_names))
        return tuple(name for name in named if name)


@dataclass(frozen=True)
class Rules:
    """Rules of one call, in place of those of the maps; None leaves what they say."""

    after_days: float | None = None
    min_pass: int | None = None
    max_error_percent: float | None = None

    def over(self, rules: Promotion) -> Promotion:
        """The rules with these in their place."""
        return replace(rules, **{name: value for name, value in vars(self).items() if value is not None})

    def in_place_of(self, settings: Settings) -> Settings:
        """The settings with these rules for the prod app, or for every ring but the first."""
        rings = settings.rings[:1] + tuple(replace(ring, rules=self.over(ring.rules)) for ring in settings.rings[1:])
        promotion = settings.promotion and self.over(settings.promotion)
        return replace(settings, rings=rings, promotion=promotion)


# Which apps belong together


def pairs(host: Host, keys: Mapping[str, object] | None = None) -> tuple[Pair, ...]:
    """The pairs of both maps, in their order.

    Args:
        host: whose environment names the config folder.
        keys: settings of this call, such as `dry_run`.

    Raises:
        SettingsError: all problems of config file and maps.
    """
    ladder = load_settings(
        keys or {}, given_origin=host.keys_from, caller="autopkg", environ=host.environ, tenant=host.tenant
    )
    base = ladder.settle()
    for warning in base.warnings:
        host.warn(warning)
    found: dict[tuple[str | None, ...], Pair] = {}
    for stem, used in (("recipe_map", base.use_recipe_map), ("package_map", base.use_package_map)):
        path = find_file(base.config_folder, stem) if used else None
        content = read_mapping_file(path) if path else {}
        for entry, rung in (sources.from_map(path, content, sources.Complaints()) if path else {}).items():
            for settings in _settled(ladder, rung, host):
                found.setdefault((settings.tenant, *settings.app_names), Pair(entry, settings))
    return tuple(found.values())


def _settled(ladder: Ladder, rung: Rung, host: Host) -> list[Settings]:
    """The settings of an entry with `promotion` or `rings`, at each tenant that it is for."""
    everywhere = ladder.tenant.every if ladder.tenant else {}
    if not any(key.startswith(_HOLDS) for key in (*rung, *everywhere)):
        return []
    ladders = [replace(ladder, recipe_entry=rung)]
    if TENANT.path in rung:
        known = replace(ladders[0], known=read_tenants(ladder.rungs.folder), tenant=None)
        ladders = [known.at(tenant) for tenant in known.tenants() if host.tenant in (None, tenant)]
    return [settings for each in ladders if (settings := each.settle()).hops or settings.rings]


def named_pair(prod: str, test: str, host: Host, keys: Mapping[str, object] | None = None) -> Pair:
    """A pair that the caller names. Without rules, the release in the test app moves on at once.

    Raises:
        SettingsError: the names or the config file are wrong.
    """
    given = {"custom_app.prod_name": prod, "custom_app.test_name": test, f"{_PROMOTION}after_days": 0, **(keys or {})}
    return Pair("", settings_of(host, given))


def asked_for(
    names: Sequence[str],
    host: Host,
    keys: Mapping[str, object] | None = None,
    *,
    every_pair: bool = False,
    test: str | None = None,
    prod: str | None = None,
) -> tuple[Pair, ...]:
    """The pairs that a caller means: those of the maps that it names, every pair of the maps, or one that it gives.

    Raises:
        SettingsError: it is not clear which are meant, or the settings are wrong.
        TargetError: a name is not known, or the maps hold no pair.
    """
    problem = "name the apps, or ask for every pair, or give a pair with test and prod"
    if bool(test) != bool(prod):
        problem = "test and prod go together"
    elif bool(names) + every_pair + bool(prod) == 1:
        return (named_pair(prod, test, host, keys),) if prod and test else chosen(pairs(host, keys), names)
    raise SettingsError([Problem(host.keys_from, "promote", None, problem)])


def chosen(known: Sequence[Pair], names: Sequence[str]) -> tuple[Pair, ...]:
    """The pairs of these names; all of them where no name is given. Raises TargetError as `asked_for`."""
    if not known:
        asked = f"{', '.join(names)}: " if names else ""
        raise TargetError(
            f"{asked}no entry of recipe_map or package_map holds `promotion` or `rings` (or the maps are not in use: "
            "use_recipe_map, use_package_map). Name the pair with --test and --prod"
        )
    for name in names:
        if not any(name in pair.names for pair in known):
            every = [each for pair in known for each in pair.names]
            near = difflib.get_close_matches(name, every, 1)
            listing = ", ".join(repr(pair.settings.prod.name) for pair in known)
            meant = f"did you mean {near[0]!r}? " if near else ""
            raise TargetError(f"no entry with `promotion` is called {name!r}; {meant}There are {listing}")
    return tuple(pair for pair in known if not names or any(name in pair.names for name in names))


# Promotion


def promote(wanted: Sequence[Pair], host: Host, *, rules: Rules | None = None, force: bool = False) -> list[RunResult]:
    """Promote each pair for itself. If one fails, the others are tried all the same.

    Args:
        wanted: the pairs.
        host: who is told.
        rules: rules of this call.
        force: also over a file that somebody else has put into the prod app.

    Raises:
        InterruptedRunError: SIGINT or SIGTERM; of several pairs the text says which are done, were under way, or not
            begun.
    """
    results: list[RunResult] = []
    try:
        for pair in wanted:
            results.append(_promoted(pair, host, rules, force=force))  # noqa: PERF401 - see `except`
    except (KeyboardInterrupt, InterruptedRunError) as stopped:
        if len(wanted) == 1:
            raise
        done = {result.app_name: result.outcomes[0].action.value for result in results}
        rest = [pair.settings.prod.name or "" for pair in wanted[len(results) :]]
        said = str(stopped) or "interrupted while nothing was being changed"
        raise InterruptedRunError.among(done, dict.fromkeys(rest[:1], said), rest[1:]) from None
    return results


def _promoted(pair: Pair, host: Host, rules: Rules | None, *, force: bool) -> RunResult:
    """Promote one pair and tell Slack. An expected error becomes a failed outcome."""
    settings = pair.settings if rules is None else rules.in_place_of(pair.settings)
    name = settings.prod.name or ""
    try:
        outcomes, news = _promote(settings, host, force=force)
    except InterruptedRunError:
        raise
    except KandjiUploaderError as problem:
        outcomes, news = (Outcome(Stage.PROD, name, Action.FAILED, error=str(problem), code=problem.code),), False
    urgent = settings.urgent or ""
    result = RunResult(pair.entry or name, outcomes, settings.dry_run, app_name=name, news=news, urgent=urgent)
    result = result.at(settings.tenant)
    announce(result, settings, host)
    return result


def _promote(settings: Settings, host: Host, *, force: bool) -> tuple[tuple[Outcome, ...], bool]:
    """Every promotion of a chain, the last one first (what is urgent goes through all of it), as in a publish."""
    targets, chain = chain_of(settings)
    if not chain:
        raise TargetError(f"{settings.prod.name!r} is the only ring, so there is none to promote to")
    with _locked(settings, tuple(target.name for target in targets), host) as opened:
        context = replace(opened, force=force)

        def one(hop: Hop) -> tuple[Outcome, Step]:
            outcome, step = promote_pair(replace(hop, targets=_as_tested(hop.targets, context)), context, host)
            if step.decision.kind is Kind.NO_TEST and not settings.rings:
                raise TargetError(step.decision.reason)
            return outcome, step

        rings = rings_of(settings, targets, chain)
        return move_on(rings, chain, context, host, one, first_of(settings, targets, context))


def _as_tested(targets: tuple[Target, Target], context: RunContext) -> tuple[Target, Target]:
    """The pair. Values of the audit script that its settings do not give are taken from Kandji, first the test app's.

    A recipe or a pkginfo may have given them, and neither of them is read here.
    """
    test, prod = targets
    for name in (test.name, prod.name):
        for app in matching.by_name(context.tenant.apps(), name):
            reading = audit.read(app.audit_script)
            if reading.writer == "ours" and not reading.is_memory:
                return test, as_live(prod, reading)
    return targets


def _locked(settings: Settings, names: tuple[str, ...], host: Host) -> AbstractContextManager[RunContext]:
    """As `locked`. Before that, the user is reminded of what is pending."""
    pending.tell(store_of(settings), (), host.warn, settings.tenant)
    return locked(settings, names, host)


# Rollback


def rollback(name: str, host: Host, *, to: str | None = None, keys: Mapping[str, object] | None = None) -> RunResult:
    """Put a former installer back into a Custom App, and with it the version that is enforced.

    Args:
        name: the Custom App.
        host: where messages go.
        to: the version to go back to; the one before the present one by default.
        keys: settings of this call, such as `dry_run`.

    Raises:
        TargetError: there is no such app, or nothing is known that it had before.
        KandjiUploaderError: nothing was changed.
    """
    settings = settings_of(host, keys)
    with _locked(settings, (name,), host) as context:
        outcome = go_back(app_named(name, context.tenant), context, host, to=to)
    result = RunResult(name, (outcome,), settings.dry_run, app_name=name).at(settings.tenant)
    announce(result, settings, host)
    return result


def app_named(name: str, tenant: TenantView) -> CustomApp:
    """The one Custom App of that name.

    Raises:
        TargetError: there is none, or there are several.
    """
    found = matching.by_name(tenant.apps(), name)
    if len(found) == 1:
        return found[0]
    if found:
        raise TargetError(
            f"{len(found)} Custom Apps are called {name!r}; rename or delete all but one of them in Kandji"
        )
    near = difflib.get_close_matches(name, [app.name for app in tenant.apps()], 1)
    meant = f"did you mean {near[0]!r}?" if near else "name it as it is in Kandji"
    raise TargetError(f"no Custom App is called {name!r}; {meant}")
