# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Replicas of a cache on nodes that it was not to have. Pure functions."""

from __future__ import annotations

import typing as t

Result = t.Mapping[str, t.Any]

HINT = (
    "Another service of the Swarm is placed by the same node label. Give this cache a label of its own with "
    "dtr_cache_node_label, and deploy it."
)


def misplaced(services: t.Iterable[Result], service: str, settings: Result) -> str:
    """A sentence where replicas run on nodes that the variables do not name; empty where none does.

    Args:
        services: What runs, as M(dtr.cache.stack_plan) returns it.
        service: The service that is the cache.
        settings: The region's public settings.
    """
    named = set(settings.get("node_labels") or ())
    running = {node for row in services if row["name"] == service for node in row.get("nodes") or ()}
    elsewhere = sorted(running - named)
    if not elsewhere or not named:
        return ""
    return (
        f"a replica runs on {', '.join(elsewhere)}, which dtr_cache_nodes does not name "
        f"({', '.join(sorted(named))} {'is' if len(named) == 1 else 'are'} named)."
    )
