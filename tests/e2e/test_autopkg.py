"""What a Mac admin's AutoPkg does with the processor: every way to call it, and what it must never do."""

import json
import os
import plistlib
import shutil
from datetime import date

import yaml

from kandji_uploader.audit import script as audit
from tests.e2e.conftest import TOKEN, each_autopkg
from tests.support.autopkg_host import RECIPES, AutoPkg

POST = ("--post", "com.github.kandjiuploader/KandjiUploader")


def rows(report, key="kandji_uploader_summary_result"):
    return report["summary_results"].get(key, {}).get("data_rows", [])


def methods(tenant):
    return [request.method for request in tenant.requests]


def override(autopkg, name, parent, **inputs):
    content = {"Identifier": f"local.{name}", "ParentRecipe": parent, "Input": {"NAME": "Widget", **inputs}}
    (autopkg.overrides / f"{name}.recipe.yaml").write_text(yaml.safe_dump(content))
    return name


@each_autopkg
def test_a_step_in_a_recipe_publishes_prod_and_test_from_one_upload_and_tells_no_secret(autopkg, tenant, widget):
    autopkg.path = os.environ["PATH"]
    done, report = autopkg.run("Widget.kandji", "-k", f"SOURCE={widget('1.0')}", "-vvvv")
    assert ("no zsh on this machine" in done.stdout + done.stderr) is (shutil.which("zsh") is None)
    assert sorted(app["name"] for app in tenant.apps()) == ["Widget", "Widget (Test)"]
    assert len(tenant.uploads()) == 1
    (row,) = rows(report)
    assert (row["custom_app"], row["action"], row["version"]) == ("Widget", "created", "1.0")
    assert rows(report, "kandji_uploader_test_summary_result")[0]["custom_app"] == "Widget (Test)"
    assert "uploaded 100 %" in done.stdout
    assert len(tenant.requests) <= 9
    report_and_receipt_hold_what_plists_and_json_can_hold(autopkg, report)
    assert len(tenant.slack_messages()) == 1
    for secret in (TOKEN, tenant.webhook_url.rsplit("/", 1)[-1]):
        assert secret not in done.stdout + done.stderr
        assert [path for path in autopkg.written() if secret.encode() in path.read_bytes()] == []


def report_and_receipt_hold_what_plists_and_json_can_hold(autopkg, report):
    assert json.loads(json.dumps(report["summary_results"])) == report["summary_results"]
    (receipt,) = [path for path in autopkg.written() if "receipts" in path.parts]
    output = plistlib.loads(receipt.read_bytes())[-1]["Output"]
    assert output["kandji_uploader_changed"] is True
    assert {app["action"] for app in output["kandji_custom_apps"]} == {"created"}
    assert all(isinstance(value, str) for app in output["kandji_custom_apps"] for value in app.values())


@each_autopkg
def test_post_publishes_what_any_recipe_has_produced(autopkg, tenant, widget):
    _, report = autopkg.run("Widget.pkg", *POST, "-k", f"SOURCE={widget('1.0')}")
    assert [app["name"] for app in tenant.apps()] == ["Widget (AutoPkg)"]
    assert rows(report)[0]["action"] == "created"


def test_an_override_may_nest_custom_app(autopkg, tenant, widget):
    name = override(autopkg, "Widget.over", "com.example.kandji.Widget", custom_app={"test_name": "Only Test"})
    autopkg.run(name, "-k", f"SOURCE={widget('1.0')}")
    assert [app["name"] for app in tenant.apps()] == ["Only Test"]


@each_autopkg
def test_rings_in_an_override_take_a_version_one_after_the_other(autopkg, tenant, widget):
    rings = [
        {"name": "%NAME% (IT)", "enforcement_delay": 2},
        {"name": "%NAME% (Early)", "after_days": 0},
        {"name": "%NAME%", "after_days": 0},
    ]
    name = override(autopkg, "Widget.rings", "com.example.kandji.Widget", custom_app={"rings": rings})
    reports = [autopkg.run(name, "-k", f"SOURCE={widget('1.0')}")[1] for _ in range(2)]
    assert sorted(app["name"] for app in tenant.apps()) == ["Widget", "Widget (Early)", "Widget (IT)"]
    assert len(tenant.uploads()) == 1
    assert "DAYS_UNTIL_ENFORCEMENT='2'" in tenant.app("Widget (IT)")["audit_script"]
    tests = [f"kandji_uploader_test{number}_summary_result" for number in ("", "_2")]
    assert [rows(reports[0], key)[0]["custom_app"] for key in tests] == ["Widget (IT)", "Widget (Early)"]
    assert rows(reports[1])[0]["custom_app"] == "Widget"


