# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which account pulls from which content cache: resolving claims, planning and reporting, as pure functions.

DTR keeps the choice per user; there is none for an organisation, a team, or by default (DTR swagger 2.3 to 2.7). Teams
and organisations are therefore resolved to their members at the time of the run.
"""

from __future__ import annotations

import collections
import dataclasses
import typing as t
from types import MappingProxyType

from ..common.concurrency import failed_accounts
from ..common.failure import Failure
from ..common.names import named, names_in, shown_with_why
from ..common.vocabulary import word
from .model import LOCAL, Account, ContentCache, is_local, is_vanished
from .shown_changes import Way, accounts_diff, numbers

_SHOWN_PROBLEMS = 50


class Users(t.NamedTuple):
    """Users by their names, and as the members of teams and organisations."""

    accounts: tuple[str, ...] = ()
    teams: tuple[str, ...] = ()
    orgs: tuple[str, ...] = ()


class Assignment(t.NamedTuple):
    """Who is to pull from one cache; the name C(local) means none. An exception wins over all but a named account."""

    cache: str
    accounts: tuple[str, ...] = ()
    teams: tuple[str, ...] = ()
    orgs: tuple[str, ...] = ()
    everyone: bool = False
    exceptions: Users = Users()


@dataclasses.dataclass
class Directory:
    """What DTR says of everybody whom the assignments name.

    C(accounts) holds the known ones by name, all users if C(complete). C(orgs) and C(teams) hold the members, or
    C(None) for one that does not exist.
    """

    accounts: dict[str, Account]
    orgs: dict[str, list[Account] | None]
    teams: dict[str, list[Account] | None]
    complete: bool


class Claims(t.NamedTuple):
    """The wanted cache of each account: a cache's id, or C(None); who was named but is inactive; whom nobody claims."""

    wanted: dict[str, str | None]
    inactive: list[str]
    unclaimed: frozenset[str] = frozenset()


class Change(t.NamedTuple):
    """An account whose setting differs from what is wanted; both sides are ids of caches or C(None)."""

    account: str
    before: str | None
    after: str | None


def parse_assignments(options: t.Iterable[t.Mapping[str, t.Any]], option: str = "assignments") -> list[Assignment]:
    """The declared assignments.

    Args:
        options: C({cache, accounts, teams, orgs, everyone, except}) as the module takes them. A list element may hold
            several names, separated by commas or line breaks, as a survey hands them over.
        option: What the user calls them.

    Raises:
        Failure: C(INVALID_INPUT) with all problems at once.
    """
    options = list(options)
    problems = [problem for each in options for problem in problems_of(each)]
    if problems:
        raise problems_failure("INVALID_INPUT", problems, option)
    return [_assignment(each) for each in options]


def problems_of(option: t.Mapping[str, t.Any]) -> list[str]:
    """Everything that is wrong with one assignment by itself, as sentences."""
    problems = _wrong_values(option)
    if problems:
        return problems
    assignment = _assignment(option)
    if not assignment.cache:
        problems.append("an assignment names no cache")
    for users in (assignment, assignment.exceptions):
        problems += [f"'{team}' is not a team: write org/team" for team in users.teams if not _can_be_a_team(team)]
        problems += name_problems((*users.accounts, *users.orgs))
    return problems + _exception_problems(assignment)


def parse_others(options: t.Iterable[t.Mapping[str, t.Any]]) -> list[Assignment]:
    """The assignments that somebody else declares. What cannot be a name there claims nobody."""
    return [
        each._replace(**_possible(each)._asdict(), exceptions=_possible(each.exceptions))
        for each in map(_assignment, options)
    ]


def _exception_problems(assignment: Assignment) -> list[str]:
    """Exceptions that contradict what they are exceptions of, as sentences."""
    if not any(assignment.exceptions):
        return []
    both = [name for name in assignment.accounts if name in assignment.exceptions.accounts]
    if both:
        return [f"{named(both)}: named under accounts and under except; take {_them(both)} out of one of both"]
    if not (assignment.teams or assignment.orgs or assignment.everyone):
        return ["except needs teams, orgs or everyone beside it, of which it leaves somebody out"]
    return []


