# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a cache's answer to a signed request means, and where that request goes."""

from __future__ import annotations

import hashlib
import json
import typing as t

import pytest
from ansible_collections.dtr.cache.plugins.module_utils.common.failure import Failure
from ansible_collections.dtr.cache.plugins.module_utils.common.urls import Origin, origin_of
from ansible_collections.dtr.cache.plugins.module_utils.health import pull_check
from ansible_collections.dtr.cache.plugins.module_utils.health.checks import (
    CACHE_TO_DTR,
    CLIENT_TO_DTR,
    DTR_TO_CACHE,
    Check,
)
from ansible_collections.dtr.cache.plugins.module_utils.health.pull_check import PullCheck, PullReport
from ansible_collections.dtr.cache.plugins.module_utils.http.transport import Transport
from ansible_collections.dtr.cache.plugins.module_utils.pulling.cache_transport import transport_to
from ansible_collections.dtr.cache.tests.unit.support.web import Reply, Request, serve

LAYER = b"a layer of ninety bytes, give or take a few. " * 2
SMALL = f"sha256:{hashlib.sha256(LAYER).hexdigest()}"
LARGE, CONFIG, IMAGE = (f"sha256:{digit * 64}" for digit in "bcd")
MANIFEST = {
    "schemaVersion": 2,
    "config": {"digest": CONFIG, "size": 1},
    "layers": [{"digest": LARGE, "size": 900}, {"digest": SMALL, "size": len(LAYER)}],
}
INDEX = {"schemaVersion": 2, "manifests": [{"digest": IMAGE, "size": 9, "platform": {"os": "linux"}}]}


class Dtr:
    """Stands in for DTR's C(/v2): one image behind an index, and blobs at C(location).

    C(signs_missing) is whether it sends to the cache also for a blob that does not exist.
    """

    def __init__(self, location: str | None, *, status: int = 404, signs_missing: bool = True) -> None:
        self.location = location
        self.status = status
        self.signs_missing = signs_missing

    @property
    def origin(self) -> Origin:
        return origin_of("https://dtr.example.org")

    def manifest(self, _repository: str, reference: str) -> tuple[str, bytes]:
        if reference == "none":
            raise Failure("MANIFEST_UNKNOWN", "DTR has no image a/b:none.", hint="Check repository and tag.")
        return IMAGE, json.dumps(MANIFEST if reference == IMAGE else INDEX).encode()

    def blob_location(self, repository: str, digest: str) -> str | None:
        if self.location == "refused" or (digest != SMALL and not self.signs_missing):
            raise Failure(
                "BLOB_UNKNOWN", f"DTR answers {self.status}.", http_status=self.status, hint="Push the image again."
            )
        return self.location and f"{self.location}/v2/{repository}/blobs/{digest}?signature=abc"


def look(
    location: str | None, url: str, image: str = "a/b:1", misassigned: str | None = None, **of_dtr: t.Any
) -> list[Check]:
    return list(look_at(location, url, (), image, misassigned, **of_dtr).checks)


def look_at(
    location: str | None,
    url: str,
    places: t.Sequence[str],
    image: str = "a/b:1",
    misassigned: str | None = None,
    **of_dtr: t.Any,
) -> PullReport:
    def connect(origin: str, address: str | None) -> Transport:
        return transport_to(origin, address, system_trust=False, timeout=2.0, retries=0)

    dtr = t.cast("pull_check.Distribution", Dtr(location, **of_dtr))
    pull = PullCheck(image, lambda: ("alice", dtr), connect, lambda _account: misassigned)
    pull.log_in()
    return pull.run(url, places)


def topics(checks: list[Check]) -> list[tuple[str, str, bool | None]]:
    return [(check.edge, check.check, check.ok) for check in checks]


SENT = (DTR_TO_CACHE, "redirect", True)


def answering(layer: int, nothing: int = 404) -> t.Callable[[Request], Reply]:
    """A cache that answers so for the layer, and for what exists nowhere."""
    found = Reply(layer, LAYER if layer == 200 else b"")
    return lambda request: found if request.path.endswith(SMALL) else Reply(nothing)


def test_a_layer_and_what_exists_nowhere_are_asked_for_as_dtr_signed_them() -> None:
    asked = []

    def cache(request: Request) -> Reply:
        asked.append((request.path, request.query))
        return answering(200)(request)

    with serve(cache) as site:
        checks = look(site.url, site.url)
    assert topics(checks) == [SENT, (CACHE_TO_DTR, "upstream", True), (CACHE_TO_DTR, "pull", True)]
    nothing, layer, _unsigned = asked
    assert layer == (f"/v2/a/b/blobs/{SMALL}", {"signature": ["abc"]})
    assert nothing[0].startswith("/v2/a/b/blobs/sha256:")
    assert nothing[0] != layer[0]
    assert not any("signature=" in check.detail for check in checks)


def test_what_exists_nowhere_is_another_blob_each_time() -> None:
    """A cache may remember what its upstream does not have."""
    asked = set()

    def cache(request: Request) -> Reply:
        asked.add(request.path)
        return answering(200)(request)

    with serve(cache) as site:
        for _each in range(2):
            look(site.url, site.url)
    assert len(asked) == 3


