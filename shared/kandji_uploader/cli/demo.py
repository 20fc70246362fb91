"""Publish a small installer to an embedded tenant three times: new, unchanged, and in a new version.

Nothing leaves this machine: the tenant is a server on loopback that behaves as Kandji's API documentation says.
With `autopkg` on PATH the demo runs a recipe with it, otherwise it calls the library as the processor would.

Examples:
  kandji-uploader demo
  kandji-uploader demo --stay
  kandji-uploader demo --without-autopkg
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from kandji_uploader import autopkg
from kandji_uploader._util import children, files
from kandji_uploader.audit import script as audit
from kandji_uploader.cli import DONE, FAILED, screen
from kandji_uploader.cli.console import Console
from kandji_uploader.flows.publish import run as publish_installer
from kandji_uploader.kandji.tenant import forget_all
from kandji_uploader.publish.request import Host
from kandji_uploader.rehearsal import RehearsalTenant
from kandji_uploader.report import text as report

_STEPS = (
    ("A first version: one upload, two Custom Apps", "1.0"),
    ("The same again, as a nightly run would: nothing changed, so nothing is sent", "1.0"),
    ("A new version: one upload, both Custom Apps are updated", "1.1"),
)
_MACS = 8
_FILES = files.shipped("demo", "examples")
_LENT = ("requests", "urllib3", "idna", "certifi", "charset_normalizer", "keyring", "yaml")


def configure(parser: argparse.ArgumentParser) -> None:
    """Two flags: to go without AutoPkg, and to keep the tenant for a while."""
    parser.add_argument("--without-autopkg", action="store_true", help="call the library even where autopkg is on PATH")
    parser.add_argument("--stay", action="store_true", help="keep the tenant, and its page, until Ctrl-C")


def run(arguments: argparse.Namespace) -> int:
    """Run the demo; 1 if a step failed."""
    with tempfile.TemporaryDirectory(prefix="kandji-demo-") as name:
        folder = Path(name)
        with RehearsalTenant(folder / "tenant", macs=_MACS) as tenant:
            environ = {
                "KANDJI_API_URL": tenant.url,
                "KANDJI_TOKEN": tenant.token,
                "KANDJI_UPLOADER_DIR": str(folder / "config"),
                "KANDJI_UPLOADER_STATE_DIR": str(folder / "state"),
            }
            publish = _with_autopkg(folder, environ) if _has_autopkg(arguments) else _with_library(environ)
            code = _three_times(publish, tenant)
            if arguments.stay:
                _wait(tenant)
        print("\nThe tenant has stopped. `kandji-uploader rehearse` starts one to try your own recipes against.")
        return code


def _wait(tenant: RehearsalTenant) -> None:
    """Let the tenant serve until Ctrl-C or SIGTERM, which end the demo as it should end."""
    print(f"\nThe tenant stays at {tenant.url} until Ctrl-C.", flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        while True:  # a signal that comes right before a wait without an end would not end it
            time.sleep(0.2)


def _three_times(publish: Callable[[str], bool], tenant: RehearsalTenant) -> int:
    print(f"An embedded tenant is listening at {tenant.url}; open it in a browser to see what happens there.")
    for number, (title, version) in enumerate(_STEPS, start=1):
        before = len(tenant.requests)
        print(f"\n== {number}. {title}", flush=True)
        worked = publish(version)
        print(_told(tenant, before))
        if not worked:
            return FAILED
    print(f"\nWhat the tenant holds now:\n\n{_contents(tenant)}")
    return DONE


def _told(tenant: RehearsalTenant, before: int) -> str:
    """The requests since the first `before`, ids left out."""
    names = {app["id"]: app["name"] for app in tenant.apps()}
    sent = [str(request) for request in tenant.requests[before:]]
    for app_id, name in names.items():
        sent = [line.replace(app_id, f"({name})") for line in sent]
    return "\n".join([f"   {len(sent)} request(s):", *(f"     {line}" for line in sent)])


def _contents(tenant: RehearsalTenant) -> str:
    rows = [
        [
            app["name"],
            audit.read(app["audit_script"]).version or "",
            app["file_key"].rsplit("/", 1)[-1],
            app["sha256"][:12],
        ]
        for app in tenant.apps()
    ]
    return screen.of().table(["Custom App", "Enforces", "Installer", "sha256"], rows)


def _has_autopkg(arguments: argparse.Namespace) -> bool:
    found = shutil.which("autopkg") if not arguments.without_autopkg and _checkout() is not None else None
    how = f"`autopkg run` ({found})" if found else "the library, as the processor calls it"
    why = "" if found or arguments.without_autopkg else " (there is no autopkg on PATH)"
    print(f"This demo goes through {how}{why}.")
    return found is not None


def _checkout() -> Path | None:
    """The folder of KandjiUploader.py; None in an installed package."""
    root = Path(__file__).parents[3]
    return root if (root / "KandjiUploader.py").is_file() else None


def _with_library(environ: Mapping[str, str]) -> Callable[[str], bool]:
    """Publish by calling the library with the environment that AutoPkg would hand to the processor."""
    console = Console()
    host = Host(say=console.say, warn=console.warn, environ={**os.environ, **environ})

    def publish(version: str) -> bool:
        names = {"prod_name": "Hello Kandji", "test_name": "Hello Kandji (Test)"}
        path = str(_FILES / f"HelloKandji-{version}.pkg")
        forget_all()  # as a process of its own would start
        result = publish_installer(
            autopkg.request({"NAME": "HelloKandji", "pkg_path": path, "custom_app": names}), host
        )
        rows = [report.cells(outcome) for outcome in result.outcomes]
        print(screen.of().table(list(report.HEADS), rows))
        return not result.failed

    return publish


def _preferences(folder: Path) -> Path:
    """AutoPkg preferences of the demo's own, so that the user's cache and overrides stay untouched."""
    path = folder / "autopkg.json"
    wanted = {
        "CACHE_DIR": str(folder / "cache"),
        "RECIPE_SEARCH_DIRS": [str(_FILES), str(_checkout())],
        "RECIPE_OVERRIDE_DIRS": [str(folder / "overrides")],
        "RECIPE_REPO_DIR": str(folder / "repos"),
    }
    path.write_text(json.dumps(wanted), encoding="utf-8")
    return path


def _with_autopkg(folder: Path, environ: Mapping[str, str]) -> Callable[[str], bool]:
    """Publish with the real AutoPkg, whose Python is lent the packages that it may lack."""
    preferences = _preferences(folder)
    own = {**environ, "PYTHONPATH": str(_lend(folder / "packages"))}
    surroundings = {**children.surroundings(), **own}

    def publish(version: str) -> bool:
        command = [
            "autopkg",
            "run",
            "-v",
            "HelloKandji.kandji",
            "--prefs",
            str(preferences),
            "-k",
            f"RELEASE={version}",
        ]
        print(f"   $ autopkg run -v HelloKandji.kandji -k RELEASE={version}", flush=True)
        done = children.run(command, surroundings)
        print("\n".join(f"   {line.rstrip()}" for line in [*_lines(done.stdout), *_lines(done.stderr)]))
        return done.returncode == 0

    return publish


def _lines(text: str) -> list[str]:
    """What AutoPkg says, without its remarks on preferences, trust and macOS frameworks."""
    remarks = ("WARNING: Failed 'from", "WARNING: Did not load", "Receipt written to")
    lines = (line for line in text.splitlines() if line.strip() and not line.startswith(remarks))
    return [line for line in lines if "is missing trust info" not in line]


def _lend(folder: Path) -> Path:
    folder.mkdir()
    for name in _LENT:
        found = importlib.util.find_spec(name)
        if found is not None and found.origin is not None:
            package = Path(found.origin).parent
            (folder / name).symlink_to(package)
            for record in package.parent.glob(f"{name}-*.dist-info"):
                (folder / record.name).symlink_to(record)
    return folder
