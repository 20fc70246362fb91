"""What each setting takes, from recipes, the AutoPkg command line and files."""

from __future__ import annotations

import contextlib
from datetime import datetime, timezone

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as some

from kandji_uploader import settings
from kandji_uploader.errors import SettingsError
from kandji_uploader.models import Enforcement
from kandji_uploader.settings import schema
from kandji_uploader.settings.coercion import UnfitError, shown
from tests.settings.conftest import URL

EMOJI = "Firefox 🦊 👩‍💻"


@pytest.mark.parametrize("word", ["true", "YES", "1", " True ", True, 1])
def test_words_for_true(house, word):
    assert house.settle({"dry_run": word}).dry_run is True


@pytest.mark.parametrize("word", ["false", "No", "0", False, 0])
def test_words_for_false(house, word):
    assert house.settle({"dry_run": word}).dry_run is False


@pytest.mark.parametrize("word", ["on", "off", "", "maybe", "y", 2, 1.0, [], {}, "tru e"])
def test_other_words_are_no_booleans(house, word):
    text = house.problem({"dry_run": word})
    assert text == f"the caller: dry_run is {shown(word)}: must be true or false (also yes or no, 1 or 0)"


@pytest.mark.parametrize(("found", "days"), [("7", 7), (7, 7), (" 0 ", 0), ("14.0", 14), (3.0, 3), (3650, 3650)])
def test_delay_as_number_or_numeral(house, found, days):
    assert house.settle({"enforcement_delays.test": found}).test.delay_days == days


@pytest.mark.parametrize(
    "found", ["soon", "", "-1", -1, 0.5, "1e3", "٣", True, [3], 3651, 10**400, float("nan"), float("inf"), "1_0"]
)
def test_delay_that_is_no_whole_number_of_days_is_a_problem(house, found):
    text = house.problem({"enforcement_delays": {"prod": found}})
    assert text.startswith(f"the caller: enforcement_delays.prod is {shown(found)}: must be a whole number from 0")


@pytest.mark.parametrize(
    "name", ["L'app", 'The "App"', "100% App", "50%OFF%", "a  b", EMOJI.replace("\u200d", " "), "x" * 255, "Ünïcödé"]
)
def test_names_with_odd_characters_are_fine(house, name):
    assert house.settle({"custom_app": {"prod_name": name}}).prod.name == name


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("", "must not be empty"),
        ("  \u00a0", "must not be empty"),
        ("two\nlines", "one line"),
        ("Firefox\n", "one line"),
        ("tab\there", "one line"),
        ("nul\0", "one line"),
        ("sep\u2028arator", "one line"),
        ("lone \ud800", "one line"),
        ("x" * 300, "has 300 characters; a name has at most 255"),
        (7.5, "put it in quotes"),
        (True, "put it in quotes"),
        (["Firefox"], "put it in quotes"),
    ],
)
def test_names_that_cannot_be(house, name, said):
    text = house.problem({"custom_app": {"prod_name": name}})
    assert text.startswith("the caller: custom_app.prod_name is ")
    assert said in text
    assert len(text) < 250
    assert text.isprintable()


def test_long_name_in_an_error_is_cut_short(house):
    assert "x... (300 characters)" in house.problem({"custom_app.prod_name": "x" * 300})


def test_whole_number_is_a_fine_name(house):
    assert house.settle({"custom_app": {"prod_name": 1984}}).prod.name == "1984"


@pytest.mark.parametrize(
    ("word", "enforcement"),
    [
        ("audit_enforce", Enforcement.AUDIT_ENFORCE),
        ("continuously_enforce", Enforcement.AUDIT_ENFORCE),
        ("SELF_SERVICE", Enforcement.SELF_SERVICE),
        ("no_enforcement", Enforcement.SELF_SERVICE),
        (" install_once ", Enforcement.INSTALL_ONCE),
        ("update_only", Enforcement.UPDATE_ONLY),
    ],
)
def test_enforcement_in_our_words_and_in_the_api_s(house, word, enforcement):
    assert house.settle({"enforcement_type": word}).enforcement_type is enforcement


@pytest.mark.parametrize("word", ["audit", "", "install-once", 1, None])
def test_unknown_enforcement_is_a_problem(house, word):
    if word is None:
        assert house.settle({"enforcement_type": None}).enforcement_type is None
        return
    text = house.problem({"enforcement_type": word})
    assert "must be one of audit_enforce, self_service, install_once, update_only" in text


