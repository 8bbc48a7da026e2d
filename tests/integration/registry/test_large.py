# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ten thousand accounts, all of which are found, and none of which is written without need."""

from __future__ import annotations

import pytest

from .conftest import MANY_ACCOUNTS, Json, Registry

ASIA = ("region-asia", "https://cache-asia.example.org")
EUROPE = ("region-europe", "https://cache-europe.example.org")
#: Every hundredth is inactive.
GENERATED = [f"user{number:05d}" for number in range(1, MANY_ACCOUNTS + 1)]
ACTIVE = [name for name in GENERATED if int(name[4:]) % 100]


@pytest.fixture
def registry(large_registry: Registry) -> Registry:
    large_registry.control.reset(data=True)
    large_registry.concurrency = 16
    return large_registry


@pytest.mark.parametrize(
    "behaviours",
    [{"page_limit": 500, "paging_marker": "header"}, {"page_limit": 1000, "paging_stuck": True}],
    ids=["short pages", "a last page that names itself"],
)
def test_everyone_is_found_and_only_who_differs_is_written(registry: Registry, behaviours: Json) -> None:
    caches = {"a1": ASIA, "e1": EUROPE}
    registry.set_up(caches, {**dict.fromkeys(GENERATED, "a1"), "user00007": "e1", "user05000": "gone"})
    registry.control.behave(**behaviours)
    named = ["admin", "alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi"]
    result = registry.run("cache_assignments", assignments=[{"cache": "region-asia", "everyone": True}])
    changed = {change["name"]: change["before"] for change in result["changed_accounts"]}
    assert changed == {**dict.fromkeys(named, "local"), "user00007": "region-europe"}
    assert result["diff"] == [
        {"prepared": "accounts: local -> region-asia: 9; region-europe -> region-asia: user00007\n"}
    ]
    assert result["unchanged"] == len(ACTIVE) - 1
    assert registry.writes() == len(changed)
    assert registry.control.count("GET", "settings") == len(ACTIVE) + len(named) + len(changed)
    assert registry.control.requests()["in_flight_peak"] <= 16


def test_a_cache_goes_after_all_its_accounts_wherever_they_are_in_the_list(registry: Registry) -> None:
    """Inactive ones too: they may come back."""
    held = ["user00001", "user05000", "user10000"]
    registry.set_up({"a1": ASIA}, dict.fromkeys(held, "a1"))
    result = registry.run("content_caches", caches=[{"name": "region-asia", "state": "absent"}])
    assert [account["name"] for account in result["reassigned"]] == held
    assert registry.control.state() == {"content_caches": [], "settings": {}}
    assert [what for what, _subject, _detail in registry.control.journal()] == ["unset"] * 3 + ["delete"]
