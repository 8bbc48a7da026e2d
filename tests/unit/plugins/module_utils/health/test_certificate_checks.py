# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real TLS servers, each with one thing wrong with its certificate."""

from __future__ import annotations

import itertools
import ssl

import pytest
from ansible_collections.dtr.cache.plugins.module_utils.health.probes import probe
from ansible_collections.dtr.cache.plugins.module_utils.x509 import certificates
from ansible_collections.dtr.cache.tests.unit.support import web
from ansible_collections.dtr.cache.tests.unit.support.endpoints import (
    STEP,
    Authority,
    chain_context,
    endpoint,
    failed,
    fine,
    only_failure,
    probe_server,
)
from ansible_collections.dtr.cache.tests.unit.support.web import make_identity, serve
from cryptography import x509


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
