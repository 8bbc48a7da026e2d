# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The condition of a cache, in a row and in a sentence."""

from __future__ import annotations

import pytest
from ansible_collections.dtr.cache.plugins.module_utils.health.agreement import deployment_check
from ansible_collections.dtr.cache.plugins.module_utils.health.checks import (
    CACHE_TO_DTR,
    CLIENT_TO_CACHE,
    CLIENT_TO_DTR,
    Check,
)
from ansible_collections.dtr.cache.plugins.module_utils.health.model import Cache, Condition, verdict

ASIA = Cache("region-asia", "https://asia.example.com", None)


class TestVerdict:
    def test_verdict_names_each_cache(self) -> None:
        bad = Check(CLIENT_TO_CACHE, "tcp", False, "port 443 refuses connections.", "Start it.")
        also = Check(CACHE_TO_DTR, "upstream", False, "no.", None)
        conditions = [
            Condition(ASIA, [bad, also]),
            Condition(ASIA._replace(name="region-europe"), [bad._replace(ok=True)]),
            Condition(ASIA._replace(name="region-us"), [also]),
        ]
        assert verdict(conditions) == (
            "2 of 3 caches are not healthy. region-asia: client->cache, tcp: port 443 refuses connections. Start it. "
            "(1 more check failed) region-us: cache->DTR, upstream: no."
        )
        assert verdict(conditions[1:2]) is None
        assert verdict(conditions[2:]) == "The cache is not healthy. region-us: cache->DTR, upstream: no."


@pytest.mark.parametrize(
    ("check", "serves"),
    [
        (Check(CLIENT_TO_CACHE, "tcp", False, "refused."), False),
        (Check(CLIENT_TO_CACHE, "validity", False, "expires in 3 days.", None, True), True),
        (deployment_check(ASIA, []), True),
        (Check(CACHE_TO_DTR, "upstream", False, "503."), True),
        (Check(CLIENT_TO_DTR, "registration", False, "none."), True),
    ],
)
def test_what_keeps_clients_from_an_answer(check: Check, serves: bool) -> None:
    row = Condition(ASIA, [Check(CLIENT_TO_CACHE, "name_resolution", True, "fine"), check]).row()
    assert (row["healthy"], row["serves"]) == (False, serves)
    assert set(row["checks"][1]) == {"edge", "check", "ok", "detail", "hint"}
