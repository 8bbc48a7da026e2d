# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Caches that fail, each in its own way: real ones as containers on one node of the lab, without Swarm."""

from __future__ import annotations

import contextlib
import datetime
import email.utils
import functools
import http.client
import http.server
import io
import socket
import ssl
import tarfile
import tempfile
import threading
import time
import typing as t
from pathlib import Path

import docker
import yaml

from .authority import DAY, Authority, Issued
from .conftest import Lab

NODE = "asia-2"
HOST = "asia-2.lab.test"
IMAGE = "docker/dtr-content-cache:2.7.4"
DTR = "https://dtr.lab.test"
# A file system that is soon full.
SMALL = "/small"
SMALL_BYTES = 64 * 1024
_CONTAINER = "health-cases"
_FOLDER = "/cases"
_START_SECONDS = 20


class Serve(t.NamedTuple):
    """How a cache is run.

    Args:
        identity: Its certificate and key; none means plain HTTP.
        chain: What it sends, when that is not the chain as it was issued.
        key: Its key, when that is not the certificate's own.
        upstream: Where it gets blobs from.
        cas: What it trusts its upstream by.
        storage: The folder of its storage, when that is not one of its own.
        ends: It ends by itself, right after its start.
    """

    identity: Issued | None
    chain: str | None = None
    key: str | None = None
    upstream: str = DTR
    cas: str = ""
    storage: str | None = None
    ends: bool = False

    def config(self, port: int) -> dict[str, t.Any]:
        folder = f"{_FOLDER}/{port}"
        options: dict[str, t.Any] = {"blobttl": "24h", "upstreams": [self.upstream]}
        if self.cas:
            options["cas"] = [f"{folder}/upstream.pem"]
        tls = {"tls": {"certificate": f"{folder}/cert.pem", "key": f"{folder}/key.pem"}} if self.identity else {}
        return {
            "version": 0.1,
            "log": {"level": "info"},
            "storage": {
                "delete": {"enabled": True},
                "filesystem": {"rootdirectory": self.storage or f"{folder}/storage"},
            },
            "http": {"addr": f"0.0.0.0:{port}", "secret": "s" * 32, **tls},
            "middleware": {"registry": [{"name": "downstream", "options": options}]},
        }

    def files(self, port: int) -> dict[str, str]:
        files = {"config.yml": yaml.safe_dump(self.config(port)), "upstream.pem": self.cas}
        if self.identity:
            files["cert.pem"] = self.chain or self.identity.chain
            files["key.pem"] = self.key or self.identity.key
        return files


