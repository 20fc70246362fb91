"""The precedence ladder: who wins, and that the origin tells it."""

from __future__ import annotations

import itertools
import tempfile
from pathlib import Path

import pytest
from hypothesis import given as for_all
from hypothesis import settings as tuning
from hypothesis import strategies as some

from kandji_uploader import settings
from kandji_uploader.errors import SettingsError
from kandji_uploader.models import Enforcement, Promotion
from kandji_uploader.settings import schema, showing
from tests.settings.conftest import House
from tests.support.examples import examples

RECIPE = "Firefox.pkg.recipe"


def test_defaults_are_those_of_the_contract(house):
    settled = house.settle()
    assert settled.default_enforcement is Enforcement.AUDIT_ENFORCE
    assert (settled.prod.delay_days, settled.test.delay_days) == (5, 0)
    assert (settled.keystore_environment, settled.keystore_keychain) == (True, False)
    assert (settled.auto_create_app, settled.dry_run, settled.dynamic_lookup) == (True, False, False)
    assert (settled.prod.default_category, settled.test.default_category) == ("Apps", "Utilities")
    assert settled.unzip_location == "/Applications"
    assert (settled.token_name, settled.webhook_name, settled.slack_enabled) == ("KANDJI_TOKEN", "SLACK_TOKEN", False)
    switches = (settled.create_new, settled.allow_downgrade, settled.replace_audit_script, settled.unzip_location_given)
    assert switches == (False, False, False, False)
    assert (settled.prod.name, settled.prod.restart, settled.promotion, settled.pin_version) == (None, None, None, None)
    assert (settled.arch, settled.processing_timeout) == ("arm64", 300)
    assert settled.enforcement_type is None
    assert settled.warnings == ()
    assert settled.config_folder == house.folder


@pytest.mark.parametrize(
    ("caller", "naming"),
    [
        ("autopkg", "APPNAME (AutoPkg)"),
        ("kappa", "APPNAME (AutoPkg)"),
        ("command line", "APPNAME (kandji-uploader)"),
        ("python", "APPNAME (kandji-uploader)"),
    ],
)
def test_default_naming_tells_who_made_the_app(house, caller, naming):
    settled = house.settle(caller=caller)
    assert (settled.new_app_naming, settled.origins["zz_defaults.new_app_naming"]) == (naming, "default")


def test_a_config_file_with_the_section_but_no_delay_has_the_delay_of_kappa_and_says_so(house):
    house.write("config.json", {"li_enforcement": {"delays": {"prod": 7}}})
    settled = house.settle()
    assert (settled.prod.delay_days, settled.test.delay_days) == (7, 3)
    assert settled.origins["li_enforcement.delays.test"] == "default where li_enforcement has no such delay"


PAIR = {"custom_app.prod_name": "A", "custom_app.test_name": "B"}
PROMOTION = "custom_app.promotion"
NO_PAIR = (
    "custom_app.promotion: moves a version from the test app to the prod app; give custom_app.prod_name and "
    "custom_app.test_name, or drop it"
)
BLIND = (
    "custom_app.promotion.require_status is false: min_pass and max_error_percent cannot hold where nobody knows the "
    "Macs' status; drop require_status"
)


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (
            {**PAIR, "custom_app.test_name": "A"},
            "custom_app.prod_name is 'A': is the name of the test app too; give them different names",
        ),
        (
            {"custom_app.prod_name": "A", f"{PROMOTION}.after_days": 1},
            NO_PAIR,
        ),
        (
            {
                **PAIR,
                f"{PROMOTION}.min_pass": 1,
                f"{PROMOTION}.max_error_percent": 5,
                f"{PROMOTION}.require_status": False,
            },
            BLIND,
        ),
        ({**PAIR, f"{PROMOTION}.min_pass": 1, f"{PROMOTION}.require_status": True}, ""),
        ({**PAIR, f"{PROMOTION}.after_days": 1, f"{PROMOTION}.require_status": False}, ""),
    ],
    ids=["one name for both", "no pair", "blind", "not blind", "nothing about Macs"],
)
def test_values_that_do_not_go_together_are_told_with_the_way_out(house, asked, told):
    if told:
        assert house.problem(asked) == f"the caller: {told}"
    else:
        assert house.settle(asked).prod.name == "A"


