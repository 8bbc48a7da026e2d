# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Carrying out a plan of content caches: accounts follow to the new entries before the old ones go."""

from __future__ import annotations

import contextlib
import typing as t

from ..common.concurrency import Results, fan_out
from ..common.failure import Failure
from ..common.progress import UNREPORTED, Progress
from ..common.vocabulary import word
from .api import REFUSED, DtrApi
from .assignments_apply import read_all_account_settings
from .caches_plan import CacheStep, Done, Move, caches_after, doubles_of, entangled, in_the_way, plan_moves
from .model import ContentCache, is_vanished

# How often accounts that somebody sets to an old entry meanwhile are moved before the entry is left alone.
_ROUNDS = 3


class CacheChanger:
    """Carries out a plan, and keeps account of what is done so that a failure half-way can be reported.

    The order is: create all new entries, move the users, check whether somebody was set to an old entry meanwhile,
    delete the old entries. An old entry whose users could not all be moved stays. Where DTR refuses a second entry with
    the same name or host, the users are without a cache, and so pull from DTR, while the old entry makes room; if the
    new one is refused even then, the old one is restored. Names that exchange their hosts make room together, all
    others one after the other, so that few wait at a time.

    Another run may create the same entry at the same moment. So the list is read again after a create, and all runs
    that see both leave the same one of them.

    Args:
        dtr: DTR.
        current: The caches that it knew when the plan was made.
        concurrency: The most requests at a time.
        reassign: Whether users of an entry that goes are moved at all.
        progress: Where to report how far it got.
    """

    def __init__(
        self,
        dtr: DtrApi,
        current: t.Sequence[ContentCache],
        concurrency: int,
        *,
        reassign: bool = True,
        progress: Progress = UNREPORTED,
    ) -> None:
        self.done = Done()
        self.failed_moves: dict[str, Failure] = {}
        # The names of which another run made an entry as well.
        self.doubles: list[str] = []
        self._dtr = dtr
        self._current = current
        self._concurrency = concurrency
        self._reassign = reassign
        self._progress = progress
        # The ids of old entries that a user still holds, so that they have to stay.
        self._held: set[str] = set()
        # The users who are without a cache although they belong to one.
        self._stranded: set[str] = set()

    def run(self, steps: t.Sequence[CacheStep], moves: t.Sequence[Move]) -> None:
        """Do it.

        Raises:
            Failure: What went wrong; C(done) and C(failed_moves) say how far it got.
        """
        try:
            self._run(steps, moves)
        except Failure as failure:
            if self._stranded:
                failure.message = f"{failure.message} {self._stranded_sentence()}"
                failure.hint = _stranded_hint()
            raise
        if self.failed_moves:
            raise self._moves_failure()

    def _run(self, steps: t.Sequence[CacheStep], moves: t.Sequence[Move]) -> None:
        postponed = [step for step in steps if step.host and not self._created(step, steps)]
        direct = [step for step in steps if step not in postponed]
        self._settle_doubles()
        self._move([move for move in moves if move.step in direct])
        if moves or self.done.created:
            self._move_latecomers(direct)
        for step in direct:
            self._delete(step)
        for group in entangled(postponed):
            self._swap(group, [move for move in moves if move.step in group])
        if postponed:
            self._settle_doubles()

    def _created(self, step: CacheStep, steps: t.Iterable[CacheStep]) -> bool:
        """Create a step's entry, unless DTR refuses it while an entry that is to go is in its way."""
        try:
            self._create(step)
        except Failure as failure:
            retired = (cache for each in steps for cache in each.retired)
            if failure.http_status in REFUSED and any(in_the_way(step, cache) for cache in retired):
                return False
            raise
        return True

    def _create(self, step: CacheStep) -> None:
        known = {cache.id for cache in (*self._current, *caches_after(self._current, self.done))}
        host = t.cast(str, step.host)
        try:
            self.done.created[step.name] = self._dtr.create_content_cache(step.name, host, known)
        except Failure as failure:
            # Where DTR takes no second entry, another run may have made this very one since.
            listed = self._dtr.content_caches() if failure.http_status in REFUSED else []
            made = doubles_of(step, [cache for cache in listed if cache.id not in known])
            if not made:
                raise
            self.done.created[step.name] = made[0]

    def _settle_doubles(self) -> None:
        """Of several entries that runs made side by side leave one, with the accounts of the others."""
        if not self.done.created:
            return
        # Old entries are another matter: the plan says what becomes of them.
        new = [cache for cache in self._dtr.content_caches() if cache not in self._current]
        settled = []
        for name, made in self.done.created.items():
            kept, *surplus = doubles_of(made, new) or [made]
            self.done.created[name] = kept
            if surplus:
                settled.append(CacheStep(name, None, kept, tuple(surplus)))
        self._move_latecomers(settled)
        for step in settled:
            self.doubles.append(step.name)
            for cache in step.retired:
                if cache.id not in self._held:
                    self._dtr.delete_content_cache(cache.id)

    def _move(self, moves: t.Sequence[Move]) -> None:
        """Give users the cache that their step leads to; those for whom that fails hold their old one."""
        results = self._assign({move.account: self._target_id(move.step) for move in moves})
        for move in moves:
            if move.account in results.done:
                self.done.moved.setdefault(move.account, move)
            elif move.account in results.failed:
                self._held.add(move.before.id)
        self.failed_moves.update(results.failed)

    def _target_id(self, step: CacheStep) -> str | None:
        target = self.done.created.get(step.name) or step.kept
        return target.id if target else None

    def _assign(self, targets: t.Mapping[str, str | None]) -> Results[str, None]:
        """Give each user its cache. Users who vanished meanwhile are in neither half of the results."""

        def assign(account: str) -> None:
            self._dtr.set_user_cache(account, targets[account])

        counted = self._progress.counted("moved", len(targets), assign)
        results = fan_out(counted, targets, self._concurrency, self._dtr.hopeless)
        failed = {name: failure for name, failure in results.failed.items() if not is_vanished(failure)}
        return Results(results.done, failed)

    def _latecomers(self, steps: t.Collection[CacheStep]) -> list[Move]:
        """Users who hold an entry that is about to go although they did not when the settings were read first."""
        if not self._reassign or not any(step.retired for step in steps):
            return []
        settings = read_all_account_settings(
            self._dtr, self._concurrency, self._progress, so="no cache that somebody may pull from was deleted"
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
                self._dtr.delete_content_cache(cache.id)
                self.done.deleted.append(cache)

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
        goals = {account: self.done.created[move.step.name] for account, move in waiting.items()}
        for account in self._give(waiting, goals):
            self.done.moved[account] = waiting[account]

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
            if step.name in self.done.created:
                with contextlib.suppress(Failure):
                    self._dtr.delete_content_cache(self.done.created[step.name].id)
                    del self.done.created[step.name]

    def _restore(self, moves: t.Collection[Move], retired: t.Iterable[ContentCache] = ()) -> None:
        """Bring back the entries that were deleted, under new ids, and their users."""
        waiting = {move.account: move for move in moves}
        back = {move.before.id: move.before for move in moves}
        for cache in retired:
            if cache in self.done.deleted:
                known = {each.id for each in (*self._current, *caches_after(self._current, self.done))}
                try:
                    restored = self._dtr.create_content_cache(cache.name, cache.host, known)
                except Failure as failure:
                    self._lose([move for move in moves if move.before == cache], failure)
                    back.pop(cache.id, None)
                    continue
                self.done.restored.append(restored)
                back[cache.id] = restored
        self._give(waiting, {move.account: back[move.before.id] for move in moves if move.before.id in back})

    def _give(self, waiting: t.Mapping[str, Move], goals: t.Mapping[str, ContentCache]) -> set[str]:
        """Give users who were reset a cache again; returns those who have it, the others are reported as stranded."""
        arrived = self._given(waiting, goals)
        # No reset whose answer got lost may be carried out after the write that followed it.
        late = self._dtr.wait_for_late_writes(goals)
        if late:
            arrived = arrived.difference(late) | self._given(waiting, {account: goals[account] for account in late})
        return arrived

    def _given(self, waiting: t.Mapping[str, Move], goals: t.Mapping[str, ContentCache]) -> set[str]:
        results = self._assign({account: goal.id for account, goal in goals.items()})
        # Who could not be reset either is still where they were.
        found = fan_out(self._dtr.user_cache, results.failed, self._concurrency, self._dtr.hopeless).done
        arrived = {account for account in goals if account in results.done or found.get(account) == goals[account].id}
        for account, failure in results.failed.items():
            if account not in arrived:
                self._strand(waiting[account], goals[account], failure)
        for account in arrived & self._stranded:
            self._stranded.discard(account)
            del self.failed_moves[account]
        return arrived

    def _lose(self, moves: t.Iterable[Move], failure: Failure) -> None:
        """Report for users whose cache is gone where they belong: no later run could know it."""
        for account, cache, _step in moves:
            story = f"It pulled from {cache.name} ({cache.shown_host}), which could not be restored"
            self._add_stranded(account, f"{story}, and pulls from DTR itself now", cache, failure)

    def _strand(self, move: Move, goal: ContentCache, failure: Failure) -> None:
        """Report a user who was reset and could not be given the cache that waits: no later run could know of it."""
        before = move.before
        story = (
            f"It pulled from {before.name} ({before.shown_host}), pulls from DTR itself now, and belongs to {goal.name}"
        )
        story = story if goal.host == before.host else f"{story} ({goal.shown_host})"
        self._add_stranded(move.account, story, goal, failure)

    def _add_stranded(self, account: str, story: str, cache: ContentCache, failure: Failure) -> None:
        self._stranded.add(account)
        self.failed_moves[account] = Failure(
            failure.code,
            f"{story}: {failure.message}",
            http_status=failure.http_status,
            url=failure.url,
            cache=cache.name,
            host=cache.shown_host,
        )

    def _moves_failure(self) -> Failure:
        if self._stranded:
            name, failure = min((name, self.failed_moves[name]) for name in self._stranded)
            return Failure(
                "ACCOUNTS_NOT_MOVED",
                f"{self._stranded_sentence()} The first is {name}: {failure.message}",
                http_status=failure.http_status,
                url=failure.url,
                hint=_stranded_hint(),
            )
        name, failure = min(self.failed_moves.items())
        return Failure(
            "ACCOUNTS_NOT_MOVED",
            f"{len(self.failed_moves)} accounts could not be moved, so the caches they pull from stay for now; "
            f"the first is {name}: {failure.message}",
            http_status=failure.http_status,
            url=failure.url,
            hint=f"{word('again')}: it goes on where this run stopped.",
        )

    def _stranded_sentence(self) -> str:
        return (
            f"{len(self._stranded)} accounts lost their cache on the way and pull from DTR itself now, "
            "and no later run can know where they belong."
        )


def _stranded_hint() -> str:
    return (
        f"Assign these accounts with {word('assign')}: failed_accounts names the cache of each. "
        f"{word('again')} after that."
    )


def _set_again(move: Move) -> Failure:
    return Failure(
        "SET_MEANWHILE",
        f"Something else sets it to {move.before.name} ({move.before.shown_host}) while this task moves it away.",
    )
