# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of the caches in a Swarm is that of a host, and under which names DTR has it. Pure functions."""

from __future__ import annotations

import typing as t
from urllib.parse import urlsplit

from ...module_utils.common.failure import Failure
from ...module_utils.common.urls import DEFAULT_PORTS
from ...module_utils.dtr.model import ContentCache
from .draft import Live

Matches = t.Mapping[str, t.Sequence[ContentCache]]
"""The entries of DTR that lead to each cache, by the id of its service."""

_STACK = "set dtr_cache_stack_name for the host in the inventory to the name of its stack"


class Address(t.NamedTuple):
    """What of a URL leads to a cache; empty and C(None) where that is not known."""

    host: str
    port: int | None


class Wish(t.NamedTuple):
    """What the inventory says of the cache that is meant; empty where it says nothing."""

    inventory_host: str
    name: str = ""
    host: str = ""
    port: int | None = None
    stack_name: str = ""


def address_of(url: t.Any) -> Address:
    """The address in a URL; https is meant without a scheme."""
    text = str(url or "").strip()
    try:
        parts = urlsplit(text if "://" in text else f"https://{text}")
        return Address((parts.hostname or "").rstrip("."), parts.port or DEFAULT_PORTS.get(parts.scheme.lower()))
    except ValueError:
        return Address("", None)


def public_address(live: Live) -> Address:
    """What C(http.host) says; empty without it."""
    http = live["config"]["content"].get("http")
    given = http.get("host") if isinstance(http, dict) else None
    return address_of(given) if isinstance(given, str) and given.strip() else Address("", None)


def metrics_port(live: Live) -> int | None:
    """The port of the nodes at which the registry gives its metrics, as C(dtr_cache_metrics_port) publishes it."""
    http = live["config"]["content"].get("http")
    debug = (http if isinstance(http, dict) else {}).get("debug")
    debug = debug if isinstance(debug, dict) else {}
    prometheus = debug.get("prometheus")
    if not isinstance(prometheus, dict) or prometheus.get("enabled") is not True:
        return None
    listens = str(debug.get("addr") or "").rpartition(":")[2]
    of_nodes = [port for port in live["ports"] if port["mode"] == "host" and port["protocol"] == "tcp"]
    same = (int(port["target"]) for port in of_nodes if port["published"] == port["target"])
    return next((number for number in same if str(number) == listens), None)


def main_port(live: Live, *preferred: int | None) -> t.Mapping[str, t.Any] | None:
    """The port of the service that leads to the registry; None where none is published.

    Args:
        live: The cache.
        preferred: Which one it is where several do, first the one that its clients use.
    """
    ports = _registry_ports(live)
    wanted = [port for number in preferred for port in ports if port["published"] == number]
    return next(iter(wanted or ports), None)


def _registry_ports(live: Live) -> list[t.Mapping[str, t.Any]]:
    """The published ports that lead to the registry; where its C(config.yml) does not say which, all of them."""
    ports = [port for port in live["ports"] if port["protocol"] == "tcp" and port["published"]]
    http = live["config"]["content"].get("http")
    listens = str((http if isinstance(http, dict) else {}).get("addr") or "").rpartition(":")[2]
    meant = [port for port in ports if str(port["target"]) == listens]
    return meant or sorted(ports, key=lambda port: bool(port["target"] != 443))


def matches(caches: t.Sequence[Live], registered: t.Sequence[ContentCache]) -> dict[str, list[ContentCache]]:
    """The entries of DTR whose address is that of each cache.

    First by C(http.host) and the port. What is left may have the port of a load balancer, or the address of a node.
    """
    found = {live["id"]: [entry for entry in registered if _is_at(live, entry)] for live in caches}
    taken = {entry.id for entries in found.values() for entry in entries}
    for live in caches:
        if not found[live["id"]]:
            found[live["id"]] = [each for each in registered if each.id not in taken and leads_to(live, each)]
    return found


