# Copyright: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the report of a deployment has: how the run ended, what was pulled, the time without a replica."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.dtr.cache.plugins.plugin_utils.fleet.facts import HostFacts
from ansible_collections.dtr.cache.plugins.plugin_utils.fleet.reports import deployment
from ansible_collections.dtr.cache.tests.unit.support import facts as known


def host(gap: float | None, *steps: tuple[str, str], **facts: t.Any) -> HostFacts:
    return known.host(
        settings={"name": "region-asia", "url": "https://cache-asia.example.org:443"},
        steps={"steps": [{"kind": kind, "action": action} for kind, action in steps]},
        **{"converged": {"changed": False} if gap is None else {"gap_seconds": gap}, **facts},
    )


UPDATED = ("service", "update")


@pytest.mark.parametrize(("gap", "shown"), [(1.2, "1.2 s"), (0.0, "none")])
def test_the_gap_is_told_where_replicas_were_exchanged(gap: float, shown: str) -> None:
    (row,) = deployment.rows([host(gap, ("secret", "create"), UPDATED)])
    assert row["gap"] == shown
    assert list(row)[-3:] == ["gap", "changed", "result"]


@pytest.mark.parametrize(
    ("gap", "codes", "shown"),
    [
        (0.0, (2,), "none, pulls cut off"),
        (1.2, (2,), "1.2 s, pulls cut off"),
        (42.4, (137,), "at most 42.4 s, pulls cut off"),
    ],
)
def test_replicas_that_did_not_end_by_themselves(gap: float, codes: tuple[int, ...], shown: str) -> None:
    cut_off = [{"node": "asia-2", "exit_code": code} for code in codes]
    (row,) = deployment.rows([host(None, UPDATED, converged={"gap_seconds": gap, "cut_off": cut_off})])
    assert row["gap"] == shown


def test_a_region_without_an_exchange_has_none_beside_one_that_has() -> None:
    rows = deployment.rows([host(1.2, UPDATED), host(None)])
    assert [row["gap"] for row in rows] == ["1.2 s", None]


@pytest.mark.parametrize("steps", [[], [("service", "create")], [("node_label", "set")]])
def test_the_gap_of_an_earlier_update_is_not_told(steps: list[tuple[str, str]]) -> None:
    (row,) = deployment.rows([host(1.2, *steps)])
    assert "gap" not in row


FAILED = {"failure": known.FAILED}
SETTINGS = {"settings": {"name": "region-asia"}}
LOST = {"is_reached": False}
# As an earlier play of the same run left it.
EARLIER = {"failure": {**known.FAILED, "play": "an earlier play"}}


@pytest.mark.parametrize(
    ("facts", "result"),
    [
        ({}, "not reached"),
        (FAILED, "failed at: Deploy the stack"),
        ({**SETTINGS, **LOST}, "did not finish"),
        ({**SETTINGS, **LOST, **FAILED}, "failed at: Deploy the stack"),
        ({**SETTINGS, **FAILED}, "failed at: Deploy the stack"),
        ({**SETTINGS, "failure": {**known.FAILED, "play": known.PLAY}}, "failed at: Deploy the stack"),
        ({**SETTINGS, **EARLIER}, "ok"),
        (SETTINGS, "ok"),
    ],
)
def test_a_region_is_well_when_its_run_came_to_the_end(facts: dict[str, t.Any], result: str) -> None:
    (row,) = deployment.rows([known.host("manager-asia", **facts)])
    assert row["result"] == result


PULLED = {"pulls": [{"bytes": 9_000_000, "seconds": 0.3, "via_cache": True}]}
PROVED = {"pulls": [], "proof": {"bytes": 1234, "cold": {"seconds": 0.5}, "warm": {"seconds": 0.25, "hit": True}}}


@pytest.mark.parametrize(
    ("facts", "shown"),
    [
        ({}, None),
        ({"pulled": {"skipped": True}}, None),
        ({"pulled": PULLED}, "9.0 MB in 0.3 s"),
        ({"pulled": PROVED}, "2.5 kB in 0.8 s"),
        ({"pulled": {**PROVED, **PULLED}}, "9.0 MB in 0.3 s"),
    ],
)
def test_what_was_pulled_is_told_also_where_only_a_proof_was(facts: dict[str, t.Any], shown: str | None) -> None:
    (row,) = deployment.rows([known.host("manager-asia", **facts)])
    assert row["pulled"] == shown


def test_what_was_changed_is_counted() -> None:
    (row,) = deployment.rows(
        [
            host(
                None,
                ("secret", "create"),
                ("secret", "create"),
                ("node_label", "remove"),
                registration={"created": ["region-asia"], "reassigned": [{"name": "bob"}]},
                assigned={"changed_accounts": [{"name": "alice"}], "unchanged": 3},
            )
        ]
    )
    assert row["changed"] == "2 secrets, 1 node label removed, registered, 1 account assigned, 1 account moved"
    assert row["accounts"] == 4


NOTHING_TO_DO = [host(None), host(None)]


@pytest.mark.parametrize("width", [40, 80, 120, 200])
def test_with_nothing_to_do_there_is_a_line_for_each_region(width: int) -> None:
    lines = deployment.table(NOTHING_TO_DO, False).lines(width)
    assert len(lines) <= 6
    assert max(map(len, lines)) <= width
    assert [line.split()[0] for line in lines if line.startswith("region-")] == ["region-asia"] * 2


@pytest.mark.parametrize("width", [40, 80, 200])
@pytest.mark.parametrize("check_mode", [False, True])
def test_each_region_shows_what_changed_and_why_it_failed_once(width: int, check_mode: bool) -> None:
    hosts = [host(None, ("service", "create"), **FAILED), host(None, ("secret", "create"))]
    lines = deployment.table(hosts, check_mode).lines(width)
    text = " ".join(" ".join(lines).split())
    assert max(map(len, lines)) <= width
    assert text.count(known.FAILED["reason"]) == 1
    assert text.count("failed at: Deploy the stack") == 1
    assert text.count("1 service") == text.count("1 secret") == 1
    assert ("would change" in text) is check_mode
    assert ("changed" in text) is not check_mode


def test_what_an_earlier_play_of_the_run_did_is_not_reported() -> None:
    earlier = {"play": "an earlier play"}
    facts = {"steps": {"steps": [{"kind": "service", "action": "update"}], **earlier}, "pulled": {**PULLED, **earlier}}
    (row,) = deployment.rows([known.host("manager-asia", {"name": "region-asia"}, **facts)])
    assert (row["changed"], row["pulled"], row["result"]) == ("nothing", None, "ok")
