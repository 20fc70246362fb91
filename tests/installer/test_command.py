"""`kandji-uploader inspect`: a card, or JSON for machines."""

from __future__ import annotations

import json

import pytest

from kandji_uploader.cli import main
from kandji_uploader.cli.failures import Exit
from tests.support import formats
from tests.support.formats import app, bundle, component, info_plist, package_info, payload, xar

KEYS = {
    *("type", "app_name", "bundle_id", "version", "version_key", "package_id", "package_version", "minimum_os_version"),
    *("signed", "apps", "packages", "sha256", "size", "warnings", "ambiguous", "file"),
    *("signature", "content", "content_unknown"),
}


@pytest.fixture
def whole(tmp_path):
    """A package whose metadata says all."""
    return formats.write(
        tmp_path / "Whole.pkg", xar(component(info=package_info(bundles=[bundle()])), signatures=("signature",))
    )


def test_json_has_every_fact(capsys, whole):
    assert main(["inspect", "--json", str(whole)]) == 0
    facts = json.loads(capsys.readouterr().out)

    assert set(facts) == {*KEYS, "error"}
    assert facts["error"] is None
    assert (facts["type"], facts["app_name"], facts["version"]) == ("package", "Example.app", "1.2.3")
    assert facts["version_key"] == "CFBundleShortVersionString"
    assert facts["minimum_os_version"] is None
    assert facts["signed"] is True
    assert facts["apps"][0]["bundle_id"] == "com.example.app"
    assert facts["packages"][0]["id"] == "com.example.pkg"
    assert (len(facts["sha256"]), facts["size"]) == (64, whole.stat().st_size)


def test_several_files_are_a_list_and_a_bad_one_does_not_hide_the_others(capsys, whole, tmp_path):
    assert main(["inspect", "--json", str(tmp_path / "none.pkg"), str(whole)]) == Exit.PARTLY
    first, second = json.loads(capsys.readouterr().out)

    assert "no such file" in first["error"]["message"]
    assert first["error"]["code"] == "installer"
    assert second["app_name"] == "Example.app"


def test_the_card_shows_what_is_there(capsys, whole):
    assert main(["inspect", str(whole)]) == 0
    shown = capsys.readouterr().out

    for word in (
        "Whole.pkg",
        "Example.app",
        "com.example.app",
        "1.2.3 (CFBundleShortVersionString)",
        "Signature ",
        "com.example.pkg",
    ):
        assert word in shown
    assert "None" not in shown


def test_the_card_lists_several_apps_and_says_what_settles_it(capsys, tmp_path):
    members = [*app("One.app", plist=info_plist("com.example.1")), *app("Two.app", plist=info_plist("com.example.2"))]
    path = formats.write(tmp_path / "Two.pkg", xar(component(payload=payload(members))))

    assert main(["inspect", str(path)]) == 0
    shown = capsys.readouterr().out
    assert "/Applications/One.app  com.example.1  1.2.3" in shown
    assert "`app_name` or `bundleid`" in shown
    assert main(["inspect", "--app-name", "Two", str(path)]) == 0
    assert "com.example.2" in capsys.readouterr().out


def test_names_cannot_play_with_the_terminal(capsys, tmp_path):
    members = app("Evil\x1b[2J\n.app", plist=info_plist("com.example\u202eevil"))
    path = formats.write(tmp_path / "Evil.pkg", xar(component(payload=payload(members))))

    main(["inspect", str(path)])
    shown = capsys.readouterr().out
    assert "\x1b" not in shown
    assert "\u202e" not in shown
