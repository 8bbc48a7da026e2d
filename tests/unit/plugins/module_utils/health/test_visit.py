# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real servers: good ones, ones without TLS, and ones with another time."""

from __future__ import annotations

import contextlib
import email.utils
import socket
import ssl
import time
import typing as t
from http.server import BaseHTTPRequestHandler

import pytest
from ansible_collections.dtr.cache.plugins.module_utils.health.checks import likely_cause
from ansible_collections.dtr.cache.plugins.module_utils.health.probes import probe
from ansible_collections.dtr.cache.tests.unit.support.endpoints import (
    GOOD,
    STEP,
    Authority,
    chain_context,
    endpoint,
    failed,
    fine,
    only_failure,
    probe_server,
    raw_server,
)
from ansible_collections.dtr.cache.tests.unit.support.web import make_identity, serve


class TestGoodServers:
    def test_everything_is_checked(self, authority: Authority) -> None:
        leaf = make_identity("server", authority.root)
        report = probe_server(leaf.server_context(authority.folder), authority.root)
        assert failed(report) == {}
        assert [check.check for check in report.checks] == GOOD
        assert report.days_left == 29
        assert report.seconds is not None
        assert report.seconds > 0
        assert report.certificate is not None
        assert report.certificate["subject"] == "CN=server"

    def test_intermediates_in_order(self, authority: Authority) -> None:
        leaf = make_identity("server", authority.lower)
        context = chain_context(authority.folder, leaf, authority.lower, authority.upper)
        report = probe_server(context, authority.root)
        assert failed(report) == {}
        assert [each.detail for each in report.checks if each.check == "chain"] == ["trusted by way of CN=root"]

    def test_an_intermediate_as_the_trusted_ca(self, authority: Authority) -> None:
        context = make_identity("server", authority.lower).server_context(authority.folder)
        assert failed(probe_server(context, authority.lower)) == {}

    def test_a_self_signed_certificate_that_is_trusted(self, authority: Authority) -> None:
        leaf = make_identity("server")
        assert failed(probe_server(leaf.server_context(authority.folder), leaf)) == {}

    def test_nothing_is_verified_without_trust(self, authority: Authority) -> None:
        leaf = make_identity("server", days=(-9, -1))
        report = probe_server(leaf.server_context(authority.folder), authority.root, trust=None)
        assert [check.check for check in report.checks] == ["name_resolution", "tcp", "tls", "api"]

    def test_plain_http_where_it_is_meant(self, authority: Authority) -> None:
        with serve(fine) as site:
            report = probe(endpoint(site.url, authority.root), STEP)
        assert [check.check for check in report.checks] == ["name_resolution", "tcp", "api"]
        assert failed(report) == {}


class TestClocks:
    @pytest.mark.parametrize(
        ("off", "told"), [(365 * 86400, "365 days ahead of"), (-7200, "2 hours behind"), (-301, "5 minutes behind")]
    )
    def test_the_servers_clock(self, authority: Authority, off: int, told: str) -> None:
        context = make_identity("server", authority.root).server_context(authority.folder)
        with _with_date(off), serve(fine, context) as site:
            report = probe(endpoint(f"https://127.0.0.1:{site.port}", authority.root), STEP)
        detail, hint = only_failure(report, "clock")
        assert told in detail
        assert "NTP" in hint

    def test_a_little_off_is_fine(self, authority: Authority) -> None:
        context = make_identity("server", authority.root).server_context(authority.folder)
        with _with_date(120), serve(fine, context) as site:
            assert failed(probe(endpoint(f"https://127.0.0.1:{site.port}", authority.root), STEP)) == {}

    def test_this_machines_clock_is_not_blamed_on_the_certificate(self, authority: Authority) -> None:
        context = make_identity("server", authority.root).server_context(authority.folder)
        with serve(fine, context) as site:
            url = f"https://127.0.0.1:{site.port}"
            report = probe(endpoint(url, authority.root), STEP, now=lambda: time.time() + 365 * 86400)
        wrong = failed(report)
        assert set(wrong) == {"validity", "clock"}
        assert wrong["validity"].hint is not None
        assert wrong["validity"].hint.startswith("Set the clocks right first")
        cause = likely_cause(report.checks)
        assert cause is not None
        assert cause.check == "clock"


