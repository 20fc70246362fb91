"""The tenant's state is a folder: it can be opened again, compared and looked at."""

import contextlib
import threading
import time

import pytest
import requests

from kandji_uploader.errors import KandjiUploaderError
from kandji_uploader.rehearsal import RehearsalTenant
from tests.rehearsal.conftest import APPS, Api


def same_but_time(app):
    return {name: value for name, value in app.items() if name != "file_url"}


def test_a_tenant_that_is_opened_again_holds_the_same(tmp_path):
    with RehearsalTenant(tmp_path) as first, requests.Session() as session:
        api = Api(first, session)
        for name in ("B", "A", "C"):
            api.create(name)
        blueprint = first.add_blueprint("Classic")
        api.post(f"blueprints/{blueprint['id']}/assign-library-item", json={"library_item_id": first.app("A")["id"]})
        first.set_statuses(first.app("A")["id"], {"PASS": 3})
        first.set_categories(["One", "Two"])
        requests.post(first.webhook_url, json={"text": "x"}, timeout=10)
        ticket = api.ticket()
    with RehearsalTenant(tmp_path) as second, requests.Session() as session:
        assert second.apps() == first.apps()
        assert [app["name"] for app in second.apps()] == ["B", "A", "C"]
        assert second.uploads() == first.uploads()
        assert second.snapshot() == first.snapshot()
        assert second.slack_messages() == [{"text": "x"}]
        assert second.content(second.app("A")["file_key"]) == b"installer"
        api = Api(second, session)
        assert api.get(f"library/library-items/{second.app('A')['id']}/status").json()["count"] == 3
        ticket["post_url"] = f"{second.outside_url}/store"
        assert api.put(ticket).status_code == 204


def test_two_runs_that_did_the_same_have_equal_snapshots(tmp_path):
    snapshots = []
    for number in (1, 2):
        with RehearsalTenant(tmp_path / str(number)) as tenant:
            key = tenant.seed("Wolf", content=b"wolf")["file_key"]
            script = f"CREATION_TIMESTAMP='{number}00'\n# 2030-01-0{number}T00:00:00Z 180000000{number}.5 {key}\n"
            tenant.seed("Fox", category="Apps", audit_script=script)
            snapshots.append(tenant.snapshot())
            assert tenant.snapshot()["apps"][0]["file_name"] == "Seeded-1.0.pkg"
            tenant.edit(tenant.app("Fox")["id"], restart=True)
            assert tenant.snapshot() != snapshots[-1]
    assert snapshots[0] == snapshots[1]


@pytest.mark.parametrize(
    "change", [{"name": "Other"}, {"content": b"other"}, {"audit_script": "VERSION=2"}, {"category": "Utilities"}]
)
def test_snapshots_tell_what_differs(tmp_path, change):
    snapshots = []
    for number, fields in enumerate(({}, change)):
        tenant = RehearsalTenant(tmp_path / str(number))
        tenant.seed(**{"name": "Fox", "content": b"one", **fields})
        snapshots.append(tenant.snapshot())
    assert snapshots[0] != snapshots[1]


def test_a_seeded_app_is_like_one_made_through_the_api(api, tenant):
    made = api.create("Made").json()
    seeded = tenant.seed("Seeded")
    assert set(api.get(f"{APPS}/{seeded['id']}").json()) == set(made)
    assert seeded["updated_at"] == seeded["created_at"]


def test_a_seeded_app_has_what_it_is_given(tenant):
    app = tenant.seed("Fox", sha256="a" * 64, size=7, file_name="Fox 3.pkg", updated_at="2020-01-01T00:00:00.000000Z")
    assert (app["sha256"], app["file_size"], app["updated_at"]) == ("a" * 64, 7, "2020-01-01T00:00:00.000000Z")
    assert app["file_key"].rsplit("/", 1)[-1].startswith("Fox 3_")
    assert tenant.seed("Fox 2", file_key=app["file_key"])["sha256"] == "a" * 64


def test_a_field_that_no_app_has_is_a_mistake(tenant):
    with pytest.raises(ValueError, match="audit_skript"):
        tenant.seed("Fox", audit_skript="")
    app = tenant.seed("Fox")
    with pytest.raises(ValueError, match="nmae"):
        tenant.edit(app["id"], nmae="")


