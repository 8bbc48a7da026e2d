# Copyright: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Planning a stack: what a live Swarm has, what is wanted, and the steps from the one to the other. Pure functions.

Both sides are brought into one form, the view: a mapping of what a person would compare (image, ports, replicas, …).
A key stands in a view only when it says something, so that two equal services have equal views.
"""

from __future__ import annotations

import dataclasses
import re
import typing as t

from ansible_collections.dtr.cache.plugins.module_utils.engine import Swarm
from ansible_collections.dtr.cache.plugins.module_utils.failure import Failure

View = dict[str, t.Any]

# The labels by which configs and secrets of a stack are known, and which file of the deployment each one is.
STACK_LABEL = "dtr.cache.stack"
FILE_LABEL = "dtr.cache.file"

NANOSECONDS = {"ns": 1, "us": 10**3, "µs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
BYTES = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}


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
    """Steps in the order in which they must be done, and the two sides of the diff (differences only)."""

    steps: list[dict[str, str]]
    before: dict[str, t.Any]
    after: dict[str, t.Any]

    def diff(self) -> dict[str, t.Any]:
        """The diff in Ansible's form."""
        return {"before": self.before, "after": self.after}


def plan(swarm: Swarm, wanted: WantedStack) -> Plan:
    """The steps that make the Swarm what is wanted; none when it is already.

    Raises:
        Failure: C(UNKNOWN_NODE) when a wanted node is not in the Swarm, naming all of them.
    """
    unknown = sorted(set(wanted.node_labels) - set(swarm.nodes))
    if unknown:
        raise Failure(
            "UNKNOWN_NODE",
            f"The Swarm has no node {', '.join(unknown)}.",
            hint=f"Its nodes are {', '.join(sorted(swarm.nodes))}.",
        )
    result = Plan([], {}, {})
    for node, labels in wanted.node_labels.items():
        for label, value in labels.items():
            _plan_label(result, swarm, node, label, value)
    dedicated = {label for labels in wanted.node_labels.values() for label in labels}
    for node in sorted(set(swarm.nodes) - set(wanted.node_labels)):
        for label in sorted(dedicated):
            _plan_label(result, swarm, node, label, None)
    for name in wanted.configs:
        _plan_object(result, "config", name, swarm.configs, present=True)
    for name in wanted.secrets:
        _plan_object(result, "secret", name, swarm.secrets, present=True)
    for name, service in (wanted.definition.get("services") or {}).items():
        view = wanted_service(wanted.name, service, wanted.definition)
        live = swarm.services.get(name)
        _plan_service(result, f"{wanted.name}_{name}", _live_view(live) if live else None, view)
    if wanted.configs or wanted.secrets:
        for name in _outdated(swarm.configs, wanted.name, wanted.configs, wanted.keep_versions):
            _plan_object(result, "config", name, swarm.configs, present=False)
        for name in _outdated(swarm.secrets, wanted.name, wanted.secrets, wanted.keep_versions):
            _plan_object(result, "secret", name, swarm.secrets, present=False)
    return result


def plan_removal(swarm: Swarm, wanted: WantedStack) -> Plan:
    """The steps after which nothing of a stack is left: services, networks, configs, secrets, labels of its nodes."""
    result = Plan([], {}, {})
    for name, live in swarm.services.items():
        _plan_service(result, f"{wanted.name}_{name}", live_service(live["Spec"]), None)
    for name in sorted(swarm.networks):
        _plan_object(result, "network", name, swarm.networks, present=False)
    for name in _outdated(swarm.configs, wanted.name, (), 0):
        _plan_object(result, "config", name, swarm.configs, present=False)
    for name in _outdated(swarm.secrets, wanted.name, (), 0):
        _plan_object(result, "secret", name, swarm.secrets, present=False)
    for node, labels in wanted.node_labels.items():
        for label in labels:
            if node in swarm.nodes:
                _plan_label(result, swarm, node, label, None)
    return result


