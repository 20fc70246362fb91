"""The words of the domain as values that never change once made.

Custom App, stage, enforcement, installer facts, settings: what the rest of the library passes along.
Nothing here reads a file, a clock or the network.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from enum import Enum
from pathlib import Path
from types import MappingProxyType
from typing import SupportsIndex

from kandji_uploader._util.secret import Secret


class Stage(str, Enum):
    """Which of the two Custom Apps of a piece of software is meant: production or test."""

    PROD = "prod"
    TEST = "test"


@dataclass(frozen=True)
class Tenant:
    """A tenant that a caller names, in place of the one in the settings.

    Its token does not show where it is printed, and it cannot be pickled or copied with it.

    Attributes:
        name: what people call it.
        url: the API's address, such as `acme.api.kandji.io`; with or without `https://`.
        token_name: under which name the environment or the keychain holds the token; None for what the settings say.
        token: the API token itself; None where it is to be looked up, on the machine that uses it.
        keys: what differs there, as an entry of tenants.yaml holds it.
    """

    name: str
    url: str
    token_name: str | None = None
    token: str | None = field(default=None, repr=False)
    keys: Mapping[str, object] = field(default_factory=dict, hash=False)

    def __reduce_ex__(self, protocol: SupportsIndex) -> str | tuple[object, ...]:
        if self.token is not None:
            raise TypeError("a Tenant with its token cannot be copied or pickled; give it a token_name instead")
        return object.__reduce_ex__(self, protocol)


class InstallType(str, Enum):
    """What kind of file the installer is, in the API's words (`install_type`)."""

    PACKAGE = "package"
    IMAGE = "image"
    ZIP = "zip"


class Enforcement(str, Enum):
    """How a Custom App is enforced, in the words of recipes and of the config file."""

    AUDIT_ENFORCE = "audit_enforce"
    SELF_SERVICE = "self_service"
    INSTALL_ONCE = "install_once"
    UPDATE_ONLY = "update_only"
    """Continuously enforced, but a Mac that lacks the app passes the audit."""

    @property
    def api_value(self) -> str:
        """The API's `install_enforcement` for it."""
        return _API_ENFORCEMENT[self]

    @property
    def audited(self) -> bool:
        """Whether an app enforced so carries an audit script."""
        return self in (Enforcement.AUDIT_ENFORCE, Enforcement.UPDATE_ONLY)


_API_ENFORCEMENT = {
    Enforcement.AUDIT_ENFORCE: "continuously_enforce",
    Enforcement.UPDATE_ONLY: "continuously_enforce",
    Enforcement.SELF_SERVICE: "no_enforcement",
    Enforcement.INSTALL_ONCE: "install_once",
}


@dataclass(frozen=True)
class AppRecord:
    """One app bundle found in an installer.

    Attributes:
        path: where it is in the installer, `/`-separated, without a leading `./` or `/`.
        bundle_id: `CFBundleIdentifier`, None where there is none.
        short_version: `CFBundleShortVersionString`.
        bundle_version: `CFBundleVersion`.
        install_path: where the installer puts it on a Mac; None for an app in a .dmg or .zip.
        minimum_os_version: `LSMinimumSystemVersion`.
    """

    path: str
    bundle_id: str | None = None
    short_version: str | None = None
    bundle_version: str | None = None
    install_path: str | None = None
    minimum_os_version: str | None = None

    @property
    def name(self) -> str:
        """The bundle's own name, such as `Firefox.app`."""
        return self.path.rsplit("/", 1)[-1]


@dataclass(frozen=True)
class PackageRecord:
    """One component package found in an installer.

    Attributes:
        id: the package id (`identifier` of PackageInfo), as `pkgutil` knows the receipt on a Mac.
        version: the package version of the receipt.
        install_location: as PackageInfo says it; None where it does not.
        path: the component's folder in the product, or the inner .pkg's path; "" for a flat component itself.
        size: bytes of its payload as stored, 0 where there is none.
    """

    id: str
    version: str | None = None
    install_location: str | None = None
    path: str = ""
    size: int = 0


