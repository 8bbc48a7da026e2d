# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of several caches in a Swarm is that of a host, and under which names DTR has it."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.dtr.cache.plugins.module_utils.common.failure import Failure
from ansible_collections.dtr.cache.plugins.module_utils.dtr.model import ContentCache
from ansible_collections.dtr.cache.plugins.plugin_utils.adoption.find import Hints, choose, match, own_entries
from ansible_collections.dtr.cache.tests.unit.support.live import CONFIG, changed, config, found, service

ASIA = ContentCache("a1", "region-asia", "https://cache.example.org:443")
INDIA = ContentCache("i1", "region-india", "https://cache.example.org:8443")
NAMED = ContentCache("o1", "old-asia", "https://CACHE.example.org/")
ELSEWHERE = ContentCache("e1", "region-europe", "https://cache-europe.example.org:443")
REGISTERED = [ASIA, INDIA, ELSEWHERE]
ANYONE = Hints("m")


def two() -> list[dict[str, t.Any]]:
    """Two caches of one Swarm on one host name, in stacks of their own."""
    host = ("http.host", "https://cache.example.org")
    return found(
        [
            service("asia", config="a"),
            service("india", config="b", port={"PublishedPort": 8443, "TargetPort": 443}),
        ],
        [config("a", changed(CONFIG, host)), config("b", changed(CONFIG, ("http.host", None)))],
    )


def chosen(hints: Hints, lives: list[dict[str, t.Any]] | None = None) -> str:
    lives = two() if lives is None else lives
    return str(choose(lives, match(lives, REGISTERED), hints, 7)["stack"])


@pytest.mark.parametrize(
    ("hints", "stack"),
    [
        (Hints("m", stack_name="india"), "india"),
        (Hints("m", port=8443), "india"),
        (Hints("m", name="region-asia"), "asia"),
        (Hints("m", host="cache.example.org"), "asia"),
        (Hints("region-asia"), "asia"),
    ],
)
def test_one_of_two(hints: Hints, stack: str) -> None:
    assert chosen(hints) == stack


def test_a_single_one_needs_no_wish() -> None:
    assert chosen(Hints("m"), two()[1:]) == "india"
    assert chosen(Hints("m", name="another"), two()[1:]) == "india"


def failure(hints: Hints, lives: list[dict[str, t.Any]]) -> dict[str, t.Any]:
    with pytest.raises(Failure) as raised:
        chosen(hints, lives)
    return raised.value.as_result()


def test_several_are_all_named_with_what_to_set() -> None:
    result = failure(Hints("m"), two())
    assert result["failure"]["code"] == "SEVERAL_CACHES"
    assert "2 content caches, and nothing says which one is m" in result["msg"]
    assert "stack asia, service asia_cache (port 443, registered as region-asia)" in result["msg"]
    assert "stack india, service india_cache (port 8443, not registered)" in result["msg"]
    assert "dtr_cache_stack_name" in result["msg"] and "dtr_cache_name" in result["msg"]


def test_none_says_what_was_searched_and_what_to_set() -> None:
    result = failure(Hints("m"), [])
    assert result["failure"]["code"] == "NO_CACHE"
    assert "None of the 7 services of this Swarm is a content cache" in result["msg"]
    assert "middleware downstream" in result["msg"] and "set dtr_cache_stack_name" in result["msg"]


def test_a_stack_that_is_not_there() -> None:
    result = failure(Hints("m", stack_name="asai"), two())
    assert "no content cache in a stack asai. It has stack asia" in result["msg"]


def names(live: dict[str, t.Any], registered: list[ContentCache], hints: Hints = ANYONE, **holders: int) -> list[str]:
    return [entry.name for entry in own_entries(live, match([live], registered), hints, registered, holders)]


def test_the_same_address_in_any_spelling_is_the_same_cache() -> None:
    asia, _india = two()
    assert names(asia, [ASIA, NAMED, ELSEWHERE]) == ["old-asia", "region-asia"]
    assert names(asia, [ASIA, NAMED], a1=2, o1=1) == ["region-asia", "old-asia"]
    assert names(asia, [ASIA, NAMED], Hints("old-asia"), a1=2) == ["old-asia", "region-asia"]
    assert names(asia, [ASIA, NAMED], Hints("m", name="region-asia"), o1=2) == ["region-asia", "old-asia"]


def test_two_caches_on_one_host_name_are_told_apart_by_their_ports() -> None:
    lives = two()
    assert {live["stack"]: [each.name for each in match(lives, REGISTERED)[live["id"]]] for live in lives} == {
        "asia": ["region-asia"],
        "india": [],
    }


@pytest.mark.parametrize(
    ("host", "url", "is_found"),
    [
        # A load balancer in front.
        ("https://cache.example.org", "https://cache.example.org:8443", True),
        # The address of a node, as a field script registers it.
        (None, "https://192.0.2.10:443", True),
        (None, "https://192.0.2.10:8443", False),
        (None, "https://cache-europe.example.org:443", False),
        ("https://[2001:db8::1]", "https://[2001:db8::1]:443", True),
        ("no address at all: [", "https://cache.example.org:443", False),
    ],
)
def test_what_leads_to_a_cache(host: str | None, url: str, is_found: bool) -> None:
    (live,) = found([service()], [config("dtr-cache_config.yml", changed(CONFIG, ("http.host", host)))])
    assert bool(names(live, [ContentCache("x", "x", url)])) is is_found


def test_a_cache_whose_address_nobody_names_is_known_by_its_name() -> None:
    (live,) = found([service()], [config("dtr-cache_config.yml", changed(CONFIG, ("http.host", None)))])
    assert names(live, REGISTERED) == []
    assert names(live, REGISTERED, Hints("region-europe")) == ["region-europe"]
