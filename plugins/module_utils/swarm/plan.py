# Copyright: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Planning a stack: what a live Swarm has, what is wanted, and the steps from the one to the other. Pure functions.

Both sides are brought into one form, the view: a mapping of what a person would compare (image, ports, replicas, …).
A key stands in a view only when it says something, and with what the Engine does where nothing is said, so that two
equal services have equal views.
"""

from __future__ import annotations

import dataclasses
import typing as t

from ..common.failure import Failure
from . import compose
from .compose import byte_size, duration
from .model import NAMESPACE_LABEL, Raw, Swarm

View = dict[str, t.Any]

# The labels by which configs and secrets of a stack are known, and which file of the deployment each one is.
STACK_LABEL = "dtr.cache.stack"
FILE_LABEL = "dtr.cache.file"

# Where docker stack deploy notes the image of the definition.
IMAGE_LABEL = "com.docker.stack.image"

# What the Engine does where nothing is said.
SECOND = 10**9
RESTART_DELAY = 5 * SECOND
MONITOR = 5 * SECOND
GRACE_PERIOD = 10 * SECOND


@dataclasses.dataclass(frozen=True)
class WantedStack:
    """What should be there: node labels by host name, names of configs and secrets, and the stack's definition.

    C(keep_versions) is how many superseded objects of each file stay for a rollback.
    """

    name: str
    node_labels: t.Mapping[str, t.Mapping[str, str]]
    configs: t.Sequence[str]
    secrets: t.Sequence[str]
    definition: t.Mapping[str, t.Any]
    keep_versions: int = 2


@dataclasses.dataclass(frozen=True)
class Plan:
    """Steps in the order in which they must be done, and the two sides of the diff (differences only).

    C(kept_images) are services whose image C(docker stack deploy) would keep, as it goes by a label that still names
    the wanted one; it takes it from the definition when it is told to resolve images always.
    """

    steps: list[dict[str, str]] = dataclasses.field(default_factory=list)
    before: dict[str, t.Any] = dataclasses.field(default_factory=dict)
    after: dict[str, t.Any] = dataclasses.field(default_factory=dict)
    kept_images: list[str] = dataclasses.field(default_factory=list)

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
            _plan_label(result, swarm, node, label, value)
    own_labels = sorted(_own_labels(swarm, wanted))
    for node in sorted(set(swarm.nodes) - set(wanted.node_labels)):
        for label in own_labels:
            _plan_label(result, swarm, node, label, None)
    for name in wanted.configs:
        _plan_object(result, "config", name, swarm.configs, present=True)
    for name in wanted.secrets:
        _plan_object(result, "secret", name, swarm.secrets, present=True)
    for name, service in (wanted.definition.get("services") or {}).items():
        live = swarm.services.get(name)
        before, after = _two_views(wanted.name, name, live, wanted.definition)
        _plan_service(result, f"{wanted.name}_{name}", before, after)
        if live and before["image"] != after["image"] and _noted_image(live) == service["image"]:
            result.kept_images.append(name)
    if wanted.configs or wanted.secrets:
        updated = {step["name"] for step in result.steps if step["kind"] == "service"}
        in_use = _used_by_others(swarm)
        for name, live in swarm.services.items():
            # An update makes of what runs now the version to go back to, and forgets the one before.
            in_use |= used_objects(live, previous=f"{wanted.name}_{name}" not in updated)
        for name in _outdated(swarm.configs, wanted.name, wanted.configs, wanted.keep_versions, in_use):
            _plan_object(result, "config", name, swarm.configs, present=False)
        for name in _outdated(swarm.secrets, wanted.name, wanted.secrets, wanted.keep_versions, in_use):
            _plan_object(result, "secret", name, swarm.secrets, present=False)
    return result


def plan_removal(swarm: Swarm, wanted: WantedStack) -> Plan:
    """The steps after which nothing of a stack is left: services, networks, configs, secrets, labels of its nodes."""
    result = Plan()
    for name, live in swarm.services.items():
        _plan_service(result, f"{wanted.name}_{name}", live_service(live["Spec"]), None)
    for name in sorted(swarm.networks):
        _plan_object(result, "network", name, swarm.networks, present=False)
    in_use = _used_by_others(swarm)
    for name in _outdated(swarm.configs, wanted.name, (), 0, in_use):
        _plan_object(result, "config", name, swarm.configs, present=False)
    for name in _outdated(swarm.secrets, wanted.name, (), 0, in_use):
        _plan_object(result, "secret", name, swarm.secrets, present=False)
    own_labels = _own_labels(swarm, wanted)
    for node, labels in wanted.node_labels.items():
        for label in labels:
            if node in swarm.nodes and label in own_labels:
                _plan_label(result, swarm, node, label, None)
    return result


def wanted_service(stack: str, name: str, definition: t.Mapping[str, t.Any]) -> View:
    """The view of a service as a stack's definition declares it.

    Raises:
        Failure: C(INVALID_INPUT) for a definition that Docker would not take.
    """
    try:
        return _wanted_view(stack, definition["services"][name], definition)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise Failure(
            "INVALID_INPUT",
            f"Service {name} of stack {stack} is not declared as Docker takes it: {type(error).__name__}, {error}.",
            hint="Compare the definition with Docker's reference of the compose file, version 3.",
        ) from error


def _wanted_view(stack: str, service: Raw, definition: Raw) -> View:
    deploy = service.get("deploy") or {}
    resources = deploy.get("resources") or {}
    placement = deploy.get("placement") or {}
    restart = compose.restart_policy(service)
    return _said(
        image=compose.image(service["image"], with_digest=True),
        entrypoint=compose.words(service.get("entrypoint")),
        command=compose.words(service.get("command")),
        replicas="one on each node" if deploy.get("mode") == "global" else _number(deploy.get("replicas"), 1),
        constraints=sorted(placement.get("constraints") or []),
        max_replicas_per_node=_number(placement.get("max_replicas_per_node"), 0) or None,
        ports=sorted(map(str, compose.ports(service))),
        configs=_texts(compose.files(stack, service, definition, "configs")),
        secrets=_texts(compose.files(stack, service, definition, "secrets")),
        mounts=sorted(map(str, compose.mounts(stack, service, definition))),
        environment=compose.environment(service),
        stop_grace_period=_seconds(duration(service.get("stop_grace_period")), GRACE_PERIOD),
        restart_policy=_restart_view(
            condition=restart.get("condition"),
            delay=duration(restart.get("delay")),
            max_attempts=restart.get("max_attempts"),
            window=duration(restart.get("window")),
        ),
        update_config=_wanted_update(deploy.get("update_config") or {}),
        rollback_config=_wanted_update(deploy.get("rollback_config") or {}),
        limits=_wanted_resources(resources.get("limits") or {}),
        reservations=_wanted_resources(resources.get("reservations") or {}),
    )


def live_service(spec: Raw, *, with_digest: bool = False) -> View:
    """The view of a service as the Engine reports it (C(ServiceSpec) of the Engine API).

    An image's digest, which Docker adds to what was declared, belongs to it only for who declares one.
    """
    task = spec["TaskTemplate"]
    container = task["ContainerSpec"]
    resources = task.get("Resources") or {}
    placement = task.get("Placement") or {}
    restart = task.get("RestartPolicy") or {}
    mode = spec.get("Mode") or {}
    return _said(
        image=compose.image(container["Image"], with_digest=with_digest),
        entrypoint=container.get("Command") or [],
        command=container.get("Args") or [],
        replicas="one on each node" if "Global" in mode else (mode.get("Replicated") or {}).get("Replicas", 0),
        constraints=sorted(placement.get("Constraints") or []),
        max_replicas_per_node=placement.get("MaxReplicas") or None,
        ports=sorted(str(_live_port(port)) for port in (spec.get("EndpointSpec") or {}).get("Ports") or []),
        configs={
            compose.config_place(item["File"]["Name"]): str(_live_file(item, "ConfigName"))
            for item in container.get("Configs") or []
        },
        secrets={item["File"]["Name"]: str(_live_file(item, "SecretName")) for item in container.get("Secrets") or []},
        mounts=sorted(str(_live_mount(mount)) for mount in container.get("Mounts") or []),
        environment=dict(sorted(item.partition("=")[::2] for item in container.get("Env") or [])),
        stop_grace_period=_seconds(container.get("StopGracePeriod"), GRACE_PERIOD),
        restart_policy=_restart_view(
            condition=restart.get("Condition"),
            delay=restart.get("Delay"),
            max_attempts=restart.get("MaxAttempts"),
            window=restart.get("Window"),
        ),
        update_config=_live_update(spec.get("UpdateConfig") or {}),
        rollback_config=_live_update(spec.get("RollbackConfig") or {}),
        limits=_live_resources(resources.get("Limits") or {}),
        reservations=_live_resources(resources.get("Reservations") or {}),
    )


def undeclared_parts(stack: str, name: str, live: Raw, definition: Raw) -> list[str]:
    """What of a live service is not as a stack's definition declares it, ordered by name."""
    wanted = wanted_service(stack, name, definition)
    return _different(live_service(live["Spec"], with_digest="@" in wanted["image"]), wanted)


