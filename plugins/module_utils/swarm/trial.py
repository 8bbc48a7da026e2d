# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The trial of a deployment: one replica of what is planned, which runs beside the cache before that is exchanged.

It is a stack beside the cache's. Nothing of it is published, and an empty volume takes the place of the layers.
Pure functions.
"""

from __future__ import annotations

import dataclasses
import typing as t

from .live_cache import SERVICE
from .model import TRIAL_LABEL, FormerStack, Moment, Raw, Swarm, is_trial
from .plan import Plan, WantedStack
from .verdict import runs, tasks_of
from .views import Mount, live_mount, mounts

# What Swarm changes of a service without another task.
_KEEPS_REPLICAS = {"replicas", "update_config", "rollback_config", "service_labels"}
# By ports, labels and networks, others would find the trial; and what it has in common with no other service.
_LEFT_OUT = ("ports", "labels", "networks", "deploy", "volumes")


def trial_stack(stack: str) -> str:
    """The name of the trial's stack."""
    return f"{stack}-trial"


def apart_from_trial(swarm: Swarm, stack: str) -> tuple[Swarm, FormerStack]:
    """The Swarm without the trial, which was read as a former stack, and what an interrupted run has left of it.

    A stack of that name that is somebody else's stays where the plan finds it.
    """
    name = trial_stack(stack)
    found = swarm.former.get(name) or FormerStack({}, {})
    former = {key: each for key, each in swarm.former.items() if key != name}
    if is_taken(swarm, stack):
        others = [*swarm.other_services, *found.services.values()]
        return dataclasses.replace(swarm, former=former, other_services=others), FormerStack({}, {})
    return dataclasses.replace(swarm, former=former), found


def is_taken(swarm: Swarm, stack: str) -> bool:
    """Whether somebody else has a stack of the trial's name."""
    found = swarm.former.get(trial_stack(stack))
    return bool(found and not all(map(is_trial, found.services.values())))


def removal_steps(left: FormerStack, stack: str) -> list[dict[str, str]]:
    """The steps that remove a trial."""
    name = trial_stack(stack)
    named = [("service", f"{name}_{service}") for service in left.services]
    named += [("network", network) for network in left.networks]
    return [{"kind": kind, "action": "remove", "name": each, "detail": "", "stack": name} for kind, each in named]


def exchanges_replica(made: Plan, swarm: Swarm, moment: Moment, wanted: WantedStack) -> bool:
    """Whether the plan ends a replica that runs, so that another takes its place."""
    if any(former.services for former in swarm.former.values()):
        # They serve until they are handed over.
        return True
    live = moment.services.get(wanted.service)
    nodes = [task.get("NodeID") for task in tasks_of(live, moment) if runs(task, moment)] if live else []
    parts = [
        part
        for step in made.steps
        if (step["kind"], step["action"], step["name"]) == ("service", "update", wanted.full_name)
        for part in step["detail"].split(", ")
    ]
    return bool(nodes) and (not set(parts) <= _KEEPS_REPLICAS or bool(set(nodes) & _leaving(made, wanted)))


def trial_definition(made: Plan, swarm: Swarm, wanted: WantedStack) -> dict[str, t.Any]:
    """The definition of the trial's stack: the cache's own service, as far as nothing but the service has it."""
    declared = wanted.definition["services"][wanted.service]
    deploy = declared.get("deploy") or {}
    constraints = (deploy.get("placement") or {}).get("constraints") or []
    service = {
        **{key: value for key, value in declared.items() if key not in _LEFT_OUT},
        "volumes": _volumes(declared, swarm, wanted),
        "deploy": {
            **({"resources": deploy["resources"]} if deploy.get("resources") else {}),
            "replicas": 1,
            "placement": {
                "constraints": [*constraints, *(f"node.id != {node}" for node in sorted(_leaving(made, wanted)))]
            },
            "restart_policy": {"condition": "none"},
            "labels": {TRIAL_LABEL: wanted.name},
        },
    }
    kept = {key: wanted.definition[key] for key in ("version", "configs", "secrets") if key in wanted.definition}
    return {**kept, "services": {SERVICE: service}}


def _leaving(made: Plan, wanted: WantedStack) -> set[str]:
    """The nodes that are none of the cache any more. One that only loses an outdated label stays."""
    removed = [step for step in made.steps if (step["kind"], step["action"]) == ("node_label", "remove")]
    return {step["id"] for step in removed if step["name"] not in wanted.node_labels}


def empties_cache(swarm: Swarm, wanted: WantedStack) -> bool:
    """Whether an exchanged replica begins without the layers of the one before: they share no volume and no folder."""
    return not _sources_in_use(swarm) & {mount.source for mount in _mounts(wanted)}


def _mounts(wanted: WantedStack) -> list[Mount]:
    return mounts(wanted.name, wanted.definition["services"][wanted.service], wanted.definition)


def _sources_in_use(swarm: Swarm) -> set[str]:
    """The volumes and folders of the cache that runs, in its own stack or a former one."""
    former = [service for stack in swarm.former.values() for service in stack.services.values()]
    return sources_of([*swarm.services.values(), *former])


def sources_of(services: t.Iterable[Raw]) -> set[str]:
    """The volumes and folders of services."""
    containers = [(each["Spec"].get("TaskTemplate") or {}).get("ContainerSpec") or {} for each in services]
    mounted = [live_mount(mount) for container in containers for mount in container.get("Mounts") or ()]
    return {mount.source for mount in mounted} - {""}


def _volumes(declared: Raw, swarm: Swarm, wanted: WantedStack) -> list[t.Any]:
    """The mounts of the trial: a folder of the node that no replica has yet is tried as it is."""
    in_use = _sources_in_use(swarm)

    def tried(given: t.Any, mount: Mount) -> t.Any:
        as_it_is = mount.kind == "tmpfs" or (mount.kind == "bind" and mount.source not in in_use)
        return given if as_it_is else {"type": "volume", "target": mount.target}

    return [tried(given, mount) for given, mount in zip(declared.get("volumes") or (), _mounts(wanted))]