def test_blueprints_as_list_or_with_commas(house):
    settled = house.settle(
        {"custom_app": {"blueprints": "All Macs, Lab:node-1 ,All Macs", "test_blueprints": ["A, B"]}}
    )
    assert settled.prod.blueprints == ("All Macs", "Lab:node-1")
    assert settled.test.blueprints == ("A, B",)
    assert "must not be empty" in house.problem({"custom_app.blueprints": "A,,B"})
    assert "list of names" in house.problem({"custom_app.blueprints": []})
    assert "list of names" in house.problem({"custom_app.blueprints": {"A": 1}})


@pytest.mark.parametrize(
    ("found", "utc"),
    [
        ("2026-03-31T18:00:00+02:00", (2026, 3, 31, 16)),
        ("2026-03-31T16:00Z", (2026, 3, 31, 16)),
        ("2026-03-31 16:00:00+00:00", (2026, 3, 31, 16)),
        (datetime(2026, 3, 31, 16), (2026, 3, 31, 16)),  # noqa: DTZ001 - as plistlib returns a plist's date
        (datetime(2026, 3, 31, 16, tzinfo=timezone.utc), (2026, 3, 31, 16)),
    ],
)
def test_deadline_is_a_moment(house, found, utc):
    settled = house.settle({"custom_app.enforcement_deadline": found, "custom_app.test_enforcement_deadline": found})
    assert settled.prod.enforcement_deadline == datetime(*utc, tzinfo=timezone.utc)
    assert settled.test.enforcement_deadline == settled.prod.enforcement_deadline


@pytest.mark.parametrize("found", ["2026-03-31", "2026-03-31T18:00:00", "tomorrow", 5, "2026-13-01T00:00:00Z"])
def test_deadline_without_zone_or_sense_is_a_problem(house, found):
    assert "date and time with its zone" in house.problem({"custom_app.enforcement_deadline": found})


def test_version_keeps_its_digits_and_a_float_is_refused(house):
    assert house.settle({"custom_app": {"pin_version": "1.10"}}).pin_version == "1.10"
    assert "can lose digits; put it in quotes" in house.problem({"custom_app": {"pin_version": 1.10}})


APPS = "custom_app.blocking_applications"
MACOS = "custom_app.minimum_os_version"


@pytest.mark.parametrize(
    ("found", "names"),
    [
        (["Firefox.app", "Firefox"], ("Firefox.app", "Firefox")),
        ("A.app, B c.app ,A.app", ("A.app", "B c.app")),
        (["A, B.app"], ("A, B.app",)),
        ("/Applications/A.app/", ("/Applications/A.app",)),
        (["/Applications/A.app/Contents/MacOS/a"], ("/Applications/A.app/Contents/MacOS/a",)),
        ([7], ("7",)),
        ([], ()),
        ("[]", ()),
        (" [] ", ()),
        (None, None),
    ],
)
def test_blocking_applications_as_list_or_with_commas(house, found, names):
    assert house.settle({APPS: found}).blocking_applications == names
    assert house.settle({"custom_app": {"blocking_applications": found}}).blocking_applications == names


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (["a:b.app"], "holds 'a:b.app', which holds a colon"),
        ("Folder/A.app", "which is neither a name nor an absolute path"),
        (["two\nlines"], "control characters"),
        (["x\u2028y"], "control characters"),
        ("", "holds an empty name"),
        ("A.app,,B.app", "holds an empty name"),
        ("A.app,", "holds an empty name"),
        (["A.app", " "], "holds an empty name"),
        (["/"], "which names no app"),
        (["x" * 1025], "at most 1024 are accepted"),
        ([1.5], "put it in quotes"),
        ([None], "must be text"),
        ([["A.app"]], "must be text"),
        ({"A.app": 1}, "must be a list of apps"),
        (5, "must be a list of apps"),
        (True, "must be a list of apps"),
    ],
)
def test_what_names_no_blocking_application_is_a_problem(house, found, said):
    text = house.problem({APPS: found})
    assert text.startswith(f"the caller: {APPS} is ")
    assert said in text


def test_an_empty_list_wins_over_names_below_it(house):
    house.write("config.json", {"use_recipe_map": True})
    house.write("recipe_map.json", {"A.pkg": {"blocking_applications": ["A.app"], "minimum_os_version": "12"}})
    asked = {"caller": "autopkg", "recipe": "A.pkg"}
    assert house.settle(**asked).blocking_applications == ("A.app",)
    assert house.settle({APPS: []}, **asked).blocking_applications == ()
    assert house.settle({"custom_app": {"blocking_applications": None}}, **asked).blocking_applications == ("A.app",)
    assert house.settle({MACOS: "13.0"}, **asked).minimum_os_version == "13.0"


