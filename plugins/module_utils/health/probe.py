# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Probe a server as a Docker Engine meets it, at each of its addresses: connection, TLS, certificate, answers.

Connections are direct, without the environment's proxy. Each property is judged separately, by as many handshakes as
that takes, so that an expired certificate hides neither a wrong host name nor a missing intermediate one.
"""

from __future__ import annotations

import datetime
import email.utils
import hashlib
import http.client
import socket
import ssl
import time
import typing as t
from urllib.parse import urlsplit

from ..common.concurrency import fan_out
from ..common.failure import Failure
from ..common.urls import Origin, address_and_port, origin_of
from ..common.vocabulary import word
from ..http import tls
from ..http.transport import USER_AGENT
from ..x509 import certificates
from .checks import Answer, Check, bad, not_known, worst_by_check

if t.TYPE_CHECKING:
    from cryptography import x509

# A connection, a handshake or an answer that takes longer is broken for pulls as well.
STEP_SECONDS = 10.0
# Visits of one address behind which there are several servers.
MOST_VISITS = 8
_MOST_ADDRESSES = 16
_LONGEST_BODY = 64 * 1024
# OpenSSL's X509_V_FLAG_NO_CHECK_TIME: validity is judged apart from the chain.
_NO_CHECK_TIME = 0x200000
# The same as in tls.client_context, whose contexts trust an intermediate CA when they are given one.
_PARTIAL_CHAIN = 0x80000
# OpenSSL's codes for a chain that ends before a trusted CA.
_UNKNOWN_ISSUER = (2, 18, 19, 20, 21)
# More than a badly kept clock, less than the shortest life of a signature or certificate.
_CLOCK_SECONDS = 300
_OVERLOADED = "Try again; the server may be overloaded."
# Two classes before Python 3.10, one from then on.
_TIME_OUTS = (socket.timeout, TimeoutError)


def step_of(seconds: float, steps: int = 1) -> float:
    """Return the seconds for one connection, handshake or answer, when there are so many seconds for all."""
    return min(steps * STEP_SECONDS, max(0.1, round(seconds, 1)))


def unverified() -> ssl.SSLContext:
    """Return a context that verifies nothing: it reads certificates and public answers, and sends no secret."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class Advice(t.NamedTuple):
    """What to do about what is wrong with a server.

    Args:
        server: The server as the subject of a sentence.
        not_running: When nothing listens on the port.
        trust: When its CA is not trusted, as a clause after "trust": with which option.
        chain_file: Where its certificates come from.
        renew: How its certificate is renewed.
        name: How host name and certificate are made to agree.
        client_certificate: When the server wants another client certificate than it gets, or one at all.
        other_certificate: When it has another certificate than it should.
    """

    server: str
    not_running: str
    trust: str
    chain_file: str
    renew: str
    name: str
    client_certificate: str
    other_certificate: str = ""


class Question(t.NamedTuple):
    """A path, the steps that its answer may take, and the judge of the answer or of the reason why there is none."""

    path: str
    judge: t.Callable[[Answer | str], Check]
    steps: int = 1


class Endpoint(t.NamedTuple):
    """A server to probe.

    Args:
        edge: The trust edge that ends at the server.
        url: Its address.
        trust: A context that verifies chains as the client does; C(None) when nothing is to be verified.
        anchors: The CAs in C(trust), as far as they are known.
        advice: What the operator has to do.
        ask: The questions, in order.
        min_days: The days of validity that a certificate must have left.
        client_context: Makes a context that verifies nothing, with a client certificate where there is one.
        certificate: The SHA-256 fingerprint of the certificate that the server should have, when it is known.
        replicas: The number of servers; C(None) when it is not known.
        places: Where each of them takes connections, as C(ADDRESS:PORT), when that is known.
        routed: Whether each of them is behind every address of the name.
    """

    edge: str
    url: str
    trust: ssl.SSLContext | None
    anchors: t.Sequence[x509.Certificate]
    advice: Advice
    ask: t.Sequence[Question]
    min_days: int = 0
    client_context: t.Callable[[], ssl.SSLContext] = unverified
    certificate: str | None = None
    replicas: int | None = 1
    places: t.Sequence[str] = ()
    routed: bool = False


class Place(t.NamedTuple):
    """An address, with its port where that is not the URL's; C(ok) is C(None) where nothing was found out there."""

    address: str
    ok: bool | None
    detail: str


