"""`kandji-uploader publish`: what recipes have built elsewhere, in parts, checked before anything is sent."""

from __future__ import annotations

import json

import pytest
import yaml

from kandji_uploader import autopkg
from kandji_uploader.cli.failures import Exit
from kandji_uploader.manifest.lines import Shard
from kandji_uploader.publish.request import Host
from kandji_uploader.rehearsal import RehearsalTenant


@pytest.fixture
def built(house):
    """Builds Custom Apps as recipes of those names do: `built("Widget", "Gadget")`; returns the folder."""
    folder = house.folder / "built"
    quiet = {"HOME": str(house.folder), "KANDJI_UPLOADER_STATE_DIR": str(house.folder / "mac")}

    def build(*names, **inputs):
        autopkg.CLAIMS.__init__()
        for name in names:
            path = house.widget(name=name, bundle_id=f"com.example.{name}")
            about = {"RECIPE_PATH": f"/r/{name}.pkg.recipe", "RECIPE_CACHE_DIR": f"/c/com.example.pkg.{name}"}
            env = {"NAME": name, "pkg_path": str(path), **about, "publish_to": str(folder)}
            env["custom_app"] = {"prod_name": name}
            autopkg.publish({**env, **inputs}, Host(print, print, environ=quiet))
        return folder

    return build


def test_what_was_built_is_published_once(house, here, built):
    folder = built("Widget", "Gadget")
    dry = here("publish", folder, "-y")
    assert (dry.returncode, house.writes()) == (0, [])
    assert dry.stdout.count("would create") == 2
    assert here("publish", folder / "manifest.jsonl").returncode == 0
    assert house.names() == ["Gadget", "Widget"]
    sent = len(house.writes())
    again = here("publish", folder, "--json")
    assert [result["action"] for result in json.loads(again.stdout)] == ["skipped", "skipped"]
    assert len(house.writes()) == sent


def test_the_log_and_history_say_which_recipe_it_was(house, here, built):
    here("publish", built("Widget"))
    rows = [row for path in house.state.glob("*/history/*.json") for row in json.loads(path.read_text())]
    assert {row["recipe"] for row in rows} == {"Widget.pkg.recipe"}
    assert "library/custom-apps: 201" in house.log


def test_one_line_that_fails_does_not_keep_the_others_from_theirs(house, here, built):
    house.tenant.seed("Widget", sha256="0" * 64)
    house.tenant.seed("Widget", sha256="1" * 64)
    ran = here("publish", built("Widget", "Gadget"))
    assert ran.returncode == Exit.PARTLY
    assert "Gadget" in house.names()
    assert "Widget-1.0.pkg" in ran.stderr


def test_two_recipes_that_mean_the_same_app_are_both_refused_and_the_others_published(house, here, built):
    built("Widget", custom_app={"prod_name": "App"})
    built("Gadget", custom_app={"prod_name": "App"})
    ran = here("publish", built("Other"), "--json")
    assert ran.returncode == Exit.PARTLY
    assert [result["action"] for result in json.loads(ran.stdout)] == ["failed", "failed", "succeeded"]
    assert house.names() == ["Other"]


def test_the_shards_together_publish_all_of_it(house, here, built):
    names = ["Firefox", "Zoom"]
    folder = built(*names)
    for number in (1, 2):
        before = set(house.names())
        assert here("publish", folder, "--shard", f"{number}/2").returncode == 0
        mine = {name for name in names if Shard(number, 2).has(name)}
        assert set(house.names()) - before == mine
    assert house.names() == sorted(names)


@pytest.mark.parametrize("shard", ["0/5", "6/5", "half"])
def test_a_shard_that_is_none_is_wrong_usage(house, here, built, shard):
    ran = here("publish", built("Widget"), "--shard", shard)
    assert ran.returncode == 2
    assert f"'{shard}' is no shard; give its number and how many there are, such as 1/5" in ran.stderr
    assert house.tenant.requests == []


