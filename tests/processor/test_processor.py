"""The processor over the stand-in: environment in, environment out, no error that AutoPkg would show as a traceback."""

import plistlib
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from kandji_uploader.audit import script as audit
from kandji_uploader.kandji import tenant as tenants
from kandji_uploader.rehearsal import RehearsalTenant
from tests.support import autopkglib_standin as standin
from tests.support.installers import app_pkg

CHECKOUT = Path(__file__).parents[2]


@pytest.fixture
def tenant(tmp_path, monkeypatch):
    with RehearsalTenant(tmp_path / "tenant") as tenant:
        for name in ("SLACK_TOKEN", "KANDJI_TOKEN_NAME", "ENV_KEYSTORE"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("PATH", "/nowhere")  # without zsh; what audit scripts do is tried in `tests/audit`
        monkeypatch.setenv("KANDJI_API_URL", tenant.url)
        monkeypatch.setenv("KANDJI_TOKEN", tenant.token)
        monkeypatch.setenv("KANDJI_UPLOADER_DIR", str(tmp_path / "config"))
        monkeypatch.setenv("KANDJI_UPLOADER_STATE_DIR", str(tmp_path / "state"))
        yield tenant
        tenants.forget_all()


@pytest.fixture
def env(tmp_path):
    path = app_pkg(tmp_path / "Widget-1.0.pkg", name="Widget", bundle_id="com.example.Widget", version="1.0")
    return {
        "NAME": "Widget",
        "pkg_path": str(path),
        "RECIPE_PATH": "/r/Widget.pkg.recipe",
        "verbose": 1,
        "custom_app": {"prod_name": "Widget", "test_name": "Widget (Test)"},
    }


def run(env, **arguments):
    return standin.step(standin.load(CHECKOUT / "KandjiUploader.py"), env, **arguments)


def problem(env, **arguments):
    with pytest.raises(standin.ProcessorError) as caught:
        run(env, **arguments)
    assert caught.value.__context__ is None or caught.value.__suppress_context__
    return str(caught.value)


def test_a_first_run_publishes_and_says_so(tenant, env):
    env, printed = run(env)
    assert env["kandji_uploader_changed"] is True
    data = env["kandji_uploader_summary_result"]["data"]
    assert list(data) == env["kandji_uploader_summary_result"]["report_fields"]
    assert data["link"] == f"{tenant.url}/library/custom-apps/{tenant.app('Widget')['id']}"
    assert "Widget (Test): created" in printed
    assert len(tenant.uploads()) == 1


def test_an_unchanged_run_removes_the_summary_of_an_earlier_step(tenant, env):
    env, _ = run(env)
    env, _ = run(env)
    assert "kandji_uploader_summary_result" not in env
    assert "kandji_uploader_test_summary_result" not in env
    assert env["kandji_uploader_changed"] is False
    assert [app["action"] for app in env["kandji_custom_apps"]] == ["unchanged", "unchanged"]
    assert len(tenant.uploads()) == 1


def test_outputs_fit_into_a_property_list(tenant, env):
    env, _ = run(env)
    plistlib.dumps({key: env[key] for key in env if key.startswith("kandji_")})


@pytest.mark.parametrize("keys", [("pathname",), ("dmg_path",)])
def test_the_installer_may_be_named_otherwise(tenant, env, keys):
    env[keys[0]] = env.pop("pkg_path")
    run(env)
    assert len(tenant.apps()) == 2


def test_without_an_installer_the_error_names_the_keys(tenant, env):
    del env["pkg_path"]
    assert "pkg_path, pathname and dmg_path are all empty" in problem(env)
    assert tenant.requests == []


def test_a_variable_that_no_step_set_is_not_a_path(tenant, env):
    assert "holds a variable that no step has set" in problem(env, pkg_path="%pathname%")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"pkg_path": "/nowhere/a.pkg"}, "/nowhere/a.pkg"),
        ({"pkg_path": "/tmp"}, "folder"),
        ({"enforcement_type": "audit"}, "enforcement_type"),
        ({"enforcement_delays": {"prod": "soon"}}, "enforcement_delays.prod"),
        ({"custom_app": {"prod_nmae": "x"}}, "prod_name"),
        ({"custom_app.dry_run": "x"}, "custom_app.dry_run"),
        ({"custom_app": {"prod_name": "%NAME% %nobody%"}}, "holds %nobody%"),
        ({"prod_name": "Foo"}, "prod_name: is not a known key; did you mean custom_app.prod_name?"),
        ({"tset_name": "Foo"}, "tset_name: is not a known key; did you mean custom_app.test_name?"),
        ({"ss_category": "Foo"}, "did you mean custom_app.ss_category?"),
        ({"Dry-Run": "true"}, "did you mean dry_run?"),
        ({"custom_app_prod_name": "Foo"}, "did you mean custom_app.prod_name?"),
        ({"enforcement_delay": {"prod": 3}}, "did you mean enforcement_delays?"),
        ({"custom_app": {"dry_run": True}}, "did you mean dry_run? It belongs beside custom_app, not inside it"),
        ({"custom_app": {"prod_name": "x" * 300}}, "prod_name"),
        ({"create_new": "perhaps"}, "create_new"),
    ],
)
def test_bad_input_is_named_before_anything_is_sent(tenant, env, change, said):
    env.update(change)
    assert said in problem(env)
    assert [request.method for request in tenant.requests if request.method != "GET"] == []


def test_all_problems_are_reported_together(tenant, env):
    env.update({"enforcement_type": "audit", "create_new": "perhaps", "custom_app": {"tset_name": "x"}})
    text = problem(env)
    assert all(word in text for word in ("enforcement_type", "create_new", "test_name"))


