# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""A proxy for C(HTTPS_PROXY) through which connections to one server break in the middle of what it sends."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator

PIECE = 64 * 1024


class BreakingProxy:
    """Passes bytes on in both directions, and cuts the first connections that bring much from one server.

    Args:
        server: The host whose connections are cut.
        after: Bytes from this server after which a connection is cut.
        times: How many connections are.
    """

    def __init__(self, server: str, after: int, times: int) -> None:
        self._server = server
        self._after = after
        self._left = times
        self._lock = threading.Lock()
        self.cut = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _address = self._listener.accept()
                threading.Thread(target=self._tunnel, args=(client,), daemon=True).start()

    def close(self) -> None:
        # Without this the thread that waits for a connection goes on waiting.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _tunnel(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):
            head = b""
            while b"\r\n\r\n" not in head:
                piece = client.recv(PIECE)
                if not piece:
                    return
                head += piece
            host, _colon, port = head.split()[1].decode().rpartition(":")
            with socket.create_connection((host, int(port))) as server:
                client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                upwards = threading.Thread(target=_copy, args=(client, server), daemon=True)
                upwards.start()
                self._downwards(host, server, client)

    def _downwards(self, host: str, server: socket.socket, client: socket.socket) -> None:
        brought = 0
        while piece := server.recv(PIECE):
            client.sendall(piece)
            brought += len(piece)
            if host == self._server and brought > self._after and self._may_cut():
                break
        for side in (client, server):
            with contextlib.suppress(OSError):
                side.shutdown(socket.SHUT_RDWR)

    def _may_cut(self) -> bool:
        with self._lock:
            self._left -= 1
            if self._left < 0:
                return False
            self.cut += 1
            return True


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while piece := source.recv(PIECE):
            target.sendall(piece)
        target.shutdown(socket.SHUT_WR)


@contextlib.contextmanager
def breaking_proxy(server: str, after: int, times: int) -> Iterator[BreakingProxy]:
    """A running proxy."""
    proxy = BreakingProxy(server, after, times)
    thread = threading.Thread(target=proxy.serve, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        proxy.close()
        thread.join()
