# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Swarms with caches that somebody made by hand, after the vendor's page, in the Engine's own shapes."""

from __future__ import annotations

import base64
import copy
import json
import typing as t

import yaml
from ansible_collections.dtr.cache.plugins.module_utils.common.redaction import blanked
from ansible_collections.dtr.cache.plugins.module_utils.swarm.live_cache import described_caches
from ansible_collections.dtr.cache.plugins.module_utils.swarm.model import Moment, Swarm
from ansible_collections.dtr.cache.plugins.module_utils.swarm.views import mounts, ports, wanted_service
from ansible_collections.dtr.cache.plugins.plugin_utils.deployment.definition import (
    registry_config,
    stack_definition,
    swarm_objects,
)
from ansible_collections.dtr.cache.plugins.plugin_utils.settings.credentials import carries_credentials
from ansible_collections.dtr.cache.plugins.plugin_utils.settings.model import Settings

# The vendor's page for DTR 2.5 to 2.7.
CONFIG: dict[str, t.Any] = {
    "version": 0.1,
    "log": {"level": "info"},
    "storage": {"delete": {"enabled": True}, "filesystem": {"rootdirectory": "/var/lib/registry"}},
    "http": {
        "addr": "0.0.0.0:443",
        "secret": "generate-random-secret",
        "host": "https://cache-asia.example.org",
        "tls": {"certificate": "/run/secrets/cache.cert.pem", "key": "/run/secrets/cache.key.pem"},
    },
    "middleware": {
        "registry": [
            {
                "name": "downstream",
                "options": {
                    "blobttl": "24h",
                    "upstreams": ["https://dtr.example.org:443"],
                    "cas": ["/run/secrets/dtr.cert.pem"],
                },
            }
        ]
    },
}
SECRETS = ("dtr.cert.pem", "cache.cert.pem", "cache.key.pem")
IMAGE = "docker/dtr-content-cache:2.7.6"


def changed(base: t.Mapping[str, t.Any], *changes: tuple[str, t.Any]) -> dict[str, t.Any]:
    """A copy with values at keys that are parted by dots; C(None) takes one away."""
    result = copy.deepcopy(dict(base))
    for path, value in changes:
        *above, last = path.split(".")
        place: t.Any = result
        for key in above:
            place = place[int(key)] if isinstance(place, list) else place.setdefault(key, {})
        if value is None:
            place.pop(last)
        else:
            place[last] = value
    return result


def node(name: str, address: str = "192.0.2.10", **labels: str) -> dict[str, t.Any]:
    return {
        "ID": f"id-{name}",
        "Description": {"Hostname": name},
        "Status": {"State": "ready", "Addr": address},
        "Spec": {
            "Availability": "active",
            "Role": "worker",
            "Labels": {key.replace("_", "."): text for key, text in labels.items()},
        },
    }


def service(
    stack: str = "dtr-cache",
    name: str = "cache",
    config: str = "dtr-cache_config.yml",
    port: t.Mapping[str, t.Any] | None = None,
    **spec: t.Any,
) -> dict[str, t.Any]:
    """What C(docker stack deploy) makes of the vendor's docker-stack.yml, with further parts by their names."""
    whole = f"{stack}_{name}" if stack else name
    file = {"UID": "0", "GID": "0", "Mode": 0o444}
    container = {
        "Image": f"{IMAGE}@sha256:{'0' * 64}",
        "Command": ["/start.sh", "/config.yml"],
        "Configs": [{"File": {"Name": "config.yml", **file}, "ConfigName": config}],
        "Secrets": [{"File": {"Name": each, **file}, "SecretName": f"{stack}_{each}"} for each in SECRETS],
        **spec.pop("container", {}),
    }
    usual = {"PublishedPort": 443, "TargetPort": 443, "Protocol": "tcp", "PublishMode": "ingress"}
    return {
        "ID": f"id-{whole}",
        "Spec": {
            "Name": whole,
            "Labels": {"com.docker.stack.namespace": stack, "com.docker.stack.image": IMAGE} if stack else {},
            "TaskTemplate": {
                "ContainerSpec": container,
                "Placement": {"Constraints": ["node.labels.dtr.cache == true"]},
                "RestartPolicy": {"Condition": "on-failure"},
                **spec.pop("task", {}),
            },
            "Mode": {"Replicated": {"Replicas": 1}},
            "EndpointSpec": {"Ports": [{**usual, **(port or {})}]},
            **spec,
        },
    }


