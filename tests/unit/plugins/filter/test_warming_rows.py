# Copyright: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the table at the end of warming tells of each region."""

from __future__ import annotations

import typing as t

from ansible_collections.dtr.cache.plugins.filter.warming_rows import warming_rows

TRANSFERRED = {"blobs": 2, "bytes": 3_100_000, "seconds": 1.25, "wanted_bytes": 12_100_000, "cached_bytes": 9_000_000}


def host(pulls: list[str | None], **more: t.Any) -> dict[str, t.Any]:
    rows = [{"failure": failure and {"code": failure}} for failure in pulls]
    warmed = {"pulls": rows, "transferred": {**TRANSFERRED, **more}}
    return {"inventory_hostname": "h", "__dtr_cache": {"name": "region-asia"}, "__dtr_cache_warmed": warmed}


def cells(*hosts: dict[str, t.Any]) -> list[tuple[t.Any, ...]]:
    return [tuple(row.values()) for row in warming_rows(hosts)]


def test_what_was_there_and_what_was_brought() -> None:
    assert cells(host([None, None])) == [("region-asia", 2, "12.1 MB", "9.0 MB", "3.1 MB", 1.25, "ok")]


def test_a_cache_that_does_not_tell() -> None:
    assert cells(host([None], cached_bytes=None))[0][3] == "not told"


def test_failed_images_are_counted() -> None:
    failed = {**host([None, "MANIFEST_UNKNOWN"]), "__dtr_cache_failure": "x", "__dtr_cache_failed_task": "Pull"}
    assert cells(failed)[0][-1] == "1 of 2 images failed"


def test_a_region_that_failed_before_and_one_that_was_not_reached() -> None:
    early = {"inventory_hostname": "a", "__dtr_cache_failure": "x", "__dtr_cache_failed_task": "Check the settings"}
    assert [row[-1] for row in cells(early, {"inventory_hostname": "b"})] == [
        "failed at: Check the settings",
        "not reached",
    ]
