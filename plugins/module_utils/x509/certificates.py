# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What certificates say: parsing PEM bundles, the chain of a connection, descriptions, comparing fingerprints.

Pure functions over C(cryptography). They run on the control node, where ansible-core itself depends on that library;
a module checks C(CRYPTOGRAPHY_IMPORT_ERROR) before it calls any of them.
"""

from __future__ import annotations

import datetime
import re
import ssl
import traceback
import typing as t

from ..common.failure import Failure
from ..common.redaction import printable
from . import pem

CRYPTOGRAPHY_IMPORT_ERROR: str | None = None
try:
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.x509.oid import ExtensionOID
except ImportError:
    CRYPTOGRAPHY_IMPORT_ERROR = traceback.format_exc()

SECONDS_A_DAY = 86400
_DER = 2
_FINGERPRINT_PREFIX = re.compile(r"^(?:sha-?256)?(?:\s+fingerprint)?\s*[:=]?\s*", re.IGNORECASE)


class Description(t.TypedDict):
    """What results show of a certificate: RFC 4514 names, ISO 8601 times in UTC, lower-case hexadecimal SHA-256."""

    subject: str
    issuer: str
    not_before: str
    not_after: str
    fingerprint: str


def load_certificates(content: str | bytes) -> list[x509.Certificate]:
    """Load all certificates of a PEM bundle, each once, in the bundle's order.

    Names and validity of each can be read; whether its extensions and its public key can, turns out where they are
    needed.

    Raises:
        Failure: C(INVALID_CERTIFICATE) when there is nothing, something else than certificates, or a broken one.
    """
    data = content.encode("utf-8", "replace") if isinstance(content, str) else content
    if not data.strip():
        raise Failure("INVALID_CERTIFICATE", "The certificate is empty.")
    if data.lstrip()[:15].lower().startswith((b"<!doctype", b"<html")):
        raise Failure("INVALID_CERTIFICATE", "An HTML page was found where a PEM certificate was expected.")
    try:
        found = pem.certificate_blocks(content)
    except Failure as failure:
        raise Failure("INVALID_CERTIFICATE", failure.message) from None
    if not found:
        raise Failure("INVALID_CERTIFICATE", "The text is not a PEM certificate: it has no BEGIN CERTIFICATE line.")
    return list(dict.fromkeys(_load_one(der, number) for number, der in enumerate(found, start=1)))


def _load_one(der: bytes, number: int) -> x509.Certificate:
    try:
        certificate = x509.load_der_x509_certificate(der)
        # The library reads them only now.
        describe(certificate)
    except unreadable() as error:
        reason = f"a name in it is of the unknown type {error}" if isinstance(error, KeyError) else error
        raise Failure(
            "INVALID_CERTIFICATE", f"Certificate {number} of the PEM text cannot be read: {reason}."
        ) from None
    return certificate


def load_der(der: bytes) -> x509.Certificate:
    """One certificate in DER, as a TLS connection has it; raises what C(unreadable) names."""
    return x509.load_der_x509_certificate(der)


def to_pem(certificates: t.Iterable[x509.Certificate]) -> str:
    """The certificates as one PEM text without anything around the blocks."""
    return "".join(certificate.public_bytes(serialization.Encoding.PEM).decode("ascii") for certificate in certificates)


def to_der(certificate: x509.Certificate) -> bytes:
    """The certificate as a TLS connection carries it."""
    return certificate.public_bytes(serialization.Encoding.DER)


def describe(certificate: x509.Certificate) -> Description:
    """Names, validity and fingerprint of a certificate as plain text."""
    return {
        "subject": certificate.subject.rfc4514_string(),
        "issuer": certificate.issuer.rfc4514_string(),
        "not_before": _iso(not_before(certificate)),
        "not_after": _iso(not_after(certificate)),
        "fingerprint": fingerprint(certificate),
    }


def unreadable() -> tuple[type[Exception], ...]:
    """What cryptography raises on first access to a part of a certificate that is malformed."""
    return (
        ValueError,
        TypeError,
        # Of older versions, for the type of a name.
        KeyError,
        UnsupportedAlgorithm,
        x509.DuplicateExtension,
        x509.InvalidVersion,
        x509.UnsupportedGeneralNameType,
    )


def extensions_of(certificate: x509.Certificate) -> x509.Extensions:
    """The extensions of a certificate.

    Raises:
        Failure: C(INVALID_CERTIFICATE) when one of them is malformed.
    """
    try:
        return certificate.extensions
    except unreadable() as error:
        raise _malformed(certificate, "extensions", error) from None


def public_key_of(certificate: x509.Certificate) -> bytes:
    """The public key of a certificate in DER.

    Raises:
        Failure: C(INVALID_CERTIFICATE) when it is malformed or of an unknown kind.
    """
    try:
        key = certificate.public_key()
        return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    except unreadable() as error:
        raise _malformed(certificate, "a public key", error) from None


def public_key_of_private(key_pem: str) -> bytes:
    """Return the public key of a private key in DER."""
    key = serialization.load_pem_private_key(key_pem.encode(), password=None)
    return key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def name_of(certificate: x509.Certificate) -> str:
    """Whose certificate it is, for messages."""
    return printable(certificate.subject.rfc4514_string()) or "a certificate without a subject"


def issuer_of(certificate: x509.Certificate) -> str:
    """Who has signed it, for messages."""
    return printable(certificate.issuer.rfc4514_string()) or "a CA without a name"


def _malformed(certificate: x509.Certificate, part: str, error: Exception) -> Failure:
    return Failure(
        "INVALID_CERTIFICATE",
        f"{name_of(certificate)} has {part} that cannot be read: {str(error).rstrip('.')}.",
        hint="Have the certificate issued anew.",
    )


def fingerprint(certificate: x509.Certificate) -> str:
    """SHA-256 of the certificate's DER form, in lower-case hexadecimal digits."""
    return certificate.fingerprint(hashes.SHA256()).hex()


