"""What the test app is to remember of its releases when it gets another one.

The Macs are asked about the release that is about to be replaced: later they no longer report on it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from kandji_uploader.audit import script as audit
from kandji_uploader.errors import ApiError, NetworkError
from kandji_uploader.models import Action, CustomApp, Stage, Target
from kandji_uploader.promotion import fast_lane, rules
from kandji_uploader.promotion.calendar import Calendar
from kandji_uploader.promotion.fast_lane import Exposure
from kandji_uploader.promotion.rules import Standing
from kandji_uploader.publish import plan, releases
from kandji_uploader.publish.context import RunContext
from kandji_uploader.publish.history import live_release, noted
from kandji_uploader.publish.plan import PlanInput, TargetPlan
from kandji_uploader.publish.releases import Contents, Health, Ledger, Release
from kandji_uploader.status import summary


def asked(release: Release, app: CustomApp, context: RunContext) -> Release:
    """The release with the health that its Macs report now, or none if they cannot be asked; unchanged if no rule asks.

    Where only the days count on which the rules held, with that, too; see `rules.sampled`.
    """
    wanted = context.settings.promotion
    if wanted is None or not wanted.asks_macs:
        return release
    if wanted.sampled and release.at >= context.now:  # it came in this run, and no Mac can have reported on it
        return replace(release, health=Health(at=context.now))
    health = health_of(release, app, context)
    if health is None:
        return replace(release, health=None)
    return rules.sampled(release, health, wanted) if wanted.sampled else replace(release, health=health)


def health_of(release: Release, app: CustomApp, context: RunContext) -> Health | None:
    """What the Macs of an app say of the release that it has; None if they cannot be asked. They are once in a run."""
    key = (app.id, release.key)
    if key not in context.said:
        updated = summary.moment(app.file_updated or "")
        since = max(release.at, updated.timestamp()) if updated else release.at
        try:
            statuses = rules.each_mac(context.tenant.client.library_item_statuses(app.id))
            context.said[key] = rules.weigh(statuses, release.version, since, context.now)
        except (ApiError, NetworkError) as problem:
            context.warn(f"{app.name}: the status of the Macs could not be read: {problem}")
            context.said[key] = None
    return context.said[key]


def exposed(standing: Standing, candidates: Sequence[Release], context: RunContext) -> Standing:
    """Where the prod app stands, with the vulnerabilities of the app that open the fast lane.

    They are asked for only where there is such a lane and something that may move. The permission is optional: without
    it a line says so, and releases move as always.
    """
    wanted = context.settings.promotion
    lane = wanted.fast_lane if wanted else None
    if lane is None or not candidates or not standing.version or context.settings.urgent:
        return standing
    newest, found = candidates[0], list[Exposure]()
    try:
        opening = fast_lane.opening(context.tenant.vulnerabilities(), lane, newest.app_name)
        for each in opening[:_MOST_ASKED]:
            if found and not fast_lane.names(each, newest.app_name):
                break
            affected = context.tenant.affected_software(each.cve)
            about = fast_lane.exposure(each, affected, newest.app_name, newest.bundle_id)
            found += [about] if about else []
    except (ApiError, NetworkError) as problem:
        context.warn(f"the vulnerabilities could not be read, so no fast lane is open: {problem}")
    return replace(standing, exposures=tuple(found))


_MOST_ASKED = 100
"""Of how many vulnerabilities it is asked what has them; what seems to be about the app comes first, then the worst."""


def with_notes(plan_input: PlanInput, targets: Sequence[Target], context: RunContext) -> PlanInput:
    """The plan input with what the apps are to remember of the release that they get.

    A first plan says whether the test app gets another release, which may be the same installer with another script. If
    so, its Macs are asked about the release that is there now: later they no longer report on it.

    Args:
        plan_input: complete but for these notes.
        targets: the test app and the prod app.
        context: where the run takes place.
    """
    test, prod = targets
    coming = _coming(plan_input, test, prod, context.now)
    notes: dict[Stage, Mapping[str, str]] = {}
    planned = plan.plan_target(test, plan_input)
    found = _replaced_by(coming, planned, plan_input, context)
    if found is not None:
        ledger, live = found
        if live is not None and live.sha256 and not planned.needs_file:
            coming = replace(coming, sha256=live.sha256)  # one that was only packaged again is not uploaded
        app, in_prod = plan_input.matches[test.stage].app, plan_input.matches[prod.stage].app
        live = asked(live, app, context) if app and live else None
        above = standing_of(in_prod, plan_input, Ledger(), context).version if in_prod else ""
        rings = bool(context.settings.rings)
        after = releases.replaced(ledger, live, coming, keep=releases.KEPT_CANDIDATES, above=above, back=rings)
        notes[test.stage] = releases.to_notes(after)
    urgent = context.settings.urgent
    if urgent:
        context.warn(f"urgent: {urgent}; test and prod app get it without a soak. Take `urgent` out again afterwards")
        found = _replaced_by(coming, plan.plan_target(prod, plan_input), plan_input, context)
        if found is not None:
            notes[prod.stage] = releases.to_notes(releases.replaced(*found, coming, keep=releases.KEPT_FORMER))
    return replace(plan_input, notes=notes)


def _coming(plan_input: PlanInput, test: Target, prod: Target, now: float) -> Release:
    """The release that the installer becomes, with the scripts and settings of both apps."""
    coming, kind = plan.coming(plan_input, plan_input.installer.sha256 or "", now), plan_input.installer.type
    mine, theirs = Contents.of(test, kind), Contents.of(prod, kind)
    digest, urgent = releases.digest_of(coming.installer, mine, theirs), plan_input.settings.urgent or ""
    return replace(coming, digest=digest, given=theirs.given, urgent=urgent)


def _replaced_by(
    coming: Release, each: TargetPlan, plan_input: PlanInput, context: RunContext
) -> tuple[Ledger, Release | None] | None:
    """The ledger of a planned app, and the release that it has now; None if it gets no other release."""
    if each.action not in _GOING_ON:
        return None
    if each.app is None:
        return Ledger(), None
    ledger = plan.ledger(each.app, plan_input.remembered)
    live = live_release(each.app, ledger, context.now)
    if not each.needs_file and not _another(coming, live, each):
        return None
    return ledger, live


def _another(coming: Release, live: Release, found: TargetPlan) -> bool:
    """Whether the same installer is to come with other contents than the test app has.

    If an older version of this tool has noted no digest, or one that does not compare, the fields that are about to be
    written decide.
    """
    if live.digest and (not coming.digest or live.compares(coming)):
        return bool(coming.digest) and coming.digest != live.digest
    return not _OF_A_RELEASE.isdisjoint(found.fields)


_GOING_ON = (Action.CREATE, Action.UPDATE, Action.UNCHANGED)
_OF_A_RELEASE = {"preinstall_script", "postinstall_script", "restart", "unzip_location"}


def _all(ledger: Ledger) -> tuple[Release, ...]:
    return (*ledger.former, *filter(None, [ledger.current]))


def standing_of(app: CustomApp | None, plan_input: PlanInput, soaking: Ledger, context: RunContext) -> Standing:
    """Where the prod app stands.

    The file decides what the version is. If it was not noted, the highest version counts that its name and the audit
    script say, so that nothing goes backwards.
    """
    settings = context.settings
    free = Standing(
        withdrawn=soaking.rolled_back,
        stopped=soaking.halted.release if soaking.halted else None,
        pin=settings.pin_version,
        hold=settings.hold,
        exclude=settings.exclude_versions,
        waits="" if settings.urgent else Calendar.of(settings).waits(context.now),
    )
    if settings.rings:
        free = replace(free, source=repr(settings.test.name), name=repr(settings.prod.name))
    if app is None:
        return free
    ledger = plan.ledger(app, plan_input.remembered)
    reading = audit.read(app.audit_script)
    live = live_release(app, ledger, context.now)
    known = [item.version for item in _all(soaking) if item.sha256 and item.sha256 == live.sha256]
    if not noted(app, ledger):
        known += [live.version, reading.version or ""]
    return replace(
        free,
        exists=True,
        version=releases.highest_version(known) or live.version,
        sha256=live.sha256,
        digest=live.digest,
        content=live.content,
        former=frozenset(name for item in ledger.former for name in (item.sha256, item.content)),
        rolled_back=ledger.rolled_back,
        halted=ledger.halted.release if ledger.halted else None,
    )
