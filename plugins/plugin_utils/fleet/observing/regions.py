# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From what was observed at a region, its Swarm and its DTR to one row that has its state. Pure functions."""

from __future__ import annotations

import typing as t

from ....module_utils.common.vocabulary import MEASURED
from ....module_utils.dtr.model import tag_of
from ....module_utils.health.checks import Check
from ..facts import HostFacts, Result
from ..traffic import traffic_of
from .names import name_problems, other_names, with_names
from .problems import DtrResults, Problem, Row, cache_service, checks_of, region_problems, registry_url, sentence
from .versions import image_of_next_deployment, with_image

HEALTHY = "healthy"
UNHEALTHY = "unhealthy"
UNKNOWN = "unknown"

_CERTIFICATE = ("subject", "issuer", "not_before", "not_after")


def region_row(host: HostFacts, dtr: DtrResults) -> Row:
    """The row of a region; what is not known is C(None)."""
    settings = host.settings
    probed = _probed_at(settings, dtr)
    plan = host.plan
    accounts = dtr.accounts.get("by_cache")
    checks = [check for check in checks_of(probed) if not dtr.is_of_the_dtr(check)]
    services = {each["name"]: each for each in plan.get("services") or []}
    service: Result = services.get(cache_service(plan)) or {}
    image = service.get("image")
    version = dtr.registry.get("version")
    drift = None
    if "steps" in plan and host.is_deployment:
        wanted = image_of_next_deployment(settings, version)
        drift = with_image(plan["steps"], service, f"{settings.get('stack_name')}_{cache_service(plan)}", wanted)
    name = settings.get("name") or ""
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
        "days_left": (probed or {}).get("days_left"),
        "accounts": None if accounts is None else len(accounts.get(name, ())),
        "elsewhere": _elsewhere(settings, dtr),
        "dangling": _claimed(settings, dtr.dangling),
        "registered": _registered(checks, dtr),
        "other_names": other_names(settings, dtr),
        "drift": drift,
        "serves": (probed or {}).get("serves"),
        "checks": [check.row() for check in checks],
        "addresses": list((probed or {}).get("addresses") or []),
        "seconds": {edge: ((probed or {}).get("seconds") or {}).get(edge) for edge in MEASURED},
        "traffic": traffic_of(host),
    }
    problems = with_names(list(region_problems(row, checks, host, dtr)), list(name_problems(row)))
    nothing_seen = probed is None and "services" not in plan
    return _judged(row, problems, UNKNOWN if nothing_seen else UNHEALTHY if problems else HEALTHY)


def reported_row(host: HostFacts) -> Row:
    """The row of a host that was observed before, or where observing it failed."""
    row = dict(host.observed_region or {})
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


def _probed_at(settings: Result, dtr: DtrResults) -> Result | None:
    """What was found at this cache. Of two hosts with the same name, only one was probed."""
    own = (settings.get("name"), settings.get("url"))
    return next((each for each in dtr.probed if (each["name"], each["url"]) == own), None)


def _replicas(
    settings: Result, plan: Result, service: Result, drift: t.Sequence[t.Any] | None
) -> dict[str, int] | None:
    """How many replicas run. Where the settings describe a deployment, they say how many are wanted."""
    if "services" not in plan:
        return None
    wanted = settings.get("replicas") if drift is not None or settings.get("certificate") is not None else None
    live = service.get("replicas") or {}
    if not live and not wanted:
        return None
    return {"wanted": int(wanted or live.get("wanted", 0)), "running": int(live.get("running", 0))}


def _certificate(probed: Result | None, settings: Result) -> dict[str, t.Any] | None:
    """The certificate that the cache showed, or else the declared one, as C(seen) says."""
    seen = (probed or {}).get("certificate")
    known = seen or settings.get("certificate")
    return {**{key: known.get(key) for key in _CERTIFICATE}, "seen": bool(seen)} if known else None


def _registered(checks: t.Sequence[Check], dtr: DtrResults) -> bool | None:
    """Whether DTR sends to this cache; not known where DTR did not say what is registered."""
    if "healthy" not in dtr.registry:
        return None
    return next((check.ok for check in checks if check.check == "registration"), None)


def _elsewhere(settings: Result, dtr: DtrResults) -> int | None:
    """How many of the accounts that the region claims pull from elsewhere."""
    if "by_cache" not in dtr.accounts or dtr.accounts.get("elsewhere_problem"):
        return None
    return int((dtr.accounts.get("elsewhere") or {}).get(settings.get("name"), 0))


def _claimed(settings: Result, dangling: t.Sequence[str] | None) -> list[str] | None:
    """The accounts without a cache that should pull from this one, as far as the settings name them."""
    if dangling is None:
        return None
    assignments = settings.get("assignments") or {}
    if assignments.get("everyone"):
        return sorted(set(dangling) - set((assignments.get("except") or {}).get("accounts") or []))
    return sorted(set(assignments.get("accounts") or []) & set(dangling))
