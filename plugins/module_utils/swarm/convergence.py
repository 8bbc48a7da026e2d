# Copyright: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Did a stack settle? A verdict from the Engine's own states of services, tasks and nodes, and the wait for it.

Docker's own answers do not serve: C(docker stack deploy --detach=false) can hang on tasks that have ended and exits 0
after a rollback, and C(docker service ls) counts a task of a node that is down as running.
"""

from __future__ import annotations

import dataclasses
import datetime
import re
import typing as t

from ..common.failure import Failure
from .model import NOT_A_MANAGER, Moment, Raw, Swarm
from .plan import (
    is_of_stack,
    live_service,
    undeclared_parts,
    used_objects,
)

CONVERGED = "converged"
ROLLED_BACK = "rolled_back"
PAUSED = "paused"
TASK_FAILED = "task_failed"
NO_NODE = "no_node"
TIMED_OUT = "timed_out"

# A task whose restart did not help twice will not be helped by a fourth start.
FAILURES_TO_GIVE_UP = 3
ENDED_BADLY = ("failed", "rejected", "orphaned")
ENDED = ("complete", "shutdown", "remove", *ENDED_BADLY)
# Swarm's scheduler says so at once, and takes it back within seconds when a label has just been set.
SECONDS_WITHOUT_NODE = 10
# A container that stops right after its start ran for a moment. Swarm watches a new task for as long by default.
SECONDS_STABLE = 5
# The Engine itself has watched the tasks of an update for the time that the update policy says.
SECONDS_STABLE_AFTER_UPDATE = 2
# One that has failed already may fail again: longer than Swarm's delay of 5 seconds before a restart.
SECONDS_STABLE_AFTER_FAILURE = 15
# Swarm puts another task in the place of one that has ended within a second, if it does at all.
SECONDS_WITHOUT_SUCCESSOR = 3
# A busy manager may take its time before it makes the next one.
SECONDS_STALLED = 15
# From being asked to stop until its container is: the Engine lets the routing mesh forget a replica first
# (defaultGossipConvergeDelay in moby's daemon/cluster/executor/container/controller.go).
SECONDS_UNTIL_STOPPED = 2

_EXIT = re.compile(r"task: non-zero exit \((\d+)\)")
_CONSTRAINT = re.compile(r"\s*(\S+?)\s*(==|!=)\s*(.*?)\s*")
_TIMESTAMP = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?Z")


@dataclasses.dataclass(frozen=True)
class Judgement:
    """A verdict with its reason in one sentence; no verdict while it is still open.

    A verdict counts when it has been given for C(hold) seconds without a break.
    """

    verdict: str | None
    reason: str
    hold: float = 0


@dataclasses.dataclass
class Outcome:
    """The end of the wait."""

    verdict: str
    reason: str
    moment: Moment
    timeline: list[dict[str, t.Any]]


def judge(
    moment: Moment,
    *,
    definition: t.Mapping[str, t.Any] | None = None,
    old_failures: t.Collection[str] = (),
) -> Judgement:
    """What one look says.

    Args:
        moment: What was seen.
        definition: The stack's definition, where it is known. Only services that are as it declares have converged,
            and one that is was not rolled back by the deployment in question, whatever the Engine remembers of an
            earlier one.
        old_failures: Ids of tasks that ended badly before anybody waited; they do not count.
    """
    if not moment.services:
        return Judgement(None, "the stack has no service yet")
    missing = sorted(set((definition or {}).get("services") or {}) - set(moment.services))
    judgements = [Judgement(None, f"the stack has no service {name} yet") for name in missing]
    for name, service in moment.services.items():
        judgement = _judge_service(name, service, moment, definition or {}, old_failures)
        if judgement.verdict not in (CONVERGED, None):
            return judgement
        judgements.append(judgement)
    open_reasons = [judgement.reason for judgement in judgements if judgement.verdict is None]
    if open_reasons:
        return Judgement(None, "; ".join(open_reasons))
    hold = max(judgement.hold for judgement in judgements)
    return Judgement(CONVERGED, "every replica runs what the stack declares, on a node that is ready", hold)


def wait(
    look: t.Callable[[], Moment],
    *,
    timeout: float,
    clock: t.Callable[[], float],
    sleep: t.Callable[[float], None],
    interval: float = 0.5,
    definition: t.Mapping[str, t.Any] | None = None,
) -> Outcome:
    """Look again and again until there is a verdict, at the latest when the time (in seconds) is over.

    A look that fails does not end the wait: a manager may be away for a moment, or the Swarm without a leader.

    Raises:
        Failure: The Engine gave no answer at all in this time, which makes the verdict C(timed_out), or is no manager.
    """
    start = clock()
    timeline: list[dict[str, t.Any]] = []
    moment: Moment | None = None
    old_failures: set[str] = set()
    verdict, since = None, start
    while True:
        try:
            seen = look()
        except Failure as failure:
            judgement = Judgement(None, failure.message)
            if failure.code == NOT_A_MANAGER:
                raise
            if moment is None and clock() - start >= timeout:
                _note(timeline, clock() - start, judgement.reason)
                failure.result.update(verdict=TIMED_OUT, tasks=[], timeline=timeline)
                raise
        else:
            if moment is None:
                old_failures = {task["ID"] for task in seen.tasks if task["Status"]["State"] in ENDED_BADLY}
            moment = seen
            judgement = judge(moment, definition=definition, old_failures=old_failures)
        now = clock()
        _note(timeline, now - start, judgement.reason)
        if judgement.verdict != verdict:
            verdict, since = judgement.verdict, now
        if moment is not None and verdict and now - since >= judgement.hold:
            return Outcome(verdict, judgement.reason, moment, timeline)
        if moment is not None and now - start >= timeout:
            reason = f"not settled after {timeout:g} seconds: {judgement.reason}"
            _note(timeline, now - start, reason)
            return Outcome(TIMED_OUT, reason, moment, timeline)
        sleep(interval)


def _note(timeline: list[dict[str, t.Any]], second: float, event: str) -> None:
    """Each change once."""
    if not timeline or timeline[-1]["event"] != event:
        timeline.append({"second": round(second, 1), "event": event})


def task_rows(moment: Moment) -> list[dict[str, t.Any]]:
    """The newest task of each replica and each task that ended badly, as the result shows them."""
    rows = []
    for task in sorted(moment.tasks, key=_created, reverse=True):
        if _is_to_run(task) or task["Status"]["State"] in ENDED_BADLY:
            rows.append(
                {
                    "node": _node_name(task, moment),
                    "state": task["Status"]["State"],
                    "error": task["Status"].get("Err", ""),
                    "exit_code": _exit_code(task),
                    "image": task["Spec"]["ContainerSpec"]["Image"],
                }
            )
    return rows


def running_services(moment: Moment) -> list[dict[str, t.Any]]:
    """What each service declares, and how many replicas it has that really run, whatever they were made from."""
    rows = []
    for name, service in sorted(moment.services.items()):
        view = live_service(service["Spec"])
        running = [task for task in moment.tasks if task["ServiceID"] == service["ID"] and _runs(task, moment)]
        rows.append(
            {
                "name": name,
                "image": view.get("image"),
                "replicas": {"wanted": view.get("replicas", 0), "running": len(running)},
                "ports": view.get("ports", []),
                "nodes": sorted(_node_name(task, moment) for task in running),
            }
        )
    return rows


def failed_tasks(moment: Moment) -> dict[str, list[str]]:
    """The ids of the tasks that ended badly, by the ids of their services, the newest last."""
    found: dict[str, list[str]] = {service["ID"]: [] for service in moment.services.values()}
    for task in sorted(moment.tasks, key=_created):
        if task["Status"]["State"] in (*ENDED_BADLY, "complete") and task["ServiceID"] in found:
            found[task["ServiceID"]].append(task["ID"])
    return found


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
            tasks = [task for task in moment.tasks if task["ServiceID"] == service["ID"]]
            gaps.append(_gap(service, tasks, moment, since_1970(update["StartedAt"])))
    return round(max(gaps), 1) if gaps else None


def stalled_services(moment: Moment) -> list[str]:
    """The services whose replicas have all ended and for which Swarm makes no new one, although it should.

    Swarm can lose a replica when its node loses the label while the service is updated. It looks again at the next
    update, also at one that changes nothing.
    """
    names = []
    for name, service in sorted(moment.services.items()):
        tasks = [task for task in moment.tasks if task["ServiceID"] == service["ID"]]
        if tasks and _replicas(service) and not any(map(_is_to_run, tasks)):
            names.append(name)
    return names


def stale_objects(swarm: Swarm, stack: str) -> list[str]:
    """The names of this stack's configs and secrets that no service of the Swarm uses, oldest first."""
    used = {name for service in (*swarm.services.values(), *swarm.other_services) for name in used_objects(service)}
    objects = [*swarm.configs.items(), *swarm.secrets.items()]
    own = [(item["CreatedAt"], name) for name, item in objects if is_of_stack(item, stack) and name not in used]
    return [name for _created, name in sorted(own)]


