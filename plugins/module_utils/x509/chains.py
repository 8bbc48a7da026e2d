# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a cache presents to its clients: its certificate, the chain behind it and its private key.

The registry loads them with Go's TLS library, which stops at start on a key that does not match and serves a wrong
order or an expired certificate without a word. Both are found here before anything is deployed.
"""

from __future__ import annotations

import datetime
import ipaddress
import typing as t

from .certificates import (
    extensions_of,
    is_issued_by,
    name_of,
    not_after,
    public_key_of,
    validity_faults,
)

try:
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization
    from cryptography.x509.oid import ExtensionOID
except ImportError:  # certificates.CRYPTOGRAPHY_IMPORT_ERROR reports it
    pass

SECONDS_A_DAY = 86400


def chain_problems(
    chain: t.Sequence[x509.Certificate],
    host: str,
    key_pem: str | None,
    now: datetime.datetime,
    needed: t.Sequence[x509.Certificate] | None = None,
) -> t.Iterator[str]:
    """Everything that is wrong with a certificate chain, the cache's own certificate first.

    Without a host (it is wrong itself) or a key, what depends on them is not judged.

    Args:
        needed: The certificates of the chain by which clients reach a CA that they trust. Others do no harm.

    Raises:
        Failure: C(INVALID_CERTIFICATE) when a part of a certificate that has to be judged cannot be read.
    """
    needed = chain if needed is None else needed
    place = place_of_key(chain, key_pem)
    leaf = chain[place or 0]
    if place is None:
        yield "the private key belongs to another certificate; give the two that were made together"
    elif place:
        yield (
            f"is out of order: the certificate of the private key stands at place {place + 1}; "
            "put it first, then the intermediates, each followed by its issuer"
        )
    elif not _is_ordered(needed):
        yield "is out of order: each certificate must be followed by the one that issued it"
    for certificate in needed:
        for fault in validity_faults(certificate, now):
            yield f"{name_of(certificate)} {fault}"
    if host and not covers(leaf, host):
        names = ", ".join(host_names(leaf))
        yield f"does not cover {host}{_nearly(leaf, host)}; it names {names or 'no host at all'}"


def place_of_key(chain: t.Sequence[x509.Certificate], key_pem: str | None) -> int | None:
    """Where in the chain the certificate of the private key stands; without a key the first place, where it should."""
    if key_pem is None:
        return 0
    return next((place for place, certificate in enumerate(chain) if matches(certificate, key_pem)), None)


def days_left(certificate: x509.Certificate, now: datetime.datetime) -> int:
    """Whole days until the certificate expires; negative when it has."""
    return int((not_after(certificate) - now).total_seconds() // SECONDS_A_DAY)


def matches(certificate: x509.Certificate, key_pem: str) -> bool:
    """Whether the private key is the one of this certificate."""
    key = serialization.load_pem_private_key(key_pem.encode(), password=None)
    encoding = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(*encoding) == public_key_of(certificate)


def host_names(certificate: x509.Certificate) -> list[str]:
    """The host names and addresses that the certificate names. The common name does not count: Go ignores it."""
    return [*_names(certificate, x509.DNSName), *_names(certificate, x509.IPAddress)]


def covers(certificate: x509.Certificate, host: str) -> bool:
    """Whether a certificate names this host; a wildcard stands for exactly one label (RFC 6125).

    An address counts only where it stands as one, and not as a name that looks like it.
    """
    host = host.lower().rstrip(".")
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        names = {name.lower() for name in _names(certificate, x509.DNSName)}
        parent = host.partition(".")[2]
        # OpenSSL takes no wildcard for all hosts of a domain that has one label only.
        return host in names or ("." in parent and f"*.{parent}" in names)
    return str(address) in _names(certificate, x509.IPAddress)


def _nearly(certificate: x509.Certificate, host: str) -> str:
    """Why it does not, where it looks as if it did."""
    names = {name.lower() for name in _names(certificate, x509.DNSName)}
    if host in names:
        return ", which stands there as a DNS name; an address must be an IP entry"
    return ", as OpenSSL takes no wildcard for a whole domain" if f"*.{host.partition('.')[2]}" in names else ""


def _names(certificate: x509.Certificate, kind: type[x509.DNSName | x509.IPAddress]) -> list[str]:
    try:
        extension = extensions_of(certificate).get_extension_for_oid(ExtensionOID.SUBJECT_ALTERNATIVE_NAME)
    except x509.ExtensionNotFound:
        return []
    names = t.cast("x509.SubjectAlternativeName", extension.value)
    return [str(name) for name in names.get_values_for_type(kind)]


def _is_ordered(chain: t.Sequence[x509.Certificate]) -> bool:
    return all(is_issued_by(certificate, issuer) for certificate, issuer in zip(chain, chain[1:]))


def is_sent_in_order(chain: t.Sequence[x509.Certificate]) -> bool:
    """Whether each certificate of which a server sent the issuer as well is followed by it."""
    for index, certificate in enumerate(chain):
        issuers = [each for each in chain if each.subject == certificate.issuer and each != certificate]
        if issuers and (index + 1 == len(chain) or chain[index + 1] not in issuers):
            return False
    return True


def last_sent(chain: t.Sequence[x509.Certificate]) -> x509.Certificate:
    """The last certificate that is reached from a server's own by going to an issuer that was sent as well."""
    current = chain[0]
    for _each in chain:
        above = next((each for each in chain if each.subject == current.issuer and each != current), None)
        if above is None or current.issuer == current.subject:
            break
        current = above
    return current
