# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Problems of a Swarm and its manager that a deployment would meet, as sentences."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import platform
import re
import socket
import sys
import time
import typing as t
from importlib.util import find_spec
from shutil import which

from ..common.failure import Failure
from ..common.redaction import redacted
from .compose import byte_size
from .compose import image as shown_image
from .engine import DOCKER_IMPORT_ERROR, Engine
from .former import former_problems
from .live_cache import LiveCache, cache_service, live_caches, node_labels_of, stack_and_name, stack_problems
from .model import IMAGE_LABEL, Raw, by_host_name, of_stack
from .verdict import ENDED, node_obstacle, since_1970

SECONDS_TO_CONNECT = 2
# From the end of a container's grace period until its port is free.
SECONDS_TO_LET_GO = 10
# The Python modules that the host of the modules needs, each with its package for Debian and Ubuntu.
MODULES_NEEDED = {"docker": "python3-docker", "jsondiff": "python3-jsondiff", "yaml": "python3-yaml (PyYAML)"}
COMMAND_PACKAGE = "docker-ce-cli (Debian's own: docker-cli)"
# A registry's words for an image that it does not have, or not for this account.
_REFUSED = re.compile(
    r"manifest unknown|name unknown|no such manifest|repository \S+ not found|: not found\b|denied|unauthorized"
    r"|no basic auth credentials",
    re.IGNORECASE,
)
_NO_SUCH_QUESTION = "page not found"

Nodes = t.Mapping[str, Raw]
Warn = t.Callable[[str], None]


@dataclasses.dataclass(frozen=True)
class WantedService:
    """What a deployment wants of its Swarm.

    Args:
        nodes: Host names of the nodes to dedicate.
        port: The port to publish.
        publish_mode: C(ingress) or C(host).
        metrics_port: The port of the nodes for the cache's metrics, if any.
        stack_name: The stack.
        image: The cache's image.
        resolve_image: When Docker asks the image's registry for it: C(always), C(changed) or C(never).
        with_registry_auth: Whether it logs in there.
        replicas: How many replicas the nodes have to take.
        reservations: What each replica reserves, C(cpus) and C(memory).
        host: The public host name of the cache, which tells it from other caches.
        former_stacks: Stacks that were this cache before, and are replaced.
        volume_driver: The driver of the volume for the layers.
        node_label: The label of the nodes of the cache.
    """

    nodes: t.Sequence[str] = ()
    port: int = 0
    publish_mode: str = ""
    metrics_port: int | None = None
    stack_name: str = ""
    image: str = ""
    resolve_image: str = "never"
    with_registry_auth: bool = False
    replicas: int = 1
    reservations: t.Mapping[str, t.Any] = dataclasses.field(default_factory=dict)
    host: str = ""
    former_stacks: t.Sequence[str] = ()
    volume_driver: str = ""
    node_label: str = ""


def preflight_problems(engine: Engine, wanted: WantedService | None, warn: Warn) -> list[str]:
    """Return the problems of the requirements, of the manager, and of the Swarm where C(wanted) is given.

    Args:
        engine: The Engine that is to be a manager's.
        wanted: What is to be deployed.
        warn: Takes a sentence that is no problem.
    """
    problems = missing_requirements()
    if problems and DOCKER_IMPORT_ERROR:
        # There is no way to the Engine.
        return problems
    try:
        engine.require_manager()
    except Failure as failure:
        return [*problems, failure.as_result()["msg"]]
    return problems + (swarm_problems(engine, wanted, warn) if wanted else [])


def missing_requirements() -> list[str]:
    """Return one sentence with all that is not installed where this and community.docker's modules run."""
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


