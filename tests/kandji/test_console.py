"""Where the console of a tenant is: asked once, without the token, and only as long as it costs nothing."""

import json
from dataclasses import replace

import pytest

from kandji_uploader.kandji import console
from kandji_uploader.models import CustomApp
from kandji_uploader.publish.carry_out import console_link
from tests.support.recorder import an_authority, playing

APP = CustomApp("a1", "App", "k", "package", "install_once")
US, EU = "https://acme.api.kandji.io", "https://acme.api.eu.kandji.io"


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    hosts = ("acme.gateway.kandji.io", "acme.gateway.eu.kandji.io")
    return an_authority(tmp_path_factory.mktemp("tls"), *hosts)


@pytest.fixture
def service(authority, monkeypatch):
    """The service's gateway, reached through a proxy that plays it."""
    with playing(authority[1], b"{}") as proxy:
        for name in ("NO_PROXY", "no_proxy", "https_proxy", "ALL_PROXY"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.server_port}")
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority[0]))
        monkeypatch.setattr(console, "_known", {})
        yield proxy


@pytest.mark.parametrize(
    ("api", "status", "link"),
    [
        (US, "COMPLETED", "https://acme.iru.com/library/custom-apps/a1"),
        (EU, "STARTED", "https://acme.iru.com/library/custom-apps/a1"),
        (US, "NOT_STARTED", "https://acme.kandji.io/library/custom-apps/a1"),
        (EU, None, "https://acme.eu.kandji.io/library/custom-apps/a1"),
    ],
)
def test_a_link_leads_to_where_the_console_is_by_now(service, api, status, link):
    service.body = json.dumps({"auth_migration_status": status}).encode()
    assert console_link(api, APP) == link


def test_it_is_asked_once_a_process_at_the_tenants_region_and_without_a_token(service):
    service.body = b'{"auth_migration_status": "COMPLETED"}'
    for _ in range(3):
        console_link(EU, APP)
        console_link(EU, replace(APP, id="a2"))
    (connect, _), (asked, headers) = service.seen
    assert connect == "acme.gateway.eu.kandji.io:443"
    assert asked == "/main-backend/app/v1/company/auth-migration-status"
    assert "Authorization" not in headers


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"null", b'{"error": "tenantNotFound"}', b"[" * 99_999])
def test_an_odd_answer_leaves_the_link_as_it_was(service, body):
    service.body = body
    assert console_link(US, APP) == "https://acme.kandji.io/library/custom-apps/a1"


def test_no_answer_leaves_the_link_as_it_was_and_is_not_waited_for_twice(service, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    assert console_link(US, APP) == "https://acme.kandji.io/library/custom-apps/a1"
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{service.server_port}")
    console_link(US, APP)
    assert service.seen == []


@pytest.mark.parametrize("api", ["https://acme.api.iru.com", "https://acme.api.eu.iru.com", "http://127.0.0.1:8080"])
def test_what_cannot_have_moved_is_not_asked_about(service, api):
    assert console_link(api, APP).endswith("/library/custom-apps/a1")
    assert service.seen == []
