from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from kandji_uploader.kandji.tenant import forget_all
from kandji_uploader.publish.request import Host
from kandji_uploader.rehearsal import RehearsalTenant
from tests.support.installers import app_pkg

NAMES = ("acme", "globex", "initech")
PROGRAMS = os.environ["PATH"]
"""Where zsh is, for a test in which audit scripts are tried as well."""


@dataclass
class Provider:
    """A service provider with three tenants, a config folder with tenants.yaml, and what a run says."""

    folder: Path
    tenants: dict[str, RehearsalTenant]
    environ: dict[str, str] = field(default_factory=dict)
    entries: dict[str, dict[str, Any]] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.config.mkdir(parents=True)
        self.environ = {
            "HOME": str(self.folder),
            "PATH": "/nowhere",
            "KANDJI_UPLOADER_DIR": str(self.config),
            **{f"{name.upper()}_TOKEN": tenant.token for name, tenant in self.tenants.items()},
        }
        self.entries = {
            name: {"api_url": tenant.url, "token_name": f"{name.upper()}_TOKEN"}
            for name, tenant in self.tenants.items()
        }
        self.write()

    @property
    def config(self) -> Path:
        return self.folder / "config"

    def write(self, **config: Any) -> None:
        (self.config / "tenants.json").write_text(json.dumps({"tenants": self.entries, "groups": {"two": NAMES[:2]}}))
        patience = {"network": {"first_wait": 0.01, "tries": 2}}
        (self.config / "config.json").write_text(json.dumps({**patience, **config}))

    def host(self) -> Host:
        return Host(say=self.said.append, warn=self.said.append, environ=self.environ)

    def pkg(self, version: str = "1.0", **about: Any) -> Path:
        return app_pkg(self.folder / f"{about.get('name', 'Widget')}-{version}.pkg", version=version, **about)

    def apps(self) -> dict[str, list[str]]:
        return {name: sorted(app["name"] for app in tenant.apps()) for name, tenant in self.tenants.items()}

    def requests(self) -> dict[str, list[str]]:
        return {name: [str(each) for each in tenant.requests] for name, tenant in self.tenants.items()}


@pytest.fixture(scope="package")
def three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, RehearsalTenant]]:
    folder = tmp_path_factory.mktemp("three")
    with contextlib.ExitStack() as running:
        yield {name: running.enter_context(RehearsalTenant(folder / name)) for name in NAMES}


@pytest.fixture
def provider(tmp_path: Path, three: dict[str, RehearsalTenant], monkeypatch: pytest.MonkeyPatch) -> Iterator[Provider]:
    for tenant in three.values():
        tenant.clear()
    forget_all()
    found = Provider(tmp_path / "provider", three)
    for name in ("KANDJI_API_URL", "KANDJI_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", "/nowhere")  # without zsh; what audit scripts do is tried in `tests/audit`
    yield found
    forget_all()
