# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""For how long a stack took no requests while it was updated."""

from __future__ import annotations

import dataclasses
import typing as t

import pytest
from ansible_collections.dtr.cache.plugins.module_utils.swarm.gap import cut_off, gap_seconds
from ansible_collections.dtr.cache.tests.unit.support.stacks import (
    FAILED,
    OLD_SPEC,
    moment,
    service,
    task,
)

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
