"""Every key has its effect: from each place that may hold it to a request, a line of the audit script, a refusal.

The cases come from the schema, the parser of `upload` and the signatures of the Python API. A key that is added there
without an effect here fails, and so does one that is lost anywhere on its way.
"""

from __future__ import annotations

import inspect
import itertools
import json
import re
import runpy
import socket
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from kandji_uploader import api, autopkg
from kandji_uploader.rehearsal import RehearsalTenant
from kandji_uploader.rehearsal.rules import DEFAULTS
from kandji_uploader.settings import schema
from tests.keys.scene import CASK, CATEGORIES, CHECKOUT, NAMES, PROCESSOR, PROD, TEST, Run, Scene, as_text, nested
from tests.promotion.world import failing, passing
from tests.support.cask_server import cask_server
from tests.support.commands import parsers
from tests.support.keyrings import PlaintextKeyring

CORPUS = CHECKOUT / "tests" / "fixtures" / "corpus"
DEADLINE = "2031-05-06T07:08:09+00:00"
SHUT = {
    "days": [(datetime.now(timezone.utc) + timedelta(days=3)).strftime("%a").lower()],
    "hours": "00:00-00:01",
    "zone": "UTC",
}
"""A window that is not open today, nor tomorrow."""
FOREIGN = "#!/bin/zsh\nexit 0\n"


@dataclass(frozen=True)
class Effect:
    """What must come of a key.

    Attributes:
        value: what it is given, as YAML holds it; or made from the scene.
        seen: what is looked at after the run; a set-up that this key alone changes.
        expected: what is seen then.
        beside: recipe keys that the run needs too, by flat path.
        config: config keys that the run needs too.
        before: what happened before.
        field: the field of the request body that it becomes.
        way: `pkg`, `zip` or `cask`.
        stop_at: the run is stopped where this is said, so that nobody has to wait.
        only: the one caller that heeds it; "" for every one.
    """

    value: Any
    seen: Callable[[Run], Any]
    expected: Any
    beside: Mapping[str, Any] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    before: Callable[[Scene], object] = lambda _: None
    field: str = ""
    way: str = "pkg"
    stop_at: str = ""
    only: str = ""

    def given(self, scene: Scene) -> Any:
        return self.value(scene) if callable(self.value) else self.value


def says(text: str) -> dict[str, Any]:
    """Seen by something that is said."""
    return {"seen": lambda run: text if text in run.said else run.said, "expected": text}


def creates(*names: str) -> dict[str, Any]:
    return {"seen": lambda run: run.created, "expected": [*names]}


def sends(stage: str, name: str, expected: str) -> dict[str, Any]:
    return {"seen": lambda run: run.sent(stage, name), "expected": expected, "field": name}


def writes_line(stage: str, variable: str, expected: str) -> dict[str, Any]:
    return {"seen": lambda run: run.line(stage, variable), "expected": expected, "field": "audit_script"}


def gives_up_in(seconds: float) -> dict[str, Any]:
    """Seen by a failure that comes long before the default of the key would let it."""
    return {
        "seen": lambda run: (run.seconds < seconds, run.created, "KeyboardInterrupt" in run.said),
        "expected": (True, [], False),
    }


