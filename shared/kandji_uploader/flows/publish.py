"""The product in one screen: an installer and some names come in, Custom Apps come out.

resolve_settings    what holds: recipe, flags, environment, config file, maps
resolve_targets     which Custom Apps the run is about, the test app first
refresh             what the tenant holds of them, and what the installer is: all that a plan needs
make_plan           what each of them is to become; nothing is asked and nothing is changed
carry_out           upload, create, update, or tell it in a dry run
watch, promote      with `promotion` or `rings`: halt what fails, move what has soaked in one app on to the next
announce            Slack
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import replace

from kandji_uploader._util import timings
from kandji_uploader._util.signals import sigterm_as_ctrl_c
from kandji_uploader.errors import InterruptedRunError, KandjiUploaderError
from kandji_uploader.flows.announce import announce, announce_failure
from kandji_uploader.flows.tenants import at_each
from kandji_uploader.models import Outcome, RunResult, Settings, Target, Tenant
from kandji_uploader.publish import pending
from kandji_uploader.publish.carry_out import Job, carry_out
from kandji_uploader.publish.context import RunContext, locked
from kandji_uploader.publish.create import look_again
from kandji_uploader.publish.plan import PlanInput, TargetPlan, make_plan
from kandji_uploader.publish.refresh import refresh, renewed
from kandji_uploader.publish.request import Host, Request, as_pending, claim
from kandji_uploader.publish.resolve import ladder_of, resolve_settings, resolve_targets, resolve_tenants
from kandji_uploader.publish.sources import OnDisk, Source
from kandji_uploader.publish.targets import Hop, hops
from kandji_uploader.state import digests_of, store_of


def run(request: Request, host: Host | None = None, source: Source | None = None) -> RunResult:
    """Publish one installer. A dry run tells what would be done.

    Args:
        request: who asked, and for what.
        host: where messages go, and more of the caller's; see `Host`.
        source: where the installer is, if not in the file at `request.path`.

    Raises:
        KandjiUploaderError: nothing was changed in the tenant: bad settings, installer, token and the like. What went
            wrong with a single Custom App is in the result (`result.failed`).
        InterruptedRunError: SIGINT or SIGTERM; the text says what was done and what was not.
    """
    host = host or Host()
    source = source or OnDisk(request.path, request.given, host.warn, request.promised)
    try:
        with sigterm_as_ctrl_c(), timings.counted() as spent:
            result = _run(request, source, host)
        return replace(result, timings=spent)
    except KeyboardInterrupt:
        raise InterruptedRunError(
            "interrupted while nothing was being changed: every Custom App is as it was or as planned. Run again"
        ) from None


def _run(request: Request, source: Source, host: Host) -> RunResult:
    ladder = ladder_of(request, host)
    tenants = resolve_tenants(ladder, request, source)
    settings = resolve_settings(ladder.at(tenants[0]) if tenants else ladder, request, source, host)
    if tenants:
        return _at_each(tenants, request, settings, source, host)
    if settings.publish_to and request.by_autopkg:
        from kandji_uploader.publish import manifests

        return manifests.keep(request, settings, source, host)
    try:
        result = _publish(request, settings, source, host)
    except KandjiUploaderError as problem:
        announce_failure(request.path.name, problem, settings, host)
        raise
    announce(result, settings, host)
    return result


def _at_each(tenants: Sequence[Tenant], request: Request, settings: Settings, source: Source, host: Host) -> RunResult:
    """Publish at each tenant. The installer is read once for all of them, with the settings of the first one."""
    source.kind()
    digests = digests_of(settings)
    with source.reading_ahead(digests):
        if len(tenants) > 1:
            source.digest(digests)
        result = at_each(tenants, lambda there: _run(request, source, there), request.path.name, host)
    announce(result, settings, host)
    return replace(result, source=str(request.path))


def _publish(request: Request, settings: Settings, source: Source, host: Host) -> RunResult:
    """Publish at one tenant."""
    source.kind()
    with source.reading_ahead(digests_of(settings)):
        name, targets = resolve_targets(request, settings, source, host)
        with _locked(targets, request, settings, source, host) as (context, intent):
            chain = hops(settings, targets)
            plan_input, plans = _plan(chain, targets, source, context, host)
            claim(request, settings, host, {plan.app.id: plan.app.name for plan in plans if plan.app})
            job = Job.of(request, source, intent, settings.urgent)
            outcomes, sha256 = carry_out(plans, plan_input, context, host, job)
            intent.ended(outcomes, sha256)
            outcomes, news = _moved_on(chain, targets, plan_input, context, host, outcomes, name)
    facts, urgent = source.facts_if_read(), settings.urgent or ""
    result = RunResult(str(request.path), outcomes, settings.dry_run, facts, name, sha256, news, urgent)
    return result.at(settings.tenant)


@contextlib.contextmanager
def _locked(
    targets: Sequence[Target], request: Request, settings: Settings, source: Source, host: Host
) -> Iterator[tuple[RunContext, pending.Intent]]:
    """Where the run takes place, with its Custom Apps locked. If it ends early, `retry` can do it again."""
    names = tuple(target.name for target in targets)
    claim(request, settings, host, dict(zip(names, names, strict=True)))
    store = store_of(settings)
    pending.tell(store, names, host.warn, settings.tenant)
    intent = pending.Intent(store, None if settings.create_new else as_pending(request, source, names, host))
    with intent.kept(), locked(settings, names, host, request.given, request.lock_patience) as context:
        yield context, intent


def _plan(
    chain: Sequence[Hop], targets: tuple[Target, ...], source: Source, context: RunContext, host: Host
) -> tuple[PlanInput, tuple[TargetPlan, ...]]:
    """The plan of every target; of the test app or the first ring only, if the release has to soak there first."""
    if chain:
        targets, context = chain[0].targets, replace(context, settings=chain[0].settings)
    plan_input = refresh(targets, source, context)
    if look_again(plan_input, context, host.say):
        plan_input = refresh(targets, source, context)
    if not chain:
        return plan_input, make_plan(targets, plan_input)
    from kandji_uploader.promotion.candidates import with_notes

    plan_input, urgent = with_notes(plan_input, targets, context), context.settings.urgent
    if not urgent:
        return plan_input, make_plan(targets[:1], plan_input)
    plans = make_plan(targets, plan_input)
    return plan_input, tuple(replace(plan, reason=f"urgent: {urgent}; {plan.reason}") for plan in plans)


def _moved_on(
    chain: Sequence[Hop],
    targets: tuple[Target, ...],
    plan_input: PlanInput,
    context: RunContext,
    host: Host,
    done: Sequence[Outcome],
    name: str,
) -> tuple[tuple[Outcome, ...], bool]:
    """All outcomes of a run: what was published, what its Macs halted, and what was promoted.

    Macs that have just got another release are asked to check in, so that they report on it soon.
    """
    if not (chain or context.settings.rings):
        return tuple(done), False
    from kandji_uploader.promotion.nudge import nudge
    from kandji_uploader.promotion.promote import Step, promote
    from kandji_uploader.promotion.watch import move_on, rings_of, tell_of_former

    def one(hop: Hop) -> tuple[Outcome, Step]:
        return promote(hop, context, host, renewed(plan_input.matches, done, context.tenant) if hop is chain[0] else {})

    if context.settings.rings:
        tell_of_former(context.settings, name, context)
    rings = rings_of(context.settings, targets, chain)
    # What is urgent is in both apps of the first pair already.
    found = move_on(rings, chain[1:] if context.settings.urgent else chain, context, host, one, done)
    if chain and plan_input.notes.get(chain[0].targets[0].stage) and done[0].action.writes:
        nudge(done[0], context, host.say)
    return found
