# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What DTR knows of its caches and of who pulls from them, as the result of a module."""

from __future__ import annotations

import collections
import typing as t

from ..common.progress import Progress
from ..dtr.assignments_apply import read_all_account_settings
from .base import Module
from .of_dtr import DtrSession


def known_to_dtr(module: Module) -> dict[str, t.Any]:
    """The caches, and by the id of each who pulls from it: the active users by name, the inactive ones by number."""
    params = module.params
    with DtrSession(module) as dtr, Progress(params["progress_path"]) as progress:
        caches = dtr.content_caches()
        users = list(progress.listed(dtr.users()))
        settings = read_all_account_settings(
            dtr, params["concurrency"], progress, so="nothing was written", users=users
        )
    accounts: dict[str, list[str]] = collections.defaultdict(list)
    inactive: dict[str, int] = collections.Counter()
    for user in users:
        cache_id = settings.get(user.name)
        if cache_id and user.is_active:
            accounts[cache_id].append(user.name)
        elif cache_id:
            inactive[cache_id] += 1
    return {
        "changed": False,
        "content_caches": [cache.shown() for cache in caches],
        "accounts": dict(accounts),
        "inactive": dict(inactive),
        "active": sum(user.is_active for user in users),
    }