@pytest.mark.parametrize(
    ("status", "told", "hint"),
    [
        (401, "does not take the signature", "upstreams"),
        (403, "does not take the signature", "clocks"),
        (404, "does not have what DTR has", "upstreams"),
        (500, "it reaches its upstream, but cannot store or read", "full"),
        (503, "it reaches its upstream, but cannot store or read", "full"),
    ],
)
def test_what_the_answer_means(status: int, told: str, hint: str) -> None:
    with serve(answering(status)) as site:
        checks = look(site.url, site.url)
    assert topics(checks) == [SENT, (CACHE_TO_DTR, "upstream", True), (CACHE_TO_DTR, "pull", False)]
    assert told in checks[-1].detail
    assert hint in (checks[-1].hint or "")


def test_a_cache_that_keeps_the_layer_and_does_not_reach_dtr() -> None:
    with serve(answering(200, 503)) as site:
        checks = look(site.url, site.url)
    assert topics(checks) == [SENT, (CACHE_TO_DTR, "upstream", False)]
    assert "gets nothing from its upstream" in checks[-1].detail


@pytest.mark.parametrize(
    ("layer", "told"),
    [(200, "with the content that its digest names"), (503, "cannot get the layer from its upstream, or")],
)
def test_where_dtr_looks_first_the_way_to_it_stays_unknown(layer: int, told: str) -> None:
    with serve(answering(layer, 418)) as site:
        checks = look(site.url, site.url, signs_missing=False)
    assert topics(checks) == [SENT, (CACHE_TO_DTR, "pull", layer == 200)]
    assert told in checks[-1].detail


def test_dtr_sends_to_another_cache() -> None:
    (check,) = look("https://other.example.com", "https://cache.example.com", misassigned="Assign it.")
    assert (check.edge, check.check, check.ok) == (CLIENT_TO_DTR, "pull", False)
    assert "DTR sends account alice to https://other.example.com for a layer" in check.detail
    assert check.hint == "Assign it."


def test_dtr_serves_an_account_that_is_not_assigned() -> None:
    (check,) = look(None, "https://cache.example.com", misassigned="Assign it.")
    assert (check.edge, check.check, check.ok, check.hint) == (CLIENT_TO_DTR, "pull", False, "Assign it.")


def test_pulls_that_come_past_a_cache_that_is_well() -> None:
    (check,) = look(None, "https://cache.example.com")
    assert (check.edge, check.check, check.ok) == (DTR_TO_CACHE, "redirect", False)
    assert "account alice is assigned to this cache, which answers from here, and DTR serves a layer" in check.detail
    assert "DTR may not trust the cache's certificate" in (check.hint or "")
    assert "--custom-ca-cert-bundle" in (check.hint or "")


def test_dtr_fails_to_send_there() -> None:
    (check,) = look("refused", "https://cache.example.com", status=502)
    assert (check.edge, check.check, check.ok) == (DTR_TO_CACHE, "redirect", False)
    assert "DTR does not send account alice, which is assigned to this cache, there" in check.detail
    assert "DTR answers 502." in check.detail
    assert "it is DTR's own storage" in (check.hint or "")


@pytest.mark.parametrize(
    ("lost", "hint"), [("Its cache is gone.", "Its cache is gone."), (None, "Push the image again.")]
)
def test_dtr_refuses_a_layer(lost: str | None, hint: str) -> None:
    (check,) = look("refused", "https://cache.example.com", misassigned=lost)
    assert check[:5] == (CLIENT_TO_DTR, "pull", False, "DTR answers 404.", hint)


def test_what_dtr_refuses_is_not_the_caches_fault() -> None:
    (check,) = look(None, "https://cache.example.com", "a/b:none")
    assert check[:5] == (CLIENT_TO_DTR, "pull", False, "DTR has no image a/b:none.", "Check repository and tag.")


def test_an_image_without_a_layer_is_no_proof(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(INDEX, "manifests", [])
    (check,) = look(None, "https://cache.example.com")
    assert (check.edge, check.check, check.ok) == (CLIENT_TO_DTR, "pull", False)
    assert "a pull of it proves nothing" in check.detail


@pytest.mark.parametrize(
    ("layer", "told"),
    [
        (Reply(200, LAYER[::-1]), "sent something else than"),
        (Reply(200, LAYER[:-1]), "to its end"),
        (Reply(307, headers={"Location": "https://dtr.example.org/v2/"}), "a redirect back to DTR"),
    ],
)
def test_what_is_not_the_layer_is_no_proof(layer: Reply, told: str) -> None:
    with serve(lambda request: layer if request.path.endswith(SMALL) else Reply(404)) as site:
        check = look(site.url, site.url)[-1]
    assert (check.check, check.ok) == ("pull", False)
    assert told in check.detail


def test_one_replica_of_two_that_keeps_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pull_check, "_SECONDS_TO_KEEP", 0)

    def forgetful(request: Request) -> Reply:
        return Reply(403) if request.method == "HEAD" else answering(200)(request)

    with serve(answering(200)) as first, serve(forgetful) as second:
        places = [f"127.0.0.1:{site.port}" for site in (first, second)]
        report = look_at(first.url, first.url, places)
    (wrong,) = [check for check in report.checks if check.failed]
    assert wrong.detail.startswith(f"{places[1]}: it does not keep a layer")
    assert list(report.failed) == [places[1]]


def test_a_cache_that_does_not_answer() -> None:
    checks = look("http://127.0.0.1:1", "http://127.0.0.1:1")
    assert topics(checks) == [SENT, (CACHE_TO_DTR, "upstream", False)]
    assert "signature=" not in checks[-1].detail