def test_a_map_in_yaml_keeps_the_digits_of_a_macos(house):
    house.write("config.yaml", "use_package_map: true\n")
    house.write("package_map.yaml", "com.example.A:\n  minimum_os_version: 10.10\n  blocking_applications: []\n")
    settled = house.settle(identifiers=("com.example.A",))
    assert (settled.minimum_os_version, settled.blocking_applications) == ("10.10", ())


@pytest.mark.parametrize("found", ["12", "13.6.1", 13, " 14.0 "])
def test_a_macos_is_digits_and_dots(house, found):
    assert house.settle({MACOS: found}).minimum_os_version == str(found).strip()


@pytest.mark.parametrize("found", ["v13", "13.", "Ventura", ">=13", "13.0b1", "-1", "13,0", "1٣"])
def test_what_is_no_macos_is_a_problem(house, found):
    text = house.problem({MACOS: found})
    assert text.startswith(f"the caller: {MACOS} is {found!r}: must be a version of macOS in digits and dots")


def test_a_macos_as_a_number_could_lose_digits(house):
    assert "put it in quotes" in house.problem({MACOS: 13.10})


def test_unzip_location_is_an_absolute_folder(house):
    assert house.settle({"unzip_location": "/Applications/Utilities/"}).unzip_location == "/Applications/Utilities"
    assert "absolute path" in house.problem({"unzip_location": "Applications"})
    assert house.settle({"unzip_location": "/"}).unzip_location == "/"


def test_naming_must_tell_apps_apart(house):
    assert "must contain APPNAME" in house.problem({"zz_defaults.new_app_naming": "AutoPkg app"})
    assert house.settle({"zz_defaults": {"new_app_naming": "APPNAME!"}}).new_app_naming == "APPNAME!"


@pytest.mark.parametrize("arch", ["arm64", "X86_64"])
def test_arch(house, arch):
    assert house.settle({"arch": arch}).arch == arch.lower()
    assert "arm64 or x86_64" in house.problem({"arch": f"{arch}e"})


@pytest.mark.parametrize("timeout", [0, "0", 86401, "long"])
def test_processing_timeout_has_bounds(house, timeout):
    assert "number from 1 to 86400 (seconds)" in house.problem({"processing_timeout": timeout})
    assert house.settle({"processing_timeout": "12.5"}).processing_timeout == 12.5


@pytest.mark.parametrize("key", ["kandji.token_name", "slack.webhook_name", "iru.token_name"])
@pytest.mark.parametrize(
    "secret",
    [
        "0f8fad5b-d9cb-469f-a165-70867728950e",
        "https://hooks.slack.com/services/T0/B0/xyz",
        "hooks.slack.com/services/T0",
    ],
)
def test_secret_in_place_of_its_name_is_refused_and_not_shown(house, key, secret):
    text = house.problem({key: secret})
    assert "holds the secret itself (not shown)" in text
    assert secret not in text


@pytest.mark.parametrize("key", ["dry_run", "slack.enabled", "enforcement_type", "unzip_location", "custom_app"])
@pytest.mark.parametrize(
    "secret", ["0f8fad5b-d9cb-469f-a165-70867728950e", "https://hooks.slack.com/services/T0/B0/xyz"]
)
def test_secret_under_any_other_key_is_not_shown_either(house, key, secret):
    text = house.problem({key: secret})
    assert "looks like a secret (not shown)" in text
    assert secret not in text


def test_left_over_key_of_autopkg_is_a_problem_that_names_it(house):
    text = house.problem({"custom_app": {"prod_name": "%NAME% (Test)"}}, caller="autopkg")
    assert text.startswith("the caller: custom_app.prod_name is '%NAME% (Test)': holds %NAME%")
    assert "%BP%" in house.problem({"custom_app.blueprints": ["All", "%BP%"]}, caller="autopkg")
    assert house.settle({"custom_app.prod_name": "100% App, 50 % off"}, caller="autopkg").prod.name


def test_left_over_key_in_a_file_is_a_problem(house):
    house.write("config.json", {"zz_defaults": {"new_app_naming": "%NAME% APPNAME"}})
    assert "%NAME%" in house.problem()


