# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read of DTR what assignments need, write them, and compare them with the caches that accounts pull from now."""

from __future__ import annotations

import dataclasses
import typing as t

from ..common.concurrency import failed_accounts, fan_out
from ..common.failure import Failure
from ..common.progress import UNREPORTED, Progress
from ..common.vocabulary import word
from .api import DtrApi
from .assignments_plan import Assignment, Change, Directory, claimed_by, named_in, resolve, unlisted
from .model import LOCAL, Account, ContentCache, is_local, is_vanished


def read_account_settings(
    dtr: DtrApi, accounts: t.Collection[str], concurrency: int, progress: Progress = UNREPORTED
) -> tuple[dict[str, str | None], dict[str, Failure]]:
    """The cache ids of the accounts, and the accounts that could not be read."""
    read = progress.counted("read", len(accounts), dtr.user_cache)
    results = fan_out(read, accounts, concurrency, dtr.hopeless)
    return results.done, results.failed


def read_all_account_settings(
    dtr: DtrApi,
    concurrency: int,
    progress: Progress = UNREPORTED,
    *,
    so: str = "nothing was changed",
    users: t.Iterable[Account] | None = None,
) -> dict[str, str | None]:
    """The cache of every user, active or not: inactive ones may come back.

    Args:
        dtr: DTR.
        concurrency: The most requests at a time.
        progress: Where to report how far it got.
        so: What follows for the task when a setting cannot be read.
        users: The users, where they are known already.

    Raises:
        Failure: C(SETTINGS_UNREADABLE) when it cannot be said of every user. Users who vanish meanwhile do not count.
    """
    listed = progress.listed(dtr.users()) if users is None else users
    names = [account.name for account in listed]
    settings, failed = read_account_settings(dtr, names, concurrency, progress)
    unread = {name: failure for name, failure in failed.items() if not is_vanished(failure)}
    if unread:
        name, failure = next(iter(unread.items()))
        raise Failure(
            "SETTINGS_UNREADABLE",
            f"The settings of {len(unread)} accounts could not be read, so {so}; "
            f"the first is {name}: {failure.message}",
            http_status=failure.http_status,
            url=failure.url,
            hint=failure.hint or f"{word('again')}.",
            failed_accounts=failed_accounts(unread),
        )
    return settings


# Up to so many named accounts are read one by one; beyond that, reading the list of all accounts is cheaper.
_READ_ONE_BY_ONE = 100

_Found = t.TypeVar("_Found")


def look_up(
    dtr: DtrApi,
    assignments: t.Sequence[Assignment],
    exclusive: bool,
    concurrency: int,
    progress: Progress = UNREPORTED,
) -> Directory:
    """Read of DTR what the assignments need: the named accounts or all of them, and members of teams and organisations.

    What DTR does not have is no failure: the directory has C(None) for it, or no such account.

    Raises:
        Failure: When anything of it cannot be read.
    """
    named = named_in(assignments, "accounts")
    complete = exclusive or len(named) > _READ_ONE_BY_ONE or any(assignment.everyone for assignment in assignments)
    accounts: dict[str, Account] = {}
    if complete:
        accounts = {account.name: account for account in progress.listed(dtr.users())}
    missing = named - accounts.keys()

    def looked_up(read: t.Callable[[str], _Found], names: t.Collection[str], things: str) -> dict[str, _Found]:
        counted = progress.counted("looked up", len(names), read, things)
        results = fan_out(counted, sorted(names), concurrency, dtr.hopeless)
        for failure in results.failed.values():
            raise failure
        return results.done

    def members_of_team(team: str) -> list[Account] | None:
        return dtr.team_members(*team.split("/", 1))

    found = looked_up(dtr.account, missing, "accounts")
    accounts.update((name, account) for name, account in found.items() if account)
    return Directory(
        accounts,
        looked_up(dtr.org_members, named_in(assignments, "orgs"), "organisations"),
        looked_up(members_of_team, named_in(assignments, "teams"), "teams"),
        complete,
    )


def claimed_elsewhere(
    dtr: DtrApi, others: t.Sequence[Assignment], known: Directory, concurrency: int
) -> dict[str, str]:
    """The accounts that other assignments claim, with the caches that do. Names of accounts are not looked up again."""
    unnamed = [unlisted(each) for each in others]
    found = look_up(dtr, unnamed, False, concurrency)
    return claimed_by(others, dataclasses.replace(found, accounts=known.accounts))


def apply_changes(
    dtr: DtrApi, changes: t.Iterable[Change], concurrency: int, progress: Progress = UNREPORTED
) -> dict[str, Failure]:
    """Write the changes, one request an account; returns the accounts for which that failed."""
    targets = {change.account: change.after for change in changes}

    def write(account: str) -> None:
        dtr.set_user_cache(account, targets[account])

    counted = progress.counted("written", len(targets), write)
    return fan_out(counted, targets, concurrency, dtr.hopeless).failed


def accounts_elsewhere(
    dtr: DtrApi,
    assignments: t.Sequence[Assignment],
    others: t.Sequence[Assignment],
    users: t.Iterable[Account],
    settings: t.Mapping[str, str | None],
    caches: t.Iterable[ContentCache],
    concurrency: int,
) -> dict[str, list[str]]:
    """The accounts that pull from another cache than the one that claims them, by the name of that.

    An account whose cache no longer exists is not among them: it is reported as that.

    Args:
        assignments: Who is to pull from where.
        others: The same of somebody else, whose accounts C(everyone) leaves out.
        users: All users of the DTR.
        settings: The id of each user's cache.
        caches: The caches that DTR knows.

    Raises:
        Failure: The assignments cannot be understood, or their teams and organisations not be read.
    """
    known = {user.name: user for user in users}
    directory = directory_of(dtr, assignments, known, concurrency)
    by_default = any(assignment.everyone for assignment in assignments)
    claimed = claimed_elsewhere(dtr, others, directory, concurrency) if by_default else {}
    # Under which id a cache is registered, if at all, is no matter of its accounts: each stands for its own name.
    declared = {assignment.cache for assignment in assignments if not is_local(assignment.cache)}
    wanted = resolve(assignments, [ContentCache(name, name, "") for name in declared], directory, False, claimed).wanted
    names: dict[str | None, str] = {None: LOCAL, **{cache.id: cache.name for cache in caches}}
    found: dict[str, list[str]] = {name: [] for name in sorted(declared)}
    for account, cache in sorted(wanted.items()):
        held = names.get(settings[account]) if account in settings else None
        if held is not None and held != (cache or LOCAL):
            found.setdefault(cache or LOCAL, []).append(account)
    return found


def directory_of(
    dtr: DtrApi, assignments: t.Sequence[Assignment], known: dict[str, Account], concurrency: int
) -> Directory:
    """What DTR says of those whom the assignments name, where its users are known already."""
    found = look_up(dtr, [unlisted(each, known) for each in assignments], False, concurrency)
    return Directory({**known, **found.accounts}, found.orgs, found.teams, True)