def stage_keys(stage: str, category_key: str) -> dict[str, Effect]:
    """The effects of the keys of one stage."""
    name = {"prod": PROD, "test": TEST}[stage]
    beside = {f"custom_app.{stage}_name": name}
    script = "#!/bin/zsh\necho {}\n"
    shown = {**beside, f"custom_app.{category_key}": "Apps"}

    def categorised(run: Run) -> str | None:
        return run.category(stage)

    def blueprints(run: Run) -> list[str]:
        return sorted(each["name"] for each in run.tenant.blueprints if each["items"])

    effects = {
        "name": Effect("Gadget", **creates("Gadget")),
        "category": Effect("Productivity", categorised, "Productivity", beside, field="self_service_category_id"),
        "default_category": Effect(
            "Productivity", categorised, "Productivity", {**beside, "enforcement_type": "self_service"}
        ),
        "delay_days": Effect(9, beside=beside, **writes_line(stage, "DAYS_UNTIL_ENFORCEMENT", "9")),
        "restart": Effect(True, beside=beside, **sends(stage, "restart", "true")),
        "fields.active": Effect(False, beside=beside, **sends(stage, "active", "false")),
        "fields.self_service_recommended": Effect(
            True, beside=shown, **sends(stage, "self_service_recommended", "true")
        ),
        "blueprints": Effect(["Macs", "Labs"], blueprints, ["Labs", "Macs"], beside),
        "enforcement_deadline": Effect(
            DEADLINE,
            beside=beside,
            **writes_line(stage, "CREATION_TIMESTAMP", str(int(datetime.fromisoformat(DEADLINE).timestamp()))),
        ),
    }
    for kind in ("preinstall_script", "postinstall_script"):
        text = script.format(kind)
        effects[kind] = Effect(
            lambda scene, kind=kind, text=text: scene.file(f"{kind}.zsh", text),
            beside=beside,
            **sends(stage, kind, text),
        )
    return {f"{stage}.{key}": effect for key, effect in effects.items()}


def _signed_before(scene: Scene) -> None:
    """The app has a version that a team has signed."""
    scene.publish("rtrouton-disable-gatekeeper", PROD_NAME, path=CORPUS / "rtrouton-disable-gatekeeper.pkg")


def _packaged_before(scene: Scene) -> None:
    """The app has the same version, in the package of the night before."""
    scene.publish("1.0", PROD_NAME, path=scene.pkg(night=1))
    scene.pkg()


def _soaking(scene: Scene) -> None:
    """Version 1.0 is in the test app; no Mac has said anything of it."""
    scene.publish("1.0", {**NAMES, "custom_app.promotion.after_days": 3650})


def _one_of_two_fails(scene: Scene) -> None:
    """Version 1.0 is in the test app, and fails on one of the two Macs that have it."""
    _soaking(scene)
    later = datetime.now(timezone.utc) + timedelta(seconds=1)
    scene.tenant.set_statuses(scene.tenant.app(TEST)["id"], [passing("1.0", later), failing(later)])


def _one_of_three_reports(scene: Scene) -> None:
    _soaking(scene)
    said = passing("1.0", datetime.now(timezone.utc) + timedelta(seconds=1))
    scene.tenant.set_statuses(scene.tenant.app(TEST)["id"], [said, {"status": "PENDING"}, {"status": "PENDING"}])


def _in_prod_and_failing(scene: Scene) -> None:
    """Version 1.0 is in both apps, and fails on three of the four Macs that the prod app has it on."""
    scene.publish("1.0", NAMES)
    later = datetime.now(timezone.utc) + timedelta(seconds=1)
    scene.tenant.set_statuses(scene.tenant.app(PROD)["id"], [passing("1.0", later), *[failing(later)] * 3])


def _in_prod_and_replaced(scene: Scene) -> None:
    scene.publish("0.9", NAMES)
    _in_prod_and_failing(scene)


def _foreign_script(scene: Scene) -> None:
    scene.publish("0.9", {"custom_app.prod_name": PROD})
    scene.tenant.edit(scene.tenant.app(PROD)["id"], audit_script=FOREIGN)


def _secrets_in(scene: Scene, *, environment: str = "", keychain: str = "", slack: bool = False) -> None:
    scene.environ.pop("KANDJI_TOKEN")
    if environment:
        scene.environ["KANDJI_TOKEN"] = environment
    scene.keychain(
        **{"KANDJI_TOKEN": keychain} if keychain else {}, **{"SLACK_TOKEN": scene.tenant.webhook_url} if slack else {}
    )


def _token_elsewhere(scene: Scene) -> None:
    scene.environ["OTHER_TOKEN"] = scene.environ.pop("KANDJI_TOKEN")


def _busy(scene: Scene) -> None:
    """Kandji is still processing whatever was uploaded."""
    scene.publish("0.9", {"custom_app.prod_name": PROD})
    scene.tenant.faults.add("PATCH", "**", kind="status", code=503, nth="every")


