# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What C(docker stack deploy) makes of the parts of a C(docker-stack.yml), whichever short or long form they have.

Source: cli/compose/loader and cli/compose/convert of docker/cli. All functions raise C(Failure) with the code
C(INVALID_INPUT) for what Docker would not take, or what only Docker's command could read.
"""

from __future__ import annotations

import re
import shlex
import typing as t

from ..common.failure import Failure

Raw = t.Mapping[str, t.Any]

NANOSECONDS = {"ns": 1, "us": 10**3, "µs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
BYTES = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40, "p": 2**50}
DEFAULT_OWNER = "0"
DEFAULT_MODE = 0o444
DEFAULT_TMPFS_MODE = 0o1777
DEFAULT_PROPAGATION = "rprivate"
_PROPAGATIONS = ("private", "rprivate", "shared", "rshared", "slave", "rslave")


class Port(t.NamedTuple):
    """A published port; C(published) is 0 where Swarm chooses it."""

    published: int
    target: int
    protocol: str = "tcp"
    mode: str = "ingress"

    def __str__(self) -> str:
        return f"{self.published}:{self.target}/{self.protocol} ({self.mode})"


class FileReference(t.NamedTuple):
    """A config or secret in a container, by the name that Swarm knows it by."""

    name: str
    uid: str = DEFAULT_OWNER
    gid: str = DEFAULT_OWNER
    mode: int = DEFAULT_MODE

    def __str__(self) -> str:
        if self[1:] == (DEFAULT_OWNER, DEFAULT_OWNER, DEFAULT_MODE):
            return self.name
        return f"{self.name} (uid {self.uid}, gid {self.gid}, mode {self.mode:04o})"


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
        """How it is mounted, as far as Docker would not do so anyway."""
        found = ["read only"] * self.read_only + ["no copy"] * self.no_copy
        found += [f"propagation {self.propagation}"] if self.propagation not in ("", DEFAULT_PROPAGATION) else []
        return found + ([f"mode {self.mode:04o}"] if self.mode not in (0, DEFAULT_TMPFS_MODE) else [])

    def __str__(self) -> str:
        details = self.manner
        # Where none is named, the Engine takes this one.
        details += [f"driver {self.driver}"] if self.driver not in ("", "local") else []
        details += [f"{key}={value}" for key, value in sorted(self.options.items())]
        return f"{self.kind} {self.source} at {self.target}" + (f" ({','.join(details)})" if details else "")


def duration(value: str | int | None) -> int | None:
    """Nanoseconds of a Go duration such as C(1m30s); a number is nanoseconds already.

    Raises:
        Failure: C(INVALID_INPUT) when it is none.
    """
    if value is None or isinstance(value, int):
        return value
    parts = re.findall(r"([0-9]+(?:\.[0-9]+)?)(ns|us|µs|ms|s|m|h)", value)
    if not parts or "".join(number + unit for number, unit in parts) != value:
        raise Failure("INVALID_INPUT", f"{value!r} is not a duration such as 10s or 1m30s.")
    return int(sum(float(number) * NANOSECONDS[unit] for number, unit in parts))


def byte_size(value: str | int | None) -> int | None:
    """Bytes of a size such as C(512M) or C(512MiB), which are the same for Docker.

    Raises:
        Failure: C(INVALID_INPUT) when it is none.
    """
    if value is None or isinstance(value, int):
        return value
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?) ?([kmgtp]?)i?b?", value.strip().lower())
    if not match:
        raise Failure("INVALID_INPUT", f"{value!r} is not a size such as 512M.")
    return int(float(match[1]) * BYTES[match[2]])


def image(reference: str, *, with_digest: bool) -> str:
    """An image's reference as Docker shows it: without C(docker.io/) and C(library/), with its tag."""
    name, _at, digest = reference.partition("@")
    host, _slash, rest = name.partition("/")
    if rest and host in ("docker.io", "index.docker.io"):
        name = rest
    if name.count("/") == 1:
        name = name.removeprefix("library/")
    if not digest and ":" not in name.rpartition("/")[2]:
        name += ":latest"
    return f"{name}@{digest}" if digest and with_digest else name