def wanted_service(stack: str, service: t.Mapping[str, t.Any], definition: t.Mapping[str, t.Any]) -> View:
    """The view of a service as a stack's definition declares it."""
    deploy = service.get("deploy") or {}
    resources = deploy.get("resources") or {}
    return _said(
        image=service["image"],
        entrypoint=list(service.get("entrypoint") or []),
        command=list(service.get("command") or []),
        replicas=int(deploy.get("replicas", 1)),
        constraints=sorted((deploy.get("placement") or {}).get("constraints") or []),
        ports=sorted(_wanted_port(port) for port in service.get("ports") or []),
        configs=_wanted_files(service, definition, "configs"),
        secrets=_wanted_files(service, definition, "secrets"),
        mounts=sorted(_wanted_mount(stack, volume, definition) for volume in service.get("volumes") or []),
        environment=dict(sorted((service.get("environment") or {}).items())),
        stop_grace_period=_grace_view(duration(service.get("stop_grace_period"))),
        restart_policy=(deploy.get("restart_policy") or {}).get("condition", "any"),
        update_config=_update_view(
            parallelism=(deploy.get("update_config") or {}).get("parallelism"),
            delay=duration((deploy.get("update_config") or {}).get("delay")),
            failure_action=(deploy.get("update_config") or {}).get("failure_action"),
            monitor=duration((deploy.get("update_config") or {}).get("monitor")),
            order=(deploy.get("update_config") or {}).get("order"),
        ),
        limits=_resources_view(
            (resources.get("limits") or {}).get("cpus"), byte_size((resources.get("limits") or {}).get("memory"))
        ),
        reservations=_resources_view(
            (resources.get("reservations") or {}).get("cpus"),
            byte_size((resources.get("reservations") or {}).get("memory")),
        ),
    )


def live_service(spec: t.Mapping[str, t.Any]) -> View:
    """The view of a service as the Engine reports it (C(ServiceSpec) of the Engine API)."""
    task = spec["TaskTemplate"]
    container = task["ContainerSpec"]
    update = spec.get("UpdateConfig") or {}
    resources = task.get("Resources") or {}
    return _said(
        image=container["Image"].partition("@")[0],
        entrypoint=container.get("Command") or [],
        command=container.get("Args") or [],
        replicas=((spec.get("Mode") or {}).get("Replicated") or {}).get("Replicas", 0),
        constraints=sorted((task.get("Placement") or {}).get("Constraints") or []),
        ports=sorted(_live_port(port) for port in (spec.get("EndpointSpec") or {}).get("Ports") or []),
        configs={item["File"]["Name"]: item["ConfigName"] for item in container.get("Configs") or []},
        secrets={item["File"]["Name"]: item["SecretName"] for item in container.get("Secrets") or []},
        mounts=sorted(_live_mount(mount) for mount in container.get("Mounts") or []),
        environment=dict(sorted(item.partition("=")[::2] for item in container.get("Env") or [])),
        stop_grace_period=_grace_view(container.get("StopGracePeriod")),
        restart_policy=(task.get("RestartPolicy") or {}).get("Condition", "any"),
        update_config=_update_view(
            parallelism=update.get("Parallelism"),
            delay=update.get("Delay"),
            failure_action=update.get("FailureAction"),
            monitor=update.get("Monitor"),
            order=update.get("Order"),
        ),
        limits=_live_resources(resources.get("Limits")),
        reservations=_live_resources(resources.get("Reservations")),
    )


def _live_view(service: t.Mapping[str, t.Any]) -> View:
    """The view of a live service; an update that stands still is a difference, which deploying again sets going."""
    view = live_service(service["Spec"])
    if (service.get("UpdateStatus") or {}).get("State") in ("paused", "rollback_paused"):
        view["update"] = "paused"
    return view


def duration(value: str | int | None) -> int | None:
    """Nanoseconds of a Go duration such as C(1m30s); a number is nanoseconds already.

    Raises:
        Failure: C(INVALID_INPUT) for anything else.
    """
    if value is None or isinstance(value, int):
        return value
    parts = re.findall(r"([0-9]+(?:\.[0-9]+)?)(ns|us|µs|ms|s|m|h)", value)
    if not parts or "".join(number + unit for number, unit in parts) != value:
        raise Failure("INVALID_INPUT", f"{value!r} is not a duration such as 10s or 1m30s.")
    return int(sum(float(number) * NANOSECONDS[unit] for number, unit in parts))


def byte_size(value: str | int | None) -> int | None:
    """Bytes of a size such as C(512M), as Docker reads it.

    Raises:
        Failure: C(INVALID_INPUT) for anything else.
    """
    if value is None or isinstance(value, int):
        return value
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?) ?([kmgt]?)b?", value.strip().lower())
    if not match:
        raise Failure("INVALID_INPUT", f"{value!r} is not a size such as 512M.")
    return int(float(match[1]) * BYTES[match[2]])


def _said(**view: t.Any) -> View:
    return {key: value for key, value in view.items() if value not in (None, [], {}, "")}


def _update_view(
    parallelism: int | None, delay: int | None, failure_action: str | None, monitor: int | None, order: str | None
) -> View:
    """An update policy with what the Engine does where nothing is said."""
    return {
        "parallelism": 1 if parallelism is None else int(parallelism),
        "delay": _seconds(delay or 0),
        "failure_action": failure_action or "pause",
        "monitor": _seconds(monitor or 5 * 10**9),
        "order": order or "stop-first",
    }


