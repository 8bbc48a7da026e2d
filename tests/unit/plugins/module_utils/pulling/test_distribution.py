# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""DTR's C(/v2) as a client that pulls sees it, against a real server."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.dtr.cache.plugins.module_utils.common.failure import Failure
from ansible_collections.dtr.cache.plugins.module_utils.common.urls import Origin, origin_of
from ansible_collections.dtr.cache.plugins.module_utils.http.retries import Backoff
from ansible_collections.dtr.cache.plugins.module_utils.http.transport import Transport
from ansible_collections.dtr.cache.plugins.module_utils.pulling.distribution import Distribution
from ansible_collections.dtr.cache.tests.unit.support.pulling import PASSWORD, FakeDtr, running, sha256
from ansible_collections.dtr.cache.tests.unit.support.web import Reply, Request, serve

REPOSITORY = "engineering/app"


@pytest.fixture
def dtr() -> t.Iterator[FakeDtr]:
    with running() as made:
        yield made


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def connect(dtr: FakeDtr, **more: t.Any) -> Distribution:
    transport = Transport(
        dtr.site.url, username="alice", password=PASSWORD, timeout=5, backoff=Backoff(base=0.001, cap=0.002, budget=5)
    )
    return Distribution(transport, "alice", **more)


class TestManifest:
    def test_by_tag_and_by_digest(self, dtr: FakeDtr) -> None:
        digest = dtr.add_image("engineering/app:1.0", b"layer")
        content = dtr.manifests["engineering/app:1.0"]
        assert connect(dtr).manifest(REPOSITORY, "1.0") == (digest, content)
        assert connect(dtr).manifest(REPOSITORY, digest) == (digest, content)

    def test_asks_for_the_four_formats(self, dtr: FakeDtr) -> None:
        dtr.add_image("engineering/app:1.0")
        connect(dtr).manifest(REPOSITORY, "1.0")
        accepted = dtr.site.requests[-1].headers["Accept"]
        assert accepted.count("application/vnd.docker.distribution.manifest") == 2
        assert accepted.count("application/vnd.oci.image") == 2

    def test_unknown(self, dtr: FakeDtr) -> None:
        with pytest.raises(Failure, match="DTR has no image engineering/app:9") as caught:
            connect(dtr).manifest(REPOSITORY, "9")
        assert caught.value.code == "MANIFEST_UNKNOWN"

    @pytest.mark.parametrize("reference", ["1.0", sha256(b"promised")])
    def test_changed_on_the_way(self, dtr: FakeDtr, reference: str) -> None:
        def lie(request: Request) -> Reply:
            reply = honest(request)
            return reply if "manifests" not in request.path else Reply(200, b"{}", {"Docker-Content-Digest": DIGEST})

        honest, dtr.site.behaviour = dtr.site.behaviour, lie
        with pytest.raises(Failure) as caught:
            connect(dtr).manifest(REPOSITORY, reference)
        assert caught.value.code == "DIGEST_MISMATCH"

    @pytest.mark.parametrize("named", ["", "md5:0123", "blake3:" + 64 * "0"])
    @pytest.mark.parametrize("known", [True, False])
    def test_without_a_digest_to_compare_with(self, dtr: FakeDtr, named: str, known: bool) -> None:
        """What came for the tag has to be what DTR has under its digest."""
        digest = dtr.add_image("engineering/app:1.0", b"layer")
        honest = dtr.site.behaviour

        def silent(request: Request) -> Reply:
            reply = honest(request)
            if "manifests" not in request.path:
                return reply
            other = b"{}" if request.path.endswith("1.0") and not known else reply.body
            return Reply(reply.status, other, {"Docker-Content-Digest": named} if named else {})

        dtr.site.behaviour = silent
        if known:
            assert connect(dtr).manifest(REPOSITORY, "1.0")[0] == digest
            return
        with pytest.raises(Failure, match="a pull of it proves nothing") as caught:
            connect(dtr).manifest(REPOSITORY, "1.0")
        assert caught.value.code == "NO_PROOF"

    def test_not_permitted(self, dtr: FakeDtr) -> None:
        dtr.denied.add(REPOSITORY)
        with pytest.raises(Failure) as caught:
            connect(dtr).manifest(REPOSITORY, "1.0")
        assert caught.value.code == "NOT_AUTHORIZED"
        assert "Account alice may not pull from engineering/app: DTR answered 401" in caught.value.message

    def test_redirect_is_not_followed(self, dtr: FakeDtr) -> None:
        dtr.site.behaviour = lambda request: (
            Reply(302, b"", {"Location": "https://elsewhere.example.com/x?secret=1"})
            if "manifests" in request.path
            else dtr.handle(request)
        )
        with pytest.raises(
            Failure, match=r"https://elsewhere\.example\.com/x; manifests have to come from DTR"
        ) as caught:
            connect(dtr).manifest(REPOSITORY, "1.0")
        assert "secret" not in caught.value.as_result()["msg"]


DIGEST = sha256(b"promised")