def _judge_service(
    name: str, service: Raw, moment: Moment, definition: t.Mapping[str, t.Any], old_failures: t.Collection[str]
) -> Judgement:
    update = service.get("UpdateStatus") or {}
    state = update.get("State", "")
    tasks = [task for task in moment.tasks if task["ServiceID"] == service["ID"]]
    if state == "rollback_started":
        return Judgement(None, f"service {name} is being rolled back: {update.get('Message', '')}")
    undeclared = _undeclared(name, service, definition)
    if state == "rollback_completed" and undeclared != []:
        cause = _cause(_failures_since(update, tasks), moment) or update.get("Message", "")
        return Judgement(ROLLED_BACK, f"service {name} was rolled back and is as it was before, because {cause}")
    current = [task for task in tasks if _is_current(task, service)]
    replicas = _replicas(service)
    running = [task for task in current if _runs(task, moment)]
    failed = [task for task in current if task["Status"]["State"] in ENDED_BADLY]
    all_run = len(running) >= replicas and state != "updating"
    stuck_on_its_way_back = state == "rollback_paused" and undeclared != []
    if all_run and undeclared and not stuck_on_its_way_back:
        return Judgement(None, f"service {name} is not as the stack declares it: {', '.join(undeclared)}")
    if all_run and not stuck_on_its_way_back:
        return Judgement(CONVERGED, f"service {name}: {len(running)}/{replicas} run", _seconds_stable(failed, state))
    if state in ("paused", "rollback_paused"):
        cause = _cause(_failures_since(update, tasks), moment) or update.get("Message", "")
        going_back = " on its way back" if state == "rollback_paused" else ""
        return Judgement(PAUSED, f"the update of service {name} is paused{going_back}, because {cause}")
    failed = [task for task in failed if task["ID"] not in old_failures]
    if len(failed) >= FAILURES_TO_GIVE_UP:
        return Judgement(TASK_FAILED, f"service {name}: {len(failed)} tasks failed, the last {_cause(failed, moment)}")
    return (
        _without_successor(name, current, moment)
        or _without_node(name, service, current, tasks, moment)
        or _stalled(name, moment)
        or Judgement(None, _progress(name, current, running, replicas, moment))
    )


