# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The accounts that pull through a cache: which ones a declaration covers."""

from __future__ import annotations

import typing as t

from ..common.failure import Failure
from ..common.vocabulary import word
from ..dtr.api import DtrApi
from ..dtr.model import Account


def an_account(dtr: DtrApi, declared: t.Mapping[str, t.Any]) -> str | None:
    """The first active account that a declaration covers, or C(None) where it covers everyone or nobody."""
    named = [str(name) for name in declared.get("accounts") or []]
    teams, orgs = declared.get("teams") or [], declared.get("orgs") or []
    for name in named:
        known = dtr.account(name)
        if known and _may_log_in(known):
            return name
    if declared.get("everyone") or not (named or teams or orgs):
        return None
    member = next(filter(_may_log_in, _members(dtr, declared)), None)
    if member is None:
        raise Failure(
            "NO_SUCH_USER",
            f"{word('accounts')}: {', '.join((*named, *teams, *orgs))} has no active account.",
            hint=f"Name an account to pull as ({word('account')}).",
        )
    return member.name


def declared_accounts(dtr: DtrApi, declared: t.Mapping[str, t.Any]) -> list[Account]:
    """All users that a declaration covers; one that is named need not exist."""
    if declared.get("everyone"):
        return list(dtr.users())
    named = [Account(str(name)) for name in declared.get("accounts") or []]
    members = [each for each in _members(dtr, declared) if not each.is_org]
    return list({each.name: each for each in (*named, *members)}.values())


def _may_log_in(account: Account) -> bool:
    return account.is_active and not account.is_org


def _members(dtr: DtrApi, declared: t.Mapping[str, t.Any]) -> t.Iterator[Account]:
    for team in declared.get("teams") or []:
        if "/" in team:
            yield from dtr.team_members(*team.split("/", 1)) or ()
    for org in declared.get("orgs") or []:
        yield from dtr.org_members(org) or ()
