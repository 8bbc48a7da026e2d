# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real HTTP server in a thread, whose behaviour is a function, and certificates made on the fly."""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import socket
import ssl
import threading
import typing as t
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


class Request(t.NamedTuple):
    """What a client sent."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: t.Mapping[str, str]
    body: bytes


class Reply(t.NamedTuple):
    """What to answer. C(drop) closes the connection without a word; C(length) lies about the body's length."""

    status: int = 200
    body: bytes = b""
    headers: t.Mapping[str, str] = {}
    drop: bool = False
    length: int | None = None


Behaviour = t.Callable[[Request], Reply]


class Site:
    """A running server: its port, and the requests that reached it."""

    def __init__(self, behaviour: Behaviour) -> None:
        self.behaviour = behaviour
        self.requests: list[Request] = []
        self.connections = 0
        self.scheme = "http"
        self.port = 0

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    def count(self, method: str, path: str | None = None) -> int:
        return sum(1 for each in self.requests if each.method == method and path in (None, each.path))


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    site: t.ClassVar[Site]

    def setup(self) -> None:
        super().setup()
        self.site.connections += 1

    def handle_request(self) -> None:
        parts = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        request = Request(self.command, parts.path, parse_qs(parts.query), dict(self.headers.items()), body)
        self.site.requests.append(request)
        reply = self.site.behaviour(request)
        if reply.drop:
            self.close_connection = True
            with contextlib.suppress(OSError):
                self.connection.shutdown(socket.SHUT_RDWR)
            return
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        if reply.status != 204:
            self.send_header("Content-Length", str(len(reply.body) if reply.length is None else reply.length))
        self.end_headers()
        if self.command != "HEAD":
            with contextlib.suppress(OSError):
                self.wfile.write(reply.body)
        if reply.length is not None:
            self.close_connection = True

    def log_message(self, *_args: t.Any) -> None:
        """The test reads C(Site.requests) instead."""


class _Quiet(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: t.Any, client_address: t.Any) -> None:
        """Broken handshakes are what some tests are about."""


@contextlib.contextmanager
def serve(behaviour: Behaviour, context: ssl.SSLContext | None = None) -> t.Iterator[Site]:
    """Serve on a free port of 127.0.0.1, with TLS when a context is given."""
    site = Site(behaviour)
    methods = {f"do_{method}": _Handler.handle_request for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")}
    server = _Quiet(("127.0.0.1", 0), type("Handler", (_Handler,), {"site": site, **methods}))
    site.port = server.server_address[1]
    if context is not None:
        site.scheme = "https"
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


# What malformed certificates have changed, in DER.
VERSION = bytes.fromhex("a003020102")
UNKNOWN_VERSION = bytes.fromhex("a003020109")
KEY_TYPE = bytes.fromhex("06072a8648ce3d0201")
UNKNOWN_KEY_TYPE = bytes.fromhex("06072a8648ce3d027f")
CURVE = bytes.fromhex("06082a8648ce3d030107")
UNKNOWN_CURVE = bytes.fromhex("06082a8648ce3d03017f")
ECDSA_WITH_SHA256 = bytes.fromhex("06082a8648ce3d040302")
UNKNOWN_SIGNATURE = bytes.fromhex("06082a8648ce3d04037f")


class Identity(t.NamedTuple):
    """A certificate with its key."""

    certificate: x509.Certificate
    key: t.Any  # of a kind that signs certificates; on P-256 unless a test says otherwise

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    @property
    def key_pem(self) -> str:
        return self.encrypted_key_pem(None)

    def encrypted_key_pem(self, passphrase: str | None) -> str:
        encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
        if passphrase:
            encryption = serialization.BestAvailableEncryption(passphrase.encode())
        form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
        return str(self.key.private_bytes(*form, encryption).decode())

    def malformed_pem(self, right: bytes, wrong: bytes) -> str:
        """The certificate with other bytes at each place of some; its signature is wrong then as well."""
        der = self.certificate.public_bytes(serialization.Encoding.DER)
        assert right in der
        assert len(right) == len(wrong)
        return ssl.DER_cert_to_PEM_cert(der.replace(right, wrong))

    def write(self, folder: Path, name: str) -> tuple[Path, Path]:
        certificate, key = folder / f"{name}.cert.pem", folder / f"{name}.key.pem"
        certificate.write_text(self.pem)
        key.write_text(self.key_pem)
        return certificate, key

    def server_context(self, folder: Path, client_ca: Identity | None = None) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.write(folder, "server"))
        if client_ca:
            context.load_verify_locations(cadata=client_ca.pem)
            context.verify_mode = ssl.CERT_REQUIRED
        return context


def make_identity(
    name: str,
    issuer: Identity | None = None,
    *,
    ca: bool = False,
    addresses: t.Sequence[str] = ("127.0.0.1",),
    days: tuple[int, int] = (-1, 30),
    names: bytes | None = None,
    key: t.Any = None,
    path_length: int | None = None,
    more: t.Sequence[x509.ExtensionType] = (),
    critical: t.Sequence[x509.ExtensionType] = (),
    algorithm: t.Any = hashes.SHA256,
    padding: t.Any = None,
) -> Identity:
    """A certificate, self-signed unless an issuer is given.

    C(days) are its validity counted from now, C(names) stands in the place of the encoded list of its addresses.
    C(more) and C(critical) are more extensions, C(algorithm) and C(padding) what it is signed with. One with the key of
    another and its name is the same CA, signed by somebody else.
    """
    now = datetime.datetime.now(datetime.timezone.utc)
    key = key or ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + datetime.timedelta(days=days[0]))
        .not_valid_after(now + datetime.timedelta(days=days[1]))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=path_length), critical=True)
    )
    if not ca:
        listed: x509.ExtensionType = x509.SubjectAlternativeName([_general_name(each) for each in addresses])
        if names is not None:
            listed = x509.UnrecognizedExtension(x509.SubjectAlternativeName.oid, names)
        builder = builder.add_extension(listed, critical=False)
    for extension in more:
        builder = builder.add_extension(extension, critical=False)
    for extension in critical:
        builder = builder.add_extension(extension, critical=True)
    signer = issuer.key if issuer else key
    how = {"rsa_padding": padding} if padding else {}  # which cryptography knows from 41 on
    return Identity(builder.sign(signer, algorithm and algorithm(), **how), key)


def _general_name(address: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(address))
    except ValueError:
        return x509.DNSName(address)
