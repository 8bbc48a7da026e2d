# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two sides of a service in one form: what the Engine reports and what a stack's definition declares.

The form is the view: a mapping of what a person would compare (image, ports, replicas, …). A key stands in a view only
when it says something, and with what the Engine does where nothing is said, so two equal services have equal views.
"""

from __future__ import annotations

import typing as t

from ..common.failure import Failure
from . import compose
from .compose import byte_size, duration
from .extras import live_extras, wanted_extras, without_labels_of_the_platform
from .model import NAMESPACE_LABEL, Raw
from .other_settings import KEY as OTHER_SETTINGS
from .other_settings import other_settings

View = dict[str, t.Any]
Networks = t.Optional[t.Mapping[str, str]]

# What the Engine does where nothing is said.
SECOND = 10**9
RESTART_DELAY = 5 * SECOND
MONITOR = 5 * SECOND
GRACE_PERIOD = 10 * SECOND


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
        # Where it is empty it is not known which one is wanted, and that which runs is no difference.
        image=service["image"] and compose.image(service["image"], with_digest=True),
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
        **wanted_extras(service),
    )


def live_service(spec: Raw, *, with_digest: bool = False, networks: Networks = None) -> View:
    """The view of a service as the Engine reports it (C(ServiceSpec) of the Engine API).

    An image's digest, which Docker adds to what was declared, belongs to it only for who declares one.

    Args:
        spec: The service.
        with_digest: Whether the image's digest counts.
        networks: The names of networks by their ids; without, those of the service do not count.
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
        ports=sorted(map(str, live_ports(spec))),
        configs={
            compose.config_place(item["File"]["Name"]): str(_live_file(item, "ConfigName"))
            for item in container.get("Configs") or []
            # Those of Windows' credentials are no files.
            if item.get("File")
        },
        secrets={
            item["File"]["Name"]: str(_live_file(item, "SecretName"))
            for item in container.get("Secrets") or []
            if item.get("File")
        },
        mounts=sorted(str(live_mount(mount)) for mount in container.get("Mounts") or []),
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
        networks=_live_networks(spec, networks),
        **live_extras(spec),
        **{OTHER_SETTINGS: other_settings(spec)},
    )


def live_ports(spec: Raw) -> list[compose.Port]:
    """The ports that a service publishes, as the Engine reports it."""
    return [_live_port(port) for port in (spec.get("EndpointSpec") or {}).get("Ports") or []]


def undeclared_parts(stack: str, name: str, live: Raw, definition: Raw) -> list[str]:
    """What of a live service is not as a stack's definition declares it, ordered by name."""
    before, wanted = two_views(stack, name, live, definition)
    before.pop("update", None)
    return to_update(before, wanted)


def two_views(stack: str, name: str, live: Raw | None, definition: Raw, networks: Networks = None) -> tuple[View, View]:
    """A service as it is (empty when it is not there) and as it is declared; C(networks) as in C(live_service)."""
    wanted = wanted_service(stack, name, definition)
    if live is None:
        return {}, wanted
    if networks is not None:
        wanted["networks"] = compose.networks(stack, definition["services"][name], definition)
    view = live_service(live["Spec"], with_digest="@" in wanted.get("image", ""), networks=networks)
    view = without_labels_of_the_platform(view, wanted)
    if "image" not in wanted:
        del view["image"]
    if (live.get("UpdateStatus") or {}).get("State") in ("paused", "rollback_paused"):
        # A difference, which deploying again sets going.
        view["update"] = "paused"
    return view, wanted


def kept_volumes(stack: str, name: str, live: Raw | None, definition: Raw) -> list[str]:
    """The volumes of a service that are declared with another driver or option than they were made with."""
    container = ((live or {}).get("Spec") or {}).get("TaskTemplate", {}).get("ContainerSpec") or {}
    made = {mount.source: mount for mount in map(live_mount, container.get("Mounts") or [])}
    return [
        mount.source
        for mount in compose.mounts(stack, definition["services"][name], definition)
        if mount.kind == "volume" and mount.source in made and _driver(mount) != _driver(made[mount.source])
    ]