@dataclass(frozen=True)
class Signature:
    """Who signed an installer, and what of that was verified.

    Attributes:
        status: `signed`; `unsigned`; `adhoc`, a seal that names nobody; `broken`, also where a certificate had expired
            and no secure timestamp tells that the signature is older; `not_looked_at`, with the reason in `why`.
        name: of the signer, as the certificate has it; None where nobody is named.
        team_id: the signer's Team ID; only where Apple vouches for it, so never with a root of somebody else.
        authority: `developer_id_installer`, `developer_id_application`, `apple`, `mac_app_store`, or `other` for any
            other certificate and for one that does not lead to Apple; None where nobody signed.
        timestamp: when Apple's timestamp authority saw it, in ISO 8601 and UTC; None where it did not.
        notarized: whether a notarization ticket is stapled to it, is signed by Apple, and names this very file.
        of: whose signature this is: `package` or `app`; None where nothing was looked at.
        why: the defect, or why nothing was looked at; "" otherwise.
        verified: what was verified, a few words each.
        not_verified: what was not, likewise.
    """

    status: str
    name: str | None = None
    team_id: str | None = None
    authority: str | None = None
    timestamp: str | None = None
    notarized: bool = False
    of: str | None = None
    why: str = ""
    verified: tuple[str, ...] = ()
    not_verified: tuple[str, ...] = ()

    def __str__(self) -> str:
        if self.status == "signed":
            team = f" ({self.team_id})" if self.team_id else ""
            return f"signed by {self.name or 'nobody that is named'}{team or self._foreign}"
        word = {"adhoc": "ad hoc", "not_looked_at": "not looked at"}.get(self.status, self.status)
        return f"{word}: {self.why}" if self.why else word

    @property
    def _foreign(self) -> str:
        return ", for whom Apple does not vouch" if self.authority == "other" else ""


@dataclass(frozen=True)
class Content:
    """What an installer brings to a Mac.

    Attributes:
        digest: 32 hexadecimal digits, the same for an installer that was only packaged again; "" where there is none.
        why: why there is none; "" where there is one.
    """

    digest: str = ""
    why: str = ""


@dataclass(frozen=True)
class AppFacts:
    """What an installer is, as read from it without macOS tools.

    Attributes:
        type: package, image or zip, by content and not by suffix.
        app_name: the bundle name of the app that is meant, such as `Firefox.app`.
        bundle_id: its `CFBundleIdentifier`.
        version: the version that `version_key` of its Info.plist holds.
        version_key: `CFBundleShortVersionString`, else `CFBundleVersion`; what an audit on the Mac must compare.
        package_id: the id of the component that stands for the installer.
        package_version: the version of that component's receipt.
        minimum_os_version: the lowest macOS that the app says it runs on.
        signed: whether there is a signature; no verdict on it.
        apps: all app bundles found, helpers inside other bundles excepted.
        packages: all component packages found.
        sha256: hex digest of the file; None where it was not asked for.
        size: bytes.
        ambiguous: paths of the candidates where two apps have an equal claim; then app_name, bundle_id and
            version are None.
        warnings: about the file, one sentence each.
        signature: who signed it; None where it was not asked for.
        content: digest of what it brings to a Mac, which one that was only packaged again shares; "" where it has none
            or that was not asked for.
        content_unknown: why it has none; "" where it has one, or that was not asked for.
    """

    type: InstallType
    size: int
    app_name: str | None = None
    bundle_id: str | None = None
    version: str | None = None
    version_key: str | None = None
    package_id: str | None = None
    package_version: str | None = None
    minimum_os_version: str | None = None
    signed: bool = False
    apps: tuple[AppRecord, ...] = ()
    packages: tuple[PackageRecord, ...] = ()
    sha256: str | None = None
    ambiguous: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    signature: Signature | None = None
    content: str = ""
    content_unknown: str = ""


WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@dataclass(frozen=True)
class Window:
    """The hours of the week in which releases move from ring to ring.

    Attributes:
        days: on which it opens, of `WEEKDAYS`, in their order.
        hours: from when to when, such as `09:00-15:00`; one that closes before it opens closes on the day after.
        zone: by whose clock, such as `Europe/Vienna`.
    """

    days: tuple[str, ...]
    hours: str
    zone: str

    @property
    def minutes(self) -> tuple[int, int]:
        """When it opens and closes, in minutes since midnight."""
        opens, closes = (int(each[:2]) * 60 + int(each[3:]) for each in self.hours.split("-"))
        return opens, closes

    def has(self, day: date) -> bool:
        """Whether it opens on a day."""
        return WEEKDAYS[day.weekday()] in self.days

    def given(self) -> dict[str, object]:
        """As it is written in a file."""
        return {"days": list(self.days), "hours": self.hours, "zone": self.zone}

    def __str__(self) -> str:
        return f"{','.join(self.days)} {self.hours} {self.zone}"


@dataclass(frozen=True)
class Freeze:
    """A time in which nothing is published.

    Attributes:
        begins: when; without a zone it is by the clock of `zone`. None for ever since.
        ends: the first moment after it, likewise.
        until: its end as it was given; a day is meant as a whole.
        since: its beginning as it was given; "" for ever since.
        why: for people.
        zone: by whose clock; "" for that of the window, else UTC.
    """

    begins: datetime | None
    ends: datetime
    until: str
    since: str = ""
    why: str = ""
    zone: str = ""

    def given(self) -> dict[str, object]:
        """As it is written in a file."""
        words = {"from": self.since, "until": self.until, "why": self.why, "zone": self.zone}
        return {key: word for key, word in words.items() if word}

    def __str__(self) -> str:
        since = f"from {self.since} " if self.since else ""
        zone = f" ({self.zone})" if self.zone else ""
        return f"{since}until {self.until}{zone}{f': {self.why}' if self.why else ''}"


SEVERITIES = ("low", "medium", "high", "critical")


@dataclass(frozen=True)
class FastLane:
    """For which vulnerabilities a release that closes one moves faster, and how much.

    Attributes:
        severity: at least that severe, of `SEVERITIES`; None where the severity opens no lane.
        kev: also those that are known to be exploited (CISA's list of them), whatever their severity.
        after_days: days of the soak then; None for the usual ones.
        deadline_days: days until the audit script enforces it then; None for the usual ones.
    """

    severity: str | None = None
    kev: bool = False
    after_days: float | None = None
    deadline_days: int | None = None

    def given(self) -> dict[str, object]:
        """As it is written in a file."""
        return {name: value for name, value in vars(self).items() if value not in (None, False)}

    def __str__(self) -> str:
        return ", ".join(f"{name}: {str(value).lower()}" for name, value in self.given().items())


@dataclass(frozen=True)
class Promotion:
    """When the version of the test app may move to the prod app.

    Attributes:
        after_days: days that it must have been in the test app.
        min_pass: Macs that must report PASS; None for no such rule.
        max_error_percent: Macs in ERROR, per cent of those that reported; None for no such rule.
        require_status: hold where the status of the Macs cannot be read, also where no other rule asks for it.
        min_percent: Macs that must have reported on it, per cent of those in scope; None for no such rule.
        on_unhealthy: `restart` or `pause`: `after_days` counts the days on which the rules about the Macs held, by
            what every run has seen, and a run that sees that they do not hold begins to count anew, or stops until they
            do. None: all days count, and what the Macs say is asked when they are over.
        halt_percent: Macs in ERROR in the prod app (or the ring that has these rules), per cent of those that reported,
            above which a release is halted there; None where nobody watches.
        halt_min: Macs in ERROR at the least, for that.
        on_halt: `stop`, or `rollback` to put the release before it back.
        window: in place of the window of all apps; None for that one.
        approve: whether somebody has to approve of each release.
        fast_lane: for which vulnerabilities a release moves faster; None for none.
    """

    after_days: float = 0.0
    min_pass: int | None = None
    max_error_percent: float | None = None
    require_status: bool = False
    min_percent: float | None = None
    on_unhealthy: str | None = None
    halt_percent: float | None = None
    halt_min: int = 3
    on_halt: str = "stop"
    window: Window | None = None
    approve: bool = False
    fast_lane: FastLane | None = None

    @property
    def asks_macs(self) -> bool:
        """Whether any rule is about the Macs' health; then it must be known, or nothing moves."""
        limits = (self.min_pass, self.max_error_percent, self.min_percent)
        return self.require_status or any(limit is not None for limit in limits)

    @property
    def sampled(self) -> bool:
        """Whether only the days count on which the rules about the Macs held."""
        return self.on_unhealthy is not None and self.asks_macs


