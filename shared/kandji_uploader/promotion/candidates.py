"""The releases in the test app: what they are, what their Macs say, and the plan that moves one on to the prod app.

The rules are in `promotion`; here they are given what they ask for, and no more: the Macs' status is read (every page)
only where a rule asks for it and the release has soaked, or is about to be replaced.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

from kandji_uploader._util import version
from kandji_uploader.audit import script as audit
from kandji_uploader.errors import ApiError, NetworkError
from kandji_uploader.models import Action, AppFacts, CustomApp, InstallType, Promotion, Settings, Stage, Target
from kandji_uploader.promotion import rules as promotion
from kandji_uploader.promotion.rules import Decision, Kind, Standing
from kandji_uploader.publish import matching, plan, releases
from kandji_uploader.publish.plan import EnforcedIdentity, Installer, PlanInput, TargetPlan, TenantData
from kandji_uploader.publish.refresh import RunContext, refresh, with_digest
from kandji_uploader.publish.releases import Contents, Ledger, Release
from kandji_uploader.publish.sources import NotReadAhead
from kandji_uploader.publish.targets import RecipeFacts
from kandji_uploader.state import DigestCache
from kandji_uploader.status import summary as fleet

_QUIET = (Kind.PROMOTE, Kind.CURRENT, Kind.SOAKING, Kind.NO_TEST)
"""What nobody needs a message of: it was promoted (which is told anyway), or waiting is all there is to do."""


@dataclass(frozen=True)
class StoredRelease(NotReadAhead):
    """A release as an installer that is in Kandji's store: nothing of it is on this machine.

    Attributes:
        release: what is known of it.
        fallback: what the app that gets it looks for, where the release itself does not say.
    """

    release: Release
    fallback: audit.AuditReading

    @property
    def path(self) -> Path:
        """What the file was called when it was uploaded."""
        return Path(matching.stored_name(self.release.file_key.rsplit("/", 1)[-1]))

    @property
    def size(self) -> int:
        """Not known, and not needed: its sha256 is."""
        return 0

    @property
    def file_key(self) -> str:
        """What a Custom App names it by."""
        return self.release.file_key

    def kind(self) -> InstallType:
        """Package, image or zip."""
        return self.release.install_type

    def facts(self) -> AppFacts | None:
        """What it is, as the audit script of the app that had it says; None where nothing identifies it."""
        one: Release | audit.AuditReading = self.release if self.release.identified else self.fallback
        package_id = one.package_id if isinstance(one, Release) else one.pkg_id
        has_app = bool(one.app_name or one.bundle_id)
        if not has_app and not package_id:
            return None
        return AppFacts(
            type=self.kind(),
            size=self.size,
            app_name=one.app_name,
            bundle_id=one.bundle_id,
            version=self.release.version or None if has_app else None,
            version_key=one.version_key if has_app else None,
            package_id=package_id,
            package_version=None if has_app else self.release.version or None,
        )

    def facts_if_read(self) -> AppFacts | None:
        """As `facts`; there is nothing to read."""
        return self.facts()

    def digest(self, cache: DigestCache) -> str:  # noqa: ARG002 - a file would be looked up there
        """Its sha256."""
        return self.release.sha256


@dataclass(frozen=True)
class Step:
    """What the promotion of one prod app comes to.

    Attributes:
        plan: what is to become of the prod app.
        plan_input: what the plan was made from.
        decision: the rules' verdict.
        news: whether it is held for another reason than at the run before.
    """

    plan: TargetPlan
    plan_input: PlanInput
    decision: Decision
    news: bool = False


# Before the test app gets another installer


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
        live = _asked(live, each.app, context)
    in_prod = _meant(prod, context, plan_input.installer.name).app
    above = _standing(in_prod, plan_input, Ledger(), context).version if in_prod else ""
    after = releases.replaced(ledger, live, coming, keep=releases.KEPT_CANDIDATES, above=above)
    return replace(plan_input, notes={Stage.TEST: releases.to_notes(after)})


_GOING_ON = (Action.CREATE, Action.UPDATE, Action.UNCHANGED)
_OF_A_RELEASE = {"preinstall_script", "postinstall_script", "restart", "unzip_location"}


def _coming(plan_input: PlanInput, test: Target, prod: Target, context: RunContext) -> Release:
    coming = plan.coming(plan_input, plan_input.installer.sha256 or "", context.now)
    mine, theirs = plan.contents(test, plan_input), plan.contents(prod, plan_input)
    digest, urgent = releases.digest_of(coming.sha256, mine, theirs), plan_input.settings.urgent or ""
    return replace(coming, digest=digest, given=theirs.given, urgent=urgent)


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


def _another(coming: Release, live: Release, found: TargetPlan) -> bool:
    """Whether the same installer is to come with other contents than the test app has.

    What older versions noted has no digest; then what is about to be written decides.
    """
    if live.digest:
        return bool(coming.digest) and coming.digest != live.digest
    return not _OF_A_RELEASE.isdisjoint(found.fields)


def noted(app: CustomApp, ledger: Ledger) -> bool:
    """Whether this tool has put there what an app has, and noted it."""
    return ledger.current is not None and ledger.current.held_by(app.sha256, app.file_key)


def live_release(app: CustomApp, ledger: Ledger, now: float) -> Release:
    """What an app has now.

    Where somebody else has put another file there, the audit script tells nothing about it: then its file name and
    Kandji's `file_updated` have to do. Nothing at all to go by means that it came just `now`.
    """
    current = ledger.current
    if current is not None and current.held_by(app.sha256, app.file_key):
        return replace(current, file_key=app.file_key)
    reading = audit.read(app.audit_script if current is None else "")
    named = matching.version_in(app.file_name)
    if named and any(item.version == reading.version for item in ledger.former if item.file_key != app.file_key):
        reading = replace(reading, version=named)  # The script is that of the file before.
    updated = fleet.moment(app.file_updated or "")
    known = app.install_type in {kind.value for kind in InstallType}
    return Release(
        version=reading.version or named or "",
        sha256=app.sha256 or "",
        at=updated.timestamp() if updated else float(reading.created_at or now),
        file_key=app.file_key,
        install_type=InstallType(app.install_type) if known else InstallType.PACKAGE,
        app_name=reading.app_name,
        bundle_id=reading.bundle_id,
        package_id=reading.pkg_id,
        version_key=reading.version_key,
    )


def _asked(release: Release, app: CustomApp, context: RunContext) -> Release:
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


# Moving on


def step(prod: Target, test: Target, context: RunContext, *, at_once: bool = False, force: bool = False) -> Step:
    """What is to become of the prod app, given what the test app has and had.

    Args:
        prod: the prod app.
        test: the test app.
        context: where; its settings hold the rules.
        at_once: do not wait for `after_days`.
        force: also over a file that somebody else has put into the prod app.

    Raises:
        TargetError: a category or Blueprint of an app that is to be created does not exist.
        AuditScriptError: nothing tells what the prod app's audit script should look for.
        NetworkError, ApiError: the tenant could not be read.
    """
    rules, urgent = context.settings.promotion, context.settings.urgent
    assert rules is not None, "whoever calls has looked"  # noqa: S101 - the callers' contract
    source, plan_input = _meant(test, context), _bare(context)
    if source.app is None:
        text = f"there is no test app to promote from: {source.why} ({test.name!r})"
        return Step(TargetPlan(prod, Action.HELD, text), plan_input, Decision(Kind.NO_TEST, text))
    match = _meant(prod, context, source.app.file_name)
    if match.candidates:
        return Step(plan.plan_target(prod, replace(plan_input, installer=_named(source.app))), plan_input, _UNDECIDED)
    test_app = with_digest(source.app, context)
    app = with_digest(match.app, context) if match.app else None
    pair = _pair(test, prod, test_app, app, plan_input, context)
    standing = pair.by_name if force else pair.standing
    live = pair.live
    if promotion.newer(live, standing, live=True) and (at_once or promotion.soaked(live, rules, context.now)):
        live = _asked(live, test_app, context)
    if urgent:
        decision = promotion.decide(live, (), Promotion(), standing, context.now, at_once=True)
    else:
        decision = promotion.decide(
            live, pair.candidates, rules, standing, context.now, at_once=at_once, clock_ahead=context.clock_ahead
        )
    if decision.release is None:
        return _staying(pair, decision, standing, context)
    if app is not None and not force and pair.ledger.current and not noted(app, pair.ledger):
        return _edited(prod, app, decision, plan_input)
    goal = pair.moved.target(decision.release, live=decision.release.key == live.key)
    if goal is None:
        return _waiting(prod, app, _lost(decision.release), standing, plan_input)
    return _moving(*goal, app, pair.ledger, decision, context, force=force)


@dataclass(frozen=True)
class _Pair:
    """A test app and its prod app, as they are, and what is known of both.

    Attributes:
        prod: the prod app that is meant.
        app: the prod app; None where it is to be created.
        plan_input: what plans are made from.
        ledger: what is known of the prod app's releases.
        live: what the test app has.
        candidates: what it had, as far as its contents can still be had.
        standing: where the prod app stands.
        by_name: likewise, going by its file's name where its script disputes that.
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
    moved: _Moved


