# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""C(dtr_cache_service_extra): one form for each spelling, and a clear sentence for what it does not take."""

from __future__ import annotations

import json
import typing as t

import pytest
import yaml
from ansible_collections.dtr.cache.plugins.plugin_utils.deployment import definition as deployment
from ansible_collections.dtr.cache.tests.unit.support.settings import only_problem, read

EXTRA: dict[str, t.Any] = {
    "logging": {"driver": "json-file", "options": {"max-size": "10m", "max-file": 2}},
    "extra_hosts": {"dtr.example.org": "192.0.2.1", "b": "2001:db8::1"},
    "dns": ["192.0.2.53"],
    "dns_search": ["example.org"],
    "labels": {"team": "platform", "empty": ""},
    "deploy": {"labels": {"com.docker.ucp.access.label": "/caches"}},
    "healthcheck": {"test": "wget -q", "interval": "5s", "retries": 3, "start_period": "1m"},
    "hostname": "cache-asia",
    "sysctls": {"net.core.somaxconn": 1024},
    "ulimits": {"nofile": {"soft": 1024, "hard": 65536}, "memlock": -1},
    "cap_add": ["NET_BIND_SERVICE"],
    "cap_drop": ["net_raw", "CAP_MKNOD"],
    "init": True,
    "stop_grace_period": "50s",
    "tmpfs": ["/scratch"],
}
SPELLINGS: list[t.Any] = [
    EXTRA,
    json.dumps(EXTRA),
    yaml.safe_dump(EXTRA),
    {
        key: value if key == "healthcheck" else json.dumps(value) if isinstance(value, (dict, list)) else value
        for key, value in EXTRA.items()
    },
    {
        **EXTRA,
        "logging": {"driver": " json-file ", "options": ["max-file=2", "max-size=10m"]},
        "extra_hosts": ["dtr.example.org:192.0.2.1", "b:[2001:DB8::1]"],
        "dns": "192.0.2.53",
        "dns_search": "example.org",
        "labels": ["team=platform", "empty="],
        "healthcheck": {**EXTRA["healthcheck"], "test": ["CMD-SHELL", "wget -q"], "disable": "no", "timeout": None},
        "sysctls": {"net.core.somaxconn": "1024"},
        "ulimits": {"memlock": "-1", "nofile": {"hard": "65536", "soft": 1024}},
        "cap_add": "cap_net_bind_service",
        "cap_drop": "MKNOD, NET_RAW",
        "init": "yes",
        "tmpfs": "/scratch/",
    },
]
del SPELLINGS[-1]["healthcheck"]["disable"]
MISTAKES: list[tuple[t.Any, str]] = [
    ("logging", "must be a mapping of keys to values"),
    ({"loging": {}}, "loging is unknown; did you mean logging?"),
    ({"image": "a"}, "image cannot be set here: set dtr_cache_image or dtr_cache_version instead"),
    ({"ports": ["1:1"]}, "ports cannot be set here: set dtr_cache_port and dtr_cache_publish_mode instead"),
    ({"environment": {}}, "environment cannot be set here: set dtr_cache_environment instead"),
    ({"volumes": []}, "volumes cannot be set here: set dtr_cache_volume instead"),
    ({"deploy": {"replicas": 2}}, "deploy.replicas cannot be set here: set dtr_cache_replicas instead"),
    ({"deploy": {"resources": {}}}, "deploy.resources cannot be set here: set dtr_cache_resources instead"),
    ({"deploy": {"label": {}}}, "deploy.label is unknown; did you mean labels?"),
    ({"privileged": True}, "privileged cannot be set here: docker stack deploy ignores it; leave it out"),
    ({"logging": {"options": {"a": "b"}}}, "logging.driver is required"),
    (
        {"logging": {"driver": "splunk", "options": {"splunk-token": "x"}}},
        "splunk-token holds a credential, which every",
    ),
    (
        {"labels": {"note": "password=hush"}},
        "labels: note holds a credential, which everybody who may inspect the service",
    ),
    ({"labels": {"api-key": "hush"}}, "labels: api-key holds a credential"),
    ({"deploy": {"labels": ["a=https://h/?token=hush"]}}, "deploy.labels: a holds a credential"),
    ({"labels": {"token:hush": "x"}}, "labels: what is given holds a credential"),
    (
        {"logging": {"driver": "x", "options": {"tag": "https://h/?token=hush"}}},
        "logging.options: tag holds a credential",
    ),
    ({"labels": {"com.docker.stack.namespace": "x"}}, "labels: com.docker.stack.namespace belongs to Docker; leave it"),
    ({"labels": {"a b": "x"}}, "labels: 'a b' is not a key"),
    ({"labels": ["a=1", "a=2"]}, "labels: names a twice"),
    ({"labels": ["a"]}, "labels: 'a' is not of the form KEY=VALUE"),
    ({"labels": {"y": "x"}}, "labels: 'y' as a name would be a number or a truth value to Docker; choose another one"),
    (
        {"logging": {"driver": "x", "options": ["1e3=x"]}},
        "logging.options: '1e3' as a name would be a number or a truth",
    ),
    (
        "labels: {release: 2.10}",
        "labels: release is a number to YAML, which changes some (1.10 becomes 1.1); put it in quotes",
    ),
    (
        {"sysctls": {"net.a": 1.5}},
        "sysctls: net.a is a number to YAML, which changes some (1.10 becomes 1.1); put it in quotes",
    ),
    ({"extra_hosts": {"a b": "192.0.2.1"}}, "extra_hosts: 'a b' is not a host name"),
    ({"extra_hosts": {"a": "b"}}, "extra_hosts: 'b' is not an IP address"),
    ({"dns": "dns.example.org"}, "dns: 'dns.example.org' is not an IP address"),
    ({"dns_search": "a b"}, "dns_search: 'a b' is not a domain"),
    ({"healthcheck": {"test": "curl -u admin:hush https://a"}}, "healthcheck.test: holds a credential, which everybo"),
    ({"healthcheck": {"test": ["CMD", "x", "--token", "hush"]}}, "healthcheck.test: holds a credential, which everyb"),
    ({"healthcheck": {"test": "wget https://h/?token=hush"}}, "healthcheck.test: holds a credential, which everybody"),
    ({"healthcheck": {"test": ["wget"]}}, "healthcheck.test: a list begins with one of NONE, CMD, CMD-SHELL"),
    ({"healthcheck": {"test": ["CMD"]}}, "healthcheck.test: CMD needs a command after it; write disable: true for no"),
    ({"healthcheck": {"test": ["CMD-SHELL", " "]}}, "healthcheck.test: CMD-SHELL needs a command after it"),
    ({"healthcheck": {"test": '["CMD"]'}}, "healthcheck.test: CMD needs a command after it"),
    ({"healthcheck": {"test": ["NONE", "wget"]}}, "healthcheck.test: nothing goes with NONE, which switches the check"),
    ({"healthcheck": {"interval": "100us"}}, "healthcheck.interval: '100us' is less than 1ms, the least that Docker"),
    ({"healthcheck": {"start_period": "1ns"}}, "healthcheck.start_period: '1ns' is less than 1ms, the least that Doc"),
    ({"healthcheck": {"interval": 5}}, "healthcheck.interval: '5' has no unit; write for example 5s"),
    ({"healthcheck": {"retries": 0}}, "healthcheck.retries: '0' is not a whole number from 1 to 1000"),
    ({"healthcheck": {"disable": True, "test": "a"}}, "healthcheck.disable leaves nothing else to set"),
    ({"sysctls": {"vm.swappiness": 1}}, "sysctls: 'vm.swappiness' is none that a container may have for itself"),
    ({"ulimits": {"nofiles": 1}}, "ulimits: 'nofiles' is none of core, cpu"),
    ({"ulimits": {"nofile": {"soft": 2, "hard": 1}}}, "ulimits: nofile: soft is more than hard"),
    ({"ulimits": {"nofile": {"soft": 2}}}, "ulimits: nofile must be a number, or soft and hard"),
    ({"ulimits": {"nofile": "many"}}, "ulimits: nofile: 'many' is neither a whole number nor -1 (no limit)"),
    ({"cap_add": ["NET ADMIN"]}, "cap_add: 'NET ADMIN' is not a capability such as NET_BIND_SERVICE"),
    ({"cap_add": ["MKNOD"], "cap_drop": ["cap_mknod"]}, "cap_add and cap_drop both name CAP_MKNOD"),
    ({"init": "maybe"}, "init: 'maybe' is neither true nor false"),
    ({"stop_grace_period": "30s"}, "stop_grace_period: 30s is not longer than http.draintimeout (30s)"),
    ({"tmpfs": ["scratch"]}, "tmpfs: 'scratch' is not a folder in the container, from the root on"),
    ({"tmpfs": ["/run/secrets/x"]}, "tmpfs: '/run/secrets/x' is not free in the container"),
    ({"hostname": "a b"}, "hostname: 'a b' is not a host name"),
]


