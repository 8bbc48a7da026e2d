# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with a region or with a DTR, in sentences with what to do about it. Pure functions."""

from __future__ import annotations

import typing as t
from types import MappingProxyType

from ....module_utils.common.urls import canonical_server, without_secrets
from ....module_utils.health.checks import CLIENT_TO_CACHE, CLIENT_TO_DTR, Check, by_likelihood
from ....module_utils.swarm.plan import OTHER_CACHE
from ...actions.reasons import out_of_reach
from ..facts import HostFacts, Result
from ..misplaced import HINT, misplaced
from . import versions

Row = dict[str, t.Any]

REPLICAS = ("swarm", "replicas")
PLACEMENT = ("swarm", "placement")
DRIFT = ("swarm", "drift")
VERSION = ("swarm", "version")
NODES = ("swarm", "nodes")
_NAMED = 5
# Without one of these, what is observed may not be what was meant.
_WHERE = ("dtr_cache_name:", "dtr_cache_host:", "dtr_cache_port:", "dtr_cache_public_port:", "dtr_cache_registry_")
# What may be wrong with a DTR that answers, and is no reason for any of its caches to be unhealthy.
_OF_THE_DTR = ("clock", "validity", "read_only")
# Whoever fails at none of these has answered, whatever its certificate is worth.
_ANSWERS = ("name_resolution", "tcp", "tls", "api", "finished")


class Problem(t.NamedTuple):
    """One thing that is wrong, in one sentence, and what to do about it."""

    cause: str
    hint: str | None = None
    topic: tuple[str, str] = ("", "")  # what it is about, for programs: a check's edge and name, or a part of the Swarm


class DtrResults(t.NamedTuple):
    """What the modules found at one DTR and at all caches of it; a module that failed has a result as well."""

    registry: Result = MappingProxyType({})  # of registry_info
    registered: Result = MappingProxyType({})  # of content_caches_info
    health: Result | None = None  # of cache_health
    accounts: Result = MappingProxyType({})  # of cache_assignments_info
    ca_problem: str | None = None
    declared: t.Collection[str] = ()  # the names of the caches of the regions that are observed together

    @property
    def probed(self) -> t.Sequence[Result]:
        """What was found at each cache."""
        return (self.health or {}).get("caches") or []

    @property
    def caches(self) -> t.Sequence[Result]:
        """The caches that DTR knows."""
        return self.registered.get("content_caches") or []

    @property
    def dangling(self) -> list[str] | None:
        """The accounts without a cache that can pull at all; C(None) where that is not known."""
        if "dangling" not in self.accounts:
            return None
        inactive = set(self.accounts.get("inactive") or [])
        return [name for name in self.accounts["dangling"] if name not in inactive]

    def is_of_the_dtr(self, check: Check) -> bool:
        """Whether this is wrong with the DTR, and is reported once instead of for each cache."""
        answers = self.registry.get("healthy")
        return bool(answers) and check.edge == CLIENT_TO_DTR and check.failed and check.check in _OF_THE_DTR


def registry_url(settings: Result) -> str:
    """The address of the DTR in the one form that it has for all regions, however each of them spells it."""
    url = str(settings.get("dtr") or settings.get("registry_url") or "")
    return canonical_server(url) if url else ""


def checks_of(probed: Result | None) -> list[Check]:
    """The checks of one cache."""
    return [Check(**check) for check in (probed or {}).get("checks") or []]


def region_problems(row: Row, checks: t.Sequence[Check], host: HostFacts, dtr: DtrResults) -> t.Iterator[Problem]:
    """Everything that is wrong with a region, the likeliest cause of it all first."""
    replicas = row["replicas"]
    is_elsewhere = any(problem.startswith(_WHERE) for problem in host.settings_problems)
    if is_elsewhere:
        yield _unsound(host)
    if _is_of_another(host.plan):
        yield Problem(sentence(host.plan["failure"]["message"]))
    few = list(_replica_problems(row, host.plan, str(host.settings.get("stack_name") or "")))
    if few and replicas["running"] == 0:
        yield from few
    without_ca = _authority_problem(dtr)
    for check in by_likelihood(checks):
        if row["dangling"] and (check.edge, check.check) == (CLIENT_TO_DTR, "pull"):
            # An account whose cache is gone is sent elsewhere, which is reported below.
            continue
        if without_ca and (check.edge, check.check) == (CLIENT_TO_DTR, "chain"):
            # Nothing can be trusted without the CA.
            yield without_ca._replace(topic=(check.edge, check.check))
            continue
        yield _check_problem(check)
    if few and replicas["running"] > 0:
        yield from few
    yield from _observation_problems(row, checks, host, dtr)
    elsewhere = misplaced(host.plan.get("services") or (), cache_service(host.plan), host.settings)
    if elsewhere and row["drift"] is not None and all(step["kind"] != "node_label" for step in row["drift"]):
        yield Problem(elsewhere, HINT, NODES)
    if (
        row["drift"]
        and versions.differs(row)
        and versions.image_of_next_deployment(host.settings, dtr.registry.get("version"))
    ):
        yield Problem(versions.difference(row), "dtr.cache.deploy gives the cache the version of the DTR.", VERSION)
    if row["drift"]:
        yield Problem(
            f"the Swarm is not as declared: {', '.join(step_words(row['drift']))}.",
            "dtr.cache.deploy --check --diff shows the difference, dtr.cache.deploy fixes it.",
            DRIFT,
        )
    yield from dangling_problems(row["dangling"], claimed=True)
    if host.settings_problems and not is_elsewhere:
        yield _unsound(host)


