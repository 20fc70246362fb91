"""A workflow of GitHub Actions on this machine: its shell steps run as they are written, its actions are played.

What an action does is what its page says: `checkout` puts the repository there, artifacts go from job to job. Only pip,
apt-get and `sudo ln` are stand-ins, since no test downloads or installs anything.
"""

from __future__ import annotations

import fnmatch
import json
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.support import sealed
from tests.support.programs import without_zsh

ROOT = Path(__file__).parents[2]
_EXPRESSION = re.compile(r"\$\{\{(.*?)\}\}", re.DOTALL)
_RECORDED = '#!/bin/sh\necho "$(basename "$0") $*" >> "$STAND_INS"\n'


class Names(dict):
    """A context of expressions: what is not there is the empty text."""

    def __getattr__(self, name: str) -> Any:
        return self[name]

    def __missing__(self, name: str) -> str:
        return ""


def _names(value: Any) -> Any:
    return Names({key: _names(inner) for key, inner in value.items()}) if isinstance(value, dict) else value


@dataclass
class Job:
    """What came of one job."""

    code: int
    outputs: dict[str, str]
    summary: str
    said: str


@dataclass
class Runner:
    """Runs the jobs of one workflow.

    Attributes:
        workflow: its file.
        folder: for all that the runners and the store of artifacts hold.
        repository: what `checkout` puts into the workspace.
        autopkg: the AutoPkg that is meant where the workflow checks out its repository.
        packages: for PYTHONPATH: what the workflow's pip line would have installed for it.
        secrets: by name.
        event: its name, such as `push` or `pull_request`.
        needs: what the jobs before have left.
        saved: the caches that were saved, by key.
    """

    workflow: Path
    folder: Path
    repository: Path
    autopkg: str = ""
    packages: Path | None = None
    secrets: dict[str, str] = field(default_factory=dict)
    event: str = "schedule"
    needs: dict[str, Any] = field(default_factory=dict)
    saved: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.content = yaml.safe_load(self.workflow.read_text())
        self.artifacts = self.folder / "artifacts"
        self.stand_ins = self.folder / "stand-ins.txt"
        self.bin = self.folder / "bin"
        self.bin.mkdir(parents=True)
        pip = f'[ "$1 $2" = "-m pip" ] || exec {sys.executable} "$@"\n{_RECORDED.split(chr(10), 1)[1]}'
        library = f"PYTHONPATH='{ROOT / 'shared'}'"
        self._program("python", f"#!/bin/sh\n{pip}")
        self._program("kandji-uploader", f'#!/bin/sh\n{library} exec {sys.executable} -m kandji_uploader "$@"\n')
        self._program("cloud-autopkg-runner", f'#!/bin/sh\nexec {sys.executable} -m cloud_autopkg_runner "$@"\n')
        self._program("sudo", f'#!/bin/sh\n[ "$1" = ln ] || exec "$@"\n{_RECORDED.split(chr(10), 1)[1]}')
        self._program("apt-get", _RECORDED)

    def _program(self, name: str, text: str) -> None:
        (self.bin / name).write_text(text)
        (self.bin / name).chmod(0o755)

    def job(self, name: str, index: int = 0, **matrix: str) -> Job | None:
        """Run a job; None where its `if` says that it does not run."""
        job = self.content["jobs"][name]
        place = self.folder / f"{name}-{len(list(self.folder.iterdir()))}"
        workspace, temporary = place / "workspace", place / "temp"
        for each in (workspace, temporary, place / "home"):
            each.mkdir(parents=True)
        names = Names(
            matrix=_names(matrix),
            secrets=_names(self.secrets),
            needs=_names(self.needs),
            steps=Names(),
            strategy=Names(job_index=index),
            github=_names(
                {"event_name": self.event, "repository": "acme/kandji", "run_id": "1", "workspace": str(workspace)}
            ),
            cancelled=lambda: False,
            fromJSON=json.loads,
        )
        names.github["event"] = _names({"pull_request": {"head": {"repo": {"full_name": "acme/kandji"}}}})
        if not _value(job.get("if", True), names):
            return None
        environ = {
            "HOME": str(place / "home"),
            "PATH": f"{self.bin}:{without_zsh()}",
            "PYTHONPATH": str(self.packages or ""),
            "XDG_CACHE_HOME": str(sealed.caches()),
            "STAND_INS": str(self.stand_ins),
            "RUNNER_TEMP": str(temporary),
            "GITHUB_WORKSPACE": str(workspace),
            **{name: str(place / name) for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY", "GITHUB_PATH")},
        }
        done = Job(0, {}, "", "")
        for step in job["steps"]:
            failed = bool(done.code)
            if _value(step.get("if", not failed), names):
                code = self._step(step, names, environ, job, done)
                done.code = done.code or (0 if _value(step.get("continue-on-error", False), names) else code)
        summary = place / "GITHUB_STEP_SUMMARY"
        done.summary = summary.read_text() if summary.exists() else ""
        done.outputs = {key: _value(text, names) for key, text in job.get("outputs", {}).items()}
        return done

    def _step(self, step: dict[str, Any], names: Names, environ: dict[str, str], job: dict[str, Any], done: Job) -> int:
        if "uses" in step:
            with_ = {key: _value(value, names) for key, value in step.get("with", {}).items()}
            self._action(step["uses"].split("@")[0], with_, Path(environ["GITHUB_WORKSPACE"]))
            return 0
        given = {}
        for scope in (self.content, job, step):
            given.update({key: str(_value(value, names)) for key, value in scope.get("env", {}).items()})
        assert "${{" not in step["run"], "what is put into a script could be a script"
        path = Path(environ["GITHUB_PATH"])
        added = path.read_text().split() if path.exists() else []
        ran = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
            cwd=environ["GITHUB_WORKSPACE"],
            env={**environ, **given, "PATH": ":".join([*added, environ["PATH"]])},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=90,
        )
        done.said += f"{ran.stdout}{ran.stderr}"
        output = Path(environ["GITHUB_OUTPUT"])
        lines = output.read_text().splitlines() if output.exists() else []
        if "id" in step:
            names.steps[step["id"]] = _names({"outputs": dict(line.split("=", 1) for line in lines)})
        return ran.returncode

    def _action(self, action: str, given: dict[str, Any], workspace: Path) -> None:
        if action == "actions/checkout" and given.get("repository") == "autopkg/autopkg":
            program = workspace / given["path"] / "Code" / "autopkg"
            program.parent.mkdir(parents=True)
            real = shutil.which(self.autopkg)
            program.write_text(f"import os, sys\nos.execv({real!r}, [{real!r}, *sys.argv[1:]])\n")
            (workspace / given["path"] / "requirements.txt").write_text("certifi\n--no-binary :all:\n")
        elif action == "actions/checkout":
            shutil.copytree(self.repository, workspace, symlinks=True, dirs_exist_ok=True)
        elif action == "actions/upload-artifact" and (workspace / given["path"]).exists():
            shutil.copytree(workspace / given["path"], self.artifacts / given["name"])
        elif action == "actions/download-artifact" and "name" in given:
            shutil.copytree(self.artifacts / given["name"], workspace / given["path"])
        elif action == "actions/download-artifact":
            for place in self.artifacts.iterdir() if self.artifacts.exists() else ():
                if fnmatch.fnmatch(place.name, given["pattern"]):
                    shutil.copytree(place, workspace / given["path"] / place.name)
        elif action == "actions/cache/save":
            self.saved[given["key"]] = (workspace / given["path"]).read_text()


def _value(text: Any, names: Names) -> Any:
    """A value of the workflow with its expressions worked out."""
    if not isinstance(text, str):
        return text
    whole = _EXPRESSION.fullmatch(text.strip())
    if whole:
        return _worked_out(whole[1], names)
    return _EXPRESSION.sub(lambda found: str(_worked_out(found[1], names)), text)


def _worked_out(expression: str, names: Names) -> Any:
    python = expression.replace("&&", " and ").replace("||", " or ").replace("job-index", "job_index")
    python = re.sub(r"!(?!=)", " not ", python)
    return eval(" ".join(python.split()), {"__builtins__": {}}, dict(names))