@dataclass(frozen=True, kw_only=True)
class StageValues:
    """What is set for a stage, and so for its Custom App.

    Attributes:
        category: the Self Service category given by recipe, flag or map; None where none was given.
        default_category: the category of the config file, for Self Service apps that were given none.
        delay_days: days until the audit script enforces a new version.
        preinstall_script: of settings the path of a script, of a target its text; None leaves what the app has in
            Kandji.
        postinstall_script: likewise.
        restart: whether a Mac restarts after the install; None leaves what the app has.
        blueprints: names or ids, optionally `name:node-id` for a node of an Assignment Map.
        enforcement_deadline: when the audit script enforces, whatever the delay says; with a time zone.
        fields: what becomes a field of the request as it is, by the API's name; others stay as the app has them.
    """

    category: str | None = None
    default_category: str = "Apps"
    delay_days: int = 0
    preinstall_script: str | None = None
    postinstall_script: str | None = None
    restart: bool | None = None
    blueprints: tuple[str, ...] = ()
    enforcement_deadline: datetime | None = None
    fields: Mapping[str, str | bool] = field(default_factory=lambda: MappingProxyType({}), hash=False)


@dataclass(frozen=True, kw_only=True)
class StageSettings(StageValues):
    """The settings of one stage.

    Attributes:
        name: the Custom App's name; None where this stage is not asked for.
        enforcement_type: given for a new app of this stage alone; None where none was given.
    """

    name: str | None = None
    enforcement_type: Enforcement | None = None


@dataclass(frozen=True)
class Ring:
    """A Custom App with the Macs that get a release at the same time; rings take it one after the other.

    Attributes:
        stage: the settings of its Custom App.
        rules: when it takes a release from the ring before it; the first ring takes each as it is published.
    """

    stage: StageSettings
    rules: Promotion = Promotion()

    def __str__(self) -> str:
        return self.stage.name or ""


@dataclass(frozen=True)
class Listener:
    """Somebody who hears of runs.

    Attributes:
        name: how messages to the user call it.
        on: what it hears of: `all`, `failed` (also what is halted or pending), `promoted` (also what is rolled back).
        secret: the name under which the environment or keychain keeps its address; "" where that is in `url`.
        url: its address, where the config file holds it.
        is_slack: whether it is Slack's incoming webhook, which needs no further package.
    """

    name: str
    on: tuple[str, ...] = ("all",)
    secret: str = ""
    url: Secret | None = None
    is_slack: bool = False

    def __str__(self) -> str:
        """As `kandji-uploader config` shows it."""
        return f"{self.name} ({', '.join(self.on)})"

    @property
    def key(self) -> str:
        """What tells it from others."""
        return self.secret or self.name


