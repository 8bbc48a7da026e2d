# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Content caches among the services of a Swarm: which they are, whose each is, and its description. Pure functions.

A service is a content cache by any of these: its image has the vendor's name, its C(config.yml) has the middleware
C(downstream), or its command is the vendor's C(/start.sh) with a C(config.yml). A cache that was made by hand may have
any service name, and configs and secrets of any name.
"""

from __future__ import annotations

import base64
import binascii
import posixpath
import re
import typing as t
from urllib.parse import urlsplit

from ..common.redaction import HIDDEN, blanked, holds_credential, redacted
from ..common.urls import DEFAULT_PORTS, canonical_server
from .compose import image as shown_image
from .compose import repository
from .model import IMAGE_LABEL, NAMESPACE_LABEL, Moment, Raw, Swarm, is_trial
from .objects import STACK_LABEL, is_of_collection
from .verdict import node_name, nodes_that_meet, runs, tasks_of
from .views import Port, config_place, live_mount, live_ports, live_service, without_credentials

try:
    import yaml

    _yaml: t.Any = yaml
except ImportError:
    # swarm/prerequisites reports what is missing on the manager.
    _yaml = None

# The last part of the image's repository, in all product lines.
IMAGE_NAMES = ("dtr-content-cache", "msr-content-cache")
# The labels by which the vendor's documents place a cache.
VENDOR_LABELS = ("dtr.cache", "msr.cache")
MIDDLEWARE = "downstream"
START = "/start.sh"
CONFIG_NAME = "config.yml"
# The service of the vendor's documents, and so of a stack without a cache.
SERVICE = "cache"
# The mode of a cache; others are Global and those of jobs.
REPLICATED = "Replicated"
# Where a config.yml is.
CONFIG, SECRET, UNKNOWN = "config", "secret", "unknown"
_UNREADABLE = {
    CONFIG: "it is not there any more, or is no YAML",
    SECRET: "it is a Docker secret, which nobody can read",
    UNKNOWN: "it is in the image or on the disk of a node",
}
_SECRETS_FOLDER = "/run/secrets/"
_PLACED = re.compile(r"\s*node\.labels\.(\S+?)\s*==\s*(.*?)\s*")

Services = t.Mapping[str, Raw]
"""The services of a stack by their names without the stack's."""
Configs = t.Mapping[str, Raw]
"""The Docker configs of a Swarm by their names."""


class LiveCache(t.NamedTuple):
    """A service that is a content cache.

    Args:
        stack: Its stack; empty where it was made without one.
        name: Its name without the stack's.
        full_name: The name that Docker's command shows.
        image: Its image, without a digest.
        ports: The ports that it publishes.
        config: Its C(config.yml); None where it cannot be read, such as from a secret.
    """

    stack: str
    name: str
    full_name: str
    image: str
    ports: tuple[Port, ...]
    config: t.Mapping[str, t.Any] | None

    @property
    def url(self) -> str:
        """Return the public address in its C(config.yml) (C(http.host)); empty where it has none."""
        http = (self.config or {}).get("http")
        return str(http.get("host") or "") if isinstance(http, t.Mapping) else ""

    def publishes(self, port: int) -> bool:
        """Check whether it publishes a port, in any mode."""
        return any(each.published == port for each in self.ports)

    def is_of(self, host: str) -> bool:
        """Check whether it may be the cache of a host: its C(config.yml) names that host, or none."""
        return not self.url or not host or host_of(self.url) == host_of(host)

    @property
    def url_port(self) -> int | None:
        """Return the port that C(http.host) names, if any."""
        try:
            return urlsplit(self.url if "://" in self.url else f"https://{self.url}").port
        except ValueError:
            return None

    @property
    def signs(self) -> str:
        """Return the facts by which a person recognises it."""
        return ", ".join([f"image {self.image}", *([f"http.host {self.url}"] if self.url else [])])


def live_caches(services: t.Iterable[Raw], configs: Configs, image: str = "") -> list[LiveCache]:
    """Return the content caches among services, ordered by their full names.

    Args:
        services: Services as the Engine lists them.
        configs: Docker configs by their names, as the Engine lists them.
        image: The image that is wanted: what runs from its repository is a cache whatever the repository is called.
    """
    found = [live_cache(service, configs) for service in services if is_content_cache(service, configs, image)]
    return sorted(found, key=lambda cache: cache.full_name)


