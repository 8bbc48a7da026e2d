# Copyright: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plans: nothing when nothing differs, and each difference as one step in the right order."""

from __future__ import annotations

import copy
import typing as t

import pytest
from ansible_collections.dtr.cache.plugins.module_utils.engine import Swarm
from ansible_collections.dtr.cache.plugins.module_utils.failure import Failure
from ansible_collections.dtr.cache.plugins.module_utils.stack import (
    Plan,
    WantedStack,
    byte_size,
    duration,
    live_service,
    plan,
    plan_removal,
    wanted_service,
)

DEFINITION: dict[str, t.Any] = {
    "version": "3.3",
    "services": {
        "cache": {
            "image": "docker/dtr-content-cache:2.7.4",
            "entrypoint": ["/start.sh", "/config.yml"],
            "ports": [{"mode": "host", "protocol": "tcp", "published": 443, "target": 443}],
            "environment": {"REGISTRY_LOG_LEVEL": "info"},
            "volumes": ["layers:/var/lib/registry"],
            "stop_grace_period": "40s",
            "deploy": {
                "replicas": 2,
                "placement": {"constraints": ["node.labels.dtr.cache == true"]},
                "restart_policy": {"condition": "on-failure"},
                "update_config": {"parallelism": 1, "delay": "5s", "failure_action": "rollback", "monitor": "10s"},
                "resources": {"limits": {"cpus": "0.5", "memory": "512M"}},
            },
            "configs": [{"source": "config.yml", "target": "/config.yml"}],
            "secrets": [{"source": "cache.key.pem", "target": "cache.key.pem"}],
        }
    },
    "configs": {"config.yml": {"external": {"name": "dtr-cache_config.yml_1"}}},
    "secrets": {"cache.key.pem": {"external": {"name": "dtr-cache_cache.key.pem_1"}}},
    "volumes": {"layers": {"driver_opts": {"type": "nfs"}}},
}

# The same service as Docker Engine 26.1 reports it after docker stack deploy.
LIVE_SPEC: dict[str, t.Any] = {
    "Name": "dtr-cache_cache",
    "Labels": {"com.docker.stack.image": "docker/dtr-content-cache:2.7.4", "com.docker.stack.namespace": "dtr-cache"},
    "TaskTemplate": {
        "ContainerSpec": {
            "Image": "docker/dtr-content-cache:2.7.4@sha256:" + "0" * 64,
            "Labels": {"com.docker.stack.namespace": "dtr-cache"},
            "Command": ["/start.sh", "/config.yml"],
            "Env": ["REGISTRY_LOG_LEVEL=info"],
            "StopGracePeriod": 40000000000,
            "Privileges": {"CredentialSpec": None, "SELinuxContext": None},
            "Mounts": [
                {
                    "Type": "volume",
                    "Source": "dtr-cache_layers",
                    "Target": "/var/lib/registry",
                    "VolumeOptions": {"DriverConfig": {"Options": {"type": "nfs"}}},
                }
            ],
            "Secrets": [
                {
                    "File": {"Name": "cache.key.pem", "UID": "0", "GID": "0", "Mode": 292},
                    "SecretID": "a",
                    "SecretName": "dtr-cache_cache.key.pem_1",
                }
            ],
            "Configs": [
                {
                    "File": {"Name": "/config.yml", "UID": "0", "GID": "0", "Mode": 292},
                    "ConfigID": "b",
                    "ConfigName": "dtr-cache_config.yml_1",
                }
            ],
            "Isolation": "default",
        },
        "Resources": {"Limits": {"NanoCPUs": 500000000, "MemoryBytes": 536870912}},
        "RestartPolicy": {"Condition": "on-failure", "MaxAttempts": 0},
        "Placement": {"Constraints": ["node.labels.dtr.cache == true"]},
        "Networks": [{"Target": "n", "Aliases": ["cache"]}],
        "ForceUpdate": 0,
        "Runtime": "container",
    },
    "Mode": {"Replicated": {"Replicas": 2}},
    "UpdateConfig": {
        "Parallelism": 1,
        "Delay": 5000000000,
        "FailureAction": "rollback",
        "Monitor": 10000000000,
        "MaxFailureRatio": 0,
        "Order": "stop-first",
    },
    "EndpointSpec": {
        "Mode": "vip",
        "Ports": [{"Protocol": "tcp", "TargetPort": 443, "PublishedPort": 443, "PublishMode": "host"}],
    },
}


def node(**labels: str) -> dict[str, t.Any]:
    return {"Spec": {"Labels": labels}}


def item(file: str, created: str = "2026-01-01", stack: str = "dtr-cache") -> dict[str, t.Any]:
    labels = {"dtr.cache.stack": stack, "dtr.cache.file": file}
    return {"CreatedAt": created, "Spec": {"Labels": labels}}


