"""What every test of HTTP begins with: an environment that names no proxy and no authority."""

import pytest

from tests.support.recorder import an_authority


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch):
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", *("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    return an_authority(tmp_path_factory.mktemp("tls"))
