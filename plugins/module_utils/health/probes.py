# Copyright: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One server looked at as a Docker Engine would meet it: name, connection, TLS, certificate, answers.

Each property is judged for itself, by as many handshakes as that takes, so that an expired certificate hides neither a
wrong host name nor a missing intermediate one. Connections go straight, without the environment's proxy.
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
from ..common.urls import Origin, origin_of
from ..http import tls
from ..x509 import certificates
from .checks import Check

if t.TYPE_CHECKING:
    from cryptography import x509
try:
    from cryptography.x509 import DNSName, ExtensionNotFound, IPAddress, SubjectAlternativeName
    from cryptography.x509 import load_der_x509_certificate as _load_der
except ImportError:
    # The module reports it missing by CRYPTOGRAPHY_IMPORT_ERROR of certificates.
    _load_der = None  # type: ignore[assignment]

# OpenSSL's X509_V_FLAG_NO_CHECK_TIME: validity is judged apart from the chain.
_NO_CHECK_TIME = 0x200000
# The same as in tls.client_context, whose contexts trust an intermediate CA as they are told.
_PARTIAL_CHAIN = 0x80000
_UNKNOWN_ISSUER = (2, 18, 19, 20, 21)
_SEEN_ADDRESSES = 16
_SEEN_BODY = 64 * 1024
# More than a badly kept clock, less than the shortest life of a signature or certificate.
_CLOCK_SECONDS = 300
_DER = 2


