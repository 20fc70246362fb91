"""Kandji's own tools, run as they are beside ours: they speak to https://TENANT.api.kandji.io or .iru.com only.

So they are given a proxy that plays these hosts: it answers CONNECT itself, with a certificate made for the occasion,
and passes what is asked on to the embedded tenant. The upload itself goes straight to the same store as ours.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import ssl
import subprocess
import threading
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.measure import Run, process

TOKEN = "6f8a3d52-8c1e-4c0b-9b53-0b3a6a2f7c11"
APP = "Big"
"""The Custom App that they publish."""
_HOSTS = ("bench.api.kandji.io", "bench.api.iru.com")
_BLOCK = 1 << 16


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
        self._folder = folder

    def __enter__(self) -> Front:  # noqa: PYI034 - Self needs Python 3.11
        key, certificate = self._folder / "front.key", self._folder / "front.pem"
        names = ",".join(f"DNS:{host}" for host in _HOSTS)
        words = ["-subj", f"/CN={_HOSTS[0]}", "-addext", f"subjectAltName={names}", "-keyout", key, "-out", certificate]
        command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *words]
        subprocess.run(command, check=True, capture_output=True)
        self._tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._tls.load_cert_chain(certificate, key)
        self._socket = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._accept, daemon=True).start()
        self.environ = {
            "HTTPS_PROXY": f"http://127.0.0.1:{self._socket.getsockname()[1]}",
            "NO_PROXY": "127.0.0.1",
            "REQUESTS_CA_BUNDLE": str(certificate),
            "PATH": os.environ["PATH"],
            "HOME": str(self._folder),
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


class Iructl:
    """`iructl`, which keeps a repository of the apps; `prepare` puts the installer there, and is not measured.

    Args:
        program: where it is.
        folder: for the repository.
        environ: variables of `Front`.
    """

    def __init__(self, program: str, folder: Path, environ: dict[str, str]) -> None:
        told = subprocess.run([program, "--version"], check=True, capture_output=True, text=True).stdout
        self.name = f"`{' '.join(told.replace(', version', '').split())}`"
        given = {"IRUCTL_TENANT": f"https://{_HOSTS[0]}", "IRUCTL_TOKEN": TOKEN, "IRUCTL_GIT_ENABLED": "false"}
        self._program, self._place, self._environ = program, folder / "iructl", {**environ, **given}

    def prepare(self, installer: Path) -> None:
        """Have the repository say that the app is this installer."""
        if not self._place.exists():
            self._do("new", str(self._place))
            words = ("--file", str(installer), "--name", APP, "--active", "-e", "install_once")
            self._do("--repo", str(self._place), "app", "new", *words)
        elif not (self._place / "payloads" / installer.name).exists():
            (app,) = (self._place / "apps").iterdir()
            self._do("--repo", str(self._place), "app", "set-file", str(app), "--file", str(installer))

    def forget(self) -> None:
        """As before the first run."""
        shutil.rmtree(self._place, ignore_errors=True)

    def publish(self, installer: Path) -> Run:
        """Push what the repository says."""
        words = [self._program, "--repo", self._place, "app", "push", "--all"]
        return process(words, self._environ, installer.parent)

    def _do(self, *words: str) -> None:
        subprocess.run([self._program, *words], env=self._environ, check=True, capture_output=True)


class Irupkg:
    """`irupkg`, which publishes an installer; it waits 5 s after each upload."""

    def __init__(self, program: str, folder: Path, environ: dict[str, str]) -> None:
        self._program, self._place = program, folder / "irupkg"
        given = {"IRU_API_URL": _HOSTS[1], "IRUPKG_TOKEN": TOKEN, "IRUPKG_LOCAL_DIR": str(self._place)}
        self._environ = {**environ, **given, "ENV_KEYSTORE": "1"}
        told = subprocess.run([program, "--version"], env=self._environ, check=True, capture_output=True, text=True)
        self.name = f"`irupkg {told.stdout.split()[-1]}`"

    def prepare(self, installer: Path) -> None:
        """It needs its settings."""
        del installer
        self._place.mkdir(exist_ok=True)
        settings = {
            "iru": {"api_url": _HOSTS[1], "token_name": "IRUPKG_TOKEN"},
            "li_enforcement": {"type": "install_once"},
            "slack": {"enabled": False},
            "token_keystore": {"environment": True, "keychain": False},
            "zz_defaults": {"auto_create_app": True},
        }
        (self._place / "config.json").write_text(json.dumps(settings), "utf-8")

    def forget(self) -> None:
        """As before the first run."""
        shutil.rmtree(self._place, ignore_errors=True)

    def publish(self, installer: Path) -> Run:
        """Publish it."""
        return process([self._program, "-p", installer, "-n", APP], self._environ, installer.parent)


def found(folder: Path, environ: dict[str, str]) -> list[Iructl | Irupkg]:
    """Those that are here: named by the variables IRUCTL and IRUPKG, or on PATH."""
    tools: list[Iructl | Irupkg] = []
    for kind, name in ((Iructl, "iructl"), (Irupkg, "irupkg")):
        program = shutil.which(os.environ.get(name.upper()) or name)
        if program:
            tools.append(kind(program, folder, environ))
    return tools
