# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the cache presents to its clients, and the CAs of others."""

from __future__ import annotations

import base64
import typing as t

import pytest
from ansible_collections.dtr.cache.plugins.module_utils.x509 import certificates
from ansible_collections.dtr.cache.tests.unit.support import web
from ansible_collections.dtr.cache.tests.unit.support.settings import CA, CACHE, control_node, only_problem, read
from ansible_collections.dtr.cache.tests.unit.support.web import make_identity
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import pkcs12

# Its list of names is no list.
ODD = make_identity("odd", CA, names=b"\x04\x00")
OTHER = make_identity("other", ca=True)

# One mistake each, and what the operator reads.
MISTAKES: list[tuple[dict[str, t.Any], str]] = [
    ({"certificate": None}, "dtr_cache_certificate: is required"),
    ({"certificate": "missing.pem"}, "dtr_cache_certificate: missing.pem cannot be read"),
    ({"private_key": None}, "dtr_cache_private_key: is required"),
    ({"private_key": "missing.pem"}, "dtr_cache_private_key: is neither PEM text nor a file of the control node"),
    ({"private_key": CACHE.encrypted_key_pem("x")}, "dtr_cache_private_key: is encrypted"),
    ({"private_key": make_identity("b").key_pem}, "dtr_cache_certificate: the private key belongs to another"),
    ({"certificate": CA.pem + CACHE.pem}, "dtr_cache_certificate: is out of order"),
    ({"host": "other.example.org"}, "dtr_cache_certificate: does not cover other.example.org"),
    ({"ca_certificate": make_identity("x", ca=True).pem}, "dtr_cache_ca_certificate: did not sign"),
    (
        {"ca_certificate": make_identity("ca", ca=True).pem + CA.pem},
        "dtr_cache_certificate: CN=cache is signed by CN=ca, and clients find another certificate of that name first",
    ),
    (
        {"certificate": ODD.pem, "private_key": ODD.key_pem},
        "dtr_cache_certificate: CN=odd has extensions that cannot be read: ",
    ),
    (
        {"certificate": CACHE.malformed_pem(web.KEY_TYPE, web.UNKNOWN_KEY_TYPE)},
        "dtr_cache_certificate: CN=cache has a public key that cannot be read: Unknown key type: ",
    ),
    (
        {"certificate": CACHE.malformed_pem(web.VERSION, web.UNKNOWN_VERSION)},
        "dtr_cache_certificate: Certificate 1 of the PEM text cannot be read: 9 is not a valid X509 version",
    ),
    (
        {"ca_certificate": CA.malformed_pem(web.KEY_TYPE, web.UNKNOWN_KEY_TYPE)},
        "dtr_cache_ca_certificate: CN=ca has a public key that cannot be read: Unknown key type: ",
    ),
    ({"upstream_cas": ["missing.pem"]}, "dtr_cache_upstream_cas: missing.pem cannot be read"),
]


HOST = ["cache.example.org"]
FOLDERS = x509.NameConstraints([x509.DirectoryName(CA.certificate.subject)], None)
OF_FOLDERS = make_identity("ca", ca=True, critical=[FOLDERS])
OF_POLICIES = make_identity("ca", ca=True, critical=[x509.PolicyConstraints(None, 0)])
KEYED = make_identity("keyed", ca=True, more=[x509.SubjectKeyIdentifier(b"its own key")])
ENDING = make_identity("ending", ca=True, days=(-20, 4))
ENDING_ENDS = ENDING.certificate.not_valid_after_utc
# The certificate, the CA, and the one problem: OpenSSL, Docker or the days that are asked for refuse it.
REFUSED: list[tuple[web.Identity, web.Identity, str]] = [
    (
        make_identity("ca", OF_FOLDERS, addresses=HOST),
        OF_FOLDERS,
        "dtr_cache_ca_certificate: CN=ca constrains names of the kind DirectoryName, which Docker does not know",
    ),
    (
        make_identity("cache", OF_POLICIES, addresses=HOST),
        OF_POLICIES,
        "dtr_cache_ca_certificate: CN=ca has the critical extension policyConstraints, which Docker does not know",
    ),
    (
        make_identity("cache", KEYED, addresses=HOST, more=[x509.AuthorityKeyIdentifier(b"another key", None, None)]),
        KEYED,
        "dtr_cache_certificate: CN=cache is signed by CN=keyed, but its authority key identifier names another key, so "
        "clients do not find the CA; have it issued anew",
    ),
    (
        make_identity("cache", CA, addresses=HOST, critical=[x509.PrecertPoison()]),
        CA,
        "dtr_cache_certificate: CN=cache has the critical extension ctPoison, which Docker does not know",
    ),
    (
        make_identity("cache", ENDING, addresses=HOST),
        ENDING,
        f"dtr_cache_ca_certificate: CN=ending expires in 3 day(s), on {ENDING_ENDS:%Y-%m-%d}, and dtr_cache_min_days",
    ),
]


