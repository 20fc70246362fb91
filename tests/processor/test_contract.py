"""The stand-in for autopkglib behaves as the real one, where the processor touches it."""

import json

import pytest

from tests.support import autopkglib_standin as standin
from tests.support.autopkg_host import LAUNCHERS, RECIPES, AutoPkg


@pytest.mark.parametrize(
    "launcher",
    LAUNCHERS or [pytest.param(None, marks=pytest.mark.skip(reason="there is no autopkg on PATH"))],
)
def test_the_stand_in_shows_a_processor_what_the_real_autopkg_shows(launcher, tmp_path):
    real, ours = tmp_path / "real.json", tmp_path / "ours.json"
    done, _ = AutoPkg(launcher, tmp_path / "home").run("Probe", "-v", "-k", f"record={real}", "-k", "a.dotted=key")
    env = {"given": {"nested": "yes"}, "record": str(ours), "verbose": 1, "NAME": "Probe", "a.dotted": "key"}
    _, printed = standin.step(standin.load(RECIPES / "Probe" / "Probe.py"), env, argued="Probe says")
    seen_by_real, seen_by_ours = json.loads(real.read_text()), json.loads(ours.read_text())
    # 2.9 registers the module under its bare name, the next AutoPkg does not; the processor must not care.
    seen_by_real.pop("module is registered")
    assert seen_by_ours.pop("module is registered") is False
    assert seen_by_real == seen_by_ours
    assert [line for line in done.stdout.splitlines() if line.startswith("Probe: ")] == printed.splitlines()
