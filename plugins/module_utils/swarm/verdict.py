# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Has a stack settled? The verdict on one observation, from the Engine's own states of services, tasks and nodes."""

from __future__ import annotations

import dataclasses
import datetime
import re
import typing as t

from .model import Moment, Raw
from .views import live_ports, live_service, undeclared_parts

CONVERGED = "converged"
ROLLED_BACK = "rolled_back"
PAUSED = "paused"
TASK_FAILED = "task_failed"
STALLED = "stalled"
NO_NODE = "no_node"
REMOVED = "removed"
REPLACED = "replaced"
TIMED_OUT = "timed_out"
NOT_AGAIN = "it is not started again"
# A task whose restart did not help twice will not be helped by a fourth start.
FAILURES_TO_GIVE_UP = 3
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
# What was deployed is there before anybody waits for it; one that was never seen gets a moment all the same.
SECONDS_UNSEEN = 10
_EXIT = re.compile(r"task: non-zero exit \((\d+)\)")
_LABEL = "node.labels."
_CONSTRAINT = re.compile(r"\s*(\S+?)\s*(==|!=)\s*(.*?)\s*")


@dataclasses.dataclass(frozen=True)
class Judgement:
    """A verdict with its reason in one sentence; no verdict while it is still open.

    A verdict counts when it has been given for C(hold) seconds without a break. C(fix) says what to do, where that is
    known.
    """

    verdict: str | None
    reason: str
    hold: float = 0
    fix: str = ""


class Seen(t.NamedTuple):
    """What earlier observations of the same wait have shown.

    Args:
        services: The names of the services that were there.
        declared: The names of those that were as the definition declares them.
        old_failures: Ids of tasks that ended badly before anybody waited; they do not count.
    """

    services: frozenset[str] = frozenset()
    declared: frozenset[str] = frozenset()
    old_failures: frozenset[str] = frozenset()

    def and_now(self, moment: Moment, definition: t.Mapping[str, t.Any]) -> Seen:
        """What is known after one more observation."""
        declared = [name for name, service in moment.services.items() if _undeclared(name, service, definition) == []]
        return self._replace(services=self.services.union(moment.services), declared=self.declared.union(declared))


def judge(
    moment: Moment,
    *,
    definition: t.Mapping[str, t.Any] | None = None,
    seen: Seen | None = None,
) -> Judgement:
    """The verdict on one observation.

    Args:
        moment: What was observed.
        definition: The stack's definition, where it is known. Only services that are as it declares have converged,
            and one that is was not rolled back by the deployment in question, whatever the Engine remembers of an
            earlier one.
        seen: What was seen before, by somebody who waits for what was deployed. Without it, what somebody else did to
            the stack is no verdict.
    """
    declared = (definition or {}).get("services") or {}
    missing = sorted({*declared, *(seen.services if seen else ())} - set(moment.services))
    if not moment.services and not missing:
        return Judgement(None, "the stack has no service yet")
    judgements = [_absent(name, seen) for name in missing]
    for judgement in judgements:
        if judgement.verdict:
            return judgement
    for name, service in moment.services.items():
        judgement = _judge_service(name, service, moment, definition or {}, seen)
        if judgement.verdict not in (CONVERGED, None):
            return judgement
        judgements.append(judgement)
    undecided = [judgement for judgement in judgements if judgement.verdict is None]
    if undecided:
        reasons = "; ".join(judgement.reason for judgement in undecided)
        return Judgement(None, reasons, fix=next((each.fix for each in undecided if each.fix), ""))
    hold = max(judgement.hold for judgement in judgements)
    return Judgement(CONVERGED, "every replica runs what the stack declares, on a node that is ready", hold)


def _absent(name: str, seen: Seen | None) -> Judgement:
    """A service that is declared, or was there, and is not."""
    if seen is None:
        return Judgement(None, f"the stack has no service {name} yet")
    if name in seen.services:
        return Judgement(REMOVED, f"service {name} was removed while this run waited for it, by another run or by hand")
    reason = f"the stack has no service {name}; another run, or somebody by hand, removed it after it was deployed"
    return Judgement(REMOVED, reason, SECONDS_UNSEEN)


