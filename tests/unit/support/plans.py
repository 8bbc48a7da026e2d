# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Swarm with one stack, and what is wanted of it."""

from __future__ import annotations

import typing as t

from ansible_collections.dtr.cache.plugins.module_utils.swarm.model import Swarm
from ansible_collections.dtr.cache.plugins.module_utils.swarm.plan import WantedStack

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
    return {"ID": "id-of-a-node", "Spec": {"Labels": labels}}


def item(file: str, created: str = "2026-01-01", stack: str = "dtr-cache") -> dict[str, t.Any]:
    labels = {"dtr.cache.stack": stack, "dtr.cache.file": file}
    return {"CreatedAt": created, "Spec": {"Labels": labels}}


def swarm(spec: dict[str, t.Any] | None, **changes: t.Any) -> Swarm:
    parts: dict[str, t.Any] = {
        "nodes": {"worker-1": node(**{"dtr.cache": "true", "rack": "7"}), "worker-2": node()},
        "services": {"cache": {"Spec": spec}} if spec else {},
        "other_services": [],
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
