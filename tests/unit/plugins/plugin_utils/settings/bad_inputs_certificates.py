# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bad inputs: certificates, keys and CAs, as text and as files."""

from __future__ import annotations

import typing as t

from ansible_collections.dtr.cache.tests.unit.plugins.plugin_utils.settings.bad_inputs_kinds import SECRET
from ansible_collections.dtr.cache.tests.unit.support.settings import CA, CACHE
from ansible_collections.dtr.cache.tests.unit.support.web import Identity, make_identity
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509.oid import ExtendedKeyUsageOID

HOST = "cache.example.org"
_CLIENTS, _ALL = (
    x509.ExtendedKeyUsage([getattr(ExtendedKeyUsageOID, name)]) for name in ("CLIENT_AUTH", "ANY_EXTENDED_KEY_USAGE")
)


def _leaf(issuer: Identity | None = CA, **options: t.Any) -> Identity:
    return make_identity("cache", issuer, **{"addresses": [HOST], **options})


def _ca(name: str, issuer: Identity | None = None, **options: t.Any) -> Identity:
    return make_identity(name, issuer, ca=True, **options)


def _usage(**allowed: bool) -> x509.KeyUsage:
    names = (
        "digital_signature content_commitment key_encipherment data_encipherment key_agreement key_cert_sign crl_sign"
    )
    none = dict.fromkeys((*names.split(), "encipher_only", "decipher_only"), False)
    return x509.KeyUsage(**{**none, **allowed})


def _pem(key: t.Any) -> str:
    form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return str(key.private_bytes(*form).decode())


def _sha1(identity: Identity) -> str:
    return identity.malformed_pem(bytes.fromhex("2a864886f70d01010b"), bytes.fromhex("2a864886f70d010105"))


RSA = rsa.generate_private_key(65537, 2048)
OTHER = _ca("other")
NO_CA = make_identity("no-ca", CA)
INTERMEDIATE = _ca("intermediate", CA)
BELOW = _leaf(INTERMEDIATE)
SHORT = _ca("short", CA, path_length=0)
TOO_DEEP = _ca("too-deep", SHORT)
DEEP = _leaf(TOO_DEEP)
OF_CLIENTS = _ca("of-clients", CA, more=[_CLIENTS])
CRL_SIGNER = _ca("crl-signer", CA, more=[_usage(crl_sign=True)])
WEAK = _ca("weak", CA, key=rsa.generate_private_key(65537, 1024))
TIRED = _ca("tired", CA, days=(-20, -10))
ENDING = _ca("ending", CA, days=(-20, 5))
RSA_CA = _ca("rsa-ca", key=RSA)
OF_RSA = _leaf(RSA_CA, key=RSA)
LIKE_AN_ADDRESS = x509.SubjectAlternativeName([x509.DNSName("192.0.2.7")]).public_bytes()
OLD_CA = _ca("old", days=(-20, -10))
LATE_CA = _ca("late", days=(10, 20))
NAMESAKE = _ca("ca")
ELSEWHERE = _ca("elsewhere", CA, more=[x509.NameConstraints([x509.DNSName("example.com")], None)])
SELF = _leaf(None)
DER = CACHE.certificate.public_bytes(serialization.Encoding.DER)
KEY_DER = CACHE.key.private_bytes(
    serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
)

