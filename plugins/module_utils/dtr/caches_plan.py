# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which content caches DTR is to know: planning, and the report of what was done, as pure functions.

DTR's API has no verb to change a cache. A changed host therefore means a new entry with a new id, and every user whose
setting holds the old id has to follow before the old entry goes.
"""

from __future__ import annotations

import collections
import dataclasses
import typing as t
from urllib.parse import urlsplit

from ..common.failure import Failure
from ..common.names import names_in, shown_with_why
from ..common.urls import DEFAULT_PORTS, canonical_host
from .model import LOCAL, ContentCache, is_local
from .shown_changes import Way, accounts_diff, caches_diff


class WantedCache(t.NamedTuple):
    """A cache as declared; without a host it is not to exist.

    C(former_names) are other names that it had before: their entries go like one with another host.
    """

    name: str
    host: str | None
    former_names: tuple[str, ...] = ()


class CacheStep(t.NamedTuple):
    """All that has to happen to the entries of one cache, which may have had other names.

    C(host) is the host of an entry to create, or C(None). C(kept) is the entry that is right already. The entries in
    C(retired) go after their users have moved to the new or kept entry, or, where there is neither, to no cache.
    """

    name: str
    host: str | None
    kept: ContentCache | None
    retired: tuple[ContentCache, ...]


class Move(t.NamedTuple):
    """A user whose cache is about to go: from where, and the step that says where to."""

    account: str
    before: ContentCache
    step: CacheStep


def parse_caches(options: t.Iterable[t.Mapping[str, t.Any]]) -> list[WantedCache]:
    """The declared caches.

    Args:
        options: C({name, host, state, former_names}) as the module takes them.

    Raises:
        Failure: C(INVALID_INPUT) with all problems at once.
    """
    wanted = []
    problems = []
    for option in options:
        former = option.get("former_names")
        former = former if isinstance(former, list) else list(names_in(former))
        not_text = list(filter(None, map(shown_with_why, (option["name"] or "", *former))))
        if not_text:
            problems += [f"a name: {each}" for each in not_text]
            continue
        name = (option["name"] or "").strip()
        host = (option.get("host") or "").strip()
        present = option.get("state") != "absent"
        if not name:
            problems.append("a cache has no name")
        elif is_local(name):
            problems.append(f"'{name}' means no cache in DTR and cannot be a cache's name")
        elif present and not host:
            problems.append(f"{name} needs a host")
        elif present and (problem := host_problem(host)):
            problems.append(f"{name}: the host {problem}")
        former_names = tuple(dict.fromkeys(each.strip() for each in former))
        wanted.append(WantedCache(name, host if present else None, former_names))
    counts = collections.Counter(cache.name for cache in wanted if cache.name)
    problems += [f"{name} is declared {count} times" for name, count in counts.items() if count > 1]
    problems += _former_name_problems(wanted)
    if problems:
        raise Failure("INVALID_INPUT", f"caches: {'; '.join(problems)}.", problems=problems)
    return wanted


def _former_name_problems(wanted: t.Sequence[WantedCache]) -> t.Iterator[str]:
    """Former names that would take somebody else's entry and accounts."""
    declared = {cache.name for cache in wanted}
    counts = collections.Counter(former for cache in wanted for former in cache.former_names)
    for cache in wanted:
        for former in cache.former_names:
            if not former:
                yield f"{cache.name}: a former name is empty"
            elif is_local(former):
                yield f"{cache.name}: the former name '{former}' means no cache in DTR"
            elif former == cache.name:
                yield f"{cache.name}: the former name {former} is the one that it has"
            elif former in declared:
                yield f"{cache.name}: the former name {former} is declared as a cache of its own"
    yield from (f"{former} is the former name of {count} caches" for former, count in counts.items() if count > 1)


def host_problem(host: str) -> str | None:
    """What is wrong with the URL of a cache, as a clause, or C(None).

    DTR publishes no rules; every documented example is C(http(s)://host[:port]).
    """
    # First of all: what carries a password is not repeated, whatever else is wrong with it.
    if "@" in host:
        return "must not carry credentials"
    try:
        parts = urlsplit(host)
        hostname, _port = parts.hostname, parts.port
    except ValueError:
        return "has no valid host name or port"
    if parts.scheme.lower() not in DEFAULT_PORTS:
        return f"'{host}' is not a URL: write https://host:port"
    if not hostname or any(character.isspace() or not character.isprintable() for character in host):
        return "has no valid host name"
    if parts.path.strip("/") or parts.query or parts.fragment:
        return "must end after the port"
    return None


def plan_caches(
    current: t.Iterable[ContentCache], wanted: t.Iterable[WantedCache], purge: bool = False
) -> list[CacheStep]:
    """The steps from what is there to what is wanted, nothing for what is right already.

    Of several entries with a declared name the first with the right host stays; the others are retired, and so are
    those with a former name.
    """
    by_name: dict[str, list[ContentCache]] = {}
    for cache in current:
        by_name.setdefault(cache.name, []).append(cache)
    declared = {cache.name: cache for cache in wanted}
    if purge:
        former = {name for cache in declared.values() for name in cache.former_names}
        declared.update({name: WantedCache(name, None) for name in by_name if name not in {*declared, *former}})
    steps = (_step(cache, by_name) for cache in declared.values())
    return [step for step in steps if step.host or step.retired]


def _step(wanted: WantedCache, by_name: t.Mapping[str, list[ContentCache]]) -> CacheStep:
    entries = by_name.get(wanted.name, [])
    former = [entry for name in wanted.former_names for entry in by_name.get(name, [])]
    if wanted.host is None:
        return CacheStep(wanted.name, None, None, (*entries, *former))
    goal = canonical_host(wanted.host)
    kept = next((entry for entry in entries if canonical_host(entry.host) == goal), None)
    retired = (*(entry for entry in entries if entry is not kept), *former)
    return CacheStep(wanted.name, None if kept else wanted.host, kept, retired)