def _tenants_file(scene: Scene) -> None:
    entry = {"api_url": scene.tenant.url, "token_name": "ACME", "apps": {PROD: {"prod_name": "Widget at acme"}}}
    (scene.config_folder / "tenants.json").write_text(json.dumps({"tenants": {"acme": entry}}))
    scene.environ["ACME"] = scene.environ.pop("KANDJI_TOKEN")
    scene.environ.pop("KANDJI_API_URL")


def _no_connection(scene: Scene) -> str:
    """The address of a listener whose queue is full: a connection to it is never made."""
    full = scene.resources.enter_context(socket.socket())
    full.bind(("127.0.0.1", 0))
    full.listen(0)
    for _ in range(4):
        waiting = scene.resources.enter_context(socket.socket())
        waiting.setblocking(False)
        waiting.connect_ex(full.getsockname())
    return f"http://127.0.0.1:{full.getsockname()[1]}"


def _unreachable(scene: Scene) -> None:
    scene.environ["KANDJI_API_URL"] = _no_connection(scene)


def _template(scene: Scene) -> str:
    text = (CHECKOUT / "audit" / "audit_app_and_version.zsh").read_text(encoding="utf-8")
    return scene.file("own.zsh", text.replace("#!/bin/zsh -f\n", "#!/bin/zsh -f\n# our own\n", 1))


def _vulnerable(scene: Scene) -> None:
    """Version 0.9 is in production, and has a vulnerability; 1.0 soaks."""
    for name, version in ((PROD, "0.9"), (TEST, "1.0")):
        scene.publish(version, {"custom_app.prod_name": name})
    software = {"name": "Widget", "bundle_id": "com.example.Widget", "versions": {"0.9": 7}}
    known = {"cve_id": "CVE-2026-1234", "severity": "Critical", "cvss_score": 9.8, "affected": [software]}
    scene.tenant.set_vulnerabilities([known])


def _macs_that_wait(scene: Scene) -> None:
    """Version 0.9 is in the test app, and four Macs have that in scope."""
    scene.publish("0.9", {**NAMES, "custom_app.promotion.after_days": 3650})
    scene.tenant.set_statuses(scene.tenant.app(TEST)["id"], {"PASS": 4})


PROD_NAME = {"custom_app.prod_name": PROD}

