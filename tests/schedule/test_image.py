"""The image, where buildah is installed: it builds, and runs read-only, without capabilities, as an ordinary user."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from kandji_uploader.rehearsal import RehearsalTenant

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not shutil.which("buildah") or os.getuid() != 0, reason="it takes buildah, and root to use it"),
    pytest.mark.timeout(900),
]
ROOT = Path(__file__).resolve().parents[2]
# What `docker run --read-only --tmpfs /tmp --cap-drop ALL --security-opt no-new-privileges --user ...` comes to.
CONTAINED = """
root=$1 data=$2 user=$3; shift 3
mount --make-rprivate /
mount --rbind "$root" "$root"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount -t tmpfs tmpfs "$root/tmp"
mount --bind "$data" "$root/data"
mount -o remount,bind,ro "$root"
exec setpriv --no-new-privs chroot --userspec="$user" --groups= "$root" /usr/bin/env -i "$@"
"""


def buildah(*words):
    done = subprocess.run(["buildah", *map(str, words)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stdout[-2000:]}{done.stderr[-2000:]}"
    return done.stdout.strip()


@pytest.fixture(scope="module")
def image():
    """The image, built from the base image that is on this machine, or else in the registry."""
    made_of = ("-f", ROOT / "docker/Dockerfile", "--ignorefile", ROOT / "docker/Dockerfile.dockerignore")
    name = f"localhost/kandji-uploader-test-{os.getpid()}"
    buildah("bud", "--isolation", "chroot", "--format", "docker", *made_of, "-t", name, ROOT)
    yield name
    buildah("rmi", "--force", name)


@pytest.fixture(scope="module")
def facts(image):
    return json.loads(buildah("inspect", "--type", "image", image))["Docker"]["config"]


@pytest.fixture
def contained(image, facts, tmp_path):
    """Starts words in a container of the image, with the image's environment and a volume."""
    container = buildah("from", "--pull=never", image)
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    number = buildah("run", "--isolation", "chroot", container, "id", "-u")
    assert number == "10001"
    os.chown(data, int(number), int(number))
    started = []

    def start(*words, **environ):
        given = [*facts["Env"], "HOME=/home/uploader", *(f"{name}={value}" for name, value in environ.items())]
        mount = ["buildah", "mount", container]
        root = subprocess.run(mount, capture_output=True, text=True, check=True).stdout.strip()
        command = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-ec", CONTAINED, "sh", root]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        process = subprocess.Popen([*command, str(data), f"{number}:{number}", *given, *words], **pipes)
        started.append(process)
        return process

    start.data = data
    yield start
    for process in started:
        process.kill()
        process.wait()
    buildah("rm", container)


def said(process):
    text = process.communicate(timeout=120)[0]
    return text, process.returncode


def test_it_is_an_ordinary_user_who_can_write_to_the_volume_only(contained, facts):
    assert facts["User"] == "uploader"
    assert list(facts["Volumes"]) == ["/data"]
    program = """
import json, os
def writable(place):
    try:
        open(place + "/x", "w").close()
    except OSError as problem:
        return problem.strerror
    return "yes"
lines = dict(line.split(":", 1) for line in open("/proc/self/status"))
state = {name: lines[name].strip() for name in ("CapEff", "CapPrm", "NoNewPrivs")}
places = ("/data", "/tmp", "/home/uploader", "/usr")
print(json.dumps([os.getuid(), state, {place: writable(place) for place in places}]))
"""
    text, code = said(contained("python", "-c", program))
    assert code == 0, text
    uid, state, places = json.loads(text)
    assert (uid, state) == (10001, {"CapEff": "0" * 16, "CapPrm": "0" * 16, "NoNewPrivs": "1"})
    assert {place for place, answer in places.items() if answer == "yes"} == {"/data", "/tmp"}


def test_the_doctor_has_no_problem_and_the_health_check_is_that_of_the_loop(contained, facts, tmp_path):
    entry, health = facts["Entrypoint"], facts["Healthcheck"]["Test"][1:]
    with RehearsalTenant(tmp_path / "tenant") as tenant:
        given = {"KANDJI_API_URL": tenant.url, "KANDJI_TOKEN": tenant.token}
        text, code = said(contained(*entry, "doctor", "--json", **given))
        assert code == 0, text
        assert {row["subject"] for row in json.loads(text) if row["health"] != "ok"} == set()
        assert said(contained(*health))[1] == 1, "nothing runs the cycles yet"
        (contained.data / "brew_cron.json").write_text('{"brew_casks": [], "every_n_hours": 4}')
        (contained.data / "brew_cron.json").chmod(0o644)
        loop = contained(*entry, *facts["Cmd"], **given)
        assert loop.stdout.readline().startswith("next cycle at")
        text, code = said(contained(*health))
        assert "`schedule run --loop` runs since" in text
        assert code == 0
        loop.send_signal(signal.SIGTERM)
