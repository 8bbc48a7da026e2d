# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a certificate to a trusted CA: OpenSSL accepts what is accepted here, and OpenSSL or Go refuses the rest."""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import ssl
import typing as t
from pathlib import Path

import pytest
from ansible_collections.dtr.cache.plugins.module_utils.x509 import paths, usage
from ansible_collections.dtr.cache.tests.unit.support.web import Identity, make_identity
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, ObjectIdentifier

HOST = "cache.example.org"
NOW = datetime.datetime.now(datetime.timezone.utc)
SERVER, CLIENT, ANY = (
    x509.ExtendedKeyUsage([getattr(ExtendedKeyUsageOID, name)])
    for name in ("SERVER_AUTH", "CLIENT_AUTH", "ANY_EXTENDED_KEY_USAGE")
)
RSA_KEY = rsa.generate_private_key(65537, 2048)
PSS = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.DIGEST_LENGTH)
PSS_OF_ALL = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.MAX_LENGTH)


def key_usage(*names: str) -> x509.KeyUsage:
    every = (
        "digital_signature content_commitment key_encipherment data_encipherment key_agreement key_cert_sign crl_sign"
    )
    return x509.KeyUsage(**{name: name in names for name in every.split()}, encipher_only=False, decipher_only=False)


def ca(name: str, issuer: Identity | None = None, **options: t.Any) -> Identity:
    return make_identity(name, issuer, **{"ca": True, **options})


def leaf(issuer: Identity | None = None, **options: t.Any) -> Identity:
    return make_identity("cache", issuer, addresses=[HOST], **options)


ROOT, OTHER_ROOT = ca("root"), ca("other root")
INTERMEDIATE = ca("intermediate", ROOT)
CROSSED = ca("intermediate", OTHER_ROOT, key=INTERMEDIATE.key)
CROSSED_ROOT = ca("root", OTHER_ROOT, key=ROOT.key, days=(-20, -10))
LEAF = leaf(INTERMEDIATE)
SELF = leaf()
RSA_ROOT = ca("rsa root", key=RSA_KEY)


def path_of(chain: t.Sequence[Identity]) -> list[x509.Certificate]:
    return [each.certificate for each in chain]


def faults(chain: t.Sequence[Identity], trusted: t.Sequence[Identity]) -> list[str]:
    """All that is wrong on the path that is found."""
    path = paths.find_path(path_of(chain), path_of(trusted), NOW)
    found = [*usage.server_problems(path.certificates[0]), *(fault for _whose, fault in paths.signature_faults(path))]
    for below, issuer in enumerate(path.certificates[1:]):
        found += paths.usage_faults(issuer, below, path.certificates[0])
        found += [str(paths.authority_fault(issuer, NOW))] if issuer.not_valid_after_utc < NOW else []
    found += [f"{issuer.issuer} is not found" for issuer in paths.shadowed(path, path_of(chain), NOW)]
    return found if path.closed else [*found, "it leads to no trusted CA"]


def openssl_accepts(chain: t.Sequence[Identity], trusted: t.Sequence[Identity], folder: Path) -> bool:
    """Whether a client of OpenSSL does, in a handshake in memory."""
    (folder / "chain.pem").write_text("".join(each.pem for each in chain))
    (folder / "key.pem").write_text(chain[0].key_pem)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    client.load_verify_locations(cadata="".join(each.pem for each in trusted))
    one, two = ssl.MemoryBIO(), ssl.MemoryBIO()
    try:
        server.load_cert_chain(folder / "chain.pem", folder / "key.pem")
        ends = [client.wrap_bio(one, two, server_hostname=HOST), server.wrap_bio(two, one, server_side=True)]
        for _round in range(3):
            for end in ends:
                with contextlib.suppress(ssl.SSLWantReadError):
                    end.do_handshake()
    except ssl.SSLError:
        return False
    return ends[0].version() is not None


SIGNER_OF_SERVERS = ca("s", ROOT, more=[key_usage("key_cert_sign"), SERVER])
LAST_SIGNER = ca("s", ROOT, path_length=0)
ROOT_OF_NAMES = ca("s", more=[x509.NameConstraints([x509.DNSName("example.org")], None)])
ED25519_ROOT = ca("s", key=ed25519.Ed25519PrivateKey.generate(), algorithm=None)
SHA384_ROOT = ca("s", algorithm=hashes.SHA384)


