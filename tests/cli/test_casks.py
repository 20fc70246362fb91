"""`kandji-uploader -b ...`: a cask that Kandji holds already is not downloaded, and is still kept right."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from kandji_uploader.cli.failures import Exit
from kandji_uploader.flows import casks as casks_flow


def downloads(casks):
    return [path for path in casks.paths() if path.startswith("/files/")]


def test_a_cask_is_downloaded_and_published(house, casks, offer, here):
    offer("widget")
    ran = here("-b", "widget", "--json")
    (result,) = json.loads(ran.stdout)
    assert (result["source"], result["action"]) == ("widget", "succeeded")
    app = house.tenant.app("Widget (kandji-uploader)")
    assert app["sha256"] == casks.casks["widget"]["sha256"]
    assert downloads(casks) == ["/files/Widget-1.0.pkg"]


def test_what_kandji_holds_is_not_downloaded_on_any_machine(house, casks, offer, here):
    offer("widget")
    here("-b", "widget", "-n", "Widget")
    shutil.rmtree(house.state)
    house.tenant.reset_requests()
    ran = here("-b", "widget", "-n", "Widget")
    assert ran.returncode == 0
    assert "unchanged" in ran.stdout
    assert downloads(casks) == ["/files/Widget-1.0.pkg"], "the first time only"
    assert house.writes() == []


def test_drift_is_repaired_without_a_download(house, casks, offer, here):
    offer("widget")
    here("-b", "widget", "-n", "Widget", "-s", "Productivity")
    apps = next(category["id"] for category in house.tenant.categories if category["name"] == "Apps")
    house.tenant.edit(house.tenant.app("Widget")["id"], self_service_category_id=apps)
    shutil.rmtree(house.state)
    ran = here("-b", "widget", "-n", "Widget", "-s", "Productivity")
    assert "updated" in ran.stdout
    assert house.tenant.app("Widget")["self_service_category_id"] != apps
    assert len(downloads(casks)) == 1


CORPUS = Path(__file__).parent.parent / "fixtures" / "corpus"


def test_an_app_that_somebody_signed_gets_no_file_of_kandjis_that_nobody_looked_at(house, casks, offer, here):
    offer("widget")
    here("-b", "widget", "-n", "Widget")
    here("-p", str(CORPUS / "rtrouton-disable-gatekeeper.pkg"), "-n", "Other")
    house.tenant.reset_requests()
    shutil.rmtree(house.state)
    ran = here("-b", "widget", "-n", "Other")

    assert ran.returncode == Exit.REFUSED
    assert "it is unsigned, while the version before it was signed by Rich Trouton (XF95CST45F)" in ran.stderr
    assert (len(downloads(casks)), house.writes()) == (2, [])


def test_what_the_settings_ask_of_a_signature_holds_for_casks(house, casks, offer, here):
    house.config.mkdir(exist_ok=True)
    (house.config / "config.yaml").write_text("require_signed: true\n")
    offer("widget")
    for _ in range(2):
        ran = here("-b", "widget", "-n", "Widget")
        assert ran.returncode == Exit.REFUSED
        assert "require_signed is set, and it is unsigned" in ran.stderr
    assert (house.writes(), len(downloads(casks))) == ([], 1)


def test_what_is_in_kandji_already_is_not_downloaded_again_for_a_signature(house, casks, offer, here):
    offer("widget")
    here("-b", "widget", "-n", "Widget")
    house.config.mkdir(exist_ok=True)
    (house.config / "config.yaml").write_text("require_signed: true\n")
    assert here("-b", "widget", "-n", "Widget").returncode == 0
    assert len(downloads(casks)) == 1


SIGNED = CORPUS / "karabiner-vhid-1.6.0.pkg"


def test_another_app_gets_the_same_file_without_a_download_or_upload(house, casks, offer, here):
    offer("widget", body=SIGNED.read_bytes())
    here("-b", "widget", "-n", "Widget")
    shutil.rmtree(house.state)
    ran = here("-b", "widget", "-n", "Other")
    assert ran.returncode == 0
    one, other = house.tenant.app("Widget"), house.tenant.app("Other")
    assert one["file_key"] == other["file_key"]
    assert "G43BCU2T37 Fumihiko Takayama" in other["audit_script"]
    assert (len(downloads(casks)), len(house.tenant.uploads())) == (1, 1)


def test_what_lies_in_kandji_only_is_looked_at_where_nobody_knows_who_signed_it_and_not_sent_again(
    house, casks, offer, here
):
    house.config.mkdir(exist_ok=True)
    (house.config / "config.yaml").write_text("identity: file\n")  # which notes no release in the audit script
    offer("widget", body=SIGNED.read_bytes())
    there = house.tenant.seed("Elsewhere", file_name=SIGNED.name, content=SIGNED.read_bytes())
    ran = here("-b", "widget", "-n", "Widget", "--enforcement", "install_once")
    assert "signed by Fumihiko Takayama (G43BCU2T37), who is remembered from now on" in ran.stdout + ran.stderr
    assert house.tenant.app("Widget")["file_key"] == there["file_key"]
    assert "G43BCU2T37 Fumihiko Takayama" in house.tenant.app("Widget")["audit_script"]
    assert (len(downloads(casks)), len(house.tenant.uploads())) == (1, 1), "looked at, and not sent"


def test_what_lies_in_kandji_with_a_note_of_who_signed_it_is_not_even_downloaded(house, casks, offer, here):
    offer("widget", body=SIGNED.read_bytes())
    here("-b", "widget", "-n", "Widget")
    shutil.rmtree(house.state)
    here("-b", "widget", "-n", "Other")
    assert "G43BCU2T37 Fumihiko Takayama" in house.tenant.app("Other")["audit_script"]
    assert (len(downloads(casks)), len(house.tenant.uploads())) == (1, 1)


def test_a_broken_cask_that_lies_in_kandji_is_not_published_to_another_app(house, casks, offer, here):
    data = bytearray(SIGNED.read_bytes())
    data[-500_000] ^= 0xFF
    offer("widget", body=bytes(data))
    house.tenant.seed("Elsewhere", file_name="Widget-1.0.pkg", content=bytes(data))
    house.tenant.reset_requests()
    ran = here("-b", "widget", "-n", "Widget", "--enforcement", "install_once")
    assert ran.returncode == Exit.REFUSED
    assert "its signature is broken" in ran.stderr
    assert (house.writes(), house.names()) == ([], ["Elsewhere"])


def test_where_no_audit_script_tells_what_it_is_the_file_is_downloaded(house, casks, offer, here):
    offer("widget")
    here("-b", "widget", "-n", "Widget", "--enforcement", "install_once")
    shutil.rmtree(house.state)
    ran = here("-b", "widget", "-n", "Other")
    assert ran.returncode == 0
    assert "com.example.widget" in house.tenant.app("Other")["audit_script"]
    assert len(downloads(casks)) == 2


def test_a_list_without_sha256_is_made_good_by_our_own_history(house, casks, offer, here):
    house.tenant.configure(list_sha256=False)
    offer("widget")
    here("-b", "widget", "-n", "Widget")
    shutil.rmtree(house.state / "downloads")
    ran = here("-b", "widget", "-n", "Widget")
    assert "unchanged" in ran.stdout
    assert len(downloads(casks)) == 1


def test_a_file_that_kandji_has_lost_is_downloaded_again(house, casks, offer, here):
    offer("widget")
    here("-b", "widget", "-n", "Widget")
    shutil.rmtree(house.state)
    house.tenant.remove_upload(house.tenant.app("Widget")["file_key"])
    ran = here("-b", "widget", "-n", "Other")
    assert ran.returncode == 0, ran.stderr
    assert house.tenant.app("Other")["sha256"] == casks.casks["widget"]["sha256"]
    assert len(downloads(casks)) == 2


def test_a_new_version_is_downloaded(house, casks, offer, here):
    offer("widget")
    here("-b", "widget", "-n", "Widget")
    offer("widget", "2.0")
    ran = here("-b", "widget", "-n", "Widget")
    assert "updated" in ran.stdout
    assert downloads(casks) == ["/files/Widget-1.0.pkg", "/files/Widget-2.0.pkg"]


def test_a_dry_run_of_a_new_version_changes_nothing(house, casks, offer, here):
    offer("widget")
    ran = here("-b", "widget", "-n", "Widget", "-y")
    assert "would create" in ran.stdout
    assert house.writes() == []
    assert not house.state.exists(), "and nothing is left on this machine"


def test_casks_and_files_in_one_command(house, casks, offer, here):
    offer("gadget")
    ran = here("-p", house.widget(), "-b", "gadget", "-b", "wigdet")
    assert ran.returncode == Exit.PARTLY
    assert house.names() == ["Gadget (kandji-uploader)", "Widget (kandji-uploader)"]
    assert "there is no Homebrew cask 'wigdet'" in ran.stderr


def test_an_unknown_cask_is_told_with_what_may_be_meant(offer, here):
    offer("widget")
    ran = here("-b", "widgit")
    assert ran.returncode == 1
    assert "did you mean widget?" in ran.stderr


def test_a_cask_without_sha256_is_refused_unless_it_is_allowed(house, offer, here):
    offer("widget", sha256="no_check")
    ran = here("-b", "widget")
    assert ran.returncode == 1
    assert "--allow-no-checksum" in ran.stderr
    assert here("-b", "widget", "--allow-no-checksum").returncode == 0
    assert house.names() == ["Widget (kandji-uploader)"]


def test_what_is_odd_about_a_cask_is_told(offer, here):
    offer("widget", deprecated=True)
    assert "warning: the cask 'widget' is deprecated" in here("-b", "widget").stderr


def test_the_architecture_is_handed_on(house, casks, offer, here):
    offer("widget", depends_on={"arch": [{"type": "arm", "bits": 64}]})
    assert "does not run on x86_64" in here("-b", "widget", "--arch", "x86_64").stderr
    assert here("-b", "widget", "--arch", "arm64").returncode == 0


def test_no_network_is_told_in_a_word_after_as_many_tries_as_the_settings_say(house, here):
    house.config.mkdir()
    (house.config / "config.yaml").write_text("network:\n  tries: 2\n  first_wait: 0.01\n")
    ran = here("-b", "widget", "--api-url", "http://127.0.0.1:9", HOMEBREW_API_DOMAIN="http://127.0.0.1:9")
    assert ran.returncode == Exit.SERVICE
    assert "was not reached" in ran.stderr


def test_ctrl_c_in_a_download_tells_that_nothing_was_changed(house, casks, offer):
    offer("widget", faults=["silent 100"])
    with house.terminal("-b", "widget") as terminal:
        terminal.expect("downloading widget 1.0")
        while not downloads(casks):
            pass
        terminal.ctrl_c()
        terminal.expect("before anything was changed for the cask 'widget'")
        assert terminal.end() == 130
    assert house.writes() == []


def test_on_a_terminal_the_download_has_a_bar(house, offer):
    offer("widget", faults=["drip 40"])
    with house.terminal("-b", "widget") as terminal:
        terminal.expect(r"download of widget  \[#+\.+\] +\d+ %")
        terminal.expect(r"download of widget  \[#+\] 100 %")
        terminal.expect(r"upload of widget  \[#+\] 100 %")
        assert terminal.end() == 0


@pytest.mark.parametrize("arch", ["ppc", "arm"])
def test_an_unknown_architecture_is_wrong_usage(here, arch):
    assert here("-b", "widget", "--arch", arch).returncode == 2


@pytest.mark.parametrize("held", [False, True], ids=["new", "same-size"])
def test_a_download_that_is_replaced_after_it_was_checked_is_not_published(house, offer, here, monkeypatch, held):
    cask = offer("widget")
    fetch, fetched = casks_flow._fetch, []

    def fetch_and_replace(*arguments):
        path = fetch(*arguments)
        data = bytearray(path.read_bytes())
        data[-1] ^= 1
        path.write_bytes(data)
        fetched.append(path)
        return path

    monkeypatch.setattr(casks_flow, "_fetch", fetch_and_replace)
    if held:
        size = house.widget(name="Widget", bundle_id="com.example.widget").stat().st_size
        house.tenant.seed("Widget", size=size)
    before = house.tenant.apps()
    ran = here("-b", "widget", "-n", "Widget")
    assert (ran.returncode, len(fetched)) == (1, 1)
    assert "it was replaced or changed after it was first read" in ran.stderr
    assert house.tenant.apps() == before
    assert cask["sha256"] not in {app["sha256"] for app in house.tenant.apps()}