def test_dates_of_a_freeze_need_no_quotes_in_a_recipe_and_break_no_receipt(autopkg, tenant, widget):
    freeze = [{"from": date(2020, 1, 1), "until": date(2099, 1, 7), "why": "the move"}]
    name = override(autopkg, "Widget.frozen", "com.example.kandji.Widget", custom_app={"freeze": freeze})
    done, report = autopkg.run(name, "-v", "-k", f"SOURCE={widget('1.0')}")
    assert "frozen until 2099-01-07: the move" in done.stdout
    assert not report["failures"]
    assert tenant.apps() == tenant.uploads() == []


def made_override(autopkg, parent, name):
    """An override as `autopkg make-override` writes it: an identifier of its own, the parent's name only in it."""
    words = ("--name", name, "--override-dir", autopkg.overrides, "--prefs", autopkg.preferences)
    autopkg("make-override", parent, *words, check=0)
    return name


@each_autopkg
def test_a_map_entry_keyed_by_identifier_holds_for_an_override_too(autopkg, tenant, widget):
    folder = autopkg.home / "uploader"
    folder.mkdir()
    (folder / "config.yaml").write_text("use_recipe_map: true\n")
    entry = {"prod_name": "Mapped", "test_name": "Mapped (Test)", "promotion": {"after_days": 5}}
    (folder / "recipe_map.yaml").write_text(yaml.safe_dump({"com.example.pkg.Widget": entry}))
    name = made_override(autopkg, "Widget.pkg", "Ours")
    autopkg.run(name, *POST, "-k", f"SOURCE={widget('1.0')}")
    assert [app["name"] for app in tenant.apps()] == ["Mapped (Test)"]  # production waits until it has soaked
    told = autopkg.uploader("config", "--recipe", name, check=0).stdout
    parent = RECIPES / "Widget.pkg.recipe.yaml"
    assert (
        f"Recipe map: the entry com.example.pkg.Widget holds: it is the identifier of its parent recipe {parent}"
        in (told)
    )
    told = autopkg.uploader("config", "--recipe", "Nobody.pkg", check=0)
    assert "Recipe map: no entry for Nobody.pkg; looked for Nobody.pkg" in told.stdout
    assert "AutoPkg does not know the recipe Nobody.pkg" in told.stderr


@each_autopkg
def test_a_script_beside_the_parent_recipe_is_found_when_an_override_runs_it(autopkg, tenant, widget):
    folder = autopkg.home / "recipes"
    folder.mkdir()
    recipe = {
        "Identifier": "com.example.scripted",
        "ParentRecipe": "com.example.pkg.Widget",
        "MinimumVersion": "2.3",
        "Input": {
            "NAME": "Widget",
            "custom_app": {
                "prod_name": "Widget",
                "preinstall_script": "script.zsh",
                "postinstall_script": "%RECIPE_DIR%/script.zsh",
            },
        },
        "Process": [{"Processor": "com.github.kandjiuploader/KandjiUploader"}],
    }
    (folder / "Scripted.recipe.yaml").write_text(yaml.safe_dump(recipe))
    (folder / "script.zsh").write_text("#!/bin/zsh\necho scripted\n")
    autopkg.run(made_override(autopkg, "Scripted", "Ours"), "-k", f"SOURCE={widget('1.0')}")
    (app,) = tenant.apps()
    assert "echo scripted" in app["preinstall_script"]
    assert "echo scripted" in app["postinstall_script"]


