"""Carry out plans: check the audit scripts, apply, remember. A dry run only tells the plans."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from kandji_uploader._util import timings
from kandji_uploader._util.prehash import PartialDigest
from kandji_uploader.audit import script as audit
from kandji_uploader.errors import TargetError
from kandji_uploader.kandji import console
from kandji_uploader.models import Action, AppFacts, CustomApp, Outcome
from kandji_uploader.publish import pending, releases
from kandji_uploader.publish.apply import apply
from kandji_uploader.publish.context import RunContext, settle_time
from kandji_uploader.publish.history import named, remember
from kandji_uploader.publish.plan import PlanInput, TargetPlan, ledger, matched, plan_target
from kandji_uploader.publish.request import Host, Request
from kandji_uploader.publish.sources import Source
from kandji_uploader.publish.work import ApplyContext
from kandji_uploader.settings import console_link as address_in_console


@dataclass(frozen=True)
class Job:
    """What carrying out needs to know beside the plans.

    Attributes:
        path: the installer.
        by: who publishes, for the history.
        gone: for an installer that is in Kandji only: the error if Kandji no longer has it; "" for one on disk.
        facts: what was read of it, if anything had to ask.
        begun: gives the part of its digest that is known when its upload begins.
        check_unchanged: raises InstallerError if the file has changed since it was first read.
        intent: writes down what is to be published, before anything is sent; None where no recipe asks for it.
    """

    path: Path
    by: str
    gone: str = ""
    facts: AppFacts | None = None
    begun: Callable[[], PartialDigest | None] = lambda: None
    check_unchanged: Callable[[], None] = lambda: None
    intent: pending.Intent | None = None

    @staticmethod
    def of(request: Request, source: Source, intent: pending.Intent, urgent: str | None) -> Job:
        """The job of the installer of a request."""
        by = request.recipe or request.path.name
        return Job(
            source.path,
            f"{by}, urgent: {urgent}" if urgent else by,
            facts=source.facts_if_read(),
            begun=source.begun,
            check_unchanged=source.check_unchanged,
            intent=intent,
        )


def carry_out(
    plans: Sequence[TargetPlan], plan_input: PlanInput, context: RunContext, host: Host, job: Job
) -> tuple[tuple[Outcome, ...], str]:
    """Carry out plans and remember what was published. Returns the outcomes and the installer's sha256.

    Raises:
        AuditScriptError: an audit script would reinstall for ever; nothing has been changed.
        InterruptedRunError: as `apply`.
    """
    _check_scripts(plans, host, job.facts)
    sha256 = plan_input.installer.sha256 or ""
    for plan in plans:
        (host.foretell or host.say)(plan.told)
    if context.settings.dry_run:
        outcomes = tuple(_outcome(plan_input, plan, plan.app) for plan in plans)
    else:
        with host.turn.changing():
            if job.intent is not None and any(plan.action.writes for plan in plans):
                job.intent.before_sending(sha256, plan_input.identity.version)
            with timings.at("settle"):
                outcomes, sha256 = apply(plans, _apply_context(plan_input, context, host, job))
        remember(plans, outcomes, sha256, plan_input, context, job.by)
        _tell_of_lost_memory(plans, outcomes, context, host)
    for warning in (warning for outcome in outcomes for warning in outcome.warnings):
        host.warn(warning)
    return outcomes, sha256


def _tell_of_lost_memory(
    plans: Sequence[TargetPlan], outcomes: Sequence[Outcome], context: RunContext, host: Host
) -> None:
    """Warn if Kandji did not keep the notes of an app that is not enforced."""
    for plan, item in zip(plans, outcomes, strict=True):
        sent = audit.read(str(plan.fields.get("audit_script", "")))
        live = context.tenant.written(item.app_id) if sent.is_memory and item.action.writes else None
        if live is not None and audit.read(live.audit_script).notes != sent.notes:
            host.warn(
                f"{item.name}: Kandji did not keep what the app had before; only the state folder here knows it. "
                "Let all machines that publish it share one (KANDJI_UPLOADER_STATE_DIR)"
            )


def _check_scripts(plans: Sequence[TargetPlan], host: Host, facts: AppFacts | None) -> None:
    """Refuse an audit script that would reinstall for ever, before anything is uploaded."""
    written = {str(plan.fields["audit_script"]) for plan in plans if plan.fields.get("audit_script")}
    written = {script for script in written if not audit.read(script).is_memory}
    if not written:
        return
    from kandji_uploader.audit import simulate

    for script in written:
        reading = audit.read(script)
        names_app = bool(reading.app_name or reading.bundle_id)
        # A package may bring its app by a script of its own; then the recipe's word for it is all there is.
        known = facts if facts is not None and (facts.apps or (facts.packages and not names_app)) else None
        for line in simulate.check(script, reading, known):
            host.say(line)


def _apply_context(plan_input: PlanInput, context: RunContext, host: Host, job: Job) -> ApplyContext:
    def replan(plan: TargetPlan, live: CustomApp, sha256: str) -> TargetPlan:
        installer = replace(plan_input.installer, sha256=sha256 or plan_input.installer.sha256)
        expected = (plan.app.file_key if plan.app else live.file_key, installer.file_key)
        if job.gone and live.file_key not in expected:
            # The decision was about the file that was there before.
            text = "somebody else has just put another file there; run again"
            return replace(plan, action=Action.REFUSED, reason=text, app=live)
        apps = (*(app for app in plan_input.tenant.apps if app.id != live.id), live)
        tenant, stage = replace(plan_input.tenant, apps=apps), plan.target.stage
        given, there = plan_input.notes.get(stage), ledger(live, plan_input.remembered)
        notes = plan_input.notes if given is None else {stage: releases.with_later_word(given, there)}
        again = matched((plan.target,), replace(plan_input, installer=installer, tenant=tenant, notes=notes))
        found = plan_target(plan.target, again)
        if found.needs_file and again.looked is None:
            # It was there already, so nobody had to look at who signed it.
            raise TargetError(f"{live.name!r}: somebody else has just put another file there; run again")
        return found

    return ApplyContext(
        tenant=context.tenant,
        store=context.store,
        path=job.path,
        installer=plan_input.installer,
        replan=replan,
        outcome=lambda plan, app, error: _outcome(plan_input, plan, app, error),
        say=host.say,
        progress=host.progress,
        begun=job.begun,
        check_unchanged=job.check_unchanged,
        gone=job.gone,
        listed=plan_input.tenant.apps,
        another=plan_input.settings.create_new,
        settle_time=settle_time(plan_input.settings),
    )


def console_link(api_url: str, app: CustomApp) -> str:
    """The address of a Custom App in the tenant's console; consoles move to new hosts with a migration."""
    return address_in_console(api_url, app.id, moved=console.has_moved(api_url))


def _outcome(plan_input: PlanInput, plan: TargetPlan, app: CustomApp | None, error: str = "") -> Outcome:
    def link(of: CustomApp) -> str:
        return console_link(plan_input.settings.api_url, of)

    if plan.candidates:
        listing = "; ".join(
            f"{each.name} ({each.file_name}, created {each.created_at}, changed {each.updated_at}, {link(each)})"
            for each in plan.candidates
        )
        error = f"{plan.reason}: {listing}"
    elif plan.action in (Action.REFUSED, Action.HALTED):
        error = plan.reason
    return Outcome(
        stage=plan.target.stage,
        name=app.name if app else plan.target.name,
        action=plan.action,
        app_id=app.id if app else "",
        link=link(app) if app else "",
        version=plan_input.identity.version or "",
        enforcement=plan.enforcement,
        installer=plan_input.installer.name,
        changes=plan.changes,
        reason=plan.reason,
        error=error,
        warnings=plan.warnings,
        signer=plan.signer if plan.action.writes else "",
        digest=named(plan, app, plan_input),
    )
