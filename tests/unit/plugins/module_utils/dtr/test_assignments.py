# Copyright: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Resolving and planning assignments, as properties where that says more than examples."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.dtr.cache.plugins.module_utils.common.failure import Failure
from ansible_collections.dtr.cache.plugins.module_utils.dtr.assignments_plan import (
    Assignment,
    Change,
    Directory,
    by_cache,
    parse_assignments,
    plan_assignments,
    problems_failure,
    report,
    resolve,
)
from ansible_collections.dtr.cache.plugins.module_utils.dtr.model import Account, ContentCache
from hypothesis import given
from hypothesis import strategies as st

CACHES = [ContentCache("1", "asia", "https://asia"), ContentCache("2", "europe", "https://europe")]
IDS = st.sampled_from([None, "1", "2", "gone"])
USERS = st.sampled_from([f"user{number}" for number in range(8)])


def directory(**teams: list[str]) -> Directory:
    accounts = {name: Account(name) for name in ("alice", "bob", "carol")}
    accounts["dave"] = Account("dave", is_active=False)
    accounts["engineering"] = Account("engineering", is_org=True)
    members = [accounts[name] for name in ("alice", "dave")]
    found: dict[str, list[Account] | None] = {
        f"engineering/{team}": [accounts[name] for name in names] for team, names in teams.items()
    }
    return Directory(accounts, {"engineering": [*members, Account("sub", is_org=True)]}, found, True)


@given(st.dictionaries(USERS, IDS), st.dictionaries(USERS, IDS))
def test_planning_after_applying_is_empty(wanted: dict[str, str | None], settings: dict[str, str | None]) -> None:
    changes = plan_assignments(wanted, settings)
    after = {**settings, **{change.account: change.after for change in changes}}
    assert plan_assignments(wanted, after) == []
    assert all(after[user] == wanted[user] for user in wanted.keys() & settings.keys())


@given(st.dictionaries(USERS, IDS), st.dictionaries(USERS, IDS))
def test_only_what_differs_is_written(wanted: dict[str, str | None], settings: dict[str, str | None]) -> None:
    changes = plan_assignments(wanted, settings)
    assert all(settings[change.account] == change.before != change.after for change in changes)
    assert [change.account for change in changes] == sorted({change.account for change in changes})


@given(st.dictionaries(USERS, IDS), st.dictionaries(USERS, IDS))
def test_the_report_adds_up(wanted: dict[str, str | None], settings: dict[str, str | None]) -> None:
    unread = {user: Failure("TIMEOUT", "late") for user in wanted.keys() - settings.keys()}
    result = report(plan_assignments(wanted, settings), unread, CACHES, len(wanted), diff=False)
    assert len(result["changed_accounts"]) + result["unchanged"] + len(result["failed_accounts"]) == len(wanted)
    assert result["changed"] == bool(result["changed_accounts"])


def test_members_without_inactive_ones_and_organisations() -> None:
    claims = resolve([Assignment("asia", orgs=("engineering",))], CACHES, directory(), False)
    assert claims.wanted == {"alice": "1"}


def test_an_inactive_account_that_is_named_is_told_of() -> None:
    claims = resolve([Assignment("asia", accounts=("alice", "dave"))], CACHES, directory(), False)
    assert claims == ({"alice": "1"}, ["dave"])


def test_an_inactive_account_is_told_of_by_its_own_name_however_it_is_named() -> None:
    known = directory()
    known.accounts["DAVE"] = known.accounts["dave"]
    claims = resolve([Assignment("asia", accounts=("DAVE",))], CACHES, known, False)
    assert claims == ({}, ["dave"])


def test_everyone() -> None:
    claims = resolve([Assignment("europe", everyone=True)], CACHES, directory(), False)
    assert claims.wanted == {"alice": "2", "bob": "2", "carol": "2"}
    assert claims.inactive == []


def test_exclusive_resets_the_others() -> None:
    claims = resolve([Assignment("asia", accounts=("alice",))], CACHES, directory(), True)
    assert claims.wanted == {"alice": "1", "bob": None, "carol": None}


def test_local_means_none() -> None:
    assert resolve([Assignment("LOCAL", accounts=("alice",))], [], directory(), False).wanted == {"alice": None}


