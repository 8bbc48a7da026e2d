# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Content caches among services, whoever made them, and what each one says of itself."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.dtr.cache.plugins.module_utils.swarm.live_cache import (
    downstream_options,
    is_content_cache,
    live_cache,
    live_caches,
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
    assert found.node_labels == {"dtr.cache": "true"}
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
