"""Blueprints, statuses, activity, Slack and the clock of the embedded tenant."""

from datetime import datetime, timezone

import pytest
import requests


def assign(api, blueprint, app, node=None, verb="assign"):
    body = {"library_item_id": app["id"], **({"assignment_node_id": node} if node else {})}
    return api.post(f"blueprints/{blueprint['id']}/{verb}-library-item", json=body)


@pytest.fixture
def app(tenant):
    return tenant.seed("Fox")


def test_blueprints_are_listed_and_got(api, tenant):
    classic, fleet = tenant.add_blueprint("Büro"), tenant.add_blueprint("Fleet", "map", ["n1"])
    rows = api.get("blueprints").json()["results"]
    assert [(row["id"], row["type"]) for row in rows] == [(classic["id"], "classic"), (fleet["id"], "map")]
    assert api.get(f"blueprints/{fleet['id']}").json() == rows[1]
    assert api.get("blueprints/unknown").status_code == 404


def test_an_item_is_assigned_once(api, tenant, app):
    blueprint = tenant.add_blueprint("Classic")
    assert assign(api, blueprint, app).json() == [app["id"]]
    again = assign(api, blueprint, app)
    assert (again.status_code, again.json()) == (400, "Library Item already exists on Blueprint")
    items = api.get(f"blueprints/{blueprint['id']}/list-library-items").json()
    assert items["results"] == [{"id": app["id"], "name": "Fox"}]


def test_a_classic_blueprint_has_no_nodes(api, tenant, app):
    answer = assign(api, tenant.add_blueprint("Classic"), app, "n1")
    assert answer.json() == "assignment_node_id cannot be provided for Classic Blueprint"


def test_a_map_with_conditions_needs_one_of_its_nodes(api, tenant, app):
    fleet = tenant.add_blueprint("Fleet", "map", ["n1", "n2"])
    assert assign(api, fleet, app).json() == "Must provide assignment_node_id for Assignment Map Blueprint"
    assert assign(api, fleet, app, "n3").status_code == 400
    assert assign(api, fleet, app, "n1").status_code == 200
    assert assign(api, fleet, app, "n2").json() == [app["id"]]
    assert assign(api, fleet, app, "n1").json() == "Library Item already exists in Assignment Node"


def test_a_map_without_conditions_needs_no_node(api, tenant, app):
    assert assign(api, tenant.add_blueprint("Fleet", "map"), app).status_code == 200


def test_an_item_is_removed_from_where_it_is(api, tenant, app):
    fleet, classic = tenant.add_blueprint("Fleet", "map", ["n1"]), tenant.add_blueprint("Classic")
    assign(api, fleet, app, "n1")
    assert assign(api, fleet, app, "n1", "remove").json() == []
    assert assign(api, fleet, app, "n1", "remove").json() == "Library Item does not exist in Assignment Node"
    assert assign(api, classic, app, verb="remove").json() == "Library Item does not exist on Blueprint"


def test_assignments_of_what_is_not_there_are_refused(api, tenant, app):
    blueprint = tenant.add_blueprint("Classic")
    assert assign(api, blueprint, {"id": "unknown"}).status_code == 404
    assert assign(api, {"id": "unknown"}, app).status_code == 404
    assert list(api.post(f"blueprints/{blueprint['id']}/assign-library-item", json={}).json()) == ["library_item_id"]


def test_a_deleted_app_leaves_its_blueprints(api, tenant, app):
    blueprint = tenant.add_blueprint("Classic")
    assign(api, blueprint, app)
    tenant.remove(app["id"])
    assert api.get(f"blueprints/{blueprint['id']}/list-library-items").json()["results"] == []


