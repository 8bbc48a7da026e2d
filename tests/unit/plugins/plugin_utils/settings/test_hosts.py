# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest
from ansible.errors import AnsibleError
from ansible_collections.dtr.cache.plugins.filter import play_hosts, play_serial
from ansible_collections.dtr.cache.plugins.plugin_utils.settings.hosts import given_too_late
from ansible_collections.dtr.cache.plugins.plugin_utils.settings.variables import vocabulary

GROUPS = {"all": ["asia", "europe"], "ungrouped": [], "caches": ["asia", "europe"]}


def hosts(value: t.Any) -> list[str]:
    return play_hosts.FilterModule().filters()["play_hosts"](value, GROUPS)


def serial(value: t.Any) -> list[int | str]:
    return play_serial.FilterModule().filters()["play_serial"](value)


@pytest.mark.parametrize(
    ("value", "patterns"),
    [
        ("", ["dtr_caches"]),
        ("  ", ["dtr_caches"]),
        (None, ["dtr_caches"]),
        ("asia", ["asia"]),
        (" asia , europe\n", ["asia", "europe"]),
        ('["asia", "europe"]', ["asia", "europe"]),
        (["asia"], ["asia"]),
        ("caches:!asia", ["caches:!asia"]),
        (["caches", "!asia"], ["caches", "!asia"]),
        ("eu*", ["eu*"]),
        ("~eu.*", ["~eu.*"]),
        ("caches[0]", ["caches[0]"]),
        ("all", ["all"]),
        ("localhost", ["localhost"]),
    ],
)
def test_patterns_for_hosts(value: t.Any, patterns: list[str]) -> None:
    assert hosts(value) == patterns


@pytest.mark.parametrize(
    "value", ["azia", "asia, azia", "!azia", ["&azia"], "caches:!azia", "caches:&azia", "azia:asia", "az*", ":"]
)
def test_a_name_that_the_inventory_does_not_have(value: t.Any) -> None:
    with pytest.raises(AnsibleError, match="dtr_cache_hosts: the inventory has no group and no host of the name"):
        hosts(value)


@pytest.mark.parametrize("value", ["null", [], "[", {"a": 1}, ["a\nb"]])
def test_no_patterns(value: t.Any) -> None:
    with pytest.raises(AnsibleError, match=r"^dtr_cache_hosts: "):
        hosts(value)


@pytest.mark.parametrize(
    ("value", "sizes"),
    [
        ("", ["100%"]),
        (1, [1]),
        (" 2 ", [2]),
        ("1, 100%", [1, "100%"]),
        ([1, "50%"], [1, "50%"]),
        ("[1, 5, '100%']", [1, 5, "100%"]),
        ("1%", ["1%"]),
    ],
)
def test_sizes_of_batches(value: t.Any, sizes: list[int | str]) -> None:
    assert serial(value) == sizes


@pytest.mark.parametrize("value", ["0", "x", [], [0], True, 1.5, "200%"])
def test_no_sizes(value: t.Any) -> None:
    with pytest.raises(AnsibleError, match=r"^dtr_cache_serial: "):
        serial(value)


def test_only_the_play_and_extra_variables_count() -> None:
    names = ["dtr_cache_hosts", "dtr_cache_serial"]
    given = dict.fromkeys(names, "1")
    assert [sentence.partition(":")[0] for sentence in given_too_late(given, {}, vocabulary())] == names
    assert given_too_late(given, given, vocabulary()) == []
    assert given_too_late({}, {}, vocabulary()) == given_too_late(dict.fromkeys(names, " "), {}, vocabulary()) == []
    # What the inventory says differently has no effect either.
    assert len(given_too_late(given, {**given, "dtr_cache_serial": "2"}, vocabulary())) == 1
    # Role settings gives its defaults to a host.
    assert given_too_late({name: vocabulary()[name] for name in names}, {}, vocabulary()) == []


def test_they_are_part_of_the_vocabulary() -> None:
    assert {"dtr_cache_hosts", "dtr_cache_serial"} <= set(vocabulary())