EFFECTS: dict[str, Effect] = {
    "api_url": Effect(
        lambda scene: scene.tenant.url,
        beside=PROD_NAME,
        before=lambda scene: scene.environ.pop("KANDJI_API_URL"),
        **creates(PROD),
    ),
    "token_name": Effect("OTHER_TOKEN", beside=PROD_NAME, before=_token_elsewhere, **creates(PROD)),
    "default_enforcement": Effect(
        "install_once", beside=PROD_NAME, **sends("prod", "install_enforcement", "install_once")
    ),
    "new_app_naming": Effect("APPNAME at work", **creates("Widget at work")),
    "unzip_location": Effect(
        "/Applications/Tools", beside=PROD_NAME, way="zip", **sends("prod", "unzip_location", "/Applications/Tools")
    ),
    "slack_enabled": Effect(
        True,
        lambda run: run.messages,
        1,
        PROD_NAME,
        {"token_keystore.keychain": True},
        before=lambda scene: scene.keychain(SLACK_TOKEN=scene.tenant.webhook_url),
    ),
    "webhook_name": Effect(
        "OTHER_HOOK",
        lambda run: run.messages,
        1,
        PROD_NAME,
        before=lambda scene: scene.environ.update(OTHER_HOOK=scene.tenant.webhook_url),
    ),
    "slack_on": Effect(
        "promoted",
        lambda run: (run.messages, run.created),
        (0, [PROD]),
        PROD_NAME,
        before=lambda scene: scene.environ.update(SLACK_TOKEN=scene.tenant.webhook_url),
    ),
    "notify": Effect(
        [{"url": "HOOK", "on": ["all"]}],
        lambda run: run.messages,
        1,
        PROD_NAME,
        before=lambda scene: scene.environ.update(HOOK=scene.tenant.webhook_url.replace("http:", "json:")),
    ),
    "digest": Effect(
        False,
        lambda run: (run.at_once, run.messages),
        (1, 1),
        PROD_NAME,
        before=lambda scene: scene.environ.update(SLACK_TOKEN=scene.tenant.webhook_url),
        only="AutoPkg",
    ),
    "keystore_environment": Effect(
        False,
        beside=PROD_NAME,
        config={"token_keystore.keychain": True},
        before=lambda scene: _secrets_in(scene, environment="a-wrong-one", keychain=scene.tenant.token),
        **creates(PROD),
    ),
    "keystore_keychain": Effect(
        True,
        beside=PROD_NAME,
        before=lambda scene: _secrets_in(scene, keychain=scene.tenant.token),
        **creates(PROD),
    ),
    "keystore_plaintext": Effect(
        True,
        beside=PROD_NAME,
        config={"token_keystore.keychain": True},
        before=lambda scene: (
            _secrets_in(scene, keychain=scene.tenant.token),
            setattr(scene, "keyring", PlaintextKeyring),
        ),
        **creates(PROD),
    ),
    "use_recipe_map": Effect(
        True,
        before=lambda scene: (scene.map("recipe_map", "Widget.pkg", {"prod_name": "Mapped"}), scene.config.clear()),
        only="AutoPkg",
        **creates("Mapped"),
    ),
    "use_package_map": Effect(
        True,
        before=lambda scene: (
            scene.map("package_map", "com.example.Widget", {"prod_name": "Mapped"}),
            scene.config.clear(),
        ),
        **creates("Mapped"),
    ),
    "state_folder": Effect(
        lambda scene: str(scene.folder / "elsewhere"),
        lambda run: (run.scene.folder / "elsewhere").is_dir(),
        True,
        PROD_NAME,
    ),
    "publish_to": Effect(
        lambda scene: str(scene.folder / "built"),
        lambda run: (run.lines(), run.tenant.requests),
        ([[PROD]], []),
        PROD_NAME,
        only="AutoPkg",
    ),
    "auto_create_app": Effect(False, beside=PROD_NAME, **says("auto_create_app is off")),
    "dry_run": Effect(True, lambda run: [*map(str, run.tenant.requests)], ["GET library/custom-apps"], PROD_NAME),
    "dynamic_lookup": Effect(
        True,
        beside=PROD_NAME,
        before=lambda scene: scene.tenant.seed("Old Widget", file_name="Widget-0.9.pkg"),
        **creates(),
    ),
    "audit_template": Effect(
        _template,
        lambda run: str(run.sent("prod", "audit_script")).splitlines()[1:2],
        ["# our own"],
        PROD_NAME,
        field="audit_script",
    ),
    "replace_audit_script": Effect(
        True,
        lambda run: "com.example.Widget" in run.tenant.app(PROD)["audit_script"],
        True,
        PROD_NAME,
        before=_foreign_script,
    ),
    "processing_timeout": Effect(
        7,
        beside=PROD_NAME,
        config={"network.first_wait": 60},
        before=_busy,
        stop_at="asking again",
        **says("asking again in 7 s"),
    ),
    "first_wait": Effect(9, beside=PROD_NAME, before=_busy, stop_at="asking again", **says("asking again in 9 s")),
    "settle_time": Effect(9, beside=PROD_NAME, stop_at="another machine", **says("looking in 9 s whether")),
    "connect_timeout": Effect(
        0.1, beside=PROD_NAME, config={"network.tries": 1}, before=_unreachable, **gives_up_in(8)
    ),
    "idle_timeout": Effect(
        0.1,
        beside=PROD_NAME,
        config={"network.tries": 1},
        before=lambda scene: scene.tenant.faults.add("GET", "**", kind="stall", nth="every", seconds=20),
        **gives_up_in(15),
    ),
    "tries": Effect(
        2,
        lambda run: len(run.tenant.requests),
        2,
        PROD_NAME,
        {"network.first_wait": 0.01},
        before=lambda scene: scene.tenant.faults.add("GET", "**", kind="status", code=500, nth="every"),
    ),
    "arch": Effect(
        "x86_64",
        lambda run: [path for path in run.scene.casks.paths() if path.startswith("/files/")],
        ["/files/x86_64/Widget.pkg"],
        way="cask",
        only="casks",
    ),
    "tenants": Effect("acme", beside=PROD_NAME, before=_tenants_file, **creates("Widget at acme")),
    **stage_keys("prod", "ss_category"),
    **stage_keys("test", "test_category"),
    "promotion.after_days": Effect(7, beside=NAMES, before=_soaking, **says("of 7 days")),
    "promotion.min_pass": Effect(3, beside=NAMES, before=_one_of_two_fails, **says("3 are needed")),
    "promotion.max_error_percent": Effect(10, beside=NAMES, before=_one_of_two_fails, **says("limit 10 %")),
    "promotion.require_status": Effect(True, beside=NAMES, before=_soaking, **says("no Mac has reported on it yet")),
    "promotion.min_percent": Effect(60, beside=NAMES, before=_one_of_three_reports, **says("60 % are needed")),
    "promotion.on_unhealthy": Effect(
        "restart",
        beside={**NAMES, "custom_app.promotion.max_error_percent": 10, "custom_app.promotion.after_days": 7},
        before=_one_of_two_fails,
        **says("was healthy in the test app for"),
    ),
    "promotion.halt_percent": Effect(50, beside=NAMES, before=_in_prod_and_failing, **says("(75 %), limit 50 %")),
    "promotion.halt_min": Effect(
        3, beside={**NAMES, "custom_app.promotion.halt_percent": 50}, before=_in_prod_and_failing, **says("limit 50 %")
    ),
    "promotion.on_halt": Effect(
        "rollback",
        beside={**NAMES, "custom_app.promotion.halt_percent": 50},
        before=_in_prod_and_replaced,
        **says("from 1.0 back to 0.9"),
    ),
    "promotion.window": Effect(SHUT, beside=NAMES, before=_soaking, **says("waiting for ")),
    "promotion.approve": Effect(True, beside=NAMES, before=_soaking, **says("1.0 waits for approval")),
    "promotion.fast_lane": Effect(
        {"severity": "critical", "after_days": 1},
        beside={**NAMES, "custom_app.promotion.after_days": 9},
        before=_vulnerable,
        **says("of 1 days; fast lane: it closes CVE-2026-1234"),
    ),
    "nudge": Effect(
        3,
        lambda run: sum(each.endswith("/action/dailycheckin") for each in run.writes),
        3,
        {**NAMES, "custom_app.promotion.after_days": 9},
        before=_macs_that_wait,
    ),
    "window": Effect(
        SHUT, beside={**NAMES, "custom_app.promotion.after_days": 0}, before=_soaking, **says("waiting for ")
    ),
    "freezes": Effect(
        [{"until": "2099-12-31", "why": "the move"}], beside=PROD_NAME, **says("frozen until 2099-12-31: the move")
    ),
    "hold": Effect(True, beside=PROD_NAME, **says("hold is set; nothing is published")),
    "exclude_versions": Effect(["0.9", "1.*"], beside=PROD_NAME, **says("is excluded (exclude_versions: 1.*)")),
    "rings": Effect([{"name": "Widget (IT)"}, {"name": "Widget", "after_days": 7}], **creates("Widget (IT)")),
    "pin_version": Effect("0.9", beside=PROD_NAME, **says("is above pin_version 0.9")),
    "blocking_applications": Effect(
        ["A.app", "B.app"], beside=PROD_NAME, **writes_line("prod", "BLOCKING_APPLICATIONS", "A.app:B.app:")
    ),
    "minimum_os_version": Effect("13.1", beside=PROD_NAME, **writes_line("prod", "MINIMUM_OS_VERSION", "13.1")),
    "enforcement_type": Effect(
        "install_once", beside=PROD_NAME, **sends("prod", "install_enforcement", "install_once")
    ),
    "create_new": Effect(
        True,
        lambda run: [app["name"] for app in run.tenant.apps()],
        [PROD, PROD],
        PROD_NAME,
        before=lambda scene: scene.publish("1.0", PROD_NAME),
    ),
    "allow_downgrade": Effect(
        True,
        lambda run: "/Widget-1.0_" in run.tenant.app(PROD)["file_key"],
        True,
        PROD_NAME,
        before=lambda scene: scene.publish("2.0", PROD_NAME),
    ),
    "require_signed": Effect(True, beside=PROD_NAME, **says("require_signed is set, and it is unsigned")),
    "require_notarized": Effect(True, beside=PROD_NAME, **says("require_notarized is set, and no notarization ticket")),
    "expected_team_id": Effect(["43AQ936H96"], beside=PROD_NAME, **says("expected_team_id is 43AQ936H96, and it is")),
    "allow_signer_change": Effect(
        "unsigned",
        lambda run: "/Widget-1.0_" in run.tenant.app(PROD)["file_key"],
        True,
        PROD_NAME,
        before=_signed_before,
    ),
    "identity": Effect(
        "file",
        lambda run: [each.split("/")[0] for each in run.writes][-1:],
        ["PATCH library"],
        PROD_NAME,
        before=_packaged_before,
    ),
    "urgent": Effect(
        "CVE-2026-1234",
        beside={**NAMES, "custom_app.promotion.after_days": 9},
        **says("urgent: CVE-2026-1234"),
    ),
}
"""By where each key is in `Settings`."""

