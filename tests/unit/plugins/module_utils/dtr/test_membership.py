# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who pulls from elsewhere than assignments say."""

from __future__ import annotations

import contextlib
import typing as t

import pytest
from ansible_collections.dtr.cache.plugins.module_utils.common.failure import Failure
from ansible_collections.dtr.cache.plugins.module_utils.dtr.api import DtrApi
from ansible_collections.dtr.cache.plugins.module_utils.dtr.assignments_plan import parse_assignments
from ansible_collections.dtr.cache.plugins.module_utils.dtr.membership import accounts_elsewhere
from ansible_collections.dtr.cache.plugins.module_utils.dtr.model import ContentCache
from ansible_collections.dtr.cache.tests.unit.support.dtr import Dtr
from ansible_collections.dtr.cache.tests.unit.support.transports import connect
from ansible_collections.dtr.cache.tests.unit.support.web import serve

CACHES = [ContentCache("a", "asia", "https://a"), ContentCache("e", "europe", "https://e")]
SETTINGS = {"alice": "a", "bob": "e", "carol": None, "dave": None, "erin": "gone"}
TEAM: t.Any = {"cache": "asia", "teams": ["engineering/core"], "accounts": ["alice"]}


def elsewhere(*assignments: t.Any, others: t.Sequence[t.Any] = ()) -> tuple[dict[str, list[str]], int]:
    """The answer, and how many requests it took beside the users and settings that are known."""
    dtr = Dtr("alice", "bob", "carol", "erin")
    dtr.add_user("dave", isActive=False)
    dtr.add_org("engineering", core=["bob", "carol", "dave", "erin"], other=["alice"])
    with serve(dtr) as site, contextlib.closing(connect(site.url, validate_certs=False)) as transport:
        api = DtrApi(transport)
        users = list(api.users())
        before = len(site.requests)
        wanted, claimed = parse_assignments(assignments), parse_assignments(others)
        found = accounts_elsewhere(api, wanted, claimed, users, SETTINGS, CACHES, 4)
        return found, len(site.requests) - before


def test_new_members_of_a_team() -> None:
    # The inactive pull from nowhere, and a cache that is gone is reported as that.
    assert elsewhere(TEAM, {"cache": "europe", "accounts": []}) == ({"asia": ["bob", "carol"], "europe": []}, 1)


def test_accounts_by_name_take_no_request() -> None:
    found = elsewhere({"cache": "europe", "accounts": ["alice", "bob"]}, {"cache": "local", "accounts": ["carol"]})
    assert found == ({"europe": ["alice"]}, 0)


def test_everyone_is_whom_nobody_else_claims() -> None:
    everyone = {"cache": "europe", "everyone": True}
    assert elsewhere(everyone)[0] == {"europe": ["alice", "carol"]}
    assert elsewhere(everyone, others=[TEAM])[0] == {"europe": []}


def test_a_cache_that_is_not_registered_has_none_of_its_accounts() -> None:
    assert elsewhere({"cache": "oz", "accounts": ["alice"]})[0] == {"oz": ["alice"]}


def test_what_cannot_be_understood_is_said() -> None:
    with pytest.raises(Failure, match="there is no team engineering/none"):
        elsewhere({"cache": "asia", "teams": ["engineering/none"]})
