"""What is installed is written down: versions, hashes, commits of actions, and what is known against them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import venv
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

import kandji_uploader
from kandji_uploader._util import dependencies
from tools import sbom

if sys.version_info >= (3, 11):
    import tomllib
else:  # pytest brings it
    import tomli as tomllib

CHECKOUT = Path(__file__).parents[2]
PROJECT = tomllib.loads((CHECKOUT / "pyproject.toml").read_text("utf-8"))
ADVISORIES = json.loads(Path(__file__).with_name("advisories.json").read_text("utf-8"))
EXTRAS = PROJECT["project"]["optional-dependencies"]
FOR_USE = [*PROJECT["project"]["dependencies"], *EXTRAS["signing"]]
ANY_USE = [*PROJECT["project"]["dependencies"], *(row for rows in EXTRAS.values() for row in rows)]


def machine(system, processor, python):
    return {
        "sys_platform": system,
        "platform_machine": processor,
        "python_version": python,
        "python_full_version": f"{python}.9",
        "platform_python_implementation": "CPython",
        "implementation_name": "cpython",
    }


AUTOPKGS = {
    "macOS arm64": machine("darwin", "arm64", "3.10"),
    "macOS x86_64": machine("darwin", "x86_64", "3.10"),
    "Linux x86_64": machine("linux", "x86_64", "3.10"),
    "Linux arm64": machine("linux", "aarch64", "3.10"),
}
IMAGE = machine("linux", "x86_64", "3.13")


def wanted(rows, where):
    """The requirements that hold on a machine, by name."""
    found = [Requirement(row) for row in rows]
    return {each.name.lower(): each for each in found if each.marker is None or each.marker.evaluate(where)}


def locked(name, where):
    """The versions of a file of requirements on a machine, by package; one each, with hashes."""
    rows = re.sub(r" *\\\n *", " ", (CHECKOUT / "requirements" / name).read_text("utf-8")).splitlines()
    versions = {}
    for row in rows:
        if not row.strip() or row.lstrip().startswith("#"):
            continue
        text, *hashes = row.split(" --hash=")
        need = Requirement(text)
        if need.marker is None or need.marker.evaluate(where):
            assert need.name not in versions, need.name
            assert hashes, f"{need.name} has no hash"
            assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", each) for each in hashes)
            (pin,) = need.specifier
            assert pin.operator == "=="
            versions[need.name] = pin.version
    return versions


def test_the_locked_versions_of_autopkgs_python_are_those_that_the_project_asks_for():
    for system, where in AUTOPKGS.items():
        versions, needed = locked("autopkg.txt", where), wanted(FOR_USE, where)
        for name in needed:
            assert versions.get(name, "0") in needed[name].specifier, f"{name} on {system}: `make requirements`"
        more, needed = locked("notify.txt", where), wanted(EXTRAS["notify"], where)
        assert more == {**more, **versions}, "the same versions with the extra `notify`: `make requirements`"
        assert all(more.get(name, "0") in need.specifier for name, need in needed.items())


def test_the_locked_versions_of_the_image_are_those_that_the_project_asks_for():
    versions = locked("image.txt", IMAGE)
    for name, need in wanted(FOR_USE, IMAGE).items():
        assert versions.get(name, "0") in need.specifier, f"{name}: `make requirements`"
    assert (CHECKOUT / "requirements" / "build.in").read_text("utf-8").split() == PROJECT["build-system"]["requires"]
    (builder,) = wanted(PROJECT["build-system"]["requires"], IMAGE).values()
    assert locked("build.txt", IMAGE)[builder.name] in builder.specifier


def test_the_image_and_the_workflow_install_nothing_whose_hash_is_not_known():
    texts = [(CHECKOUT / name).read_text("utf-8") for name in ("docker/Dockerfile", "examples/github-workflow.yml")]
    calls = [line for text in texts for line in text.splitlines() if re.search(r"\bpip (install|wheel)\b", line)]
    assert len(calls) == 7
    assert [
        line for line in calls if not re.search("--require-hashes|--no-deps .*--no-build-isolation|--no-index", line)
    ] == []


@pytest.mark.slow
def test_what_is_locked_installs_with_its_hashes_and_is_all_that_the_processor_needs(tmp_path):
    """Into an environment of this Python that has nothing; from the package index."""
    venv.create(tmp_path / "fresh", symlinks=True)
    python = tmp_path / "fresh" / "bin" / "python"
    pip = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        python,
        "install",
        "--quiet",
        "--only-binary",
        ":all:",
        "--no-compile",
    ]
    subprocess.run([*pip, "--require-hashes", "-r", CHECKOUT / "requirements" / "autopkg.txt"], check=True, timeout=110)
    lacking = f"import sys; sys.path.insert(0, {str(CHECKOUT / 'shared')!r})\n"
    lacking += "from kandji_uploader._util.dependencies import *; print(missing() + missing_for_signing())"
    assert subprocess.run([python, "-c", lacking], capture_output=True, text=True, check=True).stdout == "()\n"


def test_the_processor_asks_for_the_versions_that_the_project_asks_for():
    floors = {name: str(need.specifier) for name, need in wanted(ANY_USE, AUTOPKGS["Linux x86_64"]).items()}
    for asked in (*dependencies._NEEDED.values(), *dependencies._SIGNING.values(), *dependencies._NOTIFY.values()):
        need = Requirement(asked)
        assert not need.specifier or str(need.specifier) == floors[need.name], need.name
    named = {Requirement(row).name for row in ANY_USE}
    assert named <= ADVISORIES["affected"].keys(), "look it up, and write down what is known of it"


def known_against(name, version, where):
    """The advisories that are known of a version, without those that are accepted on that machine."""
    accepted = {
        number
        for row in ADVISORIES["accepted"]
        if row["package"] == name and Requirement(f"x; {row['where']}").marker.evaluate(where)
        for number in row["ids"]
    }
    found = {
        number for number, range_ in ADVISORIES["affected"].get(name, {}).items() if version in SpecifierSet(range_)
    }
    return found - accepted


@pytest.mark.parametrize("system", AUTOPKGS)
def test_no_lowest_version_and_no_locked_one_has_a_known_advisory(system):
    where = AUTOPKGS[system]
    lowest = {name: next(iter(need.specifier)).version for name, need in wanted(ANY_USE, where).items()}
    images = locked("image.txt", IMAGE) if where["sys_platform"] == "linux" else {}
    for versions in (lowest, locked("autopkg.txt", where), locked("notify.txt", where), images):
        assert {name: known_against(name, version, where) for name, version in versions.items()} == {
            name: set() for name in versions
        }
    assert known_against("urllib3", "2.7.0", where) == {"CVE-2026-97687", "CVE-2026-97688", "CVE-2026-97689"}


def test_what_an_accepted_advisory_is_about_is_not_used():
    sources = "\n".join(path.read_text("utf-8") for path in (CHECKOUT / "shared").rglob("*.py"))
    assert "from cryptography import x509" in sources
    used = [word for row in ADVISORIES["accepted"] for word in row["unused"] if word in sources]
    assert used == []
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", ADVISORIES["as_of"])


def test_every_action_is_pinned_to_a_commit_and_says_which_version_that_is():
    files = [*(CHECKOUT / ".github" / "workflows").glob("*.yml"), CHECKOUT / "examples" / "github-workflow.yml"]
    used = [line.strip() for file in files for line in file.read_text("utf-8").splitlines() if "uses:" in line]
    assert len(used) >= 4
    assert [
        line for line in used if not re.fullmatch(r"- uses: [\w.-]+/[\w.-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line)
    ] == []


@pytest.mark.parametrize("make", [sbom.wheel, sbom.image])
def test_the_list_of_what_is_in_it_fits_its_schema_and_names_every_package(make, tmp_path):
    (tmp_path / "x.whl").write_bytes(b"abc")
    text = sbom.text(make(tmp_path / "x.whl"))
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    content = json.loads(text)
    parts = {part["bom-ref"]: part for part in [content["metadata"]["component"], *content["components"]]}
    needs = {row["ref"]: set(row.get("dependsOn", [])) for row in content["dependencies"]}
    versions = locked("image.txt", IMAGE)
    assert {part["name"]: part["version"] for ref, part in parts.items() if ref.startswith("pypi:")} == {
        **versions,
        "kandji-uploader": kandji_uploader.__version__,
    }
    assert needs["pypi:kandji-uploader"] == {f"pypi:{name}" for name in wanted(FOR_USE, IMAGE)}
    assert needs["pypi:requests"] == {f"pypi:{name}" for name in ("certifi", "charset-normalizer", "idna", "urllib3")}
    assert all(parts[f"pypi:{name}"]["hashes"] for name in versions)
    assert parts["pypi:kandji-uploader"]["hashes"][0]["content"].startswith("ba7816bf")
    if make is sbom.image:
        assert needs["kandji-uploader-image"] == {
            "pypi:kandji-uploader",
            "docker:python",
            "deb:7zip",
            "deb:tini",
            "deb:tzdata",
            "deb:zsh",
        }


def test_every_test_that_the_threat_model_names_is_there():
    text = (CHECKOUT / "SECURITY.md").read_text("utf-8")
    named = re.findall(r"`(tests/[\w/.]+\.py)(?:::(\w+))?`", text)
    assert len(named) > 10
    for file, name in named:
        source = (CHECKOUT / file).read_text("utf-8")
        assert re.search(rf"^(def|class) {name}\b", source, re.MULTILINE) or not name, f"{file}::{name}"
