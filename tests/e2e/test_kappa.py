"""What was written for KAPPA runs unedited under both AutoPkgs, also where KAPPA itself is among the recipe repos."""

import json
import plistlib

import pytest

from tests.e2e.conftest import each_autopkg
from tests.support.autopkg_host import RECIPES

# The shape of the KAPPA README's own example: the step in the recipe, its keys as Arguments.
STEP = {
    "Processor": "io.kandji.kappa/KAPPA",
    "Arguments": {
        "custom_app": {"prod_name": "Widget", "test_name": "Widget (Soak)", "note": "asked for by IT"},
        "enforcement_type": "Audit_Enforce",
        "enforcement_delays": {"prod": 7, "test": 0},
    },
}
VENDOR = """from autopkglib import Processor, ProcessorError


class KAPPA(Processor):
    description, input_variables, output_variables = "The vendor's", {}, {}

    def main(self):
        raise ProcessorError("this is the vendor's")
"""


def plist(path, **content):
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(plistlib.dumps(content))


@pytest.fixture
def preferences(autopkg):
    """A Mac whose admin uses KAPPA: a recipe of theirs, and the vendor's repo in front of ours."""
    vendor, recipes = autopkg.home / "vendor", autopkg.home / "recipes"
    plist(vendor / "io.kandji.kappa.recipe", Description="Stub", Identifier="io.kandji.kappa")
    (vendor / "KAPPA.py").write_text(VENDOR)
    parent = {"ParentRecipe": "com.example.pkg.Widget", "MinimumVersion": "2.3", "Input": {"NAME": "X"}}
    plist(recipes / "Widget.kappa.recipe", Identifier="com.example.kappa", Process=[STEP], **parent)
    known = json.loads(autopkg.preferences.read_text())
    known["RECIPE_SEARCH_DIRS"] = [str(vendor), str(recipes), str(RECIPES), str(autopkg.checkout)]
    autopkg.preferences.write_text(json.dumps(known))
    return autopkg.preferences


def setup(autopkg, check=0):
    return autopkg.uploader("setup", "--kappa", "--prefs", autopkg.preferences, check=check)


def override(autopkg, parent, name):
    words = ("--name", name, "--override-dir", autopkg.overrides, "--prefs", autopkg.preferences)
    autopkg("make-override", parent, *words, check=0)
    return name


@each_autopkg
def test_before_setup_the_vendors_is_found_and_after_it_a_recipe_and_an_override_run_unedited_with_ours(
    autopkg, tenant, widget, preferences
):
    source = ("-k", f"SOURCE={widget('1.0')}")
    _, report = autopkg.run("Widget.kappa", *source, check=70)
    assert "this is the vendor's" in report["failures"][0]["message"]
    path = autopkg.overrides / f"{override(autopkg, 'Widget.pkg', 'Ours')}.recipe"
    path.write_bytes(plistlib.dumps({**plistlib.loads(path.read_bytes()), "Process": [STEP]}))
    setup(autopkg)
    done, _ = autopkg.run("Ours", *source)
    assert sorted(app["name"] for app in tenant.apps()) == ["Widget", "Widget (Soak)"]
    assert {app["install_enforcement"] for app in tenant.apps()} == {"continuously_enforce"}
    assert "custom_app.note is not a known key; KAPPA passed over it" in done.stdout
    done, _ = autopkg.run("Widget.kappa", *source, "-v")
    assert "Widget: unchanged" in done.stdout


@each_autopkg
def test_an_override_that_trusts_the_vendors_processor_is_reviewed_anew(autopkg, tenant, widget, preferences):
    words = (override(autopkg, "Widget.kappa", "Ours"), "-k", f"SOURCE={widget('1.0')}")
    assert "autopkg update-trust-info" in setup(autopkg).stdout
    _, report = autopkg.run(*words, "-vv", check=70)
    assert "KAPPA contents differ from expected" in report["failures"][0]["message"]
    autopkg("update-trust-info", "Ours", "--override-dir", autopkg.overrides, "--prefs", preferences, check=0)
    autopkg.run(*words)
    assert len(tenant.apps()) == 2


def test_as_a_postprocessor_and_with_a_map_that_knows_a_part_of_the_name(autopkg, tenant, widget, preferences):
    folder = autopkg.home / "uploader"
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text('{"use_recipe_map": true}')
    (folder / "recipe_map.json").write_text(json.dumps({"Widget": {"prod_name": "Mapped", "test_name": "Mapped T"}}))
    setup(autopkg)
    words = ("Widget.pkg", "--post", "io.kandji.kappa/KAPPA", "-k", f"SOURCE={widget('1.0')}")
    done, report = autopkg.run(*words)
    assert sorted(app["name"] for app in tenant.apps()) == ["Mapped", "Mapped T"]
    assert "Widget is a part of the recipe's name Widget.pkg.recipe.yaml, and KAPPA took its entry" in done.stdout
    assert report["summary_results"]["kandji_uploader_summary_result"]["data_rows"][0]["custom_app"] == "Mapped"
