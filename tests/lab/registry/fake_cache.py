# Copyright: Contributors to the dtr.cache project
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
        fails_for: Whose user agent has this in it meets a failure, as by something between the two.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.visits = 0
        self.served: list[str] = []
        self.kept: dict[str, bytes] = {}
        self.status = 0
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
            if path not in cache.kept:
                answer = requests.get(upstream + self.path, verify=str(ca.certificate_file), timeout=10)
                if answer.status_code != 200:
                    self._answer(answer.status_code, answer.content)
                    return
                cache.kept[path] = answer.content
            self._answer(200, cache.kept[path])

        def do_HEAD(self) -> None:
            content = cache.kept.get(self.path.partition("?")[0])
            self._answer(401 if content is None else 200, content or b"")

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