def _possible(users: Users | Assignment) -> Users:
    return Users(
        tuple(filter(_can_be_a_name, users.accounts)),
        tuple(filter(_can_be_a_team, users.teams)),
        tuple(filter(_can_be_a_name, users.orgs)),
    )


def _assignment(option: t.Mapping[str, t.Any]) -> Assignment:
    return Assignment(
        str(option["cache"] or "").strip(),
        *_users(option),
        everyone=bool(option.get("everyone")),
        exceptions=_users(option.get("except") or {}),
    )


def _users(option: t.Mapping[str, t.Any]) -> Users:
    return Users(*(names_in(option.get(kind)) for kind in Users._fields))


def _wrong_values(option: t.Mapping[str, t.Any]) -> list[str]:
    """Values of an assignment that are no text, as sentences."""
    given = {"cache": option["cache"], **{kind: option.get(kind) for kind in Users._fields}}
    exceptions = option.get("except") or {}
    given.update({f"except.{kind}": exceptions.get(kind) for kind in Users._fields})
    return [
        f"{kind}: {why}"
        for kind, value in given.items()
        for why in filter(
            None, map(shown_with_why, value if isinstance(value, list) else ["" if value is None else value])
        )
    ]


def name_problems(names: t.Iterable[str]) -> list[str]:
    """What cannot be the name of a user or an organisation, as sentences."""
    return [f"'{name}' cannot be an account's name" for name in names if not _can_be_a_name(name)]


def _can_be_a_name(name: str) -> bool:
    """Whether a path of the API can hold the name without leading elsewhere."""
    return bool(name.strip()) and "/" not in name and name not in (".", "..")


def _can_be_a_team(team: str) -> bool:
    return team.count("/") == 1 and all(map(_can_be_a_name, team.split("/")))


def problems_failure(code: str, problems: t.Sequence[str], option: str = "assignments") -> Failure:
    """One failure that lists everything that is wrong with the assignments."""
    shown = "; ".join(problems[:_SHOWN_PROBLEMS])
    more = len(problems) - _SHOWN_PROBLEMS
    return Failure(
        code,
        f"{option}: {shown}{f'; and {more:,} more' if more > 0 else ''}.",
        hint="Nothing was changed.",
        problems=list(problems),
    )


def resolve(
    assignments: t.Sequence[Assignment],
    caches: t.Sequence[ContentCache],
    directory: Directory,
    exclusive: bool,
    elsewhere: t.Mapping[str, str] = MappingProxyType({}),
) -> Claims:
    """The wanted cache of each account.

    Inactive accounts and organisations are left out. C(everyone) is whom no other assignment claims, but for its own
    exceptions. With C(exclusive) every active user whom nobody claims is reset.

    Args:
        elsewhere: Accounts that assignments made by somebody else claim, with the caches that claim them.

    Raises:
        Failure: C(INVALID_ASSIGNMENTS) with every unknown cache, account, team and organisation, and every account
            that two caches claim.
    """
    problems = _unknown_caches(assignments, caches) + _unknown_accounts(assignments, directory)
    claims: dict[str, set[str]] = {}
    inactive: set[str] = set()
    for assignment in assignments:
        # Named in other capitals or by an id, an account is known by that as well as by its own name.
        listed = [directory.accounts[name] for name in assignment.accounts if name in directory.accounts]
        inactive.update(account.name for account in listed if not account.is_active and not account.is_org)
        for account in (*listed, *_members(assignment, directory)):
            if _is_user(account):
                claims.setdefault(account.name, set()).add(_cache_key(assignment.cache))
    for name in elsewhere.keys() & claims.keys():
        claims[name].add(_cache_key(elsewhere[name]))
    problems += _contested(claims)
    by_default = [assignment for assignment in assignments if assignment.everyone]
    defaults = sorted({_cache_key(assignment.cache) for assignment in by_default})
    if len(defaults) > 1:
        problems.append(f"everyone is claimed by {' and '.join(defaults)}; leave it in one of them")
    if problems:
        raise problems_failure("INVALID_ASSIGNMENTS", problems)
    ids: dict[str, str | None] = {cache.name: cache.id for cache in caches}
    ids[LOCAL] = None
    wanted = {account: ids[name] for account, names in claims.items() for name in names}
    unclaimed: frozenset[str] = frozenset()
    if exclusive or defaults:
        users = {account.name for account in filter(_is_user, directory.accounts.values())}
        others = users - elsewhere.keys() - wanted.keys()
        left_out = [_exceptions(assignment, directory) for assignment in by_default]
        unclaimed = frozenset(others.intersection(*left_out))
        wanted.update(dict.fromkeys(others - unclaimed, ids[defaults[0]] if defaults else None))
        unclaimed = unclaimed if exclusive else frozenset()
        wanted.update(dict.fromkeys(unclaimed))
    return Claims(wanted, sorted(inactive), unclaimed)


