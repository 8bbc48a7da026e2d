# Copyright: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Verdicts from the Engine's own states, and a wait that always ends."""

from __future__ import annotations

import itertools
import typing as t

import pytest
from ansible_collections.dtr.cache.plugins.module_utils.common.failure import Failure
from ansible_collections.dtr.cache.plugins.module_utils.swarm import convergence
from ansible_collections.dtr.cache.plugins.module_utils.swarm.model import Moment, Swarm

SPEC = {"ContainerSpec": {"Image": "cache:2"}, "Placement": {"Constraints": ["a == b"]}, "ForceUpdate": 0}
OLD_SPEC = {**SPEC, "ContainerSpec": {"Image": "cache:1"}}


def node(name: str, state: str = "ready", availability: str = "active", **labels: str) -> dict[str, t.Any]:
    return {
        "ID": name,
        "Description": {"Hostname": name},
        "Status": {"State": state},
        "Spec": {"Availability": availability, "Labels": labels, "Role": "worker"},
    }


NODES = {"n1": node("worker-1", a="b"), "n2": node("worker-2", state="down")}
NO_NODE = "no suitable node (scheduling constraints not satisfied on 2 nodes)"
IDS = itertools.count()


def service(replicas: int = 1, update: dict[str, str] | None = None) -> dict[str, t.Any]:
    return {
        "ID": "s1",
        "Spec": {"Name": "st_cache", "TaskTemplate": SPEC, "Mode": {"Replicated": {"Replicas": replicas}}},
        "UpdateStatus": update,
    }


def task(
    state: str = "running",
    *,
    node: str = "n1",
    desired: str = "running",
    spec: dict[str, t.Any] | None = None,
    error: str = "",
    exit_code: int | None = None,
    at: str = "2026-01-01T00:00:00Z",
    created: str | None = None,
    slot: int = 1,
) -> dict[str, t.Any]:
    status: dict[str, t.Any] = {"State": state, "Err": error, "Timestamp": at}
    if exit_code is not None:
        status["ContainerStatus"] = {"ExitCode": exit_code}
    return {
        "ID": f"t{next(IDS)}",
        "ServiceID": "s1",
        "Slot": slot,
        "NodeID": node,
        "DesiredState": desired,
        "Status": status,
        "Spec": spec or SPEC,
        "CreatedAt": created or at,
    }


def moment(*tasks: dict[str, t.Any], nodes: dict[str, t.Any] | None = None, **kwargs: t.Any) -> Moment:
    return Moment({"cache": service(**kwargs)}, tasks, NODES if nodes is None else nodes)


FAILED = task("failed", desired="shutdown", error="task: non-zero exit (1)", exit_code=1)

