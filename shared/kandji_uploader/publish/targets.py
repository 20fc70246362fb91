"""Which Custom Apps a run is about, and what the audit script will look for on a Mac: pure rules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from kandji_uploader._util import version
from kandji_uploader._util.names import listed
from kandji_uploader.errors import AuditScriptError, Problem, SettingsError
from kandji_uploader.models import AppFacts, Enforcement, Settings, Stage, StageSettings, Target
from kandji_uploader.publish.plan import EnforcedIdentity
from kandji_uploader.settings import new_app_name


@dataclass(frozen=True)
class RecipeFacts:
    """Facts that the caller has already: AutoPkg's variables, or flags.

    Attributes:
        name: what the software is called (`NAME`), for a Custom App that is named by `new_app_naming`.
        version: AutoPkg's `version`.
        bundle_id: AutoPkg's `bundleid`.
        app_name: AutoPkg's `app_name`, with or without `.app`.
        category: the Self Service category of a Self Service app that was given none.
        blocking_applications: see `Target`; for a recipe that says nothing of them.
        minimum_os_version: likewise.
        notes: what of all this cannot be used, one sentence each.
        expected_teams: Team IDs that the recipe has AutoPkg's CodeSignatureVerifier look for.
    """

    name: str | None = None
    version: str | None = None
    bundle_id: str | None = None
    app_name: str | None = None
    category: str | None = None
    blocking_applications: tuple[str, ...] | None = None
    minimum_os_version: str | None = None
    notes: tuple[str, ...] = ()
    expected_teams: tuple[str, ...] = ()

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> RecipeFacts:
        """The facts, as JSON holds what `dataclasses.asdict` makes of them."""
        known: dict[str, Any] = {name: tuple(each) if isinstance(each, list) else each for name, each in plain.items()}
        return cls(**known)

    @property
    def bundle_name(self) -> str | None:
        """The app name as it is on disk, such as `Firefox.app`."""
        if not self.app_name:
            return None
        return self.app_name if self.app_name.endswith(".app") else f"{self.app_name}.app"

    @property
    def complete(self) -> bool:
        """Whether an audit script could be written without reading the installer."""
        return bool(self.version and (self.bundle_id or self.app_name))


def decide_targets(
    settings: Settings, app_name: str, scripts: Mapping[str, str], given: RecipeFacts | None = None
) -> tuple[Target, ...]:
    """The targets of a run. The test app comes first, so that a problem shows there.

    Args:
        settings: what holds.
        app_name: the software's name, for `new_app_naming`.
        scripts: the texts of the pre- and postinstall scripts, by path.
        given: what the caller knows, for what the settings leave open. Unlike one of the settings, its category makes
            no app a Self Service app.
    """
    given = given or RecipeFacts()
    before = [ring.stage for ring in settings.rings[:-1]] or [settings.test]
    stages = [(Stage.TEST, each) for each in before if each.name] + [(Stage.PROD, settings.prod)]
    if not settings.app_names:
        stages = [(Stage.PROD, replace(settings.prod, name=new_app_name(settings, app_name)))]
    return tuple(_target(stage, each, settings, scripts, given) for stage, each in stages if each.name)


@dataclass(frozen=True)
class Hop:
    """Two Custom Apps between which releases move: a test app and its prod app, or a ring and the one after it.

    Attributes:
        settings: what holds for these two; `promotion` is never None.
        targets: the app that has a release first, and the one that takes it.
        onward: where a release moves from there; None where that is the last app.
    """

    settings: Settings
    targets: tuple[Target, Target]
    onward: Hop | None = None


def hops(settings: Settings, targets: tuple[Target, ...]) -> tuple[Hop, ...]:
    """The pairs of a run's targets, the first pair first; empty where nothing moves."""
    found: list[Hop] = []
    for place, each in reversed(list(enumerate(settings.hops))):
        pair = replace(targets[place], stage=Stage.TEST), replace(targets[place + 1], stage=Stage.PROD)
        found.insert(0, Hop(each, pair, found[0] if found else None))
    return tuple(found)


def _target(
    stage: Stage, stage_settings: StageSettings, settings: Settings, scripts: Mapping[str, str], given: RecipeFacts
) -> Target:
    blocking, given_type = settings.blocking_applications, stage_settings.enforcement_type or settings.enforcement_type
    enforcement = given_type or settings.default_enforcement
    # As in kpkg and KAPPA: who names a category means Self Service.
    if stage_settings.category:
        enforcement = Enforcement.SELF_SERVICE
    own_category = given.category if enforcement is Enforcement.SELF_SERVICE else None
    values = {
        **{name: value for name, value in vars(stage_settings).items() if name != "enforcement_type"},
        "category": stage_settings.category or own_category,
        "preinstall_script": scripts.get(stage_settings.preinstall_script or ""),
        "postinstall_script": scripts.get(stage_settings.postinstall_script or ""),
    }
    return Target(
        stage=stage,
        enforcement=enforcement,
        enforcement_given=given_type is not None and not stage_settings.category,
        unzip_location=settings.unzip_location if settings.unzip_location_given else None,
        blocking_applications=given.blocking_applications if blocking is None else blocking,
        minimum_os_version=settings.minimum_os_version or given.minimum_os_version,
        **values,
    )


