"""One tenant and one folder a run: a key is put into one place, and what came of it is looked at."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import plistlib
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keyring
import pytest
import yaml

from kandji_uploader import api, cli
from kandji_uploader.errors import InterruptedRunError
from kandji_uploader.flows import announce
from kandji_uploader.kandji.tenant import forget_all
from kandji_uploader.manifest import folder
from kandji_uploader.publish.request import Host
from kandji_uploader.rehearsal import RehearsalTenant
from tests.support import autopkglib_standin as standin
from tests.support.cask_server import CaskServer, cask_json
from tests.support.installers import app_pkg
from tests.support.keyrings import FileKeyring

CHECKOUT = Path(__file__).parents[2]
PROD, TEST = "Widget", "Widget (Test)"
NAMES = {"custom_app.prod_name": PROD, "custom_app.test_name": TEST}
CATEGORIES = ("Apps", "Utilities", "Productivity")
CASK = "widget"
PROCESSOR = standin.load(CHECKOUT / "KandjiUploader.py")


def nested(flat: Mapping[str, Any]) -> dict[str, Any]:
    """Flat dotted keys as the nested mapping that they stand for."""
    tree: dict[str, Any] = {}
    for path, value in flat.items():
        *sections, leaf = path.split(".")
        place = tree
        for section in sections:
            place = place.setdefault(section, {})
        place[leaf] = value
    return tree


def as_text(value: Any) -> str:
    """A value as `-k` or a flag can give it."""
    if isinstance(value, dict) or (isinstance(value, list) and isinstance(value[0], dict)):
        return json.dumps(value)
    if isinstance(value, list):
        return ",".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


@dataclass
class Run:
    """What came of one run: the requests, the tenant as it is now, all that was said, and its messages.

    Attributes:
        at_once: how many messages there were before the process of AutoPkg ended.
    """

    tenant: RehearsalTenant
    scene: Scene
    said: str = ""
    seconds: float = 0.0
    at_once: int = 0

    @property
    def creates(self) -> list[Any]:
        return [each for each in self.tenant.requests if str(each) == "POST library/custom-apps"]

    @property
    def created(self) -> list[str]:
        return sorted(each.fields["name"] for each in self.creates if each.status < 300)

    def sent(self, stage: str, name: str) -> Any:
        """A field of the request that creates the app of a stage."""
        wanted = {"prod": PROD, "test": TEST}[stage]
        return next((each.fields.get(name) for each in self.creates if each.fields["name"] == wanted), None)

    def category(self, stage: str) -> str | None:
        names = {each["id"]: each["name"] for each in self.tenant.categories}
        return names.get(self.sent(stage, "self_service_category_id"))

    def line(self, stage: str, variable: str) -> str | None:
        """The value of a line of the audit script that is sent for the app of a stage."""
        found = re.search(rf"^{variable}='(.*)'$", self.sent(stage, "audit_script") or "", re.MULTILINE)
        return found[1] if found else None

    def lines(self) -> list[list[str]]:
        """The apps of each line of the manifest that was built."""
        return [list(line.apps) for line in folder.read(self.scene.folder / "built")]

    @property
    def writes(self) -> list[str]:
        return [str(each) for each in self.tenant.requests if each.method != "GET"]

    @property
    def messages(self) -> int:
        return len(self.tenant.slack_messages())


@dataclass
class Scene:
    """A folder for one run, in front of the tenant that all of them share.

    Attributes:
        environ: all environment variables of the run.
        config: the content of the config file, by flat key path.
        stop_at: Ctrl-C is pressed as soon as this is said.
    """

    folder: Path
    tenant: RehearsalTenant
    casks: CaskServer
    environ: dict[str, str] = field(default_factory=dict)
    config: dict[str, Any] = field(default_factory=dict)
    stop_at: str = ""
    keyring: type[FileKeyring] = FileKeyring
    resources: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    def __post_init__(self) -> None:
        self.tenant.clear()
        self.casks.asked.clear()
        self.config_folder.mkdir(parents=True)
        self.environ = {
            "HOME": str(self.folder),
            # Nothing is on the PATH: that each script is tried under zsh is held where that is tested.
            "PATH": "/nowhere",
            "KANDJI_UPLOADER_DIR": str(self.config_folder),
            "KANDJI_API_URL": self.tenant.url,
            "KANDJI_TOKEN": self.tenant.token,
            "TEST_KEYRING_FILE": str(self.folder / "keyring.json"),
            **self.casks.environ,
        }

    @property
    def config_folder(self) -> Path:
        return self.folder / "config"

    def file(self, name: str, text: str) -> str:
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        return str(path)

    def keychain(self, **items: str) -> None:
        content = {f"{name}|KandjiUploader": value for name, value in items.items()}
        (self.folder / "keyring.json").write_text(json.dumps(content))

    def map(self, stem: str, entry: str, values: Mapping[str, Any]) -> None:
        """Write a map with one entry, and switch it on."""
        self.config[f"use_{stem}"] = True
        short = {path.removeprefix("custom_app."): value for path, value in values.items()}
        (self.config_folder / f"{stem}.yaml").write_text(yaml.safe_dump({entry: nested(short)}))

    def pkg(self, version: str = "1.0", night: int = 0) -> Path:
        return app_pkg(self.folder / f"Widget-{version}.pkg", version=version, night=night)

    def zip(self) -> Path:
        path = self.folder / "Widget-1.0.zip"
        plist = {"CFBundleIdentifier": "com.example.Widget", "CFBundleShortVersionString": "1.0"}
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("Widget.app/Contents/Info.plist", plistlib.dumps(plist))
        return path

    def offer_cask(self) -> None:
        """Offer a cask with another file for Intel Macs."""
        body = self.pkg().read_bytes()
        digest = hashlib.sha256(body).hexdigest()
        for arch in ("arm64", "x86_64"):
            self.casks.offer(f"/files/{arch}/Widget.pkg", body)
        intel = {name: {"url": f"{self.casks.url}/files/x86_64/Widget.pkg"} for name in self._intel()}
        about = {"sha256": digest, "artifacts": [{"pkg": ["Widget.pkg"]}], "variations": intel}
        self.casks.casks[CASK] = cask_json(CASK, url=f"{self.casks.url}/files/arm64/Widget.pkg", **about)

    @staticmethod
    def _intel() -> tuple[str, ...]:
        from kandji_uploader.homebrew.cask import LAST_INTEL_MACOS

        return (LAST_INTEL_MACOS,)

    # Runs

    def publish(self, version: str, keys: Mapping[str, object], path: Path | None = None) -> None:
        """What happened before the run that is looked at."""
        with self._around():
            done = api.process_pkg(path or self.pkg(version), keys=keys)
        assert done.action == "succeeded", done.error

    def processor(self, path: Path, inputs: Mapping[str, Any]) -> Run:
        """AutoPkg runs the step, with these inputs."""
        env = {"NAME": "Widget", "pkg_path": str(path), "RECIPE_PATH": "/r/Widget.pkg.recipe", "verbose": 2, **inputs}
        run = Run(self.tenant, self)
        with self._around():
            try:
                after, run.said = standin.step(PROCESSOR, env)
                run.said += str(after.get("kandji_custom_apps"))
            except standin.ProcessorError as problem:
                run.said = str(problem)
            run.at_once = run.messages
            announce.send_digests()  # as when the process of AutoPkg ends
        return run

    def api(self, path: Path | str, *, brew: bool = False, **arguments: Any) -> Run:
        """The Python API is called."""
        run, said = Run(self.tenant, self), []

        def say(text: str) -> None:
            said.append(text)
            if self.stop_at and self.stop_at in text:
                raise KeyboardInterrupt

        with self._around():
            call = api.process_brew if brew else api.process_pkg
            with contextlib.suppress(InterruptedRunError):
                result = call(path, host=Host(say=say, warn=say), **arguments)
                said += [result.error, str(result.run)]
        run.said = "\n".join(said)
        return run

    def command(self, *words: str) -> Run:
        """The command line is called."""
        run, said = Run(self.tenant, self), io.StringIO()
        with self._around(), contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            cli.main(["upload", *words])
        run.said = said.getvalue()
        return run

    @contextlib.contextmanager
    def _around(self):
        """The environment, the config file and the keychain of this scene; only the run's own requests are counted."""
        if self.config:
            (self.config_folder / "config.yaml").write_text(yaml.safe_dump(nested(self.config)))
        forget_all()
        self.tenant.reset_requests()
        former = keyring.get_keyring()
        keyring.set_keyring(self.keyring())
        with pytest.MonkeyPatch.context() as patch:
            for name in list(os.environ):
                patch.delenv(name)
            for name, value in self.environ.items():
                patch.setenv(name, value)
            try:
                yield
            finally:
                keyring.set_keyring(former)