CASES: list[tuple[str, Moment, str | None]] = [
    ("all replicas run", moment(task(), task(), replicas=2), "converged"),
    ("no replica is wanted", moment(replicas=0), "converged"),
    ("one replica is missing", moment(task(), task("starting"), replicas=2), None),
    ("the old task still runs", moment(task(spec=OLD_SPEC)), None),
    ("the update goes on", moment(task(), update={"State": "updating"}), None),
    ("an older update was completed", moment(task(), update={"State": "completed"}), "converged"),
    ("the node of a running task is down", moment(task(node="n2")), None),
    ("two failures are not the end", moment(FAILED, FAILED, task("starting")), None),
    ("three failures are", moment(FAILED, FAILED, FAILED, task("ready")), "task_failed"),
    ("failures of an older definition do not count", moment(*[{**FAILED, "Spec": OLD_SPEC}] * 5, task()), "converged"),
    ("failures do not count when all run in the end", moment(FAILED, FAILED, FAILED, task()), "converged"),
    ("the container ends with success", moment(task("complete", desired="shutdown", exit_code=0)), "task_failed"),
    ("it is not started again", moment(FAILED), "task_failed"),
    ("no node fits", moment(task("pending", node="", error=NO_NODE)), "no_node"),
    (
        "no node fits while the one before still ends",
        moment(task("pending", node="", desired="ready", error=NO_NODE), task(desired="shutdown", spec=OLD_SPEC)),
        None,
    ),
    (
        "the one before is on a node that is down and will never end",
        moment(task("pending", node="", error=NO_NODE), task(desired="shutdown", node="n2")),
        "no_node",
    ),
    ("rolled back", moment(task(), update={"State": "rollback_completed", "Message": "m"}), "rolled_back"),
    ("on its way back", moment(task(), update={"State": "rollback_started", "Message": "m"}), None),
    ("paused", moment(task(spec=OLD_SPEC), update={"State": "paused", "Message": "m"}), "paused"),
    ("paused, but all run", moment(task(), update={"State": "paused", "Message": "m"}), "converged"),
    ("paused on the way back", moment(FAILED, update={"State": "rollback_paused", "Message": "m"}), "paused"),
    ("so, but all run", moment(task(), update={"State": "rollback_paused", "Message": "m"}), "paused"),
    ("Swarm has lost the replica", moment(task("rejected", desired="shutdown", spec=OLD_SPEC)), "task_failed"),
    ("it makes a new one", moment(task("rejected", desired="shutdown", spec=OLD_SPEC), task("new")), None),
    ("no service yet", Moment({}, [], NODES), None),
]