@pytest.mark.parametrize(
    ("chain", "trusted"),
    [
        ([LEAF, INTERMEDIATE], [ROOT]),
        ([LEAF, INTERMEDIATE, ROOT], [ROOT]),
        ([LEAF, INTERMEDIATE], [OTHER_ROOT, ROOT]),
        # Any certificate that is trusted ends the path.
        ([LEAF], [INTERMEDIATE]),
        ([LEAF, INTERMEDIATE], [INTERMEDIATE]),
        ([SELF], [SELF]),
        ([LEAF], [LEAF]),
        # Cross-signed: of two ways one is enough, and what is not needed may be anything.
        ([LEAF, INTERMEDIATE, CROSSED], [ROOT]),
        ([LEAF, CROSSED, INTERMEDIATE], [OTHER_ROOT]),
        ([LEAF, ca("intermediate", OTHER_ROOT, key=INTERMEDIATE.key, days=(-9, -1)), INTERMEDIATE], [ROOT]),
        ([LEAF, INTERMEDIATE, CROSSED_ROOT], [ROOT]),
        ([LEAF, INTERMEDIATE, SELF], [ROOT]),
        ([LEAF, INTERMEDIATE], [ROOT, CROSSED_ROOT]),
        # Uses that are allowed.
        ([leaf(ROOT, more=[SERVER])], [ROOT]),
        ([leaf(ROOT, more=[x509.ExtendedKeyUsage([*SERVER, *CLIENT])])], [ROOT]),
        ([leaf(ROOT, more=[key_usage("digital_signature")])], [ROOT]),
        ([leaf(ROOT, key=RSA_KEY, more=[key_usage("key_encipherment")])], [ROOT]),
        ([leaf(SIGNER_OF_SERVERS), SIGNER_OF_SERVERS], [ROOT]),
        ([leaf(LAST_SIGNER), LAST_SIGNER], [ROOT]),
        ([leaf(ROOT_OF_NAMES)], [ROOT_OF_NAMES]),
        # Kinds of keys and signatures.
        ([leaf(RSA_ROOT, algorithm=hashes.SHA512)], [RSA_ROOT]),
        ([leaf(RSA_ROOT, padding=PSS)], [RSA_ROOT]),
        ([leaf(ED25519_ROOT, algorithm=None)], [ED25519_ROOT]),
        ([leaf(SHA384_ROOT)], [SHA384_ROOT]),
    ],
)
def test_what_clients_accept_is_accepted(chain: list[Identity], trusted: list[Identity], tmp_path: Path) -> None:
    assert openssl_accepts(chain, trusted, tmp_path)
    assert faults(chain, trusted) == []


NO_CA = make_identity("no ca", ROOT)
SHORT = ca("short", ROOT, path_length=0)
OLD = ca("old", days=(-20, -10))
LATE = ca("late", days=(10, 20))
ELSEWHERE = ca("s", more=[x509.NameConstraints([x509.DNSName("example.com")], None)])
NOT_HERE = ca("s", more=[x509.NameConstraints(None, [x509.DNSName("cache.example.org")])])
NETWORK = ca("s", more=[x509.NameConstraints([x509.IPAddress(ipaddress.ip_network("10.0.0.0/8"))], None)])
NO_SIGNER = ca("s", ROOT, more=[key_usage("crl_sign")])
OF_CLIENTS = ca("s", ROOT, more=[CLIENT])
OF_ALL = ca("s", ROOT, more=[ANY])
WEAK = ca("weak", key=rsa.generate_private_key(65537, 1024))
CURVED = ca("curved", key=ec.generate_private_key(ec.BrainpoolP256R1()))
BELOW_SHORT = ca("below", SHORT)


@pytest.mark.parametrize(
    ("chain", "trusted", "sentence"),
    [
        ([leaf(ROOT, more=[CLIENT])], [ROOT], "has the extended key usage clientAuth and not serverAuth"),
        ([leaf(ROOT, more=[ANY])], [ROOT], "has the extended key usage anyExtendedKeyUsage and not serverAuth"),
        ([leaf(ROOT, more=[key_usage("crl_sign")])], [ROOT], "must not be used for TLS (key usage)"),
        ([leaf(ROOT, key=RSA_KEY, more=[key_usage("crl_sign")])], [ROOT], "must not be used for TLS (key usage)"),
        ([leaf(NO_CA), NO_CA], [ROOT], "is not the certificate of a CA, so it must not sign others"),
        ([leaf(NO_CA)], [NO_CA], "is not the certificate of a CA"),
        ([leaf(NO_SIGNER), NO_SIGNER], [ROOT], "must not sign certificates (its key usage has no keyCertSign)"),
        ([leaf(OF_CLIENTS), OF_CLIENTS], [ROOT], "has the extended key usage clientAuth and not serverAuth, so it"),
        ([leaf(OF_ALL), OF_ALL], [ROOT], "has the extended key usage anyExtendedKeyUsage and not serverAuth, so"),
        ([leaf(BELOW_SHORT), BELOW_SHORT, SHORT], [ROOT], "allows 0 intermediate(s) below it (path length), and there"),
        ([leaf(ELSEWHERE)], [ELSEWHERE], "must not sign certificates for cache.example.org (name constraints)"),
        ([leaf(NOT_HERE)], [NOT_HERE], "must not sign certificates for cache.example.org (name constraints)"),
        ([leaf(WEAK)], [WEAK], "has an RSA key of 1024 bits, and clients take 2048 to 8192"),
        ([leaf(OLD)], [OLD], "expired at "),
        ([LEAF, INTERMEDIATE], [OTHER_ROOT], "it leads to no trusted CA"),
        ([LEAF], [ROOT], "it leads to no trusted CA"),
        ([LEAF, CROSSED], [ROOT], "it leads to no trusted CA"),
        ([LEAF, INTERMEDIATE], [ca("root")], "it leads to no trusted CA"),
        ([SELF], [ROOT], "it leads to no trusted CA"),
        # OpenSSL does not try the second one of a name.
        ([LEAF, CROSSED, INTERMEDIATE], [ROOT], "<Name(CN=root)> is not found"),
        ([LEAF, INTERMEDIATE, CROSSED], [OTHER_ROOT], "<Name(CN=other root)> is not found"),
    ],
)
def test_what_openssl_refuses_is_refused(
    chain: list[Identity], trusted: list[Identity], sentence: str, tmp_path: Path
) -> None:
    assert not openssl_accepts(chain, trusted, tmp_path)
    (fault,) = faults(chain, trusted)
    assert sentence in fault