def _replaced(name: str, undeclared: t.Sequence[str], seen: Seen | None) -> Judgement:
    """A service that is not as it is declared, although nothing rolled it back."""
    if seen is None:
        return Judgement(None, f"service {name} is not as the stack declares it: {', '.join(undeclared)}")
    if name in seen.declared:
        return Judgement(
            REPLACED,
            f"another deployment, or somebody by hand, replaced service {name} while this run waited for it; what it "
            f"declares is not what runs now: {', '.join(undeclared)}",
        )
    return Judgement(
        REPLACED,
        f"service {name} is not as this run deployed it: {', '.join(undeclared)}; another deployment, or somebody by "
        "hand, has changed it since",
        SECONDS_UNSEEN,
    )


def _judge_service(
    name: str, service: Raw, moment: Moment, definition: t.Mapping[str, t.Any], seen: Seen | None
) -> Judgement:
    update = service.get("UpdateStatus") or {}
    state = update.get("State", "")
    tasks = tasks_of(service, moment)
    if state == "rollback_started":
        return Judgement(None, f"service {name} is being rolled back: {update.get('Message', '')}")
    undeclared = _undeclared(name, service, definition)
    if state == "rollback_completed" and undeclared != []:
        cause = _cause(_failures_since(update, tasks), moment) or update.get("Message", "")
        return Judgement(ROLLED_BACK, f"service {name} was rolled back, because {cause}")
    if undeclared and seen and name in seen.declared and state != "rollback_paused":
        return _replaced(name, undeclared, seen)
    current = [task for task in tasks if is_current(task, service)]
    replicas = replicas_of(service) - _held_back(service, moment)
    running = [task for task in current if runs(task, moment)]
    failed = [task for task in current if task["Status"]["State"] in ENDED_BADLY]
    all_run = len(running) >= replicas and state != "updating"
    stuck_on_its_way_back = state == "rollback_paused" and undeclared != []
    if all_run and undeclared and not stuck_on_its_way_back:
        return _replaced(name, undeclared, seen)
    if all_run and not stuck_on_its_way_back:
        return Judgement(CONVERGED, f"service {name}: {len(running)}/{replicas} run", _seconds_stable(failed, state))
    if state in ("paused", "rollback_paused"):
        cause = _cause(_failures_since(update, tasks), moment) or update.get("Message", "")
        going_back = " on its way back" if state == "rollback_paused" else ""
        return Judgement(PAUSED, f"the update of service {name} is paused{going_back}, because {cause}")
    failed = [task for task in failed if not seen or task["ID"] not in seen.old_failures]
    if len(failed) >= FAILURES_TO_GIVE_UP:
        return Judgement(TASK_FAILED, f"service {name}: {len(failed)} tasks failed, the last {_cause(failed, moment)}")
    return (
        _without_successor(name, current, moment)
        or _without_node(name, service, current, tasks, moment)
        or _stalled(name, moment)
        or (_replaced(name, undeclared, seen) if undeclared and seen else None)
        or _progress(name, current, running, replicas, moment)
    )


def _held_back(service: Raw, moment: Moment) -> int:
    """How many replicas wait for a port of a node that a replica of a former service still has."""
    own_ports = {port.published for port in live_ports(service["Spec"])}
    held: set[str] = set()
    for former, tasks in moment.former:
        if own_ports & {port.published for port in live_ports(former["Spec"])}:
            nodes = sorted({task["NodeID"] for task in tasks if is_to_run(task) and task.get("NodeID")})
            # Swarm takes a moment to choose the replicas that are too many.
            held |= set(nodes[: replicas_of(former)])
    if not held:
        return 0
    constraints = (service["Spec"]["TaskTemplate"].get("Placement") or {}).get("Constraints") or []
    nodes = [
        node_id
        for node_id, node in moment.nodes.items()
        if node["Status"]["State"] == "ready"
        and node["Spec"]["Availability"] == "active"
        and all(_meets(node, constraint) for constraint in constraints)
    ]
    return max(0, replicas_of(service) - len(set(nodes) - held))


