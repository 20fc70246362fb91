"""The product in one screen: an installer and some names come in, Custom Apps come out.

Request -> Settings -> Installer -> AppFacts -> Targets -> Plan -> Outcomes -> report
"""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from kandji_uploader._util.prehash import PartialDigest
from kandji_uploader._util.secret import Secret
from kandji_uploader._util.signals import sigterm_as_ctrl_c
from kandji_uploader.audit import script as audit
from kandji_uploader.errors import InterruptedRunError, KandjiUploaderError, Problem, SettingsError
from kandji_uploader.http.addresses import is_loopback
from kandji_uploader.http.tries import Policy
from kandji_uploader.kandji import console
from kandji_uploader.kandji.client import tell_to
from kandji_uploader.kandji.tenant import TenantView, view
from kandji_uploader.models import Action, AppFacts, CustomApp, Outcome, RunResult, Settings, Stage, Target
from kandji_uploader.publish import owed, releases
from kandji_uploader.publish.apply import ApplyContext, apply, look_again
from kandji_uploader.publish.claims import Claims, Item, file_item
from kandji_uploader.publish.plan import PlanInput, TargetPlan, coming, ledger, make_plan, plan_target
from kandji_uploader.publish.queue import Batch, Turn
from kandji_uploader.publish.refresh import RunContext, check_all_blueprints, refresh, with_scope
from kandji_uploader.publish.sources import OnDisk, Source
from kandji_uploader.publish.targets import RecipeFacts, custom_app_name, decide_targets, identifiers, script_problem
from kandji_uploader.report import slack
from kandji_uploader.report import text as report
from kandji_uploader.settings import Ladder, credentials
from kandji_uploader.settings import console_link as address_in_console
from kandji_uploader.settings import load as load_settings
from kandji_uploader.state import Owed, Publication, StateStore, digests_of, store_of

if TYPE_CHECKING:
    from kandji_uploader.promotion import candidates


@dataclass(frozen=True)
class Request:
    """Who asked, and for what.

    Attributes:
        path: the installer on disk.
        keys: recipe keys or flags, nested or flat; see `settings.load`.
        keys_from: what error texts call their origin: `recipe`, `command line`, ...
        caller: `autopkg`, `command line` or `python`.
        given: facts that the caller has.
        recipe: the recipe's name, for the recipe map.
        recipe_identifier: likewise.
        base: the folder that relative script paths start from.
        parents: the files of the recipes that the recipe is made of, the nearest first; see `settings.load`.
        item: what this is called where another item of the run means the same Custom App; by default the path.
        lock_patience: seconds to wait for another run that publishes the same Custom App.
    """

    path: Path
    keys: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))
    keys_from: str = "python"
    caller: str = "python"
    given: RecipeFacts = field(default_factory=RecipeFacts)
    recipe: str | None = None
    recipe_identifier: str | None = None
    base: Path | None = None
    parents: tuple[Path, ...] = ()
    item: Item | None = None
    lock_patience: float = 900.0


def _log(level: int, text: str) -> None:
    """Log a text, line by line; control characters are shown, so that nothing can pass for a line of ours."""
    for line in text.splitlines():
        logging.getLogger("kandji_uploader").log(level, "%s", report.visible(line))


def _log_info(text: str) -> None:
    _log(logging.INFO, text)


def _log_warning(text: str) -> None:
    _log(logging.WARNING, text)


@dataclass(frozen=True)
class Host:
    """What the library may ask of whoever calls it.

    Attributes:
        say: told what is being done, one line each; the logger `kandji_uploader` by default.
        warn: told what is odd; likewise.
        progress: told the bytes sent and the bytes in all.
        now: epoch seconds.
        environ: the environment variables.
        turn: when it may do what, where several installers are published at a time.
        batch: what this is part of; the tenant is read once for all of it. None in an AutoPkg run, of which nobody
            knows how many recipes it has: what was read is believed for a quarter of an hour there.
        claims: which item means which Custom App, where this is in no batch; None where nothing else is published.
        token: the API token, where the caller gives it; None to have it looked up as the settings say.
        keys_from: what error texts call the origin of a command's own settings.
    """

    say: Callable[[str], None] = _log_info
    warn: Callable[[str], None] = _log_warning
    progress: Callable[[int, int], None] | None = None
    now: Callable[[], float] = time.time
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    turn: Turn = field(default_factory=Turn)
    batch: Batch | None = None
    claims: Claims | None = None
    token: Secret | None = None
    keys_from: str = "command line"


