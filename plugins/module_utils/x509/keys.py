# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keys of a kind or strength that the registry, Docker or other clients of a cache refuse. Pure functions.

The registry and Docker are written in Go, whose TLS library knows fewer keys than OpenSSL, which others use.
"""

from __future__ import annotations

import base64
import binascii
import re
import typing as t

try:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
except ImportError:  # certificates.CRYPTOGRAPHY_IMPORT_ERROR reports it
    pass

if t.TYPE_CHECKING:
    from cryptography import x509

# OpenSSL's security level 2, the default of most distributions, takes no shorter key, and Go's TLS no longer one.
SMALLEST_RSA, LARGEST_RSA = 2048, 8192
# Go's crypto/x509 refuses a certificate on any other: the registry ends with "x509: unsupported elliptic curve".
CURVES_OF_GO = ("secp224r1", "secp256r1", "secp384r1", "secp521r1")
# TLS 1.3 has no signature for the smallest of them.
CURVES_OF_SERVERS = CURVES_OF_GO[1:]
RSASSA_PSS = "1.2.840.113549.1.1.10"

_BLOCK = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----(.*?)(?:-----END|\Z)", re.DOTALL)
_RSASSA_PSS_DER = bytes.fromhex("06092a864886f70d01010a")
# Version and algorithm stand at the beginning of a key in PKCS#8.
_ALGORITHM_ENDS = 40
_NEW_KEY = "make an RSA key of 2048 bits or more, or an ECDSA one on P-256, and have a certificate issued for it"


def key_problem(key_pem: str) -> str | None:
    """Why the registry could not load this private key, or its clients not accept it, or None."""
    blocks = [(label, body) for label, body in _BLOCK.findall(key_pem) if label.endswith("PRIVATE KEY")]
    if len(blocks) > 1:
        return "holds several private keys; give that of the certificate alone"
    if blocks and blocks[0][0] == "OPENSSH PRIVATE KEY":
        return "is in the format of OpenSSH; convert a copy of it: ssh-keygen -p -m PKCS8 -f COPY"
    try:
        key = serialization.load_pem_private_key(key_pem.encode(), password=None)
    except TypeError:
        return (
            "is encrypted; the cache cannot ask for a passphrase. Decrypt it: openssl pkey -in KEY -out KEY.plain "
            "(and name that file in dtr_cache_source_files, so that it is removed at the end)"
        )
    except (ValueError, UnsupportedAlgorithm):
        return f"is not a private key in PEM: {_instead(key_pem)}"
    if isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name not in CURVES_OF_SERVERS:
        return f"is on the curve {key.curve.name}, which the registry does not know; use P-256, P-384 or P-521"
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return f"is an Ed25519 key, which registries and Docker Engines of before 2020 do not know; {_NEW_KEY}"
    kind = "an RSA-PSS key, which the registry does not know" if blocks and _is_pss(blocks[0][1]) else None
    kind = kind or public_key_kind(key.public_key())
    return f"is {kind}; {_NEW_KEY}" if kind else None


def certified_key_problem(certificate: x509.Certificate) -> str | None:
    """Why Docker or OpenSSL would not accept the key of an issuer, as what it has; or None.

    The key has to be one that can be read, which C(certificates.public_key_of) says.
    """
    algorithm = getattr(certificate, "public_key_algorithm_oid", None)  # since cryptography 43
    if algorithm is not None and algorithm.dotted_string == RSASSA_PSS:
        return "an RSA-PSS key, which Docker does not know"
    key = certificate.public_key()
    if isinstance(key, ed25519.Ed25519PublicKey):
        return None
    return public_key_kind(key)


def public_key_kind(key: t.Any) -> str | None:
    """What kind of a key it is, where that is one that nobody takes."""
    if isinstance(key, rsa.RSAPublicKey):
        if SMALLEST_RSA <= key.key_size <= LARGEST_RSA:
            return None
        return f"an RSA key of {key.key_size} bits, and clients take {SMALLEST_RSA} to {LARGEST_RSA}"
    if isinstance(key, ec.EllipticCurvePublicKey):
        return None if key.curve.name in CURVES_OF_GO else f"a key on the curve {key.curve.name}, unknown to Docker"
    kind = type(key).__name__.strip("_").removesuffix("PublicKey")
    return f"a key of the kind {kind}, which the registry and Docker do not know"


def _instead(text: str) -> str:
    """What the text is, where that is something else in PEM."""
    labels = [label for label, _body in _BLOCK.findall(text) if not label.endswith("PRIVATE KEY")]
    known = next((label for label in labels if label in ("CERTIFICATE", "PUBLIC KEY", "CERTIFICATE REQUEST")), "")
    return f"it is a {known}" if known else "it is cut off, changed, or of a kind that nobody knows"


def _is_pss(body: str) -> bool:
    try:
        der = base64.b64decode("".join(body.split()))
    except (binascii.Error, ValueError):  # the older form with headers, which RSA-PSS has not
        return False
    return _RSASSA_PSS_DER in der[:_ALGORITHM_ENDS]