def test_what_is_wrong_and_what_does_not_go_together_are_told_at_once_before_the_installer_is_read(house):
    asked = {**PAIR, "custom_app.test_name": "A", "dry_run": "perhaps"}
    with pytest.raises(SettingsError) as caught:
        house.load(asked)
    assert [problem.key for problem in caught.value.problems] == ["dry_run", "custom_app.prod_name"]


def test_what_only_the_package_map_can_mend_waits_for_the_installer(house):
    house.write("config.json", {"use_package_map": True})
    house.write("package_map.json", {"org.a": {"test_name": "B"}, "org.b": {"prod_name": "C", "test_name": "C2"}})
    ladder = house.load({"custom_app.prod_name": "A", f"{PROMOTION}.after_days": 1})
    assert ladder.settle(("org.x", "org.a", "org.b")).test.name == "B"
    with pytest.raises(SettingsError, match=r"give custom_app\.prod_name and custom_app\.test_name"):
        ladder.settle()


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"custom_app.ss_category": "X"}, []),
        (
            {"custom_app.test_category": "X"},
            ["custom_app.test_category is not used, since there is no custom_app.test_name"],
        ),
        (
            {"custom_app.test_name": "B", "custom_app.ss_category": "X", "custom_app.test_category": "Y"},
            ["custom_app.ss_category is not used, since there is no custom_app.prod_name"],
        ),
        ({**PAIR, "custom_app.ss_category": "X", "custom_app.test_category": "Y"}, []),
    ],
)
def test_the_category_of_an_app_that_the_run_is_not_about_is_warned_of(house, asked, told):
    assert house.settle(asked).warnings == tuple(f"the caller: {text}" for text in told)


def test_what_another_machine_is_told_is_about_apps_and_not_about_this_machine(house):
    house.write("config.json", {"use_package_map": True, "zz_defaults": {"auto_create_app": False, "dry_run": True}})
    house.write("package_map.json", {"org.a": {"unzip_location": "/opt"}})
    keys, further = house.load({"custom_app.prod_name": "A", "network.tries": 2}).told(("org.a",))
    assert keys == {"custom_app.prod_name": "A", "unzip_location": "/opt"}
    naming = {"zz_defaults.new_app_naming": "APPNAME (kandji-uploader)"}
    assert further == {"zz_defaults.auto_create_app": False, **naming}


def test_how_new_apps_are_made_travels_and_how_a_machine_reaches_its_tenant_does_not():
    travels = {key.path for key in schema.ALL_KEYS if schema.travels(key)}
    assert {"li_enforcement.type", "zz_defaults.new_app_naming", "audit_template", "custom_app.prod_name"} <= travels
    assert not travels & {"zz_defaults.dry_run", "publish_to", "kandji.api_url", "kandji.token_name", "network.tries"}


def everywhere(house, *, given, recipe_map, package_map, config):
    """A setting that has a place in each source but the environment, given in those that are True."""
    switches = {"use_recipe_map": True, "use_package_map": True}
    config_file = {**switches, **({"zz_defaults": {"unzip_location": "/config"}} if config else {})}
    house.write("config.json", config_file)
    house.write("recipe_map.json", {"Firefox.pkg": {"unzip_location": "/recipe_map"} if recipe_map else {}})
    house.write("package_map.json", {"org.mozilla.firefox": {"unzip_location": "/package_map"} if package_map else {}})
    asked = {"unzip_location": "/given"} if given else {}
    return house.settle(asked, ["other.id", "org.mozilla.firefox"], caller="autopkg", recipe=RECIPE)


@pytest.mark.parametrize("sources", list(itertools.product([True, False], repeat=4)))
def test_highest_rung_wins_and_origin_tells_it(house, sources):
    names = ("given", "recipe_map", "package_map", "config")
    settled = everywhere(house, **dict(zip(names, sources, strict=True)))
    winner = next((name for name, there in zip(names, sources, strict=True) if there), "default")
    origins = {
        "given": "the caller",
        "recipe_map": f"{house.folder / 'recipe_map.json'} (Firefox.pkg)",
        "package_map": f"{house.folder / 'package_map.json'} (org.mozilla.firefox)",
        "config": str(house.folder / "config.json"),
        "default": "default",
    }
    assert settled.unzip_location == ("/Applications" if winner == "default" else f"/{winner}")
    assert settled.origins["zz_defaults.unzip_location"] == origins[winner]
    assert settled.unzip_location_given == (winner not in ("config", "default"))


