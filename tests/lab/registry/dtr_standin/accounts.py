# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Users, organisations and teams: the data, its seed, and the questions that the listings ask.

The shapes are those of eNZi, whose schema is published as the accounts API of UCP 3.2 (`responses.Account` and so on).
Nothing here knows of HTTP.
"""

from __future__ import annotations

import bisect
import dataclasses
import functools
import json
import typing as t
import uuid

_NAMESPACE = uuid.UUID("5f0f5f2e-6d1c-4f43-9c2d-6b7d1f0a9c11")

#: Named users beside C(admin): name, full name, active.
NAMED_USERS = (
    ("alice", "Alice Ahmed", True),
    ("bob", "Bob Brown", True),
    ("carol", "Carol Costa", True),
    ("dave", "Dave Dvorak", True),
    ("erin", "Erin Eriksen", True),
    ("frank", "Frank Fischer", True),
    ("grace", "Grace Garcia", True),
    ("heidi", "Heidi Huber", True),
    ("ivan", "Ivan Ivanov", False),
    ("judy", "Judy Jones", False),
)

#: The organisations, their members as names or as ranges of generated users, and which of them administer it.
ORGANIZATIONS: tuple[tuple[str, str, tuple[str | range, ...], frozenset[str]], ...] = (
    ("docker-datacenter", "Docker Datacenter", ("admin",), frozenset({"admin"})),
    ("engineering", "Engineering", ("alice", "bob", "carol", "dave", "ivan", range(1, 301)), frozenset({"alice"})),
    ("research", "Research", ("dave", "erin", "frank", "judy", range(201, 401)), frozenset({"erin"})),
)

#: The teams: organisation, name, description, members.
TEAMS: tuple[tuple[str, str, str, tuple[str | range, ...]], ...] = (
    ("engineering", "backend", "Services", ("bob", "carol", "ivan", range(1, 121))),
    ("engineering", "frontend", "What users see", ("carol", "dave", range(101, 181))),
    ("engineering", "newcomers", "Nobody yet", ()),
    ("research", "genomics", "Sequences", ("erin", "frank", "judy", range(201, 261))),
)

Filter = t.Literal["all", "users", "orgs", "admins", "non-admins", "active-users", "inactive-users"]
Order = t.Literal["name", "fullName"]
Item = t.TypeVar("Item")


def account_id(name: str) -> str:
    """The same identifier for a name in every run, so that a restart keeps what refers to it."""
    return str(uuid.uuid5(_NAMESPACE, name))


@dataclasses.dataclass(frozen=True)
class Account:
    """A user or an organisation; the counts belong to organisations."""

    name: str
    full_name: str = ""
    is_org: bool = False
    is_active: bool = True
    is_admin: bool = False
    members_count: int = 0
    teams_count: int = 0

    @functools.cached_property
    def id(self) -> str:
        return account_id(self.name)

    @functools.cached_property
    def json(self) -> str:
        """`responses.Account` as JSON text, made once: a listing joins up to 50,000 of them."""
        shape: dict[str, t.Any] = {
            "name": self.name,
            "id": self.id,
            "fullName": self.full_name,
            "isOrg": self.is_org,
        }
        if self.is_org:
            shape |= {"membersCount": self.members_count, "teamsCount": self.teams_count}
        else:
            shape |= {"isActive": self.is_active, "isAdmin": self.is_admin, "isImported": False}
        return json.dumps(shape)


@dataclasses.dataclass(frozen=True)
class Member:
    """An account's membership of an organisation or a team."""

    account: Account
    is_admin: bool


@dataclasses.dataclass(frozen=True)
class Team:
    """A team, its members in the order of their ids."""

    organization: Account
    name: str
    description: str
    members: tuple[Member, ...]

    @functools.cached_property
    def id(self) -> str:
        return account_id(f"{self.organization.name}/{self.name}")


@dataclasses.dataclass(frozen=True)
class Organization:
    """An organisation's members in the order of their ids, and its teams in the order of their names."""

    account: Account
    members: tuple[Member, ...]
    teams: tuple[Team, ...]

    @functools.cached_property
    def by_name(self) -> dict[str, Member]:
        return {member.account.name: member for member in self.members}


@dataclasses.dataclass(frozen=True)
class Page(t.Generic[Item]):
    """A part of a listing: its items, the marker of the next page ("" after the last), and the size of the whole."""

    items: t.Sequence[Item]
    next_start: str
    total: int


def page_of(
    items: t.Sequence[Item],
    marker: t.Callable[[Item], str],
    start: str,
    limit: int,
    descending: bool = False,
) -> Page[Item]:
    """The C(limit) items from the first whose marker is C(start) or comes after it; C(items) ascend by marker."""
    if descending:
        end = bisect.bisect_right(items, start, key=marker) if start else len(items)
        begin = max(0, end - limit)
        following = marker(items[begin - 1]) if begin else ""
        return Page(items[begin:end][::-1], following, len(items))
    begin = bisect.bisect_left(items, start, key=marker) if start else 0
    end = begin + limit
    return Page(items[begin:end], marker(items[end]) if end < len(items) else "", len(items))


