# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with the certificates that a server shows, each property judged for itself."""

from __future__ import annotations

import datetime
import hashlib
import ssl
import typing as t

from ..common.vocabulary import word
from ..x509 import certificates
from .checks import Check, bad
from .endpoint import Endpoint

if t.TYPE_CHECKING:
    from cryptography import x509

# OpenSSL's codes for a chain that ends before a trusted CA.
_UNKNOWN_ISSUER = (2, 18, 19, 20, 21)


def trusted_check(
    endpoint: Endpoint, chain: t.Sequence[x509.Certificate], verified: t.Sequence[x509.Certificate]
) -> Check:
    """The check of a chain that leads to a trusted CA; its order is of no matter to Docker Engine."""
    if not _is_sent_in_order(chain):
        return bad(
            endpoint.edge,
            "chain",
            "the certificates are sent in the wrong order",
            f"Put them in order in {endpoint.advice.chain_file}: the server's own first, then each one's issuer. "
            "Docker Engine accepts any order, some other TLS clients do not.",
            harmless=True,
        )
    detail = f"trusted by way of {certificates.name_of(verified[-1])}" if verified else "trusted"
    return Check(endpoint.edge, "chain", True, detail)


def untrusted_check(
    endpoint: Endpoint, chain: t.Sequence[x509.Certificate], error: ssl.SSLCertVerificationError, *, whole: bool
) -> Check:
    """Why a chain does not lead to a trusted CA. C(whole) says whether all that the server sent is known."""
    edge, advice = endpoint.edge, endpoint.advice
    if error.verify_code not in _UNKNOWN_ISSUER and "signature" not in error.verify_message:
        detail = f"the certificate does not verify: {error.verify_message}"
        return bad(edge, "chain", detail, "Have the certificate issued anew.")
    last = _last_sent(chain)
    issuer = last.issuer.rfc4514_string()
    namesake = next((anchor for anchor in endpoint.anchors if anchor.subject == last.issuer), None)
    trusted = ", ".join(dict.fromkeys(map(certificates.name_of, endpoint.anchors)))
    if last.issuer == last.subject and len(chain) == 1:
        detail = "the certificate is self-signed and not trusted"
        hint = f"If this is the right server, trust it {advice.trust}."
    elif last.issuer == last.subject:
        detail = f"the chain ends at the CA {certificates.name_of(last)}, which is not trusted"
        hint = f"If this is the right server, trust that CA {advice.trust}."
    elif namesake:
        detail, _semicolon, todo = certificates.other_issuer(last, namesake).partition("; ")
        hint = f"{todo[0].upper()}{todo[1:]}. CAs are trusted {advice.trust}."
    elif not whole:
        detail = "the certificate does not lead to a trusted CA"
        hint = (
            f"Trust the CA that {issuer} is or comes from {advice.trust}, and check that intermediate "
            f"certificates are in {advice.chain_file}."
        )
    else:
        seen = f" (trusted: {trusted})" if trusted else ""
        detail = (
            f"{issuer}, the issuer of {certificates.name_of(last)}, is neither sent by the server nor trusted{seen}"
        )
        hint = (
            f"If {issuer} is an intermediate CA, append its certificate to {advice.chain_file}; if it is the "
            f"CA itself, trust it {advice.trust}."
        )
    return bad(edge, "chain", detail, hint)


def validity_check(
    endpoint: Endpoint, chain: t.Sequence[x509.Certificate], today: datetime.datetime
) -> tuple[Check, int]:
    """Whether no certificate of the chain has expired or will soon, and the days until the first one does."""
    first = min(chain, key=certificates.not_after)
    begin, end = max(map(certificates.not_before, chain)), certificates.not_after(first)
    days_left = certificates.days_left(first, today)
    whose = "the certificate" if first == chain[0] else f"the CA certificate {certificates.name_of(first)}"
    if today < begin:
        check = bad(
            endpoint.edge,
            "validity",
            f"not valid before {begin:%Y-%m-%d %H:%M} UTC",
            "Compare the clocks of this machine and the CA; if both are right, have one issued that is valid now.",
        )
    elif today > end:
        detail = f"{whose} expired on {end:%Y-%m-%d}, {-days_left} days ago"
        check = bad(endpoint.edge, "validity", detail, endpoint.advice.renew)
    elif days_left < endpoint.min_days:
        check = bad(
            endpoint.edge,
            "validity",
            f"{whose} expires in {days_left} days, on {end:%Y-%m-%d}, less than {word('min_days')} "
            f"({endpoint.min_days})",
            endpoint.advice.renew,
            harmless=True,
        )
    else:
        check = Check(endpoint.edge, "validity", True, f"until {end:%Y-%m-%d}, {days_left} days left")
    return check, days_left


def name_check(endpoint: Endpoint, leaf: x509.Certificate, host: str, *, covered: bool) -> Check:
    """Whether the certificate covers the host name."""
    if covered:
        return Check(endpoint.edge, "host_name", True, f"the certificate covers {host}")
    names = certificates.host_names(leaf)
    covers = f"covers {', '.join(names)}" if names else "has no subject alternative name"
    return bad(endpoint.edge, "host_name", f"the certificate {covers}, and not {host}", endpoint.advice.name)


def wanted_check(endpoint: Endpoint, leaves: t.Iterable[bytes]) -> Check | None:
    """Whether all servers at the address have the certificate that they should have, where it is known."""
    found = {hashlib.sha256(leaf).hexdigest(): leaf for leaf in leaves}
    if not endpoint.certificate or not found:
        return None
    others = [fingerprint for fingerprint in found if fingerprint != endpoint.certificate]
    if not others:
        return Check(endpoint.edge, "certificate", True, "the one that it should have")
    whose = f"some of {endpoint.advice.server}'s replicas have" if len(others) < len(found) else "the server has"
    return bad(
        endpoint.edge,
        "certificate",
        f"{whose} another certificate than the wanted one: {_validity(found[others[0]])}SHA-256 {others[0]}",
        endpoint.advice.other_certificate,
        harmless=True,
    )


def _validity(der: bytes) -> str:
    try:
        certificate = certificates.load_der(der)
        begin, end = certificates.not_before(certificate), certificates.not_after(certificate)
    except certificates.unreadable():
        return ""
    return f"valid from {begin:%Y-%m-%d} to {end:%Y-%m-%d}, "


def _is_sent_in_order(chain: t.Sequence[x509.Certificate]) -> bool:
    """Tell whether each certificate of which a server sent the issuer as well is followed by it."""
    for index, certificate in enumerate(chain):
        issuers = [each for each in chain if each.subject == certificate.issuer and each != certificate]
        if issuers and (index + 1 == len(chain) or chain[index + 1] not in issuers):
            return False
    return True


def _last_sent(chain: t.Sequence[x509.Certificate]) -> x509.Certificate:
    """Return the last certificate that is reached from a server's own by going to an issuer that was sent as well."""
    current = chain[0]
    for _each in chain:
        above = next((each for each in chain if each.subject == current.issuer and each != current), None)
        if above is None or current.issuer == current.subject:
            break
        current = above
    return current
