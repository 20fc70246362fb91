"""What the cask API says becomes a cask, or a refusal that says why and what to do."""

from __future__ import annotations

import socket

import pytest

from kandji_uploader import homebrew
from kandji_uploader.errors import CaskError, NetworkError
from kandji_uploader.homebrew.cask import read
from tests.homebrew.conftest import QUICK
from tests.support.cask_server import cask_json


def refusal(**changes):
    with pytest.raises(CaskError) as caught:
        read(cask_json("app", **changes), arch=changes.pop("arch", "arm64"))
    return str(caught.value)


def test_a_cask_is_found_with_one_small_request(server, find):
    described = server.add("firefox", name=["Mozilla Firefox"])
    cask = find("firefox")
    assert (cask.token, cask.name, cask.version, cask.file_name) == (
        "firefox",
        "Mozilla Firefox",
        "1.0",
        "firefox-1.0.dmg",
    )
    assert cask.sha256 == described["sha256"]
    assert cask.app_names == ("Firefox.app",)
    assert cask.notes == ()
    assert server.paths() == ["/api/cask/firefox.json"]


def test_the_api_is_asked_without_credentials(server, find, monkeypatch, tmp_path):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login admin password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("KANDJI_TOKEN", "secret")
    server.add("firefox")
    find("firefox")
    assert not {"authorization", "cookie"} & {name.lower() for name in server.asked[0].headers}


def test_apple_silicon_is_the_default_and_intel_is_chosen_by_its_last_macos():
    described = cask_json(
        "zoom",
        url="https://example.com/arm64/zoom.pkg",
        artifacts=[{"pkg": ["zoom.pkg"]}],
        sha256="a" * 64,
        variations={
            "tahoe": {"url": "https://example.com/x64/zoom.pkg", "sha256": "b" * 64},
            "monterey": {"url": "https://example.com/x64/old.pkg", "sha256": "c" * 64, "version": "0.9"},
            "arm64_monterey": {"url": "https://example.com/arm64/old.pkg", "sha256": "d" * 64},
        },
    )
    arm, intel = read(described, arch="arm64"), read(described, arch="x86_64")
    assert (arm.url, arm.sha256, arm.version) == ("https://example.com/arm64/zoom.pkg", "a" * 64, "1.0")
    assert (intel.url, intel.sha256, intel.version) == ("https://example.com/x64/zoom.pkg", "b" * 64, "1.0")
    assert (arm.arch, intel.arch) == ("arm64", "x86_64")


def test_an_old_macos_is_never_chosen_where_intel_does_not_differ():
    described = cask_json("app", variations={"monterey": {"version": "0.9", "sha256": "c" * 64}})
    assert read(described, arch="x86_64").version == "1.0"


@pytest.mark.parametrize(("only", "asked"), [("intel", "arm64"), ("arm", "x86_64"), (":arm64", "x86_64")])
def test_a_cask_that_does_not_run_on_the_architecture_is_refused(only, asked):
    described = cask_json("app", depends_on={"arch": [{"type": only, "bits": 64}]})
    with pytest.raises(CaskError, match=f"does not run on {asked}, only on .*--arch"):
        read(described, arch=asked)


def test_an_architecture_that_macs_do_not_have_is_refused(find):
    with pytest.raises(CaskError, match=r"'riscv' is unknown; use arm64"):
        find("app", arch="riscv")


def test_an_unknown_cask_names_those_that_may_be_meant(server, find):
    for token in ("google-chrome", "google-drive", "slack"):
        server.add(token)
    with pytest.raises(CaskError, match=r"no Homebrew cask 'google-chrom'; did you mean google-chrome"):
        find("google-chrom")
    with pytest.raises(CaskError, match=r"'Google Chrome'; did you mean google-chrome\?"):
        find("Google Chrome")
    with pytest.raises(CaskError, match=r"'qqqqqqqq'; look its name up"):
        find("qqqqqqqq")


@pytest.mark.parametrize("token", ["../secret", "a/b", "%2e%2e", "x?y=1", "", "a b"])
def test_a_name_that_would_change_the_address_is_never_put_into_one(server, find, token):
    with pytest.raises(CaskError):
        find(token)
    assert set(server.paths()) <= {"/api/cask.json"}


