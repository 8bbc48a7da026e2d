# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All regions that are observed together, and the DTRs that they belong to. Pure functions, which ask by a function."""

from __future__ import annotations

import typing as t

from ....module_utils.common.failure import Failure
from ....module_utils.common.urls import origin_of, without_secrets
from ..facts import HostFacts, Result
from .problems import (
    DtrResults,
    Problem,
    Row,
    cache_service,
    claims_problems,
    dangling_problems,
    lost_problems,
    node_addresses,
    own_problems,
    registry_problems,
    registry_url,
    replica_addresses,
    undeclared_cache,
)
from .regions import region_row

# Runs one module with its options at one DTR, and never fails.
Ask = t.Callable[[str, t.Mapping[str, t.Any]], Result]


class Fleet(t.NamedTuple):
    """The hosts that belong to the same DTR and trust it in the same way. The first one's credentials are used."""

    hosts: t.Sequence[HostFacts]

    @property
    def head(self) -> HostFacts:
        """The host whose credentials are used."""
        return self.hosts[0]

    @property
    def dtr(self) -> str:
        """The address of its DTR."""
        return registry_url(self.head.settings)

    @property
    def claims(self) -> list[Result]:
        """Whom the regions claim, as M(dtr.cache.cache_assignments) takes it."""
        return [host.settings["claims"] for host in self.hosts if host.settings.get("claims")]


class Limits(t.NamedTuple):
    """How long modules wait for DTR and the caches."""

    timeout: float
    retries: int
    probe_timeout: float


def fleets_of(hosts: t.Iterable[HostFacts]) -> list[Fleet]:
    """The hosts whose settings were read, by their DTR."""
    found: dict[tuple[t.Any, ...], list[HostFacts]] = {}
    for host in hosts:
        settings = host.settings
        if settings:
            key = (registry_url(settings), settings.get("registry_ca"), settings.get("registry_ca_fingerprint"))
            found.setdefault(key, []).append(host)
    return [Fleet(together) for together in found.values()]


def observe(fleet: Fleet, ask: Ask, limits: Limits, others: t.Sequence[Result] = ()) -> DtrResults:
    """What the modules find at a DTR and at all caches of it, which are probed also where DTR does not answer.

    Args:
        others: Whom regions claim that are not observed.
    """
    quickly = {"timeout": limits.timeout, "retries": limits.retries}
    registry = ask("registry_info", quickly)
    answers = bool(registry.get("healthy"))
    registered = ask("content_caches_info", quickly) if answers else {}
    caches = probes(fleet.hosts, registered.get("content_caches") or [])
    # A page of a thousand accounts takes longer than a ping.
    by_name = {**quickly, "names": True, "timeout": 3 * limits.timeout}
    claims = {"assignments": fleet.claims, "others": list(others)}
    return DtrResults(
        registry=registry,
        registered=registered,
        health=ask("cache_health", {"caches": caches, "timeout": limits.probe_timeout}),
        accounts=ask("cache_assignments_info", {**by_name, **claims}) if answers else {},
        ca_problem=fleet.head.dtr_ca_problem,
        declared={str(host.settings.get("name")) for host in fleet.hosts},
    )


def probes(hosts: t.Iterable[HostFacts], registered: t.Iterable[Result] = ()) -> list[Row]:
    """What M(dtr.cache.cache_health) is to probe: the caches of hosts with the same DTR, each name once.

    Args:
        hosts: Their facts, after their Swarms were read.
        registered: The caches that the DTR knows. Those that no host declares are probed as well.
    """
    entries: dict[str, Row] = {}
    for host in hosts:
        probe = host.settings.get("probe") or {}
        if probe.get("name"):
            places = replica_addresses(host.settings, host.plan, host.plan.get("services") or ())
            nodes = {"node_addresses": node_addresses(host.plan), "replica_addresses": places}
            entries.setdefault(probe["name"], {**probe, **nodes, **_published(host)})
    for each in registered:
        if _is_url(each["host"]):
            entries.setdefault(each["name"], {"name": each["name"], "url": without_secrets(each["host"])})
    return list(entries.values())


def region_rows(found: t.Sequence[tuple[Fleet, DtrResults]], hosts: t.Iterable[HostFacts]) -> list[Row]:
    """The rows of the hosts that were observed together, in their order."""
    rows = {host.host: region_row(host, dtr) for fleet, dtr in found for host in fleet.hosts}
    return [rows[host.host] for host in hosts if host.host in rows]


def registry_rows(found: t.Sequence[tuple[Fleet, DtrResults]], regions: t.Iterable[Row]) -> list[Row]:
    """What was found at each DTR, and the accounts there that no region claims but whose cache no longer exists."""
    known = list(regions)
    rows = []
    for fleet, dtr in found:
        if not fleet.dtr:
            continue
        own = [row for row in known if row["registry_url"] == fleet.dtr]
        claimed = {name for row in own for name in row["dangling"] or ()}
        declared = {row["cache"] for row in own}
        dangling = None if dtr.dangling is None else sorted(set(dtr.dangling) - claimed)
        undeclared = [undeclared_cache(each, dtr) for each in dtr.caches if each["name"] not in declared]
        # Their accounts follow with the next deployment, as the row of the region says.
        former = {each["name"] for row in own for each in row["other_names"] or () if each["former"]}
        problems = [
            *registry_problems(dtr),
            *own_problems(dtr),
            *lost_problems([cache for cache in undeclared if cache["name"] not in former]),
            *dangling_problems(dangling, claimed=False),
            *claims_problems(dtr),
        ]
        first = problems[0] if problems else Problem("")
        rows.append(
            {
                "url": fleet.dtr,
                "healthy": dtr.registry.get("healthy"),
                "version": dtr.registry.get("version"),
                "read_only": dtr.registry.get("read_only"),
                "dangling": dangling,
                "undeclared": undeclared if "content_caches" in dtr.registered else None,
                "cause": first.cause or None,
                "hint": first.hint,
            }
        )
    return rows


def without_names(rows: t.Iterable[Row], *, names: bool) -> list[Row]:
    """The rows of regions or DTRs with a number in the place of accounts, which may be thousands.

    Args:
        rows: The rows.
        names: Whether the accounts stand beside it all the same.
    """
    return [
        {
            **row,
            "dangling": None if row["dangling"] is None else len(row["dangling"]),
            **({"dangling_accounts": row["dangling"]} if names else {}),
        }
        for row in rows
    ]


def _published(host: HostFacts) -> Row:
    """The ports at which the Swarm publishes the cache; nothing where it was not read or has nothing to do with it."""
    ports = host.plan.get("published_ports")
    exists = any(each["name"] == cache_service(host.plan) for each in host.plan.get("services") or [])
    if ports is None or (not exists and host.settings.get("certificate") is None):
        return {}
    return {"published_ports": list(ports)}


def _is_url(text: str) -> bool:
    try:
        return origin_of(text).scheme in ("https", "http")
    except Failure:
        return False