@pytest.mark.parametrize("spelling", SPELLINGS, ids=range(len(SPELLINGS)))
def test_all_spellings_are_the_same_service(spelling: t.Any) -> None:
    settings, problems = read(service_extra=spelling)
    assert problems == []
    assert settings.service_extra == read(service_extra=EXTRA)[0].service_extra


@pytest.mark.parametrize(("given", "sentence"), MISTAKES, ids=[sentence[:50] for _given, sentence in MISTAKES])
def test_one_mistake_gives_one_clear_sentence(given: t.Any, sentence: str) -> None:
    problem = only_problem(service_extra=given)
    assert problem.startswith("dtr_cache_service_extra: ")
    assert sentence in problem
    assert "hush" not in problem


def test_what_docker_takes_once_is_there_once() -> None:
    given = {"dns": "::1, 0:0:0:0:0:0:0:1, 192.0.2.1", "dns_search": ["b.test", "a.test", "b.test"]}
    settings, problems = read(service_extra=given)
    assert problems == []
    assert settings.service_extra == {"dns": ["::1", "192.0.2.1"], "dns_search": ["b.test", "a.test"]}


@pytest.mark.parametrize("check", [{"test": ["NONE"]}, {"interval": "1ms", "timeout": "0s"}])
def test_a_check_that_docker_takes_is_kept(check: dict[str, t.Any]) -> None:
    settings, problems = read(service_extra={"healthcheck": check})
    assert (problems, settings.service_extra) == ([], {"healthcheck": check})


