"""The one entry of promotion: it moves a prod app to the newest release that has soaked in its test app.

`rules` decides; here is read what it needs. The Macs' status (every page of it) is read only if a rule asks for it and
the release has soaked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from types import MappingProxyType

from kandji_uploader._util import version
from kandji_uploader.audit import script as audit
from kandji_uploader.errors import TargetError
from kandji_uploader.models import (
    Action,
    Candidate,
    CustomApp,
    InstallType,
    Outcome,
    Promotion,
    Reported,
    Stage,
    Target,
)
from kandji_uploader.promotion import fast_lane, rules
from kandji_uploader.promotion.candidates import asked, exposed, standing_of
from kandji_uploader.promotion.contents import MovedContents
from kandji_uploader.promotion.rules import Decision, Kind, Standing
from kandji_uploader.promotion.stored import StoredRelease
from kandji_uploader.publish import matching, plan, releases
from kandji_uploader.publish.carry_out import Job, carry_out
from kandji_uploader.publish.context import RunContext
from kandji_uploader.publish.create import look_again
from kandji_uploader.publish.history import as_enforced, live_release, noted
from kandji_uploader.publish.matching import Match
from kandji_uploader.publish.plan import EnforcedIdentity, Installer, PlanInput, TargetPlan
from kandji_uploader.publish.refresh import look_up, refresh, with_digest
from kandji_uploader.publish.releases import Health, Ledger, Release
from kandji_uploader.publish.request import Host
from kandji_uploader.publish.targets import Hop, RecipeFacts

_NONE: Mapping[Stage, Match] = MappingProxyType({})


def promote(
    hop: Hop,
    context: RunContext,
    host: Host,
    matches: Mapping[Stage, Match] = _NONE,
) -> tuple[Outcome, Step]:
    """Move the prod app to the newest release that has soaked in the test app and is healthy, if there is one.

    Args:
        hop: the test app and the prod app, and the rules; of rings, one and the next.
        context: where the run takes place.
        host: where messages go.
        matches: by stage, the Custom Apps, if the run has matched the targets already.

    Returns:
        What became of the prod app, and how that was decided.

    Raises:
        TargetError: a category or Blueprint of an app that is to be created does not exist.
        AuditScriptError: nothing tells what the prod app's audit script should look for.
        NetworkError, ApiError: the tenant could not be read.
    """
    test, prod = hop.targets
    context = replace(context, settings=replace(hop.settings, create_new=False))
    plan_input = _look_up_both(test, prod, context, matches)
    if not matches and look_again(plan_input, context, host.say):
        plan_input = _look_up_both(test, prod, context)
    step = _next_step(hop, plan_input, context)
    job = _job(test.name, plan_input.matches[test.stage].app, step, context)
    waits = plan.later(plan_input)  # Further Macs get nothing then, either.
    found = step.plan if waits else plan.with_missing_blueprints(step.plan, plan_input.tenant)
    (outcome,), _ = carry_out((found,), step.plan_input, context, host, job)
    if outcome.action.writes and step.plan.action.writes and step.decision.release is not None:
        outcome = replace(outcome, action=Action.PROMOTE)
    if not context.settings.dry_run:
        _remember(prod, step, context)
    # As in a publish, all rings but the last one are for testing.
    stage = Stage.TEST if hop.onward else Stage.PROD
    return replace(outcome, stage=stage, candidates=step.candidates), step


def _job(name: str, source: CustomApp | None, step: Step, context: RunContext) -> Job:
    """What the promotion says of itself, and looks at right before it writes; from the app of that name."""
    release = step.decision.release
    urgent = f", urgent: {context.settings.urgent}" if context.settings.urgent else ""
    return Job(
        Path(step.plan_input.installer.name),
        f"promoted from {name}{urgent}",
        f"the file of version {release} is no longer in Kandji; publish it to the test app again",
        check_unchanged=lambda: _check_source(source, release, context),
    )


def _check_source(source: CustomApp | None, release: Release | None, context: RunContext) -> None:
    """Raise TargetError where another machine has halted or rolled back a release since this one has read its app.

    The list of an AutoPkg run is believed for a quarter of an hour.
    """
    if source is None or release is None:
        return
    there = plan.ledger(context.tenant.client.get_custom_app(source.id), {})
    stopped = [row for row in there.former if row.halted]
    stopped += [there.halted.release] if there.halted else []
    stopped += [there.rolled_back] if there.rolled_back else []
    if any(row.is_also(release) for row in stopped):
        raise TargetError(f"{release} was halted or rolled back in {source.name!r} at this moment. Run again")


def outlook(hop: Hop, context: RunContext) -> tuple[tuple[Release, Decision], ...]:
    """Each release of the test app that may move on, the newest first, with what the rules say of it today.

    Nothing is changed. It is empty where it is not clear which the two apps are.

    Raises:
        NetworkError, ApiError: the tenant could not be read.
    """
    test, prod = (replace(target, blueprints=()) for target in hop.targets)
    context, wanted = replace(context, settings=hop.settings), hop.settings.promotion
    plan_input = _look_up_both(test, prod, context)
    test_app = plan_input.matches[test.stage].app
    if test_app is None or wanted is None or plan_input.matches[prod.stage].candidates:
        return ()
    pair = _pair(test, prod, test_app, plan_input, context)
    found = rules.ahead(_weighed(pair.live, pair.standing, test_app, context), pair.candidates, pair.standing)
    return tuple((each, rules.judge(each, wanted, pair.standing, context.now)) for each in found)


def _weighed(live: Release, standing: Standing, test_app: CustomApp, context: RunContext) -> Release:
    """What the test app has, with what its Macs say, where that is what decides."""
    wanted = context.settings.promotion
    if wanted is not None:
        wanted, _ = fast_lane.shortened(wanted, standing.exposures, live.version, standing.version)
    decides = wanted is not None and (wanted.sampled or rules.soaked(live, wanted, context.now))
    return asked(live, test_app, context) if decides and rules.newer(live, standing, live=True) else live


_QUIET = (Kind.PROMOTE, Kind.CURRENT, Kind.SOAKING, Kind.NO_TEST)
"""No message is sent for these: a promotion is announced anyway, and in the other cases one only has to wait."""


@dataclass(frozen=True)
class Step:
    """What the promotion of one prod app comes to.

    Attributes:
        plan: what is to become of the prod app.
        plan_input: what the plan was made from.
        decision: the rules' verdict.
        news: whether it is held for another reason than at the run before.
        candidates: what may move into the prod app, the newest first.
    """

    plan: TargetPlan
    plan_input: PlanInput
    decision: Decision
    news: bool = False
    candidates: tuple[Candidate, ...] = ()


def _look_up_both(test: Target, prod: Target, context: RunContext, matches: Mapping[Stage, Match] = _NONE) -> PlanInput:
    """A plan input with both apps. Dynamic lookup finds the prod app by the name of the test app's installer.

    The test app is not changed here, so its Blueprints do not matter.
    """
    matches = look_up((replace(test, blueprints=()),), _NO_FILE, context, matches).matches
    app = matches[test.stage].app
    return look_up((prod,), _named(app) if app else _NO_FILE, context, matches)


_NO_FILE = Installer("", InstallType.PACKAGE, 0)


def _next_step(hop: Hop, plan_input: PlanInput, context: RunContext) -> Step:
    """What is to become of the prod app, given what the test app has and had."""
    (test, prod), wanted = hop.targets, context.settings.promotion
    assert wanted is not None, "there is no promotion without rules"  # noqa: S101 - the callers' contract
    source, match = plan_input.matches[test.stage], plan_input.matches[prod.stage]
    if source.app is None:
        what = "ring before it" if context.settings.rings else "test app to promote from"
        text = f"there is no {what}: {source.why} ({test.name!r})"
        return Step(TargetPlan(prod, Action.HELD, text), plan_input, Decision(Kind.NO_TEST, text))
    if match.candidates:
        return Step(plan.plan_target(prod, plan_input), plan_input, _UNDECIDED)
    pair = _pair(test, prod, source.app, plan_input, context)
    standing = pair.by_name if context.force else pair.standing
    live = _weighed(pair.live, standing, source.app, context)
    found = rules.ahead(live, pair.candidates, standing)
    judged = ((each, rules.judge(each, wanted, standing, context.now)) for each in found)
    told = tuple(candidate(each, decision, wanted, context.now) for each, decision in judged)
    step = _decided(hop, pair, live, wanted, standing, context)
    return replace(step, candidates=told)


def candidate(release: Release, decision: Decision, wanted: Promotion, now: float) -> Candidate:
    """A release that may move on, as people and machines are told of it."""
    held = "" if decision.kind is Kind.PROMOTE else decision.reason.removeprefix(str(release)).lstrip(": ")
    days = rules.soaked_for(release, wanted, now) / rules.DAY
    until = _moment(release.until) if release.until else None
    return Candidate(release.version, _moment(release.at), held, release.digest, until, days, reported(release.health))


def reported(health: Health | None) -> Reported | None:
    """A sample with its time as a value."""
    return None if health is None else Reported(health.passed, health.errors, health.pending, _moment(health.at))


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, timezone.utc)


def _decided(hop: Hop, pair: _Pair, live: Release, wanted: Promotion, standing: Standing, context: RunContext) -> Step:
    """What the rules say of the newest release that may move, and so what is to become of the prod app."""
    app, ahead = pair.app, context.clock_ahead
    if context.settings.urgent:
        # No soak is asked for, so a clock that is wrong does not keep an urgent version back.
        decision = rules.decide(live, (), Promotion(), standing, context.now, clock_ahead=0.0)
    else:
        decision = rules.decide(live, pair.candidates, wanted, standing, context.now, clock_ahead=ahead)
    if decision.release is None:
        return _staying(pair, decision, standing, context)
    if app is not None and not context.force and pair.ledger.current and not noted(app, pair.ledger):
        text = (
            f"{app.name!r} holds {app.file_name}, which this tool did not put there, so {decision.release} is not put "
            "over it. If it may be: kandji-uploader promote --force"
        )
        return _refused(pair, app, text, decision)
    target = pair.moved.target(decision.release, live=decision.release.key == live.key)
    if target is None:
        return _waiting(pair, _lost(decision.release), standing)
    target = _sooner(target, decision.release, standing, wanted, context.now)
    after = _after(hop, app, pair.ledger, decision.release, context)
    match = replace(pair.plan_input.matches[pair.prod.stage], app=app)
    return _moving(target, match, after, decision, decision.release, context)


@dataclass(frozen=True)
class _Pair:
    """A test app and its prod app, as they are, and what is known of both.

    Attributes:
        prod: the prod app that is meant.
        app: the prod app; None where it is to be created.
        plan_input: what plans are made from.
        ledger: the releases of the prod app.
        live: the release that the test app has.
        candidates: the releases that it had and that can still be promoted: their scripts are known.
        standing: where the prod app stands.
        by_name: likewise, but by the version in its file's name, if its script says a higher one.
        moved: what goes to the prod app with a release.
    """

    prod: Target
    app: CustomApp | None
    plan_input: PlanInput
    ledger: Ledger
    live: Release
    candidates: tuple[Release, ...]
    standing: Standing
    by_name: Standing
    moved: MovedContents


def _pair(test: Target, prod: Target, test_app: CustomApp, plan_input: PlanInput, context: RunContext) -> _Pair:
    test_app, match = with_digest(test_app, context), plan_input.matches[prod.stage]
    app = with_digest(match.app, context) if match.app else None
    ledger = plan.ledger(app, plan_input.remembered) if app else Ledger()
    soaking = plan.ledger(test_app, plan_input.remembered)
    live = live_release(test_app, soaking, context.now)
    moved = MovedContents(test, prod, test_app, app, live.install_type)
    standing = standing_of(app, plan_input, soaking, context)
    standing = replace(standing, digest=standing.digest or moved.known_in_prod(live))
    candidates = tuple(item for item in soaking.former if moved.target(item))
    standing = exposed(standing, rules.ahead(live, candidates, standing), context)
    named = _disputed(app, ledger, standing) if app is not None else ""
    return _Pair(
        prod,
        app,
        plan_input,
        ledger,
        live,
        candidates,
        standing,
        replace(standing, version=named) if named else standing,
        moved,
    )


def _staying(pair: _Pair, decision: Decision, standing: Standing, context: RunContext) -> Step:
    """Nothing is promoted. If somebody has edited the prod app's audit script, that is repaired or told."""
    if pair.app is not None:
        if decision.kind is Kind.CURRENT and rules.newer(pair.live, pair.by_name, live=True):
            text = (
                f"the audit script of {pair.app.name!r} enforces {standing.version}, but its file is called "
                f"{pair.app.file_name}, and nothing here knows which is true, so {pair.live} is not put over it. "
                "Correct MINIMUM_ENFORCED_VERSION there; or if it may be: kandji-uploader promote --force"
            )
            return _refused(pair, pair.app, text, Decision(Kind.UNKNOWN, text))
        drift = _drift(pair, pair.app, decision, context)
        if drift is not None:
            return drift
    return _waiting(pair, decision, standing)