def test_a_variable_of_another_processor_is_not_taken_for_a_key_of_ours(tenant, env):
    others = ("product_name", "dest_name", "PRODUCT_NAME", "minimum_os_version", "restart", "category", "pkg_name")
    env, _ = run({**env, **dict.fromkeys(others, "x")})
    assert env["kandji_uploader_changed"] is True


def test_a_setting_of_the_config_file_may_be_given_for_one_run(tenant, env):
    assert "auto_create_app is off" in problem({**env, "zz_defaults.auto_create_app": "false"})
    assert tenant.apps() == []


@pytest.mark.parametrize("content", [b"", b"not an installer", b"xar!" + b"\0" * 100])
def test_a_file_that_is_no_installer_is_refused(tenant, env, tmp_path, content):
    (tmp_path / "bad.pkg").write_bytes(content)
    env["pkg_path"] = str(tmp_path / "bad.pkg")
    assert "bad.pkg" in problem(env)
    assert tenant.uploads() == []


def test_without_a_token_the_error_says_where_to_put_it(tenant, env, monkeypatch):
    monkeypatch.delenv("KANDJI_TOKEN")
    assert "KANDJI_TOKEN" in problem(env)


def test_a_wrong_token_is_told_from_a_missing_permission(tenant, env, monkeypatch):
    monkeypatch.setenv("KANDJI_TOKEN", "another-token")
    assert "was not accepted" in problem(env)
    monkeypatch.setenv("KANDJI_TOKEN", tenant.token)
    tenant.permissions.revoke("Create Custom App")
    assert "'Create Custom App'" in problem(env)
    assert tenant.apps() == []


def test_a_host_that_does_not_exist_names_the_setting(tenant, env, monkeypatch):
    monkeypatch.setenv("KANDJI_API_URL", "no-such-tenant.api.kandji.io")
    assert "KANDJI_API_URL" in problem(env)


def test_plain_http_is_for_loopback_only(tenant, env, monkeypatch):
    monkeypatch.setenv("KANDJI_API_URL", "http://tenant.api.kandji.io")
    assert "https" in problem(env)


def test_a_running_process_fetches_the_list_once(tenant, env):
    env, _ = run(env)
    lists = len([request for request in tenant.requests if request.method == "GET"])
    assert lists == 3, "for the plan, and before and after a create"
    for _ in range(3):
        env, _ = run(env)
    assert len([request for request in tenant.requests if request.method == "GET"]) == lists


def test_a_run_of_hours_sees_what_was_deleted_a_quarter_of_an_hour_ago(tenant, env, monkeypatch):
    env, _ = run(env)
    tenant.remove(tenant.app("Widget")["id"])
    env, _ = run(env)
    assert env["kandji_uploader_changed"] is False, "the list is believed for as long as a short run takes"
    assert tenants.MAX_AGE == 15 * 60
    monkeypatch.setattr(tenants, "MAX_AGE", 0.0)
    env, _ = run(env)
    assert [(app["custom_app"], app["action"]) for app in env["kandji_custom_apps"]] == [
        ("Widget (Test)", "unchanged"),
        ("Widget", "created"),
    ]


def test_loading_the_processor_imports_nothing_that_autopkg_has_not_loaded():
    program = textwrap.dedent(f"""
        import sys
        sys.path.insert(0, {str(CHECKOUT)!r})
        from tests.support import autopkglib_standin as standin
        before = set(sys.modules)
        standin.load({str(CHECKOUT / "KandjiUploader.py")!r})
        print(sorted(name for name in set(sys.modules) - before if "." not in name))
    """)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = set(eval(done.stdout))  # a list of names that this test printed
    assert loaded <= {"__future__"}


def test_importing_the_library_imports_nothing_heavy():
    program = "import sys, kandji_uploader.api; print('requests' in sys.modules, 'yaml' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


def conditions(tenant, name="Widget"):
    reading = audit.read(tenant.app(name)["audit_script"])
    return reading.blocking_applications, reading.minimum_os_version


def test_flat_keys_name_blocking_applications_and_the_lowest_macos(tenant, env):
    keys = {"custom_app.blocking_applications": "A.app, /Applications/B.app", "custom_app.minimum_os_version": "13.0"}
    run({**env, **keys})
    assert conditions(tenant) == conditions(tenant, "Widget (Test)") == (("A.app", "/Applications/B.app"), "13.0")


def test_after_munki_the_script_is_the_same_at_each_run(tenant, env):
    own = {"name": "Widget", "blocking_applications": ["Widget", "a:b"]}
    first, printed = run({**env, "pkginfo": own, "munki_info": {**own, "minimum_os_version": "11.0"}})
    assert conditions(tenant) == (("Widget",), None)
    assert "WARNING: the pkginfo's blocking application 'a:b' holds a colon" in printed
    later, _ = run({**env, "pkginfo": own, "munki_info": {}})
    assert (first["kandji_uploader_changed"], later["kandji_uploader_changed"]) == (True, False)


def test_an_app_without_an_audit_script_warns_of_what_it_cannot_heed_but_not_of_a_pkginfo(tenant, env):
    env = {**env, "enforcement_type": "install_once", "pkginfo": {"blocking_applications": ["A"]}, "munki_info": {}}
    _, printed = run(dict(env))
    assert "no effect" not in printed
    _, printed = run({**env, "custom_app": {"prod_name": "Widget", "blocking_applications": []}})
    assert printed.count("'Widget' has no audit script, so blocking_applications has no effect") == 1
