# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with a region or with a DTR, in sentences with what to do about it. Pure functions."""

from __future__ import annotations

import typing as t
from types import MappingProxyType

from ...module_utils.common.failure import Failure
from ...module_utils.common.names import named
from ...module_utils.common.urls import canonical_host, canonical_server, without_secrets
from ...module_utils.dtr.model import are_same, difference
from ...module_utils.health.checks import CLIENT_TO_CACHE, CLIENT_TO_DTR, Check, by_likelihood
from ...module_utils.swarm.compose import image as shown_image
from ...module_utils.swarm.plan import OTHER_CACHE
from ..actions.reasons import out_of_reach
from ..settings.image import PRODUCTS, image_of_dtr
from .facts import HostFacts, Result

Row = dict[str, t.Any]
Step = t.Mapping[str, str]

REPLICAS = ("swarm", "replicas")
PLACEMENT = ("swarm", "placement")
DRIFT = ("swarm", "drift")
VERSION = ("swarm", "version")
NODES = ("swarm", "nodes")
_NAMES = (CLIENT_TO_DTR, "names")

MISPLACED = (
    "Another service of the Swarm is placed by the same node label. Give this cache a label of its own with "
    "dtr_cache_node_label, and deploy it."
)
_DEPLOY = "Deploy it with dtr.cache.deploy."
# Without one of these, what is observed may not be what was meant.
_WHERE = ("dtr_cache_name:", "dtr_cache_host:", "dtr_cache_port:", "dtr_cache_public_port:", "dtr_cache_registry_")
# What may be wrong with a DTR that answers, and is no reason for any of its caches to be unhealthy.
_OF_THE_DTR = ("clock", "validity", "read_only")
# A server that fails at none of these has answered, whatever its certificate is worth.
_ANSWERS = ("name_resolution", "tcp", "tls", "api", "finished")


class Problem(t.NamedTuple):
    """One thing that is wrong, in one sentence, and what to do about it."""

    cause: str
    hint: str | None = None
    topic: tuple[str, str] = ("", "")  # for programs: a check's edge and name, or a part of the Swarm


class DtrResults(t.NamedTuple):
    """The results of the modules at one DTR and at all caches of it; a module that failed has a result as well."""

    registry: Result = MappingProxyType({})  # of registry_info
    registered: Result = MappingProxyType({})  # of content_caches_info
    health: Result | None = None  # of cache_health
    accounts: Result = MappingProxyType({})  # of cache_assignments_info
    ca_problem: str | None = None
    declared: t.Collection[str] = ()  # the names of the caches of the regions that are observed together

    @property
    def caches(self) -> t.Sequence[Result]:
        """Return the caches that DTR knows."""
        return self.registered.get("content_caches") or []

    @property
    def dangling(self) -> list[str] | None:
        """Return the accounts without a cache that can pull at all; C(None) where that is not known."""
        if "dangling" not in self.accounts:
            return None
        inactive = set(self.accounts.get("inactive") or [])
        return [name for name in self.accounts["dangling"] if name not in inactive]

    def probed(self, name: str | None, url: str | None) -> Result:
        """Return what was found at a cache. Of two hosts with the same name, only one was probed."""
        found = (self.health or {}).get("caches") or []
        return next((each for each in found if (each["name"], each["url"]) == (name, url)), {})

    def accounts_of(self, cache: str | None) -> int | None:
        """Return how many accounts pull from a cache; C(None) where that is not known."""
        accounts = self.accounts.get("by_cache")
        return None if accounts is None else len(accounts.get(cache, ()))

    def is_of_the_dtr(self, check: Check) -> bool:
        """Check whether this is wrong with the DTR, and is reported once instead of for each cache."""
        answers = self.registry.get("healthy")
        return bool(answers) and check.edge == CLIENT_TO_DTR and check.failed and check.check in _OF_THE_DTR


def registry_url(settings: Result) -> str:
    """Return the address of the DTR in the one form that it has for all regions, however each of them spells it."""
    url = str(settings.get("dtr") or settings.get("registry_url") or "")
    return canonical_server(url) if url else ""


def checks_of(probed: Result) -> list[Check]:
    """Return the checks of one cache."""
    return [Check(**check) for check in probed.get("checks") or []]