def test_scripts_are_found_relative_to_their_source_and_all_missing_ones_are_told(house, tmp_path):
    recipes = tmp_path / "recipes"
    recipes.mkdir()
    (recipes / "pre.zsh").write_text("#!/bin/zsh\n")
    house.write("post.zsh", "#!/bin/zsh\n")
    house.write("template.zsh", "#!/bin/zsh\n")
    house.write("config.json", {"use_recipe_map": True, "audit_template": "template.zsh"})
    house.write("recipe_map.json", {"Firefox": {"postinstall_script": "post.zsh"}})
    settled = house.settle(
        {"custom_app": {"preinstall_script": "pre.zsh", "test_preinstall_script": str(house.folder / "post.zsh")}},
        caller="autopkg",
        recipe="Firefox.recipe",
        base=recipes,
    )
    assert settled.prod.preinstall_script == str(recipes / "pre.zsh")
    assert settled.test.preinstall_script == str(house.folder / "post.zsh")
    assert settled.prod.postinstall_script == settled.test.postinstall_script == str(house.folder / "post.zsh")
    assert settled.audit_template == str(house.folder / "template.zsh")
    problems = house.problems(
        {"custom_app": {"preinstall_script": "post.zsh", "postinstall_script": "."}, "audit_template": "none.zsh"},
        base=recipes,
    )
    assert len(problems) == 3
    assert f"cannot be read at {recipes / 'post.zsh'} (No such file or directory)" in problems[1] + problems[0]
    assert any("it is not a file" in problem for problem in problems)


def test_home_of_nobody_in_a_path_is_a_problem(house):
    assert "cannot be read at" in house.problem({"audit_template": "~no-such-user-here/x.zsh"})


ANYTHING = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats() | some.text() | some.binary() | some.datetimes(),
    lambda inner: some.lists(inner) | some.dictionaries(some.text(), inner),
    max_leaves=5,
)


@for_all(some.sampled_from(schema.ALL_KEYS), ANYTHING)
def test_whatever_is_written_is_taken_or_refused_with_a_reason(key, found):
    with contextlib.suppress(UnfitError):
        key.kind(found)
    assert shown(found).isprintable()


@pytest.mark.parametrize(
    ("asked", "key", "meant"),
    [
        ({"custom_app": {"prodname": "X"}}, "custom_app.prodname", "prod_name"),
        ({"custom_app.test_nam": "X"}, "custom_app.test_nam", "test_name"),
        ({"custom_app": {"prod_category": "X"}}, "custom_app.prod_category", "ss_category"),
        ({"custom_app": {"name": "X"}}, "custom_app.name", "prod_name"),
        ({"custom_app": {"PROD_NAME": "X"}}, "custom_app.PROD_NAME", "prod_name"),
        ({"prod_name": "X"}, "prod_name", "custom_app.prod_name"),
        ({"enforcement_delay": {"prod": 1}}, "enforcement_delay", "enforcement_delays"),
        ({"enforcement_delays": {"production": 1}}, "enforcement_delays.production", "prod"),
        ({"custom_app": {"promotion": {"after_day": 1}}}, "custom_app.promotion.after_day", "after_days"),
    ],
)
def test_unknown_key_is_a_problem_with_did_you_mean(house, asked, key, meant):
    assert house.problem(asked) == f"the caller: {key}: is not a known key; did you mean {meant}?"


def test_unknown_key_that_resembles_none_lists_the_known_ones(house):
    text = house.problem({"custom_app": {"zzz": "0f8fad5b-d9cb-469f-a165-70867728950e"}})
    assert "is not a known key; known here are active, blocking_applications, blueprints" in text
    assert "0f8fad5b" not in text


def test_a_recipe_key_in_the_config_file_and_a_config_key_in_a_map_are_told_where_they_belong(house):
    house.write("config.json", {"use_recipe_map": True, "prod_name": "X"})
    house.write("recipe_map.json", {"A": {"custom_app": {}, "auto_create_app": True, "create_new": True}})
    text = "\n".join(house.problems(caller="autopkg"))
    assert "config.json: prod_name: belongs into a recipe's or an override's Input, as custom_app.prod_name" in text
    assert "A: custom_app: is not needed in a map; write its keys beside the others" in text
    assert "A: auto_create_app: belongs into the config file, as zz_defaults.auto_create_app" in text
    assert "A: create_new: belongs into a recipe's or an override's Input, as create_new" in text


