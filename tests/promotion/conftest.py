from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kandji_uploader.rehearsal import RehearsalTenant
from tests.promotion.world import World

SOAK = {"promotion": {"after_days": 5, "min_pass": 3, "max_error_percent": 5}}


@pytest.fixture(scope="package", autouse=True)
def _without_zsh() -> Iterator[None]:
    """Audit scripts are rendered here by the hundred; that each is tried under zsh is held where that is tested."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", "/nowhere")
        yield


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A world in which a release must soak for 5 days, with 3 Macs that pass and at most 5 % in ERROR."""
    with RehearsalTenant(tmp_path / "tenant") as tenant:
        yield World(tenant, tmp_path, keys=dict(SOAK))
