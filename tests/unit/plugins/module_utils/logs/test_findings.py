# SPDX-FileCopyrightText: Contributors to the dtr.cache project
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is counted, and what is over."""

from __future__ import annotations

import time
import tracemalloc

import pytest
from ansible_collections.dtr.cache.plugins.module_utils.logs.findings import Collector
from ansible_collections.dtr.cache.plugins.module_utils.swarm.log_stream import LogLine
from ansible_collections.dtr.cache.tests.unit.support.logs import (
    NODES,
    NOW,
    UNTRUSTED,
    WRITTEN,
    findings,
    framed,
    message,
    task,
)
from hypothesis import given
from hypothesis import strategies as st


def test_several_lines_of_one_request_are_one_event() -> None:
    lines = next(case for case in WRITTEN if case["case"] == "run-unknown-authority")["lines"]
    assert len(lines) > 1
    assert [row["count"] for row in findings(framed(*[message(line) for line in lines]))] == [1]
    other = [line.replace("http.request.id=", "http.request.id=other-") for line in lines]
    assert [row["count"] for row in findings(framed(*[message(line) for line in [*lines, *other]]))] == [2]


def test_a_finding_tells_when_where_and_shows_the_newest() -> None:
    lines = [
        message(UNTRUSTED.replace("dtr", "first"), at="2026-01-31T11:00:00.9Z"),
        message(UNTRUSTED.replace("dtr", "last"), at="2026-01-31T11:50:00Z", node="n2"),
        message(UNTRUSTED.replace("dtr", "middle"), at="2026-01-31T11:40:00Z", node="n3"),
    ]
    (row,) = findings(framed(*lines))
    assert (row["count"], row["first_seen"], row["last_seen"]) == (3, "2026-01-31T11:00:00Z", "2026-01-31T11:50:00Z")
    assert row["nodes"] == ["n3", "worker-1", "worker-2"]
    assert row["sample"] == "blob not served error=https://last: x509: certificate signed by unknown authority"


def test_a_terminals_form_and_frames_tell_the_same() -> None:
    lines = [message(UNTRUSTED), message("time=x level=info msg=fine"), message(UNTRUSTED)]
    as_terminal = "".join(lines).replace("\n", "\r\n").encode()
    assert findings(framed(*lines)) == findings(as_terminal)
    assert findings(as_terminal)[0]["count"] == 2


@given(st.binary(max_size=300), st.integers(1, 50))
def test_no_stream_breaks_it(content: bytes, size: int) -> None:
    Collector().read([content[at : at + size] for at in range(0, len(content), size)])


def test_a_huge_log_takes_little_memory() -> None:
    frames = framed(*[message(UNTRUSTED.replace("dtr", f"dtr-{number}")) for number in range(100)])
    tracemalloc.start()
    (row,) = findings(*([frames] * 50))
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert row["count"] == 5000
    assert most < 512 * 1024


@pytest.mark.parametrize("text", ["level=error " + "a" * 60_000, 'level=error msg="' + "swift: " * 9_000])
def test_a_long_line_takes_little_time(text: str) -> None:
    collector = Collector()
    began = time.process_time()
    collector.take_line(LogLine("2026-01-31T12:00:00Z", "node", "task", text))
    assert time.process_time() - began < 2


def test_an_endless_line_is_cut() -> None:
    endless = b"\x01\x00\x00\x00" + (10**7).to_bytes(4, "big")
    tracemalloc.start()
    rows = findings(endless, *([b"x" * 100_000] * 100), framed(message(UNTRUSTED)))
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [row["count"] for row in rows] == [1]
    assert most < 2 * 1024 * 1024


def test_tasks_that_are_old_or_well_tell_nothing_and_waiting_ones_always() -> None:
    collector = Collector()
    collector.take_task(task(state="failed", error="task: non-zero exit (1)"), NOW)
    collector.take_task(task(state="running", error=""), NOW)
    assert collector.rows([], NODES) == []
    collector.take_task(task(state="pending", error="no suitable node"), NOW)
    assert [row["cause"] for row in collector.rows([], NODES)] == ["no_node"]


def test_a_node_that_is_lost_with_its_replica() -> None:
    node = {"ID": "n1", "Description": {"Hostname": "worker-1"}, "Status": {"State": "down"}}
    collector = Collector()
    collector.take_node({**node, "ID": "n2"}, [task()], NOW)
    collector.take_node({**node, "Status": {"State": "ready"}}, [task()], NOW)
    assert collector.rows([task()], NODES) == []
    collector.take_node(node, [task()], NOW)
    (row,) = collector.rows([task()], NODES)
    assert (row["cause"], row["sample"], row["nodes"]) == ("node_lost", "node worker-1 is down", ["worker-1"])


def test_what_a_replaced_replica_met_is_over() -> None:
    chunks = framed(message('time="x" level=fatal msg="configuration error: yaml: x"', task="old"), message(UNTRUSTED))
    rows = findings(chunks, tasks=[task("old", "failed"), task("t1")])
    assert [(row["cause"], row["current"]) for row in rows] == [
        ("upstream_ca_unknown", True),
        ("configuration_syntax", False),
    ]
    rows = findings(chunks, tasks=[task("old", "failed"), task("t1", slot=2)])
    assert [(row["cause"], row["current"]) for row in rows] == [
        ("configuration_syntax", True),
        ("upstream_ca_unknown", True),
    ]


def test_what_was_mended_stays_over_when_something_else_breaks() -> None:
    chunks = framed(message('time="x" level=fatal msg="configuration error: yaml: x"', task="t1"))
    waits = task("t3", "pending", error="no suitable node")
    assert [row["current"] for row in findings(chunks, tasks=[task("t1", "failed"), waits])] == [True]
    for before in ([task("t1", "failed"), task("t2", "shutdown")], [task("t1", "failed", Spec={"of": "another day"})]):
        assert [row["current"] for row in findings(chunks, tasks=[*before, waits])] == [False]


def test_a_new_replica_that_fails_beside_the_old_one_is_no_past() -> None:
    chunks = framed(message('time="x" level=fatal msg="configuration error: yaml: x"', task="t2"))
    assert [row["current"] for row in findings(chunks, tasks=[task("t1"), task("t2", "failed")])] == [True]


def test_what_the_engine_cannot_read_is_told() -> None:
    collector = Collector()
    words = "Error grabbing logs: rpc error: incomplete log stream: node x is not available"
    collector.read([framed(message(UNTRUSTED)), framed(words, stream=3)])
    assert list(collector.unread) == [words]
    assert [row["cause"] for row in collector.rows([task()], NODES)] == ["upstream_ca_unknown"]
