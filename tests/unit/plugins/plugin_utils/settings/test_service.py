# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Swarm service, and how its Swarm is reached."""

from __future__ import annotations

import json
import typing as t

import pytest
import yaml
from ansible_collections.dtr.cache.plugins.plugin_utils.deployment import definition as deployment
from ansible_collections.dtr.cache.tests.unit.support.settings import only_problem, read

# One mistake each, and what the operator reads.
MISTAKES: list[tuple[dict[str, t.Any], str]] = [
    ({"environment": {"REGISTRY_HTTP_ADDR": ":80"}}, "REGISTRY_HTTP_ADDR: http.addr belongs to the cache itself; set"),
    ({"environment": "RELEASE: 2.10"}, "dtr_cache_environment: RELEASE is a number to YAML"),
    (
        {"environment": {"A": 2.1, "B": 3.5}},
        "A is a number to YAML, which changes some (1.10 becomes 1.1); put it in quotes to make it text; B",
    ),
    ({"environment": "A: no"}, "dtr_cache_environment: has no without quotes, which YAML changes to true or false"),
    (
        {"resources": {"limits": {"memory": "5M"}}},
        "limits.memory: 5M is less than 32M, the least that a cache",
    ),
    (
        {"resources": {"limits": {"cpus": 1}, "reservations": {"cpus": 2}}},
        "dtr_cache_resources: reservations.cpus: 2 is more than limits.cpus, 1",
    ),
    ({"update_config": {"delay": "9999999h"}}, "delay: '9999999h' is longer than 292 years"),
    ({"docker_host": "http://manager:2375"}, "dtr_cache_docker_host: 'http://manager:2375' is not an Engine's address"),
    ({"nodes": []}, "dtr_cache_nodes: is required"),
    ({"nodes": {"a": 1}}, "dtr_cache_nodes: must be a list"),
    ({"nodes": "worker-1,worker-1"}, "dtr_cache_nodes: worker-1 is named more than once"),
    ({"replicas": "many"}, "dtr_cache_replicas: 'many' is not a whole number"),
    ({"replicas": 3, "publish_mode": "host"}, "dtr_cache_replicas: 3 replicas cannot run on 2 node(s)"),
    ({"replicas": 3, "metrics_port": 5001}, "3 replicas cannot run on 2 node(s): with dtr_cache_metrics_port each"),
    ({"metrics_port": 443}, "dtr_cache_metrics_port: 443 is the cache's own port (dtr_cache_port)"),
    ({"metrics_port": 65536}, "dtr_cache_metrics_port: '65536' is not a whole number from 1 to 65535"),
    (
        {"metrics_port": 5001, "update_config": {"order": "start-first"}},
        "dtr_cache_metrics_port: with dtr_cache_update_config.order start-first a new replica needs a node",
    ),
    (
        {"metrics_port": 5001, "config_extra": {"http": {"debug": {"addr": ":1"}}}},
        "http.debug.addr belongs to the cache itself; dtr_cache_metrics_port sets it; leave it out",
    ),
    (
        {"metrics_port": 5001, "environment": {"REGISTRY_HTTP_DEBUG_PROMETHEUS_ENABLED": "false"}},
        "REGISTRY_HTTP_DEBUG_PROMETHEUS_ENABLED: http.debug.prometheus.enabled belongs to the cache itself",
    ),
    ({"publish_mode": "mesh"}, "dtr_cache_publish_mode: 'mesh' is none of ingress, host"),
    ({"environment": ["A=b"]}, "dtr_cache_environment: must be a mapping"),
    (
        {"environment": {"AWS_SECRET_ACCESS_KEY": "hush"}},
        "dtr_cache_environment: AWS_SECRET_ACCESS_KEY holds a credential",
    ),
    ({"environment": {"REGISTRY_STORAGE_S3_SECRETKEY": "hush"}}, "REGISTRY_STORAGE_S3_SECRETKEY holds a credential"),
    ({"environment": {"REGISTRY_STORAGE_S3_SECRETKEY": "hush"}}, "give it in dtr_cache_storage or dtr_cache_config"),
    ({"environment": {"HTTPS_PROXY": "http://u:hush@proxy:3128"}}, "dtr_cache_environment: HTTPS_PROXY holds a"),
    ({"environment": {"NOTE": "password=hush"}}, "dtr_cache_environment: NOTE holds a credential, which everybody"),
    ({"environment": {"HOOK_FILE": "https://h/?token=hush"}}, "dtr_cache_environment: HOOK_FILE holds a credential"),
    ({"environment": {"X-API-KEY": "hush"}}, "dtr_cache_environment: X-API-KEY holds a credential"),
    ({"environment": {"http_proxy": "http://u:hush@proxy:3128"}}, "name a proxy that takes the nodes without one"),
    ({"resources": {"limit": {}}}, "dtr_cache_resources: limit is unknown; did you mean limits?"),
    ({"resources": {"limits": "512M"}}, "dtr_cache_resources: limits must be a mapping of keys to values"),
    ({"resources": {"limits": {"cpus": "half"}}}, "dtr_cache_resources: limits.cpus: 'half' is not a number of"),
    (
        {"resources": {"reservations": {"memory": "lots"}}},
        "dtr_cache_resources: reservations.memory: 'lots' is not a size",
    ),
    ({"resources": {"limits": {"disk": "1G"}}}, "limits.disk is unknown; there are cpus, memory"),
    ({"update_config": {"paralelism": 1}}, "dtr_cache_update_config: paralelism is unknown; did you mean parallelism?"),
    ({"update_config": {"parallelism": "all"}}, "dtr_cache_update_config: parallelism: 'all' is not a whole number"),
    ({"update_config": {"delay": 5}}, "dtr_cache_update_config: delay: '5' has no unit; write for example 5s"),
    ({"update_config": {"monitor": ["1s"]}}, "dtr_cache_update_config: monitor: "),
    ({"update_config": {"failure_action": "stop"}}, "failure_action: 'stop' is none of continue, pause, rollback"),
    ({"update_config": {"max_failure_ratio": 2}}, "max_failure_ratio: '2' is not a number from 0 to 1"),
    (
        {"update_config": {"order": "first"}},
        "dtr_cache_update_config: order: 'first' is none of start-first, stop-first",
    ),
    ({"stack_name": "my stack"}, "dtr_cache_stack_name: 'my stack' is not a stack's name"),
    ({"former_stack_names": "my stack"}, "dtr_cache_former_stack_names: 'my stack' is not a stack's name"),
    (
        {"former_stack_names": ["old", "a"], "stack_name": "a"},
        "dtr_cache_former_stack_names: a is the stack of dtr_cache_stack_name itself, which is updated in place",
    ),
    ({"resolve_image": "sometimes"}, "dtr_cache_resolve_image: 'sometimes' is none of"),
    ({"min_days": "soon"}, "dtr_cache_min_days: 'soon' is not a whole number from 0 to 3650"),
    ({"keep_versions": "-1"}, "dtr_cache_keep_versions: '-1' is not a whole number from 0 to 100"),
    ({"timeout": "5m"}, "dtr_cache_timeout: '5m' is not a whole number"),
    ({"nodes": "worker-1 worker-2"}, "dtr_cache_nodes: 'worker-1 worker-2' is not a node's host name; part several by"),
    ({"nodes": [["worker-1"]]}, "dtr_cache_nodes: must be a list of texts"),
    ({"nodes": ["worker-1", True]}, "dtr_cache_nodes: true is a truth value to YAML; put yes"),
    ({"nodes": "[worker-1"}, "dtr_cache_nodes: is neither JSON nor YAML that can be read: something is missing"),
    ({"replicas": -1}, "dtr_cache_replicas: '-1' is not a whole number from 1 to 1000"),
    ({"with_registry_auth": "perhaps"}, "dtr_cache_with_registry_auth: 'perhaps' is neither true nor false"),
    ({"install_requirements": "jes"}, "dtr_cache_install_requirements: 'jes' is neither true nor false"),
    ({"requirements": {"a": 1}}, "dtr_cache_requirements: must be a list of texts"),
    ({"client_bundle": ["a"]}, "dtr_cache_client_bundle: must be text"),
    ({"client_bundle": "bun\x00dle.zip"}, "dtr_cache_client_bundle: holds a byte that is not text"),
    ({"environment": {1: "a"}}, "dtr_cache_environment: has the key 1, which is not text; put it in quotes"),
    ({"environment": {"A": ["b"]}}, "dtr_cache_environment: A must be text"),
    ({"environment": {"A=B": "c"}}, "dtr_cache_environment: a name of a variable must not be empty, nor have a ="),
    ({"update_config": {"order": ["start-first"]}}, "dtr_cache_update_config: order: must be text"),
    ({"update_config": "parallelism=1"}, "dtr_cache_update_config: must be a mapping of keys to values"),
    ({"resources": '{"limits": {"cpus": 1}'}, "dtr_cache_resources: is neither JSON nor YAML that can be read: some"),
]


