# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""PEM as people and tools deliver it, in each variable that holds PEM: it is read and written anew, or refused."""

from __future__ import annotations

import base64
import ssl
import typing as t

import pytest
from ansible_collections.dtr.cache.tests.unit.support.settings import CA, CACHE, control_node, read
from ansible_collections.dtr.cache.tests.unit.support.web import make_identity
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import pkcs7, pkcs12

ADMIN = make_identity("admin")
REQUEST = (
    x509.CertificateSigningRequestBuilder()
    .subject_name(CACHE.certificate.subject)
    .sign(CACHE.key, hashes.SHA256())
    .public_bytes(serialization.Encoding.PEM)
    .decode()
)
CRL = (
    x509.CertificateRevocationListBuilder()
    .issuer_name(CA.certificate.subject)
    .last_update(CA.certificate.not_valid_before_utc)
    .next_update(CA.certificate.not_valid_after_utc)
    .sign(CA.key, hashes.SHA256())
    .public_bytes(serialization.Encoding.PEM)
    .decode()
)
PARAMETERS = "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"
COMMENT = "Bag Attributes\n    friendlyName: Köln\nsubject=CN = cache\n# - a comment -\n"


def trusted(pem: str) -> str:
    """The certificate as C(openssl x509 -trustout) writes it: notes of OpenSSL are behind it."""
    notes = bytes.fromhex("300c300a06082b06010505070301")
    body = base64.encodebytes(ssl.PEM_cert_to_DER_cert(pem) + notes).decode() if "CERTIFICATE" in pem else ""
    return f"-----BEGIN TRUSTED CERTIFICATE-----\n{body}-----END TRUSTED CERTIFICATE-----\n" if body else pem


def body(pem: str) -> str:
    return "".join(pem.splitlines()[1:-1])


# What becomes of a text of one block; None where a file is meant.
READ: dict[str, t.Callable[[str], str]] = {
    "as it is": lambda pem: pem,
    "without the last line break": lambda pem: pem.rstrip(),
    "blanks in the place of line breaks": lambda pem: pem.replace("\n", " "),
    "tabs in the place of line breaks": lambda pem: pem.replace("\n", "\t"),
    "one line": lambda pem: pem.splitlines()[0] + body(pem) + pem.splitlines()[-1],
    "CRLF": lambda pem: pem.replace("\n", "\r\n"),
    "CR": lambda pem: pem.replace("\n", "\r"),
    "backslash and n": lambda pem: pem.replace("\n", "\\n"),
    "two backslashes and n": lambda pem: pem.replace("\n", "\\\\n"),
    "backslash r and n": lambda pem: pem.replace("\n", "\\r\\n"),
    "in quotes": lambda pem: '"' + pem.replace("\n", "\\n") + '"',
    "a byte order mark": lambda pem: "\ufeff" + pem,
    "indented": lambda pem: "".join(f"    {line}\n" for line in pem.splitlines()),
    "empty lines": lambda pem: pem.replace("\n", "\n\n"),
    "blanks at the ends": lambda pem: pem.replace("\n", "  \n"),
    "no-break spaces": lambda pem: pem.replace("\n", "\u00a0"),
    "long lines": lambda pem: "\n".join((pem.splitlines()[0], body(pem), pem.splitlines()[-1])),
    "short lines": lambda pem: "\n".join((pem.splitlines()[0], *body(pem), pem.splitlines()[-1])),
    "comments": lambda pem: COMMENT + pem + "# end\n",
    "lower-case headers": lambda pem: pem.replace(pem.splitlines()[0], pem.splitlines()[0].lower()).replace(
        pem.splitlines()[-1], pem.splitlines()[-1].lower()
    ),
    "X509 CERTIFICATE": lambda pem: pem.replace(" CERTIFICATE", " X509 CERTIFICATE"),
    "TRUSTED CERTIFICATE": trusted,
    "a request beside it": lambda pem: REQUEST + pem,
    "a revocation list beside it": lambda pem: pem + CRL,
    "parameters beside it": lambda pem: PARAMETERS + pem,
    "all on one line with comments": lambda pem: (COMMENT + pem + REQUEST).replace("\n", " "),
}

REFUSED: dict[str, t.Callable[[str], str]] = {
    "base64 of the PEM": lambda pem: base64.b64encode(pem.encode()).decode(),
    "without BEGIN and END": body,
    "without END": lambda pem: pem[:-20],
    "without BEGIN": lambda pem: pem[10:],
    "a dash less": lambda pem: pem.replace("-----BEGIN", "----BEGIN"),
    "a half": lambda pem: pem[:120] + pem.splitlines()[-1],
    "cut off behind it": lambda pem: pem + pem[:60],
    "a request": lambda _pem: REQUEST,
    "a revocation list": lambda _pem: CRL,
    "base64 for addresses": lambda pem: pem.replace("+", "-").replace("M", "_"),
    "another letter": lambda pem: pem.replace(body(pem)[40:48], "********"),
    "quoted by a mail": lambda pem: pem.replace("\n", "\n> "),
    "escaped for an address": lambda pem: pem.replace("\n", "%0A"),
}

