"""The Custom Apps of the embedded tenant behave as the API documentation says."""

import hashlib

import pytest
import requests

from tests.rehearsal.conftest import APPS

DOCUMENTED = [
    *("id", "name", "file_key", "install_type", "install_enforcement", "audit_script", "unzip_location", "active"),
    *("restart", "preinstall_script", "postinstall_script", "file_url", "sha256", "file_size", "file_updated"),
    *("created_at", "updated_at", "show_in_self_service", "self_service_category_id", "self_service_recommended"),
]


def category_id(tenant, name="Apps"):
    return next(category["id"] for category in tenant.categories if category["name"] == name)


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "Bearer ü"}])
def test_without_the_right_token_nothing_is_answered(tenant, headers):
    encoded = {name: value.encode() for name, value in headers.items()}
    answer = requests.get(f"{tenant.url}/api/v1/{APPS}", headers=encoded, timeout=10)
    assert answer.status_code == 401
    assert "detail" in answer.json()


def test_a_created_app_has_every_documented_field(api):
    content = b"abc" * 1000
    answer = api.create(file_key=api.uploaded(content))
    app = answer.json()
    assert answer.status_code == 201
    assert sorted(app) == sorted(DOCUMENTED)
    assert app["sha256"] == hashlib.sha256(content).hexdigest()
    assert app["file_size"] == len(content)
    assert (app["active"], app["restart"], app["show_in_self_service"]) == (True, False, False)
    assert app["created_at"] == app["updated_at"]


def test_json_and_form_bodies_are_both_understood(api):
    key = api.uploaded()
    fields = {"file_key": key, "install_type": "package", "install_enforcement": "install_once"}
    by_form = api.post(APPS, data={**fields, "name": "Form", "restart": "true"}).json()
    by_json = api.post(APPS, json={**fields, "name": "JSON", "restart": True}).json()
    assert by_form["restart"] is by_json["restart"] is True


def test_other_media_types_are_refused(api):
    answer = api.post(APPS, data=b"<app/>", headers={"Content-Type": "text/xml"})
    assert answer.status_code == 415


def test_broken_json_is_refused(api):
    answer = api.post(APPS, data=b'{"name": ', headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    assert answer.json()["detail"].startswith("JSON parse error")


def test_all_missing_fields_are_named_at_once(api):
    answer = api.post(APPS, data={"restart": "no idea"})
    assert answer.status_code == 400
    assert set(answer.json()) == {"name", "file_key", "install_type", "install_enforcement", "restart"}
    assert answer.json()["name"] == ["This field is required."]


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"name": " "}, "name"),
        ({"name": "a\0b"}, "name"),
        ({"install_type": "msi"}, "install_type"),
        ({"install_enforcement": "audit_enforce"}, "install_enforcement"),
        ({"install_type": "zip"}, "unzip_location"),
        ({"install_enforcement": "continuously_enforce"}, "audit_script"),
        ({"show_in_self_service": "true"}, "self_service_category_id"),
        ({"self_service_category_id": "e6f6d5b4-0659-4b37-872c-5471115d453b"}, "self_service_category_id"),
        ({"active": "perhaps"}, "active"),
        ({"file_key": "companies/companies/x/library/custom_apps/never_00000000.pkg"}, "file_key"),
    ],
)
def test_a_wrong_field_is_named_and_nothing_is_created(api, tenant, fields, wrong):
    answer = api.create(**fields)
    assert answer.status_code == 400
    assert list(answer.json()) == [wrong]
    assert tenant.apps() == []


@pytest.mark.parametrize(
    "fields",
    [
        {"install_type": "zip", "unzip_location": "/Applications"},
        {"install_enforcement": "continuously_enforce", "audit_script": "#!/bin/zsh\nexit 0\n"},
        {"install_enforcement": "no_enforcement", "show_in_self_service": "true", "self_service_category_id": "Apps"},
    ],
)
def test_fields_that_belong_together_are_accepted_together(api, tenant, fields):
    if "self_service_category_id" in fields:
        fields["self_service_category_id"] = category_id(tenant)
    answer = api.create(**fields)
    assert answer.status_code == 201, answer.text