VARIABLES = {
    "KANDJI_API_URL": ("api_url", EFFECTS["api_url"]),
    "IRU_API_URL": ("api_url", EFFECTS["api_url"]),
    "KANDJI_TOKEN_NAME": ("token_name", EFFECTS["token_name"]),
    "IRUPKG_TOKEN_NAME": ("token_name", EFFECTS["token_name"]),
    "ENV_KEYSTORE": (
        "keystore_environment",
        Effect(
            "true",
            beside=PROD_NAME,
            config={"token_keystore.keychain": True, "token_keystore.environment": False},
            before=lambda scene: _secrets_in(scene, environment=scene.tenant.token, keychain="a-wrong-one"),
            **creates(PROD),
        ),
    ),
    "KANDJI_UPLOADER_STATE_DIR": ("state_folder", EFFECTS["state_folder"]),
    "SLACK_TOKEN": ("slack_enabled", Effect(lambda scene: scene.tenant.webhook_url, lambda run: run.messages, 1)),
}
SECRETS_AND_FOLDER = {"KANDJI_TOKEN", "IRUPKG_TOKEN", "KANDJI_UPLOADER_DIR"}

FLAGS = {
    "name": "prod.name",
    "testname": "test.name",
    "sscategory": "prod.category",
    "zzcategory": "test.category",
    "unzip_location": "unzip_location",
    "create": "create_new",
    "dry": "dry_run",
    "api_url": "api_url",
    "tenant": "tenants",
    "enforcement": "enforcement_type",
    "allow_downgrade": "allow_downgrade",
    "allow_signer_change": "allow_signer_change",
    "urgent": "urgent",
    "replace_audit_script": "replace_audit_script",
    "arch": "arch",
}
NO_SETTINGS = {"help", "pkg", "brew", "debug", "version", "setup", "json", "jobs", "use_brew", "allow_no_checksum"}
HOW_IT_IS_SHOWN = {"timings", "quiet", "no_progress", "color"}

