"""The JSON Schemas of the config file and of the maps: shipped as generated, and as strict as what reads the files."""

from __future__ import annotations

import json
from pathlib import Path
from types import UnionType
from typing import get_args, get_origin, get_type_hints

import pytest

from kandji_uploader import models
from kandji_uploader.cli import main
from kandji_uploader.settings import json_schema, schema
from kandji_uploader.settings.coercion import UnfitError
from tests.keys.scene import nested
from tests.keys.test_every_key import EFFECTS
from tests.support.schemas import load, validator

EXAMPLES = Path(__file__).parents[2] / "examples"
TABLES = {"config": schema.IN_CONFIG, "recipe_map": schema.IN_MAP, "package_map": schema.IN_MAP}
SAMPLES = {
    "api_url": "acme.api.kandji.io",
    "audit_template": "own.zsh",
    "state_folder": "/state",
    "publish_to": "/built",
}
BAD = ("perhaps? = x://", -1, "", "a\tb: c/d", {"deeper": 1}, ["", "a:b"])
"""Each key takes some of these at the most; those that its own reader refuses, the schema must refuse."""

FORGIVEN = ("li_enforcement.type", "kandji.api_url", "iru.api_url")
"""Empty in the config files that kpkg and KAPPA ship, so that empty ones are read."""


def refused(name: str, files: list[Path]) -> set[str]:
    """The files that the shipped schema refuses, read as editors read them."""
    schema = validator(load(EXAMPLES / f"{name}.schema.json"))
    return {file.stem for file in files if not schema.is_valid(load(file))}


def write(folder: Path, number: int, content: object) -> Path:
    path = folder / f"{number}.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


@pytest.mark.parametrize("name", json_schema.NAMES)
def test_the_shipped_schema_is_the_one_that_the_command_prints(name, capsys):
    assert main(["schema", name]) == 0
    shipped = (EXAMPLES / f"{name}.schema.json").read_text(encoding="utf-8")
    assert shipped == capsys.readouterr().out, "`make examples` writes it again"


@pytest.mark.parametrize("name", json_schema.NAMES)
def test_our_example_fits_its_schema(name):
    assert refused(name, [EXAMPLES / f"{name}.yaml"]) == set()


@pytest.mark.parametrize("name", ["config", "recipe_map"])
def test_the_schema_refuses_what_is_refused_when_the_file_is_read(name, tmp_path, house):
    contents: list[object] = []
    for path, (key, *_) in TABLES[name].items():
        found = [value for value in BAD if _unfit(key, value)]
        assert found, path
        found = [value for value in found if value or path not in FORGIVEN]
        contents += [nested({path: value}) for value in found]
        *above, leaf = path.split(".")
        contents.append(nested({".".join([*above, f"{leaf}_x"]): 1}))
    files = [write(tmp_path, number, _whole(name, content)) for number, content in enumerate(contents)]
    taken = {file.stem for file in files} - refused(name, files)
    assert [contents[int(stem)] for stem in taken] == []
    for content in contents:
        house.write(f"{name}.json", _whole(name, content))
        assert house.problems({"use_recipe_map": name == "recipe_map"}, caller="autopkg")


@pytest.mark.parametrize("name", ["config", "recipe_map"])
def test_the_schema_takes_a_fit_value_of_each_key_and_none(name, tmp_path):
    contents = [{path: _sample(key)} for path, (key, *_) in TABLES[name].items()]
    contents += [{path: None} for path in TABLES[name]]
    files = [write(tmp_path, number, _whole(name, nested(content))) for number, content in enumerate(contents)]
    assert [contents[int(stem)] for stem in refused(name, files)] == []


def _whole(name: str, content: object) -> object:
    return content if name == "config" else {"Firefox.pkg": content}


def _unfit(key: schema.Key, value: object) -> bool:
    try:
        key.kind(value)
    except UnfitError:
        return True
    return False


def _sample(key: schema.Key) -> object:
    value = EFFECTS[key.field].value
    return SAMPLES.get(key.field, "own.zsh") if callable(value) else value


def _holder(key: schema.Key) -> tuple[type, str]:
    group, _, field = key.field.rpartition(".")
    if group.endswith(".fields"):
        return None, field
    holders = {"": models.Settings, "promotion": models.Promotion}
    return holders.get(group, models.StageSettings), field


@pytest.mark.parametrize("key", schema.ALL_KEYS, ids=lambda key: key.field)
def test_the_settings_have_a_field_of_the_right_type_for_each_key(key):
    holder, field = _holder(key)
    hint = get_type_hints(holder)[field] if holder else str | bool  # a field of the request goes there as it is
    read = Path(str(key.kind(_sample(key)))) if hint is Path else key.kind(_sample(key))
    parts = get_args(hint) if isinstance(hint, UnionType) else (hint,)
    assert any(isinstance(read, get_origin(part) or part) for part in parts)


def test_the_settings_hold_the_defaults_of_the_table_and_nothing_that_is_in_no_table():
    settings = models.Settings("https://acme.api.kandji.io")
    for key in schema.CONFIG_KEYS:
        if key.default is not None:
            group, _, field = key.field.rpartition(".")
            assert getattr(getattr(settings, group) if group else settings, field) == key.default, key.field
    further = {"tenant", "environment_first", "unzip_location_given", "config_folder", "origins", "warnings"}
    settled = {"": models.Settings, "prod": models.StageSettings, "promotion": models.Promotion}
    for group, holder in settled.items():
        known = {key.field.rpartition(".")[2] for key in schema.ALL_KEYS if key.field.rpartition(".")[0] == group}
        beside = {"": further | {"prod", "test", "promotion"}, "prod": {"fields", "enforcement_type"}}.get(group, set())
        assert set(get_type_hints(holder)) == known | beside
