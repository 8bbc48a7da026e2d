# Copyright: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which content caches DTR shall know: planning as pure functions, and carrying a plan out.

DTR's API has no verb to change a cache. A changed host therefore means a new entry with a new id, and every user whose
setting holds the old id has to follow before the old entry goes.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import typing as t
from urllib.parse import urlsplit

from ..common.concurrency import Results, failed_accounts, fan_out
from ..common.failure import Failure
from ..common.progress import UNTOLD
from ..common.progress import Progress as ToldProgress
from ..common.urls import DEFAULT_PORTS, canonical_host
from .api import (
    LOCAL,
    ContentCache,
    Registry,
    is_local,
    is_vanished,
)

_REFUSED = (400, 409, 422)
# How often accounts that somebody sets to an old entry meanwhile are moved before the entry is left alone.
_ROUNDS = 3


class WantedCache(t.NamedTuple):
    """A cache as declared; without a host it shall not exist."""

    name: str
    host: str | None


class CacheStep(t.NamedTuple):
    """All that has to happen to the entries of one name.

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
        options: C({name, host, state}) as the module takes them.

    Raises:
        Failure: C(INVALID_INPUT) with all problems at once.
    """
    wanted = []
    problems = []
    for option in options:
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
        wanted.append(WantedCache(name, host if present else None))
    counts = collections.Counter(cache.name for cache in wanted if cache.name)
    problems += [f"{name} is declared {count} times" for name, count in counts.items() if count > 1]
    if problems:
        raise Failure("INVALID_INPUT", f"caches: {'; '.join(problems)}.", problems=problems)
    return wanted


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
    if not hostname or any(character.isspace() for character in host):
        return "has no valid host name"
    if parts.path.strip("/") or parts.query or parts.fragment:
        return "must end after the port"
    return None


def plan_caches(
    current: t.Iterable[ContentCache], wanted: t.Iterable[WantedCache], purge: bool = False
) -> list[CacheStep]:
    """The steps from what is to what shall be, nothing for what is right already.

    Of several entries with a declared name the first with the right host stays; the others are retired.
    """
    by_name: dict[str, list[ContentCache]] = {}
    for cache in current:
        by_name.setdefault(cache.name, []).append(cache)
    declared = {cache.name: cache for cache in wanted}
    if purge:
        declared.update({name: WantedCache(name, None) for name in by_name if name not in declared})
    steps = (_step(cache, by_name.get(cache.name, [])) for cache in declared.values())
    return [step for step in steps if step.host or step.retired]


def _step(wanted: WantedCache, entries: list[ContentCache]) -> CacheStep:
    if wanted.host is None:
        return CacheStep(wanted.name, None, None, tuple(entries))
    goal = canonical_host(wanted.host)
    kept = next((entry for entry in entries if canonical_host(entry.host) == goal), None)
    retired = tuple(entry for entry in entries if entry is not kept)
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
class Progress:
    """What of a plan is done, or, in check mode, would be: what a report is made from.

    C(created) is by name, C(moved) by account.
    """

    created: dict[str, ContentCache] = dataclasses.field(default_factory=dict)
    moved: dict[str, Move] = dataclasses.field(default_factory=dict)
    deleted: list[ContentCache] = dataclasses.field(default_factory=list)
    restored: list[ContentCache] = dataclasses.field(default_factory=list)


def foreseen(steps: t.Iterable[CacheStep], moves: t.Iterable[Move]) -> Progress:
    """The progress of a plan that goes well. Ids that only the server can give are empty."""
    progress = Progress(moved={move.account: move for move in moves})
    for step in steps:
        if step.host:
            progress.created[step.name] = ContentCache("", step.name, step.host)
        progress.deleted += step.retired
    return progress


def caches_after(current: t.Iterable[ContentCache], progress: Progress) -> list[ContentCache]:
    """The list of caches after that progress, ordered by name."""
    gone = {cache.id for cache in progress.deleted}
    left = [cache for cache in current if cache.id not in gone]
    return _ordered([*left, *progress.restored, *progress.created.values()])


