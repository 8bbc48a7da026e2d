# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the report of a verification has of each region."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.dtr.cache.plugins.plugin_utils.fleet.reports import verification
from ansible_collections.dtr.cache.tests.unit.support import facts

CHECKS = [
    {"edge": "client->cache", "check": "tcp", "ok": True},
    {"edge": "client->DTR", "check": "registration", "ok": True},
]
PULLS = [{"via_cache": True, "bytes": 9_000_000, "seconds": 0.25}]
PROOF = {"cold": {"seconds": 0.13}, "warm": {"seconds": 0.08, "hit": True}}
WELL: dict[str, t.Any] = {
    "probe": {"caches": [{"healthy": True, "checks": CHECKS, "days_left": 90}]},
    "pull": {"pulls": PULLS, "proof": PROOF},
}


def verified(failure: dict[str, t.Any] | None = None, **changes: t.Any) -> facts.HostFacts:
    settings = {"name": "region-asia", "url": "https://cache"}
    return facts.host("region-asia", settings, in_use={**WELL, **changes}, failure=failure)


def cells(**changes: t.Any) -> tuple[t.Any, ...]:
    (row,) = verification.table([verified(**changes)], False).rows
    return tuple(row.values())


def test_programs_get_numbers_and_lists() -> None:
    (row,) = verification.rows([verified()])
    assert row["pulled"] == {"bytes": 9_000_000, "seconds": 0.25}
    assert row["proof"] == {"cold_seconds": 0.13, "warm_seconds": 0.08, "hit": True}
    assert (row["healthy"], row["wrong"], row["registered"]) == (True, [], True)
    checks = [{**check, "ok": False} for check in CHECKS]
    health = {"caches": [{"healthy": False, "checks": checks, "days_left": None}]}
    (row,) = verification.rows([verified(probe=health)])
    assert (row["healthy"], row["registered"]) == (False, False)
    assert row["wrong"] == ["client->cache tcp", "client->DTR registration"]


def test_a_region_that_is_well() -> None:
    pulled, proof = "9.0 MB in 0.2 s", "miss in 130 ms, hit in 80 ms"
    assert cells() == ("region-asia", "region-asia", "https://cache", "yes", "yes", 90, pulled, proof, "ok")


def test_what_is_wrong_is_named() -> None:
    checks = [{**CHECKS[0], "ok": False}, {**CHECKS[1], "ok": False}]
    health = {"caches": [{"healthy": False, "checks": checks, "days_left": None}]}
    failure = {"task": "Probe", "reason": "x"}
    row = cells(probe=health, pull={}, failure=failure)
    assert row[3:] == ("client->cache tcp, client->DTR registration", "no", None, None, None, "failed at: Probe")


@pytest.mark.parametrize(("ok", "word"), [(True, "yes"), (False, "no"), (None, "?")])
def test_a_registration_that_dtr_did_not_tell_is_unknown(ok: bool | None, word: str) -> None:
    health = {"caches": [{"healthy": True, "checks": [{**CHECKS[1], "ok": ok}], "days_left": 90}]}
    assert cells(probe=health)[4] == word


@pytest.mark.parametrize(("hit", "word"), [(True, "hit"), (None, "again")])
def test_a_hit_is_only_told_when_it_was_seen(hit: bool | None, word: str) -> None:
    proof = {"cold": {"seconds": 1}, "warm": {"seconds": 2, "hit": hit}}
    assert cells(pull={"pulls": PULLS, "proof": proof})[7] == f"miss in 1000 ms, {word} in 2000 ms"


def test_a_failed_pull_shows_nothing_pulled() -> None:
    assert cells(pull={"pulls": [{"via_cache": False, "bytes": 1, "seconds": 1}]})[6] is None


def test_a_region_that_did_not_finish() -> None:
    (row,) = verification.rows([facts.host("manager")])
    assert (row["region"], row["healthy"], row["result"]) == ("manager", None, "did not finish")
