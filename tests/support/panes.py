"""What each command shows at terminals of several widths, one after the other in one process at one real terminal.

The terminal's width is changed and the tenant emptied before each pane; what differs from run to run (ids, ports,
folders) is replaced by text of the same length by whoever reads it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shlex
import shutil
import struct
import sys
import tempfile
import termios
import time
from pathlib import Path

import keyring

from kandji_uploader import cli
from kandji_uploader.cli import doctor as doctor_command
from kandji_uploader.kandji.tenant import forget_all
from kandji_uploader.rehearsal import RehearsalTenant
from kandji_uploader.schedule.running import noted
from kandji_uploader.setup.doctor import Check, Severity
from tests.munki.builder import small
from tests.support.keyrings import FileKeyring

DEMO = Path(__file__).parents[2] / "examples" / "demo"
BEGIN, END = "<<<", ">>>"
DUMB = {"TERM": "dumb"}
COLOUR = {"TERM": "xterm-256color", "VTE_VERSION": "7600"}
PANES = {
    f"{columns}-{kind}": (columns, environ)
    for columns in (40, 80, 200)
    for kind, environ in (("dumb", DUMB), ("colour", COLOUR))
}
RECIPE_MAP = """
HelloKandji.kandji:
  prod_name: Hello Kandji
  test_name: Hello Kandji (Test)
  promotion: {after_days: 5, min_pass: 3, max_error_percent: 5}
