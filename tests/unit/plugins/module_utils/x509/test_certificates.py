# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading, describing and pinning certificates."""

from __future__ import annotations

import datetime
import hashlib
import ssl

import pytest
from ansible_collections.dtr.cache.plugins.module_utils.common.failure import Failure
from ansible_collections.dtr.cache.plugins.module_utils.x509.certificates import (
    check_authorities,
    check_pin,
    days_left,
    describe,
    fingerprint,
    is_ca,
    load_certificates,
    normalise_fingerprint,
    to_pem,
)
from ansible_collections.dtr.cache.tests.unit.support import web
from ansible_collections.dtr.cache.tests.unit.support.web import make_identity
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from hypothesis import given
from hypothesis import strategies as st

NOW = datetime.datetime.now(datetime.timezone.utc)
ROOT = make_identity("Root", ca=True)
INTERMEDIATE = make_identity("Intermediate", ROOT, ca=True)
LEAF = make_identity("dtr.example.org", INTERMEDIATE)
STRANGER = make_identity("Root", ca=True)


def test_a_bundle_in_order_with_text_around() -> None:
    text = f"subject=/CN=Root\r\n{ROOT.pem}\r\nsome words\n{LEAF.pem}\n"
    assert load_certificates(text) == [ROOT.certificate, LEAF.certificate]
    assert load_certificates(text.encode()) == [ROOT.certificate, LEAF.certificate]
    assert load_certificates(to_pem([ROOT.certificate])) == [ROOT.certificate]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        (" \n", "is empty"),
        ("nonsense", "has no BEGIN CERTIFICATE line"),
        ("\x00\xff", "has no BEGIN CERTIFICATE line"),
        ("<!DOCTYPE html><html>", "An HTML page"),
        ("<html>", "An HTML page"),
        (ROOT.pem[:-30], "END line is missing"),
        (ROOT.pem + LEAF.pem[:200], "cut off or damaged after block 1"),
        (ROOT.key_pem, "holds a PRIVATE KEY and no CERTIFICATE"),
        (
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----",
            "Certificate 1 of the PEM text cannot be read",
        ),
        (
            ROOT.pem + LEAF.malformed_pem(web.VERSION, web.UNKNOWN_VERSION),
            "Certificate 2 of the PEM text cannot be read: 9 is not a valid X509 version",
        ),
        (
            # A common name that is a number.
            ROOT.malformed_pem(b"\x55\x04\x03\x0c", b"\x55\x04\x03\x02"),
            "Certificate 1 of the PEM text cannot be read: ",
        ),
    ],
)
def test_what_is_no_certificate(text: str, message: str) -> None:
    with pytest.raises(Failure, match=message) as raised:
        load_certificates(text)
    assert raised.value.code == "INVALID_CERTIFICATE"
    assert ROOT.key_pem.splitlines()[1] not in str(raised.value.as_result())


def test_description() -> None:
    described = describe(LEAF.certificate)
    assert described["subject"] == "CN=dtr.example.org"
    assert described["issuer"] == "CN=Intermediate"
    assert described["fingerprint"] == hashlib.sha256(ssl.PEM_cert_to_DER_cert(LEAF.pem)).hexdigest()
    begin = datetime.datetime.fromisoformat(described["not_before"].replace("Z", "+00:00"))
    end = datetime.datetime.fromisoformat(described["not_after"].replace("Z", "+00:00"))
    assert begin < NOW < end


@given(
    st.binary(min_size=32, max_size=32), st.sampled_from(["", "SHA256:", "sha256=", "SHA256 Fingerprint=", "SHA-256 "])
)
def test_any_notation_of_a_fingerprint(digest: bytes, prefix: str) -> None:
    for text in (digest.hex(), digest.hex(":"), digest.hex(" ").upper(), digest.hex("-")):
        assert normalise_fingerprint(f" {prefix}{text}\n") == digest.hex()


@pytest.mark.parametrize("text", ["", "SHA256:", "ab" * 31, "ab" * 33, "zz" * 32, "ab" * 20, "ab" * 16])
def test_what_is_no_fingerprint(text: str) -> None:
    with pytest.raises(Failure) as raised:
        normalise_fingerprint(text)
    assert raised.value.code == "INVALID_FINGERPRINT"


