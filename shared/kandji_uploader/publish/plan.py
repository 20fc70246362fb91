"""The plan: what each Custom App is to become, by the settings, the installer and what the tenant holds.

Pure: no network, no clock, no disk. All of it comes in as one value (`PlanInput`), complete when the plan begins. So
the same values make the same plan, and a dry run is the plan, printed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from dataclasses import fields as dataclass_fields
from types import MappingProxyType

from kandji_uploader._util import version
from kandji_uploader.audit import script as audit
from kandji_uploader.errors import TargetError
from kandji_uploader.models import (
    NOT_SIGNED,
    Action,
    Blueprint,
    Category,
    CustomApp,
    Enforcement,
    InstallType,
    Settings,
    Stage,
    Target,
)
from kandji_uploader.promotion.calendar import Calendar
from kandji_uploader.publish import matching, releases, signers


@dataclass(frozen=True)
class Installer:
    """The file on disk, as far as a plan needs it.

    Attributes:
        name: its file name.
        type: package, image or zip.
        size: bytes.
        sha256: hex digest; None where its size alone already proves that it differs from every target's.
        file_key: the key of an upload of these very bytes that is in the store already; None where there is none.
        unfinished: whether that upload is of an earlier run that did not come to its end.
        content: digest of what it brings to a Mac; "" where nobody had to read it, or it has none.
    """

    name: str
    type: InstallType
    size: int
    sha256: str | None = None
    file_key: str | None = None
    unfinished: bool = False
    content: str = ""


@dataclass(frozen=True)
class EnforcedIdentity:
    """What the audit script looks for on a Mac, and what the run calls the version.

    Attributes:
        app_name: bundle name, such as `Firefox.app`.
        bundle_id: its bundle id.
        package_id: the id of the receipt, for installers without an app.
        version: what is enforced: what the app's Info.plist (or the receipt) will say on the Mac.
        version_key: the Info.plist key that `version` comes from.
    """

    app_name: str | None = None
    bundle_id: str | None = None
    package_id: str | None = None
    version: str | None = None
    version_key: str = "CFBundleShortVersionString"


@dataclass(frozen=True)
class TenantData:
    """What the tenant holds, as far as it was asked.

    Attributes:
        apps: the whole list of Custom Apps.
        categories: the Self Service categories; empty where none is needed.
        blueprints: the Blueprints; empty where none is needed.
        items: ids of the Library Items of each Blueprint that was asked about, by the Blueprint's id.
    """

    apps: tuple[CustomApp, ...]
    categories: tuple[Category, ...] = ()
    blueprints: tuple[Blueprint, ...] = ()
    items: Mapping[str, frozenset[str]] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True)
class TargetPlan:
    """What is to become of one target.

    Attributes:
        target: what was asked for.
        action: create, update, unchanged, conflict or refused.
        app: the Custom App that is meant; None for a create or a conflict.
        fields: the API fields to send, without `file_key`.
        needs_file: whether the installer's `file_key` is to be sent, too.
        enforcement: the enforcement that holds afterwards, in the words of recipes.
        reason: why, one sentence.
        candidates: the Custom Apps that a conflict is about.
        warnings: what was done otherwise than asked, one sentence each.
        assign: the target's Blueprints that the app is to be added to, as the target names them.
        signer: who signed what the app gets, in words; "" where nobody looked.
        distrusted: whether it is refused for who signed it.
    """

    target: Target
    action: Action
    reason: str
    app: CustomApp | None = None
    fields: Mapping[str, str | bool] = field(default_factory=lambda: MappingProxyType({}))
    needs_file: bool = False
    enforcement: str = ""
    candidates: tuple[CustomApp, ...] = ()
    warnings: tuple[str, ...] = ()
    assign: tuple[str, ...] = ()
    signer: str = ""
    distrusted: bool = False

    @property
    def told(self) -> str:
        """What is to be done and why, in the words of a dry run and of a real one."""
        signer = f", {self.signer}" if self.action.writes and self.signer not in ("", NOT_SIGNED) else ""
        return f"{self.target.name}: {self.action.value} ({self.reason}){signer}"

    @property
    def changes(self) -> tuple[str, ...]:
        """The names of the fields that will be sent, and `blueprints` where an existing app is added to some."""
        added = ("blueprints",) if self.assign and self.app is not None else ()
        return (*(("file_key",) if self.needs_file else ()), *self.fields, *added)


@dataclass(frozen=True)
class PlanInput:
    """All that a plan is made from, beside the target itself.

    Attributes:
        installer: the file on disk.
        identity: what it is.
        tenant: what the tenant holds.
        settings: what holds.
        template: the audit script's template; "" where none is needed.
        now: epoch seconds.
        notes: per stage, what the audit script is to remember with a new release (see `releases`).
        remembered: per app id, what this machine remembers of it.
        matches: per stage, the Custom App that its target means; each target is matched once, by `matched`.
        by_hand: an admin asked for this very release: no pin, no rollback and no higher version stands against it.
        looked: who signed it; None where no app gets another installer, so that nobody had to look.
        expected_teams: Team IDs that the recipe has AutoPkg look for; see `signers.problem`.
    """

    installer: Installer
    identity: EnforcedIdentity
    tenant: TenantData
    settings: Settings
    template: str
    now: int
    notes: Mapping[Stage, Mapping[str, str]] = field(default_factory=lambda: MappingProxyType({}))
    remembered: Mapping[str, Mapping[str, str]] = field(default_factory=lambda: MappingProxyType({}))
    matches: Mapping[Stage, matching.Match] = field(default_factory=lambda: MappingProxyType({}))
    by_hand: bool = False
    looked: signers.Looked | None = None
    expected_teams: tuple[str, ...] = ()


def make_plan(targets: Sequence[Target], plan_input: PlanInput) -> tuple[TargetPlan, ...]:
    """Plan every target.

    Raises:
        TargetError: a Self Service category does not exist; nothing has been changed.
        AuditScriptError: an audit script is needed and nothing identifies the app.
    """
    plans = [plan_target(target, plan_input) for target in targets]
    taken: dict[str, TargetPlan] = {}
    for number, plan in enumerate(plans):
        if plan.app is None or not plan.action.writes:
            continue
        # Two targets of one run would write to it in turn, and the second one would win at every run.
        other = taken.setdefault(plan.app.id, plan)
        if other is not plan:
            text = (
                f"dynamic lookup picked {plan.app.name!r} for both {other.target.name!r} and {plan.target.name!r}; "
                "give each its own prod_name or test_name"
            )
            plans[number] = TargetPlan(plan.target, Action.CONFLICT, text, candidates=(plan.app,))
    return tuple(plans)


def plan_target(target: Target, plan_input: PlanInput) -> TargetPlan:
    """Plan one target. Raises as `make_plan`."""
    settings = plan_input.settings
    match = plan_input.matches[target.stage]
    if settings.create_new and match.app is None:
        return _create(target, plan_input, match.why)
    if match.app is not None:
        return _update(target, match.app, match.why, plan_input)
    # Nothing is changed: a wrong guess would put a package on every Mac that has the other app.
    if match.candidates:
        text = f"{match.why}; dynamic lookup is off. Rename or delete all but one of them in Kandji"
        return TargetPlan(target, Action.CONFLICT, text, candidates=match.candidates)
    if settings.auto_create_app:
        return _create(target, plan_input, match.why)
    text = f"{match.why}, and auto_create_app is off. Create it in Kandji, or set zz_defaults.auto_create_app"
    return TargetPlan(target, Action.REFUSED, text)


def matched(targets: Sequence[Target], plan_input: PlanInput) -> PlanInput:
    """The plan input with the Custom App that each of these targets means.

    Raises:
        TargetError: the Self Service category that tells which of several apps is meant does not exist.
    """
    found = {target.stage: _find(target, plan_input) for target in targets}
    return replace(plan_input, matches=MappingProxyType({**plan_input.matches, **found}))


def _find(target: Target, plan_input: PlanInput) -> matching.Match:
    """The Custom App that the target means; with create_new, only one that an interrupted run has left."""
    if plan_input.settings.create_new:
        return _left_behind(target, plan_input)
    wants_self_service = target.enforcement is Enforcement.SELF_SERVICE
    category = (
        _category(target, plan_input.tenant.categories)[0]
        if wants_self_service and plan_input.tenant.categories
        else None
    )
    return matching.find(
        plan_input.tenant.apps,
        target.name,
        plan_input.installer.name,
        category_id=None if category is None else category.id,
        dynamic=plan_input.settings.dynamic_lookup,
    )


def _left_behind(target: Target, plan_input: PlanInput) -> matching.Match:
    """The app that an interrupted create_new run has made of this upload."""
    key = plan_input.installer.file_key if plan_input.installer.unfinished else None
    made = [app for app in matching.by_name(plan_input.tenant.apps, target.name) if key and app.file_key == key]
    if made:
        return matching.Match(made[0], "made by a run that was interrupted")
    return matching.Match(None, "create_new is set")


def needs_digest(targets: Sequence[Target], plan_input: PlanInput) -> bool:
    """Whether the sha256 must be known before planning.

    A size that differs from every target's `file_size` proves a change without reading the file.
    """
    apps = [plan_input.matches[target.stage].app for target in targets]
    return any(app is not None and app.file_size in (None, plan_input.installer.size) for app in apps)


def needs_audit(targets: Sequence[Target], plan_input: PlanInput) -> bool:
    """Whether any target gets an audit script of ours; then the installer must be read."""
    for target in targets:
        app = plan_input.matches[target.stage].app
        carries = target.enforcement.audited if app is None else audited(app)
        if carries:
            return True
    return False


def needs_version(targets: Sequence[Target], plan_input: PlanInput) -> bool:
    """Whether the plan asks for the version even without an audit script: for a pin, promotion or rollback."""
    settings = plan_input.settings
    if settings.pin_version or settings.exclude_versions or settings.promotion is not None:
        return True
    apps = [plan_input.matches[target.stage].app for target in targets]
    known = [ledger(app, plan_input.remembered) for app in apps if app is not None]
    return any(each.rolled_back is not None or each.halted is not None for each in known)


def needs_signer(targets: Sequence[Target], plan_input: PlanInput, *, surely: bool) -> bool:
    """Whether any app gets another installer, so that it matters who signed it.

    Args:
        targets: what was asked for.
        plan_input: what is known.
        surely: whether sizes have to tell so already, where nobody knows the digests yet.
    """
    installer = plan_input.installer
    matches = [plan_input.matches[target.stage] for target in targets]
    apps = [match.app for match in matches if not match.candidates]
    if surely:
        return any(app is None or app.file_size not in (None, installer.size) for app in apps)
    return any(app is None or app.sha256 is None or app.sha256 != installer.sha256 for app in apps)


def audited(app: CustomApp) -> bool:
    """Whether Kandji enforces an app by its audit script."""
    return app.install_enforcement == Enforcement.AUDIT_ENFORCE.api_value


def needs_categories(targets: Sequence[Target], tenant: TenantData, settings: Settings) -> bool:
    """Whether the plan will look at the tenant's Self Service categories."""
    for target in targets:
        named = () if settings.create_new else matching.by_name(tenant.apps, target.name)
        wants = target.enforcement is Enforcement.SELF_SERVICE
        if wants and len(named) != 1:
            return True
        if target.category and any(app.self_service for app in named):
            return True
        if target.category and settings.dynamic_lookup and not named:
            return True
    return False


