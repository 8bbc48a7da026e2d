# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real servers: good ones, ones with one thing wrong, and ones with several addresses."""

from __future__ import annotations

import contextlib
import email.utils
import itertools
import socket
import ssl
import threading
import time
import typing as t
from http.server import BaseHTTPRequestHandler

import pytest
from ansible_collections.dtr.cache.plugins.module_utils.common.vocabulary import ROLES, VARIABLE
from ansible_collections.dtr.cache.plugins.module_utils.health.checks import likely_cause
from ansible_collections.dtr.cache.plugins.module_utils.health.examine import cache_endpoint
from ansible_collections.dtr.cache.plugins.module_utils.health.probe import probe
from ansible_collections.dtr.cache.plugins.module_utils.x509 import certificates
from ansible_collections.dtr.cache.tests.unit.support import web
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
from cryptography import x509


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


class TestCertificates:
    def test_unknown_ca(self, authority: Authority) -> None:
        stranger = make_identity("stranger", ca=True)
        context = make_identity("server", authority.root).server_context(authority.folder)
        detail, hint = only_failure(probe_server(context, stranger), "chain")
        assert detail == (
            "CN=root, the issuer of CN=server, is neither sent by the server nor trusted (trusted: CN=stranger)."
        )
        assert "if it is the CA itself, trust it by ca_path or ca_certificate" in hint

    def test_unknown_ca_that_is_sent(self, authority: Authority) -> None:
        stranger = make_identity("stranger", ca=True)
        context = chain_context(authority.folder, make_identity("server", authority.root), authority.root)
        detail, hint = only_failure(probe_server(context, stranger), "chain")
        assert detail == "the chain ends at the CA CN=root, which is not trusted."
        assert hint.startswith("If this is the right server, trust that CA by ca_path")

    def test_ca_that_was_made_anew(self, authority: Authority) -> None:
        context = make_identity("server", make_identity("root", ca=True)).server_context(authority.folder)
        detail, hint = only_failure(probe_server(context, authority.root), "chain")
        assert detail == "CN=server is signed by another CA of the name CN=root than the trusted one."
        assert hint.startswith("Use the CA that signed it. CAs are trusted by ca_path")

    def test_wrong_authority_key_identifier(self, authority: Authority) -> None:
        """Found by no name or signature, and not cured by another CA."""
        key = x509.AuthorityKeyIdentifier(b"another key", None, None)
        root = make_identity("root", ca=True, more=[x509.SubjectKeyIdentifier(b"its own key")])
        leaf = make_identity("server", root, more=[key])
        detail, hint = only_failure(probe_server(leaf.server_context(authority.folder), root), "chain")
        assert "its authority key identifier names another key" in detail
        assert hint.startswith("Have it issued anew.")

    def test_self_signed(self, authority: Authority) -> None:
        detail, _hint = only_failure(
            probe_server(make_identity("server").server_context(authority.folder), authority.root), "chain"
        )
        assert detail == "the certificate is self-signed and not trusted."

    @pytest.mark.parametrize(
        ("sent", "missing", "below"), [((), "CN=lower", "CN=server"), (("lower",), "CN=upper", "CN=lower")]
    )
    def test_intermediate_missing(self, authority: Authority, sent: tuple[str, ...], missing: str, below: str) -> None:
        leaf = make_identity("server", authority.lower)
        context = chain_context(authority.folder, leaf, *(getattr(authority, name) for name in sent))
        detail, hint = only_failure(probe_server(context, authority.root), "chain")
        assert (
            detail == f"{missing}, the issuer of {below}, is neither sent by the server nor trusted (trusted: CN=root)."
        )
        assert hint.startswith(f"If {missing} is an intermediate CA, append its certificate to the cache's certificate")

    def test_chain_reversed(self, authority: Authority) -> None:
        leaf = make_identity("server", authority.lower)
        context = chain_context(authority.folder, leaf, authority.upper, authority.lower)
        detail, hint = only_failure(probe_server(context, authority.root), "chain")
        assert "wrong order" in detail
        assert "the server's own first" in hint

    def test_expired(self, authority: Authority) -> None:
        leaf = make_identity("server", authority.root, days=(-30, -3))
        detail, hint = only_failure(probe_server(leaf.server_context(authority.folder), authority.root), "validity")
        assert detail.startswith("the certificate expired on ")
        assert "dtr.cache.rotate" in hint

    def test_not_yet_valid(self, authority: Authority) -> None:
        leaf = make_identity("server", authority.root, days=(2, 30))
        detail, hint = only_failure(probe_server(leaf.server_context(authority.folder), authority.root), "validity")
        assert detail.startswith("not valid before ")
        assert "clocks" in hint

    @pytest.mark.parametrize(("min_days", "ok"), [(29, True), (30, False)])
    def test_days_left(self, authority: Authority, min_days: int, ok: bool) -> None:
        context = make_identity("server", authority.root, days=(-1, 30)).server_context(authority.folder)
        report = probe_server(context, authority.root, min_days=min_days)
        assert ("validity" not in failed(report)) is ok

    def test_an_intermediate_expires_first(self, authority: Authority) -> None:
        dying = make_identity("dying", authority.root, ca=True, days=(-30, 3))
        context = chain_context(authority.folder, make_identity("server", dying), dying)
        report = probe_server(context, authority.root)
        detail, _hint = only_failure(report, "validity")
        assert detail.startswith("the CA certificate CN=dying expires in 2 days")
        assert report.days_left == 2

    def test_the_trusted_ca_has_expired(self, authority: Authority) -> None:
        dead = make_identity("dead", ca=True, days=(-30, -3))
        report = probe_server(make_identity("server", dead).server_context(authority.folder), dead)
        detail, _hint = only_failure(report, "validity")
        assert detail.startswith("the CA certificate CN=dead expired")

    def test_wrong_host(self, authority: Authority) -> None:
        context = make_identity("server", authority.root, addresses=["127.0.0.2"]).server_context(authority.folder)
        detail, hint = only_failure(probe_server(context, authority.root), "host_name")
        assert detail == "the certificate covers 127.0.0.2, and not 127.0.0.1."
        assert "issued for this one" in hint

    def test_everything_wrong_at_once_is_told_at_once(self, authority: Authority) -> None:
        stranger = make_identity("stranger", ca=True)
        leaf = make_identity("server", authority.root, addresses=["127.0.0.2"], days=(-30, -3))
        report = probe_server(leaf.server_context(authority.folder), stranger)
        assert set(failed(report)) == {"chain", "host_name", "validity"}
        assert report.checks[-1].ok