def config(name: str, content: t.Any, **labels: str) -> tuple[str, dict[str, t.Any]]:
    text = content if isinstance(content, str) else yaml.safe_dump(content)
    return name, {
        "Spec": {
            "Name": name,
            "Data": base64.b64encode(text.encode()).decode(),
            "Labels": {key.replace("_", "."): value for key, value in labels.items()},
        }
    }


NODES = (node("worker-1", dtr_cache="true"), node("worker-2", "192.0.2.11"))


def task(of: t.Mapping[str, t.Any], on: str) -> dict[str, t.Any]:
    return {
        "ID": f"task-{on}",
        "ServiceID": of["ID"],
        "NodeID": f"id-{on}",
        "DesiredState": "running",
        "Status": {"State": "running"},
        "Spec": of["Spec"]["TaskTemplate"],
    }


def found(
    services: t.Sequence[t.Mapping[str, t.Any]],
    configs: t.Iterable[tuple[str, dict[str, t.Any]]] = (),
    *,
    secrets: t.Iterable[tuple[str, dict[str, t.Any]]] = (),
    nodes: t.Sequence[dict[str, t.Any]] = NODES,
    tasks: t.Sequence[dict[str, t.Any]] = (),
    stack: str = "",
) -> list[dict[str, t.Any]]:
    """The caches in a Swarm of these services."""
    swarm = Swarm(
        {each["Description"]["Hostname"]: each for each in nodes},
        {},
        [dict(each) for each in services],
        dict(configs),
        dict(secrets),
        {},
    )
    return described_caches(swarm, Moment({}, tasks, {each["ID"]: each for each in nodes}), stack)


def vendors(*changes: tuple[str, t.Any], **of_service: t.Any) -> dict[str, t.Any]:
    """The cache of the vendor's page, with some keys of its C(config.yml) changed."""
    made = service(**of_service)
    (live,) = found([made], [config("dtr-cache_config.yml", changed(CONFIG, *changes))], tasks=[task(made, "worker-1")])
    return live


def deployed(settings: Settings) -> dict[str, t.Any]:
    """The same cache as M(dtr.cache.live_caches_info) finds it after a deployment with these settings."""
    definition = stack_definition(settings, swarm_objects(settings, "a CA"))
    declared = definition["services"]["cache"]
    view = wanted_service(settings.stack_name, "cache", definition)
    rendered = registry_config(settings)
    is_hidden = carries_credentials(rendered)
    return {
        "stack": settings.stack_name,
        "service": f"{settings.stack_name}_cache",
        "service_name": "cache",
        "id": "id-cache",
        "image": settings.image,
        "ports": [port._asdict() for port in ports(declared)],
        "replicas": settings.replicas,
        "constraints": view["constraints"],
        "nodes": sorted(settings.nodes),
        "running_on": sorted(settings.nodes),
        "addresses": [],
        "environment": view.get("environment", {}),
        "mounts": [
            {
                **{name: getattr(mount, name) for name in ("kind", "source", "target", "driver", "manner")},
                "options": dict(mount.options),
            }
            for mount in mounts(settings.stack_name, declared, definition)
        ],
        "limits": view.get("limits", {}),
        "reservations": view.get("reservations", {}),
        "update_config": view["update_config"],
        "view": {key: value for key, value in view.items() if key not in ("environment", "mounts")},
        "config": {
            "kind": "secret" if is_hidden else "config",
            "name": "dtr-cache_config.yml_1",
            "place": "/config.yml",
            "content": {} if is_hidden else json.loads(json.dumps(blanked(rendered))),
            "problem": "it is a Docker secret, which nobody can read" if is_hidden else "",
        },
        "own": True,
    }
