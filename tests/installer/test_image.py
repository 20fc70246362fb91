"""Disk images: through 7-Zip, and through `hdiutil` with a stand-in that mounts a folder."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from kandji_uploader import installer
from kandji_uploader.errors import InstallerError, ToolMissingError
from kandji_uploader.installer import signature
from kandji_uploader.installer.choice import Wish
from kandji_uploader.installer.contents import read_contents
from kandji_uploader.installer.found import settle
from kandji_uploader.installer.limits import MalformedError
from kandji_uploader.installer.mounted import attached
from kandji_uploader.models import InstallType
from tests.support import formats, signing
from tests.support.formats import app, component, info_plist, payload, xar

CORPUS = Path(__file__).parent.parent / "fixtures" / "corpus"
IMAGE = CORPUS / "relic-dummy.dmg"

on_linux = pytest.mark.skipif(sys.platform == "darwin", reason="macOS reads images by hdiutil")


def _program(folder, name, text):
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text("#!/bin/sh\n" + textwrap.dedent(text))
    path.chmod(0o755)
    return path


@pytest.fixture
def path_of(tmp_path, monkeypatch):
    """A PATH that holds only our stand-ins and what a shell needs."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


@on_linux
def test_without_7zip_the_error_says_what_to_install(path_of):
    with pytest.raises(ToolMissingError, match="apt-get install 7zip") as caught:
        installer.inspect(IMAGE)
    assert str(IMAGE) in str(caught.value)


@on_linux
def test_an_old_7zip_is_not_used(path_of):
    _program(path_of, "7z", "echo '7-Zip [64] 16.02 : Copyright (c) 1999-2016 Igor Pavlov'")
    with pytest.raises(ToolMissingError, match=r"16\.2.*too old"):
        installer.inspect(IMAGE)


@on_linux
def test_a_program_that_is_no_7zip_is_not_used(path_of):
    _program(path_of, "7zz", "exit 1")
    with pytest.raises(ToolMissingError, match="unknown"):
        installer.inspect(IMAGE)


NEW = "[ $# -gt 0 ] || { echo '7-Zip (z) 26.02 (x64) : Copyright'; exit 0; }\n"


@on_linux
def test_what_7zip_says_is_passed_on(path_of):
    _program(path_of, "7zz", NEW + "echo 'ERRORS:' >&2; echo 'Unexpected end of archive' >&2; exit 2")
    with pytest.raises(InstallerError, match="Unexpected end of archive"):
        installer.inspect(IMAGE)


@on_linux
def test_an_endless_listing_is_refused(path_of):
    _program(path_of, "7zz", NEW + "echo ----------; while :; do echo 'Path = a'; echo; done")
    with pytest.raises(InstallerError, match="more than 200,000 files"):
        installer.inspect(IMAGE)


@on_linux
def test_an_endless_file_is_refused(path_of):
    _program(
        path_of,
        "7zz",
        NEW
        + """\
        if [ "$1" = l ]; then printf -- '----------\\nPath = A.app/Contents/Info.plist\\nSize = 10\\n\\n'; exit 0; fi
        while :; do echo 0123456789012345678901234567890123456789; done
        """,
    )
    with pytest.raises(InstallerError, match="larger than 2 MiB"):
        installer.inspect(IMAGE)


@on_linux
def test_an_image_in_which_7zip_finds_no_volume(path_of):
    _program(path_of, "7zz", NEW + "printf 'Type = Dmg\\n----------\\nPath = 0.hfs\\nSize = 1\\n\\n'")
    with pytest.raises(InstallerError, match="volume"):
        installer.inspect(IMAGE)


def test_an_encrypted_image_is_refused_by_name_without_any_tool(path_of):
    with pytest.raises(InstallerError, match="encrypted"):
        installer.inspect(CORPUS / "dmgwiz-aes256.dmg")


HDIUTIL = """\
# $HOME/volumes holds what the image has; mounting is copying
PATH=/usr/bin:/bin
echo "$@" >> "$HOME/log"
case "$1" in
attach)
    [ -f "$HOME/broken" ] && { echo 'hdiutil: attach failed - no mountable file systems' >&2; exit 1; }
    read answer; echo "answered $answer" >> "$HOME/log"
    while [ "$1" != -mountrandom ]; do shift; done
    for volume in "$HOME"/volumes/*; do cp -RP "$volume" "$2/dmg.$(basename "$volume")"; done
    echo attached >> "$HOME/log";;
detach)
    [ -f "$HOME/busy" ] && { rm "$HOME/busy"; exit 16; }
    rm -rf "$2";;
esac
exit 0
"""


@pytest.fixture
def mac(tmp_path, monkeypatch):
    """A stand-in for hdiutil; returns its home, whose `volumes` folder holds what an image has."""
    home = tmp_path / "home"
    (home / "volumes" / "Example").mkdir(parents=True)
    (home / "tmp").mkdir()
    _program(tmp_path / "bin", "hdiutil", HDIUTIL)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    monkeypatch.setenv("TMPDIR", str(home / "tmp"))
    monkeypatch.setattr("tempfile.tempdir", None)
    return home


