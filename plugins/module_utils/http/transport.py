# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests to one server: credentials, retries, and errors in words. Knows nothing of DTR's API."""

from __future__ import annotations

import base64
import http.client
import ipaddress
import json
import re
import socket
import ssl
import string
import threading
import time
import typing as t
from urllib.parse import quote, urlencode, urlsplit

from ..common.failure import Failure
from ..common.urls import ascii_name, without_secrets
from ..common.vocabulary import word
from . import tls
from .connections import LARGEST_ANSWER, BrokenOff, Connections, Stream, TooLarge
from .responses import Answer, failure_of, status_text
from .retries import FATE_OF_STATUS, RETRIED_STATUSES, Backoff, Fate, Lost, Patience, outcome_unknown, retry_after


def normalise_url(url: str, allow_plain: bool = False) -> str:
    """The base URL with a scheme, without a trailing slash.

    Raises:
        Failure: C(INVALID_INPUT) when it is no URL of a server, or carries what does not belong into it.
    """
    text = url.strip()
    if "@" in text:
        # First of all: what carries a password is not repeated, whatever else is wrong with it.
        host = re.split(r"[:/?#]", text.rpartition("@")[2])[0]
        raise Failure(
            "INVALID_INPUT",
            f"url: credentials do not belong into the URL of {host or 'a server'}.",
            hint=f"Use {word('credentials')}.",
        )
    if "://" not in text:
        text = f"https://{text}"
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port
        name = ascii_name(host)
    except ValueError:
        raise Failure("INVALID_INPUT", "url: this is not a URL with a valid host and port.") from None
    if not host or any(character.isspace() or not character.isprintable() for character in text):
        raise Failure("INVALID_INPUT", f"url: '{without_secrets(text)}' names no host.")
    if parts.scheme not in ("https", "http"):
        raise Failure("INVALID_INPUT", f"url: '{parts.scheme}' is not a scheme of DTR; use https.")
    if parts.query or parts.fragment:
        raise Failure("INVALID_INPUT", f"url: {without_secrets(text)} must not be followed by a query or a fragment.")
    if parts.scheme == "http" and not allow_plain and not _is_loopback(host):
        raise Failure(
            "INVALID_INPUT",
            f"url: plain http to {host} would show the password to the network.",
            hint="Use https.",
        )
    netloc = parts.netloc if name == host else name if port is None else f"{name}:{port}"
    return f"{parts.scheme}://{quote(netloc, safe=':[]%~')}{quote(parts.path.rstrip('/'), safe='/%~')}"


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


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


USER_AGENT = "ansible-dtr.cache"
_SHOWN_WARNINGS = 5
# So many requests in a row used up their retries: the server is down, and more patience only costs time. Without
# retries a single disturbance may hit all requests that are under way, so there it takes as many more.
_DOWN_AFTER = 3
_DEFAULT_BACKOFF = Backoff()


