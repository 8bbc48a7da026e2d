# Copyright: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests to one server: credentials, retries, and errors in words. Knows nothing of DTR's API."""

from __future__ import annotations

import base64
import email.utils
import enum
import http.client
import ipaddress
import json
import random
import re
import socket
import ssl
import threading
import time
import typing as t
from urllib.parse import quote, urlencode, urlsplit

from ..common.failure import Failure
from ..common.urls import ascii_name, without_secrets
from . import tls
from .connections import (
    LARGEST_ANSWER,
    BrokenOff,
    Connections,
    Stream,
    TooLarge,
)
from .responses import (
    Answer,
    failure_of,
    status_text,
)

USER_AGENT = "ansible-dtr.cache"
RETRIED_STATUSES = frozenset({429, 502, 503, 504})
_SHOWN_WARNINGS = 20
# Two classes before Python 3.10, one from then on.
_TIME_OUTS = (socket.timeout, TimeoutError)
# So many requests in a row used up their retries: the server is down, and more patience only costs time. Without
# retries a single disturbance may hit all requests that are under way, so there it takes as many more.
_DOWN_AFTER = 3


class Fate(enum.Enum):
    """What is known of a request whose answer did not come, or came from something in between."""

    NOT_PROCESSED = "the server did not act on it"
    UNKNOWN = "the server may or may not have acted on it"
    PENDING = "the server may still be acting on it"


_FATE_OF_STATUS = {429: Fate.NOT_PROCESSED, 504: Fate.PENDING}


class Lost(Exception):
    """One attempt without a usable answer, which another attempt may get.

    Args:
        failure: What to raise when there is no further attempt.
        fate: Whether the server may have acted.
        retry_after: Seconds the server asked to wait, if it did.
        summary: A few words for the warning about the retry.
    """

    def __init__(self, failure: Failure, fate: Fate, summary: str, retry_after: float | None = None) -> None:
        super().__init__(failure.message)
        self.failure = failure
        self.fate = fate
        self.summary = summary
        self.retry_after = retry_after