class Seen(t.NamedTuple):
    """The beginning of an HTTP answer. Header names are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


class Words(t.NamedTuple):
    """What one has to do where, which differs from edge to edge.

    Args:
        server: The server as the subject of a sentence.
        not_running: When nothing listens on the port.
        trust: When its CA is not trusted, as a clause after "trust": with which option.
        chain_file: Where its certificates come from.
        renew: How its certificate is renewed.
        name: How host name and certificate are made to agree.
        other_certificate: When it has another certificate than it should.
        client_certificate: When the server wants another client certificate than it gets, or one at all.
    """

    server: str
    not_running: str
    trust: str
    chain_file: str
    renew: str
    name: str
    client_certificate: str
    other_certificate: str = ""


class Endpoint(t.NamedTuple):
    """A server to look at.

    Args:
        edge: From where to where.
        url: Its address.
        trust: A context that verifies chains as the client does; C(None) when nothing is to be verified.
        anchors: The CAs in it, when they are known.
        words: What to tell the operator.
        ask: Paths to request, each with the function that judges the answer, and the seconds it may take.
        min_days: Fewer days of validity than that are not enough.
        client_context: Makes a context that verifies nothing, with a client certificate where there is one.
        certificate: The SHA-256 fingerprint of the certificate that the server should have, when it is known.
    """

    edge: str
    url: str
    trust: ssl.SSLContext | None
    anchors: t.Sequence[x509.Certificate]
    words: Words
    ask: t.Sequence[Question]
    min_days: int
    client_context: t.Callable[[], ssl.SSLContext]
    certificate: str | None = None


class Question(t.NamedTuple):
    """A path, and what its answer means: called with the answer, or with the reason why there is none."""

    path: str
    seconds: float
    judge: t.Callable[[Seen | str], Check]


class Look(t.NamedTuple):
    """What was found at an endpoint. C(seconds) is the time to the first answer over HTTP, C(times) that by path."""

    checks: list[Check]
    certificate: certificates.Description | None
    days_left: int | None
    seconds: float | None
    times: t.Mapping[str, float] = {}


class _Blocked(Exception):
    """A look that cannot go on after a failed check."""

    def __init__(self, check: Check) -> None:
        super().__init__(check.detail)
        self.check = check


def look_at(endpoint: Endpoint, step: float, now: t.Callable[[], float] = time.time) -> Look:
    """Everything that can be found out about a server, at each of its addresses.

    Args:
        endpoint: What to look at.
        step: Seconds that a connection, a handshake or an answer may take.
        now: The time of day, in seconds since 1970.
    """
    origin = origin_of(endpoint.url)
    try:
        addresses = _resolve(origin)
    except (OSError, UnicodeError) as error:
        return Look([_unresolved(endpoint, origin, error)], None, None, None)
    names = [address[0] for _family, address in addresses]
    resolved = Check(endpoint.edge, "name_resolution", True, f"{origin.host} is {', '.join(names)}")
    visits = fan_out(
        lambda each: _Visit(endpoint, origin, addresses[each], step, now).pay(),
        range(len(addresses)),
        len(addresses),
        hopeless=lambda _failure: False,
    )
    looks = {names[each]: visits.done[each] for each in range(len(addresses))}
    merged = _merged(looks)
    return merged._replace(checks=[resolved, *merged.checks])


def _resolve(origin: Origin) -> list[tuple[int, t.Any]]:
    found = socket.getaddrinfo(origin.host, origin.port, type=socket.SOCK_STREAM)
    unique: dict[tuple[int, t.Any], None] = {(int(each[0]), each[4]): None for each in found}
    return list(unique)[:_SEEN_ADDRESSES]


def _unresolved(endpoint: Endpoint, origin: Origin, error: Exception) -> Check:
    temporary = isinstance(error, socket.gaierror) and error.errno == socket.EAI_AGAIN
    detail = f"the name server does not answer for {origin.host}" if temporary else f"the name {origin.host} is unknown"
    hint = (
        "Check this machine's name servers (/etc/resolv.conf)."
        if temporary
        else f"Check the URL for typing errors, or add {origin.host} to DNS; Docker clients need the name as well."
    )
    return Check(endpoint.edge, "name_resolution", False, f"{detail}.", hint)


def _merged(looks: t.Mapping[str, Look]) -> Look:
    """One list of checks for all addresses: a client may get to any of those that accept connections."""
    reached = {name: look for name, look in looks.items() if look.checks[0].ok}
    connections = "; ".join(f"{name}: {look.checks[0].detail.rstrip('.')}" for name, look in looks.items())
    some = next(iter((reached or looks).values()))
    if len(looks) == 1:
        return some
    checks = [some.checks[0]._replace(detail=connections if reached else f"{connections}.")]
    later: dict[tuple[str, str], Check] = {}
    for name, look in reached.items():
        for check in look.checks[1:]:
            key = (check.edge, check.check)
            if key not in later or (later[key].ok and not check.ok):
                later[key] = check._replace(detail=f"{name}: {check.detail}")
    soonest = min(reached.values(), key=lambda look: _or_never(look.days_left), default=some)
    return soonest._replace(checks=checks + list(later.values()))


def _or_never(days: int | None) -> float:
    return float("inf") if days is None else days


class _Visit:
    """A look at one address of a server."""

    def __init__(
        self, endpoint: Endpoint, origin: Origin, address: tuple[int, t.Any], step: float, now: t.Callable[[], float]
    ) -> None:
        self._endpoint = endpoint
        self._origin = origin
        self._address = address
        self._step = step
        self._now = now
        self._words = endpoint.words
        self._checks: list[Check] = []
        self._chain: list[x509.Certificate] = []
        # One for each handshake: behind one address may be several servers.
        self._leaves: dict[bytes, None] = {}
        # Before Python 3.10 only the server's own certificate is to be seen.
        self._whole = True
        self._days_left: int | None = None
        self._seconds: float | None = None
        self._times: dict[str, float] = {}

    def pay(self) -> Look:
        """Check after check, until one makes the next impossible."""
        unreadable: tuple[type[Exception], ...] = (Failure, *certificates.unreadable())
        try:
            self._connects()
            if self._origin.scheme == "https":
                self._speaks_tls()
                try:
                    self._certificate_is_good()
                except unreadable as error:
                    raise self._unreadable(error) from None
            self._answers()
        except _Blocked as blocked:
            self._checks.append(blocked.check)
        self._is_the_wanted_one()
        leaf = self._described()
        if any(check.check == "clock" for check in self._checks):
            self._checks = [_after_clocks(check) for check in self._checks]
        return Look(self._checks, leaf, self._days_left, self._seconds, self._times)

    # Connection

    def _described(self) -> certificates.Description | None:
        try:
            return certificates.describe(self._chain[0]) if self._chain else None
        except certificates.unreadable():
            return None

    def _connects(self) -> None:
        try:
            self._connect(self._step).close()
        except _TIME_OUTS:
            raise self._blocked(
                "tcp",
                f"no connection to port {self._origin.port} within {self._step:g} seconds",
                f"Let firewalls on the way pass TCP port {self._origin.port}, and check the address and that the "
                "machine is up.",
            ) from None
        except ConnectionRefusedError:
            raise self._blocked(
                "tcp", f"port {self._origin.port} refuses connections", self._words.not_running
            ) from None
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise self._blocked(
                "tcp", f"no connection to port {self._origin.port} ({reason})", "Check the address and the route to it."
            ) from None
        self._good("tcp", "connected")

    def _connect(self, seconds: float) -> socket.socket:
        family, address = self._address
        connection = socket.socket(family, socket.SOCK_STREAM)
        connection.settimeout(seconds)
        try:
            connection.connect(address)
            # A request would wait for the acknowledgement of the handshake, which servers delay by 40 milliseconds.
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except BaseException:
            connection.close()
            raise
        return connection

    def _handshake(self, context: ssl.SSLContext, seconds: float | None = None) -> ssl.SSLSocket:
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

    # TLS

    def _speaks_tls(self) -> None:
        try:
            with self._handshake(self._endpoint.client_context()) as connection:
                sent = _chain_by(connection, "get_unverified_chain")
                self._whole = bool(sent)
                sent = sent or [connection.getpeercert(binary_form=True) or b""]
                version = connection.version()
        except _TIME_OUTS:
            raise self._blocked(
                "tls",
                f"the connection is accepted, but there is no TLS answer within {self._step:g} seconds",
                f"Check what listens on the port: {self._words.server} may be stuck, or a load balancer may accept "
                "what it cannot forward.",
            ) from None
        except ssl.SSLError as error:
            raise self._not_tls(error) from None
        except (OSError, ValueError):
            raise self._cut_off() from None
        self._good("tls", f"{version}")
        try:
            self._chain = [_load_der(each) for each in sent]
        except certificates.unreadable() as error:
            raise self._unreadable(error) from None

    def _unreadable(self, error: Exception) -> _Blocked:
        # Whatever a server shows ends neither this look nor those at others.
        detail = f"a certificate that it sends cannot be read: {str(error).rstrip('.')}"
        return self._blocked("chain", detail, self._words.renew)

    def _not_tls(self, error: ssl.SSLError) -> _Blocked:
        verdict = tls.explain(error)
        if verdict is None:
            return self._cut_off()
        if verdict.code == "TLS_NOT_SPOKEN":
            what = "plain HTTP" if self._speaks_plain_http() else "something else than TLS"
            hint = "Check the port" + (
                f", and that certificate and key are in the configuration of {self._words.server} (http.tls)."
                if what == "plain HTTP"
                else "."
            )
            return self._blocked("tls", f"port {self._origin.port} speaks {what}", hint)
        about_client = verdict.code.startswith("TLS_CLIENT_CERTIFICATE")
        hint = self._words.client_certificate if about_client else verdict.hint
        return self._blocked("tls", f"the server {verdict.reason}", hint)

    def _cut_off(self) -> _Blocked:
        return self._blocked(
            "tls",
            "the connection is closed during the TLS handshake",
            "Check what listens on the port: a load balancer without a running server behind it does that, and so does "
            "a firewall that inspects connections.",
        )

    def _speaks_plain_http(self) -> bool:
        try:
            with self._connect(self._step) as connection:
                connection.sendall(
                    f"HEAD / HTTP/1.1\r\nHost: {self._origin.host}\r\nConnection: close\r\n\r\n".encode()
                )
                return connection.recv(5) == b"HTTP/"
        except OSError:
            return False

    def _certificate_is_good(self) -> None:
        if self._endpoint.trust is not None:
            verified = self._chain_is_trusted(self._endpoint.trust)
            self._name_is_covered()
            self._is_valid(verified or self._chain)

    def _chain_is_trusted(self, trust: ssl.SSLContext) -> list[x509.Certificate]:
        """Check the chain, and return it up to the trusted CA, which Python tells from 3.10 on."""
        trust.verify_flags |= _NO_CHECK_TIME
        trust.check_hostname = False
        try:
            with self._handshake(trust) as connection:
                verified = [_load_der(each) for each in _chain_by(connection, "get_verified_chain")]
        except ssl.SSLCertVerificationError as error:
            self._checks.append(self._untrusted(error))
            return []
        except OSError as error:
            self._bad("chain", f"the TLS handshake failed ({error})", "Try again; the server may be overloaded.")
            return []
        if not _in_order(self._chain):
            self._bad(
                "chain",
                "the certificates are sent in the wrong order",
                f"Put them in order in {self._words.chain_file}: the server's own first, then each one's issuer. "
                "Docker Engine accepts any order, some other TLS clients do not.",
                harmless=True,
            )
        else:
            self._good("chain", f"trusted by way of {certificates.name_of(verified[-1])}" if verified else "trusted")
        return verified

    def _untrusted(self, error: ssl.SSLCertVerificationError) -> Check:
        edge = self._endpoint.edge
        if error.verify_code not in _UNKNOWN_ISSUER and "signature" not in error.verify_message:
            detail = f"the certificate does not verify: {error.verify_message}"
            return Check(edge, "chain", False, f"{detail}.", "Have the certificate issued anew.")
        last = _climb(self._chain)
        issuer = last.issuer.rfc4514_string()
        trusted = ", ".join(dict.fromkeys(map(certificates.name_of, self._endpoint.anchors)))
        if last.issuer == last.subject and len(self._chain) == 1:
            detail = "the certificate is self-signed and not trusted"
            hint = f"If this is the right server, trust it {self._words.trust}."
        elif last.issuer == last.subject:
            detail = f"the chain ends at the CA {certificates.name_of(last)}, which is not trusted"
            hint = f"If this is the right server, trust that CA {self._words.trust}."
        elif any(anchor.subject == last.issuer for anchor in self._endpoint.anchors):
            detail = f"{certificates.name_of(last)} is signed by another CA of the name {issuer} than the trusted one"
            hint = f"The CA was made anew: trust the one that signed the certificate, {self._words.trust}."
        elif not self._whole:
            detail = "the certificate does not lead to a trusted CA"
            hint = (
                f"Trust the CA that {issuer} is or comes from {self._words.trust}, and check that intermediate "
                f"certificates are in {self._words.chain_file}."
            )
        else:
            seen = f" (trusted: {trusted})" if trusted else ""
            detail = (
                f"{issuer}, the issuer of {certificates.name_of(last)}, is neither sent by the server nor trusted{seen}"
            )
            hint = (
                f"If {issuer} is an intermediate CA, append its certificate to {self._words.chain_file}; if it is the "
                f"CA itself, trust it {self._words.trust}."
            )
        return Check(edge, "chain", False, f"{detail}.", hint)

    def _name_is_covered(self) -> None:
        # With the server's own certificate as the trusted one, nothing but the name can be wrong. Docker Engine has
        # ignored the common name for years.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.hostname_checks_common_name = False
        context.verify_flags |= _NO_CHECK_TIME | _PARTIAL_CHAIN
        context.load_verify_locations(cadata=certificates.to_pem(self._chain[:1]))
        try:
            self._handshake(context).close()
        except ssl.SSLCertVerificationError:
            names = _names(self._chain[0])
            covered = f"covers {', '.join(names)}" if names else "has no subject alternative name"
            self._bad("host_name", f"the certificate {covered}, and not {self._origin.host}", self._words.name)
        except OSError as error:
            self._bad("host_name", f"the TLS handshake failed ({error})", "Try again; the server may be overloaded.")
        else:
            self._good("host_name", f"the certificate covers {self._origin.host}")

    def _is_valid(self, chain: t.Sequence[x509.Certificate]) -> None:
        today = datetime.datetime.fromtimestamp(self._now(), datetime.timezone.utc)
        first = min(chain, key=certificates.not_after)
        begin, end = max(map(certificates.not_before, chain)), certificates.not_after(first)
        self._days_left = (end - today).days
        whose = (
            "the certificate"
            if first is chain[0] or first == self._chain[0]
            else f"the CA certificate {certificates.name_of(first)}"
        )
        if today < begin:
            self._bad(
                "validity",
                f"not valid before {begin:%Y-%m-%d %H:%M} UTC",
                "Compare the clocks of this machine and the CA; if both are right, have one issued that is valid now.",
            )
        elif today > end:
            self._bad("validity", f"{whose} expired on {end:%Y-%m-%d}, {-self._days_left} days ago", self._words.renew)
        elif self._days_left < self._endpoint.min_days:
            self._bad(
                "validity",
                f"{whose} expires in {self._days_left} days, on {end:%Y-%m-%d}, less than min_days "
                f"({self._endpoint.min_days})",
                self._words.renew,
                harmless=True,
            )
        else:
            self._good("validity", f"until {end:%Y-%m-%d}, {self._days_left} days left")

    def _is_the_wanted_one(self) -> None:
        wanted = self._endpoint.certificate
        if not wanted or not self._leaves:
            return
        found = {hashlib.sha256(leaf).hexdigest(): leaf for leaf in self._leaves}
        others = [fingerprint for fingerprint in found if fingerprint != wanted]
        if not others:
            self._good("certificate", "the one that it should have")
            return
        whose = f"some of {self._words.server}'s replicas have" if len(others) < len(found) else "the server has"
        self._bad(
            "certificate",
            f"{whose} another certificate than the wanted one: {_validity(found[others[0]])}SHA-256 {others[0]}",
            self._words.other_certificate,
            harmless=True,
        )

    # HTTP

    def _answers(self) -> None:
        for question in self._endpoint.ask:
            began = time.monotonic()
            try:
                seen: Seen | str = self._ask(question)
            except _TIME_OUTS:
                seen = f"no answer within {question.seconds:g} seconds"
            except (OSError, http.client.HTTPException) as error:
                verdict = tls.explain(error) if isinstance(error, ssl.SSLError) else None
                seen = f"the server {verdict.reason}" if verdict else "the connection is closed without an answer"
            if isinstance(seen, Seen):
                self._times[question.path] = round(time.monotonic() - began, 4)
                if self._seconds is None:
                    self._seconds = self._times[question.path]
                    self._compare_clocks(seen)
            check = question.judge(seen)
            self._checks.append(check)
            if not check.ok:
                # Whoever fails at the first question is not to be judged by the next.
                break

    def _ask(self, question: Question) -> Seen:
        secure = self._origin.scheme == "https"
        connection = http.client.HTTPConnection(self._origin.host, self._origin.port)
        connection.sock = (
            self._handshake(self._endpoint.client_context(), question.seconds)
            if secure
            else self._connect(question.seconds)
        )
        try:
            host = urlsplit(str(self._origin)).netloc
            connection.request("GET", question.path, headers={"Host": host, "Connection": "close"})
            response = connection.getresponse()
            headers = {name.lower(): value for name, value in response.getheaders()}
            return Seen(response.status, headers, response.read(_SEEN_BODY))
        finally:
            connection.close()

    def _compare_clocks(self, seen: Seen) -> None:
        try:
            there = email.utils.parsedate_to_datetime(seen.headers.get("date", "")).timestamp()
        except (TypeError, ValueError, IndexError):
            return
        off = there - self._now()
        if abs(off) <= _CLOCK_SECONDS:
            return
        relation = "ahead of" if off > 0 else "behind"
        self._bad(
            "clock",
            f"the server's clock is {_duration(abs(off))} {relation} this machine's",
            "Set the wrong one of the two clocks right (NTP); certificates and signatures are judged by them.",
            harmless=True,
        )

    # Results

    def _good(self, check: str, detail: str) -> None:
        self._checks.append(Check(self._endpoint.edge, check, True, detail))

    def _bad(self, check: str, detail: str, hint: str, *, harmless: bool = False) -> None:
        self._checks.append(Check(self._endpoint.edge, check, False, f"{detail}.", hint, harmless))

    def _blocked(self, check: str, detail: str, hint: str) -> _Blocked:
        return _Blocked(Check(self._endpoint.edge, check, False, f"{detail}.", hint))


# Two classes before Python 3.10, one from then on.
_TIME_OUTS = (socket.timeout, TimeoutError)


def _after_clocks(check: Check) -> Check:
    """A failed validity beside a failed clock may be nothing but that clock."""
    if check.check != "validity" or check.ok:
        return check
    return check._replace(
        hint="Set the clocks right first, and look again: validity is judged by this machine's clock."
    )


def _chain_by(connection: ssl.SSLSocket, method: str) -> list[bytes]:
    """A chain of certificates in DER, or nothing before Python 3.10."""
    # Public from Python 3.13 on; the same method of the inner object gives certificate objects from 3.10 on.
    if hasattr(connection, method):
        return list(getattr(connection, method)())
    inner = getattr(getattr(connection, "_sslobj", None), method, None)
    return [each.public_bytes(_DER) for each in (inner() or ())] if inner else []


def _climb(chain: t.Sequence[x509.Certificate]) -> x509.Certificate:
    """The last certificate that is reached from the first by going to an issuer that was sent as well."""
    current = chain[0]
    for _each in chain:
        above = next((each for each in chain if each.subject == current.issuer and each != current), None)
        if above is None or current.issuer == current.subject:
            break
        current = above
    return current


def _in_order(chain: t.Sequence[x509.Certificate]) -> bool:
    """Whether each certificate whose issuer was sent is followed by it."""
    for index, certificate in enumerate(chain):
        issuers = [each for each in chain if each.subject == certificate.issuer and each != certificate]
        if issuers and (index + 1 == len(chain) or chain[index + 1] not in issuers):
            return False
    return True


def _validity(der: bytes) -> str:
    try:
        certificate = _load_der(der)
        begin, end = certificates.not_before(certificate), certificates.not_after(certificate)
    except certificates.unreadable():
        return ""
    return f"valid from {begin:%Y-%m-%d} to {end:%Y-%m-%d}, "


def _names(certificate: x509.Certificate) -> list[str]:
    """The host names and addresses that a certificate covers."""
    try:
        extension = certificate.extensions.get_extension_for_class(SubjectAlternativeName)
    except ExtensionNotFound:
        return []
    addresses = map(str, extension.value.get_values_for_type(IPAddress))
    return [*extension.value.get_values_for_type(DNSName), *addresses]


def _duration(seconds: float) -> str:
    for size, unit in ((86400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} seconds"