def _driver(mount: compose.Mount) -> tuple[str, dict[str, t.Any]]:
    return mount.driver or "local", dict(mount.options)


def _said(**view: t.Any) -> View:
    return {key: value for key, value in view.items() if value not in (None, [], {}, "")}


def different(before: View, after: View) -> list[str]:
    """The keys whose values differ, ordered by name."""
    return [key for key in sorted({*before, *after}) if before.get(key) != after.get(key)]


def to_update(before: View, after: View) -> list[str]:
    """The keys whose values differ and are a reason to update a service, ordered by name."""
    return [key for key in different(before, after) if key != OTHER_SETTINGS]


def shown_sides(before: View | None, after: View | None) -> tuple[View, View]:
    """What a diff shows of two views: what differs; of a service that comes or goes, what is no default of Docker."""
    if before is None or after is None:
        return _beyond_defaults(before or {}), _beyond_defaults(after or {})
    return _difference(before, after)


def _beyond_defaults(view: View) -> View:
    return _said(
        **{
            key: _difference(value, DEFAULTS[key])[0] if isinstance(value, dict) and key in DEFAULTS else value
            for key, value in view.items()
            if value != DEFAULTS.get(key)
        }
    )


def _difference(before: View, after: View) -> tuple[View, View]:
    sides: tuple[View, View] = {}, {}
    for key in different(before, after):
        values = (before.get(key), after.get(key))
        if all(isinstance(value, dict) for value in values):
            values = _difference(*values)  # type: ignore[arg-type]
        for side, value in zip(sides, values):
            side[key] = value
    return sides


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
        generic=compose.generic_resources(given),
    )


def _live_resources(given: Raw) -> View:
    cpus = given.get("NanoCPUs")
    generic = [
        each.get("DiscreteResourceSpec") or each.get("NamedResourceSpec") or {}
        for each in given.get("GenericResources") or []
    ]
    return _said(
        cpus=cpus / 10**9 if cpus else None,
        memory=given.get("MemoryBytes") or None,
        pids=given.get("Pids") or None,
        generic=sorted(f"{each.get('Kind')}={each.get('Value')}" for each in generic),
    )


def _live_port(port: Raw) -> compose.Port:
    return compose.Port(port.get("PublishedPort", 0), port["TargetPort"], port["Protocol"], port["PublishMode"])


def _live_file(item: Raw, name: str) -> compose.FileReference:
    file = item["File"]
    return compose.FileReference(item[name], file["UID"], file["GID"], file["Mode"])


def _live_networks(spec: Raw, networks: Networks) -> list[str]:
    if networks is None:
        return []
    attached = spec["TaskTemplate"].get("Networks") or spec.get("Networks") or []
    # Docker's command gives each service of a stack its own name there.
    stack = (spec.get("Labels") or {}).get(NAMESPACE_LABEL) or ""
    own = str(spec.get("Name") or "").removeprefix(f"{stack}_")
    return sorted(
        compose.network(networks.get(each["Target"], str(each["Target"])), set(each.get("Aliases") or []) - {own})
        for each in attached
    )


def live_mount(mount: Raw) -> compose.Mount:
    """A mount as the Engine reports it."""
    volume = mount.get("VolumeOptions") or {}
    driver = volume.get("DriverConfig") or {}
    memory = mount.get("TmpfsOptions") or {}
    size = memory.get("SizeBytes")
    return compose.Mount(
        mount["Type"],
        mount.get("Source", ""),
        mount["Target"],
        bool(mount.get("ReadOnly")),
        bool(volume.get("NoCopy")),
        driver.get("Name") or "",
        driver.get("Options") or ({"size": size} if size else {}),
        (mount.get("BindOptions") or {}).get("Propagation") or "",
        memory.get("Mode") or 0,
    )


# Whose parts nobody has to see where they are as Docker has them anyway.
DEFAULTS: View = {
    "stop_grace_period": _seconds(None, GRACE_PERIOD),
    "restart_policy": _restart_view(None, None, None, None),
    "update_config": _wanted_update({}),
    "rollback_config": _wanted_update({}),
}