FILES: dict[str, bytes] = {
    "empty.pem": b"",
    "blank.pem": b" \n\n",
    "words.pem": f"{SECRET}\n".encode(),
    "cert.der": DER,
    "key.der": KEY_DER,
    "all.p12": pkcs12.serialize_key_and_certificates(
        b"cache", CACHE.key, CACHE.certificate, None, serialization.NoEncryption()
    ),
    "page.html": b"<!DOCTYPE html><html>not found</html>",
    "cert.pem": CACHE.pem.encode(),
    "key.pem": CACHE.key_pem.encode(),
    "ca.pem": CA.pem.encode(),
    "half.pem": CACHE.pem[:300].encode(),
    "half-key.pem": CACHE.key_pem[:100].encode(),
    "request.pem": b"-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n",
    "public.pem": b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
    "vault.pem": b"$ANSIBLE_VAULT;1.1;AES256\n6162636465\n",
    "random.bin": bytes(range(256)) * 4,
}
# Files that are no PEM text of a certificate, of a key or of a CA.
_NO_PEM = [
    *("empty.pem", "blank.pem", "words.pem", "all.p12", "page.html", "vault.pem", "random.bin", "none.pem", "folder"),
    *("folder/", "pipe", "../none.pem", "none/../../etc/none"),
]
_NO_CERTIFICATE = [
    *(f"{{files}}/{name}" for name in (*_NO_PEM, "cert.der", "half.pem", "request.pem", "public.pem")),
    "{files}/key.pem",
    CACHE.key_pem,
    CACHE.pem[:-30],
    CACHE.pem.replace("M", "*", 5),
    CACHE.pem.replace("-----BEGIN", "----BEGIN"),
    f"-----BEGIN CERTIFICATE-----\n{SECRET}\n-----END CERTIFICATE-----\n",
    "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n",
    "-----BEGIN PKCS7-----\nAAAA\n-----END PKCS7-----\n",
    f"https://u:{SECRET}@store/cert.pem",
    "$HOME/cert.pem",
    "-----BEGIN",
    "MIIB" * 60,
]
_NO_CA = [CACHE.pem, NO_CA.pem, OLD_CA.pem, LATE_CA.pem, CACHE.pem + NO_CA.pem]

_EACH_ALONE = [[each] for each in (*_NO_CERTIFICATE, *_NO_CA)]

TABLE: dict[str, list[t.Any]] = {
    "certificate": [None, "", *_NO_CERTIFICATE, CA.pem + CACHE.pem, OTHER.pem],
    "private_key": [
        None,
        " ",
        *(f"{{files}}/{name}" for name in (*_NO_PEM, "key.der", "cert.pem", "half-key.pem")),
        *("{files}/public.pem", "{files}/request.pem", CACHE.pem, CACHE.key_pem[:100], CACHE.key_pem * 2),
        CACHE.encrypted_key_pem(SECRET),
        CACHE.key_pem.replace("-----BEGIN", "----BEGIN"),
        CACHE.key_pem.replace("PRIVATE", "SECRET"),
        "".join(CACHE.key_pem.splitlines()[1:-1]),
        f"-----BEGIN PRIVATE KEY-----\n{SECRET}\n-----END PRIVATE KEY-----\n",
        f"-----BEGIN OPENSSH PRIVATE KEY-----\n{SECRET}\n-----END OPENSSH PRIVATE KEY-----\n",
        f"https://u:{SECRET}@store/key.pem",
        f"/keys/{SECRET}",
        "$HOME/key.pem",
        _pem(rsa.generate_private_key(65537, 1024)),
        _pem(dsa.generate_private_key(1024)),
        _pem(ed25519.Ed25519PrivateKey.generate()),
        _pem(ed25519.Ed25519PrivateKey.generate()).replace("PRIVATE", "EC PRIVATE"),
        _pem(ed448.Ed448PrivateKey.generate()),
        _pem(ec.generate_private_key(ec.SECP224R1())),
        _pem(ec.generate_private_key(ec.BrainpoolP384R1())),
    ],
    "ca_certificate": [
        *_NO_CERTIFICATE,
        *(each for each in _NO_CA if each is not CACHE.pem and CACHE.pem not in each),
        OTHER.pem,
        NAMESAKE.pem,
        OTHER.pem + NAMESAKE.pem,
    ],
    "registry_ca": ["fetched", "System", *_NO_CERTIFICATE, *_NO_CA],
    "upstream_cas": [*_EACH_ALONE, [{"pem": CA.pem}], [True], [CA.pem, OLD_CA.pem]],
    # The CA of a later time may be trusted beforehand.
    "client_cas": [*(each for each in _EACH_ALONE if each != [LATE_CA.pem]), {"asia": CA.pem}],
}