def _unsound(host: HostFacts) -> Problem:
    cause = f"the settings are not sound: {'; '.join(host.settings_problems)}."
    return Problem(cause, "Fix the variables of this region.")


def registry_problems(dtr: DtrResults) -> t.Iterator[Problem]:
    """Why a DTR, or the accounts there, cannot be read."""
    without_ca = _authority_problem(dtr)
    if without_ca:
        yield without_ca
    elif dtr.registry and "healthy" not in dtr.registry:
        yield _failed("the DTR cannot be queried", dtr.registry)
    elif dtr.registry.get("healthy") is False:
        reason = dtr.registry.get("error") or "no reason given"
        yield Problem(sentence(f"the DTR reports that it is not healthy: {reason}"))
    elif dtr.accounts and "by_cache" not in dtr.accounts:
        yield _failed("the accounts cannot be read", dtr.accounts)


def own_problems(dtr: DtrResults) -> t.Iterator[Problem]:
    """What is wrong with a DTR that answers: the checks of each of its caches have the same."""
    for check in checks_of(next(iter(dtr.probed), None)):
        if dtr.is_of_the_dtr(check):
            yield _check_problem(check)


def lost_problems(undeclared: t.Sequence[Result]) -> t.Iterator[Problem]:
    """Caches that are down and that no region declares. One that answers may belong to another inventory."""
    for cache in undeclared:
        if cache["answers"] is not False or cache["accounts"] == 0:
            continue
        count = cache["accounts"]
        subject = {None: "Accounts may be", 1: "1 account is"}.get(count, f"{count} accounts are")
        yield Problem(
            sentence(
                f"{subject} assigned to {cache['name']} ({cache['url']}), which no region declares and which does not "
                f"answer: {cache['detail']}"
            ),
            "Deploy it as a region of this inventory; or remove it from DTR with dtr.cache.content_caches (state "
            "absent), which lets its accounts pull from DTR.",
        )


def dangling_problems(dangling: t.Sequence[str] | None, *, claimed: bool) -> t.Iterator[Problem]:
    """Accounts whose cache no longer exists, whether a region names them or none does."""
    if dangling:
        more = f" and {len(dangling) - _NAMED} more" if len(dangling) > _NAMED else ""
        subject = "1 account is" if len(dangling) == 1 else f"{len(dangling)} accounts are"
        yield Problem(
            f"{subject} assigned to a cache that no longer exists: {', '.join(dangling[:_NAMED])}{more}.",
            "dtr.cache.assign assigns them to the declared cache."
            if claimed
            else "No region names them. dtr.cache.assign assigns a cache to those of the teams and organisations in "
            "dtr_cache_assignments; name the others there, or set them to local with dtr.cache.cache_assignments.",
        )


def claims_problems(dtr: DtrResults) -> t.Iterator[Problem]:
    """Why it is not known which accounts pull from elsewhere than the regions say."""
    problem = dtr.accounts.get("elsewhere_problem")
    if problem:
        yield Problem(
            sentence(f"who should pull from where cannot be worked out: {problem}"),
            "Correct dtr_cache_assignments: dtr.cache.assign refuses it as well.",
        )


def undeclared_cache(cache: Result, dtr: DtrResults) -> Row:
    """A registered cache that no host declares: how many accounts it has, and why it does not answer if so."""
    url = without_secrets(cache["host"])
    probed = next((each for each in dtr.probed if (each["name"], each["url"]) == (cache["name"], url)), {})
    failed = [each for each in checks_of(probed) if each.edge == CLIENT_TO_CACHE and each.failed]
    accounts = dtr.accounts.get("by_cache")
    return {
        "name": cache["name"],
        "url": url,
        "accounts": None if accounts is None else len(accounts.get(cache["name"], ())),
        "answers": not any(each.check in _ANSWERS for each in failed) if probed else None,
        "detail": next((each.detail for each in failed if each.check in _ANSWERS), None),
    }


