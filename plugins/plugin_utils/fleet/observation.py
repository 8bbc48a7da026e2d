# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The row of each region and of each DTR that was observed. Pure functions, which ask by a function."""

from __future__ import annotations

import typing as t

from ...module_utils.common.failure import Failure
from ...module_utils.common.urls import origin_of, without_secrets
from ...module_utils.common.vocabulary import MEASURED
from ...module_utils.dtr.model import tag_of
from ...module_utils.health.checks import Check
from .facts import HostFacts, Result
from .problems import (
    DtrResults,
    Problem,
    Row,
    cache_service,
    checks_of,
    image_of_next_deployment,
    node_addresses,
    other_names,
    problems_of_dtr,
    region_problems,
    registry_url,
    replica_addresses,
    sentence,
    undeclared_cache,
    with_image,
)
from .traffic import traffic_of

# Runs one module with its options at one DTR, and never fails.
Ask = t.Callable[[str, t.Mapping[str, t.Any]], Result]

HEALTHY = "healthy"
UNHEALTHY = "unhealthy"
UNKNOWN = "unknown"

_CERTIFICATE = ("subject", "issuer", "not_before", "not_after")


class Fleet(t.NamedTuple):
    """The hosts that belong to the same DTR and trust it in the same way. The first one's credentials are used."""

    hosts: t.Sequence[HostFacts]

    @property
    def head(self) -> HostFacts:
        """Return the host whose credentials are used."""
        return self.hosts[0]

    @property
    def dtr(self) -> str:
        """Return the address of its DTR."""
        return registry_url(self.head.settings)

    @property
    def claims(self) -> list[Result]:
        """Return whom the regions claim, as M(dtr.cache.cache_assignments) takes it."""
        return [host.settings["claims"] for host in self.hosts if host.settings.get("claims")]


class Limits(t.NamedTuple):
    """How long modules wait for DTR and the caches."""

    timeout: float
    retries: int
    probe_timeout: float


def fleets_of(hosts: t.Iterable[HostFacts]) -> list[Fleet]:
    """Return the hosts whose settings were read, by their DTR."""
    found: dict[tuple[t.Any, ...], list[HostFacts]] = {}
    for host in hosts:
        settings = host.settings
        if settings:
            key = (registry_url(settings), settings.get("registry_ca"), settings.get("registry_ca_fingerprint"))
            found.setdefault(key, []).append(host)
    return [Fleet(together) for together in found.values()]


def observe(fleet: Fleet, ask: Ask, limits: Limits, others: t.Sequence[Result] = ()) -> DtrResults:
    """Return what modules find at a DTR and at all its caches, which are probed also where DTR does not answer.

    Args:
        fleet: The hosts of the DTR.
        ask: Runs a module.
        limits: How long it may take.
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
    """Return what M(dtr.cache.cache_health) is to probe: the caches of hosts with the same DTR, each name once.

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


def _published(host: HostFacts) -> Row:
    """Return the ports at which the Swarm publishes the cache; nothing where it was not read, or has none of it."""
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


def region_rows(found: t.Sequence[tuple[Fleet, DtrResults]], hosts: t.Iterable[HostFacts]) -> list[Row]:
    """Return the rows of the hosts that were observed together, in their order."""
    rows = {host.host: region_row(host, dtr) for fleet, dtr in found for host in fleet.hosts}
    return [rows[host.host] for host in hosts if host.host in rows]


def region_row(host: HostFacts, dtr: DtrResults) -> Row:
    """Return the row of a region; what is not known is C(None)."""
    settings, plan = host.settings, host.plan
    name = settings.get("name") or ""
    probed = dtr.probed(settings.get("name"), settings.get("url"))
    checks = [check for check in checks_of(probed) if not dtr.is_of_the_dtr(check)]
    services = {each["name"]: each for each in plan.get("services") or []}
    service: Result = services.get(cache_service(plan)) or {}
    image = service.get("image")
    version = dtr.registry.get("version")
    drift = None
    if "steps" in plan and host.deployment:
        wanted = image_of_next_deployment(settings, version)
        drift = with_image(plan["steps"], service, f"{settings.get('stack_name')}_{cache_service(plan)}", wanted)
    row: Row = {
        "region": host.host,
        "cache": name,
        "url": settings.get("url") if settings.get("host") else "",
        "registry_url": registry_url(settings),
        "nodes": sorted(settings.get("node_labels") or []),
        "image": image,
        "version": tag_of(image) or None,
        "registry_version": version,
        "replicas": _replicas(settings, plan, service, drift),
        "certificate": _certificate(probed, settings),
        "days_left": probed.get("days_left"),
        "accounts": dtr.accounts_of(name),
        "elsewhere": _elsewhere(settings, dtr),
        "dangling": _claimed(settings, dtr.dangling),
        "registered": _registered(checks, dtr),
        "other_names": other_names(settings, dtr),
        "drift": drift,
        "serves": probed.get("serves"),
        "checks": [check.row() for check in checks],
        "addresses": list(probed.get("addresses") or []),
        "seconds": {edge: (probed.get("seconds") or {}).get(edge) for edge in MEASURED},
        "traffic": traffic_of(host),
    }
    problems = region_problems(row, checks, host, dtr)
    nothing_seen = not probed and "services" not in plan
    return _judged(row, problems, UNKNOWN if nothing_seen else UNHEALTHY if problems else HEALTHY)