def _create(target: Target, plan_input: PlanInput, why: str) -> TargetPlan:
    installer, settings = plan_input.installer, plan_input.settings
    withheld = _withheld(None, plan_input)
    if withheld is not None:
        return TargetPlan(target, *withheld, enforcement=target.enforcement.value)
    distrust = _distrust(target, None, plan_input)
    if distrust:
        return TargetPlan(target, Action.REFUSED, distrust, distrusted=True)
    if waits := later(plan_input):
        return TargetPlan(target, *waits, enforcement=target.enforcement.value)
    unzipped = target.unzip_location or settings.unzip_location
    fields: dict[str, str | bool] = {
        "name": target.name,
        "install_type": installer.type.value,
        "install_enforcement": target.enforcement.api_value,
    }
    warnings: tuple[str, ...] = ()
    # The API asks for it with a zip, and answers "" for anything else.
    if installer.type is InstallType.ZIP:
        fields["unzip_location"] = unzipped
    if target.enforcement is Enforcement.SELF_SERVICE:
        category, warnings = _category(target, plan_input.tenant.categories)
        fields["show_in_self_service"] = True
        fields["self_service_category_id"] = category.id
    if target.enforcement.audited:
        fields["audit_script"] = _script(target, None, plan_input, audit.read(""), unzipped, anew=True)
        warnings = (*warnings, *_past_deadline(target, plan_input))
    else:
        # Kandji runs no audit script of such an app, but keeps its text: a place for the notes that every machine sees.
        if notes := _notes(target, None, plan_input):
            fields["audit_script"] = audit.memory(notes)
        warnings = (*warnings, *_without_effect(target.name, settings))
    fields |= _extras(target)
    return TargetPlan(
        target,
        Action.CREATE,
        why,
        fields=MappingProxyType(fields),
        needs_file=True,
        enforcement=target.enforcement.value,
        warnings=warnings,
        assign=target.blueprints,
        signer=_signer_told(target, None, plan_input),
    )


