"""The whole repo, item by item, and the rules one by one."""

from __future__ import annotations

import plistlib
import shutil
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from kandji_uploader import settings
from kandji_uploader.errors import MunkiRepoError
from kandji_uploader.munki import Repo, names, report
from kandji_uploader.munki.manifests import LISTS
from tests.munki import builder
from tests.munki.builder import BOTH, PROD, TEST, pkginfo, small
from tests.munki.conftest import BLUEPRINTS, run
from tests.munki.expected import EXPECTED
from tests.support.examples import examples

KEYS = (*LISTS, "catalogs", "included_manifests", "conditional_items", "condition", "note")
FIELDS = [
    *("name", "version", "catalogs", "display_name", "category", "preinstall_script", "postinstall_script"),
    *("force_install_after_date", "requires", "RestartAction", "installer_type", "blocking_applications"),
    *("minimum_os_version", "update_for", "items_to_copy", "OnDemand"),
]
WORDS = st.sampled_from(["Firefox", "site", "odd", "production", "Other-1.0", "a--1", "", "../x", "nopkg", "(null)"])
ANYTHING = st.recursive(
    WORDS
    | st.text("ab\n\t|<`é", max_size=5)
    | st.integers(-5, 5)
    | st.booleans()
    | st.floats(0, 9)
    | st.binary(max_size=3)
    | st.datetimes(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=3),
    max_leaves=8,
)


def item(found, name):
    return next(each for each in found.items if each.name == name)


def only(tmp_path, manifests, items=None, **options):
    return run(small(tmp_path / "repo", manifests, items), **options)


def whats(found, name):
    return [gap.what for gap in item(found, name).gaps]


def both_with(key, prod, test):
    """An item with a version in production and a higher one in testing, and what each says for a key; None: nothing."""
    return [
        pkginfo("Firefox", version, catalogs, **({} if said is None else {key: said}))
        for version, catalogs, said in (("1.0", PROD, prod), ("2.0", TEST, test))
    ]


def device(**lists):
    return {"catalogs": PROD, **lists}


class TestWholeRepo:
    def test_the_repo_has_about_forty_items(self):
        assert len({each["name"] for each in builder.ITEMS}) >= 40

    def test_every_item_that_a_manifest_names_is_reported(self, whole):
        assert [each.name for each in whole.items] == sorted(EXPECTED)

    @pytest.mark.parametrize("name", EXPECTED)
    def test_item_becomes_what_it_should(self, whole, name):
        entry, left_out = EXPECTED[name]
        assert dict(item(whole, name).entry) == entry
        assert whats(whole, name) == left_out

    @pytest.mark.parametrize("name", EXPECTED)
    def test_the_report_tells_it_of_every_item(self, whole, name):
        entry, left_out = EXPECTED[name]
        told = next(each for each in report.as_json(whole)["items"] if each["item"] == name)
        assert told["entry"] == entry
        assert told["mapped"] is bool(entry)
        assert told["recipe"] == (f"{name}.pkg" if entry else None)
        assert [gap["what"] for gap in told["not_expressed"]] == left_out
        assert all(gap["why"] for gap in told["not_expressed"])
        assert bool(told["how"]) is bool(entry)

    def test_markdown_names_every_item_and_gap(self, whole):
        text = report.as_markdown(whole)
        for each in whole.items:
            assert f"### {report.plain(each.name)}" in text
            for gap in each.gaps:
                assert f"- **not expressed:** {report.plain(gap.what)}: {report.plain(gap.why)}" in text

    def test_what_is_wrong_with_the_repo_is_told(self, whole):
        assert {(finding.kind, finding.where) for finding in whole.findings} == {
            ("broken file", "manifests/broken"),
            ("unused manifest", "groups/orphan"),
            ("unknown key", "lab"),
            ("include cycle", "groups/loop_b"),
            ("unknown manifest", "lab"),
        }

    def test_catalogs_and_pkgsinfo_lead_to_the_same(self, whole, tmp_path):
        bare = builder.build(tmp_path / "repo", catalogs=False)
        found = run(bare, blueprints=BLUEPRINTS, zone=ZoneInfo("Europe/Berlin"), after_days=7.0)
        assert found.entries == whole.entries
        assert [each.gaps for each in found.items] == [each.gaps for each in whole.items]

    def test_items_that_nobody_wants_are_listed(self, whole):
        assert whole.unlisted == ("NeverNamed", "Thing-3", "XcodeTools")

    def test_scripts_come_with_their_text(self, whole):
        assert sorted(whole.scripts.values()) == sorted(
            [builder.PREINSTALL, builder.NEW_PREINSTALL, builder.POSTINSTALL, "/usr/local/munki/thing\n"]
        )

    def test_one_manifest_can_be_chosen(self, whole_repo):
        found = run(whole_repo, manifests=("kiosk",))
        assert found.manifests == ("kiosk.yaml",)
        assert [each.name for each in found.items] == ["GoogleChrome", "Slack"]
        assert found.findings == ()

    def test_a_manifest_that_is_not_there_is_an_error_with_a_hint(self, whole_repo):
        with pytest.raises(MunkiRepoError, match="no manifest site_defalt; did you mean site_default"):
            run(whole_repo, manifests=("site_defalt",))


