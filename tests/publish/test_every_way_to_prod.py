"""Each way by which bytes reach a prod app asks who signed them: a stranger's are refused, and so are broken ones.

The prod app is one that Rich Trouton has signed, and its audit script says so. A file that is on this machine is looked
at; of one that is in Kandji only, and that nobody has looked at, it is not known who signed it.
"""

from __future__ import annotations

import hashlib
import json
import sys
import time
from pathlib import Path

import pytest

from kandji_uploader import api, autopkg, cli
from kandji_uploader.cli.failures import Exit
from kandji_uploader.flows import casks, promote, retry
from kandji_uploader.flows import publish as flow
from kandji_uploader.kandji.tenant import forget_all
from kandji_uploader.models import Settings
from kandji_uploader.publish import manifests, refresh
from kandji_uploader.publish.request import Host, Request
from kandji_uploader.state import DigestCache, store_of
from tests.publish.test_signers import FUMIHIKO, PROD, RICH
from tests.support.cask_server import cask_json, cask_server

TEST = "Widget (Test)"
PAIR = {**PROD, "custom_app.test_name": TEST}


@pytest.fixture(autouse=True)
def _without_zsh(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")


def host(house, **parts):
    forget_all()
    return Host(say=house.said.append, warn=house.warned.append, environ=house.environ, **parts)


def errors(result):
    return [outcome.error for outcome in result.outcomes]


# What is on this machine


def by_recipe(house, path):
    return errors(house.publish(path, PROD))


def beside_the_test_app(house, path):
    return errors(house.publish(path, PAIR))


def urgently(house, path):
    return errors(house.publish(path, {**PAIR, "custom_app.promotion": {"after_days": 5}, "urgent": "CVE-1"}))


def to_a_new_app(house, path):
    return errors(house.publish(path, {**PROD, "create_new": True}))


def to_self_service(house, path):
    return errors(house.publish(path, {**PROD, "custom_app.ss_category": "Apps"}))


def left_over(house, path):
    """A machine on which nobody looks has uploaded it, and its update did not come through."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "asn1crypto", None)
        patch.setattr(refresh, "_TOLD", set())
        house.tenant.faults.add("PATCH", "library/custom-apps/*", kind="status", code=403, times=1)
        assert house.publish(path, PROD).failed
    house.now = time.time()
    store = store_of(Settings(house.tenant.url, state_folder=house.folder / "state"))
    assert len(store.uploads(house.now)) == len(store.pending()) == len(house.tenant.uploads()) - 1 == 1
    return store


def after_an_interrupted_upload(house, path):
    left_over(house, path)
    return errors(house.publish(path, PROD))


def by_retry(house, path):
    store = left_over(house, path)
    (entry,) = store.pending()
    return errors(retry.run(entry, store, host(house)))


def by_cask(house, path):
    body = path.read_bytes()
    with cask_server() as server:
        server.offer("/Widget.pkg", body)
        digest, parts = hashlib.sha256(body).hexdigest(), [{"pkg": ["Widget.pkg"]}]
        server.casks["widget"] = cask_json(
            "widget", url=f"{server.url}/Widget.pkg", sha256=digest, version="9", artifacts=parts
        )
        house.environ.update(server.environ)
        return errors(casks.run(casks.Order("widget", PROD), host(house)))


def by_cask_that_another_app_holds(house, path):
    house.tenant.seed("Elsewhere", file_name=path.name, content=path.read_bytes())
    return by_cask(house, path)


def by_manifest(house, path):
    built = house.folder / "built"
    recipe = {"RECIPE_PATH": "/r/Widget.pkg.recipe", "RECIPE_CACHE_DIR": "/c/com.example.pkg.Widget"}
    autopkg.CLAIMS.__init__()
    autopkg.publish({"pkg_path": str(path), **recipe, **PROD, "publish_to": str(built)}, host(house))
    asked = manifests.chosen([built], None, DigestCache(house.folder / "state"))
    return [error for request, _ in asked for error in errors(flow.run(request, host(house)))]


def by_python(house, path):
    return [api.process_pkg(path, keys=PROD, host=host(house)).error]


def by_python_for_many(house, path):
    return [result.error for result in api.publish([api.Item(path, keys=PROD)], host=host(house))]


def with_a_tenant(house):
    entry = {"api_url": house.tenant.url, "token_name": "ACME_TOKEN"}
    (house.folder / "config").mkdir(exist_ok=True)
    (house.folder / "config" / "tenants.json").write_text(json.dumps({"tenants": {"acme": entry}}))
    house.environ["ACME_TOKEN"] = house.tenant.token
    del house.environ["KANDJI_API_URL"], house.environ["KANDJI_TOKEN"]


def for_a_tenant(house, path):
    with_a_tenant(house)
    return errors(flow.run(Request(path, keys={**PROD, "tenant": "acme"}), host(house)))


def by_the_command_line(house, path):
    with_a_tenant(house)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in house.environ.items():
            patch.setenv(name, value)
        forget_all()
        assert cli.main(["-p", str(path), "-n", "Widget", "--allow-downgrade", "--tenant", "acme"]) == Exit.REFUSED
    return []


# What is in Kandji only


def by_promotion(house, path):
    house.tenant.seed(TEST, file_name="Widget-9.0.pkg", content=path.read_bytes(), install_enforcement="install_once")
    there = host(house)
    (result,) = promote.promote([promote.named_pair("Widget", TEST, there)], there, force=True)
    return errors(result)


def by_rollback(house, path):
    """Somebody had put it there by hand, and Rich's came after it."""
    house.tenant.remove(house.tenant.app("Widget")["id"])
    house.tenant.seed(
        "Widget", file_name="Widget-0.5.pkg", content=path.read_bytes(), install_enforcement="install_once"
    )
    assert not house.publish(RICH, PROD).failed
    return errors(promote.rollback("Widget", host(house), to="0.5"))


ON_DISK = [
    by_recipe,
    beside_the_test_app,
    urgently,
    to_a_new_app,
    to_self_service,
    after_an_interrupted_upload,
    by_retry,
    by_cask,
    by_cask_that_another_app_holds,
    by_manifest,
    by_python,
    by_python_for_many,
    for_a_tenant,
    by_the_command_line,
]
IN_KANDJI = [by_promotion, by_rollback]


def broken(folder: Path) -> Path:
    data = bytearray(FUMIHIKO.read_bytes())
    data[-500_000] ^= 0xFF
    path = folder / "Broken.pkg"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("way", [*ON_DISK, *IN_KANDJI], ids=lambda way: way.__name__)
@pytest.mark.parametrize("bytes_are", ["a stranger's", "broken"])
def test_each_way_to_a_prod_app_refuses_what_is_a_strangers_or_broken(house, capfd, way, bytes_are):
    assert not house.publish(RICH, PROD).failed
    path = FUMIHIKO if bytes_are == "a stranger's" else broken(house.folder)
    said = " ".join([*way(house, path), capfd.readouterr().err])
    (app,) = [app for app in house.tenant.apps() if app["name"] == "Widget"]

    assert app["sha256"] == hashlib.sha256(RICH.read_bytes()).hexdigest()
    if way in IN_KANDJI:
        assert "it is not known who signed it" in said
    elif bytes_are == "broken":
        assert "its signature is broken (file 'Payload': it was changed after signing" in said
    else:
        assert "it is signed by Fumihiko Takayama (G43BCU2T37), while the version before it was signed by Rich" in said