def used_objects(service: Raw, *, previous: bool = True) -> set[str]:
    """The names of the configs and secrets that a service uses, or would after going back to its previous version."""
    used = set()
    for spec in (service["Spec"], (service.get("PreviousSpec") or {}) if previous else {}):
        container = (spec.get("TaskTemplate") or {}).get("ContainerSpec") or {}
        used |= {item["ConfigName"] for item in container.get("Configs") or []}
        used |= {item["SecretName"] for item in container.get("Secrets") or []}
    return used


def is_of_stack(item: Raw, stack: str) -> bool:
    """Whether a config or secret belongs to a stack: made for it by role config_secrets, or by Docker's command."""
    labels = item["Spec"].get("Labels") or {}
    return stack in (labels.get(STACK_LABEL), labels.get(NAMESPACE_LABEL))


def _two_views(stack: str, name: str, live: Raw | None, definition: Raw) -> tuple[View, View]:
    """A service as it is (empty when it is not there) and as it is declared."""
    wanted = wanted_service(stack, name, definition)
    if live is None:
        return {}, wanted
    view = live_service(live["Spec"], with_digest="@" in wanted["image"])
    if (live.get("UpdateStatus") or {}).get("State") in ("paused", "rollback_paused"):
        # A difference, which deploying again sets going.
        view["update"] = "paused"
    return view, wanted


