"""tenants.yaml: which tenants there are, which are meant, and what differs there; what is wrong is told at once."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest

from kandji_uploader.errors import SettingsError
from kandji_uploader.models import Tenant
from kandji_uploader.settings.coercion import UnfitError
from kandji_uploader.settings.schema import IN_TENANT, IN_TENANT_APP
from kandji_uploader.settings.tenants import read_tenants
from tests.settings.test_json_schema import BAD, refused, write

EXAMPLES = Path(__file__).parents[2] / "examples"
ACME = {"api_url": "acme.api.kandji.io", "token_name": "ACME_TOKEN"}
GLOBEX = {"api_url": "globex.api.kandji.io", "token_name": "GLOBEX_TOKEN"}


def tenants(house, groups=None, **entries):
    house.write("tenants.yaml", json.dumps({"tenants": entries, **({"groups": groups} if groups else {})}))


def told(house):
    """The problems of the file, without the file's own name."""
    with pytest.raises(SettingsError) as caught:
        read_tenants(house.folder)
    return [str(problem).replace(str(house.folder / "tenants.yaml"), "FILE") for problem in caught.value.problems]


def test_without_the_key_the_file_is_not_even_read(house):
    house.write("tenants.yaml", "not: [yaml")
    settings = house.settle()
    assert (settings.api_url, settings.tenant, settings.tenants) == ("https://acme.api.kandji.io", "", ())


def test_a_tenant_that_is_named_stands_in_for_the_one_of_the_settings(house):
    tenants(house, globex=GLOBEX)
    house.write("config.yaml", "kandji: {api_url: TENANT.api.kandji.io}")
    settings = house.settle({"tenant": "globex"}, environ={})
    assert (settings.tenant, settings.api_url, settings.token_name) == (
        "globex",
        "https://globex.api.kandji.io",
        "GLOBEX_TOKEN",
    )


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("all", ["acme", "globex", "initech"]),
        ("globex, acme", ["acme", "globex"]),
        (["globex", "@customers"], ["globex", "initech"]),
        ("@everyone", ["acme", "globex", "initech"]),
        ("initech,initech", ["initech"]),
    ],
)
def test_tenants_are_named_by_name_group_or_all_and_come_once_in_the_order_of_the_file(house, said, meant):
    initech = {"api_url": "initech.api.kandji.io", "token_name": "T3", "groups": "customers"}
    groups = {"customers": ["globex"], "everyone": ["@customers", "acme"]}
    tenants(house, groups, acme=ACME, globex=GLOBEX, initech=initech)
    assert [tenant.name for tenant in house.load({"tenant": said}).tenants()] == meant


def test_what_a_tenant_says_wins_over_what_is_said_for_all(house):
    tenants(
        house,
        acme=ACME
        | {
            "enforcement_delays": {"prod": 9},
            "blueprints": "Acme Macs",
            "self_service_category": "Acme",
            "apps": {"Firefox": {"prod_name": "Mozilla Firefox", "prod_blueprints": ["Browsers"]}},
        },
    )
    asked = {"tenant": "acme", "enforcement_delays.prod": 1, "custom_app.blueprints": "Macs"}
    mapped = house.settle({**asked, "custom_app.prod_name": "Firefox"})
    assert (mapped.prod.name, mapped.prod.blueprints, mapped.prod.delay_days) == ("Mozilla Firefox", ("Browsers",), 9)
    assert mapped.origins["custom_app.prod_name"] == f"{house.folder / 'tenants.yaml'} (acme)"
    other = house.settle({**asked, "custom_app.prod_name": "Chrome"})
    assert (other.prod.name, other.prod.blueprints, other.prod.default_category) == ("Chrome", ("Acme Macs",), "Acme")


def test_rules_of_promotion_that_hold_for_a_whole_tenant_are_nothing_to_an_app_that_has_no_pair(house):
    tenants(house, acme=ACME | {"promotion": {"after_days": 7}})
    pair = {"custom_app.prod_name": "Firefox", "custom_app.test_name": "Firefox (Test)"}
    assert house.settle({"tenant": "acme", **pair}).promotion.after_days == 7
    assert house.settle({"tenant": "acme", "custom_app.prod_name": "Firefox"}).promotion is None