def _pair(
    test: Target, prod: Target, test_app: CustomApp, app: CustomApp | None, plan_input: PlanInput, context: RunContext
) -> _Pair:
    ledger = plan.ledger(app, plan_input.remembered) if app else Ledger()
    soaking = plan.ledger(test_app, plan_input.remembered)
    live = live_release(test_app, soaking, context.now)
    moved = _Moved(test, prod, test_app, app, replace(plan_input, installer=_kind(live)))
    standing = _standing(app, plan_input, soaking, context)
    standing = replace(standing, digest=standing.digest or moved.known_in_prod(live))
    named = _disputed(app, ledger, standing) if app is not None else ""
    return _Pair(
        prod,
        app,
        plan_input,
        ledger,
        live,
        tuple(item for item in soaking.former if moved.target(item)),
        standing,
        replace(standing, version=named) if named else standing,
        moved,
    )


def _staying(pair: _Pair, decision: Decision, standing: Standing, context: RunContext) -> Step:
    """Nothing moves: the prod app is left as it is, or what somebody did to its audit script is repaired or told."""
    if pair.app is not None:
        if decision.kind is Kind.CURRENT and promotion.newer(pair.live, pair.by_name, live=True):
            return _unclear(pair.prod, pair.app, pair.live, standing, pair.plan_input)
        drift = _drift(pair.prod, pair.app, pair.ledger, decision, context)
        if drift is not None:
            return drift
    return _waiting(pair.prod, pair.app, decision, standing, pair.plan_input)