def _update(target: Target, app: CustomApp, why: str, plan_input: PlanInput) -> TargetPlan:
    installer = plan_input.installer
    reading = audit.read(app.audit_script)
    halted = "" if plan_input.by_hand else _halted(app, plan_input)
    if halted:
        return TargetPlan(target, Action.HALTED, halted, app=app, enforcement=enforcement_of(app))
    # The bytes tell whether it is the same installer, and not a name or version, which can come again with others; or
    # what it brings to a Mac, which a package that is built each night shares with that of the night before.
    again = _packaged_again(app, plan_input)
    same_file = again or (app.sha256 is not None and app.sha256 == installer.sha256)
    enforcement = enforcement_of(app)
    # What is live already is repaired whatever the pin says; a rollback by hand is what the admin wants now.
    free = same_file or plan_input.by_hand
    withheld = None if free else _withheld(app, plan_input) or _downgrade(reading, app, plan_input)
    if withheld is not None:
        return TargetPlan(target, *withheld, app=app, enforcement=enforcement)
    distrust = "" if same_file else _distrust(target, app, plan_input)
    if distrust:
        return TargetPlan(target, Action.REFUSED, distrust, app=app, enforcement=enforcement, distrusted=True)
    wanted, warnings = _wanted(target, app, reading, plan_input, anew=not same_file)
    if not same_file and app.install_type != installer.type.value:
        wanted["install_type"] = installer.type.value
    fields = {name: value for name, value in wanted.items() if _differs(app.value(name), value, unknown=not same_file)}
    assign, waits = _now(target, app, fields, plan_input, same_file=same_file)
    if waits is not None:
        return TargetPlan(target, *waits, app=app, enforcement=enforcement)
    why = "only repackaged" if again else why
    if same_file and not fields and not assign:
        return TargetPlan(target, Action.UNCHANGED, why, app=app, enforcement=enforcement, warnings=warnings)
    differing = (*fields, *(("blueprints",) if assign else ()))
    one = "s" if differing == (*fields,)[:1] else ""
    changed = "the installer differs" if not same_file else f"only {', '.join(differing)} differ{one}"
    return TargetPlan(
        target,
        Action.UPDATE,
        f"{why}; {changed}",
        app=app,
        fields=MappingProxyType(fields),
        needs_file=not same_file,
        enforcement=enforcement,
        warnings=warnings,
        assign=assign,
        signer="" if same_file else _signer_told(target, app, plan_input),
    )


