"""Watch what the Macs of each ring say, and let what was halted go on: commands of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kandji_uploader.errors import InterruptedRunError, KandjiUploaderError, TargetError
from kandji_uploader.flows.announce import announce
from kandji_uploader.flows.promote import Pair, app_named, pairs
from kandji_uploader.models import Action, CustomApp, Outcome, RunResult, Settings, Stage
from kandji_uploader.promotion import watch as rings
from kandji_uploader.publish import matching, plan
from kandji_uploader.publish.carry_out import console_link
from kandji_uploader.publish.context import RunContext, locked
from kandji_uploader.publish.request import Host
from kandji_uploader.publish.resolve import chain_of, settings_of


def watch(wanted: Sequence[Pair], host: Host) -> list[RunResult]:
    """Look at every app of these pairs or rings that a rule asks about; what fails on too many Macs is halted.

    Nothing is published or promoted by it. An expected error becomes a failed outcome.

    Raises:
        InterruptedRunError: SIGINT or SIGTERM.
    """
    return [_watched(pair, host) for pair in wanted]


def _watched(pair: Pair, host: Host) -> RunResult:
    settings = pair.settings
    name = settings.prod.name or ""
    try:
        outcomes = _looked_at(settings, host)
    except InterruptedRunError:
        raise
    except KandjiUploaderError as problem:
        outcomes = (Outcome(Stage.PROD, name, Action.FAILED, error=str(problem), code=problem.code),)
    result = RunResult(pair.entry or name, outcomes, settings.dry_run, app_name=name).at(settings.tenant)
    # What is halted still was told when it was halted, and this runs every hour.
    if any(each.changes or each.action is Action.FAILED for each in result.outcomes):
        announce(result, settings, host)
    return result


def _looked_at(settings: Settings, host: Host) -> tuple[Outcome, ...]:
    targets, chain = chain_of(settings)
    found = rings.rings_of(settings, targets, chain)
    if not any(ring.asks for ring in found):
        raise TargetError(
            f"no rule asks about the Macs of {settings.prod.name!r}; give it halt_percent, or a ring max_error_percent"
        )
    names = tuple(target.name for target in targets)
    with locked(settings, names, host) as context:
        return rings.watch(found, context, host)


def resume(name: str, host: Host, *, ring: str | None = None, keys: Mapping[str, object] | None = None) -> RunResult:
    """Let a release that was halted go on.

    Args:
        name: the Custom App, or an entry of a map with its rings.
        host: where messages go.
        ring: the Custom App in which it is halted, where that is not clear.
        keys: settings of this call, such as `dry_run`.

    Raises:
        TargetError: nothing is halted there, or there are several; the text names them.
        KandjiUploaderError: nothing was changed.
    """
    settings = settings_of(host, keys)
    named = [each for pair in pairs(host, keys) if name in pair.names for each in pair.settings.app_names]
    names = (ring,) if ring else tuple(dict.fromkeys(named)) or (name,)
    with locked(settings, names, host) as context:
        app = _halted_app(names, name, context)
        halt = rings.resume(app, context)
    action = Action.UNCHANGED if settings.dry_run else Action.UPDATE
    outcome = Outcome(
        Stage.PROD,
        app.name,
        action,
        app.id,
        console_link(settings.api_url, app),
        halt.release.version,
        plan.enforcement_of(app),
        changes=("audit_script",),
        reason=f"{halt.release} goes on; it was halted: {halt.why}",
    )
    result = RunResult(name, (outcome,), settings.dry_run, app_name=name).at(settings.tenant)
    announce(result, settings, host)
    return result


def _halted_app(names: Sequence[str], name: str, context: RunContext) -> CustomApp:
    """The one of these apps in which something is halted."""
    if len(names) == 1:
        return app_named(names[0], context.tenant)
    apps = [app for each in names for app in matching.by_name(context.tenant.apps(), each)]
    halted = [app for app in apps if plan.ledger(app, context.store.remembered()).halted is not None]
    if len(halted) == 1:
        return halted[0]
    told = ", ".join(repr(app.name) for app in halted)
    several = f"something is halted in {told}; name one with --ring"
    raise TargetError(several if halted else f"nothing is halted in {name!r}")
