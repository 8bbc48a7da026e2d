# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Mappings and lists in every form in which they may come."""

from __future__ import annotations

import datetime
import json
import typing as t

import pytest
from ansible_collections.dtr.cache.plugins.module_utils.common.failure import Failure
from ansible_collections.dtr.cache.plugins.plugin_utils.settings.structures import (
    as_items,
    entries,
    is_structure,
    parsed,
    plain,
)


class Text(str):
    """As ansible-core marks where a text came from."""


def test_marks_of_ansible_go_at_any_depth() -> None:
    value = plain({Text("a"): [Text("b"), (1, 2.5, True, None)], "c": Text("d")})
    assert value == {"a": ["b", [1, 2.5, True, None]], "c": "d"}
    assert {type(key) for key in value} == {type(value["a"][0])} == {str}


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ({1: "a"}, "has the key 1, which is not text; put it in quotes"),
        ({"a": {True: "b"}}, "has the key True, which is not text"),
        ([{None: "b"}], "has the key None, which is not text"),
        (datetime.date(2026, 1, 31), "holds a value of the kind date; put it in quotes"),
        ({"a": b"bytes"}, "holds a value of the kind bytes"),
        ("a\0b", "holds a byte that is not text"),
        (["\udcff"], "holds a byte that is not text"),
        ({"a": float("inf")}, "holds a number that is none"),
        (float("nan"), "holds a number that is none"),
    ],
)
def test_what_no_variable_can_hold(value: t.Any, sentence: str) -> None:
    with pytest.raises(Failure, match=sentence):
        plain(value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": {"b": [1, true, null, "\\ud83d\\ude00"]}}', {"a": {"b": [1, True, None, "😀"]}}),
        ("a:\n  b: [1, true]\n", {"a": {"b": [1, True]}}),
        ("{a: b, 'c': d}", {"a": "b", "c": "d"}),
        ("- a\n- b: c", ["a", {"b": "c"}]),
        ("a: [0, -1, 10, 0.5, -1.25, '010', x1]", {"a": [0, -1, 10, 0.5, -1.25, "010", "x1"]}),
        ("plain", "plain"),
    ],
)
def test_json_and_yaml(text: str, value: t.Any) -> None:
    assert parsed(text) == value


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('{"hush": "hush"', "is neither JSON nor YAML that can be read: something is missing at its end"),
        ("a: b\n c: hush", "is neither JSON nor YAML that can be read: line 2, column 3"),
        ("a: !hush b", "is neither JSON nor YAML that can be read: line 1, column 4"),
        ("a: \x07hush", "is neither JSON nor YAML that can be read: character 4"),
        ("a: &hush [*hush]", "must not use YAML's aliases"),
        ('{"hush": 1, "hush": 2}', "names a key twice"),
        ("hush: 1\nhush: 2", "names a key twice"),
        *(
            (f"a: [{number}]", "line 1, column 5 is a number in a form that YAML changes")
            for number in ("00123", "1:30", "12:30:45", "1_000", "0x1F", "0b1", "+1", ".5", "1.0e+3", ".nan", "-.inf")
        ),
        ('{"a": 1e999}', "holds a number in another form than 1 or 1.5"),
        ('{"a": 1e3}', "holds a number in another form than 1 or 1.5"),
        ('{"a": NaN}', "holds a number that is none"),
        ("{1: hush}", "has the key 1, which is not text"),
        ("a: 2026-01-31", "holds a value of the kind date"),
        ("[" * 100_000, "is nested too deeply"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_place_and_not_shown(text: str, sentence: str) -> None:
    with pytest.raises(Failure) as raised:
        parsed(text)
    assert raised.value.message.startswith(sentence)
    assert "hush" not in raised.value.message


@pytest.mark.parametrize(
    ("text", "structured"),
    [
        ('{"a": 1}', True),
        ("[a]", True),
        ("- a", True),
        ("driver: local", True),
        ('"driver": local', True),
        ("driver:\n  x", True),
        ("/srv/cache", False),
        ("cache-data", False),
        ("a/b:1.0, a/c:2", False),
        ("[2001:db8::1]:8443", False),
        ("-a", False),
    ],
)
def test_which_text_is_meant_as_a_structure(text: str, structured: bool) -> None:
    assert is_structure(text) is structured


@pytest.mark.parametrize(
    "value",
    [
        ["a", "b", "3"],
        ("a", "b", "3"),
        ["a ", "", " ", "b", "3"],
        "a, b,3",
        " a\nb\n\n3\n",
        json.dumps(["a", "b", "3"]),
        "- a\n- b\n- '3'",
        "[a, b, '3']",
    ],
)
def test_one_list_in_every_form(value: t.Any) -> None:
    assert as_items(value) == ["a", "b", "3"]


@pytest.mark.parametrize("value", [None, "", "  ", [], ["", " "], "[]", ","])
def test_an_empty_list(value: t.Any) -> None:
    assert as_items(value) == []


@pytest.mark.parametrize(
    "value", [{"a": 1}, '{"a": 1}', [["a"]], [{"a": 1}], [False], [3], [None], "[3]", "[no]", "[a"]
)
def test_what_is_no_list_of_texts(value: t.Any) -> None:
    with pytest.raises(Failure):
        as_items(value)


def test_a_mapping_alone_is_a_list_of_one() -> None:
    assert entries({"a": 1}) == entries([{"a": 1}]) == entries('{"a": 1}') == entries("- a: 1") == [{"a": 1}]


def test_the_order_of_keys_says_nothing() -> None:
    assert json.dumps(plain({"b": {"d": 1, "c": 2}, "a": 3})) == json.dumps(parsed('{"a": 3, "b": {"c": 2, "d": 1}}'))
