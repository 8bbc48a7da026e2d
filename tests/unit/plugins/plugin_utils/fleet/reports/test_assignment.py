# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the report of an assignment has of each region."""

from __future__ import annotations

import typing as t

from ansible_collections.dtr.cache.plugins.plugin_utils.fleet.facts import HostFacts
from ansible_collections.dtr.cache.plugins.plugin_utils.fleet.reports import assignment
from ansible_collections.dtr.cache.tests.unit.support import facts

RESULT = {
    "covered": {"region-asia": 3, "local": 7},
    "ways": [
        {"before": "local", "after": "region-asia", "count": 1},
        {"before": "region-europe", "after": "local", "count": 1},
    ],
    "failed_accounts": [],
}


def host(
    region: str, registry: str = "https://dtr", result: dict[str, t.Any] | None = None, **more: t.Any
) -> HostFacts:
    skipped = {"skipped": True, "changed": False}
    settings = {"name": region, "registry_url": registry}
    return facts.host(f"manager-{region}", settings, assigned=result or skipped, **more)


def test_one_dtr_in_two_spellings_is_one() -> None:
    rows = assignment.rows(
        [host("region-asia", "https://dtr.example.org", RESULT), host("region-europe", "https://DTR.example.org:443/")]
    )
    assert [row["result"] for row in rows] == ["ok", "ok", "ok"]


def cells(rows: list[dict[str, t.Any]]) -> list[tuple[t.Any, ...]]:
    return [tuple(row.values()) for row in rows]


def test_one_host_has_the_result_of_all() -> None:
    rows = assignment.rows([host("region-asia", result=RESULT), host("region-europe")])
    assert list(rows[0]) == ["region", "cache", "accounts", "arrived", "left", "result"]
    assert cells(rows) == [
        ("manager-region-asia", "region-asia", 3, 1, 0, "ok"),
        ("manager-region-europe", "region-europe", 0, 0, 1, "ok"),
        ("local", "local", 7, 1, 1, "ok"),
    ]


def test_each_registry_has_a_result_of_its_own() -> None:
    failed = [{"name": "carol"}, {"name": "dave"}]
    other = {"covered": {"region-oz": 4}, "ways": [], "failed_accounts": failed}
    rows = assignment.rows(
        [
            host("region-asia", result=RESULT),
            host("region-oz", "https://other", other),
            host("region-europe"),
            host("region-africa", "https://third"),
        ]
    )
    assert [(row["cache"], row["result"]) for row in rows] == [
        ("region-asia", "ok"),
        ("region-europe", "ok"),
        ("local", "ok"),
        ("region-oz", "2 accounts failed"),
        ("region-africa", "no result"),
    ]


def test_a_host_that_was_not_reached_has_no_numbers() -> None:
    assert cells(assignment.rows([facts.host("manager-asia")])) == [
        ("manager-asia", None, None, None, None, "no result")
    ]


def test_why_it_failed_is_below_each_region_and_shown_once() -> None:
    failed = {"failure": facts.FAILED}
    hosts = [host("region-asia", **failed), host("region-oz", "https://other", RESULT), host("region-europe", **failed)]
    shown = assignment.table(hosts, False)
    assert [row["cache"] for row in shown.rows] == ["region-asia", "region-europe", "region-oz", "local"]
    assert sum(facts.FAILED["reason"] in line for line in shown.lines(200)) == 1
    assert [row["result"] for row in shown.rows][:2] == ["failed at: Deploy the stack"] * 2
    assert "would arrive" in assignment.table(hosts, True).lines(120)[0]