def is_content_cache(service: Raw, configs: Configs, image: str = "") -> bool:
    """Check whether a service is a content cache."""
    if is_trial(service):
        return False
    container = _container(service)
    name = repository(container.get("Image") or "")
    if name.rpartition("/")[2] in IMAGE_NAMES or (image and name == repository(image)):
        return True
    if downstream_options(config_of(service, configs)):
        return True
    words = _command(container)
    return words[:1] == [START] and any(word.rpartition("/")[2].startswith("config.y") for word in words[1:])


def live_cache(service: Raw, configs: Configs) -> LiveCache:
    """Return the cache that a service is."""
    spec, container = service["Spec"], _container(service)
    stack, name = stack_and_name(service)
    return LiveCache(
        stack=stack,
        name=name,
        full_name=spec.get("Name") or "",
        image=shown_image(container["Image"], with_digest=False) if container.get("Image") else "",
        ports=tuple(live_ports(spec)),
        config=config_of(service, configs),
    )


def stack_and_name(service: Raw) -> tuple[str, str]:
    """Return the stack of a service, and its name without the stack's."""
    name = str(service["Spec"].get("Name") or "")
    stack = str((service["Spec"].get("Labels") or {}).get(NAMESPACE_LABEL) or "")
    return stack, name[len(stack) + 1 :] if stack and name.startswith(f"{stack}_") else name


def node_labels_of(spec: Raw) -> dict[str, str]:
    """Return the labels of nodes, with their values, by which a service is placed."""
    constraints = ((spec.get("TaskTemplate") or {}).get("Placement") or {}).get("Constraints") or []
    matches = [_PLACED.fullmatch(constraint) for constraint in constraints]
    return {match[1]: match[2] for match in matches if match}


def config_of(service: Raw, configs: Configs) -> t.Mapping[str, t.Any] | None:
    """Return the C(config.yml) of a service, where it is a Docker config that can be read."""
    container = _container(service)
    mounted = {
        config_place(item["File"]["Name"]): item["ConfigName"]
        for item in container.get("Configs") or []
        if item.get("File")
    }
    words = _command(container)
    # The file that the command names first: one that is not read says nothing.
    places = [word for word in reversed(words) if word in mounted] or sorted(mounted)
    for place in places:
        data = ((configs.get(mounted[place]) or {}).get("Spec") or {}).get("Data")
        config = parsed_config(data) if data else None
        if config is not None:
            return config
    return None


def parsed_config(data: str) -> dict[str, t.Any] | None:
    """Return the content of a Docker config (C(Data) of the Engine API), where it is a mapping in YAML."""
    if _yaml is None:
        return None
    try:
        parsed = _yaml.safe_load(base64.b64decode(data))
    except (binascii.Error, ValueError, _yaml.YAMLError):
        return None
    return parsed if isinstance(parsed, dict) else None


def downstream_options(config: t.Mapping[str, t.Any] | None) -> dict[str, t.Any]:
    """Return the options of the middleware C(downstream) in a C(config.yml) (C(blobttl), C(upstreams), C(cas))."""
    middleware = (config or {}).get("middleware")
    listed = middleware.get("registry") if isinstance(middleware, t.Mapping) else None
    for each in listed if isinstance(listed, list) else []:
        if isinstance(each, t.Mapping) and each.get("name") == MIDDLEWARE:
            options = each.get("options")
            return dict(options) if isinstance(options, t.Mapping) else {}
    return {}


def _container(service: Raw) -> Raw:
    return (service["Spec"].get("TaskTemplate") or {}).get("ContainerSpec") or {}


def _command(container: Raw) -> list[str]:
    return [*(container.get("Command") or []), *(container.get("Args") or [])]


def host_of(url: str) -> str:
    """Return the host name of a URL, of C(HOST:PORT) or of a name alone, in one form."""
    is_ipv6 = "://" not in url and url.count(":") > 1 and not url.startswith("[")
    try:
        server = canonical_server(f"https://[{url}]" if is_ipv6 else url)
    except ValueError:
        return url
    return re.sub(r":\d+$", "", server.partition("://")[2].partition("/")[0])


def cache_service(stack: str, services: Services, configs: Configs, image: str, port: int = 0) -> str:
    """Return the name of the stack's service that is the cache; the documents' name where the stack has none.

    Of several caches in one stack, it is the one that publishes C(port). C(image) is the desired image.
    """
    names = _caches(stack, services, configs, image)
    if SERVICE in names or not names:
        return SERVICE
    publishing = [name for name in names if publishes(services[name], port)]
    chosen = names if len(names) == 1 else publishing
    return chosen[0] if len(chosen) == 1 else SERVICE