def _seconds_stable(failed: t.Sequence[Raw], update_state: str) -> float:
    if failed:
        return SECONDS_STABLE_AFTER_FAILURE
    return SECONDS_STABLE_AFTER_UPDATE if update_state == "completed" else SECONDS_STABLE


def _without_successor(name: str, current: t.Sequence[Raw], moment: Moment) -> Judgement | None:
    """The service's containers ended, and nothing is there to take their place."""
    ended = [task for task in current if task["Status"]["State"] in ("complete", *ENDED_BADLY)]
    if not ended or any(map(is_to_run, current)):
        return None
    last = max(ended, key=created)
    if last["Status"]["State"] == "complete":
        reason = f"its container on {node_name(last, moment)} ended by itself"
    else:
        reason = f"{NOT_AGAIN} {_cause([last], moment)}"
    return Judgement(TASK_FAILED, f"service {name}: {reason}", SECONDS_WITHOUT_SUCCESSOR)


def _stalled(name: str, moment: Moment) -> Judgement | None:
    if name not in stalled_services(moment):
        return None
    reason = f"service {name}: its replicas have ended, and Swarm makes no new one until it is deployed again"
    return Judgement(STALLED, reason, SECONDS_STALLED)


def _without_node(
    name: str, service: Raw, current: t.Sequence[Raw], tasks: t.Sequence[Raw], moment: Moment
) -> Judgement | None:
    """No node can take a replica. One that an ending replica still occupies, of a former service too, will be free."""
    homeless = [task for task in current if "no suitable node" in task["Status"].get("Err", "") and is_to_run(task)]
    if not homeless:
        return None
    ending = [
        task
        for task in (*tasks, *(task for _former, theirs in moment.former for task in theirs))
        if not is_to_run(task) and task["Status"]["State"] not in ENDED and is_ready(task, moment)
    ]
    if ending:
        return Judgement(None, f"service {name}: the replica on {node_name(ending[0], moment)} finishes its requests")
    unheard = [node for node in _meant_nodes(service, moment) if node["Status"]["State"] == "unknown"]
    if unheard:
        # For some seconds after it was elected, until the node turns to it.
        waited_for = unheard[0]["Description"]["Hostname"]
        return Judgement(None, f"service {name}: the Swarm's new leader has not heard of node {waited_for} yet")
    error = homeless[0]["Status"]["Err"]
    obstacles = _obstacles(service, moment, error)
    reason = f"no node takes {_count(len(homeless), 'replica')} of service {name}"
    words = ", ".join(obstacle.words for obstacle in obstacles)
    told = f"{words}, so {reason}" if words else f"{reason}: {error}"
    return Judgement(NO_NODE, told, SECONDS_WITHOUT_NODE, _fix(obstacles))


def _constraints(service: Raw) -> list[str]:
    return (service["Spec"]["TaskTemplate"].get("Placement") or {}).get("Constraints") or []


def _meant_nodes(service: Raw, moment: Moment) -> list[Raw]:
    """The nodes that the placement names."""
    return nodes_that_meet(_constraints(service), moment.nodes.values())


def _obstacles(service: Raw, moment: Moment, error: str) -> list[Obstacle]:
    """Return what keeps the nodes that the placement names from taking tasks; none where Swarm's own words must do."""
    meant = _meant_nodes(service, moment)
    if not meant:
        return [_no_such_node(_constraints(service))]
    found = [obstacle for obstacle in map(node_obstacle, meant) if obstacle]
    ports = ", ".join(str(port.published) for port in live_ports(service["Spec"]))
    if not found and "port already in use" in error:
        nodes = ", ".join(node["Description"]["Hostname"] for node in meant)
        fix = "see which with docker service ls and remove it, or take another dtr_cache_port"
        return [Obstacle(f"port {ports} of {nodes} is taken by another service", f"{fix} and run dtr.cache.deploy")]
    return found


def _no_such_node(constraints: t.Sequence[str]) -> Obstacle:
    label = next((constraint for constraint in constraints if constraint.startswith(_LABEL)), "")
    words = f"no node has {' and '.join(constraints)}"
    if not label:
        return Obstacle(words, "correct the placement, or add such a node")
    pair = re.sub(r"\s*==\s*", "=", label.removeprefix(_LABEL))
    return Obstacle(
        words, f"run dtr.cache.deploy, which sets the label, or: docker node update --label-add {pair} NODE"
    )