def _noted_image(live: Raw) -> str | None:
    return (live["Spec"].get("Labels") or {}).get(IMAGE_LABEL)


def _used_by_others(swarm: Swarm) -> set[str]:
    return {name for service in swarm.other_services for name in used_objects(service)}


def _own_labels(swarm: Swarm, wanted: WantedStack) -> set[str]:
    """The wanted labels that no other stack's placement asks for; one that keeps away from them loses nothing."""
    constraints = [
        constraint
        for service in swarm.other_services
        for constraint in (service["Spec"]["TaskTemplate"].get("Placement") or {}).get("Constraints") or []
    ]
    shared = {constraint.partition("==")[0].strip() for constraint in constraints}
    labels = {label for labels in wanted.node_labels.values() for label in labels}
    return {label for label in labels if f"node.labels.{label}" not in shared}


def _said(**view: t.Any) -> View:
    return {key: value for key, value in view.items() if value not in (None, [], {}, "")}


def _different(before: View, after: View) -> list[str]:
    return [key for key in sorted({*before, *after}) if before.get(key) != after.get(key)]


def _number(value: t.Any, default: int) -> int:
    return default if value is None else int(value)


def _seconds(nanoseconds: int | None, default: int = 0) -> str:
    return f"{(default if nanoseconds is None else nanoseconds) / SECOND:g}s"


def _texts(references: t.Mapping[str, compose.FileReference]) -> dict[str, str]:
    return {place: str(reference) for place, reference in references.items()}


def _restart_view(condition: str | None, delay: int | None, max_attempts: t.Any, window: int | None) -> View:
    return {
        "condition": condition or "any",
        "delay": _seconds(delay, RESTART_DELAY),
        "max_attempts": _number(max_attempts, 0) or "unlimited",
        "window": _seconds(window),
    }


def _wanted_update(policy: Raw) -> View:
    return _update_view(
        parallelism=policy.get("parallelism"),
        delay=duration(policy.get("delay")),
        failure_action=policy.get("failure_action"),
        monitor=duration(policy.get("monitor")),
        max_failure_ratio=policy.get("max_failure_ratio"),
        order=policy.get("order"),
    )


def _live_update(policy: Raw) -> View:
    return _update_view(
        parallelism=policy.get("Parallelism"),
        delay=policy.get("Delay"),
        failure_action=policy.get("FailureAction"),
        monitor=policy.get("Monitor"),
        max_failure_ratio=policy.get("MaxFailureRatio"),
        order=policy.get("Order"),
    )