def test_nothing_is_sent_where_one_file_of_many_was_changed(house, here, built):
    folder = built("Widget", "Gadget")
    next(folder.rglob("Gadget-1.0.pkg")).write_bytes(b"another")
    ran = here("publish", folder)
    assert ran.returncode == Exit.REFUSED
    assert "Gadget-1.0.pkg is not the file that was put there" in ran.stderr
    assert "Nothing was sent" in ran.stderr
    assert house.tenant.requests == []


@pytest.fixture
def globex(house, tmp_path):
    """A second tenant, beside the house's own, which is `acme` in tenants.yaml."""
    with RehearsalTenant(tmp_path / "globex") as other:
        house.config.mkdir()
        entries = {
            "acme": {"api_url": house.tenant.url, "token_name": "ACME_TOKEN", "groups": ["all-of-it"]},
            "globex": {"api_url": other.url, "token_name": "GLOBEX_TOKEN", "groups": ["all-of-it"]},
        }
        (house.config / "tenants.yaml").write_text(yaml.safe_dump({"tenants": entries}))
        house.environ |= {"ACME_TOKEN": house.tenant.token, "GLOBEX_TOKEN": other.token}
        for name in ("KANDJI_API_URL", "KANDJI_TOKEN"):
            del house.environ[name]
        yield other


def test_what_was_built_once_is_published_to_each_tenant_that_is_named(house, here, built, globex):
    ran = here("publish", built("Widget"), "--tenant", "@all-of-it", "--json")
    assert ran.returncode == 0, ran.stderr
    assert sorted(result["custom_apps"][0]["tenant"] for result in json.loads(ran.stdout)) == ["acme", "globex"]
    assert house.names() == [app["name"] for app in globex.apps()] == ["Widget"]


def test_the_tenant_that_a_recipe_names_travels_with_it_and_the_flag_wins(house, here, built, globex):
    folder = built("Widget", tenant="globex")
    assert here("publish", folder).returncode == 0
    assert (house.names(), len(globex.apps())) == ([], 1)
    assert here("publish", folder, "--tenant", "acme").returncode == 0
    assert house.names() == ["Widget"]


def test_one_tenant_that_fails_does_not_keep_the_others_from_theirs(house, here, built, globex):
    ran = here("publish", built("Widget"), "--tenant", "all", GLOBEX_TOKEN="wrong")
    assert ran.returncode == Exit.PARTLY
    assert house.names() == ["Widget"]
    assert "globex" in ran.stderr


def test_a_tenant_that_nobody_knows_is_named_before_anything_is_sent(house, here, built, globex):
    ran = here("publish", built("Widget"), "--tenant", "acme,glowbex")
    assert ran.returncode == Exit.SETTINGS
    assert "did you mean globex?" in ran.stderr
    assert house.tenant.requests == []


def test_a_scheduler_that_is_not_there_is_named_before_anything_is_sent(house, here, built):
    ran = here("publish", built("Widget"), "--scheduler", "tcp://127.0.0.1")
    assert ran.returncode == 1
    assert "no Dask scheduler answers at tcp://127.0.0.1" in ran.stderr
    assert "Write it as tcp://HOST:8786" in here("publish", built("Widget"), "--scheduler", "localhost").stderr
    assert house.tenant.requests == []


def test_a_manifest_without_lines_is_nothing_to_do(house, here):
    path = house.folder / "manifest.jsonl"
    path.touch()
    ran = here("publish", path)
    assert (ran.returncode, house.tenant.requests) == (0, [])
    assert f"nothing to publish: no app is in {path}" in ran.stderr


def test_what_failed_there_is_pending_and_done_by_retry(house, here, built):
    folder = built("Widget")
    house.tenant.permissions.revoke("Create Custom App")
    assert here("publish", folder).returncode == Exit.TOKEN
    house.tenant.permissions.grant("Create Custom App")
    assert here("retry").returncode == 0
    assert house.names() == ["Widget"]