_UNDECIDED = Decision(Kind.UNKNOWN, "")


def _named(app: CustomApp) -> Installer:
    return Installer(matching.stored_name(app.file_name), InstallType.PACKAGE, 0)


_ACTIONS = {
    Kind.CURRENT: Action.UNCHANGED,
    Kind.PINNED: Action.PINNED,
    Kind.WAITING: Action.WAITING,
    Kind.HALTED: Action.HALTED,
}


def _waiting(pair: _Pair, decision: Decision, standing: Standing) -> Step:
    """Nothing is promoted. It is news if the reason is another one than the state folder has noted."""
    app, prod = pair.app, pair.prod
    found = TargetPlan(
        prod,
        _ACTIONS.get(decision.kind, Action.HELD),
        decision.reason,
        app=app,
        enforcement=plan.enforcement_of(app) if app else "",
    )
    plan_input = replace(pair.plan_input, identity=EnforcedIdentity(version=standing.version or None))
    if app is not None:
        plan_input = replace(plan_input, installer=_named(app))
    before = plan_input.remembered.get(_held_key(prod), {}).get("held")
    return Step(found, plan_input, decision, news=decision.kind not in _QUIET and before != decision.kind.value)


def _drift(pair: _Pair, app: CustomApp, decision: Decision, context: RunContext) -> Step | None:
    """The repair of an audit script that enforces another version than its file has; None if it enforces that one.

    The file decides what the version is. A script with a higher one would hold every release back. One with a lower
    one would leave Macs at an old version.
    """
    ledger, reading = pair.ledger, audit.read(app.audit_script)
    live = ledger.current
    if live is None or not noted(app, ledger) or not live.version or not reading.known or not reading.version:
        return None
    if version.compare(live.version, reading.version) == 0 or not plan.audited(app):
        return None
    kept = replace(
        pair.prod, blocking_applications=reading.blocking_applications, minimum_os_version=reading.minimum_os_version
    )
    live = replace(live, file_key=app.file_key)
    plan_input = plan_input_of_release(kept, Match(app, ""), live, ledger, context, by_hand=True)
    found = plan.plan_target(kept, plan_input)
    fields = MappingProxyType({"audit_script": found.fields["audit_script"]})
    why = f"its audit script enforced {reading.version}, and the file that it belongs to is {live}; {decision.reason}"
    return Step(replace(found, fields=fields, reason=why, warnings=(f"{app.name}: {why}",)), plan_input, decision)