def step_words(steps: t.Sequence[t.Mapping[str, str]]) -> list[str]:
    """Each step as C(update service (replicas\\)), the many objects of a new deployment as numbers."""
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


def sentence(text: t.Any) -> str:
    """In one line, with one full stop at the end."""
    line = " ".join(str(text).split())
    return line if line.endswith((".", "!", "?")) else f"{line}."


def _check_problem(check: Check) -> Problem:
    return Problem(sentence(f"{check.edge}, {check.check}: {check.detail}"), check.hint, (check.edge, check.check))


def cache_service(plan: Result) -> str:
    """The service of the stack that is the cache: what somebody made by hand may have any name."""
    return str(plan.get("service") or "cache")


def node_addresses(plan: Result) -> list[str]:
    """The addresses of all nodes of the Swarm."""
    return sorted({address for addresses in (plan.get("node_addresses") or {}).values() for address in addresses})


def replica_addresses(settings: Result, plan: Result, services: t.Sequence[Result]) -> list[str]:
    """Where each replica that runs takes connections itself, as C(ADDRESS:PORT); none behind the routing mesh.

    Args:
        settings: Those of the region.
        plan: What was read of the Swarm's nodes.
        services: What runs in the stack.
    """
    if settings.get("publish_mode") != "host" or not settings.get("port"):
        return []
    service = cache_service(plan)
    nodes = [name for each in services if each["name"] == service for name in each.get("nodes") or []]
    # A node has one address where others reach it; the further ones are the same one as others see it.
    found = [(plan.get("node_addresses") or {}).get(node, [])[:1] for node in nodes]
    return [
        f"[{each}]:{settings['port']}" if ":" in each else f"{each}:{settings['port']}"
        for (each,) in filter(None, found)
    ]


def _replica_problems(row: Row, plan: Result, stack: str) -> t.Iterator[Problem]:
    replicas = row["replicas"]
    if replicas is None or replicas["running"] == replicas["wanted"]:
        return
    number = f"{replicas['running']} of {replicas['wanted']} replicas run"
    declared = {each["name"]: each["replicas"]["wanted"] for each in plan["services"]}
    service = cache_service(plan)
    # What has settled is no reason for a replica that is missing.
    reason = None if plan.get("settled") else plan.get("reason")
    if service not in declared:
        yield Problem(f"{number}: the stack has no service for them.", "Deploy it with dtr.cache.deploy.", REPLICAS)
    elif declared[service] != replicas["wanted"]:
        yield Problem(
            f"{number}: the service is set to {declared[service]}.", "Deploy it with dtr.cache.deploy.", REPLICAS
        )
    elif plan.get("fix"):
        yield Problem(f"{plan['reason']}: {number} of stack {stack}.", plan["fix"], PLACEMENT)
    else:
        yield Problem(
            sentence(f"{number}: {reason or 'the Swarm gives no reason'}"),
            "docker stack ps --no-trunc and the service's log show more.",
            REPLICAS,
        )


def _observation_problems(row: Row, checks: t.Sequence[Check], host: HostFacts, dtr: DtrResults) -> t.Iterator[Problem]:
    """What could not be observed, where no check has said so already."""
    plan = host.plan
    if plan.get("unreachable"):
        failure = out_of_reach(row["region"], plan.get("msg"))
        yield Problem(sentence(f"t{failure.message[1:]}"), failure.hint)
    elif "steps" not in plan and plan and not _is_of_another(plan):
        yield _failed("the Swarm cannot be read", plan)
    if dtr.health is not None and "caches" not in dtr.health:
        yield _failed("the cache cannot be probed", dtr.health)
    elif dtr.health is not None and not checks and row["url"]:
        yield Problem(
            f"{row['cache']} is the name of another host's cache as well, which was probed instead.",
            "Give each cache a name of its own (dtr_cache_name).",
        )
    if not any(check.edge == CLIENT_TO_DTR and check.failed for check in checks):
        yield from registry_problems(dtr)


def _is_of_another(plan: Result) -> bool:
    """Return whether the stack is not read as that of the region, since its cache is another one."""
    return (plan.get("failure") or {}).get("code") == OTHER_CACHE and "services" not in plan


def _authority_problem(dtr: DtrResults) -> Problem | None:
    if not dtr.ca_problem:
        return None
    return Problem(sentence(f"the CA of the DTR cannot be fetched: {dtr.ca_problem}"))


def _failed(what: str, result: Result) -> Problem:
    failure = result.get("failure") or {}
    message = failure.get("message") or _plain(result.get("msg"))
    return Problem(sentence(f"{what}: {message}"), failure.get("hint"))


def _plain(message: t.Any) -> str:
    """What Ansible says of a task, without its word that it failed."""
    return str(message or "no reason was given").removeprefix("Task failed: ")
