# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Declaring which content caches DTR knows, as the options of a module say."""

from __future__ import annotations

import typing as t

from ..common.concurrency import failed_accounts
from ..common.failure import Failure
from ..common.progress import Progress
from ..dtr.assignments_apply import read_all_account_settings
from ..dtr.caches_apply import CacheChanger
from ..dtr.caches_plan import CacheStep, duplicate_names, foreseen, parse_caches, plan_caches, plan_moves, report
from ..dtr.model import ContentCache
from .base import Module
from .of_dtr import DtrSession


def declare(module: Module) -> dict[str, t.Any]:
    """Plan, and unless in check mode do it."""
    params = module.params
    wanted = parse_caches(params["caches"])
    with DtrSession(module) as dtr, Progress(params["progress_path"]) as progress:
        current = dtr.content_caches()
        steps = plan_caches(current, wanted, params["purge"])
        _warn(module, current, steps)
        moves = []
        if params["reassign"] and any(step.retired for step in steps):
            moves = plan_moves(steps, read_all_account_settings(dtr, params["concurrency"], progress))
        if module.check_mode:
            return report(current, steps, foreseen(steps, moves), whole=module.is_verbose)
        changer = CacheChanger(dtr, current, params["concurrency"], reassign=params["reassign"], progress=progress)
        try:
            changer.run(steps, moves)
        except Failure as failure:
            failure.result.update(report(current, steps, changer.done))
            unread = failure.result.get("failed_accounts", [])
            failure.result["failed_accounts"] = [*unread, *failed_accounts(changer.failed_moves)]
            raise
        finally:
            for name in changer.doubles:
                module.warn(f"Another run registered {name} at the same moment; one of the two entries was left.")
        return report(current, steps, changer.done, whole=module.is_verbose)


def listed(module: Module) -> dict[str, t.Any]:
    """Read which ones there are."""
    with DtrSession(module) as dtr:
        caches = sorted(dtr.content_caches(), key=lambda cache: (cache.name, cache.host, cache.id))
    return {"content_caches": [cache.shown() for cache in caches], "duplicates": duplicate_names(caches)}


def _warn(module: Module, current: list[ContentCache], steps: list[CacheStep]) -> None:
    planned = {name for step in steps for name in (step.name, *(cache.name for cache in step.retired))}
    for name in duplicate_names(current):
        if name not in planned:
            module.warn(f"DTR has several caches named {name}; declare {name} with its host to keep only that one.")
    if not module.params["reassign"] and any(step.retired for step in steps):
        module.warn("With reassign=false, accounts that pull from a deleted cache keep its id, which names nothing.")
