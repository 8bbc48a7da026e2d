# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""TLS and proxies against real servers."""

from __future__ import annotations

import contextlib
import os
import ssl
import time
import typing as t
from pathlib import Path

import pytest
from ansible_collections.dtr.cache.plugins.module_utils.common.failure import Failure
from ansible_collections.dtr.cache.plugins.module_utils.http import connections
from ansible_collections.dtr.cache.tests.unit.support.transports import always, connect
from ansible_collections.dtr.cache.tests.unit.support.web import Identity, Reply, make_identity, serve


def open_files() -> list[str]:
    """What this process has open."""
    found = []
    for number in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):
            found.append(os.readlink(f"/proc/self/fd/{number}"))
    return found


class TestTls:
    def get(self, identity: Identity, folder: Path, client_ca: Identity | None = None, **options: t.Any) -> t.Any:
        with serve(always(Reply(200, b"[]")), identity.server_context(folder, client_ca)) as site:
            return connect(site.url, retries=0, **options).get_json("/x")

    def test_ca_as_text_file_and_folder(self, authority: Identity, server: Identity, tmp_path: Path) -> None:
        folder = tmp_path / "certs.d"
        folder.mkdir()
        file = folder / "ca.crt"
        file.write_text(authority.pem)
        assert self.get(server, tmp_path, ca_certificate=authority.pem) == []
        assert self.get(server, tmp_path, ca_path=str(file)) == []
        assert self.get(server, tmp_path, ca_path=str(folder)) == []

    def test_verification_is_on_by_default(self, server: Identity, tmp_path: Path) -> None:
        with pytest.raises(Failure, match="signed by an unknown authority") as raised:
            self.get(server, tmp_path)
        assert raised.value.code == "TLS_UNKNOWN_AUTHORITY"
        assert "ca_path" in (raised.value.hint or "")

    def test_nothing_is_sent_after_a_failed_handshake(self, server: Identity, tmp_path: Path) -> None:
        with serve(always(Reply(200, b"[]")), server.server_context(tmp_path)) as site:
            transport = connect(site.url, retries=0)
            for _round in range(3):
                with pytest.raises(Failure, match="unknown authority"):
                    transport.get_json("/x")
        assert site.requests == []

    def test_a_given_ca_replaces_all_others(self, server: Identity, tmp_path: Path) -> None:
        with pytest.raises(Failure, match="unknown authority"):
            self.get(server, tmp_path, ca_certificate=make_identity("Another CA", ca=True).pem)

    def test_verification_can_be_switched_off(self, server: Identity, tmp_path: Path) -> None:
        assert self.get(server, tmp_path, validate_certs=False) == []

    def test_intermediate_ca_as_anchor(self, authority: Identity, tmp_path: Path) -> None:
        intermediate = make_identity("Intermediate", authority, ca=True)
        leaf = make_identity("dtr", intermediate)
        assert self.get(leaf, tmp_path, ca_certificate=intermediate.pem) == []

    def test_expired(self, authority: Identity, tmp_path: Path) -> None:
        old = make_identity("dtr", authority, days=(-30, -1))
        with pytest.raises(Failure, match="has expired") as raised:
            self.get(old, tmp_path, ca_certificate=authority.pem)
        assert raised.value.code == "TLS_EXPIRED"

    def test_not_yet_valid(self, authority: Identity, tmp_path: Path) -> None:
        early = make_identity("dtr", authority, days=(1, 2))
        with pytest.raises(Failure, match="not valid yet"):
            self.get(early, tmp_path, ca_certificate=authority.pem)

    def test_other_host_name(self, authority: Identity, tmp_path: Path) -> None:
        other = make_identity("dtr", authority, addresses=["127.0.0.2"])
        with pytest.raises(Failure, match="another host name") as raised:
            self.get(other, tmp_path, ca_certificate=authority.pem)
        assert raised.value.code == "TLS_HOST_MISMATCH"

    def test_plain_http_on_the_port(self, authority: Identity) -> None:
        with serve(always(Reply(200))) as site, pytest.raises(Failure, match="does not speak TLS") as raised:
            connect(f"https://127.0.0.1:{site.port}", ca_certificate=authority.pem).get_json("/x")
        assert raised.value.code == "TLS_NOT_SPOKEN"

    def test_client_certificate(self, authority: Identity, server: Identity, tmp_path: Path) -> None:
        clients = make_identity("CA of the clients", ca=True)
        certificate, key = make_identity("alice", clients).write(tmp_path, "alice")
        common = {"ca_certificate": authority.pem, "username": None, "password": None}
        assert self.get(server, tmp_path, clients, client_cert=str(certificate), client_key=str(key), **common) == []
        with pytest.raises(Failure) as raised:
            self.get(server, tmp_path, clients, **common)
        assert raised.value.code == "TLS_CLIENT_CERTIFICATE_REQUIRED"
        alice = make_identity("alice", clients)
        # As text, which needs no file; a file of the environment has no part in it then.
        text = {"client_certificate": alice.pem + alice.key_pem, "client_cert": "/nonexistent.pem"}
        assert self.get(server, tmp_path, clients, **text, **common) == []
        # The server's own connections may end a moment later.
        assert not [file for file in open_files() if "client-certificate" in file]

    @pytest.mark.parametrize("python310", [False, True])
    def test_a_refusal_that_comes_before_the_request_is_written(
        self, authority: Identity, server: Identity, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, python310: bool
    ) -> None:
        """In TLS 1.3 the server refuses the client after the handshake, and may have closed by then."""
        send = connections.Connection.send

        def late(connection: connections.Connection, data: t.Any) -> None:
            time.sleep(0.1)
            try:
                send(connection, data)
            except OSError:
                if python310:
                    raise ssl.SSLError(ssl.SSL_ERROR_SYSCALL, "[SYS] unknown error (_ssl.c:2426)") from None
                raise

        monkeypatch.setattr(connections.Connection, "send", late)
        with pytest.raises(Failure) as raised:
            self.get(server, tmp_path, make_identity("CA of the clients", ca=True), ca_certificate=authority.pem)
        assert raised.value.code == "TLS_CLIENT_CERTIFICATE_REQUIRED"

    def test_files_that_cannot_be_used(self, authority: Identity, tmp_path: Path) -> None:
        certificate, key = make_identity("alice", authority).write(tmp_path, "alice")
        _other, wrong_key = make_identity("bob", authority).write(tmp_path, "bob")
        locked = tmp_path / "locked.pem"
        locked.write_text(make_identity("carol").encrypted_key_pem("pass"))
        junk = tmp_path / "junk.pem"
        junk.write_text("junk")
        for options, message in (
            ({"ca_path": "/nonexistent/ca.pem"}, "ca_path: /nonexistent/ca.pem cannot be used: no such file"),
            ({"ca_path": str(junk)}, "ca_path: .* holds no usable PEM certificate"),
            ({"ca_certificate": "junk"}, "ca_certificate: the PEM text cannot be used"),
            ({"client_cert": "/nonexistent/c.pem"}, "client_cert: /nonexistent/c.pem cannot be used"),
            ({"client_cert": str(junk)}, "client_cert: .* usable PEM certificate and key"),
            ({"client_cert": str(certificate), "client_key": str(wrong_key)}, "does not belong to the certificate"),
            ({"client_cert": str(certificate), "client_key": str(locked)}, "encrypted with a passphrase"),
            (
                {"client_certificate": certificate.read_text()},
                "client_certificate: the PEM text cannot be used: it doe",
            ),
            ({"client_certificate": certificate.read_text() + wrong_key.read_text()}, "does not belong to the certif"),
            (
                {"client_certificate": certificate.read_text() + locked.read_text()},
                "client_certificate: the key in the",
            ),
        ):
            with pytest.raises(Failure, match=message) as raised:
                connect("https://dtr.example.org", **options)
            assert raised.value.code == "INVALID_INPUT"
        connect("https://dtr.example.org", client_cert=str(certificate), client_key=str(key))


class TestProxy:
    def test_https_goes_through_the_proxy_of_the_environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with serve(always(Reply(407))) as proxy:
            monkeypatch.setenv("HTTPS_PROXY", f"http://user:pass@127.0.0.1:{proxy.port}")
            with pytest.raises(Failure) as raised:
                connect("https://dtr.example.org", retries=0).get_json("/x")
        assert raised.value.code == "PROXY_FAILED"

    @pytest.mark.parametrize("no_proxy", ["127.0.0.0/8", "localhost, 127.0.0.1", "*"])
    def test_no_proxy(
        self, no_proxy: str, server: Identity, authority: Identity, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
        monkeypatch.setenv("NO_PROXY", no_proxy)
        with serve(always(Reply(200, b"[]")), server.server_context(tmp_path)) as site:
            assert connect(site.url, ca_certificate=authority.pem).get_json("/x") == []