def test_the_same_cache_may_claim_an_account_more_than_once() -> None:
    claims = resolve(
        [
            Assignment("asia", accounts=("alice",), teams=("engineering/core",)),
            Assignment("asia", orgs=("engineering",)),
        ],
        CACHES,
        directory(core=["alice", "bob"]),
        False,
    )
    assert claims.wanted == {"alice": "1", "bob": "1"}


def test_every_problem_is_listed_before_anything_happens() -> None:
    known = directory(core=["alice"])
    known.orgs["sales"] = None
    known.teams["engineering/none"] = None
    with pytest.raises(Failure) as raised:
        resolve(
            [
                Assignment("asia", ("alice", "zoe", "engineering"), ("engineering/none",), ("sales",)),
                Assignment("europe", teams=("engineering/core",)),
                Assignment("africa", ("bob",)),
                Assignment("twin", ("carol",)),
            ],
            [*CACHES, ContentCache("3", "twin", "https://a"), ContentCache("4", "twin", "https://b")],
            known,
            False,
        )
    assert raised.value.result["problems"] == [
        "there is no cache africa",
        "there are 2 caches named twin, which dtr.cache.content_caches can resolve",
        "engineering is an organisation, to be named under orgs",
        "there is no account zoe",
        "there is no organisation sales",
        "there is no team engineering/none",
        "alice is claimed by asia and europe",
    ]


def test_a_long_list_of_problems_is_cut_in_the_sentence_only() -> None:
    failure = problems_failure("INVALID_ASSIGNMENTS", [f"problem {number}" for number in range(60)])
    assert failure.message.endswith("; and 10 more.")
    assert len(failure.result["problems"]) == 60


def test_names_may_come_as_text_from_a_survey() -> None:
    options = [{"cache": " asia ", "accounts": ["alice, bob\ncarol", "", "alice"], "teams": None}]
    assert parse_assignments(options) == [Assignment("asia", ("alice", "bob", "carol"))]


@pytest.mark.parametrize(
    ("option", "problem"),
    [
        ({"cache": " "}, "an assignment names no cache"),
        ({"cache": "asia", "teams": ["core"]}, "'core' is not a team: write org/team"),
        ({"cache": "asia", "teams": ["a/b/c"]}, "'a/b/c' is not a team: write org/team"),
        ({"cache": "asia", "teams": ["/core"]}, "'/core' is not a team: write org/team"),
        ({"cache": "asia", "accounts": ["../admin"]}, "'../admin' cannot be an account's name"),
        ({"cache": "asia", "accounts": [".."]}, "'..' cannot be an account's name"),
        ({"cache": "asia", "teams": ["../core"]}, "'../core' is not a team: write org/team"),
        ({"cache": "asia", "teams": ["a/."]}, "'a/.' is not a team: write org/team"),
        ({"cache": "asia", "orgs": ["a/b"]}, "'a/b' cannot be an account's name"),
    ],
)
def test_bad_input(option: dict[str, t.Any], problem: str) -> None:
    with pytest.raises(Failure) as raised:
        parse_assignments([option])
    assert raised.value.code == "INVALID_INPUT"
    assert raised.value.result["problems"] == [problem]


def test_dangling_ids_are_shown_and_repaired() -> None:
    changes = plan_assignments({"alice": "1", "bob": None}, {"alice": "gone", "bob": "gone"})
    result = report(changes, {}, CACHES, 2, diff=True)
    assert result["changed_accounts"] == [
        {"name": "alice", "before": "gone (dangling)", "after": "asia"},
        {"name": "bob", "before": "gone (dangling)", "after": "local"},
    ]
    assert result["diff"] == {
        "before": {"alice": "gone (dangling)", "bob": "gone (dangling)"},
        "after": {"alice": "asia", "bob": "local"},
    }
    assert "diff" not in report(changes, {}, CACHES, 2, diff=False)
    assert changes == [Change("alice", "gone", "1"), Change("bob", "gone", None)]


def test_who_pulls_from_where() -> None:
    answer = by_cache({"bob": "1", "alice": "1", "carol": None, "dave": "gone"}, CACHES)
    assert answer["by_cache"] == {"asia": ["alice", "bob"], "europe": [], "local": ["carol"]}
    assert answer["dangling"] == ["dave"]
    assert answer["accounts"][-1] == {"name": "dave", "cache": None, "id": "gone"}
