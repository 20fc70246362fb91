"""The Python API: values in, a value out; it neither prints nor logs, nor ends the process."""

from __future__ import annotations

import dataclasses
import subprocess
import sys

import pytest

from kandji_uploader import api
from kandji_uploader.flows.publish import Host
from kandji_uploader.kandji import tenant as views


@pytest.fixture
def host(house):
    views.forget_all()
    return Host(environ=house.environ)


def test_a_file_is_published_and_told_as_a_value(house, host, capsys):
    path = house.widget()
    result = api.process_pkg(path, name="Widget", testname="Widget (Test)", host=host)
    assert (result.source, result.app_name, result.action, result.error) == (str(path), "Widget", "succeeded", "")
    ids = {app["name"]: app["id"] for app in house.tenant.apps()}
    told = {(app.stage, app.name, app.id, app.action) for app in result.custom_apps}
    assert told == {
        ("test", "Widget (Test)", ids["Widget (Test)"], "created"),
        ("prod", "Widget", ids["Widget"], "created"),
    }
    assert all(app.link.endswith(app.id) for app in result.custom_apps)
    assert capsys.readouterr() == ("", "")
    with pytest.raises(dataclasses.FrozenInstanceError):
        result.action = "failed"  # type: ignore[misc]


def test_each_action_has_its_word(house, host):
    path = house.widget()
    assert api.process_pkg(path, dry=True, host=host).action == "dry_run"
    assert api.process_pkg(path, host=host).action == "succeeded"
    assert api.process_pkg(path, host=host).action == "skipped"
    missing = api.process_pkg(house.folder / "none.pkg", host=host)
    assert (missing.action, missing.run) == ("failed", None)
    assert "there is no such file" in missing.error


def test_categories_create_and_further_keys(house, host):
    path = house.widget()
    for _ in range(2):
        api.process_pkg(path, name="Widget", sscategory="Productivity", create=True, host=host)
    api.process_pkg(path, name="Once", keys={"enforcement_type": "install_once"}, host=host)
    assert house.names() == ["Once", "Widget", "Widget"]
    assert house.tenant.app("Once")["install_enforcement"] == "install_once"


def test_an_unknown_key_is_a_failed_result_with_a_did_you_mean(house, host):
    result = api.process_pkg(house.widget(), keys={"enforcement_typ": "install_once"}, host=host)
    assert result.action == "failed"
    assert "did you mean enforcement_type?" in result.error


def test_another_config_folder(house, host, tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "config.yaml").write_text("zz_defaults:\n  new_app_naming: APPNAME (other)\n")
    api.process_pkg(house.widget(), parent_dir=tmp_path / "other", host=host)
    assert house.names() == ["Widget (other)"]


def test_a_cask_and_the_progress_of_its_download(house, casks, offer):
    offer("widget")
    views.forget_all()
    seen = []
    host = Host(environ=house.environ)
    result = api.process_brew("widget", host=host, progress=lambda done, total: seen.append((done, total)))
    assert (result.source, result.action) == ("widget", "succeeded")
    assert seen[-1][0] == seen[-1][1] > 0
    assert api.process_brew("widget", host=host).action == "skipped"
    assert api.process_brew("wodget", host=host).action == "failed"


def test_importing_leaves_logging_as_it_was_and_needs_neither_requests_nor_keyring(house):
    script = (
        "import logging, sys\n"
        "before = (list(logging.root.handlers), logging.root.level, set(logging.root.manager.loggerDict))\n"
        "import kandji_uploader.api, kandji_uploader.cli\n"
        "after = (list(logging.root.handlers), logging.root.level, set(logging.root.manager.loggerDict))\n"
        "print(before == after, {'requests', 'keyring', 'yaml'} & set(sys.modules))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], env=house.environ, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == "True set()\n"
