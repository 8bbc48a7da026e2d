# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Content caches among services, whoever made them, and what each one says of itself."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.dtr.cache.plugins.module_utils.swarm.live_cache import (
    cache_service,
    downstream_options,
    is_content_cache,
    live_cache,
    live_caches,
    stack_problems,
    with_service,
)
from ansible_collections.dtr.cache.tests.unit.support.hand_made import CONFIG, config, service

CONFIGS = {"dtr-cache_config.yml": config(), "site": config({"sites": ["a"]})}


@pytest.mark.parametrize(
    ("live", "image", "expected"),
    [
        (service(), "", True),
        (service(image="registry.mirantis.com/msr/msr-content-cache:3.1.4@sha256:0", config=""), "", True),
        (service(image="mirror.example.org:5000/docker/dtr-content-cache", command=()), "", True),
        # A mirror calls it otherwise.
        (service(image="mirror.example.org/infra/regcache:2.7", command=["/entry"]), "", True),
        (service(image="infra/regcache:2.7", config="", command=["/start.sh", "/run/secrets/config.yml"]), "", True),
        (service(image="infra/regcache:2.7", config="", command=()), "infra/regcache:2.8", True),
        (service(image="infra/regcache:2.7", config="", command=()), "infra/other:2.8", False),
        (service(image="redis:7", config="site", command=["redis"]), "", False),
        (service(image="redis:7", config="gone", command=["/start.sh"]), "docker/dtr-content-cache:2.7", False),
        ({"Spec": {"Name": "bare"}}, "", False),
    ],
)
def test_a_cache_is_known_by_its_image_its_config_or_its_command(live: t.Any, image: str, expected: bool) -> None:
    assert is_content_cache(live, CONFIGS, image) == expected


def test_what_a_cache_says_of_itself() -> None:
    found = live_cache(service("dtr-cache_registry", mode="ingress"), CONFIGS)
    assert (found.stack, found.name, found.full_name) == ("dtr-cache", "registry", "dtr-cache_registry")
    assert (found.image, found.url) == ("docker/dtr-content-cache:2.7.6", "https://cache-asia.example.org")
    assert [str(port) for port in found.ports] == ["443:443/tcp (ingress)"]
    assert (found.publishes(443), found.publishes(8443)) == (True, False)
    assert found.config == CONFIG
    assert found.signs == "image docker/dtr-content-cache:2.7.6, http.host https://cache-asia.example.org"


@pytest.mark.parametrize("data", ["a: [", "- list", "\x00", ""])
def test_a_config_that_is_none_says_nothing(data: str) -> None:
    found = live_cache(service(), {"dtr-cache_config.yml": config(data)})
    assert (found.config, found.url, found.signs) == (None, "", "image docker/dtr-content-cache:2.7.6")


@pytest.mark.parametrize("odd", [None, {}, {"middleware": 5}, {"middleware": {"registry": ["x"]}}, {"http": []}])
def test_nor_does_one_of_another_form(odd: t.Any) -> None:
    assert downstream_options(odd) == {}


@pytest.mark.parametrize(
    ("url", "host", "same"),
    [
        ("https://cache-asia.example.org", "cache-asia.example.org", True),
        ("https://Cache-Asia.example.org:8443/", "cache-asia.example.org", True),
        ("cache-asia.example.org:443", "cache-asia.example.org", True),
        ("https://[2001:db8::1]:443", "2001:db8::1", True),
        ("https://cache-europe.example.org", "cache-asia.example.org", False),
        # Nothing speaks against it.
        ("", "cache-asia.example.org", True),
        ("https://cache-europe.example.org", "", True),
    ],
)
def test_by_its_host_it_is_this_cache_or_another(url: str, host: str, same: bool) -> None:
    named = {**CONFIG, "http": {"host": url}}
    assert live_cache(service(), {"dtr-cache_config.yml": config(named)}).is_of(host) == same


def test_caches_are_listed_by_their_names() -> None:
    alone = service("by-hand", stack="")
    found = live_caches([service(), alone, service("x", image="redis:7", config="", command=())], CONFIGS)
    assert [(cache.full_name, cache.stack, cache.name) for cache in found] == [
        ("by-hand", "", "by-hand"),
        ("dtr-cache_cache", "dtr-cache", "cache"),
    ]


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