@dataclass(frozen=True)
class Settings:
    """All that holds for a run, resolved from the precedence ladder; `origins` tells where each value came from.

    Attributes:
        api_url: `https://HOST` (or `http://` on loopback), without a trailing slash or path; "" where nothing is sent,
            since `publish_to` holds.
        token_name: name of the API token in the environment or keychain.
        tenant: what the tenant is called in tenants.yaml or by the caller; "" for the one of the settings.
        tenants: which tenants were asked for, as it was said; empty where none was.
        keystore_environment: look the secrets up in the environment.
        keystore_keychain: look the secrets up in the keychain.
        keystore_plaintext: also in one that keeps them as plain text.
        environment_first: `ENV_KEYSTORE`: the environment before the keychain, on every platform.
        slack_enabled: post a message after a run that changed something or failed.
        slack_on: what Slack hears of; see `Listener.on`.
        notify: who else hears of runs; None for nobody.
        digest: tell of all recipes of an AutoPkg run at once, when it ends.
        webhook_name: name of the Slack webhook in the environment or keychain.
        use_recipe_map: read `recipe_map.yaml|json`.
        use_package_map: read `package_map.yaml|json`.
        enforcement_type: given by the recipe, flag or override for new apps; None where none was given.
        default_enforcement: `li_enforcement.type`.
        auto_create_app: create a Custom App where none matches.
        dry_run: plan only; no request that changes anything.
        dynamic_lookup: look for an app by the similarity of installer file names.
        new_app_naming: the name of a new app where none is given; `APPNAME` is replaced.
        unzip_location: where a .zip is unpacked on the Mac.
        unzip_location_given: whether recipe, flag or map gave it (then an existing app is brought in line).
        create_new: always create, even where an app of that name exists.
        publish_to: a folder that takes what a recipe would publish, for another machine; None to publish.
        allow_downgrade: publish a version lower than the one in Kandji.
        require_signed: publish only what is signed by somebody for whom Apple vouches.
        require_notarized: publish only what has a notarization ticket, or is Apple's own or from the Mac App Store.
        expected_team_id: Team IDs (or `apple`) of which one has to have signed it; None where anybody may.
        allow_signer_change: the Team ID that may sign an app which another one has signed before, or `apple`, or
            `unsigned`; None for nobody.
        identity: by what an installer is known: `content`, what it brings to a Mac, or `file`, its bytes.
        urgent: why a version goes to every stage at once, without a soak; None where it is not urgent.
        replace_audit_script: replace an audit script that neither this tool nor KAPPA/kpkg wrote.
        audit_template: path of a custom audit template; None for the bundled one.
        processing_timeout: seconds to wait for `still being processed` before giving up for this run.
        connect_timeout: seconds to wait for a connection.
        idle_timeout: seconds without a byte after which a transfer is given up.
        tries: how often a request that is safe to repeat is sent at the most.
        first_wait: seconds before the second try.
        settle_time: seconds to wait after a create or update before looking whether another machine did the same.
        arch: which variation of a Homebrew cask is meant, `arm64` or `x86_64`.
        promotion: when test becomes prod; None publishes to both at once.
        rings: the rings, in the order in which they take a release; empty where there are none. Then `test` is the
            first and `prod` the last of them (with one ring there is no `test`), and see `hops`.
        pin_version: the highest version that is published; None for no limit.
        hold: whether the app is left as it is.
        exclude_versions: versions that are not published; one that ends in `.*` is all that begin so.
        window: when releases move from ring to ring; None for at any time.
        freezes: when nothing is published; of all places that name some.
        nudge: how many Macs at the most are asked to check in when the test app has got a release; None for none.
        blocking_applications: the apps a user is asked to quit before an upgrade, in place of the app itself; empty
            where nobody is asked, None where nothing was said of it.
        minimum_os_version: the lowest macOS that the audit script asks for an install or upgrade; None where nothing
            was said of it.
        prod: the production stage.
        test: the test stage.
        config_folder: where config.yaml and the maps are.
        state_folder: where journals, caches, the log and downloads are; safe to delete.
        origins: per setting (its key path), where its value came from.
        warnings: about settings that are accepted but odd, one sentence each.
    """

    api_url: str
    token_name: str = "KANDJI_TOKEN"  # noqa: S105 - the name of a token, not a token
    tenant: str = ""
    tenants: tuple[str, ...] = ()
    keystore_environment: bool = True
    keystore_keychain: bool = False
    keystore_plaintext: bool = False
    environment_first: bool = False
    slack_enabled: bool = False
    slack_on: tuple[str, ...] = ("all",)
    notify: tuple[Listener, ...] | None = None
    digest: bool = True
    webhook_name: str = "SLACK_TOKEN"
    use_recipe_map: bool = False
    use_package_map: bool = False
    enforcement_type: Enforcement | None = None
    default_enforcement: Enforcement = Enforcement.AUDIT_ENFORCE
    auto_create_app: bool = True
    dry_run: bool = False
    dynamic_lookup: bool = False
    new_app_naming: str = "APPNAME (AutoPkg)"
    unzip_location: str = "/Applications"
    unzip_location_given: bool = False
    create_new: bool = False
    publish_to: str | None = None
    allow_downgrade: bool = False
    require_signed: bool = False
    require_notarized: bool = False
    expected_team_id: tuple[str, ...] | None = None
    allow_signer_change: str | None = None
    identity: str = "content"
    urgent: str | None = None
    replace_audit_script: bool = False
    audit_template: str | None = None
    processing_timeout: float = 300.0
    connect_timeout: float = 15.0
    idle_timeout: float = 60.0
    tries: int = 5
    first_wait: float = 0.5
    settle_time: float = 3.0
    arch: str = "arm64"
    promotion: Promotion | None = None
    rings: tuple[Ring, ...] = ()
    pin_version: str | None = None
    hold: bool = False
    exclude_versions: tuple[str, ...] = ()
    window: Window | None = None
    freezes: tuple[Freeze, ...] = ()
    nudge: int | None = None
    blocking_applications: tuple[str, ...] | None = None
    minimum_os_version: str | None = None
    prod: StageSettings = StageSettings(delay_days=5)
    test: StageSettings = StageSettings(default_category="Utilities")
    config_folder: Path = Path()
    state_folder: Path = Path()
    origins: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    warnings: tuple[str, ...] = ()

    @property
    def listeners(self) -> tuple[Listener, ...]:
        """Who hears of runs."""
        slack = Listener("Slack", self.slack_on, self.webhook_name, is_slack=True)
        return (*([slack] if self.slack_enabled else []), *(self.notify or ()))

    def stage(self, stage: Stage) -> StageSettings:
        """The settings of one stage."""
        return self.prod if stage is Stage.PROD else self.test

    @property
    def hops(self) -> tuple[Settings, ...]:
        """What holds for each pair of Custom Apps between which releases move, the first pair first.

        In each of them `test` has a release before `prod` takes it, by the rules in `promotion`. With a test app and a
        prod app that is one pair, of rings each one and the next; empty where nothing moves.
        """
        if not self.rings:
            return (self,) if self.promotion is not None else ()
        pairs = zip(self.rings, self.rings[1:], strict=False)
        return tuple(replace(self, test=one.stage, prod=other.stage, promotion=other.rules) for one, other in pairs)

    @property
    def app_names(self) -> tuple[str, ...]:
        """The Custom Apps that are named, in the order in which they take a release."""
        stages = [ring.stage for ring in self.rings] or [self.test, self.prod]
        return tuple(stage.name for stage in stages if stage.name)


