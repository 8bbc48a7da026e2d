# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Content caches among the services of a Swarm, and what each one says of itself. Pure functions.

A service is a content cache by any of these: its image has the vendor's name, its C(config.yml) has the middleware
C(downstream), or its command is the vendor's C(/start.sh) with a C(config.yml). A cache that somebody made by hand may
have any service name, and configs and secrets of any name.
"""

from __future__ import annotations

import base64
import binascii
import re
import typing as t
from urllib.parse import urlsplit

from ..common.urls import canonical_server
from .compose import image as shown_image
from .compose import repository
from .model import NAMESPACE_LABEL, Raw, is_trial
from .views import Port, config_place, live_ports

try:
    import yaml

    _yaml: t.Any = yaml
except ImportError:
    # What is missing on the manager is reported by who is asked for it (swarm/prerequisites).
    _yaml = None

# The last part of the image's repository, in all lines of products.
IMAGE_NAMES = ("dtr-content-cache", "msr-content-cache")
# The labels by which the vendor's documents place a cache.
VENDOR_LABELS = ("dtr.cache", "msr.cache")
MIDDLEWARE = "downstream"
START = "/start.sh"
CONFIG_NAME = "config.yml"
_PLACED = re.compile(r"\s*node\.labels\.(\S+?)\s*==\s*(.*?)\s*")


class LiveCache(t.NamedTuple):
    """A service that is a content cache.

    Args:
        stack: Its stack; empty where it was made without one.
        name: Its name without the stack's.
        full_name: The name that Docker's command shows.
        image: Its image, without a digest.
        ports: The ports that it publishes.
        node_labels: The labels with their values by which it is placed on nodes.
        config: Its C(config.yml); None where it cannot be read, such as from a secret.
    """

    stack: str
    name: str
    full_name: str
    image: str
    ports: tuple[Port, ...]
    node_labels: t.Mapping[str, str]
    config: t.Mapping[str, t.Any] | None

    @property
    def url(self) -> str:
        """The public address in its C(config.yml) (C(http.host)); empty where it has none."""
        http = (self.config or {}).get("http")
        return str(http.get("host") or "") if isinstance(http, t.Mapping) else ""

    def publishes(self, port: int) -> bool:
        """Whether it publishes this port, in whatever mode."""
        return any(each.published == port for each in self.ports)

    def is_of(self, host: str) -> bool:
        """Whether it may be the cache of this host: its C(config.yml) names it, or names none."""
        return not self.url or not host or host_of(self.url) == host_of(host)

    @property
    def url_port(self) -> int | None:
        """The port that C(http.host) names; None where it names none."""
        try:
            return urlsplit(self.url if "://" in self.url else f"https://{self.url}").port
        except ValueError:
            return None

    @property
    def signs(self) -> str:
        """By what it is recognised, for a person."""
        return ", ".join([f"image {self.image}", *([f"http.host {self.url}"] if self.url else [])])


def live_caches(services: t.Iterable[Raw], configs: t.Mapping[str, Raw], image: str = "") -> list[LiveCache]:
    """The content caches among services, ordered by their full names.

    Args:
        services: Services as the Engine lists them.
        configs: Docker configs by their names, as the Engine lists them.
        image: The image that is wanted: what runs from its repository is a cache whatever the repository is called.
    """
    found = [live_cache(service, configs) for service in services if is_content_cache(service, configs, image)]
    return sorted(found, key=lambda cache: cache.full_name)


def is_content_cache(service: Raw, configs: t.Mapping[str, Raw], image: str = "") -> bool:
    """Whether a service is a content cache."""
    if is_trial(service):
        return False
    container = _container(service)
    name = repository(container.get("Image") or "")
    if name.rpartition("/")[2] in IMAGE_NAMES or (image and name == repository(image)):
        return True
    if _is_downstream(config_of(service, configs)):
        return True
    words = _command(container)
    return words[:1] == [START] and any(word.rpartition("/")[2].startswith("config.y") for word in words[1:])


def live_cache(service: Raw, configs: t.Mapping[str, Raw]) -> LiveCache:
    """What a service says of the cache that it is."""
    spec, container = service["Spec"], _container(service)
    stack, name = stack_and_name(service)
    return LiveCache(
        stack=stack,
        name=name,
        full_name=spec.get("Name") or "",
        image=shown_image(container["Image"], with_digest=False) if container.get("Image") else "",
        ports=tuple(live_ports(spec)),
        node_labels=node_labels_of(spec),
        config=config_of(service, configs),
    )


def stack_and_name(service: Raw) -> tuple[str, str]:
    """The stack of a service, and its name without the stack's."""
    name = str(service["Spec"].get("Name") or "")
    stack = str((service["Spec"].get("Labels") or {}).get(NAMESPACE_LABEL) or "")
    return stack, name[len(stack) + 1 :] if stack and name.startswith(f"{stack}_") else name


def node_labels_of(spec: Raw) -> dict[str, str]:
    """The labels of nodes, with their values, by which a service is placed."""
    constraints = ((spec.get("TaskTemplate") or {}).get("Placement") or {}).get("Constraints") or []
    matches = [_PLACED.fullmatch(constraint) for constraint in constraints]
    return {match[1]: match[2] for match in matches if match}


def config_of(service: Raw, configs: t.Mapping[str, Raw]) -> t.Mapping[str, t.Any] | None:
    """The C(config.yml) that a service's registry reads, where it is a Docker config; None where it is not known."""
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
    """The content of a Docker config as the Engine gives it, where it is a mapping in YAML."""
    if _yaml is None:
        return None
    try:
        parsed = _yaml.safe_load(base64.b64decode(data))
    except (binascii.Error, ValueError, _yaml.YAMLError):
        return None
    return parsed if isinstance(parsed, dict) else None


def downstream_options(config: t.Mapping[str, t.Any] | None) -> dict[str, t.Any]:
    """The options of the middleware C(downstream) in a C(config.yml) (C(blobttl), C(upstreams), C(cas))."""
    middleware = (config or {}).get("middleware")
    listed = middleware.get("registry") if isinstance(middleware, t.Mapping) else None
    for each in listed if isinstance(listed, list) else []:
        if isinstance(each, t.Mapping) and each.get("name") == MIDDLEWARE:
            options = each.get("options")
            return dict(options) if isinstance(options, t.Mapping) else {}
    return {}


def _is_downstream(config: t.Mapping[str, t.Any] | None) -> bool:
    return bool(downstream_options(config))


def _container(service: Raw) -> Raw:
    return (service["Spec"].get("TaskTemplate") or {}).get("ContainerSpec") or {}


def _command(container: Raw) -> list[str]:
    return [*(container.get("Command") or []), *(container.get("Args") or [])]


def host_of(url: str) -> str:
    """The host name of a URL, of C(HOST:PORT) or of a name alone, in one form."""
    is_ipv6 = "://" not in url and url.count(":") > 1 and not url.startswith("[")
    try:
        server = canonical_server(f"https://[{url}]" if is_ipv6 else url)
    except ValueError:
        return url
    return re.sub(r":\d+$", "", server.partition("://")[2].partition("/")[0])
