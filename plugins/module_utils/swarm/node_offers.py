# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the nodes that are to run a cache offer what it wants, as Swarm's scheduler would judge."""

from __future__ import annotations

import typing as t

from .compose import byte_size


def nodes_not_ready(nodes: t.Mapping[str, t.Mapping[str, t.Any]]) -> list[str]:
    """Nodes on which Swarm would start nothing."""
    obstacles = filter(None, map(node_obstacle, nodes.values()))
    return [f"dtr_cache_nodes: {obstacle.words}; {obstacle.fix}" for obstacle in obstacles]


class Obstacle(t.NamedTuple):
    """What keeps a replica from its node, and what to do about it."""

    words: str
    fix: str


def node_obstacle(node: t.Mapping[str, t.Any]) -> Obstacle | None:
    """Return why Swarm starts nothing on a node."""
    name, state = node["Description"]["Hostname"], node["Status"]["State"]
    availability = node["Spec"]["Availability"]
    another = "or name another node in dtr_cache_nodes and run dtr.cache.deploy"
    if state != "ready":
        return Obstacle(f"node {name} is {state}", f"start the Engine of {name}, {another}")
    if availability != "active":
        command = f"docker node update --availability active {name}"
        return Obstacle(f"node {name} is set to {availability}", f"let it take tasks with: {command}, {another}")
    return None


def too_large_reservations(
    nodes: t.Mapping[str, t.Mapping[str, t.Any]], replicas: int, reservations: t.Mapping[str, t.Any]
) -> list[str]:
    """Reservations that leave some replica without a node, even if nothing else ran there."""
    wanted = {
        "NanoCPUs": int(float(reservations.get("cpus") or 0) * 10**9),
        "MemoryBytes": byte_size(reservations.get("memory")) or 0,
    }
    asked = {name: amount for name, amount in wanted.items() if amount > 0}
    offered = {name: node["Description"].get("Resources") or {} for name, node in nodes.items()}
    # An Engine that does not say what a node has may have enough.
    if not asked or not nodes or not all(set(asked) <= set(has) for has in offered.values()):
        return []
    places = sum(min(int(has[name]) // amount for name, amount in asked.items()) for has in offered.values())
    if places >= replicas:
        return []
    room = f"have room for {places} of {replicas} replicas" if places else "have no room for a replica"
    there = ", ".join(f"{name} has {_amounts(has, asked)}" for name, has in offered.items())
    return [
        f"dtr_cache_resources: with reservations of {_amounts(wanted, asked)} the nodes of dtr_cache_nodes {room} "
        f"({there})"
    ]


def missing_volume_driver(nodes: t.Mapping[str, t.Mapping[str, t.Any]], driver: str) -> list[str]:
    """Nodes that have no such driver of volumes.

    Swarm would end the old replica and then find no place for the new one. What is compared is what its scheduler
    compares (swarmkit's manager/scheduler/filter.go).
    """
    if driver in ("", "local"):
        return []
    drivers = {
        name: [plugin["Name"] for plugin in node["Description"]["Engine"]["Plugins"] if plugin["Type"] == "Volume"]
        for name, node in nodes.items()
        if (node["Description"].get("Engine") or {}).get("Plugins")
    }
    return [
        f"dtr_cache_volume: node {name} has no volume driver {driver}, but {', '.join(sorted(has)) or 'none'}; install "
        "the driver there (docker plugin install), or name another one"
        for name, has in drivers.items()
        if not {driver, f"{driver}:latest"} & set(has)
    ]


def _amounts(amounts: t.Mapping[str, t.Any], names: t.Iterable[str]) -> str:
    words = {
        "NanoCPUs": f"{int(amounts.get('NanoCPUs') or 0) / 10**9:g} CPUs",
        "MemoryBytes": f"{int(amounts.get('MemoryBytes') or 0) / 2**20:.0f} MiB of memory",
    }
    return " and ".join(words[name] for name in names)
