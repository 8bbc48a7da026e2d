# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module cache_health: a session with DTR, the checks, and one result or one failure."""

from __future__ import annotations

import contextlib
import functools
import typing as t

from ansible.module_utils.basic import missing_required_lib

from ..common.failure import Failure
from ..health.dangling import CONCURRENCY, dangling_accounts
from ..health.endpoints import step_of
from ..health.examine import examine
from ..health.login import Session, pulling_of
from ..health.model import Cache, verdict
from ..health.options import asks_dtr, cache_of, check_options, dtr_of
from ..x509 import certificates
from .base import Module
from .of_dtr import DtrSession


def check_health(module: Module) -> dict[str, t.Any]:
    """Check all caches, and fail when one of them is not healthy."""
    params = module.params
    if certificates.CRYPTOGRAPHY_IMPORT_ERROR:
        raise Failure("MISSING_LIBRARY", missing_required_lib("cryptography"))
    check_options(params)
    with contextlib.ExitStack() as stack:
        session = None
        if asks_dtr(params):
            # One answer in the time of a step; what is wrong with the connection, the probes say better than retries.
            once = {"timeout": step_of(params["timeout"]), "retries": 0, "concurrency": CONCURRENCY}
            dtr = stack.enter_context(DtrSession(module, **once))
            session = Session(dtr, params, stack, module.warn, module.no_log_values.update)
        conditions = examine(
            [_cache_of(module, entry, session) for entry in params["caches"]],
            dtr_of(params, session and session.dtr) if params["url"] else None,
            min_days=params["min_days"],
            timeout=params["timeout"],
            wait=params["wait"],
        )
    rows = [condition.row() for condition in conditions]
    sentence = verdict(conditions)
    if sentence is not None:
        raise Failure("UNHEALTHY", sentence, healthy=False, caches=rows)
    return {"changed": False, "healthy": True, "caches": rows}


def _cache_of(module: Module, entry: t.Mapping[str, t.Any], session: Session | None) -> Cache:
    cache = cache_of(module.params, entry)
    if session is None:
        return cache
    dangling = None
    if module.params["check_accounts"] and entry["account_of"]:
        dangling = functools.partial(dangling_accounts, session.dtr, entry["account_of"])
    return cache._replace(pull=pulling_of(session, entry, check_mode=module.check_mode), dangling=dangling)