# The variable, a text for it, and what the settings have of it.
CERTIFICATES: dict[str, str] = {
    "certificate": CACHE.pem,
    "ca_certificate": CA.pem,
    "registry_ca": CA.pem,
    "registry_client_cert": ADMIN.pem,
    "upstream_cas": CA.pem,
    "client_cas": CA.pem,
}
KEYS = {"private_key": CACHE.key_pem, "registry_client_key": ADMIN.key_pem}
VARIABLES = {**CERTIFICATES, **KEYS}
ADMIN_LOGIN = {"registry_client_cert": ADMIN.pem, "registry_client_key": ADMIN.key_pem}


def given(name: str, value: str, *, as_file: bool) -> tuple[t.Any, list[str]]:
    """What the settings have of a variable, as text or as the path of a file, and the problems."""
    node = control_node({"a.pem": value.encode()})
    login = ADMIN_LOGIN if name.startswith("registry_client") else {}
    settings, problems = read(node=node, **{**login, name: "a.pem" if as_file else value})
    found = settings.registry_client_certificate if login else getattr(settings, name)
    return ("".join(found) if isinstance(found, tuple) else found), problems


@pytest.mark.parametrize("as_file", [False, True], ids=["text", "file"])
@pytest.mark.parametrize("name", VARIABLES)
def test_each_form_is_written_anew(name: str, as_file: bool) -> None:
    pem = VARIABLES[name]
    expected = ADMIN.pem + ADMIN.key_pem if name.startswith("registry_client") else pem
    wrong = {}
    for form, change in READ.items():
        found, problems = given(name, change(pem), as_file=as_file)
        if problems or found != expected:
            wrong[form] = problems or found
    assert wrong == {}


@pytest.mark.parametrize("as_file", [False, True], ids=["text", "file"])
@pytest.mark.parametrize("name", VARIABLES)
def test_what_is_not_understood_is_a_problem_of_its_variable(name: str, as_file: bool) -> None:
    wrong = {}
    for form, change in REFUSED.items():
        _found, problems = given(name, change(VARIABLES[name]), as_file=as_file)
        if not problems or any(not problem.startswith(f"dtr_cache_{name}: ") for problem in problems):
            wrong[form] = problems
        assert body(VARIABLES[name])[:60] not in str(problems)
    assert wrong == {}


@pytest.mark.parametrize("name", CERTIFICATES)
@pytest.mark.parametrize("key", [CACHE.key_pem, CACHE.key_pem.replace("\n", " ")])
def test_a_key_beside_a_certificate_goes_nowhere(name: str, key: str) -> None:
    found, problems = given(name, key + CERTIFICATES[name], as_file=False)
    assert problems == []
    assert body(CACHE.key_pem) not in found.replace("\n", "")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_certificate_and_its_key_in_one_file(encoding: str) -> None:
    node = control_node({"both.pem": (COMMENT + CACHE.key_pem + CACHE.pem + CA.pem).encode(encoding)})
    settings, problems = read(node=node, certificate="both.pem", private_key="both.pem")
    assert problems == []
    assert (settings.certificate, settings.private_key) == (CACHE.pem + CA.pem, CACHE.key_pem)


@pytest.mark.parametrize("form", [serialization.PrivateFormat.PKCS8, serialization.PrivateFormat.TraditionalOpenSSL])
@pytest.mark.parametrize("key", [CACHE.key, rsa.generate_private_key(65537, 2048)], ids=["ECDSA", "RSA"])
def test_a_key_as_openssl_writes_it_is_left_as_it_is(key: t.Any, form: serialization.PrivateFormat) -> None:
    """Another byte would be another secret, and exchange each replica for nothing."""
    identity = make_identity("cache", CA, addresses=["cache.example.org"], key=key)
    pem = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()
    settings, problems = read(certificate=identity.pem, private_key=pem)
    assert problems == []
    assert settings.private_key == pem


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("certificate", ssl.PEM_cert_to_DER_cert(CACHE.pem), "openssl x509 -inform DER -in FILE -out FILE.pem"),
        ("registry_client_cert", ssl.PEM_cert_to_DER_cert(ADMIN.pem), "openssl x509 -inform DER"),
        (
            "private_key",
            pkcs12.serialize_key_and_certificates(
                None, CACHE.key, CACHE.certificate, None, serialization.NoEncryption()
            ),
            "openssl pkcs12 -in FILE -nocerts -nodes -out FILE.pem",
        ),
        (
            "ca_certificate",
            pkcs7.serialize_certificates([CA.certificate], serialization.Encoding.PEM),
            "holds a PKCS7, which is no CERTIFICATE; openssl pkcs7 -print_certs -in FILE -out FILE.pem converts it",
        ),
    ],
)
def test_another_format_is_named_with_the_command_that_converts_it(name: str, content: bytes, sentence: str) -> None:
    login = ADMIN_LOGIN if name.startswith("registry_client") else {}
    _settings, problems = read(node=control_node({"a.pem": content}), **{**login, name: "a.pem"})
    assert [sentence in problem and problem.startswith(f"dtr_cache_{name}: ") for problem in problems] == [True]
