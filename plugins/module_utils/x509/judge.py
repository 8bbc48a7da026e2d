# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask OpenSSL whether clients accept a cache's certificate, and add what Go and old clients refuse besides.

OpenSSL answers by a handshake in memory: the chain and the key as a server, and a client that trusts the CA. Docker and
the registry are written in Go, which judges some things differently; C(go_faults) is the table of these.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
import ssl
import tempfile
import typing as t

from ..common.redaction import printable
from .certificates import extensions_of, is_ca, issuer_of, load_der, public_key_of, to_pem, verified_chain

try:
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
    from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID, SignatureAlgorithmOID
except ImportError:  # certificates.CRYPTOGRAPHY_IMPORT_ERROR reports it
    pass

# As most clients have it, whatever the openssl.cnf of this machine says: RSA from 2048 bits, no SHA-1.
_CIPHERS = "DEFAULT:@SECLEVEL=2"
_CIPHERS_OF_SERVER = "DEFAULT:@SECLEVEL=0"
_NO_CHECK_TIME = 0x200000
_VERSIONS = (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)
_WRONG_NAME = (62, 64)
_ROUNDS = 4

SMALLEST_RSA, LARGEST_RSA = 2048, 8192
CURVES_OF_GO = ("secp224r1", "secp256r1", "secp384r1", "secp521r1")
_LARGEST_EXPONENT = 2**31 - 1
_URI = (
    r"(?i:[a-z][a-z0-9+.-]*:(?://(?:[\w-]+(?:\.[\w-]+)*|\[[0-9a-f:.]+\])?(?::[0-9]+)?(?=[/?#]|$)|(?!//))"
    r"(?:[^%\s]|%[0-9a-f]{2})*)"
)
_LABELS = r"[!-\-/-?A-~]+(?:\.[!-\-/-?A-~]+)*"
_LOCAL = r"[\w!#-'*+/=?^`{-~-]+(?:\.[\w!#-'*+/=?^`{-~-]+)*"
# What Go can compare with constraints, and the constraints that it reads and understands as OpenSSL does.
_COMPARED = {"DNSName": _LABELS, "RFC822Name": f"{_LOCAL}@{_LABELS}"}
_CONSTRAINTS = {
    "DNSName": rf"(?:\.?{_LABELS})?",
    "RFC822Name": rf"(?:{_LOCAL}@|\.?){_LABELS}",
    "IPAddress": ".*",
    "UniformResourceIdentifier": "(?!)",
}
# The types of text in a subject that hold less than OpenSSL takes there.
_TEXTS = {"UniversalString": "(?!)", "NumericString": "[0-9 ]*", "IA5String": r"[\x00-\x7f]*"}
_POLICY_MAPPINGS = "2.5.29.33"
_ANY_POLICY = bytes.fromhex("0604551d2000")
_NEW_KEY = "make an RSA key of 2048 bits or more, or an ECDSA one on P-256, and have a certificate issued for it"
_NEW_CERTIFICATE = "have it issued anew"


class Verdict(t.NamedTuple):
    """What OpenSSL says: the verified path, the server's own certificate first, or why there is none."""

    path: t.Sequence[x509.Certificate]
    error: ssl.SSLError | None = None

    @property
    def code(self) -> int:
        return int(getattr(self.error, "verify_code", 0))

    @property
    def reason(self) -> str:
        error = self.error
        return str(getattr(error, "verify_message", "") or getattr(error, "reason", "") or error)

    @property
    def is_about_the_name(self) -> bool:
        return self.code in _WRONG_NAME


def judge(
    chain: t.Sequence[x509.Certificate],
    key: str,
    host: str,
    anchors: t.Sequence[x509.Certificate] | None,
    *,
    check_time: bool = True,
) -> Verdict:
    """Shake hands as a cache with this certificate and a client of it would, with each version of TLS in use.

    Args:
        chain: What the cache presents.
        key: The private key in PEM.
        host: The name by which the client calls the cache; empty for any.
        anchors: What the client trusts; C(None) for what this machine trusts.
        check_time: Whether what has expired is refused.
    """
    verdict = Verdict(())
    try:
        server = _server(to_pem(chain), key)
        for version in _VERSIONS:
            client = _client(host, anchors, check_time=check_time)
            client.maximum_version = version
            verdict = Verdict([load_der(each) for each in _shake_hands(client, server, host)])
    except ssl.SSLError as error:
        return Verdict((), error)
    return verdict