def _now(
    target: Target, app: CustomApp, fields: Mapping[str, object], plan_input: PlanInput, *, same_file: bool
) -> tuple[tuple[str, ...], tuple[Action, str] | None]:
    """The Blueprints that an app is added to now, and why else nothing is done to it now.

    On hold and in a freeze it is brought in line again, but gets neither another release nor to further Macs.
    """
    assign = missing_blueprints(target, app, plan_input.tenant)
    waits = None if plan_input.by_hand else later(plan_input)
    if waits is None:
        return assign, None
    news = _is_news(target, fields, plan_input, same_file=same_file)
    return (), waits if news or (assign and not fields) else None


def _is_news(target: Target, fields: Mapping[str, object], plan_input: PlanInput, *, same_file: bool) -> bool:
    """Whether an app gets another release, and is not just brought in line again.

    With promotion, notes tell it. Without, no digest is kept, and a script that differs may be a new one.
    """
    if plan_input.settings.promotion is not None:
        return not same_file or target.stage in plan_input.notes
    return not same_file or any(each.name in fields for each in dataclass_fields(releases.Contents))


def later(plan_input: PlanInput) -> tuple[Action, str] | None:
    """Why a release is not published now, although it may be; None where it is."""
    if plan_input.settings.hold:
        return Action.HELD, "hold is set; nothing is published until it is taken out"
    frozen = "" if plan_input.settings.urgent else Calendar.of(plan_input.settings).frozen(plan_input.now)
    return (Action.WAITING, frozen) if frozen else None


def _packaged_again(app: CustomApp, plan_input: PlanInput) -> bool:
    """Whether an installer has other bytes than an app's, but is of its version and brings the same to a Mac."""
    live = ledger(app, plan_input.remembered).current
    if plan_input.settings.identity != "content" or plan_input.by_hand or live is None:
        return False
    ours = coming(plan_input, plan_input.installer.sha256 or "", plan_input.now)
    return live.surely_in(app) and ours.sha256 != live.sha256 and ours.brings_the_same(live)