@pytest.mark.parametrize(("certificate", "authority", "sentence"), REFUSED, ids=[row[2][:70] for row in REFUSED])
def test_what_breaks_clients_is_refused(certificate: web.Identity, authority: web.Identity, sentence: str) -> None:
    given = {"certificate": certificate.pem, "private_key": certificate.key_pem, "ca_certificate": authority.pem}
    assert only_problem(**given).startswith(sentence)


INTERMEDIATE = make_identity("intermediate", CA, ca=True)
BELOW = make_identity("cache", INTERMEDIATE, addresses=["cache.example.org"])
SHORT = make_identity("cache", CA, addresses=["cache.example.org"], days=(-9, 5))
SHORT_ENDS = SHORT.certificate.not_valid_after_utc


@pytest.mark.parametrize(
    ("chain", "given", "sentence"),
    [
        (
            [BELOW],
            {"ca_certificate": CA.pem},
            "dtr_cache_ca_certificate: did not sign CN=cache: CN=intermediate did. If that is an intermediate, append "
            "its certificate to dtr_cache_certificate; if it is the CA itself, give it here",
        ),
        (
            [BELOW, INTERMEDIATE],
            {"ca_certificate": make_identity("ca", ca=True).pem},
            "dtr_cache_ca_certificate: CN=intermediate is signed by another CA of the name CN=ca than the trusted one; "
            "use the CA that signed it",
        ),
        (
            [BELOW, INTERMEDIATE],
            {"ca_certificate": None},
            "dtr_cache_ca_certificate: is needed: CN=ca, which issued CN=intermediate, is no CA that this control node "
            "trusts; give the CA here. If CN=ca is an intermediate of a CA that is trusted, append it to "
            "dtr_cache_certificate instead",
        ),
        (
            [SHORT],
            {"ca_certificate": CA.pem},
            f"dtr_cache_certificate: CN=cache expires in 4 day(s), on {SHORT_ENDS:%Y-%m-%d}, "
            "and dtr_cache_min_days asks for 14; have it renewed, or set dtr_cache_min_days lower",
        ),
    ],
)
def test_what_is_missing_is_named_with_where_it_belongs(
    chain: list[web.Identity], given: dict[str, t.Any], sentence: str
) -> None:
    certificate = "".join(each.pem for each in chain)
    assert only_problem(certificate=certificate, private_key=chain[0].key_pem, **given) == sentence


NO_CA_BELOW = make_identity("ca", ca=True, path_length=0)
SAME_NAME = make_identity("ca", NO_CA_BELOW, ca=True)
BELOW_SAME = make_identity("cache", SAME_NAME, addresses=HOST)
USAGES = "digital_signature content_commitment key_encipherment data_encipherment key_agreement key_cert_sign crl_sign"
FOR_LISTS = x509.KeyUsage(
    **{name: name == "crl_sign" for name in USAGES.split()}, encipher_only=False, decipher_only=False
)
NO_SIGNER = make_identity("ca", ca=True, more=[FOR_LISTS])


@pytest.mark.parametrize(
    ("chain", "authority", "sentence"),
    [
        (
            [BELOW_SAME, SAME_NAME],
            NO_CA_BELOW,
            "dtr_cache_ca_certificate: CN=ca allows 0 intermediate CA(s) below it (path length), and here are 1; have "
            "it issued anew",
        ),
        (
            [make_identity("cache", CA, addresses=HOST, more=[FOR_LISTS])],
            CA,
            "dtr_cache_certificate: CN=cache has a key that must not sign, as TLS needs it (key usage without "
            "digitalSignature); have it issued anew",
        ),
        (
            [make_identity("cache", NO_SIGNER, addresses=HOST)],
            NO_SIGNER,
            "dtr_cache_ca_certificate: CN=ca must not sign certificates (its key usage has no keyCertSign)",
        ),
    ],
)
def test_what_is_wrong_with_the_certificate_is_said(
    chain: list[web.Identity], authority: web.Identity, sentence: str
) -> None:
    given = {"private_key": chain[0].key_pem, "ca_certificate": authority.pem}
    assert only_problem(certificate="".join(each.pem for each in chain), **given) == sentence


