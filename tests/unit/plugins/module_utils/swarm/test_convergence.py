# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""A wait that always ends, with a verdict that has held for a while."""

from __future__ import annotations

import dataclasses
import itertools
import typing as t
from unittest import mock

import pytest
from ansible_collections.dtr.cache.plugins.module_utils.common.failure import Failure
from ansible_collections.dtr.cache.plugins.module_utils.swarm import convergence, verdict
from ansible_collections.dtr.cache.plugins.module_utils.swarm.convergence import cut_off, gap_seconds
from ansible_collections.dtr.cache.plugins.module_utils.swarm.model import Moment
from ansible_collections.dtr.cache.tests.unit.support.stacks import (
    FAILED,
    NODES,
    OLD_SPEC,
    SPEC,
    moment,
    service,
    task,
)

ENDS_OF_ROLLBACK = ("started", "completed")
ROLLED_BACK = {"State": "rollback_completed", "Message": "m"}


class Clock:
    """A clock that only a sleep moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def wait(
    looks: t.Sequence[Moment | Failure], timeout: float = 60, definition: dict[str, t.Any] | None = None
) -> tuple[convergence.Outcome, float]:
    clock = Clock()
    left = list(looks)

    def look() -> Moment:
        seen = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(seen, Failure):
            raise seen
        return seen

    outcome = convergence.wait(look, timeout=timeout, clock=clock, sleep=clock.sleep, definition=definition)
    return outcome, clock.now - 100


def test_converged_must_hold_for_a_while() -> None:
    outcome, seconds = wait([moment(task("starting")), moment(task())])
    assert outcome.verdict == "converged"
    assert seconds >= verdict.SECONDS_STABLE


def test_what_the_engine_has_watched_itself_is_believed_sooner() -> None:
    _outcome, seconds = wait([moment(task(), update={"State": "completed"})])
    assert verdict.SECONDS_STABLE_AFTER_UPDATE <= seconds < verdict.SECONDS_STABLE


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
    assert seconds >= verdict.SECONDS_STABLE_AFTER_FAILURE


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


DECLARED = {"services": {"cache": {"image": "cache:2", "deploy": {"placement": {"constraints": ["a == b"]}}}}}
OTHER = {**SPEC, "ContainerSpec": {"Image": "cache:3"}}
NOTHING = Moment({}, [], NODES)


def other(*tasks: dict[str, t.Any], **options: t.Any) -> Moment:
    """The stack as somebody else's deployment declares it."""
    seen = moment(*tasks, **options)
    seen.services["cache"]["Spec"]["TaskTemplate"] = OTHER
    return seen


def test_a_service_that_is_removed_meanwhile() -> None:
    outcome, seconds = wait([moment(task("starting")), NOTHING], timeout=300)
    assert outcome.verdict == "removed"
    assert outcome.reason == "service cache was removed while this run waited for it, by another run or by hand"
    assert seconds < 2


def test_a_service_that_was_removed_before_the_wait() -> None:
    outcome, seconds = wait([NOTHING], timeout=300, definition=DECLARED)
    assert outcome.verdict == "removed"
    assert outcome.reason.startswith("the stack has no service cache; another run, or somebody by hand, removed it")
    assert seconds <= verdict.SECONDS_UNSEEN + 1


def test_a_service_that_nobody_has_declared_yet_is_waited_for() -> None:
    assert wait([NOTHING] * 30 + [moment(task())])[0].verdict == "converged"


@pytest.mark.parametrize("state", ["updating", "completed", "paused", ""])
def test_a_service_that_another_deployment_replaces_meanwhile(state: str) -> None:
    theirs = other(task(spec=OTHER), update={"State": state})
    outcome, seconds = wait([moment(task("starting")), theirs], timeout=300, definition=DECLARED)
    assert outcome.verdict == "replaced"
    assert outcome.reason.startswith("another deployment, or somebody by hand, replaced service cache while this run")
    assert outcome.reason.endswith("image")
    assert seconds < 2


def test_a_service_that_another_deployment_replaced_before_the_wait() -> None:
    for theirs in (task(spec=OTHER), task("starting", spec=OTHER)):
        outcome, seconds = wait([other(theirs)], timeout=300, definition=DECLARED)
        assert outcome.verdict == "replaced"
    assert "is not as this run deployed it: image; another deployment" in outcome.reason
    assert verdict.SECONDS_UNSEEN <= seconds <= verdict.SECONDS_UNSEEN + 1


def test_a_rollback_is_nobody_elses_deployment() -> None:
    back = [
        other(task(spec=OTHER), update={"State": f"rollback_{state}", "Message": "m"}) for state in ENDS_OF_ROLLBACK
    ]
    outcome, _seconds = wait([moment(task("starting")), *back], definition=DECLARED)
    assert outcome.verdict == "rolled_back"
    paused = other(task("starting"), update={"State": "rollback_paused", "Message": "m"})
    assert wait([moment(task("starting")), paused], definition=DECLARED)[0].verdict == "paused"


