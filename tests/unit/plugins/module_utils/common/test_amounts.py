# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ten thousand accounts are counted, and a few of them named."""

from __future__ import annotations

import typing as t

from ansible_collections.dtr.cache.plugins.module_utils.common.names import LISTED, bounded, counted, named

MANY = [f"user{number:05}" for number in range(10_000)]


def test_a_sentence_names_a_few() -> None:
    assert named(["alice", "bob"]) == "alice, bob"
    assert named(MANY) == f"{', '.join(MANY[:10])} and 9,990 more"


def test_a_failure_lists_as_much_as_somebody_reads() -> None:
    failed: list[dict[str, t.Any]] = [{"name": name, "code": "X", "message": "x"} for name in MANY]
    result = {"failed_accounts": failed, "changed_accounts": failed[:LISTED], "caches": MANY, "msg": "x" * 1000}
    shown = bounded(result)
    assert shown == {**result, "failed_accounts": failed[:LISTED], "left_out": {"failed_accounts": 10_000 - LISTED}}
    assert (counted(shown, "failed_accounts"), counted(shown, "changed_accounts")) == (10_000, LISTED)
    assert counted({}, "failed_accounts") == 0


def test_what_was_cut_already_is_cut_further() -> None:
    shown = bounded(bounded({"changed_accounts": MANY}), 10)
    assert (shown["changed_accounts"], counted(shown, "changed_accounts")) == (MANY[:10], 10_000)


def test_an_account_whose_cache_nobody_else_knows_stays() -> None:
    lost = [{"name": name, "cache": "asia", "host": "https://asia.example.org"} for name in MANY[:100]]
    failed = [{"name": name} for name in MANY[100:]]
    shown = bounded({"failed_accounts": [*failed, *lost]})
    assert [entry for entry in lost if entry not in shown["failed_accounts"]] == []
    assert (len(shown["failed_accounts"]), counted(shown, "failed_accounts")) == (100 + LISTED, 10_000)
