"""A version that was halted is asked for on no Mac any more; nothing else changes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kandji_uploader.audit import script as audit
from kandji_uploader.status import summary
from kandji_uploader.status.models import StatusRecord
from tests.audit.test_in_use import APP, NOW
from tests.support.mac import Mac, needs_zsh, script_for

WHY = "5 of 9 Macs in ERROR (56 %), limit 10 %; it's `touch /tmp/x` $(id)"


@needs_zsh
@pytest.mark.parametrize("installed", [None, "89.0", "90.0"])
def test_a_halted_version_is_asked_for_on_no_mac(mac: Mac, installed: str | None):
    if installed:
        mac.app(APP, "com.google.drivefs", installed)
        mac.run_app(APP)
    mac.now = NOW
    done = mac.audit(script_for(halted=WHY))
    assert (done.code, done.lines, done.error) == (0, (f"Halted: {WHY}, so there is nothing to do",), "")
    assert done.calls == ()
    assert not (mac.root / "Library/Application Support").exists()


@needs_zsh
def test_a_version_that_is_halted_no_more_is_asked_for_as_before(mac: Mac):
    mac.now = NOW
    halted = audit.read(script_for(halted=WHY))
    script = audit.render(halted.values(halted=None), audit.load_template())
    assert script == script_for()
    assert mac.audit(script).code == 1


def test_a_halt_changes_nothing_else_of_a_script():
    ours, halted = script_for(), script_for(halted=WHY)
    assert [line for line in halted.splitlines() if line not in ours.splitlines()] == [
        next(line for line in halted.splitlines() if line.startswith("HALTED="))
    ]
    reading = audit.read(halted)
    assert (reading.halted, reading.edited, replace(reading, halted=None)) == (WHY, False, audit.read(ours))


def test_a_mac_that_says_that_a_version_is_halted_says_nothing_of_it():
    log = f"Halted: {WHY}, so there is nothing to do"
    mac = summary.read(StatusRecord("mac", "1", "b", "PASS", last_audit_log=log))
    assert (mac.version, mac.status) == ("", "PASS")
