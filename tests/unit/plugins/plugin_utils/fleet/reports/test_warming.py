# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the report of warming has of each region."""

from __future__ import annotations

import typing as t

from ansible_collections.dtr.cache.plugins.plugin_utils.fleet.facts import HostFacts
from ansible_collections.dtr.cache.plugins.plugin_utils.fleet.reports import warming
from ansible_collections.dtr.cache.tests.unit.support import facts

TRANSFERRED = {"seconds": 1.25, "wanted_bytes": 12_100_000, "cached_bytes": 9_000_000, "brought_bytes": 3_100_000}


def host(pulls: list[str | None], failure: dict[str, str] | None = None, **more: t.Any) -> HostFacts:
    rows = [{"failure": failure and {"code": failure}} for failure in pulls]
    warmed = {"pulls": rows, "transferred": {**TRANSFERRED, **more}}
    return facts.host("h", {"name": "region-asia"}, warmed=warmed, failure=failure)


def cells(*hosts: HostFacts) -> list[tuple[t.Any, ...]]:
    return [tuple(row.values()) for row in warming.table(hosts, False).rows]


def test_what_was_there_and_what_was_brought() -> None:
    assert cells(host([None, None])) == [("h", "region-asia", 2, "12.1 MB", "9.0 MB", "3.1 MB", 1.25, "ok")]


def test_a_cache_that_does_not_say_what_it_has() -> None:
    assert cells(host([None], cached_bytes=None, brought_bytes=None))[0][4:6] == ("unknown", "unknown")


def test_in_check_mode_it_is_what_the_cache_says() -> None:
    assert "said to be there  would bring" in warming.table([host([None])], True).lines(200)[0]


def test_failed_images_are_counted() -> None:
    assert cells(host([None, "MANIFEST_UNKNOWN"], facts.FAILED))[0][-1] == "1 of 2 images failed"


def test_a_region_that_failed_before_and_one_that_did_not_finish() -> None:
    assert [row[-1] for row in cells(facts.host("a", failure=facts.FAILED), facts.host("b"))] == [
        "failed at: Deploy the stack",
        "did not finish",
    ]