@pytest.mark.parametrize(("changes", "sentence"), MISTAKES, ids=[sentence[:60] for _changes, sentence in MISTAKES])
def test_one_mistake_gives_one_clear_sentence(changes: dict[str, t.Any], sentence: str) -> None:
    problem = only_problem(**changes)
    assert sentence in problem
    assert "hush" not in problem


def test_an_environment_without_credentials_stays_as_it_is() -> None:
    environment = {
        "HTTPS_PROXY": "http://proxy.example.org:3128",
        "NO_PROXY": "localhost,.example.org,10.0.0.0/8",
        "AWS_WEB_IDENTITY_TOKEN_FILE": "/var/run/token",
        "GOOGLE_APPLICATION_CREDENTIALS": "/run/secrets/gcs.json",
        "PATH": "/usr/local/bin:/usr/bin:/opt/token:/bin",
        "GODEBUG": "x509ignoreCN=0,tlsmaxrsasize=8192",
        "OTEL_RESOURCE_ATTRIBUTES": "service.name=cache,deployment.environment=asia",
    }
    settings, problems = read(environment=environment)
    assert (problems, settings.environment) == ([], environment)


def test_service_details_have_the_form_that_docker_takes() -> None:
    settings, problems = read(
        resources={"limits": {"cpus": 2, "memory": 536870912}, "reservations": {"cpus": ".5", "memory": None}},
        update_config={"parallelism": "2", "delay": "1m30s", "max_failure_ratio": "0.5", "order": "start-first"},
    )
    assert problems == []
    assert settings.resources == {"limits": {"cpus": "2", "memory": "536870912"}, "reservations": {"cpus": ".5"}}
    assert settings.update_config == {
        "parallelism": 2,
        "delay": "1m30s",
        "max_failure_ratio": 0.5,
        "order": "start-first",
    }


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
EXTRA_MISTAKES: list[tuple[t.Any, str]] = [
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


@pytest.mark.parametrize(("given", "sentence"), EXTRA_MISTAKES, ids=[each[1][:50] for each in EXTRA_MISTAKES])
def test_one_mistake_in_service_extra_gives_one_clear_sentence(given: t.Any, sentence: str) -> None:
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
