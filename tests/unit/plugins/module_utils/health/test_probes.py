# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Servers with several addresses."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import typing as t

import pytest
from ansible_collections.dtr.cache.plugins.module_utils.common.vocabulary import ROLES, VARIABLE
from ansible_collections.dtr.cache.plugins.module_utils.health.endpoints import cache_endpoint
from ansible_collections.dtr.cache.plugins.module_utils.health.model import Cache
from ansible_collections.dtr.cache.plugins.module_utils.health.probes import probe
from ansible_collections.dtr.cache.tests.unit.support.endpoints import (
    STEP,
    Authority,
    endpoint,
    failed,
    fine,
    only_failure,
    probe_server,
    raw_server,
)
from ansible_collections.dtr.cache.tests.unit.support.web import make_identity, serve


@pytest.mark.parametrize(
    ("port", "hint"), [(None, "the cache's service runs"), (443, "(dtr_cache_public_port) and leads to port 443")]
)
def test_the_port_of_a_load_balancer_is_none_of_the_service(
    port: int | None, hint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, ROLES)
    with raw_server(lambda connection: connection.close()) as url:
        pass
    found = probe(cache_endpoint(Cache("asia", url, None, port=port), 0, STEP), STEP)
    assert hint in only_failure(found, "tcp")[1]


class TestAddresses:
    """A name with two addresses, as a cache of two replicas has."""

    @pytest.fixture(autouse=True)
    def two_addresses(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def resolve(_host: str, port: int, **_options: t.Any) -> list[t.Any]:
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (f"127.0.0.{each}", port)) for each in (1, 2)]

        monkeypatch.setattr(socket, "getaddrinfo", resolve)

    def test_one_that_refuses_is_told_and_the_other_one_serves(self, authority: Authority) -> None:
        with serve(fine, make_identity("server", authority.root).server_context(authority.folder)) as site:
            asked = endpoint(f"https://127.0.0.1:{site.port}", authority.root)._replace(replicas=2)
            report = probe(asked, STEP)
        wrong = failed(report)
        assert list(wrong) == ["addresses"]
        assert wrong["addresses"].detail == f"127.0.0.2: port {site.port} refuses connections."
        assert not wrong["addresses"].prevents_pulls
        assert [(place.address, place.ok) for place in report.places] == [("127.0.0.1", True), ("127.0.0.2", False)]

    def test_a_replica_that_is_none_of_the_addresses_of_the_name(self, authority: Authority) -> None:
        good = make_identity("server", authority.root).server_context(authority.folder)
        old = make_identity("old", authority.root, days=(-30, -3)).server_context(authority.folder)
        with serve(fine, good) as site, serve(fine, old) as replica:
            places = [f"127.0.0.1:{port}" for port in (site.port, replica.port)]
            asked = endpoint(f"https://127.0.0.1:{site.port}", authority.root)._replace(replicas=2, places=places)
            report = probe(asked, STEP)
        assert failed(report)["validity"].detail.startswith(f"{places[1]}: the certificate expired")
        # The second address of the name is no replica's.
        assert [(place.address, place.ok) for place in report.places] == [("127.0.0.1", True), (places[1], False)]

    def test_an_address_where_no_replica_is_may_be_closed(self, authority: Authority) -> None:
        # The server listens on 127.0.0.1 only.
        report = probe_server(make_identity("server", authority.root).server_context(authority.folder), authority.root)
        assert failed(report) == {}
        assert report.checks[0].detail == "127.0.0.1 is 127.0.0.1, 127.0.0.2"
        assert report.checks[1].detail.startswith("127.0.0.1: connected; 127.0.0.2: port ")

    def test_one_that_refuses_where_nothing_says_how_many_there_are(self, authority: Authority) -> None:
        with serve(fine, make_identity("server", authority.root).server_context(authority.folder)) as site:
            report = probe(endpoint(f"https://127.0.0.1:{site.port}", authority.root)._replace(replicas=None), STEP)
        assert {check.check: check.ok for check in report.checks if not check.ok} == {"addresses": None}
        assert [(place.address, place.ok) for place in report.places] == [("127.0.0.1", True), ("127.0.0.2", None)]

    def test_none(self, authority: Authority) -> None:
        with raw_server(lambda connection: connection.close()) as url:
            pass
        detail, _hint = only_failure(probe(endpoint(url, authority.root), STEP), "tcp")
        assert detail.count("refuses connections") == 2

    def test_each_that_answers_has_to_be_right(self, authority: Authority) -> None:
        good = make_identity("server", authority.root)
        with serve(fine, good.server_context(authority.folder)) as site:
            old = make_identity("old", authority.root, days=(-30, -3)).server_context(authority.folder)
            with _second_server(("127.0.0.2", site.port), old):
                report = probe(endpoint(f"https://127.0.0.1:{site.port}", authority.root), 0.5)
        wrong = failed(report)
        assert wrong["validity"].detail.startswith("127.0.0.2: the certificate expired")
        assert report.days_left is not None
        assert report.days_left < 0


@contextlib.contextmanager
def _second_server(address: tuple[str, int], context: ssl.SSLContext) -> t.Iterator[None]:
    """Another TLS server on a given address, which shakes hands and answers nothing."""

    def run() -> None:
        while True:
            try:
                connection, _address = server.accept()
            except OSError:
                return
            with contextlib.suppress(OSError), context.wrap_socket(connection, server_side=True):
                pass

    with socket.create_server(address) as server:
        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        try:
            yield
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()
