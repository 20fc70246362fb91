from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from kandji_uploader import settings
from kandji_uploader.munki import Imported, ImportOptions, Repo, import_repo
from tests.munki import builder

NOW = datetime(2026, 1, 15, 12, 0, tzinfo=timezone.utc)
BLUEPRINTS = {"site_default": ("Staff",), "testers": ("Early Adopters",), "lab": ("Lab",), "kiosk": ("Lab",)}


def run(folder: Path, **options: Any) -> Imported:
    """Import with a fixed present."""
    return import_repo(Repo(folder, settings.read_yaml), ImportOptions(**{"now": NOW, **options}))


@pytest.fixture(scope="session")
def whole_repo(tmp_path_factory) -> Path:
    return builder.build(tmp_path_factory.mktemp("munki") / "repo")


@pytest.fixture(scope="session")
def whole(whole_repo) -> Imported:
    return run(whole_repo, blueprints=BLUEPRINTS, zone=ZoneInfo("Europe/Berlin"), after_days=7.0)
