# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keep-alive connections to one server, straight or through the environment's proxy.

They are those of the standard library's C(http.client). C(urllib3) spends nearly twice, C(requests) four
times the processor time; C(requests) moreover looks into C(~/.netrc), keeps cookies and follows redirects, none of
which credentials should meet.
"""

from __future__ import annotations

import collections
import contextlib
import http.client
import io
import socket
import ssl
import threading
import time
import typing as t
from urllib.parse import urlsplit

from .proxies import proxy_for, proxy_headers
from .response_reader import Response

# A server or a load balancer may be about to close a connection that was idle for longer; 75 seconds is usual.
_IDLE_SECONDS = 15.0


class Connection(http.client.HTTPConnection):
    """A connection without TLS, and what one of C(http.client) lacks: a moment by which an answer has to be complete.

    A socket's time-out begins anew with every byte that comes, so a server which sends one now and then would never be
    given up.

    Args:
        host: The server's name, which certificates are checked against.
        port: The server's port.
        timeout: Seconds to wait for a connection, and again for an answer.
        address: Where to connect to instead of what the name leads to.
    """

    timeout: float
    sock: socket.socket | None

    def __init__(self, host: str, port: int | None, timeout: float, address: str | None = None) -> None:
        super().__init__(host, port, timeout=timeout)
        self.deadline: float | None = None
        self._address = address

    def connect(self) -> None:
        """Called by C(http.client) and here: open the socket."""
        if self._address is None:
            super().connect()
            return
        self.sock = socket.create_connection((self._address, self.port), self.timeout)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def begin(self) -> None:
        """Give the next request, or the way to the server, the time-out in all."""
        self.deadline = time.monotonic() + self.timeout
        if self.sock is not None:
            self.sock.settimeout(self.timeout)

    def without_end(self) -> None:
        """Let the answer go on for as long as something comes within each time-out."""
        self.deadline = None

    def response_class(  # type: ignore[override]
        self, sock: socket.socket, *args: t.Any, **options: t.Any
    ) -> http.client.HTTPResponse:
        """Called by C(http.client) where it makes an answer."""
        return Response(t.cast("socket.socket", _Source(sock, self)), *args, **options)


class TlsConnection(Connection):
    """A connection with TLS."""

    default_port = http.client.HTTPS_PORT

    def __init__(
        self, host: str, port: int | None, timeout: float, context: ssl.SSLContext, address: str | None = None
    ) -> None:
        super().__init__(host, port, timeout, address)
        self._tls = context
        self._tls_name = host

    def tunnel_to(self, host: str, port: int, headers: t.Mapping[str, str]) -> None:
        """Let the host of the connection be a proxy on the way to this server."""
        self.set_tunnel(host, port, headers=headers)
        self._tls_name = host

    def connect(self) -> None:
        """Open the socket, through the tunnel if there is one, and do the handshake."""
        super().connect()
        self.sock = self._tls.wrap_socket(t.cast("socket.socket", self.sock), server_hostname=self._tls_name)


class _Source(t.NamedTuple):
    """What C(http.client) reads an answer from, in the place of a socket."""

    sock: socket.socket
    connection: Connection

    def makefile(self, _mode: str) -> io.BufferedReader:
        """Called by C(http.client), with the mode C(rb)."""
        return io.BufferedReader(_Bytes(self.sock, self.connection))


class _Bytes(io.RawIOBase):
    """The bytes that come over a socket, each wait for which is no longer than what is left until the deadline."""

    def __init__(self, sock: socket.socket, connection: Connection) -> None:
        # Holds the socket open until it is closed itself.
        self._file = sock.makefile("rb", buffering=0)
        self._sock = sock
        self._connection = connection

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: t.Any) -> int | None:
        deadline = self._connection.deadline
        left = self._connection.timeout if deadline is None else deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        self._sock.settimeout(left)
        return self._file.readinto(buffer)

    def close(self) -> None:
        self._file.close()
        super().close()


class Connections:
    """At most C(size) connections at a time, shared by threads.

    Args:
        base_url: Scheme, host and port of the server.
        context: How TLS is done, for https.
        timeout: Seconds to wait for a connection, and again for an answer.
        size: The most connections.
        address: The one address of the server's name to connect to, if only one. Of no effect behind a proxy.

    Raises:
        Failure: C(INVALID_INPUT) when the environment names a proxy that cannot be used.
    """

    def __init__(
        self, base_url: str, context: ssl.SSLContext, timeout: float, size: int, address: str | None = None
    ) -> None:
        self._server = urlsplit(base_url)
        self._context = context
        self._timeout = timeout
        self._size = size
        self._address = address
        self._idle: collections.deque[tuple[Connection, float]] = collections.deque()
        self._freed = threading.Condition()
        self._opened = 0
        self._waiting = 0
        self.proxy = proxy_for(self._server.hostname or "") if self._server.scheme == "https" else None

    def take(self, *, new: bool = False) -> Connection:
        """An open connection for one request, after which it has to be given back.

        Args:
            new: Do not use one that another request went over: only then is a request that fails known to have
                reached the server alive.

        Raises:
            OSError: There is no connection to be had.
        """
        try:
            # Without a lock, which threads that hold it while the interpreter switches would make a queue of.
            connection, since = self._idle.pop()
        except IndexError:
            connection, since = self._open_or_wait()
        try:
            if connection.sock is not None and (new or time.monotonic() - since > _IDLE_SECONDS):
                connection.close()
            if connection.sock is None:
                # The answer of a proxy is a part of the way to the server.
                connection.begin()
                connection.connect()
            connection.begin()
        except BaseException:
            # After a failed handshake the connection still holds the bare socket, over which nothing may be sent.
            connection.close()
            self.give_back(connection)
            raise
        return connection

    def give_back(self, connection: Connection) -> None:
        """Keep a connection, closed or open, for the next request."""
        self._idle.append((connection, time.monotonic()))
        if self._waiting:
            with self._freed:
                self._freed.notify()

    def close(self) -> None:
        """Close the idle connections."""
        for connection, _since in list(self._idle):
            connection.close()

    def _open_or_wait(self) -> tuple[Connection, float]:
        with self._freed:
            if self._opened < self._size:
                self._opened += 1
                return self._new(), 0.0
            # Counted before the attempt and not after it, so that whoever gives back meanwhile knows of this thread.
            self._waiting += 1
            try:
                while True:
                    with contextlib.suppress(IndexError):
                        return self._idle.pop()
                    self._freed.wait()
            finally:
                self._waiting -= 1

    def _new(self) -> Connection:
        host = self._server.hostname or ""
        if self._server.scheme == "http":
            return Connection(host, self._server.port, self._timeout, self._address)
        if self.proxy is None:
            return TlsConnection(host, self._server.port, self._timeout, self._context, self._address)
        connection = TlsConnection(self.proxy.hostname or "", self.proxy.port or 80, self._timeout, self._context)
        connection.tunnel_to(host, self._server.port or 443, proxy_headers(self.proxy))
        return connection
