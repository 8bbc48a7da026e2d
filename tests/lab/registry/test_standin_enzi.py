# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import typing as t

import pytest
from standin_harness import ACCOUNTS, Client, code


def walk(client: Client, path: str, kind: str, **query: t.Any) -> list[t.Any]:
    """All items of a listing, page by page as the body's marker says."""
    items: list[t.Any] = []
    start = ""
    while True:
        page = client.get(path, params={**query, "start": start}).json()
        items += page[kind]
        assert page["nextPageStart"] != start or not start, "the marker does not move on"
        start = page["nextPageStart"]
        if not start:
            return items


def test_ten_accounts_a_page_unless_asked_for_more(bob: Client) -> None:
    page = bob.get("/enzi/v0/accounts").json()
    assert len(page["accounts"]) == 10
    assert page["usersCount"] == ACCOUNTS + 11
    assert page["orgsCount"] == 3
    assert page["resourceCount"] == ACCOUNTS + 14
    assert len(bob.get("/enzi/v0/accounts?limit=9999").json()["accounts"]) == ACCOUNTS + 14


def test_pages_join_to_all_accounts(bob: Client) -> None:
    names = [account["name"] for account in walk(bob, "/enzi/v0/accounts", "accounts", limit=100)]
    assert names == sorted(names)
    assert len(set(names)) == len(names) == ACCOUNTS + 14


def test_totals_ignore_the_filter(bob: Client) -> None:
    page = bob.get("/enzi/v0/accounts?filter=orgs").json()
    assert [account["name"] for account in page["accounts"]] == ["docker-datacenter", "engineering", "research"]
    assert page["usersCount"] == ACCOUNTS + 11
    assert page["nextPageStart"] == ""


@pytest.mark.parametrize(("order", "first"), [("name", "admin"), ("-name", f"user{ACCOUNTS:05d}"), ("+name", "admin")])
def test_order(bob: Client, order: str, first: str) -> None:
    for spelled in (order, order.replace("+", "%2B")):
        assert bob.get(f"/enzi/v0/accounts?order={spelled}").json()["accounts"][0]["name"] == first


def test_contains(bob: Client) -> None:
    page = bob.get("/enzi/v0/accounts?contains=ALI").json()
    assert [account["name"] for account in page["accounts"]] == ["alice"]


@pytest.mark.parametrize("query", ["filter=everyone", "order=age", "limit=ten"])
def test_wrong_parameters(bob: Client, query: str) -> None:
    assert code(bob.get(f"/enzi/v0/accounts?{query}")) == (400, "INVALID_PARAMETERS")


def test_one_account_by_name_or_id(bob: Client) -> None:
    account = bob.get("/enzi/v0/accounts/alice").json()
    assert account["fullName"] == "Alice Ahmed"
    assert bob.get(f"/enzi/v0/accounts/{account['id']}").json() == account
    assert code(bob.get("/enzi/v0/accounts/nobody")) == (404, "NO_SUCH_ACCOUNT")


def test_members_by_id_with_their_role(bob: Client) -> None:
    members = walk(bob, "/enzi/v0/accounts/engineering/members", "members", limit=100)
    ids = [member["member"]["id"] for member in members]
    assert ids == sorted(ids)
    assert len(ids) == 305
    admins = walk(bob, "/enzi/v0/accounts/engineering/members", "members", filter="admins")
    assert [(admin["member"]["name"], admin["isAdmin"]) for admin in admins] == [("alice", True)]
    assert len(walk(bob, "/enzi/v0/accounts/engineering/members", "members", filter="non-admins", limit=500)) == 304


def test_teams_and_their_members(bob: Client) -> None:
    teams = walk(bob, "/enzi/v0/accounts/engineering/teams", "teams", limit=1)
    assert [(team["name"], team["membersCount"]) for team in teams] == [
        ("backend", 123),
        ("frontend", 82),
        ("newcomers", 0),
    ]
    for team in (teams[1]["name"], teams[1]["id"]):
        members = walk(bob, f"/enzi/v0/accounts/engineering/teams/{team}/members", "members", limit=30)
        assert {"carol", "dave"} < {member["member"]["name"] for member in members}
        assert len(members) == 82
    assert bob.get("/enzi/v0/accounts/engineering/teams/newcomers/members").json()["members"] == []
    assert code(bob.get("/enzi/v0/accounts/engineering/teams/none/members")) == (404, "NO_SUCH_TEAM")
    assert code(bob.get("/enzi/v0/accounts/alice/teams")) == (404, "NO_SUCH_ACCOUNT")


def test_the_teams_of_a_member(bob: Client) -> None:
    teams = walk(bob, "/enzi/v0/accounts/engineering/members/carol/teams", "memberTeams")
    assert [entry["team"]["name"] for entry in teams] == ["backend", "frontend"]
    assert code(bob.get("/enzi/v0/accounts/engineering/members/heidi/teams")) == (404, "NO_SUCH_MEMBER")


def test_the_organisations_of_a_user(bob: Client, admin: Client) -> None:
    dave = Client(admin.standin, "dave")
    found = walk(dave, "/enzi/v0/accounts/dave/organizations", "memberOrgs", limit=1)
    assert {entry["org"]["name"]: entry["isAdmin"] for entry in found} == {"engineering": False, "research": False}
    assert walk(admin, "/enzi/v0/accounts/dave/organizations", "memberOrgs") == found
    assert code(bob.get("/enzi/v0/accounts/dave/organizations")) == (403, "NOT_AUTHORIZED")


def test_an_organisation_is_open_to_its_members_and_admins_only(heidi: Client, admin: Client) -> None:
    for path in ("members", "teams", "teams/backend/members"):
        assert code(heidi.get(f"/enzi/v0/accounts/engineering/{path}")) == (403, "NOT_AUTHORIZED")
        assert admin.get(f"/enzi/v0/accounts/engineering/{path}").status_code == 200
