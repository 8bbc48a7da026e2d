# Copyright: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From what the looks at a region gave to one row that says how it is. Pure functions.

Role P(dtr.cache.observation#role) leaves the result of each look in the variables of a host, those at the DTR in the
variables of the first host (the head) of all that belong to it. A look that failed is a result as well.
"""

from __future__ import annotations

import typing as t

from ...module_utils.common.failure import Failure
from ...module_utils.common.urls import canonical_server, origin_of
from ...module_utils.health.checks import (
    CLIENT_TO_CACHE,
    CLIENT_TO_DTR,
    Check,
    by_likelihood,
)

Variables = t.Mapping[str, t.Any]
Row = dict[str, t.Any]

HEALTHY = "healthy"
ILL = "ill"
UNKNOWN = "unknown"

# A host's variable that is the same for all whose DTR is looked at together.
DTR = "__dtr_cache_dtr"
SERVICE = "cache"
REPLICAS = ("swarm", "replicas")
EDGES = ("client->cache", "cache->DTR", "client->DTR")
_CERTIFICATE = ("subject", "issuer", "not_before", "not_after")
_NAMED = 5
# What may be wrong with a DTR that answers, and is no reason for any of its caches to be ill.
_OF_THE_DTR = ("clock", "validity", "read_only")
# Whoever fails at none of these has answered, whatever its certificate is worth.
_ANSWERS = ("name_resolution", "tcp", "tls", "api", "finished")


class Problem(t.NamedTuple):
    """One thing that is not well, in one sentence, and what to do about it."""

    cause: str
    hint: str | None = None
    topic: tuple[str, str] = ("", "")  # what it is about, for programs: a check's edge and name, or a part of the Swarm


def probes(hosts: t.Iterable[Variables], registered: t.Iterable[Variables] = ()) -> list[Row]:
    """What M(dtr.cache.cache_health) is to look at: the caches of hosts with the same DTR, each name once.

    Args:
        hosts: Their variables, after the look at their Swarms.
        registered: The caches that the DTR knows. Those that no host declares are to be looked at as well.
    """
    entries: dict[str, Row] = {}
    for host in hosts:
        probe = host.get("__dtr_cache_probe") or {}
        if probe.get("name"):
            entries.setdefault(probe["name"], {**probe, **_published(host)})
    for each in registered:
        if _is_url(each["host"]):
            entries.setdefault(each["name"], {"name": each["name"], "url": each["host"]})
    return list(entries.values())


def _published(host: Variables) -> Row:
    """The ports at which the Swarm publishes the cache; nothing where it was not looked at or has nothing to do."""
    services = (host.get("__dtr_cache_looked_at_swarm") or {}).get("services")
    service = next((each for each in services or [] if each["name"] == SERVICE), None)
    if services is None or (service is None and (host.get("__dtr_cache") or {}).get("certificate") is None):
        return {}
    ports = (port.partition(":")[0] for port in (service or {}).get("ports") or [])
    return {"published_ports": [int(port) for port in ports if port.isdigit()]}


def _is_url(text: str) -> bool:
    try:
        return origin_of(text).scheme in ("https", "http")
    except Failure:
        return False


def observe(hosts: t.Iterable[Variables]) -> list[Row]:
    """The rows of the hosts that were looked at together, in their order."""
    found: list[Row] = []
    heads: dict[str, Variables] = {}
    for host in hosts:
        if DTR in host:
            found.append(_observed(host, heads.setdefault(host[DTR], host)))
    return found


def _observed(host: Variables, head: Variables) -> Row:
    """The row of a region, from the variables of its host and of the head of its DTR."""
    settings = host.get("__dtr_cache") or {}
    health = _health_of(settings, head)
    swarm = host.get("__dtr_cache_looked_at_swarm") or {}
    accounts = head.get("__dtr_cache_looked_at_accounts") or {}
    checks = [check for check in _checks(health) if not _is_told_of_the_dtr(check, head)]
    services = {each["name"]: each for each in swarm.get("services") or []}
    service: Variables = services.get(SERVICE) or {}
    image = service.get("image")
    drift = list(swarm["steps"]) if "steps" in swarm and _is_plannable(host, head) else None
    name = settings.get("name") or ""
    row: Row = {
        "region": str(host["inventory_hostname"]),
        "cache": name,
        "url": settings.get("url") if settings.get("host") else "",
        "registry_url": _registry_url(settings),
        "nodes": sorted(settings.get("node_labels") or []),
        "image": image,
        "version": _tag(image),
        "replicas": _replicas(settings, swarm, service, drift),
        "certificate": _certificate(health),
        "days_left": (health or {}).get("days_left"),
        "accounts": len(accounts["by_cache"].get(name, ())) if "by_cache" in accounts else None,
        "dangling": _claimed(settings, _dangling(accounts)),
        "registered": _registered(checks, head),
        "drift": drift,
        "serves": (health or {}).get("serves"),
        "checks": [check.row() for check in checks],
        "seconds": {edge: ((health or {}).get("seconds") or {}).get(edge) for edge in EDGES},
    }
    problems = list(_problems(row, checks, host, head))
    nothing_seen = health is None and "services" not in swarm
    return _judged(row, problems, UNKNOWN if nothing_seen else ILL if problems else HEALTHY)


def rows(hosts: t.Iterable[Variables]) -> list[Row]:
    """The rows of many hosts, in their order; also of one at which the role itself failed."""
    return [_row(host) for host in hosts]


def _row(host: Variables) -> Row:
    row = dict(host.get("__dtr_cache_observed") or {})
    failure = host.get("__dtr_cache_failure")
    if failure or not row:
        row = row or _observed({"inventory_hostname": host["inventory_hostname"]}, {})
        task = host.get("__dtr_cache_failed_task")
        told = f"the look at the region failed at {task}: {_sentence(failure)}" if failure else "it was not looked at."
        problems = [Problem(told), *(Problem(**problem) for problem in row["problems"])]
        return _judged(row, problems, UNKNOWN if row["state"] == UNKNOWN else ILL)
    return row


def registries(hosts: t.Iterable[Variables]) -> list[dict[str, t.Any]]:
    """What was found at each DTR, and the accounts there that no region claims but whose cache no longer exists."""
    known = list(hosts)
    found = []
    for head in known:
        registry = head.get("__dtr_cache_looked_at_registry")
        if registry is None:
            continue
        url = _registry_url(head["__dtr_cache"])
        fleet = [host for host in known if _registry_url(host.get("__dtr_cache") or {}) == url]
        claimed = {name for host in fleet for name in (host.get("__dtr_cache_observed") or {}).get("dangling") or []}
        accounts = head.get("__dtr_cache_looked_at_accounts") or {}
        dangling = sorted(set(_dangling(accounts)) - claimed)
        names = {(host.get("__dtr_cache") or {}).get("name") for host in fleet}
        undeclared = [_undeclared(each, head) for each in _registered_caches(head) if each["name"] not in names]
        problems = [
            *_registry_problems(head, registry, accounts),
            *_own_problems(head),
            *_lost_problems(undeclared),
            *_dangling_problems(dangling, claimed=False),
        ]
        first = problems[0] if problems else Problem("")
        found.append(
            {
                "url": url,
                "healthy": registry.get("healthy"),
                "version": registry.get("version"),
                "read_only": registry.get("read_only"),
                "dangling": dangling,
                "undeclared": undeclared,
                "cause": first.cause or None,
                "hint": first.hint,
            }
        )
    return found


def summary(found: t.Iterable[Row]) -> list[dict[str, t.Any]]:
    """The rows in the words of a table."""
    return [
        {
            "region": row["region"],
            "url": row["url"] or None,
            "state": row["state"],
            "version": row["version"],
            "replicas": f"{row['replicas']['running']}/{row['replicas']['wanted']}" if row["replicas"] else None,
            "days left": row["days_left"],
            "accounts": row["accounts"],
            "registered": {True: "yes", False: "no", None: None}[row["registered"]],
            "drift": None if row["drift"] is None else ", ".join(_step_words(row["drift"])) or "none",
            "cause": _shortened(row["cause"] or ""),
        }
        for row in found
    ]


def _judged(row: Row, problems: t.Sequence[Problem], state: str) -> Row:
    first = problems[0] if problems else Problem("")
    verdict = {"state": state, "cause": first.cause or None, "hint": first.hint}
    return {**row, **verdict, "problems": [problem._asdict() for problem in problems]}


def _registry_url(settings: Variables) -> str:
    """The address of the DTR in the one form that it has for all regions, however each of them spells it."""
    url = settings.get("registry_url") or ""
    return canonical_server(url) if url else ""


def _health_of(settings: Variables, head: Variables) -> Variables | None:
    """What was found at this cache. Of two hosts with the same name, only one was looked at."""
    own = (settings.get("name"), settings.get("url"))
    return next((each for each in _looked_at(head) if (each["name"], each["url"]) == own), None)


def _looked_at(head: Variables) -> t.Sequence[Variables]:
    return (head.get("__dtr_cache_looked_at_health") or {}).get("caches") or []


def _registered_caches(head: Variables) -> t.Sequence[Variables]:
    return (head.get("__dtr_cache_looked_at_registered") or {}).get("content_caches") or []


def _checks(health: Variables | None) -> list[Check]:
    return [Check(**check) for check in (health or {}).get("checks") or []]


def _is_told_of_the_dtr(check: Check, head: Variables) -> bool:
    """Whether this is wrong with the DTR, and is told once instead of at each cache."""
    answers = (head.get("__dtr_cache_looked_at_registry") or {}).get("healthy")
    return bool(answers) and check.edge == CLIENT_TO_DTR and not check.ok and check.check in _OF_THE_DTR


def _dangling(accounts: Variables) -> list[str]:
    """The accounts without a cache that can pull at all."""
    inactive = set(accounts.get("inactive") or [])
    return [name for name in accounts.get("dangling") or [] if name not in inactive]


def _undeclared(cache: Variables, head: Variables) -> dict[str, t.Any]:
    """A registered cache that no host declares: how many accounts it has, and why it does not answer if so."""
    looked = next(
        (each for each in _looked_at(head) if (each["name"], each["url"]) == (cache["name"], cache["host"])), {}
    )
    failed = [each for each in _checks(looked) if each.edge == CLIENT_TO_CACHE and not each.ok]
    accounts = (head.get("__dtr_cache_looked_at_accounts") or {}).get("by_cache")
    return {
        "name": cache["name"],
        "url": cache["host"],
        "accounts": None if accounts is None else len(accounts.get(cache["name"], ())),
        "answers": not any(each.check in _ANSWERS for each in failed) if looked else None,
        "detail": next((each.detail for each in failed if each.check in _ANSWERS), None),
    }


def _is_plannable(host: Variables, head: Variables) -> bool:
    """Whether everything that a deployment is made of is known, so that the steps mean something."""
    problems = (host.get("__dtr_cache_looked_at_settings") or {}).get("problems")
    return (
        not problems
        and (host.get("__dtr_cache") or {}).get("certificate") is not None
        and head.get("__dtr_cache_registry_ca") is not None
    )


def _replicas(
    settings: Variables, swarm: Variables, service: Variables, drift: t.Sequence[t.Any] | None
) -> dict[str, int] | None:
    """How many replicas run. Where the settings describe a deployment, they say how many are wanted."""
    if "services" not in swarm:
        return None
    wanted = settings.get("replicas") if drift is not None or settings.get("certificate") is not None else None
    live = service.get("replicas") or {}
    if not live and not wanted:
        return None
    return {"wanted": int(wanted or live.get("wanted", 0)), "running": int(live.get("running", 0))}


def _certificate(health: Variables | None) -> dict[str, t.Any] | None:
    seen = (health or {}).get("certificate")
    return {key: seen.get(key) for key in _CERTIFICATE} if seen else None


def _registered(checks: t.Sequence[Check], head: Variables) -> bool | None:
    """Whether DTR sends to this cache; not known where DTR did not tell what is registered."""
    if "healthy" not in (head.get("__dtr_cache_looked_at_registry") or {}):
        return None
    return next((check.ok for check in checks if check.check == "registration"), None)


def _claimed(settings: Variables, dangling: t.Sequence[str]) -> list[str]:
    """The accounts without a cache that should pull from this one, as far as the settings name them."""
    assignments = settings.get("assignments") or {}
    if assignments.get("everyone"):
        return sorted(dangling)
    return sorted(set(assignments.get("accounts") or []) & set(dangling))


def _tag(image: str | None) -> str | None:
    tag = (image or "").partition("@")[0].rpartition("/")[2].partition(":")[2]
    return tag or None


def _problems(row: Row, checks: t.Sequence[Check], host: Variables, head: Variables) -> t.Iterator[Problem]:
    """Everything that is not well, the likeliest cause of it all first."""
    replicas = row["replicas"]
    swarm = host.get("__dtr_cache_looked_at_swarm") or {}
    few = list(_replica_problems(row, swarm))
    if few and replicas["running"] == 0:
        yield from few
    without_ca = _authority_problem(head)
    for check in by_likelihood(checks):
        if row["dangling"] and (check.edge, check.check) == (CLIENT_TO_DTR, "pull"):
            # An account whose cache is gone is sent elsewhere, which is told below.
            continue
        if without_ca and (check.edge, check.check) == (CLIENT_TO_DTR, "chain"):
            # Nothing could be trusted where the CA did not come.
            yield without_ca._replace(topic=(check.edge, check.check))
            continue
        told = _sentence(f"{check.edge}, {check.check}: {check.detail}")
        yield Problem(told, check.hint, (check.edge, check.check))
    if few and replicas["running"] > 0:
        yield from few
    yield from _look_problems(row, checks, host, head)
    if row["drift"]:
        yield Problem(
            f"the Swarm is not as declared: {', '.join(_step_words(row['drift']))}.",
            "dtr.cache.deploy --check --diff shows the difference, dtr.cache.deploy mends it.",
            ("swarm", "drift"),
        )
    yield from _dangling_problems(row["dangling"], claimed=True)
    settings = (host.get("__dtr_cache_looked_at_settings") or {}).get("problems") or []
    if settings:
        yield Problem(f"the settings are not sound: {'; '.join(settings)}.", "Mend the variables of this region.")


def _replica_problems(row: Row, swarm: Variables) -> t.Iterator[Problem]:
    replicas = row["replicas"]
    if replicas is None or replicas["running"] == replicas["wanted"]:
        return
    told = f"{replicas['running']} of {replicas['wanted']} replicas run"
    declared = {each["name"]: each["replicas"]["wanted"] for each in swarm["services"]}
    if SERVICE not in declared:
        yield Problem(f"{told}: the stack has no service for them.", "Deploy it with dtr.cache.deploy.", REPLICAS)
    elif declared[SERVICE] != replicas["wanted"]:
        yield Problem(
            f"{told}: the service is set to {declared[SERVICE]}.", "Deploy it with dtr.cache.deploy.", REPLICAS
        )
    else:
        yield Problem(
            _sentence(f"{told}: {swarm.get('reason') or 'the Swarm gives no reason'}"),
            "docker stack ps --no-trunc and the service's log tell more.",
            REPLICAS,
        )


def _look_problems(row: Row, checks: t.Sequence[Check], host: Variables, head: Variables) -> t.Iterator[Problem]:
    """What could not be looked at, where no check has said so already."""
    swarm = host.get("__dtr_cache_looked_at_swarm") or {}
    if swarm.get("unreachable"):
        yield Problem(
            _sentence(f"the manager {row['region']} cannot be reached: {_plain(swarm.get('msg'))}"),
            "Check that it is up, and Ansible's way to it (ansible_host, SSH).",
        )
    elif "steps" not in swarm and swarm:
        yield _failed("the Swarm cannot be looked at", swarm)
    looked = head.get("__dtr_cache_looked_at_health")
    if looked is not None and "caches" not in looked:
        yield _failed("the cache cannot be probed", looked)
    elif looked is not None and not checks and row["url"]:
        yield Problem(
            f"{row['cache']} is the name of another host's cache as well, which was probed instead.",
            "Give each cache a name of its own (dtr_cache_name).",
        )
    if not any(check.edge == CLIENT_TO_DTR and not check.ok for check in checks):
        registry = head.get("__dtr_cache_looked_at_registry")
        yield from _registry_problems(head, registry or {}, head.get("__dtr_cache_looked_at_accounts") or {})


def _authority_problem(head: Variables) -> Problem | None:
    authority = head.get("__dtr_cache_looked_at_ca") or {}
    missing = "failure" in authority and "pem" not in authority
    return _failed("the CA of the DTR cannot be had", authority) if missing else None


def _registry_problems(head: Variables, registry: Variables, accounts: Variables) -> t.Iterator[Problem]:
    without_ca = _authority_problem(head)
    if without_ca:
        yield without_ca
    elif registry and "healthy" not in registry:
        yield _failed("the DTR cannot be asked", registry)
    elif registry.get("healthy") is False:
        yield Problem(_sentence(f"the DTR says that it is not healthy: {registry.get('error') or 'no reason given'}"))
    elif accounts and "by_cache" not in accounts and not accounts.get("skipped"):
        yield _failed("the accounts cannot be read", accounts)


def _own_problems(head: Variables) -> t.Iterator[Problem]:
    """What is wrong with a DTR that answers: each of its caches was told the same."""
    for check in _checks(next(iter(_looked_at(head)), None)):
        if _is_told_of_the_dtr(check, head):
            yield Problem(
                _sentence(f"{check.edge}, {check.check}: {check.detail}"), check.hint, (check.edge, check.check)
            )


def _lost_problems(undeclared: t.Sequence[Variables]) -> t.Iterator[Problem]:
    """Caches that are down and that nobody looks after. One that answers may be another inventory's."""
    for cache in undeclared:
        if cache["answers"] is not False or cache["accounts"] == 0:
            continue
        count = cache["accounts"]
        subject = {None: "Accounts may be", 1: "1 account is"}.get(count, f"{count} accounts are")
        yield Problem(
            _sentence(
                f"{subject} assigned to {cache['name']} ({cache['url']}), which no region declares and which does not "
                f"answer: {cache['detail']}"
            ),
            "Deploy it as a region of this inventory; or take it out of DTR with dtr.cache.content_caches (state "
            "absent), which lets its accounts pull from DTR.",
        )


def _dangling_problems(dangling: t.Sequence[str], *, claimed: bool) -> t.Iterator[Problem]:
    if dangling:
        more = f" and {len(dangling) - _NAMED} more" if len(dangling) > _NAMED else ""
        subject = "1 account is" if len(dangling) == 1 else f"{len(dangling)} accounts are"
        yield Problem(
            f"{subject} assigned to a cache that no longer exists: {', '.join(dangling[:_NAMED])}{more}.",
            "dtr.cache.assign gives them the cache that is declared."
            if claimed
            else "No region names them. dtr.cache.assign gives a cache to those of the teams and organisations in "
            "dtr_cache_assignments; name the others there, or set them to local with dtr.cache.cache_assignments.",
        )


def _failed(what: str, result: Variables) -> Problem:
    failure = result.get("failure") or {}
    message = failure.get("message") or _plain(result.get("msg"))
    return Problem(_sentence(f"{what}: {message}"), failure.get("hint"))


def _step_words(steps: t.Sequence[t.Mapping[str, str]]) -> list[str]:
    """Each step as C(update service dtr-cache_cache (replicas\\)), the many objects of a new deployment as numbers."""
    words: list[str] = []
    counts: dict[tuple[str, str], int] = {}
    for step in steps:
        kind = step["kind"].replace("_", " ")
        if step["kind"] == "service":
            detail = f" ({step['detail']})" if step["detail"] else ""
            words.append(f"{step['action']} service{detail}")
        else:
            counts[step["action"], kind] = counts.get((step["action"], kind), 0) + 1
    return words + [f"{action} {count} {kind}{'s' if count > 1 else ''}" for (action, kind), count in counts.items()]


def _plain(message: t.Any) -> str:
    """What Ansible says of a task, without its word that it failed."""
    return str(message or "no reason was given").removeprefix("Task failed: ")


def _sentence(text: t.Any) -> str:
    """In one line, with one full stop at the end."""
    line = " ".join(str(text).split())
    return line if line.endswith((".", "!", "?")) else f"{line}."


def _shortened(text: str, length: int = 100) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"
