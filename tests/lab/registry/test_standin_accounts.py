# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import typing as t

import pytest
from dtr_standin.accounts import Account, Directory, Filter, Order, page_of, seeded


@pytest.fixture(scope="module")
def directory() -> Directory:
    return seeded(430)


def walk(directory: Directory, which: Filter, order: Order, descending: bool, limit: int) -> list[str]:
    names: list[str] = []
    start = ""
    while True:
        page = directory.page(which, order, descending, start, limit, "")
        names += [account.name for account in page.items]
        assert page.next_start != start or not start, "the marker does not move on"
        start = page.next_start
        if not start:
            assert page.total == len(names)
            return names


@pytest.mark.parametrize("limit", [1, 7, 10, 443, 444, 445, 5000])
@pytest.mark.parametrize("descending", [False, True])
def test_pages_join_to_the_whole_whatever_their_length(directory: Directory, limit: int, descending: bool) -> None:
    names = walk(directory, "all", "name", descending, limit)
    assert names == sorted(names, reverse=descending)
    assert len(names) == len(set(names)) == 430 + 11 + 3


def test_the_order_by_full_name_is_another() -> None:
    directory = Directory([Account("a", "Zoe"), Account("b", "Yves"), Account("c", "Xenia")])
    assert walk(directory, "all", "name", False, 2) == ["a", "b", "c"]
    assert walk(directory, "all", "fullName", False, 2) == ["c", "b", "a"]
    assert directory.page("all", "fullName", False, "Y", 1, "").items[0].name == "b"


def test_filters_part_the_accounts(directory: Directory) -> None:
    assert walk(directory, "admins", "name", False, 10) == ["admin"]
    assert directory.count("users") == directory.count("admins") + directory.count("non-admins")
    assert directory.count("users") == directory.count("active-users") + directory.count("inactive-users")
    assert directory.count("all") == directory.count("users") + directory.count("orgs")
    inactive = walk(directory, "inactive-users", "name", False, 3)
    assert inactive == ["ivan", "judy", "user00100", "user00200", "user00300", "user00400"]


def test_start_is_inclusive_and_need_not_exist(directory: Directory) -> None:
    assert directory.page("users", "name", False, "bob", 2, "").items[0].name == "bob"
    assert directory.page("users", "name", False, "boba", 2, "").items[0].name == "carol"
    assert directory.page("users", "name", True, "boba", 2, "").items[0].name == "bob"


def test_contains_looks_into_both_names_whatever_their_case(directory: Directory) -> None:
    page = directory.page("all", "name", False, "", 10, "BROWN")
    assert [account.name for account in page.items] == ["bob"]
    assert directory.page("all", "name", False, "", 10, "user0040").total == 10


def test_members_are_in_the_order_of_their_ids_and_some_are_inactive(directory: Directory) -> None:
    engineering = directory.organization("engineering")
    assert engineering is not None
    ids = [member.account.id for member in engineering.members]
    assert ids == sorted(ids)
    assert len(ids) == 305 == engineering.account.members_count
    assert {member.account.name for member in engineering.members if member.is_admin} == {"alice"}
    backend, frontend, newcomers = engineering.teams
    assert (backend.name, frontend.name, newcomers.name) == ("backend", "frontend", "newcomers")
    assert any(not member.account.is_active for member in backend.members)
    assert newcomers.members == ()


def test_accounts_are_found_by_name_and_by_id(directory: Directory) -> None:
    bob = directory.find("bob")
    assert bob is not None
    assert directory.find(bob.id) is bob
    assert directory.user("engineering") is None
    assert directory.find("nobody") is None


def test_a_replaced_account_is_replaced_in_its_organisations_too(directory: Directory) -> None:
    renewed = directory.with_account(Account("bob", "Bob Brown", is_active=False))
    engineering = renewed.organization("engineering")
    assert engineering is not None
    assert not engineering.by_name["bob"].account.is_active
    assert [m.account.is_active for team in engineering.teams for m in team.members if m.account.name == "bob"] == [
        False
    ]
    assert renewed.count("inactive-users") == directory.count("inactive-users") + 1


def test_shapes_of_users_and_organisations_differ(directory: Directory) -> None:
    user, organization = directory.find("bob"), directory.find("research")
    assert user is not None
    assert organization is not None
    common = {"name", "id", "fullName", "isOrg"}
    assert set(json.loads(user.json)) == common | {"isActive", "isAdmin", "isImported"}
    assert set(json.loads(organization.json)) == common | {"membersCount", "teamsCount"}


def test_a_marker_is_that_of_the_first_item_of_the_next_page() -> None:
    letters: t.Sequence[str] = "abcde"
    assert page_of(letters, str, "", 2).next_start == "c"
    assert page_of(letters, str, "c", 3).next_start == ""
    assert list(page_of(letters, str, "d", 2, descending=True).items) == ["d", "c"]
    assert page_of(letters, str, "d", 2, descending=True).next_start == "b"
