# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Accounts that are assigned to a cache which no longer exists."""

from __future__ import annotations

import typing as t

from ..dtr.api import DtrApi
from ..dtr.assignments_apply import read_account_settings
from ..dtr.assignments_plan import by_cache, partial_failure, without_vanished
from ..pulling.accounts import declared_accounts

# Accounts whose settings are read at a time.
CONCURRENCY = 16


def dangling_accounts(dtr: DtrApi, declared: t.Mapping[str, t.Any] | None = None) -> list[str]:
    """The active accounts whose cache is gone, of those that C(account_of) declares or of all.

    Raises:
        Failure: C(ACCOUNTS_FAILED) when an account's setting could not be read.
    """
    accounts = dtr.users() if declared is None else declared_accounts(dtr, declared)
    # An account that is assigned to a new cache meanwhile must not seem to have lost its cache: caches are read last.
    settings, failed = read_account_settings(dtr, [each.name for each in accounts if each.is_active], CONCURRENCY)
    failed = without_vanished(failed, ())
    if failed:
        raise partial_failure(failed, "read", {})
    found = t.cast("list[str]", by_cache(settings, dtr.content_caches())["dangling"])
    if declared is None:
        return found
    # Of one that is named, it is not known yet whether it is active.
    return [name for name in found if (account := dtr.account(name)) is None or account.is_active]