def sentence(text: t.Any) -> str:
    """Return a text in one line, with one full stop at the end."""
    line = " ".join(str(text).split())
    return line if line.endswith((".", "!", "?")) else f"{line}."


# Of a region


def region_problems(row: Row, checks: t.Sequence[Check], host: HostFacts, dtr: DtrResults) -> list[Problem]:
    """Return everything that is wrong with a region, the likeliest cause of it all first."""
    found = list(_region_problems(row, checks, host, dtr))
    topics = [problem.topic for problem in found]
    # Another name is why the cache is not registered under its own.
    registration = (CLIENT_TO_DTR, "registration")
    place = topics.index(registration) if registration in topics else len(found)
    return [*found[:place], *_name_problems(row), *found[place:]]


def _region_problems(row: Row, checks: t.Sequence[Check], host: HostFacts, dtr: DtrResults) -> t.Iterator[Problem]:
    unsound = [
        Problem(
            f"the settings are not sound: {'; '.join(host.settings_problems)}.", "Fix the variables of this region."
        )
    ]
    unsound = unsound if host.settings_problems else []
    is_elsewhere = any(problem.startswith(_WHERE) for problem in host.settings_problems)
    yield from unsound if is_elsewhere else ()
    if _is_of_another(host.plan):
        yield Problem(sentence(host.plan["failure"]["message"]))
    few = list(_replica_problems(row, host.plan, str(host.settings.get("stack_name") or "")))
    # A cache without replicas explains what the checks have.
    explains = bool(few) and row["replicas"]["running"] == 0
    yield from few if explains else ()
    yield from _check_problems(row, checks, dtr)
    yield from () if explains else few
    yield from _observation_problems(row, checks, host, dtr)
    yield from _swarm_problems(row, host, dtr)
    yield from dangling_problems(row["dangling"], claimed=True)
    yield from () if is_elsewhere else unsound


def _check_problems(row: Row, checks: t.Sequence[Check], dtr: DtrResults) -> t.Iterator[Problem]:
    without_ca = _authority_problem(dtr)
    for check in by_likelihood(checks):
        topic = (check.edge, check.check)
        if row["dangling"] and topic == (CLIENT_TO_DTR, "pull"):
            # An account whose cache is gone is sent elsewhere, which is reported with the accounts.
            continue
        if without_ca and topic == (CLIENT_TO_DTR, "chain"):
            # Nothing can be trusted without the CA.
            yield without_ca._replace(topic=topic)
        else:
            yield _check_problem(check)


def _check_problem(check: Check) -> Problem:
    return Problem(sentence(f"{check.edge}, {check.check}: {check.detail}"), check.hint, (check.edge, check.check))


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
        yield Problem(f"{number}: the stack has no service for them.", _DEPLOY, REPLICAS)
    elif declared[service] != replicas["wanted"]:
        yield Problem(f"{number}: the service is set to {declared[service]}.", _DEPLOY, REPLICAS)
    elif plan.get("fix"):
        yield Problem(f"{plan['reason']}: {number} of stack {stack}.", plan["fix"], PLACEMENT)
    else:
        yield Problem(
            sentence(f"{number}: {reason or 'the Swarm gives no reason'}"),
            "docker stack ps --no-trunc and the service's log show more.",
            REPLICAS,
        )


def _observation_problems(row: Row, checks: t.Sequence[Check], host: HostFacts, dtr: DtrResults) -> t.Iterator[Problem]:
    """Return what could not be observed, where no check has said so already."""
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


def _swarm_problems(row: Row, host: HostFacts, dtr: DtrResults) -> t.Iterator[Problem]:
    drift = row["drift"]
    elsewhere = misplaced(host)
    if elsewhere and drift is not None and all(step["kind"] != "node_label" for step in drift):
        yield Problem(elsewhere, MISPLACED, NODES)
    if drift and differs(row) and image_of_next_deployment(host.settings, dtr.registry.get("version")):
        fix = "dtr.cache.deploy gives the cache the version of the DTR."
        yield Problem(version_difference(row), fix, VERSION)
    if drift:
        yield Problem(
            f"the Swarm is not as declared: {', '.join(step_words(drift))}.",
            "dtr.cache.deploy --check --diff shows the difference, dtr.cache.deploy fixes it.",
            DRIFT,
        )


