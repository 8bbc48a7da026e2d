# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A service in one form, the view: as the Engine reports it, and as the stack's definition declares it.

The definition is the one that C(plugin_utils/deployment/definition.py) writes, in its form alone. A view has Docker's
default where nothing is declared, and no key that would be empty, so that two equal services have equal views. A live
service is in its view as a whole: settings that no key compares are in C(other_settings).

Source: cli/compose/convert/service.go and opts/capabilities.go of docker/cli.
"""

from __future__ import annotations

import copy
import re
import typing as t

from ..common.redaction import BLANK, HIDDEN, SECRET_NAME, comparable, holds_credential, printable, redacted
from .compose import NANOSECONDS, byte_size, duration
from .compose import image as shown_image
from .model import NAMESPACE_LABEL, Raw

View = dict[str, t.Any]
Networks = t.Optional[t.Mapping[str, str]]

# Settings that no definition declares, under the names of the Engine API. An update removes them, so the diff shows
# them. They are no reason to update: a later Engine may add settings by itself, and no deployment would settle.
OTHER_SETTINGS = "other_settings"
GRACE_PERIOD = "10s"

# Keys of a compose service that the view takes as they are.
_AS_DECLARED = ("entrypoint", "environment", "logging", "dns", "dns_search", "labels", "hostname", "sysctls", "init")
# The same for keys that only a live service has.
_PLAIN = {
    "user": "User",
    "working_dir": "Dir",
    "stop_signal": "StopSignal",
    "read_only": "ReadOnly",
    "tty": "TTY",
    "stdin_open": "OpenStdin",
}
_TIMES = ("interval", "timeout", "start_period", "start_interval")
# Labels that Docker writes to each service of a stack, and those that UCP and MKE add to services.
_OF_DOCKER, _OF_PLATFORM = "com.docker.stack.", "com.docker."
# The Engine's own notes, and settings for Windows alone.
_NOT_COMPARED = (
    *("Name", "TaskTemplate.ForceUpdate", "TaskTemplate.Runtime", "TaskTemplate.Placement.Platforms"),
    *("TaskTemplate.ContainerSpec.Isolation", "TaskTemplate.ContainerSpec.Privileges.CredentialSpec"),
)
# The parts of a mount that C(live_mount) reads, and what says nothing about the container.
_OF_MOUNT = (
    *("Type", "Source", "Target", "ReadOnly", "Consistency", "BindOptions.Propagation"),
    *("VolumeOptions.NoCopy", "VolumeOptions.Labels", "VolumeOptions.DriverConfig"),
    *("TmpfsOptions.SizeBytes", "TmpfsOptions.Mode"),
)
_OF_NETWORK = ("Target", "Aliases")
_DEFAULT_OWNER, _DEFAULT_MODE, _DEFAULT_TMPFS_MODE = "0", 0o444, 0o1777


class Port(t.NamedTuple):
    """A published port; C(published) is 0 where Swarm chooses it."""

    published: int
    target: int
    protocol: str = "tcp"
    mode: str = "ingress"

    def __str__(self) -> str:
        return f"{self.published}:{self.target}/{self.protocol} ({self.mode})"


class Mount(t.NamedTuple):
    """A folder, volume or memory in a container."""

    kind: str
    source: str
    target: str
    read_only: bool = False
    no_copy: bool = False
    driver: str = ""
    options: t.Mapping[str, t.Any] = {}
    propagation: str = ""
    mode: int = 0

    @property
    def manner(self) -> list[str]:
        """Return the mount options that differ from Docker's defaults."""
        found = ["read only"] * self.read_only + ["no copy"] * self.no_copy
        found += [f"propagation {self.propagation}"] if self.propagation not in ("", "rprivate") else []
        return found + ([f"mode {self.mode:04o}"] if self.mode not in (0, _DEFAULT_TMPFS_MODE) else [])

    @property
    def driver_and_options(self) -> tuple[str, dict[str, t.Any]]:
        """Return the driver of a volume, which is C(local) by default, and its options."""
        return self.driver or "local", dict(self.options)

    def __str__(self) -> str:
        driver, options = self.driver_and_options
        details = [*self.manner, *([f"driver {driver}"] if driver != "local" else [])]
        details += [f"{key}={value}" for key, value in sorted(options.items())]
        return f"{self.kind} {self.source} at {self.target}" + (f" ({','.join(details)})" if details else "")


