# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which accounts pull from elsewhere than assignments say: teams and organisations change after an assignment."""

from __future__ import annotations

import typing as t

from .api import DtrApi
from .assignments_apply import claimed_elsewhere, look_up
from .assignments_plan import Assignment, Directory, resolve, unlisted
from .model import LOCAL, Account, ContentCache, is_local


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