def _wanted(
    target: Target, app: CustomApp, reading: audit.AuditReading, plan_input: PlanInput, *, anew: bool
) -> tuple[dict[str, str | bool], tuple[str, ...]]:
    """The fields that an existing app should have. Fields that no setting gives are left out.

    `anew` tells whether it gets another installer.
    """
    settings, installer = plan_input.settings, plan_input.installer
    wanted: dict[str, str | bool] = _extras(target)
    warnings: tuple[str, ...] = ()
    halted = ledger(app, plan_input.remembered).halted
    if anew and halted and halted.inactive:
        wanted.setdefault("active", True)
    if installer.type is InstallType.ZIP and (target.unzip_location or not app.unzip_location):
        wanted["unzip_location"] = target.unzip_location or settings.unzip_location
    unzipped = wanted.get("unzip_location", app.unzip_location)
    if app.self_service and target.category:
        category, warnings = _category(target, plan_input.tenant.categories)
        wanted["self_service_category_id"] = category.id
    if audited(app):
        # It runs as root on the fleet, and somebody has put it there on purpose.
        if audit_is_foreign(app, reading) and not settings.replace_audit_script:
            text = (
                f"the audit script of {app.name!r} was written by someone else and is kept; "
                "set replace_audit_script to replace it"
            )
            warnings = (*warnings, text)
        else:
            wanted["audit_script"] = _script(target, app, plan_input, reading, str(unzipped), anew=anew)
            warnings = (*warnings, *(_past_deadline(target, plan_input) if anew else ()))
    else:
        wanted |= _memory(target, app, reading, plan_input, anew=anew)
        warnings = (*warnings, *_without_effect(app.name, settings))
    return wanted, warnings


def _memory(
    target: Target, app: CustomApp, reading: audit.AuditReading, plan_input: PlanInput, *, anew: bool
) -> dict[str, str]:
    """The notes of an app whose audit script Kandji does not run. A script of somebody else is kept."""
    notes = _notes(target, app, plan_input) if anew else plan_input.notes.get(target.stage)
    if notes is None or not (reading.is_memory or not app.audit_script.strip()):
        return {}
    return {"audit_script": audit.memory(notes)}


def audit_is_foreign(app: CustomApp, reading: audit.AuditReading) -> bool:
    """Whether the app has an audit script that neither this tool nor KAPPA or kpkg wrote."""
    return bool(app.audit_script.strip()) and reading.writer is None


def enforcement_of(app: CustomApp) -> str:
    """The enforcement that an app has in Kandji, in the words of recipes."""
    if audited(app):
        reading = audit.read(app.audit_script)
        return Enforcement.AUDIT_ENFORCE.value if reading.install_when_missing else Enforcement.UPDATE_ONLY.value
    if app.self_service:
        return Enforcement.SELF_SERVICE.value
    return app.install_enforcement


def _script(
    target: Target,
    app: CustomApp | None,
    plan_input: PlanInput,
    reading: audit.AuditReading,
    unzipped: str,
    *,
    anew: bool,
) -> str:
    """The audit script that the target should have, given what the live one says and where a zip is unpacked.

    The clock restarts only when the enforced version changes: re-running a recipe daily must not push the deadline.
    Its notes change only with a release, so that a run without news writes nothing; `anew` tells whether the app gets
    another installer.
    """
    identity = plan_input.identity
    if not identity.version:
        raise TargetError(
            f"the version of {plan_input.installer.name!r} is not known, so {target.name!r} cannot be enforced. "
            "Let the recipe set `version`, or use another enforcement_type"
        )
    created, days = _clock(target, reading, plan_input)
    # audit_enforce and update_only are one word in the API; only this variable of the script tells one from the other.
    install_when_missing = reading.install_when_missing
    if (target.enforcement_given and target.enforcement.audited) or not reading.writer:
        install_when_missing = target.enforcement is not Enforcement.UPDATE_ONLY
    zipped = plan_input.installer.type is InstallType.ZIP
    values = audit.AuditValues(
        app_name=identity.app_name,
        bundle_id=identity.bundle_id,
        pkg_id=identity.package_id,
        version=identity.version,
        created_at=created,
        days=days,
        version_key=identity.version_key,
        install_when_missing=install_when_missing,
        blocking_applications=target.blocking_applications,
        minimum_os_version=target.minimum_os_version,
        halted=None if anew else reading.halted,
        unzip_location=unzipped if zipped and unzipped.rstrip("/") not in ("", "/Applications") else None,
    )
    notes = _notes(target, app, plan_input) if anew else plan_input.notes.get(target.stage, reading.notes)
    return audit.render(values, plan_input.template, notes)


