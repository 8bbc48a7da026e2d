# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Access tokens that live as long as one task."""

from __future__ import annotations

import datetime

import pytest
from ansible_collections.dtr.cache.plugins.module_utils.common.failure import Failure
from ansible_collections.dtr.cache.plugins.module_utils.dtr.api import DtrApi
from ansible_collections.dtr.cache.plugins.module_utils.dtr.model import ApiToken, ListedToken
from ansible_collections.dtr.cache.plugins.module_utils.dtr.tokens import forgotten, temporary_token

NOW = datetime.datetime(2026, 5, 4, 12, tzinfo=datetime.timezone.utc)


class FakeDtrApi(DtrApi):
    """Keeps access tokens in a set."""

    def __init__(self, failure: Failure | None = None) -> None:
        self.tokens: set[str] = set()
        self.failure = failure
        self.listed: list[ListedToken] = []

    def api_tokens(self, username: str) -> tuple[list[ListedToken], datetime.datetime]:
        assert username == "alice"
        return self.listed, NOW

    def create_api_token(self, username: str, label: str) -> ApiToken:
        assert label.startswith("dtr.cache.cache_pull ")
        self.tokens.add(username)
        return ApiToken("secret", username)

    def delete_api_token(self, hashed_token: str) -> None:
        if self.failure:
            raise self.failure
        self.tokens.remove(hashed_token)


class TestTemporaryToken:
    def test_deleted_at_the_end(self) -> None:
        dtr = FakeDtrApi()
        with temporary_token(dtr, "alice", pytest.fail) as token:
            assert token == "secret"
            assert dtr.tokens == {"alice"}
        assert dtr.tokens == set()

    def test_deleted_after_a_failure(self) -> None:
        dtr = FakeDtrApi()
        with pytest.raises(RuntimeError), temporary_token(dtr, "alice", pytest.fail):
            raise RuntimeError
        assert dtr.tokens == set()

    def test_one_that_stays_is_told_without_its_secret(self) -> None:
        warnings: list[str] = []
        dtr = FakeDtrApi(Failure("TIMEOUT", "No answer."))
        with temporary_token(dtr, "alice", warnings.append):
            pass
        (warning,) = warnings
        assert "of account alice was not deleted: No answer." in warning
        assert "secret" not in warning


class TestForgotten:
    @pytest.mark.parametrize(
        ("label", "hours", "gone"),
        [
            ("dtr.cache.cache_pull 1a2b", 25, True),
            ("dtr.cache.cache_pull 1a2b", 23, False),
            ("dtr.cache.cache_pull 1a2b", -1, False),
            ("dtr.cache.cache_pulls", 25, False),
            ("alice's laptop", 9999, False),
            ("", 9999, False),
        ],
    )
    def test_only_old_ones_of_this_collection(self, label: str, hours: int, gone: bool) -> None:
        token = ListedToken("hash", label, NOW - datetime.timedelta(hours=hours))
        assert forgotten([token], NOW) == ([token] if gone else [])

    def test_one_of_unknown_age_stays(self) -> None:
        assert forgotten([ListedToken("hash", "dtr.cache.cache_pull 1a2b", None)], NOW) == []

    def test_deleted_before_a_new_one_is_made(self) -> None:
        dtr = FakeDtrApi()
        dtr.listed = [ListedToken("old", "dtr.cache.cache_pull 1a2b", NOW - datetime.timedelta(days=2))]
        dtr.tokens.add("old")
        with temporary_token(dtr, "alice", pytest.fail):
            assert dtr.tokens == {"alice"}
