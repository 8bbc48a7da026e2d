# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is known of a Swarm, in the Engine API's own shapes, however it was read."""

from __future__ import annotations

import dataclasses
import typing as t

NAMESPACE_LABEL = "com.docker.stack.namespace"
# Where docker stack deploy notes the image of the definition.
IMAGE_LABEL = "com.docker.stack.image"
# Of a service that only tries a deployment; its value is the stack of the cache.
TRIAL_LABEL = "dtr.cache.trial"
NOT_A_MANAGER = "NOT_A_MANAGER"
# The Engine's socket is not there, or nobody may use it or listens to it.
NO_ENGINE = "NO_ENGINE"

Raw = t.Mapping[str, t.Any]


class FormerStack(t.NamedTuple):
    """A stack that was this cache before: its services by name without the stack's, its networks by name."""

    services: t.Mapping[str, t.Any]
    networks: t.Mapping[str, t.Any]


@dataclasses.dataclass(frozen=True)
class Swarm:
    """What was read of a Swarm, in the Engine API's own shapes, keyed by the names that people use."""

    nodes: dict[str, dict[str, t.Any]]  # by host name
    services: dict[str, dict[str, t.Any]]  # of one stack, by name without the stack's
    other_services: list[dict[str, t.Any]]  # of all stacks but these and former ones, and of none
    configs: dict[str, dict[str, t.Any]]  # by name
    secrets: dict[str, dict[str, t.Any]]  # by name
    networks: dict[str, dict[str, t.Any]]  # of one stack, by name
    tasks: t.Sequence[Raw] = ()  # of one stack, also those that have ended, as far as Swarm remembers them
    former: t.Mapping[str, FormerStack] = dataclasses.field(default_factory=dict)  # by the stack's name
    network_names: t.Mapping[str, str] | None = None  # of all networks, by id; None where nobody has asked


@dataclasses.dataclass(frozen=True)
class Moment:
    """What one observation of a stack showed, in the Engine API's shapes."""

    services: t.Mapping[str, Raw]
    tasks: t.Sequence[Raw]
    nodes: t.Mapping[str, Raw]  # by id
    former: t.Sequence[tuple[Raw, t.Sequence[Raw]]] = ()  # services that this stack replaces, each with its tasks


def is_trial(service: Raw) -> bool:
    """Whether a service only tries a deployment, and is no cache."""
    return TRIAL_LABEL in (service["Spec"].get("Labels") or {})


def by_host_name(nodes: t.Iterable[dict[str, t.Any]]) -> dict[str, dict[str, t.Any]]:
    """Nodes by their host names; of several with one name the ready one: who joins again leaves one that is down."""
    ready_last = sorted(nodes, key=lambda node: str(node["Status"]["State"]) == "ready")
    return {node["Description"]["Hostname"]: node for node in ready_last}


def of_stack(services: t.Iterable[dict[str, t.Any]], stack: str) -> dict[str, dict[str, t.Any]]:
    """The services of a stack, by name without the stack's."""
    return {
        service["Spec"]["Name"][len(stack) + 1 :]: service
        for service in services
        if (service["Spec"].get("Labels") or {}).get(NAMESPACE_LABEL) == stack
    }
