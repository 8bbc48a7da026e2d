# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Regions that get in each other's way: as their inventory declares them, and in one Swarm. Pure functions."""

from __future__ import annotations

import typing as t

from ...module_utils.common.urls import canonical_server
from ...module_utils.swarm.live_cache import host_of
from ..settings.region import Region

Cache = t.Mapping[str, str]

_SHOWN = 10
_KINDS = {"accounts": "account", "teams": "team", "orgs": "organisation"}


def others_of(own: Region, regions: t.Sequence[Region]) -> list[Region]:
    """The other regions.

    A host with another name than inventory and play give it acts for a region, such as in a loop over all of them, and
    so does one of the play alone with the name of a region that takes no part; that region is no other.

    Args:
        own: The region.
        regions: All regions; it may be among them.
    """
    found = [region for region in regions if region.host == own.host and region.name == own.name]
    if found and found[0].in_group:
        return [region for region in regions if region.host != own.host]
    return [
        region
        for region in regions
        if region.host != own.host and not (_may_be_same(own, region) and not (found and region.in_play))
    ]


def _may_be_same(own: Region, other: Region) -> bool:
    return _same(own.name, other.name) and (not own.dtr or not other.dtr or own.dtr == other.dtr)


def collisions(own: Region, others: t.Iterable[Region], needs: t.Collection[str]) -> list[str]:
    """What of the other regions stands against a step at one of them, each with the other host.

    Args:
        own: The region.
        others: The other regions.
        needs: What the step needs, as the preflight knows it.
    """
    return [sentence for other in others for sentence in _collisions_of_two(own, other, needs)]


def _collisions_of_two(own: Region, other: Region, needs: t.Collection[str]) -> list[str]:
    same_dtr = _same(own.dtr, other.dtr)
    same_name = same_dtr and _same(own.name, other.name)
    found = []
    if same_name and {"registration", "swarm"} & set(needs):
        found.append(
            f"dtr_cache_name: hosts {own.host} and {other.host} both name their cache {own.name} at the same DTR, and "
            "each run would move its accounts from one to the other; give each cache a name of its own, or take one of "
            "the hosts out of the group where they are one region"
        )
    if same_dtr and not same_name and "registration" in needs:
        found += former_name_problems(own, other)
    if _same(own.address, other.address) and not same_name and {"registration", "swarm"} & set(needs):
        found.append(
            f"dtr_cache_host: hosts {own.host} and {other.host} both have their cache at {own.address}; give one of "
            "them another dtr_cache_host, dtr_cache_port or dtr_cache_public_port"
        )
    if same_dtr and not same_name and "assignment" in needs:
        found += _contested(own, other)
    return found


def collisions_in_swarm(own: Region, others: t.Iterable[Region]) -> list[str]:
    """Return what of other regions in the same Swarm stands against a deployment of this one."""
    return [
        sentence
        for other in others
        if not (_same(own.dtr, other.dtr) and _same(own.name, other.name))
        for sentence in _collisions_of_neighbours(own, other)
    ]


def _collisions_of_neighbours(own: Region, other: Region) -> list[str]:
    if _same(own.stack_name, other.stack_name):
        return [
            f"dtr_cache_stack_name: hosts {own.host} and {other.host} both deploy stack {own.stack_name} to the same "
            "Swarm, and one would replace the other; give each stack a name of its own"
        ]
    found = _former_stack_problems(own, other)
    if place := _place_of_both_ports(own, other):
        found.append(
            f"dtr_cache_port: hosts {own.host} and {other.host} both publish port {own.port} on {place} of the same "
            "Swarm; give one of them another dtr_cache_port (its clients use dtr_cache_public_port)"
        )
    return found + _contested_ports(own, other)


def former_name_problems(own: Region, other: Region) -> list[str]:
    """Names of one of two regions whose entry and accounts the other would take for its own earlier ones."""
    if not _same(own.dtr, other.dtr):
        return []
    found = [
        f"dtr_cache_former_names: hosts {own.host} and {other.host} both name {name} as a former name, and one of them "
        "would take the accounts of the other; name it in one of them"
        for name in own.former_names
        if name in other.former_names
    ]
    for heir, owner in ((own, other), (other, own)):
        if owner.name in heir.former_names:
            found.append(
                f"dtr_cache_former_names: {owner.name} is a former name of host {heir.host} and the cache of host "
                f"{owner.host} (dtr_cache_name), whose accounts {heir.host} would take; leave it out, or take "
                f"{owner.host} out of the group"
            )
    return found


def _former_stack_problems(own: Region, other: Region) -> list[str]:
    """Return the stacks of one of two regions that the other would replace as its own earlier ones."""
    found = [
        f"dtr_cache_former_stack_names: hosts {own.host} and {other.host} both name stack {name} of the same Swarm as "
        "a former one, and it was the cache of one of them only; name it there"
        for name in own.former_stack_names
        if name in other.former_stack_names
    ]
    for heir, owner in ((own, other), (other, own)):
        if owner.stack_name in heir.former_stack_names:
            found.append(
                f"dtr_cache_former_stack_names: {owner.stack_name} is a former stack of host {heir.host} and the stack "
                f"of host {owner.host} (dtr_cache_stack_name) in the same Swarm, which {heir.host} would remove; leave "
                f"it out, or take {owner.host} out of the group"
            )
    return found


