"""`kandji-uploader -p ...`: kpkg's flags, and ours."""

from __future__ import annotations

import json
import os
import re
import signal
import stat
import time
import zipfile

import pytest

from kandji_uploader.cli.failures import Exit

SECRETS = ("rehearsal-", "hooks.slack")


def test_a_file_is_published_without_a_subcommand(house, here):
    ran = here("-p", house.widget())
    assert ran.returncode == 0
    head, rule, row = ran.stdout.splitlines()
    assert head.split() == ["Custom", "App", "Action", "Version", "Enforcement", "Installer", "Link"]
    assert set(rule) == {"-", " "}
    app = house.tenant.app("Widget (kandji-uploader)")
    assert row.split("  ")[0] == app["name"]
    assert "created" in row
    assert row.endswith(f"/library/custom-apps/{app['id']}")


def test_the_subcommand_means_the_same(house, here):
    here("upload", "-p", house.widget())
    assert house.names() == ["Widget (kandji-uploader)"]


def test_timings_tell_what_the_seconds_went_into(house, here):
    path = house.widget()
    house.tenant.faults.add("POST", "/store", kind="slow", bytes_per_second=path.stat().st_size / 0.2)
    began = time.perf_counter()
    ran = here("-p", path, "--timings", "--json")
    wall = time.perf_counter() - began
    (told,) = json.loads(ran.stdout)

    assert min(seconds for part, seconds in told["timings"].items() if part != "waiting") > 0
    assert told["timings"]["upload"] >= 0.1
    assert wall / 2 <= sum(told["timings"].values()) <= wall + 0.01

    assert "timings" not in json.loads(here("-p", path, "--json").stdout)[0]
    last = here("-p", path, "-p", house.widget("2.0"), "--timings").stdout.splitlines()[-1]
    assert re.fullmatch(r"seconds: list [0-9.]+, .*, other [0-9.]+; [0-9.]+ in all", last)


def test_the_same_file_again_changes_nothing(house, here):
    here("-p", house.widget())
    house.tenant.reset_requests()
    ran = here("-p", house.widget())
    assert "unchanged" in ran.stdout
    assert [str(request) for request in house.tenant.requests] == ["GET library/custom-apps"]


def test_messages_go_to_standard_error_and_the_outcome_to_standard_output(house, here):
    ran = here("-p", house.widget())
    assert "create (no Custom App has that name)" in ran.stderr
    assert "no Custom App has that name" not in ran.stdout


def test_names_and_categories(house, here):
    words = ("-n", "Widget", "-t", "Widget (Test)", "-s", "Productivity", "-z", "Security")
    assert here("-p", house.widget(), *words).returncode == 0
    categories = {category["id"]: category["name"] for category in house.tenant.categories}
    held = {app["name"]: app for app in house.tenant.apps()}
    assert {name: categories[app["self_service_category_id"]] for name, app in held.items()} == {
        "Widget": "Productivity",
        "Widget (Test)": "Security",
    }
    assert all(app["install_enforcement"] == "no_enforcement" for app in held.values())
    assert len(house.tenant.uploads()) == 1


def test_where_a_zip_is_unpacked(house, here):
    path = house.folder / "Tool.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(
            "Tool.app/Contents/Info.plist",
            "<plist version='1.0'><dict><key>CFBundleIdentifier</key><string>com.example.Tool</string>"
            "<key>CFBundleShortVersionString</key><string>3.1</string></dict></plist>",
        )
    assert here("-p", path, "-n", "Tool", "-u", "/Applications/Tools").returncode == 0
    app = house.tenant.app("Tool")
    assert (app["install_type"], app["unzip_location"]) == ("zip", "/Applications/Tools")


def test_create_makes_another_app_of_the_same_name(house, here):
    for _ in range(2):
        here("-p", house.widget(), "-n", "Widget", "-c")
    assert house.names() == ["Widget", "Widget"]


def test_a_dry_run_writes_nothing(house, here):
    ran = here("-p", house.widget(), "-n", "Widget", "-y")
    assert (ran.returncode, house.names(), house.writes()) == (0, [], [])
    assert "would create" in ran.stdout


@pytest.mark.parametrize("flag", ["-n", "-t", "-s", "-z"])
def test_names_and_categories_need_a_single_item(house, here, flag):
    ran = here("-p", house.widget(), "-p", house.widget("2.0"), flag, "X")
    assert ran.returncode == 2
    assert "can go with a single item only, not with 2" in ran.stderr
    assert house.tenant.requests == []