def _ordered(caches: t.Iterable[ContentCache]) -> list[ContentCache]:
    return sorted(caches, key=lambda cache: (cache.name, cache.host, cache.id))


def report(current: t.Sequence[ContentCache], steps: t.Iterable[CacheStep], progress: Progress) -> dict[str, t.Any]:
    """The module's result with its diff, from what was there and what was done."""
    replaced = {}
    for step in steps:
        new = progress.created.get(step.name)
        old = next((cache for cache in step.retired if cache in progress.deleted), None)
        if new and old:
            replaced[old.id] = {"name": step.name, "before": _shown(old), "after": _shown(new)}
    replacing = {entry["name"] for entry in replaced.values()}
    after = caches_after(current, progress)
    moved = [move for _account, move in sorted(progress.moved.items())]
    return {
        "changed": bool(progress.created or progress.moved or progress.deleted),
        "content_caches": [_shown(cache) for cache in after],
        # Ordered by name, since what has to wait for room comes later than it was announced.
        "created": [_shown(cache) for cache in _ordered(progress.created.values()) if cache.name not in replacing],
        "replaced": sorted(replaced.values(), key=lambda entry: str(entry["name"])),
        "deleted": [_shown(cache) for cache in _ordered(progress.deleted) if cache.id not in replaced],
        "reassigned": [_reassigned(move) for move in moved],
        "diff": {
            "before": _diff_side(current, {move.account: move.before for move in moved}),
            "after": _diff_side(after, {move.account: _target(move.step) for move in moved}),
        },
    }


def _shown(cache: ContentCache) -> dict[str, str]:
    return cache._asdict()


def _target(step: CacheStep) -> ContentCache | None:
    return ContentCache("", step.name, step.host) if step.host else step.kept


def _reassigned(move: Move) -> dict[str, t.Any]:
    target = _target(move.step)
    return {
        "name": move.account,
        "before": move.before.name,
        "before_host": move.before.host,
        "after": target.name if target else LOCAL,
        "after_host": target.host if target else None,
    }


def _diff_side(caches: t.Iterable[ContentCache], accounts: t.Mapping[str, ContentCache | None]) -> dict[str, t.Any]:
    """One side of the diff. Ids are left out: those of new caches are not known before the run."""
    ordered = sorted(caches, key=lambda cache: (cache.name, cache.host))
    return {
        "content_caches": [{"name": cache.name, "host": cache.host} for cache in ordered],
        "accounts": {
            account: f"{cache.name} ({cache.host})" if cache else LOCAL for account, cache in sorted(accounts.items())
        },
    }


def read_settings(
    registry: Registry,
    concurrency: int,
    progress: ToldProgress = UNTOLD,
    *,
    so: str = "nothing was changed",
) -> dict[str, str | None]:
    """The cache of every user, active or not: inactive ones may come back.

    Args:
        registry: DTR.
        concurrency: The most requests at a time.
        progress: Where to tell how far it got.
        so: What follows for the task when a setting cannot be read.

    Raises:
        Failure: C(SETTINGS_UNREADABLE) when it cannot be said of every user. Users who vanish meanwhile do not count.
    """
    names = [account.name for account in progress.listed(registry.users())]
    read = progress.counted("read", len(names), registry.user_cache)
    settings = fan_out(read, names, concurrency, registry.hopeless)
    unread = {name: failure for name, failure in settings.failed.items() if not is_vanished(failure)}
    if unread:
        name, failure = next(iter(unread.items()))
        raise Failure(
            "SETTINGS_UNREADABLE",
            f"The settings of {len(unread)} accounts could not be read, so {so}; "
            f"the first is {name}: {failure.message}",
            http_status=failure.http_status,
            url=failure.url,
            hint=failure.hint or "Run the task again.",
            failed_accounts=failed_accounts(unread),
        )
    return settings.done


