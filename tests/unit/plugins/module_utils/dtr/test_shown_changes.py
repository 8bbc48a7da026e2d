# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The diffs of caches and accounts say what differs, in a length that people read."""

from __future__ import annotations

from ansible_collections.dtr.cache.plugins.module_utils.dtr.model import ContentCache
from ansible_collections.dtr.cache.plugins.module_utils.dtr.shown_changes import (
    Way,
    accounts_diff,
    caches_diff,
    numbers,
)

ASIA = ContentCache("1", "asia", "https://asia.example.org")
EUROPE = ContentCache("2", "europe", "https://europe.example.org")


def test_only_caches_that_differ_are_shown() -> None:
    moved = ContentCache("3", "asia", "https://other.example.org")
    (diff,) = caches_diff([ASIA, EUROPE], [EUROPE, moved])
    assert (diff["before"], diff["after"]) == ("asia: https://asia.example.org\n", "asia: https://other.example.org\n")
    # An id alone is no difference that anybody reads, and one of two entries that are alike is one.
    assert caches_diff([ASIA], [ASIA._replace(id="4")]) == []
    assert caches_diff([ASIA, ASIA._replace(id="4")], [ASIA])[0]["after"] == ""


def test_accounts_are_counted_by_their_way_and_a_few_are_named() -> None:
    ways = {f"user{number:03}": Way("local", "asia") for number in range(122)}
    ways["bob"] = Way("europe", "asia")
    assert accounts_diff(ways, whole=False) == [{"prepared": "accounts: local -> asia: 122; europe -> asia: bob\n"}]
    summary, each = accounts_diff(ways, whole=True)
    assert summary == accounts_diff(ways, whole=False)[0]
    assert each["before"].startswith("bob: europe\nuser000: local\n") and each["after"].count(": asia\n") == 123
    assert accounts_diff({}, whole=True) == []
    assert numbers(ways) == [
        {"before": "local", "after": "asia", "count": 122},
        {"before": "europe", "after": "asia", "count": 1},
    ]


def test_as_many_ways_as_there_are_gone_caches_are_too_many() -> None:
    ways = {f"user{number}": Way(f"{number} (dangling)", "local") for number in range(10_000)}
    (diff,) = accounts_diff(ways, whole=False)
    assert len(diff["prepared"]) < 3000 and diff["prepared"].endswith("; and 9,950 more ways\n")


def test_no_name_reaches_the_terminal_as_something_that_it_obeys() -> None:
    odd = "x\x1b[2J\r\u202e\nok: [host]"
    diffs = [*caches_diff([], [ASIA._replace(name=odd)]), *accounts_diff({"bob": Way("local", odd)}, whole=True)]
    shown = "".join(diff.get("prepared", "") + diff.get("before", "") + diff.get("after", "") for diff in diffs)
    assert all(line.isprintable() for line in shown.split("\n"))
    assert "x [2J ok: [host]" in shown


def test_a_password_in_an_address_is_not_shown() -> None:
    by_hand = ASIA._replace(host="https://u:hush@asia.example.org")
    assert caches_diff([], [by_hand])[0]["after"] == "asia: https://asia.example.org\n"
    assert by_hand.shown() == ASIA.shown()