def swarm_problems(engine: Engine, wanted: WantedService, warn: Warn) -> list[str]:
    """Return everything in the Swarm that stands against a deployment."""
    nodes, services, configs = by_host_name(engine.nodes().values()), engine.all_services(), engine.configs()
    dedicated = {name: nodes[name] for name in wanted.nodes if name in nodes}
    own_stack = of_stack(services, wanted.stack_name)
    own = own_stack.get(cache_service(wanted.stack_name, own_stack, configs, wanted.image, wanted.port))
    former = {name: list(of_stack(services, name).values()) for name in wanted.former_stacks}
    former = {name: found for name, found in former.items() if found}
    others = [service for service in services if stack_and_name(service)[0] not in (wanted.stack_name, *former)]
    neighbours = [*others, *(service for service in own_stack.values() if service is not own)]
    return [
        *_unknown_nodes(wanted.nodes, nodes),
        *_nodes_not_ready(dedicated),
        *_shared_placement(nodes, wanted, own, neighbours, warn),
        *_too_large_reservations(dedicated, wanted.replicas, wanted.reservations),
        *_missing_volume_driver(dedicated, wanted.volume_driver),
        *stack_problems(wanted.stack_name, own_stack, configs, wanted.image, wanted.port),
        *(
            problem
            for name, found in former.items()
            for problem in former_problems(name, found, configs, wanted.image, wanted.host, wanted.port)
        ),
        *_port_problems(engine, wanted, services, others, dedicated, [wanted.stack_name, *former], configs),
        *_image_problems(engine, wanted, own, warn),
    ]


def _unknown_nodes(wanted: t.Iterable[str], nodes: Nodes) -> t.Iterator[str]:
    for node in wanted:
        if node not in nodes:
            yield f"dtr_cache_nodes: the Swarm has no node {node}; its nodes are {', '.join(sorted(nodes))}"


def _nodes_not_ready(nodes: Nodes) -> t.Iterator[str]:
    for obstacle in filter(None, map(node_obstacle, nodes.values())):
        yield f"dtr_cache_nodes: {obstacle.words}; {obstacle.fix}"


def _shared_placement(
    nodes: Nodes, wanted: WantedService, own: Raw | None, others: t.Iterable[Raw], warn: Warn
) -> list[str]:
    """Return where Swarm may place the cache on further nodes, as another service needs their label.

    A cache that is placed by the label already stays where it is, which is only a warning.
    """
    label = wanted.node_label
    sharing = sorted(each["Spec"]["Name"] for each in others if label and label in node_labels_of(each["Spec"]))
    shared = sorted(
        name for name, node in nodes.items() if name not in wanted.nodes and label in (node["Spec"].get("Labels") or {})
    )
    if not sharing or not shared:
        return []
    sentence = (
        f"dtr_cache_nodes: Swarm may put the cache on {', '.join(shared)} as well: label {label} is there, and "
        f"{', '.join(sharing)} needs it. Give this cache a label of its own, such as dtr_cache_node_label: "
        f"{label}.{wanted.stack_name}, or name {'this node' if len(shared) == 1 else 'these nodes'} in dtr_cache_nodes"
    )
    if own is not None and label not in node_labels_of(own["Spec"]):
        return [sentence]
    warn(f"{sentence}.")
    return []


def _too_large_reservations(nodes: Nodes, replicas: int, reservations: Raw) -> list[str]:
    """Return reservations that leave a replica without a node, even if nothing else ran there."""
    wanted = {
        "NanoCPUs": int(float(reservations.get("cpus") or 0) * 10**9),
        "MemoryBytes": byte_size(reservations.get("memory")) or 0,
    }
    asked = {name: amount for name, amount in wanted.items() if amount > 0}
    offered = {name: node["Description"].get("Resources") or {} for name, node in nodes.items()}
    # An Engine that does not report the resources of a node may have enough.
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


def _amounts(amounts: Raw, names: t.Iterable[str]) -> str:
    words = {
        "NanoCPUs": f"{int(amounts.get('NanoCPUs') or 0) / 10**9:g} CPUs",
        "MemoryBytes": f"{int(amounts.get('MemoryBytes') or 0) / 2**20:.0f} MiB of memory",
    }
    return " and ".join(words[name] for name in names)


def _missing_volume_driver(nodes: Nodes, driver: str) -> t.Iterator[str]:
    """Yield nodes without a driver of volumes, by the comparison of swarmkit's manager/scheduler/filter.go.

    Swarm would end the old replica and then find no place for the new one.
    """
    for name, node in nodes.items() if driver not in ("", "local") else ():
        plugins = (node["Description"].get("Engine") or {}).get("Plugins")
        has = [plugin["Name"] for plugin in plugins or [] if plugin["Type"] == "Volume"]
        if plugins and not {driver, f"{driver}:latest"} & set(has):
            yield (
                f"dtr_cache_volume: node {name} has no volume driver {driver}, but {', '.join(sorted(has)) or 'none'}; "
                "install the driver there (docker plugin install), or name another one"
            )


