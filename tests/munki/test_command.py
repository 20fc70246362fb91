"""`kandji-uploader munki import` as an admin runs it; and that its map is one that AutoPkg runs can read."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from kandji_uploader import settings
from kandji_uploader.cli import main
from kandji_uploader.cli.failures import Exit
from kandji_uploader.munki import recipe_map
from tests.munki import builder
from tests.munki.builder import PROD, pkginfo, small
from tests.munki.expected import EXPECTED


@pytest.fixture
def mapping(tmp_path):
    path = tmp_path / "blueprints.yaml"
    path.write_text("site_default: Staff\ntesters: [Early Adopters]\nlab: Lab\nkiosk: Lab\n", encoding="utf-8")
    return path


def run(repo, out, *further):
    return main(["munki", "import", "--repo", str(repo), "--out", str(out), *map(str, further)])


def load(folder, recipe):
    """The settings of an AutoPkg run of a recipe, with the map switched on."""
    (folder / "config.yaml").write_text("kandji: {api_url: accuhive.api.kandji.io}\nuse_recipe_map: true\n")
    return settings.load({}, given_origin="recipe", caller="autopkg", recipe=recipe, environ={}, folder=folder).settle()


class TestMap:
    @pytest.fixture
    def folder(self, whole_repo, mapping, tmp_path):
        out = tmp_path / "config" / "recipe_map.yaml"
        further = ("--blueprints", mapping, "--time-zone", "Europe/Berlin", "--after-days", "7")
        assert run(whole_repo, out, *further) == 0
        return out.parent

    def test_holds_the_entries_as_expected(self, folder):
        expected = {f"{name}.pkg": entry for name, (entry, _) in EXPECTED.items() if entry}
        assert yaml.safe_load((folder / "recipe_map.yaml").read_text(encoding="utf-8")) == expected

    @pytest.mark.parametrize("name", [name for name, (entry, _) in EXPECTED.items() if entry])
    def test_every_entry_reaches_the_settings_of_its_recipe(self, folder, name):
        entry = EXPECTED[name][0]
        found = load(folder, f"{name}.pkg.recipe")
        assert (found.prod.name, found.test.name) == (entry.get("prod_name"), entry.get("test_name"))
        assert found.enforcement_type.value == entry["enforcement_type"]
        assert found.pin_version == entry.get("pin_version")
        assert list(found.prod.blueprints) == entry.get("prod_blueprints", [])
        assert list(found.test.blueprints) == entry.get("test_blueprints", [])

    def test_scripts_are_found_from_the_map(self, folder):
        found = load(folder, "Sophos.pkg")
        paths = (found.prod.preinstall_script, found.test.preinstall_script)
        texts = [Path(path).read_text(encoding="utf-8") for path in paths]
        assert texts == [builder.PREINSTALL, builder.NEW_PREINSTALL]
        assert found.prod.postinstall_script == found.test.postinstall_script

    def test_only_the_owner_can_read_what_is_written(self, folder):
        for path in folder.rglob("*"):
            if path.is_file() and path.name != "config.yaml":
                assert stat.S_IMODE(path.stat().st_mode) == 0o600, path

    def test_the_reports_are_beside_it(self, folder):
        told = json.loads((folder / "munki_import.json").read_text(encoding="utf-8"))
        assert {each["item"] for each in told["items"]} == set(EXPECTED)
        assert (folder / "munki_import.md").read_text(encoding="utf-8").startswith("# Import from Munki\n")


def test_json_is_all_that_goes_to_standard_output(whole_repo, tmp_path, capsys):
    assert run(whole_repo, tmp_path / "recipe_map.yaml", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["mapped"] + told["not_mapped"] == len(EXPECTED)


def test_findings_are_warnings(whole_repo, tmp_path, capsys):
    assert run(whole_repo, tmp_path / "recipe_map.yaml") == 0
    told = capsys.readouterr()
    assert "warning: manifests/broken: is a broken plist" in told.err
    assert "warning: groups/loop_b: groups/loop_a -> groups/loop_b -> groups/loop_a" in told.err
    assert f"{sum(bool(entry) for entry, _ in EXPECTED.values())} of {len(EXPECTED)} items" in told.out


def test_the_recipe_suffix_is_the_users(whole_repo, tmp_path):
    out = tmp_path / "recipe_map.yaml"
    assert run(whole_repo, out, "--recipe-suffix", "munki", "--manifest", "kiosk") == 0
    assert set(yaml.safe_load(out.read_text())) == {"GoogleChrome.munki", "Slack.munki"}


@pytest.mark.parametrize("where", ["recipe_map.yaml", "deep/er/recipe_map.yaml"])
def test_nothing_is_written_into_the_munki_repo(tmp_path, capsys, where):
    repo = small(tmp_path / "repo", {"site": {"catalogs": PROD, "managed_installs": ["Firefox"]}})
    (tmp_path / "link").symlink_to(repo)
    before = sorted(repo.rglob("*"))
    for out in (repo / where, tmp_path / "link" / where):
        assert run(repo, out) == 1
        assert run(repo, tmp_path / "out.yaml", "--report", out) == 1
    assert "is inside the Munki repo" in capsys.readouterr().err
    assert sorted(repo.rglob("*")) == before
    assert not (tmp_path / "out.yaml").exists()


def test_scripts_do_not_follow_a_link_into_the_munki_repo(tmp_path, capsys):
    items = [pkginfo("Firefox", "1.0", PROD, postinstall_script=builder.POSTINSTALL)]
    repo = small(tmp_path / "repo", {"site": {"catalogs": PROD, "managed_installs": ["Firefox"]}}, items)
    (tmp_path / "munki_scripts").symlink_to(repo / "pkgsinfo")
    assert run(repo, tmp_path / "recipe_map.yaml") == 1
    assert "is inside the Munki repo" in capsys.readouterr().err
    assert len(list((repo / "pkgsinfo").iterdir())) == 1


def test_a_map_that_is_there_is_kept_unless_told(whole_repo, tmp_path, capsys):
    out = tmp_path / "recipe_map.yaml"
    out.write_text("mine: {prod_name: Mine}\n")
    assert run(whole_repo, out) == 1
    assert "is there already" in capsys.readouterr().err
    assert out.read_text() == "mine: {prod_name: Mine}\n"
    assert run(whole_repo, out, "--force") == 0
    assert "Firefox.pkg" in out.read_text()


def test_nothing_to_map_is_a_failure_with_a_report(tmp_path, capsys):
    repo = small(tmp_path / "repo", {"site": {"catalogs": PROD, "managed_installs": ["Gone"]}})
    assert run(repo, tmp_path / "recipe_map.yaml") == 1
    assert "no item could be mapped, no map was written" in capsys.readouterr().err
    assert not (tmp_path / "recipe_map.yaml").exists()
    assert "Gone" in (tmp_path / "munki_import.md").read_text()


def test_only_broken_manifests_is_a_failure_that_names_them(tmp_path, capsys):
    repo = small(tmp_path / "repo", {})
    (repo / "manifests").mkdir()
    (repo / "manifests" / "site").write_bytes(b"<plist>")
    assert run(repo, tmp_path / "recipe_map.yaml") == 1
    assert "no item could be mapped" in capsys.readouterr().err
    assert "manifests/site" in (tmp_path / "munki_import.md").read_text()


@pytest.mark.parametrize(
    ("flags", "said", "code"),
    [
        (["--manifest", "nobody"], "no manifest nobody", Exit.FAILED),
        (["--test-suffix", " "], "--test-suffix", Exit.SETTINGS),
        (["--blueprints", "{mapping}"], "must be the name of a Blueprint", Exit.SETTINGS),
        (["--blueprints", "/nowhere.yaml"], "/nowhere.yaml", Exit.SETTINGS),
    ],
)
def test_what_is_wrong_on_the_command_line_is_told(whole_repo, tmp_path, capsys, flags, said, code):
    bad = tmp_path / "bad.yaml"
    bad.write_text("site_default: {a: b}\nlab: []\n")
    assert run(whole_repo, tmp_path / "recipe_map.yaml", *(flag.format(mapping=bad) for flag in flags)) == code
    assert said in capsys.readouterr().err
    assert not (tmp_path / "recipe_map.yaml").exists()


@pytest.mark.parametrize("flags", [["--time-zone", "Mars/Olympus"], ["--after-days", "-1"], ["--after-days", "soon"]])
def test_usage(whole_repo, tmp_path, flags):
    assert run(whole_repo, tmp_path / "recipe_map.yaml", *flags) == Exit.USAGE


def test_a_place_that_cannot_be_written(whole_repo, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert run(whole_repo, tmp_path / "file" / "recipe_map.yaml") == 1
    assert "cannot be written" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("out", "report"), [("map.json", "r.md"), ("map", "r.md"), ("m.yaml", "m.yaml"), ("m.yml", "r.json")]
)
def test_map_and_reports_have_names_of_their_own(whole_repo, tmp_path, out, report):
    assert run(whole_repo, tmp_path / out, "--report", tmp_path / report) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_second_map_beside_it_is_told(whole_repo, tmp_path, capsys):
    (tmp_path / "recipe_map.json").write_text("{}")
    assert run(whole_repo, tmp_path / "recipe_map.yaml") == 0
    assert "holds recipe_map.json too; keep one of them" in capsys.readouterr().err


def test_a_map_of_another_name_is_told_to_be_renamed(whole_repo, tmp_path, capsys):
    assert run(whole_repo, tmp_path / "from_munki.yaml") == 0
    assert "once it is called recipe_map.yaml" in capsys.readouterr().out


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_every_text_reads_back_from_yaml(text):
    assert yaml.safe_load(f"key: {recipe_map.quoted(text)}") == {"key": text}
    assert settings.read_yaml(f"{recipe_map.quoted(text)}: 1", "x") == {text: 1}


def test_a_character_that_nobody_can_see_comes_into_no_name_of_an_app(tmp_path):
    items = [pkginfo("Fox", "1.0", PROD, display_name="Fire\u200bfox"), pkginfo("Hy\u00adphen", "1.0", PROD)]
    repo = small(tmp_path / "repo", {"site": {"catalogs": PROD, "managed_installs": ["Fox", "Hy\u00adphen"]}}, items)
    assert run(repo, tmp_path / "out" / "recipe_map.yaml") == 0
    entries = yaml.safe_load((tmp_path / "out" / "recipe_map.yaml").read_text(encoding="utf-8"))
    assert [entry["prod_name"] for entry in entries.values()] == ["Fox"]
    told = (tmp_path / "out" / "munki_import.json").read_text(encoding="utf-8")
    assert "holds U+00AD (SOFT HYPHEN), which cannot be seen" in told


NAMES = st.text(st.characters(exclude_categories=["Cs", "Cc", "Cn", "Co"]), min_size=1, max_size=30).filter(str.strip)


@given(names=st.lists(NAMES, min_size=1, max_size=5), display=NAMES, category=NAMES, data=st.data())
@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_items_are_called_the_map_is_right_and_every_item_told(
    tmp_path_factory, names, display, category, data
):
    folder = tmp_path_factory.mktemp("any")
    items = [pkginfo(name, "1.0", PROD, display_name=display, category=category) for name in names]
    key = data.draw(st.sampled_from(["managed_installs", "optional_installs"]))
    repo = small(folder / "repo", {"site": {"catalogs": PROD, key: names}}, items)
    code = run(repo, folder / "out" / "recipe_map.yaml")
    told = json.loads((folder / "out" / "munki_import.json").read_text(encoding="utf-8"))
    assert code == (0 if told["mapped"] else 1)
    entries = [each["entry"] for each in told["items"] if each["mapped"]]
    assert len({entry["prod_name"] for entry in entries}) == len(entries)
    if entries:
        read = yaml.safe_load((folder / "out" / "recipe_map.yaml").read_text(encoding="utf-8"))
        assert list(read.values()) == entries
