"""A tenant, an installer and a run, for the tests of this folder: what there is before, what is planned, what came out.

One app is to be updated ("Wid (Test)") and one to be created ("Wid"), the latter in Self Service and on a Blueprint,
so that a run makes every kind of request that publishing makes.
"""

from __future__ import annotations

import hashlib
import plistlib
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kandji_uploader.errors import KandjiUploaderError
from kandji_uploader.flows.publish import run
from kandji_uploader.kandji import tenant as views
from kandji_uploader.models import RunResult
from kandji_uploader.publish.request import Host, Request
from kandji_uploader.publish.targets import RecipeFacts
from kandji_uploader.rehearsal import RehearsalTenant

PROD, TEST = "Wid", "Wid (Test)"
OTHERS = ("Alpha", "Beta")
BLUEPRINT = "Macs"
PATIENCE = {
    "network.connect_timeout": 2,
    "network.idle_timeout": 0.25,
    "network.tries": 3,
    "network.first_wait": 0.01,
    "processing_timeout": 1,
}
TARGETS = {
    "custom_app": {
        "prod_name": PROD,
        "test_name": TEST,
        "ss_category": "Productivity",
        "prod_blueprints": [BLUEPRINT],
    },
    "enforcement_type": "install_once",
}


def make_installer(path: Path, version: str, size: int = 200_000) -> Path:
    """A .zip with an app in it; its bytes follow from the version."""
    contents = "Wid.app/Contents"
    info = {"CFBundleIdentifier": "com.example.wid", "CFBundleShortVersionString": version, "CFBundleName": "Wid"}
    payload = hashlib.sha256(version.encode()).digest() * (size // 32)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, data in (("Info.plist", plistlib.dumps(info)), ("MacOS/Wid", payload)):
            entry = zipfile.ZipInfo(f"{contents}/{name}", (2026, 1, 1, 0, 0, 0))
            entry.external_attr = 0o755 << 16
            archive.writestr(entry, data)
    return path


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@dataclass
class Scene:
    """Where a run takes place; `said` holds every line of the latest one."""

    tenant: RehearsalTenant
    folder: Path
    installer: Path
    version: str = "2.0"
    said: list[str] = field(default_factory=list)
    error: str = ""

    def environ(self) -> dict[str, str]:
        return {
            "KANDJI_API_URL": self.tenant.url,
            "KANDJI_TOKEN": self.tenant.token,
            "KANDJI_UPLOADER_DIR": str(self.folder / "config"),
            "KANDJI_UPLOADER_STATE_DIR": str(self.folder / "state"),
            "HOME": str(self.folder),
        }

    def request(self, **more: Any) -> Request:
        keys: dict[str, object] = {**PATIENCE, **TARGETS, **more}
        given = RecipeFacts(version=self.version, bundle_id="com.example.wid", app_name="Wid")
        return Request(self.installer, keys=keys, caller="python", given=given)

    def run(self, *, anew: bool = True, **more: Any) -> RunResult | None:
        """Run as a process of its own would (unless it is not `anew`); None where it ended in an error."""
        if anew:
            views.forget_all()
        self.said, self.error = [], ""
        host = Host(say=self.said.append, warn=self.said.append, environ=self.environ())
        try:
            return run(self.request(**more), host)
        except KandjiUploaderError as problem:
            self.error = str(problem)
            return None

    def apps(self) -> dict[str, list[dict[str, Any]]]:
        """The tenant's apps by name."""
        found: dict[str, list[dict[str, Any]]] = {}
        for app in self.tenant.apps():
            found.setdefault(app["name"], []).append(app)
        return found

    def state_of(self, name: str, before: Mapping[str, Any]) -> str:
        """`before`, `planned` or something else; there is never more than one app of a name."""
        apps = self.apps().get(name, [])
        assert len(apps) <= 1, f"{len(apps)} apps are called {name}"
        was = before.get(name)
        if [_still(app) for app in apps] == ([_still(was)] if was else []):
            return "before"
        if not apps:
            return "lost"
        return "planned" if self.as_planned(apps[0]) else "odd"

    def as_planned(self, app: Mapping[str, Any]) -> bool:
        bits = self.tenant.content(app["file_key"]) == self.installer.read_bytes()
        wanted = {
            "sha256": digest(self.installer),
            "install_enforcement": "no_enforcement" if app["name"] == PROD else "install_once",
            "show_in_self_service": app["name"] == PROD,
            "active": True,
        }
        return bits and all(app[name] == value for name, value in wanted.items())

    def on_blueprint(self) -> list[str]:
        names = {app["id"]: app["name"] for app in self.tenant.apps()}
        (blueprint,) = self.tenant.blueprints
        return [names[item["id"]] for item in blueprint["items"]]


def _still(app: Mapping[str, Any]) -> dict[str, Any]:
    """An app without the time of its last change, which moves too when a former file is put back."""
    return {name: value for name, value in app.items() if name not in ("updated_at", "file_updated")}


def prepare(scene: Scene) -> dict[str, Any]:
    """The tenant as it is before a run; returns its apps by name."""
    tenant = scene.tenant
    tenant.clear()
    tenant.configure(page_size=2, list_sha256=True, processing_polls=0, policy_seconds=3600.0)
    for name in (*OTHERS, TEST):
        tenant.seed(name, content=f"old {name}".encode(), file_name=f"{name.partition(' ')[0]}-1.0.zip")
    if not tenant.blueprints:
        tenant.add_blueprint(BLUEPRINT)
    return {app["name"]: app for app in tenant.apps()}


@contextmanager
def opened(folder: Path) -> Iterator[Scene]:
    """A scene of one's own."""
    folder.mkdir(parents=True, exist_ok=True)
    with RehearsalTenant(folder / "tenant") as tenant:
        yield Scene(tenant, folder, make_installer(folder / "Wid-2.0.zip", "2.0"))
        views.forget_all()
