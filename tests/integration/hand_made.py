# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Caches that somebody made by hand after the vendor's documents, with Docker's command and DTR's API."""

from __future__ import annotations

import typing as t
from pathlib import Path

import yaml

from .conftest import Lab

REGISTRY = "https://dtr.lab.test"
# On the manager, as long as it is needed.
FOLDER = "/tmp/dtr-cache-by-hand"


class Documents(t.NamedTuple):
    """What the documents of a product line call things."""

    image: str
    label: str = "dtr.cache"
    ca: str = "dtr.cert.pem"
    stack: str = "dtr-cache"


DTR = Documents("docker/dtr-content-cache:2.7.6")
MSR2 = Documents("mirantis/dtr-content-cache:2.9.16")
MSR3 = Documents("registry.mirantis.com/msr/msr-content-cache:3.1.4", "msr.cache", "msr.cert.pem", "msr-cache")


def give_images(lab: Lab, nodes: t.Iterable[str]) -> None:
    """The images of all product lines on the nodes: the cache's stand-in under their names."""
    for node in nodes:
        for documents in (MSR2, MSR3):
            lab.inside(node, "docker", "tag", DTR.image, documents.image)


def config_of(host: str, documents: Documents) -> dict[str, t.Any]:
    """The whole C(config.yml) of the documents."""
    options = {"blobttl": "24h", "upstreams": [f"{REGISTRY}:443"], "cas": [f"/run/secrets/{documents.ca}"]}
    return {
        "version": 0.1,
        "log": {"level": "info"},
        "storage": {"delete": {"enabled": True}, "filesystem": {"rootdirectory": "/var/lib/registry"}},
        "http": {
            "addr": "0.0.0.0:443",
            "secret": "generate-random-secret",
            "host": f"https://{host}",
            "tls": {"certificate": "/run/secrets/cache.cert.pem", "key": "/run/secrets/cache.key.pem"},
        },
        "middleware": {"registry": [{"name": "downstream", "options": options}]},
    }


def stack_of(documents: Documents, service: str, replicas: int | None, mode: str) -> dict[str, t.Any]:
    """The whole C(docker-stack.yml) of the documents, but for the port's mode: the lab's kernel has no routing mesh.

    Without a number of replicas, each labelled node has one.
    """
    secrets = [documents.ca, "cache.cert.pem", "cache.key.pem"]
    return {
        "version": "3.3",
        "services": {
            service: {
                "image": documents.image,
                "entrypoint": ["/start.sh", "/config.yml"],
                "ports": ["443:443"] if mode == "ingress" else [{"mode": mode, "published": 443, "target": 443}],
                "deploy": {
                    **({"mode": "global"} if replicas is None else {"replicas": replicas}),
                    "placement": {"constraints": [f"node.labels.{documents.label} == true"]},
                    "restart_policy": {"condition": "on-failure"},
                },
                "configs": ["config.yml"],
                "secrets": secrets,
            }
        },
        "configs": {"config.yml": {"file": "./config.yml"}},
        "secrets": {name: {"file": f"./certs/{name}"} for name in secrets},
    }


def deploy(
    lab: Lab,
    host: str,
    nodes: t.Sequence[str],
    *,
    manager: str,
    documents: Documents = DTR,
    service: str = "cache",
    names: t.Mapping[str, str] | None = None,
    mode: str = "host",
    everywhere: bool = False,
) -> None:
    """Do what the page says, step by step.

    Args:
        names: Names of configs and secrets that are made one by one instead, by their files.
        mode: That of the port.
        everywhere: Whether the service is to run on each labelled node, whatever their number.
    """
    for node in nodes:
        lab.inside(manager, "docker", "node", "update", "--label-add", f"{documents.label}=true", node)
    definition = stack_of(documents, service, None if everywhere else len(nodes), mode)
    contents = {
        "config.yml": yaml.safe_dump(config_of(host, documents)),
        documents.ca: Path(lab.status["registry"]["ca_path"]).read_text(),
        "cache.cert.pem": lab.certificate(host),
        "cache.key.pem": lab.certificate(host, "key"),
    }
    for file, name in (names or {}).items():
        kind = "config" if file in definition["configs"] else "secret"
        lab.inside(manager, "docker", kind, "create", name, "-", stdin=contents[file])
        definition[f"{kind}s"][file] = {"external": {"name": name}}
    lab.inside(manager, "mkdir", "-p", f"{FOLDER}/certs")
    for file, content in {**contents, "docker-stack.yml": yaml.safe_dump(definition)}.items():
        path = f"{FOLDER}/certs/{file}" if file.endswith(".pem") else f"{FOLDER}/{file}"
        lab.inside(manager, "sh", "-c", f"cat >{path}", stdin=content)
    command = f"cd {FOLDER} && docker stack deploy --resolve-image never -c docker-stack.yml {documents.stack}"
    lab.inside(manager, "sh", "-c", command)
    lab.inside(manager, "rm", "-r", FOLDER)
