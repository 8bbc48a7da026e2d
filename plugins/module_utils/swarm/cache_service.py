# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which service of a stack is the cache, whoever made it, and what of the stack stands against deploying it there."""

from __future__ import annotations

import typing as t

from ..common.urls import DEFAULT_PORTS
from .live_cache import LiveCache, is_content_cache, live_cache
from .model import Raw
from .objects import is_of_collection

# What the vendor's documents call it, and so what a stack without one gets.
SERVICE = "cache"
# The mode of a cache; others are Global and those of jobs.
REPLICATED = "Replicated"


def cache_service(
    stack: str, services: t.Mapping[str, Raw], configs: t.Mapping[str, Raw], image: str, port: int = 0
) -> str:
    """The name of the stack's service that is the cache; that of the documents where the stack has none.

    Args:
        stack: The stack.
        services: The stack's services by their names without the stack's.
        configs: The Docker configs of the Swarm by their names.
        image: The image that is wanted.
        port: The port that the cache publishes: of several caches in one stack, the one that has it.
    """
    names = _caches(stack, services, configs, image)
    if SERVICE in names or not names:
        return SERVICE
    publishing = [name for name in names if publishes(services[name], port)]
    chosen = names if len(names) == 1 else publishing
    return chosen[0] if len(chosen) == 1 else SERVICE


class Identity(t.NamedTuple):
    """What tells a cache from the others; what is empty or 0 is not compared.

    Args:
        host: Its public host name.
        public_port: The port at which clients and DTR reach it.
        port: The port that it publishes.
        image: The image that is wanted: what runs from its repository is a cache whatever that is called.
    """

    host: str = ""
    public_port: int = 0
    port: int = 0
    image: str = ""


def own_caches(
    stack: str, services: t.Mapping[str, Raw], configs: t.Mapping[str, Raw], own: Identity
) -> tuple[list[str], list[LiveCache]]:
    """The services of a stack that are this cache, and the content caches of the stack that are not.

    Two caches may have one host name and differ by their ports. Where one has this very address, others that only may
    have it, as their C(config.yml) does not say theirs, are not this one.
    """
    caches = {name: live_cache(services[name], configs) for name in _caches(stack, services, configs, own.image)}
    if not caches and set(services) == {SERVICE}:
        # All that the stack has is called so, whatever it runs.
        return [SERVICE], []
    signs = {name: _likeness(cache, own, ours=is_ours(stack, services[name])) for name, cache in caches.items()}
    least = max(signs.values(), default=0) if own.port else 1
    mine = [name for name, likeness in signs.items() if likeness and likeness >= least]
    return mine, [cache for name, cache in caches.items() if name not in mine]


def _likeness(cache: LiveCache, own: Identity, *, ours: bool) -> int:
    """How sure it is that this is the cache: 3 by its whole address, 2 by its port, 1 it may be, 0 it is not."""
    if not cache.is_of(own.host):
        return 0
    if not own.port:
        return 1
    if cache.url and own.public_port == (cache.url_port or DEFAULT_PORTS["https"]):
        return 3
    # Made by hand, a name without a port may have been meant for any.
    if cache.url and (ours or cache.url_port):
        return 0
    if cache.publishes(own.port):
        return 2
    return 0 if cache.ports else 1


def stack_problems(
    stack: str, services: t.Mapping[str, Raw], configs: t.Mapping[str, Raw], image: str, port: int
) -> list[str]:
    """What of the stack's own services stands against deploying the cache there."""
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
    """The definition with its service called as the one that is there, so that it is updated in place."""
    services = definition.get("services") or {}
    if name == SERVICE or SERVICE not in services:
        return dict(definition)
    renamed = {name if key == SERVICE else key: service for key, service in services.items()}
    return {**definition, "services": renamed}


def publishes(service: Raw, port: int) -> bool:
    """Whether a service publishes a port, or is about to."""
    ends = (service["Spec"].get("EndpointSpec") or {}, service.get("Endpoint") or {})
    return any(item.get("PublishedPort") == port for end in ends for item in end.get("Ports") or [])


def is_ours(stack: str, service: Raw) -> bool:
    """Whether this collection deployed a service, as it runs or before its last update."""
    specs = (service["Spec"], service.get("PreviousSpec") or {})
    return any(is_of_collection(stack, spec.get("TaskTemplate") or {}) for spec in specs)


def _caches(stack: str, services: t.Mapping[str, Raw], configs: t.Mapping[str, Raw], image: str) -> list[str]:
    """The content caches, and what this collection deployed whatever somebody has made of it since."""
    return sorted(
        name
        for name, service in services.items()
        if is_content_cache(service, configs, image) or is_ours(stack, service)
    )


def _listed(stack: str, names: t.Iterable[str]) -> str:
    return ", ".join(f"{stack}_{name}" for name in names)
