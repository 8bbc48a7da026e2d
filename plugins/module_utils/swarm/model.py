# Copyright: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is known of a Swarm, in the Engine API's own shapes, however it was read."""

from __future__ import annotations

import dataclasses
import typing as t

NAMESPACE_LABEL = "com.docker.stack.namespace"
NOT_A_MANAGER = "NOT_A_MANAGER"
# The Engine's socket is not there, or nobody may use it or listens to it.
NO_ENGINE = "NO_ENGINE"

Raw = t.Mapping[str, t.Any]


@dataclasses.dataclass(frozen=True)
class Swarm:
    """What was read of a Swarm, in the Engine API's own shapes, keyed by the names that people use."""

    nodes: dict[str, dict[str, t.Any]]  # by host name
    services: dict[str, dict[str, t.Any]]  # of one stack, by name without the stack's
    other_services: list[dict[str, t.Any]]  # of all other stacks, and of none
    configs: dict[str, dict[str, t.Any]]  # by name
    secrets: dict[str, dict[str, t.Any]]  # by name
    networks: dict[str, dict[str, t.Any]]  # of one stack, by name


@dataclasses.dataclass(frozen=True)
class Moment:
    """What one observation of a stack showed, in the Engine API's shapes."""

    services: t.Mapping[str, Raw]
    tasks: t.Sequence[Raw]
    nodes: t.Mapping[str, Raw]  # by id


def by_host_name(nodes: t.Iterable[dict[str, t.Any]]) -> dict[str, dict[str, t.Any]]:
    """Nodes by their host names; of several with one name the ready one: who joins again leaves one that is down."""
    ready_last = sorted(nodes, key=lambda node: str(node["Status"]["State"]) == "ready")
    return {node["Description"]["Hostname"]: node for node in ready_last}
