# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Are content caches healthy? Their trust edges and their registration, judged from one machine.

The edge from a cache to DTR is judged through the cache: asked for a blob that cannot exist, it may have to go to its
upstream, and a failure there shows. That it works shows where the cache is asked with DTR's signature.
"""

from __future__ import annotations

import functools
import time
import typing as t

from ..common.concurrency import fan_out, side_by_side
from ..common.failure import Failure
from ..common.vocabulary import word
from .addresses import with_addresses, with_mesh
from .agreement import assignment_checks, deployment_check, read_only_checks, registration_checks
from .checks import CACHE_TO_DTR, CLIENT_TO_CACHE, CLIENT_TO_DTR, Check, bad, without_follow_ups
from .endpoint import EndpointReport
from .endpoints import cache_endpoint, dtr_endpoint, step_of
from .model import Cache, Condition, Dtr, PullReport
from .probes import MOST_VISITS, probe

# Between two rounds while waiting.
_PAUSE_SECONDS = 2.0
# Caches that are asked for a layer at a time: each is a few requests to the one DTR.
_CONCURRENCY = 16
_Answer = t.TypeVar("_Answer")


def examine(
    caches: t.Sequence[Cache], dtr: Dtr | None, *, min_days: int, timeout: float, wait: bool
) -> list[Condition]:
    """Check all caches side by side; with C(wait) again and again those that are not healthy.

    Args:
        caches: The caches, with different names.
        dtr: Their DTR, if the edges that end there are to be judged.
        min_days: Certificates have to be valid for so many more days.
        timeout: Seconds after which there is an answer in any case, with what was found by then.
        wait: Whether to check until all are healthy, or the time is over.
    """
    end = time.monotonic() + timeout
    latest: dict[str, Condition] = {}
    logins: dict[str, Failure | None] = {}
    while True:
        left = [cache for cache in caches if cache.name not in latest or not latest[cache.name].healthy]
        began = time.monotonic()
        found = _examine_once(left, dtr, min_days, max(0.1, end - began), logins)
        # What the last round had no time for, the round before it says better.
        step = step_of(end - began)
        short = step < step_of(timeout) and time.monotonic() - began >= step
        latest.update(
            {
                name: each
                for name, each in found.items()
                if name not in latest or each.healthy or not (short and _timed_out(each))
            }
        )
        healthy = all(condition.healthy for condition in latest.values())
        if healthy or not wait or time.monotonic() + _PAUSE_SECONDS >= end:
            return [latest[cache.name] for cache in caches]
        time.sleep(_PAUSE_SECONDS)


def _timed_out(condition: Condition) -> bool:
    return any(
        check.check == "finished" or " within " in check.detail or " no answer after " in check.detail
        for check in condition.checks
        if check.failed
    )


def _examine_once(
    caches: t.Sequence[Cache],
    dtr: Dtr | None,
    min_days: int,
    seconds: float,
    logins: dict[str, Failure | None],
) -> dict[str, Condition]:
    end = time.monotonic() + seconds
    step = step_of(seconds)
    tasks: dict[str, t.Callable[[], t.Any]] = {
        f"cache {cache.name}": functools.partial(probe, cache_endpoint(cache, min_days, seconds), step)
        for cache in caches
    }
    if dtr is not None:
        tasks["DTR"] = functools.partial(probe, dtr_endpoint(dtr, min_days, step), step)
        asked = {"registrations": dtr.content_caches, "read_only": dtr.read_only, "dangling": dtr.dangling}
        tasks.update({name: functools.partial(_or_failure, ask) for name, ask in asked.items() if ask is not None})
        tasks.update(
            {
                f"dangling {cache.name}": functools.partial(_or_failure, cache.dangling)
                for cache in caches
                if cache.dangling is not None
            }
        )
    results = side_by_side(tasks, seconds)
    late = Failure("TIMEOUT", f"There is no answer after {seconds:.0f} seconds.", hint=f"{word('more time')}.")
    for name in tasks:
        if name in ("registrations", "dangling") or name.startswith("dangling "):
            results.setdefault(name, late)
    to_dtr = _of_dtr(dtr, results.get("DTR"), seconds)
    answers = not any(check.prevents_pulls for check in to_dtr)
    conditions = {}
    for cache in caches:
        probed: EndpointReport | None = results.get(f"cache {cache.name}")
        checks = list(probed.checks) if probed else [_unfinished(CLIENT_TO_CACHE, cache.url, seconds)]
        checks = with_mesh(cache, with_addresses(cache, checks, probed, results.get("DTR")))
        if cache.published is not None:
            checks.append(deployment_check(cache, cache.published))
        checks += to_dtr
        if answers:
            checks += read_only_checks(results.get("read_only"))
            checks += assignment_checks(results.get(f"dangling {cache.name}", results.get("dangling")))
        if answers and results.get("registrations") is not None:
            checks += registration_checks(cache, results["registrations"])
        conditions[cache.name] = Condition(cache, checks, probed, results.get("DTR"))
    for name, found in _pulls(conditions, late, end, step, logins).items():
        completed = _completed(conditions[name].checks, found.checks)
        conditions[name] = conditions[name]._replace(
            checks=completed, upstream_seconds=found.upstream_seconds, failed_pulls=found.failed
        )
    return {name: each._replace(checks=without_follow_ups(each.checks)) for name, each in conditions.items()}


def _pulls(
    conditions: t.Mapping[str, Condition], late: Failure, end: float, step: float, logins: dict[str, Failure | None]
) -> dict[str, PullReport]:
    """What asking for a layer shows of the caches where nothing else is wrong that a pull would meet.

    Args:
        conditions: What was found so far, by cache.
        late: What to report where there is no time left.
        end: When there has to be an answer, by the monotonic clock.
        step: Seconds that one answer may take.
        logins: By cache, why the log-in failed that was tried, or C(None) where it did not; completed here.
    """
    asked = {
        name: each.cache.pull
        for name, each in conditions.items()
        if each.cache.pull and not any(check.prevents_pulls for check in each.checks)
    }
    found = {name: PullReport([bad(CACHE_TO_DTR, "pull", late.message.rstrip("."), late.hint)]) for name in asked}
    if end - time.monotonic() < step / 2:
        return found
    new = [name for name in asked if name not in logins or logins[name] is not None]
    outcome = fan_out(lambda name: asked[name].log_in(), new, _CONCURRENCY, lambda _failure: False)
    logins.update({**dict.fromkeys(outcome.done), **outcome.failed})
    for name in asked:
        failure = logins[name]
        if failure is not None:
            found[name] = PullReport([bad(CLIENT_TO_DTR, "pull", failure.message.rstrip("."), failure.hint)])
    checks = {
        name: functools.partial(pull.check, conditions[name].cache.url, _to_pull_at(conditions[name]))
        for name, pull in asked.items()
        if logins[name] is None
    }
    return {**found, **side_by_side(checks, max(0.0, end - time.monotonic()))}


def _to_pull_at(condition: Condition) -> list[str]:
    """The addresses at which the cache answers, several times one that has several replicas; none means its name."""
    addresses = [place.address for place in condition.probed.places if place.ok] if condition.probed else []
    replicas = condition.cache.replicas or 1
    if len(addresses) < 2 and replicas < 2:
        return []
    return addresses * (min(2 * replicas, MOST_VISITS) if replicas > len(addresses) else 1)


def _completed(checks: t.Sequence[Check], found: t.Sequence[Check]) -> list[Check]:
    """The checks with what was found with a signature, which says more than what was found without one."""
    better = {(check.edge, check.check) for check in found}
    return [*(check for check in checks if (check.edge, check.check) not in better), *found]


def _or_failure(ask: t.Callable[[], _Answer]) -> _Answer | Failure:
    try:
        return ask()
    except Failure as failure:
        return failure


def _of_dtr(dtr: Dtr | None, probed: EndpointReport | None, seconds: float) -> list[Check]:
    if dtr is None:
        return []
    return list(probed.checks) if probed else [_unfinished(CLIENT_TO_DTR, dtr.url, seconds)]


def _unfinished(edge: str, url: str, seconds: float) -> Check:
    return bad(
        edge,
        "finished",
        f"there is no result for {url} after {seconds:.0f} seconds",
        f"{word('more time')}; if it stays so, check this machine's name resolution.",
    )
