"""Every block of README and docs works: commands are run and show what is written, files are read, code is executed.

A block of a new page is run without further ado, after those before it on its page. What cannot be run here has its
reason in `NOT_HERE`.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import itertools
import json
import os
import re
import shlex
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import keyring
import pytest
import yaml

from kandji_uploader import autopkg, cli, settings
from kandji_uploader.kandji.tenant import forget_all
from kandji_uploader.publish.request import Host
from kandji_uploader.rehearsal import RehearsalTenant
from kandji_uploader.settings import schema
from kandji_uploader.settings.tenants import read_tenants
from tests.docs.test_documents import CHECKOUT, DOCUMENTS
from tests.schedule.conftest import Programs
from tests.support.cask_server import cask_json, cask_server
from tests.support.installers import app_pkg
from tests.support.keyrings import FileKeyring

HELD_ELSEWHERE = {
    "audit-script.md": "tests/audit/test_document.py",
    "munki.md": "tests/munki/test_document.py",
    "python-api.md": "tests/docs/test_python_api.py",
    "rings.md": "tests/promotion/test_document.py",
}
"""Pages whose blocks need a scene of their own: who runs them."""

PARSED_ONLY = ("rings.md",)
"""Pages that tell of weeks: their files are read. Their commands are parsed, by tests/docs/test_commands.py."""

NOT_HERE = {
    r"make (demo|test|quick|seal)\b|\.ci/run": "they start the tests, or are started by them: tests/demo, tests/seal",
    r"git clone|cd kandjiuploader": "from GitHub",
    r"uv tool (un)?install": "into the user's own folders",
    r"(sudo -H )?\S*python3? -m (pip|venv)": "from PyPI; tests/supply installs what is locked",
    r"autopkg repo-add": "from GitHub",
    r"autopkg run": "AutoPkg's recipes download; tests/e2e runs AutoPkg with recipes of its own",
    r"docker compose|docker run": "Docker; tests/schedule/test_container.py builds the image where there is a builder",
    r"dask (scheduler|worker)": "several machines; tests/tenants/test_publish.py has workers of Dask",
    r"security ": "a Mac's keychain; tests/settings/test_credentials.py reads one of its own",
    r"kandji-uploader uninstall": "it asks on a terminal; tests/cli/test_leaving.py",
    r"\.venv-kandji/": "in the environment that the line before makes",
}
"""Commands that cannot be run here, and why."""

CODE_ELSEWHERE = {
    "publish_one": "tests/tenants/test_machines_page.py",
    "tcp://HOST:8786": "tests/tenants/test_machines_page.py",
    "airflow": "",
    "prefect": "",
}
"""Python of the page on many machines: who runs it; Airflow and Prefect are not installed, so it is compiled only."""


@dataclass(frozen=True)
class Block:
    """One block of a page; `language` is "" where none is given."""

    page: str
    number: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page} {self.number}"

    @property
    def commands(self) -> list[str]:
        """The lines of a shell, those that go on in the next one joined, without comments."""
        lines = re.sub(r"\\\n\s*", "", self.text).splitlines()
        return [found for line in lines if (found := re.sub(r"(^|\s+)#\s.*$", "", line).strip())]


def blocks():
    for document in (*DOCUMENTS, CHECKOUT / "CONTRIBUTING.md", CHECKOUT / "ARCHITECTURE.md"):
        text = document.read_text(encoding="utf-8")
        for number, (language, block) in enumerate(re.findall(r"(?ms)^ *```(\w*)\n(.*?)^ *```", text), 1):
            yield Block(document.name, number, language, block)


PAGES = {page: list(found) for page, found in itertools.groupby(blocks(), lambda block: block.page)}


@pytest.fixture(scope="module")
def tenants(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tenants")
    with contextlib.ExitStack() as running:
        yield [running.enter_context(RehearsalTenant(folder / name)) for name in ("ours", "acme", "globex")]


@pytest.fixture(scope="module")
def casks(tmp_path_factory):
    folder = tmp_path_factory.mktemp("casks")
    with cask_server() as server:
        for token in ("firefox", "google-chrome", "slack"):
            body = app_pkg(folder / f"{token}.pkg", name=token.title(), version="129.0").read_bytes()
            server.offer(f"/files/{token}.pkg", body)
            about = {"sha256": hashlib.sha256(body).hexdigest(), "artifacts": [{"pkg": [f"{token}.pkg"]}]}
            server.casks[token] = cask_json(token, url=f"{server.url}/files/{token}.pkg", version="129.0", **about)
        yield server


@pytest.fixture
def place(tmp_path, page, tenants, casks, monkeypatch):
    """A machine with settings, installers and a checkout; its working directory is the checkout."""
    for tenant in tenants:
        tenant.clear()
    ours, acme, globex = tenants
    checkout, config = tmp_path / "checkout", tmp_path / "config"
    for name in ("docker", "examples"):
        shutil.copytree(CHECKOUT / name, checkout / name)
    for name in ("Firefox", "GoogleChrome", "App"):
        app_pkg(checkout / f"{name}.pkg", name=name, version="128.0")
    config.mkdir()
    (config / "config.yaml").write_text("network: {settle_time: 0.1}\n")  # no other machine is at these apps
    (config / "tenants.yaml").write_text(
        "tenants:\n"
        f"  acme: {{api_url: '{acme.url}', token_name: ACME_TOKEN, groups: [europe, us]}}\n"
        f"  globex: {{api_url: '{globex.url}', token_name: GLOBEX_TOKEN, groups: [europe]}}\n"
    )
    programs = Programs(tmp_path / "bin", tmp_path / "home")
    if page == "README.md":  # what zsh finds in each audit script, others need not find again
        (programs.folder / "zsh").symlink_to(shutil.which("zsh"))
    (tmp_path / "home").mkdir()
    environ = {
        "PATH": str(programs.folder),
        "HOME": str(tmp_path / "home"),
        "SHELL": "/bin/zsh",
        "KANDJI_API_URL": ours.url,
        "KANDJI_TOKEN": ours.token,
        "ACME_TOKEN": acme.token,
        "GLOBEX_TOKEN": globex.token,
        "KANDJI_UPLOADER_DIR": str(config),
        "KANDJI_UPLOADER_STATE_DIR": str(tmp_path / "state"),
        "TEST_KEYRING_FILE": str(tmp_path / "keyring.json"),
        **casks.environ,
    }
    for name in list(os.environ):
        monkeypatch.delenv(name)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(checkout)
    monkeypatch.setattr("sys.stdin", io.StringIO())
    former = keyring.get_keyring()
    keyring.set_keyring(FileKeyring())
    forget_all()
    yield Place(checkout, config, ours, monkeypatch)
    keyring.set_keyring(former)
    forget_all()


@dataclass
class Place:
    """Where the blocks of a page are run, one after the other.

    Attributes:
        checkout: the files of the project, with some installers.
        config: the settings folder.
        tenant: the one of the settings.
        patch: of this test.
    """

    checkout: Path
    config: Path
    tenant: RehearsalTenant
    patch: pytest.MonkeyPatch

    def run(self, command: str) -> str:
        """Run one line of a shell; returns what it printed."""
        if re.match(r"(cd|cp|mkdir|printf) ", command):
            return self._shell(command)
        words = shlex.split(re.split(r" \| (?=jq )", command)[0])
        with self.patch.context() as patch:
            while re.match(r"[A-Z_]+=", words[0]):
                name = words.pop(0).partition("=")[0]
                patch.setenv(name, {"KANDJI_API_URL": self.tenant.url, "KANDJI_TOKEN": self.tenant.token}[name])
            assert words.pop(0) == "kandji-uploader", f"say in NOT_HERE why this cannot be run: {command}"
            said = io.StringIO()
            with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
                code = cli.main(words)
        assert code == 0, f"{command}: {said.getvalue()}"
        return said.getvalue()

    def _shell(self, command: str) -> str:
        where = self.config.parent / "pwd"
        environ = {**os.environ, "PATH": "/bin:/usr/bin"}
        script = f"{command}\npwd > {shlex.quote(str(where))}"
        done = subprocess.run(["/bin/sh", "-ec", script], capture_output=True, text=True, env=environ, check=True)
        os.chdir(where.read_text().strip())
        return done.stdout


def _prepare(place, command):
    """What has to be there before a command: what an earlier run, or a Mac, has left."""
    if re.match(r"kandji-uploader retry( --forget Firefox|$)", command):
        installer = "GoogleChrome" if "--forget" in command else "App"
        place.tenant.faults.add("POST", "library/custom-apps/upload", kind="status", code=400)
        with contextlib.suppress(AssertionError):
            place.run(f"kandji-uploader -p {installer}.pkg -n Firefox --quiet")
    if command.startswith("kandji-uploader status Firefox"):
        place.run("kandji-uploader -p Firefox.pkg -n Firefox --tenant all --quiet")
    if command.startswith(("kandji-uploader publish built/", "built/")) and not Path("built").exists():
        env = {"NAME": "Firefox", "pkg_path": str(place.checkout / "Firefox.pkg"), "RECIPE_PATH": "/r/Firefox.recipe"}
        autopkg.publish({**env, "publish_to": str(place.checkout / "built")}, Host())


@pytest.mark.parametrize("page", [page for page in PAGES if page not in HELD_ELSEWHERE or page in PARSED_ONLY])
def test_the_blocks_of_a_page_work_and_show_what_is_written(page, place):
    for block in PAGES[page]:
        if page in PARSED_ONLY and block.language != "yaml":
            continue
        _RUNNERS[block.language](block, place)


def _shell_block(block, place):
    if block.text.startswith("built/"):
        _prepare(place, block.text)
        shapes = [re.escape(line) for line in block.text.splitlines()]
        found = [f"built/{path.relative_to('built')}" for path in Path("built").rglob("*") if path.is_file()]
        shapes = [re.sub("[0-9a-f]{64}/.*", "[0-9a-f]{64}/Firefox.*\\.pkg", shape) for shape in shapes]
        assert all(any(re.fullmatch(shape, name) for name in found) for shape in shapes), found
        return
    if "$ " in block.text:
        for command, shown in re.findall(r"(?ms)^\$ ([^\n]+)\n(.*?)(?=^\$ |\Z)", block.text):
            assert place.run(command).rstrip() == shown.rstrip(), command
        return
    assert block.language == "sh", f"what is {block}?"
    for command in block.commands:
        if command.startswith("export "):
            assert {word.split("=")[0] for word in command.split()[1:]} <= set(os.environ)
        elif not any(re.match(pattern, command) for pattern in NOT_HERE):
            _prepare(place, command)
            place.run(command)


def _yaml_block(block, place):
    """A recipe, tenants.yaml, config.yaml or recipe_map.yaml, by what is in it."""
    content = yaml.safe_load(block.text)
    if content is None:
        assert (place.checkout / "examples" / re.search(r"=(\S+)$", block.text)[1]).exists()
    elif "Process" in content:
        keys = {key: value for key, value in content["Input"].items() if key != "NAME"}
        settings.load(keys, given_origin="recipe", caller="autopkg")
        assert [step["Processor"] for step in content["Process"]] == ["com.github.kandjiuploader/KandjiUploader"]
    elif "tenants" in content:
        path, here = place.config / "tenants.yaml", {each.name: each.url for each in read_tenants(place.config).all}
        path.write_text(block.text)
        assert [each.name for each in read_tenants(place.config).chosen(["all"], "the page")] == [*content["tenants"]]
        for name, entry in content["tenants"].items():  # what the page does with them is done at the embedded ones
            path.write_text(path.read_text().replace(entry["api_url"], here[name]))
    elif all(any(known.split(".")[0] == key for known in schema.IN_CONFIG) for key in content):
        (place.config / "config.yaml").write_text(block.text)
        place.run("kandji-uploader config")
    else:
        if all(any(known.split(".")[0] == key for known in schema.IN_MAP) for key in content):  # a part of an entry
            names = {} if "rings" in content else {"prod_name": "Firefox", "test_name": "Firefox (Test)"}
            content = {"Firefox.pkg": {**names, **content}}
        (place.config / "recipe_map.yaml").write_text(yaml.safe_dump(content))
        (place.config / "config.yaml").write_text("use_recipe_map: true\n")
        told = place.run(f"kandji-uploader config --recipe {next(iter(content))}")
        assert f"the entry {next(iter(content))} holds" in told


def _json_block(block, place):
    """The file of the schedule, a list of faults, or a failure as commands tell it."""
    path, content = place.config / "brew_cron.json", json.loads(block.text)
    if block.page == "json.md":
        row = f"| `{content['code']}` | "
        page = (CHECKOUT / "docs" / block.page).read_text(encoding="utf-8")
        assert page.split(row)[1].splitlines()[0].endswith(f"{content['fix'].split('.')[0]}. |"), (
            "not what is told below"
        )
    elif block.page == "rehearsal.md":
        place.tenant.faults.load(_written(path.with_name("faults.json"), block.text))
        place.tenant.faults.clear()
    else:
        _written(path, block.text)
        assert "firefox" in place.run("kandji-uploader schedule run --dry")


def _written(path, text):
    path.write_text(text)
    return path


def _python_block(block, place):
    who = next((held for word, held in CODE_ELSEWHERE.items() if word in block.text), None)
    code = compile(block.text, str(block), "exec")
    if who is None:
        names = {"tenant": place.tenant, "tmp_path": place.config.parent, "cache_folder": place.config.parent / "cache"}
        exec(code, {**names, "installer": place.checkout / "Firefox.pkg"})
        place.tenant.faults.clear()


def _mermaid_block(block, _):
    assert block.page == "ARCHITECTURE.md"


_RUNNERS = {
    **dict.fromkeys(("sh", "text", "console", ""), _shell_block),
    "yaml": _yaml_block,
    "json": _json_block,
    "python": _python_block,
    "mermaid": _mermaid_block,
}


def test_who_runs_a_block_elsewhere_reads_its_page():
    for page, who in {**HELD_ELSEWHERE, **dict.fromkeys(["many-machines.md"], CODE_ELSEWHERE["publish_one"])}.items():
        if (CHECKOUT / "docs" / page).exists():
            text = (CHECKOUT / who).read_text(encoding="utf-8")
            assert page in text or page in PARSED_ONLY, who


def test_every_reason_is_for_a_command_that_is_there():
    every = [command for found in PAGES.values() for block in found for command in block.commands]
    assert [pattern for pattern in NOT_HERE if not any(re.match(pattern, command) for command in every)] == []