ARGUMENTS = {name: field for name, field in FLAGS.items() if name in inspect.signature(api.process_brew).parameters}
NO_SETTINGS_OF_API = {"path", "cask", "token", "batch", "parent_dir", "keys", "keys_from", "host", "progress"}


@dataclass(frozen=True)
class Case:
    """One key path in one place."""

    place: str
    path: str
    fields: tuple[str, ...]
    effects: tuple[Effect, ...]

    def __str__(self) -> str:
        return f"{self.path} in {self.place}"


def _cases() -> list[Case]:
    def case(place: str, path: str, keys: tuple[schema.Key, ...]) -> Case:
        # That no effect is missing is a test of its own, with a message that says which.
        known = [key.field for key in keys if key.field in EFFECTS]
        return Case(place, path, tuple(known), tuple(EFFECTS[field] for field in known))

    found = [
        *(case(place, path, keys) for place in ("Input", "-k") for path, keys in schema.IN_RECIPE.items()),
        *(case(place, path, keys) for place in ("recipe map", "package map") for path, keys in schema.IN_MAP.items()),
        *(case("config", path, keys) for path, keys in schema.IN_CONFIG.items()),
        # One whose effect is a wait is stopped by Ctrl-C; AutoPkg's output cannot do that in a test.
        *(
            each
            for path, keys in schema.IN_CONFIG.items()
            if path.startswith(autopkg._CONFIG) and not (each := case("-k", path, keys)).effects[0].stop_at
        ),
        *(case("keys", path, keys) for path, keys in schema.IN_CONFIG.items()),
        *(Case("environment", name, (key,), (effect,)) for name, (key, effect) in VARIABLES.items()),
        *(Case("flag", name, (key,), (EFFECTS[key],)) for name, key in FLAGS.items()),
        *(Case("argument", name, (key,), (EFFECTS[key],)) for name, key in ARGUMENTS.items()),
    ]
    return [each for each in found if each.effects and not (each.place == "keys" and each.effects[0].only == "AutoPkg")]