def _clock(target: Target, reading: audit.AuditReading, plan_input: PlanInput) -> tuple[int, int]:
    """From when the days until enforcement count, and how many.

    A deadline is written as a start at that moment and 0 days. So a start in the future was a deadline; if it is no
    longer asked for, the clock starts now.
    """
    if target.enforcement_deadline is not None:
        return int(target.enforcement_deadline.timestamp()), 0
    kept = reading.version is not None and version.compare(reading.version, plan_input.identity.version or "") == 0
    created = reading.created_at if kept and reading.created_at is not None else plan_input.now
    return min(created, plan_input.now), target.delay_days


def _past_deadline(target: Target, plan_input: PlanInput) -> tuple[str, ...]:
    """A warning for a new version whose deadline is over before it comes."""
    deadline = target.enforcement_deadline
    if deadline is None or deadline.timestamp() > plan_input.now:
        return ()
    return (f"the enforcement_deadline of {target.name!r} ({deadline.isoformat()}) is over; it is enforced at once",)


def _without_effect(name: str, settings: Settings) -> tuple[str, ...]:
    """A warning for settings that only an audit script follows. There is none for values of a pkginfo."""
    asked = {
        "blocking_applications": settings.blocking_applications is not None,
        "minimum_os_version": settings.minimum_os_version is not None,
    }
    idle = [key for key, given in asked.items() if given]
    if not idle:
        return ()
    return (f"{name!r} has no audit script, so {' and '.join(idle)} {'have' if idle[1:] else 'has'} no effect",)


# Who signed it


def signed_by(target: Target, app: CustomApp | None, plan_input: PlanInput) -> releases.Ledger:
    """What is to be remembered of who signed what a target gets."""
    known = ledger(app, plan_input.remembered) if app is not None else releases.Ledger()
    before = replace(known, signer=_signer_before(target, app, plan_input))
    after = before.signed(plan_input.looked.signer if plan_input.looked else "")
    return releases.Ledger(signer=after.signer, instead_of=after.instead_of)


def _signer_before(target: Target, app: CustomApp | None, plan_input: PlanInput) -> str:
    """Who signed what a target had before; where nobody noted that, what the other app of its pair has.

    What soaks in the test app was judged when it came there, and so for the prod app its own note counts alone.
    """
    known = ledger(app, plan_input.remembered).signer if app is not None else ""
    if known or plan_input.looked is None or plan_input.looked.signature is None:
        return known
    settings, apps = plan_input.settings, plan_input.tenant.apps
    names = [name for name in (target.name, settings.prod.name, settings.test.name) if name]
    notes = (ledger(other, plan_input.remembered).signer for name in names for other in matching.by_name(apps, name))
    return next(filter(None, notes), "")


def _distrust(target: Target, app: CustomApp | None, plan_input: PlanInput) -> str:
    """Why an installer is not published for who signed it, and what to do; "" where nothing stands against it."""
    if plan_input.looked is None:
        return ""
    before = _signer_before(target, app, plan_input)
    return signers.problem(plan_input.looked, before, plan_input.settings, plan_input.expected_teams)


def _signer_told(target: Target, app: CustomApp | None, plan_input: PlanInput) -> str:
    if plan_input.looked is None:
        return ""
    return signers.told(plan_input.looked, _signer_before(target, app, plan_input))


def _notes(target: Target, app: CustomApp | None, plan_input: PlanInput) -> Mapping[str, str]:
    """What the audit script of an app that gets another installer is to remember."""
    given = plan_input.notes.get(target.stage)
    if given is not None:
        return given
    known, sha256 = signed_by(target, app, plan_input), plan_input.installer.sha256
    if sha256 and plan_input.installer.content:
        now = replace(coming(plan_input, sha256, plan_input.now), signer=known.signer, instead_of=known.instead_of)
        known = replace(known, current=now)
    return releases.to_notes(known)


