# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read a chain of certificates as a server sends it."""

from __future__ import annotations

import datetime
import ssl
import typing as t

from .certificates import extensions_of, not_after

try:
    from cryptography import x509
    from cryptography.x509.oid import ExtensionOID
except ImportError:  # certificates.CRYPTOGRAPHY_IMPORT_ERROR reports it
    pass

SECONDS_A_DAY = 86400
_DER = 2


def days_left(certificate: x509.Certificate, now: datetime.datetime) -> int:
    """Whole days until the certificate expires; negative when it has."""
    return int((not_after(certificate) - now).total_seconds() // SECONDS_A_DAY)


def host_names(certificate: x509.Certificate) -> list[str]:
    """The host names and addresses that the certificate names. The common name does not count: Go ignores it."""
    return [*_names(certificate, x509.DNSName), *_names(certificate, x509.IPAddress)]


def _names(certificate: x509.Certificate, kind: type[x509.DNSName | x509.IPAddress]) -> list[str]:
    try:
        extension = extensions_of(certificate).get_extension_for_oid(ExtensionOID.SUBJECT_ALTERNATIVE_NAME)
    except x509.ExtensionNotFound:
        return []
    names = t.cast("x509.SubjectAlternativeName", extension.value)
    return [str(name) for name in names.get_values_for_type(kind)]


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


def sent_chain(connection: ssl.SSLSocket | ssl.SSLObject) -> list[bytes]:
    """The certificates that the server sent, in DER; none before Python 3.10."""
    return _chain_by(connection, "get_unverified_chain")


def verified_chain(connection: ssl.SSLSocket | ssl.SSLObject) -> list[bytes]:
    """The certificates from the server's own to the trusted CA, in DER; none before Python 3.10."""
    return _chain_by(connection, "get_verified_chain")


def _chain_by(connection: ssl.SSLSocket | ssl.SSLObject, method: str) -> list[bytes]:
    # Public from Python 3.13 on; the same method of the inner object gives certificate objects from 3.10 on.
    if hasattr(connection, method):
        return list(getattr(connection, method)())
    inner = getattr(getattr(connection, "_sslobj", None), method, None)
    return [each.public_bytes(_DER) for each in (inner() or ())] if inner else []
