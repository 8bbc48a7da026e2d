# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Starts the stand-in on a loopback address, with certificates of its own, for its tests."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import datetime
import functools
import ipaddress
import json
import pathlib
import socket
import subprocess
import sys
import time
import typing as t

import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from dtr_standin.control_client import Control

_HERE = pathlib.Path(__file__).parent
_START_SECONDS = 20.0

#: More than the largest range of generated members, and few enough for a quick start.
ACCOUNTS = 450


@dataclasses.dataclass(frozen=True)
class Issued:
    """A certificate and its key, and the same as PEM files."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey
    certificate_file: pathlib.Path
    key_file: pathlib.Path


def issue(folder: pathlib.Path, name: str, issuer: Issued | None = None, address: str = "127.0.0.1") -> Issued:
    """A certificate for a common name and an address or a host name; without an issuer a CA of its own."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    signing_key = issuer.key if issuer else key
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=90))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(_key_usage(authority=issuer is None), critical=True)
        .add_extension(x509.SubjectAlternativeName([_name(address)]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signing_key.public_key()), critical=False)
        .sign(signing_key, hashes.SHA256())
    )
    issued = Issued(certificate, key, folder / f"{name}.cert.pem", folder / f"{name}.key.pem")
    issued.certificate_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    issued.key_file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return issued


def _name(address: str) -> x509.GeneralName:
    with contextlib.suppress(ValueError):
        return x509.IPAddress(ipaddress.ip_address(address))
    return x509.DNSName(address)


def _key_usage(authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


@dataclasses.dataclass(frozen=True)
class Standin:
    """A running stand-in."""

    url: str
    state: pathlib.Path
    ca: pathlib.Path
    control: Control
    process: subprocess.Popen[bytes]

    @functools.cached_property
    def passwords(self) -> dict[str, str]:
        return t.cast("dict[str, str]", json.loads((self.state / "passwords.json").read_text()))


@contextlib.contextmanager
def running(
    folder: pathlib.Path, upstream: str, *, accounts: int, ca: Issued, client_ca: Issued, listen: str = "127.0.0.1:0"
) -> t.Iterator[Standin]:
    """A stand-in that serves from a folder until the context ends."""
    server = issue(folder, "dtr", ca, listen.partition(":")[0])
    state = folder / "state"
    command = [sys.executable, str(_HERE), "--listen", listen, "--control", "127.0.0.1:0"]
    command += ["--cert", str(server.certificate_file), "--key", str(server.key_file)]
    command += ["--ca", str(ca.certificate_file), "--client-ca", str(client_ca.certificate_file)]
    command += ["--upstream", upstream, "--state", str(state), "--accounts", str(accounts)]
    with (folder / "standin.log").open("ab") as log, _process(command, log) as process:
        wait_until((state / "ready").exists, process, folder / "standin.log")
        ready = json.loads((state / "ready").read_text())
        yield Standin(ready["url"], state, ca.certificate_file, Control.of(state), process)


@contextlib.contextmanager
def docker_registry(folder: pathlib.Path) -> t.Iterator[str]:
    """A real Docker registry on a loopback port; its address."""
    port = _free_port()
    configuration = {
        "version": "0.1",
        "log": {"level": "error", "accesslog": {"disabled": True}},
        "storage": {"delete": {"enabled": True}, "filesystem": {"rootdirectory": str(folder / "registry")}},
        "http": {"addr": f"127.0.0.1:{port}"},
    }
    file = folder / "registry.json"
    file.write_text(json.dumps(configuration))  # which is YAML, too
    with (folder / "registry.log").open("ab") as log, _process(["docker-registry", "serve", str(file)], log) as process:
        wait_until(lambda: _answers(port), process, folder / "registry.log")
        yield f"http://127.0.0.1:{port}"


def wait_until(ready: t.Callable[[], bool], process: subprocess.Popen[bytes], log: pathlib.Path) -> None:
    """Waits for a process to be ready.

    Raises:
        RuntimeError: It ended or took too long; with what it logged.
    """
    end = time.monotonic() + _START_SECONDS
    while not ready():
        if process.poll() is not None or time.monotonic() > end:
            raise RuntimeError(f"{process.args!r} does not serve: {log.read_text()}")
        time.sleep(0.02)


@contextlib.contextmanager
def _process(command: list[str], log: t.IO[bytes]) -> t.Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL) as process:
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                raise


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


class Client:
    """A client of one account; paths are relative to the stand-in's address. It follows no redirect."""

    def __init__(self, standin: Standin, name: str | None = None, secret: str | None = None) -> None:
        self.standin = standin
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.verify = str(standin.ca)
        if name is not None:
            # As a header, because requests lets its own auth win over a header of one request.
            self.session.headers["Authorization"] = basic(name, standin.passwords[name] if secret is None else secret)

    def __call__(self, method: str, path: str, json: t.Any = None, **options: t.Any) -> requests.Response:
        return self.session.request(
            method, self.standin.url + path, json=json, allow_redirects=False, timeout=20, **options
        )

    def get(self, path: str, **options: t.Any) -> requests.Response:
        return self("GET", path, **options)

    def create_cache(self, name: str = "region-asia", host: str = "https://cache.lab.test:8443") -> str:
        answer = self("POST", "/api/v0/content_caches", {"name": name, "host": host})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def set_cache(self, account: str, cache_id: t.Any) -> requests.Response:
        return self("PATCH", f"/api/v0/accounts/{account}/settings", {"contentCacheUUID": cache_id})

    def settings(self, account: str) -> t.Any:
        return self.get(f"/api/v0/accounts/{account}/settings").json()

    def bearer(self, *scopes: str) -> dict[str, str]:
        """The header that a token for some scopes makes."""
        answer = self.get("/auth/token", params={"service": "dtr", "scope": list(scopes)})
        assert answer.status_code == 200, answer.text
        return {"Authorization": f"Bearer {answer.json()['token']}"}


def code(answer: requests.Response) -> tuple[int, str]:
    """An error's status and code."""
    (error,) = answer.json()["errors"]
    assert set(error) == {"code", "message", "detail"}
    assert error["message"]
    return answer.status_code, error["code"]


def basic(name: str, secret: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{secret}".encode()).decode()