def _together(leaf: Identity, *chain: Identity, ca: Identity | None = CA, **more: t.Any) -> dict[str, t.Any]:
    certificate = "".join(each.pem for each in (leaf, *chain))
    authority = {"ca_certificate": ca.pem if ca else None}
    return {"certificate": certificate, "private_key": leaf.key_pem, **authority, **more}


# The variable that is wrong, and the whole set.
TOGETHER: list[tuple[str, dict[str, t.Any]]] = [
    *(
        ("certificate", _together(leaf))
        for leaf in (
            _leaf(more=[_CLIENTS]),
            _leaf(more=[_ALL]),
            _leaf(more=[_usage(key_cert_sign=True)]),
            _leaf(key=RSA, more=[_usage(crl_sign=True)]),
            _leaf(addresses=["other.example.org"]),
            _leaf(addresses=["*.cache.example.org"]),
            _leaf(addresses=["example.org", "*.org"]),
            _leaf(names=b"\x30\x00"),
            _leaf(names=b"\x04\x00"),
            _leaf(days=(-20, -1)),
            _leaf(days=(1, 60)),
            _leaf(days=(-20, 13)),
        )
    ),
    ("ca_certificate", _together(_leaf(days=(-20, 200)), min_days=90)),
    ("certificate", _together(_leaf(ENDING), ENDING)),
    ("certificate", _together(_leaf(NO_CA), NO_CA)),
    ("certificate", _together(_leaf(CRL_SIGNER), CRL_SIGNER)),
    ("certificate", _together(_leaf(OF_CLIENTS), OF_CLIENTS)),
    ("certificate", _together(_leaf(WEAK), WEAK)),
    ("certificate", _together(_leaf(TIRED), TIRED)),
    ("certificate", _together(_leaf(ELSEWHERE), ELSEWHERE)),
    ("certificate", _together(DEEP, TOO_DEEP, SHORT)),
    ("certificate", _together(DEEP, SHORT, TOO_DEEP)),
    ("certificate", {**_together(BELOW, INTERMEDIATE), "certificate": INTERMEDIATE.pem + BELOW.pem}),
    ("certificate", {"private_key": OTHER.key_pem}),
    (
        "certificate",
        {"certificate": _sha1(_leaf(RSA_CA, key=RSA)), "private_key": _pem(RSA), "ca_certificate": RSA_CA.pem},
    ),
    ("certificate", {"host": "other.example.org"}),
    ("certificate", {"host": "192.0.2.7"}),
    ("certificate", {"host": "2001:db8::1"}),
    ("certificate", _together(_leaf(names=LIKE_AN_ADDRESS), host="192.0.2.7")),
    ("certificate", _together(_leaf(addresses=["*.lan"]), host="cache.lan")),
    ("ca_certificate", {"ca_certificate": None}),
    ("ca_certificate", _together(BELOW)),
    ("ca_certificate", _together(BELOW, ca=None)),
    ("ca_certificate", _together(BELOW, INTERMEDIATE, ca=None)),
    ("ca_certificate", _together(BELOW, INTERMEDIATE, CA, ca=None)),
    ("ca_certificate", _together(BELOW, INTERMEDIATE, CA, ca=OTHER)),
    ("ca_certificate", _together(SELF, ca=None)),
    ("ca_certificate", _together(SELF)),
    ("ca_certificate", _together(_leaf(OLD_CA), ca=OLD_CA)),
    ("ca_certificate", _together(_leaf(LATE_CA), ca=LATE_CA)),
    ("ca_certificate", _together(_leaf(NO_CA), ca=NO_CA)),
    ("ca_certificate", _together(_leaf(WEAK), ca=WEAK)),
    ("ca_certificate", _together(_leaf(CRL_SIGNER), ca=CRL_SIGNER)),
]
