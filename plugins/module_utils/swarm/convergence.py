# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Waiting until a stack has settled.

Docker's own answers do not serve: C(docker stack deploy --detach=false) can hang on tasks that have ended and exits 0
after a rollback.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import time
import typing as t

from ..common.failure import Failure
from ..common.redaction import redacted
from ..common.vocabulary import word
from .engine import Engine
from .model import NO_ENGINE, NOT_A_MANAGER, Moment, Raw
from .objects import stale_objects
from .task_logs import log_of_failure
from .verdict import (
    CONVERGED,
    ENDED_BADLY,
    NO_NODE,
    NOT_AGAIN,
    PAUSED,
    REMOVED,
    REPLACED,
    ROLLED_BACK,
    STALLED,
    TASK_FAILED,
    TIMED_OUT,
    Judgement,
    Seen,
    created,
    judge,
    node_name,
    replicas_of,
    running_services,
    runs,
    since_1970,
    stalled_services,
    task_rows,
    tasks_of,
)

_LOG_LINES = 20
# The least that a request gets, however little is left of the wait.
_SECONDS_OF_A_REQUEST = 5
# An Engine that starts again is no manager for a moment; one that was demoted stays none.
SECONDS_TO_BE_MANAGER_AGAIN = 15
# For what the result has beside the verdict; the time for the wait itself may be over.
_SECONDS_AFTERWARDS = 10
_HINTS = {
    TASK_FAILED: "The tasks in this result say more.",
    STALLED: "Deploy it again, or start it on a manager: docker service update --force",
    ROLLED_BACK: "Fix the cause and deploy again.",
    PAUSED: "Fix the cause and deploy again.",
    NO_NODE: "Check the nodes' labels, states and published ports: docker node ls, docker service ls",
    REMOVED: "Find out who removed it, and deploy it again.",
    REPLACED: "Only one run at a time may change a stack: wait until the other one has ended, then deploy again.",
    TIMED_OUT: f"The timeline in this result shows how far it came; a longer {word('wait')} may be needed.",
}

# Swarm's words for a node whose resources are reserved.
_NO_ROOM = "insufficient resources"
_UNTRIED = "What is planned was not tried before the cache is changed, as its nodes have no room for one more replica"
_REFUSED = "The cache was not changed, as a trial replica with what is planned does not run"
_HINT_OF_TRIAL = "Correct the variable that the reason points to, and run it again."


@dataclasses.dataclass
class Outcome:
    """The end of the wait. C(is_current) says whether the moment is that of the end."""

    verdict: str
    reason: str
    moment: Moment
    timeline: list[dict[str, t.Any]]
    is_current: bool = True
    fix: str = ""

    def running(self) -> str:
        """What runs at the end, as a sentence; nothing where that was not seen, or the reason says it."""
        if self.verdict in (REMOVED, REPLACED) or not self.is_current:
            return ""
        replicas = [each["replicas"] for each in running_services(self.moment)]
        running, wanted = (sum(each[name] for each in replicas) for name in ("running", "wanted"))
        if not running:
            return " No replica of it runs."
        return f" {running} of {wanted} replicas run, as before the update." if self.verdict == ROLLED_BACK else ""


