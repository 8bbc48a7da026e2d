# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The regions of inventory and play: what one stands against of another, and what several of them need.

Pure functions, but for C(regions_of), which reads the variables of hosts.
"""

from __future__ import annotations

import typing as t

from ansible.utils.vars import load_extra_vars

from ...module_utils.common.names import named
from ...module_utils.common.urls import canonical_server
from ...module_utils.swarm.live_cache import host_of
from ..actions.ansible_internals import host_in_play, unique_id
from ..actions.shared import made_once
from ..settings.model import Settings, authority_file
from ..settings.region import VARIABLES, Region
from ..settings.run import GROUP, HOSTS
from ..settings.values import is_set
from ..settings.variables import declared_region
from .facts import HostFacts

Variables = t.Mapping[str, t.Any]
Cache = t.Mapping[str, str]

_KINDS = {"accounts": "account", "teams": "team", "orgs": "organisation"}


# Reading


def regions_of(variables: Variables, templar: t.Any, loader: t.Any, task: t.Any) -> list[Region]:
    """Return the regions of the inventory and of the play's other hosts, in order; none where there is no other.

    They are read once for each task of a run, since a hundred hosts that read a hundred others would take minutes.

    Args:
        variables: Those of a host.
        templar: Ansible's templating.
        loader: Ansible's loader of files.
        task: The task that asks.
    """
    group = list((variables.get("groups") or {}).get(GROUP) or [])
    playing = list(variables.get("ansible_play_hosts_all") or group)
    if is_set(variables.get(HOSTS)) and variables[HOSTS] != GROUP:
        # Those of a pattern need not be in the group.
        group += [host for host in playing if host not in group]
    # Where one host acts for all, the others of the play are no regions for that.
    hosts = group + [host for host in playing if host not in group and not task.run_once]
    if not set(hosts) - {variables["inventory_hostname"]}:
        return []

    def read() -> list[Region]:
        # An extra variable says nothing of a host outside of the play.
        extra = [name for name in VARIABLES if name in load_extra_vars(loader)]
        of_inventory, of_play = _of_inventory(variables), _of_play(variables, task)
        return [
            declared_region(of_play(host), templar, loader, ())._replace(in_group=host in group)
            if host in playing
            else declared_region(of_inventory(host), templar, loader, extra)._replace(in_play=False)
            for host in hosts
        ]

    return [Region(*row) for row in made_once(f"regions {unique_id(task)}", read)]


def _of_inventory(variables: Variables) -> t.Callable[[str], Variables]:
    """Return the function that gives the variables of a host by the inventory, with its facts and extra variables."""
    hostvars = variables["hostvars"]
    given: t.Callable[[str], Variables] = getattr(hostvars, "raw_get", hostvars.__getitem__)
    return given


def _of_play(variables: Variables, task: t.Any) -> t.Callable[[str], Variables]:
    """Return the function that gives the variables of a host in the play, and in a task that is the same for all hosts.

    Ansible's C(hostvars) have neither, so a setting of a play would be compared with those of the inventory.
    """
    play, alike = task.get_play(), task if _is_for_all(task) else None
    # Without any such variables, hosts have those of the inventory, which costs less.
    said = play.get_vars() or play.get_vars_files() or play.get_roles() or (alike is not None and alike.get_vars())
    given = host_in_play(variables, play, alike) if said and not task.run_once else None
    return given or _of_inventory(variables)


def _is_for_all(task: t.Any) -> bool:
    """Check whether each host of the play runs a task with the same variables around it: no condition, and no loop."""
    around: t.Any = task
    while around is not None:
        is_of_host = around is task or not around.statically_loaded
        if is_of_host and (around.when or around.loop is not None or around.loop_with):
            return False
        around = around.get_first_parent_include()
    return True


# Collisions


def others_of(own: Region, regions: t.Sequence[Region]) -> list[Region]:
    """Return the other regions.

    A host with another name than inventory and play give it acts for a region, such as in a loop over all of them, and
    so does a host of the play alone with the name of a region outside of the play; that region is no other.

    Args:
        own: The region.
        regions: All regions; it may be among them.
    """
    found = [region for region in regions if region.host == own.host and region.name == own.name]
    others = [region for region in regions if region.host != own.host]
    if found and found[0].in_group:
        return others

    def is_same(other: Region) -> bool:
        return _same(own.name, other.name) and (not own.dtr or not other.dtr or own.dtr == other.dtr)

    return [region for region in others if not is_same(region) or (found and region.in_play)]


def collisions(own: Region, others: t.Iterable[Region], needs: t.Collection[str]) -> list[str]:
    """Return what of the other regions prevents a step at one of them, each with the other host.

    Args:
        own: The region.
        others: The other regions.
        needs: What the step needs, as the preflight knows it.
    """
    found = []
    is_new = bool({"registration", "swarm"} & set(needs))
    for other in others:
        both = f"hosts {own.host} and {other.host} both"
        same_dtr = _same(own.dtr, other.dtr)
        same_name = same_dtr and _same(own.name, other.name)
        if same_name and is_new:
            found.append(
                f"dtr_cache_name: {both} name their cache {own.name} at the same DTR, and each run would move its "
                "accounts from one to the other; give each cache a name of its own, or take one of the hosts out of "
                "the group where they are one region"
            )
        if same_dtr and not same_name and "registration" in needs:
            found += former_name_problems(own, other)
        if _same(own.address, other.address) and not same_name and is_new:
            found.append(
                f"dtr_cache_host: {both} have their cache at {own.address}; give one of them another dtr_cache_host, "
                "dtr_cache_port or dtr_cache_public_port"
            )
        if same_dtr and not same_name and "assignment" in needs:
            found += _contested_accounts(own, other)
    return found


def collisions_in_swarm(own: Region, others: t.Iterable[Region]) -> list[str]:
    """Return what of other regions in the same Swarm prevents a deployment of this one."""
    found = []
    for other in others:
        both = f"hosts {own.host} and {other.host} both"
        if _same(own.dtr, other.dtr) and _same(own.name, other.name):
            continue
        if _same(own.stack_name, other.stack_name):
            found.append(
                f"dtr_cache_stack_name: {both} deploy stack {own.stack_name} to the same Swarm, and one would replace "
                "the other; give each stack a name of its own"
            )
            continue
        found += _former_stack_problems(own, other)
        if place := _place_of_both_ports(own, other):
            found.append(
                f"dtr_cache_port: {both} publish port {own.port} on {place} of the same Swarm; give one of them "
                "another dtr_cache_port (its clients use dtr_cache_public_port)"
            )
        found += _contested_metrics_port(own, other)
    return found


def former_name_problems(own: Region, other: Region) -> list[str]:
    """Return the names of one of two regions whose entry and accounts the other would take for its own earlier ones."""
    if not _same(own.dtr, other.dtr):
        return []
    found = [
        f"dtr_cache_former_names: hosts {own.host} and {other.host} both name {name} as a former name, and one of them "
        "would take the accounts of the other; name it in one of them"
        for name in own.former_names
        if name in other.former_names
    ]
    return found + [
        f"dtr_cache_former_names: {owner.name} is a former name of host {heir.host} and the cache of host {owner.host} "
        f"(dtr_cache_name), whose accounts {heir.host} would take; leave it out, or take {owner.host} out of the group"
        for heir, owner in ((own, other), (other, own))
        if owner.name in heir.former_names
    ]


def _former_stack_problems(own: Region, other: Region) -> list[str]:
    """Return the stacks of one of two regions that the other would replace as its own earlier ones."""
    found = [
        f"dtr_cache_former_stack_names: hosts {own.host} and {other.host} both name stack {name} of the same Swarm as "
        "a former one, and it was the cache of one of them only; name it there"
        for name in own.former_stack_names
        if name in other.former_stack_names
    ]
    return found + [
        f"dtr_cache_former_stack_names: {owner.stack_name} is a former stack of host {heir.host} and the stack of host "
        f"{owner.host} (dtr_cache_stack_name) in the same Swarm, which {heir.host} would remove; leave it out, or take "
        f"{owner.host} out of the group"
        for heir, owner in ((own, other), (other, own))
        if owner.stack_name in heir.former_stack_names
    ]


def _contested_metrics_port(own: Region, other: Region) -> list[str]:
    """Return a port of the nodes that metrics and another cache want: any labelled node may get either."""
    mine, theirs = ({each.metrics_port: "metrics", each.port: "cache"} for each in (own, other))
    for port in (own.metrics_port, other.metrics_port):
        if port and port in mine and port in theirs:
            return [
                f"dtr_cache_metrics_port: hosts {own.host} ({mine[port]}) and {other.host} ({theirs[port]}) both want "
                f"port {port} of the nodes of the same Swarm; give one of them another port"
            ]
    return []


def _same(mine: str, theirs: str) -> bool:
    return bool(mine) and mine == theirs


def _place_of_both_ports(own: Region, other: Region) -> str:
    """Return where in their Swarm two stacks would publish the same port; empty where they would not."""
    if own.port is None or own.port != other.port:
        return ""
    if "ingress" in (own.publish_mode, other.publish_mode):
        return "every node"
    return ", ".join(f"node {node}" for node in own.nodes if node in other.nodes)


def _contested_accounts(own: Region, other: Region) -> list[str]:
    # Only DTR knows who is left of a team or an organisation with exceptions.
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
    return [
        f"dtr_cache_assignments: hosts {own.host} and {other.host} both claim {named(both)}; an account pulls from one "
        "cache only: take it out of one of them, or name members in dtr_cache_assignments.except"
    ]


# Running caches


def not_ours(cache: Cache, settings: t.Mapping[str, t.Any], registered: t.Iterable[Cache]) -> str:
    """Return a sentence where a running cache belongs to another region; empty where it is this one's or may be.

    Its registration in DTR says whose it is. Where it has none, C(http.host) and the labels of its C(config.yml) do.

    Args:
        cache: One of the C(caches) of M(dtr.cache.stack_plan).
        settings: The public settings of the region.
        registered: The caches that DTR has, each with C(name) and C(host).
    """
    url, own, host = cache["url"], {settings["name"], *settings["former_names"]}, settings["host"]
    may_be_here = not url or not host or host_of(url) == host_of(host)
    entries = list(registered) if url else []
    names = {each["name"] for each in entries if _is_at(each["host"], url)}
    if not names and not may_be_here:
        # C(http.host) that was written by hand may have no port.
        names = {each["name"] for each in entries if host_of(each["host"]) == host_of(url)}
    if not names and cache["registry"] == settings["dtr"] and not _is_at(url, settings["url"]):
        # A region that changes its host, or whose first deployment has failed, has only the label.
        names = {cache["name"]} - {""}
    if names & own or (not names and may_be_here):
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


def _is_at(url: str, other: str) -> bool:
    return bool(url and other) and canonical_server(url) == canonical_server(other)


# Claims


def claims_outside(regions: t.Iterable[Region], dtr: str, hosts: t.Collection[str]) -> list[dict[str, t.Any]]:
    """Return whom the regions of a DTR claim by name, team or organisation, but for those of some hosts."""
    others = (region for region in regions if region.host not in hosts and _same(region.dtr, dtr))
    return [claims for claims in (_claims(region, _KINDS) for region in others) if claims]


def claims_of_others(own: Region, others: t.Iterable[Region]) -> list[dict[str, t.Any]]:
    """Return whom other regions of the same DTR claim, each with its host.

    Of regions in the play, only what can matter to this one: its accounts that are named one by one cannot be among
    those that others name, since that is a collision.
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
    """Return whom a region claims, as an assignment to its cache; empty where it claims none or has no name."""
    claims = {kind: list(region.assignments.get(kind) or []) for kind in kinds}
    if not region.name or not any(claims.values()):
        return {}
    exceptions = {"except": region.assignments["except"]} if "except" in region.assignments else {}
    return {**claims, **exceptions, "cache": region.name}


