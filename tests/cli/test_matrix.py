"""`kandji-uploader matrix`: jobs as GitHub Actions and Buildkite take them; each name is always in the same one."""

from __future__ import annotations

import json
import plistlib

import pytest
import yaml

from kandji_uploader.cli.failures import Exit
from tests.support.schemas import problems

NAMES = [f"tenant{number}" for number in range(30)]


@pytest.fixture
def tenants(house):
    house.config.mkdir()
    found = {
        name: {
            "api_url": f"{name}.api.kandji.io",
            "token_name": f"{name.upper()}_TOKEN",
            "groups": ["even"][number % 2 :],
        }
        for number, name in enumerate(NAMES)
    }
    (house.config / "tenants.yaml").write_text(yaml.safe_dump({"tenants": found}, sort_keys=False))


@pytest.fixture
def recipes(house):
    path = house.folder / "recipe_list.txt"
    path.write_text("# ours\nFirefox.pkg\n\nGoogle Chrome.pkg\nZoom.pkg\nFirefox.pkg\n")
    return path


def jobs(ran):
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.count("\n") == 1
    return json.loads(ran.stdout)


def problem(ran, code=Exit.SETTINGS):
    assert ran.returncode == code
    return ran.stderr


def test_a_job_for_each_tenant_in_the_order_of_the_file(here, tenants):
    wanted = [{"tenant": name, "token_name": f"{name.upper()}_TOKEN"} for name in NAMES]
    assert jobs(here("matrix", "--by", "tenant")) == {"include": wanted}


def test_tenants_in_groups_are_each_in_one_job(here, tenants):
    found = jobs(here("matrix", "--by", "tenant", "--tenant", "@even,tenant1", "--shards", 4))["include"]
    assert len(found) <= 4
    assert sorted(name for job in found for name in job["tenant"].split(",")) == sorted([*NAMES[::2], "tenant1"])
    assert all(job["shard"].endswith("/4") for job in found)


def test_a_job_for_each_recipe_of_the_list_or_of_the_recipe_map(house, here, recipes, tmp_path):
    wanted = {"include": [{"recipe": name} for name in ("Firefox.pkg", "Google Chrome.pkg", "Zoom.pkg")]}
    assert jobs(here("matrix", "--by", "recipe", "--recipes", recipes)) == wanted
    listed = tmp_path / "list.plist"
    listed.write_bytes(plistlib.dumps({"recipes": ["Firefox.pkg"], "preprocessors": []}))
    assert jobs(here("matrix", "--by", "recipe", "--recipes", listed)) == {"include": [{"recipe": "Firefox.pkg"}]}
    house.config.mkdir()
    (house.config / "recipe_map.yaml").write_text("Zoom.pkg: {prod_name: Zoom}\n")
    assert jobs(here("matrix", "--by", "recipe")) == {"include": [{"recipe": "Zoom.pkg"}]}


def test_recipes_in_groups_are_lists_that_autopkg_reads_and_stay_where_they_are(here, recipes):
    before = jobs(here("matrix", "--by", "recipe", "--recipes", recipes, "--shards", 2))["include"]
    recipes.write_text(recipes.read_text() + "Another.pkg\n")
    after = jobs(here("matrix", "--by", "recipe", "--recipes", recipes, "--shards", 2))["include"]
    kept = {job["shard"]: set(job["recipe"].split("\n")) for job in after}
    for job in before:
        assert set(job["recipe"].split("\n")) <= kept[job["shard"]]


def test_parts_of_a_manifest(here):
    assert jobs(here("matrix", "--shards", 2)) == {"include": [{"shard": "1/2"}, {"shard": "2/2"}]}


@pytest.mark.parametrize("words", [("--by", "tenant", "--shards", 3), ("--shards", 25)])
def test_both_services_take_what_is_printed(here, tenants, words):
    steps = [{"run": "true"}]
    job = {"runs-on": "ubuntu-latest", "strategy": {"matrix": jobs(here("matrix", *words))}, "steps": steps}
    assert problems("vendor/github-workflows", {"on": "push", "jobs": {"publish": job}}) == []
    listed = jobs(here("matrix", *words, "--for", "buildkite"))
    assert all(isinstance(each, str) for each in listed)
    step = {"command": "kandji-uploader publish built --shard {{matrix}}", "matrix": listed}
    assert problems("vendor/buildkite", {"steps": [step]}) == []


def test_more_jobs_than_the_service_takes_is_an_error_with_the_way_out(here, tenants):
    told = problem(here("matrix", "--by", "tenant", "--for", "buildkite"))
    assert "is a matrix of 30 jobs: Buildkite takes 25 at the most; group them with --shards 25" in told
    assert "GitHub Actions takes 256 at the most" in problem(here("matrix", "--shards", 257))


def test_nothing_to_make_jobs_of_is_an_error(house, here, tmp_path):
    assert "give --by tenant, --by recipe or --shards" in problem(here("matrix"), 2)
    assert "is in no tenants.yaml" in problem(here("matrix", "--by", "tenant"))
    assert "holds no recipe_map.yaml; name AutoPkg's recipe list" in problem(here("matrix", "--by", "recipe"))
    empty = tmp_path / "list.txt"
    empty.write_text("# none\n")
    assert f"{empty}: holds no recipe" in problem(here("matrix", "--by", "recipe", "--recipes", empty))
    gone = tmp_path / "gone.txt"
    assert "cannot be read (No such file or directory)" in problem(here("matrix", "--by", "recipe", "--recipes", gone))
    assert "'0' is not a number of shards" in problem(here("matrix", "--shards", 0), 2)