def test_an_engine_that_was_never_there_is_told_at_once() -> None:
    clock = Clock()
    looks: list[Failure] = [Failure("ENGINE_ERROR", "no leader"), Failure("NO_ENGINE", "no socket")]

    def look() -> Moment:
        raise looks.pop(0)

    with pytest.raises(Failure, match="no socket") as caught:
        convergence.wait(look, timeout=300, clock=clock, sleep=clock.sleep)
    assert clock.now < 102
    assert caught.value.result["verdict"] == "timed_out"


def test_an_engine_that_restarts_is_waited_for() -> None:
    looks = [moment(task("starting")), *[Failure("NO_ENGINE", "no socket")] * 9, moment(task())]
    assert wait(looks)[0].verdict == "converged"


NO_MANAGER = Failure("NOT_A_MANAGER", "the Engine is a worker")


def test_a_manager_that_is_none_any_more_is_not_waited_for() -> None:
    looks = [moment(task("starting")), Failure("ENGINE_ERROR", "not a swarm manager"), NO_MANAGER]
    clock = Clock()

    def look() -> Moment:
        seen = looks.pop(0) if len(looks) > 1 else looks[0]
        if isinstance(seen, Failure):
            raise seen
        return seen

    with pytest.raises(Failure, match="is a worker"):
        convergence.wait(look, timeout=300, clock=clock, sleep=clock.sleep)
    assert 100 + convergence.SECONDS_TO_BE_MANAGER_AGAIN <= clock.now < 120


def test_an_engine_that_starts_again_is_no_manager_for_a_moment() -> None:
    looks = [moment(task("starting")), *[NO_MANAGER] * 9, moment(task("starting")), *[NO_MANAGER] * 25, moment(task())]
    assert wait(looks)[0].verdict == "converged"


def test_whether_the_engine_is_a_manager_is_asked_again_after_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = mock.Mock()
    engine.observe.side_effect = [moment(task("starting")), Failure("ENGINE_ERROR", "x")]
    engine.require_manager.side_effect = itertools.chain([{}], itertools.repeat(NO_MANAGER))
    monkeypatch.setattr(convergence, "SECONDS_TO_BE_MANAGER_AGAIN", 0)
    with pytest.raises(Failure, match="is a worker"):
        convergence.settle(engine, {"name": "s", "timeout": 30, "definition": {}, "former": ""})
    assert engine.require_manager.call_count == 2


def test_who_deploys_a_stalled_stack_again_is_told_so_without_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = mock.Mock()
    engine.observe.return_value = moment(task("rejected", desired="shutdown", spec=OLD_SPEC))
    engine.task_log.return_value = []
    engine.read_swarm.side_effect = Failure("ENGINE_ERROR", "x")
    monkeypatch.setattr(verdict, "SECONDS_STALLED", 0)
    options = {"name": "s", "timeout": 5, "definition": {}, "former": [], "known_tasks": None, "trial": False}
    result = convergence.settle(engine, {**options, "fail_when_stalled": False})
    assert (result["verdict"], result["changed"]) == ("stalled", False)
    with pytest.raises(Failure, match=r"makes no new one until it is deployed again.* No replica of it runs"):
        convergence.settle(engine, {**options, "fail_when_stalled": True})


@pytest.mark.parametrize(
    ("looks", "told"),
    [
        ([moment(task(), update=ROLLED_BACK)], "1 of 1 replicas run, as before the update"),
        ([moment(FAILED, update=ROLLED_BACK)], "No replica of it runs"),
        ([moment(task())], "every replica runs what the stack declares, on a node that is ready, but not yet for"),
        ([moment(task("starting")), Failure("ENGINE_ERROR", "no leader")], "no leader"),
    ],
)
def test_no_sentence_contradicts_another(looks: list[t.Any], told: str) -> None:
    """What is said of replicas is what was seen at the end, once."""
    engine = mock.Mock()
    engine.observe.side_effect = itertools.chain(looks, itertools.repeat(looks[-1]))
    engine.task_log.return_value = []
    engine.read_swarm.side_effect = Failure("ENGINE_ERROR", "x")
    options = {"name": "s", "timeout": 1, "definition": {}, "former": [], "known_tasks": None, "trial": False}
    with pytest.raises(Failure) as caught:
        convergence.settle(engine, {**options, "fail_when_stalled": True})
    words = caught.value.as_result()["msg"]
    assert told in words
    said = ("as before the update", "No replica of it runs", "every replica runs", "no leader", "before still runs")
    assert sum(each in words for each in said) == 1, words


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
    assert gap_seconds(moment(*tasks, update=STARTED)) == seconds


def test_a_replica_that_failed_did_not_serve() -> None:
    old, new = replica(1, "00", "01", "20")
    failed = {
        **FAILED,
        "CreatedAt": "2026-01-01T00:01:00Z",
        "Status": {**FAILED["Status"], "Timestamp": "2026-01-01T00:01:05Z"},
    }
    assert gap_seconds(moment(old, failed, new, update=STARTED)) == 19.0


