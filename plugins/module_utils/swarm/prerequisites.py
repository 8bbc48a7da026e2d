# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What must be true of a Swarm before a cache is deployed to it, as sentences about what is not."""

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
from .model import IMAGE_LABEL, NAMESPACE_LABEL, Raw, by_host_name
from .verdict import ENDED, node_obstacle, since_1970

SECONDS_TO_CONNECT = 2
# From the end of the time that a container has to end by itself until its port is free.
SECONDS_TO_LET_GO = 10
# What the modules need on the host they run on, and the package of Debian and Ubuntu that brings it.
MODULES_NEEDED = {"docker": "python3-docker", "jsondiff": "python3-jsondiff", "yaml": "python3-yaml (PyYAML)"}
COMMAND_PACKAGE = "docker-ce-cli (Debian's own: docker-cli)"
# What registries say of an image that is not theirs, or not for everybody.
_REFUSED = re.compile(
    r"manifest unknown|name unknown|no such manifest|repository \S+ not found|: not found\b|denied|unauthorized"
    r"|no basic auth credentials",
    re.IGNORECASE,
)
_NO_SUCH_QUESTION = "page not found"


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
        host: The public host name of the cache, by which it is told from other caches.
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


def preflight_problems(engine: Engine, wanted: WantedService | None, warn: t.Callable[[str], None]) -> list[str]:
    """Everything that stands against a deployment from here: requirements, the manager, and the Swarm when it is asked.

    Args:
        engine: The Engine that is to be a manager's.
        wanted: What is to be deployed, or C(None) where only the manager counts.
        warn: Takes a sentence about what is only worth knowing.
    """
    problems = missing_requirements()
    if problems and DOCKER_IMPORT_ERROR:
        # There is no way to the Engine; what is said of the requirements is all that can be.
        return problems
    try:
        engine.require_manager()
    except Failure as failure:
        return [*problems, failure.as_result()["msg"]]
    return problems + (swarm_problems(engine, wanted, warn) if wanted else [])