class _Script:
    """A field of a Custom App that holds a script. Those of a tenant are alike: an end that several share is kept once.

    Of the audit scripts of 10,000 apps, 36 KB each, all but the first 2 KB is the same.
    """

    def __set_name__(self, owner: type, name: str) -> None:
        self._parts = f"_{name}"

    def __get__(self, app: object | None, owner: type | None = None) -> str:
        return "" if app is None else "".join(getattr(app, self._parts))

    def __set__(self, app: object, text: str) -> None:
        object.__setattr__(app, self._parts, _ends.parted(text))  # as a frozen dataclass sets its fields


class _Ends:
    """The ends that scripts share; threads may learn the same one twice, which costs its memory twice."""

    _WORTH = 1024

    def __init__(self) -> None:
        self._known: deque[str] = deque(maxlen=16)
        self._other = ""

    def parted(self, text: str) -> tuple[str, str]:
        """A script as what is its own, and an end that it shares with others; "" for none."""
        if len(text) < self._WORTH:
            return (text, "") if text else _NO_SCRIPT
        for end in tuple(self._known):
            if text.endswith(end):
                return text[: -len(end)], end
        other, self._other = self._other, text
        same = bisect_left(range(1, min(len(text), len(other)) + 1), True, key=lambda n: text[-n:] != other[-n:])
        if 2 * same < len(text):
            return text, ""
        self._known.appendleft(text[-same:])
        return text[:-same], self._known[0]


_NO_SCRIPT = ("", "")
_ends = _Ends()