def test_environment_is_between_map_and_config(house):
    house.write("config.json", {"kandji": {"api_url": "config.api.kandji.io"}})
    settled = house.settle(environ={"KANDJI_API_URL": "environment.api.kandji.io"})
    assert settled.api_url == "https://environment.api.kandji.io"
    assert settled.origins["kandji.api_url"] == "environment (KANDJI_API_URL)"
    settled = house.settle({"kandji.api_url": "given.api.kandji.io"}, environ={"KANDJI_API_URL": "e.api.kandji.io"})
    assert settled.api_url == "https://given.api.kandji.io"
    assert house.settle(environ={}).api_url == "https://config.api.kandji.io"


def test_values_come_key_by_key_from_different_rungs(house):
    house.write("config.json", {"use_recipe_map": True, "use_package_map": True})
    house.write("recipe_map.json", {"Firefox.pkg": {"prod_name": "Firefox", "ss_category": "Browsers"}})
    house.write("package_map.json", {"org.mozilla.firefox": {"test_name": "Firefox (Test)", "ss_category": "Apps"}})
    asked = {"custom_app": {"prod_name": "Mozilla Firefox"}}
    settled = house.settle(asked, ["org.mozilla.firefox"], caller="autopkg", recipe=RECIPE)
    assert (settled.prod.name, settled.test.name, settled.prod.category) == (
        "Mozilla Firefox",
        "Firefox (Test)",
        "Browsers",
    )


def test_flat_key_wins_over_dictionary(house):
    settled = house.settle({"custom_app.prod_name": "flat", "custom_app": {"prod_name": "nested", "test_name": "kept"}})
    assert (settled.prod.name, settled.test.name) == ("flat", "kept")
    settled = house.settle({"enforcement_delays": {"prod": 1, "test": 2}, "enforcement_delays.prod": "9"})
    assert (settled.prod.delay_days, settled.test.delay_days) == (9, 2)


def test_none_means_not_given(house):
    house.write("config.json", {"zz_defaults": {"dry_run": True, "unzip_location": None}, "slack": None})
    settled = house.settle({"dry_run": None, "custom_app": None, "custom_app.prod_name": None})
    assert (settled.dry_run, settled.prod.name) == (True, None)


def test_key_without_prefix_holds_for_both_stages_and_prefix_wins(house):
    settled = house.settle({"custom_app": {"restart": True, "test_restart": False, "blueprints": ["All"]}})
    assert (settled.prod.restart, settled.test.restart) == (True, False)
    assert settled.prod.blueprints == settled.test.blueprints == ("All",)


def test_key_without_prefix_on_a_higher_rung_wins_over_prefix_below(house):
    house.write("config.json", {"use_recipe_map": True})
    house.write("recipe_map.json", {"Firefox.pkg": {"prod_restart": False, "test_restart": False}})
    settled = house.settle({"custom_app.restart": "yes"}, caller="autopkg", recipe=RECIPE)
    assert (settled.prod.restart, settled.test.restart) == (True, True)


@pytest.mark.parametrize(
    ("section", "delays"),
    [
        ({"li_enforcement": {"type": "audit_enforce"}}, (3, 3)),
        ({"li_enforcement": {"delays": {"prod": 7}}}, (7, 3)),
        ({"li_enforcement": {"delays": {"prod": 7, "test": 0}}}, (7, 0)),
        ({"li_enforcement": {"delays": None}}, (3, 3)),
        ({"li_enforcement": None}, (5, 0)),
        ({"slack": {}}, (5, 0)),
    ],
)
def test_delay_absent_from_a_config_that_has_the_section_is_three(house, section, delays):
    house.write("config.json", section)
    settled = house.settle()
    assert (settled.prod.delay_days, settled.test.delay_days) == delays


@pytest.mark.parametrize("empty", ["", "  ", None])
def test_empty_enforcement_type_is_install_once_with_a_warning(house, empty):
    house.write("config.json", {"li_enforcement": {"type": empty, "delays": {"prod": 1, "test": 1}}})
    settled = house.settle()
    assert settled.default_enforcement is Enforcement.INSTALL_ONCE
    (warning,) = settled.warnings
    assert "li_enforcement.type is empty" in warning
    assert "install_once" in warning


def test_given_enforcement_is_kept_apart_from_the_default(house):
    house.write("config.json", {"li_enforcement": {"type": "install_once"}})
    settled = house.settle({"enforcement_type": "Continuously_Enforce"})
    assert (settled.enforcement_type, settled.default_enforcement) == (
        Enforcement.AUDIT_ENFORCE,
        Enforcement.INSTALL_ONCE,
    )


