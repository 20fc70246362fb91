"""A tenant on loopback and a session that speaks to its API as any client would."""

from dataclasses import dataclass

import pytest
import requests

from kandji_uploader.rehearsal import RehearsalTenant
from tests.support.browser import chromium, phone

__all__ = ["chromium", "phone"]

APPS = "library/custom-apps"


@pytest.fixture
def tenant(tmp_path):
    with RehearsalTenant(tmp_path / "tenant") as tenant:
        yield tenant


@dataclass
class Api:
    tenant: RehearsalTenant
    session: requests.Session

    def send(self, method, path, **request):
        headers = {"Authorization": f"Bearer {self.tenant.token}", **request.pop("headers", {})}
        url = path if "://" in path else f"{self.tenant.url}/api/v1/{path}"
        request = {"timeout": 10, "allow_redirects": False, **request}
        return self.session.request(method, url, headers=headers, **request)

    def get(self, path, **request):
        return self.send("GET", path, **request)

    def post(self, path, **request):
        return self.send("POST", path, **request)

    def patch(self, path, **request):
        return self.send("PATCH", path, **request)

    def ticket(self, name="Fox-1.0.pkg"):
        answer = self.post(f"{APPS}/upload", json={"name": name})
        assert answer.status_code == 201, answer.text
        return answer.json()

    def put(self, ticket, content=b"installer", **changes):
        fields = {**ticket["post_data"], **changes}
        return requests.post(ticket["post_url"], data=fields, files={"file": ("x", content)}, timeout=10)

    def uploaded(self, content=b"installer", name="Fox-1.0.pkg"):
        ticket = self.ticket(name)
        answer = self.put(ticket, content)
        assert answer.status_code == 204, answer.text
        return ticket["file_key"]

    def create(self, name="Fox", **fields):
        given = {"name": name, "install_type": "package", "install_enforcement": "install_once", **fields}
        if "file_key" not in given:
            given["file_key"] = self.uploaded()
        return self.post(APPS, data=given)


@pytest.fixture
def api(tenant):
    with requests.Session() as session:
        session.trust_env = False
        yield Api(tenant, session)