def _disputed(app: CustomApp, ledger: Ledger, standing: Standing) -> str:
    """The version in the file's name, if it was not noted and the audit script says a higher one; else ""."""
    named = matching.version_in(app.file_name) or ""
    script = audit.read(app.audit_script).version
    if noted(app, ledger) or not named or standing.version != script:
        return ""
    return named if version.compare(script, named) > 0 else ""


def _refused(pair: _Pair, app: CustomApp, text: str, decision: Decision) -> Step:
    plan_input = replace(pair.plan_input, installer=_named(app))
    return Step(TargetPlan(pair.prod, Action.REFUSED, text, app=app), plan_input, decision)


def _remember(prod: Target, step: Step, context: RunContext) -> None:
    """Note why the prod app is held. The next run tells it only if the reason is another one."""
    context.store.remember(_held_key(prod), {} if step.plan.action.writes else {"held": step.decision.kind.value})


def _held_key(prod: Target) -> str:
    return f"held {prod.name}"


def _lost(release: Release) -> Decision:
    text = f"{release}: the scripts or settings that soaked with it are not those that are given now; run its recipe"
    return Decision(Kind.UNKNOWN, text)


def _sooner(target: Target, release: Release, standing: Standing, wanted: Promotion, now: float) -> Target:
    """The app that takes a release, with the deadline of the fast lane where the release came by it."""
    _, closed = fast_lane.shortened(wanted, standing.exposures, release.version, standing.version)
    if closed is None or wanted.fast_lane is None or wanted.fast_lane.deadline_days is None:
        return target
    days, deadline = min(target.delay_days, wanted.fast_lane.deadline_days), target.enforcement_deadline
    if deadline is not None and deadline.timestamp() > now + days * rules.DAY:
        deadline = None
    return replace(target, delay_days=days, enforcement_deadline=deadline)