def _name_problems(row: Row) -> t.Iterator[Problem]:
    """Return that accounts are left behind at another name."""
    cache = row["cache"]
    for each in row["other_names"] or []:
        name, count = each["name"], each["accounts"]
        pull = {None: "accounts may be", 1: "1 account is"}.get(count, f"{count} accounts are")
        if each["former"]:
            yield Problem(
                f"DTR still has {name}, a former name of {cache}, and {pull} assigned to it.",
                f"dtr.cache.deploy assigns them to {cache}, and then removes {name}.",
                _NAMES,
            )
        else:
            yield Problem(
                f"DTR has this cache under the name {name} as well, and {pull} assigned to that.",
                f"If it is a former name of {cache}, set dtr_cache_former_names: [{name}] and run dtr.cache.deploy, "
                f"which assigns them to {cache} and then removes {name}.",
                _NAMES,
            )


def other_names(settings: Result, dtr: DtrResults) -> list[Row] | None:
    """Return the entries of the cache that have another name, with how many accounts pull by each.

    They are C(None) where DTR did not say. A name that another observed region declares is that region's.
    """
    if "content_caches" not in dtr.registered or not settings.get("host"):
        return None
    former = settings.get("former_names") or []
    address = canonical_host(settings["url"])
    return [
        {
            "name": each["name"],
            "url": without_secrets(each["host"]),
            "former": each["name"] in former,
            "accounts": dtr.accounts_of(each["name"]),
        }
        for each in dtr.caches
        if each["name"] not in (settings["name"], *dtr.declared)
        and (each["name"] in former or canonical_host(each["host"]) == address)
    ]


# Of a DTR


def registry_problems(dtr: DtrResults) -> t.Iterator[Problem]:
    """Return why a DTR, or the accounts there, cannot be read."""
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


def problems_of_dtr(dtr: DtrResults, undeclared: t.Sequence[Result], dangling: t.Sequence[str] | None) -> list[Problem]:
    """Return everything that is wrong with a DTR.

    Args:
        dtr: What was found there.
        undeclared: The registered caches that no region declares.
        dangling: The accounts that no region claims and whose cache no longer exists.
    """
    first: Result = next(iter((dtr.health or {}).get("caches") or []), {})
    found = [
        *registry_problems(dtr),
        # The checks of each of its caches have the same.
        *(_check_problem(check) for check in checks_of(first) if dtr.is_of_the_dtr(check)),
        *_lost_problems(undeclared),
        *dangling_problems(dangling, claimed=False),
    ]
    problem = dtr.accounts.get("elsewhere_problem")
    if problem:
        found.append(
            Problem(
                sentence(f"who should pull from where cannot be worked out: {problem}"),
                "Correct dtr_cache_assignments: dtr.cache.assign refuses it as well.",
            )
        )
    return found


def _lost_problems(undeclared: t.Sequence[Result]) -> t.Iterator[Problem]:
    """Return the caches that are down and that no region declares. One that answers may be of another inventory."""
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
    """Return the accounts whose cache no longer exists, whether a region names them or none does."""
    if dangling:
        subject = "1 account is" if len(dangling) == 1 else f"{len(dangling)} accounts are"
        yield Problem(
            f"{subject} assigned to a cache that no longer exists: {named(dangling, 5)}.",
            "dtr.cache.assign assigns them to the declared cache."
            if claimed
            else "No region names them. dtr.cache.assign assigns a cache to those of the teams and organisations in "
            "dtr_cache_assignments; name the others there, or set them to local with dtr.cache.cache_assignments.",
        )


def undeclared_cache(cache: Result, dtr: DtrResults) -> Row:
    """Return a registered cache that no host declares: how many accounts it has, and why it does not answer if so."""
    url = without_secrets(cache["host"])
    probed = dtr.probed(cache["name"], url)
    failed = [
        each for each in checks_of(probed) if each.edge == CLIENT_TO_CACHE and each.check in _ANSWERS and each.failed
    ]
    return {
        "name": cache["name"],
        "url": url,
        "accounts": dtr.accounts_of(cache["name"]),
        "answers": not failed if probed else None,
        "detail": failed[0].detail if failed else None,
    }


# Of the Swarm