def ports(service: Raw) -> list[Port]:
    """Return the ports that a definition publishes: C(443:443) in the mesh, a mapping on the nodes themselves."""
    return [
        Port(int(port.partition(":")[0]), int(port.partition(":")[2]))
        if isinstance(port, str)
        else Port(port["published"], port["target"], port["protocol"], port["mode"])
        for port in service.get("ports") or []
    ]


def files(service: Raw, definition: Raw, kind: str) -> dict[str, str]:
    """Return the configs or secrets (C(kind)) of a declared service, by the place where each is mounted."""
    declared = definition.get(kind) or {}
    return {item["target"]: declared[item["source"]]["external"]["name"] for item in service.get(kind) or []}


def external_names(definition: Raw, kind: str) -> list[str]:
    """Return the names of all configs or secrets that a definition uses."""
    return [entry["external"]["name"] for entry in (definition.get(kind) or {}).values()]


def mounts(stack: str, service: Raw, definition: Raw) -> list[Mount]:
    """Return the mounts of a declared service: C(SOURCE:TARGET), or a mapping for memory and for a trial's volume."""
    found = []
    for volume in service.get("volumes") or []:
        if not isinstance(volume, str):
            found.append(Mount(volume["type"], "", volume["target"]))
            continue
        source, _colon, target = volume.partition(":")
        if source.startswith("/"):
            found.append(Mount("bind", source, target))
        else:
            made = definition["volumes"][source]
            options = made.get("driver_opts") or {}
            found.append(Mount("volume", f"{stack}_{source}", target, driver=made.get("driver") or "", options=options))
    return found


def wanted_service(stack: str, name: str, definition: Raw) -> View:
    """Return the view of a service as a stack's definition declares it."""
    service = definition["services"][name]
    deploy = service.get("deploy") or {}
    placement, resources = deploy.get("placement") or {}, deploy.get("resources") or {}
    added, health = _capabilities(service.get("cap_add")), service.get("healthcheck") or {}
    return _view(
        # Without one, the image that runs is no difference.
        image=service["image"] and shown_image(service["image"], with_digest=True),
        **{key: service[key] for key in _AS_DECLARED if key in service},
        replicas=deploy.get("replicas", 1),
        constraints=placement.get("constraints"),
        max_replicas_per_node=placement.get("max_replicas_per_node"),
        ports=ports(service),
        configs=files(service, definition, "configs"),
        secrets=files(service, definition, "secrets"),
        mounts=mounts(stack, service, definition),
        stop_grace_period=service.get("stop_grace_period"),
        restart_policy=deploy.get("restart_policy"),
        update_config=deploy.get("update_config"),
        rollback_config=None,
        limits=resources.get("limits"),
        reservations=resources.get("reservations"),
        extra_hosts=[" ".join(reversed(host.split(":", 1))) for host in service.get("extra_hosts") or []],
        service_labels=deploy.get("labels"),
        healthcheck={"test": ["NONE"]} if health.get("disable") else health,
        ulimits={key: f"{limit['soft']}:{limit['hard']}" for key, limit in (service.get("ulimits") or {}).items()},
        cap_add=added,
        cap_drop=_capabilities(service.get("cap_drop")) - added,
    )


