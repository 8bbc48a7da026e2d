# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Odd inputs that are no mistake, and what they mean: everywhere the same."""

from __future__ import annotations

import ipaddress
import typing as t
from pathlib import Path

import pytest
from ansible_collections.dtr.cache.tests.unit.plugins.plugin_utils.settings import bad_inputs_certificates as made
from ansible_collections.dtr.cache.tests.unit.support.settings import CA, CACHE, read
from ansible_collections.dtr.cache.tests.unit.support.web import Identity, make_identity

DIGEST = "sha256:" + "0123456789abcdef" * 4
CROSSED = make_identity("intermediate", made.OTHER, ca=True, key=made.INTERMEDIATE.key)
GONE = make_identity("ca", made.OTHER, ca=True, key=CA.key, days=(-20, -1))


def images(*names: str) -> list[tuple[dict[str, t.Any], dict[str, t.Any]]]:
    return [({"image": name}, {"image": name.strip()}) for name in names]


# What is given, and what of the settings it makes.
ODD: list[tuple[dict[str, t.Any], dict[str, t.Any]]] = [
    ({"name": "5"}, {"name": "5"}),
    ({"name": "R2.asia_1-b"}, {"name": "R2.asia_1-b"}),
    ({"name": "n" * 128}, {"name": "n" * 128}),
    ({"host": "CACHE.example.org"}, {"host": "cache.example.org"}),
    ({"host": " cache.example.org.\n"}, {"host": "cache.example.org"}),
    ({"port": " 8443 "}, {"port": 8443}),
    ({"port": 65535}, {"port": 65535}),
    ({"registry_url": " HTTPS://dtr.example.org/ "}, {"registry_url": "https://dtr.example.org"}),
    ({"registry_url": "https://[2001:DB8::1]:443"}, {"registry_url": "https://[2001:db8::1]:443"}),
    ({"registry_url": "https://dtr_1:0443"}, {"registry_url": "https://dtr_1:443"}),
    ({"registry_username": "DOMAIN\\admin@example.org"}, {"registry_username": "DOMAIN\\admin@example.org"}),
    ({"registry_password": " {{ no template }} "}, {"registry_password": " {{ no template }} "}),
    ({"registry_password": "no"}, {"registry_password": "no"}),
    ({"registry_password": "0"}, {"registry_password": "0"}),
    ({"registry_ca": "system"}, {"registry_ca": "system"}),
    ({"upstreams": []}, {"upstreams": ()}),
    ({"upstreams": "https://a.example.org,\n\nhttps://b"}, {"upstreams": ("https://a.example.org", "https://b")}),
    ({"upstreams": ["https://cache.example.org:8443"]}, {"upstreams": ("https://cache.example.org:8443",)}),
    # Images, by the grammar of Docker.
    *images(
        "a", "a/b/c/d:1", "localhost/a", "localhost:5000/a/b", "registry:5000/a", "registry:5000", "10.0.0.1:5000/a"
    ),
    *images("[2001:db8::1]:5000/a", "Registry.Example.org/a", "a/b__c", "a/b--c", "a/b---c.d_e", f"a/b@{DIGEST}"),
    *images(f"a/b:1@{DIGEST}", "a:" + "t" * 128, "a:_1.-x", "a:LATEST", "xn--bcher-kva.example/a", "a.b-c/d"),
    ({"version": "2.7.6-rc1_x", "product": "dtr"}, {"image": "docker/dtr-content-cache:2.7.6-rc1_x"}),
    ({"version": "2"}, {"image": "docker/dtr-content-cache:2"}),
    # Times and amounts.
    ({"blob_ttl": "90m"}, {"blob_ttl": "90m"}),
    ({"blob_ttl": "2562047h"}, {"blob_ttl": "2562047h"}),
    ({"update_config": {"delay": "1m0.5s", "monitor": "0s"}}, {"update_config": {"delay": "1m0.5s", "monitor": "0s"}}),
    ({"update_config": {"parallelism": 0, "order": None}}, {"update_config": {"parallelism": 0}}),
    ({"update_config": {"max_failure_ratio": ".5"}}, {"update_config": {"max_failure_ratio": 0.5}}),
    (
        {"resources": {"limits": {"cpus": 0.1, "memory": "32M"}}},
        {"resources": {"limits": {"cpus": "0.1", "memory": "32M"}}},
    ),
    ({"resources": {"limits": {"cpus": "1.5000000000"}}}, {"resources": {"limits": {"cpus": "1.5000000000"}}}),
    ({"resources": {"reservations": {"memory": "4 MiB"}}}, {"resources": {"reservations": {"memory": "4 MiB"}}}),
    (
        {"resources": {"limits": {"memory": "1g"}, "reservations": {"memory": 2**30}}},
        {"resources": {"limits": {"memory": "1g"}, "reservations": {"memory": str(2**30)}}},
    ),
    ({"timeout": "86400"}, {"timeout": 86400}),
    ({"keep_versions": 0}, {"keep_versions": 0}),
    ({"replicas": 3}, {"replicas": 3}),
    # The service.
    ({"nodes": " worker-1 ,,worker_2\n"}, {"nodes": ("worker-1", "worker_2")}),
    ({"nodes": ["1", "10.0.0.1"]}, {"nodes": ("1", "10.0.0.1")}),
    ({"stack_name": "A-1_b"}, {"stack_name": "A-1_b"}),
    ({"node_label": "A-1_b.c"}, {"node_label": "A-1_b.c"}),
    ({"former_stack_names": " old.cache ,old.cache,\n2"}, {"former_stack_names": ("old.cache", "2")}),
    (
        {"environment": {"a.b-c": "x=y z", "EMPTY": "", "N": 5}},
        {"environment": {"a.b-c": "x=y z", "EMPTY": "", "N": "5"}},
    ),
    ({"environment": {"LINES": "a\nb", "UNSET": None}}, {"environment": {"LINES": "a\nb"}}),
    ({"environment": {"A": True}}, {"environment": {"A": "true"}}),
    ({"environment": '{"A": false}'}, {"environment": {"A": "false"}}),
    ({"environment": "A: true\nB: 'no'\nC: none"}, {"environment": {"A": "true", "B": "no", "C": "none"}}),
    ({"environment": {"REGISTRY_LOG_LEVEL": "DEBUG"}}, {"environment": {"REGISTRY_LOG_LEVEL": "DEBUG"}}),
    (
        {"environment": {"REGISTRY_STORAGE_DELETE_ENABLED": "true", "REGISTRY_HTTP_DEBUG_ADDR": ":5001"}},
        {"environment": {"REGISTRY_STORAGE_DELETE_ENABLED": "true", "REGISTRY_HTTP_DEBUG_ADDR": ":5001"}},
    ),
    ({"volume": "5"}, {"volume": "5"}),
    ({"volume": "/srv/../data/"}, {"volume": "/data"}),
    (
        {"volume": {"driver": "rexray", "driver_opts": {"size": 10}}},
        {"volume": {"driver": "rexray", "driver_opts": {"size": "10"}}},
    ),
    ({"volume": {"driver_opts": {"size": "10G"}}}, {"volume": {"driver_opts": {"size": "10G"}}}),
    ({"volume": {}}, {"volume": {}}),
    # The registry's configuration: what does no harm stays allowed.
    *(
        ({"config_extra": extra}, {"config_extra": extra})
        for extra in (
            {
                "log": {
                    "level": "Debug",
                    "formatter": "json",
                    "fields": {"site": "asia"},
                    "accesslog": {"disabled": True},
                }
            },
            {"http": {"draintimeout": "2m", "http2": {"disabled": True}, "relativeurls": True}},
            {"http": {"tls": {"minimumtls": "tls1.2", "ciphersuites": ["TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"]}}},
            {"http": {"headers": {"X-Content-Type-Options": ["nosniff"]}}},
            {"http": {"debug": {"addr": ":5001", "prometheus": {"enabled": True}}}},
            {"middleware": {"storage": [{"name": "redirect", "options": {"baseurl": "https://cdn.example.org"}}]}},
            {
                "storage": {
                    "filesystem": {"a_newer_key": 1},
                    "delete": {"enabled": True},
                    "cache": {"blobdescriptor": "x"},
                }
            },
            {"redis": {"addr": "redis:6379"}, "health": {"storagedriver": {"enabled": True}}},
            {"notifications": {"endpoints": []}, "validation": {"disabled": True}},
            {"a_newer_section": {"a": 1}},
            {"redis": None},
        )
    ),
    # Who pulls, and from where.
    ({"assignments": {"accounts": "alice,bob", "everyone": " Yes "}}, {}),
    ({"verify_image": f"team/app@{DIGEST}"}, {"verify_image": f"team/app@{DIGEST}"}),
    (
        {"allowed_networks": "10.0.0.1, ::1"},
        {"allowed_networks": tuple(map(ipaddress.ip_network, ("10.0.0.1", "::1")))},
    ),
    ({"client_registries": "[2001:db8::1]:8443"}, {"client_registries": ("[2001:db8::1]:8443",)}),
    ({"client_registries": ["dtr", "dtr:5000", "dtr"]}, {"client_registries": ("dtr", "dtr:5000")}),
    ({"ignore_variables": ["dtr_cache_?_*"], "a_b": {1: object}}, {}),
]


