# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""For how long a stack took no requests while its replicas were exchanged, and whose requests were cut off.

Whether a replica that is told to stop ends by itself, and whether it finishes its requests first, no document says: see
"A stopping replica finishes its requests" in docs/decisions.md. Its exit code shows that it did not.
"""

from __future__ import annotations

import math
import typing as t

from .model import Moment, Raw
from .tasks import created, node_name, replicas_of, runs, since_1970, tasks_of

# From being asked to stop until its container is: the Engine lets the routing mesh forget a replica first
# (defaultGossipConvergeDelay in moby's daemon/cluster/executor/container/controller.go).
SECONDS_UNTIL_STOPPED = 2
# A task whose node has lost its label is rejected by the Swarm, whether it ran or not.
_TOLD_TO_STOP = ("shutdown", "complete", "rejected")

Known = t.Mapping[str, bool]


def gap_seconds(moment: Moment, known: Known | None = None) -> float | None:
    """For how many seconds no replica took requests while replicas were exchanged; None where none was, or none runs.

    By the Engine's own times: a replica serves from the moment when its container runs until the Engine stops it, which
    with C(stop-first) is a moment after the task in its place was made. One that still answers its last requests does
    not count, nor does one that failed. The clocks of the nodes should agree.

    Args:
        moment: What is there now.
        known: The tasks of the stack before, by id, and whether each one ran. Without it, the last update counts.
    """
    if moment.former:
        return _gap_of_move(moment)
    gaps = []
    for service in moment.services.values():
        tasks = tasks_of(service, moment)
        begun = _begun(service, tasks, moment, known)
        if begun:
            gaps.append(_gap(service, tasks, moment, begun, known))
    longest = max(gaps, default=math.inf)
    return None if math.isinf(longest) else round(longest, 1)


def _gap_of_move(moment: Moment) -> float | None:
    """The same where the services replace former ones: from when those were told to give up the port."""
    running = [since_1970(task["Status"]["Timestamp"]) for task in moment.tasks if runs(task, moment)]
    if not running:
        return None
    gaps = []
    for former, _tasks in moment.former:
        # One that has lost the port but not its replicas serves nobody from that moment on.
        until_stopped = 0 if replicas_of(former) else SECONDS_UNTIL_STOPPED
        gaps.append(min(running) - since_1970(str(former.get("UpdatedAt") or "")) - until_stopped)
    return round(max(0.0, *gaps), 1)


def cut_off(moment: Moment, known: Known | None = None) -> list[dict[str, t.Any]]:
    """The replicas that were exchanged and did not end by themselves, with the node and the exit code of each.

    One that ended with 0 may have finished its requests or not: a start script that ends before the registry gives 0,
    too.

    Args:
        moment: What is there now.
        known: As in C(gap_seconds).
    """
    found = []
    for service in moment.services.values():
        tasks = tasks_of(service, moment)
        begun = _begun(service, tasks, moment, known)
        for task in tasks if begun else ():
            status = task["Status"]
            code = (status.get("ContainerStatus") or {}).get("ExitCode")
            ended = since_1970(status["Timestamp"]) >= begun
            if status["State"] in _TOLD_TO_STOP and _served_before(task, begun, known) and ended and code:
                found.append({"node": node_name(task, moment), "exit_code": code})
    return sorted(found, key=lambda each: (each["node"], each["exit_code"]))


def _begun(service: Raw, tasks: t.Sequence[Raw], moment: Moment, known: Known | None) -> float:
    """When the exchange of replicas began, in seconds since 1970; 0 where there was none."""
    if known is None:
        return since_1970(str((service.get("UpdateStatus") or {}).get("StartedAt") or ""))
    gone = [task for task in tasks if known.get(task["ID"]) and not runs(task, moment)]
    # Of tasks that ended, Swarm keeps a few.
    forgotten = {name for name, ran in known.items() if ran} - {task["ID"] for task in moment.tasks}
    if not gone and not forgotten:
        return 0.0
    ends = [since_1970(task["Status"]["Timestamp"]) for task in gone if task["Status"]["State"] != "running"]
    return min([*ends, *(created(task) for task in tasks if task["ID"] not in known)], default=0.0)


def _served_before(task: Raw, begun: float, known: Known | None) -> bool:
    """Whether a task that does not run any more did when the exchange began."""
    if known is not None:
        return known.get(task["ID"], False)
    return created(task) < begun and task["Status"]["State"] in ("running", "shutdown", "complete")


def _gap(service: Raw, tasks: t.Sequence[Raw], moment: Moment, begun: float, known: Known | None) -> float:
    """The seconds after C(begun) in which no task served, without end where none does."""
    order = (service["Spec"].get("UpdateConfig") or {}).get("Order", "stop-first")
    served = []
    for task in tasks:
        since = since_1970(task["Status"]["Timestamp"])
        if runs(task, moment):
            served.append((since, math.inf))
        elif _served_before(task, begun, known):
            successors = [
                created(other) + SECONDS_UNTIL_STOPPED
                for other in tasks
                if other.get("Slot") == task.get("Slot") and created(other) > created(task)
            ]
            stopped = min(successors, default=since) if order == "stop-first" else since
            still_there = task["Status"]["State"] == "running"
            served.append((created(task), stopped if still_there else min(stopped, since)))
    gap, reached = 0.0, begun
    for start, end in sorted(served):
        gap += max(0.0, start - reached)
        reached = max(reached, end)
    return gap if math.isinf(reached) else math.inf
