"""Where `brew` is installed it can be asked to download; a stand-in on PATH plays its part."""

from __future__ import annotations

import hashlib
import json
import sys
import textwrap

import pytest

from kandji_uploader import homebrew
from kandji_uploader.errors import CaskError
from tests.support.cask_server import cask_json, installer

BODY = installer("brew's download")
SHA256 = hashlib.sha256(BODY).hexdigest()

STAND_IN = textwrap.dedent("""\
    #!{python}
    import json, os, sys
    from pathlib import Path
    here = Path(__file__).parent
    with (here / "calls").open("a") as calls:
        calls.write(json.dumps([sys.argv[1:], sorted(os.environ)]) + "\\n")
    cellar = here / "cache" / "downloads" / ("f" * 64 + "--App 1.0.dmg")
    if sys.argv[1] == "info":
        if "app" not in sys.argv[-1]:
            sys.exit("Error: Cask 'nope' is unavailable: No Cask with this name exists.")
        print((here / "info.json").read_text())
    elif sys.argv[1] == "fetch":
        cellar.parent.mkdir(parents=True, exist_ok=True)
        cellar.write_bytes((here / "body").read_bytes())
        link = here / "cache" / "app--1.0.dmg"
        link.unlink(missing_ok=True)
        link.symlink_to(cellar)
        print("Warning: Cask reports different checksum", file=sys.stderr)
    else:
        print("==> noise")
        print(here / "cache" / "app--1.0.dmg")
""")


@pytest.fixture
def brew(tmp_path, server):
    """A folder with the stand-in and what it answers; `environ` has it on PATH."""

    class Brew:
        def __init__(self):
            self.folder = tmp_path / "bin"
            path = f"{self.folder}:/usr/bin:/bin"
            self.environ = {"PATH": path, "HOME": str(tmp_path), "KANDJI_TOKEN": "secret", **server.environ}

        def describe(self, **changes):
            casks = [cask_json("app", sha256=SHA256, **changes)]
            (self.folder / "info.json").write_text(json.dumps({"formulae": [], "casks": casks}))

        def calls(self):
            return [json.loads(line)[0] for line in (self.folder / "calls").read_text().splitlines()]

        def seen_environment(self):
            return {name for line in (self.folder / "calls").read_text().splitlines() for name in json.loads(line)[1]}

    brew = Brew()
    brew.folder.mkdir()
    program = brew.folder / "brew"
    program.write_text(STAND_IN.format(python=sys.executable))
    program.chmod(0o755)
    (brew.folder / "body").write_bytes(BODY)
    brew.describe()
    return brew


def test_brew_downloads_and_the_file_keeps_the_vendors_name(brew, tmp_path):
    cask = homebrew.find_with_brew("app", environ=brew.environ, platform="darwin")
    told = []
    path = homebrew.fetch_with_brew(
        cask, tmp_path / "cache", lambda *each: told.append(each), environ=brew.environ, platform="darwin"
    )
    assert path == tmp_path / "cache" / SHA256 / "App 1.0.dmg"
    assert path.read_bytes() == BODY
    assert told == [(len(BODY), len(BODY))]
    assert brew.calls() == [
        ["info", "--cask", "--json=v2", "app"],
        ["fetch", "--cask", "--arch=arm", "app"],
        ["--cache", "--cask", "--arch=arm", "app"],
    ]


def test_on_linux_the_newest_macos_is_asked_for(brew, tmp_path):
    cask = homebrew.find_with_brew("app", environ=brew.environ, platform="linux")
    homebrew.fetch_with_brew(cask, tmp_path / "cache", environ=brew.environ, platform="linux")
    assert brew.calls()[1:] == [
        ["fetch", "--cask", "--arch=arm", "--os=golden_gate", "app"],
        ["--cache", "--cask", "--arch=arm", "--os=golden_gate", "app"],
    ]


def test_intel_is_asked_for_by_its_last_macos(brew, tmp_path):
    brew.describe(variations={"tahoe": {"version": "1.0-intel"}})
    cask = homebrew.find_with_brew("app", arch="x86_64", environ=brew.environ, platform="linux")
    assert cask.version == "1.0-intel"
    homebrew.fetch_with_brew(cask, tmp_path / "cache", environ=brew.environ, platform="linux")
    assert brew.calls()[1] == ["fetch", "--cask", "--arch=intel", "--os=tahoe", "app"]


