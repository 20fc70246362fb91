"""Runs over real HTTP: what is sent, what is not, and what the tenant holds afterwards."""

from datetime import datetime, timezone

import pytest

from kandji_uploader.audit import script as audit
from kandji_uploader.errors import AuditScriptError, KandjiUploaderError, SettingsError, TargetError
from kandji_uploader.models import Action
from kandji_uploader.publish.targets import RecipeFacts

SELF_SERVICE = {"custom_app.prod_name": "Widget", "custom_app.ss_category": "Productivity"}


def actions(result):
    return [outcome.action for outcome in result.outcomes]


def test_a_first_run_makes_at_most_nine_requests(house):
    house.environ["SLACK_TOKEN"] = house.tenant.webhook_url
    keys = {**SELF_SERVICE, "custom_app.test_name": "Widget (Test)", "enforcement_type": "audit_enforce"}
    result = house.publish(house.pkg(), keys)
    assert actions(result) == [Action.CREATE, Action.CREATE]
    assert len(house.sent()) == 9
    assert house.tenant.app("Widget")["install_enforcement"] == "no_enforcement"
    assert house.tenant.app("Widget (Test)")["install_enforcement"] == "continuously_enforce"


def test_an_unchanged_run_makes_the_list_and_nothing_else(house):
    path = house.pkg()
    house.publish(path)
    before = house.tenant.snapshot()
    result = house.publish(path)
    assert house.sent() == ["GET library/custom-apps"]
    assert not result.changed
    assert house.tenant.snapshot() == before


@pytest.mark.parametrize("options", [{"list_sha256": False}, {"trims_texts": True}], ids=["without sha256", "trimmed"])
def test_unchanged_stays_unchanged_however_the_service_shows_its_fields(house, options):
    house.tenant.configure(**options)
    path = house.pkg()
    house.publish(path, SELF_SERVICE)
    house.publish(path)
    result = house.publish(path)
    assert set(actions(result)) == {Action.UNCHANGED}
    assert house.writes() == []


def test_running_every_night_does_not_push_the_deadline(house):
    house.tenant.clock.set(datetime.fromtimestamp(house.now, timezone.utc))
    path = house.pkg()
    house.publish(path)
    first = house.tenant.app("Widget")["audit_script"]
    for _ in range(5):
        house.now += 86_400
        house.tenant.clock.advance(days=1)
        house.publish(path)
    assert house.tenant.app("Widget")["audit_script"] == first
    house.publish(house.pkg("1.1"))
    assert audit.read(house.tenant.app("Widget")["audit_script"]).created_at == house.now


def test_a_hand_edit_is_repaired_without_an_upload(house):
    path = house.pkg()
    keys = {**SELF_SERVICE, "custom_app.prod_restart": "yes"}
    house.publish(path, keys)
    app = house.tenant.app("Widget")
    other = next(category for category in house.tenant.categories if category["name"] == "Utilities")
    house.tenant.edit(app["id"], restart=False, self_service_category_id=other["id"])
    result = house.publish(path, keys)
    assert result.outcomes[0].changes == ("restart", "self_service_category_id")
    assert house.writes() == [f"PATCH library/custom-apps/{app['id']}"]


def test_the_audit_script_enforces_what_the_mac_will_report(house):
    house.publish(
        house.pkg("1.0"), given=RecipeFacts(name="Widget", version="1.0.4711", bundle_id="com.example.Widget")
    )
    assert audit.read(house.tenant.app("Widget")["audit_script"]).version == "1.0"
    assert any("1.0.4711" in text and "says 1.0" in text for text in house.warned)


def test_a_bundle_id_that_is_not_in_the_installer_is_refused_before_the_upload(house):
    with pytest.raises(AuditScriptError, match="reinstall"):
        house.publish(house.pkg(), given=RecipeFacts(bundle_id="com.example.Other"))
    assert house.writes() == []


