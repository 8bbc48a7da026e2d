# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts with the facts that the steps of a run leave."""

from __future__ import annotations

import typing as t

from ansible_collections.dtr.cache.plugins.plugin_utils.fleet.facts import HostFacts

PLAY = "this play"


def host(
    name: str = "region-asia", settings: dict[str, t.Any] | None = None, *, is_reached: bool = True, **facts: t.Any
) -> HostFacts:
    """A host with facts, C(plan) for C(__dtr_cache_plan); without settings they were never read."""
    known = {f"__dtr_cache_{fact}": value for fact, value in facts.items()}
    checked = {} if settings is None else {"__dtr_cache": {"settings": settings}}
    return HostFacts({"inventory_hostname": name, **checked, **known}, PLAY, is_reached=is_reached)


FAILED = {"task": "Deploy the stack", "reason": "The Swarm has no node worker-3."}
"""The fact of a host at which the run failed."""
