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
        "extra_hosts": ["dtr.example.org:192.0.2.1", "b:[2001:db8::1]"],
        "dns": "192.0.2.53",
        "dns_search": "example.org",
        "labels": ["team=platform", "empty="],
        "healthcheck": {**EXTRA["healthcheck"], "test": ["CMD-SHELL", "wget -q"], "disable": "no", "timeout": None},
        "sysctls": {"net.core.somaxconn": "1024"},
        "ulimits": {"memlock": "-1", "nofile": {"hard": "65536", "soft": 1024}},
        "cap_add": "NET_BIND_SERVICE",
        "cap_drop": "net_raw, CAP_MKNOD",
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
    ({"healthcheck": {"test": "curl -u admin:hush https://a"}}, "healthcheck.test: holds a credential, which everybo"),
    ({"healthcheck": {"test": ["CMD", "x", "--token", "hush"]}}, "healthcheck.test: holds a credential, which everyb"),
    ({"healthcheck": {"test": "wget https://h/?token=hush"}}, "healthcheck.test: holds a credential, which everybody"),
    (
        {"healthcheck": {"test": ["CMD"]}},
        "healthcheck.test: needs a command after CMD or CMD-SHELL; write disable: true",
    ),
    ({"healthcheck": {"test": ["CMD-SHELL", " "]}}, "healthcheck.test: needs a command after CMD or"),
    ({"healthcheck": {"test": '["CMD"]'}}, "healthcheck.test: needs a command after"),
    ({"healthcheck": {"interval": 5}}, "healthcheck.interval: '5' has no unit; write for example 5s"),
    ({"ulimits": {"nofile": {"soft": 2}}}, "ulimits: nofile must be a number, or soft and hard"),
    ({"ulimits": {"nofile": "many"}}, "ulimits: 'many' is not a whole number"),
    ({"init": "maybe"}, "init: 'maybe' is neither true nor false"),
    ({"stop_grace_period": "30s"}, "stop_grace_period: 30s is not longer than http.draintimeout (30s)"),
    ({"tmpfs": ["scratch"]}, "tmpfs: 'scratch' is not a folder in the container, from the root on"),
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


@pytest.mark.parametrize("check", [{"test": ["NONE"]}, {"interval": "1ms", "timeout": "0s", "retries": 0}])
def test_what_is_docker_s_to_judge_is_kept(check: dict[str, t.Any]) -> None:
    given = {"healthcheck": check, "dns": ["x", "x"], "sysctls": {"vm.swappiness": "1"}, "tmpfs": ["/run/secrets"]}
    settings, problems = read(service_extra=given)
    assert (problems, settings.service_extra) == ([], given)


def test_the_time_to_end_follows_the_drain_that_is_configured() -> None:
    drain = {"http": {"draintimeout": "2m"}}
    assert "http.draintimeout (2m)" in only_problem(service_extra={"stop_grace_period": "50s"}, config_extra=drain)
    assert read(service_extra={"stop_grace_period": "121s"}, config_extra=drain)[1] == []
    by_environment = {"REGISTRY_HTTP_DRAINTIMEOUT": "2m"}
    assert "(2m)" in only_problem(service_extra={"stop_grace_period": "50s"}, environment=by_environment)


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