def normalise_fingerprint(text: str) -> str:
    """A SHA-256 fingerprint in any usual notation as 64 lower-case hexadecimal digits.

    Understood are colons, spaces and dashes between the bytes, upper case, and the prefixes C(SHA256:), C(sha256=) and
    C(SHA256 Fingerprint=) as OpenSSL and browsers print them.

    Raises:
        Failure: C(INVALID_FINGERPRINT) when anything else is left than 64 hexadecimal digits.
    """
    digits = re.sub(r"[\s:\-]", "", _FINGERPRINT_PREFIX.sub("", text.strip(), count=1)).lower()
    if re.fullmatch(r"[0-9a-f]{64}", digits):
        return digits
    if re.fullmatch(r"[0-9a-f]{32}|[0-9a-f]{40}", digits):
        kind = "MD5" if len(digits) == 32 else "SHA-1"
        raise Failure(
            "INVALID_FINGERPRINT",
            f"The fingerprint has {len(digits)} hexadecimal digits, as a {kind} one has.",
            hint="Give the SHA-256 fingerprint: openssl x509 -noout -fingerprint -sha256 -in ca.pem",
        )
    raise Failure(
        "INVALID_FINGERPRINT",
        "The fingerprint is not a SHA-256 one: it must have 64 hexadecimal digits.",
        hint="Show it with: openssl x509 -noout -fingerprint -sha256 -in ca.pem",
    )


def is_ca(certificate: x509.Certificate) -> bool:
    """Whether the certificate may sign others.

    A self-signed certificate of X.509 version 1 has no extensions at all; as trust anchors such roots are still used.

    Raises:
        Failure: C(INVALID_CERTIFICATE) when its extensions cannot be read.
    """
    try:
        constraints = extensions_of(certificate).get_extension_for_class(x509.BasicConstraints)
    except x509.ExtensionNotFound:
        return certificate.version is x509.Version.v1 and certificate.subject == certificate.issuer
    return constraints.value.ca


def check_authorities(bundle: t.Iterable[x509.Certificate], now: datetime.datetime) -> None:
    """Make sure that every certificate is a CA's and in date.

    Raises:
        Failure: C(NOT_A_CA), C(CA_EXPIRED) or C(CA_NOT_YET_VALID), naming the first one that is not.
    """
    for certificate in bundle:
        name = certificate.subject.rfc4514_string()
        if not is_ca(certificate):
            raise Failure("NOT_A_CA", f"{name} is not the certificate of a CA: it must not sign others.")
        if not_after(certificate) < now:
            raise Failure("CA_EXPIRED", f"The CA {name} expired at {_iso(not_after(certificate))}.")
        if not_before(certificate) > now:
            raise Failure(
                "CA_NOT_YET_VALID",
                f"The CA {name} is valid only from {_iso(not_before(certificate))} on.",
                hint="Check the clock of this machine.",
            )


def authority_fault(certificate: x509.Certificate, now: datetime.datetime) -> str | None:
    """Say why clients would not accept anything by trusting this certificate, or return None.

    One that is signed by itself is the server's own: Docker accepts it there, whether it is a CA's or not.
    """
    try:
        check_authorities([certificate], now)
        public_key_of(certificate)
    except Failure as failure:
        if not (failure.code == "NOT_A_CA" and certificate.subject == certificate.issuer):
            return failure.message
    return next(validity_faults(certificate, now), None)


def probable_path(
    chain: t.Sequence[x509.Certificate], authorities: t.Sequence[x509.Certificate]
) -> list[x509.Certificate]:
    """Go from a server's certificate to the issuer of each, for messages about a chain that is refused."""
    path = [chain[0]]
    while path[-1] not in authorities:
        rest = (each for each in (*authorities, *chain) if each not in path)
        issuer = next((each for each in rest if _is_known_to_be_issued_by(path[-1], each)), None)
        if issuer is None:
            break
        path.append(issuer)
    return path