def test_a_script_is_looked_for_in_the_recipes_folder_and_then_in_those_of_its_parents(house, tmp_path):
    near, far = tmp_path / "near", tmp_path / "far"
    for folder in (near, far):
        folder.mkdir()
        (folder / "both.zsh").write_text("#!/bin/zsh\n")
    (far / "far.zsh").write_text("#!/bin/zsh\n")
    parents = [near / "A.recipe", far / "B.recipe"]
    given = {"custom_app": {"preinstall_script": "both.zsh", "postinstall_script": f"{house.folder}/far.zsh"}}
    settled = house.settle(given, parents=parents)
    assert settled.prod.preinstall_script == str(near / "both.zsh")
    assert settled.prod.postinstall_script == str(far / "far.zsh")
    text = house.problem({"custom_app": {"preinstall_script": "none.zsh"}}, parents=parents)
    assert all(f"{folder}/none.zsh (No such file or directory)" in text for folder in (house.folder, near, far))


@pytest.mark.parametrize("found", ["{'prod_name': 'X'}", "", 5, ["x"]])
def test_text_in_place_of_a_dictionary_is_a_problem(house, found):
    text = house.problem({"custom_app": found})
    assert "custom_app is" in text
    assert "must hold keys of its own, such as custom_app.prod_name" in text


def test_key_that_is_no_text_is_a_problem(house):
    assert "put the key in quotes" in house.problem({"custom_app": {5: "x"}})


def test_problems_of_all_sources_are_told_together(house):
    house.write("config.json", {"use_recipe_map": "perhaps", "use_package_map": True, "zz_defaults": {"dry_rum": True}})
    house.write("package_map.json", {"a.b": {"prod_name": ""}, "c.d": {"restart": "maybe"}, "e.f": "Firefox"})
    asked = {"dry_run": "perhaps", "enforcement_type": "sometimes", "custom_app": {"prodname": "x"}}
    problems = house.problems(asked, environ={**URL, "ENV_KEYSTORE": "perhaps", "KANDJI_TOKEN_NAME": "a=b"})
    places = [problem.split(": ")[0].removeprefix(f"{house.folder}/") for problem in problems]
    assert places == [*["the caller"] * 3, *["environment"] * 2, *["config.json"] * 2, *["package_map.json"] * 3]


@pytest.mark.parametrize("hidden", ["\u200e", "\u202e", "\u200b", "\u200d", "\u2060", "\ufeff", "\u00ad", "\U000e0041"])
@pytest.mark.parametrize("key", ["custom_app.prod_name", "custom_app.test_name", "zz_defaults.new_app_naming"])
def test_a_name_of_an_app_holds_no_character_that_nobody_can_see(house, key, hidden):
    said = house.problem({key: f"What{hidden}sApp APPNAME"})
    assert f"holds U+{ord(hidden):04X} (" in said
    assert "cannot be seen" in said


def test_other_names_may_be_joined_emoji(house):
    joined = "Devs \U0001f469\u200d\U0001f4bb"
    settled = house.settle({"custom_app.prod_name": "Widget", "custom_app.ss_category": joined})
    assert settled.prod.category == joined


def test_the_name_that_comes_out_of_an_apps_own_is_held_to_it_too(house):
    settled = house.settle({})
    with pytest.raises(SettingsError, match=r"U\+200E \(LEFT-TO-RIGHT MARK\)"):
        settings.new_app_name(settled, "\u200eWhatsApp")


TEAM = "must be a Team ID (ten letters and digits, such as 43AQ936H96) or "


@pytest.mark.parametrize(
    ("given", "teams"),
    [
        (" 43aq936h96 ,Apple, 43AQ936H96", ("43AQ936H96", "apple")),
        (["APPLE"], ("apple",)),
        (("1234567890", 1234567890), ("1234567890",)),
    ],
)
def test_team_ids_are_told_apart_whatever_their_case(house, given, teams):
    assert house.settle({"expected_team_id": given}).expected_team_id == teams


@pytest.mark.parametrize(
    ("key", "given", "told"),
    [
        ("expected_team_id", {}, "must be a Team ID, or a list of Team IDs"),
        ("expected_team_id", [], "must be a Team ID, or a list of Team IDs"),
        ("expected_team_id", "unsigned", TEAM + "apple"),
        ("expected_team_id", [True], TEAM + "apple"),
        ("expected_team_id", "43AQ936H9", TEAM + "apple"),
        ("allow_signer_change", "43AQ936H96,ABCDE12345", TEAM + "apple or unsigned"),
    ],
)
def test_what_is_no_team_id_is_told_with_what_is(house, key, given, told):
    assert house.problem({key: given}) == f"the caller: {key} is {shown(given)}: {told}"


def test_a_change_of_the_signer_is_allowed_to_one_team_to_apple_or_to_nobody(house):
    allowed = [
        house.settle({"allow_signer_change": word}).allow_signer_change for word in ("apple", "Unsigned", "a" * 10)
    ]
    assert allowed == ["apple", "unsigned", "A" * 10]
