"""A machine that builds and one that publishes, each with folders of its own, in front of a tenant with a clock."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
import yaml

from kandji_uploader import autopkg
from kandji_uploader.flows import publish as flow
from kandji_uploader.kandji import tenant as views
from kandji_uploader.manifest import folder
from kandji_uploader.models import RunResult
from kandji_uploader.publish import manifests
from kandji_uploader.publish.request import Host
from kandji_uploader.rehearsal import RehearsalTenant
from kandji_uploader.state import DigestCache
from tests.support.installers import app_pkg

TOKEN = "s3cret-0f8b-token-that-must-not-leak"
NOW = datetime(2026, 1, 5, 6, 0, tzinfo=timezone.utc)


def fresh(place: Path) -> RehearsalTenant:
    """A tenant whose clock stands still, with what a recipe may name."""
    tenant = RehearsalTenant(place, token=TOKEN)
    tenant.clock.set(NOW)
    tenant.set_categories(("Apps", "Utilities", "Productivity"))
    tenant.add_blueprint("Macs")
    return tenant


@dataclass
class Machine:
    """A machine with a config folder and a state folder."""

    home: Path
    environ: dict[str, str]

    @classmethod
    def at(cls, home: Path, **environ: str) -> Machine:
        (home / "config").mkdir(parents=True)
        folders = {"KANDJI_UPLOADER_DIR": str(home / "config"), "KANDJI_UPLOADER_STATE_DIR": str(home / "state")}
        return cls(home, {"HOME": str(home), "PATH": "/nowhere", **folders, **environ})

    def write(self, name: str, content: object) -> Path:
        path = self.home / "config" / name
        path.write_text(content if isinstance(content, str) else yaml.safe_dump(content), encoding="utf-8")
        return path

    def host(self) -> Host:
        views.forget_all()
        self.said: list[str] = []
        return Host(say=self.said.append, warn=self.said.append, now=NOW.timestamp, environ=self.environ)

    def recipe(self, env: dict[str, Any]) -> RunResult:
        """A step of a recipe, run as a new AutoPkg does."""
        autopkg.CLAIMS.__init__()
        return autopkg.publish(env, self.host())

    def publish(self, built: Path) -> list[RunResult]:
        host = self.host()
        cache = DigestCache(self.home / "state")
        return [flow.run(request, host) for request, _ in manifests.chosen([built], None, cache)]


@pytest.fixture
def builder(tmp_path):
    """Knows no tenant and no token."""
    return Machine.at(tmp_path / "mac")


@pytest.fixture
def built(tmp_path):
    return tmp_path / "built"


@pytest.fixture
def widget(tmp_path):
    def make(version: str = "1.0", name: str = "Widget") -> Path:
        return app_pkg(tmp_path / f"{name}-{version}.pkg", name=name, bundle_id=f"com.example.{name}", version=version)

    return make


@pytest.fixture
def build(builder, built, widget):
    """Runs a recipe that builds: `build("Widget", "1.0", custom_app={...})`."""

    def run(name: str = "Widget", version: str = "1.0", **inputs: Any) -> RunResult:
        return builder.recipe(recipe(widget(version, name), NAME=name, publish_to=str(built), **inputs))

    return run


def recipe(path: Path, **inputs: Any) -> dict[str, Any]:
    """The environment that AutoPkg has at our step."""
    name = inputs.get("NAME", "Widget")
    about = {"RECIPE_PATH": f"/r/{name}.pkg.recipe", "RECIPE_CACHE_DIR": f"/c/com.example.pkg.{name}"}
    return {"pkg_path": str(path), **about, **inputs}


def lines(built: Path) -> list[dict[str, Any]]:
    """The lines as JSON."""
    return [json.loads(text) for text in (built / folder.NAME).read_text().splitlines()]


def moved(built: Path, to: Path) -> Path:
    """An artifact that came to another machine."""
    shutil.move(built, to)
    return to
