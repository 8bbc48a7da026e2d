# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find the cache of a host among those of its Swarm, and its entries in DTR. Pure functions."""

from __future__ import annotations

import typing as t
from urllib.parse import urlsplit

from ...module_utils.common.failure import Failure
from ...module_utils.common.urls import DEFAULT_PORTS
from ...module_utils.dtr.model import ContentCache

Live = t.Mapping[str, t.Any]
"""One of the C(caches) that M(dtr.cache.live_caches_info) returns."""

Matches = t.Mapping[str, t.Sequence[ContentCache]]
"""The entries of DTR that lead to each cache, by the id of its service."""

_STACK = "set dtr_cache_stack_name for the host in the inventory to the name of its stack"


class Address(t.NamedTuple):
    """Host and port of a URL; empty and C(None) where they are not known."""

    host: str
    port: int | None


class Hints(t.NamedTuple):
    """The variables of a host that say which cache it means; empty where they are not set."""

    inventory_host: str
    name: str = ""
    host: str = ""
    port: int | None = None
    stack_name: str = ""


def address_of(url: t.Any) -> Address:
    """Return the address in a URL, with https where it has no scheme."""
    text = str(url or "").strip()
    try:
        parts = urlsplit(text if "://" in text else f"https://{text}")
        return Address((parts.hostname or "").rstrip("."), parts.port or DEFAULT_PORTS.get(parts.scheme.lower()))
    except ValueError:
        return Address("", None)


def section(live: Live, *keys: str) -> t.Mapping[str, t.Any]:
    """Return a section of a cache's C(config.yml); empty where it is missing or no mapping."""
    found = live["config"]["content"]
    for key in keys:
        found = found.get(key)
        if not isinstance(found, dict):
            return {}
    return t.cast("t.Mapping[str, t.Any]", found)


def public_address(live: Live) -> Address:
    """Return the address in C(http.host)."""
    given = section(live, "http").get("host")
    return address_of(given) if isinstance(given, str) and given.strip() else Address("", None)


def metrics_port(live: Live) -> int | None:
    """Return the port of the nodes at which the registry gives its metrics, as C(dtr_cache_metrics_port) does."""
    if section(live, "http", "debug", "prometheus").get("enabled") is not True:
        return None
    listens = str(section(live, "http", "debug").get("addr") or "").rpartition(":")[2]
    of_nodes = [port for port in live["ports"] if port["mode"] == "host" and port["protocol"] == "tcp"]
    same = (int(port["target"]) for port in of_nodes if port["published"] == port["target"])
    return next((number for number in same if str(number) == listens), None)


def registry_ports(live: Live) -> list[t.Mapping[str, t.Any]]:
    """Return the published ports that lead to the registry: all of them where C(config.yml) does not say which."""
    ports = [port for port in live["ports"] if port["protocol"] == "tcp" and port["published"]]
    listens = str(section(live, "http").get("addr") or "").rpartition(":")[2]
    meant = [port for port in ports if str(port["target"]) == listens]
    return meant or sorted(ports, key=lambda port: bool(port["target"] != 443))


def main_port(live: Live, *preferred: int | None) -> t.Mapping[str, t.Any] | None:
    """Return the published port that leads to the registry: the first preferred one where several do."""
    ports = registry_ports(live)
    return next(
        (port for number in preferred for port in ports if port["published"] == number), next(iter(ports), None)
    )


def match(caches: t.Sequence[Live], registered: t.Sequence[ContentCache]) -> dict[str, list[ContentCache]]:
    """Match the entries of DTR with the caches of a Swarm.

    First by C(http.host) and the port. What is left may have the port of a load balancer, or the address of a node.
    """
    found = {live["id"]: [entry for entry in registered if _is_at(live, entry)] for live in caches}
    taken = {entry.id for entries in found.values() for entry in entries}
    for live in caches:
        if not found[live["id"]]:
            found[live["id"]] = [each for each in registered if each.id not in taken and leads_to(live, each)]
    return found


def leads_to(live: Live, entry: ContentCache) -> bool:
    """Check whether the address of an entry is that of a cache, at whatever port, or of one of its nodes."""
    at = address_of(entry.host)
    if at.host and at.host.lower() == public_address(live).host.lower():
        return True
    return at.host in live["addresses"] and at.port in {port["published"] for port in registry_ports(live)}


def choose(caches: t.Sequence[Live], found: Matches, hints: Hints, services: int) -> Live:
    """Return the cache of the host.

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
    left = [live for live in caches if not hints.stack_name or live["stack"] == hints.stack_name]
    if not left:
        raise Failure(
            "NO_CACHE",
            f"This Swarm has no content cache in a stack {hints.stack_name}. It has {_described(caches, found)}.",
            hint=f"To choose one of them, {_STACK}.",
        )
    for is_meant in (
        lambda live: bool(hints.host) and hints.host.lower() in _hosts(live, found),
        lambda live: bool(hints.port) and hints.port in {port["published"] for port in live["ports"]},
        lambda live: bool(hints.name) and hints.name in _names(live, found),
        lambda live: hints.inventory_host in _names(live, found),
    ):
        left = [live for live in left if is_meant(live)] or left
    if len(left) > 1:
        raise Failure(
            "SEVERAL_CACHES",
            f"This Swarm has {len(left)} content caches, and nothing says which one is {hints.inventory_host}: "
            f"{_described(left, found)}.",
            hint=f"To choose one of them, {_STACK}, or dtr_cache_name to the cache's name in DTR.",
        )
    return left[0]


def own_entries(
    live: Live, found: Matches, hints: Hints, registered: t.Sequence[ContentCache], accounts: t.Mapping[str, int]
) -> list[ContentCache]:
    """Return the entries of DTR that are this cache, the one that keeps its name first.

    Args:
        live: The cache.
        found: The entries of all caches of the Swarm.
        hints: What the inventory says.
        registered: All entries of DTR.
        accounts: The number of accounts that pull from each entry, by its id.
    """
    taken = {entry.id for of_other in found.values() for entry in of_other}
    own = list(found[live["id"]]) or [
        entry for entry in registered if entry.id not in taken and entry.name in (hints.name, hints.inventory_host)
    ]
    return sorted(
        own,
        key=lambda entry: (
            entry.name != hints.name,
            entry.name != hints.inventory_host,
            -accounts.get(entry.id, 0),
            entry.name,
            entry.id,
        ),
    )


def _is_at(live: Live, entry: ContentCache) -> bool:
    at, public = address_of(entry.host), public_address(live)
    ports = {public.port, *(port["published"] for port in registry_ports(live))} - {None}
    return bool(at.host) and at.host.lower() == public.host.lower() and at.port in ports


def _hosts(live: Live, found: Matches) -> set[str]:
    urls = [address_of(entry.host).host for entry in found[live["id"]]]
    return {host.lower() for host in (*urls, public_address(live).host) if host}


def _names(live: Live, found: Matches) -> set[str]:
    return {entry.name for entry in found[live["id"]]}


def _described(caches: t.Sequence[Live], found: Matches) -> str:
    descriptions = []
    for live in caches:
        port, names = main_port(live), ", ".join(sorted(_names(live, found)))
        where = f"stack {live['stack']}, service {live['service']}" if live["stack"] else f"service {live['service']}"
        published = f"port {port['published']}" if port else "no published port"
        descriptions.append(f"{where} ({published}, {f'registered as {names}' if names else 'not registered'})")
    return "; ".join(descriptions)