def _server(chain: str, key: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    # Only the client judges.
    context.set_ciphers(_CIPHERS_OF_SERVER)
    with _as_file(chain + key) as path:
        context.load_cert_chain(path)
    return context


@contextlib.contextmanager
def _as_file(text: str) -> t.Iterator[str]:
    """Give a text a path: Python loads certificates from files only. Where the system can, no disk has it."""
    if hasattr(os, "memfd_create"):
        with open(os.memfd_create("certificate"), "wb") as memory:
            memory.write(text.encode())
            memory.flush()
            yield f"/proc/self/fd/{memory.fileno()}"
    else:
        with tempfile.NamedTemporaryFile() as file:
            file.write(text.encode())
            file.flush()
            yield file.name


def _client(host: str, anchors: t.Sequence[x509.Certificate] | None, *, check_time: bool) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_CIPHERS)
    context.check_hostname = bool(host)
    context.hostname_checks_common_name = False
    # As in Go, whatever is trusted ends the path, also an intermediate CA or the server's own certificate.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | (0 if check_time else _NO_CHECK_TIME)
    if anchors is None:
        context.load_default_certs()
    elif anchors:
        context.load_verify_locations(cadata=to_pem(anchors))
    return context


def _shake_hands(client: ssl.SSLContext, server: ssl.SSLContext, host: str) -> list[bytes]:
    one, two = ssl.MemoryBIO(), ssl.MemoryBIO()
    here = client.wrap_bio(one, two, server_hostname=host or None)
    there = server.wrap_bio(two, one, server_side=True)
    for _round in range(_ROUNDS):
        for end in (here, there):
            with contextlib.suppress(ssl.SSLWantReadError):
                end.do_handshake()
    return verified_chain(here)


def key_fault(key: t.Any, *, of_server: bool) -> str | None:
    """Say why the registry or a client refuses a private or public key, as a clause after "is"."""
    if isinstance(key, (rsa.RSAPrivateKey, rsa.RSAPublicKey)):
        if not SMALLEST_RSA <= key.key_size <= LARGEST_RSA:
            return f"an RSA key of {key.key_size} bits, and clients take {SMALLEST_RSA} to {LARGEST_RSA}"
        public = key if isinstance(key, rsa.RSAPublicKey) else key.public_key()
        if public.public_numbers().e > _LARGEST_EXPONENT:
            return "an RSA key with an exponent that is too large for Docker"
        return None
    if isinstance(key, (ec.EllipticCurvePrivateKey, ec.EllipticCurvePublicKey)):
        # TLS 1.3 has no signature for the smallest curve.
        known = CURVES_OF_GO[1:] if of_server else CURVES_OF_GO
        return None if key.curve.name in known else f"a key on the curve {key.curve.name}, unknown to the registry"
    if isinstance(key, (ed25519.Ed25519PrivateKey, ed25519.Ed25519PublicKey)):
        return "an Ed25519 key, which registries and Docker Engines of before 2020 do not know" if of_server else None
    kind = re.sub(r"_|P(?:ublic|rivate)Key", "", type(key).__name__)
    return f"a key of the kind {kind}, which the registry and Docker do not know"


def has_elliptic_curve(certificate: x509.Certificate) -> bool:
    """Tell whether the key of a certificate is an ECDSA one."""
    return isinstance(certificate.public_key(), ec.EllipticCurvePublicKey)


def private_key_problem(key: t.Any) -> str | None:
    """Say why a cache cannot be deployed with this key, as a clause after its name."""
    fault = key_fault(key, of_server=True)
    return f"is {fault}; {_NEW_KEY}" if fault else None


def go_faults(
    path: t.Sequence[x509.Certificate], sent: t.Iterable[x509.Certificate] = ()
) -> t.Iterator[tuple[x509.Certificate, str]]:
    """Find what Docker and the registry refuse in a path that OpenSSL accepts, as clauses after a certificate's name.

    Args:
        path: The verified certificates, the server's own first.
        sent: What the server sends; Go reads each of it, in the path or not.

    Raises:
        Failure: C(INVALID_CERTIFICATE) when a part of a certificate cannot be read.
    """
    constrained = any(_extension(each, x509.NameConstraints) for each in path)
    beside = [each for each in sent if each not in path]
    for place, certificate in enumerate([*path, *beside]):
        judges: list[t.Callable[[x509.Certificate], str | None]] = [_form_fault, _constraints_fault]
        judges.append(functools.partial(_names_fault, constrained=constrained))
        judges.append(functools.partial(_certified_key_fault, of_server=place == 0))
        if place < len(path):
            judges += [_critical_fault, _purpose_fault]
            judges += [functools.partial(_issuer_fault, below=place - 1)] if place else []
        # Nobody verifies the signature of what is trusted.
        if place < len(path) - 1:
            judges += [_signature_fault, _policy_fault, functools.partial(_link_fault, issuer=path[place + 1])]
        for each in judges:
            fault = each(certificate)
            if fault:
                yield certificate, fault