def test_a_third_party_tap_is_left_to_brew(server, find):
    with pytest.raises(CaskError, match=r"third-party tap.*--use-brew"):
        find("someone/tap/app")
    assert server.asked == []


def test_a_renamed_cask_is_followed_and_its_new_name_told(server, find):
    server.add("zoom", old_tokens=["zoomus"])
    cask = find("zoomus")
    assert cask.token == "zoom"
    assert cask.notes == ("the cask 'zoomus' is now called 'zoom'; use that name",)


def test_a_disabled_cask_is_refused_with_date_reason_and_replacement():
    said = refusal(
        disabled=True,
        disable_date="2026-09-01",
        disable_reason="fails_gatekeeper_check",
        disable_replacement_cask="other",
    )
    assert "disabled in Homebrew (2026-09-01, fails gatekeeper check, replaced by other)" in said


def test_a_deprecated_cask_is_published_with_a_note():
    cask = read(cask_json("app", deprecated=True, deprecation_reason="discontinued"), arch="arm64")
    assert cask.notes == ("the cask 'app' is deprecated in Homebrew (discontinued); look for a replacement",)


def test_a_cask_without_checksum_is_refused_unless_that_is_allowed():
    assert "has no sha256" in refusal(sha256="no_check")
    assert "--allow-no-checksum" in refusal(sha256="no_check")
    allowed = read(cask_json("app", sha256="no_check"), arch="arm64", allow_no_checksum=True)
    assert allowed.sha256 is None


@pytest.mark.parametrize("wrong", ["abc", "g" * 64, "../../etc/passwd"])
def test_a_sha256_that_is_none_is_refused_even_where_none_is_needed(wrong):
    with pytest.raises(CaskError, match=r"a sha256 that is none"):
        read(cask_json("app", sha256=wrong), arch="arm64", allow_no_checksum=True)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"url": "https://example.com/app.tar.xz"}, "a .xz file ('app.tar.xz')"),
        ({"url": "https://example.com/app.7z"}, "a .7z file"),
        ({"url": "https://example.com/app.tgz?dl=1"}, "a .tgz file"),
        ({"container": {"nested": "inner.dmg"}}, "inside another archive ('inner.dmg')"),
        ({"artifacts": [{"installer": [{"manual": "Install.app"}]}]}, "an installer program"),
        ({"artifacts": [{"app": ["A.app"]}, {"installer": [{"script": {}}]}]}, "an installer program"),
        ({"artifacts": [{"binary": ["tool"]}, {"zap": []}]}, "neither an app nor a .pkg (but: binary)"),
        ({"artifacts": [{"font": ["F.ttf"], "target": "/x"}]}, "(but: font)"),
        ({"artifacts": [{"suite": ["Folder"]}]}, "(but: suite)"),
        ({"artifacts": []}, "(but: nothing)"),
        ({"url": "https://example.com/app.zip", "artifacts": [{"pkg": ["A.pkg"]}]}, "a .zip that holds a .pkg"),
    ],
)
def test_what_kandji_could_not_install_is_refused_with_the_reason(changes, reason):
    said = refusal(**changes)
    assert reason in said
    assert "Kandji takes a .pkg, a .dmg" in said


@pytest.mark.parametrize(
    "specs", [{"using": ":post", "data": {"a": "b"}}, {"using": "git", "branch": "main"}, {"only_path": "fonts"}]
)
def test_a_download_that_is_not_a_plain_get_is_refused(specs):
    assert "not a plain download" in refusal(url_specs=specs)


def test_a_cask_for_linux_or_without_address_is_refused():
    assert "for Linux only" in refusal(depends_on={"linux": True})
    assert "names no download" in refusal(url=None)


