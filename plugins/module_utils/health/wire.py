# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Connections, handshakes and requests to one address of a server, straight, without the environment's proxy."""

from __future__ import annotations

import http.client
import socket
import ssl
import typing as t
from urllib.parse import urlsplit

from ..common.urls import Origin
from ..http.transport import USER_AGENT
from .endpoint import ProbeAnswer, Question

# Two classes before Python 3.10, one from then on.
TIME_OUTS = (socket.timeout, TimeoutError)
_LONGEST_BODY = 64 * 1024


class Wire:
    """One address of a server. C(leaves) are the certificates that it showed, one or more for all handshakes."""

    def __init__(self, origin: Origin, address: tuple[int, t.Any], step: float) -> None:
        self.origin = origin
        self.step = step
        self._address = address
        # Behind one address may be several servers.
        self.leaves: dict[bytes, None] = {}

    def connect(self, seconds: float | None = None) -> socket.socket:
        """A connection, whose steps may take so many seconds each."""
        family, address = self._address
        connection = socket.socket(family, socket.SOCK_STREAM)
        connection.settimeout(seconds or self.step)
        try:
            connection.connect(address)
            # A request would wait for the acknowledgement of the handshake, which servers delay by 40 milliseconds.
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except BaseException:
            connection.close()
            raise
        return connection

    def handshake(self, context: ssl.SSLContext, seconds: float | None = None) -> ssl.SSLSocket:
        """A connection with TLS."""
        connection = self.connect(seconds)
        try:
            secured = context.wrap_socket(connection, server_hostname=self.origin.host)
        except BaseException:
            connection.close()
            raise
        leaf = secured.getpeercert(binary_form=True)
        if leaf:
            self.leaves[leaf] = None
        return secured

    def speaks_plain_http(self) -> bool:
        """Whether a request without TLS gets an answer."""
        try:
            with self.connect() as connection:
                connection.sendall(f"HEAD / HTTP/1.1\r\nHost: {self.origin.host}\r\nConnection: close\r\n\r\n".encode())
                return connection.recv(5) == b"HTTP/"
        except OSError:
            return False

    def ask(self, question: Question, client_context: t.Callable[[], ssl.SSLContext]) -> ProbeAnswer:
        """The beginning of the answer to a question."""
        connection = http.client.HTTPConnection(self.origin.host, self.origin.port)
        connection.sock = (
            self.handshake(client_context(), question.seconds)
            if self.origin.scheme == "https"
            else self.connect(question.seconds)
        )
        try:
            host = urlsplit(str(self.origin)).netloc
            headers = {"Host": host, "Connection": "close", "User-Agent": USER_AGENT}
            connection.request("GET", question.path, headers=headers)
            response = connection.getresponse()
            received = {name.lower(): value for name, value in response.getheaders()}
            return ProbeAnswer(response.status, received, response.read(_LONGEST_BODY))
        finally:
            connection.close()