@pytest.mark.parametrize("name", ["O'Reilly", '"quoted"', "日本語 🎉", "100 %", "<b>&amp;</b>", "n" * 300])
def test_names_come_back_as_they_were_sent(api, tenant, name):
    assert api.create(name).json()["name"] == name
    assert tenant.app(name)["name"] == name
    assert api.get(APPS).json()["results"][0]["name"] == name


def test_the_length_of_names_can_be_limited(api, tenant):
    tenant.configure(longest_name=255)
    assert list(api.create("n" * 256).json()) == ["name"]
    assert api.create("n" * 255).status_code == 201


@pytest.mark.parametrize(("trims", "kept"), [(False, "\necho\n"), (True, "echo")])
def test_texts_can_lose_the_white_space_around_them(api, tenant, trims, kept):
    tenant.configure(trims_texts=trims)
    app = api.create(" Fox ", preinstall_script="\necho\n").json()
    assert (app["name"], app["preinstall_script"]) == ("Fox", kept)


def test_an_update_changes_only_what_it_names_and_moves_updated_at(api):
    app = api.create(postinstall_script="echo").json()
    after = api.patch(f"{APPS}/{app['id']}", data={"name": "Fox 2"}).json()
    changed = {name for name in app if app[name] != after[name]}
    assert changed == {"name", "updated_at"}
    assert after["updated_at"] > app["updated_at"]


def test_an_update_to_another_file_answers_with_its_digest(api):
    app = api.create().json()
    key = api.uploaded(b"newer", "Fox-2.0.pkg")
    after = api.patch(f"{APPS}/{app['id']}", data={"file_key": key}).json()
    assert after["sha256"] == hashlib.sha256(b"newer").hexdigest()
    assert after["file_size"] == 5


def test_an_update_is_checked_together_with_what_the_app_has(api):
    app = api.create().json()
    answer = api.patch(f"{APPS}/{app['id']}", data={"install_enforcement": "continuously_enforce"})
    assert list(answer.json()) == ["audit_script"]
    assert api.get(f"{APPS}/{app['id']}").json()["install_enforcement"] == "install_once"


def test_read_only_fields_cannot_be_written(api):
    app = api.create().json()
    after = api.patch(f"{APPS}/{app['id']}", data={"sha256": "0" * 64, "id": "x", "created_at": "1970"}).json()
    assert (after["sha256"], after["id"], after["created_at"]) == (app["sha256"], app["id"], app["created_at"])


def test_a_deleted_app_is_gone(api, tenant):
    app = api.create().json()
    assert api.send("DELETE", f"{APPS}/{app['id']}").status_code == 204
    assert tenant.apps() == []
    for method in ("GET", "PATCH", "DELETE"):
        answer = api.send(method, f"{APPS}/{app['id']}")
        assert answer.status_code == 404
        assert answer.headers["Content-Type"].startswith("text/html")
        assert "<h1>Not Found</h1>" in answer.text


@pytest.mark.parametrize("path", ["nothing", "library", f"{APPS}/", f"{APPS}/a/b", "../v1", "library/custom-app"])
def test_unknown_addresses_are_not_found(api, path):
    assert api.get(path).status_code == 404


def test_a_method_that_is_not_documented_is_not_allowed(api):
    assert api.send("PUT", APPS).status_code == 405