def _image_problems(engine: Engine, wanted: WantedService, own: Raw | None, warn: Warn) -> list[str]:
    """Return why no node can pull the image; its registry is asked where Docker will ask it to change the image."""
    if wanted.resolve_image == "never" or not wanted.image or _has_image(own, wanted.image):
        return []
    try:
        status, words = engine.registry_says(wanted.image, with_auth=wanted.with_registry_auth)
    except Failure as failure:
        status, words = 0, failure.message
    said = redacted(words).rstrip(".") or f"status {status}"
    if status == 200 or (status == 404 and words == _NO_SUCH_QUESTION):
        return []
    if status in (401, 403, 404) or _REFUSED.search(words):
        return [
            f"dtr_cache_image: the manager gets no {wanted.image} from its registry, which says: {said}. Check "
            "dtr_cache_image and dtr_cache_version. For a registry that asks for a log-in, log in on the manager and "
            "set dtr_cache_with_registry_auth. Where each node has the image, set dtr_cache_resolve_image: never"
        ]
    warn(
        f"The manager could not ask the registry of {wanted.image} for it ({said}). The deployment goes on, since the "
        "nodes may have it already."
    )
    return []


def _has_image(live: Raw | None, image: str) -> bool:
    """Check whether the cache's service has the image already, so that Docker leaves it as it is."""
    if live is None:
        return False
    spec = live["Spec"]
    noted = (spec.get("Labels") or {}).get(IMAGE_LABEL) or spec["TaskTemplate"]["ContainerSpec"]["Image"]
    return shown_image(noted, with_digest="@" in image) == shown_image(image, with_digest="@" in image)


def _port_problems(
    engine: Engine,
    wanted: WantedService,
    services: t.Sequence[Raw],
    others: t.Sequence[Raw],
    dedicated: Nodes,
    stacks: t.Iterable[str],
    configs: Nodes,
) -> t.Iterator[str]:
    """Yield what has a port of the cache already, in the Swarm or on its nodes.

    Args:
        engine: The manager's Engine.
        wanted: What is to be deployed.
        services: All services.
        others: The services outside of C(stacks).
        dedicated: The nodes of the cache.
        stacks: The cache's stack, and those that it replaces.
        configs: The Docker configs by name.
    """
    tasks = [task for stack in stacks for task in engine.tasks_of(stack)]
    caches = live_caches(others, configs, wanted.image)
    for variable, port, mode in (
        ("dtr_cache_port", wanted.port, wanted.publish_mode),
        ("dtr_cache_metrics_port", wanted.metrics_port, "host"),
    ):
        if port is None:
            continue
        holders = {}
        for service in others:
            cache = next((each for each in caches if each.full_name == service["Spec"]["Name"]), None)
            ways = _way_on(cache, caches) if cache and cache.is_of(wanted.host) else ""
            modes = _modes_of(service, port)
            # The mesh has the port on every node. On other nodes, a cache without a host may be another one.
            if "ingress" in modes or (modes and (mode == "ingress" or (ways and cache and cache.url))):
                name = _named(service)
                holders[name] = f"{variable}: {port} is published by {name} already{ways}"
        yield from holders.values()
        # Where a service has it in the mesh, every node answers: the cache itself, or a service that is named already.
        if not any("ingress" in _modes_of(service, port) for service in services):
            own = _nodes_with_own_replica(services, tasks, port)
            unused = {name: node for name, node in dedicated.items() if node["ID"] not in own}
            yield from _used_on_nodes(engine, variable, port, _answering(unused, port), others, holders)


