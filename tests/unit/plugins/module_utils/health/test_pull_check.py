# Copyright: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a cache's answer to a signed request means, and where that request goes."""

from __future__ import annotations

import json
import typing as t

import pytest
from ansible_collections.dtr.cache.plugins.module_utils.common.failure import Failure
from ansible_collections.dtr.cache.plugins.module_utils.health import pull_check
from ansible_collections.dtr.cache.plugins.module_utils.health.checks import CACHE_TO_DTR, CLIENT_TO_DTR
from ansible_collections.dtr.cache.plugins.module_utils.http.transport import Transport
from ansible_collections.dtr.cache.tests.unit.support.web import Reply, Request, serve

SMALL, LARGE, CONFIG, IMAGE = (f"sha256:{digit * 64}" for digit in "abcd")
MANIFEST = {
    "schemaVersion": 2,
    "config": {"digest": CONFIG, "size": 1},
    "layers": [{"digest": LARGE, "size": 900}, {"digest": SMALL, "size": 90}],
}
INDEX = {"schemaVersion": 2, "manifests": [{"digest": IMAGE, "size": 9, "platform": {"os": "linux"}}]}


class Dtr:
    """Stands in for DTR's C(/v2): one image behind an index, and blobs at C(location)."""

    def __init__(self, location: str | None) -> None:
        self.location = location

    def manifest(self, _repository: str, reference: str) -> tuple[str, bytes]:
        if reference == "none":
            raise Failure("MANIFEST_UNKNOWN", "DTR has no image a/b:none.", hint="Check repository and tag.")
        return IMAGE, json.dumps(MANIFEST if reference == IMAGE else INDEX).encode()

    def blob_location(self, repository: str, digest: str) -> str | None:
        if self.location == "refused":
            raise Failure("BLOB_UNKNOWN", "DTR answers 404.", http_status=404, hint="Push the image again.")
        return self.location and f"{self.location}/v2/{repository}/blobs/{digest}?signature=abc"


def look(location: str | None, url: str, image: str = "a/b:1", lost: str | None = None) -> pull_check.Check:
    def connect(origin: str) -> Transport:
        return Transport(origin, system_trust=False, timeout=2.0, retries=0)

    dtr = t.cast("pull_check.Distribution", Dtr(location))
    ask = pull_check.Ask(image, lambda: "alice", lambda: dtr, connect, lambda: "Assign it.", lambda: lost)
    return pull_check.check_pull(ask, url)


def test_the_smallest_layer_is_asked_for_as_dtr_signed_it() -> None:
    asked = []

    def cache(request: Request) -> Reply:
        asked.append((request.path, request.query))
        return Reply(200, b"x" * 90)

    with serve(cache) as site:
        check = look(site.url, site.url)
    assert (check.edge, check.check, check.ok) == (CACHE_TO_DTR, "pull", True)
    assert asked == [(f"/v2/a/b/blobs/{SMALL}", {"signature": ["abc"]})]
    assert "signature=" not in check.detail


@pytest.mark.parametrize(
    ("status", "told", "hint"),
    [
        (401, "does not take the signature", "upstreams"),
        (403, "does not take the signature", "clocks"),
        (404, "does not have what DTR has", "upstreams"),
        (500, "cannot store or read", "full"),
        (503, "cannot store or read", "full"),
    ],
)
def test_what_the_answer_means(status: int, told: str, hint: str) -> None:
    with serve(lambda _request: Reply(status)) as site:
        check = look(site.url, site.url)
    assert (check.edge, check.ok) == (CACHE_TO_DTR, False)
    assert told in check.detail
    assert hint in (check.hint or "")


@pytest.mark.parametrize("location", [None, "https://other.example.com"])
def test_dtr_sends_elsewhere(location: str | None) -> None:
    check = look(location, "https://cache.example.com")
    assert (check.edge, check.ok) == (CLIENT_TO_DTR, False)
    assert f"DTR sends account alice to {location or 'itself'} for a layer" in check.detail
    assert check.hint == "Assign it."


@pytest.mark.parametrize(
    ("lost", "hint"), [("Its cache is gone.", "Its cache is gone."), (None, "Push the image again.")]
)
def test_dtr_refuses_a_layer(lost: str | None, hint: str) -> None:
    check = look("refused", "https://cache.example.com", lost=lost)
    assert check[:5] == (CLIENT_TO_DTR, "pull", False, "DTR answers 404.", hint)


def test_what_dtr_refuses_is_not_the_caches_fault() -> None:
    check = look(None, "https://cache.example.com", "a/b:none")
    assert check[:5] == (CLIENT_TO_DTR, "pull", False, "DTR has no image a/b:none.", "Check repository and tag.")


def test_a_cache_that_does_not_answer() -> None:
    check = look("http://127.0.0.1:1", "http://127.0.0.1:1")
    assert (check.edge, check.ok) == (CACHE_TO_DTR, False)
    assert "signature=" not in check.detail