def claimed_by(assignments: t.Iterable[Assignment], directory: Directory) -> dict[str, str]:
    """The accounts that assignments claim, with the caches that do; who and what is unknown claims nothing.

    C(everyone) claims nobody here: it is whom nobody else claims.
    """
    claimed: dict[str, str] = {}
    for assignment in assignments:
        listed = (directory.accounts.get(name) or Account(name) for name in assignment.accounts)
        for account in (*listed, *_members(assignment, directory)):
            if not account.is_org:
                claimed[account.name] = assignment.cache
    return claimed


def contested(
    changes: t.Iterable[Change], elsewhere: t.Mapping[str, str], caches: t.Iterable[ContentCache]
) -> list[str]:
    """The changes that an assignment made by somebody else would undo, as sentences."""
    names = {cache.id: cache.name for cache in caches}
    wanted = {change.account: cache_label(change.after, names) for change in changes}
    return _contested(
        {account: {cache, _cache_key(elsewhere[account])} for account, cache in wanted.items() if account in elsewhere}
    )


def _contested(claims: t.Mapping[str, set[str]]) -> list[str]:
    """One sentence for all accounts that the same caches claim."""
    contested: dict[tuple[str, ...], list[str]] = {}
    for name, caches in sorted(claims.items()):
        if len(caches) > 1:
            contested.setdefault(tuple(sorted(caches)), []).append(name)
    return [
        f"{_counted(names)} claimed by {' and '.join(caches)}; leave {_them(names)} out of one of them, members of a "
        f"team by {word('except')} (accounts, teams, orgs)"
        for caches, names in contested.items()
    ]


def _counted(names: t.Sequence[str]) -> str:
    return f"{names[0]} is" if len(names) == 1 else f"{len(names):,} accounts ({named(names, 3)}) are"


def _them(names: t.Sized) -> str:
    return "it" if len(names) == 1 else "them"


def _is_user(account: Account) -> bool:
    return account.is_active and not account.is_org


def _cache_key(name: str) -> str:
    return LOCAL if is_local(name) else name


def _unknown_caches(assignments: t.Iterable[Assignment], caches: t.Iterable[ContentCache]) -> list[str]:
    counts = collections.Counter(cache.name for cache in caches)
    problems = []
    for name in sorted({_cache_key(assignment.cache) for assignment in assignments} - {LOCAL}):
        if not counts[name]:
            problems.append(f"there is no cache {name}")
        elif counts[name] > 1:
            problems.append(f"there are {counts[name]} caches named {name}, which dtr.cache.content_caches can resolve")
    return problems