_UNDECIDED = Decision(Kind.UNKNOWN, "")


def _bare(context: RunContext) -> PlanInput:
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


def _named(app: CustomApp) -> Installer:
    return Installer(matching.stored_name(app.file_name), InstallType.PACKAGE, 0)


def _kind(release: Release) -> Installer:
    return Installer("", release.install_type, 0)


def _meant(target: Target, context: RunContext, file_name: str = "") -> matching.Match:
    plan_input = replace(_bare(context), installer=Installer(matching.stored_name(file_name), InstallType.PACKAGE, 0))
    if plan.needs_categories((target,), plan_input.tenant, plan_input.settings):
        plan_input = replace(plan_input, tenant=replace(plan_input.tenant, categories=context.tenant.categories()))
    return plan.find(target, plan_input)


def _all(ledger: Ledger) -> tuple[Release, ...]:
    return (*ledger.former, *filter(None, [ledger.current]))


def _standing(app: CustomApp | None, plan_input: PlanInput, soaking: Ledger, context: RunContext) -> Standing:
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


def _waiting(
    prod: Target, app: CustomApp | None, decision: Decision, standing: Standing, plan_input: PlanInput
) -> Step:
    """Nothing moves; whether that is news, the state folder tells."""
    actions = {Kind.CURRENT: Action.UNCHANGED, Kind.PINNED: Action.PINNED}
    found = TargetPlan(
        prod,
        actions.get(decision.kind, Action.HELD),
        decision.reason,
        app=app,
        enforcement=plan.enforcement_of(app) if app else "",
    )
    plan_input = replace(plan_input, identity=EnforcedIdentity(version=standing.version or None))
    if app is not None:
        plan_input = replace(plan_input, installer=_named(app))
    before = plan_input.remembered.get(_held_key(prod), {}).get("held")
    return Step(found, plan_input, decision, news=decision.kind not in _QUIET and before != decision.kind.value)


