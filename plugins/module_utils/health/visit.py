# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One address of a server, checked as a Docker Engine would meet it: connection, TLS, certificate, answers.

Each property is judged for itself, by as many handshakes as that takes, so that an expired certificate hides neither a
wrong host name nor a missing intermediate one.
"""

from __future__ import annotations

import datetime
import email.utils
import http.client
import ssl
import time
import typing as t

from ..common.failure import Failure
from ..common.urls import Origin
from ..http import tls
from ..x509 import certificates
from .certificate_checks import name_check, trusted_check, untrusted_check, validity_check, wanted_check
from .checks import Check, bad
from .endpoint import Endpoint, EndpointReport, ProbeAnswer
from .wire import TIME_OUTS, Wire

if t.TYPE_CHECKING:
    from cryptography import x509

# OpenSSL's X509_V_FLAG_NO_CHECK_TIME: validity is judged apart from the chain.
_NO_CHECK_TIME = 0x200000
# The same as in tls.client_context, whose contexts trust an intermediate CA when they are given one.
_PARTIAL_CHAIN = 0x80000
# More than a badly kept clock, less than the shortest life of a signature or certificate.
_CLOCK_SECONDS = 300
_OVERLOADED = "Try again; the server may be overloaded."


class _Blocked(Exception):
    """A visit that cannot go on after a failed check."""

    def __init__(self, check: Check) -> None:
        super().__init__(check.detail)
        self.check = check


class Visit:
    """The checks of one address of a server."""

    def __init__(
        self, endpoint: Endpoint, origin: Origin, address: tuple[int, t.Any], step: float, now: t.Callable[[], float]
    ) -> None:
        self._endpoint = endpoint
        self._origin = origin
        self._wire = Wire(origin, address, step)
        self._step = step
        self._now = now
        self._advice = endpoint.advice
        self._checks: list[Check] = []
        self._chain: list[x509.Certificate] = []
        # Before Python 3.10 only the server's own certificate is known.
        self._whole = True
        self._days_left: int | None = None
        self._port = address[1][1]
        self._refused = False
        self._seconds: float | None = None
        self._times: dict[str, float] = {}

    def pay(self) -> EndpointReport:
        """Check after check, until one makes the next impossible."""
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
        wanted = wanted_check(self._endpoint, self._wire.leaves)
        if wanted is not None:
            self._checks.append(wanted)
        if any(check.check == "clock" for check in self._checks):
            self._checks = [_after_clocks(check) for check in self._checks]
        found = EndpointReport(self._checks, self._described(), self._days_left, self._seconds, self._times)
        return found._replace(refused=self._refused)

    def _described(self) -> certificates.Description | None:
        try:
            return certificates.describe(self._chain[0]) if self._chain else None
        except certificates.unreadable():
            return None

    def _check_connection(self) -> None:
        try:
            self._wire.connect().close()
        except TIME_OUTS:
            raise self._blocked(
                "tcp",
                f"no connection to port {self._port} within {self._step:g} seconds",
                f"Let firewalls on the way pass TCP port {self._port}, and check the address and that the "
                "machine is up.",
            ) from None
        except ConnectionRefusedError:
            self._refused = True
            raise self._blocked("tcp", f"port {self._port} refuses connections", self._advice.not_running) from None
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise self._blocked(
                "tcp", f"no connection to port {self._port} ({reason})", "Check the address and the route to it."
            ) from None
        self._good("tcp", "connected")

    def _check_tls(self) -> None:
        try:
            with self._wire.handshake(self._endpoint.client_context()) as connection:
                sent = certificates.sent_chain(connection)
                self._whole = bool(sent)
                sent = sent or [connection.getpeercert(binary_form=True) or b""]
                version = connection.version()
        except TIME_OUTS:
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
        # Whatever a server shows ends neither this visit nor others.
        detail = f"a certificate that it sends cannot be read: {str(error).rstrip('.')}"
        return self._blocked("chain", detail, self._advice.renew)

    def _not_tls(self, error: ssl.SSLError) -> _Blocked:
        verdict = tls.explain(error)
        if verdict is None:
            return self._cut_off()
        if verdict.code == "TLS_NOT_SPOKEN":
            what = "plain HTTP" if self._wire.speaks_plain_http() else "something else than TLS"
            hint = "Check the port" + (
                f", and that certificate and key are in the configuration of {self._advice.server} (http.tls)."
                if what == "plain HTTP"
                else "."
            )
            return self._blocked("tls", f"port {self._origin.port} speaks {what}", hint)
        about_client = verdict.code.startswith("TLS_CLIENT_CERTIFICATE")
        hint = self._advice.client_certificate if about_client else verdict.hint
        return self._blocked("tls", f"the server {verdict.reason}", hint)

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
        today = datetime.datetime.fromtimestamp(self._now(), datetime.timezone.utc)
        check, self._days_left = validity_check(self._endpoint, verified or self._chain, today)
        self._checks.append(check)

    def _check_chain(self, trust: ssl.SSLContext) -> list[x509.Certificate]:
        """Check the chain, and return it up to the trusted CA, which Python knows from 3.10 on."""
        trust.verify_flags |= _NO_CHECK_TIME
        trust.check_hostname = False
        try:
            with self._wire.handshake(trust) as connection:
                verified = [certificates.load_der(each) for each in certificates.verified_chain(connection)]
        except ssl.SSLCertVerificationError as error:
            self._checks.append(untrusted_check(self._endpoint, self._chain, error, whole=self._whole))
            return []
        except OSError as error:
            self._bad("chain", f"the TLS handshake failed ({error})", _OVERLOADED)
            return []
        self._checks.append(trusted_check(self._endpoint, self._chain, verified))
        return verified

    def _check_name(self) -> None:
        # With the server's own certificate as the trusted one, nothing but the name can be wrong. Docker Engine has
        # ignored the common name for years.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.hostname_checks_common_name = False
        context.verify_flags |= _NO_CHECK_TIME | _PARTIAL_CHAIN
        context.load_verify_locations(cadata=certificates.to_pem(self._chain[:1]))
        try:
            self._wire.handshake(context).close()
            covered = True
        except ssl.SSLCertVerificationError:
            covered = False
        except OSError as error:
            self._bad("host_name", f"the TLS handshake failed ({error})", _OVERLOADED)
            return
        self._checks.append(name_check(self._endpoint, self._chain[0], self._origin.host, covered=covered))

    def _ask(self) -> None:
        for question in self._endpoint.ask:
            began = time.monotonic()
            try:
                answer: ProbeAnswer | str = self._wire.ask(question, self._endpoint.client_context)
            except TIME_OUTS:
                answer = f"no answer within {question.seconds:g} seconds"
            except (OSError, http.client.HTTPException) as error:
                verdict = tls.explain(error) if isinstance(error, ssl.SSLError) else None
                answer = f"the server {verdict.reason}" if verdict else "the connection is closed without an answer"
            if isinstance(answer, ProbeAnswer):
                self._times[question.path] = round(time.monotonic() - began, 4)
                if self._seconds is None:
                    self._seconds = self._times[question.path]
                    self._compare_clocks(answer)
            check = question.judge(answer)
            self._checks.append(check)
            if check.failed:
                # Whoever fails at the first question is not to be judged by the next.
                break

    def _compare_clocks(self, answer: ProbeAnswer) -> None:
        try:
            there = email.utils.parsedate_to_datetime(answer.headers.get("date", "")).timestamp()
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

    def _good(self, check: str, detail: str) -> None:
        self._checks.append(Check(self._endpoint.edge, check, True, detail))

    def _bad(self, check: str, detail: str, hint: str, *, harmless: bool = False) -> None:
        self._checks.append(bad(self._endpoint.edge, check, detail, hint, harmless=harmless))

    def _blocked(self, check: str, detail: str, hint: str) -> _Blocked:
        return _Blocked(bad(self._endpoint.edge, check, detail, hint))


def _after_clocks(check: Check) -> Check:
    """A failed validity beside a failed clock may be nothing but that clock."""
    if check.check != "validity" or check.ok:
        return check
    return check._replace(
        hint="Set the clocks right first, and check again: validity is judged by this machine's clock."
    )


def _duration(seconds: float) -> str:
    for size, unit in ((86400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} seconds"
