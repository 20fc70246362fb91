"""Long lists as Kandji pages them, and a server of nothing else, in a process of its own.

The embedded tenant keeps each app and each Mac on the disk, so it is no place for 100,000 of them. Run as a module
with a folder it serves `FOLDER/NAME-PAGE.json` at `/api/v1/NAME?page=PAGE` until its standard input ends.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice
from pathlib import Path
from threading import Thread
from urllib.parse import parse_qs, urlsplit

ROOT = Path(__file__).resolve().parent.parent
APPS_PAGE, MACS_PAGE = 300, 300
_MOMENT = "2026-10-{:02}T09:{:02}:{:02}.123456Z"


def apps(count: int, *, scripts: bool) -> Iterator[dict[str, object]]:
    """Custom Apps as the list shows them; `scripts`: with an audit script of ours each."""
    from kandji_uploader.audit import script as audit

    values = audit.AuditValues("App 0000.app", "com.example.app0000", None, "1.0000", 1700000000, 5)
    script = audit.render(values, audit.load_template()) if scripts else ""
    for number in range(count):
        yield {
            "id": f"{number:08x}-0000-4000-8000-{number:012x}",
            "name": f"App {number} (AutoPkg)",
            "file_key": f"companies/companies/acme/library/custom_apps/App {number}-1.0_{number:08x}.pkg",
            "file_url": f"https://store.example/custom_apps/App-{number}.pkg?signature={number:064x}",
            "file_size": 10_000_000 + number,
            "file_updated": _moment(number),
            "sha256": f"{number:064x}",
            "install_type": "package",
            "install_enforcement": "continuously_enforce" if scripts else "no_enforcement",
            "unzip_location": "",
            "audit_script": script.replace("0000'", f"{number}'").replace("0000.app", f"{number}.app"),
            "preinstall_script": "",
            "postinstall_script": "",
            "active": True,
            "restart": False,
            "show_in_self_service": not scripts,
            "created_at": _moment(number),
            "updated_at": _moment(number),
        }


def statuses(count: int) -> Iterator[dict[str, object]]:
    """What each Mac reports of an app: one in fifty an error, one in twenty nothing yet."""
    for number in range(count):
        passed = "Installed version '1.2.3' greater than or equal to enforced version '1.2.3'"
        failed = f"installer: Error - the package could not be verified at 2026-10-02 09:00:0{number % 10}"
        status = "ERROR" if number % 50 == 0 else "PENDING" if number % 20 == 0 else "PASS"
        yield {
            "computer": {"id": f"{number:08x}-0000-4000-9000-{number:012x}", "name": f"Mac {number}"},
            "blueprint": {"id": "0", "name": f"Blueprint {number % 12}"},
            "status": status,
            "reported_at": None if status == "PENDING" else _moment(number),
            "last_audit_run": None if status == "PENDING" else _moment(number),
            "last_audit_log": f"Confirming 'App.app' version...\n{passed}\n" if status == "PASS" else None,
            "log": f"Downloading...\nInstalling...\n{failed}\n" if status == "ERROR" else None,
        }


def write(folder: Path, name: str, rows: Iterable[object], count: int, size: int) -> list[Path]:
    """Write a list of `count` rows as pages, whose `next` is without a host."""
    rows = iter(rows)
    pages = []
    for page in range(1, -(-count // size) + 1):
        following = f"/api/v1/{name}?page={page + 1}" if page * size < count else None
        told = {"count": count, "next": following, "previous": None, "results": list(islice(rows, size))}
        path = folder / f"{name.replace('/', '+')}-{page}.json"
        path.write_text(json.dumps(told), "utf-8")
        pages.append(path)
    return pages


class Server:
    """The pages of a folder, served as a context manager; `url` is where."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __enter__(self) -> Server:  # noqa: PYI034 - Self needs Python 3.11
        words = [sys.executable, "-m", "benchmarks.pages", str(self._folder)]
        self._process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)
        assert self._process.stdout is not None
        self.url = self._process.stdout.readline().strip()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(30)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    folder: Path

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        page = parse_qs(address.query).get("page", ["1"])[0]
        path = self.folder / f"{address.path.removeprefix('/api/v1/').replace('/', '+')}-{page}.json"
        body = path.read_bytes() if path.exists() else b"{}"
        self.send_response(200 if path.exists() else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as its base has it
        """Say nothing."""


def _moment(number: int) -> str:
    return _MOMENT.format(number % 28 + 1, number // 60 % 60, number % 60)


def _serve(folder: Path) -> None:
    _Handler.folder = folder
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    sys.stdin.read()
    server.shutdown()


if __name__ == "__main__":
    _serve(Path(sys.argv[1]))
