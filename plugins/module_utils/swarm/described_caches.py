# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs as the content caches of a Swarm, whoever made them, fit to be shown and described. Pure functions."""

from __future__ import annotations

import typing as t

from ..common.redaction import HIDDEN, blanked, holds_credential, redacted
from .compose import image
from .live_cache import CONFIG_NAME, config_of, is_content_cache, stack_and_name
from .masking import without_credentials
from .model import Moment, Raw, Swarm
from .objects import STACK_LABEL
from .plan import IMAGE_LABEL
from .tasks import node_name, runs, tasks_of
from .verdict import nodes_that_meet
from .views import View, config_place, live_mount, live_ports, live_service

_SECRETS_FOLDER = "/run/secrets/"

# Where a config.yml is, and whether anybody can read it.
CONFIG, SECRET, UNKNOWN = "config", "secret", "unknown"
_UNREADABLE = {
    CONFIG: "it is not there any more, or is no YAML",
    SECRET: "it is a Docker secret, which nobody can read",
    UNKNOWN: "it is in the image or on the disk of a node",
}


class ConfigFile(t.NamedTuple):
    """The C(config.yml) of a service, as far as it can be read.

    Args:
        kind: C(config), C(secret), which nobody can read, or C(unknown): in the image or on a node's disk.
        name: The name of the config or secret in the Swarm.
        place: Its path in the container.
        content: Its data, with a word in the place of each credential; empty where it cannot be read.
        problem: Why not.
    """

    kind: str
    name: str = ""
    place: str = ""
    content: t.Mapping[str, t.Any] = {}
    problem: str = ""


def described_caches(swarm: Swarm, moment: Moment, stack: str = "") -> list[dict[str, t.Any]]:
    """The caches of a Swarm, ordered by the names of their services. Nothing in it is a secret.

    Args:
        swarm: The whole Swarm; of no stack in particular.
        moment: Its nodes and the tasks that are to run.
        stack: A stack whose only service is taken for a cache where none of the stack is known as one.
    """
    services = [service for service in (*swarm.services.values(), *swarm.other_services) if _has_container(service)]
    known = [service for service in services if is_content_cache(service, swarm.configs)]
    of_stack = [service for service in services if stack and stack_and_name(service)[0] == stack]
    if len(of_stack) == 1 and of_stack[0] not in known:
        known.append(of_stack[0])
    return sorted((_described(service, swarm, moment) for service in known), key=lambda live: str(live["service"]))


def config_file(service: Raw, swarm: Swarm) -> ConfigFile:
    """The file that a service gives to the registry: the last word of its command, or what is called so."""
    container = service["Spec"]["TaskTemplate"]["ContainerSpec"]
    words = [*(container.get("Command") or []), *(container.get("Args") or [])]
    configs, secrets = (
        [(item["File"]["Name"], item[name]) for item in container.get(kind) or [] if item.get("File")]
        for kind, name in (("Configs", "ConfigName"), ("Secrets", "SecretName"))
    )
    files = {
        **{config_place(place): (CONFIG, name) for place, name in configs},
        **{_secret_place(place): (SECRET, name) for place, name in secrets},
    }
    named = [word for word in reversed(words) if word in files]
    called = [place for place in files if place.rpartition("/")[2] == CONFIG_NAME]
    content = config_of(service, swarm.configs)
    for place in (*named, *called, *sorted(files)):
        kind, name = files[place]
        if kind == CONFIG and content is not None:
            return ConfigFile(kind, name, place, _with_text_keys(blanked(dict(content))))
        if place in (*named, *called):
            return ConfigFile(kind, name, place, problem=_UNREADABLE[kind])
    return ConfigFile(UNKNOWN, problem=_UNREADABLE[UNKNOWN])


def _has_container(service: Raw) -> bool:
    """Whether it runs a container, and is no plugin."""
    return bool(service["Spec"]["TaskTemplate"].get("ContainerSpec"))


def _secret_place(target: str) -> str:
    return target if target.startswith("/") else _SECRETS_FOLDER + target


def _label(file: ConfigFile, swarm: Swarm, label: str) -> str:
    """A label of the config or secret that a file is."""
    item: Raw = (swarm.secrets if file.kind == SECRET else swarm.configs).get(file.name) or {}
    return str((item.get("Spec", {}).get("Labels") or {}).get(label) or "")


def _with_text_keys(value: t.Any) -> t.Any:
    """The data as JSON can have it: YAML also has dates, and keys that are no text."""
    if isinstance(value, dict):
        return {str(key): _with_text_keys(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_text_keys(item) for item in value]
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)


def _described(service: Raw, swarm: Swarm, moment: Moment) -> dict[str, t.Any]:
    spec = service["Spec"]
    container = spec["TaskTemplate"]["ContainerSpec"]
    view = live_service(spec, networks=swarm.network_names)
    file = config_file(service, swarm)
    stack, name = stack_and_name(service)
    constraints = view.get("constraints", [])
    running = [task for task in tasks_of(service, moment) if runs(task, moment)]
    return {
        "stack": stack,
        "service": str(spec["Name"]),
        "service_name": name,
        "id": service["ID"],
        "image": _declared_image(spec),
        "ports": [port._asdict() for port in live_ports(spec)],
        "replicas": view.get("replicas", 0) if view.get("replicas") != "one on each node" else None,
        "constraints": constraints,
        "nodes": sorted(
            str(node["Description"]["Hostname"]) for node in nodes_that_meet(constraints, swarm.nodes.values())
        ),
        "running_on": sorted({node_name(task, moment) for task in running}),
        "addresses": _addresses(moment),
        "environment": {
            key: HIDDEN if holds_credential((key,), value) else value
            for key, value in view.get("environment", {}).items()
        },
        "mounts": [_mount(mount) for mount in container.get("Mounts") or []],
        "limits": view.get("limits", {}),
        "reservations": view.get("reservations", {}),
        "update_config": view["update_config"],
        "view": _comparable(view),
        "config": file._asdict(),
        "own": bool(_label(file, swarm, STACK_LABEL)),
    }


def _addresses(moment: Moment) -> list[str]:
    found = {str((node.get("Status") or {}).get("Addr") or "") for node in moment.nodes.values()}
    return sorted(found - {""})


def _declared_image(spec: Raw) -> str:
    """The image as it was declared: Docker adds the digest to the one that runs."""
    live = str(spec["TaskTemplate"]["ContainerSpec"]["Image"])
    noted = str((spec.get("Labels") or {}).get(IMAGE_LABEL) or "")
    if noted and image(noted, with_digest=False) == image(live, with_digest=False):
        return noted
    name = live.partition("@")[0]
    # Without a tag, the digest is all that says which image it is.
    return name if ":" in name.rpartition("/")[2] else live


def _mount(mount: Raw) -> dict[str, t.Any]:
    found = live_mount(mount)
    options = {str(key): str(value) for key, value in found.options.items()}
    return {
        "kind": found.kind,
        "source": found.source,
        "target": found.target,
        "manner": found.manner,
        "driver": found.driver,
        "options": dict.fromkeys(options, HIDDEN) if any(map(_may_carry_credentials, options.items())) else options,
    }


def _may_carry_credentials(option: tuple[str, str]) -> bool:
    key, value = option
    return holds_credential((key,), value) or redacted(value) != value


def _comparable(view: View) -> View:
    """What is compared as it is. The rest has parts of its own."""
    return without_credentials({key: value for key, value in view.items() if key not in ("environment", "mounts")})