@dataclass(frozen=True)
class CustomApp:
    """A Custom App as Kandji's list shows it; the attributes are the API's fields.

    `sha256`, `self_service_category_id` and `self_service_recommended` are None where the answer left them out
    (the documentation shows them in answers to create and update only). Times are the service's own texts. `further`
    are the other texts and flags of the answer, by their names.
    """

    id: str
    name: str
    file_key: str
    install_type: str
    install_enforcement: str
    audit_script: _Script = _Script()
    unzip_location: str = ""
    active: bool = True
    restart: bool = False
    preinstall_script: _Script = _Script()
    postinstall_script: _Script = _Script()
    sha256: str | None = None
    file_size: int | None = None
    file_updated: str | None = None
    created_at: str = ""
    updated_at: str = ""
    show_in_self_service: bool = False
    self_service_category_id: str | None = None
    self_service_recommended: bool | None = None
    further: Mapping[str, str | bool] = field(default_factory=lambda: MappingProxyType({}), hash=False, repr=False)

    def value(self, name: str) -> str | bool | None:
        """What the app has in a field of the API that can be written; None where the answer left it out."""
        found: str | bool | None = getattr(self, name, self.further.get(name))
        return found

    @property
    def file_name(self) -> str:
        """The installer's file name in Kandji's store, with the 8-hex suffix that Kandji adds."""
        return self.file_key.rsplit("/", 1)[-1]

    @property
    def self_service(self) -> bool:
        """Whether the app is offered in Self Service and not enforced."""
        return self.install_enforcement == "no_enforcement" and self.show_in_self_service


@dataclass(frozen=True)
class Category:
    """A Self Service category of the tenant."""

    id: str
    name: str


@dataclass(frozen=True)
class Blueprint:
    """A Blueprint of the tenant; `type` is `classic` or `map` (an Assignment Map)."""

    id: str
    name: str
    type: str = "classic"


@dataclass(frozen=True, kw_only=True)
class Target(StageValues):
    """One Custom App that a run should leave in a given state.

    Attributes:
        stage: production or test.
        name: the Custom App's name.
        enforcement: what a new app gets; an existing one keeps its own.
        enforcement_given: whether recipe, flag or map named the enforcement.
        unzip_location: where recipe, flag or map said that a .zip is unpacked; None where none did.
        blocking_applications: the apps a user is asked to quit before an upgrade, in place of the app itself; empty
            where nobody is asked, None for the app itself.
        minimum_os_version: the lowest macOS that the audit script asks for an install or upgrade; None for any.
    """

    stage: Stage
    name: str
    enforcement: Enforcement
    enforcement_given: bool = False
    unzip_location: str | None = None
    blocking_applications: tuple[str, ...] | None = None
    minimum_os_version: str | None = None


class Action(str, Enum):
    """What the plan says of a target, and what became of it."""

    CREATE = "create"
    UPDATE = "update"
    UNCHANGED = "unchanged"
    PROMOTE = "promote"
    """The prod app gets what has soaked in the test app; nothing is uploaded."""
    ROLL_BACK = "roll back"
    """An app gets a former installer, which is in Kandji's store still."""
    HELD = "held"
    """Nothing is done, for a reason that time or an admin resolves; that is no failure."""
    WAITING = "waiting"
    """Nothing is done before its time, such as the end of a freeze; that is no failure."""
    HALTED = "halted"
    """The Macs that got a version fail with it: nothing of it moves on, and an admin has to look."""
    PINNED = "pinned"
    BUILD = "build"
    """It was put into the folder that `publish_to` names, with a line for `kandji-uploader publish`."""
    CONFLICT = "conflict"
    REFUSED = "refused"
    FAILED = "failed"

    @property
    def writes(self) -> bool:
        """Whether carrying it out changes the tenant."""
        return self in (Action.CREATE, Action.UPDATE, Action.PROMOTE, Action.ROLL_BACK)

    @property
    def bad(self) -> bool:
        """Whether a run with such an outcome has failed."""
        return self in (Action.CONFLICT, Action.REFUSED, Action.FAILED, Action.HALTED)


NOT_SIGNED = "not signed"
PACKAGE_AROUND = "the package around the app: nobody signed its scripts and its other files"
"""In `Signature.not_verified` of an app in a package that nobody signed."""
"""The signer of what nobody signs, now as before: no line of a run says it each time."""


@dataclass(frozen=True)
class Reported:
    """What the Macs said of a release.

    Attributes:
        passed: Macs that have it and said so.
        errors: Macs that failed.
        pending: Macs that have said nothing that tells.
        at: when they were asked, with a time zone.
    """

    passed: int
    errors: int
    pending: int
    at: datetime


