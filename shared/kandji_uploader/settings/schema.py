"""Every setting: what it is called where, what it takes, what holds where nobody says anything.

One table serves the ladder, `kandji-uploader config`, the example file and the did-you-mean of error texts.
The names in the config file are those of kpkg, irupkg and KAPPA, so that their config.json works unchanged.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kandji_uploader.models import Enforcement
from kandji_uploader.settings import coercion, hosts, parts
from kandji_uploader.settings.coercion import LONGEST_DELAY, Kind


@dataclass(frozen=True)
class Key:
    """One setting.

    Attributes:
        field: where it is in `Settings`: an attribute, or `prod.` or `test.` and one of the stage. `prod.fields.NAME`:
            its value goes into the request as it is, as the API's field NAME, and nothing else needs to know of it.
        kind: reads a value or raises `UnfitError`.
        purpose: one sentence for tables and the example file.
        config: its key path in the config file; None where it has no place there.
        recipe: its key path among the recipe keys (also a map's); None where it is no recipe key.
        default: what holds where nobody gives it.
        spellings: further key paths in the config file that are understood.
        is_file: the value is the path of a file that must be there.
        once: for one run or for a whole machine, so that it has no place in a map.
        adds: what several places say counts together, and not the highest one alone.
    """

    field: str
    kind: Kind
    purpose: str
    config: str | None = None
    recipe: str | None = None
    default: object = None
    spellings: tuple[str, ...] = ()
    is_file: bool = False
    once: bool = False
    adds: bool = False

    @property
    def path(self) -> str:
        """The name that tables and origins use: the config file's where it has one there."""
        return self.config or self.recipe or ""


def _key(path: str, kind: Kind, purpose: str, default: object = None, **further: Any) -> Key:
    """A key of the config file; its field is called as the last part of its path."""
    return Key(path.rpartition(".")[2], kind, purpose, config=path, default=default, **further)


def _both(path: str, kind: Kind, purpose: str, default: object = None, **further: Any) -> Key:
    """A key of the config file that is a recipe key, too, by the name of its field."""
    return _key(path, kind, purpose, default, recipe=path.rpartition(".")[2], **further)


def _asked(path: str, kind: Kind, purpose: str, default: object = None, **further: Any) -> Key:
    """A recipe key that has no place in the config file, likewise."""
    return Key(path.rpartition(".")[2], kind, purpose, recipe=path, default=default, **further)


def _rule(name: str, kind: Kind, purpose: str) -> Key:
    """A rule of promotion."""
    return Key(f"promotion.{name}", kind, purpose, recipe=f"custom_app.promotion.{name}")


_DAYS = coercion.Number(0, LONGEST_DELAY, "days", whole=True)

API_URL = _key("kandji.api_url", hosts.api_url, "The tenant's API host.", spellings=("iru.api_url",))
TOKEN_NAME = _key(
    "kandji.token_name",
    coercion.secret_name,
    "The name (never the value) of the API token in the environment or keychain.",
    "KANDJI_TOKEN",
    spellings=("iru.token_name",),
)
DEFAULT_ENFORCEMENT = Key(
    "default_enforcement",
    coercion.enforcement,
    "How a new app is enforced where nothing else says so.",
    config="li_enforcement.type",
    default=Enforcement.AUDIT_ENFORCE,
)
PROD_DELAY = Key(
    "prod.delay_days",
    _DAYS,
    "Days until the audit script enforces a new version of the prod app.",
    config="li_enforcement.delays.prod",
    recipe="enforcement_delays.prod",
    default=5,
)
TEST_DELAY = Key(
    "test.delay_days",
    _DAYS,
    "Days until the audit script enforces a new version of the test app.",
    config="li_enforcement.delays.test",
    recipe="enforcement_delays.test",
    default=0,
)
NAMING = _key(
    "zz_defaults.new_app_naming",
    coercion.naming,
    "The name of a new app where none is given, with APPNAME replaced; by default it ends in who made it.",
)
UNZIP_LOCATION = _both(
    "zz_defaults.unzip_location", coercion.mac_folder, "Where a .zip is unpacked on the Mac.", "/Applications"
)

SLACK = Key(
    "slack_enabled",
    coercion.boolean,
    "Post a Slack message after a run that changed something or failed.",
    config="slack.enabled",
    default=False,
)
WEBHOOK_NAME = _key(
    "slack.webhook_name",
    coercion.secret_name,
    "The name (never the value) of the Slack webhook in the environment or keychain.",
    "SLACK_TOKEN",
)
PEOPLE = (
    Key(
        "slack_on",
        coercion.heard,
        "What Slack hears of: all, failed or promoted.",
        config="slack.on",
        default=("all",),
    ),
    _key("digest", coercion.boolean, "Send one message per AutoPkg run; false for one per recipe.", True),
    _key(
        "notify",
        coercion.listeners,
        "Who else hears of runs: a list of `url` (the name of a secret, or an address) and `on`.",
    ),
)
"""Who is told of what, beside Slack's switch."""
ENVIRONMENT = Key(
    "keystore_environment",
    coercion.boolean,
    "Look the secrets up in the environment.",
    config="token_keystore.environment",
    default=True,
)
USE_RECIPE_MAP = _key("use_recipe_map", coercion.boolean, "Read recipe_map.yaml (AutoPkg only).", False)
USE_PACKAGE_MAP = _key("use_package_map", coercion.boolean, "Read package_map.yaml.", False)

DRY_RUN = _both("zz_defaults.dry_run", coercion.boolean, "Show what would be done and change nothing.", False)
STATE_FOLDER = _key(
    "state_folder",
    coercion.folder,
    "The folder of the journal, the caches and the log; by default the platform's for a user's state.",
)

PUBLISH_TO = _both(
    "publish_to",
    coercion.folder,
    "A folder that installers are put into in place of being published, for `kandji-uploader publish` (AutoPkg only).",
    once=True,
)

SIGNER = (
    _both("require_signed", coercion.boolean, "Publish only what is signed by somebody for whom Apple vouches.", False),
    _both(
        "require_notarized",
        coercion.boolean,
        "Publish only what has a notarization ticket, is Apple's own, or is from the Mac App Store.",
        False,
    ),
    _both("expected_team_id", coercion.team_ids, "The Team IDs of which one has to have signed it."),
    _both(
        "allow_signer_change",
        coercion.new_signer,
        "The Team ID that may sign an app which another one has signed before, or `unsigned`.",
    ),
)
"""Who may have signed what is published."""

WINDOW = _key(
    "window",
    parts.window,
    "The hours of the week in which versions move from the test app to the prod app.",
    recipe="custom_app.window",
)
FREEZE = Key(
    "freezes",
    parts.freezes,
    "When nothing is published or promoted, and why; what all places say counts together.",
    config="freeze",
    recipe="custom_app.freeze",
    default=(),
    adds=True,
)
IDENTITY = _both(
    "identity",
    coercion.Choice(("content", "file")),
    "By what an installer is known: `content` (what it brings to a Mac; one that was only packaged again is not "
    "uploaded) or `file` (its bytes).",
    "content",
)

NUDGE = _key(
    "nudge",
    coercion.Number(1, 1000, "Macs", whole=True),
    "How many Macs at the most are asked to check in when the test app has got a new version.",
    recipe="custom_app.nudge",
)

CONFIG_KEYS = (
    API_URL,
    TOKEN_NAME,
    DEFAULT_ENFORCEMENT,
    PROD_DELAY,
    TEST_DELAY,
    SLACK,
    WEBHOOK_NAME,
    *PEOPLE,
    ENVIRONMENT,
    Key(
        "keystore_keychain",
        coercion.boolean,
        "Look the secrets up in the keychain.",
        config="token_keystore.keychain",
        default=False,
    ),
    Key(
        "keystore_plaintext",
        coercion.boolean,
        "Use a keyring that keeps secrets as plain text (keyrings.alt); refused otherwise.",
        config="token_keystore.allow_plaintext",
        default=False,
    ),
    USE_RECIPE_MAP,
    USE_PACKAGE_MAP,
    _key(
        "zz_defaults.auto_create_app",
        coercion.boolean,
        "Create a Custom App where none matches.",
        True,
        spellings=("zz_defaults.auto_create_new_app",),
    ),
    DRY_RUN,
    _key(
        "zz_defaults.dynamic_lookup",
        coercion.boolean,
        "Where no name matches, look for an app whose installer's file name is similar.",
        False,
        spellings=("zz_defaults.dynamic_lookup_fallback",),
    ),
    NAMING,
    Key(
        "prod.default_category",
        coercion.name,
        "The Self Service category of prod apps that were given none.",
        config="zz_defaults.self_service_category",
        default="Apps",
    ),
    Key(
        "test.default_category",
        coercion.name,
        "The Self Service category of test apps that were given none.",
        config="zz_defaults.test_self_service_category",
        default="Utilities",
    ),
    UNZIP_LOCATION,
    _key("audit_template", coercion.text, "The path of an audit script template of your own.", is_file=True),
    _both(
        "replace_audit_script",
        coercion.boolean,
        "Replace an audit script that neither this tool nor KAPPA or kpkg wrote.",
        False,
    ),
    *SIGNER,
    WINDOW,
    FREEZE,
    NUDGE,
    IDENTITY,
    STATE_FOLDER,
    PUBLISH_TO,
    _key(
        "processing_timeout",
        coercion.Number(1, 86400, "seconds"),
        "Seconds to wait while Kandji still processes an upload.",
        300.0,
    ),
    _key("network.connect_timeout", coercion.Number(0.1, 600, "seconds"), "Seconds to wait for a connection.", 15.0),
    _key(
        "network.idle_timeout",
        coercion.Number(0.1, 3600, "seconds"),
        "Seconds without a byte before a transfer is given up; a slow one that moves may take its time.",
        60.0,
    ),
    _key(
        "network.tries",
        coercion.Number(1, 20, "tries", whole=True),
        "How often a request that is safe to repeat is sent at the most.",
        5,
    ),
    _key(
        "network.first_wait",
        coercion.Number(0.01, 60, "seconds"),
        "Seconds before the second try; each further wait is twice as long.",
        0.5,
    ),
    _key(
        "network.settle_time",
        coercion.Number(0, 300, "seconds"),
        "Seconds to wait after a create or update, before it is looked whether another machine did the same just then.",
        3.0,
    ),
    _key("arch", coercion.Choice(("arm64", "x86_64")), "Which variation of a Homebrew cask is meant.", "arm64"),
)


_FIELDS = "fields."


def _stage_keys(stage: str, name: str, category: str) -> tuple[Key, ...]:
    """The keys of one stage in `custom_app`."""

    def key(field: str, kind: Kind, purpose: str, recipe: str | None = None, *, is_file: bool = False) -> Key:
        path = f"custom_app.{recipe or f'{stage}_{field.removeprefix(_FIELDS)}'}"
        return Key(f"{stage}.{field}", kind, f"{purpose} ({stage} app)", recipe=path, is_file=is_file)

    return (
        key("name", coercion.app_name, "The Custom App's name.", name),
        key("category", coercion.name, "The Self Service category; a new app is then in Self Service.", category),
        key("preinstall_script", coercion.text, "The path of a preinstall script.", is_file=True),
        key("postinstall_script", coercion.text, "The path of a postinstall script.", is_file=True),
        key("restart", coercion.boolean, "Restart the Mac after the install."),
        key("fields.active", coercion.boolean, "Whether the app is active."),
        key(
            "fields.self_service_recommended",
            coercion.boolean,
            "Show the app as recommended in Self Service.",
            f"{stage}_recommended",
        ),
        key("blueprints", coercion.names, "Blueprints that the app is added to; it is removed from none."),
        key("enforcement_deadline", coercion.moment, "When the audit script enforces, in place of a delay."),
    )


_PROD, _TEST = _stage_keys("prod", "prod_name", "ss_category"), _stage_keys("test", "test_name", "test_category")

STAGES = (*_PROD, *_TEST)
"""What is set for one of the two stages."""

PROMOTION = (
    _rule(
        "after_days",
        coercion.Number(0, LONGEST_DELAY, "days"),
        "Days in the test app before a version moves to the prod app.",
    ),
    _rule("min_pass", coercion.Number(1, 1_000_000, "Macs", whole=True), "Macs that must report PASS first."),
    _rule("max_error_percent", coercion.Number(0, 100, "per cent"), "How many of the Macs may be in ERROR."),
    _rule(
        "require_status",
        coercion.boolean,
        "Hold where the status of the Macs cannot be read; any rule about the Macs asks for it, too.",
    ),
    _rule(
        "min_percent",
        coercion.Number(0, 100, "per cent"),
        "How many of the Macs in scope must have reported on it first.",
    ),
    _rule(
        "on_unhealthy",
        coercion.Choice(("restart", "pause")),
        "Count only days on which the Macs were healthy; when they are not, begin anew (restart) or stop (pause).",
    ),
    _rule(
        "halt_percent",
        coercion.Number(0, 100, "per cent"),
        "Halt a version when more of the Macs that got it are in ERROR.",
    ),
    _rule("halt_min", coercion.Number(1, 1_000_000, "Macs", whole=True), "Macs in ERROR at the least, for a halt (3)."),
    _rule(
        "on_halt",
        coercion.Choice(("stop", "rollback")),
        "What a halt does: stop, or put the version before it back (rollback).",
    ),
    _rule("window", parts.window, "As `window`, in its place."),
    _rule("approve", coercion.boolean, "Wait for `kandji-uploader approve`."),
    _rule(
        "fast_lane",
        parts.fast_lane,
        "For which vulnerabilities, that a version closes, the soak and the deadline are shortened.",
    ),
)

_TAKING = frozenset(name for key in PROMOTION if "halt" not in (name := key.field.removeprefix("promotion.")))
"""The rules by which a ring takes a version from the one before it; they are nothing to the first ring."""

ENFORCEMENT_TYPE = _asked("enforcement_type", coercion.enforcement, "How a new app is enforced.")


def _ring_keys() -> dict[str, Key]:
    """The keys of one ring, each as the key of the prod app that it stands for."""
    own = {(key.recipe or "").removeprefix("custom_app.prod_"): key for key in _PROD}
    same = {name: own[name] for name in ("name", "blueprints", "active", "recommended", "enforcement_deadline")}
    rules = {key.field.removeprefix("promotion."): key for key in PROMOTION}
    whole = {"category": _PROD[1], "enforcement_type": ENFORCEMENT_TYPE, "enforcement_delay": PROD_DELAY}
    return {**same, **whole, **rules}


RING = _ring_keys()
"""The keys of one ring; what is not among them is the same for all rings of an app."""

RINGS = _asked(
    "custom_app.rings",
    parts.Rings({name: key.kind for name, key in RING.items()}, _TAKING),
    "The rings: Custom Apps that take each version one after the other, each by its own rules.",
    (),
)

TENANT = Key(
    "tenants",
    coercion.tenants,
    "Which tenants of tenants.yaml are published to: names, @GROUP, or all.",
    recipe="tenant",
    default=(),
)

RECIPE_KEYS = (
    TENANT,
    *_PROD,
    *_TEST,
    *PROMOTION,
    RINGS,
    _asked("custom_app.pin_version", coercion.text, "The highest version that is published."),
    _asked("custom_app.hold", coercion.boolean, "Leave the app as it is: no version is published or promoted.", False),
    _asked(
        "custom_app.exclude_versions",
        parts.versions,
        "Versions that are not published or promoted, such as 128.1 or 129.*.",
        (),
    ),
    _asked(
        "custom_app.blocking_applications",
        coercion.app_names,
        "The apps that a user is asked to quit before an upgrade, in place of the app itself.",
    ),
    _asked(
        "custom_app.minimum_os_version",
        coercion.macos_version,
        "The lowest macOS that the audit script asks for an install or upgrade.",
    ),
    ENFORCEMENT_TYPE,
    _asked(
        "create_new", coercion.boolean, "Always create a new app, even where one of that name exists.", False, once=True
    ),
    _asked("allow_downgrade", coercion.boolean, "Publish a version lower than the one in Kandji.", False),
    _asked(
        "urgent",
        coercion.text,
        "Why versions go to the test and the prod app at once, without a soak; take it out again afterwards.",
    ),
)

ALL_KEYS = (*CONFIG_KEYS, *RECIPE_KEYS)


def travels(key: Key) -> bool:
    """Whether a line of a manifest takes it along: what is said of an app, and how new apps are made.

    How a machine reaches its tenant, waits and tells people is its own affair, and so are the names of secrets.
    """
    if key in (DRY_RUN, PUBLISH_TO):
        return False
    return bool(key.recipe) or key.path.startswith(("li_enforcement.", "zz_defaults.", "audit_template"))


Table = Mapping[str, tuple[Key, ...]]
"""Key paths that a place may hold, each with the setting it is; two where it holds for both stages."""


def _in_recipe() -> dict[str, tuple[Key, ...]]:
    found: dict[str, tuple[Key, ...]] = {key.recipe: (key,) for key in (*RECIPE_KEYS, *CONFIG_KEYS) if key.recipe}
    for prod, test in zip(_PROD, _TEST, strict=True):
        if prod.field not in ("prod.name", "prod.category"):
            found[(prod.recipe or "").replace(".prod_", ".")] = (prod, test)
    return found


IN_CONFIG: Table = {path: (key,) for key in CONFIG_KEYS for path in (key.config, *key.spellings) if path}
"""The config file."""

IN_RECIPE: Table = _in_recipe()
"""A recipe."""

IN_GIVEN: Table = {**IN_CONFIG, **IN_RECIPE}
"""Whatever a caller may give: the recipe keys, and each setting of the config file."""

IN_MAP: Table = {
    path.removeprefix("custom_app."): keys for path, keys in IN_RECIPE.items() if not any(key.once for key in keys)
}
"""An entry of a map: the keys of `custom_app`, and the recipe keys beside it."""

IN_TENANT: Table = {
    "api_url": (API_URL,),
    "token_name": (TOKEN_NAME,),
    **{
        name: IN_CONFIG[f"zz_defaults.{name}"]
        for name in ("new_app_naming", "self_service_category", "test_self_service_category")
    },
    **{
        path: keys
        for path, keys in IN_MAP.items()
        if path.startswith(("enforcement_delays.", "promotion."))
        or path in ("window", "freeze")
        or path.endswith("blueprints")
    },
}
"""An entry of tenants.yaml: where the tenant is, and what may differ there for every app."""

IN_TENANT_APP: Table = {
    path: keys
    for path, keys in IN_MAP.items()
    if path not in ("tenant", "dry_run", "urgent", "allow_downgrade")  # these are about one run
}
"""An app in an entry of tenants.yaml: as in a map, but for what is about one run."""
