"""What the Macs of every ring say, at every run: what has soaked, and what has to be halted.

A ring is a Custom App that releases come to: a test app, a prod app, or one of the rings. Nothing is read of one that
no rule asks about. `rules` decides; here is read what it needs, and kept: in the state folder each time, in the notes
of the audit script while something soaks, at most once in `NOTED_EACH` and where the verdict turns.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from kandji_uploader.audit import script as audit
from kandji_uploader.errors import AuditScriptError, InterruptedRunError, KandjiUploaderError, TargetError
from kandji_uploader.models import Action, CustomApp, Outcome, Promotion, Settings, Stage, Target
from kandji_uploader.promotion import rules
from kandji_uploader.promotion.candidates import health_of
from kandji_uploader.promotion.promote import Step, standing_further_on
from kandji_uploader.promotion.rollback import go_back
from kandji_uploader.publish import matching, plan, releases
from kandji_uploader.publish.carry_out import console_link
from kandji_uploader.publish.context import RunContext
from kandji_uploader.publish.history import as_it_is, live_release, note, noted, with_notes
from kandji_uploader.publish.releases import Halt, Health, Ledger, Release, Verdict
from kandji_uploader.publish.request import Host
from kandji_uploader.publish.targets import Hop

NOTED_EACH = 20 * rules.HOUR
"""Seconds between two writes of the notes of one app, while something soaks there."""


@dataclass(frozen=True)
class Ring:
    """A Custom App that is looked at.

    Attributes:
        target: the app.
        rules: its own, by which a release is halted in it.
        onward: what takes from it; None for the last one.
    """

    target: Target
    rules: Promotion
    onward: Hop | None = None

    @property
    def asks(self) -> bool:
        """Whether any rule asks about its Macs."""
        return self.rules.halt_percent is not None or _samples(self.onward)


def rings_of(settings: Settings, targets: Sequence[Target], chain: Sequence[Hop]) -> tuple[Ring, ...]:
    """The apps of a run between which releases move, in the order in which they take one."""
    own = [ring.rules for ring in settings.rings] or [Promotion()] * len(chain) + [settings.promotion or Promotion()]
    found = zip(targets, own, [*chain, None], strict=False)
    return tuple(Ring(target, each, onward) for target, each, onward in found)


def first_of(settings: Settings, targets: Sequence[Target], context: RunContext) -> tuple[Outcome, ...]:
    """The first ring as it is, which takes from none, so that all rings are told side by side; none without rings."""
    ring = Ring(targets[0], Promotion())
    app = _app_of(ring, context) if settings.rings else None
    if app is None:
        return ()
    live = live_release(app, plan.ledger(app, context.store.remembered()), context.now)
    return (replace(_outcome(ring, app, context, Action.UNCHANGED, "", live), reason="takes what is published"),)


def tell_of_former(settings: Settings, software: str, context: RunContext) -> None:
    """Name, once, the apps that were rings when this machine last published the software; they stay as they are."""
    key, names = f"rings {software}", settings.app_names
    before = context.store.remembered().get(key, {}).get("names", "").split(_BETWEEN)
    left = [name for name in before if name and name not in names and matching.by_name(context.tenant.apps(), name)]
    if left:
        told = f"{', '.join(map(repr, left))} {'is no ring' if len(left) == 1 else 'are no rings'} any more"
        context.warn(f"{told}; left in Kandji as it is, with its Blueprints. Delete it there if nobody needs it")
    context.store.remember(key, {"names": _BETWEEN.join(names)})


_BETWEEN = "\n"
"""Between names, none of which has more than one line."""


def _samples(onward: Hop | None) -> bool:
    return onward is not None and onward.settings.promotion is not None and onward.settings.promotion.sampled


def watch(rings: Sequence[Ring], context: RunContext, host: Host) -> tuple[Outcome, ...]:
    """Look at what each ring has, the last one first; what fails on too many of its Macs is halted.

    Returns:
        An outcome for each ring that was looked at: HALTED where something is halted, now or still, and else UNCHANGED,
        with what its Macs say.
    """
    found: list[Outcome] = []
    for ring in reversed(rings):
        app = _app_of(ring, context)
        if app is None:
            continue
        try:
            outcome = _looked_at(ring, app, context, host)
        except InterruptedRunError:
            raise
        except KandjiUploaderError as problem:
            outcome = replace(_outcome(ring, app, context, Action.FAILED, str(problem)), code=problem.code)
        found += [outcome] if outcome else []
    return tuple(found[::-1])


def _app_of(ring: Ring, context: RunContext) -> CustomApp | None:
    named = matching.by_name(context.tenant.apps(), ring.target.name)
    return named[0] if len(named) == 1 else None


def _looked_at(ring: Ring, app: CustomApp, context: RunContext, host: Host) -> Outcome | None:
    ledger = plan.ledger(app, context.store.remembered())
    live = live_release(app, ledger, context.now)
    if ledger.halted is not None:
        return _outcome(ring, app, context, Action.HALTED, plan.halt_told(app.name, ledger.halted), live)
    foreign = (ledger.current is not None and not noted(app, ledger)) or live.at >= context.now
    soaks = not foreign and _soaks(ring, live, ledger, context)
    if foreign or not (soaks or ring.rules.halt_percent is not None):
        return None
    health = health_of(live, app, context)
    if health is None:
        return None
    why = rules.too_many_errors(health, ring.rules)
    if why:
        return _halted(ring, app, rules.sampled(live, health, ring.rules), why, context, host)
    _keep(ring, app, ledger, live, health, context, soaks=soaks)
    return replace(_outcome(ring, app, context, Action.UNCHANGED, "", live), reason=f"{live}: {health}")


def _soaks(ring: Ring, live: Release, ledger: Ledger, context: RunContext) -> bool:
    """Whether the days of what a ring has are counted: the one after it has not got it yet."""
    if ring.onward is None or not _samples(ring.onward):
        return False
    return rules.newer(live, standing_further_on(ring.onward, ledger, context), live=True)


def _keep(
    ring: Ring, app: CustomApp, ledger: Ledger, live: Release, health: Health, context: RunContext, *, soaks: bool
) -> None:
    """Keep a sample in the state folder, and where it is due in the notes."""
    wanted = ring.onward.settings.promotion if soaks and ring.onward else ring.rules
    after = rules.sampled(live, health, wanted or ring.rules)
    if context.settings.dry_run:
        return
    notes = releases.to_notes(replace(ledger, current=after))
    context.store.remember(app.id, releases.with_key(notes, app.file_key))
    if soaks and _due(app, after, context.now):
        try:
            note(app, lambda known: releases.with_sample(known, after), context)
        except TargetError as problem:
            context.warn(f"what the Macs said was kept on this machine only: {problem}")


def _due(app: CustomApp, after: Release, now: float) -> bool:
    """Whether the notes in Kandji lack what the next run of another machine has to know."""
    known = releases.from_notes(audit.read(app.audit_script).notes).current
    if known is None or after.soak is None:
        return False
    verdict = known.soak.verdict if known.soak else Verdict.HOLDS
    since = known.health.at if known.soak and known.health else known.at
    return verdict is not after.soak.verdict or now - since >= NOTED_EACH


# Halting


def _halted(ring: Ring, app: CustomApp, live: Release, why: str, context: RunContext, host: Host) -> Outcome:
    halt = Halt(live, why, context.now)
    told = plan.halt_told(app.name, halt)
    if context.settings.dry_run:
        return _outcome(ring, app, context, Action.HALTED, told, live)
    if ring.rules.on_halt == "rollback":
        try:
            back = go_back(app, context, host)
            told = f"{live} is halted: {why}; {back.error or back.reason}"
            if back.action is Action.ROLL_BACK:
                return replace(_outcome(ring, app, context, Action.HALTED, told, live), changes=back.changes)
        except TargetError as problem:
            told = f"{plan.halt_told(app.name, halt)}. It could not be rolled back: {problem}"
    changes = stop(app, halt, context)
    return replace(_outcome(ring, app, context, Action.HALTED, told, live), changes=changes)


def stop(app: CustomApp, halt: Halt, context: RunContext) -> tuple[str, ...]:
    """No Mac is asked for what an app has any more, and nothing moves on from there.

    Its audit script says so and passes. An app without an audit script of ours becomes inactive. Returns the fields of
    the app that were changed.

    Raises:
        TargetError: the app has got another file meanwhile.
        NetworkError, ApiError: it could not be read or written.
    """
    there, ledger = as_it_is(app, context)
    reading = audit.read(there.audit_script)
    ledger = replace(ledger, halted=halt, current=halt.release if ledger.current else None)
    fields: dict[str, str | bool] = {}
    if plan.audited(there) and reading.writer == "ours":
        fields = _rendered(reading.values(halted=halt.why), releases.to_notes(ledger), context)
    if not fields:
        ledger = replace(ledger, halted=replace(halt, inactive=there.active))
        fields = {"active": False, **_noted(there, releases.to_notes(ledger))}
    _write(there, fields, ledger, context)
    return tuple(fields)


def resume(app: CustomApp, context: RunContext) -> Halt:
    """Let what was halted in an app go on; the days that were left to its Macs are left to them again.

    Raises:
        TargetError: nothing is halted there, or the app has got another file meanwhile.
        NetworkError, ApiError: it could not be read or written.
    """
    there, ledger = as_it_is(app, context)
    halt = ledger.halted
    if halt is None:
        raise TargetError(f"nothing is halted in {app.name!r}")
    # What was said before an admin let it go on halts it no more, and it soaks anew.
    current = replace(ledger.current, at=context.now, health=None, soak=None) if ledger.current else None
    after = replace(ledger, halted=None, current=current)
    notes, reading = releases.to_notes(after), audit.read(there.audit_script)
    fields: dict[str, str | bool] = _noted(there, notes)
    if reading.halted:
        pushed = min((reading.created_at or 0) + context.now - halt.at, max(context.now, reading.created_at or 0))
        fields = _rendered(reading.values(halted=None, created_at=int(pushed)), notes, context)
    if halt.inactive:
        fields["active"] = True
    if not context.settings.dry_run:
        _write(there, fields, after, context)
    return halt


def _rendered(values: audit.AuditValues, notes: Mapping[str, str], context: RunContext) -> dict[str, str | bool]:
    """The audit script with these values; nothing if the template of this machine cannot say it."""
    try:
        return {"audit_script": audit.render(values, audit.load_template(context.settings.audit_template), notes)}
    except AuditScriptError as problem:
        context.warn(str(problem))
        return {}


def _noted(app: CustomApp, notes: Mapping[str, str]) -> dict[str, str | bool]:
    """The audit script with these notes and nothing else changed; nothing if it is somebody else's."""
    try:
        return {"audit_script": with_notes(app, notes)}
    except TargetError:
        return {}