class TestNames:
    @pytest.mark.parametrize(
        ("written", "expected"),
        [
            ("Firefox", ("Firefox", "")),
            ("Firefox-123.0", ("Firefox", "123.0")),
            ("Firefox--125.0-RC", ("Firefox", "125.0-RC")),
            ("Foo-Bar", ("Foo-Bar", "")),
            ("Foo-Bar-1.2", ("Foo-Bar", "1.2")),
            ("Foo-Bar--1.2-beta", ("Foo-Bar", "1.2-beta")),
            ("Foo--Bar", ("Foo--Bar", "")),
            ("-1.0", ("-1.0", "")),
            ("Foo-", ("Foo-", "")),
        ],
    )
    def test_version_after_the_name(self, written, expected):
        assert names.split(written) == expected

    def test_versions_in_munkis_order(self):
        ascending = ["1.0b2", "1.0", "1.0.1", "1.9", "1.10", "1.10.1", "2024.1", "2024.1.1"]
        shuffled = ascending[1::2] + ascending[::2]
        assert sorted(shuffled, key=names.VersionOrder) == ascending
        assert names.VersionOrder("1.0") == names.VersionOrder("1.0.0")
        assert names.same_version("2.3.0.0", "2.3")
        assert not names.same_version("2.30", "2.3")

    def test_an_absurdly_long_number_is_no_crash(self):
        assert names.VersionOrder("9" * 10_000) > names.VersionOrder("1")


class TestPrecedence:
    @pytest.mark.parametrize(
        ("lists", "enforcement"),
        [
            (["managed_installs"], "audit_enforce"),
            (["managed_updates"], "update_only"),
            (["optional_installs"], "self_service"),
            (["default_installs"], "self_service"),
            (["managed_installs", "optional_installs"], "audit_enforce"),
            (["managed_installs", "managed_uninstalls"], "audit_enforce"),
            (["managed_installs", "managed_updates"], "audit_enforce"),
            (["managed_updates", "optional_installs"], "update_only"),
            (["managed_uninstalls"], None),
            (["managed_uninstalls", "managed_updates"], None),
            (["managed_uninstalls", "optional_installs"], None),
            (["featured_items"], None),
        ],
    )
    def test_of_lists_in_one_manifest(self, tmp_path, lists, enforcement):
        found = only(tmp_path, {"site": device(**{key: ["Firefox"] for key in lists})})
        assert item(found, "Firefox").entry.get("enforcement_type") == enforcement
        # Whatever does not count is named.
        assert bool(whats(found, "Firefox")) is (len(lists) > 1 or enforcement is None or lists == ["default_installs"])

    def test_holds_over_included_manifests_too(self, tmp_path):
        manifests = {
            "site": device(optional_installs=["Firefox"], included_manifests=["base"]),
            "base": {"managed_installs": ["Firefox"]},
        }
        assert item(only(tmp_path, manifests), "Firefox").entry["enforcement_type"] == "audit_enforce"

    def test_enforced_apps_get_no_category_since_that_would_make_them_self_service(self, tmp_path):
        items = [pkginfo("Firefox", "1.0", BOTH, category="Browsers")]
        found = only(tmp_path, {"site": device(managed_installs=["Firefox"])}, items)
        assert not {"ss_category", "test_category"} & set(item(found, "Firefox").entry)

    def test_self_service_gets_the_category_of_each_stage(self, tmp_path):
        items = [pkginfo("Firefox", "1.0", PROD, category="Old"), pkginfo("Firefox", "2.0", TEST, category="New")]
        entry = item(only(tmp_path, {"site": device(optional_installs=["Firefox"])}, items), "Firefox").entry
        assert (entry["ss_category"], entry["test_category"]) == ("Old", "New")

    def test_featured_is_recommended_only_where_it_is_offered(self, tmp_path):
        manifests = {"site": device(optional_installs=["Firefox"], featured_items=["Firefox"])}
        assert item(only(tmp_path, manifests), "Firefox").entry["recommended"] is True

    def test_a_condition_never_becomes_an_entry(self, tmp_path):
        inner = {"condition": "b == 2", "optional_installs": ["Firefox"]}
        manifests = {"site": device(conditional_items=[{"condition": "a == 1", "conditional_items": [inner]}])}
        found = only(tmp_path, manifests)
        assert not found.entries
        assert whats(found, "Firefox") == ["optional_installs Firefox in site, if a == 1 and if b == 2"]