def identify(given: RecipeFacts, facts: AppFacts | None) -> tuple[EnforcedIdentity, tuple[str, ...]]:
    """What the audit script looks for, and warnings about it.

    A given value wins over a read one, but the version must be what the Mac will really say: the Info.plist's of the
    app that is installed, or the receipt's.

    Raises:
        AuditScriptError: it is not clear which app is meant, or the given names are not in the installer.
    """
    if facts is None:
        return EnforcedIdentity(given.bundle_name, given.bundle_id, None, given.version), ()
    # A guess would have the audit look for the wrong app on every Mac, and install for ever where it is not there.
    if facts.ambiguous:
        raise AuditScriptError(
            f"the installer holds several apps with an equal claim: {listed(facts.ambiguous)}. "
            "Say which is meant with `app_name` or `bundleid` in the recipe"
        )
    given, notes = _reconciled(given, facts)
    if facts.app_name is None:
        return _receipt(given, facts), notes
    read = facts.version
    if given.version and read and version.compare(given.version, read) != 0:
        text = (
            f"the recipe says version {given.version}, the app's {facts.version_key} says {read}; "
            f"the audit script enforces {read}, which is what a Mac will report"
        )
        notes = (*notes, text)
    key = facts.version_key or "CFBundleShortVersionString"
    name = given.bundle_name or facts.app_name
    return EnforcedIdentity(name, given.bundle_id or facts.bundle_id, facts.package_id, read, key), notes


def _receipt(given: RecipeFacts, facts: AppFacts) -> EnforcedIdentity:
    """For an installer without an app: the app that the recipe names, else the package's receipt."""
    if given.bundle_id or given.app_name:
        return EnforcedIdentity(
            given.bundle_name, given.bundle_id, facts.package_id, given.version or facts.package_version
        )
    return EnforcedIdentity(package_id=facts.package_id, version=facts.package_version or given.version)


def _reconciled(given: RecipeFacts, facts: AppFacts) -> tuple[RecipeFacts, tuple[str, ...]]:
    """The given names, checked against what the installer holds.

    Recipes often set `bundleid` to the package's id; an audit that looked for an app of that id would never find it.
    """
    notes: list[str] = []
    packages = {record.id for record in facts.packages}
    apps = {record.bundle_id for record in facts.apps}
    bundle_id = given.bundle_id
    if bundle_id in packages and bundle_id not in apps:
        notes.append(
            f"`bundleid` {bundle_id!r} is the package's id, not an app's; the audit goes by what was installed"
        )
        bundle_id = None
    if bundle_id and facts.apps and bundle_id not in apps:
        known = listed(sorted(filter(None, apps))) or "none"
        raise AuditScriptError(
            f"`bundleid` {bundle_id!r} is not in the installer (its apps: {known}); an audit for it would reinstall "
            "forever. Correct or drop `bundleid` in the recipe"
        )
    name = given.bundle_name
    names = {record.name for record in facts.apps}
    if name and names and name not in names:
        if not (bundle_id or facts.bundle_id):
            raise AuditScriptError(
                f"`app_name` {name!r} is not in the installer (its apps: {listed(sorted(names))}). Correct it"
            )
        notes.append(f"`app_name` {name!r} is not in the installer (its apps: {listed(sorted(names))}); it is not used")
        name = None
    return replace(given, bundle_id=bundle_id, app_name=name), tuple(notes)


def custom_app_name(given: RecipeFacts, facts: AppFacts | None, file_name: str) -> str:
    """The software's name, for a Custom App that no setting names."""
    if given.name:
        return given.name
    app = given.bundle_name or (facts.app_name if facts else None)
    if app:
        return app.removesuffix(".app")
    return file_name.rsplit(".", 1)[0]


def identifiers(given: RecipeFacts, facts: AppFacts | None) -> tuple[str, ...]:
    """Package ids and bundle ids by which the package map may know the installer, best first."""
    found = [given.bundle_id]
    if facts is not None:
        found += [facts.package_id, *(record.id for record in facts.packages)]
        found += [facts.bundle_id, *(record.bundle_id for record in facts.apps)]
    return tuple(dict.fromkeys(item for item in found if item))


def script_problem(path: str, why: str) -> SettingsError:
    """A pre- or postinstall script that cannot be read."""
    return SettingsError([Problem(path, "", None, f"the script cannot be read ({why}); correct the path")])