def other_issuer(certificate: x509.Certificate, namesake: x509.Certificate) -> str:
    """Say why a CA with the name of a certificate's issuer is not accepted as it, and what to do."""
    name, issuer = name_of(certificate), name_of(namesake)
    if not _is_known_to_be_issued_by(certificate, namesake):
        return f"{name} is signed by another CA of the name {issuer} than the trusted one; use the CA that signed it"
    if names_another_key(certificate, namesake):
        return (
            f"{name} is signed by {issuer}, but its authority key identifier names another key, so clients do not find "
            "the CA; have it issued anew"
        )
    return (
        f"{name} is signed by {issuer}, and clients find another certificate of that name first; put the "
        "right one first, or have both issued anew"
    )


def names_another_key(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Tell whether the authority key identifier of a certificate does not fit the CA that signed it."""
    try:
        named = extensions_of(certificate).get_extension_for_class(x509.AuthorityKeyIdentifier).value
    except x509.ExtensionNotFound:
        return False
    if named.authority_cert_serial_number not in (None, issuer.serial_number):
        return True
    try:
        own = extensions_of(issuer).get_extension_for_class(x509.SubjectKeyIdentifier).value
    except x509.ExtensionNotFound:
        return False
    return named.key_identifier not in (None, own.digest)


def check_pin(bundle: t.Sequence[x509.Certificate], expected: str) -> None:
    """Make sure that a bundle holds the CA with a fingerprint, and besides it only what that CA has signed.

    Anything else in the bundle would be trusted without having been pinned.

    Raises:
        Failure: C(FINGERPRINT_MISMATCH).
    """
    trusted = [certificate for certificate in bundle if fingerprint(certificate) == expected]
    if not trusted:
        found = ", ".join(fingerprint(certificate) for certificate in bundle)
        raise Failure(
            "FINGERPRINT_MISMATCH",
            f"None of the certificates has the SHA-256 fingerprint {expected}; found: {found}.",
            hint="Somebody else may have answered. Replace the old fingerprint by the new one only after asking who "
            "runs the server.",
        )
    pending = [certificate for certificate in bundle if certificate not in trusted]
    while pending:
        signed = [each for each in pending if any(_is_known_to_be_issued_by(each, issuer) for issuer in trusted)]
        if not signed:
            name = pending[0].subject.rfc4514_string()
            raise Failure(
                "FINGERPRINT_MISMATCH",
                f"Besides the pinned CA the bundle holds {name}, which the pinned CA has not signed.",
                hint="Pin the root of the chain, or have the other certificate removed.",
            )
        trusted += signed
        pending = [each for each in pending if each not in signed]


def is_issued_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Whether a certificate was signed by an issuer, or is the issuer's itself.

    Raises:
        Failure: C(INVALID_CERTIFICATE) when that cannot be checked.
    """
    if issuer == certificate:
        return True
    if issuer.subject != certificate.issuer:
        return False
    public_key_of(issuer)
    try:
        # Of an unknown algorithm the verification says only that it is not the issuer's.
        _known = certificate.signature_hash_algorithm
        certificate.verify_directly_issued_by(issuer)
    except UnsupportedAlgorithm as error:
        raise Failure(
            "INVALID_CERTIFICATE",
            f"{name_of(certificate)} has a signature that cannot be checked: {error}.",
            hint="Have the certificate issued anew.",
        ) from None
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _is_known_to_be_issued_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """The same, where what cannot be checked does not count."""
    try:
        return is_issued_by(certificate, issuer)
    except Failure:
        return False


def not_before(certificate: x509.Certificate) -> datetime.datetime:
    """Beginning of the validity, with time zone UTC."""
    if hasattr(certificate, "not_valid_before_utc"):
        return certificate.not_valid_before_utc
    # cryptography before 42 has only the form without a time zone; it means UTC.
    return certificate.not_valid_before.replace(tzinfo=datetime.timezone.utc)


def not_after(certificate: x509.Certificate) -> datetime.datetime:
    """End of the validity, with time zone UTC."""
    if hasattr(certificate, "not_valid_after_utc"):
        return certificate.not_valid_after_utc
    return certificate.not_valid_after.replace(tzinfo=datetime.timezone.utc)


def validity_faults(certificate: x509.Certificate, now: datetime.datetime) -> t.Iterator[str]:
    """Why it is not valid at a moment, as clauses after its name."""
    if not_after(certificate) < now:
        yield f"has expired on {not_after(certificate):%Y-%m-%d %H:%M} UTC"
    if not_before(certificate) > now:
        yield f"is not valid before {not_before(certificate):%Y-%m-%d %H:%M} UTC"


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


def _iso(moment: datetime.datetime) -> str:
    return moment.astimezone(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
