# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From which cache many accounts pull, read side by side."""

from __future__ import annotations

import typing as t

from ..common.concurrency import failed_accounts, fan_out
from ..common.failure import Failure
from ..common.progress import UNREPORTED, Progress
from ..common.vocabulary import word
from .api import DtrApi
from .model import Account, is_vanished


def read_account_settings(
    dtr: DtrApi, accounts: t.Collection[str], concurrency: int, progress: Progress = UNREPORTED
) -> tuple[dict[str, str | None], dict[str, Failure]]:
    """The cache ids of the accounts, and the accounts that could not be read."""
    read = progress.counted("read", len(accounts), dtr.user_cache)
    results = fan_out(read, accounts, concurrency, dtr.hopeless)
    return results.done, results.failed


def read_all_account_settings(
    dtr: DtrApi,
    concurrency: int,
    progress: Progress = UNREPORTED,
    *,
    so: str = "nothing was changed",
    users: t.Iterable[Account] | None = None,
) -> dict[str, str | None]:
    """The cache of every user, active or not: inactive ones may come back.

    Args:
        dtr: DTR.
        concurrency: The most requests at a time.
        progress: Where to report how far it got.
        so: What follows for the task when a setting cannot be read.
        users: The users, where they are known already.

    Raises:
        Failure: C(SETTINGS_UNREADABLE) when it cannot be said of every user. Users who vanish meanwhile do not count.
    """
    listed = progress.listed(dtr.users()) if users is None else users
    names = [account.name for account in listed]
    settings, failed = read_account_settings(dtr, names, concurrency, progress)
    unread = {name: failure for name, failure in failed.items() if not is_vanished(failure)}
    if unread:
        name, failure = next(iter(unread.items()))
        raise Failure(
            "SETTINGS_UNREADABLE",
            f"The settings of {len(unread)} accounts could not be read, so {so}; "
            f"the first is {name}: {failure.message}",
            http_status=failure.http_status,
            url=failure.url,
            hint=failure.hint or f"{word('again')}.",
            failed_accounts=failed_accounts(unread),
        )
    return settings
