# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whom a client of a cache trusts, with real handshakes; and that signatures are shown to nobody."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
from ansible_collections.dtr.cache.plugins.module_utils.common.failure import Failure
from ansible_collections.dtr.cache.plugins.module_utils.http.retries import Backoff
from ansible_collections.dtr.cache.plugins.module_utils.http.transport import Transport
from ansible_collections.dtr.cache.plugins.module_utils.pulling.cache_transport import cache_connector
from ansible_collections.dtr.cache.tests.unit.support.web import Identity, Reply, Site, make_identity, serve

DEFAULTS = {
    "cache_ca_certificate": None,
    "ca_path": None,
    "ca_certificate": None,
    "validate_certs": True,
    "timeout": 5,
    "retries": 0,
    "concurrency": 1,
}


@pytest.fixture(scope="module")
def dtr_ca() -> Identity:
    return make_identity("DTR's CA", ca=True)


@pytest.fixture(scope="module")
def cache_ca() -> Identity:
    return make_identity("The cache's CA", ca=True)


@pytest.fixture
def cache(cache_ca: Identity, tmp_path: Path) -> t.Iterator[Site]:
    with serve(lambda _request: Reply(200, b"{}"), make_identity("cache", cache_ca).server_context(tmp_path)) as site:
        yield site


@pytest.fixture
def system_trusts_cache(cache_ca: Identity, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = tmp_path / "system.pem"
    store.write_text(cache_ca.pem)
    monkeypatch.setenv("SSL_CERT_FILE", str(store))


def trusted(cache: Site, *, is_cache: bool = True, **params: t.Any) -> bool:
    try:
        cache_connector({**DEFAULTS, **params})(cache.url, is_cache).request("GET", "/v2/")
    except Failure as failure:
        assert failure.code == "TLS_UNKNOWN_AUTHORITY"
        return False
    return True


def test_unknown_ca(cache: Site, dtr_ca: Identity) -> None:
    assert not trusted(cache)
    assert not trusted(cache, ca_certificate=dtr_ca.pem)


def test_ca_as_text_and_as_path(cache: Site, cache_ca: Identity, tmp_path: Path) -> None:
    path = tmp_path / "ca.pem"
    path.write_text(cache_ca.pem)
    assert trusted(cache, cache_ca_certificate=cache_ca.pem)
    assert trusted(cache, cache_ca_certificate=str(path))


def test_signed_by_dtrs_own_ca(cache: Site, cache_ca: Identity) -> None:
    assert trusted(cache, ca_certificate=cache_ca.pem)


@pytest.mark.usefixtures("system_trusts_cache")
def test_system_trust_stays_beside_dtrs_ca(cache: Site, dtr_ca: Identity) -> None:
    assert trusted(cache)
    assert trusted(cache, ca_certificate=dtr_ca.pem)


@pytest.mark.usefixtures("system_trusts_cache")
def test_a_given_ca_replaces_the_others(cache: Site, dtr_ca: Identity, cache_ca: Identity) -> None:
    assert not trusted(cache, cache_ca_certificate=dtr_ca.pem, ca_certificate=cache_ca.pem)


@pytest.mark.usefixtures("system_trusts_cache")
def test_a_storage_backend_is_trusted_by_the_system(cache: Site, dtr_ca: Identity) -> None:
    assert trusted(cache, is_cache=False, cache_ca_certificate=dtr_ca.pem)


def test_without_validation(cache: Site) -> None:
    assert trusted(cache, validate_certs=False)


@pytest.mark.parametrize("value", ["/nowhere/ca.pem", "-----BEGIN CERTIFICATE-----\nbroken"])
def test_unusable_ca_is_named(value: str) -> None:
    with pytest.raises(Failure, match=r"^cache_ca_certificate: .+ cannot be used: ") as caught:
        cache_connector({**DEFAULTS, "cache_ca_certificate": value})
    assert caught.value.code == "INVALID_INPUT"


def test_signature_is_shown_to_nobody() -> None:
    with serve(lambda _request: Reply(503)) as site:
        transport = Transport(
            site.url, system_trust=False, retries=1, timeout=5, backoff=Backoff(base=0.001, cap=0.002, budget=5)
        )
        with pytest.raises(Failure) as caught:
            transport.stream("GET", "/v2/a/b/blobs/x?signature=secret")
        assert site.requests[0].query == {"signature": ["secret"]}
    assert transport.warnings
    assert "secret" not in str([caught.value.as_result(), transport.warnings])


def test_one_address_of_a_name_is_connected_to() -> None:
    with serve(lambda request: Reply(200, request.headers["Host"].encode())) as site:
        url = f"http://localhost:{site.port}"
        transport = Transport(url, system_trust=False, address="127.0.0.1", timeout=2, retries=0)
        assert transport.request("GET", "/").body == f"localhost:{site.port}".encode()
        with pytest.raises(Failure):
            Transport(url, system_trust=False, address="127.0.0.2", timeout=2, retries=0).request("GET", "/")


def test_what_the_cache_redirects_to_is_found_by_its_name() -> None:
    with serve(lambda _request: Reply(200)) as site:
        connect = cache_connector(DEFAULTS, "127.0.0.2")
        assert connect(site.url, False).request("GET", "/").status == 200