def run(request: Request, host: Host | None = None, source: Source | None = None) -> RunResult:
    """Publish one installer; or, in a dry run, tell what would be done.

    Args:
        request: who asked, and for what.
        host: who is told.
        source: where the installer is, when it is not simply the file at `request.path`.

    Raises:
        KandjiUploaderError: nothing was changed in the tenant (bad settings, installer, token, ...).
            What went wrong with single targets is in the result: `result.failed`.
        InterruptedRunError: SIGINT or SIGTERM; the text says what was and was not done.
    """
    host = host or Host()
    source = source or OnDisk(request.path, request.given, host.warn)
    try:
        with sigterm_as_ctrl_c():
            return _run(request, source, host)
    except KeyboardInterrupt:
        raise InterruptedRunError(
            "interrupted while nothing was being changed: every Custom App is as it was or as planned. Run again"
        ) from None


def _run(request: Request, source: Source, host: Host) -> RunResult:
    settings = settle(request, source, host)
    try:
        result = _publish(request, settings, source, host)
    except KandjiUploaderError as problem:
        _tell_slack(settings, host, slack.failure(request.path.name, str(problem)))
        raise
    announce(result, settings, host)
    return result


def _publish(request: Request, settings: Settings, source: Source, host: Host) -> RunResult:
    source.kind()
    with contextlib.ExitStack() as meanwhile:
        meanwhile.enter_context(source.reading_ahead(digests_of(settings)))
        name = custom_app_name(request.given, _facts_for_a_name(request, settings, source), source.path.name)
        for note in request.given.notes:
            host.warn(note)
        targets = decide_targets(settings, name, scripts(settings), request.given)
        store = store_of(settings)
        names = tuple(target.name for target in targets)
        _claim(request, settings, host, {name: name for name in names})
        owed.tell(store, names, host.warn)
        debt = owed.Debt(store, None if settings.create_new else _meant(request, source, names, host))
        meanwhile.enter_context(debt.kept())
        tenant = open_tenant(settings, host)
        with host.turn.entering():
            changed = meanwhile.enter_context(store.lock(names, request.lock_patience, host.say))
        tenant.forget_apps(before=changed)
        context = open_context(tenant, store, settings, host, request.given)
        outcomes, sha256 = _deliver(targets, source, context, host, request, debt)
        debt.ended(outcomes, sha256)
        news = False
        if settings.promotion is not None and not settings.urgent:
            further, news = _promote_too(targets, context, host, outcomes)
            outcomes = (*outcomes, further)
    facts, urgent = source.facts_if_read(), settings.urgent or ""
    return RunResult(str(request.path), outcomes, settings.dry_run, facts, name, sha256, news, urgent)


def _claim(request: Request, settings: Settings, host: Host, apps: Mapping[str, str]) -> None:
    """Note which Custom Apps this item of a run means, by name or id, before anything is sent for it.

    Raises:
        SameAppError: another item of the run means one of them.
    """
    claims = host.batch.claims if host.batch else host.claims
    if claims is not None:
        claims.take(settings.api_url, request.item or file_item(request.path), apps)


def names(request: Request, host: Host) -> tuple[str, ...]:
    """The names of the Custom Apps that a run would be about; nothing is sent. Raises as `settle`."""
    quiet = replace(host, say=lambda _: None, warn=lambda _: None)
    source = OnDisk(request.path, request.given, quiet.warn)
    settings = settle(request, source, quiet)
    name = custom_app_name(request.given, _facts_for_a_name(request, settings, source), source.path.name)
    return tuple(target.name for target in decide_targets(settings, name, {}, request.given))


