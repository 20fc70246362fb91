"""From files, maps and the environment to values: what is told of what does not fit, to the letter."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.settings.conftest import URL

IN_A_MAP = "AutoPkg does not fill in keys in a map; write the value out"
UNKNOWN = "is not a known key"


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"custom_app": {"a\u202eb": 1}}, "'custom_app.a\\u202eb': "),
        ({"enforcement_delays": {"zzz": 1}}, f"enforcement_delays.zzz: {UNKNOWN}; known here are prod, test"),
        ({"network.trys": 1}, f"network.trys: {UNKNOWN}; did you mean tries?"),
        ({"zzqqzz": 1}, f"zzqqzz: {UNKNOWN}; known here are allow_downgrade, "),
        ({"prodname": "X"}, f"prodname: {UNKNOWN}; did you mean custom_app.prod_name?"),
        ({"custom_app": {"prodname": "X"}}, f"custom_app.prodname: {UNKNOWN}; did you mean prod_name?"),
        ({"custom_app": {"category": "X"}}, f"custom_app.category: {UNKNOWN}; did you mean ss_category?"),
    ],
)
def test_a_key_that_is_not_known_is_told_with_what_is(house, asked, told):
    assert house.problem(asked).startswith(f"the caller: {told}")


def test_a_script_that_is_in_none_of_the_folders_is_told_with_each_place_and_why(house, tmp_path, monkeypatch):
    parent = tmp_path / "parent"
    (parent / "x.zsh").mkdir(parents=True)
    asked = {"custom_app.prod_preinstall_script": "x.zsh"}
    told = (
        f"the caller: custom_app.prod_preinstall_script is 'x.zsh': cannot be read at {house.folder}/x.zsh (No such "
        f"file or directory), nor at {parent}/x.zsh (it is not a file); correct the path or put the file there"
    )
    assert house.problem(asked, parents=[parent / "A.recipe"]) == told
    house.write("x.zsh", "exit 0\n")
    assert house.settle(asked).prod.preinstall_script == str(house.folder / "x.zsh")
    # The tests may run as root, whom no mode keeps out.
    monkeypatch.setattr(os, "access", lambda _, mode: mode != os.R_OK)
    assert "(permission denied); correct the path" in house.problem(asked)


def test_a_path_in_a_home_is_read_and_one_in_the_home_of_nobody_is_told(house, monkeypatch):
    monkeypatch.setenv("HOME", str(house.folder))
    path = house.write("own.zsh", "")
    assert house.settle({"audit_template": "~/own.zsh"}).audit_template == str(path)
    assert f"cannot be read at {Path('~nobody-here/x')}" in house.problem({"audit_template": "~nobody-here/x"}).replace(
        f"{house.folder}/", ""
    )


def test_what_is_wrong_in_a_map_is_told_with_the_map_and_the_entry(house):
    house.write("config.json", {"use_package_map": True})
    house.write("package_map.json", {"org.a": {"prod_name": "%NAME%"}, "org.b": "Firefox", "org.c": {"restart": 5}})
    place = f"{house.folder}/package_map.json"
    assert house.problems() == [
        f"{place}: org.a: prod_name is '%NAME%': holds %NAME%, for which there is no value; {IN_A_MAP}",
        f"{place}: org.b is 'Firefox': must hold keys, such as prod_name: Firefox",
        f"{place}: org.c: restart is 5: must be true or false (also yes or no, 1 or 0)",
    ]


def test_what_is_wrong_in_the_environment_is_told_with_the_variable_and_no_secret(house):
    environ = {"KANDJI_API_URL": "example.com", "KANDJI_TOKEN_NAME": "A=B", "ENV_KEYSTORE": "perhaps"}
    host = "must be TENANT.api.kandji.io, TENANT.api.eu.kandji.io, TENANT.api.iru.com or TENANT.api.eu.iru.com"
    assert house.problems(environ=environ) == [
        f"environment: KANDJI_API_URL is 'example.com': {host}",
        "environment: KANDJI_TOKEN_NAME: must be a name, without '='",
        "environment: ENV_KEYSTORE is 'perhaps': must be true or false (also yes or no, 1 or 0)",
    ]


@pytest.mark.parametrize("section", ["kandji", "iru"])
@pytest.mark.parametrize("url", ["", " ", None, "TENANT.api.kandji.io"])
def test_an_address_that_was_never_filled_in_is_no_error_where_the_environment_has_one(house, section, url):
    house.write("config.json", {section: {"api_url": url, "token_name": "MINE"}})
    settled = house.settle(environ=URL)
    assert (settled.api_url, settled.token_name) == ("https://acme.api.kandji.io", "MINE")
    assert "api_url" in house.problem(environ={})


def test_an_empty_type_of_enforcement_is_install_once_as_in_kappa_with_a_warning(house):
    path = house.write("config.json", {"li_enforcement": {"type": ""}})
    settled = house.settle()
    assert settled.default_enforcement.value == "install_once"
    assert settled.warnings == (f"{path}: li_enforcement.type is empty; new apps are enforced as install_once",)


def test_two_spellings_of_a_key_are_told_with_the_file_and_what_comes_after_is_looked_at_too(house):
    content = {"kandji": {"api_url": "a.api.kandji.io"}, "iru": {"api_url": "b.api.kandji.io"}, "use_recipe_map": 7}
    path = house.write("config.json", content)
    assert house.problems(environ={}) == [
        f"{path}: iru.api_url: is another spelling of kandji.api_url; keep one of them",
        f"{path}: use_recipe_map is 7: must be true or false (also yes or no, 1 or 0)",
    ]


def test_a_key_for_both_apps_is_no_other_spelling_of_one_for_one_of_them(house):
    settled = house.settle({"custom_app": {"restart": True, "prod_restart": False}})
    assert (settled.prod.restart, settled.test.restart) == (False, True)


def test_what_may_be_a_secret_is_not_shown_and_a_key_that_is_no_text_is_told_where_it_is(house):
    assert (
        house.problem({"kandji.token_name": "A=secret"}) == "the caller: kandji.token_name: must be a name, without '='"
    )
    assert house.problem({"custom_app": {5: "x"}}) == "the caller: custom_app.5: is not text; put the key in quotes"


def test_of_the_sections_each_is_listed_once_and_not_their_keys(house):
    listed = house.problem({"zzqqzz": 1}).partition("known here are ")[2].split(", ")
    assert len(set(listed)) == len(listed) > 15
    assert {"network", "custom_app", "dry_run"} <= set(listed)
    assert not any("." in name for name in listed)


def test_an_address_in_the_file_is_checked_also_where_the_environment_has_another(house):
    house.write("config.json", {"kandji": {"api_url": "example.com"}})
    assert "kandji.api_url is 'example.com': must be TENANT.api.kandji.io" in house.problem(environ=URL)


def test_a_type_of_enforcement_that_is_given_holds_without_a_warning(house):
    house.write("config.json", {"li_enforcement": {"type": "self_service"}})
    settled = house.settle()
    assert (settled.default_enforcement.value, settled.warnings) == ("self_service", ())


def test_a_value_in_place_of_keys_is_told_with_one_of_them(house):
    told = "must hold keys of its own, such as network.connect_timeout"
    assert house.problem({"network": 5}) == f"the caller: network is 5: {told}"


def test_a_key_that_is_filled_in_nowhere_is_found_at_whatever_depth(house):
    place = house.write("config.json", {"freeze": [{"until": "2027-01-04", "why": "by %WHO%"}]})
    text = "holds %WHO%, for which there is no value; nothing fills in keys here; write the value out"
    assert house.problem() == f"{place}: freeze is a list: {text}"
