"""Recipe map and package map: exact keys, all entries checked."""

from __future__ import annotations

import pytest

CHROME = {"GoogleChrome.pkg": {"prod_name": "Google Chrome"}}


def recipe_map(house, content, name="recipe_map.json"):
    house.write("config.json", {"use_recipe_map": True})
    house.write(name, content)


def package_map(house, content, name="package_map.json"):
    house.write("config.json", {"use_package_map": True})
    house.write(name, content)


@pytest.mark.parametrize("suffix", ["", ".recipe", ".recipe.yaml", ".recipe.plist"])
@pytest.mark.parametrize("asked", ["", ".recipe", ".recipe.yaml", ".recipe.plist"])
def test_recipe_is_found_by_its_exact_name_with_or_without_suffix(house, suffix, asked):
    recipe_map(house, {f"GoogleChrome.pkg{suffix}": {"prod_name": "Google Chrome"}})
    settled = house.settle(caller="autopkg", recipe=f"GoogleChrome.pkg{asked}")
    assert settled.prod.name == "Google Chrome"
    assert settled.origins["custom_app.prod_name"] == f"{house.folder}/recipe_map.json (GoogleChrome.pkg{suffix})"


def test_recipe_is_found_by_its_path(house):
    recipe_map(house, CHROME)
    assert house.settle(caller="autopkg", recipe="/some/where/GoogleChrome.pkg.recipe").prod.name == "Google Chrome"


def test_recipe_is_found_by_its_identifier(house):
    recipe_map(house, {"com.github.autopkg.pkg.googlechrome": {"prod_name": "Google Chrome"}})
    identifier = "com.github.autopkg.pkg.googlechrome"
    assert house.settle(caller="autopkg", recipe="X.recipe", recipe_identifier=identifier).prod.name == "Google Chrome"
    assert house.settle(caller="autopkg", recipe="X.recipe").prod.name is None


PARENT_PLIST = """<?xml version="1.0" encoding="UTF-8"?>
<plist version="1.0"><dict><key>Input</key><dict/><key>Identifier</key><string>%s</string></dict></plist>
"""


def parents(house):
    """A recipe of two parents, in both formats; the nearest first."""
    near = house.write("GoogleChrome.pkg.recipe.yaml", "Identifier: com.github.pkg.chrome\n")
    far = house.write("GoogleChrome.download.recipe", PARENT_PLIST % "com.github.download.chrome")
    return [near, far]


@pytest.mark.parametrize(
    ("keys", "used"),
    [
        (["com.github.pkg.chrome"], "com.github.pkg.chrome"),
        (["com.github.download.chrome"], "com.github.download.chrome"),
        (["GoogleChrome.pkg"], "GoogleChrome.pkg"),
        (["GoogleChrome.download.recipe"], "GoogleChrome.download.recipe"),
        (["com.github.download.chrome", "com.github.pkg.chrome"], "com.github.pkg.chrome"),
        (["com.github.pkg.chrome", "local.chrome"], "local.chrome"),
        (["GoogleChrome.pkg", "Mine"], "Mine"),
    ],
)
def test_an_override_is_found_by_its_own_keys_and_then_by_those_of_its_parents(house, keys, used):
    recipe_map(house, {key: {"prod_name": f"by {key}"} for key in keys})
    further = {"recipe": "Mine.recipe", "recipe_identifier": "local.chrome", "parents": parents(house)}
    ladder = house.load(caller="autopkg", **further)
    assert ladder.settle().prod.name == f"by {used}"
    assert ladder.recipe_key == used


@pytest.mark.parametrize("content", ["not: [yaml", "- a list", "", "Input: {IDENTIFIER: com.old}", None])
def test_a_parent_that_cannot_be_read_has_its_name_only(house, content):
    recipe_map(house, {"Parent": {"prod_name": "P"}})
    path = house.folder / "Parent.recipe.yaml"
    if content is not None:
        path.write_text(content)
    assert house.settle(caller="autopkg", recipe="Mine.recipe", parents=[path]).prod.name == "P"


def test_two_keys_of_one_parent_are_a_problem(house):
    recipe_map(house, {"GoogleChrome.pkg": {}, "com.github.pkg.chrome": {}})
    text = house.problem(caller="autopkg", recipe="Mine.recipe", parents=parents(house))
    assert "GoogleChrome.pkg and com.github.pkg.chrome: mean the same recipe; keep one" in text


@pytest.mark.parametrize(
    ("key", "recipe"),
    [
        ("Chrome.pkg", "GoogleChrome.pkg.recipe"),
        ("GoogleChrome", "GoogleChrome.pkg.recipe"),
        ("GoogleChrome.pkg", "GoogleChrome.pkg.beta.recipe"),
        ("googlechrome.pkg", "GoogleChrome.pkg.recipe"),
    ],
)
def test_part_of_a_name_never_matches_but_is_told(house, key, recipe):
    recipe_map(house, {key: {"prod_name": "Wrong"}, "Other.pkg": {}})
    settled = house.settle(caller="autopkg", recipe=recipe)
    assert settled.prod.name is None
    (warning,) = settled.warnings
    assert f"but one for {key}" in warning


