"""What a plan is made from, gathered no further than the plan needs it.

The installer is read only for an audit script or the package map, hashed only where its size does not already prove
a change, and categories and Blueprints are fetched only when one is named.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from kandji_uploader.audit import script as audit
from kandji_uploader.errors import MissingPermissionError
from kandji_uploader.models import Action, CustomApp, Target
from kandji_uploader.publish import plan, targets
from kandji_uploader.publish.context import RunContext
from kandji_uploader.publish.plan import EnforcedIdentity, Installer, PlanInput, TargetPlan, TenantData
from kandji_uploader.publish.sources import Source
from kandji_uploader.state import StateStore, digests_of


def refresh(wanted: Sequence[Target], source: Source, context: RunContext) -> PlanInput:
    """All that the plan of these targets is made from.

    Raises:
        InstallerError: the installer must be read and cannot be.
        AuditScriptError: an audit script is needed and it is not clear for which app, or its template is bad.
        NetworkError, ApiError: the tenant could not be read.
    """
    settings, tenant = context.settings, context.tenant
    plan_input = PlanInput(
        installer=Installer(source.path.name, source.kind(), source.size, source.promised),
        identity=EnforcedIdentity(version=context.given.version),
        tenant=TenantData(tenant.apps()),
        settings=settings,
        template="",
        now=int(context.now),
        remembered=context.store.remembered(),
    )
    if plan.needs_categories(wanted, plan_input.tenant, settings):
        plan_input = _with_tenant(plan_input, categories=tenant.categories())
    if any(target.blueprints for target in wanted):
        plan_input = with_blueprints(wanted, plan_input, context)
    if plan.needs_audit(wanted, plan_input) or plan.needs_version(wanted, plan_input):
        plan_input = _with_identity(plan_input, source, context)
    plan_input = _with_details(wanted, plan_input, context)
    return _with_digest(wanted, plan_input, source, context)


def with_blueprints(wanted: Sequence[Target], plan_input: PlanInput, context: RunContext) -> PlanInput:
    """The plan input with the Blueprints of these targets, and with what is on those of apps that exist."""
    plan_input = _with_tenant(plan_input, blueprints=context.tenant.blueprints())
    items: dict[str, frozenset[str]] = {}
    try:
        for target in wanted:
            if plan.find(target, plan_input).app is None:
                continue
            for named in target.blueprints:
                blueprint, _ = plan.resolve_blueprint(named, plan_input.tenant.blueprints)
                items[blueprint.id] = context.tenant.blueprint_items(blueprint.id)
    except MissingPermissionError as problem:  # which tokens of before have not been given
        context.warn(f"whether apps are on their Blueprints was not compared: {problem}")
    return _with_tenant(plan_input, items=items)


def check_all_blueprints(targets: Sequence[Target], context: RunContext) -> None:
    """Raise TargetError unless every Blueprint of every target exists; of those that are published later, too."""
    for target in targets:
        if target.blueprints:
            plan.check_blueprints(target, context.tenant.blueprints())


def with_scope(found: TargetPlan, plan_input: PlanInput, context: RunContext) -> TargetPlan:
    """The plan of an app that is left as it is, with the Blueprints that it lacks all the same."""
    app, target = found.app, found.target
    if app is None or found.action.writes or found.action.bad or not target.blueprints:
        return found
    assign = plan.missing_blueprints(target, app, with_blueprints((target,), plan_input, context).tenant)
    if assign and found.action is Action.UNCHANGED:
        found = replace(found, action=Action.UPDATE, reason="only blueprints differ")
    return replace(found, assign=assign)


def _with_tenant(plan_input: PlanInput, **parts: object) -> PlanInput:
    return replace(plan_input, tenant=replace(plan_input.tenant, **parts))  # type: ignore[arg-type]


def _with_identity(plan_input: PlanInput, source: Source, context: RunContext) -> PlanInput:
    identity, notes = targets.identify(context.given, source.facts())
    for note in notes:
        context.warn(note)
    return replace(plan_input, identity=identity, template=audit.load_template(context.settings.audit_template))


def _with_details(wanted: Sequence[Target], plan_input: PlanInput, context: RunContext) -> PlanInput:
    """Fill in the sha256 of the apps that are meant where the list leaves it out."""
    for target in wanted:
        app = plan.find(target, plan_input).app
        soaks = context.settings.promotion is not None
        if app is None or (app.file_size not in (None, plan_input.installer.size) and not soaks):
            continue
        if app.sha256 is None:
            with_digest(app, context)
            plan_input = _with_tenant(plan_input, apps=context.tenant.apps())
    return plan_input


def with_digest(app: CustomApp, context: RunContext) -> CustomApp:
    """An app with the sha256 of its installer, asked for where the list leaves it out; None where nobody tells."""
    if app.sha256 is not None:
        return app
    known = context.tenant.client.get_custom_app(app.id)
    if known.sha256 is None:
        known = replace(known, sha256=_published_digest(known, context.store))
    context.tenant.put(known)
    return known


def _published_digest(app: CustomApp, store: StateStore) -> str | None:
    """What we ourselves have put there, if the app still names that upload."""
    for entry in store.history(app.id):
        if entry.file_key == app.file_key:
            return entry.sha256
    return None


def _with_digest(wanted: Sequence[Target], plan_input: PlanInput, source: Source, context: RunContext) -> PlanInput:
    """Add the sha256, and the key of an upload of the same bytes that is in the store already."""
    known_key: str | None = getattr(source, "file_key", None)
    if known_key:  # the installer is in Kandji, and not on this machine
        digest = source.digest(digests_of(context.settings))
        return replace(plan_input, installer=replace(plan_input.installer, sha256=digest, file_key=known_key))
    local = context.now + (context.clock_ahead or 0.0)  # the journal is this machine's, and so are its times
    pending = {entry.sha256: entry.file_key for entry in context.store.uploads(local) if entry.size == source.size}
    if not pending and context.settings.promotion is None and not plan.needs_digest(wanted, plan_input):
        return plan_input
    digest = source.digest(digests_of(context.settings))
    found = replace(plan_input.installer, sha256=digest)
    if digest in pending:
        found = replace(found, file_key=pending[digest], unfinished=True)
    else:
        meant = [app for target in wanted if (app := plan.find(target, plan_input).app) is not None]
        same = [app.file_key for app in meant if app.sha256 == digest]
        found = replace(found, file_key=same[0] if same else None)
    return replace(plan_input, installer=found)