def plan_moves(steps: t.Iterable[CacheStep], settings: t.Mapping[str, str | None]) -> list[Move]:
    """The users who have to move, by name.

    Args:
        steps: The plan.
        settings: The id of each user's cache.
    """
    leaving = {cache.id: (cache, step) for step in steps for cache in step.retired}
    return [Move(account, *leaving[cache_id]) for account, cache_id in sorted(settings.items()) if cache_id in leaving]


def duplicate_names(caches: t.Iterable[ContentCache]) -> list[str]:
    """The names that more than one cache has."""
    counts = collections.Counter(cache.name for cache in caches)
    return sorted(name for name, count in counts.items() if count > 1)


@dataclasses.dataclass
class Done:
    """What of a plan is done, or, in check mode, would be: what a report is made from.

    C(created) is by name, C(moved) by account.
    """

    created: dict[str, ContentCache] = dataclasses.field(default_factory=dict)
    moved: dict[str, Move] = dataclasses.field(default_factory=dict)
    deleted: list[ContentCache] = dataclasses.field(default_factory=list)
    restored: list[ContentCache] = dataclasses.field(default_factory=list)


def foreseen(steps: t.Iterable[CacheStep], moves: t.Iterable[Move]) -> Done:
    """What a plan that goes well does. Ids that only the server can give are empty."""
    done = Done(moved={move.account: move for move in moves})
    for step in steps:
        if step.host:
            done.created[step.name] = ContentCache("", step.name, step.host)
        done.deleted += step.retired
    return done


def caches_after(current: t.Iterable[ContentCache], done: Done) -> list[ContentCache]:
    """The list of caches after that, ordered by name."""
    gone = {cache.id for cache in done.deleted}
    left = [cache for cache in current if cache.id not in gone]
    return _ordered([*left, *done.restored, *done.created.values()])


def _ordered(caches: t.Iterable[ContentCache]) -> list[ContentCache]:
    return sorted(caches, key=lambda cache: (cache.name, cache.host, cache.id))


def report(
    current: t.Sequence[ContentCache], steps: t.Iterable[CacheStep], done: Done, *, whole: bool = False
) -> dict[str, t.Any]:
    """The module's result with its diff, from what was there and what was done.

    Args:
        current: The caches that DTR knew.
        steps: The plan.
        done: What of it is done.
        whole: Whether the diff names each account.
    """
    replaced = {}
    for step in steps:
        new = done.created.get(step.name)
        old = next((cache for cache in step.retired if cache in done.deleted), None)
        if new and old:
            replaced[old.id] = {"name": step.name, "before": old.shown(), "after": new.shown()}
    replacing = {entry["name"] for entry in replaced.values()}
    after = caches_after(current, done)
    moved = [move for _account, move in sorted(done.moved.items())]
    return {
        "changed": bool(done.created or done.moved or done.deleted),
        "content_caches": [cache.shown() for cache in after],
        # Ordered by name, since what has to wait for room comes later than it was announced.
        "created": [cache.shown() for cache in _ordered(done.created.values()) if cache.name not in replacing],
        "replaced": sorted(replaced.values(), key=lambda entry: str(entry["name"])),
        "deleted": [cache.shown() for cache in _ordered(done.deleted) if cache.id not in replaced],
        "reassigned": [_reassigned(move) for move in moved],
        "diff": [*caches_diff(current, after), *accounts_diff(ways(done), whole=whole)],
    }


def ways(done: Done) -> dict[str, Way]:
    """Which way each of the moved accounts goes."""
    return {
        account: Way(_place(move.before), _place(_target(move.step))) for account, move in sorted(done.moved.items())
    }


def _place(cache: ContentCache | None) -> str:
    return f"{cache.name} ({cache.shown_host})" if cache else LOCAL


def _target(step: CacheStep) -> ContentCache | None:
    return ContentCache("", step.name, step.host) if step.host else step.kept


def _reassigned(move: Move) -> dict[str, t.Any]:
    target = _target(move.step)
    return {
        "name": move.account,
        "before": move.before.name,
        "before_host": move.before.shown_host,
        "after": target.name if target else LOCAL,
        "after_host": target.host if target else None,
    }


def entangled(steps: t.Iterable[CacheStep]) -> list[list[CacheStep]]:
    """The steps in groups, within which one's old entry stands in the way of another's new one."""
    groups: list[list[CacheStep]] = []
    for step in steps:
        near = [group for group in groups if any(_hinder(step, other) for other in group)]
        apart = [group for group in groups if group not in near]
        groups = [*apart, [*(other for group in near for other in group), step]]
    return groups


def _hinder(one: CacheStep, other: CacheStep) -> bool:
    return any(in_the_way(a, cache) for a, b in ((one, other), (other, one)) for cache in b.retired)


def doubles_of(entry: CacheStep | ContentCache, caches: t.Iterable[ContentCache]) -> list[ContentCache]:
    """The caches with the name and host of an entry, in an order that is the same for all who see them."""
    wanted = (entry.name, canonical_host(entry.host or ""))
    return sorted(cache for cache in caches if (cache.name, canonical_host(cache.host)) == wanted)


def in_the_way(step: CacheStep, cache: ContentCache) -> bool:
    """Whether DTR may refuse a step's new entry for the sake of an old one."""
    return cache.name == step.name or canonical_host(cache.host) == canonical_host(step.host or "")