def test_with_no_item_the_usage_is_told(here):
    ran = here("-n", "Widget")
    assert ran.returncode == 2
    assert "name an installer with -p or a cask with -b" in ran.stderr


def test_each_of_several_items_is_tried_and_one_that_failed_fails_the_command(house, here):
    gadget = house.widget("2.0", name="Gadget", bundle_id="com.example.Gadget")
    ran = here("-p", house.folder / "none.pkg", "-p", house.widget(), "-p", gadget)
    assert ran.returncode == Exit.PARTLY
    assert house.names() == ["Gadget (kandji-uploader)", "Widget (kandji-uploader)"]
    actions = [re.split(r"\s{2,}", line)[1] for line in ran.stdout.splitlines()[2:]]
    assert actions == ["failed", "created", "created"]
    assert ran.stderr.count("there is no such file") == 1


def test_json_is_all_that_is_on_standard_output(house, here):
    ran = here("-p", house.widget(), "-p", "none.pkg", "--json")
    first, second = json.loads(ran.stdout)
    assert (first["action"], first["error"], first["custom_apps"][0]["action"]) == ("succeeded", None, "created")
    assert first["custom_apps"][0]["link"].endswith(first["custom_apps"][0]["app_id"])
    assert (second["action"], second["source"], second["custom_apps"]) == ("failed", "none.pkg", [])
    assert "there is no such file" in second["error"]["message"]


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda path: None, "there is no such file"),
        (lambda path: path.mkdir(), "it is a folder"),
        (lambda path: path.touch(), "empty"),
        (lambda path: path.write_text("hello"), "no installer"),
    ],
)
def test_what_is_no_installer_is_told_in_a_word(house, here, make, told):
    path = house.folder / "thing"
    make(path)
    ran = here("-p", path)
    assert ran.returncode == 1
    assert told in ran.stderr
    assert str(path) in ran.stderr
    assert house.writes() == []


@pytest.mark.parametrize(("name", "told"), [("Widget.app", "app"), ("Widget.mpkg", "bundle")])
def test_bundles_have_words_of_their_own(house, here, name, told):
    (house.folder / name / "Contents").mkdir(parents=True)
    ran = here("-p", house.folder / name)
    assert ran.returncode == 1
    assert told in ran.stderr.partition(name)[2].lower()


def test_enforcement_of_a_new_app(house, here):
    here("-p", house.widget(), "-n", "Widget", "--enforcement", "install_once")
    assert house.tenant.app("Widget")["install_enforcement"] == "install_once"
    assert here("-p", house.widget(), "--enforcement", "always").returncode == 2


def test_a_downgrade_is_refused_unless_it_is_allowed(house, here):
    here("-p", house.widget("2.0"), "-n", "Widget")
    ran = here("-p", house.widget("1.0"), "-n", "Widget")
    assert ran.returncode == Exit.REFUSED
    assert "refused" in ran.stdout
    assert here("-p", house.widget("1.0"), "-n", "Widget", "--allow-downgrade").returncode == 0


def test_an_audit_script_of_somebody_else_is_replaced_only_when_told(house, here):
    here("-p", house.widget(), "-n", "Widget")
    house.tenant.edit(house.tenant.app("Widget")["id"], audit_script="#!/bin/zsh\nexit 0\n")
    ran = here("-p", house.widget("2.0"), "-n", "Widget")
    assert "is kept" in ran.stderr
    assert house.tenant.app("Widget")["audit_script"] == "#!/bin/zsh\nexit 0\n"
    here("-p", house.widget("2.0"), "-n", "Widget", "--replace-audit-script")
    assert "com.example.Widget" in house.tenant.app("Widget")["audit_script"]


def test_the_api_url_of_the_command_line_wins(house, here):
    ran = here("-p", house.widget(), "--api-url", house.tenant.url, KANDJI_API_URL="http://127.0.0.1:9")
    assert ran.returncode == 0


def test_items_side_by_side(house, here):
    names = [f"App{number}" for number in range(6)]
    paths = [house.widget(name=name, bundle_id=f"com.example.{name}") for name in names]
    ran = here(*[word for path in paths for word in ("-p", path)], "--jobs", "3", "--json")
    results = json.loads(ran.stdout)
    assert [result["source"] for result in results] == [str(path) for path in paths]
    assert [result["action"] for result in results] == ["succeeded"] * 6
    assert house.names() == [f"{name} (kandji-uploader)" for name in names]