def _withheld(app: CustomApp | None, plan_input: PlanInput) -> tuple[Action, str] | None:
    """Why a version is not published although it is a new one: it is above the pin, or was rolled back."""
    ours = published_version(plan_input)
    pin = plan_input.settings.pin_version
    if pin and not ours:
        unknown = f"the version of {plan_input.installer.name!r} is not known; let the recipe set it"
        return Action.REFUSED, f"pin_version is {pin}, and {unknown}"
    if releases.above_pin(ours, pin):
        return Action.PINNED, f"version {ours} is above pin_version {pin}"
    if (patterns := plan_input.settings.exclude_versions) and (out := _excluded(ours, patterns, plan_input)):
        return out
    if app is None:
        return None
    mark = ledger(app, plan_input.remembered).rolled_back
    if releases.taken_back(ours, plan_input.installer.sha256 or "", mark):
        return Action.HELD, f"version {mark} was rolled back; {ours} is not published, a newer one will be"
    return None


def _excluded(ours: str, patterns: tuple[str, ...], plan_input: PlanInput) -> tuple[Action, str] | None:
    if not ours:
        unknown = f"the version of {plan_input.installer.name!r} is not known; let the recipe set it"
        return Action.REFUSED, f"exclude_versions is set, and {unknown}"
    pattern = releases.excluded(ours, patterns)
    return (Action.HELD, f"version {ours} is excluded (exclude_versions: {pattern})") if pattern else None


def _halted(app: CustomApp, plan_input: PlanInput) -> str:
    """Why an app is left as it is: what it has was halted, and this is no newer version; else ""."""
    halt, ours = ledger(app, plan_input.remembered).halted, published_version(plan_input)
    if halt is None or not releases.taken_back(ours, plan_input.installer.sha256 or "", halt.release):
        return ""
    return halt_told(app.name, halt)


def halt_told(name: str, halt: releases.Halt) -> str:
    """What is halted and why, and what can be done."""
    return (
        f"{halt.release} is halted: {halt.why}. Publish a newer version, go back (kandji-uploader rollback "
        f"'{name}'), or let it go on: kandji-uploader resume '{name}'"
    )


def published_version(plan_input: PlanInput) -> str:
    """What the run calls the version; "" where that is not known."""
    return plan_input.identity.version or matching.version_in(plan_input.installer.name) or ""


def live_contents(app: CustomApp, given: str) -> releases.Contents:
    """The contents of a release as an app has them in Kandji, only those that settings gave; see `Contents.given`."""
    reading = audit.read(app.audit_script)
    return releases.Contents(
        preinstall_script=app.preinstall_script,
        postinstall_script=app.postinstall_script,
        restart=app.restart,
        unzip_location=app.unzip_location,
        blocking_applications=reading.blocking_applications,
        minimum_os_version=reading.minimum_os_version,
    ).only(given)


def coming(plan_input: PlanInput, sha256: str, now: float) -> releases.Release:
    """The installer of a plan input as the release that an app is to have from now on."""
    identity = plan_input.identity
    return releases.Release(
        version=published_version(plan_input),
        sha256=sha256,
        at=now,
        install_type=plan_input.installer.type,
        app_name=identity.app_name,
        bundle_id=identity.bundle_id,
        package_id=identity.package_id,
        version_key=identity.version_key,
        signer=plan_input.looked.signer if plan_input.looked else "",
        content=plan_input.installer.content,
    )


def ledger(app: CustomApp, remembered: Mapping[str, Mapping[str, str]]) -> releases.Ledger:
    """The releases of an app that are known: from its audit script and from this machine's state folder."""
    reading = audit.read(app.audit_script)
    script = releases.from_notes(reading.notes)
    state = releases.from_notes(remembered.get(app.id, {}))
    # A script that another run has written since knows better than this machine what the app has now.
    stale = state.current is not None and not state.current.held_by(app.sha256, app.file_key)
    known = releases.merge(script, state, stale=stale and reading.writer is not None)
    # A script of ours tells it, also where it was lifted by another machine; and another file is another release.
    halted = script.halted if reading.known else state.halted
    return replace(known, halted=halted if halted and halted.release.held_by(app.sha256, app.file_key) else None)


def _downgrade(reading: audit.AuditReading, app: CustomApp, plan_input: PlanInput) -> tuple[Action, str] | None:
    """Why publishing would be a downgrade; None if it is none, if it is allowed, or if a version is not known."""
    ours = published_version(plan_input)
    noted = ledger(app, plan_input.remembered).current
    named = matching.version_in(app.file_name)
    live = reading.version or named
    if noted is not None and noted.version and noted.held_by(app.sha256, app.file_key):
        live = noted.version  # The file decides, and not what somebody has written into its audit script.
    # A version that is not known on one side is no proof of a downgrade.
    if plan_input.settings.allow_downgrade or not ours or not live or version.compare(ours, live) >= 0:
        return None
    said = ""
    if live == reading.version and named and version.compare(live, named) != 0:
        said = f" (by its audit script; the file there is {matching.stored_name(app.file_name)})"
    text = f"version {live} in Kandji is higher than {ours}{said}. Set allow_downgrade to publish it all the same"
    return Action.REFUSED, text


