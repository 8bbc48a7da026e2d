# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether Swarm, DTR and the accounts' settings agree on where a cache is."""

from __future__ import annotations

import pytest
from ansible_collections.dtr.cache.plugins.module_utils.common.failure import Failure
from ansible_collections.dtr.cache.plugins.module_utils.dtr.model import ContentCache
from ansible_collections.dtr.cache.plugins.module_utils.health.agreement import (
    assignment_checks,
    deployment_check,
    read_only_checks,
    registration_checks,
)
from ansible_collections.dtr.cache.plugins.module_utils.health.checks import (
    CLIENT_TO_CACHE,
)
from ansible_collections.dtr.cache.plugins.module_utils.health.model import Cache

ASIA = Cache("region-asia", "https://asia.example.com", None)


def registered(*entries: tuple[str, str]) -> list[ContentCache]:
    return [ContentCache(str(number), name, host) for number, (name, host) in enumerate(entries)]


class TestRegistration:
    @pytest.mark.parametrize("host", ["https://asia.example.com", "https://ASIA.example.com:443/"])
    def test_as_it_should_be(self, host: str) -> None:
        (check,) = registration_checks(ASIA, registered(("region-asia", host), ("other", "https://other")))
        assert check.ok

    def test_another_name_for_it_is_told(self) -> None:
        (check,) = registration_checks(ASIA, registered(("region-asia", ASIA.url), ("old-asia", ASIA.url)))
        assert check.ok
        assert check.detail.endswith(", as is old-asia")

    @pytest.mark.parametrize(
        ("entries", "told"),
        [
            ([], "no content cache named region-asia"),
            ([("region-asia", "https://old.example.com")], "DTR sends to https://old.example.com, which is not"),
            ([("region-asia", "not a url:x")], "which is not"),
            ([("region-asia", ASIA.url), ("region-asia", ASIA.url)], "2 content caches named region-asia"),
        ],
    )
    def test_wrong(self, entries: list[tuple[str, str]], told: str) -> None:
        (check,) = registration_checks(ASIA, registered(*entries))
        assert not check.ok
        assert told in check.detail
        assert "dtr.cache.content_caches" in (check.hint or "")

    def test_not_readable(self) -> None:
        unknown, check = registration_checks(ASIA, Failure("HTTP_503", "Refused.", hint="Check the password."))
        assert (unknown.check, unknown.ok, check.check, check.ok) == ("registration", None, "answers", False)
        assert (check.detail, check.hint) == ("the registered caches cannot be read: Refused.", "Check the password.")


class TestDeployment:
    @pytest.mark.parametrize(
        ("published", "told", "hint"),
        [
            ([], "the Swarm has no stack that publishes this cache", "dtr.cache.deploy"),
            ([4443, 80], "clients are sent to port 443, and the stack publishes 4443, 80", "dtr_cache_port"),
        ],
    )
    def test_wrong(self, published: list[int], told: str, hint: str) -> None:
        check = deployment_check(ASIA, published)
        assert (check.edge, check.check, check.ok) == (CLIENT_TO_CACHE, "deployment", False)
        assert told in check.detail
        assert hint in (check.hint or "")

    def test_right(self) -> None:
        assert deployment_check(ASIA, [443, 80]).ok

    def test_what_stands_before_the_cache_may_have_another_port(self) -> None:
        behind = ASIA._replace(port=8443)
        right = deployment_check(behind, [8443])
        expected = "clients are sent to port 443, which what stands before the cache has to bring to port 8443"
        assert (right.ok, right.detail) == (True, f"the stack publishes port 8443, and {expected}")
        wrong = deployment_check(behind, [443])
        assert (wrong.ok, wrong.detail) == (False, f"{expected}, and the stack publishes 443.")


class TestStateOfDtr:
    @pytest.mark.parametrize("read_only", [None, Failure("HTTP_500", "No.")])
    def test_nothing_is_said_of_what_is_not_known(self, read_only: Failure | None) -> None:
        assert read_only_checks(read_only) + assignment_checks(None) == []

    def test_all_is_well(self) -> None:
        checks = read_only_checks(False) + assignment_checks([])
        assert [(check.check, check.ok) for check in checks] == [("read_only", True), ("assignments", True)]

    def test_few_and_many_lost_accounts(self) -> None:
        (few,) = assignment_checks(["alice"])
        assert not few.ok
        assert few.detail == "assigned to a cache that no longer exists: alice."
        (many,) = assignment_checks([f"u{number}" for number in range(12)])
        assert many.detail.endswith("u8, u9 and 2 more.")

    def test_settings_that_cannot_be_read(self) -> None:
        unknown, check = assignment_checks(Failure("NOT_AUTHORIZED", "Not an administrator.", hint="Be one."))
        assert (unknown.check, unknown.ok, check.ok, check.hint) == ("assignments", None, False, "Be one.")
        assert "cannot be read: Not an administrator" in check.detail
