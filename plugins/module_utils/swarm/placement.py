# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Labels of nodes by which services are placed, and the nodes that a cache would share by one. Pure functions."""

from __future__ import annotations

import typing as t

from .model import Raw


def places_by(service: Raw, label: str) -> bool:
    """Whether a service is placed by a label; one that keeps away from it (C(!=)) is not."""
    constraints = (service["Spec"]["TaskTemplate"].get("Placement") or {}).get("Constraints") or []
    return any(constraint.partition("==")[0].strip() == f"node.labels.{label}" for constraint in constraints)


def shared_placement(
    nodes: t.Mapping[str, Raw], wanted: t.Container[str], label: str, others: t.Iterable[Raw], stack: str
) -> str:
    """A sentence where Swarm may place a cache on nodes that it is not to have, as another service needs their label.

    Args:
        nodes: The nodes of the Swarm by their host names.
        wanted: The host names of the nodes that it is to have.
        label: The label of its nodes.
        others: The services that are not this cache's.
        stack: Its stack.
    """
    sharing = sorted(service["Spec"]["Name"] for service in others if label and places_by(service, label))
    shared = sorted(
        name for name, node in nodes.items() if name not in wanted and label in (node["Spec"].get("Labels") or {})
    )
    if not sharing or not shared:
        return ""
    return (
        f"dtr_cache_nodes: Swarm may put the cache on {', '.join(shared)} as well: label {label} is there, and "
        f"{', '.join(sharing)} needs it. Give this cache a label of its own, such as dtr_cache_node_label: "
        f"{label}.{stack}, or name {'this node' if len(shared) == 1 else 'these nodes'} in dtr_cache_nodes"
    )
