"""Kandji's own `iructl`, run as it is beside ours: it speaks to https://TENANT.api.kandji.io only.

So it is given a proxy that plays that host: it answers CONNECT itself, with a certificate made for the occasion, and
passes what is asked on to the embedded tenant. The upload itself goes straight to the same store as ours.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import ssl
import subprocess
import threading
from pathlib import Path
from urllib.parse import urlsplit

HOST = "bench.api.kandji.io"
TOKEN = "6f8a3d52-8c1e-4c0b-9b53-0b3a6a2f7c11"
_BLOCK = 1 << 16


def program() -> str | None:
    """Where `iructl` is: named by the variable IRUCTL, or on PATH; None where there is none."""
    return shutil.which(os.environ.get("IRUCTL") or "iructl")


def version() -> str:
    """What it calls itself, such as `iructl 1.3.2`."""
    told = subprocess.run([str(program()), "--version"], check=True, capture_output=True, text=True).stdout
    return " ".join(told.replace(", version", "").split())


class Front:
    """The proxy, as a context manager.

    Args:
        url: of the embedded tenant.
        folder: for the certificate.

    Attributes:
        environ: variables that lead a program to it.
    """

    def __init__(self, url: str, folder: Path) -> None:
        parts = urlsplit(url)
        self._tenant = (str(parts.hostname), int(parts.port or 80))
        self._certificate, self._key = folder / "front.pem", folder / "front.key"

    def __enter__(self) -> Front:  # noqa: PYI034 - Self needs Python 3.11
        subject = ["-subj", f"/CN={HOST}", "-addext", f"subjectAltName=DNS:{HOST}"]
        files = ["-keyout", self._key, "-out", self._certificate]
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *subject, *files],
            check=True,
            capture_output=True,
        )
        self._tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._tls.load_cert_chain(self._certificate, self._key)
        self._socket = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._accept, daemon=True).start()
        self.environ = {
            "HTTPS_PROXY": f"http://127.0.0.1:{self._socket.getsockname()[1]}",
            "NO_PROXY": "127.0.0.1",
            "REQUESTS_CA_BUNDLE": str(self._certificate),
            "IRUCTL_TENANT": f"https://{HOST}",
            "IRUCTL_TOKEN": TOKEN,
            "IRUCTL_GIT_ENABLED": "false",
        }
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                connection, _ = self._socket.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError):  # the client has gone
            asked = b""
            while b"\r\n\r\n" not in asked:
                asked += connection.recv(_BLOCK)
            connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            with (
                self._tls.wrap_socket(connection, server_side=True) as here,
                socket.create_connection(self._tenant) as there,
            ):
                back = threading.Thread(target=_pass_on, args=(there, here), daemon=True)
                back.start()
                _pass_on(here, there)
                there.shutdown(socket.SHUT_WR)
                back.join()


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while block := source.recv(_BLOCK):
            target.sendall(block)


def repository(folder: Path, installer: Path, name: str, environ: dict[str, str]) -> Path:
    """A repository of `iructl` with one app to push."""
    iructl, place = program() or "iructl", folder / "iructl"
    shutil.rmtree(place, ignore_errors=True)
    for words in (
        ["new", place],
        ["--repo", place, "app", "new", "--file", installer, "--name", name, "--active", "-e", "install_once"],
    ):
        subprocess.run([iructl, *words], env=environ, check=True, capture_output=True, cwd=folder)
    return place