def _put(home, members, volume="Example"):
    for name, mode, data in members:
        place = home / "volumes" / volume / name.removeprefix("./")
        if mode == formats.FOLDER:
            place.mkdir(parents=True, exist_ok=True)
        else:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(data)


def _read(home, **wish):
    with attached(home / "Any.dmg") as image:
        found = read_contents(image, Wish(**wish))
    return settle(found, Wish(**wish), InstallType.IMAGE, 1)


def _log(home):
    return (home / "log").read_text()


def test_a_mounted_app_is_read_and_the_image_detached(mac):
    _put(mac, app(folder=".", signed=True))
    facts = _read(mac)

    assert (facts.app_name, facts.bundle_id, facts.version) == ("Example.app", "com.example.app", "1.2.3")
    assert facts.signed
    assert list((mac / "tmp").iterdir()) == []
    attach = next(line for line in _log(mac).splitlines() if line.startswith("attach "))
    for option in ("-readonly", "-nobrowse", "-noautoopen"):
        assert option in attach
    assert "answered Y" in _log(mac)


def test_who_signed_a_mounted_app_is_read_from_the_volume(mac):
    plist = info_plist(CFBundleExecutable="Run")
    code = signing.Program(signing.developer_id("app"), {1: plist, 3: formats.SEALS}).made()
    _put(mac, [*app(folder=".", plist=plist, signed=True), ("Example.app/Contents/MacOS/Run", formats.FILE, code)])

    def look():
        with attached(mac / "Any.dmg") as image:
            return signature.of_contents(image, read_contents(image, Wish()), Wish(), signing.developer_id("app").root)

    assert (str(look()), look().of) == ("signed by Jane Doe (ABCDE12345)", "app")
    folder = mac / "volumes" / "Example" / "Example.app" / "Contents"
    (folder / "MacOS").rename(mac / "outside")
    (folder / "MacOS").symlink_to(mac / "outside")
    assert "main executable 'Run' is missing" in str(look())


def test_a_package_on_a_mounted_volume_is_read_in_place(mac):
    _put(mac, [("Example.pkg", formats.FILE, xar(component(payload=payload(app()))))])

    assert (_read(mac).app_name, _read(mac).package_id) == ("Example.app", "com.example.pkg")


def test_several_volumes(mac):
    _put(mac, app("One.app", "."), "One")
    _put(mac, app("Two.app", ".", info_plist("com.example.two")), "Two")

    assert _read(mac).ambiguous == ("One.app", "Two.app")
    assert _read(mac, bundle_id="com.example.two").app_name == "Two.app"
    assert list((mac / "tmp").iterdir()) == []


def test_links_on_a_volume_are_not_followed(mac, tmp_path):
    outside = tmp_path / "outside"
    (outside / "Evil.app" / "Contents").mkdir(parents=True)
    (outside / "Evil.app" / "Contents" / "Info.plist").write_bytes(info_plist("com.example.evil"))
    _put(mac, app(folder="."))
    volume = mac / "volumes" / "Example"
    (volume / "Applications").symlink_to(outside)
    (volume / "Linked.app").symlink_to(outside / "Evil.app")
    (volume / "Half.app").mkdir()
    (volume / "Half.app" / "Contents").symlink_to(outside / "Evil.app" / "Contents")
    facts = _read(mac)

    assert {one.name for one in facts.apps} == {"Example.app", "Half.app"}
    assert "com.example.evil" not in {one.bundle_id for one in facts.apps}


def test_a_volume_that_is_busy_is_detached_at_the_next_try(mac):
    _put(mac, app(folder="."))
    (mac / "busy").touch()
    _read(mac)

    assert _log(mac).count("detach") == 2
    assert list((mac / "tmp").iterdir()) == []


def test_an_image_that_cannot_be_attached(mac):
    (mac / "broken").touch()
    with pytest.raises(MalformedError, match="no mountable file systems"):
        _read(mac)
    assert list((mac / "tmp").iterdir()) == []


def test_an_error_while_reading_detaches_too(mac):
    _put(mac, app(folder="."))
    with pytest.raises(ZeroDivisionError), attached(mac / "Any.dmg"):
        raise ZeroDivisionError
    assert list((mac / "tmp").iterdir()) == []


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_the_image_is_detached_even_when_we_are_killed(mac, how):
    _put(mac, app(folder="."))
    script = "import sys, time; from pathlib import Path; from kandji_uploader.installer.mounted import attached\n"
    script += "with attached(Path('Any.dmg')):\n    print('attached', flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, env=os.environ.copy()) as process:
        assert process.stdout.readline() == b"attached\n"
        process.send_signal(how)
    deadline = time.monotonic() + 20
    while list((mac / "tmp").iterdir()) and time.monotonic() < deadline:
        time.sleep(0.05)

    assert list((mac / "tmp").iterdir()) == []
    assert "detach" in _log(mac)
