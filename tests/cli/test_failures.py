"""Failures as scripts see them: a code, a message and a fix in every JSON output, and classes of exit codes."""

from __future__ import annotations

import importlib
import inspect
import json
import pkgutil
import re
import signal
import time
from pathlib import Path

import pytest

import kandji_uploader
from kandji_uploader import cli, errors
from kandji_uploader.cli import documents, failures, output_schemas, screen
from kandji_uploader.cli.doctor import CODES
from kandji_uploader.cli.failures import Exit
from kandji_uploader.setup import doctor
from tests.support.commands import parsers
from tests.support.outputs import check, name_of

PAGE = Path(__file__).parents[2] / "docs" / "json.md"
FAILING = {
    "upload": ["-p", "Widget-1.0.pkg"],
    "publish": ["publish", "nothing.jsonl"],
    "promote": ["promote", "Widget"],
    "approve": ["approve", "Widget"],
    "rollback": ["rollback", "Widget"],
    "watch": ["watch", "Widget"],
    "resume": ["resume", "Widget"],
    "retry": ["retry"],
    "status": ["status", "Widget"],
    "inspect": ["inspect", "none.pkg"],
    "config": ["config"],
    "munki-import": ["munki", "import", "--repo", "none", "--out", "map.yaml"],
    "schedule-status": ["schedule", "status"],
    "matrix": ["matrix", "--by", "tenant"],
}


def test_every_exception_has_a_code_of_its_own_with_a_class_and_a_fix():
    classes = [each for _, each in inspect.getmembers(errors, inspect.isclass) if issubclass(each, Exception)]
    codes = [vars(each).get("code") for each in classes]
    assert len(classes) > 20
    assert len(set(codes)) == len(codes), "each has one, and no two the same"
    assert set(codes) <= set(failures.CODES), "failures.CODES has its class and its fix"


def test_every_exception_of_the_library_is_one_of_them():
    for module in pkgutil.walk_packages(kandji_uploader.__path__, "kandji_uploader."):
        importlib.import_module(module.name) if not module.name.endswith("__main__") else None
    left, seen = [errors.KandjiUploaderError], []
    while left:
        seen.append(left.pop())
        left += seen[-1].__subclasses__()
    assert [each.__name__ for each in seen if each.code not in failures.CODES] == []


def test_every_finding_of_the_doctor_has_a_code():
    subjects = set(re.findall(r'Check\(\s*"([^"]+)"', inspect.getsource(doctor))) | {"token", "permissions"}
    assert subjects == set(CODES)
    assert set(CODES.values()) <= set(failures.CODES)


def test_the_page_has_each_code_and_each_class():
    text = PAGE.read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| (\d|-) \| (.+) \|$", text, re.MULTILINE)
    wanted = [
        (code, "-" if code == "interrupted" else f"{kind:d}", fix) for code, (kind, fix) in failures.CODES.items()
    ]
    assert rows == wanted
    classes = dict(re.findall(r"^\| (\d) \| (.+?) \|", text, re.MULTILINE))
    assert {int(number): said.split(":")[0] for number, said in classes.items()} == failures.MEANING
    assert set(re.findall(r"`schema output\.([a-z-]+)`", text)) == set(documents.NAMES)


@pytest.mark.parametrize("command", FAILING)
def test_a_command_that_fails_says_so_in_its_json(house, here, command, monkeypatch):
    monkeypatch.chdir(house.folder)
    house.widget()
    house.config.mkdir()
    (house.config / "config.yaml").write_text("slack: {enabled: maybe}\n")
    words = [*FAILING[command], "--json"]
    assert name_of(words) == command
    ran = here(*words)
    told = json.loads(ran.stdout)
    error = (told[0] if isinstance(told, list) else told)["error"]
    assert error["message"]
    assert error["fix"] == failures.fix(error["code"])
    assert ran.returncode == failures.CODES[error["code"]][0] != 0
    if command in ("upload", "promote", "approve", "rollback", "watch", "resume", "retry", "status", "config"):
        assert (error["code"], ran.returncode) == ("settings", Exit.SETTINGS)
        assert "must be true or false" in error["message"]


@pytest.mark.parametrize(
    ("codes", "exit_code"),
    [
        ([""], Exit.DONE),
        (["network", "network"], Exit.SERVICE),
        (["network", "refused"], Exit.FAILED),
        (["", "refused"], Exit.PARTLY),
        (["", "halted"], Exit.FAILED),
        (["refused", "halted", ""], Exit.FAILED),
    ],
)
def test_the_exit_code_is_the_class_of_what_failed_and_1_wherever_something_is_halted(codes, exit_code):
    assert failures.exit_code(codes) == exit_code