# Files and hosts


def files_with_users(host: str, named: t.Iterable[str], regions: t.Sequence[Region]) -> dict[str, list[str]]:
    """Return the files to remove that a host names or uses, each with the other hosts that name or use it.

    Args:
        host: The host.
        named: Its own source files.
        regions: All regions of inventory and play.
    """
    used = {file for region in regions if region.host == host for file in region.files}
    others = [region for region in regions if region.host != host]
    files = [*named, *(file for region in others for file in region.source_files if file in used)]
    return {
        file: [region.host for region in others if file in (*region.source_files, *region.files)]
        for file in dict.fromkeys(files)
    }


def unused_files(own: HostFacts, hosts: t.Mapping[str, HostFacts]) -> list[str]:
    """Return the files that this host removes: those that no region needs any more.

    A region that failed, that has still to be run, or that is not in the play needs its files again. The last one of
    those that share a file removes it.

    Args:
        own: The facts of the host.
        hosts: Those of the hosts that are still in the play, in its order.
    """
    finished = [name for name, each in hosts.items() if each.was_checked and not each.failure]
    return [
        file
        for file, users in own.source_files.items()
        if {own.host, *users} <= set(finished) and max({own.host, *users}, key=finished.index) == own.host
    ]


class Undoing(t.NamedTuple):
    """What a removal undoes on other hosts: the port of nodes, and the trust of clients in the file of a CA."""

    firewall: list[str]
    trust: list[str]
    file: str
    problems: list[str]
    warnings: list[str]

    def fact(self) -> dict[str, t.Any]:
        """Return what the tasks of a removal take of it."""
        return {"firewall": self.firewall, "trust": self.trust, "file": self.file}


