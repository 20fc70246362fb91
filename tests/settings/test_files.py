"""Config files: YAML and JSON, those of kpkg, irupkg and KAPPA, and broken ones."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
import yaml
from hypothesis import given as for_all
from hypothesis import settings as tuning
from hypothesis import strategies as some

from kandji_uploader import settings
from kandji_uploader.errors import SettingsError
from kandji_uploader.models import Enforcement
from kandji_uploader.settings import schema, showing
from tests.settings.conftest import House
from tests.support.examples import examples

WORDS = sorted({part for path in schema.IN_CONFIG for part in path.split(".")} | set(schema.IN_CONFIG) | {"x", ""})

# As KAPPA and kpkg write it (their key names and values; kpkg has use_package_map, KAPPA use_recipe_map).
KPKG = {
    "kandji": {"api_url": "acme.api.kandji.io", "token_name": "MY_TOKEN"},
    "li_enforcement": {"delays": {"prod": 7, "test": 1}, "type": "install_once"},
    "slack": {"enabled": True, "webhook_name": "HOOK"},
    "token_keystore": {"environment": False, "keychain": True},
    "use_package_map": False,
    "zz_defaults": {
        "auto_create_app": False,
        "dry_run": True,
        "dynamic_lookup": True,
        "new_app_naming": "APPNAME (kpkg)",
        "self_service_category": "Productivity",
        "test_self_service_category": "Testing",
    },
}


def without(mapping, key):
    return {name: value for name, value in mapping.items() if name != key}


def kappa_with_old_spellings():
    defaults = without(without(KPKG["zz_defaults"], "auto_create_app"), "dynamic_lookup")
    defaults = {**defaults, "auto_create_new_app": False, "dynamic_lookup_fallback": True}
    return {**without(KPKG, "use_package_map"), "use_recipe_map": False, "zz_defaults": defaults}


def irupkg():
    return {**without(KPKG, "kandji"), "iru": KPKG["kandji"]}


@pytest.mark.parametrize("config", [KPKG, kappa_with_old_spellings(), irupkg()], ids=["kpkg", "KAPPA", "irupkg"])
@pytest.mark.parametrize("form", ["config.json", "config.yaml", "config.yml"])
def test_config_of_the_former_tool_works_unchanged(house, config, form):
    house.write(form, config if form.endswith("json") else yaml.safe_dump(config))
    settled = house.settle(environ={})
    assert settled.api_url == "https://acme.api.kandji.io"
    assert (settled.token_name, settled.webhook_name, settled.slack_enabled) == ("MY_TOKEN", "HOOK", True)
    assert settled.default_enforcement is Enforcement.INSTALL_ONCE
    assert (settled.prod.delay_days, settled.test.delay_days) == (7, 1)
    assert (settled.keystore_environment, settled.keystore_keychain) == (False, True)
    assert (settled.auto_create_app, settled.dry_run, settled.dynamic_lookup) == (False, True, True)
    assert settled.new_app_naming == "APPNAME (kpkg)"
    assert (settled.prod.default_category, settled.test.default_category) == ("Productivity", "Testing")
    assert settled.warnings == ()


def test_two_spellings_of_one_setting_are_a_problem(house):
    house.write("config.json", {"zz_defaults": {"auto_create_app": True, "auto_create_new_app": False}})
    text = house.problem()
    assert "zz_defaults.auto_create_new_app" in text
    assert "another spelling of zz_defaults.auto_create_app; keep one" in text
    house.write("config.json", {"kandji": {"token_name": "A"}, "iru": {"token_name": "B"}})
    assert "iru.token_name: is another spelling of kandji.token_name" in house.problem()


def test_two_config_files_are_a_problem_that_names_both(house):
    house.write("config.json", KPKG)
    house.write("config.yaml", "dry_run: true\n")
    text = house.problem()
    assert text == f"{house.folder}: holds config.yaml and config.json; keep one of them"


def test_empty_config_file_is_no_config(house):
    for content in ("", "\n# nothing\n", "---\n", "\ufeff"):
        house.write("config.yaml", content)
        assert house.settle().default_enforcement is Enforcement.AUDIT_ENFORCE
    (house.folder / "config.yaml").unlink()
    house.write("config.json", " \n")
    assert house.settle().auto_create_app


def test_byte_order_mark_of_an_editor_is_fine(house):
    house.write("config.yaml", "\ufeffzz_defaults:\n  dry_run: yes\n")
    assert house.settle().dry_run


def test_key_named_twice_in_yaml_is_a_problem_with_its_line(house):
    house.write("config.yaml", "kandji:\n  token_name: A\n  api_url: acme.api.kandji.io\n  token_name: B\n")
    text = house.problem()
    assert text == f"{house.folder}/config.yaml, line 4: the key 'token_name' is there twice; correct the YAML"


def test_key_named_twice_in_json_is_a_problem(house):
    house.write("config.json", '{"kandji": {"token_name": "A", "token_name": "B"}}')
    assert house.problem() == f"{house.folder}/config.json: the key 'token_name' is there twice; keep one"


@pytest.mark.parametrize(
    ("name", "content", "place"),
    [
        ("config.yaml", "kandji:\n\tapi_url: x\n", "config.yaml, line 2"),
        ("config.yaml", "kandji: [1,\nslack: {}\n", "config.yaml, line 3"),
        ("config.yaml", "a: 1\n---\nb: 2\n", "config.yaml, line 2"),
        ("config.yaml", "a: *nowhere\n", "config.yaml, line 1"),
        ("config.yaml", "a: !!python/object/apply:os.system [ls]\n", "config.yaml, line 1"),
        ("config.yaml", "a: \x01\n", "config.yaml"),
        ("config.yaml", "- a\n- b\n", "config.yaml: must hold keys"),
        ("config.yaml", "text\n", "config.yaml: must hold keys"),
        ("config.json", '{\n "kandji": {,}\n}', "config.json, line 2"),
        ("config.json", "[]", "config.json: must hold keys"),
        ("config.yaml", "[" * 2000, "config.yaml: is nested too deeply"),
        ("config.json", "[" * 200000, "config.json: is nested too deeply"),
    ],
)
def test_broken_file_is_one_problem_that_names_file_and_line(house, name, content, place):
    house.write(name, content)
    assert house.problem(environ={}).startswith(f"{house.folder}/{place}")


JSON = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats() | some.text(),
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(some.sampled_from(WORDS), inner, max_size=4),
    max_leaves=12,
)


def taken_or_told(read):
    """What was read, or the text of the problems; any other exception is a bug."""
    try:
        return read()
    except SettingsError as error:
        return str(error)


@tuning(max_examples=examples(60), deadline=None)
@for_all(some.dictionaries(some.sampled_from(WORDS), JSON, max_size=6))
def test_whatever_a_config_file_holds_is_taken_or_told(content):
    with tempfile.TemporaryDirectory() as folder:
        house = House(Path(folder))
        house.write("config.json", content)
        outcome = taken_or_told(house.settle)
        assert not isinstance(outcome, str) or outcome.startswith(str(house.folder))


@tuning(max_examples=examples(100), deadline=None)
@for_all(some.text(some.sampled_from("ab:-[]{}&*!|>'\"%@,#?<= \n\t\x85\ufeff019~")))
def test_whatever_a_yaml_file_holds_is_read_or_told(content):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.yaml"
        path.write_text(content, encoding="utf-8")
        outcome = taken_or_told(lambda: settings.read_mapping_file(path))
        assert isinstance(outcome, dict) or outcome.startswith(str(path))


def test_file_in_another_encoding_is_a_problem(house):
    (house.folder / "config.yaml").write_bytes("slack: {}\n".encode("utf-16"))
    assert "is not UTF-8 text" in house.problem()


def test_folder_in_place_of_a_file_is_a_problem(house):
    (house.folder / "config.yaml").mkdir()
    assert "config.yaml: cannot be read (Is a directory)" in house.problem()


def test_file_in_place_of_the_folder_is_a_problem(house):
    house.folder = house.write("not-a-folder", "x")
    assert "is not a folder" in house.problem()


def test_wrong_values_in_a_file_are_told_with_file_key_value_and_what_is_accepted(house):
    house.write(
        "config.yaml", "zz_defaults:\n  dry_run: perhaps\nli_enforcement:\n  type: sometimes\n  delays: 5\nkandji: x\n"
    )
    where = f"{house.folder}/config.yaml"
    assert house.problems() == [
        f"{where}: li_enforcement.delays is 5: must hold keys of its own, such as li_enforcement.delays.prod",
        f"{where}: kandji is 'x': must hold keys of its own, such as kandji.api_url",
        f"{where}: zz_defaults.dry_run is 'perhaps': must be true or false (also yes or no, 1 or 0)",
        f"{where}: li_enforcement.type is 'sometimes': must be one of {', '.join(kind.value for kind in Enforcement)}",
    ]


def test_unknown_keys_in_a_file_are_told_with_did_you_mean(house):
    house.write(
        "config.yaml",
        "kandji:\n  token: 0f8fad5b-d9cb-469f-a165-70867728950e\nuse_recipes_map: true\nslack:\n  enable: true\n",
    )
    problems = house.problems()
    assert [problem.split("; ")[1] for problem in problems] == [
        "did you mean token_name?",
        "did you mean use_recipe_map?",
        "did you mean enabled?",
    ]
    assert "0f8fad5b" not in "".join(problems)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("1.10", "1.10"),
        ("0x10", "0x10"),
        ("010", "010"),
        ("1_000", "1_000"),
        ("1:30", "1:30"),
        ("2026-03-31", "2026-03-31"),
        ("1e3", "1e3"),
        ("yes", "yes"),
        ("on", "on"),
        ("12", 12),
        ("-3", -3),
        ("9" * 30, "9" * 30),
        ("true", True),
        ("False", False),
        ("'true'", "true"),
        ("null", None),
        ("", None),
    ],
)
def test_yaml_values_lose_nothing(tmp_path, written, read):
    path = tmp_path / "x.yaml"
    path.write_text(f"value: {written}\n")
    assert settings.read_mapping_file(path) == {"value": read}


@pytest.mark.parametrize(("written", "read"), [("1.10", "1.10"), ("12", 12), ("9" * 5000, "9" * 5000), ("true", True)])
def test_json_values_lose_nothing(tmp_path, written, read):
    path = tmp_path / "x.json"
    path.write_text(f'{{"value": {written}}}')
    assert settings.read_mapping_file(path) == {"value": read}


def test_version_in_a_map_keeps_its_digits(house):
    house.write("config.yaml", "use_package_map: yes\n")
    house.write("package_map.yaml", "org.mozilla.firefox:\n  pin_version: 1.10\n  prod_name: 2.0\n")
    settled = house.settle(identifiers=["org.mozilla.firefox"])
    assert (settled.pin_version, settled.prod.name) == ("1.10", "2.0")


def test_yaml_merge_keys_may_be_overridden(tmp_path):
    path = tmp_path / "x.yaml"
    path.write_text("base: &base {a: 1, b: 2}\nover: &over\n  <<: *base\n  b: 3\nlast: {<<: *over, a: 4}\n")
    assert settings.read_mapping_file(path)["over"] == {"a": 1, "b": 3}
    assert settings.read_mapping_file(path)["last"] == {"a": 4, "b": 3}


def test_read_yaml_names_its_source():
    assert settings.read_yaml("a: 1.0", "somewhere") == {"a": "1.0"}
    with pytest.raises(SettingsError, match=r"^somewhere, line 2: the key 'a' is there twice"):
        settings.read_yaml("a: 1\na: 2\n", "somewhere")


def test_example_is_a_config_that_loads_cleanly_and_holds_the_defaults(house):
    untouched = house.settle()
    house.write("config.yaml", showing.example())
    settled = house.settle()
    told = {row.key: row.value for row in showing.explain(settled)}
    assert told == {row.key: row.value for row in showing.explain(untouched)}
    assert settled.origins["zz_defaults.dry_run"] == str(house.folder / "config.yaml")
    assert settled.warnings == ()