def _seconds_stable(failed: t.Sequence[Raw], update_state: str) -> float:
    if failed:
        return SECONDS_STABLE_AFTER_FAILURE
    return SECONDS_STABLE_AFTER_UPDATE if update_state == "completed" else SECONDS_STABLE


def _without_successor(name: str, current: t.Sequence[Raw], moment: Moment) -> Judgement | None:
    """The service's containers ended, and nothing is there to take their place."""
    ended = [task for task in current if task["Status"]["State"] in ("complete", *ENDED_BADLY)]
    if not ended or any(map(_is_to_run, current)):
        return None
    last = max(ended, key=_created)
    if last["Status"]["State"] == "complete":
        reason = f"its container on {_node_name(last, moment)} ended by itself"
    else:
        reason = f"it is not started again {_cause([last], moment)}"
    return Judgement(TASK_FAILED, f"service {name}: {reason}", SECONDS_WITHOUT_SUCCESSOR)


def _stalled(name: str, moment: Moment) -> Judgement | None:
    if name not in stalled_services(moment):
        return None
    reason = f"service {name}: its replicas have ended, and Swarm makes no new one until it is deployed again"
    return Judgement(TASK_FAILED, reason, SECONDS_STALLED)


def _without_node(
    name: str, service: Raw, current: t.Sequence[Raw], tasks: t.Sequence[Raw], moment: Moment
) -> Judgement | None:
    """No node can take a replica. One that an ending replica still occupies will be free in a moment."""
    homeless = [task for task in current if "no suitable node" in task["Status"].get("Err", "") and _is_to_run(task)]
    if not homeless:
        return None
    ending = [
        task
        for task in tasks
        if task["DesiredState"] == "shutdown" and task["Status"]["State"] not in ENDED and _is_ready(task, moment)
    ]
    if ending:
        return Judgement(None, f"service {name}: the replica on {_node_name(ending[0], moment)} finishes its requests")
    error = homeless[0]["Status"]["Err"]
    obstacle = _obstacle(service, moment)
    reason = f"{obstacle} ({error})" if obstacle else error
    return Judgement(
        NO_NODE, f"service {name}: no node takes {_count(len(homeless), 'replica')}: {reason}", SECONDS_WITHOUT_NODE
    )


