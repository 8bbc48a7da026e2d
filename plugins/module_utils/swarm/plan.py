# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps from what a live Swarm has to what is wanted. Pure functions."""

from __future__ import annotations

import dataclasses
import typing as t

from ..common.failure import Failure
from .live_cache import SERVICE, LiveCache, is_ours, node_labels_of, own_caches
from .model import IMAGE_LABEL, NAMESPACE_LABEL, Raw, Swarm
from .objects import HandMade, hand_made_objects, superseded, used_by_others, used_objects
from .views import View, comparable_sides, different, kept_volumes, live_service, shown_sides, to_update, two_views

# The code of a failure: the stack is that of another cache.
OTHER_CACHE = "OTHER_CACHE"


@dataclasses.dataclass(frozen=True)
class WantedStack:
    """What should be there: node labels by host name, names of configs and secrets, and the stack's definition.

    C(keep_versions) is how many superseded objects of each file stay for a rollback, C(service) the name of the
    service that is the cache, and C(former_stacks) the names of stacks that were this cache before. By C(host), its
    public host name, C(public_port) and C(port), which it publishes, a removal tells it from another cache.
    """

    name: str
    node_labels: t.Mapping[str, t.Mapping[str, str]]
    configs: t.Sequence[str]
    secrets: t.Sequence[str]
    definition: t.Mapping[str, t.Any]
    keep_versions: int = 2
    service: str = SERVICE
    former_stacks: t.Sequence[str] = ()
    host: str = ""
    public_port: int = 0
    port: int = 0

    @property
    def full_name(self) -> str:
        """The name of the service as Docker's command shows it."""
        return f"{self.name}_{self.service}"


@dataclasses.dataclass(frozen=True)
class Plan:
    """Steps in the order in which they must be done, and the two sides of the diff (differences only).

    C(kept_images) are services whose image C(docker stack deploy) would keep, as it goes by a label that still names
    the wanted one; it takes it from the definition with C(--resolve-image always). C(unlabelled) are the nodes that
    lose a label although nobody named them, C(taken_over) what somebody made by hand and is updated,
    C(kept_volumes) what Docker does not change, and C(left) the services of a removed cache's stack that stay.
    """

    steps: list[dict[str, str]] = dataclasses.field(default_factory=list)
    before: dict[str, t.Any] = dataclasses.field(default_factory=dict)
    after: dict[str, t.Any] = dataclasses.field(default_factory=dict)
    kept_images: list[str] = dataclasses.field(default_factory=list)
    unlabelled: list[str] = dataclasses.field(default_factory=list)
    taken_over: list[str] = dataclasses.field(default_factory=list)
    kept_volumes: list[str] = dataclasses.field(default_factory=list)
    left: list[str] = dataclasses.field(default_factory=list)

    def diff(self) -> dict[str, t.Any]:
        """The diff in Ansible's form."""
        return {"before": self.before, "after": self.after}


