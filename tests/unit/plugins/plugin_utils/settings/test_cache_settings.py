# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cache's name, address, image and configuration."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.dtr.cache.tests.unit.support.settings import (
    CA,
    CACHE,
    only_problem,
    read,
)
from ansible_collections.dtr.cache.tests.unit.support.web import make_identity

# One mistake each, and what the operator reads.
MISTAKES: list[tuple[dict[str, t.Any], str]] = [
    (
        {"config_extra": {"http": {"addr": ":80"}}},
        "config_extra: http.addr belongs to the cache itself; set dtr_cache_port",
    ),
    (
        {"config_extra": {"auth": {}}},
        "dtr_cache_config_extra: auth belongs to the cache itself; a cache has none: it serves",
    ),
    (
        {"upstreams": "https://cache.example.org:443"},
        "https://cache.example.org:443 is the cache itself, which would ask",
    ),
    (
        {"registry_url": "https://cache.example.org"},
        "dtr_cache_host: is the address of the DTR itself; a cache has a host",
    ),
    ({"image": "registry:99999/a"}, "what stands before the first slash is no host[:port]"),
    ({"name": None}, "dtr_cache_name: is required"),
    ({"name": "LOCAL"}, "dtr_cache_name: 'local' is what DTR calls pulling without a cache"),
    ({"name": "region asia"}, "dtr_cache_name: 'region asia' is not a cache's name"),
    ({"name": ["a"]}, "dtr_cache_name: must be text"),
    ({"former_names": "asia, Local"}, "dtr_cache_former_names: 'local' is what DTR calls pulling without a cache"),
    (
        {"former_names": ["asia", "region-asia"]},
        "dtr_cache_former_names: region-asia is the name that the cache has now (dtr_cache_name)",
    ),
    ({"former_names": {"asia": 1}}, "dtr_cache_former_names: must be a list of texts"),
    ({"host": None}, "dtr_cache_host: is required"),
    ({"host": "https://cache.example.org"}, "must be a host name alone"),
    ({"host": "cache.example.org:444"}, "its port belongs in dtr_cache_port"),
    ({"host": "-cache.example.org"}, "'-cache.example.org' is not a host name"),
    ({"public_port": 65536}, "dtr_cache_public_port: '65536' is not a whole number from 1 to 65535"),
    ({"port": 0}, "dtr_cache_port: '0' is not a whole number from 1 to 65535"),
    ({"port": "https"}, "dtr_cache_port: 'https' is not a whole number"),
    ({"product": "harbor"}, "dtr_cache_product: 'harbor' is none of dtr, msr2, msr3"),
    ({"blob_ttl": 24}, "24 has no unit and would mean nanoseconds; write 24h"),
    ({"blob_ttl": "1h30m"}, "dtr_cache_blob_ttl: '1h30m' is not a positive whole number with a unit"),
    ({"blob_ttl": "0h"}, "dtr_cache_blob_ttl: '0h' is not"),
    (
        {"blob_ttl": "24µs"},
        "dtr_cache_blob_ttl: '24µs' is not a positive whole number with a unit (ns, us, ms, s, m, h)",
    ),
    ({"blob_ttl": "9999999h"}, "dtr_cache_blob_ttl: '9999999h' is longer than 292 years"),
    ({"upstreams": "dtr.example.org"}, "dtr_cache_upstreams: 'dtr.example.org' is not an address"),
    ({"http_secret": "short"}, "dtr_cache_http_secret: must have at least 32 characters"),
    ({"config_extra": "log"}, "dtr_cache_config_extra: must be a mapping"),
    (
        {"config_extra": {"http": {"draintimeout": "soon"}}},
        "dtr_cache_config_extra: http.draintimeout: 'soon' is not a",
    ),
    ({"name": True}, "dtr_cache_name: is a truth value to YAML; put yes, no, on, off, true or false in quotes"),
    ({"name": "region\0asia"}, "dtr_cache_name: holds a byte that is not text"),
    ({"name": "region\nasia"}, "dtr_cache_name: must be one line of text without control characters"),
    ({"host": "cache.exam\x00ple.org"}, "dtr_cache_host: holds a byte that is not text"),
    ({"host": "cache.exam\tple.org"}, "dtr_cache_host: must be one line of text without control characters"),
    ({"port": "0443"}, "dtr_cache_port: '0443' is not a whole number from 1 to 65535"),
    ({"port": True}, "dtr_cache_port: 'true' is not a whole number"),
    ({"port": 443.0}, "dtr_cache_port: '443.0' is not a whole number"),
    ({"port": [443]}, "dtr_cache_port: must be text"),
    (
        {"config_extra": "log: {fields: {release: 2.10}}"},
        "dtr_cache_config_extra: log.fields.release is a number to YAML",
    ),
    (
        {"version": 2.1},
        "dtr_cache_version: is a number to YAML, which changes some (1.10 becomes 1.1); put it in quotes",
    ),
    ({"version": "2.7.6 beta"}, "dtr_cache_version: '2.7.6 beta' is not a version such as 2.7.6"),
    ({"version": "2.9"}, "dtr_cache_version: 2.9 is of msr2 (2.8 to 2.9), and dtr_cache_product is dtr; set dtr_cache"),
    (
        {"version": "2.10", "product": "msr2"},
        "dtr_cache_image: no document of the vendor names the repository of the cache's image for version 2.10; ask",
    ),
    ({"version": "v3.1.4", "product": "msr2"}, "dtr_cache_version: v3.1.4 is of msr3 (3.0 to 3.1), and dtr_cache_pr"),
    ({"version": "2.9.3"}, "dtr_cache_version: 2.9.3 is of msr2 (2.8 to 2.9), and dtr_cache_product is dtr; set dtr_"),
    (
        {"version": "2.10.1", "product": "msr2"},
        "dtr_cache_image: no document of the vendor names the repository of the cache's image for version 2.10.1; ask",
    ),
    ({"image": "docker/DTR-content-cache"}, "dtr_cache_image: 'docker/DTR-content-cache' is not the reference of"),
    ({"upstreams": {"a": 1}}, "dtr_cache_upstreams: must be a list of texts"),
    ({"config_extra": {"log": {1: "a"}}}, "dtr_cache_config_extra: has the key 1, which is not text"),
    ({"config_extra": "log: [debug"}, "dtr_cache_config_extra: is neither JSON nor YAML that can be read: something"),
    ({"config_extra": ["log"]}, "dtr_cache_config_extra: must be a mapping of keys to values"),
    ({"config_extra": {"http": {"draintimeout": True}}}, "dtr_cache_config_extra: http.draintimeout: 'true' is not a"),
]