def test_a_certificate_that_is_given_twice_is_sent_once() -> None:
    chain = BELOW.pem + INTERMEDIATE.pem
    settings, problems = read(certificate=BELOW.pem + chain + INTERMEDIATE.pem, private_key=BELOW.key_pem)
    assert (problems, settings.certificate) == ([], chain)


@pytest.mark.parametrize(("changes", "sentence"), MISTAKES, ids=[sentence[:60] for _changes, sentence in MISTAKES])
def test_one_mistake_gives_one_clear_sentence(changes: dict[str, t.Any], sentence: str) -> None:
    assert sentence in only_problem(**changes)


def test_a_key_with_other_line_ends_is_the_same_key() -> None:
    settings = read()[0]
    windows = read(private_key=CACHE.key_pem.replace("\n", "\r\n") + "\n\n")[0]
    assert windows.private_key == settings.private_key


CERTIFICATE = certificates.load_certificates(CACHE.pem)[0]
KEY = serialization.load_pem_private_key(CACHE.key_pem.encode(), None)
assert isinstance(KEY, ec.EllipticCurvePrivateKey)
DER = serialization.Encoding.DER
KEY_DER = KEY.private_bytes(DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
BUNDLE = pkcs12.serialize_key_and_certificates(b"cache", KEY, CERTIFICATE, None, serialization.NoEncryption())


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("private_key", KEY_DER, "openssl pkey -inform DER -in FILE -out FILE.pem"),
        ("private_key", BUNDLE, "openssl pkcs12 -in FILE -nocerts -nodes -out FILE.pem"),
        ("certificate", CERTIFICATE.public_bytes(DER), "openssl x509 -inform DER -in FILE -out FILE.pem"),
        ("ca_certificate", CERTIFICATE.public_bytes(DER), "is not PEM; it looks like DER or PKCS#12"),
        ("registry_ca", CERTIFICATE.public_bytes(DER), "is not PEM; it looks like DER or PKCS#12"),
        ("client_cas", CERTIFICATE.public_bytes(DER), "is not PEM; it looks like DER or PKCS#12"),
        ("certificate", BUNDLE, "openssl pkcs12 -in FILE -nokeys -out FILE.pem"),
        ("certificate", b"", "the file is empty"),
        ("private_key", b"hello", "is not PEM: the file has no line that begins with -----BEGIN"),
        ("private_key", base64.b64encode(CACHE.key_pem.encode()), "is not PEM but base64; decode it first (base64 -d)"),
    ],
)
def test_a_file_in_another_format_is_named_with_the_command_that_converts_it(
    name: str, content: bytes, sentence: str
) -> None:
    problem = only_problem(control_node({"a/file": content}), **{name: "a/file"})
    assert problem.startswith(f"dtr_cache_{name}: ")
    assert sentence in problem


def test_only_the_pem_blocks_of_a_file_count() -> None:
    comment = "subject=Köln\n".encode("latin-1")
    files = {
        "cert.pem": comment + CACHE.pem.encode() + comment + CA.pem.encode(),
        "key.pem": comment + CACHE.key_pem.encode(),
    }
    settings, problems = read(node=control_node(files), certificate="cert.pem", private_key=" key.pem ")
    assert problems == []
    assert (settings.certificate, settings.private_key) == (CACHE.pem + CA.pem, CACHE.key_pem)
    assert settings.http_secret == read()[0].http_secret


@pytest.mark.parametrize("path", ["key\0.pem", "key\udcff.pem", "key\n.pem"])
def test_a_path_that_is_none_is_a_problem_of_its_variable(path: str) -> None:
    assert only_problem(private_key=path).startswith("dtr_cache_private_key: ")


@pytest.mark.parametrize(
    "given", [[CA.pem, OTHER.pem], CA.pem + "\n", ["a.pem", "b.pem"], "a.pem, b.pem", '["a.pem", "b.pem"]', "- a.pem"]
)
def test_authorities_in_every_form(given: t.Any) -> None:
    node = control_node({"a.pem": CA.pem.encode(), "b.pem": OTHER.pem.encode()})
    settings, problems = read(node=node, client_cas=given, upstream_cas=given)
    assert problems == []
    assert settings.client_cas == settings.upstream_cas
    assert settings.client_cas in ((CA.pem, OTHER.pem), (CA.pem,))
