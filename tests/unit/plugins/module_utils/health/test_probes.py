# Copyright: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Looks at real TLS servers on 127.0.0.1, each with one thing wrong."""

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
from pathlib import Path

import pytest
from ansible_collections.dtr.cache.plugins.module_utils.health import health, probes
from ansible_collections.dtr.cache.plugins.module_utils.health.checks import CLIENT_TO_CACHE, Check, likely_cause
from ansible_collections.dtr.cache.plugins.module_utils.health.probes import Endpoint, Look, Question, Seen
from ansible_collections.dtr.cache.plugins.module_utils.http import tls
from ansible_collections.dtr.cache.plugins.module_utils.x509 import certificates
from ansible_collections.dtr.cache.tests.unit.support import web
from ansible_collections.dtr.cache.tests.unit.support.web import Identity, Reply, Request, make_identity, serve

STEP = 2.0
GOOD = ["name_resolution", "tcp", "tls", "chain", "host_name", "validity", "api"]


class Authority(t.NamedTuple):
    """A root CA, two intermediate ones below it, and a folder to keep servers' files in."""

    root: Identity
    upper: Identity
    lower: Identity
    folder: Path


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    root = make_identity("root", ca=True)
    upper = make_identity("upper", root, ca=True)
    return Authority(root, upper, make_identity("lower", upper, ca=True), tmp_path_factory.mktemp("servers"))


def chain_context(folder: Path, leaf: Identity, *others: Identity) -> ssl.SSLContext:
    """A server's context that sends these certificates in this order."""
    certificate, key = leaf.write(folder, "leaf")
    certificate.write_text("".join(each.pem for each in (leaf, *others)))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


def judge(seen: Seen | str) -> Check:
    return Check("edge", "api", isinstance(seen, Seen) and seen.status == 200, str(seen))


def endpoint(url: str, ca: Identity, **changes: t.Any) -> Endpoint:
    made = Endpoint(
        edge=CLIENT_TO_CACHE,
        url=url,
        trust=tls.client_context(ca_certificate=ca.pem),
        anchors=[ca.certificate],
        words=health._CACHE_WORDS,
        ask=[Question("/v2/", STEP, judge)],
        min_days=14,
        client_context=health.unverified,
    )
    return made._replace(**changes)


def fine(_request: Request) -> Reply:
    return Reply(200, b"{}")


def look_at_server(context: ssl.SSLContext | None, ca: Identity, **changes: t.Any) -> Look:
    with serve(fine, context) as site:
        url = f"https://127.0.0.1:{site.port}"
        return probes.look_at(endpoint(url, ca, **changes), STEP)


def failed(look: Look) -> dict[str, Check]:
    return {check.check: check for check in look.checks if not check.ok}


def only_failure(look: Look, name: str) -> tuple[str, str]:
    """Detail and hint of the one thing that is wrong."""
    wrong = failed(look)
    assert list(wrong) == [name], look.checks
    return wrong[name].detail, wrong[name].hint or ""


class TestGoodServers:
    def test_everything_is_checked(self, authority: Authority) -> None:
        leaf = make_identity("server", authority.root)
        look = look_at_server(leaf.server_context(authority.folder), authority.root)
        assert failed(look) == {}
        assert [check.check for check in look.checks] == GOOD
        assert look.days_left == 29
        assert look.seconds is not None
        assert look.seconds > 0
        assert look.certificate is not None
        assert look.certificate["subject"] == "CN=server"

    def test_intermediates_in_order(self, authority: Authority) -> None:
        leaf = make_identity("server", authority.lower)
        context = chain_context(authority.folder, leaf, authority.lower, authority.upper)
        look = look_at_server(context, authority.root)
        assert failed(look) == {}
        assert [each.detail for each in look.checks if each.check == "chain"] == ["trusted by way of CN=root"]

    def test_an_intermediate_as_the_trusted_ca(self, authority: Authority) -> None:
        context = make_identity("server", authority.lower).server_context(authority.folder)
        assert failed(look_at_server(context, authority.lower)) == {}

    def test_a_self_signed_certificate_that_is_trusted(self, authority: Authority) -> None:
        leaf = make_identity("server")
        assert failed(look_at_server(leaf.server_context(authority.folder), leaf)) == {}

    def test_nothing_is_verified_without_trust(self, authority: Authority) -> None:
        leaf = make_identity("server", days=(-9, -1))
        look = look_at_server(leaf.server_context(authority.folder), authority.root, trust=None)
        assert [check.check for check in look.checks] == ["name_resolution", "tcp", "tls", "api"]

    def test_plain_http_where_it_is_meant(self, authority: Authority) -> None:
        with serve(fine) as site:
            look = probes.look_at(endpoint(site.url, authority.root), STEP)
        assert [check.check for check in look.checks] == ["name_resolution", "tcp", "api"]
        assert failed(look) == {}