def repository(reference: str) -> str:
    """An image's name without its tag and its digest."""
    folder, slash, last = image(reference, with_digest=False).rpartition("/")
    return f"{folder}{slash}{last.partition(':')[0]}" if reference else ""


def words(value: str | t.Sequence[t.Any] | None) -> list[str]:
    """The words of a command, which may be given as a line for a shell."""
    if isinstance(value, str):
        return shlex.split(value)
    return [str(word) for word in value or []]


def environment(service: Raw) -> dict[str, str]:
    """The environment of a service by name."""
    if service.get("env_file"):
        raise _invalid("env_file is read by Docker's command alone; write its lines as environment.")
    given = service.get("environment") or {}
    pairs = given.items() if isinstance(given, t.Mapping) else (str(item).partition("=")[::2] for item in given)
    return {str(key): as_text(value) for key, value in sorted(pairs)}


def ports(service: Raw) -> list[Port]:
    """The ports that a service publishes."""
    found = []
    for port in service.get("ports") or []:
        if isinstance(port, t.Mapping):
            protocol, mode = port.get("protocol") or "tcp", port.get("mode") or "ingress"
            found.append(Port(int(port.get("published") or 0), int(port["target"]), protocol, mode))
        else:
            found += _short_ports(str(port))
    return found


def files(stack: str, service: Raw, definition: Raw, kind: str) -> dict[str, FileReference]:
    """The configs or secrets (C(kind)) of a service by the place where each is mounted."""
    found = {}
    for item in service.get(kind) or []:
        reference = item if isinstance(item, t.Mapping) else {"source": str(item)}
        source = reference["source"]
        target = reference.get("target") or source
        found[config_place(target) if kind == "configs" else target] = FileReference(
            _swarm_name(stack, source, definition, kind),
            str(reference.get("uid") or DEFAULT_OWNER),
            str(reference.get("gid") or DEFAULT_OWNER),
            DEFAULT_MODE if reference.get("mode") is None else int(reference["mode"]),
        )
    return found


def config_place(target: str) -> str:
    """Where a config is mounted: a name alone stands for a file in the root folder."""
    return target if target.startswith("/") else f"/{target}"


def mounts(stack: str, service: Raw, definition: Raw) -> list[Mount]:
    """The mounts of a service."""
    return [
        _long_mount(stack, volume if isinstance(volume, t.Mapping) else _short_mount(str(volume)), definition)
        for volume in service.get("volumes") or []
    ]


def networks(stack: str, service: Raw, definition: Raw) -> list[str]:
    """The networks of a service by the names that Docker knows them by, with the names that it has there besides."""
    given = service.get("networks") or ["default"]
    parts = given if isinstance(given, t.Mapping) else dict.fromkeys(given)
    declared = {"networks": {"default": {}, **(definition.get("networks") or {})}}
    return sorted(
        network(_swarm_name(stack, str(name), declared, "networks"), (part or {}).get("aliases") or [])
        for name, part in parts.items()
    )


def network(name: str, aliases: t.Iterable[str]) -> str:
    """A network of a service, with the names that the service has there besides its own."""
    others = ", ".join(sorted(map(str, aliases)))
    return f"{name} (aliases {others})" if others else name


def generic_resources(reserved: Raw) -> list[str]:
    """The reserved resources of which nodes say by themselves how many they have."""
    specs = [each.get("discrete_resource_spec") or {} for each in reserved.get("generic_resources") or []]
    return sorted(f"{spec.get('kind')}={spec.get('value')}" for spec in specs)


def restart_policy(service: Raw) -> dict[str, t.Any]:
    """When a container is started again. What is written for C(docker run) serves where C(deploy) says nothing."""
    given = (service.get("deploy") or {}).get("restart_policy")
    if given:
        return dict(given)
    condition, _colon, attempts = str(service.get("restart") or "").partition(":")
    if condition != "on-failure":
        return {}
    return {"condition": condition, "max_attempts": int(attempts or 0)}


