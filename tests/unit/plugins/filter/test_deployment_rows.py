# Copyright: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the table at the end of a playbook tells: how the run ended, what was pulled, the time without a replica."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.dtr.cache.plugins.filter.deployment_rows import deployment_rows


def host(gap: float | None, *steps: tuple[str, str]) -> dict[str, t.Any]:
    return {
        "inventory_hostname": "region-asia",
        "__dtr_cache": {"name": "region-asia"},
        "__dtr_cache_steps": [{"kind": kind, "action": action} for kind, action in steps],
        "__dtr_cache_converged": {"changed": False} if gap is None else {"gap_seconds": gap},
    }


UPDATED = ("service", "update")


@pytest.mark.parametrize(("gap", "shown"), [(1.2, "1.2 s"), (0.0, "none")])
def test_the_gap_is_told_where_replicas_were_exchanged(gap: float, shown: str) -> None:
    (row,) = deployment_rows([host(gap, ("secret", "create"), UPDATED)])
    assert row["gap"] == shown
    assert list(row)[-3:] == ["gap", "changed", "result"]


def test_a_region_without_an_exchange_has_none_beside_one_that_has() -> None:
    rows = deployment_rows([host(1.2, UPDATED), host(None)])
    assert [row["gap"] for row in rows] == ["1.2 s", None]


@pytest.mark.parametrize("steps", [[], [("service", "create")], [("node_label", "set")]])
def test_the_gap_of_an_earlier_update_is_not_told(steps: list[tuple[str, str]]) -> None:
    (row,) = deployment_rows([host(1.2, *steps)])
    assert "gap" not in row


FAILED = {"__dtr_cache_failure": "why", "__dtr_cache_failed_task": "Deploy the stack"}
SETTINGS = {"__dtr_cache": {"name": "region-asia"}}
CLEANED = {"__dtr_cache_cleaned": {"changed": False}}


@pytest.mark.parametrize(
    ("facts", "result"),
    [
        ({}, "not reached"),
        (FAILED, "failed at: Deploy the stack"),
        (SETTINGS, "did not finish"),
        ({**SETTINGS, **FAILED}, "failed at: Deploy the stack"),
        ({**SETTINGS, **CLEANED, **FAILED}, "failed at: Deploy the stack"),
        ({**SETTINGS, **CLEANED}, "ok"),
    ],
)
def test_a_region_is_well_when_its_run_came_to_the_end(facts: dict[str, t.Any], result: str) -> None:
    (row,) = deployment_rows([{"inventory_hostname": "manager-asia", **facts}])
    assert row["result"] == result


PULLED = {"pulls": [{"bytes": 9_000_000, "seconds": 0.3, "via_cache": True}]}
PROVED = {"proof": {"bytes": 1234, "cold": {"seconds": 0.5}, "warm": {"seconds": 0.25, "hit": True}}}


@pytest.mark.parametrize(
    ("facts", "shown"),
    [
        ({}, None),
        ({"__dtr_cache_pulled": {"skipped": True}, "__dtr_cache_proved": {"skipped": True}}, None),
        ({"__dtr_cache_pulled": PULLED, "__dtr_cache_proved": {"skipped": True}}, "9.0 MB in 0.3 s"),
        ({"__dtr_cache_pulled": {"skipped": True}, "__dtr_cache_proved": PROVED}, "2.5 kB in 0.8 s"),
        ({"__dtr_cache_pulled": PULLED, "__dtr_cache_proved": PROVED}, "9.0 MB in 0.3 s"),
    ],
)
def test_what_was_pulled_is_told_also_where_only_a_proof_was(facts: dict[str, t.Any], shown: str | None) -> None:
    (row,) = deployment_rows([{"inventory_hostname": "manager-asia", **facts}])
    assert row["pulled"] == shown
