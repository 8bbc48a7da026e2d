# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One verdict a cache from all that was observed: checks, Swarm, registration and logs. Pure functions.

What a check cannot know (why the cache gets nothing from DTR, why it does not run) is in the log. The other way round a
check knows that DTR is down where the log only has refused connections. So each problem that was observed is joined
with the findings of the logs that explain it, or follow from it, and is reported once, by the more precise one.
"""

from __future__ import annotations

import dataclasses
import typing as t

from ...module_utils.common.names import named
from ...module_utils.health.checks import (
    CACHE_TO_DTR,
    CLIENT_TO_CACHE,
    CLIENT_TO_DTR,
    DTR_TO_CACHE,
    Check,
    by_likelihood,
)
from ...module_utils.logs.causes import START, STORAGE, VAGUE
from .facts import HostFacts, Result
from .observation import HEALTHY, UNHEALTHY, reported_row
from .problems import DRIFT, PLACEMENT, REPLICAS, VERSION, differs, version_difference
from .traffic import traffic_of, traffic_sentences

Finding = t.Mapping[str, t.Any]
Topic = tuple[str, str]

# Without a container that serves nothing of this can be right.
_NOT_SERVING: tuple[Topic, ...] = (
    (CLIENT_TO_CACHE, "tcp"),
    (CLIENT_TO_CACHE, "tls"),
    (CLIENT_TO_CACHE, "api"),
    (CLIENT_TO_CACHE, "finished"),
)
# What only a missing service explains.
_OF_NO_SERVICE: tuple[Topic, ...] = (DRIFT, (CLIENT_TO_CACHE, "deployment"))
_UPSTREAM: Topic = (CACHE_TO_DTR, "upstream")
# A DTR that does not answer anybody; the cache's own words about it add nothing.
_DTR_AWAY: tuple[Topic, ...] = tuple((CLIENT_TO_DTR, check) for check in ("tcp", "tls", "api", "finished"))
_OF_A_DTR_AWAY = (
    "upstream_refused",
    "upstream_timeout",
    "upstream_no_route",
    "upstream_interrupted",
    "upstream_unavailable",
    "upstream_plain_http",
    "upstream_tls",
)
# Findings that say the same as a check which has it in more detail.
_SAME: dict[Topic, tuple[str, ...]] = {
    PLACEMENT: ("no_node", "node_lost", "port_in_use"),
    **dict.fromkeys(_DTR_AWAY, _OF_A_DTR_AWAY),
    (CLIENT_TO_DTR, "name_resolution"): ("upstream_dns",),
    (CLIENT_TO_DTR, "validity"): ("upstream_expired", "upstream_not_yet_valid"),
    (CLIENT_TO_DTR, "host_name"): ("upstream_name_mismatch",),
    # DTR is a client of the cache, too.
    (DTR_TO_CACHE, "redirect"): ("client_distrusts_cache", "client_sees_expired"),
    (CLIENT_TO_CACHE, "chain"): ("client_distrusts_cache",),
    (CLIENT_TO_CACHE, "host_name"): ("client_distrusts_cache",),
    (CLIENT_TO_CACHE, "validity"): ("client_sees_expired", "client_distrusts_cache"),
}
# No check would notice these: what the log has of them counts, although everything else is well.
_UNCHECKED = ("upstream_wrong_content", "upstream_redirects", "upstream_token_rejected", "client_wants_no_certificate")
# A few requests of somebody whom DTR did not send are no trouble of the cache.
_REJECTED_TO_COUNT = 3
_SERVER_ERRORS = 500


@dataclasses.dataclass
class Cause:
    """Something that is wrong, reported once."""

    cause: str
    edge: str
    told: str
    fix: str | None
    evidence: list[str]
    finding: Finding | None = None

    def row(self) -> dict[str, t.Any]:
        """As the verdict shows it."""
        finding = self.finding or {}
        return {
            "cause": self.cause,
            "edge": self.edge,
            "told": self.told,
            "fix": self.fix,
            "evidence": self.evidence,
            "count": finding.get("count"),
            "last_seen": finding.get("last_seen"),
            "nodes": list(finding.get("nodes") or []),
        }


def verdict_of(host: HostFacts) -> dict[str, t.Any]:
    """Return the verdict on the cache of a host."""
    row = reported_row(host)
    stack = str(host.settings.get("stack_name") or "")
    found = verdict(row, host.logs.get("findings") or [], _unread(host.logs), stack)
    # That the DTR is down may be among the causes.
    if not any(each["edge"] == CLIENT_TO_DTR for each in found["causes"]):
        told = [each["told"] for each in found["causes"]]
        for registry in host.observed.registries:
            if registry["cause"] and registry["cause"] not in told and registry["url"] == row.get("registry_url"):
                advice = f" {registry['hint']}" if registry["hint"] else ""
                found["notes"].append(f"The DTR {registry['url']}: {registry['cause']}{advice}")
    traffic = traffic_of(host)
    return {**found, "notes": [*found["notes"], *traffic_sentences(traffic)], "traffic": traffic}


def verdict(
    row: Result, findings: t.Sequence[Finding], unread: t.Sequence[str] = (), stack: str = ""
) -> dict[str, t.Any]:
    """What is wrong with a cache, the most likely cause first, and what to do about it.

    Args:
        row: The region's row, as M(dtr.cache.fleet_info) returns it.
        findings: What M(dtr.cache.cache_logs_info) found in its logs.
        unread: What of the logs could not be read, in words.
        stack: The name of the cache's stack.
    """
    left = [finding for finding in findings if finding["current"]]
    causes = _causes_of_problems(row, left, stack)
    unhealthy = row["state"] == UNHEALTHY
    notes = []
    for finding in left:
        if _stands(finding, unhealthy, causes):
            causes.append(_cause_of(finding, stack))
        elif finding["edge"] == CLIENT_TO_CACHE:
            # No check can be made at clients, so nothing else says what to do there.
            notes.append(f"Some clients have trouble: {finding['summary']}. {_sentence(finding)} {finding['hint']}")
        else:
            notes.append(f"The log also has: {finding['summary']} ({_seen(finding)}).")
    notes += [
        f"Over, since another replica runs there: {finding['summary']} ({_seen(finding)})."
        for finding in findings
        if not finding["current"]
    ]
    state = UNHEALTHY if causes and row["state"] == HEALTHY else row["state"]
    first = causes[0] if causes else None
    return {
        "region": row["region"],
        "cache": row["cache"],
        "url": row["url"],
        "state": state,
        "verdict": first.told if first else None,
        "fix": first.fix if first else None,
        "causes": [cause.row() for cause in causes],
        "notes": [*notes, *_other_version(row), *_unknown(row), *unread],
    }


def _other_version(row: Result) -> list[str]:
    """That the cache has another version than its DTR, where that is no problem of the row."""
    if not differs(row) or any(tuple(problem["topic"]) == VERSION for problem in row["problems"]):
        return []
    return [f"{version_difference(row)} dtr_cache_version or dtr_cache_image say so."]


def _unknown(row: Result) -> list[str]:
    """What was checked and could not be known, with how to find out."""
    checks = [Check(**check) for check in row.get("checks") or []]
    return [
        f"Not known: {check.edge}, {check.check}: {check.detail} {check.hint or ''}".rstrip()
        for check in checks
        if check.ok is None
    ]


def explanation(result: Result, findings: t.Iterable[Finding]) -> str | None:
    """The cause in the cache's log that explains best why a check, a pull or a proof failed; C(None) without one.

    Args:
        result: Of M(dtr.cache.cache_health), M(dtr.cache.cache_pull) or M(dtr.cache.cache_proof).
        findings: What M(dtr.cache.cache_logs_info) found.
    """
    left = [finding for finding in findings if finding["current"]]
    reasons = (_reason_for(topic, left) for topic in _failed_topics(result))
    reason = next((reason for reason in reasons if reason), None)
    if reason is None:
        return None
    return f"The cache's log, {_seen(reason)}: {reason['summary']}. {reason['hint']}"


def may_be_explained(result: Result) -> bool:
    """Whether the failure is one of which the cache's log can say anything, and not one of DTR's answers."""
    return any(edge in (CLIENT_TO_CACHE, CACHE_TO_DTR) for edge, _check in _failed_topics(result))


def _failed_topics(result: Result) -> list[Topic]:
    checks = [Check(**check) for cache in result.get("caches") or [] for check in cache["checks"]]
    if checks:
        return [(check.edge, check.check) for check in by_likelihood(checks)]
    # A cache that answers with an error has met it on its way to DTR, or in its storage.
    status = (result.get("failure") or {}).get("http_status") or 0
    return [(CACHE_TO_DTR, "pull")] if status >= _SERVER_ERRORS else []


def _causes_of_problems(row: Result, left: list[Finding], stack: str) -> list[Cause]:
    """A cause for each problem of the row; the findings that it is joined with are taken from C(left)."""
    causes: list[Cause] = []
    by_code: dict[str, Cause] = {}
    away: Cause | None = None
    for problem in row["problems"]:
        topic: Topic = tuple(problem["topic"])
        same = [finding for finding in left if finding["cause"] in _SAME.get(topic, ())]
        reason = None if same else _known_reason(topic, by_code) or _reason_for(topic, left)
        if topic == _UPSTREAM and away and reason is None:
            away.evidence.append(problem["cause"])
        elif isinstance(reason, Cause):
            reason.evidence.append(problem["cause"])
        elif reason is not None:
            cause = by_code[reason["cause"]] = _cause_of(reason, stack, problem["cause"])
            causes.append(cause)
            left.remove(reason)
        else:
            cause = _cause_of_problem(topic, problem)
            cause.evidence += [_sentence(finding) for finding in same]
            cause.finding = same[0] if same else None
            causes.append(cause)
            for finding in same:
                left.remove(finding)
            if topic == PLACEMENT:
                by_code["placement"] = cause
            if topic[0] == CLIENT_TO_DTR and (same or topic in _DTR_AWAY):
                away = away or cause
    if by_code and not VAGUE.issuperset(by_code):
        left[:] = [finding for finding in left if finding["cause"] not in VAGUE]
    return causes


def _reason_for(topic: Topic, left: t.Sequence[Finding]) -> Finding | None:
    """The finding that explains a problem best; C(left) has the most likely one first, those that say little last."""
    edges = _explained_by(topic)
    fitting = [finding for finding in left if finding["edge"] in edges]
    if topic in _OF_NO_SERVICE:
        fitting = [finding for finding in left if finding["cause"] == "no_service"]
    return min(fitting, key=lambda finding: edges.index(finding["edge"]) if edges else 0, default=None)


def _known_reason(topic: Topic, by_code: t.Mapping[str, Cause]) -> Cause | None:
    """A cause that has been found already and explains this problem, too."""
    if topic in _OF_NO_SERVICE:
        return by_code.get("no_service")
    edges = _explained_by(topic)
    return next((cause for cause in by_code.values() if cause.edge in edges), None)


def _explained_by(topic: Topic) -> tuple[str, ...]:
    if topic == _UPSTREAM:
        return (STORAGE, CACHE_TO_DTR, START)
    if topic[1] == "pull":
        return (STORAGE, CACHE_TO_DTR)
    if topic == (CLIENT_TO_CACHE, "api"):
        return (START, STORAGE)
    return (START,) if topic == REPLICAS or topic in _NOT_SERVING else ()


def _stands(finding: Finding, unhealthy: bool, causes: t.Sequence[Cause]) -> bool:
    """Whether what only the log has is a cause by itself: no check notices it, or the cache is unhealthy anyway."""
    code, edge = finding["cause"], finding["edge"]
    if code == "upstream_token_rejected" and finding["count"] < _REJECTED_TO_COUNT:
        return False
    if edge == STORAGE or code in _UNCHECKED:
        return True
    if edge == CLIENT_TO_CACHE or not unhealthy:
        return False
    # The checks went well on this edge.
    return not causes or any(cause.edge in (START, CACHE_TO_DTR) for cause in causes)


def _cause_of(finding: Finding, stack: str, *problems: str) -> Cause:
    edge, nodes = finding["edge"], named(finding.get("nodes") or [])
    where = f"stack {stack}{' on ' if nodes else ''}{nodes}" if stack and edge in (START, STORAGE) else edge
    told = f"{where}: {finding['summary']}."
    return Cause(finding["cause"], edge, told, finding["hint"], [_sentence(finding), *problems], finding)


def _cause_of_problem(topic: Topic, problem: Result) -> Cause:
    """Return the cause with where it is, which the sentence of a check has already."""
    edge, told = START if topic == PLACEMENT else topic[0], problem["cause"]
    if topic != PLACEMENT and edge and not told.startswith(edge):
        told = f"{edge}: {told}"
    return Cause(" ".join(topic).strip() or "other", edge, told, problem["hint"], [])


def _sentence(finding: Finding) -> str:
    return f"The log, {_seen(finding)}: {finding['sample']}"


def _seen(finding: Finding) -> str:
    times = "once, at" if finding["count"] == 1 else f"{finding['count']} times, the last at"
    where = f" on {', '.join(finding['nodes'])}" if finding.get("nodes") else ""
    return f"{times} {finding['last_seen']}{where}"


def _unread(logs: Result) -> list[str]:
    """What of the logs could not be read."""
    if "findings" in logs:
        return [f"Not read: {text}." for text in logs.get("unread") or []]
    if not logs or logs.get("skipped"):
        return ["The logs were not read."]
    message = (logs.get("failure") or {}).get("message") or logs.get("msg") or "no reason was given"
    return [f"The logs cannot be read: {' '.join(str(message).split())}"]
