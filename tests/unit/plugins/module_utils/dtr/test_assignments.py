# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Resolving and planning assignments, as properties where that says more than examples."""

from __future__ import annotations

import contextlib
import typing as t

import pytest
from ansible_collections.dtr.cache.plugins.module_utils.common.failure import Failure
from ansible_collections.dtr.cache.plugins.module_utils.dtr.api import DtrApi
from ansible_collections.dtr.cache.plugins.module_utils.dtr.assignments_apply import accounts_elsewhere
from ansible_collections.dtr.cache.plugins.module_utils.dtr.assignments_plan import (
    Assignment,
    Change,
    Directory,
    Users,
    by_cache,
    claimed_by,
    contested,
    parse_assignments,
    parse_others,
    plan_assignments,
    problems_failure,
    report,
    resolve,
)
from ansible_collections.dtr.cache.plugins.module_utils.dtr.model import Account, ContentCache
from ansible_collections.dtr.cache.tests.unit.support.dtr import Dtr
from ansible_collections.dtr.cache.tests.unit.support.transports import connect
from ansible_collections.dtr.cache.tests.unit.support.web import serve
from hypothesis import given
from hypothesis import strategies as st

# How an account is left out.
WAY_OUT = "; leave it out of one of them, members of a team by assignments.except (accounts, teams, orgs)"
CACHES = [ContentCache("1", "asia", "https://asia"), ContentCache("2", "europe", "https://europe")]
NUMBER = "2505 is a number to YAML, which changes some (0010 becomes 8)"
ALL: dict[str, str | None] = {"alice": "1", "bob": "1", "carol": "1"}
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
    assert (claims.wanted, claims.inactive) == ({"alice": "1"}, ["dave"])


def test_an_inactive_account_is_told_of_by_its_own_name_however_it_is_named() -> None:
    known = directory()
    known.accounts["DAVE"] = known.accounts["dave"]
    claims = resolve([Assignment("asia", accounts=("DAVE",))], CACHES, known, False)
    assert (claims.wanted, claims.inactive) == ({}, ["dave"])


def test_everyone() -> None:
    claims = resolve([Assignment("europe", everyone=True)], CACHES, directory(), False)
    assert claims.wanted == {"alice": "2", "bob": "2", "carol": "2"}
    assert claims.inactive == []


def test_everyone_is_whom_nobody_else_claims() -> None:
    everyone, named = Assignment("europe", everyone=True), Assignment("asia", accounts=("alice",))
    for assignments in ([everyone, named], [named, everyone]):
        claims = resolve(assignments, CACHES, directory(), False)
        assert claims.wanted == {"alice": "1", "bob": "2", "carol": "2"}


def test_everyone_can_pull_from_one_cache_only() -> None:
    twice = [Assignment("europe", everyone=True), Assignment("europe", everyone=True)]
    assert resolve(twice, CACHES, directory(), False).wanted == {"alice": "2", "bob": "2", "carol": "2"}
    with pytest.raises(Failure) as raised:
        resolve([*twice, Assignment("asia", everyone=True)], CACHES, directory(), False)
    assert raised.value.result["problems"] == ["everyone is claimed by asia and europe; leave it in one of them"]


class TestOthers:
    OTHERS: t.ClassVar = [
        Assignment("asia", accounts=("bob", "unheard-of")),
        Assignment("asia", teams=("engineering/core", "engineering/none"), orgs=("nowhere",)),
    ]

    def elsewhere(self) -> dict[str, str]:
        known = directory(core=["alice"])
        known.teams["engineering/none"] = known.orgs["nowhere"] = None
        return claimed_by(self.OTHERS, known)

    def test_what_cannot_be_a_name_there_claims_nobody(self) -> None:
        given = {"cache": "asia", "accounts": ["a/b", "bob", "."], "teams": ["core", "x/core"], "orgs": ["..", "x"]}
        assert parse_others([given]) == [Assignment("asia", ("bob",), ("x/core",), ("x",))]

    def test_whom_they_claim(self) -> None:
        assert self.elsewhere() == {"bob": "asia", "unheard-of": "asia", "alice": "asia"}
        assert claimed_by([Assignment("asia", everyone=True)], directory()) == {}

    @pytest.mark.parametrize("exclusive", [True, False])
    def test_they_are_no_part_of_everyone(self, exclusive: bool) -> None:
        own = [Assignment("europe", everyone=True)]
        assert resolve(own, CACHES, directory(), exclusive, self.elsewhere()).wanted == {"carol": "2"}

    def test_nor_are_they_reset(self) -> None:
        claims = resolve([Assignment("europe", accounts=("carol",))], CACHES, directory(), True, self.elsewhere())
        assert claims.wanted == {"carol": "2"}

    def test_who_is_named_here_as_well_is_a_problem(self) -> None:
        own = [Assignment("europe", accounts=("bob",), everyone=True)]
        with pytest.raises(Failure) as raised:
            resolve(own, CACHES, directory(), False, self.elsewhere())
        assert raised.value.result["problems"] == [f"bob is claimed by asia and europe{WAY_OUT}"]

    def test_a_change_that_they_would_undo(self) -> None:
        changes = [Change("alice", None, "2"), Change("bob", "2", None), Change("carol", None, "2")]
        assert contested(changes, self.elsewhere(), CACHES) == [
            f"alice is claimed by asia and europe{WAY_OUT}",
            f"bob is claimed by asia and local{WAY_OUT}",
        ]
        assert contested([Change("alice", None, "1")], self.elsewhere(), CACHES) == []
        assert contested([Change("alice", "1", None)], {"alice": "Local"}, CACHES) == []