def test_a_package_id_given_as_bundle_id_is_understood(house):
    house.publish(house.pkg(package_id="com.example.package"), given=RecipeFacts(bundle_id="com.example.package"))
    assert audit.read(house.tenant.app("Widget")["audit_script"]).bundle_id == "com.example.Widget"


def test_a_zip_is_published_as_one(house):
    house.publish(house.zip(), {**NAMES_OF_PROD, "unzip_location": "/Applications/Tools"})
    app = house.tenant.app("Widget")
    assert (app["install_type"], app["unzip_location"]) == ("zip", "/Applications/Tools")


NAMES_OF_PROD = {"custom_app.prod_name": "Widget"}


def test_a_new_app_is_assigned_to_its_blueprints_and_an_existing_one_left_alone(house):
    macs = house.tenant.add_blueprint("Macs")
    chart = house.tenant.add_blueprint("Chart", "map", ["node-1"])
    keys = {**NAMES_OF_PROD, "custom_app.blueprints": ["Macs", "Chart:node-1"]}
    house.publish(house.pkg(), keys)
    assigned = [line for line in house.writes() if "assign" in line]
    assert assigned == [
        f"POST blueprints/{macs['id']}/assign-library-item",
        f"POST blueprints/{chart['id']}/assign-library-item",
    ]
    house.publish(house.pkg("1.1"), keys)
    assert [line for line in house.writes() if "assign" in line] == []


def test_a_classic_blueprint_has_no_nodes_and_the_error_says_so(house):
    house.tenant.add_blueprint("Macs")
    result = house.publish(house.pkg(), {**NAMES_OF_PROD, "custom_app.blueprints": ["Macs:node-1"]})
    assert "Classic Blueprint" in result.outcomes[0].error
    assert len(house.tenant.apps()) == 1


def test_a_missing_blueprint_is_an_error_before_the_upload(house):
    with pytest.raises(TargetError, match="no Blueprint 'Nope'"):
        house.publish(house.pkg(), {**NAMES_OF_PROD, "custom_app.blueprints": "Nope"})
    assert house.writes() == []


def test_duplicates_are_a_conflict_that_lists_each_and_leaves_both(house):
    house.environ["SLACK_TOKEN"] = house.tenant.webhook_url
    for number in (1, 2):
        house.tenant.seed(name="Widget", file_name=f"Widget-0.{number}.pkg")
    before = house.tenant.snapshot()
    result = house.publish(house.pkg(), NAMES_OF_PROD)
    assert actions(result) == [Action.CONFLICT]
    links = [f"{house.tenant.url}/library/custom-apps/{app['id']}" for app in house.tenant.apps()]
    assert all(link in result.outcomes[0].error for link in links)
    assert all(link in str(house.tenant.slack_messages()) for link in links)
    assert house.tenant.snapshot() == before


def test_every_page_of_the_list_is_looked_at(house):
    house.tenant.configure(page_size=7)
    for number in range(20):
        house.tenant.seed(name=f"App {number}")
    house.tenant.seed(name="Widget", install_enforcement="install_once")
    result = house.publish(house.pkg(), NAMES_OF_PROD)
    assert actions(result) == [Action.UPDATE]
    assert len(house.tenant.apps()) == 21


def test_an_app_of_the_same_run_lends_its_upload_to_the_other(house):
    path = house.pkg()
    house.publish(path, {"custom_app.test_name": "Widget (Test)"})
    house.publish(path)
    assert not any("upload" in line or "/store" in line for line in house.writes())
    assert house.tenant.app("Widget")["sha256"] == house.tenant.app("Widget (Test)")["sha256"]


def test_a_dry_run_says_what_dynamic_lookup_would_pick_and_sends_gets_only(house):
    house.config(zz_defaults={"dynamic_lookup": True})
    house.tenant.seed(name="Old Widget", file_name="Widget-0.9.pkg", install_enforcement="install_once")
    result = house.publish(house.pkg(), {**NAMES_OF_PROD, "dry_run": "yes"})
    assert (result.outcomes[0].name, result.outcomes[0].action) == ("Old Widget", Action.UPDATE)
    assert "dynamic lookup" in result.outcomes[0].reason
    assert house.writes() == []


