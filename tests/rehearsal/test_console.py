"""The console's pages show what the tenant holds, and nothing that it holds can act in a browser."""

import time
from datetime import datetime, timezone

import pytest
import requests

from kandji_uploader.rehearsal.rules import enforced_version
from tests.rehearsal.conftest import APPS
from tests.support.browser import find, width_scrolled


def page(tenant, path="/", **headers):
    return requests.get(tenant.url + path, headers=headers, timeout=10)


def test_the_first_page_lists_every_app(tenant):
    app = tenant.seed(
        "Fox",
        category="Apps",
        install_enforcement="continuously_enforce",
        audit_script='#!/bin/zsh\nAPP_VERSION="12.3"\n',
        file_name="Fox-12.3.pkg",
    )
    text = page(tenant).text
    shown = ("Fox", "continuously_enforce, Self Service: Apps", "12.3", app["sha256"][:12], app["updated_at"][:10])
    for word in (*shown, app["file_key"].rsplit("/", 1)[-1], f"/library/custom-apps/{app['id']}"):
        assert word in text


def test_no_token_is_asked_for_and_none_is_shown(tenant):
    answer = page(tenant)
    assert answer.status_code == 200
    assert tenant.token not in answer.text


def test_an_empty_tenant_says_so(tenant):
    assert "No Custom Apps yet." in page(tenant).text


def test_one_app_has_a_page(tenant):
    app = tenant.seed("Fox", audit_script="#!/bin/zsh\nexit 0\n")
    text = page(tenant, f"/library/custom-apps/{app['id']}").text
    assert "<pre>#!/bin/zsh\nexit 0\n</pre>" in text
    assert page(tenant, "/library/custom-apps/unknown").status_code == 404
    assert page(tenant, "/elsewhere").status_code == 404


EVIL = "<img src=x onerror=alert(1)><script>document.title='owned'</script>\"'&"


def test_what_apps_are_called_is_never_markup(tenant, chromium):
    app = tenant.seed(EVIL, audit_script=f"VERSION={EVIL}\n", preinstall_script=EVIL, file_name=f"{EVIL}.pkg")
    tenant.set_statuses(app["id"], [{"status": EVIL, "mac": EVIL, "blueprint": EVIL, "last_audit_log": EVIL}])
    requests.get(f"{tenant.url}/api/v1/library/{EVIL}", timeout=10)
    for path in ("/", f"/library/custom-apps/{app['id']}"):
        chromium.get(tenant.url + path)
        if path == "/":
            wait_until(lambda: find(chromium, "#live")[0].text == "live")
        assert EVIL in find(chromium, "main" if path == "/" else "h1")[0].text
        assert find(chromium, "img, [onerror]") == []
        assert "owned" not in (chromium.title if path == "/" else "")


def test_no_page_runs_or_loads_anything_but_its_own(tenant):
    app = tenant.seed("Fox")
    for path in ("/", f"/library/custom-apps/{app['id']}"):
        answer = page(tenant, path)
        assert "default-src 'none'; style-src 'sha256-" in answer.text
        assert answer.headers["Content-Security-Policy"] == "frame-ancestors 'none'"


def test_a_page_of_another_host_name_gets_nothing(tenant):
    """A web page whose name was pointed at 127.0.0.1 must not read the console."""
    assert page(tenant, Host="evil.example:80").status_code == 403
    assert page(tenant, "/now", Host="evil.example:80").status_code == 403


def test_asking_for_news_is_no_request_of_the_rehearsal(tenant):
    tenant.faults.add("*", "**", kind="status", code=500)
    assert page(tenant, "/now").status_code == 200
    assert tenant.requests == []


def test_each_request_appears_as_it_comes(tenant, api, chromium):
    chromium.get(tenant.url)
    wait_until(lambda: find(chromium, "#live")[0].text == "live")
    tenant.faults.add("PATCH", f"{APPS}/*", kind="status", code=502)
    app = api.create("Fox").json()
    api.patch(f"{APPS}/{app['id']}", data={"restart": "true"})
    rows = wait_until(lambda: (found := column(chromium, 1))[:1] == ["Update Custom App"] and found)
    assert rows == ["Update Custom App", "Create Custom App", "Upload to the store", "Upload Custom App"]
    assert column(chromium, 2)[0] == f"PATCH {APPS}/(Fox)"
    assert column(chromium, 3)[:2] == ["502 fault: status", "201"]
    assert find(chromium, "#apps h3")[0].text == "Fox"


