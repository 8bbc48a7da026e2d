# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What assignments need to know of DTR, and the writes that carry them out."""

from __future__ import annotations

import dataclasses
import typing as t

from ..common.concurrency import fan_out
from ..common.failure import Failure
from ..common.progress import UNREPORTED, Progress
from .api import DtrApi
from .assignments_plan import Assignment, Change, Directory, claimed_by, named_in, unlisted
from .model import Account

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
