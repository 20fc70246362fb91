"""One way to authorities and proxies, whoever is asked: the API, the cask API, Slack, and the scheduled cycles."""

import json
import os
import plistlib
import subprocess
import sys

import pytest

from kandji_uploader import homebrew
from kandji_uploader._util.secret import Secret
from kandji_uploader.errors import NetworkError
from kandji_uploader.http.addresses import CA_VARIABLES, way_out
from kandji_uploader.http.tries import Policy
from kandji_uploader.kandji.client import Client
from kandji_uploader.report import slack
from kandji_uploader.schedule.agents import LaunchAgent
from tests.support.cask_server import cask_json
from tests.support.recorder import recording

QUICK = Policy(connect_timeout=2, idle_timeout=1, tries=2, first_wait=0.01)


def the_tenant(url):
    return Client(url, Secret("token"), QUICK).list_custom_apps()


def the_cask_api(url):
    return homebrew.find("app", environ={"HOMEBREW_API_DOMAIN": url}, policy=QUICK)


def slack_itself(url):
    return slack.post(f"{url}/services/x", {"text": "hello"})


BODIES = {
    the_tenant: b'{"count": 0, "next": null, "results": []}',
    the_cask_api: json.dumps(cask_json("app")).encode(),
    slack_itself: b"ok",
}


@pytest.mark.parametrize("variable", CA_VARIABLES)
@pytest.mark.parametrize("ask", BODIES)
def test_each_service_is_reached_with_any_of_the_three_variables(authority, monkeypatch, ask, variable):
    monkeypatch.setenv(variable, str(authority[0]))
    with recording(authority[1], BODIES[ask]) as server:
        ask(f"https://127.0.0.1:{server.server_port}")
        assert len(server.seen) == 1


@pytest.mark.parametrize("ask", BODIES)
def test_no_service_is_reached_without_a_known_authority(authority, ask):
    with recording(authority[1], BODIES[ask]) as server:
        with pytest.raises(NetworkError, match=r"certificate was not accepted .*REQUESTS_CA_BUNDLE"):
            ask(f"https://127.0.0.1:{server.server_port}")
        assert server.seen == []


@pytest.mark.parametrize("ask", BODIES)
def test_a_bundle_that_is_none_is_named_whoever_is_asked(authority, monkeypatch, tmp_path, ask):
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
    with recording(authority[1], BODIES[ask]) as server, pytest.raises(NetworkError, match=r"SSL_CERT_FILE names "):
        ask(f"https://127.0.0.1:{server.server_port}")


@pytest.mark.parametrize("ask", BODIES)
def test_a_proxy_is_not_asked_about_this_machine(monkeypatch, ask):
    with recording() as proxy, recording(body=BODIES[ask]) as server:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.server_port}")
        ask(f"http://127.0.0.1:{server.server_port}")
        assert (len(proxy.seen), len(server.seen)) == (0, 1)


def test_the_scheduled_cycles_keep_the_way_out_but_no_password(tmp_path, monkeypatch):
    ways = {variable: f"/{variable}.pem" for variable in CA_VARIABLES} | {"https_proxy": "http://proxy:3128"}
    secret = {"HTTP_PROXY": "http://user:secret@proxy:3128", "KANDJI_TOKEN": "secret"}
    launchctl = tmp_path / "bin" / "launchctl"
    launchctl.parent.mkdir()
    launchctl.write_text("#!/bin/sh\nexit 0\n")
    launchctl.chmod(0o755)
    path = f"{launchctl.parent}:{os.environ['PATH']}"
    agent = LaunchAgent(tmp_path, tmp_path / "config", {"PATH": path, **ways, **secret}, uid=501)
    agent.install(6)
    kept = plistlib.loads(agent.path.read_bytes())["EnvironmentVariables"]
    assert ways.items() <= kept.items()
    assert "secret" not in agent.path.read_text()
    assert way_out({**ways, **secret}) == ways


def test_http_costs_nothing_until_somebody_is_asked():
    code = (
        "import sys; import kandji_uploader.kandji.client, kandji_uploader.report.slack, kandji_uploader.homebrew.web;"
        "print([name for name in ('requests', 'urllib3', 'http.client', 'ssl') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
