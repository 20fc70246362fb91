"""What loading makes of who asks, of a tenant that is a value, and of defaults of another machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from kandji_uploader import settings
from kandji_uploader._util.places import state_folder
from kandji_uploader.errors import SettingsError
from kandji_uploader.models import Settings, Tenant
from kandji_uploader.settings import coercion
from kandji_uploader.settings.loading import Early, early

CHROME = "GoogleChrome.pkg.recipe"
ADVICE = (
    "define it in the recipe's Input, let a step before this one find it (values found during a run belong in the "
    "Arguments of a later step), or write the value out"
)


@pytest.mark.parametrize(("caller", "name"), [("kappa", "Chrome"), ("autopkg", None), ("python", None)])
def test_a_key_of_the_recipe_map_may_be_a_part_of_the_name_for_kappa_alone(house, caller, name):
    house.write("config.json", {"use_recipe_map": True})
    house.write("recipe_map.json", {"Chrome": {"prod_name": "Chrome"}})
    assert house.settle(caller=caller, recipe=CHROME).prod.name == name


@pytest.mark.parametrize("caller", ["autopkg", "kappa"])
def test_a_key_that_autopkg_has_not_filled_in_is_a_problem_of_a_recipe(house, caller):
    text = house.problem({"custom_app.prod_name": "%NAME%"}, caller=caller)
    assert text.startswith("the caller: custom_app.prod_name is '%NAME%'")
    assert text.endswith(ADVICE)
    assert house.settle({"custom_app.prod_name": "%NAME%"}).prod.name == "%NAME%"


def test_defaults_of_another_machine_hold_where_this_one_says_nothing(house):
    defaults = {"zz_defaults": {"unzip_location": "/theirs", "new_app_naming": "APPNAME (theirs)"}}
    settled = house.settle(defaults=defaults)
    assert (settled.unzip_location, settled.origins["zz_defaults.unzip_location"]) == ("/theirs", "the caller")
    assert settled.new_app_naming == "APPNAME (theirs)"
    house.write("config.json", {"zz_defaults": {"unzip_location": "/ours"}})
    assert house.settle(defaults=defaults).unzip_location == "/ours"
    assert house.problem(defaults={"zz_defaults": {"nope": 1}}).startswith("the caller: zz_defaults.nope")


def test_a_tenant_that_is_a_value_needs_no_address_in_the_config_file(house):
    house.write("config.json", {"kandji": {"api_url": "TENANT.api.kandji.io"}})
    acme = Tenant("acme", "acme.api.kandji.io", "ACME")
    settled = house.settle(tenant=acme, environ={})
    assert (settled.tenant, settled.api_url, settled.token_name) == ("acme", "https://acme.api.kandji.io", "ACME")
    assert "kandji.api_url" in house.problem(environ={})


def test_the_environment_and_the_folder_are_those_of_the_process_where_none_are_given(house, monkeypatch):
    monkeypatch.setenv("KANDJI_API_URL", "mine.api.kandji.io")
    ladder = settings.load({}, given_origin="the caller", caller="python", folder=house.folder)
    assert ladder.settle().api_url == "https://mine.api.kandji.io"


def test_a_relative_path_starts_at_the_folder_of_who_asks_and_then_at_its_parents(house, tmp_path):
    near, far = tmp_path / "near", tmp_path / "far"
    for folder in (near, far):
        folder.mkdir()
        (folder / f"{folder.name}.sh").write_text("#!/bin/sh\n")
    for name, folder in (("near.sh", near), ("far.sh", far)):
        asked = {"custom_app.preinstall_script": name}
        settled = house.settle(asked, base=near, parents=[far / "Parent.recipe"])
        assert settled.prod.preinstall_script == str(folder / name)


def test_defaults_of_another_machine_are_keys_of_the_config_file(house):
    assert house.problem(defaults={"custom_app": {"prod_name": "A"}}).startswith("the caller: custom_app")


@pytest.mark.parametrize(
    ("caller", "recipe", "key", "why"),
    [
        ("autopkg", "A.recipe", "A", "it is the name of this recipe"),
        ("autopkg", "B.recipe", "", "looked for B"),
        ("python", "A.recipe", "", ""),
    ],
)
def test_the_ladder_tells_which_entry_of_the_recipe_map_it_took_and_why(house, caller, recipe, key, why):
    house.write("config.json", {"use_recipe_map": True})
    house.write("recipe_map.json", {"A": {}})
    ladder = house.load(caller=caller, recipe=recipe)
    assert (ladder.recipe_key, ladder.recipe_why) == (key, why)
    house.write("config.json", {"use_recipe_map": False})
    unused = house.load(caller=caller, recipe=recipe)
    assert (unused.recipe_key, unused.recipe_why) == ("", "")


def test_what_is_told_of_an_entry_names_the_map(house):
    house.write("config.json", {"use_recipe_map": True})
    path = house.write("recipe_map.json", {"Chrome": {}})
    (warning,) = house.settle(caller="kappa", recipe=CHROME).warnings
    assert warning.startswith(f"{path}: Chrome is a part of the recipe's name")


def test_where_autopkg_builds_for_another_machine_no_tenant_is_looked_for(house):
    asked = {"publish_to": "/srv/built", "tenant": "acme"}
    assert house.load(asked, environ={}, caller="autopkg").builds
    assert house.problem(asked, environ={}).startswith("the caller: tenant")


def test_a_tenant_beside_an_address_is_told_with_all_that_is_wrong_in_tenants_yaml(house):
    path = house.write("tenants.json", {"tenants": {"acme": {"token_name": "ACME"}}, "more": 1})
    told = house.problems({"tenant": "acme", "kandji.api_url": "acme.api.kandji.io", "dry_run": "perhaps"})
    assert told[0].startswith("the caller: dry_run is 'perhaps'")
    text = "is named, and so is an address (kandji.api_url, --api-url); keep one of them"
    assert told[1] == f"the caller: tenant: {text}"
    assert [one.partition(": ")[0] for one in told[2:]] == [str(path), str(path)]


def test_what_is_wrong_with_a_tenant_that_is_a_value_is_told_with_who_gave_it(house):
    tenant = Tenant("acme", "acme.api.kandji.io", "ACME", keys={"apps": 5})
    assert house.problem(tenant=tenant).startswith("the caller: acme: apps: must hold apps")


def test_a_path_in_a_tenant_that_is_a_value_starts_at_the_config_folder(house):
    script = house.write("before.sh", "#!/bin/sh\n")
    tenant = Tenant("acme", "acme.api.kandji.io", keys={"apps": {"Widget": {"preinstall_script": "before.sh"}}})
    settled = house.settle({"custom_app.prod_name": "Widget"}, tenant=tenant, base=house.folder.parent)
    assert settled.prod.preinstall_script == str(script)


def test_the_state_folder_that_nobody_names_is_a_default(house):
    assert house.settle().origins["state_folder"] == "default"


def test_what_is_needed_early_comes_from_the_environment_and_the_config_file(house, monkeypatch):
    environ = {"KANDJI_UPLOADER_DIR": str(house.folder), "HOME": "/home/jane", "XDG_STATE_HOME": "/var/jane"}
    assert early(environ) == Early(house.folder, state_folder(environ), dry_run=False)
    house.write("config.json", {"zz_defaults": {"dry_run": True}, "state_folder": "/srv/state"})
    assert early(environ) == Early(house.folder, Path("/srv/state"), dry_run=True)
    mine = {**environ, "KANDJI_UPLOADER_STATE_DIR": "/srv/mine"}
    assert early(mine) == Early(house.folder, Path("/srv/mine"), dry_run=True)
    monkeypatch.setenv("KANDJI_UPLOADER_DIR", str(house.folder))
    monkeypatch.setenv("KANDJI_UPLOADER_STATE_DIR", "/srv/mine")
    assert early() == early(mine)
    # `load` tells what is wrong with it.
    house.write("config.json", {"zz_defaults": {"dry_run": "perhaps"}})
    assert early(mine) == Early(house.folder, Path("/srv/mine"), dry_run=False)


def test_a_config_file_that_is_broken_hides_nothing_of_what_the_caller_gave(house):
    path = house.write("config.json", "{")
    given, config = house.problems({"dry_run": "perhaps"})
    assert given.startswith("the caller: dry_run is 'perhaps'")
    assert config.startswith(str(path))


def test_nothing_fills_in_keys_in_the_config_file(house):
    path = house.write("config.json", {"zz_defaults": {"unzip_location": "%FOLDER%"}})
    text = house.problem()
    assert text.startswith(f"{path}: zz_defaults.unzip_location is '%FOLDER%'")
    assert text.endswith("nothing fills in keys here; write the value out")


def test_an_empty_enforcement_type_is_told_with_its_file(house):
    path = house.write("config.json", {"li_enforcement": {"type": ""}})
    (warning,) = house.settle().warnings
    assert warning.startswith(f"{path}: li_enforcement.type is empty")


def test_a_name_that_cannot_be_one_is_told_with_who_gave_its_pattern(house):
    path = house.write("config.json", {"zz_defaults": {"new_app_naming": "APPNAME of ours"}})
    settled = house.settle()
    for known, where in ((settled, str(path)), (Settings("https://acme.api.kandji.io"), "default")):
        name = known.new_app_naming.replace("APPNAME", "x" * 250)
        with pytest.raises(SettingsError) as refused:
            settings.new_app_name(known, "x" * 250)
        (problem,) = refused.value.problems
        assert (problem.where, problem.key) == (where, "zz_defaults.new_app_naming")
        assert problem.value == coercion.shown(name)


def test_a_path_in_the_config_file_starts_at_its_folder(house):
    template = house.write("mine.zsh", "#!/bin/zsh\n")
    house.write("config.json", {"audit_template": "mine.zsh"})
    assert house.settle(base=house.folder.parent).audit_template == str(template)


def test_what_is_wrong_in_a_config_file_that_is_not_written_yet_is_told_with_its_place(house):
    assert house.problem(draft="dry_rum: true").startswith(f"{house.folder / 'config.yaml'}: dry_rum")
