# Copyright: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""For how long a stack took no requests while it was updated, and whose requests were cut off.

Whether a replica that is told to stop ends by itself, and whether it finishes its requests first, no document says: see
"A stopping replica finishes its requests" in docs/decisions.md. Its exit code shows that it did not.
"""

from __future__ import annotations

import typing as t

from .model import Moment, Raw
from .tasks import created, node_name, runs, since_1970, tasks_of

# From being asked to stop until its container is: the Engine lets the routing mesh forget a replica first
# (defaultGossipConvergeDelay in moby's daemon/cluster/executor/container/controller.go).
SECONDS_UNTIL_STOPPED = 2


def gap_seconds(moment: Moment) -> float | None:
    """For how many seconds no replica took requests in the last update of the services; None without an update.

    By the Engine's own times: a replica serves from the moment when its container runs until the Engine stops it, which
    with C(stop-first) is a moment after the task in its place was made. One that still answers its last requests does
    not count, nor does one that failed. The clocks of the nodes should agree.
    """
    gaps = []
    for service in moment.services.values():
        update = service.get("UpdateStatus") or {}
        if update.get("StartedAt"):
            gaps.append(_gap(service, tasks_of(service, moment), moment, since_1970(update["StartedAt"])))
    return round(max(gaps), 1) if gaps else None


def cut_off(moment: Moment) -> list[dict[str, t.Any]]:
    """The replicas of the last update that did not end by themselves, with the node and the exit code of each.

    One that ended with 0 may have finished its requests or not: a start script that ends before the registry gives 0,
    too.
    """
    found = []
    for service in moment.services.values():
        begun = since_1970(str((service.get("UpdateStatus") or {}).get("StartedAt") or ""))
        for task in tasks_of(service, moment) if begun else ():
            status = task["Status"]
            code = (status.get("ContainerStatus") or {}).get("ExitCode")
            replaced = created(task) < begun <= since_1970(status["Timestamp"])
            if status["State"] == "shutdown" and replaced and code:
                found.append({"node": node_name(task, moment), "exit_code": code})
    return sorted(found, key=lambda each: (each["node"], each["exit_code"]))


def _gap(service: Raw, tasks: t.Sequence[Raw], moment: Moment, begun: float) -> float:
    """The seconds after C(begun) in which no task served, up to the moment when the last one began to."""
    order = (service["Spec"].get("UpdateConfig") or {}).get("Order", "stop-first")
    served = []
    for task in tasks:
        since = since_1970(task["Status"]["Timestamp"])
        if runs(task, moment):
            served.append((since, float("inf")))
        elif task["Status"]["State"] in ("running", "shutdown", "complete") and created(task) < begun:
            successors = [
                created(other) + SECONDS_UNTIL_STOPPED
                for other in tasks
                if other.get("Slot") == task.get("Slot") and created(other) > created(task)
            ]
            stopped = min(successors, default=since) if order == "stop-first" else since
            still_there = task["Status"]["State"] == "running"
            served.append((created(task), stopped if still_there else min(stopped, since)))
    if not served:
        return 0.0
    gap, reached = 0.0, begun
    for start, end in sorted(served):
        gap += max(0.0, start - reached)
        reached = max(reached, end)
    return gap