@pytest.mark.parametrize(
    ("environ", "code", "exit_code"),
    [
        ({"KANDJI_TOKEN": ""}, "credential", Exit.TOKEN),
        ({"KANDJI_TOKEN": "0f8fad5b-d9cb-469f-a165-70867728950e"}, "token_refused", Exit.TOKEN),
        ({"KANDJI_API_URL": "http://127.0.0.1:9"}, "network", Exit.SERVICE),
        ({"KANDJI_API_URL": "http://acme.api.kandji.io"}, "settings", Exit.SETTINGS),
    ],
)
def test_what_failed_is_told_by_the_class_of_the_exit_code(house, here, environ, code, exit_code):
    house.config.mkdir()
    (house.config / "config.yaml").write_text("network: {tries: 1}\n")
    for words in (["-p", house.widget()], ["status", "Widget"]):
        ran = here(*words, "--json", **environ)
        (told,) = json.loads(ran.stdout)
        assert (told["error"]["code"], ran.returncode) == (code, exit_code), ran.stderr


def test_what_is_refused_and_what_failed_in_part_are_classes_of_their_own(house, here):
    here("-p", house.widget("2.0"), "-n", "Widget")
    words = ["-p", house.widget("1.0"), "--json"]
    ran = here(*words, "-n", "Widget")
    (told,) = json.loads(ran.stdout)
    (app,) = told["custom_apps"]
    assert ran.returncode == Exit.REFUSED
    assert told["error"]["code"] == app["error"]["code"] == "refused"
    assert "allow_downgrade" in app["error"]["message"]
    ran = here(*words, "-p", house.folder / "none.pkg")
    assert [each["error"] and each["error"]["code"] for each in json.loads(ran.stdout)] == [None, "installer"]
    assert ran.returncode == Exit.PARTLY


def test_a_permission_that_is_missing_is_told_of_the_custom_app(house, here):
    house.tenant.permissions.revoke("Create Custom App")
    ran = here("-p", house.widget(), "--json")
    (told,) = json.loads(ran.stdout)
    assert (told["custom_apps"][0]["error"]["code"], ran.returncode) == ("permission", Exit.TOKEN)


def test_wrong_usage_is_told_in_json_too(here):
    for words in (["upload"], ["promote"], ["status"], ["upload", "-p", "x", "--jobs", "many"]):
        ran = here(*words, "--json")
        assert json.loads(ran.stdout)[0]["error"]["code"] == "usage"
        assert ran.returncode == Exit.USAGE
        assert f"kandji-uploader {words[0]}" in ran.stderr


def test_wrong_usage_is_told_in_one_line_that_names_the_help(here):
    for words in (["-p"], ["--frob"], ["status", "--frob"], ["matrix"], ["schema", "--color", "red", "config"]):
        ran = here(*words)
        (line,) = ran.stderr.splitlines()
        assert (ran.stdout, ran.returncode) == ("", Exit.USAGE)
        command = f"kandji-uploader {words[0] if words[0] in cli.COMMANDS else 'upload'}"
        assert re.fullmatch(rf"{command}: .+; `{command} --help` shows what it takes", line) or words == ["matrix"]


def test_a_defect_of_ours_is_told_without_what_it_says(here, monkeypatch):
    def broken(*_):
        raise RuntimeError("a secret")

    monkeypatch.setattr("kandji_uploader.cli.where.places", broken)
    ran = here("where", "--json")
    (told,) = json.loads(ran.stdout)
    assert (told["error"]["code"], ran.returncode) == ("defect", Exit.FAILED)
    assert "RuntimeError in test_failures.py" in told["error"]["message"]
    assert "a secret" not in ran.stdout + ran.stderr


def test_ctrl_c_is_the_last_element_of_the_list(house):
    house.tenant.faults.add("POST", "/store", kind="slow", nth=2, bytes_per_second=100_000)
    second = house.widget(name="Other", bundle_id="com.example.Other", content=bytes(1_000_000))
    words = ["-p", str(house.widget()), "-p", str(second), "--json"]
    started = house.start(*words)
    until = time.monotonic() + 60
    while house.writes().count("POST library/custom-apps/upload") < 2:
        assert time.monotonic() < until
        time.sleep(0.01)
    started.send_signal(signal.SIGINT)
    printed, said = started.communicate(timeout=60)
    check(words, printed)
    done, ended = json.loads(printed)
    assert (done["action"], done["error"]) == ("succeeded", None)
    assert (ended["error"]["code"], started.returncode) == ("interrupted", 130), said
    assert str(second) in ended["error"]["message"]


def test_every_command_with_json_has_a_schema():
    known = {name: each for name, parser in parsers().items() for each in screen._with_words(parser)[:1]}
    words = {name: screen._with_words(parser)[1:] for name, parser in known.items()}
    taking = [name for name, parser in known.items() if "--json" in parser._option_string_actions]
    taking += [
        f"{name}-{each.prog.split()[-1]}"
        for name, below in words.items()
        for each in below
        if "--json" in each._option_string_actions
    ]
    assert sorted(taking) == sorted(documents.NAMES)


def test_every_json_output_has_a_schema_that_the_command_prints(here):
    for name in documents.NAMES:
        told = json.loads(here("schema", f"output.{name}").stdout)
        assert told["title"] == f"kandji-uploader {name.replace('-', ' ')} --json"


def test_a_failure_is_in_a_list_where_the_output_is_one():
    lists = [name for name in documents.NAMES if output_schemas.document(name).get("type") == "array"]
    assert sorted(cli._LISTS) == sorted(lists)
    assert set(FAILING) == set(documents.NAMES) - {"doctor", "where"}, "these two fail of nothing"
