# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lists of accounts that do not end are given up in words."""

from __future__ import annotations

import pytest
from ansible_collections.dtr.cache.plugins.module_utils.common.failure import Failure
from ansible_collections.dtr.cache.plugins.module_utils.dtr import accounts
from ansible_collections.dtr.cache.plugins.module_utils.dtr.accounts import Accounts
from ansible_collections.dtr.cache.tests.unit.support.dtr import Dtr, reply_json
from ansible_collections.dtr.cache.tests.unit.support.transports import connect
from ansible_collections.dtr.cache.tests.unit.support.web import Reply, Request, serve


class Endless:
    """Page after page, each with accounts of its own or all with the same ones."""

    def __init__(self, *, repeats: bool) -> None:
        self.repeats = repeats
        self.pages = 0

    def __call__(self, _request: Request) -> Reply:
        self.pages += 1
        of_page = 0 if self.repeats else self.pages
        users = [{"name": f"user-{of_page}-{number}"} for number in range(1000)]
        return reply_json({"accounts": users, "nextPageStart": f"page-{self.pages}"})


def test_ever_new_accounts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accounts, "_MOST_ENTRIES", 5000)
    endless = Endless(repeats=False)
    with (
        serve(endless) as site,
        pytest.raises(Failure, match=r"does not end: it was given up after 6000 ent") as raised,
    ):
        list(Accounts(connect(site.url)).users())
    assert (raised.value.code, endless.pages) == ("UNEXPECTED_ANSWER", 6)


def test_ever_the_same_accounts_under_ever_new_starts() -> None:
    endless = Endless(repeats=True)
    with serve(endless) as site:
        assert len(list(Accounts(connect(site.url)).users())) == 1000
    assert endless.pages == 2


def test_pages_that_take_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accounts, "_LONGEST_SECONDS", 0.0)
    dtr = Dtr("alice", "bob")
    dtr.page_limit = 1
    with serve(dtr) as site, pytest.raises(Failure, match="does not end: it was given up after 1 entries in 0 seconds"):
        list(Accounts(connect(site.url)).users())
