"""The API's address, and the console's."""

from __future__ import annotations

import pytest

from kandji_uploader import settings


@pytest.mark.parametrize(
    ("written", "url"),
    [
        ("acme.api.kandji.io", "https://acme.api.kandji.io"),
        ("https://acme.api.kandji.io/", "https://acme.api.kandji.io"),
        ("acme.api.eu.kandji.io", "https://acme.api.eu.kandji.io"),
        ("HTTPS://Acme.API.iru.com", "https://acme.api.iru.com"),
        ("a-b1.api.eu.iru.com", "https://a-b1.api.eu.iru.com"),
        ("https://acme.api.kandji.io:443", "https://acme.api.kandji.io"),
        ("  tenant.api.kandji.io ", "https://tenant.api.kandji.io"),
        ("http://127.0.0.1:8080/", "http://127.0.0.1:8080"),
        ("http://localhost:8080", "http://localhost:8080"),
        ("http://[::1]:8080", "http://[::1]:8080"),
        ("https://127.0.0.1", "https://127.0.0.1"),
        ("127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("localhost:8080", "http://localhost:8080"),
    ],
)
def test_addresses_that_are_accepted(house, written, url):
    assert house.settle(environ={"KANDJI_API_URL": written}).api_url == url
    house.write("config.json", {"iru": {"api_url": written}})
    assert house.settle(environ={}).api_url == url


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("TENANT.api.kandji.io", "placeholder TENANT"),
        ("https://TENANT.api.eu.iru.com/", "placeholder TENANT"),
        ("http://acme.api.kandji.io", "unencrypted; write https://acme.api.kandji.io"),
        ("acme.kandji.io", "did you mean acme.api.kandji.io?"),
        ("https://acme.eu.kandji.io/", "did you mean acme.api.eu.kandji.io?"),
        ("acme.iru.com", "did you mean acme.api.iru.com?"),
        ("acme.api.example.com", "must be TENANT.api.kandji.io"),
        ("acme.api.kandji.io.evil.com", "must be TENANT.api.kandji.io"),
        ("evil.com/acme.api.kandji.io", "must end after the host name"),
        ("evil.com#.api.kandji.io", "must end after the host name"),
        ("127.0.0.1.evil.com", "must be TENANT.api.kandji.io"),
        ("http://192.168.1.5:8080", "must be TENANT.api.kandji.io"),
        ("acme.api.us.kandji.io", "must be TENANT.api.kandji.io"),
        ("-acme.api.kandji.io", "must be TENANT.api.kandji.io"),
        ("https://acme.api.kandji.io/api/v1", "must end after the host name: acme.api.kandji.io"),
        ("acme.api.kandji.io?x=1", "must end after the host name"),
        ("acme.api.kandji.io:8443", "must not name a port"),
        ("acme.api.kandji.io:port", "must be TENANT.api.kandji.io"),
        ("ftp://acme.api.kandji.io", "with https:// or nothing in front"),
        ("https://[::1", "must be TENANT.api.kandji.io"),
        ("acme .api.kandji.io", "must be TENANT.api.kandji.io"),
        ("acme", "must be TENANT.api.kandji.io"),
    ],
)
def test_addresses_that_are_refused(house, written, said):
    text = house.problem(environ={"KANDJI_API_URL": written})
    assert text.startswith("environment: KANDJI_API_URL")
    assert said in text
    house.write("config.json", {"kandji": {"api_url": written}})
    text = house.problem(environ={})
    assert text.startswith(f"{house.folder}/config.json: kandji.api_url")
    assert said in text


@pytest.mark.parametrize(
    "written",
    [
        "0f8fad5b-d9cb-469f-a165-70867728950e",
        "https://user:hunter2secret@acme.api.kandji.io",
        "eyJhbGciOi." + "x" * 300,
    ],
)
def test_secret_in_place_of_the_address_is_not_shown(house, written):
    text = house.problem(environ={"KANDJI_API_URL": written})
    assert "without a user name, password or token" in text
    assert written[:12] not in text
    assert "hunter2" not in text


def test_webhook_in_place_of_the_address_is_not_shown(house):
    text = house.problem(environ={"KANDJI_API_URL": "https://hooks.slack.com/services/T0/B0/xyzzy"})
    assert "must end after the host name: hooks.slack.com" in text
    assert "xyzzy" not in text


def test_missing_address_says_how_to_set_it(house):
    text = house.problem(environ={})
    assert text.startswith(f"{house.folder}: kandji.api_url: is not set")
    for way in ("KANDJI_API_URL", "config file", "kandji-uploader setup"):
        assert way in text
    house.write("config.yaml", "kandji:\n  token_name: T\n")
    assert house.problem(environ={}).startswith(f"{house.folder}/config.yaml: kandji.api_url: is not set")


def test_empty_variable_counts_as_not_set(house):
    assert "is not set" in house.problem(environ={"KANDJI_API_URL": "  "})


@pytest.mark.parametrize("unfilled", ["TENANT.api.kandji.io", "", None])
def test_config_as_shipped_works_with_the_environment_variable(house, unfilled):
    house.write("config.json", {"kandji": {"api_url": unfilled, "token_name": "KANDJI_TOKEN"}})
    assert house.settle().api_url == "https://acme.api.kandji.io"
    assert len(house.problems(environ={})) == 1


def test_iru_variable_is_understood_and_kandji_wins(house):
    settled = house.settle(environ={"IRU_API_URL": "iru.api.iru.com"})
    assert (settled.api_url, settled.origins["kandji.api_url"]) == (
        "https://iru.api.iru.com",
        "environment (IRU_API_URL)",
    )
    settled = house.settle(environ={"IRU_API_URL": "iru.api.iru.com", "KANDJI_API_URL": "acme.api.kandji.io"})
    assert settled.api_url == "https://acme.api.kandji.io"
    assert settled.warnings == ("KANDJI_API_URL and IRU_API_URL are both set and differ; KANDJI_API_URL is used",)


@pytest.mark.parametrize(
    ("api", "console"),
    [
        ("https://acme.api.kandji.io", "https://acme.kandji.io"),
        ("https://acme.api.eu.kandji.io", "https://acme.eu.kandji.io"),
        ("https://acme.api.iru.com", "https://acme.iru.com"),
        ("https://acme.api.eu.iru.com", "https://acme.iru.com"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
    ],
)
def test_console_link_follows_from_the_address(api, console):
    assert settings.console_link(api, "1436cf21") == f"{console}/library/custom-apps/1436cf21"