def test_what_the_download_needs_besides_the_address_is_kept():
    cask = read(
        cask_json(
            "app",
            url_specs={
                "verified": "example.com",
                "user_agent": ":fake",
                "referer": "https://example.com/get",
                "cookies": {"eula": "yes", "os": "mac"},
                "headers": ["Accept: application/octet-stream", "X-Build: 7:1"],
            },
        ),
        arch="arm64",
    )
    headers = dict(cask.headers)
    assert headers.pop("User-Agent").startswith("Mozilla/5.0")
    assert headers == {
        "Referer": "https://example.com/get",
        "Cookie": "eula=yes; os=mac",
        "Accept": "application/octet-stream",
        "X-Build": "7:1",
    }
    assert dict(read(cask_json("app"), arch="arm64").headers)["User-Agent"].startswith("KandjiUploader/")
    assert "asks for a header that is none" in refusal(url_specs={"headers": ["no colon"]})


def test_what_homebrew_would_also_do_is_told():
    cask = read(
        cask_json(
            "app",
            artifacts=[
                {"app": ["A.app"], "target": "/Applications/A.app"},
                {"binary": ["A.app/Contents/MacOS/a", {"target": "a"}]},
                {"postflight": None},
                {"uninstall_preflight": None},
                {"uninstall": [{"quit": "a"}]},
            ],
            depends_on={"cask": ["java"], "macos": {">=": ["12"]}},
        ),
        arch="arm64",
    )
    assert "binary, postflight of the cask" in cask.notes[0]
    assert "needs java" in cask.notes[1]
    assert len(cask.notes) == 2
    choices = read(cask_json("app", artifacts=[{"pkg": ["A.pkg", {"choices": [{}]}]}]), arch="arm64")
    assert "default choices" in choices.notes[0]


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://example.com/Firefox%20128.0.dmg", "Firefox 128.0.dmg"),
        ("https://example.com/client/6.1/zoom.pkg?archType=arm64", "zoom.pkg"),
        ("https://example.com/api/download?platform=osx", "app-1.0"),
        ("https://example.com/..%2f..%2f.evil.dmg", "-..-.evil.dmg"),
        ("https://example.com/a%0ab.dmg", "a-b.dmg"),
        ("https://example.com/" + "x" * 400 + ".dmg", "x" * 196 + ".dmg"),
    ],
)
def test_the_file_name_is_the_vendors_own_and_stays_in_its_folder(url, name):
    assert read(cask_json("app", url=url), arch="arm64").file_name == name


def test_no_network_is_one_sentence_that_names_the_host(tmp_path):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{unused.getsockname()[1]}"
    with pytest.raises(NetworkError, match=f"{address}/cask/app.json: 127.0.0.1 was not reached. Check the network"):
        homebrew.find("app", environ={"HOMEBREW_API_DOMAIN": address}, policy=QUICK)


@pytest.mark.parametrize(
    "domain", ["http://mirror.example.com/api", "https://user:secret@mirror.example.com", "mirror", "ftp://x/"]
)
def test_the_api_is_asked_over_https_without_a_login_only(domain):
    with pytest.raises(CaskError) as caught:
        homebrew.find("app", environ={"HOMEBREW_API_DOMAIN": domain}, policy=QUICK)
    assert "secret" not in str(caught.value)


def test_an_api_that_answers_something_else_is_told_from_an_unknown_cask(server, find):
    server.offer("/api/cask/page.json", b"<html>sign in</html>")
    server.casks["list"] = []
    environ = {"HOMEBREW_API_DOMAIN": f"{server.url}/elsewhere"}
    server.offer("/elsewhere/cask/page.json", b"<html>sign in</html>")
    with pytest.raises(NetworkError, match=r"did not answer with JSON; is a proxy"):
        homebrew.find("page", environ=environ, policy=QUICK)
    with pytest.raises(CaskError, match=r"not a list of casks; is HOMEBREW_API_DOMAIN right"):
        homebrew.find("other", environ=environ, policy=QUICK)
    with pytest.raises(CaskError, match=r"describes no cask"):
        find("list")


def test_an_api_that_is_busy_is_asked_again(server):
    server.offer("/busy/cask/app.json", b'{"token": "app"}', faults=["status 503", "status 429"])
    with pytest.raises(CaskError, match=r"names no download"):
        homebrew.find("app", environ={"HOMEBREW_API_DOMAIN": f"{server.url}/busy"}, policy=QUICK)
    assert len(server.asked) == 3