def test_a_certificate_that_cannot_be_read(authority: Authority) -> None:
    """Its list of names is no list: seen only where the list is asked for."""
    leaf = make_identity("server", authority.root, names=b"\x04\x00")
    detail, hint = only_failure(probe_server(leaf.server_context(authority.folder), authority.root), "chain")
    assert detail.startswith("a certificate that it sends cannot be read: ")
    assert "Renew" in hint


def test_a_certificate_that_cannot_even_be_loaded(authority: Authority) -> None:
    """OpenSSL sends and takes a version that does not exist."""
    leaf = make_identity("server", authority.root)
    certificate, key = leaf.write(authority.folder, "version")
    certificate.write_text(leaf.malformed_pem(web.VERSION, web.UNKNOWN_VERSION))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    wanted = certificates.fingerprint(leaf.certificate)
    report = probe_server(context, authority.root, certificate=wanted)
    told = failed(report)
    assert told["chain"].detail == "a certificate that it sends cannot be read: 9 is not a valid X509 version."
    assert "another certificate than the wanted one: SHA-256 " in told["certificate"].detail
    assert set(told) == {"chain", "certificate"}
    assert report.certificate is None


class TestWantedCertificate:
    @pytest.mark.parametrize("wanted", [True, False])
    def test_the_one_that_it_has_is_compared(self, authority: Authority, wanted: bool) -> None:
        leaf, other = make_identity("server", authority.root), make_identity("server", authority.root)
        fingerprint = certificates.fingerprint((leaf if wanted else other).certificate)
        report = probe_server(leaf.server_context(authority.folder), authority.root, certificate=fingerprint)
        assert [check.ok for check in report.checks if check.check == "certificate"] == [wanted]
        if not wanted:
            detail, _hint = only_failure(report, "certificate")
            assert detail.startswith("the server has another certificate than the wanted one")
            assert certificates.fingerprint(leaf.certificate) in detail

    def test_one_of_several_replicas_behind_an_address(self, authority: Authority) -> None:
        leaf, other = (make_identity("server", authority.root) for _each in range(2))
        contexts = []
        for number, each in enumerate((leaf, other)):
            folder = authority.folder / str(number)
            folder.mkdir()
            contexts.append(each.server_context(folder))
        handshakes = itertools.count()

        def in_turn(connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
            connection.context = contexts[next(handshakes) % 2]

        contexts[0].sni_callback = in_turn
        with serve(fine, contexts[0]) as site:
            made = endpoint(f"https://localhost:{site.port}", authority.root)
            report = probe(made._replace(certificate=certificates.fingerprint(leaf.certificate)), STEP)
        assert "some of the cache's replicas have another" in failed(report)["certificate"].detail


class TestOldPython:
    """Before 3.10 Python shows nothing but the server's own certificate."""

    @pytest.fixture(autouse=True)
    def no_chains(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(certificates, "_chain_by", lambda _connection, _method: [])

    def test_healthy(self, authority: Authority) -> None:
        context = chain_context(
            authority.folder, make_identity("server", authority.lower), authority.lower, authority.upper
        )
        report = probe_server(context, authority.root)
        assert failed(report) == {}
        assert report.days_left == 29

    def test_nothing_is_said_of_what_cannot_be_seen(self, authority: Authority) -> None:
        context = chain_context(authority.folder, make_identity("server", authority.lower), authority.upper)
        detail, hint = only_failure(probe_server(context, authority.root), "chain")
        assert detail == "the certificate does not lead to a trusted CA."
        assert "intermediate certificates" in hint


@pytest.mark.parametrize(
    ("port", "hint"), [(None, "the cache's service runs"), (443, "(dtr_cache_public_port) and leads to port 443")]
)
def test_the_port_of_a_load_balancer_is_none_of_the_service(
    port: int | None, hint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, ROLES)
    with raw_server(lambda connection: connection.close()) as url:
        pass
    found = probe(cache_endpoint(url, port, None), STEP)
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
