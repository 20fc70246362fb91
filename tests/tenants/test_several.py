"""One run, several tenants: each gets its app, none keeps the others from theirs, and the report says which it was."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from kandji_uploader import api, installer
from kandji_uploader.autopkg import summary_keys
from kandji_uploader.cli import main
from kandji_uploader.cli.failures import Exit
from kandji_uploader.errors import SettingsError
from kandji_uploader.flows import announce
from kandji_uploader.flows import tenants as several
from kandji_uploader.kandji import tenant as views
from kandji_uploader.publish.queue import Batch, Failures
from tests.support import autopkglib_standin as standin
from tests.tenants.conftest import NAMES, Provider

PROCESSOR = standin.load(Path(__file__).parents[2] / "KandjiUploader.py")


def publish(provider: Provider, *, tenant="all", version="1.0", **further):
    return api.process_pkg(provider.pkg(version), name="Widget", tenant=tenant, host=provider.host(), **further)


def actions(result):
    return {app.tenant: app.action for app in result.custom_apps}


def test_each_tenant_gets_its_own_app_under_its_own_name(provider):
    provider.entries["globex"]["apps"] = {"Widget": {"prod_name": "Globex Widget"}}
    provider.write()
    result = publish(provider, tenant="@two")
    assert (result.action, provider.apps()) == (
        "succeeded",
        {"acme": ["Widget"], "globex": ["Globex Widget"], "initech": []},
    )
    assert [(app.tenant, app.name) for app in result.custom_apps] == [("acme", "Widget"), ("globex", "Globex Widget")]
    assert actions(publish(provider, tenant=["acme", "initech"])) == {"acme": "unchanged", "initech": "created"}


def test_the_installer_is_read_and_hashed_once_for_all(provider, monkeypatch):
    read = []
    for name in ("inspect", "sha256"):
        call = getattr(installer, name)
        monkeypatch.setattr(
            installer, name, lambda *given, name=name, call=call, **how: read.append(name) or call(*given, **how)
        )
    publish(provider)
    assert sorted(read) == ["inspect", "sha256"]
    assert all(len(found) == 1 for found in provider.apps().values())


def test_one_failing_tenant_keeps_no_other_from_its_app(provider):
    provider.tenants["globex"].faults.add("GET", "**", kind="status", code=401, nth="every")
    result = publish(provider)
    assert result.action == "failed"
    assert actions(result) == {"acme": "created", "globex": "failed", "initech": "created"}
    assert "globex: Widget-1.0.pkg: failed" in result.error
    assert "acme: Widget was created" in result.error


def test_a_missing_token_is_told_and_the_others_go_on(provider):
    del provider.environ["ACME_TOKEN"]
    result = publish(provider)
    assert actions(result) == {"acme": "failed", "globex": "created", "initech": "created"}
    assert "ACME_TOKEN was not found" in result.error


def test_a_token_is_sent_to_its_own_tenant_only(provider):
    publish(provider)
    for name, tenant in provider.tenants.items():
        others = [other.token for key, other in provider.tenants.items() if key != name]
        heard = json.dumps([dict(request.headers) for request in tenant.requests])
        assert not any(token in heard for token in others)


def test_a_tenant_that_fails_three_times_in_a_row_is_left_alone(provider):
    batch = Batch()
    provider.tenants["acme"].faults.add("GET", "**", kind="status", code=401, nth="every")
    for number in range(4):
        path = provider.pkg(name=f"App{number}", bundle_id=f"com.example.app{number}")
        result = api.process_pkg(path, tenant="@two", batch=batch, host=provider.host())
        assert actions(result) == {"acme": "failed", "globex": "created"}
    assert len(provider.requests()["acme"]) == 3
    assert any("acme: left alone, since it has failed 3 times in a row" in line for line in provider.said)
    assert "left alone" in result.error
    assert actions(publish(provider, tenant="acme"))["acme"] == "failed"
    assert len(provider.requests()["acme"]) == 4, "the next run tries it again"


@pytest.mark.parametrize("by", ["one process", "workers"])
def test_a_token_that_is_revoked_in_the_middle_of_a_run_costs_its_tenant_alone(provider, by):
    acme = provider.tenants["acme"]
    paths = [provider.pkg(name=f"W{number}", bundle_id=f"com.example.w{number}") for number in range(6)]

    def revoke():
        for method in ("GET", "POST", "PATCH"):
            acme.faults.add(method, "library/**", kind="status", code=401, nth="every")

    acme.faults.add("POST", "/store", kind="call", do=revoke, nth=2)
    items = [api.Item(path, name=path.name.removesuffix("-1.0.pkg")) for path in paths]
    if by == "workers":
        results = list(api.publish(items, "all", host=provider.host()))
        rows = [(each.tenant, Path(each.source).stem, each.error) for each in results]
    else:
        batch = api.Batch()
        runs = [api.process_pkg(i.path, name=i.name, tenant="all", batch=batch, host=provider.host()) for i in items]
        rows = [(app.tenant, Path(run.source).stem, app.error) for run in runs for app in run.run.outcomes]
    there = {name.removesuffix("-1.0"): error for tenant, name, error in rows if tenant == "acme"}

    assert len(rows) == 18
    everything = [f"W{number}" for number in range(6)]
    assert provider.apps() == {"acme": ["W0"], "globex": everything, "initech": everything}
    assert there["W0"] == ""
    assert all("the API token was not accepted" in there[f"W{number}"] for number in range(1, 6))
    assert ["left alone, since it has failed 3 times" in there[f"W{number}"] for number in range(1, 6)] == [
        *[False] * 3,
        *[True] * 2,
    ]
    assert 3 <= len([each for each in acme.requests if each.status == 401]) <= 4


def test_failures_that_are_not_in_a_row_count_anew():
    failures = Failures()
    for error in ("x", "y", "", "x", "y"):
        failures.note("acme", error)
    assert not failures.left_alone("acme")
    failures.note("acme", "z")
    assert failures.left_alone("acme").endswith("z")


def test_a_bad_installer_says_nothing_of_a_tenant(provider):
    batch = Batch()
    path = provider.folder / "no.pkg"
    path.write_bytes(b"no installer")
    for _ in range(4):
        assert api.process_pkg(path, tenant="acme", batch=batch, host=provider.host()).action == "failed"
    assert api.process_pkg(provider.pkg(), tenant="acme", batch=batch, host=provider.host()).action == "succeeded"


def test_an_unknown_tenant_is_told_before_anything_is_sent(provider):
    result = publish(provider, tenant=["acme", "globexx"])
    assert "'globexx': is not in" in result.error
    assert "did you mean globex?" in result.error
    assert provider.requests()["acme"] == []


def test_slack_gets_one_message_for_all_tenants(provider):
    acme = provider.tenants["acme"]
    provider.environ["SLACK_TOKEN"] = acme.webhook_url
    provider.tenants["globex"].faults.add("GET", "**", kind="status", code=401, nth="every")
    publish(provider)
    (message,) = acme.slack_messages()
    told = json.dumps(message)
    assert all(f"{name}: " in told for name in NAMES)


def test_a_message_to_slack_has_no_more_blocks_than_slack_takes():
    from kandji_uploader.models import Action, Outcome, RunResult, Stage
    from kandji_uploader.report import message, slack

    outcomes = tuple(Outcome(Stage.PROD, "W", Action.CREATE, tenant=f"t{number}") for number in range(150))
    result = RunResult("W.pkg", outcomes)
    payload = slack.payload(message.of_one(result, message.items(result, 0.0)))
    assert len(payload["blocks"]) == 42
    assert "and 110 more" in json.dumps(payload)


def test_autopkg_has_a_summary_for_each_tenant_with_its_name_in_it(provider, monkeypatch):
    for name, value in provider.environ.items():
        monkeypatch.setenv(name, value)
    step = {"NAME": "Widget", "pkg_path": str(provider.pkg()), "RECIPE_PATH": "/r/W.recipe", "verbose": 2}
    env, said = standin.step(PROCESSOR, {**step, "tenant": "all", "custom_app.test_name": "Widget (Test)"})
    assert sorted(summary_keys(env)) == sorted(f"kandji_uploader_{name}_test_summary_result" for name in NAMES)
    summary = env["kandji_uploader_globex_test_summary_result"]
    assert summary["report_fields"][:2] == ["tenant", "custom_app"]
    assert summary["data"]["tenant"] == "globex"
    assert [app["tenant"] for app in env["kandji_custom_apps"]] == [*NAMES]
    again, _ = standin.step(PROCESSOR, {**env, **step})
    assert summary_keys(again) == []
    assert "globex: Widget (Test): created" in said


def command(provider, monkeypatch, capsys, *words):
    for name, value in provider.environ.items():
        monkeypatch.setenv(name, value)
    code = main([*words])
    return code, capsys.readouterr()


def test_the_command_line_takes_tenants_and_shows_them(provider, monkeypatch, capsys):
    words = ["-p", str(provider.pkg()), "-n", "Widget", "--tenant", "@two"]
    code, said = command(provider, monkeypatch, capsys, *words)
    assert code == 0, said.err
    assert [line.split()[:3] for line in said.out.splitlines()[2:]] == [
        ["acme:", "Widget", "created"],
        ["globex:", "Widget", "created"],
    ]
    code, said = command(provider, monkeypatch, capsys, *words, "--json")
    (run,) = json.loads(said.out)
    assert [(app["tenant"], app["action"]) for app in run["custom_apps"]] == [
        ("acme", "unchanged"),
        ("globex", "unchanged"),
    ]


def test_without_a_tenant_nothing_of_it_is_in_the_outcome(provider, monkeypatch, capsys):
    acme = provider.tenants["acme"]
    provider.environ |= {"KANDJI_API_URL": acme.url, "KANDJI_TOKEN": acme.token}
    code, said = command(provider, monkeypatch, capsys, "-p", str(provider.pkg()), "-n", "Widget", "--json")
    (run,) = json.loads(said.out)
    assert code == 0
    assert "tenant" not in run["custom_apps"][0]
    assert provider.apps()["globex"] == []


def test_status_promote_and_rollback_are_about_each_tenant_that_is_named(provider, monkeypatch, capsys):
    names = {"custom_app.prod_name": "Widget", "custom_app.test_name": "Widget (Test)"}
    for version in ("1.0", "2.0"):
        keys = {**names, "custom_app.promotion.after_days": 0}
        assert publish_keys(provider, version, keys).action == "succeeded"
    code, said = command(provider, monkeypatch, capsys, "rollback", "Widget", "--tenant", "@two", "--json")
    assert [(run["custom_apps"][0]["tenant"], run["custom_apps"][0]["action"]) for run in json.loads(said.out)] == [
        ("acme", "rolled back"),
        ("globex", "rolled back"),
    ], said.err
    assert code == 0
    provider.tenants["acme"].remove(provider.tenants["acme"].app("Widget (Test)")["id"])
    views.forget_all()
    words = ["promote", "--test", "Widget (Test)", "--prod", "Widget", "--tenant", "acme,initech"]
    code, said = command(provider, monkeypatch, capsys, *words)
    assert code == Exit.PARTLY, said
    assert "initech: Widget" in said.out
    assert "acme: Widget: failed" in said.err
    code, said = command(provider, monkeypatch, capsys, "status", "Widget (Test)", "--tenant", "all", "--json")
    *shown, failed = json.loads(said.out)
    assert [app["tenant"] for app in shown] == ["globex", "initech"]
    assert (failed["tenant"], failed["error"]["code"], code) == ("acme", "target", Exit.PARTLY)
    assert "acme: no Custom App is called 'Widget (Test)'" in said.err


def test_config_is_about_one_tenant_and_the_doctor_looks_at_each_that_is_named(provider, monkeypatch, capsys):
    provider.entries["globex"]["new_app_naming"] = "APPNAME of Globex"
    provider.write()
    code, said = command(provider, monkeypatch, capsys, "config", "--tenant", "globex", "--json")
    rows = {row["key"]: (row["value"], row["origin"]) for row in json.loads(said.out)["settings"]}
    assert code == 0
    assert rows["kandji.api_url"][0] == provider.tenants["globex"].url
    assert rows["zz_defaults.new_app_naming"] == ("APPNAME of Globex", f"{provider.config / 'tenants.json'} (globex)")
    code, said = command(provider, monkeypatch, capsys, "config", "--tenant", "@two")
    assert (code, "means 2 tenants (acme, globex), and this is about one" in said.err) == (Exit.SETTINGS, True)

    del provider.environ["ACME_TOKEN"]
    monkeypatch.delenv("ACME_TOKEN", raising=False)
    code, said = command(provider, monkeypatch, capsys, "doctor", "--tenant", "@two", "--json")
    found = {(row.get("tenant"), row["subject"]): row["health"] for row in json.loads(said.out)}
    assert (found["acme", "token"], found["globex", "token"], code) == ("problem", "ok", 1)
    assert found[None, "settings"] == "ok", "no address of one's own is needed beside tenants"
    code, said = command(provider, monkeypatch, capsys, "doctor", "--tenant", "@two")
    assert "globex: GLOBEX_TOKEN is accepted" in " ".join(said.out.split())


def publish_keys(provider, version, keys):
    return api.process_pkg(provider.pkg(version), tenant="all", keys=keys, host=provider.host())


def test_what_is_pending_for_a_tenant_is_done_for_that_tenant_only(provider, monkeypatch, capsys):
    provider.tenants["globex"].faults.add("POST", "library/custom-apps", kind="status", code=500, nth="every")
    assert actions(publish(provider))["globex"] == "failed"
    provider.tenants["globex"].faults.clear()
    for tenant in provider.tenants.values():
        tenant.reset_requests()
    code, said = command(provider, monkeypatch, capsys, "retry", "--tenant", "all")
    assert code == 0, said.err
    assert provider.apps() == {name: ["Widget"] for name in NAMES}
    assert not provider.requests()["acme"]


def test_the_message_of_an_autopkg_run_names_what_is_pending_at_each_tenant(provider):
    slack = provider.tenants["acme"]
    provider.environ["SLACK_TOKEN"] = slack.webhook_url
    provider.tenants["globex"].faults.add("POST", "library/custom-apps", kind="status", code=500, nth="every")
    publish(provider)
    provider.tenants["globex"].faults.clear()
    host = replace(provider.host(), digests=True)
    api.process_pkg(provider.pkg(name="Gadget"), name="Gadget", tenant="all", host=host)
    announce.send_digests()

    message = slack.slack_messages()[-1]
    (line,) = (text for block in message["blocks"] if "retry" in (text := block["text"]["text"]))
    assert "Widget" in line
    assert "globex" in line


def test_a_pair_of_a_map_that_is_for_one_tenant_is_promoted_at_no_other(provider):
    rules = {"promotion": {"after_days": 0}, "tenant": "globex"}
    pair = {"prod_name": "Widget", "test_name": "Widget (Test)"}
    (provider.config / "package_map.json").write_text(json.dumps({"com.example.Widget": {**pair, **rules}}))
    provider.write(use_package_map=True)
    assert api.process_pkg(provider.pkg(), host=provider.host()).action == "succeeded"
    assert provider.apps() == {"acme": [], "globex": ["Widget", "Widget (Test)"], "initech": []}
    (held,) = api.promote(every_pair=True, tenant="globex", host=provider.host())
    assert held.action == "skipped"
    with pytest.raises(api.KandjiUploaderError, match="no entry of recipe_map or package_map"):
        api.promote(every_pair=True, tenant="acme", host=provider.host())


def test_a_call_about_one_app_takes_one_tenant(provider):
    with pytest.raises(SettingsError, match="means 2 tenants, and this is about one"):
        api.status("Widget", tenant="@two", host=provider.host())


def test_what_was_read_of_a_tenant_takes_little_while_others_have_their_turn(provider):
    publish(provider)
    view = next(view for key, view in views._views.items() if key[0] == provider.tenants["acme"].url)
    assert view._apps is None
    provider.tenants["acme"].reset_requests()
    assert [app.name for app in view.apps()] == ["Widget"]
    assert view.written(view.apps()[0].id) is not None
    assert provider.requests()["acme"] == [], "what was read is still known"


def test_an_interrupted_run_tells_which_tenants_are_done(provider):
    def stop(line):
        if line == "tenant globex":
            raise KeyboardInterrupt

    host = provider.host()
    stopping = type(host)(say=stop, warn=host.warn, environ=host.environ)
    with pytest.raises(api.InterruptedRunError) as caught:
        api.process_pkg(provider.pkg(), name="Widget", tenant="all", host=stopping)
    assert "done: acme (done)" in str(caught.value)
    assert "under way: globex" in str(caught.value)
    assert "not begun: initech" in str(caught.value)
    assert provider.apps()["initech"] == []


def test_the_process_remembers_failures_where_nobody_says_what_belongs_together(provider, monkeypatch):
    monkeypatch.setattr(several, "_OF_THE_PROCESS", Failures())
    for name, value in provider.environ.items():
        monkeypatch.setenv(name, value)
    provider.tenants["acme"].faults.add("GET", "**", kind="status", code=401, nth="every")
    for number in range(4):
        path = provider.pkg(name=f"App{number}", bundle_id=f"com.example.app{number}")
        env = {"NAME": f"App{number}", "pkg_path": str(path), "RECIPE_PATH": f"/r/{number}.recipe", "tenant": "@two"}
        with pytest.raises(standin.ProcessorError, match="acme"):
            standin.step(PROCESSOR, env)
    assert len(provider.requests()["acme"]) == 3
    assert len(provider.apps()["globex"]) == 4
    assert os.environ["ACME_TOKEN"]