class Backoff(t.NamedTuple):
    """How long to wait between attempts, in seconds: full jitter below a bound that doubles from base to cap.

    C(budget) bounds one request with all its attempts and pauses: no new attempt starts after it.
    """

    base: float = 0.5
    cap: float = 10.0
    budget: float = 120.0

    def pause(self, attempt: int) -> float:
        """Seconds to wait after the given attempt, counted from 1."""
        return random.uniform(0, min(self.cap, self.base * 2 ** (attempt - 1)))


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
        validate_certs: Whether the server's certificate is checked.
        verify_host: Whether that goes for the host name as well.
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
        validate_certs: bool = True,
        verify_host: bool = True,
        timeout: float = 30,
        retries: int = 5,
        concurrency: int = 1,
        backoff: Backoff = _DEFAULT_BACKOFF,
    ) -> None:
        self.base_url = normalise_url(url, allow_plain=not validate_certs)
        self.retries = retries
        self.backoff = backoff
        self.timeout = timeout
        self._server = urlsplit(self.base_url).netloc
        self._prefix = urlsplit(self.base_url).path
        self._headers = {"Accept": "application/json", "User-Agent": USER_AGENT}
        if username and password:
            pair = base64.b64encode(f"{username}:{password}".encode()).decode("ascii")
            self._headers["Authorization"] = f"Basic {pair}"
        self._json_headers = {**self._headers, "Content-Type": "application/json"}
        self._lock = threading.Lock()
        self._retried: list[str] = []
        self._given_up = 0
        self._down_after = _DOWN_AFTER if retries else _DOWN_AFTER + concurrency
        context = tls.client_context(
            ca_path=ca_path,
            ca_certificate=ca_certificate,
            client_cert=client_cert,
            client_key=client_key,
            validate_certs=validate_certs,
            verify_host=verify_host,
        )
        self._connections = Connections(self.base_url, context, timeout, concurrency)

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
            return self._wanted(method, path, stream, self._read(method, path, stream), expect)

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
                    self._wanted(method, path, stream, self._read(method, path, stream), expect)
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
        target = f"{self._prefix}{path}?{urlencode(query)}" if query else self._prefix + path
        try:
            connection = self._connections.take(new=method == "POST")
        except (OSError, http.client.HTTPException, UnicodeError) as error:
            raise self._not_connected(method, path, error) from None
        try:
            connection.request(method, target, body=data, headers=headers)
            return Stream(self._connections, connection, connection.getresponse())
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            self._connections.give_back(connection)
            raise self._broken(method, path, error) from None
        except BaseException:
            connection.close()
            self._connections.give_back(connection)
            raise

    def _read(self, method: str, path: str, stream: Stream) -> bytes:
        try:
            return stream.read()
        except TooLarge:
            reason = f"{self._server} sent an answer of more than {LARGEST_ANSWER // 2**20} MB"
            hint = "Check that the URL is the DTR's own."
            raise self._failure(method, path, "UNEXPECTED_ANSWER", reason, hint) from None
        except BrokenOff as error:
            raise self._broken(method, path, error.__context__ or error) from None

    def _wanted(self, method: str, path: str, stream: Stream, body: bytes, expect: t.Container[int]) -> Answer:
        answer = Answer(method, self._shown(path), stream.status, stream.headers, body)
        if answer.status in expect:
            self._given_up = 0
            return answer
        failure = failure_of(answer)
        if answer.status not in RETRIED_STATUSES:
            raise failure
        raise Lost(
            failure,
            _FATE_OF_STATUS.get(answer.status, Fate.UNKNOWN),
            status_text(answer.status),
            retry_after(answer.headers.get("Retry-After")),
        )

    def _shown(self, path: str) -> str:
        # A query may hold a signature, or the state of an upload that whoever knows it may go on with.
        return self.base_url + path.partition("?")[0]

    def _not_connected(self, method: str, path: str, error: Exception) -> Lost | Failure:
        """There was no connection, so the server knows nothing of the request."""
        verdict = tls.explain(error) if isinstance(error, ssl.SSLError) else None
        if verdict:
            return self._failure(method, path, verdict.code, f"{self._server} {verdict.reason}", verdict.hint)
        if isinstance(error, UnicodeError):
            return self._failure(method, path, "INVALID_INPUT", f"{self._server} is not a host name", "Check the url.")
        proxy = self._connections.proxy
        if proxy:
            reason = f"the proxy {proxy.hostname} gave no connection to {self._server} ({_reason(error)})"
            hint = "Check the environment's HTTPS_PROXY, and add the host to NO_PROXY if it needs no proxy."
            return self._lost(method, path, "PROXY_FAILED", reason, hint, Fate.NOT_PROCESSED)
        if isinstance(error, socket.gaierror) and error.errno != socket.EAI_AGAIN:
            reason = f"the host name {urlsplit(self.base_url).hostname} is unknown"
            hint = "Check the url for typing errors, and this machine's name resolution."
            return self._failure(method, path, "NAME_NOT_RESOLVED", reason, hint)
        if isinstance(error, _TIME_OUTS):
            reason = f"no connection to {self._server} within {self.timeout:g} seconds"
            hint = "Check the address, and firewalls on the way."
            return self._lost(method, path, "TIMEOUT", reason, hint, Fate.NOT_PROCESSED)
        if isinstance(error, ConnectionRefusedError):
            reason = f"{self._server} refused the connection"
        else:
            reason = f"no connection to {self._server} ({_reason(error)})"
        hint = "Check host and port of the url, and that the server runs."
        return self._lost(method, path, "CONNECTION_FAILED", reason, hint, Fate.NOT_PROCESSED)

    def _broken(self, method: str, path: str, error: BaseException) -> Lost | Failure:
        """The connection failed while the request or its answer was on the way."""
        # In TLS 1.3 a server that does not like the client's certificate says so only now.
        verdict = tls.explain(error) if isinstance(error, ssl.SSLError) else None
        if verdict:
            return self._failure(method, path, verdict.code, f"{self._server} {verdict.reason}", verdict.hint)
        if isinstance(error, _TIME_OUTS):
            reason = f"no answer from {self._server} within {self.timeout:g} seconds"
            return self._lost(
                method, path, "TIMEOUT", reason, "Raise timeout if the server is only slow.", Fate.PENDING
            )
        if isinstance(error, http.client.BadStatusLine) and not isinstance(error, http.client.RemoteDisconnected):
            reason = f"{self._server} does not answer in HTTP"
            return self._failure(method, path, "UNEXPECTED_ANSWER", reason, "Check scheme and port of the url.")
        return self._lost(
            method,
            path,
            "CONNECTION_FAILED",
            f"{self._server} closed the connection before the answer was complete",
            "Check the server, and proxies or load balancers in front of it.",
            Fate.UNKNOWN,
        )

    def _failure(self, method: str, path: str, code: str, reason: str, hint: str) -> Failure:
        url = self._shown(path)
        return Failure(code, f"{method} {url} failed: {reason}.", url=url, hint=hint)

    def _lost(self, method: str, path: str, code: str, reason: str, hint: str, fate: Fate) -> Lost:
        return Lost(self._failure(method, path, code, reason, hint), fate, reason)

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