def test_lines_about_items_side_by_side_tell_which_item_they_are_about(house, here):
    paths = [house.widget(name=name, bundle_id=f"com.example.{name}") for name in ("One", "Two")]
    ran = here("-p", paths[0], "-p", paths[1], "-j", "2")
    assert all(re.match(r"(upload of )?(One|Two)-1\.0\.pkg: ", line) for line in ran.stderr.splitlines())


@pytest.mark.parametrize("number", ["0", "33", "many", "-1"])
def test_the_number_of_jobs_is_checked(house, here, number):
    assert here("-p", house.widget(), f"--jobs={number}").returncode == 2


# The log file


def test_what_was_done_is_logged_for_its_owner_only(house, here):
    here("-p", house.widget(), "-p", "none.pkg")
    path = house.state / "kandji-uploader.log"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    lines = house.log.splitlines()
    assert all(re.match(r"20\d\d-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} \d+ (DEBUG|INFO|ERROR) ", line) for line in lines)
    assert any("INFO Widget-1.0.pkg: Widget (kandji-uploader): create" in line for line in lines)
    assert any("DEBUG POST 127.0.0.1/api/v1/library/custom-apps: 201" in line for line in lines)
    assert any("ERROR none.pkg: there is no such file" in line for line in lines)


def test_the_log_file_is_rotated(house, here):
    state = house.state
    state.mkdir(parents=True)
    (state / "kandji-uploader.log").write_text("x" * 999_990 + "\n")
    here("-p", house.widget())
    assert (state / "kandji-uploader.log.1").stat().st_size > 999_000
    assert len(house.log) < 10_000


def test_a_log_file_that_cannot_be_written_stops_nothing(house, here):
    (house.state / "kandji-uploader.log").mkdir(parents=True)
    ran = here("-p", house.widget())
    assert ran.returncode == 0
    assert ran.stderr.count("no log is kept in") == 1


def test_a_name_cannot_forge_a_line_of_the_log(house, here):
    here("-p", house.folder / "a.pkg\n2026-01-01 00:00:00,000 1 INFO forged.pkg")
    assert not any(line.startswith("2026-01-01 00:00:00,000") for line in house.log.splitlines())


def test_commands_that_only_look_keep_no_log(house, here):
    here("config")
    assert not house.config.exists()


def test_debug_tells_each_request_and_no_secret(house, here):
    ran = here("-p", house.widget(), "-d", SLACK_TOKEN=house.tenant.webhook_url)
    assert len(house.tenant.slack_messages()) == 1
    assert "GET 127.0.0.1/api/v1/library/custom-apps: 200" in ran.stderr
    assert "POST 127.0.0.1/(not shown): 20" in ran.stderr
    webhook = house.tenant.webhook_url.partition("//")[2].partition("/")[2]
    for text in (ran.stdout, ran.stderr, house.log):
        assert house.tenant.token not in text
        assert webhook not in text


def test_without_debug_requests_are_not_shown(house, here):
    assert "/api/v1/" not in here("-p", house.widget()).stderr


# Being stopped


@pytest.fixture
def stalled(house):
    """An upload that stands still in its middle."""
    house.tenant.faults.add("POST", "**", kind="stall", nth=2, after=10, seconds=30)
    content = os.urandom(3_000_000)
    yield house.widget(content=content)
    house.tenant.released.set()


def test_ctrl_c_in_an_upload_tells_what_was_and_was_not_done(house, stalled):
    with house.terminal("-p", stalled, "-n", "Widget") as terminal:
        terminal.expect(r"Widget: create")
        while not any("upload" in request for request in house.writes()):
            pass
        terminal.ctrl_c()
        terminal.expect("interrupted")
        assert terminal.end() == 130
    assert "Traceback" not in terminal.screen
    assert house.names() == []


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_sigterm_ends_it_as_ctrl_c_does_with_its_own_exit_code(house, stalled, jobs):
    process = house.start("-p", stalled, "-p", house.folder / "none.pkg", "-p", stalled, "-j", jobs)
    try:
        while len(house.writes()) < 1:
            assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        stdout, stderr = process.communicate(timeout=20)
    finally:
        process.kill()
    assert process.returncode == 143
    assert "interrupted" in stderr
    assert f"under way: {stalled}: " in stderr
    assert "Traceback" not in stderr
    if jobs == "2":
        assert "none.pkg" in stdout, "what was tried before is told"
    assert house.names() == []