def own_caches(
    stack: str, services: Services, configs: Configs, *, host: str, public_port: int, port: int, image: str
) -> tuple[list[str], list[LiveCache]]:
    """Return the services of a stack that are this cache, and the content caches of the stack that are not.

    Two caches may have one host name and differ by their ports. Where one has this very address, others that only may
    have it, as their C(config.yml) has none, are not this one. An empty host, and a port of 0, are not compared.
    """
    caches = {name: live_cache(services[name], configs) for name in _caches(stack, services, configs, image)}
    if not caches and set(services) == {SERVICE}:
        # The only service of the stack has the name of the cache, whatever it runs.
        return [SERVICE], []

    def likeness(cache: LiveCache, *, ours: bool) -> int:
        """Return 3 for the same address, 2 for the same port, 1 where it may be this cache, and 0 where it is not."""
        if not cache.is_of(host):
            return 0
        if not port:
            return 1
        if cache.url and public_port == (cache.url_port or DEFAULT_PORTS["https"]):
            return 3
        # Made by hand, a name without a port may have been meant for any.
        if cache.url and (ours or cache.url_port):
            return 0
        return 2 if cache.publishes(port) else int(not cache.ports)

    signs = {name: likeness(cache, ours=is_ours(stack, services[name])) for name, cache in caches.items()}
    least = max(signs.values(), default=0) if port else 1
    mine = [name for name, sign in signs.items() if sign and sign >= least]
    return mine, [cache for name, cache in caches.items() if name not in mine]


def stack_problems(stack: str, services: Services, configs: Configs, image: str, port: int) -> list[str]:
    """Return why the cache cannot be deployed to its stack, as the services there are."""
    own = cache_service(stack, services, configs, image, port)
    names = _caches(stack, services, configs, image)
    if own not in names and len(names) > 1:
        return [
            f"dtr_cache_stack_name: stack {stack} has {len(names)} content caches ({_listed(stack, names)}), and not "
            f"exactly one of them publishes port {port}; remove those that are not this cache with docker service rm, "
            "or give this cache a stack of its own with dtr_cache_stack_name"
        ]
    if own in services and own not in names:
        image_of_it = services[own]["Spec"]["TaskTemplate"]["ContainerSpec"].get("Image", "").partition("@")[0]
        return [
            f"dtr_cache_stack_name: service {stack}_{own} is no content cache (its image is {image_of_it}), and would "
            "be replaced by one; give this cache a stack of its own with dtr_cache_stack_name"
        ]
    if own in services and (other_mode := mode_problem(services[own])):
        return [f"dtr_cache_stack_name: {other_mode}"]
    others = [name for name, service in sorted(services.items()) if name != own and publishes(service, port)]
    if not others:
        return []
    if own in services:
        who = f"{stack}_{own} is the cache, and {_listed(stack, others)} publishes the port as well"
    else:
        who = f"{_listed(stack, others)} publishes it, and is no content cache that is known"
    return [
        f"dtr_cache_port: two services of stack {stack} cannot both have port {port}: {who}. Remove what is not needed "
        f"with: docker service rm {' '.join(f'{stack}_{name}' for name in others)}"
    ]


def mode_problem(service: Raw) -> str:
    """Return why a deployment cannot take the place of a service in another mode; empty where it is replicated."""
    mode, name = next(iter(service["Spec"].get("Mode") or ()), REPLICATED), service["Spec"]["Name"]
    if mode == REPLICATED:
        return ""
    return (
        f"service {name} runs in mode {mode.lower()}, which Swarm cannot change: remove it right before the "
        f"deployment, with docker service rm {name}; its accounts stay, and cannot pull in between"
    )


def with_service(definition: t.Mapping[str, t.Any], name: str) -> dict[str, t.Any]:
    """Return the definition with the service named as the one that exists, which is updated in place then."""
    services = definition.get("services") or {}
    if name == SERVICE or SERVICE not in services:
        return dict(definition)
    renamed = {name if key == SERVICE else key: service for key, service in services.items()}
    return {**definition, "services": renamed}


