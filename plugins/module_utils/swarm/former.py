# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stacks that were this cache before: how the new stack takes their place, and what of them goes. Pure functions.

Swarm cannot rename a stack, and gives a port of the routing mesh to one service alone. A port of a node's own it gives
to the next replica that waits for it: so one replica of the former stack is ended after the other, and in the place of
each comes one of the new stack. Commands are arguments of Docker's command.
"""

from __future__ import annotations

import dataclasses
import typing as t

from .live_cache import VENDOR_LABELS, LiveCache, cache_service, live_cache, live_caches, mode_problem, node_labels_of
from .model import Raw, Swarm
from .plan import Plan, WantedStack, plan_label, plan_removal
from .views import Port, live_ports, ports

Command = list[str]

HOST, INGRESS = "host", "ingress"


class Move(t.NamedTuple):
    """How the new service takes the place of the former ones.

    Args:
        former: The full names of the former services.
        release: What is done before the new service is deployed, as it cannot be while they have the port.
        hand_over: What is done one after the other once it is, each when the replicas that have room run.
        undo: What brings the former services back where the new one does not run.
    """

    former: list[str]
    release: list[Command]
    hand_over: list[Command]
    undo: list[Command]


def former_problems(
    stack: str, services: t.Sequence[Raw], configs: t.Mapping[str, Raw], image: str, host: str, port: int
) -> list[str]:
    """Why a stack is not replaced, although it is named as one that was this cache."""
    caches = {cache.full_name: cache for cache in live_caches(services, configs, image)}
    others = sorted(service["Spec"]["Name"] for service in services if service["Spec"]["Name"] not in caches)
    said = f"dtr_cache_former_stack_names: stack {stack} is not replaced"
    if others:
        return [
            f"{said}, as it also has what is no content cache: {', '.join(others)}. Replacing it would remove them: "
            f"keep that stack with dtr_cache_stack_name: {stack}"
        ]
    own = [cache.full_name for cache in caches.values() if cache.is_of(host) and _may_have(cache, port)]
    beside = [name for name in caches if name not in own]
    if own and beside:
        return [
            f"{said}, as it also has {', '.join(beside)}, which is another cache: leave the stack out, and remove this "
            f"cache right before the deployment, with docker service rm {' '.join(own)}. Its accounts stay, and cannot "
            "pull in between"
        ]
    problems = [f"{said}: {mode}" for mode in map(mode_problem, services) if mode]
    for cache in caches.values():
        if not cache.is_of(host):
            problems.append(f"{said}: it is the cache of {cache.url}, and not of {host}; leave it out")
        elif not _may_have(cache, port):
            theirs = ", ".join(str(each.published) for each in cache.ports)
            problems.append(
                f"{said}: it publishes port {theirs}, and not {port}. Accounts would be sent to neither for a while: "
                "move the stack first, with the port that it has in dtr_cache_port, and change the port afterwards"
            )
    return problems


def _may_have(cache: LiveCache, port: int) -> bool:
    """Whether a cache has this port, or has given it up already."""
    return not cache.ports or cache.publishes(port)


def with_former(made: Plan, swarm: Swarm, wanted: WantedStack) -> Plan:
    """The plan with the steps that come last: what is left of former stacks goes, and labels that nothing goes by."""
    for stack, former in swarm.former.items():
        past = dataclasses.replace(
            swarm,
            services=dict(former.services),
            networks=dict(former.networks),
            tasks=(),
            other_services=[*swarm.other_services, *swarm.services.values()],
        )
        service = cache_service(stack, former.services, swarm.configs, "")
        nothing = WantedStack(
            stack,
            node_labels={},
            configs=(),
            secrets=(),
            definition={},
            service=service,
            host=wanted.host,
            public_port=wanted.public_port,
            port=wanted.port,
        )
        declared = (wanted.definition.get("services") or {}).get(wanted.service) or {}
        gone = plan_removal(past, nothing, str(declared.get("image") or ""))
        made.left.extend(gone.left)
        made.steps.extend({**step, "stack": stack} for step in gone.steps)
        for side, addition in ((made.before, gone.before), (made.after, gone.after)):
            for kind, items in addition.items():
                side.setdefault(kind, {}).update(items)
    running = [stack for stack, former in swarm.former.items() if former.services]
    if running:
        # Replicas of the former stack may be placed by the same label, and serve until they are replaced.
        for step in made.steps:
            if (step["kind"], step["action"]) == ("node_label", "remove"):
                step.setdefault("stack", running[0])
    for label in sorted(_outdated_labels(made, swarm, wanted)):
        for node in sorted(swarm.nodes):
            if plan_label(made, swarm, node, label, None):
                made.steps[-1]["stack"] = next(iter(swarm.former), wanted.name)
    # In the order in which they are done.
    made.steps.sort(key=lambda step: "stack" in step)
    return made


def move(swarm: Swarm, wanted: WantedStack) -> Move | None:
    """How the new service takes the place of the former ones; None where none is left."""
    declared = (wanted.definition.get("services") or {}).get(wanted.service)
    found = [
        (live_cache(service, swarm.configs), service)
        for former in swarm.former.values()
        for service in former.services.values()
    ]
    if not found or not declared:
        return None
    own = {port.published: port for port in ports(declared)}
    begun = wanted.service in swarm.services
    result = Move([cache.full_name for cache, _service in found], [], [], [["service", "rm", wanted.full_name]])
    for cache, service in found:
        shared = [port for port in cache.ports if port.published in own]
        modes = {port.mode for port in shared}
        replicas = _replicas(service["Spec"])
        again = _begin_again(service, cache, begun=begun)
        of_mesh = [port for port in shared if port.mode == INGRESS]
        if modes == {HOST} and all(own[port.published].mode == HOST for port in shared):
            result.hand_over.extend(_scale(cache, number) for number in reversed(range(replicas)))
            result.undo.append(again)
        elif HOST in modes:
            # Swarm keeps the port of a node for a service that gives it up, as long as its replicas are there.
            result.release.append(_scale(cache, 0))
            result.undo.append(again)
        if of_mesh:
            given_up = [option for port in of_mesh for option in ("--publish-rm", str(port.target))]
            result.release.append(_update(cache, *given_up))
        taken = [*of_mesh, *_lost_ports(service, cache, own)]
        if taken:
            taken_back = [option for port in taken for option in ("--publish-add", _published(port))]
            result.undo.append(_update(cache, *taken_back))
    return result


def _replicas(spec: Raw) -> int:
    """Return how many replicas a service is to have."""
    return int(((spec.get("Mode") or {}).get("Replicated") or {}).get("Replicas") or 0)


def _begin_again(service: Raw, cache: LiveCache, *, begun: bool) -> Command:
    """What brings the replicas back, also those that a run which was interrupted has ended."""
    replicas = _replicas(service["Spec"])
    before = _replicas(service.get("PreviousSpec") or {})
    return _scale(cache, max(replicas, before) if begun or replicas == 0 else replicas)


def _lost_ports(service: Raw, cache: LiveCache, own: t.Container[int]) -> list[Port]:
    """The ports that such a run has taken from a service, of those that the new one is to have."""
    given = {port.published for port in cache.ports}
    before = live_ports(service.get("PreviousSpec") or {})
    return [port for port in before if port.published in own and port.published not in given]


def _outdated_labels(made: Plan, swarm: Swarm, wanted: WantedStack) -> set[str]:
    """Labels of the documents by which this cache was placed, and nothing is any more, not even after a rollback."""
    own = {label for labels in wanted.node_labels.values() for label in labels}
    if not own:
        return set()
    past: set[str] = set(VENDOR_LABELS) if wanted.former_stacks else set()
    live = swarm.services.get(wanted.service) or {}
    if any(step["kind"] == "service" and step["name"] == wanted.full_name for step in made.steps):
        # The update forgets the version before the running one.
        past |= set(node_labels_of(live.get("PreviousSpec") or {})) - set(node_labels_of(live.get("Spec") or {}))
    elif live:
        past -= set(node_labels_of(live.get("PreviousSpec") or {}))
    for service in (*swarm.other_services, live):
        past -= set(node_labels_of(service.get("Spec") or {}))
    return (past & set(VENDOR_LABELS)) - own


def _published(port: Port) -> str:
    return f"published={port.published},target={port.target},protocol={port.protocol},mode={port.mode}"


def _scale(cache: LiveCache, replicas: int) -> Command:
    return ["service", "scale", "--detach", f"{cache.full_name}={replicas}"]


def _update(cache: LiveCache, *options: str) -> Command:
    return ["service", "update", "--detach", *options, cache.full_name]