@pytest.mark.parametrize(("given", "meant"), ODD, ids=[f"{number}" for number in range(len(ODD))])
def test_an_odd_input_means_what_it_says(given: dict[str, t.Any], meant: dict[str, t.Any]) -> None:
    settings, problems = read(**given)
    assert problems == []
    assert {name: getattr(settings, name) for name in meant} == meant


def pem(*identities: Identity) -> str:
    return "".join(each.pem for each in identities)


@pytest.mark.parametrize(
    ("chain", "authority", "trusted"),
    [
        ([CACHE], "", [CA]),
        ([CACHE], pem(made.OTHER, CA), []),
        ([CACHE], pem(made.OLD_CA, CA, made.NO_CA), []),
        ([CACHE, CA], pem(CA), []),
        ([CACHE, CA], "", [CA, made.OTHER]),
        ([CACHE], pem(CACHE), []),
        ([made.SELF], pem(made.SELF), []),
        ([made.SELF], "", [made.SELF]),
        # A partial chain, and cross-signed ones.
        ([made.BELOW], pem(made.INTERMEDIATE), []),
        ([made.BELOW, made.INTERMEDIATE], "", [CA]),
        ([made.BELOW, made.INTERMEDIATE, CROSSED], pem(CA), []),
        ([made.BELOW, CROSSED, made.INTERMEDIATE], "", [made.OTHER]),
        ([made.BELOW, made.INTERMEDIATE, GONE], pem(CA), []),
        ([CACHE, made.OLD_CA], pem(CA), []),
    ],
)
def test_a_chain_that_clients_accept_is_accepted(
    chain: list[Identity], authority: str, trusted: list[Identity], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cas.pem").write_text(pem(*trusted))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cas.pem"))
    settings, problems = read(
        certificate=pem(*chain),
        private_key=chain[0].key_pem,
        ca_certificate=authority,
    )
    assert problems == []
    assert settings.certificate == pem(*chain)


@pytest.mark.parametrize("name", ["registry_ca", "upstream_cas", "client_cas"])
@pytest.mark.parametrize(
    "given", [pem(CA), pem(made.OLD_CA, CA), pem(CACHE, CA), pem(made.SELF), pem(made.INTERMEDIATE)]
)
def test_authorities_by_which_something_can_be_trusted(name: str, given: str) -> None:
    assert read(**{name: given})[1] == []


def test_clients_may_trust_the_ca_of_a_later_time() -> None:
    assert read(client_cas=[made.LATE_CA.pem])[1] == []


@pytest.mark.parametrize("needs", [["cache", "registry", "manager"], ["cache"], ["registry"]])
def test_who_rolls_nothing_out_is_told_by_what_the_cache_shows(needs: list[str]) -> None:
    """The observation and the verification judge the server itself."""
    short = make_identity("cache", CA, addresses=["cache.example.org"], days=(-20, 3))
    given = {"certificate": short.pem, "private_key": short.key_pem}
    assert read(needs=needs, **given, ca_certificate=None, client_cas=[made.OLD_CA.pem])[1] == []
    assert len(read(**given, ca_certificate=None, client_cas=[made.OLD_CA.pem])[1]) == 2