@pytest.mark.parametrize(("changes", "sentence"), MISTAKES, ids=[sentence[:60] for _changes, sentence in MISTAKES])
def test_one_mistake_gives_one_clear_sentence(changes: dict[str, t.Any], sentence: str) -> None:
    assert sentence in only_problem(**changes)


@pytest.mark.parametrize(
    ("product", "label", "secret", "stack"),
    [
        ("dtr", "dtr.cache", "dtr.cert.pem", "dtr-cache"),
        ("msr2", "dtr.cache", "dtr.cert.pem", "dtr-cache"),
        ("msr3", "msr.cache", "msr.cert.pem", "msr-cache"),
    ],
)
def test_each_product_has_the_names_of_its_documents(product: str, label: str, secret: str, stack: str) -> None:
    settings, problems = read(product=product, version="")
    assert problems == []
    assert (settings.image, settings.product) == ("", (product, label, secret, stack))
    assert settings.stack_name == stack


def test_a_whole_reference_goes_before_any_version() -> None:
    settings, problems = read(product="msr3", version="2.7.6", image="registry.example.org/cache:1")
    assert (settings.image, problems) == ("registry.example.org/cache:1", [])


@pytest.mark.parametrize("host", ["2001:db8::1", "[2001:db8::1]"])
def test_an_ipv6_address_stands_in_brackets_in_the_address(host: str) -> None:
    settings, problems = read(needs=["cache"], host=host, certificate=None, private_key=None)
    assert problems == []
    assert (settings.host, settings.url) == ("2001:db8::1", "https://[2001:db8::1]:443")


def test_the_http_secret_is_stable_and_depends_on_key_and_host() -> None:
    first = read()[0].http_secret
    assert read()[0].http_secret == first
    # Nothing in the Swarm changes for a new name in DTR.
    assert read(name="region-europe")[0].http_secret == first
    assert read(host="cache-europe.example.org")[0].http_secret != first
    other = make_identity("cache", CA, addresses=["cache.example.org"])
    assert read(certificate=other.pem, private_key=other.key_pem)[0].http_secret != first
    assert CACHE.key_pem.split("\n")[1] not in first