def test_a_hand_edit_moves_updated_at(tenant):
    app = tenant.seed("Fox")
    assert tenant.edit(app["id"], restart=True)["updated_at"] > app["updated_at"]
    with pytest.raises(KeyError):
        tenant.edit("unknown", restart=True)


def test_app_is_for_one_app_only(tenant):
    tenant.seed("Fox")
    tenant.seed("Fox")
    for name in ("Fox", "Wolf"):
        with pytest.raises(LookupError, match=name):
            tenant.app(name)


def test_clear_keeps_categories_and_blueprints_only(api, tenant):
    tenant.add_blueprint("Classic")
    api.create()
    tenant.faults.add("*", "**", kind="status", nth="every")
    tenant.permissions.revoke("List Custom Apps")
    tenant.clear()
    assert api.get(APPS).json()["count"] == 0
    assert (tenant.uploads(), list((tenant.folder / "files").iterdir())) == ([], [])
    assert [blueprint["name"] for blueprint in tenant.blueprints] == ["Classic"]


def test_a_folder_with_other_json_in_it_is_refused(tmp_path):
    (tmp_path / "apps").mkdir()
    (tmp_path / "apps" / "mine.json").write_text("[1]")
    with pytest.raises(KandjiUploaderError, match=r"mine\.json"):
        RehearsalTenant(tmp_path)


def test_what_a_killed_process_left_is_swept_up(tmp_path):
    RehearsalTenant(tmp_path)
    (tmp_path / "files" / ".half.draft").write_bytes(b"x")
    RehearsalTenant(tmp_path)
    assert list((tmp_path / "files").iterdir()) == []


def test_requests_are_recorded_without_the_token(api, tenant):
    api.create("Fox", restart="true")
    kinds = [(str(record), record.side, record.status) for record in tenant.requests]
    assert kinds == [
        ("POST library/custom-apps/upload", "api", 201),
        ("POST /store", "outside", 204),
        ("POST library/custom-apps", "api", 201),
    ]
    last = tenant.requests[-1]
    assert (last.fields["name"], last.fields["restart"]) == ("Fox", "true")
    assert [bool(record.authorization) for record in tenant.requests] == [True, False, True]
    assert tenant.token not in repr(tenant.requests)
    tenant.reset_requests()
    assert tenant.requests == []


def test_a_request_is_recorded_before_its_answer_is_sent(api, tenant):
    for number in range(1, 200):
        api.get(APPS)
        assert len(tenant.requests) == number


def test_many_clients_at_once_lose_nothing(tenant):
    def work(number):
        with requests.Session() as session:
            mine = Api(tenant, session)
            for turn in range(5):
                assert mine.create(f"App {number}.{turn}").status_code == 201

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({app["name"] for app in tenant.apps()}) == 40
    assert len({app["file_key"] for app in tenant.apps()}) == 40
    assert [app["name"] for app in RehearsalTenant(tenant.folder).apps()] == [app["name"] for app in tenant.apps()]


def test_only_loopback_is_served(tenant):
    for listener in tenant._listeners:
        assert listener._socket.getsockname()[0] == "127.0.0.1"


def test_nothing_is_acted_upon_after_stop(tmp_path):
    tenant = RehearsalTenant(tmp_path)
    tenant.start()
    tenant.faults.add("POST", "/slack/**", kind="slow", bytes_per_second=100_000)

    def send():
        with contextlib.suppress(requests.ConnectionError):
            requests.post(tenant.webhook_url, json={"text": "x" * 1_000_000}, timeout=30)

    sending = threading.Thread(target=send)
    sending.start()
    time.sleep(0.3)  # it is under way; the whole of it would take ten seconds
    tenant.stop()
    held = tenant.slack_messages()
    sending.join()
    assert held == tenant.slack_messages() == []


def test_stop_ends_open_connections_and_frees_the_port(tmp_path):
    tenant = RehearsalTenant(tmp_path)
    tenant.start()
    port = int(tenant.url.rsplit(":", 1)[1])
    with requests.Session() as session:
        assert session.get(tenant.url, timeout=10).status_code == 200
        tenant.stop()
        with pytest.raises(requests.ConnectionError):
            session.get(f"http://127.0.0.1:{port}/", timeout=10)
    with RehearsalTenant(tmp_path, port=port) as again:
        assert again.url.endswith(f":{port}")