@pytest.fixture(scope="module")
def tenant(tmp_path_factory):
    with RehearsalTenant(tmp_path_factory.mktemp("tenant")) as tenant:
        tenant.set_categories(CATEGORIES)
        yield tenant


@pytest.fixture(scope="module")
def casks():
    with cask_server() as server:
        yield server


@pytest.fixture
def scene(tmp_path, tenant, casks):
    with ExitStack() as resources:
        scene = Scene(tmp_path / "scene", tenant, casks)
        scene.resources = resources
        _fresh_blueprints(tenant)
        yield scene


def _fresh_blueprints(tenant: RehearsalTenant) -> None:
    tenant._state.tenant["blueprints"].clear()
    for name in ("Macs", "Labs"):
        tenant.add_blueprint(name)


def _installer(scene: Scene, way: str) -> Any:
    if way == "zip":
        return scene.zip()
    return CASK if way == "cask" else scene.pkg()


def _run(case: Case, scene: Scene) -> Run:
    effect = case.effects[0]
    value = effect.given(scene)
    beside = dict(itertools.chain.from_iterable(each.beside.items() for each in case.effects))
    beside.pop(case.path, None)
    scene.config.update(effect.config)
    scene.stop_at = effect.stop_at
    for before in {each.before for each in case.effects}:
        before(scene)
    if effect.way == "cask":
        scene.offer_cask()
    return PLACES[case.place](scene, _installer(scene, effect.way), case.path, value, beside, effect)


def _input(scene, path, key, value, beside, _):
    """AutoPkg replaces each top-level key of the recipe's Input by that of the override's, whole."""
    recipe = {"custom_app": {"prod_name": "Of the recipe", "pin_version": "0.1"}, "enforcement_delays": {"prod": 1}}
    override = nested({**beside, key: value})
    return scene.processor(path, {**recipe, **override})


def _flat(scene, path, key, value, beside, _):
    return scene.processor(path, {**nested(beside), key: as_text(value)})


def _recipe_map(scene, path, key, value, beside, _):
    scene.map("recipe_map", "Widget.pkg", {key: value})
    return scene.processor(path, nested(beside))


def _package_map(scene, path, key, value, beside, _):
    scene.map("package_map", "com.example.Widget", {key: value})
    return scene.api(path, keys=beside)


def _config(scene, path, key, value, beside, effect):
    scene.config[key] = value
    if effect.only == "AutoPkg":
        return scene.processor(path, nested(beside))
    return scene.api(path, keys=beside, brew=effect.way == "cask")


def _keys(scene, path, key, value, beside, effect):
    return scene.api(path, keys={**beside, key: value}, brew=effect.way == "cask")