def test_same_name_for_prod_and_test_is_a_problem(house):
    text = house.problem({"custom_app": {"prod_name": "Firefox", "test_name": " Firefox "}})
    assert text.startswith("the caller: custom_app.prod_name is 'Firefox': is the name of the test app too")


def test_same_name_from_two_rungs_is_a_problem(house):
    house.write("config.json", {"use_package_map": True})
    house.write("package_map.json", {"org.mozilla.firefox": {"prod_name": "Firefox"}})
    ladder = house.load({"custom_app.test_name": "Firefox"})
    assert ladder.use_package_map
    assert ladder.settle(["something.else"]).test.name == "Firefox"
    with pytest.raises(SettingsError, match="name of the test app too"):
        ladder.settle(["org.mozilla.firefox"])


def test_promotion_is_read_from_dictionary_map_and_flat_keys(house):
    house.write("config.json", {"use_recipe_map": True})
    entry = {"prod_name": "P", "test_name": "T", "promotion": {"after_days": 7, "max_error_percent": "2.5"}}
    house.write("recipe_map.json", {"Firefox.pkg": entry})
    settled = house.settle({"custom_app.promotion.min_pass": "3"}, caller="autopkg", recipe=RECIPE)
    assert settled.promotion == Promotion(after_days=7, min_pass=3, max_error_percent=2.5)
    settled = house.settle(caller="autopkg", recipe=RECIPE)
    assert settled.promotion == Promotion(after_days=7, max_error_percent=2.5)


@pytest.mark.parametrize("rule", [{"min_pass": 3}, {"max_error_percent": 5}])
def test_a_rule_about_macs_whose_status_need_not_be_known_is_a_contradiction(house, rule):
    names = {"prod_name": "P", "test_name": "T"}
    text = house.problem({"custom_app": {**names, "promotion": {"after_days": 7, "require_status": False, **rule}}})
    assert "custom_app.promotion.require_status" in text
    assert f"{next(iter(rule))} cannot hold where nobody knows the Macs' status" in text


@pytest.mark.parametrize("names", [{}, {"prod_name": "P"}, {"test_name": "T"}])
def test_promotion_needs_both_apps(house, names):
    text = house.problem({"custom_app": {"promotion": {"after_days": 7}, **names}})
    assert "custom_app.promotion" in text
    assert "custom_app.test_name" in text


def test_category_of_an_app_that_is_not_asked_for_is_told(house):
    settled = house.settle({"custom_app": {"prod_name": "Firefox", "test_category": "Apps"}})
    assert settled.warnings == (
        "the caller: custom_app.test_category is not used, since there is no custom_app.test_name",
    )
    assert house.settle({"custom_app": {"ss_category": "Apps"}}).warnings == ()


def test_new_app_name_is_checked(house):
    settled = house.settle(caller="autopkg")
    assert settings.new_app_name(settled, "Firefox") == "Firefox (AutoPkg)"
    with pytest.raises(SettingsError, match="at most 255"):
        settings.new_app_name(settled, "x" * 250)


def test_explain_lists_every_setting_with_its_origin(house):
    settled = house.settle({"custom_app": {"prod_name": "Firefox", "blueprints": "A, B"}, "dry_run": "yes"})
    rows = {row.key: row for row in showing.explain(settled)}
    assert set(rows) == set(settled.origins)
    assert (rows["custom_app.prod_name"].value, rows["custom_app.prod_name"].origin) == ("Firefox", "the caller")
    assert rows["zz_defaults.dry_run"].value == "true"
    assert rows["custom_app.test_blueprints"].value == "A, B"
    assert rows["li_enforcement.type"].value == "audit_enforce"
    assert rows["processing_timeout"].value == "300"
    assert rows["custom_app.test_name"] == showing.Row("custom_app.test_name", "", "default")


def test_settings_cannot_be_changed(house):
    settled = house.settle()
    with pytest.raises(AttributeError):
        settled.dry_run = True
    with pytest.raises(TypeError):
        settled.origins["dry_run"] = "elsewhere"


PRINTABLE = some.characters(exclude_categories=("Cc", "Cf", "Cs", "Zl", "Zp"))
NAMES = some.text(PRINTABLE, min_size=1, max_size=255).filter(str.strip)


@tuning(max_examples=examples(30), deadline=None)
@for_all(NAMES)
def test_any_printable_name_is_taken_as_it_is(name):
    with tempfile.TemporaryDirectory() as folder:
        assert House(Path(folder)).settle({"custom_app.prod_name": name}).prod.name == name.strip()


