# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import base64
import json
import string

import pytest
from ansible_collections.dtr.cache.plugins.module_utils.common.redaction import holds_credential, redacted
from hypothesis import assume, given
from hypothesis import strategies as st

SECRET = st.text(alphabet=string.ascii_letters + string.digits + "+/_-~.!", min_size=6, max_size=60)

# Where a log may have a secret.
PLACES = [
    "Get https://dtr.example.org/v2/a/blobs/sha256:00?signature={}: EOF",
    "Get https://dtr.example.org/v2/?account=alice&token={}&service=x: EOF",
    "Authorization: Bearer {}",
    "Authorization: Basic {}",
    'http.request.header.authorization="Bearer {}"',
    "Proxy-Authorization: Basic {}, next",
    "sent Bearer {} to it",
    "Cookie: a=1; session={}",
    "password={}",
    "password: {}",
    'msg="login" password="{}" user=alice',
    "storage: {{s3: {{secretkey: {}, bucket: b}}}}",
    '{{"accesskey": "{}", "bucket": "b"}}',
    '{{\\"refresh_token\\": \\"{}\\"}}',
    "REGISTRY_STORAGE_S3_SECRETKEY={}",
    "REGISTRY_HTTP_SECRET={}",
    "accountkey={} failed",
    "x-amz-security-token: {}",
    "X-Registry-Auth: {}",
    "dial https://alice:{}@dtr.example.org/: refused",
    "-----BEGIN EC PRIVATE KEY-----\n{}\n-----END EC PRIVATE KEY-----",
    "-----BEGIN PRIVATE KEY-----\\n{}",
]


@pytest.mark.parametrize("place", PLACES)
@given(secret=SECRET)
def test_no_secret_is_left_where_one_may_be(place: str, secret: str) -> None:
    text = place.format(secret)
    # A short one may stand in the text around it by chance.
    assume(secret not in place.format(""))
    assert secret not in redacted(text)
    assert secret not in redacted(json.dumps(text))


@given(st.binary(min_size=48, max_size=80))
def test_a_key_without_a_name_is_blanked(content: bytes) -> None:
    key = base64.b64encode(content).decode()
    assume(not key.startswith("/") and any(letter.isdigit() for letter in key))
    assert key not in redacted(f"request with {key} was refused")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("key id AKIAIOSFODNN7EXAMPLE", "key id ***"),
        ("eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhIn0.c2ln is expired", "*** is expired"),
        ("{'password': ['is too short'], 'url': ['b']}", "{'password': [***], 'url': ['b']}"),
        ("tokens=[a, b] (Bearer abc) in [password=abc]", "tokens=[***] (Bearer ***) in [password=***]"),
        ("[GET https://dtr.lab.test/v2/?sig=a] failed (x?b)", "[GET https://dtr.lab.test/v2/?***] failed (x?***)"),
        ("secret wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "secret ***"),
    ],
)
def test_known_forms_are_blanked_anywhere(text: str, shown: str) -> None:
    assert redacted(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "https://dtr.lab.test: tls: failed to verify certificate: x509: certificate signed by unknown authority",
        "open /run/secrets/dtr-cache_cache.key.pem_0f3c5a1b2d4e: no such file or directory",
        f"sent 1 bytes that are not sha256:{'1a' * 32}",
        "write /var/lib/registry/docker/registry/v2/repositories/eng/app/_uploads/a869b0f2-0dab-4dc4-b7fa-337a8e3c0f49"
        "/data: no space left on device",
        'option "blobttl" needs storage.delete.enabled: true',
        "No such image: docker/dtr-content-cache:2.7.4",
        "dial tcp: lookup dtr.lab.test on 198.18.57.10:53: no such host",
        "tls: private key does not match public key",
        "unauthorized: authentication required",
        'invalid mount config for type "bind": bind source path does not exist: /srv/Cache1',
    ],
)
def test_what_helps_to_find_a_cause_stays(text: str) -> None:
    assert redacted(text) == text


def test_it_is_short_and_printable() -> None:
    assert redacted("a\x1b[31m\u202eb\n\tc") == "a [31m b c"
    assert len(redacted("ab " * 10_000)) == 500


@pytest.mark.parametrize("text", ["password" * 5000, "a=" * 9000, '"\\' * 9000, "?" * 9000, "-----BEGIN " * 900])
def test_no_text_keeps_it_busy(text: str) -> None:
    redacted(text)


@given(st.text(max_size=300))
def test_no_text_breaks_it(text: str) -> None:
    assert len(redacted(text)) <= 500
    assert redacted(redacted(text)) == redacted(text)


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
def test_no_text_keeps_the_search_busy(text: str) -> None:
    holds_credential(("note",), text)