def test_a_tenant_may_have_rings_of_its_own_for_an_app_and_the_name_of_each_ring_means_the_app(house):
    rings = [{"name": "Firefox (IT)"}, {"name": "Firefox", "after_days": 5}]
    ours = [{"name": "Early"}, {"name": "Pilots", "after_days": 1}, {"name": "All", "after_days": 9}]
    every = {"promotion": {"after_days": 3}, "prod_blueprints": "Acme Macs", "enforcement_delays": {"test": 2}}
    tenants(house, acme=ACME | every | {"apps": {"Firefox (IT)": {"rings": ours}}}, globex=GLOBEX)
    settings = house.settle({"tenant": "acme", "custom_app.rings": rings})
    assert [ring.stage.name for ring in settings.rings] == ["Early", "Pilots", "All"]
    assert [ring.rules.after_days for ring in settings.rings] == [0, 1, 9]
    assert [ring.stage.blueprints for ring in settings.rings] == [(), (), ("Acme Macs",)]
    assert [ring.stage.delay_days for ring in settings.rings] == [2, 2, 5]
    assert [str(ring) for ring in house.settle({"tenant": "globex", "custom_app.rings": rings}).rings] == [
        "Firefox (IT)",
        "Firefox",
    ]


def test_a_value_that_is_wrong_is_told_before_which_tenant_is_meant(house):
    tenants(house, acme=ACME, globex=GLOBEX)
    assert "dry_run" in house.problem({"tenant": "all", "dry_run": "perhaps"})


@pytest.mark.parametrize("place", ["recipe_map", "package_map"])
def test_a_map_may_say_the_tenant(house, place):
    tenants(house, acme=ACME, globex=GLOBEX)
    house.write(f"{place}.yaml", "Firefox.pkg: {tenant: globex, prod_name: Firefox}")
    settings = house.settle({f"use_{place}": True}, ["Firefox.pkg"], caller="autopkg", recipe="Firefox.pkg.recipe")
    assert settings.tenant == "globex"


def test_a_tenant_that_the_caller_has_as_a_value_needs_no_file(house):
    tenant = Tenant("acme", "acme.api.eu.kandji.io", "ACME_TOKEN", keys={"enforcement_delays": {"prod": 9}})
    settings = house.settle({"tenant": "all"}, tenant=pickle.loads(pickle.dumps(tenant)))
    assert (settings.tenant, settings.api_url) == ("acme", "https://acme.api.eu.kandji.io")
    assert settings.prod.delay_days == 9


def test_several_tenants_are_refused_where_one_is_meant(house):
    tenants(house, acme=ACME, globex=GLOBEX)
    assert "means 2 tenants (acme, globex), and this is about one" in house.problem({"tenant": "all"})


def test_a_name_that_is_not_in_the_file_is_told_with_the_one_that_may_be_meant(house):
    tenants(house, {"europe": ["acme"]}, acme=ACME)
    assert "tenant is 'acmee': is not in" in house.problem({"tenant": "acmee"})
    assert house.problem({"tenant": "@europ"}).endswith("did you mean @europe?")
    assert house.problem({"tenant": "zzz"}).endswith("known there are acme, @europe, all")


def test_a_tenant_is_no_use_without_the_file(house):
    assert "is in no tenants.yaml" in house.problem({"tenant": "acme"})


def test_a_tenant_and_an_address_beside_it_are_refused(house):
    tenants(house, acme=ACME)
    assert "keep one of them" in house.problem({"tenant": "acme", "kandji.api_url": "globex.api.kandji.io"})


def test_an_error_in_the_file_is_the_only_thing_that_is_told_where_the_tenant_brings_the_address(house):
    tenants(house, acme=ACME | {"tokn": 1})
    with pytest.raises(SettingsError) as caught:
        house.load({"tenant": "acme"}, environ={})
    assert [problem.key for problem in caught.value.problems] == ["acme: tokn"]


