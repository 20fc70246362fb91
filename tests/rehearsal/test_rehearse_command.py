"""`kandji-uploader rehearse`, run as a user runs it."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest
import requests

from kandji_uploader.cli import main
from kandji_uploader.cli.failures import Exit


@contextmanager
def rehearsal(*arguments, environment=None):
    process = subprocess.Popen(
        [sys.executable, "-m", "kandji_uploader", "rehearse", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **(environment or {})},
    )
    try:
        yield process, read_until(process, "# Without")
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        process.stderr.close()


def read_until(process, start):
    lines = []
    while not lines or not lines[-1].startswith(start):
        line = process.stdout.readline()
        assert line, process.stderr.read()
        lines.append(line)
    return lines


def exports(lines):
    words = [shlex.split(line) for line in lines if line.startswith("export ")]
    return dict(word.split("=", 1) for _, word in words)


def listed(told):
    headers = {"Authorization": f"Bearer {told['KANDJI_TOKEN']}"}
    return requests.get(f"{told['KANDJI_API_URL']}/api/v1/library/custom-apps", headers=headers, timeout=10)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_until_it_is_stopped_and_leaves_nothing(tmp_path, number):
    with rehearsal(environment={"TMPDIR": str(tmp_path)}) as (process, lines):
        told = exports(lines)
        folders = ["KANDJI_UPLOADER_DIR", "KANDJI_UPLOADER_STATE_DIR"]
        assert sorted(told) == ["KANDJI_API_URL", "KANDJI_TOKEN", *folders, "SLACK_TOKEN"]
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+", told["KANDJI_API_URL"])
        assert listed(told).status_code == 200
        assert requests.post(told["SLACK_TOKEN"], json={"text": "x"}, timeout=10).text == "ok"
        assert list(tmp_path.iterdir())
        process.send_signal(number)
        assert process.wait(10) == 0
        said = process.stderr.read()
        assert " 200  GET library/custom-apps\n" in said
        assert "Stopped after 2 requests." in said
        assert told["KANDJI_TOKEN"] not in said
    assert list(tmp_path.iterdir()) == []


def test_every_line_can_be_pasted_into_a_shell(tmp_path):
    folder = tmp_path / "it's a $(folder)"
    with rehearsal("--folder", folder) as (_, lines):
        script = "".join(lines) + 'printf %s "$KANDJI_UPLOADER_DIR"'
        run = subprocess.run(["sh", "-euc", script], capture_output=True, text=True, check=True)
        assert run.stdout == str(folder / "config")


def test_it_stops_by_itself():
    started = time.monotonic()
    with rehearsal("--for", "0.2") as (process, _):
        assert process.wait(10) == 0
    assert time.monotonic() - started < 10


def test_a_named_folder_is_gone_on_with(tmp_path):
    for expected in ([], ["Fox"]):
        with rehearsal("--folder", tmp_path / "mine") as (process, lines):
            told = exports(lines)
            assert [app["name"] for app in listed(told).json()["results"]] == expected
            if not expected:
                publish(told)
            process.terminate()
            assert process.wait(10) == 0


def publish(told):
    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {told['KANDJI_TOKEN']}"
        apps = f"{told['KANDJI_API_URL']}/api/v1/library/custom-apps"
        ticket = session.post(f"{apps}/upload", json={"name": "a.pkg"}, timeout=10).json()
        requests.post(ticket["post_url"], data=ticket["post_data"], files={"file": b"x"}, timeout=10)
        fields = {"name": "Fox", "install_type": "package", "install_enforcement": "install_once"}
        assert session.post(apps, data={**fields, "file_key": ticket["file_key"]}, timeout=10).status_code == 201


def test_macs_can_be_made_up(tmp_path):
    with rehearsal("--macs", "3") as (_, lines):
        told = exports(lines)
        publish(told)
        assert "PENDING 3" in re.sub("<[^>]+>", "", requests.get(told["KANDJI_API_URL"], timeout=10).text)


def test_scripted_faults_happen(tmp_path):
    script = tmp_path / "faults.json"
    script.write_text(json.dumps([{"method": "GET", "path": "**", "kind": "status", "code": 502}]))
    with rehearsal("--faults", script) as (_, lines):
        assert [listed(exports(lines)).status_code for _ in range(2)] == [502, 200]


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--port", "x"], "not a number from 0 to 65,535"),
        (["--port", "70000"], "not a number from 0 to 65,535"),
        (["--macs", "-1"], "not a number of Macs"),
        (["--for", "0"], "above 0"),
        (["--for", "soon"], "above 0"),
        (["--host", "0.0.0.0"], "unrecognized"),
    ],
)
def test_a_wrong_argument_is_a_usage_error(capsys, arguments, why):
    assert main(["rehearse", *arguments]) == Exit.USAGE
    assert why in capsys.readouterr().err


def test_a_folder_with_other_things_in_it_is_not_touched(tmp_path, capsys):
    (tmp_path / "thesis.txt").write_text("years of work")
    assert main(["rehearse", "--folder", str(tmp_path)]) == 1
    assert "holds other things" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]
    assert main(["rehearse", "--folder", str(tmp_path / "thesis.txt")]) == 1
    assert "not a folder" in capsys.readouterr().err


def test_a_port_that_is_taken_is_told(tmp_path, capsys, tenant):
    port = tenant.url.rsplit(":", 1)[1]
    assert main(["rehearse", "--port", port]) == 1
    assert "--port" in capsys.readouterr().err


def test_a_wrong_file_of_faults_is_told(tmp_path, capsys):
    assert main(["rehearse", "--faults", str(tmp_path / "none.json")]) == Exit.SETTINGS
    assert "none.json: cannot be read" in capsys.readouterr().err