def test_a_release_goes_from_the_upload_to_each_app(tenant, api, chromium):
    tenant.clock.set(datetime(2030, 1, 1, 9, 0, tzinfo=timezone.utc))
    first = api.uploaded(name="Fox-1.0.pkg")
    test = api.create("Fox (Test)", file_key=first).json()
    tenant.clock.advance(hours=1)
    prod = api.create("Fox", file_key=first).json()
    tenant.clock.advance(hours=1)
    second = api.uploaded(name="Fox-1.1.pkg")
    api.patch(f"{APPS}/{test['id']}", data={"file_key": second})
    tenant.set_statuses(prod["id"], {"PASS": 7, "ERROR": 2})
    chromium.get(tenant.url)
    new, old = ([step.text for step in card.find_elements("css selector", "li")] for card in find(chromium, ".way"))
    assert [each.text for each in find(chromium, "#releases h3")] == ["Fox-1.1.pkg", "Fox-1.0.pkg"]
    assert new == ["uploaded 11:00:00", "Fox (Test) since 11:00:00"]
    assert old == [
        "uploaded 09:00:00",
        "Fox (Test) from 09:00:00 to 11:00:00",
        "Fox since 10:00:00: 7 of 9 Macs PASS",
    ]
    assert find(chromium, "#apps svg.bar")[0].get_attribute("aria-label") == "7 PASS, 2 ERROR"


def test_made_up_macs_install_one_after_the_other(tenant, api):
    tenant.configure(macs=3)
    tenant.clock.set(datetime(2030, 1, 1, tzinfo=timezone.utc))
    app = api.create("Fox", audit_script="MINIMUM_ENFORCED_VERSION='4.5'\n").json()
    statuses = f"library/library-items/{app['id']}/status"
    assert [row["status"] for row in api.get(statuses).json()["results"]] == ["PENDING"] * 3
    tenant.clock.advance(seconds=5)
    rows = api.get(statuses).json()["results"]
    assert [row["status"] for row in rows] == ["PASS", "PASS", "PENDING"]
    assert rows[1]["reported_at"] == "2030-01-01T00:00:04.000001Z"
    assert "Installed version '4.5' greater than" in rows[1]["last_audit_log"]
    api.patch(f"{APPS}/{app['id']}", data={"file_key": api.uploaded()})
    assert [row["status"] for row in api.get(statuses).json()["results"]] == ["PENDING"] * 3
    assert "<bdi>PENDING</bdi>" in page(tenant, f"/library/custom-apps/{app['id']}").text


def test_a_phone_shows_it_without_scrolling_sideways(tenant, phone):
    tenant.seed("Fox" * 50, file_name=f"{'Fox' * 50}.pkg")
    requests.get(f"{tenant.url}/api/v1/library/custom-apps", timeout=10)
    phone.get(tenant.url)
    assert width_scrolled(phone) == 0
    edges = phone.execute_script(
        "return [...document.querySelectorAll('#requests td')].map(c => c.getBoundingClientRect().right)"
    )
    assert len(edges) == 5
    assert max(edges) <= 390


def test_the_page_says_that_the_tenant_has_stopped(tenant, chromium):
    chromium.get(tenant.url)
    wait_until(lambda: find(chromium, "#live")[0].text == "live")
    tenant.stop()
    wait_until(lambda: find(chromium, "#live")[0].text == "the tenant has stopped")


def column(driver, number):
    return driver.execute_script(
        "return [...document.querySelectorAll('#requests tr[data-number]')]"
        ".map(r => r.cells[arguments[0]].textContent)",
        number,
    )


def wait_until(found):
    """What `found` returns as soon as it is anything."""
    until = time.monotonic() + 10
    while not (result := found()):
        assert time.monotonic() < until, "it did not come"
        time.sleep(0.05)
    return result


@pytest.mark.parametrize(
    ("script", "version"),
    [
        ("VERSION=1.2", "1.2"),
        ("#!/bin/zsh\nreadonly ENFORCED_VERSION='1.2 beta'\n", "1.2 beta"),
        ('typeset -r APP_VERSION="3"\n', "3"),
        ("# VERSION=1\nexit 0", ""),
        ("VERSION_KEY=CFBundleVersion\nMINIMUM_ENFORCED_VERSION='4.5'\n", "4.5"),
        ("", ""),
    ],
)
def test_the_version_is_read_from_the_audit_script(script, version):
    assert enforced_version(script) == version