class CacheChanger:
    """Carries out a plan, and keeps account of what is done so that a failure half-way can be reported.

    The order is: create all new entries, move the users, look whether somebody was set to an old entry meanwhile,
    delete the old entries. An old entry whose users could not all be moved stays. Where DTR refuses a second entry with
    the same name or host, the users are without a cache, and so pull from DTR, while the old entry makes room; if the
    new one is refused even then, the old one is restored. Names that exchange their hosts make room together, all
    others one after the other, so that few wait at a time.

    Args:
        registry: DTR.
        current: The caches that it knew when the plan was made.
        concurrency: The most requests at a time.
        reassign: Whether users of an entry that goes are moved at all.
        told: Where to tell how far it got.
    """

    def __init__(
        self,
        registry: Registry,
        current: t.Sequence[ContentCache],
        concurrency: int,
        *,
        reassign: bool = True,
        told: ToldProgress = UNTOLD,
    ) -> None:
        self.progress = Progress()
        self.failed_moves: dict[str, Failure] = {}
        self._registry = registry
        self._current = current
        self._concurrency = concurrency
        self._reassign = reassign
        self._told = told
        # The ids of old entries that a user still holds, so that they have to stay.
        self._held: set[str] = set()
        # The users who are without a cache although they belong to one.
        self._stranded: set[str] = set()

    def run(self, steps: t.Sequence[CacheStep], moves: t.Sequence[Move]) -> None:
        """Do it.

        Raises:
            Failure: What went wrong; C(progress) and C(failed_moves) say how far it got.
        """
        try:
            self._run(steps, moves)
        except Failure as failure:
            if self._stranded:
                failure.message = f"{failure.message} {self._stranded_sentence()}"
                failure.hint = _STRANDED_HINT
            raise
        if self.failed_moves:
            raise self._moves_failure()

    def _run(self, steps: t.Sequence[CacheStep], moves: t.Sequence[Move]) -> None:
        postponed = [step for step in steps if step.host and not self._created(step, steps)]
        direct = [step for step in steps if step not in postponed]
        self._move([move for move in moves if move.step in direct])
        if moves or self.progress.created:
            self._move_latecomers(direct)
        for step in direct:
            self._delete(step)
        for group in entangled(postponed):
            self._swap(group, [move for move in moves if move.step in group])

    def _created(self, step: CacheStep, steps: t.Iterable[CacheStep]) -> bool:
        """Create a step's entry, unless DTR refuses it while an entry that shall go is in its way."""
        try:
            self._create(step)
        except Failure as failure:
            retired = (cache for each in steps for cache in each.retired)
            if failure.http_status in _REFUSED and any(_in_the_way(step, cache) for cache in retired):
                return False
            raise
        return True

    def _create(self, step: CacheStep) -> None:
        known = {cache.id for cache in (*self._current, *caches_after(self._current, self.progress))}
        host = t.cast(str, step.host)
        self.progress.created[step.name] = self._registry.create_content_cache(step.name, host, known)

    def _move(self, moves: t.Sequence[Move]) -> None:
        """Give users the cache that their step leads to; those for whom that fails hold their old one."""
        results = self._assign({move.account: self._target_id(move.step) for move in moves})
        for move in moves:
            if move.account in results.done:
                self.progress.moved.setdefault(move.account, move)
            elif move.account in results.failed:
                self._held.add(move.before.id)
        self.failed_moves.update(results.failed)

    def _target_id(self, step: CacheStep) -> str | None:
        target = self.progress.created.get(step.name) or step.kept
        return target.id if target else None

    def _assign(self, targets: t.Mapping[str, str | None]) -> Results[str, None]:
        """Give each user its cache. Users who vanished meanwhile are in neither half of the results."""

        def assign(account: str) -> None:
            self._registry.set_user_cache(account, targets[account])

        counted = self._told.counted("moved", len(targets), assign)
        results = fan_out(counted, targets, self._concurrency, self._registry.hopeless)
        failed = {name: failure for name, failure in results.failed.items() if not is_vanished(failure)}
        return Results(results.done, failed)

    def _latecomers(self, steps: t.Collection[CacheStep]) -> list[Move]:
        """Users who hold an entry that is about to go although they did not when it was looked at first."""
        if not self._reassign or not any(step.retired for step in steps):
            return []
        settings = read_settings(
            self._registry, self._concurrency, self._told, so="no cache that somebody may pull from was deleted"
        )
        return [move for move in plan_moves(steps, settings) if move.account not in self.failed_moves]

    def _move_latecomers(self, steps: t.Collection[CacheStep]) -> None:
        """Move users until nobody holds an entry that is about to go; an entry that does not come free stays."""
        for _round in range(_ROUNDS):
            late = self._latecomers(steps)
            if not late:
                return
            self._move(late)
        for move in self._latecomers(steps):
            self._held.add(move.before.id)
            self.failed_moves[move.account] = _set_again(move)

    def _delete(self, step: CacheStep) -> None:
        for cache in step.retired:
            if cache.id not in self._held:
                self._registry.delete_content_cache(cache.id)
                self.progress.deleted.append(cache)

    def _swap(self, steps: t.Sequence[CacheStep], moves: t.Sequence[Move]) -> None:
        """Replace entries that have to make room first."""
        waiting: dict[str, Move] = {}
        try:
            if not self._reset(steps, moves, waiting):
                self._restore(waiting.values())
                return
            for step in steps:
                self._delete(step)
            for step in steps:
                self._create(step)
        except Failure:
            self._withdraw(steps)
            self._restore(waiting.values(), [cache for step in steps for cache in step.retired])
            raise
        goals = {account: self.progress.created[move.step.name] for account, move in waiting.items()}
        for account in self._give(waiting, goals):
            self.progress.moved[account] = waiting[account]

    def _reset(self, steps: t.Collection[CacheStep], moves: t.Sequence[Move], waiting: dict[str, Move]) -> bool:
        """Take users their cache, also those who come late; whether nobody holds one of the entries any more.

        C(waiting) gets those who may have none now.
        """
        for _round in range(_ROUNDS):
            # Also those for whom it fails: an answer that got lost does not say that nothing was done.
            waiting.update((move.account, move) for move in moves)
            results = self._assign({move.account: None for move in moves})
            if results.failed:
                self.failed_moves.update(results.failed)
                return False
            moves = self._latecomers(steps)
            if not moves:
                return True
        self.failed_moves.update((move.account, _set_again(move)) for move in moves)
        return False

    def _withdraw(self, steps: t.Iterable[CacheStep]) -> None:
        """Delete new entries, which nobody pulls from yet, where an old one that comes back may need their room."""
        for step in steps:
            if step.name in self.progress.created:
                with contextlib.suppress(Failure):
                    self._registry.delete_content_cache(self.progress.created[step.name].id)
                    del self.progress.created[step.name]

    def _restore(self, moves: t.Collection[Move], retired: t.Iterable[ContentCache] = ()) -> None:
        """Bring back the entries that were deleted, under new ids, and their users."""
        waiting = {move.account: move for move in moves}
        back = {move.before.id: move.before for move in moves}
        for cache in retired:
            if cache in self.progress.deleted:
                known = {each.id for each in (*self._current, *caches_after(self._current, self.progress))}
                try:
                    restored = self._registry.create_content_cache(cache.name, cache.host, known)
                except Failure as failure:
                    self._lose([move for move in moves if move.before == cache], failure)
                    back.pop(cache.id, None)
                    continue
                self.progress.restored.append(restored)
                back[cache.id] = restored
        self._give(waiting, {move.account: back[move.before.id] for move in moves if move.before.id in back})

    def _give(self, waiting: t.Mapping[str, Move], goals: t.Mapping[str, ContentCache]) -> set[str]:
        """Give users who were reset a cache again; returns those who have it, the others are told of as stranded."""
        arrived = self._given(waiting, goals)
        # No reset whose answer got lost may be carried out after the write that followed it.
        late = self._registry.wait_for_late_writes(goals)
        if late:
            arrived = arrived.difference(late) | self._given(waiting, {account: goals[account] for account in late})
        return arrived

    def _given(self, waiting: t.Mapping[str, Move], goals: t.Mapping[str, ContentCache]) -> set[str]:
        results = self._assign({account: goal.id for account, goal in goals.items()})
        # Who could not be reset either is still where they were.
        found = fan_out(self._registry.user_cache, results.failed, self._concurrency, self._registry.hopeless).done
        arrived = {account for account in goals if account in results.done or found.get(account) == goals[account].id}
        for account, failure in results.failed.items():
            if account not in arrived:
                self._strand(waiting[account], goals[account], failure)
        for account in arrived & self._stranded:
            self._stranded.discard(account)
            del self.failed_moves[account]
        return arrived

    def _lose(self, moves: t.Iterable[Move], failure: Failure) -> None:
        """Tell of users whose cache is gone where they belong: no later run could know it."""
        for account, cache, _step in moves:
            told = f"It pulled from {cache.name} ({cache.host}), which could not be restored, and pulls from DTR itself"
            self._add_stranded(account, f"{told} now", cache, failure)

    def _strand(self, move: Move, goal: ContentCache, failure: Failure) -> None:
        """Tell of a user who was reset and could not be given the cache that waits: no later run could know of it."""
        before = move.before
        told = f"It pulled from {before.name} ({before.host}), pulls from DTR itself now, and belongs to {goal.name}"
        told = told if goal.host == before.host else f"{told} ({goal.host})"
        self._add_stranded(move.account, told, goal, failure)

    def _add_stranded(self, account: str, told: str, cache: ContentCache, failure: Failure) -> None:
        self._stranded.add(account)
        self.failed_moves[account] = Failure(
            failure.code,
            f"{told}: {failure.message}",
            http_status=failure.http_status,
            url=failure.url,
            cache=cache.name,
            host=cache.host,
        )

    def _moves_failure(self) -> Failure:
        if self._stranded:
            name, failure = min((name, self.failed_moves[name]) for name in self._stranded)
            return Failure(
                "ACCOUNTS_NOT_MOVED",
                f"{self._stranded_sentence()} The first is {name}: {failure.message}",
                http_status=failure.http_status,
                url=failure.url,
                hint=_STRANDED_HINT,
            )
        name, failure = min(self.failed_moves.items())
        return Failure(
            "ACCOUNTS_NOT_MOVED",
            f"{len(self.failed_moves)} accounts could not be moved, so the caches they pull from stay for now; "
            f"the first is {name}: {failure.message}",
            http_status=failure.http_status,
            url=failure.url,
            hint="Run the task again: it goes on where this run stopped.",
        )

    def _stranded_sentence(self) -> str:
        return (
            f"{len(self._stranded)} accounts lost their cache on the way and pull from DTR itself now, "
            "and no later run can know where they belong."
        )


_STRANDED_HINT = (
    "Assign these accounts with dtr.cache.cache_assignments: failed_accounts names the cache of each. "
    "Then run the task again."
)


def _set_again(move: Move) -> Failure:
    return Failure(
        "SET_MEANWHILE",
        f"Something else sets it to {move.before.name} ({move.before.host}) while this task moves it away.",
    )


def entangled(steps: t.Iterable[CacheStep]) -> list[list[CacheStep]]:
    """The steps in groups, within which one's old entry stands in the way of another's new one."""
    groups: list[list[CacheStep]] = []
    for step in steps:
        near = [group for group in groups if any(_hinder(step, other) for other in group)]
        apart = [group for group in groups if group not in near]
        groups = [*apart, [*(other for group in near for other in group), step]]
    return groups


def _hinder(one: CacheStep, other: CacheStep) -> bool:
    return any(_in_the_way(a, cache) for a, b in ((one, other), (other, one)) for cache in b.retired)


def _in_the_way(step: CacheStep, cache: ContentCache) -> bool:
    return cache.name == step.name or canonical_host(cache.host) == canonical_host(step.host or "")
