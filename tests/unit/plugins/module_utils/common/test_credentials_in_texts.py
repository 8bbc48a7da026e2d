# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Credentials in texts that everybody reads who may inspect a service, and texts that only look a little like them."""

from __future__ import annotations

import json

import pytest
from ansible_collections.dtr.cache.plugins.module_utils.common.credentials import holds_credential

CARRYING = [
    "password=hush",
    "connect with password: hush",
    "https://hooks.example.org/?token=hush",
    "https://hooks.example.org/?x=1&api-key=hush",
    "https://a.blob.example.org/c?sv=1&sig=0123456789abcdef%3D",
    "https://user:hush@proxy.example.org",
    json.dumps({"user": "u", "password": "hush"}),
    json.dumps(json.dumps({"password": "hush"})),
    "{secretkey: hush}",
    "[{headers: {Authorization: [Bearer hush]}}]",
    "Authorization: Basic hush",
    "Bearer 0123456789",
    "-Djavax.net.ssl.keyStorePassword=hush",
    "-----BEGIN EC PRIVATE KEY-----",
    "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhIn0.c2ln",
]
PUBLIC = [
    "http://proxy.example.org:3128",
    "http://user@proxy.example.org:3128",
    "localhost,.example.org,10.0.0.0/8,::1",
    "/usr/bin:/opt/token:/bin",
    "https://hooks.example.org/token?region=eu&page=2",
    'Bearer realm="https://auth.example.org/token",service="registry"',
    "token_file=/run/x,passwordFile=/etc/y",
    "token_url=https://idp.example.org/",
    "credentials=/etc/cifs",
    "password=/run/secrets/db",
    "password=",
    "has_secrets=true",
    "the basic plan, without a token",
    "Host(`cache.example.org`) && PathPrefix(`/v2`)",
    "{{.ImageName}}/{{.Name}}/{{.ID}}",
    "sha256:0f3c5a1b2d4e0f3c5a1b2d4e0f3c5a1b2d4e0f3c5a1b2d4e0f3c5a1b2d4e0f3c",
    "service.name=cache,deployment.environment=asia",
    "platform:registry:443",
    "-----BEGIN CERTIFICATE-----",
]


@pytest.mark.parametrize("text", CARRYING)
def test_a_credential_in_a_text_is_found(text: str) -> None:
    assert holds_credential(("note",), text)


@pytest.mark.parametrize("text", PUBLIC)
def test_other_texts_are_none(text: str) -> None:
    assert not holds_credential(("note",), text)


@pytest.mark.parametrize("name", ["api-key", "apikey", "X-Api_Key", "access-key", "db.password"])
def test_a_name_says_that_a_value_is_one(name: str) -> None:
    assert holds_credential((name,), "hush")


@pytest.mark.parametrize(
    "text", ["password" * 5000, "token=" * 9000, "bearer " * 9000, "basic  a" * 9000, "?key=" * 9000]
)
def test_no_text_keeps_it_busy(text: str) -> None:
    holds_credential(("note",), text)
