"""What is there for those who work on the project is true: the picture, the workflow, the hooks, the quick tier."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.support.schemas import load, problems

if sys.version_info >= (3, 11):
    import tomllib
else:  # pytest brings it
    import tomli as tomllib

CHECKOUT = Path(__file__).parents[2]
PACKAGE = CHECKOUT / "shared" / "kandji_uploader"
WORKFLOW = CHECKOUT / ".github" / "workflows" / "tests.yml"


def read(name: str) -> str:
    return (CHECKOUT / name).read_text(encoding="utf-8")


def test_the_picture_of_the_architecture_is_the_contract_of_the_imports():
    layers = tomllib.loads(read("pyproject.toml"))["tool"]["importlinter"]["contracts"][0]["layers"]
    picture = re.search(r"```mermaid\n(.*?)```", read("ARCHITECTURE.md"), re.DOTALL)[1]
    boxes = dict(re.findall(r'^    (L\d+)\["(.*)"\]$', picture, re.MULTILINE))
    order = re.search(r"^    (L\d+ --> .*)$", picture, re.MULTILINE)[1].split(" --> ")
    shown = [boxes[box].split(" · ") for box in order]
    assert shown == [layer.split(" | ") for layer in layers], "`make examples` draws it again"


def test_the_architecture_names_every_folder_and_every_module_at_the_door():
    text = read("ARCHITECTURE.md")
    there = [path for path in PACKAGE.iterdir() if path.is_dir() or path.suffix == ".py"]
    names = [f"{path.name}/" if path.is_dir() else path.name for path in there if path.name[:2] != "__"]
    assert [name for name in names if f"`{name}`" not in text] == []


@pytest.mark.parametrize("document", ["CONTRIBUTING.md", "ARCHITECTURE.md"])
def test_every_file_that_is_named_is_there(document):
    named = re.findall(r"`((?:[\w.-]+/)+[\w.-]*|[\w-]+\.(?:py|md|toml|yaml))`", read(document))
    roots = (CHECKOUT, PACKAGE, CHECKOUT / "shared")
    assert len(named) > 5
    assert [name for name in named if not any((root / name).exists() for root in roots)] == []


def test_every_make_target_that_is_named_exists():
    targets = set(re.findall(r"^([a-z][a-z-]*):", read("Makefile"), re.MULTILINE))
    for document in ("README.md", "CONTRIBUTING.md", "ARCHITECTURE.md", ".github/pull_request_template.md"):
        assert set(re.findall(r"`?make ([a-z-]+)`", read(document))) <= targets, document


def test_the_workflow_fits_the_public_schema():
    assert problems("vendor/github-workflows", load(WORKFLOW)) == []


def test_the_workflow_runs_what_decides_here_on_every_promised_python_and_system():
    workflow = yaml.safe_load(WORKFLOW.read_text(encoding="utf-8"))
    job = workflow["jobs"]["tests"]
    assert job["strategy"]["matrix"]["python"] == ["3.10", "3.11", "3.12", "3.13"]
    assert {system.split("-")[0] for system in job["strategy"]["matrix"]["system"]} == {"ubuntu", "macos"}
    assert any(".ci/run" in step.get("run", "") for step in job["steps"])
    assert workflow["permissions"] == {"contents": "read"}


def test_the_hooks_before_a_commit_are_tools_of_the_virtual_environment():
    tools = {
        name.split("[")[0].split(">")[0] for name in tomllib.loads(read("pyproject.toml"))["dependency-groups"]["dev"]
    }
    (local,) = yaml.safe_load(read(".pre-commit-config.yaml"))["repos"]
    called = {hook["entry"].split()[0].removeprefix(".venv/bin/") for hook in local["hooks"]} - {
        "tools/biome/run.sh",
        "tools/seal.py",
    }
    packages = {"lint-imports": "import-linter"}
    assert {packages.get(name, name) for name in called} <= tools


def test_biome_is_its_makers_own_at_one_version_with_the_digests_of_every_file():
    (wanted,) = json.loads(read("tools/biome/package.json"))["devDependencies"].items()
    locked = json.loads(read("tools/biome/package-lock.json"))["packages"]
    packages = {name.removeprefix("node_modules/"): facts for name, facts in locked.items() if name}
    assert wanted == ("@biomejs/biome", packages["@biomejs/biome"]["version"])
    assert {name.split("/")[0] for name in packages} == {"@biomejs"}
    assert {facts["version"] for facts in packages.values()} == {wanted[1]}
    assert all(facts["integrity"].startswith("sha512-") for facts in packages.values())
    assert {"@biomejs/cli-darwin-arm64", "@biomejs/cli-linux-x64"} <= set(packages)


@pytest.mark.parametrize(("required", "code"), [({}, 0), ({"NPM_REQUIRED": "1"}, 1)])
def test_without_npm_one_line_says_that_the_pages_were_not_checked(tmp_path, required, code):
    for name in ("run.sh", "package-lock.json"):
        shutil.copy(CHECKOUT / "tools" / "biome" / name, tmp_path)
    (tmp_path / "bin").mkdir()
    for name in ("sh", "dirname", "cmp"):
        (tmp_path / "bin" / name).symlink_to(shutil.which(name))
    environ = {"PATH": str(tmp_path / "bin"), **required}
    words = [str(tmp_path / "run.sh"), "lint"]
    done = subprocess.run(words, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == code
    (line,) = done.stderr.splitlines()
    assert "not checked" in line
    assert "npm" in line
    assert "Node.js" in line


def test_nothing_in_the_repository_is_a_link_to_a_place_of_one_machine():
    git = subprocess.run(["git", "ls-files", "-s"], cwd=CHECKOUT, capture_output=True, text=True, check=False)
    if git.returncode == 0:  # A release that was unpacked has no repository.
        assert [line for line in git.stdout.splitlines() if line.startswith("120000")] == []


@pytest.mark.parametrize("form", sorted((CHECKOUT / ".github" / "ISSUE_TEMPLATE").glob("*.yml")), ids=lambda p: p.stem)
def test_an_issue_form_asks_for_something_and_has_what_github_demands(form):
    content = yaml.safe_load(form.read_text(encoding="utf-8"))
    assert {"name", "description", "body"} <= set(content)
    assert all(part["type"] in ("markdown", "textarea", "input", "dropdown", "checkboxes") for part in content["body"])
    assert any(part.get("validations", {}).get("required") for part in content["body"])


def test_the_wheel_takes_what_lies_beside_the_modules():
    """The pages' styles and scripts, and the mark of a typed package: hatch takes all of a package."""
    project = tomllib.loads(read("pyproject.toml"))["tool"]["hatch"]["build"]
    assert project["targets"]["wheel"]["packages"] == ["shared/kandji_uploader"]
    assert "exclude" not in str(project)
    assert {path.suffix or path.name for path in PACKAGE.rglob("*") if path.is_file()} - {".py", ".pyc"} == {
        ".css",
        ".js",
        ".typed",
    }
