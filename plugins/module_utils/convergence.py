# Copyright: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Did a stack settle? A verdict from the Engine's own states of services, tasks and nodes, and the wait for it.

Docker's own answers do not serve: C(docker stack deploy --detach=false) can hang on tasks that have ended and exits 0
after a rollback, and C(docker service ls) counts a task of a node that is down as running.
"""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.dtr.cache.plugins.module_utils.engine import Moment, Raw

CONVERGED = "converged"
ROLLED_BACK = "rolled_back"
PAUSED = "paused"
TASK_FAILED = "task_failed"
NO_NODE = "no_node"
TIMED_OUT = "timed_out"

# A task whose restart did not help twice will not be helped by a fourth start.
FAILURES_TO_GIVE_UP = 3
ENDED_BADLY = ("failed", "rejected", "orphaned")
# Swarm's scheduler says so at once, and takes it back within seconds when a label has just been set.
SECONDS_WITHOUT_NODE = 10
# A container that stops right after its start was running for a moment.
SECONDS_STABLE = 3


@dataclasses.dataclass(frozen=True)
class Judgement:
    """A verdict with its reason in one sentence; no verdict while it is still open."""

    verdict: str | None
    reason: str


@dataclasses.dataclass
class Outcome:
    """The end of the wait."""

    verdict: str
    reason: str
    moment: Moment
    timeline: list[dict[str, t.Any]]


def judge(moment: Moment) -> Judgement:
    """What one look says. C(converged) and C(no_node) still have to hold for a while."""
    if not moment.services:
        return Judgement(None, "the stack has no service yet")
    open_reasons = []
    for name, service in moment.services.items():
        judgement = _judge_service(name, service, moment)
        if judgement.verdict not in (CONVERGED, None):
            return judgement
        if judgement.verdict is None:
            open_reasons.append(judgement.reason)
    if open_reasons:
        return Judgement(None, "; ".join(open_reasons))
    return Judgement(CONVERGED, "every replica runs what the stack declares, on a node that is ready")


def wait(
    look: t.Callable[[], Moment],
    *,
    timeout: float,
    clock: t.Callable[[], float],
    sleep: t.Callable[[float], None],
    interval: float = 0.5,
) -> Outcome:
    """Look again and again until there is a verdict, at the latest when the time (in seconds) is over."""
    start = clock()
    timeline: list[dict[str, t.Any]] = []
    since: dict[str, float] = {}
    while True:
        moment = look()
        judgement = judge(moment)
        now = clock() - start
        if not timeline or timeline[-1]["event"] != judgement.reason:
            timeline.append({"second": round(now, 1), "event": judgement.reason})
        if judgement.verdict not in since:
            since = {judgement.verdict: now} if judgement.verdict else {}
        held = now - since[judgement.verdict] if judgement.verdict else 0.0
        if judgement.verdict and held >= _seconds_to_hold(judgement.verdict):
            return Outcome(judgement.verdict, judgement.reason, moment, timeline)
        if now >= timeout:
            reason = f"not settled after {timeout:g} seconds: {judgement.reason}"
            timeline.append({"second": round(now, 1), "event": reason})
            return Outcome(TIMED_OUT, reason, moment, timeline)
        sleep(interval)


def task_rows(moment: Moment) -> list[dict[str, t.Any]]:
    """The newest task of each replica and each task that ended badly, as the result shows them."""
    rows = []
    for task in sorted(moment.tasks, key=lambda task: t.cast(str, task["CreatedAt"]), reverse=True):
        state = task["Status"]["State"]
        if task["DesiredState"] == "running" or state in ENDED_BADLY:
            status = task["Status"]
            rows.append(
                {
                    "node": _node_name(task, moment),
                    "state": state,
                    "error": status.get("Err", ""),
                    "exit_code": (status.get("ContainerStatus") or {}).get("ExitCode"),
                    "image": task["Spec"]["ContainerSpec"]["Image"],
                }
            )
    return rows


def stale_objects(moment: Moment, stack: str, configs: t.Mapping[str, Raw], secrets: t.Mapping[str, Raw]) -> list[str]:
    """The names of this stack's configs and secrets that no service refers to, oldest first."""
    used = set()
    for service in moment.services.values():
        for spec in (service["Spec"], service.get("PreviousSpec") or {}):
            container = (spec.get("TaskTemplate") or {}).get("ContainerSpec") or {}
            used |= {item["ConfigName"] for item in container.get("Configs") or []}
            used |= {item["SecretName"] for item in container.get("Secrets") or []}
    objects = [*configs.items(), *secrets.items()]
    own = [(item["CreatedAt"], name) for name, item in objects if name.startswith(f"{stack}_") and name not in used]
    return [name for _created, name in sorted(own)]


