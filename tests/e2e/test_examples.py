"""The examples of machines that build and publish: right by their schemas, and run, with the real AutoPkg."""

from __future__ import annotations

import json
import plistlib
import re
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest
import yaml

from kandji_uploader import autopkg as library
from kandji_uploader.cli.failures import Exit
from kandji_uploader.manifest import folder
from kandji_uploader.publish.request import Host
from kandji_uploader.rehearsal import RehearsalTenant
from tests.support import sealed
from tests.support.autopkg_host import AutoPkg, lend_packages
from tests.support.cask_server import cask_server
from tests.support.programs import without_zsh
from tests.support.schemas import check_kubernetes, load, problems
from tests.support.workflow import Runner

EXAMPLES = Path(__file__).parents[2] / "examples"
WORKFLOWS = sorted(EXAMPLES.glob("github-*autopkg*.yml"))
TOKENS = {"ACME_TOKEN": "s3cret-of-acme", "GLOBEX_TOKEN": "s3cret-of-globex"}


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_fits_its_schema_and_every_action_is_pinned_by_commit(workflow):
    content = load(workflow)
    assert problems("vendor/github-workflows", content) == []
    uses = re.findall(r"uses: (\S+)( # v[\d.]+)?$", workflow.read_text(), re.MULTILINE)
    assert len(uses) > 3
    assert [action for action, version in uses if not re.search(r"@[0-9a-f]{40}$", action) or not version] == []
    assert content["permissions"] == {"contents": "read"}
    assert all("timeout-minutes" in job for job in content["jobs"].values())


PARENT = {
    "Identifier": "com.example.download.Widget",
    "MinimumVersion": "2.3",
    "Input": {"NAME": "Widget"},
    "Process": [
        {"Processor": "URLDownloader", "Arguments": {"url": "%URL%", "filename": "Widget-1.0.pkg"}},
        {"Processor": "EndOfCheckPhase"},
    ],
}


@pytest.fixture
def build_here(widget):
    """Builds the Widget into a folder, as a recipe does."""

    def build(built):
        env = {"pkg_path": str(widget("1.0")), "publish_to": str(built), "custom_app": {"prod_name": "Widget"}}
        environ = {"HOME": str(built.parent), "KANDJI_UPLOADER_STATE_DIR": str(built.parent / "mac")}
        library.CLAIMS.__init__()
        library.publish(env, Host(print, print, environ=environ))

    return build


@pytest.fixture
def downloads(widget):
    with cask_server() as server:
        server.offer("/Widget-1.0.pkg", widget("1.0").read_bytes())
        yield server


