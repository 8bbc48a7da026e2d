# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verdict on one observation, from the Engine's own states."""

from __future__ import annotations

import dataclasses
import typing as t

import pytest
from ansible_collections.dtr.cache.plugins.module_utils.swarm import verdict as verdicts
from ansible_collections.dtr.cache.plugins.module_utils.swarm.model import Moment
from ansible_collections.dtr.cache.plugins.module_utils.swarm.verdict import judge
from ansible_collections.dtr.cache.tests.unit.support.stacks import (
    FAILED,
    NO_NODE,
    NODES,
    OLD_SPEC,
    SPEC,
    moment,
    node,
    service,
    task,
)

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
    ("Swarm has lost the replica", moment(task("rejected", desired="shutdown", spec=OLD_SPEC)), "stalled"),
    ("it makes a new one", moment(task("rejected", desired="shutdown", spec=OLD_SPEC), task("new")), None),
    ("no service yet", Moment({}, [], NODES), None),
]


@pytest.mark.parametrize(("seen", "verdict"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_an_observation_has_its_verdict(seen: Moment, verdict: str | None) -> None:
    judgement = verdicts.judge(seen)
    assert judgement.verdict == verdict
    assert judgement.reason


def test_a_failure_names_node_and_exit_code() -> None:
    reason = verdicts.judge(moment(FAILED, FAILED, FAILED, task("ready", desired="ready"))).reason
    assert reason == "service cache: 3 tasks failed, the last on worker-1: the container ended with exit code 1"


@pytest.mark.parametrize(
    ("nodes", "error", "words", "fix"),
    [
        ({"n1": node("worker-1", a="c")}, NO_NODE, "no node has a == b, so", "--label-add a=b NODE."),
        (
            {"n1": node("worker-1", "down", a="b"), "n2": node("worker-2")},
            NO_NODE,
            "node worker-1 is down, so",
            "Start",
        ),
        ({"n1": node("worker-1", availability="drain", a="B")}, NO_NODE, "node worker-1 is set to drain, so", "active"),
        ({"n1": node("worker-1", a="b")}, "no suitable node (host-mode port already in use on 1 node)", "taken", "ls"),
        ({"n1": node("worker-1", a="b")}, NO_NODE, NO_NODE, ""),
    ],
)
def test_no_node_tells_what_keeps_the_nodes_that_are_meant(
    nodes: dict[str, t.Any], error: str, words: str, fix: str
) -> None:
    constraint = {"Constraints": ["node.labels.a == b"]}
    seen = moment(task("pending", node="", error=error, spec={**SPEC, "Placement": constraint}), nodes=nodes)
    seen.services["cache"]["Spec"]["TaskTemplate"] = {**SPEC, "Placement": constraint}
    judgement = verdicts.judge(seen)
    assert judgement.verdict == "no_node"
    assert words.replace("a == b", "node.labels.a == b") in judgement.reason
    assert fix in judgement.fix
    assert bool(fix) == bool(judgement.fix)


def test_nodes_that_a_new_leader_has_not_heard_of_get_their_time() -> None:
    constraint = {"Constraints": ["node.labels.a == b"]}
    nodes = {"n1": node("worker-1", "unknown", a="b"), "n2": node("worker-2")}
    seen = moment(task("pending", node="", error=NO_NODE, spec={**SPEC, "Placement": constraint}), nodes=nodes)
    seen.services["cache"]["Spec"]["TaskTemplate"] = {**SPEC, "Placement": constraint}
    judgement = verdicts.judge(seen)
    assert judgement.verdict is None
    assert judgement.reason == "service cache: the Swarm's new leader has not heard of node worker-1 yet"


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
    assert verdicts._meets(NODES["n1"], constraint) is meets


def test_a_rollback_names_the_cause_and_only_that_of_this_update() -> None:
    update = {"State": "rollback_completed", "Message": "m", "StartedAt": "2026-01-02T00:00:00.5Z"}
    new = task("failed", desired="shutdown", spec=OLD_SPEC, error="task: non-zero exit (3)", at="2026-01-02T00:00:09Z")
    old = task("failed", desired="shutdown", spec=OLD_SPEC, error="an older one", at="2026-01-01T23:59:59Z")
    reason = verdicts.judge(moment(task(), new, old, update=update)).reason
    assert "was rolled back" in reason
    assert "on worker-1: the container ended with exit code 3" in reason


DECLARED = {"services": {"cache": {"image": "cache:2", "deploy": {"placement": {"constraints": ["a == b"]}}}}}
ANOTHER = {"services": {"cache": {**DECLARED["services"]["cache"], "image": "cache:3"}}}


@pytest.mark.parametrize(("state", "verdict"), [("rollback_completed", "rolled_back"), ("rollback_paused", "paused")])
def test_a_rollback_of_an_earlier_deployment_does_not_count(state: str, verdict: str) -> None:
    seen = moment(task(), update={"State": state, "Message": "m"})
    assert verdicts.judge(seen, definition=DECLARED).verdict == "converged"
    assert verdicts.judge(seen, definition=ANOTHER).verdict == verdict


def test_what_runs_has_not_converged_when_it_is_not_what_was_declared() -> None:
    assert verdicts.judge(moment(task()), definition=DECLARED).verdict == "converged"
    judgement = verdicts.judge(moment(task()), definition=ANOTHER)
    assert (judgement.verdict, judgement.reason) == (None, "service cache is not as the stack declares it: image")
    more = {"services": {**DECLARED["services"], "second": {"image": "second:1"}}}
    judgement = verdicts.judge(moment(task()), definition=more)
    assert (judgement.verdict, judgement.reason) == (None, "the stack has no service second yet")


def test_why_replicas_do_not_run_is_told_before_what_is_not_as_declared() -> None:
    homeless = moment(task("pending", node="", error=NO_NODE))
    assert verdicts.judge(homeless, definition=ANOTHER).verdict == "no_node"


PORT = {
    "EndpointSpec": {"Ports": [{"Protocol": "tcp", "TargetPort": 443, "PublishedPort": 443, "PublishMode": "host"}]}
}
TWO = {"n1": node("worker-1", a="b"), "n2": node("worker-2", a="b"), "n3": node("worker-3", availability="drain")}


@pytest.mark.parametrize(
    ("former", "holding", "running", "verdict"),
    [
        (2, ["n1", "n2"], 0, "converged"),
        (1, ["n1"], 1, "converged"),
        (1, ["n1"], 0, None),
        # Swarm has not yet chosen which of them is too many.
        (1, ["n1", "n2"], 0, None),
        (1, ["n3"], 1, None),
        (1, ["n3"], 2, "converged"),
        (0, [], 1, None),
        (0, [], 2, "converged"),
    ],
)
def test_a_replica_that_waits_for_a_port_of_a_former_service_is_not_waited_for(
    former: int, holding: list[str], running: int, verdict: str | None
) -> None:
    own = moment(*[task()] * running, *[task("pending", node="", error="")] * (2 - running), nodes=TWO, replicas=2)
    own.services["cache"]["Spec"].update(PORT)
    old = service(former)
    old["Spec"].update(PORT)
    now = dataclasses.replace(own, former=[(old, [task(node=each) for each in holding])])
    assert verdicts.judge(now).verdict == verdict
    # One without the port holds nothing.
    assert verdicts.judge(dataclasses.replace(own, former=[(service(2), now.former[0][1])])).verdict == (
        "converged" if running == 2 else None
    )


def test_a_replica_of_a_former_service_that_ends_is_waited_for() -> None:
    pending = task("pending", node="", error="no suitable node (host-mode port already in use on 1 node)")
    own = moment(pending, nodes=TWO, replicas=1)
    assert verdicts.judge(own).verdict == "no_node"
    ending = {**task(node="n1"), "DesiredState": "shutdown"}
    judgement = verdicts.judge(dataclasses.replace(own, former=[(service(0), [ending])]))
    assert (judgement.verdict, judgement.reason) == (
        None,
        "service cache: the replica on worker-1 finishes its requests",
    )


def test_a_service_is_stalled_without_a_replica_to_come() -> None:
    ended = task("rejected", desired="shutdown")
    assert verdicts.stalled_services(moment(ended)) == ["cache"]
    assert "until it is deployed again" in judge(moment({**ended, "Spec": OLD_SPEC})).reason
    for seen in (
        moment(ended, task("pending")),
        moment(ended, task("ready", desired="ready")),
        moment(),
        moment(task()),
    ):
        assert verdicts.stalled_services(seen) == []
    assert verdicts.stalled_services(moment(ended, replicas=0)) == []


def test_rows_show_the_replicas_and_what_ended_badly() -> None:
    rows = verdicts.task_rows(moment(FAILED, task(at="2026-01-02T00:00:00Z"), task("shutdown", desired="shutdown")))
    assert [(row["node"], row["state"], row["exit_code"]) for row in rows] == [
        ("worker-1", "running", None),
        ("worker-1", "failed", 1),
    ]


def test_what_runs_is_counted_on_nodes_that_are_ready_only() -> None:
    live = service(replicas=3)
    port = {"PublishedPort": 443, "TargetPort": 443, "Protocol": "tcp", "PublishMode": "host"}
    live["Spec"]["EndpointSpec"] = {"Ports": [port]}
    those = [task("running"), task("running", node="n2"), task("running", spec=OLD_SPEC), FAILED]
    seen = Moment({"cache": live}, those, NODES)
    assert verdicts.running_services(seen) == [
        {
            "name": "cache",
            "image": "cache:2",
            "replicas": {"wanted": 3, "running": 2},
            "ports": ["443:443/tcp (host)"],
            "nodes": ["worker-1", "worker-1"],
        }
    ]


def test_the_published_ports_are_those_of_one_service() -> None:
    live = service()
    ports = [
        {"PublishedPort": published, "TargetPort": 443, "Protocol": protocol, "PublishMode": "ingress"}
        for published, protocol in ((8443, "tcp"), (443, "tcp"), (443, "udp"))
    ]
    live["Spec"]["EndpointSpec"] = {"Ports": ports}
    seen = Moment({"cache": live}, [], NODES)
    assert verdicts.published_ports(seen, "cache") == [443, 8443]
    assert verdicts.published_ports(seen, "other") == []
    assert verdicts.published_ports(moment(), "cache") == []
