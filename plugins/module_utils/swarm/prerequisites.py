# Copyright: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What must be true of a Swarm before a cache is deployed to it, as sentences about what is not."""

from __future__ import annotations

import concurrent.futures
import platform
import socket
import sys
import time
import typing as t
from importlib.util import find_spec
from shutil import which

from ..common.failure import Failure
from .engine import DOCKER_IMPORT_ERROR, Engine
from .model import NAMESPACE_LABEL, Raw, by_host_name
from .tasks import ENDED, since_1970

SECONDS_TO_CONNECT = 2
# From the end of the time that a container has to end by itself until its port is free.
SECONDS_TO_LET_GO = 10
# What the modules need on the host they run on, and the package of Debian and Ubuntu that brings it.
MODULES_NEEDED = {"docker": "python3-docker", "jsondiff": "python3-jsondiff", "yaml": "python3-yaml (PyYAML)"}
COMMAND_PACKAGE = "docker-ce-cli (Debian's own: docker-cli)"


def preflight_problems(engine: Engine, swarm: t.Mapping[str, t.Any] | None) -> list[str]:
    """Everything that stands against a deployment from here: requirements, the manager, and the Swarm when it is asked.

    Args:
        engine: The Engine that is to be a manager's.
        swarm: The arguments of C(swarm_problems), or C(None) where only the manager counts.
    """
    problems = missing_requirements()
    if problems and DOCKER_IMPORT_ERROR:
        # There is no way to the Engine; what is said of the requirements is all that can be.
        return problems
    try:
        engine.require_manager()
    except Failure as failure:
        return [*problems, failure.as_result()["msg"]]
    return problems + (swarm_problems(engine, **swarm) if swarm else [])


def swarm_problems(engine: Engine, nodes: t.Sequence[str], port: int, publish_mode: str, stack_name: str) -> list[str]:
    """Everything in the Swarm that stands against a deployment."""
    present = by_host_name(engine.nodes().values())
    services = engine.all_services()
    dedicated = {name: present[name] for name in nodes if name in present}
    own = _nodes_with_own_replica(services, engine.tasks_of(stack_name), port)
    unused = {name: node for name, node in dedicated.items() if node["ID"] not in own}
    own_mesh = any(_stack_of(service) == stack_name and "ingress" in _modes_of(service, port) for service in services)
    return [
        *unknown_nodes(nodes, present),
        *nodes_not_ready(dedicated),
        *port_holders(services, port, publish_mode, stack_name),
        *([] if own_mesh else ports_in_use(unused, port)),
    ]


def missing_requirements() -> list[str]:
    """What is not installed where this and community.docker's modules run, in one sentence; none when all is there."""
    missing, packages = [], []
    if which("docker") is None:
        missing.append("the command docker")
        packages.append(COMMAND_PACKAGE)
    modules = [name for name in MODULES_NEEDED if find_spec(name) is None]
    if modules:
        missing.append(f"the Python module{'s' * (len(modules) > 1)} {_listed(modules)} (for {sys.executable})")
        packages += [MODULES_NEEDED[name] for name in modules]
    if not missing:
        return []
    return [
        f"{platform.node()} lacks {_listed(missing)}; install {_listed(packages)} there, or let "
        "dtr_cache_install_requirements install what dtr_cache_requirements names"
    ]


def _listed(names: t.Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def unknown_nodes(nodes: t.Iterable[str], present: t.Collection[str]) -> list[str]:
    """Nodes that are not in the Swarm."""
    names = ", ".join(sorted(present))
    return [
        f"dtr_cache_nodes: the Swarm has no node {node}; its nodes are {names}" for node in nodes if node not in present
    ]


def nodes_not_ready(nodes: t.Mapping[str, t.Mapping[str, t.Any]]) -> list[str]:
    """Nodes on which Swarm would start nothing."""
    problems = []
    for name, node in nodes.items():
        state, availability = node["Status"]["State"], node["Spec"]["Availability"]
        if state != "ready":
            problems.append(f"dtr_cache_nodes: node {name} is {state}; bring it back or name another one")
        elif availability != "active":
            problems.append(
                f"dtr_cache_nodes: node {name} is set to {availability}; "
                f"let it take tasks with: docker node update --availability active {name}"
            )
    return problems


def port_holders(
    services: t.Iterable[t.Mapping[str, t.Any]], port: int, publish_mode: str, stack_name: str
) -> list[str]:
    """Other services that publish the port: through the routing mesh a port is taken on every node."""
    problems = []
    for service in services:
        modes = _modes_of(service, port)
        if _stack_of(service) != stack_name and ("ingress" in modes or (modes and publish_mode == "ingress")):
            problems.append(f"dtr_cache_port: {port} is published by service {service['Spec']['Name']} already")
    return problems


def ports_in_use(nodes: t.Mapping[str, t.Mapping[str, t.Any]], port: int) -> list[str]:
    """Nodes on which something answers at the port although no replica of the cache runs there."""
    with concurrent.futures.ThreadPoolExecutor(max_workers=16) as pool:
        answers = pool.map(lambda node: _answers(str(node["Status"].get("Addr", "")), port), nodes.values())
        taken = [name for name, answer in zip(nodes, answers) if answer]
    return [f"dtr_cache_port: {port} is in use on node {name} by something that is not this cache" for name in taken]


def _nodes_with_own_replica(services: t.Sequence[Raw], tasks: t.Sequence[Raw], port: int) -> set[str]:
    """The ids of the nodes on which a replica of the stack holds the port, be it one that is still ending."""
    publishing = {service["ID"] for service in services if _modes_of(service, port)}
    return {
        task["NodeID"]
        for task in tasks
        if task.get("NodeID")
        and (task["Status"]["State"] not in ENDED or _is_ending(task))
        and (task["ServiceID"] in publishing or port in _ports_of(task))
    }


def _is_ending(task: Raw) -> bool:
    """Whether a container may still run although Swarm calls its task ended.

    It does so at once when the node loses the label, and not only when the container has stopped (swarmkit's
    manager/orchestrator/constraintenforcer).
    """
    status = task["Status"]
    if "no longer meets constraints" not in status.get("Err", ""):
        return False
    grace = (task["Spec"]["ContainerSpec"].get("StopGracePeriod") or 0) / 10**9
    return time.time() < since_1970(status["Timestamp"]) + grace + SECONDS_TO_LET_GO


def _ports_of(task: Raw) -> set[int]:
    """The ports of the node that a task has for itself, also when its service is another one now, or gone."""
    return {item.get("PublishedPort", 0) for item in (task["Status"].get("PortStatus") or {}).get("Ports") or []}


def _stack_of(service: t.Mapping[str, t.Any]) -> str:
    return str((service["Spec"].get("Labels") or {}).get(NAMESPACE_LABEL, ""))


def _modes_of(service: t.Mapping[str, t.Any], port: int) -> set[str]:
    """The ways (V(ingress), V(host)) in which a service publishes this port."""
    published = (service.get("Endpoint") or {}).get("Ports") or []
    return {item["PublishMode"] for item in published if item.get("PublishedPort") == port}


def _answers(address: str, port: int) -> bool:
    try:
        with socket.create_connection((address, port), timeout=SECONDS_TO_CONNECT):
            return True
    except OSError:
        return False