class TestCatalogs:
    def test_included_manifests_search_the_catalogs_of_their_parent(self, tmp_path):
        manifests = {
            "new": {"catalogs": TEST, "included_manifests": ["base"]},
            "base": {"included_manifests": ["deeper"]},
            "deeper": {"managed_installs": ["Firefox"]},
        }
        want = item(only(tmp_path, manifests, [pkginfo("Firefox", "2.0", TEST)]), "Firefox").wanted[0]
        assert (want.catalog, want.line.manifest) == ("testing", "deeper")

    def test_a_manifest_that_is_included_on_two_ways_is_worked_off_with_the_catalogs_of_each(self, tmp_path):
        manifests = {
            "site": {"catalogs": PROD, "included_manifests": ["one", "two"]},
            "one": {"included_manifests": ["base"]},
            "two": {"catalogs": TEST, "included_manifests": ["base"]},
            "base": {"managed_installs": ["Firefox"]},
        }
        wanted = item(only(tmp_path, manifests, [pkginfo("Firefox", "2.0", TEST)]), "Firefox").wanted
        site = next(want for want in wanted if want.manifest == "site")
        assert (site.catalog, site.package.version) == ("testing", "2.0")
        both = [pkginfo("Firefox", "2.0", TEST), pkginfo("Firefox", "1.0", PROD)]
        wanted = item(only(tmp_path / "both", manifests, both), "Firefox").wanted
        site = next(want for want in wanted if want.manifest == "site")
        assert (site.catalog, site.package.version) == ("production", "1.0"), "what the first way finds comes first"

    def test_a_line_whose_version_no_catalog_has_leaves_the_next_one_to_count(self, tmp_path):
        manifests = {"site": device(managed_installs=["Firefox-9.0", "Firefox"])}
        found = only(tmp_path, manifests, [pkginfo("Firefox", "1.0", PROD)])
        assert item(found, "Firefox").wanted[0].package.version == "1.0"
        assert "managed_installs Firefox 9.0 in site (site)" in whats(found, "Firefox")

    def test_catalogs_of_its_own_win_over_the_parents(self, tmp_path):
        manifests = {
            "site": {"catalogs": TEST, "included_manifests": ["base"]},
            "base": device(managed_installs=["Firefox"]),
        }
        items = [pkginfo("Firefox", "2.0", TEST), pkginfo("Firefox", "1.0", PROD)]
        found = only(tmp_path, manifests, items)
        assert [want.catalog for want in item(found, "Firefox").wanted] == ["production", "production"]
        assert "double duty" in {finding.kind for finding in found.findings}

    def test_the_first_catalog_with_a_match_ends_the_search(self, tmp_path):
        items = [pkginfo("Firefox", "1.0", TEST), pkginfo("Firefox", "9.0", PROD)]
        manifests = {"site": {"catalogs": ["testing", "production"], "managed_installs": ["Firefox"]}}
        assert item(only(tmp_path, manifests, items), "Firefox").wanted[0].package.version == "1.0"

    def test_a_pinned_version_is_looked_for_in_the_next_catalog(self, tmp_path):
        items = [pkginfo("Firefox", "1.0", TEST), pkginfo("Firefox", "9.0", PROD)]
        manifests = {"site": {"catalogs": ["testing", "production"], "managed_installs": ["Firefox-9.0"]}}
        want = item(only(tmp_path, manifests, items), "Firefox").wanted[0]
        assert (want.catalog, want.package.version) == ("production", "9.0")

    def test_names_of_catalogs_can_be_given(self, tmp_path):
        items = [pkginfo("Firefox", "2.0", ["beta"]), pkginfo("Firefox", "1.0", ["release"])]
        manifests = {"site": {"catalogs": ["beta", "release"], "managed_installs": ["Firefox"]}}
        found = only(tmp_path, manifests, items, testing=("beta",), production=("release",))
        assert item(found, "Firefox").entry["prod_name"] == "Firefox"
        assert item(found, "Firefox").entry["test_name"] == "Firefox (Test)"

    def test_an_item_in_a_catalog_of_neither_stage_is_not_mapped(self, tmp_path):
        manifests = {"site": {"catalogs": ["development"], "managed_installs": ["Firefox"]}}
        found = only(tmp_path, manifests, [pkginfo("Firefox", "2.0", ["development"])])
        assert not found.entries
        assert "neither testing nor production" in item(found, "Firefox").gaps[0].why

    def test_a_missing_catalog_is_told(self, tmp_path):
        manifests = {"site": {"catalogs": ["production", "gone"], "managed_installs": ["Firefox"]}}
        found = only(tmp_path, manifests)
        assert [(finding.kind, finding.where) for finding in found.findings] == [("unknown catalog", "site")]
        assert found.entries

    def test_a_catalog_that_was_never_made_is_not_made_up(self, tmp_path):
        repo = small(tmp_path / "repo", {"site": {"catalogs": TEST, "managed_installs": ["Firefox"]}}, [])
        builder.write_plist(repo / "pkgsinfo" / "new.plist", pkginfo("Firefox", "1.0", TEST))
        builder.write_plist(repo / "catalogs" / "production", [])
        found = run(repo)
        assert not found.entries
        assert [finding.kind for finding in found.findings] == ["unknown catalog"]

    def test_the_catalog_of_all_items_is_no_stage_unless_named(self, tmp_path):
        repo = small(tmp_path / "repo", {"site": {"catalogs": ["all"], "managed_installs": ["Firefox"]}}, [])
        builder.write_plist(repo / "catalogs" / "all", [pkginfo("Firefox", "1.0", TEST)])
        assert "found in catalog all" in item(run(repo), "Firefox").gaps[0].why
        assert run(repo, production=("all",)).entries

    def test_two_versions_in_both_catalogs_are_told_and_the_higher_counts(self, tmp_path):
        items = [pkginfo("Firefox", version, BOTH) for version in ("1.9", "1.10")]
        how = item(only(tmp_path, {"site": device(managed_installs=["Firefox"])}, items), "Firefox").how
        assert any("1.10, 1.9 are in both" in each and "1.10 is what Munki takes" in each for each in how)


