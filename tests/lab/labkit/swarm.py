# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Joining a region's Engines into a Swarm."""

from __future__ import annotations

import typing as t

import docker

from . import engines
from .folders import Folders
from .progress import wait_until
from .topology import Node, Region

MANAGER_PORT = 2377


def form(folders: Folders, region: Region) -> bool:
    """Make the region's Swarm of its nodes. Returns whether something had to be done."""
    manager = region.manager
    changed = False
    with engines.connect(folders, manager) as client:
        if _settled_state(client) != "active":
            _leave(client)
            client.swarm.init(advertise_addr=str(manager.address), listen_addr=f"{manager.address}:{MANAGER_PORT}")
            changed = True
        client.swarm.reload()
        token: str = client.swarm.attrs["JoinTokens"]["Worker"]
        for worker in region.nodes:
            if worker != manager:
                changed |= _join(folders, client, worker, manager, token)
        wait_until(
            lambda: ready_nodes(client) == {node.name for node in region.nodes},
            what=f"the Swarm of {region.name} should have all its nodes ready",
        )
    return changed


def ready_nodes(client: docker.DockerClient) -> set[str]:
    """The host names of the nodes that a manager knows as ready."""
    return {
        node.attrs["Description"]["Hostname"]
        for node in client.nodes.list()
        if node.attrs["Status"]["State"] == "ready" and "Hostname" in node.attrs.get("Description", {})
    }


def _swarm(client: docker.DockerClient) -> dict[str, t.Any]:
    return t.cast("dict[str, t.Any]", client.info()["Swarm"])


def _local_state(client: docker.DockerClient) -> str:
    return t.cast(str, _swarm(client)["LocalNodeState"])


def _settled_state(client: docker.DockerClient) -> str:
    """The state once it is known: an Engine that has just started is on the way back into its Swarm for a moment."""
    wait_until(lambda: _local_state(client) != "pending", what="an Engine should know whether it is in a Swarm")
    return _local_state(client)


def _leave(client: docker.DockerClient) -> None:
    if _local_state(client) != "inactive":
        client.swarm.leave(force=True)


def _join(folders: Folders, manager_client: docker.DockerClient, worker: Node, manager: Node, token: str) -> bool:
    """Let a worker join unless this very manager knows it; what it was before is forgotten."""
    with engines.connect(folders, worker) as client:
        known = {node.attrs["ID"] for node in manager_client.nodes.list()}
        if _settled_state(client) == "active" and _swarm(client)["NodeID"] in known:
            return False
        _leave(client)
        for node in manager_client.nodes.list():
            if node.attrs.get("Description", {}).get("Hostname") == worker.name:
                manager_client.api.remove_node(node.attrs["ID"], force=True)
        client.swarm.join(
            remote_addrs=[f"{manager.address}:{MANAGER_PORT}"],
            join_token=token,
            advertise_addr=str(worker.address),
            listen_addr=f"{worker.address}:{MANAGER_PORT}",
        )
    return True
