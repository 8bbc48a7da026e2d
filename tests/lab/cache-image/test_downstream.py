# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The compiled content cache held against what the vendor documents, and what the lab needs, of the middleware."""

from __future__ import annotations

import hashlib
import hmac
import os
import time
import typing as t
from pathlib import Path

import pytest
import requests
from harness import REPOSITORY, Answer, Authority, Cache, Upstream, running, sha256, wait_for

LAYER = b"a layer of an image\n" * 5000
SIGNED = "expires=1700000000&signature=Zm9v%2FYmFy%2B==&who=bob"
SECRET = "Zm9v"

MakeCache = t.Callable[..., Cache]


@pytest.fixture
def make_upstream(dtr_ca: Authority) -> t.Iterator[t.Callable[[], Upstream]]:
    made: list[Upstream] = []

    def make() -> Upstream:
        made.append(Upstream(dtr_ca))
        return made[-1]

    yield make
    for upstream in made:
        upstream.stop()


@pytest.fixture
def upstream(make_upstream: t.Callable[[], Upstream]) -> Upstream:
    return make_upstream()


@pytest.fixture
def make_cache(
    binary: Path, tmp_path: Path, dtr_ca: Authority, cache_ca: Authority, upstream: Upstream
) -> t.Iterator[MakeCache]:
    """Make caches of the upstream that trust its CA, unless told otherwise; none is started."""
    made: list[Cache] = []

    def make(**arguments: t.Any) -> Cache:
        arguments = {"upstreams": [upstream.url], "cas": [dtr_ca.ca], **arguments}
        made.append(Cache(binary, tmp_path / f"cache-{len(made)}", cache_ca, **arguments))
        return made[-1]

    yield make
    for cache in made:
        cache.stop()


@pytest.fixture
def cache(make_cache: MakeCache) -> Cache:
    """A running cache of the upstream, as the documents configure it."""
    return make_cache().start()


def error_codes(response: requests.Response) -> list[str]:
    return [error["code"] for error in response.json()["errors"]]


# The positions of what no document says

KEY = "a-key-of-the-tests"


def signed_for(digest: str, key: str = KEY) -> str:
    """A query string as DTR's stand-in makes it."""
    expires = int(time.time()) + 60
    text = f"/v2/{REPOSITORY}/blobs/{digest}\nbob\n{expires}"
    signature = hmac.new(key.encode(), text.encode(), hashlib.sha256).hexdigest()
    return f"account=bob&expires={expires}&signature={signature}"


@pytest.mark.parametrize(
    ("hits", "judge", "cold", "warm", "asked"),
    [
        ("served", "upstream", 401, 200, 2),
        ("authorised", "upstream", 401, 401, 3),
        ("served", "itself", 401, 200, 1),
        ("authorised", "itself", 401, 401, 1),
    ],
)
def test_each_position(
    make_cache: MakeCache, upstream: Upstream, hits: str, judge: str, cold: int, warm: int, asked: int
) -> None:
    """What is not signed, before and after the blob came; and how often the upstream was asked in all."""
    upstream.decide = lambda path: None if "signature=" in path else Answer(status=401)
    environment = {"CONTENT_CACHE_HITS": hits, "CONTENT_CACHE_JUDGE": judge, "CONTENT_CACHE_SIGNING_KEY": KEY}
    cache = make_cache(environment=environment).start()
    digest = upstream.add(LAYER)
    assert cache.get(digest).status_code == cold
    assert cache.get(digest, signed_for(digest)).content == LAYER
    assert cache.get(digest).status_code == warm
    assert len(upstream.asked) == asked
    if judge == "itself":
        assert cache.get(sha256(b"another"), signed_for(digest)).status_code == 403
        upstream.stop()
        assert cache.get(sha256(b"another")).status_code == 401, "also when its upstream is down"


# Miss and hit


def test_a_miss_is_fetched_and_then_served_from_storage(cache: Cache, upstream: Upstream) -> None:
    digest = upstream.add(LAYER)
    assert cache.get(digest, SIGNED).content == LAYER
    assert cache.stored() == [digest]
    upstream.stop()
    again = cache.get(digest, SIGNED)
    assert (again.status_code, again.content) == (200, LAYER)
    assert again.headers["Docker-Content-Digest"] == digest
    assert len(upstream.asked) == 1