def choose(caches: t.Sequence[Live], found: Matches, wish: Wish, services: int) -> Live:
    """The cache of the host.

    Raises:
        Failure: C(NO_CACHE) or C(SEVERAL_CACHES), with what was found and what to set.
    """
    if not caches:
        raise Failure(
            "NO_CACHE",
            f"None of the {services} services of this Swarm is a content cache: none has the vendor's image "
            "(.../dtr-content-cache, .../msr-content-cache), nor the vendor's command (/start.sh with a config.yml), "
            "nor a Docker config with the registry's middleware downstream.",
            hint=f"Check that the host is a manager of the right Swarm (dtr_cache_docker_host), or {_STACK}.",
        )
    left = [live for live in caches if not wish.stack_name or live["stack"] == wish.stack_name]
    if not left:
        raise Failure(
            "NO_CACHE",
            f"This Swarm has no content cache in a stack {wish.stack_name}. It has {_named(caches, found)}.",
            hint=f"To choose one of them, {_STACK}.",
        )
    for is_meant in (
        lambda live: bool(wish.host) and wish.host.lower() in _hosts(live, found),
        lambda live: bool(wish.port) and wish.port in {port["published"] for port in live["ports"]},
        lambda live: bool(wish.name) and wish.name in _names(live, found),
        lambda live: wish.inventory_host in _names(live, found),
    ):
        left = [live for live in left if is_meant(live)] or left
    if len(left) > 1:
        raise Failure(
            "SEVERAL_CACHES",
            f"This Swarm has {len(left)} content caches, and nothing says which one is {wish.inventory_host}: "
            f"{_named(left, found)}.",
            hint=f"To choose one of them, {_STACK}, or dtr_cache_name to the cache's name in DTR.",
        )
    return left[0]


def entries(
    live: Live, found: Matches, wish: Wish, registered: t.Sequence[ContentCache], holders: t.Mapping[str, int]
) -> list[ContentCache]:
    """The entries of DTR that are this cache, the one that keeps its name first.

    Args:
        live: The cache.
        found: The entries of all caches of the Swarm.
        wish: What the inventory says.
        registered: All entries of DTR.
        holders: How many accounts pull from each entry, by its id.
    """
    taken = {entry.id for of_other in found.values() for entry in of_other}
    own = list(found[live["id"]]) or [
        entry for entry in registered if entry.id not in taken and entry.name in (wish.name, wish.inventory_host)
    ]

    def order(entry: ContentCache) -> tuple[bool, bool, int, str, str]:
        return (
            entry.name != wish.name,
            entry.name != wish.inventory_host,
            -holders.get(entry.id, 0),
            entry.name,
            entry.id,
        )

    return sorted(own, key=order)


def _is_at(live: Live, entry: ContentCache) -> bool:
    at, public = address_of(entry.host), public_address(live)
    ports = {public.port, *_published(live)} - {None}
    return bool(at.host) and at.host.lower() == public.host.lower() and at.port in ports


def _published(live: Live) -> set[int]:
    return {port["published"] for port in _registry_ports(live)}


def leads_to(live: Live, entry: ContentCache) -> bool:
    """Whether anything in the Swarm says that the address of an entry is that of a cache."""
    at, public = address_of(entry.host), public_address(live)
    if at.host and at.host.lower() == public.host.lower():
        return True
    return at.host in live["addresses"] and at.port in _published(live)


def _hosts(live: Live, found: Matches) -> set[str]:
    urls = [address_of(entry.host).host for entry in found[live["id"]]]
    return {host.lower() for host in (*urls, public_address(live).host) if host}


def _names(live: Live, found: Matches) -> set[str]:
    return {entry.name for entry in found[live["id"]]}


def _named(caches: t.Sequence[Live], found: Matches) -> str:
    return "; ".join(_description(live, found) for live in caches)


def _description(live: Live, found: Matches) -> str:
    where = f"stack {live['stack']}, service {live['service']}" if live["stack"] else f"service {live['service']}"
    names = ", ".join(sorted(_names(live, found)))
    port = main_port(live)
    details = [f"port {port['published']}" if port else "no published port"]
    details += [f"registered as {names}" if names else "not registered"]
    return f"{where} ({', '.join(details)})"
