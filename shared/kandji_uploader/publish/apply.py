"""Make it so: carry out a plan, each target for itself, so that every Custom App ends as it was or as planned.

There are no rules here about what should be; those are the plan's. Creating is in `create`, updating in `update`: what
may go wrong on the way, and what is done about it. When all is written, the run looks whether another machine has
changed the same apps at that moment (`one_app`). Only then it assigns them to Blueprints.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from types import MappingProxyType

from kandji_uploader.audit import script as audit
from kandji_uploader.errors import (
    ApiError,
    InterruptedRunError,
    NetworkError,
    TargetError,
)
from kandji_uploader.kandji.client import RejectedError
from kandji_uploader.models import Action, CustomApp, Outcome
from kandji_uploader.publish.create import create, stay_alone
from kandji_uploader.publish.plan import TargetPlan, resolve_blueprint
from kandji_uploader.publish.update import stay_written, update
from kandji_uploader.publish.work import ApplyContext, Upload, Work, wait


def apply(plans: Sequence[TargetPlan], context: ApplyContext) -> tuple[tuple[Outcome, ...], str]:
    """Carry out every target's plan; returns the outcomes and the installer's sha256 ("" where it stayed unknown).

    A target that fails does not keep the others from being tried.

    Raises:
        InterruptedRunError: SIGINT or SIGTERM; its text says what was done and what was not.
    """
    upload = Upload(context)
    works = [Work(plan) for plan in plans]
    try:
        for work in works:
            work.carry_on(_write, upload, context)
        if any(work.made or work.replaced for work in works):
            wait(context)
        for work in works:
            work.carry_on(_finish, upload, context)
    except KeyboardInterrupt:
        context.tenant.forget_apps()
        raise InterruptedRunError(_interrupted(works)) from None
    outcomes = tuple(work.outcome(context) for work in works)
    if all(not outcome.action.bad for outcome in outcomes):
        upload.done()
    return outcomes, upload.sha256


def _write(work: Work, upload: Upload, context: ApplyContext) -> None:
    """Create or update the app. If Kandji refuses the notes of one that is not enforced, do it without them.

    These notes are in an audit script. The API's documentation does not say whether such an app may have one. Only a
    refusal tells: an answer that holds an app has the field's name in it, too, whatever else is wrong with it.
    """
    try:
        _send(work, upload, context)
    except RejectedError as problem:
        sent = audit.read(str(work.plan.fields.get("audit_script", "")))
        if not sent.is_memory or "audit_script" not in problem.body:
            raise
        bare = {name: value for name, value in work.plan.fields.items() if name != "audit_script"}
        work.plan = replace(work.plan, fields=MappingProxyType(bare))
        _send(work, upload, context)
    work.done = work.made is None and not work.plan.assign


def _send(work: Work, upload: Upload, context: ApplyContext) -> None:
    if work.plan.action is Action.CREATE:
        create(work, upload, context)
    elif work.plan.action is Action.UPDATE:
        update(work, upload, context)


def _finish(work: Work, upload: Upload, context: ApplyContext) -> None:
    """See to it that what was written is the only one and is there still, and assign it to its Blueprints."""
    if work.made is not None:
        stay_alone(work, upload, context)
        if work.replaced is not None:  # just now, in place of what we made
            wait(context)
    if work.replaced is not None:
        stay_written(work, upload, context)
    if work.app is not None and not work.plan.action.bad:
        _assign(work.plan, work.app, context)
    work.done = True


def _assign(plan: TargetPlan, app: CustomApp, context: ApplyContext) -> None:
    """Assign an app to the Blueprints that lack it."""
    for wanted in plan.assign:
        try:
            blueprint, node = resolve_blueprint(wanted, context.tenant.blueprints())
            context.tenant.assign(blueprint.id, app.id, node)
        except (ApiError, NetworkError) as problem:
            told = _assignment_advice(problem.body) if isinstance(problem, RejectedError) else str(problem)
            raise TargetError(
                f"{app.name!r} is in Kandji, but is not known to be assigned to the Blueprint {wanted!r}: {told}. "
                "The next run assigns it"
            ) from None


def _assignment_advice(body: str) -> str:
    if "Must provide assignment_node_id" in body:
        return "it is an Assignment Map with conditions; name the node as `name:node-id` (Option shows it)"
    if "cannot be provided" in body:
        return "it is a Classic Blueprint, which has no nodes; drop the `:node-id`"
    return body


def _interrupted(works: Sequence[Work]) -> str:
    done = [f"{work.plan.target.name}: {work.error or work.plan.action.value}" for work in works if work.ended]
    left = [work.plan.target.name for work in works if not work.ended]
    first = (
        f"; {left[0]!r} may have been under way: run again, which finishes it without doing it twice" if left else ""
    )
    return (
        f"interrupted. Done: {'; '.join(done) or 'nothing'}. Not done: {', '.join(map(repr, left)) or 'nothing'}{first}"
    )