def _environment(scene, path, key, value, beside, _):
    scene.environ[key] = value
    return scene.api(path, keys=beside)


def _beside_in_map(scene, beside):
    """Flags and arguments cannot say everything; what they need beside them is in the package map."""
    if beside:
        scene.map("package_map", "com.example.Widget", beside)


def _flag(scene, path, key, value, beside, effect):
    _beside_in_map(scene, beside)
    option = f"--{key.replace('_', '-')}"
    words = [option] if value is True else [option, as_text(value)]
    return scene.command("--brew" if effect.way == "cask" else "--pkg", str(path), *words)


def _argument(scene, path, key, value, beside, effect):
    _beside_in_map(scene, beside)
    return scene.api(path, brew=effect.way == "cask", **{key: value})


PLACES = {
    "Input": _input,
    "-k": _flat,
    "recipe map": _recipe_map,
    "package map": _package_map,
    "config": _config,
    "keys": _keys,
    "environment": _environment,
    "flag": _flag,
    "argument": _argument,
}


@pytest.mark.no_cover  # the same lines, hundreds of times
@pytest.mark.parametrize("case", _cases(), ids=str)
def test_a_key_has_its_effect_from_each_place_that_may_hold_it(case, scene):
    started = time.monotonic()
    run = _run(case, scene)
    run.seconds = time.monotonic() - started
    for effect in case.effects:
        assert effect.seen(run) == effect.expected, run.said


def test_every_key_has_an_effect():
    assert sorted(EFFECTS) == sorted(key.field for key in schema.ALL_KEYS)


def test_every_field_that_a_key_becomes_is_one_that_the_embedded_tenant_holds():
    fields = {effect.field for effect in EFFECTS.values() if effect.field}
    assert fields <= set(DEFAULTS)
    # The rest is what is uploaded, not what is set.
    assert set(DEFAULTS) - fields == {"name", "file_key", "install_type", "show_in_self_service"}


def test_every_flag_and_argument_is_a_setting_or_known_to_be_none():
    parser = parsers()["upload"]
    assert {action.dest for action in parser._actions} == {*FLAGS, *NO_SETTINGS, *HOW_IT_IS_SHOWN}
    for call in (api.process_pkg, api.process_brew):
        known = {*ARGUMENTS, *NO_SETTINGS, *NO_SETTINGS_OF_API}
        assert set(inspect.signature(call).parameters) <= known


def test_every_environment_variable_of_the_documentation_has_its_effect():
    text = (CHECKOUT / "docs" / "settings.md").read_text(encoding="utf-8")
    (part,) = [part for part in text.split("\n## ") if part.startswith("Environment variables")]
    named = [name for line in part.splitlines() if line.startswith("| `") for name in line.split("|")[1:3]]
    assert {name.strip(" `") for name in named} - {"", "see above"} == {*VARIABLES, *SECRETS_AND_FOLDER}


def test_processor_info_lists_the_keys_of_a_custom_app_as_the_table_has_them():
    made = runpy.run_path(str(CHECKOUT / "tools" / "processor_info.py"))["described"]()
    assert PROCESSOR.input_variables["custom_app"]["description"] == made, "`make examples` writes it again"


def test_processor_info_tells_every_recipe_key_in_the_words_of_the_schema():
    told = {name: about["description"] for name, about in PROCESSOR.input_variables.items()}
    nested_keys = {path.split(".", 1)[0] for path in schema.IN_RECIPE if "." in path}
    assert set(autopkg.KEYS) == {path.split(".")[0] for path in schema.IN_RECIPE} <= set(told)
    for path, (key, *_) in schema.IN_RECIPE.items():
        if path not in told:
            section, _, leaf = path.partition(".")
            assert section in nested_keys
            short = re.sub(r"^(prod|test)_(?!name|category)", "", leaf.split(".")[0])
            assert re.search(rf"\b{short}\b", told[section]), f"{section}: {short}"
        else:
            assert told[path].startswith(key.purpose.rstrip(".")), path
