# Copyright: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tables that people read: columns of equal width, and a mark where there is nothing to say."""

from __future__ import annotations

from ansible_collections.dtr.cache.plugins.filter.table import table


def test_columns_are_as_wide_as_their_widest_cell() -> None:
    assert table([{"region": "asia", "accounts": 12}, {"region": "south-america", "accounts": 7}]) == [
        "region         accounts",
        "-------------  --------",
        "asia           12",
        "south-america  7",
    ]


def test_nothing_is_a_dash_and_a_list_is_joined() -> None:
    assert table([{"a": None, "b": "", "c": [], "d": ["x", "y"], "e": 0}])[2].split("  ") == [
        "-",
        "-",
        "-",
        "x, y",
        "0",
    ]


def test_no_rows_give_no_table() -> None:
    assert table([]) == []