def test_what_a_step_finds_may_be_named_in_input_and_what_nobody_finds_is_named(autopkg, tenant, widget):
    name = override(autopkg, "Named", "com.example.kandji.Widget", custom_app={"prod_name": "%NAME% %version%"})
    _, report = autopkg.run(name, "-k", f"SOURCE={widget('1.0')}", check=70)
    message = report["failures"][0]["message"]
    assert "custom_app.prod_name is 'Widget %version%': holds %version%, for which there is no value" in message
    assert "belong in the Arguments of a later step" in message
    assert tenant.requests == []
    path = widget("1.0")
    recipe = {
        "Identifier": "com.example.found",
        "MinimumVersion": "2.3",
        "Input": {"NAME": "Widget", "custom_app": {"prod_name": "%NAME% %found%"}, "pkg_path": str(path)},
        "Process": [
            {
                "Processor": "URLTextSearcher",
                "Arguments": {
                    "url": f"file://{path.with_name('v.txt')}",
                    "re_pattern": "v=(?P<found>.*)",
                    "result_output_var_name": "x",
                },
            },
            {"Processor": "com.github.kandjiuploader/KandjiUploader"},
        ],
    }
    (path.with_name("v.txt")).write_text("v=1.0")
    (autopkg.home / "recipes").mkdir()
    (autopkg.home / "recipes" / "Found.recipe.yaml").write_text(yaml.safe_dump(recipe))
    autopkg.run("Found")
    assert [app["name"] for app in tenant.apps()] == ["Widget 1.0"]


def test_a_key_beside_custom_app_that_belongs_into_it_is_refused(autopkg, tenant, widget):
    _, report = autopkg.run("Widget.pkg", *POST, "-k", f"SOURCE={widget('1.0')}", "-k", "prod_name=Foo", check=70)
    assert "prod_name: is not a known key; did you mean custom_app.prod_name?" in report["failures"][0]["message"]
    assert tenant.requests == []


def test_flat_keys_on_the_command_line_win_over_the_dict(autopkg, tenant, widget):
    keys = ("-k", "custom_app.prod_name=Renamed", "-k", "enforcement_type=install_once", "-k", "create_new=Yes")
    autopkg.run("Widget.kandji", "-k", f"SOURCE={widget('1.0')}", *keys)
    assert sorted(app["name"] for app in tenant.apps()) == ["Renamed", "Widget (Test)"]
    assert {app["install_enforcement"] for app in tenant.apps()} == {"install_once"}


def test_a_recipe_list_runs_each_and_where_nothing_is_new_it_costs_one_list(autopkg, tenant, widget):
    names = [
        override(autopkg, f"App{n}.kandji", "com.example.kandji.Widget", custom_app={"prod_name": f"App {n}"})
        for n in range(4)
    ]
    (autopkg.home / "list.txt").write_text("\n".join(names))
    source = widget("1.0")
    _, report = autopkg.run("-l", autopkg.home / "list.txt", "-k", f"SOURCE={source}")
    assert len(rows(report)) == 4
    assert len({app["name"] for app in tenant.apps()}) == 4
    tenant.reset_requests()
    _, report = autopkg.run("-l", autopkg.home / "list.txt", "-k", f"SOURCE={source}")
    assert [(r.method, r.path) for r in tenant.requests] == [("GET", "/api/v1/library/custom-apps")]
    assert not rows(report)


def test_a_recipe_that_fails_before_our_step_publishes_nothing(autopkg, tenant):
    _, report = autopkg.run("Widget.kandji", "-k", "SOURCE=/nowhere/x.pkg", check=70)
    assert len(report["failures"]) == 1
    assert tenant.requests == []


def test_one_failing_recipe_of_a_list_does_not_stop_the_others(autopkg, tenant, widget):
    good = override(autopkg, "Good.kandji", "com.example.kandji.Widget", custom_app={"prod_name": "Good"})
    bad = override(autopkg, "Bad.kandji", "com.example.kandji.Widget", custom_app={"prod_nmae": "Bad"})
    done, report = autopkg.run(bad, good, "-k", f"SOURCE={widget('1.0')}", check=70)
    assert [app["name"] for app in tenant.apps()] == ["Good"]
    assert "prod_name" in report["failures"][0]["message"]
    assert "Traceback" not in done.stdout + done.stderr


