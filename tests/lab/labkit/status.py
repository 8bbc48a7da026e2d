# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the lab consists of, for programs; and what of it is ill, for people."""

from __future__ import annotations

import typing as t
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from docker.errors import DockerException
from requests.exceptions import RequestException

from . import bundles, cache_image, certificates, engines, images, names, network, nodes, registry, ssh, swarm
from .errors import LabError
from .folders import Folders
from .topology import (
    CACHE_IMAGES,
    CLIENT,
    CONTROL_ADDRESS,
    ENGINE_NODES,
    ENGINE_PORT,
    NODES,
    REGIONS,
    REGISTRY,
    REGISTRY_URL,
    SSH_PORT,
    SWARM_NODES,
    Node,
    Region,
)


def is_up() -> bool:
    """Whether any part of the lab runs."""
    return any(network.processes(node.namespace) for node in NODES)


def describe(folders: Folders) -> dict[str, t.Any]:
    """Everything that a user or a check needs to work with the lab, ready for JSON. Paths are those of the machine.

    It holds the password of the registry's administrator, as the contract of C(lab status) wants it.
    """
    return {
        "registry": {
            "url": REGISTRY_URL,
            "address": str(REGISTRY.address),
            "ca_path": str(certificates.dtr_ca(folders)),
            "ca_fingerprint": certificates.fingerprint(certificates.dtr_ca(folders)),
            "admin": {"username": registry.ADMIN, "password": registry.password(folders)},
            "passwords_path": str(registry.passwords_file(folders)),
            "control": {
                "url": registry.CONTROL_URL,
                "secret_path": str(registry.control_secret_file(folders)),
            },
            "images": images.NAMES,
        },
        "managers": [_manager(folders, region) for region in REGIONS],
        "nodes": [_node(folders, node) for node in ENGINE_NODES],
        "client": CLIENT.name,
        "regions": [_region(region) for region in REGIONS],
        "client_bundle": str(bundles.folder(folders, REGIONS[0].manager)),
        "client_bundles": {
            region.manager.name: {
                "folder": str(bundles.folder(folders, region.manager)),
                "archive": str(bundles.archive(folders, region.manager)),
            }
            for region in REGIONS
        },
        "cache_image": CACHE_IMAGES[0],
        "cache_images": list(CACHE_IMAGES),
        "cache_image_archive": str(cache_image.archive(folders)),
        "certificates": {
            "ca": str(certificates.cache_ca(folders)),
            "hosts": {region.cache_host: _files(certificates.cache(folders, region.cache_host)) for region in REGIONS},
        },
        "known_hosts": str(ssh.known_hosts(folders)),
        "control_address": str(CONTROL_ADDRESS),
        "state": str(folders.root),
    }


def _files(files: certificates.Files) -> dict[str, str]:
    return {"certificate": str(files.certificate), "private_key": str(files.private_key)}


def _ssh(folders: Folders, node: Node) -> dict[str, t.Any]:
    return {"host": str(node.address), "port": SSH_PORT, "user": "root", "key": str(ssh.key(folders))}


def _manager(folders: Folders, region: Region) -> dict[str, t.Any]:
    manager = region.manager
    return {
        "name": manager.name,
        "region": region.name,
        "ssh": _ssh(folders, manager),
        "docker_host": engines.docker_host(folders, manager),
        "docker_tls": {
            "host": f"tcp://{manager.address}:{ENGINE_PORT}",
            "ca": str(certificates.engine_ca(folders)),
            "cert": str(certificates.engine(folders, "client").certificate),
            "key": str(certificates.engine(folders, "client").private_key),
        },
    }


def _node(folders: Folders, node: Node) -> dict[str, t.Any]:
    return {
        "name": node.name,
        "host_name": node.host_name,
        "address": str(node.address),
        "role": node.role.value,
        "region": next((region.name for region in REGIONS if node in region.nodes), None),
        "ssh": _ssh(folders, node),
        "docker_host": engines.docker_host(folders, node),
    }


def _region(region: Region) -> dict[str, t.Any]:
    return {
        "name": region.name,
        "manager": region.manager.name,
        "nodes": [node.name for node in region.nodes],
        "cache_name": region.cache_name,
        "cache_host": region.cache_host,
        "cache_nodes": [node.name for node in region.cache_nodes],
        "accounts": list(region.accounts),
    }


def problems(folders: Folders) -> list[str]:
    """What is wrong with the lab, a sentence each; nothing when it is whole."""
    checks: list[Callable[[], list[str]]] = [
        _check_machine,
        lambda: _check_registry(folders),
        *(_node_check(folders, node) for node in ENGINE_NODES),
        *(_swarm_check(folders, region) for region in REGIONS),
    ]
    with ThreadPoolExecutor(max_workers=len(checks)) as pool:
        return [problem for found in pool.map(lambda check: check(), checks) for problem in found]


def _check_machine() -> list[str]:
    found = []
    if not network.bridge_is_up():
        found.append("the bridge of the nodes is missing")
    if not names.machine_is_right():
        found.append("/etc/hosts lacks the lab's names")
    return found


def _check_registry(folders: Folders) -> list[str]:
    if nodes.first_process(REGISTRY) is None:
        return [f"{REGISTRY.name} does not run"]
    found = []
    if sick := registry.health(folders):
        found.append(f"{REGISTRY.name} is not healthy: {sick}")
    if not names.name_server_answers():
        found.append(f"{REGISTRY.name}: the name server does not answer")
    return found


def _node_check(folders: Folders, node: Node) -> Callable[[], list[str]]:
    def check() -> list[str]:
        if nodes.first_process(node) is None:
            return [f"{node.name} does not run"]
        found = []
        if not ssh.answers(node):
            found.append(f"{node.name}: sshd does not answer")
        if not engines.answers(folders, node):
            found.append(f"{node.name}: the Engine does not answer")
        elif node in SWARM_NODES and (lacking := cache_image.missing(folders, node)):
            found.append(f"{node.name} lacks {', '.join(lacking)}")
        return found

    return check


def _swarm_check(folders: Folders, region: Region) -> Callable[[], list[str]]:
    def check() -> list[str]:
        try:
            with engines.connect(folders, region.manager, timeout=10) as client:
                ready = swarm.ready_nodes(client)
        except (LabError, DockerException, RequestException) as error:
            return [f"the Swarm of {region.name} does not answer: {error}"]
        lacking = [node.name for node in region.nodes if node.name not in ready]
        return [f"the Swarm of {region.name} lacks {', '.join(lacking)}"] if lacking else []

    return check