def _form_fault(certificate: x509.Certificate) -> str | None:
    extensions = extensions_of(certificate)
    policies = [each.policy_identifier for each in _extension(certificate, x509.CertificatePolicies) or ()]
    lists = _extension(certificate, x509.CRLDistributionPoints) or ()
    mappings = (each.value for each in extensions if each.oid.dotted_string == _POLICY_MAPPINGS)
    wrong = {
        "a negative serial number": certificate.serial_number < 0,
        "the version 1, and extensions": certificate.version is x509.Version.v1 and len(extensions) > 0,
        "two signature algorithms": not _has_one_signature_algorithm(certificate),
        "a name in an unusual encoding": not all(map(_is_text_of_go, [*certificate.subject, *certificate.issuer])),
        "the same policy twice": len(set(policies)) < len(policies),
        "a mapping of anyPolicy": any(_ANY_POLICY in each.public_bytes() for each in mappings),
        "a relative name for its revocation list": any(each.relative_name for each in lists),
    }
    found = next((what for what, is_so in wrong.items() if is_so), None)
    return f"has {found}, which Docker does not read; {_NEW_CERTIFICATE}" if found else None


def _has_one_signature_algorithm(certificate: x509.Certificate) -> bool:
    """Tell whether the algorithm beside the signature is the one that is signed; OpenSSL does not ask of a root."""
    signed = certificate.tbs_certificate_bytes
    rest = certificate.public_bytes(serialization.Encoding.DER).partition(signed)[2]
    return rest[: 2 + rest[1]] in signed


def _is_text_of_go(attribute: x509.NameAttribute) -> bool:
    # The library shows the type of the text by no public name.
    kind = getattr(getattr(attribute, "_type", None), "name", "")
    return not isinstance(attribute.value, str) or bool(re.fullmatch(_TEXTS.get(kind, "(?s:.*)"), attribute.value))


def _critical_fault(certificate: x509.Certificate) -> str | None:
    """Each version of Go refuses a critical extension that it does not know."""
    known = (
        ExtensionOID.KEY_USAGE,
        ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
        ExtensionOID.BASIC_CONSTRAINTS,
        ExtensionOID.NAME_CONSTRAINTS,
        ExtensionOID.CRL_DISTRIBUTION_POINTS,
        ExtensionOID.CERTIFICATE_POLICIES,
        ExtensionOID.EXTENDED_KEY_USAGE,
    )
    unknown = next((each for each in extensions_of(certificate) if each.critical and each.oid not in known), None)
    if unknown is None:
        return None
    name = _name_of_oid(unknown.oid)
    return f"has the critical extension {name}, which Docker does not know; have it issued without"


def _constraints_fault(certificate: x509.Certificate) -> str | None:
    """Go reads constraints more strictly, and addresses of the web it compares in another way than OpenSSL."""
    found = next((each for each in extensions_of(certificate) if isinstance(each.value, x509.NameConstraints)), None)
    if found is None:
        return None
    for subtree in (*(found.value.permitted_subtrees or ()), *(found.value.excluded_subtrees or ())):
        kind, value = type(subtree).__name__, str(subtree.value)
        if not re.fullmatch(_CONSTRAINTS.get(kind, "(?!)" if found.critical else "(?s:.*)"), value):
            by = f" by '{printable(value)}'" if isinstance(subtree.value, str) else ""
            return f"constrains names of the kind {kind}{by}, which Docker does not know; have it issued without"
    return None


def _policy_fault(certificate: x509.Certificate) -> str | None:
    """Newer versions of Go judge policies, which OpenSSL leaves out."""
    constraints = _extension(certificate, x509.PolicyConstraints)
    if constraints is None or constraints.require_explicit_policy is None:
        return None
    return "requires explicit policies (policyConstraints), which Docker may not find; have it issued without"


def _link_fault(certificate: x509.Certificate, *, issuer: x509.Certificate) -> str | None:
    """Go compares names byte by byte, OpenSSL their letters."""
    if certificate.issuer.public_bytes() == issuer.subject.public_bytes():
        return None
    return (
        f"names its issuer, {issuer_of(certificate)}, in other letters or another encoding than the CA has in its own "
        f"certificate, so that Docker does not find it; {_NEW_CERTIFICATE}"
    )


def _purpose_fault(certificate: x509.Certificate) -> str | None:
    """OpenSSL also takes an old purpose of Netscape's and Microsoft's."""
    usage = _extension(certificate, x509.ExtendedKeyUsage)
    if usage is None or ExtendedKeyUsageOID.SERVER_AUTH in usage:
        return None
    others = ", ".join(map(_name_of_oid, usage))
    return f"has the extended key usage {others} and not serverAuth; have one issued with serverAuth"