def test_what_tells_tenants_apart_must_differ(house):
    tenants(house, acme=ACME, other=ACME | {"api_url": "https://acme.api.kandji.io/"}, Acme=GLOBEX)
    assert told(house) == [
        "FILE: tenants: Acme: is 'acme' but for upper and lower case; a tenant is named once",
        "FILE: other: api_url is 'https://acme.api.kandji.io': is the address of 'acme', too; each tenant has its own",
        "FILE: other: token_name is 'ACME_TOKEN': is the token of 'acme', too; each tenant has its own",
    ]


def test_a_tenant_that_is_named_twice_is_refused_with_the_line(house):
    house.write("tenants.yaml", "tenants:\n  acme: {}\n  acme: {}\n")
    assert told(house) == ["FILE, line 3: the key 'acme' is there twice; correct the YAML"]


def test_a_group_that_contains_itself_is_refused(house):
    tenants(house, {"a": ["@b", "acme"], "b": ["@a"], "c": ["@c"]}, acme=ACME)
    assert told(house) == [
        "FILE: groups: a: contains itself, through @a, @b",
        "FILE: groups: b: contains itself, through @a, @b",
        "FILE: groups: c: contains itself, through @c",
    ]


def test_what_is_wrong_in_the_file_is_told_all_at_once(house):
    tenants(
        house,
        {"x": ["nobody"], "y": []},
        **{
            "all": ACME,
            "b c": {},
            "d": 5,
            "e": GLOBEX | {"prod_name": "Firefox", "dry_run": True, "delays": 3, "groups": 7},
            "f": {"api_url": "nowhere", "token_name": "https://x", "apps": {"Firefox": 3, "Chrome": {"urgent": "x"}}},
        },
    )
    problems = told(house)
    wanted = [
        "tenants: all: must be letters",
        "tenants: b c: must be letters",
        "b c: api_url: is missing",
        "b c: token_name: is missing",
        "tenants: d: must hold keys",
        "e: prod_name: is about one app; write it below `apps`",
        "e: dry_run: belongs into a recipe",
        "e: delays: is not a known key",
        "e: groups is 7: must be a list of names",
        "f: api_url: must be TENANT",
        "f: token_name: holds the secret itself (not shown)",
        "f: apps: Firefox is 3: must hold keys",
        "f: apps: Chrome: urgent: belongs into a recipe",
        "groups: x is 'nobody': is no tenant or @group",
        "groups: y: holds no tenant",
    ]
    missing = [text for text in wanted if not any(text in problem for problem in problems)]
    assert missing == [], "\n".join(problems)
    assert len(problems) == len(wanted), "\n".join(problems)


@pytest.mark.parametrize("content", ["", "tenants: {}", "tenants: [acme]", "customers: {}"])
def test_a_file_that_holds_no_tenant_is_refused(house, content):
    house.write("tenants.yaml", content)
    assert told(house)


def _unfit(key, value):
    try:
        key.kind(value)
    except UnfitError:
        return True
    return False


def test_the_schema_refuses_what_is_refused_when_the_file_is_read(house, tmp_path):
    contents = [{"tenants": {"all": ACME | {"x": 1}}}, {"tenants": {"acme": {}}}, {"tenants": {}}, {"tenant": {}}]
    for table, inside in ((IN_TENANT, lambda found: found), (IN_TENANT_APP, lambda found: {"apps": {"App": found}})):
        for path, (key, *_) in table.items():
            *above, leaf = path.split(".")
            for value in [value for value in BAD if _unfit(key, value)][:2]:
                found = {leaf: value}
                for section in reversed(above):
                    found = {section: found}
                contents.append({"tenants": {"acme": ACME | inside(found)}})
    (tmp_path / "files").mkdir()
    files = [write(tmp_path / "files", number, content) for number, content in enumerate(contents)]
    taken = {file.stem for file in files} - refused("tenants", files)
    assert [contents[int(stem)] for stem in taken] == []
    for content in contents:
        house.write("tenants.yaml", json.dumps(content))
        assert told(house), content


def test_the_shipped_example_is_read_and_says_what_it_says():
    found = read_tenants(EXAMPLES)
    assert [tenant.name for tenant in found.chosen(["@customers"])] == ["acme", "globex"]
    assert found.rungs["acme"].apps["Firefox"]["custom_app.prod_name"].value == "Mozilla Firefox"
