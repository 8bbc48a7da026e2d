# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever DTR does with pulls of an account whose cache was deleted or is down: what is wrong is told, and only that.

A real registry is behind this stand-in. Its caches are small ones that stop when a test says so.
"""

from __future__ import annotations

import contextlib
import typing as t
from pathlib import Path

import pytest
from ansible_collections.dtr.cache.plugins.module_utils.dtr import images

from .conftest import DANGLING, Json, Registry, harness
from .served_image import CONTENT, IMAGE

from fake_cache import FakeCache, fake_cache  # isort: skip (conftest puts it into the path)

BLOBS = {images.digest_of(blob) for blob in (CONTENT.config, CONTENT.layer)}
GONE = "https://127.0.0.1:9"
ANEW = "Account bob is assigned to a cache that no longer exists (id old): assign it anew with"


@pytest.fixture
def registry(_with_image: Registry) -> Registry:
    """A stand-in with an image, as seeded."""
    _with_image.control.reset(data=True)
    return _with_image


@pytest.fixture
def cache(registry: Registry, ca: harness.Issued, tmp_path: Path) -> t.Iterator[tuple[FakeCache, t.Callable[[], None]]]:
    """A running cache, and what stops it."""
    with contextlib.ExitStack() as stack:
        running = stack.enter_context(fake_cache(registry.standin.url, ca, harness.issue(tmp_path, "cache", ca)))
        yield running, stack.close


def pull(registry: Registry) -> Json:
    return registry.run("cache_pull", cache="region-asia", account="bob", images=[IMAGE], retries=1, timeout=5)


def look(registry: Registry, cache: FakeCache, **options: t.Any) -> Json:
    entry = {"name": "region-asia", "url": cache.url, "account": "bob"}
    return registry.run("cache_health", caches=[entry], image=IMAGE, timeout=10, retries=None, **options)


def failed_checks(result: Json) -> list[Json]:
    (row,) = result["caches"]
    return [check for check in row["checks"] if check["ok"] is False]


def redirects(registry: Registry) -> int:
    return sum(registry.control.count("GET", "/v2", status) for status in (302, 307))


def assert_nothing_is_left(registry: Registry) -> None:
    assert harness.Client(registry.standin, "bob").get("/api/v0/api_tokens").json() == []


def lose_the_cache(registry: Registry, cache: FakeCache) -> None:
    """bob's cache is deleted under him; there is another one by now."""
    registry.set_up({"old": ("region-old", GONE), "new": ("region-asia", cache.url)}, {"bob": "old"})
    gone = {"name": "region-old", "state": "absent"}
    assert registry.run("content_caches", caches=[gone], reassign=False)["deleted"]
    assert registry.settings() == {"bob": DANGLING}
    registry.control.forget_requests()


#: What DTR does, and then: the code, what the message says, and where blobs are said to be.
GONE_CASES: list[tuple[t.Any, str, str, set[str]]] = [
    ("served", "NOT_THROUGH_CACHE", ": DTR serves them itself.", {"DTR itself"}),
    ("redirected", "NOT_THROUGH_CACHE", f": DTR sends to {GONE} for them.", {GONE}),
    (404, "BLOB_UNKNOWN", "answers 404 Not Found (NO_SUCH_CONTENT_CACHE) for it.", set()),
    (500, "INTERNAL_ERROR", "answered 500 Internal Server Error", set()),
]


@pytest.mark.parametrize(("behaviour", "code", "told", "sources"), GONE_CASES)
def test_a_pull_of_an_account_whose_cache_is_gone(
    registry: Registry, cache: tuple[FakeCache, t.Any], behaviour: t.Any, code: str, told: str, sources: set[str]
) -> None:
    running, _stop = cache
    lose_the_cache(registry, running)
    registry.control.behave(cache_gone=behaviour)
    before = registry.control.state()
    result = pull(registry)
    assert result["failed"]
    assert not result["changed"]
    assert (result["failure"]["code"], told in result["failure"]["message"]) == (code, True), result["msg"]
    assert result["failure"]["hint"] == f"{ANEW} dtr.cache.cache_assignments."
    (row,) = result["pulls"]
    assert not row["via_cache"]
    assert {each["source"] for each in row["elsewhere"]} == sources
    assert redirects(registry) == (len(BLOBS) if behaviour == "redirected" else 0)
    assert running.served == []
    assert registry.settled() == before
    assert_nothing_is_left(registry)

    registry.run("cache_assignments", assignments=[{"cache": "region-asia", "accounts": ["bob"]}])
    mended = pull(registry)
    assert not mended.get("failed"), mended
    assert (mended["changed"], mended["pulls"][0]["via_cache"]) == (True, True)
    assert {path.rpartition("/")[2] for path in running.kept} == BLOBS
    assert registry.settings() == {"bob": "region-asia"}