class Report(t.NamedTuple):
    """What was found at a server.

    Args:
        checks: The checks, in the order in which they were made.
        certificate: The server's own certificate.
        days_left: The days until the first certificate of the chain expires.
        seconds: The time to the first answer over HTTP.
        addresses: The addresses that the name resolves to.
        port: The port of the URL.
        refused: Whether an attempt to connect was refused.
        places: All addresses that were probed.
    """

    checks: list[Check]
    certificate: certificates.Description | None = None
    days_left: int | None = None
    seconds: float | None = None
    addresses: t.Sequence[str] = ()
    port: int | None = None
    refused: bool = False
    places: t.Sequence[Place] = ()


def probe(endpoint: Endpoint, seconds: float, now: t.Callable[[], float] = time.time) -> Report:
    """Check everything about a server, at each of its addresses.

    Args:
        endpoint: The server.
        seconds: The time for all checks together.
        now: The time of day, in seconds since 1970.
    """
    origin = origin_of(endpoint.url)
    try:
        found = socket.getaddrinfo(origin.host, origin.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        return Report([_unresolved(endpoint, origin, error)])
    named = {str(each[4][0]): (int(each[0]), each[4]) for each in found[: 4 * _MOST_ADDRESSES]}
    places = _addresses_of_replicas(endpoint.places, origin)
    addresses = {**places, **named}
    replicas = endpoint.replicas or 1
    times = min(2 * replicas, MOST_VISITS) if replicas > len(addresses) else 1
    visits = fan_out(
        lambda each: _Visit(endpoint, origin, addresses[each[0]], seconds, now).report(),
        [(name, number) for name in addresses for number in range(times)],
        len(addresses) * times,
        hopeless=lambda _failure: False,
    ).done
    by_address = {name: [visits[name, number] for number in range(times)] for name in addresses}
    merged = _merged(by_address, endpoint, places, named)
    resolved = Check(endpoint.edge, "name_resolution", True, f"{origin.host} is {', '.join(named)}")
    return merged._replace(checks=[resolved, *merged.checks], addresses=list(named), port=origin.port)


def _addresses_of_replicas(places: t.Sequence[str], origin: Origin) -> dict[str, tuple[int, t.Any]]:
    """Return the addresses of the replicas, each with its port where the URL has another one."""
    found: dict[str, tuple[int, t.Any]] = {}
    for place in places[:_MOST_ADDRESSES]:
        address, port = address_and_port(place, origin.port)
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        found[address if port == origin.port else place] = (int(family), (address, port))
    return found


def _unresolved(endpoint: Endpoint, origin: Origin, error: Exception) -> Check:
    if isinstance(error, socket.gaierror) and error.errno == socket.EAI_AGAIN:
        detail = f"the name server does not answer for {origin.host}"
        hint = "Check this machine's name servers (/etc/resolv.conf)."
    else:
        detail = f"the name {origin.host} is unknown"
        hint = f"Check the URL for typing errors, or add {origin.host} to DNS; Docker clients need the name as well."
    return bad(endpoint.edge, "name_resolution", detail, hint)


def _merged(
    found: t.Mapping[str, t.Sequence[Report]],
    endpoint: Endpoint,
    replicas: t.Collection[str],
    named: t.Collection[str],
) -> Report:
    """Judge all addresses together: a client may reach any of those that accept connections."""
    closed = {name: report for name, reports in found.items() for report in reports if not report.checks[0].ok}
    reached = [(name, report) for name, reports in found.items() for report in reports if report.checks[0].ok]
    some = reached[0][1] if reached else next(iter(closed.values()))
    tcp = some.checks[0]
    if len(found) > 1 or (closed and reached):
        details = {name: closed.get(name, reports[0]).checks[0].detail.rstrip(".") for name, reports in found.items()}
        connections = "; ".join(f"{name}: {detail}" for name, detail in details.items())
        tcp = tcp._replace(detail=connections if reached else f"{connections}.")
    answering = {name for name, _report in reached if name not in closed}
    # Without a known number of replicas an address of the name may rightly be a node without one.
    uncounted = endpoint.replicas is None and not endpoint.places and not endpoint.routed
    every_name = uncounted or endpoint.routed or len(answering) < (endpoint.replicas or 1)
    places = []
    for name, reports in found.items():
        if name not in closed:
            # Of several servers behind an address, one that is not right counts.
            failed = [check for report in reports for check in report.checks if check.failed]
            wrong = next((check for check in failed if check.prevents_pulls or check.check == "certificate"), None)
            places.append(Place(name, wrong is None, wrong.detail if wrong else "answers"))
        elif name in replicas if replicas else every_name:
            detail = closed[name].checks[0].detail
            # The way from here to an address that clients do not use may be closed.
            known = name in named or not reached
            no_way = not closed[name].refused and (not known or "unreachable" in detail)
            places.append(Place(name, None if no_way or (uncounted and reached) else False, detail))
    soonest = min(
        (report for _name, report in reached),
        key=lambda report: float("inf") if report.days_left is None else report.days_left,
        default=some,
    )
    checks = [tcp, *_addresses_check(places, closed, endpoint, uncounted=uncounted)] if reached else [tcp]
    others = ((name, check) for name, report in reached for check in report.checks[1:])
    return soonest._replace(checks=[*checks, *worst_by_check(others, named=len(found) > 1)], places=places)


def _addresses_check(
    places: t.Sequence[Place], closed: t.Container[str], endpoint: Endpoint, *, uncounted: bool
) -> list[Check]:
    """Check whether all replicas take connections, where some do: clients try the next address of a name."""
    refusing = [place for place in places if place.address in closed and place.ok is False]
    unseen = [place for place in places if place.ok is None]
    details = "; ".join(f"{place.address}: {place.detail.rstrip('.')}" for place in refusing or unseen)
    if refusing:
        hint = f"{endpoint.advice.not_running} The other addresses answer."
        return [bad(endpoint.edge, "addresses", details, hint, harmless=True)]
    if unseen:
        hint = "Let this machine reach the nodes of the cache, or run the playbook where they can be reached."
        if uncounted:
            hint = "Set the number of replicas: then each of them has to answer."
        return [not_known(endpoint.edge, "addresses", details, hint)]
    return [Check(endpoint.edge, "addresses", True, f"all {len(places)} answer")] if len(places) > 1 else []


class _Blocked(Exception):
    """A failed check after which a visit cannot go on."""

    def __init__(self, check: Check) -> None:
        super().__init__(check.detail)
        self.check = check


class _Visit:
    """The checks of one address of a server."""

    def __init__(
        self,
        endpoint: Endpoint,
        origin: Origin,
        address: tuple[int, t.Any],
        seconds: float,
        now: t.Callable[[], float],
    ) -> None:
        self._endpoint = endpoint
        self._advice = endpoint.advice
        self._origin = origin
        self._family, self._address = address
        self._all_seconds = seconds
        self._step = step_of(seconds)
        self._now = now
        self._checks: list[Check] = []
        # Behind one address may be several servers.
        self._leaves: dict[bytes, None] = {}
        self._chain: list[x509.Certificate] = []
        # Before Python 3.10 only the server's own certificate is known.
        self._whole = True
        self._days_left: int | None = None
        self._refused = False
        self._seconds: float | None = None

    def report(self) -> Report:
        """Make check after check, until one makes the next impossible."""
        unreadable: tuple[type[Exception], ...] = (Failure, *certificates.unreadable())
        try:
            self._check_connection()
            if self._origin.scheme == "https":
                self._check_tls()
                try:
                    self._check_certificate()
                except unreadable as error:
                    raise self._unreadable(error) from None
            self._ask()
        except _Blocked as blocked:
            self._checks.append(blocked.check)
        self._check_wanted()
        if any(check.check == "clock" for check in self._checks):
            # A failed validity beside a failed clock may be nothing but that clock.
            hint = "Set the clocks right first, and check again: validity is judged by this machine's clock."
            self._checks = [
                check._replace(hint=hint) if check.check == "validity" and not check.ok else check
                for check in self._checks
            ]
        try:
            described = certificates.describe(self._chain[0]) if self._chain else None
        except certificates.unreadable():
            described = None
        return Report(self._checks, described, self._days_left, self._seconds, refused=self._refused)

    def _connect(self, seconds: float) -> socket.socket:
        """Return a connection, whose steps may take so many seconds each."""
        connection = socket.socket(self._family, socket.SOCK_STREAM)
        connection.settimeout(seconds)
        try:
            connection.connect(self._address)
            # A request would wait for the acknowledgement of the handshake, which servers delay by 40 milliseconds.
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except BaseException:
            connection.close()
            raise
        return connection

    def _handshake(self, context: ssl.SSLContext, seconds: float | None = None) -> ssl.SSLSocket:
        """Return a connection with TLS."""
        connection = self._connect(seconds or self._step)
        try:
            secured = context.wrap_socket(connection, server_hostname=self._origin.host)
        except BaseException:
            connection.close()
            raise
        leaf = secured.getpeercert(binary_form=True)
        if leaf:
            self._leaves[leaf] = None
        return secured

    def _check_connection(self) -> None:
        port = self._address[1]
        try:
            self._connect(self._step).close()
        except _TIME_OUTS:
            raise self._blocked(
                "tcp",
                f"no connection to port {port} within {self._step:g} seconds",
                f"Let firewalls on the way pass TCP port {port}, and check the address and that the machine is up.",
            ) from None
        except ConnectionRefusedError:
            self._refused = True
            raise self._blocked("tcp", f"port {port} refuses connections", self._advice.not_running) from None
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise self._blocked(
                "tcp", f"no connection to port {port} ({reason})", "Check the address and the route to it."
            ) from None
        self._good("tcp", "connected")

    def _check_tls(self) -> None:
        try:
            with self._handshake(self._endpoint.client_context()) as connection:
                sent = certificates.sent_chain(connection)
                self._whole = bool(sent)
                sent = sent or [connection.getpeercert(binary_form=True) or b""]
                version = connection.version()
        except _TIME_OUTS:
            raise self._blocked(
                "tls",
                f"the connection is accepted, but there is no TLS answer within {self._step:g} seconds",
                f"Check what listens on the port: {self._advice.server} may be stuck, or a load balancer may accept "
                "what it cannot forward.",
            ) from None
        except ssl.SSLError as error:
            raise self._not_tls(error) from None
        except (OSError, ValueError):
            raise self._cut_off() from None
        self._good("tls", f"{version}")
        try:
            self._chain = [certificates.load_der(each) for each in sent]
        except certificates.unreadable() as error:
            raise self._unreadable(error) from None

    def _unreadable(self, error: Exception) -> _Blocked:
        detail = f"a certificate that it sends cannot be read: {str(error).rstrip('.')}"
        return self._blocked("chain", detail, self._advice.renew)

    def _not_tls(self, error: ssl.SSLError) -> _Blocked:
        verdict = tls.explain(error)
        if verdict is None:
            return self._cut_off()
        if verdict.code == "TLS_NOT_SPOKEN":
            port = self._origin.port
            if not self._speaks_plain_http():
                return self._blocked("tls", f"port {port} speaks something else than TLS", "Check the port.")
            hint = (
                f"Check the port, and that certificate and key are in the configuration of {self._advice.server} "
                "(http.tls)."
            )
            return self._blocked("tls", f"port {port} speaks plain HTTP", hint)
        about_client = verdict.code.startswith("TLS_CLIENT_CERTIFICATE")
        hint = self._advice.client_certificate if about_client else verdict.hint
        return self._blocked("tls", f"the server {verdict.reason}", hint)

    def _speaks_plain_http(self) -> bool:
        try:
            with self._connect(self._step) as connection:
                connection.sendall(
                    f"HEAD / HTTP/1.1\r\nHost: {self._origin.host}\r\nConnection: close\r\n\r\n".encode()
                )
                return connection.recv(5) == b"HTTP/"
        except OSError:
            return False

    def _cut_off(self) -> _Blocked:
        return self._blocked(
            "tls",
            "the connection is closed during the TLS handshake",
            "Check what listens on the port: a load balancer without a running server behind it does that, and so does "
            "a firewall that inspects connections.",
        )

    def _check_certificate(self) -> None:
        if self._endpoint.trust is None:
            return
        verified = self._check_chain(self._endpoint.trust)
        self._check_name()
        self._check_validity(verified or self._chain)

    def _check_chain(self, trust: ssl.SSLContext) -> list[x509.Certificate]:
        """Check the chain, and return it up to the trusted CA, which Python knows from 3.10 on."""
        trust.verify_flags |= _NO_CHECK_TIME
        trust.check_hostname = False
        try:
            with self._handshake(trust) as connection:
                verified = [certificates.load_der(each) for each in certificates.verified_chain(connection)]
        except ssl.SSLCertVerificationError as error:
            self._bad("chain", *_why_untrusted(self._endpoint, self._chain, error, whole=self._whole))
            return []
        except OSError as error:
            self._bad("chain", f"the TLS handshake failed ({error})", _OVERLOADED)
            return []
        if _is_sent_in_order(self._chain):
            way = f"trusted by way of {certificates.name_of(verified[-1])}" if verified else "trusted"
            self._good("chain", way)
        else:
            hint = (
                f"Put them in order in {self._advice.chain_file}: the server's own first, then each one's issuer. "
                "Docker Engine accepts any order, some other TLS clients do not."
            )
            self._bad("chain", "the certificates are sent in the wrong order", hint, harmless=True)
        return verified

    def _check_name(self) -> None:
        # With the server's own certificate as the trusted one, nothing but the name can be wrong. Docker Engine has
        # ignored the common name for years.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.hostname_checks_common_name = False
        context.verify_flags |= _NO_CHECK_TIME | _PARTIAL_CHAIN
        context.load_verify_locations(cadata=certificates.to_pem(self._chain[:1]))
        host = self._origin.host
        try:
            self._handshake(context).close()
        except ssl.SSLCertVerificationError:
            names = certificates.host_names(self._chain[0])
            covers = f"covers {', '.join(names)}" if names else "has no subject alternative name"
            self._bad("host_name", f"the certificate {covers}, and not {host}", self._advice.name)
        except OSError as error:
            self._bad("host_name", f"the TLS handshake failed ({error})", _OVERLOADED)
        else:
            self._good("host_name", f"the certificate covers {host}")

    def _check_validity(self, chain: t.Sequence[x509.Certificate]) -> None:
        """Check that no certificate of the chain has expired or will soon."""
        now = datetime.datetime.fromtimestamp(self._now(), datetime.timezone.utc)
        first = min(chain, key=certificates.not_after)
        begin, end = max(map(certificates.not_before, chain)), certificates.not_after(first)
        self._days_left = left = certificates.days_left(first, now)
        whose = "the certificate" if first == chain[0] else f"the CA certificate {certificates.name_of(first)}"
        if now < begin:
            hint = (
                "Compare the clocks of this machine and the CA; if both are right, have one issued that is valid now."
            )
            self._bad("validity", f"not valid before {begin:%Y-%m-%d %H:%M} UTC", hint)
        elif now > end:
            self._bad("validity", f"{whose} expired on {end:%Y-%m-%d}, {-left} days ago", self._advice.renew)
        elif left < self._endpoint.min_days:
            limit = f"less than {word('min_days')} ({self._endpoint.min_days})"
            detail = f"{whose} expires in {left} days, on {end:%Y-%m-%d}, {limit}"
            self._bad("validity", detail, self._advice.renew, harmless=True)
        else:
            self._good("validity", f"until {end:%Y-%m-%d}, {left} days left")

    def _ask(self) -> None:
        for question in self._endpoint.ask:
            began = time.monotonic()
            seconds = step_of(self._all_seconds, question.steps)
            try:
                answer: Answer | str = self._answer(question.path, seconds)
            except _TIME_OUTS:
                answer = f"no answer within {seconds:g} seconds"
            except (OSError, http.client.HTTPException) as error:
                verdict = tls.explain(error) if isinstance(error, ssl.SSLError) else None
                answer = f"the server {verdict.reason}" if verdict else "the connection is closed without an answer"
            if isinstance(answer, Answer) and self._seconds is None:
                self._seconds = round(time.monotonic() - began, 4)
                self._compare_clocks(answer)
            check = question.judge(answer)
            self._checks.append(check)
            if check.failed:
                # The next question would fail for the same reason.
                break

    def _answer(self, path: str, seconds: float) -> Answer:
        """Return the beginning of the answer to a request."""
        connection = http.client.HTTPConnection(self._origin.host, self._origin.port)
        if self._origin.scheme == "https":
            connection.sock = self._handshake(self._endpoint.client_context(), seconds)
        else:
            connection.sock = self._connect(seconds)
        try:
            headers = {"Host": urlsplit(str(self._origin)).netloc, "Connection": "close", "User-Agent": USER_AGENT}
            connection.request("GET", path, headers=headers)
            response = connection.getresponse()
            received = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, received, response.read(_LONGEST_BODY))
        finally:
            connection.close()

    def _compare_clocks(self, answer: Answer) -> None:
        try:
            there = email.utils.parsedate_to_datetime(answer.headers.get("date", "")).timestamp()
        except (TypeError, ValueError, IndexError):
            return
        off = there - self._now()
        if abs(off) <= _CLOCK_SECONDS:
            return
        sizes = ((86400, "days"), (3600, "hours"), (60, "minutes"))
        size, unit = next((size, unit) for size, unit in sizes if abs(off) >= 2 * size)
        self._bad(
            "clock",
            f"the server's clock is {abs(off) / size:.0f} {unit} {'ahead of' if off > 0 else 'behind'} this machine's",
            "Set the wrong one of the two clocks right (NTP); certificates and signatures are judged by them.",
            harmless=True,
        )

    def _check_wanted(self) -> None:
        """Check that all servers at the address have the certificate that they should have, where it is known."""
        wanted = self._endpoint.certificate
        found = {hashlib.sha256(leaf).hexdigest(): leaf for leaf in self._leaves}
        if not wanted or not found:
            return
        others = [fingerprint for fingerprint in found if fingerprint != wanted]
        if not others:
            self._good("certificate", "the one that it should have")
            return
        whose = f"some of {self._advice.server}'s replicas have" if len(others) < len(found) else "the server has"
        try:
            other = certificates.load_der(found[others[0]])
            begin, end = certificates.not_before(other), certificates.not_after(other)
            valid = f"valid from {begin:%Y-%m-%d} to {end:%Y-%m-%d}, "
        except certificates.unreadable():
            valid = ""
        detail = f"{whose} another certificate than the wanted one: {valid}SHA-256 {others[0]}"
        self._bad("certificate", detail, self._advice.other_certificate, harmless=True)

    def _good(self, check: str, detail: str) -> None:
        self._checks.append(Check(self._endpoint.edge, check, True, detail))

    def _bad(self, check: str, detail: str, hint: str, *, harmless: bool = False) -> None:
        self._checks.append(bad(self._endpoint.edge, check, detail, hint, harmless=harmless))

    def _blocked(self, check: str, detail: str, hint: str) -> _Blocked:
        return _Blocked(bad(self._endpoint.edge, check, detail, hint))