@each_autopkg
def test_missing_packages_get_the_line_that_installs_them(launcher, tenant, tmp_path, widget):
    home = tmp_path / "home"
    autopkg = AutoPkg(launcher, home, {"KANDJI_API_URL": tenant.url, "KANDJI_TOKEN": TOKEN}, lent=False)
    done, report = autopkg.run("Widget.kandji", "-k", f"SOURCE={widget('1.0')}", check=70)
    message = report["failures"][0]["message"]
    assert "requests" in message
    assert f"-m pip install --require-hashes -r {autopkg.checkout}/requirements/autopkg.txt" in message
    assert "Traceback" not in done.stdout + done.stderr


@each_autopkg
def test_processor_info_works_with_autopkgs_own_packages_only(bare_autopkg):
    done = bare_autopkg("processor-info", "KandjiUploader", "-r", "com.github.kandjiuploader", check=0)
    assert "custom_app" in done.stdout
    assert "ImportError" not in done.stdout + done.stderr


@each_autopkg
def test_list_processors_works_with_autopkgs_own_packages_only(bare_autopkg):
    assert "URLDownloader" in bare_autopkg("list-processors", check=0).stdout


def test_a_second_step_does_not_inherit_the_first_ones_summary(autopkg, tenant, widget):
    recipe = {
        "Identifier": "com.example.twice",
        "ParentRecipe": "com.example.pkg.Widget",
        "MinimumVersion": "2.3",
        "Input": {"NAME": "Widget"},
        "Process": [
            {
                "Processor": "com.github.kandjiuploader/KandjiUploader",
                "Arguments": {"custom_app": {"prod_name": name}},
            }
            for name in ("First", "First")
        ],
    }
    folder = autopkg.home / "recipes"
    folder.mkdir()
    (folder / "Twice.recipe.yaml").write_text(yaml.safe_dump(recipe))
    _, report = autopkg.run("Twice", "-k", f"SOURCE={widget('1.0')}")
    assert len(rows(report)) == 1
    assert len(tenant.apps()) == 1


def test_a_second_recipe_that_means_the_same_app_fails_and_names_the_first(autopkg, tenant, widget):
    names = [override(autopkg, f"{name}.kandji", "com.example.kandji.Widget") for name in ("First", "Second")]
    _, report = autopkg.run(*names, "-k", f"SOURCE={widget('1.0')}", check=70)
    (failure,) = report["failures"]
    assert failure["recipe"] == "Second.kandji"
    first = "the recipe First.kandji.recipe.yaml (local.First.kandji, installer Widget.pkg)"
    assert f"means the Custom App 'Widget (Test)', and so did {first} before it in this run" in failure["message"]
    assert len(tenant.apps()) == 2
    assert (len(tenant.uploads()), methods(tenant).count("PATCH")) == (1, 0)


def test_each_custom_app_is_told_once_at_v_an_unchanged_one_costs_a_get_and_a_dry_run_changes_nothing(
    autopkg, tenant, widget
):
    source = ("-k", f"SOURCE={widget('1.0')}")
    done, _ = autopkg.run("Widget.kandji", *source, "-v")
    told = [line for line in done.stdout.splitlines() if line.startswith("KandjiUploader: Widget")]
    assert [line.partition("http://")[0] for line in told] == [
        "KandjiUploader: Widget (Test): created (no Custom App has that name) ",
        "KandjiUploader: Widget: created (no Custom App has that name) ",
    ]
    before = tenant.snapshot()
    tenant.reset_requests()
    _, report = autopkg.run("Widget.kandji", *source)
    assert methods(tenant) == ["GET"]
    assert not rows(report)
    words = ("-k", f"SOURCE={widget('1.1')}", "-k", "dry_run=true", "-k", "custom_app.prod_name=New", "-v")
    dry, report = autopkg.run("Widget.kandji", *words)
    assert dry.stdout.count("KandjiUploader: Widget (Test): would update (found by name; the installer differs)") == 1
    assert dry.stdout.count("KandjiUploader: Widget (Test): ") == 1
    assert dry.stdout.count("KandjiUploader: New: would create (no Custom App has that name)") == 1
    assert set(methods(tenant)) == {"GET"}
    assert not rows(report)
    assert tenant.snapshot() == before