def test_other_digests_are_named() -> None:
    with pytest.raises(Failure, match="SHA-1"):
        normalise_fingerprint("ab" * 20)


def test_who_may_sign() -> None:
    assert is_ca(ROOT.certificate)
    assert is_ca(INTERMEDIATE.certificate)
    assert not is_ca(LEAF.certificate)


def test_authorities_have_to_be_ones_and_in_date() -> None:
    check_authorities([ROOT.certificate, INTERMEDIATE.certificate], NOW)
    for identity, code in (
        (LEAF, "NOT_A_CA"),
        (make_identity("Old", ca=True, days=(-9, -1)), "CA_EXPIRED"),
        (make_identity("Early", ca=True, days=(1, 9)), "CA_NOT_YET_VALID"),
    ):
        with pytest.raises(Failure) as raised:
            check_authorities([ROOT.certificate, identity.certificate], NOW)
        assert raised.value.code == code


def test_a_pin_covers_what_the_pinned_ca_signed() -> None:
    bundle = [LEAF.certificate, INTERMEDIATE.certificate, ROOT.certificate]
    check_pin(bundle, fingerprint(ROOT.certificate))
    check_pin([ROOT.certificate], fingerprint(ROOT.certificate))


def test_a_pin_refuses_everything_else() -> None:
    pin = fingerprint(ROOT.certificate)
    with pytest.raises(Failure, match=f"found: {fingerprint(STRANGER.certificate)}"):
        check_pin([STRANGER.certificate], pin)
    with pytest.raises(Failure, match="has not signed"):
        check_pin([ROOT.certificate, STRANGER.certificate], pin)
    with pytest.raises(Failure, match="holds CN=Root, which"):
        check_pin([INTERMEDIATE.certificate, ROOT.certificate], fingerprint(INTERMEDIATE.certificate))


@pytest.mark.parametrize(
    ("right", "wrong"),
    [(web.KEY_TYPE, web.UNKNOWN_KEY_TYPE), (web.ECDSA_WITH_SHA256, web.UNKNOWN_SIGNATURE)],
    ids=["key", "signature"],
)
def test_what_cannot_be_checked_is_not_covered_by_a_pin(right: bytes, wrong: bytes) -> None:
    odd = load_certificates(make_identity("Root", ROOT).malformed_pem(right, wrong))
    with pytest.raises(Failure, match="has not signed"):
        check_pin([ROOT.certificate, *odd], fingerprint(ROOT.certificate))
    with pytest.raises(Failure, match="has not signed"):
        check_pin([*odd, ROOT.certificate], fingerprint(odd[0]))


@pytest.mark.parametrize(
    ("number", "value"),
    [(0x13, b"\x30\x03\x01\x01\xff"), (0x0F, b"nonsense")],
    ids=["twice the same", "not what it says"],
)
def test_extensions_that_cannot_be_read(number: int, value: bytes) -> None:
    """Made as an extension that nobody knows, and renamed: the library does not make such certificates itself."""
    unknown = x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.99"), value)
    builder = (
        x509.CertificateBuilder()
        .subject_name(ROOT.certificate.subject)
        .issuer_name(ROOT.certificate.subject)
        .public_key(ROOT.key.public_key())
        .serial_number(1)
        .not_valid_before(ROOT.certificate.not_valid_before_utc)
        .not_valid_after(ROOT.certificate.not_valid_after_utc)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(unknown, critical=False)
    )
    der = builder.sign(ROOT.key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)
    odd = x509.load_der_x509_certificate(der.replace(b"\x55\x1d\x63", bytes([0x55, 0x1D, number])))
    with pytest.raises(Failure, match="CN=Root has extensions that cannot be read") as raised:
        check_authorities([odd], NOW)
    assert raised.value.code == "INVALID_CERTIFICATE"


def test_days_left_are_whole_days() -> None:
    certificate = make_identity("short", addresses=["cache.example.org"], days=(-1, 3)).certificate
    end = certificate.not_valid_after_utc
    assert days_left(certificate, end - datetime.timedelta(days=2, hours=1)) == 2
    assert days_left(certificate, end + datetime.timedelta(hours=1)) == -1