def _deliver(
    targets: tuple[Target, ...], source: Source, context: RunContext, host: Host, request: Request, debt: owed.Debt
) -> tuple[tuple[Outcome, ...], str]:
    """Publish the installer: to every target, or with promotion to the test app only."""
    wanted, urgent = targets, context.settings.urgent
    soaks = context.settings.promotion is not None
    if soaks and not urgent:
        wanted = tuple(target for target in targets if target.stage is Stage.TEST)
    plan_input = refresh(wanted, source, context)
    plans = make_plan(wanted, plan_input)
    if any(len(plan.candidates) > 1 for plan in plans) and not context.settings.dry_run:
        look_again(plans, plan_input.installer, context.tenant, context.store, _settle_time(context.settings), host.say)
        plan_input = refresh(wanted, source, context)
        plans = make_plan(wanted, plan_input)
    check_all_blueprints(targets, context)
    if soaks:
        from kandji_uploader.promotion import candidates

        if urgent:
            host.warn(f"urgent: {urgent}; test and prod app get it without a soak. Take `urgent` out again afterwards")
            plan_input = candidates.urgently(plan_input, plans, (targets[0], targets[-1]), context)
        else:
            plan_input = candidates.entering(plan_input, plans, targets[-1], context)
        plans = make_plan(wanted, plan_input)
    _claim(request, context.settings, host, {plan.app.id: plan.app.name for plan in plans if plan.app})
    if urgent:
        plans = tuple(replace(plan, reason=f"urgent: {urgent}; {plan.reason}") for plan in plans)
    by = request.recipe or request.path.name
    job = Job(
        source.path,
        f"{by}, urgent: {urgent}" if urgent else by,
        facts=source.facts_if_read(),
        begun=source.begun,
        check_unchanged=source.check_unchanged,
        debt=debt,
    )
    return carry_out(plans, plan_input, context, host, job)


def _meant(request: Request, source: Source, names: tuple[str, ...], host: Host) -> Owed | None:
    """What this run means to publish, with all that is needed to ask for it once more.

    None where that could not be done: the installer is in Kandji, and not on this machine. Nor is it where an app is
    created whatever there is (`create_new`): what was killed after it was made would be made a second time.
    """
    try:
        status = source.path.stat()
    except OSError:
        return None
    again = {
        "keys": dict(request.keys),
        "keys_from": request.keys_from,
        "caller": request.caller,
        "given": asdict(request.given),
        "recipe_identifier": request.recipe_identifier,
        "base": str(request.base or Path.cwd()),
        "parents": [str(path) for path in request.parents],
    }
    version, recipe = request.given.version or "", request.recipe or ""
    path = str(source.path.absolute())
    size, mtime_ns = status.st_size, status.st_mtime_ns
    return Owed(names, path, size, mtime_ns, host.now(), version=version, recipe=recipe, request=again)


def _promote_too(
    targets: tuple[Target, ...], context: RunContext, host: Host, done: Sequence[Outcome]
) -> tuple[Outcome, bool]:
    """Promote after publishing; what goes wrong then must not hide what was published."""
    try:
        outcome, step = promote(targets, context, host)
    except InterruptedRunError as stopped:
        published = [f"{outcome.name}: {outcome.action.value}" for outcome in done if outcome.action.writes]
        before = f"Before the promotion: {'; '.join(published)}. The promotion was " if published else ""
        raise InterruptedRunError(f"{before}{stopped}") from None
    except KandjiUploaderError as problem:
        if not any(outcome.action.writes for outcome in done):
            raise
        return Outcome(Stage.PROD, targets[-1].name, Action.FAILED, error=str(problem)), False
    return outcome, step.news


def promote(
    targets: tuple[Target, ...], context: RunContext, host: Host, *, at_once: bool = False, force: bool = False
) -> tuple[Outcome, candidates.Step]:
    """Move the prod app to the newest release that has soaked in the test app and is healthy, if there is one.

    Args:
        targets: the test app and the prod app.
        context: where; its settings hold the rules.
        host: who is told.
        at_once: do not wait for `after_days`.
        force: also over a file that somebody else has put into the prod app.

    Returns:
        What became of the prod app, and how that was decided.
    """
    from kandji_uploader.promotion import candidates

    test, prod = targets
    step = candidates.step(prod, test, context, at_once=at_once, force=force)
    if len(step.plan.candidates) > 1 and not context.settings.dry_run:
        installer = step.plan_input.installer
        look_again((step.plan,), installer, context.tenant, context.store, _settle_time(context.settings), host.say)
        step = candidates.step(prod, test, context, at_once=at_once, force=force)
    found = with_scope(step.plan, step.plan_input, context)
    gone = f"the file of version {step.decision.release} is no longer in Kandji; publish it to the test app again"
    urgent = f", urgent: {context.settings.urgent}" if context.settings.urgent else ""
    job = Job(Path(step.plan_input.installer.name), f"promoted from {test.name}{urgent}", gone)
    (outcome,), _ = carry_out((found,), step.plan_input, context, host, job)
    if outcome.action.writes and step.plan.action.writes and step.decision.release is not None:
        outcome = replace(outcome, action=Action.PROMOTE)
    if not context.settings.dry_run:
        candidates.remember(prod, step, context)
    return outcome, step