def settle(
    engine: Engine,
    options: t.Mapping[str, t.Any],
    warn: t.Callable[[str], None] = lambda _sentence: None,
    advise: t.Callable[[str, str], str] = lambda _error, _line: "",
) -> dict[str, t.Any]:
    """Wait for the verdict on the stack that the options name, and return what was observed.

    Args:
        engine: The manager's Engine.
        options: The module's options.
        warn: Takes a sentence about a trial for which there is no room.
        advise: Gives what to do about a task that failed, by its error and the last line of its log.

    Raises:
        Failure: The verdict is one that the task fails with; the failure carries everything that was observed.
    """
    stack = options["name"]
    known: list[dict[str, t.Any]] = []

    end = time.monotonic() + options["timeout"]

    def observe() -> Moment:
        engine.answer_within(max(_SECONDS_OF_A_REQUEST, end - time.monotonic()))
        if not known:
            known.append(engine.require_manager())
        try:
            return engine.observe(stack, options["former"])
        except Failure:
            # It may be no manager any more, which is asked next time.
            known.clear()
            raise

    outcome = wait(
        observe,
        timeout=options["timeout"],
        clock=time.monotonic,
        sleep=time.sleep,
        definition=options["definition"],
    )
    engine.answer_within(_SECONDS_AFTERWARDS)
    verdict = outcome.verdict
    result: dict[str, t.Any] = {
        "verdict": verdict,
        "tasks": task_rows(outcome.moment),
        "timeline": outcome.timeline,
        "stalled": stalled_services(outcome.moment),
        "services": running_services(outcome.moment),
    }
    with contextlib.suppress(Failure):
        # The Engine may be away again, and a verdict that was found does not go with it.
        result["stale"] = stale_objects(engine.read_swarm(stack), stack)
    gap = gap_seconds(outcome.moment, options["known_tasks"])
    if gap is not None:
        result["gap_seconds"] = gap
        result["cut_off"] = cut_off(outcome.moment, options["known_tasks"])
    if verdict == CONVERGED or (verdict == STALLED and not options["fail_when_stalled"]):
        return {"changed": False, **result}
    message = f"Stack {stack} did not settle: {outcome.reason}."
    if options["trial"]:
        if verdict == NO_NODE and _NO_ROOM in outcome.reason:
            warn(f"{_UNTRIED} ({outcome.reason}).")
            return {"changed": False, **result}
        message = f"{_REFUSED} (stack {stack}): {outcome.reason.rpartition(NOT_AGAIN)[2].strip()}."
    else:
        message += outcome.running()
    if verdict in (TASK_FAILED, STALLED, ROLLED_BACK, PAUSED):
        log = log_of_failure(engine.task_log, outcome.moment, _LOG_LINES, _SECONDS_AFTERWARDS)
        result["log"] = [redacted(line) for line in log.lines]
        if result["log"]:
            message += f" The container's log ends with: {result['log'][-1]}"
        elif log.unread:
            message += f" The container's log could not be read: {log.unread[0]}."
    error = next((row["error"] for row in result["tasks"] if row["error"]), "")
    hint = outcome.fix or (advise(error, result["log"][-1] if result["log"] else "") if "log" in result else "")
    raise Failure(
        verdict.upper(),
        message,
        hint=hint or (_HINT_OF_TRIAL if options["trial"] else _HINTS[verdict]),
        **result,
    )


def wait(
    observe: t.Callable[[], Moment],
    *,
    timeout: float,
    clock: t.Callable[[], float],
    sleep: t.Callable[[float], None],
    interval: float = 0.5,
    definition: t.Mapping[str, t.Any] | None = None,
) -> Outcome:
    """Observe until there is a verdict, at the latest when the time (in seconds) is over.

    An observation that fails does not end the wait: a manager may be away for a moment, or the Swarm without a leader.
    One that was never there is not waited for.

    Raises:
        Failure: The Engine gave no answer at all in this time, which makes the verdict C(timed_out), or it is no
            manager, or no longer one.
    """
    start = clock()
    timeline: list[dict[str, t.Any]] = []
    moment: Moment | None = None
    seen = Seen()
    verdict, since = None, start
    demoted: float | None = None
    while True:
        now_seen: Moment | None = None
        try:
            now_seen = observe()
        except Failure as failure:
            judgement = Judgement(None, failure.message)
            if failure.code != NOT_A_MANAGER:
                demoted = None
            elif demoted is None:
                demoted = clock()
            if demoted is not None and (moment is None or clock() - demoted >= SECONDS_TO_BE_MANAGER_AGAIN):
                raise
            if moment is None and (failure.code == NO_ENGINE or clock() - start >= timeout):
                _note(timeline, clock() - start, judgement.reason)
                failure.result.update(verdict=TIMED_OUT, tasks=[], timeline=timeline)
                raise
        else:
            if moment is None:
                failed = (task["ID"] for task in now_seen.tasks if task["Status"]["State"] in ENDED_BADLY)
                seen = Seen(old_failures=frozenset(failed))
            moment, demoted = now_seen, None
            judgement = judge(moment, definition=definition, seen=seen)
            seen = seen.and_now(moment, definition or {})
        now = clock()
        _note(timeline, now - start, judgement.reason)
        if judgement.verdict != verdict:
            verdict, since = judgement.verdict, now
        if moment is not None and verdict and now - since >= judgement.hold:
            return Outcome(verdict, judgement.reason, moment, timeline, fix=judgement.fix)
        if moment is not None and now - start >= timeout:
            short = f", but not yet for {judgement.hold:g} seconds" if verdict == CONVERGED else ""
            reason = f"not settled after {timeout:g} seconds: {judgement.reason}{short}"
            _note(timeline, now - start, reason)
            return Outcome(TIMED_OUT, reason, moment, timeline, is_current=moment is now_seen, fix=judgement.fix)
        sleep(interval)


def _note(timeline: list[dict[str, t.Any]], second: float, event: str) -> None:
    """Each change once."""
    if not timeline or timeline[-1]["event"] != event:
        timeline.append({"second": round(second, 1), "event": event})


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
