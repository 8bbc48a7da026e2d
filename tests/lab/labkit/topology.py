# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one declaration of the lab: its nodes, their addresses, the regions and what they serve.

Nothing here touches the machine. Every other module asks this one for names and addresses.
"""

from __future__ import annotations

import enum
import ipaddress
from dataclasses import dataclass

PREFIX = "dtrlab"
"""Begins the name of every network namespace and interface of the lab, and of nothing else on the machine."""

DOMAIN = "lab.test"
BRIDGE = f"{PREFIX}0"
NETWORK = ipaddress.IPv4Network("198.18.57.0/24")
"""Of the block that RFC 2544 keeps for tests between networks: never routed, and rarely used by anything else."""
CONTROL_ADDRESS = ipaddress.IPv4Address("198.18.57.1")
"""The bridge's own address: the machine itself, from where Ansible runs."""

ENGINE_PORT = 2376
SSH_PORT = 22
CONTROL_PORT = 9080
CACHE_REPOSITORY = "docker/dtr-content-cache"
CACHE_VERSIONS = ("2.7.4", "2.7.6")


class Role(enum.Enum):
    """What a node is there for."""

    REGISTRY = "registry"
    MANAGER = "manager"
    WORKER = "worker"
    CLIENT = "client"


@dataclass(frozen=True)
class Node:
    """A machine of the lab: network, host name, mounts and processes of its own."""

    name: str
    address: ipaddress.IPv4Address
    role: Role

    @property
    def host_name(self) -> str:
        return f"{self.name}.{DOMAIN}"

    @property
    def namespace(self) -> str:
        """The network namespace and, on the machine's side, the interface: at most 15 characters."""
        return f"{PREFIX}-{self.name}"

    @property
    def mac(self) -> str:
        """Always the same, so that the neighbours find a node at once when it was started anew."""
        return "02:64:" + self.address.packed.hex(":")

    @property
    def has_engine(self) -> bool:
        return self.role is not Role.REGISTRY

    @property
    def in_swarm(self) -> bool:
        return self.role in (Role.MANAGER, Role.WORKER)


@dataclass(frozen=True)
class Region:
    """A Swarm of its own, with one content cache."""

    name: str
    nodes: tuple[Node, ...]
    cache_nodes: tuple[Node, ...]
    accounts: tuple[str, ...]

    @property
    def manager(self) -> Node:
        return next(node for node in self.nodes if node.role is Role.MANAGER)

    @property
    def cache_name(self) -> str:
        return f"region-{self.name}"

    @property
    def cache_host(self) -> str:
        return f"cache-{self.name}.{DOMAIN}"


def _node(name: str, host_part: int, role: Role) -> Node:
    return Node(name, NETWORK.network_address + host_part, role)


REGISTRY = _node("dtr", 10, Role.REGISTRY)
CLIENT = _node("client", 41, Role.CLIENT)
ASIA_1, ASIA_2, ASIA_3 = (
    _node("asia-1", 21, Role.MANAGER),
    _node("asia-2", 22, Role.WORKER),
    _node("asia-3", 23, Role.WORKER),
)
EUROPE_1 = _node("europe-1", 31, Role.MANAGER)

ASIA = Region("asia", (ASIA_1, ASIA_2, ASIA_3), cache_nodes=(ASIA_2, ASIA_3), accounts=("alice",))
EUROPE = Region("europe", (EUROPE_1,), cache_nodes=(EUROPE_1,), accounts=("bob",))
REGIONS = (ASIA, EUROPE)

SWARM_NODES = tuple(node for region in REGIONS for node in region.nodes)
ENGINE_NODES = (*SWARM_NODES, CLIENT)
NODES = (REGISTRY, *ENGINE_NODES)
REGISTRY_URL = f"https://{REGISTRY.host_name}"
CACHE_IMAGES = tuple(f"{CACHE_REPOSITORY}:{version}" for version in CACHE_VERSIONS)


def node_named(name: str) -> Node:
    """The node with this name.

    Raises:
        KeyError: The lab has no such node.
    """
    return {node.name: node for node in NODES}[name]


def host_records() -> list[tuple[str, ipaddress.IPv4Address]]:
    """Every name of the lab with its address, in the order in which a resolver should offer them."""
    nodes = [(node.host_name, node.address) for node in NODES]
    caches = [(region.cache_host, node.address) for region in REGIONS for node in region.cache_nodes]
    return [(f"control.{DOMAIN}", CONTROL_ADDRESS), *nodes, *caches]