def test_the_time_to_end_follows_the_drain_that_is_configured() -> None:
    drain = {"http": {"draintimeout": "2m"}}
    assert "http.draintimeout (2m)" in only_problem(service_extra={"stop_grace_period": "50s"}, config_extra=drain)
    assert read(service_extra={"stop_grace_period": "121s"}, config_extra=drain)[1] == []


def test_memory_does_not_hide_the_volume() -> None:
    hidden = {"tmpfs": "/var/lib/registry"}
    assert "is where dtr_cache_volume is mounted" in only_problem(service_extra=hidden, volume="/srv/cache")
    assert read(service_extra=hidden)[1] == []


def test_it_stands_in_the_definition_beside_the_rest() -> None:
    settings, problems = read(service_extra=EXTRA, volume="/srv/cache", nodes=["worker-1"])
    assert problems == []
    definition = deployment.stack_definition(settings, [])
    service = definition["services"]["cache"]
    assert service["volumes"] == ["/srv/cache:/var/lib/registry", {"type": "tmpfs", "target": "/scratch"}]
    assert service["deploy"]["labels"] == {"com.docker.ucp.access.label": "/caches"}
    assert service["deploy"]["replicas"] == 1
    assert (service["stop_grace_period"], service["init"], "tmpfs" in service) == ("50s", True, False)
    assert service["extra_hosts"] == ["b:2001:db8::1", "dtr.example.org:192.0.2.1"]
    assert definition["version"] == "3.7"


@pytest.mark.parametrize(
    ("extra", "version"),
    [
        ({}, "3.3"),
        ({"labels": {"a": "b"}}, "3.3"),
        ({"healthcheck": {"start_period": "1s"}}, "3.4"),
        ({"tmpfs": "/a"}, "3.6"),
    ],
)
def test_the_format_is_the_oldest_that_has_all_of_it(extra: dict[str, t.Any], version: str) -> None:
    settings = read(service_extra=extra, nodes=["worker-1"], update_config={"parallelism": 1})[0]
    assert deployment.stack_definition(settings, [])["version"] == version
