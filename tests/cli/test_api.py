"""The Python API: values in, a value out; it neither prints nor configures logging, nor ends the process."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

import kandji_uploader
from kandji_uploader import api
from kandji_uploader.kandji import tenant as views
from kandji_uploader.publish.request import Host
from tests.support.commands import parsers


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


def python(house, script):
    done = subprocess.run(
        [sys.executable, "-c", script], env=house.environ, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stderr == ""
    return done.stdout


def test_importing_leaves_logging_as_it_was_and_needs_neither_requests_nor_keyring(house):
    script = (
        "import logging, sys\n"
        "before = (list(logging.root.handlers), logging.root.level, set(logging.root.manager.loggerDict))\n"
        "import kandji_uploader.api, kandji_uploader.cli\n"
        "after = (list(logging.root.handlers), logging.root.level, set(logging.root.manager.loggerDict))\n"
        "print(before[:2] == after[:2], after[2] - before[2], {'requests', 'keyring', 'yaml'} & set(sys.modules))\n"
    )
    assert python(house, script) == "True {'kandji_uploader'} set()\n"


def test_what_users_of_kpkg_type_works_and_importing_the_package_imports_nothing_of_it(house):
    script = (
        "import sys, kandji_uploader\n"
        "print(sorted(name for name in sys.modules if name.startswith('kandji_uploader')))\n"
        "from kandji_uploader import process_pkg, process_brew\n"
        "from kandji_uploader import api\n"
        "print(process_pkg is api.process_pkg, process_brew is api.process_brew)\n"
        f"print(process_pkg({str(house.widget())!r}, name='Widget').action)\n"
    )
    assert python(house, script) == "['kandji_uploader']\nTrue True\nsucceeded\n"


def test_the_package_offers_what_the_api_does_and_nothing_else():
    folders = {"publish", "status"}  # of the package
    offered = set(dir(kandji_uploader)) & set(api.__all__) - folders
    assert set(api.__all__) - offered == folders
    assert all(getattr(kandji_uploader, name) is getattr(api, name) for name in offered)
    with pytest.raises(AttributeError, match="process_dmg"):
        kandji_uploader.process_dmg  # noqa: B018 - what is missing is asked for
    typed = Path(kandji_uploader.__file__)
    assert typed.with_name("py.typed").exists()
    assert {name for name in offered if f"import {name} as {name}" not in typed.read_text()} == set()


def test_what_is_being_done_goes_to_the_logger(house, host, caplog):
    caplog.set_level("INFO", logger="kandji_uploader")
    api.process_pkg(house.widget(), name="Widget", host=host)
    assert "Widget: create (no Custom App has that name)" in caplog.messages
    assert {record.name for record in caplog.records} == {"kandji_uploader"}
    assert house.tenant.token not in caplog.text


def test_what_is_odd_is_a_warning_of_the_logger_in_whole_lines(house, host, caplog):
    host.warn("one\ntwo \x1b[31m")
    assert [(record.levelname, record.message) for record in caplog.records] == [
        ("WARNING", "one"),
        ("WARNING", "two \\x1b[31m"),
    ]


# The tenant of a call


@pytest.fixture
def elsewhere(house):
    """Settings that lead nowhere: only what a call says can work."""
    views.forget_all()
    environ = {"HOME": str(house.folder), "KANDJI_UPLOADER_DIR": str(house.config)}
    return Host(environ={**environ, "KANDJI_API_URL": "http://127.0.0.1:9", "PATH": house.environ["PATH"]})


def test_the_tenant_of_a_call_as_two_arguments_or_as_a_value(house, elsewhere):
    path, url, token = house.widget(), house.tenant.url, house.tenant.token
    assert api.process_pkg(path, name="Widget", host=elsewhere).action == "failed"
    assert api.process_pkg(path, name="Widget", api_url=url, token=token, host=elsewhere).action == "succeeded"
    acme = api.Tenant("acme", url, token=token)
    assert api.process_pkg(path, name="Widget", tenant=acme, host=elsewhere).action == "skipped"
    (app,) = api.status("Widget", tenant=acme, host=elsewhere)
    assert (app.name, app.figures.macs) == ("Widget", 0)


def test_a_token_is_looked_up_under_the_name_that_the_tenant_has_for_it(house, elsewhere):
    environ = {**elsewhere.environ, "ACME_TOKEN": house.tenant.token}
    acme = api.Tenant("acme", house.tenant.url, token_name="ACME_TOKEN")
    host = dataclasses.replace(elsewhere, environ=environ)
    assert api.process_pkg(house.widget(), name="Widget", tenant=acme, host=host).action == "succeeded"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"api_url": ""}, "the call: api_url: is empty; give the API's address"),
        ({"tenant": api.Tenant("acme", " ")}, "the call: tenant.url: is empty"),
        ({"api_url": "acme"}, "the call: kandji.api_url: must be TENANT.api.kandji.io"),
        ({"token": ""}, "the API token in the call is empty"),
        ({"token": "'abc'"}, "value of token in the call has quotes around it"),
        ({"tenant": api.Tenant("acme", "http://127.0.0.1:9"), "token": "abc"}, "goes without api_url and token"),
    ],
)
def test_a_tenant_that_is_none_is_told_and_not_taken_for_the_one_in_the_settings(house, host, given, said):
    result = api.process_pkg(house.widget(), name="Widget", host=host, **given)
    assert result.action == "failed"
    assert said in result.error
    assert house.tenant.requests == []


def test_a_tenant_shows_its_token_to_nobody():
    acme = api.Tenant("acme", "acme.api.kandji.io", token="t0p-secret")
    assert "t0p-secret" not in f"{acme!r} {acme}"
    for keep in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="cannot be copied or pickled; give it a token_name"):
            keep(acme)
    named = api.Tenant("acme", "acme.api.kandji.io", token_name="ACME_TOKEN")
    assert pickle.loads(pickle.dumps(named)) == copy.copy(named) == named
    with pytest.raises(dataclasses.FrozenInstanceError):
        named.url = "other"  # type: ignore[misc]


def test_a_token_of_a_call_is_in_no_text_and_no_file(house, elsewhere, caplog, tmp_path):
    caplog.set_level("DEBUG", logger="kandji_uploader")
    wrong = "wr0ng-secret-token"
    result = api.process_pkg(house.widget(), name="Widget", api_url=house.tenant.url, token=wrong, host=elsewhere)
    assert "HTTP 401" in result.error
    assert wrong not in f"{result!r}{caplog.text}"
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and wrong.encode() in path.read_bytes()]


# Promotion, rollback and status as commands have them


def names(result):
    return [(app.name, app.action) for app in result.custom_apps]


def test_promote_rollback_and_status(house, host):
    for version in ("1.0", "2.0"):
        api.process_pkg(house.widget(version), testname="Widget (Test)", host=host)
    pair = {"test": "Widget (Test)", "prod": "Widget"}
    (dry,) = api.promote(**pair, dry=True, host=host)
    assert (dry.source, dry.action, names(dry)) == ("Widget", "dry_run", [("Widget", "would promote")])
    (held,) = api.promote(**pair, after_days=3, host=host)
    assert (held.action, "of 3" in held.custom_apps[0].reason) == ("skipped", True)
    (done,) = api.promote(**pair, host=host)
    assert (done.action, names(done)) == ("succeeded", [("Widget", "promoted")])
    back = api.rollback("Widget (Test)", to="1.0", host=host)
    assert (back.action, names(back)) == ("succeeded", [("Widget (Test)", "rolled back")])
    assert [app.version for app in api.status("Widget", "Widget (Test)", host=host)] == ["2.0", "1.0"]


def test_promote_rollback_and_status_tell_what_is_wrong(house, host):
    with pytest.raises(api.KandjiUploaderError, match="name the apps, or ask for every pair"):
        api.promote(host=host)
    with pytest.raises(api.KandjiUploaderError, match="test and prod go together"):
        api.promote(prod="Widget", host=host)
    with pytest.raises(api.KandjiUploaderError) as wrong:
        api.promote(
            test="T",
            prod="P",
            after_days=-1,
            min_pass=0,
            max_error_percent=float("nan"),
            host=host,
            keys_from="nightly.py",
        )
    assert str(wrong.value).splitlines() == [
        "nightly.py: after_days is -1: must be a number of days, 0 to 3650",
        "nightly.py: min_pass is 0: must be a number of Macs, 1 or more",
        "nightly.py: max_error_percent is nan: must be per cent, 0 to 100",
    ]
    with pytest.raises(api.KandjiUploaderError, match="no Custom App is called 'Widget'"):
        api.status("Widget", host=host)
    missing = api.rollback("Widget", host=host)
    assert (missing.action, "no Custom App is called 'Widget'" in missing.error) == ("failed", True)
    assert house.writes() == []


def test_what_the_commands_take_the_functions_take():
    known = {"-h", "--color", "--quiet", "--no-progress", "--json", "-v", "--setup", "--debug", "--html", "-y"}
    spelled = {"pkg": "path", "brew": "cask", "all": "every_pair"}
    for command, functions in (
        ("upload", (api.process_pkg, api.process_brew)),
        ("promote", (api.promote,)),
        ("rollback", (api.rollback,)),
        ("status", (api.status,)),
        ("watch", (api.watch,)),
        ("resume", (api.resume,)),
    ):
        taken = {name for function in functions for name in inspect.signature(function).parameters}
        for action in parsers()[command]._actions:
            if known.isdisjoint(action.option_strings):
                name = spelled.get(action.dest, action.dest)
                # (A result of the Python API always has its timings.)
                others = ("jobs", "enforcement", "allow_downgrade", "replace_audit_script", "timings")
                assert name in taken or name in others, name