def test_where_no_replica_runs_the_gap_has_no_end_yet() -> None:
    old, _new = replica(1, "00", "03", "04")
    coming = task("preparing", created="2026-01-01T00:01:00Z", at="2026-01-01T00:01:01Z")
    assert gap_seconds(moment(old, coming, update=STARTED)) is None


def test_without_an_update_there_is_no_gap_to_tell() -> None:
    assert gap_seconds(moment(task())) is None


def test_a_replica_that_was_not_exchanged_served_all_the_time() -> None:
    old, new = replica(1, "00", "01", "20")
    assert gap_seconds(moment(old, new, task(slot=2), update=STARTED)) == 0.0


@pytest.mark.parametrize(("code", "told"), [(0, []), (2, [2]), (137, [137])])
def test_a_replica_that_did_not_end_by_itself_cut_its_requests_off(code: int, told: list[int]) -> None:
    old, new = replica(1, "00", "01", "20")
    old["Status"]["ContainerStatus"] = {"ExitCode": code}
    found = cut_off(moment(old, new, update=STARTED))
    assert [each["exit_code"] for each in found] == told
    assert all(each["node"] for each in found)


def test_what_ended_before_the_update_or_failed_in_it_was_not_replaced() -> None:
    earlier, _new = replica(1, "00", "01", "20")
    earlier["Status"] = {**earlier["Status"], "Timestamp": "2026-01-01T00:00:30Z", "ContainerStatus": {"ExitCode": 137}}
    failed = {**FAILED, "Status": {**FAILED["Status"], "ContainerStatus": {"ExitCode": 1}}}
    assert cut_off(moment(earlier, failed, task(), update=STARTED)) == []
    assert cut_off(moment(task())) == []


def moved(state: str, ended: str, runs: str) -> tuple[dict[str, t.Any], dict[str, t.Any]]:
    """A replica that went to another node when its own lost the label; no update did it."""
    day = "2026-01-01T00:0"
    old = task(state, desired="shutdown", created=f"{day}0:00Z", at=f"{day}1:{ended}Z")
    return old, task(created=f"{day}1:00Z", at=f"{day}1:{runs}Z")


@pytest.mark.parametrize("state", ["shutdown", "rejected", "running"])
def test_a_replica_that_moves_to_another_node_leaves_a_gap(state: str) -> None:
    old, new = moved(state, "00.5" if state != "running" else "30", "08.5")
    assert gap_seconds(moment(old, new), {old["ID"]: True}) == (6.5 if state == "running" else 8.0)
    # What runs beside it serves meanwhile.
    beside = task(slot=2)
    assert gap_seconds(moment(old, new, beside), {old["ID"]: True, beside["ID"]: True}) == 0.0


def test_one_that_swarm_has_forgotten_was_exchanged_all_the_same() -> None:
    _old, new = moved("shutdown", "00", "08")
    assert gap_seconds(moment(new), {"forgotten": True}) == 8.0


def test_what_was_exchanged_before_does_not_count() -> None:
    old, new = replica(1, "00", "03", "04")
    exchanged = moment(old, new, update=STARTED)
    assert gap_seconds(exchanged) == 2.0
    known = {old["ID"]: False, new["ID"]: True}
    assert (gap_seconds(exchanged, known), cut_off(exchanged, known)) == (None, [])
    # A stack that is new, one more replica, and one of which nothing ran.
    assert gap_seconds(exchanged, {}) is None
    assert gap_seconds(moment(new, task(slot=2)), {new["ID"]: True}) is None
    assert gap_seconds(exchanged, {old["ID"]: False}) is None


@pytest.mark.parametrize("state", ["shutdown", "rejected"])
def test_one_that_was_cut_off_when_it_moved_is_known(state: str) -> None:
    old, new = moved(state, "00", "08")
    old["Status"]["ContainerStatus"] = {"ExitCode": 137}
    assert [each["exit_code"] for each in cut_off(moment(old, new), {old["ID"]: True})] == [137]
    assert cut_off(moment(old, new), {old["ID"]: False, new["ID"]: True}) == []


@pytest.mark.parametrize(
    ("running", "replicas", "seconds"),
    [
        # Told to stop, a replica still takes requests for two seconds.
        (["05"], 0, 3.0),
        (["01"], 0, 0.0),
        # One replica of the new stack ran before the last of the former one was ended.
        (["05", "30"], 0, 3.0),
        # A port that was taken from a service serves nobody from then on.
        (["05"], 2, 5.0),
        ([], 0, None),
    ],
)
def test_where_another_stack_is_replaced_it_counts_from_when_that_gave_up_the_port(
    running: list[str], replicas: int, seconds: float | None
) -> None:
    former = {**service(replicas), "UpdatedAt": "2026-01-01T00:00:00Z"}
    tasks = [task(at=f"2026-01-01T00:00:{second}Z") for second in running]
    now = dataclasses.replace(moment(*tasks, task("starting")), former=[(former, [])])
    assert gap_seconds(now) == seconds