def swarm(spec: dict[str, t.Any] | None, **changes: t.Any) -> Swarm:
    parts: dict[str, t.Any] = {
        "nodes": {"worker-1": node(**{"dtr.cache": "true", "rack": "7"}), "worker-2": node()},
        "services": {"cache": {"Spec": spec}} if spec else {},
        "configs": {"dtr-cache_config.yml_1": item("config.yml")},
        "secrets": {"dtr-cache_cache.key.pem_1": item("cache.key.pem")},
        "networks": {"dtr-cache_default": {}} if spec else {},
    }
    return Swarm(**{**parts, **changes})


def wanted(**changes: t.Any) -> WantedStack:
    parts: dict[str, t.Any] = {
        "name": "dtr-cache",
        "node_labels": {"worker-1": {"dtr.cache": "true"}},
        "configs": ["dtr-cache_config.yml_1"],
        "secrets": ["dtr-cache_cache.key.pem_1"],
        "definition": DEFINITION,
    }
    return WantedStack(**{**parts, **changes})


def test_a_service_that_is_as_wanted_has_the_same_view_on_both_sides() -> None:
    assert live_service(LIVE_SPEC) == wanted_service("dtr-cache", DEFINITION["services"]["cache"], DEFINITION)


def test_nothing_differs_then_there_is_no_step_and_no_diff() -> None:
    assert plan(swarm(LIVE_SPEC), wanted()) == Plan([], {}, {})


def test_an_empty_swarm_needs_everything_in_order() -> None:
    result = plan(swarm(None, nodes={"worker-1": node()}, configs={}, secrets={}), wanted())
    assert [(step["kind"], step["action"]) for step in result.steps] == [
        ("node_label", "set"),
        ("config", "create"),
        ("secret", "create"),
        ("service", "create"),
    ]
    assert result.steps[0] == {"kind": "node_label", "action": "set", "name": "worker-1", "detail": "dtr.cache=true"}


def change(path: str, value: t.Any) -> dict[str, t.Any]:
    spec = copy.deepcopy(LIVE_SPEC)
    *parents, last = path.split(".")
    target: t.Any = spec
    for parent in parents:
        target = target[int(parent)] if isinstance(target, list) else target[parent]
    target[last] = value
    return spec


@pytest.mark.parametrize(
    ("path", "value", "part"),
    [
        ("TaskTemplate.ContainerSpec.Image", "docker/dtr-content-cache:2.7.3", "image"),
        ("TaskTemplate.ContainerSpec.Command", ["/bin/sh"], "entrypoint"),
        ("TaskTemplate.ContainerSpec.Args", ["-x"], "command"),
        ("TaskTemplate.ContainerSpec.Env", ["REGISTRY_LOG_LEVEL=debug"], "environment"),
        ("TaskTemplate.ContainerSpec.Env", ["REGISTRY_LOG_LEVEL=info", "MORE=1"], "environment"),
        ("TaskTemplate.ContainerSpec.Mounts", [], "mounts"),
        ("TaskTemplate.ContainerSpec.Secrets", [], "secrets"),
        ("TaskTemplate.ContainerSpec.Configs", None, "configs"),
        ("TaskTemplate.ContainerSpec.StopGracePeriod", None, "stop_grace_period"),
        ("TaskTemplate.Placement.Constraints", ["node.role == manager"], "constraints"),
        ("TaskTemplate.RestartPolicy.Condition", "any", "restart_policy"),
        ("TaskTemplate.Resources", {}, "limits"),
        ("TaskTemplate.Resources", {"Limits": {"NanoCPUs": 1000000000, "MemoryBytes": 536870912}}, "limits"),
        ("Mode.Replicated.Replicas", 1, "replicas"),
        ("UpdateConfig", None, "update_config"),
        ("UpdateConfig.FailureAction", "pause", "update_config"),
        ("EndpointSpec.Ports", [], "ports"),
        (
            "EndpointSpec.Ports",
            [{"Protocol": "tcp", "TargetPort": 443, "PublishedPort": 443, "PublishMode": "ingress"}],
            "ports",
        ),
    ],
)
def test_each_change_by_hand_is_found_and_shown_alone(path: str, value: t.Any, part: str) -> None:
    result = plan(swarm(change(path, value)), wanted())
    assert result.steps == [{"kind": "service", "action": "update", "name": "dtr-cache_cache", "detail": part}]
    assert list(result.before["services"]["dtr-cache_cache"]) == [part]
    assert list(result.after["services"]["dtr-cache_cache"]) == [part]


@pytest.mark.parametrize("state", ["paused", "rollback_paused"])
def test_an_update_that_stands_still_is_set_going_again(state: str) -> None:
    live = swarm(LIVE_SPEC, services={"cache": {"Spec": LIVE_SPEC, "UpdateStatus": {"State": state}}})
    result = plan(live, wanted())
    assert [(step["action"], step["detail"]) for step in result.steps] == [("update", "update")]
    assert result.before["services"] == {"dtr-cache_cache": {"update": "paused"}}