def plan(swarm: Swarm, wanted: WantedStack) -> Plan:
    """The steps that make the Swarm what is wanted; none when it is already.

    Raises:
        Failure: C(UNKNOWN_NODE) when a wanted node is not in the Swarm, naming all of them; C(INVALID_INPUT) for a
            definition that Docker would not take.
    """
    unknown = sorted(set(wanted.node_labels) - set(swarm.nodes))
    if unknown:
        raise Failure(
            "UNKNOWN_NODE",
            f"The Swarm has no node {', '.join(unknown)}.",
            hint=f"Its nodes are {', '.join(sorted(swarm.nodes))}.",
        )
    result = Plan()
    for node, labels in wanted.node_labels.items():
        for label, value in labels.items():
            plan_label(result, swarm, node, label, value)
    others = [service for name, service in swarm.services.items() if name != wanted.service]
    own_labels = sorted(_own_labels([*swarm.other_services, *others], wanted))
    for node in sorted(set(swarm.nodes) - set(wanted.node_labels)):
        for label in own_labels:
            if plan_label(result, swarm, node, label, None):
                result.unlabelled.append(node)
    for name in wanted.configs:
        _plan_object(result, "config", name, swarm.configs, present=True)
    for name in wanted.secrets:
        _plan_object(result, "secret", name, swarm.secrets, present=True)
    files: set[str] = set()
    for name, service in (wanted.definition.get("services") or {}).items():
        live = swarm.services.get(name)
        before, after = two_views(wanted.name, name, live, wanted.definition, swarm.network_names)
        files |= {place.rpartition("/")[2] for kind in ("configs", "secrets") for place in after.get(kind) or {}}
        differs = _plan_service(result, f"{wanted.name}_{name}", before, after)
        if live and differs and not is_ours(wanted.name, live):
            result.taken_over.append(f"{wanted.name}_{name}")
        result.kept_volumes.extend(kept_volumes(wanted.name, name, live, wanted.definition))
        if live and before.get("image") != after.get("image") and _noted_image(live) == service["image"]:
            result.kept_images.append(name)
    if wanted.configs or wanted.secrets:
        updated = {step["name"] for step in result.steps if step["kind"] == "service"}
        in_use = used_by_others(swarm)
        for name, live in swarm.services.items():
            # An update makes of what runs now the version to go back to, and forgets the one before.
            in_use |= used_objects(live, previous=f"{wanted.name}_{name}" not in updated)
        _plan_superseded(result, swarm, wanted, in_use, files, [wanted.service])
    return result


def plan_removal(swarm: Swarm, wanted: WantedStack, image: str = "") -> Plan:
    """The steps after which nothing of a cache is left: services, networks, configs, secrets, labels of its nodes.

    The stack goes as a whole where it has nothing else. Otherwise the steps of its services have C(alone), and what
    other services use stays.

    Raises:
        Failure: C(OTHER_CACHE) when the stack has content caches, and none of them is this one.
    """
    result = Plan()
    own, others = own_caches(
        wanted.name,
        swarm.services,
        swarm.configs,
        host=wanted.host,
        public_port=wanted.public_port,
        port=wanted.port,
        image=image,
    )
    if others and not own:
        raise _other_cache(wanted, others)
    rest = {name: service for name, service in swarm.services.items() if name not in own}
    result.left.extend(f"{wanted.name}_{name}" for name in sorted(rest))
    outside = dataclasses.replace(swarm, other_services=[*swarm.other_services, *rest.values()])
    in_use = used_by_others(outside)
    labelled = {
        name
        for existing in (swarm.configs, swarm.secrets)
        for name, item in existing.items()
        if (item["Spec"].get("Labels") or {}).get(NAMESPACE_LABEL) == wanted.name
    }
    for name in own:
        _plan_service(result, f"{wanted.name}_{name}", live_service(swarm.services[name]["Spec"]), None)
        if rest or labelled & in_use:
            # Docker's removal of a stack would take what stays, or fail at it.
            result.steps[-1]["alone"] = "yes"
    attached = {network for service in outside.other_services for network in _networks_of(service)}
    of_own = {network for name in own for network in _networks_of(swarm.services[name])}
    for name, network in sorted(swarm.networks.items()):
        if not rest or network.get("Id") in of_own - attached:
            _plan_object(result, "network", name, swarm.networks, present=False)
    everything = dataclasses.replace(wanted, configs=(), secrets=(), keep_versions=0)
    _plan_superseded(result, swarm, everything, in_use, (), own)
    own_labels = _own_labels(outside.other_services, wanted)
    for node, labels in wanted.node_labels.items():
        for label in labels:
            if node in swarm.nodes and label in own_labels:
                plan_label(result, swarm, node, label, None)
    return result