def _grace_view(nanoseconds: int | None) -> str:
    """The time to end, with what the Engine does where nothing is said."""
    return _seconds(10 * 10**9 if nanoseconds is None else nanoseconds)


def _seconds(nanoseconds: int) -> str:
    return f"{nanoseconds / 10**9:g}s"


def _resources_view(cpus: t.Any, memory: int | None) -> View:
    return _said(cpus=float(cpus) if cpus is not None else None, memory=memory)


def _live_resources(resources: t.Mapping[str, t.Any] | None) -> View:
    resources = resources or {}
    cpus = resources.get("NanoCPUs")
    return _resources_view(cpus / 10**9 if cpus else None, resources.get("MemoryBytes") or None)


def _wanted_port(port: str | t.Mapping[str, t.Any]) -> str:
    if isinstance(port, str):
        published, _colon, rest = port.partition(":")
        target, _slash, protocol = rest.partition("/")
        return _port(published, target, protocol or "tcp", "ingress")
    return _port(port["published"], port["target"], port.get("protocol", "tcp"), port.get("mode", "ingress"))


def _live_port(port: t.Mapping[str, t.Any]) -> str:
    return _port(port.get("PublishedPort", 0), port["TargetPort"], port["Protocol"], port["PublishMode"])


def _port(published: t.Any, target: t.Any, protocol: str, mode: str) -> str:
    return f"{published}:{target}/{protocol} ({mode})"


def _wanted_files(service: t.Mapping[str, t.Any], definition: t.Mapping[str, t.Any], kind: str) -> dict[str, str]:
    """Where each config or secret is mounted, and the name that Swarm knows it by."""
    names = {key: value["external"]["name"] for key, value in (definition.get(kind) or {}).items()}
    return {item["target"]: names[item["source"]] for item in service.get(kind) or []}


def _wanted_mount(stack: str, volume: str, definition: t.Mapping[str, t.Any]) -> str:
    source, _colon, target = volume.partition(":")
    if source.startswith("/"):
        return _mount("bind", source, target)
    return _mount("volume", f"{stack}_{source}", target, (definition["volumes"][source] or {}).get("driver_opts"))


def _live_mount(mount: t.Mapping[str, t.Any]) -> str:
    driver = (mount.get("VolumeOptions") or {}).get("DriverConfig") or {}
    return _mount(mount["Type"], mount.get("Source", ""), mount["Target"], driver.get("Options"))


def _mount(kind: str, source: str, target: str, options: t.Mapping[str, str] | None = None) -> str:
    listed = ",".join(f"{key}={value}" for key, value in sorted((options or {}).items()))
    return f"{kind} {source} at {target}" + (f" ({listed})" if listed else "")


def _plan_label(result: Plan, swarm: Swarm, node: str, label: str, value: str | None) -> None:
    """A label that a node must have with this value, or must not have."""
    present = (swarm.nodes[node]["Spec"].get("Labels") or {}).get(label)
    if present == value:
        return
    action, detail = ("remove", label) if value is None else ("set", f"{label}={value}")
    result.steps.append({"kind": "node_label", "action": action, "name": node, "detail": detail})
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
    existing: t.Mapping[str, t.Mapping[str, t.Any]], stack: str, wanted: t.Collection[str], keep: int
) -> list[str]:
    """The superseded objects of a stack, without the newest few of each file."""
    by_file: dict[str, list[tuple[str, str]]] = {}
    for name, item in existing.items():
        labels = item["Spec"].get("Labels") or {}
        if labels.get(STACK_LABEL) == stack and name not in wanted:
            by_file.setdefault(labels.get(FILE_LABEL, ""), []).append((item["CreatedAt"], name))
    return sorted(name for versions in by_file.values() for _created, name in sorted(versions, reverse=True)[keep:])


def _plan_service(result: Plan, name: str, live: View | None, wanted: View | None) -> None:
    if live == wanted:
        return
    before, after = live or {}, wanted or {}
    different = [key for key in sorted({*before, *after}) if before.get(key) != after.get(key)]
    action = "create" if live is None else "remove" if wanted is None else "update"
    detail = ", ".join(different) if action == "update" else ""
    result.steps.append({"kind": "service", "action": action, "name": name, "detail": detail})
    for side, view in ((result.before, live), (result.after, wanted)):
        shown = "absent" if view is None else {key: view.get(key) for key in different}
        side.setdefault("services", {})[name] = shown
