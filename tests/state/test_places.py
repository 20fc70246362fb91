"""Where the state is: apart from the settings, moved there once, and nowhere in a dry run."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from kandji_uploader import settings, state
from kandji_uploader._util.places import state_folder
from kandji_uploader.cli.failures import Exit
from kandji_uploader.errors import SettingsError, StateError
from kandji_uploader.rehearsal import RehearsalTenant
from kandji_uploader.state import JournalEntry, StateStore
from tests.support import stranger
from tests.support.installers import app_pkg

URL = {"KANDJI_API_URL": "https://acme.api.kandji.io"}
UPLOAD = JournalEntry("a" * 64, "key/a", 10, 1000.0)


@pytest.fixture
def world(tmp_path):
    """A tenant, and a home folder; what was closed to everybody is opened again at the end."""
    folder = tmp_path / "home"
    folder.mkdir()
    with RehearsalTenant(tmp_path / "tenant") as tenant:
        yield tenant, folder
    for place in (folder, *folder.glob("*")):
        if place.is_dir():
            place.chmod(0o755)


def environ_of(tenant, folder, **more):
    return {
        "HOME": str(folder),
        "KANDJI_API_URL": tenant.url,
        "KANDJI_TOKEN": tenant.token,
        "KANDJI_UPLOADER_DIR": str(folder / "config"),
        **more,
    }


def there(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


def read_only(folder):
    for place in (folder, *folder.rglob("*")):
        if place.is_dir():
            place.chmod(0o555)


@pytest.mark.parametrize(
    ("platform", "environ", "folder"),
    [
        ("darwin", {}, "/Users/x/Library/Application Support/KandjiUploader/state"),
        ("linux", {}, "/Users/x/.local/state/KandjiUploader"),
        ("linux", {"XDG_STATE_HOME": "/s"}, "/s/KandjiUploader"),
        ("linux", {"XDG_STATE_HOME": "relative"}, "/Users/x/.local/state/KandjiUploader"),
        ("linux", {"KANDJI_UPLOADER_DIR": "/config"}, "/Users/x/.local/state/KandjiUploader"),
    ],
)
def test_the_state_is_where_the_platform_keeps_it(platform, environ, folder):
    assert state_folder({"HOME": "/Users/x", **environ}, platform) == Path(folder)


def test_a_variable_wins_over_the_key_of_the_config_file_and_that_over_the_platform(tmp_path):
    environ = {**URL, "HOME": str(tmp_path), "KANDJI_UPLOADER_DIR": str(tmp_path)}

    def where(**more):
        held = settings.load({}, given_origin="x", caller="python", environ={**environ, **more}).settle()
        assert settings.early({**environ, **more}).state_folder == held.state_folder
        return held.state_folder

    assert where() == state_folder(environ)
    (tmp_path / "config.yaml").write_text("state_folder: /var/lib/kandji\n")
    assert where() == Path("/var/lib/kandji")
    assert where(KANDJI_UPLOADER_STATE_DIR="/srv/state") == Path("/srv/state")


def test_a_relative_state_folder_is_refused_with_what_is_accepted(tmp_path):
    (tmp_path / "config.yaml").write_text("state_folder: here\n")
    with pytest.raises(SettingsError, match=r"state_folder is 'here': must be an absolute path"):
        settings.load({}, given_origin="x", caller="python", environ=URL, folder=tmp_path)


def test_a_dry_run_takes_no_lock_and_writes_nothing_where_everything_is_read_only(world):
    tenant, folder = world
    installer = app_pkg(folder / "Widget-1.0.pkg", version="1.0")
    (folder / "config").mkdir()
    read_only(folder)
    before = there(folder)
    ran = stranger.run("-p", installer, "-n", "Widget", "-y", **environ_of(tenant, folder))
    assert (ran.returncode, ran.stderr.count("warning")) == (0, 0), ran.stderr
    assert "would create" in ran.stdout
    assert there(folder) == before


def test_a_dry_run_leaves_no_trace_where_it_could(world):
    tenant, folder = world
    installer = app_pkg(folder / "Widget-1.0.pkg", version="1.0")
    environ = environ_of(tenant, folder)
    before = there(folder)
    assert stranger.run("-p", installer, "-n", "Widget", "-y", **environ).returncode == 0
    assert there(folder) == before
    (folder / "config").mkdir()
    (folder / "config" / "config.yaml").write_text("zz_defaults:\n  dry_run: true\n")
    before = there(folder)
    assert stranger.run("-p", installer, "-n", "Widget", **environ).returncode == 0
    assert there(folder) == before


def test_a_read_only_settings_folder_is_enough_for_a_run(world):
    tenant, folder = world
    installer = app_pkg(folder / "Widget-1.0.pkg", version="1.0")
    (folder / "config").mkdir()
    (folder / "config" / "config.yaml").write_text("zz_defaults:\n  self_service_category: Apps\n")
    (folder / "writable").mkdir()
    (folder / "config").chmod(0o555)
    environ = environ_of(tenant, folder, XDG_STATE_HOME=str(folder / "writable"))
    ran = stranger.run("-p", installer, "-n", "Widget", **environ)
    assert ran.returncode == 0, ran.stderr
    assert [app["name"] for app in tenant.apps()] == ["Widget"]
    assert (folder / "writable" / "KandjiUploader" / "kandji-uploader.log").stat().st_size


@pytest.mark.parametrize(
    "words", [["-p", "{pkg}", "-n", "W"], ["doctor"], ["config"], ["schedule", "status"], ["setup", "-c"]]
)
@pytest.mark.parametrize("whose", ["config", "state"])
def test_a_folder_of_another_user_is_a_clear_error(world, words, whose):
    tenant, folder = world
    installer = app_pkg(folder / "Widget-1.0.pkg", version="1.0")
    for name in ("config", "state"):
        (folder / name / "inside").mkdir(parents=True)
    (folder / whose).chmod(0o000)
    places = {"KANDJI_UPLOADER_DIR": "config", "KANDJI_UPLOADER_STATE_DIR": "state"}
    inside = {name: str(folder / place / "inside") for name, place in places.items()}
    ran = stranger.run(*(word.format(pkg=installer) for word in words), **{**environ_of(tenant, folder), **inside})
    told = ran.stdout + ran.stderr
    assert "a defect of ours" not in told
    assert "Traceback" not in told
    concerned = whose == "config" or words[0] in ("-p", "doctor")
    if concerned:
        assert "ermission" in told, told
        assert str(folder / whose) in told
        assert ran.returncode == (Exit.SETTINGS if whose == "config" and words[0] != "doctor" else Exit.FAILED)
    assert tenant.apps() == []


# A former version kept the state inside the settings folder


def former(folder):
    """A settings folder as a former version left it."""
    StateStore(folder / "config" / "state", "https://t").note_upload(UPLOAD)
    (folder / "config" / "downloads" / "abc").mkdir(parents=True)
    (folder / "config" / "config.yaml").write_text("")
    return folder / "config", folder / "moved"


def test_a_state_inside_the_settings_folder_is_moved_over_once(tmp_path):
    config, place = former(tmp_path)
    state.adopt(config, place)
    assert StateStore(place, "https://t").uploads(1001) == (UPLOAD,)
    assert (place / "downloads" / "abc").is_dir()
    assert sorted(path.name for path in config.iterdir()) == ["config.yaml"]
    state.adopt(config, place)
    assert StateStore(place, "https://t").uploads(1001) == (UPLOAD,)


def test_what_is_in_the_new_place_already_stays(tmp_path):
    config, place = former(tmp_path)
    StateStore(place, "https://t").note_upload(JournalEntry("b" * 64, "key/b", 10, 1000.0))
    state.adopt(config, place)
    assert [entry.sha256[0] for entry in StateStore(place, "https://t").uploads(1001)] == ["b"]
    assert StateStore(config / "state", "https://t").uploads(1001) == (UPLOAD,), "and nothing is lost"


def test_a_state_that_cannot_be_moved_is_copied_whole(tmp_path, monkeypatch):
    config, place = former(tmp_path)

    def across(self, target):
        if "draft" in self.name:
            return rename(self, target)
        raise OSError(18, "Invalid cross-device link")

    rename = Path.rename
    monkeypatch.setattr(Path, "rename", across)
    state.adopt(config, place)
    assert StateStore(place, "https://t").uploads(1001) == (UPLOAD,)
    assert not (config / "state").exists()


def test_two_processes_move_it_once_and_lose_nothing(tmp_path):
    config, place = former(tmp_path)
    for number in range(40):
        (config / "state" / f"{number}.json").write_text("[1]")
    program = f"""
