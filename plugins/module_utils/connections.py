# Copyright: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keep-alive connections to one server, straight or through the environment's proxy.

They are those of the standard library's C(http.client). In ten thousand small requests C(urllib3) spends nearly
twice, C(requests) four times the processor time; C(requests) moreover looks into C(~/.netrc), keeps cookies and follows
redirects, none of which credentials should meet.
"""

from __future__ import annotations

import base64
import collections
import contextlib
import http.client
import ipaddress
import ssl
import threading
import time
import typing as t
import urllib.request
from urllib.parse import SplitResult, unquote, urlsplit

from ansible_collections.dtr.cache.plugins.module_utils.failure import Failure

# A server or a load balancer may be about to close a connection that was idle for longer; 75 seconds is usual.
_IDLE_SECONDS = 15.0


class Connections:
    """At most C(size) connections at a time, shared by threads.

    Args:
        base_url: Scheme, host and port of the server.
        context: How TLS is done, for https.
        timeout: Seconds to wait for a connection, and again for each part of an answer.
        size: The most connections.

    Raises:
        Failure: C(INVALID_INPUT) when the environment names a proxy that cannot be used.
    """

    def __init__(self, base_url: str, context: ssl.SSLContext, timeout: float, size: int) -> None:
        self._server = urlsplit(base_url)
        self._context = context
        self._timeout = timeout
        self._size = size
        self._idle: collections.deque[tuple[http.client.HTTPConnection, float]] = collections.deque()
        self._freed = threading.Condition()
        self._opened = 0
        self._waiting = 0
        self.proxy = _proxy_for(self._server.hostname or "") if self._server.scheme == "https" else None

    def take(self, *, new: bool = False) -> http.client.HTTPConnection:
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
                connection.connect()
        except BaseException:
            # After a failed handshake the connection still holds the bare socket, over which nothing may be sent.
            connection.close()
            self.give_back(connection)
            raise
        return connection

    def give_back(self, connection: http.client.HTTPConnection) -> None:
        """Keep a connection, closed or open, for the next request."""
        self._idle.append((connection, time.monotonic()))
        if self._waiting:
            with self._freed:
                self._freed.notify()

    def close(self) -> None:
        """Close the idle connections."""
        for connection, _since in list(self._idle):
            connection.close()

    def _open_or_wait(self) -> tuple[http.client.HTTPConnection, float]:
        with self._freed:
            if self._opened < self._size:
                self._opened += 1
                return self._new(), 0.0
            # Counted before the look and not after it, so that whoever gives back meanwhile knows of this thread.
            self._waiting += 1
            try:
                while True:
                    with contextlib.suppress(IndexError):
                        return self._idle.pop()
                    self._freed.wait()
            finally:
                self._waiting -= 1

    def _new(self) -> http.client.HTTPConnection:
        host = self._server.hostname or ""
        if self._server.scheme == "http":
            return http.client.HTTPConnection(host, self._server.port, timeout=self._timeout)
        if self.proxy is None:
            return http.client.HTTPSConnection(host, self._server.port, timeout=self._timeout, context=self._context)
        connection = http.client.HTTPSConnection(
            self.proxy.hostname or "", self.proxy.port or 80, timeout=self._timeout, context=self._context
        )
        connection.set_tunnel(host, self._server.port or 443, headers=_proxy_headers(self.proxy))
        return connection


def _proxy_for(host: str) -> SplitResult | None:
    """The proxy that the environment names for https, unless C(NO_PROXY) covers the host."""
    settings = urllib.request.getproxies_environment()
    proxy = settings.get("https") or settings.get("all")
    if not proxy or any(_covers(entry.strip().lower(), host) for entry in settings.get("no", "").split(",")):
        return None
    try:
        parts = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
        usable = parts.scheme == "http" and parts.hostname and (parts.port is None or parts.port)
    except ValueError:
        usable = False
    if not usable:
        raise Failure(
            "INVALID_INPUT",
            "The environment's HTTPS_PROXY is not the URL of an HTTP proxy.",
            hint="Write http://host:port, or add the host to NO_PROXY.",
        )
    return parts


def _covers(entry: str, host: str) -> bool:
    """Whether an entry of C(NO_PROXY) covers a host: everything, an address range, a host, or a domain above it."""
    if entry == "*":
        return True
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(entry, strict=False)
    except ValueError:
        domain = entry.lstrip("*.")
        return bool(domain) and (host == domain or host.endswith(f".{domain}"))


def _proxy_headers(proxy: SplitResult) -> dict[str, str]:
    if not proxy.username:
        return {}
    pair = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
    return {"Proxy-Authorization": f"Basic {base64.b64encode(pair.encode()).decode('ascii')}"}


class BrokenOff(Exception):
    """A streamed answer ended before its end."""


class Stream:
    """An answer whose body was not read yet. It holds its connection until it is closed."""

    def __init__(
        self, connections: Connections, connection: http.client.HTTPConnection, response: http.client.HTTPResponse
    ) -> None:
        self.status = response.status
        self.headers: t.Mapping[str, str] = response.headers  # type: ignore[assignment]
        self._connections = connections
        self._connection = connection
        self._response = response
        self._open = True

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def pieces(self, size: int) -> t.Iterator[bytes]:
        """The body in pieces of at most C(size) bytes.

        Raises:
            BrokenOff: The connection broke, or nothing came for the time-out.
        """
        try:
            while True:
                piece = self._response.read(size)
                if not piece:
                    break
                yield piece
        except (OSError, http.client.HTTPException) as error:
            raise BrokenOff(str(error)) from None
        if self._response.length:
            raise BrokenOff(f"{self._response.length} bytes are missing")

    def read(self) -> bytes:
        """The whole body.

        Raises:
            BrokenOff: As for C(pieces).
        """
        try:
            return self._response.read()
        except (OSError, http.client.HTTPException) as error:
            raise BrokenOff(str(error)) from None

    def rest(self) -> bytes:
        """The body of an answer that is no success, as far as it comes: enough to tell what went wrong."""
        with contextlib.suppress(BrokenOff):
            return self.read()
        return b""

    def close(self) -> None:
        """Give the connection back; it can be used again if the body was read to its end."""
        if not self._open:
            return
        self._open = False
        if not self._response.isclosed():
            self._connection.close()
        self._connections.give_back(self._connection)
