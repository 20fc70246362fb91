"""A server on loopback that remembers what it was sent, over TLS too, with a CA of its own."""

import contextlib
import ssl
import threading
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec


class Recorder(BaseHTTPRequestHandler):
    """Answers everything with an empty list of apps and remembers what it was sent."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.server.seen.append((self.path, dict(self.headers)))
        body = self.server.body
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_CONNECT = do_GET  # noqa: N815 - named by http.server

    def log_message(self, *_):
        pass


class Tunnel(Recorder):
    """A proxy that plays the https host that it is asked for; `context` is that host's."""

    def do_CONNECT(self):
        self.server.seen.append((self.path, {}))
        self.send_response(200)
        self.end_headers()
        self.connection = self.server.context.wrap_socket(self.connection, server_side=True)
        self.rfile = self.connection.makefile("rb")
        self.wfile = self.connection.makefile("wb", buffering=0)
        self.close_connection = False


@contextlib.contextmanager
def playing(context, body):
    """A proxy that plays any https host, for `HTTPS_PROXY`."""
    with recording(body=body) as server:
        server.context, server.RequestHandlerClass = context, Tunnel
        yield server


@contextlib.contextmanager
def recording(context=None, body=b'{"count": 0, "next": null, "results": []}'):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Recorder)
    server.seen, server.body = [], body
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


def an_authority(folder, *hosts):
    """A CA of our own, in a file, and a server's TLS context that it vouches for: for 127.0.0.1 and other hosts."""
    ca_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "A CA of our own")])

    def certificate(subject_key, *extensions):
        now = datetime.now(timezone.utc)
        builder = (
            x509.CertificateBuilder(name, name if subject_key is ca_key else x509.Name([]), subject_key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(subject_key.public_key()), False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), False)
        )
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical)
        return builder.sign(ca_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    usage = x509.KeyUsage(True, False, False, False, False, True, True, False, False)
    (folder / "ca.pem").write_bytes(certificate(ca_key, (x509.BasicConstraints(True, None), True), (usage, True)))
    names = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1")), *map(x509.DNSName, hosts)])
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "server.pem").write_bytes(secret + certificate(key, (names, True)))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem")
    return folder / "ca.pem", context
