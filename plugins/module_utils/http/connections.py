# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keep-alive connections to one server, straight or through the environment's proxy.

They are those of the standard library's C(http.client). C(urllib3) spends nearly twice, C(requests) four
times the processor time; C(requests) moreover looks into C(~/.netrc), keeps cookies and follows redirects, none of
which credentials should meet.
"""

from __future__ import annotations

import base64
import collections
import contextlib
import http.client
import io
import ipaddress
import socket
import ssl
import threading
import time
import typing as t
import urllib.request
from urllib.parse import SplitResult, unquote, urlsplit

from ..common.failure import Failure

# The same as those of http.client.
_LONGEST_LINE = 65536
_MOST_FIELDS = 100


class Fields(dict[str, str]):
    """The header fields of an answer by name, in any case of letters; of one that comes twice the first counts."""

    def __getitem__(self, name: str) -> str:
        return super().__getitem__(name.lower())

    def __contains__(self, name: object) -> bool:
        return super().__contains__(str(name).lower())

    def get(self, name: str, default: t.Any = None) -> t.Any:
        """The value of a field, or the default where it is missing."""
        return super().get(name.lower(), default)


def _read_fields(file: io.BufferedReader) -> Fields:
    """The header fields up to the empty line behind them, within the limits of C(http.client)."""
    fields = Fields()
    last = ""
    for _each in range(_MOST_FIELDS + 1):
        line = file.readline(_LONGEST_LINE + 1)
        if len(line) > _LONGEST_LINE:
            raise http.client.LineTooLong("header line")
        if line in (b"\r\n", b"\n"):
            return fields
        if not line:
            raise http.client.IncompleteRead(line)
        text = line.decode("iso-8859-1")
        if text[0] in " \t":
            if last in fields:
                fields[last] += f" {text.strip()}"
            continue
        name, _colon, value = text.partition(":")
        name = name.lower()
        last = "" if name in fields else name
        fields.setdefault(name, value.strip())
    raise http.client.HTTPException(f"more than {_MOST_FIELDS} header fields")


def _read_status_line(file: io.BufferedReader) -> tuple[str, int, str]:
    """Version, status and reason."""
    line = file.readline(_LONGEST_LINE + 1).decode("iso-8859-1")
    if len(line) > _LONGEST_LINE:
        raise http.client.LineTooLong("status line")
    if not line:
        raise http.client.RemoteDisconnected("no answer")
    version, _blank, rest = line.strip().partition(" ")
    status, _blank, reason = rest.strip().partition(" ")
    if not version.startswith("HTTP/1.") or not (len(status) == 3 and status.isascii() and status.isdigit()):
        raise http.client.BadStatusLine(line)
    return version, int(status), reason.strip()


class Response(http.client.HTTPResponse):
    """An answer that reads its header fields itself.

    C(http.client) has them read by a parser for e-mails, which takes longer than all else in a small answer.
    """

    def __init__(
        self, sock: socket.socket, debuglevel: int = 0, method: str | None = None, url: str | None = None
    ) -> None:
        super().__init__(sock, debuglevel, method, url)
        self._is_head = method == "HEAD"

    def begin(self) -> None:
        """Read the answer up to its body, and find out where that ends."""
        status = 100
        while status < 200:
            version, status, self.reason = _read_status_line(self.fp)
            fields = _read_fields(self.fp)
        self.version = 10 if version == "HTTP/1.0" else 11
        self.status = status
        self.headers = fields  # type: ignore[assignment]
        self.chunked = fields.get("transfer-encoding", "").lower() == "chunked"
        self.chunk_left = None
        self.length = self._length_of_body()
        known = self.chunked or self.length is not None
        self.will_close = not known or self._closes(fields.get("connection", "").lower())

    def _closes(self, connection: str) -> bool:
        """Whether the server closes the connection after this answer, by the field C(Connection)."""
        return "close" in connection if self.version == 11 else "keep-alive" not in connection

    def _length_of_body(self) -> int | None:
        """The number of its bytes, or C(None) where it is not known beforehand."""
        if self.status in (204, 304) or self._is_head:
            return 0
        if self.chunked:
            return None
        try:
            length = int(self.headers.get("content-length", ""))
        except ValueError:
            return None
        return length if length >= 0 else None


def proxy_for(host: str) -> SplitResult | None:
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


def proxy_headers(proxy: SplitResult) -> dict[str, str]:
    """The header fields by which a proxy knows its client."""
    if not proxy.username:
        return {}
    pair = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
    return {"Proxy-Authorization": f"Basic {base64.b64encode(pair.encode()).decode('ascii')}"}


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


LARGEST_ANSWER = 8 * 1024 * 1024
"""The largest answer that is read as a whole. A page of a thousand accounts has a quarter of a megabyte, and what JSON
of this size means takes a quarter of a gigabyte at the worst."""
LARGEST_ERROR = 64 * 1024
"""So much is read of an answer that is no success."""
_PIECE = 64 * 1024


class BrokenOff(Exception):
    """A streamed answer ended before its end."""


class TooLarge(BrokenOff):
    """An answer that was to be read as a whole is larger than any that DTR gives."""


class Stream:
    """An answer whose body was not read yet. It holds its connection until it is closed."""

    def __init__(
        self,
        connections: Connections,
        connection: Connection,
        response: http.client.HTTPResponse,
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
        """The body in pieces of at most C(size) bytes, for as long as something comes within the time-out.

        Raises:
            BrokenOff: The connection broke, or nothing came for the time-out.
        """
        self._connection.without_end()
        yield from self._pieces(size)

    def _pieces(self, size: int) -> t.Iterator[bytes]:
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
        """The whole body, which has to come within the time-out of the request.

        Raises:
            BrokenOff: The connection broke, or the body was not complete in time.
            TooLarge: It has more than C(LARGEST_ANSWER) bytes.
        """
        length = self._response.length
        if length is None:
            return self._read_without_length()
        if length > LARGEST_ANSWER:
            raise TooLarge(f"{length} bytes")
        try:
            return self._response.read()
        except (OSError, http.client.HTTPException) as error:
            raise BrokenOff(str(error)) from None

    def _read_without_length(self) -> bytes:
        pieces = []
        size = 0
        for piece in self._pieces(_PIECE):
            size += len(piece)
            if size > LARGEST_ANSWER:
                raise TooLarge(f"more than {LARGEST_ANSWER} bytes")
            pieces.append(piece)
        return b"".join(pieces)

    def beginning(self) -> tuple[bytes, bool]:
        """The body of an answer that is no success, as far as it can say what went wrong, and whether there is more.

        Raises:
            BrokenOff: The connection broke, or the body did not come in time.
        """
        pieces = []
        size = 0
        for piece in self._pieces(_PIECE):
            pieces.append(piece)
            size += len(piece)
            if size > LARGEST_ERROR:
                return b"".join(pieces)[:LARGEST_ERROR], True
        return b"".join(pieces), False

    def close(self) -> None:
        """Give the connection back; it can be used again if the body was read to its end."""
        if not self._open:
            return
        self._open = False
        if not self._response.isclosed():
            self._connection.close()
        self._connections.give_back(self._connection)