def _unknown_accounts(assignments: t.Iterable[Assignment], directory: Directory) -> list[str]:
    """Accounts, organisations and teams that DTR does not have, as sentences."""
    problems = []
    for name in sorted(named_in(assignments, "accounts")):
        account = directory.accounts.get(name)
        if account is None:
            problems.append(f"there is no account {name}")
        elif account.is_org:
            problems.append(f"{name} is an organisation, to be named under orgs")
    problems += [
        f"there is no organisation {org}" for org, members in sorted(directory.orgs.items()) if members is None
    ]
    problems += [f"there is no team {team}" for team, members in sorted(directory.teams.items()) if members is None]
    return problems


def named_in(assignments: t.Iterable[Assignment], kind: str) -> set[str]:
    """The accounts, teams or organisations (C(kind)) that assignments and their exceptions name."""
    return {
        name
        for each in assignments
        for users in (each, each.exceptions)
        for name in t.cast("set[str]", getattr(users, kind))
    }


def unlisted(assignment: Assignment, known: t.Container[str] | None = None) -> Assignment:
    """An assignment as far as something has still to be asked for it: without everyone, and known accounts or all."""
    names, exceptions = (
        tuple(name for name in users.accounts if known is not None and name not in known)
        for users in (assignment, assignment.exceptions)
    )
    return assignment._replace(
        accounts=names, everyone=False, exceptions=assignment.exceptions._replace(accounts=exceptions)
    )


def _members(assignment: Assignment, directory: Directory) -> t.Iterator[Account]:
    """The members of an assignment's teams and organisations, but for its exceptions."""
    exceptions = _exceptions(assignment, directory)
    return (account for account in _all_members(assignment, directory) if account.name not in exceptions)


def _exceptions(assignment: Assignment, directory: Directory) -> set[str]:
    users = assignment.exceptions
    listed = (directory.accounts.get(name) or Account(name) for name in users.accounts)
    return {account.name for account in (*listed, *_all_members(users, directory))}


def _all_members(users: Users | Assignment, directory: Directory) -> t.Iterator[Account]:
    for team in users.teams:
        yield from directory.teams.get(team) or ()
    for org in users.orgs:
        yield from directory.orgs.get(org) or ()


def plan_assignments(wanted: t.Mapping[str, str | None], settings: t.Mapping[str, str | None]) -> list[Change]:
    """The accounts that differ, by name.

    Args:
        wanted: The id of each account's cache, or C(None), as wanted.
        settings: The same as it is; accounts that could not be read are missing and not planned for.
    """
    return [
        Change(account, settings[account], cache)
        for account, cache in sorted(wanted.items())
        if account in settings and settings[account] != cache
    ]


def cache_label(cache_id: str | None, names: t.Mapping[str, str]) -> str:
    """A cache's name as results show it; an id that no cache has any more is shown as dangling."""
    if cache_id is None:
        return LOCAL
    return names.get(cache_id) or f"{cache_id} (dangling)"


def report(
    changes: t.Sequence[Change],
    failed: t.Mapping[str, Failure],
    caches: t.Iterable[ContentCache],
    considered: int,
    *,
    diff: bool,
    whole: bool = False,
) -> dict[str, t.Any]:
    """The module's result.

    Args:
        changes: What was changed, or, in check mode, would be.
        failed: The accounts that could not be read or changed.
        caches: The caches, for their names.
        considered: How many accounts the assignments concern.
        diff: Whether somebody wants to see one.
        whole: Whether it names each account.
    """
    names = {cache.id: cache.name for cache in caches}
    changed = [
        {
            "name": change.account,
            "before": cache_label(change.before, names),
            "after": cache_label(change.after, names),
        }
        for change in changes
    ]
    result = {
        "changed": bool(changed),
        "changed_accounts": changed,
        "ways": numbers(ways(changed)),
        "unchanged": considered - len(changed) - len(failed),
        "failed_accounts": failed_accounts(failed),
    }
    if diff:
        result["diff"] = accounts_diff(ways(changed), whole=whole)
    return result


