# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The accounts that pull through a cache: which ones a declaration covers."""

from __future__ import annotations

import typing as t

from ..common.failure import Failure
from ..common.vocabulary import word
from ..dtr.api import DtrApi
from ..dtr.assignments_plan import Assignment, Users, parse_assignments
from ..dtr.model import LOCAL, Account


def an_account(dtr: DtrApi, declared: t.Mapping[str, t.Any]) -> str | None:
    """The first active account that a declaration covers, or C(None) where it covers nobody or each of them.

    Raises:
        Failure: C(INVALID_INPUT) where it cannot be understood; C(NO_SUCH_USER) where no account of it is active.
    """
    wanted = _parsed(declared)
    for name in wanted.accounts:
        known = dtr.account(name)
        if known and _may_log_in(known):
            return name
    groups = (*wanted.accounts, *wanted.teams, *wanted.orgs)
    if not (any(wanted.exceptions) if wanted.everyone else groups):
        return None
    exceptions = _exceptions(dtr, wanted.exceptions)
    member = next((each for each in _covered(dtr, wanted) if _may_log_in(each) and each.name not in exceptions), None)
    if member is None:
        raise Failure(
            "NO_SUCH_USER",
            f"{word('accounts')}: {', '.join(groups) or 'everyone'} has no active account.",
            hint=f"Name an account to pull as ({word('account')}).",
        )
    return member.name


def declared_accounts(dtr: DtrApi, declared: t.Mapping[str, t.Any]) -> list[Account]:
    """All users that a declaration covers; one that is named need not exist."""
    wanted = _parsed(declared)
    exceptions = _exceptions(dtr, wanted.exceptions)
    members = [each for each in _covered(dtr, wanted) if not each.is_org and each.name not in exceptions]
    return list({each.name: each for each in (*map(Account, wanted.accounts), *members)}.values())


def _parsed(declared: t.Mapping[str, t.Any]) -> Assignment:
    return parse_assignments([{**declared, "cache": LOCAL}], word("accounts"))[0]


def _may_log_in(account: Account) -> bool:
    return account.is_active and not account.is_org


def _covered(dtr: DtrApi, wanted: Assignment) -> t.Iterator[Account]:
    return dtr.users() if wanted.everyone else _members(dtr, wanted)


def _exceptions(dtr: DtrApi, users: Users) -> set[str]:
    return {*users.accounts, *(each.name for each in _members(dtr, users))}


def _members(dtr: DtrApi, users: Users | Assignment) -> t.Iterator[Account]:
    for team in users.teams:
        yield from dtr.team_members(*team.split("/", 1)) or ()
    for org in users.orgs:
        yield from dtr.org_members(org) or ()
