"""The real AutoPkg against the embedded tenant; skipped, with a line that says so, where there is no `autopkg`."""

import pytest

from kandji_uploader.rehearsal import RehearsalTenant
from tests.support.autopkg_host import LAUNCHERS, AutoPkg
from tests.support.installers import app_pkg

TOKEN = "s3cret-0f8b-token-that-must-not-leak"


@pytest.fixture
def tenant(tmp_path):
    with RehearsalTenant(tmp_path / "tenant", token=TOKEN) as tenant:
        yield tenant


def environ_of(tenant, home):
    return {
        "KANDJI_API_URL": tenant.url,
        "KANDJI_TOKEN": TOKEN,
        "SLACK_TOKEN": tenant.webhook_url,
        "KANDJI_UPLOADER_DIR": str(home / "uploader"),
        "KANDJI_UPLOADER_STATE_DIR": str(home / "uploader-state"),
    }


NONE = pytest.param(None, marks=pytest.mark.skip(reason="there is no autopkg on PATH"))
each_autopkg = pytest.mark.parametrize("launcher", LAUNCHERS or [NONE])
"""For what depends on AutoPkg: how it finds, trusts and loads a processor, and what it keeps of the results."""


@pytest.fixture(params=LAUNCHERS[:1] or [NONE])
def launcher(request):
    """The AutoPkg of this machine; tests of what our code does with what it was given need no second one."""
    return request.param


@pytest.fixture
def autopkg(launcher, tenant, tmp_path):
    home = tmp_path / "home"
    return AutoPkg(launcher, home, environ_of(tenant, home))


@pytest.fixture
def bare_autopkg(launcher, tmp_path):
    """AutoPkg with its own packages only."""
    return AutoPkg(launcher, tmp_path / "home", {}, lent=False)


@pytest.fixture
def widget(tmp_path):
    """Makes Widget packages: `widget("1.0")` is the path of one; `further` as `app_pkg` takes it."""

    def make(version, name="Widget", **further):
        folder = tmp_path / f"built-{version}"
        folder.mkdir(exist_ok=True)
        return app_pkg(
            folder / f"{name}-{version}.pkg", name=name, bundle_id=f"com.example.{name}", version=version, **further
        )

    return make
