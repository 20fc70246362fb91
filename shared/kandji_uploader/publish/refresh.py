"""All that a plan is made from: what the tenant holds, and what the installer is.

Each target is matched here, once. Nothing is read that the plan does not need: the installer only for an audit script
or the package map, its sha256 only if its size does not prove a change already, categories and Blueprints only if one
is named.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from kandji_uploader.audit import script as audit
from kandji_uploader.errors import MissingPermissionError, ToolMissingError
from kandji_uploader.kandji.tenant import TenantView
from kandji_uploader.models import CustomApp, Outcome, Stage, Target
from kandji_uploader.publish import plan, signers, targets
from kandji_uploader.publish.context import RunContext
from kandji_uploader.publish.matching import Match
from kandji_uploader.publish.plan import EnforcedIdentity, Installer, PlanInput, TenantData
from kandji_uploader.publish.sources import Source
from kandji_uploader.state import StateStore, digests_of

_NONE: Mapping[Stage, Match] = MappingProxyType({})


def refresh(
    wanted: Sequence[Target], source: Source, context: RunContext, matches: Mapping[Stage, Match] = _NONE
) -> PlanInput:
    """All that the plan of these targets is made from. Deciding asks neither the tenant nor the disk.

    Args:
        wanted: the targets.
        source: the installer.
        context: where the run takes place.
        matches: by stage, the Custom App of a target that was matched before in this run.

    Raises:
        InstallerError: the installer must be read and cannot be.
        AuditScriptError: an audit script is needed and it is not clear for which app, or its template is bad.
        TargetError: a Blueprint does not exist.
        NetworkError, ApiError: the tenant could not be read.
    """
    installer = Installer(source.path.name, source.kind(), source.size, source.promised)
    plan_input = look_up(wanted, installer, context, matches)
    plan_input = _with_content(wanted, plan_input, source, context, surely=True)
    plan_input = _with_signer(wanted, plan_input, source, context, surely=True)
    if plan.needs_audit(wanted, plan_input) or plan.needs_version(wanted, plan_input):
        plan_input = _with_identity(plan_input, source, context)
    plan_input = _with_digest(wanted, _with_details(wanted, plan_input, context), source, context)
    if context.settings.create_new and plan_input.installer.unfinished:
        plan_input = plan.matched(wanted, plan_input)  # Now it is known which upload an interrupted run has left.
    plan_input = _with_content(wanted, plan_input, source, context, surely=False)
    plan_input = _with_signer(wanted, plan_input, source, context, surely=False)
    return _with_noted_content(wanted, plan_input)


def look_up(
    wanted: Sequence[Target], installer: Installer, context: RunContext, matches: Mapping[Stage, Match] = _NONE
) -> PlanInput:
    """A plan input with what the tenant holds of these targets; the installer is not read. Raises as `refresh`."""
    settings, tenant = context.settings, TenantData(context.tenant.apps())
    if plan.needs_categories(wanted, tenant, settings):
        tenant = replace(tenant, categories=context.tenant.categories())
    plan_input = PlanInput(
        installer=installer,
        identity=EnforcedIdentity(version=context.given.version),
        tenant=tenant,
        settings=settings,
        template="",
        now=int(context.now),
        remembered=context.store.remembered(),
        matches=matches,
        expected_teams=context.given.expected_teams,
    )
    plan_input = plan.matched([target for target in wanted if target.stage not in matches], plan_input)
    return _with_blueprints(wanted, plan_input, context) if any(target.blueprints for target in wanted) else plan_input


def _with_blueprints(wanted: Sequence[Target], plan_input: PlanInput, context: RunContext) -> PlanInput:
    """The plan input with the Blueprints of these targets, and with what is on those of apps that exist."""
    blueprints = context.tenant.blueprints()
    for target in wanted:
        plan.check_blueprints(target, blueprints)
    items: dict[str, frozenset[str]] = {}
    there = [target for target in wanted if plan_input.matches[target.stage].app]
    try:
        for named in (named for target in there for named in target.blueprints):
            blueprint, _ = plan.resolve_blueprint(named, blueprints)
            items[blueprint.id] = context.tenant.blueprint_items(blueprint.id)
    except MissingPermissionError as problem:  # which tokens of before have not been given
        context.warn(f"whether apps are on their Blueprints was not compared: {problem}")
    return replace(plan_input, tenant=replace(plan_input.tenant, blueprints=blueprints, items=items))


def renewed(matches: Mapping[Stage, Match], outcomes: Sequence[Outcome], tenant: TenantView) -> Mapping[Stage, Match]:
    """The matches after publishing. An app is found again by its id, whatever its name is now."""
    ids = {stage: match.app.id for stage, match in matches.items() if match.app}
    ids |= {outcome.stage: outcome.app_id for outcome in outcomes}
    apps = {app.id: app for app in tenant.apps()}
    return {stage: replace(match, app=apps.get(ids.get(stage, ""))) for stage, match in matches.items()}


def _with_content(
    wanted: Sequence[Target], plan_input: PlanInput, source: Source, context: RunContext, *, surely: bool
) -> PlanInput:
    """Add what the installer brings to a Mac, where an app may get another one; one that is unchanged is not read."""
    soaks = context.settings.promotion is not None and not context.settings.urgent
    getting = wanted[:1] if soaks else wanted  # the prod app gets what the test app has, see `promotion`
    asked = context.settings.identity == "content" and not plan_input.installer.content
    if not asked or not plan.needs_signer(getting, plan_input, surely=surely):
        return plan_input
    found = source.content(digests_of(context.settings))
    if found.why and found.why not in _TOLD:
        _TOLD.add(found.why)
        context.warn(f"{source.path.name}: whether it was only packaged again cannot be told: {found.why}")
    return replace(plan_input, installer=replace(plan_input.installer, content=found.digest))


def _with_noted_content(wanted: Sequence[Target], plan_input: PlanInput) -> PlanInput:
    """Add what the installer brings to a Mac, as an app that has the same bytes remembers it."""
    installer = plan_input.installer
    if installer.content or not installer.sha256:
        return plan_input
    apps = [app for target in wanted if (app := plan_input.matches[target.stage].app) is not None]
    noted = [plan.ledger(app, plan_input.remembered).current for app in apps]
    known = (live.content for live in noted if live is not None and live.sha256 == installer.sha256 and live.content)
    return replace(plan_input, installer=replace(installer, content=next(known, "")))


def _with_signer(
    wanted: Sequence[Target], plan_input: PlanInput, source: Source, context: RunContext, *, surely: bool
) -> PlanInput:
    """Add who signed the installer, where an app gets another one; one that is unchanged is not read for it.

    Raises:
        ToolMissingError: a setting asks for it, and what looks at it is not on this machine.
    """
    if plan_input.looked is not None or not plan.needs_signer(wanted, plan_input, surely=surely):
        return plan_input
    try:
        looked = source.looked(digests_of(context.settings))
    except ToolMissingError as problem:
        if signers.asks(context.settings):
            raise
        if problem.reason not in _TOLD:
            _TOLD.add(problem.reason)
            context.warn(f"who signed what is published is not looked at: {problem.reason}")
        looked = signers.Looked()
    return replace(plan_input, looked=looked)


_TOLD: set[str] = set()
"""What is missing on this machine, and was told in this process."""


def _with_identity(plan_input: PlanInput, source: Source, context: RunContext) -> PlanInput:
    identity, notes = targets.identify(context.given, source.facts())
    for note in notes:
        context.warn(note)
    return replace(plan_input, identity=identity, template=audit.load_template(context.settings.audit_template))


def _with_details(wanted: Sequence[Target], plan_input: PlanInput, context: RunContext) -> PlanInput:
    """Fill in the sha256 of the apps that are meant where the list leaves it out."""
    for target in wanted:
        match = plan_input.matches[target.stage]
        soaks = context.settings.promotion is not None
        surely_another = match.app is not None and match.app.file_size not in (None, plan_input.installer.size)
        if match.app is None or (surely_another and not soaks and not plan_input.installer.content):
            continue
        known = replace(match, app=with_digest(match.app, context))
        plan_input = replace(plan_input, matches={**plan_input.matches, target.stage: known})
    return plan_input


def with_digest(app: CustomApp, context: RunContext) -> CustomApp:
    """An app with the sha256 of its installer, asked for if the list lacks it; None if the service does not tell."""
    if app.sha256 is not None:
        return app
    known = context.tenant.client.get_custom_app(app.id)
    if known.sha256 is None:
        known = replace(known, sha256=_published_digest(known, context.store))
    context.tenant.put(known)
    return known


def _published_digest(app: CustomApp, store: StateStore) -> str | None:
    """The sha256 that this machine has published there, if the app still has that upload."""
    for entry in store.history(app.id):
        if entry.file_key == app.file_key:
            return entry.sha256
    return None


def _with_digest(wanted: Sequence[Target], plan_input: PlanInput, source: Source, context: RunContext) -> PlanInput:
    """Add the sha256, and the key of an upload of the same bytes that is in the store already."""
    if source.file_key:  # the installer is in Kandji, and not on this machine
        digest = source.digest(digests_of(context.settings)) or None
        return replace(plan_input, installer=replace(plan_input.installer, sha256=digest, file_key=source.file_key))
    local = context.now + (context.clock_ahead or 0.0)  # the journal is this machine's, and so are its times
    pending = {entry.sha256: entry.file_key for entry in context.store.uploads(local) if entry.size == source.size}
    noted = context.settings.promotion is not None or bool(plan_input.installer.content)  # the digest is noted with it
    if not pending and not noted and not plan.needs_digest(wanted, plan_input):
        return plan_input
    digest = source.digest(digests_of(context.settings))
    found = replace(plan_input.installer, sha256=digest)
    if digest in pending:
        found = replace(found, file_key=pending[digest], unfinished=True)
    else:
        meant = [app for target in wanted if (app := plan_input.matches[target.stage].app) is not None]
        same = [app.file_key for app in meant if app.sha256 == digest]
        found = replace(found, file_key=same[0] if same else None)
    return replace(plan_input, installer=found)
