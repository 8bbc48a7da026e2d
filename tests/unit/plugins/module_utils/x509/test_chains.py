# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates, chains and keys that a cache must not be deployed with."""

from __future__ import annotations

import datetime
import ssl
import typing as t

import pytest
from ansible_collections.dtr.cache.plugins.module_utils.common.failure import Failure
from ansible_collections.dtr.cache.plugins.module_utils.x509 import chains, paths, usage
from ansible_collections.dtr.cache.plugins.module_utils.x509.certificates import load_certificates
from ansible_collections.dtr.cache.tests.unit.support import web
from ansible_collections.dtr.cache.tests.unit.support.web import Identity, make_identity
from cryptography import x509
from cryptography.hazmat.primitives import serialization

HOST = "cache.example.org"
NOW = datetime.datetime.now(datetime.timezone.utc)

ROOT = make_identity("root", ca=True)
INTERMEDIATE = make_identity("intermediate", ROOT, ca=True)
LEAF = make_identity("cache", INTERMEDIATE, addresses=[HOST])


def problems(*chain: Identity, host: str = HOST, key: Identity | None = LEAF) -> list[str]:
    certificates = [identity.certificate for identity in chain]
    return list(chains.chain_problems(certificates, host, key.key_pem if key else None, NOW))


def test_a_sound_chain_has_no_problem() -> None:
    assert problems(LEAF, INTERMEDIATE) == []
    assert problems(LEAF, INTERMEDIATE, ROOT) == []


def test_a_key_of_another_certificate_is_found() -> None:
    assert problems(LEAF, INTERMEDIATE, key=make_identity("other")) == [
        "the private key belongs to another certificate; give the two that were made together"
    ]


def test_a_chain_that_begins_with_the_intermediate_is_out_of_order_and_names_the_place() -> None:
    (problem,) = problems(INTERMEDIATE, LEAF)
    assert "out of order" in problem
    assert "stands at place 2" in problem


def test_a_chain_whose_issuers_are_swapped_is_out_of_order() -> None:
    assert problems(LEAF, ROOT, INTERMEDIATE) == [
        "is out of order: each certificate must be followed by the one that issued it"
    ]


def test_expired_and_not_yet_valid_are_told_apart() -> None:
    expired = make_identity("old", addresses=[HOST], days=(-20, -10))
    future = make_identity("new", addresses=[HOST], days=(10, 20))
    assert "CN=old has expired on" in problems(expired, key=expired)[0]
    assert "CN=new is not valid before" in problems(future, key=future)[0]


def test_an_expired_intermediate_is_found() -> None:
    intermediate = make_identity("tired", ROOT, ca=True, days=(-20, -10))
    certificate = make_identity("cache", intermediate, addresses=[HOST])
    assert "CN=tired has expired on" in problems(certificate, intermediate, key=certificate)[0]


@pytest.mark.parametrize(
    ("names", "host", "covered"),
    [
        (["cache.example.org"], "cache.example.org", True),
        (["Cache.Example.org"], "cache.EXAMPLE.org", True),
        (["*.example.org"], "cache.example.org", True),
        (["*.example.org"], "a.cache.example.org", False),
        (["*.example.org"], "example.org", False),
        (["*.lan"], "cache.lan", False),
        (["cache.example.com"], "cache.example.org", False),
        (["192.0.2.7"], "192.0.2.7", True),
        (["192.0.2.7"], "192.0.2.8", False),
        (["2001:db8:0::1"], "2001:db8::1", True),
        ([], "cache.example.org", False),
    ],
)
def test_host_names_are_compared_as_tls_does(names: list[str], host: str, covered: bool) -> None:
    assert chains.covers(make_identity("x", addresses=names).certificate, host) is covered


NAMED_LIKE_AN_ADDRESS = x509.SubjectAlternativeName([x509.DNSName("192.0.2.7")]).public_bytes()