@pytest.mark.parametrize(
    ("assignments", "exclusive", "wanted"),
    [
        # Of a team, of an organisation, of everyone; by a name, a team, an organisation.
        ([Assignment("asia", teams=("e/t",), exceptions=Users(("bob",)))], False, {"alice": "1"}),
        ([Assignment("asia", teams=("e/t",), exceptions=Users(teams=("e/u",)))], False, {"alice": "1"}),
        ([Assignment("asia", orgs=("e",), exceptions=Users(orgs=("e",)))], False, {}),
        ([Assignment("asia", everyone=True, exceptions=Users(("bob", "carol")))], False, {"alice": "1"}),
        ([Assignment("asia", everyone=True, exceptions=Users(teams=("e/t",)))], False, {"carol": "1"}),
        # Not of a name; and somebody else may claim them.
        ([Assignment("asia", ("bob",), ("e/t",), exceptions=Users(teams=("e/u",)))], False, {"alice": "1", "bob": "1"}),
        (
            [Assignment("asia", teams=("e/t",), exceptions=Users(("bob",))), Assignment("europe", teams=("e/u",))],
            False,
            {"alice": "1", "bob": "2"},
        ),
        (
            [Assignment("asia", everyone=True, exceptions=Users(("bob",))), Assignment("europe", ("bob",))],
            False,
            {"alice": "1", "bob": "2", "carol": "1"},
        ),
        # Who is left out and claimed by nobody else is reset, where that is wanted.
        (
            [Assignment("asia", everyone=True, exceptions=Users(("bob",)))],
            True,
            {"alice": "1", "bob": None, "carol": "1"},
        ),
        (
            [Assignment("asia", everyone=True), Assignment("asia", everyone=True, exceptions=Users(("bob",)))],
            False,
            ALL,
        ),
    ],
)
def test_an_exception_wins(assignments: list[Assignment], exclusive: bool, wanted: dict[str, str | None]) -> None:
    accounts = {name: Account(name) for name in ("alice", "bob", "carol")}
    team = [accounts["alice"], accounts["bob"]]
    known = Directory(accounts, {"e": team}, {"e/t": team, "e/u": [accounts["bob"]]}, True)
    assert resolve(assignments, CACHES, known, exclusive).wanted == wanted


def test_an_exception_has_to_exist_and_the_others_are_no_claim_of_theirs() -> None:
    own = [Assignment("asia", teams=("engineering/core",), exceptions=Users(("zoe",), ("engineering/none",)))]
    known = directory(core=["alice", "bob"])
    known.teams["engineering/none"] = None
    with pytest.raises(Failure) as raised:
        resolve(own, CACHES, known, False)
    assert raised.value.result["problems"] == ["there is no account zoe", "there is no team engineering/none"]
    others = [Assignment("asia", teams=("engineering/core",), exceptions=Users(("bob",)))]
    assert claimed_by(others, known) == {"alice": "asia"}


