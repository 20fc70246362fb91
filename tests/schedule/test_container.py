"""What can be shown of the container without building one: its entry point runs here, its files fit their schemas."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from kandji_uploader import settings
from tests.support.schemas import load, problems

ROOT = Path(__file__).resolve().parents[2]
ENTRY_POINT = ROOT / "docker" / "entrypoint.sh"
SHELLS = [shell for shell in ("sh", "dash", "bash") if shutil.which(shell)]

SHOWS = """\
#!{python}
import json, os, sys
names = ("KANDJI_TOKEN", "KANDJI_TOKEN_FILE", "SLACK_TOKEN", "KANDJI_UPLOADER_DIR")
print(json.dumps([sys.argv[1:], {{name: os.environ[name] for name in names if name in os.environ}}]))
"""


@pytest.fixture
def place(tmp_path):
    """Folders as in the container, and a `kandji-uploader` that shows how it was called."""

    class Place:
        data, config, programs = tmp_path / "data", tmp_path / "config", tmp_path / "bin"

        def start(self, *words, shell="sh", **environ):
            env = {
                "PATH": f"{self.programs}:/usr/bin:/bin",
                "KANDJI_UPLOADER_DIR": str(self.data),
                "KANDJI_UPLOADER_MOUNT": str(self.config),
                **environ,
            }
            command = [shutil.which(shell), str(ENTRY_POINT), *words]
            return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env)

        def run(self, *words, **environ):
            """Words and environment that it was called with."""
            process = self.start(*words, **environ)
            said, errors = process.communicate(timeout=20)
            assert (process.returncode, errors) == (0, "")
            return json.loads(said)

        def refusal(self, **environ):
            process = self.start(**environ)
            said, errors = process.communicate(timeout=20)
            assert (process.returncode, said) == (2, "")
            return errors

        def program(self, text):
            path = self.programs / "kandji-uploader"
            path.write_text(text)
            path.chmod(0o755)

    place = Place()
    for folder in (place.data, place.config, place.programs):
        folder.mkdir()
    place.program(SHOWS.format(python=sys.executable))
    return place


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    ("words", "called"),
    [
        ([], ["schedule", "run", "--loop"]),
        (["-p", "/pkgs/My App.pkg", "-y"], ["-p", "/pkgs/My App.pkg", "-y"]),
        (["kandji-uploader", "-b", "firefox"], ["-b", "firefox"]),
        (["upload", "-n", "$(id) `id` *"], ["upload", "-n", "$(id) `id` *"]),
    ],
)
def test_the_words_reach_the_command_as_they_are(place, shell, words, called):
    assert place.run(*words, shell=shell)[0] == called


def test_a_shell_can_be_had(place):
    process = place.start("sh", "-c", "echo hello")
    assert process.communicate(timeout=20)[0] == "hello\n"


def test_secrets_may_come_as_files(place, tmp_path):
    (tmp_path / "token").write_text("s3cret $(id)\n")
    environ = place.run("config", KANDJI_TOKEN="", KANDJI_TOKEN_FILE=str(tmp_path / "token"), SLACK_TOKEN="hook")[1]
    assert environ["KANDJI_TOKEN"] == "s3cret $(id)"
    assert "KANDJI_TOKEN_FILE" not in environ
    assert environ["SLACK_TOKEN"] == "hook"


def test_a_secret_that_is_missing_or_empty_stops_the_start(place, tmp_path):
    assert "KANDJI_TOKEN_FILE names /nowhere" in place.refusal(KANDJI_TOKEN_FILE="/nowhere")
    (tmp_path / "token").write_text("\n")
    assert "is empty" in place.refusal(SLACK_TOKEN_FILE=str(tmp_path / "token"))


def test_a_folder_that_cannot_be_written_stops_the_start(place):
    assert "mount a volume there" in place.refusal(KANDJI_UPLOADER_DIR=str(place.data / "none"))


def test_what_is_mounted_is_read_and_edits_are_seen(place):
    (place.config / "brew_cron.json").write_text('{"brew_casks": ["a"], "every_n_hours": 2}')
    place.run("config")
    assert settings.read_mapping_file(place.data / "brew_cron.json")["brew_casks"] == ["a"]
    replacement = place.config / "new"
    replacement.write_text('{"brew_casks": ["b"], "every_n_hours": 2}')
    replacement.replace(place.config / "brew_cron.json")
    assert settings.read_mapping_file(place.data / "brew_cron.json")["brew_casks"] == ["b"]


def test_what_is_mounted_no_longer_is_gone_at_the_next_start(place):
    (place.config / "config.yaml").write_text("")
    place.run("config")
    (place.config / "config.yaml").rename(place.config / "config.json")
    place.run("config")
    assert sorted(path.name for path in place.data.iterdir()) == ["config.json"]


def test_the_schedule_can_be_changed_in_the_container_which_starts_again_afterwards(place):
    (place.config / "brew_cron.json").write_text('{"brew_casks": ["a"], "every_n_hours": 2}')
    place.program(f'#!/bin/sh\nexec "{sys.executable}" -u -m kandji_uploader "$@"\n')
    process = place.start("schedule", "add", "b", "--unchecked", PYTHONPATH=str(ROOT / "shared"), HOME=str(place.data))
    assert process.communicate(timeout=20)[0].endswith("every 2 hours: a, b\n")
    assert settings.read_mapping_file(place.config / "brew_cron.json")["brew_casks"] == ["a", "b"]
    place.program(SHOWS.format(python=sys.executable))
    assert place.run()[0] == ["schedule", "run", "--loop"]


def test_a_file_of_the_volume_is_not_overwritten(place):
    (place.config / "config.yaml").write_text("")
    (place.data / "config.yaml").write_text("mine")
    assert "both" in place.refusal()
    assert (place.data / "config.yaml").read_text() == "mine"


def test_the_schedule_runs_and_sigterm_ends_it(place):
    place.program(f'#!/bin/sh\nexec "{sys.executable}" -u -m kandji_uploader "$@"\n')
    process = place.start(PYTHONPATH=str(ROOT / "shared"))
    assert "brew_cron.json: is not there" in process.stdout.readline()
    assert process.stdout.readline().startswith("next cycle at")
    process.send_signal(signal.SIGTERM)
    said, errors = process.communicate(timeout=10)
    assert (process.returncode, said, errors) == (0, "the schedule was stopped\n", "")


@pytest.mark.parametrize(
    ("schema", "name", "spoil"),
    [
        ("vendor/compose-spec", "docker/docker-compose.yml", ("restart:", "restarts:")),
        ("vendor/github-workflows", "examples/github-workflow.yml", ("runs-on:", "run-on:")),
        ("custom/github-workflows-require-timeout", "examples/github-workflow.yml", ("timeout-minutes", "env")),
    ],
)
def test_the_file_fits_its_public_schema(schema, name, spoil, tmp_path):
    assert problems(schema, load(ROOT / name)) == []
    spoiled = tmp_path / "spoiled.yml"
    spoiled.write_text((ROOT / name).read_text().replace(*spoil))
    assert problems(schema, load(spoiled))


def read(name):
    return settings.read_mapping_file(ROOT / name)


def test_the_workflow_does_not_run_in_this_repository():
    assert not (ROOT / ".github" / "workflows").exists() or not [
        path for path in (ROOT / ".github" / "workflows").iterdir() if "schedule run" in path.read_text()
    ]


def test_the_service_has_no_more_rights_than_it_needs():
    service = read("docker/docker-compose.yml")["services"]["kandji-uploader"]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    workflow = read("examples/github-workflow.yml")
    assert workflow["permissions"] == {"contents": "read"}
    assert "KANDJI_TOKEN" not in json.dumps(service)


def test_the_image_holds_what_is_needed_and_runs_as_a_user():
    lines = (ROOT / "docker" / "Dockerfile").read_text()
    last = lines.rsplit("\nFROM ", 1)[1]
    assert re.search(r"^USER uploader$", last, re.MULTILINE)
    assert re.search(r"apt-get install .*\b7zip\b.*\bzsh\b", last)
    assert not re.search(r"linuxbrew|brew install|Homebrew/install", lines)
    assert "-slim" in last.splitlines()[0]
    assert json.loads(re.search(r"^CMD (.*)$", last, re.MULTILINE)[1]) == ["schedule", "run", "--loop"]
    health = json.loads(re.search(r"^HEALTHCHECK .*\\\n    CMD (.*)$", last, re.MULTILINE)[1])
    assert health == ["kandji-uploader", "schedule", "status", "--loop"]
    assert "KANDJI_UPLOADER_STATE_DIR=/data/state" in last, "for what is started without the entry point"


def copied():
    """What the image is built from."""
    lines = (ROOT / "docker" / "Dockerfile").read_text().splitlines()
    copies = [line.split()[1:-1] for line in lines if line.startswith("COPY")]
    return [word for words in copies for word in words if not word.startswith("--")]


def test_what_the_image_copies_is_here_and_not_ignored():
    lines = (ROOT / "docker" / "Dockerfile.dockerignore").read_text().splitlines()
    kept = [line[1:] for line in lines if line.startswith("!")]
    assert len(copied()) > 5
    for source in copied():
        assert (ROOT / source).exists(), source
        assert any(source == name or source.startswith(f"{name}/") for name in kept), source


def test_the_service_is_built_from_the_whole_project():
    build = read("docker/docker-compose.yml")["services"]["kandji-uploader"]["build"]
    context = (ROOT / "docker" / build["context"]).resolve()
    assert context == ROOT
    # What is left out of the context is said beside the Dockerfile: BuildKit looks there before it looks at the root.
    assert (context / f"{build['dockerfile']}.dockerignore").is_file()


def test_what_the_wheel_is_made_of_is_copied():
    project = (ROOT / "pyproject.toml").read_text()
    forced = project.partition("targets.wheel.force-include]")[2].partition("\n[")[0]
    needed = {
        *re.findall(r'^"([^"]+)" =', forced, re.MULTILINE),
        "pyproject.toml",
        "README.md",
        "LICENSE",
        "NOTICE",
        "shared",
    }
    assert len(needed) > 5
    for name in needed:
        assert any(name == source or name.startswith(f"{source}/") for source in copied()), name


def test_the_example_environment_holds_no_secret_and_only_known_names():
    text = (ROOT / "docker" / ".env.example").read_text()
    lines = [line for line in text.splitlines() if "=" in line and not line.startswith("# ")]
    values = dict(line.removeprefix("#").split("=", 1) for line in lines)
    assert values["KANDJI_TOKEN"] == ""
    assert set(values) == {"KANDJI_API_URL", "KANDJI_TOKEN", "SLACK_TOKEN", "HOMEBREW_API_DOMAIN", "TZ"}


def test_the_example_schedule_is_one():
    from kandji_uploader import schedule

    assert schedule.read(ROOT / "examples", settings).hours == 4


def test_the_entry_point_can_be_executed():
    assert os.access(ENTRY_POINT, os.X_OK)


@pytest.mark.skipif(not shutil.which("shellcheck"), reason="no shellcheck here")
def test_shellcheck_finds_nothing():
    done = subprocess.run(["shellcheck", str(ENTRY_POINT)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")