def test_the_signed_query_goes_upstream_as_it_came(cache: Cache, upstream: Upstream) -> None:
    digest = upstream.add(LAYER)
    disorderly = "signature=Zm9v%2fYmFy%2B==&who=%62ob&expires=1&empty=&bare&who=alice;+~"
    assert cache.get_exactly(digest, disorderly) == LAYER
    assert upstream.asked == [f"/v2/{REPOSITORY}/blobs/{digest}?{disorderly}"]


def test_no_signature_is_logged(cache: Cache, upstream: Upstream) -> None:
    digest = upstream.add(LAYER)
    cache.get(digest, SIGNED)
    cache.get(digest, SIGNED)
    cache.get(sha256(b"nowhere"), SIGNED)
    upstream.stop()
    cache.get(sha256(b"unreachable"), SIGNED, headers={"Referer": f"https://dtr.lab.test/?{SIGNED}"})
    wait_for(lambda: len(cache.events("blob not served")) == 2, "both failures in the log")
    wait_for(lambda: cache.log().count('HTTP/1.1"') == 4, "four lines in the access log")
    assert SECRET not in cache.log()


# Nothing unverified


@pytest.mark.parametrize(
    "answer",
    [Answer(LAYER[:-1] + b"x"), Answer(LAYER[:-1]), Answer(LAYER[:-1], length=len(LAYER)), Answer(LAYER + b"x")],
    ids=["other", "shorter", "broken-off", "longer"],
)
def test_content_that_is_not_the_digest_is_neither_served_nor_kept(
    cache: Cache, upstream: Upstream, answer: Answer
) -> None:
    digest = upstream.add(LAYER)
    upstream.decide = lambda _path: answer
    response = cache.get(digest)
    assert response.status_code == 503 and LAYER[:100] not in response.content
    assert cache.files() == []
    (warning,) = cache.events("upstream failed")
    assert warning["upstream"] == upstream.url
    upstream.decide = lambda _path: None
    assert cache.get(digest).content == LAYER


# One upstream request


# Expiry


def test_a_blob_expires_a_fixed_time_after_it_was_stored(make_cache: MakeCache, upstream: Upstream) -> None:
    cache = make_cache(blobttl="3s").start()
    digest = upstream.add(LAYER)
    cache.get(digest)
    started = time.monotonic()
    while time.monotonic() - started < 2.5:  # pulls do not prolong it
        assert cache.get(digest).content == LAYER
        time.sleep(0.1)
    assert len(upstream.asked) == 1
    wait_for(lambda: cache.files() == [], "the blob and its links are removed")
    assert time.monotonic() - started > 2
    assert cache.get(digest).content == LAYER
    assert len(upstream.asked) == 2


def test_a_bare_number_means_nanoseconds(make_cache: MakeCache, upstream: Upstream) -> None:
    cache = make_cache(blobttl=2_000_000_000).start()
    digest = upstream.add(LAYER)
    cache.get(digest)
    cache.get(digest)
    assert len(upstream.asked) == 1
    time.sleep(2)
    cache.get(digest)
    assert len(upstream.asked) == 2


def test_without_a_ttl_blobs_stay_and_nothing_needs_deletion(
    make_cache: MakeCache, upstream: Upstream, tmp_path: Path
) -> None:
    cache = make_cache(config={"storage": {"filesystem": {"rootdirectory": str(tmp_path / "kept")}}})
    del cache.config["middleware"]["registry"][0]["options"]["blobttl"]
    digest = upstream.add(LAYER)
    with running(cache):
        cache.get(digest)
        (data,) = (tmp_path / "kept").glob("**/blobs/sha256/*/*/data")
        os.utime(data, (0, 0))
        assert cache.get(digest).content == LAYER
    assert len(upstream.asked) == 1


# Upstreams


def test_upstreams_are_taken_in_turn(make_cache: MakeCache, make_upstream: t.Callable[[], Upstream]) -> None:
    upstreams = [make_upstream(), make_upstream()]
    cache = make_cache(upstreams=[each.url for each in upstreams]).start()
    for number in range(6):
        digests = {each.add(str(number).encode()) for each in upstreams}
        assert cache.get(digests.pop()).status_code == 200
    assert [len(each.asked) for each in upstreams] == [3, 3]


