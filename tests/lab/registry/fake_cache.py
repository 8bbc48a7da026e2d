# Copyright: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The least that a content cache does: it fetches a blob from the registry with the query that its client brought."""

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
        served: The paths that clients asked for, without their queries.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.served: list[str] = []


@contextlib.contextmanager
def fake_cache(upstream: str, ca: Issued, certificate: Issued) -> t.Iterator[FakeCache]:
    """A cache before C(upstream) until the context ends."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            cache.served.append(self.path.partition("?")[0])
            answer = requests.get(upstream + self.path, verify=str(ca.certificate_file), timeout=10)
            self.send_response(answer.status_code)
            self.send_header("Content-Length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

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