@pytest.mark.parametrize("behaviour", [case[0] for case in GONE_CASES])
def test_a_look_at_an_account_whose_cache_is_gone(
    registry: Registry, cache: tuple[FakeCache, t.Any], behaviour: t.Any
) -> None:
    running, _stop = cache
    lose_the_cache(registry, running)
    registry.control.behave(cache_gone=behaviour)
    before = registry.control.state()
    (check,) = failed_checks(look(registry, running))
    assert (check["edge"], check["check"]) == ("client->DTR", "pull")
    assert check["hint"] == f"{ANEW} dtr.cache.cache_assignments."
    (check,) = failed_checks(look(registry, running, check_accounts=True))
    assert (check["edge"], check["check"]) == ("client->DTR", "assignments")
    assert check["detail"] == "assigned to a cache that no longer exists: bob."
    assert registry.settled() == before
    assert_nothing_is_left(registry)


@pytest.mark.parametrize("behaviour", ["served", 404])
def test_a_proof_for_an_account_whose_cache_is_gone(
    registry: Registry, cache: tuple[FakeCache, t.Any], behaviour: t.Any
) -> None:
    running, _stop = cache
    lose_the_cache(registry, running)
    registry.control.behave(cache_gone=behaviour)
    proved = registry.run("cache_proof", cache="region-asia", account="bob", repository="engineering/proof")
    assert proved["failure"]["hint"] == f"{ANEW} dtr.cache.cache_assignments."
    tags = harness.Client(registry.standin, "admin").get("/api/v0/repositories/engineering/proof/tags")
    assert tags.json() == []
    assert registry.settings() == {"bob": DANGLING}


@pytest.mark.parametrize("behaviour", ["redirected", "served"])
def test_a_pull_and_a_look_while_the_cache_is_down(
    registry: Registry, cache: tuple[FakeCache, t.Callable[[], None]], behaviour: str
) -> None:
    running, stop = cache
    registry.set_up({"new": ("region-asia", running.url)}, {"bob": "new"})
    registry.control.behave(cache_down=behaviour)
    assert pull(registry)["pulls"][0]["via_cache"]
    assert look(registry, running)["healthy"]
    # One for each blob, and those of the check: for a layer, and for what exists nowhere.
    assert redirects(registry) == len(BLOBS) + 2

    stop()
    registry.control.forget_requests()
    before = registry.control.state()
    result = pull(registry)
    assert result["failed"]
    failure, (row,) = result["failure"], result["pulls"]
    at_the_cache = f"Cache region-asia ({running.url}): "
    assert not row["via_cache"]
    if behaviour == "served":
        assert failure["code"] == "NOT_THROUGH_CACHE"
        assert failure["message"].endswith(": DTR serves them itself.")
        assert failure["hint"].startswith(
            "Account bob is assigned to the cache region-asia, and DTR may step in for a cache that is down. "
            + at_the_cache
        )
        assert {each["digest"]: each["source"] for each in row["elsewhere"]} == dict.fromkeys(BLOBS, "DTR itself")
        assert redirects(registry) == 0
    else:
        assert failure["code"] == "CONNECTION_FAILED"
        assert failure["message"].startswith(at_the_cache)
        assert row["elsewhere"] == []
        assert redirects(registry) >= 1
    assert failure["hint"].endswith(f"Check that the cache runs, and that this machine reaches {running.url}.")
    checks = failed_checks(look(registry, running))
    assert [(check["edge"], check["check"]) for check in checks] == [("client->cache", "tcp")]
    assert registry.settled() == before
    assert_nothing_is_left(registry)


def test_a_cache_that_only_dtr_takes_for_down(registry: Registry, cache: tuple[FakeCache, t.Any]) -> None:
    running, _stop = cache
    registry.set_up({"new": ("region-asia", running.url)}, {"bob": "new"})
    registry.control.behave(cache_down="served")
    running.fails_for = "aiohttp"  # the stand-in's own client
    before = registry.control.state()
    result = pull(registry)
    assert result["failure"]["code"] == "NOT_THROUGH_CACHE"
    (check,) = failed_checks(look(registry, running))
    assert (check["edge"], check["check"]) == ("DTR->cache", "redirect")
    assert check["detail"].startswith(
        f"account bob is assigned to this cache, which answers from here, and DTR serves a layer of {IMAGE} itself"
    )
    assert "is assigned to the cache region-asia, which answers from here" in result["failure"]["hint"]
    for hint in (result["failure"]["hint"], check["hint"]):
        assert f"or not reach {running.url} from its own nodes" in hint
    assert redirects(registry) == 0
    assert not any(path.endswith(tuple(BLOBS)) for path in running.served)
    assert registry.settled() == before
    running.fails_for = None
    assert pull(registry)["pulls"][0]["via_cache"]