class Patience:
    """The attempts and the time that are left for one request."""

    def __init__(self, transport: Transport, request: str, begin: float) -> None:
        self._transport = transport
        self._request = request
        self._retries = transport.retries
        self._used = 0
        self._deadline = begin + transport.backoff.budget

    def wait(self, lost: Lost) -> None:
        """Pause before the next attempt.

        Raises:
            Failure: The one of the lost attempt, when no retry or no time is left.
        """
        self._used += 1
        left = self._retries - self._used
        pause = self._transport.backoff.pause(self._used)
        if lost.retry_after is not None:
            pause = max(pause, lost.retry_after)
        too_late = time.monotonic() + pause > self._deadline
        if left < 0 or too_late or self._transport.down:
            self._transport.note_given_up()
            if too_late and lost.retry_after:
                lost.failure.hint = f"The server asked to wait {lost.retry_after:.0f} seconds; run the task again then."
            raise lost.failure
        self._transport.note_retry(f"{self._request}: {lost.summary}, {left} of {self._retries} retries left")
        time.sleep(pause)


def outcome_unknown(lost: Lost) -> Failure:
    """The failure of a request that may have been acted on, and that must not be sent a second time."""
    return Failure(
        "OUTCOME_UNKNOWN",
        f"{lost.failure.message} It is unknown whether the server acted on the request, so it was not sent again.",
        http_status=lost.failure.http_status,
        url=lost.failure.url,
        hint="Run the task again: it looks up what is there before it writes.",
    )


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
            hint="Use username and password.",
        )
    if "://" not in text:
        text = f"https://{text}"
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port
        name = ascii_name(host)
    except ValueError:
        raise Failure("INVALID_INPUT", "url: this is not a URL with a valid host and port.") from None
    if not host or any(character.isspace() for character in text):
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


def retry_after(value: str | None) -> float | None:
    """Seconds named by a C(Retry-After) header, given as a number or as an HTTP date; C(None) if it says nothing."""
    if not value:
        return None
    text = value.strip()
    # Other alphabets have digits as well, and not all of them make a number.
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        moment = email.utils.parsedate_to_datetime(text).timestamp()
    except (TypeError, ValueError, OverflowError):
        return None
    return max(0.0, moment - time.time())


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _reason(error: BaseException) -> str:
    """The operating system's words for an error, or the error's own."""
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return str(text).lower()