class Transport:
    """A pool of keep-alive connections to one server, safe to share between threads.

    Args:
        url: C(https://host[:port][/prefix]); without a scheme https is meant. Plain http is accepted only on the
            loopback interface or together with C(validate_certs=False), since it shows the password to the network.
        username: For basic authentication, together with O(password).
        password: A password or an access token of DTR.
        ca_path: PEM file or folder with the trusted CAs, instead of the system's.
        ca_certificate: The same as PEM text.
        client_cert: PEM file of a client certificate.
        client_key: PEM file of its key.
        client_certificate: Certificate and key as PEM text, in place of both files.
        validate_certs: Whether the server's certificate is checked.
        verify_host: Whether that goes for the host name as well.
        system_trust: Whether the system's CAs are trusted in addition to those that are given.
        address: The one address of the server's name to connect to, if only one. Of no effect behind a proxy.
        timeout: Seconds to wait for a connection, and again for an answer; of a streamed one, for each part.
        retries: Further attempts after the first one.
        concurrency: The most connections at a time; as many threads can work without waiting for each other.
        backoff: The pauses between attempts.

    Raises:
        Failure: C(INVALID_INPUT) when an option cannot be used.
    """

    def __init__(
        self,
        url: str,
        *,
        username: str | None = None,
        password: str | None = None,
        ca_path: str | None = None,
        ca_certificate: str | None = None,
        client_cert: str | None = None,
        client_key: str | None = None,
        client_certificate: str | None = None,
        validate_certs: bool = True,
        verify_host: bool = True,
        system_trust: bool = False,
        address: str | None = None,
        timeout: float = 30,
        retries: int = 5,
        concurrency: int = 1,
        backoff: Backoff = _DEFAULT_BACKOFF,
    ) -> None:
        self.base_url = normalise_url(url, allow_plain=not validate_certs)
        self.retries = retries
        self.backoff = backoff
        self.timeout = timeout
        server = urlsplit(self.base_url)
        self._prefix = server.path
        self._headers = {"Accept": "application/json", "User-Agent": USER_AGENT}
        if username and password:
            self._headers["Authorization"] = f"Basic {basic_credentials(username, password)}"
        self._json_headers = {**self._headers, "Content-Type": "application/json"}
        self._lock = threading.Lock()
        # Whether there was any answer so far, and whether a server that refuses connections before that is waited for.
        self.answered = False
        self.patient = True
        self._retried: list[str] = []
        self._given_up = 0
        self._down_after = _DOWN_AFTER if retries else _DOWN_AFTER + concurrency
        context = tls.client_context(
            ca_path=ca_path,
            ca_certificate=ca_certificate,
            client_cert=client_cert,
            client_key=client_key,
            client_certificate=client_certificate,
            validate_certs=validate_certs,
            verify_host=verify_host,
            system_trust=system_trust,
        )
        self._connections = Connections(self.base_url, context, timeout, concurrency, address)
        proxy = self._connections.proxy
        self._failures = ConnectionFailures(server.netloc, server.hostname, timeout, proxy.hostname if proxy else None)

    @property
    def warnings(self) -> list[str]:
        """One sentence for each retry so far; after the first ones only their number."""
        with self._lock:
            shown = self._retried[:_SHOWN_WARNINGS]
            more = len(self._retried) - len(shown)
        return [*shown, f"{self.base_url}: {more} more requests were retried."] if more else shown

    def close(self) -> None:
        """Close the idle connections."""
        self._connections.close()

    def get_json(self, path: str, query: t.Mapping[str, t.Any] | None = None) -> t.Any:
        """C(GET) and decode the body."""
        return self.request("GET", path, query=query).json()

    def request(
        self,
        method: str,
        path: str,
        *,
        query: t.Mapping[str, t.Any] | None = None,
        body: t.Any = None,
        headers: t.Mapping[str, str] | None = None,
        expect: t.Container[int] = (200,),
        on_lost: t.Callable[[Lost], None] | None = None,
    ) -> Answer:
        """Send a request until it is answered or the retries are used up.

        Args:
            method: The HTTP method.
            path: Path below the base URL, beginning with a slash, with special characters quoted already.
            query: Parameters, not yet quoted.
            body: What to send as JSON; C(None) sends no body.
            headers: Further headers; they win over the usual ones.
            expect: The statuses that are an answer; any other one raises. A status in here is never retried.
            on_lost: Called with each attempt that got no usable answer.

        Raises:
            Failure: The server's own code, or one of C(CONNECTION_FAILED), C(TIMEOUT), C(TLS_...),
                C(UNEXPECTED_REDIRECT), C(NOT_AUTHENTICATED), C(NOT_AUTHORIZED), C(NOT_FOUND), C(HTTP_...). For a POST,
                whose repetition may do the same thing twice, C(OUTCOME_UNKNOWN) when the answer was lost.
        """
        begin = time.monotonic()
        patience: Patience | None = None
        while True:
            try:
                return self.attempt(method, path, query=query, body=body, headers=headers, expect=expect)
            except Lost as lost:
                if on_lost:
                    on_lost(lost)
                if method == "POST" and lost.fate is not Fate.NOT_PROCESSED:
                    raise outcome_unknown(lost) from None
                patience = patience or self.patience(method, path, begin)
                patience.wait(lost)

    def attempt(
        self,
        method: str,
        path: str,
        *,
        query: t.Mapping[str, t.Any] | None = None,
        body: t.Any = None,
        content: bytes | None = None,
        headers: t.Mapping[str, str] | None = None,
        expect: t.Container[int] = (200,),
    ) -> Answer:
        """Send a request once; the arguments are those of C(request), and C(content) is a body that is not JSON.

        Raises:
            Lost: There was no answer that counts, and another attempt may get one.
            Failure: The server answered, and refused.
        """
        data = content if body is None else json.dumps(body).encode("utf-8")
        usual = self._headers if body is None else self._json_headers
        with self._open(method, path, query, data, {**usual, **headers} if headers else usual) as stream:
            return self._wanted(self._read(method, path, stream, expect), expect)

    def stream(
        self,
        method: str,
        path: str,
        *,
        query: t.Mapping[str, t.Any] | None = None,
        headers: t.Mapping[str, str] | None = None,
        expect: t.Container[int] = (200,),
    ) -> Stream:
        """Like C(request) without a body, but hands out the answer before its body was read.

        The caller closes it, and deals with an answer that breaks off.
        """
        patience = self.patience(method, path)
        while True:
            try:
                stream = self._open(method, path, query, None, {**self._headers, **(headers or {})})
                if stream.status in expect:
                    self._given_up = 0
                    return stream
                with stream:
                    self._wanted(self._read(method, path, stream, expect), expect)
            except Lost as lost:
                patience.wait(lost)

    def patience(self, method: str, path: str, begin: float | None = None) -> Patience:
        """What is left of retries and time for one request, begun now or at a moment of the monotonic clock."""
        return Patience(self, f"{method} {self._shown(path)}", time.monotonic() if begin is None else begin)

    def _open(
        self,
        method: str,
        path: str,
        query: t.Mapping[str, t.Any] | None,
        data: bytes | None,
        headers: t.Mapping[str, str],
    ) -> Stream:
        """Send a request and receive the answer's headers."""
        target = self._prefix + path
        if query:
            target += f"?{urlencode(query, errors='replace')}"
        if not target.isascii():
            # From a redirect, whose bytes are read as Latin-1.
            target = quote(target, safe=string.punctuation, encoding="iso-8859-1", errors="replace")
        try:
            connection = self._connections.take(new=method == "POST")
        except (OSError, http.client.HTTPException, UnicodeError) as error:
            raise self._failures.not_connected(method, self._shown(path), error) from None
        try:
            # A server that refuses a client may close before the request is written: its reason is still to be read.
            try:
                connection.request(method, target, body=data, headers=headers)
            except OSError as error:
                if not tls.closed_by_peer(error):
                    raise
            response = connection.getresponse()
            self.answered = True
            return Stream(self._connections, connection, response)
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            self._connections.give_back(connection)
            raise self._failures.broken(method, self._shown(path), error) from None
        except BaseException:
            connection.close()
            self._connections.give_back(connection)
            raise

    def _read(self, method: str, path: str, stream: Stream, expect: t.Container[int]) -> Answer:
        """The answer with its body; of one that is of no use only what can say why."""
        try:
            body, is_cut = (stream.read(), False) if stream.status in expect else stream.beginning()
            return Answer(method, self._shown(path), stream.status, stream.headers, body, is_cut)
        except TooLarge:
            raise self._failures.too_large(method, self._shown(path), LARGEST_ANSWER) from None
        except BrokenOff as error:
            raise self._failures.broken(method, self._shown(path), error.__context__ or error) from None

    def _wanted(self, answer: Answer, expect: t.Container[int]) -> Answer:
        if answer.status in expect:
            self._given_up = 0
            return answer
        failure = failure_of(answer)
        if answer.status not in RETRIED_STATUSES:
            raise failure
        raise Lost(
            failure,
            FATE_OF_STATUS.get(answer.status, Fate.UNKNOWN),
            status_text(answer.status),
            retry_after(answer.headers.get("Retry-After")),
        )

    def _shown(self, path: str) -> str:
        # A query may hold a signature, or the state of an upload that whoever knows it may go on with.
        return self.base_url + path.partition("?")[0]

    def note_retry(self, sentence: str) -> None:
        """Record a retry for C(warnings)."""
        with self._lock:
            self._retried.append(sentence)

    def note_given_up(self) -> None:
        """Record that a request used up its retries."""
        with self._lock:
            self._given_up += 1

    @property
    def down(self) -> bool:
        """Whether the last requests all ended without an answer, in spite of their retries."""
        return self._given_up >= self._down_after


def basic_credentials(username: str, password: str) -> str:
    """The form in which a password goes to a server. Bytes of the environment that are no text stay what they are."""
    pair = f"{username}:{password}"
    try:
        encoded = pair.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        encoded = pair.encode("utf-8", "replace")
    return base64.b64encode(encoded).decode("ascii")