def _seconds_to_hold(verdict: str) -> float:
    return {CONVERGED: SECONDS_STABLE, NO_NODE: SECONDS_WITHOUT_NODE}.get(verdict, 0)


def _judge_service(name: str, service: Raw, moment: Moment) -> Judgement:
    update = service.get("UpdateStatus") or {}
    state = update.get("State", "")
    if state in ("rollback_started", "rollback_completed"):
        return Judgement(ROLLED_BACK, f"service {name} was rolled back: {update.get('Message', '')}")
    if state in ("paused", "rollback_paused"):
        return Judgement(PAUSED, f"the update of service {name} is paused: {update.get('Message', '')}")
    tasks = [task for task in moment.tasks if task["ServiceID"] == service["ID"]]
    current = [task for task in tasks if _is_current(task, service)]
    failed = [task for task in current if task["Status"]["State"] in ENDED_BADLY]
    if len(failed) >= FAILURES_TO_GIVE_UP:
        return Judgement(TASK_FAILED, _failure_sentence(name, failed, moment))
    replicas = ((service["Spec"].get("Mode") or {}).get("Replicated") or {}).get("Replicas", 0)
    running = [task for task in current if _runs(task, moment)]
    if len(running) >= replicas and state != "updating":
        return Judgement(CONVERGED, f"service {name}: {len(running)}/{replicas} run")
    ended = [task for task in current if task["Status"]["State"] == "complete"]
    if ended and not [task for task in current if task["DesiredState"] == "running"]:
        return Judgement(
            TASK_FAILED, f"service {name}: its container on {_node_name(ended[0], moment)} ended by itself"
        )
    homeless = [task for task in current if "no suitable node" in task["Status"].get("Err", "")]
    if homeless:
        error = homeless[0]["Status"]["Err"]
        return Judgement(NO_NODE, f"service {name}: no node can take {len(homeless)} of {replicas} replicas: {error}")
    lost = [task for task in current if task["Status"]["State"] == "running" and not _runs(task, moment)]
    if lost:
        return Judgement(None, f"service {name}: node {_node_name(lost[0], moment)} of a replica is not ready")
    states = ", ".join(sorted({task["Status"]["State"] for task in current})) or "no task yet"
    return Judgement(None, f"service {name}: {len(running)}/{replicas} run ({states})")


def _is_current(task: Raw, service: Raw) -> bool:
    """Whether a task was made from what the service declares now: same image, files, command and places."""
    wanted = service["Spec"]["TaskTemplate"]
    parts = ("ContainerSpec", "Placement", "Resources", "ForceUpdate")
    return all((task["Spec"].get(part) or None) == (wanted.get(part) or None) for part in parts)


def _runs(task: Raw, moment: Moment) -> bool:
    node = moment.nodes.get(task.get("NodeID", ""))
    return (
        task["Status"]["State"] == "running"
        and task["DesiredState"] == "running"
        and node is not None
        and node["Status"]["State"] == "ready"
    )


def _node_name(task: Raw, moment: Moment) -> str:
    node = moment.nodes.get(task.get("NodeID", ""))
    return str(node["Description"]["Hostname"]) if node else ""


def _failure_sentence(name: str, failed: t.Sequence[Raw], moment: Moment) -> str:
    last = max(failed, key=lambda task: t.cast(str, task["Status"]["Timestamp"]))
    status = last["Status"]
    exit_code = (status.get("ContainerStatus") or {}).get("ExitCode")
    suffix = f" (exit code {exit_code})" if exit_code else ""
    error = status.get("Err") or "no reason given"
    return f"service {name}: {len(failed)} tasks failed, the last on {_node_name(last, moment)}: {error}{suffix}"