@pytest.fixture
def repository(tmp_path, launcher, downloads):
    """A copy of this repository with an admin's recipes: one with trust information, and one without."""
    place = tmp_path / "repository"
    place.mkdir()
    for name in ("KandjiUploader.py", "KandjiUploader.recipe.yaml", "SHA256SUMS", "shared", "audit"):
        (place / name).symlink_to(sealed.checkout() / name)
    recipes = tmp_path / "recipes.git"
    recipes.mkdir()
    (recipes / "Widget.download.recipe.yaml").write_text(yaml.safe_dump(PARENT))
    for words in (("init", "-q"), ("add", "."), ("-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "a")):
        subprocess.run(["git", *words], cwd=recipes, check=True)
    host = AutoPkg(launcher, tmp_path / "admin", lent=False)
    (host.home / "recipes").symlink_to(recipes)
    words = ("--name", "Widget", "--override-dir", place / "overrides", "--prefs", host.preferences)
    (place / "overrides").mkdir()
    host("make-override", "Widget.download", *words, check=0)
    (override,) = (place / "overrides").iterdir()
    trusted = plistlib.loads(override.read_bytes())
    trusted["Input"].update(URL=f"{downloads.url}/Widget-1.0.pkg", custom_app={"prod_name": "Widget"})
    override.write_bytes(plistlib.dumps(trusted))
    untrusted = {key: value for key, value in trusted.items() if key != "ParentRecipeTrustInfo"}
    (place / "overrides" / "NoTrust.recipe.yaml").write_text(yaml.safe_dump({**untrusted, "Identifier": "local.no"}))
    (place / "recipe_list.txt").write_text("# ours\nWidget\nNoTrust\n")
    (place / "recipe_list.json").write_text('["Widget"]')
    (place / "recipe_repos.txt").write_text(f"{recipes}\n")
    (place / "kandji").mkdir()
    return place


@pytest.fixture
def tenants(tmp_path, repository):
    """Two tenants, and the file that says where they are."""
    with ExitStack() as stack:
        found = {
            name: stack.enter_context(RehearsalTenant(tmp_path / name, token=TOKENS[f"{name.upper()}_TOKEN"]))
            for name in ("acme", "globex")
        }
        entries = {
            name: {"api_url": tenant.url, "token_name": f"{name.upper()}_TOKEN"} for name, tenant in found.items()
        }
        (repository / "kandji" / "tenants.yaml").write_text(yaml.safe_dump({"tenants": entries}))
        yield found


def test_the_workflow_builds_with_autopkg_and_publishes_to_each_tenant(tmp_path, launcher, repository, tenants):
    packages = lend_packages(tmp_path / "packages")
    run = Runner(EXAMPLES / "github-autopkg.yml", tmp_path / "runner", repository, launcher, packages, dict(TOKENS))
    plan = run.job("plan")
    assert plan.code == 0, plan.said
    builds = json.loads(plan.outputs["builds"])["include"]
    assert sorted(name for build in builds for name in build["recipe"].split()) == ["NoTrust", "Widget"]
    run.needs = {"plan": {"result": "success", "outputs": plan.outputs}}
    for index, build in enumerate(builds):
        done = run.job("build", index, **build)
        assert done.code == (70 if "NoTrust" in build["recipe"] else 0), done.said
        assert "### AutoPkg" in done.summary
    assert all(tenant.requests == [] for tenant in tenants.values())
    run.event = "pull_request"
    jobs = json.loads(plan.outputs["tenants"])["include"]
    dry = run.job("publish", **jobs[0])
    assert dry.code == 0, dry.said
    assert "would create" in dry.summary
    run.event = "schedule"
    for job in jobs:
        done = run.job("publish", **job)
        assert done.code == 0, done.said
        assert not [token for token in TOKENS.values() if token in done.said + done.summary]
    for tenant in tenants.values():
        assert [app["name"] for app in tenant.apps()] == ["Widget"]
    assert "python -m pip install" in run.stand_ins.read_text()


def test_what_the_runner_remembers_is_kept_once_it_is_published(tmp_path, launcher, repository, tenant):
    packages = lend_packages(tmp_path / "packages")
    secrets = {"KANDJI_API_URL": tenant.url, "KANDJI_TOKEN": tenant.token}
    workflow = EXAMPLES / "github-cloud-autopkg-runner.yml"
    run = Runner(workflow, tmp_path / "runner", repository, launcher, packages, secrets)
    # On Linux it ends with an error: the runner keeps a download's ETag where only a Mac's files have a place for it.
    run.job("build")
    tenant.permissions.revoke("Create Custom App")
    assert run.job("publish").code == Exit.TOKEN
    assert run.saved == {}
    tenant.permissions.grant("Create Custom App")
    done = run.job("publish")
    assert done.code == 0, done.said
    assert [app["name"] for app in tenant.apps()] == ["Widget"]
    assert list(run.saved) == ["autopkg-remembered-1"]


def test_the_cron_job_fits_kubernetes_and_publishes_what_lies_in_its_volume(tmp_path, tenant, build_here):
    job = yaml.safe_load((EXAMPLES / "kubernetes-cronjob.yaml").read_text())
    check_kubernetes(job)
    pod = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["securityContext"]["readOnlyRootFilesystem"]
    assert pod["securityContext"]["runAsUser"] == 10001, "as docker/Dockerfile has it"
    mounts = {mount["mountPath"]: tmp_path / mount["name"] for mount in container["volumeMounts"]}
    for place in mounts.values():
        place.mkdir(exist_ok=True)
    (mounts["/config"] / "config.yaml").write_text(f"kandji: {{api_url: '{tenant.url}'}}\n")
    build_here(mounts["/built"])
    program = tmp_path / "kandji-uploader"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m kandji_uploader "$@"\n')
    program.chmod(0o755)
    environ = {
        "PATH": f"{tmp_path}:{without_zsh()}",
        "PYTHONPATH": str(EXAMPLES.parent / "shared"),
        "KANDJI_UPLOADER_DIR": str(mounts["/data"]),
        "KANDJI_UPLOADER_MOUNT": str(mounts["/config"]),
        "KANDJI_TOKEN": tenant.token,
    }
    assert {name["name"] for name in container["env"]} == {"KANDJI_API_URL", "KANDJI_TOKEN"}
    words = [word.replace("/built", str(mounts["/built"])) for word in container["args"]]
    entrypoint = EXAMPLES.parent / "docker" / "entrypoint.sh"
    done = subprocess.run(["sh", entrypoint, *words], env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert [app["name"] for app in tenant.apps()] == ["Widget"]


KEYS_OF_LAUNCHD = {
    "Label": str,
    "UserName": str,
    "ProgramArguments": list,
    "EnvironmentVariables": dict,
    "StartCalendarInterval": dict,
    "ProcessType": str,
    "StandardOutPath": str,
    "StandardErrorPath": str,
}
"""Of launchd.plist(5), those that a daemon of ours has, with their types."""


def test_the_launch_daemon_is_right_and_builds(tmp_path, autopkg, tenant, widget):
    path = EXAMPLES / "com.github.kandjiuploader.build.plist"
    daemon = plistlib.loads(path.read_bytes())
    assert {key: type(value) for key, value in daemon.items()} == KEYS_OF_LAUNCHD
    assert daemon["Label"] == path.stem, "launchd wants the file to be called so"
    assert daemon["ProcessType"] in ("Background", "Standard", "Adaptive", "Interactive")
    assert set(daemon["StartCalendarInterval"]) <= {"Minute", "Hour", "Day", "Weekday", "Month"}
    assert daemon["UserName"] != "root"
    shared = tmp_path / "AutoPkg"
    shared.mkdir()
    (shared / "recipe_list.txt").write_text("Widget.pkg\n")
    program, word, *words = [word.replace("/Users/Shared/AutoPkg", str(shared)) for word in daemon["ProgramArguments"]]
    assert (program, word) == ("/usr/local/bin/autopkg", "run")
    autopkg("run", *words, "--key", f"SOURCE={widget('1.0')}", check=0)
    assert tenant.requests == []
    assert [line.apps for line in folder.read(shared / "built")] == [("Widget (AutoPkg)",)]