def test_a_reader_that_goes_away_is_no_traceback(house):
    process = house.start("config")
    process.stdout.close()
    stderr = process.stderr.read()
    process.wait(timeout=20)
    assert "Traceback" not in stderr
    assert "Exception ignored" not in stderr


# The progress bar


def test_on_a_terminal_there_is_a_bar_with_speed_and_time_left(house):
    house.tenant.faults.add("POST", "**", kind="slow", nth=2, bytes_per_second=4_000_000)
    path = house.widget(content=os.urandom(4_000_000))
    with house.terminal("-p", path, "-n", "Widget") as terminal:
        terminal.expect(r"upload of Widget-1\.0\.pkg  \[#+\.+\] +\d+ % of 4\.0 MB, [\d.]+ \w+/s, 0:0\d left")
        terminal.expect(r"upload of Widget-1\.0\.pkg  \[#+\] 100 % of 4\.0 MB")
        assert terminal.end() == 0


def test_elsewhere_there_are_plain_lines(house, here):
    path = house.widget(content=os.urandom(10_000_000))
    ran = here("-p", path)
    lines = [line for line in ran.stderr.splitlines() if line.startswith("upload of Widget-1.0.pkg:")]
    assert len(lines) == 10
    assert not re.search(r"[\r\x1b]", ran.stderr)


# The rest


@pytest.mark.parametrize("words", [["-v"], ["--version"], ["-p", "x.pkg", "-v"], ["upload", "--version"]])
def test_the_version(here, words):
    ran = here(*words)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert re.fullmatch(r"kandji-uploader \d+\.\d+\.\d+\n", ran.stdout)


@pytest.mark.parametrize("words", [[], ["help"], ["--help"], ["-h"]])
def test_the_overview_lists_every_command_with_examples(here, words):
    from kandji_uploader.cli import COMMANDS

    ran = here(*words)
    assert ran.returncode == 0
    assert all(re.search(rf"^  {name} +\w", ran.stdout, re.MULTILINE) for name in COMMANDS)
    assert "examples:" in ran.stdout


def test_each_command_has_help_with_examples(here):
    from kandji_uploader.cli import COMMANDS

    for name in COMMANDS:
        ran = here("help", name)
        assert ran.returncode == 0, name
        assert ran.stdout.startswith(f"usage: kandji-uploader {name}")
        assert re.search(r"[Ee]xamples:\n.*kandji-uploader", ran.stdout), name


def test_a_command_that_there_is_not(house, here):
    ran = here("uplaod")
    assert ran.returncode == 2
    assert "did you mean `kandji-uploader upload`?" in ran.stderr
    ran = here(house.widget())
    assert "kandji-uploader -p FILE" in ran.stderr


def test_a_defect_of_ours_is_told_without_a_traceback_and_without_its_text(house, here, monkeypatch):
    from kandji_uploader import api

    def broken(*args, **kwargs):
        raise RuntimeError(house.tenant.token)

    monkeypatch.setattr(api, "process_pkg", broken)
    ran = here("-p", "x.pkg")
    assert ran.returncode == 1
    assert re.search(r"a defect of ours \(RuntimeError in test_upload\.py, line \d+, version", ran.stderr)
    assert "Traceback" not in ran.stderr
    assert house.tenant.token not in ran.stderr + house.log
    assert "test_upload.py" in house.log


def test_as_root_the_token_comes_from_the_environment_only(house, tmp_path):
    from kandji_uploader.cli import root
    from kandji_uploader.errors import CredentialError

    house.config.mkdir()
    (house.config / "config.yaml").write_text("token_keystore: {environment: false, keychain: true}\n")
    without = {key: value for key, value in house.environ.items() if key != "KANDJI_TOKEN"}
    with pytest.raises(CredentialError, match="as root, the token is taken from the environment only"):
        root.refuse_keychain(without, user=0)
    root.refuse_keychain(without, user=501)
    root.refuse_keychain(house.environ, user=0)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root is refused")
def test_root_is_refused_a_token_out_of_the_keychain(house, here, monkeypatch):
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "tests.support.keyrings.FileKeyring")
    house.config.mkdir()
    (house.config / "config.yaml").write_text("token_keystore: {environment: false, keychain: true}\n")
    del house.environ["KANDJI_TOKEN"]
    ran = here("-p", house.widget())
    assert ran.returncode == Exit.TOKEN
    assert "as root" in ran.stderr
    assert house.tenant.requests == []