class TestCertificates:
    def test_unknown_ca(self, authority: Authority) -> None:
        stranger = make_identity("stranger", ca=True)
        context = make_identity("server", authority.root).server_context(authority.folder)
        detail, hint = only_failure(look_at_server(context, stranger), "chain")
        assert detail == (
            "CN=root, the issuer of CN=server, is neither sent by the server nor trusted (trusted: CN=stranger)."
        )
        assert "if it is the CA itself, trust it by ca_path or ca_certificate" in hint

    def test_unknown_ca_that_is_sent(self, authority: Authority) -> None:
        stranger = make_identity("stranger", ca=True)
        context = chain_context(authority.folder, make_identity("server", authority.root), authority.root)
        detail, hint = only_failure(look_at_server(context, stranger), "chain")
        assert detail == "the chain ends at the CA CN=root, which is not trusted."
        assert hint.startswith("If this is the right server, trust that CA by ca_path")

    def test_ca_that_was_made_anew(self, authority: Authority) -> None:
        context = make_identity("server", make_identity("root", ca=True)).server_context(authority.folder)
        detail, hint = only_failure(look_at_server(context, authority.root), "chain")
        assert detail == "CN=server is signed by another CA of the name CN=root than the trusted one."
        assert "made anew" in hint

    def test_self_signed(self, authority: Authority) -> None:
        detail, _hint = only_failure(
            look_at_server(make_identity("server").server_context(authority.folder), authority.root), "chain"
        )
        assert detail == "the certificate is self-signed and not trusted."

    @pytest.mark.parametrize(
        ("sent", "missing", "below"), [((), "CN=lower", "CN=server"), (("lower",), "CN=upper", "CN=lower")]
    )
    def test_intermediate_missing(self, authority: Authority, sent: tuple[str, ...], missing: str, below: str) -> None:
        leaf = make_identity("server", authority.lower)
        context = chain_context(authority.folder, leaf, *(getattr(authority, name) for name in sent))
        detail, hint = only_failure(look_at_server(context, authority.root), "chain")
        assert (
            detail == f"{missing}, the issuer of {below}, is neither sent by the server nor trusted (trusted: CN=root)."
        )
        assert hint.startswith(f"If {missing} is an intermediate CA, append its certificate to the cache's certificate")

    def test_chain_reversed(self, authority: Authority) -> None:
        leaf = make_identity("server", authority.lower)
        context = chain_context(authority.folder, leaf, authority.upper, authority.lower)
        detail, hint = only_failure(look_at_server(context, authority.root), "chain")
        assert "wrong order" in detail
        assert "the server's own first" in hint

    def test_expired(self, authority: Authority) -> None:
        leaf = make_identity("server", authority.root, days=(-30, -3))
        detail, hint = only_failure(look_at_server(leaf.server_context(authority.folder), authority.root), "validity")
        assert detail.startswith("the certificate expired on ")
        assert "dtr.cache.rotate" in hint

    def test_not_yet_valid(self, authority: Authority) -> None:
        leaf = make_identity("server", authority.root, days=(2, 30))
        detail, hint = only_failure(look_at_server(leaf.server_context(authority.folder), authority.root), "validity")
        assert detail.startswith("not valid before ")
        assert "clocks" in hint

    @pytest.mark.parametrize(("min_days", "ok"), [(29, True), (30, False)])
    def test_days_left(self, authority: Authority, min_days: int, ok: bool) -> None:
        context = make_identity("server", authority.root, days=(-1, 30)).server_context(authority.folder)
        look = look_at_server(context, authority.root, min_days=min_days)
        assert ("validity" not in failed(look)) is ok

    def test_an_intermediate_expires_first(self, authority: Authority) -> None:
        dying = make_identity("dying", authority.root, ca=True, days=(-30, 3))
        context = chain_context(authority.folder, make_identity("server", dying), dying)
        look = look_at_server(context, authority.root)
        detail, _hint = only_failure(look, "validity")
        assert detail.startswith("the CA certificate CN=dying expires in 2 days")
        assert look.days_left == 2

    def test_the_trusted_ca_has_expired(self, authority: Authority) -> None:
        dead = make_identity("dead", ca=True, days=(-30, -3))
        look = look_at_server(make_identity("server", dead).server_context(authority.folder), dead)
        detail, _hint = only_failure(look, "validity")
        assert detail.startswith("the CA certificate CN=dead expired")

    def test_wrong_host(self, authority: Authority) -> None:
        context = make_identity("server", authority.root, addresses=["127.0.0.2"]).server_context(authority.folder)
        detail, hint = only_failure(look_at_server(context, authority.root), "host_name")
        assert detail == "the certificate covers 127.0.0.2, and not 127.0.0.1."
        assert "issued for this one" in hint

    def test_everything_wrong_at_once_is_told_at_once(self, authority: Authority) -> None:
        stranger = make_identity("stranger", ca=True)
        leaf = make_identity("server", authority.root, addresses=["127.0.0.2"], days=(-30, -3))
        look = look_at_server(leaf.server_context(authority.folder), stranger)
        assert set(failed(look)) == {"chain", "host_name", "validity"}
        assert look.checks[-1].ok