def _obstacle(service: Raw, moment: Moment) -> str:
    """What keeps the nodes that the placement names from taking tasks; empty when Swarm's own words must do."""
    constraints = (service["Spec"]["TaskTemplate"].get("Placement") or {}).get("Constraints") or []
    meant = [node for node in moment.nodes.values() if all(_meets(node, constraint) for constraint in constraints)]
    if not meant:
        return f"no node has {' and '.join(constraints)}"
    words = []
    for node in meant:
        state, availability = node["Status"]["State"], node["Spec"]["Availability"]
        if state != "ready":
            words.append(f"node {node['Description']['Hostname']} is {state}")
        elif availability != "active":
            words.append(f"node {node['Description']['Hostname']} is set to {availability}")
    return ", ".join(words)


def _meets(node: Raw, constraint: str) -> bool:
    """Whether a node meets a placement constraint; one of a kind that is not known here keeps no node away."""
    match = _CONSTRAINT.fullmatch(constraint)
    if not match:
        return True
    key, operator, wanted = match.groups()
    if key.startswith("node.labels."):
        value = (node["Spec"].get("Labels") or {}).get(key[len("node.labels.") :], "")
    elif key in ("node.hostname", "node.role", "node.id"):
        known = {"node.hostname": node["Description"]["Hostname"], "node.role": node["Spec"]["Role"]}
        value = known.get(key) or node["ID"]
    else:
        return True
    return (str(value).lower() == wanted.lower()) == (operator == "==")


def _progress(name: str, current: t.Sequence[Raw], running: t.Sequence[Raw], replicas: int, moment: Moment) -> str:
    lost = [task for task in current if task["Status"]["State"] == "running" and not _is_ready(task, moment)]
    if lost:
        return f"service {name}: node {_node_name(lost[0], moment)} of a replica is not ready"
    states = ", ".join(sorted({task["Status"]["State"] for task in current})) or "no task yet"
    return f"service {name}: {len(running)}/{replicas} run ({states})"


def _undeclared(name: str, service: Raw, definition: t.Mapping[str, t.Any]) -> list[str] | None:
    """What of a service is not as it is declared; None where it is not known how that is."""
    if name not in (definition.get("services") or {}):
        return None
    return undeclared_parts(service["Spec"]["Name"].removesuffix(f"_{name}"), name, service, definition)


