# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What only DTR can say of a run before anything is changed: a part of the preflight, on the control node."""

from __future__ import annotations

import typing as t

from ..pulling.prerequisites import CONCURRENCY, Wanted, registry_findings
from .base import Module
from .of_dtr import DtrModule, DtrSession
from .of_pulls import ACCOUNT_OF
from .options import ASSIGNMENTS

_TEXT = {"type": "str", "default": ""}


def find(module: Module) -> dict[str, t.Any]:
    """Ask, and return what stands against the run."""
    params = module.params
    wanted = Wanted(
        username=params["username"] or "",
        registers=params["registers"],
        removes=params["removes"],
        former_names=params["former_names"],
        assignments=params["assignments"] or {},
        pulls_of=params["pulls_of"] or {},
        **{
            name: params[name]
            for name in (
                *("cache", "cache_url", "others", "pull_account", "warms", "image", "repository"),
                *("asks_version", "cache_image"),
            )
        },
    )
    session = DtrSession(module, concurrency=CONCURRENCY)
    with session as dtr:
        findings = registry_findings(dtr, session.transport, wanted)
    for warning in findings.warnings:
        module.warn(warning)
    registered = [{"name": each.name, "host": each.host} for each in findings.registered]
    return {"problems": findings.problems, "version": findings.version, "registered": registered}


PREREQUISITES = DtrModule(
    find,
    {
        "registers": {"type": "bool", "default": False},
        "asks_version": {"type": "bool", "default": False},
        "removes": {"type": "bool", "default": False},
        "former_names": {"type": "list", "elements": "str", "default": []},
        "assignments": ACCOUNT_OF,
        "others": {**ASSIGNMENTS, "default": []},
        "pulls_of": ACCOUNT_OF,
        "warms": {"type": "bool", "default": False},
        **dict.fromkeys(("cache", "cache_url", "pull_account", "image", "repository", "cache_image"), _TEXT),
    },
)
"""The questions, in the form of a module."""
