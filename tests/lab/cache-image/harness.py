# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The compiled content cache between a client and an upstream, all on 127.0.0.1: what test_downstream.py plays with."""

from __future__ import annotations

import datetime
import hashlib
import http.client
import json
import os
import socket
import ssl
import subprocess
import threading
import time
import typing as t
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path

import requests
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

BUILD = Path(__file__).resolve().parent / "build"
ADDRESS = "127.0.0.1"
START_SECONDS = 20
REPOSITORY = "engineering/app"
SIGNS_CERTIFICATES = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)


def sha256(content: bytes) -> str:
    """Return a blob's digest."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def free_port() -> int:
    """Return a port that nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind((ADDRESS, 0))
        return int(probe.getsockname()[1])


def wait_for(condition: t.Callable[[], bool], what: str, seconds: float = 10) -> None:
    """Wait until the condition holds, or fail."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds} s: {what}"
        time.sleep(0.05)


@dataclass
class Authority:
    """A certificate authority; `ca` is its certificate's path."""

    name: str
    folder: Path
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True)
        self.ca.write_bytes(self._certificate(self.name, self.key, is_ca=True))

    @property
    def ca(self) -> Path:
        return self.folder / "ca.pem"

    def issue(self, name: str) -> tuple[Path, Path]:
        """Return the paths of a certificate for 127.0.0.1 and of its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate_path, key_path = self.folder / f"{name}.cert.pem", self.folder / f"{name}.key.pem"
        certificate_path.write_bytes(self._certificate(name, key, is_ca=False))
        key_path.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return certificate_path, key_path

    def _certificate(self, name: str, key: ec.EllipticCurvePrivateKey, *, is_ca: bool) -> bytes:
        now = datetime.datetime.now(datetime.timezone.utc)
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, self.name)]))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
            # From Python 3.13 on a chain without key identifiers, or a CA without key usage, is refused.
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
        )
        if is_ca:
            builder = builder.add_extension(SIGNS_CERTIFICATES, critical=True)
        else:
            builder = builder.add_extension(
                x509.SubjectAlternativeName([x509.IPAddress(ip_address(ADDRESS))]), critical=False
            )
        return builder.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


@dataclass
class Answer:
    """What the upstream sends; a `body` shorter than `length` breaks off."""

    body: bytes = b""
    status: int = 200
    length: int | None = None
    location: str | None = None
    seconds: float = 0


class QuietServer(ThreadingHTTPServer):
    """A server that keeps to itself that clients refuse its certificate or hang up."""

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: the tests look at what the client says."""