def _drift(prod: Target, app: CustomApp, ledger: Ledger, decision: Decision, context: RunContext) -> Step | None:
    """The repair of an audit script that enforces another version than that of the file it belongs to, if it does.

    The file decides what a version is. A script that was edited upward would hold every release back, and one that was
    edited downward would leave Macs behind.
    """
    live, reading = ledger.current, audit.read(app.audit_script)
    if live is None or not noted(app, ledger) or not live.version or not reading.known or not reading.version:
        return None
    if version.compare(live.version, reading.version) == 0 or not plan.audited(app):
        return None
    kept = replace(
        prod, blocking_applications=reading.blocking_applications, minimum_os_version=reading.minimum_os_version
    )
    plan_input = plan_input_of_release(kept, app, replace(live, file_key=app.file_key), ledger, context, by_hand=True)
    found = plan.plan_target(kept, plan_input)
    fields = MappingProxyType({"audit_script": found.fields["audit_script"]})
    why = f"its audit script enforced {reading.version}, and the file that it belongs to is {live}; {decision.reason}"
    return Step(replace(found, fields=fields, reason=why, warnings=(f"{app.name}: {why}",)), plan_input, decision)


def _disputed(app: CustomApp, ledger: Ledger, standing: Standing) -> str:
    """What the file's name says, where the audit script says a higher version and nobody noted what the file is."""
    named = matching.version_in(app.file_name) or ""
    script = audit.read(app.audit_script).version
    if noted(app, ledger) or not named or standing.version != script:
        return ""
    return named if version.compare(script, named) > 0 else ""


def _unclear(prod: Target, app: CustomApp, live: Release, standing: Standing, plan_input: PlanInput) -> Step:
    text = (
        f"the audit script of {app.name!r} enforces {standing.version}, but its file is called {app.file_name}, and "
        f"nothing here knows which is true, so {live} is not put over it. Correct MINIMUM_ENFORCED_VERSION there; or "
        "if it may be: kandji-uploader promote --force"
    )
    plan_input = replace(plan_input, installer=_named(app))
    return Step(TargetPlan(prod, Action.REFUSED, text, app=app), plan_input, Decision(Kind.UNKNOWN, text))


def remember(prod: Target, step: Step, context: RunContext) -> None:
    """Note why the prod app is held, so that the next run tells it only if the reason is another one."""
    context.store.remember(_held_key(prod), {} if step.plan.action.writes else {"held": step.decision.kind.value})


def _held_key(prod: Target) -> str:
    return f"held {prod.name}"


def _edited(prod: Target, app: CustomApp, decision: Decision, plan_input: PlanInput) -> Step:
    text = (
        f"{app.name!r} holds {app.file_name}, which this tool did not put there, so {decision.release} is not put "
        "over it. If it may be: kandji-uploader promote --force"
    )
    plan_input = replace(plan_input, installer=_named(app))
    return Step(TargetPlan(prod, Action.REFUSED, text, app=app), plan_input, decision)


def _lost(release: Release) -> Decision:
    text = f"{release}: the scripts or settings that soaked with it are not those that are given now; run its recipe"
    return Decision(Kind.UNKNOWN, text)


