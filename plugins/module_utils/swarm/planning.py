# Copyright: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a deployment, or a removal, would change in a live Swarm, from options to the result."""

from __future__ import annotations

import dataclasses
import ipaddress
import typing as t

from ..common.failure import Failure
from .compose import external_names
from .contents import WantedObject, file_diffs
from .engine import Engine
from .model import Moment, Swarm
from .objects import CONFIG_FILE
from .plan import WantedStack, plan, plan_removal
from .prerequisites import SERVICE, WantedService, preflight_problems
from .tasks import published_ports, running_services, runs, stalled_services
from .verdict import CONVERGED, judge

# The service of a stack that is the cache.


def prevented_by(options: t.Mapping[str, t.Any], warn: t.Callable[[str], None]) -> list[str]:
    """What the option C(preflight) asks and finds wrong, as sentences. The Docker SDK need not be there."""
    if not options["preflight"]:
        return []
    service = (options["definition"].get("services") or {}).get(SERVICE) or {}
    deploy = service.get("deploy") or {}
    wanted = WantedService(
        **options["preflight"],
        stack_name=options["name"],
        image=service.get("image") or "",
        replicas=deploy.get("replicas") or 1,
        reservations=(deploy.get("resources") or {}).get("reservations") or {},
    )
    try:
        return preflight_problems(Engine(options), wanted, warn)
    except Failure as failure:
        return [f"the Swarm cannot be read: {failure.as_result()['msg']}"]


def planned(
    engine: Engine, options: t.Mapping[str, t.Any], *, check_mode: bool, diff: bool = False
) -> dict[str, t.Any]:
    """The plan for the stack that the options describe, and what its services do now.

    Args:
        engine: The manager's Engine.
        options: The module's options.
        check_mode: Whether nothing is going to be changed.
        diff: Whether somebody wants to see what changes in the files of the services.

    Raises:
        Failure: The Swarm cannot be read, or there is no plan for what is wanted.
    """
    wanted = _wanted(options)
    info = engine.require_manager()
    make_plan = plan if options["state"] == "present" else plan_removal
    moment = engine.observe(wanted.name)
    live = {
        "services": running_services(moment),
        "published_ports": published_ports(moment, SERVICE),
        "node_addresses": _node_addresses(moment),
    }
    try:
        swarm = engine.read_swarm(wanted.name)
        made = make_plan(swarm, wanted)
    except Failure as failure:
        failure.result.update(live)
        raise
    judgement = judge(moment, definition=wanted.definition)
    return {
        "changed": check_mode and bool(made.steps),
        "steps": made.steps,
        "kept_images": made.kept_images,
        "settled": judgement.verdict == CONVERGED,
        "reason": judgement.reason,
        "stalled": stalled_services(moment),
        "known_tasks": {task["ID"]: runs(task, moment) for task in moment.tasks},
        "swarm": ((info["Swarm"].get("Cluster") or {}).get("ID")) or "",
        **live,
        "diff": {**made.diff(), **({"files": _files(swarm, wanted, options)} if diff else {})},
    }


def _files(swarm: Swarm, wanted: WantedStack, options: t.Mapping[str, t.Any]) -> list[dict[str, str]]:
    objects = {
        given["name"]: WantedObject(given["labels"], options["config"] if given["file"] == CONFIG_FILE else None)
        for given in options["objects"]
    }
    return [each._asdict() for each in file_diffs(wanted.name, swarm, wanted.definition, objects)]


def _node_addresses(moment: Moment) -> list[str]:
    """The addresses at which the nodes of the Swarm know each other; a manager may call its own address 0.0.0.0."""
    found = []
    for node in moment.nodes.values():
        manager = str((node.get("ManagerStatus") or {}).get("Addr") or "").rpartition(":")[0].strip("[]")
        found += [str((node.get("Status") or {}).get("Addr") or ""), manager]
    return sorted({address for address in found if _is_somewhere(address)})


def _is_somewhere(address: str) -> bool:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    return not (parsed.is_unspecified or parsed.is_loopback)


def _wanted(options: t.Mapping[str, t.Any]) -> WantedStack:
    given = {field.name: options[field.name] for field in dataclasses.fields(WantedStack)}
    for kind in ("configs", "secrets"):
        given[kind] = list(dict.fromkeys([*given[kind], *external_names(given["definition"], kind)]))
    return WantedStack(**given)