def step_words(steps: t.Sequence[Step]) -> list[str]:
    """Return each step as C(update service (replicas\\)), the many objects of a new deployment as numbers."""
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


def cache_service(plan: Result) -> str:
    """Return the service of the stack that is the cache: what somebody made by hand may have any name."""
    return str(plan.get("service") or "cache")


def node_addresses(plan: Result) -> list[str]:
    """Return the addresses of all nodes of the Swarm."""
    return sorted({address for addresses in (plan.get("node_addresses") or {}).values() for address in addresses})


def replica_addresses(settings: Result, plan: Result, services: t.Sequence[Result]) -> list[str]:
    """Return where each replica takes connections itself, as C(ADDRESS:PORT); none behind the routing mesh.

    Args:
        settings: Those of the region.
        plan: What was read of the Swarm's nodes.
        services: What runs in the stack.
    """
    if settings.get("publish_mode") != "host" or not settings.get("port"):
        return []
    nodes = [node for each in services if each["name"] == cache_service(plan) for node in each.get("nodes") or []]
    # A node has one address where others reach it; the further ones are the same one as others see it.
    first = ((plan.get("node_addresses") or {}).get(node, [])[:1] for node in nodes)
    found = (f"[{each}]" if ":" in each else each for (each,) in filter(None, first))
    return [f"{each}:{settings['port']}" for each in found]


def misplaced(host: HostFacts) -> str:
    """Return a sentence where replicas run on nodes that the variables do not name; empty where none does."""
    wanted = set(host.settings.get("node_labels") or ())
    service = cache_service(host.plan)
    running = {node for row in host.running_services if row["name"] == service for node in row.get("nodes") or ()}
    elsewhere = sorted(running - wanted)
    if not elsewhere or not wanted:
        return ""
    return (
        f"a replica runs on {', '.join(elsewhere)}, which dtr_cache_nodes does not name "
        f"({', '.join(sorted(wanted))} {'is' if len(wanted) == 1 else 'are'} named)."
    )


# Of versions


def image_of_next_deployment(settings: Result, version: str | None) -> str:
    """Return the image that a deployment would give the cache because DTR has this version.

    It is empty where the variables choose the image themselves, or nothing says which one it is.
    """
    product = PRODUCTS.get(settings.get("product") or "")
    if settings.get("image") or not product or not version:
        return ""
    try:
        return image_of_dtr(product, version)
    except Failure:
        return ""


def with_image(steps: t.Sequence[Step], service: Result, name: str, image: str) -> list[Step]:
    """Return the steps of a plan that was made without knowing the image, and what the image adds to them.

    Args:
        steps: The steps.
        service: What runs, as a plan has it; empty where nothing does, which is a step already.
        name: The service's name in the Swarm.
        image: The image that is wanted.
    """
    if not service or not image or service.get("image") == shown_image(image, with_digest=False):
        return list(steps)
    known = next((step for step in steps if step["kind"] == "service" and step["name"] == name), None)
    detail = [part for part in (known or {}).get("detail", "").split(", ") if part]
    updated = {"kind": "service", "action": "update", "name": name, "detail": ", ".join(sorted([*detail, "image"]))}
    return [updated if step is known else step for step in steps] if known else [*steps, updated]


def differs(row: Result) -> bool:
    """Check whether the cache of a region has another version than its DTR."""
    return are_same(row.get("version"), row.get("registry_version")) is False


def version_difference(row: Result) -> str:
    """Return that it has, in a sentence."""
    return difference(row["version"] or "", row["registry_version"] or "")


def _is_of_another(plan: Result) -> bool:
    """Check whether the stack is not read as that of the region, since its cache is another one."""
    return (plan.get("failure") or {}).get("code") == OTHER_CACHE and "services" not in plan


def _authority_problem(dtr: DtrResults) -> Problem | None:
    text = f"the CA of the DTR cannot be fetched: {dtr.ca_problem}"
    return Problem(sentence(text)) if dtr.ca_problem else None


def _failed(what: str, result: Result) -> Problem:
    failure = result.get("failure") or {}
    message = failure.get("message") or str(result.get("msg") or "no reason was given").removeprefix("Task failed: ")
    return Problem(sentence(f"{what}: {message}"), failure.get("hint"))
