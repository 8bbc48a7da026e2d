# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Services of caches that somebody made by hand, as the Engine reports them."""

from __future__ import annotations

import base64
import typing as t

import yaml

CONFIG = {
    "version": 0.1,
    "http": {"addr": "0.0.0.0:443", "host": "https://cache-asia.example.org"},
    "middleware": {"registry": [{"name": "downstream", "options": {"blobttl": "24h"}}]},
}
_OWNER = {"UID": "0", "GID": "0", "Mode": 0o444}
SECRETS = ("dtr.cert.pem", "cache.cert.pem", "cache.key.pem")
_NAMES = tuple(f"dtr-cache_{name}" for name in SECRETS)


def config(content: t.Any = None, **labels: str) -> dict[str, t.Any]:
    """A Docker config."""
    data = content if isinstance(content, str) else yaml.safe_dump(CONFIG if content is None else content)
    return {
        "CreatedAt": "2025-01-01",
        "Spec": {"Labels": labels, "Data": base64.b64encode(data.encode()).decode()},
    }


def template(
    image: str = "docker/dtr-content-cache:2.7.6",
    *,
    config: str = "dtr-cache_config.yml",
    secrets: t.Sequence[str] = _NAMES,
    label: str = "dtr.cache",
    command: t.Sequence[str] = ("/start.sh", "/config.yml"),
) -> dict[str, t.Any]:
    files = SECRETS if len(secrets) == len(SECRETS) else secrets
    return {
        "ContainerSpec": {
            "Image": image,
            "Command": list(command),
            "Configs": [{"File": {"Name": "/config.yml", **_OWNER}, "ConfigName": config}] if config else [],
            "Secrets": [{"File": {"Name": file, **_OWNER}, "SecretName": name} for file, name in zip(files, secrets)],
        },
        "Placement": {"Constraints": [f"node.labels.{label} == true"]},
    }


def service(
    name: str = "dtr-cache_cache",
    stack: str = "dtr-cache",
    *,
    mode: str = "host",
    port: int = 443,
    replicas: int = 1,
    before: dict[str, t.Any] | None = None,
    **parts: t.Any,
) -> dict[str, t.Any]:
    ports = [{"PublishedPort": port, "TargetPort": 443, "Protocol": "tcp", "PublishMode": mode}] if port else []
    return {
        "ID": name,
        "Spec": {
            "Name": name,
            "Labels": {"com.docker.stack.namespace": stack} if stack else {},
            "TaskTemplate": template(**parts),
            "Mode": {"Replicated": {"Replicas": replicas}},
            "EndpointSpec": {"Ports": ports},
        },
        "Endpoint": {"Ports": ports},
        **({"PreviousSpec": {"TaskTemplate": before}} if before else {}),
    }