@dataclass(frozen=True)
class _Moved:
    """What goes to the prod app with a release: the very scripts and settings that soaked with it.

    A release is noted with its digest, and not with its scripts. Their texts are in the settings of this run, or in one
    of the two apps; those whose digest is that of the release are it.

    Attributes:
        test: the test app that is meant.
        prod: the prod app that is meant.
        source: the test app as it is.
        app: the prod app as it is; None where it is to be created.
        plan_input: whose settings hold; of its installer the type counts.
    """

    test: Target
    prod: Target
    source: CustomApp
    app: CustomApp | None
    plan_input: PlanInput

    def target(self, release: Release, *, live: bool = False) -> tuple[Target, Settings] | None:
        """The prod app with the contents of a release, and the settings for it; None where they are not known.

        Of a release that an older version noted without a digest, the installer moves alone, unless it is `live` and
        the test app has what the settings give.
        """
        if not release.digest:
            if live and self._in_line(self.source, plan.contents(self.test, self.plan_input)):
                return self.prod, self.plan_input.settings
            bare = replace(self.prod, preinstall_script=None, postinstall_script=None, restart=None)
            return bare, self.plan_input.settings
        for test, prod in self._known(release.given):
            if releases.digest_of(release.sha256, test, prod) == release.digest:
                return self._with(prod)
        return None

    def known_in_prod(self, live: Release) -> str:
        """The digest to take the prod app for that nobody noted one of: that of `live` if it has all that is given."""
        if self.app is None or not live.digest:
            return ""
        return live.digest if self._in_line(self.app, plan.contents(self.prod, self.plan_input)) else "another"

    def _known(self, given: str) -> list[tuple[Contents, Contents]]:
        apps = [plan.live_contents(app, given) for app in (self.source, self.app) if app is not None]
        settings = plan.contents(self.test, self.plan_input), plan.contents(self.prod, self.plan_input)
        return [settings, *((one, one) for one in apps), (apps[0], apps[-1])]

    def _with(self, contents: Contents) -> tuple[Target, Settings]:
        settings, folder = self.plan_input.settings, contents.unzip_location
        target = replace(
            self.prod,
            preinstall_script=contents.preinstall_script,
            postinstall_script=contents.postinstall_script,
            restart=contents.restart,
            blocking_applications=contents.blocking_applications,
            minimum_os_version=contents.minimum_os_version,
        )
        if folder is None:
            return target, replace(settings, unzip_location_given=False)
        return target, replace(settings, unzip_location=folder, unzip_location_given=True)

    @staticmethod
    def _in_line(app: CustomApp, wanted: Contents) -> bool:
        return plan.live_contents(app, wanted.given).same(wanted)


def _moving(
    prod: Target,
    settings: Settings,
    app: CustomApp | None,
    ledger: Ledger,
    decision: Decision,
    context: RunContext,
    *,
    force: bool,
) -> Step:
    release = decision.release
    assert release is not None, "whoever calls has looked"  # noqa: S101 - the caller's contract
    live = live_release(app, ledger, context.now) if app else None
    urgent = settings.urgent or ""
    put = replace(release, at=context.now, until=0.0, health=None, urgent=urgent)
    after = releases.replaced(ledger, live, put, keep=releases.KEPT_FORMER)
    plan_input = plan_input_of_release(prod, app, release, after, replace(context, settings=settings), by_hand=force)
    found = plan.plan_target(prod, plan_input)
    reason = f"urgent: {urgent}; {decision.reason}" if urgent else decision.reason
    reason = reason if found.action.writes else found.reason
    return Step(replace(found, reason=reason), plan_input, decision)


def plan_input_of_release(
    target: Target,
    app: CustomApp | None,
    release: Release,
    after: Ledger,
    context: RunContext,
    *,
    by_hand: bool = False,
) -> PlanInput:
    """All that a plan needs that puts a release, which is in the store already, into an app.

    Args:
        target: the app.
        app: the app as it is; None where it is to be created.
        release: what it is to have.
        after: what its audit script is to remember then.
        context: where.
        by_hand: whether an admin asked for this very release; see `PlanInput`.

    Raises: as `refresh`.
    """
    settings = replace(context.settings, create_new=False)
    source = StoredRelease(release, audit.read(app.audit_script if app else ""))
    plan_input = refresh((target,), source, replace(context, given=RecipeFacts(), settings=settings))
    installer = replace(plan_input.installer, sha256=release.sha256 or None)
    return replace(plan_input, installer=installer, notes={target.stage: releases.to_notes(after)}, by_hand=by_hand)
