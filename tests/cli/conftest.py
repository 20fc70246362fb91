"""The command line as an admin has it: a process of its own, a tenant, a config folder, and nothing else around it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from kandji_uploader.cli import main
from kandji_uploader.kandji import tenant as views
from kandji_uploader.rehearsal import RehearsalTenant
from tests.support import outputs
from tests.support.cask_server import cask_json, cask_server
from tests.support.installers import app_pkg
from tests.support.programs import without_zsh
from tests.support.terminal import Terminal

ROOT = Path(__file__).parents[2]
COMMAND = (sys.executable, "-m", "kandji_uploader")


@dataclass
class House:
    """Where the commands run.

    `environ` is all that they have around them; `here` runs one in this process, which is quicker.
    """

    folder: Path
    tenant: RehearsalTenant
    environ: dict[str, str] = field(default_factory=dict)

    @property
    def config(self):
        return self.folder / "config"

    @property
    def log(self):
        return (self.state / "kandji-uploader.log").read_text()

    @property
    def state(self):
        return self.folder / ".local" / "state" / "KandjiUploader"

    def run(self, *words, **environ):
        words = [*COMMAND, *map(str, words)]
        given = {**self.environ, **environ}
        ran = subprocess.run(
            words, env=given, capture_output=True, encoding="utf-8", stdin=subprocess.DEVNULL, check=False, timeout=60
        )
        outputs.check(words[len(COMMAND) :], ran.stdout)
        return ran

    def start(self, *words, **environ):
        return subprocess.Popen(
            [*COMMAND, *map(str, words)],
            env={**self.environ, **environ},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
        )

    def terminal(self, *words, columns=120, **environ):
        return Terminal([*COMMAND, *map(str, words)], {**self.environ, **environ}, columns=columns)

    def widget(self, version="1.0", **about):
        name = about.get("name", "Widget")
        return app_pkg(self.folder / f"{name}-{version}.pkg", version=version, **about)

    def writes(self):
        """The requests that were made but for reading."""
        return [str(request) for request in self.tenant.requests if request.method != "GET"]

    def names(self):
        return sorted(app["name"] for app in self.tenant.apps())


@pytest.fixture
def house(tmp_path):
    with RehearsalTenant(tmp_path / "tenant") as tenant:
        environ = {
            "PATH": without_zsh(),
            "HOME": str(tmp_path),
            "PYTHONPATH": f"{ROOT / 'shared'}:{ROOT}",
            "PYTHONUTF8": "1",
            "KANDJI_UPLOADER_DIR": str(tmp_path / "config"),
            "KANDJI_API_URL": tenant.url,
            "KANDJI_TOKEN": tenant.token,
        }
        yield House(tmp_path, tenant, environ)


@dataclass(frozen=True)
class Ran:
    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def here(house, monkeypatch, capsys):
    """Run a command in this process, with the house's environment."""

    def run(*words, **environ):
        for name in list(os.environ):
            if name.startswith(("KANDJI", "SLACK", "HOMEBREW", "IRU", "KPKG")):
                monkeypatch.delenv(name)
        for name, value in {**house.environ, **environ}.items():
            monkeypatch.setenv(name, value)
        views.forget_all()
        capsys.readouterr()
        try:
            code = main([str(word) for word in words])
        except SystemExit as end:  # argparse: --help, --version and wrong usage
            code = end.code
        shown = capsys.readouterr()
        outputs.check([*map(str, words)], shown.out)
        return Ran(code, shown.out, shown.err)

    return run


@pytest.fixture
def casks():
    with cask_server() as server:
        yield server


@pytest.fixture
def offer(house, casks):
    """Offer a cask that downloads a small real package; returns its JSON."""

    def add(token="widget", version="1.0", body=b"", **changes):
        body = body or house.widget(version, name=token.title(), bundle_id=f"com.example.{token}").read_bytes()
        path = f"/files/{token.title()}-{version}.pkg"
        casks.offer(path, body, **{key: changes.pop(key) for key in ("faults",) if key in changes})
        import hashlib

        cask = cask_json(
            token,
            url=casks.url + path,
            sha256=hashlib.sha256(body).hexdigest(),
            version=version,
            artifacts=[{"pkg": [f"{token.title()}.pkg"]}],
        )
        casks.casks[token] = {**cask, **changes}
        house.environ.update(casks.environ)
        return casks.casks[token]

    return add


@pytest.fixture
def only_python(tmp_path):
    """A PATH with nothing on it but what the test puts there."""
    folder = tmp_path / "bin"
    folder.mkdir()

    def put(name, text=None):
        path = folder / name
        if text is None:
            path.symlink_to(shutil.which(name))
        else:
            path.write_text(text)
            path.chmod(0o755)

    put.path = str(folder)
    return put
