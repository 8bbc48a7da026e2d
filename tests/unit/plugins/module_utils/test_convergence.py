# Copyright: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""Verdicts from the Engine's own states, and a wait that always ends."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.dtr.cache.plugins.module_utils import convergence
from ansible_collections.dtr.cache.plugins.module_utils.engine import Moment

SPEC = {"ContainerSpec": {"Image": "cache:2"}, "Placement": {"Constraints": ["a == b"]}, "ForceUpdate": 0}
OLD_SPEC = {**SPEC, "ContainerSpec": {"Image": "cache:1"}}
NODES = {
    "n1": {"Description": {"Hostname": "worker-1"}, "Status": {"State": "ready"}},
    "n2": {"Description": {"Hostname": "worker-2"}, "Status": {"State": "down"}},
}


def service(replicas: int = 1, update: dict[str, str] | None = None) -> dict[str, t.Any]:
    return {
        "ID": "s1",
        "Spec": {"TaskTemplate": SPEC, "Mode": {"Replicated": {"Replicas": replicas}}},
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
) -> dict[str, t.Any]:
    status: dict[str, t.Any] = {"State": state, "Err": error, "Timestamp": at}
    if exit_code is not None:
        status["ContainerStatus"] = {"ExitCode": exit_code}
    return {
        "ServiceID": "s1",
        "NodeID": node,
        "DesiredState": desired,
        "Status": status,
        "Spec": spec or SPEC,
        "CreatedAt": at,
    }


def moment(*tasks: dict[str, t.Any], **kwargs: t.Any) -> Moment:
    return Moment({"cache": service(**kwargs)}, tasks, NODES)


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
    ("the container ends with success", moment(task("complete", desired="shutdown", exit_code=0)), "task_failed"),
    ("no node fits", moment(task("pending", node="", error="no suitable node (1 node)")), "no_node"),
    ("rolled back", moment(task(), update={"State": "rollback_completed", "Message": "m"}), "rolled_back"),
    ("on its way back", moment(task(), update={"State": "rollback_started", "Message": "m"}), "rolled_back"),
    ("paused", moment(task(), update={"State": "paused", "Message": "m"}), "paused"),
    ("paused on the way back", moment(task(), update={"State": "rollback_paused", "Message": "m"}), "paused"),
    ("no service yet", Moment({}, [], NODES), None),
]


@pytest.mark.parametrize(("seen", "verdict"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_a_look_has_its_verdict(seen: Moment, verdict: str | None) -> None:
    judgement = convergence.judge(seen)
    assert judgement.verdict == verdict
    assert judgement.reason


def test_a_failure_names_node_error_and_exit_code() -> None:
    reason = convergence.judge(moment(FAILED, FAILED, FAILED)).reason
    assert "worker-1" in reason
    assert "non-zero exit (1)" in reason
    assert "exit code 1" in reason


class Clock:
    """A clock that only a sleep moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def wait(looks: t.Sequence[Moment], timeout: float = 60) -> tuple[convergence.Outcome, float]:
    clock = Clock()
    left = list(looks)

    def look() -> Moment:
        return left.pop(0) if len(left) > 1 else left[0]

    outcome = convergence.wait(look, timeout=timeout, clock=clock, sleep=clock.sleep)
    return outcome, clock.now - 100


def test_converged_must_hold_for_a_while() -> None:
    outcome, seconds = wait([moment(task("starting")), moment(task())])
    assert outcome.verdict == "converged"
    assert seconds >= convergence.SECONDS_STABLE


def test_a_container_that_stops_after_its_start_has_not_converged() -> None:
    looks = [moment(task())] * 2 + [moment(FAILED, task("ready")), moment(FAILED, FAILED, FAILED, task("ready"))]
    assert wait(looks)[0].verdict == "task_failed"


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


def test_stale_objects_are_those_that_nothing_refers_to_oldest_first() -> None:
    spec = {"TaskTemplate": {"ContainerSpec": {"Configs": [{"ConfigName": "st_c3"}], "Secrets": []}}}
    previous = {"TaskTemplate": {"ContainerSpec": {"Configs": [{"ConfigName": "st_c2"}]}}}
    seen = Moment({"cache": {"ID": "s1", "Spec": spec or SPEC, "PreviousSpec": previous}}, [], NODES)
    configs = {name: {"CreatedAt": name} for name in ("st_c3", "st_c2", "st_c1", "st_c0", "other_c0")}
    assert convergence.stale_objects(seen, "st", configs, {}) == ["st_c0", "st_c1"]
