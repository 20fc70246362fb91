"""One good question to a plan; a test says only what differs from it."""

from dataclasses import replace

from kandji_uploader.audit import script as audit
from kandji_uploader.models import Category, CustomApp, Enforcement, InstallType, Settings, Stage, StageSettings, Target
from kandji_uploader.publish.plan import EnforcedIdentity, Installer, PlanInput, TenantData, make_plan, matched

NOW = 1_700_000_000
CATEGORIES = (Category("c-apps", "Apps"), Category("c-utils", "Utilities"), Category("c-prod", "Productivity"))
IDENTITY = EnforcedIdentity("Widget.app", "com.example.Widget", "com.example.pkg", "2.0")
TEMPLATE = audit.load_template()


def script(version="2.0", created=NOW - 86_400, days=5, **others):
    values = audit.AuditValues("Widget.app", "com.example.Widget", "com.example.pkg", version, created, days, **others)
    return audit.render(values, TEMPLATE)


def live(name="Widget", **fields):
    """A Custom App that is as a run for version 2.0 would have left it."""
    app = CustomApp(
        id=f"id-{name}",
        name=name,
        file_key="companies/x/Widget-2.0_01234567.pkg",
        install_type="package",
        install_enforcement="continuously_enforce",
        audit_script=script(),
        sha256="new",
        file_size=100,
        created_at="2024-01-01T00:00:00Z",
        updated_at="2024-02-01T00:00:00Z",
    )
    return replace(app, **fields)


def self_service(name="Widget", category="c-apps", **fields):
    return live(
        name,
        install_enforcement="no_enforcement",
        show_in_self_service=True,
        self_service_category_id=category,
        audit_script="",
        **fields,
    )


def target(name="Widget", **fields):
    given = {"stage": Stage.PROD, "name": name, "enforcement": Enforcement.AUDIT_ENFORCE, "delay_days": 5}
    return Target(**{**given, **fields})


def plan_input(*apps, identity=IDENTITY, blueprints=(), sha256="new", kind=InstallType.PACKAGE, **settings):
    settled = Settings("https://t.api.kandji.io", prod=StageSettings(name="Widget"), **settings)
    installer = Installer("Widget-2.0.pkg", kind, 100, sha256)
    return PlanInput(
        installer, identity, TenantData(tuple(apps), CATEGORIES, tuple(blueprints)), settled, TEMPLATE, NOW
    )


def plan(*apps, of=None, **others):
    """The plan of one target."""
    return plans([of or target()], plan_input(*apps, **others))[0]


def plans(targets, asked):
    """The plans of targets, each of which is matched."""
    return make_plan(targets, matched(targets, asked))