def undoing(
    settings: Settings, own: Region, regions: t.Iterable[Region], groups: t.Mapping[str, t.Sequence[str]]
) -> Undoing:
    """Return what the removal of a region undoes, as far as no other region needs it.

    Args:
        settings: Those of the region.
        own: The region.
        regions: All regions of the inventory; it may be among them.
        groups: The inventory's groups with their hosts.
    """
    others = [region for region in regions if region.host != own.host and region.name != own.name]
    problems = [problem for other in others for problem in former_name_problems(own, other)]
    problems += [
        f"dtr_cache_upstreams: the cache of host {other.host} pulls from this one ({settings.url}), and would get "
        "nothing any more; let it pull from elsewhere, and deploy it first"
        for other in others
        if settings.host and not other.in_play and canonical_server(settings.url) in other.upstreams
    ]
    hosts: dict[str, list[str]] = {}
    for name, given in (("firewall_hosts", settings.firewall_hosts), ("client_hosts", settings.client_hosts)):
        hosts[name] = _hosts(given, groups)
        unknown = [each for each in given if each not in groups and each not in groups.get("all", ())]
        if unknown:
            problems.append(f"dtr_cache_{name}: the inventory has no host or group {', '.join(unknown)}")
    file = authority_file(settings.ca_certificate) if settings.ca_certificate else ""
    warnings = []
    keepers = [region.host for region in others if file and region.authority in (file, None)]
    if hosts["client_hosts"] and keepers:
        warnings.append(
            f"The CA of {own.name} stays on the hosts of dtr_cache_client_hosts, since the cache of {keepers[0]} has "
            "or may have the same."
        )
    elif hosts["client_hosts"] and not file:
        warnings.append(
            f"dtr_cache_client_hosts: {own.name} has no dtr_cache_ca_certificate, so there is no CA to take from them."
        )
    trust = hosts["client_hosts"] if file and not keepers else []
    return Undoing(hosts["firewall_hosts"], trust, file, problems, warnings)


def _hosts(given: t.Iterable[str], groups: t.Mapping[str, t.Sequence[str]]) -> list[str]:
    return list(dict.fromkeys(host for name in given for host in groups.get(name, [name])))