@dataclass(frozen=True)
class Job:
    """What is to be said of a plan that is carried out.

    Attributes:
        path: the installer.
        by: who publishes, for the history.
        gone: for an installer that is in Kandji only: what to say if it is not there any more; "" for one on disk.
        facts: what was read of it, if anything had to ask.
        begun: what is known of its digest when its upload begins.
        check_unchanged: raises InstallerError if it is no longer the file that all this is about.
        debt: where what is meant is written down before anything is sent; None for what no recipe asks for.
    """

    path: Path
    by: str
    gone: str = ""
    facts: AppFacts | None = None
    begun: Callable[[], PartialDigest | None] = lambda: None
    check_unchanged: Callable[[], None] = lambda: None
    debt: owed.Debt | None = None


def carry_out(
    plans: Sequence[TargetPlan], plan_input: PlanInput, context: RunContext, host: Host, job: Job
) -> tuple[tuple[Outcome, ...], str]:
    """Make it so, and remember it; in a dry run, tell it. Returns the outcomes and the installer's sha256.

    Raises:
        AuditScriptError: an audit script would reinstall for ever; nothing has been changed.
        InterruptedRunError: as `apply`.
    """
    _check_scripts(plans, host, job.facts)
    sha256 = plan_input.installer.sha256 or ""
    if context.settings.dry_run:
        for plan in plans:
            host.say(plan.told)
        outcomes = tuple(_outcome(plan_input, plan, plan.app) for plan in plans)
    else:
        with host.turn.changing():
            if job.debt is not None and any(plan.action.writes for plan in plans):
                job.debt.before_sending(sha256, plan_input.identity.version)
            outcomes, sha256 = _applied(plans, plan_input, context, host, job)
        _remember(plans, outcomes, sha256, plan_input, context, job)
        _tell_of_lost_memory(plans, outcomes, context, host)
    for warning in (warning for outcome in outcomes for warning in outcome.warnings):
        host.warn(warning)
    return outcomes, sha256


def _applied(
    plans: Sequence[TargetPlan], plan_input: PlanInput, context: RunContext, host: Host, job: Job
) -> tuple[tuple[Outcome, ...], str]:
    """As `apply`; an app that is not enforced is published without its memory where Kandji refuses that.

    The API's documentation does not say whether such an app may have an audit script.
    """
    outcomes, sha256 = apply(plans, _tools(plan_input, context, host, job))
    again = tuple(plan for plan, item in zip(plans, outcomes, strict=True) if _refused_memory(plan, item))
    if not again:
        return outcomes, sha256
    bare = tuple(replace(plan, fields=_without_memory(plan.fields)) for plan in again)
    keys = [entry.file_key for entry in context.store.uploads(time.time()) if entry.sha256 == sha256]
    known = replace(
        plan_input.installer, sha256=sha256 or None, file_key=plan_input.installer.file_key or next(iter(keys), None)
    )
    further, sha256 = apply(bare, _tools(replace(plan_input, installer=known), context, host, job))
    instead = {plan.target: item for plan, item in zip(again, further, strict=True)}
    return tuple(instead.get(plan.target, item) for plan, item in zip(plans, outcomes, strict=True)), sha256


def _refused_memory(plan: TargetPlan, item: Outcome) -> bool:
    sent = audit.read(str(plan.fields.get("audit_script", "")))
    return sent.is_memory and item.action is Action.FAILED and "audit_script" in item.error