def _extras(target: Target) -> dict[str, str | bool]:
    given = {
        "preinstall_script": target.preinstall_script,
        "postinstall_script": target.postinstall_script,
        "restart": target.restart,
        **target.fields,
    }
    return {name: value for name, value in given.items() if value is not None}


def _differs(live: str | bool | None, wanted: str | bool, *, unknown: bool) -> bool:
    """Whether a field is to be sent.

    If the service does not tell a field (None), `unknown` decides: such a field is no reason to write, but is sent
    along with another change.
    """
    return unknown if live is None else not same_value(live, wanted)


def same_value(live: str | bool, sent: str | bool) -> bool:
    """Whether a field of the live app is as it was sent. The service may trim texts and change their line ends."""
    if isinstance(live, str) and isinstance(sent, str):
        return live.replace("\r\n", "\n").strip() == sent.replace("\r\n", "\n").strip()
    return live == sent


def _category(target: Target, categories: Sequence[Category]) -> tuple[Category, tuple[str, ...]]:
    """The Self Service category of a target, and a warning where it is not the one that was asked for.

    Raises:
        TargetError: neither the one asked for nor the default one exists.
    """
    # A category that was renamed in Kandji is no reason to keep a version from the Macs: the default one stands in.
    known = {category.name: category for category in categories}
    if target.category and target.category in known:
        return known[target.category], ()
    if target.default_category in known:
        if not target.category:
            return known[target.default_category], ()
        text = f"the Self Service category {target.category!r} does not exist; {target.default_category!r} is used"
        return known[target.default_category], (text,)
    asked = f"{target.category!r} nor the default {target.default_category!r}" if target.category else None
    missing = f"neither {asked}" if asked else f"the default Self Service category {target.default_category!r} does not"
    listing = ", ".join(sorted(known)) or "none"
    raise TargetError(f"{missing} exist{'s' if asked else ''} for {target.name!r}. The tenant has: {listing}")


def with_missing_blueprints(found: TargetPlan, tenant: TenantData) -> TargetPlan:
    """The plan of an app that is left as it is, with the Blueprints that it must still be added to."""
    if found.app is None or found.action.writes or found.action.bad:
        return found
    assign = missing_blueprints(found.target, found.app, tenant)
    if assign and found.action is Action.UNCHANGED:
        found = replace(found, action=Action.UPDATE, reason="only blueprints differ")
    return replace(found, assign=assign)


def missing_blueprints(target: Target, app: CustomApp, tenant: TenantData) -> tuple[str, ...]:
    """The Blueprints of the target that lack the app, of those whose content was read."""
    missing = []
    for wanted in target.blueprints:
        blueprint, _ = resolve_blueprint(wanted, tenant.blueprints)
        if app.id not in tenant.items.get(blueprint.id, {app.id}):
            missing.append(wanted)
    return tuple(missing)


def check_blueprints(target: Target, blueprints: Sequence[Blueprint]) -> None:
    """Raise TargetError unless every Blueprint of the target exists, exactly once."""
    for wanted in target.blueprints:
        resolve_blueprint(wanted, blueprints)


def resolve_blueprint(wanted: str, blueprints: Sequence[Blueprint]) -> tuple[Blueprint, str | None]:
    """A Blueprint by name or id, with the node of `name:node-id` where one is given.

    Raises:
        TargetError: there is none, or there are several of that name.
    """
    exact = [item for item in blueprints if wanted in (item.name, item.id)]
    if len(exact) == 1:
        return exact[0], None
    # A name may hold a colon itself, so the whole text is looked for first.
    name, _, node = wanted.rpartition(":")
    mapped = [item for item in blueprints if name and name in (item.name, item.id)]
    if len(mapped) == 1 and not exact:
        return mapped[0], node
    if exact or mapped:
        raise TargetError(f"several Blueprints are named {wanted!r}; give the id of the one that is meant")
    listing = ", ".join(sorted(item.name for item in blueprints)) or "none"
    raise TargetError(f"there is no Blueprint {wanted!r}. The tenant has: {listing}")