def _names_fault(certificate: x509.Certificate, *, constrained: bool) -> str | None:
    """Go does not load a certificate with a name that cannot be one, or cannot compare it with constraints."""
    for name in _extension(certificate, x509.SubjectAlternativeName) or ():
        pattern = _COMPARED.get(type(name).__name__) if constrained else None
        pattern = _URI if isinstance(name, x509.UniformResourceIdentifier) else pattern
        is_text = isinstance(name.value, str)
        is_read = not is_text or (name.value.isascii() and (not pattern or re.fullmatch(pattern, name.value)))
        # Newer versions do not load an IPv4 address in the form of IPv6.
        if not is_read or getattr(name.value, "ipv4_mapped", None):
            return (
                f"has a subject alternative name that Docker does not read, {printable(str(name.value))}; "
                f"{_NEW_CERTIFICATE}"
            )
    return None


def _certified_key_fault(certificate: x509.Certificate, *, of_server: bool) -> str | None:
    # Go knows one form of each kind: no RSA-PSS keys, no compressed points, no explicit curves.
    if public_key_of(certificate) not in certificate.tbs_certificate_bytes:
        return f"has a public key in a form that Docker does not know; {_NEW_KEY}"
    key, usage = certificate.public_key(), _extension(certificate, x509.KeyUsage)
    fault = key_fault(key, of_server=of_server)
    if fault:
        return f"has {fault}; {_NEW_KEY}"
    # OpenSSL says only that server and client have no cipher in common.
    if of_server and isinstance(key, ec.EllipticCurvePublicKey) and usage and not usage.digital_signature:
        return f"has a key that must not sign, as TLS needs it (key usage without digitalSignature); {_NEW_CERTIFICATE}"
    return None


def _issuer_fault(certificate: x509.Certificate, *, below: int) -> str | None:
    """OpenSSL also takes one without basic constraints, and counts no CA below that has the name of its issuer."""
    if not is_ca(certificate):
        return "is not the certificate of a CA (basic constraints), so it must not sign others"
    usage = _extension(certificate, x509.KeyUsage)
    # OpenSSL says only that a CA is invalid, not which one.
    if usage and not usage.key_cert_sign:
        return "must not sign certificates (its key usage has no keyCertSign)"
    constraints = _extension(certificate, x509.BasicConstraints)
    longest = constraints.path_length if constraints else None
    if longest is None or longest >= below:
        return None
    return f"allows {longest} intermediate CA(s) below it (path length), and here are {below}; {_NEW_CERTIFICATE}"


def _signature_fault(certificate: x509.Certificate) -> str | None:
    oid = certificate.signature_algorithm_oid
    hashed = certificate.signature_hash_algorithm.name if certificate.signature_hash_algorithm else "none"
    known = (
        SignatureAlgorithmOID.RSA_WITH_SHA256,
        SignatureAlgorithmOID.RSA_WITH_SHA384,
        SignatureAlgorithmOID.RSA_WITH_SHA512,
        SignatureAlgorithmOID.ECDSA_WITH_SHA256,
        SignatureAlgorithmOID.ECDSA_WITH_SHA384,
        SignatureAlgorithmOID.ECDSA_WITH_SHA512,
        SignatureAlgorithmOID.ED25519,
    )
    if oid == SignatureAlgorithmOID.RSASSA_PSS:
        used = certificate.signature_algorithm_parameters
        lengths = {"sha256": 32, "sha384": 48, "sha512": 64}
        # The library shows the length of the salt by no public name.
        fits = isinstance(used, padding.PSS) and getattr(used, "_salt_length", None) == lengths.get(hashed)
        return None if fits else f"has an RSA-PSS signature in a form that Docker refuses; {_NEW_CERTIFICATE}"
    if oid in known:
        return None
    return f"is signed with {_name_of_oid(oid)}, which clients refuse; {_NEW_CERTIFICATE} with SHA-256"


def _name_of_oid(oid: x509.ObjectIdentifier) -> str:
    """Name an object identifier as OpenSSL does, or by its numbers."""
    if oid == ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE:
        return "anyExtendedKeyUsage"
    name = str(getattr(oid, "_name", ""))
    return oid.dotted_string if name in ("", "Unknown OID") else name


Extension = t.TypeVar("Extension", bound="x509.ExtensionType")


def _extension(certificate: x509.Certificate, kind: type[Extension]) -> Extension | None:
    try:
        return extensions_of(certificate).get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None