@pytest.mark.parametrize(("seen", "verdict"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_a_look_has_its_verdict(seen: Moment, verdict: str | None) -> None:
    judgement = convergence.judge(seen)
    assert judgement.verdict == verdict
    assert judgement.reason


def test_a_service_is_stalled_without_a_replica_to_come() -> None:
    ended = task("rejected", desired="shutdown")
    assert convergence.stalled_services(moment(ended)) == ["cache"]
    assert "until it is deployed again" in convergence.judge(moment({**ended, "Spec": OLD_SPEC})).reason
    for seen in (
        moment(ended, task("pending")),
        moment(ended, task("ready", desired="ready")),
        moment(),
        moment(task()),
    ):
        assert convergence.stalled_services(seen) == []
    assert convergence.stalled_services(moment(ended, replicas=0)) == []


def test_a_failure_names_node_and_exit_code() -> None:
    reason = convergence.judge(moment(FAILED, FAILED, FAILED, task("ready", desired="ready"))).reason
    assert reason == "service cache: 3 tasks failed, the last on worker-1: the container ended with exit code 1"


@pytest.mark.parametrize(
    ("nodes", "words"),
    [
        ({"n1": node("worker-1", a="c")}, "no node has a == b"),
        ({"n1": node("worker-1", "down", a="b"), "n2": node("worker-2")}, "node worker-1 is down"),
        ({"n1": node("worker-1", availability="drain", a="B")}, "node worker-1 is set to drain"),
        ({"n1": node("worker-1", a="b")}, NO_NODE),
    ],
)
def test_no_node_tells_what_keeps_the_nodes_that_are_meant(nodes: dict[str, t.Any], words: str) -> None:
    constraint = {"Constraints": ["node.labels.a == b"]}
    seen = moment(task("pending", node="", error=NO_NODE, spec={**SPEC, "Placement": constraint}), nodes=nodes)
    seen.services["cache"]["Spec"]["TaskTemplate"] = {**SPEC, "Placement": constraint}
    judgement = convergence.judge(seen)
    assert judgement.verdict == "no_node"
    assert words.replace("a == b", "node.labels.a == b") in judgement.reason


@pytest.mark.parametrize(
    ("constraint", "meets"),
    [
        ("node.hostname == worker-1", True),
        ("node.hostname != worker-1", False),
        ("node.role==worker", True),
        ("node.labels.zone != x", True),
        ("node.labels.a==b", True),
        ("engine.labels.zone == x", True),
        ("gibberish", True),
    ],
)
def test_constraints_are_read_as_swarm_reads_them(constraint: str, meets: bool) -> None:
    assert convergence._meets(NODES["n1"], constraint) is meets


def test_a_rollback_names_the_cause_and_only_that_of_this_update() -> None:
    update = {"State": "rollback_completed", "Message": "m", "StartedAt": "2026-01-02T00:00:00.5Z"}
    new = task("failed", desired="shutdown", spec=OLD_SPEC, error="task: non-zero exit (3)", at="2026-01-02T00:00:09Z")
    old = task("failed", desired="shutdown", spec=OLD_SPEC, error="an older one", at="2026-01-01T23:59:59Z")
    reason = convergence.judge(moment(task(), new, old, update=update)).reason
    assert "was rolled back" in reason
    assert "on worker-1: the container ended with exit code 3" in reason


DECLARED = {"services": {"cache": {"image": "cache:2", "deploy": {"placement": {"constraints": ["a == b"]}}}}}
ANOTHER = {"services": {"cache": {**DECLARED["services"]["cache"], "image": "cache:3"}}}


@pytest.mark.parametrize(("state", "verdict"), [("rollback_completed", "rolled_back"), ("rollback_paused", "paused")])
def test_a_rollback_of_an_earlier_deployment_does_not_count(state: str, verdict: str) -> None:
    seen = moment(task(), update={"State": state, "Message": "m"})
    assert convergence.judge(seen, definition=DECLARED).verdict == "converged"
    assert convergence.judge(seen, definition=ANOTHER).verdict == verdict


def test_what_runs_has_not_converged_when_it_is_not_what_was_declared() -> None:
    assert convergence.judge(moment(task()), definition=DECLARED).verdict == "converged"
    judgement = convergence.judge(moment(task()), definition=ANOTHER)
    assert (judgement.verdict, judgement.reason) == (None, "service cache is not as the stack declares it: image")
    more = {"services": {**DECLARED["services"], "second": {"image": "second:1"}}}
    judgement = convergence.judge(moment(task()), definition=more)
    assert (judgement.verdict, judgement.reason) == (None, "the stack has no service second yet")


def test_why_replicas_do_not_run_is_told_before_what_is_not_as_declared() -> None:
    homeless = moment(task("pending", node="", error=NO_NODE))
    assert convergence.judge(homeless, definition=ANOTHER).verdict == "no_node"


class Clock:
    """A clock that only a sleep moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def wait(looks: t.Sequence[Moment | Failure], timeout: float = 60) -> tuple[convergence.Outcome, float]:
    clock = Clock()
    left = list(looks)

    def look() -> Moment:
        seen = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(seen, Failure):
            raise seen
        return seen

    outcome = convergence.wait(look, timeout=timeout, clock=clock, sleep=clock.sleep)
    return outcome, clock.now - 100


def test_converged_must_hold_for_a_while() -> None:
    outcome, seconds = wait([moment(task("starting")), moment(task())])
    assert outcome.verdict == "converged"
    assert seconds >= convergence.SECONDS_STABLE


def test_what_the_engine_has_watched_itself_is_believed_sooner() -> None:
    _outcome, seconds = wait([moment(task(), update={"State": "completed"})])
    assert convergence.SECONDS_STABLE_AFTER_UPDATE <= seconds < convergence.SECONDS_STABLE


def test_a_container_that_stops_after_its_start_has_not_converged() -> None:
    failures = [{**FAILED, "ID": name} for name in "abc"]
    looks = [moment(task())] * 2 + [moment(failures[0], task("ready")), moment(*failures, task("ready"))]
    assert wait(looks)[0].verdict == "task_failed"


def test_failures_from_before_the_wait_do_not_count() -> None:
    old = [FAILED, {**FAILED, "ID": "a"}, {**FAILED, "ID": "b"}]
    outcome, _seconds = wait([moment(*old, task("starting")), moment(*old, task("starting")), moment(*old, task())])
    assert outcome.verdict == "converged"


def test_one_that_has_failed_must_run_longer() -> None:
    _outcome, seconds = wait([moment(FAILED, task("starting")), moment(FAILED, task())])
    assert seconds >= convergence.SECONDS_STABLE_AFTER_FAILURE


def test_a_rollback_is_waited_for() -> None:
    on_its_way = moment(task("starting"), update={"State": "rollback_started", "Message": "m"})
    outcome, _seconds = wait([on_its_way, moment(task(), update={"State": "rollback_completed", "Message": "m"})])
    assert outcome.verdict == "rolled_back"
    assert "is being rolled back" in outcome.timeline[0]["event"]


def test_a_manager_that_is_away_for_a_moment_does_not_end_the_wait() -> None:
    looks: list[Moment | Failure] = [Failure("ENGINE_ERROR", "no leader"), moment(task("starting"))]
    outcome, _seconds = wait([*looks, Failure("ENGINE_ERROR", "no leader"), moment(task())])
    assert outcome.verdict == "converged"
    assert "no leader" in [entry["event"] for entry in outcome.timeline]


def test_a_manager_that_stays_away_is_the_failure_with_its_verdict_and_timeline() -> None:
    with pytest.raises(Failure, match="no leader") as caught:
        wait([Failure("ENGINE_UNREACHABLE", "refused"), Failure("ENGINE_ERROR", "no leader")], timeout=5)
    assert caught.value.result == {
        "verdict": "timed_out",
        "tasks": [],
        "timeline": [{"second": 0.0, "event": "refused"}, {"second": 0.5, "event": "no leader"}],
    }


def test_a_worker_is_told_at_once() -> None:
    clock = Clock()

    def look() -> Moment:
        raise Failure("NOT_A_MANAGER", "a worker")

    with pytest.raises(Failure, match="a worker"):
        convergence.wait(look, timeout=60, clock=clock, sleep=clock.sleep)
    assert clock.now == 100


def test_a_label_that_comes_in_time_is_no_failure() -> None:
    homeless = moment(task("pending", node="", error="no suitable node"))
    outcome, _seconds = wait([homeless, homeless, moment(task())])
    assert outcome.verdict == "converged"


def test_no_node_is_a_verdict_long_before_the_timeout() -> None:
    outcome, seconds = wait([moment(task("pending", node="", error="no suitable node"))], timeout=300)
    assert outcome.verdict == "no_node"
    assert seconds < 20


@pytest.mark.parametrize("timeout", [0, 1, 7.5])
def test_the_wait_ends_when_its_time_is_over(timeout: float) -> None:
    outcome, seconds = wait([moment(task("starting"))], timeout=timeout)
    assert outcome.verdict == "timed_out"
    assert "starting" in outcome.reason
    assert seconds <= timeout + 1


def test_the_timeline_names_each_change_once() -> None:
    outcome, _seconds = wait([moment(task("preparing"))] * 3 + [moment(task("starting"))] * 2 + [moment(task())])
    events = [entry["event"] for entry in outcome.timeline]
    assert len(events) == 3
    assert [entry["second"] for entry in outcome.timeline] == [0.0, 1.5, 2.5]


def test_rows_show_the_replicas_and_what_ended_badly() -> None:
    rows = convergence.task_rows(moment(FAILED, task(at="2026-01-02T00:00:00Z"), task("shutdown", desired="shutdown")))
    assert [(row["node"], row["state"], row["exit_code"]) for row in rows] == [
        ("worker-1", "running", None),
        ("worker-1", "failed", 1),
    ]


def test_what_runs_is_counted_on_nodes_that_are_ready_only() -> None:
    live = service(replicas=3)
    port = {"PublishedPort": 443, "TargetPort": 443, "Protocol": "tcp", "PublishMode": "host"}
    live["Spec"]["EndpointSpec"] = {"Ports": [port]}
    tasks = [task("running"), task("running", node="n2"), task("running", spec=OLD_SPEC), FAILED]
    seen = Moment({"cache": live}, tasks, NODES)
    assert convergence.running_services(seen) == [
        {
            "name": "cache",
            "image": "cache:2",
            "replicas": {"wanted": 3, "running": 2},
            "ports": ["443:443/tcp (host)"],
            "nodes": ["worker-1", "worker-1"],
        }
    ]


STARTED = {"State": "completed", "StartedAt": "2026-01-01T00:01:00Z"}


def replica(slot: int, stopped: str, ended: str, runs: str) -> tuple[dict[str, t.Any], dict[str, t.Any]]:
    """A replica that was exchanged; the seconds of the minute when it was asked to stop, ended, and the new one ran."""
    day = "2026-01-01T00:0"
    old = task("shutdown", desired="shutdown", spec=OLD_SPEC, created=f"{day}0:00Z", at=f"{day}1:{ended}Z", slot=slot)
    return old, task(created=f"{day}1:{stopped}Z", at=f"{day}1:{runs}Z", slot=slot)


@pytest.mark.parametrize(
    ("replicas", "seconds"),
    [
        ([replica(1, "00.5", "03", "04.123456789")], 1.6),
        ([replica(1, "00", "03", "04"), replica(2, "09", "12", "13")], 0.0),
        # The second was taken away before the first one was there again.
        ([replica(1, "00", "03", "14"), replica(2, "09", "12", "13")], 2.0),
        # It had failed by itself, before anybody asked it to stop.
        ([replica(1, "08", "03", "10")], 7.0),
    ],
)
def test_the_gap_is_the_time_in_which_no_replica_took_requests(
    replicas: list[tuple[dict[str, t.Any], ...]], seconds: float
) -> None:
    tasks = [each for pair in replicas for each in pair]
    assert convergence.gap_seconds(moment(*tasks, update=STARTED)) == seconds


def test_a_replica_that_failed_did_not_serve() -> None:
    old, new = replica(1, "00", "01", "20")
    failed = {
        **FAILED,
        "CreatedAt": "2026-01-01T00:01:00Z",
        "Status": {**FAILED["Status"], "Timestamp": "2026-01-01T00:01:05Z"},
    }
    assert convergence.gap_seconds(moment(old, failed, new, update=STARTED)) == 19.0


def test_without_an_update_there_is_no_gap_to_tell() -> None:
    assert convergence.gap_seconds(moment(task())) is None


def test_a_replica_that_was_not_exchanged_served_all_the_time() -> None:
    old, new = replica(1, "00", "01", "20")
    assert convergence.gap_seconds(moment(old, new, task(slot=2), update=STARTED)) == 0.0


def test_stale_objects_are_those_that_nothing_refers_to_oldest_first() -> None:
    def using(*configs: str) -> dict[str, t.Any]:
        return {"TaskTemplate": {"ContainerSpec": {"Configs": [{"ConfigName": name} for name in configs]}}}

    def config(created: str, **labels: str) -> dict[str, t.Any]:
        return {"CreatedAt": created, "Spec": {"Labels": labels}}

    ours = {"dtr.cache.stack": "st"}
    configs = {
        "running": config("6", **ours),
        "previous": config("5", **ours),
        "another-service's": config("4", **ours),
        "by-hand": config("3", **{"com.docker.stack.namespace": "st"}),
        "old": config("2", **ours),
        # The name does not tell whose it is.
        "st_of-another-stack": config("1", **{"dtr.cache.stack": "st_of"}),
        "st_of-nobody": config("0"),
    }
    swarm = Swarm(
        nodes={},
        services={"cache": {"Spec": using("running"), "PreviousSpec": using("previous")}},
        other_services=[{"Spec": using("another-service's")}],
        configs=configs,
        secrets={},
        networks={},
    )
    assert convergence.stale_objects(swarm, "st") == ["old", "by-hand"]
