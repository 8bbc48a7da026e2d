# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why blobs do not come through a cache."""

from __future__ import annotations

import pytest
from ansible_collections.dtr.cache.plugins.module_utils.common.failure import Failure
from ansible_collections.dtr.cache.plugins.module_utils.common.urls import origin_of
from ansible_collections.dtr.cache.plugins.module_utils.dtr.model import ContentCache
from ansible_collections.dtr.cache.plugins.module_utils.pulling.likely_cause import likely_cause, registered_origins

CACHES = [
    ContentCache("id-1", "region-asia", "https://Asia.example.com:443/"),
    ContentCache("id-2", "region-europe", "https://europe.example.com"),
    ContentCache("id-3", "region-asia", "https://asia-2.example.com"),
]


class TestRegisteredOrigins:
    def test_by_name_every_entry(self) -> None:
        origins = registered_origins("region-asia", CACHES)
        assert list(map(str, origins)) == ["https://asia.example.com", "https://asia-2.example.com"]

    def test_by_url(self) -> None:
        assert registered_origins("https://asia.example.com", CACHES) == [origin_of("https://asia.example.com")]

    @pytest.mark.parametrize("cache", ["region-mars", "https://mars.example.com", "asia.example.com"])
    def test_unknown_names_the_known(self, cache: str) -> None:
        with pytest.raises(Failure, match=r"region-europe \(https://europe\.example\.com\)") as caught:
            registered_origins(cache, CACHES)
        assert caught.value.code == "NO_SUCH_CONTENT_CACHE"


class TestLikelyCause:
    @pytest.mark.parametrize(
        ("setting", "told"),
        [
            (None, "is not assigned to any cache"),
            ("id-9", "no longer exists (id id-9)"),
            ("id-2", "is assigned to the cache region-europe"),
            ("id-1", "which answers from here, and DTR still serves the blobs another way"),
        ],
    )
    def test_by_the_setting(self, setting: str | None, told: str) -> None:
        assert told in likely_cause("alice", setting, CACHES, [origin_of("https://asia.example.com")])

    def test_a_cache_that_is_down_is_looked_at_where_the_setting_is_right(self) -> None:
        asked: list[int] = []

        def trouble() -> str:
            asked.append(1)
            return "It is down."

        told = [
            likely_cause("alice", setting, CACHES, [origin_of("https://asia.example.com")], trouble)
            for setting in ("id-1", "id-2", "id-9", None)
        ]
        step_in = "and DTR may step in for a cache that is down. It is down."
        assert told[0] == f"Account alice is assigned to the cache region-asia, {step_in}"
        assert asked == [1]
