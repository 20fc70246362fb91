"""AutoPkg's trust information vouches for all that runs: it holds KandjiUploader.py, which holds the library."""

import importlib._bootstrap_external as pyc
from pathlib import Path

import pytest

from tests.e2e.conftest import each_autopkg, environ_of
from tests.support import sealed
from tests.support.autopkg_host import AutoPkg
from tools.seal import seal

PLANTED = "raise SystemExit('planted')\n"


@pytest.fixture
def trusting(launcher, tenant, tmp_path):
    """An AutoPkg that runs trusted overrides only, and an override that was trusted."""
    home = tmp_path / "home"
    autopkg = AutoPkg(launcher, home, environ_of(tenant, home), checkout=sealed.copy(tmp_path / "checkout"))
    autopkg.words = ("--override-dir", autopkg.overrides, "--prefs", autopkg.preferences)
    autopkg("make-override", "Widget.kandji", "--name", "Ours", *autopkg.words, check=0)
    return autopkg


def run(autopkg, path, check=0):
    return autopkg.run("Ours", "-k", f"SOURCE={path}", "-k", "FAIL_RECIPES_WITHOUT_TRUST_INFO=true", check=check)


@each_autopkg
def test_a_changed_byte_of_the_library_stops_a_trusted_override_before_any_request(trusting, tenant, widget):
    library = trusting.checkout / "shared" / "kandji_uploader"
    (library / "errors.py").write_text(PLANTED)
    _, report = run(trusting, widget("1.0"), check=70)
    message = report["failures"][0]["message"]
    assert "shared/kandji_uploader/errors.py was changed" in message
    assert "autopkg update-trust-info" in message
    assert tenant.requests == []
    seal(trusting.checkout)  # a person who changes the library can seal it, but then AutoPkg sees it
    trusting("verify-trust-info", "Ours", *trusting.words, check=1)
    _, report = run(trusting, widget("1.0"), check=70)
    assert "KandjiUploader contents differ from expected" in report["failures"][0]["message"]
    assert tenant.requests == []


def test_stale_byte_code_beside_the_sources_is_not_used_and_a_planted_module_stops_the_run(trusting, tenant, widget):
    library = trusting.checkout / "shared" / "kandji_uploader"
    stale = Path(pyc.cache_from_source(str(library / "errors.py")))
    stale.parent.mkdir()
    stale.write_bytes(pyc._code_to_hash_pyc(compile(PLANTED, "x", "exec"), b"\0" * 8, checked=False))
    run(trusting, widget("1.0"))
    assert len(tenant.apps()) == 2
    (library / "_util" / "hashlib.py").write_text(PLANTED)
    tenant.reset_requests()
    _, report = run(trusting, widget("1.1"), check=70)
    assert "shared/kandji_uploader/_util/hashlib.py does not belong there" in report["failures"][0]["message"]
    assert tenant.requests == []
