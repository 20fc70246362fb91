"""The lowest macOS: where it is not there yet, nothing is installed, upgraded or asked."""

from __future__ import annotations

import pytest

from tests.audit.test_in_use import APP, NOW
from tests.support.mac import Mac, needs_zsh, script_for

pytestmark = needs_zsh

SAID = "'Google Drive.app' needs macOS 13.0 and this Mac has {}, so there is nothing to do"


@pytest.mark.parametrize("macos", ["12.7.6", "10.15.7", "12", "12.9"])
@pytest.mark.parametrize("installed", [None, "89.0"])
def test_an_older_macos_is_left_alone(mac: Mac, macos: str, installed: str | None):
    if installed:
        mac.app(APP, "com.google.drivefs", installed)
        mac.run_app(APP)
    mac.now, mac.macos = NOW, macos

    done = mac.audit(script_for(minimum_os_version="13.0", blocking_applications=("Google Drive",)))

    assert (done.code, done.lines, done.error) == (0, (SAID.format(macos),), "")
    assert done.called("sw_vers") == [("-productVersion",)]


@pytest.mark.parametrize("macos", ["13", "13.0", "13.0.1", "13.10", "14.5", "26.1"])
def test_a_macos_that_is_new_enough_installs_and_upgrades(mac: Mac, macos: str):
    mac.now, mac.macos = NOW, macos
    assert mac.audit(script_for(minimum_os_version="13.0")).code == 1

    mac.app(APP, "com.google.drivefs", "89.0")
    done = mac.audit(script_for(minimum_os_version="13.0"))
    assert (done.code, done.lines[-1]) == (1, "Upgrading 'Google Drive.app' to version '90.0'...")


@pytest.mark.parametrize("macos", [None, "", "unknown", "12.x", "12.5 (21G72)", "12.\n", "-1", "12..1", "$(touch x)"])
def test_a_macos_that_cannot_be_told_counts_as_new_enough(mac: Mac, macos: str | None):
    mac.now, mac.macos = NOW, macos

    done = mac.audit(script_for(minimum_os_version="13.0"))

    assert (done.code, done.error) == (1, "")


def test_a_mac_without_sw_vers_counts_as_new_enough(mac: Mac):
    (mac.root / "usr/bin/sw_vers").unlink()

    done = mac.audit(script_for(minimum_os_version="13.0"))

    assert (done.code, done.error) == (1, "")


def test_without_a_minimum_nobody_asks(mac: Mac):
    mac.macos = "10.9"

    done = mac.audit(script_for())

    assert (done.code, done.called("sw_vers")) == (1, [])


def test_with_updates_only_a_mac_without_the_app_passes_on_any_macos(mac: Mac):
    for macos in ("12.0", "14.0"):
        mac.macos = macos
        assert mac.audit(script_for(minimum_os_version="13.0", install_when_missing=False)).code == 0