def test_the_collision_of_two_teams_is_one_sentence() -> None:
    members = [Account(f"user{number:03}") for number in range(121)]
    known = Directory({}, {}, {"a/b": list(members), "c/d": list(members)}, False)
    with pytest.raises(Failure) as raised:
        resolve([Assignment("asia", teams=("a/b",)), Assignment("europe", teams=("c/d",))], CACHES, known, False)
    assert raised.value.result["problems"] == [
        "121 accounts (user000, user001, user002 and 118 more) are claimed by asia and europe; leave them out of "
        "one of them, members of a team by assignments.except (accounts, teams, orgs)"
    ]


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
        f"alice is claimed by asia and europe{WAY_OUT}",
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
        ({"cache": "asia", "teams": ["a/b"], "except": {"teams": ["c"]}}, "'c' is not a team: write org/team"),
        (
            {"cache": "asia", "accounts": ["bob"], "teams": ["a/b"], "except": {"accounts": "bob"}},
            "bob: named under accounts and under except; take it out of one of both",
        ),
        (
            {"cache": "asia", "accounts": ["bob"], "except": {"accounts": ["alice"]}},
            "except needs teams, orgs or everyone beside it, of which it leaves somebody out",
        ),
        *(
            ({"cache": "asia", "teams": ["a/b"], **given}, f"{place}: {NUMBER}; put it in quotes to make it text")
            for given, place in (
                ({"accounts": [2505]}, "accounts"),
                ({"accounts": 2505}, "accounts"),
                ({"orgs": ["a", 2505]}, "orgs"),
                ({"except": {"accounts": [2505]}}, "except.accounts"),
                ({"cache": 2505}, "cache"),
            )
        ),
        (
            {"cache": "asia", "accounts": [False]},
            "accounts: false is a truth value to YAML; put yes, no, on, off, true or false in "
            "quotes where that is meant",
        ),
        (
            {"cache": "asia", "accounts": [None]},
            "accounts: null is nothing to YAML; take it out, or put it in quotes where it is a name",
        ),
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
    assert result["diff"] == [{"prepared": "accounts: gone (dangling) -> asia: alice; gone (dangling) -> local: bob\n"}]
    assert "diff" not in report(changes, {}, CACHES, 2, diff=False)
    assert changes == [Change("alice", "gone", "1"), Change("bob", "gone", None)]


def test_who_pulls_from_where() -> None:
    answer = by_cache({"bob": "1", "alice": "1", "carol": None, "dave": "gone"}, CACHES)
    assert answer["by_cache"] == {"asia": ["alice", "bob"], "europe": [], "local": ["carol"]}
    assert answer["dangling"] == ["dave"]
    assert answer["accounts"][-1] == {"name": "dave", "cache": None, "id": "gone"}


TWO_CACHES = [ContentCache("a", "asia", "https://a"), ContentCache("e", "europe", "https://e")]
SETTINGS = {"alice": "a", "bob": "e", "carol": None, "dave": None, "erin": "gone"}
TEAM: t.Any = {"cache": "asia", "teams": ["engineering/core"], "accounts": ["alice"]}


def elsewhere(*assignments: t.Any, others: t.Sequence[t.Any] = ()) -> tuple[dict[str, list[str]], int]:
    """The answer, and how many requests it took beside the users and settings that are known."""
    dtr = Dtr("alice", "bob", "carol", "erin")
    dtr.add_user("dave", isActive=False)
    dtr.add_org("engineering", core=["bob", "carol", "dave", "erin"], other=["alice"])
    with serve(dtr) as site, contextlib.closing(connect(site.url, validate_certs=False)) as transport:
        api = DtrApi(transport)
        users = list(api.users())
        before = len(site.requests)
        wanted, claimed = parse_assignments(assignments), parse_assignments(others)
        found = accounts_elsewhere(api, wanted, claimed, users, SETTINGS, TWO_CACHES, 4)
        return found, len(site.requests) - before


def test_new_members_of_a_team() -> None:
    # The inactive pull from nowhere, and a cache that is gone is reported as that.
    assert elsewhere(TEAM, {"cache": "europe", "accounts": []}) == ({"asia": ["bob", "carol"], "europe": []}, 1)


def test_accounts_by_name_take_no_request() -> None:
    found = elsewhere({"cache": "europe", "accounts": ["alice", "bob"]}, {"cache": "local", "accounts": ["carol"]})
    assert found == ({"europe": ["alice"]}, 0)


def test_everyone_elsewhere_is_whom_nobody_else_claims() -> None:
    everyone = {"cache": "europe", "everyone": True}
    assert elsewhere(everyone)[0] == {"europe": ["alice", "carol"]}
    assert elsewhere(everyone, others=[TEAM])[0] == {"europe": []}


def test_a_cache_that_is_not_registered_has_none_of_its_accounts() -> None:
    assert elsewhere({"cache": "oz", "accounts": ["alice"]})[0] == {"oz": ["alice"]}


def test_what_cannot_be_understood_is_said() -> None:
    with pytest.raises(Failure, match="there is no team engineering/none"):
        elsewhere({"cache": "asia", "teams": ["engineering/none"]})
