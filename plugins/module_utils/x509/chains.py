# Copyright: Contributors to the dtr.cache project
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
    not_before,
    public_key_of,
)

try:
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtensionOID
except ImportError:  # certificates.CRYPTOGRAPHY_IMPORT_ERROR reports it
    pass

SECONDS_A_DAY = 86400
# Go's crypto/x509 refuses a certificate on any other: the registry ends with "x509: unsupported elliptic curve".
CURVES_OF_GO = ("secp224r1", "secp256r1", "secp384r1", "secp521r1")


def key_problem(key_pem: str) -> str | None:
    """Why the registry could not load this private key, or None."""
    try:
        key = serialization.load_pem_private_key(key_pem.encode(), password=None)
    except TypeError:
        return (
            "is encrypted; the cache cannot ask for a passphrase. Decrypt it: openssl pkey -in KEY -out KEY.plain "
            "(and name that file in dtr_cache_source_files, so that it is removed at the end)"
        )
    except (ValueError, UnsupportedAlgorithm) as error:
        return f"is not a private key in PEM ({type(error).__name__})"
    if isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name not in CURVES_OF_GO:
        return f"is on the curve {key.curve.name}, which the registry does not know; use P-256, P-384 or P-521"
    return None


def chain_problems(
    chain: t.Sequence[x509.Certificate], host: str, key_pem: str | None, now: datetime.datetime
) -> t.Iterator[str]:
    """Everything that is wrong with a certificate chain, the cache's own certificate first.

    Without a host (it is wrong itself) or a key, what depends on them is not judged.

    Raises:
        Failure: C(INVALID_CERTIFICATE) when a part of a certificate that has to be judged cannot be read.
    """
    leaf = chain[0]
    if key_pem is not None and not matches(leaf, key_pem):
        owner = next((index for index, certificate in enumerate(chain) if matches(certificate, key_pem)), None)
        if owner is None:
            yield "the private key belongs to another certificate"
        else:
            yield (
                f"is out of order: the certificate of the private key stands at place {owner + 1}; "
                "put it first, then the intermediates, each followed by its issuer"
            )
            leaf = chain[owner]
    elif not _is_ordered(chain):
        yield "is out of order: each certificate must be followed by the one that issued it"
    for certificate in chain:
        yield from _validity_problems(certificate, now)
    names = host_names(leaf)
    if host and not covers(names, host):
        yield f"does not cover {host}; it names {', '.join(names) or 'no host at all'}"


def signed_by(chain: t.Sequence[x509.Certificate], authorities: t.Sequence[x509.Certificate]) -> bool:
    """Whether one of the authorities issued a certificate of the chain, or stands in it.

    Raises:
        Failure: C(INVALID_CERTIFICATE) when that cannot be checked.
    """
    return any(is_issued_by(certificate, authority) for authority in authorities for certificate in chain)


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
    try:
        extension = extensions_of(certificate).get_extension_for_oid(ExtensionOID.SUBJECT_ALTERNATIVE_NAME)
    except x509.ExtensionNotFound:
        return []
    names = t.cast("x509.SubjectAlternativeName", extension.value)
    return [*names.get_values_for_type(x509.DNSName), *map(str, names.get_values_for_type(x509.IPAddress))]


def covers(names: t.Iterable[str], host: str) -> bool:
    """Whether one of a certificate's names is this host; a wildcard stands for exactly one label (RFC 6125)."""
    host = host.lower().rstrip(".")
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        parent = host.partition(".")[2]
        return any(name.lower() in (host, f"*.{parent}") for name in names)
    return str(address) in names


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


def _validity_problems(certificate: x509.Certificate, now: datetime.datetime) -> t.Iterator[str]:
    name = name_of(certificate)
    if not_after(certificate) < now:
        yield f"has expired: {name} on {not_after(certificate):%Y-%m-%d %H:%M} UTC"
    if not_before(certificate) > now:
        yield f"is not valid yet: {name} begins on {not_before(certificate):%Y-%m-%d %H:%M} UTC"