class TestBlobLocation:
    def test_redirect_with_its_signature_untouched(self, dtr: FakeDtr) -> None:
        assert connect(dtr).blob_location(REPOSITORY, DIGEST) == dtr.signed(DIGEST)

    def test_relative_redirect(self, dtr: FakeDtr) -> None:
        dtr.location = lambda _digest: "/storage/x?y=1"
        assert connect(dtr).blob_location(REPOSITORY, DIGEST) == f"{dtr.site.url}/storage/x?y=1"

    def test_served_by_dtr_itself_is_not_read(self, dtr: FakeDtr) -> None:
        dtr.location = lambda _digest: None
        dtr.blobs[DIGEST] = b"x" * 10_000_000
        assert connect(dtr).blob_location(REPOSITORY, DIGEST) is None

    def test_missing(self, dtr: FakeDtr) -> None:
        dtr.site.behaviour = lambda request: Reply(404) if "blobs" in request.path else dtr.handle(request)
        with pytest.raises(Failure) as caught:
            connect(dtr).blob_location(REPOSITORY, DIGEST)
        assert caught.value.code == "BLOB_UNKNOWN"
        assert "and answers 404 Not Found for it." in caught.value.message


class TestTokens:
    def test_one_token_for_a_repository(self, dtr: FakeDtr) -> None:
        distribution = connect(dtr)
        for _each in range(3):
            distribution.blob_location(REPOSITORY, DIGEST)
        distribution.blob_location("engineering/other", DIGEST)
        asked = [each.query for each in dtr.site.requests if each.path == "/auth/token"]
        assert asked == [
            {"service": ["dtr.test"], "scope": ["repository:engineering/app:pull"]},
            {"service": ["dtr.test"], "scope": ["repository:engineering/other:pull"]},
        ]

    @pytest.mark.parametrize(("lifetime", "renewed_after"), [(300, 225), (None, 45), (0, 45)])
    def test_renewed_before_it_ends(self, dtr: FakeDtr, lifetime: int | None, renewed_after: int) -> None:
        dtr.lifetime, clock = lifetime, Clock()
        distribution = connect(dtr, clock=clock)
        distribution.blob_location(REPOSITORY, DIGEST)
        clock.now += renewed_after - 1
        distribution.blob_location(REPOSITORY, DIGEST)
        assert dtr.tokens == 1
        clock.now += 1
        distribution.blob_location(REPOSITORY, DIGEST)
        assert dtr.tokens == 2

    def test_renewed_when_it_ended_early(self, dtr: FakeDtr) -> None:
        distribution = connect(dtr)
        distribution.blob_location(REPOSITORY, DIGEST)
        dtr.refused_tokens.add("alice-1")
        assert distribution.blob_location(REPOSITORY, DIGEST) is not None
        assert dtr.tokens == 2

    def test_access_token_field(self, dtr: FakeDtr) -> None:
        dtr.site.behaviour = lambda request: (
            Reply(200, b'{"access_token": "of-oauth"}') if request.path == "/auth/token" else dtr.handle(request)
        )
        assert connect(dtr).blob_location(REPOSITORY, DIGEST) is not None
        assert dtr.site.requests[-1].headers["Authorization"] == "Bearer of-oauth"

    def test_a_realm_on_another_host_gets_no_password(self, dtr: FakeDtr) -> None:
        with serve(lambda _request: Reply(200, b'{"token": "stolen"}')) as other:
            dtr.realm = f"{other.url}/auth/token"
            connect(dtr).blob_location(REPOSITORY, DIGEST)
            assert other.requests == []
        assert dtr.tokens == 1

    def test_wrong_password(self, dtr: FakeDtr) -> None:
        dtr.site.behaviour = lambda request: Reply(401) if request.path == "/auth/token" else dtr.handle(request)
        with pytest.raises(Failure) as caught:
            connect(dtr).manifest(REPOSITORY, "1.0")
        assert caught.value.code == "NOT_AUTHENTICATED"

    @pytest.mark.parametrize("body", [b"{}", b"[]", b'{"token": null}'])
    def test_answer_without_a_token(self, dtr: FakeDtr, body: bytes) -> None:
        dtr.site.behaviour = lambda request: Reply(200, body) if request.path == "/auth/token" else dtr.handle(request)
        with pytest.raises(Failure, match="without a token"):
            connect(dtr).manifest(REPOSITORY, "1.0")


class TestOrigin:
    @pytest.mark.parametrize(
        ("url", "shown"),
        [
            ("https://Cache.Example.com", "https://cache.example.com"),
            ("https://cache.example.com:443/", "https://cache.example.com"),
            ("cache.example.com:8443/x?y", "https://cache.example.com:8443"),
            ("HTTP://cache.example.com", "http://cache.example.com"),
            ("https://[::1]:5000/", "https://[::1]:5000"),
        ],
    )
    def test_one_form(self, url: str, shown: str) -> None:
        assert str(origin_of(url)) == shown
        assert origin_of(shown) == origin_of(url)

    def test_default_ports(self) -> None:
        assert origin_of("https://a") == Origin("https", "a", 443)
        assert origin_of("http://a:443") != origin_of("https://a:443")

    @pytest.mark.parametrize("url", ["", "https://", "https://a:port", "https://user:secret@:1/"])
    def test_no_server(self, url: str) -> None:
        with pytest.raises(Failure) as caught:
            origin_of(url)
        assert "secret" not in caught.value.message