class Directory:
    """All accounts, ready to be listed in each order and by each filter."""

    def __init__(self, accounts: t.Iterable[Account], organizations: t.Iterable[Organization] = ()) -> None:
        self._organizations = {organization.account.name: organization for organization in organizations}
        self._accounts = {account.name: account for account in accounts}
        self._names_by_id = {account.id: account.name for account in self._accounts.values()}
        self._sorted: dict[tuple[Filter, Order], list[Account]] = {}

    def find(self, name_or_id: str) -> Account | None:
        """The account of that name or id."""
        return self._accounts.get(name_or_id) or self._accounts.get(self._names_by_id.get(name_or_id, ""))

    def user(self, name: str) -> Account | None:
        """The user of that name; organisations are none."""
        account = self._accounts.get(name)
        return None if account is None or account.is_org else account

    def organization(self, name_or_id: str) -> Organization | None:
        account = self.find(name_or_id)
        return self._organizations.get(account.name) if account else None

    def organizations_of(self, account: Account) -> list[tuple[Organization, Member]]:
        """The organisations that an account belongs to, by their ids."""
        found = [
            (organization, organization.by_name[account.name])
            for organization in self._organizations.values()
            if account.name in organization.by_name
        ]
        return sorted(found, key=lambda item: item[0].account.id)

    def with_account(self, account: Account) -> Directory:
        """This directory with a user added, or replaced where the name exists."""
        accounts = {**self._accounts, account.name: account}

        def renewed(member: Member) -> Member:
            return dataclasses.replace(member, account=accounts[member.account.name])

        def renewed_team(team: Team) -> Team:
            return dataclasses.replace(team, members=tuple(map(renewed, team.members)))

        organizations = [
            dataclasses.replace(
                organization,
                members=tuple(map(renewed, organization.members)),
                teams=tuple(map(renewed_team, organization.teams)),
            )
            for organization in self._organizations.values()
        ]
        return Directory(accounts.values(), organizations)

    def count(self, which: Filter) -> int:
        return len(self._in_order(which, "name"))

    def page(
        self, which: Filter, order: Order, descending: bool, start: str, limit: int, contains: str
    ) -> Page[Account]:
        """A page of the accounts that a filter lets through and whose name or full name has C(contains) in it."""
        accounts = self._in_order(which, order)
        if contains:
            part = contains.lower()
            accounts = [a for a in accounts if part in a.name.lower() or part in a.full_name.lower()]
        return page_of(accounts, _MARKERS[order], start, limit, descending)

    def _in_order(self, which: Filter, order: Order) -> list[Account]:
        if (which, order) not in self._sorted:
            chosen = filter(_FILTERS[which], self._accounts.values())
            self._sorted[which, order] = sorted(chosen, key=_MARKERS[order])
        return self._sorted[which, order]


_MARKERS: dict[Order, t.Callable[[Account], str]] = {
    "name": lambda account: account.name,
    "fullName": lambda account: account.full_name,
}

_FILTERS: dict[Filter, t.Callable[[Account], bool]] = {
    "all": lambda _account: True,
    "users": lambda account: not account.is_org,
    "orgs": lambda account: account.is_org,
    "admins": lambda account: not account.is_org and account.is_admin,
    "non-admins": lambda account: not account.is_org and not account.is_admin,
    "active-users": lambda account: not account.is_org and account.is_active,
    "inactive-users": lambda account: not account.is_org and not account.is_active,
}


def generated_name(number: int) -> str:
    return f"user{number:05d}"


def seeded(generated: int) -> Directory:
    """The lab's accounts: C(admin), the named users, C(generated) more (each hundredth inactive), the organisations."""
    users = [Account("admin", "Administrator", is_admin=True)]
    users += [Account(name, full_name, is_active=active) for name, full_name, active in NAMED_USERS]
    users += [
        Account(generated_name(number), f"Generated {number:05d}", is_active=number % 100 != 0)
        for number in range(1, generated + 1)
    ]
    by_name = {user.name: user for user in users}

    def members(who: tuple[str | range, ...], admins: frozenset[str] = frozenset()) -> tuple[Member, ...]:
        names = [name for part in who for name in ([part] if isinstance(part, str) else map(generated_name, part))]
        found = [Member(by_name[name], name in admins) for name in names if name in by_name]
        return tuple(sorted(found, key=lambda member: member.account.id))

    organizations = []
    for name, full_name, who, admins in ORGANIZATIONS:
        its_teams = sorted(team for team in TEAMS if team[0] == name)
        account = Account(name, full_name, is_org=True, members_count=len(members(who)), teams_count=len(its_teams))
        teams = tuple(Team(account, team, description, members(people)) for _, team, description, people in its_teams)
        organizations.append(Organization(account, members(who, admins), teams))
    return Directory([*users, *(organization.account for organization in organizations)], organizations)