def _without_memory(fields: Mapping[str, str | bool]) -> Mapping[str, str | bool]:
    return MappingProxyType({name: value for name, value in fields.items() if name != "audit_script"})


def _tell_of_lost_memory(
    plans: Sequence[TargetPlan], outcomes: Sequence[Outcome], context: RunContext, host: Host
) -> None:
    """Warn of an app that is not enforced, where Kandji did not keep what its audit script was to remember."""
    for plan, item in zip(plans, outcomes, strict=True):
        sent = audit.read(str(plan.fields.get("audit_script", "")))
        live = context.tenant.written(item.app_id) if sent.is_memory and item.action.writes else None
        if live is not None and audit.read(live.audit_script).notes != sent.notes:
            host.warn(
                f"{item.name}: Kandji did not keep what the app had before; only the state folder here knows it. "
                "Let all machines that publish it share one (KANDJI_UPLOADER_STATE_DIR)"
            )


def settle(request: Request, source: Source, host: Host) -> Settings:
    """The settings of a run; the installer is read only if a package map is to be asked about it.

    Raises:
        SettingsError: all problems of all sources together.
    """
    ladder = _ladder(request, host)
    settings = ladder.settle(identifiers(request.given, source.facts()) if ladder.use_package_map else ())
    for warning in settings.warnings:
        host.warn(warning)
    if settings.promotion is not None and settings.create_new:
        text = "makes another app with each run, and promotion moves versions between two; drop one of them"
        raise SettingsError([Problem(request.keys_from, "create_new", "true", text)])
    return settings


def settle_early(request: Request, host: Host) -> Settings:
    """The settings before there is an installer, so without the package map. Raises as `settle`."""
    return _ladder(request, host).settle()


def open_tenant(settings: Settings, host: Host) -> TenantView:
    """The tenant of these settings, shared by all runs of the process.

    Raises:
        CredentialError: there is no token.
    """
    token = host.token or credentials.api_token(settings, host.environ)
    policy = Policy(
        connect_timeout=settings.connect_timeout,
        idle_timeout=settings.idle_timeout,
        tries=settings.tries,
        first_wait=settings.first_wait,
        processing_budget=settings.processing_timeout,
    )
    tenant = view(settings.api_url, token, policy)
    tell_to(host.say)
    tenant.begin_run(host.batch.began if host.batch else None)
    return tenant


def open_context(
    tenant: TenantView, store: StateStore, settings: Settings, host: Host, given: RecipeFacts
) -> RunContext:
    """Where a run takes place, by the service's time: what one machine notes is read by others.

    A machine whose clock is wrong is told.

    Raises:
        KandjiUploaderError: the tenant could not be read.
    """
    now, ahead = host.now(), None
    told = tenant.now()
    if told is not None:
        ahead = now - told
        if abs(ahead) <= _CLOCK_GRAIN:
            ahead = 0.0
        now -= ahead
        _tell_of_clock(ahead, host)
    return RunContext(tenant, store, settings, now, given, host.warn, ahead)


def _tell_of_clock(ahead: float, host: Host) -> None:
    if ahead:
        from kandji_uploader.promotion.rules import clock_problem

        if said := clock_problem(ahead):
            host.warn(f"{said}; Kandji's time is used. Set the clock (macOS: `sudo sntp -sS time.apple.com`)")


_CLOCK_GRAIN = 5.0
"""Seconds that a `Date` header, in whole seconds and some time on its way, does not tell."""


def _ladder(request: Request, host: Host) -> Ladder:
    return load_settings(
        request.keys,
        given_origin=request.keys_from,
        caller=request.caller,
        recipe=request.recipe,
        recipe_identifier=request.recipe_identifier,
        environ=host.environ,
        base=request.base,
        parents=request.parents,
    )


def _facts_for_a_name(request: Request, settings: Settings, source: Source) -> AppFacts | None:
    """The facts, read if only the installer can say what the software is called."""
    named = settings.prod.name or settings.test.name or request.given.name or request.given.app_name
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