def publishes(service: Raw, port: int) -> bool:
    """Check whether a service publishes a port, or is about to."""
    ends = (service["Spec"].get("EndpointSpec") or {}, service.get("Endpoint") or {})
    return any(item.get("PublishedPort") == port for end in ends for item in end.get("Ports") or [])


def is_ours(stack: str, service: Raw) -> bool:
    """Check whether this collection deployed a service, as it runs or before its last update."""
    specs = (service["Spec"], service.get("PreviousSpec") or {})
    return any(is_of_collection(stack, spec.get("TaskTemplate") or {}) for spec in specs)


def _caches(stack: str, services: Services, configs: Configs, image: str) -> list[str]:
    """Return the content caches, and the services that this collection deployed, whatever they run now."""
    return sorted(
        name
        for name, service in services.items()
        if is_content_cache(service, configs, image) or is_ours(stack, service)
    )


def _listed(stack: str, names: t.Iterable[str]) -> str:
    return ", ".join(f"{stack}_{name}" for name in names)


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
    """Describe the caches of a Swarm, ordered by the names of their services. No description has a secret.

    Args:
        swarm: The whole Swarm; of no stack in particular.
        moment: Its nodes and the tasks that are to run.
        stack: A stack whose only service is taken for a cache where none of the stack is known as one.
    """
    # The others run plugins.
    services = [service for service in (*swarm.services.values(), *swarm.other_services) if _container(service)]
    known = [service for service in services if is_content_cache(service, swarm.configs)]
    of_stack = [service for service in services if stack and stack_and_name(service)[0] == stack]
    if len(of_stack) == 1 and of_stack[0] not in known:
        known.append(of_stack[0])
    return sorted((_described(service, swarm, moment) for service in known), key=lambda live: str(live["service"]))


def config_file(service: Raw, swarm: Swarm) -> ConfigFile:
    """Return the C(config.yml) of a service: the last word of its command that is a file, or the file of that name."""
    container = service["Spec"]["TaskTemplate"]["ContainerSpec"]
    words = [*(container.get("Command") or []), *(container.get("Args") or [])]
    configs, secrets = (
        [(item["File"]["Name"], item[name]) for item in container.get(kind) or [] if item.get("File")]
        for kind, name in (("Configs", "ConfigName"), ("Secrets", "SecretName"))
    )
    files = {
        **{config_place(place): (CONFIG, name) for place, name in configs},
        **{posixpath.join(_SECRETS_FOLDER, place): (SECRET, name) for place, name in secrets},
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


def _with_text_keys(value: t.Any) -> t.Any:
    """Return data without the dates and the other keys than texts that YAML has, and JSON has not."""
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
    item: Raw = (swarm.secrets if file.kind == SECRET else swarm.configs).get(file.name) or {}
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
        "addresses": sorted(
            {str((node.get("Status") or {}).get("Addr") or "") for node in moment.nodes.values()} - {""}
        ),
        "environment": {
            key: HIDDEN if holds_credential((key,), value) else value
            for key, value in view.get("environment", {}).items()
        },
        "mounts": [_mount(mount) for mount in container.get("Mounts") or []],
        "limits": view.get("limits", {}),
        "reservations": view.get("reservations", {}),
        "update_config": view["update_config"],
        "view": without_credentials(
            {key: value for key, value in view.items() if key not in ("environment", "mounts")}
        ),
        "config": file._asdict(),
        "own": bool((item.get("Spec", {}).get("Labels") or {}).get(STACK_LABEL)),
    }


def _declared_image(spec: Raw) -> str:
    """Return the image as it was declared, without the digest that Docker adds."""
    live = str(spec["TaskTemplate"]["ContainerSpec"]["Image"])
    noted = str((spec.get("Labels") or {}).get(IMAGE_LABEL) or "")
    if noted and shown_image(noted, with_digest=False) == shown_image(live, with_digest=False):
        return noted
    name = live.partition("@")[0]
    # Without a tag, the digest is all that says which image it is.
    return name if ":" in name.rpartition("/")[2] else live


def _mount(mount: Raw) -> dict[str, t.Any]:
    found = live_mount(mount)
    options = {str(key): str(value) for key, value in found.options.items()}
    if any(holds_credential((key,), value) or redacted(value) != value for key, value in options.items()):
        options = dict.fromkeys(options, HIDDEN)
    shown = {name: getattr(found, name) for name in ("kind", "source", "target", "manner", "driver")}
    return {**shown, "options": options}