def test_a_certificate_that_cannot_be_read(authority: Authority) -> None:
    """Its list of names is no list: seen only where the list is asked for."""
    leaf = make_identity("server", authority.root, names=b"\x04\x00")
    detail, hint = only_failure(look_at_server(leaf.server_context(authority.folder), authority.root), "chain")
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
    look = look_at_server(context, authority.root, certificate=wanted)
    told = failed(look)
    assert told["chain"].detail == "a certificate that it sends cannot be read: 9 is not a valid X509 version."
    assert "another certificate than the wanted one: SHA-256 " in told["certificate"].detail
    assert set(told) == {"chain", "certificate"}
    assert look.certificate is None


class TestWantedCertificate:
    @pytest.mark.parametrize("wanted", [True, False])
    def test_the_one_that_it_has_is_compared(self, authority: Authority, wanted: bool) -> None:
        leaf, other = make_identity("server", authority.root), make_identity("server", authority.root)
        fingerprint = certificates.fingerprint((leaf if wanted else other).certificate)
        look = look_at_server(leaf.server_context(authority.folder), authority.root, certificate=fingerprint)
        assert [check.ok for check in look.checks if check.check == "certificate"] == [wanted]
        if not wanted:
            detail, _hint = only_failure(look, "certificate")
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
            look = probes.look_at(made._replace(certificate=certificates.fingerprint(leaf.certificate)), STEP)
        assert "some of the cache's replicas have another" in failed(look)["certificate"].detail


