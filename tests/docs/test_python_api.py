"""Every block of the chapter on the Python API is run, in its order, against the embedded tenant."""

from __future__ import annotations

import hashlib
import logging
import os
import re
from pathlib import Path

import pytest

from kandji_uploader import api
from kandji_uploader.kandji import tenant as views
from kandji_uploader.rehearsal import RehearsalTenant
from tests.support.cask_server import cask_json, cask_server
from tests.support.installers import app_pkg

CHAPTER = Path(__file__).parents[2] / "docs" / "python-api.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```$", CHAPTER.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
RECIPE_MAP = """
Firefox.pkg:
  prod_name: Firefox
  test_name: Firefox (Test)
  promotion: {after_days: 5}
"""
TENANTS = """
tenants:
  acme: {{api_url: "{}", token_name: ACME_TOKEN, groups: europe}}
  globex: {{api_url: "{}", token_name: GLOBEX_TOKEN}}
"""


@pytest.fixture
def tenant(tmp_path, monkeypatch):
    with RehearsalTenant(tmp_path / "t") as tenant, RehearsalTenant(tmp_path / "g") as globex, cask_server() as casks:
        for name in [name for name in os.environ if name.startswith(("KANDJI", "SLACK", "IRU", "KPKG"))]:
            monkeypatch.delenv(name)
        environ = {"KANDJI_API_URL": tenant.url, "KANDJI_TOKEN": tenant.token, "ACME_TOKEN": tenant.token}
        environ["GLOBEX_TOKEN"] = globex.token
        folders = {"KANDJI_UPLOADER_DIR": tmp_path / "config", "KANDJI_UPLOADER_STATE_DIR": tmp_path / "state"}
        environ |= {name: str(folder) for name, folder in folders.items()}
        for name, value in {**environ, **casks.environ}.items():
            monkeypatch.setenv(name, value)
        for token in ("firefox", "slack"):
            body = app_pkg(tmp_path / f"{token}.pkg", name=token.title(), version="129.0").read_bytes()
            casks.offer(f"/files/{token}.pkg", body)
            casks.casks[token] = cask_json(
                token,
                url=f"{casks.url}/files/{token}.pkg",
                sha256=hashlib.sha256(body).hexdigest(),
                version="129.0",
                artifacts=[{"pkg": [f"{token}.pkg"]}],
            )
        (tmp_path / "config").mkdir()
        (tmp_path / "config" / "config.yaml").write_text("use_recipe_map: true\n")
        (tmp_path / "config" / "recipe_map.yaml").write_text(RECIPE_MAP)
        (tmp_path / "config" / "tenants.yaml").write_text(TENANTS.format(tenant.url, globex.url))
        views.forget_all()
        yield tenant
        views.forget_all()


def test_every_block_of_the_chapter_works(tenant, tmp_path, monkeypatch, capsys):
    for version in ("128.0", "129.0"):
        package = app_pkg(tmp_path / f"Firefox-{version}.pkg", name="Firefox", version=version)
        for name in ("Firefox (Test)", *(["Firefox"] if version == "128.0" else [])):
            assert api.process_pkg(package, name=name).action == "succeeded"
    package = app_pkg(tmp_path / "App.pkg", name="App", version="1.0")
    monkeypatch.setattr(logging, "basicConfig", lambda **_: None)  # the tests' own logging stays as it is
    known: dict[str, object] = {}
    assert len(BLOCKS) == 7
    for block in BLOCKS:
        text = block.replace("/path/to/App.pkg", str(package)).replace("acme.api.kandji.io", tenant.url)
        exec(compile(text, str(CHAPTER), "exec"), known)
    assert sorted(app["name"] for app in tenant.apps()) == [
        "Firefox",
        "Firefox (Test)",
        "My App",
        "My App (Test)",
        "Slack",
    ]
    assert {result.action for result in known["results"]} == {"dry_run"}
    shown = capsys.readouterr().out
    assert "prod My App created" in shown
    assert "acme slack succeeded" in shown
    assert "globex slack succeeded" in shown
    assert "Firefox (Test) 129.0 0 {}" in shown


def test_the_chapter_names_every_argument():
    text = CHAPTER.read_text(encoding="utf-8")
    for function in (api.process_pkg, api.process_brew, api.publish):
        for name in function.__kwdefaults__:
            assert re.search(rf"`[^`\n]*\b{name}\b", text), name