def swarm_problems(engine: Engine, wanted: WantedService, warn: t.Callable[[str], None]) -> list[str]:
    """Everything in the Swarm that stands against a deployment."""
    stack_name = wanted.stack_name
    present = by_host_name(engine.nodes().values())
    services = engine.all_services()
    configs = engine.configs()
    own_services = {stack_and_name(service)[1]: service for service in services if _stack_of(service) == stack_name}
    dedicated = {name: present[name] for name in wanted.nodes if name in present}
    ports = [Port("dtr_cache_port", wanted.port, wanted.publish_mode)]
    if wanted.metrics_port:
        ports.append(Port("dtr_cache_metrics_port", wanted.metrics_port, "host"))
    by_stack = {name: [each for each in services if _stack_of(each) == name] for name in wanted.former_stacks}
    former = {name: found for name, found in by_stack.items() if found}
    tasks = [task for name in (stack_name, *former) for task in engine.tasks_of(name)]
    others = [service for service in services if _stack_of(service) not in (stack_name, *former)]
    own = own_services.get(cache_service(stack_name, own_services, configs, wanted.image, wanted.port))
    neighbours = [*others, *(service for service in own_services.values() if service is not own)]
    placement = shared_placement(present, wanted.nodes, wanted.node_label, neighbours, stack_name)
    # What runs elsewhere, and accounts may pull from, must not move; what is placed so already stays as it is.
    moves = own is not None and wanted.node_label not in node_labels_of(own["Spec"])
    if placement and not moves:
        warn(f"{placement}.")
    caches = live_caches(others, configs, wanted.image)
    same = {
        cache.full_name: (cache, [each.full_name for each in caches if each.stack == cache.stack and each != cache])
        for cache in caches
        if cache.is_of(wanted.host)
    }
    return [
        *unknown_nodes(wanted.nodes, present),
        *nodes_not_ready(dedicated),
        *([placement] if placement and moves else []),
        *too_large_reservations(dedicated, wanted.replicas, wanted.reservations),
        *missing_volume_driver(dedicated, wanted.volume_driver),
        *stack_problems(stack_name, own_services, configs, wanted.image, wanted.port),
        *(
            problem
            for name, found in former.items()
            for problem in former_problems(name, found, configs, wanted.image, wanted.host, wanted.port)
        ),
        *(
            problem
            for port in ports
            for problem in port_problems(engine, services, tasks, dedicated, port, others, same)
        ),
        *image_problems(engine, services, wanted, configs, warn),
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


def image_problems(
    engine: Engine,
    services: t.Sequence[Raw],
    wanted: WantedService,
    configs: t.Mapping[str, Raw],
    warn: t.Callable[[str], None],
) -> list[str]:
    """Why no node could pull the image. Its registry is asked only where Docker will ask it to change the image."""
    if wanted.resolve_image == "never" or not wanted.image or _has_image(services, wanted, configs):
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


def _has_image(services: t.Iterable[Raw], wanted: WantedService, configs: t.Mapping[str, Raw]) -> bool:
    """Whether the cache's service runs with the image already, so that Docker leaves it as it is."""
    stack = wanted.stack_name
    own = {stack_and_name(service)[1]: service for service in services if _stack_of(service) == stack}
    live = own.get(cache_service(stack, own, configs, wanted.image, wanted.port))
    spec: Raw = live["Spec"] if live else {}
    if not spec:
        return False
    noted = (spec.get("Labels") or {}).get(IMAGE_LABEL) or spec["TaskTemplate"]["ContainerSpec"]["Image"]
    with_digest = "@" in wanted.image
    return shown_image(noted, with_digest=with_digest) == shown_image(wanted.image, with_digest=with_digest)


class Port(t.NamedTuple):
    """A port that the cache publishes: the variable that sets it, and V(ingress) or V(host)."""

    variable: str
    number: int
    mode: str


Same = t.Mapping[str, "tuple[LiveCache, t.Sequence[str]]"]
"""Services that may be this cache, by their full names, each with the other caches of its stack."""


def port_problems(
    engine: Engine,
    services: t.Sequence[Raw],
    tasks: t.Sequence[Raw],
    dedicated: t.Mapping[str, t.Mapping[str, t.Any]],
    port: Port,
    others: t.Sequence[Raw],
    same: Same,
) -> list[str]:
    """What has the port already, in the Swarm or on the nodes.

    Args:
        engine: The manager's Engine.
        services: All services.
        tasks: The tasks of the cache, those of its former stacks as well.
        dedicated: The nodes of the cache.
        port: The port.
        others: The services that are not the cache's, nor of a stack that it replaces.
        same: Of these those that may be the same cache.
    """
    own = _nodes_with_own_replica(services, tasks, port.number)
    unused = {name: node for name, node in dedicated.items() if node["ID"] not in own}
    # Where a service has it in the mesh, every node answers: the cache itself, or one that is named anyway.
    in_mesh = any("ingress" in _modes_of(service, port.number) for service in services)
    taken = {} if in_mesh else nodes_in_use(unused, port.number)
    holders = port_holders(others, port, same)
    on_nodes = ports_in_use(taken, port, others, engine.all_tasks(), holders) if taken else []
    return [*holders.values(), *on_nodes]


def port_holders(services: t.Iterable[Raw], port: Port, same: Same) -> dict[str, str]:
    """A sentence each for other services that publish the port: through the routing mesh it is taken on every node."""
    problems = {}
    for service in services:
        modes = _modes_of(service, port.number)
        cache, beside = same.get(service["Spec"]["Name"], (None, []))
        # On other nodes, one that says nothing of its host may be another cache.
        is_this = cache is not None and bool(modes) and (bool(cache.url) or port.mode == "ingress")
        if "ingress" in modes or (modes and port.mode == "ingress") or is_this:
            ways = _ways_on(cache, beside) if cache else ""
            name = _named(service)
            problems[name] = f"{port.variable}: {port.number} is published by {name} already{ways}"
    return problems


def _ways_on(cache: LiveCache, beside: t.Sequence[str]) -> str:
    """What to do with a service that is this very cache, and may have other caches beside it in its stack."""
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


def nodes_in_use(nodes: t.Mapping[str, t.Mapping[str, t.Any]], port: int) -> dict[str, t.Mapping[str, t.Any]]:
    """Nodes on which something answers at the port, of those where no replica of the cache runs."""
    with concurrent.futures.ThreadPoolExecutor(max_workers=16) as pool:
        answers = pool.map(lambda node: _answers(str(node["Status"].get("Addr", "")), port), nodes.values())
        return {name: node for (name, node), answer in zip(nodes.items(), answers) if answer}


def ports_in_use(
    nodes: t.Mapping[str, t.Mapping[str, t.Any]],
    port: Port,
    services: t.Iterable[Raw],
    tasks: t.Iterable[Raw],
    said: t.Container[str],
) -> list[str]:
    """What has the port on these nodes, where the Swarm knows it, but for services of which it is said already."""
    by_id = {service["ID"]: service for service in services}
    holders: dict[str, set[str]] = {}
    for task in tasks:
        service = by_id.get(task["ServiceID"])
        if service and (port.number in _ports_of(task) or "host" in _modes_of(service, port.number)):
            holders.setdefault(task.get("NodeID", ""), set()).add(_named(service))
    problems = []
    for name, node in nodes.items():
        known = holders.get(node["ID"], set())
        new = " and ".join(sorted(holder for holder in known if holder not in said))
        if known and not new:
            continue
        what = new or (
            "something that is not this cache and no service of the Swarm, such as a container or a program (there: "
            f"docker ps --filter publish={port.number}; ss -ltnp 'sport = :{port.number}')"
        )
        problems.append(f"{port.variable}: {port.number} is in use on node {name} by {what}")
    return problems


def _named(service: Raw) -> str:
    stack = _stack_of(service)
    return f"service {service['Spec']['Name']}{f' of stack {stack}' if stack else ''}"


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


def nodes_not_ready(nodes: t.Mapping[str, t.Mapping[str, t.Any]]) -> list[str]:
    """Nodes on which Swarm would start nothing."""
    obstacles = filter(None, map(node_obstacle, nodes.values()))
    return [f"dtr_cache_nodes: {obstacle.words}; {obstacle.fix}" for obstacle in obstacles]


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


def shared_placement(
    nodes: t.Mapping[str, Raw], wanted: t.Container[str], label: str, others: t.Iterable[Raw], stack: str
) -> str:
    """A sentence where Swarm may place a cache on nodes that it is not to have, as another service needs their label.

    Args:
        nodes: The nodes of the Swarm by their host names.
        wanted: The host names of the nodes that it is to have.
        label: The label of its nodes.
        others: The services that are not this cache's.
        stack: Its stack.
    """
    sharing = sorted(
        service["Spec"]["Name"] for service in others if label and label in node_labels_of(service["Spec"])
    )
    shared = sorted(
        name for name, node in nodes.items() if name not in wanted and label in (node["Spec"].get("Labels") or {})
    )
    if not sharing or not shared:
        return ""
    return (
        f"dtr_cache_nodes: Swarm may put the cache on {', '.join(shared)} as well: label {label} is there, and "
        f"{', '.join(sharing)} needs it. Give this cache a label of its own, such as dtr_cache_node_label: "
        f"{label}.{stack}, or name {'this node' if len(shared) == 1 else 'these nodes'} in dtr_cache_nodes"
    )