@dataclass
class Upstream:
    """A registry that serves blobs, as told, over TLS, and remembers what it was asked.

    `decide` sees the requested path with its query string and may return another answer than the blob.
    """

    authority: Authority
    blobs: dict[str, bytes] = field(default_factory=dict)
    decide: t.Callable[[str], Answer | None] = lambda _path: None
    asked: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        upstream = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                upstream.asked.append(self.path)
                upstream.headers.append({name.lower(): value for name, value in self.headers.items()})
                answer = upstream.decide(self.path) or upstream.blob(self.path)
                time.sleep(answer.seconds)
                self.send_response(answer.status)
                self.send_header("Content-Length", str(len(answer.body) if answer.length is None else answer.length))
                if answer.location:
                    self.send_header("Location", answer.location)
                self.end_headers()
                self.wfile.write(answer.body)
                self.close_connection = answer.length is not None

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (named by the library)
                """Say nothing: `asked` is the log."""

        self.server = QuietServer((ADDRESS, 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.authority.issue(f"upstream-{self.server.server_port}"))
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    @property
    def url(self) -> str:
        return f"https://{ADDRESS}:{self.server.server_port}"

    def add(self, content: bytes) -> str:
        """Offer a blob and return its digest."""
        digest = sha256(content)
        self.blobs[digest] = content
        return digest

    def blob(self, path: str) -> Answer:
        content = self.blobs.get(path.partition("?")[0].rpartition("/")[2])
        return Answer(status=404) if content is None else Answer(content)

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()


class Cache:
    """One process of the content cache with its configuration, storage and log.

    `changes` are options of the downstream middleware; `config` is merged over the documented configuration, one level
    deep in each section; `environment` is added to this process's own.
    """

    def __init__(
        self,
        binary: Path,
        folder: Path,
        authority: Authority,
        upstreams: t.Sequence[str],
        cas: t.Sequence[Path] = (),
        storage: Path | None = None,
        config: t.Mapping[str, t.Any] | None = None,
        environment: t.Mapping[str, str] | None = None,
        **changes: object,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.binary, self.folder, self.authority = binary, folder, authority
        self.storage = storage or folder / "registry"
        self.log_path = folder / "log"
        self.environment = {**os.environ, **(environment or {})}
        self.port = free_port()
        self.session = requests.Session()
        self.session.verify = str(authority.ca)
        self.session.trust_env = False
        certificate, key = authority.issue(f"cache-{self.port}")
        options = {"blobttl": "24h", "upstreams": list(upstreams), "cas": [str(ca) for ca in cas], **changes}
        self.config: dict[str, t.Any] = {
            "version": 0.1,
            "log": {"level": "info", "formatter": "json"},
            "storage": {"delete": {"enabled": True}, "filesystem": {"rootdirectory": str(self.storage)}},
            "http": {
                "addr": f"{ADDRESS}:{self.port}",
                "secret": "a-secret-of-the-tests",
                "host": self.url,
                "tls": {"certificate": str(certificate), "key": str(key)},
            },
            "middleware": {"registry": [{"name": "downstream", "options": options}]},
            **(config or {}),
        }
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"https://{ADDRESS}:{self.port}"

    def run(self) -> subprocess.Popen[bytes]:
        """Start the process and wait for nothing."""
        path = self.folder / "config.yml"
        path.write_text(yaml.safe_dump(self.config))
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen([self.binary, "serve", path], stdout=log, stderr=log, env=self.environment)
        return self.process

    def start(self) -> Cache:
        """Start the process and wait until it answers."""
        process = self.run()

        def answers() -> bool:
            assert process.poll() is None, self.log()
            with socket.socket() as probe:
                return probe.connect_ex((ADDRESS, self.port)) == 0

        wait_for(answers, "the cache listens", START_SECONDS)
        return self

    def stop(self) -> None:
        """End the process as a crash would: nothing can be saved."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None
        self.session.close()

    def blob_url(self, digest: str, query: str = "", repository: str = REPOSITORY) -> str:
        return f"{self.url}/v2/{repository}/blobs/{digest}{query and '?' + query}"

    def get(self, digest: str, query: str = "", repository: str = REPOSITORY, **more: t.Any) -> requests.Response:
        return self.session.get(self.blob_url(digest, query, repository), timeout=30, **more)

    def get_exactly(self, digest: str, query: str) -> bytes:
        """Return a blob by a query string that `requests` would put in order before it sends it."""
        context = ssl.create_default_context(cafile=str(self.authority.ca))
        with closing(http.client.HTTPSConnection(ADDRESS, self.port, timeout=30, context=context)) as connection:
            connection.request("GET", self.blob_url(digest, query).removeprefix(self.url))
            return connection.getresponse().read()

    def log(self) -> str:
        return self.log_path.read_text()

    def events(self, message: str) -> list[dict[str, t.Any]]:
        """Return the structured log lines with this message."""
        lines = [json.loads(line) for line in self.log().splitlines() if line.startswith("{")]
        return [line for line in lines if line["msg"] == message]

    def stored(self) -> list[str]:
        """Return the digests of the blobs in the storage."""
        return sorted(f"sha256:{data.parent.name}" for data in self.storage.glob("**/blobs/sha256/*/*/data"))

    def files(self) -> list[Path]:
        return [path for path in self.storage.glob("**/*") if path.is_file()]


@contextmanager
def running(*caches: Cache) -> t.Iterator[None]:
    """Start the caches and end them afterwards."""
    try:
        for cache in caches:
            cache.start()
        yield
    finally:
        for cache in caches:
            cache.stop()