def _write(app: CustomApp, fields: Mapping[str, str | bool], after: Ledger, context: RunContext) -> None:
    written = context.tenant.client.update_custom_app(app.id, fields)
    context.tenant.put(written)
    context.store.remember(app.id, releases.with_key(releases.to_notes(after), written.file_key))


def _outcome(
    ring: Ring, app: CustomApp, context: RunContext, action: Action, error: str, live: Release | None = None
) -> Outcome:
    return Outcome(
        ring.target.stage,
        app.name,
        action,
        app.id,
        console_link(context.settings.api_url, app),
        live.version if live else "",
        plan.enforcement_of(app),
        matching.stored_name(app.file_name),
        reason=error,
        error=error,
    )


def move_on(
    rings: Sequence[Ring],
    hops: Sequence[Hop],
    context: RunContext,
    host: Host,
    one: Callable[[Hop], tuple[Outcome, Step]],
    done: Sequence[Outcome] = (),
) -> tuple[tuple[Outcome, ...], bool]:
    """Halt what fails, and then promote, the last pair first: an app is taken from before it gets another release.

    What is urgent goes on from pair to pair at once.

    Args:
        rings: the apps that are looked at.
        hops: the pairs, the first one first.
        context: where the run takes place.
        host: where messages go.
        one: promotes one pair.
        done: what became of other apps in this run. An error of a promotion must not hide what was published.

    Returns:
        All outcomes of the run, and whether people want to hear of one of them although nothing changed.
    """
    halted = watch(rings, context, host)
    urgent = context.settings.urgent
    found = [_moved(hop, one, done) for hop in (hops if urgent else hops[::-1])]
    outcomes = [outcome for outcome, _ in (found if urgent else found[::-1])]
    return _with_halts((*done, *outcomes), halted), any(news for _, news in found)


