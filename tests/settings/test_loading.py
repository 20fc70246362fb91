"""What loading makes of who asks, of a tenant that is a value, and of defaults of another machine."""

from __future__ import annotations

import pytest

from kandji_uploader import settings
from kandji_uploader.models import Tenant

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
