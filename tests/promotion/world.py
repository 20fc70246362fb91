"""A tenant, a clock and Macs that walk through simulated weeks; each run is a process that may forget everything."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from kandji_uploader.audit import script as audit
from kandji_uploader.flows import publish as flow
from kandji_uploader.kandji import tenant as tenants
from kandji_uploader.models import AppFacts, InstallType, Outcome, RunResult, Signature
from kandji_uploader.publish.request import Host, Request
from kandji_uploader.publish.signers import Looked
from kandji_uploader.publish.sources import NotReadAhead
from kandji_uploader.publish.targets import RecipeFacts
from kandji_uploader.rehearsal import RehearsalTenant
from kandji_uploader.state import DigestCache

START = datetime(2026, 1, 5, 6, 0, tzinfo=timezone.utc)
PROD, TEST = "Firefox", "Firefox (Test)"
UNSIGNED = Signature("unsigned", of="package")
NAMES = {"prod_name": PROD, "test_name": TEST}


@dataclass(frozen=True)
class Installer(NotReadAhead):
    """An installer on disk that says of itself what the test says it is."""

    path: Path
    about: AppFacts
    signature: Signature = UNSIGNED

    @property
    def size(self) -> int:
        return self.path.stat().st_size

    def kind(self) -> InstallType:
        return self.about.type

    def facts(self) -> AppFacts:
        return self.about

    def facts_if_read(self) -> AppFacts:
        return self.about

    def looked(self, cache: DigestCache) -> Looked:
        return Looked.at(self.signature)

    def digest(self, cache: DigestCache) -> str:
        return hashlib.sha256(self.path.read_bytes()).hexdigest()


def by(team: str, name: str) -> Signature:
    """Who signed an installer, with Developer ID."""
    return Signature("signed", name, team, "developer_id_installer", of="package")


def firefox(folder: Path, version: str, build: str = "", name: str = "", signature: Signature = UNSIGNED) -> Installer:
    """A Firefox; with `build`, another file of the same version."""
    path = folder / (name or f"Firefox-{version}.pkg")
    path.write_bytes(f"Firefox {version} {build}".encode())
    facts = AppFacts(
        type=InstallType.PACKAGE,
        size=path.stat().st_size,
        app_name="Firefox.app",
        bundle_id="org.mozilla.firefox",
        version=version,
        version_key="CFBundleShortVersionString",
        package_id="org.mozilla.firefox.pkg",
    )
    return Installer(path, facts, signature)


@dataclass
class World:
    """The tenant, this machine and the time."""

    tenant: RehearsalTenant
    folder: Path
    forgetful: bool = False
    keys: dict[str, Any] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=lambda: dict(NAMES))
    ahead: float = 0.0
    """Seconds that this machine's clock is ahead of the service's."""
    warnings: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.tenant.clock.set(START)

    @property
    def now(self) -> datetime:
        return self.tenant.clock.now()

    @property
    def environ(self) -> dict[str, str]:
        return {
            "KANDJI_API_URL": self.tenant.url,
            "KANDJI_TOKEN": self.tenant.token,
            "KANDJI_UPLOADER_DIR": str(self.folder / "config"),
            "KANDJI_UPLOADER_STATE_DIR": str(self.folder / "state"),
        }

    @property
    def host(self) -> Host:
        """This machine, as a new process finds it."""
        tenants.forget_all()
        if self.forgetful:
            shutil.rmtree(self.folder / "state", ignore_errors=True)
        now = self.now.timestamp() + self.ahead
        return Host(say=self.said.append, warn=self.warnings.append, now=lambda: now, environ=self.environ)

    def wait(self, days: float) -> None:
        self.tenant.clock.advance(days=days)

    def run(self, installer: Installer, **keys: Any) -> RunResult:
        """What a nightly recipe run does."""
        custom_app = {**self.names, **self.keys, **keys.pop("custom_app", {})}
        request = Request(
            installer.path,
            keys={"custom_app": custom_app, "enforcement_delays": {"test": 0, "prod": 5}, **keys},
            given=RecipeFacts(name="Firefox"),
            recipe="Firefox.pkg",
        )
        return flow.run(request, self.host, installer)

    def publish(self, version: str, build: str = "", **keys: Any) -> RunResult:
        return self.run(firefox(self.folder, version, build), **keys)

    def prod(self, result: RunResult) -> Outcome:
        return result.outcomes[-1]

    def enforced(self, name: str) -> str | None:
        """The version that an app enforces; None where there is no such app."""
        found = [app for app in self.tenant.apps() if app["name"] == name]
        return audit.read(found[0]["audit_script"]).version if found else None

    def macs(self, passed: int = 0, errors: int = 0, pending: int = 0, app: str = TEST, **further: Any) -> None:
        """What the Macs of the test app, or of another, say now, about the version that it has."""
        version = self.enforced(app) or ""
        rows = [passing(version, self.now, **further)] * passed
        rows += [failing(self.now, **further)] * errors
        rows += [{"status": "PENDING"}] * pending
        self.tenant.set_statuses(self.tenant.app(app)["id"], rows)

    def writes(self) -> list[str]:
        """The requests that changed anything, since they were last counted."""
        found = [str(record) for record in self.tenant.requests if record.method != "GET"]
        self.tenant.reset_requests()
        return found


def stamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def passing(version: str, at: datetime, **further: Any) -> Mapping[str, Any]:
    log = f"\u2022 Installed version '{version}' greater than or equal to enforced version '{version}'"
    return {
        "status": "PASS",
        "reported_at": stamp(at),
        "last_audit_run": stamp(at),
        "last_audit_log": log,
        **further,
    }


def failing(at: datetime, **further: Any) -> Mapping[str, Any]:
    return {"status": "ERROR", "reported_at": stamp(at), "last_audit_run": stamp(at), "log": "failed", **further}