@pytest.mark.parametrize(
    ("names", "host", "sentence"),
    [
        (
            ["*.lan"],
            "cache.lan",
            "does not cover cache.lan, as OpenSSL takes no wildcard for a whole domain; it names *.lan",
        ),
        (
            NAMED_LIKE_AN_ADDRESS,
            "192.0.2.7",
            "does not cover 192.0.2.7, which stands there as a DNS name; an address must",
        ),
    ],
)
def test_a_name_that_looks_right_says_why_it_is_not(names: t.Any, host: str, sentence: str) -> None:
    given = {"names": names} if isinstance(names, bytes) else {"addresses": names}
    identity = make_identity("x", **given)
    assert sentence in problems(identity, host=host, key=identity)[0]


def test_a_certificate_for_another_host_says_which_names_it_has() -> None:
    assert problems(LEAF, INTERMEDIATE, host="other.example.org") == [
        "does not cover other.example.org; it names cache.example.org"
    ]


def test_days_left_are_whole_days() -> None:
    certificate = make_identity("short", addresses=[HOST], days=(-1, 3)).certificate
    end = certificate.not_valid_after_utc
    assert chains.days_left(certificate, end - datetime.timedelta(days=2, hours=1)) == 2
    assert chains.days_left(certificate, end + datetime.timedelta(hours=1)) == -1


def test_what_was_found_before_something_unreadable_is_told_all_the_same() -> None:
    odd = make_identity("odd", addresses=[HOST], days=(-20, -10), names=b"\x04\x00")
    found = chains.chain_problems([odd.certificate], HOST, odd.key_pem, NOW)
    assert "CN=odd has expired on" in next(found)
    with pytest.raises(Failure, match="CN=odd has extensions that cannot be read: "):
        next(found)


@pytest.mark.parametrize(
    ("right", "wrong", "message"),
    [
        (web.KEY_TYPE, web.UNKNOWN_KEY_TYPE, "CN=upper has a public key that cannot be read: Unknown key type"),
        (web.CURVE, web.UNKNOWN_CURVE, "CN=upper has a public key that cannot be read: Curve"),
    ],
)
def test_an_issuer_whose_key_cannot_be_read_is_named(right: bytes, wrong: bytes, message: str) -> None:
    upper = make_identity("upper", ROOT, ca=True)
    certificate = make_identity("cache", upper, addresses=[HOST])
    (odd,) = load_certificates(upper.malformed_pem(right, wrong))
    with pytest.raises(Failure, match=message):
        list(chains.chain_problems([certificate.certificate, odd], HOST, certificate.key_pem, NOW))


def test_a_signature_of_an_unknown_kind_is_not_called_a_wrong_order() -> None:
    (odd,) = load_certificates(LEAF.malformed_pem(web.ECDSA_WITH_SHA256, web.UNKNOWN_SIGNATURE))
    with pytest.raises(Failure, match="CN=cache has a signature that cannot be checked"):
        list(chains.chain_problems([odd, INTERMEDIATE.certificate], HOST, LEAF.key_pem, NOW))


@pytest.mark.filterwarnings("ignore:Parsed a")
def test_no_wrong_byte_in_a_certificate_gives_anything_but_a_failure() -> None:
    der = LEAF.certificate.public_bytes(serialization.Encoding.DER)
    told = 0
    for place in range(len(der)):
        for wrong in (der[place] ^ 1, der[place] ^ 0x80, 0):
            pem = ssl.DER_cert_to_PEM_cert(der[:place] + bytes([wrong]) + der[place + 1 :])
            try:
                (odd,) = load_certificates(pem)
                list(chains.chain_problems([odd, INTERMEDIATE.certificate], HOST, LEAF.key_pem, NOW))
                list(paths.signature_faults(paths.find_path([odd], [INTERMEDIATE.certificate], NOW)))
                list(usage.server_problems(odd))
            except Failure as failure:
                assert failure.code == "INVALID_CERTIFICATE"
                told += 1
    assert told > len(der)