def _why_untrusted(
    endpoint: Endpoint, chain: t.Sequence[x509.Certificate], error: ssl.SSLCertVerificationError, *, whole: bool
) -> tuple[str, str]:
    """Say why a chain leads to no trusted CA, and what to do; C(whole) says whether all of it is known."""
    if error.verify_code not in _UNKNOWN_ISSUER and "signature" not in error.verify_message:
        return f"the certificate does not verify: {error.verify_message}", "Have the certificate issued anew."
    advice, last = endpoint.advice, _last_sent(chain)
    issuer = last.issuer.rfc4514_string()
    namesake = next((anchor for anchor in endpoint.anchors if anchor.subject == last.issuer), None)
    if last.issuer == last.subject:
        if len(chain) == 1:
            detail = "the certificate is self-signed and not trusted"
            return detail, f"If this is the right server, trust it {advice.trust}."
        detail = f"the chain ends at the CA {certificates.name_of(last)}, which is not trusted"
        return detail, f"If this is the right server, trust that CA {advice.trust}."
    if namesake:
        detail, _semicolon, todo = certificates.other_issuer(last, namesake).partition("; ")
        return detail, f"{todo[0].upper()}{todo[1:]}. CAs are trusted {advice.trust}."
    if not whole:
        hint = (
            f"Trust the CA that {issuer} is or comes from {advice.trust}, and check that intermediate "
            f"certificates are in {advice.chain_file}."
        )
        return "the certificate does not lead to a trusted CA", hint
    trusted = ", ".join(dict.fromkeys(map(certificates.name_of, endpoint.anchors)))
    seen = f" (trusted: {trusted})" if trusted else ""
    return (
        f"{issuer}, the issuer of {certificates.name_of(last)}, is neither sent by the server nor trusted{seen}",
        f"If {issuer} is an intermediate CA, append its certificate to {advice.chain_file}; if it is the CA itself, "
        f"trust it {advice.trust}.",
    )


def _is_sent_in_order(chain: t.Sequence[x509.Certificate]) -> bool:
    """Check whether each certificate of which the server sent the issuer as well is followed by it."""
    for index, certificate in enumerate(chain):
        issuers = [each for each in chain if each.subject == certificate.issuer and each != certificate]
        if issuers and (index + 1 == len(chain) or chain[index + 1] not in issuers):
            return False
    return True


def _last_sent(chain: t.Sequence[x509.Certificate]) -> x509.Certificate:
    """Return the last certificate on the way from the server's own to each issuer that was sent as well."""
    current = chain[0]
    for _each in chain:
        above = next((each for each in chain if each.subject == current.issuer and each != current), None)
        if above is None or current.issuer == current.subject:
            break
        current = above
    return current