def ways(changed: t.Iterable[t.Mapping[str, str]]) -> dict[str, Way]:
    """Which way each of the changed accounts goes."""
    return {entry["name"]: Way(entry["before"], entry["after"]) for entry in changed}


def covered(wanted: t.Mapping[str, str | None], caches: t.Iterable[ContentCache]) -> dict[str, int]:
    """How many accounts each cache is to have, by its name."""
    names = {cache.id: cache.name for cache in caches}
    return dict(sorted(collections.Counter(cache_label(cache_id, names) for cache_id in wanted.values()).items()))


def by_cache(settings: t.Mapping[str, str | None], caches: t.Iterable[ContentCache]) -> dict[str, t.Any]:
    """Who pulls from where, as the info module answers it.

    Args:
        settings: The id of each user's cache.
        caches: The caches.
    """
    names = {cache.id: cache.name for cache in caches}
    groups: dict[str, list[str]] = {name: [] for name in (*sorted(names.values()), LOCAL)}
    dangling = []
    accounts = []
    for account, cache_id in sorted(settings.items()):
        name = LOCAL if cache_id is None else names.get(cache_id)
        accounts.append({"name": account, "cache": name, "id": cache_id})
        if name is None:
            dangling.append(account)
        else:
            groups[name].append(account)
    return {"accounts": accounts, "by_cache": groups, "dangling": dangling}


def amounts(found: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """The numbers of what C(by_cache) gives."""
    numbers: dict[str, t.Any] = {
        "total": len(found["accounts"]),
        "counts": {name: len(accounts) for name, accounts in found["by_cache"].items()},
        "dangling_count": len(found["dangling"]),
    }
    return {**numbers, **({"inactive_count": len(found["inactive"])} if "inactive" in found else {})}


def without_vanished(failed: t.Mapping[str, Failure], named: t.Collection[str]) -> dict[str, Failure]:
    """The failures that count: who was deleted after the lists were read is none, unless somebody named them."""
    return {name: failure for name, failure in failed.items() if name in named or not is_vanished(failure)}


def partial_failure(failed: t.Mapping[str, Failure], done: str, result: dict[str, t.Any]) -> Failure:
    """The failure of a task that did what it could; C(done) is what could not be done, as a participle."""
    name, first = min(failed.items())
    total = len(failed)
    return Failure(
        "ACCOUNTS_FAILED",
        f"{total} account{'s' if total > 1 else ''} could not be {done}; the first is {name}: {first.message}",
        http_status=first.http_status,
        url=first.url,
        hint=first.hint or f"{word('again')}: it goes on where this run stopped.",
        **result,
    )


def too_many_resets(
    changes: t.Iterable[Change], unclaimed: t.Container[str], most: int | None, caches: t.Iterable[ContentCache]
) -> Failure | None:
    """The refusal where an exclusive assignment would reset more accounts than it may.

    Args:
        changes: What is to be changed.
        unclaimed: Whom no assignment claims.
        most: How many of them may be reset; C(None) for any number.
        caches: The caches, for their names.
    """
    reset = [change for change in changes if change.account in unclaimed]
    if most is None or len(reset) <= most:
        return None
    names = {cache.id: cache.name for cache in caches}
    held = collections.Counter(cache_label(change.before, names) for change in reset)
    shown = named([f"{count:,} of {name}" for name, count in held.most_common()])
    return Failure(
        "TOO_MANY_RESETS",
        f"This exclusive assignment would reset {_accounts(len(reset))} that it does not name ({shown}), and "
        f"{word('max_resets')} allows {most:,}.",
        hint=f"Nothing was changed. Check that no region, team or organisation is missing. If all of them are to be "
        f"reset, set {word('max_resets')} to {len(reset)} for this run.",
        resets=len(reset),
    )


def _accounts(count: int) -> str:
    return "1 account" if count == 1 else f"{count:,} accounts"