class TestOldPython:
    """Before 3.10 Python shows nothing but the server's own certificate."""

    @pytest.fixture(autouse=True)
    def no_chains(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(probes, "_chain_by", lambda _connection, _method: [])

    def test_healthy(self, authority: Authority) -> None:
        context = chain_context(
            authority.folder, make_identity("server", authority.lower), authority.lower, authority.upper
        )
        look = look_at_server(context, authority.root)
        assert failed(look) == {}
        assert look.days_left == 29

    def test_nothing_is_said_of_what_cannot_be_seen(self, authority: Authority) -> None:
        context = chain_context(authority.folder, make_identity("server", authority.lower), authority.upper)
        detail, hint = only_failure(look_at_server(context, authority.root), "chain")
        assert detail == "the certificate does not lead to a trusted CA."
        assert "intermediate certificates" in hint


class TestClocks:
    @pytest.mark.parametrize(
        ("off", "told"), [(365 * 86400, "365 days ahead of"), (-7200, "2 hours behind"), (-301, "5 minutes behind")]
    )
    def test_the_servers_clock(self, authority: Authority, off: int, told: str) -> None:
        context = make_identity("server", authority.root).server_context(authority.folder)
        with _with_date(off), serve(fine, context) as site:
            look = probes.look_at(endpoint(f"https://127.0.0.1:{site.port}", authority.root), STEP)
        detail, hint = only_failure(look, "clock")
        assert told in detail
        assert "NTP" in hint

    def test_a_little_off_is_fine(self, authority: Authority) -> None:
        context = make_identity("server", authority.root).server_context(authority.folder)
        with _with_date(120), serve(fine, context) as site:
            assert failed(probes.look_at(endpoint(f"https://127.0.0.1:{site.port}", authority.root), STEP)) == {}

    def test_this_machines_clock_is_not_blamed_on_the_certificate(self, authority: Authority) -> None:
        context = make_identity("server", authority.root).server_context(authority.folder)
        with serve(fine, context) as site:
            url = f"https://127.0.0.1:{site.port}"
            look = probes.look_at(endpoint(url, authority.root), STEP, now=lambda: time.time() + 365 * 86400)
        wrong = failed(look)
        assert set(wrong) == {"validity", "clock"}
        assert wrong["validity"].hint is not None
        assert wrong["validity"].hint.startswith("Set the clocks right first")
        cause = likely_cause(look.checks)
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


@contextlib.contextmanager
def raw_server(behaviour: t.Callable[[socket.socket], None]) -> t.Iterator[str]:
    """A TCP server that does anything but what it should."""
    held: list[socket.socket] = []

    def run() -> None:
        while True:
            try:
                connection, _address = server.accept()
            except OSError:
                return
            held.append(connection)
            with contextlib.suppress(OSError):
                behaviour(connection)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        try:
            yield f"https://127.0.0.1:{server.getsockname()[1]}"
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()
            for connection in held:
                connection.close()


class TestNoTls:
    def test_plain_http(self, authority: Authority) -> None:
        detail, hint = only_failure(look_at_server(None, authority.root), "tls")
        assert detail.endswith("speaks plain HTTP.")
        assert "http.tls" in hint

    def test_another_protocol(self, authority: Authority) -> None:
        with raw_server(lambda connection: connection.sendall(b"SSH-2.0-OpenSSH_9.9\r\n")) as url:
            detail, hint = only_failure(probes.look_at(endpoint(url, authority.root), STEP), "tls")
        assert detail.endswith("speaks something else than TLS.")
        assert hint == "Check the port."

    def test_closed_port(self, authority: Authority) -> None:
        with raw_server(lambda connection: connection.close()) as url:
            pass
        look = probes.look_at(endpoint(url, authority.root), STEP)
        detail, hint = only_failure(look, "tcp")
        assert detail.endswith("refuses connections.")
        assert "the cache's service runs" in hint
        assert look.certificate is None

    def test_hanging_server(self, authority: Authority) -> None:
        began = time.monotonic()
        with raw_server(lambda _connection: None) as url:
            detail, hint = only_failure(probes.look_at(endpoint(url, authority.root), 0.3), "tls")
        assert time.monotonic() - began < 1.5
        assert detail == "the connection is accepted, but there is no TLS answer within 0.3 seconds."
        assert "may be stuck" in hint

    def test_closed_in_the_handshake(self, authority: Authority) -> None:
        with raw_server(lambda connection: connection.close()) as url:
            detail, _hint = only_failure(probes.look_at(endpoint(url, authority.root), STEP), "tls")
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
            detail, hint = only_failure(probes.look_at(endpoint(url, authority.root), 0.3), "tcp")
        assert "within 0.3 seconds" in detail
        assert "firewalls" in hint

    def test_unknown_name(self, authority: Authority) -> None:
        look = probes.look_at(endpoint("https://no-such-host.invalid", authority.root), STEP)
        assert list(failed(look)) == ["name_resolution"]
        assert "no-such-host.invalid" in look.checks[0].detail

    def test_client_certificate_wanted(self, authority: Authority) -> None:
        server = make_identity("server", authority.root)
        context = server.server_context(authority.folder, client_ca=authority.root)
        # With TLS 1.3 a client learns of it only when it reads, and may be too late for that.
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        detail, hint = only_failure(look_at_server(context, authority.root), "tls")
        assert detail == "the server requires a client certificate."
        assert "clientcas" in hint


class TestAddresses:
    """A name with two addresses, as a cache of two replicas has."""

    @pytest.fixture(autouse=True)
    def two_addresses(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def resolve(_host: str, port: int, **_options: t.Any) -> list[t.Any]:
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (f"127.0.0.{each}", port)) for each in (1, 2)]

        monkeypatch.setattr(socket, "getaddrinfo", resolve)

    def test_one_of_them_is_enough(self, authority: Authority) -> None:
        # The server listens on 127.0.0.1 only.
        look = look_at_server(make_identity("server", authority.root).server_context(authority.folder), authority.root)
        assert failed(look) == {}
        assert look.checks[0].detail == "127.0.0.1 is 127.0.0.1, 127.0.0.2"
        assert look.checks[1].detail.startswith("127.0.0.1: connected; 127.0.0.2: port ")

    def test_none(self, authority: Authority) -> None:
        with raw_server(lambda connection: connection.close()) as url:
            pass
        detail, _hint = only_failure(probes.look_at(endpoint(url, authority.root), STEP), "tcp")
        assert detail.count("refuses connections") == 2

    def test_each_that_answers_has_to_be_right(self, authority: Authority) -> None:
        good = make_identity("server", authority.root)
        with serve(fine, good.server_context(authority.folder)) as site:
            old = make_identity("old", authority.root, days=(-30, -3)).server_context(authority.folder)
            with _second_server(("127.0.0.2", site.port), old):
                look = probes.look_at(endpoint(f"https://127.0.0.1:{site.port}", authority.root), 0.5)
        wrong = failed(look)
        assert wrong["validity"].detail.startswith("127.0.0.2: the certificate expired")
        assert look.days_left is not None
        assert look.days_left < 0


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