@dataclass(frozen=True)
class Candidate:
    """A release that an app has, or had, and that may move on to the next app.

    Attributes:
        version: as it was published.
        since: when it came into the app.
        held: why it does not move yet; "" where nothing holds it, and the next run promotes it.
        digest: what names it; "" where that is not known.
        until: when another one replaced it there; None where none has.
        days: how many days count as soaked.
        health: what its Macs said last; None where they were not asked.
    """

    version: str
    since: datetime
    held: str = ""
    digest: str = ""
    until: datetime | None = None
    days: float = 0.0
    health: Reported | None = None


@dataclass(frozen=True)
class Outcome:
    """What became of one target (or, in a dry run, what would).

    Attributes:
        stage: production or test.
        name: the Custom App's name.
        action: what was done; in a dry run, what would be.
        app_id: the Custom App's id; "" where there is none.
        link: its address in the console; "" where there is none.
        version: the version that was published or found; "" where it is not known.
        enforcement: in the words of recipes; "" where it is not known.
        installer: the installer's file name.
        changes: the API fields that were sent.
        reason: why, one sentence.
        error: what went wrong and what to do; "" where nothing did.
        warnings: what was done otherwise than asked.
        signer: who signed what was published, in words, and whether that is news; "" where nobody looked.
        tenant: the tenant's name; "" for the one of the settings.
        candidates: what may move into it, the newest first; empty for an app that takes from none.
        code: what machines know the error by, where one was raised; else "".
        digest: what names the release that the app has now, in notes and history, too; "" where it is not known.
    """

    stage: Stage
    name: str
    action: Action
    app_id: str = ""
    link: str = ""
    version: str = ""
    enforcement: str = ""
    installer: str = ""
    changes: tuple[str, ...] = ()
    reason: str = ""
    error: str = ""
    warnings: tuple[str, ...] = ()
    signer: str = ""
    tenant: str = ""
    candidates: tuple[Candidate, ...] = ()
    code: str = ""
    digest: str = ""

    @property
    def title(self) -> str:
        """The Custom App, with its tenant where one was named."""
        return f"{self.tenant}: {self.name}" if self.tenant else self.name


@dataclass(frozen=True)
class RunResult:
    """What became of one installer.

    Attributes:
        source: the installer's path, or the cask's name.
        outcomes: one per target, unchanged ones too.
        dry_run: whether this is what would be.
        facts: what was read of the installer; None where that was not needed.
        app_name: what the run calls the software.
        sha256: hex digest of the installer; "" where it was not needed.
        news: whether people want to hear of it although nothing changed.
        urgent: why it went to every stage at once, without a soak; "" where it was not urgent.
        timings: seconds by what they went into: list, read, digest, upload, waiting, settle and other.
    """

    source: str
    outcomes: tuple[Outcome, ...]
    dry_run: bool = False
    facts: AppFacts | None = None
    app_name: str = ""
    sha256: str = ""
    news: bool = False
    urgent: str = ""
    timings: Mapping[str, float] = field(default_factory=dict, compare=False)

    def at(self, tenant: str) -> RunResult:
        """The result with the tenant's name in each outcome; "" for the tenant of the settings."""
        return replace(self, outcomes=tuple(replace(outcome, tenant=tenant) for outcome in self.outcomes))

    @property
    def codes(self) -> tuple[str, ...]:
        """Of each outcome, what machines know its failure by; "" where it has not failed."""
        return tuple((item.code or item.action.value) if item.action.bad else "" for item in self.outcomes)

    @property
    def code(self) -> str:
        """What machines know the failure by; "" where there is none, `failed` where there are several kinds."""
        codes = {code for code in self.codes if code}
        return codes.pop() if len(codes) == 1 else Action.FAILED.value if codes else ""

    @property
    def changed(self) -> bool:
        """Whether the tenant was changed."""
        return not self.dry_run and any(outcome.action.writes for outcome in self.outcomes)

    @property
    def failed(self) -> bool:
        """Whether any target failed, was refused or is in conflict."""
        return any(outcome.action.bad for outcome in self.outcomes)