def test_a_recipe_that_builds_its_package_each_night_publishes_it_once(autopkg, tenant, widget):
    """On machines that remember nothing; one changed byte is news."""
    nights = [widget("1.0", night=number).read_bytes() for number in range(4)]
    assert len(set(nights)) == 4
    for number in range(4):
        tenant.reset_requests()
        shutil.rmtree(autopkg.home / "uploader-state", ignore_errors=True)
        source = ("-k", f"SOURCE={widget('1.0', night=number)}")
        done, report = autopkg.run("Widget.kandji", *source, "-v")
        assert bool(rows(report)) is (number == 0)
        if number:
            assert set(methods(tenant)) == {"GET"}
            assert done.stdout.count("unchanged (only repackaged)") == 2
    _, report = autopkg.run("Widget.kandji", "-k", f"SOURCE={widget('1.0', night=4, content=b'false')}")
    assert rows(report)[0]["action"] == "updated"
    assert len(tenant.uploads()) == 2


def test_a_recipe_that_runs_twice_is_one_item(autopkg, tenant, widget):
    done, report = autopkg.run("Widget.kandji", "Widget.kandji", "-k", f"SOURCE={widget('1.0')}", "-vv")
    assert report["failures"] == []
    assert "Widget: unchanged" in done.stdout


def test_two_steps_of_one_recipe_with_other_installers_are_two_items(autopkg, tenant, widget):
    step = {"Processor": "com.github.kandjiuploader/KandjiUploader"}
    recipe = {
        "Identifier": "com.example.steps",
        "MinimumVersion": "2.3",
        "Input": {"NAME": "Widget", "custom_app": {"prod_name": "Widget"}},
        "Process": [{**step, "Arguments": {"pkg_path": str(widget(version))}} for version in ("1.0", "1.1")],
    }
    folder = autopkg.home / "recipes"
    folder.mkdir()
    (folder / "Steps.recipe.yaml").write_text(yaml.safe_dump(recipe))
    _, report = autopkg.run("Steps", check=70)
    message = report["failures"][0]["message"]
    assert "installer Widget-1.1.pkg) means the Custom App 'Widget', and so did" in message
    assert len(tenant.uploads()) == 1


def test_the_error_names_what_succeeded_when_the_other_target_failed(autopkg, tenant, widget):
    tenant.seed(name="Widget", file_key="companies/x/Widget-9.0_00000000.pkg", install_enforcement="install_once")
    _, report = autopkg.run("Widget.kandji", "-k", f"SOURCE={widget('1.0')}", check=70)
    message = report["failures"][0]["message"]
    assert "Widget: refused: version 9.0 in Kandji is higher than 1.0" in message
    assert "Widget (Test) was created" in message


def test_names_are_data_all_the_way(autopkg, tenant, widget):
    names = ['O\'Hara "quoted" $(touch x) `id` %', "\U0001f600 Grüße", "a b  c"]
    recipes = [
        override(autopkg, f"Odd{number}", "com.example.kandji.Widget", custom_app={"prod_name": name})
        for number, name in enumerate(names)
    ]
    autopkg.run(*recipes, "-k", f"SOURCE={widget('1.0')}")
    assert sorted(app["name"] for app in tenant.apps()) == sorted(names)


def test_after_munki_the_pkginfo_says_what_the_app_is(autopkg, tenant, widget):
    info = {
        "name": "Widget",
        "version": "1.0",
        "installs": [
            {"type": "application", "path": "/Applications/Widget.app", "CFBundleIdentifier": "com.example.Widget"}
        ],
    }
    recipe = {
        "Identifier": "com.example.munki.Widget",
        "MinimumVersion": "2.3",
        "Input": {"NAME": "Widget", "munki_info": info, "pathname": str(widget("1.0"))},
        "Process": [{"Processor": "com.github.kandjiuploader/KandjiUploader"}],
    }
    own = {"name": "Widget", "blocking_applications": ["%NAME%.app", "Microsoft Word"], "minimum_os_version": "12.0"}
    recipe["Input"]["pkginfo"] = own
    folder = autopkg.home / "recipes"
    folder.mkdir()
    place = folder / "Widget.munki.recipe.yaml"
    place.write_text(yaml.safe_dump(recipe))
    autopkg.run("Widget.munki")
    (app,) = tenant.apps()
    assert "com.example.Widget" in app["audit_script"]
    reading = audit.read(app["audit_script"])
    assert (reading.blocking_applications, reading.minimum_os_version) == (("Widget.app", "Microsoft Word"), "12.0")
    recipe["Input"]["munki_info"] = {}
    place.write_text(yaml.safe_dump(recipe))
    autopkg.run("Widget.munki")
    assert [request.method for request in tenant.requests].count("PATCH") == 0


