# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stand-in of HashiCorp Vault: of its API it has what reads a secret of the KV engine, version 2."""

from __future__ import annotations

import contextlib
import http.server
import json
import threading
import typing as t

TOKEN = "vault-token-of-the-test"


@contextlib.contextmanager
def vault(secrets: t.Mapping[str, t.Mapping[str, str]]) -> t.Iterator[str]:
    """The address of a Vault with these secrets, by their paths in the engine C(secret)."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            secret = secrets.get(self.path.removeprefix("/v1/secret/data/"))
            if self.headers.get("X-Vault-Token") != TOKEN:
                self._answer(403, {"errors": ["permission denied"]})
            elif secret is None:
                self._answer(404, {"errors": []})
            else:
                metadata = {"version": 1, "created_time": "2026-01-01T00:00:00Z", "destroyed": False}
                self._answer(200, {"data": {"data": secret, "metadata": metadata}})

        def _answer(self, status: int, content: t.Mapping[str, t.Any]) -> None:
            body = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