def test_the_recipe_map_names_the_app(house):
    house.config(use_recipe_map=True)
    house.config("recipe_map", **{"Widget.pkg": {"prod_name": "From the map"}})
    house.publish(house.pkg(), {}, recipe="Widget.pkg.recipe.yaml")
    assert [app["name"] for app in house.tenant.apps()] == ["From the map"]


@pytest.mark.parametrize("key", ["com.example.Widget", "com.example.Widget.pkg"])
def test_the_package_map_names_the_app_by_bundle_id_or_package_id(house, key):
    house.config(use_package_map=True)
    house.config("package_map", **{key: {"test_name": "Mapped"}})
    house.publish(house.pkg(), {})
    assert [app["name"] for app in house.tenant.apps()] == ["Mapped"]


def test_without_names_the_app_is_named_by_its_own(house):
    house.publish(house.pkg(), {})
    assert [app["name"] for app in house.tenant.apps()] == ["Widget (AutoPkg)"]


def test_problems_of_all_sources_are_told_together_and_nothing_is_sent(house):
    house.config(slack={"enabled": "perhaps"}, zz_default={})
    with pytest.raises(SettingsError) as caught:
        house.publish(house.pkg(), {"custom_app.prod_nmae": "x"})
    text = str(caught.value)
    assert all(word in text for word in ("slack.enabled", "zz_defaults", "prod_name"))
    assert house.sent() == []


def test_a_failure_before_the_plan_is_told_to_slack_too(house):
    house.environ["SLACK_TOKEN"] = house.tenant.webhook_url
    house.tenant.permissions.revoke("List Custom Apps")
    with pytest.raises(KandjiUploaderError, match="List Custom Apps"):
        house.publish(house.pkg())
    assert "List Custom Apps" in str(house.tenant.slack_messages())


def test_a_slack_that_is_down_does_not_fail_the_run(house):
    house.environ["SLACK_TOKEN"] = house.tenant.webhook_url
    house.tenant.faults.add("POST", "/slack/**", kind="status", code=500, nth="every")
    result = house.publish(house.pkg())
    assert result.changed
    assert not result.failed
    assert any("Slack" in text for text in house.warned)


def test_an_unchanged_run_tells_slack_nothing(house):
    path = house.pkg()
    house.publish(path)
    house.environ["SLACK_TOKEN"] = house.tenant.webhook_url
    house.publish(path)
    assert house.tenant.slack_messages() == []


def test_an_app_that_would_be_reinstalled_for_ever_is_refused_before_the_upload(house):
    path = house.pkg(version="")
    with pytest.raises(KandjiUploaderError, match=r"(?i)version"):
        house.publish(path, given=RecipeFacts(version="9.9"))
    assert house.writes() == []


def test_an_enforced_app_is_looked_for_where_it_is_unpacked(house):
    house.publish(house.zip(), {**NAMES_OF_PROD, "unzip_location": "/opt/tools"})
    app = house.tenant.app("Widget")
    assert app["unzip_location"] == audit.read(app["audit_script"]).unzip_location == "/opt/tools"

    house.publish(house.zip("2.0"), NAMES_OF_PROD)
    app = house.tenant.app("Widget")
    assert app["unzip_location"] == audit.read(app["audit_script"]).unzip_location == "/opt/tools"


def test_an_app_that_is_unpacked_where_everybody_can_write_is_refused_before_the_upload(house):
    keys = {**NAMES_OF_PROD, "unzip_location": "/Users/Shared/tools"}
    with pytest.raises(AuditScriptError, match=r"again and again.*everybody can write"):
        house.publish(house.zip(), keys)
    assert house.writes() == []