def _update_view(
    parallelism: t.Any,
    delay: int | None,
    failure_action: str | None,
    monitor: int | None,
    max_failure_ratio: t.Any,
    order: str | None,
) -> View:
    return {
        "parallelism": _number(parallelism, 1),
        "delay": _seconds(delay),
        "failure_action": failure_action or "pause",
        # Docker's command writes 0 where the definition says nothing, and the Engine takes that for its default.
        "monitor": _seconds(monitor or None, MONITOR),
        # A number of 32 bits in the Engine.
        "max_failure_ratio": f"{float(max_failure_ratio or 0):.6g}",
        "order": order or "stop-first",
    }


def _wanted_resources(given: Raw) -> View:
    return _said(
        cpus=float(given.get("cpus") or 0) or None,
        memory=byte_size(given.get("memory")) or None,
        pids=_number(given.get("pids"), 0) or None,
    )


def _live_resources(given: Raw) -> View:
    cpus = given.get("NanoCPUs")
    return _said(
        cpus=cpus / 10**9 if cpus else None, memory=given.get("MemoryBytes") or None, pids=given.get("Pids") or None
    )


def _live_port(port: Raw) -> compose.Port:
    return compose.Port(port.get("PublishedPort", 0), port["TargetPort"], port["Protocol"], port["PublishMode"])


def _live_file(item: Raw, name: str) -> compose.FileReference:
    file = item["File"]
    return compose.FileReference(item[name], file["UID"], file["GID"], file["Mode"])


def _live_mount(mount: Raw) -> compose.Mount:
    volume = mount.get("VolumeOptions") or {}
    driver = volume.get("DriverConfig") or {}
    size = (mount.get("TmpfsOptions") or {}).get("SizeBytes")
    return compose.Mount(
        mount["Type"],
        mount.get("Source", ""),
        mount["Target"],
        bool(mount.get("ReadOnly")),
        bool(volume.get("NoCopy")),
        driver.get("Name") or "",
        driver.get("Options") or ({"size": size} if size else {}),
    )


def _plan_label(result: Plan, swarm: Swarm, node: str, label: str, value: str | None) -> None:
    """A label that a node must have with this value, or must not have."""
    present = (swarm.nodes[node]["Spec"].get("Labels") or {}).get(label)
    if present == value:
        return
    action, detail = ("remove", label) if value is None else ("set", f"{label}={value}")
    step = {"kind": "node_label", "action": action, "name": node, "detail": detail, "id": swarm.nodes[node]["ID"]}
    result.steps.append(step)
    result.before.setdefault("node_labels", {}).setdefault(node, {})[label] = present
    result.after.setdefault("node_labels", {}).setdefault(node, {})[label] = value


def _plan_object(result: Plan, kind: str, name: str, existing: t.Container[str], *, present: bool) -> None:
    if (name in existing) == present:
        return
    result.steps.append({"kind": kind, "action": "create" if present else "remove", "name": name, "detail": ""})
    states = ("absent", "present") if present else ("present", "absent")
    for side, state in zip((result.before, result.after), states):
        side.setdefault(f"{kind}s", {})[name] = state


def _outdated(
    existing: t.Mapping[str, Raw], stack: str, wanted: t.Collection[str], keep: int, in_use: t.Container[str]
) -> list[str]:
    """The superseded objects of a stack that nothing uses, without the newest few of each file."""
    by_file: dict[str, list[tuple[str, str]]] = {}
    for name, item in existing.items():
        labels = item["Spec"].get("Labels") or {}
        if labels.get(STACK_LABEL) == stack and name not in wanted:
            by_file.setdefault(labels.get(FILE_LABEL, ""), []).append((item["CreatedAt"], name))
    superseded = [name for versions in by_file.values() for _created, name in sorted(versions, reverse=True)[keep:]]
    return sorted(name for name in superseded if name not in in_use)


def _plan_service(result: Plan, name: str, before: View | None, after: View | None) -> None:
    different = _different(before or {}, after or {})
    if not different:
        return
    action = "update" if before and after else "create" if after else "remove"
    detail = ", ".join(different) if action == "update" else ""
    result.steps.append({"kind": "service", "action": action, "name": name, "detail": detail})
    for side, view in ((result.before, before), (result.after, after)):
        shown = {key: view.get(key) for key in different} if view else "absent"
        side.setdefault("services", {})[name] = shown