import sys
sys.stdin.readline()
from pathlib import Path
from kandji_uploader import state
state.adopt(Path({str(config)!r}), Path({str(place)!r}))
print(len(state.StateStore(Path({str(place)!r}), "https://t").uploads(1001)))
"""
    words = [sys.executable, "-c", program]
    runs = [subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    for run in runs:
        run.stdin.write("go\n")
        run.stdin.flush()
    assert [run.communicate(timeout=30)[0] for run in runs] == ["1\n", "1\n"]
    assert len(list(place.glob("*.json"))) == 40
    assert not (config / "state").exists()


def test_a_state_that_has_to_be_moved_where_nothing_can_be_written_is_told(tmp_path):
    config, place = former(tmp_path)
    place.write_text("in the way")
    with pytest.raises(StateError, match="KANDJI_UPLOADER_STATE_DIR"):
        state.adopt(config, place)
    assert StateStore(config / "state", "https://t").uploads(1001) == (UPLOAD,)


def test_a_run_goes_on_with_what_a_former_version_remembered(world, tmp_path):
    tenant, folder = world
    config = folder / "config"
    before = {**environ_of(tenant, folder), "KANDJI_UPLOADER_STATE_DIR": str(config / "state")}
    words = [sys.executable, "-m", "kandji_uploader", "-p", str(app_pkg(tmp_path / "W.pkg", version="1")), "-n", "W"]
    words += ["--enforcement", "install_once"]  # so that no script is tried, which takes its time
    env = {**before, "PATH": "/nowhere", "PYTHONPATH": str(stranger.ROOT / "shared")}
    subprocess.run(words, env=env, check=True, capture_output=True)
    del env["KANDJI_UPLOADER_STATE_DIR"]
    subprocess.run([*words, "-y"], env=env, check=True, capture_output=True)
    assert (config / "state").exists(), "a dry run moves nothing"
    subprocess.run(words, env=env, check=True, capture_output=True)
    assert not (config / "state").exists()
    moved = folder / ".local" / "state" / "KandjiUploader"
    if sys.platform != "darwin":
        (history,) = moved.glob("*/history/*.json")
        assert json.loads(history.read_text())[0]["name"] == "W"
