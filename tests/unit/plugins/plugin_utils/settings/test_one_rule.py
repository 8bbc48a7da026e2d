# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""One rule, whichever variable something comes by; and numbers that are no names.

Each is refused with its variable, or accepted and means what is written.
"""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.dtr.cache.tests.unit.support.settings import only_problem, read

EXTRA, ENVIRONMENT = "config_extra", "environment"

# A time without a unit, a folder that is not free, and a secret that everybody would see.
REFUSED: list[tuple[str, t.Any, str]] = [
    (EXTRA, {"http": {"draintimeout": 30}}, "http.draintimeout: '30' has no unit"),
    (EXTRA, {"http": {"draintimeout": "30"}}, "http.draintimeout: '30' has no unit"),
    (EXTRA, {"http": {"draintimeout": 0}}, "http.draintimeout: '0' has no unit"),
    (EXTRA, {"http": {"draintimeout": ["30s"]}}, "http.draintimeout: must be text"),
    (EXTRA, {"http": {"draintimeout": "-30s"}}, "http.draintimeout: '-30s' is not a duration"),
    (EXTRA, {"storage": {"maintenance": {"uploadpurging": {"age": 168}}}}, "maintenance.uploadpurging.age"),
    (EXTRA, '{"storage": {"maintenance": {"uploadpurging": {"interval": 24}}}}', "uploadpurging.interval: '24' has no"),
    (EXTRA, {"health": {"storagedriver": {"interval": 10}}}, "health.storagedriver.interval: '10' has no unit"),
    (EXTRA, {"health": {"tcp": [{"addr": "a:1", "timeout": 3}]}}, "health.tcp.0.timeout: '3' has no unit"),
    (EXTRA, {"redis": {"addr": "r:6379", "dialtimeout": "10"}}, "redis.dialtimeout: '10' has no unit"),
    (EXTRA, {"redis": {"pool": {"idletimeout": 300}}}, "redis.pool.idletimeout: '300' has no unit"),
    (EXTRA, {"notifications": {"endpoints": [{"timeout": 500}]}}, "notifications.endpoints.0.timeout: '500' has no"),
    (EXTRA, {"notifications": {"endpoints": [{"backoff": "1 s"}]}}, "endpoints.0.backoff: '1 s' is not a duration"),
    (EXTRA, {"storage": {"filesystem": {"rootdirectory": "layers"}}}, "rootdirectory: 'layers' is not an absolute"),
    (
        EXTRA,
        {"storage": {"filesystem": {"rootdirectory": "/var/lib/.."}}},
        "rootdirectory: '/var/lib/..' is a folder of",
    ),
    (ENVIRONMENT, {"REGISTRY_HTTP_DRAINTIMEOUT": "30"}, "REGISTRY_HTTP_DRAINTIMEOUT: "),
    (
        ENVIRONMENT,
        {"REGISTRY_REDIS_READTIMEOUT": "10"},
        "REGISTRY_REDIS_READTIMEOUT: redis.readtimeout: '10' has no unit",
    ),
    (
        ENVIRONMENT,
        {"REGISTRY_REDIS_READTIMEOUT": 10},
        "REGISTRY_REDIS_READTIMEOUT: redis.readtimeout: '10' has no unit",
    ),
    (
        ENVIRONMENT,
        {"REGISTRY_STORAGE_MAINTENANCE_UPLOADPURGING_AGE": "168"},
        "REGISTRY_STORAGE_MAINTENANCE_UPLOADPURGING_AGE: storage.maintenance.uploadpurging.age: '168' has no unit",
    ),
    (
        ENVIRONMENT,
        {"REGISTRY_STORAGE_MAINTENANCE": "{uploadpurging: {age: 168}}"},
        "REGISTRY_STORAGE_MAINTENANCE: storage.maintenance.uploadpurging.age: '168' has no unit",
    ),
    (ENVIRONMENT, {"REGISTRY_HEALTH_STORAGEDRIVER_INTERVAL": "10"}, "health.storagedriver.interval: '10' has no unit"),
    (
        ENVIRONMENT,
        {"REGISTRY_NOTIFICATIONS_ENDPOINTS": "[{headers: {Authorization: [a b]}}]"},
        "REGISTRY_NOTIFICATIONS_ENDPOINTS holds a credential",
    ),
    (ENVIRONMENT, {"A": "{{ nothing }}"}, "A: has {{, which begins a template of Swarm's"),
    ("storage", {"filesystem": {"rootdirectory": "layers"}}, "rootdirectory: 'layers' is not an absolute path"),
    ("storage", {"filesystem": {"rootdirectory": "/etc/registry"}}, "rootdirectory: '/etc/registry' is a folder of"),
    ("storage", {"maintenance": {"uploadpurging": {"age": 168}}}, "maintenance.uploadpurging.age: '168' has no unit"),
    *(
        ("volume", folder, f"{folder!r} is a folder of the system or the Engine")
        for folder in (
            *("/", "//", "/var", "/var/lib/", "/etc", "/usr/", "/proc/1", "/run", "/root", "/home", "/srv/../etc"),
            *("//etc//ssl", "/var/lib/docker", "/var/lib/docker/volumes", "/run/docker.sock", "/var/run/docker.sock"),
            "/var/run/../run/docker.sock",
        )
    ),
    ("volume", {"driver_opts": {"type": "none", "o": "bind", "device": "/etc"}}, "device: '/etc' is a folder of"),
    ("volume", {"driver_opts": {"type": "none", "o": "rw,rbind", "device": "/var/run/docker.sock"}}, "device: "),
    ("service_extra", {"tmpfs": ["//proc"]}, "'//proc' is not free in the container"),
    ("service_extra", {"hostname": "{{.Task.Address}}"}, "hostname: has {{, which begins a template of Swarm's"),
    # Numbers, switches and nothing are no names.
    *(
        (name, value, "to YAML")
        for name in (
            "name",
            "host",
            "stack_name",
            "node_label",
            "version",
            "image",
            "registry_username",
            "verify_account",
        )
        for value in (0o4711, 1e3, False)
    ),
    *(
        (name, value, "to YAML")
        for name in ("nodes", "former_names", "former_stack_names")
        for value in ([0o4711], ["a", 2.10], [None], [True], "[4711]", 4711)
    ),
    *(
        ("assignments", {"teams": ["a/b"], **given}, "to YAML")
        for given in (
            *({"accounts": 0o4711}, {"accounts": ["bob", 0o4711]}, {"orgs": [0x10]}, {"accounts": [None]}),
            *({"except": {"accounts": [0o4711]}}, {"except": {"orgs": 5}}),
        )
    ),
    ("assignments", '{"accounts": [4711]}', "accounts: 4711 is a number to YAML"),
    ("port", "0443", "'0443' is not a whole number from 1 to 65535"),
    ("volume", 4711, "is a number to YAML"),
    ("storage", {"s3": {"region": 1, "bucket": "b"}}, "s3.region: is a number to YAML"),
]


@pytest.mark.parametrize(("name", "value", "problem"), REFUSED, ids=[f"{each[0]}-{each[1]!r:.60}" for each in REFUSED])
def test_it_is_refused_with_its_variable(name: str, value: t.Any, problem: str) -> None:
    found = only_problem(**{name: value})
    assert found.startswith(f"dtr_cache_{name}: ")
    assert problem in found


@pytest.mark.parametrize(
    ("name", "value", "meant"),
    [
        ("name", "4711", "4711"),
        ("name", "1e3", "1e3"),
        ("nodes", "4711, 0815", ("4711", "0815")),
        ("nodes", '["4711"]', ("4711",)),
        ("port", "443", 443),
        ("host", "Cache.Example.ORG.", "cache.example.org"),
        ("blob_ttl", "never", "never"),
        ("volume", "//srv//cache/", "/srv/cache"),
        ("volume", "/run/cache/../layers", "/run/layers"),
        ("storage", {"filesystem": {"rootdirectory": "/layers/"}}, {"filesystem": {"rootdirectory": "/layers"}}),
        ("config_extra", {"http": {"draintimeout": "1m"}}, {"http": {"draintimeout": "1m"}}),
        ("config_extra", {"log": {"fields": {"timeout": 30}}}, {"log": {"fields": {"timeout": 30}}}),
        ("environment", {"REGISTRY_REDIS_READTIMEOUT": "10s"}, {"REGISTRY_REDIS_READTIMEOUT": "10s"}),
        ("environment", {"A": "{{.Node.Hostname}} $x ${y"}, {"A": "{{.Node.Hostname}} $x ${y"}),
    ],
)
def test_it_is_accepted_and_means_what_is_written(name: str, value: t.Any, meant: t.Any) -> None:
    settings, problems = read(**{name: value})
    assert problems == []
    assert getattr(settings, name) == meant


def test_a_host_in_any_letters_is_the_name_that_dns_has() -> None:
    settings, _problems = read(host="Bücher.Example.org.")
    assert settings.host == "xn--bcher-kva.example.org"
