# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Connections that were not made or that broke, in words."""

from __future__ import annotations

import http.client
import socket
import ssl
import typing as t

from ..common.failure import Failure
from ..common.vocabulary import word
from . import tls
from .retries import Fate, Lost

# Two classes before Python 3.10, one from then on.
_TIME_OUTS = (socket.timeout, TimeoutError)


class ConnectionFailures(t.NamedTuple):
    """The failures of the connections to one server.

    Args:
        server: Host and port as the URL has them.
        host: The host name alone.
        timeout: Seconds that are waited for it.
        proxy: The host name of the proxy on the way, if there is one.
    """

    server: str
    host: str | None
    timeout: float
    proxy: str | None

    def not_connected(self, method: str, url: str, error: Exception) -> Lost | Failure:
        """There was no connection, so the server knows nothing of the request."""
        verdict = tls.explain(error) if isinstance(error, ssl.SSLError) else None
        if verdict:
            return self._failure(method, url, verdict.code, f"{self.server} {verdict.reason}", verdict.hint)
        if isinstance(error, UnicodeError):
            return self._failure(
                method, url, "INVALID_INPUT", f"{self.server} is not a host name", f"Check {word('url')}."
            )
        if self.proxy:
            reason = f"the proxy {self.proxy} gave no connection to {self.server} ({_reason(error)})"
            hint = "Check the environment's HTTPS_PROXY, and add the host to NO_PROXY if it needs no proxy."
            return self._lost(method, url, "PROXY_FAILED", reason, hint, Fate.NOT_PROCESSED)
        if isinstance(error, socket.gaierror) and error.errno != socket.EAI_AGAIN:
            reason = f"the host name {self.host} is unknown"
            hint = f"Check {word('url')} for typing errors, and this machine's name resolution."
            return self._failure(method, url, "NAME_NOT_RESOLVED", reason, hint)
        if isinstance(error, _TIME_OUTS):
            reason = f"no connection to {self.server} within {self.timeout:g} seconds"
            hint = "Check the address, and firewalls on the way."
            return self._lost(method, url, "TIMEOUT", reason, hint, Fate.NOT_PROCESSED)
        refused = isinstance(error, ConnectionRefusedError)
        reason = f"no connection to {self.server} ({_reason(error)})"
        if refused:
            reason = f"{self.server} refused the connection"
        hint = f"Check host and port of {word('url')}, and that the server runs."
        return self._lost(method, url, "CONNECTION_FAILED", reason, hint, Fate.NOT_PROCESSED, refused=refused)

    def broken(self, method: str, url: str, error: BaseException) -> Lost | Failure:
        """The connection failed while the request or its answer was on the way."""
        # In TLS 1.3 a server that does not like the client's certificate says so only now.
        verdict = tls.explain(error) if isinstance(error, ssl.SSLError) else None
        if verdict:
            return self._failure(method, url, verdict.code, f"{self.server} {verdict.reason}", verdict.hint)
        if isinstance(error, _TIME_OUTS):
            reason = f"no answer from {self.server} within {self.timeout:g} seconds"
            return self._lost(
                method, url, "TIMEOUT", reason, f"{word('more time')} if the server is only slow.", Fate.PENDING
            )
        if isinstance(error, http.client.BadStatusLine) and not isinstance(error, http.client.RemoteDisconnected):
            reason = f"{self.server} does not answer in HTTP"
            return self._failure(method, url, "UNEXPECTED_ANSWER", reason, f"Check scheme and port of {word('url')}.")
        return self._lost(
            method,
            url,
            "CONNECTION_FAILED",
            f"{self.server} closed the connection before the answer was complete",
            "Check the server, and proxies or load balancers in front of it.",
            Fate.UNKNOWN,
        )

    def too_large(self, method: str, url: str, limit: int) -> Failure:
        """The answer has more bytes than any that DTR gives."""
        reason = f"{self.server} sent an answer of more than {limit // 2**20} MB"
        return self._failure(method, url, "UNEXPECTED_ANSWER", reason, "Check that the URL is the DTR's own.")

    def _failure(self, method: str, url: str, code: str, reason: str, hint: str) -> Failure:
        return Failure(code, f"{method} {url} failed: {reason}.", url=url, hint=hint)

    def _lost(
        self, method: str, url: str, code: str, reason: str, hint: str, fate: Fate, *, refused: bool = False
    ) -> Lost:
        return Lost(self._failure(method, url, code, reason, hint), fate, reason, refused=refused)


def _reason(error: BaseException) -> str:
    """The operating system's words for an error, or the error's own."""
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return str(text).lower()
