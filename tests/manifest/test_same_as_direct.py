"""What is built here and published there is what the processor would have made of the tenant here."""

from __future__ import annotations

import plistlib
import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from kandji_uploader import autopkg
from kandji_uploader.publish import manifests, resolve
from kandji_uploader.settings import schema
from kandji_uploader.state import digests_of
from tests.keys.scene import nested
from tests.manifest.conftest import TOKEN, Machine, fresh, moved, recipe
from tests.settings.test_json_schema import _sample

TEMPLATE = Path(__file__).parents[2] / "audit" / "audit_app_and_version.zsh"
NAMES = {"prod_name": "Widget", "test_name": "Widget (Test)"}


def nothing(machine, _):
    return {}


def mapped(machine, _):
    """All from the recipe map, scripts beside it, and the pkginfo."""
    machine.write("before.zsh", "#!/bin/zsh\necho before\n")
    machine.write("after.zsh", "#!/bin/zsh\necho after\n")
    machine.write("config.yaml", {"use_recipe_map": True})
    entry = {**NAMES, "preinstall_script": "before.zsh", "test_postinstall_script": "after.zsh", "restart": True}
    entry |= {"blueprints": ["Macs"], "test_category": "Productivity", "enforcement_delays": {"prod": 9}}
    machine.write("recipe_map.yaml", {"Widget.pkg": entry})
    pkginfo = {"category": "Productivity", "blocking_applications": ["A.app"], "minimum_os_version": "13.0"}
    app = {"CFBundleIdentifier": "com.example.Widget", "path": "/Applications/Widget.app"}
    return {"munki_info": {**pkginfo, "version": "1.0", "installs": [app]}, "pkginfo": pkginfo}


def templated(machine, _):
    """From the package map and the config file: an audit script of one's own, delays, names and categories."""
    machine.write("own.zsh", f"# our own\n{TEMPLATE.read_text()}")
    machine.write(
        "config.yaml",
        {
            "use_package_map": True,
            "audit_template": "own.zsh",
            "li_enforcement": {"type": "audit_enforce", "delays": {"prod": 12}},
            "zz_defaults": {"new_app_naming": "APPNAME (ours)", "self_service_category": "Productivity"},
        },
    )
    machine.write("package_map.yaml", {"com.example.Widget": {"pin_version": "2.0", "minimum_os_version": "13.1"}})
    return {}


def promoted(machine, path):
    """A zip in Self Service for prod, with rules of promotion and a deadline."""
    archive = path.with_name("Widget 1.0 (arm).zip")
    plist = {"CFBundleIdentifier": "com.example.Widget", "CFBundleShortVersionString": "1.0"}
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr(zipfile.ZipInfo("Widget.app/Contents/Info.plist"), plistlib.dumps(plist))
    rules = {"promotion": {"after_days": 2.5, "min_pass": 3}, "blocking_applications": []}
    custom_app = {**NAMES, **rules, "ss_category": "Productivity", "enforcement_deadline": "2031-05-06T07:08:09+02:00"}
    return {"pkg_path": str(archive), "unzip_location": "/Applications/Tools", "custom_app": custom_app}


@pytest.mark.parametrize("given", [nothing, mapped, templated, promoted])
def test_the_tenant_ends_as_after_a_run_of_the_processor(tmp_path, widget, built, given):
    states, told = [], []
    for way in ("direct", "by way of a manifest"):
        with fresh(tmp_path / way) as tenant:
            known = {"KANDJI_API_URL": tenant.url, "KANDJI_TOKEN": TOKEN}
            here = Machine.at(tmp_path / way / "here", **(known if way == "direct" else {}))
            env = {**recipe(widget(), NAME="Widget"), **given(here, widget())}
            if way == "direct":
                results = [here.recipe(env)]
            else:
                here.recipe({**env, "publish_to": str(built)})
                assert tenant.requests == []
                shutil.rmtree(here.home)
                there = Machine.at(tmp_path / "there", **known)
                results = there.publish(moved(built, tmp_path / "artifact"))
            told.append(
                [(outcome.name, outcome.action, outcome.version) for one in results for outcome in one.outcomes]
            )
            states.append(tenant.snapshot())
    assert states[0] == states[1]
    assert told[0] == told[1]
    assert states[0]["apps"]


@pytest.mark.parametrize("place", ["recipe", "config", "recipe that always makes a new app", "recipe with rings"])
def test_each_key_holds_there_as_it_was_given_here(builder, built, widget, place):
    alone = {"recipe that always makes a new app": {"create_new"}, "recipe with rings": {"rings"}}
    apart = alone.get(place, set(KEYS) - {"create_new", "rings"})
    known = {key: path for name, key in KEYS.items() if name in apart and (path := _path(key, place))}
    given = {path: _given(key, builder) for key, path in known.items()}
    given.update({"custom_app.test_name": "Gadget (Test)"} if "custom_app.test_name" in given else {})
    names = {} if "rings" in apart else NAMES
    env = recipe(widget(), publish_to=str(built), custom_app=dict(names))
    if place == "config":
        builder.write("config.yaml", nested(given))
    else:
        env.update(given)
    builder.recipe(env)
    here = resolve.ladder_of(autopkg.request(env), builder.host()).settle()
    there = Machine.at(builder.home / "there", KANDJI_API_URL="acme.api.kandji.io")
    there.write("tenants.yaml", {"tenants": {"acme": {"api_url": "acme.api.kandji.io", "token_name": "ACME"}}})
    ((request, _),) = manifests.chosen([built], None, digests_of(here))
    settings = resolve.ladder_of(request, there.host()).settle()
    assert known
    for key in known:
        assert _value(here, key) != key.default
        assert _value(settings, key) == _value(here, key), key.path


KEYS = {key.field: key for key in filter(schema.travels, schema.ALL_KEYS)}


def _path(key, place):
    return key.config if place == "config" else key.recipe


def _given(key, machine):
    return str(machine.write("own.zsh", TEMPLATE.read_text())) if key.is_file else _sample(key)


def _value(settings, key):
    """The value of a key; the content of a file."""
    value = settings
    for part in key.field.split("."):
        value = value.get(part) if isinstance(value, Mapping) else getattr(value, part)
    return Path(value).read_text() if key.is_file else value