def live_service(spec: Raw, *, with_digest: bool = False, networks: Networks = None) -> View:
    """Return the view of a service as the Engine reports it (C(ServiceSpec) of the Engine API).

    Args:
        spec: The service.
        with_digest: Whether the image's digest, which Docker adds to what was declared, counts.
        networks: The names of networks by their ids; without, the networks of the service do not count.
    """
    left = copy.deepcopy(dict(spec))

    def take(path: str) -> t.Any:
        return _take(left, path)

    def of_container(name: str) -> t.Any:
        return _take(left, f"TaskTemplate.ContainerSpec.{name}")

    for path in _NOT_COMPARED:
        take(path)
    log, mounted = take("TaskTemplate.LogDriver") or {}, of_container("Mounts") or []
    attached = take("TaskTemplate.Networks") or take("Networks") or []
    view: View = {
        "image": shown_image(of_container("Image"), with_digest=with_digest),
        "entrypoint": of_container("Command"),
        "command": of_container("Args"),
        "environment": dict(item.partition("=")[::2] for item in of_container("Env") or []),
        "replicas": _live_replicas(take),
        "constraints": take("TaskTemplate.Placement.Constraints"),
        "max_replicas_per_node": take("TaskTemplate.Placement.MaxReplicas") or None,
        "ports": live_ports({"EndpointSpec": {"Ports": take("EndpointSpec.Ports")}}),
        "configs": live_files(of_container("Configs"), "ConfigName"),
        "secrets": live_files(of_container("Secrets"), "SecretName"),
        "mounts": list(map(live_mount, mounted)),
        "stop_grace_period": of_container("StopGracePeriod"),
        "restart_policy": _snake_case(take("TaskTemplate.RestartPolicy")),
        "update_config": _snake_case(take("UpdateConfig")),
        "rollback_config": _snake_case(take("RollbackConfig")),
        "limits": _live_resources(take, "Limits"),
        "reservations": _live_resources(take, "Reservations"),
        "networks": _networks(attached, spec, networks) if networks is not None else [],
        "logging": {"driver": log.get("Name"), "options": log.get("Options")},
        "extra_hosts": of_container("Hosts"),
        "dns": of_container("DNSConfig.Nameservers"),
        "dns_search": of_container("DNSConfig.Search"),
        "dns_options": of_container("DNSConfig.Options"),
        "groups": of_container("Groups"),
        "labels": _without_dockers(of_container("Labels")),
        "service_labels": _without_dockers(take("Labels")),
        "healthcheck": _snake_case(of_container("Healthcheck")),
        "hostname": of_container("Hostname"),
        "sysctls": of_container("Sysctls"),
        "ulimits": {each["Name"]: f"{each['Soft']}:{each['Hard']}" for each in of_container("Ulimits") or []},
        "cap_add": of_container("CapabilityAdd"),
        "cap_drop": of_container("CapabilityDrop"),
        "init": of_container("Init"),
        **{key: of_container(name) or None for key, name in _PLAIN.items()},
        "endpoint_mode": _beyond(take("EndpointSpec.Mode"), "vip"),
        "placement_preferences": [
            str((each.get("Spread") or {}).get("SpreadDescriptor"))
            for each in take("TaskTemplate.Placement.Preferences") or []
        ],
    }
    others = {**left.pop("TaskTemplate"), **left}
    for name, parts, paths in (("ContainerSpec.Mounts", mounted, _OF_MOUNT), ("Networks", attached, _OF_NETWORK)):
        for part in parts:
            target = part["Target"]
            for path in paths:
                _take(part, path)
            others[f"{name}[{target}]"] = part
    return _view(**view, **{OTHER_SETTINGS: dict(_leaves(others))})


def live_ports(spec: Raw) -> list[Port]:
    """Return the ports that a live service publishes."""
    return [
        Port(port.get("PublishedPort", 0), port["TargetPort"], port["Protocol"], port["PublishMode"])
        for port in (spec.get("EndpointSpec") or {}).get("Ports") or []
    ]


def live_files(items: t.Iterable[Raw] | None, name: str) -> dict[str, str]:
    """Return the configs or secrets of a live service by their places, with an owner or mode that is not the default.

    The file of a config has its whole path; a name alone is in the root folder. Credentials for Windows have no file.
    """
    found = {}
    for item in items or ():
        file = item.get("File")
        if file:
            place, owner = file["Name"], (file.get("UID"), file.get("GID"), file.get("Mode"))
            shown = item[name]
            if owner != (_DEFAULT_OWNER, _DEFAULT_OWNER, _DEFAULT_MODE):
                shown += " (uid {}, gid {}, mode {:04o})".format(*owner)
            found[place if name == "SecretName" else config_place(place)] = shown
    return found