def _after(hop: Hop, app: CustomApp | None, ledger: Ledger, release: Release, context: RunContext) -> Ledger:
    """What an app remembers once it has taken a release.

    Another ring takes from it, too: then what it has now is a candidate, and its Macs are asked about it right before.
    """
    live = live_release(app, ledger, context.now) if app else None
    put = replace(release, at=context.now, until=0.0, health=None, urgent=context.settings.urgent or "")
    if hop.onward is None:
        return releases.replaced(ledger, live, put, keep=releases.KEPT_FORMER)
    above = standing_further_on(hop.onward, Ledger(), context).version
    live = asked(live, app, replace(context, settings=hop.onward.settings)) if live and app else None
    return releases.replaced(ledger, live, put, keep=releases.KEPT_CANDIDATES, above=above, back=True)


def standing_further_on(onward: Hop, soaking: Ledger, context: RunContext) -> Standing:
    """Where the app stands that takes from another one, of which `soaking` is what is remembered."""
    context, prod = replace(context, settings=onward.settings), onward.targets[1]
    plan_input = look_up((replace(prod, blueprints=()),), _NO_FILE, context)
    return standing_of(plan_input.matches[prod.stage].app, plan_input, soaking, context)


def _moving(
    prod: Target, match: Match, after: Ledger, decision: Decision, release: Release, context: RunContext
) -> Step:
    urgent = context.settings.urgent
    plan_input = plan_input_of_release(prod, match, release, after, context, by_hand=context.force)
    found = plan.plan_target(prod, plan_input)
    reason = f"urgent: {urgent}; {decision.reason}" if urgent else decision.reason
    reason = reason if found.action.writes else found.reason
    return Step(replace(found, reason=reason), plan_input, decision)


def plan_input_of_release(
    target: Target,
    match: Match,
    release: Release,
    after: Ledger,
    context: RunContext,
    *,
    by_hand: bool = False,
) -> PlanInput:
    """The input of a plan that puts a release, which is in Kandji's store already, into an app.

    Args:
        target: what is wanted of the app.
        match: the app as it is.
        release: the release that it is to have.
        after: what its audit script is to remember then.
        context: where the run takes place.
        by_hand: whether an admin asked for this very release; see `PlanInput`.

    Raises: as `refresh`.
    """
    # The very file that soaked moves, also to an app that has one with the same content.
    settings = replace(context.settings, create_new=False, identity="file")
    app = match.app
    source = StoredRelease(release, as_enforced(app, audit.read(app.audit_script)) if app else release)
    here = replace(context, given=RecipeFacts(), settings=settings)
    plan_input = refresh((target,), source, here, {target.stage: match})
    return replace(plan_input, notes={target.stage: releases.to_notes(after)}, by_hand=by_hand)