@pytest.mark.parametrize(
    ("chain", "trusted", "sentence"),
    [
        (
            [leaf(RSA_ROOT, algorithm=hashes.SHA224)],
            [RSA_ROOT],
            "is signed with sha224WithRSAEncryption, which clients",
        ),
        ([leaf(ROOT, algorithm=hashes.SHA3_256)], [ROOT], "is signed with "),
        ([leaf(RSA_ROOT, padding=PSS_OF_ALL)], [RSA_ROOT], "has an RSA-PSS signature in a form that Docker refuses"),
        ([leaf(CURVED)], [CURVED], "has a key on the curve brainpoolP256r1, unknown to Docker"),
    ],
)
def test_what_only_go_refuses_is_refused_as_well(chain: list[Identity], trusted: list[Identity], sentence: str) -> None:
    """As seen with Go 1.24; OpenSSL accepts these."""
    (fault,) = faults(chain, trusted)
    assert fault.startswith(sentence)


def with_sha1(identity: Identity) -> Identity:
    """Made by its number alone: the library signs with SHA-1 no more."""
    pem = identity.malformed_pem(bytes.fromhex("2a864886f70d01010b"), bytes.fromhex("2a864886f70d010105"))
    return Identity(x509.load_pem_x509_certificate(pem.encode()), identity.key)


def test_a_weak_signature_is_refused_on_all_but_what_is_trusted() -> None:
    weak = with_sha1(RSA_ROOT)
    assert faults([leaf(weak)], [weak]) == []
    assert faults([leaf(weak), weak], [weak]) == []
    assert faults([with_sha1(leaf(RSA_ROOT))], [RSA_ROOT]) == [
        "is signed with sha1WithRSAEncryption, which clients refuse; have it issued anew with SHA-256",
        "it leads to no trusted CA",
    ]


def test_an_extension_that_nobody_knows_and_must_is_named() -> None:
    builder = x509.CertificateBuilder(
        subject_name=LEAF.certificate.subject,
        issuer_name=ROOT.certificate.subject,
        public_key=LEAF.key.public_key(),
        serial_number=1,
        not_valid_before=LEAF.certificate.not_valid_before_utc,
        not_valid_after=LEAF.certificate.not_valid_after_utc,
    ).add_extension(x509.UnrecognizedExtension(ObjectIdentifier("1.2.3.4"), b"\x05\x00"), critical=True)
    odd = Identity(builder.sign(ROOT.key, hashes.SHA256()), LEAF.key)
    assert faults([odd], [ROOT]) == ["has an extension that clients have to understand and do not, 1.2.3.4"]


def test_addresses_are_constrained_as_networks() -> None:
    inside, outside = (make_identity("cache", NETWORK, addresses=[address]) for address in ("10.1.2.3", "192.0.2.7"))
    assert faults([inside], [NETWORK]) == []
    assert faults([outside], [NETWORK]) == ["must not sign certificates for 192.0.2.7 (name constraints)"]


def test_a_long_bundle_is_searched_once() -> None:
    many = [ca(f"ca {number % 3}", ca(f"ca {(number + 1) % 3}")) for number in range(40)]
    assert faults([LEAF, *many, INTERMEDIATE], [ROOT]) == []


@pytest.mark.parametrize(
    ("identity", "fault"),
    [
        (ROOT, None),
        (SELF, None),
        (LEAF, "CN=cache is not the certificate of a CA"),
        (OLD, "The CA CN=old expired at"),
        (LATE, "The CA CN=late is valid only from"),
        (leaf(days=(-20, -10)), "has expired on"),
    ],
)
def test_who_may_be_trusted(identity: Identity, fault: str | None) -> None:
    found = paths.authority_fault(identity.certificate, NOW)
    assert found is None if fault is None else str(found).startswith(fault)
