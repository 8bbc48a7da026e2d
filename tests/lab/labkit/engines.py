# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Docker Engines: their settings, and reaching them through their sockets."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

import docker
from docker.errors import DockerException
from requests.exceptions import RequestException

from . import certificates
from .files import write_file
from .folders import Folders
from .topology import ENGINE_PORT, REGISTRY, Node, Role

TLS = "/etc/docker/tls"
SETTINGS = "etc-docker"
"""The node's C(/etc/docker), on its disk."""

COMMAND = ["dockerd"]


def install(folders: Folders, node: Node, state: str) -> None:
    """Put the Engine's settings, certificates and trust on a node's disk; the node sees its disk as C(state)."""
    settings = folders.node(node) / SETTINGS
    for data in ("docker", "containerd"):
        (folders.node(node) / data).mkdir(mode=0o711, exist_ok=True)
    trust = settings / "certs.d" / REGISTRY.host_name
    trust.mkdir(mode=0o755, parents=True, exist_ok=True)
    write_file(trust / "dtr-ca.crt", certificates.dtr_ca(folders).read_text())
    if node.role is Role.CLIENT:
        # Blobs come by a redirect from a cache, whose certificate the Engine checks against the authorities in the
        # folder of the registry that it was asked for. A folder with the cache's own name is not looked at.
        write_file(trust / "cache-ca.crt", certificates.cache_ca(folders).read_text())
    if node.role is Role.MANAGER:
        tls = settings / "tls"
        tls.mkdir(mode=0o700, exist_ok=True)
        server = certificates.engine(folders, node.name)
        write_file(tls / "ca.pem", certificates.engine_ca(folders).read_text())
        write_file(tls / "cert.pem", server.certificate.read_text())
        write_file(tls / "key.pem", server.private_key.read_text(), 0o600)
    write_file(settings / "daemon.json", json.dumps(daemon_settings(folders, node, state), indent=2) + "\n")


def daemon_settings(folders: Folders, node: Node, state: str) -> dict[str, object]:
    """The node's C(daemon.json)."""
    settings: dict[str, object] = {
        "hosts": ["unix:///run/docker.sock", f"unix://{state}/docker.sock"],
        "cgroup-parent": f"/{folders.cgroup}/{node.name}",
        # The node has no systemd that could manage control groups, even where the machine has one.
        "exec-opts": ["native.cgroupdriver=cgroupfs"],
    }
    if node.role is Role.MANAGER:
        settings["hosts"] = [*settings["hosts"], f"tcp://{node.address}:{ENGINE_PORT}"]  # type: ignore[misc]
        settings |= {
            "tlsverify": True,
            "tlscacert": f"{TLS}/ca.pem",
            "tlscert": f"{TLS}/cert.pem",
            "tlskey": f"{TLS}/key.pem",
        }
    return settings


def docker_host(folders: Folders, node: Node) -> str:
    """How root on the machine reaches the node's Engine without entering the node."""
    return f"unix://{folders.engine_socket(node)}"


@contextmanager
def connect(folders: Folders, node: Node, timeout: int = 60) -> Iterator[docker.DockerClient]:
    """A client of the node's Engine."""
    client = docker.DockerClient(base_url=docker_host(folders, node), timeout=timeout)
    try:
        yield client
    finally:
        client.close()


def answers(folders: Folders, node: Node) -> bool:
    """Whether the Engine can be talked to."""
    try:
        with connect(folders, node, timeout=5) as client:
            return bool(client.ping())
    except (DockerException, RequestException):
        return False
