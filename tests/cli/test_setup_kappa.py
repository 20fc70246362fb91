"""`kandji-uploader setup --kappa`: what it writes where, and what it leaves alone (tests/e2e: real AutoPkgs)."""

from __future__ import annotations

import json
import plistlib
import sys

import pytest

STUB = "Identifier: {}\nMinimumVersion: '2.3'\nInput: {{}}\nProcess: []\n"
FILES = ["KAPPA.py", "io.kandji.kappa.recipe.yaml"]


class Mac:
    """A home with recipe repos, and an `autopkg` on PATH that tells its preferences as the real one does."""

    def __init__(self, house):
        self.house, self.home = house, house.folder
        self.programs = self.home / "bin"
        self.programs.mkdir()
        for name, identifier in (("vendor", "io.kandji.kappa"), ("ours", "com.github.kandjiuploader"), ("other", "x")):
            (self.home / name).mkdir()
            (self.home / name / f"{name}.recipe.yaml").write_text(STUB.format(identifier))
        self.search = [str(self.home / name) for name in ("vendor", "ours", "other")]
        self.overrides = self.home / "overrides"
        self.tells(RECIPE_SEARCH_DIRS=self.search, RECIPE_OVERRIDE_DIRS=str(self.overrides))

    def program(self, name, text):
        (self.programs / name).write_text(text)
        (self.programs / name).chmod(0o755)

    def tells(self, **preferences):
        self.program("autopkg", f"#!{sys.executable}\nprint('Current preferences:')\nprint({preferences!r})\n")

    @property
    def surroundings(self):
        return {"PATH": str(self.programs), "HOME": str(self.home), "XDG_CONFIG_HOME": str(self.home / ".config")}

    def written(self):
        return sorted(path.name for path in self.overrides.iterdir()) if self.overrides.exists() else []


@pytest.fixture
def mac(house):
    return Mac(house)


def test_both_files_lie_in_the_overrides_folder_and_come_before_the_vendors(mac, here):
    ran = here("setup", "--kappa", **mac.surroundings)
    assert (ran.returncode, mac.written()) == (0, FILES)
    wanted = [*mac.search[1:], str(mac.overrides), mac.search[0]]
    config = mac.home / ".config" / "Autopkg" / "config.json"
    assert json.loads(config.read_text()) == {"RECIPE_SEARCH_DIRS": wanted}
    assert f"RECIPE_SEARCH_DIRS in {config}: {', '.join(wanted)}" in ran.stdout + ran.stderr
    mac.tells(RECIPE_SEARCH_DIRS=wanted, RECIPE_OVERRIDE_DIRS=[str(mac.overrides)])
    config.unlink()
    assert here("setup", "--kappa", **mac.surroundings).returncode == 0
    assert not config.exists(), "it is in order"


def test_without_preferences_they_lie_where_autopkg_looks_by_default(mac, here):
    mac.tells()
    (mac.home / "Library/AutoPkg/Recipes").mkdir(parents=True)
    (mac.home / "ours").rename(mac.home / "Library/AutoPkg/Recipes/ours")
    assert here("setup", "--kappa", **mac.surroundings).returncode == 0
    folder = mac.home / "Library/AutoPkg/RecipeOverrides"
    assert sorted(path.name for path in folder.iterdir()) == FILES
    known = json.loads((mac.home / ".config/Autopkg/config.json").read_text())["RECIPE_SEARCH_DIRS"]
    assert known[-1] == "~/Library/AutoPkg/RecipeOverrides"


def test_preferences_in_a_property_list_stay_one_and_keep_the_rest(mac, here):
    path = mac.home / "prefs.plist"
    path.write_bytes(plistlib.dumps({"CACHE_DIR": "/x", "RECIPE_SEARCH_DIRS": mac.search}))
    assert here("setup", "--kappa", "--prefs", path, **mac.surroundings).returncode == 0
    known = plistlib.loads(path.read_bytes())
    assert (known["CACHE_DIR"], known["RECIPE_SEARCH_DIRS"][-1]) == ("/x", mac.search[0])


@pytest.mark.parametrize(("code", "said"), [(0, "Done"), (1, "Run this yourself")])
def test_on_a_mac_it_is_done_with_defaults(mac, here, monkeypatch, code, said):
    monkeypatch.setattr("kandji_uploader.setup.kappa.sys.platform", "darwin")
    mac.program("defaults", f'#!/bin/sh\necho "$@" > {mac.home}/asked\nexit {code}\n')
    ran = here("setup", "--kappa", **mac.surroundings)
    words = f"write com.github.autopkg RECIPE_SEARCH_DIRS -array {' '.join(mac.search[1:])} {mac.overrides}"
    assert (mac.home / "asked").read_text().strip() == f"{words} {mac.search[0]}"
    assert said in ran.stdout + ran.stderr


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_not_ours_is_left_alone(mac, here, name):
    mac.overrides.mkdir()
    (mac.overrides / name).write_text("# mine\n")
    ran = here("setup", "--kappa", **mac.surroundings)
    assert ran.returncode == 1
    assert f"{mac.overrides / name} is there and is not ours; nothing was written" in ran.stderr
    assert mac.written() == [name]
    assert not (mac.home / ".config").exists()


def test_a_former_version_of_ours_is_replaced(mac, here):
    here("setup", "--kappa", **mac.surroundings)
    path = mac.overrides / "KAPPA.py"
    now = path.read_text()
    path.write_text(f"{now}\n# of last year\n")
    assert here("setup", "--kappa", **mac.surroundings).returncode == 0
    assert path.read_text() == now


def test_where_autopkg_does_not_know_us_it_says_what_to_add(mac, here):
    mac.tells(RECIPE_SEARCH_DIRS=mac.search[:1], RECIPE_OVERRIDE_DIRS=[str(mac.overrides)])
    ran = here("setup", "--kappa", **mac.surroundings)
    assert ran.returncode == 1
    assert "autopkg repo-add https://github.com/kandjiuploader/kandjiuploader" in ran.stderr
    assert mac.written() == []


def test_without_autopkg_it_says_so(mac, here):
    (mac.programs / "autopkg").unlink()
    ran = here("setup", "--kappa", **mac.surroundings)
    assert ran.returncode == 1
    assert "put AutoPkg on PATH" in ran.stderr
