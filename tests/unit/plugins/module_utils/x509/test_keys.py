# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private keys that a cache must not be deployed with."""

from __future__ import annotations

import base64
import typing as t

import pytest
from ansible_collections.dtr.cache.plugins.module_utils.x509 import keys
from ansible_collections.dtr.cache.tests.unit.support.web import make_identity
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa, x448, x25519

IDENTITY = make_identity("cache")
PKCS8 = serialization.PrivateFormat.PKCS8
TRADITIONAL = serialization.PrivateFormat.TraditionalOpenSSL
# Made once with openssl genpkey -algorithm rsa-pss; the library makes none.
RSA_PSS_ALGORITHM = bytes.fromhex("300b06092a864886f70d01010a")
RSA_ALGORITHM = bytes.fromhex("300d06092a864886f70d0101010500")


def pem(key: t.Any, form: serialization.PrivateFormat = PKCS8) -> str:
    return str(key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode())


RSA = rsa.generate_private_key(65537, 2048)


@pytest.mark.parametrize(
    "text",
    [
        IDENTITY.key_pem,
        pem(IDENTITY.key, TRADITIONAL),
        pem(RSA),
        pem(RSA, TRADITIONAL),
        pem(ec.generate_private_key(ec.SECP521R1())),
        # As openssl ecparam -genkey writes it.
        "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"
        + pem(IDENTITY.key, TRADITIONAL),
    ],
)
def test_keys_that_everybody_takes(text: str) -> None:
    assert keys.key_problem(text) is None


def rsa_pss() -> str:
    """The same key, as one for RSA-PSS signatures alone."""
    der = RSA.private_bytes(serialization.Encoding.DER, PKCS8, serialization.NoEncryption())
    body = der[4:].replace(RSA_ALGORITHM, RSA_PSS_ALGORITHM)
    whole = b"\x30\x82" + len(body).to_bytes(2, "big") + body
    return pem_of("PRIVATE KEY", whole)


def pem_of(label: str, der: bytes) -> str:
    return f"-----BEGIN {label}-----\n{base64.encodebytes(der).decode()}-----END {label}-----\n"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            IDENTITY.encrypted_key_pem("a passphrase"),
            "is encrypted; the cache cannot ask for a passphrase. Decrypt it: openssl pkey",
        ),
        ("", "is not a private key"),
        ("no key", "is not a private key"),
        ("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "is not a private key"),
        (IDENTITY.pem, "is not a private key in PEM: it is a CERTIFICATE"),
        (IDENTITY.key_pem * 2, "holds several private keys; give that of the certificate alone"),
        (pem(IDENTITY.key, serialization.PrivateFormat.OpenSSH), "is in the format of OpenSSH; convert a copy of it"),
        (pem(ec.generate_private_key(ec.BrainpoolP256R1())), "is on the curve brainpoolP256r1"),
        (pem(ec.generate_private_key(ec.SECP256K1())), "is on the curve secp256k1"),
        (pem(ec.generate_private_key(ec.SECP224R1())), "is on the curve secp224r1"),
        (
            pem(rsa.generate_private_key(65537, 1024)),
            "is an RSA key of 1024 bits, and clients take 2048 to 8192; make an",
        ),
        (
            pem(dsa.generate_private_key(1024)),
            "is a key of the kind DSA, which the registry and Docker do not know; make an RSA",
        ),
        (
            pem(ed25519.Ed25519PrivateKey.generate()),
            "is an Ed25519 key, which registries and Docker Engines of before 2020",
        ),
        (pem(ed448.Ed448PrivateKey.generate()), "is a key of the kind Ed448, which the registry"),
        (pem(x25519.X25519PrivateKey.generate()), "is a key of the kind X25519"),
        (pem(x448.X448PrivateKey.generate()), "is a key of the kind X448"),
        (rsa_pss(), "is an RSA-PSS key, which the registry does not know; make an RSA key of 2048 bits"),
    ],
)
def test_a_key_that_somebody_refuses_says_what_to_make(text: str, sentence: str) -> None:
    assert str(keys.key_problem(text)).startswith(sentence)
