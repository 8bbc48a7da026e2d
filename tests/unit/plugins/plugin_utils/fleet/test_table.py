# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tables that people read: columns of equal width, and a mark where there is nothing to say."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.dtr.cache.plugins.plugin_utils.fleet.table import Table, size_words, wrapped


def table(rows: list[dict[str, t.Any]], width: int = 200) -> list[str]:
    return Table(rows).lines(width)


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


ROWS = [
    {"region": "asia", "url": "https://cache-asia.example.org:443", "changed": "3 secrets, 1 service", "result": "ok"},
    {"region": "europe", "url": "https://cache-europe.example.org:443", "changed": "nothing", "result": "ok"},
]


def test_where_it_is_too_wide_the_address_goes_first() -> None:
    assert table(ROWS, 80) == [
        "region  url                                   changed               result",
        "------  ------------------------------------  --------------------  ------",
        "asia    https://cache-asia.example.org:443    3 secrets, 1 service  ok",
        "europe  https://cache-europe.example.org:443  nothing               ok",
    ]
    assert table(ROWS, 73) == [
        "region  changed               result",
        "------  --------------------  ------",
        "asia    3 secrets, 1 service  ok",
        "europe  nothing               ok",
    ]


def test_next_what_changed_comes_into_a_line_of_its_own() -> None:
    assert table(ROWS, 35) == [
        "region  result",
        "------  ------",
        "asia    ok",
        "  changed: 3 secrets, 1 service",
        "europe  ok",
    ]


def test_a_heading_can_be_another_one() -> None:
    renamed = Table(ROWS, headings={"changed": "would change"})
    assert "  would change  " in renamed.lines(200)[0]
    assert "  would change: 3 secrets, 1" in renamed.lines(35)


def test_notes_follow_their_row_in_lines_of_the_width() -> None:
    noted = Table(ROWS, [[], ["The DTR answered 500\n  to the request of europe."]])
    assert noted.lines(35)[-2:] == ["  The DTR answered 500", "  to the request of europe."]


def test_a_note_of_several_rows_follows_once_with_their_names() -> None:
    lines = Table(ROWS, [["- it is down", "own"], ["- it is down"]]).lines(200)
    assert (lines[-1], lines[3].strip()) == (f"{ROWS[0]['region']}, {ROWS[1]['region']}: it is down", "own")
    assert sum("it is down" in line for line in lines) == 1


def test_the_narrowest_has_a_line_for_each_cell() -> None:
    rows = [{**row, "nodes": [f"worker-{number}" for number in range(9)]} for row in ROWS]
    lines = table(rows, 30)
    assert max(map(len, lines)) <= 30
    assert lines[:2] == ["asia", "  changed: 3 secrets, 1"]
    assert not any("nothing" in line or "https" in line for line in lines)


@pytest.mark.parametrize("width", [1, 20, 40])
def test_no_line_is_wider_than_a_narrow_terminal(width: int) -> None:
    assert max(map(len, Table(ROWS, [["x" * 99], ["y"]]).lines(width))) <= max(width, 20)


def test_a_text_keeps_its_indentation() -> None:
    assert wrapped("     Do: deploy it with dtr.cache.deploy.", 24) == [
        "     Do: deploy it with",
        "     dtr.cache.deploy.",
    ]
    assert wrapped("", 24) == [""]


def test_the_caches_name_is_shown_where_it_differs_from_the_regions() -> None:
    same = {"region": "asia", "cache": "asia", "result": "ok"}
    unknown = {"region": "oz", "cache": None, "result": "did not finish"}
    assert table([same, unknown])[0] == "region  result"
    other = {"region": "manager-1", "cache": "europe", "result": "ok"}
    assert table([same, other]) == [
        "region     cache   result",
        "---------  ------  ------",
        "asia       asia    ok",
        "manager-1  europe  ok",
    ]


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (99_940, "99.9 kB"),
        (99_950, "100 kB"),
        (999_600, "1.0 MB"),
        (10**16, "10000 TB"),
    ],
)
def test_sizes(size: int, words: str) -> None:
    assert size_words(size) == words
