"""A cask API and a download server on loopback, with the faults that real ones have."""

from __future__ import annotations

import hashlib
import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Offer:
    """One file to be downloaded.

    Attributes:
        body: its bytes.
        etag: sent with it; None for none.
        ranges: whether byte ranges are served.
        heeds_if_range: whether a range is served only while the file is still the one that was begun.
        headers: further ones.
        faults: what goes wrong, one per request, first come first served; a request finding none is served well.
            `reset N`: the connection is reset after N bytes; `short N`: it is closed in good order after N bytes;
            `silent N`: nothing more comes after N bytes; `status N`: that status instead; `redirect URL`;
            `drip N`: N bytes at a time, slowly.
        on_request: called with the number of the request (from 1) before it is answered.
    """

    body: bytes
    etag: str | None = '"v1"'
    ranges: bool = True
    heeds_if_range: bool = True
    headers: dict[str, str] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    on_request: Callable[[int], None] | None = None


@dataclass
class Asked:
    """One request as it came in."""

    path: str
    headers: dict[str, str]


class CaskServer:
    """What is offered, and what was asked for."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.offers: dict[str, Offer] = {}
        self.casks: dict[str, dict[str, Any]] = {}
        self.asked: list[Asked] = []
        self.released = threading.Event()

    @property
    def environ(self) -> dict[str, str]:
        """Environment variables that make this the cask API."""
        return {"HOMEBREW_API_DOMAIN": f"{self.url}/api"}

    def offer(self, path: str, body: bytes, **details: Any) -> Offer:
        """Offer a file."""
        self.offers[path] = Offer(body, **details)
        return self.offers[path]

    def add(self, token: str, **changes: Any) -> dict[str, Any]:
        """Add a cask with a small .dmg that it downloads; `changes` are keys of its JSON."""
        path = f"/files/{token}-1.0.dmg"
        body = installer(f"the installer of {token}")
        self.offer(path, body)
        cask = cask_json(token, url=self.url + path, sha256=hashlib.sha256(body).hexdigest())
        self.casks[token] = {**cask, **changes}
        return self.casks[token]

    def paths(self) -> list[str]:
        """The paths that were asked for, in order."""
        return [each.path for each in self.asked]


def cask_json(token: str, **changes: Any) -> dict[str, Any]:
    """A cask as the API describes one."""
    return {
        "token": token,
        "full_token": token,
        "old_tokens": [],
        "tap": "homebrew/cask",
        "name": [token.title()],
        "url": f"https://download.example.com/{token}-1.0.dmg",
        "url_specs": {},
        "version": "1.0",
        "sha256": "a" * 64,
        "artifacts": [{"app": [f"{token.title()}.app"]}, {"zap": [{"trash": ["~/Library/Caches/x"]}]}],
        "depends_on": {"macos": {">=": ["12"]}},
        "container": None,
        "deprecated": False,
        "disabled": False,
        "variations": {},
        **changes,
    }


def installer(text: str, size: int = 5000) -> bytes:
    """Bytes that end as a .dmg does."""
    start = text.encode().ljust(size, b".")
    return start + b"koly".ljust(512, b"\0")


@contextmanager
def cask_server() -> Iterator[CaskServer]:
    """A running server."""
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    httpd.daemon_threads = True
    server = CaskServer(f"http://127.0.0.1:{httpd.server_port}")
    httpd.cask_server = server  # type: ignore[attr-defined]
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.released.set()
        httpd.shutdown()
        httpd.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        server: CaskServer = self.server.cask_server  # type: ignore[attr-defined]
        server.asked.append(Asked(self.path, dict(self.headers)))
        path = self.path.partition("?")[0]
        if path == "/api/cask.json":
            self._send_json(list(server.casks.values()))
        elif path.startswith("/api/cask/"):
            self._send_json(server.casks.get(path.removeprefix("/api/cask/").removesuffix(".json")))
        elif path == "/api/formula/curl.json":
            files = {tag: {"cellar": ":any"} for tag in ("arm64_golden_gate", "arm64_tahoe", "tahoe", "x86_64_linux")}
            self._send_json({"bottle": {"stable": {"files": files}}})
        elif path in server.offers:
            self._send_offer(server, server.offers[path])
        else:
            self._send_status(404)

    def _send_json(self, value: Any) -> None:
        if value is None:
            self._send_status(404)
            return
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _send_status(self, status: int, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _send_offer(self, server: CaskServer, offer: Offer) -> None:
        if offer.on_request:
            offer.on_request(len([path for path in server.paths() if path == self.path]))
        fault, _, detail = offer.faults.pop(0).partition(" ") if offer.faults else ("", "", "")
        if fault == "status":
            self._send_status(int(detail), Retry_After="0")
        elif fault == "redirect":
            self._send_status(302, Location=detail)
        else:
            self._send_body(server, offer, fault, int(detail or 0))

    def _send_body(self, server: CaskServer, offer: Offer, fault: str, count: int) -> None:
        start = self._start(offer)
        if start is None:
            self._send_status(416)
            return
        body = offer.body[start:]
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(offer.body) - 1}/{len(offer.body)}")
        if offer.etag:
            self.send_header("ETag", offer.etag)
        if "Content-Length" not in offer.headers and "Transfer-Encoding" not in offer.headers:
            self.send_header("Content-Length", str(len(body)))
        for name, value in offer.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self._write(server, body, fault, count, chunked="Transfer-Encoding" in offer.headers)

    def _start(self, offer: Offer) -> int | None:
        asked = self.headers.get("Range")
        current = (offer.etag, offer.headers.get("Last-Modified"))
        replaced = offer.heeds_if_range and self.headers.get("If-Range", offer.etag) not in current
        if not asked or not offer.ranges or replaced:
            return 0
        start = int(asked.removeprefix("bytes=").rstrip("-"))
        return start if start < len(offer.body) else None

    def _write(self, server: CaskServer, body: bytes, fault: str, count: int, *, chunked: bool) -> None:
        try:
            if chunked:
                self.wfile.write(b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body))
            elif fault == "drip":
                for start in range(0, len(body), count):
                    self.wfile.write(body[start : start + count])
                    time.sleep(0.02)
            elif fault in ("reset", "short", "silent"):
                self._break_off(server, body[:count], fault)
            else:
                self.wfile.write(body)
        except OSError:
            self.close_connection = True

    def _break_off(self, server: CaskServer, body: bytes, fault: str) -> None:
        self.close_connection = True
        self.wfile.write(body)
        self.wfile.flush()
        if fault == "silent":
            server.released.wait(20)
        elif fault == "reset":
            time.sleep(0.1)  # a reset throws away what the other side has not read yet
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