def test_on_linux_a_taps_cask_is_read_for_the_newest_macos_and_not_for_linux(brew):
    brew.describe(
        full_token="me/tap/app", url=None, variations={"arm64_golden_gate": {"url": "https://example.com/mac.dmg"}}
    )
    cask = homebrew.find_with_brew("me/tap/app", environ=brew.environ, platform="linux")
    assert (cask.token, cask.url) == ("me/tap/app", "https://example.com/mac.dmg")


def test_what_was_fetched_before_is_not_fetched_again(brew, tmp_path):
    cask = homebrew.find_with_brew("app", environ=brew.environ, platform="darwin")
    for _ in range(2):
        homebrew.fetch_with_brew(cask, tmp_path / "cache", environ=brew.environ, platform="darwin")
    assert [call[0] for call in brew.calls()] == ["info", "fetch", "--cache"]


def test_a_wrong_sha256_that_brew_only_warns_of_is_refused(brew, tmp_path):
    cask = homebrew.find_with_brew("app", environ=brew.environ, platform="darwin")
    (brew.folder / "body").write_bytes(installer("another"))
    with pytest.raises(CaskError, match=f"but the cask says {SHA256}.*brew update"):
        homebrew.fetch_with_brew(cask, tmp_path / "cache", environ=brew.environ, platform="darwin")
    assert not list((tmp_path / "cache").rglob("*.dmg"))


def test_brew_gets_no_secrets(brew):
    homebrew.find_with_brew("app", environ={**brew.environ, "HTTPS_PROXY": "http://127.0.0.1:9"}, platform="darwin")
    assert {"PATH", "HOME", "HOMEBREW_API_DOMAIN", "HTTPS_PROXY"} <= brew.seen_environment()
    assert "KANDJI_TOKEN" not in brew.seen_environment()


def test_what_brew_says_of_an_unknown_cask_is_told(brew):
    with pytest.raises(CaskError, match=r"failed \(exit code 1\). It said: .*No Cask with this name exists"):
        homebrew.find_with_brew("nope", environ=brew.environ, platform="darwin")


@pytest.mark.parametrize("token", ["-x", "--version", "a b", "$(id)", ""])
def test_a_name_that_brew_would_read_as_an_option_is_refused(brew, token):
    with pytest.raises(CaskError, match=r"no Homebrew cask"):
        homebrew.find_with_brew(token, environ=brew.environ)
    assert not (brew.folder / "calls").exists()


def test_without_brew_the_advice_is_to_leave_it_out(tmp_path):
    with pytest.raises(CaskError, match=r"`brew` is not on PATH; install Homebrew, or leave out `--use-brew`"):
        homebrew.find_with_brew("app", environ={"PATH": str(tmp_path)}, platform="darwin")


def test_a_cask_that_kandji_cannot_install_is_refused_before_the_download(brew):
    brew.describe(artifacts=[{"binary": ["tool"]}])
    with pytest.raises(CaskError, match=r"neither an app nor a .pkg"):
        homebrew.find_with_brew("app", environ=brew.environ, platform="darwin")
    assert [call[0] for call in brew.calls()] == ["info"]


def test_a_folder_that_cannot_be_written_is_one_sentence(brew, tmp_path):
    (tmp_path / "file").write_text("")
    cask = homebrew.find_with_brew("app", environ=brew.environ, platform="darwin")
    with pytest.raises(CaskError, match="cannot take the cask 'app'"):
        homebrew.fetch_with_brew(cask, tmp_path / "file" / "cache", environ=brew.environ, platform="darwin")


def test_brews_own_file_is_left_as_it_is(brew, tmp_path):
    cask = homebrew.find_with_brew("app", environ=brew.environ, platform="darwin")
    path = homebrew.fetch_with_brew(cask, tmp_path / "cache", environ=brew.environ, platform="darwin")
    original = next((brew.folder / "cache" / "downloads").iterdir())
    assert original.read_bytes() == BODY
    path.unlink()
    assert original.exists()