def test_statuses_from_counts_fill_pages(api, tenant, app):
    tenant.configure(page_size=4)
    tenant.set_statuses(app["id"], {"PASS": 7, "ERROR": 2, "PENDING": 1})
    rows, address = [], f"library/library-items/{app['id']}/status"
    while address:
        page = api.get(address).json()
        assert page["count"] == 10
        rows += page["results"]
        address = page["next"]
    assert [row["status"] for row in rows] == ["PASS"] * 7 + ["ERROR"] * 2 + ["PENDING"]
    assert len({row["computer"]["id"] for row in rows}) == 10
    assert rows[-1]["reported_at"] is None


def test_statuses_per_mac_carry_what_was_given(api, tenant, app):
    given = {"status": "ERROR", "mac": "Ann’s Mac", "blueprint": "Büro", "last_audit_log": "no", "reported_at": "2024"}
    tenant.set_statuses(app["id"], [given])
    [row] = api.get(f"library/library-items/{app['id']}/status").json()["results"]
    assert (row["computer"]["name"], row["blueprint"]["name"]) == ("Ann’s Mac", "Büro")
    assert (row["status"], row["last_audit_log"], row["reported_at"]) == ("ERROR", "no", "2024")
    assert {"id", "log", "last_audit_run", "control_log", "control_reported_at"} <= set(row)


def test_an_app_that_no_mac_has_reports_nothing_and_an_unknown_one_is_not_found(api, app):
    assert api.get(f"library/library-items/{app['id']}/status").json()["count"] == 0
    assert api.get("library/library-items/unknown/status").status_code == 404
    assert api.get("library/library-items/unknown/activity").status_code == 404


def test_activity_is_told_newest_first(api, tenant, app):
    tenant.edit(app["id"], name="Fuchs", audit_script="#!/bin/zsh\nexit 0\n")
    assign(api, tenant.add_blueprint("Classic"), app)
    rows = api.get(f"library/library-items/{app['id']}/activity").json()["results"]
    assert [row["activity_type"] for row in rows] == [
        "library_item_assignment_changed",
        "library_item_edited",
        "library_item_created",
    ]
    assert rows[1]["details"] == ["Name: Fox → Fuchs", "Audit script:  → (18 characters)"]


def test_slack_keeps_what_it_was_sent(tenant):
    assert requests.post(tenant.webhook_url, json={"text": "Größe 🎉"}, timeout=10).text == "ok"
    assert tenant.slack_messages() == [{"text": "Größe 🎉"}]


@pytest.mark.parametrize("body", [b"no json", b"[]", b"{}"])
def test_slack_refuses_what_is_no_message(tenant, body):
    assert requests.post(tenant.webhook_url, data=body, timeout=10).status_code == 400
    assert tenant.slack_messages() == []


def test_slack_can_be_made_to_fail(tenant):
    tenant.faults.add("POST", "/slack/**", kind="status", code=404, body="no_service")
    answer = requests.post(tenant.webhook_url, json={"text": "x"}, timeout=10)
    assert (answer.status_code, answer.text) == (404, "no_service")
    assert tenant.slack_messages() == []


def test_times_follow_the_tenants_clock(api, tenant):
    tenant.clock.set(datetime(2030, 1, 1, tzinfo=timezone.utc))
    app = api.create().json()
    assert app["created_at"].startswith("2030-01-01T00:00:00")
    tenant.clock.advance(days=21)
    answer = api.patch(f"library/custom-apps/{app['id']}", data={"restart": "true"})
    assert answer.json()["updated_at"].startswith("2030-01-22T00:00:00")
    assert answer.headers["Date"] == "Tue, 22 Jan 2030 00:00:00 GMT"


def test_a_clock_that_stands_still_still_orders_changes(tenant, app):
    tenant.clock.set(datetime(2030, 1, 1, tzinfo=timezone.utc))
    times = [tenant.edit(app["id"], restart=True)["updated_at"] for _ in range(5)]
    assert times == sorted(set(times))


def test_the_clock_needs_a_time_zone(tenant):
    with pytest.raises(ValueError, match="time zone"):
        tenant.clock.set(datetime(2030, 1, 1))  # noqa: DTZ001