def _moved(hop: Hop, one: Callable[[Hop], tuple[Outcome, Step]], done: Sequence[Outcome]) -> tuple[Outcome, bool]:
    """One promotion. Of rings, an error of one is told in its place, and keeps no other from its own."""
    published = [f"{outcome.name}: {outcome.action.value}" for outcome in done if outcome.action.writes]
    try:
        outcome, step = one(hop)
    except InterruptedRunError as stopped:
        before = f"Before the promotion: {'; '.join(published)}. The promotion was " if published else ""
        raise InterruptedRunError(f"{before}{stopped}") from None
    except KandjiUploaderError as problem:
        if not (hop.settings.rings or published):
            raise
        stage = Stage.TEST if hop.onward else Stage.PROD
        return Outcome(stage, hop.targets[1].name, Action.FAILED, error=str(problem), code=problem.code), False
    return outcome, step.news


def _with_halts(outcomes: Sequence[Outcome], halted: Sequence[Outcome]) -> tuple[Outcome, ...]:
    """The outcomes of a run, in which what is halted stands in place of what was left as it is."""
    left = {each.name: each for each in halted if each.action.bad}
    found = []
    for outcome in outcomes:
        stands = left.pop(outcome.name, None)
        found.append(stands if stands is not None and not outcome.action.writes else outcome)
    return (*left.values(), *found)
