"""What the tests of publishing share: an embedded tenant, a config folder, a Widget package."""

import plistlib
import zipfile
from dataclasses import dataclass, field

import pytest
import yaml

from kandji_uploader.flows import publish as flow
from kandji_uploader.kandji.tenant import forget_all
from kandji_uploader.models import RunResult
from kandji_uploader.publish.request import Host, Request
from kandji_uploader.publish.targets import RecipeFacts
from kandji_uploader.rehearsal import RehearsalTenant
from tests.support.installers import app_pkg

NAMES = {"custom_app.prod_name": "Widget", "custom_app.test_name": "Widget (Test)"}


@dataclass
class House:
    tenant: RehearsalTenant
    folder: object
    said: list = field(default_factory=list)
    warned: list = field(default_factory=list)
    now: float = 1_700_000_000.0
    environ: dict = field(default_factory=dict)

    def pkg(self, version="1.0", **fields):
        return app_pkg(self.folder / f"Widget-{version}.pkg", version=version, **fields)

    def zip(self, version="1.0"):
        path = self.folder / f"Widget-{version}.zip"
        plist = {"CFBundleIdentifier": "com.example.Widget", "CFBundleShortVersionString": version}
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("Widget.app/Contents/Info.plist", plistlib.dumps(plist))
            archive.writestr("Widget.app/Contents/MacOS/Widget", "#!/bin/sh\n")
        return path

    def config(self, name="config", **content):
        (self.folder / "config").mkdir(exist_ok=True)
        (self.folder / "config" / f"{name}.yaml").write_text(yaml.safe_dump(content))

    def publish(self, path, keys=NAMES, *, fresh=True, given=None, **request) -> RunResult:
        """One run, as a process of its own unless `fresh` is false; only its own requests are counted."""
        if fresh:
            forget_all()
        self.tenant.reset_requests()
        host = Host(say=self.said.append, warn=self.warned.append, now=lambda: self.now, environ=self.environ)
        asked = Request(path, keys=keys, given=given or RecipeFacts(), caller="autopkg", keys_from="recipe", **request)
        return flow.run(asked, host)

    def sent(self):
        return [str(request) for request in self.tenant.requests]

    def writes(self):
        return [line for line in self.sent() if not line.startswith("GET")]


@pytest.fixture
def house(tmp_path):
    with RehearsalTenant(tmp_path / "tenant") as tenant:
        house = House(tenant, tmp_path)
        house.environ = {
            "KANDJI_API_URL": tenant.url,
            "KANDJI_TOKEN": tenant.token,
            "KANDJI_UPLOADER_DIR": str(tmp_path / "config"),
            "KANDJI_UPLOADER_STATE_DIR": str(tmp_path / "state"),
            "HOME": str(tmp_path),
        }
        yield house
    forget_all()