def _short_ports(text: str) -> list[Port]:
    """The ports of C([ADDRESS:][PUBLISHED:]TARGET[/PROTOCOL]), where both may be ranges; Swarm ignores the address."""
    body, _slash, protocol = text.partition("/")
    *rest, target = body.rsplit(":", 2)
    targets = _port_range(target, text)
    published = _port_range(rest[-1], text) if rest and rest[-1] else [0] * len(targets)
    if len(published) != len(targets):
        raise _invalid(f"the port {text!r} names {len(published)} ports for {len(targets)}.")
    return [Port(*pair, protocol or "tcp") for pair in zip(published, targets)]


def _port_range(text: str, port: str) -> list[int]:
    match = re.fullmatch(r"(\d+)(?:-(\d+))?", text)
    if not match:
        raise _invalid(f"{port!r} is not a port such as 443:443.")
    return list(range(int(match[1]), int(match[2] or match[1]) + 1))


def external_names(definition: Raw, kind: str) -> list[str]:
    """The names of the configs or secrets that the definition declares and does not make."""
    declared = definition.get(kind) or {}
    external = [source for source, entry in declared.items() if (entry or {}).get("external") not in (None, False)]
    return [_swarm_name("", source, definition, kind) for source in external]


def _swarm_name(stack: str, source: str, definition: Raw, kind: str) -> str:
    """The name that Swarm knows an object of the definition by."""
    objects = definition.get(kind) or {}
    if source not in objects:
        raise _invalid(f"{kind}: {source!r} is used by a service and declared nowhere.")
    declared = objects[source] or {}
    external = declared.get("external")
    name = (external.get("name") if isinstance(external, t.Mapping) else None) or declared.get("name")
    if external or external == {}:
        return str(name or source)
    return str(name or f"{stack}_{source}")


def _short_mount(text: str) -> dict[str, t.Any]:
    """The long form of C([SOURCE:]TARGET[:OPTION,…])."""
    source, colon, rest = text.partition(":")
    if not colon:
        return {"type": "volume", "target": text}
    target, _colon, options = rest.partition(":")
    return {
        "type": "bind" if source[:1] in "/.~" else "volume",
        "source": source,
        "target": target,
        "read_only": "ro" in options.split(","),
        "volume": {"nocopy": "nocopy" in options.split(",")},
        "bind": {"propagation": next((each for each in options.split(",") if each in _PROPAGATIONS), "")},
    }


def _long_mount(stack: str, volume: Raw, definition: Raw) -> Mount:
    kind, source, target = volume["type"], volume.get("source") or "", volume["target"]
    read_only = bool(volume.get("read_only"))
    if kind == "bind" and not source.startswith("/"):
        raise _invalid(f"the folder {source!r} is taken from where Docker's command runs; write it from the root on.")
    if kind == "tmpfs":
        size = byte_size((volume.get("tmpfs") or {}).get("size"))
        return Mount(kind, source, target, read_only, options={"size": size} if size else {})
    if kind == "bind":
        propagation = str((volume.get("bind") or {}).get("propagation") or "")
        return Mount(kind, source, target, read_only, propagation=propagation)
    if kind != "volume" or not source:
        return Mount(kind, source, target, read_only)
    no_copy = bool((volume.get("volume") or {}).get("nocopy"))
    name = _swarm_name(stack, source, definition, "volumes")
    declared = definition["volumes"][source] or {}
    if declared.get("external"):
        return Mount(kind, name, target, read_only, no_copy)
    options = {key: as_text(value) for key, value in (declared.get("driver_opts") or {}).items()}
    return Mount(kind, name, target, read_only, no_copy, declared.get("driver") or "", options)


def as_text(value: t.Any) -> str:
    """A value as Docker's command writes it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)


def _invalid(sentence: str) -> Failure:
    return Failure("INVALID_INPUT", f"The stack's definition cannot be read: {sentence}")