class TestSeveralManifests:
    MANIFESTS = {  # noqa: RUF012 - never changed
        "a": device(managed_installs=["Firefox"]),
        "b": device(optional_installs=["Firefox"]),
        "c": device(managed_installs=["Firefox-1.0"]),
        "d": device(managed_uninstalls=["Firefox"]),
        "e": device(),
    }

    def test_an_entry_stands_for_the_weightiest_wish_and_names_the_others(self, tmp_path):
        found = only(tmp_path, self.MANIFESTS)
        assert item(found, "Firefox").entry == {"prod_name": "Firefox", "enforcement_type": "audit_enforce"}
        assert whats(found, "Firefox") == [
            "managed_uninstalls (d)",
            "optional_installs Firefox (b)",
            "managed_installs Firefox 1.0 (c)",
        ]

    @pytest.mark.parametrize("other", ["b", "c", "d", "e"])
    def test_a_blueprint_is_left_out_where_a_manifest_of_it_does_not_agree(self, tmp_path, other):
        found = only(tmp_path, self.MANIFESTS, blueprints={"a": ("Staff",), other: ("Staff",)})
        assert "prod_blueprints" not in item(found, "Firefox").entry
        assert "Blueprint Staff" in whats(found, "Firefox")

    def test_a_blueprint_of_its_own_is_written(self, tmp_path):
        found = only(tmp_path, self.MANIFESTS, blueprints={"a": ("Staff", "Staff 2"), "b": ("Others",)})
        assert item(found, "Firefox").entry["prod_blueprints"] == ["Staff", "Staff 2"]

    def test_a_blueprint_of_testers_and_others_is_left_out(self, tmp_path):
        manifests = {
            "site": device(managed_installs=["Firefox"]),
            "testers": {"catalogs": TEST, "managed_installs": ["Firefox"]},
        }
        mapping = {"site": ("All",), "testers": ("All",)}
        found = only(tmp_path, manifests, [pkginfo("Firefox", "1.0", BOTH)], blueprints=mapping)
        assert not {"prod_blueprints", "test_blueprints"} & set(item(found, "Firefox").entry)

    def test_devices_are_in_the_blueprint_of_the_group_they_include(self, tmp_path):
        manifests = {
            "C02AAA": device(included_manifests=["group"]),
            "C02BBB": device(included_manifests=["group"], managed_installs=["Extra"]),
            "group": {"managed_installs": ["Firefox"]},
        }
        items = [pkginfo("Firefox", "1.0", PROD), pkginfo("Extra", "1.0", PROD)]
        found = only(tmp_path, manifests, items, blueprints={"group": ("Lab",)})
        assert item(found, "Firefox").entry["prod_blueprints"] == ["Lab"]
        assert "prod_blueprints" not in item(found, "Extra").entry

    def test_manifests_without_a_blueprint_and_mappings_without_a_manifest_are_told(self, tmp_path):
        found = only(tmp_path, self.MANIFESTS, blueprints={"a": ("Staff",), "z": ("Nobody",)})
        told = [(finding.kind, finding.where) for finding in found.findings]
        assert told == [("unknown manifest", "the mapping to Blueprints"), *(("no Blueprint", name) for name in "bcde")]

    def test_featured_in_some_manifests_is_recommended_in_all_and_told(self, tmp_path):
        manifests = {
            "a": device(optional_installs=["Firefox"], featured_items=["Firefox"]),
            "b": device(optional_installs=["Firefox"]),
        }
        found = only(tmp_path, manifests)
        assert item(found, "Firefox").entry["recommended"] is True
        assert whats(found, "Firefox") == ["not featured in b"]

    def test_a_chosen_manifest_without_catalogs_is_told(self, tmp_path):
        found = run(small(tmp_path / "repo", {"base": {"managed_installs": ["Firefox"]}}), manifests=("base",))
        assert [finding.kind for finding in found.findings] == ["no catalogs"]
        assert whats(found, "Firefox") == ["managed_installs Firefox (base)"]

    def test_two_items_with_one_display_name_get_two_apps(self, tmp_path):
        items = [
            pkginfo("Firefox", "1.0", PROD, display_name="Firefox"),
            pkginfo("FirefoxESR", "1.0", PROD, display_name="Firefox"),
            pkginfo("Odd", "1.0", PROD, display_name="Firefox (Test)"),
        ]
        found = only(tmp_path, {"site": device(managed_installs=["Firefox", "FirefoxESR", "Odd"])}, items)
        assert [entry["prod_name"] for entry in found.entries.values()] == [
            "Firefox",
            "Firefox (FirefoxESR)",
            "Firefox (Test) (Odd)",
        ]