def test_recipe_that_the_map_does_not_know_is_no_matter(house):
    recipe_map(house, CHROME)
    assert house.settle(caller="autopkg", recipe="Firefox.pkg.recipe").warnings == ()


@pytest.mark.parametrize(
    ("content", "recipe", "identifier"),
    [
        ({"A.pkg": {}, "A.pkg.recipe": {}}, "Other.recipe", None),
        ({"A.pkg": {}, "com.example.a": {}}, "A.pkg.recipe", "com.example.a"),
    ],
)
def test_two_keys_that_mean_the_same_recipe_are_a_problem(house, content, recipe, identifier):
    recipe_map(house, content)
    text = house.problem(caller="autopkg", recipe=recipe, recipe_identifier=identifier)
    assert f"{' and '.join(content)}: mean the same recipe; keep one" in text


def test_recipe_map_is_for_autopkg_only(house):
    recipe_map(house, "not even JSON")
    assert house.settle(caller="command line", recipe="GoogleChrome.pkg").prod.name is None


@pytest.mark.parametrize("name", ["package_map.json", "package_map.yaml"])
def test_first_known_identifier_is_the_entry(house, name):
    package_map(house, '{"a.b": {"prod_name": "AB"}, "c.d": {"prod_name": "CD"}}', name)
    ladder = house.load()
    assert ladder.use_package_map
    assert ladder.settle(["x.y", "c.d", "a.b"]).prod.name == "CD"
    assert ladder.settle(["C.D"]).prod.name is None
    assert ladder.settle().prod.name is None


def test_package_map_entry_may_hold_recipe_keys_and_unzip_location(house):
    entry = {
        "prod_name": "P",
        "unzip_location": "/Library",
        "enforcement_type": "update_only",
        "enforcement_delays": {"prod": 9},
        "pin_version": "3",
        "restart": True,
    }
    package_map(house, {"a.b": entry})
    settled = house.settle(identifiers=["a.b"])
    assert (settled.unzip_location, settled.unzip_location_given) == ("/Library", True)
    assert (settled.enforcement_type.value, settled.prod.delay_days, settled.pin_version) == ("update_only", 9, "3")
    assert (settled.prod.restart, settled.test.restart) == (True, True)


def test_every_entry_of_a_map_is_checked_also_those_not_used(house):
    content = {
        "a.b": {"prod_name": "Fine"},
        "c.d": {"prod_nam": "X", "restart": "maybe"},
        "e.f": {"prod_name": "Same", "test_name": "Same"},
        "g.h": "Firefox",
        "i.j": {"prod_name": "%NAME%"},
        "k.l": {"create_new": True},
        "m.n": {"custom_app": {"prod_name": "X"}},
        "o.p": {"preinstall_script": "none.zsh"},
    }
    package_map(house, content)
    problems = house.problems(identifiers=["a.b"])
    told = [problem.removeprefix(f"{house.folder}/package_map.json: ").split(": ")[:2] for problem in problems]
    assert told == [
        ["c.d", "prod_nam"],
        ["c.d", "restart is 'maybe'"],
        ["e.f", "prod_name is 'Same'"],
        ["g.h is 'Firefox'", "must hold keys, such as prod_name"],
        ["i.j", "prod_name is '%NAME%'"],
        ["k.l", "create_new"],
        ["m.n", "custom_app"],
        ["o.p", "preinstall_script is 'none.zsh'"],
    ]


def test_same_names_in_the_used_entry_are_told_once(house):
    recipe_map(house, {"A.pkg": {"prod_name": "Same", "test_name": "Same"}})
    assert "A.pkg: prod_name is 'Same'" in house.problem(caller="autopkg", recipe="A.pkg.recipe")


@pytest.mark.parametrize("switch", ["use_recipe_map", "use_package_map"])
def test_map_that_is_on_but_missing_is_a_problem(house, switch):
    house.write("config.json", {switch: True})
    text = house.problem(caller="autopkg")
    assert text.startswith(f"{house.folder}/config.json: {switch}: is on, but {house.folder} holds no")


@pytest.mark.parametrize("stem", ["recipe_map", "package_map"])
def test_map_that_nobody_switched_on_or_off_is_told(house, stem):
    house.write(f"{stem}.yaml", "broken: [\n")
    (warning,) = house.settle(caller="autopkg").warnings
    assert f"{stem}.yaml is not used; write `use_{stem}: true`" in warning
    house.write("config.json", {f"use_{stem}": False})
    assert house.settle(caller="autopkg").warnings == ()


def test_two_files_of_a_map_are_a_problem(house):
    package_map(house, "{}")
    house.write("package_map.yaml", "{}")
    assert "holds package_map.yaml and package_map.json; keep one" in house.problem()


def test_key_named_twice_in_a_map_is_a_problem(house):
    package_map(house, "a.b: {}\nc.d: {}\na.b: {}\n", "package_map.yaml")
    assert f"{house.folder}/package_map.yaml, line 3: the key 'a.b' is there twice" in house.problem()
