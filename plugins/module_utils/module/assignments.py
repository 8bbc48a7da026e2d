# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Assigning accounts to caches, and reading who pulls from where, as the options of a module say."""

from __future__ import annotations

import typing as t

from ..common.concurrency import failed_accounts
from ..common.failure import Failure
from ..common.names import named, names_in, shown_with_why
from ..common.progress import Progress
from ..dtr.api import DtrApi
from ..dtr.assignments_apply import accounts_elsewhere, apply_changes, claimed_elsewhere, look_up, read_account_settings
from ..dtr.assignments_plan import (
    amounts,
    by_cache,
    contested,
    covered,
    name_problems,
    parse_assignments,
    parse_others,
    partial_failure,
    plan_assignments,
    problems_failure,
    report,
    resolve,
    too_many_resets,
    without_vanished,
)
from ..dtr.model import Account, ContentCache
from .base import Module
from .of_dtr import DtrSession


def assign(module: Module) -> dict[str, t.Any]:
    """Resolve the claims, read the settings, and unless in check mode write what differs."""
    params = module.params
    concurrency = params["concurrency"]
    assignments = parse_assignments(params["assignments"])
    others = parse_others(params["others"])
    if params["max_resets"] is not None and params["max_resets"] < 0:
        raise Failure("INVALID_INPUT", f"max_resets: {params['max_resets']} is not a number from 0 on.")
    with DtrSession(module) as dtr, Progress(params["progress_path"]) as progress:
        planned = params["planned_caches"] if module.check_mode else ()
        caches, doubles = _as_planned(planned, dtr.content_caches())
        directory = look_up(dtr, assignments, params["exclusive"], concurrency, progress)
        # Without it nobody is set who is not named, so that the others matter only where something is to be written.
        by_default = params["exclusive"] or any(assignment.everyone for assignment in assignments)
        elsewhere = claimed_elsewhere(dtr, others, directory, concurrency) if by_default else {}
        claims = resolve(assignments, caches, directory, params["exclusive"], elsewhere)
        if claims.inactive:
            module.warn(f"Inactive accounts are left out: {named(claims.inactive)}.")
        settings, failed = read_account_settings(dtr, claims.wanted, concurrency, progress)
        if module.check_mode:
            settings = _after_planned_moves(settings, params["planned_moves"], caches, doubles)
        changes = plan_assignments(claims.wanted, settings)
        refusal = too_many_resets(changes, claims.unclaimed, params["max_resets"], caches)
        if refusal:
            raise refusal
        if changes and others and not by_default:
            elsewhere = claimed_elsewhere(dtr, others, directory, concurrency)
            problems = contested(changes, elsewhere, caches)
            if problems:
                raise problems_failure("INVALID_ASSIGNMENTS", problems)
        if not module.check_mode:
            failed.update(apply_changes(dtr, changes, concurrency, progress))
            changes = [change for change in changes if change.account not in failed]
    declared = {directory.accounts[name].name for assignment in assignments for name in assignment.accounts}
    counting = without_vanished(failed, declared)
    vanished = failed.keys() - counting.keys()
    if vanished:
        module.warn(f"Accounts that were deleted while this task ran are left out: {named(sorted(vanished))}.")
    wanted = {account: cache for account, cache in claims.wanted.items() if account not in vanished}
    failed = counting
    result = report(changes, failed, caches, len(wanted), diff=module._diff, whole=module.is_verbose)
    result["covered"] = covered(wanted, caches)
    result["inactive"] = claims.inactive
    if failed:
        raise partial_failure(failed, "assigned", result)
    return result


def _as_planned(
    names: t.Collection[str], caches: t.Sequence[ContentCache]
) -> tuple[list[ContentCache], dict[str, str]]:
    """The caches as a real run would find them registered: each of these names once.

    The second is the id of the entry in the place of each further one, whose accounts the registration moves.
    """
    first = {cache.name: cache.id for cache in reversed(caches)}
    doubles = {cache.id: first[cache.name] for cache in caches if cache.name in names and cache.id != first[cache.name]}
    new = [ContentCache(f"planned:{name}", name, "") for name in dict.fromkeys(names) if name not in first]
    return [*(cache for cache in caches if cache.id not in doubles), *new], doubles


def _after_planned_moves(
    settings: t.Mapping[str, str | None],
    moves: t.Mapping[str, str],
    caches: list[ContentCache],
    doubles: t.Mapping[str, str],
) -> dict[str, str | None]:
    """The settings as they are once the accounts of some caches were moved to others."""
    by_name = {cache.name: cache.id for cache in caches}
    goals = {**doubles, **{cache.id: by_name.get(moves[cache.name]) for cache in caches if cache.name in moves}}
    return {account: goals.get(cache_id or "") or cache_id for account, cache_id in settings.items()}


def assigned(module: Module) -> dict[str, t.Any]:
    """Read all settings."""
    named = _accounts(module.params["accounts"])
    problems = name_problems(named or ())
    if problems:
        raise Failure("INVALID_INPUT", f"accounts: {'; '.join(problems)}.", problems=problems)
    with DtrSession(module) as dtr:
        caches = dtr.content_caches()
        users = list(dtr.users()) if named is None else []
        names = [account.name for account in users] if named is None else list(dict.fromkeys(named))
        settings, failed = read_account_settings(dtr, names, module.params["concurrency"])
        elsewhere = _elsewhere(module, dtr, users, settings, caches) if named is None else {}
    failed = without_vanished(failed, named or ())
    found = by_cache(settings, caches)
    if named is None:
        found["inactive"] = [account.name for account in users if not account.is_active]
    result = {**amounts(found), **_shown_elsewhere(elsewhere)}
    # Who names accounts wants to know of each of them.
    if module.params["names"] or named is not None:
        result.update(found)
        if elsewhere.get("elsewhere") is not None:
            result["elsewhere_accounts"] = elsewhere["elsewhere"]
    if failed:
        raise partial_failure(failed, "read", {**result, "failed_accounts": failed_accounts(failed)})
    return result


def _accounts(given: t.Any) -> list[str] | None:
    if given is None:
        return None
    names = given if isinstance(given, list) else list(names_in(given))
    problems = list(filter(None, map(shown_with_why, names)))
    if problems:
        raise Failure("INVALID_INPUT", f"accounts: {'; '.join(problems)}.", problems=problems)
    return names


def _elsewhere(
    module: Module,
    dtr: DtrApi,
    users: t.Sequence[Account],
    settings: t.Mapping[str, str | None],
    caches: t.Sequence[ContentCache],
) -> dict[str, t.Any]:
    """Who pulls from elsewhere than the assignments say; why that is not known does not hide the rest."""
    params = module.params
    if not params["assignments"]:
        return {}
    try:
        assignments, others = parse_assignments(params["assignments"]), parse_others(params["others"])
        found = accounts_elsewhere(dtr, assignments, others, users, settings, caches, params["concurrency"])
    except Failure as failure:
        return {"elsewhere": None, "elsewhere_problem": failure.message}
    return {"elsewhere": found, "elsewhere_problem": None}


def _shown_elsewhere(found: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """The numbers of C(elsewhere), which is C(None) where it is not known."""
    if "elsewhere" not in found:
        return {}
    numbers = found["elsewhere"] and {name: len(accounts) for name, accounts in found["elsewhere"].items()}
    return {**found, "elsewhere": numbers}
