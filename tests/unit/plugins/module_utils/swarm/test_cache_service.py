# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which service of a stack is the cache, and what of the stack stands against deploying it there."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.dtr.cache.plugins.module_utils.swarm.cache_service import (
    cache_service,
    stack_problems,
    with_service,
)
from ansible_collections.dtr.cache.tests.unit.support.hand_made import service

Services = dict[str, t.Any]
OURS = "dtr-cache_config.yml_0123456789ab"
REDIS: dict[str, t.Any] = {"image": "redis:7", "config": "", "command": (), "secrets": ()}


def stack(**services: dict[str, t.Any]) -> Services:
    return {name: service(f"dtr-cache_{name}", **parts) for name, parts in services.items()}


@pytest.mark.parametrize(
    ("services", "expected"),
    [
        ({}, "cache"),
        (stack(cache={}), "cache"),
        (stack(registry={}), "registry"),
        (stack(registry={}, redis=REDIS), "registry"),
        # The name alone makes no cache.
        (stack(cache=REDIS, registry={}), "registry"),
        # What this collection deployed is the cache, whatever somebody has put in.
        (stack(cache={**REDIS, "config": OURS}, other={"port": 80}), "cache"),
        (stack(a={"port": 80}, b={}), "b"),
        (stack(a={}, b={}), "cache"),
        (stack(a={"port": 80}, b={"port": 80}), "cache"),
        (stack(redis=REDIS), "cache"),
    ],
)
def test_the_service_that_is_the_cache(services: Services, expected: str) -> None:
    assert cache_service("dtr-cache", services, {}, "", 443) == expected


@pytest.mark.parametrize(
    ("services", "sentence"),
    [
        (stack(cache={}), ""),
        (stack(registry={}, redis={**REDIS, "port": 6379}), ""),
        (stack(redis={**REDIS, "port": 6379}), ""),
        (
            stack(cache={}, registry={}),
            "dtr_cache_port: two services of stack dtr-cache cannot both have port 443: dtr-cache_cache is the cache, "
            "and dtr-cache_registry publishes the port as well. Remove what is not needed with: docker service rm "
            "dtr-cache_registry",
        ),
        (
            stack(web={**REDIS}),
            "dtr_cache_port: two services of stack dtr-cache cannot both have port 443: dtr-cache_web publishes it, "
            "and is no content cache that is known. Remove what is not needed with: docker service rm dtr-cache_web",
        ),
        (
            stack(a={}, b={}),
            "dtr_cache_stack_name: stack dtr-cache has 2 content caches (dtr-cache_a, dtr-cache_b), and not exactly "
            "one of them publishes port 443; remove those that are not this cache with docker service rm, or give this "
            "cache a stack of its own with dtr_cache_stack_name",
        ),
        (
            stack(cache={**REDIS, "port": 6379}),
            "dtr_cache_stack_name: service dtr-cache_cache is no content cache (its image is redis:7), and would be "
            "replaced by one; give this cache a stack of its own with dtr_cache_stack_name",
        ),
    ],
)
def test_what_stands_against_deploying_to_a_stack(services: Services, sentence: str) -> None:
    assert stack_problems("dtr-cache", services, {}, "", 443) == ([sentence] if sentence else [])


@pytest.mark.parametrize("mode", ["Global", "ReplicatedJob", "GlobalJob"])
def test_swarm_cannot_change_the_mode_of_a_service(mode: str) -> None:
    services = stack(registry={})
    services["registry"]["Spec"]["Mode"] = {mode: {}}
    (sentence,) = stack_problems("dtr-cache", services, {}, "", 443)
    assert sentence == (
        f"dtr_cache_stack_name: service dtr-cache_registry runs in mode {mode.lower()}, which Swarm cannot change: "
        "remove it right before the deployment, with docker service rm dtr-cache_registry; its accounts stay, and "
        "cannot pull in between"
    )


def test_the_definition_gets_the_name_of_the_service_that_is_there() -> None:
    definition = {"version": "3.3", "services": {"cache": {"image": "x"}}}
    assert with_service(definition, "registry") == {"version": "3.3", "services": {"registry": {"image": "x"}}}
    assert with_service(definition, "cache") == definition
    assert with_service({}, "registry") == {}