@pytest.mark.parametrize("state", ["updating", "completed", "rollback_completed"])
def test_any_other_state_of_an_update_is_no_difference(state: str) -> None:
    live = swarm(LIVE_SPEC, services={"cache": {"Spec": LIVE_SPEC, "UpdateStatus": {"State": state}}})
    assert plan(live, wanted()).steps == []


def test_a_lost_label_is_set_again_and_others_are_left_alone() -> None:
    nodes = {"worker-1": node(rack="7"), "worker-2": node(other="x")}
    result = plan(swarm(LIVE_SPEC, nodes=nodes), wanted())
    assert [step["name"] for step in result.steps] == ["worker-1"]
    assert result.before == {"node_labels": {"worker-1": {"dtr.cache": None}}}


def test_the_label_is_taken_from_a_node_that_is_not_dedicated_any_more() -> None:
    nodes = {"worker-1": node(**{"dtr.cache": "true"}), "worker-2": node(**{"dtr.cache": "true", "rack": "7"})}
    (step,) = plan(swarm(LIVE_SPEC, nodes=nodes), wanted()).steps
    assert step == {"kind": "node_label", "action": "remove", "name": "worker-2", "detail": "dtr.cache"}


def test_superseded_objects_go_but_for_the_newest_few_of_each_file() -> None:
    secrets = {
        "dtr-cache_cache.key.pem_1": item("cache.key.pem", "2026-01-05"),
        "dtr-cache_cache.key.pem_a": item("cache.key.pem", "2026-01-04"),
        "dtr-cache_cache.key.pem_b": item("cache.key.pem", "2026-01-03"),
        "dtr-cache_cache.key.pem_c": item("cache.key.pem", "2026-01-02"),
        "dtr-cache_cache.cert.pem_a": item("cache.cert.pem", "2026-01-01"),
        "other_cache.key.pem_a": item("cache.key.pem", "2026-01-01", stack="other"),
        "somebody-elses": {"CreatedAt": "2026-01-01", "Spec": {"Name": "somebody-elses"}},
    }

    def removed(keep: int) -> list[str]:
        steps = plan(swarm(LIVE_SPEC, secrets=secrets), wanted(keep_versions=keep)).steps
        assert all(step["action"] == "remove" for step in steps)
        return [step["name"].removeprefix("dtr-cache_") for step in steps]

    assert removed(2) == ["cache.key.pem_c"]
    assert removed(3) == []
    assert removed(0) == ["cache.cert.pem_a", "cache.key.pem_a", "cache.key.pem_b", "cache.key.pem_c"]


def test_a_removal_takes_everything_of_the_stack_and_nothing_else() -> None:
    full = swarm(
        LIVE_SPEC,
        secrets={"a": item("x"), "b": item("x", stack="other"), "c": {"CreatedAt": "2026", "Spec": {"Labels": None}}},
    )
    steps = plan_removal(
        full, wanted(node_labels={"worker-1": {"dtr.cache": "true"}, "gone": {"dtr.cache": "true"}})
    ).steps
    assert [(step["kind"], step["action"], step["name"]) for step in steps] == [
        ("service", "remove", "dtr-cache_cache"),
        ("network", "remove", "dtr-cache_default"),
        ("config", "remove", "dtr-cache_config.yml_1"),
        ("secret", "remove", "a"),
        ("node_label", "remove", "worker-1"),
    ]
    assert plan_removal(swarm(None, configs={}, secrets={}, nodes={"worker-1": node()}), wanted()) == Plan([], {}, {})


def test_a_network_that_is_all_that_is_left_is_removed() -> None:
    rest = swarm(None, configs={}, secrets={}, nodes={"worker-1": node()}, networks={"dtr-cache_default": {}})
    (step,) = plan_removal(rest, wanted()).steps
    assert (step["kind"], step["action"], step["name"]) == ("network", "remove", "dtr-cache_default")


def test_unknown_nodes_are_named_together() -> None:
    with pytest.raises(Failure) as caught:
        plan(swarm(LIVE_SPEC), wanted(node_labels={"worker-8": {}, "worker-9": {}}))
    assert caught.value.code == "UNKNOWN_NODE"
    assert "worker-8, worker-9" in caught.value.message
    assert "worker-1, worker-2" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("text", "nanoseconds"), [("5s", 5 * 10**9), ("1m30s", 90 * 10**9), ("10ms", 10**7), (None, None), (7, 7)]
)
def test_durations(text: t.Any, nanoseconds: int | None) -> None:
    assert duration(text) == nanoseconds


@pytest.mark.parametrize(("text", "size"), [("512M", 2**29), ("1gb", 2**30), ("10", 10), ("1.5k", 1536), (None, None)])
def test_sizes(text: t.Any, size: int | None) -> None:
    assert byte_size(text) == size


@pytest.mark.parametrize("text", ["5", "five seconds", "s", "5s later"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(Failure):
        duration(text)


@pytest.mark.parametrize("text", ["lots", "5 apples", ""])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(Failure):
        byte_size(text)