@pytest.mark.parametrize("params", [{}, {"limit": "10"}, {"limit": "10", "offset": "0"}])
def test_the_list_has_pages_that_link_to_each_other(api, tenant, params):
    tenant.configure(page_size=10)
    names = [tenant.seed(f"App {number}")["name"] for number in range(25)]
    seen, sizes, address = [], [], APPS
    while address:
        page = api.get(address, params=params if address == APPS else None).json()
        assert page["count"] == 25
        seen += [row["name"] for row in page["results"]]
        sizes.append(len(page["results"]))
        before, address = address, page["next"]
        if address:
            assert address.startswith(f"{tenant.url}/api/v1/{APPS}?")
            back = api.get(api.get(address).json()["previous"]).json()
            assert [row["id"] for row in back["results"]] == [row["id"] for row in page["results"]], before
    assert seen == names
    assert sizes == [10, 10, 5]


def test_a_list_that_just_fills_its_page_has_no_next(api, tenant):
    tenant.configure(page_size=3)
    for number in range(3):
        tenant.seed(f"App {number}")
    assert api.get(APPS).json()["next"] is None


@pytest.mark.parametrize("page", ["0", "2", "99", "x", "-1", "²"])
def test_a_page_that_is_not_there_is_not_found(api, tenant, page):
    tenant.seed("One")
    answer = api.get(APPS, params={"page": page})
    assert (answer.status_code, answer.json()) == (404, {"detail": "Invalid page."})


@pytest.mark.parametrize("page", ["1", ""])
def test_an_empty_list_has_one_page(api, page):
    answer = api.get(APPS, params={"page": page} if page else {})
    assert answer.json() == {"count": 0, "next": None, "previous": None, "results": []}


def test_list_and_get_leave_out_what_the_documentation_leaves_out_if_told_so(api, tenant):
    app = api.create().json()
    tenant.configure(list_sha256=False)
    for shown in (api.get(APPS).json()["results"][0], api.get(f"{APPS}/{app['id']}").json()):
        assert set(app) - set(shown) == {"sha256", "self_service_category_id", "self_service_recommended"}
    assert "sha256" in api.patch(f"{APPS}/{app['id']}", data={"restart": "true"}).json()


def test_categories_are_a_bare_list(api, tenant):
    tenant.set_categories(["Apps", "Büro"])
    assert [category["name"] for category in api.get("self-service/categories").json()] == ["Apps", "Büro"]


@pytest.mark.parametrize(
    ("permission", "method", "path"),
    [
        ("List Custom Apps", "GET", APPS),
        ("Create Custom App", "POST", APPS),
        ("Upload Custom App", "POST", f"{APPS}/upload"),
        ("Update Custom App", "PATCH", f"{APPS}/x"),
        ("List Self Service Categories", "GET", "self-service/categories"),
        ("Get Library Item Statuses", "GET", "library/library-items/x/status"),
    ],
)
def test_a_revoked_permission_is_forbidden_until_it_is_granted(api, tenant, permission, method, path):
    tenant.permissions.revoke(permission)
    assert api.send(method, path).status_code == 403
    tenant.permissions.grant(permission)
    assert api.send(method, path).status_code != 403


def test_a_permission_that_does_not_exist_cannot_be_revoked(tenant):
    with pytest.raises(ValueError, match="Create Apps"):
        tenant.permissions.revoke("Create Apps")


def test_more_requests_than_the_limit_are_told_to_wait(api, tenant):
    tenant.configure(rate_limit=2, rate_seconds=60)
    answers = [api.get(APPS) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert 0 < int(answers[2].headers["Retry-After"]) <= 60


def test_after_the_window_requests_are_answered_again(api, tenant):
    tenant.configure(rate_limit=1, rate_seconds=0.05)
    statuses = {api.get(APPS).status_code for _ in range(200)}
    assert statuses == {200, 429}


def test_prism_tells_the_inventory_in_pages(api, tenant):
    tenant.set_inventory([{"name": f"App {number}", "bundle_id": f"com.example.{number}"} for number in range(30)])
    first = api.get("prism/apps").json()
    second = api.get("prism/apps", params={"limit": "25", "offset": "25"}).json()
    assert (first["offset"], first["limit"], first["total"], len(first["data"])) == (None, 25, 30, 25)
    assert [row["name"] for row in second["data"]] == [f"App {number}" for number in range(25, 30)]
