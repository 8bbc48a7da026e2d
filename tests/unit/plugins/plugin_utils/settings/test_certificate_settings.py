# Copyright: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the cache presents to its clients, and the CAs of others."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.dtr.cache.tests.unit.support import web
from ansible_collections.dtr.cache.tests.unit.support.settings import (
    CA,
    CACHE,
    only_problem,
    read,
)
from ansible_collections.dtr.cache.tests.unit.support.web import make_identity

# Its list of names is no list.
ODD = make_identity("odd", CA, names=b"\x04\x00")

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


@pytest.mark.parametrize(("changes", "sentence"), MISTAKES, ids=[sentence[:60] for _changes, sentence in MISTAKES])
def test_one_mistake_gives_one_clear_sentence(changes: dict[str, t.Any], sentence: str) -> None:
    assert sentence in only_problem(**changes)


def test_a_key_with_other_line_ends_is_the_same_key() -> None:
    settings = read()[0]
    windows = read(private_key=CACHE.key_pem.replace("\n", "\r\n") + "\n\n")[0]
    assert windows.private_key == settings.private_key