def _is_current(task: Raw, service: Raw) -> bool:
    """Whether a task was made from what the service declares now: same image, files, command and places."""
    wanted = service["Spec"]["TaskTemplate"]
    parts = ("ContainerSpec", "Placement", "Resources", "ForceUpdate")
    return all((task["Spec"].get(part) or None) == (wanted.get(part) or None) for part in parts)


def _replicas(service: Raw) -> int:
    return int(((service["Spec"].get("Mode") or {}).get("Replicated") or {}).get("Replicas", 0))


def _is_to_run(task: Raw) -> bool:
    return task["DesiredState"] in ("ready", "running")


def _runs(task: Raw, moment: Moment) -> bool:
    return task["Status"]["State"] == "running" and task["DesiredState"] == "running" and _is_ready(task, moment)


def _is_ready(task: Raw, moment: Moment) -> bool:
    node = moment.nodes.get(task.get("NodeID", ""))
    return node is not None and node["Status"]["State"] == "ready"


def _node_name(task: Raw, moment: Moment) -> str:
    node = moment.nodes.get(task.get("NodeID", ""))
    return str(node["Description"]["Hostname"]) if node else ""


def _exit_code(task: Raw) -> int | None:
    """The exit code of a container that has ended; the Engine reports 0 for those that never ran or still do."""
    code: int | None = (task["Status"].get("ContainerStatus") or {}).get("ExitCode")
    return code if task["Status"]["State"] in ("complete", "failed") else None


def _failures_since(update: Raw, tasks: t.Sequence[Raw]) -> list[Raw]:
    """The tasks that ended badly in this update; after a rollback they are no longer what the service declares."""
    begun = since_1970(update["StartedAt"]) if update.get("StartedAt") else 0.0
    return [task for task in tasks if task["Status"]["State"] in ENDED_BADLY and _created(task) >= begun]


def _cause(failed: t.Sequence[Raw], moment: Moment) -> str:
    """Where the last of some failed tasks failed, and why; empty without one."""
    if not failed:
        return ""
    last = max(failed, key=_created)
    error = last["Status"].get("Err") or "no reason was given"
    exit_code = _EXIT.fullmatch(error)
    words = f"the container ended with exit code {exit_code[1]}" if exit_code else error
    return f"on {_node_name(last, moment)}: {words}"


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"


def _created(task: Raw) -> float:
    return since_1970(task["CreatedAt"])


def since_1970(timestamp: str) -> float:
    """Seconds since 1970 of one of the Engine's timestamps, which have up to nine digits after the point."""
    match = _TIMESTAMP.fullmatch(timestamp)
    if not match:
        return 0.0
    whole = datetime.datetime.strptime(match[1], "%Y-%m-%dT%H:%M:%S").replace(tzinfo=datetime.timezone.utc)
    return whole.timestamp() + float(match[2] or 0)


def _gap(service: Raw, tasks: t.Sequence[Raw], moment: Moment, begun: float) -> float:
    """The seconds after C(begun) in which no task served, up to the moment when the last one began to."""
    order = (service["Spec"].get("UpdateConfig") or {}).get("Order", "stop-first")
    served = []
    for task in tasks:
        since = since_1970(task["Status"]["Timestamp"])
        if _runs(task, moment):
            served.append((since, float("inf")))
        elif task["Status"]["State"] in ("running", "shutdown", "complete") and _created(task) < begun:
            successors = [
                _created(other) + SECONDS_UNTIL_STOPPED
                for other in tasks
                if other.get("Slot") == task.get("Slot") and _created(other) > _created(task)
            ]
            stopped = min(successors, default=since) if order == "stop-first" else since
            still_there = task["Status"]["State"] == "running"
            served.append((_created(task), stopped if still_there else min(stopped, since)))
    if not served:
        return 0.0
    gap, reached = 0.0, begun
    for start, end in sorted(served):
        gap += max(0.0, start - reached)
        reached = max(reached, end)
    return gap
