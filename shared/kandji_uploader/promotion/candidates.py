"""What the test app is to remember of its releases when it gets another one.

The Macs are asked about the release that is about to be replaced, since its health cannot be told afterwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from kandji_uploader.audit import script as audit
from kandji_uploader.errors import ApiError, NetworkError
from kandji_uploader.models import Action, CustomApp, InstallType, Stage, Target
from kandji_uploader.promotion import rules as promotion
from kandji_uploader.promotion.rules import Standing
from kandji_uploader.publish import matching, plan, releases
from kandji_uploader.publish.context import RunContext
from kandji_uploader.publish.history import live_release, noted
from kandji_uploader.publish.plan import EnforcedIdentity, Installer, PlanInput, TargetPlan, TenantData
from kandji_uploader.publish.releases import Ledger, Release
from kandji_uploader.status import summary as fleet


def asked(release: Release, app: CustomApp, context: RunContext) -> Release:
    """The release with what its Macs say now; without, where no rule asks or the status cannot be read."""
    rules = context.settings.promotion
    if rules is None or not rules.asks_macs:
        return release
    updated = fleet.moment(app.file_updated or "")
    since = max(release.at, updated.timestamp()) if updated else release.at
    try:
        statuses = context.tenant.client.library_item_statuses(app.id)
        return replace(release, health=promotion.weigh(statuses, release.version, since, context.now))
    except (ApiError, NetworkError) as problem:
        context.warn(f"{app.name}: the status of the Macs could not be read: {problem}")
        return release


def meant(target: Target, context: RunContext, file_name: str = "") -> matching.Match:
    """The Custom App that a target means; `file_name` is that of the installer which would go there."""
    plan_input = replace(
        bare_input(context), installer=Installer(matching.stored_name(file_name), InstallType.PACKAGE, 0)
    )
    if plan.needs_categories((target,), plan_input.tenant, plan_input.settings):
        plan_input = replace(plan_input, tenant=replace(plan_input.tenant, categories=context.tenant.categories()))
    return plan.find(target, plan_input)


def bare_input(context: RunContext) -> PlanInput:
    """A plan input without an installer, to find apps with."""
    return PlanInput(
        installer=Installer("", InstallType.PACKAGE, 0),
        identity=EnforcedIdentity(),
        tenant=TenantData(context.tenant.apps()),
        settings=replace(context.settings, create_new=False),
        template="",
        now=int(context.now),
        remembered=context.store.remembered(),
    )


def with_notes(
    plan_input: PlanInput, plans: Sequence[TargetPlan], targets: Sequence[Target], context: RunContext
) -> PlanInput:
    """The plan input with what the apps are to remember of the release that they get.

    Args:
        plan_input: what the plans were made from.
        plans: of the test app; where the release is urgent, of the prod app, too.
        targets: the test app and the prod app.
        context: where the run takes place.
    """
    test, prod = targets[0], targets[-1]
    if not context.settings.urgent:
        return entering(plan_input, plans, prod, context)
    text = f"urgent: {context.settings.urgent}; test and prod app get it without a soak"
    context.warn(f"{text}. Take `urgent` out again afterwards")
    return urgently(plan_input, plans, (test, prod), context)


def entering(plan_input: PlanInput, plans: Sequence[TargetPlan], prod: Target, context: RunContext) -> PlanInput:
    """The plan input with what is to be remembered of the test app, if it gets another release.

    That may be the same installer with another script. The Macs are asked about the release that is about to be
    replaced, since its health cannot be told afterwards.
    """
    each = next((each for each in plans if each.target.stage is Stage.TEST and each.action in _GOING_ON), None)
    if each is None:
        return plan_input
    coming = _coming(plan_input, each.target, prod, context)
    found = _replaced_by(coming, each, plan_input, context)
    if found is None:
        return plan_input
    ledger, live = found
    if each.app is not None and live is not None:
        live = asked(live, each.app, context)
    in_prod = meant(prod, context, plan_input.installer.name).app
    above = standing_of(in_prod, plan_input, Ledger(), context).version if in_prod else ""
    after = releases.replaced(ledger, live, coming, keep=releases.KEPT_CANDIDATES, above=above)
    return replace(plan_input, notes={Stage.TEST: releases.to_notes(after)})


def urgently(
    plan_input: PlanInput, plans: Sequence[TargetPlan], targets: tuple[Target, Target], context: RunContext
) -> PlanInput:
    """The plan input with the notes of both apps, test and prod, where a release goes to both at once."""
    test, prod = targets
    plan_input = entering(plan_input, plans, prod, context)
    coming = _coming(plan_input, test, prod, context)
    found = _replaced_by(coming, next(each for each in plans if each.target.stage is Stage.PROD), plan_input, context)
    if found is None:
        return plan_input
    after = releases.replaced(*found, coming, keep=releases.KEPT_FORMER)
    return replace(plan_input, notes={**plan_input.notes, Stage.PROD: releases.to_notes(after)})


def _replaced_by(
    coming: Release, each: TargetPlan, plan_input: PlanInput, context: RunContext
) -> tuple[Ledger, Release | None] | None:
    """What is known of the app of a plan and of the release that it has; None where that is the coming one already."""
    if each.app is None:
        return Ledger(), None
    ledger = plan.ledger(each.app, plan_input.remembered)
    live = live_release(each.app, ledger, context.now)
    if not each.needs_file and not _another(coming, live, each):
        return None
    return ledger, live


def _coming(plan_input: PlanInput, test: Target, prod: Target, context: RunContext) -> Release:
    coming = plan.coming(plan_input, plan_input.installer.sha256 or "", context.now)
    mine, theirs = plan.contents(test, plan_input), plan.contents(prod, plan_input)
    digest, urgent = releases.digest_of(coming.sha256, mine, theirs), plan_input.settings.urgent or ""
    return replace(coming, digest=digest, given=theirs.given, urgent=urgent)


def _another(coming: Release, live: Release, found: TargetPlan) -> bool:
    """Whether the same installer is to come with other contents than the test app has.

    What older versions noted has no digest; then what is about to be written decides.
    """
    if live.digest:
        return bool(coming.digest) and coming.digest != live.digest
    return not _OF_A_RELEASE.isdisjoint(found.fields)


_GOING_ON = (Action.CREATE, Action.UPDATE, Action.UNCHANGED)


_OF_A_RELEASE = {"preinstall_script", "postinstall_script", "restart", "unzip_location"}


def _all(ledger: Ledger) -> tuple[Release, ...]:
    return (*ledger.former, *filter(None, [ledger.current]))


def standing_of(app: CustomApp | None, plan_input: PlanInput, soaking: Ledger, context: RunContext) -> Standing:
    """Where the prod app stands.

    The file decides what a version is. Only of one that nobody noted, the highest counts that its name and the audit
    script say, so as never to go backwards.
    """
    pin, withdrawn = context.settings.pin_version, soaking.rolled_back
    if app is None:
        return Standing(pin=pin, withdrawn=withdrawn)
    ledger = plan.ledger(app, plan_input.remembered)
    reading = audit.read(app.audit_script)
    live = live_release(app, ledger, context.now)
    known = [item.version for item in _all(soaking) if item.sha256 and item.sha256 == live.sha256]
    if not noted(app, ledger):
        known += [live.version, reading.version or ""]
    return Standing(
        exists=True,
        version=releases.highest_version(known) or live.version,
        sha256=live.sha256,
        digest=live.digest,
        former=frozenset(item.sha256 for item in ledger.former),
        rolled_back=ledger.rolled_back,
        withdrawn=withdrawn,
        pin=pin,
    )