def test_what_a_recipe_could_not_publish_is_told_by_the_next_recipe_and_done_by_retry(autopkg, tenant, widget):
    tenant.permissions.revoke("Create Custom App")
    source = ("-k", f"SOURCE={widget('1.0')}")
    autopkg.run("Widget.kandji", *source, "-k", "custom_app.prod_restart=true", check=70)
    tenant.permissions.grant("Create Custom App")
    # The recipe itself would be ended by its StopProcessingIf from now on; others still come to our step.
    done, _ = autopkg.run("Widget.pkg", *POST, *source, "-k", "custom_app.prod_name=Other")
    assert done.stdout.count("WARNING: 1 publish is pending: Widget (Test) and Widget 1.0. ") == 1
    autopkg.uploader("retry", check=0)
    assert {app["name"]: app["restart"] for app in tenant.apps()} == {
        "Other": False,
        "Widget": True,
        "Widget (Test)": False,
    }
    assert "nothing is pending" in autopkg.uploader("retry", check=0).stderr


CORPUS = RECIPES.parent / "corpus"
RICH, FUMIHIKO = CORPUS / "rtrouton-disable-gatekeeper.pkg", CORPUS / "karabiner-vhid-1.6.0.pkg"


def test_a_version_of_another_team_is_refused_with_both_names_and_accepted_once_it_is_named(autopkg, tenant):
    _, report = autopkg.run("Widget.kandji", "-k", f"SOURCE={RICH}")
    assert rows(report)[0]["signer"] == "signed by Rich Trouton (XF95CST45F), who is remembered from now on"
    before = tenant.snapshot()

    words = ("Widget.kandji", "-k", f"SOURCE={FUMIHIKO}")
    _, report = autopkg.run(*words, check=70)
    message = report["failures"][0]["message"]
    assert "it is signed by Fumihiko Takayama (G43BCU2T37)" in message
    assert "while the version before it was signed by Rich Trouton (XF95CST45F)" in message
    assert tenant.snapshot() == before

    done, report = autopkg.run(*words, "-k", "allow_signer_change=G43BCU2T37", "-v")
    said = "signed by Fumihiko Takayama (G43BCU2T37), before by Rich Trouton (XF95CST45F)"
    assert rows(report)[0]["signer"] == said
    assert said in done.stdout
    assert len(tenant.uploads()) == 2


def test_the_team_that_codesignatureverifier_looks_for_counts_where_it_does_not_look(autopkg, tenant):
    folder = autopkg.home / "recipes"
    folder.mkdir()
    requirement = 'anchor apple generic and certificate leaf[subject.OU] = "43AQ936H96"'
    verified = {"input_path": "%pkg_path%", "requirement": requirement}
    recipe = {
        "Identifier": "com.example.verified",
        "ParentRecipe": "com.example.pkg.Widget",
        "MinimumVersion": "2.3",
        "Input": {"NAME": "Widget"},
        "Process": [
            {"Processor": "CodeSignatureVerifier", "Arguments": verified},
            {"Processor": "com.github.kandjiuploader/KandjiUploader"},
        ],
    }
    (folder / "Verified.recipe.yaml").write_text(yaml.safe_dump(recipe))
    words = ("Verified", "-k", f"SOURCE={RICH}", "-k", "DISABLE_CODE_SIGNATURE_VERIFICATION=1")  # as off macOS
    _, report = autopkg.run(*words, check=70)
    assert (
        "CodeSignatureVerifier look for the Team ID 43AQ936H96, and it is signed by Rich"
        in (report["failures"][0]["message"])
    )
    assert tenant.apps() == []
    autopkg.run(*words, "-k", "expected_team_id=XF95CST45F")
    assert len(tenant.apps()) == 1