def _other_cache(wanted: WantedStack, others: t.Iterable[LiveCache]) -> Failure:
    """A name that is wrong, or is another cache's by now, must not end that one's pulls."""
    wrong = [
        f"{cache.full_name} is the cache of {cache.url}"
        if cache.url
        else f"{cache.full_name} publishes port {', '.join(str(port.published) for port in cache.ports)}"
        for cache in others
    ]
    port = f":{wanted.public_port}" if wanted.public_port else ""
    behind = f" and publishes port {wanted.port}" if wanted.port not in (0, wanted.public_port) else ""
    return Failure(
        OTHER_CACHE,
        f"Stack {wanted.name} is not removed: {'; '.join(wrong)}. This cache has https://{wanted.host}{port}{behind}.",
        hint="Check dtr_cache_host, dtr_cache_port, dtr_cache_public_port, dtr_cache_stack_name and "
        "dtr_cache_former_stack_names. If it is this cache, set them to what it has. If the stack of this cache is "
        "gone already, set dtr_cache_stack_name to a name that no stack has. Then run the removal again.",
    )


def _networks_of(service: Raw) -> set[str]:
    """The networks that a service is attached to, or would be after a rollback, by id or name."""
    specs = (service["Spec"], service.get("PreviousSpec") or {})
    lists = [part.get("Networks") or [] for spec in specs for part in (spec, spec.get("TaskTemplate") or {})]
    return {str(network.get("Target") or "") for networks in lists for network in networks}


def _plan_superseded(
    result: Plan,
    swarm: Swarm,
    wanted: WantedStack,
    in_use: t.Container[str],
    files: t.Collection[str],
    caches: t.Collection[str],
) -> None:
    """Remove the outdated configs and secrets: those of earlier deployments, and what somebody made by hand."""
    for kind, existing, names in (
        ("config", swarm.configs, wanted.configs),
        ("secret", swarm.secrets, wanted.secrets),
    ):
        by_hand = HandMade(hand_made_objects(swarm, wanted.name, caches, f"{kind}s"), files)
        for name in superseded(existing, wanted.name, names, wanted.keep_versions, in_use, by_hand):
            _plan_object(result, kind, name, existing, present=False)


def _noted_image(live: Raw) -> str | None:
    return (live["Spec"].get("Labels") or {}).get(IMAGE_LABEL)


def _own_labels(others: t.Iterable[Raw], wanted: WantedStack) -> set[str]:
    """The wanted labels that no other service's placement asks for; one that keeps away from them loses nothing."""
    labels = {label for labels in wanted.node_labels.values() for label in labels}
    return labels.difference(*(node_labels_of(service["Spec"]) for service in others))


def plan_label(result: Plan, swarm: Swarm, node: str, label: str, value: str | None) -> bool:
    """A label that a node must have with this value, or must not have; returns whether there is something to do."""
    present = (swarm.nodes[node]["Spec"].get("Labels") or {}).get(label)
    if present == value:
        return False
    action, detail = ("remove", label) if value is None else ("set", f"{label}={value}")
    step = {"kind": "node_label", "action": action, "name": node, "detail": detail, "id": swarm.nodes[node]["ID"]}
    result.steps.append(step)
    result.before.setdefault("node_labels", {}).setdefault(node, {})[label] = present
    result.after.setdefault("node_labels", {}).setdefault(node, {})[label] = value
    return True


def _plan_object(result: Plan, kind: str, name: str, existing: t.Container[str], *, present: bool) -> None:
    if (name in existing) == present:
        return
    result.steps.append({"kind": kind, "action": "create" if present else "remove", "name": name, "detail": ""})
    states = ("absent", "present") if present else ("present", "absent")
    for side, state in zip((result.before, result.after), states):
        side.setdefault(f"{kind}s", {})[name] = state


def _plan_service(result: Plan, name: str, before: View | None, after: View | None) -> bool:
    """A service that must be so; returns whether there is something to do."""
    differing = different(before or {}, after or {})
    if not to_update(before or {}, after or {}):
        return False
    action = "update" if before and after else "create" if after else "remove"
    detail = ", ".join(differing) if action == "update" else ""
    result.steps.append({"kind": "service", "action": action, "name": name, "detail": detail})
    sides = comparable_sides(*shown_sides(before or None, after or None))
    for side, view, shown in zip((result.before, result.after), (before, after), sides):
        side.setdefault("services", {})[name] = shown if view else "absent"
    return True