def _tools(plan_input: PlanInput, context: RunContext, host: Host, job: Job) -> ApplyContext:
    def replan(plan: TargetPlan, live: CustomApp, sha256: str) -> TargetPlan:
        installer = replace(plan_input.installer, sha256=sha256 or plan_input.installer.sha256)
        expected = (plan.app.file_key if plan.app else live.file_key, installer.file_key)
        if job.gone and live.file_key not in expected:
            # What was decided, was decided about another file.
            text = "somebody else has just put another file there; run again"
            return replace(plan, action=Action.REFUSED, reason=text, app=live)
        apps = (*(app for app in plan_input.tenant.apps if app.id != live.id), live)
        tenant = replace(plan_input.tenant, apps=apps)
        return plan_target(plan.target, replace(plan_input, installer=installer, tenant=tenant))

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
        settle_time=_settle_time(plan_input.settings),
    )


def console_link(api_url: str, app: CustomApp) -> str:
    """The address of a Custom App in the tenant's console, wherever that is by now."""
    return address_in_console(api_url, app.id, moved=console.has_moved(api_url))


def _settle_time(settings: Settings) -> float:
    """Seconds to settle; none by default for a tenant on this machine, whose lists do not lag behind."""
    by_default = settings.origins.get("network.settle_time", "default") == "default"
    return 0.0 if by_default and is_loopback(urlsplit(settings.api_url).hostname) else settings.settle_time


def _outcome(plan_input: PlanInput, plan: TargetPlan, app: CustomApp | None, error: str = "") -> Outcome:
    def link(of: CustomApp) -> str:
        return console_link(plan_input.settings.api_url, of)

    if plan.candidates:
        listing = "; ".join(
            f"{each.name} ({each.file_name}, created {each.created_at}, changed {each.updated_at}, {link(each)})"
            for each in plan.candidates
        )
        error = f"{plan.reason}: {listing}"
    elif plan.action is Action.REFUSED:
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
    )


def _remember(
    plans: Sequence[TargetPlan],
    outcomes: Sequence[Outcome],
    sha256: str,
    plan_input: PlanInput,
    context: RunContext,
    job: Job,
) -> None:
    """Add what was published to the history of each app, and note which release it has now."""
    for plan, item in zip(plans, outcomes, strict=True):
        written = context.tenant.written(item.app_id)
        key = written.file_key if written else plan.app.file_key if plan.app else ""
        notes = plan_input.notes.get(item.stage)
        if item.action.writes and "file_key" in item.changes:
            _add_to_history(plan, _entry(item, item.version, sha256, key, context.now, job.by), plan_input, context)
            notes = notes or releases.to_notes(releases.Ledger(coming(plan_input, sha256, context.now)))
        if notes and item.app_id and not item.action.bad:
            context.store.remember(item.app_id, releases.with_key(notes, key))


def _add_to_history(plan: TargetPlan, entry: Publication, plan_input: PlanInput, context: RunContext) -> None:
    """Add a publication, and before it what was there if nobody noted that."""
    from kandji_uploader.promotion import candidates

    before = plan.app
    history = context.store.history(before.id) if before else ()
    if before is not None and all(known.file_key != before.file_key for known in history):
        live = candidates.live_release(before, ledger(before, plan_input.remembered), context.now)
        former = replace(entry, version=live.version, sha256=live.sha256, file_key=before.file_key, at=live.at)
        context.store.note_published(replace(former, recipe=""))
    context.store.note_published(entry)


def _entry(item: Outcome, version: str, sha256: str, key: str, at: float, by: str) -> Publication:
    return Publication(item.app_id, item.name, version, sha256, key, at, by)


def announce(result: RunResult, settings: Settings, host: Host) -> None:
    """Tell Slack of a run that changed something, failed, or holds a version back for a new reason."""
    if not result.dry_run and (result.changed or result.failed or result.news):
        _tell_slack(settings, host, slack.message(result))


def _tell_slack(settings: Settings, host: Host, message: Mapping[str, object]) -> None:
    """Post to Slack, if it is on; what goes wrong there never fails the run."""
    if not settings.slack_enabled or settings.dry_run:
        return
    try:
        webhook = credentials.slack_webhook(settings, host.environ)
        if webhook is not None:
            slack.post(webhook.reveal(), message)
    except KandjiUploaderError as problem:
        host.warn(f"Slack was not told: {problem}")