def _fix(obstacles: t.Iterable[Obstacle]) -> str:
    fixes = "; ".join(dict.fromkeys(obstacle.fix for obstacle in obstacles))
    return f"{fixes[:1].upper()}{fixes[1:]}." if fixes else ""


def nodes_that_meet(constraints: t.Sequence[str], nodes: t.Iterable[Raw]) -> list[Raw]:
    """The nodes that placement constraints allow."""
    return [node for node in nodes if all(_meets(node, constraint) for constraint in constraints)]


def _meets(node: Raw, constraint: str) -> bool:
    """Whether a node meets a placement constraint; one of a kind that is not known here keeps no node away."""
    match = _CONSTRAINT.fullmatch(constraint)
    if not match:
        return True
    key, operator, wanted = match.groups()
    if key.startswith(_LABEL):
        value = (node["Spec"].get("Labels") or {}).get(key[len(_LABEL) :], "")
    elif key in ("node.hostname", "node.role", "node.id"):
        known = {"node.hostname": node["Description"]["Hostname"], "node.role": node["Spec"]["Role"]}
        value = known.get(key) or node["ID"]
    else:
        return True
    return (str(value).lower() == wanted.lower()) == (operator == "==")


def _progress(
    name: str, current: t.Sequence[Raw], running: t.Sequence[Raw], replicas: int, moment: Moment
) -> Judgement:
    lost = [task for task in current if task["Status"]["State"] == "running" and not is_ready(task, moment)]
    obstacle = (
        node_obstacle(moment.nodes[lost[0]["NodeID"]]) if lost and lost[0].get("NodeID") in moment.nodes else None
    )
    if obstacle:
        return Judgement(None, f"{obstacle.words}, so a replica of service {name} does not run", fix=_fix([obstacle]))
    states = ", ".join(sorted({task["Status"]["State"] for task in current})) or "no task yet"
    return Judgement(None, f"service {name}: {len(running)}/{replicas} run ({states})")


def _undeclared(name: str, service: Raw, definition: t.Mapping[str, t.Any]) -> list[str] | None:
    """What of a service is not as it is declared; None where it is not known how that is."""
    if name not in (definition.get("services") or {}):
        return None
    return undeclared_parts(service["Spec"]["Name"].removesuffix(f"_{name}"), name, service, definition)


def _failures_since(update: Raw, tasks: t.Sequence[Raw]) -> list[Raw]:
    """The tasks that ended badly in this update; after a rollback they are no longer what the service declares."""
    begun = since_1970(update["StartedAt"]) if update.get("StartedAt") else 0.0
    return [task for task in tasks if task["Status"]["State"] in ENDED_BADLY and created(task) >= begun]


def _cause(failed: t.Sequence[Raw], moment: Moment) -> str:
    """Where the last of some failed tasks failed, and why; empty without one."""
    if not failed:
        return ""
    last = max(failed, key=created)
    error = last["Status"].get("Err") or "no reason was given"
    exit_code = _EXIT.fullmatch(error)
    words = f"the container ended with exit code {exit_code[1]}" if exit_code else error
    return f"on {node_name(last, moment)}: {words}"


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"


class Obstacle(t.NamedTuple):
    """What keeps a replica from its node, and what to do about it."""

    words: str
    fix: str


def node_obstacle(node: t.Mapping[str, t.Any]) -> Obstacle | None:
    """Return why Swarm starts nothing on a node."""
    name, state = node["Description"]["Hostname"], node["Status"]["State"]
    availability = node["Spec"]["Availability"]
    another = "or name another node in dtr_cache_nodes and run dtr.cache.deploy"
    if state != "ready":
        return Obstacle(f"node {name} is {state}", f"start the Engine of {name}, {another}")
    if availability != "active":
        command = f"docker node update --availability active {name}"
        return Obstacle(f"node {name} is set to {availability}", f"let it take tasks with: {command}, {another}")
    return None


