# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The least that a content cache does: it fetches a blob with the query that its client brought, and keeps it."""

from __future__ import annotations

import contextlib
import http.server
import ssl
import threading
import typing as t

import requests
from standin_harness import Issued


class FakeCache:
    """A cache on a loopback address.

    Attributes:
        url: What is registered as its host.
        visits: How often clients asked whether it is there.
        served: The paths of blobs that clients asked for, without their queries.
        kept: What came from the registry, by path.
        status: What it answers everything with, if it is not well.
        authorises: Whether it asks the registry also before it serves what it keeps.
        judges: Whether it refuses by itself what is not signed, without asking the registry.
        reaches: Whether it reaches the registry.
        fails_for: Whose user agent has this in it meets a failure, as by something between the two.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.visits = 0
        self.served: list[str] = []
        self.kept: dict[str, bytes] = {}
        self.status = 0
        self.authorises = False
        self.judges = False
        self.reaches = True
        self.fails_for: str | None = None


@contextlib.contextmanager
def fake_cache(upstream: str, ca: Issued, certificate: Issued) -> t.Iterator[FakeCache]:
    """A cache before C(upstream) until the context ends."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            if cache.fails_for and cache.fails_for in self.headers.get("User-Agent", ""):
                self._answer(503, b"")
                return
            cache.visits += path == "/v2/"
            if cache.status or path == "/v2/":
                self._answer(cache.status or 200, b"{}")
                return
            cache.served.append(path)
            self._answer(*self._found(path))

        def do_HEAD(self) -> None:
            self._answer(*self._found(self.path.partition("?")[0]))

        def _found(self, path: str) -> tuple[int, bytes]:
            """The answer for a blob, which comes from the registry where it has to."""
            if path in cache.kept and not cache.authorises:
                return 200, cache.kept[path]
            if cache.judges and "signature=" not in self.path:
                return 401, b""
            if path in cache.kept and cache.judges:
                return 200, cache.kept[path]
            if not cache.reaches:
                return 503, b""
            answer = requests.get(upstream + self.path, verify=str(ca.certificate_file), timeout=10)
            if answer.status_code == 200:
                cache.kept[path] = answer.content
            return answer.status_code, answer.content

        def _answer(self, status: int, content: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Says nothing: the test looks at C(served)."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate.certificate_file, certificate.key_file)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    cache = FakeCache(f"https://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield cache
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
