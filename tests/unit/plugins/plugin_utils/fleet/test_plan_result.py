# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a cache that moves to another DTR leaves at the one before."""

from __future__ import annotations

import json
import shlex
import typing as t

import pytest
from ansible_collections.dtr.cache.plugins.plugin_utils.fleet.plan_result import left_behind

NEW = {"name": "region-asia", "dtr": "https://new.example.org", "upstreams": []}
OLD = "https://old.example.org"


@pytest.mark.parametrize(
    ("replaced", "changes", "beginning"),
    [
        (
            {"registry": OLD, "upstreams": []},
            {},
            f"region-asia was a cache of the DTR {OLD} and is now one of https://n",
        ),
        ({"registry": OLD, "upstreams": ["https://new.example.org"]}, {}, "region-asia was a cache of the DTR"),
        (
            {"registry": "", "upstreams": ["https://old.example.org:443"]},
            {},
            f"region-asia has pulled from {OLD} and is now one of https://new.example.org. If that is another DTR, ",
        ),
        # The same DTR in another spelling, or with other caches in between.
        ({"registry": "", "upstreams": ["https://NEW.example.org:443"]}, {}, None),
        ({"registry": NEW["dtr"], "upstreams": ["https://cache.example.org"]}, {}, None),
        ({"registry": "", "upstreams": [OLD]}, {"upstreams": ["https://OLD.example.org:443"]}, None),
        ({"registry": "", "upstreams": []}, {}, None),
        (None, {}, None),
        ({"registry": OLD, "upstreams": []}, {"dtr": ""}, None),
    ],
)
def test_another_dtr_is_told(replaced: t.Any, changes: dict[str, t.Any], beginning: str | None) -> None:
    told = left_behind(replaced, {**NEW, **changes})
    assert told is None if beginning is None else str(told).startswith(beginning)


def test_a_dtr_that_has_only_another_address_is_not_to_be_cleaned_up() -> None:
    """The command would take the registration that the cache has just got."""
    told = str(left_behind({"registry": OLD, "upstreams": []}, NEW))
    assert "If that is another DTR, and not the same one under another address: Its entry region-asia" in told


def test_all_names_are_cleaned_up() -> None:
    told = str(left_behind({"registry": OLD, "upstreams": []}, {**NEW, "former_names": ["asia", "bob's"]}))
    assert "Its entry region-asia or asia or bob's and the accounts" in told
    arguments = shlex.split(told[told.index("ansible localhost") :].partition(" resets ")[0])[-1]
    assert json.loads(arguments) == {
        "caches": [{"name": "region-asia", "state": "absent", "former_names": ["asia", "bob's"]}]
    }
