"""The console's pages show what the tenant holds, and nothing that it holds can act in a browser."""

import pytest
import requests

from kandji_uploader.rehearsal.console import enforced_version


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


def test_what_apps_are_called_is_never_markup(tenant):
    evil = "<script>alert(1)</script>\"'&"
    app = tenant.seed(evil, audit_script=f"VERSION={evil}\n", preinstall_script=evil, file_name=f"{evil}.pkg")
    for path in ("/", f"/library/custom-apps/{app['id']}"):
        answer = page(tenant, path)
        assert "<script" not in answer.text
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


def test_a_page_of_another_host_name_gets_nothing(tenant):
    """A web page whose name was pointed at 127.0.0.1 must not read the console."""
    assert page(tenant, Host="evil.example:80").status_code == 403


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
