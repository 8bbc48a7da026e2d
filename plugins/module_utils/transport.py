# Copyright: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests to one server: connections, TLS, credentials, retries, and errors in words. Knows nothing of DTR's API.

It stands on C(urllib3), which the required C(requests) brings along, and not on C(requests) itself: C(requests) spends
more than twice the processor time on a small request, looks into C(~/.netrc), keeps cookies and follows redirects,
and each of the three would have to be switched off.
"""

from __future__ import annotations

import base64
import email.utils
import enum
import ipaddress
import json
import random
import socket
import ssl
import threading
import time
import traceback
import typing as t
import urllib.request
from urllib.parse import unquote, urlencode, urlsplit

from ansible_collections.dtr.cache.plugins.module_utils import tls
from ansible_collections.dtr.cache.plugins.module_utils.answers import (
    Answer,
    failure_of,
    status_text,
    without_secrets,
)
from ansible_collections.dtr.cache.plugins.module_utils.failure import Failure

URLLIB3_IMPORT_ERROR: str | None = None
try:
    import urllib3
    from urllib3 import exceptions
except ImportError:
    URLLIB3_IMPORT_ERROR = traceback.format_exc()

USER_AGENT = "ansible-dtr.cache"
RETRIED_STATUSES = frozenset({429, 502, 503, 504})
_SHOWN_WARNINGS = 20
# So many requests in a row used up their retries: the server is down, and more patience only costs time.
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
        timeout: Seconds to wait for a connection, and again for each part of an answer.
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
        timeout: float = 30,
        retries: int = 5,
        concurrency: int = 1,
        backoff: Backoff = _DEFAULT_BACKOFF,
    ) -> None:
        self.base_url = normalise_url(url, allow_plain=not validate_certs)
        self.retries = retries
        self.backoff = backoff
        self.timeout = timeout
        self._prefix = urlsplit(self.base_url).path
        self._headers = {"Accept": "application/json", "User-Agent": USER_AGENT}
        if username is not None and password is not None:
            pair = base64.b64encode(f"{username}:{password}".encode()).decode("ascii")
            self._headers["Authorization"] = f"Basic {pair}"
        self._json_headers = {**self._headers, "Content-Type": "application/json"}
        self._lock = threading.Lock()
        self._retried: list[str] = []
        self._given_up = 0
        context = tls.client_context(
            ca_path=ca_path,
            ca_certificate=ca_certificate,
            client_cert=client_cert,
            client_key=client_key,
            validate_certs=validate_certs,
        )
        self._pool = _connection_pool(self.base_url, context, timeout, concurrency)

    @property
    def warnings(self) -> list[str]:
        """One sentence for each retry so far; after the first ones only their number."""
        with self._lock:
            shown = self._retried[:_SHOWN_WARNINGS]
            more = len(self._retried) - len(shown)
        return [*shown, f"{self.base_url}: {more} more requests were retried."] if more else shown

    def close(self) -> None:
        """Close the idle connections."""
        self._pool.close()

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
        retries: int | None = None,
    ) -> Answer:
        """Send a request until it is answered or the retries are used up.

        Args:
            method: The HTTP method.
            path: Path below the base URL, beginning with a slash, with special characters quoted already.
            query: Parameters, not yet quoted.
            body: What to send as JSON; C(None) sends no body.
            headers: Further headers; they win over the usual ones.
            expect: The statuses that are an answer; any other one raises. A status in here is never retried.
            retries: Instead of the number given to the constructor.

        Raises:
            Failure: The server's own code, or one of C(CONNECTION_FAILED), C(TIMEOUT), C(TLS_...),
                C(UNEXPECTED_REDIRECT), C(NOT_AUTHENTICATED), C(NOT_AUTHORIZED), C(NOT_FOUND), C(HTTP_...). For a POST,
                whose repetition may do the same thing twice, C(OUTCOME_UNKNOWN) when the answer was lost.
        """
        patience = self.patience(method, path, retries)
        while True:
            try:
                return self.attempt(method, path, query=query, body=body, headers=headers, expect=expect)
            except Lost as lost:
                if method == "POST" and lost.fate is not Fate.NOT_PROCESSED:
                    raise outcome_unknown(lost) from None
                patience.wait(lost)

    def attempt(
        self,
        method: str,
        path: str,
        *,
        query: t.Mapping[str, t.Any] | None = None,
        body: t.Any = None,
        headers: t.Mapping[str, str] | None = None,
        expect: t.Container[int] = (200,),
    ) -> Answer:
        """Send a request once; the arguments are those of C(request).

        Raises:
            Lost: There was no answer that counts, and another attempt may get one.
            Failure: The server answered, and refused.
        """
        data = None if body is None else json.dumps(body).encode("utf-8")
        usual = self._headers if data is None else self._json_headers
        response = self._send(method, path, query, data, {**usual, **headers} if headers else usual, stream=False)
        answer = Answer(method, self._shown(path), response.status, response.headers, response.data)
        if answer.status in expect:
            self._given_up = 0
            return answer
        raise _refusal(answer)

    def stream(
        self,
        method: str,
        path: str,
        *,
        query: t.Mapping[str, t.Any] | None = None,
        headers: t.Mapping[str, str] | None = None,
        expect: t.Container[int] = (200,),
    ) -> urllib3.BaseHTTPResponse:
        """Like C(request) without a body, but hands out the answer before its body was read.

        The caller reads it with C(response.stream()), gives the connection back with C(response.release_conn()), and
        deals with an answer that breaks off.
        """
        patience = self.patience(method, path)
        while True:
            try:
                response = self._send(
                    method, path, query, None, {**self._headers, **headers} if headers else self._headers, stream=True
                )
                if response.status in expect:
                    self._given_up = 0
                    return response
                body = response.read()
                raise _refusal(Answer(method, self._shown(path), response.status, response.headers, body))
            except Lost as lost:
                patience.wait(lost)

    def patience(self, method: str, path: str, retries: int | None = None) -> Patience:
        """What is left of retries and time for one request that is about to be sent."""
        return Patience(self, f"{method} {self._shown(path)}", self.retries if retries is None else retries)

    def _send(
        self,
        method: str,
        path: str,
        query: t.Mapping[str, t.Any] | None,
        data: bytes | None,
        headers: t.Mapping[str, str],
        stream: bool,
    ) -> urllib3.BaseHTTPResponse:
        target = f"{self._prefix}{path}?{urlencode(query)}" if query else self._prefix + path
        try:
            response = self._pool.urlopen(
                method,
                target,
                body=data,
                headers=headers,
                retries=False,
                redirect=False,
                preload_content=not stream,
            )
        except exceptions.HTTPError as error:
            raise self._lost(method, path, error) from None
        length = response.headers.get("Content-Length")
        # urllib3 1.26 takes a body that ends too early for a whole one.
        if length and not stream and method != "HEAD" and length.isdigit() and len(response.data) < int(length):
            raise self._lost(method, path, exceptions.ProtocolError("the body is incomplete"))
        return response

    def _shown(self, path: str) -> str:
        return without_secrets(self.base_url + path)

    def _lost(self, method: str, path: str, error: Exception) -> Lost:
        """The attempt that ended with an exception of urllib3, or the failure when no further attempt can help."""
        url = self._shown(path)
        server = urlsplit(self.base_url).netloc
        if isinstance(error, exceptions.LocationValueError):
            raise Failure("INVALID_INPUT", f"url: {server} is not a usable host name.", url=url)
        causes = list(_causes(error))
        for cause in causes:
            if isinstance(cause, ssl.SSLError) and not isinstance(
                cause, (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError)
            ):
                verdict = tls.explain(cause)
                raise Failure(
                    verdict.code, f"{method} {url} failed: {server} {verdict.reason}.", url=url, hint=verdict.hint
                )
            if isinstance(cause, socket.gaierror) and cause.errno != socket.EAI_AGAIN:
                raise Failure(
                    "NAME_NOT_RESOLVED",
                    f"{method} {url} failed: the host name {urlsplit(self.base_url).hostname} is unknown.",
                    url=url,
                    hint="Check the url for typing errors, and this machine's name resolution.",
                )
        code, reason, hint, fate = self._explain(error, causes, server)
        failure = Failure(code, f"{method} {url} failed: {reason}.", url=url, hint=hint)
        return Lost(failure, fate, reason)

    def _explain(self, error: Exception, causes: list[BaseException], server: str) -> tuple[str, str, str, Fate]:
        """Code, reason, hint and fate of an attempt that did not get as far as an answer."""
        if isinstance(error, exceptions.ProxyError):
            return (
                "PROXY_FAILED",
                f"the proxy gave no connection to {server}",
                "Check the environment's HTTPS_PROXY, and add the host to NO_PROXY if it needs no proxy.",
                Fate.NOT_PROCESSED,
            )
        if isinstance(error, exceptions.ConnectTimeoutError) and not isinstance(error, exceptions.NewConnectionError):
            return (
                "TIMEOUT",
                f"no connection to {server} within {self.timeout:g} seconds",
                "Check the address, and firewalls on the way.",
                Fate.NOT_PROCESSED,
            )
        if isinstance(error, exceptions.ReadTimeoutError):
            return (
                "TIMEOUT",
                f"no answer from {server} within {self.timeout:g} seconds",
                "Raise timeout if the server is only slow.",
                Fate.PENDING,
            )
        if isinstance(error, exceptions.NewConnectionError):
            refused = any(isinstance(cause, ConnectionRefusedError) for cause in causes)
            reason = (
                f"{server} refused the connection" if refused else f"no connection to {server} ({_innermost(causes)})"
            )
            hint = "Check host and port of the url, and that the server runs."
            return "CONNECTION_FAILED", reason, hint, Fate.NOT_PROCESSED
        return (
            "CONNECTION_FAILED",
            f"{server} closed the connection before the answer was complete",
            "Check the server, and proxies or load balancers in front of it.",
            Fate.UNKNOWN,
        )

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
        return self._given_up >= _DOWN_AFTER


class Patience:
    """The attempts and the time that are left for one request."""

    def __init__(self, transport: Transport, request: str, retries: int) -> None:
        self._transport = transport
        self._request = request
        self._retries = retries
        self._used = 0
        self._deadline = time.monotonic() + transport.backoff.budget

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
            if self._retries:
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
    if "://" not in text:
        text = f"https://{text}"
    try:
        parts = urlsplit(text)
        host, _port = parts.hostname, parts.port
    except ValueError:
        raise Failure("INVALID_INPUT", "url: this is not a URL with a valid host and port.") from None
    if "@" in parts.netloc:
        raise Failure(
            "INVALID_INPUT",
            f"url: credentials do not belong into the URL of {host}.",
            hint="Use username and password.",
        )
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
    return without_secrets(text).rstrip("/")


def retry_after(value: str | None) -> float | None:
    """Seconds named by a C(Retry-After) header, given as a number or as an HTTP date; C(None) if it says nothing."""
    if not value:
        return None
    text = value.strip()
    if text.isdigit():
        return float(text)
    try:
        moment = email.utils.parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None
    return max(0.0, moment.timestamp() - time.time())


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _refusal(answer: Answer) -> Lost | Failure:
    failure = failure_of(answer)
    # A 500 is not retried, but after a POST it says no more about the outcome than a lost connection does.
    if answer.status not in RETRIED_STATUSES:
        return failure
    return Lost(
        failure,
        _FATE_OF_STATUS.get(answer.status, Fate.UNKNOWN),
        status_text(answer.status),
        retry_after(answer.headers.get("Retry-After")),
    )


def _connection_pool(
    base_url: str, context: ssl.SSLContext, timeout: float, concurrency: int
) -> urllib3.HTTPConnectionPool:
    options: dict[str, t.Any] = {"maxsize": concurrency, "block": True, "timeout": urllib3.Timeout(timeout)}
    parts = urlsplit(base_url)
    proxy = None
    if parts.scheme == "https":
        # urllib3 1.26 takes the mode of verification from here and not from the context.
        options.update(ssl_context=context, cert_reqs=context.verify_mode)
        proxy = _proxy_for(parts.hostname or "")
    if context.verify_mode is ssl.CERT_NONE:
        urllib3.disable_warnings(exceptions.InsecureRequestWarning)
    try:
        if proxy:
            manager = urllib3.ProxyManager(without_secrets(proxy), proxy_headers=_proxy_headers(proxy), **options)
            return manager.connection_from_url(base_url)
        return urllib3.connection_from_url(base_url, **options)
    except exceptions.HTTPError as error:
        what = "the environment's HTTPS_PROXY" if proxy else "url"
        raise Failure("INVALID_INPUT", f"{what}: this is not a usable address ({error}).") from None


def _proxy_for(host: str) -> str | None:
    """The proxy that the environment names for https, unless C(NO_PROXY) covers the host."""
    settings = urllib.request.getproxies_environment()
    proxy = settings.get("https") or settings.get("all")
    if not proxy or any(_covers(entry.strip().lower(), host) for entry in settings.get("no", "").split(",")):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def _covers(entry: str, host: str) -> bool:
    """Whether an entry of C(NO_PROXY) covers a host: everything, an address range, a host, or a domain above it."""
    if entry == "*":
        return True
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(entry, strict=False)
    except ValueError:
        domain = entry.lstrip("*.")
        return bool(domain) and (host == domain or host.endswith(f".{domain}"))


def _proxy_headers(proxy: str) -> dict[str, str]:
    parts = urlsplit(proxy)
    if not parts.username:
        return {}
    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    headers: dict[str, str] = urllib3.make_headers(proxy_basic_auth=pair)
    return headers


def _causes(error: BaseException) -> t.Iterator[BaseException]:
    """The exception and the ones it came from, which urllib3 keeps in different places."""
    seen: set[int] = set()
    pending: list[t.Any] = [error]
    while pending:
        current = pending.pop(0)
        if not isinstance(current, BaseException) or id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        pending += [current.__cause__, current.__context__, getattr(current, "reason", None), *current.args]


def _innermost(causes: list[BaseException]) -> str:
    for cause in reversed(causes):
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror.lower()
    return str(causes[-1])