def _contested_ports(own: Region, other: Region) -> list[str]:
    """The metrics of two caches need a port of the nodes for each of them, and any labelled node may get either."""
    if own.metrics_port and own.metrics_port in (other.metrics_port, other.port):
        port, theirs = own.metrics_port, "metrics" if own.metrics_port == other.metrics_port else "cache"
    elif other.metrics_port and other.metrics_port == own.port:
        port, theirs = other.metrics_port, "metrics"
    else:
        return []
    mine = "metrics" if own.metrics_port == port else "cache"
    return [
        f"dtr_cache_metrics_port: hosts {own.host} ({mine}) and {other.host} ({theirs}) both want port {port} of the "
        "nodes of the same Swarm; give one of them another port"
    ]


def _same(mine: str, theirs: str) -> bool:
    return bool(mine) and mine == theirs


def _place_of_both_ports(own: Region, other: Region) -> str:
    """Where in their Swarm two stacks would publish the same port; empty where they would not."""
    if own.port is None or own.port != other.port:
        return ""
    if "ingress" in (own.publish_mode, other.publish_mode):
        return "every node"
    return ", ".join(f"node {node}" for node in own.nodes if node in other.nodes)


def _contested(own: Region, other: Region) -> list[str]:
    # Who is left of a team or an organisation with exceptions, only DTR knows.
    kinds = ["accounts"] if "except" in {**own.assignments, **other.assignments} else list(_KINDS)
    both = [
        f"{_KINDS[kind]} {name}"
        for kind in kinds
        for name in own.assignments.get(kind) or []
        if name in (other.assignments.get(kind) or [])
    ]
    if own.assignments.get("everyone") and other.assignments.get("everyone"):
        both.append("everyone")
    if not both:
        return []
    more = f" and {len(both) - _SHOWN} more" if len(both) > _SHOWN else ""
    return [
        f"dtr_cache_assignments: hosts {own.host} and {other.host} both claim {', '.join(both[:_SHOWN])}{more}; an "
        "account pulls from one cache only: take it out of one of them, or name members in dtr_cache_assignments.except"
    ]


def not_ours(cache: Cache, settings: t.Mapping[str, t.Any], registered: t.Iterable[t.Mapping[str, str]]) -> str:
    """Return a sentence where a running cache belongs to another region; empty where it is this one's or may be.

    Its registration in DTR says whose it is. Where it has none, C(http.host) and the labels of its C(config.yml) do.

    Args:
        cache: One of the C(caches) of M(dtr.cache.stack_plan).
        settings: The public settings of the region.
        registered: The caches that DTR has, each with C(name) and C(host).
    """
    url, own = cache["url"], {settings["name"], *settings["former_names"]}
    names = _registered_at(url, settings["host"], registered)
    if not names and cache["registry"] == settings["dtr"] and not _is_at(url, settings["url"]):
        # A region that changes its host, or whose first deployment has failed, has only the label.
        names = {cache["name"]} - {""}
    if names & own or (not names and _may_be_at(url, settings["host"])):
        return ""
    listed = ", ".join(sorted(names))
    whose = f"cache {listed}" + f" ({url})" * bool(url) if names else f"the cache of {url}"
    former = (
        f"if it is the same cache under a former name, set dtr_cache_former_names: [{listed}]"
        if names
        else f"if it is this cache, deploy it with dtr_cache_host: {host_of(url)} first, and change the host afterwards"
    )
    return (
        f"dtr_cache_stack_name: service {cache['service']} is {whose}, and not {settings['name']}; set "
        f"dtr_cache_stack_name to the stack of {settings['name']} or to a name that no stack has, or correct by which "
        f"manager {settings['name']} is reached; {former}"
    )


def _registered_at(url: str, host: str, registered: t.Iterable[t.Mapping[str, str]]) -> set[str]:
    """Return the names under which DTR has a running cache; C(http.host) that was written by hand may have no port."""
    entries = list(registered) if url else []
    found = {each["name"] for each in entries if _is_at(each["host"], url)}
    if found or _may_be_at(url, host):
        return found
    return {each["name"] for each in entries if host_of(each["host"]) == host_of(url)}


def _is_at(url: str, other: str) -> bool:
    return bool(url and other) and canonical_server(url) == canonical_server(other)


def _may_be_at(url: str, host: str) -> bool:
    return not url or not host or host_of(url) == host_of(host)


def claims_outside(regions: t.Iterable[Region], dtr: str, hosts: t.Collection[str]) -> list[dict[str, t.Any]]:
    """Whom the regions of a DTR claim by name, team or organisation, but for those of some hosts."""
    found = []
    for region in regions:
        claims = _claims(region, _KINDS)
        if region.host not in hosts and _same(region.dtr, dtr) and claims:
            found.append(claims)
    return found


def claims_of_others(own: Region, others: t.Iterable[Region]) -> list[dict[str, t.Any]]:
    """Whom other regions of the same DTR claim, each with its host.

    Of regions that take part in the play, only what can matter to this one: its accounts that are named one by one
    cannot be among those that others name, since that is a collision.
    """
    by_group = any(own.assignments.get(kind) for kind in ("teams", "orgs", "everyone"))
    found = []
    for region in others:
        kinds = [kind for kind in _KINDS if kind != "accounts" or by_group or not region.in_play]
        claims = _claims(region, kinds)
        if _same(own.dtr, region.dtr) and claims:
            found.append({"host": region.host, "claims": claims})
    return found


def _claims(region: Region, kinds: t.Iterable[str]) -> dict[str, t.Any]:
    """Whom a region claims, as an assignment to its cache; empty where that is nobody, or its name is not known."""
    claims = {kind: list(region.assignments.get(kind) or []) for kind in kinds}
    if not region.name or not any(claims.values()):
        return {}
    exceptions = {"except": region.assignments["except"]} if "except" in region.assignments else {}
    return {**claims, **exceptions, "cache": region.name}