"""
CHECKS = (
    Check("tenant", Severity.OK, "https://acme.api.kandji.io answers"),
    Check("token", Severity.PROBLEM, "the permission Create Custom App is missing; add it in Kandji under Access"),
    Check("clock", Severity.WARNING, "this machine is 4 minutes ahead; macOS: `sudo sntp -sS time.apple.com`"),
)


def show(title, *words):
    """One command, as it is typed and with what it shows."""
    print(f"$ kandji-uploader {title or shlex.join(words)}", flush=True)
    with contextlib.suppress(SystemExit):
        cli.main(words)
    sys.stdout.flush()
    print(flush=True)


BOTH = ("-n", "Hello Kandji", "-t", "Hello Kandji (Test)")


@contextlib.contextmanager
def elsewhere():
    """Settings of their own, and a state whose size does not grow with what is shown."""
    before, folder = dict(os.environ), Path.cwd() / "elsewhere"
    os.environ |= {"KANDJI_UPLOADER_DIR": f"{folder}/config", "KANDJI_UPLOADER_STATE_DIR": f"{folder}/state"}
    (folder / "state").mkdir(parents=True)
    (folder / "state" / "pending.json").write_text(" " * 4000)
    yield
    os.environ.update(before)
    shutil.rmtree(folder)


def prepare(tenant, folder):
    """What the commands find: an app with its test app, which is a version ahead and has Macs in trouble."""
    os.chdir(folder)
    os.environ["KANDJI_UPLOADER_DIR"] = f"{folder}/config"
    os.environ["KANDJI_UPLOADER_STATE_DIR"] = f"{folder}/state"
    Path("config").mkdir()
    Path("config/config.yaml").write_text("use_recipe_map: true\n")
    Path("config/recipe_map.yaml").write_text(RECIPE_MAP)
    for version in ("1.0", "1.1"):
        shutil.copy(DEMO / f"HelloKandji-{version}.pkg", folder)
    Path("Broken.pkg").write_bytes(b"no package")
    Path("recipe_list.txt").write_text("HelloKandji.kandji\nFirefox.kandji\n")
    small(Path("munki"), {"site_default": {"catalogs": ["production"], "managed_installs": ["Firefox", "Nowhere"]}})
    cli.main(["-p", "HelloKandji-1.0.pkg", *BOTH, "--quiet"])
    cli.main(["-p", "HelloKandji-1.1.pkg", *BOTH[2:], "--quiet"])
    macs = [{"status": "PASS"}] * 7 + [{"status": "ERROR", "log": "Not enough disk space: 3 GB free\n"}] * 2
    tenant.set_statuses(tenant.app("Hello Kandji (Test)")["id"], macs)


def pane():
    """All commands of one pane; none of them changes what another one finds."""
    forget_all()
    show("-p HelloKandji-1.0.pkg -n ... -t ... -y", "-p", "HelloKandji-1.0.pkg", *BOTH, "-y")
    show("", "-p", "Broken.pkg", "-p", "HelloKandji-1.0.pkg", "--enforcement", "install_once", "-y")
    show("", "-p", "Broken.pkg")
    show("-p HelloKandji-1.1.pkg -t ... --quiet", "-p", "HelloKandji-1.1.pkg", *BOTH[2:], "--quiet")
    show("", "promote", "Hello Kandji", "-y")
    show("", "promote", "Goodbye Kandji")
    show("", "status", "HelloKandji.kandji")
    show("", "rollback", "Hello Kandji (Test)", "-y")
    show("", "retry")
    show("", "inspect", "HelloKandji-1.0.pkg")
    show("", "schedule", "add", "firefox", "--unchecked", "--every", "4")
    with noted(Path(os.environ["KANDJI_UPLOADER_STATE_DIR"])) as note:
        note(time.time() + 3600, "")
        show("", "schedule", "status")
    show("", "publish", "built", "-y")
    show("", "approve", "Hello Kandji", "-y")
    show("", "freeze", "--until", "2099-01-07", "--why", "the move")
    show("", "thaw")
    show("", "watch", "Hello Kandji")
    show("", "resume", "Hello Kandji", "-y")
    show("", "matrix", "--by", "recipe", "--recipes", "recipe_list.txt", "--shards", "2")
    show("", "matrix")
    show("", "munki", "import", "--repo", "munki", "--out", "imported.yaml", "--force")
    show("", "logout")
    shutil.rmtree(os.environ["HOME"], ignore_errors=True)
    show("", "completion", "--install", "zsh")
    show("", "rehearse", "--for", "0.01", "--faults", "none.json")
    with elsewhere():
        show("setup --api-url ...", "setup", "--api-url", os.environ["KANDJI_API_URL"], "--slack", "off", "--no-import")
        show("", "where")
        show("", "uninstall")
    show("", "config", "set", "zz_defaults.dry_run", "perhaps")
    show("", "config", "set", "network.tries", "4")
    show("", "config", "unset", "network.tries")
    print("$ kandji-uploader doctor", flush=True)
    for check in CHECKS:
        print(doctor_command.told(check), flush=True)
    print(flush=True)
    show("", "config")


def main(names):
    """Show them."""
    folder = Path(tempfile.mkdtemp(prefix="panes-", dir="/tmp"))
    sys.stdin = open(os.devnull)  # noqa: PTH123, SIM115 - nobody is there to be asked
    plain = {name: value for name, value in os.environ.items() if name in ("PATH", "LC_ALL")}
    plain |= {"HOME": f"{folder}/home", "TEST_KEYRING_FILE": f"{folder}/keyring.json", "TZ": "UTC"}
    os.environ.update(plain)
    keyring.set_keyring(FileKeyring())
    with RehearsalTenant(folder / "tenant", keep_files=False) as tenant:
        os.environ.update(KANDJI_API_URL=tenant.url, KANDJI_TOKEN=tenant.token)
        prepare(tenant, folder)
        places = {name: value for name, value in os.environ.items() if name.startswith("KANDJI_")}
        for name in names:
            columns, environ = PANES[name]
            os.environ.clear()
            os.environ.update(plain, **environ, **places)
            fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
            print(f"{BEGIN}{name}", flush=True)
            pane()
            print(f"{END}{name}", flush=True)
    shutil.rmtree(folder)


if __name__ == "__main__":
    main(sys.argv[1:] or PANES)