ENDED_BADLY = ("failed", "rejected", "orphaned")
ENDED = ("complete", "shutdown", "remove", *ENDED_BADLY)
_TIMESTAMP = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?Z")


def task_rows(moment: Moment) -> list[dict[str, t.Any]]:
    """The newest task of each replica and each task that ended badly, as the result shows them."""
    rows = []
    for task in sorted(moment.tasks, key=created, reverse=True):
        if is_to_run(task) or task["Status"]["State"] in ENDED_BADLY:
            rows.append(
                {
                    "node": node_name(task, moment),
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
        running = [task for task in tasks_of(service, moment) if runs(task, moment)]
        rows.append(
            {
                "name": name,
                "image": view.get("image"),
                "replicas": {"wanted": view.get("replicas", 0), "running": len(running)},
                "ports": view.get("ports", []),
                "nodes": sorted(node_name(task, moment) for task in running),
            }
        )
    return rows


def published_ports(moment: Moment, name: str) -> list[int]:
    """The host ports that a service publishes; none where the stack has no such service."""
    service = moment.services.get(name)
    return sorted({port.published for port in live_ports(service["Spec"])}) if service else []


def stalled_services(moment: Moment) -> list[str]:
    """The services whose replicas have all ended and for which Swarm makes no new one, although it should.

    Swarm can lose a replica when its node loses the label while the service is updated. It schedules again at the
    next update, also at one that changes nothing.
    """
    names = []
    for name, service in sorted(moment.services.items()):
        tasks = tasks_of(service, moment)
        if tasks and replicas_of(service) and not any(map(is_to_run, tasks)):
            names.append(name)
    return names


def tasks_of(service: Raw, moment: Moment) -> list[Raw]:
    """The tasks of one service."""
    return [task for task in moment.tasks if task["ServiceID"] == service["ID"]]


def is_current(task: Raw, service: Raw) -> bool:
    """Whether a task was made from what the service declares now: same image, files, command and places."""
    wanted = service["Spec"]["TaskTemplate"]
    parts = ("ContainerSpec", "Placement", "Resources", "ForceUpdate")
    return all((task["Spec"].get(part) or None) == (wanted.get(part) or None) for part in parts)


def replicas_of(service: Raw) -> int:
    """How many replicas a service declares."""
    return int(((service["Spec"].get("Mode") or {}).get("Replicated") or {}).get("Replicas", 0))


def is_to_run(task: Raw) -> bool:
    """Whether Swarm wants the task to run."""
    return task["DesiredState"] in ("ready", "running")


def runs(task: Raw, moment: Moment) -> bool:
    """Whether the task really runs, on a node that is ready."""
    return task["Status"]["State"] == "running" and task["DesiredState"] == "running" and is_ready(task, moment)


def is_ready(task: Raw, moment: Moment) -> bool:
    """Whether the task's node is ready."""
    node = moment.nodes.get(task.get("NodeID", ""))
    return node is not None and node["Status"]["State"] == "ready"


def node_name(task: Raw, moment: Moment) -> str:
    """The host name of the task's node; empty where it has none."""
    node = moment.nodes.get(task.get("NodeID", ""))
    return str(node["Description"]["Hostname"]) if node else ""


def _exit_code(task: Raw) -> int | None:
    """The exit code of a container that has ended; the Engine reports 0 for those that never ran or still do."""
    code: int | None = (task["Status"].get("ContainerStatus") or {}).get("ExitCode")
    return code if task["Status"]["State"] in ("complete", "failed") else None


def created(task: Raw) -> float:
    """When the task was made, in seconds since 1970."""
    return since_1970(task["CreatedAt"])


def since_1970(timestamp: str) -> float:
    """Seconds since 1970 of one of the Engine's timestamps, which have up to nine digits after the point."""
    match = _TIMESTAMP.fullmatch(timestamp)
    if not match:
        return 0.0
    whole = datetime.datetime.strptime(match[1], "%Y-%m-%dT%H:%M:%S").replace(tzinfo=datetime.timezone.utc)
    return whole.timestamp() + float(match[2] or 0)