class TestPkginfo:
    @pytest.mark.parametrize("kind", ["nopkg", "profile", "startosinstall", "AdobeSetup", "apple_update_metadata"])
    def test_what_can_be_no_custom_app_is_not_mapped(self, tmp_path, kind):
        items = [pkginfo("Firefox", "1.0", PROD, installer_type=kind)]
        found = only(tmp_path, {"site": device(managed_installs=["Firefox"])}, items)
        assert not found.entries
        assert whats(found, "Firefox") == ["the whole item"]

    def test_a_deadline_is_the_macs_own_time(self, tmp_path):
        items = [pkginfo("Firefox", "1.0", PROD, force_install_after_date=builder.NEXT_DECADE)]
        entry = item(
            only(tmp_path, {"site": device(managed_installs=["Firefox"])}, items, zone=ZoneInfo("America/Los_Angeles")),
            "Firefox",
        ).entry
        assert datetime.fromisoformat(entry["enforcement_deadline"]).isoformat() == "2031-03-31T18:00:00-07:00"

    @pytest.mark.parametrize("date", [builder.PAST, "next week", True, 5])
    def test_a_deadline_that_is_past_or_none_is_named_and_left_out(self, tmp_path, date):
        items = [pkginfo("Firefox", "1.0", PROD, force_install_after_date=date)]
        found = only(tmp_path, {"site": device(managed_installs=["Firefox"])}, items)
        assert "enforcement_deadline" not in item(found, "Firefox").entry
        assert whats(found, "Firefox") == ["force_install_after_date of 1.0"]

    def test_self_service_has_no_deadline(self, tmp_path):
        items = [pkginfo("Firefox", "1.0", PROD, force_install_after_date=builder.NEXT_DECADE)]
        found = only(tmp_path, {"site": device(optional_installs=["Firefox"])}, items)
        assert "enforcement_deadline" not in item(found, "Firefox").entry
        assert whats(found, "Firefox") == ["force_install_after_date"]

    @pytest.mark.parametrize(
        ("prod", "test", "entry", "gap"),
        [
            (None, None, None, False),
            (["A.app"], ["A.app"], ["A.app"], False),
            ([], [], [], False),
            (["A.app", "B"], ["B", "C"], ["A.app", "B", "C"], True),
            (["A.app"], None, ["A.app"], True),
            (None, ["A.app"], ["A.app"], True),
            ([], ["A.app"], ["A.app"], True),
            ([], None, None, True),
            ([" /Applications/A.app/ "], ["/Applications/A.app"], ["/Applications/A.app"], False),
        ],
    )
    def test_blocking_applications_of_both_versions_become_one_list(self, tmp_path, prod, test, entry, gap):
        found = only(
            tmp_path, {"site": device(managed_installs=["Firefox"])}, both_with("blocking_applications", prod, test)
        )
        assert item(found, "Firefox").entry.get("blocking_applications") == entry
        assert whats(found, "Firefox") == (["blocking_applications differ between the two versions"] if gap else [])

    @pytest.mark.parametrize(
        ("raw", "entry", "gaps"),
        [
            (["A.app", "a:b", 5, "x/y", ""], ["A.app"], 4),
            (["a:b"], None, 1),
            ("A.app", None, 1),
            ({"A.app": True}, None, 1),
        ],
    )
    def test_blocking_applications_that_cannot_be_named_are_told_and_left_out(self, tmp_path, raw, entry, gaps):
        items = [pkginfo("Firefox", "1.0", PROD, blocking_applications=raw)]
        found = only(tmp_path, {"site": device(managed_installs=["Firefox"])}, items)
        assert item(found, "Firefox").entry.get("blocking_applications") == entry
        assert [what.startswith("blocking_applications") for what in whats(found, "Firefox")] == [True] * gaps

    @pytest.mark.parametrize(
        ("prod", "test", "entry", "gaps"),
        [
            ("13.0", "13.0", "13.0", []),
            ("10.9", "10.15", "10.15", ["minimum_os_version: 10.9 of 1.0, 10.15 of 2.0"]),
            (None, "12", "12", ["minimum_os_version: none of 1.0, 12 of 2.0"]),
            (13.5, None, None, ["minimum_os_version: 13.5"]),
            ("latest", "12", "12", ["minimum_os_version: latest", "minimum_os_version: none of 1.0, 12 of 2.0"]),
        ],
    )
    def test_the_higher_of_two_lowest_versions_of_macos_counts(self, tmp_path, prod, test, entry, gaps):
        found = only(
            tmp_path, {"site": device(managed_installs=["Firefox"])}, both_with("minimum_os_version", prod, test)
        )
        assert item(found, "Firefox").entry.get("minimum_os_version") == entry
        assert whats(found, "Firefox") == gaps

    def test_self_service_has_no_audit_script_that_could_heed_them(self, tmp_path):
        items = [pkginfo("Firefox", "1.0", PROD, minimum_os_version="13.0", blocking_applications=["A.app"])]
        found = only(tmp_path, {"site": device(optional_installs=["Firefox"])}, items)
        assert not {"minimum_os_version", "blocking_applications"} & set(item(found, "Firefox").entry)
        assert sorted(whats(found, "Firefox")) == ["blocking_applications: A.app", "minimum_os_version: 13.0"]

    @pytest.mark.parametrize("name", ["../../etc/x", "/etc/x", "a/b", "..", "é ü", "x" * 200])
    def test_scripts_stay_in_their_folder_whatever_the_item_is_called(self, tmp_path, name):
        items = [pkginfo(name, "1.0", PROD, postinstall_script=builder.POSTINSTALL)]
        found = only(tmp_path, {"site": device(managed_installs=[name])}, items)
        (path,) = found.scripts
        folder, _, file = path.partition("/")
        assert folder == "munki_scripts"
        assert "/" not in file
        assert not file.startswith(".")

    @pytest.mark.parametrize("display", ["two\nlines", "x" * 300, "a\ttab"])
    def test_a_display_name_that_cannot_be_a_name_is_replaced(self, tmp_path, display):
        items = [pkginfo("Firefox", "1.0", PROD, display_name=display)]
        found = only(tmp_path, {"site": device(managed_installs=["Firefox"])}, items)
        assert item(found, "Firefox").entry["prod_name"] == "Firefox"

    def test_an_update_for_a_mapped_item_is_named(self, tmp_path):
        items = [pkginfo("Firefox", "1.0", PROD), pkginfo("Patch", "1.0", PROD, update_for="Firefox-1.0")]
        found = only(tmp_path, {"site": device(managed_installs=["Firefox"])}, items)
        assert whats(found, "Firefox") == ["Patch is an update_for it"]