def reported_row(host: HostFacts) -> Row:
    """Return the row of a host that was observed before, or where observing it failed."""
    row = dict(host.observed.region or {})
    failure = host.kept_failure
    if row and not failure:
        return row
    row = row or region_row(HostFacts({"inventory_hostname": host.host}), DtrResults())
    reason = f"observing the region failed at {failure.task}: {sentence(failure.reason)}" if failure else ""
    problems = [Problem(reason or "it was not observed."), *(Problem(**problem) for problem in row["problems"])]
    return _judged(row, problems, UNKNOWN if row["state"] == UNKNOWN else UNHEALTHY)


def _judged(row: Row, problems: t.Sequence[Problem], state: str) -> Row:
    first = problems[0] if problems else Problem("")
    verdict = {"state": state, "cause": first.cause or None, "hint": first.hint}
    return {**row, **verdict, "problems": [problem._asdict() for problem in problems]}


def _replicas(
    settings: Result, plan: Result, service: Result, drift: t.Sequence[t.Any] | None
) -> dict[str, int] | None:
    """Return how many replicas run. Where the settings describe a deployment, they say how many are wanted."""
    if "services" not in plan:
        return None
    wanted = settings.get("replicas") if drift is not None or settings.get("certificate") is not None else None
    live = service.get("replicas") or {}
    if not live and not wanted:
        return None
    return {"wanted": int(wanted or live.get("wanted", 0)), "running": int(live.get("running", 0))}


def _certificate(probed: Result, settings: Result) -> dict[str, t.Any] | None:
    """Return the certificate that the cache showed, or else the declared one, as C(seen) says."""
    seen = probed.get("certificate")
    known = seen or settings.get("certificate")
    return {**{key: known.get(key) for key in _CERTIFICATE}, "seen": bool(seen)} if known else None


def _registered(checks: t.Sequence[Check], dtr: DtrResults) -> bool | None:
    """Check whether DTR sends to this cache; not known where DTR did not say what is registered."""
    if "healthy" not in dtr.registry:
        return None
    return next((check.ok for check in checks if check.check == "registration"), None)


def _elsewhere(settings: Result, dtr: DtrResults) -> int | None:
    """Return how many of the accounts that the region claims pull from elsewhere."""
    if "by_cache" not in dtr.accounts or dtr.accounts.get("elsewhere_problem"):
        return None
    return int((dtr.accounts.get("elsewhere") or {}).get(settings.get("name"), 0))


def _claimed(settings: Result, dangling: t.Sequence[str] | None) -> list[str] | None:
    """Return the accounts without a cache that should pull from this one, as far as the settings name them."""
    if dangling is None:
        return None
    assignments = settings.get("assignments") or {}
    if assignments.get("everyone"):
        return sorted(set(dangling) - set((assignments.get("except") or {}).get("accounts") or []))
    return sorted(set(assignments.get("accounts") or []) & set(dangling))


def registry_rows(found: t.Sequence[tuple[Fleet, DtrResults]], regions: t.Sequence[Row]) -> list[Row]:
    """Return what was found at each DTR.

    Args:
        found: The DTRs.
        regions: The rows of the regions. Accounts that one of them claims are not reported again.
    """
    rows = []
    for fleet, dtr in found:
        if not fleet.dtr:
            continue
        own = [row for row in regions if row["registry_url"] == fleet.dtr]
        claimed = {name for row in own for name in row["dangling"] or ()}
        declared = {row["cache"] for row in own}
        dangling = None if dtr.dangling is None else sorted(set(dtr.dangling) - claimed)
        undeclared = [undeclared_cache(each, dtr) for each in dtr.caches if each["name"] not in declared]
        # Their accounts follow with the next deployment, as the row of the region says.
        former = {each["name"] for row in own for each in row["other_names"] or () if each["former"]}
        problems = problems_of_dtr(dtr, [cache for cache in undeclared if cache["name"] not in former], dangling)
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
    """Return the rows of regions or DTRs with a number in the place of accounts, which may be thousands.

    Args:
        rows: The rows.
        names: Whether the accounts are in a key beside it all the same.
    """
    return [
        {
            **row,
            "dangling": None if row["dangling"] is None else len(row["dangling"]),
            **({"dangling_accounts": row["dangling"]} if names else {}),
        }
        for row in rows
    ]