@tuning(max_examples=examples(20), deadline=None)
@for_all(NAMES.filter(lambda name: "%" not in name))
def test_any_printable_name_comes_out_of_a_map_as_it_went_in(name):
    with tempfile.TemporaryDirectory() as folder:
        house = House(Path(folder))
        house.write("config.json", {"use_package_map": True})
        house.write("package_map.json", {"an.id": {"test_name": name}})
        assert house.settle(identifiers=["an.id"]).test.name == name.strip()


def test_fields_of_the_request_are_held_for_each_app_by_their_names_in_the_api(house):
    settled = house.settle({"custom_app.active": False, "custom_app.test_recommended": True})
    assert dict(settled.prod.fields) == {"active": False}
    assert dict(settled.test.fields) == {"active": False, "self_service_recommended": True}


def test_where_nothing_is_sent_no_address_is_needed(house):
    assert house.settle({"publish_to": "/srv/built"}, environ={}, caller="autopkg").api_url == ""
    assert "KANDJI_API_URL" in house.problem(environ={})


def test_freezes_of_all_places_count_together_each_once_with_where_they_stand(house):
    year_end, audit = (
        {"from": f"2026-12-{day}", "until": "2027-01-04", "why": why} for day, why in ((20, "a"), (21, "b"))
    )
    where = str(house.write("config.json", {"freeze": [year_end]}))
    settled = house.settle({"custom_app.freeze": [audit, year_end]})
    assert [freeze.why for freeze in settled.freezes] == ["b", "a"]
    assert settled.origins["freeze"] == f"the caller and {where}"
    alone = house.settle()
    assert ([freeze.why for freeze in alone.freezes], alone.origins["freeze"]) == (["a"], where)


def test_what_is_wrong_is_told_before_a_tenant_that_is_not_known(house):
    house.write("tenants.json", {"tenants": {"acme": {"api_url": "acme.api.kandji.io", "token_name": "ACME"}}})
    with pytest.raises(SettingsError) as caught:
        house.load({"tenant": "initech", "custom_app.delay": "soon"}).complain()
    assert [problem.key for problem in caught.value.problems] == ["custom_app.delay"]


def test_one_tenant_is_asked_for_where_several_are_meant_and_an_unknown_one_is_told_with_who_named_it(house):
    tenants = {name: {"api_url": f"{name}.api.kandji.io", "token_name": name.upper()} for name in ("acme", "globex")}
    house.write("tenants.json", {"tenants": tenants})
    text = "means 2 tenants (acme, globex), and this is about one; name one of them"
    with pytest.raises(SettingsError) as caught:
        house.settle({"tenant": "acme, globex"})
    assert str(caught.value) == f"the caller: tenant: {text}"
    assert house.problem({"tenant": "initech"}).startswith("the caller: tenant")
    assert house.settle({"tenant": "globex"}).api_url == "https://globex.api.kandji.io"


def test_the_tenants_that_are_meant_are_none_where_the_app_names_none_and_where_the_ladder_is_for_one(house):
    house.write("tenants.json", {"tenants": {"acme": {"api_url": "acme.api.kandji.io", "token_name": "ACME"}}})
    house.write("config.json", {"use_package_map": True})
    house.write("package_map.json", {"org.a": {"tenant": "acme"}})
    ladder = house.load()
    assert ladder.tenants(["org.b"]) == ()
    (acme,) = ladder.tenants(["org.a"])
    assert ladder.at(acme).tenants(["org.a"]) == ()


def test_an_address_that_is_missing_is_told_alone_with_where_it_can_be_written(house):
    text = (
        "is not set; set the environment variable KANDJI_API_URL to your tenant's API host (such as "
        "TENANT.api.kandji.io), write it into the config file, or run `kandji-uploader setup`"
    )
    assert house.problem(environ={}) == f"{house.folder}: kandji.api_url: {text}"
    config = house.write("config.json", {})
    assert house.problem(environ={}) == f"{config}: kandji.api_url: {text}"
    tenants = house.write("tenants.json", {"tenants": {}})
    named = f"is not set; say which tenants of {tenants} are meant: `--tenant`, or the key `tenant`"
    assert house.problem(environ={}) == f"{config}: kandji.api_url: {named}"
    # What is wrong with the tenant that is named hides that no address is known.
    assert house.problem({"tenant": 5}, environ={}).startswith("the caller: tenant")
