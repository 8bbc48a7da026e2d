# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the reports of backups have of each DTR."""

from __future__ import annotations

import typing as t

from ansible_collections.dtr.cache.plugins.plugin_utils.fleet.reports import backups
from ansible_collections.dtr.cache.tests.unit.support import facts

ONE = {"name": "region-asia", "registry_url": "https://one.example.org", "backup_file": "/b/one.json"}
OTHER = {"name": "region-oz", "registry_url": "https://other.example.org", "backup_file": "/b/other.json"}
SKIPPED = {"changed": False, "skipped": True}


def cells(rows: list[dict[str, t.Any]]) -> list[tuple[t.Any, ...]]:
    return [tuple(row.values()) for row in rows]


def test_one_row_a_dtr() -> None:
    done = {"counts": {"region-asia": 30, "local": 6}, "total": 37, "dangling_count": 1}
    hosts = [facts.host("a", ONE, backup=done), facts.host("b", ONE, backup=SKIPPED), facts.host("c", OTHER)]
    assert cells(backups.rows(hosts)) == [
        ("https://one.example.org", 1, 36, "/b/one.json", "ok"),
        ("https://other.example.org", None, None, "/b/other.json", "no result"),
    ]


def test_what_was_changed_is_counted_once() -> None:
    caches: dict[str, t.Any] = {"content_caches": [], "created": [{}], "replaced": [{}, {}], "reassigned": [{}]}
    done = {"ways": [{"before": "x", "after": "y", "count": 1}]}
    host = facts.host("a", ONE, restored_caches=caches, restored=done)
    assert cells(backups.restored_rows([host]))[0][1:3] == (3, 2)
    assert "accounts would change" in backups.restored_table([host], True).lines(200)[0]


def test_why_it_failed() -> None:
    failed = facts.host("a", ONE, backup={"failed": True, "msg": "no"}, failure=facts.FAILED)
    assert cells(backups.rows([failed]))[0][-1] == "failed at: Deploy the stack"
    assert backups.table([failed], False).lines(200)[-1].strip() == facts.FAILED["reason"]
