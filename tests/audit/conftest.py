from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from kandji_uploader.audit import script
from tests.support.mac import Mac


@pytest.fixture
def mac(tmp_path: Path) -> Mac:
    return Mac(tmp_path / "mac")


@pytest.fixture(autouse=True)
def _nothing_read_before() -> None:
    """Scripts and templates are read anew in each test: `make mutants` changes how, within one process."""
    script.read.cache_clear()
    script._of_template.cache_clear()


@pytest.fixture(autouse=True)
def umask_of_a_mac() -> Iterator[None]:
    """Who can write to a folder is what many tests are about, so it does not depend on who runs them."""
    former = os.umask(0o022)
    yield
    os.umask(former)
