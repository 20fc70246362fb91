"""Ours against macOS's own tools; collected only where these are (see conftest)."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from kandji_uploader import installer

CORPUS = Path(__file__).parent.parent / "fixtures" / "corpus"
PACKAGES = [
    "karabiner-vhid-1.6.0.pkg",
    "rtrouton-disable-gatekeeper.pkg",
    "rtrouton-fix-yosemite.pkg",
    "sparkle-test.pkg",
]
APPS = ["sparkle-DevSignedApp.zip", "rtrouton-beamoff-app.zip", "brew-caffeine.zip"]


def said(*words):
    done = subprocess.run([*map(str, words)], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def ours(path):
    return installer.inspect(path, signature=True, digest=False).signature


@pytest.mark.parametrize("name", PACKAGES)
def test_a_package_is_signed_by_whom_pkgutil_names(name):
    _, told = said("pkgutil", "--check-signature", CORPUS / name)
    found = ours(CORPUS / name)

    chain = re.search(r"^\s*1\. .*\(([A-Z0-9]{10})\)", told, re.MULTILINE)
    assert (found.team_id if found.of == "package" else None) == (chain and chain[1]), told
    assert ("no signature" in told) is (found.of != "package" or found.status == "unsigned"), told


@pytest.mark.parametrize("name", APPS)
def test_an_app_is_signed_by_whom_codesign_names(name, tmp_path):
    assert said("ditto", "-xk", CORPUS / name, tmp_path)[0] == 0
    (path,) = tmp_path.glob("*.app")
    verified, _ = said("codesign", "--verify", "--deep", "--strict", path)
    _, told = said("codesign", "--display", "--verbose=4", path)
    found = ours(CORPUS / name)

    team = re.search(r"^TeamIdentifier=([A-Z0-9]{10})$", told, re.MULTILINE)
    assert found.team_id == (team and team[1]), told
    assert (found.status in ("signed", "adhoc")) is (verified == 0), told


def test_what_we_call_notarized_spctl_does_too():
    found = ours(CORPUS / "karabiner-vhid-1.6.0.pkg")
    _, told = said("spctl", "--assess", "--verbose=2", "--type", "install", CORPUS / "karabiner-vhid-1.6.0.pkg")
    assert found.notarized is ("Notarized Developer ID" in told), told


CHANGES = {
    "a sealed file": "Contents/Resources/Base.lproj/MainMenu.nib",
    "Info.plist": "Contents/Info.plist",
    "the list of seals": "Contents/_CodeSignature/CodeResources",
}


@pytest.mark.parametrize("changed", list(CHANGES.values()), ids=list(CHANGES))
def test_what_was_changed_codesign_finds_as_we_do(changed, tmp_path):
    assert said("ditto", "-xk", CORPUS / "sparkle-DevSignedApp.zip", tmp_path)[0] == 0
    (path,) = tmp_path.glob("*.app")
    with (path / changed).open("ab") as file:
        file.write(b" ")
    packed = tmp_path / "changed.zip"
    assert said("ditto", "-ck", "--keepParent", path, packed)[0] == 0

    assert said("codesign", "--verify", "--deep", "--strict", path)[0] != 0
    assert ours(packed).status == "broken"
