from __future__ import annotations

import pytest

from kandji_uploader.homebrew import Policy
from tests.support.cask_server import cask_server

QUICK = Policy(connect_timeout=2, idle_timeout=1, tries=4, first_wait=0.01, longest_wait=0.02, retry_after_cap=0.05)


@pytest.fixture
def server():
    with cask_server() as running:
        yield running


@pytest.fixture
def find(server):
    """`homebrew.find` against the server, without long waits."""
    from kandji_uploader import homebrew

    def ask(token, **options):
        return homebrew.find(token, environ=server.environ, policy=QUICK, **options)

    return ask


@pytest.fixture
def fetch(tmp_path):
    """`homebrew.fetch` into a cache below the test's folder, without long waits."""
    from kandji_uploader import homebrew

    def pull(cask, on_progress=None, folder=tmp_path / "cache"):
        return homebrew.fetch(cask, folder, on_progress, policy=QUICK)

    return pull
