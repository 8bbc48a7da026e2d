# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a certificate may be used for, as Go (Docker, the registry) and OpenSSL judge it. Pure functions.

Each problem goes on after the certificate's name.
"""

from __future__ import annotations

import typing as t

from .certificates import extensions_of, public_key_of
from .keys import RSASSA_PSS, certified_key_problem

try:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID
except ImportError:  # certificates.CRYPTOGRAPHY_IMPORT_ERROR reports it
    pass

Extension = t.TypeVar("Extension", bound="x509.ExtensionType")

# What Go verifies: SHA-256, SHA-384 and SHA-512 with RSA and ECDSA, and Ed25519.
_SIGNATURES = frozenset(
    (
        *(f"1.2.840.113549.1.1.{number}" for number in (11, 12, 13)),
        *(f"1.2.840.10045.4.3.{number}" for number in (2, 3, 4)),
        "1.3.101.112",
    )
)
_HASHES_OF_PSS = {"sha256": 32, "sha384": 48, "sha512": 64}
# Of X.509 version 1 are only old roots.
_VERSION_1 = 0


def server_problems(certificate: x509.Certificate) -> t.Iterator[str]:
    """Why clients would not take it for the certificate of a server.

    Raises:
        Failure: C(INVALID_CERTIFICATE) when its extensions cannot be read, as for all functions here.
    """
    purposes = _other_purposes(certificate)
    if purposes:
        yield f"has the extended key usage {purposes} and not serverAuth; have one issued with serverAuth"
    usage = _extension(certificate, x509.KeyUsage)
    if usage and not usage.digital_signature:
        public_key_of(certificate)
        is_rsa = not isinstance(certificate.public_key(), ec.EllipticCurvePublicKey)
        if not (is_rsa and (usage.key_encipherment or usage.key_agreement)):
            yield "must not be used for TLS (key usage); have one issued with digitalSignature"
    yield from _unknown_extensions(certificate)


def signature_problem(certificate: x509.Certificate) -> str | None:
    """Why Docker would not verify the signature on it, or None. That on a trusted CA is not verified by anybody."""
    oid = certificate.signature_algorithm_oid
    if oid.dotted_string in _SIGNATURES:
        return None
    if oid.dotted_string == RSASSA_PSS:
        return _pss_problem(certificate)
    return f"is signed with {_name_of(oid)}, which clients refuse; have it issued anew with SHA-256"


def issuer_problems(issuer: x509.Certificate, below: int, leaf: x509.Certificate) -> t.Iterator[str]:
    """Why clients would not accept what it has signed.

    Args:
        issuer: The certificate of the issuer.
        below: How many intermediates are between it and the server's certificate.
        leaf: The server's certificate.
    """
    constraints = _extension(issuer, x509.BasicConstraints)
    is_old_root = constraints is None and issuer.version.value == _VERSION_1 and issuer.subject == issuer.issuer
    if not is_old_root and not (constraints and constraints.ca):
        yield "is not the certificate of a CA, so it must not sign others"
    usage = _extension(issuer, x509.KeyUsage)
    if usage and not usage.key_cert_sign:
        yield "must not sign certificates (its key usage has no keyCertSign)"
    if constraints and constraints.path_length is not None and constraints.path_length < below:
        yield f"allows {constraints.path_length} intermediate(s) below it (path length), and there are {below}"
    purposes = _other_purposes(issuer)
    if purposes:
        yield f"has the extended key usage {purposes} and not serverAuth, so it must not sign those of servers"
    yield from _unknown_extensions(issuer)
    public_key_of(issuer)
    key = certified_key_problem(issuer)
    if key:
        yield f"has {key}"
    yield from _name_problems(issuer, leaf)


def _extension(certificate: x509.Certificate, kind: type[Extension]) -> Extension | None:
    try:
        return extensions_of(certificate).get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def _other_purposes(certificate: x509.Certificate) -> str:
    """What it is for, where a server is no part of that. Without the extension it is for everything.

    Go takes anyExtendedKeyUsage for a server's as well, OpenSSL does not.
    """
    usage = _extension(certificate, x509.ExtendedKeyUsage)
    if usage is None or ExtendedKeyUsageOID.SERVER_AUTH in usage:
        return ""
    return ", ".join(map(_name_of, usage)) or "nothing"


def _name_of(oid: x509.ObjectIdentifier) -> str:
    if oid == ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE:
        return "anyExtendedKeyUsage"
    name = str(getattr(oid, "_name", ""))
    return oid.dotted_string if name in ("", "Unknown OID") else name


def _unknown_extensions(certificate: x509.Certificate) -> t.Iterator[str]:
    for extension in extensions_of(certificate):
        if extension.critical and isinstance(extension.value, x509.UnrecognizedExtension):
            yield f"has an extension that clients have to understand and do not, {extension.oid.dotted_string}"


def _pss_problem(certificate: x509.Certificate) -> str | None:
    """Go takes RSA-PSS only with a salt as long as the hash, and OpenSSL has not always made it so."""
    used = certificate.signature_hash_algorithm
    longest = _HASHES_OF_PSS.get(used.name if used else "")
    parameters = getattr(certificate, "signature_algorithm_parameters", None)  # since cryptography 41
    salt = getattr(parameters, "_salt_length", longest)
    if longest is None or salt != longest:
        return "has an RSA-PSS signature in a form that Docker refuses; have it issued anew with SHA-256 and RSA"
    return None


def _name_problems(issuer: x509.Certificate, leaf: x509.Certificate) -> t.Iterator[str]:
    """The names of a server's certificate that its issuer must not sign (name constraints)."""
    constraints = _extension(issuer, x509.NameConstraints)
    names = _extension(leaf, x509.SubjectAlternativeName)
    if constraints is None or names is None:
        return
    permitted, excluded = constraints.permitted_subtrees or [], constraints.excluded_subtrees or []
    for name in names:
        same_kind = [subtree for subtree in permitted if isinstance(subtree, type(name))]
        if any(_is_within(name, subtree) for subtree in excluded) or (
            same_kind and not any(_is_within(name, subtree) for subtree in same_kind)
        ):
            yield f"must not sign certificates for {name.value} (name constraints)"


def _is_within(name: x509.GeneralName, subtree: x509.GeneralName) -> bool:
    if isinstance(name, x509.DNSName) and isinstance(subtree, x509.DNSName):
        domain = subtree.value.lower().lstrip(".")
        host = name.value.lower().removeprefix("*.")
        return not domain or host == domain or host.endswith(f".{domain}")
    if isinstance(name, x509.IPAddress) and isinstance(subtree, x509.IPAddress):
        network: t.Any = subtree.value
        return name.value in network
    return False
