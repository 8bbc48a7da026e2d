# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The DTR's address, administrator and CA."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.dtr.cache.tests.unit.support.settings import CA, only_problem, read
from ansible_collections.dtr.cache.tests.unit.support.web import make_identity

ADMIN = make_identity("admin", CA)
OLD = make_identity("old", CA, days=(-9, -1))

# One mistake each, and what the operator reads.
MISTAKES: list[tuple[dict[str, t.Any], str]] = [
    ({"registry_url": None}, "dtr_cache_registry_url: is required"),
    ({"registry_url": "http://dtr.example.org"}, "is not an address of the form https://host[:port]"),
    ({"registry_url": "https://admin:pw@dtr.example.org"}, "dtr_cache_registry_url: must not carry credentials"),
    ({"registry_url": "https://admin:s3cr/et@dtr.example.org"}, "dtr_cache_registry_url: must not carry credentials"),
    ({"registry_url": "https://dtr.example.org:port"}, "is not an address of the form"),
    ({"registry_url": "https://dtr.example.org/api"}, "must end after the host and its port"),
    ({"registry_password": ""}, "dtr_cache_registry_password: is required"),
    ({"registry_ca": "missing.pem"}, "dtr_cache_registry_ca: missing.pem cannot be read"),
    ({"registry_ca": "-----BEGIN NOTHING-----"}, "dtr_cache_registry_ca: "),
    ({"registry_ca_fingerprint": "ab:cd"}, "dtr_cache_registry_ca_fingerprint: "),
    (
        {"registry_ca": CA.pem, "registry_ca_fingerprint": "00" * 32},
        "dtr_cache_registry_ca_fingerprint: none of the certificates of dtr_cache_registry_ca has it",
    ),
    (
        {"registry_ca": "system", "registry_ca_fingerprint": "00" * 32},
        "dtr_cache_registry_ca_fingerprint: pins nothing with dtr_cache_registry_ca system",
    ),
    ({"registry_validate_certs": "perhaps"}, "dtr_cache_registry_validate_certs: 'perhaps' is neither true nor false"),
    ({"registry_validate_certs": "perhaps "}, "dtr_cache_registry_validate_certs: 'perhaps' is neither true nor false"),
    ({"registry_validate_certs": 2}, "dtr_cache_registry_validate_certs: '2' is neither true nor false"),
    ({"registry_validate_certs": ["true"]}, "dtr_cache_registry_validate_certs: must be text"),
    *(
        ({"registry_username": text}, "dtr_cache_registry_username: is the text null")
        for text in ("null", " ~\n", "NULL")
    ),
    ({"registry_username": ["admin"]}, "dtr_cache_registry_username: must be text"),
    (
        {"registry_password": True},
        "dtr_cache_registry_password: is a truth value to YAML; put yes, no, on, off, true or false in quotes",
    ),
    ({"registry_password": "hush\nhush"}, "dtr_cache_registry_password: must be one line of text"),
    (
        {"registry_password": 8675309.25},
        "dtr_cache_registry_password: is a number to YAML, which changes some (1.10 becomes 1.1); put it in quotes",
    ),
    ({"registry_username": "admin:hush"}, "dtr_cache_registry_username: must not hold a colon"),
    ({"registry_ca": {"pem": CA.pem}}, "dtr_cache_registry_ca: must be text"),
    ({"registry_client_key": ADMIN.key_pem}, "_client_key: is set without dtr_cache_registry_client_cert, whose key"),
    ({"registry_client_cert": ADMIN.pem}, "dtr_cache_registry_client_key: is required: the private key of dtr_cache"),
    (
        {"registry_client_cert": ADMIN.pem, "registry_client_key": CA.key_pem},
        "dtr_cache_registry_client_key: the key does not belong to the certificate",
    ),
    (
        {"registry_client_cert": ADMIN.pem, "registry_client_key": ADMIN.encrypted_key_pem("pass")},
        "dtr_cache_registry_client_key: is encrypted",
    ),
    (
        {"registry_client_cert": OLD.pem + OLD.key_pem},
        "dtr_cache_registry_client_cert: CN=old has expired on",
    ),
    (
        {"registry_client_cert": "Hunter2", "registry_username": None, "registry_password": None},
        "dtr_cache_registry_client_cert: is neither PEM text nor a file of the control node that can be read",
    ),
    (
        {"registry_client_cert": ADMIN.pem + ADMIN.key_pem, "registry_username": None},
        "dtr_cache_registry_username: is required",
    ),
]


@pytest.mark.parametrize(("changes", "sentence"), MISTAKES, ids=[sentence[:60] for _changes, sentence in MISTAKES])
def test_one_mistake_gives_one_clear_sentence(changes: dict[str, t.Any], sentence: str) -> None:
    assert sentence in only_problem(**changes)


@pytest.mark.parametrize(
    ("given", "verified"),
    [
        *((text, True) for text in ("true ", "true\n", "1 ", " Yes", "on", 1, True, "", "  ", None)),
        *((text, False) for text in ("false ", " 0\n", "NO", "off", 0, False)),
    ],
)
def test_the_certificate_is_verified_whatever_is_around_the_word(given: t.Any, verified: bool) -> None:
    settings, problems = read(registry_validate_certs=given)
    assert problems == []
    assert settings.validate_certs is verified


@pytest.mark.parametrize("missing", ["registry_url", "registry_username", "registry_password"])
def test_the_dtr_alone_needs_an_administrator_and_no_cache(missing: str) -> None:
    nameless = dict.fromkeys(("name", "host", "nodes", "certificate", "private_key"))
    assert read(["dtr"], **nameless)[1] == []
    (problem,) = read(["dtr"], **{**nameless, missing: None})[1]
    assert problem.startswith(f"dtr_cache_{missing}: is required")