class Node:
    """The node whose network the caches are on, as processes of one container of the cache's image."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._engine = lab.engine(NODE)
        with contextlib.suppress(docker.errors.NotFound):
            self._engine.containers.get(_CONTAINER).remove(force=True)
        self._container = self._engine.containers.run(
            IMAGE,
            detach=True,
            name=_CONTAINER,
            network_mode="host",
            entrypoint=["/bin/busybox", "sleep", "3600"],
            tmpfs={SMALL: f"size={SMALL_BYTES}"},
        )

    def run(self, caches: t.Mapping[int, Serve]) -> None:
        """Start caches, each in the place of the one that had its port, and wait until they listen or have ended."""
        files = {f"{port}/{name}": text for port, serve in caches.items() for name, text in serve.files(port).items()}
        self._container.put_archive("/", _archive({f"{_FOLDER}/{name}": text for name, text in files.items()}))
        self.shell("; ".join(map(_stop, caches)))
        self.shell("; ".join(map(_start, caches)))
        for port, serve in caches.items():
            self._await(port, serve)

    def stop(self, port: int) -> None:
        self.shell(_stop(port))

    def _await(self, port: int, serve: Serve) -> None:
        end = time.monotonic() + _START_SECONDS
        while True:
            if serve.ends and self.shell(_runs(port)) == "":
                return
            with contextlib.suppress(OSError), socket.create_connection((HOST, port), 1):
                assert not serve.ends, "it was to end"
                return
            assert time.monotonic() < end, self.log(port)
            time.sleep(0.05)

    def log(self, port: int) -> str:
        return self.shell(f"busybox cat {_FOLDER}/{port}/log")

    def shell(self, command: str) -> str:
        code, output = self._container.exec_run(["/bin/busybox", "sh", "-c", command])
        assert code == 0, output
        return t.cast("bytes", output).decode()

    def filter(self, port: int, *, on: bool) -> None:
        """Let packets to a port get lost, or no longer."""
        rule = ("INPUT", "-p", "tcp", "--dport", str(port), "-j", "DROP")
        self._lab.inside(NODE, "iptables", "-w", "-I" if on else "-D", *rule)

    def clear(self) -> None:
        self._container.remove(force=True)
        self._engine.close()


def _start(port: int) -> str:
    folder = f"{_FOLDER}/{port}"
    return f"/start.sh {folder}/config.yml >{folder}/log 2>&1 </dev/null & echo $! >{folder}/pid"


def _stop(port: int) -> str:
    pid = f"$(busybox cat {_FOLDER}/{port}/pid 2>/dev/null)"
    return f'kill {pid} 2>/dev/null; while [ -n "$({_runs(port)})" ]; do busybox sleep 0.05; done'


def _runs(port: int) -> str:
    """What prints something while the cache of a port runs; one that has ended may wait to be reaped."""
    return f"busybox grep -sl registry /proc/$(busybox cat {_FOLDER}/{port}/pid 2>/dev/null)/cmdline || true"


def _archive(files: t.Mapping[str, str]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, text in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(text.encode())
            archive.addfile(info, io.BytesIO(text.encode()))
    return buffer.getvalue()


class Front:
    """Something that speaks TLS and hands each request on, as from a machine whose clock is C(off).

    Its certificate is good at that machine's time. So what such a clock does is seen from both sides: in the C(Date) of
    answers, and in that a right clock finds the certificate of the year before or after.

    Args:
        behind: Makes a connection to the server that answers.
        authority: Issues the certificate.
        address: Where to listen, by the name of the certificate.
        name: That name.
        shifted: Whether the certificate is good at the wrong time only.
    """

    def __init__(
        self,
        behind: t.Callable[[], http.client.HTTPConnection],
        authority: Authority,
        address: str,
        name: str,
        *,
        shifted: bool = False,
    ) -> None:
        self.off = datetime.timedelta(0)
        front = self

        @functools.cache
        def context_at(off: datetime.timedelta) -> ssl.SSLContext:
            now = datetime.datetime.now(datetime.UTC) - off
            return server_context(authority.issue(name, begin=now - DAY, end=now + 30 * DAY))

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                connection = behind()
                headers = {
                    key: value for key, value in self.headers.items() if key.lower() not in ("host", "connection")
                }
                connection.request("GET", self.path, headers=headers)
                answer = connection.getresponse()
                body = answer.read()
                self.send_response_only(answer.status)
                for key, value in answer.getheaders():
                    if key.lower() not in ("date", "transfer-encoding", "content-length", "connection"):
                        self.send_header(key, value)
                now = datetime.datetime.now(datetime.UTC) + front.off
                self.send_header("Date", email.utils.format_datetime(now, usegmt=True))
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
                connection.close()

            def log_message(self, *_arguments: t.Any) -> None:
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def get_request(self) -> tuple[t.Any, t.Any]:
                connection, client = super().get_request()
                context = context_at(front.off if shifted else datetime.timedelta(0))
                return context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False), client

            def handle_error(self, _request: t.Any, _client: t.Any) -> None:
                """That a client refuses the certificate is what some tests are about."""

        self._server = Server((address, 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def server_context(identity: Issued) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "both.pem"
        path.write_text(identity.chain + identity.key)
        context.load_cert_chain(path)
    return context