@pytest.mark.parametrize(("status", "code"), [(401, "UNAUTHORIZED"), (403, "DENIED"), (404, "BLOB_UNKNOWN")])
def test_a_refusal_is_passed_on(cache: Cache, upstream: Upstream, status: int, code: str) -> None:
    digest = upstream.add(LAYER)
    upstream.decide = lambda _path: Answer(b"<html>no</html>", status=status)
    response = cache.get(digest, SIGNED)
    assert (response.status_code, error_codes(response)) == (status, [code])
    assert cache.files() == []
    (event,) = cache.events("blob not served")
    assert (event["status"], event["cache"], event["digest"]) == (status, "miss", digest)
    assert upstream.url in event["error"] and str(status) in event["error"]


def test_an_upstream_whose_ca_is_unknown(make_cache: MakeCache, upstream: Upstream, cache_ca: Authority) -> None:
    for cas in ([], [cache_ca.ca]):
        cache = make_cache(cas=cas).start()
        assert cache.get(upstream.add(LAYER)).status_code == 503
        (event,) = cache.events("blob not served")
        assert "tls: failed to verify certificate: x509: certificate signed by unknown authority" in event["error"]
    assert upstream.asked == []


def test_a_cache_of_a_cache(make_cache: MakeCache, upstream: Upstream, cache_ca: Authority) -> None:
    near = make_cache()
    far = make_cache(upstreams=[near.url], cas=[cache_ca.ca])
    digest = upstream.add(LAYER)
    with running(near, far):
        assert far.get(digest, SIGNED).content == LAYER
        assert far.stored() == near.stored() == [digest]
        assert upstream.asked == [f"/v2/{REPOSITORY}/blobs/{digest}?{SIGNED}"]
        upstream.decide = lambda _path: Answer(status=403)
        refused = far.get(sha256(b"not for bob"), SIGNED)
        assert (refused.status_code, error_codes(refused)) == (403, ["DENIED"])
        assert SECRET not in far.log() + near.log()


# The rest of the registry


def test_nothing_can_be_pushed_or_deleted(cache: Cache, upstream: Upstream) -> None:
    digest = upstream.add(LAYER)
    cache.get(digest)
    base = f"{cache.url}/v2/{REPOSITORY}"
    index = "application/vnd.docker.distribution.manifest.list.v2+json"
    attempts = [
        cache.session.post(f"{base}/blobs/uploads/", timeout=30),
        cache.session.post(f"{base}/blobs/uploads/?digest={sha256(b'x')}", data=b"x", timeout=30),
        cache.session.delete(f"{base}/blobs/{digest}", timeout=30),
        cache.session.put(
            f"{base}/manifests/1.0",
            json={"schemaVersion": 2, "mediaType": index, "manifests": []},
            headers={"Content-Type": index},
            timeout=30,
        ),
    ]
    assert [attempt.status_code for attempt in attempts] == [405] * 4
    assert cache.stored() == [digest]


# Configuration


def test_wrong_configuration_is_told_in_one_line(make_cache: MakeCache, tmp_path: Path) -> None:
    (tmp_path / "empty.pem").touch()
    no_deletion = {"storage": {"filesystem": {"rootdirectory": str(tmp_path / "blobs")}}}
    cases: list[tuple[dict[str, t.Any], str]] = [
        ({"config": no_deletion}, 'option "blobttl" needs storage.delete.enabled: true'),
        ({"blobttl": "1d"}, 'option "blobttl": "1d" is not'),
        ({"upstreams": []}, 'option "upstreams": at least one'),
        ({"upstreams": ["dtr.lab.test:443"]}, 'option "upstreams": "dtr.lab.test:443"'),
        ({"upstream": ["https://dtr.lab.test"]}, 'unknown option "upstream"'),
        ({"cas": [tmp_path / "empty.pem"]}, f'option "cas": {tmp_path}/empty.pem holds no PEM certificate'),
        ({"cas": [tmp_path / "none.pem"]}, f'option "cas": open {tmp_path}/none.pem: no such file'),
        ({"config": {"storage": {"floppy": {}}}}, "StorageDriver not registered: floppy"),
        ({"environment": {"CONTENT_CACHE_BLOBTTL": "slides"}}, 'CONTENT_CACHE_BLOBTTL: "slides" is neither'),
    ]
    for arguments, message in cases:
        cache = make_cache(**arguments)
        assert cache.run().wait(20) == 1, arguments
        (line,) = [line for line in cache.log().splitlines() if '"level":"fatal"' in line]
        assert message in line.replace('\\"', '"'), arguments
        assert "goroutine" not in cache.log()