class TestBadInput:
    def test_a_folder_that_is_no_repo(self, tmp_path):
        with pytest.raises(MunkiRepoError, match="holds no folder `manifests`"):
            Repo(tmp_path, settings.read_yaml)

    def test_a_repo_without_items(self, tmp_path):
        (tmp_path / "manifests").mkdir()
        with pytest.raises(MunkiRepoError, match="neither `catalogs` nor `pkgsinfo`"):
            Repo(tmp_path, settings.read_yaml)

    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b"\xff\xfe\x00",
            b"<?xml version='1.0'?><plist><dict>",
            b"bplist00\xff\xff",
            b"just text",
            b"a: [1",
            b"- a list",
            b"<!DOCTYPE plist [<!ENTITY a 'b'>]><plist><string>&a;</string></plist>",
            b"[" * 5000,
        ],
    )
    def test_a_broken_file_is_named_and_the_others_are_imported(self, tmp_path, content):
        repo = small(tmp_path / "repo", {"site": device(managed_installs=["Firefox"])})
        (repo / "manifests" / "bad").write_bytes(content)
        found = run(repo)
        assert [(finding.kind, finding.where) for finding in found.findings] == [("broken file", "manifests/bad")]
        assert list(found.entries) == ["Firefox.pkg"]

    def test_a_broken_pkginfo_is_named_and_the_others_are_imported(self, tmp_path):
        repo = small(tmp_path / "repo", {"site": device(managed_installs=["Firefox"])})
        (repo / "pkgsinfo" / "bad.plist").write_bytes(b"<plist>")
        builder.write_plist(repo / "pkgsinfo" / "nameless.plist", {"version": "1.0"})
        builder.write_plist(repo / "pkgsinfo" / "list.plist", [1, 2])
        found = run(repo)
        assert {(finding.kind, finding.where) for finding in found.findings} == {
            ("broken file", "pkgsinfo/bad.plist"),
            ("broken item", "pkgsinfo/nameless.plist"),
            ("broken item", "pkgsinfo/list.plist"),
        }
        assert list(found.entries) == ["Firefox.pkg"]

    def test_a_broken_catalog_is_made_up_for_by_pkgsinfo(self, tmp_path):
        repo = small(tmp_path / "repo", {"site": device(managed_installs=["Firefox"])})
        (repo / "catalogs").mkdir()
        (repo / "catalogs" / "production").write_bytes(b"<?xml version='1.0'?><plist><array>")
        found = run(repo)
        assert {finding.kind for finding in found.findings} == {"broken file", "catalog from pkgsinfo"}
        assert list(found.entries) == ["Firefox.pkg"]

    def test_lists_that_are_none_and_names_that_are_none_are_named(self, tmp_path):
        manifests = {"site": device(managed_installs="Firefox", optional_installs=["Firefox", True, {}, " "])}
        found = only(tmp_path, manifests)
        assert [finding.text for finding in found.findings] == [
            "managed_installs is not a list; passed over",
            "optional_installs holds 3 that are no names; passed over",
        ]
        assert item(found, "Firefox").entry["enforcement_type"] == "self_service"

    @pytest.mark.parametrize("written", ["../pkgsinfo/0.plist", "/etc/passwd", "a/../../x", ""])
    def test_an_include_never_leads_out_of_the_manifests(self, tmp_path, written):
        found = only(tmp_path, {"site": device(included_manifests=[written], managed_installs=["Firefox"])})
        assert {finding.kind for finding in found.findings} <= {"unknown manifest", "broken manifest"}
        assert len(found.findings) == 1

    def test_a_manifest_that_includes_itself(self, tmp_path):
        found = only(tmp_path, {"site": device(included_manifests=["site"], managed_installs=["Firefox"])})
        assert [finding.text for finding in found.findings if finding.kind == "include cycle"] == [
            "site -> site; the last step was left out"
        ]
        assert list(found.entries) == ["Firefox.pkg"]

    def test_a_manifest_included_by_two_ways_is_no_cycle(self, tmp_path):
        layers = {
            f"l{depth}{side}": {"included_manifests": [f"l{depth + 1}a", f"l{depth + 1}b"]}
            for depth in range(30)
            for side in "ab"
        }
        last = {f"l30{side}": {"managed_installs": ["Firefox"]} for side in "ab"}
        found = only(tmp_path, {"site": device(included_manifests=["l0a", "l0b"]), **layers, **last})
        assert found.findings == ()
        assert list(found.entries) == ["Firefox.pkg"]

    def test_nesting_without_end_is_cut(self, tmp_path):
        deep = {"condition": "TRUE", "managed_installs": ["Firefox"]}
        for _ in range(150):
            deep = {"condition": "TRUE", "conditional_items": [deep]}
        found = only(tmp_path, {"site": device(conditional_items=[deep])})
        assert [finding.kind for finding in found.findings] == ["nested too deeply"]

    def test_items_are_read_from_binary_plists_and_yaml(self, tmp_path):
        repo = small(tmp_path / "repo", {}, [])
        manifest = plistlib.dumps(device(managed_installs=["Firefox", "Numbers-12"]), fmt=plistlib.FMT_BINARY)
        (repo / "manifests").mkdir()
        (repo / "manifests" / "site").write_bytes(manifest)
        (repo / "pkgsinfo" / "a.yaml").write_text("name: Firefox\nversion: 1.10\ncatalogs: [production]\n")
        (repo / "pkgsinfo" / "b.yaml").write_text("name: Numbers\nversion: 12\ncatalogs: [production]\n")
        found = run(repo)
        assert item(found, "Firefox").wanted[0].package.version == "1.10"
        assert item(found, "Numbers").entry["pin_version"] == "12"

    @given(
        manifest=st.dictionaries(st.sampled_from(KEYS), ANYTHING),
        fields=st.dictionaries(st.sampled_from(FIELDS), ANYTHING),
    )
    @hypothesis_settings(max_examples=examples(50))
    def test_whatever_stands_there_the_import_goes_on(self, tmp_path_factory, manifest, fields):
        items = [pkginfo("Other", "1.0", PROD), {**pkginfo("Firefox", "1.0", PROD), **fields}]
        manifests = {"odd": manifest, "site": device(managed_installs=["Other", "Firefox"], included_manifests=["odd"])}
        found = run(small(tmp_path_factory.mktemp("odd"), manifests, items))
        assert found.entries["Other.pkg"]["enforcement_type"] == "audit_enforce"
        assert report.as_markdown(found)
        assert report.as_json(found)["mapped"] == len(found.entries)

    @given(data=st.data(), form=st.sampled_from([plistlib.FMT_BINARY, plistlib.FMT_XML]))
    @hypothesis_settings(max_examples=examples(50))
    def test_a_damaged_plist_never_stops_the_import(self, tmp_path_factory, data, form):
        repo = small(tmp_path_factory.mktemp("damaged"), {"site": device(managed_installs=["Firefox"])})
        content = bytearray(plistlib.dumps(builder.MANIFESTS["site_default"], fmt=form))
        for place in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=8)):
            content[place] = data.draw(st.integers(0, 255))
        (repo / "manifests" / "damaged").write_bytes(content[: data.draw(st.integers(0, len(content)))])
        assert "Firefox.pkg" in run(repo).entries

    def test_the_import_changes_nothing_in_the_repo(self, tmp_path, whole_repo):
        copy = tmp_path / "copy"
        shutil.copytree(whole_repo, copy)
        before = {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()}
        run(copy)
        assert {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()} == before