def _way_on(cache: LiveCache, caches: t.Sequence[LiveCache]) -> str:
    """Return what to do with a service that is this very cache, and may have other caches beside it in its stack."""
    beside = [each.full_name for each in caches if each.stack == cache.stack and each != cache]
    if not cache.stack:
        return (
            f". It is this cache, made without a stack ({cache.signs}): remove it right before the deployment, with "
            f"docker service rm {cache.full_name}"
        )
    if beside:
        return (
            f". It is this cache ({cache.signs}), and its stack {cache.stack} also has {', '.join(beside)}, while a "
            "cache needs a stack of its own: remove it right before the deployment, with docker service rm "
            f"{cache.full_name}. Its accounts stay, and cannot pull in between"
        )
    return (
        f". It is this cache in another stack ({cache.signs}): keep that stack with dtr_cache_stack_name: "
        f"{cache.stack}, or let the deployment replace it with dtr_cache_former_stack_names: [{cache.stack}]. Its "
        "accounts stay with both"
    )


def _answering(nodes: Nodes, port: int) -> dict[str, Raw]:
    """Return the nodes on which something answers at the port."""
    with concurrent.futures.ThreadPoolExecutor(max_workers=16) as pool:
        answers = pool.map(lambda node: _answers(str(node["Status"].get("Addr", "")), port), nodes.values())
        return {name: node for (name, node), answer in zip(nodes.items(), answers) if answer}


def _answers(address: str, port: int) -> bool:
    try:
        with socket.create_connection((address, port), timeout=SECONDS_TO_CONNECT):
            return True
    except OSError:
        return False


def _used_on_nodes(
    engine: Engine, variable: str, port: int, nodes: Nodes, services: t.Iterable[Raw], said: t.Container[str]
) -> t.Iterator[str]:
    """Yield what has the port on these nodes, but for services of which it is said already."""
    by_id = {service["ID"]: service for service in services}
    holders: dict[str, set[str]] = {}
    for task in engine.all_tasks() if nodes else ():
        service = by_id.get(task["ServiceID"])
        if service and (port in _ports_of(task) or "host" in _modes_of(service, port)):
            holders.setdefault(task.get("NodeID", ""), set()).add(_named(service))
    for name, node in nodes.items():
        known = holders.get(node["ID"], set())
        new = " and ".join(sorted(holder for holder in known if holder not in said))
        if not known or new:
            what = new or (
                "something that is not this cache and no service of the Swarm, such as a container or a program "
                f"(there: docker ps --filter publish={port}; ss -ltnp 'sport = :{port}')"
            )
            yield f"{variable}: {port} is in use on node {name} by {what}"


def _named(service: Raw) -> str:
    stack = stack_and_name(service)[0]
    return f"service {service['Spec']['Name']}{f' of stack {stack}' if stack else ''}"


def _nodes_with_own_replica(services: t.Sequence[Raw], tasks: t.Sequence[Raw], port: int) -> set[str]:
    """Return the ids of the nodes on which a replica of the cache holds the port, also one that is ending."""
    publishing = {service["ID"] for service in services if _modes_of(service, port)}
    return {
        task["NodeID"]
        for task in tasks
        if task.get("NodeID")
        and (task["Status"]["State"] not in ENDED or _is_ending(task))
        and (task["ServiceID"] in publishing or port in _ports_of(task))
    }


def _is_ending(task: Raw) -> bool:
    """Check whether a container may still run although Swarm calls its task ended.

    Swarm does so at once when the node loses the label (swarmkit's manager/orchestrator/constraintenforcer).
    """
    status = task["Status"]
    if "no longer meets constraints" not in status.get("Err", ""):
        return False
    grace = (task["Spec"]["ContainerSpec"].get("StopGracePeriod") or 0) / 10**9
    return time.time() < since_1970(status["Timestamp"]) + grace + SECONDS_TO_LET_GO


def _ports_of(task: Raw) -> set[int]:
    """Return the ports of the node that a task has, also where its service has changed or is gone."""
    return {item.get("PublishedPort", 0) for item in (task["Status"].get("PortStatus") or {}).get("Ports") or []}


def _modes_of(service: Raw, port: int) -> set[str]:
    """Return the modes (C(ingress), C(host)) in which a service publishes a port."""
    published = (service.get("Endpoint") or {}).get("Ports") or []
    return {item["PublishMode"] for item in published if item.get("PublishedPort") == port}