@contextlib.contextmanager
def _with_date(off: float) -> t.Iterator[None]:
    """Let the test's servers tell another time."""
    honest = BaseHTTPRequestHandler.date_time_string

    def lie(_handler: t.Any, _timestamp: float | None = None) -> str:
        return email.utils.formatdate(time.time() + off, usegmt=True)

    BaseHTTPRequestHandler.date_time_string = lie  # type: ignore[method-assign,assignment]
    try:
        yield
    finally:
        BaseHTTPRequestHandler.date_time_string = honest  # type: ignore[method-assign]


class TestNoTls:
    def test_plain_http(self, authority: Authority) -> None:
        detail, hint = only_failure(probe_server(None, authority.root), "tls")
        assert detail.endswith("speaks plain HTTP.")
        assert "http.tls" in hint

    def test_another_protocol(self, authority: Authority) -> None:
        with raw_server(lambda connection: connection.sendall(b"SSH-2.0-OpenSSH_9.9\r\n")) as url:
            detail, hint = only_failure(probe(endpoint(url, authority.root), STEP), "tls")
        assert detail.endswith("speaks something else than TLS.")
        assert hint == "Check the port."

    def test_closed_port(self, authority: Authority) -> None:
        with raw_server(lambda connection: connection.close()) as url:
            pass
        report = probe(endpoint(url, authority.root), STEP)
        detail, hint = only_failure(report, "tcp")
        assert detail.endswith("refuses connections.")
        assert "the cache's service runs" in hint
        assert report.certificate is None

    def test_hanging_server(self, authority: Authority) -> None:
        began = time.monotonic()
        with raw_server(lambda _connection: None) as url:
            detail, hint = only_failure(probe(endpoint(url, authority.root), 0.3), "tls")
        assert time.monotonic() - began < 1.5
        assert detail == "the connection is accepted, but there is no TLS answer within 0.3 seconds."
        assert "may be stuck" in hint

    def test_closed_in_the_handshake(self, authority: Authority) -> None:
        with raw_server(lambda connection: connection.close()) as url:
            detail, _hint = only_failure(probe(endpoint(url, authority.root), STEP), "tls")
        assert detail == "the connection is closed during the TLS handshake."

    def test_filtered_port(self, authority: Authority) -> None:
        # A listener whose queue is full answers no more, as if packets were dropped on the way.
        with socket.socket() as server, contextlib.ExitStack() as stack:
            server.bind(("127.0.0.1", 0))
            server.listen(0)
            for _each in range(3):
                filler = stack.enter_context(socket.socket())
                filler.setblocking(False)
                filler.connect_ex(server.getsockname())
            time.sleep(0.05)
            url = f"https://127.0.0.1:{server.getsockname()[1]}"
            detail, hint = only_failure(probe(endpoint(url, authority.root), 0.3), "tcp")
        assert "within 0.3 seconds" in detail
        assert "firewalls" in hint

    def test_unknown_name(self, authority: Authority) -> None:
        report = probe(endpoint("https://no-such-host.invalid", authority.root), STEP)
        assert list(failed(report)) == ["name_resolution"]
        assert "no-such-host.invalid" in report.checks[0].detail

    def test_client_certificate_wanted(self, authority: Authority) -> None:
        server = make_identity("server", authority.root)
        context = server.server_context(authority.folder, client_ca=authority.root)
        # With TLS 1.3 a client learns of it only when it reads, and may be too late for that.
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        detail, hint = only_failure(probe_server(context, authority.root), "tls")
        assert detail == "the server requires a client certificate."
        assert "clientcas" in hint