def config_place(target: str) -> str:
    """Return where a config is mounted: a name alone stands for a file in the root folder."""
    return target if target.startswith("/") else f"/{target}"


def live_mount(mount: Raw) -> Mount:
    """Return a mount as the Engine reports it."""
    volume, memory = mount.get("VolumeOptions") or {}, mount.get("TmpfsOptions") or {}
    driver, size = volume.get("DriverConfig") or {}, memory.get("SizeBytes")
    return Mount(
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


def two_views(stack: str, name: str, live: Raw | None, definition: Raw, networks: Networks = None) -> tuple[View, View]:
    """Return the views of the live service, empty where there is none, and of the declared one.

    C(networks) is as in C(live_service). Labels that UCP and MKE have added are no part of the live view.
    """
    wanted = wanted_service(stack, name, definition)
    if live is None:
        return {}, wanted
    if networks is not None:
        wanted["networks"] = [f"{stack}_default"]
    view = live_service(live["Spec"], with_digest="@" in wanted.get("image", ""), networks=networks)
    for kind in ("labels", "service_labels"):
        declared, labels = wanted.get(kind) or {}, view.pop(kind, {})
        kept = {key: value for key, value in labels.items() if key in declared or not key.startswith(_OF_PLATFORM)}
        if kept:
            view[kind] = kept
    if "image" not in wanted:
        del view["image"]
    if (live.get("UpdateStatus") or {}).get("State") in ("paused", "rollback_paused"):
        # Deploying again resumes the update.
        view["update"] = "paused"
    return view, wanted


def undeclared_parts(stack: str, name: str, live: Raw, definition: Raw) -> list[str]:
    """Return the keys in which a live service differs from its definition."""
    before, wanted = two_views(stack, name, live, definition)
    before.pop("update", None)
    return to_update(before, wanted)


def kept_volumes(stack: str, name: str, live: Raw | None, definition: Raw) -> list[str]:
    """Return the volumes of a service that are declared with another driver or option than they were made with."""
    container = ((live or {}).get("Spec") or {}).get("TaskTemplate", {}).get("ContainerSpec") or {}
    made = {mount.source: mount for mount in map(live_mount, container.get("Mounts") or [])}
    declared = [mount for mount in mounts(stack, definition["services"][name], definition) if mount.kind == "volume"]
    return [
        mount.source
        for mount in declared
        if mount.source in made and mount.driver_and_options != made[mount.source].driver_and_options
    ]


def different(before: View, after: View) -> list[str]:
    """Return the keys whose values differ, ordered by name."""
    return [key for key in sorted({*before, *after}) if before.get(key) != after.get(key)]


def to_update(before: View, after: View) -> list[str]:
    """Return the keys whose difference is a reason to update a service."""
    return [key for key in different(before, after) if key != OTHER_SETTINGS]


def shown_sides(before: View | None, after: View | None) -> tuple[View, View]:
    """Return the differences of two views; of a service that comes or goes, the settings that are no defaults."""
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


def _said(**view: t.Any) -> View:
    return {key: value for key, value in view.items() if value not in (None, [], {}, "")}


def _beyond(value: t.Any, default: str) -> t.Any:
    return None if value == default else value


def _view(**parts: t.Any) -> View:
    """Return a view of the parts of a service: in one order, with Docker's defaults, without empty values."""
    for key in ("constraints", "ports", "mounts", "extra_hosts", "cap_add", "cap_drop"):
        parts[key] = sorted(map(str, parts.get(key) or []))
    parts["environment"] = dict(sorted((parts.get("environment") or {}).items()))
    parts["stop_grace_period"] = _seconds(parts["stop_grace_period"], GRACE_PERIOD)
    parts["restart_policy"] = _restart_policy(parts["restart_policy"] or {})
    for key in ("update_config", "rollback_config"):
        parts[key] = _update_policy(parts[key] or {})
    for key in ("limits", "reservations"):
        parts[key] = _resources(parts[key] or {})
    parts["logging"] = _said(**(parts.get("logging") or {}))
    parts["healthcheck"] = _healthcheck(parts["healthcheck"])
    return _said(**parts)


def _seconds(time: str | int | None, default: str = "0s") -> str:
    return f"{(duration(default if time is None else time) or 0) / NANOSECONDS['s']:g}s"


def _restart_policy(given: Raw) -> View:
    return {
        "condition": given.get("condition") or "any",
        "delay": _seconds(given.get("delay"), "5s"),
        "max_attempts": given.get("max_attempts") or "unlimited",
        "window": _seconds(given.get("window")),
    }


def _update_policy(given: Raw) -> View:
    return {
        "parallelism": given.get("parallelism", 1),
        "delay": _seconds(given.get("delay")),
        "failure_action": given.get("failure_action") or "pause",
        # Docker's command writes 0 where nothing is declared, and the Engine takes that for its default.
        "monitor": _seconds(duration(given.get("monitor")) or None, "5s"),
        # A number of 32 bits in the Engine.
        "max_failure_ratio": f"{float(given.get('max_failure_ratio') or 0):.6g}",
        "order": given.get("order") or "stop-first",
    }


def _resources(given: Raw) -> View:
    cpus, memory = float(given.get("cpus") or 0), byte_size(given.get("memory"))
    return _said(**{**given, "cpus": cpus or None, "memory": memory or None})


def _live_resources(take: t.Callable[[str], t.Any], part: str) -> View:
    path = f"TaskTemplate.Resources.{part}."
    generic = [
        each.get("DiscreteResourceSpec") or each.get("NamedResourceSpec") or {}
        for each in take(f"{path}GenericResources") or []
    ]
    return {
        "cpus": (take(f"{path}NanoCPUs") or 0) / 10**9,
        "memory": take(f"{path}MemoryBytes"),
        "pids": take(f"{path}Pids") or None,
        "generic": sorted(f"{each.get('Kind')}={each.get('Value')}" for each in generic),
    }


def _healthcheck(given: Raw) -> View:
    """Return the declared parts of a healthcheck; the image or the Engine gives the others."""
    times = {name: _seconds(given[name]) for name in _TIMES if duration(given.get(name))}
    return _said(test=given.get("test"), **times, retries=given.get("retries") or None)


def _capabilities(given: t.Iterable[str] | None) -> set[str]:
    """Return capabilities as Docker's command writes them: in capitals and with their prefix."""
    names = {each.upper() for each in given or []}
    return {"ALL"} if "ALL" in names else {each if each.startswith("CAP_") else f"CAP_{each}" for each in names}


def _without_dockers(labels: Raw | None) -> dict[str, str]:
    return {key: value for key, value in (labels or {}).items() if not key.startswith(_OF_DOCKER)}


def _live_replicas(take: t.Callable[[str], t.Any]) -> t.Any:
    replicated, is_global = take("Mode.Replicated"), take("Mode.Global") is not None
    return "one on each node" if is_global else (replicated or {}).get("Replicas", 0)


def _networks(attached: t.Iterable[Raw], spec: Raw, names: t.Mapping[str, str]) -> list[str]:
    """Return the names of a service's networks, with the names that it has there besides its own."""
    # Docker's command gives each service of a stack its name there.
    stack = (spec.get("Labels") or {}).get(NAMESPACE_LABEL) or ""
    own, found = str(spec.get("Name") or "").removeprefix(f"{stack}_"), []
    for each in attached:
        name, others = names.get(each["Target"], str(each["Target"])), sorted(set(each.get("Aliases") or []) - {own})
        found.append(f"{name} (aliases {', '.join(others)})" if others else name)
    return sorted(found)


def _snake_case(given: Raw | None) -> dict[str, t.Any]:
    """Return settings of the Engine API under the names that compose files have for them."""
    return {re.sub(r"(?<!^)(?=[A-Z])", "_", key).lower(): value for key, value in (given or {}).items()}


def _take(place: t.Any, path: str) -> t.Any:
    """Remove and return the value at a path."""
    *above, last = path.split(".")
    for key in above:
        place = place.get(key) or {}
    return place.pop(last, None)


def _leaves(value: Raw, path: str = "") -> t.Iterator[tuple[str, t.Any]]:
    """Yield each value that is not empty, with its path."""
    for key, item in sorted(value.items()):
        if isinstance(item, t.Mapping):
            yield from _leaves(item, f"{path}{key}.")
        elif item:
            yield f"{path}{key}", item


# Docker's defaults, which a diff need not show.
DEFAULTS: View = {
    "stop_grace_period": GRACE_PERIOD,
    "restart_policy": _restart_policy({}),
    "update_config": _update_policy({}),
    "rollback_config": _update_policy({}),
}


# Names of Docker's objects, which no secret is.
_NAMES = ("configs", "secrets")
# Parts of a view that are words of a command, or hold some.
_COMMANDS = ("entrypoint", "command", "healthcheck")
# --password VALUE, and -u USER:VALUE as curl takes it, in a line for a shell.
_FLAG = re.compile(rf"--?[\w-]{{0,40}}{SECRET_NAME}", re.IGNORECASE)
_AFTER_FLAG = re.compile(rf"(?<!\S)({_FLAG.pattern}\s+)[^\s-]\S*", re.IGNORECASE)
_AFTER_USER = re.compile(r"(?<!\S)((?:-u|--user|--proxy-user)[\s=]{1,4}[\"']?[^\s\"':]+:)[^\s\"']+")

_QUERY = re.compile(r"\?[^\s\"'<>]*")


def comparable_sides(before: View, after: View) -> tuple[View, View]:
    """Two views as a diff may show them. A word says where another secret takes the place of one."""
    return _beside(before, {}), _beside(after, before)


def without_credentials(view: View) -> View:
    """A view with a word in the place of what is a credential by its name, or looks like one in a command."""
    return {key: value if key in _NAMES else _hidden((key,), value) for key, value in view.items()}


def carries_secret(words: t.Sequence[str]) -> bool:
    """Whether the words of a command give something a password or a token. What a query asks for may be anything."""
    asked = [printable(_QUERY.sub("", word)).strip() for word in words]
    return any(redacted(left, longest=len(left)) != word for word, left in zip(asked, _blanked(_COMMANDS[:1], asked)))


def _beside(view: View, other: View) -> View:
    return {
        key: value if key in _NAMES else comparable(_blanked((key,), value), _blanked((key,), other.get(key)), (key,))
        for key, value in view.items()
    }


def _hidden(path: tuple[str, ...], value: t.Any) -> t.Any:
    if isinstance(value, dict):
        return {key: _hidden((*path, str(key)), item) for key, item in value.items()}
    if isinstance(value, list):
        pairs = zip(value, _blanked(path, value))
        return [HIDDEN if blanked != item else _hidden(path, item) for item, blanked in pairs]
    is_line = path[0] in _COMMANDS and isinstance(value, str)
    return HIDDEN if holds_credential(path, value) or (is_line and redacted(_line(value)) != value) else value


def _blanked(path: tuple[str, ...], value: t.Any) -> t.Any:
    """The value without what a flag names as a secret, in the words of commands."""
    if path[0] not in _COMMANDS:
        return value
    if isinstance(value, dict):
        return {key: _blanked(path, item) for key, item in value.items()}
    if isinstance(value, list):
        return [_word(str(before), str(item)) for before, item in zip(("", *value), value)]
    return _line(value) if isinstance(value, str) else value


def _word(before: str, word: str) -> str:
    """A word of a command, after another one."""
    if _FLAG.fullmatch(before) and not word.startswith("-"):
        return BLANK
    return _line(f"{before} {word}")[len(before) + 1 :] if before in ("-u", "--user", "--proxy-user") else _line(word)


def _line(text: str) -> str:
    return _AFTER_USER.sub(rf"\1{BLANK}", _AFTER_FLAG.sub(rf"\1{BLANK}", text))
